// out = scale * x weightᵀ + bias, and what follows, for many rows: an invocation makes 4 rows of 4
// outputs in registers, its outputs LANES apart, so that neighbouring lanes read neighbouring words
// of the weight and all lanes of a workgroup read the same x. No barrier, no workgroup memory.
//
// Folded in where the graph has them: the picking of x's rows, then activation, product with
// another value, residual sum, and the storing of keys and values into a cache.

override LANES: u32 = 64;
override FORMAT: u32 = 0; // 0: f32, 1: f16, 2: bf16, 3: int8
override BIAS: u32 = 0;
override ACTIVATION: u32 = 0; // 0: none, 1: relu, 2: gelu, 3: gelu by tanh, 4: quick gelu, 5: silu, 6: tanh, 7: sigmoid
override MULTIPLY: u32 = 0;
override ADD: u32 = 0;
override STORE: u32 = 0;
override SHIFT: u32 = 0; // columns from a whole four to the first of x, where x is a view

// Words of the play's header.
const PLAY_ROWS = 0u;
const PLAY_VARIANTS = 1u;
const PLAY_PICKED = 2u;
const PLAY_SLOTS = 9u;
const PLAY_PICKS = 10u;

struct Params {
    inputs: u32,
    outputs: u32,
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
@group(0) @binding(3) var<storage, read> weight: array<u32>; // [inputs / P][outputs], P inputs a word; int8: then [outputs] scales
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
        var r = fma(-1.72853470e-5, t, 3.83197126e-4);
        r = fma(r, s, fma(-3.88396438e-3, t, 2.42546219e-2));
        r = fma(r, t, -1.06777877e-1);
        r = fma(r, t, -6.34846687e-1);
        r = fma(r, t, -1.28717512e-1);
        r = fma(r, t, -t);
        return sign(x) * (1.0 - exp(r));
    }
    var r = fma(-5.96761703e-4, s, 4.99119423e-3);
    r = fma(r, s, -2.67681349e-2);
    r = fma(r, s, 1.12819925e-1);
    r = fma(r, s, -3.76125336e-1);
    r = fma(r, s, 1.28379166e-1);
    return fma(r, x, x);
}

// WGSL's own tanh may be off by 1e-5, and gives NaN for large arguments on some drivers.
fn hyperbolic_tangent(x: f32) -> f32 {
    let t = min(abs(x), 10.0);
    if t > 0.6 {
        return sign(x) * (1.0 - 2.0 / (exp(2.0 * t) + 1.0));
    }
    let s = t * t;
    var r = fma(1.57394409e-2, s, -5.23025580e-2);
    r = fma(r, s, 1.33152470e-1);
    r = fma(r, s, -3.33327681e-1);
    return fma(r * s, x, x);
}

// The exponent is clamped: infinity is not for WGSL to hold.
fn sigmoid(x: f32) -> f32 {
    return 1.0 / (1.0 + exp(clamp(-x, -80.0, 80.0)));
}

fn activate(x: f32) -> f32 {
    switch ACTIVATION {
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
// The words of four outputs, LANES apart; outputs past the end repeat the last one.
fn words(base: u32, o: vec4<u32>) -> vec4<u32> {
    return vec4(weight[base + o.x], weight[base + o.y], weight[base + o.z], weight[base + o.w]);
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

fn finish(row: u32, output: u32, sum: f32) {
    if output >= params.outputs {
        // The last group also clears the padding of the row.
        if output < params.stride {
            out[row * params.stride + output] = 0.0;
        }
        return;
    }
    var result = sum * params.scale;
    if FORMAT == 3u {
        result *= bitcast<f32>(weight[(params.inputs + 3u) / 4u * params.outputs + output]);
    }
    if BIAS == 1u {
        result += vectors[params.bias + output];
    }
    result = activate(result);
    if MULTIPLY == 1u {
        result *= multiply[row * params.multiply_stride + params.multiply_start + output];
    }
    if ADD == 1u {
        result += add[row * params.add_stride + params.add_start + output];
    }
    out[row * params.stride + output] = result;

    if STORE == 1u {
        let rows = play[PLAY_ROWS];
        let slot = play[play[PLAY_SLOTS] + row % rows];
        let half = shape.variants * shape.kv_heads * shape.slots * shape.head_width;
        var column = output - params.store_keys;
        var at = 0u;
        if output >= params.store_values && output < params.store_values + params.store_width {
            column = output - params.store_values;
            at = half;
        }
        // Below the first key the difference wraps and is no column either.
        if column < params.store_width {
            let head = row / rows * shape.kv_heads + column / shape.head_width;
            cache[at + (head * shape.slots + slot) * shape.head_width + column % shape.head_width] = result;
        }
    }
}

fn finish_row(row: u32, o: vec4<u32>, sums: vec4<f32>) {
    finish(row, o.x, sums.x);
    finish(row, o.y, sums.y);
    finish(row, o.z, sums.z);
    finish(row, o.w, sums.w);
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let all = select(play[PLAY_ROWS], play[PLAY_PICKED], params.picks != 0u) * play[PLAY_VARIANTS];
    let row = group.y * 4u;
    let o = vec4(group.x * 4u * LANES + lane) + vec4(0u, 1u, 2u, 3u) * LANES;
    if o.x >= params.stride {
        return;
    }
    // Rows past the end repeat the last one, and are not written.
    let last = all - 1u;
    var at0 = x_row(row) * params.x_stride + params.x_start;
    var at1 = x_row(min(row + 1u, last)) * params.x_stride + params.x_start;
    var at2 = x_row(min(row + 2u, last)) * params.x_stride + params.x_start;
    var at3 = x_row(min(row + 3u, last)) * params.x_stride + params.x_start;
    let n = params.outputs;
    let c = min(o, vec4(n - 1u));
    let count = (params.inputs + 3u) / 4u;

    var sum0 = vec4(0.0);
    var sum1 = vec4(0.0);
    var sum2 = vec4(0.0);
    var sum3 = vec4(0.0);
    for (var k = 0u; k < count; k++) {
        // w0 .. w3: inputs 4 k .. 4 k + 4 of the four outputs.
        var w0: vec4<f32>;
        var w1: vec4<f32>;
        var w2: vec4<f32>;
        var w3: vec4<f32>;
        if FORMAT == 0u {
            let base = 4u * k * n;
            w0 = bitcast<vec4<f32>>(words(base, c));
            w1 = bitcast<vec4<f32>>(words(base + n, c));
            w2 = bitcast<vec4<f32>>(words(base + 2u * n, c));
            w3 = bitcast<vec4<f32>>(words(base + 3u * n, c));
        } else if FORMAT == 3u {
            let four = bitcast<vec4<i32>>(words(k * n, c));
            w0 = vec4<f32>((four << vec4(24u)) >> vec4(24u));
            w1 = vec4<f32>((four << vec4(16u)) >> vec4(24u));
            w2 = vec4<f32>((four << vec4(8u)) >> vec4(24u));
            w3 = vec4<f32>(four >> vec4(24u));
        } else {
            let low = words(2u * k * n, c);
            let high = words(2u * k * n + n, c);
            if FORMAT == 1u {
                let ax = unpack2x16float(low.x);
                let ay = unpack2x16float(low.y);
                let az = unpack2x16float(low.z);
                let aw = unpack2x16float(low.w);
                let bx = unpack2x16float(high.x);
                let by = unpack2x16float(high.y);
                let bz = unpack2x16float(high.z);
                let bw = unpack2x16float(high.w);
                w0 = vec4(ax.x, ay.x, az.x, aw.x);
                w1 = vec4(ax.y, ay.y, az.y, aw.y);
                w2 = vec4(bx.x, by.x, bz.x, bw.x);
                w3 = vec4(bx.y, by.y, bz.y, bw.y);
            } else {
                w0 = bitcast<vec4<f32>>(low << vec4(16u));
                w1 = bitcast<vec4<f32>>(low & vec4(0xffff0000u));
                w2 = bitcast<vec4<f32>>(high << vec4(16u));
                w3 = bitcast<vec4<f32>>(high & vec4(0xffff0000u));
            }
        }
        let x0 = input(at0 + k);
        let x1 = input(at1 + k);
        let x2 = input(at2 + k);
        let x3 = input(at3 + k);
        sum0 += x0.x * w0 + x0.y * w1 + x0.z * w2 + x0.w * w3;
        sum1 += x1.x * w0 + x1.y * w1 + x1.z * w2 + x1.w * w3;
        sum2 += x2.x * w0 + x2.y * w1 + x2.z * w2 + x2.w * w3;
        sum3 += x3.x * w0 + x3.y * w1 + x3.z * w2 + x3.w * w3;
    }
    finish_row(row, o, sum0);
    if row + 1u <= last {
        finish_row(row + 1u, o, sum1);
    }
    if row + 2u <= last {
        finish_row(row + 2u, o, sum2);
    }
    if row + 3u <= last {
        finish_row(row + 3u, o, sum3);
    }
}
