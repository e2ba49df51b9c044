//! The questions of a matrix: one for each class and recipient, and what every centre that is asked answers.

use std::collections::BTreeMap;

use hashpact_keys::{CentreId, Jurisdiction};
use hashpact_protocol::labels::ClassId;
use hashpact_protocol::policy::{Action, FLOOR, Principal, Ruling};

use super::{Cell, Class, Column, Matrix, Plan, Policy, Reason, Row, Step, Verdict};
use crate::policy::explain::{Asked, PolicySaid, Question, QuestionError, Recipient, law};
use crate::policy::scene::{Document, Law, Scene, UnknownCentre};

/// Cells of one matrix: more are read by nobody, and take seconds.
pub const CELLS_MAX: usize = 100_000;

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
