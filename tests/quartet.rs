//! The quartet as it ships against the Python model that trained it: logits, attention, text.

mod machines;
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use unmasked::device::Device;
use unmasked::graph::Site;
use unmasked::request::{Request, Watchable};
use unmasked::session::Session;

use machines::{QUARTET, afresh, difference, logits, of_ids, quartet, run};
use support::{Case, case};

#[derive(Deserialize)]
struct Golden {
    model_sha256: String,
    cases: Vec<GoldenCase>,
}

/// `[layer][head][row][key]`, a site each.
type Attention = BTreeMap<String, Vec<Vec<Vec<Vec<f32>>>>>;

#[derive(Deserialize)]
struct GoldenCase {
    ids: Vec<u32>,
    #[serde(default)]
    target_ids: Option<Vec<u32>>,
    source_length: usize,
    logits: Vec<Vec<f32>>,
    attention: Attention,
    #[serde(default)]
    pair: Option<Vec<f32>>,
    #[serde(default)]
    greedy: Option<Vec<u32>>,
    #[serde(default)]
    greedy_margin: Option<Vec<f32>>,
}

fn golden(architecture: &str) -> Golden {
    let name = format!("tests/golden/en-fr-{architecture}.json");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(&name);
    let json = fs::read(path).unwrap_or_else(|error| panic!("{name}: {error}"));
    serde_json::from_slice(&json).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn request(case: &GoldenCase, what: &[Watchable]) -> Request {
    Request {
        target_ids: case.target_ids.clone().unwrap_or_default(),
        source_length: Some(case.source_length),
        ..of_ids(&case.ids, what)
    }
}

fn forward_equals_reference(architecture: &'static str) -> Case {
    case(format!("{architecture}::logits_and_attention"), move |device: &Device| {
        let engine = quartet(architecture, device);
        let golden = golden(architecture);
        assert!(!golden.cases.is_empty());
        for (number, case) in golden.cases.iter().enumerate() {
            let request = request(case, &[Watchable::Attention, Watchable::Logits]);
            let trace = afresh(&engine, &request);
            let got = logits(&trace);
            assert_eq!(got.len(), case.logits.len(), "rows of case {number}");
            let worst = difference(&got.concat(), &case.logits.concat());
            assert!(worst <= 1e-4, "case {number}: logits differ by {worst} of the largest");
            let forward = trace.forward.as_ref().unwrap();
            for site in engine.spec.sites() {
                let (got, wanted) =
                    (&forward.watched.attention[site.name()], &case.attention[site.name()]);
                assert_eq!(got.len(), engine.spec.stack(site).layers);
                for (layer, (got, wanted)) in got.iter().zip(wanted).enumerate() {
                    let flat = |heads: &Vec<Vec<Vec<f32>>>| heads.concat().concat();
                    for (a, b) in flat(got).iter().zip(flat(wanted)) {
                        let place = format!("case {number}, {} layer {layer}", site.name());
                        assert!((a - b).abs() <= 1e-4, "{place}: attention {a}, reference {b}");
                    }
                }
            }
            if let Some(pair) = &case.pair {
                let got = forward.heads.pair.as_ref().expect("the pair head");
                assert!(difference(got, pair) <= 1e-4, "case {number}: pair {got:?}, {pair:?}");
            }
        }
    })
}

fn greedy_equals_reference(architecture: &'static str) -> Case {
    case(format!("{architecture}::greedy_ids"), move |device: &Device| {
        let engine = quartet(architecture, device);
        for (number, case) in golden(architecture).cases.iter().enumerate() {
            let (Some(greedy), Some(margins)) = (&case.greedy, &case.greedy_margin) else {
                panic!("case {number} has no greedy ids");
            };
            let request = Request {
                ids: Some(case.ids[..case.source_length].to_vec()),
                max_new_tokens: Some(greedy.len()),
                ..Request::default()
            };
            let steps = run(&mut Session::new(), &engine, &request);
            // Past a step whose best two are this close, either choice is right.
            let sure = margins.iter().position(|margin| *margin < 1e-3).unwrap_or(greedy.len());
            let got = machines::chosen(&steps);
            assert!(sure > 0 && got.len() >= sure.min(greedy.len()), "case {number}: {got:?}");
            assert_eq!(got[..sure], greedy[..sure], "case {number}");
        }
    })
}

fn main() {
    let mut cases = Vec::new();
    for architecture in QUARTET {
        cases.push(forward_equals_reference(architecture));
        if architecture != "encoder" {
            cases.push(greedy_equals_reference(architecture));
        }
    }
    cases.push(support::cpu_case("golden_numbers_are_of_the_models_that_ship", |_| {
        let index = Path::new(env!("CARGO_MANIFEST_DIR")).join("www/models/models.json");
        let index: serde_json::Value = serde_json::from_slice(&fs::read(index).unwrap()).unwrap();
        for architecture in QUARTET {
            let id = format!("en-fr-{architecture}");
            let models = index["models"].as_array().unwrap();
            let model = models.iter().find(|model| model["id"] == id.as_str()).unwrap();
            let shipped = model["files"]["model.safetensors"]["sha256"].as_str().unwrap();
            assert_eq!(golden(architecture).model_sha256, shipped, "{id}");
        }
    }));
    cases.push(case("the_four_have_the_sites_of_their_architecture", |device| {
        let sites = |name| quartet(name, device).spec.sites();
        assert_eq!(sites("encoder"), [Site::Encoder]);
        assert_eq!(sites("causal"), [Site::Decoder]);
        assert_eq!(sites("prefix"), [Site::Decoder]);
        assert_eq!(sites("encoder-decoder"), Site::ALL);
    }));
    support::main(cases);
}
