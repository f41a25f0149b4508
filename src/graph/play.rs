//! What a prepared graph is given and gives back: a [`Play`] and a [`Played`].

use super::Label;
use crate::mask::Bits;

/// The most that one prepared graph is played with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Rows of a play.
    pub rows: usize,
    /// Slots of each site's cache.
    pub keys: [usize; 3],
    /// Variants.
    pub variants: usize,
}

/// How an id is drawn from the logits of one picked row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Draw {
    /// Logits are divided by it; 0 takes the largest (ties: the smallest id).
    pub temperature: f32,
    /// Keep only this many of the largest; 0 keeps all.
    pub top_k: u32,
    /// Keep the smallest set of the largest whose probabilities (after the temperature, over the
    /// whole vocabulary) reach this; 1 keeps all. Never empty. A tie goes to the smaller id.
    pub top_p: f32,
    /// In [0, 1): the first kept id, counted by id, whose running share of the kept probability
    /// exceeds it is chosen.
    pub uniform: f32,
}

impl Draw {
    /// The largest logit.
    pub const GREEDY: Draw = Draw { temperature: 0.0, top_k: 0, top_p: 1.0, uniform: 0.0 };
}

/// One thing to bring back from a play.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tap {
    /// What, where.
    pub label: Label,
    /// For attention and scores: these heads. For other labels unused and empty.
    pub heads: Vec<u32>,
    /// These rows, counted within the play (for picked values: within the picked rows).
    pub rows: Vec<u32>,
}

/// What one play of a graph is given. Typing, painting and silencing heads change only this.
#[derive(Clone, Copy, Debug)]
pub struct Play<'a> {
    /// Variants of this play.
    pub variants: usize,
    /// `[variant][row]`.
    pub ids: &'a [u32],
    /// `[variant][row]`; empty means segment 0 everywhere.
    pub segments: &'a [u32],
    /// `[stream][row]`, the same for all variants.
    pub positions: &'a [Vec<u32>],
    /// The cache slot of each row, ascending; a new row has the slot after the last. The mask's
    /// rows, and the `row` of an attention bias, are slots.
    pub slots: &'a [u32],
    /// How many slots of each site's cache attention goes over.
    pub keys: [usize; 3],
    /// The rows (counted within the play) whose logits and heads are computed.
    pub picked: &'a [u32],
    /// The mask of each site that the graph attends at: its rows are the rows of this play.
    pub masks: [Option<&'a Bits>; 3],
    /// Of each site `[variant][layer][head]`; empty means 1 everywhere.
    pub gates: [&'a [f32]; 3],
    /// What to bring back, in this order.
    pub taps: &'a [Tap],
    /// `[variant][picked]`, or empty for no sampling.
    pub draws: &'a [Draw],
    /// How many candidates to bring back with each choice.
    pub candidates: usize,
}

/// One candidate for a row: id, its probability over the whole vocabulary (at the draw's
/// temperature; at 1 when greedy), and whether top-k and top-p kept it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Token id.
    pub id: u32,
    /// Probability over the whole vocabulary.
    pub probability: f32,
    /// Whether it could be chosen.
    pub kept: bool,
}

/// What was chosen for a picked row.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// The chosen id.
    pub id: u32,
    /// Its probability.
    pub probability: f32,
    /// The most probable ids, the largest first (ties: the smaller id first).
    pub candidates: Vec<Candidate>,
}

/// What a device did for one play.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Compute dispatches; on the CPU, ops.
    pub dispatches: u32,
    /// Queue submissions.
    pub submits: u32,
    /// Readbacks waited for.
    pub readbacks: u32,
}

/// What one play brought back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Played {
    /// `[variant][picked]`; empty where no draw was given.
    pub choices: Vec<Choice>,
    /// In the order of the taps: `[variant][head][row][key]` for attention and scores, else
    /// `[variant][row][width]`.
    pub taps: Vec<Vec<f32>>,
    /// What it took.
    pub counters: Counters,
}
