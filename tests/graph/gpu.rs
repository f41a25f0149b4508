//! What the GPU alone promises: dispatches, growth, limits, loss.

use unmasked::device::{Choice, Device};
use unmasked::error::Kind;
use unmasked::graph::{Draw, NormKind};

use crate::net::NET;
use crate::support::{Bench, Case, Format, gpu_case};

pub fn gpu() -> Vec<Case> {
    vec![
        gpu_case("a_token_takes_five_dispatches_a_layer_and_three", |device| {
            let mut bench = NET.bench();
            let all = bench.given.clone();
            bench.given.taps.clear();
            let mut ready = bench.ready(device);
            let mut given = bench.given.clone();
            NET.give(&mut given, &all, 0, 8);
            given.picked.clear();
            let counters = ready.play(&given).counters;
            assert_eq!((counters.submits, counters.readbacks), (1, 0), "nothing was asked for");

            NET.give(&mut given, &all, 8, 9);
            given.draws = vec![Draw::GREEDY];
            given.candidates = 5;
            let counters = ready.play(&given).counters;
            assert_eq!(counters.dispatches as usize, 5 * NET.layers + 3);
            assert_eq!((counters.submits, counters.readbacks), (1, 1));
        }),
        gpu_case("a_watched_row_is_made_whichever_steps_run", |device| {
            // The last norm is folded into the logits' matmul, unless somebody wants to see it.
            let mut bench = Bench::new(3, 6, 1);
            let x = bench.input(24);
            let normed = bench.graph.norm(x, NormKind::Layer, 1, 1e-5, 0.0, None, None).unwrap();
            let weight = bench.weight(9, 24, Format::F16);
            let y = bench.graph.matmul(normed, weight, None, 1.0).unwrap();
            bench.watch(normed);
            bench.watch(y);
            let mut ready = bench.ready(device);
            for (rows, taps) in [(1, 0..2), (1, 1..2), (6, 1..2), (6, 0..1)] {
                let mut given = bench.given.clone();
                given.ids.truncate(rows);
                given.slots.truncate(rows);
                given.positions[0].truncate(rows);
                given.picked.truncate(rows);
                given.taps = given.taps[taps].to_vec();
                given.taps.iter_mut().for_each(|tap| tap.rows.truncate(rows));
                ready.check(&given);
            }
        }),
        gpu_case("more_picked_rows_than_there_was_memory_for", |device| {
            // 16 MB hold 100 rows of 41,000 logits.
            let mut bench = Bench::new(4, 120, 1);
            let x = bench.input(4);
            let picked = bench.graph.pick(x);
            let weight = bench.weight(41_000, 4, Format::F16);
            let logits = bench.graph.matmul(picked, weight, None, 1.0).unwrap();
            bench.watch(logits);
            let rows = [0, 3, 119];
            let mut ready = bench.ready(device);
            for count in [4, 120, 5] {
                let mut given = bench.given.clone();
                given.picked = (0..count).collect();
                given.taps[0].rows = rows.iter().copied().filter(|row| *row < count).collect();
                ready.check(&given);
            }
        }),
        gpu_case("a_watch_of_more_than_16_mb_is_refused_with_its_size", |device| {
            let mut bench = Bench::new(5, 120, 1);
            let x = bench.input(4);
            let weight = bench.weight(41_000, 4, Format::F16);
            let y = bench.graph.matmul(x, weight, None, 1.0).unwrap();
            bench.watch(y);
            let error = bench.ready(device).try_play(&bench.given).unwrap_err();
            assert_eq!(error.kind, Kind::Limit);
            assert_eq!(
                error.to_string(),
                "what is watched: expected at most 16 MB a play, got 18.8 MB"
            );
        }),
        gpu_case("a_lost_device_is_an_error_of_every_call_after", |_| {
            let device = pollster::block_on(Device::open(Choice::Gpu)).unwrap();
            let bench = NET.bench();
            let mut ready = bench.ready(&device);
            ready.play(&bench.given);
            let Device::Gpu(gpu) = &device else { panic!("the GPU was asked for") };
            gpu.destroy();
            for _ in 0..2 {
                let error = ready.try_play(&bench.given).unwrap_err();
                assert_eq!(error.kind, Kind::Lost, "{error}");
            }
            assert!(device.is_lost());
            assert!(bench.try_ready(&device).is_err());
        }),
    ]
}
