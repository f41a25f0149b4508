//! Rows of values, and the ops that work on each row alone.

use super::math;
use crate::graph::{NormKind, Pairing, Play, Rotation};

/// The rows of a value, or of a view of it.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    /// The value that owns the memory, `[variant][row][stride]`.
    pub data: &'a [f32],
    /// First column.
    pub start: usize,
    /// Columns of this value.
    pub width: usize,
    /// Columns of the value that owns the memory.
    pub stride: usize,
    /// `variants * rows`.
    pub count: usize,
}

impl<'a> Rows<'a> {
    /// One of them.
    pub fn row(&self, row: usize) -> &'a [f32] {
        &self.data[row * self.stride + self.start..][..self.width]
    }

    /// All of them one after the other, where nothing lies between.
    pub fn iter(self) -> impl Iterator<Item = &'a [f32]> {
        (0..self.count).map(move |row| self.row(row))
    }
}

/// The picked rows of each variant.
pub fn pick(x: Rows<'_>, play: &Play<'_>, out: &mut [f32]) {
    let rows = play.slots.len();
    let lines = (0..play.variants)
        .flat_map(|variant| play.picked.iter().map(move |row| variant * rows + *row as usize));
    for (line, out) in lines.zip(out.chunks_exact_mut(x.width)) {
        out.copy_from_slice(x.row(line));
    }
}

/// One group of a row, normalised.
pub fn norm(
    x: &[f32],
    kind: NormKind,
    epsilon: f32,
    offset: f32,
    weight: Option<&[f32]>,
    bias: Option<&[f32]>,
    out: &mut [f32],
) {
    let width = x.len() as f32;
    let mean = match kind {
        NormKind::Layer => math::sum(x, |x| x) / width,
        NormKind::Rms => 0.0,
    };
    let variance = math::sum(x, |x| (x - mean) * (x - mean)) / width;
    let factor = 1.0 / (variance + epsilon).sqrt();
    math::map(x, out, |x| (x - mean) * factor);
    if let Some(weight) = weight {
        out.iter_mut().zip(weight).for_each(|(out, weight)| *out *= weight + offset);
    }
    if let Some(bias) = bias {
        out.iter_mut().zip(bias).for_each(|(out, bias)| *out += bias);
    }
}

/// Rotary positions. Angles are formed in f64: an f32 angle of a late position would be off by more than 1e-5.
pub fn rotate(
    x: Rows<'_>,
    head_width: usize,
    rotation: &Rotation,
    frequencies: &[f32],
    play: &Play<'_>,
    out: &mut [f32],
    turns: &mut Vec<f32>,
) {
    let half = rotation.dims / 2;
    let rows = play.slots.len();
    for (row, position) in play.positions[rotation.stream].iter().enumerate() {
        turns.clear();
        for frequency in frequencies {
            let (sin, cos) = (f64::from(*position) * f64::from(*frequency)).sin_cos();
            turns.extend([cos as f32, sin as f32]);
        }
        for variant in 0..play.variants {
            let line = variant * rows + row;
            let out = &mut out[line * x.width..][..x.width];
            out.copy_from_slice(x.row(line));
            for head in out.chunks_exact_mut(head_width) {
                let head = &mut head[rotation.start..][..rotation.dims];
                for (pair, turn) in turns.as_chunks::<2>().0.iter().enumerate() {
                    let [cos, sin] = *turn;
                    let (left, right) = match rotation.pairing {
                        Pairing::Halves => (pair, pair + half),
                        Pairing::Neighbours => (2 * pair, 2 * pair + 1),
                    };
                    let (a, b) = (head[left], head[right]);
                    head[left] = a * cos - b * sin;
                    head[right] = b * cos + a * sin;
                }
            }
        }
    }
}
