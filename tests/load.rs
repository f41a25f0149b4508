//! What a load holds: never the files, hardly more than the weights themselves; and what it reads is what is stored.

#[path = "support/mod.rs"]
mod support;

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};

use half::{bf16, f16};
use peak_alloc::PeakAlloc;
use safetensors::tensor::{Dtype, TensorView, serialize};
use unmasked::device::{Choice, Device, Format, Matrix};
use unmasked::engine::Engine;
use unmasked::graph::{Source, WeightInfo};
use unmasked::weights::{Checkpoint, OnDisk, ReadAt, Stored};

use support::{Case, Numbers, case, cpu_case, is_cpu, stored};

/// Counts the bytes of this process.
#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

fn main() {
    support::main([memory(), numbers(), vec![floods()]].into_iter().flatten().collect());
}

const MB: usize = 1 << 20;

/// Cases run side by side, and all of them count the same memory.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A GPT-2 of one layer in a folder of its own.
struct Shape {
    name: &'static str,
    vocabulary: usize,
    width: usize,
    inner: usize,
    /// `pytorch_model.bin` in the form before version 1.6.
    torch: bool,
}

impl Shape {
    fn tensors(&self) -> Vec<(&'static str, Vec<usize>)> {
        let Shape { vocabulary, width, inner, .. } = *self;
        vec![
            ("transformer.wte.weight", vec![vocabulary, width]),
            ("transformer.wpe.weight", vec![16, width]),
            ("transformer.h.0.ln_1.weight", vec![width]),
            ("transformer.h.0.ln_1.bias", vec![width]),
            ("transformer.h.0.attn.c_attn.weight", vec![width, 3 * width]),
            ("transformer.h.0.attn.c_attn.bias", vec![3 * width]),
            ("transformer.h.0.attn.c_proj.weight", vec![width, width]),
            ("transformer.h.0.attn.c_proj.bias", vec![width]),
            ("transformer.h.0.ln_2.weight", vec![width]),
            ("transformer.h.0.ln_2.bias", vec![width]),
            ("transformer.h.0.mlp.c_fc.weight", vec![width, inner]),
            ("transformer.h.0.mlp.c_fc.bias", vec![inner]),
            ("transformer.h.0.mlp.c_proj.weight", vec![inner, width]),
            ("transformer.h.0.mlp.c_proj.bias", vec![width]),
            ("transformer.ln_f.weight", vec![width]),
            ("transformer.ln_f.bias", vec![width]),
        ]
    }

    fn bytes(&self) -> usize {
        self.tensors().iter().map(|(_, shape)| 4 * shape.iter().product::<usize>()).sum()
    }

    fn largest(&self) -> usize {
        self.tensors().iter().map(|(_, shape)| 4 * shape.iter().product::<usize>()).max().unwrap()
    }

    /// Writes the folder without ever holding it.
    fn write(&self) -> PathBuf {
        let Shape { name, vocabulary, width, inner, .. } = *self;
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).unwrap();
        let config = format!(
            r#"{{"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_embd": {width}, "n_head": 4,
            "n_inner": {inner}, "n_layer": 1, "n_positions": 16, "vocab_size": {vocabulary},
            "bos_token_id": 0, "eos_token_id": 0, "tie_word_embeddings": true}}"#
        );
        fs::write(folder.join("config.json"), config).unwrap();
        let tokenizer = r#"{"version": "1.0", "model": {"type": "WordLevel", "vocab": {"a": 0, "b": 1},
            "unk_token": "a"}, "pre_tokenizer": {"type": "Whitespace"}}"#;
        fs::write(folder.join("tokenizer.json"), tokenizer).unwrap();
        let mut file = BufWriter::new(File::create(folder.join(self.file())).unwrap());
        let count = self.bytes() / 4;
        let number = |cell: usize| ((cell % 1009) as f32 / 1009.0 - 0.5).to_le_bytes();
        if self.torch {
            file.write_all(&self.pickles()).unwrap();
            let mut cell = 0;
            for (_, shape) in self.tensors() {
                let count: usize = shape.iter().product();
                file.write_all(&(count as u64).to_le_bytes()).unwrap();
                (cell..cell + count).for_each(|cell| file.write_all(&number(cell)).unwrap());
                cell += count;
            }
        } else {
            let header = self.header();
            file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
            file.write_all(header.as_bytes()).unwrap();
            (0..count).for_each(|cell| file.write_all(&number(cell)).unwrap());
        }
        file.into_inner().unwrap().sync_all().unwrap();
        folder
    }

    fn file(&self) -> &'static str {
        if self.torch { "pytorch_model.bin" } else { "model.safetensors" }
    }

    fn header(&self) -> String {
        let mut at = 0;
        let entries: Vec<String> = self
            .tensors()
            .iter()
            .map(|(name, shape)| {
                let start = at;
                at += 4 * shape.iter().product::<usize>();
                format!(
                    r#""{name}":{{"dtype":"F32","shape":{shape:?},"data_offsets":[{start},{at}]}}"#
                )
            })
            .collect();
        format!("{{{}}}", entries.join(","))
    }

    /// What stands before the numbers: a storage a tensor, of the same name.
    fn pickles(&self) -> Vec<u8> {
        let text =
            |text: &str| [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat();
        let number = |number: usize| [b"J", &(number as u32).to_le_bytes()[..]].concat();
        let mut bytes = [OLDER, b"\x80\x02}", &text("little_endian"), b"\x88s.\x80\x02}("].concat();
        let mut keys = b"\x80\x02](".to_vec();
        for (name, shape) in self.tensors() {
            let count = number(shape.iter().product());
            let lengths: Vec<u8> = shape.iter().flat_map(|length| number(*length)).collect();
            let strides = (0..shape.len()).map(|at| shape[at + 1..].iter().product());
            let strides: Vec<u8> = strides.flat_map(number).collect();
            bytes.extend(text(name));
            bytes.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
            bytes
                .extend([text("storage"), b"ctorch\nFloatStorage\n".to_vec(), text(name)].concat());
            bytes.extend([&text("cpu"), &count[..], b"tQK\0(", &lengths, b"t(", &strides].concat());
            bytes.extend(b"t\x89ccollections\nOrderedDict\n)RtR");
            keys.extend(text(name));
        }
        [&bytes[..], b"u.", &keys, b"e."].concat()
    }
}

/// How files of torch.save before version 1.6 begin.
const OLDER: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.";

fn memory() -> Vec<Case> {
    let shapes = [
        Shape { name: "large-vocabulary", vocabulary: 70_000, width: 256, inner: 64, torch: false },
        // GPT-2 stores its matrices turned: of these all is read before the first row is whole.
        Shape { name: "large-matrix", vocabulary: 64, width: 512, inner: 30_000, torch: false },
        Shape { name: "large-torch", vocabulary: 70_000, width: 256, inner: 64, torch: true },
    ];
    let load = |shape: Shape| {
        case(format!("memory::{}", shape.name), move |device| {
            let _alone = alone();
            let folder = shape.write();
            let choice = if is_cpu(device) { Choice::Cpu } else { Choice::Gpu };
            let device = Rc::new(pollster::block_on(Device::open(choice)).unwrap());
            let files = ["config.json", "tokenizer.json", shape.file()]
                .map(|name| (name.to_string(), OnDisk::open(&folder.join(name)).unwrap()));
            let before = MEMORY.current_usage();
            MEMORY.reset_peak_usage();
            let engine = pollster::block_on(Engine::load(files.into(), device.clone())).unwrap();
            let peak = MEMORY.peak_usage() - before;
            assert_eq!(engine.transformer.parameters() * 4, shape.bytes() as u64);
            let turned = if shape.name == "large-matrix" { shape.largest() } else { 0 };
            let held = if is_cpu(&device) { shape.bytes() } else { 0 };
            assert!(peak >= held, "{peak} bytes hold {held}");
            // Issue 5 asks for the largest tensor + 64 MB besides.
            let most = held + turned + 24 * MB;
            assert!(peak < most, "{peak} of at most {most} bytes, the file has {}", shape.bytes());
            fs::remove_dir_all(&folder).unwrap();
            drop(engine);
            // wgpu must not be dropped while its thread ends.
            std::mem::forget(device);
        })
    };
    shapes.map(load).into()
}

/// Pickles that would fill the memory: a step that makes a value is a byte.
fn floods() -> Case {
    cpu_case("memory::floods", |_| {
        let _alone = alone();
        for step in [&b"}"[..], b")", b"(", b"N", b")\x85", b"K\x07", b"X\0\0\0\0", b"(t"] {
            let bytes = [OLDER, b"\x80\x02", &step.repeat((12 * MB).div_ceil(step.len()))].concat();
            let file: Box<dyn ReadAt> = Box::new(bytes);
            let before = MEMORY.current_usage();
            MEMORY.reset_peak_usage();
            let opened = Checkpoint::open(vec![("pytorch_model.bin".into(), file)]);
            let error = pollster::block_on(opened).unwrap_err().to_string();
            assert!(error.contains("one of more than 1048576 steps"), "{error}");
            let peak = MEMORY.peak_usage() - before;
            assert!(peak < 128 * MB, "{peak} bytes of {}", step.escape_ascii());
        }
    })
}

/// A tensor: name, dtype, shape, bytes.
type Tensor = (&'static str, Dtype, Vec<usize>, Vec<u8>);

fn checkpoint(tensors: &[Tensor]) -> Checkpoint {
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        (*name, TensorView::new(*dtype, shape.clone(), bytes).unwrap())
    });
    let file: Box<dyn ReadAt> = Box::new(serialize(views, None).unwrap());
    pollster::block_on(Checkpoint::open(vec![("model.safetensors".into(), file)])).unwrap()
}

/// Random numbers as they are stored, and as they are.
fn random(dtype: Dtype, count: usize, numbers: &mut Numbers) -> (Vec<u8>, Vec<f64>) {
    let normals = numbers.normals(count);
    match dtype {
        Dtype::F32 => (
            normals.iter().flat_map(|x| x.to_le_bytes()).collect(),
            normals.iter().map(|x| f64::from(*x)).collect(),
        ),
        Dtype::F16 => {
            let halves: Vec<f16> = normals.iter().map(|x| f16::from_f32(*x)).collect();
            let bytes = halves.iter().flat_map(|x| x.to_le_bytes()).collect();
            (bytes, halves.iter().map(|x| x.to_f64()).collect())
        }
        _ => {
            let brains: Vec<bf16> = normals.iter().map(|x| bf16::from_f32(*x)).collect();
            let bytes = brains.iter().flat_map(|x| x.to_le_bytes()).collect();
            (bytes, brains.iter().map(|x| x.to_f64()).collect())
        }
    }
}

/// Reads a weight part by part: how its numbers are packed, the numbers, the parts.
fn read(
    checkpoint: &mut Checkpoint,
    (out, inner): (usize, usize),
    names: &[&str],
    place: &dyn Fn(&str) -> Stored,
) -> (Format, Vec<f64>, usize) {
    let source = Source::Stored(names.iter().map(|name| name.to_string()).collect());
    let info = WeightInfo { name: "weight".into(), out, inner, source };
    let found = checkpoint.find(&info, place).unwrap();
    let (mut all, mut parts) = (Vec::new(), 0);
    for rows in found.parts() {
        let matrix = pollster::block_on(checkpoint.read(&found, rows)).unwrap();
        assert_eq!(matrix.format(), found.format());
        all.extend(stored(&matrix, inner));
        parts += 1;
    }
    (found.format(), all, parts)
}

/// Rows of numbers `[.., inner]`.
fn rows(all: &[f64], inner: usize, rows: Range<usize>) -> &[f64] {
    &all[rows.start * inner..rows.end * inner]
}

fn numbers() -> Vec<Case> {
    const OUT: usize = 5000;
    const INNER: usize = 700;
    let mut cases = Vec::new();
    for (dtype, format) in
        [(Dtype::F32, Format::F32), (Dtype::F16, Format::F16), (Dtype::BF16, Format::Bf16)]
    {
        cases.push(cpu_case(format!("numbers::{format:?}"), move |_| {
            let _alone = alone();
            let mut numbers = Numbers(7);
            let (bytes, a) = random(dtype, OUT * INNER, &mut numbers);
            let (small, b) = random(dtype, 100 * INNER, &mut numbers);
            let (other, c) = random(Dtype::F32, 30 * INNER, &mut numbers);
            let mut checkpoint = checkpoint(&[
                ("a", dtype, vec![OUT, INNER], bytes.clone()),
                ("turned", dtype, vec![INNER, OUT], bytes),
                ("b", dtype, vec![100, INNER], small),
                ("c", Dtype::F32, vec![30, INNER], other),
            ]);
            let plain = |name: &str| Stored::plain(name);

            let (have, whole, parts) = read(&mut checkpoint, (OUT, INNER), &["a"], &plain);
            assert!(have == format && whole == a && parts > 1, "{parts} parts");

            // Parts that meet within a part, and a format that another one forces on both.
            let joined = [a.clone(), b.clone()].concat();
            let shape = (OUT + 100, INNER);
            let (have, all, _) = read(&mut checkpoint, shape, &["a", "b"], &plain);
            assert!(have == format && all == joined);
            let (have, all, _) = read(&mut checkpoint, (OUT + 30, INNER), &["a", "c"], &plain);
            assert!(have == Format::F32 && all == [a.clone(), c].concat());

            // Rows picked out, in another order.
            let picked = [4000..5000, 10..11, 0..1500];
            let place = |name: &str| Stored::plain(name).rows(OUT, picked.clone());
            let (_, all, _) = read(&mut checkpoint, (2501, INNER), &["a"], &place);
            let wanted: Vec<f64> =
                picked.iter().flat_map(|some| rows(&a, INNER, some.clone())).copied().collect();
            assert!(all == wanted);

            // `[in, out]`, whole and as the query, key and value of one tensor.
            let turned: Vec<f64> =
                (0..OUT * INNER).map(|at| a[at % INNER * OUT + at / INNER]).collect();
            let place = |name: &str| Stored::plain(name).transposed();
            let (have, all, parts) = read(&mut checkpoint, (OUT, INNER), &["turned"], &place);
            assert!(have == format && all == turned && parts > 1);
            let thirds = |name: &str| {
                let third: usize = name.parse().unwrap();
                let rows = third * 1000..third * 1000 + 1000;
                Stored::plain("turned").transposed().rows(OUT, std::iter::once(rows))
            };
            let (_, all, _) = read(&mut checkpoint, (2000, INNER), &["4", "1"], &thirds);
            assert!(
                all == [rows(&turned, INNER, 4000..5000), rows(&turned, INNER, 1000..2000)]
                    .concat()
            );
        }));
    }
    cases.push(cpu_case("numbers::Int8", |_| {
        let _alone = alone();
        let mut numbers = Numbers(9);
        const OUT: usize = 9000;
        let values: Vec<i8> =
            (0..OUT * INNER).map(|_| (numbers.below(255) as i32 - 127) as i8).collect();
        let scales: Vec<f32> = (0..OUT).map(|_| 0.5 + numbers.unit()).collect();
        let wanted =
            stored(&Matrix::Int8 { values: values.clone(), scales: scales.clone() }, INNER);
        let bytes = |values: &[i8]| values.iter().map(|x| *x as u8).collect::<Vec<u8>>();
        let mut checkpoint = checkpoint(&[
            ("a", Dtype::I8, vec![OUT, INNER], bytes(&values)),
            (
                "a.scale",
                Dtype::F32,
                vec![OUT],
                scales.iter().flat_map(|x| x.to_le_bytes()).collect(),
            ),
            ("row", Dtype::I8, vec![1, INNER], bytes(&values[..INNER])),
            ("row.scale", Dtype::F32, vec![1], scales[0].to_le_bytes().to_vec()),
        ]);
        let plain = |name: &str| Stored::plain(name);
        let (format, all, parts) = read(&mut checkpoint, (OUT, INNER), &["a"], &plain);
        assert!(format == Format::Int8 && all == wanted && parts > 1);
        let place = |name: &str| Stored::plain(name).rows(OUT, [8000..9000, 5..70]);
        let (_, all, _) = read(&mut checkpoint, (1065, INNER), &["a"], &place);
        assert!(all == [rows(&wanted, INNER, 8000..9000), rows(&wanted, INNER, 5..70)].concat());
        let (format, all, _) = read(&mut checkpoint, (1, INNER), &["row"], &plain);
        let single: Vec<f64> = wanted[..INNER].iter().map(|x| f64::from(*x as f32)).collect();
        assert!(format == Format::F32 && all == single);
    }));
    cases.push(cpu_case("numbers::one_that_is_none_is_found_in_any_part", |_| {
        let _alone = alone();
        let mut bytes = vec![0u8; 4 * OUT * INNER];
        bytes[4 * (4321 * INNER + 5)..][..4].copy_from_slice(&f32::NAN.to_le_bytes());
        let mut checkpoint = checkpoint(&[("a", Dtype::F32, vec![OUT, INNER], bytes)]);
        let source = Source::Stored(vec!["a".into()]);
        let info = WeightInfo { name: "a".into(), out: OUT, inner: INNER, source };
        let found = checkpoint.find(&info, &|name| Stored::plain(name)).unwrap();
        let errors: Vec<String> = found
            .parts()
            .filter_map(|rows| pollster::block_on(checkpoint.read(&found, rows)).err())
            .map(|error| error.to_string())
            .collect();
        let expected = "tensor `a`: expected finite numbers, got NaN or infinity in row 4321";
        assert_eq!(errors, [expected]);
        // Of packed int8 a scale is one, of its own row.
        let mut scales = vec![1f32; OUT];
        scales[1234] = f32::INFINITY;
        let scales = scales.iter().flat_map(|scale| scale.to_le_bytes()).collect();
        let mut checkpoint = self::checkpoint(&[
            ("a", Dtype::I8, vec![OUT, INNER], vec![1; OUT * INNER]),
            ("a.scale", Dtype::F32, vec![OUT], scales),
        ]);
        let found = checkpoint.find(&info, &|name| Stored::plain(name)).unwrap();
        let error = found
            .parts()
            .find_map(|rows| pollster::block_on(checkpoint.read(&found, rows)).err())
            .unwrap();
        assert!(error.to_string().ends_with("infinity in row 1234"), "{error}");
    }));
    cases
}
