//! Every family against its reference: small random checkpoints (`golden/make.py`), their logits,
//! attention, heads and greedy ids; cached decoding against uncached; and checkpoints that are broken.

mod machines;
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use unmasked::device::Device;
use unmasked::engine::Engine;
use unmasked::family;
use unmasked::model::Transformer;
use unmasked::request::{Request, Watchable};
use unmasked::session::Session;
use unmasked::spec::{Architecture, Spec, Stack};
use unmasked::tokenizer::Tokenizer;

use machines::{afresh, chosen, difference, files, logits, run, shared, watch};
use support::{Case, case, is_cpu};

#[derive(Deserialize)]
struct Golden {
    cases: Vec<GoldenCase>,
}

/// `[layer][head][row][key]`, a site each.
type Attention = BTreeMap<String, Vec<Vec<Vec<Vec<f32>>>>>;

#[derive(Deserialize)]
struct GoldenCase {
    ids: Vec<u32>,
    text: Option<String>,
    pair: Option<String>,
    /// A rule that is asked for, of the stack that makes the outputs.
    mask: Option<String>,
    #[serde(default)]
    target_ids: Vec<u32>,
    attention: Attention,
    logits: Option<Vec<Vec<f32>>>,
    pair_scores: Option<Vec<f32>>,
    replaced: Option<Vec<f32>>,
    classes: Option<Vec<f32>>,
    greedy: Option<Vec<u32>>,
    #[serde(default)]
    greedy_margin: Vec<f32>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/families")
}

fn model_files(name: &str) -> Vec<(String, Vec<u8>)> {
    let mut all = files(&root().join(name));
    all.retain(|(file, _)| file != "golden.json");
    all
}

fn load(name: &str, device: &Device) -> Engine {
    pollster::block_on(Engine::load(model_files(name), shared(device)))
        .unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn golden(name: &str) -> Golden {
    let json = fs::read(root().join(name).join("golden.json")).unwrap();
    serde_json::from_slice(&json).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn request(case: &GoldenCase) -> Request {
    let site = if case.attention.contains_key("encoder") { "encoder" } else { "decoder" };
    let mask = case.mask.as_ref().map(|rule| serde_json::json!({ site: { "rule": rule } }));
    let ids = if case.text.is_some() { None } else { Some(case.ids.clone()) };
    Request {
        text: case.text.clone(),
        pair: case.pair.clone(),
        ids,
        target_ids: case.target_ids.clone(),
        mask: mask.map(|mask| serde_json::from_value(mask).unwrap()).unwrap_or_default(),
        watch: watch(&[Watchable::Attention, Watchable::Logits]),
        ..Request::default()
    }
}

/// The largest absolute difference of two `[layer][head][row][key]`.
fn apart(got: &[Vec<Vec<Vec<f32>>>], wanted: &[Vec<Vec<Vec<f32>>>], place: &str) -> f32 {
    assert_eq!(got.len(), wanted.len(), "{place}: layers");
    let (got, wanted) = (got.concat().concat(), wanted.concat().concat());
    assert_eq!(got.len(), wanted.len(), "{place}: rows of all heads");
    let pairs = got.iter().zip(&wanted).flat_map(|(a, b)| {
        assert_eq!(a.len(), b.len(), "{place}: keys");
        a.iter().zip(b)
    });
    pairs.fold(0.0, |worst, (a, b)| worst.max((a - b).abs()))
}

fn forward_equals_reference(name: &str) -> Case {
    let name = name.to_string();
    case(format!("{name}::logits_and_attention"), move |device: &Device| {
        let engine = load(&name, device);
        let golden = golden(&name);
        assert!(!golden.cases.is_empty());
        let (mut logits_apart, mut attention_apart) = (0f32, 0f32);
        for (number, case) in golden.cases.iter().enumerate() {
            let trace = afresh(&engine, &request(case));
            let ids: Vec<u32> = trace.tokens.iter().map(|token| token.id).collect();
            let mut read = case.ids.clone();
            if engine.spec.encoder.layers == 0 {
                read.extend(&case.target_ids);
            }
            assert_eq!(ids, read, "case {number}: the template");
            let forward = trace.forward.as_ref().unwrap();
            let sites: Vec<&str> = engine.spec.sites().iter().map(|site| site.name()).collect();
            assert_eq!(sites.len(), case.attention.len(), "case {number}: sites");
            for site in sites {
                let place = format!("case {number}, {site}");
                let worst = apart(&forward.watched.attention[site], &case.attention[site], &place);
                attention_apart = attention_apart.max(worst);
                assert!(worst <= 1e-4, "{place}: attention differs by {worst}");
            }
            let heads = &forward.heads;
            let all = [
                (
                    "logits",
                    forward.logits.as_ref().map(|rows| rows.concat()),
                    case.logits.as_ref().map(|rows| rows.concat()),
                ),
                ("pair", heads.pair.clone(), case.pair_scores.clone()),
                ("replaced", heads.replaced.clone(), case.replaced.clone()),
                ("classes", heads.classes.clone(), case.classes.clone()),
            ];
            for (head, got, wanted) in all {
                match (got, wanted) {
                    (Some(got), Some(wanted)) => {
                        let worst = difference(&got, &wanted);
                        logits_apart = logits_apart.max(worst);
                        assert!(
                            worst <= 1e-4,
                            "case {number}: {head} differ by {worst} of the largest"
                        );
                    }
                    (None, None) => {}
                    (got, _) => panic!("case {number}: {head} here: {}", got.is_some()),
                }
            }
        }
        let report = device.report();
        if std::env::var("UNMASKED_ERRORS").is_ok() {
            let backend = &report.backend;
            println!("worst on {backend}: {name}: {logits_apart:.1e} {attention_apart:.1e}");
        }
        // What hardware rounds otherwise is not what README speaks of; the bounds above hold for it.
        if is_cpu(device) || report.software {
            let (logits, attention) = readme(&engine.spec.name);
            let place = "README's table";
            assert!(logits_apart <= logits, "{place}: logits {logits}, here {logits_apart:.1e}");
            let apart = attention_apart;
            assert!(apart <= attention, "{place}: attention {attention}, here {apart:.1e}");
        }
    })
}

/// The errors that README's table states of a family: of logits and of attention.
fn readme(family: &str) -> (f32, f32) {
    let text = include_str!("../README.md");
    let table = text.lines().skip_while(|line| !line.starts_with("| family |"));
    let rows = table.take_while(|line| line.starts_with('|'));
    let cells = |row: &str| -> Vec<String> {
        row.trim_matches('|').split('|').map(|cell| cell.trim().to_string()).collect()
    };
    let row = rows.map(cells).find(|row| row[0].split(", ").any(|name| name == family));
    let row = row.unwrap_or_else(|| panic!("README's table has no row of {family}"));
    let number = |at: usize| row[at].parse().unwrap_or_else(|_| panic!("{family}: {}", row[at]));
    (number(4), number(5))
}

fn greedy_equals_reference(name: &str) -> Case {
    let name = name.to_string();
    case(format!("{name}::greedy_ids_cached_and_not"), move |device: &Device| {
        let engine = load(&name, device);
        for (number, case) in golden(&name).cases.iter().enumerate() {
            let Some(greedy) = &case.greedy else {
                assert!(!engine.spec.generates(), "case {number} has no greedy ids");
                return;
            };
            let request = Request { max_new_tokens: Some(greedy.len()), ..request(case) };
            let steps = run(&mut Session::new(), &engine, &request);
            // Past a step whose best two are this close, either choice is right.
            let close = case.greedy_margin.iter().position(|margin| *margin < 1e-3);
            let sure = close.unwrap_or(greedy.len());
            let got = chosen(&steps);
            assert!(got.len() >= sure, "case {number}: {got:?}, reference {greedy:?}");
            assert_eq!(got[..sure], greedy[..sure], "case {number}");
            if close.is_none() {
                assert_eq!(got, *greedy, "case {number}: where it ends");
            }
            let whole =
                Request { target_ids: [case.target_ids.clone(), got].concat(), ..request.clone() };
            let whole = afresh(&engine, &whole);
            for step in &steps {
                let (cached, fresh) = (step.logits.as_ref().unwrap(), &logits(&whole)[step.row]);
                match is_cpu(device) {
                    true => assert_eq!(cached, fresh, "case {number}, row {}", step.row),
                    false => assert!(difference(cached, fresh) <= 1e-4, "case {number}"),
                }
            }
        }
    })
}

// ---- broken, hostile, absurd ---------------------------------------------------------------

type Files = Vec<(String, Vec<u8>)>;

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

fn hostile() -> Vec<Case> {
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
        let bidi = "{\"\u{202e}a\\n\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}";
        for (header, data, says_so) in [
            (format!("{{{},{}}}", four("a", 0), four("b", 2)), 6, "offset"),
            (format!("{{{},{}}}", four("a", 0), four("b", 8)), 12, "offset"),
            (format!("{{{}}}", four("a", 0)), 2, "fully covered"),
            (format!("{{{}}}", four("a", 0)), 8, "fully covered"),
            (format!("{{{},{}}}", four("a", 0), four("a", 0)), 4, "`a` twice"),
            (huge.into(), 4, "overflow"),
            (wrong.into(), 4, "complete"),
            (unknown.into(), 4, "F12"),
            (back.into(), 4, "offset"),
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

// ---- settings of well-known checkpoints ----------------------------------------------------

#[derive(Deserialize)]
struct Configs {
    configs: BTreeMap<String, WellKnown>,
}

#[derive(Deserialize)]
struct WellKnown {
    parameters: usize,
    config: serde_json::Value,
}

fn well_known() -> Case {
    support::cpu_case("well_known_configs_have_the_references_parameters", |_| {
        let json = fs::read(root().parent().unwrap().join("configs.json")).unwrap();
        let all: Configs = serde_json::from_slice(&json).unwrap();
        assert!(all.configs.len() > 20);
        let mut wrong = Vec::new();
        for (name, known) in all.configs {
            let counted = family::recognise(known.config.to_string().as_bytes())
                .and_then(|(spec, _)| Transformer::new(&spec))
                .map(|transformer| transformer.parameters());
            if counted != Ok(known.parameters) {
                wrong.push(format!("{name}: {counted:?}, reference {}", known.parameters));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    })
}

// ---- tokenizers of older files -------------------------------------------------------------

#[derive(Deserialize)]
struct TokenizerGolden {
    cases: Vec<TokenizerCase>,
}

#[derive(Deserialize)]
struct TokenizerCase {
    text: String,
    pair: Option<String>,
    ids: Vec<u32>,
}

fn older_files(name: &str) -> (Files, TokenizerGolden) {
    let folder = root().parent().unwrap().join("tokenizers").join(name);
    let all = files(&folder);
    let golden = all.iter().find(|(name, _)| name == "golden.json").unwrap();
    let golden = serde_json::from_slice(&golden.1).unwrap();
    (all, golden)
}

fn older(name: &str) -> (Tokenizer, Spec, TokenizerGolden) {
    let (files, golden) = older_files(name);
    let find =
        |name: &str| files.iter().find(|(have, _)| have == name).map(|(_, bytes)| bytes.as_slice());
    let mut spec = Spec {
        vocabulary: 1000,
        segments: 2,
        max_positions: 64,
        encoder: Stack::plain(1, 1, 4, 4),
        ..Spec::plain("older", Architecture::Encoder, 4)
    };
    let mut tokenizer = Tokenizer::of_folder(&find, spec.vocabulary, spec.special).unwrap();
    tokenizer.complete(&mut spec).unwrap();
    (tokenizer, spec, golden)
}

const OLDER: [&str; 5] =
    ["word-pieces", "word-pieces-cased", "byte-pairs", "byte-pairs-around", "sentence-pieces"];

fn tokenizers() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for name in OLDER {
        cases.push(support::cpu_case(format!("tokenizers::{name}::ids"), move |_| {
            let (tokenizer, spec, golden) = older(name);
            for case in golden.cases {
                let pair = case.pair.as_deref();
                let input = tokenizer.input(&spec.template, &case.text, pair, 1000).unwrap();
                let ids: Vec<u32> = input.tokens.iter().map(|token| token.id).collect();
                assert_eq!(ids, case.ids, "{}", case.text);
            }
        }));
    }
    let read = |name: &'static str, text: &'static str| -> String {
        let (tokenizer, _, _) = older(name);
        let tokens = tokenizer.encode(text).unwrap();
        let show =
            |t: &unmasked::trace::Token| format!("{}{}", if t.space { " " } else { "" }, t.piece);
        tokens.iter().map(show).collect()
    };
    cases.push(support::cpu_case("tokenizers::pieces_read_as_the_text", move |_| {
        for name in ["word-pieces-cased", "byte-pairs", "sentence-pieces"] {
            let text = "The mask hides a word, isn't it? unmasking";
            assert_eq!(read(name, text).trim_start(), text, "{name}");
        }
    }));
    cases.push(support::cpu_case("tokenizers::bytes_of_a_split_character", |_| {
        let (tokenizer, _, _) = older("byte-pairs");
        let pieces: Vec<String> =
            tokenizer.encode("🎭").unwrap().into_iter().map(|token| token.piece).collect();
        assert_eq!(pieces, ["<0xF0>", "<0x9F>", "<0x8E>", "<0xAD>"]);
    }));
    cases.push(support::cpu_case("tokenizers::attached_pieces_have_no_space", |_| {
        let (tokenizer, _, _) = older("word-pieces");
        let tokens = tokenizer.encode("the unmasked mask").unwrap();
        assert!(!tokens[0].space && tokens.iter().any(|token| token.space));
        let attached = tokens.iter().find(|token| !token.space && token.id != tokens[0].id);
        let attached = attached.expect("`unmasked` is several pieces");
        assert!(!attached.piece.starts_with("##") && !tokenizer.token(attached.id).space);
    }));
    cases.push(support::cpu_case("tokenizers::broken_files", |_| {
        let files: [(&str, &[u8]); 7] = [
            ("vocab.txt", b"\xff\xfe"),
            ("vocab.txt", b""),
            ("vocab.json", b"[]"),
            ("spiece.model", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
            ("spiece.model", b"\x0a\x05ab"),
            ("spiece.model", b""),
            ("tokenizer.json", b"{\"model\":{}}"),
        ];
        for (name, content) in files {
            let find = |have: &str| match have {
                "merges.txt" => Some(&b"a b"[..]),
                have => (have == name).then_some(content),
            };
            let opened = Tokenizer::of_folder(&find, 1000, Default::default());
            // An empty vocabulary is no crash either; a model without a word says so when it reads.
            if let Ok(tokenizer) = opened {
                assert!(
                    tokenizer.encode("word").map_or(true, |tokens| tokens.is_empty()),
                    "{name}"
                );
            }
        }
    }));
    cases
}

fn main() {
    let mut names: Vec<String> = fs::read_dir(root())
        .expect("golden/families")
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let mut cases = Vec::new();
    for name in &names {
        cases.push(forward_equals_reference(name));
        cases.push(greedy_equals_reference(name));
    }
    cases.extend(hostile());
    cases.extend(tokenizers());
    cases.push(well_known());
    support::main(cases);
}
