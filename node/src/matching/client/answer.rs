//! An outcome as it is handed to a person, a script, or the other end of the control socket: line numbers, never values.

use std::collections::{BTreeMap, BTreeSet};

use hashpact_protocol::lists::{ClosedList, Set};
use hashpact_protocol::policy::MatchMode;
use hashpact_protocol::psi::Label;
use serde::{Deserialize, Serialize};

use super::list::{Items, List};
use super::order::Outcome;

/// Line numbers in one piece: with ten digits each it stays well below a line of the control socket.
const LINES_A_PIECE: usize = 20_000;

/// What was read of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListSummary {
    /// Lines.
    pub lines: u32,
    /// Blank ones.
    pub blank: u32,
    /// Lines with a value that no list may hold; left out.
    pub guarded: u32,
    /// The first of those.
    pub guarded_lines: Vec<u32>,
    /// Different values.
    pub values: u64,
}

/// What came of the values of one type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// The centre.
    pub centre: String,
    /// Its log.
    pub origin: String,
    /// The type.
    #[serde(rename = "type")]
    pub kind: String,
    /// `items`, `labels` or `count`.
    pub mode: String,
    /// The epoch.
    pub epoch: u64,
    /// Number of the manifest.
    pub manifest: u64,
    /// Its leaf.
    pub leaf: u64,
    /// When a quorum of witnesses had seen it, in Unix seconds.
    pub witnessed_at: Option<u64>,
    /// Different values checked.
    pub values: u64,
    /// How many of them matched.
    pub matches: u64,
    /// What was compared with.
    pub groups: Vec<CheckedGroup>,
    /// The session; none if all was known from before.
    pub session: Option<CheckedSession>,
}

/// One group of the centre's classes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckedGroup {
    /// Its number.
    pub group: u32,
    /// Classes in it.
    pub classes: u64,
    /// Items of the type that the centre holds in it.
    pub held: u64,
    /// How many of the values matched; none in mode `count`, which does not tell.
    pub matches: Option<u64>,
    /// Values that met a label which does not open; not among the matches.
    pub unopened: u64,
}

/// What a session cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckedSession {
    /// Its name in both records.
    pub id: String,
    /// Items charged.
    pub charged: u64,
    /// Random ones among them.
    pub random: u64,
    /// Items of the type charged today.
    pub used: u64,
    /// Items that may be charged in a day.
    pub per_day: u64,
}

/// Lines that matched, in pieces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The group.
    pub group: u32,
    /// What the centre says of these entries, in mode `labels`.
    pub label: Option<String>,
    /// Numbers of lines, from 1, ascending.
    pub lines: Vec<u32>,
}

impl ListSummary {
    /// Of a list.
    #[must_use]
    pub fn of(list: &List) -> Self {
        Self {
            lines: list.lines(),
            blank: list.blank(),
            guarded: list.guarded().count,
            guarded_lines: list.guarded().first.clone(),
            values: list.len() as u64,
        }
    }
}

impl Checked {
    /// Of an outcome.
    #[must_use]
    pub fn of(outcome: &Outcome) -> Self {
        let counts = outcome.mode == MatchMode::Count;
        let groups = outcome.groups.iter().map(|group| CheckedGroup {
            group: group.id.0,
            classes: group.classes,
            held: group.held,
            matches: (!counts).then_some(group.matched.len() as u64),
            unopened: group.unopened,
        });
        let session = outcome.session.as_ref().map(|session| CheckedSession {
            id: session.id.to_string(),
            charged: session.charged,
            random: session.pads,
            used: session.used,
            per_day: session.per_day,
        });
        Self {
            centre: outcome.centre.to_string(),
            origin: outcome.origin.to_string(),
            kind: outcome.kind.name().to_owned(),
            mode: outcome.mode.name().to_owned(),
            epoch: outcome.epoch.0,
            manifest: outcome.manifest,
            leaf: outcome.index,
            witnessed_at: outcome.witnessed_at.map(|at| at.get()),
            values: outcome.items,
            matches: outcome.matches,
            groups: groups.collect(),
            session,
        }
    }
}

impl Found {
    /// The lines of an outcome, by group and label, in pieces.
    #[must_use]
    pub fn pieces(outcome: &Outcome, items: &Items) -> Vec<Self> {
        let mut pieces = Vec::new();
        for group in &outcome.groups {
            let mut by_label: BTreeMap<Option<String>, BTreeSet<usize>> = BTreeMap::new();
            for (item, label) in &group.matched {
                let items = by_label.entry(label.map(describe)).or_default();
                items.insert(*item as usize);
            }
            for (label, matched) in by_label {
                let lines = items.lines_of(|item| matched.contains(&item));
                pieces.extend(lines.chunks(LINES_A_PIECE).map(|lines| Self {
                    kind: outcome.kind.name().to_owned(),
                    group: group.id.0,
                    label: label.clone(),
                    lines: lines.to_vec(),
                }));
            }
        }
        pieces
    }
}

/// A label in words; a list of several values could be any of them.
fn describe(label: Label) -> String {
    fn names<T: ClosedList>(set: Set<T>) -> String {
        set.names().collect::<Vec<_>>().join("|")
    }
    let minor = if label.minor_certain {
        "certain"
    } else {
        "not_certain"
    };
    format!(
        "state={} severity={} depiction={} minor={minor}",
        names(label.state),
        names(label.severity),
        names(label.depiction),
    )
}
