//! How objects rest. On [`Shelf::Evidence`] by hash: the object with the salt under which it is logged here, or without
//! one if it is another centre's. On [`Shelf::Mark`] by first byte of the key:
//!
//! ```text
//! 'E' origin 0 entry revision kind object   centre    what is said of a record; of holds the revision is 0
//! 'S' series object                         ""        a hold of a series
//! 'L' hold centre 0 lift                    ""        a lift of a hold, or of an opt-in
//! 'V' origin 0 entry revision centre 0 member object  ""  the standing vote of a member
//! 'H' until order                           [n, centre]  a hold or an opt-in whose end was not told of yet; entries held
//! 'F' origin 0 entry reason                 [revision, centre, country, code]  flagged: it shares a fingerprint with an error
//! 'R' reason                                ""        an error that travels
//! 'I' origin 0 order                        ""        an opt-in of this centre
//! 'U' origin 0 day order                    ""        a surge of this centre
//! 'C' kind centre 0 [origin 0 entry | series]  count  objects of a kind of a centre that are kept: in all, about an entry
//! 'O' centre 0 object                       ""        to be sent there until it was heard
//! 'D' centre 0 object                       ""        heard there
//! 'A' origin 0 centre                       [below, at]  a centre has applied the retractions of our log below this delta
//! 'T' origin 0 seq                          at        when a delta of our log with retractions was signed
//! ```

use std::collections::BTreeSet;

use hashpact_keys::canonical::encode;
use hashpact_keys::reader::Reader;
use hashpact_keys::{CentreId, Jurisdiction, Origin, Timestamp};

use super::{Code, Feedback, Kind, Object, Series};
use crate::Hash;
use crate::delta::Seq;
use crate::lists::ClosedList as _;
use crate::record::{EntryId, Revision};
use crate::transfer::{Opening, Salt};
use crate::view::{Shelf, View, Write};

fn mark(key: Vec<u8>, value: Option<Vec<u8>>) -> Write {
    Write::Keep {
        shelf: Shelf::Mark,
        key,
        value,
    }
}

fn key(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = vec![kind];
    parts.iter().for_each(|part| key.extend_from_slice(part));
    key
}

fn at(kind: u8, origin: &Origin, rest: &[&[u8]]) -> Vec<u8> {
    let mut key = key(kind, &[origin.as_str().as_bytes(), &[0]]);
    rest.iter().for_each(|part| key.extend_from_slice(part));
    key
}

/// Keeps an object; with the salt of its leaf if it is ours.
pub(crate) fn keep(hash: &Hash, salt: Option<Salt>, signed: &[u8]) -> Write {
    let signed = signed.to_vec();
    Write::Keep {
        shelf: Shelf::Evidence,
        key: hash.to_vec(),
        value: Some(Opening { salt, signed }.to_bytes()),
    }
}

/// Forgets an object; none of our own, whose leaf an auditor will ask about.
pub(crate) fn forget(hash: &Hash) -> Write {
    Write::Keep {
        shelf: Shelf::Evidence,
        key: hash.to_vec(),
        value: None,
    }
}

/// The bytes of an object that is kept, and whether it is ours.
pub(crate) fn signed(hash: &Hash, view: &impl View) -> Option<(Vec<u8>, bool)> {
    let opening = Opening::from_bytes(&view.kept(Shelf::Evidence, hash)?).ok()?;
    Some((opening.signed, opening.salt.is_some()))
}

/// An object that is kept.
pub(crate) fn read(hash: &Hash, view: &impl View) -> Option<Object> {
    Object::from_store(&signed(hash, view)?.0).ok()
}

/// The objects that are kept whose hashes begin with a byte: hash, bytes, and whether each is ours.
pub(crate) fn of_bucket(first: u8, view: &impl View) -> Vec<(Hash, Vec<u8>, bool)> {
    let rows = view.shelf(Shelf::Evidence, &[first]).into_iter();
    let read = |(key, value): (Vec<u8>, Vec<u8>)| {
        let opening = Opening::from_bytes(&value).ok()?;
        Some((key.try_into().ok()?, opening.signed, opening.salt.is_some()))
    };
    rows.filter_map(read).collect()
}

/// The rows by which an object is found, or none of them any more.
pub(crate) fn marks(hash: &Hash, object: &Object, are: bool) -> Vec<Write> {
    let put = |key: Vec<u8>, value: Vec<u8>| mark(key, are.then_some(value));
    let maker = || object.centre().as_str().as_bytes().to_vec();
    let mut rows = Vec::new();
    if let Some((origin, entry, revision)) = object.entry() {
        let of = entry_key(origin, entry, Some((revision, object.kind(), hash)));
        rows.push(put(of, maker()));
    }
    match object {
        Object::Hold(hold) => {
            for (origin, entries) in &hold.entries {
                rows.extend(entries.iter().map(|entry| {
                    let of = entry_key(origin, *entry, Some((Revision(0), Kind::Hold, hash)));
                    put(of, maker())
                }));
            }
            let series = hold.series.iter();
            rows.extend(series.map(|series| put(key(b'S', &[series, hash]), Vec::new())));
            let value = end_value(hold.named() as u64, &hold.by.centre);
            rows.push(put(end_key(hold.until, hash), value));
        }
        Object::Lift(lift) => {
            let mut key = lift_key(&lift.hold, &lift.by.centre);
            key.extend(hash);
            rows.push(put(key, Vec::new()));
        }
        Object::Feedback(it) => {
            let mut key = vote_key(it);
            key.extend(hash);
            rows.push(put(key, Vec::new()));
        }
        Object::Reason(reason) if reason.code.travels() => {
            rows.push(put(key(b'R', &[hash]), Vec::new()));
        }
        Object::OptIn(it) => {
            rows.push(put(at(b'I', &it.origin, &[hash]), Vec::new()));
            let value = end_value(0, &it.by.centre);
            rows.push(put(end_key(it.until, hash), value));
        }
        Object::Surge(it) => {
            let day = it.day.to_be_bytes();
            rows.push(put(at(b'U', &it.origin, &[&day, hash]), Vec::new()));
        }
        Object::Attestation(_)
        | Object::Dispute(_)
        | Object::Withdrawal(_)
        | Object::Answer(_)
        | Object::Reason(_) => {}
    }
    rows
}

fn lift_key(of: &Hash, centre: &CentreId) -> Vec<u8> {
    key(b'L', &[of, centre.as_str().as_bytes(), &[0]])
}

/// Under what the vote of a member about a revision stands.
pub(crate) fn vote_key(it: &Feedback) -> Vec<u8> {
    let (revision, centre) = (it.subject.revision.0.to_be_bytes(), &it.by.centre);
    let rest = [
        &it.subject.entry.0[..],
        &revision,
        centre.as_str().as_bytes(),
        &[0],
        &it.member.0,
    ];
    at(b'V', &it.subject.origin, &rest)
}

/// The vote of the same member about the same revision that stands here.
pub(crate) fn standing(it: &Feedback, view: &impl View) -> Option<Hash> {
    hashes(&vote_key(it), view).first().copied()
}

fn entry_key(origin: &Origin, entry: EntryId, of: Option<(Revision, Kind, &Hash)>) -> Vec<u8> {
    let mut key = at(b'E', origin, &[&entry.0]);
    if let Some((revision, kind, hash)) = of {
        key.extend(revision.0.to_be_bytes());
        key.push(kind.bit());
        key.extend(hash);
    }
    key
}

/// One row of an entry.
pub(crate) struct Said {
    pub(crate) revision: Revision,
    pub(crate) kind: Kind,
    pub(crate) hash: Hash,
}

/// What is said of an entry, whatever the revision.
pub(crate) fn said(origin: &Origin, entry: EntryId, view: &impl View) -> Vec<Said> {
    let prefix = entry_key(origin, entry, None);
    let rows = view.shelf(Shelf::Mark, &prefix).into_iter();
    let read = |(key, _): (Vec<u8>, Vec<u8>)| {
        let (revision, rest) = key.get(prefix.len()..)?.split_first_chunk::<4>()?;
        let (kind, hash) = rest.split_first()?;
        Some(Said {
            revision: Revision(u32::from_be_bytes(*revision)),
            kind: Kind::from_bit(u64::from(*kind))?,
            hash: hash.try_into().ok()?,
        })
    };
    rows.filter_map(read).collect()
}

/// What is said of the entries of a log whose ids begin with a byte.
pub(crate) fn said_of_log(origin: &Origin, first: u8, view: &impl View) -> Vec<Hash> {
    let prefix = at(b'E', origin, &[&[first]]);
    // Holds name entries and are about none.
    let rows = view.shelf(Shelf::Mark, &prefix).into_iter();
    let read = |(key, _): (Vec<u8>, Vec<u8>)| {
        let (kind, hash) = key.split_at_checked(key.len().checked_sub(32)?)?;
        let kind = Kind::from_bit(u64::from(*kind.last()?))?;
        (kind != Kind::Hold).then_some(hash.try_into().ok()?)
    };
    rows.filter_map(read).collect()
}

/// Surges from a day on, of every log.
pub(crate) fn surges_from(day: u32, view: &impl View) -> Vec<Hash> {
    let rows = view.shelf(Shelf::Mark, b"U").into_iter();
    let read = |(key, _): (Vec<u8>, Vec<u8>)| {
        let (rest, hash) = key.split_last_chunk::<32>()?;
        let of = u32::from_be_bytes(*rest.last_chunk()?);
        (of >= day).then_some(*hash)
    };
    rows.filter_map(read).collect()
}

/// Hashes at the end of the keys with this prefix.
fn hashes(prefix: &[u8], view: &impl View) -> Vec<Hash> {
    let rows = view.shelf(Shelf::Mark, prefix).into_iter();
    let read = |(key, _): (Vec<u8>, Vec<u8>)| Some(*key.last_chunk::<32>()?);
    rows.filter_map(read).collect()
}

/// Holds of a series.
pub(crate) fn holds_of(series: &Series, view: &impl View) -> Vec<Hash> {
    hashes(&key(b'S', &[series]), view)
}

/// Lifts of an order by its own centre; others lift nothing.
pub(crate) fn lifts_of(order: &Hash, centre: &CentreId, view: &impl View) -> Vec<Hash> {
    hashes(&lift_key(order, centre), view)
}

/// Opt-ins for a log.
pub(crate) fn opt_ins(origin: &Origin, view: &impl View) -> Vec<Hash> {
    hashes(&at(b'I', origin, &[]), view)
}

/// Surges of a log on a day.
pub(crate) fn surges(origin: &Origin, day: u32, view: &impl View) -> Vec<Hash> {
    hashes(&at(b'U', origin, &[&day.to_be_bytes()]), view)
}

/// Whether a reason stands: the key that signed it may have been revoked since.
pub(crate) fn is_error(reason: &Hash, view: &impl View) -> bool {
    view.kept(Shelf::Mark, &key(b'R', &[reason])).is_some()
}

/// Errors that travel.
pub(crate) fn errors(view: &impl View) -> Vec<Hash> {
    hashes(b"R", view)
}

fn end_key(until: Timestamp, hash: &Hash) -> Vec<u8> {
    key(b'H', &[&until.get().to_be_bytes(), hash])
}

fn end_value(named: u64, centre: &CentreId) -> Vec<u8> {
    encode(|e| e.array(2)?.u64(named)?.str(centre.as_str())?.ok())
}

/// An order whose end was not told of.
#[derive(Clone, Debug)]
pub(crate) struct Holding {
    pub(crate) until: Timestamp,
    pub(crate) hash: Hash,
    pub(crate) named: u64,
    pub(crate) centre: CentreId,
}

/// The orders whose end was not told of, by when they end.
pub(crate) fn holding(view: &impl View) -> Vec<Holding> {
    let rows = view.shelf(Shelf::Mark, b"H").into_iter();
    let read = |(key, value): (Vec<u8>, Vec<u8>)| {
        let (until, hash) = key.get(1..)?.split_first_chunk::<8>()?;
        let mut reader = Reader::new(&value).ok()?;
        reader.array(2).ok()?;
        Some(Holding {
            until: Timestamp::new(u64::from_be_bytes(*until)),
            hash: hash.try_into().ok()?,
            named: reader.u64().ok()?,
            centre: reader.text().ok()?.parse().ok()?,
        })
    };
    rows.filter_map(read).collect()
}

/// The end of an order was told of.
pub(crate) fn ended(until: Timestamp, hash: &Hash) -> Write {
    mark(end_key(until, hash), None)
}

/// That an entry shares a fingerprint with one that was an error.
pub(crate) struct Flag {
    pub(crate) revision: Revision,
    pub(crate) centre: CentreId,
    pub(crate) country: Jurisdiction,
    pub(crate) code: Code,
}

/// Flags an entry, up to a revision, for a reason.
pub(crate) fn flag(origin: &Origin, entry: EntryId, reason: &Hash, flag: &Flag) -> Write {
    let value = encode(|e| {
        e.array(4)?.u32(flag.revision.0)?;
        e.str(flag.centre.as_str())?.str(flag.country.as_str())?;
        e.u8(flag.code.bit())?.ok()
    });
    mark(at(b'F', origin, &[&entry.0, reason]), Some(value))
}

/// Whether an entry is flagged for a reason, whatever the revision: who answers an error by a new revision is not flagged
/// again for it.
pub(crate) fn is_flagged(origin: &Origin, entry: EntryId, reason: &Hash, view: &impl View) -> bool {
    let key = at(b'F', origin, &[&entry.0, reason]);
    view.kept(Shelf::Mark, &key).is_some()
}

/// The flags for these reasons go: of which entries they were.
pub(crate) fn unflag(
    reasons: &BTreeSet<Hash>,
    view: &impl View,
) -> (Vec<Write>, Vec<(Origin, EntryId)>) {
    let (mut rows, mut entries) = (Vec::new(), Vec::new());
    for (key, _) in view.shelf(Shelf::Mark, b"F") {
        let Some((of, reason)) = key.split_last_chunk::<32>() else {
            continue;
        };
        if !reasons.contains(reason) {
            continue;
        }
        let named = of.get(1..).and_then(|of| of.split_last_chunk::<16>());
        let origin = named.and_then(|(origin, _)| origin.strip_suffix(&[0]));
        let origin = origin.and_then(|it| std::str::from_utf8(it).ok()?.parse().ok());
        entries.extend(origin.zip(named.map(|(_, entry)| EntryId(*entry))));
        rows.push(mark(key, None));
    }
    (rows, entries)
}

/// The flags of an entry whose reasons stand.
pub(crate) fn flags(origin: &Origin, entry: EntryId, view: &impl View) -> Vec<Flag> {
    let rows = view.shelf(Shelf::Mark, &at(b'F', origin, &[&entry.0]));
    let read = |(key, value): (Vec<u8>, Vec<u8>)| {
        if !is_error(key.last_chunk::<32>()?, view) {
            return None;
        }
        let mut reader = Reader::new(&value).ok()?;
        reader.array(4).ok()?;
        Some(Flag {
            revision: Revision(reader.u32().ok()?),
            centre: reader.text().ok()?.parse().ok()?,
            country: reader.text().ok()?.parse().ok()?,
            code: Code::from_bit(reader.u64().ok()?)?,
        })
    };
    rows.into_iter().filter_map(read).collect()
}

/// Where the objects of a kind of a centre are counted: in all, or about an entry of a log or a series.
pub(crate) fn count_key(kind: Kind, centre: &CentreId, of: Option<&Origin>, id: &[u8]) -> Vec<u8> {
    let mut key = key(b'C', &[&[kind.bit()], centre.as_str().as_bytes(), &[0]]);
    if let Some(origin) = of {
        key.extend_from_slice(origin.as_str().as_bytes());
        key.push(0);
    }
    key.extend_from_slice(id);
    key
}

/// How many objects are counted there.
pub(crate) fn count(key: &[u8], view: &impl View) -> u64 {
    let value = view.kept(Shelf::Mark, key);
    let count = value.and_then(|value| value.try_into().ok());
    count.map_or(0, u64::from_be_bytes)
}

/// Counts objects; of none there is no row.
pub(crate) fn counted(key: Vec<u8>, count: u64) -> Write {
    mark(key, (count > 0).then(|| count.to_be_bytes().to_vec()))
}

fn way(kind: u8, to: &CentreId, hash: &Hash) -> Vec<u8> {
    key(kind, &[to.as_str().as_bytes(), &[0], hash])
}

/// To be sent to a centre until it was heard there.
pub(crate) fn owed(to: &CentreId, hash: &Hash, is: bool) -> Write {
    mark(way(b'O', to, hash), is.then(Vec::new))
}

/// Heard at a centre.
pub(crate) fn heard(at: &CentreId, hash: &Hash, is: bool) -> Write {
    mark(way(b'D', at, hash), is.then(Vec::new))
}

/// Whether an object was heard at a centre.
pub(crate) fn is_heard(at: &CentreId, hash: &Hash, view: &impl View) -> bool {
    view.kept(Shelf::Mark, &way(b'D', at, hash)).is_some()
}

/// What is owed to whom.
pub(crate) fn all_owed(view: &impl View) -> Vec<(CentreId, Hash)> {
    let rows = view.shelf(Shelf::Mark, b"O").into_iter();
    let read = |(key, _): (Vec<u8>, Vec<u8>)| {
        let (to, hash) = key.get(1..)?.split_last_chunk::<32>()?;
        let to = std::str::from_utf8(to.strip_suffix(&[0])?).ok()?;
        Some((to.parse().ok()?, *hash))
    };
    rows.filter_map(read).collect()
}

/// Notes how far a centre has applied the retractions of our log.
pub(crate) fn applied(own: &Origin, by: &CentreId, below: Seq, since: Timestamp) -> Write {
    let value = encode(|e| e.array(2)?.u64(below.0)?.u64(since.get())?.ok());
    mark(at(b'A', own, &[by.as_str().as_bytes()]), Some(value))
}

/// How far centres have applied the retractions of our log, and since when.
pub(crate) fn all_applied(own: &Origin, view: &impl View) -> Vec<(CentreId, Seq, Timestamp)> {
    let prefix = at(b'A', own, &[]);
    let rows = view.shelf(Shelf::Mark, &prefix).into_iter();
    let read = |(key, value): (Vec<u8>, Vec<u8>)| {
        let by = key.get(prefix.len()..)?;
        let by = std::str::from_utf8(by).ok()?.parse().ok()?;
        let mut reader = Reader::new(&value).ok()?;
        reader.array(2).ok()?;
        let below = Seq(reader.u64().ok()?);
        Some((by, below, Timestamp::new(reader.u64().ok()?)))
    };
    rows.filter_map(read).collect()
}

/// Notes when a delta of our log with retractions was signed.
pub(crate) fn retracted(own: &Origin, seq: Seq, when: Timestamp) -> Write {
    let value = when.get().to_be_bytes().to_vec();
    mark(at(b'T', own, &[&seq.0.to_be_bytes()]), Some(value))
}

/// The deltas of our log with retractions, and when each was signed.
pub(crate) fn all_retracted(own: &Origin, view: &impl View) -> Vec<(Seq, Timestamp)> {
    let rows = view.shelf(Shelf::Mark, &at(b'T', own, &[])).into_iter();
    let read = |(key, value): (Vec<u8>, Vec<u8>)| {
        let seq = u64::from_be_bytes(*key.last_chunk::<8>()?);
        let when = u64::from_be_bytes(value.try_into().ok()?);
        Some((Seq(seq), Timestamp::new(when)))
    };
    rows.filter_map(read).collect()
}
