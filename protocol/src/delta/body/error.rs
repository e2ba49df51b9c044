//! Why a body is refused. No variant holds a byte of a record, or of a seed.

use super::super::StreamError;
use crate::labels::ClassId;
use crate::limits;
use crate::record::RecordError;

/// Why a body is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Longer than [`limits::BODY_BYTES`].
    #[error("body: {got} bytes, at most {}", limits::BODY_BYTES)]
    TooLarge {
        /// Its length.
        got: usize,
    },
    /// Not a sequence of sections.
    #[error("body: section {section} does not have the expected shape")]
    Shape {
        /// The section, from 0.
        section: usize,
    },
    /// A section for another class than the table's next.
    #[error("body: section {section} is for class {got}, expected {expected}")]
    Class {
        /// The section, from 0.
        section: usize,
        /// The table's next class, or 65536.
        expected: u32,
        /// What it is for.
        got: u64,
    },
    /// A section counts other than the table.
    #[error("body: class {class} counts {got}, its table {expected}")]
    Count {
        /// The class.
        class: ClassId,
        /// What the origin signed.
        expected: u64,
        /// What the section says.
        got: u64,
    },
    /// The records do not hash to the root that the origin signed.
    #[error("body: class {class} does not hash to the root that its origin signed")]
    Root {
        /// The class.
        class: ClassId,
    },
    /// The retractions do not hash to the root that the origin signed.
    #[error("body: the retractions do not hash to the root that their origin signed")]
    RetractionRoot,
    /// Retractions out of order, or one twice.
    #[error("body: retraction {index} is not above the one before it")]
    RetractionOrder {
        /// Its place, from 0.
        index: usize,
    },
    /// A record is not acceptable, although its origin signed it.
    #[error("body: class {class}, record {index}: {source}")]
    Record {
        /// The class.
        class: ClassId,
        /// Its place, from 0.
        index: usize,
        /// The fault.
        source: RecordError,
    },
    /// Records out of order of entry id, or one twice.
    #[error("body: class {class}, record {index} is not above the one before it")]
    RecordOrder {
        /// The class.
        class: ClassId,
        /// Its place, from 0.
        index: usize,
    },
    /// A classifier's opinion outside the suspected classes, although its origin signed it: a machine assesses nothing.
    #[error(
        "body: class {class}, record {index} states a classifier's opinion, and its class is not suspected"
    )]
    Classifier {
        /// The class.
        class: ClassId,
        /// Its place, from 0.
        index: usize,
    },
    /// One entry id in two records: a delta puts an entry once.
    #[error("body: an entry stands in two classes")]
    RepeatedEntry,
    /// The stream of a class of which single records are withheld.
    #[error("body: class {class}: {source}")]
    Stream {
        /// The class.
        class: ClassId,
        /// The fault.
        source: StreamError,
    },
    /// A partly withheld class that holds more or fewer records than its stream opens.
    #[error("body: class {class} opens {expected} records and holds {got}")]
    Opened {
        /// The class.
        class: ClassId,
        /// Leaves that the stream opens.
        expected: u64,
        /// Records that there are; one too many stands for all.
        got: u64,
    },
    /// Bytes behind the last section.
    #[error("body: {got} bytes behind the last section")]
    Trailing {
        /// How many.
        got: usize,
    },
}
