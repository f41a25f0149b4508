//! A matmul as a launch: for a few rows or for any number of them, for software adapters or for hardware.

use super::context::{Context, Vectors, flag, kind, number, words};
use super::{
    Format, Grid, Launch, MATMUL_ROW, MATMUL_ROW_SPLIT, MATMUL_ROWS, MATMUL_ROWS_TILED, Operand,
    TILE, Tiling, Tuning,
};
use crate::device::fuse::{Linear, Rows};
use crate::graph::Extent;

/// A dispatch of a matmul, or of a part of it.
pub(super) fn matmul(context: &Context<'_>, linear: &Linear, part: usize) -> Launch {
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
    let mut overrides = vec![
        ("FORMAT", context.format(linear.weight) as u32 as f64),
        ("BIAS", flag(linear.bias.is_some())),
        ("ACTIVATION", number(linear.activation) as f64),
        ("MULTIPLY", flag(linear.multiply.is_some())),
        ("ADD", flag(linear.add.is_some())),
        ("STORE", flag(linear.store.is_some())),
        ("SHIFT", (place.start % 4) as f64),
    ];
    if context.rows == Rows::Few {
        let weight = linear.norm.and_then(|norm| norm.weight);
        let bias = linear.norm.and_then(|norm| norm.bias);
        params.extend(words(&[vectors.push(context, weight), vectors.push(context, bias)]));
        params.push(linear.norm.map_or(0.0, |norm| norm.epsilon).to_bits());
        params.push(linear.norm.map_or(0.0, |norm| norm.offset).to_bits());
        overrides.push(("NORM", linear.norm.map_or(0.0, |norm| kind(norm.kind))));
        overrides.push(("NORM_WEIGHT", flag(weight.is_some())));
        overrides.push(("NORM_BIAS", flag(bias.is_some())));
    }
    params.extend(words(&[multiply.stride, multiply.start, add.stride, add.start]));
    params.push(linear.add_scale.to_bits());
    let added = linear.add_norm;
    let [weight, bias] = [added.and_then(|norm| norm.weight), added.and_then(|norm| norm.bias)];
    params.extend(words(&[info.out, vectors.push(context, weight), vectors.push(context, bias)]));
    params.push(added.map_or(0.0, |norm| norm.epsilon).to_bits());
    params.push(added.map_or(0.0, |norm| norm.offset).to_bits());
    overrides.push(("ADD_NORM", added.map_or(0.0, |norm| kind(norm.kind))));
    overrides.push(("ADD_WEIGHT", flag(weight.is_some())));
    overrides.push(("ADD_BIAS", flag(bias.is_some())));
    match linear.store {
        Some(store) => {
            params.extend(words(&[context.kv_width(store.site), store.keys, store.values]));
        }
        None => params.extend([0, 0, 0]),
    }
    let columns = end - own.start;
    // A weight of one row lies as a vector does, which the kernels for hardware do not read.
    let texels = context.tuning == Tuning::Software || info.out == 1;
    let (kernel, mut tiling, mut larger) = match (texels, context.rows) {
        (true, Rows::Few) => (&MATMUL_ROW, alone(columns, 1), vec![]),
        (true, Rows::Many) => (&MATMUL_ROWS, alone(columns, 8), vec![]),
        (false, Rows::Few) => {
            (&MATMUL_ROW_SPLIT, split(inputs, columns, context.format(linear.weight)), vec![])
        }
        (false, Rows::Many) => {
            (&MATMUL_ROWS_TILED, tiled(SMALLEST, columns), larger(context.most_rows, columns))
        }
    };
    for tiling in larger.iter_mut().chain([&mut tiling]) {
        tiling.overrides.extend(&overrides);
    }
    let value = |value: Option<_>| value.map_or(Operand::Nothing, Operand::Value);
    Launch {
        kernel,
        overrides: tiling.overrides,
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
        grid: tiling.grid,
        larger,
        extent: context.graph.info(linear.out).extent,
        lanes: tiling.lanes,
    }
}

/// Four lanes that make a tile of outputs of some rows, alone: what a software adapter computes at once.
fn alone(columns: usize, rows: usize) -> Tiling {
    let lanes = 4;
    let grid = Grid::Tiles { across: columns.div_ceil(TILE), rows };
    Tiling { overrides: vec![("LANES", lanes as f64)], grid, lanes }
}

/// Lanes that share the sums of sixteen outputs: few, so that one row makes many workgroups.
fn split(inputs: usize, columns: usize, format: Format) -> Tiling {
    let (lanes, outputs) = (256, 16);
    // Fours of inputs that a lane adds up. It asks for at most 128 bytes at a time: more wait for each other.
    let each = inputs.div_ceil(4).div_ceil(lanes / (outputs / 4));
    let most = match format {
        Format::F32 => 2,
        Format::F16 | Format::Bf16 => 4,
        Format::Int8 => 8,
    };
    let ahead = each.next_power_of_two().min(most);
    let overrides = vec![("LANES", lanes as f64), ("AHEAD", ahead as f64)];
    let grid = Grid::Tiles { across: columns.div_ceil(outputs), rows: 1 };
    Tiling { overrides, grid, lanes }
}

/// A tile of rows and outputs, fours of inputs that are brought at a time, rows and outputs of a lane.
type Tile = [usize; 4];

/// For prompts and narrow models: many workgroups even so.
const SMALLEST: Tile = [32, 64, 8, 4];

/// The largest first: the more sums a lane makes, the fewer reads each takes.
const LARGER: [Tile; 2] = [[128, 128, 4, 8], [64, 64, 8, 4]];

fn tiled([rows, outputs, depth, block]: Tile, columns: usize) -> Tiling {
    let lanes = rows / block * (outputs / block);
    let overrides = vec![
        ("LANES", lanes as f64),
        ("ROWS", rows as f64),
        ("OUTPUTS", outputs as f64),
        ("DEPTH", depth as f64),
        ("BLOCK", block as f64),
    ];
    Tiling { overrides, grid: Grid::Tiles { across: columns.div_ceil(outputs), rows }, lanes }
}

/// The larger tiles that plays of at most so many rows can fill a GPU with.
fn larger(most_rows: usize, columns: usize) -> Vec<Tiling> {
    let tiles = LARGER.into_iter().map(|tile| tiled(tile, columns));
    tiles.filter(|tiling| tiling.fills(most_rows)).collect()
}
