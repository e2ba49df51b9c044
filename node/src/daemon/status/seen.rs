//! What a node saw, as one line with a stable word, and which of it a person should look at.

use std::collections::VecDeque;

use hashpact_keys::{CentreId, Origin};
use hashpact_protocol::centre::{Event, Reason};
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::net::Refusal;

/// Events that `status` remembers.
pub(super) const EVENTS_KEPT: usize = 64;

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

impl Seen {
    pub(in crate::daemon) fn new(kind: &str, about: Option<String>, text: String) -> Self {
        Self {
            at: clock::now().get(),
            kind: kind.to_owned(),
            about,
            text,
        }
    }

    pub(in crate::daemon) fn event(event: &Event) -> Self {
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
            Event::EvidenceTaken { about, .. } => {
                ("evidence_taken", about.as_ref().map(|(origin, _)| origin))
            }
            Event::EvidenceRefused { .. } => ("evidence_refused", None),
            Event::OrderEnded { .. } => ("order_ended", None),
            Event::SharersFlagged { origin, .. } => ("sharers_flagged", Some(origin)),
            Event::RetractionsAcknowledged { .. } => ("retractions_acknowledged", None),
        }
    }

    pub(in crate::daemon) fn dropped(peer: &CentreId, reason: &Reason) -> Self {
        let text = format!("connection to {peer} closed: {reason}");
        Self::new("peer_dropped", Some(peer.to_string()), text)
    }

    pub(in crate::daemon) fn refused(centre: Option<&CentreId>, why: &Refusal) -> Self {
        Self::new(
            "connection_refused",
            centre.map(ToString::to_string),
            why.to_string(),
        )
    }

    /// Remembers it beside what was seen before.
    pub(in crate::daemon) fn join(self, seen: &mut VecDeque<Self>) {
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
                | "retractions_acknowledged"
                | "evidence_taken"
                | "order_ended"
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
