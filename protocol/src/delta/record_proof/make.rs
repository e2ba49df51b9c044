//! Record proofs out of a class that is disclosed, or of which single records are withheld.
//!
//! Why: a proof needs the hash of every other record of the class, and those need every salt. So the class is hashed once,
//! and each proof after that costs a few hashes: an auditor who draws a sample asks for many records of one class.
//! In scope: making. Out of scope: reading the section from a disk (`store` in the node).

use super::super::opening::Opening;
use super::super::section::{ClassSection, Opened, entry_of};
use super::super::{ClassEntry, ClassTable, Expected, class_root, record_leaf, salts};
use super::{RecordProof, turns};
use crate::b3::{self, Domain, Hash};
use crate::labels::ClassId;
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

/// A class whose records, as far as they are here, can be proven one by one.
pub struct RecordProver<'a> {
    header: &'a [u8],
    row: ClassEntry,
    items: Vec<&'a [u8]>,
    /// Of each item: its place in the class, and its salt.
    salts: Vec<(usize, [u8; 16])>,
    tree: Hashes,
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
        let (opening, items) = open_section(section, row)?;
        let leaves = usize::try_from(row.count);
        let leaves = leaves.map_err(|_| MakeRecordProofError::Section { class })?;
        let mut own = Vec::with_capacity(items.len());
        opening.for_each_salt(0, leaves, &mut |place, salt| own.push((place, salt)));
        let hashes = own.iter().zip(&items);
        let mut hashes = hashes.map(|((_, salt), item)| record_leaf(salt, item));
        let tree = Hashes::new(&opening, leaves, &mut hashes);
        if class_root(
            &expected.origin,
            expected.seq,
            class,
            row.count,
            &tree.root(),
        ) != row.root
        {
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
        let mut records = self.items.iter().zip(&self.salts);
        let found = records.find(|(item, _)| entry_of(item) == Some(entry));
        let (item, (place, salt)) = found.ok_or(MakeRecordProofError::Absent { class, entry })?;
        let leaves = usize::try_from(self.row.count).unwrap_or(usize::MAX);
        Ok(RecordProof {
            header: self.header.to_vec(),
            class,
            count: self.row.count,
            position: *place as u64,
            salt: *salt,
            record: item.to_vec(),
            path: self.tree.path(*place, leaves),
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

/// The section of this row's class.
fn open_section<'a>(
    section: &'a [u8],
    row: &ClassEntry,
) -> Result<Opened<'a>, MakeRecordProofError> {
    let class = row.class;
    let malformed = || MakeRecordProofError::Section { class };
    let section = ClassSection::read(section).map_err(|_| malformed())?;
    if section.class() != class {
        return Err(malformed());
    }
    let opened = section.opening().map_err(|_| malformed())?;
    let opened = opened.ok_or(MakeRecordProofError::Withheld { class })?;
    if section.count() == row.count {
        Ok(opened)
    } else {
        Err(malformed())
    }
}

/// The hashes of a class's tree, as far as it is opened.
enum Hashes {
    /// Every leaf below is.
    Open(Tree),
    /// None is.
    Hidden(Hash),
    /// Some are: the node's hash, and its halves.
    Split(Hash, Box<[Hashes; 2]>),
}

impl Hashes {
    /// `opened` are the leaf hashes that follow, in order; those of this node are taken off.
    fn new(opening: &Opening, leaves: usize, opened: &mut impl Iterator<Item = Hash>) -> Self {
        match opening {
            Opening::Seed(_) | Opening::Salt(_) => {
                Self::Open(Tree::new(&b3::NODE, opened.take(leaves).collect()))
            }
            Opening::Hidden(hash) => Self::Hidden(*hash),
            Opening::Split(halves) => {
                let split = salts::split(leaves);
                let left = Self::new(&halves[0], split, opened);
                let right = Self::new(&halves[1], leaves - split, opened);
                let node = b3::NODE.hash(&[&left.root(), &right.root()]);
                Self::Split(node, Box::new([left, right]))
            }
        }
    }

    fn root(&self) -> Hash {
        match self {
            Self::Open(tree) => tree.root(0, tree.len()),
            Self::Hidden(hash) | Self::Split(hash, _) => *hash,
        }
    }

    /// The siblings from leaf `index`, which is opened, to this node.
    fn path(&self, index: usize, leaves: usize) -> Vec<Hash> {
        match self {
            Self::Open(tree) => tree.path(index),
            Self::Hidden(_) => Vec::new(),
            Self::Split(_, halves) => {
                let [left, right] = &**halves;
                let split = salts::split(leaves);
                let (mut path, sibling) = if index < split {
                    (left.path(index, split), right.root())
                } else {
                    (right.path(index - split, leaves - split), left.root())
                };
                path.push(sibling);
                path
            }
        }
    }
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

    fn len(&self) -> usize {
        self.heights.first().map_or(0, Vec::len)
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
        let (mut start, mut len) = (0, self.len());
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

/// From a row of the table, the retractions' being the last, to `T`: each hash beside the way, and whether it stands left.
pub(in super::super) fn way_of_row(table: &ClassTable, row: usize) -> Vec<(bool, Hash)> {
    let leaves = table.leaves();
    let mut sides = turns(row as u64, leaves.len() as u64);
    sides.reverse();
    let path = Tree::new(&b3::TABLE_NODE, leaves).path(row);
    sides.into_iter().zip(path).collect()
}
