//! Attention: a row looks at the keys that its mask bits show, and at no others.

use std::ops::Range;

use wide::f32x4;

use super::cache::SiteCache;
use super::math::{dots, exp, fused};
use super::rows::Rows;
use crate::graph::Heads;
use crate::mask::Bits;

/// One attention over the cache of a site and layer.
pub struct Attend<'a> {
    /// `[variant][row][heads * head_width]`.
    pub queries: Rows<'a>,
    /// Whose keys and values.
    pub cache: &'a SiteCache,
    /// Which layer of it.
    pub layer: usize,
    /// Shape and scale.
    pub heads: Heads,
    /// `[heads, 2 * reach - 1]`.
    pub bias: Option<&'a [f32]>,
    /// Who sees whom.
    pub mask: &'a Bits,
    /// `[variant][layer][head]`; empty means 1.
    pub gates: &'a [f32],
    /// The slot of each row.
    pub slots: &'a [u32],
    /// How many slots are looked at.
    pub keys: usize,
    /// Variants.
    pub variants: usize,
}

/// Memory that an attention borrows from play to play.
#[derive(Debug, Default)]
pub struct Scratch {
    /// The visible keys of a row, ascending.
    seen: Vec<u32>,
    /// The same as stretches of neighbours, which are read straight on.
    runs: Vec<Range<usize>>,
    /// Their scores.
    scores: Vec<f32>,
    /// Their probabilities, padded to whole vectors.
    attention: Vec<f32x4>,
}

/// What one row of one head of one variant sees: for whoever watches.
pub struct Seen<'a> {
    /// Where.
    pub variant: usize,
    /// Where.
    pub head: usize,
    /// Where.
    pub row: usize,
    /// The visible keys, ascending.
    pub keys: &'a [u32],
    /// Score of each, before the softmax.
    pub scores: &'a [f32],
    /// Probability of each.
    pub attention: &'a [f32],
}

/// `softmax(scale * q kᵀ + bias, where visible) v * gate`, `out` as the queries are.
pub fn attend(
    job: &Attend<'_>,
    out: &mut [f32],
    scratch: &mut Scratch,
    mut watch: impl FnMut(Seen<'_>),
) {
    let Heads { heads, kv_heads, head_width, scale } = job.heads;
    let rows = job.slots.len();
    for variant in 0..job.variants {
        for head in 0..heads {
            let kv_head = head / (heads / kv_heads);
            let keys = job.cache.keys(job.layer, variant, kv_head);
            let values = job.cache.values(job.layer, variant, kv_head);
            let bias = job.bias.map(|bias| {
                let width = bias.len() / heads;
                &bias[head * width..][..width]
            });
            let layers = job.mask.layers;
            let gate = job
                .gates
                .get((variant * layers + job.layer) * heads + head)
                .copied()
                .unwrap_or(1.0);
            for row in 0..rows {
                let line = variant * rows + row;
                let query = &job.queries.row(line)[head * head_width..][..head_width];
                let words = job.mask.row(variant, job.layer, head, row);
                see(words, job.keys, &mut scratch.seen, &mut scratch.runs);

                score(query, keys, scale, &scratch.runs, &mut scratch.scores);
                if let Some(bias) = bias {
                    for (score, &key) in scratch.scores.iter_mut().zip(&scratch.seen) {
                        *score += bias[distance(job.slots[row] as usize, key as usize, bias.len())];
                    }
                }
                softmax(&scratch.scores, &mut scratch.attention);
                let attention = &bytemuck::cast_slice(&scratch.attention)[..scratch.seen.len()];

                let out = &mut out[line * heads * head_width + head * head_width..][..head_width];
                weigh(&scratch.runs, attention, values, gate, out);
                watch(Seen {
                    variant,
                    head,
                    row,
                    keys: &scratch.seen,
                    scores: &scratch.scores,
                    attention,
                });
            }
        }
    }
}

/// Lists the set bits below `keys`, and their stretches.
fn see(words: &[u32], keys: usize, seen: &mut Vec<u32>, runs: &mut Vec<Range<usize>>) {
    seen.clear();
    runs.clear();
    for (index, word) in words.iter().enumerate() {
        let mut word = *word;
        let mut place = index * 32;
        while word != 0 && place < keys {
            let start = place + word.trailing_zeros() as usize;
            word >>= word.trailing_zeros();
            let end = (start + word.trailing_ones() as usize).min(keys);
            word = word.checked_shr(word.trailing_ones()).unwrap_or(0);
            if start >= end {
                return;
            }
            seen.extend(start as u32..end as u32);
            match runs.last_mut() {
                Some(run) if run.end == start => run.end = end,
                _ => runs.push(start..end),
            }
            place = end;
        }
    }
}

/// `scale * query keyᵀ` of every seen key; four of a stretch at a time, since one sum alone waits for each of its additions.
fn score(query: &[f32], keys: &[f32], scale: f32, runs: &[Range<usize>], scores: &mut Vec<f32>) {
    let width = query.len();
    scores.clear();
    for run in runs {
        let keys = &keys[run.start * width..run.end * width];
        let fours = keys.chunks_exact(4 * width);
        let rest = fours.remainder();
        for four in fours {
            let four = std::array::from_fn(|n| &four[n * width..][..width]);
            scores.extend(dots::<4>(query, four).map(|sum| sum * scale));
        }
        for one in rest.chunks_exact(width) {
            let [sum] = dots(query, [one]);
            scores.push(sum * scale);
        }
    }
}

/// The column of a bias `[2 * reach - 1]`: `key - row + reach - 1`, clamped to its ends.
fn distance(row: usize, key: usize, width: usize) -> usize {
    let middle = (width - 1) / 2;
    (key + middle).saturating_sub(row).min(width - 1)
}

/// Probabilities of scores; none of none.
fn softmax(scores: &[f32], attention: &mut Vec<f32x4>) {
    attention.clear();
    let mut largest = f32x4::splat(f32::MIN);
    for part in scores.chunks(4) {
        let mut four = [f32::NEG_INFINITY; 4];
        four[..part.len()].copy_from_slice(part);
        let four = f32x4::new(four);
        largest = largest.fast_max(four);
        attention.push(four);
    }
    let [a, b, c, d] = largest.to_array();
    let largest = a.max(b).max(c.max(d));
    let mut sums = f32x4::ZERO;
    for four in attention.iter_mut() {
        *four = exp(*four - largest);
        sums += *four;
    }
    let [a, b, c, d] = sums.to_array();
    let sum = f32x4::splat((a + b) + (c + d));
    for four in attention {
        *four /= sum;
    }
}

/// `out = gate * Σ attention[i] value[i]` over the seen keys, one after the other.
fn weigh(runs: &[Range<usize>], attention: &[f32], values: &[f32], gate: f32, out: &mut [f32]) {
    let start = weigh_blocks::<8>(runs, attention, values, gate, 0, out);
    let start = weigh_blocks::<1>(runs, attention, values, gate, start, out);
    let width = out.len();
    let rest = &mut out[start..];
    rest.fill(0.0);
    for (value, weight) in seen(runs, values, width).zip(attention) {
        for (sum, value) in rest.iter_mut().zip(&value[start..]) {
            *sum += weight * value;
        }
    }
    for sum in rest {
        *sum *= gate;
    }
}

/// The rows of stretches, one after the other.
#[inline(always)]
fn seen<'a>(
    runs: &'a [Range<usize>],
    values: &'a [f32],
    width: usize,
) -> impl Iterator<Item = &'a [f32]> {
    runs.iter().flat_map(move |run| values[run.start * width..run.end * width].chunks_exact(width))
}

/// The columns from `start` on that fill whole blocks of `V` vectors; answers with the first that does not.
#[inline(always)]
fn weigh_blocks<const V: usize>(
    runs: &[Range<usize>],
    attention: &[f32],
    values: &[f32],
    gate: f32,
    start: usize,
    out: &mut [f32],
) -> usize {
    let width = out.len();
    let mut column = start;
    while column + 4 * V <= width {
        let mut sums = [f32x4::ZERO; V];
        let mut attention = attention;
        for run in runs {
            let values = values[run.start * width..run.end * width].chunks_exact(width);
            let (weights, rest) = attention.split_at(run.len());
            attention = rest;
            for (value, weight) in values.zip(weights) {
                let (value, _) = value[column..][..4 * V].as_chunks::<4>();
                for (sum, value) in sums.iter_mut().zip(value) {
                    *sum = fused(f32x4::splat(*weight), f32x4::new(*value), *sum);
                }
            }
        }
        for (out, sum) in out[column..].as_chunks_mut::<4>().0.iter_mut().zip(sums) {
            *out = (sum * gate).to_array();
        }
        column += 4 * V;
    }
    column
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Words as masks have them: painted, open, closed, and full up to a place.
    fn word() -> impl Strategy<Value = u32> {
        prop_oneof![
            any::<u32>(),
            Just(0),
            Just(u32::MAX),
            (0_u32..32).prop_map(|end| (1 << end) - 1)
        ]
    }

    proptest! {
        #[test]
        fn what_is_seen_is_the_set_bits_and_their_stretches(
            words in prop::collection::vec(word(), 0..4),
            keys in 0_usize..140,
        ) {
            let (mut seen, mut runs) = (vec![7], vec![3..4, 5..9]);
            see(&words, keys, &mut seen, &mut runs);
            let set = |key: &u32| words.get(*key as usize / 32).is_some_and(|word| word >> (key % 32) & 1 == 1);
            let right: Vec<u32> = (0..keys as u32).filter(set).collect();
            prop_assert_eq!(&seen, &right);
            let in_runs: Vec<u32> = runs.iter().flat_map(|run| run.start as u32..run.end as u32).collect();
            prop_assert_eq!(in_runs, right);
            prop_assert!(runs.iter().all(|run| !run.is_empty()));
            prop_assert!(runs.windows(2).all(|two| two[0].end < two[1].start));
        }
    }
}
