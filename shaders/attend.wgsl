// softmax(scale * q kᵀ + bias, where visible) v * gate, over one layer of a site's cache, in one
// dispatch (Vaswani et al. 2017; keys in tiles as in Milakov & Gimelshein 2018).
//
// One workgroup a (row, head, variant). Over each tile of keys: a lane makes the scores of its keys,
// all agree on the largest, a lane makes the exponentials of its keys, then a lane sums its columns.
// A hidden key is skipped by its bit: it touches neither the largest score nor any sum. A row that
// sees nothing gives 0. What is watched is written straight to the outbox that is read back.

override LANES: u32 = 64;
override PARTS: u32 = 1; // lanes that share a column's sum; if several, they agree by halves, not one by one
override BIAS: u32 = 0;
override BIAS_FORMAT: u32 = 0; // 0: f32, 1: f16, 2: bf16, 3: int8

const TILE = 2048u;
const BIAS_TILE = 64u; // heads whose words lie together
const NONE = 0xffffffffu;

// Words of the play's header.
const PLAY_ROWS = 0u;
const PLAY_KEYS = 4u; // a word a site
const PLAY_SLOTS = 9u;
const PLAY_GATES = 13u; // a word a site
const PLAY_PLANES = 16u; // a word a site
const PLAY_TABLE = 19u; // a word a site
const PLAY_WORDS = 22u; // a word a site
const PLAY_WATCH = 25u;

struct Params {
    site: u32,
    layer: u32,
    layers: u32, // of the site's cache: of its gates and plane table
    heads: u32,
    group: u32, // query heads that share a key/value head
    stride: u32, // of out
    q_stride: u32,
    q_start: u32,
    reach: u32, // the bias has 2 * reach - 1 columns
    watch: u32, // the number of this attention in the watch table
    scale: f32,
}

struct Shape {
    variants: u32,
    kv_heads: u32,
    slots: u32,
    head_width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> play: array<u32>;
@group(0) @binding(2) var<storage, read> queries: array<f32>; // [row][q_stride]
@group(0) @binding(3) var<storage, read> bias: array<u32>; // [heads / tile][(2 * reach - 1) / P][tile], P columns a word
@group(0) @binding(4) var<storage, read_write> out: array<f32>; // [row][stride]
@group(0) @binding(5) var<storage, read_write> outbox: array<f32>;
@group(1) @binding(0) var<uniform> shape: Shape;
@group(1) @binding(1) var<storage, read_write> cache: array<f32>; // [key|value][variant][kv_head][slot][head_width]

var<workgroup> cells: array<f32, TILE>; // scores of the tile, then their exponentials
var<workgroup> largest: array<f32, LANES>;
var<workgroup> seen: array<u32, LANES>;
var<workgroup> sums: array<f32, LANES>;

fn visible(mask: u32, key: u32) -> bool {
    return ((play[mask + key / 32u] >> (key % 32u)) & 1u) == 1u;
}

// The bias of a head at a distance, clamped to the table's ends.
fn bias_of(head: u32, key: u32, slot: u32) -> f32 {
    let columns = 2u * params.reach - 1u;
    let column = u32(clamp(i32(key) - i32(slot) + i32(params.reach) - 1, 0, i32(columns) - 1));
    let tile = select(min((params.heads + 3u) / 4u * 4u, BIAS_TILE), 1u, params.heads == 1u);
    var packed = 1u;
    switch BIAS_FORMAT {
        case 1u, 2u: { packed = 2u; }
        case 3u: { packed = 4u; }
        default: {}
    }
    let words = (columns + 3u) / 4u * 4u / packed;
    let word = bias[(head / tile * words + column / packed) * tile + head % tile];
    switch BIAS_FORMAT {
        case 1u: {
            let pair = unpack2x16float(word);
            return select(pair.x, pair.y, (column & 1u) == 1u);
        }
        case 2u: {
            return bitcast<f32>(select(word << 16u, word & 0xffff0000u, (column & 1u) == 1u));
        }
        case 3u: {
            let padded = (params.heads + tile - 1u) / tile * tile;
            let scale = bitcast<f32>(bias[words * padded + head]);
            return scale * f32(bitcast<i32>(word << (24u - 8u * (column & 3u))) >> 24u);
        }
        default: {
            return bitcast<f32>(word);
        }
    }
}

// A query times a key, four columns a turn.
fn product(q: u32, k: u32, width: u32) -> f32 {
    var fours = vec4(0.0);
    var c = 0u;
    for (; c + 4u <= width; c += 4u) {
        let a = vec4(queries[q + c], queries[q + c + 1u], queries[q + c + 2u], queries[q + c + 3u]);
        let b = vec4(cache[k + c], cache[k + c + 1u], cache[k + c + 2u], cache[k + c + 3u]);
        fours += a * b;
    }
    var sum = fours.x + fours.y + fours.z + fours.w;
    for (; c < width; c++) {
        sum += queries[q + c] * cache[k + c];
    }
    return sum;
}

// Where a watch record [base, heads, rows, head table, row table] puts this row of this head.
fn place(record: u32, variant: u32, head: u32, row: u32, keys: u32) -> u32 {
    let h = play[play[record + 4u] + head];
    let r = play[play[record + 5u] + row];
    if h == NONE || r == NONE {
        return NONE;
    }
    return play[record + 1u] + ((variant * play[record + 2u] + h) * play[record + 3u] + r) * keys;
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = group.x;
    let head = group.y;
    let variant = group.z;
    let rows = play[PLAY_ROWS];
    let keys = play[PLAY_KEYS + params.site];
    let slot = play[play[PLAY_SLOTS] + row];
    let width = shape.head_width;

    // This head's plane of the mask, this row's words in it.
    let index = (variant * params.layers + params.layer) * params.heads + head;
    let plane = play[play[PLAY_TABLE + params.site] + index];
    let mask = play[PLAY_PLANES + params.site] + (plane * rows + row) * play[PLAY_WORDS + params.site];

    // The first key and value of this head in the cache.
    let half = shape.variants * shape.kv_heads * shape.slots * width;
    let k_first = (variant * shape.kv_heads + head / params.group) * shape.slots * width;
    let v_first = half + k_first;
    let q = (variant * rows + row) * params.q_stride + params.q_start + head * width;

    // The records of what is watched of this attention: a count, then six words each.
    let watch = play[play[PLAY_WATCH] + params.watch];
    var records = 0u;
    if watch != 0u {
        records = play[watch];
    }

    var any = false;
    var top = 0.0; // largest score so far
    var total = 0.0; // sum of exponentials so far
    var sum = vec4(0.0); // of columns lane, lane + side, ... over this lane's keys
    let side = LANES / PARTS;
    let column = vec4(lane % side) + vec4(0u, 1u, 2u, 3u) * side;
    let share = lane / side; // of the keys

    for (var start = 0u; start < keys; start += TILE) {
        let end = min(start + TILE, keys);
        // Lanes whose keys this tile has, or the one that has it from all.
        let lanes = select(min(LANES, end - start), 1u, PARTS > 1u);

        var mine = 0.0;
        var saw = false;
        for (var key = start + lane; key < end; key += LANES) {
            if visible(mask, key) {
                var score = params.scale * product(q, k_first + key * width, width);
                if BIAS == 1u {
                    score += bias_of(head, key, slot);
                }
                cells[key - start] = score;
                mine = select(score, max(mine, score), saw);
                saw = true;
            }
            for (var i = 0u; i < records; i++) {
                let to = place(watch + 1u + 6u * i, variant, head, row, keys);
                if to != NONE {
                    var score = 0.0;
                    if visible(mask, key) {
                        score = cells[key - start];
                    }
                    outbox[to + key] = score;
                }
            }
        }
        largest[lane] = mine;
        seen[lane] = u32(saw);
        workgroupBarrier();
        if PARTS > 1u {
            for (var other = LANES / 2u; other > 0u; other /= 2u) {
                if lane < other && seen[lane + other] == 1u {
                    let theirs = largest[lane + other];
                    largest[lane] = select(theirs, max(largest[lane], theirs), seen[lane] == 1u);
                    seen[lane] = 1u;
                }
                workgroupBarrier();
            }
        }

        let before = top;
        let had = any;
        for (var i = 0u; i < lanes; i++) {
            if seen[i] == 1u {
                top = select(largest[i], max(top, largest[i]), any);
                any = true;
            }
        }
        var part = 0.0;
        for (var key = start + lane; key < end; key += LANES) {
            var e = 0.0;
            if visible(mask, key) {
                e = exp(cells[key - start] - top);
            }
            cells[key - start] = e;
            part += e;
        }
        sums[lane] = part;
        workgroupBarrier();
        if PARTS > 1u {
            for (var other = LANES / 2u; other > 0u; other /= 2u) {
                if lane < other {
                    sums[lane] += sums[lane + other];
                }
                workgroupBarrier();
            }
        }

        var shrink = 0.0;
        if had {
            shrink = exp(before - top);
        }
        total *= shrink;
        for (var i = 0u; i < lanes; i++) {
            total += sums[i];
        }
        sum *= shrink;
        if column.x < width {
            for (var key = start + share; key < end; key += PARTS) {
                let e = cells[key - start];
                if e != 0.0 {
                    let v = v_first + key * width;
                    sum.x += e * cache[v + column.x];
                    if column.y < width {
                        sum.y += e * cache[v + column.y];
                        if column.z < width {
                            sum.z += e * cache[v + column.z];
                            if column.w < width {
                                sum.w += e * cache[v + column.w];
                            }
                        }
                    }
                }
            }
        }
        // The next tile writes what this one still reads.
        workgroupBarrier();
    }

    if PARTS > 1u {
        cells[lane] = sum.x;
        cells[lane + LANES] = sum.y;
        cells[lane + 2u * LANES] = sum.z;
        cells[lane + 3u * LANES] = sum.w;
        workgroupBarrier();
        for (var other = LANES / 2u; other >= side; other /= 2u) {
            if lane < other {
                cells[lane] += cells[lane + other];
                cells[lane + LANES] += cells[lane + other + LANES];
                cells[lane + 2u * LANES] += cells[lane + other + 2u * LANES];
                cells[lane + 3u * LANES] += cells[lane + other + 3u * LANES];
            }
            workgroupBarrier();
        }
        sum = vec4(cells[lane], cells[lane + LANES], cells[lane + 2u * LANES], cells[lane + 3u * LANES]);
    }

    // A watched probability was left as a score by the same lane.
    for (var i = 0u; i < records; i++) {
        let record = watch + 1u + 6u * i;
        let to = place(record, variant, head, row, keys);
        if to != NONE && play[record] == 1u {
            for (var key = lane; key < keys; key += LANES) {
                var p = 0.0;
                if visible(mask, key) {
                    p = exp(outbox[to + key] - top) / total;
                }
                outbox[to + key] = p;
            }
        }
    }

    var factor = 0.0;
    if any {
        factor = 1.0 / total;
    }
    let gates = play[PLAY_GATES + params.site];
    if gates != NONE {
        factor *= bitcast<f32>(play[gates + index]);
    }
    let to = (variant * rows + row) * params.stride;
    let at = to + head * width;
    if share == 0u && column.x < width {
        out[at + column.x] = sum.x * factor;
    }
    if share == 0u && column.y < width {
        out[at + column.y] = sum.y * factor;
    }
    if share == 0u && column.z < width {
        out[at + column.z] = sum.z * factor;
    }
    if share == 0u && column.w < width {
        out[at + column.w] = sum.w * factor;
    }
    // The last head also clears the padding of the row.
    if head == params.heads - 1u {
        for (var c = params.heads * width + lane; c < params.stride; c += LANES) {
            out[to + c] = 0.0;
        }
    }
}
