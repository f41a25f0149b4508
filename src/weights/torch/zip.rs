//! The directory of a zip archive whose entries are stored as they are: all that torch.save writes. It lies at the
//! end of the file, and each entry has a head of its own before its bytes, whose length only it tells.

use std::collections::HashMap;
use std::ops::Range;
use std::pin::Pin;

use super::File;
use super::pickle::little_endian;
use crate::error::{Error, Result, one_line};

/// The most bytes of the directory: that of some 100 000 entries.
const MOST: u64 = 8 << 20;
/// What a number of 16 or 32 bits is where a wider one is given elsewhere.
const ELSEWHERE: [u64; 2] = [0xffff, 0xffff_ffff];
const END: u64 = 22;
const LOCATOR: u64 = 20;
const WIDE_END: u64 = 56;
const HEAD: u64 = 30;

/// The entries of an archive.
pub struct Archive {
    /// The folder in which all of them lie.
    folder: String,
    entries: Vec<Entry>,
    /// Their numbers by their names.
    numbers: HashMap<String, usize>,
}

struct Entry {
    /// Of its head.
    start: u64,
    bytes: u64,
    /// Where the next one begins, or the directory.
    end: u64,
}

/// An entry that is looked for.
type Finding<'a> = Pin<Box<dyn Future<Output = Result<Option<Range<u64>>>> + 'a>>;

/// Fields one after the other.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn part(&mut self, length: u64) -> Option<&'a [u8]> {
        let (part, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(part)
    }

    fn number(&mut self, size: u64) -> Option<u64> {
        self.part(size).map(little_endian)
    }

    fn numbers<const N: usize>(&mut self, sizes: [u64; N]) -> Option<[u64; N]> {
        let mut numbers = [0; N];
        for (number, size) in numbers.iter_mut().zip(sizes) {
            *number = self.number(size)?;
        }
        Some(numbers)
    }
}

impl Archive {
    /// Reads the directory.
    pub async fn open(file: &File<'_>) -> Result<Archive> {
        let bytes = file.bytes();
        let tail = file.read(bytes.saturating_sub(WIDE_END + LOCATOR + END)..bytes).await?;
        let Some((count, directory)) = directory_of(&tail, bytes) else {
            return Err(broken(file, "no directory at its end"));
        };
        let length = directory.end - directory.start;
        if length > MOST {
            let got = format_args!("one of {length} bytes");
            return Err(file.wrong("a directory of at most 8 MB", got));
        }
        let bytes = file.read(directory.clone()).await?;
        Archive::of(file, &bytes, count, directory.start)
    }

    fn of(file: &File<'_>, bytes: &[u8], count: u64, end: u64) -> Result<Archive> {
        let mut fields = Fields(bytes);
        let (mut entries, mut numbers) = (Vec::<Entry>::new(), HashMap::new());
        let mut folder = String::new();
        while !fields.0.is_empty() {
            let Some((name, entry)) = entry(file, &mut fields, end)? else {
                return Err(broken(file, "a directory that breaks off"));
            };
            let least = entries.last().map_or(0, |last| last.start);
            if !(least..=end).contains(&entry.start) {
                let got = format_args!("`{}` before its neighbour or behind all", one_line(&name));
                return Err(file.wrong("entries one after the other", got));
            }
            match entries.last_mut() {
                None => folder = name.split('/').next().unwrap_or_default().to_string(),
                Some(last) => last.end = entry.start,
            }
            let shown = one_line(&name);
            if numbers.insert(name, entries.len()).is_some() {
                return Err(file.wrong("every entry once", format_args!("`{shown}` twice")));
            }
            entries.push(entry);
        }
        match entries.len() as u64 == count {
            true => Ok(Archive { folder, entries, numbers }),
            false => {
                let got = format_args!("{} where it says {count}", entries.len());
                Err(file.wrong("a directory of all entries", got))
            }
        }
    }

    /// Where the bytes of an entry lie; nothing where there is no such entry. They end before the next one begins, so
    /// no two entries share any.
    pub fn find<'f>(&'f self, file: &'f File<'_>, name: &str) -> Finding<'f> {
        let name = format!("{}/{name}", self.folder);
        Box::pin(async move {
            let number = self.numbers.get(&name).copied().unwrap_or(usize::MAX);
            let Some(entry) = self.entries.get(number) else { return Ok(None) };
            let wrong = |got: &str| {
                let got = format_args!("{got}, entry `{}`", one_line(&name));
                file.wrong("entries where the directory says, one after the other", got)
            };
            let start = entry.start.saturating_add(HEAD + name.len() as u64);
            if start > entry.end {
                return Err(wrong("a place beyond the next one"));
            }
            let head = file.read(entry.start..start).await?;
            let mut fields = Fields(&head);
            let numbers = fields.numbers([4, 2, 2, 2, 8, 8, 2, 2]);
            let Some([0x0403_4b50, _, _, 0, _, _, length, extra]) = numbers else {
                return Err(wrong("something else there"));
            };
            if length != name.len() as u64 || fields.0 != name.as_bytes() {
                return Err(wrong("another one there"));
            }
            let start = start + extra;
            match start.checked_add(entry.bytes) {
                Some(end) if end <= entry.end => Ok(Some(start..end)),
                _ => Err(wrong("bytes that go on beyond the next one")),
            }
        })
    }
}

fn broken(file: &File<'_>, got: &str) -> Error {
    let expected = "a complete zip archive, as torch.save writes it";
    file.wrong(expected, format_args!("{got}; download it again"))
}

/// How many entries the directory has, and where it lies: it must reach to the records behind it, which end the file.
fn directory_of(tail: &[u8], bytes: u64) -> Option<(u64, Range<u64>)> {
    let end = tail.len().checked_sub(END as usize)?;
    let (before, last) = tail.split_at_checked(end)?;
    let [0x0605_4b50, 0, 0, here, count, length, start, 0] =
        Fields(last).numbers([4, 2, 2, 2, 2, 4, 4, 2])?
    else {
        return None;
    };
    let narrow = [here, count, length, start];
    let mut fields = Fields(before);
    let wide = (before.len() as u64 == WIDE_END + LOCATOR)
        .then(|| fields.numbers([4, 8, 2, 2, 4, 4, 8, 8, 8, 8, 4, 4, 8, 4]))
        .flatten();
    let (numbers, records) = match wide {
        Some([0x0606_4b50, 44, _, _, 0, 0, here, count, length, start, 0x0706_4b50, 0, at, 1]) => {
            let records = WIDE_END + LOCATOR + END;
            (at == bytes.checked_sub(records)?).then_some(())?;
            ([here, count, length, start], records)
        }
        _ => (narrow, END),
    };
    let agree = numbers
        .iter()
        .zip(narrow)
        .all(|(wide, narrow)| *wide == narrow || ELSEWHERE.contains(&narrow));
    let [here, count, length, start] = numbers;
    let reach = start.checked_add(length)? == bytes.checked_sub(records)?;
    (agree && here == count && reach).then_some((count, start..start + length))
}

/// The next entry of the directory; nothing where it breaks off.
fn entry(file: &File<'_>, fields: &mut Fields<'_>, end: u64) -> Result<Option<(String, Entry)>> {
    // What nobody asks for here (versions, times, checksums, attributes) is taken together.
    let numbers = fields.numbers([4, 4, 2, 2, 8, 4, 4, 2, 2, 2, 2, 6, 4]);
    let Some(
        [0x0201_4b50, _, flags, method, _, packed, bytes, name, extra, comment, disk, _, start],
    ) = numbers
    else {
        return Ok(None);
    };
    let parts = (fields.part(name), fields.part(extra), fields.part(comment));
    let (Some(name), Some(extra), Some(_)) = parts else { return Ok(None) };
    let name = String::from_utf8_lossy(name).into_owned();
    if method != 0 || flags & 1 != 0 {
        let got = format_args!("`{}` compressed or encrypted", one_line(&name));
        return Err(file.wrong("entries that are stored as they are", got));
    }
    let Some([bytes, packed, start]) = widened([bytes, packed, start], extra) else {
        return Ok(None);
    };
    if bytes != packed || disk != 0 {
        let got = format_args!("{packed} of {bytes} bytes of `{}`", one_line(&name));
        return Err(file.wrong("entries as long as they say", got));
    }
    Ok(Some((name, Entry { start, bytes, end })))
}

/// The numbers of an entry, those of 64 bits from where they are given.
fn widened(mut numbers: [u64; 3], extra: &[u8]) -> Option<[u64; 3]> {
    if numbers.iter().all(|number| *number != ELSEWHERE[1]) {
        return Some(numbers);
    }
    let mut fields = Fields(extra);
    loop {
        let [kind, length] = fields.numbers([2, 2])?;
        let mut part = Fields(fields.part(length)?);
        if kind == 1 {
            for number in numbers.iter_mut().filter(|number| **number == ELSEWHERE[1]) {
                *number = part.number(8)?;
            }
            return Some(numbers);
        }
    }
}
