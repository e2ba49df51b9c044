//! Whether a class may flow from one centre to another: one question, or many about the same log.
//!
//! Who is asked, and what their answers come to, is the same for one and for many; many evaluate less (a test compares them).

use std::collections::{BTreeMap, BTreeSet};

use hashpact_keys::roster::CentreEntry;
use hashpact_keys::{CentreId, Origin, Timestamp};

use super::super::Centre;
use crate::labels::{ClassId, Labels, Purpose};
use crate::lists::Set;
use crate::policy::{
    Action, Ask, ClassFacts, EngineError, Fallback, InForce, Principal, Query, Ruling, Subjects,
};
use crate::view::View;

/// Whether a class may go from one centre to another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Whether all who are asked allow it.
    pub allowed: bool,
    /// Who denies first, and which action; nothing where the roster or the class itself stands in the way.
    pub by: Option<(CentreId, Action)>,
    /// `@id` of the policies that determined it.
    pub policies: Vec<String>,
    /// When to ask again, at the latest.
    pub valid_until: Option<Timestamp>,
    /// What went wrong. Anything here denies, and is an alarm.
    pub errors: Vec<String>,
}

/// From whom to whom, and what for.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Way<'a> {
    pub(in super::super) from: &'a CentreId,
    pub(in super::super) to: &'a CentreId,
    pub(in super::super) purpose: Purpose,
}

/// A way between centres of the roster, and what holds on it where no document is mature.
struct Known<'a> {
    maker: &'a CentreEntry,
    giver: &'a CentreEntry,
    taker: &'a CentreEntry,
    fallback: Fallback,
}

impl<'a> Known<'a> {
    /// Who is asked for what, and about whom: the origin shares, a giver that is another reshares, the taker admits.
    fn questions(
        &self,
    ) -> impl Iterator<Item = (&'a CentreEntry, Action, &'a CentreEntry)> + use<'a> {
        let Self {
            maker,
            giver,
            taker,
            ..
        } = *self;
        let reshare = (giver.id != maker.id).then_some((giver, Action::Reshare, taker));
        let first = [Some((maker, Action::Share, taker)), reshare];
        first
            .into_iter()
            .flatten()
            .chain([(taker, Action::Admit, giver)])
    }
}

impl Flow {
    /// Before anybody is asked.
    fn open() -> Self {
        Self {
            allowed: true,
            ..Self::default()
        }
    }

    fn closed(what: &str) -> Self {
        Self {
            errors: vec![what.to_owned()],
            ..Self::default()
        }
    }

    /// Adds an answer: all must allow, and the first who does not is named.
    fn add(&mut self, asked: &CentreId, action: Action, ruling: Ruling) {
        self.valid_until = earliest(self.valid_until, ruling.valid_until);
        self.errors.extend(ruling.errors);
        if !ruling.allowed && self.allowed {
            self.allowed = false;
            self.by = Some((asked.clone(), action));
            self.policies = ruling.policies;
        } else if self.allowed {
            self.policies.extend(ruling.policies);
        }
    }
}

const STRANGER: &str = "a centre is not on the roster";
const UNDEFINED: &str = "the class is not defined here";

impl Centre {
    /// Whether a class of `origin` may go from one centre to another: the origin must share it, the giver reshare it if it
    /// is another, and the taker admit it. How far it has come already is not asked here.
    #[must_use]
    #[expect(
        clippy::too_many_arguments,
        reason = "what goes, from whom to whom, what for and when, and the view"
    )]
    pub fn may_flow(
        &self,
        origin: &Origin,
        class: ClassId,
        from: &CentreId,
        to: &CentreId,
        purpose: Purpose,
        now: Timestamp,
        view: &impl View,
    ) -> Flow {
        if self.roster().is_expired(now) {
            return Flow::default();
        }
        let Some(known) = self.known(origin, from, to) else {
            return Flow::closed(STRANGER);
        };
        let Some(labels) = view.class(origin, class) else {
            return Flow::closed(UNDEFINED);
        };
        let class = facts(known.maker, class, &labels);
        let mut flow = Flow::open();
        for (asked, action, about) in known.questions() {
            let law = self.law_or(&asked.origin, now, known.fallback);
            let ruling = law.decide(&Query {
                action,
                principal: &principal(about),
                class,
                purpose,
                now: self.time(now),
                entry: None,
            });
            flow.add(&asked.id, action, ruling);
        }
        flow
    }

    /// As [`Centre::may_flow`] says of each of these classes on each of these ways. `each` gets the place of a way, and a
    /// flow for each class in order.
    pub(in super::super) fn may_flow_all(
        &self,
        origin: &Origin,
        classes: &[ClassId],
        ways: &[Way<'_>],
        now: Timestamp,
        view: &impl View,
        mut each: impl FnMut(usize, Vec<Flow>),
    ) {
        if self
            .flow_together(origin, classes, ways, now, view, &mut each)
            .is_err()
        {
            // What cannot be asked together is asked alone, so that a fault denies what it is about and nothing else.
            for (place, Way { from, to, purpose }) in ways.iter().enumerate() {
                let alone =
                    |class: &ClassId| self.may_flow(origin, *class, from, to, *purpose, now, view);
                each(place, classes.iter().map(alone).collect());
            }
        }
    }

    fn flow_together(
        &self,
        origin: &Origin,
        classes: &[ClassId],
        ways: &[Way<'_>],
        now: Timestamp,
        view: &impl View,
        each: &mut impl FnMut(usize, Vec<Flow>),
    ) -> Result<(), EngineError> {
        if self.roster().is_expired(now) {
            (0..ways.len()).for_each(|place| each(place, vec![Flow::default(); classes.len()]));
            return Ok(());
        }
        let known = ways.iter().map(|way| self.known(origin, way.from, way.to));
        let known: Vec<Option<Known<'_>>> = known.collect();
        let labels: Vec<Option<Labels>> = classes
            .iter()
            .map(|class| view.class(origin, *class))
            .collect();
        let parties = Parties::of(self, known.iter().flatten(), now);
        let maker = self.roster().centre(origin.centre());
        let defined = classes.iter().zip(&labels);
        let defined =
            defined.filter_map(|(class, labels)| Some(facts(maker?, *class, labels.as_ref()?)));
        let subjects = Subjects::new(&parties.principals, defined)?;
        let mut heard = BTreeMap::new();
        for (key, (law, actions)) in &parties.laws {
            heard.insert(*key, law.hear_of(&subjects, Set::of(actions))?);
        }
        for (place, (known, way)) in known.iter().zip(ways).enumerate() {
            let Some(known) = known else {
                each(place, vec![Flow::closed(STRANGER); classes.len()]);
                continue;
            };
            let blank = |labels: &Option<Labels>| match labels {
                Some(_) => Flow::open(),
                None => Flow::closed(UNDEFINED),
            };
            let mut flows: Vec<Flow> = labels.iter().map(blank).collect();
            for (asked, action, about) in known.questions() {
                let law = heard.get(&(&asked.id, is_open(known.fallback)));
                let rulings = law.zip(parties.places.get(&about.id)).map(|(law, place)| {
                    law.decide(&Ask {
                        action,
                        principal: *place,
                        purpose: way.purpose,
                        now: self.time(now),
                        entry: None,
                    })
                });
                let rulings = rulings.unwrap_or_else(|| Err(EngineError::nobody()));
                let rulings = match rulings {
                    Ok(rulings) => rulings,
                    Err(error) => {
                        flows = vec![Flow::closed(&error.to_string()); classes.len()];
                        break;
                    }
                };
                let defined = flows.iter_mut().zip(&labels);
                let defined = defined.filter(|(_, labels)| labels.is_some());
                for ((flow, _), ruling) in defined.zip(rulings) {
                    flow.add(&asked.id, action, ruling);
                }
            }
            each(place, flows);
        }
        Ok(())
    }

    /// Those who decide about a way; none if one is not on the roster.
    fn known(&self, origin: &Origin, from: &CentreId, to: &CentreId) -> Option<Known<'_>> {
        let centre = |id| self.roster().centre(id);
        let fallback = match self.governed(origin, from, to) {
            true => Fallback::Closed,
            false => Fallback::Open,
        };
        Some(Known {
            maker: centre(origin.centre())?,
            giver: centre(from)?,
            taker: centre(to)?,
            fallback,
        })
    }
}

/// Who is asked by what law, and about whom, on some ways.
struct Parties<'a> {
    principals: Vec<Principal>,
    places: BTreeMap<&'a CentreId, usize>,
    /// By centre and whether its fallback is the open one: what is in force, and which actions it is asked about.
    laws: BTreeMap<(&'a CentreId, bool), (InForce, Vec<Action>)>,
}

impl<'a> Parties<'a> {
    fn of<'b>(centre: &Centre, ways: impl Iterator<Item = &'b Known<'a>>, now: Timestamp) -> Self
    where
        'a: 'b,
    {
        let mut asked_about: BTreeSet<&CentreId> = BTreeSet::new();
        let mut made = Self {
            principals: Vec::new(),
            places: BTreeMap::new(),
            laws: BTreeMap::new(),
        };
        for known in ways {
            for (asked, action, about) in known.questions() {
                if asked_about.insert(&about.id) {
                    made.places.insert(&about.id, made.principals.len());
                    made.principals.push(principal(about));
                }
                let law = made.laws.entry((&asked.id, is_open(known.fallback)));
                let (_, actions) = law.or_insert_with(|| {
                    (
                        centre.law_or(&asked.origin, now, known.fallback),
                        Vec::new(),
                    )
                });
                if !actions.contains(&action) {
                    actions.push(action);
                }
            }
        }
        made
    }
}

fn is_open(fallback: Fallback) -> bool {
    fallback == Fallback::Open
}

fn facts<'a>(maker: &'a CentreEntry, class: ClassId, labels: &'a Labels) -> ClassFacts<'a> {
    ClassFacts {
        origin: &maker.id,
        jurisdiction: &maker.jurisdiction,
        class,
        labels,
    }
}

fn principal(centre: &CentreEntry) -> Principal {
    Principal::Centre {
        id: centre.id.clone(),
        jurisdiction: centre.jurisdiction.clone(),
    }
}

/// The earlier of two times, where nothing is never.
pub(in super::super) fn earliest(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests;
