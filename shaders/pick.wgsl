// out[variant][i] = x[variant][picked[i]], row by row.
//
// One invocation a cell of out, padding included (it becomes 0).

override LANES: u32 = 64;

// Words of the play's header.
const PLAY_ROWS = 0u;
const PLAY_VARIANTS = 1u;
const PLAY_PICKED = 2u;
const PLAY_PICKS = 10u;

struct Params {
    width: u32,
    stride: u32, // of out
    x_stride: u32,
    x_start: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> play: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<f32>; // [variant * row][x_stride]
@group(0) @binding(3) var<storage, read_write> out: array<f32>; // [variant * picked][stride]

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let picked = play[PLAY_PICKED];
    let cell = (group.y * groups.x + group.x) * LANES + lane;
    let row = cell / params.stride;
    let column = cell % params.stride;
    if row >= picked * play[PLAY_VARIANTS] {
        return;
    }
    let source = row / picked * play[PLAY_ROWS] + play[play[PLAY_PICKS] + row % picked];
    var value = 0.0;
    if column < params.width {
        value = x[source * params.x_stride + params.x_start + column];
    }
    out[cell] = value;
}
