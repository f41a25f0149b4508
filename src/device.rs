//! Devices play graphs. There are two, and they play the same list of ops: the CPU (plain Rust,
//! SIMD where it is hot) and the GPU (WGSL through wgpu: WebGPU in a browser, Vulkan, Metal or
//! D3D12 on a desktop).
//!
//! A device is used in four calls: [`Device::weights`] holds what [`Weights::upload`] puts there,
//! [`Device::caches`] holds keys and values, [`Device::prepare`] readies a graph for a capacity,
//! [`Device::play`] runs it.

pub mod check;
pub mod cpu;
pub mod fuse;
pub mod gpu;
pub mod kernels;

use half::{bf16, f16};

use crate::error::{Error, Result};
use crate::graph::{CacheInfo, Capacity, Graph, Play, Played};

/// Which device a person asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// The GPU where it is real hardware and healthy, else the CPU.
    #[default]
    Auto,
    /// The GPU, software adapters included, or an error.
    Gpu,
    /// The CPU.
    Cpu,
}

/// Why a device runs, as a word: pages have a sentence for each in their own language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// A person asked for the CPU.
    Asked,
    /// The GPU adapter is real hardware.
    Hardware,
    /// The GPU was asked for, and its only adapter is software.
    Software,
    /// The CPU, as the only GPU adapter is software and slower.
    SoftwareAdapter,
    /// The CPU, as this browser has no WebGPU at all.
    NoWebgpu,
    /// The CPU, as the browser has WebGPU in windows, but not in workers.
    WindowOnly,
    /// The CPU, as browsers offer WebGPU to secure pages only.
    Insecure,
    /// The CPU, as no adapter is offered.
    NoAdapter,
    /// The CPU, as the adapter gives no device.
    Refused,
    /// The CPU, as the adapter can do less than every WebGPU adapter must.
    Limits,
    /// The CPU, as the GPU was lost again and again.
    Lost,
}

/// Which device runs, and why: always on screen.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// `gpu` or `cpu`.
    pub backend: &'static str,
    /// The adapter's own name, or what the CPU path uses.
    pub adapter: String,
    /// Whether a GPU adapter is emulated in software.
    pub software: bool,
    /// Why this one, as a word.
    pub cause: Cause,
    /// Why this one, in English.
    pub reason: String,
    /// What a GPU adapter may have, and this one has not. Nothing here needs it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lacks: Vec<&'static str>,
}

/// Why there is no GPU.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// As a word.
    pub cause: Cause,
    /// In words.
    pub error: Error,
}

/// Memory that a device holds for its user, buffer by buffer (and texture by texture).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Usage {
    /// Buffers and textures that are there.
    pub buffers: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// How the numbers of a matrix are packed, in a file and on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// 32-bit floats.
    F32 = 0,
    /// Half floats.
    F16 = 1,
    /// Brain floats.
    Bf16 = 2,
    /// Integers of a byte, with a scale a row.
    Int8 = 3,
}

impl Format {
    /// Bytes of a number.
    pub fn bytes(self) -> usize {
        match self {
            Format::F32 => 4,
            Format::F16 | Format::Bf16 => 2,
            Format::Int8 => 1,
        }
    }
}

/// Rows that are put on a device together: devices keep so many side by side.
pub const ROWS_TOGETHER: usize = 64;

/// A matrix `[out, in]` on its way to a device, or some rows of it, in the format of its file.
#[derive(Clone, Debug, PartialEq)]
pub enum Matrix {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// Half floats, kept packed.
    F16(Vec<f16>),
    /// Brain floats; widened to f32 by devices (exact).
    Bf16(Vec<bf16>),
    /// Packed int8: `value = int * scale[out]`.
    Int8 {
        /// `[out, in]`.
        values: Vec<i8>,
        /// `[out]`.
        scales: Vec<f32>,
    },
}

impl Matrix {
    /// How its numbers are packed.
    pub fn format(&self) -> Format {
        match self {
            Matrix::F32(_) => Format::F32,
            Matrix::F16(_) => Format::F16,
            Matrix::Bf16(_) => Format::Bf16,
            Matrix::Int8 { .. } => Format::Int8,
        }
    }

    fn len(&self) -> usize {
        match self {
            Matrix::F32(values) => values.len(),
            Matrix::F16(values) => values.len(),
            Matrix::Bf16(values) => values.len(),
            Matrix::Int8 { values, .. } => values.len(),
        }
    }
}

/// A device, opened.
#[derive(Debug)]
pub enum Device {
    /// Plain Rust.
    Cpu(cpu::Cpu),
    /// wgpu.
    Gpu(gpu::Gpu),
}

/// The weights of one model on a device, by name.
#[derive(Debug)]
pub enum Weights {
    /// On the CPU.
    Cpu(cpu::Weights),
    /// On the GPU.
    Gpu(gpu::Weights),
}

/// The caches of one session on a device.
#[derive(Debug)]
pub enum Caches {
    /// On the CPU.
    Cpu(cpu::Caches),
    /// On the GPU.
    Gpu(gpu::Caches),
}

/// Plays that were begun and are still to be read.
#[derive(Debug)]
pub enum Begun {
    /// Done.
    Cpu(Vec<Played>),
    /// On their way.
    Gpu(gpu::Begun),
}

/// A graph readied on a device.
#[derive(Debug)]
pub struct Prepared {
    graph: Graph,
    capacity: Capacity,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Cpu(Box<cpu::Prepared>),
    Gpu(Box<gpu::Prepared>),
}

impl Device {
    /// Opens a device. `Auto` falls back to the CPU and says why; `Gpu` fails where there is none.
    pub async fn open(choice: Choice) -> Result<Device> {
        match choice {
            Choice::Gpu => match gpu::Gpu::open(gpu::Options::default()).await {
                Ok(gpu) => Ok(Device::Gpu(gpu)),
                Err(refusal) => Err(refusal.error),
            },
            choice => Ok(Device::open_any(choice).await),
        }
    }

    /// Opens a device, and the CPU where there is no GPU, whatever was asked for: the report says why.
    pub async fn open_any(choice: Choice) -> Device {
        if choice == Choice::Cpu {
            return Device::cpu(Cause::Asked, "asked for");
        }
        match gpu::Gpu::open(gpu::Options::default()).await {
            Ok(gpu) if gpu.report().software && choice == Choice::Auto => {
                let adapter = &gpu.report().adapter;
                let reason =
                    format!("the only GPU adapter is software ({adapter}), slower than this");
                Device::cpu(Cause::SoftwareAdapter, reason)
            }
            Ok(gpu) => Device::Gpu(gpu),
            Err(Refusal { cause, error }) => Device::cpu(cause, error.to_string()),
        }
    }

    /// The CPU, for this reason.
    pub fn cpu(cause: Cause, reason: impl Into<String>) -> Device {
        Device::Cpu(cpu::Cpu::new(cause, reason.into()))
    }

    /// Whether the device is gone for good: then nothing that lies on it can be used any more.
    pub fn is_lost(&self) -> bool {
        match self {
            Device::Cpu(_) => false,
            Device::Gpu(gpu) => gpu.is_lost(),
        }
    }

    /// What it holds. The CPU keeps everything in the program's own memory and counts nothing.
    pub fn usage(&self) -> Usage {
        match self {
            Device::Cpu(_) => Usage::default(),
            Device::Gpu(gpu) => gpu.usage(),
        }
    }

    /// What runs, and why.
    pub fn report(&self) -> &Report {
        match self {
            Device::Cpu(cpu) => cpu.report(),
            Device::Gpu(gpu) => gpu.report(),
        }
    }

    /// An empty set of weights, to be filled by [`Weights::upload`].
    pub fn weights(&self) -> Weights {
        match self {
            Device::Cpu(_) => Weights::Cpu(cpu::Weights::default()),
            Device::Gpu(gpu) => Weights::Gpu(gpu.weights()),
        }
    }

    /// Caches of these shapes, empty, for a capacity.
    pub async fn caches(&self, shapes: &[CacheInfo], capacity: Capacity) -> Result<Caches> {
        match self {
            Device::Cpu(_) => Ok(Caches::Cpu(cpu::Caches::new(shapes, capacity)?)),
            Device::Gpu(gpu) => Ok(Caches::Gpu(gpu.caches(shapes, capacity).await?)),
        }
    }

    /// Has the GPU compile what a graph will need while its weights are still on their way; matrices are taken to be
    /// of this format. Where that is wrong, nothing is lost but the compiler's time.
    pub fn warm(&self, graph: &Graph, format: Format) -> Result<()> {
        check::graph(graph)?;
        match self {
            Device::Cpu(_) => Ok(()),
            Device::Gpu(gpu) => gpu.warm(graph, format),
        }
    }

    /// Readies a graph for plays up to a capacity. All its weights must have been uploaded.
    pub async fn prepare(
        &self,
        weights: &Weights,
        graph: &Graph,
        capacity: Capacity,
    ) -> Result<Prepared> {
        check::graph(graph)?;
        let place = match (self, weights) {
            (Device::Cpu(cpu), Weights::Cpu(weights)) => {
                Place::Cpu(Box::new(cpu.prepare(weights, graph, capacity)?))
            }
            (Device::Gpu(gpu), Weights::Gpu(weights)) => {
                Place::Gpu(Box::new(gpu.prepare(weights, graph, capacity).await?))
            }
            _ => return Err(foreign()),
        };
        Ok(Prepared { graph: graph.clone(), capacity, place })
    }

    /// Plays a prepared graph once: one submit and at most one readback on the GPU. A play that
    /// does not fit is refused before anything runs.
    pub async fn play(
        &self,
        prepared: &mut Prepared,
        caches: &mut Caches,
        play: &Play<'_>,
    ) -> Result<Played> {
        let begun = self.begin(prepared, caches, None, std::slice::from_ref(play)).await?;
        let played = self.finish(prepared, begun).await?;
        played.into_iter().next().ok_or_else(|| Error::device("play", "one result", "none"))
    }

    /// Begins plays that follow one another: the id of each is what the one before it chose, whatever its `ids`
    /// say; the first one's is what the last of `after` chose. The GPU gets them in one submit and nothing is waited
    /// for; the CPU computes them at once.
    pub async fn begin(
        &self,
        prepared: &mut Prepared,
        caches: &mut Caches,
        after: Option<&Begun>,
        plays: &[Play<'_>],
    ) -> Result<Begun> {
        for (index, play) in plays.iter().enumerate() {
            check::play(&prepared.graph, prepared.capacity, play)?;
            if (index > 0 || after.is_some()) && play.ids.len() != 1 {
                let got = format!("{} ids", play.ids.len());
                return Err(Error::input("a play that follows another", "one id", got));
            }
        }
        if plays.len() > 1 && plays.iter().any(|play| play.draws.len() != 1) {
            return Err(Error::input(
                "plays that follow one another",
                "a draw each",
                "another number",
            ));
        }
        match (self, &mut prepared.place, caches, after) {
            (Device::Cpu(cpu), Place::Cpu(prepared), Caches::Cpu(caches), None) => {
                Ok(Begun::Cpu(cpu.follow(prepared, caches, None, plays)?))
            }
            (
                Device::Cpu(cpu),
                Place::Cpu(prepared),
                Caches::Cpu(caches),
                Some(Begun::Cpu(after)),
            ) => Ok(Begun::Cpu(cpu.follow(prepared, caches, after.last(), plays)?)),
            (Device::Gpu(gpu), Place::Gpu(prepared), Caches::Gpu(caches), None) => {
                Ok(Begun::Gpu(gpu.begin(prepared, caches, None, plays).await?))
            }
            (
                Device::Gpu(gpu),
                Place::Gpu(prepared),
                Caches::Gpu(caches),
                Some(Begun::Gpu(after)),
            ) => Ok(Begun::Gpu(gpu.begin(prepared, caches, Some(after), plays).await?)),
            _ => Err(foreign()),
        }
    }

    /// Waits for plays that were begun; one result each, in order.
    pub async fn finish(&self, prepared: &mut Prepared, begun: Begun) -> Result<Vec<Played>> {
        match (self, &mut prepared.place, begun) {
            (Device::Cpu(_), Place::Cpu(_), Begun::Cpu(played)) => Ok(played),
            (Device::Gpu(gpu), Place::Gpu(prepared), Begun::Gpu(begun)) => {
                gpu.finish(prepared, begun).await
            }
            _ => Err(foreign()),
        }
    }

    /// How many steps of a run are worth beginning together where nobody watches them: a GPU saves a readback a
    /// step, a software one wastes more on steps after the run's end, and a CPU gains nothing by running ahead.
    pub fn steps_together(&self) -> usize {
        match self {
            Device::Cpu(_) => 0,
            Device::Gpu(gpu) if gpu.report().software => 2,
            Device::Gpu(_) => 8,
        }
    }

    /// From now on every dispatch is timed by the GPU's own clock, which slows plays down: for work on kernels.
    pub fn time_dispatches(&self) -> Result<()> {
        match self {
            Device::Cpu(_) => Err(Error::device("dispatch times", "a GPU", "the CPU")),
            Device::Gpu(gpu) => gpu.time_dispatches(),
        }
    }

    /// What the dispatches of the last play took, where they are timed.
    pub fn timings(&self) -> Vec<gpu::DispatchTime> {
        match self {
            Device::Cpu(_) => Vec::new(),
            Device::Gpu(gpu) => gpu.timings(),
        }
    }
}

impl Weights {
    /// Makes room for a matrix `[out, inner]` under a name: [`Weights::fill`] brings its rows. Waits for nothing.
    pub fn reserve(&mut self, name: &str, out: usize, inner: usize, format: Format) -> Result<()> {
        if out == 0 || inner == 0 {
            let got = format!("[{out}, {inner}]");
            return Err(Error::weights(format!("weight `{name}`"), "a number at least", got));
        }
        match self {
            Weights::Cpu(weights) => weights.reserve(name, out, inner, format),
            Weights::Gpu(weights) => weights.reserve(name, out, inner, format),
        }
    }

    /// Puts the next rows of a matrix where there was made room for it: a multiple of [`ROWS_TOGETHER`], but for the
    /// last ones. Waits for nothing.
    pub fn fill(&mut self, name: &str, rows: &Matrix) -> Result<()> {
        match self {
            Weights::Cpu(weights) => weights.fill(name, rows),
            Weights::Gpu(weights) => weights.fill(name, rows),
        }
    }

    /// Puts a matrix there as a whole.
    pub fn upload(&mut self, name: &str, out: usize, inner: usize, matrix: Matrix) -> Result<()> {
        if out.checked_mul(inner) != Some(matrix.len()) {
            let expected = format!("{out} x {inner} values");
            let got = matrix.len().to_string();
            return Err(Error::weights(format!("weight `{name}`"), expected, got));
        }
        self.reserve(name, out, inner, matrix.format())?;
        self.fill(name, &matrix)
    }

    /// Waits until all uploads are known to have found room. [`Device::prepare`] does so too; whoever
    /// would rather know before it is asked for anything calls this.
    pub async fn settled(&self) -> Result<()> {
        match self {
            Weights::Cpu(_) => Ok(()),
            Weights::Gpu(weights) => weights.settled().await,
        }
    }
}

/// How much of a weight has come.
#[derive(Clone, Copy, Debug)]
struct Progress {
    out: usize,
    inner: usize,
    format: Format,
    /// Rows that are there.
    rows: usize,
}

impl Progress {
    /// The number of these rows, if they may come next.
    fn next(&self, name: &str, rows: &Matrix) -> Result<usize> {
        let count = rows.len() / self.inner;
        let whole = rows.len() == count * self.inner && rows.format() == self.format;
        let scaled = !matches!(rows, Matrix::Int8 { scales, .. } if scales.len() != count);
        let fits = (1..=self.out - self.rows).contains(&count);
        if whole && scaled && fits && self.rows.is_multiple_of(ROWS_TOGETHER) {
            return Ok(count);
        }
        let expected = format!("rows of {:?} from {} to {}", self.format, self.rows, self.out);
        let got = format!("{count} rows, {} numbers of {:?}", rows.len(), rows.format());
        Err(Error::weights(format!("weight `{name}`"), expected, got))
    }

    /// Refuses a weight of another shape, or one of which a part is missing.
    fn check(&self, name: &str, out: usize, inner: usize) -> Result<()> {
        if (self.out, self.inner, self.rows) == (out, inner, out) {
            return Ok(());
        }
        let got = format!("[{}, {}] with {} rows there", self.out, self.inner, self.rows);
        Err(Error::weights(format!("weight `{name}`"), format!("[{out}, {inner}]"), got))
    }
}

fn foreign() -> Error {
    Error::device("play", "weights, caches and graph of the same device", "those of another")
}
