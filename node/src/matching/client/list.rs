//! A list of fingerprints as it is typed or exported: one a line, read once, strictly, in bounded memory.
//!
//! A line is `type:value` or a bare value: of the type that the reader was given, or else md5, sha1 or sha256 by its 32, 40
//! or 64 digits. A PDQ hash has 64 digits too, so it must be named. Blank lines are counted and skipped. Values that no
//! list may hold, such as the digest of the empty file, are counted and skipped as well: nobody can have them, and asking
//! would only cost quota. Anything else refuses the whole list, by the numbers of the first bad lines. No fault repeats a
//! character of a line.
//!
//! In scope: lines, types, repeated values, bounds. Out of scope: what is asked about them (`session`).

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io::{self, BufRead, Read as _};

use hashpact_protocol::fingerprint::{Algorithm, Fingerprint, FingerprintError};
use hashpact_protocol::limits;
use zeroize::Zeroizing;

/// Bytes of a line at most: the longest value, PhotoDNA in hexadecimal with its name, has 297.
pub const LINE_BYTES_MAX: usize = 512;
/// Lines of a list at most, blank and repeated ones counted: line numbers then fit 32 bits, and reading ends.
pub const LINES_MAX: u32 = 16_000_000;
/// Lines that only repeat a value, at most: each costs 8 bytes, as its number is told if the value matches.
pub const REPEATS_MAX: usize = 2_000_000;
/// Faults that are told one by one; the rest is counted.
pub const FAULTS_SHOWN: usize = 20;
/// Lines between two reports of progress.
const PROGRESS_LINES: u32 = 1 << 16;

/// A list, ready to be asked about: each value once.
#[derive(Default)]
pub struct List {
    types: BTreeMap<Algorithm, Items>,
    lines: u32,
    blank: u32,
    guarded: Guarded,
}

/// Lines whose value no list may hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guarded {
    /// How many.
    pub count: u32,
    /// The first of them, counted from 1.
    pub first: Vec<u32>,
}

/// The values of one type, each once, in the order of their first lines. Wiped when dropped.
pub struct Items {
    kind: Algorithm,
    /// Inputs of the protocol, one after the other, each of `width` bytes: the type's code and the fingerprint.
    inputs: Zeroizing<Vec<u8>>,
    width: usize,
    first_lines: Vec<u32>,
    /// (item, line) of lines that repeat an item, in the order of lines.
    repeats: Vec<(u32, u32)>,
}

/// What is wrong with one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineFault {
    /// Longer than any value.
    #[error("longer than {LINE_BYTES_MAX} bytes")]
    TooLong,
    /// A bare value whose length belongs to no type.
    #[error(
        "a bare value of {chars} characters: md5 has 32, sha1 40, sha256 64; name any other type, as in pdq:VALUE"
    )]
    NoType {
        /// Its characters.
        chars: usize,
    },
    /// A name that is no type, or one that is never matched.
    #[error("unknown type: md5, sha1, sha256, blake3, pdq and photodna are known")]
    UnknownType,
    /// The value.
    #[error("{0}")]
    Value(FingerprintError),
}

impl LineFault {
    /// Whether the value is one that no list may hold: nobody can have it, so it is no mistake of the list.
    #[must_use]
    pub fn is_guarded(&self) -> bool {
        match self {
            Self::Value(
                FingerprintError::Guarded { .. } | FingerprintError::LowInformation { .. },
            ) => true,
            Self::Value(_) | Self::TooLong | Self::NoType { .. } | Self::UnknownType => false,
        }
    }
}

/// Why a list is refused.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// Lines that are no fingerprints.
    #[error("{count} bad lines: {}", Shown(.first))]
    Lines {
        /// How many.
        count: u32,
        /// The first of them with their numbers, from 1.
        first: Vec<(u32, LineFault)>,
    },
    /// More different values than one check may have.
    #[error("more than {max} different values, seen at line {line}: split the list")]
    TooMany {
        /// The bound.
        max: u64,
        /// Where it was passed.
        line: u32,
    },
    /// More lines than a list may have.
    #[error("more than {LINES_MAX} lines: split the list")]
    TooLong,
    /// Mostly the same values over and over.
    #[error("more than {REPEATS_MAX} lines only repeat a value: remove them, as `sort -u` does")]
    Repeats,
    /// No value at all.
    #[error("the list holds no fingerprint: {blank} blank lines, {guarded} guarded values")]
    Empty {
        /// Blank lines.
        blank: u32,
        /// Lines with a value that no list may hold.
        guarded: u32,
    },
    /// Whoever asked went away.
    #[error("reading the list was given up")]
    Abandoned,
    /// The machine.
    #[error("the list cannot be read: {0}")]
    Io(#[from] io::Error),
}

/// The first faults in one line.
struct Shown<'a>(&'a [(u32, LineFault)]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (line, fault)) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { "; " };
            write!(f, "{comma}line {line}: {fault}")?;
        }
        Ok(())
    }
}

impl List {
    /// Reads a list to its end. `bare` is the type of values without a name. `progress` hears the lines read now and then,
    /// and says false when nobody waits any more. O(lines), and at most [`limits::MATCH_ITEMS`] values in memory.
    ///
    /// # Errors
    /// [`ListError`].
    pub fn read(
        mut from: impl BufRead,
        bare: Option<&Algorithm>,
        progress: &mut dyn FnMut(u64) -> bool,
    ) -> Result<Self, ListError> {
        let mut reading = Reading::new()?;
        let mut line = Zeroizing::new(Vec::with_capacity(LINE_BYTES_MAX + 2));
        while read_line(&mut from, &mut line)? {
            if reading.list.lines == LINES_MAX {
                return Err(ListError::TooLong);
            }
            reading.list.lines += 1;
            reading.take(&line, bare)?;
            if reading.list.lines % PROGRESS_LINES == 0 && !progress(reading.list.lines.into()) {
                return Err(ListError::Abandoned);
            }
        }
        progress(reading.list.lines.into());
        reading.finish()
    }

    /// A list of values that stand on no lines: they are numbered as they come.
    ///
    /// # Errors
    /// [`ListError::TooMany`] or [`ListError::Repeats`], by their numbers.
    pub fn of_values(values: impl Iterator<Item = Fingerprint>) -> Result<Self, ListError> {
        let mut reading = Reading::new()?;
        for value in values {
            reading.list.lines = reading.list.lines.saturating_add(1);
            reading.keep(&value, reading.list.lines)?;
        }
        reading.finish()
    }

    /// The values, type by type.
    pub fn types(&self) -> impl Iterator<Item = &Items> {
        self.types.values()
    }

    /// The same, to be taken apart.
    pub fn into_types(self) -> impl Iterator<Item = Items> {
        self.types.into_values()
    }

    /// Different values over all types.
    #[must_use]
    pub fn len(&self) -> usize {
        self.types.values().map(Items::len).sum()
    }

    /// Whether there is none: never, for a list that was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.types.is_empty()
    }

    /// Lines read.
    #[must_use]
    pub fn lines(&self) -> u32 {
        self.lines
    }

    /// Blank lines among them.
    #[must_use]
    pub fn blank(&self) -> u32 {
        self.blank
    }

    /// Lines with a value that no list may hold; they were left out.
    #[must_use]
    pub fn guarded(&self) -> &Guarded {
        &self.guarded
    }
}

impl Items {
    fn new(kind: Algorithm, width: usize) -> Self {
        Self {
            kind,
            inputs: Zeroizing::default(),
            width,
            first_lines: Vec::new(),
            repeats: Vec::new(),
        }
    }

    /// The type.
    #[must_use]
    pub fn kind(&self) -> &Algorithm {
        &self.kind
    }

    /// How many different values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.first_lines.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first_lines.is_empty()
    }

    /// The inputs of the protocol, the type's code and the fingerprint, by item.
    pub fn inputs(&self) -> impl ExactSizeIterator<Item = &[u8]> + Clone {
        self.inputs.chunks_exact(self.width)
    }

    /// The input of one item.
    #[must_use]
    pub fn input(&self, item: usize) -> Option<&[u8]> {
        let start = item.checked_mul(self.width)?;
        self.inputs.get(start..start.checked_add(self.width)?)
    }

    /// Bytes of each input.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// The line on which an item stood first, from 1.
    #[must_use]
    pub fn first_line(&self, item: usize) -> Option<u32> {
        self.first_lines.get(item).copied()
    }

    /// Every line on which one of these items stands, sorted; `matched` says of each item whether it is one of them.
    #[must_use]
    pub fn lines_of(&self, matched: impl Fn(usize) -> bool) -> Vec<u32> {
        let first = self.first_lines.iter().enumerate();
        let first = first
            .filter(|(item, _)| matched(*item))
            .map(|(_, line)| *line);
        let more = self.repeats.iter();
        let more = more
            .filter(|(item, _)| matched(*item as usize))
            .map(|(_, line)| *line);
        let mut lines: Vec<u32> = first.chain(more).collect();
        lines.sort_unstable();
        lines
    }
}

/// The lines of a list, one by one, for whoever needs no list in memory.
pub struct Lines<R> {
    from: R,
    line: Zeroizing<Vec<u8>>,
    number: u32,
}

/// A line: its number from 1, and its value, or nothing if it is blank, or what is wrong with it.
pub type NumberedLine = (u32, Result<Option<Fingerprint>, LineFault>);

impl<R: BufRead> Lines<R> {
    /// The lines of this file.
    #[must_use]
    pub fn new(from: R) -> Self {
        Self {
            from,
            line: Zeroizing::new(Vec::with_capacity(LINE_BYTES_MAX + 2)),
            number: 0,
        }
    }

    /// The next line; `None` at the end. `bare` is the type of values without a name.
    ///
    /// # Errors
    /// [`ListError::TooLong`] or [`ListError::Io`].
    pub fn next(&mut self, bare: Option<&Algorithm>) -> Result<Option<NumberedLine>, ListError> {
        if !read_line(&mut self.from, &mut self.line)? {
            return Ok(None);
        }
        if self.number == LINES_MAX {
            return Err(ListError::TooLong);
        }
        self.number += 1;
        Ok(Some((self.number, parse(&self.line, bare))))
    }
}

/// A list while it is read.
struct Reading {
    list: List,
    /// Items by a keyed hash of their input: the key keeps a crafted list from making look-ups slow.
    known: HashMap<[u8; 16], u32>,
    key: Zeroizing<[u8; 32]>,
    repeats: usize,
    bad: u32,
    faults: Vec<(u32, LineFault)>,
}

impl Reading {
    fn new() -> io::Result<Self> {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *key).map_err(io::Error::other)?;
        Ok(Self {
            list: List::default(),
            known: HashMap::new(),
            key,
            repeats: 0,
            bad: 0,
            faults: Vec::new(),
        })
    }

    fn take(&mut self, line: &[u8], bare: Option<&Algorithm>) -> Result<(), ListError> {
        let number = self.list.lines;
        let parsed = match parse(line, bare) {
            Ok(None) => {
                self.list.blank += 1;
                return Ok(());
            }
            Ok(Some(print)) => print,
            Err(fault) if fault.is_guarded() => {
                let guarded = &mut self.list.guarded;
                guarded.count += 1;
                if guarded.first.len() < FAULTS_SHOWN {
                    guarded.first.push(number);
                }
                return Ok(());
            }
            Err(fault) => {
                self.bad += 1;
                if self.faults.len() < FAULTS_SHOWN {
                    self.faults.push((number, fault));
                }
                return Ok(());
            }
        };
        self.keep(&parsed, number)
    }

    fn keep(&mut self, print: &Fingerprint, line: u32) -> Result<(), ListError> {
        let Some(code) = print.algorithm().code() else {
            return Ok(());
        };
        let input = Zeroizing::new([&[code], print.bytes()].concat());
        let mut hash = [0; 16];
        hash.copy_from_slice(&blake3::keyed_hash(&self.key, &input).as_bytes()[..16]);
        let items = self.list.types.entry(print.algorithm().clone());
        let items = items.or_insert_with(|| Items::new(print.algorithm().clone(), input.len()));
        if let Some(item) = self.known.get(&hash) {
            if self.repeats == REPEATS_MAX {
                return Err(ListError::Repeats);
            }
            self.repeats += 1;
            items.repeats.push((*item, line));
            return Ok(());
        }
        let max = limits::MATCH_ITEMS;
        if self.known.len() as u64 == max {
            return Err(ListError::TooMany { max, line });
        }
        let item = u32::try_from(items.len()).map_err(|_| ListError::TooMany { max, line })?;
        self.known.insert(hash, item);
        items.inputs.extend_from_slice(&input);
        items.first_lines.push(line);
        Ok(())
    }

    fn finish(self) -> Result<List, ListError> {
        if self.bad > 0 {
            let (count, first) = (self.bad, self.faults);
            return Err(ListError::Lines { count, first });
        }
        if self.list.is_empty() {
            let (blank, guarded) = (self.list.blank, self.list.guarded.count);
            return Err(ListError::Empty { blank, guarded });
        }
        Ok(self.list)
    }
}

/// Reads one line without its end; false at the end of the file. Of a line that is too long only the beginning is kept,
/// which is longer than any value.
fn read_line(from: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let bound = LINE_BYTES_MAX as u64 + 2;
    if from.take(bound).read_until(b'\n', line)? == 0 {
        return Ok(false);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    } else if line.len() as u64 == bound {
        skip_line(from)?;
    }
    Ok(true)
}

/// Drops the rest of a line, in whatever pieces it comes.
fn skip_line(from: &mut impl BufRead) -> io::Result<()> {
    loop {
        let piece = from.fill_buf()?;
        let end = piece.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(piece.len(), |at| at + 1);
        from.consume(used);
        if used == 0 || end.is_some() {
            return Ok(());
        }
    }
}

/// One line; `None` if it is blank.
fn parse(line: &[u8], bare: Option<&Algorithm>) -> Result<Option<Fingerprint>, LineFault> {
    if line.len() > LINE_BYTES_MAX {
        return Err(LineFault::TooLong);
    }
    // Lossy: what is not text is no digit either, and is refused as such.
    let text = Zeroizing::new(String::from_utf8_lossy(line).into_owned());
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Ok(None);
    }
    let (kind, value) = match text.split_once(':') {
        Some((name, value)) => (known(name.trim())?, value),
        None => (bare.cloned().map_or_else(|| by_length(text), Ok)?, text),
    };
    let print = Fingerprint::from_text(kind, value).map_err(LineFault::Value)?;
    Ok(Some(print))
}

fn known(name: &str) -> Result<Algorithm, LineFault> {
    let kind = Algorithm::from_name(&name.to_ascii_lowercase());
    let kind = kind.filter(|kind| kind.code().is_some());
    kind.ok_or(LineFault::UnknownType)
}

fn by_length(text: &str) -> Result<Algorithm, LineFault> {
    match text.chars().count() {
        32 => Ok(Algorithm::Md5),
        40 => Ok(Algorithm::Sha1),
        64 => Ok(Algorithm::Sha256),
        chars => Err(LineFault::NoType { chars }),
    }
}

#[cfg(test)]
mod tests;
