//! What is too much is refused by its size and with what to do; what is less than that is told.

mod machines;
mod support;

use unmasked::device::{Choice, Device};
use unmasked::error::Kind;
use unmasked::graph::Capacity;
use unmasked::model::Transformer;
use unmasked::request::{Request, Select, Watchable};
use unmasked::session::{Session, Variant};
use unmasked::spec::{Architecture, Head, Spec, SpecialTokens, Stack};

use machines::{forward, of_ids};
use support::{Case, case, cpu_case};

fn encoder(max_positions: usize, vocabulary: usize, encoder: Stack) -> Spec {
    Spec {
        vocabulary,
        max_positions,
        encoder,
        head: Some(Head::plain(true)),
        special: SpecialTokens { mask: Some(4), ..SpecialTokens::default() },
        ..Spec::plain("random", Architecture::Encoder, 16)
    }
}

fn what_a_cpu_has_no_room_for() -> Case {
    cpu_case("more_than_there_is_room_for_is_refused_with_its_size", |device| {
        let engine = machines::random(encoder(5000, 40, Stack::plain(4, 8, 64, 8)), device, 6);
        let refused = |request: &Request, variants: usize| {
            let mut session = Session::new();
            let variants = vec![Variant::default(); variants];
            let error = match variants.len() {
                0 => pollster::block_on(session.forward(&engine, request)).unwrap_err(),
                _ => pollster::block_on(session.sweep(&engine, request, &variants)).unwrap_err(),
            };
            assert_eq!(error.kind, Kind::Limit);
            error.to_string()
        };
        let long = of_ids(&[3; 5000], &[Watchable::Attention]);
        let expected = "at most 2048 MB a play (fewer layers, heads or rows, or a shorter text)";
        let text = refused(&long, 0);
        assert_eq!(text, format!("what is watched: expected {expected}, got 3051 MB"));
        let text = refused(&of_ids(&[3; 2048], &[]), 70);
        let expected = "at most 2048 MB (fewer at a time)";
        assert_eq!(text, format!("caches of 70 variants: expected {expected}, got 2240 MB"));
        // Of unlike shapes they are passes one after the other, each of which there is room for.
        let unlike: Vec<Variant> = (0..5)
            .map(|at| Variant { ids: Some(vec![3; 2048 - at]), ..Variant::default() })
            .collect();
        let request = of_ids(&[3; 2048], &[Watchable::Attention]);
        let mut session = Session::new();
        let sweep = session.sweep(&engine, &request, &unlike);
        let error = pollster::block_on(sweep).unwrap_err();
        assert_eq!(error.kind, Kind::Limit);
        let expected = "at most 2048 MB (fewer variants, layers, heads or rows)";
        let text = format!("what is watched in 5 variants: expected {expected}, got 2574 MB");
        assert_eq!(error.to_string(), text);
    })
}

/// Of a long text all attention is more than a GPU brings back at once; that of one row is little.
fn one_row_of_many() -> Case {
    case("one_row_of_a_long_text_is_told_where_all_would_be_too_much", |device| {
        let spec = encoder(320, 40, Stack::plain(4, 16, 4, 24));
        let engine = machines::random(spec, device, 8);
        let ids: Vec<u32> = (0..320).map(|at| 5 + at % 30).collect();
        let mut all = of_ids(&ids, &[Watchable::Attention, Watchable::Hidden]);
        if !support::is_cpu(device) {
            let error = pollster::block_on(Session::new().forward(&engine, &all)).unwrap_err();
            assert_eq!(error.kind, Kind::Limit, "{error}");
        }
        all.watch.layers = Select::These(vec![1]);
        let whole = machines::afresh(&engine, &all).forward.unwrap().watched;
        let row = Request { watch: all.watch.clone(), ..all.clone() };
        let mut one = row;
        one.watch.layers = Select::All;
        one.watch.rows = Select::These(vec![319]);
        let told = machines::afresh(&engine, &one).forward.unwrap().watched;
        let (told_heads, all_heads) = (&told.attention["encoder"], &whole.attention["encoder"]);
        assert_eq!((told_heads.len(), told_heads[0].len(), told_heads[0][0].len()), (4, 16, 1));
        for (head, all) in told_heads[1].iter().zip(&all_heads[0]) {
            assert_eq!(head[0], all[319]);
        }
        assert_eq!(told.hidden["encoder"][1], vec![whole.hidden["encoder"][0][319].clone()]);

        // What was not told is computed when it is asked for, and a batch tells the same.
        let mut session = Session::new();
        forward(&mut session, &engine, &one);
        let held = forward(&mut session, &engine, &all).forward.unwrap().watched;
        for (heads, fresh) in held.attention["encoder"].iter().zip(all_heads) {
            for (head, fresh) in heads.iter().zip(fresh) {
                let worst = machines::difference(&head.concat(), &fresh.concat());
                assert!(worst <= 1e-5, "{worst}");
            }
        }
        let variants = vec![Variant::default(); 2];
        let sweep = pollster::block_on(Session::new().sweep(&engine, &one, &variants)).unwrap();
        for variant in sweep.variants {
            let worst = (variant.watched.attention["encoder"].iter().flatten().flatten().flatten())
                .zip(told_heads.iter().flatten().flatten().flatten())
                .fold(0f32, |worst, (a, b)| worst.max((a - b).abs()));
            assert!(worst <= 1e-5, "{worst}");
        }
    })
}

fn candidates() -> Case {
    case("more_candidates_than_can_be_told_are_refused_by_their_number", |device| {
        let engine = machines::random(encoder(64, 32_768, Stack::plain(1, 2, 8, 8)), device, 9);
        let request = Request { candidates: Some(40_000), ..of_ids(&[4; 40], &[]) };
        let mut session = Session::new();
        let begin = async |session: &mut Session, request: &Request| {
            session.begin(&engine, request).await?;
            session.next(&engine).await
        };
        let error = pollster::block_on(begin(&mut session, &request)).unwrap_err();
        assert_eq!(error.kind, Kind::Limit);
        let expected = "at most 1048576 in all (fewer of them, or blanks)";
        let text = format!("candidates: expected {expected}, got 32768 for each of 40 tokens");
        assert_eq!(error.to_string(), text);
        let request = Request { candidates: Some(100), ..request };
        let step = pollster::block_on(begin(&mut session, &request)).unwrap().unwrap();
        assert_eq!(step.candidates.len(), 100);
    })
}

fn caches() -> Case {
    cpu_case("keys_and_values_beyond_all_memory_are_refused_by_their_size", |_| {
        let device = pollster::block_on(Device::open(Choice::Cpu)).unwrap();
        let decoder = Stack::plain(1, 2, 8, 8);
        let plain = Spec::plain("random", Architecture::Causal, 16);
        let spec = Spec { vocabulary: 40, max_positions: 64, decoder, ..plain };
        let transformer = Transformer::new(&spec).unwrap();
        let shapes = transformer.decoder.as_ref().unwrap().caches();
        let capacity = Capacity { rows: 1, keys: [1 << 56; 3], variants: 1 };
        let error = pollster::block_on(device.caches(shapes, capacity)).unwrap_err();
        assert_eq!(error.kind, Kind::Memory);
        for says in ["keys and values of 72057594037927936 tokens", "shorter text"] {
            assert!(error.to_string().contains(says), "`{says}`: {error}");
        }
    })
}

fn main() {
    support::main(vec![what_a_cpu_has_no_room_for(), one_row_of_many(), candidates(), caches()]);
}
