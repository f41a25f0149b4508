//! A step as a launch: which kernel, with what overrides, parameters and operands.

use std::ops::Range;

use super::{
    ATTEND, COMBINE, EMBED, Format, Grid, Laid, Launch, MATMUL_ROW, MATMUL_ROWS, NORM, Operand,
    PICK, ROTATE, SAMPLE, STORE, stride,
};
use crate::device::fuse::{Linear, Norm, Pair, Rows, Step};
use crate::error::{Error, Result};
use crate::graph::{Activation, Extent, Graph, Index, Lookup, NormKind, Pairing, Value, Weight};

/// What a launch needs to know beside its step.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The graph of the step.
    pub graph: &'a Graph,
    /// How each of its weights lies.
    pub laid: &'a [Laid],
    /// Whether the adapter is software: smaller workgroups pay there.
    pub software: bool,
    /// Which list of steps it is in.
    pub rows: Rows,
    /// How many attentions came before.
    pub attention: usize,
}

/// How many dispatches a step takes: one, or one for each part of the weight that it reads, if that lies in several.
pub fn parts(context: &Context<'_>, step: &Step) -> usize {
    match step {
        Step::Embed { lookups, .. } => {
            lookups.first().map_or(1, |lookup| context.parts(lookup.table).count())
        }
        Step::Linear(linear) => context.parts(linear.weight).count(),
        _ => 1,
    }
}

/// A dispatch of a step: for all of it, or for one of its [`parts`].
pub fn launch(context: &Context<'_>, step: &Step, part: usize) -> Result<Launch> {
    match step {
        Step::Embed { lookups, out } => embed(context, lookups, *out, part),
        Step::Pick { x, out } => pick(context, *x, *out),
        Step::Norm { x, norm, groups, out } => Ok(norm_part(context, *x, norm, *groups, *out)),
        Step::Linear(linear) => Ok(matmul(context, linear, part)),
        Step::Combine { a, activation, with, out } => {
            Ok(combine(context, *a, *activation, *with, *out))
        }
        Step::Rotate { x, head_width, rotation, frequencies, out } => {
            let place = context.place(*x);
            let (width, stride) = context.shape(*out);
            Ok(Launch {
                kernel: &ROTATE,
                overrides: vec![],
                params: words(&[
                    width,
                    stride,
                    place.stride,
                    place.start,
                    *head_width,
                    rotation.start,
                    rotation.dims,
                    (rotation.pairing == Pairing::Neighbours) as usize,
                    rotation.stream,
                ]),
                operands: vec![
                    Operand::Value(*x),
                    context.whole(*frequencies)?,
                    Operand::Value(*out),
                ],
                cache: None,
                grid: Grid::Cells(stride),
                extent: Extent::Rows,
                lanes: LANES,
            })
        }
        Step::Store { keys, values, site, layer } => {
            let width = context.graph.info(*keys).width;
            let (k, v) = (context.place(*keys), context.place(*values));
            Ok(Launch {
                kernel: &STORE,
                overrides: vec![],
                params: words(&[width, k.stride, k.start, v.stride, v.start]),
                operands: vec![Operand::Value(*keys), Operand::Value(*values)],
                cache: Some((*site, *layer)),
                grid: Grid::Cells(width),
                extent: Extent::Rows,
                lanes: LANES,
            })
        }
        Step::Attend { queries, site, layer, heads, bias, out } => {
            let lanes = attend_lanes(context.software, heads.head_width)?;
            let place = context.place(*queries);
            let (_, stride) = context.shape(*out);
            let layers = context
                .graph
                .caches()
                .iter()
                .find(|cache| cache.site == *site)
                .map_or(0, |cache| cache.layers);
            let reach = bias.map_or(1, |bias| context.graph.weight_info(bias).inner.div_ceil(2));
            let mut params = words(&[
                *site as usize,
                *layer,
                layers,
                heads.heads,
                heads.heads / heads.kv_heads,
                stride,
                place.stride,
                place.start,
                reach,
                context.attention,
            ]);
            params.push(heads.scale.to_bits());
            let format = bias.map_or(Format::F32, |bias| context.format(bias));
            Ok(Launch {
                kernel: &ATTEND,
                overrides: vec![
                    ("LANES", lanes as f64),
                    ("BIAS", bias.is_some() as u32 as f64),
                    ("BIAS_FORMAT", format as u32 as f64),
                ],
                params,
                operands: vec![
                    Operand::Value(*queries),
                    bias.map_or(Ok(Operand::Nothing), |bias| context.whole(bias))?,
                    Operand::Value(*out),
                    Operand::Outbox,
                ],
                cache: Some((*site, *layer)),
                grid: Grid::Heads(heads.heads),
                extent: Extent::Rows,
                lanes,
            })
        }
        Step::Sample { logits } => {
            let place = context.place(*logits);
            let lanes = if context.software { 32 } else { 256 };
            Ok(Launch {
                kernel: &SAMPLE,
                overrides: vec![("LANES", lanes as f64)],
                params: words(&[context.graph.info(*logits).width, place.stride, place.start]),
                operands: vec![Operand::Value(*logits), Operand::Outbox],
                cache: None,
                grid: Grid::Parts(1),
                extent: Extent::Picked,
                lanes,
            })
        }
    }
}

/// Lanes of kernels that need no particular number.
const LANES: usize = 64;

/// Where a value or a view lies in memory.
struct Place {
    stride: usize,
    start: usize,
}

impl Context<'_> {
    fn place(&self, value: Value) -> Place {
        let (root, start) = self.graph.root(value);
        Place { stride: stride(self.graph.info(root).width), start }
    }

    fn place_or_none(&self, value: Option<Value>) -> Place {
        value.map_or(Place { stride: 0, start: 0 }, |value| self.place(value))
    }

    /// Width and stride of a value that a step writes.
    fn shape(&self, value: Value) -> (usize, usize) {
        let width = self.graph.info(value).width;
        (width, stride(width))
    }

    fn picked(&self, value: Value) -> usize {
        (self.graph.info(value).extent == Extent::Picked) as usize
    }

    fn format(&self, weight: Weight) -> Format {
        self.laid[weight.0 as usize].format
    }

    /// The rows of each part of a weight.
    fn parts(&self, weight: Weight) -> impl Iterator<Item = Range<usize>> {
        let info = self.graph.weight_info(weight);
        self.laid[weight.0 as usize].parts(info.out)
    }

    /// A weight that is read as one.
    fn whole(&self, weight: Weight) -> Result<Operand> {
        match self.parts(weight).count() {
            1 => Ok(Operand::Weight(weight, 0)),
            parts => {
                let what = format!("weight `{}`", self.graph.weight_info(weight).name);
                let got = format!("{parts} buffers; take a smaller model, or the CPU");
                Err(Error::limit(what, "one buffer on this GPU", got))
            }
        }
    }
}

fn words(numbers: &[usize]) -> Vec<u32> {
    numbers.iter().map(|number| *number as u32).collect()
}

/// Only the first table, the vocabulary's, may lie in several parts: a dispatch writes the rows whose token is in its own.
fn embed(context: &Context<'_>, lookups: &[Lookup], out: Value, part: usize) -> Result<Launch> {
    let (width, stride) = context.shape(out);
    let own = lookups.first().and_then(|lookup| context.parts(lookup.table).nth(part));
    let own = own.unwrap_or_default();
    let mut params = words(&[width, stride, lookups.len(), own.start]);
    let mut operands = vec![];
    for (number, lookup) in lookups.iter().enumerate() {
        let index = match lookup.index {
            Index::Token => 0,
            Index::Segment => 1,
            Index::Position(stream) => 2 + stream,
        };
        let (entries, table) = match number {
            0 => (own.len(), Operand::Weight(lookup.table, part)),
            _ => (context.graph.weight_info(lookup.table).out, context.whole(lookup.table)?),
        };
        let format = context.format(lookup.table) as usize;
        params.extend(words(&[entries, index, format]));
        params.push(lookup.scale.to_bits());
        operands.push(table);
    }
    params.resize(4 + 4 * 4, 0);
    operands.resize(4, Operand::Nothing);
    operands.push(Operand::Value(out));
    Ok(Launch {
        kernel: &EMBED,
        overrides: vec![],
        params,
        operands,
        cache: None,
        grid: Grid::Cells(stride),
        extent: Extent::Rows,
        lanes: LANES,
    })
}

fn pick(context: &Context<'_>, x: Value, out: Value) -> Result<Launch> {
    let (width, stride) = context.shape(out);
    if context.graph.info(x).extent == Extent::Picked {
        return Err(Error::config("pick", "all rows", "picked rows"));
    }
    let place = context.place(x);
    Ok(Launch {
        kernel: &PICK,
        overrides: vec![],
        params: words(&[width, stride, place.stride, place.start]),
        operands: vec![Operand::Value(x), Operand::Value(out)],
        cache: None,
        grid: Grid::Cells(stride),
        extent: Extent::Picked,
        lanes: LANES,
    })
}

fn norm_part(context: &Context<'_>, x: Value, norm: &Norm, groups: usize, out: Value) -> Launch {
    let (width, stride) = context.shape(out);
    let place = context.place(x);
    let mut vectors = Vectors::default();
    let weight = vectors.push(context, norm.weight);
    let bias = vectors.push(context, norm.bias);
    let mut params = words(&[
        groups,
        width / groups,
        stride,
        place.stride,
        place.start,
        weight,
        bias,
        norm.weight.is_some() as usize,
        norm.bias.is_some() as usize,
    ]);
    params.extend([norm.epsilon.to_bits(), norm.offset.to_bits(), context.picked(out) as u32]);
    let lanes = if context.software { 16 } else { 64 };
    Launch {
        kernel: &NORM,
        overrides: vec![("LANES", lanes as f64), ("KIND", kind(norm.kind))],
        params,
        operands: vec![Operand::Value(x), vectors.operand(), Operand::Value(out)],
        cache: None,
        grid: Grid::Parts(groups),
        extent: context.graph.info(out).extent,
        lanes,
    }
}

fn combine(
    context: &Context<'_>,
    a: Value,
    activation: Option<Activation>,
    with: Option<(Pair, Value)>,
    out: Value,
) -> Launch {
    let (width, stride) = context.shape(out);
    let (first, second) = (context.place(a), context.place_or_none(with.map(|(_, b)| b)));
    let (pair, factor) = match with {
        None => (0, 0.0),
        Some((Pair::Add(factor), _)) => (1, factor),
        Some((Pair::Multiply, _)) => (2, 0.0),
    };
    let mut params = words(&[
        width,
        stride,
        first.stride,
        first.start,
        second.stride,
        second.start,
        context.picked(out),
        number(activation),
        pair,
    ]);
    params.push(factor.to_bits());
    Launch {
        kernel: &COMBINE,
        overrides: vec![],
        params,
        operands: vec![
            Operand::Value(a),
            with.map_or(Operand::Nothing, |(_, b)| Operand::Value(b)),
            Operand::Value(out),
        ],
        cache: None,
        grid: Grid::Cells(stride),
        extent: context.graph.info(out).extent,
        lanes: LANES,
    }
}

fn matmul(context: &Context<'_>, linear: &Linear, part: usize) -> Launch {
    let info = context.graph.weight_info(linear.weight);
    let own = context.parts(linear.weight).nth(part).unwrap_or_default();
    let (inputs, outputs) = (info.inner, own.len());
    let place = context.place(linear.x);
    let multiply = context.place_or_none(linear.multiply);
    let add = context.place_or_none(linear.add);
    let (_, out_stride) = context.shape(linear.out);
    let picks = match (linear.picks, context.graph.info(linear.out).extent) {
        (true, _) => 2,
        (false, Extent::Picked) => 1,
        (false, Extent::Rows) => 0,
    };
    let mut vectors = Vectors::default();
    let bias = vectors.push(context, linear.bias);
    // The last part also clears what pads the row.
    let end = if own.end == info.out { out_stride } else { own.end };
    let (x_stride, x_start) = (place.stride / 4, place.start / 4);
    let mut params =
        words(&[inputs, outputs, own.start, end, picks, x_stride, x_start, out_stride]);
    params.push(linear.scale.to_bits());
    params.push(bias as u32);
    // What a play does not change is an override, here above all: software adapters run both sides
    // of a branch that they cannot decide when they compile.
    let flag = |is: bool| is as u32 as f64;
    let mut overrides = vec![
        ("FORMAT", context.format(linear.weight) as u32 as f64),
        ("BIAS", flag(linear.bias.is_some())),
        ("ACTIVATION", number(linear.activation) as f64),
        ("MULTIPLY", flag(linear.multiply.is_some())),
        ("ADD", flag(linear.add.is_some())),
        ("STORE", flag(linear.store.is_some())),
        ("SHIFT", (place.start % 4) as f64),
    ];
    let few = context.rows == Rows::Few;
    let lanes = matmul_lanes(context.software, outputs);
    let across = (end - own.start).div_ceil(8 * lanes);
    let (kernel, grid) = if few {
        let weight = linear.norm.and_then(|norm| norm.weight);
        let bias = linear.norm.and_then(|norm| norm.bias);
        params.extend(words(&[vectors.push(context, weight), vectors.push(context, bias)]));
        params.push(linear.norm.map_or(0.0, |norm| norm.epsilon).to_bits());
        params.push(linear.norm.map_or(0.0, |norm| norm.offset).to_bits());
        overrides.push(("NORM", linear.norm.map_or(0.0, |norm| kind(norm.kind))));
        overrides.push(("NORM_WEIGHT", flag(weight.is_some())));
        overrides.push(("NORM_BIAS", flag(bias.is_some())));
        (&MATMUL_ROW, Grid::Tiles { across, rows: 1 })
    } else {
        (&MATMUL_ROWS, Grid::Tiles { across, rows: 8 })
    };
    overrides.push(("LANES", lanes as f64));
    params.extend(words(&[multiply.stride, multiply.start, add.stride, add.start]));
    params.push(linear.add_scale.to_bits());
    match linear.store {
        Some(store) => {
            let width = context
                .graph
                .caches()
                .iter()
                .find(|cache| cache.site == store.site)
                .map_or(0, |cache| cache.kv_heads * cache.head_width);
            params.extend(words(&[width, store.keys, store.values]));
        }
        None => params.extend([0, 0, 0]),
    }
    let value = |value: Option<Value>| value.map_or(Operand::Nothing, Operand::Value);
    Launch {
        kernel,
        overrides,
        params,
        operands: vec![
            Operand::Value(linear.x),
            Operand::Weight(linear.weight, part),
            vectors.operand(),
            value(linear.multiply),
            value(linear.add),
            Operand::Value(linear.out),
        ],
        cache: linear.store.map(|store| (store.site, store.layer)),
        grid,
        extent: context.graph.info(linear.out).extent,
        lanes,
    }
}

/// Lanes that make eight outputs each.
fn matmul_lanes(software: bool, outputs: usize) -> usize {
    if !software {
        return if outputs > 256 { 64 } else { 32 };
    }
    // Idle lanes cost as much as busy ones there: the fewest lanes that leave hardly any idle. (A
    // model's widths are multiples of one, so that they share pipelines.)
    let made = |lanes: usize| outputs.next_multiple_of(8 * lanes);
    let choices = || (16..=64).step_by(4);
    let least = choices().map(made).min().unwrap_or(outputs);
    choices().find(|lanes| made(*lanes) * 100 <= least * 103).unwrap_or(64)
}

/// Enough lanes that four columns each make a head.
fn attend_lanes(software: bool, head_width: usize) -> Result<usize> {
    let fewest = if software { 8 } else { 64 };
    let lanes = head_width.div_ceil(4).next_power_of_two().max(fewest);
    if lanes > 256 {
        return Err(Error::limit("columns of a head", "at most 1024", head_width.to_string()));
    }
    Ok(lanes)
}

/// Vectors gathered into one binding.
#[derive(Default)]
struct Vectors {
    weights: Vec<Weight>,
    length: usize,
}

impl Vectors {
    /// Where the vector begins.
    fn push(&mut self, context: &Context<'_>, weight: Option<Weight>) -> usize {
        let start = self.length;
        if let Some(weight) = weight {
            self.weights.push(weight);
            self.length += stride(context.graph.weight_info(weight).inner);
        }
        start
    }

    fn operand(self) -> Operand {
        if self.weights.is_empty() { Operand::Nothing } else { Operand::Vectors(self.weights) }
    }
}

fn kind(kind: NormKind) -> f64 {
    match kind {
        NormKind::Layer => 1.0,
        NormKind::Rms => 2.0,
    }
}

fn number(activation: Option<Activation>) -> usize {
    match activation {
        None => 0,
        Some(Activation::Relu) => 1,
        Some(Activation::Gelu) => 2,
        Some(Activation::GeluTanh) => 3,
        Some(Activation::QuickGelu) => 4,
        Some(Activation::Silu) => 5,
        Some(Activation::Tanh) => 6,
        Some(Activation::Sigmoid) => 7,
    }
}
