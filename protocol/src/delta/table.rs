//! The class table: what a header commits to.
//!
//! Each row names a class, its count and its root; the last row is the retraction list's count and root. The table stands
//! in the leaf for everyone who mirrors the log, and its Merkle root `T` in the signed header.

use std::convert::Infallible;

use minicbor::encode::Error;
use minicbor::{Decoder, Encoder};

use crate::b3::{self, Hash};
use crate::labels::ClassId;
use crate::limits;
use crate::record::{EntryId, Revision};

/// One class of a delta: `[c, n, R_c]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassEntry {
    /// The class.
    pub class: ClassId,
    /// Records in it, at least 1.
    pub count: u64,
    /// Its root.
    pub root: Hash,
}

/// The retraction row: `[n, R_r]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetractionEntry {
    /// Retractions, possibly 0.
    pub count: u64,
    /// Their root.
    pub root: Hash,
}

/// One retraction: ends every revision of the entry up to the one named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Retraction {
    /// The entry.
    pub entry: EntryId,
    /// The last revision that ends.
    pub revision: Revision,
}

/// The class table of one delta.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassTable {
    /// Sorted by class, at most [`limits::CLASSES_PER_DELTA`].
    pub classes: Vec<ClassEntry>,
    /// The retraction list.
    pub retractions: RetractionEntry,
}

/// Why a class table is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// Not the expected shape.
    #[error("class table: not the expected shape")]
    Shape,
    /// Classes out of order, or one twice.
    #[error("class table: row {row} is not above the row before it")]
    Unsorted {
        /// The row, from 0.
        row: usize,
    },
    /// A class with no record.
    #[error("class table: row {row} counts no record")]
    Empty {
        /// The row, from 0.
        row: usize,
    },
    /// More classes, records or retractions than a delta may have.
    #[error("class table: {got} {what}, at most {max}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How much.
        got: u64,
        /// The bound.
        max: usize,
    },
    /// Neither a record nor a retraction.
    #[error("class table: the delta holds nothing")]
    Nothing,
}

impl ClassTable {
    /// `T`: the Merkle root over the rows, the retraction row last.
    #[must_use]
    pub fn root(&self) -> Hash {
        // There is always the retraction row.
        b3::merkle_root(&b3::TABLE_NODE, self.leaves()).unwrap_or_default()
    }

    /// The hashed rows, the retraction row last.
    pub(super) fn leaves(&self) -> Vec<Hash> {
        let rows = self
            .classes
            .iter()
            .map(encode_class)
            .chain([encode_last(&self.retractions)]);
        rows.map(|row| b3::TABLE_LEAF.hash(&[&row])).collect()
    }

    /// Records over all classes.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.classes
            .iter()
            .fold(0, |sum, entry| sum.saturating_add(entry.count))
    }

    /// The row of a class.
    #[must_use]
    pub fn class(&self, class: ClassId) -> Option<&ClassEntry> {
        let at = self
            .classes
            .binary_search_by_key(&class, |entry| entry.class)
            .ok()?;
        self.classes.get(at)
    }

    /// Checks order, counts and bounds.
    ///
    /// # Errors
    /// [`TableError`] naming the row.
    pub fn check(&self) -> Result<(), TableError> {
        for (row, entry) in self.classes.iter().enumerate() {
            if row > 0 && self.classes[row - 1].class >= entry.class {
                return Err(TableError::Unsorted { row });
            }
            if entry.count == 0 {
                return Err(TableError::Empty { row });
            }
        }
        let bounds = [
            (
                "classes",
                self.classes.len() as u64,
                limits::CLASSES_PER_DELTA,
            ),
            ("records", self.records(), limits::RECORDS_PER_DELTA),
            (
                "retractions",
                self.retractions.count,
                limits::RETRACTIONS_PER_DELTA,
            ),
        ];
        for (what, got, max) in bounds {
            if got > max as u64 {
                return Err(TableError::TooMany { what, got, max });
            }
        }
        if self.classes.is_empty() && self.retractions.count == 0 {
            return Err(TableError::Nothing);
        }
        Ok(())
    }

    /// Appends the canonical form: `[[[c, n, R_c]...], [n_r, R_r]]`.
    ///
    /// # Errors
    /// None: writing to a Vec cannot fail.
    pub(crate) fn encode(&self, e: &mut Encoder<Vec<u8>>) -> Result<(), Error<Infallible>> {
        e.array(2)?.array(self.classes.len() as u64)?;
        for entry in &self.classes {
            e.writer_mut().extend_from_slice(&encode_class(entry));
        }
        e.writer_mut()
            .extend_from_slice(&encode_last(&self.retractions));
        Ok(())
    }

    /// Reads the table from canonical bytes and checks it.
    pub(crate) fn decode(d: &mut Decoder<'_>) -> Result<Self, TableError> {
        expect_array(d, 2)?;
        let rows = d.array().ok().flatten().ok_or(TableError::Shape)?;
        if rows > limits::CLASSES_PER_DELTA as u64 {
            let max = limits::CLASSES_PER_DELTA;
            return Err(TableError::TooMany {
                what: "classes",
                got: rows,
                max,
            });
        }
        let mut classes = Vec::new();
        for _ in 0..rows {
            expect_array(d, 3)?;
            let class = ClassId(d.u16().map_err(|_| TableError::Shape)?);
            classes.push(ClassEntry {
                class,
                count: uint(d)?,
                root: hash(d)?,
            });
        }
        expect_array(d, 2)?;
        let retractions = RetractionEntry {
            count: uint(d)?,
            root: hash(d)?,
        };
        let table = Self {
            classes,
            retractions,
        };
        table.check()?;
        Ok(table)
    }
}

fn expect_array(d: &mut Decoder<'_>, n: u64) -> Result<(), TableError> {
    if d.array().ok().flatten() == Some(n) {
        Ok(())
    } else {
        Err(TableError::Shape)
    }
}

fn uint(d: &mut Decoder<'_>) -> Result<u64, TableError> {
    d.u64().map_err(|_| TableError::Shape)
}

fn hash(d: &mut Decoder<'_>) -> Result<Hash, TableError> {
    d.bytes()
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(TableError::Shape)
}

pub(super) fn encode_class(entry: &ClassEntry) -> Vec<u8> {
    let mut e = Encoder::new(Vec::with_capacity(48));
    // Writing to a Vec cannot fail.
    let _ = e
        .array(3)
        .and_then(|e| e.u16(entry.class.0))
        .and_then(|e| e.u64(entry.count))
        .and_then(|e| e.bytes(&entry.root));
    e.into_writer()
}

pub(super) fn encode_last(entry: &RetractionEntry) -> Vec<u8> {
    let mut e = Encoder::new(Vec::with_capacity(48));
    let _ = e
        .array(2)
        .and_then(|e| e.u64(entry.count))
        .and_then(|e| e.bytes(&entry.root));
    e.into_writer()
}

/// Appends `[[entry_id, rev]...]`.
pub(super) fn encode_retractions(
    e: &mut Encoder<Vec<u8>>,
    list: &[Retraction],
) -> Result<(), Error<Infallible>> {
    e.array(list.len() as u64)?;
    for retraction in list {
        e.array(2)?
            .bytes(&retraction.entry.0)?
            .u32(retraction.revision.0)?;
    }
    Ok(())
}
