//! The way from one row of a class table to `T`: that a header commits to a class, or to its retractions, shown without the
//! other rows.
//!
//! Why: a provider gets the classes that it may have, and the rows of the others are not its to see. The header does not say
//! how many rows its table has, so each step says on which side its hash stands:
//!
//! ```text
//! step   33 bytes: 1 if the hash stands left, else 0; then the hash. From the row to T, at most 11.
//! ```
//!
//! A row of a class and the row of the retractions are arrays of different length, so that neither passes for the other.
//! Spec: `docs/protocol.md`, "Packs". In scope: making and climbing. Out of scope: what hangs below the row (`section`).

use super::record_proof::{ROWS_MAX, climb, way_of_row};
use super::table::{encode_class, encode_last};
use super::{ClassEntry, ClassTable, RetractionEntry};
use crate::b3::{self, Hash};
use crate::labels::ClassId;

/// Bytes of one step.
pub const PATH_STEP: usize = 33;

/// The hashes beside the way from a row to `T`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TablePath(Vec<(bool, Hash)>);

/// Bytes that are no path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// More steps than the largest table is deep.
    #[error("path: more than {ROWS_MAX} steps")]
    TooLong,
    /// A step is not a side, 0 or 1, and 32 bytes.
    #[error("path: step {step} is not a side and a hash")]
    Step {
        /// Which, from 0.
        step: usize,
    },
}

impl TablePath {
    /// The way of a class's row; nothing if the table has none.
    #[must_use]
    pub fn of_class(table: &ClassTable, class: ClassId) -> Option<Self> {
        let rows = &table.classes;
        let row = rows.binary_search_by_key(&class, |entry| entry.class);
        row.ok().map(|row| Self::of_row(table, row))
    }

    /// The way of the row of the retractions, which is the last.
    #[must_use]
    pub fn of_retractions(table: &ClassTable) -> Self {
        Self::of_row(table, table.classes.len())
    }

    fn of_row(table: &ClassTable, row: usize) -> Self {
        Self(way_of_row(table, row))
    }

    /// `T`, if this is the way of this class's row.
    #[must_use]
    pub fn root_of_class(&self, entry: &ClassEntry) -> Hash {
        self.root(&encode_class(entry))
    }

    /// `T`, if this is the way of this row of retractions.
    #[must_use]
    pub fn root_of_retractions(&self, entry: &RetractionEntry) -> Hash {
        self.root(&encode_last(entry))
    }

    fn root(&self, row: &[u8]) -> Hash {
        let steps = self.0.iter().map(|(left, hash)| (*left, hash));
        climb(&b3::TABLE_NODE, b3::TABLE_LEAF.hash(&[row]), steps)
    }

    /// The steps, as they travel.
    pub fn steps(&self) -> impl ExactSizeIterator<Item = [u8; PATH_STEP]> + '_ {
        self.0.iter().map(|(left, hash)| {
            let mut step = [u8::from(*left); PATH_STEP];
            step[1..].copy_from_slice(hash);
            step
        })
    }

    /// Reads steps, strictly.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn from_steps<'a>(steps: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, PathError> {
        let mut path = Vec::new();
        for (step, bytes) in steps.into_iter().enumerate() {
            if step == ROWS_MAX {
                return Err(PathError::TooLong);
            }
            let side = bytes.split_first().and_then(|(side, hash)| {
                let hash: Hash = hash.try_into().ok()?;
                (*side < 2).then_some((*side == 1, hash))
            });
            path.push(side.ok_or(PathError::Step { step })?);
        }
        Ok(Self(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(classes: u16) -> ClassTable {
        let class = |class| ClassEntry {
            class: ClassId(class * 2),
            count: u64::from(class) + 1,
            root: [u8::try_from(class).unwrap(); 32],
        };
        ClassTable {
            classes: (0..classes).map(class).collect(),
            retractions: RetractionEntry {
                count: 7,
                root: [9; 32],
            },
        }
    }

    #[test]
    fn every_row_of_tables_of_every_size_leads_to_the_root_and_no_other_row_does() {
        for size in 0..20 {
            let table = table(size);
            let last = TablePath::of_retractions(&table);
            assert_eq!(last.root_of_retractions(&table.retractions), table.root());
            for entry in &table.classes {
                let path = TablePath::of_class(&table, entry.class).unwrap();
                assert_eq!(path.root_of_class(entry), table.root());
                let steps: Vec<_> = path.steps().collect();
                let back = TablePath::from_steps(steps.iter().map(|step| &step[..]));
                assert_eq!(back, Ok(path.clone()));
                let other = ClassEntry {
                    count: entry.count + 1,
                    ..entry.clone()
                };
                assert_ne!(path.root_of_class(&other), table.root());
            }
            assert_eq!(TablePath::of_class(&table, ClassId(1)), None);
        }
    }

    #[test]
    fn a_step_that_is_no_side_and_hash_is_refused_and_so_is_one_step_too_many() {
        let step = [0; PATH_STEP];
        let many = vec![&step[..]; ROWS_MAX + 1];
        assert_eq!(TablePath::from_steps(many), Err(PathError::TooLong));
        for bad in [&[2; PATH_STEP][..], &[0; 32], &[0; 34], &[]] {
            let bad = TablePath::from_steps([&step[..], bad]);
            assert_eq!(bad, Err(PathError::Step { step: 1 }));
        }
    }
}
