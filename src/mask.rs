//! Masks: which key each row may see. A mask is a rule plus edits; devices get bits.
//!
//! This is the one place that makes masks. A device tests bit `key % 32` of word `key / 32` and
//! nothing else, and the page asks here for the picture it draws.

mod reach;

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};
use crate::object::objects;

pub use reach::{Reach, Sight};

objects!(Edit, Edits, Mask, MaskFile);

/// Who may see whom, for a row `q` and a key `k`, both counted from 0.
///
/// Written as text: `full`, `causal`, `prefix:4`, `window:3`, `documents:5,9`, `padding:7`, and
/// any of them joined by `+`, which means that all must agree (`causal+window:4`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// Every row sees every key.
    Full,
    /// `k <= q`: nobody sees ahead.
    Causal,
    /// The first `n` keys are open to every row; the rest is causal.
    Prefix(usize),
    /// `|q - k| < w`: neighbours only.
    Window(usize),
    /// Packed documents: a new one starts at each of these positions; nobody sees across.
    Documents(Vec<usize>),
    /// Only the first `n` keys are real; the rest is padding that nobody sees.
    Padding(usize),
    /// Visible where every one of these says so.
    All(Vec<Rule>),
}

impl Rule {
    /// Whether row `row` may see key `key`.
    pub fn visible(&self, row: usize, key: usize) -> bool {
        match self {
            Rule::Full => true,
            Rule::Causal => key <= row,
            Rule::Prefix(open) => key < *open || key <= row,
            Rule::Window(reach) => row.abs_diff(key) < *reach,
            Rule::Documents(starts) => {
                let document = |position: usize| starts.iter().filter(|s| **s <= position).count();
                document(row) == document(key)
            }
            Rule::Padding(real) => key < *real,
            Rule::All(rules) => rules.iter().all(|rule| rule.visible(row, key)),
        }
    }

    /// The part of the rule that hides `key` from `row`; `None` where it is visible.
    pub fn hider(&self, row: usize, key: usize) -> Option<&Rule> {
        match self {
            Rule::All(rules) => rules.iter().find_map(|rule| rule.hider(row, key)),
            rule if rule.visible(row, key) => None,
            rule => Some(rule),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rule::Full => write!(f, "full"),
            Rule::Causal => write!(f, "causal"),
            Rule::Prefix(open) => write!(f, "prefix:{open}"),
            Rule::Window(reach) => write!(f, "window:{reach}"),
            Rule::Documents(starts) => {
                let starts: Vec<String> = starts.iter().map(usize::to_string).collect();
                write!(f, "documents:{}", starts.join(","))
            }
            Rule::Padding(real) => write!(f, "padding:{real}"),
            Rule::All(rules) => {
                let rules: Vec<String> = rules.iter().map(Rule::to_string).collect();
                write!(f, "{}", rules.join("+"))
            }
        }
    }
}

impl FromStr for Rule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Rule> {
        let text = text.trim();
        if text.contains('+') {
            let rules = text.split('+').map(Rule::from_str).collect::<Result<Vec<Rule>>>()?;
            return Ok(Rule::All(rules));
        }
        let unknown = || {
            Error::input(
                "mask rule",
                "full, causal, prefix:N, window:W, documents:A,B or padding:N, joined by +",
                format!("`{}`", text.escape_debug()),
            )
        };
        let (name, value) = match text.split_once(':') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let number = |value: &str| value.trim().parse::<usize>().map_err(|_| unknown());
        match (name, value) {
            ("full", None) => Ok(Rule::Full),
            ("causal", None) => Ok(Rule::Causal),
            ("prefix", Some(value)) => Ok(Rule::Prefix(number(value)?)),
            ("window", Some(value)) => Ok(Rule::Window(number(value)?)),
            ("padding", Some(value)) => Ok(Rule::Padding(number(value)?)),
            ("documents", Some(value)) => {
                let mut starts = value.split(',').map(number).collect::<Result<Vec<usize>>>()?;
                starts.sort_unstable();
                starts.dedup();
                Ok(Rule::Documents(starts))
            }
            _ => Err(unknown()),
        }
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Rule, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// One cell that a person painted, for all layers and heads or for named ones.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Edit {
    /// Row (query) position.
    pub row: usize,
    /// Key position.
    pub key: usize,
    /// Whether the row may see the key.
    pub visible: bool,
    /// Only this layer; all layers where absent.
    #[serde(default)]
    pub layer: Option<usize>,
    /// Only this head; all heads where absent.
    #[serde(default)]
    pub head: Option<usize>,
}

/// A rule and the cells that depart from it. A cell without an edit follows the rule, so a painted
/// mask goes on by its rule when generation adds rows.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Mask {
    /// What holds where nothing was painted.
    pub rule: Rule,
    /// Painted cells; a later edit of the same cell wins.
    #[serde(default)]
    pub edits: Vec<Edit>,
}

impl From<Rule> for Mask {
    fn from(rule: Rule) -> Mask {
        Mask { rule, edits: Vec::new() }
    }
}

/// The mask rows of one play as a device reads them.
///
/// Layers and heads that share a mask share a *plane*. `plane[(variant * layers + layer) * heads +
/// head]` says which; `planes[(plane * rows + row) * words + key / 32]` holds bit `key % 32`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bits {
    /// Rows of each plane.
    pub rows: usize,
    /// Keys of each row.
    pub keys: usize,
    /// u32 words of each row: `keys / 32`, rounded up.
    pub words: usize,
    /// Layers of the plane table.
    pub layers: usize,
    /// Heads of the plane table.
    pub heads: usize,
    /// `[variant][layer][head]` -> plane.
    pub plane: Vec<u32>,
    /// `[plane][row][word]`.
    pub planes: Vec<u32>,
}

impl Bits {
    /// The words of one row as one head of one layer of one variant sees it.
    pub fn row(&self, variant: usize, layer: usize, head: usize, row: usize) -> &[u32] {
        let plane = self.plane[(variant * self.layers + layer) * self.heads + head] as usize;
        let start = (plane * self.rows + row) * self.words;
        &self.planes[start..start + self.words]
    }

    /// Whether a row sees a key.
    pub fn visible(
        &self,
        variant: usize,
        layer: usize,
        head: usize,
        row: usize,
        key: usize,
    ) -> bool {
        self.row(variant, layer, head, row)[key / 32] >> (key % 32) & 1 == 1
    }

    /// Puts the variants of a sweep one after the other: all of the same rows, keys, layers, heads.
    pub fn stack(variants: &[Bits]) -> Option<Bits> {
        let (first, rest) = variants.split_first()?;
        let mut all = first.clone();
        for bits in rest {
            let shape = |b: &Bits| (b.rows, b.keys, b.layers, b.heads);
            if shape(bits) != shape(first) {
                return None;
            }
            let planes = all.planes.len().checked_div(all.rows * all.words).unwrap_or(0) as u32;
            all.plane.extend(bits.plane.iter().map(|plane| plane + planes));
            all.planes.extend(&bits.planes);
        }
        Some(all)
    }
}

impl Mask {
    /// The mask to be asked cell by cell: a cell's edits are found at once, however many there are.
    pub fn cells(&self) -> Cells<'_> {
        let mut edits: HashMap<(usize, usize), Vec<&Edit>> = HashMap::new();
        for edit in &self.edits {
            edits.entry((edit.row, edit.key)).or_default().push(edit);
        }
        Cells { rule: &self.rule, edits }
    }

    /// The bits of the rows at these positions (ascending), for one variant.
    pub fn bits(&self, rows: &[usize], keys: usize, layers: usize, heads: usize) -> Bits {
        let words = keys.div_ceil(32);
        let mut base = vec![0u32; rows.len() * words];
        let set = |plane: &mut [u32], row: usize, key: usize, visible: bool| {
            let word = &mut plane[row * words + key / 32];
            let bit = 1 << (key % 32);
            if visible { *word |= bit } else { *word &= !bit }
        };
        for (index, &row) in rows.iter().enumerate() {
            for key in 0..keys {
                if self.rule.visible(row, key) {
                    set(&mut base, index, key, true);
                }
            }
        }
        if self.edits.iter().all(|edit| edit.layer.is_none() && edit.head.is_none()) {
            for edit in self.edits.iter().filter(|edit| edit.key < keys) {
                if let Ok(index) = rows.binary_search(&edit.row) {
                    set(&mut base, index, edit.key, edit.visible);
                }
            }
            let plane = vec![0; layers * heads];
            return Bits { rows: rows.len(), keys, words, layers, heads, plane, planes: base };
        }
        let index_of: HashMap<usize, usize> =
            rows.iter().enumerate().map(|(index, row)| (*row, index)).collect();
        let mut known: HashMap<Vec<u32>, u32> = HashMap::new();
        let mut planes = Vec::new();
        let mut plane = Vec::with_capacity(layers * heads);
        for layer in 0..layers {
            for head in 0..heads {
                let mut mine = base.clone();
                for edit in &self.edits {
                    let named = edit.layer.is_none_or(|l| l == layer)
                        && edit.head.is_none_or(|h| h == head);
                    if let Some(&index) = index_of.get(&edit.row)
                        && named
                        && edit.key < keys
                    {
                        set(&mut mine, index, edit.key, edit.visible);
                    }
                }
                let next = known.len() as u32;
                plane.push(*known.entry(mine).or_insert_with_key(|bits| {
                    planes.extend(bits);
                    next
                }));
            }
        }
        Bits { rows: rows.len(), keys, words, layers, heads, plane, planes }
    }

    /// The mask as a person reads it, a string of 0 and 1 a row, as seen by one head of one layer.
    pub fn picture(
        &self,
        layer: usize,
        head: usize,
        rows: impl IntoIterator<Item = usize>,
        keys: usize,
    ) -> Vec<String> {
        let cells = self.cells();
        let cell = |row, key| if cells.visible(layer, head, row, key) { '1' } else { '0' };
        rows.into_iter().map(|row| (0..keys).map(|key| cell(row, key)).collect()).collect()
    }

    /// A mask from a picture: cells that differ from `rule` become edits, so that it can be extended.
    pub fn from_picture(picture: &[String], rule: Rule) -> Result<Mask> {
        let mut edits = Vec::new();
        for (row, cells) in picture.iter().enumerate() {
            for (key, cell) in cells.chars().enumerate() {
                let visible = match cell {
                    '0' => false,
                    '1' => true,
                    other => {
                        let place = format!("mask row {row}, key {key}");
                        return Err(Error::input(place, "0 or 1", format!("{other:?}")));
                    }
                };
                if visible != rule.visible(row, key) {
                    edits.push(Edit { row, key, visible, layer: None, head: None });
                }
            }
        }
        Ok(Mask { rule, edits })
    }
}

/// A mask, its edits by their cells.
#[derive(Debug)]
pub struct Cells<'a> {
    rule: &'a Rule,
    edits: HashMap<(usize, usize), Vec<&'a Edit>>,
}

impl Cells<'_> {
    /// Whether a head of a layer lets `row` see `key`.
    pub fn visible(&self, layer: usize, head: usize, row: usize, key: usize) -> bool {
        let edits = self.edits.get(&(row, key)).map_or(&[][..], Vec::as_slice);
        let named = |edit: &&&Edit| {
            edit.layer.is_none_or(|l| l == layer) && edit.head.is_none_or(|h| h == head)
        };
        let last = edits.iter().rev().find(named);
        last.map_or_else(|| self.rule.visible(row, key), |edit| edit.visible)
    }

    /// Whether any head of any layer lets `row` see `key`.
    pub fn any(&self, row: usize, key: usize, layers: usize, heads: usize) -> bool {
        match self.edits.contains_key(&(row, key)) {
            true => (0..layers).any(|l| (0..heads).any(|h| self.visible(l, h, row, key))),
            false => self.rule.visible(row, key),
        }
    }
}

/// Painted cells of whatever rule the model was trained with.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Edits {
    /// As in [`Mask`].
    pub edits: Vec<Edit>,
}

/// A mask as it is written in a mask file or a request: a rule, a rule with edits, edits of the model's own
/// rule, or a picture.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a mask: a rule such as `causal+window:3`, { rule, edits }, { edits }, or rows of 0 and 1"
)]
pub enum MaskSource {
    /// `"causal"`.
    Rule(Rule),
    /// `["100", "110", "111"]`.
    Picture(Vec<String>),
    /// `{ "rule": "full", "edits": [...] }`.
    Mask(Mask),
    /// `{ "edits": [...] }`.
    Edits(Edits),
}

impl MaskSource {
    /// The mask; a picture, and edits alone, depart from `rule`, the one that the model was trained with.
    pub fn mask(&self, rule: &Rule) -> Result<Mask> {
        match self {
            MaskSource::Rule(rule) => Ok(rule.clone().into()),
            MaskSource::Picture(picture) => Mask::from_picture(picture, rule.clone()),
            MaskSource::Mask(mask) => Ok(mask.clone()),
            MaskSource::Edits(Edits { edits }) => {
                Ok(Mask { rule: rule.clone(), edits: edits.clone() })
            }
        }
    }
}

/// The masks of a request or a mask file, a site each; an absent site keeps the model's own rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(
    remote = "Self",
    deny_unknown_fields,
    expecting = "masks by stack: { encoder, decoder, cross }"
)]
pub struct MaskFile {
    /// The encoder's self-attention.
    #[serde(default)]
    pub encoder: Option<MaskSource>,
    /// The decoder's self-attention.
    #[serde(default)]
    pub decoder: Option<MaskSource>,
    /// The decoder's attention over the memory: a row is a target position, a key a source position.
    #[serde(default)]
    pub cross: Option<MaskSource>,
}
