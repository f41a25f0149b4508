//! `cargo xtask bench`: what each device does with each model, natively and in Chromium, as one table and as
//! JSON in `target/bench/`.
//!
//! Samples come as lines of JSON from `examples/speed.rs` and `tests/bench/bench.mjs`. On a shared machine a single
//! number says little: everything is repeated, what is compared is measured in turn, and the table tells median and
//! range.

mod table;

use crate::build::{Package, Profile, RELAXED};
use crate::{build, project, serve, tools};
use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[derive(Args)]
pub struct Options {
    /// transformers.js, candle and wllama too, on the same random checkpoints (needs npm, and Python with numpy, onnx, safetensors and gguf)
    #[arg(long)]
    peers: bool,
    /// The random checkpoints of the peers' table, without the peers (needs the same Python)
    #[arg(long)]
    random: bool,
    /// Random checkpoints of GPT-2's and T5-small's size too: their loads, their memory and their speed (needs Node.js; 740 MB)
    #[arg(long)]
    checkpoints: bool,
    /// Build nothing that takes long: natively with the tests' profile, and www/pkg as it is
    #[arg(long)]
    dev: bool,
    /// A smoke run: one sample of everything
    #[arg(long)]
    quick: bool,
    /// Time every dispatch of one kernel instead, by the GPU's own clock: a name in shaders/, or `all`
    #[arg(long, value_name = "NAME")]
    shader: Option<String>,
    /// This part only; may be given several times
    #[arg(long, value_name = "PART")]
    only: Vec<Part>,
    /// Samples of everything
    #[arg(long, default_value_t = 5)]
    repeats: usize,
    /// The Python that has numpy, onnx, safetensors and gguf
    #[arg(long, default_value = "python3")]
    python: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Models and matmuls outside the browser
    Native,
    /// Models in Chromium
    Models,
    /// Matmuls in Chromium
    Matmuls,
    /// From navigation to the first token
    Colds,
    /// Bytes of the engine
    Sizes,
}

/// One sample, as it comes.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Record {
    case: String,
    place: String,
    #[serde(flatten)]
    rest: serde_json::Map<String, Value>,
}

const FOLDER: &str = "target/bench";
const MODELS: &str = "target/bench/models";
const PEERS: &str = "tests/bench";
/// The peer that is written in Rust.
const CANDLE: Package =
    Package { name: "unmasked_bench_candle", folder: "target/bench/candle/pkg" };
const TEXT: &str = "My sister wants to learn English.";
/// The quartet, as it was trained and as it is packed: the page loads the packed folders.
const SHIPPED: [&str; 8] = [
    "en-fr-encoder",
    "en-fr-encoder-int8",
    "en-fr-causal",
    "en-fr-causal-int8",
    "en-fr-prefix",
    "en-fr-prefix-int8",
    "en-fr-encoder-decoder",
    "en-fr-encoder-decoder-int8",
];
/// Prompts of the random checkpoints, as in the peers' table.
const RANDOM: [(&str, usize); 4] = [("gpt2", 32), ("gpt2", 128), ("bert", 64), ("t5", 32)];
/// Checkpoints of real sizes: a folder, and its shape's name in tests/bench/random.mjs.
const CHECKPOINTS: [(&str, &str); 2] = [("gpt2-124m", "gpt2"), ("t5-small-60m", "t5-small")];
/// Ids of the prompts that they get.
const CHECKPOINT_PROMPT: usize = 32;
/// `[rows, inner, out]` and how many products a play makes: ours as `src/speed.rs` says, a peer's ONNX file as
/// `tests/bench/models.py` does.
const SHAPES: [([usize; 3], usize); 5] = [
    ([64, 256, 1024], 16),
    ([1, 256, 1024], 16),
    ([128, 768, 3072], 2),
    ([512, 512, 512], 4),
    ([1024, 1024, 1024], 1),
];

/// Measures, prints and writes: also what there is of something that failed, which is an error all the same.
pub fn bench(options: &Options) -> Result<()> {
    fs::create_dir_all(project::path(FOLDER)).context("could not make target/bench")?;
    let mut records = Vec::new();
    let repeats = if options.quick { 1 } else { options.repeats };
    if let Some(shader) = &options.shader {
        shader_times(shader, repeats, options.dev, &mut records)?;
        println!("{}", table::kernels(&records));
        return write(&records);
    }
    let measured = measure(options, repeats, &mut records);
    println!("{}", table::all(&records));
    write(&records)?;
    measured?;
    all_measured(&records)
}

/// An error where something has no sample at all.
fn all_measured(records: &[Record]) -> Result<()> {
    match records.iter().filter(|record| record.case == "failed").count() {
        0 => Ok(()),
        count => bail!("{count} of what was to be measured failed: see the table \"Failed\""),
    }
}

/// All parts that are wanted, one after the other.
fn measure(options: &Options, repeats: usize, records: &mut Vec<Record>) -> Result<()> {
    let wanted = |part: Part| options.only.is_empty() || options.only.contains(&part);
    let random = options.peers || options.random;
    if random {
        checkpoints(&options.python)?;
    }
    if options.checkpoints {
        full_size()?;
    }
    if options.peers {
        install_peers()?;
        build_candle()?;
    }
    if wanted(Part::Native) {
        for device in ["cpu", "gpu"] {
            native(device, repeats, options, random, records)?;
        }
    }
    let parts: Vec<&str> =
        [(Part::Models, "models"), (Part::Matmuls, "matmuls"), (Part::Colds, "colds")]
            .into_iter()
            .filter(|(part, _)| wanted(*part))
            .map(|(_, name)| name)
            .collect();
    if !options.dev && (!parts.is_empty() || wanted(Part::Sizes)) {
        build::build(Profile::Shipped)?;
    }
    if wanted(Part::Sizes) {
        sizes(options.peers, records)?;
    }
    if !parts.is_empty() {
        browser(&parts, repeats, options, random, records)?;
    }
    Ok(())
}

/// One kernel, dispatch by dispatch, in the causal machine.
fn shader_times(shader: &str, repeats: usize, dev: bool, records: &mut Vec<Record>) -> Result<()> {
    if shader != "all" && !project::path(&format!("shaders/{shader}.wgsl")).exists() {
        bail!("no kernel `{shader}`: expected a name in shaders/, or `all`");
    }
    let mut command = native_command(dev)?;
    command.args(["--device", "gpu", "--model", "www/models/en-fr-causal", "--text", TEXT]);
    command.args(["--shader", shader, "--repeats", &repeats.to_string()]);
    collect(&mut command, records)
}

fn native(
    device: &str,
    repeats: usize,
    options: &Options,
    random: bool,
    records: &mut Vec<Record>,
) -> Result<()> {
    println!("native {device}");
    let repeats = repeats.to_string();
    let base = || -> Result<Command> {
        let mut command = native_command(options.dev)?;
        command.args(["--device", device, "--repeats", &repeats]);
        Ok(command)
    };
    let mut command = base()?;
    command.args(["--text", TEXT]);
    for model in SHIPPED {
        command.arg("--model").arg(format!("www/models/{model}"));
    }
    for format in formats(options) {
        command.args(["--format", format]);
    }
    if let Err(error) = collect(&mut command, records) {
        if device == "gpu" {
            println!("skipped: native GPU ({error:#})");
            return Ok(());
        }
        return Err(error);
    }
    if random {
        for (model, length) in RANDOM {
            let mut command = base()?;
            command.arg("--model").arg(format!("{MODELS}/{model}"));
            collect(command.args(["--prompt", &length.to_string()]), records)?;
        }
    }
    if options.checkpoints {
        for (model, _) in CHECKPOINTS {
            let mut command = base()?;
            command.arg("--loads").arg("--model").arg(format!("{MODELS}/{model}"));
            collect(command.args(["--prompt", &CHECKPOINT_PROMPT.to_string()]), records)?;
        }
    }
    Ok(())
}

/// How the measured weights lie.
fn formats(options: &Options) -> &'static [&'static str] {
    if options.quick { &["f32"] } else { &["f32", "f16", "int8"] }
}

fn native_command(dev: bool) -> Result<Command> {
    let mut build = project::cargo();
    build.args(["build", "--quiet", "--package", "unmasked", "--example", "speed"]);
    let folder = if dev { "debug" } else { "release" };
    if !dev {
        build.arg("--release");
    }
    project::run(&mut build)?;
    let mut command = project::command(project::path("target").join(folder).join("examples/speed"));
    if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        // Graphics drivers ask for it, and complain of errors where there are none.
        command.env("XDG_RUNTIME_DIR", std::env::temp_dir());
    }
    Ok(command)
}

/// Writes the random checkpoints, which are the same every time.
fn checkpoints(python: &Path) -> Result<()> {
    let script = project::path("tests/bench/models.py");
    let made = project::path(MODELS).join("made-by.py");
    let text = fs::read(&script).context("could not read tests/bench/models.py")?;
    if fs::read(&made).is_ok_and(|before| before == text) {
        return Ok(());
    }
    println!("Writing random checkpoints into {MODELS}");
    project::run(project::command(python).arg(&script).arg(project::path(MODELS))).context(
        "random checkpoints need Python with numpy, onnx, safetensors and gguf: \
         `pip install -r tests/bench/requirements.txt`, or name another with --python",
    )?;
    fs::write(made, text).context("could not write into target/bench/models")
}

/// Writes the checkpoints of real sizes, which are the same every time.
fn full_size() -> Result<()> {
    let script = project::path("tests/bench/random.mjs");
    let text = fs::read(&script).context("could not read tests/bench/random.mjs")?;
    let node = which::which("node").context("checkpoints of real sizes need Node.js")?;
    for (model, shape) in CHECKPOINTS {
        let folder = project::path(MODELS).join(model);
        let made = folder.with_extension("made-by");
        if fs::read(&made).is_ok_and(|before| before == text) {
            continue;
        }
        println!("Writing a random checkpoint into {MODELS}/{model}");
        project::run(project::command(&node).arg(&script).arg(&folder).arg(shape))?;
        fs::write(made, &text).context("could not write into target/bench/models")?;
    }
    Ok(())
}

/// The peers' packages, by the lock file; none of their scripts runs.
fn install_peers() -> Result<()> {
    let lock = fs::read(project::path("tests/bench/package-lock.json"))
        .context("could not read tests/bench/package-lock.json")?;
    let installed = project::path("tests/bench/node_modules/installed-lock.json");
    if fs::read(&installed).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    let npm = which::which("npm").context("npm is missing")?;
    let mut command = project::command(npm);
    command.current_dir(project::path(PEERS));
    command.args(["ci", "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund"]);
    project::run(&mut command)?;
    fs::write(installed, lock).context("could not write into tests/bench/node_modules")
}

/// candle's crate, by its own lock file and always as the engine is shipped: a quick build of it would be slow.
fn build_candle() -> Result<()> {
    let mut cargo = project::cargo();
    cargo.args(["build", "--manifest-path", "tests/bench/candle/Cargo.toml", "--locked"]);
    cargo.args(["--release", "--target-dir", "target/bench/candle"]);
    CANDLE.make(&mut cargo, Profile::Shipped)
}

fn browser(
    parts: &[&str],
    repeats: usize,
    options: &Options,
    random: bool,
    records: &mut Vec<Record>,
) -> Result<()> {
    let Some(chromium) = tools::chromium() else {
        println!("skipped: Chromium (none found; or name it in UNMASKED_CHROMIUM)");
        return Ok(());
    };
    let node = which::which("node").context("the bench in a browser needs Node.js")?;
    if !project::path("node_modules/playwright-core").exists() {
        tools::node_modules()?;
    }
    let server = serve::start(&serve::Options { port: 0, open: false, test_pages: true })?;
    let shapes: Vec<Value> = SHAPES
        .iter()
        .map(|(shape, count)| json!({ "shape": shape, "count": count }))
        .take(if options.quick { 2 } else { SHAPES.len() })
        .collect();
    let shipped = if options.quick { &SHIPPED[2..4] } else { &SHIPPED[..] };
    let plan = json!({
        "url": server.url, "chromium": chromium, "repeats": repeats, "tokens": 32, "shipped": shipped,
        "text": TEXT, "peers": options.peers, "random": random, "shapes": shapes, "parts": parts,
        "formats": formats(options), "software": !has_graphics_card(), "prompt": CHECKPOINT_PROMPT,
        "checkpoints": CHECKPOINTS.map(|(model, _)| model).iter().filter(|_| options.checkpoints).collect::<Vec<_>>(),
    });
    let mut command = project::command(node);
    collect(command.arg("tests/bench/bench.mjs").arg(plan.to_string()), records)
}

/// Whether the kernel has a graphics device to offer.
fn has_graphics_card() -> bool {
    !cfg!(target_os = "linux") || Path::new("/dev/dri").exists()
}

/// Bytes of what a browser downloads to run: ours, and the peers'.
fn sizes(peers: bool, records: &mut Vec<Record>) -> Result<()> {
    let mut files = Vec::new();
    for file in RELAXED.served() {
        files.push(("Chromium", file.clone(), RELAXED.read(&file)?));
    }
    if peers {
        for (place, file) in [
            ("transformers.js", "onnxruntime-web/dist/ort-wasm-simd-threaded.asyncify.wasm"),
            ("transformers.js", "onnxruntime-web/dist/ort.webgpu.bundle.min.mjs"),
            ("transformers.js", "@huggingface/transformers/dist/transformers.web.min.js"),
            ("wllama", "@wllama/wllama/esm/wasm/wllama.wasm"),
            ("wllama", "@wllama/wllama/esm/index.min.js"),
        ] {
            let path = project::path("tests/bench/node_modules").join(file);
            let bytes = fs::read(&path).with_context(|| format!("could not read {file}"))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy().to_string();
            files.push((place, name, bytes));
        }
        for file in CANDLE.served() {
            files.push(("candle", file.clone(), CANDLE.read(&file)?));
        }
    }
    for (place, name, bytes) in files {
        let [raw, gzip, brotli] = build::sizes(&bytes)?;
        let record = json!({
            "case": "size", "place": place, "file": name, "raw": raw, "gzip": gzip, "brotli": brotli,
        });
        records.push(serde_json::from_value(record)?);
    }
    Ok(())
}

/// Runs a program whose standard output is a record a line.
fn collect(command: &mut Command, records: &mut Vec<Record>) -> Result<()> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("could not start {}", project::shown(command)))?;
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).lines() {
            let line = line.context("could not read the samples")?;
            let record = serde_json::from_str(&line)
                .with_context(|| format!("expected a sample as JSON, got `{line}`"))?;
            records.push(record);
        }
    }
    let status = child.wait().context("the bench was lost")?;
    project::finished(command, status)
}

/// The samples with what they were measured on, for whoever wants more than the table.
fn write(records: &[Record]) -> Result<()> {
    let path = project::path(FOLDER).join("bench.json");
    let all = json!({ "machine": machine(), "records": records });
    fs::write(&path, serde_json::to_vec_pretty(&all)?).context("could not write target/bench")?;
    println!("Every sample: {FOLDER}/bench.json");
    Ok(())
}

/// Processor, cores and how busy they are.
fn machine() -> Value {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let processor = read("/proc/cpuinfo")
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map(|name| name.trim_start_matches(['\t', ' ', ':']).to_string());
    json!({
        "system": format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        "processor": processor,
        "cores": std::thread::available_parallelism().map(usize::from).unwrap_or(1),
        "load": read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_sample_is_an_error() {
        let record = |json: Value| serde_json::from_value::<Record>(json).unwrap();
        let sample = record(json!({ "case": "model", "place": "a", "model": "m" }));
        let failed = record(json!({ "case": "failed", "place": "b", "of": "m", "message": "no" }));
        assert!(all_measured(std::slice::from_ref(&sample)).is_ok());
        let error = all_measured(&[sample, failed]).unwrap_err().to_string();
        assert!(error.starts_with("1 of what was to be measured failed"), "{error}");
    }
}
