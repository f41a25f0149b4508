//! Weights as the CPU holds them, packed, and the product with them.
//!
//! Every dot product adds up in one fixed order, whatever is computed beside it: lane `k % 4` takes
//! `k`, ascending, and the four lanes are added at the end. So a row's result does not depend,
//! bit for bit, on how many rows are computed with it.

use half::{bf16, f16};
use wide::{f32x4, i32x4};

use super::rows::Rows;
use crate::device::{Format, Matrix, Progress};
use crate::error::{Error, Result};

/// Columns that are loaded, widened and padded together.
const CHUNK: usize = 16;

/// A chunk as it is computed with.
type Wide = [f32x4; 4];

/// Sixteen neighbouring weights of one row, packed.
///
/// Packed formats keep column `4 b + lane` in part `b` of the lane's words, so that shifts alone
/// bring every weight into its lane.
trait Chunk: Copy + Sync {
    fn widen(self) -> Wide;

    /// The weights themselves where they need no widening.
    fn wide(_weights: &[Self]) -> Option<&[Wide]> {
        None
    }
}

impl Chunk for Wide {
    #[inline(always)]
    fn widen(self) -> Wide {
        self
    }

    fn wide(weights: &[Wide]) -> Option<&[Wide]> {
        Some(weights)
    }
}

/// Half floats, finite: two in a word, the earlier in its lower half.
#[derive(Clone, Copy, Debug)]
struct Halves([i32x4; 2]);

impl Halves {
    fn pack(chunk: [f16; CHUNK]) -> Halves {
        Halves(pack_halves(chunk.map(f16::to_bits)))
    }
}

impl Chunk for Halves {
    /// Moves the exponent and the mantissa to their places in an f32, which is then 2^112 too
    /// small: true for subnormal halves as well, and no branch. (Infinities were kept out.)
    #[inline(always)]
    fn widen(self) -> Wide {
        const SCALE: f32x4 = f32x4::splat(f32::from_bits((127 + 112) << 23));
        const SIGN_EXPONENT_MANTISSA: i32x4 = i32x4::splat(0x8fff_e000_u32 as i32);
        let upper = |words: i32x4| -> f32x4 {
            let bits = (words >> 3) & SIGN_EXPONENT_MANTISSA;
            bytemuck::cast::<i32x4, f32x4>(bits) * SCALE
        };
        let [a, b] = self.0;
        [upper(a << 16), upper(a), upper(b << 16), upper(b)]
    }
}

/// Brain floats, the upper halves of f32: two in a word, the earlier in its lower half.
#[derive(Clone, Copy, Debug)]
struct Brains([i32x4; 2]);

impl Brains {
    fn pack(chunk: [bf16; CHUNK]) -> Brains {
        Brains(pack_halves(chunk.map(bf16::to_bits)))
    }
}

impl Chunk for Brains {
    #[inline(always)]
    fn widen(self) -> Wide {
        const UPPER: i32x4 = i32x4::splat(0xffff_0000_u32 as i32);
        let [a, b] = self.0;
        [a << 16, a & UPPER, b << 16, b & UPPER].map(bytemuck::cast)
    }
}

/// Small integers, without the scale of their row: four in a word, the earliest in its lowest byte.
#[derive(Clone, Copy, Debug)]
struct Bytes(i32x4);

impl Bytes {
    fn pack(chunk: [i8; CHUNK]) -> Bytes {
        let byte = |part: usize, lane: usize| chunk[4 * part + lane];
        let word = |lane| i32::from_le_bytes(std::array::from_fn(|part| byte(part, lane) as u8));
        Bytes(i32x4::new(std::array::from_fn(word)))
    }
}

impl Chunk for Bytes {
    #[inline(always)]
    fn widen(self) -> Wide {
        let word = self.0;
        [word << 24, word << 16, word << 8, word].map(|word| f32x4::from_i32x4(word >> 24))
    }
}

fn pack_halves(chunk: [u16; CHUNK]) -> [i32x4; 2] {
    let word = |first: usize, lane: usize| {
        let (low, high) = (chunk[first + lane], chunk[first + 4 + lane]);
        (u32::from(low) | u32::from(high) << 16) as i32
    };
    [0, 8].map(|first| i32x4::new(std::array::from_fn(|lane| word(first, lane))))
}

/// A matrix `[out, inner]` in the CPU's memory; rows are padded with zeros to whole chunks.
#[derive(Debug)]
pub struct Table {
    /// What has come of it.
    pub progress: Progress,
    numbers: Numbers,
}

#[derive(Debug)]
enum Numbers {
    F32(Vec<Wide>),
    F16(Vec<Halves>),
    Bf16(Vec<Brains>),
    Int8(Vec<Bytes>, Vec<f32>),
}

impl Table {
    /// Room for a matrix in the format of its file.
    pub fn new(out: usize, inner: usize, format: Format) -> Table {
        let chunks = out * inner.div_ceil(CHUNK);
        let numbers = match format {
            Format::F32 => Numbers::F32(Vec::with_capacity(chunks)),
            Format::F16 => Numbers::F16(Vec::with_capacity(chunks)),
            Format::Bf16 => Numbers::Bf16(Vec::with_capacity(chunks)),
            Format::Int8 => Numbers::Int8(Vec::with_capacity(chunks), Vec::with_capacity(out)),
        };
        Table { progress: Progress { out, inner, format, rows: 0 }, numbers }
    }

    /// Takes its next rows.
    pub fn fill(&mut self, name: &str, rows: &Matrix) -> Result<()> {
        let count = self.progress.next(name, rows)?;
        let inner = self.progress.inner;
        match (&mut self.numbers, rows) {
            (Numbers::F32(all), Matrix::F32(values)) => {
                pad(values, inner, all, |chunk: [f32; CHUNK]| bytemuck::cast(chunk));
            }
            // What widens them takes no infinity for one.
            (Numbers::F16(_), Matrix::F16(values))
                if !values.iter().all(|half| half.is_finite()) =>
            {
                let what = format!("weight `{name}`");
                return Err(Error::weights(what, "finite numbers", "NaN or infinity"));
            }
            (Numbers::F16(all), Matrix::F16(values)) => pad(values, inner, all, Halves::pack),
            (Numbers::Bf16(all), Matrix::Bf16(values)) => pad(values, inner, all, Brains::pack),
            (Numbers::Int8(all, every), Matrix::Int8 { values, scales }) => {
                pad(values, inner, all, Bytes::pack);
                every.extend(scales);
            }
            _ => {}
        }
        self.progress.rows += count;
        Ok(())
    }

    /// Writes a row, widened, into `to`.
    pub fn row(&self, row: usize, to: &mut [f32]) {
        fn copy<C: Chunk>(weights: &[C], row: usize, scale: f32, to: &mut [f32]) {
            let chunks = to.len().div_ceil(CHUNK);
            let row = &weights[row * chunks..][..chunks];
            for (to, chunk) in to.chunks_mut(CHUNK).zip(row) {
                let wide: [f32; CHUNK] = bytemuck::cast(chunk.widen());
                for (to, value) in to.iter_mut().zip(wide) {
                    *to = value * scale;
                }
            }
        }
        let to = &mut to[..self.progress.inner];
        match &self.numbers {
            Numbers::F32(weights) => copy(weights, row, 1.0, to),
            Numbers::F16(weights) => copy(weights, row, 1.0, to),
            Numbers::Bf16(weights) => copy(weights, row, 1.0, to),
            Numbers::Int8(weights, scales) => copy(weights, row, scales[row], to),
        }
    }

    /// The whole matrix, widened: for vectors and small tables.
    pub fn to_vec(&self) -> Vec<f32> {
        let Progress { out, inner, .. } = self.progress;
        let mut all = vec![0.0; out * inner];
        for (row, to) in all.chunks_exact_mut(inner).enumerate() {
            self.row(row, to);
        }
        all
    }
}

fn pad<T: Copy + Default, C>(
    values: &[T],
    inner: usize,
    all: &mut Vec<C>,
    chunk: impl Fn([T; CHUNK]) -> C,
) {
    for row in values.chunks_exact(inner) {
        for part in row.chunks(CHUNK) {
            let mut padded = [T::default(); CHUNK];
            padded[..part.len()].copy_from_slice(part);
            all.push(chunk(padded));
        }
    }
}

/// Memory that a matmul borrows from play to play.
#[derive(Debug, Default)]
pub struct Scratch {
    /// The rows, padded to whole chunks.
    x: Vec<Wide>,
    /// A few rows of the weight, widened.
    panel: Vec<Wide>,
}

/// Outputs computed together for a single row: enough to hide the latency of an addition, few
/// enough to leave registers for widening.
const OUTPUTS_OF_ONE: usize = 6;

/// Rows and outputs computed together for many rows: as many sums as fit into 16 registers.
const ROWS: usize = 4;
const OUTPUTS: usize = 3;

/// `out = scale * x weightᵀ + bias`.
pub fn matmul(
    x: Rows<'_>,
    weight: &Table,
    bias: Option<&[f32]>,
    scale: f32,
    out: &mut [f32],
    scratch: &mut Scratch,
) {
    let Progress { out: outputs, inner, .. } = weight.progress;
    let (rows, chunks) = (x.count, inner.div_ceil(CHUNK));
    scratch.x.resize(rows * chunks, Wide::default());
    if chunks > 0 {
        for (row, padded) in scratch.x.chunks_exact_mut(chunks).enumerate() {
            let padded: &mut [f32] = bytemuck::cast_slice_mut(padded);
            padded[..inner].copy_from_slice(x.row(row));
            padded[inner..].fill(0.0);
        }
    }
    let Scratch { x, panel } = scratch;
    let job = Job { rows, chunks, outputs, x, bias, scale };
    match &weight.numbers {
        Numbers::F32(weights) => job.run(weights, None, out, panel),
        Numbers::F16(weights) => job.run(weights, None, out, panel),
        Numbers::Bf16(weights) => job.run(weights, None, out, panel),
        Numbers::Int8(weights, scales) => job.run(weights, Some(scales), out, panel),
    }
}

/// A product, or a thread's part of one.
#[derive(Clone, Copy)]
struct Job<'a> {
    rows: usize,
    chunks: usize,
    outputs: usize,
    x: &'a [Wide],
    bias: Option<&'a [f32]>,
    scale: f32,
}

/// Multiplications of a product that is worth a thread's waking, about 20 microseconds.
#[cfg(not(target_arch = "wasm32"))]
const WORTH_SHARING: usize = 1 << 19;

impl Job<'_> {
    /// A browser's engine has one thread.
    #[cfg(target_arch = "wasm32")]
    fn run<C: Chunk>(
        &self,
        weights: &[C],
        scales: Option<&[f32]>,
        out: &mut [f32],
        panel: &mut Vec<Wide>,
    ) {
        self.run_alone(weights, scales, out, panel);
    }

    /// Threads take rows, or outputs of a single row. Who computes a sum changes nothing in it.
    #[cfg(not(target_arch = "wasm32"))]
    fn run<C: Chunk>(
        &self,
        weights: &[C],
        scales: Option<&[f32]>,
        out: &mut [f32],
        panel: &mut Vec<Wide>,
    ) {
        use rayon::prelude::*;

        let threads = rayon::current_num_threads();
        let work = self.rows * self.outputs * self.chunks * CHUNK;
        if threads == 1 || work < WORTH_SHARING || (2..2 * ROWS).contains(&self.rows) {
            return self.run_alone(weights, scales, out, panel);
        }
        if self.rows == 1 {
            let each = self.outputs.div_ceil(threads).next_multiple_of(OUTPUTS_OF_ONE);
            out.par_chunks_mut(each).enumerate().for_each(|(part, out)| {
                let first = part * each;
                let part = first..first + out.len();
                let bias = self.bias.map(|bias| &bias[part.clone()]);
                let scales = scales.map(|scales| &scales[part.clone()]);
                let weights = &weights[part.start * self.chunks..part.end * self.chunks];
                let job = Job { outputs: out.len(), bias, ..*self };
                job.run_alone(weights, scales, out, &mut Vec::new());
            });
        } else {
            let each = self.rows.div_ceil(threads).next_multiple_of(ROWS);
            let parts = out.par_chunks_mut(each * self.outputs).enumerate();
            parts.for_each_init(Vec::new, |panel, (part, out)| {
                let rows = out.len() / self.outputs;
                let x = &self.x[part * each * self.chunks..][..rows * self.chunks];
                Job { rows, x, ..*self }.run_alone(weights, scales, out, panel);
            });
        }
    }

    /// Weights are read once. Few rows widen them in registers; many rows share a widened panel.
    fn run_alone<C: Chunk>(
        &self,
        weights: &[C],
        scales: Option<&[f32]>,
        out: &mut [f32],
        panel: &mut Vec<Wide>,
    ) {
        if self.rows < ROWS {
            let mut output = 0;
            while output < self.outputs {
                let left = self.outputs - output;
                let weights = &weights[output * self.chunks..];
                for row in 0..self.rows {
                    match left {
                        OUTPUTS_OF_ONE.. => {
                            self.block::<C, 1, OUTPUTS_OF_ONE>(row, weights, output, scales, out);
                        }
                        2.. => self.block::<C, 1, 2>(row, weights, output, scales, out),
                        _ => self.block::<C, 1, 1>(row, weights, output, scales, out),
                    }
                }
                output += match left {
                    OUTPUTS_OF_ONE.. => OUTPUTS_OF_ONE,
                    2.. => 2,
                    _ => 1,
                };
            }
            return;
        }
        panel.resize(OUTPUTS * self.chunks, Wide::default());
        for output in (0..self.outputs).step_by(OUTPUTS) {
            let count = OUTPUTS.min(self.outputs - output);
            let packed = &weights[output * self.chunks..][..count * self.chunks];
            let panel = C::wide(packed).unwrap_or_else(|| {
                for (wide, packed) in panel.iter_mut().zip(packed) {
                    *wide = packed.widen();
                }
                &panel[..packed.len()]
            });
            match count {
                3 => self.rows_of::<3>(panel, output, scales, out),
                2 => self.rows_of::<2>(panel, output, scales, out),
                _ => self.rows_of::<1>(panel, output, scales, out),
            }
        }
    }

    fn rows_of<const O: usize>(
        &self,
        panel: &[Wide],
        output: usize,
        scales: Option<&[f32]>,
        out: &mut [f32],
    ) {
        let whole = self.rows - self.rows % ROWS;
        for row in (0..whole).step_by(ROWS) {
            self.block::<Wide, ROWS, O>(row, panel, output, scales, out);
        }
        for row in whole..self.rows {
            self.block::<Wide, 1, O>(row, panel, output, scales, out);
        }
    }

    /// `R` rows times `O` outputs, all sums in registers.
    #[inline(always)]
    fn block<C: Chunk, const R: usize, const O: usize>(
        &self,
        row: usize,
        weights: &[C],
        output: usize,
        scales: Option<&[f32]>,
        out: &mut [f32],
    ) {
        let sums = sums::<C, R, O>(self.x, row, weights, self.chunks);
        for (r, sums) in sums.iter().enumerate() {
            let out = &mut out[(row + r) * self.outputs + output..][..O];
            for (o, sum) in sums.iter().enumerate() {
                let scale = self.scale * scales.map_or(1.0, |scales| scales[output + o]);
                out[o] = sum * scale + self.bias.map_or(0.0, |bias| bias[output + o]);
            }
        }
    }
}

/// Not inlined: a compiler that sees more than these sums at once no longer keeps all of them in registers (a
/// quarter slower in WebAssembly, as measured).
#[inline(never)]
fn sums<C: Chunk, const R: usize, const O: usize>(
    x: &[Wide],
    row: usize,
    weights: &[C],
    chunks: usize,
) -> [[f32; O]; R] {
    let x: [&[Wide]; R] = std::array::from_fn(|r| &x[(row + r) * chunks..][..chunks]);
    let weights: [&[C]; O] = std::array::from_fn(|o| &weights[o * chunks..][..chunks]);
    let mut sums = [[f32x4::ZERO; O]; R];
    for chunk in 0..chunks {
        for (o, weights) in weights.iter().enumerate() {
            let wide = weights[chunk].widen();
            for (part, weights) in wide.into_iter().enumerate() {
                for (r, x) in x.iter().enumerate() {
                    sums[r][o] = weights.mul_add(x[chunk][part], sums[r][o]);
                }
            }
        }
    }
    sums.map(|sums| {
        sums.map(|sum| {
            let [a, b, c, d] = sum.to_array();
            (a + b) + (c + d)
        })
    })
}
