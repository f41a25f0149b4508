//! What a model stores, and what a step of it costs.

use serde::Serialize;

use super::Spec;

/// A line of the parameter ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LedgerLine {
    /// embeddings, self-attention, cross-attention, feed-forward, norms, heads.
    pub part: &'static str,
    /// Numbers stored.
    pub parameters: u64,
}

/// What a step costs. (In 64 bits, of which WebAssembly's `usize` has half.)
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Keys that the step sees.
    pub keys: usize,
    /// Multiplications of one new row with everything before it cached.
    pub multiplications_cached: u64,
    /// Multiplications where every row so far is computed again.
    pub multiplications_recomputed: u64,
    /// Bytes of keys and values (f32) held for those keys.
    pub cache_bytes: u64,
}

impl Spec {
    /// Multiplications and cache bytes of the step that sees `keys` positions (and a source of the
    /// same length where there is cross-attention).
    pub fn cost(&self, keys: usize) -> Cost {
        let stack = self.output_stack();
        let cross = self.encoder.layers > 0 && self.decoder.layers > 0;
        let (width, layers, seen) = (self.width as u64, stack.layers as u64, keys as u64);
        let (query_width, kv_width) = (stack.query_width() as u64, stack.kv_width() as u64);
        let matrices = (width * (query_width + 2 * kv_width) + query_width * width)
            + width * stack.feed_forward_width as u64 * if stack.gated { 3 } else { 2 }
            + if cross { 2 * width * query_width } else { 0 };
        let attention = |seen: u64| 2 * seen * query_width * if cross { 2 } else { 1 };
        let head = self.embedding_width as u64 * self.vocabulary as u64;
        let row = |seen: u64| layers.saturating_mul(matrices + attention(seen));
        let all = (1..=seen).fold(head, |all, seen| all.saturating_add(row(seen)));
        let caches = if cross { 2 } else { 1 };
        // No more than a number of JavaScript holds exactly: with a million positions they can be more.
        let told = |number: u64| number.min((1 << 53) - 1);
        Cost {
            keys,
            multiplications_cached: told(row(seen).saturating_add(head)),
            multiplications_recomputed: told(all),
            cache_bytes: told(caches * layers * 2 * seen * kv_width * 4),
        }
    }
}
