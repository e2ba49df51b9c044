//! What a leaf of a log says: `[kind, ...]`, canonical CBOR, at most 65,535 bytes.

use hashpact_keys::{Origin, RosterVersion, canonical};
use minicbor::{Decoder, Encoder};

use super::tree::{LogFiles, read_leaves};
use crate::b3::Hash;
use crate::delta::{ClassTable, TableError};
use crate::limits;

/// The kinds of leaf. Those without a reader here are kept as they are: the log is append-only for everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeafKind {
    /// A delta: header and class table.
    Delta = 1,
    /// A policy document.
    Policy = 2,
    /// Class definitions.
    Classes = 3,
    /// A roster version.
    Roster = 4,
    /// A disclosure record.
    Disclosure = 5,
    /// An erasure notice.
    Erasure = 6,
    /// A key event.
    KeyEvent = 7,
    /// A match epoch manifest.
    MatchEpoch = 8,
    /// A match session record.
    MatchSession = 9,
    /// A salted commitment of another signed object.
    Commitment = 10,
}

/// What a key event says that begins a log again.
const RESUMED: &str = "resumed";

const KINDS: [LeafKind; 10] = [
    LeafKind::Delta,
    LeafKind::Policy,
    LeafKind::Classes,
    LeafKind::Roster,
    LeafKind::Disclosure,
    LeafKind::Erasure,
    LeafKind::KeyEvent,
    LeafKind::MatchEpoch,
    LeafKind::MatchSession,
    LeafKind::Commitment,
];

/// A leaf, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leaf {
    /// `[1, header, table]`.
    Delta {
        /// The COSE_Sign1 bytes.
        header: Vec<u8>,
        /// The class table.
        table: ClassTable,
    },
    /// `[2, document]`.
    Policy {
        /// The COSE_Sign bytes.
        document: Vec<u8>,
    },
    /// `[3, definitions]`.
    Classes {
        /// The COSE_Sign1 bytes.
        definitions: Vec<u8>,
    },
    /// `[4, version, hash]`.
    Roster {
        /// The version that the centre applied.
        version: RosterVersion,
        /// SHA-256 of its payload.
        hash: Hash,
    },
    /// `[5, commitment]`: one side of a transfer, sealed.
    Disclosure {
        /// Salted hash of the transfer statement.
        commitment: Hash,
    },
    /// `[8, manifest]`: what is matched from here on.
    MatchEpoch {
        /// The COSE_Sign1 bytes.
        manifest: Vec<u8>,
    },
    /// `[9, commitment]`: one side of a match session, sealed.
    MatchSession {
        /// Salted hash of the session record.
        commitment: Hash,
    },
    /// `[10, commitment]`: another signed object, sealed.
    Commitment {
        /// Its salted hash.
        commitment: Hash,
    },
    /// `[7, "resumed", origin, size, root, proof]`: the first leaf of a log that takes the place of a forked one.
    Resumed {
        /// The log that was closed.
        origin: Origin,
        /// Leaves of it that both branches shared: what it put beyond them is void.
        size: u64,
        /// Root over them.
        root: Hash,
        /// SHA-256 of the fork proof's text.
        proof: Hash,
    },
    /// A kind that later versions read.
    Other(LeafKind),
}

/// Why a leaf is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// Longer than a bundle can carry.
    #[error("leaf: {got} bytes, at most {}", limits::LEAF_BYTES)]
    TooLarge {
        /// Its length.
        got: usize,
    },
    /// Not canonical CBOR of the expected shape.
    #[error("leaf: not the expected shape")]
    Shape,
    /// A kind that no version has.
    #[error("leaf: kind {got} is unknown")]
    Kind {
        /// The kind.
        got: u64,
    },
    /// Its class table.
    #[error(transparent)]
    Table(#[from] TableError),
}

impl Leaf {
    /// The signed header and the class table, if this is a delta.
    #[must_use]
    pub fn delta(self) -> Option<(Vec<u8>, ClassTable)> {
        match self {
            Self::Delta { header, table } => Some((header, table)),
            Self::Policy { .. }
            | Self::Classes { .. }
            | Self::Roster { .. }
            | Self::Disclosure { .. }
            | Self::MatchEpoch { .. }
            | Self::MatchSession { .. }
            | Self::Commitment { .. }
            | Self::Resumed { .. }
            | Self::Other(_) => None,
        }
    }

    /// The leaf's bytes; `None` for a kind that this version does not write.
    #[must_use]
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        let mut e = Encoder::new(Vec::with_capacity(512));
        // Writing to a Vec cannot fail.
        let written = match self {
            Self::Delta { header, table } => e
                .array(3)
                .and_then(|e| e.u8(1))
                .and_then(|e| e.bytes(header))
                .map(drop)
                .and_then(|()| table.encode(&mut e)),
            Self::Policy { document } => e
                .array(2)
                .and_then(|e| e.u8(2))
                .and_then(|e| e.bytes(document))
                .map(drop),
            Self::Disclosure { commitment } => e
                .array(2)
                .and_then(|e| e.u8(5))
                .and_then(|e| e.bytes(commitment))
                .map(drop),
            Self::MatchEpoch { manifest } => e
                .array(2)
                .and_then(|e| e.u8(8))
                .and_then(|e| e.bytes(manifest))
                .map(drop),
            Self::MatchSession { commitment } => e
                .array(2)
                .and_then(|e| e.u8(9))
                .and_then(|e| e.bytes(commitment))
                .map(drop),
            Self::Commitment { commitment } => e
                .array(2)
                .and_then(|e| e.u8(10))
                .and_then(|e| e.bytes(commitment))
                .map(drop),
            Self::Classes { definitions } => e
                .array(2)
                .and_then(|e| e.u8(3))
                .and_then(|e| e.bytes(definitions))
                .map(drop),
            Self::Roster { version, hash } => e
                .array(3)
                .and_then(|e| e.u8(4))
                .and_then(|e| e.u64(version.get()))
                .and_then(|e| e.bytes(hash))
                .map(drop),
            Self::Resumed {
                origin,
                size,
                root,
                proof,
            } => e
                .array(6)
                .and_then(|e| e.u8(7))
                .and_then(|e| e.str(RESUMED))
                .and_then(|e| e.str(origin.as_str()))
                .and_then(|e| e.u64(*size))
                .and_then(|e| e.bytes(root))
                .and_then(|e| e.bytes(proof))
                .map(drop),
            Self::Other(_) => return None,
        };
        written.ok().map(|()| e.into_writer())
    }

    /// Reads a leaf, strictly. Signatures inside are not checked here.
    ///
    /// # Errors
    /// [`LeafError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LeafError> {
        if bytes.len() > limits::LEAF_BYTES {
            return Err(LeafError::TooLarge { got: bytes.len() });
        }
        let shape = || LeafError::Shape;
        canonical::check(bytes).map_err(|_| shape())?;
        let mut d = Decoder::new(bytes);
        let parts = d.array().ok().flatten().ok_or_else(shape)?;
        let got = d.u64().map_err(|_| shape())?;
        let kind = KINDS.into_iter().find(|kind| *kind as u64 == got);
        match (kind.ok_or(LeafError::Kind { got })?, parts) {
            (LeafKind::Delta, 3) => {
                let header = d.bytes().map_err(|_| shape())?.to_vec();
                Ok(Self::Delta {
                    header,
                    table: ClassTable::decode(&mut d)?,
                })
            }
            (LeafKind::Policy, 2) => Ok(Self::Policy {
                document: d.bytes().map_err(|_| shape())?.to_vec(),
            }),
            (LeafKind::Disclosure, 2) => Ok(Self::Disclosure {
                commitment: fixed(&mut d).ok_or_else(shape)?,
            }),
            (LeafKind::MatchEpoch, 2) => Ok(Self::MatchEpoch {
                manifest: d.bytes().map_err(|_| shape())?.to_vec(),
            }),
            (LeafKind::MatchSession, 2) => Ok(Self::MatchSession {
                commitment: fixed(&mut d).ok_or_else(shape)?,
            }),
            (LeafKind::Commitment, 2) => Ok(Self::Commitment {
                commitment: fixed(&mut d).ok_or_else(shape)?,
            }),
            (LeafKind::Classes, 2) => Ok(Self::Classes {
                definitions: d.bytes().map_err(|_| shape())?.to_vec(),
            }),
            (LeafKind::Roster, 3) => {
                let version = RosterVersion::new(d.u64().map_err(|_| shape())?);
                let hash = fixed(&mut d).ok_or_else(shape)?;
                Ok(Self::Roster { version, hash })
            }
            // Other key events are of later versions.
            (LeafKind::KeyEvent, 6) if d.probe().str().is_ok_and(|what| what == RESUMED) => {
                d.skip().map_err(|_| shape())?;
                resumed(&mut d).ok_or_else(shape)
            }
            (
                LeafKind::Delta
                | LeafKind::Policy
                | LeafKind::Classes
                | LeafKind::Roster
                | LeafKind::Disclosure
                | LeafKind::MatchEpoch
                | LeafKind::MatchSession
                | LeafKind::Commitment,
                _,
            ) => Err(shape()),
            (kind @ (LeafKind::Erasure | LeafKind::KeyEvent), _) => Ok(Self::Other(kind)),
        }
    }
}

/// The signed header and the class table at a leaf of a log that has `size` of them; `None` if no delta can be read there.
pub fn read_delta<F: LogFiles>(files: &F, size: u64, index: u64) -> Option<(Vec<u8>, ClassTable)> {
    let leaves = read_leaves(files, size, index, index.checked_add(1)?).ok()?;
    Leaf::from_bytes(leaves.first()?).ok()?.delta()
}

fn resumed(d: &mut Decoder<'_>) -> Option<Leaf> {
    Some(Leaf::Resumed {
        origin: d.str().ok()?.parse().ok()?,
        size: d.u64().ok().filter(|size| *size <= limits::LOG_LEAVES)?,
        root: fixed(d)?,
        proof: fixed(d)?,
    })
}

fn fixed(d: &mut Decoder<'_>) -> Option<Hash> {
    d.bytes().ok().and_then(|bytes| bytes.try_into().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roster_leaf_round_trips() {
        let leaf = Leaf::Roster {
            version: RosterVersion::new(3),
            hash: [5; 32],
        };
        assert_eq!(Leaf::from_bytes(&leaf.to_bytes().unwrap()), Ok(leaf));
    }

    #[test]
    fn resumed_leaf_round_trips_and_other_key_events_are_kept() {
        let leaf = Leaf::Resumed {
            origin: "eu.example/eu/1".parse().unwrap(),
            size: 9,
            root: [1; 32],
            proof: [2; 32],
        };
        let bytes = leaf.to_bytes().unwrap();
        assert_eq!(Leaf::from_bytes(&bytes), Ok(leaf));
        let mut short = bytes.clone();
        short.truncate(bytes.len() - 34);
        short[0] -= 1;
        let later = Ok(Leaf::Other(LeafKind::KeyEvent));
        assert_eq!(Leaf::from_bytes(&short), later);
        let text = String::from_utf8_lossy(&bytes).find("eu.example").unwrap();
        let mut bad = bytes.clone();
        bad[text] = b'/';
        assert_eq!(Leaf::from_bytes(&bad), Err(LeafError::Shape));
    }

    #[test]
    fn policies_and_commitments_round_trip_in_one_shape() {
        for leaf in [
            Leaf::Policy {
                document: vec![7; 300],
            },
            Leaf::Disclosure {
                commitment: [1; 32],
            },
            Leaf::Commitment {
                commitment: [2; 32],
            },
            Leaf::MatchEpoch {
                manifest: vec![8; 300],
            },
            Leaf::MatchSession {
                commitment: [3; 32],
            },
        ] {
            assert_eq!(Leaf::from_bytes(&leaf.to_bytes().unwrap()), Ok(leaf));
        }
        for kind in [0x02, 0x05, 0x08, 0x09, 0x0a] {
            assert_eq!(Leaf::from_bytes(&[0x82, kind, 0x01]), Err(LeafError::Shape));
            assert_eq!(Leaf::from_bytes(&[0x81, kind]), Err(LeafError::Shape));
        }
    }

    #[test]
    fn later_kind_is_kept_and_unknown_kind_refused() {
        assert_eq!(
            Leaf::from_bytes(&[0x82, 0x06, 0x01]),
            Ok(Leaf::Other(LeafKind::Erasure))
        );
        assert_eq!(
            Leaf::from_bytes(&[0x82, 0x0b, 0x01]),
            Err(LeafError::Kind { got: 11 })
        );
        assert_eq!(Leaf::from_bytes(&[0x82, 0x01, 0x01]), Err(LeafError::Shape));
    }
}
