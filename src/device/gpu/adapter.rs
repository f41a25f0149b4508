//! What an adapter says of itself, and why there may be none.

#[cfg(target_arch = "wasm32")]
use crate::device::Cause;
use crate::device::Refusal;
#[cfg(target_arch = "wasm32")]
use crate::error::Error;

/// What it is called. A browser says nothing but a description, and sometimes not even that.
pub(super) fn name(info: &wgpu::AdapterInfo) -> String {
    let parts = [info.name.as_str(), info.driver.as_str()];
    let name = parts.into_iter().map(str::trim).find(|part| !part.is_empty());
    name.unwrap_or("unnamed adapter").to_owned()
}

/// By what it says of itself: no other sign is to be had.
pub(super) fn is_software(info: &wgpu::AdapterInfo, name: &str) -> bool {
    const NAMES: [&str; 5] = ["llvmpipe", "swiftshader", "lavapipe", "basic render", "software"];
    let text = format!("{name} {} {}", info.driver, info.driver_info).to_lowercase();
    info.device_type == wgpu::DeviceType::Cpu || NAMES.iter().any(|name| text.contains(name))
}

/// Why the browser has no WebGPU here at all, if so.
#[cfg(target_arch = "wasm32")]
pub(super) fn supported() -> Result<(), Refusal> {
    let global = js_sys::global();
    let has = |object: &js_sys::Object, key: &str| {
        js_sys::Reflect::get(object, &key.into()).ok().filter(|found| found.is_object())
    };
    let navigator = has(&global, "navigator");
    if navigator.is_some_and(|navigator| has(&navigator.into(), "gpu").is_some()) {
        return Ok(());
    }
    let secure = js_sys::Reflect::get(&global, &"isSecureContext".into());
    let (cause, expected, got) = if secure.is_ok_and(|secure| secure == false) {
        let got = "an insecure one (plain http from another machine)";
        (Cause::Insecure, "a secure page (https or 127.0.0.1)", got)
    } else {
        (Cause::NoWebgpu, "`navigator.gpu` in this worker", "none: this browser lacks it")
    };
    Err(Refusal { cause, error: Error::device("WebGPU", expected, got) })
}

#[cfg(not(target_arch = "wasm32"))]
pub(super) fn supported() -> Result<(), Refusal> {
    Ok(())
}
