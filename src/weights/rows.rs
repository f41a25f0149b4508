//! Rows of stored numbers: bytes as a matrix, and matrices one below the other.

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

/// One below the other: equal formats stay packed, mixed ones become f32.
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
        ) => {
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

/// Rows `rows` of a matrix stored `[inner, out]`, numbers of `size` bytes each.
pub fn turn(stored: &[u8], size: usize, out: usize, rows: std::ops::Range<usize>) -> Vec<u8> {
    let inner = stored.len() / (out * size);
    let mut turned = vec![0; rows.len() * inner * size];
    for (k, column) in stored.chunks_exact(out * size).enumerate() {
        for (row, number) in
            column[rows.start * size..rows.end * size].chunks_exact(size).enumerate()
        {
            turned[(row * inner + k) * size..][..size].copy_from_slice(number);
        }
    }
    turned
}
