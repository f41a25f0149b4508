//! Sources -> `www/pkg/`: cargo, then wasm-bindgen, then wasm-opt where there is one; for what is shipped, twice.

use crate::{
    project,
    tools::{self, TARGET},
};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

const NAME: &str = "unmasked";
/// What wasm-bindgen calls the wasm.
const WASM: &str = "unmasked_bg.wasm";
/// The same for browsers with WebAssembly's relaxed SIMD, which multiplies and adds in one instruction (www/place.js
/// chooses). A browser without it refuses the whole module, so there are two.
const RELAXED: &str = "unmasked_relaxed_bg.wasm";
/// What both are called by.
const GLUE: &str = "unmasked.js";
const STAMP: &str = "build.json";
/// What a browser downloads: one of the two engines, and what calls it.
pub const SERVED: [&str; 3] = [WASM, RELAXED, GLUE];
/// Joined by cargo to those of .cargo/config.toml.
const RELAXED_FLAGS: &str =
    r#"target.wasm32-unknown-unknown.rustflags = ["-C", "target-feature=+relaxed-simd"]"#;
const RELAXED_TARGET: &str = "target/relaxed";

/// How much time a build may take to make the engine fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// What is shipped: optimised as a whole.
    Shipped,
    /// For work on the engine: quick to build.
    Dev,
}

impl Profile {
    pub fn new(dev: bool) -> Self {
        if dev { Self::Dev } else { Self::Shipped }
    }

    fn cargo_name(self) -> &'static str {
        match self {
            Self::Shipped => "wasm",
            Self::Dev => "dev",
        }
    }
}

/// What `www/pkg/` was made from; while it is the same there is nothing to do.
#[derive(PartialEq, Serialize, Deserialize)]
struct Stamp {
    /// SHA-256 of each wasm as cargo left it
    compiled: Vec<String>,
    bindgen: String,
    /// whether wasm-opt had its turn
    optimised: bool,
}

/// Brings `www/pkg/` up to date with the sources.
pub fn build(profile: Profile) -> Result<()> {
    tools::wasm_target()?;
    let engines = compile_all(profile)?;
    let optimiser = match profile {
        Profile::Shipped => tools::wasm_opt(),
        Profile::Dev => None,
    };
    let stamp = Stamp {
        compiled: engines.iter().map(|bytes| digest(bytes)).collect(),
        bindgen: wasm_bindgen_shared_version()?,
        optimised: optimiser.is_some(),
    };
    let package = project::path("www/pkg");
    if is_current(&package, &stamp) {
        return Ok(());
    }
    // Without its stamp a package that is only half written is never taken for a good one.
    fs::remove_file(package.join(STAMP)).ok();
    for name in SERVED {
        // A server prefers a compressed file, so an old one would hide the new engine.
        fs::remove_file(compressed(&package, name)).ok();
    }
    let start = Instant::now();
    if let Some(relaxed) = engines.get(1) {
        // In a folder of its own, as wasm-bindgen names its files.
        let aside = project::path(RELAXED_TARGET).join("bound");
        bind(relaxed, &aside, profile)?;
        bind(&engines[0], &package, profile)?;
        if read(&aside, GLUE)? != read(&package, GLUE)? {
            bail!(
                "the two engines need different unmasked.js: are they built from one Cargo.lock by one compiler?"
            );
        }
        fs::rename(aside.join(WASM), package.join(RELAXED))
            .context("could not put the engine with relaxed SIMD into www/pkg")?;
    } else {
        bind(&engines[0], &package, profile)?;
        // Work on the engine builds one, which runs everywhere.
        fs::copy(package.join(WASM), package.join(RELAXED)).context("could not write www/pkg")?;
    }
    println!("    wasm-bindgen took {:.1} s", start.elapsed().as_secs_f64());
    if let Some(optimiser) = optimiser {
        optimise(&optimiser, &package.join(WASM))?;
        optimise(&optimiser, &package.join(RELAXED))?;
    }
    if profile == Profile::Shipped {
        compress(&package)?;
    }
    fs::write(package.join(STAMP), serde_json::to_vec(&stamp)?)
        .context("could not write www/pkg")?;
    print_sizes(&package, profile)
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The engine for every browser and, for what is shipped, the one with relaxed SIMD. At once: optimising one as a whole
/// keeps one core busy.
fn compile_all(profile: Profile) -> Result<Vec<Vec<u8>>> {
    if profile == Profile::Dev {
        return Ok(vec![compile(profile, false)?]);
    }
    std::thread::scope(|scope| {
        let relaxed = scope.spawn(|| compile(profile, true));
        let plain = compile(profile, false);
        let relaxed = relaxed.join().unwrap_or_else(|_| bail!("a build was lost"));
        Ok(vec![plain?, relaxed?])
    })
}

/// Compiles the library and returns its wasm.
fn compile(profile: Profile, relaxed: bool) -> Result<Vec<u8>> {
    // One crate type only: with `rlib` beside `cdylib` cargo leaves link-time optimisation out.
    let mut cargo = project::cargo();
    cargo.args(["rustc", "--package", NAME, "--lib", "--crate-type", "cdylib", "--target", TARGET]);
    cargo.args(["--profile", profile.cargo_name(), "--message-format", "json-render-diagnostics"]);
    if relaxed {
        // In a place of its own: with other flags cargo begins anew where it built before.
        cargo.args(["--config", RELAXED_FLAGS, "--target-dir"]).arg(project::path(RELAXED_TARGET));
        // The other one tells how far it is.
        cargo.arg("--quiet");
    }
    let output = cargo.stderr(Stdio::inherit()).output().context("could not start cargo")?;
    project::finished(&cargo, output.status)?;
    let wasm = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .flat_map(|message| message.filenames)
        .rfind(|file| file.file_name().is_some_and(|name| name == "unmasked.wasm"))
        .context("cargo built no `unmasked.wasm`: is `cdylib` still among the crate types in Cargo.toml?")?;
    fs::read(&wasm).with_context(|| format!("could not read `{}`", wasm.display()))
}

/// The one part of cargo's messages that is read here.
#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// The version that Cargo.lock holds for `wasm-bindgen` and its other half, which writes the JavaScript.
fn wasm_bindgen_shared_version() -> Result<String> {
    let lock =
        fs::read_to_string(project::path("Cargo.lock")).context("could not read Cargo.lock")?;
    let version = |name: &str| {
        let entry = lock
            .split("[[package]]")
            .find(|entry| entry.contains(&format!("name = \"{name}\"\n")))?;
        entry
            .lines()
            .find_map(|line| line.strip_prefix("version = "))
            .map(|version| version.trim_matches('"'))
    };
    match (version("wasm-bindgen"), version("wasm-bindgen-cli-support")) {
        (Some(library), Some(writer)) if library == writer => Ok(library.to_string()),
        (library, writer) => bail!(
            "`wasm-bindgen` and `wasm-bindgen-cli-support` must be of one version in Cargo.lock, got {} and {}: \
             run `cargo update -p wasm-bindgen -p wasm-bindgen-cli-support`",
            library.unwrap_or("none"),
            writer.unwrap_or("none"),
        ),
    }
}

fn is_current(package: &Path, stamp: &Stamp) -> bool {
    let built = fs::read(package.join(STAMP))
        .ok()
        .and_then(|text| serde_json::from_slice::<Stamp>(&text).ok());
    built.as_ref() == Some(stamp)
        && package.join("unmasked.d.ts").exists()
        && SERVED.iter().all(|name| package.join(name).exists())
}

fn bind(compiled: &[u8], package: &Path, profile: Profile) -> Result<()> {
    wasm_bindgen_cli_support::Bindgen::new()
        .input_bytes(NAME, compiled.to_vec())
        .web(true)?
        .typescript(true)
        // The names of functions are a tenth of the engine; a visitor has no use for them.
        .remove_name_section(profile == Profile::Shipped)
        .generate(package)
        .with_context(|| format!("wasm-bindgen could not write `{}`", package.display()))
}

fn optimise(optimiser: &Path, wasm: &Path) -> Result<()> {
    let start = Instant::now();
    let smaller = wasm.with_extension("optimised");
    // What rustc's target uses by default, and both kinds of SIMD.
    let features =
        ["simd", "relaxed-simd", "bulk-memory", "mutable-globals", "nontrapping-float-to-int"]
            .into_iter()
            .chain(["sign-ext", "reference-types", "multivalue"])
            .map(|feature| format!("--enable-{feature}"));
    project::run(
        project::command(optimiser).arg("-O3").args(features).arg(wasm).arg("-o").arg(&smaller),
    )?;
    fs::rename(&smaller, wasm).context("could not replace the wasm by its optimised form")?;
    println!("    wasm-opt -O3 took {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// Leaves each file beside itself as brotli, as small as it gets: a server that compressed it anew for every visit
/// would take longer and send more.
fn compress(package: &Path) -> Result<()> {
    let start = Instant::now();
    for name in SERVED {
        let bytes = read(package, name)?;
        fs::write(compressed(package, name), brotli(&bytes)?)
            .with_context(|| format!("could not write www/pkg/{name}.br"))?;
    }
    println!("    brotli took {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

fn read(package: &Path, name: &str) -> Result<Vec<u8>> {
    let path = package.join(name);
    fs::read(&path).with_context(|| format!("could not read `{}`", path.display()))
}

fn compressed(package: &Path, name: &str) -> PathBuf {
    package.join(format!("{name}.br"))
}

fn print_sizes(package: &Path, profile: Profile) -> Result<()> {
    if profile == Profile::Dev {
        return Ok(());
    }
    for name in SERVED {
        let bytes = read(package, name)?;
        let [raw, gzip, brotli] = sizes(&bytes)?.map(megabytes);
        println!("    {name}: {raw} MB, {gzip} MB gzipped, {brotli} MB as brotli");
    }
    Ok(())
}

/// Bytes as they are, gzipped and as brotli, each as small as it gets.
pub fn sizes(bytes: &[u8]) -> Result<[usize; 3]> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(bytes)?;
    Ok([bytes.len(), gzip.finish()?.len(), brotli(bytes)?.len()])
}

fn brotli(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut writer = brotli::CompressorWriter::new(Vec::new(), 1 << 16, 11, 24);
    writer.write_all(bytes)?;
    Ok(writer.into_inner())
}

fn megabytes(bytes: usize) -> String {
    format!("{:.2}", bytes as f64 / 1e6)
}
