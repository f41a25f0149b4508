//! The Transformer, once, for all four architectures: a [`Spec`] becomes [`Graph`]s.
//!
//! Reads like the paper: embed, then block after block of attention and feed-forward, then the
//! head. What differs between the machines is which stacks exist and which mask the play brings;
//! no mask is built in. Shapes are `[row, columns]`; variants are the device's business.

use crate::error::Result;
use crate::graph::{
    CacheInfo, Graph, Heads, Index, Lookup, Rotation, Site, Source, Value, Weight, What,
};
use crate::spec::{LedgerLine, Norm, Order, OutputHead, Positions, Spec, Stack};

/// The graphs of a model.
#[derive(Clone, Debug)]
pub struct Transformer {
    /// Reads the source; where there is a decoder it also stores the memory's keys and values.
    pub encoder: Option<Graph>,
    /// Reads (source and) answer.
    pub decoder: Option<Graph>,
}

impl Transformer {
    /// Records the graphs of a spec.
    pub fn new(spec: &Spec) -> Result<Transformer> {
        spec.check()?;
        let encoder = match spec.encoder.layers {
            0 => None,
            _ => Some(record_encoder(spec)?),
        };
        let decoder = match spec.decoder.layers {
            0 => None,
            _ => Some(record_decoder(spec)?),
        };
        Ok(Transformer { encoder, decoder })
    }

    /// Both graphs that exist, encoder first.
    pub fn graphs(&self) -> impl Iterator<Item = &Graph> {
        self.encoder.iter().chain(&self.decoder)
    }

    /// The graph whose last op makes the logits.
    pub fn output(&self) -> &Graph {
        match (&self.decoder, &self.encoder) {
            (Some(decoder), _) => decoder,
            (None, Some(encoder)) => encoder,
            (None, None) => unreachable!("a checked spec has a stack"),
        }
    }

    /// Numbers stored, by part; shared tensors count once.
    pub fn ledger(&self) -> Vec<LedgerLine> {
        let mut lines: Vec<LedgerLine> = Vec::new();
        let mut seen: Vec<&str> = Vec::new();
        for weight in self.graphs().flat_map(|graph| graph.weights()) {
            let computed = !matches!(weight.source, Source::Stored(_) | Source::Buckets { .. });
            if computed || seen.contains(&weight.name.as_str()) {
                continue;
            }
            seen.push(&weight.name);
            let part = match weight.name.as_str() {
                name if name.contains("norm") => "norms",
                name if name.contains(".attention.") => "self-attention",
                name if name.contains(".cross.") => "cross-attention",
                name if name.contains(".feed_forward.") => "feed-forward",
                name if name.starts_with("head.") || name.starts_with("output.") => "heads",
                _ => "embeddings",
            };
            let parameters = match &weight.source {
                Source::Buckets { buckets, .. } => *buckets as u64 * weight.out as u64,
                _ => weight.out as u64 * weight.inner as u64,
            };
            match lines.iter_mut().find(|line| line.part == part) {
                Some(line) => line.parameters += parameters,
                None => lines.push(LedgerLine { part, parameters }),
            }
        }
        lines
    }

    /// Numbers stored in all.
    pub fn parameters(&self) -> u64 {
        self.ledger().iter().map(|line| line.parameters).sum()
    }
}

fn record_encoder(spec: &Spec) -> Result<Graph> {
    let mut recorder =
        Recorder { graph: Graph::new(), spec, stack: &spec.encoder, site: Site::Encoder };
    let mut x = recorder.embed()?;
    for layer in 0..spec.encoder.layers {
        x = recorder.block(x, layer)?;
    }
    if spec.decoder.layers == 0 {
        recorder.head(x)?;
    } else {
        let memory = recorder.final_norm(x)?;
        recorder.store_memory(memory)?;
    }
    Ok(recorder.graph)
}

fn record_decoder(spec: &Spec) -> Result<Graph> {
    let mut recorder =
        Recorder { graph: Graph::new(), spec, stack: &spec.decoder, site: Site::Decoder };
    let mut x = recorder.embed()?;
    for layer in 0..spec.decoder.layers {
        x = recorder.block(x, layer)?;
    }
    recorder.head(x)?;
    Ok(recorder.graph)
}

struct Recorder<'a> {
    graph: Graph,
    spec: &'a Spec,
    stack: &'a Stack,
    site: Site,
}

impl Recorder<'_> {
    /// Token + position (+ segment) -> [row, width].
    fn embed(&mut self) -> Result<Value> {
        let (spec, stack) = (self.spec, self.stack);
        let width = spec.embedding_width;
        let tokens = self.stored("token.weight", spec.vocabulary, width)?;
        let mut lookups =
            vec![Lookup { table: tokens, index: Index::Token, scale: spec.embedding_scale }];
        match &stack.positions {
            Positions::Learned { offset, streams } => {
                for stream in 0..*streams {
                    let name = match stream {
                        0 => format!("{}.position.weight", self.site.name()),
                        _ => format!("{}.position_{stream}.weight", self.site.name()),
                    };
                    let table = self.stored(&name, spec.max_positions + offset, width)?;
                    lookups.push(Lookup { table, index: Index::Position(stream), scale: 1.0 });
                }
            }
            Positions::Sinusoidal => {
                let table =
                    self.graph.weight("sinusoids", spec.max_positions, width, Source::Sinusoids)?;
                lookups.push(Lookup { table, index: Index::Position(0), scale: 1.0 });
            }
            Positions::Rotary(_) | Positions::Relative { .. } | Positions::Slopes => {}
        }
        if spec.segments > 0 {
            let table = self.stored("segment.weight", spec.segments, width)?;
            lookups.push(Lookup { table, index: Index::Segment, scale: 1.0 });
        }
        let mut x = self.graph.embed(lookups)?;
        if stack.embedding_norm {
            x = self.norm(x, &format!("{}.embedding_norm", self.site.name()), 1)?;
        }
        if spec.embedding_width != spec.width {
            x = self.linear(x, "embedding_projection", spec.width, true)?;
        }
        self.graph.label(What::Hidden, self.site, 0, x);
        Ok(x)
    }

    /// x: [row, width] -> [row, width].
    fn block(&mut self, x: Value, layer: usize) -> Result<Value> {
        let stack = self.stack;
        // Shared layers (ALBERT) come in runs: all blocks of a run read the same weights.
        let distinct = layer * stack.distinct_layers / stack.layers;
        let at = format!("{}.layers.{distinct}", self.site.name());
        let (attention_norm, feed_forward_norm, cross_norm) = (
            format!("{at}.attention.norm"),
            format!("{at}.feed_forward.norm"),
            format!("{at}.cross.norm"),
        );
        let has_cross = self.site == Site::Decoder && self.spec.encoder.layers > 0;
        let x = match stack.order {
            Order::Pre => {
                let normed = self.norm(x, &attention_norm, 1)?;
                let attended = self.self_attention(normed, layer, &at)?;
                let mut x = self.residual(x, attended)?;
                if has_cross {
                    let normed = self.norm(x, &cross_norm, 1)?;
                    let attended = self.cross_attention(normed, layer, &at)?;
                    x = self.residual(x, attended)?;
                }
                let normed = self.norm(x, &feed_forward_norm, 1)?;
                let fed = self.feed_forward(normed, &at)?;
                self.residual(x, fed)?
            }
            Order::Post => {
                let attended = self.self_attention(x, layer, &at)?;
                let sum = self.residual(x, attended)?;
                let mut x = self.norm(sum, &attention_norm, 1)?;
                if has_cross {
                    let attended = self.cross_attention(x, layer, &at)?;
                    let sum = self.residual(x, attended)?;
                    x = self.norm(sum, &cross_norm, 1)?;
                }
                let fed = self.feed_forward(x, &at)?;
                let sum = self.residual(x, fed)?;
                self.norm(sum, &feed_forward_norm, 1)?
            }
            Order::Parallel => {
                let normed = self.norm(x, &attention_norm, 1)?;
                let attended = self.self_attention(normed, layer, &at)?;
                let normed = self.norm(x, &feed_forward_norm, 1)?;
                let fed = self.feed_forward(normed, &at)?;
                let x = self.residual(x, attended)?;
                self.graph.add(x, fed)?
            }
        };
        self.graph.label(What::Hidden, self.site, layer + 1, x);
        Ok(x)
    }

    /// x + what a sub-layer made of it, both [row, width].
    fn residual(&mut self, x: Value, made: Value) -> Result<Value> {
        self.graph.add_scaled(x, made, self.stack.residual_scale)
    }

    /// x: [row, width] -> [row, width], every row over the keys that its mask shows.
    fn self_attention(&mut self, x: Value, layer: usize, at: &str) -> Result<Value> {
        let (stack, site) = (self.stack, self.site);
        let (query_width, kv_width) = (stack.query_width(), stack.kv_width());
        let parts = [("query", query_width), ("key", kv_width), ("value", kv_width)];
        let all = self.stacked(
            x,
            &format!("{at}.attention"),
            "query_key_value",
            &parts,
            stack.biases.query_key_value,
        )?;
        let mut queries = self.graph.columns(all, 0, query_width)?;
        let mut keys = self.graph.columns(all, query_width, kv_width)?;
        let values = self.graph.columns(all, query_width + kv_width, kv_width)?;
        if stack.query_key_norm {
            queries = self.norm(queries, &format!("{at}.attention.query_norm"), stack.heads)?;
            keys = self.norm(keys, &format!("{at}.attention.key_norm"), stack.kv_heads)?;
        }
        if let Positions::Rotary(rotary) = &stack.positions {
            let dims = rotary.dims / rotary.parts;
            let source = Source::Frequencies(rotary.frequencies.clone());
            let name = format!("{}.frequencies", site.name());
            let frequencies = self.graph.weight(&name, 1, dims / 2, source)?;
            for stream in 0..rotary.parts {
                let rotation =
                    Rotation { start: stream * dims, dims, pairing: rotary.pairing, stream };
                queries = self.graph.rotate(
                    queries,
                    stack.heads,
                    stack.head_width,
                    rotation,
                    frequencies,
                )?;
                keys = self.graph.rotate(
                    keys,
                    stack.kv_heads,
                    stack.head_width,
                    rotation,
                    frequencies,
                )?;
            }
        }
        self.cache(site)?;
        self.graph.label(What::Queries, site, layer, queries);
        self.graph.label(What::Keys, site, layer, keys);
        self.graph.label(What::Values, site, layer, values);
        self.graph.store(keys, values, site, layer)?;
        let bias = self.attention_bias()?;
        let attended = self.graph.attend(queries, site, layer, heads(stack, layer), bias)?;
        self.linear(
            attended,
            &format!("{at}.attention.output"),
            self.spec.width,
            stack.biases.attention_output,
        )
    }

    /// x: [target row, width] -> [target row, width], over the memory's stored keys and values.
    fn cross_attention(&mut self, x: Value, layer: usize, at: &str) -> Result<Value> {
        let stack = self.stack;
        let name = format!("{at}.cross.query");
        let queries = self.linear(x, &name, stack.query_width(), stack.biases.query_key_value)?;
        self.cache(Site::Cross)?;
        self.graph.label(What::Queries, Site::Cross, layer, queries);
        let attended = self.graph.attend(queries, Site::Cross, layer, heads(stack, layer), None)?;
        self.linear(
            attended,
            &format!("{at}.cross.output"),
            self.spec.width,
            stack.biases.attention_output,
        )
    }

    /// memory: [source row, width] -> the cross cache: each decoder layer's keys and values, once.
    fn store_memory(&mut self, memory: Value) -> Result<()> {
        let decoder = &self.spec.decoder;
        let kv_width = decoder.kv_width();
        self.cache(Site::Cross)?;
        for layer in 0..decoder.layers {
            let distinct = layer * decoder.distinct_layers / decoder.layers;
            let at = format!("decoder.layers.{distinct}.cross");
            let parts = [("key", kv_width), ("value", kv_width)];
            let both =
                self.stacked(memory, &at, "key_value", &parts, decoder.biases.query_key_value)?;
            let keys = self.graph.columns(both, 0, kv_width)?;
            let values = self.graph.columns(both, kv_width, kv_width)?;
            self.graph.label(What::Keys, Site::Cross, layer, keys);
            self.graph.label(What::Values, Site::Cross, layer, values);
            self.graph.store(keys, values, Site::Cross, layer)?;
        }
        Ok(())
    }

    /// x: [row, width] -> [row, width].
    fn feed_forward(&mut self, x: Value, at: &str) -> Result<Value> {
        let stack = self.stack;
        let (inner, bias) = (stack.feed_forward_width, stack.biases.feed_forward);
        let at = format!("{at}.feed_forward");
        let bent = if stack.gated {
            let both = self.stacked(x, &at, "gate_up", &[("gate", inner), ("up", inner)], bias)?;
            let gate = self.graph.columns(both, 0, inner)?;
            let up = self.graph.columns(both, inner, inner)?;
            let open = self.graph.activate(gate, stack.activation);
            self.graph.multiply(open, up)?
        } else {
            let up = self.linear(x, &format!("{at}.up"), inner, bias)?;
            self.graph.activate(up, stack.activation)
        };
        self.linear(bent, &format!("{at}.down"), self.spec.width, bias)
    }

    /// x: [row, width] -> logits and other heads of the picked rows: [picked, vocabulary] ...
    fn head(&mut self, x: Value) -> Result<()> {
        let (spec, site) = (self.spec, self.site);
        let picked = self.graph.pick(x);
        let state = self.final_norm(picked)?;
        for head in &spec.output_heads {
            let (what, name, outputs, pool) = match *head {
                OutputHead::Pair { pool } => (What::Pair, "output.pair", 2, pool),
                OutputHead::Replaced { pool } => (What::Replaced, "output.replaced", 1, pool),
                OutputHead::Classes { classes, pool } => {
                    (What::Classes, "output.classes", classes, pool)
                }
            };
            let mut y = state;
            if let Some(activation) = pool {
                y = self.linear(y, "output.pool", spec.width, true)?;
                y = self.graph.activate(y, activation);
            }
            let y = self.linear(y, name, outputs, true)?;
            self.graph.label(what, site, 0, y);
        }
        let Some(head) = spec.head else { return Ok(()) };
        let mut y = state;
        if let Some(activation) = head.transform {
            y = self.linear(y, "head.transform", spec.embedding_width, true)?;
            y = self.graph.activate(y, activation);
            y = self.norm(y, "head.transform.norm", 1)?;
        }
        let name = if head.tied { "token.weight" } else { "head.weight" };
        let matrix = self.stored(name, spec.vocabulary, spec.embedding_width)?;
        let bias = match head.bias {
            true => Some(self.stored("head.bias", 1, spec.vocabulary)?),
            false => None,
        };
        let logits = self.graph.matmul(y, matrix, bias, head.scale)?;
        self.graph.label(What::Logits, site, 0, logits);
        self.graph.sample(logits)
    }

    fn final_norm(&mut self, x: Value) -> Result<Value> {
        match self.stack.final_norm {
            true => self.norm(x, &format!("{}.norm", self.site.name()), 1),
            false => Ok(x),
        }
    }

    fn attention_bias(&mut self) -> Result<Option<Weight>> {
        let heads = self.stack.heads;
        let columns = 2 * self.spec.max_positions - 1;
        let site = self.site.name();
        let source = match self.stack.positions {
            Positions::Relative { buckets, max_distance } => Source::Buckets {
                name: format!("{site}.bias.weight"),
                buckets,
                max_distance,
                bidirectional: self.site == Site::Encoder,
            },
            Positions::Slopes => Source::Slopes,
            _ => return Ok(None),
        };
        self.graph.weight(&format!("{site}.bias"), heads, columns, source).map(Some)
    }

    fn cache(&mut self, site: Site) -> Result<()> {
        let stack = self.spec.stack(site);
        self.graph.cache(CacheInfo {
            site,
            layers: stack.layers,
            kv_heads: stack.kv_heads,
            head_width: stack.head_width,
        })
    }

    fn norm(&mut self, x: Value, name: &str, groups: usize) -> Result<Value> {
        let Norm { kind, epsilon, offset, bias } = self.stack.norm;
        let width = self.graph.info(x).width / groups;
        let weight = self.stored(&format!("{name}.weight"), 1, width)?;
        let bias = match bias {
            true => Some(self.stored(&format!("{name}.bias"), 1, width)?),
            false => None,
        };
        self.graph.norm(x, kind, groups, epsilon, offset, Some(weight), bias)
    }

    /// x: [row, in] -> [row, out].
    fn linear(&mut self, x: Value, name: &str, out: usize, bias: bool) -> Result<Value> {
        let weight = self.stored(&format!("{name}.weight"), out, self.graph.info(x).width)?;
        let bias = match bias {
            true => Some(self.stored(&format!("{name}.bias"), 1, out)?),
            false => None,
        };
        self.graph.matmul(x, weight, bias, 1.0)
    }

    /// Several linear layers of the same x as one: x: [row, in] -> [row, Σ out].
    fn stacked(
        &mut self,
        x: Value,
        at: &str,
        name: &str,
        parts: &[(&str, usize)],
        bias: bool,
    ) -> Result<Value> {
        let out = parts.iter().map(|(_, width)| width).sum();
        let names = |kind: &str| {
            Source::Stored(parts.iter().map(|(part, _)| format!("{at}.{part}.{kind}")).collect())
        };
        let inner = self.graph.info(x).width;
        let weight =
            self.graph.weight(&format!("{at}.{name}.weight"), out, inner, names("weight"))?;
        let bias = match bias {
            true => {
                let name = format!("{at}.{name}.bias");
                Some(self.graph.weight(&name, 1, out, names("bias"))?)
            }
            false => None,
        };
        self.graph.matmul(x, weight, bias, 1.0)
    }

    fn stored(&mut self, name: &str, out: usize, inner: usize) -> Result<Weight> {
        self.graph.weight(name, out, inner, Source::Stored(vec![name.to_string()]))
    }
}

fn heads(stack: &Stack, layer: usize) -> Heads {
    let depth = if stack.scale_by_depth { layer + 1 } else { 1 };
    Heads {
        heads: stack.heads,
        kv_heads: stack.kv_heads,
        head_width: stack.head_width,
        scale: stack.scale / depth as f32,
    }
}
