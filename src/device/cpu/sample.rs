//! Sampling over the whole vocabulary, exactly.

use std::cmp::Ordering;

use wide::f32x4;

use super::math::{exp, map, sum};
use crate::graph::{Candidate, Choice, Draw};

/// So many of the largest are found in one pass; for more the ids are sorted.
const FEW: usize = 64;

/// Memory that sampling borrows from play to play.
#[derive(Debug, Default)]
pub struct Scratch {
    /// The ids of the largest logits, the largest first; as many as were asked for.
    front: Vec<u32>,
    /// All ids, where more than a few of the largest are asked for.
    all: Vec<u32>,
    /// Whether top-k and top-p kept an id.
    kept: Vec<bool>,
    /// Probability of each id.
    probabilities: Vec<f32>,
}

/// Chooses an id from logits. A NaN counts as the smallest of numbers.
pub fn sample(logits: &[f32], draw: Draw, candidates: usize, scratch: &mut Scratch) -> Choice {
    let Scratch { front, all, kept, probabilities } = scratch;
    let vocabulary = logits.len();
    if vocabulary == 0 {
        return Choice { id: 0, probability: 0.0, candidates: Vec::new() };
    }
    let greedy = draw.temperature == 0.0;
    probabilities.resize(vocabulary, 0.0);
    soften(logits, if greedy { 1.0 } else { draw.temperature }, probabilities);
    front.clear();
    let mut lead = |front: &mut Vec<u32>, wanted: usize| {
        let wanted = wanted.min(vocabulary);
        if wanted > front.len() {
            largest(logits, wanted, front, all);
        }
    };

    let mut count = vocabulary;
    if draw.top_k > 0 {
        count = count.min(draw.top_k as usize);
    }
    if draw.top_p < 1.0 {
        let top_p = f64::from(draw.top_p);
        let (mut reached, mut place) = (0.0, 0);
        while place < count {
            lead(front, (place + 1).next_power_of_two().max(FEW));
            reached += f64::from(probabilities[front[place] as usize]);
            place += 1;
            if reached >= top_p {
                break;
            }
        }
        count = place.max(1);
    }
    let shown = candidates.min(vocabulary);
    lead(front, shown.max(1));
    kept.clear();
    kept.resize(vocabulary, count == vocabulary);
    if count < vocabulary {
        lead(front, count);
        front[..count].iter().for_each(|id| kept[*id as usize] = true);
    }

    let id = if greedy { front[0] } else { pick(probabilities, kept, f64::from(draw.uniform)) };
    let probability = |id: u32| probabilities[id as usize];
    let candidate =
        |&id: &u32| Candidate { id, probability: probability(id), kept: kept[id as usize] };
    Choice {
        id,
        probability: probability(id),
        candidates: front[..shown].iter().map(candidate).collect(),
    }
}

fn number(logit: f32) -> f32 {
    if logit.is_nan() { f32::NEG_INFINITY } else { logit }
}

/// Writes the softmax of `logits / temperature`. The largest weighs 1 even where it is infinite.
fn soften(logits: &[f32], temperature: f32, probabilities: &mut [f32]) {
    let (largest, heat) = (f32x4::splat(largest_of(logits)), f32x4::splat(temperature));
    map(logits, probabilities, |logit| {
        let logit = logit.simd_eq(logit).select(logit, f32x4::splat(f32::NEG_INFINITY));
        let weight = exp((logit - largest) / heat);
        logit.simd_eq(largest).select(f32x4::splat(1.0), weight)
    });
    // A vocabulary is long: parts of it are added in f64.
    let total: f64 = probabilities.chunks(64).map(|part| f64::from(sum(part, |x| x))).sum();
    let share = (1.0 / total) as f32;
    probabilities.iter_mut().for_each(|weight| *weight *= share);
}

/// The largest of them; a NaN is larger than nothing.
fn largest_of(logits: &[f32]) -> f32 {
    let (fours, rest) = logits.as_chunks::<4>();
    let mut most = f32x4::splat(f32::NEG_INFINITY);
    for four in fours {
        let four = f32x4::new(*four);
        most = four.simd_gt(most).select(four, most);
    }
    most.to_array()
        .into_iter()
        .chain(rest.iter().copied().map(number))
        .fold(f32::NEG_INFINITY, f32::max)
}

/// The ids of the `wanted` largest logits, the largest first; of equal ones the smaller id.
fn largest(logits: &[f32], wanted: usize, front: &mut Vec<u32>, all: &mut Vec<u32>) {
    let larger_first = |a: &u32, b: &u32| {
        let value = |id: &u32| number(logits[*id as usize]);
        value(b).partial_cmp(&value(a)).unwrap_or(Ordering::Equal).then(a.cmp(b))
    };
    front.clear();
    if wanted > FEW {
        all.clear();
        all.extend(0..logits.len() as u32);
        if wanted < all.len() {
            all.select_nth_unstable_by(wanted, larger_first);
        }
        front.extend_from_slice(&all[..wanted]);
        front.sort_unstable_by(larger_first);
        return;
    }
    let mut least = f32::NEG_INFINITY;
    for (id, logit) in logits.iter().enumerate() {
        let logit = number(*logit);
        if front.len() == wanted {
            if logit <= least {
                continue;
            }
            front.pop();
        }
        let place = front.partition_point(|have| number(logits[*have as usize]) >= logit);
        front.insert(place, id as u32);
        least = front.last().map_or(least, |last| number(logits[*last as usize]));
    }
}

/// The first kept id whose running share of the kept probability exceeds `uniform`.
fn pick(probabilities: &[f32], kept: &[bool], uniform: f64) -> u32 {
    let each = || probabilities.iter().zip(kept).enumerate().filter(|(_, (_, kept))| **kept);
    let total: f64 = each().map(|(_, (probability, _))| f64::from(*probability)).sum();
    let (mut reached, mut last) = (0.0, 0);
    for (id, (probability, _)) in each().filter(|(_, (probability, _))| **probability > 0.0) {
        reached += f64::from(*probability);
        last = id as u32;
        if reached > uniform * total {
            break;
        }
    }
    last
}
