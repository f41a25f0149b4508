// out = scale * x weightᵀ + bias, and what follows, for one row or a few, on hardware: thousands of lanes
// have to be waiting for memory at once, so a workgroup makes few outputs and its lanes share the sum
// over inputs. A lane reads four neighbouring outputs at a time.
//
// Folded in where the graph has them: the norm of x before, the picking of its rows, then activation,
// product with another value, residual sum, and the storing of keys and values into a cache.

override LANES: u32 = 256;
override AHEAD: u32 = 1; // fours of inputs whose weights a lane asks for before it uses the first: 1, 2, 4 or 8
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
const FOURS = 4u; // fours of outputs that a workgroup makes, a power of two

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
@group(0) @binding(3) var<storage, read> weight: array<vec4<u32>>; // [outputs / tile][inputs / P][tile], P inputs a word; int8: then [outputs] scales
@group(0) @binding(4) var<storage, read> vectors: array<f32>;
@group(0) @binding(5) var<storage, read> multiply: array<f32>; // [row][multiply_stride]
@group(0) @binding(6) var<storage, read> add: array<f32>; // [row][add_stride]
@group(0) @binding(7) var<storage, read_write> out: array<f32>; // [row][stride]
@group(1) @binding(0) var<uniform> shape: Shape;
@group(1) @binding(1) var<storage, read_write> cache: array<f32>; // [key|value][variant][kv_head][slot][head_width]

var<workgroup> sums: array<vec4<f32>, LANES>;

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

fn vector(at: u32, k: u32) -> vec4<f32> {
    let i = at + 4u * k;
    return vec4(vectors[i], vectors[i + 1u], vectors[i + 2u], vectors[i + 3u]);
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

// The words of four inputs of four outputs, `steps` vectors of them, that begin there.
fn words(at: u32) -> array<vec4<u32>, 4> {
    let n = tile() / 4u;
    switch FORMAT {
        case 1u, 2u: { return array(weight[at], weight[at + n], vec4(0u), vec4(0u)); }
        case 3u: { return array(weight[at], vec4(0u), vec4(0u), vec4(0u)); }
        default: { return array(weight[at], weight[at + n], weight[at + 2u * n], weight[at + 3u * n]); }
    }
}

// The same as numbers: four inputs (columns) of four outputs (rows of the matrix).
fn unpacked(words: array<vec4<u32>, 4>) -> mat4x4<f32> {
    switch FORMAT {
        case 1u: {
            let low = words[0];
            let high = words[1];
            return transpose(mat4x4(
                vec4(unpack2x16float(low.x), unpack2x16float(high.x)),
                vec4(unpack2x16float(low.y), unpack2x16float(high.y)),
                vec4(unpack2x16float(low.z), unpack2x16float(high.z)),
                vec4(unpack2x16float(low.w), unpack2x16float(high.w)),
            ));
        }
        case 2u: {
            let low = words[0];
            let high = words[1];
            return mat4x4(
                bitcast<vec4<f32>>(low << vec4(16u)),
                bitcast<vec4<f32>>(low & vec4(0xffff0000u)),
                bitcast<vec4<f32>>(high << vec4(16u)),
                bitcast<vec4<f32>>(high & vec4(0xffff0000u)),
            );
        }
        case 3u: {
            let four = bitcast<vec4<i32>>(words[0]);
            return mat4x4(
                vec4<f32>((four << vec4(24u)) >> vec4(24u)),
                vec4<f32>((four << vec4(16u)) >> vec4(24u)),
                vec4<f32>((four << vec4(8u)) >> vec4(24u)),
                vec4<f32>(four >> vec4(24u)),
            );
        }
        default: {
            return mat4x4(
                bitcast<vec4<f32>>(words[0]),
                bitcast<vec4<f32>>(words[1]),
                bitcast<vec4<f32>>(words[2]),
                bitcast<vec4<f32>>(words[3]),
            );
        }
    }
}

// sum + w * x, each product added as it is made: a matrix product would be made first and then added.
fn added(sum: vec4<f32>, w: mat4x4<f32>, x: vec4<f32>) -> vec4<f32> {
    let two = fma(w[1], vec4(x.y), fma(w[0], vec4(x.x), sum));
    return fma(w[3], vec4(x.w), fma(w[2], vec4(x.z), two));
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

// Sums of all lanes that are a multiple of `apart` (a power of two) from one another, left in sums[..apart].
// By quarters: of barriers it takes half of what halves would.
fn share(lane: u32, mine: vec4<f32>, apart: u32) {
    sums[lane] = mine;
    workgroupBarrier();
    var other = LANES / 4u;
    for (; other >= apart; other /= 4u) {
        if lane < other {
            sums[lane] += sums[lane + other] + (sums[lane + 2u * other] + sums[lane + 3u * other]);
        }
        workgroupBarrier();
    }
    // What is left may be twice as many.
    if 2u * other >= apart {
        if lane < 2u * other {
            sums[lane] += sums[lane + 2u * other];
        }
        workgroupBarrier();
    }
}

fn total(lane: u32, mine: vec4<f32>) -> f32 {
    share(lane, mine, 1u);
    let sum = sums[0];
    // It has been read when the next sums are written.
    workgroupBarrier();
    return sum.x + sum.y + sum.z + sum.w;
}

// Four inputs from x, normalised; past the end the last ones, which meet zeros.
fn normed(at: u32, place: u32, count: u32, mean: f32, factor: f32) -> vec4<f32> {
    let k = min(place, count - 1u);
    var value = input(at + k);
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

// The words of the k-th four of inputs; zeros past the end.
fn asked(at: u32, k: u32, count: u32) -> array<vec4<u32>, 4> {
    if k >= count {
        return array<vec4<u32>, 4>();
    }
    return words(at + k * steps() * tile() / 4u);
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = group.y;
    var x_row = row;
    if params.picks == 2u {
        let picked = play[PLAY_PICKED];
        x_row = row / picked * play[PLAY_ROWS] + play[play[PLAY_PICKS] + row % picked];
    }
    let first = x_row * params.x_stride + params.x_start;
    let count = (params.inputs + 3u) / 4u;

    var mean = 0.0;
    var factor = 1.0;
    if NORM != 0u {
        // Which of the last four are inputs, and not padding.
        let rest = vec4(0u, 1u, 2u, 3u) < vec4(params.inputs - 4u * (count - 1u));
        let length = f32(params.inputs);
        if NORM == 1u {
            var sum = vec4(0.0);
            for (var k = lane; k < count; k += LANES) {
                sum += select(vec4(0.0), input(first + k), rest | vec4(k + 1u < count));
            }
            mean = total(lane, sum) / length;
        }
        var square = vec4(0.0);
        for (var k = lane; k < count; k += LANES) {
            let d = select(vec4(0.0), input(first + k) - mean, rest | vec4(k + 1u < count));
            square += d * d;
        }
        factor = inverseSqrt(total(lane, square) / length + params.epsilon);
    }

    if ADD_NORM != 0u {
        let start = row * params.add_stride + params.add_start;
        let length = f32(params.add_width);
        if ADD_NORM == 1u {
            var sum = 0.0;
            for (var k = lane; k < params.add_width; k += LANES) {
                sum += add[start + k];
            }
            add_mean = total(lane, vec4(sum, 0.0, 0.0, 0.0)) / length;
        }
        var square = 0.0;
        for (var k = lane; k < params.add_width; k += LANES) {
            let d = add[start + k] - add_mean;
            square += d * d;
        }
        add_factor = inverseSqrt(total(lane, vec4(square, 0.0, 0.0, 0.0)) / length + params.add_epsilon);
    }

    let apart = LANES / FOURS; // lanes that share a sum
    let first_output = group.x * 4u * FOURS;
    let at = place_of(first_output + lane % FOURS * 4u);
    var a = vec4(0.0);
    var b = vec4(0.0);
    for (var k = lane / FOURS; k < count; k += AHEAD * apart) {
        let w0 = asked(at, k, count);
        var w1 = array<vec4<u32>, 4>();
        var w2 = w1;
        var w3 = w1;
        var w4 = w1;
        var w5 = w1;
        var w6 = w1;
        var w7 = w1;
        if AHEAD > 1u {
            w1 = asked(at, k + apart, count);
        }
        if AHEAD > 2u {
            w2 = asked(at, k + 2u * apart, count);
            w3 = asked(at, k + 3u * apart, count);
        }
        if AHEAD > 4u {
            w4 = asked(at, k + 4u * apart, count);
            w5 = asked(at, k + 5u * apart, count);
            w6 = asked(at, k + 6u * apart, count);
            w7 = asked(at, k + 7u * apart, count);
        }
        a = added(a, unpacked(w0), normed(first, k, count, mean, factor));
        if AHEAD > 1u {
            b = added(b, unpacked(w1), normed(first, k + apart, count, mean, factor));
        }
        if AHEAD > 2u {
            a = added(a, unpacked(w2), normed(first, k + 2u * apart, count, mean, factor));
            b = added(b, unpacked(w3), normed(first, k + 3u * apart, count, mean, factor));
        }
        if AHEAD > 4u {
            a = added(a, unpacked(w4), normed(first, k + 4u * apart, count, mean, factor));
            b = added(b, unpacked(w5), normed(first, k + 5u * apart, count, mean, factor));
            a = added(a, unpacked(w6), normed(first, k + 6u * apart, count, mean, factor));
            b = added(b, unpacked(w7), normed(first, k + 7u * apart, count, mean, factor));
        }
    }
    share(lane, a + b, FOURS);
    let output = first_output + lane;
    if lane < 4u * FOURS {
        finish(row, output, sums[lane / 4u][lane % 4u], scale_of(output));
    }
}
