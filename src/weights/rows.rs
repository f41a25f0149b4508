//! Rows of stored numbers: bytes as a matrix, and matrices one below the other.

use std::ops::Range;

use bytemuck::pod_collect_to_vec;
use half::{bf16, f16};

use crate::device::{Format, Matrix};

/// Little-endian numbers as they are stored; of packed int8 they come without their scales.
pub fn of_bytes(format: Format, bytes: &[u8]) -> Matrix {
    match format {
        Format::F32 => Matrix::F32(pod_collect_to_vec(bytes)),
        Format::F16 => Matrix::F16(pod_collect_to_vec(bytes)),
        Format::Bf16 => Matrix::Bf16(pod_collect_to_vec(bytes)),
        Format::Int8 => Matrix::Int8 { values: pod_collect_to_vec(bytes), scales: Vec::new() },
    }
}

/// The first number that is NaN or infinite.
pub fn first_not_finite(matrix: &Matrix) -> Option<usize> {
    match matrix {
        Matrix::F32(values) => values.iter().position(|value| !value.is_finite()),
        Matrix::F16(values) => values.iter().position(|value| !value.is_finite()),
        Matrix::Bf16(values) => values.iter().position(|value| !value.is_finite()),
        Matrix::Int8 { scales, .. } => scales.iter().position(|value| !value.is_finite()),
    }
}

/// Widened.
pub fn to_f32(matrix: Matrix) -> Vec<f32> {
    match matrix {
        Matrix::F32(values) => values,
        Matrix::F16(values) => values.into_iter().map(f16::to_f32).collect(),
        Matrix::Bf16(values) => values.into_iter().map(bf16::to_f32).collect(),
        Matrix::Int8 { values, scales } => {
            let inner = values.len() / scales.len().max(1);
            let scale = |index: usize| scales[index / inner.max(1)];
            values.iter().enumerate().map(|(i, value)| f32::from(*value) * scale(i)).collect()
        }
    }
}

/// One below the other: equal formats stay packed; mixed ones become f32, and so do packed vectors of unlike lengths, which
/// have one scale each.
pub fn concatenate(all: Matrix, part: Matrix) -> Matrix {
    match (all, part) {
        (Matrix::F32(mut a), Matrix::F32(b)) => {
            a.extend(b);
            Matrix::F32(a)
        }
        (Matrix::F16(mut a), Matrix::F16(b)) => {
            a.extend(b);
            Matrix::F16(a)
        }
        (Matrix::Bf16(mut a), Matrix::Bf16(b)) => {
            a.extend(b);
            Matrix::Bf16(a)
        }
        (
            Matrix::Int8 { mut values, mut scales },
            Matrix::Int8 { values: more, scales: more_scales },
        ) if values.len() * more_scales.len() == more.len() * scales.len() => {
            values.extend(more);
            scales.extend(more_scales);
            Matrix::Int8 { values, scales }
        }
        (a, b) => {
            let mut a = to_f32(a);
            a.extend(to_f32(b));
            Matrix::F32(a)
        }
    }
}

/// Rows of a matrix stored `[inner, out]`.
pub fn turn(format: Format, stored: &[u8], out: usize, rows: Range<usize>) -> Vec<u8> {
    const FEW: usize = 16;
    fn turn<const BYTES: usize>(stored: &[u8], out: usize, rows: Range<usize>) -> Vec<u8> {
        let (stored, _) = stored.as_chunks::<BYTES>();
        let inner = stored.len() / out;
        let mut turned = vec![[0; BYTES]; rows.len() * inner];
        // A few rows at a time: those of all would not stay in a cache from one column to the next.
        for (some, turned) in turned.chunks_mut(FEW * inner).enumerate() {
            let first = rows.start + some * FEW;
            let few = first..first + turned.len() / inner;
            for (k, column) in stored.chunks_exact(out).enumerate() {
                for (row, number) in column[few.clone()].iter().enumerate() {
                    turned[row * inner + k] = *number;
                }
            }
        }
        turned.into_flattened()
    }
    match format {
        Format::F32 => turn::<4>(stored, out, rows),
        Format::F16 | Format::Bf16 => turn::<2>(stored, out, rows),
        Format::Int8 => turn::<1>(stored, out, rows),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(values: &[i8], scales: &[f32]) -> Matrix {
        Matrix::Int8 { values: values.to_vec(), scales: scales.to_vec() }
    }

    #[test]
    fn packed_rows_of_one_width_stay_packed() {
        let all = concatenate(packed(&[1, 2, 3, 4], &[0.5, 2.0]), packed(&[5, 6], &[10.0]));
        assert!(matches!(&all, Matrix::Int8 { scales, .. } if scales.len() == 3));
        assert_eq!(to_f32(all), [0.5, 1.0, 6.0, 8.0, 50.0, 60.0]);
    }

    #[test]
    fn packed_vectors_of_unlike_lengths_keep_each_its_scale() {
        // As the biases of queries, keys and values where fewer heads have keys.
        let parts = [packed(&[1, 2, 3, 4], &[0.5]), packed(&[5], &[10.0]), packed(&[6], &[100.0])];
        let all = parts.into_iter().reduce(concatenate).unwrap();
        assert_eq!(to_f32(all), [0.5, 1.0, 1.5, 2.0, 50.0, 600.0]);
    }
}
