//! Text to ids and back, and the pieces that a person reads.

mod added;
mod class;
mod fairseq;
mod file;
mod numbers;
mod older;
mod pieces;
mod protobuf;
mod trust;

use std::collections::BTreeSet;

use tokenizers::{Decoder as _, ModelWrapper, Tokenizer as Inner};

use crate::error::{Error, Kind, Result, one_line};
use crate::spec::{Architecture, LanguagePlace, Slot, Spec, SpecialTokens, Template};
use crate::trace::Token;

use numbers::Numbers;

pub use file::Files;

/// The files of a model folder that a tokenizer is made from.
pub const FILES: [&str; 13] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "added_tokens.json",
    "special_tokens_map.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
    "ice_text.model",
    "cog-pretrain.model",
    "source.spm",
];

/// A `tokenizer.json`, opened.
#[derive(Debug)]
pub struct Tokenizer {
    inner: Inner,
    /// Where the model numbers its pieces otherwise than `inner`.
    numbers: Option<Numbers>,
    special: SpecialTokens,
    /// Special tokens that the tokenizer itself names.
    also_special: BTreeSet<u32>,
    spelling: Spelling,
}

/// How a tokenizer writes its pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Spelling {
    /// `▁` stands for a space (SentencePiece).
    Metaspace,
    /// Each byte is a character of its own, a space is `Ġ` (GPT-2).
    Bytes,
    /// Words are pieces; what belongs to the piece before has this prefix (BERT's `##`).
    Attached(String),
}

/// A model's input, from text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// The template filled in.
    pub tokens: Vec<Token>,
    /// Segment of each token; the second sentence has one of its own.
    pub segments: Vec<u32>,
    /// Tokens of the text that did not fit.
    pub truncated: usize,
}

impl Tokenizer {
    /// Opens what a model folder has: a `tokenizer.json`, or the files that came before it.
    pub fn of_folder(
        files: Files<'_>,
        vocabulary: usize,
        special: SpecialTokens,
    ) -> Result<Tokenizer> {
        if let Some(json) = files("tokenizer.json") {
            return Tokenizer::open(json, vocabulary, special);
        }
        match older::tokenizer(files, vocabulary)? {
            Some(older) => {
                let json = older.json.to_string();
                Tokenizer::build(json.as_bytes(), older.numbers, vocabulary, special)
            }
            None => {
                let expected = format!("{} in the model folder", older::NAMES);
                Err(Error::new(Kind::Tokenizer, "tokenizer", expected, "none of them"))
            }
        }
    }

    /// Reads a `tokenizer.json` and holds it against the model's vocabulary.
    pub fn open(json: &[u8], vocabulary: usize, special: SpecialTokens) -> Result<Tokenizer> {
        Tokenizer::build(json, None, vocabulary, special)
    }

    fn build(
        json: &[u8],
        numbers: Option<Numbers>,
        vocabulary: usize,
        special: SpecialTokens,
    ) -> Result<Tokenizer> {
        let refuse = |expected: &str, got: String| {
            Error::new(Kind::Tokenizer, "`tokenizer.json`", expected, got)
        };
        trust::check(json)?;
        let mut inner = Inner::from_bytes(json)
            .map_err(|error| refuse("a tokenizer", one_line(&error.to_string())))?;
        // What a byte-pair model has cut once it keeps for its thread, beyond its own end: in a page, for ever.
        if let ModelWrapper::BPE(model) = inner.get_model() {
            let mut model = model.clone();
            model.resize_cache(0);
            inner.with_model(model);
        }
        // Cutting is the template's business, and nothing here is padded.
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|error| refuse("a tokenizer", error.to_string()))?;
        let number = |id: u32| number(&numbers, id);
        let size = match &numbers {
            Some(numbers) => numbers.names.len(),
            None => inner.get_vocab_size(true),
        };
        if size > vocabulary {
            let expected = format!("at most the model's {vocabulary} ids");
            return Err(refuse(&expected, format!("{size} tokens")));
        }
        let vocab = inner.get_vocab(true);
        let all = vocab.iter().map(|(token, id)| (token, number(*id)));
        if let Some((token, id)) = all.into_iter().find(|(_, id)| *id as usize >= vocabulary) {
            let expected = format!("ids below the model's {vocabulary}");
            return Err(refuse(&expected, format!("`{}` with {id}", token.escape_debug())));
        }
        let also_special = inner
            .get_added_tokens_decoder()
            .into_iter()
            .filter_map(|(id, token)| token.special.then_some(number(id)))
            .collect();
        let spelling = spelling(&inner);
        Ok(Tokenizer { inner, numbers, special, also_special, spelling })
    }

    /// Fills in what a config did not say and the tokenizer knows: special ids by their usual names,
    /// and the template, as the tokenizer itself would put special tokens around a text and a pair.
    pub fn complete(&mut self, spec: &mut Spec) -> Result<()> {
        let named = |names: &[&str]| {
            let id = names.iter().find_map(|name| self.inner.token_to_id(name));
            id.map(|id| number(&self.numbers, id))
        };
        let s = &mut spec.special;
        s.mask = s.mask.or_else(|| named(&["[MASK]", "<mask>"]));
        if spec.architecture == Architecture::Encoder {
            s.cls = s.cls.or_else(|| named(&["[CLS]", "<s>"]));
            s.sep = s.sep.or_else(|| named(&["[SEP]", "</s>"]));
        }
        s.pad = s.pad.or_else(|| named(&["[PAD]", "<pad>"]));
        let is_glm = spec.decoder.layers > 0 && spec.decoder.positions.streams() > 1;
        if is_glm && spec.template.blanks.is_empty() {
            let blanks = ["[MASK]", "[sMASK]", "[gMASK]"];
            spec.template.blanks = blanks.iter().filter_map(|name| named(&[name])).collect();
            spec.template.start = named(&["<|startofpiece|>", "<sop>"]).into_iter().collect();
            spec.template.ends.extend(named(&["<|endofpiece|>", "<eop>"]));
        }
        if spec.architecture == Architecture::EncoderDecoder && spec.template.blanks.is_empty() {
            // What was cut out in training: T5's first sign of a span, BART's mask.
            let blank = named(&["<extra_id_0>"]).or(spec.special.mask);
            spec.template.blanks = blank.into_iter().collect();
        }
        if let Some(place) = spec.template.language {
            spec.template.languages = self.languages(place);
        }
        self.special = spec.special;
        if spec.template.source.is_empty() {
            spec.template.source = self.around(None)?;
        }
        if is_glm && spec.template.source == [Slot::Source] {
            // A `tokenizer.json` that was made of its tokenizers need not say what their code does.
            let [first, last] = class::AROUND_GLM.map(|(_, name)| named(&[name]).map(Slot::Token));
            let around = [first, Some(Slot::Source), last];
            spec.template.source = around.into_iter().flatten().collect();
        }
        // What stands around a text is special, even where no text could spell it (ChatGLM2).
        let around = spec.template.source.iter().filter_map(|slot| match slot {
            Slot::Token(id) => Some(*id),
            _ => None,
        });
        self.also_special.extend(around);
        if spec.template.pair.is_empty() && spec.architecture == Architecture::Encoder {
            let pair = self.around(Some("b"))?;
            // Without a separator the two would be one text.
            let between = pair.iter().skip_while(|slot| **slot != Slot::Source).nth(1);
            if matches!(between, Some(Slot::Token(_))) {
                spec.template.pair = pair;
            }
        }
        spec.check()
    }

    /// The tokens that stand for languages, by their spelling: `fr_XX`, `>>fra<<`.
    fn languages(&self, place: LanguagePlace) -> Vec<(u32, String)> {
        let letters = |text: &str, range: std::ops::RangeInclusive<char>| {
            (2..=8).contains(&text.len()) && text.chars().all(|letter| range.contains(&letter))
        };
        let code = |token: &str| match place {
            LanguagePlace::Source => token.strip_prefix(">>")?.strip_suffix("<<").map(String::from),
            LanguagePlace::Start => {
                let (language, region) = token.split_once('_')?;
                let fits = letters(language, 'a'..='z') && letters(region, 'A'..='Z');
                fits.then(|| token.to_string())
            }
        };
        let vocabulary = self.inner.get_vocab(true);
        let mut all: Vec<(u32, String)> = vocabulary
            .iter()
            .filter_map(|(token, id)| Some((number(&self.numbers, *id), code(token)?)))
            .collect();
        all.sort_by(|(_, a), (_, b)| a.cmp(b));
        all
    }

    /// What the tokenizer puts around a text (and its pair).
    fn around(&self, pair: Option<&str>) -> Result<Vec<Slot>> {
        let encoded = match pair {
            None => self.inner.encode("a", true),
            Some(pair) => self.inner.encode(("a", pair), true),
        };
        let encoded = encoded.map_err(|error| {
            let got = error.to_string();
            Error::new(Kind::Tokenizer, "`tokenizer.json`", "a template for a text", got)
        })?;
        let mut slots: Vec<Slot> = Vec::new();
        for (id, sequence) in encoded.get_ids().iter().zip(encoded.get_sequence_ids()) {
            let slot = match sequence {
                None => Slot::Token(number(&self.numbers, *id)),
                Some(0) => Slot::Source,
                Some(_) => Slot::Target,
            };
            if matches!(slot, Slot::Token(_)) || slots.last() != Some(&slot) {
                slots.push(slot);
            }
        }
        if !slots.contains(&Slot::Source) {
            slots = vec![Slot::Source];
        }
        Ok(slots)
    }

    /// The tokens of a text, no special ones added.
    pub fn encode(&self, text: &str) -> Result<Vec<Token>> {
        let encoding = self.inner.encode(text, false).map_err(|error| {
            Error::new(Kind::Tokenizer, "text", "text that the tokenizer reads", error.to_string())
        })?;
        let mut tokens = Vec::with_capacity(encoding.len());
        // Counted on from the start of the token before: from the text's own for each would take too long.
        let (mut byte, mut units) = (0, 0);
        let pieces = encoding.get_ids().iter().zip(encoding.get_tokens());
        for ((&id, spelling), &(start, end)) in pieces.zip(encoding.get_offsets()) {
            let id = self.numbered(id, spelling);
            let mut token = self.token(id);
            if start < byte {
                (byte, units) = (0, 0);
            }
            if let (Some(before), Some(own)) = (text.get(byte..start), text.get(start..end)) {
                (byte, units) = (start, units + before.encode_utf16().count());
                token.start = Some(units);
                token.end = Some(units + own.encode_utf16().count());
            }
            if matches!(self.spelling, Spelling::Attached(_)) {
                // These pieces do not say whether a space stood before them, but the text does.
                let before = text.get(..start).and_then(|head| head.chars().next_back());
                token.space = token.space && before.is_some_and(char::is_whitespace);
            }
            tokens.push(token);
        }
        Ok(tokens)
    }

    /// A text (and its pair) in the model's template, cut to `room` tokens. The longer of the two
    /// is cut first, from its end; special tokens are never cut.
    pub fn input(
        &self,
        template: &Template,
        text: &str,
        pair: Option<&str>,
        room: usize,
    ) -> Result<Input> {
        let slots = match pair {
            Some(_) if template.pair.is_empty() => {
                return Err(Error::input("pair", "a model that reads pairs", "one that does not"));
            }
            Some(_) => &template.pair,
            None => &template.source,
        };
        let mut source = self.encode(text)?;
        let mut target = pair.map_or(Ok(Vec::new()), |pair| self.encode(pair))?;
        if source.is_empty() {
            return Err(Error::input("text", "at least one token", "no text"));
        }
        let fixed = slots.iter().filter(|slot| matches!(slot, Slot::Token(_))).count();
        let mut truncated = 0;
        while source.len() + target.len() + fixed > room && source.len() + target.len() > 1 {
            if target.len() >= source.len() {
                target.pop()
            } else {
                source.pop()
            };
            truncated += 1;
        }
        let mut tokens = Vec::new();
        let mut segments = Vec::new();
        // A pair's second segment begins after the separator that ends the first.
        let [first, second] = match pair {
            Some(_) => template.segments.unwrap_or([0, 1]),
            None => [0, 0],
        };
        let (mut segment, mut past_source) = (first, false);
        for slot in slots {
            let before = tokens.len();
            let mut next = segment;
            match slot {
                Slot::Source => {
                    tokens.append(&mut source);
                    past_source = true;
                }
                Slot::Target => tokens.append(&mut target),
                Slot::Token(id) => {
                    tokens.push(self.token(*id));
                    if past_source {
                        next = second;
                    }
                }
            }
            segments.extend((before..tokens.len()).map(|_| segment));
            segment = next;
        }
        Ok(Input { tokens, segments, truncated })
    }

    /// How a token is shown.
    pub fn token(&self, id: u32) -> Token {
        let special = self.is_special(id);
        let raw = self.raw(id).unwrap_or_else(|| format!("<{id}>"));
        let (piece, space) = if special { (raw, false) } else { self.spelling.piece(raw) };
        Token { id, piece, space, special, start: None, end: None }
    }

    /// Ids as text, special tokens left out.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        let shown = ids.iter().filter(|id| !self.also_special.contains(id));
        let pieces = shown.filter_map(|id| self.raw(*id)).collect::<Vec<String>>();
        let text = match self.inner.get_decoder() {
            // A decoder of the library counts the pieces down to the last one, and there must be one.
            _ if pieces.is_empty() => return Ok(String::new()),
            Some(decoder) => decoder.decode(pieces),
            None => Ok(pieces.join(" ")),
        };
        text.map_err(|error| {
            Error::new(Kind::Tokenizer, "ids", "ids that the tokenizer knows", error.to_string())
        })
    }

    /// The model's number of a piece of a text.
    fn numbered(&self, id: u32, spelling: &str) -> u32 {
        let listed = self.numbers.as_ref().filter(|numbers| numbers.unknown == Some(id));
        let listed = listed.and_then(|numbers| numbers.spelled.get(spelling).copied());
        listed.unwrap_or_else(|| number(&self.numbers, id))
    }

    /// A token as the tokenizer writes it.
    fn raw(&self, id: u32) -> Option<String> {
        match &self.numbers {
            Some(numbers) => numbers.names.get(id as usize).cloned(),
            None => self.inner.id_to_token(id),
        }
    }

    fn is_special(&self, id: u32) -> bool {
        let s = &self.special;
        [s.pad, s.bos, s.sep, s.eos, s.mask, s.cls].contains(&Some(id))
            || self.also_special.contains(&id)
    }
}

/// The model's number of a piece.
fn number(numbers: &Option<Numbers>, id: u32) -> u32 {
    match numbers {
        Some(numbers) => numbers.ids.get(id as usize).copied().unwrap_or(id),
        None => id,
    }
}

/// How a tokenizer writes its pieces, by its model and what its decoder undoes.
fn spelling(inner: &Inner) -> Spelling {
    let says = |part: Option<String>| part.is_some_and(|part| part.contains("\"ByteLevel\""));
    match inner.get_model() {
        ModelWrapper::WordPiece(model) => {
            Spelling::Attached(model.continuing_subword_prefix.clone())
        }
        ModelWrapper::BPE(_)
            if says(serde_json::to_string(&inner.get_decoder()).ok())
                || says(serde_json::to_string(&inner.get_pre_tokenizer()).ok()) =>
        {
            Spelling::Bytes
        }
        _ => Spelling::Metaspace,
    }
}

impl Spelling {
    /// The text of a piece, and whether a space stands before it.
    fn piece(&self, raw: String) -> (String, bool) {
        match self {
            Spelling::Metaspace => match raw.strip_prefix('▁') {
                Some(rest) => (rest.to_string(), true),
                None => (raw, false),
            },
            Spelling::Attached(prefix) => match raw.strip_prefix(prefix.as_str()) {
                Some(rest) if !prefix.is_empty() && !rest.is_empty() => (rest.to_string(), false),
                _ => (raw, true),
            },
            Spelling::Bytes => {
                let Some(bytes) = raw.chars().map(byte_of).collect::<Option<Vec<u8>>>() else {
                    return (raw, false);
                };
                match bytes.strip_prefix(b" ") {
                    Some(rest) if !rest.is_empty() => (readable(rest), true),
                    _ => (readable(&bytes), false),
                }
            }
        }
    }
}

/// The byte that a character of a byte-level vocabulary stands for: printable ones stand for
/// themselves, the others, in order, for the characters from 256 on.
fn byte_of(character: char) -> Option<u8> {
    let itself = |byte: u32| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let code = character as u32;
    match code {
        0..=255 => itself(code).then_some(code as u8),
        256.. => (0..256).filter(|byte| !itself(*byte)).nth(code as usize - 256).map(|b| b as u8),
    }
}

/// Bytes as text; those that are no complete character are shown as `<0xE4>`.
fn readable(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("<0x{byte:02X}>"));
        }
    }
    text
}
