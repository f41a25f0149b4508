//! A model on a device: loaded from the files of its folder, described, ready for sessions.

use std::collections::{BTreeMap, HashSet};
use std::pin::Pin;
use std::rc::Rc;

use serde::Serialize;

use crate::device::cpu::bytes_held;
use crate::device::{Device, Format, Weights};
use crate::error::{Error, Kind, Result};
use crate::family::{self, Family, generation};
use crate::graph::{NormKind, Site, WeightInfo};
use crate::mask::Rule;
use crate::model::Transformer;
use crate::spec::{Cost, LedgerLine, Order, OutputHead, Positions, Spec, SpecialTokens, Stack};
use crate::task::{self, Task};
use crate::tokenizer::{self, Input, Tokenizer};
use crate::trace::ModelInfo;
use crate::weights::{Checkpoint, Form, Found, Index, ReadAt};

/// A model on a device.
#[derive(Debug)]
pub struct Engine {
    /// The device it lies on.
    pub device: Rc<Device>,
    /// Its architecture.
    pub spec: Spec,
    /// Its graphs.
    pub transformer: Transformer,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// Its weights on the device.
    pub weights: Weights,
    /// How its files hold them.
    pub stored: StoredAs,
}

/// How the files of a model hold its weights.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StoredAs {
    /// `F32`, `F16`, `BF16`, `I8`: that of most numbers first.
    pub formats: Vec<String>,
    /// Bytes of the weights' files.
    pub bytes: u64,
    /// Whether the output matrix is the token table, by its config or by its files; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tied: Option<bool>,
}

/// What a model is, for a card on the page or `unmasked describe`.
#[derive(Clone, Debug, Serialize)]
pub struct Description {
    /// `model_type` of the config.
    pub family: String,
    /// The name that people know the family by.
    pub name: String,
    /// encoder, causal, prefix or encoder-decoder.
    pub architecture: &'static str,
    /// Numbers stored.
    pub parameters: u64,
    /// Token ids are below this.
    pub vocabulary: usize,
    /// Columns of the stream.
    pub width: usize,
    /// Layers of both stacks.
    pub layers: Layers,
    /// Query heads of the output stack.
    pub heads: usize,
    /// Key/value heads.
    pub kv_heads: usize,
    /// Columns of a head.
    pub head_width: usize,
    /// Inner width of the feed-forward.
    pub feed_forward_width: usize,
    /// Longest sequence of a stack.
    pub max_positions: usize,
    /// What bends the feed-forward.
    pub activation: String,
    /// LayerNorm or RMSNorm, and where.
    pub norm: String,
    /// How rows know their place.
    pub positions: &'static str,
    /// The stacks that it has, each by its own shape.
    pub stacks: BTreeMap<&'static str, StackShape>,
    /// How its files hold its weights.
    pub stored: StoredAs,
    /// What it can be asked for.
    pub tasks: Vec<Task>,
    /// Special ids.
    pub special: SpecialTokens,
    /// Heads beside the vocabulary's: pair, replaced, classes.
    pub output_heads: Vec<&'static str>,
    /// The masks it was trained with (`N`: the length of the source).
    pub masks: Masks,
    /// Source and target language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub languages: Option<Languages>,
    /// The architecture whose mask its pre-training used, where it was released as another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pretrained_as: Option<&'static str>,
    /// What it was trained to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objective: Option<String>,
    /// Parameters by part.
    pub ledger: Vec<LedgerLine>,
    /// What steps of several lengths cost.
    pub cost: Vec<Cost>,
}

/// What a stack is built of.
#[derive(Clone, Debug, Serialize)]
pub struct StackShape {
    /// Blocks.
    pub layers: usize,
    /// Blocks with weights of their own.
    pub distinct_layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key/value heads.
    pub kv_heads: usize,
    /// Columns of a head.
    pub head_width: usize,
    /// Inner width of the feed-forward.
    pub feed_forward_width: usize,
    /// What bends the feed-forward.
    pub activation: String,
    /// Whether a gate multiplies it.
    pub gated: bool,
    /// `layer` or `rms`.
    pub norm: &'static str,
    /// Where the norms stand.
    pub order: Order,
    /// How rows know their place.
    pub positions: Positions,
}

/// Layers of both stacks.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Layers {
    /// Encoder layers.
    pub encoder: usize,
    /// Decoder layers.
    pub decoder: usize,
}

/// Source and target language.
#[derive(Clone, Debug, Serialize)]
pub struct Languages {
    /// What it reads.
    pub source: String,
    /// What it answers in.
    pub target: String,
}

/// Trained masks, a site each.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Masks {
    /// Encoder self-attention.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoder: Option<String>,
    /// Decoder self-attention.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decoder: Option<String>,
    /// Cross-attention.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cross: Option<String>,
}

impl Engine {
    /// Loads a model folder: `config.json`, a `tokenizer.json` (or the files that came before it), one
    /// or more `.safetensors` (`pytorch_model.bin` where there are none), of which no more than a tensor is
    /// in memory at a time, and where there is one a `generation_config.json`.
    pub async fn load<F: ReadAt + 'static>(
        files: Vec<(String, F)>,
        device: Rc<Device>,
    ) -> Result<Engine> {
        Engine::load_within(files, device, u64::MAX).await
    }

    /// The same where this program may take at most `room` more bytes of memory.
    pub async fn load_within<F: ReadAt + 'static>(
        files: Vec<(String, F)>,
        device: Rc<Device>,
        room: u64,
    ) -> Result<Engine> {
        let mut weights_files: Vec<(String, Box<dyn ReadAt>)> = Vec::new();
        let form = files.iter().filter_map(|(name, _)| Form::of(base_of(name))).min();
        let (mut config, mut told, mut index) = (None, None, None);
        let mut others: Vec<(String, Vec<u8>)> = Vec::new();
        for (name, file) in files {
            let base = base_of(&name).to_string();
            match base.as_str() {
                "config.json" => config = Some(whole(&base, &file).await?),
                generation::FILE => told = Some(whole(&base, &file).await?),
                _ if form.is_some_and(|form| form.index() == base) => {
                    index = Some(Index::read(base.clone(), &whole(&base, &file).await?)?);
                }
                _ if form.is_some() && Form::of(&base) == form => {
                    weights_files.push((base, Box::new(file)));
                }
                _ if tokenizer::FILES.contains(&base.as_str()) => {
                    let bytes = whole(&base, &file).await?;
                    others.push((base, bytes));
                }
                _ => {}
            }
        }
        let missing = |name: &str| {
            Error::new(Kind::Input, format!("`{name}`"), "in the model folder", "no such file")
        };
        let config = config.ok_or_else(|| missing("config.json"))?;
        let (mut spec, family, tokenizer) = described(&config, told.as_deref(), &others)?;
        drop(others);
        if weights_files.is_empty() {
            return Err(missing("model.safetensors` or `pytorch_model.bin"));
        }
        if let Some(index) = &index {
            index.check_shards(&weights_files)?;
        }
        let open: Waiting<'_, Checkpoint> = Box::pin(Checkpoint::open(weights_files));
        let mut checkpoint = open.await?;
        let (transformer, found) = planned(&mut spec, family, &checkpoint, index.as_ref())?;
        check_room(&device, &found, room)?;
        let upload: Waiting<'_, Weights> = Box::pin(upload(&device, &mut checkpoint, &found));
        let weights = upload.await?;
        let stored = stored_as(&spec, family, &checkpoint);
        Ok(Engine { device, spec, transformer, tokenizer, weights, stored })
    }

    /// Readies a device for a model of which only `config.json` is there yet: what its graphs need is compiled
    /// while the weights are on their way.
    pub fn warm(config: &[u8], device: &Device) -> Result<()> {
        if matches!(device, Device::Cpu(_)) {
            return Ok(()); // It compiles nothing.
        }
        let (spec, _) = family::recognise(config)?;
        let format = stated_format(config);
        Transformer::new(&spec)?.graphs().try_for_each(|graph| device.warm(graph, format))
    }

    /// What ran, for a trace.
    pub fn info(&self) -> ModelInfo {
        ModelInfo {
            family: self.spec.family.clone(),
            architecture: self.spec.architecture.name(),
            parameters: self.transformer.parameters(),
        }
    }

    /// A text in the model's template.
    pub fn tokenize(&self, text: &str, pair: Option<&str>) -> Result<Input> {
        self.tokenizer.input(&self.spec.template, text, pair, self.spec.max_positions)
    }

    /// What the model is.
    pub fn describe(&self) -> Description {
        let spec = &self.spec;
        let stack = spec.output_stack();
        let mut masks = Masks::default();
        for site in spec.sites() {
            let rule = match spec.architecture.rule(site, 0) {
                Rule::Prefix(_) => "prefix:N".to_string(),
                rule => rule.to_string(),
            };
            match site {
                Site::Encoder => masks.encoder = Some(rule),
                Site::Decoder => masks.decoder = Some(rule),
                Site::Cross => masks.cross = Some(rule),
            }
        }
        let both = [(Site::Encoder, &spec.encoder), (Site::Decoder, &spec.decoder)];
        let stacks = both
            .into_iter()
            .filter(|(_, stack)| stack.layers > 0)
            .map(|(site, stack)| (site.name(), shape(stack)));
        let output_heads = spec.output_heads.iter().map(|head| match head {
            OutputHead::Pair { .. } => "pair",
            OutputHead::Replaced { .. } => "replaced",
            OutputHead::Classes { .. } => "classes",
        });
        Description {
            family: spec.family.clone(),
            name: spec.name.clone(),
            architecture: spec.architecture.name(),
            parameters: self.transformer.parameters(),
            vocabulary: spec.vocabulary,
            width: spec.width,
            layers: Layers { encoder: spec.encoder.layers, decoder: spec.decoder.layers },
            heads: stack.heads,
            kv_heads: stack.kv_heads,
            head_width: stack.head_width,
            feed_forward_width: stack.feed_forward_width,
            max_positions: spec.max_positions,
            activation: shape(stack).activation,
            norm: format!("{:?} {:?}", stack.order, stack.norm.kind).to_lowercase(),
            positions: match stack.positions {
                Positions::Learned { .. } => "learned",
                Positions::Sinusoidal => "sinusoidal",
                Positions::Rotary(_) => "rotary",
                Positions::Relative { .. } => "relative",
                Positions::Slopes => "slopes",
            },
            stacks: stacks.into_iter().collect(),
            stored: self.stored.clone(),
            tasks: task::tasks(spec, &self.tokenizer),
            special: spec.special,
            output_heads: output_heads.collect(),
            masks,
            languages: spec.languages.clone().map(|(source, target)| Languages { source, target }),
            pretrained_as: spec.pretrained_as.map(|architecture| architecture.name()),
            objective: spec.objective.clone(),
            ledger: self.transformer.ledger(),
            cost: [8, 32, spec.max_positions].map(|keys| spec.cost(keys)).to_vec(),
        }
    }
}

fn shape(stack: &Stack) -> StackShape {
    StackShape {
        layers: stack.layers,
        distinct_layers: stack.distinct_layers,
        heads: stack.heads,
        kv_heads: stack.kv_heads,
        head_width: stack.head_width,
        feed_forward_width: stack.feed_forward_width,
        activation: format!("{:?}", stack.activation).to_lowercase(),
        gated: stack.gated,
        norm: match stack.norm.kind {
            NormKind::Layer => "layer",
            NormKind::Rms => "rms",
        },
        order: stack.order,
        positions: stack.positions.clone(),
    }
}

/// The name of a file without its folders.
fn base_of(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().unwrap_or(name)
}

/// The largest file that is read as a whole: all but weights are far smaller.
const MOST_WHOLE: u64 = 256 << 20;

/// A part of a load that waits for files, as a function of its own. What waits runs anew each time that a part of a file
/// has come, and a browser compiles what runs often once more, in the background and as a whole: were all of a load one
/// function, which it becomes where nothing keeps it apart, that kept a core from the first token for a fifth of a second.
type Waiting<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + 'a>>;

/// What the small files of a folder say: the model, its family and its tokenizer. (Not inlined: see [`Waiting`].)
#[inline(never)]
fn described(
    config: &[u8],
    told: Option<&[u8]>,
    others: &[(String, Vec<u8>)],
) -> Result<(Spec, &'static Family, Tokenizer)> {
    let (mut spec, family) = family::recognise(config)?;
    if let Some(told) = told {
        generation::apply(told, &mut spec)?;
    }
    let other = |name: &str| match name {
        "config.json" => Some(config),
        _ => others.iter().find(|(have, _)| have == name).map(|(_, bytes)| bytes.as_slice()),
    };
    let mut tokenizer = Tokenizer::of_folder(&other, spec.vocabulary, spec.special)?;
    tokenizer.complete(&mut spec)?;
    Ok((spec, family, tokenizer))
}

/// The model that its weights' names complete, and where each weight stands. (Not inlined: see [`Waiting`].)
#[inline(never)]
fn planned(
    spec: &mut Spec,
    family: &Family,
    checkpoint: &Checkpoint,
    index: Option<&Index>,
) -> Result<(Transformer, Vec<Found>)> {
    if let Some(index) = index {
        index.check_tensors(checkpoint)?;
    }
    if let Some(heads) = family.heads {
        heads(spec, &|theirs| checkpoint.has(theirs));
    }
    let transformer = Transformer::new(spec)?;
    let found = find(spec, family, &transformer, checkpoint)?;
    Ok((transformer, found))
}

/// (Not inlined: see [`Waiting`].)
#[inline(never)]
fn stored_as(spec: &Spec, family: &Family, checkpoint: &Checkpoint) -> StoredAs {
    let place = |name| (family.stored)(spec, name, &|theirs| checkpoint.has(theirs)).name;
    StoredAs {
        formats: checkpoint.formats(),
        bytes: checkpoint.bytes(),
        tied: spec.head.map(|head| head.tied || place("head.weight") == place("token.weight")),
    }
}

/// A file from its first byte to its last.
async fn whole(name: &str, file: &impl ReadAt) -> Result<Vec<u8>> {
    match file.bytes() {
        bytes if bytes <= MOST_WHOLE => file.read(0..bytes).await,
        bytes => {
            let expected = format!("at most {MOST_WHOLE} bytes");
            Err(Error::limit(format!("`{name}`"), expected, bytes.to_string()))
        }
    }
}

/// All weights of a model, each once, in the order in which their files have them.
fn find(
    spec: &Spec,
    family: &Family,
    transformer: &Transformer,
    checkpoint: &Checkpoint,
) -> Result<Vec<Found>> {
    let mut all: Vec<Found> = Vec::new();
    let mut names: HashSet<&str> = HashSet::new();
    let stored = |name: &str| (family.stored)(spec, name, &|theirs: &str| checkpoint.has(theirs));
    for info in transformer.graphs().flat_map(|graph| graph.weights()) {
        if names.insert(&info.name) {
            all.push(checkpoint.find(info, &stored)?);
        }
    }
    all.sort_by_key(|found| checkpoint.end(found));
    Ok(all)
}

/// What a load holds beside the weights: a tensor that has to be turned, and parts of others on their way.
const BESIDE: u64 = 64 << 20;

/// Refuses what this program's memory cannot hold: a WebAssembly program that runs out of it ends every model of the
/// page. What lies on a GPU is the GPU's to refuse.
fn check_room(device: &Device, weights: &[Found], room: u64) -> Result<()> {
    let largest = weights.iter().map(Found::bytes).max().unwrap_or(0);
    let on_cpu = |found: &Found| bytes_held(found.info().out, found.info().inner, found.format());
    let held = if matches!(device, Device::Cpu(_)) { weights.iter().map(on_cpu).sum() } else { 0 };
    let need = held + largest + BESIDE;
    if need <= room {
        return Ok(());
    }
    let what = format!("a model of {held} bytes on the CPU, its largest tensor of {largest}");
    let got = format!("{room} bytes left; close other models, or take a smaller one");
    Err(Error::new(Kind::Memory, what, format!("room for {need} bytes"), got))
}

/// Bytes after which a load waits for the device to have taken them.
const AHEAD: u64 = 64 << 20;

async fn upload(device: &Device, checkpoint: &mut Checkpoint, found: &[Found]) -> Result<Weights> {
    let mut weights = device.weights();
    let mut ahead = 0;
    for weight in found {
        let WeightInfo { name, out, inner, .. } = weight.info();
        weights.reserve(name, *out, *inner, weight.format())?;
        for rows in weight.parts() {
            let rows = checkpoint.read(weight, rows).await?;
            weights.fill(name, &rows)?;
        }
        ahead += weight.bytes();
        if ahead > AHEAD {
            weights.settled().await?;
            ahead = 0;
        }
    }
    weights.settled().await?;
    Ok(weights)
}

/// How a `config.json` says that its matrices are stored; half floats, as most are, where it does not say.
fn stated_format(config: &[u8]) -> Format {
    let config: serde_json::Value = serde_json::from_slice(config).unwrap_or_default();
    if config["quantization_config"]["quant_method"] == "unmasked-int8" {
        return Format::Int8;
    }
    match config["torch_dtype"].as_str().or(config["dtype"].as_str()) {
        Some("float32") => Format::F32,
        Some("bfloat16") => Format::Bf16,
        _ => Format::F16,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_says_how_its_matrices_are_stored() {
        let packed = include_bytes!("../www/models/en-fr-causal-int8/config.json");
        let halves = include_bytes!("../www/models/en-fr-causal/config.json");
        assert_eq!(stated_format(packed), Format::Int8);
        assert_eq!(stated_format(halves), Format::F16);
        assert_eq!(stated_format(br#"{"torch_dtype": "float32"}"#), Format::F32);
        assert_eq!(stated_format(br#"{"dtype": "bfloat16"}"#), Format::Bf16);
        for wrong in ["", "[]", "3", r#"{"torch_dtype": 3}"#] {
            assert_eq!(stated_format(wrong.as_bytes()), Format::F16);
        }
    }
}
