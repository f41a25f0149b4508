//! A small decoder as data, and the decoders that the tests go through.

use unmasked::device::Matrix;
use unmasked::graph::{
    Activation, CacheInfo, Heads, Index, Label, Lookup, NormKind, Pairing, Rotation, Site, Tap,
    What,
};
use unmasked::mask::{Bits, Mask, Rule};

use crate::support::{Bench, Format, Given};

/// A decoder, as data.
#[derive(Clone, Copy, Debug)]
pub struct Net {
    pub seed: u64,
    pub rows: usize,
    pub variants: usize,
    pub layers: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_width: usize,
    pub kind: NormKind,
    pub rotary: Option<Pairing>,
    pub bias: bool,
    pub gated: bool,
    pub format: Format,
}

pub const NET: Net = Net {
    seed: 0,
    rows: 12,
    variants: 1,
    layers: 2,
    heads: 4,
    kv_heads: 4,
    head_width: 8,
    kind: NormKind::Layer,
    rotary: None,
    bias: false,
    gated: false,
    format: Format::F16,
};

pub const VOCABULARY: usize = 61;
pub const SITE: Site = Site::Decoder;

impl Net {
    /// The net with its weights, given rows `0..rows` of random ids under a causal mask; watches
    /// the logits of all of them and the attention of the last layer.
    pub fn bench(self) -> Bench {
        let Net { heads, kv_heads, head_width, layers, rows, .. } = self;
        let mut bench = Bench::new(self.seed, rows, self.variants);
        let width = heads * head_width;
        let small = |bench: &mut Bench, out: usize, inner: usize| {
            let deviation = 1.0 / (inner as f32).sqrt();
            let numbers = bench.numbers.normals(out * inner);
            let scaled: Vec<f32> = numbers.iter().map(|x| x * deviation).collect();
            let matrix = match self.format {
                Format::F32 => Matrix::F32(scaled),
                Format::F16 => Matrix::F16(scaled.into_iter().map(half::f16::from_f32).collect()),
                Format::Bf16 => {
                    Matrix::Bf16(scaled.into_iter().map(half::bf16::from_f32).collect())
                }
                Format::Int8 => Matrix::Int8 {
                    values: scaled.iter().map(|x| (x / deviation * 30.0) as i8).collect(),
                    scales: vec![deviation / 30.0; out],
                },
            };
            bench.matrix(out, inner, matrix)
        };
        let table = small(&mut bench, VOCABULARY, width);
        let mut lookups = vec![Lookup { table, index: Index::Token, scale: 4.0 }];
        if self.rotary.is_none() {
            let table = small(&mut bench, rows, width);
            lookups.push(Lookup { table, index: Index::Position(0), scale: 4.0 });
        }
        let frequencies: Vec<f32> = (0..head_width / 2).map(|i| 0.1f32.powi(i as i32)).collect();
        let frequencies = (head_width >= 2)
            .then(|| bench.matrix(1, frequencies.len(), Matrix::F32(frequencies.clone())));
        let mut x = bench.graph.embed(lookups).unwrap();
        bench.graph.cache(CacheInfo { site: SITE, layers, kv_heads, head_width }).unwrap();
        for layer in 0..layers {
            let weight = bench.weight(1, width, Format::F16);
            let normed = bench.graph.norm(x, self.kind, 1, 1e-5, 0.0, Some(weight), None).unwrap();
            let columns = (heads + 2 * kv_heads) * head_width;
            let weight = small(&mut bench, columns, width);
            let bias = bench.weight(1, columns, Format::F32);
            let qkv = bench.graph.matmul(normed, weight, Some(bias), 1.0).unwrap();
            let mut queries = bench.graph.columns(qkv, 0, width).unwrap();
            let mut keys = bench.graph.columns(qkv, width, kv_heads * head_width).unwrap();
            let start = width + kv_heads * head_width;
            let values = bench.graph.columns(qkv, start, kv_heads * head_width).unwrap();
            if let (Some(pairing), Some(frequencies)) = (self.rotary, frequencies) {
                let dims = head_width / 2 * 2;
                let rotation = Rotation { start: 0, dims, pairing, stream: 0 };
                let graph = &mut bench.graph;
                queries = graph.rotate(queries, heads, head_width, rotation, frequencies).unwrap();
                keys = graph.rotate(keys, kv_heads, head_width, rotation, frequencies).unwrap();
            }
            bench.graph.store(keys, values, SITE, layer).unwrap();
            let scale = 1.0 / (head_width as f32).sqrt();
            let shape = Heads { heads, kv_heads, head_width, scale };
            let bias = self.bias.then(|| bench.weight(heads, 9, Format::F32));
            let attended = bench.graph.attend(queries, SITE, layer, shape, bias).unwrap();
            let weight = small(&mut bench, width, width);
            let projected = bench.graph.matmul(attended, weight, None, 1.0).unwrap();
            x = bench.graph.add(x, projected).unwrap();

            let normed = bench.graph.norm(x, self.kind, 1, 1e-5, 0.0, None, None).unwrap();
            let weight = small(&mut bench, 3 * width, width);
            let up = bench.graph.matmul(normed, weight, None, 1.0).unwrap();
            let mut inner = bench.graph.activate(up, Activation::GeluTanh);
            if self.gated {
                let weight = small(&mut bench, 3 * width, width);
                let gate = bench.graph.matmul(normed, weight, None, 1.0).unwrap();
                inner = bench.graph.multiply(inner, gate).unwrap();
            }
            let weight = small(&mut bench, width, 3 * width);
            let down = bench.graph.matmul(inner, weight, None, 1.0).unwrap();
            x = bench.graph.add(x, down).unwrap();
        }
        let picked = bench.graph.pick(x);
        let normed = bench.graph.norm(picked, self.kind, 1, 1e-5, 0.0, None, None).unwrap();
        let logits = bench.graph.matmul(normed, table, None, 1.0).unwrap();
        bench.graph.sample(logits).unwrap();
        bench.watch(logits);
        let label = Label { what: What::Attention, site: SITE, layer: layers - 1 };
        let heads = (0..self.heads as u32).collect();
        bench.given.taps.push(Tap { label, heads, rows: vec![] });

        let count = rows * self.variants;
        bench.given.ids = (0..count).map(|_| bench.numbers.below(VOCABULARY) as u32).collect();
        let all = bench.given.clone();
        self.give(&mut bench.given, &all, 0, rows);
        bench
    }

    /// Of all rows, those from `start` to `end`, causal, everything before them cached.
    pub fn give(&self, given: &mut Given, all: &Given, start: usize, end: usize) {
        let total = all.slots.len();
        given.ids = (0..self.variants)
            .flat_map(|variant| all.ids[variant * total..][start..end].iter().copied())
            .collect();
        given.positions = vec![(start as u32..end as u32).collect()];
        given.slots = (start as u32..end as u32).collect();
        given.keys[SITE as usize] = end;
        given.picked = (0..(end - start) as u32).collect();
        given.taps.iter_mut().for_each(|tap| tap.rows = given.picked.clone());
        let rows: Vec<usize> = (start..end).collect();
        let bits = Mask::from(Rule::Causal).bits(&rows, end, self.layers, self.heads);
        given.masks[SITE as usize] = Bits::stack(&vec![bits; self.variants]);
    }
}

pub fn nets() -> Vec<(&'static str, Net)> {
    vec![
        ("plain", NET),
        ("f32", Net { format: Format::F32, ..NET }),
        ("bf16", Net { format: Format::Bf16, ..NET }),
        ("int8", Net { format: Format::Int8, ..NET }),
        (
            "rms_rotary_gated",
            Net {
                kind: NormKind::Rms,
                rotary: Some(Pairing::Halves),
                gated: true,
                kv_heads: 2,
                ..NET
            },
        ),
        ("neighbours", Net { rotary: Some(Pairing::Neighbours), ..NET }),
        ("bias", Net { bias: true, ..NET }),
        ("odd", Net { heads: 3, kv_heads: 1, head_width: 7, rows: 9, ..NET }),
        ("variants", Net { variants: 3, rows: 5, ..NET }),
        ("long", Net { rows: 70, layers: 1, ..NET }),
    ]
}
