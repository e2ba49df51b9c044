//! Which entries go into the subset of which member: a decision for each class of every log, and for what is computed of an
//! entry.
//!
//! Why: what a member may have depends on the class of an entry, which its origin signed, and on few facts that are computed
//! here. So policy is asked for every class and every combination of facts, not for every entry, and members who are alike in
//! all that policies look at are asked about once. Of the facts that are possible only those of entries that may be released
//! at all are asked about: assessed, under a quorum, and not held; for all others the answer is no whatever a profile says.
//! The law is that of the centre that publishes; what other centres allow, they allowed or not when they gave the class.
//! In scope: the decision. Out of scope: facts of an entry (`assess`), what is told to whom in which order (the node).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hashpact_keys::{Jurisdiction, Origin, Timestamp};

use super::{Centre, Member};
use crate::assess::EntryFacts;
use crate::labels::{ClassId, Labels, Purpose, State};
use crate::lists::{ClosedList as _, Set};
use crate::policy::{
    Action, Ask, ClassFacts, EngineError, Hearing, InForce, Principal, Profile, Subjects,
};
use crate::view::View;

/// Entries that are released alike: those of one class of a log that are of the INTERPOL baseline, or those that are not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Released {
    /// The log.
    pub origin: Origin,
    /// The class.
    pub class: ClassId,
    /// Whether they are of the baseline.
    pub baseline: bool,
}

/// What each member of a centre may have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublishAccess {
    /// By member; one that may have nothing is there with nothing.
    pub members: BTreeMap<String, Arc<BTreeSet<Released>>>,
    /// When to ask again, at the latest.
    pub until: Option<Timestamp>,
    /// Log index of the newest policy document of this centre.
    pub policy: Option<u64>,
    /// Why nobody may have anything, where that does not depend on who asks.
    pub closed: Option<Unpublished>,
    /// Whether the roster has expired: nothing new is published then, and nothing is given that was not given before.
    pub expired: bool,
}

/// Why nothing is published to anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unpublished {
    /// No policy document of this centre counts.
    #[error(
        "no policy document of this centre is in force, so its members get nothing: log one with `hashpact policy`"
    )]
    NoPolicy,
    /// A document of this centre that counts cannot be read here.
    #[error(
        "a policy document of this centre cannot be read, which denies everything: log one that can"
    )]
    Unreadable,
}

/// The classes of all logs that are held, as policy sees them.
struct Catalogue {
    rows: Vec<(Origin, Jurisdiction, ClassId, Labels)>,
}

impl Catalogue {
    fn facts<'a>(&'a self, centre: &'a Centre) -> impl Iterator<Item = ClassFacts<'a>> {
        let rows = self.rows.iter();
        rows.filter_map(|(origin, jurisdiction, class, labels)| {
            Some(ClassFacts {
                origin: &centre.roster().centre(origin.centre())?.id,
                jurisdiction,
                class: *class,
                labels,
            })
        })
    }
}

/// What may be known of an entry that is released at all.
fn facts(baseline: bool) -> EntryFacts {
    EntryFacts {
        state: State::Assessed,
        quorum: true,
        baseline,
        hold: false,
    }
}

impl Centre {
    /// What every member may have now.
    ///
    /// # Errors
    /// [`EngineError`] if a class or a member cannot be asked about: then nothing may be published.
    pub fn publish_access_of_all(
        &self,
        now: Timestamp,
        view: &impl View,
    ) -> Result<PublishAccess, EngineError> {
        let members: Vec<&Member> = self.members().collect();
        self.access(&members, now, view)
    }

    /// What one member may have now; nothing if there is no such member.
    ///
    /// # Errors
    /// As [`Centre::publish_access_of_all`].
    pub fn publish_access(
        &self,
        member: &str,
        now: Timestamp,
        view: &impl View,
    ) -> Result<PublishAccess, EngineError> {
        let members: Vec<&Member> = self.members().filter(|it| it.id == member).collect();
        self.access(&members, now, view)
    }

    fn access(
        &self,
        members: &[&Member],
        now: Timestamp,
        view: &impl View,
    ) -> Result<PublishAccess, EngineError> {
        let law = self.law(&self.origin, now);
        let documents: Option<Vec<&Profile>> = law.mature().collect();
        let closed = match &documents {
            None => Some(Unpublished::Unreadable),
            Some(documents) if documents.is_empty() => Some(Unpublished::NoPolicy),
            Some(_) => None,
        };
        let mut access = PublishAccess {
            members: BTreeMap::new(),
            until: self.until(&law, now),
            policy: self.policy_index(&self.origin),
            closed,
            expired: self.roster().is_expired(now),
        };
        let catalogue = self.catalogue(view);
        let principals: Vec<Principal> = members.iter().map(|member| member.principal()).collect();
        let subjects = Subjects::new(&principals, catalogue.facts(self))?;
        let documents = documents.unwrap_or_default().into_iter();
        let hearings = documents.map(|it| it.hear_of(&subjects, Set::of(&[Action::Publish])));
        let panel = Panel {
            hearings: hearings.collect::<Result<_, _>>()?,
            catalogue: &catalogue,
            now: self.time(now),
        };
        let mut alike: BTreeMap<Vec<u8>, Arc<BTreeSet<Released>>> = BTreeMap::new();
        for (place, member) in members.iter().enumerate() {
            let like = panel.likeness(place)?;
            let released = alike.entry(like).or_insert_with(|| panel.released(place));
            let released = Arc::clone(released);
            access.members.insert(member.id.clone(), released);
        }
        Ok(access)
    }

    fn until(&self, law: &InForce, now: Timestamp) -> Option<Timestamp> {
        let expires = self.roster().expires_at;
        let expires = (now < expires).then_some(expires);
        changes(law, self.time(now))
            .into_iter()
            .chain(expires)
            .min()
    }

    /// Every class of every log whose centre is on the roster, own ones too; no entry of the others is ever released.
    fn catalogue(&self, view: &impl View) -> Catalogue {
        let logs = [self.own_log()].into_iter().chain(self.mirrored());
        let mut rows = Vec::new();
        for (origin, state) in logs {
            let Some(entry) = self.roster().centre(origin.centre()) else {
                continue;
            };
            let numbers = (0..state.next_class).filter_map(|class| u16::try_from(class).ok());
            for class in numbers.map(ClassId) {
                let labels = view.class(origin, class);
                let labels = labels.filter(|labels| labels.state == State::Assessed);
                let jurisdiction = entry.jurisdiction.clone();
                rows.extend(labels.map(|labels| (origin.clone(), jurisdiction, class, labels)));
            }
        }
        Catalogue { rows }
    }
}

/// Members and classes before all documents that must allow.
struct Panel<'a> {
    /// One for each document; none lets nothing pass.
    hearings: Vec<Hearing<'a>>,
    catalogue: &'a Catalogue,
    now: Timestamp,
}

impl Panel<'_> {
    fn asks(&self, principal: usize) -> impl Iterator<Item = (bool, Ask)> + '_ {
        let purposes = Purpose::VALUES.iter();
        purposes.flat_map(move |(purpose, _)| {
            [false, true].map(|baseline| {
                let entry = Some(facts(baseline));
                let ask = Ask {
                    action: Action::Publish,
                    principal,
                    purpose: *purpose,
                    now: self.now,
                    entry,
                };
                (baseline, ask)
            })
        })
    }

    /// What the answers about a member rest on: who has an equal one may have the same.
    fn likeness(&self, principal: usize) -> Result<Vec<u8>, EngineError> {
        let mut bytes = Vec::new();
        for hearing in &self.hearings {
            for (_, ask) in self.asks(principal) {
                bytes.extend(hearing.likeness(&ask)?.to_bytes());
            }
        }
        Ok(bytes)
    }

    /// What a member may have for any purpose: each purpose must be allowed by every document.
    fn released(&self, principal: usize) -> Arc<BTreeSet<Released>> {
        let rows = &self.catalogue.rows;
        let mut released = BTreeSet::new();
        for (baseline, ask) in self.asks(principal) {
            let mut allowed = vec![!self.hearings.is_empty(); rows.len()];
            for hearing in &self.hearings {
                let decisions = hearing.decide(&ask);
                for (allowed, decision) in allowed.iter_mut().zip(decisions) {
                    *allowed &= decision.allowed;
                }
            }
            let rows = rows.iter().zip(allowed).filter(|(_, allowed)| *allowed);
            released.extend(rows.map(|((origin, _, class, _), _)| Released {
                origin: origin.clone(),
                class: *class,
                baseline,
            }));
        }
        Arc::new(released)
    }
}

/// When a grant under which something is published opens or ends next, or a document comes to count.
fn changes(law: &InForce, now: Timestamp) -> Option<Timestamp> {
    let grants = law.mature().flatten().flat_map(Profile::grants);
    let grants = grants.filter(|grant| grant.actions.contains(Action::Publish));
    let changes = grants.filter_map(|grant| grant.changes(now));
    changes.chain(law.matures()).min()
}
