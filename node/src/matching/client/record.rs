//! What both sides write down of a session: the centre's record, compared with what happened here, and our own.
//!
//! Why: an audit compares the two. A centre whose record says something else than what happened is told of at once, and not
//! years later. In scope: the comparison. Out of scope: the format (`psi`), logging (`daemon`).

use hashpact_protocol::Hash;
use hashpact_protocol::policy::Asker;
use hashpact_protocol::psi::{GroupId, Role, SessionRecord, blinds_commitment};

use super::cache::Pending;
use super::manifest::Logged;
use super::order::{MatchError, Order};

/// What happened in a session, as this side saw it.
pub(super) struct Happened<'a> {
    pub(super) pending: &'a Pending,
    pub(super) groups: &'a [GroupId],
    pub(super) pads: u64,
    pub(super) query: Hash,
    pub(super) matches: u64,
    pub(super) used: u64,
    pub(super) per_day: u64,
}

/// Our record of a session, once the centre's says the same.
pub(super) fn own(
    order: &Order,
    logged: &Logged,
    theirs: &[u8],
    happened: &Happened<'_>,
) -> Result<Vec<u8>, MatchError> {
    let theirs = SessionRecord::from_bytes(theirs);
    let theirs = theirs.map_err(|_| MatchError::Record("it is none"))?;
    let pending = happened.pending;
    let kind = order.items.kind().code().unwrap_or_default();
    let same = [
        (theirs.role == Role::Server, "it is not the centre's"),
        (theirs.network == order.roster.network, "another network"),
        (theirs.session == pending.session, "another session"),
        (theirs.origin == logged.manifest.origin, "another log"),
        (theirs.mode == order.mode, "another mode"),
        (theirs.kind == kind, "another type"),
        (theirs.epoch == pending.epoch, "another epoch"),
        (theirs.purpose == order.purpose, "another purpose"),
        (theirs.groups == happened.groups, "other groups"),
        (theirs.items == pending.items, "another number of items"),
        (theirs.query == Some(happened.query), "other items"),
        (theirs.refusal.is_none(), "that it did not end"),
        (is_us(order, &theirs.asker), "another asker"),
    ];
    if let Some((_, other)) = same.into_iter().find(|(holds, _)| !holds) {
        return Err(MatchError::Record(other));
    }
    let record = SessionRecord {
        role: Role::Client,
        received: Some(pending.items),
        matches: Some(happened.matches),
        used: happened.used,
        per_day: happened.per_day,
        from: pending.from,
        until: (order.clock)().max(pending.from),
        blinds: Some(blinds_commitment(&pending.seed)),
        manifest: Some(logged.index),
        ..theirs
    };
    Ok(record.to_bytes())
}

/// Whether we are who the centre says has asked. What a member is called is the centre's to say.
fn is_us(order: &Order, asker: &Asker) -> bool {
    match (&order.asker, asker) {
        (Some(own), Asker::Centre(centre)) => own == centre,
        (None, Asker::Member(_)) => true,
        (Some(_), Asker::Member(_)) | (None, Asker::Centre(_)) => false,
    }
}
