//! What of a log's policy documents is in force.
//!
//! Why: a centre that narrows what it allows must be obeyed at once, by those too who have not seen it witnessed; one that
//! widens must not be believed before others could see it. So the newest document that is witnessed and past its delay
//! counts together with all newer ones, and all of them must allow. Spec: `docs/protocol.md`, "Policy documents".

use std::sync::Arc;

use hashpact_keys::Timestamp;

use super::engine::{Ask, EngineError, Subjects};
use super::hearing::Hearing;
use super::profile::Profile;
use super::query::{Action, Decision, Principal, Query};
use super::terms::MatchTerms;
use crate::labels::Purpose;
use crate::lists::Set;

/// One document of a log.
#[derive(Clone, Debug)]
pub struct Logged {
    /// The index of its leaf.
    pub index: u64,
    /// When its origin says that it made it.
    pub issued_at: Timestamp,
    /// What it says; nothing if it does not open, parse or validate here, and then it denies everything.
    pub profile: Option<Arc<Profile>>,
}

/// What holds where no document is mature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// On a demonstration network: every class between centres.
    Open,
    /// Nothing.
    Closed,
}

/// The documents of one log that must all allow.
#[derive(Clone, Debug)]
pub struct InForce {
    /// In the order of the log.
    documents: Vec<Logged>,
    /// The rule that must allow as well, while no document is mature.
    fallback: Option<Fallback>,
    /// When a document that is witnessed becomes mature next.
    matures: Option<Timestamp>,
}

/// The answer of all documents in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ruling {
    /// Whether all of them allow.
    pub allowed: bool,
    /// Log index of the first document that denies, else of the newest; nothing where no document decided.
    pub index: Option<u64>,
    /// `@id` of the policies that determined it, in that document.
    pub policies: Vec<String>,
    /// When to ask again, at the latest.
    pub valid_until: Option<Timestamp>,
    /// What went wrong. Anything here denies, and is an alarm.
    pub errors: Vec<String>,
}

impl InForce {
    /// Finds what is in force. `documents` are those of one log, in its order; `witnessed` is the size of the log that a
    /// quorum has seen; `now` as in [`Query::now`].
    #[must_use]
    pub fn of(documents: &[Logged], witnessed: u64, now: Timestamp, fallback: Fallback) -> Self {
        let mut base = None;
        let mut matures = None;
        let known = documents.iter().take_while(|it| it.index < witnessed);
        for (place, from) in maturities(known).into_iter().enumerate() {
            if from <= now {
                base = Some(place);
            } else {
                matures = matures.or(Some(from));
            }
        }
        let newest = documents.get(base.unwrap_or(0)..).unwrap_or_default();
        Self {
            documents: newest.to_vec(),
            fallback: base.is_none().then_some(fallback),
            matures,
        }
    }

    /// Log indices of the documents in force, in order.
    pub fn indices(&self) -> impl Iterator<Item = u64> {
        self.documents.iter().map(|document| document.index)
    }

    /// When the next document that is witnessed becomes mature.
    #[must_use]
    pub fn matures(&self) -> Option<Timestamp> {
        self.matures
    }

    /// The purpose for which the centre asks others, as its newest document says.
    #[must_use]
    pub fn purpose(&self) -> Option<Purpose> {
        let newest = self.documents.last()?.profile.as_ref();
        newest.map(|profile| profile.purpose())
    }

    /// Whether no document is mature and the network is no demonstration, so that nothing is allowed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.fallback == Some(Fallback::Closed)
    }

    /// Log indices of the documents that could not be read and so deny everything: an alarm.
    pub fn unreadable(&self) -> impl Iterator<Item = u64> {
        let unreadable = self.documents.iter().filter(|it| it.profile.is_none());
        unreadable.map(|document| document.index)
    }

    /// What each document says, in order; nothing for one that could not be read. Empty while nothing is mature: the rule
    /// that holds then gives nothing to members, and lets nobody match.
    pub fn mature(&self) -> impl Iterator<Item = Option<&Profile>> {
        let documents = self.documents.iter().filter(|_| self.fallback.is_none());
        documents.map(|document| document.profile.as_deref())
    }

    /// Decides one question.
    #[must_use]
    pub fn decide(&self, query: &Query<'_>) -> Ruling {
        let decisions = self.documents.iter().map(|document| {
            let profile = document.profile.as_ref();
            profile.map_or_else(unreadable, |profile| profile.decide(query))
        });
        self.rule(decisions, open(query.action, query.principal))
    }

    /// Prepares decisions about every class and principal of these subjects, for these actions only: as
    /// [`InForce::decide`] answers them one by one; the answer to any other is no.
    ///
    /// # Errors
    /// [`EngineError`] if a question cannot be asked.
    pub fn hear_of<'a>(
        &'a self,
        subjects: &'a Subjects,
        actions: Set<Action>,
    ) -> Result<Heard<'a>, EngineError> {
        let profiles = self.documents.iter().map(|it| it.profile.as_ref());
        let hearings = profiles.map(|profile| {
            let profile = profile.map(|profile| profile.hear_of(subjects, actions));
            profile.transpose()
        });
        Ok(Heard {
            law: self,
            subjects,
            hearings: hearings.collect::<Result<_, _>>()?,
        })
    }

    /// On which terms a principal may match for a purpose: the modes that every document gives, and the smallest quota.
    #[must_use]
    pub fn match_terms(
        &self,
        principal: &Principal,
        purpose: Purpose,
        now: Timestamp,
    ) -> MatchTerms {
        if self.fallback.is_some() {
            return MatchTerms::NONE;
        }
        let terms = self.documents.iter().map(|document| {
            let profile = document.profile.as_ref();
            profile.map_or(MatchTerms::NONE, |profile| {
                profile.match_terms(principal, purpose, now)
            })
        });
        terms.reduce(MatchTerms::and).unwrap_or(MatchTerms::NONE)
    }

    /// What the decisions of each document in force come to; `open` is the answer of the open fallback.
    fn rule(&self, decisions: impl Iterator<Item = Decision>, open: bool) -> Ruling {
        let mut ruling = Ruling {
            allowed: match self.fallback {
                Some(Fallback::Open) => open,
                Some(Fallback::Closed) => false,
                None => !self.documents.is_empty(),
            },
            valid_until: self.matures,
            ..Ruling::default()
        };
        let mut denied = false;
        for (document, decision) in self.documents.iter().zip(decisions) {
            ruling.valid_until = earliest(ruling.valid_until, decision.valid_until);
            ruling.errors.extend(decision.errors);
            if denied {
                continue;
            }
            denied = !decision.allowed;
            ruling.allowed &= decision.allowed;
            ruling.index = Some(document.index);
            ruling.policies = decision.policies;
        }
        ruling
    }
}

/// What is in force in one log, and the subjects that it is asked about.
pub struct Heard<'a> {
    law: &'a InForce,
    subjects: &'a Subjects,
    /// Of each document in force; nothing of one that could not be read.
    hearings: Vec<Option<Hearing<'a>>>,
}

impl Heard<'_> {
    /// Decides one question about every class, in the order of the subjects.
    ///
    /// # Errors
    /// [`EngineError`] if there is no such principal.
    pub fn decide(&self, ask: &Ask) -> Result<Vec<Ruling>, EngineError> {
        let open = open(ask.action, self.subjects.principal(ask.principal)?);
        let decide = |hearing: &Option<Hearing<'_>>| match hearing {
            Some(hearing) => hearing.decide(ask),
            None => vec![unreadable(); self.subjects.classes()],
        };
        let said = self.hearings.iter().map(decide);
        let mut said: Vec<_> = said.map(Vec::into_iter).collect();
        let classes = 0..self.subjects.classes();
        let rulings = classes.map(|_| {
            let decisions = said.iter_mut().filter_map(Iterator::next);
            self.law.rule(decisions, open)
        });
        Ok(rulings.collect())
    }
}

/// When each document is mature, in order, and so never before the one before it. It waits for the longest delay of itself
/// and of all that were in force when it was made: no document shortens the delay of another, nor its own.
fn maturities<'a>(documents: impl Iterator<Item = &'a Logged>) -> Vec<Timestamp> {
    let mut rows: Vec<(u64, Timestamp)> = Vec::new();
    for document in documents {
        let made = document.issued_at;
        let own = document.profile.as_ref();
        let own = own.map_or(0, |profile| profile.widen_after());
        let base = rows.iter().rposition(|(_, from)| *from <= made);
        let in_force = rows.get(base.unwrap_or(0)..).unwrap_or_default();
        let wait = in_force.iter().map(|(delay, _)| *delay).max();
        let wait = wait.unwrap_or(0).max(own);
        let from = Timestamp::new(made.get().saturating_add(wait));
        let before = rows.last().map(|(_, from)| *from);
        rows.push((own, before.map_or(from, |before| before.max(from))));
    }
    rows.into_iter().map(|(_, from)| from).collect()
}

/// What the open fallback allows.
#[must_use]
pub fn open(action: Action, principal: &Principal) -> bool {
    let between_centres = match action {
        Action::Share | Action::Reshare | Action::Admit => true,
        Action::Publish | Action::Match | Action::Reveal => false,
    };
    between_centres && matches!(principal, Principal::Centre { .. })
}

fn unreadable() -> Decision {
    Decision {
        errors: vec!["the policy document could not be read".to_owned()],
        ..Decision::default()
    }
}

fn earliest(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
