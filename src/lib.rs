//! Unmasked runs small Transformers of four architectures and shows their attention masks.

pub mod device;
pub mod error;
pub mod graph;
pub mod mask;
