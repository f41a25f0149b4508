//! Every step that a person or CI takes: `cargo xtask build`, `serve`, `dist`, `test`, `bench`, `soak`.
//!
//! Only rustup's Rust is needed to build and serve; `dist` needs Node.js too, and `test` says or installs what it needs.

mod bench;
mod build;
mod dist;
mod project;
mod serve;
mod soak;
mod test;
mod tools;
mod watch;

use anyhow::Result;
use build::Profile;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "Builds, serves and tests Unmasked"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build the engine for the browser into www/pkg/
    Build {
        /// Quick to build, slow to run
        #[arg(long)]
        dev: bool,
    },
    /// Build, then serve the page on this machine
    Serve {
        /// The port to try first; the next free one is taken. 0: any
        #[arg(long, default_value_t = 8080)]
        port: u16,
        /// Do not open a browser
        #[arg(long)]
        no_open: bool,
        /// Quick builds, and a new one whenever the engine's sources change
        #[arg(long)]
        dev: bool,
        /// Serve the pages of the browser tests too
        #[arg(long, hide = true)]
        test_pages: bool,
    },
    /// Build dist/: a static site, and the whole page as one file that needs no server
    Dist,
    /// Draw every state of the page into target/screenshots/, with one sheet of them all
    Screenshots,
    /// Install what the tests need, then run them all
    Test(test::Options),
    /// Measure every device, natively and in Chromium
    Bench(bench::Options),
    /// Use the page in Chromium for minutes; memory must stay flat and errors at zero
    Soak(soak::Options),
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Build { dev } => build::build(Profile::new(dev)).map(|()| ExitCode::SUCCESS),
        Command::Serve { port, no_open, dev, test_pages } => {
            let options = serve::Options { port, open: !no_open, test_pages };
            serve::serve(&options, Profile::new(dev)).map(|()| ExitCode::SUCCESS)
        }
        Command::Dist => dist::dist().map(|()| ExitCode::SUCCESS),
        Command::Screenshots => test::screenshots(),
        Command::Test(options) => test::test(&options),
        Command::Bench(options) => bench::bench(&options).map(|()| ExitCode::SUCCESS),
        Command::Soak(options) => soak::soak(&options),
    }
}
