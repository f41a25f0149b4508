//! What a model can be asked for, and whether it was trained to do it: read off its heads, its
//! template and what its config says of its training. What its files leave open is said to be open.

use serde::Serialize;

use crate::spec::{Architecture, LanguagePlace, OutputHead, Spec};
use crate::tokenizer::Tokenizer;

/// Something that a model can be asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Task {
    /// What.
    pub task: Kind,
    /// Whether it was trained to do it.
    pub trained: Trained,
    /// What may stand before the text to ask for it (T5).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<String>,
    /// How a blank is written in the text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blanks: Vec<String>,
    /// The languages that it can be told to answer in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub languages: Vec<Language>,
    /// The language that a text is taken to be in where a request names no other of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_language: Option<Language>,
    /// What its classes are called.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Whether it takes a second sentence.
    pub pair: bool,
}

/// The tasks, by their names on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Put words in place of blanks, one a blank.
    Fill,
    /// Say whether two sentences belong together.
    Pair,
    /// Say which tokens were replaced.
    Replaced,
    /// Say which class a text is of.
    Classify,
    /// Read only: there is no head that says anything.
    Read,
    /// Write on.
    Continue,
    /// Write what a blank of any length hides.
    Infill,
    /// Say it in another language.
    Translate,
    /// Say it in fewer words.
    Summarise,
}

/// Whether a model was trained to do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trained {
    /// It was.
    Yes,
    /// It was not, and does something else when it is asked.
    No,
    /// Its files do not say.
    Untold,
}

/// A language that a model can be told to answer in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Language {
    /// The token that tells it.
    pub id: u32,
    /// As the token spells it: `fr_XX`, `fra`.
    pub code: String,
}

impl Task {
    fn new(task: Kind, trained: Trained) -> Task {
        Task {
            task,
            trained,
            prefixes: Vec::new(),
            blanks: Vec::new(),
            languages: Vec::new(),
            source_language: None,
            labels: Vec::new(),
            pair: false,
        }
    }
}

/// What a model can be asked for, what it was trained for first.
pub fn tasks(spec: &Spec, tokenizer: &Tokenizer) -> Vec<Task> {
    let mut all = match spec.architecture {
        Architecture::Encoder => of_encoder(spec),
        Architecture::EncoderDecoder => of_two_stacks(spec, tokenizer),
        Architecture::Causal | Architecture::Prefix => of_decoder(spec, tokenizer),
    };
    all.sort_by_key(|task| task.trained != Trained::Yes);
    all
}

fn of_encoder(spec: &Spec) -> Vec<Task> {
    let pair = !spec.template.pair.is_empty();
    let mut all = Vec::new();
    if spec.head.is_some() && spec.special.mask.is_some() {
        all.push(Task::new(Kind::Fill, Trained::Yes));
    }
    for head in &spec.output_heads {
        match head {
            OutputHead::Pair { .. } if pair => {
                all.push(Task { pair, ..Task::new(Kind::Pair, Trained::Yes) });
            }
            OutputHead::Pair { .. } => {}
            OutputHead::Replaced { .. } => all.push(Task::new(Kind::Replaced, Trained::Yes)),
            OutputHead::Classes { .. } => {
                let labels = spec.labels.clone();
                all.push(Task { pair, labels, ..Task::new(Kind::Classify, Trained::Yes) });
            }
        }
    }
    if all.is_empty() {
        all.push(Task { pair, ..Task::new(Kind::Read, Trained::Untold) });
    }
    all
}

fn of_decoder(spec: &Spec, tokenizer: &Tokenizer) -> Vec<Task> {
    if spec.languages.is_some() {
        return vec![Task::new(Kind::Translate, Trained::Yes)];
    }
    let first = match spec.template.blanks.is_empty() {
        true => Task::new(Kind::Continue, Trained::Yes),
        false => infill(spec, tokenizer),
    };
    // Only what a text asks for in words, and it was trained to go on with texts.
    vec![first, Task::new(Kind::Translate, Trained::No), Task::new(Kind::Summarise, Trained::No)]
}

fn of_two_stacks(spec: &Spec, tokenizer: &Tokenizer) -> Vec<Task> {
    let mut all = Vec::new();
    let objective = spec.objective.as_deref().unwrap_or_default();
    let is_named = |prefix: &&String| prefix.to_lowercase().starts_with("translate");
    let named = &spec.template.prefixes;
    let (translate, others): (Vec<&String>, Vec<&String>) = named.iter().partition(is_named);
    let told = if objective == "text to text" { Trained::Yes } else { Trained::Untold };
    // Where a config names no task: the best known spellings, to be tried.
    let or = |named: Vec<&String>, example: &str| match named.as_slice() {
        [] => vec![example.to_string()],
        _ => named.into_iter().cloned().collect(),
    };
    match objective {
        "text to text" | "spans" => {
            let translate = or(translate, "translate English to German: ");
            all.push(Task { prefixes: translate, ..Task::new(Kind::Translate, told) });
            let others = or(others, "summarize: ");
            all.push(Task { prefixes: others, ..Task::new(Kind::Summarise, told) });
        }
        "denoising" => all.push(Task::new(Kind::Summarise, Trained::Untold)),
        _ => {
            let languages = &spec.template.languages;
            let code = |(id, code): &(u32, String)| Language { id: *id, code: code.clone() };
            // A model of many languages that names none to begin with may not have been tuned yet.
            let is_language = |id: &u32| spec.template.language_of(*id).is_some();
            let open = spec.template.language == Some(LanguagePlace::Start)
                && !spec.template.start.iter().any(is_language);
            let trained = if open { Trained::Untold } else { Trained::Yes };
            all.push(Task {
                languages: languages.iter().map(code).collect(),
                source_language: spec.template.source_language().map(code),
                ..Task::new(Kind::Translate, trained)
            });
        }
    }
    if !spec.template.blanks.is_empty() && spec.languages.is_none() {
        all.push(infill(spec, tokenizer));
    }
    all
}

fn infill(spec: &Spec, tokenizer: &Tokenizer) -> Task {
    let spelled = spec.template.blanks.iter().map(|id| tokenizer.token(*id).piece);
    Task { blanks: spelled.collect(), ..Task::new(Kind::Infill, Trained::Yes) }
}
