// out = activation(a), activation(a) + factor * b or activation(a) * b, cell by cell.
//
// One invocation a cell of out, padding included (it becomes 0).

override LANES: u32 = 64;

// Words of the play's header.
const PLAY_ROWS = 0u;
const PLAY_VARIANTS = 1u;
const PLAY_PICKED = 2u;

struct Params {
    width: u32,
    stride: u32, // of out
    a_stride: u32,
    a_start: u32,
    b_stride: u32,
    b_start: u32,
    picked: u32, // 1: a row for each picked row
    activation: u32, // 0: none, 1: relu, 2: gelu, 3: gelu by tanh, 4: quick gelu, 5: silu, 6: tanh, 7: sigmoid
    pair: u32, // 0: nothing, 1: + factor * b, 2: * b
    factor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> play: array<u32>;
@group(0) @binding(2) var<storage, read> a: array<f32>; // [row][a_stride]
@group(0) @binding(3) var<storage, read> b: array<f32>; // [row][b_stride]
@group(0) @binding(4) var<storage, read_write> out: array<f32>; // [row][stride]

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

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let rows = play[PLAY_VARIANTS] * select(play[PLAY_ROWS], play[PLAY_PICKED], params.picked == 1u);
    let cell = (group.y * groups.x + group.x) * LANES + lane;
    let row = cell / params.stride;
    let column = cell % params.stride;
    if row >= rows {
        return;
    }
    var value = 0.0;
    if column < params.width {
        value = activate(a[row * params.a_stride + params.a_start + column], params.activation);
        let at = row * params.b_stride + params.b_start + column;
        if params.pair == 1u {
            value += params.factor * b[at];
        } else if params.pair == 2u {
            value *= b[at];
        }
    }
    out[cell] = value;
}
