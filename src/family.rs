//! Families rename at the border: a `config.json` becomes a [`Spec`], and each of our tensor names
//! becomes theirs. Past this border nobody knows the word BERT.
//!
//! To add a family: one file in `family/`, one line in [`FAMILIES`], one folder of golden numbers.

mod albert;
mod bart;
mod bert;
mod chatglm;
mod chatglm_first;
mod distilbert;
mod electra;
mod gemma;
pub mod generation;
mod glm;
mod glm_blank;
mod gpt2;
mod gpt_neox;
mod llama;
mod names;
mod palm;
mod qwen;
mod roberta;
mod rope;
mod settings;
mod t5;
mod unmasked;

use serde_json::Value as Json;

use crate::error::{Error, Result};
use crate::graph::Activation;
use crate::spec::{Head, OutputHead, Spec};
use crate::weights::Stored;

/// Whether a checkpoint has a tensor of a name.
pub type Has<'a> = &'a dyn Fn(&str) -> bool;

/// A kin of checkpoints.
#[derive(Debug)]
pub struct Family {
    /// The `model_type`s it reads, each with the name that people know it by.
    pub model_types: &'static [(&'static str, &'static str)],
    /// `config.json` -> architecture. Unknown settings are refused by name.
    pub spec: fn(&Json) -> Result<Spec>,
    /// Our tensor name -> where the checkpoint stores it; the last argument says which names it has.
    pub stored: fn(&Spec, &str, Has<'_>) -> Stored,
    /// Adds the heads that a checkpoint has and its config's class does not name.
    pub heads: Option<fn(&mut Spec, Has<'_>)>,
}

impl Family {
    /// Whether a checkpoint has all of these tensors of ours, wherever it keeps them.
    fn has_all(&self, spec: &Spec, has: Has<'_>, names: &[&str]) -> bool {
        names.iter().all(|name| has(&(self.stored)(spec, name, has).name))
    }

    /// The head that fills blanks and the one that judges pairs, where a checkpoint has them. Where a head of classes
    /// is named, the two are what is left of an earlier training.
    fn find_both_heads(&self, spec: &mut Spec, has: Has<'_>, task_of_pairs: &str) {
        if spec.has_classes() {
            return;
        }
        spec.head = spec.head.or_else(|| self.filling(spec, has, spec.encoder.activation));
        let pairs = self.has_all(spec, has, &["output.pool.weight", "output.pair.weight"]);
        if spec.output_heads.is_empty() && pairs {
            spec.output_heads = vec![OutputHead::Pair { pool: Some(Activation::Tanh) }];
        }
        spec.objective =
            objective(spec.head.is_some(), !spec.output_heads.is_empty(), task_of_pairs);
    }

    /// A head that fills blanks, where a checkpoint has what it takes.
    fn filling(&self, spec: &Spec, has: Has<'_>, transform: Activation) -> Option<Head> {
        let parts = ["head.transform.weight", "head.transform.norm.weight", "head.bias"];
        // A tied matrix is not stored, and one that is stored is the one to use.
        let tied = !self.has_all(spec, has, &["head.weight"]);
        let head = Head { bias: true, transform: Some(transform), ..Head::plain(tied) };
        self.has_all(spec, has, &parts).then_some(head)
    }
}

/// What an encoder with these heads was trained for.
fn objective(fills: bool, pairs: bool, task_of_pairs: &str) -> Option<String> {
    match (fills, pairs) {
        (true, true) => Some(format!("masked tokens and {task_of_pairs}")),
        (true, false) => Some("masked tokens".into()),
        (false, true) => Some(task_of_pairs.into()),
        (false, false) => None,
    }
}

/// All families that can be opened.
pub const FAMILIES: &[Family] = &[
    unmasked::FAMILY,
    albert::FAMILY,
    bart::FAMILY,
    bert::FAMILY,
    chatglm::FAMILY,
    distilbert::FAMILY,
    electra::FAMILY,
    gemma::FAMILY,
    glm::FAMILY,
    gpt2::FAMILY,
    gpt_neox::FAMILY,
    llama::FAMILY,
    palm::FAMILY,
    qwen::FAMILY,
    roberta::FAMILY,
    t5::FAMILY,
];

/// Reads a `config.json` and finds its family.
pub fn recognise(config: &[u8]) -> Result<(Spec, &'static Family)> {
    let json: Json = serde_json::from_slice(config)
        .map_err(|error| Error::config("`config.json`", "JSON", error.to_string()))?;
    let known = || {
        let all = FAMILIES.iter().flat_map(|family| family.model_types);
        all.map(|(model_type, _)| *model_type).collect::<Vec<&str>>().join(", ")
    };
    let Some(model_type) = json.get("model_type").and_then(Json::as_str) else {
        return Err(Error::config("setting `model_type`", known(), "nothing"));
    };
    let find = |family: &'static Family| {
        let known = family.model_types.iter().find(|(known, _)| *known == model_type);
        known.map(|(_, name)| (family, *name))
    };
    let (family, name) = FAMILIES.iter().find_map(find).ok_or_else(|| {
        let got = format!("`{}`", model_type.escape_debug());
        Error::config("setting `model_type`", known(), got)
    })?;
    let mut spec = (family.spec)(&json)?;
    if spec.name.is_empty() {
        spec.name = name.into();
    }
    spec.check()?;
    Ok((spec, family))
}
