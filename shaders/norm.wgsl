// Each of `groups` equal parts of a row brought to mean 0 and variance 1 (layer norm) or to root
// mean square 1 (RMS norm), then * (weight + offset) + bias.
//
// One workgroup a part of a row. Lanes share the sums through workgroup memory.

override LANES: u32 = 64; // a power of two
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

var<workgroup> sums: array<f32, 2 * LANES>; // those of the mean, then those of the squares

// The sum over all lanes, brought together by halves, by way of sums[at .. at + LANES].
fn over_lanes(lane: u32, at: u32, mine: f32) -> f32 {
    sums[at + lane] = mine;
    workgroupBarrier();
    for (var left = LANES / 2u; left > 0u; left /= 2u) {
        if lane < left {
            sums[at + lane] += sums[at + lane + left];
        }
        workgroupBarrier();
    }
    return sums[at];
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let rows = play[PLAY_VARIANTS] * select(play[PLAY_ROWS], play[PLAY_PICKED], params.picked == 1u);
    let part = group.y * groups.x + group.x;
    let row = part / params.groups;
    if row >= rows {
        return;
    }
    let first = part % params.groups * params.part;
    let source = row * params.x_stride + params.x_start + first;
    let n = f32(params.part);

    var mean = 0.0;
    if KIND == 1u {
        var sum = 0.0;
        for (var c = lane; c < params.part; c += LANES) {
            sum += x[source + c];
        }
        mean = over_lanes(lane, 0u, sum) / n;
    }
    var square = 0.0;
    for (var c = lane; c < params.part; c += LANES) {
        let d = x[source + c] - mean;
        square += d * d;
    }
    let factor = inverseSqrt(over_lanes(lane, LANES, square) / n + params.epsilon);

    let to = row * params.stride + first;
    for (var c = lane; c < params.part; c += LANES) {
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
        for (var c = params.groups * params.part + lane; c < params.stride; c += LANES) {
            out[row * params.stride + c] = 0.0;
        }
    }
}
