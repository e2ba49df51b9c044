//! The writer: entries in any order, one file.

use std::collections::BTreeMap;
use std::path::Path;

use hashpact_keys::Origin;
use hashpact_protocol::fingerprint::{Algorithm, Fingerprint};
use hashpact_protocol::labels::ClassId;
use hashpact_protocol::record::{EntryId, Fields, PrintValue, Revision};

use super::{
    ALGORITHMS, CHECKSUM_BYTES, ClassLabels, DISPUTED, ENTRIES_MAX, ENTRY_BYTES, FLAGGED,
    HEAD_BYTES_MAX, HEADER_BYTES, Head, IndexClass, ListVersion, MAGIC, Marks, NO_QUALITY,
    ROW_BYTES, ROWS_MAX, VERSION, WriteIndexError, padding, row_value,
};
use crate::store::durable::{Steps, Writer};

/// Bytes handed to the disk at once.
const PIECE_BYTES: usize = 1 << 20;

/// Gathers a list and writes it as one file. Holds 40 bytes a value and 40 an entry until then.
pub struct IndexWriter {
    list: ListVersion,
    classes: BTreeMap<(Origin, ClassId), ClassLabels>,
    /// Numbers of classes as they were told; the file counts them in order.
    numbers: BTreeMap<(Origin, ClassId), u32>,
    entries: Vec<Gathered>,
    rows: Vec<Row>,
}

struct Gathered {
    class: u32,
    entry: EntryId,
    revision: Revision,
    marks: Marks,
}

/// In the order of the file; `entry` counts as entries were pushed until they are sorted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    algorithm: u8,
    value: [u8; 32],
    entry: u32,
    quality: u8,
}

impl IndexWriter {
    /// An empty list of this version.
    #[must_use]
    pub fn new(list: ListVersion) -> Self {
        Self {
            list,
            classes: BTreeMap::new(),
            numbers: BTreeMap::new(),
            entries: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// Tells a class with its labels, before its first entry. Telling it again replaces them.
    ///
    /// # Errors
    /// [`WriteIndexError::TooMany`].
    pub fn class(
        &mut self,
        origin: &Origin,
        class: ClassId,
        labels: ClassLabels,
    ) -> Result<(), WriteIndexError> {
        let key = (origin.clone(), class);
        let next = u32::from(numbered(self.numbers.len(), "classes")?);
        self.numbers.entry(key.clone()).or_insert(next);
        self.classes.insert(key, labels);
        Ok(())
    }

    /// Adds an entry with those of its fingerprints that may be matched. One that has none is kept as an entry.
    ///
    /// # Errors
    /// [`WriteIndexError::Class`] or [`WriteIndexError::TooMany`].
    pub fn push(
        &mut self,
        (origin, class): (&Origin, ClassId),
        (entry, revision): (EntryId, Revision),
        marks: Marks,
        fields: &Fields,
    ) -> Result<(), WriteIndexError> {
        let number = self.numbers.get(&(origin.clone(), class)).copied();
        let class = number.ok_or_else(|| WriteIndexError::Class {
            origin: origin.clone(),
            class,
        })?;
        let ordinal = counted(self.entries.len(), ENTRIES_MAX, "entries")?;
        self.entries.push(Gathered {
            class,
            entry,
            revision,
            marks,
        });
        for print in fields.prints.iter().filter(|it| it.disabled.is_none()) {
            if let PrintValue::Inline(value) = &print.value {
                self.row(ordinal, value, print.quality)?;
            }
        }
        Ok(())
    }

    /// Entries so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Writes the file in place of what stands there; it is whole and durable, or the former one stays.
    ///
    /// # Errors
    /// [`WriteIndexError`].
    pub fn finish(self, path: &Path, steps: &Steps) -> Result<(), WriteIndexError> {
        let Self {
            list,
            classes,
            numbers,
            entries,
            mut rows,
        } = self;
        let head = head(list, classes)?;
        let mut json = serde_json::to_vec(&head).map_err(std::io::Error::other)?;
        json.resize(json.len() + padding(json.len()), b' ');
        if json.len() > HEAD_BYTES_MAX {
            let (max, what) = (HEAD_BYTES_MAX, "bytes of classes and labels");
            return Err(WriteIndexError::TooMany { max, what });
        }
        let places = class_places(&numbers);
        let (table, ordinals) = entry_table(&head, &places, &entries)?;
        drop(entries);
        for row in &mut rows {
            row.entry = ordinals.get(row.entry as usize).copied().unwrap_or(0);
        }
        drop(ordinals);
        rows.sort_unstable();
        // A record may hold a value twice under two qualities: one row is enough.
        rows.dedup_by_key(|row| (row.algorithm, row.value, row.entry));
        let header = header(&rows, table.len() / ENTRY_BYTES, json.len())?;
        let mut out = Out {
            file: Writer::create(path, steps)?,
            hasher: blake3::Hasher::new(),
            piece: Vec::with_capacity(PIECE_BYTES + ROW_BYTES),
        };
        out.put(&header)?;
        for row in &rows {
            out.put(&row.bytes())?;
        }
        out.put(&table)?;
        out.put(&json)?;
        Ok(out.finish()?)
    }

    fn row(
        &mut self,
        entry: u32,
        value: &Fingerprint,
        quality: Option<u8>,
    ) -> Result<(), WriteIndexError> {
        let Some(algorithm) = value.algorithm().code() else {
            return Ok(());
        };
        counted(self.rows.len(), ROWS_MAX, "values")?;
        self.rows.push(Row {
            algorithm,
            value: row_value(value.bytes()),
            entry,
            quality: match value.algorithm() {
                Algorithm::Pdq => quality.filter(|it| *it <= 100).unwrap_or(NO_QUALITY),
                Algorithm::Md5
                | Algorithm::Sha1
                | Algorithm::Sha256
                | Algorithm::Blake3
                | Algorithm::PhotoDna
                | Algorithm::Other(_) => NO_QUALITY,
            },
        });
        Ok(())
    }
}

impl Row {
    fn bytes(&self) -> [u8; ROW_BYTES] {
        let mut bytes = [0; ROW_BYTES];
        bytes[0] = self.algorithm;
        bytes[1] = self.quality;
        bytes[4..8].copy_from_slice(&self.entry.to_le_bytes());
        bytes[8..].copy_from_slice(&self.value);
        bytes
    }
}

/// The file in the making, with the hash of what was put.
struct Out {
    file: Writer,
    hasher: blake3::Hasher,
    piece: Vec<u8>,
}

impl Out {
    fn put(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.piece.extend_from_slice(bytes);
        match self.piece.len() >= PIECE_BYTES {
            true => self.flush(),
            false => Ok(()),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.hasher.update(&self.piece);
        self.file.write_all(&self.piece)?;
        self.piece.clear();
        Ok(())
    }

    fn finish(mut self) -> std::io::Result<()> {
        self.flush()?;
        self.file.write_all(self.hasher.finalize().as_bytes())?;
        self.file.finish()
    }
}

fn head(
    list: ListVersion,
    classes: BTreeMap<(Origin, ClassId), ClassLabels>,
) -> Result<Head, WriteIndexError> {
    let mut origins: Vec<String> = Vec::new();
    let mut listed = Vec::with_capacity(classes.len());
    // The map is sorted, so logs and classes come in their order.
    for ((origin, class), labels) in classes {
        let origin = origin.to_string();
        if origins.last() != Some(&origin) {
            origins.push(origin);
        }
        listed.push(IndexClass {
            origin: numbered(origins.len() - 1, "logs")?,
            class: class.0,
            labels,
        });
    }
    Ok(Head {
        list,
        origins,
        classes: listed,
    })
}

/// The place in the file's list of each class, by the number that it was told under.
fn class_places(numbers: &BTreeMap<(Origin, ClassId), u32>) -> Vec<u16> {
    let mut places = vec![0; numbers.len()];
    for (place, number) in (0..).zip(numbers.values()) {
        if let Some(slot) = places.get_mut(*number as usize) {
            *slot = place;
        }
    }
    places
}

/// The entries as the file has them, and the ordinal there of each that was pushed.
fn entry_table(
    head: &Head,
    places: &[u16],
    entries: &[Gathered],
) -> Result<(Vec<u8>, Vec<u32>), WriteIndexError> {
    let class_of = |entry: &Gathered| places.get(entry.class as usize).copied().unwrap_or(0);
    let origin_of = |class: u16| {
        let class = head.classes.get(usize::from(class));
        class.map_or(0, |class| class.origin)
    };
    let mut order: Vec<(u16, EntryId, u32)> = (0..)
        .zip(entries)
        .map(|(number, entry)| (origin_of(class_of(entry)), entry.entry, number))
        .collect();
    order.sort_unstable();
    let mut table = Vec::with_capacity(entries.len() * ENTRY_BYTES);
    let mut ordinals = vec![0; entries.len()];
    let mut before = None;
    for (ordinal, (origin, id, number)) in (0..).zip(order) {
        if before == Some((origin, id)) {
            let origin = head.origins.get(usize::from(origin));
            return Err(WriteIndexError::Twice {
                origin: origin.cloned().unwrap_or_default(),
                entry: id,
            });
        }
        before = Some((origin, id));
        let Some(entry) = entries.get(number as usize) else {
            continue;
        };
        let disputed = if entry.marks.disputed { DISPUTED } else { 0 };
        let flagged = if entry.marks.flagged { FLAGGED } else { 0 };
        table.extend_from_slice(&origin.to_le_bytes());
        table.extend_from_slice(&class_of(entry).to_le_bytes());
        table.extend_from_slice(&entry.revision.0.to_le_bytes());
        table.extend_from_slice(&[disputed | flagged, 0, 0, 0, 0, 0, 0, 0]);
        table.extend_from_slice(&id.0);
        if let Some(slot) = ordinals.get_mut(number as usize) {
            *slot = ordinal;
        }
    }
    Ok((table, ordinals))
}

fn header(
    rows: &[Row],
    entries: usize,
    head_bytes: usize,
) -> Result<[u8; HEADER_BYTES], WriteIndexError> {
    let mut counts = [0_usize; ALGORITHMS];
    for row in rows {
        if let Some(count) = counts.get_mut(usize::from(row.algorithm).wrapping_sub(1)) {
            *count += 1;
        }
    }
    let entries_at = HEADER_BYTES + rows.len() * ROW_BYTES;
    let head_at = entries_at + entries * ENTRY_BYTES;
    let bytes = head_at + head_bytes + CHECKSUM_BYTES;
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    let mut number = |at: usize, value: usize| {
        let value = u32::try_from(value).map_err(|_| WriteIndexError::TooMany {
            max: ROWS_MAX,
            what: "values",
        })?;
        header[at..at + 4].copy_from_slice(&value.to_le_bytes());
        Ok::<(), WriteIndexError>(())
    };
    number(12, HEADER_BYTES)?;
    number(24, entries)?;
    number(28, rows.len())?;
    number(32, head_bytes)?;
    for (at, count) in (40..).step_by(4).zip(counts) {
        number(at, count)?;
    }
    let mut offset = |at: usize, value: usize| {
        header[at..at + 8].copy_from_slice(&(value as u64).to_le_bytes());
    };
    offset(16, bytes);
    offset(72, HEADER_BYTES);
    offset(80, entries_at);
    offset(88, head_at);
    Ok(header)
}

/// The number of what comes next, if there is room for it.
fn counted(number: usize, max: usize, what: &'static str) -> Result<u32, WriteIndexError> {
    let number = (number < max).then(|| u32::try_from(number).ok()).flatten();
    number.ok_or(WriteIndexError::TooMany { max, what })
}

fn numbered(number: usize, what: &'static str) -> Result<u16, WriteIndexError> {
    let max = usize::from(u16::MAX);
    u16::try_from(number).map_err(|_| WriteIndexError::TooMany { max, what })
}
