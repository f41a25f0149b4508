//! The wasm-bindgen surface: the only file that knows `JsValue`. The worker calls it; the page never
//! does. Every function rejects with an `Error` that carries `kind`, `what`, `expected` and `got`.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::{Array, Reflect, Uint8Array};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::prelude::*;

use crate::device::{Choice, Device};
use crate::engine::Engine;
use crate::error::{Error, Kind, Result};
use crate::request::Request;
use crate::session::{Session, Variant, default_watch};
use crate::speed::Matmul;

thread_local! {
    /// One device a choice for all models of the page.
    static DEVICES: RefCell<Vec<(Choice, Rc<Device>)>> = const { RefCell::new(Vec::new()) };
}

/// Shows a panic (a bug, never an input) on the console with its place.
#[wasm_bindgen(start)]
pub fn start() {
    console_error_panic_hook::set_once();
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
    /// Loads a model from the files of its folder: `[{ name, bytes }]`, `{ device }`.
    pub async fn load(files: Array, options: JsValue) -> Result<WasmEngine, JsValue> {
        let choice = choice_of(&options).map_err(js_error)?;
        let mut owned = Vec::with_capacity(files.length() as usize);
        for file in files.iter() {
            let name = Reflect::get(&file, &"name".into())?.as_string().unwrap_or_default();
            let bytes = Reflect::get(&file, &"bytes".into())?;
            let bytes = bytes.dyn_into::<Uint8Array>().map_err(|_| {
                js_error(Error::input(format!("file `{name}`"), "a Uint8Array", "something else"))
            })?;
            owned.push((name, bytes.to_vec()));
        }
        let device = device(choice).await.map_err(js_error)?;
        let engine = Engine::load(owned, device).map_err(js_error)?;
        Ok(WasmEngine { engine, session: RefCell::new(Some(Session::new())) })
    }

    /// Readies the device that [`WasmEngine::load`] will use for a model whose `config.json` has come.
    pub async fn warm(config: Vec<u8>, options: JsValue) -> Result<(), JsValue> {
        let device = device(choice_of(&options).map_err(js_error)?).await.map_err(js_error)?;
        Engine::warm(&config, &device).map_err(js_error)
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

    /// The next step of the begun run, `undefined` at its end.
    pub async fn next(&self) -> Result<JsValue, JsValue> {
        let mut session = self.take()?;
        let result = session.next(&self.engine).await;
        self.put(session);
        match result.map_err(js_error)? {
            Some(step) => to_js(&step),
            None => Ok(JsValue::UNDEFINED),
        }
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
        let device = device(choice_of(&options).map_err(js_error)?).await.map_err(js_error)?;
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

async fn device(choice: Choice) -> Result<Rc<Device>> {
    let known = DEVICES.with_borrow(|devices| {
        devices.iter().find(|(known, _)| *known == choice).map(|(_, device)| device.clone())
    });
    if let Some(device) = known {
        return Ok(device);
    }
    let device = Rc::new(Device::open(choice).await?);
    DEVICES.with_borrow_mut(|devices| devices.push((choice, device.clone())));
    Ok(device)
}

fn choice_of(options: &JsValue) -> Result<Choice> {
    let device = match options.is_object() {
        true => Reflect::get(options, &"device".into()).unwrap_or(JsValue::UNDEFINED),
        false => JsValue::UNDEFINED,
    };
    if device.is_undefined() || device.is_null() {
        return Ok(Choice::Auto);
    }
    match device.as_string().as_deref() {
        Some("auto") => Ok(Choice::Auto),
        Some("webgpu") => Ok(Choice::Gpu),
        Some("cpu") => Ok(Choice::Cpu),
        _ => Err(Error::input("device", "auto, webgpu or cpu", format!("{device:?}"))),
    }
}

/// A request without a watch set watches attention; one whose set names nothing watches nothing, which
/// lets a GPU run several steps ahead.
fn request_of(value: JsValue) -> Result<Request, JsValue> {
    let names = |key: &str| Reflect::has(&value, &key.into()).unwrap_or(false);
    let watches = value.is_object() && names("watch");
    let mut request: Request = from_js(value, "request")?;
    if !watches {
        request.watch = default_watch();
    }
    Ok(request)
}

fn from_js<T: DeserializeOwned>(value: JsValue, what: &str) -> Result<T, JsValue> {
    serde_wasm_bindgen::from_value(value).map_err(|error| {
        js_error(Error::input(what, "the fields of the documented API", error.to_string()))
    })
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
