//! `subset.idx`: the values of a list, sorted, in one file that other programs may map into memory.
//!
//! ```text
//! header     128 B  magic "HPSUBIDX", u32 version 1, u32 128, u64 bytes of the file, u32 entries, u32 rows, u32 bytes of
//!                   the head, u32 0, 6 x u32 rows of each algorithm by its code from 1, 2 x u32 0, u64 offset of the rows,
//!                   u64 of the entries, u64 of the head, zeros
//! rows      n x 40  u8 algorithm code, u8 quality (255: none), u16 0, u32 entry, value of 32 bytes: shorter ones are
//!                   padded with zeros, a PhotoDNA value stands as its BLAKE3; ascending by algorithm, value, entry
//! entries   m x 32  u16 log, u16 class (both count in the head's lists), u32 revision, u8 marks (1 disputed, 2 flagged),
//!                   7 zeros, 16 B entry id; ascending by log and entry id
//! head              JSON: which list this is, its logs and classes with labels; padded with spaces to 8 bytes
//! checksum      32  BLAKE3 of all before
//! ```
//!
//! All numbers are little-endian, all parts begin at multiples of eight. The same list gives the same bytes, in whatever
//! order it was told. The file is derived: who wants proof reads the packs beside it. So the checksum finds damage, and a
//! forger it does not stop. In scope: bytes. Out of scope: where the list comes from (`sync`), matching (`table`, `slots`).

mod read;
mod write;

use std::collections::BTreeMap;
use std::io;

use hashpact_keys::Origin;
use hashpact_protocol::fingerprint::Algorithm;
use hashpact_protocol::labels::ClassId;
use hashpact_protocol::record::{EntryId, Revision};
use serde::{Deserialize, Serialize};

pub use read::{Hit, Index};
pub use write::IndexWriter;

/// The name of the file in a synced folder.
pub const FILE_NAME: &str = "subset.idx";
/// Entries of one file at most: those of a full node today, and numbers of 32 bits have room.
pub const ENTRIES_MAX: usize = 50_000_000;
/// Rows of one file at most: four values an entry, and what they take in memory stays below 8 GB.
pub const ROWS_MAX: usize = 200_000_000;
/// Bytes of the head at most: 65,536 classes of the largest labels would not fit, a thousand times those of today do.
pub const HEAD_BYTES_MAX: usize = 16 * 1024 * 1024;

const MAGIC: [u8; 8] = *b"HPSUBIDX";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 128;
const ROW_BYTES: usize = 40;
const ENTRY_BYTES: usize = 32;
const CHECKSUM_BYTES: usize = 32;
/// Algorithms with a code, 1 to 6.
const ALGORITHMS: usize = 6;
const NO_QUALITY: u8 = 255;
const DISPUTED: u8 = 1;
const FLAGGED: u8 = 2;

/// Which list a file holds: said with every match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListVersion {
    /// The network, by the hash of its first roster.
    pub network: String,
    /// The centre that served it.
    pub centre: String,
    /// The member that it was served to.
    pub member: String,
    /// The serving centre's ledger.
    pub ledger: String,
    /// The cursor up to which changes are in it.
    pub cursor: String,
    /// When the serving centre signed the manifest: Unix seconds.
    pub issued_at: u64,
}

/// The labels of a class as its definition has them, by name.
pub type ClassLabels = BTreeMap<String, serde_json::Value>;

/// A class of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexClass {
    /// Its log, counting in [`Head::origins`].
    pub origin: u16,
    /// Its id.
    pub class: u16,
    /// Its labels.
    pub labels: ClassLabels,
}

/// The readable part of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Which list this is.
    pub list: ListVersion,
    /// Its logs, ascending.
    pub origins: Vec<String>,
    /// Its classes, ascending by log and id.
    pub classes: Vec<IndexClass>,
}

/// What is known of an entry beside its class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// A dispute is open.
    pub disputed: bool,
    /// Another origin retracted the same file as an error.
    pub flagged: bool,
}

/// An entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// Its log, counting in [`Head::origins`].
    pub origin: u16,
    /// Its class, counting in [`Head::classes`].
    pub class: u16,
    /// Its id.
    pub entry: EntryId,
    /// Its revision.
    pub revision: Revision,
    /// What is known of it.
    pub marks: Marks,
}

/// Why no file was written.
#[derive(Debug, thiserror::Error)]
pub enum WriteIndexError {
    /// An entry of a class that was not told before.
    #[error("an entry of class {class} of {origin}, which has no labels here")]
    Class {
        /// The log.
        origin: Origin,
        /// The class.
        class: ClassId,
    },
    /// Two entries of one log with one id.
    #[error("entry {entry} of {origin} twice")]
    Twice {
        /// The log.
        origin: String,
        /// The entry.
        entry: EntryId,
    },
    /// More than a file may hold.
    #[error("more than {max} {what}: the list is too large for one index")]
    TooMany {
        /// The bound.
        max: usize,
        /// Of what.
        what: &'static str,
    },
    /// The disk.
    #[error("writing the index: {0}")]
    Io(#[from] io::Error),
}

/// Why a file is refused. Nothing here shows a byte of a value.
#[derive(Debug, thiserror::Error)]
pub enum ReadIndexError {
    /// It begins with something else.
    #[error("no index of a list")]
    Magic,
    /// A form that this program does not know.
    #[error(
        "an index of version {got}, expected {VERSION}: make it again with `hashpact member sync`"
    )]
    Version {
        /// Its version.
        got: u32,
    },
    /// The header contradicts itself or the file's length.
    #[error("the header does not fit the file: {what}")]
    Header {
        /// What of it.
        what: &'static str,
    },
    /// More than is allowed.
    #[error("{got} {what}, at most {max} are allowed")]
    TooMany {
        /// The bound.
        max: usize,
        /// What it says.
        got: usize,
        /// Of what.
        what: &'static str,
    },
    /// Damage: the checksum is another one.
    #[error("the index is damaged: make it again with `hashpact member sync`")]
    Checksum,
    /// A row that cannot be.
    #[error("row {number}: {what}")]
    Row {
        /// Counted from 0.
        number: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// An entry that cannot be.
    #[error("entry {number}: {what}")]
    Entry {
        /// Counted from 0.
        number: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The head.
    #[error("the head: {what}")]
    Head {
        /// What is wrong with it.
        what: &'static str,
    },
    /// The disk.
    #[error("reading the index: {0}")]
    Io(#[from] io::Error),
}

/// A value as rows have it: padded with zeros, or hashed if it is longer.
fn row_value(bytes: &[u8]) -> [u8; 32] {
    let mut value = [0; 32];
    match value.get_mut(..bytes.len()) {
        Some(room) => room.copy_from_slice(bytes),
        None => value = *blake3::hash(bytes).as_bytes(),
    }
    value
}

/// Bytes that distinguish the values of an algorithm: the rest of a row is padding.
fn width(algorithm: &Algorithm) -> usize {
    algorithm.length().unwrap_or(32).min(32)
}

/// Bytes up to the next multiple of eight.
fn padding(bytes: usize) -> usize {
    bytes.next_multiple_of(8) - bytes
}

#[cfg(test)]
mod tests;
