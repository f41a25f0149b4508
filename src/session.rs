//! The loops: one forward pass, a continuation, a translation, filled blanks, a sweep of what-ifs.
//!
//! A [`Session`] owns the caches. Whatever a request shares with the one before is not computed
//! again: that is how forcing a token, stepping back and painting a cell stay quick.

mod generate;
mod record;
mod sweep;

use std::collections::BTreeMap;

use serde::Deserialize;
use web_time::Instant;

use crate::device::{Caches, Prepared};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::graph::{CacheInfo, Capacity, Draw, Graph, Site, What};
use crate::mask::{Bits, Mask, Reach, Sight};
use crate::object::objects;
use crate::request::{Fill, NEW_TOKENS, Request, Resolved, StackInput, Watch, Watchable, resolve};
use crate::stream::{Advance, Ahead, Ask, Stage, Stream, drawn, is_drawable, keys_of, mask_of};
use crate::trace::{Forward, MaskPicture, Stats, Step, Trace, Watched};

use generate::why_ended;
use record::{Picked, add, fill_heads, header, merge, new_step, text, timed};
use sweep::{check_told, sweep_together};

pub use sweep::Variant;

objects!(Taken);

/// Candidates that come with a step where the request does not say.
const CANDIDATES: usize = 10;
/// Candidates that one pass may tell of: each comes with its text.
const MOST_CANDIDATES: usize = 1 << 20;
/// Tokens of a text of which it is told who can know what: the work grows with their cube.
const MOST_REACHING: usize = 1024;
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
    /// Rows of an encoder that are still to be filled: what a step puts there may be [MASK] again.
    blanks: Vec<usize>,
    /// Steps already known, the next one last: blanks filled in one pass, steps computed together.
    waiting: Vec<Step>,
    /// Steps that the GPU is computing.
    ahead: Option<Ahead>,
    /// How many steps were last begun together.
    together: usize,
    ended: bool,
    /// Why the step after the told ones failed; told next.
    failed: Option<Error>,
}

impl Run {
    /// Fills a blank.
    fn fill(&mut self, row: usize, id: u32) {
        self.resolved.output_mut().ids[row] = id;
        self.blanks.retain(|blank| *blank != row);
    }
}

/// A step that a run took before its engine was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Taken {
    /// Its row.
    pub row: usize,
    /// What it chose.
    pub chosen: u32,
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
        if engine.spec.head.is_none() {
            let expected = "a model with a head over its vocabulary (ask this one for a pass)";
            return Err(Error::input("steps", expected, "a model without"));
        }
        let resolved = resolve(&engine.spec, &engine.tokenizer, request)?;
        let mut trace = header(engine, &resolved);
        let mut forward = Forward::default();
        let start = Instant::now();
        if resolved.decoder.is_some() && resolved.encoder.is_some() {
            self.make_ready(engine, &resolved).await?;
            let (advance, watched) = self.read_source(engine, request, &resolved).await?;
            forward.stats = timed(advance.stats, start);
            forward.watched = watched;
        } else {
            let input = resolved.output();
            let site = engine.spec.architecture.output_site();
            let count = input.ids.len();
            let (layer, head) = drawn(engine.spec.stack(site), &request.watch);
            if is_drawable(count, count) {
                let picture = input.mask.picture(layer, head, 0..count, count);
                forward.watched.mask.insert(site.name(), picture);
            }
        }
        trace.forward = Some(forward);
        trace.text = Some(text(engine, &resolved)?);
        let room = engine.spec.max_positions;
        let steps_left = request.max_new_tokens.unwrap_or(NEW_TOKENS).min(room);
        let (ids, mask) = (&resolved.output().ids, engine.spec.special.mask);
        let is_blank = |row: &usize| !engine.spec.generates() && Some(ids[*row]) == mask;
        let is_wanted = |row: &usize| request.blanks.as_ref().is_none_or(|all| all.contains(row));
        let blanks = (0..ids.len()).filter(is_blank).filter(is_wanted).collect();
        self.run = Some(Run {
            request: request.clone(),
            resolved,
            steps_left,
            first: true,
            blanks,
            waiting: Vec::new(),
            ahead: None,
            together: 0,
            ended: false,
            failed: None,
        });
        Ok(trace)
    }

    /// Begins a run that another engine had begun and lost, where it was: these steps are taken, not
    /// drawn again, so what follows continues what a reader has or is about to be handed.
    pub async fn resume(
        &mut self,
        engine: &Engine,
        request: &Request,
        taken: &[Taken],
    ) -> Result<Trace> {
        let trace = self.begin(engine, request).await?;
        if !engine.spec.generates() && request.fill == Fill::Parallel {
            // All blanks come from one pass over the text as it was.
            for _ in taken {
                self.next(engine).await?;
            }
        }
        let Some(run) = &mut self.run else { return Err(not_ready()) };
        for Taken { row, chosen } in taken {
            let ids = &mut run.resolved.output_mut().ids;
            let fits = match engine.spec.generates() {
                true => row + 1 == ids.len() && run.steps_left > 0,
                false => *row < ids.len(),
            };
            if !fits || *chosen as usize >= engine.spec.vocabulary {
                let got = format!("token {chosen} at row {row} of {}", ids.len());
                return Err(Error::input("steps taken", "those of this run", got));
            }
            if engine.spec.generates() {
                ids.push(*chosen);
                run.first = false;
                run.steps_left -= 1;
                run.ended = why_ended(engine, run, *row, *chosen).is_some();
            } else {
                run.fill(*row, *chosen);
            }
        }
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
            true => self.generate(engine, &mut run).await,
            false => self.fill(engine, &mut run).await,
        };
        // A step that failed has taken nothing: it can be asked for again.
        self.run = Some(run);
        step
    }

    /// The next steps of the run: one, and more until so many milliseconds have passed; none at its end.
    pub async fn next_within(&mut self, engine: &Engine, milliseconds: f64) -> Result<Vec<Step>> {
        if let Some(error) = self.run.as_mut().and_then(|run| run.failed.take()) {
            return Err(error);
        }
        let start = Instant::now();
        let spent = || start.elapsed().as_secs_f64() * 1e3;
        let mut steps = Vec::new();
        loop {
            let before = spent();
            match self.next(engine).await {
                Ok(Some(step)) => steps.push(step),
                Ok(None) => return Ok(steps),
                Err(error) if steps.is_empty() => return Err(error),
                Err(error) => {
                    // Those before it come first. It is kept: a device tells some errors once.
                    if let Some(run) = &mut self.run {
                        run.failed = Some(error);
                    }
                    return Ok(steps);
                }
            }
            // A step that is there does not wait for one that would come too late.
            let is_ready = self.run.as_ref().is_some_and(|run| !run.waiting.is_empty());
            let next = if is_ready { 0.0 } else { spent() - before };
            if spent() + next >= milliseconds {
                return Ok(steps);
            }
        }
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
            let rows = |input: &Option<StackInput>| {
                input.as_ref().map(|i| (i.ids.len(), i.memory, i.blank))
            };
            (rows(&resolved.encoder), rows(&resolved.decoder))
        };
        let together = all.iter().all(|resolved| shape(resolved) == shape(&all[0]));
        if together && !all.is_empty() {
            trace.variants = sweep_together(engine, request, &all).await?;
        } else {
            check_told(engine, &request.watch, &all)?;
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
            let mask = mask_of(site, input);
            let keys = keys_of(site, input);
            let trained = spec.architecture.rule(site, resolved.source_length);
            let rows = input.ids.len();
            let (layer, head) = drawn(stack, &request.watch);
            let plain: Mask = trained.clone().into();
            let all: Vec<usize> = (0..rows).collect();
            let bits = |mask: &Mask| mask.bits(&all, keys, stack.layers, stack.heads);
            pictures.insert(
                site.name(),
                MaskPicture {
                    rows: mask.picture(layer, head, 0..rows, keys),
                    rule: mask.rule.to_string(),
                    trained_rule: trained.to_string(),
                    trained: bits(mask) == bits(&plain),
                },
            );
        }
        Ok(pictures)
    }

    /// What each row can know of each token, a site each: `[row][token]`, the number of layers after which its state can hold
    /// something of it. 0 is itself, `None` is never. Of `cross` the tokens are the source's, through memory and answer.
    pub fn reach(
        &self,
        engine: &Engine,
        request: &Request,
    ) -> Result<BTreeMap<&'static str, Vec<Vec<Option<u32>>>>> {
        let spec = &engine.spec;
        let resolved = resolve(spec, &engine.tokenizer, request)?;
        let bits = |site: Site, input: &StackInput| -> Result<Bits> {
            let (rows, keys, stack) = (input.ids.len(), keys_of(site, input), spec.stack(site));
            if rows.max(keys) > MOST_REACHING {
                let expected = format!("at most {MOST_REACHING} tokens");
                return Err(Error::limit(
                    "who can know what",
                    expected,
                    format!("{}", rows.max(keys)),
                ));
            }
            let all: Vec<usize> = (0..rows).collect();
            Ok(mask_of(site, input).bits(&all, keys, stack.layers, stack.heads))
        };
        let mut reaches = BTreeMap::new();
        let mut memory = None;
        if let Some(input) = &resolved.encoder {
            let own = bits(Site::Encoder, input)?;
            memory = Some(Reach::within(Sight { bits: &own, gates: &input.gates }));
        }
        if let Some(input) = &resolved.decoder {
            let own = bits(Site::Decoder, input)?;
            let own = Sight { bits: &own, gates: &input.gates };
            match &memory {
                None => drop(reaches.insert(Site::Decoder.name(), Reach::within(own).layers)),
                Some(memory) => {
                    let cross = bits(Site::Cross, input)?;
                    let cross = Sight { bits: &cross, gates: &input.cross_gates };
                    let (target, source) = Reach::across(own, cross, memory);
                    reaches.insert(Site::Decoder.name(), target.layers);
                    reaches.insert(Site::Cross.name(), source.layers);
                }
            }
        }
        reaches.extend(memory.map(|memory| (Site::Encoder.name(), memory.layers)));
        Ok(reaches)
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
        let picked = Picked::new(engine, &request.watch, count);
        let heads = [What::Pair, What::Replaced, What::Classes];
        let mut forward = Forward::default();
        let mut total = Stats::default();
        if resolved.encoder.is_some() && resolved.decoder.is_some() {
            let (advance, watched) = self.read_source(engine, request, resolved).await?;
            forward.watched = watched;
            add(&mut total, advance.stats);
        }
        let (advance, watched) =
            self.read_output(engine, request, resolved, &picked.rows, &[], &heads).await?;
        merge(&mut forward.watched, watched);
        add(&mut total, advance.stats);
        fill_heads(&mut forward, engine, &advance.heads, &picked);
        forward.stats = timed(total, start);
        Ok(forward)
    }

    /// Brings the encoder of an encoder-decoder to the source; the memory's keys and values with it.
    async fn read_source(
        &mut self,
        engine: &Engine,
        request: &Request,
        resolved: &Resolved,
    ) -> Result<(Advance, Watched)> {
        let (Some(ready), Some(input)) = (&mut self.ready, &resolved.encoder) else {
            return Err(not_ready());
        };
        let (Some(graph), Some(prepared)) = (&engine.transformer.encoder, &mut ready.encoder)
        else {
            return Err(not_ready());
        };
        let watch = &request.watch;
        let ask =
            Ask { picked: &[], draws: &[], candidates: 0, watch, heads: &[], memory_version: 0 };
        let mut stage = stage(engine, graph, prepared, &mut ready.caches);
        let advance = self.encoder.advance(&mut stage, input, ask).await?;
        if advance.changed {
            self.memory_version += 1;
        }
        let rows = watch.rows.among(input.ids.len());
        let mut watched = Watched::default();
        self.encoder.report(&engine.spec, graph, watch, input, &rows, &mut watched);
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
        if draws.len().saturating_mul(candidates) > MOST_CANDIDATES {
            let expected = format!("at most {MOST_CANDIDATES} in all (fewer of them, or blanks)");
            let got = format!("{candidates} for each of {} tokens", draws.len());
            return Err(Error::limit("candidates", expected, got));
        }
        let memory_version = self.memory_version;
        let ask = Ask { picked, draws, candidates, watch, heads, memory_version };
        let mut stage = stage(engine, graph, prepared, &mut ready.caches);
        let advance = stream.advance(&mut stage, input, ask).await?;
        let rows = watch.rows.among(input.ids.len());
        let mut watched = Watched::default();
        stream.report(&engine.spec, graph, watch, input, &rows, &mut watched);
        Ok((advance, watched))
    }

    // ---- steps ------------------------------------------------------------------------------

    async fn fill(&mut self, engine: &Engine, run: &mut Run) -> Result<Option<Step>> {
        if let Some(step) = run.waiting.pop() {
            run.ended = run.waiting.is_empty() && run.request.fill == Fill::Parallel;
            run.fill(step.row, step.chosen);
            return Ok(Some(step));
        }
        if engine.spec.special.mask.is_none() {
            return Err(Error::input("blanks", "a model with a [MASK] token", "one without"));
        }
        let start = Instant::now();
        let blanks = run.blanks.clone();
        if blanks.is_empty() {
            return Ok(None);
        }
        self.make_ready(engine, &run.resolved).await?;
        let draws: Vec<Draw> = blanks.iter().map(|row| run.request.sampling.draw(*row)).collect();
        let (advance, watched) =
            self.read_output(engine, &run.request, &run.resolved, &blanks, &draws, &[]).await?;
        let rows = run.request.watch.rows.among(run.resolved.output().ids.len());
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
            run.fill(step.row, step.chosen);
        }
        Ok(step)
    }

    // ---- capacity ---------------------------------------------------------------------------

    /// Gives graphs and caches back. The next call makes them again and reads its input anew; a begun
    /// run goes on.
    pub fn rest(&mut self) {
        self.ready = None;
        self.encoder.forget();
        self.decoder.forget();
        if let Some(run) = &mut self.run {
            run.ahead = None;
        }
    }

    async fn make_ready(&mut self, engine: &Engine, resolved: &Resolved) -> Result<()> {
        let longest = |input: &Option<StackInput>| input.as_ref().map_or(0, |i| i.ids.len());
        let need = longest(&resolved.encoder).max(longest(&resolved.decoder));
        if self.ready.as_ref().is_some_and(|ready| ready.capacity.rows >= need) {
            return Ok(());
        }
        self.rest();
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

fn stage<'a>(
    engine: &'a Engine,
    graph: &'a Graph,
    prepared: &'a mut Prepared,
    caches: &'a mut Caches,
) -> Stage<'a> {
    Stage { device: &engine.device, spec: &engine.spec, graph, prepared, caches }
}

fn not_ready() -> Error {
    Error::device("session", "a prepared graph", "none")
}

/// The watch set of a request that names none: attention of every layer and head.
pub fn default_watch() -> Watch {
    Watch { what: vec![Watchable::Attention], ..Watch::default() }
}
