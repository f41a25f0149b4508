//! Choices from logits: ties, extremes, and all that a draw can ask for.

use unmasked::device::{Device, Matrix};
use unmasked::graph::Draw;

use super::property;
use super::support::{Bench, Case, Numbers, case, is_cpu};

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

pub fn sample_by_width() -> Vec<Case> {
    let mut cases = Vec::new();
    for (width, shown) in [(1, 3), (3, 0), (50, 10), (300, 400), (3000, 8)] {
        cases.push(case(format!("sample::{width}_showing_{shown}"), move |device| {
            let logits = Numbers(77 + width as u64).normals(2 * width);
            try_sampling(device, logits, width, &draws(), shown);
        }));
    }
    cases
}

pub fn sample() -> Vec<Case> {
    let mut cases = Vec::new();
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
