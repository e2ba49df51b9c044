//! What the two sides of a match say: frames of `/hashpact/match/1`.
//!
//! One stream carries one request. A frame is its length (`u32`, big-endian) and that many bytes of canonical CBOR, at most
//! [`limits::MATCH_FRAME_BYTES`]. Spec: `docs/protocol.md`, "Private matching". In scope: bytes and bounds of one frame. Out
//! of scope: their order (`query` for batches), streams (the node), and that points are group elements (`oprf`).

use std::fmt;

use hashpact_keys::canonical::{Written, encode};
use hashpact_keys::reader::{ReadError, Reader, ShapeError};
use minicbor::Encoder;

use super::manifest::SegmentRow;
use super::space::{Epoch, GroupId, SessionId};
use crate::b3::Hash;
use crate::fingerprint::Algorithm;
use crate::labels::Purpose;
use crate::limits;
use crate::lists::ClosedList;
use crate::policy::MatchMode;

/// Bytes before each frame: its length.
pub const FRAME_PREFIX: usize = 4;

/// Encoded group elements, in order.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Points(pub Vec<[u8; 32]>);

// Blinded or evaluated, they belong to somebody's list.
impl fmt::Debug for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Points({})", self.0.len())
    }
}

/// What the asking side says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The newest manifest, please.
    Manifest,
    /// The chunks of a segment.
    Segment(SegmentAsk),
    /// A session begins, or goes on.
    Open(OpenAsk),
    /// Blinded items.
    Batch(Batch),
    /// There are no more.
    Finish {
        /// The commitment to all of them: [`Query::finish`](super::Query::finish).
        query: Hash,
    },
}

/// Which segment, from which of its chunks on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentAsk {
    /// Its epoch.
    pub epoch: Epoch,
    /// Its group.
    pub group: GroupId,
    /// Code of its fingerprint type.
    pub kind: u8,
    /// Its mode.
    pub mode: MatchMode,
    /// The root of its tag chunks, as the manifest has it.
    pub segment: Hash,
    /// Whether its label chunks are asked for, and not its tag chunks.
    pub labels: bool,
    /// The first chunk asked for.
    pub from_chunk: u32,
}

/// How a session begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenAsk {
    /// Its name; the same again goes on with it.
    pub session: SessionId,
    /// What is to be learnt.
    pub mode: MatchMode,
    /// Code of the fingerprint type.
    pub kind: u8,
    /// What it is for.
    pub purpose: Purpose,
    /// Items that will be sent.
    pub items: u64,
    /// The epoch of the manifest that the asker went by.
    pub epoch: Epoch,
    /// The first item that the asker still needs.
    pub resume_at: u64,
}

/// Consecutive blinded items of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Number of the first one in the session.
    pub first: u64,
    /// The items, 1 to [`limits::MATCH_BATCH`].
    pub points: Points,
}

/// What the answering side says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Its newest manifest.
    Manifest {
        /// The signed bytes.
        manifest: Vec<u8>,
        /// The proof that they are logged: a tlog-proof, without extra data.
        proof: Vec<u8>,
        /// The leaf.
        index: u64,
    },
    /// A chunk of what was asked for.
    Chunk(Chunk),
    /// The last chunk was sent.
    End,
    /// The session is open.
    Opened(Opened),
    /// Nothing comes of it.
    Refused {
        /// Why.
        code: RefusalCode,
        /// The same in words, at most [`limits::MATCH_REFUSAL_BYTES`] bytes.
        text: String,
    },
    /// A batch evaluated under the key of one group; in modes `items` and `labels` one for each group, as they were opened.
    Evaluated {
        /// Number of the first item.
        first: u64,
        /// The group.
        group: GroupId,
        /// As many as the batch has.
        points: Points,
        /// The proof (RFC 9497 section 2.2.1): `c` and `s`.
        proof: [u8; 64],
    },
    /// Evaluated items of a count, in an order of their own.
    Shuffled {
        /// Number of the first one.
        first: u64,
        /// The items.
        points: Points,
    },
    /// What the chunks of a count are to be checked against; they follow.
    Artifact(SegmentRow),
    /// The session is over.
    Closed {
        /// The record that the answering side logged.
        record: Vec<u8>,
    },
}

/// One chunk.
#[derive(Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Its number in the segment.
    pub index: u32,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chunk({}, {} bytes)", self.index, self.bytes.len())
    }
}

/// How a session was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The groups that are matched, ascending.
    pub groups: Vec<GroupId>,
    /// Items charged today, this session's among them.
    pub used: u64,
    /// Items that may be charged in a day.
    pub per_day: u64,
    /// The key of the session; in mode `count` alone.
    pub session_key: Option<[u8; 32]>,
    /// Number of the item to go on with.
    pub next: u64,
}

/// Why nothing comes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum RefusalCode {
    /// Fewer items than a session must have.
    #[error("fewer items than a session must have")]
    TooFew = 1,
    /// More items than a session may have.
    #[error("more items than a session may have")]
    TooMany = 2,
    /// The day's quota is used up.
    #[error("the quota of the day is used up")]
    OverQuota = 3,
    /// Too many sessions.
    #[error("too many sessions")]
    TooManySessions = 4,
    /// Policy allows no group.
    #[error("policy allows nothing of this")]
    NoGroup = 5,
    /// Another epoch is served.
    #[error("that epoch is not served")]
    StaleEpoch = 6,
    /// The log's cosignatures are too old.
    #[error("the cosignatures of the log are too old")]
    Stale = 7,
    /// Nobody that may ask.
    #[error("not on the roster, and no member")]
    NotAPrincipal = 8,
    /// Matching is closed.
    #[error("matching is closed")]
    Closed = 9,
    /// Not a request, or not at this point.
    #[error("not the expected message")]
    Malformed = 10,
    /// A point that is none, or is there twice.
    #[error("a point is no element of the group, the identity, or repeated")]
    Point = 11,
    /// Too many at once.
    #[error("too many requests at once")]
    Busy = 12,
    /// Nothing of that name is here.
    #[error("not here")]
    NotFound = 13,
    /// The other side failed.
    #[error("the other side failed")]
    Failed = 14,
}

impl RefusalCode {
    const ALL: [Self; 14] = [
        Self::TooFew,
        Self::TooMany,
        Self::OverQuota,
        Self::TooManySessions,
        Self::NoGroup,
        Self::StaleEpoch,
        Self::Stale,
        Self::NotAPrincipal,
        Self::Closed,
        Self::Malformed,
        Self::Point,
        Self::Busy,
        Self::NotFound,
        Self::Failed,
    ];

    /// The refusal with this code.
    #[must_use]
    pub fn from_code(code: u64) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|refusal| *refusal as u64 == code)
    }
}

/// Why a frame is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// Longer than a frame may be.
    #[error("match frame: {got} bytes, at most {}", limits::MATCH_FRAME_BYTES)]
    TooLarge {
        /// Its length.
        got: u64,
    },
    /// Not canonical, or not of this format.
    #[error("match frame: {0}")]
    Read(#[from] ReadError),
    /// A kind of message that this version does not know.
    #[error("match frame: message of unknown kind {got}")]
    Kind {
        /// The kind.
        got: u64,
    },
    /// A value that the format does not allow.
    #[error("match frame: expected {expected}")]
    Value {
        /// What is allowed.
        expected: &'static str,
    },
    /// Points that are not a whole number of 32 bytes: the batch was cut.
    #[error("match frame: {got} bytes of points are not 32 for each")]
    CutPoints {
        /// Their bytes.
        got: usize,
    },
}

impl From<ShapeError> for ExchangeError {
    fn from(error: ShapeError) -> Self {
        Self::Read(error.into())
    }
}

/// The bytes with their length before them.
#[must_use]
pub fn frame(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(FRAME_PREFIX + message.len());
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(message);
    bytes
}

/// How many bytes follow a prefix.
///
/// # Errors
/// [`ExchangeError::TooLarge`], before any of them is read.
pub fn frame_length(prefix: [u8; FRAME_PREFIX]) -> Result<usize, ExchangeError> {
    let got = u64::from(u32::from_be_bytes(prefix));
    usize::try_from(got)
        .ok()
        .filter(|length| *length <= limits::MATCH_FRAME_BYTES)
        .ok_or(ExchangeError::TooLarge { got })
}

impl Ask {
    /// The bytes of the message, without their length.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(|e| match self {
            Self::Manifest => e.array(1)?.u8(1)?.ok(),
            Self::Segment(ask) => e
                .array(8)?
                .u8(2)?
                .u64(ask.epoch.0)?
                .u32(ask.group.0)?
                .u8(ask.kind)?
                .u8(ask.mode.bit())?
                .bytes(&ask.segment)?
                .bool(ask.labels)?
                .u32(ask.from_chunk)?
                .ok(),
            Self::Open(ask) => e
                .array(8)?
                .u8(3)?
                .bytes(&ask.session.0)?
                .u8(ask.mode.bit())?
                .u8(ask.kind)?
                .u8(ask.purpose.bit())?
                .u64(ask.items)?
                .u64(ask.epoch.0)?
                .u64(ask.resume_at)?
                .ok(),
            Self::Batch(batch) => {
                e.array(3)?.u8(4)?.u64(batch.first)?;
                batch.points.write(e)
            }
            Self::Finish { query } => e.array(2)?.u8(5)?.bytes(query)?.ok(),
        })
    }

    /// Reads a message, strictly.
    ///
    /// # Errors
    /// [`ExchangeError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ExchangeError> {
        let (mut reader, parts) = open(bytes)?;
        let reader = &mut reader;
        match (reader.u64()?, parts) {
            (1, 1) => Ok(Self::Manifest),
            (2, 8) => Ok(Self::Segment(SegmentAsk {
                epoch: Epoch(reader.u64()?),
                group: GroupId(reader.u32()?),
                kind: kind(reader)?,
                mode: listed(reader, "a mode of matching")?,
                segment: *reader.fixed()?,
                labels: reader.bool()?,
                from_chunk: reader.u32()?,
            })),
            (3, 8) => Ok(Self::Open(OpenAsk {
                session: SessionId(*reader.fixed()?),
                mode: listed(reader, "a mode of matching")?,
                kind: kind(reader)?,
                purpose: listed(reader, "a purpose")?,
                items: reader.u64()?,
                epoch: Epoch(reader.u64()?),
                resume_at: reader.u64()?,
            })),
            (4, 3) => Ok(Self::Batch(Batch {
                first: reader.u64()?,
                points: Points::read(reader)?,
            })),
            (5, 2) => Ok(Self::Finish {
                query: *reader.fixed()?,
            }),
            (1..=5, _) => Err(parts_error()),
            (got, _) => Err(ExchangeError::Kind { got }),
        }
    }
}

impl Answer {
    /// The bytes of the message, without their length.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(|e| match self {
            Self::Manifest {
                manifest,
                proof,
                index,
            } => e
                .array(4)?
                .u8(1)?
                .bytes(manifest)?
                .bytes(proof)?
                .u64(*index)?
                .ok(),
            Self::Chunk(chunk) => e
                .array(3)?
                .u8(2)?
                .u32(chunk.index)?
                .bytes(&chunk.bytes)?
                .ok(),
            Self::End => e.array(1)?.u8(3)?.ok(),
            Self::Opened(opened) => opened.write(e),
            Self::Refused { code, text } => e.array(3)?.u8(5)?.u8(*code as u8)?.str(text)?.ok(),
            Self::Evaluated {
                first,
                group,
                points,
                proof,
            } => {
                e.array(5)?.u8(6)?.u64(*first)?.u32(group.0)?;
                points.write(e)?;
                e.bytes(proof)?.ok()
            }
            Self::Shuffled { first, points } => {
                e.array(3)?.u8(7)?.u64(*first)?;
                points.write(e)
            }
            Self::Artifact(row) => {
                e.array(2)?.u8(8)?;
                row.write(e)
            }
            Self::Closed { record } => e.array(2)?.u8(9)?.bytes(record)?.ok(),
        })
    }

    /// Reads a message, strictly.
    ///
    /// # Errors
    /// [`ExchangeError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ExchangeError> {
        let (mut reader, parts) = open(bytes)?;
        let reader = &mut reader;
        match (reader.u64()?, parts) {
            (1, 4) => Ok(Self::Manifest {
                manifest: bounded(reader, limits::MANIFEST_BYTES, "a manifest")?,
                proof: bounded(reader, limits::MATCH_PROOF_BYTES, "a proof of inclusion")?,
                index: reader.u64()?,
            }),
            (2, 3) => Ok(Self::Chunk(Chunk {
                index: reader.u32()?,
                bytes: bounded(reader, limits::MATCH_CHUNK_BYTES, "a chunk")?,
            })),
            (3, 1) => Ok(Self::End),
            (4, 6) => Ok(Self::Opened(Opened::read(reader)?)),
            (5, 3) => Self::refused(reader),
            (6, 5) => Ok(Self::Evaluated {
                first: reader.u64()?,
                group: GroupId(reader.u32()?),
                points: Points::read(reader)?,
                proof: *reader.fixed()?,
            }),
            (7, 3) => Ok(Self::Shuffled {
                first: reader.u64()?,
                points: Points::read(reader)?,
            }),
            (8, 2) => {
                let row = SegmentRow::read(reader)?;
                let expected = "a segment of tags in chunks that hold them";
                row.check().map_err(|_| ExchangeError::Value { expected })?;
                Ok(Self::Artifact(row))
            }
            (9, 2) => Ok(Self::Closed {
                record: bounded(reader, limits::MATCH_RECORD_BYTES, "a session record")?,
            }),
            (1..=9, _) => Err(parts_error()),
            (got, _) => Err(ExchangeError::Kind { got }),
        }
    }

    fn refused(reader: &mut Reader<'_>) -> Result<Self, ExchangeError> {
        let value = |expected| ExchangeError::Value { expected };
        let code = RefusalCode::from_code(reader.u64()?).ok_or(value("a known refusal"))?;
        let text = reader.text()?;
        let is_plain = !text.chars().any(char::is_control);
        if text.len() > limits::MATCH_REFUSAL_BYTES || !is_plain {
            return Err(value("a short line of text"));
        }
        let text = text.to_owned();
        Ok(Self::Refused { code, text })
    }
}

impl Opened {
    fn write(&self, e: &mut Encoder<Vec<u8>>) -> Written {
        e.array(6)?.u8(4)?.array(self.groups.len() as u64)?;
        self.groups
            .iter()
            .try_for_each(|group| -> Written { e.u32(group.0)?.ok() })?;
        e.u64(self.used)?.u64(self.per_day)?;
        match &self.session_key {
            Some(key) => e.bytes(key)?,
            None => e.null()?,
        };
        e.u64(self.next)?.ok()
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, ExchangeError> {
        let mut groups = Vec::new();
        for _ in 0..reader.list(limits::MATCH_GROUPS)? {
            groups.push(GroupId(reader.u32()?));
        }
        if groups.is_empty() || !groups.windows(2).all(|pair| pair[0] < pair[1]) {
            let expected = "groups, ascending";
            return Err(ExchangeError::Value { expected });
        }
        let (used, per_day) = (reader.u64()?, reader.u64()?);
        let session_key = reader.optional(|reader| reader.fixed().copied());
        Ok(Self {
            groups,
            used,
            per_day,
            session_key: session_key.map_err(|error: ShapeError| error)?,
            next: reader.u64()?,
        })
    }
}

impl Points {
    pub(super) fn write(&self, e: &mut Encoder<Vec<u8>>) -> Written {
        e.bytes(self.0.as_flattened())?.ok()
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, ExchangeError> {
        let bytes = reader.bytes()?;
        let (points, []) = bytes.as_chunks() else {
            return Err(ExchangeError::CutPoints { got: bytes.len() });
        };
        if points.is_empty() || points.len() > limits::MATCH_BATCH {
            let expected = "a batch of 1 to 4,096 points";
            return Err(ExchangeError::Value { expected });
        }
        Ok(Self(points.to_vec()))
    }
}

/// A reader behind the head of the outer array, and its length.
fn open(bytes: &[u8]) -> Result<(Reader<'_>, usize), ExchangeError> {
    if bytes.len() > limits::MATCH_FRAME_BYTES {
        let got = bytes.len() as u64;
        return Err(ExchangeError::TooLarge { got });
    }
    let mut reader = Reader::new(bytes).map_err(ReadError::from)?;
    let parts = reader.list(8)?;
    Ok((reader, parts))
}

fn parts_error() -> ExchangeError {
    Reader::refuse(0, "as many fields as the kind has").into()
}

fn kind(reader: &mut Reader<'_>) -> Result<u8, ExchangeError> {
    let kind = reader.u8()?;
    let expected = "a known fingerprint type";
    Algorithm::from_code(u64::from(kind))
        .map(|_| kind)
        .ok_or(ExchangeError::Value { expected })
}

fn listed<T: ClosedList>(
    reader: &mut Reader<'_>,
    expected: &'static str,
) -> Result<T, ExchangeError> {
    T::from_bit(reader.u64()?).ok_or(ExchangeError::Value { expected })
}

fn bounded(
    reader: &mut Reader<'_>,
    max: usize,
    expected: &'static str,
) -> Result<Vec<u8>, ExchangeError> {
    let bytes = reader.bytes()?;
    if bytes.len() > max {
        return Err(ExchangeError::Value { expected });
    }
    Ok(bytes.to_vec())
}

#[cfg(test)]
mod tests;
