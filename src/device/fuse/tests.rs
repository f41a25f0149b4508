use super::*;
use crate::graph::{CacheInfo, Index, Label, Pairing, Source, What};

const SITE: Site = Site::Decoder;

/// A graph of width 8 in the making.
struct Model {
    graph: Graph,
    count: usize,
}

impl Model {
    fn new() -> Model {
        let mut graph = Graph::new();
        graph.cache(CacheInfo { site: SITE, layers: 2, kv_heads: 2, head_width: 4 }).unwrap();
        Model { graph, count: 0 }
    }

    fn weight(&mut self, out: usize, inner: usize) -> Weight {
        self.count += 1;
        let name = format!("weight {}", self.count);
        self.graph.weight(&name, out, inner, Source::Stored(vec![name.clone()])).unwrap()
    }

    fn embed(&mut self) -> Value {
        let table = self.weight(16, 8);
        let lookup = Lookup { table, index: Index::Token, scale: 1.0 };
        self.graph.embed(vec![lookup]).unwrap()
    }

    fn norm(&mut self, x: Value) -> Value {
        let width = self.graph.info(x).width;
        let weight = Some(self.weight(1, width));
        self.graph.norm(x, NormKind::Layer, 1, 1e-5, 0.0, weight, None).unwrap()
    }

    fn linear(&mut self, x: Value, out: usize) -> Value {
        let weight = self.weight(out, self.graph.info(x).width);
        let bias = Some(self.weight(1, out));
        self.graph.matmul(x, weight, bias, 1.0).unwrap()
    }

    fn attend(&mut self, qkv: Value, layer: usize) -> Value {
        let view = |graph: &mut Graph, part: usize| graph.columns(qkv, part * 8, 8).unwrap();
        let [queries, keys, values] = [0, 1, 2].map(|part| view(&mut self.graph, part));
        self.graph.label(What::Keys, SITE, layer, keys);
        self.graph.store(keys, values, SITE, layer).unwrap();
        let heads = Heads { heads: 2, kv_heads: 2, head_width: 4, scale: 0.5 };
        self.graph.attend(queries, SITE, layer, heads, None).unwrap()
    }

    /// The quartet's pre-norm block.
    fn block(&mut self, x: Value, layer: usize) -> Value {
        let normed = self.norm(x);
        let qkv = self.linear(normed, 24);
        let attended = self.attend(qkv, layer);
        let attended = self.linear(attended, 8);
        let x = self.graph.add(x, attended).unwrap();
        let normed = self.norm(x);
        let up = self.linear(normed, 32);
        let up = self.graph.activate(up, Activation::Gelu);
        let fed = self.linear(up, 8);
        let x = self.graph.add(x, fed).unwrap();
        self.graph.label(What::Hidden, SITE, layer + 1, x);
        x
    }
}

#[test]
fn a_pre_norm_decoder_takes_five_steps_a_layer_and_three() {
    let mut model = Model::new();
    let mut x = model.embed();
    for layer in 0..2 {
        x = model.block(x, layer);
    }
    let picked = model.graph.pick(x);
    let state = model.norm(picked);
    let logits = model.linear(state, 16);
    model.graph.label(What::Logits, SITE, 0, logits);
    model.graph.sample(logits).unwrap();

    let few = fuse(&model.graph, Rows::Few);
    assert_eq!(few.len(), 2 * 5 + 3, "{few:#?}");
    let Step::Linear(qkv) = &few[1] else { panic!("{:?}", few[1]) };
    assert!(qkv.norm.is_some());
    let stored = Stored { site: SITE, layer: 0, keys: 8, values: 16 };
    assert_eq!(qkv.store, Some(stored));
    let Step::Linear(up) = &few[4] else { panic!("{:?}", few[4]) };
    assert_eq!(up.activation, Some(Activation::Gelu));
    let Step::Linear(head) = &few[11] else { panic!("{:?}", few[11]) };
    assert!(head.picks && head.norm.is_some());

    let many = fuse(&model.graph, Rows::Many);
    assert_eq!(many.len(), 2 * 7 + 5);
    assert!(many.iter().all(|step| !matches!(step, Step::Linear(l) if l.norm.is_some())));
}

#[test]
fn a_scaled_sum_goes_into_the_matmul_that_it_adds_as_it_is() {
    let mut model = Model::new();
    let x = model.embed();
    let made = model.linear(x, 8);
    model.graph.add_scaled(x, made, 2.5).unwrap();
    let steps = fuse(&model.graph, Rows::Few);
    let Step::Linear(last) = &steps[1] else { panic!("{:?}", steps[1]) };
    assert_eq!((steps.len(), last.add, last.add_scale), (2, Some(x), 2.5));

    let mut model = Model::new();
    let x = model.embed();
    let made = model.linear(x, 8);
    model.graph.add_scaled(made, x, 2.5).unwrap();
    let steps = fuse(&model.graph, Rows::Few);
    assert!(matches!(steps[1], Step::Linear(ref l) if l.add.is_none()), "{steps:#?}");
    assert_eq!(steps.len(), 3);
}

#[test]
fn a_value_that_is_watched_or_read_twice_is_made() {
    let mut model = Model::new();
    let x = model.embed();
    let y = model.linear(x, 8);
    let z = model.graph.activate(y, Activation::Silu);
    let label = Label { what: What::Hidden, site: SITE, layer: 0 };
    model.graph.label(label.what, label.site, label.layer, y);
    let w = model.linear(z, 8);
    let a = model.graph.activate(w, Activation::Relu);
    let b = model.graph.multiply(w, a).unwrap();
    model.graph.add(b, z).unwrap();
    let made: Vec<_> =
        fuse(&model.graph, Rows::Few).iter().filter_map(|step| step.writes()).collect();
    assert!(made.contains(&y) && made.contains(&w) && made.contains(&z));
}

#[test]
fn a_gated_feed_forward_bends_and_multiplies_in_one_step() {
    let mut model = Model::new();
    let x = model.embed();
    let both = model.linear(x, 32);
    let gate = model.graph.columns(both, 0, 16).unwrap();
    let up = model.graph.columns(both, 16, 16).unwrap();
    let open = model.graph.activate(gate, Activation::Silu);
    let bent = model.graph.multiply(open, up).unwrap();
    let steps = fuse(&model.graph, Rows::Many);
    let with = Some((Pair::Multiply, up));
    let activation = Some(Activation::Silu);
    assert_eq!(steps[2..], [Step::Combine { a: gate, activation, with, out: bent }]);
}

#[test]
fn folded_operands_are_made_before_they_are_read() {
    let mut model = Model::new();
    let x = model.embed();
    let early = model.linear(x, 8);
    let late = model.linear(x, 8);
    let late = model.graph.activate(late, Activation::Tanh);
    // The first matmul waits for the second, which it is added to.
    model.graph.add(early, late).unwrap();
    for rows in [Rows::Few, Rows::Many] {
        let mut made = vec![];
        for step in fuse(&model.graph, rows) {
            assert!(step.reads().iter().all(|read| made.contains(read)), "{step:?}");
            made.extend(step.writes());
        }
    }
}

/// Attention with rotary positions, of one layer: in `turns` streams, of heads that are normalised first or not.
fn rotary(model: &mut Model, normed: Value, turns: usize, with_norms: bool) -> Value {
    let all = model.linear(normed, 24);
    let view = |model: &mut Model, part: usize| model.graph.columns(all, part * 8, 8).unwrap();
    let [mut queries, mut keys, values] = [0, 1, 2].map(|part| view(model, part));
    if with_norms {
        for value in [&mut queries, &mut keys] {
            let weight = Some(model.weight(1, 4));
            let graph = &mut model.graph;
            *value = graph.norm(*value, NormKind::Rms, 2, 1e-5, 0.0, weight, None).unwrap();
        }
    }
    let dims = 4 / turns;
    let source = Source::Frequencies(vec![1.0; dims / 2]);
    let frequencies = model.graph.weight("frequencies", 1, dims / 2, source).unwrap();
    for stream in 0..turns {
        let rotation = Rotation { start: stream * dims, dims, pairing: Pairing::Halves, stream };
        let graph = &mut model.graph;
        queries = graph.rotate(queries, 2, 4, rotation, frequencies).unwrap();
        keys = graph.rotate(keys, 2, 4, rotation, frequencies).unwrap();
    }
    model.graph.label(What::Queries, SITE, 0, queries);
    model.graph.label(What::Keys, SITE, 0, keys);
    model.graph.store(keys, values, SITE, 0).unwrap();
    let heads = Heads { heads: 2, kv_heads: 2, head_width: 4, scale: 0.5 };
    model.graph.attend(queries, SITE, 0, heads, None).unwrap()
}

#[test]
fn all_that_turns_before_an_attention_is_one_step() {
    for (turns, with_norms) in [(1, false), (1, true), (2, false), (2, true)] {
        let mut model = Model::new();
        let x = model.embed();
        let normed = model.norm(x);
        rotary(&mut model, normed, turns, with_norms);
        let few = fuse(&model.graph, Rows::Few);
        assert_eq!(few.len(), 4, "{few:#?}");
        let Step::Turn(turned) = &few[2] else { panic!("{few:#?}") };
        assert_eq!((turned.rotations, turned.norms.is_some()), (turns, with_norms));
        let stored = Stored { site: SITE, layer: 0, keys: 8, values: 16 };
        assert_eq!((turned.queries, turned.stored), (0, stored));
        // For many rows every labelled value is written.
        let many = fuse(&model.graph, Rows::Many);
        assert_eq!(many.len(), 5 + 2 * turns + 2 * with_norms as usize);
    }
}

#[test]
fn keys_that_somebody_else_reads_are_written() {
    let mut model = Model::new();
    let x = model.embed();
    rotary(&mut model, x, 1, false);
    let turned = model.graph.labels().iter().find(|(label, _)| label.what == What::Keys);
    let keys = turned.unwrap().1;
    model.linear(keys, 8);
    let few = fuse(&model.graph, Rows::Few);
    assert!(few.iter().any(|step| step.writes() == Some(keys)), "{few:#?}");
}

#[test]
fn a_post_norm_block_takes_five_steps() {
    let mut model = Model::new();
    let x = model.embed();
    let mut x = model.norm(x);
    for layer in 0..2 {
        let qkv = model.linear(x, 24);
        let attended = model.attend(qkv, layer);
        let attended = model.linear(attended, 8);
        let sum = model.graph.add(x, attended).unwrap();
        x = model.norm(sum);
        let up = model.linear(x, 32);
        let up = model.graph.activate(up, Activation::Gelu);
        let fed = model.linear(up, 8);
        let sum = model.graph.add(x, fed).unwrap();
        x = model.norm(sum);
        model.graph.label(What::Hidden, SITE, layer + 1, x);
    }
    let picked = model.graph.pick(x);
    model.linear(picked, 16);
    let few = fuse(&model.graph, Rows::Few);
    assert_eq!(few.len(), 1 + 2 * 5 + 1, "{few:#?}");
    assert!(few.iter().all(|step| !matches!(step, Step::Norm { .. })));
    assert_eq!(fuse(&model.graph, Rows::Many).len(), 2 + 2 * 7 + 1);
}

#[test]
fn keys_that_are_bent_first_are_stored_alone() {
    let mut model = Model::new();
    let x = model.embed();
    let qkv = model.linear(x, 24);
    let keys = model.graph.columns(qkv, 8, 8).unwrap();
    let values = model.graph.columns(qkv, 16, 8).unwrap();
    let keys = model.norm(keys);
    model.graph.store(keys, values, SITE, 0).unwrap();
    let steps = fuse(&model.graph, Rows::Few);
    assert!(matches!(steps.last(), Some(Step::Store { .. })), "{steps:#?}");
}
