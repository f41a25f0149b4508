//! The static site: the page's files as they are, the examples, and a service worker that knows every one of them.

use super::{hash, read, read_text, replace};
use crate::project;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// What a site came to.
pub struct Site {
    pub files: usize,
    pub bytes: usize,
}

/// Files that only this machine needs: notes of builds, types, and what was compressed for its own server (a host
/// compresses as it likes).
fn is_left_out(path: &str) -> bool {
    matches!(path, "jsconfig.json" | "pkg/build.json")
        || [".d.ts", ".br", ".rs"].iter().any(|ending| path.ends_with(ending))
}

/// Writes the site beside where it will stand and puts it there when it is whole.
pub fn write(folder: &Path) -> Result<Site> {
    let mut files = BTreeMap::new();
    collect(&project::path("www"), "", &mut files)?;
    collect(&project::path("examples"), "examples/", &mut files)?;
    files.retain(|path, _| !is_left_out(path));
    files.insert("keep.js".into(), read(&project::path("offline/keep.js"))?);
    let index = files.get("index.html").context("www/ has no index.html")?;
    let index = replace(
        std::str::from_utf8(index).context("index.html is not UTF-8")?,
        "</head>",
        "<script type=\"module\" src=\"keep.js\"></script>\n</head>",
    )?;
    files.insert("index.html".into(), index.into_bytes());
    let list = files.get("models/models.json").context("www/models/ has no models.json")?;
    let unread = unread(list)?;
    let kept =
        files.iter().filter(|(path, _)| !unread.iter().any(|folder| path.starts_with(folder)));
    let worker = service_worker(kept)?;
    files.insert("service-worker.js".into(), worker);

    let next = folder.with_extension("next");
    fs::remove_dir_all(&next).ok();
    for (path, bytes) in &files {
        super::write(&next.join(path), bytes)?;
    }
    fs::remove_dir_all(folder).ok();
    fs::rename(&next, folder)
        .with_context(|| format!("could not put `{}` in its place", folder.display()))?;
    Ok(Site { files: files.len(), bytes: files.values().map(Vec::len).sum() })
}

/// Folders that the page never reads, since it takes their packed twins; who asks for one needs the network.
fn unread(list: &[u8]) -> Result<Vec<String>> {
    let list: Value = serde_json::from_slice(list).context("models.json is not JSON")?;
    let models = list["models"].as_array().context("models.json has no list of models")?;
    let packed = models.iter().filter(|model| model.get("packed").is_some());
    Ok(packed.filter_map(|model| Some(format!("models/{}/", model["folder"].as_str()?))).collect())
}

/// The service worker with its list: every kept file's hash, and a version that is the hash of them all.
fn service_worker<'a>(files: impl Iterator<Item = (&'a String, &'a Vec<u8>)>) -> Result<Vec<u8>> {
    let list: BTreeMap<&str, String> =
        files.map(|(path, bytes)| (path.as_str(), hash(bytes))).collect();
    let list = serde_json::to_string_pretty(&list)?;
    let source = read_text(&project::path("offline/service-worker.js"))?;
    let version = format!("'{}'", hash([source.as_str(), &list].concat().as_bytes()));
    let source = replace(&source, "/* version */ ''", &version)?;
    Ok(replace(&source, "/* files */ {}", &list)?.into_bytes())
}

/// All files below a folder, by their path in the site.
fn collect(folder: &Path, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("could not read `{}`", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            bail!("a file in `{}` has no name in UTF-8", folder.display());
        };
        if name.starts_with('.') {
            continue;
        }
        let path = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{path}/"), files)?;
        } else {
            files.insert(path, read(&entry.path())?);
        }
    }
    Ok(())
}
