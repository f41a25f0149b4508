//! The models that ship, f16 and packed, against the Python model that trained them: logits, attention, text.

mod machines;
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use unmasked::device::Device;
use unmasked::graph::Site;
use unmasked::request::{Request, Watchable};
use unmasked::session::Session;

use machines::{afresh, difference, logits, model, of_ids, quartet, run, shipped};
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
    /// `[blocks passed][row][width]`, a site each.
    hidden: BTreeMap<String, Vec<Vec<Vec<f32>>>>,
    #[serde(default)]
    pair: Option<Vec<f32>>,
    #[serde(default)]
    greedy: Option<Vec<u32>>,
    #[serde(default)]
    greedy_margin: Option<Vec<f32>>,
}

/// What models.json lists: a folder, and the hash of its weights. A packed folder is listed inside its model.
#[derive(Deserialize)]
struct Listed {
    folder: String,
    files: BTreeMap<String, ListedFile>,
    #[serde(default)]
    packed: Option<Box<Listed>>,
}

#[derive(Deserialize)]
struct ListedFile {
    bytes: u64,
    sha256: String,
}

fn listed() -> Vec<Listed> {
    #[derive(Deserialize)]
    struct Index {
        models: Vec<Listed>,
    }
    let json = fs::read(shipped().join("models.json")).expect("models.json");
    let index: Index = serde_json::from_slice(&json).expect("models.json is a list of models");
    let both = |mut model: Listed| {
        let packed = model.packed.take();
        [Some(model), packed.map(|packed| *packed)].into_iter().flatten()
    };
    index.models.into_iter().flat_map(both).collect()
}

fn golden(folder: &str) -> Golden {
    let name = format!("tests/golden/{folder}.json");
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

fn forward_equals_reference(folder: String) -> Case {
    case(format!("{folder}::logits_attention_and_hidden_rows"), move |device: &Device| {
        let engine = model(&folder, device);
        let golden = golden(&folder);
        assert!(!golden.cases.is_empty());
        for (number, case) in golden.cases.iter().enumerate() {
            let what = [Watchable::Attention, Watchable::Hidden, Watchable::Logits];
            let request = request(case, &what);
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
            assert!(!case.hidden.is_empty(), "case {number} has no hidden rows");
            for (site, wanted) in &case.hidden {
                let got = &forward.watched.hidden[site.as_str()];
                assert_eq!(got.len(), wanted.len(), "case {number}, {site}: blocks");
                for (blocks, (got, wanted)) in got.iter().zip(wanted).enumerate() {
                    let worst = difference(&got.concat(), &wanted.concat());
                    let place = format!("case {number}, {site} after {blocks} blocks");
                    assert!(worst <= 1e-4, "{place}: rows differ by {worst} of the largest");
                }
            }
            if let Some(pair) = &case.pair {
                let got = forward.heads.pair.as_ref().expect("the pair head");
                assert!(difference(got, pair) <= 1e-4, "case {number}: pair {got:?}, {pair:?}");
            }
        }
    })
}

fn greedy_equals_reference(folder: String) -> Case {
    case(format!("{folder}::greedy_ids"), move |device: &Device| {
        let engine = model(&folder, device);
        for (number, case) in golden(&folder).cases.iter().enumerate() {
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

/// The quartet's f16 weights were rounded to what int8 can say (training/pack.py); half a percent is what is promised.
fn packed_equals_whole(folder: String) -> Case {
    case(format!("{folder}::says_what_the_packed_folder_says"), move |device: &Device| {
        let packed = format!("{folder}-int8");
        let (whole, small) = (model(&folder, device), model(&packed, device));
        for (number, case) in golden(&folder).cases.iter().enumerate() {
            let request = request(case, &[Watchable::Logits]);
            let of = |engine| logits(&afresh(engine, &request)).concat();
            let worst = difference(&of(&small), &of(&whole));
            assert!(worst <= 1e-4, "case {number}: logits differ by {worst} of the largest");
        }
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The model that the GPU runs with the kernels for software adapters and with those for hardware.
const BOTH: &str = "en-fr-encoder-decoder";

fn main() {
    let mut cases = Vec::new();
    for Listed { folder, .. } in listed() {
        // One of them by both: what reads the weights, the norms and the caches is the same in all.
        let forward = forward_equals_reference(folder.clone());
        cases.push(if folder == BOTH { forward.with_both_kernels() } else { forward });
        if !folder.ends_with("-int8") {
            cases.push(packed_equals_whole(folder.clone()));
        }
        if !folder.trim_end_matches("-int8").ends_with("-encoder") {
            let greedy = greedy_equals_reference(folder.clone());
            cases.push(if folder == BOTH { greedy.with_both_kernels() } else { greedy });
        }
    }
    cases.push(support::cpu_case("golden_numbers_are_of_the_models_that_ship", |_| {
        let listed = listed();
        assert!(listed.len() >= 4, "{} models", listed.len());
        for Listed { folder, files, .. } in listed {
            assert_eq!(golden(&folder).model_sha256, files["model.safetensors"].sha256, "{folder}");
            for (name, file) in files {
                let bytes = fs::read(shipped().join(&folder).join(&name)).expect("a listed file");
                assert_eq!(bytes.len() as u64, file.bytes, "{folder}/{name}");
                assert_eq!(hex(&Sha256::digest(bytes)), file.sha256, "{folder}/{name}");
            }
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
