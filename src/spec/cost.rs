//! What a model stores, and what a step of it costs.

use serde::Serialize;

use super::{Architecture, Spec, Stack};

/// A line of the parameter ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LedgerLine {
    /// embeddings, self-attention, cross-attention, feed-forward, norms, heads.
    pub part: &'static str,
    /// Numbers stored.
    pub parameters: u64,
}

/// What a step costs: the matrices of the blocks, a score and a weighted sum for every key that a row sees, and the
/// output matrix. Not counted are norms, biases, activations and what makes a token a row. (In 64 bits, of which
/// WebAssembly's `usize` has half.)
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Positions of the stack that makes logits, the new one with them. A source that is read apart has as many, too.
    pub keys: usize,
    /// Multiplications of one new row with everything before it cached.
    pub multiplications_cached: u64,
    /// Multiplications where every row is computed: those before the new one, and a source that is read apart. An encoder
    /// does no less; a prefix decoder's rows before the new one are taken as its source, which sees all of itself.
    pub multiplications_recomputed: u64,
    /// Bytes of keys and values (f32) held for those keys, and for the source.
    pub cache_bytes: u64,
}

impl Spec {
    /// The step that sees `keys` positions (and a source of the same length where there is cross-attention).
    pub fn cost(&self, keys: usize) -> Cost {
        let stack = self.output_stack();
        let cross = self.encoder.layers > 0 && self.decoder.layers > 0;
        let (width, seen) = (self.width as u64, keys as u64);
        let table = self.embedding_width as u64 * self.vocabulary as u64;
        let head = if self.head.is_some() { table } else { 0 };
        let source = if cross { seen } else { 0 };
        let row = |keys: u64| row(stack, width, cross, keys.saturating_add(source));
        let rows = match self.architecture {
            Architecture::Encoder => seen.saturating_mul(row(seen)),
            Architecture::Prefix => {
                let before = seen.saturating_sub(1);
                before.saturating_mul(row(before)).saturating_add(row(seen))
            }
            _ => (1..=seen).fold(0u64, |all, seen| all.saturating_add(row(seen))),
        };
        let memory = if cross {
            // What the source's states are made into for each layer that looks at them.
            let made = stack.layers as u64 * 2 * stack.kv_width() as u64 * width;
            seen.saturating_mul(self::row(&self.encoder, width, false, seen).saturating_add(made))
        } else {
            0
        };
        let caches = if cross { 2 } else { 1 };
        // No more than a number of JavaScript holds exactly: with a million positions they can be more.
        let told = |number: u64| number.min((1 << 53) - 1);
        Cost {
            keys,
            multiplications_cached: told(row(seen).saturating_add(head)),
            multiplications_recomputed: told(rows.saturating_add(memory).saturating_add(head)),
            cache_bytes: told(
                caches * stack.layers as u64 * 2 * seen * stack.kv_width() as u64 * 4,
            ),
        }
    }
}

/// Multiplications of a row in all blocks of a stack, which sees so many keys, those of a source with them.
fn row(stack: &Stack, width: u64, cross: bool, seen: u64) -> u64 {
    let (query_width, kv_width) = (stack.query_width() as u64, stack.kv_width() as u64);
    let matrices = (width * (query_width + 2 * kv_width) + query_width * width)
        + width * stack.feed_forward_width as u64 * if stack.gated { 3 } else { 2 }
        + if cross { 2 * width * query_width } else { 0 };
    let attention = (2 * query_width).saturating_mul(seen);
    (stack.layers as u64).saturating_mul(matrices.saturating_add(attention))
}
