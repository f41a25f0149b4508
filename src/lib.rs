//! **Unmasked** runs small Transformers of four architectures (encoder-only, causal decoder, prefix
//! decoder, encoder-decoder) and shows what each row of each head of each layer may see, and sees.
//!
//! One Transformer, four machines: what differs is the mask, the objective and the wiring. A
//! [`Spec`](spec::Spec) says what to build, [`Transformer`](model::Transformer) records it as
//! [`Graph`](graph::Graph)s, a [`Device`](device::Device) (CPU, or WGSL on a GPU) plays them, and a
//! [`Session`](session::Session) keeps what it can from one request to the next.
//!
//! ```no_run
//! use std::rc::Rc;
//! use unmasked::device::{Choice, Device};
//! use unmasked::{engine::Engine, request::Request, session::Session};
//!
//! # fn files() -> Vec<(String, Vec<u8>)> { Vec::new() }
//! # pollster::block_on(async {
//! let device = Rc::new(Device::open(Choice::Auto).await?);
//! // The files of a model folder: config.json, tokenizer.json, model.safetensors.
//! let engine = Engine::load(files(), device).await?;
//! let request = Request { text: Some("I am tired.".into()), ..Request::default() };
//! let mut session = Session::new();
//! session.begin(&engine, &request).await?;
//! while let Some(step) = session.next(&engine).await? {
//!     println!("{} ({:.0} %)", step.piece, 100.0 * step.probability);
//! }
//! # Ok::<(), unmasked::error::Error>(())
//! # });
//! ```
//!
//! Layers, each using only those below it (`tests/layering.rs` holds it):
//!
//! | layer | modules |
//! |---|---|
//! | surfaces | `web` (JavaScript), the `unmasked` command |
//! | loops | [`session`], [`stream`] (what is cached), [`engine`] (a loaded model) |
//! | requests and records | [`request`], [`trace`], [`tokenizer`], [`sample`], [`task`] (what a model can do) |
//! | the model | [`model`], [`family`], [`weights`], [`spec`] |
//! | devices | [`device`]: CPU and GPU play the same graph |
//! | ground | [`graph`], [`mask`], [`error`], `object` (what is read from objects alone) |

pub mod device;
pub mod engine;
pub mod error;
pub mod family;
pub mod graph;
pub mod mask;
pub mod model;
mod object;
pub mod request;
pub mod sample;
pub mod session;
pub mod spec;
pub mod speed;
pub mod stream;
pub mod task;
pub mod tokenizer;
pub mod trace;
pub mod weights;

#[cfg(target_arch = "wasm32")]
pub mod web;
