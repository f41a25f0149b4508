//! Files that are read piece by piece, wherever they lie: a checkpoint may be larger than this program's memory.

use std::fs::File;
use std::future::{Future, ready};
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::pin::Pin;

use crate::error::{Error, Result};

/// The forms of weights that are read. Where a folder has several, the first counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// `NAME.safetensors`.
    Safetensors,
    /// `pytorch_model.bin`, `pytorch_model-00001-of-00002.bin`: other files of that ending hold other things.
    Torch,
}

impl Form {
    /// That of a file of this name.
    pub fn of(name: &str) -> Option<Form> {
        let of_torch = || name.strip_suffix(".bin")?.strip_prefix("pytorch_model");
        match of_torch() {
            _ if name.ends_with(".safetensors") => Some(Form::Safetensors),
            Some(part) if part.is_empty() || part.starts_with('-') => Some(Form::Torch),
            _ => None,
        }
    }

    /// The file that names the shards.
    pub fn index(self) -> &'static str {
        match self {
            Form::Safetensors => "model.safetensors.index.json",
            Form::Torch => "pytorch_model.bin.index.json",
        }
    }
}

/// Bytes on their way.
pub type Reading<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>>> + 'a>>;

/// A file of which any part can be read.
pub trait ReadAt {
    /// Its bytes.
    fn bytes(&self) -> u64;

    /// These of them; never fewer.
    fn read(&self, at: Range<u64>) -> Reading<'_>;
}

/// A file in memory.
impl ReadAt for Vec<u8> {
    fn bytes(&self) -> u64 {
        self.len() as u64
    }

    fn read(&self, at: Range<u64>) -> Reading<'_> {
        let part = self.get(at.start as usize..at.end as usize);
        let part = part.ok_or_else(|| short(&at, &format!("{} in all", self.len())));
        Box::pin(ready(part.map(<[u8]>::to_vec)))
    }
}

/// A file on disk.
#[derive(Debug)]
pub struct OnDisk {
    file: File,
    bytes: u64,
}

impl OnDisk {
    /// Opens it.
    pub fn open(path: &std::path::Path) -> std::io::Result<OnDisk> {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        Ok(OnDisk { file, bytes })
    }
}

impl ReadAt for OnDisk {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn read(&self, at: Range<u64>) -> Reading<'_> {
        let mut bytes = vec![0; (at.end - at.start) as usize];
        let mut file = &self.file;
        let read = file.seek(SeekFrom::Start(at.start)).and_then(|_| file.read_exact(&mut bytes));
        Box::pin(ready(read.map(|()| bytes).map_err(|error| short(&at, &error.to_string()))))
    }
}

fn short(at: &Range<u64>, got: &str) -> Error {
    Error::input("a file of the model", format!("bytes {} to {}", at.start, at.end), got)
}
