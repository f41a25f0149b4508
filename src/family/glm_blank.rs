//! GLM (Du et al. 2022), the first: reads its text both ways and fills a blank of it from left to
//! right. Two learned positions a row: a filled row stands at the blank's place and counts within it.

use serde_json::Value as Json;

use super::Has;
use super::names::{Row, find};
use super::settings::Settings;
use crate::error::Result;
use crate::spec::{Architecture, Head, Norm, Order, Positions, Spec, Stack, Template};
use crate::weights::Stored;

const NAMES: &[Row] = &[
    ("token", "glm.word_embeddings"),
    ("decoder.position", "glm.transformer.position_embeddings"),
    ("decoder.position_1", "glm.transformer.block_position_embeddings"),
    ("decoder.layers.{}.attention.norm", "glm.transformer.layers.{}.input_layernorm"),
    ("decoder.layers.{}.attention.query", "glm.transformer.layers.{}.attention.query_key_value"),
    ("decoder.layers.{}.attention.key", "glm.transformer.layers.{}.attention.query_key_value"),
    ("decoder.layers.{}.attention.value", "glm.transformer.layers.{}.attention.query_key_value"),
    ("decoder.layers.{}.attention.output", "glm.transformer.layers.{}.attention.dense"),
    ("decoder.layers.{}.feed_forward.norm", "glm.transformer.layers.{}.post_attention_layernorm"),
    ("decoder.layers.{}.feed_forward.up", "glm.transformer.layers.{}.mlp.dense_h_to_4h"),
    ("decoder.layers.{}.feed_forward.down", "glm.transformer.layers.{}.mlp.dense_4h_to_h"),
    ("decoder.norm", "glm.transformer.final_layernorm"),
];

const WITHOUT_EFFECT: &[(&str, &[&str])] = &[
    ("half precision: computed here in f32 throughout", &["attention_scale"]),
    (
        "training, and how the reference runs",
        &[
            "attention_dropout_prob",
            "checkpoint_activations",
            "checkpoint_num_layers",
            "embedding_dropout_prob",
            "output_dropout_prob",
            "output_predict",
            "parallel_output",
            "use_scaled_init_for_output_weights",
        ],
    ),
    ("a default of the reference's own generation", &["bad_words_id"]),
    ("heads that choose or spell; none is in a released file", &["pool_token", "spell_func"]),
];

/// Whether a config of `model_type: "glm"` is of the first GLM.
pub(super) fn is(json: &Json) -> bool {
    json.get("block_position_encoding").is_some()
}

/// Whether a spec is.
pub(super) fn is_spec(spec: &Spec) -> bool {
    spec.decoder.positions.streams() > 1
}

pub(super) fn spec(json: &Json) -> Result<Spec> {
    let settings = Settings::new(json)?;
    settings.class(&["GLMForConditionalGeneration", "GLMModel"])?;
    settings.only("is_encoder_decoder", false)?;
    settings.only("is_decoder", false)?;
    settings.only("add_cross_attention", false)?;
    settings.only("block_position_encoding", true)?;
    settings.only("relative_encoding", false)?;
    settings.only("spell_length", Json::Null)?;
    settings.only("tie_word_embeddings", true)?;
    let width = settings.count("hidden_size")?;
    let heads = settings.count("num_attention_heads")?;
    let head_width = settings.head_width("num_attention_heads", heads, width)?;
    let plain = Stack::plain(settings.count("num_layers")?, heads, head_width, 4 * width);
    let epsilon = settings.number_or("layernorm_epsilon", 1e-5)? as f32;
    let (special, ends) = settings.special()?;
    let spec = Spec {
        vocabulary: settings.count("vocab_size")?,
        // The tables have a row more than the longest sequence.
        max_positions: settings.count("max_sequence_length")? + 1,
        decoder: Stack {
            positions: Positions::Learned { offset: 0, streams: 2 },
            norm: Norm { epsilon, ..plain.norm },
            order: Order::Pre,
            final_norm: true,
            ..plain
        },
        head: Some(Head::plain(true)),
        special,
        template: Template { ends, ..Template::default() },
        name: "GLM".into(),
        objective: Some("blank infilling".into()),
        ..Spec::plain("glm", Architecture::Prefix, width)
    };
    settings.finish(WITHOUT_EFFECT)?;
    Ok(spec)
}

pub(super) fn stored(spec: &Spec, name: &str, has: Has<'_>) -> Stored {
    let stored = Stored::plain(find(NAMES, "glm.", name, has));
    let linear = name.rsplit('.').nth(1).unwrap_or_default();
    match ["query", "key", "value"].iter().position(|part| *part == linear) {
        Some(part) => {
            stored.rows(3 * spec.width, std::iter::once(part * spec.width..(part + 1) * spec.width))
        }
        None => stored,
    }
}
