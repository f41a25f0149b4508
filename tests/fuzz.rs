//! Hostile bytes for everything that reads a file: mutations of the corpus in `fuzz/corpus/`, on
//! stable Rust. A short run of fixed mutations each time; `UNMASKED_FUZZ_SECONDS=60` runs each target
//! that long, on new ones (`cargo xtask test --fuzz 60`).
//!
//! What fails is shrunk and written to `fuzz/found/`; moved to the corpus, it is tried first ever after.

#[path = "../fuzz/targets.rs"]
mod targets;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::{
    Config, FileFailurePersistence, RngSeed, TestCaseError, TestError, TestRunner,
};

use targets::{TARGETS, Target};

/// Longer than this over a few kilobytes is a hang.
const SLOW: Duration = Duration::from_secs(10);
/// Larger corpus files teach nothing more and mutate slowly.
const MOST_BYTES: usize = 1 << 16;
/// Mutations of the short run, a target.
const CASES: u32 = 400;

/// Words that these formats know: an inserted one gets further than an inserted byte.
const WORDS: [&str; 41] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    ":",
    ",",
    "null",
    "true",
    "false",
    "-1",
    "0",
    "1e999",
    "NaN",
    "18446744073709551615",
    "9223372036854775808",
    "4294967296",
    "0.5",
    "\\u202e",
    "\\ud800",
    "\u{202e}",
    "\"dtype\":\"F32\"",
    "\"shape\":[0]",
    "\"data_offsets\":[0,0]",
    "__metadata__",
    "ctorch\nFloatStorage\n",
    "ctorch._utils\n_rebuild_tensor_v2\n",
    "PK\u{3}\u{4}",
    "\"model_type\":\"gpt2\"",
    "\"vocab_size\":0",
    "\"rope_scaling\":{}",
    "\"type\":\"BPE\"",
    "\"type\":\"Unigram\"",
    "\"vocab\":{}",
    "\"unk_id\":7",
    "causal+",
    "prefix:9",
    "documents:",
    "\"edits\":[]",
    "\"head\":99",
    "[MASK]",
];

/// One change of some bytes; places are shares of the length, so that a shrunk list still applies.
#[derive(Clone, Debug)]
enum Change {
    Flip(f64, u8),
    Set(f64, u8),
    Insert(f64, usize),
    Number(f64, u64, bool),
    Remove(f64, f64),
    Repeat(f64, f64, f64),
    Cut(f64),
}

fn change() -> impl Strategy<Value = Change> {
    let place = || 0.0..1.0f64;
    // Short stretches are likelier than long ones.
    let length = || (0.0..1.0f64).prop_map(|share| share.powi(6));
    prop_oneof![
        (place(), 0..8u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        (place(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (place(), 0..WORDS.len()).prop_map(|(at, word)| Change::Insert(at, word)),
        (
            place(),
            prop_oneof![Just(0), Just(1), Just(u64::MAX), Just(1 << 31), any::<u64>()],
            any::<bool>()
        )
            .prop_map(|(at, number, long)| Change::Number(at, number, long)),
        (place(), length()).prop_map(|(at, share)| Change::Remove(at, share)),
        (place(), length(), place()).prop_map(|(at, share, to)| Change::Repeat(at, share, to)),
        place().prop_map(Change::Cut),
    ]
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let place = |share: f64, length: usize| ((share * length as f64) as usize).min(length);
        let length = bytes.len();
        match *self {
            Change::Flip(at, bit) => {
                if let Some(byte) = bytes.get_mut(place(at, length)) {
                    *byte ^= 1 << bit;
                }
            }
            Change::Set(at, new) => {
                if let Some(byte) = bytes.get_mut(place(at, length)) {
                    *byte = new;
                }
            }
            Change::Insert(at, word) => {
                let at = place(at, length);
                bytes.splice(at..at, WORDS[word].bytes());
            }
            // In binary where the format has lengths; in text, in place of the digits that stand there.
            Change::Number(at, number, true) => {
                let at = place(at, length.saturating_sub(8));
                let end = (at + 8).min(length);
                bytes.splice(at..end, number.to_le_bytes());
            }
            Change::Number(at, number, false) => {
                let from = place(at, length);
                let digit = |byte: &u8| byte.is_ascii_digit();
                let Some(start) = bytes[from..].iter().position(digit) else { return };
                let start = from + start;
                let end =
                    bytes[start..].iter().position(|b| !digit(b)).map_or(length, |n| start + n);
                bytes.splice(start..end, number.to_string().bytes());
            }
            Change::Remove(at, share) => {
                let at = place(at, length);
                let end = (at + 1 + place(share, length)).min(length);
                bytes.drain(at..end);
            }
            Change::Repeat(at, share, to) => {
                let at = place(at, length);
                let end = (at + 1 + place(share, length)).min(length);
                let part = bytes[at..end].to_vec();
                let to = place(to, length);
                bytes.splice(to..to, part);
            }
            Change::Cut(at) => bytes.truncate(place(at, length)),
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let folder = root().join("corpus").join(target.name);
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", folder.display());
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Runs one input; a panic goes on to the runner, which shrinks it.
fn try_one(target: &Target, bytes: &[u8]) -> Result<(), TestCaseError> {
    let start = Instant::now();
    (target.run)(bytes);
    let took = start.elapsed();
    prop_assert!(took < SLOW, "{} bytes took {took:?}", bytes.len());
    Ok(())
}

fn fuzz(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target");
    let corpus = corpus(target);
    for bytes in &corpus {
        (target.run)(bytes);
    }
    let small: Vec<&Vec<u8>> = corpus.iter().filter(|bytes| bytes.len() <= MOST_BYTES).collect();
    let seconds = std::env::var("UNMASKED_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    let until = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    // Fixed mutations unless somebody asked for new ones: a test must not fail by chance.
    let mut seed = until.map_or(1, |_| std::process::id().into());
    let changes = prop::collection::vec(change(), 1..12);
    let strategy = (0..small.len(), 0..small.len(), prop::option::weighted(0.2, 0.0..1.0), changes);
    let mut tried = 0;
    loop {
        let config = Config {
            cases: CASES,
            failure_persistence: None::<Box<FileFailurePersistence>>.map(|b| b as _),
            rng_seed: RngSeed::Fixed(seed),
            max_shrink_time: 10_000,
            ..Config::default()
        };
        let result = TestRunner::new(config).run(&strategy, |(first, second, splice, changes)| {
            let bytes = mutated(small[first], small[second], splice, &changes);
            try_one(target, &bytes)
        });
        if let Err(TestError::Fail(reason, (first, second, splice, changes))) = result {
            let bytes = mutated(small[first], small[second], splice, &changes);
            let path = root().join("found").join(format!("{name}-{seed:x}"));
            fs::create_dir_all(root().join("found")).unwrap();
            fs::write(&path, &bytes).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            panic!("{reason}\n{}: {text:.2000}", path.display());
        }
        result.expect("the strategies always give something");
        tried += CASES;
        seed += 1 << 32;
        if until.is_none_or(|until| Instant::now() >= until) {
            break;
        }
    }
    println!("{name}: {} corpus files, {tried} mutations", corpus.len());
}

/// The head of one file on the tail of another, then the changes.
fn mutated(first: &[u8], second: &[u8], splice: Option<f64>, changes: &[Change]) -> Vec<u8> {
    let mut bytes = first.to_vec();
    if let Some(share) = splice {
        bytes.truncate((share * first.len() as f64) as usize);
        bytes.extend(&second[(share * second.len() as f64) as usize..]);
    }
    for change in changes {
        change.apply(&mut bytes);
    }
    bytes.truncate(2 * MOST_BYTES);
    bytes
}

#[test]
fn weights() {
    fuzz("weights");
}

#[test]
fn torch() {
    fuzz("torch");
}

#[test]
fn config() {
    fuzz("config");
}

#[test]
fn tokenizer() {
    fuzz("tokenizer");
}

#[test]
fn older_tokenizer() {
    fuzz("older_tokenizer");
}

#[test]
fn mask() {
    fuzz("mask");
}

#[test]
fn request() {
    fuzz("request");
}

#[test]
fn every_target_is_run() {
    let here = include_str!("fuzz.rs");
    for target in TARGETS {
        assert!(here.contains(&format!("fuzz(\"{}\")", target.name)), "{}", target.name);
        let binary = root().join("fuzz_targets").join(format!("{}.rs", target.name));
        assert!(binary.exists(), "{}", binary.display());
    }
}
