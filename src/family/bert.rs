//! BERT: post-norm, learned positions and segments, a head that fills blanks and one for pairs.

use serde_json::Value as Json;

use super::names::{Row, find};
use super::settings::{Settings, wrong};
use super::{Family, Has, objective};
use crate::error::Result;
use crate::graph::Activation;
use crate::spec::{Architecture, Head, Norm, OutputHead, Spec, Stack};
use crate::weights::Stored;

/// `model_type: "bert"`, and "unilm", which has its shape.
pub const FAMILY: Family = Family {
    model_types: &[("bert", "BERT"), ("unilm", "UniLM")],
    spec,
    stored,
    heads: Some(heads),
};

/// What the pair head was trained for.
const PAIRS: &str = "next sentence";

const NAMES: &[Row] = &[
    ("token", "bert.embeddings.word_embeddings"),
    ("encoder.position", "bert.embeddings.position_embeddings"),
    ("segment", "bert.embeddings.token_type_embeddings"),
    ("encoder.embedding_norm", "bert.embeddings.LayerNorm"),
    ("encoder.layers.{}.attention.query", "bert.encoder.layer.{}.attention.self.query"),
    ("encoder.layers.{}.attention.key", "bert.encoder.layer.{}.attention.self.key"),
    ("encoder.layers.{}.attention.value", "bert.encoder.layer.{}.attention.self.value"),
    ("encoder.layers.{}.attention.output", "bert.encoder.layer.{}.attention.output.dense"),
    ("encoder.layers.{}.attention.norm", "bert.encoder.layer.{}.attention.output.LayerNorm"),
    ("encoder.layers.{}.feed_forward.up", "bert.encoder.layer.{}.intermediate.dense"),
    ("encoder.layers.{}.feed_forward.down", "bert.encoder.layer.{}.output.dense"),
    ("encoder.layers.{}.feed_forward.norm", "bert.encoder.layer.{}.output.LayerNorm"),
    ("output.pool", "bert.pooler.dense"),
    ("output.pair", "cls.seq_relationship"),
    ("output.classes", "classifier"),
    ("head.transform.norm", "cls.predictions.transform.LayerNorm"),
    ("head.transform", "cls.predictions.transform.dense"),
    ("head.bias", "cls.predictions.bias"),
    ("head.bias", "cls.predictions.decoder.bias"),
    ("head.weight", "cls.predictions.decoder.weight"),
];

const WITHOUT_EFFECT: &[(&str, &[&str])] = &[
    (
        "of the first release's tools; no model reads them",
        &[
            "directionality",
            "pooler_fc_size",
            "pooler_num_attention_heads",
            "pooler_num_fc_layers",
            "pooler_size_per_head",
            "pooler_type",
        ],
    ),
    ("where an answer ends; an encoder writes none", &["eos_token_ids"]),
];

fn spec(json: &Json) -> Result<Spec> {
    let settings = Settings::new(json)?;
    let class = settings.class(&[
        "BertModel",
        "BertForMaskedLM",
        "BertForPreTraining",
        "BertForNextSentencePrediction",
        "BertForSequenceClassification",
    ])?;
    let mut spec = encoder(&settings, "bert")?;
    if json["model_type"] == "unilm" {
        spec.template.segments = Some(segments(&settings, spec.segments)?);
    }
    let pool = Some(Activation::Tanh);
    let tied = settings.flag_or("tie_word_embeddings", true)?;
    let fills = Head { bias: true, transform: Some(spec.encoder.activation), ..Head::plain(tied) };
    spec.head = matches!(class, "BertForMaskedLM" | "BertForPreTraining").then_some(fills);
    spec.output_heads = match class {
        "BertForPreTraining" | "BertForNextSentencePrediction" => vec![OutputHead::Pair { pool }],
        "BertForSequenceClassification" => {
            let classes = settings.classes()?;
            spec.labels = settings.labels(classes);
            vec![OutputHead::Classes { classes, pool }]
        }
        _ => Vec::new(),
    };
    spec.objective = match class {
        "BertForSequenceClassification" => Some("classes".into()),
        _ => objective(spec.head.is_some(), !spec.output_heads.is_empty(), PAIRS),
    };
    settings.finish(WITHOUT_EFFECT)?;
    Ok(spec)
}

/// Segments of what UniLM reads and what it writes. The first one's were 4 and 5, of 6: 0 to 3 were for
/// reading both ways and for one direction (`seq2seq_loader.py` and `configuration_unilm.py` of
/// microsoft/unilm, `new_segment_ids`).
fn segments(settings: &Settings<'_>, all: usize) -> Result<[u32; 2]> {
    let usual = if all == 6 { [4, 5] } else { [0, 1] };
    let read = |name: &str, usual: usize| -> Result<u32> {
        let segment = settings.count_or(name, usual)?;
        match segment < all {
            true => Ok(segment as u32),
            false => Err(wrong(name, &format!("below `type_vocab_size` {all}"), &segment.into())),
        }
    };
    Ok([read("source_type_id", usual[0])?, read("target_type_id", usual[1])?])
}

/// Files of the first release hold both heads and name the class of one, or none.
fn heads(spec: &mut Spec, has: Has<'_>) {
    FAMILY.find_both_heads(spec, has, PAIRS);
}

/// What BERT and its descendants share: the encoder, without heads.
pub(super) fn encoder(settings: &Settings<'_>, family: &str) -> Result<Spec> {
    settings.only("is_encoder_decoder", false)?;
    settings.only("is_decoder", false)?;
    settings.only("add_cross_attention", false)?;
    settings.only("position_embedding_type", "absolute")?;
    let width = settings.count("hidden_size")?;
    let heads = settings.count("num_attention_heads")?;
    let head_width = settings.head_width("num_attention_heads", heads, width)?;
    let layers = settings.count("num_hidden_layers")?;
    let inner = settings.count("intermediate_size")?;
    let plain = Stack::plain(layers, heads, head_width, inner);
    let epsilon = settings.number_or("layer_norm_eps", 1e-12)? as f32;
    let (special, _) = settings.special()?;
    Ok(Spec {
        vocabulary: settings.count("vocab_size")?,
        segments: settings.count_or("type_vocab_size", 2)?,
        max_positions: settings.count_or("max_position_embeddings", 512)?,
        encoder: Stack {
            activation: settings.activation("hidden_act", "gelu")?,
            norm: Norm { epsilon, ..plain.norm },
            embedding_norm: true,
            ..plain
        },
        special,
        ..Spec::plain(family, Architecture::Encoder, width)
    })
}

fn stored(_: &Spec, name: &str, has: Has<'_>) -> Stored {
    let theirs = find(NAMES, "bert.", name, &|theirs| has(theirs) || has(&old(theirs)));
    let theirs = if has(&theirs) || !has(&old(&theirs)) { theirs } else { old(&theirs) };
    let stored = Stored::plain(theirs);
    match name {
        // Class 0 of the checkpoint is "belongs together"; our classes are no, yes.
        "output.pair.weight" | "output.pair.bias" => stored.rows(2, [1..2, 0..1]),
        _ => stored,
    }
}

/// The first checkpoints, converted, keep the words of their framework.
fn old(name: &str) -> String {
    name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
}
