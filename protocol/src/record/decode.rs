//! Canonical CBOR to a record: strict, bounded, closed schema.

use hashpact_keys::canonical;
use minicbor::Decoder;
use minicbor::data::Type;

use super::encode::VERSIONS;
use super::{
    AgeBasis, Classifier, Confidence, EntryId, Fields, Flag, LocalLabel, Print, PrintValue,
    Priority, Record, Retention, Revision,
};
use crate::fingerprint::{Algorithm, Fingerprint, FingerprintError};
use crate::labels::is_token;
use crate::limits;
use crate::lists::{ClosedList, Set};

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

impl Record {
    /// Reads one record, strictly. `bytes` is exactly one record.
    ///
    /// # Errors
    /// [`RecordError`] for anything but the one encoding of an acceptable record.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        if bytes.len() > limits::RECORD_BYTES {
            return Err(RecordError::TooLarge { got: bytes.len() });
        }
        canonical::check(bytes)?;
        let mut d = Decoder::new(bytes);
        if array(&mut d, 255)? != 3 {
            return Err(RecordError::Shape { key: 255 });
        }
        let entry = EntryId(fixed(&mut d, 255)?);
        let revision = d.u32().map_err(|_| RecordError::Shape { key: 255 })?;
        if revision == 0 {
            return Err(RecordError::Revision);
        }
        Ok(Self {
            entry,
            revision: Revision(revision),
            fields: fields(&mut d)?,
        })
    }
}

impl Fields {
    /// Reads fields that stand alone, as ingest spills them.
    ///
    /// # Errors
    /// As [`Record::from_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        canonical::check(bytes)?;
        fields(&mut Decoder::new(bytes))
    }
}

fn fields(d: &mut Decoder<'_>) -> Result<Fields, RecordError> {
    let shape = RecordError::Shape { key: 255 };
    let keys = d.map().map_err(|_| shape.clone())?.ok_or(shape)?;
    let mut fields = Fields::default();
    let mut versions = None;
    for _ in 0..keys {
        let key = d.u64().map_err(|_| RecordError::Shape { key: 255 })?;
        match key {
            0 => versions = Some(read_versions(d)?),
            1 => fields.prints = prints(d)?,
            2 => fields.byte_length = Some(uint(d, 2)?),
            3 => fields.features = features(d)?,
            4 => fields.activity_form = set(d, 4)?,
            5 => fields.local_labels = local_labels(d)?,
            6 => fields.age_depicted = set(d, 6)?,
            7 => fields.age_basis = one(d, 7, AgeBasis::Classifier)?,
            8 => fields.age_confidence = one(d, 8, Confidence::Low)?,
            9 => fields.pubertal_stage = set(d, 9)?,
            10 => fields.source_context = set(d, 10)?,
            11 => fields.derived_from = derived(d)?,
            12 => fields.victim_status = set(d, 12)?,
            13 => fields.series_id = Some(fixed(d, 13)?),
            14 => fields.priority = one(d, 14, Priority::Normal)?,
            15 => fields.classifier = Some(classifier(d)?),
            16 => fields.entered_on = Some(day(d, 16)?),
            17 => fields.assessed_on = Some(day(d, 17)?),
            18 => fields.review_on = Some(day(d, 18)?),
            19 => fields.retention = one(d, 19, Retention::Suspected)?,
            key => return Err(RecordError::UnknownKey { key }),
        }
    }
    if versions.is_none() {
        return Err(RecordError::Shape { key: 0 });
    }
    bounded(
        1,
        fields.prints.len() as u64,
        limits::FINGERPRINTS_PER_ENTRY,
    )?;
    bounded(5, fields.local_labels.len() as u64, limits::LOCAL_LABELS)?;
    Ok(fields)
}

fn bounded(key: u8, got: u64, max: usize) -> Result<(), RecordError> {
    let max = max as u64;
    if got == 0 || got > max {
        Err(RecordError::Count { key, got, max })
    } else {
        Ok(())
    }
}

fn array(d: &mut Decoder<'_>, key: u8) -> Result<u64, RecordError> {
    d.array().ok().flatten().ok_or(RecordError::Shape { key })
}

fn uint(d: &mut Decoder<'_>, key: u8) -> Result<u64, RecordError> {
    d.u64().map_err(|_| RecordError::Shape { key })
}

fn fixed<const N: usize>(d: &mut Decoder<'_>, key: u8) -> Result<[u8; N], RecordError> {
    let bytes = d.bytes().map_err(|_| RecordError::Shape { key })?;
    bytes.try_into().map_err(|_| RecordError::Shape { key })
}

fn set<T: ClosedList>(d: &mut Decoder<'_>, key: u8) -> Result<Set<T>, RecordError> {
    let set = Set::<T>::from_bits(uint(d, key)?).ok_or(RecordError::Value { key })?;
    if set.is_full() {
        return Err(RecordError::Default { key });
    }
    if set.is_empty() {
        Err(RecordError::Value { key })
    } else {
        Ok(set)
    }
}

fn one<T: ClosedList>(d: &mut Decoder<'_>, key: u8, default: T) -> Result<T, RecordError> {
    let value = T::from_bit(uint(d, key)?).ok_or(RecordError::Value { key })?;
    if value == default {
        Err(RecordError::Default { key })
    } else {
        Ok(value)
    }
}

/// Days since 1970-01-01: up to the year 2239, so that a time in seconds is refused.
fn day(d: &mut Decoder<'_>, key: u8) -> Result<u32, RecordError> {
    let day = uint(d, key)?;
    u32::try_from(day)
        .ok()
        .filter(|day| *day < 100_000)
        .ok_or(RecordError::Value { key })
}

fn read_versions(d: &mut Decoder<'_>) -> Result<(), RecordError> {
    if array(d, 0)? != 2 {
        return Err(RecordError::Shape { key: 0 });
    }
    let (schema, taxonomy) = (uint(d, 0)?, uint(d, 0)?);
    if (schema, taxonomy) != (u64::from(VERSIONS.0), u64::from(VERSIONS.1)) {
        return Err(RecordError::Version { schema, taxonomy });
    }
    Ok(())
}

fn features(d: &mut Decoder<'_>) -> Result<[Flag; 7], RecordError> {
    if array(d, 3)? != 7 {
        return Err(RecordError::Shape { key: 3 });
    }
    let mut features = [Flag::Unknown; 7];
    for flag in &mut features {
        *flag = Flag::from_bit(uint(d, 3)?).ok_or(RecordError::Value { key: 3 })?;
    }
    if features == [Flag::Unknown; 7] {
        return Err(RecordError::Default { key: 3 });
    }
    Ok(features)
}

fn prints(d: &mut Decoder<'_>) -> Result<Vec<Print>, RecordError> {
    let n = array(d, 1)?;
    bounded(1, n, limits::FINGERPRINTS_PER_ENTRY)?;
    let mut prints: Vec<Print> = Vec::new();
    for index in 0..usize::try_from(n).unwrap_or(0) {
        let print = print(d, index)?;
        if prints.iter().any(|earlier| earlier.value == print.value) {
            return Err(RecordError::Repeated { index });
        }
        prints.push(print);
    }
    Ok(prints)
}

fn print(d: &mut Decoder<'_>, index: usize) -> Result<Print, RecordError> {
    let shape = || RecordError::Shape { key: 1 };
    let parts = array(d, 1)?;
    if parts != 2 && parts != 4 {
        return Err(shape());
    }
    let algorithm = if d.datatype().map_err(|_| shape())? == Type::String {
        let name = d.str().map_err(|_| shape())?;
        let algorithm = Algorithm::from_name(name).ok_or(RecordError::Value { key: 1 })?;
        // A known algorithm has one spelling only: its code.
        if algorithm.code().is_some() {
            return Err(RecordError::Value { key: 1 });
        }
        algorithm
    } else {
        Algorithm::from_code(uint(d, 1)?).ok_or(RecordError::Value { key: 1 })?
    };
    let value = if d.datatype().map_err(|_| shape())? == Type::Bytes {
        let bytes = d.bytes().map_err(|_| shape())?;
        let value = Fingerprint::new(algorithm, bytes);
        PrintValue::Inline(value.map_err(|source| RecordError::Fingerprint { index, source })?)
    } else {
        apart(d, algorithm)?
    };
    let (quality, disabled) = if parts == 4 {
        extras(d, &value)?
    } else {
        (None, None)
    };
    Ok(Print {
        value,
        quality,
        disabled,
    })
}

fn apart(d: &mut Decoder<'_>, algorithm: Algorithm) -> Result<PrintValue, RecordError> {
    let value = || RecordError::Value { key: 1 };
    if array(d, 1)? != 2 {
        return Err(RecordError::Shape { key: 1 });
    }
    let length = u32::try_from(uint(d, 1)?).map_err(|_| value())?;
    let sha256 = fixed(d, 1)?;
    if algorithm.code().is_some() || length as usize <= limits::OPAQUE_BYTES {
        return Err(value());
    }
    Ok(PrintValue::Apart {
        algorithm,
        length,
        sha256,
    })
}

type Extras = (Option<u8>, Option<super::DisabledReason>);

fn extras(d: &mut Decoder<'_>, value: &PrintValue) -> Result<Extras, RecordError> {
    let pdq = matches!(value, PrintValue::Inline(v) if *v.algorithm() == Algorithm::Pdq);
    let quality = match optional(d)? {
        Some(quality) if pdq && quality <= 100 => u8::try_from(quality).ok(),
        Some(_) => return Err(RecordError::Value { key: 1 }),
        None => None,
    };
    let disabled = match optional(d)? {
        Some(bit) => {
            Some(super::DisabledReason::from_bit(bit).ok_or(RecordError::Value { key: 1 })?)
        }
        None => None,
    };
    if quality.is_none() && disabled.is_none() {
        return Err(RecordError::Default { key: 1 });
    }
    Ok((quality, disabled))
}

fn optional(d: &mut Decoder<'_>) -> Result<Option<u64>, RecordError> {
    let shape = RecordError::Shape { key: 1 };
    if d.datatype().map_err(|_| shape.clone())? == Type::Null {
        d.null().map_err(|_| shape)?;
        return Ok(None);
    }
    uint(d, 1).map(Some)
}

fn text(d: &mut Decoder<'_>, key: u8) -> Result<String, RecordError> {
    d.str()
        .map(str::to_owned)
        .map_err(|_| RecordError::Shape { key })
}

fn local_labels(d: &mut Decoder<'_>) -> Result<Vec<LocalLabel>, RecordError> {
    let n = array(d, 5)?;
    bounded(5, n, limits::LOCAL_LABELS)?;
    let mut labels = Vec::new();
    for _ in 0..n {
        if array(d, 5)? != 4 {
            return Err(RecordError::Shape { key: 5 });
        }
        let label = LocalLabel {
            scheme: text(d, 5)?,
            version: text(d, 5)?,
            issuer: text(d, 5)?,
            value: text(d, 5)?,
        };
        if !label.is_acceptable() {
            return Err(RecordError::Value { key: 5 });
        }
        labels.push(label);
    }
    Ok(labels)
}

impl LocalLabel {
    /// Whether all four parts are within their alphabets and lengths.
    #[must_use]
    pub fn is_acceptable(&self) -> bool {
        let value = &self.value;
        is_token(&self.scheme, 64)
            && is_version(&self.version)
            && is_token(&self.issuer, 64)
            && !value.is_empty()
            && value.len() <= limits::LOCAL_VALUE_BYTES
            && !value.chars().any(char::is_control)
    }
}

fn is_version(text: &str) -> bool {
    let fits = !text.is_empty() && text.len() <= 16;
    fits && text
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-')
}

fn derived(d: &mut Decoder<'_>) -> Result<Vec<(EntryId, super::Derivation)>, RecordError> {
    let n = array(d, 11)?;
    bounded(11, n, limits::DERIVED_FROM)?;
    let mut parents: Vec<(EntryId, super::Derivation)> = Vec::new();
    for _ in 0..n {
        if array(d, 11)? != 2 {
            return Err(RecordError::Shape { key: 11 });
        }
        let entry = EntryId(fixed(d, 11)?);
        let how = super::Derivation::from_bit(uint(d, 11)?);
        let how = how.ok_or(RecordError::Value { key: 11 })?;
        if parents.last().is_some_and(|last| *last >= (entry, how)) {
            return Err(RecordError::Value { key: 11 });
        }
        parents.push((entry, how));
    }
    Ok(parents)
}

fn classifier(d: &mut Decoder<'_>) -> Result<Classifier, RecordError> {
    if array(d, 15)? != 4 {
        return Err(RecordError::Shape { key: 15 });
    }
    let (id, version) = (text(d, 15)?, text(d, 15)?);
    let permyriad = |n: u64| u16::try_from(n).ok().filter(|n| *n <= 10_000);
    let value = RecordError::Value { key: 15 };
    let score = permyriad(uint(d, 15)?).ok_or_else(|| value.clone())?;
    let threshold = permyriad(uint(d, 15)?).ok_or_else(|| value.clone())?;
    if !is_token(&id, 64) || !is_version(&version) {
        return Err(value);
    }
    Ok(Classifier {
        id,
        version,
        score,
        threshold,
    })
}
