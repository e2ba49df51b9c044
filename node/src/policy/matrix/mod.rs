//! `hashpact policy matrix`: every class and everybody who could receive it, on one page.
//!
//! Why: a profile is many small rules, and what they do together shows only when all of it is asked at once. Each cell is what
//! `policy explain` answers: between centres both ends, for a member its centre alone. In scope: which questions there are,
//! and the answers. Out of scope: the decisions (`hashpact_protocol::policy`).
//!
//! | file | answers |
//! |---|---|
//! | here | what is asked, and what a cell says |
//! | `classes` | which classes: a file of labels |
//! | `table`, `json` | how it is shown in a terminal, and to programs |
//! | `page`, `why`, `words`, `matrix.css` | how it is shown as a page |

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
use hashpact_protocol::policy::{Action, FLOOR, Principal, Ruling};

use super::class::Shown;
use super::explain::{Asked, PolicySaid, Question, QuestionError, Recipient, law};
use super::scene::{Document, Law, Scene, UnknownCentre};

pub use classes::{ClassesError, read_classes};
pub use json::json;
pub use page::page;
pub use table::text;

/// Cells of one matrix: more are read by nobody, and take seconds.
pub const CELLS_MAX: usize = 100_000;

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

/// Why there is no matrix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MatrixError {
    /// Nothing to ask about.
    #[error(
        "there is no class to ask about: give --classes FILE, or a node's --home whose logs define some"
    )]
    NoClasses,
    /// Too much.
    #[error(
        "{classes} classes and {recipients} recipients: at most {CELLS_MAX} cells are shown, name fewer with --from"
    )]
    TooMany {
        /// How many classes.
        classes: usize,
        /// How many recipients.
        recipients: usize,
    },
    /// A centre that is not known.
    #[error(transparent)]
    Unknown(#[from] UnknownCentre),
}

impl Matrix {
    /// Asks everything. O(classes * recipients) decisions.
    ///
    /// # Errors
    /// [`MatrixError`].
    pub fn ask(scene: &Scene, classes: Vec<Class>, plan: Plan) -> Result<Self, MatrixError> {
        let columns = columns(scene, &plan);
        if classes.is_empty() {
            return Err(MatrixError::NoClasses);
        }
        if classes.len().saturating_mul(columns.len()) > CELLS_MAX {
            return Err(MatrixError::TooMany {
                classes: classes.len(),
                recipients: columns.len(),
            });
        }
        if let Some(via) = &plan.via {
            scene.party(via)?;
        }
        let mut policies = BTreeMap::new();
        let mut rows = Vec::new();
        for class in classes {
            let jurisdiction = scene.party(&class.origin)?.jurisdiction.clone();
            let cells = columns.iter().map(|column| {
                let cell = cell(scene, &plan, &class, &jurisdiction, column);
                note(scene, &cell, &mut policies);
                cell
            });
            rows.push(Row {
                cells: cells.collect(),
                class,
                jurisdiction,
            });
        }
        rows.sort_by(|a, b| a.class.origin.cmp(&b.class.origin));
        Ok(Self {
            plan,
            columns,
            rows,
            policies,
        })
    }

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

fn columns(scene: &Scene, plan: &Plan) -> Vec<Column> {
    let centres = scene.0.iter().map(|(id, party)| Column::Centre {
        id: id.clone(),
        jurisdiction: party.jurisdiction.clone(),
    });
    let actions = [Action::Publish, Action::Match, Action::Reveal];
    let members = (0..plan.members.len())
        .flat_map(|kind| actions.map(|action| Column::Member { kind, action }));
    centres.chain(members).collect()
}

fn cell(
    scene: &Scene,
    plan: &Plan,
    class: &Class,
    jurisdiction: &Jurisdiction,
    column: &Column,
) -> Cell {
    let mut question = Question {
        from: class.origin.clone(),
        to: Recipient::Centre(class.origin.clone()),
        origin: class.origin.clone(),
        class: class.id.unwrap_or(ClassId(0)),
        labels: class.labels.clone(),
        action: None,
        purpose: plan.purpose,
        default_purpose: None,
        now: plan.now,
        entry: Some(plan.entry),
    };
    match column {
        Column::Centre { id, .. } if *id == class.origin => {
            return Cell {
                verdict: Verdict::Own,
                purpose: None,
                steps: Vec::new(),
            };
        }
        Column::Centre { id, .. } => {
            let relay = plan.via.as_ref().filter(|via| *via != id);
            question.from = relay.unwrap_or(&class.origin).clone();
            question.to = Recipient::Centre(id.clone());
        }
        Column::Member { kind, action } => {
            let Some(kind) = plan.members.get(*kind) else {
                return unknown(Vec::new());
            };
            question.action = Some(*action);
            question.purpose = Some(kind.purpose);
            question.to = Recipient::Other(Principal::Member {
                id: kind.sector.clone(),
                jurisdiction: kind.jurisdiction.clone(),
                sector: kind.sector.clone(),
            });
        }
    }
    answer(scene, &question, jurisdiction)
}

fn answer(scene: &Scene, question: &Question, jurisdiction: &Jurisdiction) -> Cell {
    let Ok(asked) = question.asked(scene) else {
        return unknown(Vec::new());
    };
    let Ok(purpose) = question.purpose(scene) else {
        return unknown(asked.iter().map(unasked).collect());
    };
    let steps: Vec<Step> = asked
        .iter()
        .map(|asked| match law(scene, asked) {
            Ok(law) => {
                let ruling = law.decide(&question.query(asked, jurisdiction, purpose));
                step(law, asked, ruling)
            }
            Err(QuestionError::NoPolicy { .. }) | Err(_) => unasked(asked),
        })
        .collect();
    let is = |reason| move |step: &Step| step.reason == reason;
    let denies = |step: &Step| !step.allowed && step.reason != Reason::Unknown;
    let verdict = if steps.iter().any(is(Reason::Error)) || steps.iter().any(is(Reason::Unreadable))
    {
        Verdict::Failed
    } else if steps.iter().any(denies) {
        Verdict::Denied
    } else if steps.iter().any(is(Reason::Unknown)) {
        Verdict::Unknown
    } else {
        Verdict::Allowed
    };
    Cell {
        verdict,
        purpose: Some(purpose),
        steps,
    }
}

fn unknown(steps: Vec<Step>) -> Cell {
    Cell {
        verdict: Verdict::Unknown,
        purpose: None,
        steps,
    }
}

fn unasked(asked: &Asked) -> Step {
    Step {
        centre: asked.centre.clone(),
        action: asked.action,
        allowed: false,
        reason: Reason::Unknown,
        policies: Vec::new(),
        index: None,
        valid_until: None,
        errors: Vec::new(),
    }
}

fn step(law: &Law, asked: &Asked, ruling: Ruling) -> Step {
    let reason = reason(&ruling, law.decided_by(&ruling));
    Step {
        centre: asked.centre.clone(),
        action: asked.action,
        allowed: ruling.allowed,
        reason,
        policies: ruling.policies,
        index: ruling.index,
        valid_until: ruling.valid_until,
        errors: ruling.errors,
    }
}

fn reason(ruling: &Ruling, document: Option<&Document>) -> Reason {
    let is_floor = ruling.policies.iter().any(|id| id == FLOOR);
    match (document, ruling.allowed) {
        (Some(Document { profile: None, .. }), _) => Reason::Unreadable,
        (_, false) if !ruling.errors.is_empty() => Reason::Error,
        (Some(_), true) => Reason::Permitted,
        (Some(_), false) if is_floor => Reason::Floor,
        (Some(_), false) if ruling.policies.is_empty() => Reason::NoPermit,
        (Some(_), false) => Reason::Forbidden,
        (None, true) => Reason::Open,
        (None, false) => Reason::NoDocument,
    }
}

/// Counts the policies that decided a cell.
fn note(scene: &Scene, cell: &Cell, policies: &mut BTreeMap<(CentreId, String), Policy>) {
    for step in &cell.steps {
        let law = scene
            .0
            .get(&step.centre)
            .and_then(|party| party.law.as_ref());
        let documents = law.map(Law::in_force).unwrap_or_default();
        let document = documents.into_iter().find(|it| it.index == step.index);
        let profile = document.and_then(|it| it.profile.as_deref());
        for id in &step.policies {
            let basis = profile.and_then(|profile| profile.basis(id));
            let said = || PolicySaid {
                id: id.clone(),
                basis: basis.map_or_else(String::new, |basis| basis.source.clone()),
                at: basis.map_or_else(String::new, |it| format!("{}:{}", it.file, it.line)),
                confirmed: basis.is_some_and(|basis| basis.confirmed),
            };
            let policy = policies
                .entry((step.centre.clone(), id.clone()))
                .or_insert_with(|| Policy {
                    said: said(),
                    allows: 0,
                    denies: 0,
                });
            if step.allowed {
                policy.allows += 1;
            } else {
                policy.denies += 1;
            }
        }
    }
}
