//! Attention over one cache in two plays.

use proptest::prelude::*;
use unmasked::device::{Device, Matrix};
use unmasked::graph::{CacheInfo, Capacity, Heads, Label, Site, Tap, What};

use super::property;
use super::support::{Bench, Case, Format, Numbers, case, random_bits};

/// What an attention is tried with.
#[derive(Clone, Copy, Debug)]
struct Shape {
    seed: u64,
    /// Rows of the first and of the second play.
    rows: [usize; 2],
    /// Slots that are skipped before each row, at most.
    gap: usize,
    variants: usize,
    heads: usize,
    kv_heads: usize,
    head_width: usize,
    bias: Option<Format>,
    /// What is added to every score, by way of a bias.
    level: f32,
    gates: bool,
}

const SHAPE: Shape = Shape {
    seed: 0,
    rows: [4, 1],
    gap: 0,
    variants: 1,
    heads: 2,
    kv_heads: 2,
    head_width: 16,
    bias: None,
    level: 0.0,
    gates: false,
};

/// Two plays over one cache: keys stored in the first are seen in the second.
fn try_attention(device: &Device, shape: Shape) {
    let Shape { variants, heads, kv_heads, head_width, .. } = shape;
    let (site, layers, layer) = (Site::Decoder, 2, 1);
    let most = shape.rows[0].max(shape.rows[1]);
    let mut bench = Bench::new(shape.seed, most, variants);
    let slots: Vec<u32> = (0..shape.rows[0] + shape.rows[1])
        .scan(0, |next, _| {
            let slot = *next + bench.numbers.below(shape.gap + 1);
            *next = slot + 1;
            Some(slot as u32)
        })
        .collect();
    let all = *slots.last().unwrap() as usize + 1;
    bench.capacity = Capacity { rows: most, keys: [1, all + 3, 1], variants };

    let qkv = bench.input((heads + 2 * kv_heads) * head_width);
    let queries = bench.graph.columns(qkv, 0, heads * head_width).unwrap();
    let keys = bench.graph.columns(qkv, heads * head_width, kv_heads * head_width).unwrap();
    let start = (heads + kv_heads) * head_width;
    let values = bench.graph.columns(qkv, start, kv_heads * head_width).unwrap();
    bench.graph.cache(CacheInfo { site, layers, kv_heads, head_width }).unwrap();
    bench.graph.store(keys, values, site, layer).unwrap();
    let scale = 1.0 / (head_width as f32).sqrt();
    let shape_of_heads = Heads { heads, kv_heads, head_width, scale };
    // Reach 4: shorter than the rows, so that both ends are met.
    let bias = match shape.bias {
        Some(format) => Some(bench.weight(heads, 7, format)),
        None if shape.level == 0.0 => None,
        None => Some(bench.matrix(heads, 7, Matrix::F32(vec![shape.level; 7 * heads]))),
    };
    let out = bench.graph.attend(queries, site, layer, shape_of_heads, bias).unwrap();

    bench.watch(out);
    for what in [What::Attention, What::Scores] {
        let label = Label { what, site, layer };
        bench.given.taps.push(Tap { label, heads: (0..heads as u32).collect(), rows: vec![] });
    }
    let (mut given, mut numbers) = (bench.given.clone(), Numbers(bench.numbers.next()));
    if shape.gates {
        let gates = (0..variants * layers * heads).map(|i| [1.0, 0.0, -0.5][i % 3]);
        given.gates[site as usize] = gates.collect();
    }
    let mut device = bench.ready(device);
    let mut done = 0;
    for rows in shape.rows {
        let mine = &slots[done..done + rows];
        done += rows;
        given.slots = mine.to_vec();
        given.ids.truncate(rows * variants);
        while given.ids.len() < rows * variants {
            given.ids.push(given.ids.len() as u32);
        }
        given.positions = vec![mine.to_vec()];
        given.picked = vec![];
        let keys = *mine.last().unwrap() as usize + 1 + numbers.below(3);
        given.keys[site as usize] = keys;
        given.masks[site as usize] =
            Some(random_bits(&mut numbers, variants, layers, heads, rows, keys));
        for tap in &mut given.taps {
            tap.rows = (0..rows as u32).collect();
        }
        // A subset, out of order.
        given.taps[1].rows.reverse();
        given.taps[2].heads = vec![heads as u32 - 1];
        let played = device.check(&given);
        assert!(played.taps.iter().flatten().all(|x| x.is_finite()), "a NaN or an infinity");
        given.ids.reverse();
    }
}

pub fn attend() -> Vec<Case> {
    let shapes = [
        ("plain", SHAPE),
        ("one_row", Shape { rows: [1, 1], ..SHAPE }),
        ("long", Shape { rows: [40, 30], heads: 1, kv_heads: 1, ..SHAPE }),
        ("odd_width", Shape { head_width: 5, ..SHAPE }),
        ("width_of_one", Shape { head_width: 1, ..SHAPE }),
        ("wide", Shape { head_width: 128, ..SHAPE }),
        ("wide_and_odd", Shape { head_width: 67, heads: 3, kv_heads: 3, ..SHAPE }),
        ("shared_keys", Shape { heads: 6, kv_heads: 2, ..SHAPE }),
        ("one_key_head", Shape { heads: 3, kv_heads: 1, head_width: 12, ..SHAPE }),
        ("variants", Shape { variants: 3, ..SHAPE }),
        ("gaps", Shape { rows: [6, 5], gap: 3, ..SHAPE }),
        ("thousands_of_keys", Shape { rows: [5, 2], gap: 1500, heads: 1, kv_heads: 1, ..SHAPE }),
        ("bias", Shape { rows: [9, 3], bias: Some(Format::F32), ..SHAPE }),
        ("bias_f16", Shape { rows: [9, 3], bias: Some(Format::F16), ..SHAPE }),
        ("bias_bf16_one_head", Shape { bias: Some(Format::Bf16), heads: 1, kv_heads: 1, ..SHAPE }),
        ("bias_int8", Shape { bias: Some(Format::Int8), heads: 6, ..SHAPE }),
        ("bias_int8_one_head", Shape { bias: Some(Format::Int8), heads: 1, kv_heads: 1, ..SHAPE }),
        // Whose exponentials are nothing at all, or too much, unless the largest is taken away first.
        ("scores_far_below", Shape { level: -150.0, ..SHAPE }),
        ("scores_far_above", Shape { level: 150.0, ..SHAPE }),
        ("many_scores_far_below", Shape { rows: [90, 80], gap: 1, level: -150.0, ..SHAPE }),
        ("gates", Shape { gates: true, variants: 2, ..SHAPE }),
        (
            "all_of_it",
            Shape {
                rows: [5, 4],
                gap: 2,
                variants: 2,
                heads: 4,
                kv_heads: 2,
                head_width: 7,
                bias: Some(Format::F32),
                gates: true,
                ..SHAPE
            },
        ),
    ];
    let mut cases: Vec<Case> = shapes
        .into_iter()
        .map(|(name, shape)| {
            case(format!("attend::{name}"), move |device| {
                for seed in 0..4 {
                    try_attention(device, Shape { seed, ..shape });
                }
            })
        })
        .collect();
    cases.push(case("attend::any_shape_and_mask", |device| {
        let shape = (0..u64::MAX, 1..20usize, 1..6usize, 0..3usize, 1..3usize, 1..3usize)
            .prop_flat_map(|first| (Just(first), 1..4usize, 1..20usize, any::<[bool; 2]>()))
            .prop_map(|(first, group, head_width, [bias, gates])| {
                let (seed, before, after, gap, variants, kv_heads) = first;
                let heads = kv_heads * group;
                let rows = [before, after];
                let bias = bias.then_some(Format::F32);
                Shape {
                    seed,
                    rows,
                    gap,
                    variants,
                    heads,
                    kv_heads,
                    head_width,
                    bias,
                    gates,
                    ..SHAPE
                }
            });
        property(device, shape, |shape| try_attention(device, shape));
    }));
    cases
}
