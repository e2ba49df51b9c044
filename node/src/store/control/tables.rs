//! The tables, and what one transaction writes to them.
//!
//! In scope: rows. Out of scope: when a transaction is made and what must hold before it.

use std::collections::BTreeMap;

use hashpact_keys::Origin;
use hashpact_protocol::delta::ClassEntry;
use hashpact_protocol::labels::ClassId;
use hashpact_protocol::limits;
use hashpact_protocol::view::{Held, LogState};
use minicbor::{Decoder, Encoder};
use redb::{ReadableTable, TableDefinition, WriteTransaction};

use super::super::index::SegmentId;
use super::{ApplyError, Change, ClassContents, Contents, ControlError, SegmentEntry, Tally};

pub(super) const LOGS: TableDefinition<&str, &[u8]> = TableDefinition::new("logs");
pub(super) const CLASSES: TableDefinition<(&str, u16), &[u8]> = TableDefinition::new("classes");
pub(super) const DELTAS: TableDefinition<(&str, u64), u64> = TableDefinition::new("deltas");
pub(super) const ROSTERS: TableDefinition<u64, &[u8]> = TableDefinition::new("rosters");
/// Origin to the number that stands for it in index rows.
pub(super) const ORIGINS: TableDefinition<&str, u16> = TableDefinition::new("origins");
/// Segment to family and rows.
pub(super) const SEGMENTS: TableDefinition<u64, (u8, u64)> = TableDefinition::new("segments");
/// Origin to records stored, and how many of them are retracted.
pub(super) const COUNTS: TableDefinition<&str, (u64, u64)> = TableDefinition::new("counts");
/// Bodies stored: records and bytes.
pub(super) const BODIES: TableDefinition<(&str, u64), (u64, u64)> = TableDefinition::new("bodies");
/// What a body holds, and how often its file was rewritten.
pub(super) const CONTENTS: TableDefinition<(&str, u64), &[u8]> = TableDefinition::new("contents");
/// Offsets of a body that a section has left and the index still leads to: log, delta and start to end.
pub(super) const HOLES: TableDefinition<(&str, u64, u32), u64> = TableDefinition::new("holes");
/// Entries of a delta whose records were purged: they do not come back.
pub(super) const PURGED: TableDefinition<(&str, u64, [u8; 16]), ()> =
    TableDefinition::new("purged");
/// Deltas of which only the retractions are stored: how many.
pub(super) const ENDS: TableDefinition<(&str, u64), u64> = TableDefinition::new("ends");
/// Proofs that a log was forked.
pub(super) const FORKS: TableDefinition<&str, &[u8]> = TableDefinition::new("forks");
/// Ids of keys that this node must not cosign with any more.
pub(super) const RETIRED: TableDefinition<&[u8], ()> = TableDefinition::new("retired");
/// Signed policy documents by log and log index.
pub(super) const POLICIES: TableDefinition<(&str, u64), &[u8]> = TableDefinition::new("policies");
/// The newest signed match manifests by log and log index.
pub(super) const MANIFESTS: TableDefinition<(&str, u64), &[u8]> = TableDefinition::new("manifests");
/// Small objects of the core by shelf and key.
pub(super) const KEPT: TableDefinition<(u8, &[u8]), &[u8]> = TableDefinition::new("kept");
pub(super) const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
pub(super) const META_FORMAT: &str = "format";
pub(super) const META_NEXT_SEGMENT: &str = "next_segment";

/// So that reading never meets a table that is not there.
pub(super) fn open_all(transaction: &WriteTransaction) -> Result<(), ControlError> {
    transaction.open_table(LOGS)?;
    transaction.open_table(CLASSES)?;
    transaction.open_table(DELTAS)?;
    transaction.open_table(ROSTERS)?;
    transaction.open_table(SEGMENTS)?;
    transaction.open_table(COUNTS)?;
    transaction.open_table(BODIES)?;
    transaction.open_table(CONTENTS)?;
    transaction.open_table(HOLES)?;
    transaction.open_table(PURGED)?;
    transaction.open_table(ENDS)?;
    transaction.open_table(FORKS)?;
    transaction.open_table(RETIRED)?;
    transaction.open_table(POLICIES)?;
    transaction.open_table(MANIFESTS)?;
    transaction.open_table(KEPT)?;
    Ok(())
}

pub(super) fn check_sizes(
    transaction: &WriteTransaction,
    from: &BTreeMap<Origin, u64>,
) -> Result<(), ApplyError> {
    let table = transaction.open_table(LOGS).map_err(ControlError::from)?;
    for (origin, expected) in from {
        let row = table.get(origin.as_str()).map_err(ControlError::from)?;
        let state = match row {
            Some(row) => LogState::from_bytes(row.value()),
            None => Some(LogState::default()),
        };
        let got = state.ok_or(ControlError::Row { table: "logs" })?.size;
        if got != *expected {
            return Err(ApplyError::Size {
                origin: origin.clone(),
                expected: *expected,
                got,
            });
        }
    }
    Ok(())
}

pub(super) fn write_logs(
    transaction: &WriteTransaction,
    change: &Change,
) -> Result<(), ControlError> {
    let mut origins = transaction.open_table(ORIGINS)?;
    for (origin, number) in &change.origins {
        origins.insert(origin.as_str(), number)?;
    }
    let mut logs = transaction.open_table(LOGS)?;
    for (origin, state) in &change.logs {
        logs.insert(origin.as_str(), state.to_bytes().as_slice())?;
    }
    let mut deltas = transaction.open_table(DELTAS)?;
    for (origin, seq, index) in &change.deltas {
        deltas.insert((origin.as_str(), seq.0), index)?;
    }
    let mut classes = transaction.open_table(CLASSES)?;
    for ((origin, class), labels) in &change.classes {
        classes.insert((origin.as_str(), class.0), labels.to_bytes().as_slice())?;
    }
    let mut rosters = transaction.open_table(ROSTERS)?;
    for (version, bytes) in &change.rosters {
        rosters.insert(version.get(), bytes.as_slice())?;
    }
    let mut forks = transaction.open_table(FORKS)?;
    for (origin, proof) in &change.forks {
        forks.insert(origin.as_str(), proof.as_slice())?;
    }
    let mut retired = transaction.open_table(RETIRED)?;
    for key in &change.retired {
        retired.insert(&key.as_bytes()[..], ())?;
    }
    let mut policies = transaction.open_table(POLICIES)?;
    for (origin, index, document) in &change.policies {
        policies.insert((origin.as_str(), *index), document.as_slice())?;
    }
    write_manifests(transaction, change)?;
    let mut kept = transaction.open_table(KEPT)?;
    for (shelf, key, value) in &change.kept {
        let key = (*shelf as u8, key.as_slice());
        match value {
            Some(value) => drop(kept.insert(key, value.as_slice())?),
            None => drop(kept.remove(key)?),
        }
    }
    Ok(())
}

/// Of each log the newest stay.
fn write_manifests(transaction: &WriteTransaction, change: &Change) -> Result<(), ControlError> {
    let mut manifests = transaction.open_table(MANIFESTS)?;
    for (origin, index, manifest) in &change.manifests {
        let line = origin.as_str();
        manifests.insert((line, *index), manifest.as_slice())?;
        let rows = manifests.range((line, 0)..=(line, u64::MAX))?.rev();
        let old = rows
            .skip(limits::MANIFESTS_KEPT)
            .map(|row| Ok(row?.0.value().1));
        for index in old.collect::<Result<Vec<_>, ControlError>>()? {
            manifests.remove((line, index))?;
        }
    }
    Ok(())
}

pub(super) fn write_bodies(
    transaction: &WriteTransaction,
    change: &Change,
) -> Result<(), ControlError> {
    let mut bodies = transaction.open_table(BODIES)?;
    let mut ends = transaction.open_table(ENDS)?;
    for (origin, seq, entry) in &change.bodies {
        let key = (origin.as_str(), seq.0);
        bodies.insert(key, (entry.records, entry.bytes))?;
        // The body holds them too.
        ends.remove(key)?;
    }
    let mut contents = transaction.open_table(CONTENTS)?;
    for (origin, seq, held) in &change.contents {
        contents.insert((origin.as_str(), seq.0), encode_contents(held).as_slice())?;
    }
    let mut holes = transaction.open_table(HOLES)?;
    for (origin, seq, hole) in &change.holes {
        holes.insert((origin.as_str(), seq.0, hole.start), hole.end)?;
    }
    let mut purged = transaction.open_table(PURGED)?;
    for (origin, seq, entry) in &change.purged {
        purged.insert((origin.as_str(), seq.0, entry.0), ())?;
    }
    for (origin, seq, count) in &change.ends {
        ends.insert((origin.as_str(), seq.0), count)?;
    }
    write_tallies(transaction, &change.tallies)
}

pub(super) fn write_tallies(
    transaction: &WriteTransaction,
    tallies: &BTreeMap<Origin, Tally>,
) -> Result<(), ControlError> {
    let mut counts = transaction.open_table(COUNTS)?;
    for (origin, tally) in tallies {
        counts.insert(origin.as_str(), (tally.stored, tally.retracted))?;
    }
    Ok(())
}

pub(super) fn write_segments(
    transaction: &WriteTransaction,
    old: &[SegmentId],
    new: &[SegmentEntry],
) -> Result<(), ControlError> {
    let mut segments = transaction.open_table(SEGMENTS)?;
    for id in old {
        segments.remove(id.0)?;
    }
    let mut meta = transaction.open_table(META)?;
    let mut next = meta.get(META_NEXT_SEGMENT)?.map_or(0, |next| next.value());
    for entry in new {
        segments.insert(entry.id.0, (entry.family.code(), entry.rows))?;
        next = next.max(entry.id.0.saturating_add(1));
    }
    meta.insert(META_NEXT_SEGMENT, next)?;
    Ok(())
}

/// `[version, [[class, count, root, held]...]]`.
fn encode_contents(contents: &Contents) -> Vec<u8> {
    let mut e = Encoder::new(Vec::with_capacity(16 + contents.classes.len() * 48));
    // Writing to a Vec cannot fail.
    let _ = e.array(2).and_then(|e| e.u32(contents.version));
    let _ = e.array(contents.classes.len() as u64);
    for ClassContents { signed, held } in &contents.classes {
        let held = match held {
            Held::All => 0,
            Held::None => 1,
            Held::Some => 2,
        };
        let _ = e
            .array(4)
            .and_then(|e| e.u16(signed.class.0))
            .and_then(|e| e.u64(signed.count))
            .and_then(|e| e.bytes(&signed.root))
            .and_then(|e| e.u8(held));
    }
    e.into_writer()
}

pub(super) fn decode_contents(bytes: &[u8]) -> Result<Contents, ControlError> {
    let read = || {
        let mut d = Decoder::new(bytes);
        d.array().ok()??;
        let version = d.u32().ok()?;
        let mut classes = Vec::new();
        for _ in 0..d.array().ok()?? {
            d.array().ok()??;
            classes.push(ClassContents {
                signed: ClassEntry {
                    class: ClassId(d.u16().ok()?),
                    count: d.u64().ok()?,
                    root: d.bytes().ok()?.try_into().ok()?,
                },
                held: match d.u8().ok()? {
                    0 => Held::All,
                    1 => Held::None,
                    2 => Held::Some,
                    _ => return None,
                },
            });
        }
        Some(Contents { version, classes })
    };
    read().ok_or(ControlError::Row { table: "contents" })
}
