//! ELECTRA: a small generator that fills blanks, and a discriminator that tells which tokens were
//! replaced. Both are BERTs with a narrow token table.

use serde_json::Value as Json;

use super::names::{Row, find};
use super::settings::Settings;
use super::{Family, Has, bert};
use crate::error::Result;
use crate::graph::Activation;
use crate::spec::{Head, OutputHead, Spec};
use crate::weights::Stored;

/// `model_type: "electra"`.
pub const FAMILY: Family =
    Family { model_types: &[("electra", "ELECTRA")], spec, stored, heads: Some(heads) };

const NAMES: &[Row] = &[
    ("token", "electra.embeddings.word_embeddings"),
    ("encoder.position", "electra.embeddings.position_embeddings"),
    ("segment", "electra.embeddings.token_type_embeddings"),
    ("encoder.embedding_norm", "electra.embeddings.LayerNorm"),
    ("embedding_projection", "electra.embeddings_project"),
    ("encoder.layers.{}.attention.query", "electra.encoder.layer.{}.attention.self.query"),
    ("encoder.layers.{}.attention.key", "electra.encoder.layer.{}.attention.self.key"),
    ("encoder.layers.{}.attention.value", "electra.encoder.layer.{}.attention.self.value"),
    ("encoder.layers.{}.attention.output", "electra.encoder.layer.{}.attention.output.dense"),
    ("encoder.layers.{}.attention.norm", "electra.encoder.layer.{}.attention.output.LayerNorm"),
    ("encoder.layers.{}.feed_forward.up", "electra.encoder.layer.{}.intermediate.dense"),
    ("encoder.layers.{}.feed_forward.down", "electra.encoder.layer.{}.output.dense"),
    ("encoder.layers.{}.feed_forward.norm", "electra.encoder.layer.{}.output.LayerNorm"),
    ("output.pool", "discriminator_predictions.dense"),
    ("output.pool", "classifier.dense"),
    ("output.replaced", "discriminator_predictions.dense_prediction"),
    ("output.classes", "classifier.out_proj"),
    ("head.transform.norm", "generator_predictions.LayerNorm"),
    ("head.transform", "generator_predictions.dense"),
    ("head.bias", "generator_lm_head.bias"),
    ("head.weight", "generator_lm_head.weight"),
];

const WITHOUT_EFFECT: &[(&str, &[&str])] = &[
    ("a head for multiple choice", &["summary_type", "summary_use_proj", "summary_activation"]),
    ("how much smaller the generator is; its own config has its sizes", &["generator_size"]),
];

fn spec(json: &Json) -> Result<Spec> {
    let settings = Settings::new(json)?;
    let class = settings.class(&[
        "ElectraModel",
        "ElectraForPreTraining",
        "ElectraForMaskedLM",
        "ElectraForSequenceClassification",
    ])?;
    let mut spec = bert::encoder(&settings, "electra")?;
    spec.embedding_width = settings.count_or("embedding_size", 128)?;
    let tied = settings.flag_or("tie_word_embeddings", true)?;
    match class {
        "ElectraForPreTraining" => {
            let pool = Some(spec.encoder.activation);
            spec.output_heads = vec![OutputHead::Replaced { pool }];
            spec.objective = Some("replaced tokens".into());
        }
        "ElectraForMaskedLM" => {
            let transform = Some(Activation::Gelu);
            spec.head = Some(Head { bias: true, transform, ..Head::plain(tied) });
            spec.objective = Some("masked tokens".into());
        }
        "ElectraForSequenceClassification" => {
            let (classes, pool) = (settings.classes()?, Some(Activation::Gelu));
            spec.labels = settings.labels(classes);
            spec.output_heads = vec![OutputHead::Classes { classes, pool }];
            spec.objective = Some("classes".into());
        }
        _ => {}
    }
    settings.finish(WITHOUT_EFFECT)?;
    Ok(spec)
}

/// A file that names no class is a generator or a discriminator by what it holds.
fn heads(spec: &mut Spec, has: Has<'_>) {
    if spec.head.is_some() || !spec.output_heads.is_empty() {
        return;
    }
    spec.head = FAMILY.filling(spec, has, Activation::Gelu);
    if spec.head.is_some() {
        spec.objective = Some("masked tokens".into());
    } else if FAMILY.has_all(spec, has, &["output.pool.weight", "output.replaced.weight"]) {
        spec.output_heads = vec![OutputHead::Replaced { pool: Some(spec.encoder.activation) }];
        spec.objective = Some("replaced tokens".into());
    }
}

fn stored(_: &Spec, name: &str, has: Has<'_>) -> Stored {
    Stored::plain(find(NAMES, "electra.", name, has))
}
