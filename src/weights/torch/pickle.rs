//! The part of Python's pickle that a state dict needs. A pickle is a program for a small stack machine, and Python's
//! runs whatever function the file names; this one knows a handful by name, all of which only describe numbers.
//!
//! Tuples, lists and dicts lie side by side and are spoken of by number: nothing here recurses, whatever a file nests,
//! and what the memo names again is not copied.

use std::collections::HashMap;
use std::fmt;

use safetensors::Dtype;

use crate::error::one_line;

/// The most steps of the machine: those of some 17 000 tensors. None makes more than one value.
const MOST_STEPS: usize = 1 << 20;
/// The most bytes of a storage's name.
const MOST_KEY: usize = 100;
/// The most dimensions of a tensor.
const MOST_DIMENSIONS: usize = 8;

/// Why a pickle was not read.
pub enum Fault {
    /// It does not end in these bytes.
    Cut,
    /// What was expected, and what was there.
    Wrong(String, String),
}

type Result<T> = std::result::Result<T, Fault>;

/// Apart from the rest, which has many of them: the page's program is to stay small.
#[cold]
#[inline(never)]
fn wrong(expected: &str, got: fmt::Arguments<'_>) -> Fault {
    Fault::Wrong(expected.to_string(), got.to_string())
}

/// What the machine computes with.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    Nothing,
    Truth(bool),
    Number(i64),
    Text(&'a str),
    /// The number of what it holds.
    Tuple(usize),
    List(usize),
    Dict(usize),
    Storage(usize),
    Tensor(usize),
    Global(Global),
}

/// What a file may name.
#[derive(Clone, Copy, Debug)]
pub enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Storage(Dtype),
}

impl Global {
    fn find(module: &str, name: &str) -> Option<Global> {
        let dtype = match (module, name) {
            ("collections", "OrderedDict") => return Some(Global::OrderedDict),
            ("torch._utils", "_rebuild_tensor_v2") => return Some(Global::RebuildTensor),
            ("torch._utils", "_rebuild_parameter") => return Some(Global::RebuildParameter),
            ("torch", "FloatStorage") => Dtype::F32,
            ("torch", "HalfStorage") => Dtype::F16,
            ("torch", "BFloat16Storage") => Dtype::BF16,
            ("torch", "DoubleStorage") => Dtype::F64,
            ("torch", "LongStorage") => Dtype::I64,
            ("torch", "IntStorage") => Dtype::I32,
            ("torch", "ShortStorage") => Dtype::I16,
            ("torch", "CharStorage") => Dtype::I8,
            ("torch", "ByteStorage") => Dtype::U8,
            ("torch", "BoolStorage") => Dtype::BOOL,
            _ => return None,
        };
        Some(Global::Storage(dtype))
    }
}

impl Value<'_> {
    /// What it is, for a message.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Nothing => "None",
            Value::Truth(_) => "a bool",
            Value::Number(_) => "a number",
            Value::Text(_) => "a string",
            Value::Tuple(_) => "a tuple",
            Value::List(_) => "a list",
            Value::Dict(_) => "a dict",
            Value::Storage(_) => "a storage",
            Value::Tensor(_) => "a tensor",
            Value::Global(_) => "a function",
        }
    }

    fn instead_of(&self, expected: &str) -> Fault {
        wrong(expected, format_args!("{}", self.kind()))
    }
}

/// Numbers that lie one after the other; several tensors may show them.
#[derive(Debug, PartialEq)]
pub struct Storage<'a> {
    /// Its name in the file.
    pub key: &'a str,
    pub dtype: Dtype,
    /// How many numbers.
    pub count: u64,
}

/// How a tensor looks at a storage.
#[derive(Debug)]
pub struct Tensor {
    pub storage: usize,
    /// The first of its numbers in the storage.
    pub offset: u64,
    pub shape: Vec<u64>,
    pub strides: Vec<u64>,
}

/// What a pickle says.
#[derive(Debug, Default)]
pub struct Pickle<'a> {
    pub storages: Vec<Storage<'a>>,
    /// Their numbers by their names.
    pub keys: HashMap<String, usize>,
    pub tensors: Vec<Tensor>,
    /// What tuples, lists and dicts hold; of a dict a key and its value in turn.
    held: Vec<Vec<Value<'a>>>,
    /// Its bytes.
    pub bytes: usize,
}

impl<'a> Pickle<'a> {
    /// What a tuple or a list holds.
    pub fn items(&self, number: usize) -> &[Value<'a>] {
        self.held.get(number).map_or(&[], Vec::as_slice)
    }

    /// What a dict holds.
    pub fn pairs(&self, number: usize) -> impl Iterator<Item = (Value<'a>, Value<'a>)> {
        let (pairs, _) = self.items(number).as_chunks::<2>();
        pairs.iter().map(|[key, value]| (*key, *value))
    }
}

/// Reads the pickle at the beginning of these bytes: its last value, and all that it describes.
#[inline(never)]
pub fn read(bytes: &[u8]) -> Result<(Value<'_>, Pickle<'_>)> {
    let mut machine = Machine {
        bytes,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: Vec::new(),
        pickle: Pickle::default(),
    };
    for _ in 0..MOST_STEPS {
        if let Some(last) = machine.step()? {
            return Ok((last, machine.pickle));
        }
    }
    Err(wrong("a description of tensors", format_args!("one of more than {MOST_STEPS} steps")))
}

struct Machine<'a> {
    bytes: &'a [u8],
    stack: Vec<Value<'a>>,
    /// Where on the stack the marks lie.
    marks: Vec<usize>,
    memo: Vec<Value<'a>>,
    pickle: Pickle<'a>,
}

impl<'a> Machine<'a> {
    /// One opcode; the last one gives what the pickle was made for.
    fn step(&mut self) -> Result<Option<Value<'a>>> {
        let at = self.pickle.bytes;
        let value = match self.number(1)? as u8 {
            b'.' => return self.pop().map(Some),
            // PROTO
            0x80 => {
                return match self.number(1)? {
                    2 => Ok(None),
                    other => Err(wrong("pickle protocol 2", format_args!("protocol {other}"))),
                };
            }
            b'(' => {
                self.marks.push(self.stack.len());
                return Ok(None);
            }
            b'N' => Value::Nothing,
            0x88 => Value::Truth(true),
            0x89 => Value::Truth(false),
            b'K' => Value::Number(self.number(1)? as i64),
            b'M' => Value::Number(self.number(2)? as i64),
            b'J' => Value::Number(i64::from(self.number(4)? as u32 as i32)),
            // LONG1: so many bytes, the highest bit its sign.
            0x8a => match self.number(1)? as usize {
                0 => Value::Number(0),
                size @ 1..=8 => {
                    let unused = 64 - 8 * size as u32;
                    Value::Number((self.number(size)? << unused) as i64 >> unused)
                }
                size => {
                    return Err(wrong("numbers of at most 8 bytes", format_args!("one of {size}")));
                }
            },
            b'X' => {
                let length = self.number(4)?;
                self.text(length)?
            }
            b'c' => self.global()?,
            b')' => self.hold(Vec::new(), Value::Tuple),
            b']' => self.hold(Vec::new(), Value::List),
            b'}' => self.hold(Vec::new(), Value::Dict),
            b't' => {
                let items = self.pop_to_mark()?;
                self.hold(items, Value::Tuple)
            }
            size @ 0x85..=0x87 => {
                let items = self.pop_some(size - 0x84)?;
                self.hold(items, Value::Tuple)
            }
            put @ (b'q' | b'r') => {
                let number = self.number(if put == b'q' { 1 } else { 4 })?;
                return self.put(number as usize);
            }
            get @ (b'h' | b'j') => {
                let number = self.number(if get == b'h' { 1 } else { 4 })? as usize;
                match self.memo.get(number) {
                    Some(value) => *value,
                    None => {
                        return Err(wrong("a value of the memo", format_args!("number {number}")));
                    }
                }
            }
            b'a' => {
                let items = self.pop_some(1)?;
                return self.extend(items, false);
            }
            b's' => {
                let items = self.pop_some(2)?;
                return self.extend(items, true);
            }
            many @ (b'e' | b'u') => {
                let items = self.pop_to_mark()?;
                return self.extend(items, many == b'u');
            }
            b'Q' => self.storage()?,
            b'R' => self.call()?,
            // BUILD: what a dict of tensors has beside them, the versions of modules.
            b'b' => {
                self.pop()?;
                match self.pop()? {
                    dict @ Value::Dict(_) => dict,
                    other => return Err(other.instead_of("a dict with attributes")),
                }
            }
            other => {
                let got = format_args!("opcode {other:#04x} at byte {at} of its pickle");
                return Err(wrong("what a state dict is made of", got));
            }
        };
        self.stack.push(value);
        Ok(None)
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8]> {
        let start = self.pickle.bytes;
        let end = usize::try_from(length).ok().and_then(|length| start.checked_add(length));
        let part = end.and_then(|end| self.bytes.get(start..end)).ok_or(Fault::Cut)?;
        self.pickle.bytes += part.len();
        Ok(part)
    }

    /// A little-endian number of so many bytes.
    fn number(&mut self, size: usize) -> Result<u64> {
        Ok(little_endian(self.take(size as u64)?))
    }

    fn text(&mut self, length: u64) -> Result<Value<'a>> {
        match str::from_utf8(self.take(length)?) {
            Ok(text) => Ok(Value::Text(text)),
            Err(_) => Err(wrong("strings of UTF-8", format_args!("other bytes"))),
        }
    }

    fn line(&mut self) -> Result<&'a [u8]> {
        let rest = self.bytes.get(self.pickle.bytes..).unwrap_or_default();
        let length = rest.iter().position(|byte| *byte == b'\n').ok_or(Fault::Cut)?;
        let line = self.take(length as u64)?;
        self.take(1)?;
        Ok(line)
    }

    /// A function or class by its name; what is not known is refused here, before anything could be done with it.
    fn global(&mut self) -> Result<Value<'a>> {
        let [module, name] = [self.line()?, self.line()?].map(String::from_utf8_lossy);
        match Global::find(&module, &name) {
            Some(global) => Ok(Value::Global(global)),
            None => Err(wrong(
                "tensors and their names alone",
                format_args!(
                    "a file that asks Python to run `{}`, which is not done here; save its state dict alone, \
                     as safetensors",
                    one_line(&format!("{module}.{name}"))
                ),
            )),
        }
    }

    fn hold(&mut self, items: Vec<Value<'a>>, kind: fn(usize) -> Value<'a>) -> Value<'a> {
        self.pickle.held.push(items);
        kind(self.pickle.held.len() - 1)
    }

    fn pop(&mut self) -> Result<Value<'a>> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.len() > floor {
            true => self.stack.pop().ok_or(Fault::Cut),
            false => Err(wrong("a value on the stack", format_args!("none"))),
        }
    }

    fn pop_some(&mut self, count: u8) -> Result<Vec<Value<'a>>> {
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(self.pop()?);
        }
        items.reverse();
        Ok(items)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value<'a>>> {
        match self.marks.pop() {
            Some(mark) if mark <= self.stack.len() => Ok(self.stack.split_off(mark)),
            _ => Err(wrong("a mark on the stack", format_args!("none"))),
        }
    }

    /// Python numbers what it remembers one after the other.
    fn put(&mut self, number: usize) -> Result<Option<Value<'a>>> {
        let value = self.pop()?;
        self.stack.push(value);
        if number != self.memo.len() {
            return Err(wrong("a memo in order", format_args!("number {number} out of it")));
        }
        self.memo.push(value);
        Ok(None)
    }

    /// Adds to the list or the dict below.
    fn extend(&mut self, items: Vec<Value<'a>>, is_dict: bool) -> Result<Option<Value<'a>>> {
        let value = self.pop()?;
        let (number, fits) = match value {
            Value::List(number) => (number, !is_dict),
            Value::Dict(number) => (number, is_dict && items.len().is_multiple_of(2)),
            other => return Err(other.instead_of("a list or a dict")),
        };
        match self.pickle.held.get_mut(number) {
            Some(held) if fits => held.extend(items),
            _ => {
                let got = format_args!("{} for {}", items.len(), value.kind());
                return Err(wrong("keys and their values", got));
            }
        }
        self.stack.push(value);
        Ok(None)
    }

    /// `('storage', class, key, place, count)`; older files say last whether it is a part of another.
    fn storage(&mut self) -> Result<Value<'a>> {
        let id = self.pop()?;
        let items = if let Value::Tuple(number) = id { self.pickle.items(number) } else { &[] };
        let (
            Value::Text("storage"),
            Value::Global(Global::Storage(dtype)),
            Value::Text(key),
            count @ 0..,
        ) = (match items {
            [what, class, key, _, Value::Number(count)]
            | [what, class, key, _, Value::Number(count), Value::Nothing] => {
                (*what, *class, *key, *count)
            }
            _ => return Err(id.instead_of("a storage of its own")),
        })
        else {
            return Err(wrong("a storage of numbers", format_args!("one of another kind")));
        };
        // Each time that it is named it is looked up: a long name would cost its length as often.
        if key.len() > MOST_KEY {
            let got = format_args!("one of {}", key.len());
            return Err(wrong("names of storages of some 100 bytes", got));
        }
        let storage = Storage { key, dtype, count: count as u64 };
        match self.pickle.keys.get(key) {
            None => {
                self.pickle.keys.insert(key.to_string(), self.pickle.storages.len());
                self.pickle.storages.push(storage);
                Ok(Value::Storage(self.pickle.storages.len() - 1))
            }
            Some(number) if self.pickle.storages.get(*number) == Some(&storage) => {
                Ok(Value::Storage(*number))
            }
            Some(_) => {
                let got = format_args!("two of storage `{}`", one_line(key));
                Err(wrong("one description of a storage", got))
            }
        }
    }

    fn call(&mut self) -> Result<Value<'a>> {
        let arguments = self.pop()?;
        let callable = self.pop()?;
        let Value::Tuple(number) = arguments else {
            return Err(arguments.instead_of("arguments in a tuple"));
        };
        let items = self.pickle.items(number);
        match (callable, items) {
            (Value::Global(Global::OrderedDict), []) => Ok(self.hold(Vec::new(), Value::Dict)),
            // Whether it is trained, and hooks, mean nothing here.
            (Value::Global(Global::RebuildParameter), [tensor @ Value::Tensor(_), _, _]) => {
                Ok(*tensor)
            }
            (
                Value::Global(Global::RebuildTensor),
                [
                    Value::Storage(storage),
                    Value::Number(offset @ 0..),
                    Value::Tuple(shape),
                    Value::Tuple(strides),
                    _,
                    _,
                ],
            ) => {
                let tensor = Tensor {
                    storage: *storage,
                    offset: *offset as u64,
                    shape: self.numbers(*shape)?,
                    strides: self.numbers(*strides)?,
                };
                self.pickle.tensors.push(tensor);
                Ok(Value::Tensor(self.pickle.tensors.len() - 1))
            }
            (callable, _) => {
                let got = format_args!("{} called with {} values", callable.kind(), items.len());
                Err(wrong("tensors as torch.save describes them", got))
            }
        }
    }

    fn numbers(&self, tuple: usize) -> Result<Vec<u64>> {
        let items = self.pickle.items(tuple);
        if items.len() > MOST_DIMENSIONS {
            let got = format_args!("one of {}", items.len());
            return Err(wrong("tensors of at most 8 dimensions", got));
        }
        let mut numbers = Vec::with_capacity(items.len());
        for item in items {
            match item {
                Value::Number(number @ 0..) => numbers.push(*number as u64),
                Value::Number(number) => {
                    return Err(wrong("no negative numbers", format_args!("{number}")));
                }
                other => return Err(other.instead_of("shapes of numbers")),
            }
        }
        Ok(numbers)
    }
}

/// A number whose least significant byte comes first.
pub fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte))
}
