//! What is watched is told in full and is the same whatever a session held before: each fault that was
//! found, by its own case, and random runs, watches and sweeps against sessions that hold nothing.

mod machines;
mod support;

use unmasked::engine::Engine;
use unmasked::error::Result;
use unmasked::graph::Activation;
use unmasked::mask::{Edit, Mask, MaskFile, MaskSource, Rule};
use unmasked::request::{Gates, Request, Select, Watch, Watchable};
use unmasked::sample::Sampling;
use unmasked::session::{Session, Taken, Variant};
use unmasked::spec::{Architecture, Head, OutputHead, Slot, Spec, Stack, Template};
use unmasked::trace::{Forward, Step, Watched};

use machines::{QUARTET, forward, of_ids, quartet, run};
use support::{Case, Numbers, case, cpu_case};

/// Rounds of the random cases, each a call on a session that goes on and on one that begins.
const ROUNDS: usize = 100;

// ---- first steps -----------------------------------------------------------------------------

fn a_first_step_tells_every_row() -> Vec<Case> {
    let unwatched = case("causal::a_first_step_tells_rows_that_nobody_watched", |device| {
        let engine = quartet("causal", device);
        let mut session = Session::new();
        forward(&mut session, &engine, &of_ids(&[1, 300, 301, 302, 303], &[]));
        let mut request = of_ids(&[1, 300, 301, 302, 303, 304], &[Watchable::Attention]);
        request.max_new_tokens = Some(2);
        let steps = run(&mut session, &engine, &request);
        assert_eq!(steps[0].rows, [0, 1, 2, 3, 4, 5]);
        for head in steps[0].watched.attention["decoder"].iter().flatten() {
            for row in head {
                let sum: f32 = row.iter().sum();
                assert!((sum - 1.0).abs() < 1e-4, "a row sums to {sum}");
            }
        }
    });
    let other_heads = case("causal::a_first_step_tells_rows_of_other_heads", |device| {
        let engine = quartet("causal", device);
        let of_head = |ids: &[u32], head: usize| {
            let mut request = of_ids(ids, &[Watchable::Attention]);
            request.watch.heads = Select::These(vec![head]);
            request.max_new_tokens = Some(2);
            request
        };
        let mut session = Session::new();
        forward(&mut session, &engine, &of_head(&[1, 300, 301, 302], 0));
        let request = of_head(&[1, 300, 301, 302, 303], 1);
        let held = run(&mut session, &engine, &request);
        let fresh = run(&mut Session::new(), &engine, &request);
        assert_same(&of_steps(&held), &of_steps(&fresh), "");
    });
    let quiet = case("causal::steps_that_watch_nothing_leave_no_heads_behind", |device| {
        let engine = quartet("causal", device);
        let mut one = of_ids(&[1, 300, 301, 302, 303], &[Watchable::Attention]);
        one.watch.heads = Select::These(vec![0]);
        let mut session = Session::new();
        forward(&mut session, &engine, &one);
        let mut quiet = of_ids(&[1, 300, 301, 302, 303, 304], &[]);
        quiet.max_new_tokens = Some(2);
        run(&mut session, &engine, &quiet);
        let all = of_ids(&[1, 300, 301, 302, 303, 304], &[Watchable::Attention]);
        let held = forward(&mut session, &engine, &all).forward.unwrap();
        let fresh = machines::afresh(&engine, &all).forward.unwrap();
        assert_same(&of_forward(&held), &of_forward(&fresh), "");
    });
    vec![unwatched, other_heads, quiet]
}

// ---- stacks that differ, heads, rows ----------------------------------------------------------

/// An encoder of three layers and two heads, a decoder of one layer and four heads.
fn uneven() -> Spec {
    Spec {
        vocabulary: 40,
        max_positions: 32,
        encoder: Stack::plain(3, 2, 8, 24),
        decoder: Stack::plain(1, 4, 4, 24),
        head: Some(Head::plain(true)),
        ..Spec::plain("random", Architecture::EncoderDecoder, 16)
    }
}

/// An encoder with every head there is.
fn with_heads() -> Spec {
    let pool = Some(Activation::Tanh);
    Spec {
        vocabulary: 40,
        max_positions: 32,
        segments: 2,
        encoder: Stack::plain(2, 2, 8, 24),
        head: Some(Head::plain(true)),
        output_heads: vec![
            OutputHead::Replaced { pool },
            OutputHead::Pair { pool },
            OutputHead::Classes { classes: 3, pool },
        ],
        template: Template {
            source: vec![Slot::Source],
            pair: vec![Slot::Source, Slot::Token(9), Slot::Target],
            ..Template::default()
        },
        ..Spec::plain("random", Architecture::Encoder, 16)
    }
}

fn sweep(engine: &Engine, request: &Request, variants: &[Variant]) -> Vec<Forward> {
    pollster::block_on(Session::new().sweep(engine, request, variants)).unwrap().variants
}

fn stacks_that_differ() -> Case {
    case("what_only_one_stack_has_is_told_of_that_stack", |device| {
        let engine = machines::random(uneven(), device, 7);
        let mut request =
            of_ids(&[3, 4, 5, 6, 7], &[Watchable::Attention, Watchable::Scores, Watchable::Hidden]);
        request.target_ids = vec![1];
        request.max_new_tokens = Some(5);
        let plain = request.clone();
        let told = |layers: Select, heads: Select, rows: Select| {
            let mut request = plain.clone();
            request.watch = Watch { layers, heads, rows, what: plain.watch.what.clone() };
            let mut session = Session::new();
            session.mask_picture(&engine, &request).unwrap();
            let steps = run(&mut session, &engine, &request);
            assert!(!steps.is_empty());
            let swept = sweep(&engine, &request, &[Variant::default()]).remove(0);
            let forward = machines::afresh(&engine, &request).forward.unwrap();
            assert_same(&of_forward(&forward), &of_forward(&swept), "in a sweep");
            forward.watched
        };
        let these = |number: usize| Select::These(vec![number]);
        let watched = told(these(2), Select::All, Select::All);
        assert_eq!(watched.attention["encoder"].len(), 1);
        assert!(!watched.attention.contains_key("decoder"));
        let watched = told(Select::All, these(3), Select::All);
        assert_eq!(watched.attention["encoder"], vec![Vec::<Vec<Vec<f32>>>::new(); 3]);
        assert_eq!(watched.attention["decoder"][0].len(), 1);
        let watched = told(Select::All, Select::All, these(3));
        assert_eq!(watched.attention["encoder"][2][1].len(), 1);
        assert!(watched.attention["decoder"][0][1].is_empty());
        for watch in [
            Watch { layers: these(4), ..plain.watch.clone() },
            Watch { heads: these(4), ..plain.watch.clone() },
            Watch { rows: these(5), ..plain.watch.clone() },
        ] {
            let request = Request { watch, ..plain.clone() };
            let error = pollster::block_on(Session::new().forward(&engine, &request)).unwrap_err();
            assert!(error.to_string().starts_with("watched"), "{error}");
        }
    })
}

fn heads_whatever_is_watched() -> Case {
    case("other_heads_are_told_whatever_is_watched", |device| {
        let engine = machines::random(with_heads(), device, 3);
        let plain = of_ids(&[3, 4, 5, 6, 7, 8], &[Watchable::Logits]);
        let all = machines::afresh(&engine, &plain).forward.unwrap();
        let logits = all.logits.unwrap();
        assert_eq!(logits.len(), 6);
        for (what, rows) in [
            (vec![], Select::All),
            (vec![], Select::These(vec![2])),
            (vec![Watchable::Logits], Select::These(vec![4, 2])),
            (vec![Watchable::Logits], Select::These(Vec::new())),
        ] {
            let mut request = plain.clone();
            request.watch = Watch { what, rows, ..Watch::default() };
            let told = match request.watch.what.is_empty() {
                true => None,
                false => Some(request.watch.rows.among(6)),
            };
            let alone = machines::afresh(&engine, &request).forward.unwrap();
            let swept = sweep(&engine, &request, &[Variant::default()]).remove(0);
            for forward in [alone, swept] {
                let close = |got: Option<Vec<f32>>, expected: &Option<Vec<f32>>| {
                    let (got, expected) = (got.expect("a head"), expected.as_ref().unwrap());
                    assert_same(&got, expected, "of a head");
                };
                close(forward.heads.replaced, &all.heads.replaced);
                close(forward.heads.pair, &all.heads.pair);
                close(forward.heads.classes, &all.heads.classes);
                assert_eq!(forward.logits.is_some(), told.is_some());
                for (got, row) in forward.logits.iter().flatten().zip(told.iter().flatten()) {
                    assert_same(got, &logits[*row], "of logits");
                }
                assert_eq!(forward.logits.map(|l| l.len()), told.as_ref().map(Vec::len));
            }
        }
    })
}

fn a_sweep_of_texts_and_ids() -> Case {
    case("a_sweep_of_texts_and_ids_is_its_variants_one_by_one", |device| {
        let engine = machines::random(with_heads(), device, 4);
        let request = Request {
            pair: Some("w6 w7".into()),
            watch: machines::watch(&[Watchable::Logits]),
            ..machines::of_text("w3 w4")
        };
        let ids = vec![3, 4, 9, 6, 7];
        let variants =
            [Variant { ids: Some(ids.clone()), ..Variant::default() }, Variant::default()];
        let swept = sweep(&engine, &request, &variants);
        let alone = [of_ids(&ids, &[Watchable::Logits]), request];
        let alone = alone.map(|request| machines::afresh(&engine, &request).forward.unwrap());
        for (swept, alone) in swept.iter().zip(&alone) {
            assert_same(&of_forward(swept), &of_forward(alone), "");
        }
        assert_ne!(alone[0].logits, alone[1].logits, "segments count");
    })
}

fn one_picture() -> Case {
    case("a_run_draws_the_mask_of_the_watched_layer_and_head", |device| {
        for (name, site) in [("causal", "decoder"), ("encoder", "encoder")] {
            let engine = quartet(name, device);
            let mut request = of_ids(&[1, 300, 301, 302, 2], &[]);
            let (layer, head) = (Some(1), Some(2));
            let edit = Edit { row: 3, key: 1, visible: false, layer, head };
            let rule = if name == "encoder" { Rule::Full } else { Rule::Causal };
            let mask = Some(MaskSource::Mask(Mask { rule, edits: vec![edit] }));
            match site {
                "encoder" => request.mask.encoder = mask,
                _ => request.mask.decoder = mask,
            }
            request.watch.layers = Select::These(vec![1]);
            request.watch.heads = Select::These(vec![2]);
            let mut session = Session::new();
            let begun = pollster::block_on(session.begin(&engine, &request)).unwrap();
            let begun = begun.forward.unwrap().watched.mask[site].clone();
            assert_eq!(&begun[3][1..2], "0");
            assert_eq!(begun, session.mask_picture(&engine, &request).unwrap()[site].rows);
            let pass = forward(&mut session, &engine, &request).forward.unwrap();
            assert_eq!(begun, pass.watched.mask[site]);
        }
    })
}

fn steps_without_a_vocabulary() -> Case {
    case("steps_of_a_model_without_a_vocabulary_are_refused", |device| {
        let engine = machines::random(Spec { head: None, ..with_heads() }, device, 5);
        let request = of_ids(&[3, 4, 5], &[]);
        let error = pollster::block_on(Session::new().begin(&engine, &request)).unwrap_err();
        assert!(error.to_string().starts_with("steps: expected a model with a head"), "{error}");
        assert!(machines::afresh(&engine, &request).forward.unwrap().heads.replaced.is_some());
    })
}

fn no_rows() -> Case {
    case("causal::no_rows_have_one_shape", |device| {
        let engine = quartet("causal", device);
        let quiet = of_ids(&[1, 300, 301, 302], &[]);
        let what = [Watchable::Attention, Watchable::Scores, Watchable::Hidden];
        let mut none = of_ids(&[1, 300, 301, 302], &what);
        none.watch.rows = Select::These(Vec::new());
        let mut session = Session::new();
        forward(&mut session, &engine, &quiet);
        let held = forward(&mut session, &engine, &none).forward.unwrap().watched;
        let fresh = machines::afresh(&engine, &none).forward.unwrap().watched;
        assert_eq!(held.attention, fresh.attention);
        assert_eq!(held.scores, fresh.scores);
        assert_eq!(held.hidden, fresh.hidden);
        assert_eq!(fresh.attention["decoder"].len(), engine.spec.decoder.layers);
    })
}

fn fields_that_no_request_has() -> Case {
    cpu_case("a_field_that_no_request_has_is_refused_by_its_name", |_| {
        fn refuses<T: serde::de::DeserializeOwned>(field: &str, json: serde_json::Value) {
            let Err(error) = serde_json::from_value::<T>(json) else { panic!("{field} was read") };
            assert!(error.to_string().contains(&format!("unknown field `{field}`")), "{error}");
        }
        use serde_json::json;
        refuses::<Request>("maxNewToken", json!({ "text": "a", "maxNewToken": 1 }));
        refuses::<Request>("topk", json!({ "text": "a", "sampling": { "topk": 1 } }));
        refuses::<Request>("head", json!({ "text": "a", "watch": { "head": [0] } }));
        refuses::<Request>("causal", json!({ "text": "a", "gates": { "causal": [] } }));
        refuses::<Request>("causal", json!({ "text": "a", "mask": { "causal": "full" } }));
        refuses::<Variant>("watch", json!({ "text": "a", "watch": {} }));
        refuses::<Taken>("id", json!({ "row": 1, "chosen": 2, "id": 2 }));
        // A whole number is a count, a factor or a seed, whichever is wanted.
        let json = json!({ "ids": [1], "sampling": { "temperature": 1, "seed": 9007199254740991i64 }, "gates": { "decoder": [[1, 0.5]] } });
        let request: Request = serde_json::from_value(json).unwrap();
        assert_eq!((request.sampling.seed, request.sampling.temperature), ((1 << 53) - 1, 1.0));
        assert_eq!(request.gates.decoder, Some(vec![vec![1.0, 0.5]]));
    })
}

fn arrays_where_objects_belong() -> Case {
    cpu_case("an_array_where_an_object_belongs_is_refused", |_| {
        fn refuses<T: serde::de::DeserializeOwned>(json: serde_json::Value) {
            let text = json.to_string();
            let Err(error) = serde_json::from_value::<T>(json) else { panic!("{text} was read") };
            let error = error.to_string();
            let refused = ["struct", "masks by stack"]
                .map(|wanted| format!("invalid type: sequence, expected {wanted}"));
            assert!(refused.iter().any(|refused| error.contains(refused)), "{text}: {error}");
            assert!(serde_json::from_str::<T>(&text).is_err(), "{text} was read from a file");
        }
        use serde_json::json;
        refuses::<Request>(json!([]));
        refuses::<Request>(json!(["a text"]));
        for field in ["sampling", "mask", "gates", "watch"] {
            refuses::<Request>(json!({ "text": "a", (field): [] }));
        }
        refuses::<Gates>(json!([[[1, 0.5]]]));
        refuses::<Variant>(json!({ "gates": [] }));
        refuses::<Variant>(json!({ "mask": ["full"] }));
        refuses::<Vec<Variant>>(json!([["a text"]]));
        refuses::<Vec<Taken>>(json!([[1, 2]]));
    })
}

// ---- random runs -----------------------------------------------------------------------------

/// All numbers of a record, with marks between its parts, so that shapes are compared too.
fn flat(watched: &Watched) -> Vec<f32> {
    let mut all = Vec::new();
    for layers in watched.attention.values() {
        for rows in layers.iter().flatten() {
            rows.iter().for_each(|row| all.extend(row));
            all.push(71.0);
        }
        all.push(72.0);
    }
    for layers in watched.scores.values() {
        for rows in layers.iter().flatten() {
            rows.iter().for_each(|row| all.extend(row.iter().map(|score| score.unwrap_or(-5.0))));
            all.push(73.0);
        }
        all.push(74.0);
    }
    for sites in [&watched.queries, &watched.keys, &watched.values, &watched.hidden] {
        for layers in sites.values() {
            for rows in layers {
                rows.iter().for_each(|row| all.extend(row));
                all.push(75.0);
            }
        }
        all.push(76.0);
    }
    for picture in watched.mask.values() {
        let cells = picture.iter().flat_map(|row| row.bytes());
        all.extend(cells.map(|cell| f32::from(cell == b'1')));
        all.push(77.0);
    }
    all
}

fn of_forward(forward: &Forward) -> Vec<f32> {
    let mut all: Vec<f32> = forward.logits.iter().flatten().flatten().copied().collect();
    all.extend(flat(&forward.watched));
    all
}

fn of_steps(steps: &[Step]) -> Vec<f32> {
    let mut all = Vec::new();
    for step in steps {
        all.extend([step.row as f32, step.chosen as f32]);
        all.extend(step.rows.iter().map(|row| *row as f32));
        all.extend(step.logits.iter().flatten());
        all.extend(flat(&step.watched));
    }
    all
}

fn assert_same(held: &[f32], fresh: &[f32], of: &str) {
    assert_eq!(held.len(), fresh.len(), "numbers told {of}");
    let worst = held.iter().zip(fresh).map(|(a, b)| (a - b).abs()).fold(0.0f32, f32::max);
    assert!(worst <= 2e-3, "held and fresh differ by {worst} {of}");
}

fn token(numbers: &mut Numbers) -> u32 {
    numbers.below(900) as u32 + 20
}

fn select(numbers: &mut Numbers, count: usize) -> Select {
    match numbers.below(4) {
        0 => Select::These(vec![numbers.below(count)]),
        1 => Select::These(Vec::new()),
        _ => Select::All,
    }
}

fn watch(numbers: &mut Numbers, layers: usize, heads: usize) -> Watch {
    use Watchable::{Attention, Hidden, Keys, Logits, Queries, Scores, Values};
    let all = [Attention, Scores, Queries, Keys, Values, Hidden, Logits];
    let what = all.into_iter().filter(|_| numbers.below(3) == 0).collect();
    Watch {
        layers: select(numbers, layers),
        heads: select(numbers, heads),
        rows: if numbers.below(4) == 0 { Select::These(vec![0]) } else { Select::All },
        what,
    }
}

fn mask(numbers: &mut Numbers, layers: usize, heads: usize) -> MaskSource {
    const RULES: [&str; 7] =
        ["full", "causal", "prefix:3", "window:2", "causal+window:3", "documents:2,4", "padding:3"];
    let rule: Rule = RULES[numbers.below(RULES.len())].parse().unwrap();
    let edits = (0..numbers.below(4)).map(|_| Edit {
        row: numbers.below(12),
        key: numbers.below(12),
        visible: numbers.below(2) == 0,
        layer: (numbers.below(2) == 0).then(|| numbers.below(layers)),
        head: (numbers.below(2) == 0).then(|| numbers.below(heads)),
    });
    let edits = edits.collect();
    MaskSource::Mask(Mask { rule, edits })
}

fn masks(numbers: &mut Numbers, name: &str, layers: usize, heads: usize) -> MaskFile {
    let mut file = MaskFile::default();
    let kind = numbers.below(3);
    if kind > 0 {
        let mask = Some(mask(numbers, layers, heads));
        match name {
            "encoder" => file.encoder = mask,
            "encoder-decoder" if kind == 1 => file.cross = mask,
            _ => file.decoder = mask,
        }
    }
    file
}

fn gates(numbers: &mut Numbers, name: &str, layers: usize, heads: usize) -> Gates {
    let mut gates = Gates::default();
    if numbers.below(2) == 0 {
        let mut factors = vec![vec![1.0; heads]; layers];
        factors[numbers.below(layers)][numbers.below(heads)] = 0.0;
        match name {
            "encoder" => gates.encoder = Some(factors),
            _ => gates.decoder = Some(factors),
        }
    }
    gates
}

/// Changes one thing of a request.
fn change(numbers: &mut Numbers, name: &str, layers: usize, heads: usize, request: &mut Request) {
    let generates = name != "encoder";
    let ids = request.ids.as_mut().unwrap();
    match numbers.below(9) {
        0 => {
            let at = numbers.below(ids.len());
            ids[at] = token(numbers);
        }
        1 if ids.len() < 12 => ids.push(token(numbers)),
        2 if ids.len() > 2 => {
            ids.pop();
        }
        3 => request.mask = masks(numbers, name, layers, heads),
        4 => request.gates = gates(numbers, name, layers, heads),
        5 => request.watch = watch(numbers, layers, heads),
        6 if generates => {
            request.target_ids = (0..numbers.below(4)).map(|_| token(numbers)).collect();
        }
        7 if generates && request.target_ids.len() < 6 => request.target_ids.push(token(numbers)),
        _ => {
            let temperature = numbers.below(2) as f32;
            let seed = numbers.below(5) as u64;
            request.sampling = Sampling { temperature, seed, ..Sampling::default() };
        }
    }
}

/// Everything that a call tells: a pass, a run, a run that is left, or a sweep.
fn told(
    engine: &Engine,
    session: &mut Session,
    kind: usize,
    request: &Request,
    variants: &[Variant],
) -> Result<Vec<f32>> {
    pollster::block_on(async {
        if kind == 0 {
            return Ok(of_forward(&session.forward(engine, request).await?.forward.unwrap()));
        }
        if kind == 3 {
            let swept = session.sweep(engine, request, variants).await?;
            return Ok(swept.variants.iter().flat_map(of_forward).collect());
        }
        let begun = session.begin(engine, request).await?;
        let mut all = of_forward(&begun.forward.unwrap());
        let mut steps = Vec::new();
        while kind == 1 || steps.len() < 2 {
            let Some(step) = session.next(engine).await? else { break };
            steps.push(step);
        }
        all.extend(of_steps(&steps));
        Ok(all)
    })
}

fn whatever_was_held() -> Vec<Case> {
    let each = |name: &'static str| {
        case(format!("{name}::what_was_held_changes_nothing_that_is_told"), move |device| {
            let engine = quartet(name, device);
            let stack = engine.spec.output_stack();
            let (layers, heads) = (stack.layers, stack.heads);
            let mut numbers = Numbers(name.len() as u64 * 7 + 1);
            let numbers = &mut numbers;
            let mut session = Session::new();
            let ids: Vec<u32> = (0..6).map(|_| token(numbers)).collect();
            let mut request = Request { max_new_tokens: Some(4), ..of_ids(&ids, &[]) };
            for round in 0..ROUNDS {
                change(numbers, name, layers, heads, &mut request);
                let kind = numbers.below(7).div_ceil(2);
                let kind = if name == "encoder" && kind < 3 { 0 } else { kind };
                let mut other = request.ids.clone().unwrap();
                let at = numbers.below(other.len());
                other[at] = token(numbers);
                let variants = [
                    Variant { ids: Some(other), ..Variant::default() },
                    Variant {
                        gates: Some(gates(numbers, name, layers, heads)),
                        ..Variant::default()
                    },
                ];
                let held = told(&engine, &mut session, kind, &request, &variants);
                let fresh = match kind {
                    // A sweep has caches of its own: a pass a variant is what it is held against.
                    3 => variants
                        .iter()
                        .map(|variant| {
                            let mut alone = request.clone();
                            alone.ids = variant.ids.clone().or(alone.ids);
                            alone.gates = variant.gates.clone().unwrap_or(alone.gates);
                            told(&engine, &mut Session::new(), 0, &alone, &[])
                        })
                        .collect::<Result<Vec<Vec<f32>>>>()
                        .map(|all| all.concat()),
                    kind => told(&engine, &mut Session::new(), kind, &request, &[]),
                };
                let of = format!("in round {round}, kind {kind}: {request:?}");
                match (held, fresh) {
                    (Ok(held), Ok(fresh)) => assert_same(&held, &fresh, &of),
                    (held, fresh) => assert_eq!(held.is_err(), fresh.is_err(), "{of}"),
                }
            }
        })
    };
    QUARTET.into_iter().map(each).collect()
}

fn main() {
    let mut cases = a_first_step_tells_every_row();
    cases.push(stacks_that_differ());
    cases.push(heads_whatever_is_watched());
    cases.push(a_sweep_of_texts_and_ids());
    cases.push(one_picture());
    cases.push(steps_without_a_vocabulary());
    cases.push(no_rows());
    cases.push(fields_that_no_request_has());
    cases.push(arrays_where_objects_belong());
    cases.extend(whatever_was_held());
    support::main(cases);
}
