//! Sources -> `www/pkg/`: cargo, then wasm-bindgen, then wasm-opt where there is one; twice, for two kinds of browsers.
//! The same for a peer that is written in Rust.

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
use std::process::{Command, Stdio};
use std::time::Instant;

const STAMP: &str = "build.json";
/// What a browser may have to load of the engine, each file, as brotli.
const MOST_COMPRESSED: usize = 1_000_000;
/// The engine.
pub const ENGINE: Package = Package { name: "unmasked", folder: "www/pkg" };
/// The same for browsers with WebAssembly's relaxed SIMD, which multiplies and adds in one instruction. A browser
/// without it refuses the whole module, so there are two; www/place.js chooses, and ENGINE's JavaScript calls either.
pub const RELAXED: Package = Package { name: "unmasked", folder: "www/pkg/relaxed" };
/// Joined by cargo to those of .cargo/config.toml.
pub const RELAXED_FLAGS: &str =
    r#"target.wasm32-unknown-unknown.rustflags = ["-C", "target-feature=+relaxed-simd"]"#;
/// Where cargo builds with them: with other flags it begins anew where it built before.
pub const RELAXED_TARGET: &str = "target/relaxed";

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

/// A library in Rust as a browser has it: wasm, and the JavaScript around it.
pub struct Package {
    /// the library's, as cargo writes it
    pub name: &'static str,
    /// inside the project
    pub folder: &'static str,
}

/// What a package was made from; while it is the same there is nothing to do.
#[derive(PartialEq, Serialize, Deserialize)]
struct Stamp {
    /// SHA-256 of the wasm as cargo left it
    compiled: String,
    bindgen: String,
    /// whether wasm-opt had its turn
    optimised: bool,
}

/// Brings `www/pkg/` up to date with the sources.
pub fn build(profile: Profile) -> Result<()> {
    let cargo = || {
        let mut cargo = project::cargo();
        // One crate type only: with `rlib` beside `cdylib` cargo leaves link-time optimisation out.
        cargo.args(["rustc", "--package", ENGINE.name, "--lib", "--crate-type", "cdylib"]);
        cargo.args(["--profile", profile.cargo_name()]);
        cargo
    };
    if profile == Profile::Dev {
        // Work on the engine compiles one, which runs everywhere.
        ENGINE.make(&mut cargo(), profile)?;
        return RELAXED.make(&mut cargo(), profile);
    }
    // Both builds need it, and only one may install it.
    tools::wasm_target()?;
    // At once: optimising one as a whole keeps one core busy.
    std::thread::scope(|scope| {
        let relaxed = scope.spawn(|| {
            let mut cargo = cargo();
            // Quiet: the other tells enough.
            cargo.args(["--quiet", "--config", RELAXED_FLAGS, "--target-dir"]);
            RELAXED.make(cargo.arg(project::path(RELAXED_TARGET)), profile)
        });
        let engine = ENGINE.make(&mut cargo(), profile);
        let relaxed = relaxed.join().unwrap_or_else(|_| bail!("a build was lost"));
        engine.and(relaxed)
    })?;
    let [_, glue] = ENGINE.served();
    if ENGINE.read(&glue)? != RELAXED.read(&glue)? {
        bail!(
            "the two engines need different {glue}: were they built by one compiler, from one Cargo.lock?"
        );
    }
    Ok(())
}

impl Package {
    /// Brings the package up to date with what this call of cargo compiles.
    pub fn make(&self, cargo: &mut Command, profile: Profile) -> Result<()> {
        tools::wasm_target()?;
        let compiled = self.compile(cargo)?;
        let bytes = fs::read(&compiled)
            .with_context(|| format!("could not read `{}`", compiled.display()))?;
        let optimiser = match profile {
            Profile::Shipped => tools::wasm_opt(),
            Profile::Dev => None,
        };
        let stamp = Stamp {
            compiled: Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect(),
            bindgen: wasm_bindgen_shared_version()?,
            optimised: optimiser.is_some(),
        };
        if self.is_current(&stamp) {
            return Ok(());
        }
        // Without its stamp a package that is only half written is never taken for a good one.
        fs::remove_file(self.path(STAMP)).ok();
        for file in self.served() {
            // A server prefers a compressed file, so an old one would hide the new engine.
            fs::remove_file(self.compressed(&file)).ok();
        }
        self.bind(&compiled, profile)?;
        if let Some(optimiser) = optimiser {
            self.optimise(&optimiser)?;
        }
        if profile == Profile::Shipped {
            self.compress()?;
        }
        self.weigh(profile)?;
        fs::write(self.path(STAMP), serde_json::to_vec(&stamp)?)
            .with_context(|| format!("could not write {}", self.folder))
    }

    /// What a browser downloads.
    pub fn served(&self) -> [String; 2] {
        [self.wasm(), format!("{}.js", self.name)]
    }

    fn wasm(&self) -> String {
        format!("{}_bg.wasm", self.name)
    }

    fn path(&self, file: &str) -> PathBuf {
        project::path(self.folder).join(file)
    }

    /// A file of the package.
    pub fn read(&self, file: &str) -> Result<Vec<u8>> {
        fs::read(self.path(file)).with_context(|| format!("could not read {}/{file}", self.folder))
    }

    /// Compiles the library and returns its wasm.
    fn compile(&self, cargo: &mut Command) -> Result<PathBuf> {
        cargo.args(["--target", TARGET, "--message-format", "json-render-diagnostics"]);
        let output = cargo.stderr(Stdio::inherit()).output().context("could not start cargo")?;
        project::finished(cargo, output.status)?;
        let wasm = format!("{}.wasm", self.name);
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .filter_map(|line| serde_json::from_str::<Message>(line).ok())
            .flat_map(|message| message.filenames)
            .rfind(|file| file.file_name().is_some_and(|name| name == wasm.as_str()))
            .with_context(|| {
                format!("cargo built no `{wasm}`: is `cdylib` still among the crate types in Cargo.toml?")
            })
    }

    fn is_current(&self, stamp: &Stamp) -> bool {
        let built =
            fs::read(self.path(STAMP)).ok().and_then(|text| serde_json::from_slice(&text).ok());
        built.as_ref() == Some(stamp)
            && self.served().iter().all(|file| self.path(file).exists())
            && self.path(&format!("{}.d.ts", self.name)).exists()
    }

    fn bind(&self, compiled: &Path, profile: Profile) -> Result<()> {
        let start = Instant::now();
        wasm_bindgen_cli_support::Bindgen::new()
            .input_path(compiled)
            .out_name(self.name)
            .web(true)?
            .typescript(true)
            // The names of functions are a tenth of the engine; a visitor has no use for them.
            .remove_name_section(profile == Profile::Shipped)
            .generate(project::path(self.folder))
            .with_context(|| format!("wasm-bindgen could not write {}", self.folder))?;
        println!("    wasm-bindgen took {:.1} s", start.elapsed().as_secs_f64());
        Ok(())
    }

    fn optimise(&self, optimiser: &Path) -> Result<()> {
        let start = Instant::now();
        let wasm = self.path(&self.wasm());
        let smaller = self.path("optimised.wasm");
        // What rustc's target uses by default, and both kinds of SIMD.
        let features =
            ["simd", "relaxed-simd", "bulk-memory", "mutable-globals", "nontrapping-float-to-int"]
                .into_iter()
                .chain(["sign-ext", "reference-types", "multivalue"])
                .map(|feature| format!("--enable-{feature}"));
        project::run(
            project::command(optimiser)
                .arg("-O3")
                .args(features)
                .arg(&wasm)
                .arg("-o")
                .arg(&smaller),
        )?;
        fs::rename(&smaller, &wasm).context("could not replace the wasm by its optimised form")?;
        println!("    wasm-opt -O3 took {:.1} s", start.elapsed().as_secs_f64());
        Ok(())
    }

    /// Leaves each file beside itself as brotli, as small as it gets: a server that compressed it anew for every visit
    /// would take longer and send more.
    fn compress(&self) -> Result<()> {
        let start = Instant::now();
        for file in self.served() {
            fs::write(self.compressed(&file), brotli(&self.read(&file)?)?)
                .with_context(|| format!("could not write {}/{file}.br", self.folder))?;
        }
        println!("    brotli took {:.1} s", start.elapsed().as_secs_f64());
        Ok(())
    }

    fn compressed(&self, file: &str) -> PathBuf {
        self.path(&format!("{file}.br"))
    }

    /// Says what a browser loads, and refuses an engine that is too large.
    fn weigh(&self, profile: Profile) -> Result<()> {
        if profile == Profile::Dev {
            return Ok(());
        }
        for file in self.served() {
            let bytes = sizes(&self.read(&file)?)?;
            let [raw, gzip, brotli] = bytes.map(megabytes);
            println!(
                "    {}/{file}: {raw} MB, {gzip} MB gzipped, {brotli} MB as brotli",
                self.folder
            );
            if self.name == ENGINE.name && bytes[2] > MOST_COMPRESSED {
                bail!(
                    "{}/{file}: at most {MOST_COMPRESSED} bytes as brotli, got {}: see what was added with `cargo bloat`, or trim features",
                    self.folder,
                    bytes[2]
                );
            }
        }
        Ok(())
    }
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
