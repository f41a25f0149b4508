//! GPT-2, which candle-transformers has not: the block as candle's own models write theirs.

use candle_core::{IndexOp, Result, Tensor};
use candle_nn::kv_cache::KvCache;
use candle_nn::ops::softmax_last_dim;
use candle_nn::{Embedding, LayerNorm, Linear, Module, VarBuilder, embedding, layer_norm};
use serde::Deserialize;

#[derive(Deserialize)]
pub struct Config {
    n_embd: usize,
    n_head: usize,
    n_layer: usize,
    n_positions: usize,
    vocab_size: usize,
    layer_norm_epsilon: f64,
}

pub struct Gpt2 {
    tokens: Embedding,
    places: Embedding,
    blocks: Vec<Block>,
    norm: LayerNorm,
    head: Linear,
}

struct Block {
    norms: [LayerNorm; 2],
    joined: Linear,
    out: Linear,
    up: Linear,
    down: Linear,
    heads: usize,
    cache: KvCache,
}

impl Gpt2 {
    pub fn load(vb: &VarBuilder, config: &Config) -> Result<Self> {
        let vb = vb.pp("transformer");
        let width = config.n_embd;
        let tokens = embedding(config.vocab_size, width, vb.pp("wte"))?;
        Ok(Self {
            head: Linear::new(tokens.embeddings().clone(), None),
            tokens,
            places: embedding(config.n_positions, width, vb.pp("wpe"))?,
            blocks: (0..config.n_layer)
                .map(|layer| Block::load(&vb.pp(format!("h.{layer}")), config))
                .collect::<Result<_>>()?,
            norm: layer_norm(width, config.layer_norm_epsilon, vb.pp("ln_f"))?,
        })
    }

    pub fn clear(&mut self) {
        for block in &mut self.blocks {
            block.cache.reset();
        }
    }

    /// The logits after the last of ids that follow those in the cache.
    pub fn forward(&mut self, ids: &Tensor) -> Result<Tensor> {
        let rows = ids.dim(1)?;
        let past = self.blocks.first().map_or(0, |block| block.cache.current_seq_len());
        let places = self.places.embeddings().narrow(0, past, rows)?;
        let mut x = self.tokens.forward(ids)?.broadcast_add(&places)?;
        // A single row sees all that is there.
        let mask = if rows > 1 { Some(causal(rows, past, &x)?) } else { None };
        for block in &mut self.blocks {
            x = block.forward(&x, mask.as_ref())?;
        }
        self.head.forward(&self.norm.forward(&x.i((.., rows - 1.., ..))?)?)
    }
}

/// What is added to the scores of `rows` after `past`.
fn causal(rows: usize, past: usize, like: &Tensor) -> Result<Tensor> {
    let seen = |row: usize, key: usize| if key > past + row { f32::NEG_INFINITY } else { 0.0 };
    let mask: Vec<f32> =
        (0..rows).flat_map(|row| (0..past + rows).map(move |key| seen(row, key))).collect();
    Tensor::from_vec(mask, (1, 1, rows, past + rows), like.device())
}

impl Block {
    fn load(vb: &VarBuilder, config: &Config) -> Result<Self> {
        let (width, epsilon) = (config.n_embd, config.layer_norm_epsilon);
        Ok(Self {
            norms: [
                layer_norm(width, epsilon, vb.pp("ln_1"))?,
                layer_norm(width, epsilon, vb.pp("ln_2"))?,
            ],
            joined: linear(width, 3 * width, vb.pp("attn.c_attn"))?,
            out: linear(width, width, vb.pp("attn.c_proj"))?,
            up: linear(width, 4 * width, vb.pp("mlp.c_fc"))?,
            down: linear(4 * width, width, vb.pp("mlp.c_proj"))?,
            heads: config.n_head,
            cache: KvCache::new(2, config.n_positions),
        })
    }

    fn forward(&mut self, x: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
        let x = (x + self.attend(&self.norms[0].forward(x)?, mask)?)?;
        let inner = self.up.forward(&self.norms[1].forward(&x)?)?.gelu()?;
        x + self.down.forward(&inner)?
    }

    fn attend(&mut self, x: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
        let (batch, rows, width) = x.dims3()?;
        let head = width / self.heads;
        let joined = self.joined.forward(x)?.reshape((batch, rows, 3, self.heads, head))?;
        let part = |part: usize| joined.i((.., .., part))?.transpose(1, 2)?.contiguous();
        let (k, v) = self.cache.append(&part(1)?, &part(2)?)?;
        let q = (part(0)? / (head as f64).sqrt())?;
        let mut scores = q.matmul(&k.t()?)?;
        if let Some(mask) = mask {
            scores = scores.broadcast_add(mask)?;
        }
        let mixed = softmax_last_dim(&scores)?.matmul(&v)?;
        self.out.forward(&mixed.transpose(1, 2)?.reshape((batch, rows, width))?)
    }
}

/// A linear layer whose weight lies `[in, out]`, as GPT-2's do: a view turns it, and the product turns it back. Laid the
/// other way candle is no faster, here as in the other models.
fn linear(inner: usize, out: usize, vb: VarBuilder) -> Result<Linear> {
    Ok(Linear::new(vb.get((inner, out), "weight")?.t()?, Some(vb.get(out, "bias")?)))
}
