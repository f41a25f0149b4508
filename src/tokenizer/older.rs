//! A `tokenizer.json` made from the files that older checkpoints have in its place: `vocab.txt`,
//! `vocab.json` with `merges.txt`, or models of SentencePiece under the names that each family gives
//! them. Settings come from `tokenizer_config.json`.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Value as Json, json};

use super::class::{self, Cut};
use super::file::{Files, broken, parse, text};
use super::numbers::Numbers;
use super::pieces::{Model, Parts, Piece, Use, replace, special};
use super::{added, fairseq};
use crate::error::Result;

/// The names of the files that are looked for, for a message that says what is missing.
pub const NAMES: &str = "`tokenizer.json`, `vocab.txt`, `vocab.json` with `merges.txt` or `source.spm`, \
     `spiece.model`, `sentencepiece.bpe.model`, `tokenizer.model`, `ice_text.model` or `cog-pretrain.model`";

/// The pieces of GLM's Chinese models.
const COG: &str = "cog-pretrain.model";

/// A tokenizer made from older files.
#[derive(Debug)]
pub struct Older {
    /// The `tokenizer.json`.
    pub json: Json,
    /// Where the model numbers its pieces otherwise.
    pub numbers: Option<Numbers>,
}

/// A tokenizer for a model with so many ids, or `None` where none of the older files is there.
pub fn tokenizer(files: Files<'_>, vocabulary: usize) -> Result<Option<Older>> {
    let settings = match files("tokenizer_config.json") {
        Some(bytes) => parse("tokenizer_config.json", bytes)?,
        None => Json::Null,
    };
    let named = class::of(files, &settings)?;
    let class = named.or_else(|| files(COG).map(|_| "GLMChineseTokenizer".to_string()));
    let Some(mut older) = of_pieces(files, &settings, class.as_deref())? else { return Ok(None) };
    let added = added::read(files, &settings)?;
    match &older.numbers {
        Some(numbers) => added.hold(numbers, vocabulary)?,
        None => added.put(&mut older.json, vocabulary)?,
    }
    if class.is_some_and(|class| GLM.contains(&class.as_str())) {
        older.json["post_processor"] = glm(&older.json, &settings)?;
    }
    Ok(Some(older))
}

/// What the files of pieces say, without the tokens that others add.
fn of_pieces(files: Files<'_>, settings: &Json, class: Option<&str>) -> Result<Option<Older>> {
    let json = if let Some(vocabulary) = files("vocab.txt") {
        class::words(class)?;
        word_pieces(text("vocab.txt", vocabulary)?, settings)
    } else if let (Some(vocabulary), Some(merges)) = (files("vocab.json"), files("merges.txt")) {
        let vocabulary = parse("vocab.json", vocabulary)?;
        let cut = class::cut(class)?;
        byte_pairs(&vocabulary, text("merges.txt", merges)?, settings, cut)?
    } else if let Some(model) = files("spiece.model") {
        sentence_pieces(model, settings)?
    } else if let Some(model) = files(fairseq::NAME) {
        fairseq::tokenizer(model, class, settings)?
    } else if let Some(model) = files(COG) {
        glm_chinese(model)?
    } else if let Some(model) = files("tokenizer.model") {
        tokenizer_model(model, settings)?
    } else if let Some(model) = files("ice_text.model") {
        return ice_text(model, settings).map(Some);
    } else if let (Some(model), Some(list)) = (files("source.spm"), files("vocab.json")) {
        return marian(model, &parse("vocab.json", list)?).map(Some);
    } else {
        return Ok(None);
    };
    Ok(Some(Older { json, numbers: None }))
}

/// BERT's: words, then the longest pieces that the vocabulary has.
fn word_pieces(vocabulary: &str, settings: &Json) -> Json {
    // A line is a piece; its number is the id.
    let lines = vocabulary.lines().map(|line| line.trim_end_matches('\r'));
    let ids: BTreeMap<&str, usize> = lines.enumerate().map(|(id, piece)| (piece, id)).collect();
    let own = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
    let post = match (ids.get("[CLS]"), ids.get("[SEP]")) {
        (Some(cls), Some(sep)) => {
            json!({ "type": "BertProcessing", "cls": ["[CLS]", cls], "sep": ["[SEP]", sep] })
        }
        _ => Json::Null,
    };
    json!({
        "version": "1.0",
        "added_tokens": special(own.iter().filter_map(|name| Some((*name, *ids.get(name)?)))),
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": true,
            "handle_chinese_chars": is_on(settings, "tokenize_chinese_chars", true),
            "strip_accents": settings["strip_accents"].as_bool(),
            "lowercase": is_on(settings, "do_lower_case", true),
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
fn byte_pairs(vocabulary: &Json, merges: &str, settings: &Json, cut: Cut) -> Result<Json> {
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
    let own = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "<|endoftext|>"];
    let mut added = special(own.iter().filter_map(|name| Some((*name, id(name)?))));
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
            "use_regex": cut == Cut::Gpt2,
        })
    };
    let (normalizer, pre_tokenizer) = match cut {
        Cut::Gpt2 => (Json::Null, bytes(prefix)),
        Cut::Qwen2 => {
            let words = json!({
                "type": "Split",
                "pattern": { "Regex": class::QWEN2 },
                "behavior": "Isolated",
                "invert": false,
            });
            let both = json!({ "type": "Sequence", "pretokenizers": [words, bytes(prefix)] });
            (json!({ "type": "NFC" }), both)
        }
    };
    Ok(json!({
        "version": "1.0",
        "added_tokens": added,
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
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

/// T5's and ALBERT's pieces, with what their families add.
fn sentence_pieces(model: &[u8], settings: &Json) -> Result<Json> {
    const NAME: &str = "spiece.model";
    let mut model = Model::read(NAME, model)?;
    // T5's blanks follow the pieces, the last one first.
    let is_t5 = model.pieces.get(1).is_some_and(|piece| piece.text == "</s>");
    let extra = settings["extra_ids"].as_u64().unwrap_or(if is_t5 { 100 } else { 0 });
    for number in (0..extra.min(1000)).rev() {
        model.push(format!("<extra_id_{number}>"), Use::Control);
    }
    let is_albert = model.id("[CLS]").is_some();
    let mut before = Vec::new();
    if is_albert {
        // ALBERT's text is folded before its model sees it.
        before.push(replace(json!({ "String": "``" }), "\""));
        before.push(replace(json!({ "String": "''" }), "\""));
        if !is_on(settings, "keep_accents", false) {
            before.push(json!({ "type": "NFKD" }));
            before.push(json!({ "type": "StripAccents" }));
        }
        if is_on(settings, "do_lower_case", true) {
            before.push(json!({ "type": "Lowercase" }));
        }
    }
    let (first, last): (&[&str], _) = match is_albert && model.id("[SEP]").is_some() {
        true => (&["[CLS]"], "[SEP]"),
        false => (&[], "</s>"),
    };
    model.json(NAME, Parts { before, first, last: &[last], by_words: true, ..Parts::default() })
}

/// GLM's classes that put their own tokens around a text.
const GLM: [&str; 2] = ["GLMGPT2Tokenizer", "GLMChineseTokenizer"];

/// GLM's Chinese models: pieces, and special tokens that `added_tokens.json` numbers.
fn glm_chinese(model: &[u8]) -> Result<Json> {
    Model::read(COG, model)?.json(COG, Parts::default())
}

/// What GLM puts around a text: its first token and the end of a text, under the names that its settings give.
fn glm(tokenizer: &Json, settings: &Json) -> Result<Json> {
    let all = tokenizer["added_tokens"].as_array();
    let id = |name: &str| all?.iter().find(|token| token["content"] == *name)?["id"].as_u64();
    let mut tokens = serde_json::Map::new();
    let mut around = Vec::new();
    for (role, usual) in class::AROUND_GLM {
        let named = settings[role].as_str().or(settings[role]["content"].as_str());
        let name = named.unwrap_or(usual);
        let Some(id) = id(name) else {
            let expected = format!("a number of `{}`", name.escape_debug());
            return Err(broken("added_tokens.json", &expected, "none"));
        };
        tokens.insert(name.into(), json!({ "id": name, "ids": [id], "tokens": [name] }));
        around.push(json!({ "SpecialToken": { "id": name, "type_id": 0 } }));
    }
    let text = |id: &str| json!({ "Sequence": { "id": id, "type_id": 0 } });
    let [first, last] = [around.remove(0), around.remove(0)];
    Ok(json!({
        "type": "TemplateProcessing",
        "single": [first, text("A"), last],
        "pair": [first, text("A"), last, text("B"), last],
        "special_tokens": tokens,
    }))
}

/// LLaMA's, Gemma's, and what ChatGLM2 and 3 put around the like.
fn tokenizer_model(model: &[u8], settings: &Json) -> Result<Json> {
    const NAME: &str = "tokenizer.model";
    let mut model = Model::read(NAME, model)?;
    if settings["tokenizer_class"] == "ChatGLMTokenizer" {
        if !model.joins_pairs() {
            return Err(broken(NAME, "ChatGLM's model of pairs", "a unigram model"));
        }
        // No text can spell these: pairs do not make them. (Only the third has the last four.)
        let names = ["[MASK]", "[gMASK]", "[sMASK]", "sop", "eop"];
        let roles = ["<|system|>", "<|user|>", "<|assistant|>", "<|observation|>"];
        for name in names.iter().chain(&roles) {
            model.push(*name, Use::Byte);
        }
        return model.json(NAME, Parts { first: &["[gMASK]", "sop"], ..Parts::default() });
    }
    let (bos, eos) = (model.bos.clone(), model.eos.clone());
    let with = |on: bool, token| if on { vec![token] } else { vec![] };
    let first = with(is_on(settings, "add_bos_token", true), bos.as_str());
    let last = with(is_on(settings, "add_eos_token", false), eos.as_str());
    model.json(NAME, Parts { first: &first, last: &last, ..Parts::default() })
}

/// The first ChatGLM's: runs of spaces, tabs and line ends are pieces of their own.
fn ice_text(model: &[u8], settings: &Json) -> Result<Older> {
    const NAME: &str = "ice_text.model";
    let model = Model::read(NAME, model)?;
    let own = ["[gMASK]", "<sop>"];
    if let Some(missing) = own.iter().find(|name| model.id(name).is_none()) {
        let expected = "its special tokens, as the file has them since April 2023";
        return Err(broken(NAME, expected, &format!("no `{missing}`")));
    }
    if is_on(settings, "remove_space", false) {
        return Err(broken("tokenizer_config.json", "`remove_space` false", "true"));
    }
    let spaces = (2..=80).rev().map(|count| (" ".repeat(count), format!("<|blank_{count}|>")));
    let ends = [("\n".to_string(), "<n>".to_string()), ("\t".to_string(), "<|tab|>".to_string())];
    let all: Vec<(String, String)> = ends.into_iter().chain(spaces).collect();
    let mut before = match is_on(settings, "do_lower_case", false) {
        true => vec![json!({ "type": "Lowercase" })],
        false => vec![],
    };
    before.extend(all.iter().map(|(text, piece)| replace(json!({ "String": text }), piece)));
    let after = all.iter().map(|(text, piece)| replace(json!({ "String": piece }), text)).collect();
    // The template is the family's, which knows these ids from its config.
    let json = model.json(NAME, Parts { before, after, last: &own, ..Parts::default() })?;
    // Images come first; files since May 2023 leave them out.
    let images = settings["num_image_tokens"].as_u64().unwrap_or(20_000).min(1 << 20) as u32;
    let numbers = (images > 0).then(|| {
        let pieces = model.pieces.iter().map(|piece| piece.text.clone());
        Numbers {
            ids: (images..images + model.pieces.len() as u32).collect(),
            names: (0..images).map(|image| format!("<image_{image}>")).chain(pieces).collect(),
            unknown: None,
            spelled: HashMap::new(),
        }
    });
    Ok(Older { json, numbers })
}

/// Marian's: a model cuts the source into pieces, a list numbers them with those of the answer.
fn marian(model: &[u8], list: &Json) -> Result<Older> {
    const LIST: &str = "vocab.json";
    let mut model = Model::read("source.spm", model)?;
    let known = list.as_object().ok_or_else(|| broken(LIST, "an object of pieces", "another"))?;
    let mut names = vec![None; known.len()];
    for (name, id) in known {
        let place = id.as_u64().and_then(|id| names.get_mut(usize::try_from(id).ok()?));
        match place {
            Some(place) if place.is_none() => *place = Some(name.clone()),
            _ => return Err(broken(LIST, "each number below their count, once", &id.to_string())),
        }
    }
    let names: Vec<String> = names.into_iter().flatten().collect();
    // Tokens that no text spells, and those of the languages.
    let is_own = |name: &&String| {
        ["</s>", "<unk>", "<pad>"].contains(&name.as_str())
            || (name.starts_with(">>") && name.ends_with("<<"))
    };
    let cut: HashSet<String> = model.pieces.iter().map(|piece| piece.text.clone()).collect();
    for name in names.iter().filter(is_own).filter(|name| !cut.contains(*name)) {
        model.push(name, Use::Control);
    }
    let id = |name: &str| known.get(name).and_then(Json::as_u64).map(|id| id as u32);
    let unknown = id("<unk>").ok_or_else(|| broken(LIST, "a piece `<unk>`", "none"))?;
    let number = |piece: &Piece| match piece.usage {
        Use::Unknown => unknown,
        _ => id(&piece.text).unwrap_or(unknown),
    };
    let ids = model.pieces.iter().map(number).collect();
    let cannot = model.pieces.iter().position(|piece| piece.usage == Use::Unknown);
    let spelled = (0..).zip(&names).map(|(id, name)| (name.clone(), id)).collect();
    let json = model.json("source.spm", Parts { last: &["</s>"], ..Parts::default() })?;
    let numbers = Numbers { ids, names, unknown: cannot.map(|id| id as u32), spelled };
    Ok(Older { json, numbers: Some(numbers) })
}

fn is_on(settings: &Json, name: &str, default: bool) -> bool {
    settings[name].as_bool().unwrap_or(default)
}
