//! An architecture as data: what to build, and what it costs.
//!
//! A [`Spec`] has an encoder stack and a decoder stack; absence is zero layers. Encoder-only has no
//! decoder layers, decoder-only no encoder layers, and only a model with both has cross-attention.
//! Families ([`crate::family`]) fill a `Spec` from their `config.json`; [`crate::model`] reads it.

mod cost;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::graph::{Activation, NormKind, Pairing, Site};
use crate::mask::Rule;
pub use cost::{Cost, LedgerLine};

/// The four machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Architecture {
    /// Everyone sees everyone; fills blanks.
    Encoder,
    /// Nobody sees ahead; continues.
    Causal,
    /// The source is open, the answer causal; continues after reading both ways.
    Prefix,
    /// Two stacks: the source is open, the target causal, every target row sees the whole source.
    EncoderDecoder,
}

impl Architecture {
    /// The name in configs, traces and attributes.
    pub fn name(self) -> &'static str {
        match self {
            Architecture::Encoder => "encoder",
            Architecture::Causal => "causal",
            Architecture::Prefix => "prefix",
            Architecture::EncoderDecoder => "encoder-decoder",
        }
    }

    /// The stack that yields the logits.
    pub fn output_site(self) -> Site {
        match self {
            Architecture::Encoder => Site::Encoder,
            _ => Site::Decoder,
        }
    }

    /// The mask it was trained with; a prefix opens its `source` first positions.
    pub fn rule(self, site: Site, source: usize) -> Rule {
        match (site, self) {
            (Site::Decoder, Architecture::Prefix) => Rule::Prefix(source),
            (Site::Decoder, _) => Rule::Causal,
            _ => Rule::Full,
        }
    }
}

/// How a row learns where it stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Positions {
    /// A learned row a position; position 0 is row `offset` of the table (RoBERTa, BART: 2).
    Learned {
        /// Rows of the table before position 0.
        offset: usize,
        /// Streams, each with its own table (GLM: 2).
        streams: usize,
    },
    /// Fixed sines and cosines added to the input.
    Sinusoidal,
    /// Queries and keys turn by their position.
    Rotary(Rotary),
    /// T5's learned bias a head and distance bucket, shared by all layers of a stack.
    Relative {
        /// Buckets of the table.
        buckets: usize,
        /// Distance from which all share the last bucket.
        max_distance: usize,
    },
    /// A fixed slope a head times the distance.
    Slopes,
}

impl Positions {
    /// How many positions a row has: two where an answer's rows share the place of their blank and
    /// count within it (GLM).
    pub fn streams(&self) -> usize {
        match self {
            Positions::Learned { streams, .. } => *streams,
            Positions::Rotary(rotary) => rotary.parts,
            _ => 1,
        }
    }
}

/// Rotary positions.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rotary {
    /// Columns of each head that turn, in all parts together.
    pub dims: usize,
    /// Which columns form a pair.
    #[serde(skip)]
    pub pairing: Pairing,
    /// Radians per position of each pair, scaling already applied; `dims / 2 / parts` of them.
    #[serde(skip)]
    pub frequencies: Vec<f32>,
    /// 1, or 2 where each half of the columns follows its own position stream (ChatGLM).
    pub parts: usize,
}

/// Normalisation of a stack.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Norm {
    /// LayerNorm or RMSNorm.
    pub kind: NormKind,
    /// Added to the variance.
    pub epsilon: f32,
    /// Added to the stored weight (Gemma: 1).
    pub offset: f32,
    /// Whether there is a bias.
    pub bias: bool,
}

/// Where the norms of a block stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// `x + f(norm(x))`, a final norm after the stack (GPT-2).
    Pre,
    /// `norm(x + f(x))` (the original Transformer, BERT).
    Post,
    /// `x + attention(norm(x)) + feed_forward(norm'(x))`, both from the same x (GPT-NeoX, PaLM).
    Parallel,
}

/// Which linear layers have a bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Biases {
    /// Queries, keys and values.
    pub query_key_value: bool,
    /// The attention's output.
    pub attention_output: bool,
    /// The feed-forward.
    pub feed_forward: bool,
}

/// One stack of equal blocks.
#[derive(Clone, Debug, PartialEq)]
pub struct Stack {
    /// Blocks.
    pub layers: usize,
    /// Blocks with weights of their own: `layers`, or fewer where they are shared (ALBERT: 1).
    pub distinct_layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key/value heads; a divisor of `heads`.
    pub kv_heads: usize,
    /// Columns of a head.
    pub head_width: usize,
    /// Factor of a score.
    pub scale: f32,
    /// Scores of block L (from 0) are divided by L + 1 as well (a switch of GPT-2).
    pub scale_by_depth: bool,
    /// Queries and keys normalised per head before they turn (Qwen3, Gemma3).
    pub query_key_norm: bool,
    /// Inner width of the feed-forward.
    pub feed_forward_width: usize,
    /// What bends it.
    pub activation: Activation,
    /// `down(activation(gate x) * up x)` instead of `down(activation(up x))`.
    pub gated: bool,
    /// How rows know their place.
    pub positions: Positions,
    /// Normalisation.
    pub norm: Norm,
    /// Where the norms stand.
    pub order: Order,
    /// Factor of x where a sub-layer is added to it: `residual_scale * x + f(x)` (DeepNorm: more than 1).
    pub residual_scale: f32,
    /// Whether a norm follows the last block.
    pub final_norm: bool,
    /// Whether a norm follows the embedding.
    pub embedding_norm: bool,
    /// Which linear layers have a bias.
    pub biases: Biases,
}

/// What turns final states into logits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Head {
    /// The output matrix is the token embedding.
    pub tied: bool,
    /// A bias a token.
    pub bias: bool,
    /// Factor of the states before the output matrix (T5 tied: `width^-0.5`).
    pub scale: f32,
    /// A linear layer, this activation and a norm come first (BERT).
    pub transform: Option<Activation>,
}

/// Other outputs that a checkpoint has, computed from final states. Where there is a `pool`, a linear
/// layer and this activation come first (BERT's pooler: tanh).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "head")]
pub enum OutputHead {
    /// Two classes from row 0: do these two belong together?
    Pair {
        /// What comes first.
        #[serde(skip)]
        pool: Option<Activation>,
    },
    /// One number a row: was this token replaced? (ELECTRA)
    Replaced {
        /// What comes first.
        #[serde(skip)]
        pool: Option<Activation>,
    },
    /// Classes from row 0.
    Classes {
        /// How many.
        classes: usize,
        /// What comes first.
        #[serde(skip)]
        pool: Option<Activation>,
    },
}

/// The ids that a template and a loop need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SpecialTokens {
    /// Padding.
    pub pad: Option<u32>,
    /// Begin of sequence; the decoder's start.
    pub bos: Option<u32>,
    /// Separator.
    pub sep: Option<u32>,
    /// End of sequence: generation stops here.
    pub eos: Option<u32>,
    /// A blank.
    pub mask: Option<u32>,
    /// Start of an encoder's input; the pair head reads it.
    pub cls: Option<u32>,
}

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Slot {
    /// The tokens of the source.
    Source,
    /// The tokens of the answer (in a pair: of the second sentence).
    Target,
    /// A special token.
    Token(u32),
}

/// How text becomes a model's input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template {
    /// What the model reads: `[BOS] source [SEP]`.
    pub source: Vec<Slot>,
    /// What an encoder reads of two sentences: `[CLS] source [SEP] target [SEP]`.
    pub pair: Vec<Slot>,
    /// Segments of a pair's two texts where they are not 0 and 1 (UniLM: 4 and 5).
    pub segments: Option<[u32; 2]>,
    /// What an answer starts with: an encoder-decoder's first token, GLM's start of a piece.
    pub start: Vec<u32>,
    /// Tokens that stand for what the answer is to fill, where a model has several (GLM).
    pub blanks: Vec<u32>,
    /// The blank that is filled where there are others, too; else it is the first (ChatGLM: `[gMASK]`).
    pub main_blank: Option<u32>,
    /// Tokens that end an answer, beside the end of sequence.
    pub ends: Vec<u32>,
    /// Where the token of the language to answer in stands, where a model has such tokens.
    pub language: Option<LanguagePlace>,
    /// Those tokens, each with its language's code.
    pub languages: Vec<(u32, String)>,
    /// What stands before a text to say what is to be done with it, as a config names it (T5).
    pub prefixes: Vec<String>,
}

impl Template {
    /// The language that a token stands for.
    pub fn language_of(&self, id: u32) -> Option<&(u32, String)> {
        self.languages.iter().find(|(known, _)| *known == id)
    }

    /// The language that a source is said to be in, where the template says so (mBART).
    pub fn source_language(&self) -> Option<&(u32, String)> {
        self.source.iter().find_map(|slot| match slot {
            Slot::Token(id) => self.language_of(*id),
            _ => None,
        })
    }
}

/// Where a model is told which language to answer in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LanguagePlace {
    /// The first token of the source (Marian: `>>fra<<`).
    Source,
    /// The last token before the answer (mBART: `fr_XX`).
    Start,
}

/// An architecture as data.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// `model_type` of the config.
    pub family: String,
    /// The name that people know the family by.
    pub name: String,
    /// Which machine it is.
    pub architecture: Architecture,
    /// Token ids are below this.
    pub vocabulary: usize,
    /// Columns of the stream between blocks.
    pub width: usize,
    /// Columns of the token table where factorised (ALBERT), else `width`.
    pub embedding_width: usize,
    /// Factor of a token's row (Marian: `width^0.5`).
    pub embedding_scale: f32,
    /// Rows of the segment table; 0 where there is none.
    pub segments: usize,
    /// Longest sequence of a stack.
    pub max_positions: usize,
    /// The encoder; zero layers where there is none.
    pub encoder: Stack,
    /// The decoder; zero layers where there is none.
    pub decoder: Stack,
    /// What makes logits; `None` for a checkpoint without (ELECTRA's discriminator).
    pub head: Option<Head>,
    /// Other outputs.
    pub output_heads: Vec<OutputHead>,
    /// Special ids.
    pub special: SpecialTokens,
    /// How text becomes input.
    pub template: Template,
    /// Names of the classes of a classification head; empty where its config has none.
    pub labels: Vec<String>,
    /// The architecture whose mask its pre-training used, where it was released as another (ChatGLM).
    pub pretrained_as: Option<Architecture>,
    /// What it was trained to do, as its config says.
    pub objective: Option<String>,
    /// Source and target language where the config says.
    pub languages: Option<(String, String)>,
}

impl Stack {
    /// No stack.
    pub fn absent() -> Stack {
        Stack {
            layers: 0,
            distinct_layers: 0,
            heads: 0,
            kv_heads: 0,
            head_width: 0,
            scale: 1.0,
            scale_by_depth: false,
            query_key_norm: false,
            feed_forward_width: 0,
            activation: Activation::Gelu,
            gated: false,
            positions: Positions::Sinusoidal,
            norm: Norm { kind: NormKind::Layer, epsilon: 1e-5, offset: 0.0, bias: true },
            order: Order::Pre,
            residual_scale: 1.0,
            final_norm: false,
            embedding_norm: false,
            biases: Biases { query_key_value: true, attention_output: true, feed_forward: true },
        }
    }

    /// Blocks of the plainest kind, to be changed where a family differs: post-norm, LayerNorm,
    /// learned positions, every bias, keys and values for each head.
    pub fn plain(layers: usize, heads: usize, head_width: usize, inner: usize) -> Stack {
        Stack {
            layers,
            distinct_layers: layers,
            heads,
            kv_heads: heads,
            head_width,
            scale: (head_width as f32).sqrt().recip(),
            feed_forward_width: inner,
            positions: Positions::Learned { offset: 0, streams: 1 },
            order: Order::Post,
            ..Stack::absent()
        }
    }

    /// Columns of all query heads.
    pub fn query_width(&self) -> usize {
        self.heads * self.head_width
    }

    /// Columns of all key heads.
    pub fn kv_width(&self) -> usize {
        self.kv_heads * self.head_width
    }
}

impl Head {
    /// A matrix alone.
    pub fn plain(tied: bool) -> Head {
        Head { tied, bias: false, scale: 1.0, transform: None }
    }
}

impl Spec {
    /// A model without stacks, heads and special tokens yet.
    pub fn plain(family: &str, architecture: Architecture, width: usize) -> Spec {
        Spec {
            family: family.into(),
            name: String::new(),
            architecture,
            vocabulary: 0,
            width,
            embedding_width: width,
            embedding_scale: 1.0,
            segments: 0,
            max_positions: 0,
            encoder: Stack::absent(),
            decoder: Stack::absent(),
            head: None,
            output_heads: Vec::new(),
            special: SpecialTokens::default(),
            template: Template::default(),
            labels: Vec::new(),
            pretrained_as: None,
            objective: None,
            languages: None,
        }
    }

    /// The stack whose states become logits.
    pub fn output_stack(&self) -> &Stack {
        match self.architecture.output_site() {
            Site::Encoder => &self.encoder,
            _ => &self.decoder,
        }
    }

    /// The stack that a site's queries belong to.
    pub fn stack(&self, site: Site) -> &Stack {
        match site {
            Site::Encoder => &self.encoder,
            Site::Decoder | Site::Cross => &self.decoder,
        }
    }

    /// The sites that the architecture has.
    pub fn sites(&self) -> Vec<Site> {
        match (self.encoder.layers, self.decoder.layers) {
            (_, 0) => vec![Site::Encoder],
            (0, _) => vec![Site::Decoder],
            _ => Site::ALL.to_vec(),
        }
    }

    /// Whether it writes step by step.
    pub fn generates(&self) -> bool {
        self.architecture != Architecture::Encoder
    }

    /// Whether it says which class a text is of.
    pub fn has_classes(&self) -> bool {
        self.output_heads.iter().any(|head| matches!(head, OutputHead::Classes { .. }))
    }

    /// Refuses what cannot be before anything is built from it.
    pub fn check(&self) -> Result<()> {
        let sensible = |what: &str, value: usize, most: usize| {
            if (1..=most).contains(&value) {
                return Ok(());
            }
            Err(Error::config(what, format!("1 to {most}"), value.to_string()))
        };
        sensible("vocabulary", self.vocabulary, 4_000_000)?;
        sensible("width", self.width, 65_536)?;
        sensible("embedding width", self.embedding_width, 65_536)?;
        sensible("positions", self.max_positions, 1 << 20)?;
        let layers = (self.encoder.layers, self.decoder.layers);
        let fits = match self.architecture {
            Architecture::Encoder => layers.0 > 0 && layers.1 == 0,
            Architecture::Causal | Architecture::Prefix => layers.0 == 0 && layers.1 > 0,
            Architecture::EncoderDecoder => layers.0 > 0 && layers.1 > 0,
        };
        if !fits {
            let name = self.architecture.name();
            return Err(Error::config(
                format!("layers of a model of architecture `{name}`"),
                "encoder layers only (encoder), decoder layers only (causal, prefix) or both",
                format!("{} encoder and {} decoder layers", layers.0, layers.1),
            ));
        }
        for (name, stack) in [("encoder", &self.encoder), ("decoder", &self.decoder)] {
            if stack.layers == 0 {
                continue;
            }
            sensible(&format!("{name} layers"), stack.layers, 1_024)?;
            sensible(&format!("{name} heads"), stack.heads, 1_024)?;
            sensible(&format!("{name} head width"), stack.head_width, 4_096)?;
            sensible(&format!("{name} feed-forward width"), stack.feed_forward_width, 1 << 20)?;
            if stack.kv_heads == 0 || stack.heads % stack.kv_heads != 0 {
                return Err(Error::config(
                    format!("{name} key/value heads"),
                    format!("a divisor of the {} heads", stack.heads),
                    stack.kv_heads.to_string(),
                ));
            }
            let cells = match stack.positions {
                Positions::Sinusoidal => self.embedding_width.saturating_mul(self.max_positions),
                Positions::Relative { .. } | Positions::Slopes => {
                    stack.heads.saturating_mul(self.max_positions)
                }
                _ => 0,
            };
            if cells > 1 << 27 {
                let expected = format!("at most {} numbers", 1 << 27);
                return Err(Error::config(
                    format!("{name} position table"),
                    expected,
                    cells.to_string(),
                ));
            }
            if !(stack.norm.epsilon > 0.0 && stack.norm.epsilon < 1.0) {
                let got = stack.norm.epsilon.to_string();
                return Err(Error::config(format!("{name} norm epsilon"), "between 0 and 1", got));
            }
        }
        let ids = [
            self.special.pad,
            self.special.bos,
            self.special.sep,
            self.special.eos,
            self.special.mask,
            self.special.cls,
        ];
        let template = self.template.source.iter().chain(&self.template.pair);
        let tokens = template.filter_map(|slot| match slot {
            Slot::Token(id) => Some(*id),
            _ => None,
        });
        for id in ids.into_iter().flatten().chain(tokens).chain(
            self.template
                .start
                .iter()
                .chain(&self.template.ends)
                .chain(&self.template.blanks)
                .chain(self.template.languages.iter().map(|(id, _)| id))
                .copied(),
        ) {
            if id as usize >= self.vocabulary {
                let expected = format!("below the vocabulary of {}", self.vocabulary);
                return Err(Error::config("special token id", expected, id.to_string()));
            }
        }
        Ok(())
    }
}
