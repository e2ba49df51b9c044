//! The small rows that a centre keeps of transfers, beside the statements themselves.
//!
//! On [`Shelf::Given`] by first byte of the key:
//!
//! ```text
//! 'G' to 0 origin 0 class    "" or 1                   a class was given to a centre: what a recall asks back; 1: at once
//! 'R' origin 0 seq           [[class, statement]...]   by which statement a class came: what a relay proves it with
//! 'S' statement              until                     until when bodies are served under it
//! 'O' statement              ""                        agreed by us as taker, and not all of it is here yet
//! 'N' nonce                  ""                        of an offer of ours that was agreed to
//! ```
//!
//! On [`Shelf::Withheld`]: `origin 0 seq -> [[class, count, who, centre]...]`, what is missing here and who withholds it.

use std::collections::BTreeMap;

use hashpact_keys::canonical::{Written, encode};
use hashpact_keys::reader::Reader;
use hashpact_keys::{CentreId, Origin, Timestamp};

use crate::Hash;
use crate::delta::Seq;
use crate::labels::ClassId;
use crate::limits;
use crate::view::{Shelf, View, Write};

/// Whose decision it is that a class is not here.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Withholder {
    /// This centre's own: its policy does not admit it.
    Own,
    /// The origin's policy does not share it.
    Origin,
    /// This giver's policy does not reshare it.
    Giver(CentreId),
    /// The policies allow it, and this giver did not give it.
    Surplus(CentreId),
}

/// A class of a delta that is not here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The class.
    pub class: ClassId,
    /// Records that the origin signed for.
    pub count: u64,
    /// Who withholds it.
    pub by: Withholder,
}

fn key(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = vec![kind];
    parts.iter().for_each(|part| key.extend_from_slice(part));
    key
}

fn keep(shelf: Shelf, key: Vec<u8>, value: Option<Vec<u8>>) -> Write {
    Write::Keep { shelf, key, value }
}

/// Notes that a class was given.
pub(crate) fn given(to: &CentreId, origin: &Origin, class: ClassId) -> Write {
    keep(Shelf::Given, given_key(to, origin, class), Some(Vec::new()))
}

/// Notes that a class that was given must come back, whatever policy says: it had to be given back here too.
pub(crate) fn lost(to: &CentreId, origin: &Origin, class: ClassId) -> Write {
    keep(Shelf::Given, given_key(to, origin, class), Some(vec![1]))
}

/// Notes that a class was asked back.
pub(crate) fn asked_back(to: &CentreId, origin: &Origin, class: ClassId) -> Write {
    keep(Shelf::Given, given_key(to, origin, class), None)
}

fn given_key(to: &CentreId, origin: &Origin, class: ClassId) -> Vec<u8> {
    let class = class.0.to_be_bytes();
    let (to, origin) = (to.as_str().as_bytes(), origin.as_str().as_bytes());
    key(b'G', &[to, &[0], origin, &[0], &class])
}

/// The classes that were given, to whom and of which log, and whether they must come back.
pub(crate) fn all_given(view: &impl View) -> Vec<(CentreId, Origin, ClassId, bool)> {
    let rows = view.shelf(Shelf::Given, b"G");
    let read = |(key, value): (Vec<u8>, Vec<u8>)| {
        let (names, class) = key.get(1..)?.split_last_chunk::<2>()?;
        let mut names = names.split(|byte| *byte == 0);
        let mut name = || std::str::from_utf8(names.next()?).ok();
        let (to, origin) = (name()?.parse().ok()?, name()?.parse().ok()?);
        let class = ClassId(u16::from_be_bytes(*class));
        Some((to, origin, class, !value.is_empty()))
    };
    rows.into_iter().filter_map(read).collect()
}

/// Notes until when bodies are served under a statement; none ends it.
pub(crate) fn serves(statement: &Hash, until: Option<Timestamp>) -> Write {
    let value = until.map(|until| until.get().to_be_bytes().to_vec());
    keep(Shelf::Given, key(b'S', &[statement]), value)
}

/// Until when bodies are served under a statement.
pub(crate) fn served_until(statement: &Hash, view: &impl View) -> Option<Timestamp> {
    let value = view.kept(Shelf::Given, &key(b'S', &[statement]))?;
    let until = u64::from_be_bytes(value.try_into().ok()?);
    Some(Timestamp::new(until))
}

/// The statements under which bodies are served, and until when.
pub(crate) fn all_serving(view: &impl View) -> Vec<(Hash, Timestamp)> {
    let rows = view.shelf(Shelf::Given, b"S");
    let read = |(key, value): (Vec<u8>, Vec<u8>)| {
        let until = u64::from_be_bytes(value.try_into().ok()?);
        Some((key.get(1..)?.try_into().ok()?, Timestamp::new(until)))
    };
    rows.into_iter().filter_map(read).collect()
}

/// Notes that an offer of ours was agreed to, by its nonce.
pub(crate) fn used(nonce: &[u8; 16]) -> Write {
    keep(Shelf::Given, key(b'N', &[nonce]), Some(Vec::new()))
}

/// Whether an offer of ours was agreed to.
pub(crate) fn is_used(nonce: &[u8; 16], view: &impl View) -> bool {
    view.kept(Shelf::Given, &key(b'N', &[nonce])).is_some()
}

/// Notes that a statement which this centre agreed to is under way, or not any more.
pub(crate) fn under_way(statement: &Hash, is: bool) -> Write {
    keep(Shelf::Given, key(b'O', &[statement]), is.then(Vec::new))
}

/// The statements that this centre agreed to and that are under way.
pub(crate) fn all_under_way(view: &impl View) -> Vec<Hash> {
    let rows = view.shelf(Shelf::Given, b"O");
    let read = |(key, _): (Vec<u8>, Vec<u8>)| key.get(1..)?.try_into().ok();
    rows.into_iter().filter_map(read).collect()
}

fn place(origin: &Origin, seq: Seq) -> Vec<u8> {
    let mut place = origin.as_str().as_bytes().to_vec();
    place.push(0);
    place.extend(seq.0.to_be_bytes());
    place
}

/// Notes by which statements the classes of a delta came.
pub(crate) fn received(origin: &Origin, seq: Seq, by: &BTreeMap<ClassId, Hash>) -> Write {
    let value = encode(|e| {
        e.array(by.len() as u64)?;
        by.iter().try_for_each(|(class, statement)| -> Written {
            e.array(2)?.u16(class.0)?.bytes(statement)?.ok()
        })
    });
    let key = key(b'R', &[&place(origin, seq)]);
    keep(Shelf::Given, key, Some(value))
}

/// By which statements the classes of a delta came.
pub(crate) fn received_by(origin: &Origin, seq: Seq, view: &impl View) -> BTreeMap<ClassId, Hash> {
    let value = view.kept(Shelf::Given, &key(b'R', &[&place(origin, seq)]));
    let read = |value: Vec<u8>| {
        let mut reader = Reader::new(&value).ok()?;
        let mut by = BTreeMap::new();
        for _ in 0..reader.list(limits::CLASSES_PER_DELTA).ok()? {
            reader.array(2).ok()?;
            by.insert(ClassId(reader.u16().ok()?), *reader.fixed().ok()?);
        }
        Some(by)
    };
    value.and_then(read).unwrap_or_default()
}

/// Notes what is missing of a delta.
pub(crate) fn withheld(origin: &Origin, seq: Seq, missing: &[Missing]) -> Write {
    let value = encode(|e| {
        e.array(missing.len() as u64)?;
        missing.iter().try_for_each(|row| -> Written {
            e.array(4)?.u16(row.class.0)?.u64(row.count)?;
            match &row.by {
                Withholder::Own => e.u8(0)?.null()?.ok(),
                Withholder::Origin => e.u8(1)?.null()?.ok(),
                Withholder::Giver(id) => e.u8(2)?.str(id.as_str())?.ok(),
                Withholder::Surplus(id) => e.u8(3)?.str(id.as_str())?.ok(),
            }
        })
    });
    let value = (!missing.is_empty()).then_some(value);
    keep(Shelf::Withheld, place(origin, seq), value)
}

/// What is missing of the deltas of all logs.
pub(crate) fn all_withheld(view: &impl View) -> BTreeMap<Origin, BTreeMap<Seq, Vec<Missing>>> {
    let mut all: BTreeMap<Origin, BTreeMap<Seq, Vec<Missing>>> = BTreeMap::new();
    for (key, value) in view.shelf(Shelf::Withheld, &[]) {
        let place = || {
            let (origin, seq) = key.split_last_chunk::<8>()?;
            let origin = std::str::from_utf8(origin.strip_suffix(&[0])?).ok()?;
            let origin: Origin = origin.parse().ok()?;
            Some((origin, Seq(u64::from_be_bytes(*seq))))
        };
        if let (Some((origin, seq)), Some(rows)) = (place(), read_missing(&value)) {
            all.entry(origin).or_default().insert(seq, rows);
        }
    }
    all
}

/// The deltas of a log of which classes came under statements, with those statements.
pub(crate) fn all_received(
    origin: &Origin,
    view: &impl View,
) -> Vec<(Seq, BTreeMap<ClassId, Hash>)> {
    let mut prefix = place(origin, Seq(0));
    prefix.truncate(prefix.len() - 8);
    let rows = view.shelf(Shelf::Given, &key(b'R', &[&prefix]));
    let seqs = rows.iter().filter_map(|(key, _)| {
        let (_, seq) = key.split_last_chunk::<8>()?;
        Some(Seq(u64::from_be_bytes(*seq)))
    });
    seqs.map(|seq| (seq, received_by(origin, seq, view)))
        .collect()
}

fn read_missing(value: &[u8]) -> Option<Vec<Missing>> {
    let mut reader = Reader::new(value).ok()?;
    let mut rows = Vec::new();
    for _ in 0..reader.list(limits::CLASSES_PER_DELTA).ok()? {
        reader.array(4).ok()?;
        let (class, count) = (ClassId(reader.u16().ok()?), reader.u64().ok()?);
        let who = reader.u8().ok()?;
        let id = reader.optional(Reader::text).ok()?;
        let id = id.map(str::parse::<CentreId>).transpose().ok()?;
        let by = match (who, id) {
            (0, None) => Withholder::Own,
            (1, None) => Withholder::Origin,
            (2, Some(id)) => Withholder::Giver(id),
            (3, Some(id)) => Withholder::Surplus(id),
            _ => return None,
        };
        rows.push(Missing { class, count, by });
    }
    Some(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::memory::Memory;
    use crate::view::Batch;

    fn stored(writes: Vec<Write>) -> Memory {
        let mut batch = Batch::default();
        batch.extend(writes);
        let mut memory = Memory::default();
        memory.apply(batch).unwrap();
        memory
    }

    #[test]
    fn rows_come_back_as_they_were_kept() {
        let origin: Origin = "eu.example/eu/1".parse().unwrap();
        let ca: CentreId = "ca".parse().unwrap();
        let by = BTreeMap::from([(ClassId(0), [1; 32]), (ClassId(256), [2; 32])]);
        let missing = [
            Withholder::Own,
            Withholder::Origin,
            Withholder::Giver(ca.clone()),
            Withholder::Surplus(ca.clone()),
        ];
        let missing: Vec<_> = (0..)
            .zip(missing)
            .map(|(n, by)| Missing {
                class: ClassId(n),
                count: 5,
                by,
            })
            .collect();
        let view = stored(vec![
            given(&ca, &origin, ClassId(258)),
            serves(&[3; 32], Some(Timestamp::new(77))),
            under_way(&[4; 32], true),
            received(&origin, Seq(2), &by),
            withheld(&origin, Seq(2), &missing),
        ]);
        assert_eq!(
            all_given(&view),
            [(ca, origin.clone(), ClassId(258), false)]
        );
        assert_eq!(served_until(&[3; 32], &view), Some(Timestamp::new(77)));
        assert_eq!(all_serving(&view), [([3; 32], Timestamp::new(77))]);
        assert_eq!(all_under_way(&view), [[4; 32]]);
        assert_eq!(received_by(&origin, Seq(2), &view), by);
        let all = all_withheld(&view);
        assert_eq!(all[&origin][&Seq(2)], missing);
    }

    #[test]
    fn a_row_of_nothing_is_taken_away() {
        let origin: Origin = "eu.example/eu/1".parse().unwrap();
        let view = stored(vec![
            under_way(&[4; 32], true),
            under_way(&[4; 32], false),
            withheld(&origin, Seq(2), &[]),
        ]);
        assert_eq!(all_under_way(&view), <Vec<Hash>>::new());
        assert!(all_withheld(&view).is_empty());
    }
}
