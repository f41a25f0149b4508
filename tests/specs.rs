//! Any spec, not only the quartet's: random architectures with random weights run on both devices,
//! cached as uncached, and cannot be told apart by a session.

mod machines;
mod support;

use unmasked::device::{Cause, Device};
use unmasked::graph::{Activation, NormKind, Pairing};
use unmasked::model::Transformer;
use unmasked::request::{Request, Watchable};
use unmasked::session::Session;
use unmasked::spec::{
    Architecture, Biases, Head, Norm, Order, OutputHead, Positions, Rotary, Slot, Spec,
    SpecialTokens, Stack, Template,
};

use machines::{afresh, chosen, difference, logits, of_ids, random, run};
use support::{Case, Numbers, case, is_cpu};

const ARCHITECTURES: [Architecture; 4] = [
    Architecture::Encoder,
    Architecture::Causal,
    Architecture::Prefix,
    Architecture::EncoderDecoder,
];

fn pick<T: Copy>(numbers: &mut Numbers, among: &[T]) -> T {
    among[numbers.below(among.len())]
}

/// A stack with every switch thrown at random; odd widths on purpose.
fn stack(numbers: &mut Numbers, width: usize) -> Stack {
    let kv_heads = 1 + numbers.below(3);
    let heads = kv_heads * (1 + numbers.below(3));
    let head_width = pick(numbers, &[2, 5, 6, 8, 12]);
    let layers = 1 + numbers.below(3);
    let rotary_dims = head_width / 2 * 2;
    let positions = match numbers.below(5) {
        0 => Positions::Learned { offset: numbers.below(3), streams: 1 },
        1 => Positions::Sinusoidal,
        2 => Positions::Rotary(Rotary {
            dims: rotary_dims,
            pairing: pick(numbers, &[Pairing::Halves, Pairing::Neighbours]),
            frequencies: (0..rotary_dims / 2).map(|i| 1.0 / (1.0 + i as f32)).collect(),
            parts: 1,
        }),
        3 => Positions::Relative { buckets: 8, max_distance: 16 },
        _ => Positions::Slopes,
    };
    let kind = pick(numbers, &[NormKind::Layer, NormKind::Rms]);
    let order = pick(numbers, &[Order::Pre, Order::Post, Order::Parallel]);
    Stack {
        layers,
        distinct_layers: if numbers.below(4) == 0 { 1 } else { layers },
        heads,
        kv_heads,
        head_width,
        scale: (head_width as f32).sqrt().recip(),
        scale_by_depth: numbers.below(4) == 0,
        residual_scale: pick(numbers, &[1.0, 1.0, 2.5]),
        query_key_norm: kind == NormKind::Rms && numbers.below(3) == 0,
        feed_forward_width: width + numbers.below(20),
        activation: pick(
            numbers,
            &[
                Activation::Relu,
                Activation::Gelu,
                Activation::GeluTanh,
                Activation::QuickGelu,
                Activation::Silu,
            ],
        ),
        gated: numbers.below(2) == 0,
        positions,
        norm: Norm { kind, epsilon: 1e-5, offset: 0.0, bias: kind == NormKind::Layer },
        order,
        final_norm: order != Order::Post,
        embedding_norm: numbers.below(3) == 0,
        biases: Biases {
            query_key_value: numbers.below(2) == 0,
            attention_output: numbers.below(2) == 0,
            feed_forward: numbers.below(2) == 0,
        },
    }
}

fn spec(seed: u64) -> Spec {
    let numbers = &mut Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    for _ in 0..8 {
        numbers.next();
    }
    let architecture = ARCHITECTURES[seed as usize % 4];
    let width = pick(numbers, &[9, 16, 21, 24]);
    let (mut encoder, mut decoder) = (Stack::absent(), Stack::absent());
    if matches!(architecture, Architecture::Encoder | Architecture::EncoderDecoder) {
        encoder = stack(numbers, width);
    }
    if architecture != Architecture::Encoder {
        decoder = stack(numbers, width);
        if architecture == Architecture::EncoderDecoder && decoder.order == Order::Parallel {
            decoder.order = Order::Pre;
        }
    }
    let vocabulary = 30 + numbers.below(12);
    let tied = numbers.below(2) == 0;
    Spec {
        family: "random".into(),
        architecture,
        vocabulary,
        width,
        embedding_width: if numbers.below(3) == 0 { width - 2 } else { width },
        embedding_scale: pick(numbers, &[1.0, 3.0]),
        segments: if architecture == Architecture::Encoder { numbers.below(3) } else { 0 },
        max_positions: 24,
        encoder,
        decoder,
        head: Some(Head {
            tied,
            bias: numbers.below(2) == 0,
            scale: pick(numbers, &[1.0, 0.5]),
            // An embedding narrower than the stream needs the transform to come back to it.
            transform: None,
        }),
        output_heads: match numbers.below(3) {
            0 => vec![OutputHead::Pair { pool: Some(Activation::Tanh) }],
            1 => vec![
                OutputHead::Replaced { pool: None },
                OutputHead::Classes { classes: 3, pool: None },
            ],
            _ => Vec::new(),
        },
        special: SpecialTokens { mask: Some(2), bos: Some(1), ..SpecialTokens::default() },
        template: Template {
            source: vec![Slot::Source],
            pair: Vec::new(),
            start: if architecture == Architecture::EncoderDecoder { vec![1] } else { Vec::new() },
            ..Template::default()
        },
        ..Spec::plain("random", architecture, width)
    }
}

fn checked(seed: u64) -> Spec {
    let mut spec = spec(seed);
    if let Some(head) = &mut spec.head
        && spec.embedding_width != spec.width
    {
        head.transform = Some(Activation::Gelu);
    }
    spec
}

fn request(spec: &Spec) -> Request {
    let mut request = of_ids(&[3, 4, 5, 6, 7, 2, 9], &[Watchable::Logits, Watchable::Attention]);
    if spec.generates() {
        request.target_ids = [spec.template.start.as_slice(), &[11, 12, 13]].concat();
    }
    request
}

/// The GPU is held against the CPU; the CPU against itself with a cache.
fn one(seed: u64) -> Case {
    let name = format!("spec_{seed}::{}", checked(seed).architecture.name());
    case(name, move |device: &Device| {
        let spec = checked(seed);
        let engine = random(spec.clone(), device, seed);
        let request = request(&spec);
        let trace = afresh(&engine, &request);
        let all = logits(&trace).concat();
        assert!(all.iter().all(|logit| logit.is_finite()), "{spec:?}");
        let attention = &trace.forward.as_ref().unwrap().watched.attention;
        for row in attention.values().flatten().flatten().flatten() {
            let sum: f32 = row.iter().sum();
            assert!((sum - 1.0).abs() < 1e-5, "a row of attention sums to {sum}: {spec:?}");
        }
        if !is_cpu(device) {
            let cpu = Device::cpu(Cause::Asked, "reference");
            let reference = afresh(&random(spec.clone(), &cpu, seed), &request);
            let worst = difference(&all, &logits(&reference).concat());
            assert!(worst <= 1e-4, "GPU and CPU logits differ by {worst}: {spec:?}");
            let other = &reference.forward.as_ref().unwrap().watched.attention;
            for (site, layers) in attention {
                let flat = |layers: &Vec<Vec<Vec<Vec<f32>>>>| layers.concat().concat().concat();
                for (a, b) in flat(layers).iter().zip(flat(&other[site])) {
                    assert!((a - b).abs() <= 1e-5, "attention {a} and {b}: {spec:?}");
                }
            }
        }
        if spec.generates() {
            let steps = run(
                &mut Session::new(),
                &engine,
                &Request { max_new_tokens: Some(5), ..request.clone() },
            );
            assert_eq!(steps.len(), 5);
            let whole = Request {
                target_ids: [request.target_ids.clone(), chosen(&steps)].concat(),
                ..request.clone()
            };
            let whole = afresh(&engine, &whole);
            for step in &steps {
                let (cached, fresh) = (step.logits.as_ref().unwrap(), &logits(&whole)[step.row]);
                if is_cpu(device) {
                    assert_eq!(cached, fresh, "row {}: {spec:?}", step.row);
                } else {
                    assert!(difference(cached, fresh) <= 1e-4, "row {}: {spec:?}", step.row);
                }
            }
        }
    })
}

fn main() {
    let mut cases: Vec<Case> = (0..48).map(one).collect();
    cases.push(support::cpu_case("the_ledger_counts_every_number_once", |device| {
        for name in machines::QUARTET {
            let engine = machines::quartet(name, device);
            let stored: u64 = {
                let bytes =
                    std::fs::read(machines::folder(name).join("model.safetensors")).unwrap();
                let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
                let size =
                    |info: &safetensors::tensor::TensorInfo| info.shape.iter().product::<usize>();
                metadata.tensors().values().map(|info| size(info) as u64).sum()
            };
            assert_eq!(engine.transformer.parameters(), stored, "{name}");
        }
    }));
    cases.push(support::cpu_case("every_random_spec_can_be_built", |_| {
        for seed in 0..400 {
            Transformer::new(&checked(seed)).unwrap_or_else(|e| panic!("{e}: {:?}", checked(seed)));
        }
    }));
    cases.push(support::cpu_case("costs_are_numbers_that_javascript_holds", |_| {
        let stack = Stack::plain(1024, 64, 128, 1 << 16);
        let spec = Spec { decoder: stack, ..Spec::plain("large", Architecture::Causal, 8192) };
        let costs = [8, 1 << 20].map(|keys| spec.cost(keys));
        assert!(costs[0].multiplications_recomputed < costs[1].multiplications_recomputed);
        assert_eq!(costs[1].multiplications_recomputed, (1 << 53) - 1);
    }));
    cases.push(support::cpu_case("costs_are_those_of_every_row_and_what_it_sees", |_| {
        // Of a block: 4 * 8 * 8 for queries, keys, values and output, 2 * 8 * 16 feed-forward, 2 * 8 a key that is seen.
        let stack = || Stack::plain(2, 2, 4, 16);
        let row = |seen: u64| 2 * (256 + 256 + 16 * seen);
        let table = 10 * 8;
        let of = |architecture, encoder, decoder| {
            let spec = Spec {
                head: Some(Head::plain(true)),
                encoder,
                decoder,
                vocabulary: 10,
                embedding_width: 8,
                ..Spec::plain("small", architecture, 8)
            };
            spec.cost(3)
        };
        let none = Stack::absent;
        let causal = of(Architecture::Causal, none(), stack());
        assert_eq!(causal.multiplications_cached, row(3) + table);
        assert_eq!(causal.multiplications_recomputed, row(1) + row(2) + row(3) + table);
        assert_eq!(causal.cache_bytes, 2 * 2 * 3 * 8 * 4);
        let prefix = of(Architecture::Prefix, none(), stack());
        assert_eq!(prefix.multiplications_recomputed, 2 * row(2) + row(3) + table);
        let encoder = of(Architecture::Encoder, stack(), none());
        assert_eq!(encoder.multiplications_recomputed, 3 * row(3) + table);
        // A target's row looks across: two matrices more, and the keys of the source.
        let wired = of(Architecture::EncoderDecoder, stack(), stack());
        let across = |seen: u64| row(seen + 3) + 2 * 2 * 64;
        assert_eq!(wired.multiplications_cached, across(3) + table);
        let memory = 3 * (row(3) + 2 * 2 * 64);
        assert_eq!(
            wired.multiplications_recomputed,
            memory + across(1) + across(2) + across(3) + table
        );
        assert_eq!(wired.cache_bytes, 2 * causal.cache_bytes);
        let mute =
            Spec { head: None, decoder: stack(), ..Spec::plain("mute", Architecture::Causal, 8) };
        assert_eq!(mute.cost(3).multiplications_cached, row(3));
    }));
    support::main(cases);
}
