//! T5 (1.0, 1.1, FLAN) and mT5: pre-norm by RMS, relative positions, no biases, scores not scaled.

use serde_json::Value as Json;

use super::names::{Row, find};
use super::settings::{Settings, activation, wrong};
use super::{Family, Has};
use crate::error::Result;
use crate::graph::{Activation, NormKind};
use crate::spec::{
    Architecture, Biases, Head, Norm, Order, Positions, Slot, Spec, Stack, Template,
};
use crate::weights::Stored;

/// `model_type: "t5"` and `"mt5"`.
pub const FAMILY: Family =
    Family { model_types: &[("t5", "T5"), ("mt5", "mT5")], spec, stored, heads: None };

const NAMES: &[Row] = &[
    ("token", "shared"),
    ("token", "encoder.embed_tokens"),
    ("token", "decoder.embed_tokens"),
    ("encoder.bias", "encoder.block.0.layer.0.SelfAttention.relative_attention_bias"),
    ("encoder.layers.{}.attention.norm", "encoder.block.{}.layer.0.layer_norm"),
    ("encoder.layers.{}.attention.query", "encoder.block.{}.layer.0.SelfAttention.q"),
    ("encoder.layers.{}.attention.key", "encoder.block.{}.layer.0.SelfAttention.k"),
    ("encoder.layers.{}.attention.value", "encoder.block.{}.layer.0.SelfAttention.v"),
    ("encoder.layers.{}.attention.output", "encoder.block.{}.layer.0.SelfAttention.o"),
    ("encoder.layers.{}.feed_forward.norm", "encoder.block.{}.layer.1.layer_norm"),
    ("encoder.layers.{}.feed_forward.gate", "encoder.block.{}.layer.1.DenseReluDense.wi_0"),
    ("encoder.layers.{}.feed_forward.up", "encoder.block.{}.layer.1.DenseReluDense.wi"),
    ("encoder.layers.{}.feed_forward.up", "encoder.block.{}.layer.1.DenseReluDense.wi_1"),
    ("encoder.layers.{}.feed_forward.down", "encoder.block.{}.layer.1.DenseReluDense.wo"),
    ("encoder.norm", "encoder.final_layer_norm"),
    ("decoder.bias", "decoder.block.0.layer.0.SelfAttention.relative_attention_bias"),
    ("decoder.layers.{}.attention.norm", "decoder.block.{}.layer.0.layer_norm"),
    ("decoder.layers.{}.attention.query", "decoder.block.{}.layer.0.SelfAttention.q"),
    ("decoder.layers.{}.attention.key", "decoder.block.{}.layer.0.SelfAttention.k"),
    ("decoder.layers.{}.attention.value", "decoder.block.{}.layer.0.SelfAttention.v"),
    ("decoder.layers.{}.attention.output", "decoder.block.{}.layer.0.SelfAttention.o"),
    ("decoder.layers.{}.cross.norm", "decoder.block.{}.layer.1.layer_norm"),
    ("decoder.layers.{}.cross.query", "decoder.block.{}.layer.1.EncDecAttention.q"),
    ("decoder.layers.{}.cross.key", "decoder.block.{}.layer.1.EncDecAttention.k"),
    ("decoder.layers.{}.cross.value", "decoder.block.{}.layer.1.EncDecAttention.v"),
    ("decoder.layers.{}.cross.output", "decoder.block.{}.layer.1.EncDecAttention.o"),
    ("decoder.layers.{}.feed_forward.norm", "decoder.block.{}.layer.2.layer_norm"),
    ("decoder.layers.{}.feed_forward.gate", "decoder.block.{}.layer.2.DenseReluDense.wi_0"),
    ("decoder.layers.{}.feed_forward.up", "decoder.block.{}.layer.2.DenseReluDense.wi"),
    ("decoder.layers.{}.feed_forward.up", "decoder.block.{}.layer.2.DenseReluDense.wi_1"),
    ("decoder.layers.{}.feed_forward.down", "decoder.block.{}.layer.2.DenseReluDense.wo"),
    ("decoder.norm", "decoder.final_layer_norm"),
    ("head", "lm_head"),
    ("head", "shared"),
];

/// Relative positions know no last one; this is the length that T5 was trained with.
const POSITIONS: usize = 512;

fn spec(json: &Json) -> Result<Spec> {
    let settings = Settings::new(json)?;
    settings.class(&[
        "T5ForConditionalGeneration",
        "T5WithLMHeadModel",
        "MT5ForConditionalGeneration",
    ])?;
    settings.only("is_encoder_decoder", true)?;
    settings.only("is_decoder", false)?;
    settings.only("add_cross_attention", false)?;
    let width = settings.count("d_model")?;
    let (heads, head_width) = (settings.count("num_heads")?, settings.count("d_kv")?);
    let layers = settings.count("num_layers")?;
    let (gated, bend) = feed_forward(&settings)?;
    let epsilon = settings.number_or("layer_norm_epsilon", 1e-6)? as f32;
    let positions = Positions::Relative {
        buckets: settings.count_or("relative_attention_num_buckets", 32)?,
        max_distance: settings.count_or("relative_attention_max_distance", 128)?,
    };
    if let Positions::Relative { buckets, max_distance } = positions
        && (buckets < 4 || max_distance <= buckets / 2)
    {
        let got = format!("{buckets} buckets to distance {max_distance}");
        return Err(wrong(
            "relative_attention_num_buckets",
            "at least 4, reaching far",
            &got.into(),
        ));
    }
    let inner = settings.count("d_ff")?;
    let stack = |layers: usize| Stack {
        scale: 1.0,
        activation: bend,
        gated,
        positions: positions.clone(),
        norm: Norm { kind: NormKind::Rms, epsilon, offset: 0.0, bias: false },
        order: Order::Pre,
        final_norm: true,
        biases: Biases { query_key_value: false, attention_output: false, feed_forward: false },
        ..Stack::plain(layers, heads, head_width, inner)
    };
    // Files of version 1.1 say "not tied", by which the reference also knows not to scale the states.
    // A file that has no output matrix of its own is tied all the same (the last row of the table).
    let tied = settings.flag_or("tie_word_embeddings", json["model_type"] == "t5")?;
    let scaled = settings.flag_or("scale_decoder_outputs", tied)?;
    let (special, ends) = settings.special()?;
    let prefixes = prefixes(&settings);
    // The first release was trained on these tasks. Files of version 1.1 name them as well, but it was
    // trained to fill spans alone, and nothing tells it from what others made of it (FLAN).
    let objective = match prefixes.is_empty() || gated {
        true => "spans",
        false => "text to text",
    };
    let start = settings.id("decoder_start_token_id")?.or(special.pad).unwrap_or(0);
    let spec = Spec {
        vocabulary: settings.count("vocab_size")?,
        max_positions: settings.count_or("n_positions", POSITIONS)?,
        encoder: stack(layers),
        decoder: stack(settings.count_or("num_decoder_layers", layers)?),
        head: Some(Head {
            scale: if scaled { (width as f32).sqrt().recip() } else { 1.0 },
            ..Head::plain(tied && scaled)
        }),
        special,
        template: Template {
            source: special.eos.iter().flat_map(|eos| [Slot::Source, Slot::Token(*eos)]).collect(),
            start: vec![start],
            ends,
            prefixes,
            ..Template::default()
        },
        objective: Some(objective.into()),
        ..Spec::plain("t5", Architecture::EncoderDecoder, width)
    };
    settings.finish(&[])?;
    Ok(spec)
}

/// The tasks that a config names, by what stands before their texts.
fn prefixes(settings: &Settings<'_>) -> Vec<String> {
    const LONGEST: usize = 100;
    let tasks = settings.get("task_specific_params").and_then(Json::as_object);
    let prefix = |task: &Json| task.get("prefix")?.as_str().map(String::from);
    let mut prefixes: Vec<String> = Vec::new();
    for prefix in tasks.into_iter().flat_map(|tasks| tasks.values()).filter_map(prefix) {
        let fits = !prefix.trim().is_empty() && prefix.len() <= LONGEST;
        if fits && !prefixes.contains(&prefix) {
            prefixes.push(prefix);
        }
    }
    prefixes
}

/// `relu` or `gated-gelu`: whether it is gated, and by what.
fn feed_forward(settings: &Settings<'_>) -> Result<(bool, Activation)> {
    let named = settings.word("feed_forward_proj")?.unwrap_or("relu");
    let (gated, name) = match named.strip_prefix("gated-") {
        // The reference means the tanh approximation by this word, here alone.
        Some("gelu") => (true, "gelu_new"),
        Some(name) => (true, name),
        None => (false, named),
    };
    settings.only("is_gated_act", gated)?;
    settings.only("dense_act_fn", name)?;
    Ok((gated, activation("feed_forward_proj", name)?))
}

fn stored(_: &Spec, name: &str, has: Has<'_>) -> Stored {
    Stored::plain(find(NAMES, "", name, has))
}
