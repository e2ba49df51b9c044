//! What is open between this centre and others: what it waits for, and what others wait for.
//!
//! Why apart: who lags behind is in the core's memory, the rest on the disk, which the loop does not read for a picture; so
//! the control socket fills it in. In scope: the picture. Out of scope: the words (`cli::ask`).

use hashpact_keys::Timestamp;
use hashpact_protocol::centre::RetractionLag;
use hashpact_protocol::evidence::{self, Kind, Object};
use hashpact_protocol::lists::ClosedList as _;
use serde::{Deserialize, Serialize};

use crate::daemon::Handle;
use crate::subset::{Capped, Owing};

/// What is open.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenStatus {
    /// Centres that have not said that they applied every retraction of this centre's log.
    pub lagging: Vec<LaggingStatus>,
    /// Disputes of this centre's entries that wait for its answer.
    pub disputes: u64,
    /// Negative votes of members, anywhere, on this centre's entries that wait for its answer.
    pub feedback: u64,
    /// Orders that are in force here, others' holds among them.
    pub orders: Vec<OrderStatus>,
    /// Members that have not acknowledged what was taken back from them.
    pub members: Vec<OwingStatus>,
    /// Deltas that wait for members: for the end of their quarantine, or for room under the cap.
    pub waiting: u64,
    /// Logs of which more came today than the cap lets out.
    pub capped: Vec<CappedStatus>,
    /// Why publishing to members stands still; none if it does not.
    pub unpublished: Option<String>,
}

/// A member that has not acknowledged retractions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwingStatus {
    /// The member.
    pub member: String,
    /// Retractions and withdrawals that it has not acknowledged.
    pub count: u64,
    /// When the oldest of them was published, in Unix seconds.
    pub since: u64,
    /// When it last acknowledged anything, in Unix seconds; none if it never did.
    pub acknowledged: Option<u64>,
}

/// A log above its cap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CappedStatus {
    /// The log.
    pub origin: String,
    /// The UTC day, in days since 1970-01-01.
    pub day: u64,
    /// Entries that wait, of the delta that did not fit.
    pub left_out: u64,
}

/// A centre that has not applied retractions, as far as is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaggingStatus {
    /// The centre.
    pub centre: String,
    /// Deltas with retractions that it has not applied.
    pub deltas: u64,
    /// When the first of them was signed, in Unix seconds.
    pub since: u64,
    /// When it last said anything of this, in Unix seconds; none if it never did.
    pub heard: Option<u64>,
}

/// An order in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderStatus {
    /// What it is known by, in hexadecimal.
    pub hash: String,
    /// `hold`, `opt_in` or `surge`.
    pub kind: String,
    /// The centre whose two people ordered it.
    pub by: String,
    /// Entries and series that a hold names.
    pub named: Option<u64>,
    /// Why, of a hold.
    pub reason: Option<String>,
    /// The log that an opt-in or a surge is about.
    pub origin: Option<String>,
    /// When it ends, in Unix seconds.
    pub until: u64,
}

/// Who lags, of all others.
pub(super) fn lagging(all: Vec<RetractionLag>) -> Vec<LaggingStatus> {
    let lagging = all.into_iter().filter_map(|lag| {
        Some(LaggingStatus {
            centre: lag.centre.to_string(),
            deltas: lag.behind,
            since: lag.since?.get(),
            heard: lag.heard.map(Timestamp::get),
        })
    });
    lagging.collect()
}

impl OpenStatus {
    /// Fills in what is on the disk; blocks.
    pub(crate) fn fill(&mut self, handle: &Handle, now: Timestamp) {
        let store = &*handle.store;
        let cases = handle.docket.waiting(store);
        let of = |kind| cases.iter().filter(|case| case.kind == kind).count() as u64;
        (self.disputes, self.feedback) = (of(Kind::Dispute), of(Kind::Feedback));
        let orders = evidence::orders(store, now);
        let orders = orders
            .iter()
            .filter_map(|told| order(told.hash, &told.object));
        self.orders = orders.collect();
        // A ledger that is not open yet is told of below.
        let owing = handle.feed().owing(now).unwrap_or_default();
        self.members = owing.into_iter().map(Into::into).collect();
        let (progress, fault) = handle.subset.progress();
        self.waiting = progress.waiting;
        self.capped = progress.capped.into_iter().map(Into::into).collect();
        self.unpublished = fault;
    }
}

impl From<Owing> for OwingStatus {
    fn from(owing: Owing) -> Self {
        Self {
            member: owing.member.to_string(),
            count: owing.count,
            since: owing.since.get(),
            acknowledged: owing.acknowledged.map(|it| it.at.get()),
        }
    }
}

impl From<Capped> for CappedStatus {
    fn from(capped: Capped) -> Self {
        Self {
            origin: capped.origin.to_string(),
            day: capped.day,
            left_out: capped.left_out,
        }
    }
}

fn order(hash: hashpact_protocol::Hash, object: &Object) -> Option<OrderStatus> {
    let (named, reason, origin, until) = match object {
        Object::Hold(it) => {
            let reason = it.code.name().to_owned();
            (Some(it.named() as u64), Some(reason), None, it.until.get())
        }
        Object::OptIn(it) => (None, None, Some(it.origin.to_string()), it.until.get()),
        Object::Surge(it) => {
            let end = (u64::from(it.day) + 1) * 86_400;
            (None, None, Some(it.origin.to_string()), end)
        }
        Object::Lift(_)
        | Object::Attestation(_)
        | Object::Dispute(_)
        | Object::Withdrawal(_)
        | Object::Feedback(_)
        | Object::Answer(_)
        | Object::Reason(_) => return None,
    };
    Some(OrderStatus {
        hash: hex::encode(hash),
        kind: object.kind().name().to_owned(),
        by: object.centre().to_string(),
        named,
        reason,
        origin,
        until,
    })
}
