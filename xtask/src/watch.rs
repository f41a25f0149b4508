//! A new build whenever the engine's sources change.

use crate::{build, build::Profile, project};
use anyhow::{Context, Result};
use notify::{Event, RecursiveMode, Watcher};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// An editor saves a file in several strokes: a build waits until nothing has changed for this long.
const QUIET: Duration = Duration::from_millis(200);

/// Builds after every change, for ever. A build that fails says so and the next change tries again.
pub fn rebuild_on_change(profile: Profile) -> Result<()> {
    let (sender, changes) = channel();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        // The receiver is gone only when the program ends.
        if event.is_ok_and(|event| is_change(&event)) {
            sender.send(()).ok();
        }
    })
    .context("could not watch the sources")?;
    for folder in ["src", "shaders"] {
        let path = project::path(folder);
        watcher
            .watch(&path, RecursiveMode::Recursive)
            .with_context(|| format!("could not watch {folder}/"))?;
    }
    // Not the files themselves: an editor may replace them, and a watch would go with the old one.
    watcher
        .watch(&project::root(), RecursiveMode::NonRecursive)
        .context("could not watch Cargo.toml")?;
    println!("Watching src/, shaders/ and Cargo.toml");
    while wait(&changes) {
        match build::build(profile) {
            Ok(()) => println!("Built: reload the page"),
            Err(error) => eprintln!("error: {error:#}; waiting for the next change"),
        }
    }
    Ok(())
}

/// Whether a file that matters was written; reading one, as every build does, is not a change.
fn is_change(event: &Event) -> bool {
    let written = event.kind.is_create() || event.kind.is_modify() || event.kind.is_remove();
    written && event.paths.iter().any(|path| is_source(path))
}

fn is_source(path: &Path) -> bool {
    let root = project::root();
    path.parent() != Some(root.as_path())
        || path.ends_with("Cargo.toml")
        || path.ends_with("Cargo.lock")
}

/// Waits for a change and for the quiet after it; false when no more can come.
fn wait(changes: &Receiver<()>) -> bool {
    if changes.recv().is_err() {
        return false;
    }
    loop {
        match changes.recv_timeout(QUIET) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
}
