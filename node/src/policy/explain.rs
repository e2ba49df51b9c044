//! `hashpact policy explain`: may a class go from one to another, who says no, and on what basis.
//!
//! A transfer between centres needs its origin's `share`, its giver's `reshare` where that is another centre, and its
//! taker's `admit` (design: both ends, strictest wins). A release needs the releasing centre's word alone. In scope: which
//! questions there are, and the answers with their reasons. Out of scope: the decisions (`hashpact_protocol::policy`).

use std::fmt;

use hashpact_keys::{CentreId, Timestamp};
use hashpact_protocol::assess::EntryFacts;
use hashpact_protocol::labels::{ClassId, Labels, Purpose};
use hashpact_protocol::lists::ClosedList;
use hashpact_protocol::policy::{Action, ClassFacts, Principal, Query, Ruling};
use serde::Serialize;

use super::check::{self, GrantLine};
use super::class::Shown;
use super::scene::{Document, Law, Scene, UnknownCentre};
use crate::audit::at::At;

/// Who would receive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// Another centre.
    Centre(CentreId),
    /// A member of the giver, or an auditor.
    Other(Principal),
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// Who would give.
    pub from: CentreId,
    /// Who would receive.
    pub to: Recipient,
    /// Who made the entries.
    pub origin: CentreId,
    /// The number of the class there.
    pub class: ClassId,
    /// Its labels.
    pub labels: Labels,
    /// The one action; without it all that a transfer needs.
    pub action: Option<Action>,
    /// For which purpose; without it the one for which the recipient asks.
    pub purpose: Option<Purpose>,
    /// For which purpose, if nobody says.
    pub default_purpose: Option<Purpose>,
    /// When.
    pub now: Timestamp,
    /// What is computed of the entry.
    pub entry: Option<EntryFacts>,
}

/// Why a question cannot be put.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    /// A centre that is not known.
    #[error(transparent)]
    Unknown(#[from] UnknownCentre),
    /// A centre whose policy is not known.
    #[error(
        "{action} is {centre}'s to decide, and its policy is not known: give --policy {centre}=DIR, or --action for another step"
    )]
    NoPolicy {
        /// The centre.
        centre: CentreId,
        /// What it would decide.
        action: &'static str,
    },
    /// Nobody said what for.
    #[error("--purpose is needed: {}", names::<Purpose>())]
    NoPurpose,
    /// An action that is not between these two.
    #[error("{action} is {who}: as in {example}")]
    Action {
        /// The action.
        action: &'static str,
        /// Between whom it is.
        who: &'static str,
        /// What would do.
        example: &'static str,
    },
}

/// The answer.
#[derive(Clone, Debug, Serialize)]
pub struct Explained {
    /// Whether every step allows.
    pub allowed: bool,
    /// The first that denies.
    pub denied_by: Option<Denial>,
    /// Who made the entries.
    pub origin: String,
    /// Who would give.
    pub from: String,
    /// Who would receive.
    pub to: String,
    /// For which purpose.
    pub purpose: &'static str,
    /// As of when.
    pub at: String,
    /// The labels; what is unknown is left out.
    pub class: String,
    /// When to ask again, at the latest; nothing if no date is ahead.
    pub valid_until: Option<String>,
    /// Each step.
    pub steps: Vec<Step>,
}

/// Who denies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Denial {
    /// The centre.
    pub centre: String,
    /// What it was asked.
    pub action: &'static str,
}

/// One decision of one centre.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// The centre.
    pub centre: String,
    /// What it was asked.
    pub action: &'static str,
    /// About whom.
    pub principal: String,
    /// Its answer.
    pub allowed: bool,
    /// Where that stands.
    pub document: String,
    /// The leaf of it, if it is logged.
    pub index: Option<u64>,
    /// Why, in a sentence.
    pub because: String,
    /// The policies that determined it.
    pub policies: Vec<PolicySaid>,
    /// The grants with this principal for this action and purpose, at any time.
    pub grants: Vec<GrantLine>,
    /// When to ask again, at the latest.
    pub valid_until: Option<String>,
    /// What went wrong while deciding.
    pub errors: Vec<String>,
}

/// A policy that determined an answer.
#[derive(Clone, Debug, Serialize)]
pub struct PolicySaid {
    /// Its `@id`.
    pub id: String,
    /// Its `@basis`.
    pub basis: String,
    /// File and line.
    pub at: String,
    /// Whether counsel confirmed it.
    pub confirmed: bool,
}

/// One question of a transfer: who is asked what about whom.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Who decides.
    pub centre: CentreId,
    /// What.
    pub action: Action,
    /// About whom.
    pub principal: Principal,
}

impl Question {
    /// What is asked of whom, in the order of the transfer.
    ///
    /// # Errors
    /// [`QuestionError`].
    pub fn asked(&self, scene: &Scene) -> Result<Vec<Asked>, QuestionError> {
        let to = match &self.to {
            Recipient::Centre(id) => scene.principal(id)?,
            Recipient::Other(principal) => principal.clone(),
        };
        let asked = |centre: &CentreId, action, principal: &Principal| Asked {
            centre: centre.clone(),
            action,
            principal: principal.clone(),
        };
        let Some(action) = self.action else {
            let Recipient::Centre(taker) = &self.to else {
                return Err(between(Action::Share));
            };
            let mut all = vec![asked(&self.origin, Action::Share, &to)];
            if self.from != self.origin {
                all.push(asked(&self.from, Action::Reshare, &to));
            }
            all.push(asked(taker, Action::Admit, &scene.principal(&self.from)?));
            return Ok(all);
        };
        match (action, &self.to) {
            (Action::Share, Recipient::Centre(_)) => Ok(vec![asked(&self.origin, action, &to)]),
            (Action::Reshare, Recipient::Centre(_)) => Ok(vec![asked(&self.from, action, &to)]),
            (Action::Admit, Recipient::Centre(taker)) => {
                Ok(vec![asked(taker, action, &scene.principal(&self.from)?)])
            }
            (Action::Publish, Recipient::Other(Principal::Member { .. }))
            | (Action::Match, Recipient::Centre(_) | Recipient::Other(Principal::Member { .. }))
            | (Action::Reveal, _) => Ok(vec![asked(&self.from, action, &to)]),
            (
                Action::Share | Action::Reshare | Action::Admit | Action::Publish | Action::Match,
                _,
            ) => Err(between(action)),
        }
    }

    /// The purpose that is asked for.
    ///
    /// # Errors
    /// [`QuestionError::NoPurpose`] if none was given and the recipient's is not known.
    pub fn purpose(&self, scene: &Scene) -> Result<Purpose, QuestionError> {
        let of_taker = || match &self.to {
            Recipient::Centre(id) => scene.0.get(id)?.law.as_ref()?.newest(),
            Recipient::Other(_) => None,
        };
        self.purpose
            .or_else(|| of_taker().map(|profile| profile.purpose()))
            .or(self.default_purpose)
            .ok_or(QuestionError::NoPurpose)
    }

    /// One step as policy is asked it.
    #[must_use]
    pub fn query<'a>(
        &'a self,
        asked: &'a Asked,
        origin_law: &'a hashpact_keys::Jurisdiction,
        purpose: Purpose,
    ) -> Query<'a> {
        let per_entry = match asked.action {
            Action::Publish | Action::Match | Action::Reveal => self.entry,
            Action::Share | Action::Reshare | Action::Admit => None,
        };
        Query {
            action: asked.action,
            principal: &asked.principal,
            class: ClassFacts {
                origin: &self.origin,
                jurisdiction: origin_law,
                class: self.class,
                labels: &self.labels,
            },
            purpose,
            now: self.now,
            entry: per_entry,
        }
    }
}

fn between(action: Action) -> QuestionError {
    let (who, example) = match action {
        Action::Share | Action::Reshare | Action::Admit => ("between centres", "--to us"),
        Action::Publish => ("for members", "--to member:acme:US:hosting"),
        Action::Match | Action::Reveal => {
            ("for centres and members", "--to member:acme:US:hosting")
        }
    };
    QuestionError::Action {
        action: action.name(),
        who,
        example,
    }
}

/// Answers a question.
///
/// # Errors
/// [`QuestionError`].
pub fn explain(scene: &Scene, question: &Question) -> Result<Explained, QuestionError> {
    let origin = scene.party(&question.origin)?;
    let asked = question.asked(scene)?;
    let asked: Vec<(Asked, &Law)> = asked
        .into_iter()
        .map(|asked| law(scene, &asked).map(|law| (asked, law)))
        .collect::<Result<_, QuestionError>>()?;
    let purpose = question.purpose(scene)?;
    let mut steps = Vec::new();
    for (asked, law) in asked {
        let query = question.query(&asked, &origin.jurisdiction, purpose);
        let ruling = law.decide(&query);
        steps.push((ruling.valid_until, step(law, &asked, &query, ruling)));
    }
    let until = steps.iter().filter_map(|(until, _)| *until).min();
    let steps: Vec<Step> = steps.into_iter().map(|(_, step)| step).collect();
    let denied_by = steps.iter().find(|step| !step.allowed).map(|step| Denial {
        centre: step.centre.clone(),
        action: step.action,
    });
    Ok(Explained {
        allowed: denied_by.is_none(),
        denied_by,
        origin: question.origin.to_string(),
        from: question.from.to_string(),
        to: match &question.to {
            Recipient::Centre(id) => id.to_string(),
            Recipient::Other(principal) => named(principal),
        },
        purpose: purpose.name(),
        at: At(question.now).to_string(),
        class: Shown(&question.labels).to_string(),
        valid_until: until.map(|until| At(until).to_string()),
        steps,
    })
}

/// By what a centre decides.
///
/// # Errors
/// [`QuestionError`] if that is not known.
pub fn law<'a>(scene: &'a Scene, asked: &Asked) -> Result<&'a Law, QuestionError> {
    let party = scene.party(&asked.centre)?;
    party.law.as_ref().ok_or_else(|| QuestionError::NoPolicy {
        centre: asked.centre.clone(),
        action: asked.action.name(),
    })
}

fn step(law: &Law, asked: &Asked, query: &Query<'_>, ruling: Ruling) -> Step {
    let document = law.decided_by(&ruling);
    let policies = ruling.policies.iter().map(|id| said(document, id));
    let profile = document.and_then(|it| it.profile.as_deref());
    let grants = profile.map_or(&[][..], |profile| profile.grants()).iter();
    let grants = grants.filter(|it| it.covers(asked.action, query.principal, query.purpose));
    Step {
        centre: asked.centre.to_string(),
        action: asked.action.name(),
        principal: named(&asked.principal),
        allowed: ruling.allowed,
        document: document
            .map_or_else(|| "no document in its log".to_owned(), |it| it.name.clone()),
        index: ruling.index,
        because: because(&ruling, document).to_owned(),
        policies: policies.collect(),
        grants: grants.map(|it| check::grant(it, query.now)).collect(),
        valid_until: ruling.valid_until.map(|until| At(until).to_string()),
        errors: ruling.errors,
    }
}

fn because(ruling: &Ruling, document: Option<&Document>) -> &'static str {
    match (ruling.allowed, ruling.policies.is_empty(), document) {
        (_, _, Some(Document { profile: None, .. })) => {
            "the document could not be read, so it denies everything"
        }
        (false, ..) if !ruling.errors.is_empty() => "an error while deciding denies",
        (true, _, Some(_)) => "permitted, and nothing forbids it",
        (false, false, _) => "forbidden",
        (false, true, Some(_)) => "no policy permits it, and the default is no",
        (true, _, None) => {
            "a demonstration where no centre has logged a policy: all goes between centres"
        }
        (false, true, None) => "its log holds no policy that is in force, and the default is no",
    }
}

fn said(document: Option<&Document>, id: &str) -> PolicySaid {
    let profile = document.and_then(|it| it.profile.as_deref());
    let basis = profile.and_then(|profile| profile.basis(id));
    PolicySaid {
        id: id.to_owned(),
        basis: basis.map_or_else(String::new, |basis| basis.source.clone()),
        at: basis.map_or_else(String::new, |basis| {
            format!("{}:{}", basis.file, basis.line)
        }),
        confirmed: basis.is_some_and(|basis| basis.confirmed),
    }
}

/// A principal in words.
#[must_use]
pub fn named(principal: &Principal) -> String {
    match principal {
        Principal::Centre { id, .. } => id.to_string(),
        Principal::Member {
            id,
            jurisdiction,
            sector,
        } => format!("member {id} ({sector}, {jurisdiction})"),
        Principal::Auditor { id, jurisdiction } => format!("auditor {id} ({jurisdiction})"),
    }
}

/// The names of a closed list, for messages.
#[must_use]
pub fn names<T: ClosedList>() -> String {
    let names = T::VALUES.iter().map(|(_, name)| *name);
    names.collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.centre, self.action)
    }
}
