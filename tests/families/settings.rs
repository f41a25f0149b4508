//! Settings as public files spell them: what each does, and what is refused.

use serde_json::{Value as Json, json};
use unmasked::error::Result;
use unmasked::family;
use unmasked::graph::Activation;
use unmasked::spec::Spec;

use super::model_files;
use super::support::{self, Case};

/// The spec of a golden model whose config has these settings as well; null takes one away.
fn with(name: &str, more: Json) -> Result<Spec> {
    let config = model_files(name).into_iter().find(|(file, _)| file == "config.json");
    let mut config: Json = serde_json::from_slice(&config.expect(name).1).unwrap();
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    family::recognise(config.to_string().as_bytes()).map(|(spec, _)| spec)
}

fn refusal(name: &str, more: Json, words: &[&str]) {
    let error = with(name, more.clone()).expect_err(&format!("{name} with {more}"));
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "`{word}` is missing in: {text}");
    }
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut settings = |name: &str, run: fn()| {
        cases.push(support::cpu_case(format!("settings::{name}"), move |_| run()));
    };
    settings("of_no_effect_change_nothing", || {
        for (name, more) in [
            ("electra-generator", json!({ "generator_size": "0.25" })),
            ("electra-discriminator", json!({ "generator_size": "0.25" })),
            ("llama", json!({ "unsloth_fixed": true, "unsloth_version": "2024.9" })),
            ("llama", json!({ "max_sequence_length": 64 })),
            ("bert", json!({ "custom_pipelines": { "task": { "impl": "a.B" } } })),
            ("bert", json!({ "replacing_rate": 0.5, "xla_device": true, "eos_token_ids": 0 })),
            (
                "glm-blank",
                json!({
                    "attention_dropout_prob": 0.1,
                    "bad_words_id": [3, 4],
                    "use_scaled_init_for_output_weights": true,
                }),
            ),
        ] {
            let plain = with(name, json!({})).unwrap();
            assert_eq!(with(name, more.clone()), Ok(plain), "{name} with {more}");
        }
    });
    settings("longest_sequence_by_its_old_name", || {
        let old = json!({ "max_position_embeddings": null, "max_sequence_length": 48 });
        assert_eq!(with("llama", old).unwrap().max_positions, 48);
        refusal("llama", json!({ "max_sequence_length": 32 }), &["max_sequence_length", "64"]);
    });
    settings("gemmas_gelu_is_the_approximation", || {
        for (act, activation) in [
            (json!("gelu"), Json::Null),
            (json!("gelu"), json!("gelu_pytorch_tanh")),
            (json!("gelu_pytorch_tanh"), json!("gelu_pytorch_tanh")),
            (Json::Null, Json::Null),
        ] {
            let spec = with("gemma", json!({ "hidden_act": act, "hidden_activation": activation }));
            assert_eq!(spec.unwrap().decoder.activation, Activation::GeluTanh);
        }
        for act in ["gelu", "gelu_pytorch_tanh"] {
            let other = json!({ "hidden_act": act, "hidden_activation": "gelu" });
            refusal("gemma", other, &["hidden_activation", "gelu_pytorch_tanh"]);
        }
    });
    settings("unilms_segments", || {
        let segments = |more: Json| with("unilm", more).map(|spec| spec.template.segments);
        let unilm = |more: Json| {
            let mut all = json!({ "model_type": "unilm", "architectures": null });
            all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            all
        };
        assert_eq!(segments(json!({})), Ok(None), "a BERT");
        assert_eq!(segments(unilm(json!({}))), Ok(Some([4, 5])));
        assert_eq!(segments(unilm(json!({ "type_vocab_size": 2 }))), Ok(Some([0, 1])));
        let named = json!({ "source_type_id": 2, "target_type_id": 3 });
        assert_eq!(segments(unilm(named)), Ok(Some([2, 3])));
        let more = json!({ "target_type_id": 6 });
        refusal("unilm", unilm(more), &["target_type_id", "type_vocab_size"]);
        refusal("unilm", json!({ "source_type_id": 4 }), &["source_type_id"]);
        refusal("unilm", json!({ "model_type": "unilm2" }), &["model_type"]);
    });
    settings("classes_without_a_head_of_words", || {
        for (name, class) in [
            ("gpt2", "GPT2Model"),
            ("gpt-neox", "GPTNeoXModel"),
            ("llama", "LlamaModel"),
            ("qwen2", "Qwen2Model"),
            ("qwen3", "Qwen3Model"),
            ("gemma", "GemmaModel"),
            ("glm", "GlmModel"),
        ] {
            let bare = with(name, json!({ "architectures": [class] }));
            assert_eq!(bare, with(name, json!({})), "{class}");
        }
        let classes = json!({ "architectures": ["BartForSequenceClassification"] });
        refusal("bart", classes, &["architectures", "BartForSequenceClassification"]);
    });
    settings("rotation_that_is_told_twice", || {
        let new = json!({ "rope_type": "linear", "factor": 2.0, "rope_theta": 500.0 });
        let one = with("llama", json!({ "rope_parameters": new })).unwrap();
        let same = json!({
            "rope_theta": 500.0,
            "rope_scaling": { "type": "linear", "factor": 2 },
            "rope_parameters": new,
        });
        assert_eq!(with("llama", same), Ok(one));
        for old in [
            json!({ "type": "linear", "factor": 4.0, "rope_theta": 500.0 }),
            json!({ "type": "dynamic", "factor": 2.0, "rope_theta": 500.0 }),
            json!({ "type": "linear", "factor": 2.0 }),
        ] {
            let both = json!({ "rope_scaling": old, "rope_parameters": new });
            refusal("llama", both, &["rope_parameters", "rope_scaling"]);
        }
    });
    settings("dynamic_rotation_from_another_length", || {
        let from = |trained: usize| {
            json!({ "rope_scaling": {
                "type": "dynamic", "factor": 2.0, "original_max_position_embeddings": trained,
            }, "rope_parameters": null })
        };
        assert!(with("llama", from(64)).is_ok());
        refusal("llama", from(32), &["original_max_position_embeddings", "64", "32"]);
    });
    cases
}
