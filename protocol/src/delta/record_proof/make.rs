//! Record proofs out of a disclosed class.
//!
//! Why: a proof needs the hash of every other record of the class, and those need every salt. So the class is hashed once,
//! and each proof after that costs a few hashes: an auditor who draws a sample asks for many records of one class.
//! In scope: making. Out of scope: reading the section from a disk (`store` in the node).

use hashpact_keys::canonical;
use minicbor::Decoder;

use super::super::ClassTable;
use super::super::{ClassEntry, Expected, class_root, record_leaf, salts};
use super::{RecordProof, turns};
use crate::b3::{self, Domain, Hash};
use crate::labels::ClassId;
use crate::limits;
use crate::record::EntryId;

/// Why no proof can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MakeRecordProofError {
    /// The delta has no such class.
    #[error("record proof: the delta has no class {class}")]
    Class {
        /// The class.
        class: ClassId,
    },
    /// The section is not one of a body.
    #[error("record proof: the section of class {class} is malformed")]
    Section {
        /// The class.
        class: ClassId,
    },
    /// The class is withheld: neither its records nor its salts are here.
    #[error("record proof: class {class} is withheld, so its records cannot be proven here")]
    Withheld {
        /// The class.
        class: ClassId,
    },
    /// The section holds no record of this entry.
    #[error("record proof: class {class} holds no record of {entry}")]
    Absent {
        /// The class.
        class: ClassId,
        /// The entry.
        entry: EntryId,
    },
    /// The section does not hash to the root that the table states.
    #[error("record proof: class {class} does not hash to the root that its origin signed")]
    Root {
        /// The class.
        class: ClassId,
    },
}

/// A disclosed class whose records can be proven one by one.
pub struct RecordProver<'a> {
    header: &'a [u8],
    row: ClassEntry,
    items: Vec<&'a [u8]>,
    salts: Vec<[u8; 16]>,
    tree: Tree,
    turns: u64,
    rows: Vec<Hash>,
}

impl<'a> RecordProver<'a> {
    /// Hashes a class's section, as it is on the wire; it must have the root that the table states.
    ///
    /// `header` is the COSE_Sign1 of the delta that `expected` describes. O(n) hashes for n records, about 100 bytes of
    /// memory for each.
    ///
    /// # Errors
    /// [`MakeRecordProofError`], but not of an absent entry.
    pub fn new(
        header: &'a [u8],
        expected: &Expected,
        class: ClassId,
        section: &'a [u8],
    ) -> Result<Self, MakeRecordProofError> {
        let row = expected.table.class(class);
        let row = row.ok_or(MakeRecordProofError::Class { class })?;
        let (seed, records) = open_section(section, row)?;
        let items = cut(records).filter(|items| items.len() as u64 == row.count);
        let items = items.ok_or(MakeRecordProofError::Section { class })?;
        let mut own = Vec::with_capacity(items.len());
        let mut leaves = Vec::with_capacity(items.len());
        salts::for_each_salt(seed, items.len(), |index, salt| {
            own.push(salt);
            leaves.push(record_leaf(&salt, items[index]));
        });
        let tree = Tree::new(&b3::NODE, leaves);
        let root = tree.root(0, items.len());
        if class_root(&expected.origin, expected.seq, class, row.count, &root) != row.root {
            return Err(MakeRecordProofError::Root { class });
        }
        let (turns, rows) = path_of_row(&expected.table, class);
        Ok(Self {
            header,
            row: row.clone(),
            items,
            salts: own,
            tree,
            turns,
            rows,
        })
    }

    /// Proves the record of an entry. O(log n) hashes, and a walk over the entry ids.
    ///
    /// # Errors
    /// [`MakeRecordProofError::Absent`].
    pub fn prove(&self, entry: EntryId) -> Result<RecordProof, MakeRecordProofError> {
        let class = self.row.class;
        let starts = |item: &&[u8]| starts_with_entry(item, entry);
        let place = self.items.iter().position(starts);
        let place = place.ok_or(MakeRecordProofError::Absent { class, entry })?;
        Ok(RecordProof {
            header: self.header.to_vec(),
            class,
            count: self.row.count,
            position: place as u64,
            salt: self.salts[place],
            record: self.items[place].to_vec(),
            path: self.tree.path(place),
            turns: self.turns,
            rows: self.rows.clone(),
        })
    }
}

impl RecordProof {
    /// Proves one record of a class: [`RecordProver`], used once.
    ///
    /// # Errors
    /// [`MakeRecordProofError`].
    pub fn make(
        header: &[u8],
        expected: &Expected,
        class: ClassId,
        section: &[u8],
        entry: EntryId,
    ) -> Result<Self, MakeRecordProofError> {
        RecordProver::new(header, expected, class, section)?.prove(entry)
    }
}

/// Seed and records of a disclosed section of this row's class.
fn open_section<'a>(
    section: &'a [u8],
    row: &ClassEntry,
) -> Result<(&'a [u8; 32], &'a [u8]), MakeRecordProofError> {
    let class = row.class;
    let malformed = || MakeRecordProofError::Section { class };
    canonical::check(section).map_err(|_| malformed())?;
    let mut d = Decoder::new(section);
    let parts = d.array().ok().flatten();
    if d.u16().ok() != Some(class.0) {
        return Err(malformed());
    }
    match (parts, d.u64().ok()) {
        (Some(5), Some(0)) => {}
        (Some(4), Some(1)) => return Err(MakeRecordProofError::Withheld { class }),
        (_, _) => return Err(malformed()),
    }
    // The count is compared with the table's by whoever cuts the records.
    d.u64().map_err(|_| malformed())?;
    let seed = d.bytes().ok().and_then(|seed| seed.try_into().ok());
    let records = d.bytes().map_err(|_| malformed())?;
    Ok((seed.ok_or_else(malformed)?, records))
}

/// The records, one after the other; `None` unless the bytes are whole items, at most as many as a delta holds.
fn cut(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut items = Vec::new();
    while !bytes.is_empty() && items.len() < limits::RECORDS_PER_DELTA {
        let (item, rest) = bytes.split_at(canonical::item_len(bytes).ok()?);
        items.push(item);
        bytes = rest;
    }
    bytes.is_empty().then_some(items)
}

/// Whether a record's first field is this id: an array of 3, then a byte string of 16.
fn starts_with_entry(record: &[u8], entry: EntryId) -> bool {
    let id = record.strip_prefix(&[0x83, 0x50]);
    id.is_some_and(|rest| rest.starts_with(&entry.0))
}

/// A tree in the shape of RFC 6962: the hashes of its perfect subtrees, by height; those above the leaves that are left over
/// are made when they are asked for.
struct Tree {
    node: &'static Domain,
    heights: Vec<Vec<Hash>>,
}

impl Tree {
    /// O(n) hashes; 64 bytes a leaf.
    fn new(node: &'static Domain, leaves: Vec<Hash>) -> Self {
        let mut heights = vec![leaves];
        while let Some(below) = heights.last().filter(|below| below.len() > 1) {
            let pairs = below.chunks_exact(2);
            heights.push(pairs.map(|pair| node.hash(&[&pair[0], &pair[1]])).collect());
        }
        Self { node, heights }
    }

    /// Root over `len` leaves from `start`, which is where a subtree of the shape starts. O(log n) hashes.
    fn root(&self, start: usize, len: usize) -> Hash {
        if len.is_power_of_two() {
            let height = len.ilog2();
            let row = self.heights.get(height as usize);
            let hash = row.and_then(|row| row.get(start >> height));
            return hash.copied().unwrap_or_default();
        }
        if len == 0 {
            return Hash::default();
        }
        let split = salts::split(len);
        let (left, right) = (
            self.root(start, split),
            self.root(start + split, len - split),
        );
        self.node.hash(&[&left, &right])
    }

    /// The siblings from leaf `index` to the root.
    fn path(&self, index: usize) -> Vec<Hash> {
        let (mut start, mut len) = (0, self.heights.first().map_or(0, Vec::len));
        let mut path = Vec::with_capacity(super::PATH_MAX);
        for right in turns(index as u64, len as u64) {
            let split = salts::split(len);
            if right {
                path.push(self.root(start, split));
                start += split;
                len -= split;
            } else {
                path.push(self.root(start + split, len - split));
                len = split;
            }
        }
        path.reverse();
        path
    }
}

/// Turns and hashes from the row of a class that the table has to `T`.
fn path_of_row(table: &ClassTable, class: ClassId) -> (u64, Vec<Hash>) {
    let leaves = table.leaves();
    let row = table.classes.partition_point(|entry| entry.class < class);
    let turns = turns(row as u64, leaves.len() as u64);
    // Root first, so the first turn becomes the highest bit.
    let bits = turns
        .iter()
        .fold(0, |bits, right| bits << 1 | u64::from(*right));
    (bits, Tree::new(&b3::TABLE_NODE, leaves).path(row))
}
