//! ChatGLM2 and 3 as they were released: shared keys and values, half of each head turned by
//! neighbouring columns. The released code masks causally, and so does the spec; the prefix of GLM was
//! for pre-training, and a request can ask for it (`prefix:N`).

use serde_json::Value as Json;

use super::names::{Row, find};
use super::settings::{Settings, wrong};
use super::{Family, Has, chatglm_first};
use crate::error::Result;
use crate::graph::{Activation, NormKind, Pairing};
use crate::spec::{
    Architecture, Biases, Head, Norm, Order, Positions, Rotary, Spec, Stack, Template,
};
use crate::weights::Stored;

/// `model_type: "chatglm"`; the first version has a file of its own.
pub const FAMILY: Family =
    Family { model_types: &[("chatglm", "ChatGLM2")], spec, stored, heads: None };

const NAMES: &[Row] = &[
    ("token", "transformer.embedding.word_embeddings"),
    ("decoder.layers.{}.attention.norm", "transformer.encoder.layers.{}.input_layernorm"),
    (
        "decoder.layers.{}.attention.query_key_value",
        "transformer.encoder.layers.{}.self_attention.query_key_value",
    ),
    ("decoder.layers.{}.attention.output", "transformer.encoder.layers.{}.self_attention.dense"),
    (
        "decoder.layers.{}.feed_forward.norm",
        "transformer.encoder.layers.{}.post_attention_layernorm",
    ),
    ("decoder.layers.{}.feed_forward.gate_up", "transformer.encoder.layers.{}.mlp.dense_h_to_4h"),
    ("decoder.layers.{}.feed_forward.down", "transformer.encoder.layers.{}.mlp.dense_4h_to_h"),
    ("decoder.norm", "transformer.encoder.final_layernorm"),
    ("head", "transformer.output_layer"),
];

const WITHOUT_EFFECT: &[(&str, &[&str])] = &[
    (
        "half precision: computed here in f32 throughout",
        &["apply_query_key_layer_scaling", "attention_softmax_in_fp32", "fp32_residual_connection"],
    ),
    ("training", &["bias_dropout_fusion"]),
];

fn spec(json: &Json) -> Result<Spec> {
    if chatglm_first::is(json) {
        return chatglm_first::spec(json);
    }
    let settings = Settings::new(json)?;
    settings.class(&["ChatGLMForConditionalGeneration", "ChatGLMModel"])?;
    settings.only("is_encoder_decoder", false)?;
    settings.only("is_decoder", false)?;
    settings.only("add_cross_attention", false)?;
    settings.only("apply_residual_connection_post_layernorm", false)?;
    settings.only("multi_query_attention", true)?;
    settings.only("original_rope", true)?;
    settings.only("rope_ratio", 1)?;
    settings.only("post_layer_norm", true)?;
    settings.only("rmsnorm", true)?;
    settings.only("quantization_bit", 0)?;
    settings.only("pre_seq_len", Json::Null)?;
    settings.only("prefix_projection", false)?;
    settings.only("tie_word_embeddings", false)?;
    let vocabulary = settings.count("padded_vocab_size")?;
    settings.only("vocab_size", vocabulary)?;
    let width = settings.count("hidden_size")?;
    let heads = settings.count("num_attention_heads")?;
    let head_width = settings.count("kv_channels")?;
    if !(4..=4096).contains(&head_width) || !head_width.is_multiple_of(4) {
        return Err(wrong("kv_channels", "4 to 4096, a multiple of 4", &head_width.into()));
    }
    let layers = settings.count("num_layers")?;
    let plain = Stack::plain(layers, heads, head_width, settings.count("ffn_hidden_size")?);
    let dims = head_width / 2;
    let frequency = |pair: usize| 10_000f64.powf(-2.0 * pair as f64 / dims as f64) as f32;
    let linear = settings.flag_or("add_bias_linear", false)?;
    let epsilon = settings.number_or("layernorm_epsilon", 1e-5)? as f32;
    let (special, ends) = settings.special()?;
    let spec = Spec {
        vocabulary,
        max_positions: settings.count_or("seq_length", 2048)?,
        decoder: Stack {
            kv_heads: settings.count_or("multi_query_group_num", 1)?,
            activation: Activation::Silu,
            gated: true,
            positions: Positions::Rotary(Rotary {
                dims,
                pairing: Pairing::Neighbours,
                frequencies: (0..dims / 2).map(frequency).collect(),
                parts: 1,
            }),
            norm: Norm { kind: NormKind::Rms, epsilon, offset: 0.0, bias: false },
            order: Order::Pre,
            final_norm: true,
            biases: Biases {
                query_key_value: linear || settings.flag_or("add_qkv_bias", false)?,
                attention_output: linear,
                feed_forward: linear,
            },
            ..plain
        },
        head: Some(Head::plain(false)),
        special,
        template: Template { ends, ..Template::default() },
        pretrained_as: Some(Architecture::Prefix),
        objective: Some("next token".into()),
        ..Spec::plain("chatglm", Architecture::Causal, width)
    };
    settings.finish(WITHOUT_EFFECT)?;
    Ok(spec)
}

/// Queries, keys and values are rows of one tensor, gate and up of another.
fn stored(spec: &Spec, name: &str, has: Has<'_>) -> Stored {
    if chatglm_first::is_spec(spec) {
        return chatglm_first::stored(spec, name, has);
    }
    let Stack { feed_forward_width: inner, .. } = spec.decoder;
    let (queries, keys) = (spec.decoder.query_width(), spec.decoder.kv_width());
    let all = queries + 2 * keys;
    let part = match name.rsplit('.').nth(1) {
        Some("query") => Some((".query.", ".query_key_value.", all, 0..queries)),
        Some("key") => Some((".key.", ".query_key_value.", all, queries..queries + keys)),
        Some("value") => Some((".value.", ".query_key_value.", all, queries + keys..all)),
        Some("gate") => Some((".gate.", ".gate_up.", 2 * inner, 0..inner)),
        Some("up") => Some((".up.", ".gate_up.", 2 * inner, inner..2 * inner)),
        _ => None,
    };
    let Some((ours, whole, of, rows)) = part else {
        return Stored::plain(find(NAMES, "", name, has));
    };
    let whole = name.replace(ours, whole);
    Stored::plain(find(NAMES, "", &whole, has)).rows(of, std::iter::once(rows))
}
