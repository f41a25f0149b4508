//! Checkpoints that are broken, hostile or absurd: each ends in one clear message.

use unmasked::device::Device;
use unmasked::engine::Engine;

use super::machines::shared;
use super::support::{self, Case};
use super::{Files, model_files};

/// What loading says about the files of a golden model after `spoil`: always an error, never a panic.
fn refusal(device: &Device, name: &str, spoil: impl FnOnce(&mut Files)) -> String {
    let mut files = model_files(name);
    spoil(&mut files);
    let error =
        pollster::block_on(Engine::load(files, shared(device))).expect_err("it must be refused");
    let text = error.to_string();
    assert!(!text.contains('\n') && text.len() < 600, "one line: {text}");
    text
}

fn file<'a>(files: &'a mut Files, name: &str) -> &'a mut Vec<u8> {
    &mut files.iter_mut().find(|(have, _)| have == name).unwrap_or_else(|| panic!("{name}")).1
}

fn edit(files: &mut Files, name: &str, from: &str, to: &str) {
    let bytes = file(files, name);
    let text = String::from_utf8_lossy(bytes).into_owned();
    assert!(text.contains(from), "{name} has no {from}");
    *bytes = text.replacen(from, to, 1).into_bytes();
}

/// Replaces bytes in a header without changing its length.
fn edit_header(files: &mut Files, from: &str, to: &str) {
    assert_eq!(from.len(), to.len());
    let bytes = file(files, "model.safetensors");
    let at = bytes.windows(from.len()).position(|window| window == from.as_bytes());
    let at = at.unwrap_or_else(|| panic!("the header has no {from}"));
    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
}

fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "`{word}` is missing in: {text}");
    }
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut hostile = |name: &str, run: fn(&Device)| {
        cases.push(support::cpu_case(format!("hostile::{name}"), run));
    };
    hostile("truncated_shard", |device| {
        let text = refusal(device, "gpt2-switches", |files| {
            let shard = file(files, "model-00002-of-00003.safetensors");
            shard.truncate(shard.len() / 2);
        });
        says(&text, &["model-00002-of-00003.safetensors", "complete"]);
        for length in [0, 7, 8, 20] {
            let text = refusal(device, "gpt2", |files| {
                file(files, "model.safetensors").truncate(length);
            });
            says(&text, &["model.safetensors"]);
        }
    });
    hostile("missing_shard_and_missing_entry", |device| {
        let text = refusal(device, "gpt2-switches", |files| {
            files.retain(|(name, _)| name != "model-00003-of-00003.safetensors");
        });
        says(&text, &["index", "model-00003-of-00003.safetensors"]);
        let text = refusal(device, "gpt2-switches", |files| {
            let index = file(files, "model.safetensors.index.json");
            let mut json: serde_json::Value = serde_json::from_slice(index).unwrap();
            json["weight_map"].as_object_mut().unwrap().remove("transformer.wte.weight").unwrap();
            *index = json.to_string().into_bytes();
        });
        says(&text, &["index", "transformer.wte.weight"]);
        let text = refusal(device, "gpt2-switches", |files| {
            *file(files, "model.safetensors.index.json") = b"{}".to_vec();
        });
        says(&text, &["index", "weight_map"]);
    });
    hostile("wrong_shape", |device| {
        let text = refusal(device, "gpt2", |files| edit_header(files, "[61,27]", "[27,61]"));
        says(&text, &["transformer.wte.weight", "[61, 27]", "[27, 61]"]);
    });
    hostile("missing_tensor", |device| {
        let text = refusal(device, "gpt2", |files| edit_header(files, ".h.1.ln_1.", ".h.1.ln_9."));
        says(&text, &["transformer.h.1.ln_1"]);
    });
    hostile("header_of_ten_gigabytes", |device| {
        let text = refusal(device, "gpt2", |files| {
            let bytes = file(files, "model.safetensors");
            bytes[..8].copy_from_slice(&10_000_000_000u64.to_le_bytes());
        });
        says(&text, &["model.safetensors", "complete"]);
    });
    hostile("headers_that_lie", |device| {
        // A header and as many bytes of data; what the message must say.
        let four = |name: &str, from: usize| {
            format!(
                "\"{name}\":{{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[{from},{}]}}",
                from + 4
            )
        };
        let huge =
            "{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,4]}}";
        let wrong = "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}";
        let unknown = "{\"a\":{\"dtype\":\"F12\",\"shape\":[1],\"data_offsets\":[0,4]}}";
        let back = "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}";
        let upside_down = "{\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[4,2]}";
        // One behind the other they reach where 64 bits end.
        let far: Vec<String> = (0..8u64)
            .map(|at| {
                let (each, shape) =
                    ((1u64 << 61) - 1, "\"dtype\":\"U8\",\"shape\":[2305843009213693951]");
                format!("\"{at}\":{{{shape},\"data_offsets\":[{},{}]}}", at * each, (at + 1) * each)
            })
            .collect();
        let bidi = "{\"\u{202e}a\\n\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}";
        for (header, data, says_so) in [
            (format!("{{{},{}}}", four("a", 0), four("b", 2)), 6, "offset"),
            (format!("{{{},{}}}", four("a", 0), four("b", 8)), 12, "offset"),
            (format!("{{{}}}", four("a", 0)), 2, "`a` from offset 0 to 4, 2 bytes"),
            (format!("{{{}}}", four("a", 0)), 8, "4 bytes of tensors"),
            (format!("{{{},{}}}", four("a", 0), four("a", 0)), 4, "`a` twice"),
            (huge.into(), 4, "[4294967296, 4294967296], of 4 bytes"),
            (wrong.into(), 4, "complete"),
            (unknown.into(), 4, "F12"),
            (back.into(), 4, "offset 4, not 0"),
            (format!("{{{},{}}}", four("a", 0), &upside_down[1..]), 4, "`b` from offset 4 to 2"),
            (format!("{{{}}}", far.join(",")), 4, "to 2305843009213693951, 4 bytes"),
            (bidi.into(), 8, "\\u{202e}a"),
        ] {
            let text = refusal(device, "gpt2", |files| {
                let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
                bytes.extend(header.as_bytes());
                bytes.resize(bytes.len() + data, 0);
                *file(files, "model.safetensors") = bytes;
            });
            says(&text, &["model.safetensors", says_so]);
            assert!(!text.contains('\u{202e}'), "shown escaped: {text}");
        }
    });
    hostile("a_header_of_100_megabytes", |device| {
        // The largest that is read, and one byte more; neither is more than a moment's work.
        for (length, says_so) in [(100_000_000usize, "JSON"), (100_000_001, "too large")] {
            let text = refusal(device, "gpt2", |files| {
                let mut bytes = (length as u64).to_le_bytes().to_vec();
                bytes.resize(8 + length, b' ');
                *file(files, "model.safetensors") = bytes;
            });
            says(&text, &["model.safetensors", says_so]);
        }
    });
    hostile("wrong_dtype", |device| {
        let text = refusal(device, "gpt2", |files| {
            edit_header(files, "\"dtype\":\"F32\"", "\"dtype\":\"U32\"");
        });
        says(&text, &["dtype of tensor `", "F32, F16, BF16 or I8", "U32"]);
    });
    hostile("tokenizer_that_does_not_fit", |device| {
        let text = refusal(device, "gpt2", |files| {
            edit(files, "tokenizer.json", "\"w5\":5", "\"\u{202e}w5\":4000000000");
        });
        says(&text, &["tokenizer.json", "ids below the model's"]);
        assert!(!text.contains('\u{202e}'), "shown escaped: {text}");
    });
    hostile("numbers_that_are_none", |device| {
        for bits in [f32::NAN, f32::INFINITY] {
            let text = refusal(device, "gpt2", |files| {
                let bytes = file(files, "model.safetensors");
                let end = bytes.len();
                bytes[end - 4..].copy_from_slice(&bits.to_le_bytes());
            });
            says(&text, &["finite", "tensor `"]);
        }
    });
    hostile("config_of_another_family", |device| {
        let other = model_files("bert").into_iter().find(|(name, _)| name == "config.json");
        let other = other.unwrap().1;
        let text = refusal(device, "gpt2", |files| *file(files, "config.json") = other);
        says(&text, &["bert.embeddings.word_embeddings.weight"]);
    });
    hostile("vocabulary_larger_than_the_matrix", |device| {
        let text = refusal(device, "gpt2", |files| {
            edit(files, "config.json", "\"vocab_size\": 61", "\"vocab_size\": 500");
        });
        says(&text, &["transformer.wte.weight", "[500, 27]", "[61, 27]"]);
        let text = refusal(device, "gpt2", |files| {
            edit(files, "config.json", "\"vocab_size\": 61", "\"vocab_size\": 9");
        });
        says(&text, &["tokenizer.json", "9", "61"]);
    });
    hostile("settings_that_nobody_knows", |device| {
        for (name, from, to, words) in [
            ("gpt2", "\"n_layer\": 3", "\"n_layer\": 3, \"logit_softcap\": 5", "logit_softcap"),
            ("gpt2", "\"n_layer\": 3", "\"n_layer\": 1000000000", "n_layer"),
            ("gpt2", "\"n_layer\": 3", "\"n_layer\": 90000000", "layers"),
            ("gpt2", "\"n_layer\": 3", "\"n_layer\": \"three\"", "n_layer"),
            ("gpt2", "\"n_head\": 3", "\"n_head\": 0", "n_head"),
            ("gpt2", "\"n_head\": 3", "\"n_head\": 4", "n_head"),
            ("gpt2", "\"n_embd\": 27", "\"n_embd\": 0", "width"),
            ("gpt2", "gelu_new", "mish", "activation_function"),
            (
                "gpt2",
                "\"add_cross_attention\": false",
                "\"add_cross_attention\": true",
                "add_cross",
            ),
            ("gpt2", "GPT2LMHeadModel", "GPT2DoubleHeadsModel", "architectures"),
            ("gpt2", "\"eos_token_id\": 2", "\"eos_token_id\": 61", "token id"),
            ("gpt2", "\"model_type\": \"gpt2\"", "\"model_type\": \"mamba\"", "model_type"),
            (
                "bert",
                "\"vocab_size\"",
                "\"position_embedding_type\": \"relative_key\", \"vocab_size\"",
                "position_embedding_type",
            ),
            ("bert", "\"is_decoder\": false", "\"is_decoder\": true", "is_decoder"),
            ("llama", "\"rope_type\": \"default\"", "\"rope_type\": \"longrope\"", "rope_type"),
            (
                "llama",
                "\"rope_type\": \"default\"",
                "\"rope_type\": \"default\", \"alpha\": 2",
                "alpha",
            ),
            ("llama", "\"head_dim\": 6", "\"head_dim\": 260000000", "rope"),
            (
                "llama",
                "\"num_key_value_heads\": 3",
                "\"num_key_value_heads\": 4",
                "key/value heads",
            ),
            ("t5", "\"d_kv\": 7", "\"d_kv\": 7, \"n_positions\": 100000000", "positions"),
            (
                "t5",
                "\"relative_attention_num_buckets\": 8",
                "\"relative_attention_num_buckets\": 0",
                "buckets",
            ),
            ("marian", "\"d_model\": 20", "\"d_model\": 65536, \"x\": 0", "x"),
            (
                "bart",
                "\"vocab_size\"",
                "\"quantization_config\": {}, \"vocab_size\"",
                "quantization_config",
            ),
            (
                "qwen2",
                "\"use_sliding_window\": false",
                "\"use_sliding_window\": true",
                "use_sliding_window",
            ),
            ("albert", "\"inner_group_num\": 1", "\"inner_group_num\": 2", "inner_group_num"),
        ] {
            let text = refusal(device, name, |files| edit(files, "config.json", from, to));
            says(&text, &[words]);
        }
    });
    hostile("files_that_are_not_what_their_name_says", |device| {
        for name in ["config.json", "tokenizer.json", "model.safetensors"] {
            for content in [&b""[..], b"{}", b"[[[[", b"\xff\xfe\x00", b"<!doctype html>"] {
                let text = refusal(device, "gpt2", |files| *file(files, name) = content.to_vec());
                assert!(!text.is_empty());
            }
            let text = refusal(device, "gpt2", |files| files.retain(|(have, _)| have != name));
            says(&text, &[name]);
        }
        let deep = "[".repeat(200_000);
        refusal(device, "gpt2", |files| *file(files, "config.json") = deep.into_bytes());
    });
    cases
}
