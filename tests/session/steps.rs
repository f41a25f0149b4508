//! What a run's steps tell, draw and cost.

use unmasked::mask::{Edit, Mask, Rule};
use unmasked::request::{Fill, Request, Watchable};
use unmasked::sample::Sampling;
use unmasked::session::Session;
use unmasked::spec::{Architecture, Head, Spec, SpecialTokens, Stack};
use unmasked::trace::Step;

use crate::machines::{self, afresh, chosen, of_ids, of_text, quartet, random, run};
use crate::support::{Case, case, cpu_case, gpu_case};
use crate::{GENERATING, TEXT, decoder_mask};

pub fn sampling_and_blanks() -> Vec<Case> {
    let seeds = case("equal_seeds_draw_equal_tokens", |device| {
        let engine = quartet("causal", device);
        let drawn = |seed: u64, top_k: u32| {
            let mut request = of_text(TEXT);
            request.sampling = Sampling { temperature: 1.5, top_k, top_p: 0.95, seed };
            run(&mut Session::new(), &engine, &request)
        };
        assert_eq!(chosen(&drawn(3, 0)), chosen(&drawn(3, 0)));
        let different = (0..8).any(|seed| chosen(&drawn(seed, 0)) != chosen(&drawn(3, 0)));
        assert!(different, "eight seeds, one text");
        let greedy = run(&mut Session::new(), &engine, &of_text(TEXT));
        assert_eq!(chosen(&drawn(5, 1)), chosen(&greedy), "top-k of 1 is greedy");
        for step in drawn(3, 4) {
            assert!(step.candidates.iter().filter(|candidate| candidate.kept).count() <= 4);
            assert!(step.candidates.is_sorted_by(|a, b| a.probability >= b.probability));
        }
    });
    let blanks = case("encoder::blanks_at_once_and_one_by_one", |device| {
        let engine = quartet("encoder", device);
        let mask = engine.spec.special.mask.unwrap();
        let mut ids: Vec<u32> = engine
            .tokenize("I am very happy today.", None)
            .unwrap()
            .tokens
            .iter()
            .map(|t| t.id)
            .collect();
        ids[2] = mask;
        ids[4] = mask;
        let mut request = of_ids(&ids, &[Watchable::Attention]);
        let parallel = run(&mut Session::new(), &engine, &request);
        assert_eq!(parallel.iter().map(|step| step.row).collect::<Vec<_>>(), [2, 4]);
        assert_eq!(parallel[0].stats.rows_computed, ids.len());
        assert_eq!(parallel[1].stats.rows_computed, 0, "the same pass");
        request.fill = Fill::Confidence;
        let surest = run(&mut Session::new(), &engine, &request);
        assert_eq!(surest.len(), 2);
        let first = parallel.iter().max_by(|a, b| a.probability.total_cmp(&b.probability)).unwrap();
        assert_eq!((surest[0].row, surest[0].chosen), (first.row, first.chosen));
        // The second blank was read again with the first one filled in.
        ids[surest[0].row] = surest[0].chosen;
        let again = run(&mut Session::new(), &engine, &of_ids(&ids, &[]));
        assert_eq!(again[0].chosen, surest[1].chosen);
        assert!(parallel.iter().all(|step| !step.candidates.is_empty()));
    });
    let full = case("a_full_context_ends_the_run_and_says_so", |device| {
        let engine = quartet("causal", device);
        let room = engine.spec.max_positions;
        let request = Request { max_new_tokens: Some(1_000), ..of_ids(&vec![300; room - 2], &[]) };
        let steps = run(&mut Session::new(), &engine, &request);
        let last = steps.last().unwrap();
        assert!(steps.len() <= 3);
        assert!(matches!(last.ended, Some("context" | "eos")), "{:?}", last.ended);
        let long = "word ".repeat(200);
        let trace = afresh(&engine, &of_text(&long));
        assert!(trace.truncated > 0 && trace.tokens.len() < room);
    });
    let blank_again = case("encoder::a_blank_filled_with_a_blank_is_filled", |device| {
        // Of eight tokens one is the blank, so that drawing it is no rare thing.
        let spec = Spec {
            vocabulary: 8,
            max_positions: 16,
            encoder: Stack::plain(1, 2, 8, 24),
            head: Some(Head::plain(true)),
            special: SpecialTokens { mask: Some(2), ..SpecialTokens::default() },
            ..Spec::plain("random", Architecture::Encoder, 16)
        };
        let engine = random(spec, device, 5);
        let mut again = 0;
        for seed in 0..20 {
            let sampling = Sampling { temperature: 50.0, seed, ..Sampling::default() };
            let fill = Fill::Confidence;
            let request = Request { sampling, fill, ..of_ids(&[3, 2, 4, 2, 2, 5], &[]) };
            let mut session = Session::new();
            pollster::block_on(session.begin(&engine, &request)).unwrap();
            let mut rows = Vec::new();
            while let Some(step) = pollster::block_on(session.next(&engine)).unwrap() {
                assert!(rows.len() < 3, "seed {seed}: {rows:?}, and no end");
                rows.push(step.row);
                again += usize::from(step.chosen == 2);
            }
            rows.sort_unstable();
            assert_eq!(rows, [1, 3, 4], "seed {seed}");
        }
        assert!(again > 0, "no seed drew a blank");
    });
    let named = case("encoder::only_the_blanks_that_are_named_are_filled", |device| {
        let engine = quartet("encoder", device);
        let mask = engine.spec.special.mask.unwrap();
        let ids = [1, mask, 300, mask, 301, 2];
        for fill in [Fill::Parallel, Fill::Confidence] {
            let rows = |blanks: Option<Vec<usize>>| -> Vec<usize> {
                let request = Request { blanks, fill, ..of_ids(&ids, &[]) };
                let steps = run(&mut Session::new(), &engine, &request);
                steps.iter().map(|step| step.row).collect()
            };
            assert_eq!(rows(None).len(), 2);
            assert_eq!(rows(Some(vec![3])), [3], "the other [MASK] is a person's choice");
            assert!(rows(Some(Vec::new())).is_empty());
        }
        let refused = |name: &str, blanks: Vec<usize>| {
            let engine = quartet(name, device);
            let request = Request { blanks: Some(blanks), ..of_ids(&ids, &[]) };
            pollster::block_on(Session::new().begin(&engine, &request)).unwrap_err().to_string()
        };
        let expected = "blanks: expected rows of an encoder's input that hold [MASK], got row";
        assert_eq!(refused("encoder", vec![1, 2]), format!("{expected} 2"));
        assert_eq!(refused("encoder", vec![9]), format!("{expected} 9"));
        assert_eq!(refused("causal", vec![1]), format!("{expected} 1"));
    });
    vec![seeds, blanks, blank_again, named, full]
}

pub fn what_a_step_tells() -> Vec<Case> {
    let open = ["causal", "prefix"].map(|name| {
        case(format!("{name}::a_step_under_an_open_mask_tells_every_row"), move |device| {
            let engine = quartet(name, device);
            let mut request = of_text(TEXT);
            request.watch = machines::watch(&[Watchable::Attention]);
            request.mask = decoder_mask(Rule::Full.into());
            request.max_new_tokens = Some(3);
            for step in run(&mut Session::new(), &engine, &request) {
                let count = step.row + 1;
                assert_eq!(step.stats.rows_computed, count);
                assert_eq!(step.rows, (0..count).collect::<Vec<_>>());
                assert_eq!(step.watched.mask["decoder"], vec!["1".repeat(count); count]);
                for head in step.watched.attention["decoder"].iter().flatten() {
                    assert!(head.len() == count && head.iter().flatten().all(|cell| *cell > 0.0));
                }
            }
        })
    });
    let together = ["encoder", "causal"].map(|name| {
        case(format!("{name}::steps_pulled_together_are_those_one_by_one"), move |device| {
            let engine = quartet(name, device);
            let mask = engine.spec.special.mask.unwrap_or(300);
            let request = of_ids(&[1, 300, mask, 301, mask, mask], &[]);
            let alone = run(&mut Session::new(), &engine, &request);
            for milliseconds in [0.0, f64::INFINITY] {
                let mut session = Session::new();
                pollster::block_on(session.begin(&engine, &request)).unwrap();
                let pull = || pollster::block_on(session.next_within(&engine, milliseconds));
                let pulls: Vec<_> =
                    std::iter::repeat_with(pull).map(Result::unwrap).take(40).collect();
                assert_eq!(pulls[0].len(), if milliseconds == 0.0 { 1 } else { alone.len() });
                let told = |steps: &[Step]| -> Vec<_> {
                    steps.iter().map(|step| (step.row, step.chosen, step.ended)).collect()
                };
                assert_eq!(told(&pulls.concat()), told(&alone));
            }
        })
    });
    let tokens = cpu_case("tokens_say_where_they_stand_in_utf_16", |device| {
        let engine = quartet("causal", device);
        let text = "Ça 🐈‍⬛ va? \u{1d4d0} naïve 猫".repeat(3);
        let units: Vec<u16> = text.encode_utf16().collect();
        let tokens = engine.tokenize(&text, None).unwrap().tokens;
        let places: Vec<_> = tokens.iter().filter_map(|t| Some((t.start?, t.end?, t))).collect();
        assert!(places.len() > 20);
        for (start, end, token) in places {
            let own = String::from_utf16(&units[start..end]).expect("no half of a character");
            let plain = token.piece.chars().all(|c| c.is_ascii_alphabetic());
            assert!(!plain || own.trim() == token.piece, "`{own}` is not `{}`", token.piece);
        }
    });
    open.into_iter().chain(together).chain([tokens]).collect()
}

/// What a token of the quartet may cost on a GPU, and that running ahead changes nothing but that.
pub fn costs() -> Vec<Case> {
    let budget = |name: &'static str, a_layer: u32| {
        gpu_case(format!("{name}::a_token_keeps_to_its_budget"), move |device| {
            let engine = quartet(name, device);
            let layers = engine.spec.decoder.layers as u32;
            let mut request = of_text(TEXT);
            request.watch = machines::watch(&[Watchable::Attention]);
            let steps = run(&mut Session::new(), &engine, &request);
            assert!(steps.len() > 3, "a run of some steps");
            for step in &steps[1..] {
                let stats = &step.stats;
                assert!(
                    stats.dispatches <= a_layer * layers + 3,
                    "{} dispatches",
                    stats.dispatches
                );
                assert_eq!(
                    (stats.submits, stats.readbacks),
                    (1, 1),
                    "watched: one of each a token"
                );
            }
            // Nobody watches: several steps share both.
            request.watch = machines::watch(&[]);
            let steps = run(&mut Session::new(), &engine, &request);
            let submits: u32 = steps.iter().map(|step| step.stats.submits).sum();
            let readbacks: u32 = steps.iter().map(|step| step.stats.readbacks).sum();
            assert_eq!(submits, readbacks);
            assert!((submits as usize) < steps.len(), "{submits} submits, {} steps", steps.len());
        })
    };
    let ahead = |name: &'static str| {
        case(format!("{name}::running_ahead_changes_nothing"), move |device| {
            let engine = quartet(name, device);
            for sampling in
                [Sampling::default(), Sampling { temperature: 1.3, top_k: 0, top_p: 0.9, seed: 5 }]
            {
                let with = |watch: &[Watchable], most: usize| {
                    let mut request = of_text(TEXT);
                    request.sampling = sampling;
                    request.max_new_tokens = Some(most);
                    request.watch = machines::watch(watch);
                    run(&mut Session::new(), &engine, &request)
                };
                let watched = with(&[Watchable::Attention, Watchable::Logits], 24);
                assert_eq!(chosen(&watched), chosen(&with(&[], 24)));
                assert_eq!(watched.last().unwrap().ended, with(&[], 24).last().unwrap().ended);
                for most in 1..watched.len() {
                    let steps = with(&[], most);
                    assert_eq!(chosen(&steps), chosen(&watched)[..most]);
                    assert_eq!(steps[most - 1].ended, Some("length"));
                }
            }
        })
    };
    let forced = case("causal::a_run_that_was_left_goes_on_elsewhere", |device| {
        // Steps that were begun and never read leave nothing behind.
        let engine = quartet("causal", device);
        let mut session = Session::new();
        let mut request = of_text(TEXT);
        request.watch = machines::watch(&[]);
        let all = run(&mut Session::new(), &engine, &request);
        pollster::block_on(async {
            session.begin(&engine, &request).await.unwrap();
            for _ in 0..3 {
                session.next(&engine).await.unwrap();
            }
        });
        request.target_ids = vec![all[0].chosen, 400];
        let steps = run(&mut session, &engine, &request);
        assert_eq!(chosen(&steps), chosen(&run(&mut Session::new(), &engine, &request)));
    });
    let edited = case("causal::a_mask_that_looks_ahead_is_read_again_each_step", |device| {
        // Row 2 sees row 9 as soon as it is there: that step cannot be computed alone.
        let engine = quartet("causal", device);
        let edit = Edit { row: 2, key: 9, visible: true, layer: None, head: None };
        let mut request = of_ids(&[1, 300, 301, 302, 303, 304, 2], &[]);
        request.mask = decoder_mask(Mask { rule: Rule::Causal, edits: vec![edit] });
        request.max_new_tokens = Some(6);
        let steps = run(&mut Session::new(), &engine, &request);
        let rows: Vec<usize> = steps.iter().map(|step| step.stats.rows_computed).collect();
        assert!(rows.len() < 4 || rows[3] > 1, "{rows:?}");
        for (index, step) in steps.iter().enumerate() {
            let mut request = request.clone();
            request.target_ids = chosen(&steps)[..index].to_vec();
            request.max_new_tokens = Some(1);
            let fresh = run(&mut Session::new(), &engine, &request);
            assert_eq!(fresh[0].chosen, step.chosen, "step {index}");
        }
    });
    let mut cases = vec![budget("causal", 5), budget("prefix", 5), budget("encoder-decoder", 8)];
    cases.extend(GENERATING.map(ahead));
    cases.extend([forced, edited]);
    cases
}
