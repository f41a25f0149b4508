//! One stack of a session: what its cache holds, what a change invalidates, and the numbers that
//! were watched so far.
//!
//! A row of a cache depends on its own token, place, mask row and gates, and on every row that it
//! sees, layer after layer. [`Stream::advance`] finds the rows for which any of that changed and
//! plays only those (and the rows whose outputs are wanted and not yet known).

mod ahead;
mod inputs;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::device::cpu::MOST;
use crate::device::{Caches, Device, Prepared};
use crate::error::Result;
use crate::graph::{Choice, Counters, Draw, Graph, Label, Op, Site, Tap, What};
use crate::request::{StackInput, Watch};
use crate::spec::{Spec, Stack};
use crate::trace::{Stats, Watched};

pub use ahead::{Ahead, longer};
pub use inputs::{Playing, play};

/// The state of one stack.
#[derive(Debug)]
pub struct Stream {
    site: Site,
    /// What the cache was computed from; `None`: the cache holds nothing.
    held: Option<StackInput>,
    /// Counts changes of the memory, as the decoder has seen them.
    memory_version: u64,
    /// Watched numbers of the rows held: label -> row -> numbers.
    memo: BTreeMap<Label, HashMap<usize, Vec<f32>>>,
    /// The heads that the memo's attention rows speak of.
    memo_heads: Vec<usize>,
}

/// What a stack is played on.
#[derive(Debug)]
pub struct Stage<'a> {
    /// The device that everything below lies on.
    pub device: &'a Device,
    /// The architecture.
    pub spec: &'a Spec,
    /// The stack's graph.
    pub graph: &'a Graph,
    /// The same, readied.
    pub prepared: &'a mut Prepared,
    /// The session's caches.
    pub caches: &'a mut Caches,
}

/// What is asked of an advance.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Rows whose logits and other heads are wanted, ascending.
    pub picked: &'a [usize],
    /// A draw for each picked row, or none.
    pub draws: &'a [Draw],
    /// Candidates with each choice.
    pub candidates: usize,
    /// What to watch; rows that are held and known are not computed again for it.
    pub watch: &'a Watch,
    /// Other heads to bring back, of the picked rows.
    pub heads: &'a [What],
    /// Changes of the memory so far.
    pub memory_version: u64,
}

/// What an advance did.
#[derive(Clone, Debug, Default)]
pub struct Advance {
    /// The rows that were computed.
    pub rows: Vec<usize>,
    /// Whether anything held was no longer true.
    pub changed: bool,
    /// A choice a draw.
    pub choices: Vec<Choice>,
    /// `[picked][..]` of the logits (where watched) and the asked heads.
    pub heads: BTreeMap<What, Vec<f32>>,
    /// What it took (without the time).
    pub stats: Stats,
}

impl Stream {
    /// A stream whose cache holds nothing.
    pub fn new(site: Site) -> Stream {
        Stream {
            site,
            held: None,
            memory_version: 0,
            memo: BTreeMap::new(),
            memo_heads: Vec::new(),
        }
    }

    /// Whether the cache holds nothing.
    pub fn is_empty(&self) -> bool {
        self.held.is_none()
    }

    /// Forgets everything: the cache was dropped.
    pub fn forget(&mut self) {
        self.held = None;
        self.memo.clear();
    }

    /// Brings the cache to `input`, computing what is not held and what is asked for.
    pub async fn advance(
        &mut self,
        stage: &mut Stage<'_>,
        input: &StackInput,
        ask: Ask<'_>,
    ) -> Result<Advance> {
        let (spec, graph) = (stage.spec, stage.graph);
        let count = input.ids.len();
        let stack = spec.stack(self.site);
        let mut invalid = match &self.held {
            Some(held) if ask.memory_version == self.memory_version => {
                changed_rows(spec, self.site, held, input)
            }
            _ => (0..count).collect(),
        };
        spread(&mut invalid, input, count, stack.layers, stack.heads);
        let changed = !invalid.is_empty() || self.held.is_none();

        // From here until the play has succeeded, the cache is in between.
        let held = self.held.take();
        let keep = if held.is_some() { count } else { 0 };
        let watched_heads = ask.watch.heads.among(stack.heads);
        self.speak_of(&watched_heads);
        for rows in self.memo.values_mut() {
            rows.retain(|row, _| *row < keep && !invalid.contains(row));
        }

        let labels = watched_labels(graph, ask.watch);
        let mut rows: BTreeSet<usize> = invalid;
        rows.extend(ask.picked);
        for label in &labels {
            let known = self.memo.get(label);
            let wanted = ask.watch.rows.among(count);
            rows.extend(wanted.iter().filter(|row| known.is_none_or(|k| !k.contains_key(row))));
        }
        let rows: Vec<usize> = rows.into_iter().collect();
        if rows.is_empty() {
            self.held = Some(input.clone());
            self.memory_version = ask.memory_version;
            return Ok(Advance { changed, ..Advance::default() });
        }

        let index_of = |row: &usize| rows.binary_search(row).unwrap_or_default() as u32;
        let picked: Vec<u32> = ask.picked.iter().map(index_of).collect();
        // Of what is computed only what is watched is brought back.
        let told: Vec<usize> =
            rows.iter().copied().filter(|row| ask.watch.rows.has(*row)).collect();
        let told_at: Vec<u32> = told.iter().map(index_of).collect();
        let (taps, outputs) = self.taps(graph, &labels, &watched_heads, &ask, [&told_at, &picked]);
        let played = play(
            stage,
            self.site,
            &[input],
            &Playing {
                rows: &rows,
                picked: &picked,
                taps: &taps,
                draws: ask.draws,
                candidates: ask.candidates,
            },
        )
        .await?;

        let mut results = played.taps.into_iter();
        self.remember(&labels, &watched_heads, &told, &mut results);
        let heads = outputs.into_iter().zip(results).collect();
        self.held = Some(input.clone());
        self.memory_version = ask.memory_version;
        let stats = stats(played.counters, rows.len());
        Ok(Advance { rows, changed, choices: played.choices, heads, stats })
    }

    /// What to bring back of these rows of a play, and of these that are picked; and which other heads those are.
    fn taps(
        &self,
        graph: &Graph,
        labels: &[Label],
        heads: &[usize],
        ask: &Ask<'_>,
        [told, picked]: [&[u32]; 2],
    ) -> (Vec<Tap>, Vec<What>) {
        let mut taps: Vec<Tap> = Vec::new();
        for label in labels.iter().filter(|_| !told.is_empty()) {
            let heads = match is_per_head(label.what) {
                true => heads.iter().map(|head| *head as u32).collect(),
                false => Vec::new(),
            };
            taps.push(Tap { label: *label, heads, rows: told.to_vec() });
        }
        let mut outputs: Vec<What> = ask.heads.to_vec();
        if ask.watch.has(What::Logits) {
            outputs.push(What::Logits);
        }
        let label = |what: What| Label { what, site: self.site, layer: 0 };
        outputs.retain(|what| graph.labelled(label(*what)).is_some());
        if !picked.is_empty() {
            for what in &outputs {
                let rows = (0..picked.len() as u32).collect();
                taps.push(Tap { label: label(*what), heads: Vec::new(), rows });
            }
        }
        (taps, outputs)
    }

    /// From now on the memo's attention rows speak of these heads: those that speak of others go.
    fn speak_of(&mut self, heads: &[usize]) {
        if heads != self.memo_heads {
            self.memo.retain(|label, _| !is_per_head(label.what));
            self.memo_heads = heads.to_vec();
        }
    }

    /// Keeps what a play brought back of `rows`, a result a label; of no rows there is none.
    pub fn remember(
        &mut self,
        labels: &[Label],
        heads: &[usize],
        rows: &[usize],
        results: &mut dyn Iterator<Item = Vec<f32>>,
    ) {
        self.speak_of(heads);
        for label in labels.iter().filter(|_| !rows.is_empty()) {
            let Some(data) = results.next() else { return };
            let memo = self.memo.entry(*label).or_default();
            if is_per_head(label.what) {
                let keys = data.len() / (heads.len() * rows.len()).max(1);
                for (index, row) in rows.iter().enumerate() {
                    let at = |head: usize| (head * rows.len() + index) * keys;
                    let numbers =
                        (0..heads.len()).flat_map(|head| &data[at(head)..at(head) + keys]);
                    memo.insert(*row, numbers.copied().collect());
                }
            } else {
                let width = data.len() / rows.len();
                for (row, numbers) in rows.iter().zip(data.chunks(width.max(1))) {
                    memo.insert(*row, numbers.to_vec());
                }
            }
        }
    }

    /// Adds the watched numbers of these rows to a record.
    pub fn report(
        &self,
        spec: &Spec,
        graph: &Graph,
        watch: &Watch,
        input: &StackInput,
        rows: &[usize],
        watched: &mut Watched,
    ) {
        let stack = spec.stack(self.site);
        let watched_heads = watch.heads.among(stack.heads);
        let none = Vec::new();
        for label in watched_labels(graph, watch) {
            // Where no row was ever watched no row is told, but in the same shape.
            let memo = self.memo.get(&label);
            let site = label.site.name();
            let row = |row: &usize| memo.and_then(|memo| memo.get(row)).unwrap_or(&none);
            if is_per_head(label.what) {
                let keys = keys_of(label.site, input);
                let heads = watched_heads.len();
                // Older rows were watched when there were fewer keys: they do not see the newer.
                let cells = |r: &usize, head: usize| -> Vec<f32> {
                    let numbers = row(r);
                    let have = numbers.len() / heads.max(1);
                    let mut cells = numbers[head * have..(head + 1) * have].to_vec();
                    cells.resize(keys, 0.0);
                    cells
                };
                let per_head = 0..heads;
                if label.what == What::Attention {
                    let heads = per_head
                        .map(|head| rows.iter().map(|r| cells(r, head)).collect())
                        .collect();
                    watched.attention.entry(site).or_default().push(heads);
                } else {
                    let mask = mask_of(label.site, input).cells();
                    let heads = per_head
                        .map(|head| {
                            let number = watched_heads[head];
                            let row = |r: &usize| {
                                let seen = |key| mask.visible(label.layer, number, *r, key);
                                let cells = cells(r, head).into_iter().enumerate();
                                cells.map(|(key, score)| seen(key).then_some(score)).collect()
                            };
                            rows.iter().map(row).collect()
                        })
                        .collect();
                    watched.scores.entry(site).or_default().push(heads);
                }
            } else {
                let matrix: Vec<Vec<f32>> = rows.iter().map(|r| row(r).clone()).collect();
                let map = match label.what {
                    What::Queries => &mut watched.queries,
                    What::Keys => &mut watched.keys,
                    What::Values => &mut watched.values,
                    _ => &mut watched.hidden,
                };
                map.entry(site).or_default().push(matrix);
            }
        }
        let (layer, head) = drawn(stack, watch);
        let mut draw = |site: Site| {
            if !is_drawable(rows.len(), keys_of(site, input)) {
                return;
            }
            let picture = mask_of(site, input).picture(
                layer,
                head,
                rows.iter().copied(),
                keys_of(site, input),
            );
            watched.mask.insert(site.name(), picture);
        };
        draw(self.site);
        if input.cross.is_some() {
            draw(Site::Cross);
        }
    }
}

/// Whether the picture of a mask of so many rows and keys, which is told unasked, is no more than is told of what is asked.
pub fn is_drawable(rows: usize, keys: usize) -> bool {
    rows as u64 * keys as u64 <= MOST
}

/// The layer and the head whose mask is drawn: the first of a stack's that are watched.
pub fn drawn(stack: &Stack, watch: &Watch) -> (usize, usize) {
    let first = |all: Vec<usize>| all.first().copied().unwrap_or(0);
    let layer = first(watch.layers.among(stack.layers + 1));
    (layer.min(stack.layers.saturating_sub(1)), first(watch.heads.among(stack.heads)))
}

/// The labels of a graph that a watch names, in the order of site, what, layer.
pub fn watched_labels(graph: &Graph, watch: &Watch) -> Vec<Label> {
    let mut labels: Vec<Label> = graph
        .labels()
        .iter()
        .map(|(label, _)| *label)
        .filter(|label| is_of_rows(label.what))
        .collect();
    for op in graph.ops() {
        if let Op::Attend { site, layer, .. } = *op {
            labels.push(Label { what: What::Attention, site, layer });
            labels.push(Label { what: What::Scores, site, layer });
        }
    }
    labels.retain(|label| watch.has(label.what) && watch.layers.has(label.layer));
    labels.sort();
    labels
}

fn stats(counters: Counters, rows_computed: usize) -> Stats {
    let Counters { dispatches, submits, readbacks } = counters;
    Stats { dispatches, submits, readbacks, rows_computed, milliseconds: 0.0 }
}

/// Whether a label's numbers are `[head][row][key]`.
pub fn is_per_head(what: What) -> bool {
    matches!(what, What::Attention | What::Scores)
}

fn is_of_rows(what: What) -> bool {
    matches!(what, What::Queries | What::Keys | What::Values | What::Hidden)
}

/// How many keys a site's rows go over.
pub fn keys_of(site: Site, input: &StackInput) -> usize {
    match site {
        Site::Cross => input.memory,
        _ => input.ids.len(),
    }
}

/// The mask of a site; a stack without cross-attention has none to ask for.
pub fn mask_of(site: Site, input: &StackInput) -> &crate::mask::Mask {
    match (site, &input.cross) {
        (Site::Cross, Some(cross)) => cross,
        _ => &input.mask,
    }
}

/// Rows whose own token, segment or mask row is not what the cache was computed from.
fn changed_rows(spec: &Spec, site: Site, held: &StackInput, input: &StackInput) -> BTreeSet<usize> {
    let (before, count) = (held.ids.len(), input.ids.len());
    let common = before.min(count);
    let gates = |input: &StackInput| {
        (input.gates.clone(), input.cross_gates.clone(), input.memory, input.blank)
    };
    if gates(held) != gates(input) {
        return (0..count).collect();
    }
    let stack = spec.stack(site);
    let (layers, heads) = (stack.layers, stack.heads);
    let mut changed: BTreeSet<usize> = (common..count).collect();
    let segment = |input: &StackInput, row: usize| input.segments.get(row).copied().unwrap_or(0);
    for row in 0..common {
        if held.ids[row] != input.ids[row] || segment(held, row) != segment(input, row) {
            changed.insert(row);
        }
    }
    let rows: Vec<usize> = (0..common).collect();
    let mut compare =
        |old: &crate::mask::Mask, new: &crate::mask::Mask, old_keys: usize, new_keys: usize| {
            let keys = old_keys.min(new_keys);
            let (wider, widest) =
                if old_keys > new_keys { (old, old_keys) } else { (new, new_keys) };
            if old != new {
                let (a, b) =
                    (old.bits(&rows, keys, layers, heads), new.bits(&rows, keys, layers, heads));
                for &row in &rows {
                    let mut each = (0..layers).flat_map(|l| (0..heads).map(move |h| (l, h)));
                    if each.any(|(l, h)| a.row(0, l, h, row) != b.row(0, l, h, row)) {
                        changed.insert(row);
                    }
                }
            }
            let wider = wider.cells();
            for &row in &rows {
                if (keys..widest).any(|key| wider.any(row, key, layers, heads)) {
                    changed.insert(row);
                }
            }
        };
    compare(&held.mask, &input.mask, before, count);
    if let (Some(old), Some(new)) = (&held.cross, &input.cross) {
        compare(old, new, held.memory, input.memory);
    }
    changed
}

/// A row that sees an invalid row is invalid too; `layers` steps reach as far as the model does.
fn spread(
    invalid: &mut BTreeSet<usize>,
    input: &StackInput,
    count: usize,
    layers: usize,
    heads: usize,
) {
    let mask = input.mask.cells();
    for _ in 0..layers {
        let reached: Vec<usize> = (0..count)
            .filter(|row| !invalid.contains(row))
            .filter(|row| invalid.iter().any(|key| mask.any(*row, *key, layers, heads)))
            .collect();
        if reached.is_empty() {
            return;
        }
        invalid.extend(reached);
    }
}
