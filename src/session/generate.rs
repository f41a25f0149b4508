//! The next token, and the next: one step at a time for whoever asks, but on a GPU the steps that follow are
//! begun before this one is read.
//!
//! Where nobody watches, several steps share a submit and a readback, the more the longer the run. Where
//! somebody does, each step has its own, and the GPU still never waits for a step to be read.

use web_time::Instant;

use super::record::{add, new_step, timed};
use super::{CANDIDATES, MOST_CANDIDATES, Run, Session, not_ready, stage};
use crate::engine::Engine;
use crate::error::Result;
use crate::graph::{Draw, What};
use crate::request::{Select, StackInput};
use crate::stream::{Advance, Ahead, Ask, longer};
use crate::trace::{Stats, Step};

impl Session {
    pub(super) async fn generate(
        &mut self,
        engine: &Engine,
        run: &mut Run,
    ) -> Result<Option<Step>> {
        if run.waiting.is_empty() {
            if run.steps_left == 0 {
                return Ok(None);
            }
            run.waiting = self.steps(engine, run).await?;
            run.waiting.reverse();
        }
        let step = run.waiting.pop();
        if let Some(step) = &step {
            run.ended = step.ended.is_some();
            run.resolved.output_mut().ids.push(step.chosen);
        }
        Ok(step)
    }

    /// One step or several, as far as the run goes.
    async fn steps(&mut self, engine: &Engine, run: &mut Run) -> Result<Vec<Step>> {
        let start = Instant::now();
        self.make_ready(engine, &run.resolved).await?;
        let mut read = Stats::default();
        if run.resolved.encoder.is_some() && self.encoder.is_empty() {
            // The answer outgrew its caches, or they were given back, and the memory went with them.
            read = self.read_source(engine, &run.request, &run.resolved).await?.0.stats;
        }
        let input = run.resolved.output().clone();
        let Some(row) = input.ids.len().checked_sub(1) else { return Ok(Vec::new()) };
        let advances = match self.under_way(engine, run, &input).await? {
            Some(current) => self.run_ahead(engine, run, &input, current).await?,
            None => {
                let mut request = run.request.clone();
                request.watch.rows = Select::These(watched_rows(engine, run, row));
                let draws = [run.request.sampling.draw(row)];
                let picked = [row];
                vec![
                    self.read_output(engine, &request, &run.resolved, &picked, &draws, &[])
                        .await?
                        .0,
                ]
            }
        };
        let together = advances.len() as f64;
        let mut steps = Vec::with_capacity(advances.len());
        for (row, advance) in (row..).zip(advances) {
            let mut step = self.step(engine, run, &input, row, advance, &steps)?;
            add(&mut step.stats, std::mem::take(&mut read));
            step.stats = timed(step.stats, start);
            step.stats.milliseconds /= together;
            let ended = step.ended.is_some();
            steps.push(step);
            if ended {
                // What was begun behind the end is never read.
                run.ahead = None;
                break;
            }
        }
        Ok(steps)
    }

    /// A step as it is told.
    fn step(
        &self,
        engine: &Engine,
        run: &mut Run,
        input: &StackInput,
        row: usize,
        advance: Advance,
        before: &[Step],
    ) -> Result<Step> {
        let Some(choice) = advance.choices.first() else { return Err(not_ready()) };
        let mut step = new_step(engine, row, choice);
        step.rows = watched_rows(engine, run, row);
        run.first = false;
        run.steps_left -= 1;
        step.ended = why_ended(engine, run, row, choice.id);
        if run.request.watch.has(What::Logits) {
            step.logits = advance.heads.get(&What::Logits).cloned();
        }
        let mut input = input.clone();
        input.ids.extend(before.iter().map(|step| step.chosen));
        let mut watch = run.request.watch.clone();
        watch.rows = Select::These(step.rows.clone());
        let graph = engine.transformer.output();
        self.decoder.report(&engine.spec, graph, &watch, &input, &step.rows, &mut step.watched);
        step.stats = advance.stats;
        Ok(step)
    }

    // ---- running ahead ----------------------------------------------------------------------

    /// The steps from the input's last row on: those begun before, or begun now. `None` where that row cannot be
    /// computed alone, where more than that row is told, or on a device that gains nothing.
    async fn under_way(
        &mut self,
        engine: &Engine,
        run: &mut Run,
        input: &StackInput,
    ) -> Result<Option<Ahead>> {
        if let Some(ahead) = run.ahead.take()
            && ahead.rows.start + 1 == input.ids.len()
        {
            return Ok(Some(ahead));
        }
        // The first step tells of every row, and what is held need not have been watched.
        let tells_all = run.first && !run.request.watch.what.is_empty();
        if tells_all
            || engine.device.steps_together() == 0
            || !self.decoder.is_one_row_behind(&engine.spec, input, self.memory_version)
        {
            return Ok(None);
        }
        self.begin_steps(engine, run, input, None).await
    }

    /// Begins what comes after the current steps, then waits for those.
    async fn run_ahead(
        &mut self,
        engine: &Engine,
        run: &mut Run,
        input: &StackInput,
        current: Ahead,
    ) -> Result<Vec<Advance>> {
        let next = longer(input, current.rows.len());
        run.ahead = self.begin_steps(engine, run, &next, Some(&current)).await?;
        let Some(ready) = &mut self.ready else { return Err(not_ready()) };
        let Some(prepared) = &mut ready.decoder else { return Err(not_ready()) };
        let graph = engine.transformer.output();
        let mut stage = stage(engine, graph, prepared, &mut ready.caches);
        self.decoder.finish(&mut stage, input.clone(), current).await
    }

    /// Begins steps of which the first computes the last row of `input`; `None` where there is nothing to begin.
    async fn begin_steps(
        &mut self,
        engine: &Engine,
        run: &mut Run,
        input: &StackInput,
        after: Option<&Ahead>,
    ) -> Result<Option<Ahead>> {
        let Some(ready) = &mut self.ready else { return Err(not_ready()) };
        let Some(prepared) = &mut ready.decoder else { return Err(not_ready()) };
        let first = input.ids.len() - 1;
        let mut before = input.clone();
        before.ids.pop();
        // A step that is watched is wanted as soon as it is there.
        let candidates = run.request.candidates.unwrap_or(CANDIDATES).min(engine.spec.vocabulary);
        let together = match run.request.watch.what.is_empty() {
            true => (2 * run.together).clamp(1, engine.device.steps_together()),
            false => 1,
        };
        let left = run.steps_left.saturating_sub(after.map_or(0, |after| after.rows.len()));
        let room = ready.capacity.rows.saturating_sub(first);
        let told = (MOST_CANDIDATES / candidates.max(1)).max(1);
        let most = together.min(left).min(room).min(told);
        let count = self.decoder.run_of_single_rows(&engine.spec, &before, most);
        if count == 0 {
            return Ok(None);
        }
        run.together = count;
        let draw = |row: usize| run.request.sampling.draw(row);
        let draws: Vec<Draw> = (first..first + count).map(draw).collect();
        let ask = Ask {
            picked: &[],
            draws: &draws,
            candidates,
            watch: &run.request.watch,
            heads: &[],
            memory_version: self.memory_version,
        };
        let graph = engine.transformer.output();
        let mut stage = stage(engine, graph, prepared, &mut ready.caches);
        self.decoder.begin(&mut stage, input, after, &draws, &ask).await.map(Some)
    }
}

/// Why a run ends with this token, which its last row chose.
pub(super) fn why_ended(
    engine: &Engine,
    run: &Run,
    row: usize,
    chosen: u32,
) -> Option<&'static str> {
    let spec = &engine.spec;
    if spec.special.eos == Some(chosen) || spec.template.ends.contains(&chosen) {
        Some("eos")
    } else if row + 2 > spec.max_positions {
        Some("context")
    } else if run.steps_left == 0 {
        Some("length")
    } else {
        None
    }
}

/// The rows that a step tells of: after the first one only what is new, the caller has the rest. Where a mask lets
/// earlier rows see the new one all of them are.
fn watched_rows(engine: &Engine, run: &Run, row: usize) -> Vec<usize> {
    let asked = &run.request.watch.rows;
    let stack = engine.spec.output_stack();
    let mask = run.resolved.output().mask.cells();
    if run.first || (0..row).any(|earlier| mask.any(earlier, row, stack.layers, stack.heads)) {
        return asked.among(row + 1);
    }
    (row..=row).filter(|row| asked.has(*row)).collect()
}
