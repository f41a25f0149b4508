//! The first ChatGLM (ChatGLM-6B): GLM's reading, both ways up to the end of the question, then from
//! left to right, on rotary positions. Half of each head turns by a row's place, half by its place within
//! the answer.
//!
//! Its code reads `h = α norm(h) + f(norm(h))`, with α = √(2 layers); of the layers it takes the 28 of the
//! released model, whatever a config says. That is a post-norm block with a
//! scaled residual (DeepNorm, Wang et al. 2022) whose norms are filed under the sub-layer after them:
//! the first layer's first norm follows the embedding, and the final one is the last layer's.

use half::f16;
use serde_json::Value as Json;

use super::Has;
use super::names::{Row, find};
use super::settings::{Settings, wrong};
use crate::error::Result;
use crate::graph::{Activation, Pairing};
use crate::spec::{
    Architecture, Head, Norm, Order, Positions, Rotary, Slot, Spec, Stack, Template,
};
use crate::weights::Stored;

const NAMES: &[Row] = &[
    ("token", "transformer.word_embeddings"),
    ("decoder.embedding_norm", "transformer.layers.0.input_layernorm"),
    ("decoder.layers.{}.attention.query", "transformer.layers.{}.attention.query_key_value"),
    ("decoder.layers.{}.attention.key", "transformer.layers.{}.attention.query_key_value"),
    ("decoder.layers.{}.attention.value", "transformer.layers.{}.attention.query_key_value"),
    ("decoder.layers.{}.attention.output", "transformer.layers.{}.attention.dense"),
    ("decoder.layers.{}.attention.norm", "transformer.layers.{}.post_attention_layernorm"),
    ("decoder.layers.{}.feed_forward.up", "transformer.layers.{}.mlp.dense_h_to_4h"),
    ("decoder.layers.{}.feed_forward.down", "transformer.layers.{}.mlp.dense_4h_to_h"),
    ("head", "lm_head"),
];

const WITHOUT_EFFECT: &[(&str, &[&str])] =
    &[("training: of a learned prefix, which `pre_seq_len` counts", &["prefix_projection"])];

/// Whether a config of `model_type: "chatglm"` is of the first one.
pub(super) fn is(json: &Json) -> bool {
    ["inner_hidden_size", "position_encoding_2d", "max_sequence_length"]
        .iter()
        .any(|name| json.get(name).is_some())
}

/// Whether a spec is.
pub(super) fn is_spec(spec: &Spec) -> bool {
    spec.decoder.positions.streams() > 1
}

pub(super) fn spec(json: &Json) -> Result<Spec> {
    let settings = Settings::new(json)?;
    settings.class(&["ChatGLMForConditionalGeneration", "ChatGLMModel"])?;
    settings.only("is_encoder_decoder", false)?;
    settings.only("is_decoder", false)?;
    settings.only("add_cross_attention", false)?;
    settings.only("position_encoding_2d", true)?;
    settings.only("quantization_bit", 0)?;
    settings.only("pre_seq_len", Json::Null)?;
    let width = settings.count("hidden_size")?;
    let heads = settings.count("num_attention_heads")?;
    let head_width = settings.head_width("num_attention_heads", heads, width)?;
    if !(4..=4096).contains(&head_width) || !head_width.is_multiple_of(4) {
        let expected = "heads of 4 to 4096 columns, a multiple of 4";
        return Err(wrong("num_attention_heads", expected, &heads.into()));
    }
    let layers = settings.count("num_layers")?;
    let inner = settings.count_or("inner_hidden_size", 16_384)?;
    let plain = Stack::plain(layers, heads, head_width, inner);
    let dims = head_width / 2;
    // The released code keeps its frequencies in half precision, whatever the weights are in.
    let frequency =
        |pair: usize| f16::from_f64(10_000f64.powf(-2.0 * pair as f64 / dims as f64)).to_f32();
    let epsilon = settings.number_or("layernorm_epsilon", 1e-5)? as f32;
    let (mut special, ends) = settings.special()?;
    // Files from before these were settings have the ids of their code.
    let gmask = settings.id("gmask_token_id")?.unwrap_or(150_001);
    let mask = *special.mask.get_or_insert(150_000);
    let start = *special.bos.get_or_insert(150_004);
    let spec = Spec {
        vocabulary: settings.count("vocab_size")?,
        max_positions: settings.count_or("max_sequence_length", 2048)?,
        decoder: Stack {
            activation: Activation::GeluTanh,
            positions: Positions::Rotary(Rotary {
                dims: head_width,
                pairing: Pairing::Halves,
                frequencies: (0..dims / 2).map(frequency).collect(),
                parts: 2,
            }),
            norm: Norm { epsilon, ..plain.norm },
            order: Order::Post,
            residual_scale: (2.0 * 28f32).sqrt(),
            embedding_norm: true,
            ..plain
        },
        head: Some(Head::plain(settings.flag_or("tie_word_embeddings", true)?)),
        special,
        template: Template {
            source: vec![Slot::Source, Slot::Token(gmask)],
            start: vec![start],
            blanks: vec![mask, gmask],
            main_blank: Some(gmask),
            ends,
            ..Template::default()
        },
        name: "ChatGLM".into(),
        objective: Some("blank infilling".into()),
        ..Spec::plain("chatglm", Architecture::Prefix, width)
    };
    settings.finish(WITHOUT_EFFECT)?;
    Ok(spec)
}

/// Queries, keys and values of a head follow each other in one tensor.
pub(super) fn stored(spec: &Spec, name: &str, has: Has<'_>) -> Stored {
    let stack = &spec.decoder;
    if let Some(theirs) = after_feed_forward(name, stack.layers) {
        return Stored::plain(theirs);
    }
    let stored = Stored::plain(find(NAMES, "", name, has));
    let linear = name.rsplit('.').nth(1).unwrap_or_default();
    let Some(part) = ["query", "key", "value"].iter().position(|part| *part == linear) else {
        return stored;
    };
    let columns = stack.head_width;
    let rows = (0..stack.heads).map(|head| {
        let start = (3 * head + part) * columns;
        start..start + columns
    });
    stored.rows(3 * stack.query_width(), rows)
}

/// The norm after a feed-forward is filed as the next layer's first, and the last one as the final norm.
fn after_feed_forward(name: &str, layers: usize) -> Option<String> {
    let (layer, kind) = name.strip_prefix("decoder.layers.")?.split_once(".feed_forward.norm.")?;
    let next = layer.parse::<usize>().ok()? + 1;
    Some(match next < layers {
        true => format!("transformer.layers.{next}.input_layernorm.{kind}"),
        false => format!("transformer.final_layernorm.{kind}"),
    })
}
