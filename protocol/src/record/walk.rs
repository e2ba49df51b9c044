//! The schema of a record, written once: one strict pass over its bytes that allocates next to nothing.
//!
//! Why: whoever verifies a delta's body must know that every record is acceptable, and needs no field of it; whoever reads a
//! record needs them all. Both walk here, so they refuse the same bytes for the same reason. Spec: `docs/protocol.md`,
//! "Record". In scope: shape, bounds, closed lists, and canonical form as far as it shows while reading. Out of scope: the
//! name of a fault of form, and what is kept of a record (`decode`).

use hashpact_keys::canonical::Items;

use super::decode::{RecordError, is_version, label_fits};
use super::encode::VERSIONS;
use super::{
    ActivityForm, AgeBand, AgeBasis, Confidence, Derivation, DisabledReason, EntryId, Flag, Print,
    PrintValue, Priority, PubertalStage, Retention, Revision, SourceContext, VictimStatus,
};
use crate::fingerprint::{Algorithm, Fingerprint};
use crate::labels::is_token;
use crate::limits;
use crate::lists::{ClosedList, Set};

#[cfg(test)]
mod tests;

type Read<T = ()> = Result<T, RecordError>;

/// What a record states, in the order of its bytes. Texts are the record's own bytes.
pub(super) enum Stated<'a> {
    Print(Print),
    ByteLength(u64),
    Features([Flag; 7]),
    ActivityForm(Set<ActivityForm>),
    LocalLabel {
        scheme: &'a str,
        version: &'a str,
        issuer: &'a str,
        value: &'a str,
    },
    AgeDepicted(Set<AgeBand>),
    AgeBasis(AgeBasis),
    AgeConfidence(Confidence),
    PubertalStage(Set<PubertalStage>),
    SourceContext(Set<SourceContext>),
    DerivedFrom(EntryId, Derivation),
    VictimStatus(Set<VictimStatus>),
    SeriesId([u8; 16]),
    Priority(Priority),
    Classifier {
        id: &'a str,
        version: &'a str,
        score: u16,
        threshold: u16,
    },
    EnteredOn(u32),
    AssessedOn(u32),
    ReviewOn(u32),
    Retention(Retention),
}

/// Reads one record and hands over what it states.
///
/// # Errors
/// [`RecordError`]. Where the bytes are not canonical it may be another than theirs, which comes first: see [`Items`].
#[inline]
pub(super) fn record<'a>(
    items: &mut Items<'a>,
    keep: impl FnMut(Stated<'a>),
) -> Read<(EntryId, Revision)> {
    if array(items, 255)? != 3 {
        return Err(RecordError::Shape { key: 255 });
    }
    let entry = EntryId(fixed(items, 255)?);
    let revision = u32::try_from(uint(items, 255)?).map_err(|_| RecordError::Shape { key: 255 })?;
    if revision == 0 {
        return Err(RecordError::Revision);
    }
    fields(items, keep)?;
    Ok((entry, Revision(revision)))
}

/// Reads the fields of a record and hands over what they state.
///
/// # Errors
/// As [`record`].
#[inline]
pub(super) fn fields<'a>(items: &mut Items<'a>, mut keep: impl FnMut(Stated<'a>)) -> Read {
    let shape = RecordError::Shape { key: 255 };
    let keys = items.map().ok_or(shape)?;
    let (mut last, mut versions) = (None, false);
    let (mut prints, mut labels) = (0, 0);
    for _ in 0..keys {
        let key = uint(items, 255)?;
        // Keys out of order or one twice are a fault of form.
        if last.is_some_and(|last| last >= key) {
            return Err(RecordError::Shape { key: 255 });
        }
        last = Some(key);
        match key {
            0 => {
                read_versions(items)?;
                versions = true;
            }
            1 => prints = read_prints(items, &mut keep)?,
            2 => keep(Stated::ByteLength(uint(items, 2)?)),
            3 => keep(Stated::Features(features(items)?)),
            4 => keep(Stated::ActivityForm(set(items, 4)?)),
            5 => labels = local_labels(items, &mut keep)?,
            6 => keep(Stated::AgeDepicted(set(items, 6)?)),
            7 => keep(Stated::AgeBasis(one(items, 7, AgeBasis::Classifier)?)),
            8 => keep(Stated::AgeConfidence(one(items, 8, Confidence::Low)?)),
            9 => keep(Stated::PubertalStage(set(items, 9)?)),
            10 => keep(Stated::SourceContext(set(items, 10)?)),
            11 => derived(items, &mut keep)?,
            12 => keep(Stated::VictimStatus(set(items, 12)?)),
            13 => keep(Stated::SeriesId(fixed(items, 13)?)),
            14 => keep(Stated::Priority(one(items, 14, Priority::Normal)?)),
            15 => keep(classifier(items)?),
            16 => keep(Stated::EnteredOn(day(items, 16)?)),
            17 => keep(Stated::AssessedOn(day(items, 17)?)),
            18 => keep(Stated::ReviewOn(day(items, 18)?)),
            19 => keep(Stated::Retention(one(items, 19, Retention::Suspected)?)),
            key => return Err(RecordError::UnknownKey { key }),
        }
    }
    if !versions {
        return Err(RecordError::Shape { key: 0 });
    }
    // Keys that are absent count nothing.
    bounded(1, prints, limits::FINGERPRINTS_PER_ENTRY)?;
    bounded(5, labels, limits::LOCAL_LABELS)
}

fn bounded(key: u8, got: u64, max: usize) -> Read {
    let max = max as u64;
    if got == 0 || got > max {
        Err(RecordError::Count { key, got, max })
    } else {
        Ok(())
    }
}

#[inline]
fn array(items: &mut Items<'_>, key: u8) -> Read<u64> {
    items.array().ok_or(RecordError::Shape { key })
}

#[inline]
fn uint(items: &mut Items<'_>, key: u8) -> Read<u64> {
    items.unsigned().ok_or(RecordError::Shape { key })
}

#[inline]
fn text<'a>(items: &mut Items<'a>, key: u8) -> Read<&'a str> {
    items.text().ok_or(RecordError::Shape { key })
}

#[inline]
fn fixed<const N: usize>(items: &mut Items<'_>, key: u8) -> Read<[u8; N]> {
    let bytes = items.bytes().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or(RecordError::Shape { key })
}

fn set<T: ClosedList>(items: &mut Items<'_>, key: u8) -> Read<Set<T>> {
    let set = Set::<T>::from_bits(uint(items, key)?).ok_or(RecordError::Value { key })?;
    if set.is_full() {
        return Err(RecordError::Default { key });
    }
    if set.is_empty() {
        Err(RecordError::Value { key })
    } else {
        Ok(set)
    }
}

fn one<T: ClosedList>(items: &mut Items<'_>, key: u8, default: T) -> Read<T> {
    let value = T::from_bit(uint(items, key)?).ok_or(RecordError::Value { key })?;
    if value == default {
        Err(RecordError::Default { key })
    } else {
        Ok(value)
    }
}

/// Days since 1970-01-01.
fn day(items: &mut Items<'_>, key: u8) -> Read<u32> {
    let day = uint(items, key)?;
    u32::try_from(day)
        .ok()
        .filter(|day| *day < limits::DAYS)
        .ok_or(RecordError::Value { key })
}

fn read_versions(items: &mut Items<'_>) -> Read {
    if array(items, 0)? != 2 {
        return Err(RecordError::Shape { key: 0 });
    }
    let (schema, taxonomy) = (uint(items, 0)?, uint(items, 0)?);
    if (schema, taxonomy) != (u64::from(VERSIONS.0), u64::from(VERSIONS.1)) {
        return Err(RecordError::Version { schema, taxonomy });
    }
    Ok(())
}

fn features(items: &mut Items<'_>) -> Read<[Flag; 7]> {
    if array(items, 3)? != 7 {
        return Err(RecordError::Shape { key: 3 });
    }
    let mut features = [Flag::Unknown; 7];
    for flag in &mut features {
        *flag = Flag::from_bit(uint(items, 3)?).ok_or(RecordError::Value { key: 3 })?;
    }
    if features == [Flag::Unknown; 7] {
        return Err(RecordError::Default { key: 3 });
    }
    Ok(features)
}

/// Reads the fingerprints and gives their number.
#[inline]
fn read_prints<'a>(items: &mut Items<'a>, keep: &mut impl FnMut(Stated<'a>)) -> Read<u64> {
    let n = array(items, 1)?;
    bounded(1, n, limits::FINGERPRINTS_PER_ENTRY)?;
    // Equal values have equal bytes: there is one encoding only.
    let mut values: [&[u8]; limits::FINGERPRINTS_PER_ENTRY] = [&[]; limits::FINGERPRINTS_PER_ENTRY];
    for index in 0..usize::try_from(n).unwrap_or(0) {
        let (print, value) = read_print(items, index)?;
        if values[..index].contains(&value) {
            return Err(RecordError::Repeated { index });
        }
        values[index] = value;
        keep(Stated::Print(print));
    }
    Ok(n)
}

/// Reads a fingerprint and gives it with the bytes of its algorithm and value.
#[inline]
fn read_print<'a>(items: &mut Items<'a>, index: usize) -> Read<(Print, &'a [u8])> {
    let parts = array(items, 1)?;
    if parts != 2 && parts != 4 {
        return Err(RecordError::Shape { key: 1 });
    }
    let start = items.position();
    let algorithm = if items.at_text() {
        named(text(items, 1)?)?
    } else {
        Algorithm::from_code(uint(items, 1)?).ok_or(RecordError::Value { key: 1 })?
    };
    let value = if items.at_bytes() {
        let bytes = items.bytes().ok_or(RecordError::Shape { key: 1 })?;
        let value = Fingerprint::new(algorithm, bytes);
        PrintValue::Inline(value.map_err(|source| RecordError::Fingerprint { index, source })?)
    } else {
        apart(items, algorithm)?
    };
    let value_bytes = items.since(start);
    let (quality, disabled) = if parts == 4 {
        extras(items, &value)?
    } else {
        (None, None)
    };
    let print = Print {
        value,
        quality,
        disabled,
    };
    Ok((print, value_bytes))
}

fn named(name: &str) -> Read<Algorithm> {
    let algorithm = Algorithm::from_name(name).ok_or(RecordError::Value { key: 1 })?;
    // A known algorithm has one spelling only: its code.
    if algorithm.code().is_some() {
        return Err(RecordError::Value { key: 1 });
    }
    Ok(algorithm)
}

fn apart(items: &mut Items<'_>, algorithm: Algorithm) -> Read<PrintValue> {
    let value = || RecordError::Value { key: 1 };
    if array(items, 1)? != 2 {
        return Err(RecordError::Shape { key: 1 });
    }
    let length = u32::try_from(uint(items, 1)?).map_err(|_| value())?;
    let sha256 = fixed(items, 1)?;
    if algorithm.code().is_some() || length as usize <= limits::OPAQUE_BYTES {
        return Err(value());
    }
    Ok(PrintValue::Apart {
        algorithm,
        length,
        sha256,
    })
}

type Extras = (Option<u8>, Option<DisabledReason>);

fn extras(items: &mut Items<'_>, value: &PrintValue) -> Read<Extras> {
    let pdq = matches!(value, PrintValue::Inline(v) if *v.algorithm() == Algorithm::Pdq);
    let quality = match optional(items)? {
        Some(quality) if pdq && quality <= 100 => u8::try_from(quality).ok(),
        Some(_) => return Err(RecordError::Value { key: 1 }),
        None => None,
    };
    let disabled = match optional(items)? {
        Some(bit) => Some(DisabledReason::from_bit(bit).ok_or(RecordError::Value { key: 1 })?),
        None => None,
    };
    if quality.is_none() && disabled.is_none() {
        return Err(RecordError::Default { key: 1 });
    }
    Ok((quality, disabled))
}

fn optional(items: &mut Items<'_>) -> Read<Option<u64>> {
    if items.null() {
        return Ok(None);
    }
    uint(items, 1).map(Some)
}

/// Reads the local labels and gives their number.
#[inline]
fn local_labels<'a>(items: &mut Items<'a>, keep: &mut impl FnMut(Stated<'a>)) -> Read<u64> {
    let n = array(items, 5)?;
    bounded(5, n, limits::LOCAL_LABELS)?;
    for _ in 0..n {
        if array(items, 5)? != 4 {
            return Err(RecordError::Shape { key: 5 });
        }
        let (scheme, version) = (text(items, 5)?, text(items, 5)?);
        let (issuer, value) = (text(items, 5)?, text(items, 5)?);
        if !label_fits(scheme, version, issuer, value) {
            return Err(RecordError::Value { key: 5 });
        }
        keep(Stated::LocalLabel {
            scheme,
            version,
            issuer,
            value,
        });
    }
    Ok(n)
}

fn derived<'a>(items: &mut Items<'a>, keep: &mut impl FnMut(Stated<'a>)) -> Read {
    let n = array(items, 11)?;
    bounded(11, n, limits::DERIVED_FROM)?;
    let mut last = None;
    for _ in 0..n {
        if array(items, 11)? != 2 {
            return Err(RecordError::Shape { key: 11 });
        }
        let entry = EntryId(fixed(items, 11)?);
        let how = Derivation::from_bit(uint(items, 11)?);
        let how = how.ok_or(RecordError::Value { key: 11 })?;
        if last.is_some_and(|last| last >= (entry, how)) {
            return Err(RecordError::Value { key: 11 });
        }
        last = Some((entry, how));
        keep(Stated::DerivedFrom(entry, how));
    }
    Ok(())
}

fn classifier<'a>(items: &mut Items<'a>) -> Read<Stated<'a>> {
    if array(items, 15)? != 4 {
        return Err(RecordError::Shape { key: 15 });
    }
    let (id, version) = (text(items, 15)?, text(items, 15)?);
    let permyriad = |n: u64| u16::try_from(n).ok().filter(|n| *n <= 10_000);
    let value = RecordError::Value { key: 15 };
    let score = permyriad(uint(items, 15)?).ok_or_else(|| value.clone())?;
    let threshold = permyriad(uint(items, 15)?).ok_or_else(|| value.clone())?;
    if !is_token(id, 64) || !is_version(version) {
        return Err(value);
    }
    Ok(Stated::Classifier {
        id,
        version,
        score,
        threshold,
    })
}
