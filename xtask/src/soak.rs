//! The page used for minutes in a real Chromium, its memory held flat: see `tests/browser/soak.js`.

use crate::build::Profile;
use crate::{build, project, serve, tools};
use anyhow::{Context, Result, bail};
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Options {
    /// How long
    minutes: f64,
    /// Which order of actions
    #[arg(long, default_value_t = 1)]
    seed: u32,
}

/// Builds, serves, drives; the exit status is a failure where memory grew or anything went wrong.
pub fn soak(options: &Options) -> Result<ExitCode> {
    let Some(chromium) = tools::chromium() else {
        bail!("no Chromium or Chrome: install one, or name it in UNMASKED_CHROMIUM");
    };
    let node = which::which("node").context("no Node.js")?;
    tools::node_modules()?;
    build::build(Profile::Shipped)?;
    let server = serve::start(&serve::Options { port: 0, open: false, test_pages: false })?;
    let mut command = project::command(node);
    command.arg("tests/browser/soak.js");
    command.args([options.minutes.to_string(), options.seed.to_string()]);
    command.env("UNMASKED_URL", &server.url).env("UNMASKED_CHROMIUM", chromium);
    let status = command.status().context("could not start node")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
