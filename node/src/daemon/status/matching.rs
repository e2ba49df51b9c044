//! What an operator is told of matching.

use hashpact_keys::Timestamp;
use hashpact_protocol::centre::{Centre, MatchDay};
use hashpact_protocol::view::View;
use serde::{Deserialize, Serialize};

use crate::matching::{Desk, ServedStatus};

/// What is matched at this centre, and by whom today.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatchStatus {
    /// The epoch that is served; none before the first one is witnessed.
    pub epoch: Option<u64>,
    /// Number of its manifest.
    pub manifest: Option<u64>,
    /// Match groups in it.
    pub groups: u64,
    /// When it ends, in Unix seconds.
    pub until: Option<u64>,
    /// Members in the register.
    pub members: u64,
    /// What is built here and served.
    #[serde(default)]
    pub served: ServedStatus,
    /// What was charged on this UTC day.
    pub sessions: Vec<MatchedStatus>,
    /// What was refused on it, since the start.
    pub refused: Vec<RefusedStatus>,
}

/// What one principal matched of one fingerprint type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatchedStatus {
    /// Who: `centre eu`, or `member acme`.
    pub by: String,
    /// The fingerprint type.
    pub kind: String,
    /// Items that were charged.
    pub items: u64,
    /// Sessions.
    pub sessions: u64,
}

/// What one principal was refused for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedStatus {
    /// Who.
    pub by: String,
    /// Why.
    pub why: String,
    /// How often.
    pub times: u64,
}

impl MatchStatus {
    pub(in super::super) fn of(
        centre: &Centre,
        view: &impl View,
        desk: &Desk,
        now: Timestamp,
    ) -> Self {
        let built = desk.status();
        let served = centre.served_manifest(view).map(|(_, manifest)| manifest);
        let MatchDay { charged, refused } = centre.match_day(now, view);
        let charged = charged.into_iter();
        let sessions = charged.map(|(by, kind, items, sessions)| MatchedStatus {
            by: by.to_string(),
            kind: kind.name().to_owned(),
            items,
            sessions,
        });
        let refused = refused.into_iter().map(|(by, why, times)| RefusedStatus {
            by: by.to_string(),
            why: why.to_string(),
            times,
        });
        Self {
            epoch: served.as_ref().map(|manifest| manifest.epoch.0),
            manifest: served.as_ref().map(|manifest| manifest.number),
            groups: served.as_ref().map_or(0, |it| it.groups.len() as u64),
            until: served.as_ref().map(|manifest| manifest.until.get()),
            members: centre.members().count() as u64,
            served: built,
            sessions: sessions.collect(),
            refused: refused.collect(),
        }
    }
}
