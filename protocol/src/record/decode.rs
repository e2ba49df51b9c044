//! Canonical CBOR to a record, or to the knowledge that it is one: strict, bounded, closed schema.
//!
//! Why two ways: whoever verifies a body checks a million records and keeps none. Both are one pass of `walk`; what it
//! refuses is walked once more by `canonical`, whose faults come before those of the schema.

use hashpact_keys::canonical::{self, Items};

use super::encode::VERSIONS;
use super::walk::{self, Stated};
use super::{Classifier, EntryId, Fields, LocalLabel, Record};
use crate::fingerprint::FingerprintError;
use crate::labels::is_token;
use crate::limits;

/// Why a record is refused. Nothing here shows a byte of a fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Not canonical CBOR.
    #[error("record: {0}")]
    Canonical(#[from] canonical::CanonicalError),
    /// Canonical, but not of the expected shape.
    #[error("record: key {key} does not have the expected shape")]
    Shape {
        /// Key of the field, or 255 for the record itself.
        key: u8,
    },
    /// Longer than [`limits::RECORD_BYTES`].
    #[error("record: {got} bytes, at most {}", limits::RECORD_BYTES)]
    TooLarge {
        /// Its length.
        got: usize,
    },
    /// A key that the closed schema does not have.
    #[error("record: key {key} is not in the schema")]
    UnknownKey {
        /// The key.
        key: u64,
    },
    /// Schema or taxonomy of another version.
    #[error("record: schema {schema} taxonomy {taxonomy}, expected {} and {}", VERSIONS.0, VERSIONS.1)]
    Version {
        /// Schema version.
        schema: u64,
        /// Taxonomy version.
        taxonomy: u64,
    },
    /// A value outside its closed list or range.
    #[error("record: key {key} has a value that is not allowed")]
    Value {
        /// Key of the field.
        key: u8,
    },
    /// A value stated although it is the default, which has one encoding only: absence.
    #[error("record: key {key} states its default")]
    Default {
        /// Key of the field.
        key: u8,
    },
    /// Too many or too few of something.
    #[error("record: key {key} holds {got} items, 1 to {max} allowed")]
    Count {
        /// Key of the field.
        key: u8,
        /// Items found.
        got: u64,
        /// Most allowed.
        max: u64,
    },
    /// A fingerprint of the wrong length or one that must never be shared.
    #[error("record: fingerprint {index}: {source}")]
    Fingerprint {
        /// Its place, from 0.
        index: usize,
        /// The fault.
        source: FingerprintError,
    },
    /// The same fingerprint twice.
    #[error("record: fingerprint {index} stands twice")]
    Repeated {
        /// Place of the second, from 0.
        index: usize,
    },
    /// Revision 0.
    #[error("record: revisions count from 1")]
    Revision,
}

/// What a check tells of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Checked {
    /// The entry.
    pub(crate) entry: EntryId,
    /// Bytes of the record.
    pub(crate) len: usize,
    /// Whether it states a classifier's opinion.
    pub(crate) is_classified: bool,
}

impl Record {
    /// Reads one record, strictly. `bytes` is exactly one record.
    ///
    /// # Errors
    /// [`RecordError`] for anything but the one encoding of an acceptable record.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        if bytes.len() > limits::RECORD_BYTES {
            return Err(RecordError::TooLarge { got: bytes.len() });
        }
        let (mut items, mut fields) = (Items::new(bytes), Fields::default());
        let read = walk::record(&mut items, |stated| fields.keep(stated));
        let (entry, revision) = whole(bytes, &items, read)?;
        Ok(Self {
            entry,
            revision,
            fields,
        })
    }

    /// Checks the record that `bytes` begin with, as [`Record::from_bytes`] does, and keeps nothing. What follows it is
    /// not looked at.
    ///
    /// # Errors
    /// That of [`canonical::item_len`], else that of [`Record::from_bytes`] for the first item.
    pub(crate) fn check_first(bytes: &[u8]) -> Result<Checked, RecordError> {
        let (mut items, mut is_classified) = (Items::new(bytes), false);
        let read = walk::record(&mut items, |stated| {
            is_classified |= matches!(stated, Stated::Classifier { .. });
        });
        let len = items.position();
        match read {
            Ok((entry, _)) if len <= limits::RECORD_BYTES => Ok(Checked {
                entry,
                len,
                is_classified,
            }),
            read => {
                let got = canonical::item_len(bytes)?;
                if got > limits::RECORD_BYTES {
                    return Err(RecordError::TooLarge { got });
                }
                Err(fault(read))
            }
        }
    }
}

impl Fields {
    /// Reads fields that stand alone, as ingest spills them.
    ///
    /// # Errors
    /// As [`Record::from_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let (mut items, mut fields) = (Items::new(bytes), Self::default());
        let read = walk::fields(&mut items, |stated| fields.keep(stated));
        whole(bytes, &items, read)?;
        Ok(fields)
    }

    fn keep(&mut self, stated: Stated<'_>) {
        match stated {
            Stated::Print(print) => self.prints.push(print),
            Stated::ByteLength(length) => self.byte_length = Some(length),
            Stated::Features(features) => self.features = features,
            Stated::ActivityForm(set) => self.activity_form = set,
            Stated::LocalLabel {
                scheme,
                version,
                issuer,
                value,
            } => self.local_labels.push(LocalLabel {
                scheme: scheme.to_owned(),
                version: version.to_owned(),
                issuer: issuer.to_owned(),
                value: value.to_owned(),
            }),
            Stated::AgeDepicted(set) => self.age_depicted = set,
            Stated::AgeBasis(basis) => self.age_basis = basis,
            Stated::AgeConfidence(confidence) => self.age_confidence = confidence,
            Stated::PubertalStage(set) => self.pubertal_stage = set,
            Stated::SourceContext(set) => self.source_context = set,
            Stated::DerivedFrom(entry, how) => self.derived_from.push((entry, how)),
            Stated::VictimStatus(set) => self.victim_status = set,
            Stated::SeriesId(series) => self.series_id = Some(series),
            Stated::Priority(priority) => self.priority = priority,
            Stated::Classifier {
                id,
                version,
                score,
                threshold,
            } => {
                self.classifier = Some(Classifier {
                    id: id.to_owned(),
                    version: version.to_owned(),
                    score,
                    threshold,
                });
            }
            Stated::EnteredOn(day) => self.entered_on = Some(day),
            Stated::AssessedOn(day) => self.assessed_on = Some(day),
            Stated::ReviewOn(day) => self.review_on = Some(day),
            Stated::Retention(retention) => self.retention = retention,
        }
    }
}

/// What was read, if it is all of `bytes`; else the fault, of form before of schema.
fn whole<T>(
    bytes: &[u8],
    items: &Items<'_>,
    read: Result<T, RecordError>,
) -> Result<T, RecordError> {
    match read {
        Ok(value) if items.position() == bytes.len() => Ok(value),
        read => {
            canonical::check(bytes)?;
            Err(fault(read))
        }
    }
}

/// The fault of canonical bytes. What was read without one is refused as well: the caller found it too long or too short.
fn fault<T>(read: Result<T, RecordError>) -> RecordError {
    read.err().unwrap_or(RecordError::Shape { key: 255 })
}

impl LocalLabel {
    /// Whether all four parts are within their alphabets and lengths.
    #[must_use]
    pub fn is_acceptable(&self) -> bool {
        label_fits(&self.scheme, &self.version, &self.issuer, &self.value)
    }
}

pub(super) fn label_fits(scheme: &str, version: &str, issuer: &str, value: &str) -> bool {
    is_token(scheme, 64)
        && is_version(version)
        && is_token(issuer, 64)
        && !value.is_empty()
        && value.len() <= limits::LOCAL_VALUE_BYTES
        && !value.chars().any(char::is_control)
}

pub(super) fn is_version(text: &str) -> bool {
    let fits = !text.is_empty() && text.len() <= 16;
    fits && text
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-')
}
