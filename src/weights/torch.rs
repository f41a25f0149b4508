//! What `torch.save` writes: the form of most checkpoints before safetensors. A pickle describes the tensors; their
//! numbers lie as they are beside it, in a zip archive, or (before version 1.6) behind it, storage after storage.
//!
//! The pickle is read by a machine that runs nothing (`pickle.rs`), and what comes of it is what a header of
//! safetensors says: names, dtypes, shapes, places. Places are held against the file before a number is read.

mod pickle;
mod zip;

use std::collections::HashMap;
use std::fmt;
use std::future::ready;
use std::ops::Range;

use safetensors::Dtype;

use super::{Entry, ReadAt, Reading};
use crate::error::{Error, Result, one_line};
use pickle::{Fault, Pickle, Storage, Tensor, Value, little_endian};
use zip::Archive;

/// The most bytes of a pickle: some 150 describe a tensor.
const MOST: u64 = 8 << 20;
/// How files before version 1.6 begin: two pickles, a number that marks them and the version of their form.
const OLDER: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.";
/// How zip archives begin.
const ZIP: &[u8] = b"PK\x03\x04";

/// A file, its number, and its name for messages.
pub struct File<'a> {
    number: usize,
    name: &'a str,
    file: &'a dyn ReadAt,
}

impl<'a> File<'a> {
    /// Apart from the rest, as in `pickle.rs`.
    #[cold]
    #[inline(never)]
    fn wrong(&self, expected: &str, got: fmt::Arguments<'_>) -> Error {
        Error::weights(format!("`{}`", self.name), expected, got.to_string())
    }

    fn cut(&self) -> Error {
        let got = format_args!("one that breaks off, of {} bytes; download it again", self.bytes());
        self.wrong("a complete file of torch.save", got)
    }

    /// What a pickle of it says.
    fn pickle<'p>(&self, bytes: &'p [u8]) -> Result<(Value<'p>, Pickle<'p>)> {
        pickle::read(bytes).map_err(|fault| match fault {
            Fault::Cut => self.cut(),
            Fault::Wrong(expected, got) => self.wrong(&expected, format_args!("{got}")),
        })
    }

    fn bytes(&self) -> u64 {
        self.file.bytes()
    }

    fn read(&self, at: Range<u64>) -> Reading<'a> {
        match at.start <= at.end && at.end <= self.bytes() {
            true => self.file.read(at),
            false => Box::pin(ready(Err(self.cut()))),
        }
    }
}

/// The tensors of the file of this number, each held against its length.
pub async fn header(number: usize, name: &str, file: &dyn ReadAt) -> Result<Vec<Entry>> {
    let file = File { number, name, file };
    let begin = file.read(0..file.bytes().min(OLDER.len() as u64)).await?;
    match begin.as_slice() {
        OLDER => older(&file).await,
        begin if begin.starts_with(ZIP) => zipped(&file).await,
        begin => {
            let begins = begin.escape_ascii();
            let got = format_args!("{} bytes that begin with `{begins}`", file.bytes());
            Err(file.wrong("a file of torch.save", got))
        }
    }
}

/// Since version 1.6: `NAME/data.pkl`, and a storage an entry, `NAME/data/KEY`.
async fn zipped(file: &File<'_>) -> Result<Vec<Entry>> {
    let archive = Archive::open(file).await?;
    if let Some(at) = archive.find(file, "byteorder").await? {
        let order = file.read(at.start..at.end.min(at.start + 6)).await?;
        if order != b"little" {
            return Err(file.wrong("little-endian numbers", format_args!("another order of bytes")));
        }
    }
    let at = archive.find(file, "data.pkl").await?.unwrap_or_default();
    if at.is_empty() {
        let got = format_args!("a zip archive without `data.pkl`");
        return Err(file.wrong("a file of torch.save", got));
    }
    if at.end - at.start > MOST {
        let got = format_args!("one of {}", at.end - at.start);
        return Err(file.wrong("a `data.pkl` of at most 8 MB", got));
    }
    let bytes = file.read(at).await?;
    let (root, pickle) = file.pickle(&bytes)?;
    if pickle.bytes != bytes.len() {
        return Err(file.wrong("a `data.pkl` of one pickle", format_args!("more behind it")));
    }
    let mut places = Vec::with_capacity(pickle.storages.len());
    for storage in &pickle.storages {
        let Some(place) = archive.find(file, &format!("data/{}", storage.key)).await? else {
            let got = format_args!("no `data/{}`", one_line(storage.key));
            return Err(file.wrong("every storage in the archive", got));
        };
        let bytes = place.end - place.start;
        if Some(bytes) != bytes_of(storage) {
            return Err(file.wrong(&described(storage), format_args!("{bytes} bytes")));
        }
        places.push(place);
    }
    entries(file, root, &pickle, &places)
}

/// Before version 1.6: pickles of the system, the tensors and the names of the storages; then these, each behind its
/// length.
async fn older(file: &File<'_>) -> Result<Vec<Entry>> {
    let mut at = OLDER.len() as u64;
    let bytes = pickle_at(file, at).await?;
    let (system, pickle) = file.pickle(&bytes)?;
    let is_little =
        |(key, value)| matches!((key, value), (Value::Text("little_endian"), Value::Truth(true)));
    if !matches!(system, Value::Dict(system) if pickle.pairs(system).any(is_little)) {
        return Err(file.wrong("little-endian numbers", format_args!("another order of bytes")));
    }
    at += pickle.bytes as u64;
    let bytes = pickle_at(file, at).await?;
    let (root, pickle) = file.pickle(&bytes)?;
    at += pickle.bytes as u64;
    let bytes = pickle_at(file, at).await?;
    let (keys, names) = file.pickle(&bytes)?;
    at += names.bytes as u64;
    let keys = if let Value::List(keys) = keys { names.items(keys) } else { &[] };
    let mut places = vec![0..0; pickle.storages.len()];
    for key in keys {
        let key = if let Value::Text(key) = *key { key } else { key.kind() };
        let number = pickle.keys.get(key).copied().unwrap_or(usize::MAX);
        let Some((storage, place)) = pickle.storages.get(number).zip(places.get_mut(number)) else {
            let got = format_args!("`{}`, of no tensor", one_line(key));
            return Err(file.wrong("the storages of its tensors", got));
        };
        if place.end > 0 {
            return Err(file.wrong("every storage once", format_args!("`{}` twice", one_line(key))));
        }
        let start = at.saturating_add(8);
        let count = little_endian(&file.read(at..start).await?);
        if count != storage.count {
            return Err(file.wrong(&described(storage), format_args!("{count} numbers")));
        }
        let end = bytes_of(storage).and_then(|bytes| start.checked_add(bytes));
        let end = end.filter(|end| *end <= file.bytes()).ok_or_else(|| file.cut())?;
        *place = start..end;
        at = end;
    }
    if at != file.bytes() {
        let got = format_args!("{} bytes behind the last storage", file.bytes() - at);
        return Err(file.wrong("nothing but its storages", got));
    }
    if let Some((storage, _)) = pickle.storages.iter().zip(&places).find(|(_, at)| at.end == 0) {
        let got = format_args!("no storage `{}`", one_line(storage.key));
        return Err(file.wrong("the storages of its tensors", got));
    }
    entries(file, root, &pickle, &places)
}

/// The bytes of a pickle of which only it tells where it ends: more of them until it does.
fn pickle_at<'f>(file: &'f File<'_>, start: u64) -> Reading<'f> {
    Box::pin(async move {
        let mut length = 1 << 16;
        loop {
            let end = file.bytes().min(start + length);
            let bytes = file.read(start..end).await?;
            if end == file.bytes()
                || length == MOST
                || !matches!(pickle::read(&bytes), Err(Fault::Cut))
            {
                return Ok(bytes);
            }
            length = MOST.min(4 * length);
        }
    })
}

fn bytes_of(storage: &Storage<'_>) -> Option<u64> {
    storage.count.checked_mul(size_of(storage.dtype))
}

fn size_of(dtype: Dtype) -> u64 {
    dtype.bitsize() as u64 / 8
}

fn described(storage: &Storage<'_>) -> String {
    let Storage { key, dtype, count } = storage;
    format!("storage `{}` of {count} numbers of {dtype:?}", one_line(key))
}

/// The tensors by their names, where each storage lies at its place.
fn entries(
    file: &File<'_>,
    root: Value<'_>,
    pickle: &Pickle<'_>,
    places: &[Range<u64>],
) -> Result<Vec<Entry>> {
    let Value::Dict(root) = root else {
        let got = format_args!("{}", root.kind());
        return Err(file.wrong("a dict of tensors by their names", got));
    };
    let (mut all, mut numbers) = (Vec::new(), HashMap::new());
    for (key, value) in pickle.pairs(root) {
        let Value::Text(name) = key else {
            return Err(file.wrong("names that are strings", format_args!("{}", key.kind())));
        };
        let wrong = |expected: &str, got: fmt::Arguments<'_>| {
            file.wrong(expected, format_args!("{got}, tensor `{}`", one_line(name)))
        };
        // Now, not when all are there: a long name that comes again and again would fill the memory.
        if numbers.insert(name.to_string(), all.len()).is_some() {
            return Err(wrong("every tensor once", format_args!("two of one name")));
        }
        let Value::Tensor(tensor) = value else {
            return Err(wrong("tensors by their names", format_args!("{}", value.kind())));
        };
        let tensor = pickle.tensors.get(tensor).ok_or_else(|| file.cut())?;
        let place = pickle.storages.get(tensor.storage).zip(places.get(tensor.storage));
        let (storage, place) = place.ok_or_else(|| file.cut())?;
        let Tensor { offset, shape, strides, .. } = tensor;
        let Some((lengths, count)) = counted(shape) else {
            return Err(wrong("a shape that can be counted", format_args!("{shape:?}")));
        };
        if count > 0 && !is_row_after_row(tensor) {
            let got =
                format_args!("strides {strides:?} of {shape:?} (`contiguous()` before saving)");
            return Err(wrong("numbers that lie row after row", got));
        }
        let end = offset.checked_add(count).filter(|end| *end <= storage.count);
        let Some(end) = end else {
            let got = format_args!("{count} from number {offset} on of {}", storage.count);
            return Err(wrong("numbers within their storage", got));
        };
        let at = |number: u64| place.start + number * size_of(storage.dtype);
        all.push(Entry {
            name: name.to_string(),
            file: file.number,
            dtype: storage.dtype,
            shape: lengths,
            at: at(*offset)..at(end),
        });
    }
    Ok(all)
}

/// A shape, and how many numbers it has.
fn counted(shape: &[u64]) -> Option<(Vec<usize>, u64)> {
    let (mut lengths, mut count) = (Vec::with_capacity(shape.len()), 1u64);
    for length in shape {
        lengths.push(usize::try_from(*length).ok()?);
        count = count.checked_mul(*length)?;
    }
    Some((lengths, count))
}

fn is_row_after_row(tensor: &Tensor) -> bool {
    let mut count = 1u64;
    tensor.shape.len() == tensor.strides.len()
        && tensor.shape.iter().zip(&tensor.strides).rev().all(|(length, stride)| {
            let fits = *length == 1 || *stride == count;
            count = count.saturating_mul(*length);
            fits
        })
}
