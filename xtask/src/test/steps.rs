//! One function a step: what it runs, and how its outcome is counted.

use super::counts::Tally;
use crate::build::{Profile, RELAXED_FLAGS, RELAXED_TARGET};
use crate::tools::TARGET;
use crate::{build, project, serve, tools};
use anyhow::{Context, Result, bail};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub fn fmt() -> Result<Tally> {
    project::run(project::cargo().args(["fmt", "--all", "--check"])).context("run `cargo fmt`")?;
    Ok(Tally::passes(1))
}

pub fn clippy() -> Result<Tally> {
    let deny = ["--", "--deny", "warnings"];
    project::run(project::cargo().args(["clippy", "--workspace", "--all-targets"]).args(deny))?;
    // The same for the code that only the browser runs.
    tools::wasm_target()?;
    let browser = ["clippy", "--package", "unmasked", "--lib", "--target", TARGET];
    project::run(project::cargo().args(browser).args(deny))?;
    // And for what only the engine with relaxed SIMD has.
    let mut relaxed = project::cargo();
    relaxed.args(browser).args(["--config", RELAXED_FLAGS, "--target-dir"]);
    project::run(relaxed.arg(project::path(RELAXED_TARGET)).args(deny))?;
    Ok(Tally::passes(3))
}

pub fn native() -> Result<Tally> {
    let mut tally = Tally::default();
    // One package at a time: together they would share features, and xtask's libraries, which this very
    // program was just built from, would all be compiled again.
    for package in ["unmasked", "xtask"] {
        let mut cargo = project::cargo();
        cargo.args(["test", "--package", package, "--no-fail-fast"]);
        if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
            // Graphics drivers ask for it, and complain of errors where there are none.
            cargo.env("XDG_RUNTIME_DIR", std::env::temp_dir());
        }
        if is_ci() {
            // Tests that find no adapter are ignored, and counted so, on a laptop; here they fail.
            cargo.env("UNMASKED_REQUIRE_GPU", "1");
        }
        tally.add(counted(&mut cargo, Tally::read_cargo_line)?);
    }
    Ok(tally)
}

pub fn shaders() -> Result<Tally> {
    let shaders = files("shaders", ".wgsl")?;
    let Ok(tint) = which::which("tint") else {
        // Never required: the native tests read every shader with naga, and Chromium runs them through tint itself.
        return Ok(Tally::skip("shaders through tint, which is not installed".into()));
    };
    let mut tally = Tally::default();
    for shader in shaders {
        // Every build of tint can write WGSL; what it writes is of no interest, whether it can is.
        let mut command = project::command(&tint);
        command.args(["--format", "wgsl"]).arg(&shader).stdout(Stdio::null());
        let outcome = project::run(&mut command);
        tally.add(match outcome {
            Ok(()) => Tally::passes(1),
            Err(error) => Tally::failure(format!("{error:#}")),
        });
    }
    Ok(tally)
}

pub fn wasm() -> Result<Tally> {
    build::build(Profile::Shipped)?;
    Ok(Tally::passes(1))
}

pub fn engine() -> Result<Tally> {
    playwright("tests/browser/engine")
}

pub fn page() -> Result<Tally> {
    let mut tally = modules()?;
    tally.add(playwright("tests/browser/page")?);
    Ok(tally)
}

/// The page's code, read by the two who find what no test runs into. TypeScript only reads its JSDoc.
pub fn script() -> Result<Tally> {
    let tools = [
        ("node_modules/typescript/bin/tsc", ["--project", "www/jsconfig.json"].as_slice()),
        ("node_modules/eslint/bin/eslint.js", ["."].as_slice()),
    ];
    let (Ok(node), true) =
        (which::which("node"), tools.iter().all(|(tool, _)| project::path(tool).exists()))
    else {
        return unavailable("types and lint: no Node.js, or no node_modules (run `npm ci`)");
    };
    // The types of the compiled engine are part of what is checked.
    build::build(Profile::Shipped)?;
    let mut tally = Tally::default();
    for (tool, arguments) in tools {
        let outcome = project::run(project::command(&node).arg(tool).args(arguments));
        tally.add(match outcome {
            Ok(()) => Tally::passes(1),
            Err(error) => Tally::failure(format!("{error:#}")),
        });
    }
    Ok(tally)
}

pub fn screenshots() -> Result<Tally> {
    playwright("tests/browser/screenshots")
}

pub fn dist() -> Result<Tally> {
    let ready = which::which("node").is_ok() && project::path("node_modules/esbuild").exists();
    if !ready {
        return unavailable("tests/browser/dist: no Node.js, or no node_modules (run `npm ci`)");
    }
    crate::dist::dist()?;
    playwright("tests/browser/dist")
}

/// The Firefox that people have; it computes on the CPU.
pub fn firefox() -> Result<Tally> {
    let Some(firefox) = tools::firefox() else {
        return unavailable("tests/firefox: no Firefox (or name it in UNMASKED_FIREFOX)");
    };
    let named = Some(("UNMASKED_FIREFOX", firefox));
    other_browser("tests/firefox", &["puppeteer-core", "esbuild"], named)
}

/// WebKitGTK, for what Safari would do; it computes on the CPU.
pub fn webkit() -> Result<Tally> {
    if !tools::has_webkit() {
        return unavailable("tests/webkit: no WebKitWebDriver, or no xvfb-run");
    }
    other_browser("tests/webkit", &["esbuild"], None)
}

/// Each target of fuzz/targets.rs and each property of tests/page/fuzz.test.js, for so many seconds.
pub fn fuzz(seconds: u64) -> Result<Tally> {
    let seconds = seconds.to_string();
    let mut cargo = project::cargo();
    // One after the other: side by side they would share the seconds.
    cargo.args(["test", "--package", "unmasked", "--test", "fuzz", "--"]);
    cargo.args(["--nocapture", "--test-threads", "1"]).env("UNMASKED_FUZZ_SECONDS", &seconds);
    let mut tally = counted(&mut cargo, Tally::read_cargo_line)?;
    let Ok(node) = which::which("node") else {
        tally.add(unavailable("tests/page/fuzz.test.js: no Node.js")?);
        return Ok(tally);
    };
    let mut node = project::command(node);
    node.args(["--test", "--test-reporter", "tap", "tests/page/fuzz.test.js"]);
    node.env("UNMASKED_FUZZ_SECONDS", &seconds);
    tally.add(counted(&mut node, Tally::read_tap_line)?);
    Ok(tally)
}

/// The page's modules that need no browser, in Node's own test runner.
fn modules() -> Result<Tally> {
    let mut tests = files("tests/page", ".test.js")?;
    let Ok(node) = which::which("node") else {
        return unavailable("tests/page: no Node.js");
    };
    let mut tally = Tally::default();
    if !project::path("node_modules/fast-check").exists() {
        tests.retain(|test| !test.ends_with("fuzz.test.js"));
        tally.add(unavailable("tests/page/fuzz.test.js: no fast-check (run `npm ci`)")?);
    }
    let mut node = project::command(node);
    node.args(["--test", "--test-reporter", "tap"]).args(tests);
    tally.add(counted(&mut node, Tally::read_tap_line)?);
    Ok(tally)
}

/// Runs the browser tests of one folder against a server of its own.
fn playwright(folder: &str) -> Result<Tally> {
    let Some(chromium) = tools::chromium() else {
        return unavailable(&format!(
            "{folder}: no Chromium or Chrome (or name it in UNMASKED_CHROMIUM)"
        ));
    };
    let runner = project::path("node_modules/@playwright/test/cli.js");
    let (Ok(node), true) = (which::which("node"), runner.exists()) else {
        return unavailable(&format!("{folder}: no Node.js, or no node_modules (run `npm ci`)"));
    };
    build::build(Profile::Shipped)?;
    let server = serve::start(&serve::Options { port: 0, open: false, test_pages: true })?;
    let report = project::path("tests/browser/results/report.json");
    fs::remove_file(&report).ok();
    let mut command = project::command(node);
    command.arg(runner).args(["test", "--config", "tests/browser/playwright.config.js", folder]);
    command.env("UNMASKED_URL", &server.url).env("UNMASKED_CHROMIUM", chromium);
    command.env("UNMASKED_REPORT", &report);
    // Its status tells of failed tests, which the report counts; a run that broke off leaves no report.
    let status = command.status().context("could not start node")?;
    let text = fs::read(&report)
        .with_context(|| format!("Playwright ended with {status} and left no report"))?;
    fs::remove_file(&report).ok();
    let mut tally = Tally::of_playwright(&text)?;
    if !status.success() && tally.failed == 0 {
        tally.add(Tally::failure(format!(
            "Playwright ended with {status} and says nothing of a failed test"
        )));
    }
    Ok(tally)
}

/// What only engines other than Chromium's can tell: the tests of one folder in Node's own runner, of dist/ and of a
/// server of their own.
fn other_browser(folder: &str, packages: &[&str], named: Option<(&str, PathBuf)>) -> Result<Tally> {
    let modules = project::path("node_modules");
    let ready = packages.iter().all(|package| modules.join(package).exists());
    let (Ok(node), true) = (which::which("node"), ready) else {
        return unavailable(&format!("{folder}: no Node.js, or no node_modules (run `npm ci`)"));
    };
    crate::dist::dist()?;
    let server = serve::start(&serve::Options { port: 0, open: false, test_pages: false })?;
    let mut node = project::command(node);
    // One file after the other: each runs a browser.
    node.args(["--test", "--test-reporter", "tap", "--test-concurrency", "1"]);
    node.args(files(folder, ".test.js")?);
    node.env("UNMASKED_URL", &server.url).envs(named);
    counted(&mut node, Tally::read_tap_line)
}

/// The files of a folder whose names end so, in order; there must be some.
fn files(folder: &str, ending: &str) -> Result<Vec<PathBuf>> {
    let entries =
        fs::read_dir(project::path(folder)).with_context(|| format!("could not read {folder}/"))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut files: Vec<PathBuf> = names
        .filter(|name| name.ends_with(ending))
        .map(|name| Path::new(folder).join(name))
        .collect();
    if files.is_empty() {
        bail!("{folder}/ has no file that ends in {ending}");
    }
    files.sort();
    Ok(files)
}

/// Runs a test runner, shows its lines and counts by them.
fn counted(command: &mut Command, read: impl Fn(&mut Tally, &str)) -> Result<Tally> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("could not start {}", project::shown(command)))?;
    let mut tally = Tally::default();
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).split(b'\n') {
            let line = line.context("could not read the test runner's output")?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            read(&mut tally, line.trim_end());
        }
    }
    let status = child.wait().context("the test runner was lost")?;
    // A build that fails, or a test that takes the whole process with it, counts itself nowhere.
    if !status.success() && tally.failed == 0 {
        tally.add(Tally::failure(format!("{} ended with {status}", project::shown(command))));
    }
    Ok(tally)
}

/// A skip on a laptop; a failure where everything must run.
fn unavailable(what: &str) -> Result<Tally> {
    if is_ci() {
        bail!("{what}; required where CI=true");
    }
    println!("skipped: {what}");
    Ok(Tally::skip(what.to_string()))
}

fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}
