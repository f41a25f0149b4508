// out = scale * x weightᵀ + bias, and what follows, for many rows, on hardware: a workgroup makes a tile of
// ROWS x OUTPUTS. Its lanes bring DEPTH fours of inputs at a time into workgroup memory, x and the weight
// (unpacked), both input by input, and each makes BLOCK x BLOCK sums from there in registers: every number
// that is read from memory serves many lanes, every number read from workgroup memory BLOCK sums.
//
// Folded in where the graph has them: the picking of x's rows, then activation, product with
// another value, residual sum, and the storing of keys and values into a cache.

override LANES: u32 = 256; // ROWS / BLOCK * OUTPUTS / BLOCK, whole 32s
override ROWS: u32 = 128;
override OUTPUTS: u32 = 128;
override DEPTH: u32 = 4;
override BLOCK: u32 = 8; // 8 or 4
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
@group(0) @binding(3) var<storage, read> weight: array<vec4<u32>>; // [outputs / tile][inputs / P][tile], P inputs a word; int8: then [outputs] scales
@group(0) @binding(4) var<storage, read> vectors: array<f32>;
@group(0) @binding(5) var<storage, read> multiply: array<f32>; // [row][multiply_stride]
@group(0) @binding(6) var<storage, read> add: array<f32>; // [row][add_stride]
@group(0) @binding(7) var<storage, read_write> out: array<f32>; // [row][stride]
@group(1) @binding(0) var<uniform> shape: Shape;
@group(1) @binding(1) var<storage, read_write> cache: array<f32>; // [key|value][variant][kv_head][slot][head_width]

var<workgroup> some_x: array<vec4<f32>, DEPTH * ROWS>; // [input][four of rows, swizzled]
var<workgroup> some_weights: array<vec4<f32>, DEPTH * OUTPUTS>; // [input][four of outputs]

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
    return min((params.outputs + 3u) / 4u * 4u, TILE);
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

// The words of four outputs lie side by side, and so are bound as one vector.
fn scale_of(output: u32) -> f32 {
    if FORMAT != 3u {
        return params.scale;
    }
    let at = scale_at(output);
    return params.scale * bitcast<f32>(weight[at / 4u][at % 4u]);
}

// Vectors of words of one input or, packed, of several, and how many of them hold four inputs.
fn steps() -> u32 {
    switch FORMAT {
        case 1u, 2u: { return 2u; }
        case 3u: { return 1u; }
        default: { return 4u; }
    }
}

// Where the words of four neighbouring outputs begin; outputs past the end repeat the last four.
fn place_of(output: u32) -> u32 {
    let o = min(output, params.outputs - 1u) / 4u * 4u;
    let t = tile();
    let words = (params.inputs + 3u) / 4u * steps();
    return o / t * (words * t / 4u) + o % t / 4u;
}

// Four inputs (columns) of four outputs (rows of the matrix), whose words begin there.
fn columns(at: u32) -> mat4x4<f32> {
    let n = tile() / 4u;
    switch FORMAT {
        case 1u: {
            let low = weight[at];
            let high = weight[at + n];
            return transpose(mat4x4(
                vec4(unpack2x16float(low.x), unpack2x16float(high.x)),
                vec4(unpack2x16float(low.y), unpack2x16float(high.y)),
                vec4(unpack2x16float(low.z), unpack2x16float(high.z)),
                vec4(unpack2x16float(low.w), unpack2x16float(high.w)),
            ));
        }
        case 2u: {
            let low = weight[at];
            let high = weight[at + n];
            return mat4x4(
                bitcast<vec4<f32>>(low << vec4(16u)),
                bitcast<vec4<f32>>(low & vec4(0xffff0000u)),
                bitcast<vec4<f32>>(high << vec4(16u)),
                bitcast<vec4<f32>>(high & vec4(0xffff0000u)),
            );
        }
        case 3u: {
            let four = bitcast<vec4<i32>>(weight[at]);
            return mat4x4(
                vec4<f32>((four << vec4(24u)) >> vec4(24u)),
                vec4<f32>((four << vec4(16u)) >> vec4(24u)),
                vec4<f32>((four << vec4(8u)) >> vec4(24u)),
                vec4<f32>(four >> vec4(24u)),
            );
        }
        default: {
            return mat4x4(
                bitcast<vec4<f32>>(weight[at]),
                bitcast<vec4<f32>>(weight[at + n]),
                bitcast<vec4<f32>>(weight[at + 2u * n]),
                bitcast<vec4<f32>>(weight[at + 3u * n]),
            );
        }
    }
}

// Sums of four outputs of four rows (columns), and what four inputs add to them, each product as it is
// made: a matrix product would be made first and then added.
fn grown(sums: mat4x4<f32>, w: mat4x4<f32>, x: mat4x4<f32>) -> mat4x4<f32> {
    return mat4x4(
        fma(w[3], vec4(x[3].x), fma(w[2], vec4(x[2].x), fma(w[1], vec4(x[1].x), fma(w[0], vec4(x[0].x), sums[0])))),
        fma(w[3], vec4(x[3].y), fma(w[2], vec4(x[2].y), fma(w[1], vec4(x[1].y), fma(w[0], vec4(x[0].y), sums[1])))),
        fma(w[3], vec4(x[3].z), fma(w[2], vec4(x[2].z), fma(w[1], vec4(x[1].z), fma(w[0], vec4(x[0].z), sums[2])))),
        fma(w[3], vec4(x[3].w), fma(w[2], vec4(x[2].w), fma(w[1], vec4(x[1].w), fma(w[0], vec4(x[0].w), sums[3])))),
    );
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

// Four inputs (columns) of four rows of x out of memory. Rows past the end repeat the last one and are not
// written, inputs past the end are zeros.
fn brought_x(row: u32, k: u32, all: u32) -> mat4x4<f32> {
    if k >= (params.inputs + 3u) / 4u {
        return mat4x4<f32>();
    }
    let at = params.x_start + k;
    return transpose(mat4x4(
        input(x_row(min(row, all - 1u)) * params.x_stride + at),
        input(x_row(min(row + 1u, all - 1u)) * params.x_stride + at),
        input(x_row(min(row + 2u, all - 1u)) * params.x_stride + at),
        input(x_row(min(row + 3u, all - 1u)) * params.x_stride + at),
    ));
}

// Four inputs of four outputs out of memory; so with what is past the end.
fn brought_weights(output: u32, k: u32) -> mat4x4<f32> {
    if k >= (params.inputs + 3u) / 4u {
        return mat4x4<f32>();
    }
    return columns(place_of(output) + k * steps() * tile() / 4u);
}

// Where a four of rows lies among the others of the k-th four of inputs. Lanes side by side bring the
// fours of inputs of one row, and would all write to the same bank of workgroup memory.
fn swizzled(four: u32, k: u32) -> u32 {
    return four ^ (k * (8u / DEPTH) % (ROWS / 4u));
}

// Four inputs of four rows, and of four outputs, out of workgroup memory.
fn held_x(at: u32) -> mat4x4<f32> {
    let n = ROWS / 4u;
    return mat4x4(some_x[at], some_x[at + n], some_x[at + 2u * n], some_x[at + 3u * n]);
}

fn held_weights(at: u32) -> mat4x4<f32> {
    let n = OUTPUTS / 4u;
    return mat4x4(some_weights[at], some_weights[at + n], some_weights[at + 2u * n], some_weights[at + 3u * n]);
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let all = select(play[PLAY_ROWS], play[PLAY_PICKED], params.picks != 0u) * play[PLAY_VARIANTS];
    let first_row = group.y * ROWS;
    let first_output = group.x * OUTPUTS;
    let count = (params.inputs + 3u) / 4u;

    // In fours: rows and outputs of the tile, and lanes below and beside each other.
    let rows = ROWS / 4u;
    let outputs = OUTPUTS / 4u;
    let down = ROWS / BLOCK;
    let across = OUTPUTS / BLOCK;

    // Where this lane's sums are in the tile. Of 32 lanes, which run together, eight lie side by side
    // and four below each other: they read the fewest different numbers at a time. The last remainder
    // changes nothing, and tells a compiler that bounds are kept.
    let turn = lane / 32u;
    let column = lane % 8u + turn % (across / 8u) * 8u;
    let line = lane / 8u % 4u + turn / (across / 8u) % (down / 4u) * 4u;

    // Sums of four rows by four outputs: of `line` and `column` and, in blocks of 8, of those
    // `across` further right, `down` further below, and both.
    var sums = mat4x4<f32>();
    var right = mat4x4<f32>();
    var below = mat4x4<f32>();
    var both = mat4x4<f32>();
    for (var start = 0u; start < count; start += DEPTH) {
        for (var i = lane; i < DEPTH * (rows + outputs); i += LANES) {
            if i < DEPTH * rows {
                let k = i % DEPTH;
                let some = brought_x(first_row + i / DEPTH * 4u, start + k, all);
                let to = 4u * k * rows + swizzled(i / DEPTH, k);
                some_x[to] = some[0];
                some_x[to + rows] = some[1];
                some_x[to + 2u * rows] = some[2];
                some_x[to + 3u * rows] = some[3];
            } else {
                let k = (i - DEPTH * rows) / outputs;
                let four = (i - DEPTH * rows) % outputs;
                let some = brought_weights(first_output + four * 4u, start + k);
                let to = 4u * k * outputs + four;
                some_weights[to] = some[0];
                some_weights[to + outputs] = some[1];
                some_weights[to + 2u * outputs] = some[2];
                some_weights[to + 3u * outputs] = some[3];
            }
        }
        workgroupBarrier();
        for (var i = 0u; i < DEPTH; i++) {
            let k = i % DEPTH; // likewise
            let x_at = 4u * k * rows + swizzled(line, k);
            let weights_at = 4u * k * outputs + column;
            let x = held_x(x_at);
            let w = held_weights(weights_at);
            sums = grown(sums, w, x);
            if BLOCK == 8u {
                let y = held_x(x_at + down);
                let v = held_weights(weights_at + across);
                right = grown(right, v, x);
                below = grown(below, w, y);
                both = grown(both, v, y);
            }
        }
        // The next turn writes what this one still reads.
        workgroupBarrier();
    }

    // Written in a loop: 64 copies of what follows a sum would take long to compile.
    for (var i = 0u; i < BLOCK; i++) {
        let row = first_row + 4u * (line + i / 4u * down) + i % 4u;
        if row >= all {
            continue;
        }
        var a = sums;
        var b = right;
        if i >= 4u {
            a = below;
            b = both;
        }
        for (var j = 0u; j < BLOCK; j++) {
            let output = first_output + 4u * (column + j / 4u * across) + j % 4u;
            finish(row, output, select(a[i % 4u][j % 4u], b[i % 4u][j % 4u], j >= 4u), scale_of(output));
        }
    }
}
