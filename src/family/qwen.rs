//! Qwen 2 (2.5) and 3: LLaMA with biases on queries, keys and values, or with their norms.

use serde_json::Value as Json;

use super::settings::Settings;
use super::{Family, llama};
use crate::error::Result;
use crate::spec::{Biases, Head, Spec};

/// `model_type: "qwen2"` and `"qwen3"`.
pub const FAMILY: Family = Family {
    model_types: &[("qwen2", "Qwen2"), ("qwen3", "Qwen3")],
    spec,
    stored: llama::stored,
    heads: None,
};

const WITHOUT_EFFECT: &[(&str, &[&str])] =
    &[("a window that is not in use", &["sliding_window", "max_window_layers"])];

fn spec(json: &Json) -> Result<Spec> {
    let settings = Settings::new(json)?;
    let class =
        settings.class(&["Qwen2ForCausalLM", "Qwen3ForCausalLM", "Qwen2Model", "Qwen3Model"])?;
    let is_third = json["model_type"] == "qwen3" || class.starts_with("Qwen3");
    let (family, head_width) = if is_third { ("qwen3", Some(128)) } else { ("qwen2", None) };
    let mut spec = llama::decoder(&settings, family, head_width, 1.0)?;
    settings.only("use_sliding_window", false)?;
    settings.only("use_mrope", false)?;
    settings.only_each("layer_types", "full_attention")?;
    let bias = is_third && settings.flag_or("attention_bias", false)?;
    spec.decoder.query_key_norm = is_third;
    spec.decoder.biases =
        Biases { query_key_value: bias || !is_third, attention_output: bias, feed_forward: false };
    spec.head = Some(Head::plain(settings.flag_or("tie_word_embeddings", false)?));
    settings.finish(WITHOUT_EFFECT)?;
    Ok(spec)
}
