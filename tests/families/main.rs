//! Every family against its reference: small random checkpoints (`golden/make.py`), their logits,
//! attention, heads and greedy ids; cached decoding against uncached; and checkpoints that are broken.

mod generation;
mod heads;
mod hostile;
#[path = "../machines/mod.rs"]
mod machines;
mod settings;
#[path = "../support/mod.rs"]
mod support;
mod tokenizers;
mod torch;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};
use unmasked::device::Device;
use unmasked::engine::Engine;
use unmasked::family;
use unmasked::model::Transformer;
use unmasked::request::{Request, Watchable};
use unmasked::session::Session;
use unmasked::trace::Step;

use machines::{afresh, chosen, difference, files, logits, run, shared, watch};
use support::{Case, case, is_cpu};

#[derive(Deserialize)]
struct Golden {
    cases: Vec<GoldenCase>,
}

type Files = Vec<(String, Vec<u8>)>;

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

fn model_files(name: &str) -> Files {
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
    let text = include_str!("../../README.md");
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
            if !is_cpu(device) {
                keeps_to_its_budget(&engine, &steps[1..]);
            }
        }
    })
}

/// A token may take two dispatches a layer more than the quartet's block does, which takes five, and eight with cross-attention.
fn keeps_to_its_budget(engine: &Engine, steps: &[Step]) {
    let layers = engine.spec.decoder.layers as u32;
    let block = if engine.spec.encoder.layers > 0 { 8 } else { 5 };
    for step in steps {
        let dispatches = step.stats.dispatches;
        if std::env::var("UNMASKED_ERRORS").is_ok() {
            println!("dispatches: {}: {dispatches}, {layers} layers", engine.spec.name);
        }
        assert!(dispatches <= (block + 2) * layers + 3, "{dispatches} dispatches, {layers} layers");
    }
}

// ---- settings of well-known checkpoints ----------------------------------------------------

#[derive(Deserialize)]
struct Configs {
    configs: BTreeMap<String, WellKnown>,
}

#[derive(Deserialize)]
struct WellKnown {
    parameters: u64,
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

/// What a golden file says was proven is what lies beside it: each names the hashes of its files.
fn hashes() -> Case {
    #[derive(Deserialize)]
    struct Named {
        files: BTreeMap<String, String>,
    }
    support::cpu_case("golden_files_are_those_of_their_hashes", |_| {
        let folders = ["families", "tokenizers", "torch"].map(|kind| root().with_file_name(kind));
        let mut checked = 0;
        for folder in folders.iter().flat_map(|kind| fs::read_dir(kind).expect("a folder")) {
            let folder = folder.unwrap().path();
            let mut there: BTreeMap<String, String> = files(&folder)
                .iter()
                .map(|(name, bytes)| {
                    let hash = Sha256::digest(bytes);
                    (name.clone(), hash.iter().map(|byte| format!("{byte:02x}")).collect())
                })
                .collect();
            there.remove("golden.json").expect("golden.json");
            let golden = fs::read(folder.join("golden.json")).unwrap();
            let named: Named = serde_json::from_slice(&golden).expect("hashes");
            assert_eq!(there, named.files, "{}", folder.display());
            checked += 1;
        }
        assert!(checked > 50, "{checked} folders");
    })
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
    cases.extend(generation::cases());
    cases.extend(heads::cases());
    cases.extend(hostile::cases());
    cases.extend(settings::cases());
    cases.extend(tokenizers::cases());
    cases.extend(torch::cases());
    cases.push(well_known());
    cases.push(hashes());
    support::main(cases);
}
