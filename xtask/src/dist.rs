//! `dist/`: the page for people who have no cargo. A static site, and a single file that needs no server at all.

mod offline;
mod site;

use crate::build::Profile;
use crate::{build, project, tools};
use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

/// Where `dist/` is.
pub fn folder() -> PathBuf {
    project::path("dist")
}

/// Builds both forms of the page.
pub fn dist() -> Result<()> {
    build::build(Profile::Shipped)?;
    let site = site::write(&folder().join("site"))?;
    println!("dist/site: {} files, {} MB", site.files, megabytes(site.bytes));
    let bytes = offline::write(&folder().join("unmasked-offline.html"))?;
    println!("dist/unmasked-offline.html: {} MB", megabytes(bytes));
    Ok(())
}

/// What a script of `offline/` makes of the page's modules in this folder, and says of it.
fn esbuild(script: &str, folder: &Path) -> Result<String> {
    let node = which::which("node").context("dist needs Node.js 20 or later")?;
    if !project::path("node_modules/esbuild").exists() {
        tools::node_modules()?;
    }
    let mut command = project::command(node);
    command.arg(script).arg(folder);
    let output = command
        .stderr(std::process::Stdio::inherit())
        .output()
        .with_context(|| format!("could not start {}", project::shown(&command)))?;
    project::finished(&command, output.status)?;
    String::from_utf8(output.stdout).with_context(|| format!("{script} did not answer in UTF-8"))
}

/// A policy's or an integrity check's name for these bytes, without the `sha256-`.
fn hash(bytes: &[u8]) -> String {
    STANDARD.encode(Sha256::digest(bytes))
}

/// Replaces what must be there, once: where the page has changed, this says so.
fn replace(text: &str, from: &str, to: &str) -> Result<String> {
    let (before, after) = text.split_once(from).with_context(|| {
        format!("the page no longer has `{from}`, which dist replaces: look at xtask/src/dist/")
    })?;
    Ok([before, to, after].concat())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("could not read `{}`", path.display()))
}

fn read_text(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("could not read `{}`", path.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)
            .with_context(|| format!("could not make `{}`", parent.display()))?;
    }
    fs::write(path, bytes).with_context(|| format!("could not write `{}`", path.display()))
}

fn megabytes(bytes: usize) -> String {
    format!("{:.1}", bytes as f64 / 1e6)
}
