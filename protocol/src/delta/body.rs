//! The body of a delta: the records beside the log, per class disclosed or withheld, and the retractions, always.
//!
//! On the wire and at rest a body is a sequence of sections, each one canonical CBOR item:
//!
//! ```text
//! disclosed   [c, 0, n, seed, bstr]     the bytes are n records, one after the other, sorted by entry id
//! withheld    [c, 1, n, R_c]
//! partial     [c, 2, ...]               reserved: single records withheld inside a class
//! retractions [65536, [[entry_id, rev]...]]
//! ```
//!
//! Sections are in order of class, the retractions last. Spec: `docs/protocol.md`, "Body".

use std::collections::BTreeSet;
use std::ops::Range;

use hashpact_keys::{Origin, canonical};
use minicbor::{Decoder, Encoder};

use super::table::encode_retractions;
use super::{ClassEntry, ClassTable, Retraction, Seq, class_root, retraction_root, salts};
use crate::b3::{self, Hash};
use crate::labels::ClassId;
use crate::limits;
use crate::record::{Checked, EntryId, Record, RecordError, Revision};

#[cfg(test)]
mod tests;

/// Number of the retraction section, above every class.
pub const RETRACTION_SECTION: u32 = 65_536;

/// How a class stands in a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disclosure {
    /// All records are here; the range is theirs within the body's bytes.
    Disclosed(Range<usize>),
    /// Only the count and the root are known.
    Withheld,
}

/// One class of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The class.
    pub class: ClassId,
    /// Records that the origin signed for.
    pub count: u64,
    /// The section's range within the body's bytes.
    pub range: Range<usize>,
    /// What is known of them.
    pub disclosure: Disclosure,
}

/// A body that agrees with the class table its origin signed: `Verified` in the ladder of trust.
#[derive(PartialEq, Eq)]
pub struct Body {
    bytes: Vec<u8>,
    sections: Vec<Section>,
    retraction_range: Range<usize>,
    retractions: Vec<Retraction>,
}

/// What a body is checked against: a table that the log holds, under its origin's signature.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The log.
    pub origin: Origin,
    /// The delta.
    pub seq: Seq,
    /// Its class table.
    pub table: ClassTable,
    /// The classes that the log defines as suspected: only there may a record state a classifier's opinion.
    pub suspected: BTreeSet<ClassId>,
}

/// Why a body is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Longer than [`limits::BODY_BYTES`].
    #[error("body: {got} bytes, at most {}", limits::BODY_BYTES)]
    TooLarge {
        /// Its length.
        got: usize,
    },
    /// Not a sequence of sections.
    #[error("body: section {section} does not have the expected shape")]
    Shape {
        /// The section, from 0.
        section: usize,
    },
    /// A section for another class than the table's next.
    #[error("body: section {section} is for class {got}, expected {expected}")]
    Class {
        /// The section, from 0.
        section: usize,
        /// The table's next class, or 65536.
        expected: u32,
        /// What it is for.
        got: u64,
    },
    /// A section counts other than the table.
    #[error("body: class {class} counts {got}, its table {expected}")]
    Count {
        /// The class.
        class: ClassId,
        /// What the origin signed.
        expected: u64,
        /// What the section says.
        got: u64,
    },
    /// The records do not hash to the root that the origin signed.
    #[error("body: class {class} does not hash to the root that its origin signed")]
    Root {
        /// The class.
        class: ClassId,
    },
    /// The retractions do not hash to the root that the origin signed.
    #[error("body: the retractions do not hash to the root that their origin signed")]
    RetractionRoot,
    /// Retractions out of order, or one twice.
    #[error("body: retraction {index} is not above the one before it")]
    RetractionOrder {
        /// Its place, from 0.
        index: usize,
    },
    /// A record is not acceptable, although its origin signed it.
    #[error("body: class {class}, record {index}: {source}")]
    Record {
        /// The class.
        class: ClassId,
        /// Its place, from 0.
        index: usize,
        /// The fault.
        source: RecordError,
    },
    /// Records out of order of entry id, or one twice.
    #[error("body: class {class}, record {index} is not above the one before it")]
    RecordOrder {
        /// The class.
        class: ClassId,
        /// Its place, from 0.
        index: usize,
    },
    /// A classifier's opinion outside the suspected classes, although its origin signed it: a machine assesses nothing.
    #[error(
        "body: class {class}, record {index} states a classifier's opinion, and its class is not suspected"
    )]
    Classifier {
        /// The class.
        class: ClassId,
        /// Its place, from 0.
        index: usize,
    },
    /// One entry id in two records: a delta puts an entry once.
    #[error("body: an entry stands in two classes")]
    RepeatedEntry,
    /// Single records withheld inside a class: reserved, not understood.
    #[error("body: class {class} is partly withheld, which this version does not read")]
    Partial {
        /// The class.
        class: ClassId,
    },
    /// Bytes behind the last section.
    #[error("body: {got} bytes behind the last section")]
    Trailing {
        /// How many.
        got: usize,
    },
}

impl Body {
    /// Checks received bytes against the table that the origin signed. O(bytes); the bytes are kept as received.
    ///
    /// # Errors
    /// [`BodyError`] naming class and record.
    pub fn verify(bytes: Vec<u8>, expected: &Expected) -> Result<Self, BodyError> {
        if bytes.len() > limits::BODY_BYTES {
            return Err(BodyError::TooLarge { got: bytes.len() });
        }
        let mut at = 0;
        let mut sections = Vec::with_capacity(expected.table.classes.len());
        let mut ids = Ids::default();
        for (index, entry) in expected.table.classes.iter().enumerate() {
            let section = read_section(&bytes, at, index, entry, expected, &mut ids)?;
            at = section.range.end;
            sections.push(section);
        }
        let (retractions, end) = read_retractions(&bytes, at, sections.len(), expected)?;
        if end != bytes.len() {
            return Err(BodyError::Trailing {
                got: bytes.len() - end,
            });
        }
        if ids.repeat() {
            return Err(BodyError::RepeatedEntry);
        }
        Ok(Self {
            sections,
            retraction_range: at..end,
            retractions,
            bytes,
        })
    }

    /// The bytes, as received.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The classes, in order.
    #[must_use]
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// Where the retraction section stands within the bytes.
    #[must_use]
    pub fn retraction_range(&self) -> Range<usize> {
        self.retraction_range.clone()
    }

    /// The retractions, sorted.
    #[must_use]
    pub fn retractions(&self) -> &[Retraction] {
        &self.retractions
    }

    /// Whether a class is withheld.
    #[must_use]
    pub fn withholds(&self) -> bool {
        self.sections
            .iter()
            .any(|section| section.disclosure == Disclosure::Withheld)
    }

    /// Every disclosed record with its class and its offset within the bytes.
    pub fn records(&self) -> impl Iterator<Item = (ClassId, usize, &[u8])> {
        self.sections.iter().flat_map(move |section| {
            let range = match &section.disclosure {
                Disclosure::Disclosed(range) => range.clone(),
                Disclosure::Withheld => 0..0,
            };
            Records {
                bytes: &self.bytes,
                at: range.start,
                end: range.end,
            }
            .map(move |(at, record)| (section.class, at, record))
        })
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (bytes, classes) = (self.bytes.len(), self.sections.len());
        write!(
            f,
            "Body({bytes} bytes, {classes} classes, {} retractions)",
            self.retractions.len()
        )
    }
}

/// The entry ids of a body's records as numbers, which sort as their bytes do: class after class, each class sorted.
#[derive(Default)]
struct Ids(Vec<u128>);

impl Ids {
    /// Whether two classes put the same entry; within a class the order excludes it.
    fn repeat(&mut self) -> bool {
        // A stable sort finds the sorted classes and only merges them.
        self.0.sort();
        self.0.windows(2).any(|pair| pair[0] == pair[1])
    }
}

/// Cuts checked bytes into records.
struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Iterator for Records<'a> {
    type Item = (usize, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self
            .bytes
            .get(self.at..self.end)
            .filter(|rest| !rest.is_empty())?;
        let len = canonical::item_len(rest).ok()?;
        let item = (self.at, &rest[..len]);
        self.at += len;
        Some(item)
    }
}

/// Checks bytes that are the retraction section alone against the root that the origin signed.
///
/// # Errors
/// [`BodyError`].
pub fn verify_retractions(bytes: &[u8], expected: &Expected) -> Result<Vec<Retraction>, BodyError> {
    let (list, end) = read_retractions(bytes, 0, 0, expected)?;
    if end == bytes.len() {
        Ok(list)
    } else {
        Err(BodyError::Trailing {
            got: bytes.len() - end,
        })
    }
}

/// The head of a disclosed section; `len` bytes of records follow it.
#[must_use]
pub(super) fn disclosed_section_head(
    class: ClassId,
    count: u64,
    seed: &[u8; 32],
    len: usize,
) -> Vec<u8> {
    let mut e = Encoder::new(Vec::with_capacity(64));
    // Writing to a Vec cannot fail.
    let _ = e
        .array(5)
        .and_then(|e| e.u16(class.0))
        .and_then(|e| e.u8(0))
        .and_then(|e| e.u64(count))
        .and_then(|e| e.bytes(seed))
        .and_then(|e| e.bytes_len(len as u64));
    e.into_writer()
}

/// A class withheld: about 40 bytes, whatever its size.
#[must_use]
pub fn withheld_section(entry: &ClassEntry) -> Vec<u8> {
    let mut e = Encoder::new(Vec::with_capacity(48));
    let _ = e
        .array(4)
        .and_then(|e| e.u16(entry.class.0))
        .and_then(|e| e.u8(1))
        .and_then(|e| e.u64(entry.count))
        .and_then(|e| e.bytes(&entry.root));
    e.into_writer()
}

/// The retraction section.
pub(super) fn retraction_section(list: &[Retraction]) -> Vec<u8> {
    let mut e = Encoder::new(Vec::with_capacity(16 + list.len() * 22));
    let _ = e.array(2).and_then(|e| e.u32(RETRACTION_SECTION));
    let _ = encode_retractions(&mut e, list);
    e.into_writer()
}

fn read_section(
    bytes: &[u8],
    at: usize,
    index: usize,
    entry: &ClassEntry,
    expected: &Expected,
    ids: &mut Ids,
) -> Result<Section, BodyError> {
    let shape = BodyError::Shape { section: index };
    let rest = &bytes[at..];
    let len = canonical::item_len(rest).map_err(|_| shape.clone())?;
    let mut d = Decoder::new(&rest[..len]);
    let parts = d.array().ok().flatten().ok_or_else(|| shape.clone())?;
    let got = d.u64().map_err(|_| shape.clone())?;
    let class = entry.class;
    if got != u64::from(class.0) {
        return Err(BodyError::Class {
            section: index,
            expected: u32::from(class.0),
            got,
        });
    }
    let form = d.u64().map_err(|_| shape.clone())?;
    if form == 2 {
        return Err(BodyError::Partial { class });
    }
    let count = d.u64().map_err(|_| shape.clone())?;
    if count != entry.count {
        return Err(BodyError::Count {
            class,
            expected: entry.count,
            got: count,
        });
    }
    let disclosure = match (form, parts) {
        (0, 5) => {
            let seed = fixed(&mut d).ok_or_else(|| shape.clone())?;
            let records = d.bytes().map_err(|_| shape)?;
            let start = at + len - records.len();
            check_records(records, &seed, entry, expected, ids)?;
            Disclosure::Disclosed(start..at + len)
        }
        (1, 4) => {
            if fixed(&mut d).ok_or(shape)? != entry.root {
                return Err(BodyError::Root { class });
            }
            Disclosure::Withheld
        }
        _ => return Err(shape),
    };
    Ok(Section {
        class,
        count,
        range: at..at + len,
        disclosure,
    })
}

fn check_records(
    records: &[u8],
    seed: &[u8; 32],
    entry: &ClassEntry,
    expected: &Expected,
    ids: &mut Ids,
) -> Result<(), BodyError> {
    let class = entry.class;
    let may_be_classified = expected.suspected.contains(&class);
    let mut items = Vec::with_capacity(usize::try_from(entry.count).unwrap_or(0));
    let mut at = 0;
    let first = ids.0.len();
    while at < records.len() {
        let index = items.len();
        if index as u64 == entry.count {
            return Err(BodyError::Count {
                class,
                expected: entry.count,
                got: entry.count + 1,
            });
        }
        let rest = &records[at..];
        let Checked {
            entry: id,
            len,
            is_classified,
        } = Record::check_first(rest).map_err(|source| BodyError::Record {
            class,
            index,
            source,
        })?;
        if is_classified && !may_be_classified {
            return Err(BodyError::Classifier { class, index });
        }
        let id = u128::from_be_bytes(id.0);
        if ids.0[first..].last().is_some_and(|last| *last >= id) {
            return Err(BodyError::RecordOrder { class, index });
        }
        ids.0.push(id);
        items.push(&rest[..len]);
        at += len;
    }
    if items.len() as u64 != entry.count {
        let got = items.len() as u64;
        return Err(BodyError::Count {
            class,
            expected: entry.count,
            got,
        });
    }
    let tree = tree_root(seed, &items);
    let root = class_root(&expected.origin, expected.seq, class, entry.count, &tree);
    if root == entry.root {
        Ok(())
    } else {
        Err(BodyError::Root { class })
    }
}

/// Root over the salted records of one class; `items` is not empty.
pub(super) fn tree_root(seed: &[u8; 32], items: &[&[u8]]) -> Hash {
    let mut leaves = Vec::with_capacity(items.len());
    // As `record_leaf`, with one hasher for all.
    let mut leaf = b3::LEAF.hasher();
    salts::for_each_salt(seed, items.len(), |index, salt| {
        leaves.push(leaf.hash(&[&salt, items[index]]));
    });
    b3::merkle_root(&b3::NODE, leaves).unwrap_or_default()
}

fn read_retractions(
    bytes: &[u8],
    at: usize,
    section: usize,
    expected: &Expected,
) -> Result<(Vec<Retraction>, usize), BodyError> {
    let shape = || BodyError::Shape { section };
    let rest = bytes.get(at..).ok_or_else(shape)?;
    let len = canonical::item_len(rest).map_err(|_| shape())?;
    let mut d = Decoder::new(&rest[..len]);
    if d.array().ok().flatten() != Some(2) {
        return Err(shape());
    }
    let got = d.u64().map_err(|_| shape())?;
    if got != u64::from(RETRACTION_SECTION) {
        return Err(BodyError::Class {
            section,
            expected: RETRACTION_SECTION,
            got,
        });
    }
    let count = d.array().ok().flatten().ok_or_else(shape)?;
    let want = &expected.table.retractions;
    if count != want.count {
        return Err(BodyError::RetractionRoot);
    }
    let mut list: Vec<Retraction> = Vec::new();
    for index in 0..usize::try_from(count).unwrap_or(0) {
        if d.array().ok().flatten() != Some(2) {
            return Err(shape());
        }
        let entry = d.bytes().ok().and_then(|b| b.try_into().ok()).map(EntryId);
        let revision = d.u32().ok().filter(|rev| *rev > 0).map(Revision);
        let retraction = Retraction {
            entry: entry.ok_or_else(shape)?,
            revision: revision.ok_or_else(shape)?,
        };
        if list
            .last()
            .is_some_and(|last| last.entry >= retraction.entry)
        {
            return Err(BodyError::RetractionOrder { index });
        }
        list.push(retraction);
    }
    if retraction_root(&expected.origin, expected.seq, &list) != want.root {
        return Err(BodyError::RetractionRoot);
    }
    Ok((list, at + len))
}

fn fixed(d: &mut Decoder<'_>) -> Option<Hash> {
    d.bytes().ok().and_then(|bytes| bytes.try_into().ok())
}

type SectionParts = (ClassId, u64, Range<usize>, Range<usize>);

impl Body {
    /// Puts together what a draft laid out.
    pub(super) fn from_parts(
        bytes: Vec<u8>,
        sections: Vec<SectionParts>,
        retractions_at: usize,
        retractions: Vec<Retraction>,
    ) -> Self {
        let sections = sections
            .into_iter()
            .map(|(class, count, range, records)| Section {
                class,
                count,
                range,
                disclosure: Disclosure::Disclosed(records),
            });
        let retraction_range = retractions_at..bytes.len();
        Self {
            sections: sections.collect(),
            retraction_range,
            retractions,
            bytes,
        }
    }
}
