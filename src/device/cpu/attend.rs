//! Attention: a row looks at the keys that its mask bits show, and at no others.

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
                see(words, job.keys, &mut scratch.seen);

                score(query, keys, scale, &scratch.seen, &mut scratch.scores);
                if let Some(bias) = bias {
                    for (score, &key) in scratch.scores.iter_mut().zip(&scratch.seen) {
                        *score += bias[distance(job.slots[row] as usize, key as usize, bias.len())];
                    }
                }
                softmax(&scratch.scores, &mut scratch.attention);
                let attention = &bytemuck::cast_slice(&scratch.attention)[..scratch.seen.len()];

                let out = &mut out[line * heads * head_width + head * head_width..][..head_width];
                weigh(&scratch.seen, attention, values, gate, out);
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

/// Lists the set bits below `keys`.
fn see(words: &[u32], keys: usize, seen: &mut Vec<u32>) {
    seen.clear();
    for (index, word) in words.iter().enumerate() {
        let mut word = *word;
        while word != 0 {
            let key = index as u32 * 32 + word.trailing_zeros();
            if key as usize >= keys {
                return;
            }
            seen.push(key);
            word &= word - 1;
        }
    }
}

/// `scale * query keyᵀ` of every seen key; four at a time, since one sum alone waits for each of its additions.
fn score(query: &[f32], keys: &[f32], scale: f32, seen: &[u32], scores: &mut Vec<f32>) {
    let width = query.len();
    let key = |key: u32| &keys[key as usize * width..][..width];
    let (fours, rest) = seen.as_chunks::<4>();
    scores.clear();
    for four in fours {
        scores.extend(dots(query, four.map(key)).map(|sum| sum * scale));
    }
    for one in rest {
        let [sum] = dots(query, [key(*one)]);
        scores.push(sum * scale);
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

/// `out = gate * Σ attention[i] values[seen[i]]`, key after key.
fn weigh(seen: &[u32], attention: &[f32], values: &[f32], gate: f32, out: &mut [f32]) {
    let width = out.len();
    let start = weigh_blocks::<8>(seen, attention, values, gate, 0, out);
    let start = weigh_blocks::<1>(seen, attention, values, gate, start, out);
    let rest = &mut out[start..];
    rest.fill(0.0);
    for (key, weight) in seen.iter().zip(attention) {
        let value = &values[*key as usize * width + start..][..rest.len()];
        for (sum, value) in rest.iter_mut().zip(value) {
            *sum += weight * value;
        }
    }
    for sum in rest {
        *sum *= gate;
    }
}

/// The columns from `start` on that fill whole blocks of `V` vectors; answers with the first that does not.
#[inline(always)]
fn weigh_blocks<const V: usize>(
    seen: &[u32],
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
        for (key, weight) in seen.iter().zip(attention) {
            let value = &values[*key as usize * width + column..][..4 * V];
            for (sum, value) in sums.iter_mut().zip(value.as_chunks::<4>().0) {
                *sum = fused(f32x4::splat(*weight), f32x4::new(*value), *sum);
            }
        }
        for (out, sum) in out[column..].as_chunks_mut::<4>().0.iter_mut().zip(sums) {
            *out = (sum * gate).to_array();
        }
        column += 4 * V;
    }
    column
}
