//! What each principal may do with each class.
//!
//! A row says of one class who may match it, in which modes and for what. Principals that are alike in all that policies look at
//! have one place in it, so that a member who joins changes no row that others of its kind are in already. Policies are asked
//! once for each kind of principal and class, not once for each member.

use std::collections::{BTreeMap, BTreeSet};

use hashpact_keys::Timestamp;

use super::super::Centre;
use crate::assess::EntryFacts;
use crate::b3::{self, Hash};
use crate::labels::{ClassId, Labels, Purpose, State};
use crate::lists::{ClosedList as _, Set};
use crate::policy::{
    Action, Ask, ClassFacts, EngineError, Hearing, InForce, MatchMode, MatchTerms, Principal,
    Profile, Subjects,
};

/// The row of one class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassRow {
    /// The class.
    pub class: ClassId,
    /// Hash of who may match it, how and for what; none if nobody may.
    pub row: Option<Hash>,
    /// The modes in which somebody may.
    pub modes: Set<MatchMode>,
}

/// What is asked of policies: a match, and to be told of what matched.
const ACTIONS: [Action; 2] = [Action::Match, Action::Reveal];

/// Principals and classes before all documents that must allow.
pub(super) struct Panel<'a> {
    law: &'a InForce,
    principals: &'a [Principal],
    /// Of each class.
    states: &'a [State],
    /// One for each document that must allow; none of them if one cannot be read.
    hearings: Vec<Hearing<'a>>,
}

impl<'a> Panel<'a> {
    fn new(
        law: &'a InForce,
        principals: &'a [Principal],
        states: &'a [State],
        subjects: &'a Subjects,
    ) -> Result<Self, EngineError> {
        let documents: Option<Vec<&Profile>> = law.mature().collect();
        let documents = documents.unwrap_or_default().into_iter();
        let hearings = documents.map(|profile| profile.hear_of(subjects, Set::of(&ACTIONS)));
        Ok(Self {
            law,
            principals,
            states,
            hearings: hearings.collect::<Result<_, _>>()?,
        })
    }

    /// Each question that is to be answered with yes: one for each document, action and state that a class has.
    fn asks(&self, principal: usize, purpose: Purpose, now: Timestamp) -> Vec<Ask> {
        let states: BTreeSet<u8> = self.states.iter().map(|state| state.bit()).collect();
        let states = states
            .into_iter()
            .filter_map(|bit| State::from_bit(bit.into()));
        let asks = states.flat_map(|state| {
            ACTIONS.map(|action| Ask {
                action,
                principal,
                purpose,
                now,
                entry: Some(nothing_else_known(state)),
            })
        });
        asks.collect()
    }

    /// What the terms of grants give a principal.
    fn terms(&self, principal: usize, purpose: Purpose, now: Timestamp) -> MatchTerms {
        let principal = self.principals.get(principal);
        principal.map_or(MatchTerms::NONE, |principal| {
            self.law.match_terms(principal, purpose, now)
        })
    }

    /// The modes in which each class may be matched. One question is asked of all classes at once.
    fn modes(&self, asks: &[Ask], terms: MatchTerms) -> Vec<Set<MatchMode>> {
        let mut modes = vec![terms.modes; self.states.len()];
        if self.hearings.is_empty() {
            modes.fill(Set::empty());
        }
        for (hearing, ask) in self
            .hearings
            .iter()
            .flat_map(|hearing| asks.iter().map(move |ask| (hearing, ask)))
        {
            let state = ask.entry.map(|entry| entry.state);
            let decisions = hearing.decide(ask);
            let classes = modes.iter_mut().zip(self.states).zip(decisions);
            for ((modes, _), decision) in classes.filter(|((_, of), _)| Some(**of) == state) {
                if !decision.allowed {
                    *modes = Set::empty();
                }
            }
        }
        modes
    }

    /// What the modes of a principal rest on: who has an equal one has equal modes.
    fn likeness(&self, asks: &[Ask], terms: MatchTerms) -> Result<Vec<u8>, EngineError> {
        let mut bytes = terms.modes.bits().to_be_bytes().to_vec();
        for hearing in &self.hearings {
            for ask in asks {
                bytes.extend(hearing.likeness(ask)?.to_bytes());
            }
        }
        Ok(bytes)
    }
}

/// An entry about which no attestation, dispute or hold is known: none can be kept yet.
fn nothing_else_known(state: State) -> EntryFacts {
    EntryFacts {
        state,
        quorum: false,
        baseline: false,
        hold: false,
    }
}

/// When a grant that lets somebody match, or be told of a match, opens or ends next, or a document comes to count.
fn changes(law: &InForce, now: Timestamp) -> Option<Timestamp> {
    let grants = law.mature().flatten().flat_map(Profile::grants);
    let grants =
        grants.filter(|grant| ACTIONS.iter().any(|action| grant.actions.contains(*action)));
    let changes = grants.filter_map(|grant| grant.changes(now));
    changes.chain(law.matures()).min()
}

impl Centre {
    /// The row of every class of this centre, and when to ask again at the latest.
    ///
    /// # Errors
    /// [`EngineError`] if a class or a principal cannot be asked about: then nothing may be matched.
    pub fn match_rows(
        &self,
        now: Timestamp,
    ) -> Result<(Vec<ClassRow>, Option<Timestamp>), EngineError> {
        let principals = self.principals();
        let classes = self.numbered_classes();
        self.before_panel(&principals, &classes, now, |panel, now| {
            let mut patterns: BTreeMap<Vec<u8>, Vec<Set<MatchMode>>> = BTreeMap::new();
            for principal in 0..principals.len() {
                for (purpose, _) in Purpose::VALUES {
                    let terms = panel.terms(principal, *purpose, now);
                    if terms.modes.is_empty() {
                        continue;
                    }
                    let asks = panel.asks(principal, *purpose, now);
                    let like = panel.likeness(&asks, terms)?;
                    patterns
                        .entry(like)
                        .or_insert_with(|| panel.modes(&asks, terms));
                }
            }
            let rows = classes
                .iter()
                .enumerate()
                .map(|(place, (class, _))| ClassRow {
                    class: *class,
                    row: row(&patterns, place),
                    modes: modes(&patterns, place),
                });
            Ok((rows.collect(), changes(panel.law, now)))
        })
    }

    /// On which terms a principal may match for each purpose, in which modes each class, and when to ask again at the latest.
    pub(super) fn modes_of(
        &self,
        principal: &Principal,
        now: Timestamp,
    ) -> Result<(BTreeMap<Purpose, Allowed>, Option<Timestamp>), EngineError> {
        let principals = [principal.clone()];
        let classes = self.numbered_classes();
        self.before_panel(&principals, &classes, now, |panel, now| {
            let of = |purpose| {
                let terms = panel.terms(0, purpose, now);
                let modes = match terms.modes.is_empty() {
                    true => Vec::new(),
                    false => panel.modes(&panel.asks(0, purpose, now), terms),
                };
                let classes = classes.iter().map(|(class, _)| *class).zip(modes);
                let classes = classes.filter(|(_, modes)| !modes.is_empty()).collect();
                (purpose, Allowed { terms, classes })
            };
            let all = Purpose::VALUES.iter().map(|(purpose, _)| of(*purpose));
            Ok((all.collect(), changes(panel.law, now)))
        })
    }

    fn before_panel<T>(
        &self,
        principals: &[Principal],
        classes: &[(ClassId, &Labels)],
        now: Timestamp,
        ask: impl FnOnce(&Panel<'_>, Timestamp) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let entry = self.roster().centre(&self.id);
        let entry = entry.ok_or_else(EngineError::nobody)?;
        let facts = classes.iter().map(|(class, labels)| ClassFacts {
            origin: &entry.id,
            jurisdiction: &entry.jurisdiction,
            class: *class,
            labels,
        });
        let subjects = Subjects::new(principals, facts)?;
        let states: Vec<State> = classes.iter().map(|(_, labels)| labels.state).collect();
        let law = self.law(&self.origin, now);
        let panel = Panel::new(&law, principals, &states, &subjects)?;
        ask(&panel, self.time(now))
    }

    /// This centre's classes, by number.
    fn numbered_classes(&self) -> Vec<(ClassId, &Labels)> {
        let classes = self
            .own_classes
            .iter()
            .map(|(labels, class)| (*class, labels));
        let mut classes: Vec<_> = classes.collect();
        classes.sort_unstable_by_key(|(class, _)| *class);
        classes
    }

    /// Everybody who might match here: the other centres, and the members.
    fn principals(&self) -> Vec<Principal> {
        let centres = self.roster().centres.iter();
        let others = centres.filter(|centre| centre.id != self.id);
        let others = others.map(|centre| Principal::Centre {
            id: centre.id.clone(),
            jurisdiction: centre.jurisdiction.clone(),
        });
        others
            .chain(self.members().map(super::Member::principal))
            .collect()
    }
}

/// What one principal may match for one purpose.
#[derive(Clone, Debug, Default)]
pub(super) struct Allowed {
    pub(super) terms: MatchTerms,
    /// The classes that it may match at all, with the modes.
    pub(super) classes: BTreeMap<ClassId, Set<MatchMode>>,
}

/// The modes in which anybody may match a class.
fn modes(patterns: &BTreeMap<Vec<u8>, Vec<Set<MatchMode>>>, place: usize) -> Set<MatchMode> {
    let modes = patterns
        .values()
        .filter_map(|modes| modes.get(place).copied());
    modes.fold(Set::empty(), Set::union)
}

fn row(patterns: &BTreeMap<Vec<u8>, Vec<Set<MatchMode>>>, place: usize) -> Option<Hash> {
    let mut parts = Vec::new();
    for (like, modes) in patterns {
        let modes = modes.get(place).copied().unwrap_or_else(Set::empty);
        if !modes.is_empty() {
            parts.push(b3::MATCH_ROW.hash(&[like, &modes.bits().to_be_bytes()]));
        }
    }
    let parts: Vec<&[u8]> = parts.iter().map(<[u8; 32]>::as_slice).collect();
    (!parts.is_empty()).then(|| b3::MATCH_ROW.hash(&parts))
}
