//! What is said of a model: facts of its spec, and what it can be asked for, over the golden checkpoints of all families.

use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use pollster::block_on;
use serde_json::Value as Json;
use unmasked::device::{Choice, Device};
use unmasked::engine::Engine;
use unmasked::request::{Request, Watch, Watchable};
use unmasked::session::Session;

type Files = Vec<(String, Vec<u8>)>;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/families").join(name)
}

fn model_files(folder: &Path) -> Files {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let named = entries.map(|entry| {
        let path = entry.unwrap().path();
        (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap())
    });
    named.filter(|(name, _)| name != "golden.json").collect()
}

fn open(files: Files) -> Engine {
    let device = block_on(Device::open(Choice::Cpu)).unwrap();
    block_on(Engine::load(files, Rc::new(device))).unwrap()
}

fn describe(files: Files) -> Json {
    serde_json::to_value(open(files).describe()).unwrap()
}

fn described(name: &str) -> Json {
    describe(model_files(&folder(name)))
}

/// Changes a setting of the config, or adds it.
fn set(files: &mut Files, setting: &str, value: Json) {
    let (_, config) = files.iter_mut().find(|(name, _)| name == "config.json").unwrap();
    let mut json: Json = serde_json::from_slice(config).unwrap();
    json[setting] = value;
    *config = json.to_string().into_bytes();
}

/// Gives a word of the tokenizer another spelling.
fn respell(files: &mut Files, word: &str, spelling: &str) {
    let (_, tokenizer) = files.iter_mut().find(|(name, _)| name == "tokenizer.json").unwrap();
    let text = String::from_utf8(tokenizer.clone()).unwrap();
    let (old, new) = (format!("\"{word}\""), format!("\"{spelling}\""));
    assert!(text.contains(&old), "no word {word}");
    *tokenizer = text.replace(&old, &new).into_bytes();
}

/// `task: trained` of each task, in order.
fn tasks(description: &Json) -> Vec<String> {
    let all = description["tasks"].as_array().unwrap().iter();
    let word = |task: &Json, name: &str| task[name].as_str().unwrap().to_string();
    all.map(|task| format!("{}: {}", word(task, "task"), word(task, "trained"))).collect()
}

#[test]
fn people_know_the_families_by_their_names() {
    for (folder, name) in [
        ("bert", "BERT"),
        ("xlm-roberta", "XLM-RoBERTa"),
        ("electra-discriminator", "ELECTRA"),
        ("gpt2", "GPT-2"),
        ("gpt-neox", "GPT-NeoX"),
        ("llama", "LLaMA"),
        ("glm", "GLM-4"),
        ("glm-blank", "GLM"),
        ("chatglm2", "ChatGLM2"),
        ("t5", "T5"),
        ("mt5", "mT5"),
        ("marian", "Marian"),
    ] {
        assert_eq!(described(folder)["name"], name, "{folder}");
    }
}

#[test]
fn facts_are_those_of_the_spec() {
    let llama = described("llama");
    let stack = &llama["stacks"]["decoder"];
    assert_eq!((stack["heads"].as_u64(), stack["kv_heads"].as_u64()), (Some(6), Some(3)));
    assert_eq!((&stack["norm"], &stack["order"]), (&"rms".into(), &"pre".into()));
    assert_eq!(
        (&stack["positions"]["kind"], stack["gated"].as_bool()),
        (&"rotary".into(), Some(true))
    );
    assert_eq!(llama["stored"]["tied"], false);
    assert_eq!(llama["stored"]["formats"], serde_json::json!(["F32"]));
    assert!(llama["stacks"].get("encoder").is_none());

    let bert = described("bert-pretraining");
    assert_eq!(bert["stacks"]["encoder"]["order"], "post");
    assert_eq!(bert["stored"]["formats"], serde_json::json!(["BF16"]));
    assert_eq!(bert["stored"]["tied"], true);
    let bytes = fs::metadata(folder("bert-pretraining").join("model.safetensors")).unwrap().len();
    assert_eq!(bert["stored"]["bytes"], bytes);

    assert_eq!(described("glm-blank")["stacks"]["decoder"]["positions"]["streams"], 2);
    assert_eq!(described("palm")["stacks"]["decoder"]["order"], "parallel");
    assert_eq!(described("t5")["stacks"]["encoder"]["positions"]["kind"], "relative");
    assert_eq!(described("marian")["stacks"]["decoder"]["positions"]["kind"], "sinusoidal");
    assert_eq!(described("albert")["stacks"]["encoder"]["distinct_layers"], 2);
    let mbart = described("mbart");
    assert_eq!(mbart["stacks"]["encoder"]["heads"], 2);
    assert_eq!(mbart["stacks"]["decoder"]["heads"], 4);
    assert_eq!(described("chatglm2")["pretrained_as"], "prefix");
    assert!(described("electra-discriminator")["stored"].get("tied").is_none());
}

#[test]
fn tasks_are_those_of_the_heads_and_of_the_training() {
    for (folder, expected) in [
        ("bert-pretraining", &["fill: yes", "pair: yes"][..]),
        ("bert-classes", &["classify: yes"]),
        ("roberta", &["fill: yes"]),
        ("electra-discriminator", &["replaced: yes"]),
        ("electra-generator", &["fill: yes"]),
        ("gpt2", &["continue: yes", "translate: no", "summarise: no"]),
        ("glm-blank", &["infill: yes", "translate: no", "summarise: no"]),
        ("palm-prefix", &["continue: yes", "translate: no", "summarise: no"]),
        ("t5", &["translate: untold", "summarise: untold"]),
        ("bart", &["summarise: untold"]),
        ("marian", &["translate: yes"]),
    ] {
        assert_eq!(tasks(&described(folder)), expected, "{folder}");
    }
    let labels = &described("bert-classes")["tasks"][0]["labels"];
    assert_eq!(*labels, serde_json::json!(["LABEL_0", "LABEL_1", "LABEL_2"]));
    let blanks = &described("glm-blank")["tasks"][0]["blanks"];
    assert_eq!(*blanks, serde_json::json!(["[MASK]", "[gMASK]"]));

    // What the files hold tells as well as a class: of these, only the second has no head of its own.
    for (folder, task) in [("bert", "fill: yes"), ("bert-classes", "read: untold")] {
        let mut files = model_files(&self::folder(folder));
        set(&mut files, "architectures", serde_json::json!(["BertModel"]));
        assert_eq!(tasks(&describe(files)), [task], "{folder}");
    }

    let www = Path::new(env!("CARGO_MANIFEST_DIR")).join("www/models");
    let quartet = |name: &str| tasks(&describe(model_files(&www.join(name))));
    assert_eq!(quartet("en-fr-encoder"), ["fill: yes", "pair: yes"]);
    for name in ["en-fr-causal", "en-fr-prefix", "en-fr-encoder-decoder"] {
        assert_eq!(quartet(name), ["translate: yes"], "{name}");
    }
}

#[test]
fn a_t5_says_which_tasks_its_config_names() {
    let named = serde_json::json!({
        "summarization": { "prefix": "summarize: ", "num_beams": 4 },
        "translation_en_to_fr": { "prefix": "translate English to French: " },
        "none": { "max_length": 4 }, "blank": { "prefix": " " }, "wrong": 7,
    });
    for (folder_name, trained) in [("t5", "yes"), ("t5-gated", "untold")] {
        let mut files = model_files(&folder(folder_name));
        set(&mut files, "task_specific_params", named.clone());
        let t5 = describe(files);
        let expected = [format!("translate: {trained}"), format!("summarise: {trained}")];
        assert_eq!(tasks(&t5), expected, "{folder_name}");
        let prefix = |task: usize| t5["tasks"][task]["prefixes"][0].as_str().unwrap().to_string();
        assert_eq!(prefix(0), "translate English to French: ");
        assert_eq!(prefix(1), "summarize: ");
    }
    let mut files = model_files(&folder("t5"));
    respell(&mut files, "w9", "<extra_id_0>");
    let t5 = describe(files);
    assert_eq!(tasks(&t5)[0], "infill: yes");
    assert_eq!(t5["tasks"][0]["blanks"], serde_json::json!(["<extra_id_0>"]));
}

#[test]
fn a_config_says_whose_pieces_a_folder_has() {
    let mut files = model_files(&folder("mbart"));
    files.retain(|(name, _)| name != "tokenizer.json");
    let pieces = folder("../tokenizers/mbart/sentencepiece.bpe.model");
    files.push(("sentencepiece.bpe.model".into(), fs::read(pieces).unwrap()));
    let open = |files| {
        let device = block_on(Device::open(Choice::Cpu)).unwrap();
        block_on(Engine::load(files, Rc::new(device))).err().unwrap().to_string()
    };
    // With mBART's 25 languages these pieces are 137, and this model has fewer ids.
    let error = open(files.clone());
    assert!(error.contains("the model's 49 ids") && error.contains("137"), "{error}");
    // A number beyond the model is refused as well.
    files.push(("added_tokens.json".into(), br#"{"<x>":49}"#.to_vec()));
    let error = open(files);
    assert!(error.contains("below the model's 49") && error.contains("<x>"), "{error}");
}

#[test]
fn a_text_is_in_the_language_that_a_request_says() {
    let mut files = model_files(&folder("mbart"));
    // As mBART-50 has it: `en_XX text </s>`.
    respell(&mut files, "<s>", "en_XX");
    respell(&mut files, "w9", "de_DE");
    let engine = open(files);
    let description = serde_json::to_value(engine.describe()).unwrap();
    let own = serde_json::json!({ "id": 0, "code": "en_XX" });
    assert_eq!(description["tasks"][0]["source_language"], own);
    let ask = |source_language, ids| {
        let text = Option::is_none(&ids).then(|| "w5 w7".to_string());
        let watch = Watch { what: vec![Watchable::Logits], ..Watch::default() };
        let request = Request { text, ids, source_language, watch, ..Request::default() };
        let trace = block_on(Session::new().forward(&engine, &request))?;
        let read = trace.tokens.iter().map(|token| token.id).collect::<Vec<u32>>();
        let logits = trace.forward.unwrap().logits.expect("watched logits");
        Ok::<_, unmasked::error::Error>((read, logits))
    };
    let (plain, logits) = ask(None, None).unwrap();
    assert_eq!(plain, [0, 5, 7, 2]);
    assert_eq!(ask(Some(0), None).unwrap().1, logits, "its own language, said aloud");
    let (german, other) = ask(Some(9), None).unwrap();
    assert_eq!(german, [9, 5, 7, 2]);
    assert_ne!(other, logits);
    // The engine reads what these very ids say, which no language changes.
    assert_eq!(ask(None, Some(german.clone())).unwrap().1, other);
    assert_eq!(ask(Some(0), Some(german.clone())).unwrap(), (german, other));
    let error = ask(Some(5), None).unwrap_err().to_string();
    assert!(error.contains("source language") && error.contains("one of its 2 tokens"), "{error}");

    let engine = open(model_files(&folder("t5")));
    let description = serde_json::to_value(engine.describe()).unwrap();
    assert!(description["tasks"][0].get("source_language").is_none());
    let text = Some("w5".into());
    let request = Request { text, source_language: Some(1), ..Request::default() };
    let error = block_on(Session::new().forward(&engine, &request)).unwrap_err().to_string();
    assert!(error.contains("a model whose source names its language"), "{error}");
}

#[test]
fn a_model_of_many_languages_answers_in_the_one_asked_for() {
    let mut files = model_files(&folder("mbart"));
    respell(&mut files, "w9", "de_DE");
    respell(&mut files, "w8", "fr_XX");
    let engine = open(files);
    let description = serde_json::to_value(engine.describe()).unwrap();
    let codes: Vec<&str> = description["tasks"][0]["languages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|language| language["code"].as_str().unwrap())
        .collect();
    assert_eq!(codes, ["de_DE", "fr_XX"]);
    assert_eq!(tasks(&description)[0], "translate: untold", "its start names no language");
    let german = engine.spec.template.languages[0].0;
    let asked = |language, target_ids: Vec<u32>| {
        let request = Request {
            text: Some("w5 w7".into()),
            language,
            target_ids,
            max_new_tokens: Some(3),
            ..Request::default()
        };
        let trace = block_on(Session::new().begin(&engine, &request))?;
        let target = trace.target.unwrap();
        Ok::<Vec<u32>, unmasked::error::Error>(target.iter().map(|token| token.id).collect())
    };
    let start = engine.spec.template.start.clone();
    assert_eq!(asked(None, Vec::new()).unwrap(), start);
    let told = [start.as_slice(), &[german]].concat();
    assert_eq!(asked(Some(german), Vec::new()).unwrap(), told);
    let gone_on = [told.as_slice(), &[11]].concat();
    assert_eq!(asked(Some(german), gone_on.clone()).unwrap(), gone_on, "the start stands once");
    let error = asked(Some(3), Vec::new()).unwrap_err().to_string();
    assert!(error.contains("language") && error.contains("2 tokens"), "{error}");

    let mut files = model_files(&folder("marian"));
    respell(&mut files, "w9", ">>fra<<");
    let engine = open(files);
    let french = engine.spec.template.languages[0].clone();
    assert_eq!(french.1, "fra");
    let ask = |language| {
        let text = Some("w5 w7".into());
        let request = Request { text, language, ..Request::default() };
        let trace = block_on(Session::new().forward(&engine, &request)).unwrap();
        let ids: Vec<u32> = trace.tokens.iter().map(|token| token.id).collect();
        (ids, trace.source_length)
    };
    let (plain, length) = ask(None);
    assert_eq!(ask(Some(french.0)), ([&[french.0], plain.as_slice()].concat(), length + 1));

    let engine = open(model_files(&folder("gpt2")));
    let request = Request { text: Some("w5".into()), language: Some(1), ..Request::default() };
    let error = block_on(Session::new().forward(&engine, &request)).unwrap_err().to_string();
    assert!(error.contains("a model with tokens of languages"), "{error}");
}
