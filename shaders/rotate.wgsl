// Rotary positions (Su et al. 2021): in each head, columns start .. start + dims turn in pairs by
// position * frequency; the others are copied.
//
// One invocation a cell of out, padding included (it becomes 0).

override LANES: u32 = 64;

// Words of the play's header.
const PLAY_ROWS = 0u;
const PLAY_VARIANTS = 1u;
const PLAY_POSITIONS = 11u;

struct Params {
    width: u32,
    stride: u32, // of out
    x_stride: u32,
    x_start: u32,
    head_width: u32,
    start: u32,
    dims: u32,
    neighbours: u32, // 1: columns 2 i and 2 i + 1 pair, 0: i and i + dims / 2
    stream: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> play: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<f32>; // [row][x_stride]
@group(0) @binding(3) var<storage, read> frequencies: array<f32>; // [dims / 2]
@group(0) @binding(4) var<storage, read_write> out: array<f32>; // [row][stride]

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

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let rows = play[PLAY_ROWS];
    let cell = (group.y * groups.x + group.x) * LANES + lane;
    let row = cell / params.stride;
    let column = cell % params.stride;
    if row >= rows * play[PLAY_VARIANTS] {
        return;
    }
    if column >= params.width {
        out[cell] = 0.0;
        return;
    }
    let source = row * params.x_stride + params.x_start + column;
    let c = column % params.head_width;
    if c < params.start || c >= params.start + params.dims {
        out[cell] = x[source];
        return;
    }
    let i = c - params.start;
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
    let position = play[play[PLAY_POSITIONS] + params.stream * rows + row % rows];
    let t = turn(position, frequencies[pair]);
    if second {
        out[cell] = x[source] * t.x + x[source - step] * t.y;
    } else {
        out[cell] = x[source] * t.x - x[source + step] * t.y;
    }
}
