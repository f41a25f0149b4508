// Puts keys and values into a layer's cache, at the rows' slots.
//
// One invocation a column of a row.

override LANES: u32 = 64;

// Words of the play's header.
const PLAY_ROWS = 0u;
const PLAY_VARIANTS = 1u;
const PLAY_SLOTS = 9u;

struct Params {
    width: u32, // kv_heads * head_width
    keys_stride: u32,
    keys_start: u32,
    values_stride: u32,
    values_start: u32,
}

struct Shape {
    variants: u32,
    kv_heads: u32,
    slots: u32,
    head_width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> play: array<u32>;
@group(0) @binding(2) var<storage, read> keys: array<f32>; // [row][keys_stride]
@group(0) @binding(3) var<storage, read> values: array<f32>; // [row][values_stride]
@group(1) @binding(0) var<uniform> shape: Shape;
@group(1) @binding(1) var<storage, read_write> cache: array<f32>; // [key|value][variant][kv_head][slot][head_width]

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let rows = play[PLAY_ROWS];
    let cell = (group.y * groups.x + group.x) * LANES + lane;
    let row = cell / params.width;
    let column = cell % params.width;
    if row >= rows * play[PLAY_VARIANTS] {
        return;
    }
    let slot = play[play[PLAY_SLOTS] + row % rows];
    let head = row / rows * shape.kv_heads + column / shape.head_width;
    let at = (head * shape.slots + slot) * shape.head_width + column % shape.head_width;
    let half = shape.variants * shape.kv_heads * shape.slots * shape.head_width;
    cache[at] = keys[row * params.keys_stride + params.keys_start + column];
    cache[half + at] = values[row * params.values_stride + params.values_start + column];
}
