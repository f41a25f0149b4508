//! Which neighbouring ops become one dispatch: a pure function from a graph to steps.
//!
//! A step runs what several ops say when nobody else reads what lies between them: a norm goes into
//! the matmul that follows it (and into the one whose residual sum it is), activation, product and residual sum into a
//! matmul's end, a pick into the matmul that reads it, the storing of keys and values into the matmul that makes them or,
//! where rotary positions turn the keys first, into one step with all that turns.

use crate::graph::{Activation, Graph, Heads, Lookup, NormKind, Op, Rotation, Site, Value, Weight};

/// How many rows a list of steps is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rows {
    /// A few: every dispatch counts, so norms are folded into matmuls, and labelled norms that only matmuls read, or turned
    /// keys, are never written. A play that watches such a value takes the other list.
    Few,
    /// Any number: arithmetic counts, so a norm is made once a row. Every labelled value is written.
    Many,
}

/// A norm as it is folded into a matmul.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Norm {
    /// Which.
    pub kind: NormKind,
    /// Added to the variance.
    pub epsilon: f32,
    /// Added to the weight.
    pub offset: f32,
    /// `[1, width]`.
    pub weight: Option<Weight>,
    /// `[1, width]`.
    pub bias: Option<Weight>,
}

/// Keys and values as columns of a matmul's output, stored into a cache as they are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Whose cache.
    pub site: Site,
    /// Which layer of it.
    pub layer: usize,
    /// First column of the keys.
    pub keys: usize,
    /// First column of the values.
    pub values: usize,
}

/// What an attention with rotary positions needs before it: queries and keys, columns of one value, are normalised a head at
/// a time and turned, and the keys go with the values into the cache.
#[derive(Clone, Debug, PartialEq)]
pub struct Turned {
    /// What has them as columns.
    pub x: Value,
    /// First column of the queries.
    pub queries: usize,
    /// First columns of the keys and of the values.
    pub stored: Stored,
    /// Of a head of the queries, and of one of the keys.
    pub norms: Option<[Norm; 2]>,
    /// Columns of a head.
    pub head_width: usize,
    /// The first of the rotations; each of the others turns the columns behind the one before it, by its own stream.
    pub rotation: Rotation,
    /// How many rotations there are.
    pub rotations: usize,
    /// `[1, dims / 2]`.
    pub frequencies: Weight,
    /// The turned queries.
    pub out: Value,
}

/// A matmul and what is folded into it:
/// `out = activation(scale * norm(x[picked]) weightᵀ + bias) * multiply + add_scale * add_norm(add)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// Input.
    pub x: Value,
    /// Whether the rows of `x` are picked here.
    pub picks: bool,
    /// Normalises `x` on the way in.
    pub norm: Option<Norm>,
    /// `[out, in]`.
    pub weight: Weight,
    /// `[1, out]`.
    pub bias: Option<Weight>,
    /// Factor of the product.
    pub scale: f32,
    /// Bends the result.
    pub activation: Option<Activation>,
    /// Multiplies it, cell by cell.
    pub multiply: Option<Value>,
    /// Is added to it.
    pub add: Option<Value>,
    /// Normalises what is added.
    pub add_norm: Option<Norm>,
    /// Factor of what is added.
    pub add_scale: f32,
    /// Where its columns go besides.
    pub store: Option<Stored>,
    /// Output.
    pub out: Value,
}

/// What a [`Step::Combine`] does with its second operand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pair {
    /// `a + factor * b`.
    Add(f32),
    /// `a * b`.
    Multiply,
}

impl Pair {
    /// Whether the two operands can change places.
    fn is_symmetric(self) -> bool {
        matches!(self, Pair::Multiply | Pair::Add(1.0))
    }
}

/// One dispatch. Its operands are those of the ops it runs.
#[allow(missing_docs)]
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    Embed {
        lookups: Vec<Lookup>,
        out: Value,
    },
    Pick {
        x: Value,
        out: Value,
    },
    Norm {
        x: Value,
        norm: Norm,
        groups: usize,
        out: Value,
    },
    Linear(Linear),
    /// `out = activation(a)`, or that plus or times the second operand.
    Combine {
        a: Value,
        activation: Option<Activation>,
        with: Option<(Pair, Value)>,
        out: Value,
    },
    Rotate {
        x: Value,
        head_width: usize,
        rotation: Rotation,
        frequencies: Weight,
        out: Value,
    },
    Store {
        keys: Value,
        values: Value,
        site: Site,
        layer: usize,
    },
    Turn(Turned),
    Attend {
        queries: Value,
        site: Site,
        layer: usize,
        heads: Heads,
        bias: Option<Weight>,
        out: Value,
    },
    Sample {
        logits: Value,
    },
}

impl Step {
    /// The values it reads.
    pub fn reads(&self) -> Vec<Value> {
        match self {
            Step::Embed { .. } => vec![],
            Step::Pick { x, .. } | Step::Norm { x, .. } | Step::Rotate { x, .. } => vec![*x],
            Step::Linear(linear) => {
                [Some(linear.x), linear.multiply, linear.add].into_iter().flatten().collect()
            }
            Step::Combine { a, with, .. } => {
                [Some(*a), with.map(|(_, b)| b)].into_iter().flatten().collect()
            }
            Step::Store { keys, values, .. } => vec![*keys, *values],
            Step::Turn(turned) => vec![turned.x],
            Step::Attend { queries, .. } => vec![*queries],
            Step::Sample { logits } => vec![*logits],
        }
    }

    /// The value it writes.
    pub fn writes(&self) -> Option<Value> {
        match self {
            Step::Embed { out, .. }
            | Step::Pick { out, .. }
            | Step::Norm { out, .. }
            | Step::Combine { out, .. }
            | Step::Rotate { out, .. }
            | Step::Attend { out, .. } => Some(*out),
            Step::Linear(linear) => Some(linear.out),
            Step::Turn(turned) => Some(turned.out),
            Step::Store { .. } | Step::Sample { .. } => None,
        }
    }
}

/// The steps that play a graph.
pub fn fuse(graph: &Graph, rows: Rows) -> Vec<Step> {
    let mut list = List { graph, steps: graph.ops().iter().map(plain).map(Some).collect() };
    list.fold_ends();
    list.fold_stores();
    list.fold_picks();
    if rows == Rows::Few {
        list.fold_turns();
        list.fold_norms();
        list.fold_picks();
    }
    list.steps.into_iter().flatten().collect()
}

/// An op as a step of its own.
fn plain(op: &Op) -> Step {
    match op.clone() {
        Op::Embed { lookups, out } => Step::Embed { lookups, out },
        Op::Pick { x, out } => Step::Pick { x, out },
        Op::Norm { x, kind, groups, epsilon, offset, weight, bias, out } => {
            Step::Norm { x, norm: Norm { kind, epsilon, offset, weight, bias }, groups, out }
        }
        Op::Matmul { x, weight, bias, scale, out } => Step::Linear(Linear {
            x,
            picks: false,
            norm: None,
            weight,
            bias,
            scale,
            activation: None,
            multiply: None,
            add: None,
            add_norm: None,
            add_scale: 1.0,
            store: None,
            out,
        }),
        Op::Activate { x, activation, out } => {
            Step::Combine { a: x, activation: Some(activation), with: None, out }
        }
        Op::Add { a, b, scale, out } => {
            Step::Combine { a: b, activation: None, with: Some((Pair::Add(scale), a)), out }
        }
        Op::Multiply { a, b, out } => {
            Step::Combine { a, activation: None, with: Some((Pair::Multiply, b)), out }
        }
        Op::Rotate { x, head_width, rotation, frequencies, out, .. } => {
            Step::Rotate { x, head_width, rotation, frequencies, out }
        }
        Op::Store { keys, values, site, layer } => Step::Store { keys, values, site, layer },
        Op::Attend { queries, site, layer, heads, bias, out } => {
            Step::Attend { queries, site, layer, heads, bias, out }
        }
        Op::Sample { logits } => Step::Sample { logits },
    }
}

/// Steps in the making; a step that went into another is `None`.
struct List<'a> {
    graph: &'a Graph,
    steps: Vec<Option<Step>>,
}

/// How queries or keys come from columns of a value.
struct Way {
    root: Value,
    /// Their first column of it.
    first: usize,
    /// Of each head, before they are turned.
    norm: Option<Norm>,
    /// Columns of a head, rotation and frequencies, in their order.
    turns: Vec<(usize, Rotation, Weight)>,
    /// The steps of all that.
    steps: Vec<usize>,
}

/// Whether two norms differ in their weights alone.
fn alike(a: &Norm, b: &Norm) -> bool {
    let shape = |norm: &Norm| (norm.weight.is_some(), norm.bias.is_some());
    (a.kind, a.epsilon, a.offset) == (b.kind, b.epsilon, b.offset) && shape(a) == shape(b)
}

impl List<'_> {
    fn root(&self, value: Value) -> Value {
        self.graph.root(value).0
    }

    /// The one step that reads `value`, if it is one, reads it once and all of it.
    fn only_reader(&self, value: Value) -> Option<usize> {
        let mut found = None;
        for (index, step) in self.steps.iter().enumerate() {
            let Some(step) = step else { continue };
            for read in step.reads() {
                if self.root(read) == value {
                    if read != value || found.is_some() {
                        return None;
                    }
                    found = Some(index);
                }
            }
        }
        found
    }

    fn labelled(&self, value: Value) -> bool {
        self.graph.labels().iter().any(|(_, have)| self.root(*have) == value)
    }

    /// The one step that reads `value`, if nobody can watch it either.
    fn hidden_reader(&self, value: Value) -> Option<usize> {
        if self.labelled(value) {
            return None;
        }
        self.only_reader(value)
    }

    /// Activation, product and sum into the matmul before them (or product and sum into the
    /// activation). The whole runs at the place of the last, when all operands are there.
    fn fold_ends(&mut self) {
        for index in 0..self.steps.len() {
            let Some(step) = self.steps[index].clone() else { continue };
            let Some(out) = step.writes() else { continue };
            let Some(next) = self.hidden_reader(out) else { continue };
            let Some(Step::Combine { a, activation, with, out: last }) = self.steps[next].clone()
            else {
                continue;
            };
            let other = match with {
                Some((pair, b)) if a == out && b != out => Some((pair, b)),
                Some((pair, b))
                    if b == out && a != out && activation.is_none() && pair.is_symmetric() =>
                {
                    Some((pair, a))
                }
                Some(_) => continue,
                None => None,
            };
            let merged = match step {
                Step::Linear(mut linear) if linear.add.is_none() => {
                    if activation.is_some()
                        && (linear.activation.is_some() || linear.multiply.is_some())
                    {
                        continue;
                    }
                    linear.activation = linear.activation.or(activation);
                    match other {
                        Some((Pair::Multiply, _)) if linear.multiply.is_some() => continue,
                        Some((Pair::Multiply, b)) => linear.multiply = Some(b),
                        Some((Pair::Add(scale), b)) => {
                            linear.add = Some(b);
                            linear.add_scale = scale;
                        }
                        None => {}
                    }
                    linear.out = last;
                    Step::Linear(linear)
                }
                Step::Combine { a, activation: Some(first), with: None, .. }
                    if activation.is_none() && other.is_some() =>
                {
                    Step::Combine { a, activation: Some(first), with: other, out: last }
                }
                _ => continue,
            };
            self.steps[index] = None;
            self.steps[next] = Some(merged);
        }
    }

    /// The storing of keys and values into the matmul that makes both.
    fn fold_stores(&mut self) {
        for index in 0..self.steps.len() {
            let Some(Step::Store { keys, values, site, layer }) = self.steps[index] else {
                continue;
            };
            let (root, first_key) = self.graph.root(keys);
            let (other, first_value) = self.graph.root(values);
            let maker = self.steps[..index].iter().position(
                |step| matches!(step, Some(Step::Linear(l)) if l.out == root && l.store.is_none()),
            );
            let Some(maker) = maker.filter(|_| root == other) else { continue };
            let read_between = self.steps[maker..index].iter().flatten().any(|step| {
                matches!(step, Step::Attend { site: s, layer: l, .. } if (*s, *l) == (site, layer))
            });
            if read_between {
                continue;
            }
            if let Some(Step::Linear(linear)) = &mut self.steps[maker] {
                linear.store = Some(Stored { site, layer, keys: first_key, values: first_value });
                self.steps[index] = None;
            }
        }
    }

    /// A pick into the matmul that alone reads it.
    fn fold_picks(&mut self) {
        for index in 0..self.steps.len() {
            let Some(Step::Pick { x, out }) = self.steps[index] else { continue };
            let Some(next) = self.hidden_reader(out) else { continue };
            if let Some(Step::Linear(linear)) = &mut self.steps[next]
                && linear.x == out
                && !linear.picks
            {
                linear.x = x;
                linear.picks = true;
                self.steps[index] = None;
            }
        }
    }

    /// All that rotary positions turn, and the storing of the keys, into one step at the place of the storing.
    fn fold_turns(&mut self) {
        for index in 0..self.steps.len() {
            let Some(Step::Store { keys, values, site, layer }) = self.steps[index] else {
                continue;
            };
            let attend = self.steps.iter().position(|step| {
                matches!(step, Some(Step::Attend { site: s, layer: l, .. }) if (*s, *l) == (site, layer))
            });
            let Some(attend) = attend.filter(|attend| *attend > index) else { continue };
            let Some(Step::Attend { queries, .. }) = self.steps[attend] else { continue };
            let (Some(key), Some(query)) = (self.way(keys, index), self.way(queries, attend))
            else {
                continue;
            };
            let (value_root, first_value) = self.graph.root(values);
            let together = key.root == value_root && query.root == value_root;
            if !together || key.turns != query.turns || key.steps.iter().any(|at| *at > index) {
                continue;
            }
            let norms = match (query.norm, key.norm) {
                (Some(query), Some(key)) if alike(&query, &key) => Some([query, key]),
                (None, None) => None,
                _ => continue,
            };
            let Some(&(head_width, rotation, frequencies)) = key.turns.first() else { continue };
            let follows = |(number, turn): (usize, &(usize, Rotation, Weight))| {
                let start = rotation.start + number * rotation.dims;
                *turn == (head_width, Rotation { start, stream: number, ..rotation }, frequencies)
            };
            if rotation.start != 0 || !key.turns.iter().enumerate().all(follows) {
                continue;
            }
            for at in key.steps.iter().chain(&query.steps) {
                self.steps[*at] = None;
            }
            self.steps[index] = Some(Step::Turn(Turned {
                x: value_root,
                queries: query.first,
                stored: Stored { site, layer, keys: key.first, values: first_value },
                norms,
                head_width,
                rotation,
                rotations: key.turns.len(),
                frequencies,
                out: queries,
            }));
        }
    }

    /// The way of queries or keys from columns of a value to the step `reader`, if nobody else reads what lies between.
    fn way(&self, value: Value, reader: usize) -> Option<Way> {
        let mut way = Way { root: value, first: 0, norm: None, turns: vec![], steps: vec![] };
        let (mut at, mut reader) = (value, reader);
        while let Some(maker) = self.steps.iter().position(|step| {
            matches!(step, Some(Step::Rotate { out, .. } | Step::Norm { out, .. }) if *out == at)
        }) {
            if self.only_reader(at) != Some(reader) {
                return None;
            }
            match self.steps[maker].clone()? {
                Step::Rotate { x, head_width, rotation, frequencies, .. } if way.norm.is_none() => {
                    way.turns.insert(0, (head_width, rotation, frequencies));
                    at = x;
                }
                Step::Norm { x, norm, .. } if way.norm.is_none() && !way.turns.is_empty() => {
                    way.norm = Some(norm);
                    at = x;
                }
                _ => return None,
            }
            way.steps.push(maker);
            reader = maker;
        }
        (way.root, way.first) = self.graph.root(at);
        Some(way)
    }

    /// A norm into the matmuls that read it, if nobody else does, watchable or not: as what they multiply, or as what they add.
    fn fold_norms(&mut self) {
        for index in 0..self.steps.len() {
            let Some(Step::Norm { x, norm, groups: 1, out }) = self.steps[index] else { continue };
            let readers: Vec<usize> = (0..self.steps.len())
                .filter(|at| {
                    let step = self.steps[*at].as_ref();
                    step.is_some_and(|step| step.reads().iter().any(|read| self.root(*read) == out))
                })
                .collect();
            let takes = |at: &usize| match &self.steps[*at] {
                Some(Step::Linear(linear)) => {
                    // Once, and all of it.
                    let reads = self.steps[*at].iter().flat_map(Step::reads);
                    reads.filter(|read| self.root(*read) == out).count() == 1
                        && (linear.x == out && linear.norm.is_none()
                            || linear.add == Some(out) && linear.add_norm.is_none())
                }
                _ => false,
            };
            if readers.is_empty() || !readers.iter().all(takes) {
                continue;
            }
            for at in readers {
                let Some(Step::Linear(linear)) = &mut self.steps[at] else { continue };
                if linear.x == out {
                    (linear.x, linear.norm) = (x, Some(norm));
                } else {
                    (linear.add, linear.add_norm) = (Some(x), Some(norm));
                }
            }
            self.steps[index] = None;
        }
    }
}

#[cfg(test)]
mod tests {
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
            let rotation =
                Rotation { start: stream * dims, dims, pairing: Pairing::Halves, stream };
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
}
