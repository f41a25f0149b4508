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
mod tests;
