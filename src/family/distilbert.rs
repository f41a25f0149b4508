//! DistilBERT: half of BERT's blocks, no segments, no pooler.

use serde_json::Value as Json;

use super::names::{Row, find};
use super::settings::Settings;
use super::{Family, Has};
use crate::error::Result;
use crate::graph::Activation;
use crate::spec::{Architecture, Head, Norm, OutputHead, Spec, Stack};
use crate::weights::Stored;

/// `model_type: "distilbert"`.
pub const FAMILY: Family =
    Family { model_types: &[("distilbert", "DistilBERT")], spec, stored, heads: Some(heads) };

const NAMES: &[Row] = &[
    ("token", "distilbert.embeddings.word_embeddings"),
    ("encoder.position", "distilbert.embeddings.position_embeddings"),
    ("encoder.embedding_norm", "distilbert.embeddings.LayerNorm"),
    ("encoder.layers.{}.attention.query", "distilbert.transformer.layer.{}.attention.q_lin"),
    ("encoder.layers.{}.attention.key", "distilbert.transformer.layer.{}.attention.k_lin"),
    ("encoder.layers.{}.attention.value", "distilbert.transformer.layer.{}.attention.v_lin"),
    ("encoder.layers.{}.attention.output", "distilbert.transformer.layer.{}.attention.out_lin"),
    ("encoder.layers.{}.attention.norm", "distilbert.transformer.layer.{}.sa_layer_norm"),
    ("encoder.layers.{}.feed_forward.up", "distilbert.transformer.layer.{}.ffn.lin1"),
    ("encoder.layers.{}.feed_forward.down", "distilbert.transformer.layer.{}.ffn.lin2"),
    ("encoder.layers.{}.feed_forward.norm", "distilbert.transformer.layer.{}.output_layer_norm"),
    ("output.pool", "pre_classifier"),
    ("output.classes", "classifier"),
    ("head.transform.norm", "vocab_layer_norm"),
    ("head.transform", "vocab_transform"),
    ("head", "vocab_projector"),
];

const WITHOUT_EFFECT: &[(&str, &[&str])] = &[
    ("how the position table got its first values; it is stored", &["sinusoidal_pos_embds"]),
    ("tie_word_embeddings is what decides", &["tie_weights_"]),
];

fn spec(json: &Json) -> Result<Spec> {
    let settings = Settings::new(json)?;
    let class = settings.class(&[
        "DistilBertModel",
        "DistilBertForMaskedLM",
        "DistilBertForSequenceClassification",
    ])?;
    settings.only("is_encoder_decoder", false)?;
    settings.only("is_decoder", false)?;
    settings.only("add_cross_attention", false)?;
    let width = settings.count_or("dim", 768)?;
    let heads = settings.count_or("n_heads", 12)?;
    let head_width = settings.head_width("n_heads", heads, width)?;
    let inner = settings.count_or("hidden_dim", 3072)?;
    let plain = Stack::plain(settings.count_or("n_layers", 6)?, heads, head_width, inner);
    let activation = settings.activation("activation", "gelu")?;
    let tied = settings.flag_or("tie_word_embeddings", true)?;
    let fills = Head { bias: true, transform: Some(activation), ..Head::plain(tied) };
    let mut labels = Vec::new();
    let (output_heads, objective) = match class {
        "DistilBertForSequenceClassification" => {
            let (classes, pool) = (settings.classes()?, Some(Activation::Relu));
            labels = settings.labels(classes);
            (vec![OutputHead::Classes { classes, pool }], Some("classes".into()))
        }
        "DistilBertForMaskedLM" => (Vec::new(), Some("masked tokens".into())),
        _ => (Vec::new(), None),
    };
    let (special, _) = settings.special()?;
    let spec = Spec {
        vocabulary: settings.count_or("vocab_size", 30522)?,
        max_positions: settings.count_or("max_position_embeddings", 512)?,
        encoder: Stack {
            activation,
            norm: Norm { epsilon: 1e-12, ..plain.norm },
            embedding_norm: true,
            ..plain
        },
        head: (class == "DistilBertForMaskedLM").then_some(fills),
        output_heads,
        labels,
        special,
        objective,
        ..Spec::plain("distilbert", Architecture::Encoder, width)
    };
    settings.finish(WITHOUT_EFFECT)?;
    Ok(spec)
}

/// A file that names no class fills blanks where it holds what that takes.
fn heads(spec: &mut Spec, has: Has<'_>) {
    if spec.head.is_none() && spec.output_heads.is_empty() {
        spec.head = FAMILY.filling(spec, has, spec.encoder.activation);
        spec.objective = spec.head.map(|_| "masked tokens".into());
    }
}

fn stored(_: &Spec, name: &str, has: Has<'_>) -> Stored {
    Stored::plain(find(NAMES, "distilbert.", name, has))
}
