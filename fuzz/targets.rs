//! What is fuzzed: one plain function a kind of input. None of them may panic, hang or take memory
//! without bound, whatever the bytes; what they accept must be usable.
//!
//! `tests/fuzz.rs` runs them on stable Rust over mutations of the corpus; the binaries in
//! `fuzz_targets/` hand them to cargo-fuzz.

use unmasked::family::{self, generation};
use unmasked::graph::{Source, WeightInfo};
use unmasked::mask::{MaskFile, Rule};
use unmasked::model::Transformer;
use unmasked::request::{Request, resolve};
use unmasked::spec::{Architecture, Head, Slot, Spec, SpecialTokens, Stack, Template};
use unmasked::tokenizer::Tokenizer;
use unmasked::weights::{Checkpoint, ReadAt, Stored};

/// A target and where its corpus lies.
pub struct Target {
    /// Its name, and that of its folder in `corpus/`.
    pub name: &'static str,
    /// What it does with some bytes.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "weights", run: weights },
    Target { name: "torch", run: torch },
    Target { name: "config", run: config },
    Target { name: "tokenizer", run: tokenizer },
    Target { name: "older_tokenizer", run: older_tokenizer },
    Target { name: "mask", run: mask },
    Target { name: "request", run: request },
];

/// `model.safetensors`: what opens can be read, tensor by tensor, and has finite numbers.
pub fn weights(bytes: &[u8]) {
    checkpoint("model.safetensors", bytes);
}

/// `pytorch_model.bin`: the same.
pub fn torch(bytes: &[u8]) {
    checkpoint("pytorch_model.bin", bytes);
}

fn checkpoint(name: &str, bytes: &[u8]) {
    let files: Vec<(String, Box<dyn ReadAt>)> = vec![(name.into(), Box::new(bytes.to_vec()))];
    let Ok(mut checkpoint) = pollster::block_on(Checkpoint::open(files)) else { return };
    let names: Vec<String> = checkpoint.names().map(str::to_owned).collect();
    for name in names {
        let Some(shape) = checkpoint.shape(&name) else { continue };
        let (out, inner) = match *shape {
            [inner] => (1, inner),
            [out, inner] => (out, inner),
            _ => (1, 1),
        };
        let info = |source| WeightInfo { name: name.clone(), out, inner, source };
        let once = info(Source::Stored(vec![name.clone()]));
        let twice = info(Source::Stored(vec![name.clone(), name.clone()]));
        for (info, turned) in [(&once, false), (&once, true), (&twice, false)] {
            let plain = Stored::plain(&name);
            let stored = if turned { plain.transposed() } else { plain };
            let Ok(found) = checkpoint.find(info, &|_| stored.clone()) else { continue };
            for rows in found.parts() {
                let _ = pollster::block_on(checkpoint.read(&found, rows));
            }
        }
    }
}

/// `config.json`: what is recognised can be built, with the heads of its class and with all. The same bytes
/// as a `generation_config.json`: what it says can be.
pub fn config(bytes: &[u8]) {
    let mut told = small(Architecture::EncoderDecoder);
    if generation::apply(bytes, &mut told).is_ok() {
        assert!(told.check().is_ok(), "an id beyond the vocabulary");
    }
    let Ok((spec, family)) = family::recognise(bytes) else { return };
    let Ok(transformer) = Transformer::new(&spec) else { return };
    assert!(transformer.parameters() > 0);
    let _ = (transformer.ledger(), spec.cost(spec.max_positions.min(64)));
    for info in transformer.graphs().flat_map(|graph| graph.weights()) {
        if let Source::Stored(names) = &info.source {
            for name in names {
                let _ = (family.stored)(&spec, name, &|_| false);
                let _ = (family.stored)(&spec, name, &|_| true);
            }
        }
    }
    if let Some(heads) = family.heads {
        let mut all = spec.clone();
        heads(&mut all, &|_| true);
        assert!(Transformer::new(&all).is_ok(), "heads that cannot be built");
    }
}

const TEXTS: [&str; 5] =
    ["The cat.", "Où est-il\u{a0}?", "你好，世界", "👩\u{200d}🔬 \u{202e}x", " \n\t"];

/// `tokenizer.json`: what opens reads texts, shows every id, and turns ids back into text.
pub fn tokenizer(bytes: &[u8]) {
    const VOCABULARY: usize = 4_096;
    let Ok(mut tokenizer) = Tokenizer::open(bytes, VOCABULARY, SpecialTokens::default()) else {
        return;
    };
    use_tokenizer(&mut tokenizer, VOCABULARY);
}

/// The files that came before `tokenizer.json`: the first byte says which, and what lies beside it; the rest is
/// its content.
pub fn older_tokenizer(bytes: &[u8]) {
    const VOCABULARY: usize = 4_096;
    let Some((which, content)) = bytes.split_first() else { return };
    const NAMES: [&str; 12] = [
        "vocab.txt",
        "vocab.json",
        "merges.txt",
        "spiece.model",
        "tokenizer_config.json",
        "tokenizer.model",
        "ice_text.model",
        "source.spm",
        "added_tokens.json",
        "special_tokens_map.json",
        "sentencepiece.bpe.model",
        "cog-pretrain.model",
    ];
    const ADDED: [&str; 2] = ["added_tokens.json", "special_tokens_map.json"];
    const BESIDE: [(&[u8], &[u8]); 3] = [
        (br#"{"a":0,"b":1,"ab":2}"#, b"a b"),
        (br#"{"aa":0,"bb":1}"#, b"aa bb"),
        ("{\"a\":0,\"é\":1,\"aé\":2}".as_bytes(), "a é\naé a".as_bytes()),
    ];
    let name = NAMES[*which as usize % NAMES.len()];
    let (vocab, merges) = BESIDE[*which as usize / NAMES.len() % BESIDE.len()];
    let files = |have: &str| match have {
        have if have == name => Some(content),
        "vocab.json" if name == "source.spm" => Some(&br#"{"</s>":1,"a":2,"<unk>":0}"#[..]),
        "vocab.json" if name == "merges.txt" || ADDED.contains(&name) => Some(vocab),
        "merges.txt" if name == "vocab.json" || ADDED.contains(&name) => Some(merges),
        "config.json" if name == "sentencepiece.bpe.model" => {
            Some(&br#"{"model_type":"mbart"}"#[..])
        }
        "vocab.txt" if name == "tokenizer_config.json" => Some(&b"[UNK]\n[CLS]\n[SEP]\na\n##b"[..]),
        _ => None,
    };
    let Ok(mut tokenizer) = Tokenizer::of_folder(&files, VOCABULARY, SpecialTokens::default())
    else {
        return;
    };
    use_tokenizer(&mut tokenizer, VOCABULARY);
}

fn use_tokenizer(tokenizer: &mut Tokenizer, vocabulary: usize) {
    let mut spec = small(Architecture::Encoder);
    spec.vocabulary = vocabulary;
    spec.template = Template::default();
    let complete = tokenizer.complete(&mut spec).is_ok();
    for text in TEXTS {
        let Ok(tokens) = tokenizer.encode(text) else { continue };
        let ids: Vec<u32> = tokens.iter().map(|token| token.id).collect();
        assert!(ids.iter().all(|id| (*id as usize) < vocabulary), "an id beyond the vocabulary");
        let _ = tokenizer.decode(&ids);
        if complete {
            let _ = tokenizer.input(&spec.template, text, None, 16);
        }
    }
    for id in [0, 1, 2, 100, vocabulary as u32, u32::MAX] {
        let _ = tokenizer.token(id);
        let _ = tokenizer.decode(&[id]);
    }
}

/// A mask file, or a rule: what is read can be drawn, and the bits are the picture.
pub fn mask(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut masks = Vec::new();
    if let Ok(rule) = text.parse::<Rule>() {
        assert_eq!(rule.to_string().parse::<Rule>(), Ok(rule.clone()), "written and read again");
        masks.push(rule.into());
    }
    if let Ok(file) = serde_json::from_str::<MaskFile>(text) {
        for source in [file.encoder, file.decoder, file.cross].into_iter().flatten() {
            masks.extend(source.mask(&Rule::Causal));
        }
    }
    for mask in masks {
        let picture = mask.picture(0, 0, 0..9, 9);
        let bits = mask.bits(&(0..9).collect::<Vec<_>>(), 9, 2, 3);
        for (row, cells) in picture.iter().enumerate() {
            for (key, cell) in cells.bytes().enumerate() {
                assert_eq!(bits.visible(0, 0, 0, row, key), cell == b'1');
            }
        }
    }
}

/// A request: what is read is held against a model of every architecture.
pub fn request(bytes: &[u8]) {
    let Ok(request) = serde_json::from_slice::<Request>(bytes) else { return };
    let json = br#"{"version":"1.0","model":{"type":"WordLevel","vocab":{"a":0,"b":1,"c":2},"unk_token":"a"},"pre_tokenizer":{"type":"Whitespace"}}"#;
    let Ok(tokenizer) = Tokenizer::open(json, 40, SpecialTokens::default()) else {
        panic!("the tokenizer of the tests opens");
    };
    for architecture in [
        Architecture::Encoder,
        Architecture::Causal,
        Architecture::Prefix,
        Architecture::EncoderDecoder,
    ] {
        let spec = small(architecture);
        let Ok(resolved) = resolve(&spec, &tokenizer, &request) else { continue };
        let output = resolved.output();
        assert!(output.ids.len() <= spec.max_positions);
        assert!(output.ids.iter().all(|id| (*id as usize) < spec.vocabulary));
        assert!(resolved.source_length <= resolved.tokens.len());
        let rows: Vec<usize> = (0..output.ids.len()).collect();
        let _ = output.mask.bits(&rows, output.ids.len(), 2, 2);
    }
}

fn small(architecture: Architecture) -> Spec {
    let stack = |has: bool| if has { Stack::plain(2, 2, 4, 8) } else { Stack::absent() };
    let (encoder, decoder) = match architecture {
        Architecture::Encoder => (true, false),
        Architecture::EncoderDecoder => (true, true),
        _ => (false, true),
    };
    Spec {
        vocabulary: 40,
        max_positions: 24,
        encoder: stack(encoder),
        decoder: stack(decoder),
        head: Some(Head::plain(true)),
        special: SpecialTokens { bos: Some(1), mask: Some(2), ..SpecialTokens::default() },
        template: Template {
            source: vec![Slot::Source],
            start: if architecture == Architecture::EncoderDecoder { vec![1] } else { Vec::new() },
            ..Template::default()
        },
        ..Spec::plain("fuzz", architecture, 8)
    }
}
