//! Packs: some records of one class of one delta, or its retractions, checked against the origin's signature.
//!
//! A pack is a section in the form of bodies (`delta::section`), disclosed if the member gets the whole class and else in
//! part, and the way of the class's row to `T`. The header is checked once for all packs of a delta.
//! In scope: that the origin signed it. Out of scope: that the header stands in the log at its index, which a member that
//! keeps the log's tiles can ask for, and whether a record was retracted since.

use hashpact_keys::{KeyId, Origin, Roster};

use crate::delta::{
    ClassEntry, ClassSection, Header, HeaderError, Retraction, SectionError, Seq, TablePath,
    read_retraction_section,
};
use crate::labels::{ClassId, Labels, State};
use crate::limits;
use crate::record::{EntryId, Record, RecordError, Revision};

/// A delta whose header is its origin's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedDelta {
    header: Header,
}

/// A record that its origin signed. No derived Debug: it holds fingerprints.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifiedRecord {
    /// The entry.
    pub entry: EntryId,
    /// Its revision.
    pub revision: Revision,
    /// All of it.
    pub record: Record,
}

impl std::fmt::Debug for VerifiedRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifiedRecord")
            .field("entry", &self.entry)
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}

/// What a pack shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedPack {
    /// The class.
    pub class: ClassId,
    /// Records of the class in this delta, here or not.
    pub count: u64,
    /// Those that are here, in order of entry.
    pub records: Vec<VerifiedRecord>,
}

/// Why a pack is refused. Nothing here shows a byte of a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackError {
    /// The delta's header, or who signed it.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// No centre of the roster writes this log.
    #[error("pack: no centre of the roster writes the log {origin}")]
    Origin {
        /// The log.
        origin: Origin,
    },
    /// The header is for another network.
    #[error("pack: the header is for another network")]
    Network,
    /// The header was signed by a key that was revoked before.
    #[error("pack: signed by key {key}, which is revoked from log size {from} on")]
    Revoked {
        /// The key.
        key: KeyId,
        /// The first leaf that it may not have signed.
        from: u64,
    },
    /// The section.
    #[error("pack: {0}")]
    Section(#[from] SectionError),
    /// The section is of another class.
    #[error("pack: of class {got}, expected {expected}")]
    Class {
        /// The one that was said.
        expected: ClassId,
        /// The one that it names.
        got: ClassId,
    },
    /// More records than a delta can have, or none of them here.
    #[error("pack: a class of {got} records, with one of them at least, and at most {max}")]
    Count {
        /// What it says.
        got: u64,
        /// The most.
        max: u64,
    },
    /// A record.
    #[error("pack: record {index}: {source}")]
    Record {
        /// Which, from 0.
        index: usize,
        /// Why.
        source: RecordError,
    },
    /// Records that are out of order, or one entry twice.
    #[error("pack: record {index} is not above the one before it")]
    Order {
        /// Which, from 0.
        index: usize,
    },
    /// A classifier's opinion where a person's assessment is claimed.
    #[error("pack: record {index} states a classifier's opinion in a class that is not suspected")]
    Classifier {
        /// Which, from 0.
        index: usize,
    },
    /// Not the retraction section that is expected.
    #[error("pack: not a list of retractions")]
    Retractions,
    /// It does not lead to what the origin signed.
    #[error("pack: it does not lead to the root that its origin signed")]
    Root,
}

impl SignedDelta {
    /// Opens a header, as its leaf at `index` of the log has it: signed by a delta key of the log's centre that was valid then
    /// and was not revoked before that leaf.
    ///
    /// # Errors
    /// [`PackError::Header`], [`PackError::Origin`], [`PackError::Network`] or [`PackError::Revoked`].
    pub fn open(header: &[u8], index: u64, roster: &Roster) -> Result<Self, PackError> {
        let claimed = Header::claimed(header)?;
        let centre = roster.centre(claimed.origin.centre());
        let centre = centre.filter(|centre| centre.origin == claimed.origin);
        let centre = centre.ok_or(PackError::Origin {
            origin: claimed.origin,
        })?;
        let key = Header::signer(header)?;
        let header = Header::open(header, centre)?;
        if header.network != roster.network {
            return Err(PackError::Network);
        }
        match roster.revoked_from(&key, &header.origin) {
            Some(from) if from <= index => Err(PackError::Revoked { key, from }),
            Some(_) | None => Ok(Self { header }),
        }
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Verifies the records of one class, under the labels that its log defines for it. O(n) hashes for n records.
    ///
    /// # Errors
    /// [`PackError`].
    pub fn verify_pack(
        &self,
        (class, labels): (ClassId, &Labels),
        path: &TablePath,
        section: &[u8],
    ) -> Result<VerifiedPack, PackError> {
        let section = ClassSection::read(section)?;
        let (got, count) = (section.class(), section.count());
        if got != class {
            let expected = class;
            return Err(PackError::Class { expected, got });
        }
        let max = self.header.total.min(limits::RECORDS_PER_DELTA as u64);
        if count > max || section.is_withheld() {
            return Err(PackError::Count { got: count, max });
        }
        let entry = section.signed(&self.header.origin, self.header.seq)?;
        if path.root_of_class(&entry) != self.header.table {
            return Err(PackError::Root);
        }
        let records = read_records(&section, labels.state == State::Suspected)?;
        let ClassEntry { class, count, .. } = entry;
        Ok(VerifiedPack {
            class,
            count,
            records,
        })
    }

    /// Verifies all retractions of the delta.
    ///
    /// # Errors
    /// [`PackError::Retractions`] or [`PackError::Root`].
    pub fn verify_retractions(
        &self,
        path: &TablePath,
        list: &[u8],
    ) -> Result<Vec<Retraction>, PackError> {
        let Header {
            origin, seq, table, ..
        } = &self.header;
        let read = read_retraction_section(list, origin, *seq);
        let (list, entry) = read.ok_or(PackError::Retractions)?;
        match path.root_of_retractions(&entry) == *table {
            true => Ok(list),
            false => Err(PackError::Root),
        }
    }

    /// The delta's place: log and number.
    #[must_use]
    pub fn place(&self) -> (&Origin, Seq) {
        (&self.header.origin, self.header.seq)
    }
}

fn read_records(
    section: &ClassSection<'_>,
    may_be_classified: bool,
) -> Result<Vec<VerifiedRecord>, PackError> {
    let items = section.entries()?;
    let mut records: Vec<VerifiedRecord> = Vec::with_capacity(items.len());
    for (index, (_, item)) in items.into_iter().enumerate() {
        let record = Record::from_bytes(item);
        let record = record.map_err(|source| PackError::Record { index, source })?;
        if record.fields.classifier.is_some() && !may_be_classified {
            return Err(PackError::Classifier { index });
        }
        let last = records.last().map(|last| last.entry);
        if last.is_some_and(|last| last >= record.entry) {
            return Err(PackError::Order { index });
        }
        records.push(VerifiedRecord {
            entry: record.entry,
            revision: record.revision,
            record,
        });
    }
    Ok(records)
}
