//! Text to ids and back, and the pieces that a person reads.

use tokenizers::Tokenizer as Inner;

use crate::error::{Error, Kind, Result};
use crate::spec::{Slot, SpecialTokens, Template};
use crate::trace::Token;

/// A `tokenizer.json`, opened.
#[derive(Debug)]
pub struct Tokenizer {
    inner: Inner,
    special: SpecialTokens,
}

/// A model's input, from text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// The template filled in.
    pub tokens: Vec<Token>,
    /// Segment of each token: 1 from the second sentence on.
    pub segments: Vec<u32>,
    /// Tokens of the text that did not fit.
    pub truncated: usize,
}

impl Tokenizer {
    /// Reads a `tokenizer.json` and holds it against the model's vocabulary.
    pub fn open(json: &[u8], vocabulary: usize, special: SpecialTokens) -> Result<Tokenizer> {
        let inner = Inner::from_bytes(json).map_err(|error| {
            let got = error.to_string();
            Error::new(Kind::Tokenizer, "`tokenizer.json`", "a tokenizer", got)
        })?;
        let size = inner.get_vocab_size(true);
        if size > vocabulary {
            let expected = format!("at most the model's {vocabulary} ids");
            let got = format!("{size} tokens");
            return Err(Error::new(Kind::Tokenizer, "`tokenizer.json`", expected, got));
        }
        Ok(Tokenizer { inner, special })
    }

    /// The tokens of a text, no special ones added.
    pub fn encode(&self, text: &str) -> Result<Vec<Token>> {
        let encoding = self.inner.encode(text, false).map_err(|error| {
            Error::new(Kind::Tokenizer, "text", "text that the tokenizer reads", error.to_string())
        })?;
        let mut tokens = Vec::with_capacity(encoding.len());
        for (&id, &(start, end)) in encoding.get_ids().iter().zip(encoding.get_offsets()) {
            let utf16 = |at: usize| text.get(..at).map(|head| head.encode_utf16().count());
            tokens.push(Token { start: utf16(start), end: utf16(end), ..self.token(id) });
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
        let (mut segment, mut past_source) = (0, false);
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
                    if past_source && pair.is_some() {
                        next = 1;
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
        let raw = self.inner.id_to_token(id).unwrap_or_else(|| format!("<{id}>"));
        let special = self.is_special(id);
        let (piece, space) = match raw.strip_prefix('▁') {
            Some(rest) if !special => (rest.to_string(), true),
            _ => (raw, false),
        };
        Token { id, piece, space, special, start: None, end: None }
    }

    /// Ids as text, special tokens left out.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.inner.decode(ids, true).map_err(|error| {
            Error::new(Kind::Tokenizer, "ids", "ids that the tokenizer knows", error.to_string())
        })
    }

    fn is_special(&self, id: u32) -> bool {
        let s = &self.special;
        [s.pad, s.bos, s.sep, s.eos, s.mask, s.cls].contains(&Some(id))
    }
}
