//! ALBERT: BERT whose blocks share their weights and whose token table is narrow; its pair head says
//! whether two passages stand in their order.

use serde_json::Value as Json;

use super::names::{Row, find};
use super::settings::{Settings, wrong};
use super::{Family, Has, bert};
use crate::error::Result;
use crate::graph::Activation;
use crate::spec::{Head, OutputHead, Spec};
use crate::weights::Stored;

/// `model_type: "albert"`.
pub const FAMILY: Family =
    Family { model_types: &[("albert", "ALBERT")], spec, stored, heads: Some(heads) };

const GROUP: &str = "albert.encoder.albert_layer_groups.{}.albert_layers.0.";

/// Rows of the shared blocks are relative to [`GROUP`].
const BLOCK: &[Row] = &[
    ("encoder.layers.{}.attention.query", "attention.query"),
    ("encoder.layers.{}.attention.key", "attention.key"),
    ("encoder.layers.{}.attention.value", "attention.value"),
    ("encoder.layers.{}.attention.output", "attention.dense"),
    ("encoder.layers.{}.attention.norm", "attention.LayerNorm"),
    ("encoder.layers.{}.feed_forward.up", "ffn"),
    ("encoder.layers.{}.feed_forward.down", "ffn_output"),
    ("encoder.layers.{}.feed_forward.norm", "full_layer_layer_norm"),
];

const NAMES: &[Row] = &[
    ("token", "albert.embeddings.word_embeddings"),
    ("encoder.position", "albert.embeddings.position_embeddings"),
    ("segment", "albert.embeddings.token_type_embeddings"),
    ("encoder.embedding_norm", "albert.embeddings.LayerNorm"),
    ("embedding_projection", "albert.encoder.embedding_hidden_mapping_in"),
    ("output.pool", "albert.pooler"),
    ("output.pair", "sop_classifier.classifier"),
    ("output.classes", "classifier"),
    ("head.transform.norm", "predictions.LayerNorm"),
    ("head.transform", "predictions.dense"),
    ("head.bias", "predictions.bias"),
    ("head.bias", "predictions.decoder.bias"),
    ("head.weight", "predictions.decoder.weight"),
];

fn spec(json: &Json) -> Result<Spec> {
    let settings = Settings::new(json)?;
    let class = settings.class(&[
        "AlbertModel",
        "AlbertForMaskedLM",
        "AlbertForPreTraining",
        "AlbertForSequenceClassification",
    ])?;
    let mut spec = bert::encoder(&settings, "albert")?;
    spec.encoder.activation = settings.activation("hidden_act", "gelu_new")?;
    spec.embedding_width = settings.count_or("embedding_size", 128)?;
    let groups = settings.count_or("num_hidden_groups", 1)?;
    if groups == 0 || groups > spec.encoder.layers {
        let expected = format!("1 to the {} layers", spec.encoder.layers);
        return Err(wrong("num_hidden_groups", &expected, &groups.into()));
    }
    spec.encoder.distinct_layers = groups;
    settings.only("inner_group_num", 1)?;
    // Of the first release; these are the values of its models, and a forward pass reads none.
    settings.only("down_scale_factor", 1)?;
    settings.only("gap_size", 0)?;
    settings.only("net_structure_type", 0)?;
    settings.only("num_memory_blocks", 0)?;
    settings.only("layers_to_keep", Json::Array(Vec::new()))?;
    let pool = Some(Activation::Tanh);
    let tied = settings.flag_or("tie_word_embeddings", true)?;
    let fills = Head { bias: true, transform: Some(spec.encoder.activation), ..Head::plain(tied) };
    spec.head = matches!(class, "AlbertForMaskedLM" | "AlbertForPreTraining").then_some(fills);
    (spec.output_heads, spec.objective) = match class {
        "AlbertForPreTraining" => {
            (vec![OutputHead::Pair { pool }], Some("masked tokens and sentence order".into()))
        }
        "AlbertForSequenceClassification" => {
            let classes = settings.classes()?;
            spec.labels = settings.labels(classes);
            (vec![OutputHead::Classes { classes, pool }], Some("classes".into()))
        }
        "AlbertForMaskedLM" => (Vec::new(), Some("masked tokens".into())),
        _ => (Vec::new(), None),
    };
    settings.finish(&[])?;
    Ok(spec)
}

/// A file may hold both heads and name the class of one, or none.
fn heads(spec: &mut Spec, has: Has<'_>) {
    FAMILY.find_both_heads(spec, has, "sentence order");
}

fn stored(_: &Spec, name: &str, has: Has<'_>) -> Stored {
    let group = name.strip_prefix("encoder.layers.").and_then(|rest| rest.split('.').next());
    if let Some(group) = group {
        let of_group = |part: &str| format!("{}{part}", GROUP.replace("{}", group));
        let bare = |name: String| name.strip_prefix("albert.").unwrap_or(&name).to_string();
        let part = find(BLOCK, "", name, &|_| false);
        let (with, without) = (of_group(&part), bare(of_group(&part)));
        return Stored::plain(if has(&without) { without } else { with });
    }
    let stored = Stored::plain(find(NAMES, "albert.", name, has));
    match name {
        // Class 0 of the checkpoint is "in order"; our classes are no, yes.
        "output.pair.weight" | "output.pair.bias" => stored.rows(2, [1..2, 0..1]),
        _ => stored,
    }
}
