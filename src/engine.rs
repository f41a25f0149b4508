//! A model on a device: loaded from the files of its folder, described, ready for sessions.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde::Serialize;

use crate::device::{Device, Weights};
use crate::error::{Error, Kind, Result};
use crate::family::{self, Family};
use crate::graph::{NormKind, Site};
use crate::mask::Rule;
use crate::model::Transformer;
use crate::spec::{Cost, LedgerLine, Order, OutputHead, Positions, Spec, SpecialTokens, Stack};
use crate::task::{self, Task};
use crate::tokenizer::{self, Input, Tokenizer};
use crate::trace::ModelInfo;
use crate::weights::Checkpoint;

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
    pub bytes: usize,
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
    pub parameters: usize,
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
    /// Loads a model folder: `config.json`, a `tokenizer.json` (or the files that came before it) and
    /// one or more `.safetensors`.
    pub fn load(files: Vec<(String, Vec<u8>)>, device: Rc<Device>) -> Result<Engine> {
        let mut weights_files = Vec::new();
        let (mut config, mut index) = (None, None);
        let mut others: Vec<(String, Vec<u8>)> = Vec::new();
        for (name, bytes) in files {
            let base = name.rsplit(['/', '\\']).next().unwrap_or(&name).to_string();
            match base.as_str() {
                "config.json" => config = Some(bytes),
                "model.safetensors.index.json" => index = Some(bytes),
                _ if base.ends_with(".safetensors") => weights_files.push((base, bytes)),
                _ if tokenizer::FILES.contains(&base.as_str()) => others.push((base, bytes)),
                _ => {}
            }
        }
        let missing = |name: &str| {
            Error::new(Kind::Input, format!("`{name}`"), "in the model folder", "no such file")
        };
        let config = config.ok_or_else(|| missing("config.json"))?;
        let (mut spec, family) = family::recognise(&config)?;
        let other = |name: &str| {
            others.iter().find(|(have, _)| have == name).map(|(_, bytes)| bytes.as_slice())
        };
        let mut tokenizer = Tokenizer::of_folder(&other, spec.vocabulary, spec.special)?;
        tokenizer.complete(&mut spec)?;
        let index = index.map(|index| read_index(&index, &weights_files)).transpose()?;
        if weights_files.is_empty() {
            return Err(missing("model.safetensors"));
        }
        let checkpoint = Checkpoint::open(weights_files)?;
        if let Some(index) = index {
            check_index(&index, &checkpoint)?;
        }
        let transformer = Transformer::new(&spec)?;
        let weights = upload(&device, &spec, family, &transformer, &checkpoint)?;
        let place = |name| (family.stored)(&spec, name, &|theirs| checkpoint.has(theirs)).name;
        let stored = StoredAs {
            formats: checkpoint.formats(),
            bytes: checkpoint.bytes(),
            tied: spec.head.map(|head| head.tied || place("head.weight") == place("token.weight")),
        };
        Ok(Engine { device, spec, transformer, tokenizer, weights, stored })
    }

    /// Readies a device for a model of which only `config.json` is there yet: what its graphs need is compiled
    /// while the weights are on their way.
    pub fn warm(config: &[u8], device: &Device) -> Result<()> {
        let (spec, _) = family::recognise(config)?;
        Transformer::new(&spec)?.graphs().try_for_each(|graph| device.warm(graph))
    }

    /// Refuses files that this program's memory cannot hold beside what it holds already: a WebAssembly
    /// program has 4 GB, and running out of it would end every model of the page.
    pub fn check_room(files: u64, held: u64) -> Result<()> {
        const MEMORY: u64 = 1 << 32;
        // The files, their tensors as a device wants them, and one tensor in between.
        let need = files.saturating_mul(9) / 4;
        let left = MEMORY.saturating_sub(held);
        if need <= left {
            return Ok(());
        }
        let what = format!("model files of {files} bytes");
        let got = format!("{left} bytes left; close other models, or take a smaller one");
        Err(Error::new(Kind::Memory, what, format!("room for {need} bytes"), got))
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

fn upload(
    device: &Device,
    spec: &Spec,
    family: &Family,
    transformer: &Transformer,
    checkpoint: &Checkpoint,
) -> Result<Weights> {
    let mut weights = device.weights();
    let mut done: Vec<&str> = Vec::new();
    for info in transformer.graphs().flat_map(|graph| graph.weights()) {
        if done.contains(&info.name.as_str()) {
            continue;
        }
        done.push(&info.name);
        let matrix = checkpoint
            .resolve(info, &|name| (family.stored)(spec, name, &|theirs| checkpoint.has(theirs)))?;
        weights.upload(&info.name, info.out, info.inner, matrix)?;
    }
    Ok(weights)
}

const INDEX: &str = "`model.safetensors.index.json`";

/// Which shard has which tensor.
type Index = BTreeMap<String, String>;

/// Reads the index; every shard that it names must be there.
fn read_index(index: &[u8], files: &[(String, Vec<u8>)]) -> Result<Index> {
    #[derive(serde::Deserialize)]
    struct File {
        weight_map: Index,
    }
    let index: File = serde_json::from_slice(index)
        .map_err(|error| Error::weights(INDEX, "a `weight_map`", error.to_string()))?;
    for shard in index.weight_map.values() {
        if !files.iter().any(|(name, _)| name == shard) {
            let got = format!("no `{}`", shard.escape_debug());
            return Err(Error::weights(INDEX, "every shard in the folder", got));
        }
    }
    Ok(index.weight_map)
}

/// Index and shards must speak of the same tensors: else files of two models lie together.
fn check_index(index: &Index, checkpoint: &Checkpoint) -> Result<()> {
    if let Some(tensor) = index.keys().find(|tensor| !checkpoint.has(tensor)) {
        let got = format!("no tensor `{}` in the shards", tensor.escape_debug());
        return Err(Error::weights(INDEX, "the tensors of the shards", got));
    }
    if let Some(tensor) = checkpoint.names().find(|tensor| !index.contains_key(*tensor)) {
        let got = format!("no entry for `{}`", tensor.escape_debug());
        return Err(Error::weights(INDEX, "the tensors of the shards", got));
    }
    Ok(())
}
