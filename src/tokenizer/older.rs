//! A `tokenizer.json` made from the files that older checkpoints have in its place: `vocab.txt`,
//! `vocab.json` with `merges.txt`, or `spiece.model`. Settings come from `tokenizer_config.json`.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use crate::error::{Error, Kind, Result};

/// The files of a model folder, by name.
pub type Files<'a> = &'a dyn Fn(&str) -> Option<&'a [u8]>;

/// The names of the files that are looked for, for a message that says what is missing.
pub const NAMES: &str =
    "`tokenizer.json`, `vocab.txt`, `vocab.json` with `merges.txt`, or `spiece.model`";

/// A `tokenizer.json`, or `None` where none of the older files is there.
pub fn tokenizer_json(files: Files<'_>) -> Result<Option<Vec<u8>>> {
    let settings = match files("tokenizer_config.json") {
        Some(bytes) => parse("tokenizer_config.json", bytes)?,
        None => Json::Null,
    };
    let json = if let Some(vocabulary) = files("vocab.txt") {
        word_pieces(text("vocab.txt", vocabulary)?, &settings)
    } else if let (Some(vocabulary), Some(merges)) = (files("vocab.json"), files("merges.txt")) {
        let vocabulary = parse("vocab.json", vocabulary)?;
        byte_pairs(&vocabulary, text("merges.txt", merges)?, &settings)?
    } else if let Some(model) = files("spiece.model") {
        sentence_pieces(model, &settings)?
    } else {
        return Ok(None);
    };
    Ok(Some(json.to_string().into_bytes()))
}

/// BERT's: words, then the longest pieces that the vocabulary has.
fn word_pieces(vocabulary: &str, settings: &Json) -> Json {
    // A line is a piece; its number is the id.
    let lines = vocabulary.lines().map(|line| line.trim_end_matches('\r'));
    let ids: BTreeMap<&str, usize> = lines.enumerate().map(|(id, piece)| (piece, id)).collect();
    let is_on = |name: &str, default: bool| settings[name].as_bool().unwrap_or(default);
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
    let post = match (ids.get("[CLS]"), ids.get("[SEP]")) {
        (Some(cls), Some(sep)) => {
            json!({ "type": "BertProcessing", "cls": ["[CLS]", cls], "sep": ["[SEP]", sep] })
        }
        _ => Json::Null,
    };
    json!({
        "version": "1.0",
        "added_tokens": added(special.iter().filter_map(|name| Some((*name, *ids.get(name)?)))),
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": true,
            "handle_chinese_chars": is_on("tokenize_chinese_chars", true),
            "strip_accents": settings["strip_accents"].as_bool(),
            "lowercase": is_on("do_lower_case", true),
        },
        "pre_tokenizer": { "type": "BertPreTokenizer" },
        "post_processor": post,
        "decoder": { "type": "WordPiece", "prefix": "##", "cleanup": true },
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": ids,
        },
    })
}

/// GPT-2's: bytes, joined in the order of the merges. RoBERTa and BART put `<s>` and `</s>` around.
fn byte_pairs(vocabulary: &Json, merges: &str, settings: &Json) -> Result<Json> {
    let Some(ids) = vocabulary.as_object() else {
        return Err(broken("vocab.json", "an object of pieces", "another"));
    };
    let merges: Vec<&str> = merges
        .lines()
        .map(|line| line.trim_end_matches('\r'))
        .filter(|line| !line.is_empty() && !line.starts_with("#version"))
        .collect();
    let prefix = settings["add_prefix_space"].as_bool().unwrap_or(false);
    let id = |name: &str| ids.get(name).and_then(Json::as_u64).map(|id| id as usize);
    let special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "<|endoftext|>"];
    let mut added = added(special.iter().filter_map(|name| Some((*name, id(name)?))));
    for token in added.as_array_mut().into_iter().flatten() {
        // A blank stands for its word and the space before it.
        token["lstrip"] = (token["content"] == "<mask>").into();
    }
    let post = match (id("<s>"), id("</s>")) {
        (Some(start), Some(end)) => json!({
            "type": "RobertaProcessing",
            "cls": ["<s>", start],
            "sep": ["</s>", end],
            "trim_offsets": true,
            "add_prefix_space": prefix,
        }),
        _ => Json::Null,
    };
    let bytes = |prefix: bool| {
        json!({
            "type": "ByteLevel",
            "add_prefix_space": prefix,
            "trim_offsets": true,
            "use_regex": true,
        })
    };
    Ok(json!({
        "version": "1.0",
        "added_tokens": added,
        "pre_tokenizer": bytes(prefix),
        "post_processor": post,
        "decoder": bytes(true),
        "model": {
            "type": "BPE",
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": false,
            "vocab": vocabulary,
            "merges": merges,
        },
    }))
}

/// T5's: the pieces that make a text most probable. The file is a protocol buffer; what is read of it
/// are its pieces, the kind of its model and the table by which it normalises.
fn sentence_pieces(model: &[u8], settings: &Json) -> Result<Json> {
    let bad = || broken("spiece.model", "a SentencePiece model", "something else");
    let mut pieces: Vec<(String, f64)> = Vec::new();
    let (mut unknown, mut charsmap, mut squeezes) = (None, None, true);
    let (mut special, mut kind): (Vec<(String, usize)>, u64) = (Vec::new(), 1);
    for field in fields(model) {
        match field.ok_or_else(bad)? {
            (1, Field::Bytes(piece)) => {
                let (mut text, mut score, mut kind) = (String::new(), 0.0, 1);
                for field in fields(piece) {
                    match field.ok_or_else(bad)? {
                        (1, Field::Bytes(bytes)) => {
                            text = String::from_utf8(bytes.to_vec()).map_err(|_| bad())?;
                        }
                        (2, Field::Fixed(bits)) => score = f64::from(f32::from_bits(bits)),
                        (3, Field::Number(number)) => kind = number,
                        _ => {}
                    }
                }
                match kind {
                    2 => unknown = Some(pieces.len()),
                    3 => special.push((text.clone(), pieces.len())),
                    _ => {}
                }
                pieces.push((text, score));
            }
            (2, Field::Bytes(trainer)) => {
                for field in fields(trainer) {
                    if let (3, Field::Number(number)) = field.ok_or_else(bad)? {
                        kind = number;
                    }
                }
            }
            (3, Field::Bytes(normalizer)) => {
                for field in fields(normalizer) {
                    match field.ok_or_else(bad)? {
                        (2, Field::Bytes(bytes)) => charsmap = Some(STANDARD.encode(bytes)),
                        (4, Field::Number(number)) => squeezes = number != 0,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    if kind != 1 {
        let got = format!("kind {kind}");
        return Err(broken("spiece.model", "a unigram model", &got));
    }
    // T5's blanks follow the pieces, the last one first.
    let is_t5 = pieces.get(1).is_some_and(|(piece, _)| piece == "</s>");
    let extra = settings["extra_ids"].as_u64().unwrap_or(if is_t5 { 100 } else { 0 });
    for number in (0..extra.min(1000)).rev() {
        let name = format!("<extra_id_{number}>");
        special.push((name.clone(), pieces.len()));
        pieces.push((name, 0.0));
    }
    if let Some(unknown) = unknown {
        special.push((pieces[unknown].0.clone(), unknown));
    }
    let id = |name: &str| pieces.iter().position(|(piece, _)| piece == name);
    let mut normalizers = Vec::new();
    if id("[CLS]").is_some() {
        // ALBERT's text is folded before its model sees it.
        normalizers
            .push(json!({ "type": "Replace", "pattern": { "String": "``" }, "content": "\"" }));
        normalizers
            .push(json!({ "type": "Replace", "pattern": { "String": "''" }, "content": "\"" }));
        if !settings["keep_accents"].as_bool().unwrap_or(false) {
            normalizers.push(json!({ "type": "NFKD" }));
            normalizers.push(json!({ "type": "StripAccents" }));
        }
        if settings["do_lower_case"].as_bool().unwrap_or(true) {
            normalizers.push(json!({ "type": "Lowercase" }));
        }
    }
    if let Some(charsmap) = charsmap.filter(|charsmap| !charsmap.is_empty()) {
        normalizers.push(json!({ "type": "Precompiled", "precompiled_charsmap": charsmap }));
    }
    if squeezes {
        normalizers
            .push(json!({ "type": "Replace", "pattern": { "Regex": " {2,}" }, "content": " " }));
    }
    let token = |name: &str| {
        id(name).map(|id| json!({ name: { "id": name, "ids": [id], "tokens": [name] } }))
    };
    let at = |name: &str| json!({ "SpecialToken": { "id": name, "type_id": 0 } });
    let of = |name: &str| json!({ "Sequence": { "id": name, "type_id": 0 } });
    let post = match (token("[CLS]"), token("[SEP]"), token("</s>")) {
        (Some(mut cls), Some(sep), _) => {
            merge(&mut cls, sep);
            json!({
                "type": "TemplateProcessing",
                "single": [at("[CLS]"), of("A"), at("[SEP]")],
                "pair": [at("[CLS]"), of("A"), at("[SEP]"), of("B"), at("[SEP]")],
                "special_tokens": cls,
            })
        }
        (_, _, Some(end)) => json!({
            "type": "TemplateProcessing",
            "single": [of("A"), at("</s>")],
            "pair": [of("A"), at("</s>"), of("B"), at("</s>")],
            "special_tokens": end,
        }),
        _ => Json::Null,
    };
    let spaces = json!({ "type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true });
    Ok(json!({
        "version": "1.0",
        "added_tokens": added(special.iter().map(|(name, id)| (name.as_str(), *id))),
        "normalizer": { "type": "Sequence", "normalizers": normalizers },
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [{ "type": "WhitespaceSplit" }, spaces],
        },
        "post_processor": post,
        "decoder": spaces,
        "model": { "type": "Unigram", "unk_id": unknown, "vocab": pieces, "byte_fallback": false },
    }))
}

fn merge(into: &mut Json, from: Json) {
    if let (Json::Object(into), Json::Object(from)) = (into, from) {
        into.extend(from);
    }
}

/// Special tokens as a `tokenizer.json` lists them.
fn added<'a>(tokens: impl Iterator<Item = (&'a str, usize)>) -> Json {
    tokens
        .map(|(content, id)| {
            json!({
                "id": id,
                "content": content,
                "single_word": false,
                "lstrip": false,
                "rstrip": false,
                "normalized": false,
                "special": true,
            })
        })
        .collect()
}

fn parse(name: &str, bytes: &[u8]) -> Result<Json> {
    serde_json::from_slice(bytes).map_err(|error| broken(name, "JSON", &error.to_string()))
}

fn text<'a>(name: &str, bytes: &'a [u8]) -> Result<&'a str> {
    std::str::from_utf8(bytes).map_err(|error| broken(name, "text in UTF-8", &error.to_string()))
}

fn broken(name: &str, expected: &str, got: &str) -> Error {
    Error::new(Kind::Tokenizer, format!("`{name}`"), expected, got)
}

/// A field of a protocol buffer.
enum Field<'a> {
    Number(u64),
    Fixed(u32),
    Bytes(&'a [u8]),
    /// Eight bytes that nothing here reads.
    Long,
}

/// The fields of a message, with their numbers; `None` once where it breaks off.
fn fields(mut bytes: &[u8]) -> impl Iterator<Item = Option<(u64, Field<'_>)>> {
    let mut broken = false;
    std::iter::from_fn(move || {
        if broken || bytes.is_empty() {
            return None;
        }
        let next = field(&mut bytes);
        broken = next.is_none();
        Some(next)
    })
}

fn field<'a>(bytes: &mut &'a [u8]) -> Option<(u64, Field<'a>)> {
    let tag = varint(bytes)?;
    let field = match tag & 7 {
        0 => Field::Number(varint(bytes)?),
        1 => {
            bytes.split_off(..8)?;
            Field::Long
        }
        2 => {
            let length = usize::try_from(varint(bytes)?).ok()?;
            Field::Bytes(bytes.split_off(..length)?)
        }
        5 => Field::Fixed(u32::from_le_bytes(bytes.split_off(..4)?.try_into().ok()?)),
        _ => return None,
    };
    Some((tag >> 3, field))
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.split_off_first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}
