//! A graph made ready: memory for its values, pipelines, parameters and bind groups, once.
//!
//! There are two lists of steps (see [`Rows`]): one for a few rows, one for any number. Both share
//! the values' memory. A value's memory is free again after the last step that reads it, so a model
//! of any depth needs that of a handful of values; what is watched is copied out right after the step
//! that makes it.

use std::collections::HashMap;
use std::sync::Arc;

use super::memory::{Part, Stored, Weights};
use super::{Buffer, Shared, Texels};
use crate::device::Format;
use crate::device::fuse::{Rows, Step, fuse};
use crate::device::kernels::{self, Access, Context, Laid, Launch, Operand, header};
use crate::error::{Error, Result};
use crate::graph::{Capacity, Extent, Graph, Index, Op, Site, Value, WeightInfo};

/// Picked rows get this much memory at first, if all rows would take more; a play that picks more
/// makes them grow. (All 1024 rows of logits of GPT-2 are 206 MB.)
const PICKED_BYTES: usize = 16 << 20;

/// A graph readied for plays up to a capacity.
#[derive(Debug)]
pub struct Prepared {
    pub(super) shared: Arc<Shared>,
    pub(super) graph: Graph,
    pub(super) capacity: Capacity,
    /// For a few rows.
    pub(super) few: Plan,
    /// For any number of rows.
    pub(super) many: Plan,
    pub(super) memory: Memory,
    /// Buffers to read back from that no play is using.
    pub(super) free: Vec<Buffer>,
    /// Streams of positions that the graph reads.
    pub(super) streams: usize,
    params: Buffer,
}

/// Buffers that plays write and read.
#[derive(Debug)]
pub(super) struct Memory {
    slots: Vec<Slot>,
    pub play: Buffer,
    /// Plays that wait behind the one in `play`, one after the other.
    pub later: Buffer,
    pub outbox: Buffer,
    /// Picked rows, over all variants, that there is memory for.
    pub picked: usize,
}

/// Buffers in place of those that are too small, not yet taken.
struct Grown {
    play: Option<Buffer>,
    outbox: Option<Buffer>,
    picked: usize,
    /// For each slot.
    slots: Vec<Option<Buffer>>,
}

/// Memory that values take in turn.
#[derive(Debug)]
struct Slot {
    extent: Extent,
    stride: usize,
    buffer: Option<Buffer>,
}

/// A list of steps with all they need.
#[derive(Debug)]
pub(super) struct Plan {
    pub runs: Vec<Run>,
    /// Where each value (by its root) lies, and which run makes it.
    homes: HashMap<Value, Home>,
    /// The attentions, in the order of their numbers in the watch table.
    pub attentions: Vec<(Site, usize)>,
}

/// Where a value lies and which run makes it, or the last part of it.
#[derive(Clone, Copy, Debug)]
struct Home {
    slot: usize,
    run: usize,
}

/// One dispatch.
#[derive(Debug)]
pub(super) struct Run {
    pub launch: Launch,
    pub pipeline: wgpu::ComputePipeline,
    /// Those of the launch's larger tiles.
    pub larger: Vec<wgpu::ComputePipeline>,
    pub group: Option<wgpu::BindGroup>,
    layout: wgpu::BindGroupLayout,
    bound: Vec<Bound>,
    /// Where its parameters begin.
    params: u64,
}

/// A binding, resolved as far as it never changes.
#[derive(Debug)]
enum Bound {
    Slot(usize),
    Buffer(Buffer),
    Texels(Texels),
    Outbox,
}

impl Prepared {
    pub(super) async fn new(
        shared: &Arc<Shared>,
        weights: &Weights,
        graph: &Graph,
        capacity: Capacity,
    ) -> Result<Prepared> {
        shared.healthy()?;
        weights.settled().await?;
        let stored = graph
            .weights()
            .iter()
            .map(|info| weights.get(&info.name, info.out, info.inner))
            .collect::<Result<Vec<_>>>()?;
        let mut prepared =
            shared.scoped("prepared graph", || build(shared, &stored, graph, capacity)).await??;
        let play = estimate(graph, capacity, prepared.streams);
        let rows = capacity.rows * capacity.variants;
        let widest = widest_picked(&prepared.memory.slots);
        let most = PICKED_BYTES.min(shared.largest_binding() as usize);
        let picked = (most / (4 * widest)).clamp(capacity.variants.min(rows), rows.max(1));
        prepared.room(play, 4096, picked, 0).await?;
        shared.healthy()?;
        Ok(prepared)
    }

    /// Makes sure that there is memory for a play of so many words, an outbox of so many, so many picked rows and
    /// so many words of plays behind the first; only where there is not, buffers are made anew and bound again.
    pub(super) async fn room(
        &mut self,
        play: usize,
        outbox: usize,
        picked: usize,
        later: usize,
    ) -> Result<()> {
        if self.memory.later.size() < 4 * later as u64 {
            let bytes = 4 * later.next_power_of_two() as u64;
            let usage = wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
            let shared = self.shared.clone();
            let make = || shared.storage("plays that wait", bytes, usage);
            self.memory.later = shared.scoped("plays that wait", make).await??;
        }
        let memory = &self.memory;
        let bound = self.many.runs.iter().all(|run| run.group.is_some());
        let fits = memory.play.size() >= 4 * play as u64
            && memory.outbox.size() >= 4 * outbox as u64
            && memory.picked >= picked;
        if bound && fits {
            return Ok(());
        }
        // Taken when all of it is there: what was refused must not look like memory to the next play.
        let shared = self.shared.clone();
        let make = || self.grown(play, outbox, picked);
        let grown = shared.scoped("memory of a prepared graph", make).await??;
        self.take(grown);
        let bind = || {
            let runs = self.few.runs.iter().chain(&self.many.runs);
            runs.map(|run| run.bind(&shared, &self.memory, &self.params)).collect::<Vec<_>>()
        };
        let groups = shared.scoped("bindings of a prepared graph", bind).await?;
        for (run, group) in self.few.runs.iter_mut().chain(&mut self.many.runs).zip(groups) {
            run.group = Some(group);
        }
        Ok(())
    }

    /// The buffers that there is no room without.
    fn grown(&self, play: usize, outbox: usize, picked: usize) -> Result<Grown> {
        let (shared, memory) = (&self.shared, &self.memory);
        let copy = wgpu::BufferUsages::COPY_SRC;
        let larger = |what, have: &Buffer, words: usize, usage| {
            let bytes = 4 * words.next_power_of_two() as u64;
            let lacks = have.size() < 4 * words as u64;
            lacks.then(|| shared.storage(what, bytes, usage)).transpose()
        };
        let rows = self.capacity.rows * self.capacity.variants;
        let mut grown = Grown {
            play: larger("play", &memory.play, play, wgpu::BufferUsages::COPY_DST)?,
            outbox: larger("outbox", &memory.outbox, outbox, copy)?,
            picked: memory.picked.max(picked),
            slots: Vec::with_capacity(memory.slots.len()),
        };
        for slot in &memory.slots {
            let count = match slot.extent {
                Extent::Rows if slot.buffer.is_none() => Some(rows),
                Extent::Picked if slot.buffer.is_none() || grown.picked > memory.picked => {
                    Some(grown.picked)
                }
                _ => None,
            };
            let make = |count: usize| {
                let what = format!("values of {count} rows");
                shared.storage(&what, 4 * count as u64 * slot.stride as u64, copy)
            };
            grown.slots.push(count.map(make).transpose()?);
        }
        Ok(grown)
    }

    /// Takes them in place of the old ones; what is bound to those is not bound any more.
    fn take(&mut self, grown: Grown) {
        let memory = &mut self.memory;
        memory.picked = grown.picked;
        let have = [&mut memory.play, &mut memory.outbox];
        for (have, made) in have.into_iter().zip([grown.play, grown.outbox]) {
            if let Some(buffer) = made {
                *have = buffer;
            }
        }
        for (slot, made) in memory.slots.iter_mut().zip(grown.slots) {
            slot.buffer = made.or(slot.buffer.take());
        }
        for run in self.few.runs.iter_mut().chain(&mut self.many.runs) {
            run.group = None;
        }
    }

    /// The buffer, and run that makes it, of a value in a plan; none where the plan folds it away.
    pub(super) fn home(&self, plan: &Plan, root: Value) -> Option<(&wgpu::Buffer, usize)> {
        let home = plan.homes.get(&root)?;
        Some((self.memory.slots[home.slot].buffer.as_deref()?, home.run))
    }
}

impl Plan {
    /// Whether a value is written at all.
    pub(super) fn makes(&self, root: Value) -> bool {
        self.homes.contains_key(&root)
    }
}

impl Run {
    fn bind(&self, shared: &Shared, memory: &Memory, params: &wgpu::Buffer) -> wgpu::BindGroup {
        let uniform = wgpu::BufferBinding {
            buffer: params,
            offset: self.params,
            size: std::num::NonZeroU64::new(params_size(&self.launch)),
        };
        let mut resources =
            vec![wgpu::BindingResource::Buffer(uniform), memory.play.as_entire_binding()];
        for bound in &self.bound {
            let buffer = match bound {
                Bound::Slot(slot) => match &memory.slots[*slot].buffer {
                    Some(buffer) => buffer,
                    None => &shared.nothing,
                },
                Bound::Buffer(buffer) => buffer,
                Bound::Outbox => &memory.outbox,
                Bound::Texels(texels) => {
                    resources.push(wgpu::BindingResource::TextureView(texels.view()));
                    continue;
                }
            };
            resources.push(buffer.as_entire_binding());
        }
        let entries: Vec<_> = resources
            .into_iter()
            .enumerate()
            .map(|(binding, resource)| wgpu::BindGroupEntry { binding: binding as u32, resource })
            .collect();
        shared.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(self.launch.kernel.name),
            layout: &self.layout,
            entries: &entries,
        })
    }
}

/// Everything but the memory whose size may grow.
fn build(
    shared: &Arc<Shared>,
    stored: &[&Stored],
    graph: &Graph,
    capacity: Capacity,
) -> Result<Prepared> {
    let mut slots = vec![];
    let mut params = vec![];
    let most_rows = capacity.rows * capacity.variants;
    let few = plan(shared, stored, graph, (Rows::Few, most_rows), &mut slots, &mut params)?;
    let many = plan(shared, stored, graph, (Rows::Many, most_rows), &mut slots, &mut params)?;
    let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
    let uniform = shared.buffer("parameters", (params.len() as u64 * 4).max(16), usage);
    shared.queue.write_buffer(&uniform, 0, bytemuck::cast_slice(&params));
    let empty = wgpu::BufferUsages::COPY_DST;
    let memory = Memory {
        slots,
        play: shared.storage("play", 0, empty)?,
        later: shared.storage("plays that wait", 0, empty)?,
        outbox: shared.storage("outbox", 0, wgpu::BufferUsages::COPY_SRC)?,
        picked: 0,
    };
    let streams = streams(graph);
    Ok(Prepared {
        shared: shared.clone(),
        graph: graph.clone(),
        capacity,
        few,
        many,
        memory,
        free: Vec::new(),
        streams,
        params: uniform,
    })
}

/// A list of steps with pipelines, parameters and places in memory.
fn plan(
    shared: &Shared,
    stored: &[&Stored],
    graph: &Graph,
    (rows, most_rows): (Rows, usize),
    slots: &mut Vec<Slot>,
    params: &mut Vec<u32>,
) -> Result<Plan> {
    let steps = fuse(graph, rows);
    let mut homes = place(graph, &steps, slots);
    let laid: Vec<_> = stored.iter().map(|stored| stored.laid).collect();
    let aligned = shared.limits.min_uniform_buffer_offset_alignment.max(16) as usize / 4;
    let mut runs = vec![];
    let mut ends = vec![];
    let mut attentions = vec![];
    let mut encoder = shared.device.create_command_encoder(&Default::default());
    for step in &steps {
        let context = Context {
            graph,
            laid: &laid,
            tuning: shared.tuning,
            rows,
            most_rows,
            attention: attentions.len(),
        };
        if let Step::Attend { site, layer, .. } = step {
            attentions.push((*site, *layer));
        }
        for part in 0..kernels::parts(&context, step) {
            let launch = kernels::launch(&context, step, part)?;
            let accesses = launch.kernel.bindings[2..].iter().map(|(_, access)| *access);
            let bound = launch
                .operands
                .iter()
                .zip(accesses)
                .map(|(operand, access)| {
                    Ok(match operand {
                        Operand::Value(value) => Bound::Slot(homes[&graph.root(*value).0].slot),
                        Operand::Weight(weight, part) if access == Access::Texels => {
                            let stored = stored[weight.0 as usize];
                            Bound::Texels(stored.texels(*part, shared, &mut encoder))
                        }
                        Operand::Weight(weight, part) => {
                            match &stored[weight.0 as usize].parts[*part] {
                                Part::Buffer(buffer) => Bound::Buffer(buffer.clone()),
                                Part::Texels(_) => {
                                    let what = format!("kernel `{}`", launch.kernel.name);
                                    return Err(Error::device(what, "a buffer", "a texture"));
                                }
                            }
                        }
                        Operand::Nothing if access == Access::Texels => {
                            Bound::Texels(shared.no_texels.clone())
                        }
                        Operand::Vectors(vectors) => {
                            let parts: Vec<_> =
                                vectors.iter().map(|weight| stored[weight.0 as usize]).collect();
                            Bound::Buffer(join(shared, &mut encoder, &parts)?)
                        }
                        Operand::Outbox => Bound::Outbox,
                        Operand::Nothing => Bound::Buffer(shared.nothing.clone()),
                    })
                })
                .collect::<Result<Vec<_>>>()?;
            let start = params.len();
            params.extend(&launch.params);
            params.resize((start + params_size(&launch) as usize / 4).next_multiple_of(aligned), 0);
            let larger = launch.larger.iter();
            runs.push(Run {
                pipeline: shared.pipeline(launch.kernel, &launch.overrides),
                larger: larger.map(|it| shared.pipeline(launch.kernel, &it.overrides)).collect(),
                layout: shared.shader(launch.kernel).bindings,
                group: None,
                bound,
                params: 4 * start as u64,
                launch,
            });
        }
        ends.push(runs.len() - 1);
    }
    // A value is whole when the last run of its step has made its part.
    for home in homes.values_mut() {
        home.run = ends[home.run];
    }
    shared.queue.submit([encoder.finish()]);
    Ok(Plan { runs, homes, attentions })
}

/// Makes the pipelines that a graph will need, if its matrices are of this format.
pub(super) fn warm(shared: &Shared, graph: &Graph, format: Format) -> Result<()> {
    let laid = |info: &WeightInfo| Laid::new(shared.tuning, info.out, format);
    let laid: Vec<Laid> = graph.weights().iter().map(laid).collect();
    for rows in [Rows::Few, Rows::Many] {
        let mut attention = 0;
        for step in &fuse(graph, rows) {
            // A first prompt takes the smallest tiles; which larger ones are worth compiling, a capacity tells.
            let (tuning, most_rows) = (shared.tuning, 0);
            let context = Context { graph, laid: &laid, tuning, rows, most_rows, attention };
            let launch = kernels::launch(&context, step, 0)?;
            attention += matches!(step, Step::Attend { .. }) as usize;
            shared.pipeline(launch.kernel, &launch.overrides);
        }
    }
    Ok(())
}

/// Bytes of a launch's uniform.
fn params_size(launch: &Launch) -> u64 {
    (4 * launch.params.len() as u64).next_multiple_of(16)
}

/// Vectors copied one after the other.
fn join(shared: &Shared, encoder: &mut wgpu::CommandEncoder, parts: &[&Stored]) -> Result<Buffer> {
    let buffers = parts.iter().map(|part| part.buffer()).collect::<Result<Vec<_>>>()?;
    if let [only] = buffers[..] {
        return Ok(only.clone());
    }
    let total = buffers.iter().map(|buffer| buffer.size()).sum();
    let joined = shared.storage("vectors", total, wgpu::BufferUsages::COPY_DST)?;
    let mut at = 0;
    for buffer in buffers {
        encoder.copy_buffer_to_buffer(buffer, 0, &joined, at, buffer.size());
        at += buffer.size();
    }
    Ok(joined)
}

/// Gives each value a slot from its making to its last reading.
fn place(graph: &Graph, steps: &[Step], slots: &mut Vec<Slot>) -> HashMap<Value, Home> {
    let mut last_read: HashMap<Value, usize> = HashMap::new();
    for (index, step) in steps.iter().enumerate() {
        for read in step.reads() {
            last_read.insert(graph.root(read).0, index);
        }
    }
    let mut homes: HashMap<Value, Home> = HashMap::new();
    let mut free: Vec<usize> = (0..slots.len()).collect();
    for (index, step) in steps.iter().enumerate() {
        if let Some(out) = step.writes() {
            let info = graph.info(out);
            let stride = kernels::stride(info.width);
            // Of the free ones the smallest that is large enough, else the largest.
            let best =
                free.iter().copied().filter(|slot| slots[*slot].extent == info.extent).min_by_key(
                    |slot| {
                        let have = slots[*slot].stride;
                        (have < stride, if have < stride { usize::MAX - have } else { have })
                    },
                );
            let slot = best.unwrap_or_else(|| {
                slots.push(Slot { extent: info.extent, stride, buffer: None });
                slots.len() - 1
            });
            slots[slot].stride = slots[slot].stride.max(stride);
            free.retain(|other| *other != slot);
            homes.insert(out, Home { slot, run: index });
        }
        let mut done: Vec<Value> = step.reads().iter().map(|read| graph.root(*read).0).collect();
        done.extend(step.writes());
        done.sort_by_key(|value| value.0);
        done.dedup();
        for value in done {
            if last_read.get(&value).is_none_or(|last| *last <= index)
                && let Some(home) = homes.get(&value)
                && !free.contains(&home.slot)
            {
                free.push(home.slot);
            }
        }
    }
    homes
}

fn widest_picked(slots: &[Slot]) -> usize {
    let strides = slots.iter().filter(|slot| slot.extent == Extent::Picked);
    strides.map(|slot| slot.stride).max().unwrap_or(1)
}

/// Streams of positions that a graph reads.
fn streams(graph: &Graph) -> usize {
    let most = graph.ops().iter().map(|op| match op {
        Op::Embed { lookups, .. } => lookups
            .iter()
            .map(|lookup| match lookup.index {
                Index::Position(stream) => stream + 1,
                Index::Token | Index::Segment => 0,
            })
            .max()
            .unwrap_or(0),
        Op::Rotate { rotation, .. } => rotation.stream + 1,
        _ => 0,
    });
    most.max().unwrap_or(0)
}

/// Words of a play at capacity, with one plane of mask a variant.
fn estimate(graph: &Graph, capacity: Capacity, streams: usize) -> usize {
    let (rows, variants) = (capacity.rows, capacity.variants);
    let mut words = header::LENGTH + rows * (2 * variants + streams + 2 + 4 * variants);
    for cache in graph.caches() {
        let heads = graph.attention(cache.site, 0).map_or(0, |op| match op {
            Op::Attend { heads, .. } => heads.heads,
            _ => 0,
        });
        words += 2 * variants * cache.layers * heads;
        words += variants * rows * capacity.keys[cache.site as usize].div_ceil(32);
    }
    words
}

/// What a graph attends with at a site: layers of its cache and query heads.
pub(super) fn heads(graph: &Graph, site: Site) -> Option<(usize, usize)> {
    let layers = graph.caches().iter().find(|cache| cache.site == site)?.layers;
    graph.ops().iter().find_map(|op| match op {
        Op::Attend { site: s, heads, .. } if *s == site => Some((layers, heads.heads)),
        _ => None,
    })
}
