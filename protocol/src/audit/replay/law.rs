//! Did every policy that had to allow a disclosure allow it, as of the statement's time.

use hashpact_keys::Timestamp;
use hashpact_keys::roster::CentreEntry;

use super::super::finding::{DisclosureFault, FindingKind};
use super::super::ledger::Ledger;
use super::super::openings::Held;
use super::super::place::Place;
use super::{Court, Decided};
use crate::b3::Hash;
use crate::labels::{ClassId, Labels};
use crate::limits;
use crate::policy::{Action, ClassFacts, Fallback, InForce, Logged, Principal, Query, Ruling};
use crate::transfer::Statement;

/// Seconds by which two honest centres may differ about what time it is and what was witnessed: the time between two
/// rounds of cosigning, which every centre takes its time from.
const LEEWAY_S: u64 = limits::RECOSIGN_S;

/// A class of a log, with who made it.
type Made<'a> = (&'a CentreEntry, ClassId, &'a Labels);

/// One who must allow.
struct Asked<'a> {
    centre: &'a CentreEntry,
    action: Action,
    about: &'a CentreEntry,
    /// What the statement says is the newest document there.
    stated: Option<u64>,
    ledger: &'a Ledger,
}

impl Asked<'_> {
    fn principal(&self) -> Principal {
        Principal::Centre {
            id: self.about.id.clone(),
            jurisdiction: self.about.jurisdiction.clone(),
        }
    }

    /// What it is asked, at a time.
    fn query<'q>(
        &self,
        held: &Held,
        principal: &'q Principal,
        (maker, class, labels): Made<'q>,
        now: Timestamp,
    ) -> Query<'q> {
        Query {
            action: self.action,
            principal,
            class: ClassFacts {
                origin: &maker.id,
                jurisdiction: &maker.jurisdiction,
                class,
                labels,
            },
            purpose: held.statement.purpose,
            now,
            entry: None,
        }
    }
}

impl Court<'_> {
    /// Both sides said which policies they went by: the newest that they had to know.
    pub(super) fn indices(&self, hash: &Hash, held: &Held, found: &mut impl FnMut(FindingKind)) {
        let statement = &held.statement;
        for asked in self.asked(held, &mut |_| {}) {
            let newest = self.newest_known(&asked, held);
            let documents = &asked.ledger.policies;
            let is_one = |index| documents.iter().any(|it| it.logged.index == index);
            let got = asked.stated;
            if let Some(got) = got.filter(|got| !is_one(*got)) {
                found(FindingKind::NotPolicy { got });
            } else if newest > got {
                let (statement, centre) = (*hash, asked.centre.id.clone());
                let expected = newest;
                found(
                    DisclosureFault::OlderPolicy {
                        statement,
                        centre,
                        expected,
                        got,
                    }
                    .into(),
                );
            }
        }
        let is_origin = statement.hop == 0;
        if is_origin && statement.from_policy != statement.origin_policy {
            let (expected, got) = (statement.from_policy, statement.origin_policy);
            found(
                DisclosureFault::OlderPolicy {
                    statement: *hash,
                    centre: statement.from.clone(),
                    expected,
                    got,
                }
                .into(),
            );
        }
    }

    pub(super) fn decisions(&self, hash: &Hash, held: &Held, found: &mut impl FnMut(FindingKind)) {
        let asked = self.asked(held, found);
        for class in held.statement.by_class().into_keys() {
            let Some(made) = self.made(held, class) else {
                found(DisclosureFault::GivenUndefined { class }.into());
                continue;
            };
            for one in &asked {
                if let Some(kind) = self.decision(hash, held, one, made) {
                    found(kind);
                }
            }
        }
    }

    /// Every question that [`Court::decisions`] put to a document, and its answer.
    pub(super) fn questions(&self, hash: &Hash, held: &Held, decided: &mut dyn FnMut(Decided)) {
        let (log, place) = held.place();
        let leaf = match place {
            Place::Leaf { index, .. } => Some(index),
            Place::Log
            | Place::Roster(_)
            | Place::Checkpoint { .. }
            | Place::History { .. }
            | Place::File(_) => None,
        };
        for one in self.asked(held, &mut |_| {}) {
            let at = self.now(&one, held);
            let documents = self.documents(&one, held);
            let witnessed = one.ledger.witnessed_by(at);
            let law = InForce::of(&documents, witnessed, at, fallback(held));
            let counts: Vec<u64> = law.indices().collect();
            let principal = one.principal();
            for class in held.statement.by_class().into_keys() {
                let Some(made) = self.made(held, class) else {
                    continue;
                };
                let query = one.query(held, &principal, made, at);
                for document in &documents {
                    let Some(profile) = document.profile.as_ref() else {
                        continue;
                    };
                    if !counts.contains(&document.index) {
                        continue;
                    }
                    let decision = profile.decide(&query);
                    decided(Decided {
                        log: log.clone(),
                        leaf,
                        statement: *hash,
                        class,
                        action: one.action,
                        of: one.ledger.origin.clone(),
                        document: document.index,
                        allowed: decision.allowed,
                        policies: decision.policies,
                        question: profile.replay(&query).ok(),
                    });
                }
            }
        }
    }

    fn decision(
        &self,
        hash: &Hash,
        held: &Held,
        asked: &Asked<'_>,
        (maker, class, labels): Made<'_>,
    ) -> Option<FindingKind> {
        let principal = asked.principal();
        let query = |now| asked.query(held, &principal, (maker, class, labels), now);
        let documents = self.documents(asked, held);
        let rule = |now: u64, seen: u64| -> Ruling {
            let (now, seen) = (Timestamp::new(now), Timestamp::new(seen));
            let witnessed = asked.ledger.witnessed_by(seen);
            let law = InForce::of(&documents, witnessed, now, fallback(held));
            law.decide(&query(now))
        };
        let at = self.now(asked, held).get();
        let ruling = rule(at, at);
        if ruling.allowed {
            return None;
        }
        let later = at.saturating_add(LEEWAY_S);
        let nearby = [
            rule(at, later),
            rule(later, later),
            rule(at.saturating_sub(LEEWAY_S), at),
        ];
        let (statement, centre) = (*hash, asked.centre.id.clone());
        let action = asked.action;
        if nearby.iter().any(|ruling| ruling.allowed) {
            return Some(
                DisclosureFault::BarelyAllowed {
                    statement,
                    class,
                    centre,
                    action,
                }
                .into(),
            );
        }
        Some(
            DisclosureFault::NotAllowed {
                statement,
                class,
                centre,
                action,
                policy: ruling.index,
                policies: ruling.policies,
                errors: ruling.errors.len(),
            }
            .into(),
        )
    }

    /// A class that a statement gives, with who made it and its labels.
    fn made<'b>(&'b self, held: &'b Held, class: ClassId) -> Option<Made<'b>> {
        let ledger = self.ledgers.get(&held.statement.origin)?;
        let maker = held.roster.centre(held.statement.origin.centre())?;
        Some((maker, class, ledger.class(class)?))
    }

    /// Who had to allow it: the origin, a relay, the taker.
    fn asked<'b>(&'b self, held: &'b Held, found: &mut impl FnMut(FindingKind)) -> Vec<Asked<'b>> {
        let statement = &held.statement;
        let roster = &held.roster;
        let entries = [statement.origin.centre(), &statement.from, &statement.to];
        let [Some(maker), Some(giver), Some(taker)] = entries.map(|id| roster.centre(id)) else {
            let version = roster.version;
            found(FindingKind::NotOnRoster { version });
            return Vec::new();
        };
        let share = Some((maker, Action::Share, taker, statement.origin_policy));
        let reshare = (maker.id != giver.id).then_some((
            giver,
            Action::Reshare,
            taker,
            statement.from_policy,
        ));
        let admit = Some((taker, Action::Admit, giver, statement.to_policy));
        let mut asked = Vec::new();
        for (centre, action, about, stated) in [share, reshare, admit].into_iter().flatten() {
            // The line that the statement names, where it is the origin's.
            let origin = match action {
                Action::Share => &statement.origin,
                Action::Reshare
                | Action::Admit
                | Action::Publish
                | Action::Match
                | Action::Reveal => &centre.origin,
            };
            match self.ledgers.get(origin) {
                Some(ledger) => asked.push(Asked {
                    centre,
                    action,
                    about,
                    stated,
                    ledger,
                }),
                None => {
                    let origin = origin.clone();
                    found(DisclosureFault::GivenOfUnknownLog { origin }.into());
                }
            }
        }
        asked
    }

    /// The newest document of a log that a side had to know when the statement was signed.
    fn newest_known(&self, asked: &Asked<'_>, held: &Held) -> Option<u64> {
        let at = held.statement.time;
        let own = held.leaf_in(&asked.ledger.origin);
        // A giver knows its own log at once, whoever hears of another's within what makes cosignatures stale.
        let after = match own {
            Some(_) if asked.centre.id == held.statement.from => 0,
            Some(_) => LEEWAY_S,
            None => limits::COSIGNATURE_FRESH_S,
        };
        let known = asked.ledger.policies.iter().filter(|policy| {
            let index = policy.logged.index;
            let seen = asked.ledger.witnessed(index);
            own.is_none_or(|own| index < own)
                && seen.is_some_and(|seen| seen.get().saturating_add(after) <= at.get())
        });
        known.map(|policy| policy.logged.index).max()
    }

    /// When a side decided: the statement's time, or what its own log had been witnessed at before it, whichever is later. So
    /// centres take their time too, and a clock that is behind, or a date that is put back, opens nothing.
    fn now(&self, asked: &Asked<'_>, held: &Held) -> Timestamp {
        let statement = &held.statement;
        let side = match asked.action {
            Action::Admit => &statement.to,
            Action::Share | Action::Reshare | Action::Publish | Action::Match | Action::Reveal => {
                &statement.from
            }
        };
        let own = held.at.iter().find(|(log, _)| log.centre() == side);
        let seen = own.and_then(|(log, leaf)| self.ledgers.get(log)?.witnessed_without(*leaf));
        seen.map_or(statement.time, |seen| seen.max(statement.time))
    }

    /// The documents of a log that decided: those below the statement's own leaf there; elsewhere those that the statement
    /// names, and later ones that had to be known.
    fn documents(&self, asked: &Asked<'_>, held: &Held) -> Vec<Logged> {
        let own = held.leaf_in(&asked.ledger.origin);
        let newest = self.newest_known(asked, held).max(asked.stated);
        let counts = |index: u64| match own {
            Some(own) => index < own,
            None => newest.is_some_and(|newest| index <= newest),
        };
        let read = asked.ledger.policies.iter();
        let read = read.filter(|policy| counts(policy.logged.index));
        read.map(|policy| {
            let mut logged = policy.logged.clone();
            let profile = logged.profile.take();
            // As centres read it: written for its centre's law, signed off where nothing is a demonstration.
            logged.profile = profile.filter(|profile| {
                *profile.jurisdiction() == asked.centre.jurisdiction
                    && (held.roster.demo || profile.signed_off().is_some())
            });
            logged
        })
        .collect()
    }
}

/// Statements are made where some document rules; only where none does, in a demonstration, all is open.
fn fallback(held: &Held) -> Fallback {
    let Statement {
        from_policy,
        origin_policy,
        to_policy,
        ..
    } = &*held.statement;
    let unruled = [from_policy, origin_policy, to_policy]
        .iter()
        .all(|index| index.is_none());
    if held.roster.demo && unruled {
        Fallback::Open
    } else {
        Fallback::Closed
    }
}
