//! What the tests of the engine share: every device, a graph with its numbers, and a reference.

#![allow(dead_code)]

pub mod reference;

use std::cell::OnceCell;

use half::{bf16, f16};
use libtest_mimic::{Arguments, Failed, Trial};
use unmasked::device::gpu::{Gpu, Options};
use unmasked::device::kernels::Tuning;
use unmasked::device::{Caches, Choice, Device, Matrix, Prepared, Refusal, Weights};
use unmasked::error::Result;
use unmasked::graph::{
    Capacity, Draw, Extent, Graph, Index, Label, Lookup, Play, Played, Site, Source, Tap, Value,
    Weight, What,
};
use unmasked::mask::Bits;

use reference::Reference;

// ---- every device --------------------------------------------------------------------------

/// A test that every device must pass.
pub struct Case {
    name: String,
    run: Box<dyn Fn(&Device) + Send + Sync>,
    only: Option<Choice>,
    /// Whether the GPU runs it with the kernels of the other kind of adapter too.
    both: bool,
}

impl Case {
    /// The same, on the GPU with the kernels for software adapters and with those for hardware.
    pub fn with_both_kernels(self) -> Case {
        Case { both: true, ..self }
    }
}

/// A case of this name.
pub fn case(name: impl Into<String>, run: impl Fn(&Device) + Send + Sync + 'static) -> Case {
    Case { name: name.into(), run: Box::new(run), only: None, both: false }
}

/// A case that holds for the CPU alone, by contract.
pub fn cpu_case(name: impl Into<String>, run: impl Fn(&Device) + Send + Sync + 'static) -> Case {
    Case { only: Some(Choice::Cpu), ..case(name, run) }
}

/// A case that holds for the GPU alone.
pub fn gpu_case(name: impl Into<String>, run: impl Fn(&Device) + Send + Sync + 'static) -> Case {
    Case { only: Some(Choice::Gpu), ..case(name, run) }
}

/// Runs every case on the CPU and on the GPU. Without an adapter the GPU's are listed as ignored
/// and the reason is printed; with `UNMASKED_REQUIRE_GPU=1` that is a failure.
pub fn main(cases: Vec<Case>) {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    let missing = gpu().as_ref().err().cloned();
    if let Some(reason) = &missing {
        eprintln!("no GPU here, its cases are ignored: {reason}");
    }
    if std::env::var("UNMASKED_REQUIRE_GPU").is_ok_and(|required| required == "1") {
        let missing = missing.clone();
        trials.push(Trial::test("gpu::is_there", move || match missing {
            Some(reason) => Err(Failed::from(format!("UNMASKED_REQUIRE_GPU=1, but {reason}"))),
            None => Ok(()),
        }));
    }
    for case in cases {
        let run = std::sync::Arc::new(case.run);
        let on_cpu = run.clone();
        if case.only != Some(Choice::Gpu) {
            trials.push(Trial::test(format!("cpu::{}", case.name), move || {
                on_cpu(&open(Choice::Cpu).expect("the CPU is always there"));
                Ok(())
            }));
        }
        if case.only != Some(Choice::Cpu) {
            let mut kinds = vec![("gpu", false)];
            if case.both {
                kinds.push(("gpu_by_the_other_kernels", true));
            }
            for (kind, other) in kinds {
                let run = run.clone();
                let open = move || match if other { other_gpu() } else { gpu() } {
                    Ok(device) => {
                        run(device);
                        Ok(())
                    }
                    Err(reason) => Err(Failed::from(reason.as_str())),
                };
                let trial = Trial::test(format!("{kind}::{}", case.name), open);
                trials.push(trial.with_ignored_flag(missing.is_some()));
            }
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}

fn open(choice: Choice) -> Result<Device> {
    pollster::block_on(Device::open(choice))
}

/// The GPU of this thread, opened once, or why there is none.
fn gpu() -> &'static std::result::Result<Device, String> {
    thread_local! {
        static GPU: OnceCell<&'static std::result::Result<Device, String>> = const { OnceCell::new() };
    }
    GPU.with(|gpu| {
        *gpu.get_or_init(|| Box::leak(Box::new(open(Choice::Gpu).map_err(|e| e.to_string()))))
    })
}

/// The same with the kernels of the other kind of adapter.
fn other_gpu() -> &'static std::result::Result<Device, String> {
    thread_local! {
        static GPU: OnceCell<&'static std::result::Result<Device, String>> = const { OnceCell::new() };
    }
    let open = || {
        let gpu = gpu().as_ref().map_err(String::clone)?;
        let other = match tuning(gpu) {
            Some(Tuning::Software) => Tuning::Hardware,
            _ => Tuning::Software,
        };
        open_gpu(Some(other)).map_err(|refusal| refusal.error.to_string())
    };
    GPU.with(|gpu| *gpu.get_or_init(|| Box::leak(Box::new(open()))))
}

/// A GPU with these kernels, or with those of its kind.
pub fn open_gpu(tuning: Option<Tuning>) -> std::result::Result<Device, Refusal> {
    let options = Options { tuning, ..Options::default() };
    pollster::block_on(Gpu::open(options)).map(Device::Gpu)
}

/// Whose kernels a device runs, if it is a GPU.
pub fn tuning(device: &Device) -> Option<Tuning> {
    match device {
        Device::Cpu(_) => None,
        Device::Gpu(gpu) => Some(gpu.tuning()),
    }
}

/// Whether it is the CPU.
pub fn is_cpu(device: &Device) -> bool {
    device.report().backend == "cpu"
}

// ---- numbers -------------------------------------------------------------------------------

/// Numbers that look random and are the same in every run (xorshift).
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 16) as usize % bound
    }

    /// In [0, 1).
    pub fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 24) as f32
    }

    /// Roughly normal: mean 0, variance 1.
    pub fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.unit()).sum::<f32>() - 6.0
    }

    pub fn normals(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.normal()).collect()
    }
}

/// How a weight is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Format {
    F32,
    F16,
    Bf16,
    Int8,
}

impl Format {
    pub const ALL: [Format; 4] = [Format::F32, Format::F16, Format::Bf16, Format::Int8];

    /// A matrix of random numbers in this format, subnormal ones and zeros among them.
    pub fn matrix(self, out: usize, inner: usize, numbers: &mut Numbers) -> Matrix {
        let count = out * inner;
        match self {
            Format::F32 => Matrix::F32(numbers.normals(count)),
            Format::F16 => {
                let tiny = |index: usize, x: f32| match index % 17 {
                    5 => x * 1e-6,
                    9 => 0.0,
                    _ => x,
                };
                let cells = numbers.normals(count).into_iter().enumerate();
                Matrix::F16(cells.map(|(index, x)| f16::from_f32(tiny(index, x))).collect())
            }
            Format::Bf16 => {
                Matrix::Bf16(numbers.normals(count).into_iter().map(bf16::from_f32).collect())
            }
            Format::Int8 => Matrix::Int8 {
                values: (0..count).map(|_| (numbers.below(255) as i32 - 127) as i8).collect(),
                scales: (0..out).map(|_| (0.5 + numbers.unit()) / 64.0).collect(),
            },
        }
    }
}

/// The numbers of a matrix as stored.
pub fn stored(matrix: &Matrix, inner: usize) -> Vec<f64> {
    match matrix {
        Matrix::F32(cells) => cells.iter().map(|x| f64::from(*x)).collect(),
        Matrix::F16(cells) => cells.iter().map(|x| x.to_f64()).collect(),
        Matrix::Bf16(cells) => cells.iter().map(|x| x.to_f64()).collect(),
        Matrix::Int8 { values, scales } => values
            .iter()
            .enumerate()
            .map(|(index, x)| f64::from(*x) * f64::from(scales[index / inner]))
            .collect(),
    }
}

/// Random mask bits: a plane for some layers and heads, about one row in five sees nothing.
pub fn random_bits(
    numbers: &mut Numbers,
    variants: usize,
    layers: usize,
    heads: usize,
    rows: usize,
    keys: usize,
) -> Bits {
    let words = keys.div_ceil(32);
    let count = 1 + numbers.below(3);
    let plane = (0..variants * layers * heads).map(|_| numbers.below(count) as u32).collect();
    let mut planes = vec![0u32; count * rows * words];
    for line in planes.chunks_mut(words.max(1)) {
        let density = [0.0, 0.1, 0.5, 0.9, 1.0][numbers.below(5)];
        for key in 0..keys {
            if numbers.unit() < density {
                line[key / 32] |= 1 << (key % 32);
            }
        }
    }
    Bits { rows, keys, words, layers, heads, plane, planes }
}

// ---- a graph with its numbers ---------------------------------------------------------------

/// What a play is given, owned.
#[derive(Clone, Default)]
pub struct Given {
    pub variants: usize,
    pub ids: Vec<u32>,
    pub segments: Vec<u32>,
    pub positions: Vec<Vec<u32>>,
    pub slots: Vec<u32>,
    pub keys: [usize; 3],
    pub picked: Vec<u32>,
    pub masks: [Option<Bits>; 3],
    pub gates: [Vec<f32>; 3],
    pub taps: Vec<Tap>,
    pub draws: Vec<Draw>,
    pub candidates: usize,
}

impl Given {
    /// Rows `0..rows` of each variant, with a different id in every row of every variant.
    pub fn rows(rows: usize, variants: usize) -> Given {
        Given {
            variants,
            ids: (0..(rows * variants) as u32).collect(),
            positions: vec![(0..rows as u32).collect()],
            slots: (0..rows as u32).collect(),
            picked: (0..rows as u32).collect(),
            ..Given::default()
        }
    }

    pub fn play(&self) -> Play<'_> {
        Play {
            variants: self.variants,
            ids: &self.ids,
            segments: &self.segments,
            positions: &self.positions,
            slots: &self.slots,
            keys: self.keys,
            picked: &self.picked,
            masks: self.masks.each_ref().map(Option::as_ref),
            gates: self.gates.each_ref().map(Vec::as_slice),
            taps: &self.taps,
            draws: &self.draws,
            candidates: self.candidates,
        }
    }
}

/// A graph, the matrices it reads, and what its plays are given.
pub struct Bench {
    pub graph: Graph,
    pub matrices: Vec<(String, usize, usize, Matrix)>,
    pub numbers: Numbers,
    pub given: Given,
    pub capacity: Capacity,
}

impl Bench {
    pub fn new(seed: u64, rows: usize, variants: usize) -> Bench {
        Bench {
            graph: Graph::new(),
            matrices: Vec::new(),
            numbers: Numbers(
                0x9e37_79b9_7f4a_7c15 ^ (seed + 1).wrapping_mul(0x2545_f491_4f6c_dd1d),
            ),
            given: Given::rows(rows, variants),
            capacity: Capacity { rows, keys: [rows; 3], variants },
        }
    }

    /// Declares a weight with these numbers.
    pub fn matrix(&mut self, out: usize, inner: usize, matrix: Matrix) -> Weight {
        let name = format!("weight_{}", self.matrices.len());
        let source = Source::Stored(vec![name.clone()]);
        let weight = self.graph.weight(&name, out, inner, source).expect("a new name");
        self.matrices.push((name, out, inner, matrix));
        weight
    }

    /// Declares a weight of random numbers.
    pub fn weight(&mut self, out: usize, inner: usize, format: Format) -> Weight {
        let matrix = format.matrix(out, inner, &mut self.numbers);
        self.matrix(out, inner, matrix)
    }

    /// A value of random numbers that every device has exactly: a row of its own for each id.
    pub fn input(&mut self, width: usize) -> Value {
        let entries = self.given.ids.iter().max().map_or(1, |id| *id as usize + 1);
        let table = self.weight(entries, width, Format::F32);
        self.embed(table)
    }

    /// The rows of a table by token.
    pub fn embed(&mut self, table: Weight) -> Value {
        self.graph.embed(vec![Lookup { table, index: Index::Token, scale: 1.0 }]).expect("a table")
    }

    /// Brings all rows of a value back.
    pub fn watch(&mut self, value: Value) {
        let label = Label { what: What::Hidden, site: Site::Decoder, layer: self.given.taps.len() };
        self.graph.label(label.what, label.site, label.layer, value);
        let rows = match self.graph.info(value).extent {
            Extent::Rows => self.given.slots.len(),
            Extent::Picked => self.given.picked.len(),
        };
        let rows = (0..rows as u32).collect();
        self.given.taps.push(Tap { label, heads: Vec::new(), rows });
    }

    /// Uploads and prepares.
    pub fn ready<'a>(&'a self, device: &'a Device) -> Ready<'a> {
        self.try_ready(device).expect("a graph that fits")
    }

    pub fn try_ready<'a>(&'a self, device: &'a Device) -> Result<Ready<'a>> {
        let mut weights = device.weights();
        for (name, out, inner, matrix) in &self.matrices {
            weights.upload(name, *out, *inner, matrix.clone())?;
        }
        let prepared = pollster::block_on(device.prepare(&weights, &self.graph, self.capacity))?;
        let caches = pollster::block_on(device.caches(self.graph.caches(), self.capacity))?;
        let reference = Reference::new(&self.graph, &self.matrices);
        Ok(Ready { device, weights, prepared, caches, reference })
    }

    /// Plays once and compares all that comes back with the reference.
    pub fn check(&self, device: &Device) {
        self.ready(device).check(&self.given);
    }
}

/// A graph on a device, next to the reference.
pub struct Ready<'a> {
    pub device: &'a Device,
    pub weights: Weights,
    pub prepared: Prepared,
    pub caches: Caches,
    pub reference: Reference<'a>,
}

impl Ready<'_> {
    pub fn play(&mut self, given: &Given) -> Played {
        self.try_play(given).expect("a play that fits")
    }

    pub fn try_play(&mut self, given: &Given) -> Result<Played> {
        pollster::block_on(self.device.play(&mut self.prepared, &mut self.caches, &given.play()))
    }

    /// Plays and compares all that comes back with the reference.
    pub fn check(&mut self, given: &Given) -> Played {
        let played = self.play(given);
        let expected = self.reference.play(&given.play());
        expected.compare(&played, given);
        played
    }
}
