//! A `config.json` read setting by setting. What nobody asked for is refused at the end, by name:
//! a setting is used, held to the one value that is supported, or listed as being without effect.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::{Map, Value as Json};

use crate::error::{Error, Result};
use crate::graph::Activation;
use crate::spec::SpecialTokens;

/// Settings that no forward pass of a reference reads, and what they are for instead.
const WITHOUT_EFFECT: &[(&str, &[&str])] = &[
    (
        "where the file came from",
        &["_name_or_path", "name_or_path", "transformers_version", "_commit_hash", "auto_map"],
    ),
    ("the stored dtype; each tensor says its own", &["torch_dtype", "dtype"]),
    (
        "training: dropout",
        &[
            "activation_dropout",
            "activation_function_dropout",
            "attention_dropout",
            "attention_probs_dropout_prob",
            "attn_pdrop",
            "classif_dropout",
            "classifier_dropout",
            "classifier_dropout_prob",
            "decoder_layerdrop",
            "dropout",
            "dropout_rate",
            "embd_pdrop",
            "encoder_layerdrop",
            "hidden_dropout",
            "hidden_dropout_prob",
            "qa_dropout",
            "resid_pdrop",
            "seq_classif_dropout",
            "summary_first_dropout",
            "summary_last_dropout",
        ],
    ),
    (
        "training: first values, memory, loss",
        &[
            "gradient_checkpointing",
            "init_std",
            "initializer_factor",
            "initializer_range",
            "problem_type",
            "tf_legacy_loss",
            "use_bfloat16",
            "pretraining_tp",
        ],
    ),
    (
        "how the reference runs, returns and caches",
        &[
            "_attn_implementation",
            "_attn_implementation_autoset",
            "attn_implementation",
            "chunk_size_feed_forward",
            "output_attentions",
            "output_hidden_states",
            "output_past",
            "output_scores",
            "return_dict",
            "return_dict_in_generate",
            "torchscript",
            "use_cache",
            "xla_device",
        ],
    ),
    (
        "defaults of the reference's own generation; here a request says how to draw",
        &[
            "bad_words_ids",
            "begin_suppress_tokens",
            "diversity_penalty",
            "do_sample",
            "early_stopping",
            "encoder_no_repeat_ngram_size",
            "exponential_decay_length_penalty",
            "forced_eos_token_id",
            "length_penalty",
            "max_length",
            "max_new_tokens",
            "min_length",
            "no_repeat_ngram_size",
            "num_beam_groups",
            "num_beams",
            "num_return_sequences",
            "remove_invalid_values",
            "repetition_penalty",
            "suppress_tokens",
            "task_specific_params",
            "temperature",
            "top_k",
            "top_p",
            "typical_p",
        ],
    ),
    (
        "names and notes for people and tools",
        &[
            "finetuning_task",
            "language",
            "prefix",
            "tokenizer_class",
            "transformers.js_config",
            "_num_labels",
        ],
    ),
    (
        "notes of makers: what they ran or repaired before the file was written",
        &["custom_pipelines", "replacing_rate", "unsloth_fixed", "unsloth_version"],
    ),
];

/// The settings of a `config.json`, and which of them nobody has asked for yet.
pub struct Settings<'a> {
    map: &'a Map<String, Json>,
    unread: RefCell<BTreeSet<&'a str>>,
}

impl<'a> Settings<'a> {
    /// All settings of a file; `model_type` has been read.
    pub fn new(json: &'a Json) -> Result<Settings<'a>> {
        let map = json
            .as_object()
            .ok_or_else(|| Error::config("`config.json`", "an object of settings", "another"))?;
        let unread = map.keys().map(String::as_str).filter(|name| *name != "model_type");
        Ok(Settings { map, unread: RefCell::new(unread.collect()) })
    }

    /// A setting that is there and not null.
    pub fn get(&self, name: &str) -> Option<&'a Json> {
        self.unread.borrow_mut().remove(name);
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// The settings of a group inside the file.
    pub fn group(&self, name: &str) -> Result<Option<Settings<'a>>> {
        match self.get(name) {
            None => Ok(None),
            Some(value) if value.is_object() => Settings::new(value).map(Some),
            Some(value) => Err(wrong(name, "a group of settings", value)),
        }
    }

    /// A count that must be there.
    pub fn count(&self, name: &str) -> Result<usize> {
        self.optional_count(name)?
            .ok_or_else(|| Error::config(format!("setting `{name}`"), "a number", "nothing"))
    }

    /// A count, or what the reference takes where there is none.
    pub fn count_or(&self, name: &str, default: usize) -> Result<usize> {
        Ok(self.optional_count(name)?.unwrap_or(default))
    }

    /// A count that may be missing.
    pub fn optional_count(&self, name: &str) -> Result<Option<usize>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let count = value.as_u64().filter(|count| *count <= 1 << 28);
        count.map(|count| Some(count as usize)).ok_or_else(|| wrong(name, "a count", value))
    }

    /// Columns of a head where `heads` heads share `width` columns.
    pub fn head_width(&self, name: &str, heads: usize, width: usize) -> Result<usize> {
        if heads > 0 && width.is_multiple_of(heads) {
            return Ok(width / heads);
        }
        let expected = format!("a divisor of the width {width}");
        Err(Error::config(format!("setting `{name}`"), expected, heads.to_string()))
    }

    /// A number, or what the reference takes where there is none.
    pub fn number_or(&self, name: &str, default: f64) -> Result<f64> {
        Ok(self.optional_number(name)?.unwrap_or(default))
    }

    /// A number that may be missing.
    pub fn optional_number(&self, name: &str) -> Result<Option<f64>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.as_f64().map(Some).ok_or_else(|| wrong(name, "a number", value))
    }

    /// A switch, or where the reference has it.
    pub fn flag_or(&self, name: &str, default: bool) -> Result<bool> {
        let Some(value) = self.get(name) else { return Ok(default) };
        value.as_bool().ok_or_else(|| wrong(name, "true or false", value))
    }

    /// A word that may be missing.
    pub fn word(&self, name: &str) -> Result<Option<&'a str>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| wrong(name, "a word", value))
    }

    /// A token id; some files say -1 for none.
    pub fn id(&self, name: &str) -> Result<Option<u32>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        id(name, value)
    }

    /// Token ids: one or a list.
    pub fn ids(&self, name: &str) -> Result<Vec<u32>> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Json::Array(values)) => {
                values.iter().filter_map(|value| id(name, value).transpose()).collect()
            }
            Some(value) => Ok(id(name, value)?.into_iter().collect()),
        }
    }

    /// A setting of which one value is supported: missing, null or this.
    pub fn only(&self, name: &str, value: impl Into<Json>) -> Result<()> {
        let value = value.into();
        match self.get(name) {
            Some(got) if *got != value => Err(wrong(name, &value.to_string(), got)),
            _ => Ok(()),
        }
    }

    /// A setting of which one value is supported, in every entry of a list.
    pub fn only_each(&self, name: &str, value: &str) -> Result<()> {
        match self.get(name) {
            Some(got) if got.as_array().is_none_or(|all| all.iter().any(|one| *one != value)) => {
                Err(wrong(name, &format!("\"{value}\" in every layer"), got))
            }
            _ => Ok(()),
        }
    }

    /// The special tokens that a config names, and the ids that end an answer.
    pub fn special(&self) -> Result<(SpecialTokens, Vec<u32>)> {
        let ends = self.ids("eos_token_id")?;
        let special = SpecialTokens {
            pad: self.id("pad_token_id")?,
            bos: self.id("bos_token_id")?,
            sep: self.id("sep_token_id")?,
            eos: ends.first().copied(),
            mask: self.id("mask_token_id")?,
            cls: self.id("cls_token_id")?,
        };
        Ok((special, ends))
    }

    /// An activation by the reference's name for it.
    pub fn activation(&self, name: &str, default: &'a str) -> Result<Activation> {
        activation(name, self.word(name)?.unwrap_or(default))
    }

    /// Which of the classes in `known` (by the end of its name) the weights are for; where the file
    /// does not say, the first.
    pub fn class(&self, known: &[&'static str]) -> Result<&'static str> {
        let Some(value) = self.get("architectures") else { return Ok(known[0]) };
        let named = value.as_array().and_then(|classes| classes.first()).and_then(Json::as_str);
        let found = named.and_then(|named| known.iter().find(|known| **known == named));
        found.copied().ok_or_else(|| wrong("architectures", &known.join(", "), value))
    }

    /// Classes of a classification head.
    pub fn classes(&self) -> Result<usize> {
        let labels = self.get("id2label").and_then(Json::as_object).map(Map::len);
        self.get("label2id");
        Ok(self.optional_count("num_labels")?.or(labels).unwrap_or(2))
    }

    /// What the classes are called, where each of them has a name.
    pub fn labels(&self, classes: usize) -> Vec<String> {
        let named = self.get("id2label").and_then(Json::as_object);
        let name = |class: usize| named?.get(&class.to_string())?.as_str().map(String::from);
        (0..classes).map(name).collect::<Option<Vec<String>>>().unwrap_or_default()
    }

    /// Refuses what nobody asked for; `without_effect` is this family's own list, each with a reason.
    pub fn finish(self, without_effect: &[(&str, &[&str])]) -> Result<()> {
        for (_, names) in WITHOUT_EFFECT.iter().chain(without_effect) {
            for name in *names {
                self.get(name);
            }
        }
        // Labels matter to classification heads alone, which have read them.
        self.get("id2label");
        self.get("label2id");
        self.get("num_labels");
        // Heads that were cut away would shift all columns after them.
        match self.get("pruned_heads") {
            Some(pruned) if pruned.as_object().is_none_or(|heads| !heads.is_empty()) => {
                return Err(wrong("pruned_heads", "none", pruned));
            }
            _ => {}
        }
        self.only("tie_encoder_decoder", false)?;
        self.only("cross_attention_hidden_size", Json::Null)?;
        let unread = self.unread.borrow();
        match unread.first() {
            None => Ok(()),
            Some(name) if self.map[*name].is_null() => {
                // A setting that says nothing changes nothing; see whether another one does.
                match unread.iter().find(|name| !self.map[**name].is_null()) {
                    None => Ok(()),
                    Some(name) => Err(unknown(name, &self.map[*name])),
                }
            }
            Some(name) => Err(unknown(name, &self.map[*name])),
        }
    }
}

/// An activation by the reference's name for it.
pub fn activation(setting: &str, name: &str) -> Result<Activation> {
    Ok(match name {
        "gelu" | "gelu_python" => Activation::Gelu,
        "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" | "gelu_accurate" => Activation::GeluTanh,
        "quick_gelu" => Activation::QuickGelu,
        "relu" => Activation::Relu,
        "silu" | "swish" => Activation::Silu,
        "tanh" => Activation::Tanh,
        "sigmoid" => Activation::Sigmoid,
        other => {
            let expected = "gelu, gelu_new, gelu_pytorch_tanh, gelu_fast, quick_gelu, relu, silu, \
                            swish, tanh or sigmoid";
            let got = format!("`{}`", other.escape_debug());
            return Err(Error::config(format!("setting `{setting}`"), expected, got));
        }
    })
}

/// A setting whose value cannot be used.
pub fn wrong(name: &str, expected: &str, got: &Json) -> Error {
    Error::config(format!("setting `{name}`"), expected, shortened(got))
}

fn unknown(name: &str, got: &Json) -> Error {
    let what = format!("setting `{}`", name.escape_debug());
    Error::config(what, "settings that this engine knows", shortened(got))
}

fn shortened(value: &Json) -> String {
    let text = value.to_string();
    match text.char_indices().nth(80) {
        None => text,
        Some((at, _)) => format!("{}…", &text[..at]),
    }
}

fn id(name: &str, value: &Json) -> Result<Option<u32>> {
    match value.as_i64() {
        Some(number) if number < 0 => Ok(None),
        Some(number) if number <= i64::from(u32::MAX) => Ok(Some(number as u32)),
        _ => Err(wrong(name, "a token id", value)),
    }
}
