// softmax(scale * q kᵀ + bias, where visible) v * gate, over one layer of a site's cache, in one
// dispatch, for software adapters: a lane makes a row of a head alone. There is no barrier, for which such
// an adapter would keep all that every lane holds; four keys are read for each column of the query.
//
// Over each tile of keys, from the first that the row sees to the last: scores, their exponentials, then
// the sums of the columns, which wait in out from tile to tile. A hidden key is skipped by its bit: it
// touches neither the largest score nor any sum. A row that sees nothing gives 0. What is watched is
// written straight to the outbox that is read back.

override LANES: u32 = 4; // what such an adapter computes at once
override BIAS: u32 = 0;
override BIAS_FORMAT: u32 = 0; // 0: f32, 1: f16, 2: bf16, 3: int8

const TILE = 64u; // keys
const BIAS_TILE = 64u; // heads whose texels lie together
const ACROSS = 11u; // bits that count the texels of a row of the bias
const NONE = 0xffffffffu;

// Words of the play's header.
const PLAY_ROWS = 0u;
const PLAY_VARIANTS = 1u;
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
@group(0) @binding(3) var bias: texture_2d<u32>; // texel by texel [heads / tile][(2 * reach - 1) / (4 P)][tile], P columns a word
@group(0) @binding(4) var<storage, read_write> out: array<f32>; // [row][stride]
@group(0) @binding(5) var<storage, read_write> outbox: array<f32>;
@group(1) @binding(0) var<uniform> shape: Shape;
@group(1) @binding(1) var<storage, read_write> cache: array<f32>; // [key|value][variant][kv_head][slot][head_width]

// The bias of a head at a distance, clamped to the table's ends.
fn bias_at(head: u32, key: u32, slot: u32) -> f32 {
    let columns = 2u * params.reach - 1u;
    let column = u32(clamp(i32(key) - i32(slot) + i32(params.reach) - 1, 0, i32(columns) - 1));
    let tile = select(min((params.heads + 3u) / 4u * 4u, BIAS_TILE), 1u, params.heads == 1u);
    var fours = 1u;
    switch BIAS_FORMAT {
        case 1u, 2u: { fours = 2u; }
        case 3u: { fours = 4u; }
        default: {}
    }
    let each = 4u * fours;
    let depth = (columns + each - 1u) / each;
    let which = column / 4u % fours;
    let word = bias_texel((head / tile * depth + column / each) * tile + head % tile)[column % 4u];
    switch BIAS_FORMAT {
        case 1u: {
            return unpack2x16float(word >> (16u * which)).x;
        }
        case 2u: {
            return bitcast<f32>((word >> (16u * which)) << 16u);
        }
        case 3u: {
            let scales = (params.heads + tile - 1u) / tile * tile * depth;
            let scale = bitcast<f32>(bias_texel(scales + head / 4u)[head % 4u]);
            return scale * f32(bitcast<i32>(word << (24u - 8u * which)) >> 24u);
        }
        default: {
            return bitcast<f32>(word);
        }
    }
}

fn bias_texel(at: u32) -> vec4<u32> {
    return textureLoad(bias, vec2(at & ((1u << ACROSS) - 1u), at >> ACROSS), 0);
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

// Four columns of a row of the cache; what lies behind its last one is not used.
fn value_columns(at: u32) -> vec4<f32> {
    return vec4(cache[at], cache[at + 1u], cache[at + 2u], cache[at + 3u]);
}

// A query times four keys.
fn products(q: u32, k: vec4<u32>, width: u32) -> vec4<f32> {
    var sum = vec4(0.0);
    for (var c = 0u; c < width; c++) {
        sum += queries[q + c] * vec4(cache[k.x + c], cache[k.y + c], cache[k.z + c], cache[k.w + c]);
    }
    return sum;
}

// Which of four keys from this one, a multiple of 4, the row sees.
fn visible_of_four(mask: u32, key: u32, keys: u32) -> vec4<bool> {
    let bits = play[mask + key / 32u] >> (key % 32u);
    let there = vec4(key) + vec4(0u, 1u, 2u, 3u) < vec4(keys);
    return ((vec4(bits) & vec4(1u, 2u, 4u, 8u)) != vec4(0u)) & there;
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let cell = (group.y * groups.x + group.x) * LANES + lane;
    let rows = play[PLAY_ROWS];
    if cell >= play[PLAY_VARIANTS] * rows * params.heads {
        return;
    }
    let head = cell % params.heads;
    let row = cell / params.heads % rows;
    let variant = cell / params.heads / rows;
    let keys = play[PLAY_KEYS + params.site];
    let slot = play[play[PLAY_SLOTS] + row];
    let width = shape.head_width;

    // This head's plane of the mask, this row's words in it.
    let index = (variant * params.layers + params.layer) * params.heads + head;
    let plane = play[play[PLAY_TABLE + params.site] + index];
    let words = play[PLAY_WORDS + params.site];
    let mask = play[PLAY_PLANES + params.site] + (plane * rows + row) * words;

    // The first key and value of this head in the cache.
    let half = shape.variants * shape.kv_heads * shape.slots * width;
    let k_first = (variant * shape.kv_heads + head / params.group) * shape.slots * width;
    let v_first = half + k_first;
    let q = (variant * rows + row) * params.q_stride + params.q_start + head * width;
    let to = (variant * rows + row) * params.stride;
    let at = to + head * width;

    // The keys from the first to the last that the row sees.
    var first = keys;
    var end = 0u;
    for (var word = 0u; word < words; word++) {
        let bits = play[mask + word];
        if bits != 0u {
            first = min(first, 32u * word + firstTrailingBit(bits));
            end = 32u * word + firstLeadingBit(bits) + 1u;
        }
    }
    end = min(end, keys);
    let any = end > first;

    // The records of what is watched of this attention: a count, then six words each. Hidden keys are told too.
    let watch = play[play[PLAY_WATCH] + params.watch];
    var records = 0u;
    if watch != 0u {
        records = play[watch];
        first = 0u;
        end = keys;
    }
    var gate = 1.0;
    let gates = play[PLAY_GATES + params.site];
    if gates != NONE {
        gate = bitcast<f32>(play[gates + index]);
    }

    var top = 0.0; // largest score so far
    var had = false; // any so far
    var total = 0.0; // sum of exponentials so far
    var cells: array<vec4<f32>, TILE / 4u>; // scores of the tile, then their exponentials

    for (var start = first / 4u * 4u; start < end; start += TILE) {
        let fours = (min(start + TILE, end) - start + 3u) / 4u;
        let before = top;
        let seen_before = had;
        for (var four = 0u; four < fours; four++) {
            let key = start + 4u * four;
            let each = min(vec4(key) + vec4(0u, 1u, 2u, 3u), vec4(keys - 1u));
            var scores = params.scale * products(q, vec4(k_first) + each * width, width);
            if BIAS == 1u {
                scores += vec4(
                    bias_at(head, each.x, slot),
                    bias_at(head, each.y, slot),
                    bias_at(head, each.z, slot),
                    bias_at(head, each.w, slot),
                );
            }
            cells[four] = scores;
            let sees = visible_of_four(mask, key, keys);
            for (var i = 0u; i < 4u; i++) {
                top = select(top, select(scores[i], max(top, scores[i]), had), sees[i]);
                had = had || sees[i];
            }
        }
        let shrink = select(0.0, exp(min(before - top, 0.0)), seen_before);
        total *= shrink;

        for (var i = 0u; i < records; i++) {
            let there = place(watch + 1u + 6u * i, variant, head, row, keys);
            if there != NONE {
                for (var key = start; key < min(start + TILE, end); key++) {
                    let sees = visible_of_four(mask, key / 4u * 4u, keys)[key % 4u];
                    outbox[there + key] = select(0.0, cells[(key - start) / 4u][key % 4u], sees);
                }
            }
        }

        for (var four = 0u; four < fours; four++) {
            let sees = visible_of_four(mask, start + 4u * four, keys);
            let e = select(vec4(0.0), exp(min(cells[four] - top, vec4(0.0))), sees);
            cells[four] = e;
            total += e.x + e.y + e.z + e.w;
        }
        // What the last tile leaves is the answer.
        let factor = select(1.0, gate / total, had && start + TILE >= end);
        for (var c = 0u; c < width; c += 4u) {
            var sum = vec4(0.0);
            for (var four = 0u; four < fours; four++) {
                let e = cells[four];
                let each = min(vec4(start + 4u * four) + vec4(0u, 1u, 2u, 3u), vec4(keys - 1u));
                let v = vec4(v_first + c) + each * width;
                // A hidden value may be anything: no product with it.
                sum += select(vec4(0.0), e.x * value_columns(v.x), e.x != 0.0);
                sum += select(vec4(0.0), e.y * value_columns(v.y), e.y != 0.0);
                sum += select(vec4(0.0), e.z * value_columns(v.z), e.z != 0.0);
                sum += select(vec4(0.0), e.w * value_columns(v.w), e.w != 0.0);
            }
            for (var i = 0u; i < min(4u, width - c); i++) {
                var result = sum[i];
                if shrink != 0.0 {
                    result += shrink * out[at + c + i];
                }
                out[at + c + i] = result * factor;
            }
        }
    }
    if !any {
        for (var c = 0u; c < width; c++) {
            out[at + c] = 0.0;
        }
    }

    // A watched probability was left as a score.
    for (var i = 0u; i < records; i++) {
        let record = watch + 1u + 6u * i;
        let there = place(record, variant, head, row, keys);
        if there != NONE && play[record] == 1u {
            for (var key = 0u; key < keys; key++) {
                var p = 0.0;
                if visible_of_four(mask, key / 4u * 4u, keys)[key % 4u] {
                    p = exp(outbox[there + key] - top) / total;
                }
                outbox[there + key] = p;
            }
        }
    }

    // The last head also clears the padding of the row.
    if head == params.heads - 1u {
        for (var c = params.heads * width; c < params.stride; c++) {
            out[to + c] = 0.0;
        }
    }
}
