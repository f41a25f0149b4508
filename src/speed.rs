//! How fast a device multiplies here: what the bench asks, natively and in a browser.

use half::f16;
use web_time::Instant;

use crate::device::{Caches, Device, Matrix, Prepared};
use crate::error::{Error, Result};
use crate::graph::{Capacity, Graph, Index, Label, Lookup, Play, Site, Source, Tap, What};

/// The shapes that are told, `[rows, inner, out]`: a small model's prompt and its step, GPT-2's
/// prompt, and two squares.
pub const SHAPES: [[usize; 3]; 5] =
    [[64, 256, 1024], [1, 256, 1024], [128, 768, 3072], [512, 512, 512], [1024, 1024, 1024]];

/// How the measured weights lie.
pub const FORMATS: [&str; 3] = ["f32", "f16", "int8"];

/// A play takes at least this many floating-point operations where [`MOST_WEIGHTS`] allow it, or clocks, readbacks and
/// the reading of x are measured.
const WORK: usize = 1_000_000_000;
/// Different weights, so that a step's weights come from memory as a model's do.
const MOST_WEIGHTS: usize = 16;

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
        let once = 2 * rows * inner * out;
        let count = WORK.div_ceil(once).min(MOST_WEIGHTS);
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
        for index in 0..count {
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
            let product = graph.matmul(x, weight, None, 1.0)?;
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
            work: (once * count) as f64,
        })
    }

    /// Plays once and gives GFLOP/s, a readback included.
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
        loop {
            device.play(&mut self.prepared, &mut self.caches, &play).await?;
            plays += 1.0;
            let seconds = start.elapsed().as_secs_f64();
            if seconds >= 0.02 {
                return Ok(plays * self.work / seconds / 1e9);
            }
        }
    }
}

/// A prompt of ids that all differ from their neighbours, the same everywhere.
pub fn prompt(length: usize, vocabulary: usize) -> Vec<u32> {
    let usable = vocabulary.saturating_sub(10).max(1);
    (0..length).map(|place| (10 + place * 37 % usable) as u32).collect()
}
