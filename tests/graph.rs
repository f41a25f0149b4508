//! Whole graphs on every device: against the reference, cached against uncached, and refusals.

mod support;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use support::{Bench, Case, Format, Given, Numbers, Ready, case, gpu_case, is_cpu, random_bits};
use unmasked::device::{Choice, Device, Matrix};
use unmasked::error::{Error, Kind};
use unmasked::graph::{
    Activation, CacheInfo, Capacity, Draw, Graph, Heads, Index, Label, Lookup, NormKind, Pairing,
    Played, Rotation, Site, Source, Tap, Value, What,
};
use unmasked::mask::{Bits, Mask, Rule};

fn main() {
    support::main(
        [
            against_the_reference(),
            determinism(),
            following(),
            hidden_keys(),
            refusals(),
            building(),
            gpu(),
        ]
        .into_iter()
        .flatten()
        .collect(),
    );
}

// ---- a small decoder -------------------------------------------------------------------------

/// A decoder, as data.
#[derive(Clone, Copy, Debug)]
struct Net {
    seed: u64,
    rows: usize,
    variants: usize,
    layers: usize,
    heads: usize,
    kv_heads: usize,
    head_width: usize,
    kind: NormKind,
    rotary: Option<Pairing>,
    bias: bool,
    gated: bool,
    format: Format,
}

const NET: Net = Net {
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

const VOCABULARY: usize = 61;
const SITE: Site = Site::Decoder;

impl Net {
    /// The net with its weights, given rows `0..rows` of random ids under a causal mask; watches
    /// the logits of all of them and the attention of the last layer.
    fn bench(self) -> Bench {
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
    fn give(&self, given: &mut Given, all: &Given, start: usize, end: usize) {
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

fn nets() -> Vec<(&'static str, Net)> {
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

/// That all logits lie within 1e-4 of the largest, and the attention within 1e-5.
fn close(device: &[Vec<f32>], expected: &[Vec<f64>]) {
    for (tap, (device, expected)) in device.iter().zip(expected).enumerate() {
        let largest = expected.iter().fold(0.0f64, |most, x| most.max(x.abs()));
        let tolerance = if tap == 0 { 1e-4 * largest } else { 1e-5 };
        assert_eq!(device.len(), expected.len());
        for (index, (got, expected)) in device.iter().zip(expected).enumerate() {
            let distance = (f64::from(*got) - expected).abs();
            assert!(
                distance <= tolerance,
                "tap {tap}, cell {index}: expected {expected}, got {got}, {distance:e} apart"
            );
        }
    }
}

fn widened(taps: &[Vec<f32>]) -> Vec<Vec<f64>> {
    taps.iter().map(|tap| tap.iter().map(|x| f64::from(*x)).collect()).collect()
}

fn values_of(expected: &support::reference::Expected) -> Vec<Vec<f64>> {
    expected.taps.iter().map(|tap| tap.iter().map(|cell| cell.value).collect()).collect()
}

fn against_the_reference() -> Vec<Case> {
    let mut cases: Vec<Case> = nets()
        .into_iter()
        .map(|(name, net)| {
            case(format!("reference::{name}"), move |device| {
                let bench = net.bench();
                let mut ready = bench.ready(device);
                let expected = ready.reference.play(&bench.given.play());
                close(&ready.play(&bench.given).taps, &values_of(&expected));
            })
        })
        .collect();
    cases.push(case("reference::any_net_any_mask", |device| {
        let net = (0..u64::MAX, 1..20usize, 1..3usize, 1..3usize, 1..3usize, 1..3usize);
        let net = (net, 1..9usize, any::<[bool; 3]>(), 0..3usize, 0..4usize);
        let cases = if is_cpu(device) { 48 } else { 6 };
        let config = Config { cases, failure_persistence: None, ..Config::default() };
        let test = |(sizes, head_width, flags, rotary, format)| {
            let (seed, rows, variants, layers, kv_heads, group): (u64, _, _, _, _, usize) = sizes;
            let [rms, bias, gated]: [bool; 3] = flags;
            let net = Net {
                seed,
                rows,
                variants,
                layers,
                heads: kv_heads * group,
                kv_heads,
                head_width,
                kind: if rms { NormKind::Rms } else { NormKind::Layer },
                rotary: [None, Some(Pairing::Halves), Some(Pairing::Neighbours)][rotary],
                bias,
                gated,
                format: Format::ALL[format],
            };
            let mut bench = net.bench();
            let heads = net.heads;
            bench.given.masks[SITE as usize] =
                Some(random_bits(&mut bench.numbers, variants, layers, heads, rows, rows));
            let mut ready = bench.ready(device);
            let expected = ready.reference.play(&bench.given.play());
            close(&ready.play(&bench.given).taps, &values_of(&expected));
            Ok(())
        };
        TestRunner::new(config).run(&net, test).unwrap_or_else(|error| panic!("{error}"));
    }));
    cases.push(case("reference::memory_of_another_graph", cross_attention));
    cases
}

/// One graph stores the memory, another attends to it: one set of caches.
fn cross_attention(device: &Device) {
    let cache = CacheInfo { site: Site::Cross, layers: 1, kv_heads: 2, head_width: 6 };
    let mut encoder = Bench::new(21, 9, 2);
    let memory = encoder.input(24);
    let keys = encoder.graph.columns(memory, 0, 12).unwrap();
    let values = encoder.graph.columns(memory, 12, 12).unwrap();
    encoder.graph.cache(cache).unwrap();
    encoder.graph.store(keys, values, Site::Cross, 0).unwrap();
    encoder.given.picked.clear();

    let mut decoder = Bench::new(22, 3, 2);
    decoder.capacity.keys[Site::Cross as usize] = 9;
    decoder.graph.cache(cache).unwrap();
    let queries = decoder.input(24);
    let heads = Heads { heads: 4, kv_heads: 2, head_width: 6, scale: 0.4 };
    let out = decoder.graph.attend(queries, Site::Cross, 0, heads, None).unwrap();
    decoder.watch(out);
    decoder.given.keys[Site::Cross as usize] = 9;
    decoder.given.masks[Site::Cross as usize] =
        Some(random_bits(&mut decoder.numbers, 2, 1, 4, 3, 9));

    let mut stored = encoder.ready(device);
    stored.play(&encoder.given);
    stored.reference.play(&encoder.given.play());
    let mut seen = decoder.ready(device);
    seen.caches = stored.caches;
    seen.reference.cache = stored.reference.cache;
    seen.check(&decoder.given);
}

// ---- determinism -----------------------------------------------------------------------------

fn bits_of(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|x| x.to_bits()).collect()
}

fn largest(row: &[f32]) -> usize {
    (0..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best })
}

/// Logits of every row, the rows played in parts of these lengths, each after the other.
fn logits_in_parts(device: &Device, bench: &Bench, net: Net, parts: &[usize]) -> Vec<f32> {
    let mut ready = bench.ready(device);
    let (mut done, mut logits) = (0, vec![Vec::new(); net.variants]);
    for part in parts {
        let mut given = bench.given.clone();
        net.give(&mut given, &bench.given, done, done + part);
        done += part;
        let played = ready.play(&given);
        for (logits, more) in logits.iter_mut().zip(played.taps[0].chunks(part * VOCABULARY)) {
            logits.extend_from_slice(more);
        }
    }
    logits.concat()
}

fn determinism() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, net) in nets() {
        cases.push(case(format!("cached_is_uncached::{name}"), move |device| {
            let bench = net.bench();
            let whole = logits_in_parts(device, &bench, net, &[net.rows]);
            let one_by_one = vec![1; net.rows];
            let mut prefix = vec![3, 1];
            prefix.resize(2 + net.rows - 4, 1);
            let two = [net.rows - 2, 2];
            for parts in [&one_by_one[..], &prefix, &two] {
                let cached = logits_in_parts(device, &bench, net, parts);
                if is_cpu(device) {
                    assert_eq!(bits_of(&whole), bits_of(&cached), "parts {parts:?}");
                } else {
                    let expected = widened(std::slice::from_ref(&whole));
                    close(std::slice::from_ref(&cached), &expected);
                    for (whole, cached) in whole.chunks(VOCABULARY).zip(cached.chunks(VOCABULARY)) {
                        assert_eq!(largest(whole), largest(cached));
                    }
                }
            }
        }));
        cases.push(case(format!("a_later_token_changes_nothing_before::{name}"), move |device| {
            let bench = net.bench();
            let mut ready = bench.ready(device);
            let before = ready.play(&bench.given);
            let mut given = bench.given.clone();
            let last = net.rows - 1;
            given.ids[last] = (given.ids[last] + 1) % VOCABULARY as u32;
            let after = ready.play(&given);
            let earlier = last * VOCABULARY;
            let row = |played: &Played| bits_of(&played.taps[0][..earlier]);
            assert_eq!(row(&before), row(&after));
            let row = |played: &Played| bits_of(&played.taps[0][earlier..][..VOCABULARY]);
            assert_ne!(row(&before), row(&after), "the row itself does change");
        }));
    }
    cases.push(case("a_variant_does_not_know_the_others", |device| {
        let net = Net { variants: 3, rows: 6, ..NET };
        let bench = net.bench();
        let all = bench.ready(device).play(&bench.given).taps.remove(0);
        let alone = Net { variants: 1, ..net };
        for variant in 0..3 {
            let mut single = alone.bench();
            single.matrices = bench.matrices.clone();
            single.given.ids = bench.given.ids[variant * 6..][..6].to_vec();
            let logits = single.ready(device).play(&single.given).taps.remove(0);
            let mine = &all[variant * 6 * VOCABULARY..][..6 * VOCABULARY];
            if is_cpu(device) {
                assert_eq!(bits_of(mine), bits_of(&logits));
            } else {
                close(&[mine.to_vec()], &widened(&[logits]));
            }
        }
    }));
    cases.push(case("the_same_play_twice_is_the_same", |device| {
        let bench = NET.bench();
        let mut ready = bench.ready(device);
        let mut given = bench.given.clone();
        given.draws = vec![Draw { temperature: 1.0, uniform: 0.4, ..Draw::GREEDY }; NET.rows];
        given.candidates = 5;
        let (first, second) = (ready.play(&given), ready.play(&given));
        assert_eq!(first, second);
        assert_eq!(first.choices.len(), NET.rows);
    }));
    cases
}

/// Plays that were begun one behind the other give what they give one by one, whoever passes on the ids.
fn following() -> Vec<Case> {
    vec![case("plays_that_follow_one_another_are_plays_one_by_one", |device| {
        let bench = NET.bench();
        let wanted = Given { taps: bench.given.taps[1..].to_vec(), ..bench.given.clone() };
        let row = |at: usize, id: u32| {
            let mut given = wanted.clone();
            NET.give(&mut given, &bench.given, at, at + 1);
            given.ids = vec![id];
            let draw = Draw { temperature: 1.0, uniform: 0.09 * at as f32, ..Draw::GREEDY };
            given.draws = vec![draw];
            given.candidates = 3;
            given
        };
        let prompt = |ready: &mut Ready| {
            let mut given = wanted.clone();
            NET.give(&mut given, &bench.given, 0, 5);
            ready.play(&given);
        };
        let mut ready = bench.ready(device);
        prompt(&mut ready);
        let (mut id, mut alone) = (7, Vec::new());
        for at in 5..11 {
            let played = ready.play(&row(at, id));
            id = played.choices[0].id;
            alone.push((played.choices, played.taps));
        }
        assert!(alone.windows(2).any(|two| two[0].0[0].id != two[1].0[0].id), "ids that differ");

        let mut ready = bench.ready(device);
        prompt(&mut ready);
        // Every id but the first is a lie that nobody reads.
        let given: Vec<Given> = (5..11).map(|at| row(at, if at == 5 { 7 } else { 60 })).collect();
        let plays: Vec<_> = given.iter().map(Given::play).collect();
        let Ready { prepared, caches, .. } = &mut ready;
        let played = pollster::block_on(async {
            let first = device.begin(prepared, caches, None, &plays[..3]).await?;
            let second = device.begin(prepared, caches, Some(&first), &plays[3..4]).await?;
            let third = device.begin(prepared, caches, Some(&second), &plays[4..]).await?;
            let mut played = device.finish(prepared, first).await?;
            played.extend(device.finish(prepared, second).await?);
            played.extend(device.finish(prepared, third).await?);
            Ok::<_, Error>(played)
        });
        let played = played.unwrap();
        let counters: Vec<_> =
            played.iter().map(|p| (p.counters.submits, p.counters.readbacks)).collect();
        let together = |first| if is_cpu(device) { (0, 0) } else { (first, first) };
        assert_eq!(counters, [1, 0, 0, 1, 1, 0].map(together));
        let ahead: Vec<_> = played.into_iter().map(|p| (p.choices, p.taps)).collect();
        assert_eq!(ahead, alone);
    })]
}

// ---- hidden keys -----------------------------------------------------------------------------

/// What nobody sees may be anything at all.
fn hidden_keys() -> Vec<Case> {
    vec![case("hidden_keys_touch_nothing", |device| {
        let play = |poison: f32| {
            let mut bench = Bench::new(31, 6, 1);
            let mut numbers = bench.numbers.normals(6 * 24);
            // Row 3 holds the key and the value that nobody else may see.
            numbers[3 * 24..4 * 24].fill(poison);
            let table = bench.matrix(6, 24, Matrix::F32(numbers));
            let x = bench.embed(table);
            let part = |bench: &mut Bench, start| bench.graph.columns(x, start, 8).unwrap();
            let (queries, keys, values) =
                (part(&mut bench, 0), part(&mut bench, 8), part(&mut bench, 16));
            let cache = CacheInfo { site: SITE, layers: 1, kv_heads: 2, head_width: 4 };
            bench.graph.cache(cache).unwrap();
            bench.graph.store(keys, values, SITE, 0).unwrap();
            let heads = Heads { heads: 2, kv_heads: 2, head_width: 4, scale: 0.5 };
            let out = bench.graph.attend(queries, SITE, 0, heads, None).unwrap();
            bench.watch(out);
            bench.given.taps[0].rows = vec![0, 1, 2, 4, 5];
            for what in [What::Attention, What::Scores] {
                let label = Label { what, site: SITE, layer: 0 };
                bench.given.taps.push(Tap { label, heads: vec![0, 1], rows: vec![0, 1, 2, 4, 5] });
            }
            let picture = ["111011", "100000", "000000", "111111", "101010", "110001"];
            let picture: Vec<String> = picture.map(String::from).into();
            let mask = Mask::from_picture(&picture, Rule::Full).unwrap();
            bench.given.keys[SITE as usize] = 6;
            bench.given.masks[SITE as usize] = Some(mask.bits(&[0, 1, 2, 3, 4, 5], 6, 1, 2));
            bench.ready(device).play(&bench.given).taps
        };
        let usual = play(0.25);
        for poison in [0.0, 1e38, -1e38, f32::NAN, f32::INFINITY] {
            let taps = play(poison);
            for (usual, tap) in usual.iter().zip(&taps) {
                assert_eq!(bits_of(usual), bits_of(tap), "poison {poison}");
            }
        }
        // Row 2 sees nothing: attention 0, output 0. Row 1 sees one key: attention 1.
        assert_eq!(usual[0][2 * 8..3 * 8], [0.0; 8]);
        assert_eq!(usual[1][2 * 6..3 * 6], [0.0; 6]);
        assert_eq!(usual[1][6..2 * 6], [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    })]
}

// ---- refusals --------------------------------------------------------------------------------

/// How a refusal begins, and what spoils a play so.
type WrongPlay = (&'static str, fn(&mut Given));

/// Plays that do not fit.
fn wrong_plays() -> Vec<WrongPlay> {
    let site = SITE as usize;
    assert_eq!(site, 1);
    vec![
        ("token id: expected below 61, got 61", |g| g.ids[2] = 61),
        ("token id: expected below 61, got 4294967295", |g| g.ids[0] = u32::MAX),
        ("number of token ids: expected 12, got 11", |g| g.ids.truncate(11)),
        ("number of token ids: expected 12, got 0", |g| g.ids.clear()),
        ("number of segments: expected 12, got 1", |g| g.segments = vec![0]),
        ("position: expected below 12", |g| g.positions[0][11] = 12),
        ("position streams: expected at least 1, got 0", |g| g.positions.clear()),
        ("number of positions of stream 0: expected 12, got 3", |g| g.positions[0].truncate(3)),
        ("variants: expected at least 1, got 0", |g| g.variants = 0),
        ("variants: expected at most 1, got 2", |g| g.variants = 2),
        ("rows: expected at most 12, got 13", |g| g.slots.push(12)),
        ("slots: expected ascending numbers, got 0 after 0", |g| g.slots[1] = 0),
        ("slots: expected ascending numbers, got 9 after 10", |g| g.slots.swap(9, 10)),
        ("slot of the decoder cache: expected below 12, got 12", |g| g.slots[11] = 12),
        ("decoder keys: expected at most 12, got 13", |g| g.keys[1] = 13),
        ("decoder mask: expected 12 rows, 11 keys", |g| g.keys[1] = 11),
        ("picked row: expected below 12, got 12", |g| g.picked[0] = 12),
        ("picked rows: expected at most 12, got 13", |g| g.picked.push(0)),
        ("decoder mask: expected bits for every row, got no mask", |g| g.masks[1] = None),
        ("decoder mask: expected 12 rows", |g| bits(g).rows = 11),
        ("decoder mask: expected 12 rows", |g| bits(g).layers = 1),
        ("decoder mask: expected 12 rows", |g| bits(g).heads = 5),
        ("number of words a row of the decoder mask: expected 1, got 2", |g| bits(g).words = 2),
        ("number of planes named by the decoder mask: expected 8", |g| bits(g).plane.truncate(1)),
        ("decoder mask: expected 2 planes of 12 words", |g| bits(g).plane[3] = 1),
        ("decoder mask: expected 1 planes of 12 words", |g| bits(g).planes.truncate(5)),
        ("number of decoder gates: expected 8, got 7", |g| g.gates[1] = vec![1.0; 7]),
        ("decoder gate: expected a finite number, got NaN", |g| g.gates[1] = vec![f32::NAN; 8]),
        ("row of watched Hidden of decoder layer 0: expected below 12", |g| {
            g.taps[0].rows.push(12);
        }),
        ("watched Hidden of encoder layer 0: expected something", |g| {
            g.taps[0].label.site = Site::Encoder;
        }),
        ("head of watched Attention of decoder layer 1: expected below 4", |g| {
            g.taps[1].heads.push(4);
        }),
        ("watched Attention of decoder layer 2: expected something", |g| {
            g.taps[1].label.layer = 2;
        }),
        ("number of draws: expected 12, got 1", |g| g.draws = vec![Draw::GREEDY]),
        ("temperature: expected 0 or more, got -1", |g| draw(g).temperature = -1.0),
        ("temperature: expected 0 or more, got NaN", |g| draw(g).temperature = f32::NAN),
        ("temperature: expected 0 or more, got inf", |g| draw(g).temperature = f32::INFINITY),
        ("top-p: expected 0 to 1, got not a number", |g| draw(g).top_p = f32::NAN),
        ("random number: expected 0 or more, below 1, got 1", |g| draw(g).uniform = 1.0),
        ("random number: expected 0 or more, below 1, got NaN", |g| draw(g).uniform = f32::NAN),
    ]
}

fn bits(given: &mut Given) -> &mut Bits {
    given.masks[SITE as usize].as_mut().unwrap()
}

fn draw(given: &mut Given) -> &mut Draw {
    given.draws = vec![Draw::GREEDY; 12];
    &mut given.draws[7]
}

fn refusals() -> Vec<Case> {
    vec![
        case("refusals::say_what_is_wrong", |device| {
            let bench = NET.bench();
            let mut ready = bench.ready(device);
            let good = ready.play(&bench.given);
            for (expected, spoil) in wrong_plays() {
                let mut given = bench.given.clone();
                spoil(&mut given);
                match ready.try_play(&given) {
                    Ok(_) => panic!("played, but: {expected}"),
                    Err(error) => {
                        let error = error.to_string();
                        assert!(
                            error.starts_with(expected),
                            "expected `{expected}`, got `{error}`"
                        );
                    }
                }
            }
            assert_eq!(good, ready.play(&bench.given), "a refusal leaves nothing behind");
        }),
        case("refusals::a_play_without_rows_is_fine", |device| {
            let bench = NET.bench();
            let mut given = bench.given.clone();
            NET.give(&mut given, &bench.given, 0, 0);
            let played = bench.ready(device).play(&given);
            assert!(played.taps.iter().all(Vec::is_empty) && played.choices.is_empty());
        }),
        case("refusals::weights_that_are_missing_or_of_another_shape", |device| {
            let mut bench = NET.bench();
            let (name, out, inner, matrix) = bench.matrices.remove(3);
            let refused = |bench: &Bench| {
                let error = bench.try_ready(device).err().expect("a refusal");
                assert_eq!(error.kind, Kind::Weights);
                assert!(error.what.contains(&format!("`{name}`")), "{error}");
            };
            refused(&bench);
            for (out, inner) in [(inner + 1, out), (out, inner + 1), (out + 1, inner)] {
                bench.matrices.push((name.clone(), out, inner, matrix.clone()));
                refused(&bench);
                bench.matrices.pop();
            }
            let transposed = Format::F32.matrix(inner, out, &mut Numbers(9));
            bench.matrices.push((name.clone(), inner, out, transposed));
            refused(&bench);
        }),
        case("refusals::caches_of_another_graph", |device| {
            let bench = NET.bench();
            let other = Net { kv_heads: 2, ..NET }.bench();
            let small = Net { rows: 5, ..NET }.bench();
            for other in [&other, &small] {
                let mut ready = bench.ready(device);
                ready.caches = other.ready(device).caches;
                let error = ready.try_play(&bench.given).unwrap_err().to_string();
                assert!(error.contains("cache"), "{error}");
            }
        }),
        case("refusals::any_play_ends_well", |device| {
            let bench = NET.bench();
            let mut ready = bench.ready(device);
            let mut numbers = Numbers(5);
            for _ in 0..if is_cpu(device) { 2000 } else { 100 } {
                let mut given = bench.given.clone();
                for _ in 0..1 + numbers.below(3) {
                    disturb(&mut given, &mut numbers);
                }
                let _ = ready.try_play(&given);
            }
        }),
    ]
}

/// Changes one thing of a play, for better or worse.
fn disturb(given: &mut Given, numbers: &mut Numbers) {
    fn shake(list: &mut Vec<u32>, numbers: &mut Numbers) {
        let value = [0, 1, 5, 11, 12, 13, 60, 61, u32::MAX][numbers.below(9)];
        match numbers.below(4) {
            0 => list.push(value),
            1 => list.truncate(numbers.below(13)),
            2 => list.clear(),
            _ if list.is_empty() => list.push(value),
            _ => {
                let index = numbers.below(list.len());
                list[index] = value;
            }
        }
    }
    match numbers.below(14) {
        0 => shake(&mut given.ids, numbers),
        1 => shake(&mut given.segments, numbers),
        2 => shake(&mut given.positions[0], numbers),
        3 => shake(&mut given.slots, numbers),
        4 => shake(&mut given.picked, numbers),
        5 => given.keys[numbers.below(3)] = numbers.below(14),
        6 => given.variants = numbers.below(3),
        7 => shake(&mut bits(given).plane, numbers),
        8 => shake(&mut bits(given).planes, numbers),
        9 => bits(given).words = numbers.below(3),
        10 => bits(given).keys = numbers.below(14),
        11 => shake(&mut given.taps[numbers.below(2)].rows, numbers),
        12 => shake(&mut given.taps[numbers.below(2)].heads, numbers),
        _ => given.gates[1] = vec![0.5; numbers.below(12)],
    }
}

// ---- building --------------------------------------------------------------------------------

/// A graph with one table and a value from it.
fn started() -> (Graph, Value) {
    let mut graph = Graph::new();
    let source = Source::Stored(vec!["table".into()]);
    let table = graph.weight("table", 5, 8, source).unwrap();
    let x = graph.embed(vec![Lookup { table, index: Index::Token, scale: 1.0 }]).unwrap();
    (graph, x)
}

fn building() -> Vec<Case> {
    vec![
        case("building::wrong_shapes_are_refused", |_| {
            let (mut graph, x) = started();
            let source = || Source::Stored(vec![]);
            assert!(graph.weight("table", 5, 9, source()).is_err(), "two shapes of one name");
            assert!(graph.columns(x, 5, 4).is_err());
            assert!(graph.embed(vec![]).is_err());
            assert!(graph.norm(x, NormKind::Layer, 3, 0.0, 0.0, None, None).is_err());
            let wide = graph.weight("wide", 4, 9, source()).unwrap();
            assert!(graph.matmul(x, wide, None, 1.0).is_err());
            let fits = graph.weight("fits", 4, 8, source()).unwrap();
            assert!(graph.matmul(x, fits, Some(wide), 1.0).is_err());
            let narrow = graph.matmul(x, fits, None, 1.0).unwrap();
            assert!(graph.add(x, narrow).is_err());
            assert!(graph.multiply(x, narrow).is_err());
            let picked = graph.pick(x);
            assert!(graph.add(x, picked).is_err());
            assert!(graph.sample(x).is_err());
            let heads = Heads { heads: 2, kv_heads: 2, head_width: 4, scale: 1.0 };
            assert!(graph.attend(x, SITE, 0, heads, None).is_err(), "no cache");
            let cache = CacheInfo { site: SITE, layers: 1, kv_heads: 2, head_width: 4 };
            graph.cache(cache).unwrap();
            assert!(graph.cache(CacheInfo { layers: 2, ..cache }).is_err());
            assert!(graph.attend(x, SITE, 1, heads, None).is_err(), "no such layer");
            assert!(graph.attend(x, SITE, 0, Heads { kv_heads: 1, ..heads }, None).is_err());
            assert!(graph.attend(x, SITE, 0, heads, Some(fits)).is_err(), "bias of 4 heads");
            assert!(graph.store(x, narrow, SITE, 0).is_err());
            assert!(graph.attend(x, SITE, 0, heads, None).is_ok());
        }),
        case("building::what_no_device_can_play_is_refused", |device| {
            let refused = |graph: &Graph, expected: &str| {
                let capacity = Capacity { rows: 4, keys: [4; 3], variants: 1 };
                let weights = device.weights();
                let prepared = pollster::block_on(device.prepare(&weights, graph, capacity));
                let error = prepared.expect_err(expected).to_string();
                assert!(error.starts_with(expected), "{error}");
            };
            let (mut graph, x) = started();
            let picked = graph.pick(x);
            graph.pick(picked);
            refused(&graph, "picking: expected all rows");
            let (mut graph, x) = started();
            graph.columns(x, 3, 0).unwrap();
            refused(&graph, "width of a value: expected at least 1");
            let (mut graph, x) = started();
            let picked = graph.pick(x);
            graph.cache(CacheInfo { site: SITE, layers: 1, kv_heads: 2, head_width: 4 }).unwrap();
            graph.store(picked, picked, SITE, 0).unwrap();
            refused(&graph, "storing: expected all rows");
        }),
    ]
}

// ---- the GPU's own --------------------------------------------------------------------------

fn gpu() -> Vec<Case> {
    vec![
        gpu_case("a_token_takes_five_dispatches_a_layer_and_three", |device| {
            let mut bench = NET.bench();
            let all = bench.given.clone();
            bench.given.taps.clear();
            let mut ready = bench.ready(device);
            let mut given = bench.given.clone();
            NET.give(&mut given, &all, 0, 8);
            given.picked.clear();
            let counters = ready.play(&given).counters;
            assert_eq!((counters.submits, counters.readbacks), (1, 0), "nothing was asked for");

            NET.give(&mut given, &all, 8, 9);
            given.draws = vec![Draw::GREEDY];
            given.candidates = 5;
            let counters = ready.play(&given).counters;
            assert_eq!(counters.dispatches as usize, 5 * NET.layers + 3);
            assert_eq!((counters.submits, counters.readbacks), (1, 1));
        }),
        gpu_case("a_watched_row_is_made_whichever_steps_run", |device| {
            // The last norm is folded into the logits' matmul, unless somebody wants to see it.
            let mut bench = Bench::new(3, 6, 1);
            let x = bench.input(24);
            let normed = bench.graph.norm(x, NormKind::Layer, 1, 1e-5, 0.0, None, None).unwrap();
            let weight = bench.weight(9, 24, Format::F16);
            let y = bench.graph.matmul(normed, weight, None, 1.0).unwrap();
            bench.watch(normed);
            bench.watch(y);
            let mut ready = bench.ready(device);
            for (rows, taps) in [(1, 0..2), (1, 1..2), (6, 1..2), (6, 0..1)] {
                let mut given = bench.given.clone();
                given.ids.truncate(rows);
                given.slots.truncate(rows);
                given.positions[0].truncate(rows);
                given.picked.truncate(rows);
                given.taps = given.taps[taps].to_vec();
                given.taps.iter_mut().for_each(|tap| tap.rows.truncate(rows));
                ready.check(&given);
            }
        }),
        gpu_case("more_picked_rows_than_there_was_memory_for", |device| {
            // 16 MB hold 100 rows of 41,000 logits.
            let mut bench = Bench::new(4, 120, 1);
            let x = bench.input(4);
            let picked = bench.graph.pick(x);
            let weight = bench.weight(41_000, 4, Format::F16);
            let logits = bench.graph.matmul(picked, weight, None, 1.0).unwrap();
            bench.watch(logits);
            let rows = [0, 3, 119];
            let mut ready = bench.ready(device);
            for count in [4, 120, 5] {
                let mut given = bench.given.clone();
                given.picked = (0..count).collect();
                given.taps[0].rows = rows.iter().copied().filter(|row| *row < count).collect();
                ready.check(&given);
            }
        }),
        gpu_case("a_watch_of_more_than_16_mb_is_refused_with_its_size", |device| {
            let mut bench = Bench::new(5, 120, 1);
            let x = bench.input(4);
            let weight = bench.weight(41_000, 4, Format::F16);
            let y = bench.graph.matmul(x, weight, None, 1.0).unwrap();
            bench.watch(y);
            let error = bench.ready(device).try_play(&bench.given).unwrap_err();
            assert_eq!(error.kind, Kind::Limit);
            assert_eq!(
                error.to_string(),
                "what is watched: expected at most 16 MB a play, got 18.8 MB"
            );
        }),
        gpu_case("a_lost_device_is_an_error_of_every_call_after", |_| {
            let device = pollster::block_on(Device::open(Choice::Gpu)).unwrap();
            let bench = NET.bench();
            let mut ready = bench.ready(&device);
            ready.play(&bench.given);
            let Device::Gpu(gpu) = &device else { panic!("the GPU was asked for") };
            gpu.destroy();
            for _ in 0..2 {
                let error = ready.try_play(&bench.given).unwrap_err();
                assert_eq!(error.kind, Kind::Lost, "{error}");
            }
            assert!(device.is_lost());
            assert!(bench.try_ready(&device).is_err());
        }),
    ]
}
