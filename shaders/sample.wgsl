// Chooses an id for each picked row from its logits, over the whole vocabulary, and lists the most
// probable ids. Order everywhere: the larger logit first, of equals the smaller id.
//
// One workgroup a row. Logits become integers that keep their order; the last of them that top-k
// and top-p keep is found bit by bit, so no sort is needed and the cut is exact.
//
// A result is 4 + 3 * candidates words in the outbox: id, probability, unused, unused, then id,
// probability, kept of each candidate.

override LANES: u32 = 64;
override HALVES: u32 = 0; // 1: what lanes have is brought together by halves, not one by one

// Words of the play's header.
const PLAY_PICKED = 2u;
const PLAY_CANDIDATES = 3u;
const PLAY_DRAWS = 12u;

struct Params {
    vocabulary: u32,
    stride: u32, // of logits
    start: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> play: array<u32>;
@group(0) @binding(2) var<storage, read> logits: array<f32>; // [row][stride]
@group(0) @binding(3) var<storage, read_write> outbox: array<u32>; // ids as they are, f32 as their bits

var<workgroup> orders: array<u32, LANES>;
var<workgroup> ids: array<u32, LANES>;
var<workgroup> counts: array<u32, LANES>;
var<workgroup> masses: array<f32, LANES>;

// An integer that is larger where the logit is; never 0, which stands for none.
fn order_of(logit: f32) -> u32 {
    let bits = bitcast<u32>(select(logit, 0.0, logit == 0.0));
    return select(bits | 0x80000000u, ~bits, bits >= 0x80000000u);
}

// A logit with NaN as the smallest of numbers, and infinities as the largest: WGSL has neither.
fn number(at: u32) -> f32 {
    let logit = logits[at];
    let size = bitcast<u32>(logit) & 0x7fffffffu;
    if size > 0x7f800000u {
        return -3.0e38;
    }
    return clamp(logit, -3.0e38, 3.0e38);
}

// e^((logit - top) / heat), 0 where it is too small for f32.
fn mass_of(logit: f32, top: f32, heat: f32) -> f32 {
    return exp(max((logit - top) / heat, -100.0));
}

fn logit_of(order: u32) -> f32 {
    return bitcast<f32>(select(~order, order & 0x7fffffffu, order >= 0x80000000u));
}

// The best of a lane's ids (lane, lane + LANES, ...) that comes after (order, id) in the list.
fn best_after(first: u32, lane: u32, order: u32, id: u32) -> vec2<u32> {
    var best = vec2(0u, 0u);
    for (var i = lane; i < params.vocabulary; i += LANES) {
        let o = order_of(number(first + i));
        if o > best.x && (o < order || (o == order && i > id)) {
            best = vec2(o, i);
        }
    }
    return best;
}

// Entries of the workgroup's memory that hold what all lanes have, when they have come together.
fn left() -> u32 {
    return select(LANES, 1u, HALVES == 1u);
}

fn gather_best(lane: u32) {
    if HALVES == 1u {
        for (var other = LANES / 2u; other > 0u; other /= 2u) {
            if lane < other {
                let order = orders[lane + other];
                let id = ids[lane + other];
                if order > orders[lane] || (order == orders[lane] && id < ids[lane]) {
                    orders[lane] = order;
                    ids[lane] = id;
                }
            }
            workgroupBarrier();
        }
    }
}

fn gather_sums(lane: u32) {
    if HALVES == 1u {
        for (var other = LANES / 2u; other > 0u; other /= 2u) {
            if lane < other {
                counts[lane] += counts[lane + other];
                masses[lane] += masses[lane + other];
            }
            workgroupBarrier();
        }
    }
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = group.x;
    let n = params.vocabulary;
    let first = row * params.stride + params.start;
    let draw = play[PLAY_DRAWS] + 4u * row;
    let temperature = bitcast<f32>(play[draw]);
    let top_k = select(play[draw + 1u], n, play[draw + 1u] == 0u);
    let top_p = bitcast<f32>(play[draw + 2u]);
    let uniform_number = bitcast<f32>(play[draw + 3u]);
    let greedy = temperature <= 0.0;
    let heat = select(temperature, 1.0, greedy);
    let candidates = play[PLAY_CANDIDATES];
    let result = row * (4u + 3u * candidates);

    // The largest logit.
    let mine = best_after(first, lane, 0xffffffffu, 0u);
    orders[lane] = mine.x;
    ids[lane] = mine.y;
    workgroupBarrier();
    gather_best(lane);
    var best = vec2(0u, 0u);
    for (var i = 0u; i < left(); i++) {
        if orders[i] > best.x || (orders[i] == best.x && ids[i] < best.y) {
            best = vec2(orders[i], ids[i]);
        }
    }
    let top = logit_of(best.x);
    let first_id = best.y;

    // The sum of exponentials.
    var mass = 0.0;
    for (var i = lane; i < n; i += LANES) {
        mass += mass_of(number(first + i), top, heat);
    }
    masses[lane] = mass;
    counts[lane] = 0u;
    workgroupBarrier();
    gather_sums(lane);
    var total = 0.0;
    for (var i = 0u; i < left(); i++) {
        total += masses[i];
    }

    // The cut: ids above `cut` are kept, and the first `ties` of those equal to it.
    var cut = 0u;
    var ties = n;
    if top_k < n || top_p < 1.0 {
        // The smallest order whose first id comes after fewer than top_k ids and less than top_p.
        // The largest logit always qualifies, so the cut is at or below it.
        for (var bit = 0u; bit < 32u; bit++) {
            // Were this bit 0 and all below it 1, would fewer be above than allowed?
            let trial = cut | (0x7fffffffu >> bit);
            var count = 0u;
            var above = 0.0;
            for (var i = lane; i < n; i += LANES) {
                let logit = number(first + i);
                if order_of(logit) > trial {
                    count += 1u;
                    above += mass_of(logit, top, heat);
                }
            }
            workgroupBarrier();
            counts[lane] = count;
            masses[lane] = above;
            workgroupBarrier();
            gather_sums(lane);
            count = 0u;
            above = 0.0;
            for (var i = 0u; i < left(); i++) {
                count += counts[i];
                above += masses[i];
            }
            // (Where all is kept, sums that round to the total must not end the search.)
            let room = top_p >= 1.0 || above < top_p * total;
            if count > 0u && !(count < top_k && room) {
                cut |= 0x80000000u >> bit;
            }
        }
        var count = 0u;
        var above = 0.0;
        for (var i = lane; i < n; i += LANES) {
            let logit = number(first + i);
            if order_of(logit) > cut {
                count += 1u;
                above += mass_of(logit, top, heat);
            }
        }
        workgroupBarrier();
        counts[lane] = count;
        masses[lane] = above;
        workgroupBarrier();
        gather_sums(lane);
        count = 0u;
        above = 0.0;
        for (var i = 0u; i < left(); i++) {
            count += counts[i];
            above += masses[i];
        }
        // Of the equals, those that come after fewer than top_k and less than top_p.
        let each = mass_of(logit_of(cut), top, heat);
        ties = select(top_k - count, 0u, count >= top_k);
        if top_p < 1.0 {
            let room = (top_p * total - above) / max(each, 1e-30);
            ties = min(ties, u32(clamp(ceil(room), 0.0, f32(n))));
        }
        if count == 0u {
            ties = max(ties, 1u);
        }
    }
    workgroupBarrier();

    var chosen = first_id;
    if !greedy {
        // Each lane takes a run of neighbouring ids: how many equals of the cut are in it, then how
        // much kept mass, then the first kept id whose running share exceeds the uniform number.
        let run = (n + LANES - 1u) / LANES;
        let run_start = min(lane * run, n);
        let run_end = min(run_start + run, n);
        var equals = 0u;
        for (var i = run_start; i < run_end; i++) {
            equals += u32(order_of(number(first + i)) == cut);
        }
        counts[lane] = equals;
        workgroupBarrier();
        var equals_before = 0u;
        for (var i = 0u; i < lane; i++) {
            equals_before += counts[i];
        }
        var rank = equals_before;
        var kept = 0.0;
        var last = n;
        for (var i = run_start; i < run_end; i++) {
            let logit = number(first + i);
            let order = order_of(logit);
            if order > cut || (order == cut && rank < ties) {
                kept += mass_of(logit, top, heat);
                last = i;
            }
            rank += u32(order == cut);
        }
        masses[lane] = kept;
        workgroupBarrier();
        var kept_before = 0.0;
        var kept_total = 0.0;
        for (var i = 0u; i < LANES; i++) {
            if i == lane {
                kept_before = kept_total;
            }
            kept_total += masses[i];
        }
        let target_mass = uniform_number * kept_total;
        var found = n;
        if last < n {
            rank = equals_before;
            var running = kept_before;
            for (var i = run_start; i < run_end && found == n; i++) {
                let logit = number(first + i);
                let order = order_of(logit);
                if order > cut || (order == cut && rank < ties) {
                    running += mass_of(logit, top, heat);
                    if running > target_mass {
                        found = i;
                    }
                }
                rank += u32(order == cut);
            }
        }
        // `ids` holds the found, `counts` the last kept id of each lane, should rounding find none.
        ids[lane] = found;
        counts[lane] = last;
        workgroupBarrier();
        chosen = n;
        var fallback = first_id;
        for (var i = 0u; i < LANES; i++) {
            if counts[i] < n {
                fallback = counts[i];
            }
            if chosen == n && ids[i] < n {
                chosen = ids[i];
            }
        }
        if chosen == n {
            chosen = fallback;
        }
    }
    if lane == 0u {
        outbox[result] = chosen;
        outbox[result + 1u] = bitcast<u32>(mass_of(number(first + chosen), top, heat) / total);
        outbox[result + 2u] = 0u;
        outbox[result + 3u] = 0u;
    }
    workgroupBarrier();

    // The candidates: each lane offers its best; the winner's lane looks for its next.
    var offer = mine;
    var tie_rank = 0u;
    for (var c = 0u; c < candidates; c++) {
        orders[lane] = offer.x;
        ids[lane] = offer.y;
        workgroupBarrier();
        gather_best(lane);
        best = vec2(0u, 0u);
        for (var i = 0u; i < left(); i++) {
            if orders[i] > best.x || (orders[i] == best.x && ids[i] < best.y) {
                best = vec2(orders[i], ids[i]);
            }
        }
        if best.x != 0u && all(offer == best) {
            let at = result + 4u + 3u * c;
            outbox[at] = best.y;
            outbox[at + 1u] = bitcast<u32>(mass_of(number(first + best.y), top, heat) / total);
            let keep = best.x > cut || (best.x == cut && tie_rank < ties);
            outbox[at + 2u] = u32(keep);
            offer = best_after(first, lane, best.x, best.y);
        }
        // Candidates come in order of rank: those equal to the cut, one after the other.
        tie_rank += u32(best.x == cut);
        workgroupBarrier();
    }
}
