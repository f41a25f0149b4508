//! A GPU that is lost, memory that is given back: what a run goes on from, and what is left of it.

mod machines;
mod support;

use std::rc::Rc;

use unmasked::device::{Choice, Device, Usage};
use unmasked::engine::Engine;
use unmasked::error::Kind;
use unmasked::request::{Fill, Request, Watchable};
use unmasked::session::{Session, Taken, Variant};
use unmasked::spec::{Architecture, Slot, Spec, SpecialTokens, Stack, Template};
use unmasked::trace::Step;

use machines::{
    QUARTET, afresh, chosen, difference, files, folder, logits, of_ids, of_text, quartet, random,
    run, shared, watch,
};
use support::{Case, case, cpu_case, gpu_case, is_cpu};

const TEXT: &str = "The old man reads a book in the garden.";
const GENERATING: [&str; 3] = ["causal", "prefix", "encoder-decoder"];

fn taken(steps: &[Step]) -> Vec<Taken> {
    steps.iter().map(|step| Taken { row: step.row, chosen: step.chosen }).collect()
}

/// All steps that a session still has to say.
fn rest_of(session: &mut Session, engine: &Engine) -> Vec<Step> {
    pollster::block_on(async {
        let mut steps = Vec::new();
        while let Some(step) = session.next(engine).await.expect("a step") {
            steps.push(step);
        }
        steps
    })
}

fn resumed(engine: &Engine, request: &Request, steps: &[Step]) -> Vec<Step> {
    let mut session = Session::new();
    pollster::block_on(session.resume(engine, request, &taken(steps))).expect("a run");
    rest_of(&mut session, engine)
}

/// A text with three blanks for the encoder.
fn blanks(engine: &Engine) -> Vec<u32> {
    let mut ids: Vec<u32> =
        engine.tokenize(TEXT, None).unwrap().tokens.iter().map(|token| token.id).collect();
    for row in [2, 4, 6] {
        ids[row] = engine.spec.special.mask.unwrap();
    }
    ids
}

fn runs_go_on() -> Vec<Case> {
    let mut cases = Vec::new();
    for name in GENERATING {
        cases.push(case(format!("{name}::a_run_goes_on_from_any_of_its_steps"), move |device| {
            let engine = quartet(name, device);
            let mut request = of_text(TEXT);
            request.watch = watch(&[Watchable::Attention, Watchable::Logits]);
            let whole = run(&mut Session::new(), &engine, &request);
            assert!(whole.len() > 4);
            for at in [1, 3, whole.len() - 1, whole.len()] {
                let steps = resumed(&engine, &request, &whole[..at]);
                assert_eq!(chosen(&steps), chosen(&whole[at..]), "after {at} steps");
                for (got, wanted) in steps.iter().zip(&whole[at..]) {
                    assert_eq!((got.row, &got.rows), (wanted.row, &wanted.rows));
                    assert_eq!(got.ended, wanted.ended);
                    let (got, wanted) = (got.logits.as_ref(), wanted.logits.as_ref());
                    match is_cpu(device) {
                        true => assert_eq!(got, wanted, "bit for bit"),
                        false => assert!(difference(got.unwrap(), wanted.unwrap()) <= 1e-4),
                    }
                }
            }
        }));
        cases.push(case(format!("{name}::a_forced_step_is_kept"), move |device| {
            // What a reader already has is not drawn again, whatever this device would draw.
            let engine = quartet(name, device);
            let request = of_text(TEXT);
            let mut first = run(&mut Session::new(), &engine, &request);
            first.truncate(1);
            first[0].chosen = first[0].candidates[1].id;
            let answer = Request { target_ids: vec![first[0].chosen], ..request.clone() };
            let wanted = run(&mut Session::new(), &engine, &answer);
            assert_eq!(chosen(&resumed(&engine, &request, &first)), chosen(&wanted));
        }));
    }
    for fill in [Fill::Parallel, Fill::Confidence] {
        cases.push(case(format!("encoder::{fill:?}_goes_on"), move |device| {
            let engine = quartet("encoder", device);
            let request = Request { fill, ..of_ids(&blanks(&engine), &[]) };
            let whole = run(&mut Session::new(), &engine, &request);
            assert_eq!(whole.len(), 3);
            for at in 0..=3 {
                let steps = resumed(&engine, &request, &whole[..at]);
                let show = |steps: &[Step]| -> Vec<(usize, u32)> {
                    steps.iter().map(|step| (step.row, step.chosen)).collect()
                };
                assert_eq!(show(&steps), show(&whole[at..]), "after {at} steps");
            }
        }));
    }
    cases.push(cpu_case("steps_of_another_run_are_refused", |device| {
        let engine = quartet("causal", device);
        let request = of_text(TEXT);
        for wrong in [Taken { row: 0, chosen: 9 }, Taken { row: 11, chosen: 4_000_000 }] {
            let error =
                pollster::block_on(Session::new().resume(&engine, &request, &[wrong])).unwrap_err();
            assert_eq!(error.kind, Kind::Input);
            assert!(error.to_string().contains("those of this run"), "{error}");
        }
    }));
    cases
}

/// A device of the test's own: it may lose it.
fn own(choice: Choice) -> Rc<Device> {
    Rc::new(pollster::block_on(Device::open(choice)).expect("it opened before"))
}

fn load(name: &str, device: &Rc<Device>) -> Engine {
    pollster::block_on(Engine::load(files(&folder(name)), device.clone())).expect("it loads")
}

fn lost() -> Vec<Case> {
    let each = |name: &'static str| {
        gpu_case(format!("{name}::a_lost_gpu_is_rebuilt_and_the_run_goes_on"), move |device| {
            let engine = quartet(name, device);
            let request = match name {
                "encoder" => Request { fill: Fill::Confidence, ..of_ids(&blanks(&engine), &[]) },
                _ => of_text(TEXT),
            };
            let whole = run(&mut Session::new(), &engine, &request);
            let device = own(Choice::Gpu);
            let engine = load(name, &device);
            let mut session = Session::new();
            let mut steps = Vec::new();
            pollster::block_on(async {
                session.begin(&engine, &request).await.unwrap();
                for _ in 0..2 {
                    steps.push(session.next(&engine).await.unwrap().unwrap());
                }
                let Device::Gpu(gpu) = &*device else { panic!("the GPU was asked for") };
                gpu.destroy();
                for _ in 0..2 {
                    let error = session.next(&engine).await.unwrap_err();
                    assert_eq!(error.kind, Kind::Lost, "{error}");
                }
                assert!(device.is_lost());
                assert!(session.forward(&engine, &request).await.is_err());
            });
            for choice in [Choice::Gpu, Choice::Cpu] {
                let engine = load(name, &own(choice));
                let rest = resumed(&engine, &request, &steps);
                assert_eq!(chosen(&rest), chosen(&whole[2..]), "on {choice:?}");
            }
        })
    };
    QUARTET.into_iter().map(each).collect()
}

/// An encoder-decoder that answers at length.
fn long_answers() -> Spec {
    Spec {
        vocabulary: 40,
        max_positions: 300,
        encoder: Stack::plain(2, 2, 8, 24),
        decoder: Stack::plain(2, 2, 8, 24),
        head: Some(unmasked::spec::Head::plain(true)),
        special: SpecialTokens { bos: Some(1), ..SpecialTokens::default() },
        template: Template { source: vec![Slot::Source], start: vec![1], ..Template::default() },
        ..Spec::plain("random", Architecture::EncoderDecoder, 16)
    }
}

fn caches() -> Vec<Case> {
    let grown = case("an_answer_that_outgrows_its_caches_still_sees_its_source", |device| {
        let engine = random(long_answers(), device, 7);
        let ids: Vec<u32> = (3..20).collect();
        let request = Request { max_new_tokens: Some(150), ..of_ids(&ids, &[Watchable::Logits]) };
        let steps = run(&mut Session::new(), &engine, &request);
        assert_eq!(steps.len(), 150);
        let whole = afresh(&engine, &Request { target_ids: chosen(&steps), ..request });
        for step in &steps {
            let worst = difference(step.logits.as_ref().unwrap(), &logits(&whole)[step.row]);
            assert!(worst <= 1e-4, "row {}: {worst}", step.row);
        }
    });
    let mut cases = vec![grown];
    for name in QUARTET {
        cases.push(case(format!("{name}::a_run_goes_on_after_a_rest"), move |device| {
            let engine = quartet(name, device);
            let request = match name {
                "encoder" => Request { fill: Fill::Confidence, ..of_ids(&blanks(&engine), &[]) },
                _ => of_text(TEXT),
            };
            let whole = run(&mut Session::new(), &engine, &request);
            let mut session = Session::new();
            let rested = pollster::block_on(async {
                session.begin(&engine, &request).await.unwrap();
                let mut steps = Vec::new();
                session.rest();
                while let Some(step) = session.next(&engine).await.unwrap() {
                    steps.push(step);
                    session.rest();
                }
                steps
            });
            assert_eq!(chosen(&rested), chosen(&whole));
        }));
    }
    cases
}

fn memory() -> Vec<Case> {
    let freed = gpu_case("freeing_really_frees", |_| {
        let device = own(Choice::Gpu);
        let empty = device.usage();
        let request = Request { max_new_tokens: Some(3), ..of_text(TEXT) };
        let mut first: Option<Usage> = None;
        for round in 0..3 {
            let engines: Vec<Engine> = GENERATING.map(|name| load(name, &device)).into();
            let loaded = device.usage();
            let tensors: u64 = engines.iter().map(|engine| parameters(engine) * 2).sum();
            assert!(loaded.bytes >= tensors, "{loaded:?} hold {tensors} bytes of halves");
            let mut sessions: Vec<Session> = Vec::new();
            for engine in &engines {
                let mut session = Session::new();
                run(&mut session, engine, &request);
                let before = device.usage();
                let variants = vec![Variant::default(); 3];
                pollster::block_on(session.sweep(engine, &request, &variants)).unwrap();
                assert_eq!(device.usage(), before, "a sweep keeps nothing");
                sessions.push(session);
            }
            let running = device.usage();
            assert!(running.bytes > loaded.bytes && running.buffers > loaded.buffers);
            assert_eq!(*first.get_or_insert(running), running, "round {round}");
            for session in &mut sessions {
                session.rest();
            }
            assert_eq!(device.usage(), loaded, "sessions that rest hold nothing");
            drop(sessions);
            drop(engines);
            assert_eq!(device.usage(), empty, "round {round}");
        }
    });
    let room = case("a_model_that_cannot_fit_is_refused_before_its_weights_are_read", |device| {
        let device = shared(device);
        let load = |room| {
            pollster::block_on(Engine::load_within(files(&folder("causal")), device.clone(), room))
        };
        assert!(load(100 << 20).is_ok());
        let error = load(60 << 20).unwrap_err();
        assert_eq!(error.kind, Kind::Memory);
        for says in ["room for", "62914560 bytes left", "close other models"] {
            assert!(error.to_string().contains(says), "{error}");
        }
    });
    let large = gpu_case("what_no_buffer_can_hold_is_refused_by_name_and_size", |_| {
        let device = own(Choice::Gpu);
        let mut spec = long_answers();
        // Keys and values of so many positions: far beyond what any adapter binds.
        spec.max_positions = 1 << 20;
        spec.decoder.heads = 64;
        spec.decoder.kv_heads = 64;
        spec.decoder.head_width = 64;
        let transformer = unmasked::model::Transformer::new(&spec).unwrap();
        let shapes = transformer.decoder.as_ref().unwrap().caches();
        let positions = spec.max_positions;
        let capacity = unmasked::graph::Capacity { rows: 1, keys: [positions; 3], variants: 1 };
        let before = device.usage();
        let error = pollster::block_on(device.caches(shapes, capacity)).unwrap_err();
        assert!(matches!(error.kind, Kind::Limit | Kind::Memory), "{error}");
        let bytes = 2 * 4 * 64 * 64 * positions;
        for says in ["cache", &bytes.to_string(), "smaller model"] {
            assert!(error.to_string().contains(says), "`{says}`: {error}");
        }
        assert_eq!(device.usage(), before, "what was made before it is given back");
    });
    vec![freed, room, large]
}

fn parameters(engine: &Engine) -> u64 {
    engine.describe().parameters
}

fn main() {
    let mut cases = runs_go_on();
    cases.extend(lost());
    cases.extend(caches());
    cases.extend(memory());
    support::main(cases);
}
