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
/// compresses as it likes). And packed models: they are for the single file.
fn is_left_out(path: &str) -> bool {
    matches!(path, "jsconfig.json" | "pkg/build.json")
        || [".d.ts", ".br", ".rs"].iter().any(|ending| path.ends_with(ending))
        || path.starts_with("models/") && path.contains("-int8/")
}

/// Writes the site beside where it will stand and puts it there when it is whole.
pub fn write(folder: &Path) -> Result<Site> {
    let mut files = BTreeMap::new();
    collect(&project::path("www"), "", &mut files)?;
    collect(&project::path("examples"), "examples/", &mut files)?;
    files.retain(|path, _| !is_left_out(path));
    let list = files.get_mut("models/models.json").context("www/models/ has no models.json")?;
    *list = without_packed(list)?;
    files.insert("keep.js".into(), read(&project::path("offline/keep.js"))?);
    let index = files.get("index.html").context("www/ has no index.html")?;
    let index = replace(
        std::str::from_utf8(index).context("index.html is not UTF-8")?,
        "</head>",
        "<script type=\"module\" src=\"keep.js\"></script>\n</head>",
    )?;
    files.insert("index.html".into(), index.into_bytes());
    files.insert("service-worker.js".into(), service_worker(&files)?);

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

/// The list of models, without the packed folders that are not here.
fn without_packed(list: &[u8]) -> Result<Vec<u8>> {
    let mut list: Value = serde_json::from_slice(list).context("models.json is not JSON")?;
    for model in list["models"].as_array_mut().into_iter().flatten() {
        model.as_object_mut().and_then(|entry| entry.remove("packed"));
    }
    Ok(serde_json::to_vec_pretty(&list)?)
}

/// The service worker with its list: every file's hash, and a version that is the hash of them all.
fn service_worker(files: &BTreeMap<String, Vec<u8>>) -> Result<Vec<u8>> {
    let list: BTreeMap<&str, String> =
        files.iter().map(|(path, bytes)| (path.as_str(), hash(bytes))).collect();
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
