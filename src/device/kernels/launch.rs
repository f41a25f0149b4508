//! A step as a launch: which kernel, with what overrides, parameters and operands.

use super::context::{Context, Vectors, flag, kind, number, words};
use super::matmul::matmul;
use super::{
    ATTEND, ATTEND_ALONE, COMBINE, EMBED, EMBED_TEXELS, Format, Grid, Launch, NORM, NORM_ALONE,
    Operand, PICK, ROTATE, SAMPLE, STORE, TURN, Tuning,
};
use crate::device::fuse::{Norm, Pair, Step, Turned};
use crate::error::{Error, Result};
use crate::graph::{Activation, Extent, Index, Lookup, Pairing, Value};

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
                larger: vec![],
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
                larger: vec![],
                extent: Extent::Rows,
                lanes: LANES,
            })
        }
        Step::Turn(turned) => turn(context, turned),
        Step::Attend { queries, site, layer, heads, bias, out } => {
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
            let (kernel, lanes, grid) = match context.tuning {
                // Four is what such an adapter computes at once.
                Tuning::Software => (&ATTEND_ALONE, 4, Grid::Cells(heads.heads)),
                Tuning::Hardware => (&ATTEND, 256, Grid::Heads(heads.heads)),
            };
            let mut overrides = vec![
                ("LANES", lanes as f64),
                ("BIAS", flag(bias.is_some())),
                ("BIAS_FORMAT", format as u32 as f64),
            ];
            if context.tuning == Tuning::Hardware {
                overrides.push(("PARTS", sharing(lanes, heads.head_width)? as f64));
            }
            Ok(Launch {
                kernel,
                overrides,
                params,
                operands: vec![
                    Operand::Value(*queries),
                    bias.map_or(Ok(Operand::Nothing), |bias| context.whole(bias))?,
                    Operand::Value(*out),
                    Operand::Outbox,
                ],
                cache: Some((*site, *layer)),
                grid,
                larger: vec![],
                extent: Extent::Rows,
                lanes,
            })
        }
        Step::Sample { logits } => {
            let place = context.place(*logits);
            let (lanes, halves) = match context.tuning {
                Tuning::Software => (32, false),
                Tuning::Hardware => (256, true),
            };
            Ok(Launch {
                kernel: &SAMPLE,
                overrides: vec![("LANES", lanes as f64), ("HALVES", flag(halves))],
                params: words(&[context.graph.info(*logits).width, place.stride, place.start]),
                operands: vec![Operand::Value(*logits), Operand::Outbox],
                cache: None,
                grid: Grid::Parts(1),
                larger: vec![],
                extent: Extent::Picked,
                lanes,
            })
        }
    }
}

/// Lanes of kernels that need no particular number.
const LANES: usize = 64;

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
    let (kernel, cells) = match context.tuning {
        Tuning::Software => (&EMBED_TEXELS, stride / 4),
        Tuning::Hardware => (&EMBED, stride),
    };
    Ok(Launch {
        kernel,
        overrides: vec![],
        params,
        operands,
        cache: None,
        grid: Grid::Cells(cells),
        larger: vec![],
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
        larger: vec![],
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
    let (kernel, lanes, grid) = match context.tuning {
        Tuning::Software => (&NORM_ALONE, 4, Grid::Cells(groups)),
        Tuning::Hardware => (&NORM, 64, Grid::Parts(groups)),
    };
    Launch {
        kernel,
        overrides: vec![("LANES", lanes as f64), ("KIND", kind(norm.kind))],
        params,
        operands: vec![Operand::Value(x), vectors.operand(), Operand::Value(out)],
        cache: None,
        grid,
        larger: vec![],
        extent: context.graph.info(out).extent,
        lanes,
    }
}

fn turn(context: &Context<'_>, turned: &Turned) -> Result<Launch> {
    let Turned { x, stored, rotation, norms, head_width, .. } = turned;
    let (query_width, stride) = context.shape(turned.out);
    let kv_width = context.kv_width(stored.site);
    let mut vectors = Vectors::default();
    let mut params = words(&[
        query_width,
        kv_width,
        stride,
        context.place(*x).stride,
        turned.queries,
        stored.keys,
        stored.values,
        *head_width,
        rotation.dims,
        turned.rotations,
        (rotation.pairing == Pairing::Neighbours) as usize,
    ]);
    let norm = norms.map(|[queries, keys]| {
        for norm in [queries, keys] {
            let [weight, bias] = [norm.weight, norm.bias].map(|it| vectors.push(context, it));
            params.extend(words(&[weight, bias]));
        }
        queries
    });
    if norm.is_none() {
        params.extend([0; 4]);
    }
    params.push(norm.map_or(0.0, |norm| norm.epsilon).to_bits());
    params.push(norm.map_or(0.0, |norm| norm.offset).to_bits());
    Ok(Launch {
        kernel: &TURN,
        overrides: vec![
            ("NORM", norm.map_or(0.0, |norm| kind(norm.kind))),
            ("NORM_WEIGHT", flag(norm.is_some_and(|norm| norm.weight.is_some()))),
            ("NORM_BIAS", flag(norm.is_some_and(|norm| norm.bias.is_some()))),
        ],
        params,
        operands: vec![
            Operand::Value(*x),
            context.whole(turned.frequencies)?,
            vectors.operand(),
            Operand::Value(turned.out),
        ],
        cache: Some((stored.site, stored.layer)),
        grid: Grid::Cells(stride + 2 * kv_width),
        larger: vec![],
        extent: Extent::Rows,
        lanes: LANES,
    })
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
        larger: vec![],
        extent: context.graph.info(out).extent,
        lanes: LANES,
    }
}

/// How many of a head's lanes share a column, where each sums four columns.
fn sharing(lanes: usize, head_width: usize) -> Result<usize> {
    let side = head_width.div_ceil(4).next_power_of_two();
    if side > lanes {
        return Err(Error::limit("columns of a head", "at most 1024", head_width.to_string()));
    }
    Ok(lanes / side)
}
