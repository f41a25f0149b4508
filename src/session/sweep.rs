//! A batch of what-ifs, played together.

use std::collections::BTreeMap;

use serde::Deserialize;
use web_time::Instant;

use super::record::{Picked, fill_heads, timed};
use super::{Ready, stage};
use crate::device::cpu::{MOST, megabytes};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::graph::{Label, Site, Tap, What};
use crate::mask::MaskFile;
use crate::object::objects;
use crate::request::{Gates, Request, Resolved, StackInput, Watch};
use crate::stream::{Playing, Stream, is_per_head, keys_of, play, watched_labels};
use crate::trace::{Forward, Stats};

objects!(Variant);

/// A what-if: what it changes of the request.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Variant {
    /// Another text.
    pub text: Option<String>,
    /// Other ids.
    pub ids: Option<Vec<u32>>,
    /// Another answer so far.
    pub target_ids: Option<Vec<u32>>,
    /// Other masks.
    pub mask: Option<MaskFile>,
    /// Other gates.
    pub gates: Option<Gates>,
}

impl Variant {
    /// The request with what this changes.
    pub(super) fn of(&self, request: &Request) -> Request {
        let mut request = request.clone();
        if let Some(text) = &self.text {
            (request.text, request.ids) = (Some(text.clone()), None);
        }
        if let Some(ids) = &self.ids {
            (request.text, request.pair, request.ids) = (None, None, Some(ids.clone()));
        }
        if let Some(target_ids) = &self.target_ids {
            request.target_ids = target_ids.clone();
        }
        if let Some(mask) = &self.mask {
            request.mask = mask.clone();
        }
        if let Some(gates) = &self.gates {
            request.gates = gates.clone();
        }
        request
    }
}

/// Refuses what passes one after the other would tell, were all of it more than this program can hold: a play's own bound
/// knows of one pass.
pub(super) fn check_told(engine: &Engine, watch: &Watch, all: &[Resolved]) -> Result<()> {
    let bytes = all.iter().map(|resolved| bytes_told(engine, watch, resolved)).sum();
    if bytes <= MOST {
        return Ok(());
    }
    let what = format!("what is watched in {} variants", all.len());
    let expected = format!("at most {} (fewer variants, layers, heads or rows)", megabytes(MOST));
    Err(Error::limit(what, expected, megabytes(bytes)))
}

/// Bytes of what a pass tells: the watched numbers, and the masks that are told unasked.
fn bytes_told(engine: &Engine, watch: &Watch, resolved: &Resolved) -> u64 {
    const NUMBER: usize = size_of::<f32>();
    let (spec, transformer) = (&engine.spec, &engine.transformer);
    let rows_of = |input: &StackInput| watch.rows.among(input.ids.len()).len();
    let mut bytes = 0;
    for (graph, input) in
        [(&transformer.encoder, &resolved.encoder), (&transformer.decoder, &resolved.decoder)]
    {
        let (Some(graph), Some(input)) = (graph, input) else { continue };
        let mut row = input.ids.len() + input.memory;
        for label in watched_labels(graph, watch) {
            let heads = watch.heads.among(spec.stack(label.site).heads).len();
            row += NUMBER
                * match is_per_head(label.what) {
                    true => heads * keys_of(label.site, input),
                    false => graph.labelled(label).map_or(0, |value| graph.info(value).width),
                };
        }
        bytes += (rows_of(input) as u64) * (row as u64);
    }
    if watch.has(What::Logits) {
        bytes += (rows_of(resolved.output()) as u64) * ((NUMBER * spec.vocabulary) as u64);
    }
    bytes
}

/// All variants in one play a stack, with caches of their own.
pub(super) async fn sweep_together(
    engine: &Engine,
    request: &Request,
    all: &[Resolved],
) -> Result<Vec<Forward>> {
    let start = Instant::now();
    let spec = &engine.spec;
    let longest = all.iter().map(|resolved| {
        let rows = |input: &Option<StackInput>| input.as_ref().map_or(0, |i| i.ids.len());
        rows(&resolved.encoder).max(rows(&resolved.decoder))
    });
    let mut ready = Ready::new(engine, longest.max().unwrap_or(1), all.len()).await?;
    let mut forwards: Vec<Forward> = vec![Forward::default(); all.len()];
    let mut stats = Stats::default();
    for (site, graph) in
        [(Site::Encoder, &engine.transformer.encoder), (Site::Decoder, &engine.transformer.decoder)]
    {
        let Some(graph) = graph else { continue };
        let prepared = match site {
            Site::Encoder => &mut ready.encoder,
            _ => &mut ready.decoder,
        };
        let Some(prepared) = prepared else { continue };
        let inputs: Vec<&StackInput> = all
            .iter()
            .filter_map(|resolved| match site {
                Site::Encoder => resolved.encoder.as_ref(),
                _ => resolved.decoder.as_ref(),
            })
            .collect();
        let rows: Vec<usize> = (0..inputs[0].ids.len()).collect();
        let shown = request.watch.rows.among(rows.len());
        let is_output = site == spec.architecture.output_site();
        let heads_of = is_output.then(|| Picked::new(engine, &request.watch, rows.len()));
        let picked: Vec<u32> =
            heads_of.iter().flat_map(|of| &of.rows).map(|row| *row as u32).collect();
        let labels = watched_labels(graph, &request.watch);
        let heads = request.watch.heads.among(spec.stack(site).heads);
        let told: Vec<u32> = shown.iter().map(|row| *row as u32).collect();
        let mut taps: Vec<Tap> = Vec::new();
        for label in labels.iter().filter(|_| !told.is_empty()) {
            let heads = match is_per_head(label.what) {
                true => heads.iter().map(|head| *head as u32).collect(),
                false => Vec::new(),
            };
            taps.push(Tap { label: *label, heads, rows: told.clone() });
        }
        let mut outputs = Vec::new();
        if is_output {
            for what in [What::Pair, What::Replaced, What::Classes, What::Logits] {
                let label = Label { what, site, layer: 0 };
                let wanted = what != What::Logits || request.watch.has(What::Logits);
                if wanted && graph.labelled(label).is_some() {
                    outputs.push(what);
                    let rows = (0..picked.len() as u32).collect();
                    taps.push(Tap { label, heads: Vec::new(), rows });
                }
            }
        }
        let playing =
            Playing { rows: &rows, picked: &picked, taps: &taps, draws: &[], candidates: 0 };
        let mut stage = stage(engine, graph, prepared, &mut ready.caches);
        let played = play(&mut stage, site, &inputs, &playing).await?;
        stats.dispatches += played.counters.dispatches;
        stats.submits += played.counters.submits;
        stats.readbacks += played.counters.readbacks;
        stats.rows_computed += rows.len() * inputs.len();
        for (variant, (forward, input)) in forwards.iter_mut().zip(&inputs).enumerate() {
            let mut stream = Stream::new(site);
            let part = |data: &[f32]| {
                let length = data.len() / inputs.len();
                data[variant * length..(variant + 1) * length].to_vec()
            };
            let mut results = played.taps.iter().map(|data| part(data));
            stream.remember(&labels, &heads, &shown, &mut results);
            stream.report(spec, graph, &request.watch, input, &shown, &mut forward.watched);
            let others: BTreeMap<What, Vec<f32>> = outputs.iter().copied().zip(results).collect();
            if let Some(picked) = &heads_of {
                fill_heads(forward, engine, &others, picked);
            }
        }
    }
    let stats = timed(stats, start);
    for forward in &mut forwards {
        forward.stats = stats;
    }
    Ok(forwards)
}
