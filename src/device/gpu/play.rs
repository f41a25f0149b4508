//! Plays: the numbers of each in one buffer, the dispatches of all in one submit, what they bring back
//! in one readback.
//!
//! Plays that follow one another need not wait for each other: the id that one chooses is copied to where the
//! next one reads its id, on the GPU (see [`Prepared::begin`]).

use std::collections::HashMap;

use super::memory::Caches;
use super::prepare::{Plan, Prepared, heads};
use super::timer::Timer;
use super::{Buffer, wait};
use crate::device::kernels::{header, stride, workgroups};
use crate::error::{Error, Result};
use crate::graph::{
    Candidate, Choice, Counters, Extent, Label, Op, Play, Played, Site, Value, What,
};

/// A watch of more than this is refused, with its size.
const MOST_WATCHED: u64 = 16 << 20;

/// Up to so many rows (variants counted) the list of steps for a few rows is faster.
const FEW_ROWS: usize = 2;

/// Words of a choice before its candidates, and of a candidate: see `sample.wgsl`.
const CHOICE_WORDS: usize = 4;
const CANDIDATE_WORDS: usize = 3;

/// Where the cells of a tap are found in what is read back: first word and number, stretch after stretch.
type Found = Vec<(usize, usize)>;

/// Plays that were submitted, until they are read.
#[derive(Debug)]
pub struct Begun {
    /// What they bring back, and of how many bytes it is.
    staging: Option<(Buffer, u64)>,
    readings: Vec<Reading>,
    /// Holds the last choice until the next play is done.
    outbox: Buffer,
    submission: wgpu::SubmissionIndex,
    timed: Option<Timer>,
}

/// What one play brings back.
#[derive(Debug)]
struct Reading {
    /// Its first word in the staging buffer.
    start: usize,
    choices: usize,
    /// Asked for, and how many of them there are: no more than the vocabulary has.
    candidates: (usize, usize),
    found: Vec<Found>,
    counters: Counters,
}

/// A play on its way to the GPU.
struct Packed {
    few: bool,
    layout: Layout,
    words: Vec<u32>,
}

/// A copy out of a value's memory, after the run that made it.
struct Copy {
    run: usize,
    value: Value,
    from: u64,
    to: u64,
    bytes: u64,
}

/// Where all goes that one play brings back.
#[derive(Default)]
struct Layout {
    /// Words written by kernels, first.
    outbox: usize,
    /// Words in all.
    total: usize,
    copies: Vec<Copy>,
    found: Vec<Found>,
    /// Records for each attention, by its number.
    records: HashMap<usize, Vec<Record>>,
}

/// An attention's instruction to write what is watched: see `attend.wgsl` and `attend_alone.wgsl`.
struct Record {
    probabilities: bool,
    at: usize,
    heads: Vec<u32>,
    rows: Vec<u32>,
}

impl Prepared {
    /// Submits plays, one after the other, and waits for none. Where there is a choice before a play (of the one
    /// before it here, or the last of `after`), that is its id, whatever its `ids` say.
    pub(super) async fn begin(
        &mut self,
        caches: &Caches,
        after: Option<&Begun>,
        plays: &[Play<'_>],
    ) -> Result<Begun> {
        self.shared.healthy()?;
        let mut packed = Vec::with_capacity(plays.len());
        for play in plays {
            caches.check(&self.shared, &self.graph, play)?;
            packed.push(self.packed(play)?);
        }
        let most = |of: fn(&Packed) -> usize| packed.iter().map(of).max().unwrap_or(0);
        let picked = plays.iter().map(|play| play.picked.len() * play.variants).max().unwrap_or(0);
        let later: Vec<u32> =
            packed.iter().skip(1).flat_map(|packed| &packed.words).copied().collect();
        self.room(most(|p| p.words.len()), most(|p| p.layout.outbox), picked, later.len()).await?;
        let shared = self.shared.clone();
        let total: usize = packed.iter().map(|packed| packed.layout.total).sum();
        let staging = match 4 * total as u64 {
            0 => None,
            bytes => Some((self.staging(bytes).await?, bytes)),
        };
        if let Some(first) = packed.first() {
            shared.queue.write_buffer(&self.memory.play, 0, bytemuck::cast_slice(&first.words));
        }
        if !later.is_empty() {
            shared.queue.write_buffer(&self.memory.later, 0, bytemuck::cast_slice(&later));
        }

        let timed = Timer::new(&shared, self.few.runs.len().max(self.many.runs.len()));
        let mut encoder = shared.device.create_command_encoder(&Default::default());
        let mut readings = Vec::with_capacity(plays.len());
        let (mut start, mut from) = (0, 0);
        for (index, (play, packed)) in plays.iter().zip(&packed).enumerate() {
            let bytes = 4 * packed.words.len() as u64;
            if index > 0 {
                encoder.copy_buffer_to_buffer(
                    &self.memory.later,
                    from,
                    &self.memory.play,
                    0,
                    bytes,
                );
                from += bytes;
            }
            let before =
                if index > 0 { Some(&self.memory.outbox) } else { after.map(|a| &a.outbox) };
            if let Some(outbox) = before {
                let to = 4 * u64::from(packed.words[header::IDS]);
                encoder.copy_buffer_to_buffer(outbox, 0, &self.memory.play, to, 4);
            }
            let buffer = staging.as_ref().map(|(buffer, _)| (&**buffer, start));
            let dispatches =
                self.encode(&mut encoder, caches, play, packed, buffer, timed.as_ref())?;
            let submits = (index == 0) as u32;
            let readbacks = (index == 0 && staging.is_some()) as u32;
            readings.push(self.reading(
                play,
                &packed.layout,
                start,
                Counters { dispatches, submits, readbacks },
            ));
            start += packed.layout.total;
        }
        if let Some(timer) = &timed {
            timer.resolve(&mut encoder);
        }
        let submission = shared.queue.submit([encoder.finish()]);
        Ok(Begun { staging, readings, outbox: self.memory.outbox.clone(), submission, timed })
    }

    /// Waits for plays and reads what they bring back.
    pub(super) async fn finish(&mut self, begun: Begun) -> Result<Vec<Played>> {
        let words = match begun.staging {
            Some((staging, bytes)) => {
                let words = self.read(&staging, bytes, &begun.submission).await?;
                self.free.push(staging);
                words
            }
            None => Vec::new(),
        };
        if let Some(timer) = begun.timed {
            timer.read(&self.shared, &begun.submission).await?;
        }
        Ok(begun.readings.into_iter().map(|reading| reading.read(&words)).collect())
    }

    fn packed(&self, play: &Play<'_>) -> Result<Packed> {
        let few = play.slots.len() * play.variants <= FEW_ROWS
            && play.taps.iter().all(|tap| match self.graph.labelled(tap.label) {
                Some(value) => self.few.makes(self.graph.root(value).0),
                None => true,
            });
        let plan = if few { &self.few } else { &self.many };
        let layout = self.layout(plan, play)?;
        let words = self.pack(plan, play, &layout);
        Ok(Packed { few, layout, words })
    }

    /// A buffer to read back from: one that is free, or a new one.
    async fn staging(&mut self, bytes: u64) -> Result<Buffer> {
        if let Some(free) = self.free.iter().position(|buffer| buffer.size() >= bytes) {
            return Ok(self.free.swap_remove(free));
        }
        // What was too small once is too small again.
        self.free.clear();
        let shared = self.shared.clone();
        let make = || {
            let usage = wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ;
            shared.buffer("readback", bytes.next_power_of_two().max(1024), usage)
        };
        shared.scoped("readback", make).await
    }

    /// The first words of a staging buffer, when they are there.
    async fn read(
        &self,
        staging: &wgpu::Buffer,
        bytes: u64,
        submission: &wgpu::SubmissionIndex,
    ) -> Result<Vec<u32>> {
        wait::map(&self.shared, staging, bytes, submission).await?;
        let view = staging.get_mapped_range(..bytes).map_err(|error| {
            Error::device("readback", "what the GPU computed", error.to_string())
        })?;
        let words = bytemuck::pod_collect_to_vec(&view);
        drop(view);
        staging.unmap();
        Ok(words)
    }

    /// The dispatches of a play and the copies of what it brings back; gives how many dispatches.
    fn encode(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        caches: &Caches,
        play: &Play<'_>,
        packed: &Packed,
        staging: Option<(&wgpu::Buffer, usize)>,
        timer: Option<&Timer>,
    ) -> Result<u32> {
        let plan = if packed.few { &self.few } else { &self.many };
        let layout = &packed.layout;
        let mut dispatches = 0;
        let mut next = 0;
        while next < plan.runs.len() {
            // A pass goes on until something is to be copied out before it is overwritten (or a dispatch is timed).
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: None,
                timestamp_writes: timer.map(|timer| timer.writes(next)),
            });
            let mut ends = false;
            while next < plan.runs.len() && !ends {
                let run = &plan.runs[next];
                let rows = match run.launch.extent {
                    Extent::Rows => play.slots.len(),
                    Extent::Picked => play.picked.len(),
                };
                let sampled = run.launch.kernel.name == "sample";
                if rows > 0 && !(sampled && play.draws.is_empty()) {
                    let (larger, [x, y, z]) = workgroups(&run.launch, rows, play.variants);
                    let most = x.max(y).max(z);
                    if most > 65_535 {
                        let what = format!("rows or variants of `{}`", run.launch.kernel.name);
                        return Err(Error::limit(what, "65,535 workgroups", most.to_string()));
                    }
                    pass.set_pipeline(larger.map_or(&run.pipeline, |larger| &run.larger[larger]));
                    pass.set_bind_group(0, run.group.as_ref(), &[]);
                    if run.launch.kernel.cache {
                        let group = match run.launch.cache {
                            Some((site, layer)) => caches.group(site, layer)?,
                            None => &self.shared.no_cache,
                        };
                        pass.set_bind_group(1, group, &[]);
                    }
                    pass.dispatch_workgroups(x, y, z);
                    dispatches += 1;
                    if let Some(timer) = timer {
                        timer.note(next, run.launch.kernel.name, [x, y, z]);
                    }
                }
                ends = timer.is_some() || layout.copies.iter().any(|copy| copy.run == next);
                next += 1;
            }
            drop(pass);
            let Some((staging, start)) = staging else { continue };
            for copy in layout.copies.iter().filter(|copy| copy.run + 1 == next) {
                if let Some((buffer, _)) = self.home(plan, copy.value) {
                    let to = 4 * start as u64 + copy.to;
                    encoder.copy_buffer_to_buffer(buffer, copy.from, staging, to, copy.bytes);
                }
            }
        }
        if let (Some((staging, start)), true) = (staging, layout.outbox > 0) {
            let bytes = 4 * layout.outbox as u64;
            encoder.copy_buffer_to_buffer(&self.memory.outbox, 0, staging, 4 * start as u64, bytes);
        }
        Ok(dispatches)
    }

    /// Decides where everything goes that is to come back.
    fn layout(&self, plan: &Plan, play: &Play<'_>) -> Result<Layout> {
        let mut layout = Layout::default();
        if !play.draws.is_empty() {
            let each = CHOICE_WORDS + CANDIDATE_WORDS * play.candidates;
            layout.outbox = play.draws.len() * each;
        }
        let unknown = |label: &Label| {
            let what = format!("watch of {:?}", label.what);
            let got = format!("{} layer {}", label.site.name(), label.layer);
            Error::input(what, "something that this graph computes", got)
        };
        // What the play wants, in 64 bits: in WebAssembly the places below may have wrapped when it is refused.
        let mut wanted = 0u64;
        // What attentions write themselves comes first.
        let mut found: Vec<Option<Found>> = vec![];
        for tap in play.taps {
            if !matches!(tap.label.what, What::Attention | What::Scores) {
                found.push(None);
                continue;
            }
            let name = (tap.label.site, tap.label.layer);
            let number = plan.attentions.iter().position(|have| *have == name);
            let (number, (_, heads)) = number
                .zip(heads(&self.graph, tap.label.site))
                .ok_or_else(|| unknown(&tap.label))?;
            let heads = unique("watched head", &tap.heads, heads)?;
            let rows = unique("watched row", &tap.rows, play.slots.len())?;
            let at = layout.outbox;
            let keys = play.keys[tap.label.site as usize];
            let words = play.variants * heads.len() * rows.len();
            wanted += words as u64 * keys as u64;
            layout.outbox += words.wrapping_mul(keys);
            layout.records.entry(number).or_default().push(Record {
                probabilities: tap.label.what == What::Attention,
                at,
                heads: heads.clone(),
                rows: rows.clone(),
            });
            let index = |list: &[u32], wanted: u32| list.binary_search(&wanted).unwrap_or(0);
            let mut cells = Found::new();
            for variant in 0..play.variants {
                for head in &tap.heads {
                    let h = variant * heads.len() + index(&heads, *head);
                    let place = |row: &u32| at + (h * rows.len() + index(&rows, *row)) * keys;
                    cells.extend(tap.rows.iter().map(|row| (place(row), keys)));
                }
            }
            found.push(Some(cells));
        }
        // Then what is copied from values, each run of rows of a value once.
        layout.total = layout.outbox;
        let mut copied: HashMap<(Value, usize, u32, u32), usize> = HashMap::new();
        for (tap, found) in play.taps.iter().zip(found) {
            if let Some(found) = found {
                layout.found.push(found);
                continue;
            }
            let value = self.graph.labelled(tap.label).ok_or_else(|| unknown(&tap.label))?;
            let (root, start) = self.graph.root(value);
            let (_, run) = self.home(plan, root).ok_or_else(|| unknown(&tap.label))?;
            let count = match self.graph.info(root).extent {
                Extent::Rows => play.slots.len(),
                Extent::Picked => play.picked.len(),
            };
            let stride = stride(self.graph.info(root).width);
            let rows = unique("watched row", &tap.rows, count)?;
            let mut at_row = HashMap::new();
            for variant in 0..play.variants {
                for (first, last) in stretches(&rows) {
                    let key = (root, variant, first, last);
                    let at = *copied.entry(key).or_insert_with(|| {
                        let at = layout.total;
                        let words = (last - first + 1) as usize * stride;
                        layout.copies.push(Copy {
                            run,
                            value: root,
                            from: 4 * ((variant * count + first as usize) * stride) as u64,
                            to: 4 * at as u64,
                            bytes: 4 * words as u64,
                        });
                        layout.total += words;
                        wanted += words as u64;
                        at
                    });
                    for row in first..=last {
                        at_row.insert((variant, row), at + (row - first) as usize * stride);
                    }
                }
            }
            let width = self.graph.info(value).width;
            let cells = (0..play.variants)
                .flat_map(|variant| tap.rows.iter().map(move |row| (variant, *row)))
                .map(|place| (at_row[&place] + start, width))
                .collect();
            layout.found.push(cells);
        }
        if 4 * wanted > MOST_WATCHED {
            let got = format!("{:.1} MB", wanted as f64 * 4.0 / 1048576.0);
            return Err(Error::limit("what is watched", "at most 16 MB a play", got));
        }
        Ok(layout)
    }

    /// The play's buffer: see [`header`].
    fn pack(&self, plan: &Plan, play: &Play<'_>, layout: &Layout) -> Vec<u32> {
        let rows = play.slots.len();
        let cells = rows * play.variants;
        let mut words = vec![0u32; header::LENGTH];
        words[header::ROWS] = rows as u32;
        words[header::VARIANTS] = play.variants as u32;
        words[header::PICKED] = play.picked.len() as u32;
        words[header::CANDIDATES] = play.candidates as u32;
        let mut push = |field: usize, numbers: &mut dyn Iterator<Item = u32>| {
            words[field] = words.len() as u32;
            words.extend(numbers);
        };
        push(header::IDS, &mut play.ids.iter().copied());
        match play.segments {
            [] => push(header::SEGMENTS, &mut std::iter::repeat_n(0, cells)),
            segments => push(header::SEGMENTS, &mut segments.iter().copied()),
        }
        push(header::SLOTS, &mut play.slots.iter().copied());
        push(header::PICKS, &mut play.picked.iter().copied());
        let streams = play.positions.iter().take(self.streams).flatten();
        push(header::POSITIONS, &mut streams.copied());
        push(
            header::DRAWS,
            &mut play.draws.iter().flat_map(|draw| {
                let numbers = [draw.temperature.to_bits(), draw.top_k];
                numbers.into_iter().chain([draw.top_p.to_bits(), draw.uniform.to_bits()])
            }),
        );
        for site in Site::ALL {
            let s = site as usize;
            words[header::KEYS + s] = play.keys[s] as u32;
            words[header::GATES + s] = header::NONE;
            let (Some(bits), Some(_)) = (play.masks[s], heads(&self.graph, site)) else { continue };
            words[header::WORDS + s] = bits.words as u32;
            words[header::TABLE + s] = words.len() as u32;
            words.extend(&bits.plane);
            words[header::PLANES + s] = words.len() as u32;
            words.extend(&bits.planes);
            if !play.gates[s].is_empty() {
                words[header::GATES + s] = words.len() as u32;
                words.extend(play.gates[s].iter().map(|gate| gate.to_bits()));
            }
        }
        let table = words.len();
        words[header::WATCH] = table as u32;
        words.resize(table + plan.attentions.len().max(1), 0);
        for (number, records) in &layout.records {
            let list = words.len();
            words[table + number] = list as u32;
            words.push(records.len() as u32);
            words.resize(list + 1 + 6 * records.len(), 0);
            for (i, record) in records.iter().enumerate() {
                let (site, _) = plan.attentions[*number];
                let heads = heads(&self.graph, site).map_or(0, |(_, heads)| heads);
                let head_table = push_table(&mut words, &record.heads, heads);
                let row_table = push_table(&mut words, &record.rows, rows);
                words[list + 1 + 6 * i..][..6].copy_from_slice(&[
                    record.probabilities as u32,
                    record.at as u32,
                    record.heads.len() as u32,
                    record.rows.len() as u32,
                    head_table as u32,
                    row_table as u32,
                ]);
            }
        }
        words
    }

    fn reading(
        &self,
        play: &Play<'_>,
        layout: &Layout,
        start: usize,
        counters: Counters,
    ) -> Reading {
        let vocabulary = self.graph.ops().iter().find_map(|op| match op {
            Op::Sample { logits } => Some(self.graph.info(*logits).width),
            _ => None,
        });
        Reading {
            start,
            choices: if vocabulary.is_some() { play.draws.len() } else { 0 },
            candidates: (play.candidates, play.candidates.min(vocabulary.unwrap_or(0))),
            found: layout.found.clone(),
            counters,
        }
    }
}

impl Reading {
    /// What the play brought back, out of the words of all.
    fn read(self, words: &[u32]) -> Played {
        let words = words.get(self.start..).unwrap_or(&[]);
        let (asked, count) = self.candidates;
        let choices = words.chunks(CHOICE_WORDS + CANDIDATE_WORDS * asked).take(self.choices);
        let choice = |words: &[u32]| Choice {
            id: words[0],
            probability: f32::from_bits(words[1]),
            candidates: words[CHOICE_WORDS..]
                .chunks(CANDIDATE_WORDS)
                .take(count)
                .map(|words| Candidate {
                    id: words[0],
                    probability: f32::from_bits(words[1]),
                    kept: words[2] == 1,
                })
                .collect(),
        };
        let tap = |found: &Found| {
            let cells = found.iter().flat_map(|(start, count)| &words[*start..start + count]);
            cells.map(|word| f32::from_bits(*word)).collect()
        };
        Played {
            choices: choices.map(choice).collect(),
            taps: self.found.iter().map(tap).collect(),
            counters: self.counters,
        }
    }
}

/// A list sorted and without repeats, all below `end`.
fn unique(what: &str, list: &[u32], end: usize) -> Result<Vec<u32>> {
    if let Some(wrong) = list.iter().find(|number| **number as usize >= end) {
        return Err(Error::input(what, format!("below {end}"), wrong.to_string()));
    }
    let mut list = list.to_vec();
    list.sort_unstable();
    list.dedup();
    Ok(list)
}

/// First and last of each stretch of neighbours in a sorted list.
fn stretches(list: &[u32]) -> Vec<(u32, u32)> {
    let mut stretches: Vec<(u32, u32)> = vec![];
    for &number in list {
        match stretches.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => stretches.push((number, number)),
        }
    }
    stretches
}

/// Appends where each of `count` numbers stands in a list, and returns where that begins.
fn push_table(words: &mut Vec<u32>, list: &[u32], count: usize) -> usize {
    let table = words.len();
    words.resize(table + count, header::NONE);
    for (index, number) in list.iter().enumerate() {
        words[table + *number as usize] = index as u32;
    }
    table
}
