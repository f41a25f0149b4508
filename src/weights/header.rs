//! The header of a safetensors file, read and checked before anything else of it.

use std::collections::HashSet;
use std::fmt;

use safetensors::SafeTensorError;
use safetensors::tensor::{Metadata, TensorInfo};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use super::{Entry, ReadAt};
use crate::error::{Error, Result, one_line};

/// The most bytes of a header: what the `safetensors` crate allows.
const MOST: u64 = 100_000_000;

/// The tensors of the file of this number. They must end where the file ends.
pub async fn header(number: usize, name: &str, file: &dyn ReadAt) -> Result<Vec<Entry>> {
    let bytes = file.bytes();
    let broken = |error: SafeTensorError| {
        let got = format!("{} in {bytes} bytes", one_line(&error.to_string()));
        Error::weights(format!("`{name}`"), "a complete safetensors file", got)
    };
    if bytes < 8 {
        return Err(broken(SafeTensorError::HeaderTooSmall));
    }
    let length = file.read(0..8).await?;
    let length = length.iter().rev().fold(0u64, |all, byte| all << 8 | u64::from(*byte));
    if length > MOST {
        return Err(broken(SafeTensorError::HeaderTooLarge));
    }
    if length > bytes - 8 {
        return Err(broken(SafeTensorError::InvalidHeaderLength));
    }
    let header = file.read(8..8 + length).await?;
    let metadata: Metadata = serde_json::from_slice(&header)
        .map_err(|error| broken(SafeTensorError::InvalidHeaderDeserialization(error)))?;
    serde_json::from_slice::<Distinct>(&header).map_err(|error| {
        let what = format!("header of `{name}`");
        Error::weights(what, "every tensor once", one_line(&error.to_string()))
    })?;
    if 8 + length + metadata.data_len() as u64 != bytes {
        return Err(broken(SafeTensorError::MetadataIncompleteBuffer));
    }
    let first = 8 + length;
    let tensors = metadata.tensors();
    let entry = |(name, info): (&String, &&TensorInfo)| Entry {
        name: name.clone(),
        file: number,
        dtype: info.dtype,
        shape: info.shape.clone(),
        at: first + info.data_offsets.0 as u64..first + info.data_offsets.1 as u64,
    };
    Ok(tensors.iter().map(entry).collect())
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
