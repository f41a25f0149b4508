//! The native half of `cargo xtask bench`: measures a device and writes a line of JSON a sample.
//!
//! `cargo run --release --example speed -- --device cpu --model www/models/en-fr-causal`

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use clap::Parser;
use serde_json::{Value, json};
use unmasked::device::gpu::{Gpu, Options};
use unmasked::device::kernels::Tuning;
use unmasked::device::{Cause, Choice, Device};
use unmasked::engine::Engine;
use unmasked::error::{Error, Result};
use unmasked::request::{Request, Select, Watch, Watchable};
use unmasked::session::Session;
use unmasked::speed::{Matmul, SHAPES, bytes};
use unmasked::trace::Step;
use unmasked::weights::OnDisk;

#[derive(Parser)]
struct Arguments {
    /// cpu or gpu
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Model folders; several times
    #[arg(long)]
    model: Vec<PathBuf>,
    /// The sentence that models with a vocabulary of words get
    #[arg(long, default_value = "My sister wants to learn English.")]
    text: String,
    /// Prompts of so many random ids instead of the text
    #[arg(long)]
    prompt: Option<usize>,
    /// New tokens
    #[arg(long, default_value_t = 32)]
    steps: usize,
    /// Samples of everything
    #[arg(long, default_value_t = 5)]
    repeats: usize,
    /// Measure the matmul shapes too, in these formats
    #[arg(long)]
    format: Vec<String>,
    /// Matmuls of this shape (rows x inputs x outputs, such as 1x4096x4096) instead; several times
    #[arg(long, value_parser = shape)]
    shape: Vec<[usize; 3]>,
    /// Kernels for software or for hardware adapters, whatever the adapter is
    #[arg(long, value_parser = tuning)]
    kernels: Option<Tuning>,
    /// Watch attention of all layers and heads, as the page does
    #[arg(long)]
    watch: bool,
    /// Tell with every sample what the load took: time, and memory (of the first model; give one)
    #[arg(long)]
    loads: bool,
    /// Time each dispatch of this kernel instead (a name in shaders/, or `all`)
    #[arg(long)]
    shader: Option<String>,
}

fn main() -> ExitCode {
    match pollster::block_on(run(&Arguments::parse())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("speed: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<()> {
    let device = match arguments.device.as_str() {
        "gpu" => {
            let options = Options { tuning: arguments.kernels, ..Options::default() };
            Device::Gpu(Gpu::open(options).await.map_err(|refusal| refusal.error)?)
        }
        _ => Device::open(Choice::Cpu).await?,
    };
    let device = Rc::new(device);
    let place = format!("native {}", device.report().backend);
    let adapter = device.report().adapter.clone();
    let tuning = match &*device {
        Device::Gpu(gpu) => Some(format!("{:?}", gpu.tuning()).to_lowercase()),
        Device::Cpu(_) => None,
    };
    let tell = |mut record: Value| {
        record["place"] = json!(place);
        record["adapter"] = json!(adapter);
        if let Some(tuning) = &tuning {
            record["kernels"] = json!(tuning);
        }
        println!("{record}");
    };
    for folder in &arguments.model {
        let start = Instant::now();
        let engine = Engine::load(files(folder)?, device.clone()).await?;
        let load_ms = start.elapsed().as_secs_f64() * 1e3;
        let name = folder.file_name().unwrap_or_default().to_string_lossy().to_string();
        if let Some(shader) = &arguments.shader {
            for record in kernels(arguments, &engine, shader).await? {
                tell(record);
            }
            continue;
        }
        let mut session = Session::new();
        // Memory and pipelines are made by the first run, which is not told.
        for repeat in 0..=arguments.repeats {
            let mut record = sample(arguments, &engine, &mut session).await?;
            record["case"] = json!("model");
            if arguments.loads {
                record["case"] = json!("checkpoint");
                record["load_ms"] = json!(load_ms);
                record["gpu_bytes"] = json!(Some(device.usage().bytes).filter(|bytes| *bytes > 0));
                record["memory_bytes"] = json!(most_memory());
            }
            record["model"] = json!(match arguments.prompt {
                Some(prompt) => format!("{name}, {prompt} ids"),
                None => name.clone(),
            });
            if repeat > 0 {
                tell(record);
            }
        }
    }
    let shapes = if arguments.shape.is_empty() { &SHAPES[..] } else { &arguments.shape };
    for format in &arguments.format {
        for shape in shapes {
            let mut matmul = Matmul::new(&device, *shape, format).await?;
            // An idle card's clocks are slow, and take two seconds to come up.
            let hardware = device.report().cause == Cause::Hardware;
            let warm = if hardware { Duration::from_secs(3) } else { Duration::ZERO };
            let start = Instant::now();
            matmul.measure(&device).await?;
            while start.elapsed() < warm {
                matmul.measure(&device).await?;
            }
            for _ in 0..arguments.repeats {
                let gflops = matmul.measure(&device).await?;
                let microseconds = 2e-3 * shape.iter().product::<usize>() as f64 / gflops;
                let mut record = json!({
                    "case": "matmul", "shape": shape.map(|size| size.to_string()).join("x"),
                    "format": format, "gflops": gflops, "microseconds": microseconds,
                });
                if shape[0] == 1 {
                    // What bounds one row is how fast its weight is read.
                    let bytes = bytes(format) * shape[1] * shape[2];
                    record["gbytes_per_s"] = json!(bytes as f64 / microseconds / 1e3);
                }
                tell(record);
            }
        }
    }
    Ok(())
}

/// `1x4096x4096`
fn shape(text: &str) -> std::result::Result<[usize; 3], String> {
    let sizes: Option<Vec<usize>> = text.split('x').map(|size| size.parse().ok()).collect();
    let sizes = sizes.and_then(|sizes| <[usize; 3]>::try_from(sizes).ok());
    sizes.ok_or_else(|| {
        format!("expected rows x inputs x outputs such as 1x4096x4096, got `{text}`")
    })
}

fn tuning(text: &str) -> std::result::Result<Tuning, String> {
    match text {
        "software" => Ok(Tuning::Software),
        "hardware" => Ok(Tuning::Hardware),
        _ => Err(format!("expected software or hardware, got `{text}`")),
    }
}

/// The most memory that this process ever held, where the system says so.
fn most_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
}

/// A request that starts anew: nothing of the run before is still held.
fn request(arguments: &Arguments, engine: &Engine) -> Request {
    let what = if arguments.watch { vec![Watchable::Attention] } else { Vec::new() };
    let watch = Watch { rows: Select::All, what, ..Watch::default() };
    let mut request = Request {
        max_new_tokens: Some(arguments.steps),
        candidates: Some(if arguments.watch { 10 } else { 1 }),
        watch,
        ..Request::default()
    };
    match arguments.prompt {
        Some(length) => request.ids = Some(unmasked::speed::prompt(length, engine.spec.vocabulary)),
        None => request.text = Some(arguments.text.clone()),
    }
    if !engine.spec.generates() {
        let blank = engine.spec.special.mask;
        let ids = request.ids.take().or_else(|| {
            let input = engine.tokenize(&arguments.text, None).ok()?;
            Some(input.tokens.iter().map(|token| token.id).collect())
        });
        // An encoder says something of every row where every row is a blank.
        request.text = None;
        request.ids = ids.map(|ids| ids.iter().map(|id| blank.unwrap_or(*id)).collect());
    }
    request
}

async fn sample(arguments: &Arguments, engine: &Engine, session: &mut Session) -> Result<Value> {
    // Another first token makes every row of the cache stale.
    let mut other = request(arguments, engine);
    other.text = None;
    other.ids = Some(vec![unmasked::speed::prompt(1, engine.spec.vocabulary)[0] + 1; 2]);
    other.max_new_tokens = Some(1);
    session.begin(engine, &other).await?;
    while session.next(engine).await?.is_some() {}

    let request = request(arguments, engine);
    let start = Instant::now();
    session.begin(engine, &request).await?;
    let mut stamps: Vec<f64> = Vec::new();
    let mut steps: Vec<Step> = Vec::new();
    while let Some(step) = session.next(engine).await? {
        stamps.push(start.elapsed().as_secs_f64() * 1e3);
        steps.push(step);
        if !engine.spec.generates() && steps.len() == request.ids.as_ref().map_or(0, Vec::len) {
            break;
        }
    }
    let Some(first) = stamps.first() else {
        return Err(Error::input("bench", "a step", "none"));
    };
    let last = &stamps[stamps.len() - 1];
    let per_second = (stamps.len() - 1) as f64 / (last - first) * 1e3;
    // What the steps after the first took together: several may share a submit.
    let later = &steps[1..];
    let sum = |of: fn(&Step) -> u32| later.iter().map(of).sum::<u32>() as f64 / later.len() as f64;
    let mut record = json!({
        "first_ms": first,
        "tokens": steps.len(),
        "ids": steps.iter().map(|step| step.chosen).collect::<Vec<_>>(),
        "first_dispatches": steps[0].stats.dispatches,
    });
    if engine.spec.generates() && !later.is_empty() {
        record["tokens_per_s"] = json!(per_second);
        record["dispatches"] = json!(sum(|step| step.stats.dispatches));
        record["submits"] = json!(sum(|step| step.stats.submits));
        record["readbacks"] = json!(sum(|step| step.stats.readbacks));
    }
    Ok(record)
}

/// Every dispatch of a kernel, timed by the GPU: in the pass over the prompt and in a step.
async fn kernels(arguments: &Arguments, engine: &Engine, shader: &str) -> Result<Vec<Value>> {
    let mut request = request(arguments, engine);
    let mut records = Vec::new();
    let mut used = BTreeSet::new();
    engine.device.time_dispatches()?;
    for (pass, new_tokens) in [("prompt", 1), ("step", 2)] {
        request.max_new_tokens = Some(new_tokens);
        for repeat in 0..=arguments.repeats {
            let mut session = Session::new();
            session.begin(engine, &request).await?;
            let mut last = Vec::new();
            while session.next(engine).await?.is_some() {
                last = engine.device.timings();
            }
            used.extend(last.iter().map(|time| time.kernel));
            let chosen = last.iter().filter(|time| shader == "all" || time.kernel == shader);
            for time in chosen.filter(|_| repeat > 0) {
                records.push(json!({
                    "case": "kernel", "pass": pass, "kernel": time.kernel,
                    "workgroups": time.workgroups, "microseconds": time.microseconds,
                }));
            }
        }
    }
    if records.is_empty() {
        let expected = format!("a kernel that this model uses on this adapter: {used:?}");
        return Err(Error::input("--shader", expected, format!("`{shader}`")));
    }
    Ok(records)
}

fn files(folder: &Path) -> Result<Vec<(String, OnDisk)>> {
    let unreadable = |error: std::io::Error| {
        Error::input(format!("`{}`", folder.display()), "a model folder", error.to_string())
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if entry.path().is_file() {
            let name = entry.file_name().to_string_lossy().to_string();
            files.push((name, OnDisk::open(&entry.path()).map_err(unreadable)?));
        }
    }
    Ok(files)
}
