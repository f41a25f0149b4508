//! The wasm-bindgen surface: the only file that knows `JsValue`. The worker calls it; the page never
//! does. Every function rejects with an `Error` that carries `kind`, `what`, `expected` and `got`.

use std::alloc::System;
use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use cap::Cap;
use js_sys::{Array, Function, Number, Object, Promise, Reflect, Uint8Array};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use crate::device::{Cause, Choice, Device, Usage};
use crate::engine::Engine;
use crate::error::{Error, Kind, Result, one_line};
use crate::object::objects;
use crate::request::Request;
use crate::session::{Session, Taken, Variant, default_watch};
use crate::speed::Matmul;
use crate::weights::{ReadAt, Reading};

objects!(Options);

/// Counts what is allocated: the memory around it never shrinks, so its size alone cannot tell a leak from a reserve.
#[global_allocator]
static HEAP: Cap<System> = Cap::new(System, usize::MAX);

thread_local! {
    /// One device a choice for all models of the page.
    static DEVICES: RefCell<Vec<(Choice, Rc<Device>)>> = const { RefCell::new(Vec::new()) };
}

/// Shows a panic (a bug, never an input) on the console with its place.
#[wasm_bindgen(start)]
pub fn start() {
    console_error_panic_hook::set_once();
}

/// How a model is to be loaded.
#[derive(Default, Deserialize)]
#[serde(remote = "Self", rename_all = "camelCase", default, deny_unknown_fields)]
struct Options {
    device: Wish,
    /// Whether the page's window has WebGPU: then it is only this worker that has none.
    window_has_gpu: bool,
    /// The GPU was lost too often: the CPU, whatever the device says.
    gpu_given_up: bool,
}

/// [`Choice`], by its name in JavaScript.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Wish {
    #[default]
    Auto,
    Webgpu,
    Cpu,
}

/// What the engines of this worker hold.
#[wasm_bindgen]
pub fn usage() -> Result<JsValue, JsValue> {
    #[derive(Serialize)]
    struct Held {
        /// Bytes of this program's own memory, which grows and never shrinks.
        wasm_bytes: u64,
        /// Bytes of it that are in use.
        heap_bytes: usize,
        /// The most that were ever in use.
        heap_peak: usize,
        #[serde(flatten)]
        gpu: Usage,
    }
    let gpu = DEVICES.with_borrow(|devices| {
        devices.iter().map(|(_, device)| device.usage()).fold(Usage::default(), |all, one| Usage {
            buffers: all.buffers + one.buffers,
            bytes: all.bytes + one.bytes,
        })
    });
    to_js(&Held {
        wasm_bytes: memory(),
        heap_bytes: HEAP.allocated(),
        heap_peak: HEAP.max_allocated(),
        gpu,
    })
}

/// Bytes that a WebAssembly program can have.
const MEMORY: u64 = 1 << 32;

/// Bytes of this program's memory.
fn memory() -> u64 {
    const PAGE: u64 = 1 << 16;
    core::arch::wasm32::memory_size(0) as u64 * PAGE
}

/// Bytes that a model may still take. This program's memory never becomes less: what freed models leave in it is room
/// again, but for an eighth, since what is held lies between.
fn room() -> u64 {
    let free_within = memory().saturating_sub(HEAP.allocated() as u64);
    MEMORY.saturating_sub(memory()) + free_within / 8 * 7
}

/// A file of the page's: what it says of itself, and the function that reads it.
struct WebFile {
    name: String,
    bytes: u64,
    file: JsValue,
    read: Function,
}

impl WebFile {
    fn of(file: JsValue) -> Result<(String, WebFile)> {
        let field = |key: &str| Reflect::get(&file, &key.into()).unwrap_or_default();
        let name = field("name").as_string().unwrap_or_default();
        match (field("size").as_f64(), field("read").dyn_into::<Function>()) {
            (Some(size), Ok(read)) => {
                let bytes = size as u64;
                Ok((name.clone(), WebFile { name, bytes, file, read }))
            }
            _ => Err(Error::input(format!("file `{name}`"), "size and read", "something else")),
        }
    }

    async fn part(&self, at: Range<u64>) -> Result<Vec<u8>, JsValue> {
        let asked = self.read.call2(&self.file, &(at.start as f64).into(), &(at.end as f64).into());
        Ok(JsFuture::from(Promise::resolve(&asked?)).await?.dyn_into::<Uint8Array>()?.to_vec())
    }
}

impl ReadAt for WebFile {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn read(&self, at: Range<u64>) -> Reading<'_> {
        Box::pin(async move {
            let wanted = at.end - at.start;
            let expected = format!("{wanted} bytes from {} on", at.start);
            let got = match self.part(at).await {
                Ok(bytes) if bytes.len() as u64 == wanted => return Ok(bytes),
                Ok(bytes) => format!("{} bytes", bytes.len()),
                Err(error) => error.dyn_ref::<js_sys::Error>().map_or_else(
                    || "nothing".into(),
                    |error| one_line(&String::from(error.message())),
                ),
            };
            Err(Error::input(format!("`{}`", self.name), expected, got))
        })
    }
}

/// A model on a device, with one session.
#[wasm_bindgen]
pub struct WasmEngine {
    engine: Engine,
    /// Taken while a call runs.
    session: RefCell<Option<Session>>,
}

#[wasm_bindgen]
impl WasmEngine {
    /// Loads a model from the files of its folder, `[{ name, size, read }]`, where `read(start, end)` promises these
    /// bytes. Where there is no GPU it loads on the CPU, whatever was asked for, and its report says why.
    pub async fn load(files: Array, options: JsValue) -> Result<WasmEngine, JsValue> {
        let options: Options = from_js(options, "device")?;
        let files = files.iter().map(WebFile::of).collect::<Result<Vec<_>>>().map_err(js_error)?;
        let device = device(&options).await;
        let engine = Engine::load_within(files, device, room()).await.map_err(js_error)?;
        Ok(WasmEngine { engine, session: RefCell::new(Some(Session::new())) })
    }

    /// Readies the device that [`WasmEngine::load`] will use for a model whose `config.json` has come.
    pub async fn warm(config: Vec<u8>, options: JsValue) -> Result<(), JsValue> {
        let options: Options = from_js(options, "device")?;
        Engine::warm(&config, &*device(&options).await).map_err(js_error)
    }

    /// What runs, and why.
    pub fn device(&self) -> Result<JsValue, JsValue> {
        to_js(self.engine.device.report())
    }

    /// What the model is.
    pub fn describe(&self) -> Result<JsValue, JsValue> {
        to_js(&self.engine.describe())
    }

    /// A text in the model's template: `{ tokens, source_length, truncated }`.
    pub fn tokenize(&self, text: &str, pair: Option<String>) -> Result<JsValue, JsValue> {
        let input = self.engine.tokenize(text, pair.as_deref()).map_err(js_error)?;
        #[derive(Serialize)]
        struct Tokenized<'a> {
            tokens: &'a [crate::trace::Token],
            source_length: usize,
            truncated: usize,
        }
        to_js(&Tokenized {
            source_length: input.tokens.len(),
            truncated: input.truncated,
            tokens: &input.tokens,
        })
    }

    /// One forward pass: a trace with `forward`.
    pub async fn forward(&self, request: JsValue) -> Result<JsValue, JsValue> {
        let request = request_of(request)?;
        let mut session = self.take()?;
        let result = session.forward(&self.engine, &request).await;
        self.put(session);
        to_js(&result.map_err(js_error)?)
    }

    /// Begins a run: the head of a trace.
    pub async fn begin(&self, request: JsValue) -> Result<JsValue, JsValue> {
        let request = request_of(request)?;
        let mut session = self.take()?;
        let result = session.begin(&self.engine, &request).await;
        self.put(session);
        to_js(&result.map_err(js_error)?)
    }

    /// Begins a run where another engine lost it: `[{ row, chosen }]` are the steps taken.
    pub async fn resume(&self, request: JsValue, taken: JsValue) -> Result<JsValue, JsValue> {
        let request = request_of(request)?;
        let taken: Vec<Taken> = from_js(taken, "taken")?;
        let mut session = self.take()?;
        let result = session.resume(&self.engine, &request, &taken).await;
        self.put(session);
        to_js(&result.map_err(js_error)?)
    }

    /// Gives caches and prepared graphs back until the next call.
    pub fn rest(&self) -> Result<(), JsValue> {
        let mut session = self.take()?;
        session.rest();
        self.put(session);
        Ok(())
    }

    /// Whether its device is gone, and this with it.
    #[wasm_bindgen(js_name = isLost)]
    pub fn is_lost(&self) -> bool {
        self.engine.device.is_lost()
    }

    /// The next steps of the begun run, in a list: one, and more until so many milliseconds have passed; none at its end.
    pub async fn next(&self, milliseconds: f64) -> Result<JsValue, JsValue> {
        let mut session = self.take()?;
        let result = session.next_within(&self.engine, milliseconds).await;
        self.put(session);
        to_js(&result.map_err(js_error)?)
    }

    /// One forward pass a variant: a trace with `variants`.
    pub async fn sweep(&self, request: JsValue, variants: JsValue) -> Result<JsValue, JsValue> {
        let request = request_of(request)?;
        let variants: Vec<Variant> = from_js(variants, "variants")?;
        let mut session = self.take()?;
        let result = session.sweep(&self.engine, &request, &variants).await;
        self.put(session);
        to_js(&result.map_err(js_error)?)
    }

    /// The masks of a request, a site each.
    #[wasm_bindgen(js_name = maskPicture)]
    pub fn mask_picture(&self, request: JsValue) -> Result<JsValue, JsValue> {
        let request = request_of(request)?;
        let session = self.take()?;
        let result = session.mask_picture(&self.engine, &request);
        self.put(session);
        to_js(&result.map_err(js_error)?)
    }

    /// After how many layers each row can know of each token, a site each.
    pub fn reach(&self, request: JsValue) -> Result<JsValue, JsValue> {
        let request = request_of(request)?;
        let session = self.take()?;
        let result = session.reach(&self.engine, &request);
        self.put(session);
        to_js(&result.map_err(js_error)?)
    }
}

/// Products `[rows, inner] x [inner, out]` on a device, made ready to be timed: for the bench.
#[wasm_bindgen]
pub struct MatmulSpeed {
    device: Rc<Device>,
    matmul: RefCell<Option<Matmul>>,
}

#[wasm_bindgen]
impl MatmulSpeed {
    /// `[rows, inner, out]`, f32, f16 or int8 weights, `{ device }`.
    pub async fn ready(
        shape: Vec<u32>,
        format: String,
        options: JsValue,
    ) -> Result<MatmulSpeed, JsValue> {
        let shape: Vec<usize> = shape.into_iter().map(|size| size as usize).collect();
        let wrong = |shape: Vec<usize>| {
            js_error(Error::input("shape", "[rows, inner, out]", format!("{shape:?}")))
        };
        let shape = shape.try_into().map_err(wrong)?;
        let options: Options = from_js(options, "device")?;
        let device = device(&options).await;
        let report = device.report();
        if matches!(options.device, Wish::Webgpu) && report.backend != "gpu" {
            return Err(js_error(Error::device("WebGPU", "an adapter", &report.reason)));
        }
        let matmul = Matmul::new(&device, shape, &format).await.map_err(js_error)?;
        Ok(MatmulSpeed { device, matmul: RefCell::new(Some(matmul)) })
    }

    /// GFLOP/s of a play or several.
    pub async fn measure(&self) -> Result<f64, JsValue> {
        let mut matmul = self.matmul.borrow_mut().take().ok_or_else(|| js_error(busy()))?;
        let result = matmul.measure(&self.device).await;
        *self.matmul.borrow_mut() = Some(matmul);
        result.map_err(js_error)
    }
}

impl WasmEngine {
    fn take(&self) -> Result<Session, JsValue> {
        self.session.borrow_mut().take().ok_or_else(|| js_error(busy()))
    }

    fn put(&self, session: Session) {
        *self.session.borrow_mut() = Some(session);
    }
}

async fn device(options: &Options) -> Rc<Device> {
    if options.gpu_given_up {
        let reason = "the GPU was lost three times within a minute";
        return Rc::new(Device::cpu(Cause::Lost, reason));
    }
    let choice = match options.device {
        Wish::Auto => Choice::Auto,
        Wish::Webgpu => Choice::Gpu,
        Wish::Cpu => Choice::Cpu,
    };
    let known = DEVICES.with_borrow_mut(|devices| {
        devices.retain(|(_, device)| !device.is_lost());
        devices.iter().find(|(known, _)| *known == choice).map(|(_, device)| device.clone())
    });
    if let Some(device) = known {
        return device;
    }
    let mut device = Device::open_any(choice).await;
    if options.window_has_gpu && device.report().cause == Cause::NoWebgpu {
        let reason = "this browser has WebGPU in windows, but not in workers, where models run";
        device = Device::cpu(Cause::WindowOnly, reason);
    }
    let device = Rc::new(device);
    DEVICES.with_borrow_mut(|devices| devices.push((choice, device.clone())));
    device
}

/// A request without a watch set watches attention; one whose set names nothing watches nothing, which
/// lets a GPU run several steps ahead.
fn request_of(value: JsValue) -> Result<Request, JsValue> {
    let value = plain(&value, "request", DEEPEST).map_err(js_error)?;
    let watches = value.get("watch").is_some();
    let mut request: Request = read(value, "request")?;
    if !watches {
        request.watch = default_watch();
    }
    Ok(request)
}

fn from_js<T: DeserializeOwned>(value: JsValue, what: &str) -> Result<T, JsValue> {
    read(plain(&value, what, DEEPEST).map_err(js_error)?, what)
}

fn read<T: DeserializeOwned>(value: Json, what: &str) -> Result<T, JsValue> {
    serde_json::from_value(value).map_err(|error| {
        let got = one_line(&error.to_string());
        js_error(Error::input(what, "the fields of the documented API", got))
    })
}

/// How deep requests may nest: what comes from elsewhere may contain itself.
const DEEPEST: usize = 16;

/// A request, or a part of one, as plain data. Read straight from JavaScript an object would only be asked for the
/// fields that are known, and a misspelt one would be as good as absent. Whatever can be iterated over is a list,
/// typed arrays too; what is undefined is absent.
fn plain(value: &JsValue, what: &str, depth: usize) -> Result<Json> {
    let wrong = |got: &str| Error::input(what, "plain data", got);
    let Some(depth) = depth.checked_sub(1) else {
        return Err(wrong("something nested deeper than requests are"));
    };
    if value.is_null() || value.is_undefined() {
        return Ok(Json::Null);
    }
    if let Some(is) = value.as_bool() {
        return Ok(is.into());
    }
    if let Some(number) = value.as_f64() {
        // Every number of JavaScript is a float; a whole one may be a count.
        return match number {
            _ if Number::is_safe_integer(value) => Ok((number as i64).into()),
            _ if number.is_finite() => Ok(number.into()),
            _ => Err(Error::input(what, "finite numbers", number.to_string())),
        };
    }
    if let Some(text) = value.as_string() {
        return Ok(text.into());
    }
    if value.is_bigint() {
        return u64::try_from(value.clone()).map(Json::from).map_err(|_| wrong("a larger number"));
    }
    if !value.is_object() {
        return Err(wrong("a function or a symbol"));
    }
    let thrown = |_| wrong("something that cannot be read");
    if let Some(values) = js_sys::try_iter(value).map_err(thrown)? {
        return values.map(|value| plain(&value.map_err(thrown)?, what, depth)).collect();
    }
    let mut fields = serde_json::Map::new();
    for entry in Object::entries(value.unchecked_ref()).iter() {
        let entry: Array = entry.unchecked_into();
        let (name, value) = (entry.get(0).as_string().unwrap_or_default(), entry.get(1));
        if !value.is_undefined() {
            fields.insert(name, plain(&value, what, depth)?);
        }
    }
    Ok(Json::Object(fields))
}

fn to_js<T: Serialize + ?Sized>(value: &T) -> Result<JsValue, JsValue> {
    value
        .serialize(&serde_wasm_bindgen::Serializer::json_compatible())
        .map_err(|error| js_error(Error::input("result", "plain data", error.to_string())))
}

fn busy() -> Error {
    Error::new(Kind::Input, "engine", "one call at a time", "a call while another runs")
}

fn js_error(error: Error) -> JsValue {
    let object = js_sys::Error::new(&error.to_string());
    let fields = [
        ("kind", error.kind.name()),
        ("what", &error.what),
        ("expected", &error.expected),
        ("got", &error.got),
    ];
    for (name, value) in fields {
        // Setting a property of a fresh object cannot fail.
        let _ = Reflect::set(&object, &name.into(), &value.into());
    }
    object.into()
}
