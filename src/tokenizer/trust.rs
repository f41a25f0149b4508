//! What the tokenizer library takes on trust in a `tokenizer.json`, checked before it sees the file.
//! There it would panic, which in WebAssembly ends every model of the page.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value as Json;

use crate::error::{Error, Kind, Result, one_line};

/// The parts of which something is taken on trust; what else is wrong is an error there as well.
#[derive(Deserialize)]
struct Parts {
    #[serde(default)]
    model: Json,
    #[serde(default)]
    normalizer: Json,
    #[serde(default)]
    pre_tokenizer: Json,
    #[serde(default)]
    post_processor: Json,
    #[serde(default)]
    decoder: Json,
}

/// Refuses a file that would bring the library down.
pub fn check(json: &[u8]) -> Result<()> {
    let parts: Parts = serde_json::from_slice(json).map_err(|error| {
        refused("`tokenizer.json`", "a tokenizer", &one_line(&error.to_string()))
    })?;
    merges(&parts.model)?;
    each(&parts.normalizer, &table)?;
    each(&parts.pre_tokenizer, &length)?;
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

/// Two pieces that a model of pairs joins: the join, the second without its prefix, is a piece of it. The library
/// copies both into room for its longest piece, and takes what it copied for text.
fn merges(model: &Json) -> Result<()> {
    let prefix = model["continuing_subword_prefix"].as_str().map_or(0, str::len);
    let mut joined = String::new();
    for merge in model["merges"].as_array().into_iter().flatten() {
        let pair = match merge {
            Json::String(line) if line.starts_with("#version") => None,
            Json::String(line) => line.split_once(' '),
            pair => pair[0].as_str().zip(pair[1].as_str()),
        };
        let Some((first, second)) = pair else { continue };
        joined.clear();
        joined.push_str(first);
        let known = second.get(prefix..).is_some_and(|rest| {
            joined.push_str(rest);
            model["vocab"].get(&joined).is_some()
        });
        if !known {
            let part = |text: &str| text.chars().take(40).collect::<String>();
            let got =
                format!("`{}` and `{}`", part(first).escape_debug(), part(second).escape_debug());
            let expected = "pairs whose join is in its vocabulary";
            return Err(refused("merges of the tokenizer", expected, &got));
        }
    }
    Ok(())
}

/// A pre-tokenizer that cuts a text every so many characters.
fn length(part: &Json) -> Result<()> {
    match part["length"].as_u64() {
        Some(0) => Err(refused("`length` of the pre-tokenizer", "1 or more", "0")),
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
