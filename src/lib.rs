//! Unmasked runs small Transformers of four architectures and shows their attention masks.

pub mod device;
pub mod engine;
pub mod error;
pub mod family;
pub mod graph;
pub mod mask;
pub mod model;
pub mod request;
pub mod sample;
pub mod session;
pub mod spec;
pub mod stream;
pub mod tokenizer;
pub mod trace;
pub mod weights;

#[cfg(target_arch = "wasm32")]
pub mod web;
