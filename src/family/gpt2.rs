//! GPT-2: pre-norm, learned positions, one matrix for queries, keys and values, stored `[in, out]`.

use serde_json::Value as Json;

use super::names::{Row, find};
use super::settings::Settings;
use super::{Family, Has};
use crate::error::Result;
use crate::spec::{Architecture, Head, Norm, Order, Spec, Stack, Template};
use crate::weights::Stored;

/// `model_type: "gpt2"`.
pub const FAMILY: Family = Family { model_types: &[("gpt2", "GPT-2")], spec, stored, heads: None };

const NAMES: &[Row] = &[
    ("token", "transformer.wte"),
    ("decoder.position", "transformer.wpe"),
    ("decoder.layers.{}.attention.norm", "transformer.h.{}.ln_1"),
    ("decoder.layers.{}.attention.query", "transformer.h.{}.attn.c_attn"),
    ("decoder.layers.{}.attention.key", "transformer.h.{}.attn.c_attn"),
    ("decoder.layers.{}.attention.value", "transformer.h.{}.attn.c_attn"),
    ("decoder.layers.{}.attention.output", "transformer.h.{}.attn.c_proj"),
    ("decoder.layers.{}.feed_forward.norm", "transformer.h.{}.ln_2"),
    ("decoder.layers.{}.feed_forward.up", "transformer.h.{}.mlp.c_fc"),
    ("decoder.layers.{}.feed_forward.down", "transformer.h.{}.mlp.c_proj"),
    ("decoder.norm", "transformer.ln_f"),
    ("head", "lm_head"),
];

const WITHOUT_EFFECT: &[(&str, &[&str])] = &[
    (
        "heads of GPT-2 that are not a language model's",
        &["summary_type", "summary_use_proj", "summary_activation", "summary_proj_to_labels"],
    ),
    ("half precision: computed here in f32 throughout", &["reorder_and_upcast_attn"]),
    ("n_positions again", &["n_ctx"]),
];

fn spec(json: &Json) -> Result<Spec> {
    let settings = Settings::new(json)?;
    settings.class(&["GPT2LMHeadModel", "GPT2Model"])?;
    settings.only("is_encoder_decoder", false)?;
    settings.only("is_decoder", false)?;
    settings.only("add_cross_attention", false)?;
    let width = settings.count_or("n_embd", 768)?;
    let heads = settings.count_or("n_head", 12)?;
    let head_width = settings.head_width("n_head", heads, width)?;
    let layers = settings.count_or("n_layer", 12)?;
    let inner = settings.count_or("n_inner", 4 * width)?;
    let plain = Stack::plain(layers, heads, head_width, inner);
    let scaled = settings.flag_or("scale_attn_weights", true)?;
    let epsilon = settings.number_or("layer_norm_epsilon", 1e-5)? as f32;
    let (special, ends) = settings.special()?;
    let spec = Spec {
        vocabulary: settings.count_or("vocab_size", 50257)?,
        max_positions: settings.count_or("n_positions", 1024)?,
        decoder: Stack {
            scale: if scaled { plain.scale } else { 1.0 },
            scale_by_depth: settings.flag_or("scale_attn_by_inverse_layer_idx", false)?,
            activation: settings.activation("activation_function", "gelu_new")?,
            norm: Norm { epsilon, ..plain.norm },
            order: Order::Pre,
            final_norm: true,
            ..plain
        },
        head: Some(Head::plain(settings.flag_or("tie_word_embeddings", true)?)),
        special,
        template: Template { ends, ..Template::default() },
        objective: Some("next token".into()),
        ..Spec::plain("gpt2", Architecture::Causal, width)
    };
    settings.finish(WITHOUT_EFFECT)?;
    Ok(spec)
}

fn stored(spec: &Spec, name: &str, has: Has<'_>) -> Stored {
    let stored = Stored::plain(find(NAMES, "transformer.", name, has));
    let (stem, kind) = name.rsplit_once('.').unwrap_or((name, ""));
    let linear = stem.rsplit('.').next().unwrap_or_default();
    let is_linear = stem.starts_with("decoder.layers.") && linear != "norm";
    let stored = if is_linear && kind == "weight" { stored.transposed() } else { stored };
    match ["query", "key", "value"].iter().position(|part| *part == linear) {
        Some(part) => {
            let rows = part * spec.width..(part + 1) * spec.width;
            stored.rows(3 * spec.width, std::iter::once(rows))
        }
        None => stored,
    }
}
