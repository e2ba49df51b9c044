//! What travels between centres: control messages and bulk requests, canonical CBOR.
//!
//! Spec: `docs/protocol.md`, "Wire". In scope: bytes and bounds. Out of scope: streams and chunks (the node).

mod evidence;
mod transfers;

use hashpact_keys::{Origin, canonical};
use minicbor::{Decoder, Encoder};

use crate::Hash;
use crate::delta::{RETRACTION_SECTION, Seq};
use crate::limits;
use crate::log::{decode_bundle, encode_bundle};
pub use transfers::{Decline, Proposal};

/// A control message as it came; nothing in it is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame(pub Vec<u8>);

/// A control message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// The newest checkpoints that the sender holds, its own among them.
    Heads {
        /// Start of the sender's process in milliseconds: orders messages of different runs.
        session: u64,
        /// Number of the message within the run: streams may overtake each other.
        counter: u64,
        /// Whole signed notes, at most [`limits::HEADS_PER_MESSAGE`]; of a log that has a pending checkpoint two, the
        /// newest witnessed one first.
        notes: Vec<Vec<u8>>,
    },
    /// The proof that a log was forked, at most [`limits::FORK_PROOF_BYTES`].
    Fork(Vec<u8>),
    /// A taker asks what it may have.
    Propose(Proposal),
    /// What the giver would give, under its signature.
    Terms {
        /// The number of the proposal that it answers.
        ask: u64,
        /// A transfer statement that the giver has signed.
        offer: Vec<u8>,
        /// The statements behind it, where the giver is a relay.
        chain: Vec<Vec<u8>>,
    },
    /// The statement under both signatures: the taker has logged it.
    Agreed(Vec<u8>),
    /// The giver has logged the statement with this hash: bodies may be fetched under it.
    Logged(Hash),
    /// A giver asks classes back: a signed recall.
    Recall(Vec<u8>),
    /// What a recall named is gone: a signed acknowledgement.
    Acknowledged(Vec<u8>),
    /// Objects that travel beside deltas, at most [`limits::EVIDENCE_PER_MESSAGE`] of at most [`limits::EVIDENCE_BYTES`].
    Evidence(Vec<Vec<u8>>),
    /// The objects with these hashes are kept here, or nothing will come of them: they need not be sent again.
    Heard(Vec<Hash>),
    /// The sender has applied every retraction of the receiver's log below this delta.
    Applied {
        /// The log.
        origin: Origin,
        /// The delta.
        below: Seq,
    },
    /// No transfer comes of this.
    Declined {
        /// The number of the proposal, or 0.
        ask: u64,
        /// The hash of the agreed statement, if there is one.
        statement: Option<Hash>,
        /// Why.
        why: Decline,
    },
}

/// What a bulk transfer is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BulkRequest {
    /// The next leaves of a log, with the proof that `to` continues them.
    Suffix {
        /// The log.
        origin: Origin,
        /// Leaves that the asker holds.
        from: u64,
        /// Size of the checkpoint that it goes for.
        to: u64,
    },
    /// The root of a log at a size, with the proof that `to` continues it: how two branches of a log are compared.
    Proof {
        /// The log.
        origin: Origin,
        /// The smaller size, at least 1.
        from: u64,
        /// The larger size.
        to: u64,
    },
    /// A delta's body from one of its sections on.
    Body {
        /// The log.
        origin: Origin,
        /// The delta.
        seq: Seq,
        /// First section: a class, or 65536 for the retractions alone.
        section: u32,
        /// Bytes of that section to skip.
        offset: u64,
        /// Hash of the logged transfer statement that it is given under, where policy asks for one.
        under: Option<Hash>,
    },
}

/// A piece of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suffix {
    /// Index of the first leaf.
    pub from: u64,
    /// The leaves.
    pub leaves: Vec<Vec<u8>>,
    /// Consistency of the log after these leaves with the checkpoint asked for.
    pub proof: Vec<Hash>,
}

/// A root and the proof of what continues it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootProof {
    /// Root of the smaller size.
    pub root: Hash,
    /// Consistency of the smaller size with the larger.
    pub proof: Vec<Hash>,
}

/// Why a bulk request is refused; the number is its code on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BulkRefusal {
    /// Not a request.
    #[error("not a request")]
    Malformed = 1,
    /// The asker is not on the roster.
    #[error("not on the roster")]
    NotOnRoster = 2,
    /// Nothing of that name or number is here.
    #[error("not here")]
    NotFound = 3,
    /// Bodies come from their origin.
    #[error("not the origin")]
    NotOrigin = 4,
    /// Policy is closed.
    #[error("closed by policy")]
    Closed = 5,
    /// The other side's store failed.
    #[error("the other side's store failed")]
    Store = 6,
    /// No logged transfer statement gives this to the asker now.
    #[error("no logged transfer statement gives it now")]
    Statement = 7,
}

impl BulkRefusal {
    /// The refusal with this code.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        [
            Self::Malformed,
            Self::NotOnRoster,
            Self::NotFound,
            Self::NotOrigin,
            Self::Closed,
            Self::Store,
            Self::Statement,
        ]
        .into_iter()
        .find(|refusal| *refusal as u8 == code)
    }
}

/// Why bytes from a peer are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Longer than the bound.
    #[error("{got} bytes, at most {max}")]
    TooLarge {
        /// Their length.
        got: usize,
        /// The bound.
        max: usize,
    },
    /// Not canonical CBOR of the expected shape.
    #[error("not the expected shape")]
    Shape,
    /// Kind of message that this version does not know.
    #[error("message of unknown kind {got}")]
    Kind {
        /// The kind.
        got: u64,
    },
}

fn open(bytes: &[u8], max: usize) -> Result<(Decoder<'_>, u64), WireError> {
    if bytes.len() > max {
        return Err(WireError::TooLarge {
            got: bytes.len(),
            max,
        });
    }
    canonical::check(bytes).map_err(|_| WireError::Shape)?;
    let mut d = Decoder::new(bytes);
    let parts = d.array().ok().flatten().ok_or(WireError::Shape)?;
    Ok((d, parts))
}

fn uint(d: &mut Decoder<'_>) -> Result<u64, WireError> {
    d.u64().map_err(|_| WireError::Shape)
}

fn hash(d: &mut Decoder<'_>) -> Result<Hash, WireError> {
    let hash = d.bytes().ok().and_then(|bytes| bytes.try_into().ok());
    hash.ok_or(WireError::Shape)
}

/// A proof: at most 64 hashes.
fn hashes(d: &mut Decoder<'_>) -> Result<Vec<Hash>, WireError> {
    let count = d.array().ok().flatten().filter(|n| *n <= 64);
    (0..count.ok_or(WireError::Shape)?)
        .map(|_| hash(d))
        .collect()
}

fn origin(d: &mut Decoder<'_>) -> Result<Origin, WireError> {
    d.str()
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or(WireError::Shape)
}

impl Message {
    /// The message's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut e = Encoder::new(Vec::with_capacity(2_048));
        // Writing to a Vec cannot fail.
        let _ = match self {
            Self::Heads {
                session,
                counter,
                notes,
            } => e
                .array(4)
                .and_then(|e| e.u8(1))
                .and_then(|e| e.u64(*session))
                .and_then(|e| e.u64(*counter))
                .and_then(|e| e.array(notes.len() as u64))
                .and_then(|e| notes.iter().try_for_each(|note| e.bytes(note).map(drop))),
            Self::Fork(proof) => e
                .array(2)
                .and_then(|e| e.u8(2))
                .and_then(|e| e.bytes(proof))
                .map(drop),
            Self::Propose(_)
            | Self::Terms { .. }
            | Self::Agreed(_)
            | Self::Logged(_)
            | Self::Declined { .. }
            | Self::Recall(_)
            | Self::Acknowledged(_) => self.encode_transfer(&mut e),
            Self::Evidence(_) | Self::Heard(_) | Self::Applied { .. } => {
                self.encode_evidence(&mut e)
            }
        };
        e.into_writer()
    }

    /// Reads a message, strictly.
    ///
    /// # Errors
    /// [`WireError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WireError> {
        let (mut d, parts) = open(bytes, limits::FRAME_BYTES)?;
        match (uint(&mut d)?, parts) {
            (1, 4) => Self::heads(&mut d),
            (2, 2) => {
                let proof = d.bytes().map_err(|_| WireError::Shape)?;
                let (got, max) = (proof.len(), limits::FORK_PROOF_BYTES);
                if got > max {
                    return Err(WireError::TooLarge { got, max });
                }
                Ok(Self::Fork(proof.to_vec()))
            }
            (1 | 2, _) => Err(WireError::Shape),
            (kind @ 3..=9, parts) => Self::transfer(&mut d, kind, parts),
            (kind @ 10..=12, parts) => Self::evidence(&mut d, kind, parts),
            (got, _) => Err(WireError::Kind { got }),
        }
    }

    fn heads(d: &mut Decoder<'_>) -> Result<Self, WireError> {
        let (session, counter) = (uint(d)?, uint(d)?);
        let n = d.array().ok().flatten().ok_or(WireError::Shape)?;
        if n > limits::HEADS_PER_MESSAGE as u64 {
            return Err(WireError::Shape);
        }
        let mut notes = Vec::new();
        for _ in 0..n {
            notes.push(d.bytes().map_err(|_| WireError::Shape)?.to_vec());
        }
        Ok(Self::Heads {
            session,
            counter,
            notes,
        })
    }
}

impl BulkRequest {
    /// Most bytes of a request.
    pub const BYTES_MAX: usize = 512;

    /// The request's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut e = Encoder::new(Vec::with_capacity(128));
        // Writing to a Vec cannot fail.
        let _ = match self {
            Self::Suffix { origin, from, to } => e
                .array(4)
                .and_then(|e| e.u8(1))
                .and_then(|e| e.str(origin.as_str()))
                .and_then(|e| e.u64(*from))
                .and_then(|e| e.u64(*to))
                .map(drop),
            Self::Proof { origin, from, to } => e
                .array(4)
                .and_then(|e| e.u8(3))
                .and_then(|e| e.str(origin.as_str()))
                .and_then(|e| e.u64(*from))
                .and_then(|e| e.u64(*to))
                .map(drop),
            Self::Body {
                origin,
                seq,
                section,
                offset,
                under,
            } => e
                .array(5 + u64::from(under.is_some()))
                .and_then(|e| e.u8(2))
                .and_then(|e| e.str(origin.as_str()))
                .and_then(|e| e.u64(seq.0))
                .and_then(|e| e.u32(*section))
                .and_then(|e| e.u64(*offset))
                .and_then(|e| under.iter().try_for_each(|hash| e.bytes(hash).map(drop))),
        };
        e.into_writer()
    }

    /// Reads a request, strictly.
    ///
    /// # Errors
    /// [`WireError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WireError> {
        let (mut d, parts) = open(bytes, Self::BYTES_MAX)?;
        match (uint(&mut d)?, parts) {
            (1, 4) => {
                let origin = origin(&mut d)?;
                Ok(Self::Suffix {
                    origin,
                    from: uint(&mut d)?,
                    to: uint(&mut d)?,
                })
            }
            (2, parts @ (5 | 6)) => {
                let (origin, seq) = (origin(&mut d)?, Seq(uint(&mut d)?));
                let section = d
                    .u32()
                    .ok()
                    .filter(|section| *section <= RETRACTION_SECTION);
                let section = section.ok_or(WireError::Shape)?;
                Ok(Self::Body {
                    origin,
                    seq,
                    section,
                    offset: uint(&mut d)?,
                    under: (parts == 6).then(|| hash(&mut d)).transpose()?,
                })
            }
            (3, 4) => {
                let origin = origin(&mut d)?;
                Ok(Self::Proof {
                    origin,
                    from: uint(&mut d)?,
                    to: uint(&mut d)?,
                })
            }
            (1..=3, _) => Err(WireError::Shape),
            (got, _) => Err(WireError::Kind { got }),
        }
    }
}

impl RootProof {
    /// Most bytes of a root proof: 65 hashes and their heads.
    pub const BYTES_MAX: usize = 4_096;

    /// The proof's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut e = Encoder::new(Vec::with_capacity(1_024));
        // Writing to a Vec cannot fail.
        let _ = e
            .array(2)
            .and_then(|e| e.bytes(&self.root))
            .and_then(|e| e.array(self.proof.len() as u64))
            .and_then(|e| {
                self.proof
                    .iter()
                    .try_for_each(|hash| e.bytes(hash).map(drop))
            });
        e.into_writer()
    }

    /// Reads a root proof, strictly; whether it holds is not checked.
    ///
    /// # Errors
    /// [`WireError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WireError> {
        let (mut d, parts) = open(bytes, Self::BYTES_MAX)?;
        if parts != 2 {
            return Err(WireError::Shape);
        }
        let root = hash(&mut d)?;
        let proof = hashes(&mut d)?;
        Ok(Self { root, proof })
    }
}

impl Suffix {
    /// Most bytes of a suffix: the leaves, one of any size beyond the bound, and the proof.
    pub const BYTES_MAX: usize = limits::SUFFIX_BYTES + limits::LEAF_BYTES + 4_096;

    /// The suffix's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut e = Encoder::new(Vec::new());
        // Writing to a Vec cannot fail.
        let _ = e
            .array(3)
            .and_then(|e| e.u64(self.from))
            .and_then(|e| e.array(self.proof.len() as u64))
            .and_then(|e| {
                self.proof
                    .iter()
                    .try_for_each(|hash| e.bytes(hash).map(drop))
            })
            .and_then(|()| e.bytes(&encode_bundle(&self.leaves)).map(drop));
        e.into_writer()
    }

    /// Reads a suffix, strictly: at least one leaf, at most [`limits::SUFFIX_LEAVES`].
    ///
    /// # Errors
    /// [`WireError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WireError> {
        let shape = || WireError::Shape;
        let (mut d, parts) = open(bytes, Self::BYTES_MAX)?;
        if parts != 3 {
            return Err(shape());
        }
        let from = uint(&mut d)?;
        let proof = hashes(&mut d)?;
        let leaves = decode_bundle(d.bytes().map_err(|_| shape())?).ok_or_else(shape)?;
        if leaves.is_empty() || leaves.len() as u64 > limits::SUFFIX_LEAVES {
            return Err(shape());
        }
        Ok(Self {
            from,
            leaves,
            proof,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_round_trip() {
        let heads = Message::Heads {
            session: 9,
            counter: 2,
            notes: vec![vec![1, 2], vec![]],
        };
        assert_eq!(Message::from_bytes(&heads.to_bytes()), Ok(heads));
        let fork = Message::Fork(vec![7; 300]);
        assert_eq!(Message::from_bytes(&fork.to_bytes()), Ok(fork));
        let root = RootProof {
            root: [1; 32],
            proof: vec![[2; 32]; 64],
        };
        assert_eq!(RootProof::from_bytes(&root.to_bytes()), Ok(root));
        let origin: Origin = "eu.example/eu/1".parse().unwrap();
        for request in [
            BulkRequest::Suffix {
                origin: origin.clone(),
                from: 3,
                to: 9,
            },
            BulkRequest::Proof {
                origin: origin.clone(),
                from: 2,
                to: 9,
            },
            BulkRequest::Body {
                origin,
                seq: Seq(4),
                section: 65_536,
                offset: 7,
                under: None,
            },
            BulkRequest::Body {
                origin: "eu.example/eu/1".parse().unwrap(),
                seq: Seq(4),
                section: 0,
                offset: 0,
                under: Some([9; 32]),
            },
        ] {
            assert_eq!(BulkRequest::from_bytes(&request.to_bytes()), Ok(request));
        }
        let suffix = Suffix {
            from: 7,
            leaves: vec![vec![1; 300]],
            proof: vec![[2; 32]],
        };
        assert_eq!(Suffix::from_bytes(&suffix.to_bytes()), Ok(suffix));
    }

    #[test]
    fn one_head_too_many_is_refused() {
        let notes = vec![vec![]; limits::HEADS_PER_MESSAGE + 1];
        let bytes = Message::Heads {
            session: 1,
            counter: 1,
            notes,
        }
        .to_bytes();
        assert_eq!(Message::from_bytes(&bytes), Err(WireError::Shape));
    }

    #[test]
    fn suffix_of_nothing_or_too_much_is_refused() {
        let none = Suffix {
            from: 0,
            leaves: vec![],
            proof: vec![],
        };
        assert_eq!(Suffix::from_bytes(&none.to_bytes()), Err(WireError::Shape));
        let many = Suffix {
            from: 0,
            leaves: vec![vec![1]; 257],
            proof: vec![],
        };
        assert_eq!(Suffix::from_bytes(&many.to_bytes()), Err(WireError::Shape));
    }

    #[test]
    fn section_above_the_retractions_is_refused() {
        let origin: Origin = "eu.example/eu/1".parse().unwrap();
        let request = BulkRequest::Body {
            origin,
            seq: Seq(0),
            section: 65_537,
            offset: 0,
            under: None,
        };
        assert_eq!(
            BulkRequest::from_bytes(&request.to_bytes()),
            Err(WireError::Shape)
        );
    }

    #[test]
    fn unknown_kind_and_oversize_are_refused() {
        assert_eq!(
            Message::from_bytes(&[0x81, 0x0d]),
            Err(WireError::Kind { got: 13 })
        );
        let max = limits::FRAME_BYTES;
        let long = vec![0; max + 1];
        assert_eq!(
            Message::from_bytes(&long),
            Err(WireError::TooLarge { got: max + 1, max })
        );
    }
}
