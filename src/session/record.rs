//! From what devices bring back to the plain data of a trace.

use std::collections::BTreeMap;

use web_time::Instant;

use crate::engine::Engine;
use crate::error::Result;
use crate::graph::{Choice, Label, What};
use crate::request::{Resolved, Watch};
use crate::trace::{self, Candidate, Forward, OutputHeads, Stats, Step, Trace, Watched};

pub(super) fn header(engine: &Engine, resolved: &Resolved) -> Trace {
    let target = match (&resolved.encoder, &resolved.decoder) {
        (Some(_), Some(decoder)) => {
            Some(decoder.ids.iter().map(|id| engine.tokenizer.token(*id)).collect())
        }
        _ => None,
    };
    Trace {
        version: trace::VERSION,
        model: engine.info(),
        device: engine.device.report().clone(),
        tokens: resolved.tokens.clone(),
        source_length: resolved.source_length,
        truncated: resolved.truncated,
        target,
        forward: None,
        steps: Vec::new(),
        variants: Vec::new(),
        text: None,
    }
}

/// The answer, or an encoder's whole text. A character whose last bytes are still to come is left out.
pub(super) fn text(engine: &Engine, resolved: &Resolved) -> Result<String> {
    let ids = &resolved.output().ids;
    let start = if engine.spec.generates() { resolved.answer_start().min(ids.len()) } else { 0 };
    let text = engine.tokenizer.decode(&ids[start..])?;
    Ok(text.trim_end_matches('\u{fffd}').to_string())
}

pub(super) fn new_step(engine: &Engine, row: usize, choice: &Choice) -> Step {
    let token = engine.tokenizer.token(choice.id);
    let candidates = choice.candidates.iter().map(|candidate| {
        let token = engine.tokenizer.token(candidate.id);
        Candidate {
            id: candidate.id,
            piece: token.piece,
            space: token.space,
            probability: candidate.probability,
            kept: candidate.kept,
        }
    });
    Step {
        row,
        chosen: choice.id,
        piece: token.piece,
        space: token.space,
        probability: choice.probability,
        candidates: candidates.collect(),
        logits: None,
        rows: Vec::new(),
        watched: Watched::default(),
        ended: None,
        stats: Stats::default(),
    }
}

/// The rows of the stack that makes logits whose heads are computed.
pub(super) struct Picked {
    pub rows: Vec<usize>,
    /// Those of which logits are told.
    pub told: Vec<usize>,
}

impl Picked {
    /// Logits are told of the watched rows; a head that judges every token has them all, one that judges a text
    /// has its first, whatever is watched.
    pub fn new(engine: &Engine, watch: &Watch, count: usize) -> Picked {
        let told = match watch.has(What::Logits) {
            true => watch.rows.among(count),
            false => Vec::new(),
        };
        let site = engine.spec.architecture.output_site();
        let graph = engine.transformer.output();
        let has = |what: What| graph.labelled(Label { what, site, layer: 0 }).is_some();
        let mut rows = told.clone();
        if has(What::Replaced) {
            rows = (0..count).collect();
        } else if rows.is_empty() || has(What::Pair) || has(What::Classes) {
            rows.insert(0, 0);
            rows.dedup();
        }
        Picked { rows, told }
    }
}

pub(super) fn fill_heads(
    forward: &mut Forward,
    engine: &Engine,
    heads: &BTreeMap<What, Vec<f32>>,
    picked: &Picked,
) {
    let (width, count) = (engine.spec.vocabulary, picked.rows.len());
    let logits = heads.get(&What::Logits).filter(|data| data.len() == count * width);
    forward.logits = logits.map(|data| {
        let rows = picked.rows.iter().zip(data.chunks(width));
        let told = rows.filter(|(row, _)| picked.told.contains(row));
        told.map(|(_, logits)| logits.to_vec()).collect()
    });
    let first = |what: What| -> Option<Vec<f32>> {
        let data = heads.get(&what).filter(|_| picked.rows.first() == Some(&0))?;
        Some(data[..data.len() / count].to_vec())
    };
    forward.heads = OutputHeads {
        pair: first(What::Pair),
        replaced: heads.get(&What::Replaced).cloned(),
        classes: first(What::Classes),
    };
}

pub(super) fn merge(into: &mut Watched, from: Watched) {
    into.attention.extend(from.attention);
    into.scores.extend(from.scores);
    into.queries.extend(from.queries);
    into.hidden.extend(from.hidden);
    into.mask.extend(from.mask);
    for (to, from) in [(&mut into.keys, from.keys), (&mut into.values, from.values)] {
        to.extend(from);
    }
}

pub(super) fn add(total: &mut Stats, stats: Stats) {
    total.dispatches += stats.dispatches;
    total.submits += stats.submits;
    total.readbacks += stats.readbacks;
    total.rows_computed += stats.rows_computed;
}

pub(super) fn timed(stats: Stats, start: Instant) -> Stats {
    Stats { milliseconds: start.elapsed().as_secs_f64() * 1e3, ..stats }
}
