//! The CPU device: every op in plain Rust, four lanes wide where it is hot; on one thread in a browser, and natively
//! with threads for the products that are worth it.
//!
//! It is the fallback of the page (WebAssembly SIMD) and the yardstick of the tests. A row's
//! numbers never depend on the rows computed beside it: see `matmul.rs` and
//! `attend.rs`.

mod attend;
mod cache;
mod layout;
mod math;
mod matmul;
mod rows;
mod sample;
mod table;

use std::collections::HashMap;
use std::sync::Arc;

use self::attend::{Attend, attend};
pub use self::cache::Caches;
use self::cache::store;
use self::layout::{lay_out, output_of, vectors_of};
use self::matmul::matmul;
use self::rows::{Rows, norm, pick, rotate};
use self::table::Table;
pub use self::table::bytes_held;
use super::{Cause, Format, Matrix, Report};
use crate::error::{Error, Result};
use crate::graph::{
    Activation, Capacity, Counters, Extent, Graph, Index, Lookup, Op, Play, Played, Site, Tap,
    Value, Weight, What,
};

/// Bytes that a play may bring back, that all passes of a sweep may tell, and that the caches of several variants may
/// take: a browser's program ends where its memory does.
pub const MOST: u64 = if cfg!(target_arch = "wasm32") { 256 << 20 } else { 2 << 30 };

/// The CPU.
#[derive(Debug)]
pub struct Cpu {
    report: Report,
}

/// Weights of one model, packed as their file has them.
#[derive(Debug, Default)]
pub struct Weights {
    tables: HashMap<String, Arc<Table>>,
}

/// A graph readied for plays.
#[derive(Debug)]
pub struct Prepared {
    graph: Graph,
    /// Of each weight of the graph.
    tables: Vec<Arc<Table>>,
    /// Of each weight that is used as a vector (norm, bias, frequencies), widened; else empty.
    vectors: Vec<Vec<f32>>,
    /// Of each value that an op writes: its buffer. Values that are not needed at once share one.
    places: Vec<usize>,
    buffers: Vec<Vec<f32>>,
    scratch: Box<Scratch>,
}

/// Memory that ops borrow from play to play.
#[derive(Debug, Default)]
struct Scratch {
    matmul: matmul::Scratch,
    attend: attend::Scratch,
    sample: sample::Scratch,
    /// A row of a table, or the cosines and sines of a rotation.
    row: Vec<f32>,
}

impl Cpu {
    /// The CPU, for this reason.
    pub fn new(cause: Cause, reason: String) -> Cpu {
        let adapter = if cfg!(target_arch = "wasm32") {
            if cfg!(target_feature = "simd128") { "WebAssembly SIMD" } else { "WebAssembly" }
        } else {
            std::env::consts::ARCH
        };
        #[cfg(target_arch = "wasm32")]
        let threads = 1;
        #[cfg(not(target_arch = "wasm32"))]
        let threads = rayon::current_num_threads();
        let adapter = match threads {
            1 => format!("{adapter}, one thread"),
            many => format!("{adapter}, {many} threads"),
        };
        let (software, lacks) = (false, Vec::new());
        Cpu { report: Report { backend: "cpu", adapter, software, cause, reason, lacks } }
    }

    /// What runs, and why.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Finds the weights, widens the vectors among them and lays out the buffers, which grow to the
    /// largest play.
    pub fn prepare(
        &self,
        weights: &Weights,
        graph: &Graph,
        _capacity: Capacity,
    ) -> Result<Prepared> {
        let mut tables = Vec::with_capacity(graph.weights().len());
        for info in graph.weights() {
            let Some(table) = weights.tables.get(&info.name) else {
                let shape = format!("[{}, {}]", info.out, info.inner);
                let what = format!("weight `{}`", info.name);
                return Err(Error::weights(what, shape, "nothing uploaded"));
            };
            table.progress.check(&info.name, info.out, info.inner)?;
            tables.push(table.clone());
        }
        let mut vectors = vec![Vec::new(); tables.len()];
        for weight in graph.ops().iter().flat_map(vectors_of) {
            let index = weight.0 as usize;
            vectors[index] = tables[index].to_vec();
        }
        let (places, count) = lay_out(graph);
        Ok(Prepared {
            graph: graph.clone(),
            tables,
            vectors,
            places,
            buffers: vec![Vec::new(); count],
            scratch: Box::default(),
        })
    }

    /// Plays that follow one another, each with the id that the one before it chose.
    pub fn follow(
        &self,
        prepared: &mut Prepared,
        caches: &mut Caches,
        after: Option<&Played>,
        plays: &[Play<'_>],
    ) -> Result<Vec<Played>> {
        let mut done: Vec<Played> = Vec::with_capacity(plays.len());
        for play in plays {
            let before = done.last().or(after).and_then(|played| played.choices.last());
            let id = before.map(|choice| [choice.id]);
            let play = Play { ids: id.as_ref().map_or(play.ids, |id| id), ..*play };
            let played = self.play(prepared, caches, &play)?;
            done.push(played);
        }
        Ok(done)
    }

    /// Plays a graph once. The play must have passed [`check::play`](super::check::play).
    fn play(
        &self,
        prepared: &mut Prepared,
        caches: &mut Caches,
        play: &Play<'_>,
    ) -> Result<Played> {
        caches.check(&prepared.graph, play)?;
        let taps = room_for_taps(&prepared.graph, play)?;
        let mut played = Played { taps, ..Played::default() };
        for index in 0..prepared.graph.ops().len() {
            prepared.run(index, caches, play, &mut played);
        }
        played.counters =
            Counters { dispatches: prepared.graph.ops().len() as u32, ..Counters::default() };
        Ok(played)
    }
}

impl Weights {
    /// Makes room for a matrix `[out, inner]` under a name.
    pub fn reserve(&mut self, name: &str, out: usize, inner: usize, format: Format) -> Result<()> {
        self.tables.insert(name.into(), Arc::new(Table::new(out, inner, format)));
        Ok(())
    }

    /// Takes the next rows of a matrix.
    pub fn fill(&mut self, name: &str, rows: &Matrix) -> Result<()> {
        // Whoever plays with it already has all of it.
        match self.tables.get_mut(name).and_then(Arc::get_mut) {
            Some(table) => table.fill(name, rows),
            None => Err(Error::weights(format!("weight `{name}`"), "room for it", "none")),
        }
    }
}

// ---- taps ---------------------------------------------------------------------------------

/// Zeros in the shapes of what is watched, if it is not too much.
fn room_for_taps(graph: &Graph, play: &Play<'_>) -> Result<Vec<Vec<f32>>> {
    let cells = |tap: &Tap| {
        let columns = match tap.label.what {
            What::Attention | What::Scores => tap.heads.len() * play.keys[tap.label.site as usize],
            _ => graph.labelled(tap.label).map_or(0, |value| graph.info(value).width),
        };
        (play.variants * tap.rows.len()) as u64 * columns as u64
    };
    let bytes = 4 * play.taps.iter().map(cells).sum::<u64>();
    if bytes > MOST {
        let expected = format!(
            "at most {} a play (fewer layers, heads or rows, or a shorter text)",
            megabytes(MOST)
        );
        return Err(Error::limit("what is watched", expected, megabytes(bytes)));
    }
    Ok(play.taps.iter().map(|tap| vec![0.0; cells(tap) as usize]).collect())
}

/// A number of bytes as a person reads it.
pub fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes >> 20)
}

/// Copies what one row of one head sees into the taps that watch it.
fn tap_seen(
    site: Site,
    layer: usize,
    play: &Play<'_>,
    seen: &attend::Seen<'_>,
    taps: &mut [Vec<f32>],
) {
    let keys = play.keys[site as usize];
    for (tap, to) in play.taps.iter().zip(taps) {
        let numbers = match tap.label.what {
            What::Attention => seen.attention,
            What::Scores => seen.scores,
            _ => continue,
        };
        if (tap.label.site, tap.label.layer) != (site, layer) {
            continue;
        }
        let heads = tap.heads.iter().enumerate().filter(|(_, head)| **head as usize == seen.head);
        for (head, _) in heads {
            let rows = tap.rows.iter().enumerate().filter(|(_, row)| **row as usize == seen.row);
            for (row, _) in rows {
                let line = (seen.variant * tap.heads.len() + head) * tap.rows.len() + row;
                let to = &mut to[line * keys..][..keys];
                for (key, number) in seen.keys.iter().zip(numbers) {
                    to[*key as usize] = *number;
                }
            }
        }
    }
}

// ---- playing ------------------------------------------------------------------------------

impl Prepared {
    fn rows<'a>(&'a self, value: Value, play: &Play<'_>) -> Rows<'a> {
        let (root, start) = self.graph.root(value);
        let info = self.graph.info(value);
        Rows {
            data: &self.buffers[self.places[root.0 as usize]],
            start,
            width: info.width,
            stride: self.graph.info(root).width,
            count: play.variants * extent(info.extent, play),
        }
    }

    fn vector(&self, weight: Option<Weight>) -> Option<&[f32]> {
        weight.map(|weight| self.vectors[weight.0 as usize].as_slice())
    }

    /// Runs one op: takes its output's buffer, computes into it, puts it back.
    fn run(&mut self, index: usize, caches: &mut Caches, play: &Play<'_>, played: &mut Played) {
        let op = &self.graph.ops()[index];
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut out = Vec::new();
        if let Some(value) = output_of(op) {
            let info = self.graph.info(value);
            out = std::mem::take(&mut self.buffers[self.places[value.0 as usize]]);
            out.resize(play.variants * extent(info.extent, play) * info.width, 0.0);
        }
        match op {
            Op::Embed { lookups, .. } => self.embed(lookups, play, &mut out, &mut scratch.row),
            Op::Pick { x, .. } => pick(self.rows(*x, play), play, &mut out),
            Op::Norm { x, kind, groups, epsilon, offset, weight, bias, .. } => {
                let (weight, bias) = (self.vector(*weight), self.vector(*bias));
                let width = self.graph.info(*x).width / groups;
                for (x, out) in self.rows(*x, play).iter().zip(out.chunks_exact_mut(width * groups))
                {
                    for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
                        norm(x, *kind, *epsilon, *offset, weight, bias, out);
                    }
                }
            }
            Op::Matmul { x, weight, bias, scale, .. } => matmul(
                self.rows(*x, play),
                &self.tables[weight.0 as usize],
                self.vector(*bias),
                *scale,
                &mut out,
                &mut scratch.matmul,
            ),
            Op::Activate { x, activation, .. } => self.activate(*x, *activation, play, &mut out),
            Op::Add { a, b, scale, .. } => {
                self.zip(*a, *b, play, &mut out, |a, b| scale * a + b);
            }
            Op::Multiply { a, b, .. } => self.zip(*a, *b, play, &mut out, |a, b| a * b),
            Op::Rotate { x, head_width, rotation, frequencies, .. } => rotate(
                self.rows(*x, play),
                *head_width,
                rotation,
                &self.vectors[frequencies.0 as usize],
                play,
                &mut out,
                &mut scratch.row,
            ),
            Op::Store { keys, values, site, layer } => {
                let parts = [self.rows(*keys, play), self.rows(*values, play)];
                store(parts, caches.site(*site), *layer, play);
            }
            Op::Attend { queries, site, layer, heads, bias, .. } => {
                let job = Attend {
                    queries: self.rows(*queries, play),
                    cache: caches.site(*site),
                    layer: *layer,
                    heads: *heads,
                    bias: self.vector(*bias),
                    mask: play.masks[*site as usize].expect("the play was checked"),
                    gates: play.gates[*site as usize],
                    slots: play.slots,
                    keys: play.keys[*site as usize],
                    variants: play.variants,
                };
                attend(&job, &mut out, &mut scratch.attend, |seen| {
                    tap_seen(*site, *layer, play, &seen, &mut played.taps);
                });
            }
            Op::Sample { logits } if !play.draws.is_empty() => {
                let rows = self.rows(*logits, play).iter();
                played.choices = rows
                    .zip(play.draws)
                    .map(|(row, draw)| {
                        sample::sample(row, *draw, play.candidates, &mut scratch.sample)
                    })
                    .collect();
            }
            Op::Sample { .. } => {}
        }
        if let Some(value) = output_of(op) {
            self.buffers[self.places[value.0 as usize]] = out;
            self.tap_value(value, play, &mut played.taps);
        }
        self.scratch = scratch;
    }

    /// Copies a value that was just written, and views of it, into the taps that watch them.
    fn tap_value(&self, written: Value, play: &Play<'_>, taps: &mut [Vec<f32>]) {
        for (tap, to) in play.taps.iter().zip(taps) {
            if matches!(tap.label.what, What::Attention | What::Scores) {
                continue;
            }
            let Some(value) = self.graph.labelled(tap.label) else { continue };
            if self.graph.root(value).0 != written {
                continue;
            }
            let rows = self.rows(value, play);
            let each = rows.count / play.variants;
            let watched = (0..play.variants)
                .flat_map(|variant| tap.rows.iter().map(move |row| variant * each + *row as usize));
            for (row, to) in watched.zip(to.chunks_exact_mut(rows.width)) {
                to.copy_from_slice(rows.row(row));
            }
        }
    }

    fn embed(&self, lookups: &[Lookup], play: &Play<'_>, out: &mut [f32], entry: &mut Vec<f32>) {
        let rows = play.slots.len();
        let width = lookups.first().map_or(0, |lookup| self.graph.weight_info(lookup.table).inner);
        out.fill(0.0);
        entry.resize(width, 0.0);
        for lookup in lookups {
            let table = &self.tables[lookup.table.0 as usize];
            for (line, out) in out.chunks_exact_mut(width).enumerate() {
                let index = match lookup.index {
                    Index::Token => play.ids[line],
                    Index::Segment => play.segments.get(line).copied().unwrap_or(0),
                    Index::Position(stream) => play.positions[stream][line % rows],
                };
                table.row(index as usize, entry);
                for (out, value) in out.iter_mut().zip(entry.iter()) {
                    *out += lookup.scale * value;
                }
            }
        }
    }

    fn activate(&self, x: Value, activation: Activation, play: &Play<'_>, out: &mut [f32]) {
        let x = self.rows(x, play);
        for (x, out) in x.iter().zip(out.chunks_exact_mut(x.width)) {
            math::activate(activation, x, out);
        }
    }

    fn zip(
        &self,
        a: Value,
        b: Value,
        play: &Play<'_>,
        out: &mut [f32],
        f: impl Fn(f32, f32) -> f32,
    ) {
        let (a, b) = (self.rows(a, play), self.rows(b, play));
        let lines = a.iter().zip(b.iter()).zip(out.chunks_exact_mut(a.width));
        for ((a, b), out) in lines {
            for ((a, b), out) in a.iter().zip(b).zip(out) {
                *out = f(*a, *b);
            }
        }
    }
}

fn extent(extent: Extent, play: &Play<'_>) -> usize {
    match extent {
        Extent::Rows => play.slots.len(),
        Extent::Picked => play.picked.len(),
    }
}
