//! Which neighbouring ops become one dispatch: a pure function from a graph to steps.
//!
//! A step runs what several ops say when nobody else reads what lies between them: a norm goes into
//! the matmul that follows it, activation, product and residual sum into a matmul's end, a pick into
//! the matmul that reads it, the storing of keys and values into the matmul that makes them.

use crate::graph::{Activation, Graph, Heads, Lookup, NormKind, Op, Rotation, Site, Value, Weight};

/// How many rows a list of steps is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rows {
    /// A few: every dispatch counts, so norms are folded into matmuls, and a labelled norm that only
    /// a matmul reads is never written. A play that watches such a value takes the other list.
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

/// A matmul and what is folded into it:
/// `out = activation(scale * norm(x[picked]) weightᵀ + bias) * multiply + add`.
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
    /// Where its columns go besides.
    pub store: Option<Stored>,
    /// Output.
    pub out: Value,
}

/// What a [`Step::Combine`] does with its second operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pair {
    /// `a + b`.
    Add,
    /// `a * b`.
    Multiply,
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
            store: None,
            out,
        }),
        Op::Activate { x, activation, out } => {
            Step::Combine { a: x, activation: Some(activation), with: None, out }
        }
        Op::Add { a, b, out } => {
            Step::Combine { a, activation: None, with: Some((Pair::Add, b)), out }
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
                Some((pair, b)) if b == out && a != out && activation.is_none() => Some((pair, a)),
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
                        Some((Pair::Add, b)) => linear.add = Some(b),
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

    /// A norm into the matmul that alone reads it, watchable or not.
    fn fold_norms(&mut self) {
        for index in 0..self.steps.len() {
            let Some(Step::Norm { x, norm, groups: 1, out }) = self.steps[index] else { continue };
            let Some(next) = self.only_reader(out) else { continue };
            if let Some(Step::Linear(linear)) = &mut self.steps[next]
                && linear.x == out
                && linear.norm.is_none()
                && linear.multiply != Some(out)
                && linear.add != Some(out)
            {
                linear.x = x;
                linear.norm = Some(norm);
                self.steps[index] = None;
            }
        }
    }
}
