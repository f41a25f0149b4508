//! Models for the tests of sessions: the quartet as it ships, and small random ones of any spec.

#![allow(dead_code)]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use unmasked::device::{Cause, Device, Matrix};
use unmasked::engine::Engine;
use unmasked::graph::Source;
use unmasked::model::Transformer;
use unmasked::request::{Request, Select, Watch, Watchable};
use unmasked::session::Session;
use unmasked::spec::Spec;
use unmasked::tokenizer::Tokenizer;
use unmasked::trace::{Step, Trace};

use crate::support::{Numbers, open_gpu, tuning};

/// The architectures of the quartet, as their folders are named.
pub const QUARTET: [&str; 4] = ["encoder", "causal", "prefix", "encoder-decoder"];

/// Where the models lie that ship.
pub fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("www/models")
}

/// Where the quartet lies.
pub fn folder(architecture: &str) -> PathBuf {
    shipped().join(format!("en-fr-{architecture}"))
}

/// The files of a model folder.
pub fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let paths = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    paths
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read(&path).unwrap())
        })
        .collect()
}

/// wgpu must not be dropped while its thread ends: what a thread shares lives until the process ends.
fn keep<T>(shared: &Rc<T>) {
    std::mem::forget(shared.clone());
}

/// A device of the same kind that engines can share.
pub fn shared(device: &Device) -> Rc<Device> {
    thread_local! {
        static OPEN: RefCell<Vec<Rc<Device>>> = const { RefCell::new(Vec::new()) };
    }
    OPEN.with_borrow_mut(|open| {
        let same = |have: &&Rc<Device>| tuning(have) == tuning(device);
        if let Some(have) = open.iter().find(same) {
            return have.clone();
        }
        let fresh = match tuning(device) {
            None => Device::cpu(Cause::Asked, "asked for"),
            kernels => open_gpu(kernels).expect("it opened before"),
        };
        let fresh = Rc::new(fresh);
        keep(&fresh);
        open.push(fresh.clone());
        fresh
    })
}

/// A model of the quartet.
pub fn quartet(architecture: &str, device: &Device) -> Rc<Engine> {
    model(&format!("en-fr-{architecture}"), device)
}

/// A model that ships, by its folder.
pub fn model(folder: &str, device: &Device) -> Rc<Engine> {
    thread_local! {
        static LOADED: RefCell<Vec<(String, Rc<Engine>)>> = const { RefCell::new(Vec::new()) };
    }
    let key = format!("{folder} on {:?}", tuning(device));
    LOADED.with_borrow_mut(|loaded| {
        if let Some((_, engine)) = loaded.iter().find(|(have, _)| *have == key) {
            return engine.clone();
        }
        let files = files(&shipped().join(folder));
        let engine = pollster::block_on(Engine::load(files, shared(device))).expect("it loads");
        let engine = Rc::new(engine);
        keep(&engine);
        loaded.push((key, engine.clone()));
        engine
    })
}

/// A model of this spec with random weights, and a tokenizer that knows `w0`, `w1` ...
pub fn random(spec: Spec, device: &Device, seed: u64) -> Engine {
    let device = shared(device);
    let transformer = Transformer::new(&spec).expect("the spec can be built");
    let mut weights = device.weights();
    let mut numbers = Numbers(seed | 1);
    let mut done = BTreeSet::new();
    for info in transformer.graphs().flat_map(|graph| graph.weights()) {
        if !done.insert(info.name.clone()) {
            continue;
        }
        let values: Vec<f32> = match &info.source {
            Source::Frequencies(frequencies) => frequencies.clone(),
            _ => {
                let gain = info.name.contains("norm") && info.name.ends_with("weight");
                let scale = if info.out == 1 { 0.1 } else { (info.inner as f32).powf(-0.5) };
                let number = |n: &mut Numbers| n.normal() * scale + if gain { 1.0 } else { 0.0 };
                (0..info.out * info.inner).map(|_| number(&mut numbers)).collect()
            }
        };
        weights.upload(&info.name, info.out, info.inner, Matrix::F32(values)).unwrap();
    }
    let words: Vec<String> = (0..spec.vocabulary).map(|id| format!("\"w{id}\":{id}")).collect();
    let json = format!(
        r#"{{"version":"1.0","model":{{"type":"WordLevel","vocab":{{{}}},"unk_token":"w0"}},"pre_tokenizer":{{"type":"Whitespace"}}}}"#,
        words.join(",")
    );
    let tokenizer = Tokenizer::open(json.as_bytes(), spec.vocabulary, spec.special).unwrap();
    Engine { device, spec, transformer, tokenizer, weights, stored: Default::default() }
}

/// Watches these, everywhere.
pub fn watch(what: &[Watchable]) -> Watch {
    Watch { what: what.to_vec(), rows: Select::All, ..Watch::default() }
}

/// A request of ids.
pub fn of_ids(ids: &[u32], what: &[Watchable]) -> Request {
    Request { ids: Some(ids.to_vec()), watch: watch(what), ..Request::default() }
}

/// A request of a text.
pub fn of_text(text: &str) -> Request {
    Request { text: Some(text.into()), ..Request::default() }
}

/// A forward pass of a session.
pub fn forward(session: &mut Session, engine: &Engine, request: &Request) -> Trace {
    pollster::block_on(session.forward(engine, request)).expect("a forward pass")
}

/// A forward pass with nothing held from before.
pub fn afresh(engine: &Engine, request: &Request) -> Trace {
    forward(&mut Session::new(), engine, request)
}

/// All steps of a run.
pub fn run(session: &mut Session, engine: &Engine, request: &Request) -> Vec<Step> {
    pollster::block_on(async {
        session.begin(engine, request).await.expect("a run");
        let mut steps = Vec::new();
        while let Some(step) = session.next(engine).await.expect("a step") {
            steps.push(step);
        }
        steps
    })
}

/// The logits of a forward pass.
pub fn logits(trace: &Trace) -> &[Vec<f32>] {
    let forward = trace.forward.as_ref().expect("a forward pass");
    forward.logits.as_ref().expect("logits were watched")
}

/// The ids of steps.
pub fn chosen(steps: &[Step]) -> Vec<u32> {
    steps.iter().map(|step| step.chosen).collect()
}

/// The largest difference, as a share of the largest reference.
pub fn difference(got: &[f32], reference: &[f32]) -> f32 {
    assert_eq!(got.len(), reference.len(), "lengths");
    let largest = reference.iter().fold(0f32, |most, value| most.max(value.abs()));
    let worst = got.iter().zip(reference).fold(0f32, |worst, (a, b)| {
        assert!(a.is_finite(), "not finite");
        worst.max((a - b).abs())
    });
    worst / largest.max(1e-30)
}
