//! Gemma (the first): LLaMA with a wide head, scaled embeddings and gains stored less one.

use serde_json::Value as Json;

use super::settings::{self, Settings};
use super::{Family, llama};
use crate::error::Result;
use crate::graph::Activation;
use crate::spec::{Biases, Head, Spec};

/// `model_type: "gemma"`.
pub const FAMILY: Family =
    Family { model_types: &[("gemma", "Gemma")], spec, stored: llama::stored, heads: None };

fn spec(json: &Json) -> Result<Spec> {
    let settings = Settings::new(json)?;
    settings.class(&["GemmaForCausalLM", "GemmaModel"])?;
    let mut spec = llama::decoder(&settings, "gemma", Some(256), 1.0)?;
    settings.only("use_bidirectional_attention", false)?;
    spec.decoder.activation = activation(&settings)?;
    spec.decoder.norm.offset = 1.0;
    spec.embedding_scale = (spec.width as f32).sqrt();
    let bias = settings.flag_or("attention_bias", false)?;
    spec.decoder.biases =
        Biases { query_key_value: bias, attention_output: bias, feed_forward: false };
    spec.head = Some(Head::plain(settings.flag_or("tie_word_embeddings", true)?));
    settings.finish(&[])?;
    Ok(spec)
}

/// The first files say "gelu" and mean its tanh approximation, by which the model was trained.
///
/// The reference has read these settings in two ways. Version 5.23 obeys `hidden_act`, takes "gelu" for
/// the approximation, and knows no `hidden_activation`; versions between its changes 29402 and 35235
/// obeyed that one, null being the approximation. Where the two would differ, the file is refused.
fn activation(settings: &Settings<'_>) -> Result<Activation> {
    const APPROXIMATION: &str = "gelu_pytorch_tanh";
    let act = match settings.word("hidden_act")? {
        Some("gelu") => APPROXIMATION,
        other => other.unwrap_or(APPROXIMATION),
    };
    settings.only("hidden_activation", act)?;
    settings::activation("hidden_act", act)
}
