//! Matmuls of every format, of shapes for every kernel.

use half::f16;
use unmasked::device::Matrix;
use unmasked::graph::{Activation, NormKind};

use super::property;
use super::support::{Bench, Case, Format, case, cpu_case, is_cpu};

pub fn matmul() -> Vec<Case> {
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
        // A weight of one row, that takes more than a row of a texture.
        (2, 1, 9_000, 1),
        (3, 1, 8_200, 1),
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
    for (kind, plain) in [(NormKind::Layer, false), (NormKind::Rms, false), (NormKind::Layer, true)]
    {
        for width in [64, 37] {
            let name =
                format!("matmul::between_norms_that_are_also_added_{kind:?}_{plain}_{width}");
            cases.push(case(name, move |device| {
                // A post-norm feed-forward: what its norm gives is read, and added to what comes of it.
                let mut bench = Bench::new(9, 3, 1);
                let x = bench.input(width);
                let weight = (!plain).then(|| bench.weight(1, width, Format::F32));
                let bias = (!plain).then(|| bench.weight(1, width, Format::F32));
                let normed = bench.graph.norm(x, kind, 1, 1e-5, 0.25, weight, bias).unwrap();
                let up = bench.weight(50, width, Format::F16);
                let up = bench.graph.matmul(normed, up, None, 1.0).unwrap();
                let bent = bench.graph.activate(up, Activation::Relu);
                let down = bench.weight(width, 50, Format::F16);
                let made = bench.graph.matmul(bent, down, None, 1.0).unwrap();
                let out = bench.graph.add_scaled(normed, made, 1.75).unwrap();
                bench.watch(out);
                let mut ready = bench.ready(device);
                for rows in 1..=3 {
                    let mut given = bench.given.clone();
                    given.ids.truncate(rows);
                    given.slots.truncate(rows);
                    given.positions[0].truncate(rows);
                    given.picked.truncate(rows);
                    given.taps[0].rows.truncate(rows);
                    let played = ready.check(&given);
                    if !is_cpu(device) {
                        assert_eq!(played.counters.dispatches, if rows <= 2 { 3 } else { 4 });
                    }
                }
            }));
        }
    }
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
    // A shape for every tile, its edges and the parts of a sum: rows of an even and an odd number of fours, outputs that
    // end within a four and within a tile, inputs that end within what is brought at a time.
    cases.push(case("matmul::any_tile", |device| {
        let shape = (0..u64::MAX, 1..131usize, 1..300usize, 1..90usize, 0..4usize, 0..4usize);
        property(device, shape, |(seed, rows, inner, fours, odd, format)| {
            let mut bench = Bench::new(seed, rows, 1);
            bench.given.picked = (0..rows as u32).step_by(3).collect();
            let out = (4 * fours).saturating_sub(odd).max(1);
            let x = bench.input(inner + odd);
            let view = bench.graph.columns(x, odd, inner).unwrap();
            let weight = bench.weight(out, inner, Format::ALL[format]);
            let bias = bench.weight(1, out, Format::F32);
            let y = bench.graph.matmul(view, weight, Some(bias), 0.5).unwrap();
            let picked = bench.graph.pick(view);
            let z = bench.graph.matmul(picked, weight, None, 1.0).unwrap();
            bench.watch(y);
            bench.watch(z);
            bench.check(device);
        });
    }));
    // One row and two, whose lanes have one four of inputs and several, and ask for one ahead and for several.
    cases.push(case("matmul::any_row", |device| {
        let shape = (0..u64::MAX, 1..3usize, 1..4_200usize, 1..50usize, 0..4usize, 0..4usize);
        property(device, shape, |(seed, rows, inner, out, odd, format)| {
            let mut bench = Bench::new(seed, rows, 1);
            let x = bench.input(inner + odd);
            let view = bench.graph.columns(x, odd, inner).unwrap();
            let weight = bench.weight(out, inner, Format::ALL[format]);
            let y = bench.graph.matmul(view, weight, None, 1.0).unwrap();
            bench.watch(y);
            bench.check(device);
        });
    }));
    // Enough rows and outputs for the larger tiles, and for the largest.
    for (rows, inner, out, format) in [(500, 70, 2050, Format::F16), (2000, 40, 2050, Format::Int8)]
    {
        cases.push(case(format!("matmul::{rows}x{inner}x{out}"), move |device| {
            let mut bench = Bench::new(21, rows, 1);
            let x = bench.input(inner);
            let weight = bench.weight(out, inner, format);
            let y = bench.graph.matmul(x, weight, None, 1.0).unwrap();
            bench.watch(y);
            bench.check(device);
        }));
    }
    // A norm that goes into the matmul of one row, by as many lanes as there are and by fewer.
    for (kind, inner) in [(NormKind::Layer, 37), (NormKind::Layer, 1100), (NormKind::Rms, 160)] {
        for vectors in [false, true] {
            let name = format!("matmul::of_a_{kind:?}_norm_of_{inner}_vectors_{vectors}");
            cases.push(case(name, move |device| {
                let mut bench = Bench::new(22, 1, 2);
                let x = bench.input(inner);
                let mut vector = |f| vectors.then(|| bench.weight(1, inner, f));
                let (weight, bias) = (vector(Format::F16), vector(Format::F32));
                let offset = if vectors { 0.5 } else { 0.0 };
                let normed = bench.graph.norm(x, kind, 1, 1e-5, offset, weight, bias).unwrap();
                let weight = bench.weight(140, inner, Format::F16);
                let y = bench.graph.matmul(normed, weight, None, 1.0).unwrap();
                bench.watch(y);
                bench.check(device);
            }));
        }
    }
    cases.push(cpu_case("matmul::every_half_float_is_widened_exactly", |device| {
        let halves: Vec<f16> = (0..=u16::MAX).map(f16::from_bits).collect();
        let finite: Vec<f16> = halves.into_iter().filter(|half| half.is_finite()).collect();
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
