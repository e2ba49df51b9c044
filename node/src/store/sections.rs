//! The sections of a stored body, read again without what they were verified against.
//!
//! Why: rebuilding the index needs records and retractions only, and their bytes were verified
//! before they were stored and are authenticated since. The forms are those of the wire
//! (`docs/protocol.md`, "Body"). In scope: cutting. Out of scope: seeds, roots, signatures.

use std::ops::Range;

use hashpact_keys::canonical;
use hashpact_protocol::delta::{ClassSection, RETRACTION_SECTION, Retraction};
use hashpact_protocol::labels::ClassId;
use hashpact_protocol::limits;
use hashpact_protocol::record::{EntryId, Revision};
use hashpact_protocol::view::{Held, Holding};
use minicbor::{Decoder, Encoder};

/// The section that holds `list`, as a body on the wire has it.
pub(super) fn encode_retractions(list: &[Retraction]) -> Vec<u8> {
    let mut e = Encoder::new(Vec::with_capacity(16 + list.len() * 22));
    // Writing to a Vec cannot fail.
    let _ = e.array(2).and_then(|e| e.u32(RETRACTION_SECTION));
    let _ = e.array(list.len() as u64);
    for retraction in list {
        let _ = e
            .array(2)
            .and_then(|e| e.bytes(&retraction.entry.0))
            .and_then(|e| e.u32(retraction.revision.0));
    }
    e.into_writer()
}

/// The retractions of their section; `None` if it is none.
pub(super) fn decode_retractions(section: &[u8]) -> Option<Vec<Retraction>> {
    let mut d = Decoder::new(section);
    (d.array().ok()? == Some(2) && d.u32().ok()? == RETRACTION_SECTION).then_some(())?;
    let count = usize::try_from(d.array().ok()??).ok()?;
    (count <= limits::RETRACTIONS_PER_DELTA).then_some(())?;
    let mut list = Vec::with_capacity(count);
    for _ in 0..count {
        (d.array().ok()? == Some(2)).then_some(())?;
        let entry = EntryId(d.bytes().ok()?.try_into().ok()?);
        list.push(Retraction {
            entry,
            revision: Revision(d.u32().ok()?),
        });
    }
    (d.position() == section.len()).then_some(list)
}

/// Where the records lie in the section of a class, nowhere if it is withheld; `None` if it is
/// none.
pub(super) fn records_within(section: &[u8]) -> Option<Range<usize>> {
    let section = ClassSection::read(section).ok()?;
    Some(section.records())
}

/// What the head of a class's section says is held of it; `None` if it is none.
pub(super) fn holding(section: &[u8]) -> Option<Holding> {
    let mut d = Decoder::new(section);
    d.array().ok()??;
    let class = ClassId(d.u16().ok()?);
    let held = match d.u8().ok()? {
        0 => Held::All,
        1 => Held::None,
        2 => Held::Some,
        _ => return None,
    };
    let count = d.u64().ok()?;
    Some(Holding { class, count, held })
}

/// Cuts `bytes`, records one after the other, into each with its offset. Ends early with `None` in
/// place of what is no item.
pub(super) fn cut(bytes: &[u8]) -> impl Iterator<Item = Option<(usize, &[u8])>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
        let Ok(len) = canonical::item_len(rest) else {
            at = bytes.len();
            return Some(None);
        };
        let item = (at, &rest[..len]);
        at += len;
        Some(Some(item))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> Vec<Retraction> {
        let retraction = |n| Retraction {
            entry: EntryId([n; 16]),
            revision: Revision(n.into()),
        };
        (1..200).map(retraction).collect()
    }

    #[test]
    fn retractions_round_trip_and_nothing_else_is_taken_for_them() {
        let bytes = encode_retractions(&list());
        assert_eq!(decode_retractions(&bytes), Some(list()));
        assert_eq!(decode_retractions(&bytes[..bytes.len() - 1]), None);
        assert_eq!(decode_retractions(&[&bytes[..], &[0]].concat()), None);
        let mut other = bytes.clone();
        other[4] ^= 1;
        assert_eq!(decode_retractions(&other), None);
    }

    #[test]
    fn a_count_above_the_bound_reserves_nothing() {
        let mut e = Encoder::new(Vec::new());
        e.array(2)
            .unwrap()
            .u32(RETRACTION_SECTION)
            .unwrap()
            .array(u64::MAX)
            .unwrap();
        assert_eq!(decode_retractions(&e.into_writer()), None);
    }

    #[test]
    fn bytes_that_are_no_item_end_the_cut() {
        let cut: Vec<_> = cut(&[0x01, 0x41, 0x07, 0xff, 0x01]).collect();
        assert_eq!(
            cut,
            [Some((0, &[0x01][..])), Some((1, &[0x41, 0x07][..])), None]
        );
    }
}
