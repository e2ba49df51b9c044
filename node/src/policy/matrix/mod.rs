//! `hashpact policy matrix`: every class and everybody who could receive it, on one page.
//!
//! Why: a profile is many small rules, and what they do together shows only when all of it is asked at once. Each cell is what
//! `policy explain` answers: between centres both ends, for a member its centre alone. In scope: which questions there are,
//! and the answers. Out of scope: the decisions (`hashpact_protocol::policy`).
//!
//! | file | answers |
//! |---|---|
//! | here | what is asked, and what a cell says |
//! | `ask` | who is asked what for each cell, and what they answer |
//! | `classes` | which classes: a file of labels |
//! | `table`, `json` | how it is shown in a terminal, and to programs |
//! | `page`, `why`, `words`, `matrix.css` | how it is shown as a page |

mod ask;
mod classes;
mod json;
mod page;
mod table;
#[cfg(test)]
mod tests;
mod why;
mod words;

use std::collections::BTreeMap;

use hashpact_keys::{CentreId, Jurisdiction, Timestamp};
use hashpact_protocol::assess::EntryFacts;
use hashpact_protocol::labels::{ClassId, Labels, Purpose, State};
use hashpact_protocol::policy::Action;

use super::class::Shown;
use super::explain::PolicySaid;

pub use ask::{CELLS_MAX, MatrixError};
pub use classes::{ClassesError, read_classes};
pub use json::json;
pub use page::page;
pub use table::text;

/// A class that is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// Who made the entries.
    pub origin: CentreId,
    /// The number of the class there; nothing for one that was typed.
    pub id: Option<ClassId>,
    /// What people call it.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
    /// How many entries it has, if that is known.
    pub entries: Option<u64>,
}

/// A kind of member: what it does, under which law, and what it would use entries for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberKind {
    /// What it does, as its centre registered it.
    pub sector: String,
    /// The law that it works under.
    pub jurisdiction: Jurisdiction,
    /// For which purpose.
    pub purpose: Purpose,
}

/// What is asked about every class.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Kinds of members, of whichever centre made the class.
    pub members: Vec<MemberKind>,
    /// For which purpose centres ask; without it the one that each profile says.
    pub purpose: Option<Purpose>,
    /// The centre that gives on what others made; without it each origin gives itself.
    pub via: Option<CentreId>,
    /// What is assumed of an entry, for releases.
    pub entry: EntryFacts,
    /// As of when.
    pub now: Timestamp,
}

/// The facts of an entry that could be released: what the matrix assumes if it is told nothing.
pub const RELEASABLE: EntryFacts = EntryFacts {
    state: State::Assessed,
    quorum: true,
    baseline: false,
    hold: false,
};

/// Every class and recipient.
#[derive(Clone, Debug)]
pub struct Matrix {
    /// What was asked.
    pub plan: Plan,
    /// The recipients.
    pub columns: Vec<Column>,
    /// The classes, by origin.
    pub rows: Vec<Row>,
    /// The policies that decided any cell, by the centre whose they are and their id, with how often they did.
    pub policies: BTreeMap<(CentreId, String), Policy>,
}

/// Who would receive, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column {
    /// A centre.
    Centre {
        /// Its name.
        id: CentreId,
        /// The law that it works under.
        jurisdiction: Jurisdiction,
    },
    /// A kind of member, by one action.
    Member {
        /// Index in [`Plan::members`].
        kind: usize,
        /// Publish, match or reveal.
        action: Action,
    },
}

/// A class and what is answered about it.
#[derive(Clone, Debug)]
pub struct Row {
    /// The class.
    pub class: Class,
    /// The law of its origin.
    pub jurisdiction: Jurisdiction,
    /// In the order of the columns.
    pub cells: Vec<Cell>,
}

/// One answer.
#[derive(Clone, Debug)]
pub struct Cell {
    /// In short.
    pub verdict: Verdict,
    /// For which purpose it was asked, if that is known.
    pub purpose: Option<Purpose>,
    /// Each decision that it took.
    pub steps: Vec<Step>,
}

/// An answer in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The centre's own entries: nothing is asked.
    Own,
    /// Everybody who is asked allows it.
    Allowed,
    /// Somebody denies it.
    Denied,
    /// Somebody could not decide, which denies, and is an alarm.
    Failed,
    /// Nobody who is known denies it, and one who would be asked is not known.
    Unknown,
}

/// One decision of one centre.
#[derive(Clone, Debug)]
pub struct Step {
    /// Who decides.
    pub centre: CentreId,
    /// What.
    pub action: Action,
    /// Its answer.
    pub allowed: bool,
    /// Why.
    pub reason: Reason,
    /// `@id` of the policies that determined it.
    pub policies: Vec<String>,
    /// The leaf of its document, if that is logged.
    pub index: Option<u64>,
    /// When to ask again, at the latest.
    pub valid_until: Option<Timestamp>,
    /// What went wrong.
    pub errors: Vec<String>,
}

/// Why a centre answers as it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A policy permits it and none forbids it.
    Permitted,
    /// A policy forbids it.
    Forbidden,
    /// No policy permits it.
    NoPermit,
    /// No entry of the facts assumed is released, whatever a profile permits.
    Floor,
    /// A demonstration network on which no centre has logged a policy.
    Open,
    /// Its log holds no policy that is in force.
    NoDocument,
    /// Its document could not be read.
    Unreadable,
    /// An error while deciding.
    Error,
    /// Its policy, or the purpose, is not known.
    Unknown,
}

/// A policy, and what it decided.
#[derive(Clone, Debug)]
pub struct Policy {
    /// What it says of itself.
    pub said: PolicySaid,
    /// Cells in which it permits.
    pub allows: usize,
    /// Cells in which it denies.
    pub denies: usize,
}

impl Matrix {
    /// Cells that were asked, and how many of them allow.
    #[must_use]
    pub fn allowed_of_asked(&self) -> (usize, usize) {
        let cells = || self.rows.iter().flat_map(|row| &row.cells);
        let asked = cells().filter(|cell| cell.verdict != Verdict::Own);
        let allowed = cells().filter(|cell| cell.verdict == Verdict::Allowed);
        (allowed.count(), asked.count())
    }

    /// The labels that most classes have, and for each class in which it differs: `name=values`, without values where it does
    /// not state what most do.
    #[must_use]
    pub fn labels(&self) -> (Vec<String>, Vec<Vec<String>>) {
        let of = |row: &Row| -> Vec<String> {
            let shown = Shown(&row.class.labels).to_string();
            shown.split(", ").map(str::to_owned).collect()
        };
        let all: Vec<Vec<String>> = self.rows.iter().map(of).collect();
        let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
        for label in all.iter().flatten() {
            *counts.entry(label).or_default() += 1;
        }
        // Of a single class everything would be usual, and nothing would stand beside it.
        let is_usual = |label: &String| {
            all.len() > 1 && counts.get(label).is_some_and(|count| 2 * count > all.len())
        };
        let mut usual: Vec<String> = Vec::new();
        for label in all.iter().flatten().filter(|label| is_usual(label)) {
            if !usual.contains(label) {
                usual.push(label.clone());
            }
        }
        let name = |label: &str| {
            label
                .split_once('=')
                .map_or("", |(name, _)| name)
                .to_owned()
        };
        let own = all.iter().map(|labels| {
            let stated: Vec<String> = labels.iter().map(|label| name(label)).collect();
            let unstated = usual.iter().map(|label| name(label));
            let unstated = unstated.filter(|name| !stated.contains(name));
            let other = labels
                .iter()
                .filter(|label| !usual.contains(label))
                .cloned();
            other
                .chain(unstated.map(|name| format!("{name}=")))
                .collect()
        });
        let own = own.collect();
        (usual, own)
    }
}

impl Cell {
    /// The centres that do not allow it.
    pub fn denied_by(&self) -> impl Iterator<Item = &CentreId> {
        let denying = self.steps.iter().filter(|step| !step.allowed);
        denying.map(|step| &step.centre)
    }

    /// When the answer may change by itself, at the earliest.
    #[must_use]
    pub fn valid_until(&self) -> Option<Timestamp> {
        self.steps.iter().filter_map(|step| step.valid_until).min()
    }
}
