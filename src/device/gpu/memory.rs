//! What stays on the GPU between plays: weights and caches.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use super::{Buffer, Shared, Texels, lock, refused};
use crate::device::kernels::{ACROSS, Laid, TILE, Tuning};
use crate::device::{Format, Matrix, Progress, check};
use crate::error::{Error, Result};
use crate::graph::{CacheInfo, Capacity, Graph, Play, Site};

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

/// A weight on the GPU: one buffer or texture, or several where one would be larger than a binding may be.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub parts: Vec<Part>,
    pub laid: Laid,
    progress: Progress,
}

/// Where some rows of a weight lie.
#[derive(Clone, Debug)]
pub(super) enum Part {
    Buffer(Buffer),
    Texels(Texels),
}

impl Part {
    fn size(&self) -> u64 {
        match self {
            Part::Buffer(buffer) => buffer.size(),
            Part::Texels(texels) => texels.size(),
        }
    }

    /// Writes words from this one on: of texels, whole ones.
    fn write(&self, queue: &wgpu::Queue, at: usize, words: &[u32]) {
        match self {
            Part::Buffer(buffer) => {
                queue.write_buffer(buffer, 4 * at as u64, bytemuck::cast_slice(words));
            }
            Part::Texels(texels) => texels.write(queue, at / 4, words),
        }
    }
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
        let mut laid = Laid::new(self.shared.tuning, out, format);
        let mut most = self.shared.largest_binding() as usize / 4;
        if laid.texels {
            most = most.min(4 * ACROSS * self.shared.limits.max_texture_dimension_2d as usize);
        }
        if laid.words(inner, out) > most {
            let row = laid.words(inner, TILE) / TILE;
            // Where not even one tile fits, the buffer is refused below.
            laid.rows = out.min((most / row / TILE).max(1) * TILE);
        }
        let sizes: Vec<u64> =
            laid.parts(out).map(|part| 4 * laid.words(inner, part.len()) as u64).collect();
        if laid.texels && sizes.iter().any(|size| *size > 4 * most as u64) {
            let got = format!("{out} x {inner}; take a smaller model, or the CPU");
            return Err(Error::limit(format!("weight `{name}`"), "narrower rows on this GPU", got));
        }
        let usage = wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
        let what = format!("weight `{name}`");
        let parts = self.noted(name, sizes.iter().sum(), |shared| {
            let make = |size: &u64| match laid.texels {
                true => Ok(Part::Texels(shared.texels(&what, *size as usize / 16))),
                false => shared.storage(&what, *size, usage).map(Part::Buffer),
            };
            sizes.iter().map(make).collect::<Result<_>>()
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
        for (place, part) in parts.iter().zip(laid.parts(out)) {
            let (start, end) = (part.start.max(first), part.end.min(first + count));
            if start >= end {
                continue;
            }
            let own = start - first..end - first;
            let (words, mut scales) = match out {
                1 => (vector(rows, inner), Vec::new()),
                _ => pack(rows, inner, own, laid, laid.tile(part.len())),
            };
            if laid.texels {
                scales.resize(scales.len().next_multiple_of(4), 0);
            }
            written += 4 * (words.len() + scales.len()) as u64;
            self.noted(name, place.size(), |shared| {
                place.write(&shared.queue, laid.row(inner, start - part.start), &words);
                if !scales.is_empty() {
                    let at = laid.scales(inner, part.len()) + start - part.start;
                    place.write(&shared.queue, at, &scales);
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

impl Stored {
    /// Its buffer: of a vector.
    pub fn buffer(&self) -> Result<&Buffer> {
        match &self.parts[..] {
            [Part::Buffer(buffer)] => Ok(buffer),
            _ => Err(Error::device("vector", "one buffer", "a weight of many rows")),
        }
    }

    /// A part as texels: a vector's are copied from its buffer.
    pub fn texels(
        &self,
        part: usize,
        shared: &Shared,
        encoder: &mut wgpu::CommandEncoder,
    ) -> Texels {
        match &self.parts[part] {
            Part::Texels(texels) => texels.clone(),
            Part::Buffer(buffer) => {
                let count = self.progress.inner.div_ceil(4);
                let texels = shared.texels("vector as a weight", count);
                texels.copy(encoder, buffer, count);
                texels
            }
        }
    }
}

impl Laid {
    /// How a weight of so many rows lies.
    pub fn new(tuning: Tuning, out: usize, format: Format) -> Laid {
        match out {
            1 => Laid { format: Format::F32, rows: 1, texels: false },
            _ => Laid { format, rows: out, texels: tuning == Tuning::Software },
        }
    }

    /// Values of a word.
    fn per_word(&self) -> usize {
        4 / self.format.bytes()
    }

    /// Rows that lie together, in a part of so many.
    fn tile(&self, rows: usize) -> usize {
        match self.rows {
            1 => 1,
            _ => TILE.min(rows.next_multiple_of(4)),
        }
    }

    /// Words of a row.
    fn row_words(&self, inner: usize) -> usize {
        let whole = if self.texels { 4 * self.per_word() } else { 4 };
        inner.next_multiple_of(whole) / self.per_word()
    }

    /// Where a row begins that begins a tile.
    fn row(&self, inner: usize, row: usize) -> usize {
        row * self.row_words(inner)
    }

    /// Where the scales of a part of so many rows begin.
    fn scales(&self, inner: usize, rows: usize) -> usize {
        self.row(inner, rows.next_multiple_of(self.tile(rows)))
    }

    /// Words of a part of so many rows.
    fn words(&self, inner: usize, rows: usize) -> usize {
        let scales = match self.format {
            Format::Int8 if self.texels => rows.next_multiple_of(4),
            Format::Int8 => rows,
            _ => 0,
        };
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
fn pack(
    matrix: &Matrix,
    inner: usize,
    rows: Range<usize>,
    laid: Laid,
    tile: usize,
) -> (Vec<u32>, Vec<u32>) {
    let first = rows.start * inner;
    let size = (rows.len(), inner, tile);
    let words = match matrix {
        Matrix::F32(values) => spread(size, laid, |at| values[first + at].to_bits()),
        Matrix::F16(values) => spread(size, laid, |at| values[first + at].to_bits() as u32),
        Matrix::Bf16(values) => spread(size, laid, |at| values[first + at].to_bits() as u32),
        Matrix::Int8 { values, .. } => spread(size, laid, |at| values[first + at] as u8 as u32),
    };
    let scales = match matrix {
        Matrix::Int8 { scales, .. } => scales[rows].iter().map(|scale| scale.to_bits()).collect(),
        _ => Vec::new(),
    };
    (words, scales)
}

/// `[out, inner]` as words, `out` padded to whole tiles, `inner` as it is laid.
fn spread(
    (out, inner, tile): (usize, usize, usize),
    laid: Laid,
    value: impl Fn(usize) -> u32,
) -> Vec<u32> {
    let per_word = laid.per_word();
    let bits = 32 / per_word;
    let tall = laid.row_words(inner);
    let mut words = vec![0u32; tall * out.next_multiple_of(tile)];
    for (first, words) in (0..out).step_by(tile).zip(words.chunks_exact_mut(tall * tile)) {
        for k in 0..inner {
            // The first row's word, words from there to the next row's, and where in the word.
            let (word, step, place) = match laid.texels {
                true => (k / (4 * per_word) * 4 * tile + k % 4, 4, k / 4 % per_word),
                false => (k / per_word * tile, 1, k % per_word),
            };
            let shift = bits * place;
            let column = words[word..].iter_mut().step_by(step).take(tile);
            for (o, word) in (first..out).zip(column) {
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
        check::caches(graph, play, |site| {
            let shape = self.shapes.iter().find(|shape| shape.site == site)?;
            Some((*shape, self.variants, self.slots[site as usize]))
        })
    }

    /// The bind group of a layer.
    pub(super) fn group(&self, site: Site, layer: usize) -> Result<&wgpu::BindGroup> {
        self.groups.get(&(site, layer)).ok_or_else(|| {
            let what = format!("{} cache", site.name());
            Error::device(what, format!("a layer {layer}"), "none")
        })
    }
}
