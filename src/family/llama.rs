//! LLaMA: pre-norm by RMS, rotary positions, a gated feed-forward, shared keys and values.

use serde_json::Value as Json;

use super::names::{Row, find};
use super::rope::rope;
use super::settings::Settings;
use super::{Family, Has};
use crate::error::Result;
use crate::graph::NormKind;
use crate::spec::{Architecture, Biases, Head, Norm, Order, Positions, Spec, Stack, Template};
use crate::weights::Stored;

/// `model_type: "llama"`: versions 1 to 3, and models of other makers that are the same.
pub const FAMILY: Family = Family { model_types: &[("llama", "LLaMA")], spec, stored, heads: None };

const NAMES: &[Row] = &[
    ("token", "model.embed_tokens"),
    ("decoder.layers.{}.attention.norm", "model.layers.{}.input_layernorm"),
    ("decoder.layers.{}.attention.query", "model.layers.{}.self_attn.q_proj"),
    ("decoder.layers.{}.attention.key", "model.layers.{}.self_attn.k_proj"),
    ("decoder.layers.{}.attention.value", "model.layers.{}.self_attn.v_proj"),
    ("decoder.layers.{}.attention.output", "model.layers.{}.self_attn.o_proj"),
    ("decoder.layers.{}.attention.query_norm", "model.layers.{}.self_attn.q_norm"),
    ("decoder.layers.{}.attention.key_norm", "model.layers.{}.self_attn.k_norm"),
    ("decoder.layers.{}.feed_forward.norm", "model.layers.{}.post_attention_layernorm"),
    ("decoder.layers.{}.feed_forward.gate", "model.layers.{}.mlp.gate_proj"),
    ("decoder.layers.{}.feed_forward.up", "model.layers.{}.mlp.up_proj"),
    ("decoder.layers.{}.feed_forward.gate_up", "model.layers.{}.mlp.gate_up_proj"),
    ("decoder.layers.{}.feed_forward.down", "model.layers.{}.mlp.down_proj"),
    ("decoder.norm", "model.norm"),
    ("head", "lm_head"),
];

fn spec(json: &Json) -> Result<Spec> {
    let settings = Settings::new(json)?;
    settings.class(&["LlamaForCausalLM", "LLaMAForCausalLM", "LlamaModel"])?;
    let mut spec = decoder(&settings, "llama", None, 1.0)?;
    let bias = settings.flag_or("attention_bias", false)?;
    spec.decoder.biases = Biases {
        query_key_value: bias,
        attention_output: bias,
        feed_forward: settings.flag_or("mlp_bias", false)?,
    };
    spec.head = Some(Head::plain(settings.flag_or("tie_word_embeddings", false)?));
    settings.only("rope_interleaved", false)?;
    settings.finish(&[("a note of one maker", &["is_llama_config"])])?;
    Ok(spec)
}

/// What LLaMA and its descendants share, without biases and head. `head_width` and `turns` (the share
/// of a head's columns that turn) hold where no setting says it.
pub(super) fn decoder(
    settings: &Settings<'_>,
    family: &str,
    head_width: Option<usize>,
    turns: f64,
) -> Result<Spec> {
    settings.only("is_encoder_decoder", false)?;
    settings.only("is_decoder", false)?;
    settings.only("add_cross_attention", false)?;
    let width = settings.count("hidden_size")?;
    let heads = settings.count("num_attention_heads")?;
    let head_width = match settings.optional_count("head_dim")?.or(head_width) {
        Some(head_width) => head_width,
        None => settings.head_width("num_attention_heads", heads, width)?,
    };
    let layers = settings.count("num_hidden_layers")?;
    let plain = Stack::plain(layers, heads, head_width, settings.count("intermediate_size")?);
    let max_positions = longest(settings)?;
    let rope = rope(settings, head_width, max_positions, 10_000.0, turns)?;
    let epsilon = settings.number_or("rms_norm_eps", 1e-6)? as f32;
    let (special, ends) = settings.special()?;
    Ok(Spec {
        vocabulary: settings.count("vocab_size")?,
        max_positions,
        decoder: Stack {
            kv_heads: settings.count_or("num_key_value_heads", heads)?,
            scale: plain.scale * rope.factor,
            activation: settings.activation("hidden_act", "silu")?,
            gated: true,
            positions: Positions::Rotary(rope.rotary),
            norm: Norm { kind: NormKind::Rms, epsilon, offset: 0.0, bias: false },
            order: Order::Pre,
            final_norm: true,
            biases: Biases { query_key_value: false, attention_output: false, feed_forward: false },
            ..plain
        },
        special,
        template: Template { ends, ..Template::default() },
        objective: Some("next token".into()),
        ..Spec::plain(family, Architecture::Causal, width)
    })
}

/// The longest sequence. The first LLaMA's files also have it by an older name.
fn longest(settings: &Settings<'_>) -> Result<usize> {
    let older = settings.optional_count("max_sequence_length")?;
    let longest = settings.count_or("max_position_embeddings", older.unwrap_or(2048))?;
    settings.only("max_sequence_length", longest)?;
    Ok(longest)
}

/// The names are those of all its descendants.
pub(super) fn stored(_: &Spec, name: &str, has: Has<'_>) -> Stored {
    Stored::plain(find(NAMES, "model.", name, has))
}
