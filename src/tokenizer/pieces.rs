//! A `tokenizer.json` made from a model of SentencePiece, of the kind that gives each piece a
//! probability (unigram) or of the kind that joins pairs of them (byte pairs).
//!
//! The file is a protocol buffer; what is read of it are its pieces, how it was trained and how it
//! normalises. A model of pairs names no pairs: any two pieces whose join is a piece may be joined,
//! the best score first.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use super::file::broken;
use super::protobuf::{Field, fields};
use crate::error::Result;

/// Bytes of a piece that is joined from others; those of known models have less than 100.
const LONGEST: usize = 256;
/// Ways to join two pieces, for each piece of a model, on average; known models have two or three.
const MOST_JOINS: usize = 16;

/// What a piece is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Part of a text.
    Text,
    /// Stands for what no piece spells.
    Unknown,
    /// Written by templates alone.
    Control,
    /// Always one piece, wherever it is in a text.
    Whole,
    /// A byte of a character that no piece spells.
    Byte,
}

/// A piece of a model.
#[derive(Clone, Debug)]
pub struct Piece {
    pub text: String,
    pub score: f64,
    pub usage: Use,
}

/// A model of SentencePiece, read.
#[derive(Debug)]
pub struct Model {
    pub pieces: Vec<Piece>,
    joins_pairs: bool,
    has_bytes: bool,
    splits_at_spaces: bool,
    begins_with_space: bool,
    squeezes: bool,
    charsmap: Option<String>,
    /// Names of its own first and last token.
    pub bos: String,
    pub eos: String,
}

impl Model {
    /// Reads a file; `name` is for messages.
    pub fn read(name: &str, file: &[u8]) -> Result<Model> {
        let bad = || broken(name, "a SentencePiece model", "something else");
        let string = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| bad());
        let mut model = Model {
            pieces: Vec::new(),
            joins_pairs: false,
            has_bytes: false,
            splits_at_spaces: true,
            begins_with_space: true,
            squeezes: true,
            charsmap: None,
            bos: "<s>".into(),
            eos: "</s>".into(),
        };
        for field in fields(file) {
            match field.ok_or_else(bad)? {
                (1, Field::Bytes(piece)) => {
                    let piece = read_piece(name, piece)?;
                    model.pieces.push(piece);
                }
                (2, Field::Bytes(trainer)) => {
                    for field in fields(trainer) {
                        match field.ok_or_else(bad)? {
                            (3, Field::Number(1)) => model.joins_pairs = false,
                            (3, Field::Number(2)) => model.joins_pairs = true,
                            (3, Field::Number(kind)) => {
                                let got = format!("kind {kind}");
                                return Err(broken(name, "a unigram model or one of pairs", &got));
                            }
                            (22, Field::Number(is)) => model.splits_at_spaces = is != 0,
                            (24, Field::Number(is)) if is != 0 => {
                                let got = "spaces behind them";
                                return Err(broken(name, "pieces with spaces before them", got));
                            }
                            (35, Field::Number(is)) => model.has_bytes = is != 0,
                            (46, Field::Bytes(bytes)) => model.bos = string(bytes)?,
                            (47, Field::Bytes(bytes)) => model.eos = string(bytes)?,
                            _ => {}
                        }
                    }
                }
                (3, Field::Bytes(normalizer)) => {
                    for field in fields(normalizer) {
                        match field.ok_or_else(bad)? {
                            (2, Field::Bytes(bytes)) if !bytes.is_empty() => {
                                model.charsmap = Some(STANDARD.encode(bytes));
                            }
                            (3, Field::Number(is)) => model.begins_with_space = is != 0,
                            (4, Field::Number(is)) => model.squeezes = is != 0,
                            (5, Field::Number(0)) => {
                                return Err(broken(name, "spaces written as `▁`", "plain spaces"));
                            }
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(model)
    }

    /// Whether it is of the kind that joins pairs.
    pub fn joins_pairs(&self) -> bool {
        self.joins_pairs
    }

    /// The number of a piece.
    pub fn id(&self, text: &str) -> Option<usize> {
        self.pieces.iter().position(|piece| piece.text == text)
    }

    /// Adds a piece behind the last.
    pub fn push(&mut self, text: impl Into<String>, usage: Use) {
        self.pieces.push(Piece { text: text.into(), score: 0.0, usage });
    }

    /// The whole `tokenizer.json`. `before` and `after` are normalizers and decoders of its family,
    /// and a template puts these tokens before and behind a text.
    pub fn json(&self, name: &str, parts: Parts<'_>) -> Result<Json> {
        let Parts { before, after, first, last, between, by_words } = parts;
        let mut normalizers = before;
        if let Some(charsmap) = &self.charsmap {
            normalizers.push(json!({ "type": "Precompiled", "precompiled_charsmap": charsmap }));
        }
        // Words one by one, each with the space before it, where no piece goes past a word's end.
        let by_words =
            by_words || (self.squeezes && self.begins_with_space && self.splits_at_spaces);
        if self.squeezes {
            normalizers.push(replace(json!({ "Regex": " {2,}" }), " "));
        }
        let (pre_tokenizer, decoder);
        if by_words {
            let spaces = metaspace("▁", "always", true);
            let words = json!({
                "type": "Split",
                "pattern": { "String": " " },
                "behavior": "Removed",
                "invert": false,
            });
            pre_tokenizer = json!({ "type": "Sequence", "pretokenizers": [words, &spaces] });
            decoder = match (self.has_bytes, after.is_empty()) {
                (false, true) => spaces,
                _ => self.decoder(after),
            };
        } else {
            if self.squeezes {
                normalizers.push(replace(json!({ "Regex": "^ | $" }), ""));
            }
            normalizers.push(replace(json!({ "String": " " }), "▁"));
            // A text begins with one space more than it has. Metaspace adds none where it sees one,
            // so the first of these is to see none: it takes `▁` for something else.
            pre_tokenizer = match self.begins_with_space {
                false => Json::Null,
                true => json!({
                    "type": "Sequence",
                    "pretokenizers": [metaspace(" ", "first", false), metaspace("▁", "never", false)],
                }),
            };
            decoder = self.decoder(after);
        }
        let is_special =
            |piece: &&(usize, &Piece)| matches!(piece.1.usage, Use::Control | Use::Unknown);
        let numbered: Vec<(usize, &Piece)> = self.pieces.iter().enumerate().collect();
        let list = |of: &dyn Fn(&&(usize, &Piece)) -> bool| {
            special(numbered.iter().filter(of).map(|(id, piece)| (piece.text.as_str(), *id)))
        };
        let mut tokens = list(&is_special);
        if self.joins_pairs
            && let (Json::Array(tokens), Json::Array(mut whole)) =
                (&mut tokens, list(&|piece| piece.1.usage == Use::Whole))
        {
            for token in &mut whole {
                token["special"] = false.into();
                token["normalized"] = true.into();
            }
            tokens.append(&mut whole);
        }
        Ok(json!({
            "version": "1.0",
            "added_tokens": tokens,
            "normalizer": { "type": "Sequence", "normalizers": normalizers },
            "pre_tokenizer": pre_tokenizer,
            "post_processor": self.template(first, last, between),
            "decoder": decoder,
            "model": if self.joins_pairs { self.pairs(name)? } else { self.unigram() },
        }))
    }

    fn decoder(&self, mut decoders: Vec<Json>) -> Json {
        decoders.push(replace(json!({ "String": "▁" }), " "));
        decoders.push(json!({ "type": "ByteFallback" }));
        decoders.push(json!({ "type": "Fuse" }));
        if self.begins_with_space {
            decoders.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
        }
        json!({ "type": "Sequence", "decoders": decoders })
    }

    fn template(&self, first: &[&str], last: &[&str], between: Option<&[&str]>) -> Json {
        let mut special = serde_json::Map::new();
        let mut around = |names: &[&str]| -> Vec<Json> {
            let known = names.iter().filter_map(|name| Some((*name, self.id(name)?)));
            known
                .map(|(name, id)| {
                    let token = json!({ "id": name, "ids": [id], "tokens": [name] });
                    special.insert(name.into(), token);
                    json!({ "SpecialToken": { "id": name, "type_id": 0 } })
                })
                .collect()
        };
        let (first, last) = (around(first), around(last));
        let between = between.map_or_else(|| last.clone(), around);
        if special.is_empty() {
            return Json::Null;
        }
        let text = |id: &str| vec![json!({ "Sequence": { "id": id, "type_id": 0 } })];
        let single = [first.clone(), text("A"), last.clone()].concat();
        let pair = [first, text("A"), between, text("B"), last].concat();
        json!({
            "type": "TemplateProcessing",
            "single": single,
            "pair": pair,
            "special_tokens": special,
        })
    }

    /// The pieces that make a text most probable.
    fn unigram(&self) -> Json {
        let text = self.pieces.iter().filter(|piece| piece.usage == Use::Text);
        let best = text.fold(0f64, |best, piece| best.max(piece.score));
        let score = |piece: &Piece| match piece.usage {
            // What SentencePiece gives a piece that is always chosen.
            Use::Whole => piece.text.len() as f64 * best - 0.1,
            _ => piece.score,
        };
        let pieces: Vec<(&str, f64)> =
            self.pieces.iter().map(|piece| (piece.text.as_str(), score(piece))).collect();
        let unknown = self.pieces.iter().position(|piece| piece.usage == Use::Unknown);
        json!({
            "type": "Unigram",
            "unk_id": unknown,
            "vocab": pieces,
            "byte_fallback": self.has_bytes,
        })
    }

    /// Pieces joined two by two, the best first.
    fn pairs(&self, name: &str) -> Result<Json> {
        let ids: HashMap<&str, usize> =
            self.pieces.iter().enumerate().map(|(id, piece)| (piece.text.as_str(), id)).collect();
        let joins = |text: &str| {
            ids.get(text).is_some_and(|id| matches!(self.pieces[*id].usage, Use::Text))
        };
        let mut order: Vec<&Piece> =
            self.pieces.iter().filter(|piece| piece.usage == Use::Text).collect();
        if let Some(long) = order.iter().find(|piece| piece.text.len() > LONGEST) {
            let expected = format!("pieces of at most {LONGEST} bytes");
            return Err(broken(name, &expected, &format!("one of {}", long.text.len())));
        }
        order.sort_by(|a, b| b.score.total_cmp(&a.score));
        let mut merges: Vec<[&str; 2]> = Vec::new();
        for piece in order {
            for (at, _) in piece.text.char_indices().skip(1) {
                let (left, right) = piece.text.split_at(at);
                if joins(left) && joins(right) {
                    merges.push([left, right]);
                }
            }
            if merges.len() > MOST_JOINS * self.pieces.len() {
                let expected = format!("at most {MOST_JOINS} ways to join pieces for each of them");
                let got = format!("more for its {}", self.pieces.len());
                return Err(broken(name, &expected, &got));
            }
        }
        let unknown = self.pieces.iter().find(|piece| piece.usage == Use::Unknown);
        Ok(json!({
            "type": "BPE",
            "unk_token": unknown.map(|piece| piece.text.as_str()),
            "fuse_unk": true,
            "byte_fallback": self.has_bytes,
            "vocab": ids,
            "merges": merges,
        }))
    }
}

/// What a family adds to its model.
#[derive(Default)]
pub struct Parts<'a> {
    /// Normalizers before its own.
    pub before: Vec<Json>,
    /// Decoders before its own.
    pub after: Vec<Json>,
    /// Tokens before a text.
    pub first: &'a [&'a str],
    /// Tokens behind each text.
    pub last: &'a [&'a str],
    /// Tokens between two texts, where they are not those behind each.
    pub between: Option<&'a [&'a str]>,
    /// Word by word, whatever the model says of spaces.
    pub by_words: bool,
}

/// A normalizer or decoder that puts one text in place of another.
pub fn replace(pattern: Json, content: &str) -> Json {
    json!({ "type": "Replace", "pattern": pattern, "content": content })
}

fn metaspace(replacement: &str, prepend: &str, split: bool) -> Json {
    json!({
        "type": "Metaspace",
        "replacement": replacement,
        "prepend_scheme": prepend,
        "split": split,
    })
}

fn read_piece(name: &str, piece: &[u8]) -> Result<Piece> {
    let bad = || broken(name, "a SentencePiece model", "something else");
    let (mut text, mut score, mut usage) = (String::new(), 0.0, Use::Text);
    for field in fields(piece) {
        match field.ok_or_else(bad)? {
            (1, Field::Bytes(bytes)) => {
                text = String::from_utf8(bytes.to_vec()).map_err(|_| bad())?;
            }
            (2, Field::Fixed(bits)) => score = f64::from(f32::from_bits(bits)),
            (3, Field::Number(kind)) => {
                usage = match kind {
                    1 => Use::Text,
                    2 => Use::Unknown,
                    3 => Use::Control,
                    4 => Use::Whole,
                    6 => Use::Byte,
                    kind => {
                        let got = format!("one of kind {kind}");
                        return Err(broken(name, "pieces that are all in use", &got));
                    }
                }
            }
            _ => {}
        }
    }
    if !score.is_finite() {
        return Err(broken(name, "scores that are numbers", &score.to_string()));
    }
    Ok(Piece { text, score, usage })
}

/// Special tokens as a `tokenizer.json` lists them.
pub(super) fn special<'a>(tokens: impl Iterator<Item = (&'a str, usize)>) -> Json {
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
