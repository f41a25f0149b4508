//! Steps that are begun before the one before them is read: each reads its id where the GPU left it.
//!
//! That is possible where a step computes its new row and nothing else, which masks and gates decide, not
//! ids. What was begun in vain (the run ended, or went another way) harms nothing: its rows lie behind the
//! rows that the cache is said to hold.

use std::ops::Range;

use super::inputs::{Inputs, Playing};
use super::{Advance, Ask, Stage, Stream, changed_rows, stats, watched_labels};
use crate::device::Begun;
use crate::error::Result;
use crate::graph::{Draw, Label, What};
use crate::request::StackInput;
use crate::spec::Spec;

/// Steps on their way.
#[derive(Debug)]
pub struct Ahead {
    /// The rows that they compute, one each.
    pub rows: Range<usize>,
    begun: Begun,
    labels: Vec<Label>,
    heads: Vec<usize>,
    outputs: Vec<What>,
}

impl Stream {
    /// Of the steps that come after `input` with one more id each: how many of them, `most` at the most, compute
    /// their new row alone.
    pub fn run_of_single_rows(&self, spec: &Spec, input: &StackInput, most: usize) -> usize {
        let mut before = input.clone();
        (0..most)
            .take_while(|_| {
                let next = longer(&before, 1);
                let changed = changed_rows(spec, self.site, &before, &next);
                let alone = changed.len() == 1 && changed.contains(&before.ids.len());
                before = next;
                alone
            })
            .count()
    }

    /// Whether the cache holds all rows but the last and nothing that it holds is stale: so that the step to this
    /// input computes its last row alone.
    pub fn is_one_row_behind(&self, spec: &Spec, input: &StackInput, memory_version: u64) -> bool {
        let Some(held) = &self.held else { return false };
        let last = input.ids.len().wrapping_sub(1);
        self.memory_version == memory_version
            && held.ids.len() == last
            && changed_rows(spec, self.site, held, input).iter().eq([&last])
    }

    /// Begins a step a draw. The first computes the last row of `input`, each other the row after it; the first's
    /// id is that of `input`, or what the last step of `after` chooses.
    pub async fn begin(
        &mut self,
        stage: &mut Stage<'_>,
        input: &StackInput,
        after: Option<&Ahead>,
        draws: &[Draw],
        ask: &Ask<'_>,
    ) -> Result<Ahead> {
        let labels = watched_labels(stage.graph, ask.watch);
        let heads = ask.watch.heads.among(stage.spec.stack(self.site).heads);
        let (taps, outputs) = self.taps(stage.graph, &labels, &heads, ask, [&[0], &[0]]);
        let first = input.ids.len() - 1;
        let rows = first..first + draws.len();
        let each: Vec<Inputs> = rows
            .clone()
            .map(|row| {
                let input = longer(input, row - first);
                Inputs::new(stage.spec, self.site, &[&input], &[row])
            })
            .collect();
        let plays: Vec<_> = each
            .iter()
            .zip(draws)
            .map(|(inputs, draw)| {
                inputs.play(&Playing {
                    rows: &[],
                    picked: &[0],
                    taps: &taps,
                    draws: std::slice::from_ref(draw),
                    candidates: ask.candidates,
                })
            })
            .collect();
        let after = after.map(|after| &after.begun);
        let begun = stage.device.begin(stage.prepared, stage.caches, after, &plays).await?;
        Ok(Ahead { rows, begun, labels, heads, outputs })
    }

    /// Waits for steps and takes in what they brought. `input` reaches to the row of the first, and grows by what
    /// each chooses; the caller keeps as much of it as it wants to go on with.
    pub async fn finish(
        &mut self,
        stage: &mut Stage<'_>,
        mut input: StackInput,
        ahead: Ahead,
    ) -> Result<Vec<Advance>> {
        let Ahead { rows, begun, labels, heads, outputs } = ahead;
        let played = stage.device.finish(stage.prepared, begun).await?;
        let mut advances = Vec::with_capacity(played.len());
        for (row, played) in rows.zip(played) {
            let mut results = played.taps.into_iter();
            self.remember(&labels, &heads, &[row], &mut results);
            self.held = Some(input.clone());
            input.ids.extend(played.choices.first().map(|choice| choice.id));
            advances.push(Advance {
                rows: vec![row],
                changed: true,
                choices: played.choices,
                heads: outputs.iter().copied().zip(results).collect(),
                stats: stats(played.counters, 1),
            });
        }
        Ok(advances)
    }
}

/// The input of a generating stack with so many more ids, whatever they are.
pub fn longer(input: &StackInput, more: usize) -> StackInput {
    let mut input = input.clone();
    input.ids.extend(std::iter::repeat_n(0, more));
    input
}
