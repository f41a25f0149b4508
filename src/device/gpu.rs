//! The GPU device: WGSL through wgpu (WebGPU in a browser; Vulkan, Metal or D3D12 on a desktop).
//!
//! [`Gpu::open`] finds an adapter and says honestly what it is. Weights and caches live in
//! `memory`, what a graph needs made once in `prepare`, one play in `play`. Whatever an adapter can
//! cause (loss, refusal, memory, a shader it rejects) comes back as an [`Error`] of the next call.

mod adapter;
mod buffer;
mod memory;
mod play;
mod prepare;
mod timer;
mod wait;

use std::collections::HashMap;
#[cfg(not(target_arch = "wasm32"))]
use std::sync::OnceLock;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::kernels::{Access, CACHE_BINDINGS, Kernel, Tuning};
use super::{Cause, Format, Refusal, Report, Usage};
use crate::error::{Error, Kind, Result};
use crate::graph::{CacheInfo, Capacity, Graph, Play, Played};

use buffer::{Buffer, Ledger, Texels};
pub use memory::{Caches, Weights};
pub use play::Begun;
pub use prepare::Prepared;
pub use timer::DispatchTime;

/// Used where an adapter has them, natively: the bench times kernels.
const OPTIONAL_FEATURES: wgpu::Features = match cfg!(target_arch = "wasm32") {
    true => wgpu::Features::empty(),
    false => wgpu::Features::TIMESTAMP_QUERY,
};

/// An open GPU.
#[derive(Clone, Debug)]
pub struct Gpu {
    report: Report,
    shared: Arc<Shared>,
}

/// What weights, caches and prepared graphs of one GPU have in common.
#[derive(Debug)]
struct Shared {
    device: wgpu::Device,
    queue: wgpu::Queue,
    limits: wgpu::Limits,
    tuning: Tuning,
    trouble: Arc<Mutex<Trouble>>,
    ledger: Arc<Mutex<Ledger>>,
    shaders: Mutex<HashMap<&'static str, Shader>>,
    pipelines: Mutex<HashMap<PipelineKey, wgpu::ComputePipeline>>,
    timing: Mutex<timer::Timing>,
    cache_layout: wgpu::BindGroupLayout,
    /// Stands where a shader binds something that it will not read.
    nothing: Buffer,
    /// The same where it binds texels.
    no_texels: Texels,
    /// The same for `@group(1)`.
    no_cache: wgpu::BindGroup,
}

/// A shader's module and the layouts of its bindings.
#[derive(Clone, Debug)]
struct Shader {
    module: wgpu::ShaderModule,
    bindings: wgpu::BindGroupLayout,
    pipeline: wgpu::PipelineLayout,
}

/// A shader and the bits of its overrides.
type PipelineKey = (&'static str, Vec<(&'static str, u64)>);

/// What went wrong behind our back.
#[derive(Debug, Default)]
struct Trouble {
    /// The device is gone for good, for this reason.
    lost: Option<String>,
    /// The first error that no scope caught; told once.
    error: Option<String>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How a GPU is opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// At most so many bytes a binding, where the adapter would take more: for tests of what does not fit into one.
    pub most_binding: Option<u64>,
    /// The kernels of this kind of adapter, whatever it is: for tests of both, and to compare them.
    pub tuning: Option<Tuning>,
}

impl Gpu {
    /// Opens the best adapter there is, software included.
    pub async fn open(options: Options) -> Result<Gpu, Refusal> {
        let Options { most_binding, tuning } = options;
        let most_binding = most_binding.unwrap_or(u64::MAX);
        adapter::supported()?;
        let refusal = |cause, what: String, expected: &str, got: String| {
            Err(Refusal { cause, error: Error::device(what, expected, got) })
        };
        let instance = instance();
        let options = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..Default::default()
        };
        let Ok(adapter) = instance.request_adapter(&options).await else {
            let got = if cfg!(target_arch = "wasm32") {
                "none: this browser offers no adapter on this machine"
            } else {
                "none: no Vulkan, Metal or D3D12 driver offers one"
            };
            return refusal(Cause::NoAdapter, "GPU".into(), "an adapter", got.into());
        };
        let info = adapter.get_info();
        let name = adapter::name(&info);
        let limits = adapter.limits();
        let wanted = wgpu::Limits {
            max_buffer_size: limits.max_buffer_size,
            max_storage_buffer_binding_size: limits
                .max_storage_buffer_binding_size
                .min(most_binding),
            ..wgpu::Limits::defaults()
        };
        // What is not asked for above an adapter may be poor in.
        let wanted = wanted.or_worse_values_from(&limits);
        let needed = [
            ("storage buffers a stage", wanted.max_storage_buffers_per_shader_stage, 8),
            ("invocations a workgroup", wanted.max_compute_invocations_per_workgroup, 256),
            ("bytes of workgroup memory", wanted.max_compute_workgroup_storage_size, 16_384),
        ];
        if let Some((of, have, need)) = needed.into_iter().find(|(_, have, need)| have < need) {
            let what = format!("GPU adapter ({name})");
            return refusal(Cause::Limits, what, &format!("{need} {of}"), have.to_string());
        }
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("unmasked"),
            required_features: adapter.features() & OPTIONAL_FEATURES,
            required_limits: wanted,
            ..Default::default()
        };
        let (device, queue) = match adapter.request_device(&descriptor).await {
            Ok(pair) => pair,
            Err(error) => {
                let what = format!("GPU adapter ({name})");
                return refusal(Cause::Refused, what, "a device", format!("a refusal: {error}"));
            }
        };

        let trouble = Arc::new(Mutex::new(Trouble::default()));
        let noted = trouble.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            lock(&noted).error.get_or_insert_with(|| error.to_string());
        }));
        let noted = trouble.clone();
        device.set_device_lost_callback(move |reason, message| {
            lock(&noted).lost.get_or_insert_with(|| format!("{reason:?}: {message}"));
        });

        let software = adapter::is_software(&info, &name);
        let (cause, kind, reason) = if software {
            let reason = "the adapter is software: its numbers are right, it is slow";
            (Cause::Software, Tuning::Software, reason)
        } else {
            (Cause::Hardware, Tuning::Hardware, "the adapter is real hardware")
        };
        let optional =
            [("shader-f16", wgpu::Features::SHADER_F16), ("subgroups", wgpu::Features::SUBGROUP)];
        let has = adapter.features();
        let lacks = optional.into_iter().filter(|(_, feature)| !has.contains(*feature));
        let lacks = lacks.map(|(name, _)| name).collect();
        let reason = reason.into();
        let report = Report { backend: "gpu", adapter: name, software, cause, reason, lacks };
        let shared = Shared::new(device, queue, tuning.unwrap_or(kind), trouble);
        // Natively wgpu's handles may cross threads, and so may this; on the web nothing does.
        #[allow(clippy::arc_with_non_send_sync)]
        let shared = Arc::new(shared);
        let gpu = Gpu { report, shared };
        match gpu.shared.healthy() {
            Ok(()) => Ok(gpu),
            Err(error) => Err(Refusal { cause: Cause::Refused, error }),
        }
    }

    /// What it is.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Whose kernels it runs.
    pub fn tuning(&self) -> Tuning {
        self.shared.tuning
    }

    /// An empty set of weights.
    pub fn weights(&self) -> Weights {
        Weights::new(self.shared.clone())
    }

    /// Caches of these shapes, zeroed.
    pub async fn caches(&self, shapes: &[CacheInfo], capacity: Capacity) -> Result<Caches> {
        Caches::new(&self.shared, shapes, capacity).await
    }

    /// Has the pipelines of a graph compiled, once a device; nothing waits for them.
    pub fn warm(&self, graph: &Graph, format: Format) -> Result<()> {
        prepare::warm(&self.shared, graph, format)
    }

    /// Makes all that plays of this graph need: memory, pipelines, bind groups.
    pub async fn prepare(
        &self,
        weights: &Weights,
        graph: &Graph,
        capacity: Capacity,
    ) -> Result<Prepared> {
        Prepared::new(&self.shared, weights, graph, capacity).await
    }

    /// Submits plays that follow one another, all at once, and waits for none.
    pub async fn begin(
        &self,
        prepared: &mut Prepared,
        caches: &mut Caches,
        after: Option<&Begun>,
        plays: &[Play<'_>],
    ) -> Result<Begun> {
        prepared.begin(caches, after, plays).await
    }

    /// Waits for what was begun: one readback where anything is to come back.
    pub async fn finish(&self, prepared: &mut Prepared, begun: Begun) -> Result<Vec<Played>> {
        prepared.finish(begun).await
    }

    /// From now on every dispatch is timed, which slows plays down.
    pub fn time_dispatches(&self) -> Result<()> {
        if !self.shared.device.features().contains(wgpu::Features::TIMESTAMP_QUERY) {
            return Err(Error::device("GPU", "timestamp queries", "an adapter without them"));
        }
        lock(&self.shared.timing).on = true;
        Ok(())
    }

    /// What the dispatches of the last play took, where they are timed.
    pub fn timings(&self) -> Vec<DispatchTime> {
        lock(&self.shared.timing).last.clone()
    }

    /// Whether the device is gone for good.
    pub fn is_lost(&self) -> bool {
        lock(&self.shared.trouble).lost.is_some()
    }

    /// Buffers and bytes of all weights, caches and prepared graphs that are there.
    pub fn usage(&self) -> Usage {
        lock(&self.shared.ledger).now
    }

    /// Drops the device under whoever uses it, as a crash of a driver does.
    pub fn destroy(&self) {
        self.shared.device.destroy();
    }
}

/// The way to this machine's drivers, opened once natively and never closed: with the last way to it a driver is unloaded,
/// and one was seen to go on in a thread of its own and crash the process at its end (NVIDIA 580.159.04, Vulkan).
#[cfg(not(target_arch = "wasm32"))]
fn instance() -> wgpu::Instance {
    static INSTANCE: OnceLock<wgpu::Instance> = OnceLock::new();
    INSTANCE.get_or_init(new_instance).clone()
}

#[cfg(target_arch = "wasm32")]
fn instance() -> wgpu::Instance {
    new_instance()
}

fn new_instance() -> wgpu::Instance {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::PRIMARY;
    wgpu::Instance::new(descriptor)
}

impl Shared {
    fn new(
        device: wgpu::Device,
        queue: wgpu::Queue,
        tuning: Tuning,
        trouble: Arc<Mutex<Trouble>>,
    ) -> Shared {
        let cache_layout = bind_group_layout(&device, "cache", &CACHE_BINDINGS);
        let ledger = Arc::<Mutex<Ledger>>::default();
        let nothing = wgpu::BufferDescriptor {
            label: Some("nothing"),
            size: 256,
            usage: wgpu::BufferUsages::STORAGE,
            mapped_at_creation: false,
        };
        let nothing = Buffer::new(&device, &ledger, &nothing);
        let no_texels = Texels::new(&device, &ledger, "nothing", 1);
        let written = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("no cache"),
            size: 256,
            usage: wgpu::BufferUsages::STORAGE,
            mapped_at_creation: false,
        });
        let shape = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("no cache"),
            size: 16,
            usage: wgpu::BufferUsages::UNIFORM,
            mapped_at_creation: false,
        });
        let no_cache = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("no cache"),
            layout: &cache_layout,
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: shape.as_entire_binding() },
                wgpu::BindGroupEntry { binding: 1, resource: written.as_entire_binding() },
            ],
        });
        Shared {
            limits: device.limits(),
            device,
            queue,
            tuning,
            trouble,
            ledger,
            shaders: Mutex::default(),
            pipelines: Mutex::default(),
            timing: Mutex::default(),
            cache_layout,
            nothing,
            no_texels,
            no_cache,
        }
    }

    /// An error, if something went wrong that nobody waited for.
    fn healthy(&self) -> Result<()> {
        let mut trouble = lock(&self.trouble);
        if let Some(lost) = &trouble.lost {
            let got = format!("its loss ({lost})");
            return Err(Error::new(Kind::Lost, "GPU device", "to stay", got));
        }
        match trouble.error.take() {
            Some(error) => Err(Error::device("GPU", "no error", error)),
            None => Ok(()),
        }
    }

    /// Runs `make`; memory that is not there, or anything else the device refuses, becomes an error
    /// that names `what`.
    async fn scoped<T>(&self, what: &str, make: impl FnOnce() -> T) -> Result<T> {
        let memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let internal = self.device.push_error_scope(wgpu::ErrorFilter::Internal);
        let validation = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let before = lock(&self.ledger).ever;
        let made = make();
        let bytes = lock(&self.ledger).ever - before;
        let (validation, internal, memory) = (validation.pop(), internal.pop(), memory.pop());
        let errors = [validation.await, internal.await, memory.await];
        match errors.into_iter().flatten().next() {
            Some(error) => Err(refused(what, bytes, &error)),
            None => Ok(made),
        }
    }

    /// The size that one binding can have, in bytes.
    fn largest_binding(&self) -> u64 {
        self.limits.max_storage_buffer_binding_size.min(self.limits.max_buffer_size)
    }

    /// A storage buffer, checked against the limits; at least 16 bytes, as empty bindings are invalid.
    fn storage(&self, what: &str, bytes: u64, more: wgpu::BufferUsages) -> Result<Buffer> {
        let most = self.largest_binding();
        if bytes > most {
            let expected = format!("at most {} bytes on this GPU", most);
            let got = format!("{bytes} bytes; take a smaller model, or the CPU");
            return Err(Error::limit(what, expected, got));
        }
        Ok(self.buffer(
            what,
            bytes.max(16).next_multiple_of(16),
            wgpu::BufferUsages::STORAGE | more,
        ))
    }

    /// A texture of so many texels. Make it inside a scope.
    fn texels(&self, what: &str, count: usize) -> Texels {
        Texels::new(&self.device, &self.ledger, what, count)
    }

    /// A buffer of any kind. Make it inside a scope: see [`Shared::scoped`].
    fn buffer(&self, what: &str, size: u64, usage: wgpu::BufferUsages) -> Buffer {
        let label = Some(what);
        let descriptor = wgpu::BufferDescriptor { label, size, usage, mapped_at_creation: false };
        Buffer::new(&self.device, &self.ledger, &descriptor)
    }

    /// The module and layouts of a kernel, made once.
    fn shader(&self, kernel: &'static Kernel) -> Shader {
        lock(&self.shaders)
            .entry(kernel.name)
            .or_insert_with(|| {
                let bindings = bind_group_layout(&self.device, kernel.name, kernel.bindings);
                let groups = [Some(&bindings), Some(&self.cache_layout)];
                let pipeline = wgpu::PipelineLayoutDescriptor {
                    label: Some(kernel.name),
                    bind_group_layouts: &groups[..1 + kernel.cache as usize],
                    immediate_size: 0,
                };
                Shader {
                    module: self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
                        label: Some(kernel.name),
                        source: wgpu::ShaderSource::Wgsl(kernel.source.into()),
                    }),
                    pipeline: self.device.create_pipeline_layout(&pipeline),
                    bindings,
                }
            })
            .clone()
    }

    /// The pipeline of a kernel with these overrides, made once.
    fn pipeline(
        &self,
        kernel: &'static Kernel,
        overrides: &[(&'static str, f64)],
    ) -> wgpu::ComputePipeline {
        let key = (kernel.name, overrides.iter().map(|(n, v)| (*n, v.to_bits())).collect());
        if let Some(pipeline) = lock(&self.pipelines).get(&key) {
            return pipeline.clone();
        }
        let shader = self.shader(kernel);
        let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(kernel.name),
            layout: Some(&shader.pipeline),
            module: &shader.module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: overrides,
                // Every kernel writes its workgroup memory before it reads it.
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        });
        lock(&self.pipelines).insert(key, pipeline.clone());
        pipeline
    }
}

fn bind_group_layout(
    device: &wgpu::Device,
    name: &str,
    bindings: &[(&str, Access)],
) -> wgpu::BindGroupLayout {
    let buffer =
        |ty| wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None };
    let entries: Vec<_> = bindings
        .iter()
        .enumerate()
        .map(|(binding, (_, access))| wgpu::BindGroupLayoutEntry {
            binding: binding as u32,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: match access {
                Access::Uniform => buffer(wgpu::BufferBindingType::Uniform),
                Access::Read => buffer(wgpu::BufferBindingType::Storage { read_only: true }),
                Access::Write => buffer(wgpu::BufferBindingType::Storage { read_only: false }),
                Access::Texels => wgpu::BindingType::Texture {
                    sample_type: wgpu::TextureSampleType::Uint,
                    view_dimension: wgpu::TextureViewDimension::D2,
                    multisampled: false,
                },
            },
            count: None,
        })
        .collect();
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: Some(name),
        entries: &entries,
    })
}

/// An error of an error scope, by what was being made and how large it was.
fn refused(what: &str, bytes: u64, error: &wgpu::Error) -> Error {
    match error {
        wgpu::Error::OutOfMemory { .. } => {
            let expected = format!("room for {bytes} bytes on the GPU");
            let got =
                "no memory left; close other models or pages, or take a smaller model or the CPU";
            Error::new(Kind::Memory, what, expected, got)
        }
        other => Error::device(what, "the GPU to accept it", other.to_string()),
    }
}
