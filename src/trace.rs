//! Plain data: what a run did, as the page draws it and a file stores it. A contract (design: "trace").

use std::collections::BTreeMap;

use serde::Serialize;

use crate::device::Report;

/// The version of the shapes below.
pub const VERSION: u32 = 1;

/// `[head][row][key]`.
pub type PerHead<T> = Vec<Vec<Vec<T>>>;

/// The record of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Trace {
    /// [`VERSION`].
    pub version: u32,
    /// What ran.
    pub model: ModelInfo,
    /// On what, and why.
    pub device: Report,
    /// The input, special tokens included; encoder-decoder: the source.
    pub tokens: Vec<Token>,
    /// Where the source ends and the answer begins.
    pub source_length: usize,
    /// Tokens that were cut because the context is full.
    pub truncated: usize,
    /// Encoder-decoder: decoder start and the answer so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Vec<Token>>,
    /// The forward pass over all of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward: Option<Forward>,
    /// The steps that followed.
    pub steps: Vec<Step>,
    /// One forward pass a variant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<Forward>,
    /// The answer so far as text; an encoder's text with its blanks filled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// What ran.
#[derive(Clone, Debug, Serialize)]
pub struct ModelInfo {
    /// `model_type` of the config.
    pub family: String,
    /// encoder, causal, prefix or encoder-decoder.
    pub architecture: &'static str,
    /// Numbers stored.
    pub parameters: u64,
}

/// A token as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Token {
    /// Its id.
    pub id: u32,
    /// What a person reads.
    pub piece: String,
    /// Whether a space stands before it.
    pub space: bool,
    /// Whether it is one of the model's special tokens.
    pub special: bool,
    /// Where it starts in the text it came from, in UTF-16 units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<usize>,
    /// Where it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<usize>,
}

/// What was watched in one play. Maps have the keys `encoder`, `decoder`, `cross`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Watched {
    /// `[layer][head][row][key]`, probabilities.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attention: BTreeMap<&'static str, Vec<PerHead<f32>>>,
    /// Like attention, before the softmax; null where hidden.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub scores: BTreeMap<&'static str, Vec<PerHead<Option<f32>>>>,
    /// `[layer][row][heads * head_width]`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub queries: BTreeMap<&'static str, Vec<Vec<Vec<f32>>>>,
    /// `[layer][row][kv_heads * head_width]`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<&'static str, Vec<Vec<Vec<f32>>>>,
    /// `[layer][row][kv_heads * head_width]`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<&'static str, Vec<Vec<Vec<f32>>>>,
    /// `[0..=layers][row][width]`: the stream before the first block and after each.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub hidden: BTreeMap<&'static str, Vec<Vec<Vec<f32>>>>,
    /// A string of 0 and 1 a row, as the first watched head of the first watched layer sees it; left out where it
    /// would be more than is told of what is asked (in a browser 256 MB).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub mask: BTreeMap<&'static str, Vec<String>>,
}

/// One forward pass over the whole input.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Forward {
    /// `[position][vocabulary]`, decoder positions where there is a decoder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logits: Option<Vec<Vec<f32>>>,
    /// Attention and the like.
    #[serde(flatten)]
    pub watched: Watched,
    /// Logits of other heads.
    #[serde(skip_serializing_if = "OutputHeads::is_empty")]
    pub heads: OutputHeads,
    /// What it took.
    pub stats: Stats,
}

/// Logits of the heads that a checkpoint has beside the vocabulary's.
#[derive(Clone, Debug, Default, Serialize)]
pub struct OutputHeads {
    /// `[2]`: no, yes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pair: Option<Vec<f32>>,
    /// One number a row: was it replaced?
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced: Option<Vec<f32>>,
    /// A number a class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<f32>>,
}

impl OutputHeads {
    fn is_empty(&self) -> bool {
        self.pair.is_none() && self.replaced.is_none() && self.classes.is_none()
    }
}

/// One new token.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// The row whose logits chose it. A blank is filled in its own row; a generated token follows it.
    pub row: usize,
    /// Its id.
    pub chosen: u32,
    /// What a person reads.
    pub piece: String,
    /// Whether a space stands before it.
    pub space: bool,
    /// Its probability over the whole vocabulary.
    pub probability: f32,
    /// The most probable ones.
    pub candidates: Vec<Candidate>,
    /// The row's logits, where watched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logits: Option<Vec<f32>>,
    /// The rows that the arrays below speak of.
    pub rows: Vec<usize>,
    /// Attention and the like, of those rows.
    #[serde(flatten)]
    pub watched: Watched,
    /// Why the run ends with this step: `eos`, `length` (as many as were asked for) or `context`
    /// (no room for more).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<&'static str>,
    /// What it took.
    pub stats: Stats,
}

/// One of the most probable tokens of a step.
#[derive(Clone, Debug, Serialize)]
pub struct Candidate {
    /// Its id.
    pub id: u32,
    /// What a person reads.
    pub piece: String,
    /// Whether a space stands before it.
    pub space: bool,
    /// Over the whole vocabulary, at the temperature of the run (1 when greedy).
    pub probability: f32,
    /// Whether top-k and top-p left it.
    pub kept: bool,
}

/// What a step took.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Stats {
    /// Compute dispatches; on the CPU, ops.
    pub dispatches: u32,
    /// Queue submissions.
    pub submits: u32,
    /// Readbacks waited for.
    pub readbacks: u32,
    /// Rows that had to be computed, of all stacks: the others came from the cache.
    pub rows_computed: usize,
    /// Wall-clock time.
    pub milliseconds: f64,
}

/// The mask of a site as the page draws it.
#[derive(Clone, Debug, Serialize)]
pub struct MaskPicture {
    /// A string of 0 and 1 a row.
    pub rows: Vec<String>,
    /// The rule behind it.
    pub rule: String,
    /// The rule that the model was trained with.
    pub trained_rule: String,
    /// Whether every cell is as in training.
    pub trained: bool,
}
