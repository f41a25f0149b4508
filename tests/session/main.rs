//! Sessions: what is cached equals what is computed afresh, and only what a change touches is
//! computed again.

#[path = "../machines/mod.rs"]
mod machines;
mod steps;
#[path = "../support/mod.rs"]
mod support;

use unmasked::mask::{Edit, Mask, MaskFile, MaskSource, Rule};
use unmasked::request::{Gates, Request, Watchable};
use unmasked::sample::Sampling;
use unmasked::session::{Session, Variant};
use unmasked::trace::Trace;

use machines::{afresh, chosen, difference, forward, logits, of_ids, of_text, quartet, run};
use support::{Case, Numbers, case, cpu_case, is_cpu};

const GENERATING: [&str; 3] = ["causal", "prefix", "encoder-decoder"];
const TEXT: &str = "The old man reads a book in the garden.";

fn rows_computed(trace: &Trace) -> usize {
    trace.forward.as_ref().unwrap().stats.rows_computed
}

fn decoder_mask(mask: Mask) -> MaskFile {
    MaskFile { decoder: Some(MaskSource::Mask(mask)), ..MaskFile::default() }
}

/// Holds a session's answer against one computed with nothing held.
fn assert_as_afresh(engine: &unmasked::engine::Engine, session: &mut Session, request: &Request) {
    let held = forward(session, engine, request);
    let fresh = afresh(engine, request);
    let (a, b) = (logits(&held).concat(), logits(&fresh).concat());
    if is_cpu(&engine.device) {
        assert_eq!(a, b, "held and fresh logits differ bit by bit");
    } else {
        let worst = difference(&a, &b);
        assert!(worst <= 1e-4, "held and fresh logits differ by {worst}");
    }
}

fn cached_equals_uncached() -> Vec<Case> {
    let each = |name: &'static str| {
        case(format!("{name}::cached_decoding_equals_a_pass_over_everything"), move |device| {
            let engine = quartet(name, device);
            let mut session = Session::new();
            let mut request = of_text(TEXT);
            request.watch = machines::watch(&[Watchable::Logits]);
            let steps = run(&mut session, &engine, &request);
            assert!(steps.len() > 3, "a run of some steps");
            let whole = Request { target_ids: chosen(&steps), ..request };
            let whole = afresh(&engine, &whole);
            for step in &steps {
                let (cached, fresh) = (step.logits.as_ref().unwrap(), &logits(&whole)[step.row]);
                if is_cpu(device) {
                    assert_eq!(cached, fresh, "row {}", step.row);
                }
                let best = |row: &[f32]| (0..row.len()).max_by(|a, b| row[*a].total_cmp(&row[*b]));
                assert_eq!(best(fresh), Some(step.chosen as usize), "row {}", step.row);
                assert!(difference(cached, fresh) <= 1e-4, "row {}", step.row);
            }
            assert!(steps[1..].iter().all(|step| step.stats.rows_computed == 1));
        })
    };
    GENERATING.into_iter().map(each).collect()
}

fn a_later_token_leaves_earlier_rows_alone() -> Case {
    case("causal::a_later_token_leaves_earlier_rows_bit_for_bit", |device| {
        let engine = quartet("causal", device);
        let mut ids: Vec<u32> =
            engine.tokenize(TEXT, None).unwrap().tokens.iter().map(|t| t.id).collect();
        let what = [Watchable::Logits, Watchable::Attention, Watchable::Hidden];
        let before = afresh(&engine, &of_ids(&ids, &what));
        let late = ids.len() - 3;
        ids[late] = if ids[late] == 300 { 301 } else { 300 };
        let after = afresh(&engine, &of_ids(&ids, &what));
        assert_eq!(logits(&before)[..late], logits(&after)[..late]);
        assert_ne!(logits(&before)[late], logits(&after)[late]);
        let hidden =
            |trace: &Trace| trace.forward.as_ref().unwrap().watched.hidden["decoder"].clone();
        for (a, b) in hidden(&before).iter().zip(&hidden(&after)) {
            assert_eq!(a[..late], b[..late]);
        }
    })
}

fn only_what_changed_is_computed() -> Vec<Case> {
    let causal = case("causal::an_edit_reruns_what_sees_it", |device| {
        let engine = quartet("causal", device);
        let mut session = Session::new();
        let mut ids: Vec<u32> =
            engine.tokenize(TEXT, None).unwrap().tokens.iter().map(|t| t.id).collect();
        let count = ids.len();
        let quiet = |ids: &[u32]| of_ids(ids, &[]);
        assert_eq!(rows_computed(&forward(&mut session, &engine, &quiet(&ids))), count);
        // Nothing changed: only the row whose heads are asked for (row 0).
        assert_eq!(rows_computed(&forward(&mut session, &engine, &quiet(&ids))), 1);
        ids[4] = 400;
        // Rows 4.. and the asked row 0.
        assert_eq!(rows_computed(&forward(&mut session, &engine, &quiet(&ids))), count - 4 + 1);
        ids.push(17);
        assert_eq!(rows_computed(&forward(&mut session, &engine, &quiet(&ids))), 2);
        ids.truncate(count - 2);
        assert_eq!(rows_computed(&forward(&mut session, &engine, &quiet(&ids))), 1);
        // One cell hidden: its row, and the rows that see that row.
        let hidden = Edit { row: 5, key: 2, visible: false, layer: None, head: None };
        let mask = Mask { rule: Rule::Causal, edits: vec![hidden.clone()] };
        let mut request = quiet(&ids);
        request.mask = decoder_mask(mask);
        let rows = ids.len() - 5 + 1;
        assert_eq!(rows_computed(&forward(&mut session, &engine, &request)), rows);
        request.watch = machines::watch(&[Watchable::Logits]);
        assert_as_afresh(&engine, &mut session, &request);
        // In one layer and head only: the same rows, other numbers.
        let one = Edit { layer: Some(1), head: Some(2), ..hidden };
        request.mask = decoder_mask(Mask { rule: Rule::Causal, edits: vec![one] });
        assert_as_afresh(&engine, &mut session, &request);
    });
    let documents = case("causal::a_document_does_not_wake_its_neighbour", |device| {
        let engine = quartet("causal", device);
        let mut session = Session::new();
        let mut request = of_ids(&[1, 300, 301, 302, 303, 304, 305, 306], &[]);
        let rule: Rule = "causal+documents:4".parse().unwrap();
        request.mask = decoder_mask(rule.into());
        assert_eq!(rows_computed(&forward(&mut session, &engine, &request)), 8);
        request.ids.as_mut().unwrap()[1] = 500;
        assert_eq!(rows_computed(&forward(&mut session, &engine, &request)), 4);
        request.ids.as_mut().unwrap()[6] = 500;
        assert_eq!(rows_computed(&forward(&mut session, &engine, &request)), 3);
        request.watch = machines::watch(&[Watchable::Logits]);
        assert_as_afresh(&engine, &mut session, &request);
    });
    let prefix = case("prefix::the_source_is_read_once_then_rows_one_by_one", |device| {
        let engine = quartet("prefix", device);
        let mut session = Session::new();
        let mut request = of_ids(&[1, 300, 301, 302, 2], &[]);
        request.target_ids = vec![310, 311, 312];
        assert_eq!(rows_computed(&forward(&mut session, &engine, &request)), 8);
        request.target_ids[1] = 400;
        assert_eq!(rows_computed(&forward(&mut session, &engine, &request)), 2 + 1);
        // A word of the source wakes everything: the source reads both ways.
        request.ids.as_mut().unwrap()[3] = 401;
        assert_eq!(rows_computed(&forward(&mut session, &engine, &request)), 8);
        request.watch = machines::watch(&[Watchable::Logits]);
        assert_as_afresh(&engine, &mut session, &request);
    });
    let encoder_decoder = case("encoder-decoder::the_source_is_read_once", |device| {
        let engine = quartet("encoder-decoder", device);
        let mut session = Session::new();
        let mut request = of_ids(&[1, 300, 301, 302, 2], &[]);
        request.target_ids = vec![1, 310, 311];
        assert_eq!(rows_computed(&forward(&mut session, &engine, &request)), 5 + 3);
        request.target_ids[2] = 400;
        assert_eq!(rows_computed(&forward(&mut session, &engine, &request)), 1 + 1);
        request.ids.as_mut().unwrap()[3] = 401;
        assert_eq!(rows_computed(&forward(&mut session, &engine, &request)), 5 + 3);
        request.watch = machines::watch(&[Watchable::Logits]);
        assert_as_afresh(&engine, &mut session, &request);
    });
    let forced = case("causal::a_forced_token_costs_a_row_and_loses_no_attention", |device| {
        let engine = quartet("causal", device);
        let mut session = Session::new();
        let mut request = of_text(TEXT);
        request.watch = machines::watch(&[Watchable::Attention]);
        let steps = run(&mut session, &engine, &request);
        let other = steps[2].candidates[1].id;
        request.target_ids = vec![steps[0].chosen, steps[1].chosen, other];
        let again = run(&mut session, &engine, &request);
        assert_eq!(again[0].stats.rows_computed, 1, "the forced token's row");
        // The first step of the new run tells of all rows, cached ones included.
        assert_eq!(again[0].rows.len(), steps[0].row + 1 + 3);
        let fresh = run(&mut Session::new(), &engine, &request);
        let flat = |step: &unmasked::trace::Step| -> Vec<f32> {
            step.watched.attention["decoder"].concat().concat().concat()
        };
        assert!(difference(&flat(&again[0]), &flat(&fresh[0])) <= 1e-5);
        assert_eq!(chosen(&again), chosen(&fresh));
    });
    vec![causal, documents, prefix, encoder_decoder, forced]
}

/// Random walks of edits: after each, the session must agree with one that starts afresh.
fn random_edits() -> Vec<Case> {
    let each = |name: &'static str| {
        case(format!("{name}::random_edits_agree_with_a_fresh_start"), move |device| {
            let engine = quartet(name, device);
            let mut numbers = Numbers(0x5eed + name.len() as u64);
            let mut session = Session::new();
            let mut request = of_ids(&[1, 300, 301, 302, 303, 304, 2], &[Watchable::Logits]);
            let rounds = if is_cpu(device) { 40 } else { 8 };
            for _ in 0..rounds {
                let ids = request.ids.as_mut().unwrap();
                match numbers.below(5) {
                    0 => {
                        let at = numbers.below(ids.len());
                        ids[at] = 6 + numbers.below(900) as u32;
                    }
                    1 if ids.len() < 12 => ids.push(6 + numbers.below(900) as u32),
                    2 if ids.len() > 3 => {
                        ids.pop();
                    }
                    3 if name != "encoder" => {
                        request.target_ids =
                            (0..numbers.below(4)).map(|_| 6 + numbers.below(900) as u32).collect();
                    }
                    _ => {
                        let edit = Edit {
                            row: numbers.below(8),
                            key: numbers.below(8),
                            visible: numbers.below(3) == 0,
                            layer: Some(numbers.below(3)).filter(|l| *l > 0),
                            head: Some(numbers.below(4)).filter(|h| *h > 0),
                        };
                        let rule = if name == "encoder" { Rule::Full } else { Rule::Causal };
                        let site = match name {
                            "encoder" => &mut request.mask.encoder,
                            _ => &mut request.mask.decoder,
                        };
                        let mut mask = match site.take() {
                            Some(MaskSource::Mask(mask)) => mask,
                            _ => rule.into(),
                        };
                        mask.edits.push(edit);
                        *site = Some(MaskSource::Mask(mask));
                    }
                }
                request.source_length = None;
                assert_as_afresh(&engine, &mut session, &request);
            }
        })
    };
    machines::QUARTET.into_iter().map(each).collect()
}

fn masks_and_gates() -> Vec<Case> {
    let blind = case("a_row_that_sees_nothing_has_attention_zero", |device| {
        for name in machines::QUARTET {
            let engine = quartet(name, device);
            let what = [Watchable::Attention, Watchable::Scores, Watchable::Logits];
            let mut request = of_ids(&[1, 300, 301, 2], &what);
            let edits =
                (0..4).map(|key| Edit { row: 1, key, visible: false, layer: None, head: None });
            let rule = if name == "encoder" { Rule::Full } else { Rule::Causal };
            let mask = Some(MaskSource::Mask(Mask { rule, edits: edits.collect() }));
            let site = if name == "encoder" { "encoder" } else { "decoder" };
            match name {
                "encoder" => request.mask.encoder = mask,
                _ => request.mask.decoder = mask,
            }
            if name == "encoder-decoder" {
                request.target_ids = vec![1, 300, 301];
            }
            let trace = afresh(&engine, &request);
            let watched = &trace.forward.as_ref().unwrap().watched;
            for head in watched.attention[site].iter().flatten() {
                assert!(head[1].iter().all(|p| *p == 0.0), "{name}: {:?}", head[1]);
                let sum: f32 = head[2].iter().sum();
                assert!((sum - 1.0).abs() < 1e-5, "{name}: row 2 sums to {sum}");
            }
            for head in watched.scores[site].iter().flatten() {
                assert!(head[1].iter().all(Option::is_none), "{name}: hidden scores are null");
            }
            assert!(logits(&trace).iter().flatten().all(|logit| logit.is_finite()), "{name}");
        }
    });
    let gates = case("gates_of_one_change_nothing_and_gates_of_zero_something", |device| {
        let engine = quartet("causal", device);
        let plain = of_ids(&[1, 300, 301, 302, 2], &[Watchable::Logits]);
        let stack = &engine.spec.decoder;
        let ones = vec![vec![1.0; stack.heads]; stack.layers];
        let mut silent = ones.clone();
        silent[2][1] = 0.0;
        let with = |gates| Request {
            gates: Gates { decoder: Some(gates), ..Gates::default() },
            ..plain.clone()
        };
        let before = afresh(&engine, &plain);
        assert_eq!(logits(&before), logits(&afresh(&engine, &with(ones))));
        assert_ne!(logits(&before), logits(&afresh(&engine, &with(silent.clone()))));
        let mut session = Session::new();
        forward(&mut session, &engine, &plain);
        assert_as_afresh(&engine, &mut session, &with(silent));
    });
    let sweep = case("a_sweep_equals_its_variants_one_by_one", |device| {
        for name in machines::QUARTET {
            let engine = quartet(name, device);
            let mut request =
                of_ids(&[1, 300, 301, 302, 2], &[Watchable::Logits, Watchable::Attention]);
            if name == "encoder-decoder" {
                request.target_ids = vec![1, 310];
            }
            let site = engine.spec.architecture.output_site();
            let stack = engine.spec.stack(site).clone();
            let mut silent = vec![vec![1.0; stack.heads]; stack.layers];
            silent[1][3] = 0.0;
            let window: MaskSource = MaskSource::Rule("causal+window:2".parse().unwrap());
            let (mut mask, mut gates) = (MaskFile::default(), Gates::default());
            if name == "encoder" {
                mask.encoder = Some(window);
                gates.encoder = Some(silent);
            } else {
                mask.decoder = Some(window);
                gates.decoder = Some(silent);
            }
            let variants = [
                Variant::default(),
                Variant { mask: Some(mask), ..Variant::default() },
                Variant { gates: Some(gates), ..Variant::default() },
                Variant { ids: Some(vec![1, 300, 999, 302, 2]), ..Variant::default() },
            ];
            let mut session = Session::new();
            let trace = pollster::block_on(session.sweep(&engine, &request, &variants)).unwrap();
            assert_eq!(trace.variants.len(), variants.len());
            for (variant, got) in variants.iter().zip(&trace.variants) {
                let mut alone = request.clone();
                alone.ids = variant.ids.clone().or(alone.ids);
                alone.mask = variant.mask.clone().unwrap_or(alone.mask);
                alone.gates = variant.gates.clone().unwrap_or(alone.gates);
                let alone = afresh(&engine, &alone);
                let got_logits = got.logits.as_ref().expect("logits").concat();
                let worst = difference(&got_logits, &logits(&alone).concat());
                assert!(worst <= 1e-5, "{name}: {worst} in {variant:?}");
                let flat = |forward: &unmasked::trace::Forward| {
                    forward.watched.attention[site.name()].concat().concat().concat()
                };
                let worst = difference(&flat(got), &flat(alone.forward.as_ref().unwrap()));
                assert!(worst <= 1e-5, "{name}: attention {worst}");
            }
        }
    });
    vec![blind, gates, sweep]
}

fn bad_requests() -> Case {
    cpu_case("bad_requests_are_refused_in_one_sentence", |device| {
        let engine = quartet("causal", device);
        let refuse = |request: Request, says: &str| {
            let error = pollster::block_on(Session::new().forward(&engine, &request))
                .expect_err("it must be refused");
            let text = error.to_string();
            assert!(text.contains(says) && !text.contains('\n'), "{text}");
        };
        refuse(Request::default(), "a text or ids");
        refuse(of_text(""), "at least one token");
        refuse(of_text("   "), "at least one token");
        refuse(of_ids(&[], &[]), "at least one");
        refuse(of_ids(&[1, 4_000_000], &[]), "below the vocabulary");
        refuse(Request { pair: Some("x".into()), ..of_text("a") }, "pair");
        refuse(Request { source_length: Some(9), ..of_ids(&[1, 2], &[]) }, "source length");
        let encoder_mask =
            MaskFile { encoder: Some(MaskSource::Rule(Rule::Full)), ..MaskFile::default() };
        refuse(Request { mask: encoder_mask, ..of_text("a") }, "mask of `encoder`");
        let gates = Gates { decoder: Some(vec![vec![1.0]]), ..Gates::default() };
        refuse(Request { gates, ..of_text("a") }, "gates of `decoder`");
        let hot = Sampling { temperature: f32::NAN, ..Sampling::default() };
        refuse(Request { sampling: hot, ..of_text("a") }, "temperature");
        let far = Edit { row: 5_000, key: 0, visible: true, layer: None, head: None };
        let mask = decoder_mask(Mask { rule: Rule::Causal, edits: vec![far] });
        refuse(Request { mask, ..of_text("a") }, "mask edit");
    })
}

fn main() {
    let mut cases = cached_equals_uncached();
    cases.extend(steps::costs());
    cases.push(a_later_token_leaves_earlier_rows_alone());
    cases.extend(only_what_changed_is_computed());
    cases.extend(random_edits());
    cases.extend(masks_and_gates());
    cases.extend(steps::sampling_and_blanks());
    cases.extend(steps::what_a_step_tells());
    cases.push(bad_requests());
    support::main(cases);
}
