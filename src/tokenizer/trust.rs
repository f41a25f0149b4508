//! What the tokenizer library takes on trust in a `tokenizer.json`, checked before it sees the file.
//! There it would panic, which in WebAssembly ends every model of the page.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value as Json;

use crate::error::{Error, Kind, Result, one_line};

/// The parts that are not the model; what is wrong in the model is an error there as well.
#[derive(Deserialize)]
struct Parts {
    #[serde(default)]
    normalizer: Json,
    #[serde(default)]
    post_processor: Json,
    #[serde(default)]
    decoder: Json,
    /// Read so that broken JSON in it is found here.
    #[serde(default, rename = "pre_tokenizer")]
    _pre_tokenizer: Json,
}

/// Refuses a file that would bring the library down.
pub fn check(json: &[u8]) -> Result<()> {
    let parts: Parts = serde_json::from_slice(json).map_err(|error| {
        refused("`tokenizer.json`", "a tokenizer", &one_line(&error.to_string()))
    })?;
    each(&parts.normalizer, &table)?;
    each(&parts.post_processor, &template)?;
    each(&parts.decoder, &strip)
}

/// Whether a part, or any part inside it, is refused: sequences nest.
fn each(json: &Json, check: &dyn Fn(&Json) -> Result<()>) -> Result<()> {
    match json {
        Json::Array(parts) => parts.iter().try_for_each(|part| each(part, check)),
        Json::Object(fields) => {
            check(json)?;
            fields.values().try_for_each(|field| each(field, check))
        }
        _ => Ok(()),
    }
}

/// A normalizer that carries SentencePiece's table.
fn table(part: &Json) -> Result<()> {
    if part["type"] != "Precompiled" && part.get("precompiled_charsmap").is_none() {
        return Ok(());
    }
    let table = part["precompiled_charsmap"].as_str().and_then(|text| STANDARD.decode(text).ok());
    match table.as_deref().and_then(sound) {
        Some(()) => Ok(()),
        None => {
            let got = "one that breaks off or points outside itself";
            Err(refused("`precompiled_charsmap`", "a table of SentencePiece", got))
        }
    }
}

/// A template may name only tokens that it lists, and a second text only where there is one.
fn template(part: &Json) -> Result<()> {
    for name in ["single", "pair"] {
        for piece in part[name].as_array().into_iter().flatten() {
            let id = piece["SpecialToken"]["id"].as_str();
            if let Some(id) = id.filter(|id| part["special_tokens"].get(id).is_none()) {
                let got = format!("`{}`", id.escape_debug());
                return Err(refused("template of `tokenizer.json`", "its own tokens", &got));
            }
            if name == "single" && piece["Sequence"]["id"] == "B" {
                let expected = "one text in `single`";
                return Err(refused("template of `tokenizer.json`", expected, "a second one"));
            }
        }
    }
    Ok(())
}

/// A decoder that strips more from an end than a token has.
fn strip(part: &Json) -> Result<()> {
    match &part["stop"] {
        Json::Null => Ok(()),
        stop if stop.as_u64() == Some(0) => Ok(()),
        stop => {
            let got = stop.to_string().chars().take(40).collect::<String>();
            Err(refused("`stop` of the decoder of `tokenizer.json`", "0", &got))
        }
    }
}

fn refused(what: &str, expected: &str, got: &str) -> Error {
    Error::new(Kind::Tokenizer, what, expected, got)
}

/// Whether every walk through a table of replacements stays inside it: a length, a trie of so many
/// bytes as a double array of u32, and the replacements, each ended by a 0.
fn sound(table: &[u8]) -> Option<()> {
    let (length, rest) = table.split_at_checked(4)?;
    let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
    let (trie, replacements) = rest.split_at_checked(length / 4 * 4)?;
    let replacements = std::str::from_utf8(replacements).ok()?;
    let trie: Vec<usize> = trie
        .chunks_exact(4)
        .map(|c| u32::from_le_bytes([c[0], c[1], c[2], c[3]]) as usize)
        .collect();
    let offset = |unit: usize| (unit >> 10) << ((unit & (1 << 9)) >> 6);
    let label = |unit: usize| unit & ((1 << 31) | 0xff);
    let has_leaf = |unit: usize| unit >> 8 & 1 == 1;
    let root = offset(*trie.first()?);
    let mut seen = HashSet::from([root]);
    let mut waiting = vec![root];
    while let Some(node) = waiting.pop() {
        for byte in 1..=0xff {
            let place = node ^ byte;
            let unit = *trie.get(place)?;
            if label(unit) != byte {
                continue;
            }
            let next = place ^ offset(unit);
            if has_leaf(unit) {
                let at = trie.get(next)? & ((1 << 31) - 1);
                replacements.get(at..)?;
            }
            if seen.insert(next) {
                waiting.push(next);
            }
        }
    }
    Some(())
}
