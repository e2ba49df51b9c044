//! The body of a delta: the records beside the log, per class disclosed, withheld or in part, and the retractions, always.
//!
//! On the wire and at rest a body is a sequence of sections, each one canonical CBOR item:
//!
//! ```text
//! disclosed   [c, 0, n, seed, bstr]     the bytes are n records, one after the other, sorted by entry id
//! withheld    [c, 1, n, R_c]
//! partial     [c, 2, n, stream, bstr]   the bytes are the records that the stream (`opening`) opens
//! retractions [65536, [[entry_id, rev]...]]
//! ```
//!
//! Sections are in order of class, the retractions last. Spec: `docs/protocol.md`, "Body".

mod error;
mod read;
mod redact;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::ops::Range;

use hashpact_keys::{Origin, canonical};

use super::{ClassEntry, ClassTable, Retraction, Seq};
use crate::b3::Hash;
use crate::labels::ClassId;
use crate::limits;

pub use error::BodyError;
use read::{Ids, read_retractions, read_section};
pub use read::{read_retraction_section, verify_retractions};

/// Number of the retraction section, above every class.
pub const RETRACTION_SECTION: u32 = 65_536;

/// How a class stands in a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disclosure {
    /// All records are here; the range is theirs within the body's bytes.
    Disclosed(Range<usize>),
    /// Only the count and the root are known.
    Withheld,
    /// Single records are withheld.
    Partial {
        /// Where the records that are here lie within the body's bytes.
        records: Range<usize>,
        /// How many those are: at least one, and fewer than all.
        held: u64,
    },
}

/// One class of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The class.
    pub class: ClassId,
    /// Records that the origin signed for.
    pub count: u64,
    /// The root that it signed.
    pub root: Hash,
    /// The section's range within the body's bytes.
    pub range: Range<usize>,
    /// What is known of them.
    pub disclosure: Disclosure,
}

impl Section {
    /// The row of the class table.
    #[must_use]
    pub fn signed(&self) -> ClassEntry {
        ClassEntry {
            class: self.class,
            count: self.count,
            root: self.root,
        }
    }

    /// How many of its records are here.
    #[must_use]
    pub fn held(&self) -> u64 {
        match self.disclosure {
            Disclosure::Disclosed(_) => self.count,
            Disclosure::Partial { held, .. } => held,
            Disclosure::Withheld => 0,
        }
    }

    /// How many of its records are not.
    #[must_use]
    pub fn withheld(&self) -> u64 {
        self.count - self.held()
    }
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

    /// Puts together what a draft laid out.
    pub(super) fn from_parts(
        bytes: Vec<u8>,
        sections: Vec<Section>,
        retractions_at: usize,
        retractions: Vec<Retraction>,
    ) -> Self {
        let retraction_range = retractions_at..bytes.len();
        Self {
            sections,
            retraction_range,
            retractions,
            bytes,
        }
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

    /// Whether a class is withheld, or a single record.
    #[must_use]
    pub fn withholds(&self) -> bool {
        self.sections.iter().any(|section| section.withheld() > 0)
    }

    /// Every disclosed record with its class and its offset within the bytes.
    pub fn records(&self) -> impl Iterator<Item = (ClassId, usize, &[u8])> {
        self.sections.iter().flat_map(move |section| {
            let range = match &section.disclosure {
                Disclosure::Disclosed(records) | Disclosure::Partial { records, .. } => {
                    records.clone()
                }
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
