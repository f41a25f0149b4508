//! The header of a safetensors file, read and checked before anything else of it.
//!
//! By us, since the `safetensors` crate counts bits in `usize`: in WebAssembly, where that has 32 of them, it
//! refuses a table of 512 MB, and files of 4 GB.

use std::collections::{HashMap, HashSet};
use std::fmt;

use safetensors::Dtype;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

use super::{Entry, ReadAt};
use crate::error::{Error, Result, one_line};

/// The most bytes of a header that the format allows.
const MOST: u64 = 100_000_000;

/// The tensors of the file of this number. They must lie one behind the other, and end where the file ends.
pub async fn header(number: usize, name: &str, file: &dyn ReadAt) -> Result<Vec<Entry>> {
    let bytes = file.bytes();
    let broken = |got: fmt::Arguments<'_>| {
        let got = format!("{got} in {bytes} bytes");
        Error::weights(format!("`{name}`"), "a complete safetensors file", got)
    };
    if bytes < 8 {
        return Err(broken(format_args!("no length of a header")));
    }
    let length = file.read(0..8).await?;
    let length = length.iter().rev().fold(0u64, |all, byte| all << 8 | u64::from(*byte));
    if length > MOST {
        return Err(broken(format_args!("a header of {length}, too large")));
    }
    if length > bytes - 8 {
        return Err(broken(format_args!("a header of {length}")));
    }
    let header = file.read(8..8 + length).await?;
    let Header(mut tensors) = serde_json::from_slice(&header).map_err(|error| {
        broken(format_args!(
            "a header that is no JSON of tensors ({})",
            one_line(&error.to_string())
        ))
    })?;

    tensors.sort_by_key(|(_, tensor)| tensor.data_offsets);
    let first = 8 + length;
    let data = bytes - first;
    let mut end = 0;
    let mut entries = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors {
        let (from, to) = tensor.data_offsets;
        let shown = name.escape_debug();
        if from != end {
            return Err(broken(format_args!("tensor `{shown}` at offset {from}, not {end},")));
        }
        if to < from || to > data {
            let got = format_args!(
                "tensor `{shown}` from offset {from} to {to}, {data} bytes of tensors"
            );
            return Err(broken(got));
        }
        if Some(to - from) != tensor.bytes() {
            let Tensor { dtype, shape, .. } = &tensor;
            let got = format_args!("tensor `{shown}`, {dtype:?} {shape:?}, of {} bytes", to - from);
            return Err(broken(got));
        }
        let lengths: Option<Vec<_>> =
            tensor.shape.iter().map(|n| usize::try_from(*n).ok()).collect();
        let Some(shape) = lengths else {
            return Err(broken(format_args!("tensor `{shown}` of {:?}", tensor.shape)));
        };
        entries.push(Entry {
            name,
            file: number,
            dtype: tensor.dtype,
            shape,
            at: first + from..first + to,
        });
        end = to;
    }
    if end != data {
        return Err(broken(format_args!("{end} bytes of tensors behind a header of {length}")));
    }
    Ok(entries)
}

/// What a header says of a tensor.
#[derive(Deserialize)]
struct Tensor {
    dtype: Dtype,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

impl Tensor {
    /// Bytes that its shape takes; none where no file could hold them, or where they are not whole.
    fn bytes(&self) -> Option<u64> {
        let bits = self.dtype.bitsize() as u64;
        let bits = self.shape.iter().try_fold(bits, |all, length| all.checked_mul(*length))?;
        (bits % 8 == 0).then_some(bits / 8)
    }
}

/// The tensors of a header, in which no name may stand twice: of two, readers disagree which one counts.
struct Header(Vec<(String, Tensor)>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "an object of tensors")
            }

            fn visit_map<M: MapAccess<'de>>(
                self,
                mut map: M,
            ) -> std::result::Result<Header, M::Error> {
                let (mut seen, mut tensors) = (HashSet::new(), Vec::new());
                while let Some(name) = map.next_key::<String>()? {
                    if !seen.insert(name.clone()) {
                        return Err(M::Error::custom(format!("`{}` twice", name.escape_debug())));
                    }
                    match name.as_str() {
                        "__metadata__" => {
                            drop(map.next_value::<Option<HashMap<String, String>>>()?)
                        }
                        _ => tensors.push((name, map.next_value()?)),
                    }
                }
                Ok(Header(tensors))
            }
        }
        deserializer.deserialize_map(Names)
    }
}
