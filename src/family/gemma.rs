//! Gemma (the first): LLaMA with a wide head, scaled embeddings and gains stored less one.

use serde_json::Value as Json;

use super::settings::Settings;
use super::{Family, llama};
use crate::error::Result;
use crate::spec::{Biases, Head, Spec};

/// `model_type: "gemma"`.
pub const FAMILY: Family =
    Family { model_types: &[("gemma", "Gemma")], spec, stored: llama::stored };

fn spec(json: &Json) -> Result<Spec> {
    let settings = Settings::new(json)?;
    settings.class(&["GemmaForCausalLM"])?;
    let mut spec = llama::decoder(&settings, "gemma", Some(256), 1.0)?;
    settings.only("use_bidirectional_attention", false)?;
    spec.decoder.activation = match settings.word("hidden_activation")? {
        Some(_) => settings.activation("hidden_activation", "gelu_pytorch_tanh")?,
        None => settings.activation("hidden_act", "gelu_pytorch_tanh")?,
    };
    spec.decoder.norm.offset = 1.0;
    spec.embedding_scale = (spec.width as f32).sqrt();
    let bias = settings.flag_or("attention_bias", false)?;
    spec.decoder.biases =
        Biases { query_key_value: bias, attention_output: bias, feed_forward: false };
    spec.head = Some(Head::plain(settings.flag_or("tie_word_embeddings", true)?));
    settings.finish(&[])?;
    Ok(spec)
}
