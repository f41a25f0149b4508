//! Whole graphs on every device: against the reference, cached against uncached, and refusals.

mod gpu;
mod net;
mod refusals;
mod split;
#[path = "../support/mod.rs"]
mod support;

use net::{NET, Net, SITE, VOCABULARY, nets};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use support::{Bench, Case, Format, Given, Ready, case, is_cpu, random_bits};
use unmasked::device::{Device, Matrix};
use unmasked::error::Error;
use unmasked::graph::{CacheInfo, Draw, Heads, Label, NormKind, Pairing, Played, Site, Tap, What};
use unmasked::mask::{Mask, Rule};

fn main() {
    support::main(
        [
            against_the_reference(),
            determinism(),
            following(),
            hidden_keys(),
            refusals::refusals(),
            refusals::building(),
            gpu::gpu(),
            split::split(),
        ]
        .into_iter()
        .flatten()
        .collect(),
    );
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
        // A normalized row of one or two numbers is a step from -1 to 1: where they are nearly
        // alike, f32 itself is 1e-4 off (13 of 2,832 such nets; from three on none of 52,000 is
        // half of that). The tests of the operations go to those widths, with bounds of their own.
        let net = net.prop_filter("rows of three numbers or more", |(sizes, head_width, ..)| {
            sizes.4 * sizes.5 * head_width >= 3
        });
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
