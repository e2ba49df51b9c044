//! How an origin makes a delta: group by class, sort, salt, hash; then bind to a place in the log and sign.
//!
//! Drafting is the heavy part and needs no key and no place, so it runs beside the core; [`Draft::seal`] is cheap.

use hashpact_keys::Origin;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::body::{Disclosure, Section};
use super::opening::tree_root;
use super::salts::class_seed;
use super::section::{disclosed_section_head, retraction_section};
use super::{
    Body, BodyError, ClassEntry, ClassTable, Expected, Retraction, RetractionEntry, Seq,
    TableError, class_root, retraction_root,
};
use crate::b3::Hash;
use crate::labels::ClassId;
use crate::limits;
use crate::record::{EntryId, Record};

/// One class of a draft: its records sorted, salted and hashed.
pub struct DraftClass {
    class: ClassId,
    count: u64,
    seed: Zeroizing<[u8; 32]>,
    records: Vec<u8>,
    tree: Hash,
    is_classified: bool,
}

/// A delta before it has a place in the log.
pub struct Draft {
    classes: Vec<DraftClass>,
    retractions: Vec<Retraction>,
}

/// A draft bound to its place: the table that the header commits to, and the body.
pub struct Sealed {
    /// The class table.
    pub table: ClassTable,
    /// The body, checked as a receiver checks it.
    pub body: Body,
}

/// Why a draft is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// The table would be refused.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The body would be refused by a receiver.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// One entry id twice among the records, or twice among the retractions.
    #[error("draft: an entry id stands twice")]
    RepeatedEntry,
    /// A retraction of revision 0, which no entry has.
    #[error("draft: revisions count from 1")]
    Revision,
}

impl Draft {
    /// Drafts a delta of records and retractions.
    ///
    /// `records` are (class, entry id, record bytes) in any order; they are grouped by class and sorted by entry id.
    /// O(n log n) for the sort, O(n) hashes.
    ///
    /// # Errors
    /// [`DraftError`] if a receiver would refuse the result.
    pub fn new<'a>(
        records: impl IntoIterator<Item = (ClassId, EntryId, &'a [u8])>,
        mut retractions: Vec<Retraction>,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, DraftError> {
        // Lives here only: classes keep what they need of it, and it is never stored or sent.
        let mut delta_secret = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *delta_secret);
        let mut records: Vec<(ClassId, EntryId, &[u8])> = records.into_iter().collect();
        let mut ids: Vec<EntryId> = records.iter().map(|(_, entry, _)| *entry).collect();
        ids.sort_unstable();
        if ids.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(DraftError::RepeatedEntry);
        }
        records.sort_unstable_by_key(|(class, entry, _)| (*class, *entry));
        retractions.sort_unstable();
        if retractions.windows(2).any(|w| w[0].entry == w[1].entry) {
            return Err(DraftError::RepeatedEntry);
        }
        if retractions
            .iter()
            .any(|retraction| retraction.revision.0 == 0)
        {
            return Err(DraftError::Revision);
        }
        let max = limits::RECORDS_PER_DELTA;
        if records.len() > max {
            let got = records.len() as u64;
            return Err(TableError::TooMany {
                what: "records",
                got,
                max,
            }
            .into());
        }
        let classes = records
            .chunk_by(|a, b| a.0 == b.0)
            .map(|group| DraftClass::new(group, &delta_secret))
            .collect();
        Ok(Self {
            classes,
            retractions,
        })
    }

    /// Records over all classes.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.classes.iter().map(|class| class.count).sum()
    }

    /// The classes used.
    pub fn classes(&self) -> impl Iterator<Item = ClassId> {
        self.classes.iter().map(|class| class.class)
    }

    /// The classes in which a record states a classifier's opinion: they must be suspected.
    pub fn classified(&self) -> impl Iterator<Item = ClassId> {
        let classes = self.classes.iter().filter(|class| class.is_classified);
        classes.map(|class| class.class)
    }

    /// Binds the draft to its place in the log.
    ///
    /// # Errors
    /// [`DraftError::Table`] if a bound is passed.
    pub fn seal(self, origin: &Origin, seq: Seq) -> Result<Sealed, DraftError> {
        let classes = self.classes.iter().map(|class| ClassEntry {
            class: class.class,
            count: class.count,
            root: class_root(origin, seq, class.class, class.count, &class.tree),
        });
        let retractions = RetractionEntry {
            count: self.retractions.len() as u64,
            root: retraction_root(origin, seq, &self.retractions),
        };
        let table = ClassTable {
            classes: classes.collect(),
            retractions,
        };
        table.check()?;
        let expected = Expected {
            origin: origin.clone(),
            seq,
            table,
            suspected: self.classified().collect(),
        };
        let body = Body::from_draft(self, &expected)?;
        Ok(Sealed {
            table: expected.table,
            body,
        })
    }
}

impl DraftClass {
    fn new(group: &[(ClassId, EntryId, &[u8])], delta_secret: &[u8; 32]) -> Self {
        let class = group.first().map_or(ClassId(0), |(class, _, _)| *class);
        let seed = Zeroizing::new(class_seed(delta_secret, class));
        let items: Vec<&[u8]> = group.iter().map(|(_, _, record)| *record).collect();
        let tree = tree_root(&seed, &items);
        let is_classified =
            |record: &&[u8]| Record::check_first(record).is_ok_and(|checked| checked.is_classified);
        Self {
            class,
            count: items.len() as u64,
            seed,
            records: items.concat(),
            tree,
            is_classified: items.iter().any(is_classified),
        }
    }
}

impl Body {
    /// Lays out a draft's sections. What this node has just hashed is not hashed again: `expected` was made from it.
    fn from_draft(draft: Draft, expected: &Expected) -> Result<Self, BodyError> {
        let size = draft
            .classes
            .iter()
            .map(|class| class.records.len() + 64)
            .sum::<usize>();
        let mut bytes = Vec::with_capacity(size + 32 + draft.retractions.len() * 22);
        let mut sections = Vec::with_capacity(draft.classes.len());
        for (class, entry) in draft.classes.iter().zip(&expected.table.classes) {
            let start = bytes.len();
            let len = class.records.len();
            bytes.extend(disclosed_section_head(
                class.class,
                class.count,
                &class.seed,
                len,
            ));
            bytes.extend_from_slice(&class.records);
            let records = bytes.len() - len..bytes.len();
            sections.push(Section {
                class: class.class,
                count: class.count,
                root: entry.root,
                range: start..bytes.len(),
                disclosure: Disclosure::Disclosed(records),
            });
        }
        let start = bytes.len();
        bytes.extend(retraction_section(&draft.retractions));
        if bytes.len() > limits::BODY_BYTES {
            return Err(BodyError::TooLarge { got: bytes.len() });
        }
        debug_assert_eq!(expected.table.classes.len(), sections.len());
        Ok(Self::from_parts(bytes, sections, start, draft.retractions))
    }
}
