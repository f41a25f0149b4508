//! A model's own numbers of a tokenizer's pieces.

use std::collections::HashMap;

/// A model's own numbers of a tokenizer's pieces.
#[derive(Debug)]
pub struct Numbers {
    /// Of each piece, by its number in the `tokenizer.json`.
    pub ids: Vec<u32>,
    /// The name of each number.
    pub names: Vec<String>,
    /// The piece of the `tokenizer.json` that stands for what it cannot spell, where the model may have
    /// a number for that spelling (Marian: as a piece of its answers).
    pub unknown: Option<u32>,
    /// The numbers of spellings.
    pub spelled: HashMap<String, u32>,
}
