//! What stays on the GPU between plays: weights and caches.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use super::{Buffer, Shared, lock, refused};
use crate::device::kernels::{Laid, TILE};
use crate::device::{Format, Matrix, Progress};
use crate::error::{Error, Result};
use crate::graph::{CacheInfo, Capacity, Graph, Op, Play, Site};

#[cfg(not(target_arch = "wasm32"))]
type Outcome = Pin<Box<dyn Future<Output = Option<wgpu::Error>> + Send>>;
#[cfg(target_arch = "wasm32")]
type Outcome = Pin<Box<dyn Future<Output = Option<wgpu::Error>>>>;

/// Uploads between two submits, so that a driver's copies of them do not pile up.
const BATCH: u64 = 64 << 20;

/// The weights of one model, by name.
pub struct Weights {
    shared: Arc<Shared>,
    stored: HashMap<String, Stored>,
    /// What became of each allocation (a name, bytes); awaited when a graph is prepared.
    outcomes: Mutex<Vec<(String, u64, Outcome)>>,
    /// The first that failed: these weights can never be used.
    failed: Mutex<Option<Error>>,
    /// Bytes uploaded since the last submit.
    waiting: u64,
}

/// A weight on the GPU: one buffer, or several where one would be larger than a binding may be.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub parts: Vec<Buffer>,
    pub laid: Laid,
    progress: Progress,
}

impl fmt::Debug for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Weights").field("stored", &self.stored).finish_non_exhaustive()
    }
}

impl Weights {
    pub(super) fn new(shared: Arc<Shared>) -> Weights {
        Weights {
            shared,
            stored: HashMap::new(),
            outcomes: Mutex::default(),
            failed: Mutex::default(),
            waiting: 0,
        }
    }

    /// Makes room for a matrix `[out, inner]`, laid out as [`TILE`] says.
    pub fn reserve(&mut self, name: &str, out: usize, inner: usize, format: Format) -> Result<()> {
        self.shared.healthy()?;
        let progress = Progress { out, inner, format, rows: 0 };
        let mut laid = Laid { format: if out == 1 { Format::F32 } else { format }, rows: out };
        let most = self.shared.largest_binding() as usize / 4;
        if laid.words(inner, out) > most {
            let row = laid.words(inner, TILE) / TILE;
            // Where not even one tile fits, the buffer is refused below.
            laid.rows = out.min((most / row / TILE).max(1) * TILE);
        }
        let sizes: Vec<u64> =
            laid.parts(out).map(|part| 4 * laid.words(inner, part.len()) as u64).collect();
        let usage = wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
        let what = format!("weight `{name}`");
        let parts = self.noted(name, sizes.iter().sum(), |shared| {
            sizes.iter().map(|size| shared.storage(&what, *size, usage)).collect::<Result<_>>()
        })?;
        self.stored.insert(name.to_owned(), Stored { parts, laid, progress });
        Ok(())
    }

    /// Puts the next rows of a matrix there.
    pub fn fill(&mut self, name: &str, rows: &Matrix) -> Result<()> {
        self.shared.healthy()?;
        let Some(stored) = self.stored.get_mut(name) else {
            return Err(Error::weights(format!("weight `{name}`"), "room for it", "none"));
        };
        let count = stored.progress.next(name, rows)?;
        let Progress { out, inner, rows: first, .. } = stored.progress;
        stored.progress.rows += count;
        let Stored { parts, laid, .. } = stored.clone();
        let mut written = 0;
        for (buffer, part) in parts.iter().zip(laid.parts(out)) {
            let (start, end) = (part.start.max(first), part.end.min(first + count));
            if start >= end {
                continue;
            }
            let own = start - first..end - first;
            let (words, scales) = match out {
                1 => (vector(rows, inner), Vec::new()),
                _ => pack(rows, inner, own, TILE.min(part.len())),
            };
            written += 4 * (words.len() + scales.len()) as u64;
            self.noted(name, buffer.size(), |shared| {
                let write = |at: usize, words: &[u32]| {
                    let words: &[u8] = bytemuck::cast_slice(words);
                    shared.queue.write_buffer(buffer, 4 * at as u64, words);
                };
                write(laid.row(inner, start - part.start), &words);
                if !scales.is_empty() {
                    write(laid.scales(inner, part.len()) + start - part.start, &scales);
                }
                Ok(())
            })?;
        }
        self.waiting += written;
        if self.waiting > BATCH {
            self.shared.queue.submit([]);
            self.waiting = 0;
        }
        Ok(())
    }

    /// Does something for a weight; whether the GPU had room for it is known when it is [`Weights::settled`].
    fn noted<T>(
        &self,
        name: &str,
        bytes: u64,
        work: impl FnOnce(&Shared) -> Result<T>,
    ) -> Result<T> {
        let device = &self.shared.device;
        let memory = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let validation = device.push_error_scope(wgpu::ErrorFilter::Validation);
        let done = work(&self.shared);
        let outcomes: [Outcome; 2] = [Box::pin(validation.pop()), Box::pin(memory.pop())];
        let done = done?;
        lock(&self.outcomes).extend(outcomes.map(|outcome| (name.to_owned(), bytes, outcome)));
        Ok(done)
    }

    /// Waits until all uploads are known to have found room.
    pub async fn settled(&self) -> Result<()> {
        let outcomes = std::mem::take(&mut *lock(&self.outcomes));
        for (name, bytes, outcome) in outcomes {
            if let Some(error) = outcome.await {
                let error = refused(&format!("weight `{name}`"), bytes, &error);
                lock(&self.failed).get_or_insert(error);
            }
        }
        lock(&self.failed).clone().map_or(Ok(()), Err)
    }

    /// A weight by name, of this shape.
    pub(super) fn get(&self, name: &str, out: usize, inner: usize) -> Result<&Stored> {
        let Some(stored) = self.stored.get(name) else {
            let what = format!("weight `{name}`");
            return Err(Error::weights(what, format!("[{out}, {inner}]"), "nothing uploaded"));
        };
        stored.progress.check(name, out, inner)?;
        Ok(stored)
    }
}

impl Laid {
    /// Values of a word.
    fn per_word(&self) -> usize {
        4 / self.format.bytes()
    }

    /// Where a row begins that begins a tile.
    fn row(&self, inner: usize, row: usize) -> usize {
        row * (inner.next_multiple_of(4) / self.per_word())
    }

    /// Where the scales of a part of so many rows begin.
    fn scales(&self, inner: usize, rows: usize) -> usize {
        self.row(inner, rows.next_multiple_of(TILE.min(rows)))
    }

    /// Words of a part of so many rows.
    fn words(&self, inner: usize, rows: usize) -> usize {
        let scales = if self.format == Format::Int8 { rows } else { 0 };
        self.scales(inner, rows) + scales
    }
}

/// The words of a vector.
fn vector(matrix: &Matrix, inner: usize) -> Vec<u32> {
    let mut words = vec![0u32; inner.next_multiple_of(4)];
    for (k, word) in words.iter_mut().enumerate().take(inner) {
        *word = match matrix {
            Matrix::F32(values) => values[k],
            Matrix::F16(values) => values[k].to_f32(),
            Matrix::Bf16(values) => values[k].to_f32(),
            Matrix::Int8 { values, scales } => values[k] as f32 * scales[0],
        }
        .to_bits();
    }
    words
}

/// The words of some rows of a matrix as the shaders read them, see [`TILE`], and their scales.
fn pack(matrix: &Matrix, inner: usize, rows: Range<usize>, tile: usize) -> (Vec<u32>, Vec<u32>) {
    let (count, first) = (rows.len(), rows.start * inner);
    let words = match matrix {
        Matrix::F32(values) => spread(count, inner, tile, 1, |at| values[first + at].to_bits()),
        Matrix::F16(values) => {
            spread(count, inner, tile, 2, |at| values[first + at].to_bits() as u32)
        }
        Matrix::Bf16(values) => {
            spread(count, inner, tile, 2, |at| values[first + at].to_bits() as u32)
        }
        Matrix::Int8 { values, .. } => {
            spread(count, inner, tile, 4, |at| values[first + at] as u8 as u32)
        }
    };
    let scales = match matrix {
        Matrix::Int8 { scales, .. } => scales[rows].iter().map(|scale| scale.to_bits()).collect(),
        _ => Vec::new(),
    };
    (words, scales)
}

/// `[out, inner]` as words `[out / tile][inner / per_word][tile]`, `inner` padded to a multiple of 4, `out` to
/// whole tiles.
fn spread(
    out: usize,
    inner: usize,
    tile: usize,
    per_word: usize,
    value: impl Fn(usize) -> u32,
) -> Vec<u32> {
    let bits = 32 / per_word;
    let tall = inner.next_multiple_of(4) / per_word;
    let mut words = vec![0u32; tall * out.next_multiple_of(tile)];
    for (first, words) in (0..out).step_by(tile).zip(words.chunks_exact_mut(tall * tile)) {
        for k in 0..inner {
            let row = &mut words[k / per_word * tile..][..tile];
            let shift = bits * (k % per_word);
            for (o, word) in (first..out).zip(row) {
                *word |= value(o * inner + k) << shift;
            }
        }
    }
    words
}

/// Keys and values of one session: for each site and layer a buffer
/// `[key|value][variant][kv_head][slot][head_width]`, f32, and its shape.
#[derive(Debug)]
pub struct Caches {
    shared: Arc<Shared>,
    /// Slots of each site.
    slots: [usize; 3],
    /// Variants that they hold.
    variants: usize,
    groups: HashMap<(Site, usize), wgpu::BindGroup>,
    /// What the groups bind: held as long as they are used.
    _buffers: Vec<Buffer>,
    shapes: Vec<CacheInfo>,
}

impl Caches {
    pub(super) async fn new(
        shared: &Arc<Shared>,
        shapes: &[CacheInfo],
        capacity: Capacity,
    ) -> Result<Caches> {
        shared.healthy()?;
        let made = shared.scoped("key/value caches", || {
            let (mut groups, mut buffers) = (HashMap::new(), Vec::new());
            for cache in shapes {
                let slots = capacity.keys[cache.site as usize];
                let shape = [capacity.variants, cache.kv_heads, slots, cache.head_width];
                let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
                let uniform = shared.buffer("shape of a cache", 16, usage);
                let words = shape.map(|number| number as u32);
                shared.queue.write_buffer(&uniform, 0, bytemuck::cast_slice(&words));
                let bytes = 2 * 4 * shape.iter().product::<usize>() as u64;
                for layer in 0..cache.layers {
                    let what = format!("{} cache, layer {layer}", cache.site.name());
                    let buffer = shared.storage(&what, bytes, wgpu::BufferUsages::empty())?;
                    let group = shared.device.create_bind_group(&wgpu::BindGroupDescriptor {
                        label: Some(&what),
                        layout: &shared.cache_layout,
                        entries: &[
                            wgpu::BindGroupEntry {
                                binding: 0,
                                resource: uniform.as_entire_binding(),
                            },
                            wgpu::BindGroupEntry {
                                binding: 1,
                                resource: buffer.as_entire_binding(),
                            },
                        ],
                    });
                    groups.insert((cache.site, layer), group);
                    buffers.push(buffer);
                }
                buffers.push(uniform);
            }
            Ok((groups, buffers))
        });
        let (groups, buffers) = made.await??;
        Ok(Caches {
            shared: shared.clone(),
            slots: capacity.keys,
            variants: capacity.variants,
            groups,
            _buffers: buffers,
            shapes: shapes.to_vec(),
        })
    }

    /// Refuses caches of another GPU or another shape than the graph's, or too small for the play.
    pub(super) fn check(&self, shared: &Arc<Shared>, graph: &Graph, play: &Play<'_>) -> Result<()> {
        if !Arc::ptr_eq(&self.shared, shared) {
            return Err(Error::device("caches", "those of the graph's GPU", "those of another"));
        }
        let slots = play.slots.iter().max().map_or(0, |last| *last as usize + 1);
        for shape in graph.caches() {
            let what = format!("{} cache", shape.site.name());
            let Some(have) = self.shapes.iter().find(|have| have.site == shape.site) else {
                return Err(Error::device(what, format!("{shape:?}"), "none"));
            };
            if have != shape {
                return Err(Error::device(what, format!("{shape:?}"), format!("{have:?}")));
            }
            let site = shape.site as usize;
            let (need, have) = (play.keys[site], self.slots[site]);
            // A decoder's rows are no slots of the memory that it only reads.
            let stores = |op: &Op| matches!(op, Op::Store { site, .. } if *site == shape.site);
            let need = if graph.ops().iter().any(stores) { need.max(slots) } else { need };
            if have < need || self.variants < play.variants {
                let show = |slots, variants| format!("{slots} slots of {variants} variants");
                let got = show(have, self.variants);
                return Err(Error::device(what, show(need, play.variants), got));
            }
        }
        Ok(())
    }

    /// The bind group of a layer.
    pub(super) fn group(&self, site: Site, layer: usize) -> Result<&wgpu::BindGroup> {
        self.groups.get(&(site, layer)).ok_or_else(|| {
            let what = format!("{} cache", site.name());
            Error::device(what, format!("a layer {layer}"), "none")
        })
    }
}
