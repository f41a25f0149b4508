//! RoBERTa: BERT without segments and pairs, its positions counted from the row after the padding's.

use serde_json::Value as Json;

use super::names::{Row, find};
use super::settings::Settings;
use super::{Family, Has, bert};
use crate::error::{Error, Result};
use crate::graph::Activation;
use crate::spec::{Head, OutputHead, Positions, Spec};
use crate::weights::Stored;

/// `model_type: "roberta"` and those that differ from it in the vocabulary alone.
pub const FAMILY: Family = Family {
    model_types: &[
        ("roberta", "RoBERTa"),
        ("xlm-roberta", "XLM-RoBERTa"),
        ("camembert", "CamemBERT"),
    ],
    spec,
    stored,
    heads: Some(heads),
};

const NAMES: &[Row] = &[
    ("token", "roberta.embeddings.word_embeddings"),
    ("encoder.position", "roberta.embeddings.position_embeddings"),
    ("segment", "roberta.embeddings.token_type_embeddings"),
    ("encoder.embedding_norm", "roberta.embeddings.LayerNorm"),
    ("encoder.layers.{}.attention.query", "roberta.encoder.layer.{}.attention.self.query"),
    ("encoder.layers.{}.attention.key", "roberta.encoder.layer.{}.attention.self.key"),
    ("encoder.layers.{}.attention.value", "roberta.encoder.layer.{}.attention.self.value"),
    ("encoder.layers.{}.attention.output", "roberta.encoder.layer.{}.attention.output.dense"),
    ("encoder.layers.{}.attention.norm", "roberta.encoder.layer.{}.attention.output.LayerNorm"),
    ("encoder.layers.{}.feed_forward.up", "roberta.encoder.layer.{}.intermediate.dense"),
    ("encoder.layers.{}.feed_forward.down", "roberta.encoder.layer.{}.output.dense"),
    ("encoder.layers.{}.feed_forward.norm", "roberta.encoder.layer.{}.output.LayerNorm"),
    ("output.pool", "classifier.dense"),
    ("output.classes", "classifier.out_proj"),
    ("head.transform.norm", "lm_head.layer_norm"),
    ("head.transform", "lm_head.dense"),
    ("head.bias", "lm_head.bias"),
    ("head.bias", "lm_head.decoder.bias"),
    ("head.weight", "lm_head.decoder.weight"),
];

fn spec(json: &Json) -> Result<Spec> {
    let settings = Settings::new(json)?;
    let kin = ["Roberta", "XLMRoberta", "Camembert"];
    let class = settings.class(&[
        "RobertaModel",
        "RobertaForMaskedLM",
        "RobertaForSequenceClassification",
        "XLMRobertaModel",
        "XLMRobertaForMaskedLM",
        "XLMRobertaForSequenceClassification",
        "CamembertModel",
        "CamembertForMaskedLM",
        "CamembertForSequenceClassification",
    ])?;
    let class = kin.iter().find_map(|kin| class.strip_prefix(kin)).unwrap_or_default();
    let mut spec = bert::encoder(&settings, "roberta")?;
    let offset = spec.special.pad.unwrap_or(1) as usize + 1;
    spec.encoder.positions = Positions::Learned { offset, streams: 1 };
    spec.max_positions = spec.max_positions.checked_sub(offset).ok_or_else(|| {
        let got = spec.max_positions.to_string();
        Error::config("setting `max_position_embeddings`", format!("more than {offset}"), got)
    })?;
    let tied = settings.flag_or("tie_word_embeddings", true)?;
    if class == "ForMaskedLM" {
        let transform = Some(Activation::Gelu);
        spec.head = Some(Head { bias: true, transform, ..Head::plain(tied) });
        spec.objective = Some("masked tokens".into());
    }
    if class == "ForSequenceClassification" {
        let (classes, pool) = (settings.classes()?, Some(Activation::Tanh));
        spec.labels = settings.labels(classes);
        spec.output_heads = vec![OutputHead::Classes { classes, pool }];
        spec.objective = Some("classes".into());
    }
    settings.finish(&[])?;
    Ok(spec)
}

/// A file that names no class fills blanks where it holds what that takes.
fn heads(spec: &mut Spec, has: Has<'_>) {
    if spec.head.is_none() && spec.output_heads.is_empty() {
        spec.head = FAMILY.filling(spec, has, Activation::Gelu);
        spec.objective = spec.head.map(|_| "masked tokens".into());
    }
}

fn stored(_: &Spec, name: &str, has: Has<'_>) -> Stored {
    Stored::plain(find(NAMES, "roberta.", name, has))
}
