// Each of `groups` equal parts of a row brought to mean 0 and variance 1 (layer norm) or to root
// mean square 1 (RMS norm), then * (weight + offset) + bias, for software adapters: a lane makes a part of a
// row alone, as a barrier costs them more than the sums do.

override LANES: u32 = 4; // what such an adapter computes at once
override KIND: u32 = 1; // 1: layer norm, 2: RMS norm

// Words of the play's header.
const PLAY_ROWS = 0u;
const PLAY_VARIANTS = 1u;
const PLAY_PICKED = 2u;

struct Params {
    groups: u32,
    part: u32, // columns of a part
    stride: u32, // of out
    x_stride: u32,
    x_start: u32,
    weight: u32, // where vectors hold the weight, part long
    bias: u32, // and the bias
    has_weight: u32,
    has_bias: u32,
    epsilon: f32,
    offset: f32,
    picked: u32, // 1: a row for each picked row
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> play: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<f32>; // [row][x_stride]
@group(0) @binding(3) var<storage, read> vectors: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>; // [row][stride]

// Four columns; what lies behind the last one counts as `mean`.
fn four_columns(at: u32, left: u32, mean: f32) -> vec4<f32> {
    let values = vec4(x[at], x[at + 1u], x[at + 2u], x[at + 3u]);
    return select(vec4(mean), values, vec4(0u, 1u, 2u, 3u) < vec4(left));
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let rows = play[PLAY_VARIANTS] * select(play[PLAY_ROWS], play[PLAY_PICKED], params.picked == 1u);
    let part = (group.y * groups.x + group.x) * LANES + lane;
    let row = part / params.groups;
    if row >= rows {
        return;
    }
    let first = part % params.groups * params.part;
    let source = row * params.x_stride + params.x_start + first;
    let n = f32(params.part);

    var mean = 0.0;
    if KIND == 1u {
        var sum = vec4(0.0);
        for (var c = 0u; c < params.part; c += 4u) {
            sum += four_columns(source + c, params.part - c, 0.0);
        }
        mean = (sum.x + sum.y + sum.z + sum.w) / n;
    }
    var square = vec4(0.0);
    for (var c = 0u; c < params.part; c += 4u) {
        let d = four_columns(source + c, params.part - c, mean) - mean;
        square += d * d;
    }
    let factor = inverseSqrt((square.x + square.y + square.z + square.w) / n + params.epsilon);

    let to = row * params.stride + first;
    for (var c = 0u; c < params.part; c++) {
        var value = (x[source + c] - mean) * factor;
        if params.has_weight == 1u {
            value *= vectors[params.weight + c] + params.offset;
        }
        if params.has_bias == 1u {
            value += vectors[params.bias + c];
        }
        out[to + c] = value;
    }
    // The last part also clears the padding of the row.
    if part % params.groups == params.groups - 1u {
        for (var c = params.groups * params.part; c < params.stride; c++) {
            out[row * params.stride + c] = 0.0;
        }
    }
}
