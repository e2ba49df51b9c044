//! Every disclosure again: did it say what the logs say, and did every policy that was in force allow it.
//!
//! Why: policy decides at two or three centres when a class flows, and whoever runs those centres could decide otherwise.
//! What they signed and logged does not depend on them any more: documents, class definitions, statements. So an auditor
//! decides again, with the same code and the same facts, as of the statement's time. That is the giver's word, held between
//! the times at which witnesses saw the logs before and after.
//! Spec: `docs/protocol.md`, "Openings". In scope: statements that were opened. Out of scope: bytes that flowed without one,
//! which no log shows; release to members.

use std::collections::BTreeMap;

use hashpact_keys::cose::MultiSigned;
use hashpact_keys::roster::CentreEntry;
use hashpact_keys::{CentreId, Context, KeyUse, Origin, Timestamp};

use super::chain::Chain;
use super::disclosures::Disclosures;
use super::finding::{DisclosureFault, Finding, FindingKind};
use super::ledger::{Ledger, leaf};
use super::openings::{Held, Openings, Signature};
use super::place::Place;
use crate::b3::Hash;
use crate::labels::{ClassId, Labels};
use crate::limits;
use crate::policy::{
    Action, ClassFacts, Fallback, InForce, Logged, Principal, Query, Replay, Ruling,
};
use crate::transfer::{self, ChainError, Given, Statement};

/// Seconds by which two honest centres may differ about what time it is and what was witnessed: the time between two
/// rounds of cosigning, which every centre takes its time from.
const LEEWAY_S: u64 = limits::RECOSIGN_S;

/// One decision that was made again: what one document in force says of one class of one statement.
#[derive(Clone, Debug)]
pub struct Decided {
    /// The log by whose leaf the statement is named; none if it was only shown.
    pub log: Origin,
    /// That leaf.
    pub leaf: Option<u64>,
    /// SHA-256 of the statement.
    pub statement: Hash,
    /// The class.
    pub class: ClassId,
    /// Who decided.
    pub action: Action,
    /// The log of whoever decided.
    pub of: Origin,
    /// The leaf of the document.
    pub document: u64,
    /// Whether it allows.
    pub allowed: bool,
    /// `@id` of the policies that determined it.
    pub policies: Vec<String>,
    /// The question, for tools that are not ours; nothing where it cannot be put.
    pub question: Option<Replay>,
}

/// Judges every statement that was opened, when all logs have been read, and says what was given in sum. `decided` is
/// told of every decision, if anybody wants to know.
pub fn replay(
    chain: &Chain,
    ledgers: &BTreeMap<Origin, Ledger>,
    openings: &Openings,
    decided: Option<&mut dyn FnMut(Decided)>,
    emit: &mut dyn FnMut(Finding),
) -> Disclosures {
    let court = Court {
        chain,
        ledgers,
        openings,
    };
    let mut decided = decided;
    let mut sums = Disclosures::default();
    for (hash, held) in &openings.statements {
        let held = &held.confirmed(ledgers);
        let (log, place) = held.place();
        let mut failed = false;
        let mut found = |what: FindingKind| {
            failed |= what.severity() == super::Severity::Fail;
            let log = Some(log.clone());
            let place = place.clone();
            emit(Finding { log, place, what });
        };
        court.sides(hash, held, &mut found);
        court.deltas(held, &mut found);
        court.chain_of(hash, held, &mut found);
        court.dates(held, &mut found);
        court.indices(hash, held, &mut found);
        court.decisions(hash, held, &mut found);
        if let Some(decided) = &mut decided {
            court.questions(hash, held, decided);
        }
        sums.add(&held.statement, failed);
    }
    court.recalls(emit);
    sums
}

impl Held {
    /// The same, in the leaves that do seal it: what is only said of a leaf must not stand for where it is.
    fn confirmed(&self, ledgers: &BTreeMap<Origin, Ledger>) -> Self {
        let mut held = self.clone();
        held.at.retain(|(log, leaf)| {
            let ledger = ledgers.get(log);
            ledger.is_some_and(|ledger| ledger.opens(*leaf))
        });
        held
    }

    /// The leaf by which it is named: the giver's before the taker's; the log with whose openings it came, if none.
    fn place(&self) -> (Origin, Place) {
        let of = |centre: &CentreId| self.at.iter().find(|(log, _)| log.centre() == centre);
        let at = of(&self.statement.from).or_else(|| of(&self.statement.to));
        match at.or_else(|| self.at.iter().next()) {
            Some((log, index)) => (log.clone(), leaf(*index)),
            None => (self.from.clone(), Place::Log),
        }
    }

    /// Its leaf in a log.
    fn leaf_in(&self, origin: &Origin) -> Option<u64> {
        let mut at = self.at.iter();
        at.find(|(log, _)| log == origin).map(|(_, index)| *index)
    }
}

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

struct Court<'a> {
    chain: &'a Chain,
    ledgers: &'a BTreeMap<Origin, Ledger>,
    openings: &'a Openings,
}

impl<'a> Court<'a> {
    /// It stands in the logs of its two sides and in no other, under keys that were not revoked there.
    fn sides(&self, hash: &Hash, held: &Held, found: &mut impl FnMut(FindingKind)) {
        let Statement { from, to, .. } = &*held.statement;
        for (log, index) in &held.at {
            if ![from, to].contains(&log.centre()) {
                let (from, to) = (from.clone(), to.clone());
                let index = *index;
                found(DisclosureFault::NotASide { from, to, index }.into());
            }
        }
        if let Ok(signed) = MultiSigned::parse(&held.signed, Context::TransferStatement) {
            for key in signed.signers() {
                let own = [from, to].into_iter().find_map(|side| {
                    let centre = held.roster.centre(side)?;
                    let mut keys = centre.keys_of(KeyUse::Delta);
                    keys.find(|entry| entry.key.key_id() == key)?;
                    Some((centre.origin.clone(), held.leaf_in(&centre.origin)?))
                });
                if let Err(kind) = (Signature { key, own }).check(self.chain) {
                    found(*kind);
                }
            }
        }
        if held.at.is_empty() {
            return;
        }
        for (side, is_taker) in [(from, false), (to, true)] {
            let is_there = held.at.iter().any(|(log, _)| log.centre() == side);
            let mut theirs = self.ledgers.values();
            let is_opened = theirs.any(|ledger| ledger.is_opened && ledger.origin.centre() == side);
            if is_opened && !is_there {
                let (statement, centre) = (*hash, side.clone());
                found(
                    DisclosureFault::OneSided {
                        statement,
                        centre,
                        is_taker,
                    }
                    .into(),
                );
            }
        }
    }

    /// Headers and counts are those of the origin's log.
    fn deltas(&self, held: &Held, found: &mut impl FnMut(FindingKind)) {
        let statement = &held.statement;
        let Some(ledger) = self.ledgers.get(&statement.origin) else {
            let origin = statement.origin.clone();
            return found(DisclosureFault::GivenOfUnknownLog { origin }.into());
        };
        for Given {
            seq,
            header,
            classes,
        } in &statement.deltas
        {
            let Some(delta) = ledger
                .deltas
                .get(seq)
                .filter(|delta| delta.header == *header)
            else {
                found(DisclosureFault::GivenDelta { seq: *seq }.into());
                continue;
            };
            let latest = statement.time.get().saturating_add(limits::CLOCK_SKEW_S);
            if delta.issued_at.get() > latest {
                found(
                    DisclosureFault::StatementDate {
                        got: statement.time,
                        after: Some(delta.issued_at),
                        before: None,
                    }
                    .into(),
                );
            }
            for (class, got) in classes {
                let expected = delta.classes.get(class).copied();
                if expected != Some(*got) {
                    found(
                        DisclosureFault::GivenCount {
                            seq: *seq,
                            class: *class,
                            expected,
                            got: *got,
                        }
                        .into(),
                    );
                }
            }
        }
    }

    /// What a relay gives came to it by statements without a gap, and no class goes farther than its labels say.
    fn chain_of(&self, hash: &Hash, held: &Held, found: &mut impl FnMut(FindingKind)) {
        let mut chain = transfer::Chain::default();
        let mut open = held.statement.parents.clone();
        while let Some(parent) = open.pop() {
            let Some(parent) = self.openings.statements.get(&parent) else {
                continue;
            };
            // Hops fall with each step, so this ends.
            if parent.statement.hop < held.statement.hop {
                chain.insert((*parent.statement).clone(), parent.signed.to_vec());
                open.extend(&parent.statement.parents);
            }
        }
        let labels = self.ledgers.get(&held.statement.origin);
        let hops = |class| {
            let labels = labels.and_then(|ledger| ledger.class(class));
            labels.map_or(0, |labels| labels.hops)
        };
        if let Err(error) = chain.check(&held.statement, &hops) {
            let statement = *hash;
            found(match error {
                ChainError::Gap => DisclosureFault::ParentUnopened { statement }.into(),
                error @ (ChainError::Statement(_)
                | ChainError::TooLarge { .. }
                | ChainError::Unused
                | ChainError::Parent
                | ChainError::Unproven { .. }
                | ChainError::Hops { .. }) => {
                    DisclosureFault::StatementChain { statement, error }.into()
                }
            });
        }
    }

    /// Its time lies between what witnesses saw of each side's log before and after.
    fn dates(&self, held: &Held, found: &mut impl FnMut(FindingKind)) {
        let got = held.statement.time;
        for (log, index) in &held.at {
            let Some(ledger) = self.ledgers.get(log) else {
                continue;
            };
            let after = ledger.witnessed_without(*index);
            let before = ledger.witnessed(*index);
            let early = after
                .is_some_and(|after| got.get().saturating_add(limits::CLOCK_SKEW_S) < after.get());
            let late = before.is_some_and(|before| {
                got.get() > before.get().saturating_add(limits::CLOCK_SKEW_S)
            });
            if early || late {
                return found(DisclosureFault::StatementDate { got, after, before }.into());
            }
        }
    }

    /// Both sides said which policies they went by: the newest that they had to know.
    fn indices(&self, hash: &Hash, held: &Held, found: &mut impl FnMut(FindingKind)) {
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

    fn decisions(&self, hash: &Hash, held: &Held, found: &mut impl FnMut(FindingKind)) {
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
    fn questions(&self, hash: &Hash, held: &Held, decided: &mut dyn FnMut(Decided)) {
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

    /// A class that a statement gives, with who made it and its labels.
    fn made<'b>(&'b self, held: &'b Held, class: ClassId) -> Option<Made<'b>> {
        let ledger = self.ledgers.get(&held.statement.origin)?;
        let maker = held.roster.centre(held.statement.origin.centre())?;
        Some((maker, class, ledger.class(class)?))
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

    /// Every recall has its acknowledgement, and each acknowledgement its recall.
    fn recalls(&self, emit: &mut dyn FnMut(Finding)) {
        let said = self.openings.acknowledgements.values();
        let answered: std::collections::BTreeSet<Hash> =
            said.map(|(said, ..)| said.recall).collect();
        let mut found = |log: &Origin, index: u64, what| {
            let log = Some(log.clone());
            let place = leaf(index);
            emit(Finding { log, place, what });
        };
        let is_sealed = |log: &Origin, index: u64| {
            let ledger = self.ledgers.get(log);
            ledger.is_some_and(|ledger| ledger.opens(index))
        };
        for (hash, (recall, log, index)) in &self.openings.recalls {
            if !is_sealed(log, *index) {
                continue;
            }
            let (from, to) = (recall.from.clone(), recall.to.clone());
            let is_side = [&from, &to].contains(&log.centre());
            if !is_side {
                let index = *index;
                found(
                    log,
                    index,
                    DisclosureFault::NotASide { from, to, index }.into(),
                );
            } else if !answered.contains(hash) {
                found(log, *index, DisclosureFault::Unacknowledged { to }.into());
            }
        }
        for (said, log, index) in self.openings.acknowledgements.values() {
            if !is_sealed(log, *index) {
                continue;
            }
            let recall = self.openings.recalls.get(&said.recall);
            match recall {
                Some((recall, ..)) if recall.to == said.from => {}
                Some(_) => found(log, *index, DisclosureFault::AcknowledgedByOther.into()),
                None => found(log, *index, DisclosureFault::RecallUnopened.into()),
            }
        }
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
