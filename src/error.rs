//! The one error type: what went wrong, what was expected, what came instead.

/// Which border the error was found at. The page chooses its words and its remedy by this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A request: text, ids, mask, gates, sampling, watch set.
    Input,
    /// `config.json`, or a setting in it that this engine does not know.
    Config,
    /// A file of weights or its index.
    Weights,
    /// `tokenizer.json`.
    Tokenizer,
    /// An adapter or a device that cannot be had, or that refuses something.
    Device,
    /// The device was there and is gone: all that lay on it must be made again.
    Lost,
    /// No memory left on the device.
    Memory,
    /// More than this device or this engine can hold.
    Limit,
}

impl Kind {
    /// The name that traces and JavaScript use.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Input => "input",
            Kind::Config => "config",
            Kind::Weights => "weights",
            Kind::Tokenizer => "tokenizer",
            Kind::Device => "device",
            Kind::Lost => "lost",
            Kind::Memory => "memory",
            Kind::Limit => "limit",
        }
    }
}

/// One failure in one line: `what: expected …, got …`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: expected {expected}, got {got}")]
pub struct Error {
    /// The border it was found at.
    pub kind: Kind,
    /// The thing that is wrong, by name: a file, a setting, a tensor, a flag.
    pub what: String,
    /// What would have been right.
    pub expected: String,
    /// What was there.
    pub got: String,
}

/// What every fallible function of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Another library's words as a part of one line: short, and nothing in them that moves or hides text.
pub fn one_line(text: &str) -> String {
    let mut line = String::new();
    for character in text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200) {
        match character {
            '"' | '\'' | '\\' => line.push(character),
            other => line.extend(other.escape_debug()),
        }
    }
    line
}

impl Error {
    /// An error of any kind.
    pub fn new(
        kind: Kind,
        what: impl Into<String>,
        expected: impl Into<String>,
        got: impl Into<String>,
    ) -> Self {
        Error { kind, what: what.into(), expected: expected.into(), got: got.into() }
    }

    /// A request that cannot be run as it stands.
    pub fn input(
        what: impl Into<String>,
        expected: impl Into<String>,
        got: impl Into<String>,
    ) -> Self {
        Error::new(Kind::Input, what, expected, got)
    }

    /// A setting of `config.json`.
    pub fn config(
        what: impl Into<String>,
        expected: impl Into<String>,
        got: impl Into<String>,
    ) -> Self {
        Error::new(Kind::Config, what, expected, got)
    }

    /// A weights file.
    pub fn weights(
        what: impl Into<String>,
        expected: impl Into<String>,
        got: impl Into<String>,
    ) -> Self {
        Error::new(Kind::Weights, what, expected, got)
    }

    /// A device that cannot do what it was asked.
    pub fn device(
        what: impl Into<String>,
        expected: impl Into<String>,
        got: impl Into<String>,
    ) -> Self {
        Error::new(Kind::Device, what, expected, got)
    }

    /// Something larger than can be held.
    pub fn limit(
        what: impl Into<String>,
        expected: impl Into<String>,
        got: impl Into<String>,
    ) -> Self {
        Error::new(Kind::Limit, what, expected, got)
    }
}
