//! `unmasked trace | describe | mask`. Exit status 0, 1 (bad input, one line on standard error) or
//! 2 (usage, by clap).

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;

use clap::{Args, Parser, Subcommand, ValueEnum};
use unmasked::device::{Choice, Device};
use unmasked::engine::Engine;
use unmasked::error::{Error, Result};
use unmasked::graph::Site;
use unmasked::mask::{Mask, MaskFile, MaskSource, Rule};
use unmasked::request::{Fill, Request, Select, Watch, Watchable};
use unmasked::sample::Sampling;
use unmasked::session::{Session, Variant};
use unmasked::trace::Trace;
use unmasked::weights::OnDisk;

#[derive(Parser)]
#[command(version, about = "Runs small Transformers and writes what they did as JSON")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a model and write one JSON trace
    Trace(Box<TraceArgs>),
    /// Write what a model is: its architecture, parameters and costs
    Describe {
        /// Model folder
        #[arg(long)]
        model: PathBuf,
    },
    /// Draw a mask: 1 where the row (down) sees the key (across)
    Mask {
        /// full, causal, prefix:N, window:W, documents:A,B or padding:N, joined by +
        rule: String,
        /// Rows and keys
        size: usize,
    },
}

#[derive(Args)]
struct TraceArgs {
    /// Model folder
    #[arg(long)]
    model: PathBuf,
    /// Where to run
    #[arg(long, value_enum, default_value = "auto")]
    backend: Backend,
    /// The text, put into the model's template
    #[arg(long, conflicts_with = "ids", required_unless_present = "ids")]
    text: Option<String>,
    /// Token ids, nothing added
    #[arg(long, value_delimiter = ',')]
    ids: Option<Vec<u32>>,
    /// The answer so far
    #[arg(long, value_delimiter = ',')]
    target_ids: Vec<u32>,
    /// Where the source ends in --ids
    #[arg(long)]
    source_length: Option<usize>,
    /// The second sentence of a pair
    #[arg(long)]
    pair: Option<String>,
    /// The language to answer in, by the id of its token
    #[arg(long)]
    language: Option<u32>,
    /// The language that the text is in, by the id of its token
    #[arg(long)]
    source_language: Option<u32>,
    /// New tokens; 0 is one forward pass
    #[arg(long, default_value_t = 0)]
    steps: usize,
    /// How blanks are filled
    #[arg(long, value_enum, default_value = "parallel")]
    fill: FillArg,
    /// 0 is greedy
    #[arg(long, default_value_t = 0.0)]
    temperature: f32,
    /// 0 keeps all
    #[arg(long, default_value_t = 0)]
    top_k: u32,
    /// 1 keeps all
    #[arg(long, default_value_t = 1.0)]
    top_p: f32,
    /// Equal seeds draw equal tokens
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Candidates a step
    #[arg(long)]
    candidates: Option<usize>,
    /// A rule for the output stack's self-attention, or a mask file
    #[arg(long)]
    mask: Option<String>,
    /// JSON file: { "decoder": [[1, 0.5, ..], ..] }, a number a layer and head
    #[arg(long)]
    gates: Option<PathBuf>,
    /// JSON file: [{ "mask": .., "gates": .., "ids": .. }, ..], one forward pass each
    #[arg(long)]
    variants: Option<PathBuf>,
    /// What to watch, as JSON: { "layers": [0], "heads": "all", "rows": "all", "what": ["queries"] }
    #[arg(long)]
    watch: Option<String>,
    /// Watch attention
    #[arg(long)]
    attention: bool,
    /// Watch scores
    #[arg(long)]
    scores: bool,
    /// Watch logits
    #[arg(long)]
    logits: bool,
    /// Watch hidden states
    #[arg(long)]
    hidden: bool,
    /// Write here instead of standard output
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Backend {
    Cpu,
    Gpu,
    Auto,
}

#[derive(Clone, Copy, ValueEnum)]
enum FillArg {
    Parallel,
    Confidence,
}

/// Runs the command line.
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Trace(args) => trace(&args),
        Command::Describe { model } => describe(&model),
        Command::Mask { rule, size } => draw(&rule, size),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("unmasked: {error}");
            ExitCode::from(1)
        }
    }
}

fn trace(args: &TraceArgs) -> Result<()> {
    let choice = match args.backend {
        Backend::Cpu => Choice::Cpu,
        Backend::Gpu => Choice::Gpu,
        Backend::Auto => Choice::Auto,
    };
    let engine = load(&args.model, choice)?;
    let request = request(args, &engine)?;
    let mut session = Session::new();
    let trace = pollster::block_on(async {
        if let Some(path) = &args.variants {
            let variants: Vec<Variant> = json_file(path)?;
            return session.sweep(&engine, &request, &variants).await;
        }
        let mut trace: Trace = session.forward(&engine, &request).await?;
        if args.steps > 0 {
            session.begin(&engine, &request).await?;
            while let Some(step) = session.next(&engine).await? {
                trace.steps.push(step);
            }
            trace.text = session.text(&engine)?;
        }
        Ok(trace)
    })?;
    write_json(&trace, args.out.as_deref())
}

fn request(args: &TraceArgs, engine: &Engine) -> Result<Request> {
    let mut watch: Watch = match &args.watch {
        Some(json) => serde_json::from_str(json)
            .map_err(|error| Error::input("--watch", "a watch set", error.to_string()))?,
        None => Watch { rows: Select::All, ..Watch::default() },
    };
    let flags = [
        (args.attention, Watchable::Attention),
        (args.scores, Watchable::Scores),
        (args.logits, Watchable::Logits),
        (args.hidden, Watchable::Hidden),
    ];
    for (on, watchable) in flags {
        if on && !watch.what.contains(&watchable) {
            watch.what.push(watchable);
        }
    }
    let mask = match &args.mask {
        None => MaskFile::default(),
        Some(rule) => match rule.parse::<Rule>() {
            Ok(rule) => on_output(engine, MaskSource::Rule(rule)),
            Err(error) if !Path::new(rule).exists() => return Err(error),
            Err(_) => {
                let json: serde_json::Value = json_file(Path::new(rule))?;
                if json.is_array() {
                    on_output(engine, parse_json(json, rule)?)
                } else {
                    parse_json(json, rule)?
                }
            }
        },
    };
    Ok(Request {
        text: args.text.clone(),
        pair: args.pair.clone(),
        language: args.language,
        source_language: args.source_language,
        ids: args.ids.clone(),
        target_ids: args.target_ids.clone(),
        source_length: args.source_length,
        max_new_tokens: Some(args.steps),
        blanks: None,
        fill: match args.fill {
            FillArg::Parallel => Fill::Parallel,
            FillArg::Confidence => Fill::Confidence,
        },
        sampling: Sampling {
            temperature: args.temperature,
            top_k: args.top_k,
            top_p: args.top_p,
            seed: args.seed,
        },
        candidates: args.candidates,
        mask,
        gates: match &args.gates {
            Some(path) => json_file(path)?,
            None => Default::default(),
        },
        watch,
    })
}

fn on_output(engine: &Engine, mask: MaskSource) -> MaskFile {
    match engine.spec.architecture.output_site() {
        Site::Encoder => MaskFile { encoder: Some(mask), ..MaskFile::default() },
        _ => MaskFile { decoder: Some(mask), ..MaskFile::default() },
    }
}

fn describe(model: &Path) -> Result<()> {
    write_json(&load(model, Choice::Cpu)?.describe(), None)
}

fn draw(rule: &str, size: usize) -> Result<()> {
    if size > 4_096 {
        return Err(Error::input("size", "at most 4096", size.to_string()));
    }
    let mask = Mask::from(rule.parse::<Rule>()?);
    print(&(mask.picture(0, 0, 0..size, size).join("\n") + "\n"))
}

fn load(model: &Path, choice: Choice) -> Result<Engine> {
    let folder = |error: std::io::Error| {
        let what = format!("model folder `{}`", model.display());
        Error::input(what, "a folder that can be read", error.to_string())
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(model).map_err(folder)? {
        let path = entry.map_err(folder)?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        if let (Some(name), true) = (name, path.is_file()) {
            files.push((name, OnDisk::open(&path).map_err(folder)?));
        }
    }
    let device = pollster::block_on(Device::open(choice))?;
    pollster::block_on(Engine::load(files, Rc::new(device)))
}

fn json_file<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let what = format!("`{}`", path.display());
    let bytes = fs::read(path)
        .map_err(|error| Error::input(&what, "a file that can be read", error.to_string()))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Error::input(&what, "JSON of the documented shape", error.to_string()))
}

fn parse_json<T: serde::de::DeserializeOwned>(json: serde_json::Value, what: &str) -> Result<T> {
    serde_json::from_value(json)
        .map_err(|error| Error::input(what, "JSON of the documented shape", error.to_string()))
}

fn write_json<T: serde::Serialize>(value: &T, out: Option<&Path>) -> Result<()> {
    let json = serde_json::to_string(value)
        .map_err(|error| Error::input("trace", "plain data", error.to_string()))?;
    match out {
        None => print(&(json + "\n")),
        Some(path) => fs::write(path, json + "\n").map_err(|error| {
            let what = format!("`{}`", path.display());
            Error::input(what, "a file that can be written", error.to_string())
        }),
    }
}

/// A reader that stops early (`| head`) is no error.
fn print(text: &str) -> Result<()> {
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(())
}
