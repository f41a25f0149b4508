//! What `torch.save` wrote (`golden/torch_make.py`): the same numbers as safetensors beside it, bit by bit; and files
//! that are broken or hostile, each of which ends in one clear message.

use std::fs;
use std::path::PathBuf;

use serde::Deserialize;
use unmasked::device::Device;
use unmasked::engine::Engine;
use unmasked::weights::{Checkpoint, ReadAt};

use super::machines::{afresh, files, shared};
use super::support::{self, Case, case};
use super::{Files, golden, load, model_files, request, root};

fn folder() -> PathBuf {
    root().with_file_name("torch")
}

/// The files of a golden model with other weights, and the model's name.
fn with_torch(name: &str) -> (Files, String) {
    #[derive(Deserialize)]
    struct Golden {
        model: String,
        shared: usize,
    }
    let json = fs::read(folder().join(name).join("golden.json")).unwrap();
    let Golden { model, shared } = serde_json::from_slice(&json).unwrap();
    assert!(shared > 0 || name == "gpt2-shards", "tied weights share a storage");
    let mut all = model_files(&model);
    all.retain(|(file, _)| !file.contains("safetensors"));
    all.extend(files(&folder().join(name)).into_iter().filter(|(file, _)| file != "golden.json"));
    (all, model)
}

fn equals_safetensors(name: &str) -> Case {
    let name = name.to_string();
    case(format!("torch::{name}::equals_safetensors"), move |device: &Device| {
        let (files, model) = with_torch(&name);
        let torch = pollster::block_on(Engine::load(files, shared(device))).unwrap();
        let safetensors = load(&model, device);
        assert_eq!(torch.stored.tied, safetensors.stored.tied);
        assert_eq!(torch.stored.formats[0], safetensors.stored.formats[0]);
        for case in golden(&model).cases {
            let [one, other] = [&torch, &safetensors].map(|engine| afresh(engine, &request(&case)));
            let [one, other] = [one, other].map(|trace| trace.forward.unwrap());
            assert!(one.logits.as_ref().is_some_and(|rows| !rows.is_empty()));
            assert_eq!(one.logits, other.logits);
        }
    })
}

// ---- files made by hand ---------------------------------------------------------------------

const DICT: &[u8] = b"\x80\x02}(";

fn text(text: &str) -> Vec<u8> {
    [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
}

fn number(number: i32) -> Vec<u8> {
    [b"J", &number.to_le_bytes()[..]].concat()
}

fn tuple(numbers: &[i32]) -> Vec<u8> {
    [b"(".to_vec(), numbers.iter().flat_map(|n| number(*n)).collect(), b"t".to_vec()].concat()
}

fn storage(class: &str, key: &str, count: i32) -> Vec<u8> {
    let class = format!("ctorch\n{class}\n");
    [b"(", &text("storage")[..], class.as_bytes(), &text(key), &text("cpu"), &number(count), b"tQ"]
        .concat()
}

fn tensor(storage: &[u8], offset: i32, shape: &[i32], strides: &[i32]) -> Vec<u8> {
    [
        b"ctorch._utils\n_rebuild_tensor_v2\n(",
        storage,
        &number(offset),
        &tuple(shape),
        &tuple(strides),
        b"\x89ccollections\nOrderedDict\n)RtR",
    ]
    .concat()
}

/// A dict of these names and values.
fn dict(pairs: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let pairs: Vec<u8> =
        pairs.iter().flat_map(|(name, value)| [text(name), value.clone()].concat()).collect();
    [DICT, &pairs, b"u."].concat()
}

/// A vector of two numbers in storage 0.
fn two() -> Vec<u8> {
    tensor(&storage("FloatStorage", "0", 2), 0, &[2], &[1])
}

/// How an archive lies; all false is as torch.save does it for small files.
#[derive(Clone, Copy, Default)]
struct Lies {
    compressed: bool,
    wide: bool,
    wide_length: u64,
    count: u64,
    start: u64,
    same_place: bool,
    comment: bool,
}

fn zip(entries: &[(&str, &[u8])], lies: Lies) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    let method = if lies.compressed { 8u16 } else { 0 };
    for (name, bytes) in entries {
        let start = if lies.same_place { 0 } else { file.len() as u64 };
        let start = start.wrapping_add(lies.start);
        let names = (name.len() as u16).to_le_bytes();
        file.extend(*b"PK\x03\x04\0\0\x08\x08");
        file.extend(method.to_le_bytes());
        file.extend([0; 16]);
        file.extend(names);
        file.extend([3, 0]);
        file.extend(name.as_bytes());
        file.extend([9; 3]);
        file.extend(*bytes);
        directory.extend(*b"PK\x01\x02\0\0\0\0\x08\x08");
        directory.extend(method.to_le_bytes());
        directory.extend([0; 8]);
        let length = bytes.len() as u64 + lies.wide_length;
        let narrow = |number: u64| (if lies.wide { u32::MAX } else { number as u32 }).to_le_bytes();
        directory.extend([narrow(length), narrow(length)].concat());
        directory.extend(names);
        directory.extend([if lies.wide { 36 } else { 0 }, 0]);
        directory.extend([0; 10]);
        directory.extend(narrow(start));
        directory.extend(name.as_bytes());
        if lies.wide {
            // Something that nobody knows stands before it.
            directory.extend([7, 7, 4, 0, 1, 2, 3, 4, 1, 0, 24, 0]);
            directory.extend([length, length, start].map(u64::to_le_bytes).concat());
        }
    }
    let (at, length) = (file.len() as u64, directory.len() as u64);
    let count = (entries.len() as u64).wrapping_add(lies.count);
    file.extend(directory);
    if lies.wide {
        let end = file.len() as u64;
        file.extend(*b"PK\x06\x06");
        file.extend(44u64.to_le_bytes());
        file.extend([0; 12]);
        file.extend([count, count, length, at].map(u64::to_le_bytes).concat());
        file.extend(*b"PK\x06\x07\0\0\0\0");
        file.extend(end.to_le_bytes());
        file.extend(1u32.to_le_bytes());
    }
    file.extend(*b"PK\x05\x06\0\0\0\0");
    file.extend([count as u16; 2].map(u16::to_le_bytes).concat());
    file.extend([length as u32, at as u32].map(u32::to_le_bytes).concat());
    file.extend(if lies.comment { &b"\x03\0abc"[..] } else { b"\0\0" });
    file
}

fn archive(pickle: &[u8]) -> Vec<u8> {
    zip(&[("a/data.pkl", pickle), ("a/data/0", &[0; 8])], Lies::default())
}

/// As before version 1.6: these tensors, these storages.
fn older(pickle: &[u8], keys: &[&str], storages: &[u8]) -> Vec<u8> {
    let begin = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.";
    let system = dict(&[("protocol_version", number(1001)), ("little_endian", b"\x88".to_vec())]);
    let keys: Vec<u8> = keys.iter().flat_map(|key| text(key)).collect();
    [begin, &system[..], pickle, b"\x80\x02](", &keys, b"e.", storages].concat()
}

fn open(bytes: Vec<u8>) -> unmasked::error::Result<Checkpoint> {
    let file: Box<dyn ReadAt> = Box::new(bytes);
    pollster::block_on(Checkpoint::open(vec![("pytorch_model.bin".into(), file)]))
}

/// What opening says: always an error of one line, never a panic.
fn refusal(bytes: Vec<u8>, words: &[&str]) {
    let text = match open(bytes) {
        Ok(_) => panic!("it must be refused with {words:?}"),
        Err(error) => error.to_string(),
    };
    assert!(!text.contains('\n') && text.len() < 600, "one line: {text}");
    for word in ["pytorch_model.bin"].iter().chain(words) {
        assert!(text.contains(word), "`{word}` is missing in: {text}");
    }
}

pub fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = fs::read_dir(folder())
        .expect("golden/torch")
        .map(|entry| equals_safetensors(&entry.unwrap().file_name().to_string_lossy()))
        .collect();
    let mut hostile = |name: &str, run: fn()| {
        cases.push(support::cpu_case(format!("torch::{name}"), move |_| run()));
    };
    hostile("what_is_made_by_hand_opens", || {
        for bytes in [
            archive(&dict(&[("x", two())])),
            zip(
                &[("a/data.pkl", &dict(&[("x", two())])), ("a/data/0", &[0; 8])],
                Lies { wide: true, ..Lies::default() },
            ),
            older(
                &dict(&[("x", two())]),
                &["0"],
                &[2, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8],
            ),
        ] {
            let checkpoint = open(bytes).unwrap();
            assert_eq!(checkpoint.shape("x"), Some(&[2][..]));
        }
    });
    hostile("safetensors_count_where_both_are_there", || {
        let mut both = model_files("gpt2");
        both.push(("pytorch_model.bin".into(), b"nothing".to_vec()));
        both.push(("pytorch_model.bin.index.json".into(), b"nothing".to_vec()));
        both.push(("training_args.bin".into(), b"nothing".to_vec()));
        let device = || std::rc::Rc::new(Device::cpu(unmasked::device::Cause::Asked, "asked for"));
        pollster::block_on(Engine::load(both.clone(), device())).unwrap();
        both.retain(|(name, _)| name != "model.safetensors");
        let error = pollster::block_on(Engine::load(both.clone(), device())).unwrap_err();
        assert!(error.to_string().contains("pytorch_model.bin.index.json"), "{error}");
        both.retain(|(name, _)| !name.starts_with("pytorch_model"));
        let error = pollster::block_on(Engine::load(both, device())).unwrap_err().to_string();
        assert!(error.contains("`model.safetensors` or `pytorch_model.bin`"), "{error}");
    });
    hostile("cut_off_anywhere", || {
        for name in ["zip", "older", "shapes", "parameters"] {
            let path = root().join("../../../fuzz/corpus/torch").join(name);
            let whole = fs::read(path).unwrap();
            assert!(open(whole.clone()).is_ok(), "{name}");
            for length in 0..whole.len() {
                refusal(whole[..length].to_vec(), &[]);
            }
            for more in [1, 22, 100] {
                refusal([&whole[..], &vec![0; more]].concat(), &[]);
            }
        }
        refusal(b"<!doctype html>".to_vec(), &["a file of torch.save", "15 bytes", "<!doctype"]);
        refusal(
            b"PK\x03\x04 and then nothing".to_vec(),
            &["no directory at its end", "download it again"],
        );
    });
    hostile("programs_are_named_and_not_run", || {
        for (module, name) in
            [("os", "system"), ("builtins", "eval"), ("torch", "load"), ("torch", "Size")]
        {
            let call = format!("c{module}\n{name}\n");
            let call = [call.as_bytes(), &text("rm"), b"\x85R"].concat();
            let words = [&format!("asks Python to run `{module}.{name}`")[..], "safetensors"];
            refusal(archive(&dict(&[("x", call.clone())])), &words);
            refusal(older(&dict(&[("x", call)]), &[], &[]), &words);
        }
        let hidden = "cos\u{202e}\nsystem\n".as_bytes().to_vec();
        refusal(archive(&dict(&[("x", hidden)])), &["os\\u{202e}.system"]);
        let long = format!("c{}\nx\n", "y".repeat(100_000)).into_bytes();
        refusal(archive(&dict(&[("x", long)])), &["yyyy"]);
        // What calls by other ways: instances, objects, states, extensions, names from the stack.
        for code in [
            &b"ios\nsystem\n"[..],
            b"o",
            b"\x81",
            b"\x82\x01",
            b"\x93",
            b"\x92",
            b"P0\n",
            b"S'a'\n",
            b"G01234567",
        ] {
            let opcode = format!("opcode {:#04x} at byte", code[0]);
            refusal(archive(&dict(&[("x", code.to_vec())])), &[&opcode, "state dict"]);
        }
        refusal(archive(b"\x80\x04}."), &["pickle protocol 2", "protocol 4"]);
    });
    hostile("pickles_of_other_things", || {
        for (pickle, words) in [
            (b"\x80\x02].".to_vec(), ["a dict of tensors", "a list"]),
            (dict(&[("state_dict", b"}".to_vec())]), ["`state_dict`", "a dict"]),
            (dict(&[("step", number(7))]), ["`step`", "a number"]),
            (dict(&[("x", storage("FloatStorage", "0", 2))]), ["`x`", "a storage"]),
            ([DICT, b"NNu."].concat(), ["names that are strings", "None"]),
            (
                dict(&[("x", two()), ("x", two())]),
                ["every tensor once", "two of one name, tensor `x`"],
            ),
            ([DICT, b"Nu."].concat(), ["keys and their values", "1 for a dict"]),
            (b"\x80\x02NNs.".to_vec(), ["a value on the stack", "none"]),
            (b"\x80\x02t.".to_vec(), ["a mark on the stack", "none"]),
            (b"\x80\x02(0.".to_vec(), ["opcode 0x30", "state dict"]),
            (b"\x80\x02.".to_vec(), ["a value on the stack", "none"]),
            (b"\x80\x02(N.".to_vec(), ["a dict of tensors", "None"]),
            (b"\x80\x02h\x05.".to_vec(), ["a value of the memo", "number 5"]),
            (b"\x80\x02Nr\xff\xff\xff\xff.".to_vec(), ["a memo in order", "4294967295"]),
            (b"\x80\x02\x8a\xff".to_vec(), ["at most 8 bytes", "255"]),
            (b"\x80\x02X\xff\xff\xff\xffa.".to_vec(), ["complete", "breaks off"]),
            (b"\x80\x02X\x01\0\0\0\xff.".to_vec(), ["UTF-8", "other"]),
            (b"\x80\x02NNb.".to_vec(), ["a dict with attributes", "None"]),
            (b"\x80\x02N)R.".to_vec(), ["torch.save", "None called with 0"]),
            (b"\x80\x02}..".to_vec(), ["one pickle", "more behind it"]),
            (b"\x80\x02}Q.".to_vec(), ["a storage of its own", "a dict"]),
            (b"\x80\x02ctorch\nFloatStorage\n)R.".to_vec(), ["a function called", "0 values"]),
        ] {
            refusal(archive(&pickle), &words);
        }
    });
    hostile("tensors_that_lie", || {
        let two_in = |class| storage(class, "0", 2);
        let big = i32::MAX;
        for (value, words) in [
            (
                tensor(&two_in("FloatStorage"), 0, &[3], &[1]),
                ["within their storage", "3 from number 0 on of 2"],
            ),
            (
                tensor(&two_in("FloatStorage"), 2, &[1], &[1]),
                ["within their storage", "1 from number 2 on of 2"],
            ),
            (
                tensor(&two_in("FloatStorage"), -1, &[1], &[1]),
                ["torch.save describes them", "6 values"],
            ),
            (tensor(&two_in("FloatStorage"), 0, &[-2], &[1]), ["no negative numbers", "-2"]),
            (tensor(&two_in("FloatStorage"), 0, &[2], &[2]), ["`x`", "row after row"]),
            (
                tensor(&two_in("FloatStorage"), 0, &[2, 2], &[1, 2]),
                ["strides [1, 2]", "contiguous()"],
            ),
            (tensor(&two_in("FloatStorage"), 0, &[2], &[1, 1]), ["strides [1, 1]", "of [2]"]),
            (
                tensor(&two_in("FloatStorage"), 0, &[big, big, big], &[0, 0, 0]),
                ["`x`", "can be counted"],
            ),
            (tensor(&two_in("FloatStorage"), 0, &[1; 9], &[1; 9]), ["at most 8 dimensions", "9"]),
            (tensor(&two_in("DoubleStorage"), 0, &[2], &[1]), ["2 numbers of F64", "8 bytes"]),
            (
                tensor(&storage("FloatStorage", "0", big), 0, &[2], &[1]),
                ["2147483647 numbers", "8 bytes"],
            ),
            (
                tensor(&storage("FloatStorage", "0", -1), 0, &[2], &[1]),
                ["a storage of numbers", "another kind"],
            ),
            (
                tensor(&storage("FloatStorage", "1", 2), 0, &[2], &[1]),
                ["every storage", "no `data/1`"],
            ),
            (
                tensor(&storage("FloatStorage", "../0", 2), 0, &[2], &[1]),
                ["every storage", "no `data/../0`"],
            ),
        ] {
            refusal(archive(&dict(&[("x", value)])), &words);
        }
        let long = storage("FloatStorage", &"k".repeat(101), 2);
        refusal(archive(&dict(&[("x", long)])), &["names of storages", "101"]);
        let twice = [("x", two()), ("y", tensor(&two_in("HalfStorage"), 0, &[2], &[1]))];
        refusal(archive(&dict(&twice)), &["one description of a storage", "`0`"]);
        for shape in [&[1, 2][..], &[2, 1], &[0, 5], &[]] {
            let strides: Vec<i32> = if shape == [1, 2] { vec![0, 1] } else { vec![1; shape.len()] };
            let value = tensor(&two_in("FloatStorage"), 0, shape, &strides);
            assert!(open(archive(&dict(&[("x", value)]))).is_ok(), "{shape:?}");
        }
    });
    hostile("archives_that_lie", || {
        let pickle = dict(&[("x", two())]);
        let with = |lies: Lies| zip(&[("a/data.pkl", &pickle), ("a/data/0", &[0; 8])], lies);
        let wide = Lies { wide: true, ..Lies::default() };
        for (lies, words) in [
            (
                Lies { compressed: true, ..Lies::default() },
                ["stored as they are", "`a/data.pkl` compressed"],
            ),
            (Lies { count: 1, ..Lies::default() }, ["all entries", "2 where it says 3"]),
            (Lies { count: u64::MAX, ..wide }, ["all entries", "2 where it says 1"]),
            (Lies { count: 1 << 60, ..wide }, ["complete zip", "no directory"]),
            (Lies { start: 1, ..Lies::default() }, ["where the directory says", "something else"]),
            (Lies { start: 1 << 31, ..Lies::default() }, ["`a/data.pkl`", "behind all"]),
            (Lies { start: u64::MAX - 70, ..wide }, ["`a/data.pkl`", "behind all"]),
            (Lies { wide_length: u64::MAX - 10_000, ..wide }, ["`a/data.pkl`", "beyond"]),
            (Lies { wide_length: 1 << 40, ..wide }, ["`a/data.pkl`", "beyond"]),
            (Lies { same_place: true, ..Lies::default() }, ["`a/data.pkl`", "beyond"]),
            (Lies { comment: true, ..Lies::default() }, ["complete zip", "no directory"]),
        ] {
            refusal(with(lies), &words);
        }
        let same = zip(
            &[("a/data.pkl", &pickle), ("a/data/0", &[0; 8]), ("a/data/0", &[1; 8])],
            Lies::default(),
        );
        refusal(same, &["every entry once", "`a/data/0` twice"]);
        refusal(
            zip(&[("a/x", b"y")], Lies::default()),
            &["a file of torch.save", "without `data.pkl`"],
        );
        let big = zip(&[("a/byteorder", b"big"), ("a/data.pkl", &pickle)], Lies::default());
        refusal(big, &["little-endian"]);
        // A storage within another's bytes: a head of its own stands there.
        let inner = &zip(&[("a/data/0", &[0; 8])], Lies::default())[..49];
        let bytes = tensor(&storage("ByteStorage", "1", 49), 0, &[49], &[1]);
        let pickle = dict(&[("x", two()), ("y", bytes)]);
        let entries = [("a/data.pkl", &pickle[..]), ("a/data/1", inner), ("a/data/0", &[0; 8])];
        let mut nested = zip(&entries, Lies::default());
        assert!(open(nested.clone()).is_ok());
        let mut places = nested.windows(8).enumerate().filter(|(_, window)| *window == b"a/data/0");
        let start = places.next().unwrap().0 as u32 - 30;
        let entry = places.next_back().unwrap().0;
        nested[entry - 4..entry].copy_from_slice(&start.to_le_bytes());
        refusal(nested, &["one after the other", "beyond", "`a/data/1`"]);
    });
    hostile("older_files_that_lie", || {
        let pickle = dict(&[("x", two())]);
        let two = 2u64.to_le_bytes();
        let whole = [&two[..], &[0; 8]].concat();
        for (bytes, words) in [
            (
                older(&pickle, &["0"], &[&3u64.to_le_bytes()[..], &[0; 8]].concat()),
                ["2 numbers of F32", "3 numbers"],
            ),
            (
                older(&pickle, &["0"], &[&u64::MAX.to_le_bytes()[..], &[0; 8]].concat()),
                ["`0`", "18446744073709551615"],
            ),
            (older(&pickle, &[], &[]), ["storages of its tensors", "no storage `0`"]),
            (older(&pickle, &["1"], &whole), ["storages of its tensors", "`1`, of no tensor"]),
            (
                older(&pickle, &["0", "0"], &[&whole[..], &whole].concat()),
                ["every storage once", "`0` twice"],
            ),
            (
                older(&pickle, &["0"], &[&whole[..], b"more"].concat()),
                ["nothing but its storages", "4 bytes behind"],
            ),
            (older(&pickle, &["0"], &whole[..12]), ["complete", "breaks off"]),
        ] {
            refusal(bytes, &words);
        }
    });
    cases
}
