//! The index of a checkpoint in several files: which shard has which tensor.

use std::collections::BTreeMap;

use super::Checkpoint;
use crate::error::{Error, Result};

/// What it says, and its name for messages.
#[derive(Debug)]
pub struct Index {
    name: String,
    map: BTreeMap<String, String>,
}

impl Index {
    /// Reads it.
    pub fn read(name: String, bytes: &[u8]) -> Result<Index> {
        #[derive(serde::Deserialize)]
        struct File {
            weight_map: BTreeMap<String, String>,
        }
        match serde_json::from_slice(bytes) {
            Ok(File { weight_map: map }) => Ok(Index { name, map }),
            Err(error) => {
                Err(Error::weights(format!("`{name}`"), "a `weight_map`", error.to_string()))
            }
        }
    }

    /// Every shard that it names must be there.
    pub fn check_shards<F>(&self, files: &[(String, F)]) -> Result<()> {
        let is_there = |shard: &String| files.iter().any(|(name, _)| name == shard);
        match self.map.values().find(|shard| !is_there(shard)) {
            None => Ok(()),
            Some(shard) => {
                Err(self
                    .wrong("every shard in the folder", format!("no `{}`", shard.escape_debug())))
            }
        }
    }

    /// Index and shards must speak of the same tensors: else files of two models lie together.
    pub fn check_tensors(&self, checkpoint: &Checkpoint) -> Result<()> {
        let expected = "the tensors of the shards";
        if let Some(tensor) = self.map.keys().find(|tensor| !checkpoint.has(tensor)) {
            let got = format!("no tensor `{}` in the shards", tensor.escape_debug());
            return Err(self.wrong(expected, got));
        }
        if let Some(tensor) = checkpoint.names().find(|tensor| !self.map.contains_key(*tensor)) {
            let got = format!("no entry for `{}`", tensor.escape_debug());
            return Err(self.wrong(expected, got));
        }
        Ok(())
    }

    fn wrong(&self, expected: &str, got: String) -> Error {
        Error::weights(format!("`{}`", self.name), expected, got)
    }
}
