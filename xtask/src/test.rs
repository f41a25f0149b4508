//! Every check, in order, each announced with its time; the last line counts them all.

mod counts;
mod steps;

use crate::tools;
use anyhow::Result;
use clap::{Args, ValueEnum};
use counts::Tally;
use std::process::ExitCode;
use std::time::Instant;

#[derive(Args)]
pub struct Options {
    /// Run this step only; may be given several times
    #[arg(long, value_name = "STEP")]
    only: Vec<Step>,
    /// Install nothing: what cannot run is skipped
    #[arg(long)]
    no_install: bool,
    /// Feed new hostile bytes to everything that reads a file, so many seconds each
    #[arg(long, value_name = "SECONDS")]
    fuzz: Option<u64>,
}

/// The steps, in the order in which they run: the quick and the basic first.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Step {
    /// rustfmt
    Fmt,
    /// clippy, for this machine and for the browser
    Clippy,
    /// The Rust tests, on the CPU and on a graphics adapter
    Native,
    /// Every shader through tint, where it is installed
    Shaders,
    /// The engine for the browser
    Wasm,
    /// The page's code: types by TypeScript, and a linter
    Script,
    /// The engine in a real browser
    Engine,
    /// The page in a real browser
    Page,
    /// The static site and the single file, with the network cut
    Dist,
    /// The page, the single file and the site in Firefox
    Firefox,
    /// The page, the single file and the site in WebKit
    Webkit,
    /// New mutations of the corpus, on stable Rust, and hostile addresses and traces; where asked for
    Fuzz,
}

/// Seconds for each target where the step is named without them.
const DEFAULT_FUZZ: u64 = 30;

impl Step {
    fn title(self) -> &'static str {
        match self {
            Self::Fmt => "formatting",
            Self::Clippy => "clippy",
            Self::Native => "native tests",
            Self::Shaders => "shaders through tint",
            Self::Wasm => "wasm build",
            Self::Script => "types and lint of the page",
            Self::Engine => "engine in Chromium",
            Self::Page => "page in Chromium",
            Self::Dist => "dist in Chromium",
            Self::Firefox => "page and dist in Firefox",
            Self::Webkit => "page and dist in WebKit",
            Self::Fuzz => "fuzzing",
        }
    }

    fn run(self, options: &Options) -> Result<Tally> {
        match self {
            Self::Fmt => steps::fmt(),
            Self::Clippy => steps::clippy(),
            Self::Native => steps::native(),
            Self::Shaders => steps::shaders(),
            Self::Wasm => steps::wasm(),
            Self::Script => steps::script(),
            Self::Engine => steps::engine(),
            Self::Page => steps::page(),
            Self::Dist => steps::dist(),
            Self::Firefox => steps::firefox(),
            Self::Webkit => steps::webkit(),
            Self::Fuzz => steps::fuzz(options.fuzz.unwrap_or(DEFAULT_FUZZ)),
        }
    }
}

/// Runs the steps; the exit status is a failure when any check failed.
pub fn test(options: &Options) -> Result<ExitCode> {
    let chosen = |step: &Step| match step {
        Step::Fuzz => options.fuzz.is_some() || options.only.contains(step),
        step => options.only.is_empty() || options.only.contains(step),
    };
    let steps: Vec<Step> = Step::value_variants().iter().copied().filter(chosen).collect();
    if !options.no_install
        && let Err(error) = install(&steps)
    {
        // The steps that miss something say so themselves, and the others can still run.
        eprintln!("error: {error:#}");
    }
    let mut total = Tally::default();
    let mut summary = Vec::new();
    for step in steps {
        println!("\n== {}", step.title());
        let start = Instant::now();
        let tally = step.run(options).unwrap_or_else(|error| {
            eprintln!("error: {error:#}");
            Tally::failure(format!("{error:#}"))
        });
        summary.push(format!(
            "{:<26} {:>5.0} s   {tally}",
            step.title(),
            start.elapsed().as_secs_f64()
        ));
        total.add(tally);
    }
    println!("\n{}", summary.join("\n"));
    for note in &total.notes {
        println!("{note}");
    }
    println!("{total}");
    Ok(if total.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The states of the page as pictures; where they lie is said at the end.
pub fn screenshots() -> Result<ExitCode> {
    install(&[Step::Page])?;
    let tally = steps::screenshots()?;
    println!("target/screenshots/contact-sheet.png and a picture a state: {tally}");
    Ok(if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn install(steps: &[Step]) -> Result<()> {
    let browser = [Step::Engine, Step::Page, Step::Dist].iter().any(|step| steps.contains(step));
    let [firefox, webkit] = [Step::Firefox, Step::Webkit].map(|step| steps.contains(&step));
    let others = steps.contains(&Step::Script) || steps.contains(&Step::Fuzz);
    let node = browser || firefox || webkit || others;
    let mut packages = Vec::new();
    if node {
        let missing = tools::missing_for_browser();
        packages.extend(missing.into_iter().filter(|package| browser || *package != "chromium"));
    }
    if firefox {
        packages.extend(tools::missing_for_firefox());
    }
    if webkit {
        packages.extend(tools::missing_for_webkit());
    }
    if steps.contains(&Step::Native) {
        packages.extend(tools::missing_for_gpu());
    }
    let installed = if packages.is_empty() { Ok(()) } else { tools::install(&packages) };
    // One browser that is missing keeps the tests in the others from nothing.
    let modules = if node { tools::node_modules() } else { Ok(()) };
    installed.and(modules)
}
