//! Every op against the f64 reference, on every device: one table of cases an op.

mod support;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use support::{Bench, Case, Format, Numbers, case, cpu_case, is_cpu, random_bits};
use unmasked::device::{Device, Matrix};
use unmasked::graph::{
    Activation, CacheInfo, Capacity, Draw, Heads, Index, Label, Lookup, NormKind, Pairing,
    Rotation, Site, Tap, Value, What,
};

fn main() {
    let tables = [embed(), pick(), norm(), matmul(), activate(), arithmetic(), rotate(), attend()];
    let mut cases: Vec<Case> = tables.into_iter().flatten().collect();
    cases.extend(sample());
    support::main(cases);
}

/// Runs a property as often as the device is fast.
fn property<S: Strategy>(device: &Device, values: S, test: impl Fn(S::Value)) {
    let cases = if is_cpu(device) { 64 } else { 12 };
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let run = |value| {
        test(value);
        Ok(())
    };
    TestRunner::new(config).run(&values, run).unwrap_or_else(|error| panic!("{error}"));
}

// ---- embed, pick -----------------------------------------------------------------------------

fn embed() -> Vec<Case> {
    let mut cases = Vec::new();
    for format in Format::ALL {
        cases.push(case(format!("embed::{format:?}"), move |device| {
            let mut bench = Bench::new(1, 5, 2);
            let table = bench.weight(10, 27, format);
            let value = bench.embed(table);
            bench.watch(value);
            bench.check(device);
        }));
    }
    for segments in [vec![], vec![0, 1, 1, 2, 0, 2, 1, 0]] {
        let name = format!("embed::four_tables_{}_segments", segments.len());
        cases.push(case(name, move |device| {
            let mut bench = Bench::new(2, 4, 2);
            bench.given.segments = segments.clone();
            bench.given.positions = vec![vec![3, 4, 5, 6], vec![0, 0, 1, 2]];
            let indices = [Index::Token, Index::Position(0), Index::Position(1), Index::Segment];
            let lookups = indices.map(|index| {
                let scale = 0.5 + bench.numbers.unit();
                Lookup { table: bench.weight(8, 33, Format::F16), index, scale }
            });
            let value = bench.graph.embed(lookups.to_vec()).unwrap();
            bench.watch(value);
            bench.check(device);
        }));
    }
    cases
}

fn pick() -> Vec<Case> {
    let picks: [&[u32]; 4] = [&[], &[6], &[0, 2, 3], &[6, 0, 6]];
    let each = picks.map(|picked| {
        case(format!("pick::{picked:?}"), move |device| {
            let mut bench = Bench::new(3, 7, 3);
            bench.given.picked = picked.to_vec();
            let x = bench.input(19);
            let view = bench.graph.columns(x, 3, 11).unwrap();
            for value in [x, view] {
                let out = bench.graph.pick(value);
                bench.watch(out);
            }
            bench.check(device);
        })
    });
    each.into()
}

// ---- norm ------------------------------------------------------------------------------------

fn norm() -> Vec<Case> {
    let mut cases = Vec::new();
    for kind in [NormKind::Layer, NormKind::Rms] {
        for (width, groups) in [(1, 1), (7, 1), (64, 1), (256, 1), (1000, 1), (96, 4), (21, 3)] {
            for vectors in [false, true] {
                let name = format!("norm::{kind:?}_{width}_by_{groups}_vectors_{vectors}");
                cases.push(case(name, move |device| {
                    let mut bench = Bench::new(4, 3, 2);
                    let x = bench.input(width);
                    let mut vector = |f| vectors.then(|| bench.weight(1, width / groups, f));
                    let (weight, bias) = (vector(Format::F16), vector(Format::F32));
                    let offset = if vectors { 1.0 } else { 0.0 };
                    let out =
                        bench.graph.norm(x, kind, groups, 1e-5, offset, weight, bias).unwrap();
                    bench.watch(out);
                    bench.check(device);
                }));
            }
        }
        cases.push(case(format!("norm::{kind:?}_of_a_row_of_zeros"), move |device| {
            let mut bench = Bench::new(5, 2, 1);
            let table = bench.matrix(2, 24, Matrix::F32(vec![0.0; 48]));
            let x = bench.embed(table);
            let bias = bench.weight(1, 24, Format::F32);
            let out = bench.graph.norm(x, kind, 1, 1e-5, 0.0, None, Some(bias)).unwrap();
            bench.watch(out);
            bench.check(device);
        }));
    }
    cases
}

// ---- matmul ----------------------------------------------------------------------------------

fn matmul() -> Vec<Case> {
    let mut cases = Vec::new();
    let shapes = [
        // rows, variants, inner, out
        (1, 1, 1, 1),
        (1, 1, 256, 1024),
        (1, 1, 300, 7),
        (2, 1, 33, 65),
        (3, 2, 7, 5),
        (5, 1, 8, 13),
        (4, 4, 64, 64),
        (17, 1, 129, 31),
        (64, 1, 256, 100),
        // More rows than the CPU keeps in its cache (four), by so few multiplications that no thread shares them.
        (11, 1, 16_384, 2),
    ];
    for format in Format::ALL {
        for (rows, variants, inner, out) in shapes {
            let name = format!("matmul::{format:?}_{variants}x{rows}x{inner}x{out}");
            cases.push(case(name, move |device| {
                let mut bench = Bench::new(6, rows, variants);
                let x = bench.input(inner);
                let weight = bench.weight(out, inner, format);
                let bias = bench.weight(1, out, Format::F16);
                for (bias, scale) in [(Some(bias), 0.125), (None, 1.0)] {
                    let y = bench.graph.matmul(x, weight, bias, scale).unwrap();
                    bench.watch(y);
                }
                bench.check(device);
            }));
        }
    }
    cases.push(case("matmul::of_columns_and_picked_rows", |device| {
        let mut bench = Bench::new(7, 6, 2);
        bench.given.picked = vec![5, 1];
        let x = bench.input(50);
        let weight = bench.weight(12, 17, Format::F16);
        let columns = bench.graph.columns(x, 9, 17).unwrap();
        let y = bench.graph.matmul(columns, weight, None, 1.0).unwrap();
        let picked = bench.graph.pick(columns);
        let z = bench.graph.matmul(picked, weight, None, 1.0).unwrap();
        bench.watch(y);
        bench.watch(z);
        bench.check(device);
    }));
    cases.push(case("matmul::any_shape", |device| {
        let shape = (0..u64::MAX, 1..9usize, 1..4usize, 1..70usize, 1..40usize, 0..4usize);
        property(device, shape, |(seed, rows, variants, inner, out, format)| {
            let mut bench = Bench::new(seed, rows, variants);
            let x = bench.input(inner);
            let weight = bench.weight(out, inner, Format::ALL[format]);
            let y = bench.graph.matmul(x, weight, None, 1.0).unwrap();
            bench.watch(y);
            bench.check(device);
        });
    }));
    cases.push(cpu_case("matmul::every_half_float_is_widened_exactly", |device| {
        let halves: Vec<half::f16> = (0..=u16::MAX).map(half::f16::from_bits).collect();
        let finite: Vec<half::f16> = halves.into_iter().filter(|half| half.is_finite()).collect();
        let rows = finite.len() / 8;
        let mut bench = Bench::new(8, 8, 1);
        let ones = (0..64).map(|i| if i % 9 == 0 { 1.0 } else { 0.0 }).collect();
        let table = bench.matrix(8, 8, Matrix::F32(ones));
        let x = bench.embed(table);
        let weight = bench.matrix(rows, 8, Matrix::F16(finite.clone()));
        let y = bench.graph.matmul(x, weight, None, 1.0).unwrap();
        bench.watch(y);
        let got = bench.ready(device).play(&bench.given).taps.remove(0);
        for (index, half) in finite.iter().enumerate() {
            assert_eq!(got[index % 8 * rows + index / 8], half.to_f32(), "{half:?}");
        }
    }));
    cases
}

// ---- elementwise -----------------------------------------------------------------------------

const ACTIVATIONS: [Activation; 7] = [
    Activation::Relu,
    Activation::Gelu,
    Activation::GeluTanh,
    Activation::QuickGelu,
    Activation::Silu,
    Activation::Tanh,
    Activation::Sigmoid,
];

fn activate() -> Vec<Case> {
    let mut cases = Vec::new();
    for activation in ACTIVATIONS {
        for (name, size) in [("tiny", 1e-4), ("usual", 2.0), ("huge", 1e4)] {
            cases.push(case(format!("activate::{activation:?}_{name}"), move |device| {
                let mut bench = Bench::new(9, 4, 2);
                let numbers: Vec<f32> =
                    bench.numbers.normals(8 * 37).iter().map(|x| x * size).collect();
                let table = bench.matrix(8, 37, Matrix::F32(numbers));
                let x = bench.embed(table);
                let view = bench.graph.columns(x, 2, 31).unwrap();
                let y = bench.graph.activate(view, activation);
                bench.watch(y);
                bench.check(device);
            }));
        }
    }
    cases
}

fn arithmetic() -> Vec<Case> {
    vec![
        case("add", |device| {
            let mut bench = Bench::new(10, 3, 2);
            let (a, b) = (bench.input(29), bench.input(64));
            let view = bench.graph.columns(b, 30, 29).unwrap();
            let sum = bench.graph.add(a, view).unwrap();
            let twice = bench.graph.add(sum, sum).unwrap();
            let mixed = bench.graph.add_scaled(twice, a, -1.75).unwrap();
            bench.watch(sum);
            bench.watch(twice);
            bench.watch(mixed);
            bench.check(device);
        }),
        case("add_scaled_into_a_matmul", |device| {
            let mut bench = Bench::new(13, 3, 2);
            let x = bench.input(18);
            let linear = |bench: &mut Bench, x: Value| {
                let weight = bench.weight(18, 18, Format::F32);
                bench.graph.matmul(x, weight, None, 1.0).unwrap()
            };
            let left = linear(&mut bench, x);
            let right = linear(&mut bench, x);
            // Only what is added as it is can be made by the matmul that ends in the sum.
            let sum = bench.graph.add_scaled(left, right, 7.5).unwrap();
            let scaled = linear(&mut bench, sum);
            let scaled = bench.graph.add_scaled(scaled, x, 0.25).unwrap();
            bench.watch(sum);
            bench.watch(scaled);
            bench.check(device);
        }),
        case("multiply", |device| {
            let mut bench = Bench::new(11, 3, 2);
            let a = bench.input(64);
            let left = bench.graph.columns(a, 0, 32).unwrap();
            let right = bench.graph.columns(a, 32, 32).unwrap();
            let product = bench.graph.multiply(left, right).unwrap();
            let inner = bench.graph.columns(product, 1, 5).unwrap();
            bench.watch(product);
            bench.watch(inner);
            bench.check(device);
        }),
    ]
}

fn rotate() -> Vec<Case> {
    let mut cases = Vec::new();
    let shapes = [
        // heads, head width, start, dims
        (1, 2, 0, 2),
        (4, 16, 0, 16),
        (3, 10, 0, 4),
        (2, 12, 4, 6),
        (2, 5, 1, 4),
        (2, 4, 0, 0),
    ];
    for pairing in [Pairing::Halves, Pairing::Neighbours] {
        for (heads, head_width, start, dims) in shapes {
            let name = format!("rotate::{pairing:?}_{heads}x{head_width}_{start}_{dims}");
            if dims == 0 {
                continue;
            }
            cases.push(case(name, move |device| {
                let mut bench = Bench::new(12, 5, 2);
                // At the last position an angle computed in f32 would be off by more than the bound.
                bench.given.positions = vec![vec![9; 5], vec![0, 1, 100, 1023, 4095]];
                let x = bench.input(heads * head_width);
                let frequencies: Vec<f32> =
                    (0..dims / 2).map(|i| 10_000f32.powf(-2.0 * i as f32 / dims as f32)).collect();
                let frequencies = bench.matrix(1, dims / 2, Matrix::F32(frequencies));
                let rotation = Rotation { start, dims, pairing, stream: 1 };
                let out = bench.graph.rotate(x, heads, head_width, rotation, frequencies).unwrap();
                bench.watch(out);
                bench.check(device);
            }));
        }
    }
    cases
}

// ---- store and attend ------------------------------------------------------------------------

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
    bias: bool,
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
    bias: false,
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
    let bias = shape.bias.then(|| bench.weight(heads, 7, Format::F32));
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

fn attend() -> Vec<Case> {
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
        ("bias", Shape { rows: [9, 3], bias: true, ..SHAPE }),
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
                bias: true,
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
                Shape { seed, rows, gap, variants, heads, kv_heads, head_width, bias, gates }
            });
        property(device, shape, |shape| try_attention(device, shape));
    }));
    cases
}

// ---- sample ----------------------------------------------------------------------------------

/// Draws from these logits, a row each.
fn try_sampling(device: &Device, logits: Vec<f32>, width: usize, draws: &[Draw], shown: usize) {
    let rows = logits.len() / width;
    let mut bench = Bench::new(13, rows, 1);
    let table = bench.matrix(rows, width, Matrix::F32(logits));
    let x = bench.embed(table);
    let picked = bench.graph.pick(x);
    bench.graph.sample(picked).unwrap();
    bench.given.candidates = shown;
    let mut ready = bench.ready(device);
    for draw in draws {
        let mut given = bench.given.clone();
        given.draws = vec![*draw; rows];
        ready.check(&given);
    }
}

fn draws() -> Vec<Draw> {
    let mut draws = vec![Draw::GREEDY];
    for temperature in [0.0, 0.3, 1.0, 2.5] {
        for top_k in [0, 1, 5, 1000] {
            for top_p in [0.0, 0.3, 0.9, 1.0] {
                for uniform in [0.0, 0.37, 0.999_99] {
                    draws.push(Draw { temperature, top_k, top_p, uniform });
                }
            }
        }
    }
    draws
}

fn sample() -> Vec<Case> {
    let mut cases = Vec::new();
    for (width, shown) in [(1, 3), (3, 0), (50, 10), (300, 400), (3000, 8)] {
        cases.push(case(format!("sample::{width}_showing_{shown}"), move |device| {
            let logits = Numbers(77 + width as u64).normals(2 * width);
            try_sampling(device, logits, width, &draws(), shown);
        }));
    }
    cases.push(case("sample::ties_go_to_the_smaller_id", |device| {
        let logits = (0..200).map(|id| [1.0, 3.0, 3.0, -2.0, 0.5][id % 5]).collect();
        try_sampling(device, logits, 100, &draws(), 20);
    }));
    cases.push(case("sample::one_logit_far_above_all", |device| {
        let logits = (0..64).map(|id| if id == 40 { 90.0 } else { -90.0 }).collect();
        try_sampling(device, logits, 64, &draws(), 5);
    }));
    cases.push(case("sample::a_draw_for_each_row_and_variant", |device| {
        let mut bench = Bench::new(14, 4, 3);
        bench.given.picked = vec![3, 1];
        bench.given.candidates = 4;
        let x = bench.input(90);
        let picked = bench.graph.pick(x);
        bench.graph.sample(picked).unwrap();
        let many = draws();
        bench.given.draws = (0..6).map(|i| many[(i * 31) % many.len()]).collect();
        bench.check(device);
    }));
    cases.push(case("sample::without_a_draw_nothing_is_chosen", |device| {
        let mut bench = Bench::new(15, 2, 1);
        let x = bench.input(9);
        let picked = bench.graph.pick(x);
        bench.graph.sample(picked).unwrap();
        assert!(bench.ready(device).play(&bench.given).choices.is_empty());
    }));
    cases.push(case("sample::any_logits", |device| {
        let values = (0..u64::MAX, 1..400usize, 0..20usize, 0.0..4f32, 0..30u32, 0.0..1f32);
        property(device, (values, 0.0..1f32), |(values, uniform)| {
            let (seed, width, shown, temperature, top_k, top_p) = values;
            let logits =
                Numbers(seed | 1).normals(width).into_iter().map(|x| (x * 8.0).round() / 4.0);
            let draw = Draw { temperature, top_k, top_p, uniform };
            try_sampling(device, logits.collect(), width, &[draw], shown);
        });
    }));
    cases.push(case("sample::logits_that_are_no_numbers", |device| {
        let (nan, infinite) = (f32::NAN, f32::INFINITY);
        let rows: [[f32; 4]; 6] = [
            [nan, 1.0, 2.0, nan],
            [nan; 4],
            [infinite, 1.0, infinite, 0.0],
            [-infinite, -infinite, 0.0, nan],
            [-infinite; 4],
            [nan, infinite, -infinite, 1.0],
        ];
        let mut bench = Bench::new(16, 6, 1);
        let table = bench.matrix(6, 4, Matrix::F32(rows.concat()));
        let x = bench.embed(table);
        let picked = bench.graph.pick(x);
        bench.graph.sample(picked).unwrap();
        bench.given.candidates = 4;
        let mut ready = bench.ready(device);
        for draw in draws() {
            let mut given = bench.given.clone();
            given.draws = vec![draw; 6];
            let choices = ready.play(&given).choices;
            assert!(choices.iter().all(|choice| choice.id < 4));
            if is_cpu(device) && draw == Draw::GREEDY {
                let ids: Vec<u32> = choices.iter().map(|choice| choice.id).collect();
                assert_eq!(ids, [2, 0, 0, 2, 0, 1]);
                let sum = |c: &unmasked::graph::Choice| -> f32 {
                    c.candidates.iter().map(|candidate| candidate.probability).sum()
                };
                assert!(choices.iter().all(|choice| (sum(choice) - 1.0).abs() < 1e-6));
            }
        }
    }));
    cases
}
