//! What stays on the GPU between plays: weights and caches.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use super::{Buffer, Shared, lock, refused};
use crate::device::Matrix;
use crate::device::kernels::{Format, TILE};
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

/// A weight on the GPU.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub buffer: Buffer,
    pub format: Format,
    pub out: usize,
    pub inner: usize,
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

    /// Puts a matrix `[out, inner]` there, laid out as [`Format`] says.
    pub fn upload(&mut self, name: &str, out: usize, inner: usize, matrix: Matrix) -> Result<()> {
        self.shared.healthy()?;
        let got = match &matrix {
            Matrix::F32(values) => values.len(),
            Matrix::F16(values) => values.len(),
            Matrix::Bf16(values) => values.len(),
            Matrix::Int8 { values, scales } if scales.len() == out => values.len(),
            Matrix::Int8 { scales, .. } => {
                let what = format!("scales of `{name}`");
                return Err(Error::weights(what, out.to_string(), scales.len().to_string()));
            }
        };
        if got != out * inner || got == 0 {
            let expected = format!("{out} x {inner} values");
            return Err(Error::weights(format!("weight `{name}`"), expected, got.to_string()));
        }
        let (format, words) = pack(out, inner, &matrix);
        let bytes: &[u8] = bytemuck::cast_slice(&words);
        let device = &self.shared.device;
        let memory = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let validation = device.push_error_scope(wgpu::ErrorFilter::Validation);
        let usage = wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
        let buffer = self.shared.storage(&format!("weight `{name}`"), bytes.len() as u64, usage);
        if let Ok(buffer) = &buffer {
            self.shared.queue.write_buffer(buffer, 0, bytes);
        }
        let outcomes: [Outcome; 2] = [Box::pin(validation.pop()), Box::pin(memory.pop())];
        let buffer = buffer?;
        let size = bytes.len() as u64;
        lock(&self.outcomes).extend(outcomes.map(|outcome| (name.to_owned(), size, outcome)));
        self.waiting += size;
        if self.waiting > BATCH {
            self.shared.queue.submit([]);
            self.waiting = 0;
        }
        self.stored.insert(name.to_owned(), Stored { buffer, format, out, inner });
        Ok(())
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
        let what = format!("weight `{name}`");
        match self.stored.get(name) {
            None => Err(Error::weights(what, format!("[{out}, {inner}]"), "nothing uploaded")),
            Some(stored) if (stored.out, stored.inner) != (out, inner) => {
                let got = format!("[{}, {}]", stored.out, stored.inner);
                Err(Error::weights(what, format!("[{out}, {inner}]"), got))
            }
            Some(stored) => Ok(stored),
        }
    }
}

/// The words of a matrix as the shaders read it: see [`Format`].
fn pack(out: usize, inner: usize, matrix: &Matrix) -> (Format, Vec<u32>) {
    if out == 1 {
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
        return (Format::F32, words);
    }
    match matrix {
        Matrix::F32(values) => (Format::F32, spread(out, inner, 1, |at| values[at].to_bits())),
        Matrix::F16(values) => {
            (Format::F16, spread(out, inner, 2, |at| values[at].to_bits() as u32))
        }
        Matrix::Bf16(values) => {
            (Format::Bf16, spread(out, inner, 2, |at| values[at].to_bits() as u32))
        }
        Matrix::Int8 { values, scales } => {
            let mut words = spread(out, inner, 4, |at| values[at] as u8 as u32);
            words.extend(scales.iter().map(|scale| scale.to_bits()));
            (Format::Int8, words)
        }
    }
}

/// `[out, inner]` as words `[out / tile][inner / per_word][tile]`, `inner` padded to a multiple of 4, `out` to
/// whole tiles.
fn spread(out: usize, inner: usize, per_word: usize, value: impl Fn(usize) -> u32) -> Vec<u32> {
    let bits = 32 / per_word;
    let tile = TILE.min(out);
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
