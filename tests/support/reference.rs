//! Every op in f64, one cell after the other: stupid and right.

use std::collections::HashMap;

use unmasked::device::Matrix;
use unmasked::graph::{
    Activation, Draw, Graph, Index, NormKind, Op, Pairing, Play, Played, Value, Weight, What,
};

use super::{Given, stored};

/// What a cell must be, and how far from it a device may be.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cell {
    pub value: f64,
    pub tolerance: f64,
}

/// `[row]`: `variant * rows + row`.
type Rows = Vec<Vec<Cell>>;

/// Plays a graph and keeps its caches.
pub struct Reference<'a> {
    graph: &'a Graph,
    weights: HashMap<&'a str, Vec<f64>>,
    /// (site, layer, key or value, variant, slot) -> `[kv_heads * head_width]`.
    pub cache: HashMap<(usize, usize, usize, usize, usize), Vec<f64>>,
}

/// What a device must bring back.
pub struct Expected {
    pub taps: Vec<Vec<Cell>>,
    pub choices: Vec<ExpectedChoice>,
}

/// The logits that a choice is made from, and how.
pub struct ExpectedChoice {
    logits: Vec<f64>,
    draw: Draw,
    candidates: usize,
}

impl<'a> Reference<'a> {
    pub fn new(graph: &'a Graph, matrices: &'a [(String, usize, usize, Matrix)]) -> Reference<'a> {
        let weights = matrices
            .iter()
            .map(|(name, _, inner, matrix)| (name.as_str(), stored(matrix, *inner)))
            .collect();
        Reference { graph, weights, cache: HashMap::new() }
    }

    fn weight(&self, weight: Weight) -> &[f64] {
        &self.weights[self.graph.weight_info(weight).name.as_str()]
    }

    fn rows(&self, values: &HashMap<u32, Rows>, value: Value) -> Rows {
        let (root, start) = self.graph.root(value);
        let width = self.graph.info(value).width;
        values[&root.0].iter().map(|row| row[start..start + width].to_vec()).collect()
    }

    pub fn play(&mut self, play: &Play<'_>) -> Expected {
        let mut values: HashMap<u32, Rows> = HashMap::new();
        let mut taps = vec![Vec::new(); play.taps.len()];
        let mut choices = Vec::new();
        for op in self.graph.ops() {
            match op {
                Op::Store { keys, values: parts, site, layer } => {
                    for (part, value) in [keys, parts].into_iter().enumerate() {
                        let rows = self.rows(&values, *value);
                        for (line, row) in rows.into_iter().enumerate() {
                            let variant = line / play.slots.len();
                            let slot = play.slots[line % play.slots.len()] as usize;
                            let place = (*site as usize, *layer, part, variant, slot);
                            self.cache.insert(place, row.iter().map(|cell| cell.value).collect());
                        }
                    }
                }
                Op::Sample { logits } => {
                    for (row, draw) in self.rows(&values, *logits).iter().zip(play.draws) {
                        choices.push(ExpectedChoice {
                            logits: row.iter().map(|cell| cell.value).collect(),
                            draw: *draw,
                            candidates: play.candidates,
                        });
                    }
                }
                Op::Attend { queries, site, layer, out, .. } => {
                    let queries = self.rows(&values, *queries);
                    let attended = self.attend(op, &queries, play);
                    for (tap, to) in play.taps.iter().zip(&mut taps) {
                        let here = (tap.label.site, tap.label.layer) == (*site, *layer);
                        let cells = match tap.label.what {
                            What::Attention if here => &attended.attention,
                            What::Scores if here => &attended.scores,
                            _ => continue,
                        };
                        for variant in 0..play.variants {
                            for head in &tap.heads {
                                for row in &tap.rows {
                                    to.extend(&cells[&(variant, *head as usize, *row as usize)]);
                                }
                            }
                        }
                    }
                    values.insert(out.0, attended.out);
                }
                _ => {
                    let (out, rows) = self.compute(op, &values, play);
                    values.insert(out.0, rows);
                }
            }
        }
        for (tap, to) in play.taps.iter().zip(&mut taps) {
            if let Some(value) = self.graph.labelled(tap.label) {
                let rows = self.rows(&values, value);
                let each = rows.len() / play.variants;
                for variant in 0..play.variants {
                    for row in &tap.rows {
                        to.extend(&rows[variant * each + *row as usize]);
                    }
                }
            }
        }
        Expected { taps, choices }
    }

    /// Ops that neither touch a cache nor choose.
    fn compute(&self, op: &Op, values: &HashMap<u32, Rows>, play: &Play<'_>) -> (Value, Rows) {
        let rows = play.slots.len();
        match op {
            Op::Embed { lookups, out } => {
                let mut all = Vec::new();
                for line in 0..play.variants * rows {
                    let mut sums = vec![0.0; self.graph.info(*out).width];
                    for lookup in lookups {
                        let index = match lookup.index {
                            Index::Token => play.ids[line],
                            Index::Segment if play.segments.is_empty() => 0,
                            Index::Segment => play.segments[line],
                            Index::Position(stream) => play.positions[stream][line % rows],
                        } as usize;
                        let width = sums.len();
                        let entry = &self.weight(lookup.table)[index * width..][..width];
                        for (sum, value) in sums.iter_mut().zip(entry) {
                            *sum += f64::from(lookup.scale) * value;
                        }
                    }
                    all.push(of_largest(sums));
                }
                (*out, all)
            }
            Op::Pick { x, out } => {
                let x = self.rows(values, *x);
                let mut all = Vec::new();
                for variant in 0..play.variants {
                    for row in play.picked {
                        all.push(x[variant * rows + *row as usize].clone());
                    }
                }
                (*out, all)
            }
            Op::Norm { x, kind, groups, epsilon, offset, weight, bias, out } => {
                let width = self.graph.info(*x).width / groups;
                let norm = |row: Vec<Cell>| {
                    let mut all = Vec::new();
                    for part in row.chunks(width) {
                        let count = width as f64;
                        let mean = match kind {
                            NormKind::Layer => part.iter().map(|x| x.value).sum::<f64>() / count,
                            NormKind::Rms => 0.0,
                        };
                        let variance =
                            part.iter().map(|x| (x.value - mean).powi(2)).sum::<f64>() / count;
                        for (column, x) in part.iter().enumerate() {
                            let mut y = (x.value - mean) / (variance + f64::from(*epsilon)).sqrt();
                            if let Some(weight) = weight {
                                y *= self.weight(*weight)[column] + f64::from(*offset);
                            }
                            if let Some(bias) = bias {
                                y += self.weight(*bias)[column];
                            }
                            all.push(y);
                        }
                    }
                    of_largest(all)
                };
                (*out, self.rows(values, *x).into_iter().map(norm).collect())
            }
            Op::Matmul { x, weight, bias, scale, out } => {
                let weight = self.weight(*weight);
                let outputs = self.graph.info(*out).width;
                let times = |row: Vec<Cell>| {
                    let output = |o: usize| {
                        let products: Vec<f64> = row
                            .iter()
                            .zip(&weight[o * row.len()..])
                            .map(|(x, w)| x.value * w * f64::from(*scale))
                            .collect();
                        let bias = bias.map_or(0.0, |bias| self.weight(bias)[o]);
                        let size = products.iter().map(|p| p.abs()).sum::<f64>() + bias.abs();
                        Cell { value: products.iter().sum::<f64>() + bias, tolerance: 1e-5 * size }
                    };
                    (0..outputs).map(output).collect()
                };
                (*out, self.rows(values, *x).into_iter().map(times).collect())
            }
            Op::Activate { x, activation, out } => {
                let bend = |row: Vec<Cell>| {
                    of_largest(row.iter().map(|x| activate(*activation, x.value)).collect())
                };
                (*out, self.rows(values, *x).into_iter().map(bend).collect())
            }
            Op::Add { a, b, scale, out } => {
                (*out, self.zip(values, *a, *b, |a, b| f64::from(*scale) * a + b))
            }
            Op::Multiply { a, b, out } => (*out, self.zip(values, *a, *b, |a, b| a * b)),
            Op::Rotate { x, heads, head_width, rotation, frequencies, out } => {
                let mut all = Vec::new();
                for (line, row) in self.rows(values, *x).into_iter().enumerate() {
                    let position = f64::from(play.positions[rotation.stream][line % rows]);
                    let x: Vec<f64> = row.iter().map(|cell| cell.value).collect();
                    let mut turned = x.clone();
                    for head in 0..*heads {
                        for pair in 0..rotation.dims / 2 {
                            let angle = position * self.weight(*frequencies)[pair];
                            let (left, right) = match rotation.pairing {
                                Pairing::Halves => (pair, pair + rotation.dims / 2),
                                Pairing::Neighbours => (2 * pair, 2 * pair + 1),
                            };
                            let left = head * head_width + rotation.start + left;
                            let right = head * head_width + rotation.start + right;
                            turned[left] = x[left] * angle.cos() - x[right] * angle.sin();
                            turned[right] = x[right] * angle.cos() + x[left] * angle.sin();
                        }
                    }
                    all.push(of_largest(turned));
                }
                (*out, all)
            }
            Op::Store { .. } | Op::Attend { .. } | Op::Sample { .. } => unreachable!(),
        }
    }

    fn zip(
        &self,
        values: &HashMap<u32, Rows>,
        a: Value,
        b: Value,
        f: impl Fn(f64, f64) -> f64,
    ) -> Rows {
        let (a, b) = (self.rows(values, a), self.rows(values, b));
        let row = |(a, b): (&Vec<Cell>, &Vec<Cell>)| {
            of_largest(a.iter().zip(b).map(|(a, b)| f(a.value, b.value)).collect())
        };
        a.iter().zip(&b).map(row).collect()
    }

    fn attend(&self, op: &Op, queries: &Rows, play: &Play<'_>) -> Attended {
        let Op::Attend { site, layer, heads, bias, .. } = op else { unreachable!() };
        let rows = play.slots.len();
        let width = heads.head_width;
        let mask = play.masks[*site as usize].expect("a mask");
        let keys = play.keys[*site as usize];
        let blank = vec![0.0; heads.kv_heads * width];
        let mut attended = Attended {
            out: vec![vec![Cell::default(); heads.heads * width]; play.variants * rows],
            attention: HashMap::new(),
            scores: HashMap::new(),
        };
        for variant in 0..play.variants {
            for head in 0..heads.heads {
                let kv_head = head / (heads.heads / heads.kv_heads);
                let cached = |part: usize, key: usize| {
                    let place = (*site as usize, *layer, part, variant, key);
                    &self.cache.get(&place).unwrap_or(&blank)[kv_head * width..][..width]
                };
                let gates = play.gates[*site as usize];
                let gate = match gates.is_empty() {
                    true => 1.0,
                    false => f64::from(gates[(variant * mask.layers + layer) * heads.heads + head]),
                };
                for row in 0..rows {
                    let query = &queries[variant * rows + row][head * width..][..width];
                    let mut scores = vec![Cell::default(); keys];
                    let mut attention = vec![Cell::default(); keys];
                    let visible = |key: &usize| mask.visible(variant, *layer, head, row, *key);
                    let seen: Vec<usize> = (0..keys).filter(visible).collect();
                    for &key in &seen {
                        let products: Vec<f64> =
                            query.iter().zip(cached(0, key)).map(|(q, k)| q.value * k).collect();
                        let scale = f64::from(heads.scale);
                        let mut score = products.iter().sum::<f64>() * scale;
                        let mut size = products.iter().map(|p| p.abs()).sum::<f64>() * scale.abs();
                        if let Some(bias) = bias {
                            let columns = self.graph.weight_info(*bias).inner;
                            let reach = columns.div_ceil(2) as i64;
                            let column = key as i64 - i64::from(play.slots[row]) + reach - 1;
                            let column = column.clamp(0, columns as i64 - 1) as usize;
                            let bias = self.weight(*bias)[head * columns + column];
                            score += bias;
                            size += bias.abs();
                        }
                        scores[key] = Cell { value: score, tolerance: 1e-5 * size };
                    }
                    let largest = seen.iter().map(|k| scores[*k].value).fold(f64::MIN, f64::max);
                    let power = |key: &usize| (scores[*key].value - largest).exp();
                    let sum: f64 = seen.iter().map(power).sum();
                    for key in &seen {
                        attention[*key] = Cell { value: power(key) / sum, tolerance: 1e-5 };
                    }
                    let out = &mut attended.out[variant * rows + row][head * width..][..width];
                    for (column, cell) in out.iter_mut().enumerate() {
                        for key in &seen {
                            let value = cached(1, *key)[column];
                            cell.value += attention[*key].value * value * gate;
                            cell.tolerance = cell.tolerance.max(1e-5 * (value * gate).abs());
                        }
                    }
                    attended.attention.insert((variant, head, row), attention);
                    attended.scores.insert((variant, head, row), scores);
                }
            }
        }
        // The row's largest decides, for all columns of the row.
        for row in &mut attended.out {
            let tolerance = row.iter().map(|cell| cell.tolerance).fold(0.0, f64::max);
            row.iter_mut().for_each(|cell| cell.tolerance = tolerance);
        }
        attended
    }
}

struct Attended {
    out: Rows,
    /// (variant, head, row) -> `[key]`.
    attention: HashMap<(usize, usize, usize), Vec<Cell>>,
    scores: HashMap<(usize, usize, usize), Vec<Cell>>,
}

/// Cells that may be off by 1e-5 of the row's largest.
fn of_largest(row: Vec<f64>) -> Vec<Cell> {
    let largest = row.iter().map(|x| x.abs()).fold(0.0, f64::max);
    row.into_iter().map(|value| Cell { value, tolerance: 1e-5 * largest }).collect()
}

pub fn activate(activation: Activation, x: f64) -> f64 {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    match activation {
        Activation::Relu => x.max(0.0),
        Activation::Gelu => x * 0.5 * (1.0 + erf(x / 2.0f64.sqrt())),
        Activation::GeluTanh => {
            let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
            0.5 * x * (1.0 + u.tanh())
        }
        Activation::QuickGelu => x * sigmoid(1.702 * x),
        Activation::Silu => x * sigmoid(x),
        Activation::Tanh => x.tanh(),
        Activation::Sigmoid => sigmoid(x),
    }
}

/// The error function: its Taylor series near 0, the continued fraction of its complement beyond.
fn erf(x: f64) -> f64 {
    let root = std::f64::consts::PI.sqrt();
    if x.abs() > 2.5 {
        let size = x.abs();
        let fraction = (1..100).rev().fold(size, |below, n| size + f64::from(n) / 2.0 / below);
        return x.signum() * (1.0 - (-x * x).exp() / root / fraction);
    }
    let (mut power, mut sum) = (x, x);
    for n in 1..100 {
        power *= -x * x / f64::from(n);
        sum += power / f64::from(2 * n + 1);
    }
    sum * 2.0 / root
}

impl Expected {
    /// Fails on the first cell that is too far away, and says which.
    pub fn compare(&self, played: &Played, given: &Given) {
        assert_eq!(self.taps.len(), played.taps.len(), "number of taps");
        for (tap, (expected, got)) in self.taps.iter().zip(&played.taps).enumerate() {
            let label = given.taps[tap].label;
            assert_eq!(expected.len(), got.len(), "cells of {label:?}");
            for (index, (cell, got)) in expected.iter().zip(got).enumerate() {
                let distance = (cell.value - f64::from(*got)).abs();
                assert!(
                    distance <= cell.tolerance,
                    "{label:?}, cell {index} of {}: expected {} within {:e}, got {got}",
                    expected.len(),
                    cell.value,
                    cell.tolerance,
                );
            }
        }
        assert_eq!(self.choices.len(), played.choices.len(), "number of choices");
        for (row, (expected, got)) in self.choices.iter().zip(&played.choices).enumerate() {
            expected.compare(got, row);
        }
    }
}

/// What sampling does with one set of numbers.
struct Drawn {
    id: u32,
    order: Vec<u32>,
    probabilities: Vec<f64>,
    kept: Vec<bool>,
}

impl ExpectedChoice {
    fn draw(&self, top_p: f64, uniform: f64) -> Drawn {
        let temperature = match self.draw.temperature {
            0.0 => 1.0,
            temperature => f64::from(temperature),
        };
        let largest = self.logits.iter().copied().fold(f64::MIN, f64::max);
        let powers: Vec<f64> =
            self.logits.iter().map(|logit| ((logit - largest) / temperature).exp()).collect();
        let sum: f64 = powers.iter().sum();
        let probabilities: Vec<f64> = powers.iter().map(|power| power / sum).collect();
        let mut order: Vec<u32> = (0..self.logits.len() as u32).collect();
        order.sort_by(|a, b| {
            let logit = |id: &u32| self.logits[*id as usize];
            logit(b).partial_cmp(&logit(a)).unwrap().then(a.cmp(b))
        });
        let mut kept = vec![false; order.len()];
        let mut reached = 0.0;
        for (place, id) in order.iter().enumerate() {
            let past_k = self.draw.top_k > 0 && place >= self.draw.top_k as usize;
            let past_p = top_p < 1.0 && reached >= top_p;
            if place > 0 && (past_k || past_p) {
                break;
            }
            kept[*id as usize] = true;
            reached += probabilities[*id as usize];
        }
        let mut id = order[0];
        if self.draw.temperature > 0.0 {
            let share: f64 = (0..kept.len()).filter(|i| kept[*i]).map(|i| probabilities[i]).sum();
            let mut running = 0.0;
            for candidate in (0..kept.len()).filter(|i| kept[*i]) {
                running += probabilities[candidate] / share;
                id = candidate as u32;
                if running > uniform {
                    break;
                }
            }
        }
        Drawn { id, order, probabilities, kept }
    }

    /// A number within 1e-6 of a boundary may fall on either side of it.
    fn compare(&self, got: &unmasked::graph::Choice, row: usize) {
        let (top_p, uniform) = (f64::from(self.draw.top_p), f64::from(self.draw.uniform));
        let mut accepted = Vec::new();
        for p in [top_p - 1e-6, top_p, top_p + 1e-6] {
            for u in [uniform - 1e-6, uniform, uniform + 1e-6] {
                accepted.push(self.draw(if top_p >= 1.0 { 1.0 } else { p }, u));
            }
        }
        let Drawn { order, probabilities, .. } = self.draw(top_p, uniform);
        assert!(
            accepted.iter().any(|drawn| drawn.id == got.id),
            "choice {row}: expected {}, got {}, {:?}",
            accepted[4].id,
            got.id,
            self.draw,
        );
        let near = |id: u32, probability: f32| {
            let expected = probabilities[id as usize];
            let distance = (expected - f64::from(probability)).abs();
            assert!(
                distance <= 1e-5,
                "choice {row}, id {id}: expected {expected}, got {probability}"
            );
        };
        near(got.id, got.probability);
        let ids: Vec<u32> = got.candidates.iter().map(|candidate| candidate.id).collect();
        assert_eq!(ids, order[..self.candidates.min(order.len())], "candidates of choice {row}");
        for candidate in &got.candidates {
            near(candidate.id, candidate.probability);
            assert!(
                accepted.iter().any(|drawn| drawn.kept[candidate.id as usize] == candidate.kept),
                "choice {row}, id {}: kept {}, {:?}",
                candidate.id,
                candidate.kept,
                self.draw,
            );
        }
    }
}
