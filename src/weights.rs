//! Checked reading of safetensors: one file or shards, any of the stored dtypes, in the layout that
//! the graph wants (`[out, in]` row by row).
//!
//! A checkpoint is hostile until checked: the header is validated by the `safetensors` crate
//! (lengths, offsets, overlaps), shapes against the graph, numbers against NaN and infinity.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::ops::Range;

use bytemuck::pod_collect_to_vec;
use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use crate::device::Matrix;
use crate::error::{Error, Result, one_line};
use crate::graph::{Source, WeightInfo};

/// How a checkpoint stores one of our tensors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its name there.
    pub name: String,
    /// Its layout there.
    pub layout: Layout,
    /// Where it is a part of a larger tensor, or in another order there: which part.
    pub part: Option<Part>,
    /// Whether zeros stand for it where the checkpoint leaves it out.
    pub or_zeros: bool,
}

/// Rows (entries of a vector) of a stored tensor, counted along `out` whatever its layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Rows of the whole stored tensor.
    pub of: usize,
    /// The rows that are ours, in our order.
    pub rows: Vec<Range<usize>>,
}

/// Layouts of a stored matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `[out, in]`, as we want it.
    Plain,
    /// `[in, out]` (GPT-2's Conv1D).
    Transposed,
}

impl Stored {
    /// The same name, the same layout.
    pub fn plain(name: impl Into<String>) -> Stored {
        Stored { name: name.into(), layout: Layout::Plain, part: None, or_zeros: false }
    }

    /// Stored `[in, out]`.
    pub fn transposed(self) -> Stored {
        Stored { layout: Layout::Transposed, ..self }
    }

    /// These rows of a tensor that has `of` in all.
    pub fn rows(self, of: usize, rows: impl IntoIterator<Item = Range<usize>>) -> Stored {
        Stored { part: Some(Part { of, rows: rows.into_iter().collect() }), ..self }
    }
}

impl Part {
    fn count(&self) -> usize {
        self.rows.iter().map(Range::len).sum()
    }
}

#[derive(Debug)]
struct Entry {
    file: usize,
    dtype: Dtype,
    shape: Vec<usize>,
    start: usize,
    end: usize,
}

/// The tensors of a model folder, still in their files' bytes.
#[derive(Debug)]
pub struct Checkpoint {
    files: Vec<Vec<u8>>,
    entries: HashMap<String, Entry>,
}

impl Checkpoint {
    /// Reads the headers of these files: (name, bytes) each.
    pub fn open(files: Vec<(String, Vec<u8>)>) -> Result<Checkpoint> {
        let mut entries = HashMap::new();
        let mut kept = Vec::with_capacity(files.len());
        for (file, (name, bytes)) in files.into_iter().enumerate() {
            let (header, metadata) = SafeTensors::read_metadata(&bytes).map_err(|error| {
                let got = format!("{} in {} bytes", one_line(&error.to_string()), bytes.len());
                Error::weights(format!("`{name}`"), "a complete safetensors file", got)
            })?;
            serde_json::from_slice::<Distinct>(&bytes[8..8 + header]).map_err(|error| {
                let what = format!("header of `{name}`");
                Error::weights(what, "every tensor once", one_line(&error.to_string()))
            })?;
            for (tensor, info) in metadata.tensors() {
                let (start, end) = info.data_offsets;
                let entry = Entry {
                    file,
                    dtype: info.dtype,
                    shape: info.shape.clone(),
                    start: 8 + header + start,
                    end: 8 + header + end,
                };
                if entries.insert(tensor.clone(), entry).is_some() {
                    let what = format!("tensor `{}`", tensor.escape_debug());
                    return Err(Error::weights(what, "in one file", "in two"));
                }
            }
            kept.push(bytes);
        }
        Ok(Checkpoint { files: kept, entries })
    }

    /// Whether there is a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// The names of all tensors.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> usize {
        self.files.iter().map(Vec::len).sum()
    }

    /// The formats that its numbers are stored in, the one of most numbers first: `F32`, `I8` ..
    pub fn formats(&self) -> Vec<String> {
        let mut counts: HashMap<String, usize> = HashMap::new();
        for entry in self.entries.values() {
            *counts.entry(format!("{:?}", entry.dtype)).or_default() +=
                entry.shape.iter().product::<usize>();
        }
        let mut formats: Vec<(String, usize)> = counts.into_iter().collect();
        formats.sort_by(|(a, more), (b, less)| less.cmp(more).then(a.cmp(b)));
        formats.into_iter().map(|(format, _)| format).collect()
    }

    /// Shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.entries.get(name).map(|entry| entry.shape.as_slice())
    }

    /// The numbers of a graph's weight; `stored` says where each of our names lies.
    pub fn resolve(&self, info: &WeightInfo, stored: &dyn Fn(&str) -> Stored) -> Result<Matrix> {
        match &info.source {
            Source::Stored(names) if names.len() == 1 => {
                self.matrix(&stored(&names[0]), info.out, info.inner)
            }
            Source::Stored(names) => self.join(info, names, stored),
            Source::Sinusoids => Ok(Matrix::F32(sinusoids(info.out, info.inner))),
            Source::Frequencies(frequencies) => Ok(Matrix::F32(frequencies.clone())),
            Source::Slopes => Ok(Matrix::F32(slopes(info.out, info.inner))),
            Source::Buckets { name, buckets, max_distance, bidirectional } => {
                let table = self.matrix(&stored(name), *buckets, info.out)?;
                let table = to_f32(table);
                let reach = info.inner.div_ceil(2) as i64;
                let mut spread = vec![0.0; info.out * info.inner];
                for column in 0..info.inner {
                    let distance = column as i64 - (reach - 1);
                    let bucket = bucket(distance, *buckets, *max_distance, *bidirectional);
                    for head in 0..info.out {
                        spread[head * info.inner + column] = table[bucket * info.out + head];
                    }
                }
                Ok(Matrix::F32(spread))
            }
        }
    }

    /// Parts one below the other: the rows of matrices, or the entries of vectors.
    fn join(
        &self,
        info: &WeightInfo,
        names: &[String],
        stored: &dyn Fn(&str) -> Stored,
    ) -> Result<Matrix> {
        let mut parts = Vec::with_capacity(names.len());
        let mut total = 0;
        for name in names {
            let stored = stored(name);
            let entry = self.entry(&stored.name)?;
            let (out, inner) = if info.out == 1 {
                let all = entry.shape.iter().product();
                (1, stored.part.as_ref().map_or(all, Part::count))
            } else {
                let all = match stored.layout {
                    Layout::Plain => entry.shape.first(),
                    Layout::Transposed => entry.shape.last(),
                };
                let all = all.copied().unwrap_or(0);
                (stored.part.as_ref().map_or(all, Part::count), info.inner)
            };
            total += if info.out == 1 { inner } else { out };
            parts.push(self.matrix(&stored, out, inner)?);
        }
        let wanted = if info.out == 1 { info.inner } else { info.out };
        if total != wanted {
            let what = format!("rows of {}", names.join(" + "));
            return Err(Error::weights(what, wanted.to_string(), total.to_string()));
        }
        Ok(concatenate(parts))
    }

    /// One stored tensor as `[out, inner]`; a vector is `[1, inner]`.
    fn matrix(&self, stored: &Stored, out: usize, inner: usize) -> Result<Matrix> {
        if stored.or_zeros && !self.has(&stored.name) {
            return Ok(Matrix::F32(vec![0.0; out * inner]));
        }
        let Some(part) = &stored.part else { return self.whole(stored, out, inner) };
        let is_vector = self.entry(&stored.name)?.shape.len() == 1;
        let wanted = if is_vector { inner } else { out };
        if part.count() != wanted || part.rows.iter().any(|rows| rows.end > part.of) {
            let what = format!("rows of tensor `{}`", stored.name);
            let got = format!("{:?} of {}", part.rows, part.of);
            return Err(Error::weights(what, wanted.to_string(), got));
        }
        Ok(match is_vector {
            true => pick_rows(self.whole(stored, 1, part.of)?, 1, &part.rows),
            false => pick_rows(self.whole(stored, part.of, inner)?, inner, &part.rows),
        })
    }

    /// All of one stored tensor as `[out, inner]`.
    fn whole(&self, stored: &Stored, out: usize, inner: usize) -> Result<Matrix> {
        let entry = self.entry(&stored.name)?;
        let fits = match (entry.shape.as_slice(), stored.layout) {
            ([n], _) => out == 1 && *n == inner,
            ([a, b], Layout::Plain) => (*a, *b) == (out, inner),
            ([a, b], Layout::Transposed) => (*a, *b) == (inner, out),
            _ => false,
        };
        if !fits {
            let expected = match stored.layout {
                _ if out == 1 => format!("[{inner}]"),
                Layout::Plain => format!("[{out}, {inner}]"),
                Layout::Transposed => format!("[{inner}, {out}]"),
            };
            let what = format!("shape of tensor `{}`", stored.name);
            return Err(Error::weights(what, expected, format!("{:?}", entry.shape)));
        }
        let bytes = &self.files[entry.file][entry.start..entry.end];
        let matrix = match entry.dtype {
            Dtype::F32 => Matrix::F32(pod_collect_to_vec(bytes)),
            Dtype::F16 => Matrix::F16(pod_collect_to_vec(bytes)),
            Dtype::BF16 => Matrix::Bf16(pod_collect_to_vec(bytes)),
            Dtype::I8 => {
                let scale = Stored::plain(format!("{}.scale", stored.name));
                let Matrix::F32(scales) = self.matrix(&scale, 1, out)? else {
                    let what = format!("dtype of tensor `{}`", scale.name);
                    return Err(Error::weights(what, "F32", "another"));
                };
                Matrix::Int8 { values: pod_collect_to_vec(bytes), scales }
            }
            other => {
                let what = format!("dtype of tensor `{}`", stored.name);
                return Err(Error::weights(what, "F32, F16, BF16 or I8", format!("{other:?}")));
            }
        };
        if let Some(index) = first_not_finite(&matrix) {
            let what = format!("tensor `{}`", stored.name);
            let got = format!("NaN or infinity at {index}");
            return Err(Error::weights(what, "finite numbers", got));
        }
        Ok(match stored.layout {
            Layout::Transposed if entry.shape.len() == 2 => transpose(matrix, out, inner)?,
            _ => matrix,
        })
    }

    fn entry(&self, name: &str) -> Result<&Entry> {
        self.entries.get(name).ok_or_else(|| {
            let got = format!("{} tensors without it", self.entries.len());
            Error::weights(format!("tensor `{name}`"), "in the weights", got)
        })
    }
}

/// A header in which no name stands twice: of two, readers disagree which one counts.
struct Distinct;

impl<'de> Deserialize<'de> for Distinct {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = Distinct;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "an object of tensors")
            }

            fn visit_map<M: MapAccess<'de>>(
                self,
                mut map: M,
            ) -> std::result::Result<Distinct, M::Error> {
                let mut seen = HashSet::new();
                while let Some((name, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
                    if let Some(name) = seen.replace(name) {
                        return Err(M::Error::custom(format!("`{name}` twice")));
                    }
                }
                Ok(Distinct)
            }
        }
        deserializer.deserialize_map(Names)
    }
}

fn first_not_finite(matrix: &Matrix) -> Option<usize> {
    match matrix {
        Matrix::F32(values) => values.iter().position(|value| !value.is_finite()),
        Matrix::F16(values) => values.iter().position(|value| !value.is_finite()),
        Matrix::Bf16(values) => values.iter().position(|value| !value.is_finite()),
        Matrix::Int8 { scales, .. } => scales.iter().position(|value| !value.is_finite()),
    }
}

fn to_f32(matrix: Matrix) -> Vec<f32> {
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

/// These rows of a matrix `[.., inner]`, one after the other.
fn pick_rows(matrix: Matrix, inner: usize, rows: &[Range<usize>]) -> Matrix {
    fn pick<T: Copy>(values: &[T], inner: usize, rows: &[Range<usize>]) -> Vec<T> {
        rows.iter()
            .flat_map(|rows| &values[rows.start * inner..rows.end * inner])
            .copied()
            .collect()
    }
    match matrix {
        Matrix::F32(values) => Matrix::F32(pick(&values, inner, rows)),
        Matrix::F16(values) => Matrix::F16(pick(&values, inner, rows)),
        Matrix::Bf16(values) => Matrix::Bf16(pick(&values, inner, rows)),
        Matrix::Int8 { values, scales } => {
            Matrix::Int8 { values: pick(&values, inner, rows), scales: pick(&scales, 1, rows) }
        }
    }
}

/// Equal formats stay packed; mixed ones become f32.
fn concatenate(parts: Vec<Matrix>) -> Matrix {
    let mut parts = parts.into_iter();
    let Some(mut all) = parts.next() else { return Matrix::F32(Vec::new()) };
    for part in parts {
        all = match (all, part) {
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
        };
    }
    all
}

fn transpose(matrix: Matrix, out: usize, inner: usize) -> Result<Matrix> {
    fn turn<T: Copy>(values: &[T], out: usize, inner: usize) -> Vec<T> {
        (0..out * inner).map(|i| values[i % inner * out + i / inner]).collect()
    }
    Ok(match matrix {
        Matrix::F32(values) => Matrix::F32(turn(&values, out, inner)),
        Matrix::F16(values) => Matrix::F16(turn(&values, out, inner)),
        Matrix::Bf16(values) => Matrix::Bf16(turn(&values, out, inner)),
        Matrix::Int8 { .. } => {
            return Err(Error::weights("packed int8", "stored [out, in]", "stored [in, out]"));
        }
    })
}

/// Vaswani et al. 2017, sines in the first half of the columns, cosines in the second.
fn sinusoids(positions: usize, width: usize) -> Vec<f32> {
    let half = width.div_ceil(2);
    let mut table = vec![0.0; positions * width];
    for position in 0..positions {
        for column in 0..width {
            let pair = column % half;
            let angle = position as f64 / 10_000f64.powf(2.0 * pair as f64 / width as f64);
            let value = if column < half { angle.sin() } else { angle.cos() };
            table[position * width + column] = value as f32;
        }
    }
    table
}

/// ALiBi (Press et al. 2022): `-slope * |distance|`, slopes a geometric row for powers of two.
fn slopes(heads: usize, columns: usize) -> Vec<f32> {
    let powers = |count: usize| {
        let base = 2f64.powf(-8.0 / count as f64);
        (1..=count).map(move |head| base.powi(head as i32)).collect::<Vec<f64>>()
    };
    let closest = if heads.is_power_of_two() { heads } else { heads.next_power_of_two() / 2 };
    let mut all = powers(closest);
    all.extend(powers(2 * closest).into_iter().step_by(2).take(heads - closest));
    let reach = columns.div_ceil(2);
    let mut table = Vec::with_capacity(heads * columns);
    for slope in all {
        table.extend((0..columns).map(|c| (-slope * (c as f64 + 1.0 - reach as f64).abs()) as f32));
    }
    table
}

/// T5's bucket of a distance `key - row`: exact up to half of them, then logarithmic.
fn bucket(distance: i64, buckets: usize, max_distance: usize, bidirectional: bool) -> usize {
    let (mut first, mut buckets) = (0, buckets);
    let far = if bidirectional {
        buckets /= 2;
        if distance > 0 {
            first = buckets;
        }
        distance.unsigned_abs() as usize
    } else {
        (-distance).max(0) as usize
    };
    let exact = buckets / 2;
    if far < exact || exact == 0 {
        return first + far.min(buckets.saturating_sub(1));
    }
    // The reference computes this logarithm in f32.
    let ratio = (far as f32 / exact as f32).ln() / (max_distance as f32 / exact as f32).ln();
    let log = exact + (ratio * (buckets - exact) as f32) as usize;
    first + log.min(buckets - 1)
}
