//! Weights as the CPU holds them: packed in the format of their file, in chunks of sixteen.

use half::{bf16, f16};
use wide::{f32x4, i32x4};

use crate::device::{Format, Matrix, Progress};
use crate::error::{Error, Result};

/// Columns that are loaded, widened and padded together.
pub const CHUNK: usize = 16;

/// Vectors of a chunk.
pub const PARTS: usize = CHUNK / 4;

/// A chunk as it is computed with.
pub type Wide = [f32x4; PARTS];

/// Sixteen neighbouring weights of one row, packed.
///
/// Packed formats keep column `4 b + lane` in part `b` of the lane's words, so that shifts alone
/// bring every weight into its lane.
pub trait Chunk: Copy + Sync {
    /// Sixteen f32.
    fn widen(self) -> Wide;

    /// The weights themselves where they need no widening.
    fn wide(_weights: &[Self]) -> Option<&[f32x4]> {
        None
    }
}

impl Chunk for Wide {
    #[inline(always)]
    fn widen(self) -> Wide {
        self
    }

    fn wide(weights: &[Wide]) -> Option<&[f32x4]> {
        Some(weights.as_flattened())
    }
}

/// Half floats, finite: two in a word, the earlier in its lower half.
#[derive(Clone, Copy, Debug)]
pub struct Halves([i32x4; 2]);

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
pub struct Brains([i32x4; 2]);

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
pub struct Bytes(i32x4);

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
    /// Its rows, one behind the other.
    pub numbers: Numbers,
}

/// Bytes of a matrix as it is held here: its rows are whole chunks, however narrow they are stored.
pub fn bytes_held(out: usize, inner: usize, format: Format) -> u64 {
    out as u64 * inner.next_multiple_of(CHUNK) as u64 * format.bytes() as u64
}

/// A table's numbers in the format of its file.
#[derive(Debug)]
pub enum Numbers {
    /// As they are.
    F32(Vec<Wide>),
    /// Half floats.
    F16(Vec<Halves>),
    /// Brain floats.
    Bf16(Vec<Brains>),
    /// Integers, and the scale of each row.
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

/// Adds rows, padded to whole chunks. (Not inlined: a load calls [`Table::fill`] for every weight, and with all formats in
/// one function a browser would compile all of them anew for it.)
#[inline(never)]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrow_rows_are_held_as_whole_chunks() {
        for (out, inner) in [(3, 1), (3, 16), (2, 17)] {
            let mut table = Table::new(out, inner, Format::F32);
            table.fill("narrow", &Matrix::F32(vec![1.0; out * inner])).unwrap();
            let Numbers::F32(chunks) = &table.numbers else { panic!("they are stored as f32") };
            assert_eq!(size_of_val(&chunks[..]) as u64, bytes_held(out, inner, Format::F32));
        }
    }
}
