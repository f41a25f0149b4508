//! The files of a tokenizer: each read as what it should be, or an error that names it.

use serde_json::Value as Json;

use crate::error::{Error, Kind, Result};

/// The files of a model folder, by name.
pub type Files<'a> = &'a dyn Fn(&str) -> Option<&'a [u8]>;

/// The file as JSON.
pub fn parse(name: &str, bytes: &[u8]) -> Result<Json> {
    serde_json::from_slice(bytes).map_err(|error| broken(name, "JSON", &error.to_string()))
}

/// The file as text.
pub fn text<'a>(name: &str, bytes: &'a [u8]) -> Result<&'a str> {
    std::str::from_utf8(bytes).map_err(|error| broken(name, "text in UTF-8", &error.to_string()))
}

/// What a file of a tokenizer should hold, and holds.
pub fn broken(name: &str, expected: &str, got: &str) -> Error {
    Error::new(Kind::Tokenizer, format!("`{name}`"), expected, got)
}

/// The beginning of what a file says, on one line.
pub fn clip(text: &str) -> String {
    text.escape_debug().take(40).collect()
}

/// A name that a file says.
pub fn quote(name: impl AsRef<str>) -> String {
    format!("`{}`", clip(name.as_ref()))
}
