//! The loops: one forward pass, a continuation, a translation, filled blanks, a sweep of what-ifs.
//!
//! A [`Session`] owns the caches. Whatever a request shares with the one before is not computed
//! again: that is how forcing a token, stepping back and painting a cell stay quick.

use std::collections::BTreeMap;

use serde::Deserialize;
use web_time::Instant;

use crate::device::{Caches, Prepared};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::graph::{CacheInfo, Capacity, Choice, Draw, Graph, Label, Site, Tap, What};
use crate::mask::MaskFile;
use crate::request::{Fill, Gates, Request, Resolved, StackInput, Watch, Watchable, resolve};
use crate::stream::{Advance, Ask, Playing, Stage, Stream, is_per_head, play, watched_labels};
use crate::trace::{
    self, Candidate, Forward, MaskPicture, OutputHeads, Stats, Step, Trace, Watched,
};

/// Candidates that come with a step where the request does not say.
const CANDIDATES: usize = 10;
/// New tokens where the request does not say.
const NEW_TOKENS: usize = 32;
/// Caches are made for a multiple of this many positions.
const CAPACITY_STEP: usize = 128;

/// A person's run with a model: its caches, and what they hold.
#[derive(Debug)]
pub struct Session {
    ready: Option<Ready>,
    encoder: Stream,
    decoder: Stream,
    memory_version: u64,
    run: Option<Run>,
}

/// Graphs prepared, and caches, for a capacity.
#[derive(Debug)]
struct Ready {
    capacity: Capacity,
    encoder: Option<Prepared>,
    decoder: Option<Prepared>,
    caches: Caches,
}

/// A run between two steps.
#[derive(Debug)]
struct Run {
    request: Request,
    resolved: Resolved,
    steps_left: usize,
    first: bool,
    /// Steps already known: blanks filled in one pass.
    waiting: Vec<Step>,
    ended: bool,
}

/// A what-if: what it changes of the request.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
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
    fn of(&self, request: &Request) -> Request {
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

impl Default for Session {
    fn default() -> Session {
        Session::new()
    }
}

impl Session {
    /// Nothing held yet.
    pub fn new() -> Session {
        Session {
            ready: None,
            encoder: Stream::new(Site::Encoder),
            decoder: Stream::new(Site::Decoder),
            memory_version: 0,
            run: None,
        }
    }

    /// One forward pass over the whole input.
    pub async fn forward(&mut self, engine: &Engine, request: &Request) -> Result<Trace> {
        self.run = None;
        let resolved = resolve(&engine.spec, &engine.tokenizer, request)?;
        let forward = self.pass(engine, request, &resolved).await?;
        let mut trace = header(engine, &resolved);
        trace.text = Some(text(engine, &resolved)?);
        trace.forward = Some(forward);
        Ok(trace)
    }

    /// Begins a run: reads what can be read before the first step (an encoder-decoder's source),
    /// and says what the input is. Then call [`Session::next`] until it gives `None`.
    pub async fn begin(&mut self, engine: &Engine, request: &Request) -> Result<Trace> {
        self.run = None;
        let resolved = resolve(&engine.spec, &engine.tokenizer, request)?;
        let mut trace = header(engine, &resolved);
        let mut forward = Forward::default();
        let start = Instant::now();
        if resolved.decoder.is_some() && resolved.encoder.is_some() {
            self.make_ready(engine, &resolved).await?;
            let (advance, watched) = self.read_source(engine, request, &resolved, &[]).await?;
            forward.stats = timed(advance.stats, start);
            forward.watched = watched;
        } else {
            let input = resolved.output();
            let site = engine.spec.architecture.output_site();
            let count = input.ids.len();
            let picture = input.mask.picture(0, 0, 0..count, count);
            forward.watched.mask.insert(site.name(), picture);
        }
        trace.forward = Some(forward);
        trace.text = Some(text(engine, &resolved)?);
        let room = engine.spec.max_positions;
        let steps_left = request.max_new_tokens.unwrap_or(NEW_TOKENS).min(room);
        self.run = Some(Run {
            request: request.clone(),
            resolved,
            steps_left,
            first: true,
            waiting: Vec::new(),
            ended: false,
        });
        Ok(trace)
    }

    /// The next step of the run, or `None` at its end.
    pub async fn next(&mut self, engine: &Engine) -> Result<Option<Step>> {
        let Some(mut run) = self.run.take() else { return Ok(None) };
        if run.ended {
            self.run = Some(run);
            return Ok(None);
        }
        let step = match engine.spec.generates() {
            true => self.generate(engine, &mut run).await?,
            false => self.fill(engine, &mut run).await?,
        };
        self.run = Some(run);
        Ok(step)
    }

    /// The answer of the run so far, as text.
    pub fn text(&self, engine: &Engine) -> Result<Option<String>> {
        self.run.as_ref().map(|run| text(engine, &run.resolved)).transpose()
    }

    /// One forward pass a variant, all in one play where their shapes agree.
    pub async fn sweep(
        &mut self,
        engine: &Engine,
        request: &Request,
        variants: &[Variant],
    ) -> Result<Trace> {
        self.run = None;
        let resolved = resolve(&engine.spec, &engine.tokenizer, request)?;
        let mut trace = header(engine, &resolved);
        let requests: Vec<Request> = variants.iter().map(|variant| variant.of(request)).collect();
        let all = requests
            .iter()
            .map(|request| resolve(&engine.spec, &engine.tokenizer, request))
            .collect::<Result<Vec<Resolved>>>()?;
        let shape = |resolved: &Resolved| {
            let rows = |input: &Option<StackInput>| input.as_ref().map(|i| (i.ids.len(), i.memory));
            (rows(&resolved.encoder), rows(&resolved.decoder))
        };
        let together = all.iter().all(|resolved| shape(resolved) == shape(&all[0]));
        if together && !all.is_empty() {
            trace.variants = sweep_together(engine, request, &all).await?;
        } else {
            for (request, resolved) in requests.iter().zip(&all) {
                trace.variants.push(self.pass(engine, request, resolved).await?);
            }
        }
        Ok(trace)
    }

    /// The masks of a request, as the page draws them: at the first watched layer and head.
    pub fn mask_picture(
        &self,
        engine: &Engine,
        request: &Request,
    ) -> Result<BTreeMap<&'static str, MaskPicture>> {
        let spec = &engine.spec;
        let resolved = resolve(spec, &engine.tokenizer, request)?;
        let mut pictures = BTreeMap::new();
        for site in spec.sites() {
            let input = match site {
                Site::Encoder => &resolved.encoder,
                _ => &resolved.decoder,
            };
            let Some(input) = input else { continue };
            let stack = spec.stack(site);
            let mask = crate::stream::mask_of(site, input);
            let keys = crate::stream::keys_of(site, input);
            let trained = spec.architecture.rule(site, resolved.source_length);
            let rows = input.ids.len();
            let layer = request.watch.layers.among(stack.layers, "layer")?;
            let head = request.watch.heads.among(stack.heads, "head")?;
            let (layer, head) = (layer.first().copied(), head.first().copied());
            let plain: crate::mask::Mask = trained.clone().into();
            let all: Vec<usize> = (0..rows).collect();
            let bits = |mask: &crate::mask::Mask| mask.bits(&all, keys, stack.layers, stack.heads);
            pictures.insert(
                site.name(),
                MaskPicture {
                    rows: mask.picture(layer.unwrap_or(0), head.unwrap_or(0), 0..rows, keys),
                    rule: mask.rule.to_string(),
                    trained_rule: trained.to_string(),
                    trained: bits(mask) == bits(&plain),
                },
            );
        }
        Ok(pictures)
    }

    // ---- one pass ---------------------------------------------------------------------------

    async fn pass(
        &mut self,
        engine: &Engine,
        request: &Request,
        resolved: &Resolved,
    ) -> Result<Forward> {
        let start = Instant::now();
        self.make_ready(engine, resolved).await?;
        let count = resolved.output().ids.len();
        let picked: Vec<usize> = match request.watch.has(What::Logits) {
            true => request.watch.rows.among(count, "row")?,
            false => vec![0],
        };
        let heads = [What::Pair, What::Replaced, What::Classes];
        let mut forward = Forward::default();
        let mut total = Stats::default();
        if resolved.encoder.is_some() && resolved.decoder.is_some() {
            let (advance, watched) = self.read_source(engine, request, resolved, &[]).await?;
            forward.watched = watched;
            add(&mut total, advance.stats);
        }
        let (advance, watched) =
            self.read_output(engine, request, resolved, &picked, &[], &heads).await?;
        merge(&mut forward.watched, watched);
        add(&mut total, advance.stats);
        fill_heads(&mut forward, engine, &advance.heads, picked.len(), picked.contains(&0));
        forward.stats = timed(total, start);
        Ok(forward)
    }

    /// Brings the encoder of an encoder-decoder to the source; the memory's keys and values with it.
    async fn read_source(
        &mut self,
        engine: &Engine,
        request: &Request,
        resolved: &Resolved,
        picked: &[usize],
    ) -> Result<(Advance, Watched)> {
        let (Some(ready), Some(input)) = (&mut self.ready, &resolved.encoder) else {
            return Err(not_ready());
        };
        let (Some(graph), Some(prepared)) = (&engine.transformer.encoder, &mut ready.encoder)
        else {
            return Err(not_ready());
        };
        let watch = &request.watch;
        let ask = Ask { picked, draws: &[], candidates: 0, watch, heads: &[], memory_version: 0 };
        let mut stage = stage(engine, graph, prepared, &mut ready.caches);
        let advance = self.encoder.advance(&mut stage, input, ask).await?;
        if advance.changed {
            self.memory_version += 1;
        }
        let rows: Vec<usize> = watch.rows.among(input.ids.len(), "row")?;
        let mut watched = Watched::default();
        self.encoder.report(&engine.spec, graph, watch, input, &rows, &mut watched)?;
        Ok((advance, watched))
    }

    /// Brings the stack that makes logits to its input.
    async fn read_output(
        &mut self,
        engine: &Engine,
        request: &Request,
        resolved: &Resolved,
        picked: &[usize],
        draws: &[Draw],
        heads: &[What],
    ) -> Result<(Advance, Watched)> {
        let Some(ready) = &mut self.ready else { return Err(not_ready()) };
        let graph = engine.transformer.output();
        let (stream, prepared) = match engine.spec.architecture.output_site() {
            Site::Encoder => (&mut self.encoder, &mut ready.encoder),
            _ => (&mut self.decoder, &mut ready.decoder),
        };
        let Some(prepared) = prepared else { return Err(not_ready()) };
        let input = resolved.output();
        let watch = &request.watch;
        let candidates = request.candidates.unwrap_or(CANDIDATES).min(engine.spec.vocabulary);
        let memory_version = self.memory_version;
        let ask = Ask { picked, draws, candidates, watch, heads, memory_version };
        let mut stage = stage(engine, graph, prepared, &mut ready.caches);
        let advance = stream.advance(&mut stage, input, ask).await?;
        let rows = watch.rows.among(input.ids.len(), "row")?;
        let mut watched = Watched::default();
        stream.report(&engine.spec, graph, watch, input, &rows, &mut watched)?;
        Ok((advance, watched))
    }

    // ---- steps ------------------------------------------------------------------------------

    async fn generate(&mut self, engine: &Engine, run: &mut Run) -> Result<Option<Step>> {
        if run.steps_left == 0 {
            return Ok(None);
        }
        let start = Instant::now();
        let count = run.resolved.output().ids.len();
        let Some(row) = count.checked_sub(1) else { return Ok(None) };
        self.make_ready(engine, &run.resolved).await?;
        let draws = [run.request.sampling.draw(row)];
        // After the first step only what is new is told: the caller has the rest.
        let mut request = run.request.clone();
        let asked = run.request.watch.rows.clone();
        let rows = match run.first {
            true => asked.among(count, "row")?,
            false => match asked {
                crate::request::Select::All => vec![row],
                crate::request::Select::These(these) => {
                    these.into_iter().filter(|asked| *asked == row).collect()
                }
            },
        };
        request.watch.rows = crate::request::Select::These(rows.clone());
        let (advance, watched) =
            self.read_output(engine, &request, &run.resolved, &[row], &draws, &[]).await?;
        let Some(choice) = advance.choices.first() else { return Err(not_ready()) };
        run.first = false;
        run.steps_left -= 1;
        let is_eos = engine.spec.special.eos == Some(choice.id);
        let ended = if is_eos {
            Some("eos")
        } else if count + 1 > engine.spec.max_positions {
            Some("context")
        } else if run.steps_left == 0 {
            Some("length")
        } else {
            None
        };
        run.ended = ended.is_some();
        run.resolved.output_mut().ids.push(choice.id);
        let mut step = new_step(engine, row, choice);
        if run.request.watch.has(What::Logits) {
            step.logits = advance.heads.get(&What::Logits).cloned();
        }
        step.rows = rows;
        step.watched = watched;
        step.ended = ended;
        step.stats = timed(advance.stats, start);
        Ok(Some(step))
    }

    async fn fill(&mut self, engine: &Engine, run: &mut Run) -> Result<Option<Step>> {
        if let Some(step) = run.waiting.pop() {
            run.ended = run.waiting.is_empty() && run.request.fill == Fill::Parallel;
            run.resolved.output_mut().ids[step.row] = step.chosen;
            return Ok(Some(step));
        }
        let Some(blank) = engine.spec.special.mask else {
            return Err(Error::input("blanks", "a model with a [MASK] token", "one without"));
        };
        let start = Instant::now();
        let ids = &run.resolved.output().ids;
        let blanks: Vec<usize> = (0..ids.len()).filter(|row| ids[*row] == blank).collect();
        if blanks.is_empty() {
            return Ok(None);
        }
        self.make_ready(engine, &run.resolved).await?;
        let draws: Vec<Draw> = blanks.iter().map(|row| run.request.sampling.draw(*row)).collect();
        let (advance, watched) =
            self.read_output(engine, &run.request, &run.resolved, &blanks, &draws, &[]).await?;
        let rows = run.request.watch.rows.among(run.resolved.output().ids.len(), "row")?;
        let logits = advance.heads.get(&What::Logits);
        let width = logits.map_or(0, |logits| logits.len() / blanks.len());
        let mut steps: Vec<Step> = Vec::with_capacity(blanks.len());
        for (index, (row, choice)) in blanks.iter().zip(&advance.choices).enumerate() {
            let mut step = new_step(engine, *row, choice);
            step.logits = logits.map(|all| all[index * width..(index + 1) * width].to_vec());
            steps.push(step);
        }
        if run.request.fill == Fill::Confidence {
            let surest = |a: &Step, b: &Step| a.probability.total_cmp(&b.probability);
            let best = (0..steps.len()).rev().max_by(|a, b| surest(&steps[*a], &steps[*b]));
            steps = vec![steps.swap_remove(best.unwrap_or(0))];
        }
        // The pass is told once, with the first of its steps.
        if let Some(first) = steps.first_mut() {
            first.rows = rows;
            first.watched = watched;
            first.stats = timed(advance.stats, start);
        }
        steps.reverse();
        let step = steps.pop();
        run.waiting = steps;
        run.ended =
            run.waiting.is_empty() && (run.request.fill == Fill::Parallel || blanks.len() == 1);
        if let Some(step) = &step {
            run.resolved.output_mut().ids[step.row] = step.chosen;
        }
        Ok(step)
    }

    // ---- capacity ---------------------------------------------------------------------------

    async fn make_ready(&mut self, engine: &Engine, resolved: &Resolved) -> Result<()> {
        let longest = |input: &Option<StackInput>| input.as_ref().map_or(0, |i| i.ids.len());
        let need = longest(&resolved.encoder).max(longest(&resolved.decoder));
        if self.ready.as_ref().is_some_and(|ready| ready.capacity.rows >= need) {
            return Ok(());
        }
        self.ready = None;
        self.encoder.forget();
        self.decoder.forget();
        let positions = need.next_multiple_of(CAPACITY_STEP).min(engine.spec.max_positions);
        self.ready = Some(Ready::new(engine, positions, 1).await?);
        Ok(())
    }
}

impl Ready {
    async fn new(engine: &Engine, positions: usize, variants: usize) -> Result<Ready> {
        let capacity = Capacity { rows: positions, keys: [positions; 3], variants };
        let mut shapes: Vec<CacheInfo> = Vec::new();
        for shape in engine.transformer.graphs().flat_map(Graph::caches) {
            if !shapes.contains(shape) {
                shapes.push(*shape);
            }
        }
        let caches = engine.device.caches(&shapes, capacity).await?;
        let (mut encoder, mut decoder) = (None, None);
        if let Some(graph) = &engine.transformer.encoder {
            encoder = Some(engine.device.prepare(&engine.weights, graph, capacity).await?);
        }
        if let Some(graph) = &engine.transformer.decoder {
            decoder = Some(engine.device.prepare(&engine.weights, graph, capacity).await?);
        }
        Ok(Ready { capacity, encoder, decoder, caches })
    }
}

/// All variants in one play a stack, with caches of their own.
async fn sweep_together(
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
        let shown = request.watch.rows.among(rows.len(), "row")?;
        let is_output = site == spec.architecture.output_site();
        let picked: Vec<u32> = match (is_output, request.watch.has(What::Logits)) {
            (true, true) => shown.iter().map(|row| *row as u32).collect(),
            (true, false) => vec![0],
            (false, _) => Vec::new(),
        };
        let labels = watched_labels(spec, graph, &request.watch)?;
        let heads = request.watch.heads.among(spec.stack(site).heads, "head")?;
        let all_rows: Vec<u32> = rows.iter().map(|row| *row as u32).collect();
        let mut taps: Vec<Tap> = Vec::new();
        for label in &labels {
            let heads = match is_per_head(label.what) {
                true => heads.iter().map(|head| *head as u32).collect(),
                false => Vec::new(),
            };
            taps.push(Tap { label: *label, heads, rows: all_rows.clone() });
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
            stream.remember(&labels, &heads, &rows, &mut results);
            stream.report(spec, graph, &request.watch, input, &shown, &mut forward.watched)?;
            let others: BTreeMap<What, Vec<f32>> = outputs.iter().copied().zip(results).collect();
            if is_output {
                fill_heads(forward, engine, &others, picked.len(), picked.contains(&0));
            }
        }
    }
    let stats = timed(stats, start);
    for forward in &mut forwards {
        forward.stats = stats;
    }
    Ok(forwards)
}

fn stage<'a>(
    engine: &'a Engine,
    graph: &'a Graph,
    prepared: &'a mut Prepared,
    caches: &'a mut Caches,
) -> Stage<'a> {
    Stage { device: &engine.device, spec: &engine.spec, graph, prepared, caches }
}

fn header(engine: &Engine, resolved: &Resolved) -> Trace {
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
fn text(engine: &Engine, resolved: &Resolved) -> Result<String> {
    let ids = &resolved.output().ids;
    let start = if engine.spec.generates() { resolved.answer_start().min(ids.len()) } else { 0 };
    let text = engine.tokenizer.decode(&ids[start..])?;
    Ok(text.trim_end_matches('\u{fffd}').to_string())
}

fn new_step(engine: &Engine, row: usize, choice: &Choice) -> Step {
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

fn fill_heads(
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

fn merge(into: &mut Watched, from: Watched) {
    into.layers = into.layers.take().or(from.layers);
    into.heads = into.heads.take().or(from.heads);
    into.attention.extend(from.attention);
    into.scores.extend(from.scores);
    into.queries.extend(from.queries);
    into.hidden.extend(from.hidden);
    into.mask.extend(from.mask);
    for (to, from) in [(&mut into.keys, from.keys), (&mut into.values, from.values)] {
        to.extend(from);
    }
}

fn add(total: &mut Stats, stats: Stats) {
    total.dispatches += stats.dispatches;
    total.submits += stats.submits;
    total.readbacks += stats.readbacks;
    total.rows_computed += stats.rows_computed;
}

fn timed(stats: Stats, start: Instant) -> Stats {
    Stats { milliseconds: start.elapsed().as_secs_f64() * 1e3, ..stats }
}

fn not_ready() -> Error {
    Error::device("session", "a prepared graph", "none")
}

/// The watch set of a request that names none: attention of every layer and head.
pub fn default_watch() -> Watch {
    Watch { what: vec![Watchable::Attention], ..Watch::default() }
}
