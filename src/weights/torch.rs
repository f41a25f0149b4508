//! What `torch.save` writes: the form of most checkpoints before safetensors. A pickle describes the tensors; their
//! numbers lie as they are beside it, in a zip archive, or (before version 1.6) behind it, storage after storage.
//!
//! The pickle is read by a machine that runs nothing (`pickle.rs`), and what comes of it is what a header of
//! safetensors says: names, dtypes, shapes, places. Places are held against the file before a number is read.

mod pickle;
mod zip;

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use safetensors::Dtype;

use super::{Entry, ReadAt};
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

impl File<'_> {
    fn wrong(&self, expected: impl Into<String>, got: impl Into<String>) -> Error {
        Error::weights(format!("`{}`", self.name), expected, got)
    }

    fn cut(&self) -> Error {
        let got = format!("one that breaks off, of {} bytes; download it again", self.bytes());
        self.wrong("a complete file of torch.save", got)
    }

    fn faulty(&self, fault: Fault) -> Error {
        match fault {
            Fault::Cut => self.cut(),
            Fault::Wrong(expected, got) => self.wrong(expected, got),
        }
    }

    fn bytes(&self) -> u64 {
        self.file.bytes()
    }

    async fn read(&self, at: Range<u64>) -> Result<Vec<u8>> {
        match at.start <= at.end && at.end <= self.bytes() {
            true => self.file.read(at).await,
            false => Err(self.cut()),
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
            let got = format!("{} bytes that begin with `{}`", file.bytes(), begin.escape_ascii());
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
            return Err(file.wrong("little-endian numbers", "another order of bytes"));
        }
    }
    let at = archive.find(file, "data.pkl").await?;
    let at =
        at.ok_or_else(|| file.wrong("a file of torch.save", "a zip archive without `data.pkl`"))?;
    if at.end - at.start > MOST {
        let got = format!("one of {}", at.end - at.start);
        return Err(file.wrong(format!("a `data.pkl` of at most {MOST} bytes"), got));
    }
    let bytes = file.read(at.clone()).await?;
    let (root, pickle) = pickle::read(&bytes).map_err(|fault| file.faulty(fault))?;
    if pickle.bytes != bytes.len() {
        return Err(file.wrong("a `data.pkl` of one pickle", "more behind it"));
    }
    let mut places = Vec::with_capacity(pickle.storages.len());
    for storage in &pickle.storages {
        let place = archive.find(file, &format!("data/{}", storage.key)).await?;
        let place = place.ok_or_else(|| {
            let got = format!("no `data/{}`", one_line(storage.key));
            file.wrong("every storage in the archive", got)
        })?;
        if Some(place.end - place.start) != bytes_of(storage) {
            let got = format!("{} bytes", place.end - place.start);
            return Err(file.wrong(described(storage), got));
        }
        places.push(place);
    }
    let mut all: Vec<&Range<u64>> = places.iter().chain([&at]).collect();
    all.sort_by_key(|place| (place.start, place.end));
    if all.iter().zip(all.iter().skip(1)).any(|(a, b)| a.end > b.start) {
        return Err(file.wrong("entries that lie apart", "two that overlap"));
    }
    entries(file, root, &pickle, &places)
}

/// Before version 1.6: pickles of the system, the tensors and the names of the storages; then these, each behind its
/// length.
async fn older(file: &File<'_>) -> Result<Vec<Entry>> {
    let mut at = OLDER.len() as u64;
    let bytes = pickle_at(file, at).await?;
    let (system, pickle) = pickle::read(&bytes).map_err(|fault| file.faulty(fault))?;
    let Value::Dict(system) = system else {
        return Err(file.wrong("what the system was that wrote it", system.kind()));
    };
    let is_little =
        |(key, value)| matches!((key, value), (Value::Text("little_endian"), Value::Truth(true)));
    if !pickle.pairs(system).any(is_little) {
        return Err(file.wrong("little-endian numbers", "another order of bytes"));
    }
    at += pickle.bytes as u64;
    let bytes = pickle_at(file, at).await?;
    let (root, pickle) = pickle::read(&bytes).map_err(|fault| file.faulty(fault))?;
    at += pickle.bytes as u64;
    let bytes = pickle_at(file, at).await?;
    let (keys, names) = pickle::read(&bytes).map_err(|fault| file.faulty(fault))?;
    at += names.bytes as u64;
    let Value::List(keys) = keys else {
        return Err(file.wrong("a list of its storages", keys.kind()));
    };
    let mut places: HashMap<&str, Range<u64>> = HashMap::new();
    let numbers: HashMap<&str, &Storage<'_>> =
        pickle.storages.iter().map(|storage| (storage.key, storage)).collect();
    for key in names.items(keys) {
        let Value::Text(key) = *key else {
            return Err(file.wrong("names of its storages", key.kind()));
        };
        let storage = numbers.get(key).ok_or_else(|| {
            let got = format!("`{}`, of no tensor", one_line(key));
            file.wrong("the storages of its tensors", got)
        })?;
        let start = at.checked_add(8).ok_or_else(|| file.cut())?;
        let end = bytes_of(storage).and_then(|bytes| start.checked_add(bytes));
        let end = end.filter(|end| *end <= file.bytes()).ok_or_else(|| file.cut())?;
        let count = little_endian(&file.read(at..start).await?);
        if count != storage.count {
            return Err(file.wrong(described(storage), format!("{count} numbers")));
        }
        if places.insert(key, start..end).is_some() {
            return Err(file.wrong("every storage once", format!("`{}` twice", one_line(key))));
        }
        at = end;
    }
    if at != file.bytes() {
        let got = format!("{} bytes behind the last storage", file.bytes() - at);
        return Err(file.wrong("nothing but its storages", got));
    }
    let place = |storage: &Storage<'_>| {
        places.get(storage.key).cloned().ok_or_else(|| {
            let got = format!("no storage `{}`", one_line(storage.key));
            file.wrong("the storages of its tensors", got)
        })
    };
    let places = pickle.storages.iter().map(place).collect::<Result<Vec<_>>>()?;
    entries(file, root, &pickle, &places)
}

/// The bytes of a pickle of which only it tells where it ends: more of them until it does.
async fn pickle_at(file: &File<'_>, start: u64) -> Result<Vec<u8>> {
    let mut length = 1 << 16;
    loop {
        let end = file.bytes().min(start + length);
        let bytes = file.read(start..end).await?;
        match pickle::read(&bytes) {
            Err(Fault::Cut) if end == file.bytes() => return Err(file.cut()),
            Err(Fault::Cut) if length < MOST => length = MOST.min(4 * length),
            Err(Fault::Cut) => {
                let got = "one that goes on";
                return Err(file.wrong(format!("a pickle of at most {MOST} bytes"), got));
            }
            Err(fault) => return Err(file.faulty(fault)),
            Ok(_) => return Ok(bytes),
        }
    }
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
        return Err(file.wrong("a dict of tensors by their names", root.kind()));
    };
    let mut seen = HashSet::new();
    let mut all = Vec::new();
    for (key, value) in pickle.pairs(root) {
        let Value::Text(name) = key else {
            return Err(file.wrong("names that are strings", key.kind()));
        };
        let shown = || format!("tensor `{}` of `{}`", one_line(name), file.name);
        if !seen.insert(name) {
            let what = format!("header of `{}`", file.name);
            return Err(Error::weights(
                what,
                "every tensor once",
                format!("`{}` twice", one_line(name)),
            ));
        }
        let tensor = match value {
            Value::Tensor(tensor) => pickle.tensors.get(tensor),
            _ => None,
        };
        let tensor = tensor.ok_or_else(|| Error::weights(shown(), "a tensor", value.kind()))?;
        let place = pickle.storages.get(tensor.storage).zip(places.get(tensor.storage));
        let (storage, place) = place.ok_or_else(|| file.cut())?;
        let (shape, count) = row_after_row(tensor)
            .map_err(|(expected, got)| Error::weights(shown(), expected, got))?;
        let end = tensor.offset.checked_add(count).filter(|end| *end <= storage.count);
        let end = end.ok_or_else(|| {
            let got = format!("{count} from number {} on of {}", tensor.offset, storage.count);
            Error::weights(shown(), "numbers within its storage", got)
        })?;
        let at = |number: u64| place.start + number * size_of(storage.dtype);
        let at = at(tensor.offset)..at(end);
        let dtype = storage.dtype;
        all.push(Entry { name: name.to_string(), file: file.number, dtype, shape, at });
    }
    Ok(all)
}

/// The shape of a tensor and how many numbers it has, which must lie row after row.
fn row_after_row(tensor: &Tensor) -> Result<(Vec<usize>, u64), (&'static str, String)> {
    let Tensor { shape, strides, .. } = tensor;
    let mut count = 1u64;
    let mut plain = shape.len() == strides.len();
    for (length, stride) in shape.iter().zip(strides).rev() {
        plain &= *length == 1 || *stride == count;
        let product = count.checked_mul(*length);
        count = product.ok_or_else(|| ("a shape that can be counted", format!("{shape:?}")))?;
    }
    if !plain && count > 0 {
        let got = format!("strides {strides:?} of shape {shape:?}; save it after `contiguous()`");
        return Err(("numbers that lie row after row", got));
    }
    let lengths =
        shape.iter().map(|length| usize::try_from(*length)).collect::<Result<Vec<_>, _>>();
    Ok((lengths.map_err(|_| ("a shape that can be counted", format!("{shape:?}")))?, count))
}
