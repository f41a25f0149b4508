//! What ops read and write, and which values share a buffer.

use crate::graph::{Graph, Op, Value, Weight};

/// The weights that an op reads as vectors.
pub fn vectors_of(op: &Op) -> Vec<Weight> {
    match op {
        Op::Norm { weight, bias, .. } => weight.iter().chain(bias).copied().collect(),
        Op::Matmul { bias, .. } | Op::Attend { bias, .. } => bias.iter().copied().collect(),
        Op::Rotate { frequencies, .. } => vec![*frequencies],
        _ => Vec::new(),
    }
}

/// What an op reads.
pub fn inputs_of(op: &Op) -> Vec<Value> {
    match op {
        Op::Embed { .. } => Vec::new(),
        Op::Pick { x, .. }
        | Op::Norm { x, .. }
        | Op::Matmul { x, .. }
        | Op::Activate { x, .. }
        | Op::Rotate { x, .. } => vec![*x],
        Op::Add { a, b, .. } | Op::Multiply { a, b, .. } => vec![*a, *b],
        Op::Store { keys, values, .. } => vec![*keys, *values],
        Op::Attend { queries, .. } => vec![*queries],
        Op::Sample { logits } => vec![*logits],
    }
}

/// What an op writes.
pub fn output_of(op: &Op) -> Option<Value> {
    match op {
        Op::Embed { out, .. }
        | Op::Pick { out, .. }
        | Op::Norm { out, .. }
        | Op::Matmul { out, .. }
        | Op::Activate { out, .. }
        | Op::Add { out, .. }
        | Op::Multiply { out, .. }
        | Op::Rotate { out, .. }
        | Op::Attend { out, .. } => Some(*out),
        Op::Store { .. } | Op::Sample { .. } => None,
    }
}

/// Gives each written value a buffer that is free from its op on, until its last reader has run.
pub fn lay_out(graph: &Graph) -> (Vec<usize>, usize) {
    let mut last_use = vec![0; graph.values().len()];
    for (index, op) in graph.ops().iter().enumerate() {
        for value in inputs_of(op).into_iter().chain(output_of(op)) {
            last_use[graph.root(value).0.0 as usize] = index;
        }
    }
    let mut places = vec![usize::MAX; graph.values().len()];
    let (mut free, mut count) = (Vec::new(), 0);
    for (index, op) in graph.ops().iter().enumerate() {
        let out = output_of(op);
        if let Some(out) = out {
            places[out.0 as usize] = free.pop().unwrap_or_else(|| {
                count += 1;
                count - 1
            });
        }
        let mut done: Vec<usize> = inputs_of(op)
            .into_iter()
            .chain(out)
            .map(|value| graph.root(value).0.0 as usize)
            .filter(|root| last_use[*root] == index)
            .map(|root| places[root])
            .collect();
        done.sort_unstable();
        done.dedup();
        free.extend(done);
    }
    (places, count)
}
