//! Every op against the f64 reference, on every device: one table of cases an op.

mod attend;
mod matmul;
mod sample;
#[path = "../support/mod.rs"]
mod support;
mod turn;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use support::{Bench, Case, Format, case, is_cpu};
use unmasked::device::{Device, Matrix};
use unmasked::graph::{Activation, Index, Lookup, NormKind, Pairing, Rotation, Value};

fn main() {
    // Of one kernel on every adapter; and of two, where a second run would take long.
    let alike = [pick(), activate(), rotate(), turn::turn(), sample::sample_by_width()];
    // Of these ops the kernels for software adapters differ from those for hardware.
    let twofold =
        [embed(), norm(), matmul::matmul(), arithmetic(), attend::attend(), sample::sample()];
    let mut cases: Vec<Case> = alike.into_iter().flatten().collect();
    cases.extend(twofold.into_iter().flatten().map(Case::with_both_kernels));
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
        for (width, groups) in
            [(1, 1), (2, 1), (7, 1), (64, 1), (256, 1), (1000, 1), (96, 4), (21, 3)]
        {
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
                bench.given.positions = vec![vec![9; 5], vec![0, 1, 100, 4095, 65_535]];
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
