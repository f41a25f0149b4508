//! Checked reading of safetensors, and of what `torch.save` writes: one file or shards, any of the stored dtypes, in
//! the layout that the graph wants (`[out, in]` row by row).
//!
//! A checkpoint is hostile until checked: headers come first, validated (offsets, overlaps)
//! and held against the files' lengths, shapes and dtypes against the graph. Only then are numbers read, a
//! few rows at a time, and each held against NaN and infinity: a checkpoint is never in memory as a whole.

mod file;
mod header;
mod index;
mod rows;
mod tables;
mod torch;

use std::collections::HashMap;
use std::fmt;
use std::iter;
use std::ops::Range;

use safetensors::Dtype;

use crate::device::{Format, Matrix, ROWS_TOGETHER};
use crate::error::{Error, Result};
use crate::graph::{Source, WeightInfo};

pub use file::{Form, OnDisk, ReadAt, Reading};
pub use index::Index;
use rows::{concatenate, first_not_finite, of_bytes, to_f32, turn};

/// About so many bytes of a tensor are read at once: what a load holds beside what it has put on the device.
const TOGETHER: usize = 4 << 20;

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

/// A stored tensor, as the header of its file tells of it.
#[derive(Debug)]
struct Entry {
    name: String,
    file: usize,
    dtype: Dtype,
    shape: Vec<usize>,
    /// Its bytes in the file.
    at: Range<u64>,
}

/// The tensors of a model folder, still in their files.
pub struct Checkpoint {
    files: Vec<Box<dyn ReadAt>>,
    entries: Vec<Entry>,
    numbers: HashMap<String, usize>,
    /// The bytes of the entry that was read last of those that lie `[in, out]`: their rows are spread over all of it.
    turned: Option<(usize, Vec<u8>)>,
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checkpoint").field("entries", &self.entries).finish_non_exhaustive()
    }
}

/// A weight of a graph, found in a checkpoint and held against what its header says: what is left is to read it.
#[derive(Clone, Debug)]
pub struct Found {
    info: WeightInfo,
    format: Format,
    /// Rows; a vector counts its numbers as rows.
    count: usize,
    /// Numbers of a row.
    across: usize,
    /// The stored rows that are this one's, in order; none where zeros stand for them.
    pieces: Vec<Piece>,
}

/// Neighbouring rows of a stored tensor (numbers of a vector).
#[derive(Clone, Debug)]
struct Piece {
    entry: usize,
    format: Format,
    /// Whether it lies `[in, out]`.
    turned: bool,
    /// The entry of its scales, where it is packed int8: one a row, or one for a vector.
    scale: Option<usize>,
    rows: Range<usize>,
}

impl Found {
    /// Whose numbers they are.
    pub fn info(&self) -> &WeightInfo {
        &self.info
    }

    /// How its numbers are packed.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Bytes of its numbers.
    pub fn bytes(&self) -> u64 {
        self.info.out as u64 * self.info.inner as u64 * self.format.bytes() as u64
    }

    /// The rows that are to be read together, one part after the other.
    pub fn parts(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let count = self.count;
        let each = match self.info.source {
            Source::Stored(_) if self.info.out > 1 => {
                let rows = TOGETHER / (self.across * self.format.bytes()).max(1);
                (rows / ROWS_TOGETHER * ROWS_TOGETHER).max(ROWS_TOGETHER)
            }
            _ => count.max(1),
        };
        (0..count).step_by(each).map(move |first| first..count.min(first + each))
    }
}

impl Checkpoint {
    /// Reads the headers of these files.
    pub async fn open(files: Vec<(String, Box<dyn ReadAt>)>) -> Result<Checkpoint> {
        let mut checkpoint = Checkpoint {
            files: Vec::with_capacity(files.len()),
            entries: Vec::new(),
            numbers: HashMap::new(),
            turned: None,
        };
        for (number, (name, file)) in files.into_iter().enumerate() {
            let entries = match Form::of(&name) {
                Some(Form::Torch) => torch::header(number, &name, &*file).await?,
                _ => header::header(number, &name, &*file).await?,
            };
            for entry in entries {
                let tensor = entry.name.clone();
                if checkpoint.numbers.insert(tensor, checkpoint.entries.len()).is_some() {
                    let what = format!("tensor `{}` of `{name}`", entry.name.escape_debug());
                    return Err(Error::weights(what, "once in the weights", "twice"));
                }
                checkpoint.entries.push(entry);
            }
            checkpoint.files.push(file);
        }
        Ok(checkpoint)
    }

    /// Whether there is a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.numbers.contains_key(name)
    }

    /// The names of all tensors.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.name.as_str())
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes()).sum()
    }

    /// The formats that its numbers are stored in, the one of most numbers first: `F32`, `I8` ..
    pub fn formats(&self) -> Vec<String> {
        let mut counts: HashMap<String, u64> = HashMap::new();
        for entry in &self.entries {
            *counts.entry(format!("{:?}", entry.dtype)).or_default() +=
                entry.shape.iter().map(|length| *length as u64).product::<u64>();
        }
        let mut formats: Vec<(String, u64)> = counts.into_iter().collect();
        formats.sort_by(|(a, more), (b, less)| less.cmp(more).then(a.cmp(b)));
        formats.into_iter().map(|(format, _)| format).collect()
    }

    /// Shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.numbers.get(name).map(|number| self.entries[*number].shape.as_slice())
    }

    /// Where in the files a weight ends: in this order they are read from front to back, and a file that is still
    /// arriving can be read as it does.
    pub fn end(&self, found: &Found) -> (usize, u64) {
        let ends = found.pieces.iter().map(|piece| {
            let entry = &self.entries[piece.entry];
            (entry.file, entry.at.end)
        });
        ends.max().unwrap_or_default()
    }

    /// Finds a graph's weight; `stored` says where each of our names lies.
    pub fn find(&self, info: &WeightInfo, stored: &dyn Fn(&str) -> Stored) -> Result<Found> {
        let mut found = Found {
            info: info.clone(),
            format: Format::F32,
            count: info.out,
            across: info.inner,
            pieces: Vec::new(),
        };
        match &info.source {
            Source::Sinusoids | Source::Frequencies(_) | Source::Slopes => return Ok(found),
            Source::Buckets { name, buckets, .. } => {
                // As below, a table of one row is a vector.
                let one = *buckets == 1;
                (found.count, found.across) =
                    if one { (info.out, 1) } else { (*buckets, info.out) };
                found.pieces = self.pieces(&stored(name), *buckets, info.out)?;
                return Ok(found);
            }
            Source::Stored(names) => {
                if info.out == 1 {
                    (found.count, found.across) = (info.inner, 1);
                }
                for name in names {
                    let stored = stored(name);
                    let (out, inner) = match names.len() {
                        1 => (info.out, info.inner),
                        _ => self.part_of(info, &stored)?,
                    };
                    found.pieces.extend(self.pieces(&stored, out, inner)?);
                }
                if names.len() > 1 {
                    let total: usize = found.pieces.iter().map(|piece| piece.rows.len()).sum();
                    if total != found.count {
                        let what = format!("rows of {}", names.join(" + "));
                        return Err(Error::weights(
                            what,
                            found.count.to_string(),
                            total.to_string(),
                        ));
                    }
                }
            }
        }
        // Equal formats stay packed, mixed ones become f32; so do the integers of a vector, which share a scale.
        let mut formats = found.pieces.iter().map(|piece| piece.format);
        let first = formats.next().unwrap_or(Format::F32);
        let is_vector = info.out == 1;
        if formats.all(|format| format == first) && !(is_vector && first == Format::Int8) {
            found.format = first;
        }
        Ok(found)
    }

    /// What a stored tensor adds to a weight that several make: `(out, inner)`.
    fn part_of(&self, info: &WeightInfo, stored: &Stored) -> Result<(usize, usize)> {
        let entry = &self.entries[self.number(&stored.name)?];
        let all = match stored.layout {
            _ if info.out == 1 => entry.shape.iter().product(),
            Layout::Plain => entry.shape.first().copied().unwrap_or(0),
            Layout::Transposed => entry.shape.last().copied().unwrap_or(0),
        };
        let count = stored.part.as_ref().map_or(all, Part::count);
        Ok(if info.out == 1 { (1, count) } else { (count, info.inner) })
    }

    /// Where `[out, inner]` lies in one stored tensor; a vector is `[1, inner]`.
    fn pieces(&self, stored: &Stored, out: usize, inner: usize) -> Result<Vec<Piece>> {
        if stored.or_zeros && !self.has(&stored.name) {
            return Ok(Vec::new());
        }
        let number = self.number(&stored.name)?;
        let entry = &self.entries[number];
        let is_vector = out == 1;
        let wanted = if is_vector { inner } else { out };
        let (of, rows) = match &stored.part {
            None => (wanted, iter::once(0..wanted).collect()),
            Some(part) => (part.of, part.rows.clone()),
        };
        let count = rows.iter().map(Range::len).sum::<usize>();
        if count != wanted || rows.iter().any(|rows| rows.end > of) {
            let what = format!("rows of tensor `{}`", stored.name);
            let got = format!("{rows:?} of {of}");
            return Err(Error::weights(what, wanted.to_string(), got));
        }
        let across = if is_vector { 1 } else { inner };
        let fits = match (entry.shape.as_slice(), stored.layout) {
            ([n], _) => is_vector && *n == of,
            ([a, b], Layout::Plain) if is_vector => (*a, *b) == (1, of),
            ([a, b], Layout::Plain) => (*a, *b) == (of, across),
            ([a, b], Layout::Transposed) => (*a, *b) == (across, of),
            _ => false,
        };
        if !fits {
            let expected = match stored.layout {
                _ if is_vector => format!("[{of}]"),
                Layout::Plain => format!("[{of}, {across}]"),
                Layout::Transposed => format!("[{across}, {of}]"),
            };
            let what = format!("shape of tensor `{}`", stored.name);
            return Err(Error::weights(what, expected, format!("{:?}", entry.shape)));
        }
        let turned = stored.layout == Layout::Transposed && entry.shape.len() == 2 && !is_vector;
        let format = format_of(entry)?;
        let scale = match format {
            Format::Int8 if turned => {
                return Err(Error::weights("packed int8", "stored [out, in]", "stored [in, out]"));
            }
            Format::Int8 => Some(self.scale(entry, if is_vector { 1 } else { of })?),
            _ => None,
        };
        let piece = |rows| Piece { entry: number, format, turned, scale, rows };
        Ok(rows.into_iter().map(piece).collect())
    }

    /// The scales of packed integers: one a row.
    fn scale(&self, of: &Entry, rows: usize) -> Result<usize> {
        let number = self.number(&format!("{}.scale", of.name))?;
        let scale = &self.entries[number];
        if scale.dtype != Dtype::F32 {
            let what = format!("dtype of tensor `{}`", scale.name);
            return Err(Error::weights(what, "F32", format!("{:?}", scale.dtype)));
        }
        if scale.shape != [rows] {
            let what = format!("shape of tensor `{}`", scale.name);
            return Err(Error::weights(what, format!("[{rows}]"), format!("{:?}", scale.shape)));
        }
        Ok(number)
    }

    /// Reads a part of a weight, see [`Found::parts`]: rows `[.., inner]`, or all of a vector.
    pub async fn read(&mut self, found: &Found, rows: Range<usize>) -> Result<Matrix> {
        let info = &found.info;
        match &info.source {
            Source::Sinusoids => return Ok(Matrix::F32(tables::sinusoids(info.out, info.inner))),
            Source::Frequencies(frequencies) => return Ok(Matrix::F32(frequencies.clone())),
            Source::Slopes => return Ok(Matrix::F32(tables::slopes(info.out, info.inner))),
            Source::Buckets { buckets, max_distance, bidirectional, .. } => {
                let table = self.rows(&found.pieces, found.across, rows).await?;
                let table = to_f32(table.unwrap_or_else(|| zeros(buckets * info.out)));
                let reach =
                    |distance| tables::bucket(distance, *buckets, *max_distance, *bidirectional);
                let spread = tables::spread(&table, info.out, info.inner, reach);
                return Ok(Matrix::F32(spread));
            }
            Source::Stored(_) => {}
        }
        let read = self.rows(&found.pieces, found.across, rows.clone()).await?;
        let read = read.unwrap_or_else(|| zeros(rows.len() * found.across));
        Ok(if found.format == Format::F32 { Matrix::F32(to_f32(read)) } else { read })
    }

    /// Rows of these pieces one below the other; nothing where there are no pieces.
    async fn rows(
        &mut self,
        pieces: &[Piece],
        across: usize,
        rows: Range<usize>,
    ) -> Result<Option<Matrix>> {
        let (mut all, mut first) = (None, 0);
        for piece in pieces {
            let (start, end) = (rows.start.max(first), rows.end.min(first + piece.rows.len()));
            if start < end {
                let at = |row: usize| piece.rows.start + row - first;
                let part = self.piece(piece, across, at(start)..at(end)).await?;
                all = Some(match all {
                    None => part,
                    Some(all) => concatenate(all, part),
                });
            }
            first += piece.rows.len();
        }
        Ok(all)
    }

    /// Rows of a stored tensor.
    async fn piece(&mut self, piece: &Piece, across: usize, rows: Range<usize>) -> Result<Matrix> {
        let entry = &self.entries[piece.entry];
        let size = piece.format.bytes();
        let bytes = match piece.turned {
            true => {
                if self.turned.as_ref().is_none_or(|(number, _)| *number != piece.entry) {
                    // What is not needed any more goes before what is needed now comes.
                    self.turned = None;
                    let bytes = self.read_bytes(entry.file, entry.at.clone()).await?;
                    self.turned = Some((piece.entry, bytes));
                }
                let stored = self.turned.as_ref().map_or(&[][..], |(_, bytes)| bytes);
                let out = *entry.shape.last().unwrap_or(&1);
                turn(piece.format, stored, out, rows.clone())
            }
            false => {
                let at = |row: usize| entry.at.start + row as u64 * (across * size) as u64;
                self.read_bytes(entry.file, at(rows.start)..at(rows.end)).await?
            }
        };
        let mut matrix = of_bytes(piece.format, &bytes);
        let mut checked = &entry.name;
        if let (Matrix::Int8 { scales, .. }, Some(scale)) = (&mut matrix, piece.scale) {
            let scale = &self.entries[scale];
            let wanted = if scale.shape == [1] { 0..1 } else { rows.clone() };
            let at = |row: usize| scale.at.start + 4 * row as u64;
            let bytes = self.read_bytes(scale.file, at(wanted.start)..at(wanted.end)).await?;
            *scales = to_f32(of_bytes(Format::F32, &bytes));
            checked = &scale.name;
        }
        if let Some(index) = first_not_finite(&matrix) {
            let what = format!("tensor `{checked}`");
            // Of packed int8 it is one of the scales, which is one a row.
            let across = if matches!(matrix, Matrix::Int8 { .. }) { 1 } else { across.max(1) };
            let got = format!("NaN or infinity in row {}", rows.start + index / across);
            return Err(Error::weights(what, "finite numbers", got));
        }
        Ok(matrix)
    }

    /// Bytes of a file, asked for in parts of a bounded size.
    async fn read_bytes(&self, file: usize, at: Range<u64>) -> Result<Vec<u8>> {
        let file = &self.files[file];
        if at.end - at.start <= TOGETHER as u64 {
            return file.read(at).await;
        }
        let mut bytes = Vec::with_capacity((at.end - at.start) as usize);
        for start in at.clone().step_by(TOGETHER) {
            bytes.extend(file.read(start..at.end.min(start + TOGETHER as u64)).await?);
        }
        Ok(bytes)
    }

    fn number(&self, name: &str) -> Result<usize> {
        self.numbers.get(name).copied().ok_or_else(|| {
            let got = format!("{} tensors without it", self.entries.len());
            Error::weights(format!("tensor `{name}`"), "in the weights", got)
        })
    }
}

fn format_of(entry: &Entry) -> Result<Format> {
    match entry.dtype {
        Dtype::F32 => Ok(Format::F32),
        Dtype::F16 => Ok(Format::F16),
        Dtype::BF16 => Ok(Format::Bf16),
        Dtype::I8 => Ok(Format::Int8),
        other => {
            let what = format!("dtype of tensor `{}`", entry.name);
            Err(Error::weights(what, "F32, F16, BF16 or I8", format!("{other:?}")))
        }
    }
}

fn zeros(count: usize) -> Matrix {
    Matrix::F32(vec![0.0; count])
}
