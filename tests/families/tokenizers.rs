//! Tokenizers of checkpoints from before `tokenizer.json`.

use serde::Deserialize;
use unmasked::spec::{Architecture, Spec, Stack};
use unmasked::tokenizer::Tokenizer;

use super::machines::files;
use super::support::{self, Case};
use super::{Files, root};

#[derive(Deserialize)]
struct TokenizerGolden {
    cases: Vec<TokenizerCase>,
    /// An answer in pieces that its source's model does not have (Marian).
    answer: Option<Answer>,
}

#[derive(Deserialize)]
struct Answer {
    ids: Vec<u32>,
    decoded: String,
}

#[derive(Deserialize)]
struct TokenizerCase {
    text: String,
    pair: Option<String>,
    ids: Vec<u32>,
    decoded: Option<String>,
}

fn older_files(name: &str) -> (Files, TokenizerGolden) {
    let folder = root().parent().unwrap().join("tokenizers").join(name);
    let all = files(&folder);
    let golden = all.iter().find(|(name, _)| name == "golden.json").unwrap();
    let golden = serde_json::from_slice(&golden.1).unwrap();
    (all, golden)
}

fn older(name: &str) -> (Tokenizer, Spec, TokenizerGolden) {
    let (files, golden) = older_files(name);
    let find =
        |name: &str| files.iter().find(|(have, _)| have == name).map(|(_, bytes)| bytes.as_slice());
    let mut spec = Spec {
        vocabulary: 1000,
        segments: 2,
        max_positions: 64,
        encoder: Stack::plain(1, 1, 4, 4),
        ..Spec::plain("older", Architecture::Encoder, 4)
    };
    let mut tokenizer = Tokenizer::of_folder(&find, spec.vocabulary, spec.special).unwrap();
    tokenizer.complete(&mut spec).unwrap();
    (tokenizer, spec, golden)
}

const OLDER: [&str; 13] = [
    "word-pieces",
    "word-pieces-cased",
    "byte-pairs",
    "byte-pairs-around",
    "sentence-pieces",
    "sentence-pairs",
    "sentence-pairs-bare",
    "sentence-pairs-squeezed",
    "sentence-pairs-symbols",
    "chatglm",
    "chatglm-images",
    "chatglm2",
    "marian",
];

pub fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for name in OLDER {
        cases.push(support::cpu_case(format!("tokenizers::{name}::ids"), move |_| {
            let (tokenizer, spec, golden) = older(name);
            for case in golden.cases {
                let pair = case.pair.as_deref();
                let input = tokenizer.input(&spec.template, &case.text, pair, 1000).unwrap();
                let ids: Vec<u32> = input.tokens.iter().map(|token| token.id).collect();
                assert_eq!(ids, case.ids, "{}", case.text);
                // Where nothing was unknown: that is a sign of the reference's own in a text.
                let decoded = case.decoded.filter(|decoded| !decoded.contains('⁇'));
                if let Some(decoded) = decoded {
                    assert_eq!(tokenizer.decode(&ids).unwrap(), decoded, "{}", case.text);
                }
            }
            if let Some(Answer { ids, decoded }) = golden.answer {
                assert_eq!(tokenizer.decode(&ids).unwrap(), decoded);
                let pieces = ids.iter().map(|id| tokenizer.token(*id));
                let shown = pieces
                    .filter(|token| !token.special)
                    .map(|token| format!("{}{}", if token.space { " " } else { "" }, token.piece));
                assert_eq!(shown.collect::<String>().trim_start(), decoded);
            }
        }));
    }
    let read = |name: &'static str, text: &'static str| -> String {
        let (tokenizer, _, _) = older(name);
        let tokens = tokenizer.encode(text).unwrap();
        let show =
            |t: &unmasked::trace::Token| format!("{}{}", if t.space { " " } else { "" }, t.piece);
        tokens.iter().map(show).collect()
    };
    cases.push(support::cpu_case("tokenizers::pieces_read_as_the_text", move |_| {
        for name in ["word-pieces-cased", "byte-pairs", "sentence-pieces", "sentence-pairs"] {
            let text = "The mask hides a word, isn't it? unmasking";
            assert_eq!(read(name, text).trim_start(), text, "{name}");
        }
    }));
    cases.push(support::cpu_case("tokenizers::bytes_of_a_split_character", |_| {
        for (name, before) in [("byte-pairs", ""), ("sentence-pairs", " ")] {
            let (tokenizer, _, _) = older(name);
            let shown = tokenizer
                .encode("🎭")
                .unwrap()
                .into_iter()
                .map(|token| format!("{}{}", if token.space { " " } else { "" }, token.piece));
            let expected = format!("{before}<0xF0><0x9F><0x8E><0xAD>");
            assert_eq!(shown.collect::<String>(), expected, "{name}");
        }
    }));
    cases.push(support::cpu_case("tokenizers::attached_pieces_have_no_space", |_| {
        let (tokenizer, _, _) = older("word-pieces");
        let tokens = tokenizer.encode("the unmasked mask").unwrap();
        assert!(!tokens[0].space && tokens.iter().any(|token| token.space));
        let attached = tokens.iter().find(|token| !token.space && token.id != tokens[0].id);
        let attached = attached.expect("`unmasked` is several pieces");
        assert!(!attached.piece.starts_with("##") && !tokenizer.token(attached.id).space);
    }));
    cases.push(support::cpu_case("tokenizers::broken_files", |_| {
        let files: [(&str, &[u8]); 7] = [
            ("vocab.txt", b"\xff\xfe"),
            ("vocab.txt", b""),
            ("vocab.json", b"[]"),
            ("spiece.model", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
            ("spiece.model", b"\x0a\x05ab"),
            ("spiece.model", b""),
            ("tokenizer.json", b"{\"model\":{}}"),
        ];
        for (name, content) in files {
            let find = |have: &str| match have {
                "merges.txt" => Some(&b"a b"[..]),
                have => (have == name).then_some(content),
            };
            let opened = Tokenizer::of_folder(&find, 1000, Default::default());
            // An empty vocabulary is no crash either; a model without a word says so when it reads.
            if let Ok(tokenizer) = opened {
                assert!(
                    tokenizer.encode("word").map_or(true, |tokens| tokens.is_empty()),
                    "{name}"
                );
            }
        }
    }));
    cases.push(support::cpu_case("tokenizers::hostile_sentence_pieces", |_| {
        // A file of one piece, and what follows its text in it.
        let one = |rest: &[u8]| [&[0x0a, 3 + rest.len() as u8, 0x0a, 1, b'a'], rest].concat();
        let pairs = b"\x12\x02\x18\x02";
        let long = [b"\x0a\x84\x10\x0a\x81\x10".as_slice(), &[b'a'; 2049], pairs].concat();
        let files: [(&str, Vec<u8>, &str); 8] = [
            ("tokenizer.model", b"\x0a\x05ab".to_vec(), "a SentencePiece model"),
            ("tokenizer.model", one(b"\x15\x00\x00\xc0\x7f"), "scores that are numbers"),
            ("tokenizer.model", one(b"\x18\x05"), "all in use"),
            ("tokenizer.model", one(b"\x18\x63"), "all in use"),
            ("tokenizer.model", b"\x12\x02\x18\x03".to_vec(), "kind 3"),
            ("tokenizer.model", long, "at most 256 bytes"),
            ("ice_text.model", one(b""), "`[gMASK]`"),
            ("source.spm", one(b""), "`<unk>`"),
        ];
        for (name, content, expected) in files {
            let find = |have: &str| match have {
                "vocab.json" => Some(&br#"{"a":0}"#[..]),
                have => (have == name).then_some(content.as_slice()),
            };
            let refused = Tokenizer::of_folder(&find, 1000, Default::default());
            let text = refused.expect_err(expected).to_string();
            assert!(text.contains(expected) && text.len() < 300, "{name}: {text}");
        }
        for list in ["[]", r#"{"<unk>":1}"#, r#"{"<unk>":0,"a":0}"#, r#"{"<unk>":-1}"#] {
            let content = one(b"");
            let find = |have: &str| match have {
                "vocab.json" => Some(list.as_bytes()),
                have => (have == "source.spm").then_some(content.as_slice()),
            };
            let text = Tokenizer::of_folder(&find, 1000, Default::default()).expect_err(list);
            assert!(text.to_string().contains("vocab.json"), "{text}");
        }
    }));
    cases
}
