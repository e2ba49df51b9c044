//! The record proof: that an origin signed one record, shown without any other record of its delta.
//!
//! Why: an auditor, a court or a provider asks about one entry, and a body holds thousands that are not theirs to see. The
//! proof runs from the salted record to its class root, from the class's row to `T`, and ends in the signed header, so that
//! it needs nothing but a delta key of its origin. What else it tells is the size of the record's class and hashes.
//!
//! ```text
//! [ "hashpact-record-proof", 1, header: bstr, class: u16, count, position, salt: bstr .size 16, record: bstr,
//!   path: [*16 hash], turns, rows: [*11 hash] ]
//! ```
//!
//! `path` and `rows` run from leaf to root. The header does not say how many rows its table has, so `turns` says on which
//! side each hash of `rows` stands: bit i is 1 where `rows[i]` stands left. The place in the class tree follows from
//! position and count, which the class root commits to. So a proof has one form.
//!
//! Spec: `docs/protocol.md`, "Record proof". In scope: reading and checking; `make` makes them. Out of scope: that the header stands
//! in a log (`log`), and whether the record has since been retracted, which no proof of the past can show.

mod make;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::fmt;

use hashpact_keys::roster::CentreEntry;
use hashpact_keys::{KeyId, NetworkId, Origin, Timestamp, canonical};
use minicbor::{Decoder, Encoder};

use super::table::encode_class;
use super::{ClassEntry, Header, HeaderError, Seq, class_root, record_leaf};
use crate::b3::{self, Domain, Hash};
use crate::labels::ClassId;
use crate::record::{EntryId, Record, RecordError, Revision};

pub(super) use make::way_of_row;
pub use make::{MakeRecordProofError, RecordProver};

/// What the bytes begin with, so that a file of this kind is known by itself.
const MAGIC: &str = "hashpact-record-proof";
/// The version of the form.
const VERSION: u64 = 1;
/// Hashes from a record to the root of its class: 65,536 records.
const PATH_MAX: usize = 16;
/// Hashes from a row to `T`: 1,024 classes and the retractions.
pub(super) const ROWS_MAX: usize = 11;

/// A proof that one record stands in a delta. What it says is true only once [`RecordProof::verify`] has said so.
#[derive(Clone, PartialEq, Eq)]
pub struct RecordProof {
    header: Vec<u8>,
    class: ClassId,
    count: u64,
    position: u64,
    salt: [u8; 16],
    record: Vec<u8>,
    path: Vec<Hash>,
    turns: u64,
    rows: Vec<Hash>,
}

/// What a record proof shows: this centre signed for this record, in this delta.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenRecord {
    /// The network that the header is for.
    pub network: NetworkId,
    /// The log.
    pub origin: Origin,
    /// The delta.
    pub seq: Seq,
    /// When its header was signed.
    pub issued_at: Timestamp,
    /// The key that signed; a revocation, which names a log size, is the caller's to ask for.
    pub signer: KeyId,
    /// The record's class.
    pub class: ClassId,
    /// Records in that class of the delta.
    pub count: u64,
    /// The entry.
    pub entry: EntryId,
    /// Its revision.
    pub revision: Revision,
    /// The salted hash of the record: what an attestation of it names.
    pub leaf: Hash,
}

/// Why a record proof is refused. Nothing here shows a byte of a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordProofError {
    /// Longer than [`RecordProof::BYTES_MAX`].
    #[error("record proof: {got} bytes, at most {}", RecordProof::BYTES_MAX)]
    TooLarge {
        /// Its length.
        got: usize,
    },
    /// Not canonical CBOR of the expected shape.
    #[error("record proof: not the expected shape")]
    Shape,
    /// A version that this one does not read.
    #[error("record proof: version {got}, expected {VERSION}")]
    Version {
        /// The version.
        got: u64,
    },
    /// The header, or who signed it.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The header is for another log than the centre's.
    #[error("record proof: of {got}, expected {expected}")]
    Origin {
        /// The centre's log.
        expected: Origin,
        /// The log that the header names.
        got: Origin,
    },
    /// A class of more records than its delta.
    #[error("record proof: class {class} counts {got} records, its delta {max}")]
    Count {
        /// The class.
        class: ClassId,
        /// Records of the class, as the proof says.
        got: u64,
        /// Records of the delta, as the header says.
        max: u64,
    },
    /// A place that the class does not have.
    #[error("record proof: record {position} of {count}")]
    Position {
        /// The place, from 0.
        position: u64,
        /// Records of the class.
        count: u64,
    },
    /// The path to the class root is not as long as the class is deep.
    #[error("record proof: a path of {got} hashes, expected {expected}")]
    PathLength {
        /// How many the place calls for.
        expected: usize,
        /// How many there are.
        got: usize,
    },
    /// More turns than hashes of the table.
    #[error("record proof: a turn beyond the {rows} hashes of the table")]
    Turns {
        /// How many hashes there are.
        rows: usize,
    },
    /// The record does not lead to what the origin signed.
    #[error("record proof: the record does not lead to the root that its origin signed")]
    Root,
    /// The record, although its origin signed it.
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl RecordProof {
    /// Most bytes of a record proof: a header of the longest kind would fit, and a record beside it.
    pub const BYTES_MAX: usize = 64 * 1024;

    /// Verifies the proof under the delta keys of a centre. O(log n) hashes and one signature.
    ///
    /// # Errors
    /// [`RecordProofError`].
    pub fn verify(&self, centre: &CentreEntry) -> Result<ProvenRecord, RecordProofError> {
        let signer = Header::signer(&self.header)?;
        let header = Header::open(&self.header, centre)?;
        if header.origin != centre.origin {
            let (expected, got) = (centre.origin.clone(), header.origin);
            return Err(RecordProofError::Origin { expected, got });
        }
        if self.count > header.total {
            return Err(RecordProofError::Count {
                class: self.class,
                got: self.count,
                max: header.total,
            });
        }
        let tree = self.tree_root()?;
        let row = ClassEntry {
            class: self.class,
            count: self.count,
            root: class_root(&header.origin, header.seq, self.class, self.count, &tree),
        };
        if self.table_root(&row)? != header.table {
            return Err(RecordProofError::Root);
        }
        let record = Record::from_bytes(&self.record)?;
        Ok(ProvenRecord {
            network: header.network,
            origin: header.origin,
            seq: header.seq,
            issued_at: header.issued_at,
            signer,
            class: self.class,
            count: self.count,
            entry: record.entry,
            revision: record.revision,
            leaf: record_leaf(&self.salt, &self.record),
        })
    }

    /// Root of the class's tree, as the path has it.
    fn tree_root(&self) -> Result<Hash, RecordProofError> {
        let (position, count) = (self.position, self.count);
        if position >= count {
            return Err(RecordProofError::Position { position, count });
        }
        let mut turns = turns(position, count);
        turns.reverse();
        if turns.len() != self.path.len() {
            return Err(RecordProofError::PathLength {
                expected: turns.len(),
                got: self.path.len(),
            });
        }
        let leaf = record_leaf(&self.salt, &self.record);
        Ok(climb(&b3::NODE, leaf, turns.into_iter().zip(&self.path)))
    }

    /// `T`, as the rows have it.
    fn table_root(&self, row: &ClassEntry) -> Result<Hash, RecordProofError> {
        let rows = self.rows.len();
        if self.turns >= 1 << rows {
            return Err(RecordProofError::Turns { rows });
        }
        let turns = (0..rows).map(|bit| self.turns >> bit & 1 == 1);
        let leaf = b3::TABLE_LEAF.hash(&[&encode_class(row)]);
        Ok(climb(&b3::TABLE_NODE, leaf, turns.zip(&self.rows)))
    }

    /// The header's COSE_Sign1 bytes: those that the delta's leaf holds, if it stands in the log.
    #[must_use]
    pub fn header(&self) -> &[u8] {
        &self.header
    }

    /// The salted hash of the record: what attestations and disputes of it name. Nothing is verified.
    #[must_use]
    pub fn leaf(&self) -> Hash {
        record_leaf(&self.salt, &self.record)
    }

    /// The record's bytes.
    #[must_use]
    pub fn record(&self) -> &[u8] {
        &self.record
    }

    /// The key that the header names as its signer's: it leads to the centre to verify with.
    ///
    /// # Errors
    /// [`HeaderError::Shape`] if there is no header.
    pub fn signer(&self) -> Result<KeyId, HeaderError> {
        Header::signer(&self.header)
    }

    /// The proof's bytes: canonical CBOR.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut e = Encoder::new(Vec::with_capacity(1_024 + self.record.len()));
        // Writing to a Vec cannot fail.
        let _ = self.encode(&mut e);
        e.into_writer()
    }

    fn encode(&self, e: &mut Encoder<Vec<u8>>) -> Result<(), minicbor::encode::Error<Infallible>> {
        e.array(11)?.str(MAGIC)?.u64(VERSION)?;
        e.bytes(&self.header)?
            .u16(self.class.0)?
            .u64(self.count)?
            .u64(self.position)?
            .bytes(&self.salt)?
            .bytes(&self.record)?;
        encode_hashes(e, &self.path)?;
        e.u64(self.turns)?;
        encode_hashes(e, &self.rows)
    }

    /// Reads a proof, strictly. Nothing that it says is checked.
    ///
    /// # Errors
    /// [`RecordProofError::TooLarge`], [`RecordProofError::Shape`] or [`RecordProofError::Version`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordProofError> {
        if bytes.len() > Self::BYTES_MAX {
            return Err(RecordProofError::TooLarge { got: bytes.len() });
        }
        canonical::check(bytes).map_err(|_| RecordProofError::Shape)?;
        let mut d = Decoder::new(bytes);
        if d.array().ok().flatten() != Some(11) || d.str().ok() != Some(MAGIC) {
            return Err(RecordProofError::Shape);
        }
        let got = d.u64().map_err(|_| RecordProofError::Shape)?;
        if got != VERSION {
            return Err(RecordProofError::Version { got });
        }
        Self::decode(&mut d).ok_or(RecordProofError::Shape)
    }

    fn decode(d: &mut Decoder<'_>) -> Option<Self> {
        Some(Self {
            header: d.bytes().ok()?.to_vec(),
            class: ClassId(d.u16().ok()?),
            count: d.u64().ok()?,
            position: d.u64().ok()?,
            salt: d.bytes().ok()?.try_into().ok()?,
            record: d.bytes().ok()?.to_vec(),
            path: decode_hashes(d, PATH_MAX)?,
            turns: d.u64().ok()?,
            rows: decode_hashes(d, ROWS_MAX)?,
        })
    }
}

impl fmt::Debug for RecordProof {
    /// A record holds fingerprints: what is shown is where it stands.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordProof")
            .field("class", &self.class)
            .field("position", &self.position)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

fn encode_hashes(
    e: &mut Encoder<Vec<u8>>,
    hashes: &[Hash],
) -> Result<(), minicbor::encode::Error<Infallible>> {
    e.array(hashes.len() as u64)?;
    for hash in hashes {
        e.bytes(hash)?;
    }
    Ok(())
}

fn decode_hashes(d: &mut Decoder<'_>, max: usize) -> Option<Vec<Hash>> {
    let count = usize::try_from(d.array().ok()??).ok()?;
    (count <= max).then_some(())?;
    (0..count)
        .map(|_| d.bytes().ok()?.try_into().ok())
        .collect()
}

/// The way down to leaf `index` of a tree of `count` leaves, root first: whether each step goes right. A node splits at
/// the largest power of two below its size (RFC 6962 section 2.1).
fn turns(mut index: u64, mut count: u64) -> Vec<bool> {
    let mut turns = Vec::with_capacity(PATH_MAX);
    while count > 1 {
        let split = 1_u64 << (u64::BITS - 1 - (count - 1).leading_zeros());
        let right = index >= split;
        turns.push(right);
        if right {
            index -= split;
            count -= split;
        } else {
            count = split;
        }
    }
    turns
}

/// The root above a leaf: each step says whether we are the right child, and who our sibling is.
pub(super) fn climb<'a>(
    node: &Domain,
    leaf: Hash,
    steps: impl Iterator<Item = (bool, &'a Hash)>,
) -> Hash {
    steps.fold(leaf, |own, (right, sibling)| {
        if right {
            node.hash(&[sibling, &own])
        } else {
            node.hash(&[&own, sibling])
        }
    })
}
