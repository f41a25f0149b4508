//! Tokens beyond an older vocabulary: `added_tokens.json`, `added_tokens_decoder` in
//! `tokenizer_config.json`, and the names of special tokens there and in `special_tokens_map.json`.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Value as Json, json};

use super::file::{Files, broken, clip, parse, quote};
use super::numbers::Numbers;
use crate::error::Result;

const CONFIG: &str = "tokenizer_config.json";
const MAP: &str = "special_tokens_map.json";
const LIST: &str = "added_tokens.json";

/// Bytes of all added tokens together: they are looked for in every text by one automaton.
const MOST: usize = 1 << 20;

/// What a token is called that a config names, in the order in which the reference adds them.
const ROLES: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];
const LISTS: [&str; 2] = ["additional_special_tokens", "extra_special_tokens"];

/// A token that is looked for in a text before the model sees it.
#[derive(Clone, Debug)]
struct Token {
    content: String,
    /// The file that names it.
    file: &'static str,
    single_word: bool,
    lstrip: bool,
    rstrip: bool,
    normalized: bool,
    special: bool,
}

/// The added tokens of a folder.
#[derive(Debug, Default)]
pub struct Added {
    numbered: BTreeMap<u64, Token>,
    /// Named without a number, and whether its file says how it is looked for.
    named: Vec<(Token, bool)>,
}

/// Reads the files that name such tokens.
pub fn read(files: Files<'_>, settings: &Json) -> Result<Added> {
    let mut added = Added::default();
    let map = match files(MAP) {
        Some(bytes) => parse(MAP, bytes)?,
        None => Json::Null,
    };
    if let Some(decoder) = settings.get("added_tokens_decoder").filter(|json| !json.is_null()) {
        let expected = "`added_tokens_decoder` an object of tokens";
        let all = decoder.as_object().ok_or_else(|| broken(CONFIG, expected, "another"))?;
        for (id, json) in all {
            let number = id.parse::<u64>().map_err(|_| {
                broken(CONFIG, "numbers of added tokens", &format!("`{}`", id.escape_debug()))
            })?;
            let is_special = json["special"].as_bool().unwrap_or(false);
            let token = Token::read(CONFIG, json, is_special)?;
            // `01` and `1` are one number.
            if added.numbered.insert(number, token).is_some() {
                return Err(broken(CONFIG, "each number of an added token once", &id.to_string()));
            }
        }
        added.name(&[(CONFIG, settings)])?;
        return Ok(added);
    }
    // Before that list there was one of numbers alone, and another of names.
    added.name(&[(MAP, &map), (CONFIG, settings)])?;
    if let Some(bytes) = files(LIST) {
        let list = parse(LIST, bytes)?;
        let expected = "an object of tokens and their numbers";
        let all = list.as_object().ok_or_else(|| broken(LIST, expected, "another"))?;
        let named: HashSet<String> =
            added.named.iter().map(|(token, _)| token.content.clone()).collect();
        for (content, id) in all {
            let number = id
                .as_u64()
                .ok_or_else(|| broken(LIST, "numbers of added tokens", &clip(&id.to_string())))?;
            let is_special = named.contains(content);
            let token = Token::read(LIST, &Json::String(content.clone()), is_special)?;
            if let Some(other) = added.numbered.insert(number, token) {
                let got = format!("{number} of {} and {}", quote(&other.content), quote(content));
                return Err(broken(LIST, "each number once", &got));
            }
        }
        // How those are looked for is this list's word, which has none: the reference forgets what the names say.
        added.named.retain(|(token, _)| !all.contains_key(&token.content));
    }
    Ok(added)
}

impl Added {
    /// Takes in the special tokens that these files name, the first file's word before the next one's.
    fn name(&mut self, files: &[(&'static str, &Json)]) -> Result<()> {
        let mut all: Vec<(&'static str, &Json)> = Vec::new();
        let of = |role: &str| files.iter().find_map(|(file, json)| Some((*file, json.get(role)?)));
        all.extend(ROLES.iter().filter_map(|role| of(role)));
        for (file, list) in LISTS.iter().filter_map(|role| of(role)) {
            match list {
                Json::Array(list) => all.extend(list.iter().map(|json| (file, json))),
                Json::Object(list) => all.extend(list.values().map(|json| (file, json))),
                _ => {}
            }
        }
        let numbers = self.numbered.iter().map(|(id, token)| (token.content.clone(), Some(*id)));
        let mut known: HashMap<String, Option<u64>> = numbers.collect();
        for (file, json) in all {
            // A role that nobody has.
            if json.is_null() || *json == "" {
                continue;
            }
            let token = Token::read(file, json, true)?;
            match known.get(&token.content) {
                Some(Some(id)) => {
                    if let Some(listed) = self.numbered.get_mut(id) {
                        listed.special = true;
                    }
                }
                Some(None) => {}
                None => {
                    known.insert(token.content.clone(), None);
                    self.named.push((token, json.is_object()));
                }
            }
        }
        Ok(())
    }

    /// Puts the tokens into a `tokenizer.json` of a model with so many ids.
    pub fn put(&self, tokenizer: &mut Json, vocabulary: usize) -> Result<()> {
        self.check(vocabulary)?;
        let mut known = Known::of(&tokenizer["model"]["vocab"]);
        let mut all: Vec<(u64, &Token, bool)> = Vec::new();
        for (number, token) in &self.numbered {
            known.claim(*number, token)?;
            all.push((*number, token, true));
        }
        for (token, is_described) in &self.named {
            match known.ids.get(&token.content) {
                Some(id) => all.push((*id, token, *is_described)),
                // The reference puts it behind the last one. Where the model has no row for that, no text of
                // it has this token.
                None if known.next() < vocabulary as u64 => {
                    let number = known.next();
                    known.claim(number, token)?;
                    all.push((number, token, true));
                }
                None => {}
            }
        }
        known.write(&mut tokenizer["model"]["vocab"]);
        let Some(list) = tokenizer["added_tokens"].as_array_mut() else { return Ok(()) };
        let name = |listed: &Json| listed["content"].as_str().map(str::to_string);
        let places: HashMap<String, usize> =
            list.iter().enumerate().filter_map(|(at, listed)| Some((name(listed)?, at))).collect();
        for (id, token, is_described) in all {
            match places.get(&token.content).and_then(|at| list.get_mut(*at)) {
                Some(listed) if is_described => *listed = token.json(id),
                Some(listed) => listed["special"] = true.into(),
                None => list.push(token.json(id)),
            }
        }
        Ok(())
    }

    /// Holds the tokens against a model that numbers its pieces itself and has all of them.
    pub fn hold(&self, numbers: &Numbers, vocabulary: usize) -> Result<()> {
        self.check(vocabulary)?;
        for (number, token) in &self.numbered {
            let have = usize::try_from(*number).ok().and_then(|number| numbers.names.get(number));
            if have.is_none_or(|have| *have != token.content) {
                let expected = format!("{number} to be {}", have.map_or("no token".into(), quote));
                return Err(broken(token.file, &expected, &quote(&token.content)));
            }
        }
        Ok(())
    }

    fn check(&self, vocabulary: usize) -> Result<()> {
        if let Some((number, token)) = self.numbered.last_key_value()
            && *number >= vocabulary as u64
        {
            let expected = format!("ids below the model's {vocabulary}");
            let got = format!("{} with {number}", quote(&token.content));
            return Err(broken(token.file, &expected, &got));
        }
        let tokens = self.numbered.values().chain(self.named.iter().map(|(token, _)| token));
        let bytes: usize = tokens.map(|token| token.content.len()).sum();
        if bytes > MOST {
            let expected = format!("added tokens of at most {MOST} bytes together");
            return Err(broken(CONFIG, &expected, &format!("{bytes}")));
        }
        Ok(())
    }
}

/// The pieces of a model by name and by number.
struct Known {
    ids: HashMap<String, u64>,
    names: BTreeMap<u64, String>,
    own: usize,
}

impl Known {
    fn of(vocabulary: &Json) -> Known {
        let mut known = Known { ids: HashMap::new(), names: BTreeMap::new(), own: 0 };
        let mut take = |name: &str, id: u64| {
            known.ids.insert(name.to_string(), id);
            known.names.insert(id, name.to_string());
        };
        match vocabulary {
            Json::Array(pieces) => {
                let names = pieces.iter().map(|piece| piece[0].as_str().unwrap_or_default());
                (0..).zip(names).for_each(|(id, name)| take(name, id));
            }
            Json::Object(pieces) => {
                let all = pieces.iter().filter_map(|(name, id)| Some((name, id.as_u64()?)));
                all.for_each(|(name, id)| take(name, id));
            }
            _ => {}
        }
        known.own = known.names.len();
        known
    }

    /// The number behind the last one.
    fn next(&self) -> u64 {
        self.names.last_key_value().map_or(0, |(id, _)| id.saturating_add(1))
    }

    /// Gives a token its number, unless it has another or another token has it.
    fn claim(&mut self, number: u64, token: &Token) -> Result<()> {
        let refuse = |expected: String| {
            let got = format!("{} with {number}", quote(&token.content));
            Err(broken(token.file, &expected, &got))
        };
        match (self.ids.get(&token.content), self.names.get(&number)) {
            (Some(id), _) if *id == number => Ok(()),
            (Some(id), _) => refuse(format!("{id}, its number in the vocabulary")),
            (None, Some(other)) => refuse(format!("a free number: it is {} there", quote(other))),
            (None, None) => {
                self.ids.insert(token.content.clone(), number);
                self.names.insert(number, token.content.clone());
                Ok(())
            }
        }
    }

    /// Writes what was claimed into the model, where it has to be there: the library numbers tokens that its
    /// model does not have one after the other, and so knows of no number that nobody has.
    fn write(self, vocabulary: &mut Json) {
        if self.names.len() == self.own || self.names.len() as u64 == self.next() {
            return;
        }
        match vocabulary {
            Json::Array(pieces) => {
                let from = pieces.len() as u64;
                for id in from..self.next() {
                    // Nothing spells a number that nobody has: a space is in no piece.
                    let name = self.names.get(&id).cloned().unwrap_or_else(|| format!(" {id}"));
                    pieces.push(json!([name, 0.0]));
                }
            }
            Json::Object(pieces) => {
                for (id, name) in self.names {
                    pieces.entry(name).or_insert_with(|| id.into());
                }
            }
            _ => {}
        }
    }
}

impl Token {
    /// A token as a text or as an object; special ones are looked for in the text as it is.
    fn read(file: &'static str, json: &Json, special: bool) -> Result<Token> {
        let content = json.as_str().or_else(|| json["content"].as_str()).unwrap_or_default();
        if content.is_empty() {
            return Err(broken(file, "tokens that have a text", &clip(&json.to_string())));
        }
        let is = |name: &str, default: bool| json[name].as_bool().unwrap_or(default);
        Ok(Token {
            content: content.to_string(),
            file,
            single_word: is("single_word", false),
            lstrip: is("lstrip", false),
            rstrip: is("rstrip", false),
            normalized: is("normalized", !special),
            special,
        })
    }

    fn json(&self, id: u64) -> Json {
        json!({
            "id": id,
            "content": self.content,
            "single_word": self.single_word,
            "lstrip": self.lstrip,
            "rstrip": self.rstrip,
            "normalized": self.normalized,
            "special": self.special,
        })
    }
}
