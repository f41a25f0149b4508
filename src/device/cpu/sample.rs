//! Sampling over the whole vocabulary, exactly.

use std::cmp::Ordering;

use crate::graph::{Candidate, Choice, Draw};

/// Memory that sampling borrows from play to play.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Ids; as many of the largest as were needed come first, in order.
    order: Vec<u32>,
    /// Whether top-k and top-p kept an id.
    kept: Vec<bool>,
    /// Probability of each id.
    probabilities: Vec<f64>,
}

/// Chooses an id from logits. A NaN counts as the smallest of numbers.
pub fn sample(logits: &[f32], draw: Draw, candidates: usize, scratch: &mut Scratch) -> Choice {
    let Scratch { order, kept, probabilities } = scratch;
    let vocabulary = logits.len();
    if vocabulary == 0 {
        return Choice { id: 0, probability: 0.0, candidates: Vec::new() };
    }
    let value = |id: u32| number(logits[id as usize]);
    let greedy = draw.temperature == 0.0;
    let temperature = if greedy { 1.0 } else { f64::from(draw.temperature) };
    let largest = logits.iter().copied().map(number).fold(f32::NEG_INFINITY, f32::max);
    probabilities.clear();
    probabilities.extend(logits.iter().map(|&logit| weight(number(logit), largest, temperature)));
    let total: f64 = probabilities.iter().sum();
    probabilities.iter_mut().for_each(|probability| *probability /= total);

    order.clear();
    order.extend(0..vocabulary as u32);
    let larger_first = |a: &u32, b: &u32| {
        value(*b).partial_cmp(&value(*a)).unwrap_or(Ordering::Equal).then(a.cmp(b))
    };
    let mut sorted = 0;
    // Sorts on so that at least `wanted` of the largest are in order.
    let mut sort_to = |order: &mut [u32], wanted: usize| {
        let wanted = wanted.min(vocabulary);
        if wanted > sorted {
            let rest = &mut order[sorted..];
            if wanted < vocabulary {
                rest.select_nth_unstable_by(wanted - sorted, larger_first);
            }
            rest[..wanted - sorted].sort_unstable_by(larger_first);
            sorted = wanted;
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
            sort_to(order, (place + 1).next_power_of_two().max(64));
            reached += probabilities[order[place] as usize];
            place += 1;
            if reached >= top_p {
                break;
            }
        }
        count = place.max(1);
    }
    let shown = candidates.min(vocabulary);
    sort_to(order, shown.max(1));
    kept.clear();
    kept.resize(vocabulary, count == vocabulary);
    if count < vocabulary {
        sort_to(order, count);
        order[..count].iter().for_each(|id| kept[*id as usize] = true);
    }

    let id = if greedy { order[0] } else { pick(probabilities, kept, f64::from(draw.uniform)) };
    let probability = |id: u32| probabilities[id as usize] as f32;
    let candidate =
        |&id: &u32| Candidate { id, probability: probability(id), kept: kept[id as usize] };
    Choice {
        id,
        probability: probability(id),
        candidates: order[..shown].iter().map(candidate).collect(),
    }
}

fn number(logit: f32) -> f32 {
    if logit.is_nan() { f32::NEG_INFINITY } else { logit }
}

/// `e^((logit - largest) / temperature)`, and 1 for the largest even where it is infinite.
fn weight(logit: f32, largest: f32, temperature: f64) -> f64 {
    if logit == largest {
        return 1.0;
    }
    ((f64::from(logit) - f64::from(largest)) / temperature).exp()
}

/// The first kept id whose running share of the kept probability exceeds `uniform`.
fn pick(probabilities: &[f64], kept: &[bool], uniform: f64) -> u32 {
    let each = || probabilities.iter().zip(kept).enumerate().filter(|(_, (_, kept))| **kept);
    let total: f64 = each().map(|(_, (probability, _))| probability).sum();
    let (mut reached, mut last) = (0.0, 0);
    for (id, (probability, _)) in each().filter(|(_, (probability, _))| **probability > 0.0) {
        reached += probability;
        last = id as u32;
        if reached > uniform * total {
            break;
        }
    }
    last
}
