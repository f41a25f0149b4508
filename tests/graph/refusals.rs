//! What a device, a play and a builder refuse, and how they say it.

use unmasked::error::Kind;
use unmasked::graph::{
    CacheInfo, Capacity, Draw, Graph, Heads, Index, Lookup, NormKind, Site, Source, Value,
};
use unmasked::mask::Bits;

use crate::net::{NET, Net, SITE};
use crate::support::{Bench, Case, Format, Given, Numbers, case, is_cpu};

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

pub fn refusals() -> Vec<Case> {
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

pub fn building() -> Vec<Case> {
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
