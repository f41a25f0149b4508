//! A forward pass as a short list of ops over value handles, recorded once and played many times.
//!
//! [`Graph`] knows no device and no numbers: only names of weights, shapes, and order. Shapes are
//! checked as it is built. What changes from play to play (ids, rows, masks, gates) is a [`Play`].
//!
//! Values are matrices `[variant][row][width]`, f32. Variants are a dimension of every op: a matmul
//! sees `variants x rows` rows, attention indexes by variant.

use crate::error::{Error, Result};
use crate::mask::Bits;

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
    /// `out = a + b`.
    Add { a: Value, b: Value, out: Value },
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

    // ---- building -------------------------------------------------------------------------

    /// Declares a weight, or finds the one of that name.
    pub fn weight(
        &mut self,
        name: &str,
        out: usize,
        inner: usize,
        source: Source,
    ) -> Result<Weight> {
        if let Some(index) = self.weights.iter().position(|weight| weight.name == name) {
            let have = &self.weights[index];
            if (have.out, have.inner) != (out, inner) {
                return Err(shape_error(
                    &format!("weight `{name}`"),
                    format!("[{}, {}]", have.out, have.inner),
                    format!("[{out}, {inner}]"),
                ));
            }
            return Ok(Weight(index as u32));
        }
        self.weights.push(WeightInfo { name: name.into(), out, inner, source });
        Ok(Weight(self.weights.len() as u32 - 1))
    }

    /// Names a value, so that a watch can ask for it.
    pub fn label(&mut self, what: What, site: Site, layer: usize, value: Value) {
        self.labels.push((Label { what, site, layer }, value));
    }

    /// A view of `width` columns of `x`.
    pub fn columns(&mut self, x: Value, start: usize, width: usize) -> Result<Value> {
        let info = self.info(x);
        if start + width > info.width {
            let got = format!("columns {start}..{}", start + width);
            return Err(shape_error("view", format!("at most {} columns", info.width), got));
        }
        let extent = info.extent;
        Ok(self.push_value(extent, width, Some((x, start))))
    }

    /// See [`Op::Embed`].
    pub fn embed(&mut self, lookups: Vec<Lookup>) -> Result<Value> {
        let width = match lookups.first() {
            Some(first) if lookups.len() <= 4 => self.weight_info(first.table).inner,
            _ => {
                let got = lookups.len().to_string();
                return Err(shape_error("embedding tables", "1 to 4".into(), got));
            }
        };
        for lookup in &lookups {
            let table = self.weight_info(lookup.table);
            expect(&format!("width of `{}`", table.name), width, table.inner)?;
        }
        let out = self.push_value(Extent::Rows, width, None);
        self.ops.push(Op::Embed { lookups, out });
        Ok(out)
    }

    /// See [`Op::Pick`].
    pub fn pick(&mut self, x: Value) -> Value {
        let out = self.push_value(Extent::Picked, self.info(x).width, None);
        self.ops.push(Op::Pick { x, out });
        out
    }

    /// See [`Op::Norm`].
    #[allow(clippy::too_many_arguments)]
    pub fn norm(
        &mut self,
        x: Value,
        kind: NormKind,
        groups: usize,
        epsilon: f32,
        offset: f32,
        weight: Option<Weight>,
        bias: Option<Weight>,
    ) -> Result<Value> {
        let (extent, width) = (self.info(x).extent, self.info(x).width);
        if groups == 0 || !width.is_multiple_of(groups) {
            let got = format!("{groups} groups");
            return Err(shape_error("norm", format!("a divisor of {width}"), got));
        }
        for weight in [weight, bias].into_iter().flatten() {
            let info = self.weight_info(weight);
            expect(&format!("length of `{}`", info.name), width / groups, info.inner)?;
        }
        let out = self.push_value(extent, width, None);
        self.ops.push(Op::Norm { x, kind, groups, epsilon, offset, weight, bias, out });
        Ok(out)
    }

    /// See [`Op::Matmul`].
    pub fn matmul(
        &mut self,
        x: Value,
        weight: Weight,
        bias: Option<Weight>,
        scale: f32,
    ) -> Result<Value> {
        let (extent, width) = (self.info(x).extent, self.info(x).width);
        let info = self.weight_info(weight);
        expect(&format!("inputs of `{}`", info.name), width, info.inner)?;
        let outputs = info.out;
        if let Some(bias) = bias {
            let info = self.weight_info(bias);
            expect(&format!("length of `{}`", info.name), outputs, info.inner)?;
        }
        let out = self.push_value(extent, outputs, None);
        self.ops.push(Op::Matmul { x, weight, bias, scale, out });
        Ok(out)
    }

    /// See [`Op::Activate`].
    pub fn activate(&mut self, x: Value, activation: Activation) -> Value {
        let out = self.push_value(self.info(x).extent, self.info(x).width, None);
        self.ops.push(Op::Activate { x, activation, out });
        out
    }

    /// See [`Op::Add`].
    pub fn add(&mut self, a: Value, b: Value) -> Result<Value> {
        let out = self.push_pair("sum", a, b)?;
        self.ops.push(Op::Add { a, b, out });
        Ok(out)
    }

    /// See [`Op::Multiply`].
    pub fn multiply(&mut self, a: Value, b: Value) -> Result<Value> {
        let out = self.push_pair("product", a, b)?;
        self.ops.push(Op::Multiply { a, b, out });
        Ok(out)
    }

    /// See [`Op::Rotate`].
    pub fn rotate(
        &mut self,
        x: Value,
        heads: usize,
        head_width: usize,
        rotation: Rotation,
        frequencies: Weight,
    ) -> Result<Value> {
        let (extent, width) = (self.info(x).extent, self.info(x).width);
        expect("columns of all heads", width, heads * head_width)?;
        if rotation.dims % 2 == 1 || rotation.start + rotation.dims > head_width {
            return Err(shape_error(
                "rotary columns",
                format!("an even number within {head_width}"),
                format!("{} from {}", rotation.dims, rotation.start),
            ));
        }
        expect("rotary frequencies", rotation.dims / 2, self.weight_info(frequencies).inner)?;
        let out = self.push_value(extent, width, None);
        self.ops.push(Op::Rotate { x, heads, head_width, rotation, frequencies, out });
        Ok(out)
    }

    /// Declares the cache of a site, or checks that it has this shape.
    pub fn cache(&mut self, cache: CacheInfo) -> Result<()> {
        match self.caches.iter().find(|have| have.site == cache.site) {
            None => self.caches.push(cache),
            Some(have) if *have == cache => {}
            Some(have) => {
                let what = format!("{} cache", cache.site.name());
                return Err(shape_error(&what, format!("{have:?}"), format!("{cache:?}")));
            }
        }
        Ok(())
    }

    /// See [`Op::Store`].
    pub fn store(&mut self, keys: Value, values: Value, site: Site, layer: usize) -> Result<()> {
        let cache = self.cache_of(site, layer)?;
        for value in [keys, values] {
            expect(
                "columns of keys and values",
                cache.kv_heads * cache.head_width,
                self.info(value).width,
            )?;
        }
        self.ops.push(Op::Store { keys, values, site, layer });
        Ok(())
    }

    /// See [`Op::Attend`].
    pub fn attend(
        &mut self,
        queries: Value,
        site: Site,
        layer: usize,
        heads: Heads,
        bias: Option<Weight>,
    ) -> Result<Value> {
        let cache = self.cache_of(site, layer)?;
        expect("columns of the queries", heads.heads * heads.head_width, self.info(queries).width)?;
        expect("key/value heads", cache.kv_heads, heads.kv_heads)?;
        expect("head width", cache.head_width, heads.head_width)?;
        if heads.kv_heads == 0 || !heads.heads.is_multiple_of(heads.kv_heads) {
            return Err(shape_error(
                "key/value heads",
                format!("a divisor of {}", heads.heads),
                heads.kv_heads.to_string(),
            ));
        }
        if let Some(bias) = bias {
            expect("rows of the attention bias", heads.heads, self.weight_info(bias).out)?;
        }
        let out = self.push_value(Extent::Rows, heads.heads * heads.head_width, None);
        self.ops.push(Op::Attend { queries, site, layer, heads, bias, out });
        Ok(out)
    }

    /// See [`Op::Sample`].
    pub fn sample(&mut self, logits: Value) -> Result<()> {
        if self.info(logits).extent != Extent::Picked {
            return Err(shape_error("sampling", "picked rows".into(), "all rows".into()));
        }
        self.ops.push(Op::Sample { logits });
        Ok(())
    }

    fn cache_of(&self, site: Site, layer: usize) -> Result<CacheInfo> {
        match self.caches.iter().find(|cache| cache.site == site) {
            Some(cache) if layer < cache.layers => Ok(*cache),
            Some(cache) => {
                let what = format!("layer of the {} cache", site.name());
                Err(shape_error(&what, format!("below {}", cache.layers), layer.to_string()))
            }
            None => {
                let what = format!("{} cache", site.name());
                Err(shape_error(&what, "declared before its use".into(), "no cache".into()))
            }
        }
    }

    fn push_pair(&mut self, what: &str, a: Value, b: Value) -> Result<Value> {
        let (left, right) = (self.info(a), self.info(b));
        if (left.extent, left.width) != (right.extent, right.width) {
            let show = |info: &ValueInfo| format!("[{:?}, {}]", info.extent, info.width);
            return Err(shape_error(what, show(left), show(right)));
        }
        Ok(self.push_value(left.extent, left.width, None))
    }

    fn push_value(&mut self, extent: Extent, width: usize, view: Option<(Value, usize)>) -> Value {
        self.values.push(ValueInfo { extent, width, view });
        Value(self.values.len() as u32 - 1)
    }
}

fn expect(what: &str, expected: usize, got: usize) -> Result<()> {
    if expected == got {
        return Ok(());
    }
    Err(shape_error(what, expected.to_string(), got.to_string()))
}

/// A shape that does not fit is a setting of the config that cannot be.
fn shape_error(what: &str, expected: String, got: String) -> Error {
    Error::config(what, expected, got)
}

/// The most that one prepared graph is played with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Rows of a play.
    pub rows: usize,
    /// Slots of each site's cache.
    pub keys: [usize; 3],
    /// Variants.
    pub variants: usize,
}

/// How an id is drawn from the logits of one picked row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Draw {
    /// Logits are divided by it; 0 takes the largest (ties: the smallest id).
    pub temperature: f32,
    /// Keep only this many of the largest; 0 keeps all.
    pub top_k: u32,
    /// Keep the smallest set of the largest whose probabilities (after the temperature, over the
    /// whole vocabulary) reach this; 1 keeps all. Never empty. A tie goes to the smaller id.
    pub top_p: f32,
    /// In [0, 1): the first kept id, counted by id, whose running share of the kept probability
    /// exceeds it is chosen.
    pub uniform: f32,
}

impl Draw {
    /// The largest logit.
    pub const GREEDY: Draw = Draw { temperature: 0.0, top_k: 0, top_p: 1.0, uniform: 0.0 };
}

/// One thing to bring back from a play.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tap {
    /// What, where.
    pub label: Label,
    /// For attention and scores: these heads. For other labels unused and empty.
    pub heads: Vec<u32>,
    /// These rows, counted within the play (for picked values: within the picked rows).
    pub rows: Vec<u32>,
}

/// What one play of a graph is given. Typing, painting and silencing heads change only this.
#[derive(Clone, Copy, Debug)]
pub struct Play<'a> {
    /// Variants of this play.
    pub variants: usize,
    /// `[variant][row]`.
    pub ids: &'a [u32],
    /// `[variant][row]`; empty means segment 0 everywhere.
    pub segments: &'a [u32],
    /// `[stream][row]`, the same for all variants.
    pub positions: &'a [Vec<u32>],
    /// The cache slot of each row, ascending; a new row has the slot after the last. The mask's
    /// rows, and the `row` of an attention bias, are slots.
    pub slots: &'a [u32],
    /// How many slots of each site's cache attention goes over.
    pub keys: [usize; 3],
    /// The rows (counted within the play) whose logits and heads are computed.
    pub picked: &'a [u32],
    /// The mask of each site that the graph attends at: its rows are the rows of this play.
    pub masks: [Option<&'a Bits>; 3],
    /// Of each site `[variant][layer][head]`; empty means 1 everywhere.
    pub gates: [&'a [f32]; 3],
    /// What to bring back, in this order.
    pub taps: &'a [Tap],
    /// `[variant][picked]`, or empty for no sampling.
    pub draws: &'a [Draw],
    /// How many candidates to bring back with each choice.
    pub candidates: usize,
}

/// One candidate for a row: id, its probability over the whole vocabulary (at the draw's
/// temperature; at 1 when greedy), and whether top-k and top-p kept it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Token id.
    pub id: u32,
    /// Probability over the whole vocabulary.
    pub probability: f32,
    /// Whether it could be chosen.
    pub kept: bool,
}

/// What was chosen for a picked row.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// The chosen id.
    pub id: u32,
    /// Its probability.
    pub probability: f32,
    /// The most probable ids, the largest first (ties: the smaller id first).
    pub candidates: Vec<Candidate>,
}

/// What a device did for one play.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Compute dispatches; on the CPU, ops.
    pub dispatches: u32,
    /// Queue submissions.
    pub submits: u32,
    /// Readbacks waited for.
    pub readbacks: u32,
}

/// What one play brought back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Played {
    /// `[variant][picked]`; empty where no draw was given.
    pub choices: Vec<Choice>,
    /// In the order of the taps: `[variant][head][row][key]` for attention and scores, else
    /// `[variant][row][width]`.
    pub taps: Vec<Vec<f32>>,
    /// What it took.
    pub counters: Counters,
}
