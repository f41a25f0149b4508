//! GLM-4 as Hugging Face stores it: LLaMA with biases on queries, keys and values, half of each head
//! turned by neighbouring columns, gate and up in one matrix. Like all of its line since ChatGLM2 it
//! masks causally; GLM's prefix was for pre-training, and a request can ask for it (`prefix:N`).

use serde_json::Value as Json;

use super::settings::Settings;
use super::{Family, Has, glm_blank, llama};
use crate::error::Result;
use crate::graph::Pairing;
use crate::spec::{Biases, Head, Positions, Spec};
use crate::weights::Stored;

/// `model_type: "glm"`, a name that the first GLM has as well.
pub const FAMILY: Family = Family { model_types: &[("glm", "GLM-4")], spec, stored, heads: None };

fn spec(json: &Json) -> Result<Spec> {
    if glm_blank::is(json) {
        return glm_blank::spec(json);
    }
    let settings = Settings::new(json)?;
    settings.class(&["GlmForCausalLM", "GlmModel"])?;
    let mut spec = llama::decoder(&settings, "glm", Some(128), 0.5)?;
    if let Positions::Rotary(rotary) = &mut spec.decoder.positions {
        rotary.pairing = Pairing::Neighbours;
    }
    spec.decoder.biases = Biases {
        query_key_value: settings.flag_or("attention_bias", true)?,
        attention_output: false,
        feed_forward: false,
    };
    spec.head = Some(Head::plain(settings.flag_or("tie_word_embeddings", false)?));
    settings.finish(&[])?;
    Ok(spec)
}

fn stored(spec: &Spec, name: &str, has: Has<'_>) -> Stored {
    if glm_blank::is_spec(spec) {
        return glm_blank::stored(spec, name, has);
    }
    let inner = spec.decoder.feed_forward_width;
    let both = |name: &str| name.replace(".gate.", ".gate_up.").replace(".up.", ".gate_up.");
    let stored = llama::stored(spec, &both(name), has);
    match name.rsplit('.').nth(1) {
        Some("gate") => stored.rows(2 * inner, std::iter::once(0..inner)),
        Some("up") => stored.rows(2 * inner, std::iter::once(inner..2 * inner)),
        _ => stored,
    }
}
