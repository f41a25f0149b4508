// out = scale * x weightᵀ + bias, and what follows, for many rows: an invocation makes 8 rows of 8
// outputs in registers, its outputs LANES apart, so that neighbouring lanes read neighbouring words
// of the weight and all lanes of a workgroup read the same x. No barrier, no workgroup memory: a
// software adapter's time goes into loads, 48 for 64 sums of four products here.
//
// Folded in where the graph has them: the picking of x's rows, then activation, product with
// another value, residual sum, and the storing of keys and values into a cache.

override LANES: u32 = 64;
override FORMAT: u32 = 0; // 0: f32, 1: f16, 2: bf16, 3: int8
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

// Row `row` of out as a row of x.
fn x_row(row: u32) -> u32 {
    if params.picks == 2u {
        let picked = play[PLAY_PICKED];
        return row / picked * play[PLAY_ROWS] + play[play[PLAY_PICKS] + row % picked];
    }
    return row;
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
    let all = select(play[PLAY_ROWS], play[PLAY_PICKED], params.picks != 0u) * play[PLAY_VARIANTS];
    let row = group.y * 8u;
    let first_output = group.x * 8u * LANES + lane;
    let o = vec4(first_output) + vec4(0u, 1u, 2u, 3u) * LANES;
    let p = o + vec4(4u * LANES);
    if params.first + first_output >= params.end {
        return;
    }
    // Rows past the end repeat the last one, outputs past the end too; neither is written.
    let last = all - 1u;
    let at0 = x_row(min(row + 0u, last)) * params.x_stride + params.x_start;
    let at1 = x_row(min(row + 1u, last)) * params.x_stride + params.x_start;
    let at2 = x_row(min(row + 2u, last)) * params.x_stride + params.x_start;
    let at3 = x_row(min(row + 3u, last)) * params.x_stride + params.x_start;
    let at4 = x_row(min(row + 4u, last)) * params.x_stride + params.x_start;
    let at5 = x_row(min(row + 5u, last)) * params.x_stride + params.x_start;
    let at6 = x_row(min(row + 6u, last)) * params.x_stride + params.x_start;
    let at7 = x_row(min(row + 7u, last)) * params.x_stride + params.x_start;
    let c = places(o);
    let d = places(p);
    let count = (params.inputs + 3u) / 4u;

    var a0 = vec4(0.0);
    var a1 = vec4(0.0);
    var a2 = vec4(0.0);
    var a3 = vec4(0.0);
    var a4 = vec4(0.0);
    var a5 = vec4(0.0);
    var a6 = vec4(0.0);
    var a7 = vec4(0.0);
    var b0 = vec4(0.0);
    var b1 = vec4(0.0);
    var b2 = vec4(0.0);
    var b3 = vec4(0.0);
    var b4 = vec4(0.0);
    var b5 = vec4(0.0);
    var b6 = vec4(0.0);
    var b7 = vec4(0.0);
    for (var k = 0u; k < count; k++) {
        let w = weights(k, c);
        let v = weights(k, d);
        let x0 = input(at0 + k);
        a0 += w * x0;
        b0 += v * x0;
        let x1 = input(at1 + k);
        a1 += w * x1;
        b1 += v * x1;
        let x2 = input(at2 + k);
        a2 += w * x2;
        b2 += v * x2;
        let x3 = input(at3 + k);
        a3 += w * x3;
        b3 += v * x3;
        let x4 = input(at4 + k);
        a4 += w * x4;
        b4 += v * x4;
        let x5 = input(at5 + k);
        a5 += w * x5;
        b5 += v * x5;
        let x6 = input(at6 + k);
        a6 += w * x6;
        b6 += v * x6;
        let x7 = input(at7 + k);
        a7 += w * x7;
        b7 += v * x7;
    }
    // Written in a loop: 64 copies of what follows a sum would take long to compile.
    for (var i = 0u; i < 8u && row + i < all; i++) {
        var a = a0;
        var b = b0;
        switch i {
            case 1u: {
                a = a1;
                b = b1;
            }
            case 2u: {
                a = a2;
                b = b2;
            }
            case 3u: {
                a = a3;
                b = b3;
            }
            case 4u: {
                a = a4;
                b = b4;
            }
            case 5u: {
                a = a5;
                b = b5;
            }
            case 6u: {
                a = a6;
                b = b6;
            }
            case 7u: {
                a = a7;
                b = b7;
            }
            default: {}
        }
        for (var j = 0u; j < 8u; j++) {
            let output = first_output + j * LANES;
            var scale = params.scale;
            if FORMAT == 3u {
                scale *= bitcast<f32>(weight[scale_at(output)]);
            }
            finish(row + i, output, select(a[j & 3u], b[j & 3u], j >= 4u), scale);
        }
    }
}
