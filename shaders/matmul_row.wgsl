// out = scale * x weightᵀ + bias, and what follows, for one row or a few: a lane makes eight outputs of
// a row, LANES apart, so that neighbouring lanes read neighbouring words of the weight and all read
// the same x.
//
// Folded in where the graph has them: the norm of x before, the picking of its rows, then activation,
// product with another value, residual sum, and the storing of keys and values into a cache.
// No barrier: on software adapters they cost more than each lane's own sum for the norm.

override LANES: u32 = 64;
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

const TILE = 64u; // outputs whose words lie together

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
@group(0) @binding(3) var<storage, read> weight: array<u32>; // [outputs / tile][inputs / P][tile], P inputs a word; int8: then [outputs] scales
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

// Outputs lie in tiles, so that a workgroup reads its words one after the other.
fn tile() -> u32 {
    return min(params.outputs, TILE);
}

// Where the words of four outputs begin; outputs past the end repeat the last one.
fn places(outputs: vec4<u32>) -> vec4<u32> {
    let o = min(outputs, vec4(params.outputs - 1u));
    var words = (params.inputs + 3u) / 4u;
    switch FORMAT {
        case 1u, 2u: { words *= 2u; }
        case 3u: {}
        default: { words *= 4u; }
    }
    let t = tile();
    return o / t * (words * t) + o % t;
}

// The words of four outputs.
fn words(base: u32, o: vec4<u32>) -> vec4<u32> {
    return vec4(weight[base + o.x], weight[base + o.y], weight[base + o.z], weight[base + o.w]);
}

// Inputs 4 k .. 4 k + 4 (columns) of four outputs (rows of the matrix).
fn weights(k: u32, o: vec4<u32>) -> mat4x4<f32> {
    let n = tile();
    switch FORMAT {
        case 1u: {
            let low = words(2u * k * n, o);
            let high = words(2u * k * n + n, o);
            return transpose(mat4x4(
                vec4(unpack2x16float(low.x), unpack2x16float(high.x)),
                vec4(unpack2x16float(low.y), unpack2x16float(high.y)),
                vec4(unpack2x16float(low.z), unpack2x16float(high.z)),
                vec4(unpack2x16float(low.w), unpack2x16float(high.w)),
            ));
        }
        case 2u: {
            let low = words(2u * k * n, o);
            let high = words(2u * k * n + n, o);
            return mat4x4(
                bitcast<vec4<f32>>(low << vec4(16u)),
                bitcast<vec4<f32>>(low & vec4(0xffff0000u)),
                bitcast<vec4<f32>>(high << vec4(16u)),
                bitcast<vec4<f32>>(high & vec4(0xffff0000u)),
            );
        }
        case 3u: {
            let four = bitcast<vec4<i32>>(words(k * n, o));
            return mat4x4(
                vec4<f32>((four << vec4(24u)) >> vec4(24u)),
                vec4<f32>((four << vec4(16u)) >> vec4(24u)),
                vec4<f32>((four << vec4(8u)) >> vec4(24u)),
                vec4<f32>(four >> vec4(24u)),
            );
        }
        default: {
            let base = 4u * k * n;
            return mat4x4(
                bitcast<vec4<f32>>(words(base, o)),
                bitcast<vec4<f32>>(words(base + n, o)),
                bitcast<vec4<f32>>(words(base + 2u * n, o)),
                bitcast<vec4<f32>>(words(base + 3u * n, o)),
            );
        }
    }
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

// Where the scale of an output lies, int8.
fn scale_at(output: u32) -> u32 {
    let padded = (params.outputs + tile() - 1u) / tile() * tile();
    return (params.inputs + 3u) / 4u * padded + min(output, params.outputs - 1u);
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
    let first_output = group.x * 8u * LANES + lane;
    let o = vec4(first_output) + vec4(0u, 1u, 2u, 3u) * LANES;
    let p = o + vec4(4u * LANES);
    if params.first + first_output >= params.end {
        return;
    }
    var x_row = row;
    if params.picks == 2u {
        let picked = play[PLAY_PICKED];
        x_row = row / picked * play[PLAY_ROWS] + play[play[PLAY_PICKS] + row % picked];
    }
    let first = x_row * params.x_stride + params.x_start;
    let c = places(o);
    let d = places(p);
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

    var a = vec4(0.0);
    var b = vec4(0.0);
    for (var k = 0u; k < count; k++) {
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
        a += weights(k, c) * value;
        b += weights(k, d) * value;
    }
    for (var j = 0u; j < 8u; j++) {
        let output = first_output + j * LANES;
        var scale = params.scale;
        if FORMAT == 3u {
            scale *= bitcast<f32>(weight[scale_at(output)]);
        }
        finish(row, output, select(a[j & 3u], b[j & 3u], j >= 4u), scale);
    }
}
