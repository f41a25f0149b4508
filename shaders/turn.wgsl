// What an attention with rotary positions (Su et al. 2021) needs before it: queries and keys are normalised a head at a time,
// where a model does that, and turned; the keys go with the values into the layer's cache.
//
// In each head the first columns turn in pairs by position * frequency, `dims` by the first stream of positions, the next
// `dims` by the next; the others are copied. One invocation a cell: of a row its queries come first, padding included (it
// becomes 0), then its keys, then its values.

override LANES: u32 = 64;
override NORM: u32 = 0; // 0: none, 1: layer norm, 2: RMS norm
override NORM_WEIGHT: u32 = 0;
override NORM_BIAS: u32 = 0;

// Words of the play's header.
const PLAY_ROWS = 0u;
const PLAY_VARIANTS = 1u;
const PLAY_SLOTS = 9u;
const PLAY_POSITIONS = 11u;

struct Params {
    query_width: u32,
    kv_width: u32, // kv_heads * head_width
    stride: u32, // of out
    x_stride: u32,
    queries: u32, // their first column of x
    keys: u32,
    values: u32,
    head_width: u32,
    dims: u32,
    streams: u32,
    neighbours: u32, // 1: columns 2 i and 2 i + 1 pair, 0: i and i + dims / 2
    query_weight: u32, // where vectors hold it
    query_bias: u32,
    key_weight: u32,
    key_bias: u32,
    epsilon: f32,
    offset: f32, // added to the norm's weight
}

struct Shape {
    variants: u32,
    kv_heads: u32,
    slots: u32,
    head_width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> play: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<f32>; // [row][x_stride]
@group(0) @binding(3) var<storage, read> frequencies: array<f32>; // [dims / 2]
@group(0) @binding(4) var<storage, read> vectors: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>; // [row][stride]
@group(1) @binding(0) var<uniform> shape: Shape;
@group(1) @binding(1) var<storage, read_write> cache: array<f32>; // [key|value][variant][kv_head][slot][head_width]

// (cos, sin) of position * frequency. WGSL's own may be off by 2^-11, and the product of the two
// rounds to more than that at a few thousand positions: so the frequency is cut into three parts of 8
// bits, whose products with a position below 2^16 are exact, their sum is reduced by quarter turns in
// three (Cody & Waite 1980), and two polynomials do the rest.
fn turn(position: u32, frequency: f32) -> vec2<f32> {
    let p = f32(position);
    let high = bitcast<f32>(bitcast<u32>(frequency) & 0xffff0000u);
    let rest = frequency - high;
    let middle = bitcast<f32>(bitcast<u32>(rest) & 0xffff0000u);
    let quarters = round(p * frequency * 0.63661977);
    var a = p * high - quarters * 1.5703125;
    a = a + p * middle;
    a = a - quarters * 4.837512969970703125e-4;
    a = a + p * (rest - middle);
    a = a - quarters * 7.54978995489188216e-8;
    let z = a * a;
    let sine = ((-1.9515295891e-4 * z + 8.3321608736e-3) * z - 1.6666654611e-1) * z * a + a;
    let cosine = ((2.443315711809948e-5 * z - 1.388731625493765e-3) * z + 4.166664568298827e-2) * z * z - 0.5 * z + 1.0;
    switch u32(quarters) & 3u {
        case 0u: { return vec2(cosine, sine); }
        case 1u: { return vec2(-sine, cosine); }
        case 2u: { return vec2(-cosine, -sine); }
        default: { return vec2(sine, -cosine); }
    }
}

// Where a head's norm takes its values from: mean, factor, and the places of its weight and bias.
struct HeadNorm {
    mean: f32,
    factor: f32,
    weight: u32,
    bias: u32,
}

// Every cell sums its whole head: few rows have few cells, and lanes that share would wait for one another.
fn norm_of_head(start: u32, weight: u32, bias: u32) -> HeadNorm {
    var mean = 0.0;
    var factor = 1.0;
    if NORM != 0u {
        let length = f32(params.head_width);
        if NORM == 1u {
            var sum = 0.0;
            for (var k = 0u; k < params.head_width; k++) {
                sum += x[start + k];
            }
            mean = sum / length;
        }
        var square = 0.0;
        for (var k = 0u; k < params.head_width; k++) {
            let d = x[start + k] - mean;
            square += d * d;
        }
        factor = inverseSqrt(square / length + params.epsilon);
    }
    return HeadNorm(mean, factor, weight, bias);
}

// A column of a head that begins at `start`, normalised.
fn column_of(start: u32, c: u32, norm: HeadNorm) -> f32 {
    var value = x[start + c];
    if NORM != 0u {
        value = (value - norm.mean) * norm.factor;
        if NORM_WEIGHT == 1u {
            value *= vectors[norm.weight + c] + params.offset;
        }
        if NORM_BIAS == 1u {
            value += vectors[norm.bias + c];
        }
    }
    return value;
}

// The same, turned. `row` is the row of the play, whatever the variant.
fn turned(start: u32, c: u32, row: u32, norm: HeadNorm) -> f32 {
    let value = column_of(start, c, norm);
    let stream = c / params.dims;
    if stream >= params.streams {
        return value;
    }
    let i = c % params.dims;
    let half = params.dims / 2u;
    var pair: u32;
    var step: u32;
    var second: bool;
    if params.neighbours == 1u {
        pair = i / 2u;
        step = 1u;
        second = (i & 1u) == 1u;
    } else {
        pair = i % half;
        step = half;
        second = i >= half;
    }
    let position = play[play[PLAY_POSITIONS] + stream * play[PLAY_ROWS] + row];
    let t = turn(position, frequencies[pair]);
    if second {
        return value * t.x + column_of(start, c - step, norm) * t.y;
    }
    return value * t.x - column_of(start, c + step, norm) * t.y;
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let rows = play[PLAY_ROWS];
    let cell = (group.y * groups.x + group.x) * LANES + lane;
    let cells = params.stride + 2u * params.kv_width;
    let row = cell / cells;
    let column = cell % cells;
    if row >= rows * play[PLAY_VARIANTS] {
        return;
    }
    let first = row * params.x_stride;
    if column < params.stride {
        let at = row * params.stride + column;
        if column >= params.query_width {
            out[at] = 0.0;
            return;
        }
        let c = column % params.head_width;
        let start = first + params.queries + column - c;
        out[at] = turned(start, c, row % rows, norm_of_head(start, params.query_weight, params.query_bias));
        return;
    }
    let of_keys = column < params.stride + params.kv_width;
    let own = (column - params.stride) % params.kv_width;
    let slot = play[play[PLAY_SLOTS] + row % rows];
    let head = row / rows * shape.kv_heads + own / shape.head_width;
    let at = (head * shape.slots + slot) * shape.head_width + own % shape.head_width;
    if of_keys {
        let c = own % params.head_width;
        let start = first + params.keys + own - c;
        cache[at] = turned(start, c, row % rows, norm_of_head(start, params.key_weight, params.key_bias));
    } else {
        let half = shape.variants * shape.kv_heads * shape.slots * shape.head_width;
        cache[half + at] = x[first + params.values + own];
    }
}
