//! Where answers begin and end: GLM's blanks in a text, and what `generation_config.json` says.

use serde_json::{Value as Json, json};
use unmasked::device::Device;
use unmasked::engine::Engine;
use unmasked::error::Result;
use unmasked::request::{Request, Watchable};
use unmasked::session::Session;

use super::machines::{afresh, chosen, difference, logits, run, shared, watch};
use super::support::{self, Case};
use super::{Files, golden, load, model_files, request};

fn open(files: Files, device: &Device) -> Result<Engine> {
    pollster::block_on(Engine::load(files, shared(device)))
}

/// The first GLM with these tokens in place of words, as its released tokenizers have them.
fn glm(tokens: &[(&str, u32)], device: &Device) -> Engine {
    let mut files = model_files("glm-blank");
    let (_, tokenizer) = files.iter_mut().find(|(name, _)| name == "tokenizer.json").unwrap();
    let mut json: Json = serde_json::from_slice(tokenizer).unwrap();
    for (token, id) in tokens {
        let added = json["added_tokens"].as_array_mut().unwrap();
        added.retain(|have| have["id"] != *id);
        added.push(json!({ "id": id, "content": token, "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false, "special": true }));
        let vocabulary = json["model"]["vocab"].as_object_mut().unwrap();
        vocabulary.retain(|_, have| have != id);
        vocabulary.insert(token.to_string(), json!(id));
    }
    *tokenizer = json.to_string().into_bytes();
    open(files, device).unwrap()
}

/// A golden model with a `generation_config.json`.
fn told(name: &str, file: impl Into<Vec<u8>>, device: &Device) -> Result<Engine> {
    let mut files = model_files(name);
    files.push(("generation_config.json".into(), file.into()));
    open(files, device)
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut generation = |name: &str, run: fn(&Device)| {
        cases.push(support::cpu_case(format!("generation::{name}"), run));
    };
    generation("glm_reads_a_text_in_its_template", |device| {
        let engine = glm(&[("[sMASK]", 5), ("<|endoftext|>", 6)], device);
        for (blank, id) in [("[MASK]", 3), ("[sMASK]", 5), ("[gMASK]", 4)] {
            let of_text = Request {
                text: Some(format!("w17 w33 {blank} w23")),
                watch: watch(&[Watchable::Logits]),
                ..Request::default()
            };
            let ids = vec![0, 17, 33, id, 23, 6];
            let of_ids = Request { text: None, ids: Some(ids.clone()), ..of_text.clone() };
            let (text, given) = (afresh(&engine, &of_text), afresh(&engine, &of_ids));
            let read: Vec<u32> = text.tokens.iter().map(|token| token.id).collect();
            assert_eq!(read, [ids, vec![1]].concat(), "{blank}");
            assert_eq!(logits(&text), logits(&given), "{blank}");
        }
    });
    // The reference tells its blanks apart by nothing but their embeddings.
    generation("glm_fills_every_kind_of_blank", |device| {
        for blank in ["[sMASK]", "[gMASK]"] {
            let engine = glm(&[("w4", 4), (blank, 3)], device);
            for case in golden("glm-blank").cases {
                let trace = afresh(&engine, &request(&case));
                let wanted = case.logits.unwrap().concat();
                let worst = difference(&logits(&trace).concat(), &wanted);
                assert!(worst <= 1e-4, "{blank}: {worst}");
            }
        }
    });
    generation("ends_where_its_own_file_says", |device| {
        for name in ["llama", "bart"] {
            let case = golden(name).cases.into_iter().next().unwrap();
            let greedy = case.greedy.clone().unwrap();
            let at = |end: u32| greedy.iter().position(|id| *id == end).unwrap() + 1;
            for (ends, length) in [
                (json!(greedy[1]), at(greedy[1])),
                (json!([greedy[2], greedy[0]]), at(greedy[2]).min(at(greedy[0]))),
                (Json::Null, greedy.len()),
                (json!([]), greedy.len()),
            ] {
                let file = json!({ "eos_token_id": ends, "temperature": 0.1, "x": [{}] });
                let engine = told(name, file.to_string(), device).unwrap();
                let request = Request { max_new_tokens: Some(greedy.len()), ..request(&case) };
                let got = chosen(&run(&mut Session::new(), &engine, &request));
                assert_eq!(got, greedy[..length], "{name}, {ends}");
            }
        }
    });
    generation("begins_where_its_own_file_says", |device| {
        let start = |name: &str, file: Json| {
            told(name, file.to_string(), device).unwrap().spec.template.start
        };
        let usual = load("bart", device).spec.template.start;
        assert_eq!(start("bart", json!({})), usual);
        assert_eq!(start("bart", json!({ "decoder_start_token_id": 7 }))[0], 7);
        let both = json!({ "decoder_start_token_id": 7, "forced_bos_token_id": 9 });
        assert_eq!(start("bart", both.clone()), [7, 9]);
        assert_eq!(start("bart", json!({ "forced_bos_token_id": 9 })), [usual[0], 9]);
        assert_eq!(start("llama", both.clone()), [0; 0]);
        assert_eq!(start("bert", both), [0; 0]);
    });
    generation("settings_that_cannot_be_are_refused", |device| {
        let many = json!({ "eos_token_id": vec![1; 1000] }).to_string();
        let long = " ".repeat(2 << 20);
        for (file, words) in [
            (r#"{ "eos_token_id": 4000 }"#, "token id"),
            (r#"{ "eos_token_id": [1, 4000] }"#, "token id"),
            (r#"{ "eos_token_id": "2" }"#, "eos_token_id"),
            (r#"{ "eos_token_id": [[2]] }"#, "eos_token_id"),
            (r#"{ "eos_token_id": 1e99 }"#, "eos_token_id"),
            (r#"{ "decoder_start_token_id": 4000 }"#, "token id"),
            (r#"{ "forced_bos_token_id": {} }"#, "forced_bos_token_id"),
            (many.as_str(), "eos_token_id"),
            (long.as_str(), "bytes"),
            ("[]", "object"),
            ("", "JSON"),
            ("<!doctype html>", "JSON"),
        ] {
            for name in ["llama", "bart", "bert"] {
                let text = told(name, file, device).expect_err(file).to_string();
                for word in [words, "generation_config.json"] {
                    assert!(text.contains(word), "`{word}` is missing in: {text}");
                }
                assert!(!text.contains('\n') && text.len() < 600, "one line: {text}");
            }
        }
    });
    cases
}
