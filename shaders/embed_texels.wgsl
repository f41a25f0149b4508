// out[row][c] = sum of scale_i * table_i[index_i(row)][c] over one to four tables.
//
// For software adapters, where tables are textures: an invocation four cells of out, padding included (it becomes 0).
// A table [entries, width] lies as a matmul's weight does: texel by texel [entries / TILE][width / (4 P)][TILE], P
// values a word (f32: 1, f16 and bf16: 2, int8: 4; then entries scales).

override LANES: u32 = 64;

const INT8 = 3u;

const TILE = 64u; // entries whose texels lie together
const ACROSS = 11u; // bits that count the texels of a row of a texture

// Words of the play's header.
const PLAY_ROWS = 0u;
const PLAY_VARIANTS = 1u;
const PLAY_IDS = 7u;
const PLAY_SEGMENTS = 8u;
const PLAY_POSITIONS = 11u;

struct Table {
    entries: u32,
    index: u32, // 0: token, 1: segment, 2 + s: position in stream s
    format: u32,
    scale: f32,
}

struct Params {
    width: u32,
    stride: u32, // of out
    tables: u32,
    first: u32, // entry of the whole table that table 0 begins with, where it is a part of it
    table: array<Table, 4>,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> play: array<u32>;
@group(0) @binding(2) var table0: texture_2d<u32>;
@group(0) @binding(3) var table1: texture_2d<u32>;
@group(0) @binding(4) var table2: texture_2d<u32>;
@group(0) @binding(5) var table3: texture_2d<u32>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>; // [variant * row][stride]

// Fours of columns that a texel has.
fn fours_of(format: u32) -> u32 {
    switch format {
        case 1u, 2u: { return 2u; }
        case 3u: { return 4u; }
        default: { return 1u; }
    }
}

fn texel_of(table: u32, at: u32) -> vec4<u32> {
    let place = vec2(at & ((1u << ACROSS) - 1u), at >> ACROSS);
    switch table {
        case 0u: { return textureLoad(table0, place, 0); }
        case 1u: { return textureLoad(table1, place, 0); }
        case 2u: { return textureLoad(table2, place, 0); }
        default: { return textureLoad(table3, place, 0); }
    }
}

// The columns of one of a texel's fours.
fn four_of(texel: vec4<u32>, which: u32, format: u32) -> vec4<f32> {
    switch format {
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

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let rows = play[PLAY_ROWS];
    let cell = 4u * ((group.y * groups.x + group.x) * LANES + lane);
    let row = cell / params.stride; // variant * rows + row
    let column = cell % params.stride;
    if row >= rows * play[PLAY_VARIANTS] {
        return;
    }
    var sum = vec4(0.0);
    for (var i = 0u; i < params.tables; i++) {
        let table = params.table[i];
        var entry: u32;
        if table.index == 0u {
            entry = play[play[PLAY_IDS] + row];
        } else if table.index == 1u {
            entry = play[play[PLAY_SEGMENTS] + row];
        } else {
            entry = play[play[PLAY_POSITIONS] + (table.index - 2u) * rows + row % rows];
        }
        if i == 0u {
            // Tokens of another part are written by another dispatch.
            entry -= params.first;
            if entry >= table.entries {
                return;
            }
        }
        let fours = fours_of(table.format);
        let four = column / 4u;
        let depth = ((params.width + 3u) / 4u + fours - 1u) / fours;
        let alone = table.entries == 1u && (i > 0u || params.first == 0u);
        let tile = select(min((table.entries + 3u) / 4u * 4u, TILE), 1u, alone);
        let at = (entry / tile * depth + four / fours) * tile + entry % tile;
        var value = four_of(texel_of(i, at), four % fours, table.format);
        if table.format == INT8 {
            let scales = (table.entries + tile - 1u) / tile * tile * depth;
            value *= bitcast<f32>(texel_of(i, scales + entry / 4u)[entry % 4u]);
        }
        sum += table.scale * value;
    }
    out[cell] = sum.x;
    out[cell + 1u] = sum.y;
    out[cell + 2u] = sum.z;
    out[cell + 3u] = sum.w;
}
