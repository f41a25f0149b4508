//! `generation_config.json`: how the reference's own generation begins and ends, where a folder says it
//! apart from `config.json`, over which it goes.
//!
//! Nothing else of it is read: how to draw (`temperature`, `top_p` ..) is the person's to say here.

use serde_json::Value as Json;

use super::settings::Settings;
use crate::error::{Error, Result};
use crate::spec::{Architecture, Spec};

/// The file's name in a model folder.
pub const FILE: &str = "generation_config.json";

/// It is a few lines; what is longer is something else.
const MOST_BYTES: usize = 1 << 20;

/// Tokens that may end an answer, at most.
const MOST_ENDS: usize = 256;

/// What is read of it.
struct Told {
    /// Tokens that end an answer.
    ends: Vec<u32>,
    /// The first token of an answer.
    start: Option<u32>,
    /// The token after it, which is not drawn.
    forced: Option<u32>,
}

/// Lets the file say where an answer begins and ends.
pub fn apply(file: &[u8], spec: &mut Spec) -> Result<()> {
    let told = read(file, spec.vocabulary)
        .map_err(|error| Error { what: format!("{} of `{FILE}`", error.what), ..error })?;
    if !spec.generates() {
        return Ok(());
    }
    if let Some(first) = told.ends.first() {
        spec.special.eos = Some(*first);
        spec.template.ends = told.ends;
    }
    // In the reference, too, the answer of a single stack has no start of its own.
    if spec.architecture == Architecture::EncoderDecoder {
        let start = &mut spec.template.start;
        if let (Some(first), Some(told)) = (start.first_mut(), told.start) {
            *first = told;
        }
        if let Some(forced) = told.forced {
            start.truncate(1);
            start.push(forced);
        }
    }
    Ok(())
}

fn read(file: &[u8], vocabulary: usize) -> Result<Told> {
    if file.len() > MOST_BYTES {
        let expected = format!("at most {MOST_BYTES} bytes");
        return Err(Error::limit("the length", expected, file.len().to_string()));
    }
    let json: Json = serde_json::from_slice(file)
        .map_err(|error| Error::config("the text", "JSON", error.to_string()))?;
    if !json.is_object() {
        return Err(Error::config("the text", "an object of settings", "another value"));
    }
    let settings = Settings::new(&json)?;
    let told = Told {
        ends: settings.ids("eos_token_id")?,
        start: settings.id("decoder_start_token_id")?,
        forced: settings.id("forced_bos_token_id")?,
    };
    if told.ends.len() > MOST_ENDS {
        let (expected, got) = (format!("at most {MOST_ENDS} tokens"), told.ends.len());
        return Err(Error::config("setting `eos_token_id`", expected, got.to_string()));
    }
    for id in told.ends.iter().chain(&told.start).chain(&told.forced) {
        if *id as usize >= vocabulary {
            let expected = format!("ids below the vocabulary of {vocabulary}");
            return Err(Error::config("a token id", expected, id.to_string()));
        }
    }
    Ok(told)
}
