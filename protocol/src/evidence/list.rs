//! Objects as people list them: what was said of one log's entries, and which orders are in force.
//!
//! In scope: reading rows in bounded parts. Out of scope: what is known of one entry (`known`).

use hashpact_keys::{KeyId, Origin, Timestamp};

use super::known::is_lifted;
use super::{DAY_S, Kind, Object, Order, Told, rows};
use crate::Hash;
use crate::record::EntryId;
use crate::view::View;

/// Every object about entries of a log whose ids begin with a byte, whatever the revision. Ids are random, so the 256 parts
/// are of one size.
#[must_use]
pub fn objects_of_log(view: &impl View, origin: &Origin, first: u8) -> Vec<Told> {
    let hashes = rows::said_of_log(origin, first, view).into_iter();
    hashes.filter_map(|hash| told(hash, view)).collect()
}

/// The signed attestations of an entry that are kept here, whatever the revision: to be opened by whoever counts them.
#[must_use]
pub fn attestations_of(view: &impl View, origin: &Origin, entry: EntryId) -> Vec<Vec<u8>> {
    let rows = rows::said(origin, entry, view).into_iter();
    let rows = rows.filter(|said| said.kind == Kind::Attestation);
    rows.filter_map(|said| Some(rows::signed(&said.hash, view)?.0))
        .collect()
}

/// The holds, opt-ins and surges that are in force here, soonest end first; holds that were lifted are not.
#[must_use]
pub fn orders(view: &impl View, now: Timestamp) -> Vec<Told> {
    let ends = rows::holding(view).into_iter();
    let ends = ends.filter(|it| now < it.until && !is_lifted(&it.hash, &it.centre, view));
    let surges = rows::surges_from(day_of(now), view);
    let hashes = ends.map(|it| it.hash).chain(surges);
    hashes.filter_map(|hash| told(hash, view)).collect()
}

fn day_of(now: Timestamp) -> u32 {
    u32::try_from(now.get() / DAY_S).unwrap_or(u32::MAX)
}

fn told(hash: Hash, view: &impl View) -> Option<Told> {
    let (signed, ours) = rows::signed(&hash, view)?;
    let object = Object::from_store(&signed).ok()?;
    Some(Told { hash, object, ours })
}

impl Order {
    /// The keys that are said to have signed an order or a draft of one; none of what is none.
    #[must_use]
    pub fn signers(draft: &[u8]) -> Vec<KeyId> {
        match Kind::claimed(draft) {
            Some(kind) if kind.is_order() => Object::signers(draft),
            Some(_) | None => Vec::new(),
        }
    }
}
