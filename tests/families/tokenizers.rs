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
}

#[derive(Deserialize)]
struct TokenizerCase {
    text: String,
    pair: Option<String>,
    ids: Vec<u32>,
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

const OLDER: [&str; 5] =
    ["word-pieces", "word-pieces-cased", "byte-pairs", "byte-pairs-around", "sentence-pieces"];

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
        for name in ["word-pieces-cased", "byte-pairs", "sentence-pieces"] {
            let text = "The mask hides a word, isn't it? unmasking";
            assert_eq!(read(name, text).trim_start(), text, "{name}");
        }
    }));
    cases.push(support::cpu_case("tokenizers::bytes_of_a_split_character", |_| {
        let (tokenizer, _, _) = older("byte-pairs");
        let pieces: Vec<String> =
            tokenizer.encode("🎭").unwrap().into_iter().map(|token| token.piece).collect();
        assert_eq!(pieces, ["<0xF0>", "<0x9F>", "<0x8E>", "<0xAD>"]);
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
    cases
}
