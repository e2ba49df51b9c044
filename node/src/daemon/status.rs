//! What an operator is told: one picture of the node, and what it has seen lately.

mod evidence;
mod matching;
mod open;
mod seen;
mod text;

use std::collections::BTreeMap;

use hashpact_keys::{Origin, Timestamp};
use hashpact_protocol::centre::PolicyStanding;
use hashpact_protocol::log::{Cosigners, SignedCheckpoint};
use hashpact_protocol::transfer::{Recall, Withholder};
use hashpact_protocol::view::LogState;
use serde::{Deserialize, Serialize};

use super::Daemon;
use crate::clock;
use crate::gateway::GatewayStatus;

pub use matching::{MatchStatus, MatchedStatus, RefusedStatus};
pub use open::{CappedStatus, LaggingStatus, OpenStatus, OrderStatus, OwingStatus};
pub use seen::Seen;

/// One log, its own or a mirrored one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogStatus {
    /// The centre that writes it.
    pub centre: String,
    /// Its origin line.
    pub origin: String,
    /// Leaves stored.
    pub size: u64,
    /// Leaves of the newest checkpoint known.
    pub head: u64,
    /// Leaves of the newest checkpoint that a quorum of witnesses cosigned; what is above is pending.
    pub witnessed: u64,
    /// The time of which that quorum speaks, in Unix seconds; none where nobody has to witness.
    pub witnessed_at: Option<u64>,
    /// Whether that quorum is less than a day old: else nothing new of it may be published or matched.
    pub fresh: bool,
    /// How many must cosign.
    pub quorum: u64,
    /// Who has not cosigned the newest checkpoint.
    pub missing: Vec<String>,
    /// Since when they are missing, in Unix seconds; only of this centre's own log, and only while it is pending.
    pub pending_since: Option<u64>,
    /// Who has not said yet that it stored the newest witnessed checkpoint's entries: delivery receipts.
    pub receipts_missing: Vec<String>,
    /// Size at which the log is frozen, if it was shown to be forked.
    pub frozen: Option<u64>,
    /// Its policy documents.
    #[serde(default)]
    pub policy: PolicyStatus,
    /// Deltas that the stored leaves name.
    pub deltas: u64,
    /// Deltas whose bodies are applied.
    pub applied: u64,
    /// Entries that match here.
    pub held: u64,
    /// Entries that ended.
    pub retracted: u64,
}

/// Which policy documents of a log count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyStatus {
    /// Version and log index of those that must all allow, in order: the mature one and those after it.
    pub in_force: Vec<(u64, u64)>,
    /// When the next one may widen what is allowed, in Unix seconds.
    pub matures: Option<u64>,
    /// Log indices of those that cannot be read here and so deny everything.
    pub unreadable: Vec<u64>,
    /// Whether nothing is allowed, as no document is mature.
    pub closed: bool,
}

impl From<PolicyStanding> for PolicyStatus {
    fn from(standing: PolicyStanding) -> Self {
        Self {
            in_force: standing.in_force,
            matures: standing.matures.map(Timestamp::get),
            unreadable: standing.unreadable,
            closed: standing.closed,
        }
    }
}

/// One other centre.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerStatus {
    /// The centre.
    pub centre: String,
    /// Whether a connection is open.
    pub up: bool,
    /// Bytes received from it since the start, frames and bulk.
    pub bytes_in: u64,
    /// Bytes sent to it.
    pub bytes_out: u64,
}

/// The whole picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// This centre.
    pub centre: String,
    /// The network, in hexadecimal.
    pub network: String,
    /// Version of the roster in force.
    pub roster_version: u64,
    /// When it expires, in Unix seconds.
    pub roster_expires_at: u64,
    /// Whether the network is a demonstration.
    pub demo: bool,
    /// Size of this centre's log that peers have seen, if it is more than is held here: signing has stopped.
    pub behind: Option<u64>,
    /// Witnesses that said how much of this centre's log they have seen, and how many must before anything is signed; none
    /// once enough did.
    pub unconfirmed: Option<(u64, u64)>,
    /// Whether this node's witness and mirror keys are retired: its disk was an old copy once.
    pub retired: bool,
    /// Where the logs are served over HTTP.
    pub http: Option<String>,
    /// Members over HTTP.
    #[serde(default)]
    pub gateway: GatewayStatus,
    /// Whether a file is being ingested.
    pub ingesting: bool,
    /// Its own log.
    pub own: LogStatus,
    /// The logs that it mirrors.
    pub mirrored: Vec<LogStatus>,
    /// The other centres.
    pub peers: Vec<PeerStatus>,
    /// Classes that are missing of applied deltas, summed over each log.
    #[serde(default)]
    pub withheld: Vec<WithheldStatus>,
    /// What this centre asked back and is not acknowledged.
    #[serde(default)]
    pub recalls: Vec<RecallStatus>,
    /// What this centre waits for, and what others wait for.
    #[serde(default)]
    pub open: OpenStatus,
    /// What is matched here, and by whom today.
    #[serde(default)]
    pub matching: MatchStatus,
    /// What it saw lately, oldest first.
    pub events: Vec<Seen>,
}

/// A recall that its holder has not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecallStatus {
    /// The log that the classes are of.
    pub origin: String,
    /// Who has them.
    pub to: String,
    /// Its number among the recalls of this centre to that one.
    pub number: u64,
    /// The classes.
    pub classes: Vec<u16>,
    /// When it was signed, in Unix seconds.
    pub since: u64,
}

impl From<&Recall> for RecallStatus {
    fn from(recall: &Recall) -> Self {
        Self {
            origin: recall.origin.to_string(),
            to: recall.to.to_string(),
            number: recall.number,
            classes: recall.classes.iter().map(|class| class.0).collect(),
            since: recall.time.get(),
        }
    }
}

/// A class of a log of which records are missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WithheldStatus {
    /// The log.
    pub origin: String,
    /// The class.
    pub class: u16,
    /// Records that its origin signed for and that are not here.
    pub records: u64,
    /// Whose decision it is: `own`, `origin`, `giver` by its policy, or `surplus`: policy allows it, and it is not given.
    pub by: String,
    /// That giver.
    pub giver: Option<String>,
}

impl Daemon {
    pub(super) fn status(&self) -> Status {
        let roster = self.centre.roster();
        let counts = self.store.counts();
        let log = |origin: &Origin, state: &LogState| {
            let count = counts.get(origin).copied().unwrap_or_default();
            LogStatus {
                held: count.held,
                retracted: count.retracted,
                ..self.log_status(origin, state)
            }
        };
        let (origin, own) = self.centre.own_log();
        let traffic = self.net.traffic();
        let others = roster
            .centres
            .iter()
            .filter(|centre| centre.id != *self.centre.id());
        let peers = others.map(|centre| {
            let id = self.directory.peer(&centre.id);
            let bytes = id.and_then(|id| traffic.get(&id));
            PeerStatus {
                centre: centre.id.to_string(),
                up: self.centre.is_up(&centre.id),
                bytes_in: bytes.map_or(0, |traffic| traffic.bytes_in),
                bytes_out: bytes.map_or(0, |traffic| traffic.bytes_out),
            }
        });
        Status {
            centre: self.centre.id().to_string(),
            network: roster.network.to_string(),
            roster_version: roster.version.get(),
            roster_expires_at: roster.expires_at.get(),
            demo: roster.demo,
            behind: self.centre.behind(),
            unconfirmed: self
                .centre
                .unconfirmed()
                .map(|(have, needed)| (have as u64, needed as u64)),
            retired: self.centre.is_retired(),
            http: self.http_address().map(|address| address.to_string()),
            gateway: self.handle.gateway.status(clock::now()),
            ingesting: self
                .handle
                .ingesting
                .load(std::sync::atomic::Ordering::Acquire),
            own: log(origin, own),
            mirrored: self
                .centre
                .mirrored()
                .map(|(origin, state)| log(origin, state))
                .collect(),
            peers: peers.collect(),
            withheld: self.withheld(),
            recalls: self.centre.unacknowledged().map(Into::into).collect(),
            open: OpenStatus {
                lagging: open::lagging(self.centre.retraction_lag()),
                ..OpenStatus::default()
            },
            matching: MatchStatus::of(
                &self.centre,
                &*self.store,
                &self.handle.matching,
                clock::now(),
            ),
            events: self.seen.iter().cloned().collect(),
        }
    }

    /// What is missing, by log, class and whose decision it is.
    fn withheld(&self) -> Vec<WithheldStatus> {
        let mut sums: BTreeMap<(&Origin, u16, &Withholder), u64> = BTreeMap::new();
        for (origin, _, row) in self.centre.missing() {
            *sums.entry((origin, row.class.0, &row.by)).or_default() += row.count;
        }
        let status = |((origin, class, by), records): ((&Origin, u16, &Withholder), u64)| {
            let (by, giver) = match by {
                Withholder::Own => ("own", None),
                Withholder::Origin => ("origin", None),
                Withholder::Giver(id) => ("giver", Some(id.to_string())),
                Withholder::Surplus(id) => ("surplus", Some(id.to_string())),
            };
            let (origin, by) = (origin.to_string(), by.to_owned());
            WithheldStatus {
                origin,
                class,
                records,
                by,
                giver,
            }
        };
        sums.into_iter().map(status).collect()
    }

    /// How one log stands, but for the entries in it.
    fn log_status(&self, origin: &Origin, state: &LogState) -> LogStatus {
        let roles = self.centre.roles(origin);
        let is_own = origin == self.centre.own_log().0;
        let pending = self.centre.candidate().filter(|_| is_own);
        let newest = pending.map(|(head, _)| head).or(state.head.as_ref());
        let standing = |cosigners: &Cosigners, head: Option<&SignedCheckpoint>| {
            let note = head?.signed_note().ok()?;
            Some(cosigners.standing(&note, head?.checkpoint().size))
        };
        let newest = standing(&roles.witnesses, newest);
        let witnessed = standing(&roles.witnesses, state.witnessed.as_ref());
        let receipts = standing(&roles.mirrors, state.witnessed.as_ref());
        let size_of = |head: &SignedCheckpoint| head.checkpoint().size;
        let is_pending = newest.as_ref().is_some_and(|newest| !newest.is_witnessed());
        LogStatus {
            witnessed: state.witnessed.as_ref().map_or(0, size_of),
            witnessed_at: witnessed
                .and_then(|at| at.witnessed_at())
                .map(Timestamp::get),
            fresh: self.centre.is_fresh(origin, state, clock::now()),
            quorum: roles.witnesses.quorum() as u64,
            missing: newest.map(|newest| newest.missing).unwrap_or_default(),
            pending_since: pending.filter(|_| is_pending).map(|(_, since)| since.get()),
            receipts_missing: receipts
                .map(|receipts| receipts.missing)
                .unwrap_or_default(),
            frozen: state.frozen,
            policy: self.centre.policy_standing(origin, clock::now()).into(),
            centre: origin.centre().to_string(),
            origin: origin.to_string(),
            size: state.size,
            head: state.head_size(),
            deltas: state.next_seq.0,
            applied: state.applied.0,
            held: 0,
            retracted: 0,
        }
    }
}

#[cfg(test)]
mod tests;
