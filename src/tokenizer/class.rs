//! The reference's name for a tokenizer: what its older files leave out is in that class's code.

use serde_json::Value as Json;

use super::file::{Files, broken, parse};
use crate::error::Result;

/// How a text is cut before bytes are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// GPT-2's: words with the space before them, runs of digits, of signs, of spaces.
    Gpt2,
    /// Qwen 2's: the text normalised, digits one by one, ends of lines apart.
    Qwen2,
}

/// What Qwen 2 cuts a text by (`Qwen2Converter` of transformers 5.23).
pub const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Those whose byte pairs are cut as GPT-2's are.
const LIKE_GPT2: [&str; 9] = [
    "GPT2Tokenizer",
    "RobertaTokenizer",
    "BartTokenizer",
    "LongformerTokenizer",
    "LEDTokenizer",
    "MvpTokenizer",
    "CodeGenTokenizer",
    "GLMGPT2Tokenizer",
    "GLMRobertaTokenizer",
];

/// Those that have a `vocab.txt` and cut texts otherwise than BERT.
const UNLIKE_BERT: [&str; 7] = [
    "BertJapaneseTokenizer",
    "BertweetTokenizer",
    "CTRLTokenizer",
    "CpmAntTokenizer",
    "EsmTokenizer",
    "PhobertTokenizer",
    "RoFormerTokenizer",
];

/// What the reference takes where no file names a class.
const BY_MODEL: [(&str, &str); 5] = [
    ("camembert", "CamembertTokenizer"),
    ("mbart", "MBartTokenizer"),
    ("qwen2", "Qwen2Tokenizer"),
    ("qwen3", "Qwen2Tokenizer"),
    ("xlm-roberta", "XLMRobertaTokenizer"),
];

/// What GLM's classes put around a text, in code that no file holds (`tokenization_glm.py` of THUDM/glm-10b and
/// glm-large-chinese, of which lovelyllwang/GenRE 5b52b25 has a copy): a role that settings may name, and the usual
/// token of it.
pub const AROUND_GLM: [(&str, &str); 2] = [("cls_token", "[CLS]"), ("eos_token", "<|endoftext|>")];

/// The class of a folder's tokenizer, whether it is the fast one or not.
pub fn of(files: Files<'_>, settings: &Json) -> Result<Option<String>> {
    let config = match files("config.json") {
        Some(bytes) => parse("config.json", bytes)?,
        None => Json::Null,
    };
    let named = settings["tokenizer_class"].as_str().or(config["tokenizer_class"].as_str());
    let of_model = BY_MODEL.iter().find(|(model, _)| config["model_type"] == **model);
    let name = named.or(of_model.map(|(_, class)| *class));
    Ok(name.map(|name| name.strip_suffix("Fast").unwrap_or(name).to_string()))
}

/// How this class cuts the text of a `vocab.json` with `merges.txt`.
pub fn cut(class: Option<&str>) -> Result<Cut> {
    match class {
        None => Ok(Cut::Gpt2),
        Some("Qwen2Tokenizer") => Ok(Cut::Qwen2),
        Some(class) if LIKE_GPT2.contains(&class) => Ok(Cut::Gpt2),
        Some(class) => {
            let expected = "one that cuts texts like GPT-2 or Qwen 2, or a `tokenizer.json`";
            Err(refused(expected, class))
        }
    }
}

/// Refuses a class whose `vocab.txt` is not BERT's.
pub fn words(class: Option<&str>) -> Result<()> {
    match class.filter(|class| UNLIKE_BERT.contains(class)) {
        None => Ok(()),
        Some(class) => Err(refused("one that cuts texts like BERT, or a `tokenizer.json`", class)),
    }
}

/// A class that a message names.
pub fn refused(expected: &str, class: &str) -> crate::error::Error {
    let class: String = class.escape_debug().take(60).collect();
    let expected = format!("as `tokenizer_class` {expected}");
    broken("tokenizer_config.json", &expected, &format!("`{class}`"))
}
