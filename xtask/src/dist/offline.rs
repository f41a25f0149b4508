//! The single file: the page's script with its worker and the engine inside, and a quartet of models as data blocks.
//! It asks nobody for anything, and its own policy lets it run its own script and nothing else.

use super::{esbuild, hash, read, read_text, replace};
use crate::project;
use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

/// The models inside.
const QUARTET: &str = "en-fr";
const LARGEST: usize = 18_000_000;

/// Writes the file and says how large it is.
pub fn write(file: &Path) -> Result<usize> {
    let work = project::path("target/offline");
    let models = pack_models()?;
    super::write(&work.join("models.json"), models.list.to_string().as_bytes())?;
    super::write(&work.join("blocks.json"), models.names.to_string().as_bytes())?;
    let wasm = gzip(&read(&project::path("www/pkg/unmasked_bg.wasm"))?)?;
    super::write(&work.join("unmasked_bg.wasm.gz"), &wasm)?;
    let script = esbuild("offline/bundle.mjs", &work)?;
    let page = assemble(&script, &models.blocks)?;
    if page.len() > LARGEST {
        bail!("the single file: expected at most {LARGEST} bytes, got {}", page.len());
    }
    super::write(file, page.as_bytes())?;
    Ok(page.len())
}

/// What the page is told of the models inside it, and the models.
struct Models {
    /// as models.json
    list: Value,
    /// folder -> file -> the block that holds it
    names: Value,
    /// id -> base64 of gzip
    blocks: BTreeMap<String, String>,
}

fn pack_models() -> Result<Models> {
    let folder = project::path("www/models");
    let list: Value = serde_json::from_slice(&read(&folder.join("models.json"))?)
        .context("models.json is not JSON")?;
    let own = |model: &&Value| {
        model["id"].as_str().is_some_and(|id| id.starts_with(&format!("{QUARTET}-")))
    };
    let mut models: Vec<Value> =
        list["models"].as_array().into_iter().flatten().filter(own).cloned().collect();
    if models.len() != 4 {
        bail!("models.json: expected 4 models `{QUARTET}-…`, got {}", models.len());
    }
    let mut names = Map::new();
    let mut blocks: BTreeMap<String, String> = BTreeMap::new();
    for model in &mut models {
        let name = model["folder"].as_str().context("a model in models.json has no folder")?;
        let name = name.to_string();
        // The packed folder where the training found that it loses little, else the model as it is.
        let packed = model.as_object_mut().and_then(|entry| entry.remove("packed"));
        let from = packed.as_ref().and_then(|packed| packed["folder"].as_str()).unwrap_or(&name);
        let (mut files, mut sizes) = (Map::new(), Map::new());
        for file in ["config.json", "model.safetensors", "tokenizer.json"] {
            let bytes = read(&folder.join(from).join(file))?;
            // Equal files, such as the quartet's tokenizers, are one block.
            let text = STANDARD.encode(gzip(&bytes)?);
            let next = format!("packed-{}", blocks.len());
            let known = blocks.iter().find(|(_, block)| **block == text);
            let block = known.map_or(next, |(id, _)| id.clone());
            blocks.insert(block.clone(), text);
            files.insert(file.into(), block.into());
            sizes.insert(file.into(), json!({ "bytes": bytes.len() }));
        }
        names.insert(name, files.into());
        let bytes: u64 = sizes.values().filter_map(|size| size["bytes"].as_u64()).sum();
        model["bytes"] = bytes.into();
        model["files"] = sizes.into();
    }
    Ok(Models { list: json!({ "models": models }), names: names.into(), blocks })
}

/// index.html with everything it names put in.
fn assemble(script: &str, blocks: &BTreeMap<String, String>) -> Result<String> {
    for ending in ["</script", "<!--"] {
        if script.contains(ending) {
            bail!("the bundled script holds `{ending}`, which would end it early in a page");
        }
    }
    let page = read_text(&project::path("www/index.html"))?;
    let icon = STANDARD.encode(read(&project::path("www/icon.svg"))?);
    let icon = format!("data:image/svg+xml;base64,{icon}");
    let style = ["www/tokens.css", "www/page.css"]
        .map(|path| read_text(&project::path(path)))
        .into_iter()
        .collect::<Result<Vec<_>>>()?
        .join("\n");
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{}' 'wasm-unsafe-eval'; worker-src blob:; style-src 'sha256-{}'; \
         img-src blob: data:; media-src blob:; base-uri 'none'; form-action 'none'",
        hash(script.as_bytes()),
        hash(style.as_bytes()),
    );
    let data: String = blocks
        .iter()
        .map(|(id, text)| {
            format!("<script type=\"application/gzip\" id=\"{id}\">{text}</script>\n")
        })
        .collect();
    let page = replace(&page, crate::serve::POLICY, &policy)?;
    let page = replace(&page, "href=\"icon.svg\"", &format!("href=\"{icon}\""))?;
    let page = replace(&page, "src=\"icon.svg\"", &format!("src=\"{icon}\""))?;
    let page = replace(&page, "<link rel=\"stylesheet\" href=\"tokens.css\">\n", "")?;
    let sheet = format!("<style>{style}</style>");
    let page = replace(&page, "<link rel=\"stylesheet\" href=\"page.css\">", &sheet)?;
    let page: String = page.split_inclusive('\n').filter(|line| !asks_for_a_file(line)).collect();
    replace(&page, "</body>", &format!("{data}<script>{script}</script>\n</body>"))
}

/// Whether a line of index.html asks for a module or the list of models, all of which the one script holds.
fn asks_for_a_file(line: &str) -> bool {
    ["<link rel=\"modulepreload\"", "<link rel=\"preload\"", "<script type=\"module\""]
        .iter()
        .any(|start| line.starts_with(start))
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(bytes)?;
    Ok(gzip.finish()?)
}
