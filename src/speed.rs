//! How fast a device multiplies here: what the bench asks, natively and in a browser.

use half::f16;
use web_time::Instant;

use crate::device::{Caches, Cause, Device, Matrix, Prepared};
use crate::error::{Error, Result};
use crate::graph::{Capacity, Graph, Index, Label, Lookup, Play, Site, Source, Tap, What};

/// The shapes that are told, `[rows, inner, out]`: a small model's prompt and its step, GPT-2's
/// prompt, and two squares.
pub const SHAPES: [[usize; 3]; 5] =
    [[64, 256, 1024], [1, 256, 1024], [128, 768, 3072], [512, 512, 512], [1024, 1024, 1024]];

/// How the measured weights lie.
pub const FORMATS: [&str; 3] = ["f32", "f16", "int8"];

/// Bytes of a number in one of these formats.
pub fn bytes(format: &str) -> usize {
    match format {
        "f32" => 4,
        "f16" => 2,
        _ => 1,
    }
}

/// A play takes at least this many floating-point operations where its products are enough for it, or clocks, readbacks
/// and the reading of x are measured.
const WORK: u64 = 1_000_000_000;
const MOST_PRODUCTS: u64 = 16;
/// The same on hardware, which does them in no time: some milliseconds a play.
const HARDWARE_WORK: u64 = 100 * WORK;
const MOST_HARDWARE_PRODUCTS: u64 = 256;
/// Different weights, so that a step's weights come from memory as a model's do, and no cache holds them.
const MOST_WEIGHTS: usize = 16;
const MOST_WEIGHT_BYTES: usize = 384 << 20;

/// Products of the same rows with several weights, made ready.
#[derive(Debug)]
pub struct Matmul {
    prepared: Prepared,
    caches: Caches,
    ids: Vec<u32>,
    taps: [Tap; 1],
    /// Floating-point operations of one play.
    work: f64,
}

impl Matmul {
    /// Makes ready a product `[rows, inner] x [inner, out]` with weights in this format.
    pub async fn new(device: &Device, shape: [usize; 3], format: &str) -> Result<Matmul> {
        let [rows, inner, out] = shape;
        if !FORMATS.contains(&format) {
            return Err(Error::input("format", FORMATS.join(", "), format));
        }
        let limit = 1 << 14;
        if shape.iter().any(|size| !(1..=limit).contains(size)) {
            return Err(Error::input("shape", format!("1 to {limit}"), format!("{shape:?}")));
        }
        let once = 2 * rows as u64 * inner as u64 * out as u64;
        let (work, most) = match device.report().cause {
            Cause::Hardware => (HARDWARE_WORK, MOST_HARDWARE_PRODUCTS),
            _ => (WORK, MOST_PRODUCTS),
        };
        let count = work.div_ceil(once).min(most) as usize;
        let bytes = bytes(format) * inner * out;
        let most_weights = (MOST_WEIGHT_BYTES / bytes).clamp(1, MOST_WEIGHTS);
        let mut graph = Graph::new();
        let mut weights = device.weights();
        let number = |cell: usize| (cell * 7919 % 2003) as f32 / 2003.0 - 0.5;
        let source = Source::Stored(Vec::new());
        let table = graph.weight("table", rows, inner, source.clone())?;
        weights.upload(
            "table",
            rows,
            inner,
            Matrix::F32((0..rows * inner).map(number).collect()),
        )?;
        let x = graph.embed(vec![Lookup { table, index: Index::Token, scale: 1.0 }])?;
        let label = Label { what: What::Hidden, site: Site::Decoder, layer: 0 };
        let mut matrices = Vec::new();
        for index in 0..count.min(most_weights) {
            let name = format!("weight {index}");
            let weight = graph.weight(&name, out, inner, source.clone())?;
            let cells = (0..out * inner).map(number);
            let matrix = match format {
                "f32" => Matrix::F32(cells.collect()),
                "f16" => Matrix::F16(cells.map(f16::from_f32).collect()),
                _ => Matrix::Int8 {
                    values: cells.map(|cell| (cell * 254.0) as i8).collect(),
                    scales: vec![1.0 / 254.0; out],
                },
            };
            weights.upload(&name, out, inner, matrix)?;
            matrices.push(weight);
        }
        for index in 0..count {
            let product = graph.matmul(x, matrices[index % matrices.len()], None, 1.0)?;
            if index + 1 == count {
                graph.label(label.what, label.site, label.layer, product);
            }
        }
        let capacity = Capacity { rows, keys: [0; 3], variants: 1 };
        Ok(Matmul {
            prepared: device.prepare(&weights, &graph, capacity).await?,
            caches: device.caches(&[], capacity).await?,
            ids: (0..rows as u32).collect(),
            // One row comes back: that is how a GPU is waited for.
            taps: [Tap { label, heads: Vec::new(), rows: vec![0] }],
            work: once as f64 * count as f64,
        })
    }

    /// Plays for a while and gives GFLOP/s. The next play is begun before the last is read, as a run's steps are, so that
    /// a GPU never waits for a readback.
    pub async fn measure(&mut self, device: &Device) -> Result<f64> {
        let play = Play {
            variants: 1,
            ids: &self.ids,
            segments: &[],
            positions: &[],
            slots: &self.ids,
            keys: [0; 3],
            picked: &[],
            masks: [None; 3],
            gates: [&[]; 3],
            taps: &self.taps,
            draws: &[],
            candidates: 0,
        };
        // A browser's clock ticks in tenths of a millisecond: quick plays are timed together.
        let (start, mut plays) = (Instant::now(), 0.0);
        let mut begun = device.begin(&mut self.prepared, &mut self.caches, None, &[play]).await?;
        loop {
            let enough = start.elapsed().as_secs_f64() >= 0.02;
            let next = match enough {
                true => None,
                false => {
                    let (prepared, caches) = (&mut self.prepared, &mut self.caches);
                    Some(device.begin(prepared, caches, None, &[play]).await?)
                }
            };
            device.finish(&mut self.prepared, begun).await?;
            plays += 1.0;
            match next {
                Some(next) => begun = next,
                None => return Ok(plays * self.work / start.elapsed().as_secs_f64() / 1e9),
            }
        }
    }
}

/// A prompt of ids that all differ from their neighbours, the same everywhere.
pub fn prompt(length: usize, vocabulary: usize) -> Vec<u32> {
    let usable = vocabulary.saturating_sub(10).max(1);
    (0..length).map(|place| (10 + place * 37 % usable) as u32).collect()
}
