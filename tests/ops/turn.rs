//! What rotary attention needs before it, which for a few rows is one dispatch on a GPU: norms of heads, turning, storing.

use unmasked::device::{Device, Matrix};
use unmasked::graph::{CacheInfo, Capacity, Heads, NormKind, Pairing, Rotation, Site};

use super::support::{Bench, Case, Format, case, is_cpu, random_bits};

/// What it is tried with.
#[derive(Clone, Copy, Debug)]
struct Shape {
    heads: usize,
    kv_heads: usize,
    head_width: usize,
    /// Columns that each stream of positions turns.
    dims: usize,
    streams: usize,
    pairing: Pairing,
    norm: Option<(NormKind, bool)>,
    variants: usize,
}

const SHAPE: Shape = Shape {
    heads: 2,
    kv_heads: 2,
    head_width: 16,
    dims: 16,
    streams: 1,
    pairing: Pairing::Halves,
    norm: None,
    variants: 1,
};

/// Two rows, then one that sees their keys; and the same again in one play of many rows.
fn try_turn(device: &Device, shape: Shape) {
    let Shape { heads, kv_heads, head_width, dims, streams, pairing, variants, .. } = shape;
    let site = Site::Decoder;
    let mut bench = Bench::new(31, 5, variants);
    bench.capacity = Capacity { rows: 5, keys: [1, 5, 1], variants };
    let all = bench.input((heads + 2 * kv_heads) * head_width);
    let mut queries = bench.graph.columns(all, 0, heads * head_width).unwrap();
    let mut keys = bench.graph.columns(all, heads * head_width, kv_heads * head_width).unwrap();
    let start = (heads + kv_heads) * head_width;
    let values = bench.graph.columns(all, start, kv_heads * head_width).unwrap();
    if let Some((kind, bias)) = shape.norm {
        for (value, groups) in [(&mut queries, heads), (&mut keys, kv_heads)] {
            let weight = bench.weight(1, head_width, Format::F32);
            let bias = bias.then(|| bench.weight(1, head_width, Format::F32));
            *value = bench.graph.norm(*value, kind, groups, 1e-5, 0.5, Some(weight), bias).unwrap();
        }
    }
    let frequencies: Vec<f32> =
        (0..dims / 2).map(|i| 10_000f32.powf(-2.0 * i as f32 / dims as f32)).collect();
    let frequencies = bench.matrix(1, dims / 2, Matrix::F32(frequencies));
    for stream in 0..streams {
        let rotation = Rotation { start: stream * dims, dims, pairing, stream };
        let mut turn = |value, heads| {
            bench.graph.rotate(value, heads, head_width, rotation, frequencies).unwrap()
        };
        (queries, keys) = (turn(queries, heads), turn(keys, kv_heads));
    }
    bench.graph.cache(CacheInfo { site, layers: 1, kv_heads, head_width }).unwrap();
    bench.graph.store(keys, values, site, 0).unwrap();
    let shape_of_heads = Heads { heads, kv_heads, head_width, scale: 0.25 };
    let out = bench.graph.attend(queries, site, 0, shape_of_heads, None).unwrap();
    bench.watch(out);

    let given = bench.given.clone();
    let mut numbers = std::mem::replace(&mut bench.numbers, super::support::Numbers(1));
    let mut ready = bench.ready(device);
    // Rows times variants up to two take the steps for a few rows.
    let plays: &[std::ops::Range<u32>] =
        if variants == 1 { &[0..2, 2..3, 0..5, 4..5] } else { &[0..1, 1..2, 0..5, 4..5] };
    for slots in plays {
        let rows = slots.len();
        let mut given = given.clone();
        given.slots = slots.clone().collect();
        given.ids = (0..(rows * variants) as u32).map(|id| id + slots.start).collect();
        given.positions = (0..streams as u32)
            .map(|stream| given.slots.iter().map(|slot| slot * 16_000 + stream * 5).collect())
            .collect();
        given.picked = vec![];
        given.taps[0].rows = (0..rows as u32).collect();
        given.keys[site as usize] = slots.end as usize;
        given.masks[site as usize] =
            Some(random_bits(&mut numbers, variants, 1, heads, rows, slots.end as usize));
        let played = ready.check(&given);
        if !is_cpu(device) && rows * variants <= 2 {
            assert_eq!(played.counters.dispatches, 3, "an embedding, the turning, the attention");
        }
    }
}

pub fn turn() -> Vec<Case> {
    let shapes = [
        ("halves", SHAPE),
        ("neighbours", Shape { pairing: Pairing::Neighbours, ..SHAPE }),
        ("some_columns", Shape { dims: 6, head_width: 10, ..SHAPE }),
        ("shared_keys", Shape { heads: 6, kv_heads: 2, head_width: 4, dims: 4, ..SHAPE }),
        ("odd_heads", Shape { heads: 3, kv_heads: 1, head_width: 5, dims: 2, ..SHAPE }),
        ("two_streams", Shape { dims: 8, streams: 2, ..SHAPE }),
        (
            "two_streams_of_some",
            Shape { dims: 4, streams: 2, pairing: Pairing::Neighbours, ..SHAPE },
        ),
        ("normed", Shape { norm: Some((NormKind::Rms, false)), kv_heads: 1, ..SHAPE }),
        (
            "normed_with_bias",
            Shape { norm: Some((NormKind::Layer, true)), pairing: Pairing::Neighbours, ..SHAPE },
        ),
        ("variants", Shape { variants: 2, norm: Some((NormKind::Rms, false)), ..SHAPE }),
    ];
    let cases = shapes.into_iter();
    cases
        .map(|(name, shape)| case(format!("turn::{name}"), move |device| try_turn(device, shape)))
        .collect()
}
