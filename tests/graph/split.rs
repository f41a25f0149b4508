//! Weights that no single binding holds: they lie in several buffers and are played in several dispatches. And weights
//! that come a few rows at a time. Both must give the numbers that they give as one.

use unmasked::device::gpu::{Gpu, Options};
use unmasked::device::{Device, Matrix};
use unmasked::graph::{Draw, Index, Lookup, NormKind};

use crate::net::{NET, Net};
use crate::support::{Bench, Case, Format, Given, case, gpu_case, tuning};

/// A GPU with the same kernels, whose bindings hold at most so many bytes.
fn small(like: &Device, most_binding: u64) -> Device {
    let options = Options { most_binding: Some(most_binding), tuning: tuning(like) };
    Device::Gpu(pollster::block_on(Gpu::open(options)).expect("it opened before"))
}

const VOCABULARY: usize = 500;
const WIDTH: usize = 96;

/// Token and place -> logits by the same table, as tied checkpoints have it, and a draw of each row.
fn tied(format: Format, vocabulary: usize, rows: usize) -> Bench {
    let mut bench = Bench::new(rows as u64, rows, 1);
    let table = bench.weight(vocabulary, WIDTH, format);
    let places = bench.weight(rows, WIDTH, Format::F32);
    let x = bench.graph.embed(vec![
        Lookup { table, index: Index::Token, scale: 2.0 },
        Lookup { table: places, index: Index::Position(0), scale: 1.0 },
    ]);
    let x = x.unwrap();
    let picked = bench.graph.pick(x);
    let normed = bench.graph.norm(picked, NormKind::Layer, 1, 1e-5, 0.0, None, None).unwrap();
    let bias = bench.weight(1, vocabulary, Format::F32);
    let logits = bench.graph.matmul(normed, table, Some(bias), 0.5).unwrap();
    bench.graph.sample(logits).unwrap();
    bench.watch(x);
    bench.watch(logits);
    // The first and the last of every part, and others.
    let last = vocabulary as u32 - 1;
    let ids = [0, last, 127, 128, 63, 64, 191, 192, last / 2];
    bench.given.ids = ids[..rows].to_vec();
    let draw = Draw { temperature: 0.8, top_k: 0, top_p: 0.9, uniform: 0.6 };
    bench.given.draws =
        (0..rows).map(|row| if row % 2 == 0 { draw } else { Draw::GREEDY }).collect();
    bench.given.candidates = 5;
    bench
}

/// That a device with small bindings gives what one with large ones does, in more dispatches.
fn same(bench: &Bench, device: &Device, most_binding: u64, given: &Given) {
    let whole = bench.ready(device).play(given);
    let small = small(device, most_binding);
    let split = bench.ready(&small).play(given);
    assert_eq!(split.taps, whole.taps, "bit for bit");
    assert_eq!(split.choices, whole.choices);
    let (split, whole) = (split.counters, whole.counters);
    assert!(split.dispatches > whole.dispatches, "{split:?} against {whole:?}");
    assert_eq!((split.submits, split.readbacks), (whole.submits, whole.readbacks));
}

pub fn split() -> Vec<Case> {
    let mut cases = Vec::new();
    // Bytes of a binding that make three or four parts of the table, the last one no whole tile.
    for (format, most) in [
        (Format::F32, 65_536),
        (Format::F16, 32_768),
        (Format::Bf16, 32_768),
        (Format::Int8, 20_480),
    ] {
        // Of 193 the last part is one row.
        for (vocabulary, rows) in [(VOCABULARY, 1), (VOCABULARY, 9), (193, 1), (193, 9)] {
            let name =
                format!("split::a_vocabulary_of_{vocabulary}_in_parts_{format:?}_{rows}_rows");
            let test = move |device: &Device| {
                let bench = tied(format, vocabulary, rows);
                same(&bench, device, most, &bench.given);
                bench.check(&small(device, most));
            };
            cases.push(gpu_case(name, test).with_both_kernels());
        }
    }
    cases.push(gpu_case("split::any_matrix_in_parts", |device| {
        let nets = [Net { format: Format::F32, gated: true, ..NET }, Net { bias: true, ..NET }];
        for net in nets.map(|net| Net { head_width: 24, layers: 1, ..net }) {
            let bench = net.bench();
            let most = if net.format == Format::F32 { 81_920 } else { 40_960 };
            same(&bench, device, most, &bench.given);
            let mut one = bench.given.clone();
            net.give(&mut one, &bench.given, 0, 1);
            same(&bench, device, most, &one);
        }
    }));
    cases.push(gpu_case("split::what_cannot_be_in_parts_is_refused_by_name", |device| {
        let mut bench = Bench::new(1, 4, 1);
        let table = bench.weight(64, WIDTH, Format::F32);
        let places = bench.weight(300, WIDTH, Format::F32);
        let lookups = [(table, Index::Token), (places, Index::Position(0))];
        let lookups = lookups.map(|(table, index)| Lookup { table, index, scale: 1.0 });
        let x = bench.graph.embed(lookups.to_vec()).unwrap();
        bench.watch(x);
        let device = &small(device, 65_536);
        let error = bench.try_ready(device).err().expect("a refusal").to_string();
        assert!(error.contains("weight `weight_1`: expected one buffer"), "{error}");
    }));
    cases.push(gpu_case("split::a_play_after_one_that_had_no_room", |device| {
        // Of these logits 16 MB hold 102 rows, which is what is there at first, and a binding holds 204.
        const ROWS: usize = 300;
        let mut bench = Bench::new(7, ROWS, 1);
        let table = bench.weight(ROWS, 8, Format::F32);
        let head = bench.weight(41_000, 8, Format::F32);
        let lookup = Lookup { table, index: Index::Token, scale: 1.0 };
        let x = bench.graph.embed(vec![lookup]).unwrap();
        let picked = bench.graph.pick(x);
        let logits = bench.graph.matmul(picked, head, None, 1.0).unwrap();
        bench.graph.sample(logits).unwrap();
        bench.given.ids = (0..ROWS as u32).collect();
        let given = |picked: u32| Given {
            picked: (0..picked).collect(),
            draws: vec![Draw::GREEDY; picked as usize],
            ..bench.given.clone()
        };
        let wanted = bench.ready(device).play(&given(150)).choices;
        let small = small(device, 32 << 20);
        let mut ready = bench.ready(&small);
        let error = ready.try_play(&given(300)).expect_err("no room").to_string();
        assert!(error.contains("expected at most 33554432 bytes"), "{error}");
        assert_eq!(ready.play(&given(150)).choices, wanted);
    }));
    cases.push(case("split::rows_that_come_one_part_after_the_other", |device| {
        let slice = |matrix: &Matrix, rows: std::ops::Range<usize>| {
            let cells = rows.start * WIDTH..rows.end * WIDTH;
            match matrix {
                Matrix::F32(values) => Matrix::F32(values[cells].to_vec()),
                Matrix::F16(values) => Matrix::F16(values[cells].to_vec()),
                Matrix::Bf16(values) => Matrix::Bf16(values[cells].to_vec()),
                Matrix::Int8 { values, scales } => {
                    Matrix::Int8 { values: values[cells].to_vec(), scales: scales[rows].to_vec() }
                }
            }
        };
        for format in Format::ALL {
            let bench = tied(format, VOCABULARY, 9);
            let whole = bench.ready(device).play(&bench.given);
            let mut weights = device.weights();
            let (name, out, inner, matrix) = &bench.matrices[0];
            for (name, out, inner, matrix) in &bench.matrices[1..] {
                weights.upload(name, *out, *inner, matrix.clone()).unwrap();
            }
            weights.reserve(name, *out, *inner, matrix.format()).unwrap();
            // Only whole tiles, in order, as many as there are.
            for (rows, fits) in [
                (0..64, true),
                (64..448, true),
                (400..500, false),
                (448..490, true),
                (490..500, false),
            ] {
                let filled = weights.fill(name, &slice(matrix, rows.clone()));
                assert_eq!(filled.is_ok(), fits, "{rows:?}");
                let ready = device.prepare(&weights, &bench.graph, bench.capacity);
                assert!(pollster::block_on(ready).is_err(), "a part is missing");
            }
            weights.reserve(name, *out, *inner, matrix.format()).unwrap();
            for rows in [0..448, 448..500] {
                weights.fill(name, &slice(matrix, rows)).unwrap();
            }
            let ready = device.prepare(&weights, &bench.graph, bench.capacity);
            let mut ready = pollster::block_on(ready).unwrap();
            let mut caches = pollster::block_on(device.caches(&[], bench.capacity)).unwrap();
            let play = bench.given.play();
            let parts = device.play(&mut ready, &mut caches, &play);
            let parts = pollster::block_on(parts).unwrap();
            assert_eq!((parts.taps, parts.choices), (whole.taps, whole.choices));
        }
    }));
    cases
}
