//! GPT-NeoX (Pythia): attention and feed-forward from the same x, rotary positions on a part of each
//! head, queries, keys and values interleaved head by head in one matrix.

use serde_json::Value as Json;

use super::names::{Row, find};
use super::rope::rope;
use super::settings::Settings;
use super::{Family, Has};
use crate::error::Result;
use crate::spec::{Architecture, Biases, Head, Norm, Order, Positions, Spec, Stack, Template};
use crate::weights::Stored;

/// `model_type: "gpt_neox"`.
pub const FAMILY: Family =
    Family { model_types: &[("gpt_neox", "GPT-NeoX")], spec, stored, heads: None };

const NAMES: &[Row] = &[
    ("token", "gpt_neox.embed_in"),
    ("decoder.layers.{}.attention.norm", "gpt_neox.layers.{}.input_layernorm"),
    ("decoder.layers.{}.attention.query", "gpt_neox.layers.{}.attention.query_key_value"),
    ("decoder.layers.{}.attention.key", "gpt_neox.layers.{}.attention.query_key_value"),
    ("decoder.layers.{}.attention.value", "gpt_neox.layers.{}.attention.query_key_value"),
    ("decoder.layers.{}.attention.output", "gpt_neox.layers.{}.attention.dense"),
    ("decoder.layers.{}.feed_forward.norm", "gpt_neox.layers.{}.post_attention_layernorm"),
    ("decoder.layers.{}.feed_forward.up", "gpt_neox.layers.{}.mlp.dense_h_to_4h"),
    ("decoder.layers.{}.feed_forward.down", "gpt_neox.layers.{}.mlp.dense_4h_to_h"),
    ("decoder.norm", "gpt_neox.final_layer_norm"),
    ("head", "embed_out"),
];

fn spec(json: &Json) -> Result<Spec> {
    let settings = Settings::new(json)?;
    settings.class(&["GPTNeoXForCausalLM", "GPTNeoXModel"])?;
    settings.only("is_encoder_decoder", false)?;
    settings.only("is_decoder", false)?;
    settings.only("add_cross_attention", false)?;
    let width = settings.count("hidden_size")?;
    let heads = settings.count("num_attention_heads")?;
    let head_width = settings.head_width("num_attention_heads", heads, width)?;
    let layers = settings.count("num_hidden_layers")?;
    let plain = Stack::plain(layers, heads, head_width, settings.count("intermediate_size")?);
    let base = settings.number_or("rotary_emb_base", 10_000.0)?;
    let share = settings.number_or("rotary_pct", 0.25)?;
    let max_positions = settings.count_or("max_position_embeddings", 2048)?;
    let rope = rope(&settings, head_width, max_positions, base, share)?;
    let epsilon = settings.number_or("layer_norm_eps", 1e-5)? as f32;
    let bias = settings.flag_or("attention_bias", true)?;
    let (special, ends) = settings.special()?;
    let spec = Spec {
        vocabulary: settings.count("vocab_size")?,
        max_positions,
        decoder: Stack {
            scale: plain.scale * rope.factor,
            activation: settings.activation("hidden_act", "gelu")?,
            positions: Positions::Rotary(rope.rotary),
            norm: Norm { epsilon, ..plain.norm },
            order: match settings.flag_or("use_parallel_residual", true)? {
                true => Order::Parallel,
                false => Order::Pre,
            },
            final_norm: true,
            biases: Biases { query_key_value: bias, attention_output: bias, feed_forward: true },
            ..plain
        },
        head: Some(Head::plain(settings.flag_or("tie_word_embeddings", false)?)),
        special,
        template: Template { ends, ..Template::default() },
        objective: Some("next token".into()),
        ..Spec::plain("gpt_neox", Architecture::Causal, width)
    };
    settings.finish(&[])?;
    Ok(spec)
}

fn stored(spec: &Spec, name: &str, has: Has<'_>) -> Stored {
    let stored = Stored::plain(find(NAMES, "gpt_neox.", name, has));
    let linear = name.rsplit('.').nth(1).unwrap_or_default();
    let Some(part) = ["query", "key", "value"].iter().position(|part| *part == linear) else {
        return stored;
    };
    let (heads, columns) = (spec.decoder.heads, spec.decoder.head_width);
    let rows = (0..heads).map(|head| {
        let start = (3 * head + part) * columns;
        start..start + columns
    });
    stored.rows(3 * heads * columns, rows)
}
