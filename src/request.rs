//! What a caller asks for, checked and turned into what the stacks read.
//!
//! The field names are those of the JavaScript API (camelCase); unknown ones are refused.

use std::borrow::Cow;

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::graph::{Site, What};
use crate::mask::{Mask, MaskFile, MaskSource};
use crate::object::objects;
use crate::sample::Sampling;
use crate::spec::{Architecture, LanguagePlace, Slot, Spec, Stack, Template};
use crate::tokenizer::Tokenizer;
use crate::trace::Token;

objects!(Gates, Request, Watch);

/// New tokens where a request does not say.
pub const NEW_TOKENS: usize = 32;

/// A request as it arrives.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Request {
    /// The text; goes through the model's template.
    pub text: Option<String>,
    /// The second sentence of a pair (encoders with a pair template).
    pub pair: Option<String>,
    /// Token ids instead of a text; no special tokens are added.
    pub ids: Option<Vec<u32>>,
    /// The answer so far. An encoder-decoder's decoder start is put before it where it is missing.
    pub target_ids: Vec<u32>,
    /// Where the source ends in `ids`, of an encoder the first of two texts; all of it where absent.
    pub source_length: Option<usize>,
    /// Stop after so many new tokens.
    pub max_new_tokens: Option<usize>,
    /// The rows of an encoder that are to be filled; every one that holds [MASK] where absent. One that a person chose
    /// [MASK] for is a blank no more.
    pub blanks: Option<Vec<usize>>,
    /// How an encoder fills several blanks.
    pub fill: Fill,
    /// How the next token is drawn.
    pub sampling: Sampling,
    /// How many candidates come with a step.
    pub candidates: Option<usize>,
    /// The token of the language to answer in, where a model has such tokens.
    pub language: Option<u32>,
    /// The token of the language that the text is in, where a model's source names it (mBART). Ids stay as
    /// they are.
    pub source_language: Option<u32>,
    /// Masks instead of the model's own.
    pub mask: MaskFile,
    /// Factors of heads.
    pub gates: Gates,
    /// What to bring back.
    pub watch: Watch,
}

/// How an encoder fills several blanks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fill {
    /// All from one forward pass, each as if alone.
    #[default]
    Parallel,
    /// The surest first, then read again.
    Confidence,
}

/// Factors of the heads' outputs, `[layer][head]`; an absent site has 1 everywhere.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(remote = "Self", default, deny_unknown_fields)]
pub struct Gates {
    /// Encoder self-attention.
    pub encoder: Option<Vec<Vec<f32>>>,
    /// Decoder self-attention.
    pub decoder: Option<Vec<Vec<f32>>>,
    /// Cross-attention.
    pub cross: Option<Vec<Vec<f32>>>,
}

/// All of something, or named ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "SelectSource")]
pub enum Select {
    /// Every one.
    #[default]
    All,
    /// These.
    These(Vec<usize>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum SelectSource {
    Word(All),
    These(Vec<usize>),
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum All {
    All,
}

impl From<SelectSource> for Select {
    fn from(source: SelectSource) -> Select {
        match source {
            SelectSource::Word(All::All) => Select::All,
            SelectSource::These(these) => Select::These(these),
        }
    }
}

impl Select {
    /// Whether it is chosen.
    pub fn has(&self, number: usize) -> bool {
        match self {
            Select::All => true,
            Select::These(these) => these.contains(&number),
        }
    }

    /// The chosen ones among `0..count`, ascending; what lies beyond is left out.
    pub fn among(&self, count: usize) -> Vec<usize> {
        (0..count).filter(|number| self.has(*number)).collect()
    }

    fn check(&self, count: usize, what: &str) -> Result<()> {
        let Select::These(these) = self else { return Ok(()) };
        match these.iter().max() {
            Some(last) if *last >= count => {
                let expected = format!("{what} below {count}");
                Err(Error::input(format!("watched {what}"), expected, last.to_string()))
            }
            _ => Ok(()),
        }
    }
}

/// What can be watched, by its name in requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Watchable {
    /// Probabilities.
    Attention,
    /// Before the softmax.
    Scores,
    /// Queries.
    Queries,
    /// Keys.
    Keys,
    /// Values.
    Values,
    /// The stream between blocks.
    Hidden,
    /// Over the vocabulary.
    Logits,
}

impl Watchable {
    /// The graph's word for it.
    pub fn what(self) -> What {
        match self {
            Watchable::Attention => What::Attention,
            Watchable::Scores => What::Scores,
            Watchable::Queries => What::Queries,
            Watchable::Keys => What::Keys,
            Watchable::Values => What::Values,
            Watchable::Hidden => What::Hidden,
            Watchable::Logits => What::Logits,
        }
    }
}

/// A watch set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(remote = "Self", default, deny_unknown_fields)]
pub struct Watch {
    /// Layers; for hidden states the number of blocks passed.
    pub layers: Select,
    /// Heads, for attention and scores.
    pub heads: Select,
    /// Rows.
    pub rows: Select,
    /// What.
    pub what: Vec<Watchable>,
}

impl Watch {
    /// Whether this is asked for.
    pub fn has(&self, what: What) -> bool {
        self.what.iter().any(|watchable| watchable.what() == what)
    }

    /// Refuses what none of a model's stacks has. Where stacks differ each tells of what it has.
    fn check(&self, spec: &Spec, rows: usize) -> Result<()> {
        let most = |of: fn(&Stack) -> usize| of(&spec.encoder).max(of(&spec.decoder));
        let layers = most(|stack| stack.layers) + usize::from(self.has(What::Hidden));
        self.layers.check(layers, "layer")?;
        self.heads.check(most(|stack| stack.heads), "head")?;
        self.rows.check(rows, "row")
    }
}

/// A blank that an answer fills (GLM). Rows of the source stand at their own place, and at 0 within
/// the answer; rows of the answer stand at the blank's place, and at 1, 2 .. within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blank {
    /// Rows of the source.
    pub source: usize,
    /// Row of the blank.
    pub place: usize,
}

impl Blank {
    /// The position of a row in a stream.
    pub fn position(self, row: usize, stream: usize) -> usize {
        match (row.checked_sub(self.source), stream) {
            (None, 0) => row,
            (None, _) => 0,
            (Some(_), 0) => self.place,
            (Some(within), _) => within + 1,
        }
    }
}

/// What one stack reads, of one variant.
#[derive(Clone, Debug, PartialEq)]
pub struct StackInput {
    /// Ids, a row each.
    pub ids: Vec<u32>,
    /// Segments, a row each; empty means 0.
    pub segments: Vec<u32>,
    /// Self-attention's mask.
    pub mask: Mask,
    /// Cross-attention's mask, where there is one.
    pub cross: Option<Mask>,
    /// Rows of the memory.
    pub memory: usize,
    /// Where rows have two positions: what is being filled.
    pub blank: Option<Blank>,
    /// Self-attention's gates `[layer][head]`; empty means 1.
    pub gates: Vec<f32>,
    /// Cross-attention's gates.
    pub cross_gates: Vec<f32>,
}

/// A request held against a model: nothing in it can be out of range any more.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// What the encoder reads.
    pub encoder: Option<StackInput>,
    /// What the decoder reads.
    pub decoder: Option<StackInput>,
    /// The input as shown; encoder-decoder: the source.
    pub tokens: Vec<Token>,
    /// Where the source ends.
    pub source_length: usize,
    /// Tokens that were cut.
    pub truncated: usize,
    /// Encoder-decoder: the start tokens at the head of what the decoder reads.
    pub start_length: usize,
}

impl Resolved {
    /// The stack that makes logits.
    pub fn output(&self) -> &StackInput {
        match (&self.decoder, &self.encoder) {
            (Some(stack), _) | (None, Some(stack)) => stack,
            (None, None) => unreachable!("resolve fills one of them"),
        }
    }

    /// The stack that makes logits, to be extended.
    pub fn output_mut(&mut self) -> &mut StackInput {
        match (&mut self.decoder, &mut self.encoder) {
            (Some(stack), _) | (None, Some(stack)) => stack,
            (None, None) => unreachable!("resolve fills one of them"),
        }
    }

    /// Where the answer begins in the output stack.
    pub fn answer_start(&self) -> usize {
        if self.encoder.is_some() { self.start_length } else { self.source_length }
    }
}

/// Holds a request against a model.
pub fn resolve(spec: &Spec, tokenizer: &Tokenizer, request: &Request) -> Result<Resolved> {
    request.sampling.check()?;
    let room = spec.max_positions;
    let start = start_ids(spec, request)?;
    let target = target_ids(spec, request, &start)?;
    let language =
        request.language.filter(|_| spec.template.language == Some(LanguagePlace::Source));
    let template = template(spec, request)?;
    let (mut tokens, mut segments, mut truncated) = match (&request.text, &request.ids) {
        (Some(_), Some(_)) => {
            return Err(Error::input("request", "a text or ids", "both"));
        }
        (None, None) => return Err(Error::input("request", "a text or ids", "neither")),
        (Some(text), None) => {
            // A source leaves room for its answer, up to half of the context.
            let reserve = match spec.architecture {
                Architecture::Causal | Architecture::Prefix => target
                    .len()
                    .max(1)
                    .max(request.max_new_tokens.unwrap_or(NEW_TOKENS).min(room / 2)),
                _ => usize::from(language.is_some()),
            };
            let room = room.saturating_sub(reserve);
            let mut input = tokenizer.input(&template, text, request.pair.as_deref(), room)?;
            if let Some(id) = language {
                input.tokens.insert(0, tokenizer.token(id));
                input.segments.insert(0, 0);
            }
            // A model with one segment (RoBERTa) reads both sentences of a pair in it.
            let last = spec.segments.saturating_sub(1) as u32;
            let segments = input.segments.iter().map(|segment| *segment.min(&last)).collect();
            (input.tokens, segments, input.truncated)
        }
        (None, Some(ids)) => {
            if request.pair.is_some() {
                return Err(Error::input("pair", "a text beside it", "ids"));
            }
            check_ids(spec, "ids", ids)?;
            if ids.is_empty() {
                return Err(Error::input("ids", "at least one", "none"));
            }
            let kept = ids.len().min(room);
            let tokens = ids[..kept].iter().map(|id| tokenizer.token(*id)).collect();
            (tokens, Vec::new(), ids.len() - kept)
        }
    };
    let mut source_length = request.source_length.unwrap_or(tokens.len());
    if source_length > tokens.len() {
        let expected = format!("at most the {} tokens", tokens.len());
        return Err(Error::input("source length", expected, source_length.to_string()));
    }
    let is_encoder_decoder = spec.architecture == Architecture::EncoderDecoder;
    if spec.architecture == Architecture::Encoder {
        // Ids of a pair: the second text begins where the first one, with its separator, ends.
        if request.ids.is_some() && spec.segments > 1 && source_length < tokens.len() {
            let [first, second] = spec.template.segments.unwrap_or([0, 1]);
            let of = |row: usize| if row < source_length { first } else { second };
            segments = (0..tokens.len()).map(of).collect();
        }
        source_length = tokens.len();
    } else if !is_encoder_decoder {
        tokens.extend(target.iter().map(|id| tokenizer.token(*id)));
        segments.clear();
        if tokens.len() > room {
            truncated += tokens.len() - room;
            tokens.truncate(room);
            source_length = source_length.min(room);
        }
    }
    let mask = |site: Site| -> Result<Mask> {
        let rule = spec.architecture.rule(site, source_length);
        let given: Option<&MaskSource> = match site {
            Site::Encoder => request.mask.encoder.as_ref(),
            Site::Decoder => request.mask.decoder.as_ref(),
            Site::Cross => request.mask.cross.as_ref(),
        };
        let stack = spec.stack(site);
        if given.is_some() && !spec.sites().contains(&site) {
            let what = format!("mask of `{}`", site.name());
            let got = format!("an architecture `{}`", spec.architecture.name());
            return Err(Error::input(what, "a model that has this attention", got));
        }
        let mask = given.map_or_else(|| Ok(rule.clone().into()), |given| given.mask(&rule))?;
        for edit in &mask.edits {
            let beyond = |value: Option<usize>, most: usize| value.is_some_and(|v| v >= most);
            if beyond(edit.layer, stack.layers)
                || beyond(edit.head, stack.heads)
                || edit.row >= room
                || edit.key >= room
            {
                let expected = format!(
                    "row and key below {room}, layer below {}, head below {}",
                    stack.layers, stack.heads
                );
                return Err(Error::input("mask edit", expected, format!("{edit:?}")));
            }
        }
        Ok(mask)
    };
    let gates = |site: Site, given: &Option<Vec<Vec<f32>>>| -> Result<Vec<f32>> {
        let Some(given) = given else { return Ok(Vec::new()) };
        let stack = spec.stack(site);
        let layers = if spec.sites().contains(&site) { stack.layers } else { 0 };
        let fits = given.len() == layers && given.iter().all(|row| row.len() == stack.heads);
        if !fits || given.iter().flatten().any(|gate| !gate.is_finite()) {
            let what = format!("gates of `{}`", site.name());
            let expected = format!("{layers} rows of {} finite numbers", stack.heads);
            let lengths: Vec<usize> = given.iter().map(Vec::len).collect();
            return Err(Error::input(what, expected, format!("rows of {lengths:?}")));
        }
        Ok(given.concat())
    };
    let ids: Vec<u32> = tokens.iter().map(|token| token.id).collect();
    check_blanks(spec, request, &ids)?;
    let (mut encoder, mut decoder) = (None, None);
    let memory = ids.len();
    let self_input = |site: Site, ids: Vec<u32>, segments: Vec<u32>, given| -> Result<StackInput> {
        Ok(StackInput {
            ids,
            segments,
            mask: mask(site)?,
            cross: None,
            memory: 0,
            blank: None,
            gates: gates(site, given)?,
            cross_gates: Vec::new(),
        })
    };
    if spec.encoder.layers > 0 {
        encoder = Some(self_input(Site::Encoder, ids.clone(), segments, &request.gates.encoder)?);
    } else {
        mask(Site::Encoder)?;
        gates(Site::Encoder, &request.gates.encoder)?;
    }
    if spec.decoder.layers > 0 {
        let ids = if is_encoder_decoder {
            let kept = target.len().min(room);
            truncated += target.len() - kept;
            target[..kept].to_vec()
        } else {
            ids
        };
        let mut input = self_input(Site::Decoder, ids, Vec::new(), &request.gates.decoder)?;
        if spec.decoder.positions.streams() > 1 {
            let source = &input.ids[..source_length];
            let main = |id: &u32| spec.template.main_blank == Some(*id);
            let any = |id: &u32| spec.template.blanks.contains(id);
            let place = source.iter().position(main).or_else(|| source.iter().position(any));
            let place = place.unwrap_or(source.len().saturating_sub(1));
            input.blank = Some(Blank { source: source.len(), place });
        }
        if is_encoder_decoder {
            input.cross = Some(mask(Site::Cross)?);
            input.memory = memory;
            input.cross_gates = gates(Site::Cross, &request.gates.cross)?;
        }
        decoder = Some(input);
    } else {
        mask(Site::Decoder)?;
        gates(Site::Decoder, &request.gates.decoder)?;
    }
    if !is_encoder_decoder {
        mask(Site::Cross)?;
        gates(Site::Cross, &request.gates.cross)?;
    }
    let rows = |input: &Option<StackInput>| input.as_ref().map_or(0, |input| input.ids.len());
    request.watch.check(spec, rows(&encoder).max(rows(&decoder)))?;
    let start_length = start.len();
    Ok(Resolved { encoder, decoder, tokens, source_length, truncated, start_length })
}

/// The model's template, with the language that the text is said to be in.
fn template<'a>(spec: &'a Spec, request: &Request) -> Result<Cow<'a, Template>> {
    let Some(language) = request.source_language else { return Ok(Cow::Borrowed(&spec.template)) };
    let wrong =
        |expected: String| Err(Error::input("source language", expected, language.to_string()));
    let Some((own, _)) = spec.template.source_language() else {
        return wrong("a model whose source names its language".into());
    };
    if spec.template.language_of(language).is_none() {
        let count = spec.template.languages.len();
        return wrong(format!("one of its {count} tokens of languages"));
    }
    let mut template = spec.template.clone();
    for slot in &mut template.source {
        if *slot == Slot::Token(*own) {
            *slot = Slot::Token(language);
        }
    }
    Ok(Cow::Owned(template))
}

/// What an answer starts with: the template's start, in the language that was asked for.
fn start_ids(spec: &Spec, request: &Request) -> Result<Vec<u32>> {
    let mut start = spec.template.start.clone();
    let Some(language) = request.language else { return Ok(start) };
    let is_language = |id: &u32| spec.template.language_of(*id).is_some();
    if !is_language(&language) {
        let expected = match spec.template.languages.as_slice() {
            [] => "a model with tokens of languages".to_string(),
            all => format!("one of its {} tokens of languages", all.len()),
        };
        return Err(Error::input("language", expected, language.to_string()));
    }
    if spec.template.language == Some(LanguagePlace::Start) {
        if start.last().is_some_and(is_language) {
            start.pop();
        }
        start.push(language);
    }
    Ok(start)
}

/// The answer so far, with the decoder's start where the architecture has one.
fn target_ids(spec: &Spec, request: &Request, start: &[u32]) -> Result<Vec<u32>> {
    check_ids(spec, "target ids", &request.target_ids)?;
    match spec.architecture {
        Architecture::Encoder if !request.target_ids.is_empty() => {
            Err(Error::input("target ids", "a model that generates", "an encoder"))
        }
        Architecture::EncoderDecoder | Architecture::Prefix
            if !request.target_ids.starts_with(start) =>
        {
            Ok([start, &request.target_ids].concat())
        }
        _ => Ok(request.target_ids.clone()),
    }
}

fn check_blanks(spec: &Spec, request: &Request, ids: &[u32]) -> Result<()> {
    let mask = spec.special.mask.filter(|_| !spec.generates());
    let is_blank = |row: &usize| mask.is_some() && ids.get(*row).copied() == mask;
    match request.blanks.iter().flatten().find(|row| !is_blank(row)) {
        None => Ok(()),
        Some(row) => {
            let expected = "rows of an encoder's input that hold [MASK]";
            Err(Error::input("blanks", expected, format!("row {row}")))
        }
    }
}

fn check_ids(spec: &Spec, what: &str, ids: &[u32]) -> Result<()> {
    match ids.iter().find(|id| **id as usize >= spec.vocabulary) {
        None => Ok(()),
        Some(id) => {
            let expected = format!("below the vocabulary of {}", spec.vocabulary);
            Err(Error::input(what, expected, id.to_string()))
        }
    }
}
