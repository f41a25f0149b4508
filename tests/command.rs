//! The command's contract: the JSON that others read, and the exit statuses that scripts test.

mod machines;
mod support;

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::{Value, json};

fn unmasked(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_unmasked")).args(arguments).output().expect("it starts")
}

fn trace(architecture: &str, arguments: &[&str]) -> Value {
    let folder = machines::folder(architecture);
    let mut all = vec!["trace", "--backend", "cpu", "--model", folder.to_str().unwrap()];
    all.extend(arguments);
    let output = unmasked(&all);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    serde_json::from_slice(&output.stdout).expect("JSON on standard output")
}

fn file(name: &str, content: &Value) -> PathBuf {
    let path = std::env::temp_dir().join(format!("unmasked-{}-{name}.json", std::process::id()));
    std::fs::write(&path, content.to_string()).unwrap();
    path
}

/// `[a][b][c][d]` of a rectangular array.
fn shape(value: &Value) -> Vec<usize> {
    match value.as_array() {
        Some(items) => {
            let mut shape = vec![items.len()];
            shape.extend(items.first().map(self::shape).unwrap_or_default());
            shape
        }
        None => Vec::new(),
    }
}

#[test]
fn a_trace_has_the_shapes_of_the_contract() {
    let flags = ["--attention", "--scores", "--logits", "--hidden"];
    for architecture in machines::QUARTET {
        let mut arguments = vec!["--ids", "1,300,301,302,2"];
        arguments.extend(flags);
        if architecture != "encoder" {
            arguments.extend(["--target-ids", "1,310"]);
        }
        let trace = trace(architecture, &arguments);
        assert_eq!(trace["version"], 1);
        assert_eq!(trace["model"]["family"], "unmasked");
        assert_eq!(trace["model"]["architecture"], architecture);
        assert!(trace["model"]["parameters"].as_u64().unwrap() > 1_000_000);
        assert_eq!(trace["device"]["backend"], "cpu");
        assert_eq!(trace["device"]["software"], false);
        assert!(trace["device"]["reason"].is_string());
        assert_eq!(trace["truncated"], 0);
        assert_eq!(trace["source_length"], 5);
        let (layers, heads, width) = (6, 5, 160);
        let vocabulary = shape(&trace["forward"]["logits"])[1];
        let forward = &trace["forward"];
        match architecture {
            "encoder-decoder" => {
                assert_eq!(shape(&trace["tokens"]), [5]);
                assert_eq!(trace["target"][0]["piece"], "[BOS]");
                assert_eq!(shape(&forward["attention"]["encoder"]), [3, heads, 5, 5]);
                assert_eq!(shape(&forward["attention"]["decoder"]), [3, heads, 2, 2]);
                assert_eq!(shape(&forward["attention"]["cross"]), [3, heads, 2, 5]);
                assert_eq!(shape(&forward["hidden"]["encoder"]), [4, 5, width]);
                assert_eq!(shape(&forward["hidden"]["decoder"]), [4, 2, width]);
                assert_eq!(shape(&forward["logits"]), [2, vocabulary]);
                assert_eq!(forward["mask"]["cross"], json!(["11111", "11111"]));
                assert_eq!(forward["mask"]["decoder"], json!(["10", "11"]));
                assert_eq!(forward["scores"]["decoder"][0][0][0][1], Value::Null);
            }
            "encoder" => {
                assert!(trace.get("target").is_none());
                assert_eq!(shape(&forward["attention"]["encoder"]), [layers, heads, 5, 5]);
                assert_eq!(shape(&forward["heads"]["pair"]), [2]);
                assert_eq!(shape(&forward["logits"]), [5, vocabulary]);
                assert_eq!(
                    forward["mask"]["encoder"],
                    json!(["11111", "11111", "11111", "11111", "11111"])
                );
            }
            _ => {
                assert_eq!(shape(&trace["tokens"]), [7], "the answer so far follows the source");
                assert_eq!(shape(&forward["attention"]["decoder"]), [layers, heads, 7, 7]);
                assert_eq!(shape(&forward["hidden"]["decoder"]), [layers + 1, 7, width]);
                let first = if architecture == "prefix" { "1111100" } else { "1000000" };
                assert_eq!(forward["mask"]["decoder"][0], first);
                assert_eq!(forward["scores"]["decoder"][0][0][0][6], Value::Null);
                assert!(forward["scores"]["decoder"][0][0][6][0].is_number());
            }
        }
    }
}

#[test]
fn steps_tell_what_was_chosen_and_what_it_took() {
    let trace = trace("causal", &["--text", "I am happy.", "--steps", "6", "--attention"]);
    let steps = trace["steps"].as_array().unwrap();
    assert!(!steps.is_empty() && steps.len() <= 6);
    for (number, step) in steps.iter().enumerate() {
        assert_eq!(step["row"], json!(trace["tokens"].as_array().unwrap().len() - 1 + number));
        assert_eq!(step["candidates"].as_array().unwrap().len(), 10);
        assert_eq!(step["candidates"][0]["id"], step["chosen"], "greedy takes the first");
        assert_eq!(step["stats"]["rows_computed"], 1, "the forward pass filled the cache");
        for key in ["dispatches", "submits", "readbacks", "milliseconds"] {
            assert!(step["stats"][key].is_number(), "{key}");
        }
    }
    assert!(trace["text"].as_str().is_some_and(|text| !text.is_empty()));
}

#[test]
fn every_flag_is_heard() {
    let plain = trace("causal", &["--ids", "1,300,301,302,2", "--logits"]);
    let differs = |arguments: &[&str]| {
        let mut all = vec!["--ids", "1,300,301,302,2", "--logits"];
        all.extend(arguments);
        let other = trace("causal", &all);
        assert_ne!(plain["forward"]["logits"], other["forward"]["logits"], "{arguments:?}");
    };
    differs(&["--mask", "causal+window:2"]);
    let edit = json!({ "row": 4, "key": 1, "visible": false, "layer": 2, "head": null });
    let mask = file("mask", &json!({ "decoder": { "rule": "causal", "edits": [edit] } }));
    differs(&["--mask", mask.to_str().unwrap()]);
    let picture = file("picture", &json!(["10000", "11000", "10100", "11110", "11111"]));
    differs(&["--mask", picture.to_str().unwrap()]);
    let mut gates = vec![vec![1.0; 5]; 6];
    gates[3] = vec![0.0; 5];
    let gates = file("gates", &json!({ "decoder": gates }));
    differs(&["--gates", gates.to_str().unwrap()]);
    let variants = file("variants", &json!([{}, { "ids": [1, 300, 301, 303, 2] }]));
    let swept = trace(
        "causal",
        &["--ids", "1,300,301,302,2", "--logits", "--variants", variants.to_str().unwrap()],
    );
    assert_eq!(swept["variants"].as_array().unwrap().len(), 2);
    assert_eq!(swept["variants"][0]["logits"], plain["forward"]["logits"]);
    let watch = r#"{"layers":[1],"heads":[0,2],"rows":[3],"what":["attention","queries"]}"#;
    let watched = trace("causal", &["--ids", "1,300,301,302,2", "--watch", watch]);
    assert_eq!(shape(&watched["forward"]["attention"]["decoder"]), [1, 2, 1, 5]);
    assert_eq!(shape(&watched["forward"]["queries"]["decoder"]), [1, 1, 160]);
    let drawn = |seed| {
        let sampling = ["--temperature", "2", "--top-k", "50", "--top-p", "0.99", "--seed", seed];
        let mut all = vec!["--text", "I am happy.", "--steps", "8"];
        all.extend(sampling);
        trace("causal", &all)["text"].clone()
    };
    assert_eq!(drawn("1"), drawn("1"));
    let texts: Vec<Value> = ["1", "2", "3", "4", "5"].into_iter().map(drawn).collect();
    assert!(texts.iter().any(|text| *text != texts[0]), "{texts:?}");
    let blanks = "5,300,4,302,4,2";
    for (fill, first_pass) in [("parallel", true), ("confidence", false)] {
        let filled = trace("encoder", &["--ids", blanks, "--steps", "4", "--fill", fill]);
        assert_eq!(filled["steps"].as_array().unwrap().len(), 2, "{fill}");
        let second = filled["steps"][1]["stats"]["rows_computed"] == 0;
        assert_eq!(second, first_pass, "{fill}");
    }
    let pair = ["--text", "I am happy.", "--pair", "Je suis content."];
    assert_eq!(shape(&trace("encoder", &pair)["forward"]["heads"]["pair"]), [2]);
    let out = file("out", &json!(null));
    let folder = machines::folder("prefix");
    let arguments = [
        "trace",
        "--model",
        folder.to_str().unwrap(),
        "--ids",
        "1,2",
        "--out",
        out.to_str().unwrap(),
    ];
    assert!(unmasked(&arguments).stdout.is_empty());
    let written: Value = serde_json::from_slice(&std::fs::read(&out).unwrap()).unwrap();
    assert_eq!(written["version"], 1);
}

#[test]
fn describe_and_mask() {
    let folder = machines::folder("encoder-decoder");
    let output = unmasked(&["describe", "--model", folder.to_str().unwrap()]);
    let card: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(card["layers"], json!({ "encoder": 3, "decoder": 3 }));
    assert_eq!(card["masks"], json!({ "encoder": "full", "decoder": "causal", "cross": "full" }));
    let ledger: u64 =
        card["ledger"].as_array().unwrap().iter().map(|l| l["parameters"].as_u64().unwrap()).sum();
    assert_eq!(card["parameters"], ledger);
    assert!(card["cost"][0]["multiplications_cached"].as_u64().unwrap() > 0);
    let drawn = unmasked(&["mask", "prefix:2", "4"]);
    assert_eq!(String::from_utf8_lossy(&drawn.stdout), "1100\n1100\n1110\n1111\n");
}

#[test]
fn bad_input_is_one_line_and_status_1_and_bad_usage_is_2() {
    let folder = machines::folder("causal");
    let model = folder.to_str().unwrap();
    let bad: [&[&str]; 7] = [
        &["trace", "--model", "no/such/folder", "--text", "a"],
        &["trace", "--model", model, "--text", ""],
        &["trace", "--model", model, "--ids", "1,99999999"],
        &["trace", "--model", model, "--text", "a", "--mask", "diagonal"],
        &["trace", "--model", model, "--text", "a", "--gates", "no-such.json"],
        &["trace", "--model", model, "--text", "a", "--watch", "{"],
        &["mask", "window:-1", "4"],
    ];
    for arguments in bad {
        let output = unmasked(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        // A Vulkan loader may write lines of its own.
        let ours: Vec<&str> = errors.lines().filter(|l| l.starts_with("unmasked:")).collect();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {errors}");
        assert_eq!(ours.len(), 1, "{arguments:?}: {errors}");
        assert!(ours[0].contains("expected") && ours[0].contains("got"), "{}", ours[0]);
    }
    for arguments in [&["trace"][..], &["trace", "--model", model], &["fly"]] {
        assert_eq!(unmasked(arguments).status.code(), Some(2), "{arguments:?}");
    }
}
