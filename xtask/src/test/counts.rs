//! What the test runners say, as numbers.

use anyhow::{Context, Result};
use serde::Deserialize;
use std::fmt;

/// How many checks passed, failed and were skipped.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub passed: usize,
    pub failed: usize,
    pub skipped: usize,
    /// the skipped and the failed by name, a line each
    pub notes: Vec<String>,
}

impl Tally {
    pub fn passes(passed: usize) -> Self {
        Self { passed, ..Self::default() }
    }

    pub fn failure(why: String) -> Self {
        Self { failed: 1, notes: vec![format!("failed: {why}")], ..Self::default() }
    }

    pub fn skip(why: String) -> Self {
        Self { skipped: 1, notes: vec![format!("skipped: {why}")], ..Self::default() }
    }

    pub fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.notes.extend(other.notes);
    }

    /// Adds what one line of `cargo test` says, if it says anything.
    pub fn read_cargo_line(&mut self, line: &str) {
        if let Some(counts) = line.strip_prefix("test result: ") {
            let count = |word: &str| {
                let part = counts.split([';', '.']).find_map(|part| part.trim().strip_suffix(word));
                part.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
            };
            self.add(Self {
                passed: count("passed"),
                failed: count("failed"),
                skipped: count("ignored"),
                notes: Vec::new(),
            });
        } else if let Some((name, outcome)) =
            line.strip_prefix("test ").and_then(|test| test.split_once(" ... "))
        {
            // Some runners align the outcomes.
            let name = name.trim_end();
            if let Some(reason) = outcome.strip_prefix("ignored") {
                self.notes.push(format!("skipped: {name}{reason}"));
            } else if outcome.starts_with("FAILED") {
                self.notes.push(format!("failed: {name}"));
            }
        }
    }

    /// Adds what one line of node's test runner (as TAP) says, if it says anything.
    pub fn read_tap_line(&mut self, line: &str) {
        let count = |word: &str| {
            line.strip_prefix(word).and_then(|number| number.trim().parse::<usize>().ok())
        };
        self.passed += count("# pass ").unwrap_or(0);
        self.failed += count("# fail ").unwrap_or(0) + count("# cancelled ").unwrap_or(0);
        self.skipped += count("# skipped ").unwrap_or(0) + count("# todo ").unwrap_or(0);
        if let Some((_, name)) =
            line.strip_prefix("not ok ").and_then(|test| test.split_once(" - "))
        {
            self.notes.push(format!("failed: {name}"));
        }
    }

    /// Reads the report of Playwright's JSON reporter.
    pub fn of_playwright(report: &[u8]) -> Result<Self> {
        let report: Report =
            serde_json::from_slice(report).context("Playwright's report is not what it was")?;
        let Stats { expected, unexpected, flaky, skipped } = report.stats;
        // A test that passes only when tried again is a failure here.
        let mut tally =
            Self { passed: expected, failed: unexpected + flaky, skipped, notes: Vec::new() };
        for error in report.errors {
            // Such as a test file that cannot be read: no test of it is counted anywhere.
            tally.add(Self::failure(error.message));
        }
        report.suites.iter().for_each(|suite| suite.name_others(&mut tally.notes));
        Ok(tally)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

#[derive(Deserialize)]
struct Report {
    stats: Stats,
    #[serde(default)]
    errors: Vec<Failure>,
    #[serde(default)]
    suites: Vec<Suite>,
}

#[derive(Deserialize)]
struct Stats {
    expected: usize,
    unexpected: usize,
    flaky: usize,
    skipped: usize,
}

#[derive(Deserialize)]
struct Failure {
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct Suite {
    #[serde(default)]
    suites: Vec<Suite>,
    #[serde(default)]
    specs: Vec<Spec>,
}

#[derive(Deserialize)]
struct Spec {
    title: String,
    tests: Vec<Test>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Test {
    project_name: String,
    status: String,
}

impl Suite {
    fn name_others(&self, notes: &mut Vec<String>) {
        for spec in &self.specs {
            for test in &spec.tests {
                match test.status.as_str() {
                    "expected" => {}
                    "skipped" => {
                        notes.push(format!("skipped: [{}] {}", test.project_name, spec.title))
                    }
                    _ => notes.push(format!("failed: [{}] {}", test.project_name, spec.title)),
                }
            }
        }
        self.suites.iter().for_each(|suite| suite.name_others(notes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_cargo_test() {
        let mut tally = Tally::default();
        for line in [
            "running 3 tests",
            "test mask::tests::a ... ok",
            "test b   ... ignored, no adapter",
            "test c ... FAILED",
            "test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "test result: ok. 4 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
        ] {
            tally.read_cargo_line(line);
        }
        assert_eq!(tally.to_string(), "5 passed, 1 failed, 1 skipped");
        assert_eq!(tally.notes, ["skipped: b, no adapter", "failed: c"]);
    }

    #[test]
    fn counts_node_test() {
        let mut tally = Tally::default();
        for line in ["ok 1 - a", "not ok 2 - b", "# tests 3", "# pass 1", "# fail 1", "# skipped 1"]
        {
            tally.read_tap_line(line);
        }
        assert_eq!(tally.to_string(), "1 passed, 1 failed, 1 skipped");
        assert_eq!(tally.notes, ["failed: b"]);
    }

    #[test]
    fn counts_playwright() {
        let report = r#"{ "stats": { "expected": 2, "unexpected": 0, "flaky": 1, "skipped": 1, "duration": 3.5 },
            "errors": [{ "message": "no such file" }],
            "suites": [{ "title": "engine", "suites": [{ "specs": [
                { "title": "loads", "tests": [
                    { "projectName": "webgpu", "status": "expected" }, { "projectName": "cpu", "status": "skipped" } ] },
                { "title": "runs", "tests": [{ "projectName": "cpu", "status": "flaky" }] } ] }] }] }"#;
        let tally = Tally::of_playwright(report.as_bytes()).unwrap();
        assert_eq!(tally.to_string(), "2 passed, 2 failed, 1 skipped");
        assert_eq!(
            tally.notes,
            ["failed: no such file", "skipped: [cpu] loads", "failed: [cpu] runs"]
        );
    }
}
