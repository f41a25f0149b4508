// out = scale * x weightᵀ + bias, and what follows, for many rows, on software adapters (and for weights of one row): a lane makes sixteen
// outputs of eight rows, alone, and four lanes a tile. No barrier, no workgroup memory: such an adapter's
// time goes into loads, 16 of texels and 32 of x for 128 sums of four products here. The weight is a
// texture: of it a lane reads four words as one, of a buffer it reads each for itself.
//
// Folded in where the graph has them: the picking of x's rows, then activation, product with
// another value, residual sum, and the storing of keys and values into a cache.

override LANES: u32 = 4; // what such an adapter computes at once
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

// Four inputs of an output times those of four rows.
fn dots(w: vec4<f32>, a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>) -> vec4<f32> {
    return vec4(dot(w, a), dot(w, b), dot(w, c), dot(w, d));
}

// Row `row` of out as a row of x.
fn x_row(row: u32) -> u32 {
    if params.picks == 2u {
        let picked = play[PLAY_PICKED];
        return row / picked * play[PLAY_ROWS] + play[play[PLAY_PICKS] + row % picked];
    }
    return row;
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
    let tile = (group.x * LANES + lane) / 4u;
    let first_output = tile * TILE + lane % 4u;
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
    let count = (params.inputs + 3u) / 4u;

    var low: array<vec4<f32>, 16>; // of an output the sums of four rows
    var high: array<vec4<f32>, 16>; // and of the other four
    let step = together();
    let base = tile * TILE * depth() + lane % 4u;
    for (var k = 0u; k < count; k++) {
        let at = base + (k >> halvings()) * step;
        let which = k & ((1u << halvings()) - 1u);
        let x0 = input(at0 + k);
        let x1 = input(at1 + k);
        let x2 = input(at2 + k);
        let x3 = input(at3 + k);
        let x4 = input(at4 + k);
        let x5 = input(at5 + k);
        let x6 = input(at6 + k);
        let x7 = input(at7 + k);
        let w0 = four(texel(at), which);
        low[0] += dots(w0, x0, x1, x2, x3);
        high[0] += dots(w0, x4, x5, x6, x7);
        let w1 = four(texel(at + 4u), which);
        low[1] += dots(w1, x0, x1, x2, x3);
        high[1] += dots(w1, x4, x5, x6, x7);
        let w2 = four(texel(at + 8u), which);
        low[2] += dots(w2, x0, x1, x2, x3);
        high[2] += dots(w2, x4, x5, x6, x7);
        let w3 = four(texel(at + 12u), which);
        low[3] += dots(w3, x0, x1, x2, x3);
        high[3] += dots(w3, x4, x5, x6, x7);
        let w4 = four(texel(at + 16u), which);
        low[4] += dots(w4, x0, x1, x2, x3);
        high[4] += dots(w4, x4, x5, x6, x7);
        let w5 = four(texel(at + 20u), which);
        low[5] += dots(w5, x0, x1, x2, x3);
        high[5] += dots(w5, x4, x5, x6, x7);
        let w6 = four(texel(at + 24u), which);
        low[6] += dots(w6, x0, x1, x2, x3);
        high[6] += dots(w6, x4, x5, x6, x7);
        let w7 = four(texel(at + 28u), which);
        low[7] += dots(w7, x0, x1, x2, x3);
        high[7] += dots(w7, x4, x5, x6, x7);
        let w8 = four(texel(at + 32u), which);
        low[8] += dots(w8, x0, x1, x2, x3);
        high[8] += dots(w8, x4, x5, x6, x7);
        let w9 = four(texel(at + 36u), which);
        low[9] += dots(w9, x0, x1, x2, x3);
        high[9] += dots(w9, x4, x5, x6, x7);
        let w10 = four(texel(at + 40u), which);
        low[10] += dots(w10, x0, x1, x2, x3);
        high[10] += dots(w10, x4, x5, x6, x7);
        let w11 = four(texel(at + 44u), which);
        low[11] += dots(w11, x0, x1, x2, x3);
        high[11] += dots(w11, x4, x5, x6, x7);
        let w12 = four(texel(at + 48u), which);
        low[12] += dots(w12, x0, x1, x2, x3);
        high[12] += dots(w12, x4, x5, x6, x7);
        let w13 = four(texel(at + 52u), which);
        low[13] += dots(w13, x0, x1, x2, x3);
        high[13] += dots(w13, x4, x5, x6, x7);
        let w14 = four(texel(at + 56u), which);
        low[14] += dots(w14, x0, x1, x2, x3);
        high[14] += dots(w14, x4, x5, x6, x7);
        let w15 = four(texel(at + 60u), which);
        low[15] += dots(w15, x0, x1, x2, x3);
        high[15] += dots(w15, x4, x5, x6, x7);
    }
    // Written in a loop: copies of what follows a sum would take long to compile.
    for (var i = 0u; i < 8u && row + i < all; i++) {
        for (var j = 0u; j < 16u; j++) {
            let output = first_output + 4u * j;
            var scale = params.scale;
            if FORMAT == 3u {
                scale *= output_scale(output);
            }
            let sums = select(low[j], high[j], i >= 4u);
            finish(row + i, output, sums[i % 4u], scale);
        }
    }
}
