//! PaLM's block, in the layout of the open implementation `PaLM-pytorch`: attention and feed-forward
//! from one norm of the same x, all of their first matrices in one tensor, one key and value for all
//! heads. PaLM's and U-PaLM's own weights are not public; `"mask": "prefix"` is U-PaLM's reading.
//!
//! The implementation has no `config.json`: the settings are its constructor's arguments, with
//! `max_seq_len` and `mask` beside them.

use serde_json::Value as Json;

use super::settings::{Settings, wrong};
use super::{Family, Has};
use crate::error::Result;
use crate::graph::{Activation, Pairing};
use crate::spec::{
    Architecture, Biases, Head, Norm, Order, Positions, Rotary, Spec, Stack, Template,
};
use crate::weights::Stored;

/// `model_type: "palm"`.
pub const FAMILY: Family = Family { model_types: &[("palm", "PaLM")], spec, stored, heads: None };

fn spec(json: &Json) -> Result<Spec> {
    let settings = Settings::new(json)?;
    settings.class(&["PaLM"])?;
    let architecture = match settings.word("mask")?.unwrap_or("causal") {
        "causal" => Architecture::Causal,
        "prefix" => Architecture::Prefix,
        other => return Err(wrong("mask", "causal or prefix", &other.into())),
    };
    let width = settings.count("dim")?;
    let head_width = settings.count_or("dim_head", 64)?;
    if !(2..=4096).contains(&head_width) || !head_width.is_multiple_of(2) {
        return Err(wrong("dim_head", "2 to 4096, even", &head_width.into()));
    }
    let inner = settings.count_or("ff_mult", 4)?.saturating_mul(width);
    let heads = settings.count_or("heads", 8)?;
    let plain = Stack::plain(settings.count("depth")?, heads, head_width, inner);
    let frequency = |pair: usize| 10_000f64.powf(-2.0 * pair as f64 / head_width as f64) as f32;
    let (special, ends) = settings.special()?;
    let spec = Spec {
        vocabulary: settings.count("num_tokens")?,
        max_positions: settings.count_or("max_seq_len", 2048)?,
        decoder: Stack {
            kv_heads: 1,
            activation: Activation::Silu,
            gated: true,
            positions: Positions::Rotary(Rotary {
                dims: head_width,
                pairing: Pairing::Halves,
                frequencies: (0..head_width / 2).map(frequency).collect(),
                parts: 1,
            }),
            norm: Norm { epsilon: 1e-5, bias: false, ..plain.norm },
            order: Order::Parallel,
            final_norm: true,
            biases: Biases { query_key_value: false, attention_output: false, feed_forward: false },
            ..plain
        },
        head: Some(Head::plain(true)),
        special,
        template: Template { ends, ..Template::default() },
        objective: Some("next token".into()),
        ..Spec::plain("palm", architecture, width)
    };
    settings.finish(&[])?;
    Ok(spec)
}

/// Modules are numbered in their order: the token table, the blocks, the norm, the tied head.
fn stored(spec: &Spec, name: &str, _: Has<'_>) -> Stored {
    let Stack { layers, head_width, feed_forward_width: inner, .. } = spec.decoder;
    let queries = spec.decoder.query_width();
    let block = name.strip_prefix("decoder.layers.").and_then(|rest| rest.split_once('.'));
    let Some((layer, part)) = block else {
        return Stored::plain(match name {
            "decoder.norm.weight" => format!("{}.gamma", layers + 1),
            _ => "0.weight".to_string(),
        });
    };
    let module = layer.parse().map_or(0, |layer: usize| layer + 1);
    let fused = queries + 2 * head_width + 2 * inner;
    // In this order: queries, key, value, up, gate.
    let rows = match part {
        "attention.query.weight" => 0..queries,
        "attention.key.weight" => queries..queries + head_width,
        "attention.value.weight" => queries + head_width..queries + 2 * head_width,
        "feed_forward.up.weight" => fused - 2 * inner..fused - inner,
        "feed_forward.gate.weight" => fused - inner..fused,
        "attention.output.weight" => return Stored::plain(format!("{module}.fn.attn_out.weight")),
        "feed_forward.down.weight" => return Stored::plain(format!("{module}.fn.ff_out.1.weight")),
        _ => return Stored::plain(format!("{module}.fn.norm.gamma")),
    };
    Stored::plain(format!("{module}.fn.fused_attn_ff_proj.weight"))
        .rows(fused, std::iter::once(rows))
}
