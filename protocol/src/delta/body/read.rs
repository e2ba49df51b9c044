//! Reading a body: each section against its row of the table, the retractions against theirs.
//!
//! In scope: form, order, records and roots. Out of scope: what the body is then asked for (the parent).

use hashpact_keys::{Origin, canonical};
use minicbor::Decoder;

use super::super::opening::Opening;
use super::super::section::{Form, Head};
use super::super::{
    ClassEntry, RETRACTION_SECTION, Retraction, RetractionEntry, Seq, class_root, retraction_root,
};
use super::{BodyError, Disclosure, Expected, Section};
use crate::labels::ClassId;
use crate::limits;
use crate::record::{Checked, EntryId, Record, Revision};

/// The entry ids of a body's records as numbers, which sort as their bytes do: class after class, each class sorted.
#[derive(Default)]
pub(super) struct Ids(Vec<u128>);

impl Ids {
    /// Whether two classes put the same entry; within a class the order excludes it.
    pub(super) fn repeat(&mut self) -> bool {
        // A stable sort finds the sorted classes and only merges them.
        self.0.sort();
        self.0.windows(2).any(|pair| pair[0] == pair[1])
    }
}

/// Reads the section at `at` and checks it against the table's row.
pub(super) fn read_section(
    bytes: &[u8],
    at: usize,
    index: usize,
    entry: &ClassEntry,
    expected: &Expected,
    ids: &mut Ids,
) -> Result<Section, BodyError> {
    let shape = || BodyError::Shape { section: index };
    let head = Head::read(&bytes[at..]).ok_or_else(shape)?;
    let (class, range) = (entry.class, at..at + head.len);
    if head.class != u64::from(class.0) {
        return Err(BodyError::Class {
            section: index,
            expected: u32::from(class.0),
            got: head.class,
        });
    }
    let section = head.section().ok_or_else(shape)?;
    let count = |got| BodyError::Count {
        class,
        expected: entry.count,
        got,
    };
    if section.count != entry.count {
        return Err(count(section.count));
    }
    let leaves = usize::try_from(entry.count).map_err(|_| shape())?;
    let records = range.end - section.records().len()..range.end;
    let disclosure = match section.form {
        Form::Withheld { root } if root == entry.root => Disclosure::Withheld,
        Form::Withheld { .. } => return Err(BodyError::Root { class }),
        Form::Disclosed { seed, records: run } => {
            let items = check_records(run, leaves, (class, expected), ids, count)?;
            check_root(&Opening::whole(seed), &items, entry, expected)?;
            Disclosure::Disclosed(records)
        }
        Form::Partial {
            stream,
            records: run,
        } => {
            let opening = Opening::read(stream, leaves);
            let opening = opening.map_err(|source| BodyError::Stream { class, source })?;
            let held = opening.opened(leaves);
            let opened = |got| BodyError::Opened {
                class,
                expected: held as u64,
                got,
            };
            let items = check_records(run, held, (class, expected), ids, opened)?;
            check_root(&opening, &items, entry, expected)?;
            let held = held as u64;
            Disclosure::Partial { records, held }
        }
    };
    Ok(Section {
        class,
        count: entry.count,
        root: entry.root,
        range,
        disclosure,
    })
}

/// Cuts a class's bytes into `count` records, each good and above the one before it.
fn check_records<'a>(
    records: &'a [u8],
    count: usize,
    (class, expected): (ClassId, &Expected),
    ids: &mut Ids,
    other: impl Fn(u64) -> BodyError,
) -> Result<Vec<&'a [u8]>, BodyError> {
    let may_be_classified = expected.suspected.contains(&class);
    let mut items = Vec::with_capacity(count.min(limits::RECORDS_PER_DELTA));
    let mut at = 0;
    let first = ids.0.len();
    while at < records.len() {
        let index = items.len();
        if index == count {
            return Err(other(count as u64 + 1));
        }
        let rest = &records[at..];
        let Checked {
            entry: id,
            len,
            is_classified,
        } = Record::check_first(rest).map_err(|source| BodyError::Record {
            class,
            index,
            source,
        })?;
        if is_classified && !may_be_classified {
            return Err(BodyError::Classifier { class, index });
        }
        let id = u128::from_be_bytes(id.0);
        if ids.0[first..].last().is_some_and(|last| *last >= id) {
            return Err(BodyError::RecordOrder { class, index });
        }
        ids.0.push(id);
        items.push(&rest[..len]);
        at += len;
    }
    if items.len() == count {
        Ok(items)
    } else {
        Err(other(items.len() as u64))
    }
}

fn check_root(
    opening: &Opening,
    items: &[&[u8]],
    entry: &ClassEntry,
    expected: &Expected,
) -> Result<(), BodyError> {
    let (class, count) = (entry.class, entry.count);
    let tree = opening.root(items, usize::try_from(count).unwrap_or(usize::MAX));
    if class_root(&expected.origin, expected.seq, class, count, &tree) == entry.root {
        Ok(())
    } else {
        Err(BodyError::Root { class })
    }
}

/// Checks bytes that are the retraction section alone against the root that the origin signed.
///
/// # Errors
/// [`BodyError`].
pub fn verify_retractions(bytes: &[u8], expected: &Expected) -> Result<Vec<Retraction>, BodyError> {
    let (list, end) = read_retractions(bytes, 0, 0, expected)?;
    if end == bytes.len() {
        Ok(list)
    } else {
        Err(BodyError::Trailing {
            got: bytes.len() - end,
        })
    }
}

/// Reads the retraction section of a delta alone, with the row of the table that it comes to; nothing unless it is one, in
/// order. That its origin signed the row is the caller's to check.
#[must_use]
pub fn read_retraction_section(
    bytes: &[u8],
    origin: &Origin,
    seq: Seq,
) -> Option<(Vec<Retraction>, RetractionEntry)> {
    canonical::check(bytes).ok()?;
    let mut d = Decoder::new(bytes);
    (d.array().ok()? == Some(2) && d.u32().ok()? == RETRACTION_SECTION).then_some(())?;
    let count = usize::try_from(d.array().ok()??).ok()?;
    (count <= limits::RETRACTIONS_PER_DELTA).then_some(())?;
    let mut list: Vec<Retraction> = Vec::new();
    for _ in 0..count {
        (d.array().ok()? == Some(2)).then_some(())?;
        let retraction = Retraction {
            entry: EntryId(d.bytes().ok()?.try_into().ok()?),
            revision: Revision(d.u32().ok().filter(|revision| *revision > 0)?),
        };
        let is_above = list.last().is_none_or(|last| last.entry < retraction.entry);
        is_above.then_some(())?;
        list.push(retraction);
    }
    let root = retraction_root(origin, seq, &list);
    let count = count as u64;
    Some((list, RetractionEntry { count, root }))
}

pub(super) fn read_retractions(
    bytes: &[u8],
    at: usize,
    section: usize,
    expected: &Expected,
) -> Result<(Vec<Retraction>, usize), BodyError> {
    let shape = || BodyError::Shape { section };
    let rest = bytes.get(at..).ok_or_else(shape)?;
    let len = canonical::item_len(rest).map_err(|_| shape())?;
    let mut d = Decoder::new(&rest[..len]);
    if d.array().ok().flatten() != Some(2) {
        return Err(shape());
    }
    let got = d.u64().map_err(|_| shape())?;
    if got != u64::from(RETRACTION_SECTION) {
        return Err(BodyError::Class {
            section,
            expected: RETRACTION_SECTION,
            got,
        });
    }
    let count = d.array().ok().flatten().ok_or_else(shape)?;
    let want = &expected.table.retractions;
    if count != want.count {
        return Err(BodyError::RetractionRoot);
    }
    let mut list: Vec<Retraction> = Vec::new();
    for index in 0..usize::try_from(count).unwrap_or(0) {
        if d.array().ok().flatten() != Some(2) {
            return Err(shape());
        }
        let entry = d.bytes().ok().and_then(|b| b.try_into().ok()).map(EntryId);
        let revision = d.u32().ok().filter(|rev| *rev > 0).map(Revision);
        let retraction = Retraction {
            entry: entry.ok_or_else(shape)?,
            revision: revision.ok_or_else(shape)?,
        };
        if list
            .last()
            .is_some_and(|last| last.entry >= retraction.entry)
        {
            return Err(BodyError::RetractionOrder { index });
        }
        list.push(retraction);
    }
    if retraction_root(&expected.origin, expected.seq, &list) != want.root {
        return Err(BodyError::RetractionRoot);
    }
    Ok((list, at + len))
}
