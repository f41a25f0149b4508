//! The static site: the page's files, its modules in a few bundles, the examples, and a service worker that knows every
//! one of them.

use super::{esbuild, hash, read, read_text, replace};
use crate::project;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// What a site came to.
pub struct Site {
    pub files: usize,
    pub bytes: usize,
}

/// What goes wherever the models and the code go. The page never reads them, so the service worker does not keep them.
const NOTICES: [&str; 3] = ["NOTICE", "LICENSE-MIT", "LICENSE-APACHE"];

/// Files that only this machine needs: notes of builds, types, what was compressed for its own server (a host compresses
/// as it likes), and the engine's JavaScript, which the worker has inside.
fn is_left_out(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    path == "jsconfig.json"
        || path.starts_with("pkg/") && matches!(name, "build.json" | "unmasked.js")
        || [".d.ts", ".br", ".rs"].iter().any(|ending| path.ends_with(ending))
}

/// Writes the site beside where it will stand and puts it there when it is whole.
pub fn write(folder: &Path) -> Result<Site> {
    let mut files = BTreeMap::new();
    collect(&project::path("www"), "", &mut files)?;
    collect(&project::path("examples"), "examples/", &mut files)?;
    files.retain(|path, _| !is_left_out(path));
    bundle(&mut files)?;
    files.insert("keep.js".into(), read(&project::path("offline/keep.js"))?);
    for (path, page) in files.iter_mut().filter(|(path, _)| path.ends_with(".html")) {
        let text = std::str::from_utf8(page).with_context(|| format!("`{path}` is not UTF-8"))?;
        *page = keeping(path, text)?.into_bytes();
    }
    let list = files.get("models/models.json").context("www/models/ has no models.json")?;
    let unread = unread(list)?;
    let kept =
        files.iter().filter(|(path, _)| !unread.iter().any(|folder| path.starts_with(folder)));
    let worker = service_worker(kept)?;
    files.insert("service-worker.js".into(), worker);
    for name in NOTICES {
        files.insert(name.into(), read(&project::path(name))?);
    }

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

/// Puts bundles in the place of the page's modules, since a first visit waits for some fifty of them one after another,
/// and has the pages ask for those in their heads.
fn bundle(files: &mut BTreeMap<String, Vec<u8>>) -> Result<()> {
    let work = project::path("target/site");
    fs::remove_dir_all(&work).ok();
    let imports: BTreeMap<String, Vec<String>> =
        serde_json::from_str(&esbuild("offline/site.mjs", &work)?)
            .context("offline/site.mjs did not answer in JSON")?;
    files.retain(|path, _| !path.ends_with(".js"));
    for script in imports.keys() {
        files.insert(script.clone(), read(&work.join(script))?);
    }
    for (_, page) in files.iter_mut().filter(|(path, _)| path.ends_with(".html")) {
        let text = std::str::from_utf8(page).context("a page is not UTF-8")?;
        *page = ask_for_bundles(text, &imports).into_bytes();
    }
    Ok(())
}

/// A page that asks for what each of its scripts imports right after that script, and no longer for single modules.
fn ask_for_bundles(page: &str, imports: &BTreeMap<String, Vec<String>>) -> String {
    let mut asked = BTreeSet::new();
    let mut text = String::new();
    for line in page.lines().filter(|line| !line.starts_with("<link rel=\"modulepreload\"")) {
        text += &format!("{line}\n");
        let script = line
            .strip_prefix("<script type=\"module\"")
            .and_then(|rest| rest.split_once("src=\""))
            .and_then(|(_, rest)| imports.get(rest.split('"').next()?));
        for name in script.into_iter().flatten().filter(|name| asked.insert(*name)) {
            text += &format!("<link rel=\"modulepreload\" href=\"{name}\">\n");
        }
    }
    text
}

/// A page that has the whole site kept: whichever page is visited first, one visit is enough.
fn keeping(path: &str, page: &str) -> Result<String> {
    let up = "../".repeat(path.matches('/').count());
    let script = format!("<script type=\"module\" src=\"{up}keep.js\"></script>\n</head>");
    replace(page, "</head>", &script)
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
