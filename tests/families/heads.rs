//! Heads that a checkpoint holds and its config's class does not name.

use serde_json::{Value as Json, json};
use unmasked::device::Device;
use unmasked::engine::Engine;
use unmasked::request::Request;
use unmasked::spec::OutputHead;

use super::machines::{afresh, difference, shared};
use super::support::{self, Case};
use super::{golden, load, model_files, request};

/// A golden model whose config names these classes.
fn with_classes(name: &str, classes: Json, device: &Device) -> Engine {
    let mut files = model_files(name);
    let (_, config) = files.iter_mut().find(|(file, _)| file == "config.json").expect(name);
    let mut json: Json = serde_json::from_slice(config).unwrap();
    json["architectures"] = classes;
    *config = json.to_string().into_bytes();
    pollster::block_on(Engine::load(files, shared(device)))
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut heads = |name: &str, run: fn(&Device)| {
        cases.push(support::cpu_case(format!("heads::{name}"), run));
    };
    heads("are_those_of_the_files", |device| {
        for (name, class) in [
            ("bert", "BertModel"),
            ("bert-next", "BertModel"),
            ("bert-pretraining", "BertModel"),
            ("bert-pretraining", "BertForMaskedLM"),
            ("bert-pretraining", "BertForNextSentencePrediction"),
            ("albert", "AlbertModel"),
            ("albert", "AlbertForMaskedLM"),
            ("albert-masked", "AlbertModel"),
            ("electra-generator", "ElectraModel"),
            ("electra-discriminator", "ElectraModel"),
            ("roberta", "RobertaModel"),
            ("camembert", "CamembertModel"),
            ("distilbert", "DistilBertModel"),
        ] {
            let told = load(name, device).spec;
            for classes in [json!([class]), Json::Null] {
                let found = with_classes(name, classes.clone(), device).spec;
                assert_eq!(found, told, "{name} as {classes}");
            }
        }
    });
    heads("that_are_found_have_the_references_numbers", |device| {
        let name = "bert-pretraining";
        let engine = with_classes(name, json!(["BertForMaskedLM"]), device);
        for case in golden(name).cases {
            let forward = afresh(&engine, &request(&case)).forward.unwrap();
            let (pair, logits) = (forward.heads.pair.unwrap(), forward.logits.unwrap().concat());
            assert!(difference(&pair, &case.pair_scores.unwrap()) <= 1e-4);
            assert!(difference(&logits, &case.logits.unwrap().concat()) <= 1e-4);
        }
    });
    heads("of_a_pair_read_ids_as_its_text_where_the_first_ends", |device| {
        let name = "bert-pretraining";
        let engine = load(name, device);
        let case = golden(name).cases.into_iter().find(|case| case.pair.is_some()).expect(name);
        let of_text = afresh(&engine, &request(&case)).forward.unwrap();
        // [CLS] first [SEP] second [SEP]
        let separator = case.ids[case.ids.len() - 1];
        let first = case.ids.iter().position(|id| *id == separator).unwrap() + 1;
        let of_ids = |source_length: Option<usize>| {
            let (text, pair, ids) = (None, None, Some(case.ids.clone()));
            afresh(&engine, &Request { text, pair, ids, source_length, ..request(&case) })
        };
        let split = of_ids(Some(first)).forward.unwrap();
        assert_eq!(split.heads.pair, of_text.heads.pair);
        assert_eq!(split.watched.attention, of_text.watched.attention);
        let whole = of_ids(None).forward.unwrap();
        assert_ne!(whole.heads.pair, of_text.heads.pair, "one text has no second segment");
    });
    heads("of_classes_stay_alone", |device| {
        for name in ["bert-classes", "albert-classes", "electra-classes", "roberta-classes"] {
            let spec = load(name, device).spec;
            assert_eq!(spec.head, None, "{name}");
            assert!(matches!(spec.output_heads[..], [OutputHead::Classes { .. }]), "{name}");
        }
    });
    cases
}
