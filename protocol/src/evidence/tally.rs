//! How many objects of a centre are kept, of each kind and about each entry: counted in rows, so that whether one more finds
//! room is no read of what is there.
//!
//! Why kinds apart: what the members of a centre say must not take the room in which it disputes, lifts or gives a reason.
//! Why entries and not revisions: who writes an object names any revision it likes.

use std::collections::BTreeMap;

use super::{Kind, Object, rows};
use crate::limits;
use crate::view::{View, Write};

/// Counts that were read, as they are after what is done in this step.
#[derive(Default)]
pub(crate) struct Tally(BTreeMap<Vec<u8>, u64>);

impl Tally {
    fn at(&mut self, key: Vec<u8>, view: &impl View) -> &mut u64 {
        let count = self.0.entry(key);
        count.or_insert_with_key(|key| rows::count(key, view))
    }

    /// Whether one more of its kind is kept of its centre, in all and about what it names.
    pub(crate) fn has_room(&mut self, object: &Object, view: &impl View) -> bool {
        let places = places(object).into_iter();
        let mut full = places.filter(|(key, most)| *self.at(key.clone(), view) >= *most);
        full.next().is_none()
    }

    /// One more is kept.
    pub(crate) fn add(&mut self, object: &Object, view: &impl View) {
        for (key, _) in places(object) {
            *self.at(key, view) += 1;
        }
    }

    /// One is kept no more, or nothing leads to it.
    pub(crate) fn take(&mut self, object: &Object, view: &impl View) {
        for (key, _) in places(object) {
            let count = self.at(key, view);
            *count = count.saturating_sub(1);
        }
    }

    /// The rows of these counts.
    pub(crate) fn into_rows(self) -> impl Iterator<Item = Write> {
        let counts = self.0.into_iter();
        counts.map(|(key, count)| rows::counted(key, count))
    }
}

/// Under which keys an object counts, and up to how many.
fn places(object: &Object) -> Vec<(Vec<u8>, u64)> {
    let (kind, centre) = (object.kind(), object.centre());
    let mut places = vec![(
        rows::count_key(kind, centre, None, &[]),
        limits::EVIDENCE_PER_CENTRE,
    )];
    let most = per_entry(kind);
    if let Some((origin, entry, _)) = object.entry() {
        let key = rows::count_key(kind, centre, Some(origin), &entry.0);
        places.push((key, most));
    }
    if let Object::Hold(hold) = object {
        for (origin, list) in &hold.entries {
            let keys = list
                .iter()
                .map(|it| rows::count_key(kind, centre, Some(origin), &it.0));
            places.extend(keys.map(|key| (key, most)));
        }
        let series = hold.series.iter();
        let keys = series.map(|it| rows::count_key(kind, centre, None, it));
        places.extend(keys.map(|key| (key, most)));
    }
    places
}

/// How many of a kind are kept of one centre about one entry, whatever the revision.
const fn per_entry(kind: Kind) -> u64 {
    match kind {
        Kind::Attestation | Kind::Feedback | Kind::Answer => limits::WORDS_PER_ENTRY,
        Kind::Dispute | Kind::Withdrawal | Kind::Reason => limits::EVIDENCE_PER_ENTRY,
        Kind::Hold => limits::HOLDS_PER_ENTRY,
        // About none.
        Kind::Lift | Kind::OptIn | Kind::Surge => 0,
    }
}
