//! The product of rows with a table of weights.
//!
//! Every dot product adds up in one fixed order, whatever is computed beside it: lane `k % 4` takes
//! `k`, ascending, and the four lanes are added at the end. So a row's result does not depend,
//! bit for bit, on how many rows are computed with it.

use wide::f32x4;

use super::math::{fused, total};
use super::rows::Rows;
use super::table::{CHUNK, Chunk, Numbers, PARTS, Table, Wide};
use crate::device::Progress;

/// Memory that a matmul borrows from play to play.
#[derive(Debug, Default)]
pub struct Scratch {
    /// The rows, padded to whole chunks: those that are computed together lie vector by vector side by side, so
    /// that one pointer reads them all; the rest one behind the other.
    x: Vec<f32x4>,
    /// A few rows of the weight, widened.
    panel: Vec<f32x4>,
}

/// Outputs computed together for a single row: enough to hide the latency of an addition, few
/// enough to leave registers for widening.
const OUTPUTS_OF_ONE: usize = 6;

/// Rows and outputs computed together for many rows. Their sums, a weight and a product are in registers: V8 keeps
/// eight sums there and not twelve.
const ROWS: usize = 4;
const OUTPUTS: usize = 2;

/// Bytes of rows that stay in a core's cache while all weights pass by. More of them are taken a part after the other,
/// and the weights pass once for each: were all rows taken for every two outputs, they would come from memory each time.
const ROWS_KEPT: usize = 256 << 10;

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
    let (rows, vectors) = (x.count, inner.div_ceil(CHUNK) * PARTS);
    lay_out(x, inner, vectors, &mut scratch.x);
    let Scratch { x, panel } = scratch;
    let job = Job { rows, vectors, outputs, x, bias, scale };
    match &weight.numbers {
        Numbers::F32(weights) => job.run(weights, None, out, panel),
        Numbers::F16(weights) => job.run(weights, None, out, panel),
        Numbers::Bf16(weights) => job.run(weights, None, out, panel),
        Numbers::Int8(weights, scales) => job.run(weights, Some(scales), out, panel),
    }
}

/// Pads rows to whole chunks, as [`Scratch`] says.
fn lay_out(x: Rows<'_>, inner: usize, vectors: usize, to: &mut Vec<f32x4>) {
    to.resize(x.count * vectors, f32x4::ZERO);
    if vectors == 0 {
        return;
    }
    let whole = x.count - x.count % ROWS;
    let (together, rest) = to.split_at_mut(whole * vectors);
    for (block, to) in together.chunks_exact_mut(ROWS * vectors).enumerate() {
        let (to, _) = to.as_chunks_mut::<ROWS>();
        for r in 0..ROWS {
            let (fours, last) = x.row(block * ROWS + r).as_chunks::<4>();
            for (to, four) in to.iter_mut().zip(fours) {
                to[r] = f32x4::new(*four);
            }
            for to in &mut to[fours.len()..] {
                to[r] = f32x4::ZERO;
            }
            if !last.is_empty() {
                to[fours.len()][r] = padded(last);
            }
        }
    }
    for (row, to) in rest.chunks_exact_mut(vectors).enumerate() {
        let row = x.row(whole + row);
        let to: &mut [f32] = bytemuck::cast_slice_mut(to);
        to[..inner].copy_from_slice(row);
        to[inner..].fill(0.0);
    }
}

fn padded(values: &[f32]) -> f32x4 {
    let mut four = [0.0; 4];
    four[..values.len()].copy_from_slice(values);
    f32x4::new(four)
}

/// A product, or a thread's part of one.
#[derive(Clone, Copy)]
struct Job<'a> {
    rows: usize,
    /// Of a row, padded.
    vectors: usize,
    outputs: usize,
    x: &'a [f32x4],
    bias: Option<&'a [f32]>,
    scale: f32,
}

/// Multiplications of a product that is worth a thread's waking, about 20 microseconds.
#[cfg(not(target_arch = "wasm32"))]
const WORTH_SHARING: usize = 1 << 19;

impl Job<'_> {
    /// A browser's engine has one thread. (Not inlined: with all formats in one function a browser would optimise all of
    /// them for the one that a model has.)
    #[cfg(target_arch = "wasm32")]
    #[inline(never)]
    fn run<C: Chunk>(
        &self,
        weights: &[C],
        scales: Option<&[f32]>,
        out: &mut [f32],
        panel: &mut Vec<f32x4>,
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
        panel: &mut Vec<f32x4>,
    ) {
        use rayon::prelude::*;

        let threads = rayon::current_num_threads();
        let work = self.rows * self.outputs * self.vectors * 4;
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
                let weights = &weights[part.start * self.chunks()..part.end * self.chunks()];
                let job = Job { outputs: out.len(), bias, ..*self };
                job.run_alone(weights, scales, out, &mut Vec::new());
            });
        } else {
            let each = self.rows.div_ceil(threads).next_multiple_of(ROWS);
            let parts = out.par_chunks_mut(each * self.outputs).enumerate();
            parts.for_each_init(Vec::new, |panel, (part, out)| {
                let rows = out.len() / self.outputs;
                let x = &self.x[part * each * self.vectors..][..rows * self.vectors];
                Job { rows, x, ..*self }.run_alone(weights, scales, out, panel);
            });
        }
    }

    /// Of a row of the weight.
    fn chunks(&self) -> usize {
        self.vectors / PARTS
    }

    /// The rows in parts that a cache holds.
    fn run_alone<C: Chunk>(
        &self,
        weights: &[C],
        scales: Option<&[f32]>,
        out: &mut [f32],
        panel: &mut Vec<f32x4>,
    ) {
        let most = ROWS_KEPT / (self.vectors.max(1) * size_of::<f32x4>());
        let most = (most - most % ROWS).max(ROWS);
        for first in (0..self.rows).step_by(most) {
            let rows = most.min(self.rows - first);
            let x = &self.x[first * self.vectors..][..rows * self.vectors];
            let out = &mut out[first * self.outputs..][..rows * self.outputs];
            Job { rows, x, ..*self }.run_part(weights, out, panel);
            for out in out.chunks_exact_mut(self.outputs) {
                self.finish(scales, out);
            }
        }
    }

    /// What becomes of a row's sums.
    fn finish(&self, scales: Option<&[f32]>, out: &mut [f32]) {
        match scales {
            Some(scales) => {
                out.iter_mut().zip(scales).for_each(|(out, scale)| *out *= self.scale * scale);
            }
            None => out.iter_mut().for_each(|out| *out *= self.scale),
        }
        if let Some(bias) = self.bias {
            out.iter_mut().zip(bias).for_each(|(out, bias)| *out += bias);
        }
    }

    /// Weights are read once. Few rows widen them in registers; many rows share a widened panel.
    fn run_part<C: Chunk>(&self, weights: &[C], out: &mut [f32], panel: &mut Vec<f32x4>) {
        if self.rows < ROWS {
            return self.run_few(weights, out);
        }
        panel.resize(OUTPUTS * self.vectors, f32x4::ZERO);
        for output in (0..self.outputs).step_by(OUTPUTS) {
            let count = OUTPUTS.min(self.outputs - output);
            let packed = &weights[output * self.chunks()..][..count * self.chunks()];
            let panel = C::wide(packed).unwrap_or_else(|| {
                let (wide, _) = panel.as_chunks_mut::<PARTS>();
                for (wide, packed) in wide.iter_mut().zip(packed) {
                    *wide = packed.widen();
                }
                &panel[..count * self.vectors]
            });
            match count {
                OUTPUTS => self.rows_of::<OUTPUTS>(panel, output, out),
                _ => self.rows_of::<1>(panel, output, out),
            }
        }
    }

    /// The outputs in as many stretches as are computed together, and of each stretch the next one: a core fetches ahead
    /// in many places at once, but in each only straight on. (Neighbours instead came at a quarter to a half of the speed.)
    fn run_few<C: Chunk>(&self, weights: &[C], out: &mut [f32]) {
        let stretch = self.outputs / OUTPUTS_OF_ONE;
        let (stretches, rest) = weights.split_at(stretch * OUTPUTS_OF_ONE * self.chunks());
        self.stretches::<C, OUTPUTS_OF_ONE>(stretches, 0, stretch, out);
        self.stretches::<C, 1>(rest, stretch * OUTPUTS_OF_ONE, self.outputs % OUTPUTS_OF_ONE, out);
    }

    /// The sums of `O` stretches of outputs that begin with `first`, their weights one behind the other, all rows of an
    /// output before the next. One call for all: a call each, and what it takes to make one was a twentieth of a step.
    #[inline(never)]
    fn stretches<C: Chunk, const O: usize>(
        &self,
        weights: &[C],
        first: usize,
        stretch: usize,
        out: &mut [f32],
    ) {
        let chunks = self.chunks();
        let (x, _) = self.x.as_chunks();
        let weights: [&[C]; O] =
            std::array::from_fn(|o| &weights[o * stretch * chunks..][..stretch * chunks]);
        for at in 0..stretch {
            let weights: [&[C]; O] = std::array::from_fn(|o| &weights[o][at * chunks..][..chunks]);
            for (row, x) in x.chunks_exact(chunks).enumerate() {
                let sums = sums_of_few::<C, O>(x, weights);
                let out = &mut out[row * self.outputs + first..];
                for (o, sum) in sums.into_iter().enumerate() {
                    out[o * stretch + at] = sum;
                }
            }
        }
    }

    fn rows_of<const O: usize>(&self, panel: &[f32x4], output: usize, out: &mut [f32]) {
        let panel: [&[f32x4]; O] =
            std::array::from_fn(|o| &panel[o * self.vectors..][..self.vectors]);
        let whole = self.rows - self.rows % ROWS;
        for row in (0..whole).step_by(ROWS) {
            self.put(row, output, sums::<ROWS, O>(self.block(row), panel), out);
        }
        for row in whole..self.rows {
            self.put(row, output, sums::<1, O>(self.block(row), panel), out);
        }
    }

    /// `R` rows that lie side by side, from `row` on.
    fn block<const R: usize>(&self, row: usize) -> &[[f32x4; R]] {
        self.x[row * self.vectors..][..R * self.vectors].as_chunks().0
    }

    /// Sums of rows and outputs from these on.
    #[inline(always)]
    fn put<const R: usize, const O: usize>(
        &self,
        row: usize,
        output: usize,
        sums: [[f32; O]; R],
        out: &mut [f32],
    ) {
        for (row, sums) in (row..).zip(sums) {
            out[row * self.outputs + output..][..O].copy_from_slice(&sums);
        }
    }
}

/// `R` rows times `O` outputs, a vector a turn: more of them at once, and a compiler loads ahead what then no longer
/// fits into registers. Not inlined, for the same reason. (Each a quarter slower in WebAssembly, as measured.)
#[inline(never)]
fn sums<const R: usize, const O: usize>(x: &[[f32x4; R]], weights: [&[f32x4]; O]) -> [[f32; O]; R] {
    let weights = weights.map(|weights| &weights[..x.len()]);
    let mut sums = [[f32x4::ZERO; O]; R];
    for (at, x) in x.iter().enumerate() {
        for (o, weights) in weights.iter().enumerate() {
            let weight = weights[at];
            for (r, x) in x.iter().enumerate() {
                sums[r][o] = fused(weight, *x, sums[r][o]);
            }
        }
    }
    sums.map(|sums| sums.map(total))
}

/// As [`sums`], of one row, with weights that are widened on the way.
#[inline(always)]
fn sums_of_few<C: Chunk, const O: usize>(x: &[Wide], weights: [&[C]; O]) -> [f32; O] {
    let mut sums = [f32x4::ZERO; O];
    for (chunk, x) in x.iter().enumerate() {
        for (o, weights) in weights.iter().enumerate() {
            for (weights, x) in weights[chunk].widen().into_iter().zip(x) {
                sums[o] = fused(weights, *x, sums[o]);
            }
        }
    }
    sums.map(total)
}
