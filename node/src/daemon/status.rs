//! What an operator is told: one picture of the node, and what it has seen lately.

mod matching;

use std::collections::{BTreeMap, VecDeque};

use hashpact_keys::{CentreId, Origin, Timestamp};
use hashpact_protocol::centre::{Event, PolicyStanding, Reason};
use hashpact_protocol::limits;
use hashpact_protocol::lists::ClosedList as _;
use hashpact_protocol::log::{Cosigners, SignedCheckpoint};
use hashpact_protocol::transfer::{Recall, Withholder};
use hashpact_protocol::view::LogState;
use serde::{Deserialize, Serialize};

use super::Daemon;
use crate::clock;
use crate::gateway::GatewayStatus;
use crate::net::Refusal;
use crate::page::text::counted;

pub use matching::{MatchStatus, MatchedStatus, RefusedStatus};

/// Events that `status` remembers.
const EVENTS_KEPT: usize = 64;

const LEAVES: &str = "leaf|leaves";
const RECORDS: &str = "record|records";
const RETRACTIONS: &str = "retraction|retractions";

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

/// Something that the node saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// When, in Unix seconds.
    pub at: u64,
    /// A stable word.
    pub kind: String,
    /// The centre or log that it is about, if any.
    pub about: Option<String>,
    /// A sentence.
    pub text: String,
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

impl Seen {
    pub(super) fn new(kind: &str, about: Option<String>, text: String) -> Self {
        Self {
            at: clock::now().get(),
            kind: kind.to_owned(),
            about,
            text,
        }
    }

    pub(super) fn event(event: &Event) -> Self {
        let (kind, about) = Self::kind_of(event);
        Self::new(kind, about.map(ToString::to_string), Self::text_of(event))
    }

    /// The stable word, and the log that it is about.
    fn kind_of(event: &Event) -> (&'static str, Option<&Origin>) {
        match event {
            Event::LogGrew { origin, .. } => ("log_grew", Some(origin)),
            Event::DeltaApplied { origin, .. } => ("delta_applied", Some(origin)),
            Event::RetractionsApplied { origin, .. } => ("retractions_applied", Some(origin)),
            Event::Rollback { origin, .. } => ("rollback", Some(origin)),
            Event::Fork { origin, .. } => ("fork", Some(origin)),
            Event::Frozen { origin, .. } => ("frozen", Some(origin)),
            Event::Witnessed { origin, .. } => ("witnessed", Some(origin)),
            Event::OwnLogRegained { .. } => ("own_log_regained", None),
            Event::KeysRetired => ("keys_retired", None),
            Event::OwnLogBehind { .. } => ("own_log_behind", None),
            Event::LeafRefused { origin, .. } => ("leaf_refused", Some(origin)),
            Event::SuffixRefused { origin, .. } => ("suffix_refused", Some(origin)),
            Event::BodyRefused { origin, .. } => ("body_refused", Some(origin)),
            Event::TransferLogged { origin, .. } => ("transfer_logged", Some(origin)),
            Event::DeltaWidened { origin, .. } => ("delta_widened", Some(origin)),
            Event::TransferRefused { origin, .. } => ("transfer_refused", Some(origin)),
            Event::SurplusWithheld { origin, .. } => ("surplus_withheld", Some(origin)),
            Event::Recalled { origin, .. } => ("recalled", Some(origin)),
            Event::RecallAcknowledged { origin, .. } => ("recall_acknowledged", Some(origin)),
            Event::RecallObeyed { origin, .. } => ("recall_obeyed", Some(origin)),
            Event::RecallRefused { .. } => ("recall_refused", None),
            Event::Closed { .. } => ("closed", None),
            Event::Opened => ("opened", None),
            Event::PolicyLogged {
                origin,
                readable: true,
                ..
            } => ("policy_logged", Some(origin)),
            Event::PolicyLogged { origin, .. } => ("policy_unreadable", Some(origin)),
            Event::RosterApplied { .. } => ("roster_applied", None),
            Event::MemberAdmitted { .. } => ("member_admitted", None),
            Event::MemberRemoved { .. } => ("member_removed", None),
            Event::MatchEpochLogged { .. } => ("match_epoch_logged", None),
            Event::MatchGroupsLeftOut { .. } => ("match_groups_left_out", None),
            Event::MatchOpened { .. } => ("match_opened", None),
            Event::MatchRefused { why, .. } if why.is_alarm() => ("match_refused", None),
            Event::MatchRefused { .. } => ("match_not_opened", None),
        }
    }

    fn text_of(event: &Event) -> String {
        match event {
            Event::LogGrew { origin, size, head } => {
                format!("{origin}: {size} of {}", counted(*head, LEAVES))
            }
            Event::DeltaApplied {
                origin,
                seq,
                records,
                withheld,
                retractions,
            } => format!(
                "{origin}: delta {seq} applied: {}, {withheld} withheld, {}",
                counted(*records, RECORDS),
                counted(*retractions, RETRACTIONS)
            ),
            Event::RetractionsApplied {
                origin,
                seq,
                retractions,
            } => format!(
                "{origin}: {} of delta {seq} applied, its records stay closed",
                counted(*retractions, RETRACTIONS)
            ),
            Event::Rollback {
                origin,
                held,
                shown,
            } => {
                let shown = counted(*shown, LEAVES);
                format!("{origin}: its centre shows {shown} after it showed {held}: refused")
            }
            Event::Fork {
                origin,
                size,
                shown_by,
            } => format!("{origin}: {shown_by} shows another log of size {size} than the one held"),
            Event::Frozen { origin, size } => format!(
                "{origin}: shown to be forked and frozen at size {size}: beyond it nothing acts but retractions"
            ),
            Event::Witnessed { origin, size } => {
                format!("{origin}: a quorum of witnesses cosigned size {size}")
            }
            Event::OwnLogRegained { .. } | Event::KeysRetired | Event::OwnLogBehind { .. } => {
                Self::text_of_own(event)
            }
            Event::LeafRefused { .. } | Event::SuffixRefused { .. } | Event::BodyRefused { .. } => {
                Self::text_of_refusal(event)
            }
            Event::TransferLogged { .. }
            | Event::DeltaWidened { .. }
            | Event::TransferRefused { .. }
            | Event::SurplusWithheld { .. } => Self::text_of_transfer(event),
            Event::Recalled { .. }
            | Event::RecallAcknowledged { .. }
            | Event::RecallObeyed { .. }
            | Event::RecallRefused { .. } => Self::text_of_recall(event),
            Event::Closed { why } => why.to_string(),
            Event::Opened => "nothing is closed any more: bodies come again".to_owned(),
            Event::PolicyLogged {
                origin,
                index,
                readable,
            } => policy_text(origin, *index, *readable),
            Event::RosterApplied { version } => format!("roster {version} is in force"),
            Event::MemberAdmitted { .. }
            | Event::MemberRemoved { .. }
            | Event::MatchEpochLogged { .. }
            | Event::MatchGroupsLeftOut { .. }
            | Event::MatchOpened { .. }
            | Event::MatchRefused { .. } => Self::text_of_match(event),
        }
    }

    fn text_of_match(event: &Event) -> String {
        if let Event::MemberAdmitted { id } = event {
            return format!(
                "{id} is a member: the grants of this centre's policy say what it may match"
            );
        }
        if let Event::MemberRemoved { id } = event {
            return format!("{id} is no member any more, and opens nothing");
        }
        if let Event::MatchEpochLogged {
            number,
            epoch,
            groups,
        } = event
        {
            return format!(
                "match manifest {number} of epoch {epoch} is logged, with {}",
                counted(*groups, "group|groups")
            );
        }
        if let Event::MatchGroupsLeftOut { sets } = event {
            return format!(
                "policy divides the classes into more than {} sets: {sets} of them are matched by nobody",
                limits::MATCH_GROUPS
            );
        }
        if let Event::MatchOpened {
            by,
            mode,
            items,
            used,
            per_day,
        } = event
        {
            let mode = mode.name();
            return format!(
                "{by} matches {} ({mode}): {used} of {per_day} of this type are used today",
                counted(*items, "item|items")
            );
        }
        if let Event::MatchRefused { by, why } = event {
            return format!("{by}: {why}");
        }
        String::new()
    }

    fn text_of_refusal(event: &Event) -> String {
        if let Event::LeafRefused { origin, error } = event {
            return format!("{origin}: {error}");
        }
        if let Event::SuffixRefused {
            origin,
            from,
            error,
        } = event
        {
            return format!("{origin}: leaves from {from} refused: {error}");
        }
        if let Event::BodyRefused {
            origin,
            seq,
            from,
            error,
        } = event
        {
            return format!("{origin}: delta {seq} from {from} refused: {error}");
        }
        String::new()
    }

    /// Of a disk that was an old copy.
    fn text_of_own(event: &Event) -> String {
        if let Event::OwnLogRegained { size } = event {
            let leaves = counted(*size, LEAVES);
            return format!("this centre's log is back with {leaves}, and signing goes on");
        }
        if let Event::OwnLogBehind { held, seen } = event {
            let seen = counted(*seen, LEAVES);
            return format!(
                "others have seen {seen} of this centre's log, this node holds {held}: its disk is an old copy, so nothing is signed until the log is fetched back"
            );
        }
        "this node's disk was an old copy: its witness and mirror keys are retired; renew them (hashpact key renew witness mirror) and have the new ones put on the roster".to_owned()
    }

    fn text_of_recall(event: &Event) -> String {
        if let Event::Recalled {
            origin,
            to,
            classes,
        } = event
        {
            let classes = counted(*classes, "class is|classes are");
            return format!("{origin}: {classes} asked back of {to}");
        }
        if let Event::RecallAcknowledged {
            origin,
            by,
            classes,
        } = event
        {
            let classes = counted(*classes, "class is|classes are");
            return format!("{origin}: {by} says that {classes} gone there");
        }
        if let Event::RecallObeyed {
            origin,
            from,
            records,
            kept,
        } = event
        {
            return format!(
                "{origin}: {from} asked classes back: {} destroyed, {} as another gave them too",
                counted(*records, "record is|records are"),
                counted(*kept, "stays|stay")
            );
        }
        if let Event::RecallRefused { from, error } = event {
            return format!("{from}: {error}");
        }
        String::new()
    }

    fn text_of_transfer(event: &Event) -> String {
        if let Event::TransferLogged {
            origin,
            from,
            to,
            deltas,
            records,
        } = event
        {
            return format!(
                "{origin}: {from} gives {to} {} of {}: signed by both and logged here",
                counted(*records, RECORDS),
                counted(*deltas, "delta|deltas")
            );
        }
        if let Event::DeltaWidened {
            origin,
            seq,
            records,
            withheld,
        } = event
        {
            return format!(
                "{origin}: more of delta {seq} came: {}, {} withheld still",
                counted(*records, RECORDS),
                counted(*withheld, "is|are")
            );
        }
        if let Event::SurplusWithheld {
            origin,
            class,
            count,
            from,
        } = event
        {
            return format!(
                "{origin}: {from} withholds {} of class {class} that policy allows",
                counted(*count, RECORDS)
            );
        }
        if let Event::TransferRefused {
            origin,
            from,
            error,
        } = event
        {
            return format!("{origin}: what {from} offers is refused: {error}");
        }
        String::new()
    }

    pub(super) fn dropped(peer: &CentreId, reason: &Reason) -> Self {
        let text = format!("connection to {peer} closed: {reason}");
        Self::new("peer_dropped", Some(peer.to_string()), text)
    }

    pub(super) fn refused(centre: Option<&CentreId>, why: &Refusal) -> Self {
        Self::new(
            "connection_refused",
            centre.map(ToString::to_string),
            why.to_string(),
        )
    }

    /// Remembers it beside what was seen before.
    pub(super) fn join(self, seen: &mut VecDeque<Self>) {
        // What is closed no more, or for another reason, needs nobody's eyes.
        if matches!(self.kind.as_str(), "closed" | "opened") {
            seen.retain(|before| before.kind != "closed");
        }
        // Alarms must not be washed away by the traffic of a catch-up.
        if seen.len() == EVENTS_KEPT {
            let at = seen.iter().position(|seen| !seen.is_alarm()).unwrap_or(0);
            seen.remove(at);
        }
        seen.push_back(self);
    }

    /// Whether a person should look.
    #[must_use]
    pub fn is_alarm(&self) -> bool {
        !matches!(
            self.kind.as_str(),
            "log_grew"
                | "delta_applied"
                | "retractions_applied"
                | "roster_applied"
                | "policy_logged"
                | "transfer_logged"
                | "recalled"
                | "recall_acknowledged"
                | "recall_obeyed"
                | "delta_widened"
                | "member_admitted"
                | "member_removed"
                | "match_epoch_logged"
                | "match_opened"
                | "match_not_opened"
                | "witnessed"
                | "opened"
        )
    }
}

fn policy_text(origin: &Origin, index: u64, readable: bool) -> String {
    let what = match readable {
        true => "is logged; what it narrows counts now",
        false => "cannot be read here and denies everything",
    };
    format!("{origin}: the policy document at index {index} {what}")
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
