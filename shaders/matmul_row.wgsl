// out = scale * x weightᵀ + bias, and what follows, for one row or a few, on software adapters (and for weights of one row): a lane makes
// sixteen outputs of a row, alone, and four lanes a tile. The weight is a texture: there a lane reads four words
// as one, of a buffer it reads each for itself, and that is what takes the time.
//
// Folded in where the graph has them: the norm of x before, the picking of its rows, then activation,
// product with another value, residual sum, and the storing of keys and values into a cache.
// No barrier: on software adapters they cost more than each lane's own sum for the norm.

override LANES: u32 = 4; // what such an adapter computes at once
override FORMAT: u32 = 0; // 0: f32, 1: f16, 2: bf16, 3: int8
override NORM: u32 = 0; // 0: none, 1: layer norm, 2: RMS norm
override NORM_WEIGHT: u32 = 0;
override NORM_BIAS: u32 = 0;
override BIAS: u32 = 0;
override ACTIVATION: u32 = 0; // 0: none, 1: relu, 2: gelu, 3: gelu by tanh, 4: quick gelu, 5: silu, 6: tanh, 7: sigmoid
override MULTIPLY: u32 = 0;
override ADD: u32 = 0;
override ADD_NORM: u32 = 0; // of what is added, as NORM; for a few rows alone
override ADD_WEIGHT: u32 = 0;
override ADD_BIAS: u32 = 0;
override STORE: u32 = 0;
override SHIFT: u32 = 0; // columns from a whole four to the first of x, where x is a view

const TILE = 64u; // outputs of four lanes
const ACROSS = 11u; // bits that count the texels of a row of the texture

// Words of the play's header.
const PLAY_ROWS = 0u;
const PLAY_VARIANTS = 1u;
const PLAY_PICKED = 2u;
const PLAY_SLOTS = 9u;
const PLAY_PICKS = 10u;

struct Params {
    inputs: u32,
    outputs: u32, // of the weight, or of this part of it
    first: u32, // column of out that the first one makes
    end: u32, // column of out before which all are written
    picks: u32, // 0: a row of x each row, 1: x has picked rows, 2: x has all rows, out the picked
    x_stride: u32, // in vectors of 4
    x_start: u32, // in vectors of 4
    stride: u32, // of out
    scale: f32,
    bias: u32, // where vectors hold it
    norm_weight: u32,
    norm_bias: u32,
    epsilon: f32,
    offset: f32, // added to the norm's weight
    multiply_stride: u32,
    multiply_start: u32,
    add_stride: u32,
    add_start: u32,
    add_scale: f32,
    add_width: u32, // columns of a row of what is added
    add_weight: u32, // where vectors hold it
    add_bias: u32,
    add_epsilon: f32,
    add_offset: f32, // added to the norm's weight
    store_width: u32, // kv_heads * head_width
    store_keys: u32, // the first output that is a key
    store_values: u32, // the first that is a value
}

struct Shape {
    variants: u32,
    kv_heads: u32,
    slots: u32,
    head_width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> play: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>; // [row][x_stride]
@group(0) @binding(3) var weight: texture_2d<u32>; // texel by texel [outputs / tile][inputs / (4 P)][tile], P inputs a word; int8: then [outputs] scales
@group(0) @binding(4) var<storage, read> vectors: array<f32>;
@group(0) @binding(5) var<storage, read> multiply: array<f32>; // [row][multiply_stride]
@group(0) @binding(6) var<storage, read> add: array<f32>; // [row][add_stride]
@group(0) @binding(7) var<storage, read_write> out: array<f32>; // [row][stride]
@group(1) @binding(0) var<uniform> shape: Shape;
@group(1) @binding(1) var<storage, read_write> cache: array<f32>; // [key|value][variant][kv_head][slot][head_width]

// WGSL has no erf. Two polynomials, within 1e-7.
fn erf(x: f32) -> f32 {
    let t = min(abs(x), 4.0);
    let s = t * t;
    if t > 0.927734375 {
        var r = -1.72853470e-5 * t + 3.83197126e-4;
        r = r * s + (-3.88396438e-3 * t + 2.42546219e-2);
        r = r * t - 1.06777877e-1;
        r = r * t - 6.34846687e-1;
        r = r * t - 1.28717512e-1;
        r = r * t - t;
        return sign(x) * (1.0 - exp(r));
    }
    var r = -5.96761703e-4 * s + 4.99119423e-3;
    r = r * s - 2.67681349e-2;
    r = r * s + 1.12819925e-1;
    r = r * s - 3.76125336e-1;
    r = r * s + 1.28379166e-1;
    return r * x + x;
}

// WGSL's own tanh may be off by 1e-5, and gives NaN for large arguments on some drivers.
fn hyperbolic_tangent(x: f32) -> f32 {
    let t = min(abs(x), 10.0);
    if t > 0.6 {
        return sign(x) * (1.0 - 2.0 / (exp(2.0 * t) + 1.0));
    }
    let s = t * t;
    var r = 1.57394409e-2 * s - 5.23025580e-2;
    r = r * s + 1.33152470e-1;
    r = r * s - 3.33327681e-1;
    return r * s * x + x;
}

// The exponent is clamped: infinity is not for WGSL to hold.
fn sigmoid(x: f32) -> f32 {
    return 1.0 / (1.0 + exp(clamp(-x, -80.0, 80.0)));
}

fn activate(x: f32, activation: u32) -> f32 {
    switch activation {
        case 1u: { return max(x, 0.0); }
        case 2u: { return 0.5 * x * (1.0 + erf(x * 0.70710678)); }
        case 3u: { return 0.5 * x * (1.0 + hyperbolic_tangent(0.79788456 * (x + 0.044715 * x * x * x))); }
        case 4u: { return x * sigmoid(1.702 * x); }
        case 5u: { return x * sigmoid(x); }
        case 6u: { return hyperbolic_tangent(x); }
        case 7u: { return sigmoid(x); }
        default: { return x; }
    }
}

// Outputs whose texels lie together; a weight of one row lies alone.
fn together() -> u32 {
    let alone = params.outputs == 1u && params.first == 0u;
    return select(min((params.outputs + 3u) / 4u * 4u, TILE), 1u, alone);
}

// How many fours of inputs a texel has, as the bits that count them.
fn halvings() -> u32 {
    switch FORMAT {
        case 1u, 2u: { return 1u; }
        case 3u: { return 2u; }
        default: { return 0u; }
    }
}

// Texels of an output.
fn depth() -> u32 {
    return (((params.inputs + 3u) / 4u - 1u) >> halvings()) + 1u;
}

fn texel(at: u32) -> vec4<u32> {
    return textureLoad(weight, vec2(at & ((1u << ACROSS) - 1u), at >> ACROSS), 0);
}

// The inputs of one of a texel's fours: of component c the halves or bytes are those of columns c, c + 4, ...
fn four(texel: vec4<u32>, which: u32) -> vec4<f32> {
    switch FORMAT {
        case 1u: {
            let half = texel >> vec4(16u * which);
            return vec4(
                unpack2x16float(half.x).x,
                unpack2x16float(half.y).x,
                unpack2x16float(half.z).x,
                unpack2x16float(half.w).x,
            );
        }
        case 2u: {
            return bitcast<vec4<f32>>((texel >> vec4(16u * which)) << vec4(16u));
        }
        case 3u: {
            return vec4<f32>((bitcast<vec4<i32>>(texel) << vec4(24u - 8u * which)) >> vec4(24u));
        }
        default: {
            return bitcast<vec4<f32>>(texel);
        }
    }
}

// All inputs of a texel times as many fours.
fn texel_times(at: u32, v0: vec4<f32>, v1: vec4<f32>, v2: vec4<f32>, v3: vec4<f32>) -> f32 {
    let t = texel(at);
    var sum = dot(four(t, 0u), v0);
    if FORMAT != 0u {
        sum += dot(four(t, 1u), v1);
    }
    if FORMAT == 3u {
        sum += dot(four(t, 2u), v2) + dot(four(t, 3u), v3);
    }
    return sum;
}

// The scale of an output, int8: behind the tiles, four a texel.
fn output_scale(output: u32) -> f32 {
    let last = min(output, params.outputs - 1u);
    let padded = (params.outputs + together() - 1u) / together() * together();
    return bitcast<f32>(texel(padded * depth() + last / 4u)[last % 4u]);
}

// Four inputs from x; behind the last ones lies anything, and meets zeros of the weight.
fn input(at: u32) -> vec4<f32> {
    let a = x[at];
    if SHIFT == 0u {
        return a;
    }
    let b = x[at + 1u];
    switch SHIFT {
        case 1u: { return vec4(a.yzw, b.x); }
        case 2u: { return vec4(a.zw, b.xy); }
        default: { return vec4(a.w, b.xyz); }
    }
}

fn vector(at: u32, k: u32) -> vec4<f32> {
    let i = at + 4u * k;
    return vec4(vectors[i], vectors[i + 1u], vectors[i + 2u], vectors[i + 3u]);
}

// Four inputs from x, normalised.
fn value(first: u32, k: u32, mean: f32, factor: f32) -> vec4<f32> {
    var value = input(first + k);
    if NORM != 0u {
        value = (value - mean) * factor;
        if NORM_WEIGHT == 1u {
            value *= vector(params.norm_weight, k) + params.offset;
        }
        if NORM_BIAS == 1u {
            value += vector(params.norm_bias, k);
        }
    }
    return value;
}

// Of the row of what is added, where that is normalised.
var<private> add_mean: f32 = 0.0;
var<private> add_factor: f32 = 1.0;

fn finish(row: u32, output: u32, sum: f32, scale: f32) {
    let to = params.first + output;
    if output >= params.outputs {
        // The last group also clears the padding of the row.
        if to < params.end {
            out[row * params.stride + to] = 0.0;
        }
        return;
    }
    var result = sum * scale;
    if BIAS == 1u {
        result += vectors[params.bias + to];
    }
    result = activate(result, ACTIVATION);
    if MULTIPLY == 1u {
        result *= multiply[row * params.multiply_stride + params.multiply_start + to];
    }
    if ADD == 1u {
        var other = add[row * params.add_stride + params.add_start + to];
        if ADD_NORM != 0u {
            other = (other - add_mean) * add_factor;
            if ADD_WEIGHT == 1u {
                other *= vectors[params.add_weight + to] + params.add_offset;
            }
            if ADD_BIAS == 1u {
                other += vectors[params.add_bias + to];
            }
        }
        result += params.add_scale * other;
    }
    out[row * params.stride + to] = result;

    if STORE == 1u {
        let rows = play[PLAY_ROWS];
        let slot = play[play[PLAY_SLOTS] + row % rows];
        let half = shape.variants * shape.kv_heads * shape.slots * shape.head_width;
        var column = to - params.store_keys;
        var at = 0u;
        if to >= params.store_values && to < params.store_values + params.store_width {
            column = to - params.store_values;
            at = half;
        }
        // Below the first key the difference wraps and is no column either.
        if column < params.store_width {
            let head = row / rows * shape.kv_heads + column / shape.head_width;
            cache[at + (head * shape.slots + slot) * shape.head_width + column % shape.head_width] = result;
        }
    }
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = group.y;
    let tile = (group.x * LANES + lane) / 4u;
    let first_output = tile * TILE + lane % 4u;
    if params.first + first_output >= params.end {
        return;
    }
    var x_row = row;
    if params.picks == 2u {
        let picked = play[PLAY_PICKED];
        x_row = row / picked * play[PLAY_ROWS] + play[play[PLAY_PICKS] + row % picked];
    }
    let first = x_row * params.x_stride + params.x_start;
    let count = (params.inputs + 3u) / 4u;

    // Which of the last four are inputs, and not padding.
    let rest = vec4(0u, 1u, 2u, 3u) < vec4(params.inputs - 4u * (count - 1u));
    var mean = 0.0;
    var factor = 1.0;
    if NORM != 0u {
        let length = f32(params.inputs);
        if NORM == 1u {
            var sum = vec4(0.0);
            for (var k = 0u; k + 1u < count; k++) {
                sum += input(first + k);
            }
            sum += select(vec4(0.0), input(first + count - 1u), rest);
            mean = (sum.x + sum.y + sum.z + sum.w) / length;
        }
        var square = vec4(0.0);
        for (var k = 0u; k + 1u < count; k++) {
            let d = input(first + k) - mean;
            square += d * d;
        }
        let e = select(vec4(0.0), input(first + count - 1u) - mean, rest);
        square += e * e;
        let variance = (square.x + square.y + square.z + square.w) / length;
        factor = inverseSqrt(variance + params.epsilon);
    }

    if ADD_NORM != 0u {
        let start = row * params.add_stride + params.add_start;
        let length = f32(params.add_width);
        if ADD_NORM == 1u {
            var sum = 0.0;
            for (var k = 0u; k < params.add_width; k++) {
                sum += add[start + k];
            }
            add_mean = sum / length;
        }
        var square = 0.0;
        for (var k = 0u; k < params.add_width; k++) {
            let d = add[start + k] - add_mean;
            square += d * d;
        }
        add_factor = inverseSqrt(square / length + params.add_epsilon);
    }

    var sums: array<f32, 16>;
    let step = together();
    let texels = depth();
    var at = tile * TILE * texels + lane % 4u;
    for (var t = 0u; t < texels; t++) {
        // Behind the last inputs the weight is zero.
        let k = t << halvings();
        let v0 = value(first, k, mean, factor);
        var v1 = vec4(0.0);
        var v2 = vec4(0.0);
        var v3 = vec4(0.0);
        if FORMAT != 0u {
            v1 = value(first, min(k + 1u, count - 1u), mean, factor);
        }
        if FORMAT == 3u {
            v2 = value(first, min(k + 2u, count - 1u), mean, factor);
            v3 = value(first, min(k + 3u, count - 1u), mean, factor);
        }
        if FORMAT == 0u {
            sums[0] += texel_times(at, v0, v1, v2, v3);
            sums[1] += texel_times(at + 4u, v0, v1, v2, v3);
            sums[2] += texel_times(at + 8u, v0, v1, v2, v3);
            sums[3] += texel_times(at + 12u, v0, v1, v2, v3);
            sums[4] += texel_times(at + 16u, v0, v1, v2, v3);
            sums[5] += texel_times(at + 20u, v0, v1, v2, v3);
            sums[6] += texel_times(at + 24u, v0, v1, v2, v3);
            sums[7] += texel_times(at + 28u, v0, v1, v2, v3);
            sums[8] += texel_times(at + 32u, v0, v1, v2, v3);
            sums[9] += texel_times(at + 36u, v0, v1, v2, v3);
            sums[10] += texel_times(at + 40u, v0, v1, v2, v3);
            sums[11] += texel_times(at + 44u, v0, v1, v2, v3);
            sums[12] += texel_times(at + 48u, v0, v1, v2, v3);
            sums[13] += texel_times(at + 52u, v0, v1, v2, v3);
            sums[14] += texel_times(at + 56u, v0, v1, v2, v3);
            sums[15] += texel_times(at + 60u, v0, v1, v2, v3);
        } else {
            // In a loop: sixteen copies of what unpacks a texel would take long to compile.
            for (var j = 0u; j < 16u; j++) {
                sums[j] += texel_times(at + 4u * j, v0, v1, v2, v3);
            }
        }
        at += step;
    }
    // Written in a loop: copies of what follows a sum would take long to compile.
    for (var j = 0u; j < 16u; j++) {
        let output = first_output + 4u * j;
        var scale = params.scale;
        if FORMAT == 3u {
            scale *= output_scale(output);
        }
        finish(row, output, sums[j], scale);
    }
}
