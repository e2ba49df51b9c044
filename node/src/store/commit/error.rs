//! Why a batch is not committed. No variant holds a byte of a body.

use std::io;

use hashpact_keys::Origin;
use hashpact_protocol::delta::Seq;
use hashpact_protocol::labels::ClassId;
use hashpact_protocol::record::RecordError;

use super::super::bodies::DamagedBody;
use super::super::control::{ApplyError, ControlError};
use super::super::index::row::ValueError;
use super::super::index::{SnapshotError, WriteSegmentError};
use super::super::places::RowsError;
use super::super::sealed::{RewriteBodyError, WriteBodyError};

/// Why a batch was not committed. After any of the disk's faults the store refuses all later ones.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The log does not have the size that the batch was built for. Nothing was written.
    #[error("log {origin}: expected {expected} leaves, it has {got}")]
    Size {
        /// The log.
        origin: Origin,
        /// What the batch was built for.
        expected: u64,
        /// What is stored.
        got: u64,
    },
    /// A state with fewer leaves than are stored: a log only grows. Nothing was written.
    #[error("log {origin}: a state of {got} leaves, {stored} are stored")]
    Shrinks {
        /// The log.
        origin: Origin,
        /// Leaves stored.
        stored: u64,
        /// Leaves of the state.
        got: u64,
    },
    /// A log's file with a path that is none of a tile. Nothing was written.
    #[error("log {origin}: a file that is no tile and no bundle")]
    Path {
        /// The log.
        origin: Origin,
    },
    /// Another body of the same delta is stored. Nothing was written.
    #[error("delta {seq} of {origin}: a body of another size is stored")]
    BodyDiffers {
        /// The log.
        origin: Origin,
        /// The delta.
        seq: Seq,
    },
    /// A number that the index cannot hold. Nothing was written.
    #[error("delta {seq} of {origin}: the index numbers deltas and logs up to 2^32 and 2^16")]
    Bound {
        /// The log.
        origin: Origin,
        /// The delta.
        seq: Seq,
    },
    /// A class that no committed leaf defines. Nothing was written.
    #[error("log {origin}: class {class:?} is not defined")]
    UndefinedClass {
        /// The log.
        origin: Origin,
        /// The class.
        class: ClassId,
    },
    /// A body is to be changed that is not stored, or comes with the same batch. Nothing was written.
    #[error("delta {seq} of {origin}: no body of it is stored")]
    NotStored {
        /// The log.
        origin: Origin,
        /// The delta.
        seq: Seq,
    },
    /// A class is to be withheld that the delta does not have. Nothing was written.
    #[error("delta {seq} of {origin}: it has no class {class:?}")]
    NoClass {
        /// The log.
        origin: Origin,
        /// The delta.
        seq: Seq,
        /// The class.
        class: ClassId,
    },
    /// A later body of a delta states other classes, counts, roots or retractions than are stored. Nothing was written.
    #[error("delta {seq} of {origin}: the body is of another delta than the one that is stored")]
    OtherBody {
        /// The log.
        origin: Origin,
        /// The delta.
        seq: Seq,
    },
    /// A body was changed so often that no offset is left in it; opening the store again makes room. Nothing was written.
    #[error("delta {seq} of {origin}: changed too often since the index was tidied")]
    NoRoom {
        /// The log.
        origin: Origin,
        /// The delta.
        seq: Seq,
    },
    /// A record of a verified body that does not parse.
    #[error("a record of a verified body is refused")]
    Record(#[from] RecordError),
    /// A row that does not decode, or cannot be encoded.
    #[error("index row")]
    Row(#[from] ValueError),
    /// A body could not be written.
    #[error("writing a body")]
    Body(#[from] WriteBodyError),
    /// A body could not be written again.
    #[error("writing a body again")]
    Rewrite(#[from] RewriteBodyError),
    /// A segment could not be written.
    #[error("writing a segment")]
    Segment(#[from] WriteSegmentError),
    /// A segment id was given twice.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A row of the index names an origin that the store has not met.
    #[error("the index names origin {number}, which the store does not have: rebuild it")]
    Origin {
        /// Its number.
        number: u16,
    },
    /// A stored body, of which records are retracted, cannot be read.
    #[error(transparent)]
    Damaged(#[from] DamagedBody),
    /// The control database.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The disk failed.
    #[error("writing to the data folder")]
    Io(#[from] io::Error),
    /// An earlier commit or read failed: the process must end and open the store again.
    #[error("the store failed before and takes no more commits until it is opened again")]
    Failed,
}

impl CommitError {
    pub(super) fn from_rows(error: RowsError, origin: &Origin, seq: Seq) -> Self {
        match error {
            RowsError::Index(error) => Self::Io(error),
            RowsError::Value(error) => Self::Row(error),
            RowsError::Record(error) => Self::Record(error),
            RowsError::Undefined(class) => Self::UndefinedClass {
                origin: origin.clone(),
                class,
            },
            RowsError::Offset => Self::Bound {
                origin: origin.clone(),
                seq,
            },
        }
    }
}

impl From<ApplyError> for CommitError {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Control(error) => Self::Control(error),
            ApplyError::Size {
                origin,
                expected,
                got,
            } => Self::Size {
                origin,
                expected,
                got,
            },
        }
    }
}
