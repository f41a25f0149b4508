//! Programs that are not ours: where they are, and how they get here.

use crate::project;
use anyhow::{Context, Result, bail};
use std::env;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// What the browser's engine is compiled for.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// Adds rustc's wasm target where it is missing.
pub fn wasm_target() -> Result<()> {
    // rustc knows where the target's library would lie whether or not it is installed.
    let mut rustc = project::command("rustc");
    rustc.args(["--print", "target-libdir", "--target", TARGET]);
    let output = rustc.stderr(Stdio::inherit()).output().context("could not start rustc")?;
    project::finished(&rustc, output.status)?;
    if Path::new(String::from_utf8_lossy(&output.stdout).trim()).exists() {
        return Ok(());
    }
    if which::which("rustup").is_err() {
        bail!(
            "the Rust here cannot compile for `{TARGET}` and was not installed by rustup: \
             install that target the way this Rust was installed, or use rustup's Rust"
        );
    }
    println!("Adding Rust's target {TARGET}");
    project::run(project::command("rustup").args(["target", "add", TARGET]))
}

/// wasm-opt, on the path or from npm; the build does without it.
pub fn wasm_opt() -> Option<PathBuf> {
    which::which("wasm-opt").ok().or_else(|| {
        let script = if cfg!(windows) { "wasm-opt.cmd" } else { "wasm-opt" };
        Some(project::path("node_modules/.bin").join(script)).filter(|path| path.exists())
    })
}

/// A Chromium, or a Chrome.
pub fn chromium() -> Option<PathBuf> {
    let named = env::var_os("UNMASKED_CHROMIUM").map(PathBuf::from);
    let on_path =
        ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"]
            .into_iter()
            .filter_map(|name| which::which(name).ok());
    let elsewhere = [
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
        "/Applications/Chromium.app/Contents/MacOS/Chromium",
        r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    ];
    named.into_iter().chain(on_path).chain(elsewhere.map(PathBuf::from)).find(|path| path.exists())
}

/// A Firefox.
pub fn firefox() -> Option<PathBuf> {
    let named = env::var_os("UNMASKED_FIREFOX").map(PathBuf::from);
    let on_path = ["firefox-esr", "firefox"].into_iter().filter_map(|name| which::which(name).ok());
    let elsewhere = [
        "/Applications/Firefox.app/Contents/MacOS/firefox",
        r"C:\Program Files\Mozilla Firefox\firefox.exe",
    ];
    named.into_iter().chain(on_path).chain(elsewhere.map(PathBuf::from)).find(|path| path.exists())
}

/// Whether there is a WebKit that can be driven, and a screen for it.
pub fn has_webkit() -> bool {
    ["WebKitWebDriver", "xvfb-run"].iter().all(|name| which::which(name).is_ok())
}

/// Whether a Vulkan driver is installed. Elsewhere than on Linux the system brings Metal or Direct3D.
fn has_gpu_driver() -> bool {
    let named =
        ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"].iter().any(|name| env::var_os(name).is_some());
    let installed = || {
        ["/usr/share/vulkan/icd.d", "/usr/local/share/vulkan/icd.d", "/etc/vulkan/icd.d"]
            .iter()
            .any(|folder| std::fs::read_dir(folder).is_ok_and(|mut files| files.next().is_some()))
    };
    !cfg!(target_os = "linux") || named || installed()
}

/// Debian's packages behind what is missing of a browser.
pub fn missing_for_browser() -> Vec<&'static str> {
    let mut packages = Vec::new();
    if chromium().is_none() {
        packages.push("chromium");
    }
    if which::which("node").is_err() {
        packages.push("nodejs");
    }
    if which::which("npm").is_err() {
        packages.push("npm");
    }
    // Certificates for the tests' own server of models.
    if which::which("openssl").is_err() {
        packages.push("openssl");
    }
    packages
}

/// Debian's packages behind what is missing of Firefox.
pub fn missing_for_firefox() -> Vec<&'static str> {
    if firefox().is_some() { Vec::new() } else { vec!["firefox-esr"] }
}

/// Debian's packages behind what is missing of WebKit. Elsewhere than on Linux there is no WebKitGTK.
pub fn missing_for_webkit() -> Vec<&'static str> {
    let needed =
        [("WebKitWebDriver", "webkit2gtk-driver"), ("xvfb-run", "xvfb"), ("xauth", "xauth")];
    let missing =
        |(name, _): &(&str, &str)| cfg!(target_os = "linux") && which::which(name).is_err();
    needed.into_iter().filter(missing).map(|(_, package)| package).collect()
}

/// Debian's packages behind what is missing of a graphics adapter.
pub fn missing_for_gpu() -> Vec<&'static str> {
    if has_gpu_driver() { Vec::new() } else { vec!["mesa-vulkan-drivers"] }
}

/// Installs Debian packages, or says what to do instead.
pub fn install(packages: &[&str]) -> Result<()> {
    let list = packages.join(" ");
    if which::which("apt-get").is_err() {
        bail!(
            "missing here, by the names of Debian's packages: {list}; install them your system's way \
             (Node.js 20 or later, Chromium or Chrome, Firefox, a Vulkan driver)"
        );
    }
    if !is_root() {
        bail!(
            "missing here: {list}; run `sudo apt-get update && sudo apt-get install --yes {list}`"
        );
    }
    println!("Installing {list}");
    let apt = || {
        let mut apt = project::command("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive").arg("--quiet=2");
        apt
    };
    project::run(apt().arg("update"))?;
    project::run(apt().args(["install", "--yes", "--no-install-recommends"]).args(packages))
}

fn is_root() -> bool {
    let output = project::command("id").arg("--user").output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim() == "0")
}

/// Brings node_modules/ up to date with package-lock.json.
pub fn node_modules() -> Result<()> {
    let lock = std::fs::read(project::path("package-lock.json"))
        .context("could not read package-lock.json")?;
    let installed = project::path("node_modules/installed-lock.json");
    if std::fs::read(&installed).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    let npm = which::which("npm").context("npm is missing")?;
    // The browser comes from the system: none is downloaded.
    let mut command = project::command(npm);
    command.env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1").args(["ci", "--no-audit", "--no-fund"]);
    project::run(&mut command)?;
    std::fs::write(installed, lock).context("could not write into node_modules")
}
