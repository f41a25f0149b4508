// out[row][c] = sum of scale_i * table_i[index_i(row)][c] over one to four tables.
//
// One invocation a cell of out, padding included (it becomes 0).
// A table [entries, width] lies as a matmul's weight does: words[entries / tile][width / P][tile], P values of
// neighbouring columns packed in a word (f32: 1, f16 and bf16: 2, int8: 4; then entries scales).

override LANES: u32 = 64;

const F32 = 0u;
const F16 = 1u;
const BF16 = 2u;
const INT8 = 3u;

const TILE = 64u; // entries whose words lie together

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
@group(0) @binding(2) var<storage, read> table0: array<u32>;
@group(0) @binding(3) var<storage, read> table1: array<u32>;
@group(0) @binding(4) var<storage, read> table2: array<u32>;
@group(0) @binding(5) var<storage, read> table3: array<u32>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>; // [variant * row][stride]

// Column k out of the word that holds it.
fn unpack(word: u32, k: u32, format: u32) -> f32 {
    switch format {
        case F16: {
            let pair = unpack2x16float(word);
            return select(pair.x, pair.y, (k & 1u) == 1u);
        }
        case BF16: {
            return bitcast<f32>(select(word << 16u, word & 0xffff0000u, (k & 1u) == 1u));
        }
        case INT8: {
            return f32(bitcast<i32>(word << (24u - 8u * (k & 3u))) >> 24u);
        }
        default: {
            return bitcast<f32>(word);
        }
    }
}

fn packed(format: u32) -> u32 {
    return select(select(2u, 4u, format == INT8), 1u, format == F32);
}

fn load(table: u32, at: u32) -> u32 {
    switch table {
        case 0u: { return table0[at]; }
        case 1u: { return table1[at]; }
        case 2u: { return table2[at]; }
        default: { return table3[at]; }
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
    let row = cell / params.stride; // variant * rows + row
    let column = cell % params.stride;
    if row >= rows * play[PLAY_VARIANTS] {
        return;
    }
    var sum = 0.0;
    if column < params.width {
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
            let per_word = packed(table.format);
            let alone = table.entries == 1u && (i > 0u || params.first == 0u);
            let tile = select(min((table.entries + 3u) / 4u * 4u, TILE), 1u, alone);
            let words = (params.width + 3u) / 4u * 4u / per_word;
            let word = load(i, (entry / tile * words + column / per_word) * tile + entry % tile);
            var value = unpack(word, column, table.format);
            if table.format == INT8 {
                let scales = words * ((table.entries + tile - 1u) / tile * tile);
                value *= bitcast<f32>(load(i, scales + entry));
            }
            sum += table.scale * value;
        }
    }
    out[cell] = sum;
}
