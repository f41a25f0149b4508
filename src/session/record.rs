//! From what devices bring back to the plain data of a trace.

use std::collections::BTreeMap;

use web_time::Instant;

use crate::engine::Engine;
use crate::error::Result;
use crate::graph::{Choice, What};
use crate::request::Resolved;
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

pub(super) fn fill_heads(
    forward: &mut Forward,
    engine: &Engine,
    heads: &BTreeMap<What, Vec<f32>>,
    picked: usize,
    has_first: bool,
) {
    let width = engine.spec.vocabulary;
    let logits = heads.get(&What::Logits).filter(|data| data.len() == picked * width);
    forward.logits = logits.map(|data| data.chunks(width).map(<[f32]>::to_vec).collect());
    let first = |what: What| -> Option<Vec<f32>> {
        let data = heads.get(&what).filter(|_| has_first && picked > 0)?;
        Some(data[..data.len() / picked].to_vec())
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
