//! Many decisions about the same subjects.
//!
//! Why: who asks for what is decided for every class and every peer, and most policies look either at the class or at who
//! asks, not at both. What looks at one of the two is evaluated once for it; the rest once for each peer and for the classes
//! that are alike in all that it looks at. In scope: evaluating less. Out of scope: what comes out, which is that of [`Profile::decide`] (a test compares them).

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{Context, Policy, PolicySet, PrincipalConstraint, ResourceConstraint};
use cedar_policy_core::ast::{ExprKind, Var};
use hashpact_keys::Timestamp;
use hashpact_keys::canonical::{Written, encode};

use super::engine::{self, Ask, EngineError, Said, Subjects};
use super::facets;
use super::floor;
use super::profile::{Profile, failed};
use super::query::{Action, Decision, Principal};
use crate::assess::EntryFacts;
use crate::labels::Purpose;
use crate::lists::{ClosedList, Set};

/// The policies that could decide about one action.
#[derive(Debug)]
pub(super) struct Rules {
    /// All of them.
    pub(super) all: PolicySet,
    /// Those that look at the class alone, and at the type of the principal.
    class: PolicySet,
    /// Those that do not look at the class.
    asker: PolicySet,
    /// The rest.
    both: PolicySet,
    /// Which facets of a class the rest looks at; nothing if it could be anything.
    facets: Option<BTreeSet<String>>,
    /// Which attributes of who asks any of them looks at; nothing if it could be anything.
    of_asker: Option<BTreeSet<String>>,
}

impl Rules {
    /// Sorts policies by what they look at; nothing if two have one id.
    pub(super) fn of(policies: impl Iterator<Item = Policy>) -> Option<Self> {
        let (mut class, mut asker, mut both) = (Vec::new(), Vec::new(), Vec::new());
        let all: Vec<Policy> = policies.collect();
        for policy in &all {
            let place = match (looks_at_asker(policy), looks_at_class(policy)) {
                (false, true) => &mut class,
                (_, false) => &mut asker,
                (true, true) => &mut both,
            };
            place.push(policy.clone());
        }
        let facets = both.iter().map(facets::read_by).collect::<Option<Vec<_>>>();
        let of_asker = all.iter().map(facets::read_of_asker);
        let of_asker: Option<Vec<_>> = of_asker.collect();
        let set = |policies| PolicySet::from_policies(policies).ok();
        Some(Self {
            facets: facets.map(|sets| sets.into_iter().flatten().collect()),
            of_asker: of_asker.map(|sets| sets.into_iter().flatten().collect()),
            all: set(all)?,
            class: set(class)?,
            asker: set(asker)?,
            both: set(both)?,
        })
    }
}

fn looks_at_class(policy: &Policy) -> bool {
    let scope = match policy.resource_constraint() {
        ResourceConstraint::Any | ResourceConstraint::Is(_) => false,
        ResourceConstraint::In(_) | ResourceConstraint::Eq(_) | ResourceConstraint::IsIn(..) => {
            true
        }
    };
    scope || reads(policy, |var| var == Var::Resource)
}

fn looks_at_asker(policy: &Policy) -> bool {
    let scope = match policy.principal_constraint() {
        PrincipalConstraint::Any | PrincipalConstraint::Is(_) => false,
        PrincipalConstraint::In(_) | PrincipalConstraint::Eq(_) | PrincipalConstraint::IsIn(..) => {
            true
        }
    };
    scope || reads(policy, |var| matches!(var, Var::Principal | Var::Context))
}

/// Whether the condition has a variable like this.
fn reads(policy: &Policy, like: impl Fn(Var) -> bool) -> bool {
    let condition = policy.as_ref().non_scope_constraints();
    let mut parts = condition
        .into_iter()
        .flat_map(|condition| condition.subexpressions());
    parts.any(|part| matches!(part.expr_kind(), ExprKind::Var(var) if like(*var)))
}

/// A profile and the subjects that it is asked about.
pub struct Hearing<'a> {
    profile: &'a Profile,
    subjects: &'a Subjects,
    /// For each action and type of principal: what is said of each class by the policies that look at it alone.
    of_classes: BTreeMap<(u8, Kind), Vec<Said>>,
    /// For each action: of each class, the first one that is like it in all that the rest looks at.
    likes: Vec<Vec<usize>>,
}

/// All that the answers to a question about every class can rest on, but for time: questions with equal ones have equal answers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Likeness {
    action: Action,
    purpose: Purpose,
    kind: Kind,
    /// What is computed of the entry: state, quorum, baseline, hold.
    entry: Option<[u8; 4]>,
    /// What policies look at of who asks.
    asker: Vec<String>,
    /// The grants that are open.
    bases: Vec<String>,
}

impl Likeness {
    /// It as bytes: two are equal exactly if these are.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self {
            action,
            purpose,
            kind,
            entry,
            asker,
            bases,
        } = self;
        encode(|e| {
            e.array(6)?
                .u8(action.bit())?
                .u8(purpose.bit())?
                .u8(*kind as u8)?;
            match entry {
                Some(entry) => e.bytes(entry)?,
                None => e.null()?,
            };
            for texts in [asker, bases] {
                e.array(texts.len() as u64)?;
                texts
                    .iter()
                    .try_for_each(|text| -> Written { e.str(text)?.ok() })?;
            }
            Ok(())
        })
    }
}

/// The type of a principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Centre,
    Member,
    Auditor,
}

impl Kind {
    fn of(principal: &Principal) -> Self {
        match principal {
            Principal::Centre { .. } => Self::Centre,
            Principal::Member { .. } => Self::Member,
            Principal::Auditor { .. } => Self::Auditor,
        }
    }
}

impl Profile {
    /// Prepares decisions about every class and principal of these subjects.
    ///
    /// # Errors
    /// [`EngineError`] if a question cannot be asked.
    pub fn hear<'a>(&'a self, subjects: &'a Subjects) -> Result<Hearing<'a>, EngineError> {
        self.hear_of(subjects, Set::full())
    }

    /// As [`Profile::hear`], for these actions only; the answer to any other is no.
    ///
    /// # Errors
    /// [`EngineError`] if a question cannot be asked.
    pub fn hear_of<'a>(
        &'a self,
        subjects: &'a Subjects,
        actions: Set<Action>,
    ) -> Result<Hearing<'a>, EngineError> {
        let mut of_classes = BTreeMap::new();
        let nothing = Context::empty();
        for (index, principal) in subjects.principals().enumerate() {
            let kind = Kind::of(principal);
            for (action, _) in Action::VALUES {
                if !actions.contains(*action) {
                    continue;
                }
                let key = (action.bit(), kind);
                if of_classes.contains_key(&key) || !subjects.fit(index, *action) {
                    continue;
                }
                let rules = self.rules(*action)?;
                let said = (0..subjects.classes()).map(|class| {
                    engine::ask(&rules.class, subjects, (index, *action, class), &nothing)
                });
                of_classes.insert(key, said.collect::<Result<_, _>>()?);
            }
        }
        let likes = Action::VALUES.iter().map(|(action, _)| {
            let facets = self.rules(*action)?.facets.as_ref();
            Ok(subjects.alike(facets))
        });
        Ok(Hearing {
            profile: self,
            subjects,
            of_classes,
            likes: likes.collect::<Result<_, _>>()?,
        })
    }
}

impl Hearing<'_> {
    /// Decides one question about every class, in the order of the subjects. The default is no.
    #[must_use]
    pub fn decide(&self, ask: &Ask) -> Vec<Decision> {
        let decided = self.each(ask);
        decided.unwrap_or_else(|error| vec![failed(&error); self.subjects.classes()])
    }

    /// What the answers to a question rest on.
    ///
    /// # Errors
    /// [`EngineError`] if there is no such principal.
    pub fn likeness(&self, ask: &Ask) -> Result<Likeness, EngineError> {
        let asker = self.subjects.principal(ask.principal)?;
        let read = self.profile.rules(ask.action)?.of_asker.as_ref();
        let value =
            |name: &String| facets::of_asker(asker, name).map(|value| format!("{name}={value}"));
        let read = read.and_then(|read| read.iter().map(value).collect::<Option<_>>());
        Ok(Likeness {
            action: ask.action,
            purpose: ask.purpose,
            kind: Kind::of(asker),
            entry: ask.entry.map(|entry| {
                let EntryFacts {
                    state,
                    quorum,
                    baseline,
                    hold,
                } = entry;
                [state.bit(), quorum.into(), baseline.into(), hold.into()]
            }),
            // Who stands in a policy otherwise is like nobody else.
            asker: read.unwrap_or_else(|| vec![format!("={}", asker.id())]),
            bases: self
                .profile
                .open_bases(asker, ask)
                .map(str::to_owned)
                .collect(),
        })
    }

    /// When the answers to a question may change by themselves.
    #[must_use]
    pub fn valid_until(&self, ask: &Ask) -> Option<Timestamp> {
        let asker = self.subjects.principal(ask.principal).ok()?;
        self.profile.valid_until(asker, ask)
    }

    fn each(&self, ask: &Ask) -> Result<Vec<Decision>, EngineError> {
        let (
            subjects,
            Ask {
                principal, action, ..
            },
        ) = (self.subjects, *ask);
        let asker = subjects.principal(principal)?;
        let context = self.profile.context(asker, ask)?;
        engine::check(subjects, principal, action, &context)?;
        let rules = self.profile.rules(action)?;
        let Some(of_classes) = self.of_classes.get(&(action.bit(), Kind::of(asker))) else {
            return Ok(vec![Decision::default(); subjects.classes()]);
        };
        let valid_until = self.profile.valid_until(asker, ask);
        let of_asker = engine::ask(&rules.asker, subjects, (principal, action, 0), &context)?;
        let likes = self.likes.get(usize::from(action.bit()));
        let likes = likes.ok_or_else(EngineError::nobody)?;
        let mut of_both: BTreeMap<usize, Said> = BTreeMap::new();
        let mut decisions = Vec::with_capacity(of_classes.len());
        for (of_class, like) in of_classes.iter().zip(likes) {
            let rest = match of_both.entry(*like) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => {
                    let about = (principal, action, *like);
                    place.insert(engine::ask(&rules.both, subjects, about, &context)?)
                }
            };
            let mut decision = Said::all(&[of_class, &of_asker, rest]);
            decision.valid_until = valid_until;
            floor::hold(&mut decision, asker, ask);
            decisions.push(decision);
        }
        Ok(decisions)
    }
}
