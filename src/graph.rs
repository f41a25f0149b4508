//! A forward pass as a short list of ops over value handles, recorded once and played many times.
//!
//! [`Graph`] knows no device and no numbers: only names of weights, shapes, and order. Shapes are
//! checked as it is built. What changes from play to play (ids, rows, masks, gates) is a [`Play`].
//!
//! Values are matrices `[variant][row][width]`, f32. Variants are a dimension of every op: a matmul
//! sees `variants x rows` rows, attention indexes by variant.

mod build;
mod play;

pub use play::{Candidate, Capacity, Choice, Counters, Draw, Play, Played, Tap};

/// Where an attention stands. It names the cache that the attention reads and the mask it obeys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Site {
    /// The encoder's self-attention.
    Encoder = 0,
    /// The decoder's self-attention.
    Decoder = 1,
    /// The decoder's attention over the memory (the encoder's output).
    Cross = 2,
}

impl Site {
    /// All three, in the order of their numbers.
    pub const ALL: [Site; 3] = [Site::Encoder, Site::Decoder, Site::Cross];

    /// The name that traces, mask files and the page use.
    pub fn name(self) -> &'static str {
        match self {
            Site::Encoder => "encoder",
            Site::Decoder => "decoder",
            Site::Cross => "cross",
        }
    }
}

/// A handle of a value of one graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Value(pub u32);

/// A handle of a weight of one graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Weight(pub u32);

/// How many rows a value has in a play.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extent {
    /// One for each row of the play.
    Rows,
    /// One for each picked row: the rows whose logits are wanted.
    Picked,
}

/// Shape and place of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueInfo {
    /// Row count, known at play.
    pub extent: Extent,
    /// Columns.
    pub width: usize,
    /// For a view: the value it looks into and the first column of it. Views have no op.
    pub view: Option<(Value, usize)>,
}

/// Where the numbers of a weight come from. A loader reads them; a device sees only the result.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// Tensors `[out_i, in]` of the checkpoint (by our names), joined along `out`.
    Stored(Vec<String>),
    /// `sin` in the first half of the columns, `cos` in the second (Vaswani et al. 2017, as
    /// Marian lays it out).
    Sinusoids,
    /// Rotary frequencies `[1, dims / 2]` (Su et al. 2021), scaled as the family says.
    Frequencies(Vec<f32>),
    /// T5's learned bias of buckets spread over distances: `[heads, 2 * reach - 1]`, column
    /// `key - row + reach - 1` (Raffel et al. 2020).
    Buckets {
        /// The stored table `[buckets, heads]`, by our name.
        name: String,
        /// Number of buckets.
        buckets: usize,
        /// Distance from which all share the last bucket.
        max_distance: usize,
        /// Whether half of the buckets is for keys to the right.
        bidirectional: bool,
    },
    /// ALiBi's slopes times distance, laid out as `Buckets` (Press et al. 2022).
    Slopes,
}

/// A weight that a graph reads, `[out, in]` row by row, whatever the checkpoint's layout was.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightInfo {
    /// Unique name: equal names mean the same numbers, in every graph of a model.
    pub name: String,
    /// Rows: outputs of a matmul, entries of a table; 1 for a vector.
    pub out: usize,
    /// Columns: inputs of a matmul, width of a table, length of a vector.
    pub inner: usize,
    /// Where they come from.
    pub source: Source,
}

/// What picks the row of a table in an embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Index {
    /// The token's id.
    Token,
    /// The segment of the token (BERT's token type).
    Segment,
    /// The position in this stream (GLM has two).
    Position(usize),
}

/// One table of an embedding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lookup {
    /// Table `[entries, width]`.
    pub table: Weight,
    /// What picks its row.
    pub index: Index,
    /// Factor of the row.
    pub scale: f32,
}

/// How a row is normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NormKind {
    /// Mean 0, variance 1 (Ba et al. 2016).
    Layer,
    /// Root mean square 1 (Zhang & Sennrich 2019).
    Rms,
}

/// What a feed-forward or a head bends its values with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `x * Φ(x)` with the error function.
    Gelu,
    /// Its tanh approximation.
    GeluTanh,
    /// `x * sigmoid(1.702 x)`.
    QuickGelu,
    /// `x * sigmoid(x)`.
    Silu,
    /// `tanh x`.
    Tanh,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
}

/// Which of a head's columns a rotation pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pairing {
    /// Column `i` with `i + dims / 2` (GPT-NeoX, LLaMA as Hugging Face stores it).
    Halves,
    /// Column `2 i` with `2 i + 1` (GPT-J, ChatGLM2).
    Neighbours,
}

/// Rotary positions of a part of each head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rotation {
    /// First column of each head that turns.
    pub start: usize,
    /// How many columns turn.
    pub dims: usize,
    /// Which columns form a pair.
    pub pairing: Pairing,
    /// The stream whose positions turn it.
    pub stream: usize,
}

/// The shape of an attention.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heads {
    /// Query heads.
    pub heads: usize,
    /// Key/value heads, a divisor of `heads`: query head `h` reads `h / (heads / kv_heads)`.
    pub kv_heads: usize,
    /// Columns of a head.
    pub head_width: usize,
    /// Factor of a score before the bias and the softmax.
    pub scale: f32,
}

/// One step of a forward pass. Each variant names its operands in the formula above it.
#[allow(missing_docs)]
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// `out[r] = Σ scale_i * table_i[index_i(r)]`, one to four tables.
    Embed { lookups: Vec<Lookup>, out: Value },
    /// `out[i] = x[picked[i]]`.
    Pick { x: Value, out: Value },
    /// Each of `groups` equal parts of a row normalised alone, then times `weight + offset`, plus
    /// `bias`; weight and bias `[1, width / groups]`.
    Norm {
        x: Value,
        kind: NormKind,
        groups: usize,
        epsilon: f32,
        offset: f32,
        weight: Option<Weight>,
        bias: Option<Weight>,
        out: Value,
    },
    /// `out = scale * x weightᵀ + bias`, weight `[out, in]`, bias `[1, out]`.
    Matmul { x: Value, weight: Weight, bias: Option<Weight>, scale: f32, out: Value },
    /// `out = activation(x)`.
    Activate { x: Value, activation: Activation, out: Value },
    /// `out = scale * a + b`.
    Add { a: Value, b: Value, scale: f32, out: Value },
    /// `out = a * b`, cell by cell.
    Multiply { a: Value, b: Value, out: Value },
    /// Rotary positions on every head; frequencies `[1, dims / 2]`.
    Rotate {
        x: Value,
        heads: usize,
        head_width: usize,
        rotation: Rotation,
        frequencies: Weight,
        out: Value,
    },
    /// Puts keys and values `[row][kv_heads * head_width]` into the site's cache, at the rows' slots.
    Store { keys: Value, values: Value, site: Site, layer: usize },
    /// `softmax(scale * q kᵀ + bias, where visible) v * gate` over the site's cache of this layer.
    /// `bias` is `[heads, 2 * reach - 1]`, column `key - row + reach - 1` clamped to its ends.
    Attend {
        queries: Value,
        site: Site,
        layer: usize,
        heads: Heads,
        bias: Option<Weight>,
        out: Value,
    },
    /// Chooses an id for each picked row from its logits, by the play's [`Draw`]s.
    Sample { logits: Value },
}

/// What a watch can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum What {
    /// Attention probabilities `[head][row][key]`.
    Attention,
    /// Scores before the softmax, scale and bias included, `[head][row][key]`; 0 where hidden.
    Scores,
    /// Queries as the attention uses them `[row][heads * head_width]`.
    Queries,
    /// Keys `[row][kv_heads * head_width]`, of the rows of this play.
    Keys,
    /// Values `[row][kv_heads * head_width]`, of the rows of this play.
    Values,
    /// The stream between blocks `[row][width]`: layer 0 is the embedding, layer L what leaves the
    /// L-th block (before a final norm).
    Hidden,
    /// `[picked][vocabulary]`.
    Logits,
    /// The pair head `[picked][2]`.
    Pair,
    /// The replaced-token head `[picked][1]`.
    Replaced,
    /// A classification head `[picked][classes]`.
    Classes,
}

/// The name of something watchable: of a labelled value, or of an attention's inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Label {
    /// What it is.
    pub what: What,
    /// The stack or attention it belongs to.
    pub site: Site,
    /// Its layer (for `Hidden`: how many blocks it has passed).
    pub layer: usize,
}

/// A cache that a graph stores into or reads: `[layer][key|value][variant][kv_head][slot][head_width]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheInfo {
    /// Whose cache.
    pub site: Site,
    /// Layers.
    pub layers: usize,
    /// Key/value heads.
    pub kv_heads: usize,
    /// Columns of a head.
    pub head_width: usize,
}

/// A forward pass, recorded.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    ops: Vec<Op>,
    values: Vec<ValueInfo>,
    weights: Vec<WeightInfo>,
    labels: Vec<(Label, Value)>,
    caches: Vec<CacheInfo>,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Graph {
        Graph::default()
    }

    /// The ops, in the order they run.
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// All values; a [`Value`] is an index into them.
    pub fn values(&self) -> &[ValueInfo] {
        &self.values
    }

    /// All weights; a [`Weight`] is an index into them.
    pub fn weights(&self) -> &[WeightInfo] {
        &self.weights
    }

    /// The values that a watch can name.
    pub fn labels(&self) -> &[(Label, Value)] {
        &self.labels
    }

    /// The caches it stores into or reads.
    pub fn caches(&self) -> &[CacheInfo] {
        &self.caches
    }

    /// Shape of a value.
    pub fn info(&self, value: Value) -> &ValueInfo {
        &self.values[value.0 as usize]
    }

    /// Name and shape of a weight.
    pub fn weight_info(&self, weight: Weight) -> &WeightInfo {
        &self.weights[weight.0 as usize]
    }

    /// The value that owns the memory of `value`, and the first column in it.
    pub fn root(&self, value: Value) -> (Value, usize) {
        match self.info(value).view {
            Some((of, start)) => {
                let (root, base) = self.root(of);
                (root, base + start)
            }
            None => (value, 0),
        }
    }

    /// The value of a label, if the graph has it.
    pub fn labelled(&self, label: Label) -> Option<Value> {
        self.labels.iter().find(|(have, _)| *have == label).map(|(_, value)| *value)
    }

    /// The attention op of a site and layer, if the graph has it.
    pub fn attention(&self, site: Site, layer: usize) -> Option<&Op> {
        self.ops.iter().find(|op| match op {
            Op::Attend { site: s, layer: l, .. } => *s == site && *l == layer,
            _ => false,
        })
    }
}
