//! Who may use whom in `src/` (ARCHITECTURE.md, "Layers"): downwards only.

use std::fs;
use std::path::{Path, PathBuf};

/// Module -> the modules of this crate that it may name.
const LAYERS: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("object", &[]),
    ("mask", &["error", "object"]),
    ("graph", &["error", "mask"]),
    ("device", &["error", "mask", "graph"]),
    ("speed", &["error", "graph", "device"]),
    ("spec", &["error", "mask", "graph"]),
    ("weights", &["error", "graph", "device"]),
    ("family", &["error", "graph", "spec", "weights"]),
    ("model", &["error", "graph", "spec"]),
    ("sample", &["error", "graph", "object"]),
    ("trace", &["device"]),
    ("tokenizer", &["error", "spec", "trace"]),
    ("task", &["spec", "tokenizer"]),
    ("request", &["error", "object", "mask", "graph", "spec", "sample", "tokenizer", "trace"]),
    ("stream", &["error", "mask", "graph", "device", "spec", "request", "trace"]),
    (
        "engine",
        &[
            "error",
            "mask",
            "graph",
            "device",
            "spec",
            "weights",
            "family",
            "model",
            "task",
            "tokenizer",
            "trace",
        ],
    ),
    (
        "session",
        &["error", "object", "mask", "graph", "device", "engine", "request", "stream", "trace"],
    ),
    (
        "web",
        &["error", "object", "device", "engine", "request", "session", "speed", "trace", "weights"],
    ),
];

/// Words that only these files may say.
const BORDERS: &[(&str, &[&str])] = &[
    ("wgpu", &["src/device/gpu", "src/device/kernels.rs"]),
    ("JsValue", &["src/web.rs"]),
    ("safetensors::", &["src/weights"]),
    ("tokenizers::", &["src/tokenizer.rs"]),
];

fn sources() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    walk(&root.join("src"), &mut found);
    found.into_iter().map(|(path, text)| (path.strip_prefix(root).unwrap().into(), text)).collect()
}

/// Code only: comments may speak of anything.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"))
}

#[test]
fn modules_use_only_what_lies_below_them() {
    let mut checked = 0;
    for (path, text) in sources() {
        let name = path.iter().nth(1).unwrap().to_string_lossy().replace(".rs", "");
        if ["lib", "main", "command"].contains(&name.as_str()) {
            continue;
        }
        let (_, below) = LAYERS
            .iter()
            .find(|(module, _)| *module == name)
            .unwrap_or_else(|| panic!("{}: module `{name}` has no layer", path.display()));
        for (number, line) in code(&text) {
            for used in line.split("crate::").skip(1) {
                let used: String =
                    used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                checked += 1;
                assert!(
                    used.is_empty() || used == name || below.contains(&used.as_str()),
                    "{}:{}: `{name}` must not use `{used}`",
                    path.display(),
                    number + 1
                );
            }
        }
    }
    assert!(checked > 30, "the test reads the sources");
}

#[test]
fn borders_are_one_file() {
    for (path, text) in sources() {
        for (word, allowed) in BORDERS {
            if allowed.iter().any(|prefix| {
                path.starts_with(prefix) || path.to_string_lossy().starts_with(prefix)
            }) {
                continue;
            }
            let found = code(&text).find(|(_, line)| line.contains(word));
            if let Some((number, line)) = found {
                panic!("{}:{}: `{word}` beyond its border: {line}", path.display(), number + 1);
            }
        }
    }
}
