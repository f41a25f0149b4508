//! Tokenizers of checkpoints from before `tokenizer.json`.

use serde::Deserialize;
use unmasked::spec::{Architecture, Positions, Spec, Stack};
use unmasked::tokenizer::Tokenizer;
use unmasked::trace::Token;

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
    /// The pieces as they are shown.
    pieces: Option<Vec<String>>,
}

fn older_files(name: &str) -> (Files, TokenizerGolden) {
    let folder = root().parent().unwrap().join("tokenizers").join(name);
    let all = files(&folder);
    let golden = all.iter().find(|(name, _)| name == "golden.json").unwrap();
    let golden = serde_json::from_slice(&golden.1).unwrap();
    (all, golden)
}

fn plain(family: &str) -> Spec {
    Spec {
        vocabulary: 1000,
        segments: 2,
        max_positions: 64,
        encoder: Stack::plain(1, 1, 4, 4),
        ..Spec::plain(family, Architecture::Encoder, 4)
    }
}

fn shown(token: &Token) -> String {
    format!("{}{}", if token.space { " " } else { "" }, token.piece)
}

fn older(name: &str) -> (Tokenizer, Spec, TokenizerGolden) {
    let (files, golden) = older_files(name);
    let find =
        |name: &str| files.iter().find(|(have, _)| have == name).map(|(_, bytes)| bytes.as_slice());
    let mut spec = plain("older");
    let mut tokenizer = Tokenizer::of_folder(&find, spec.vocabulary, spec.special).unwrap();
    tokenizer.complete(&mut spec).unwrap();
    (tokenizer, spec, golden)
}

/// `tokenizer.json` as well-known families lay it out, and what came before it.
const FOLDERS: [&str; 26] = [
    "layout-digits",
    "layout-ignore-merges",
    "layout-prepend",
    "layout-split",
    "word-pieces-added",
    "byte-pairs-added",
    "qwen2",
    "mbart",
    "mbart-50",
    "xlm-roberta",
    "camembert",
    "glm",
    "glm-chinese",
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
    for name in FOLDERS {
        cases.push(support::cpu_case(format!("tokenizers::{name}::ids"), move |_| {
            let (tokenizer, spec, golden) = older(name);
            for case in golden.cases {
                let pair = case.pair.as_deref();
                let input = tokenizer.input(&spec.template, &case.text, pair, 1000).unwrap();
                let ids: Vec<u32> = input.tokens.iter().map(|token| token.id).collect();
                assert_eq!(ids, case.ids, "{}", case.text);
                if let Some(pieces) = case.pieces {
                    let all = input.tokens.iter().map(shown).collect::<Vec<String>>();
                    assert_eq!(all, pieces, "{}", case.text);
                }
                // Where nothing was unknown: that is a sign of the reference's own in a text.
                let decoded = case.decoded.filter(|decoded| !decoded.contains('⁇'));
                if let Some(decoded) = decoded {
                    assert_eq!(tokenizer.decode(&ids).unwrap(), decoded, "{}", case.text);
                }
            }
            if let Some(Answer { ids, decoded }) = golden.answer {
                assert_eq!(tokenizer.decode(&ids).unwrap(), decoded);
                let pieces = ids.iter().map(|id| tokenizer.token(*id));
                let pieces = pieces.filter(|token| !token.special).map(|token| shown(&token));
                assert_eq!(pieces.collect::<String>().trim_start(), decoded);
            }
        }));
    }
    let read = |name: &'static str, text: &'static str| -> String {
        let (tokenizer, _, _) = older(name);
        let tokens = tokenizer.encode(text).unwrap();
        tokens.iter().map(shown).collect()
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
            let tokens = tokenizer.encode("🎭").unwrap();
            let expected = format!("{before}<0xF0><0x9F><0x8E><0xAD>");
            assert_eq!(tokens.iter().map(shown).collect::<String>(), expected, "{name}");
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
    cases.push(support::cpu_case("tokenizers::pieces_that_join_in_every_way", |_| {
        // All runs of one letter: each may be cut anywhere.
        let field = |tag: u8, bytes: &[u8]| [&[tag, bytes.len() as u8][..], bytes].concat();
        let piece = |length: usize| field(0x0a, &field(0x0a, "a".repeat(length).as_bytes()));
        let of_pairs = field(0x12, &[0x18, 2]);
        let open = |longest: usize| {
            let pieces: Vec<u8> = (1..=longest).flat_map(piece).collect();
            let model = [pieces, of_pairs.clone()].concat();
            let find = |have: &str| (have == "tokenizer.model").then_some(model.as_slice());
            Tokenizer::of_folder(&find, 1000, Default::default())
        };
        let tokenizer = open(30).unwrap();
        assert_eq!(tokenizer.decode(&[4]).unwrap().trim(), "aaaaa");
        let text = open(120).expect_err("too many").to_string();
        assert!(text.contains("at most 16 ways to join") && text.contains("its 120"), "{text}");
    }));
    cases.push(support::cpu_case("tokenizers::hostile_added_tokens", |_| {
        let decoder = |inner: &str| format!(r#"{{"added_tokens_decoder":{inner}}}"#);
        let long = format!(r#"{{"{}":5}}"#, "a".repeat((1 << 20) + 1));
        let files: [(&str, String, &str); 16] = [
            ("added_tokens.json", "[]".into(), "an object of tokens"),
            ("added_tokens.json", "{".into(), "JSON"),
            ("added_tokens.json", r#"{"x":1000}"#.into(), "below the model's 1000"),
            ("added_tokens.json", r#"{"x":18446744073709551615}"#.into(), "below the model's 1000"),
            ("added_tokens.json", r#"{"x":-1}"#.into(), "numbers of added tokens"),
            ("added_tokens.json", r#"{"x":1.5}"#.into(), "numbers of added tokens"),
            ("added_tokens.json", r#"{"x":1}"#.into(), "a free number: it is `b` there"),
            ("added_tokens.json", r#"{"x":5,"y":5}"#.into(), "each number once"),
            ("added_tokens.json", r#"{"b":5}"#.into(), "its number in the vocabulary"),
            ("added_tokens.json", r#"{"":5}"#.into(), "tokens that have a text"),
            ("added_tokens.json", long, "at most 1048576 bytes"),
            ("special_tokens_map.json", r#"{"mask_token":7}"#.into(), "tokens that have a text"),
            ("tokenizer_config.json", decoder("[]"), "an object of tokens"),
            ("tokenizer_config.json", decoder(r#"{"x":{"content":"x"}}"#), "numbers of added"),
            ("tokenizer_config.json", decoder(r#"{"5":{"content":1}}"#), "tokens that have a text"),
            ("tokenizer_config.json", decoder(r#"{"5":"x","05":"y"}"#), "once"),
        ];
        let open = |name: &str, content: &str, vocabulary: usize| {
            let find = |have: &str| match have {
                "vocab.json" => Some(&br#"{"a":0,"b":1,"ab":2}"#[..]),
                "merges.txt" => Some(&b"a b"[..]),
                have => (have == name).then_some(content.as_bytes()),
            };
            Tokenizer::of_folder(&find, vocabulary, Default::default())
        };
        for (name, content, expected) in files {
            let text = open(name, &content, 1000).expect_err(expected).to_string();
            let fits = text.contains(expected) && text.contains(name) && text.len() < 300;
            assert!(fits || expected.contains("bytes"), "{name}: {text}");
        }
        // A hole stays one, and a name without a number stands behind the last where there is room.
        let name = "added_tokens.json";
        let ids = |tokenizer: Tokenizer, text: &str| {
            tokenizer.encode(text).unwrap().iter().map(|token| token.id).collect::<Vec<u32>>()
        };
        assert_eq!(ids(open(name, r#"{"x":9,"y":5}"#, 1000).unwrap(), "abxay"), [2, 9, 0, 5]);
        let map = "special_tokens_map.json";
        assert_eq!(ids(open(map, r#"{"pad_token":"x"}"#, 1000).unwrap(), "abx"), [2, 3]);
        assert_eq!(ids(open(map, r#"{"pad_token":"x"}"#, 3).unwrap(), "abx"), [2]);
    }));
    cases.push(support::cpu_case("tokenizers::classes_that_cut_otherwise", |_| {
        let files = |class: &'static str, own: &'static str| {
            let class = format!(r#"{{"tokenizer_class":"{class}"}}"#);
            move |have: &str| -> Option<Vec<u8>> {
                match have {
                    "tokenizer_config.json" => Some(class.clone().into_bytes()),
                    "vocab.json" if own == have => Some(br#"{"a":0}"#.to_vec()),
                    "merges.txt" if own == "vocab.json" => Some(vec![]),
                    "vocab.txt" if own == have => Some(b"[UNK]\na".to_vec()),
                    _ => None,
                }
            }
        };
        let open = |class: &'static str, own: &'static str| {
            let files = files(class, own);
            let names = ["tokenizer_config.json", "vocab.json", "merges.txt", "vocab.txt"];
            let all: Vec<(&str, Vec<u8>)> =
                names.iter().filter_map(|name| Some((*name, files(name)?))).collect();
            let find = |have: &str| {
                all.iter().find(|(name, _)| *name == have).map(|(_, bytes)| bytes.as_slice())
            };
            Tokenizer::of_folder(&find, 1000, Default::default())
        };
        for class in
            ["GPT2Tokenizer", "GPT2TokenizerFast", "RobertaTokenizer", "Qwen2TokenizerFast"]
        {
            open(class, "vocab.json").unwrap();
        }
        for class in
            ["CLIPTokenizer", "WhisperTokenizer", "GPTNeoXTokenizer", "PreTrainedTokenizerFast"]
        {
            let text = open(class, "vocab.json").expect_err(class).to_string();
            assert!(text.contains(class.trim_end_matches("Fast")), "{text}");
        }
        open("BertTokenizer", "vocab.txt").unwrap();
        let text = open("BertJapaneseTokenizer", "vocab.txt").expect_err("Japanese").to_string();
        assert!(text.contains("BertJapaneseTokenizer") && text.contains("like BERT"), "{text}");
    }));
    cases.push(support::cpu_case("tokenizers::blanks_of_glm", |_| {
        for name in ["glm", "glm-chinese"] {
            let (files, _) = older_files(name);
            let find = |name: &str| {
                files.iter().find(|(have, _)| have == name).map(|(_, bytes)| bytes.as_slice())
            };
            let mut decoder = Stack::plain(1, 1, 4, 4);
            decoder.positions = Positions::Learned { offset: 0, streams: 2 };
            let mut spec = Spec {
                vocabulary: 1000,
                max_positions: 64,
                decoder,
                ..Spec::plain("glm", Architecture::Prefix, 4)
            };
            let mut tokenizer = Tokenizer::of_folder(&find, 1000, Default::default()).unwrap();
            tokenizer.complete(&mut spec).unwrap();
            let template = &spec.template;
            let spelled = |ids: &[u32]| {
                ids.iter().map(|id| tokenizer.token(*id).piece).collect::<Vec<String>>().join(" ")
            };
            assert_eq!(spelled(&template.blanks), "[MASK] [sMASK] [gMASK]", "{name}");
            assert_eq!(spelled(&template.start), "<|startofpiece|>", "{name}");
            assert_eq!(spelled(&template.ends), "<|endofpiece|>", "{name}");
            let input = tokenizer.input(template, "a [gMASK]", None, 64).unwrap();
            let pieces = input.tokens.iter().map(|token| token.piece.as_str());
            let shown = pieces.collect::<String>();
            assert!(
                shown.starts_with("[CLS]") && shown.ends_with("[gMASK]<|endoftext|>"),
                "{shown}"
            );
            assert!(input.tokens.iter().filter(|token| token.special).count() == 3, "{name}");
        }
    }));
    cases.push(support::cpu_case("tokenizers::fairseq_by_class_and_model", |_| {
        let (files, _) = older_files("mbart");
        let open = |config: &str, settings: &str| {
            let find = |have: &str| match have {
                "config.json" => Some(config.as_bytes()),
                "tokenizer_config.json" => Some(settings.as_bytes()),
                have => {
                    files.iter().find(|(name, _)| name == have).map(|(_, bytes)| bytes.as_slice())
                }
            };
            Tokenizer::of_folder(&find, 1000, Default::default())
        };
        let last = |tokenizer: Tokenizer| {
            let tokens = tokenizer.encode("sl_SI ro_RO <mask>").unwrap();
            tokens.last().unwrap().id
        };
        // Its 110 pieces and one more, then 25 languages or 52 or none, then the mask.
        assert_eq!(last(open(r#"{"model_type":"mbart"}"#, "{}").unwrap()), 136);
        let fifty = r#"{"model_type":"mbart","tokenizer_class":"MBart50Tokenizer"}"#;
        assert_eq!(last(open(fifty, "{}").unwrap()), 163);
        assert_eq!(last(open(r#"{"model_type":"xlm-roberta"}"#, "{}").unwrap()), 111);
        assert_eq!(last(open(r#"{"model_type":"camembert"}"#, "{}").unwrap()), 114);
        for (config, settings, expected) in [
            ("{}", "{}", "MBartTokenizer"),
            ("{}", r#"{"tokenizer_class":"NllbTokenizer"}"#, "NllbTokenizer"),
            (r#"{"model_type":"mbart"}"#, r#"{"src_lang":"tlh"}"#, "`tlh`"),
        ] {
            let text = open(config, settings).expect_err(expected).to_string();
            assert!(text.contains(expected), "{text}");
        }
        let mut spec = plain("mbart");
        let mut chosen = open(fifty, r#"{"src_lang":"ro_RO"}"#).unwrap();
        chosen.complete(&mut spec).unwrap();
        let input = chosen.input(&spec.template, "a", None, 100).unwrap();
        assert_eq!(input.tokens[0].piece, "ro_RO");
    }));
    cases.push(support::cpu_case("tokenizers::hostile_sentence_pieces", |_| {
        // A file of one piece, and what follows its text in it.
        let one = |rest: &[u8]| [&[0x0a, 3 + rest.len() as u8, 0x0a, 1, b'a'], rest].concat();
        let pairs = b"\x12\x02\x18\x02";
        let long = [b"\x0a\x84\x10\x0a\x81\x10".as_slice(), &[b'a'; 2049], pairs].concat();
        let files: [(&str, Vec<u8>, &str); 11] = [
            ("sentencepiece.bpe.model", b"\x0a\x05ab".to_vec(), "a SentencePiece model"),
            ("sentencepiece.bpe.model", one(b""), "`<unk>`, `<s>` and `</s>`"),
            ("cog-pretrain.model", b"\x0a\x05ab".to_vec(), "a SentencePiece model"),
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
