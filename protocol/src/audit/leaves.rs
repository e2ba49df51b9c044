//! Whether an entry holds, under the roster that fits it.
//!
//! A centre checks a leaf under the roster in force, when the leaf is new. An auditor reads it years later: a key may have
//! left since, so a delta is judged under the roster that its header names, which must be the one that the log itself had
//! logged last; only revocations are those of the newest roster. After a fault the next leaf is checked against what the
//! bad one claims, so that one fault is told once. In scope: the leaves of one log, in order. Out of scope: their hashes
//! (`tiles`), bodies.

use std::collections::BTreeSet;

use hashpact_keys::roster::CentreEntry;
use hashpact_keys::{KeyId, Origin, Roster, RosterVersion, Timestamp};

use super::chain::Chain;
use super::finding::FindingKind;
use super::laws::Laws;
use super::log::{Event, Out};
use super::matching::Matching;
use super::place::Place;
use super::summary::{LogSummary, Month};
use crate::b3::Hash;
use crate::delta::{ClassTable, Expected, Header, Seq};
use crate::labels::{ClassDefinitions, ClassId, Labels, State};
use crate::log::{Leaf, LeafKind};
use crate::psi::Manifest;
use crate::verify::{LeafFault, Origins, Walk};
use crate::view::LogState;

/// Reads leaves in order.
pub(super) struct Leaves<'a> {
    chain: &'a Chain,
    origin: Origin,
    now: Timestamp,
    state: LogState,
    /// The roster that the log logged last; 0 before the first.
    logged: RosterVersion,
    /// The newest policy.
    policy: Option<u64>,
    laws: Laws,
    matching: Matching,
    /// Classes that are defined as other than suspected.
    assessed: BTreeSet<ClassId>,
    /// What is unknown since a leaf could not be read: it is taken from the next one that tells.
    unknown: Unknown,
}

/// Which of the running values a lost leaf may have changed.
#[derive(Clone, Copy, Default)]
struct Unknown {
    deltas: bool,
    classes: bool,
    rosters: bool,
    policies: bool,
    manifests: bool,
}

impl<'a> Leaves<'a> {
    pub(super) fn new(chain: &'a Chain, origin: &Origin, now: Timestamp) -> Self {
        Self {
            chain,
            origin: origin.clone(),
            now,
            state: LogState::default(),
            logged: RosterVersion::new(0),
            policy: None,
            laws: Laws::new(),
            matching: Matching::default(),
            assessed: BTreeSet::new(),
            unknown: Unknown::default(),
        }
    }

    /// A leaf was lost, or is not the one that the log holds: whatever it said is unknown.
    pub(super) fn lost(&mut self) {
        self.unknown = Unknown {
            deltas: true,
            classes: true,
            rosters: true,
            policies: true,
            manifests: true,
        };
        self.laws.lost();
    }

    /// The roster that the log logged last.
    pub(super) fn logged(&self) -> Option<RosterVersion> {
        (self.logged.get() > 0).then_some(self.logged)
    }

    /// The oldest roster under which what stands here may be judged.
    pub(super) fn since(&self) -> RosterVersion {
        let first = || self.chain.first_with(&self.origin);
        let since = self.logged().or_else(first);
        since.unwrap_or(RosterVersion::FIRST)
    }

    /// When the newest header was issued.
    pub(super) fn issued_at(&self) -> Option<Timestamp> {
        (self.state.next_seq > Seq(0)).then_some(self.state.issued_at)
    }

    /// Reads the next leaf. `kind_at` says of which kind an earlier leaf is.
    pub(super) fn leaf(
        &mut self,
        index: u64,
        bytes: &[u8],
        kind_at: impl Fn(u64) -> Option<LeafKind>,
        summary: &mut LogSummary,
        out: &mut Out<'_>,
    ) {
        let place = Place::Leaf { index, seq: None };
        match Leaf::from_bytes(bytes) {
            Ok(Leaf::Delta { header, table }) => {
                self.delta(index, &header, table, kind_at, summary, out);
            }
            Ok(Leaf::Classes { definitions }) => {
                let before = self.state.next_class;
                match self.classes(index, &definitions) {
                    Ok(classes) => out.tell(Event::Classes(classes)),
                    Err(fault) => out.found(place, FindingKind::Leaf(fault)),
                }
                let defined = self.state.next_class.saturating_sub(before);
                summary.classes += u64::from(defined);
            }
            Ok(Leaf::Roster { version, hash }) => self.roster(version, hash, &place, out),
            Ok(Leaf::Policy { document }) => self.document(index, &document, &place, out),
            Ok(Leaf::Resumed { .. }) if index > 0 => {
                out.found(place, FindingKind::Leaf(LeafFault::Resumed { index }));
            }
            // It begins under the roster that gave it its line.
            Ok(Leaf::Resumed { .. }) => self.unknown.rosters = true,
            Ok(Leaf::Disclosure { commitment }) => out.tell(Event::Sealed {
                index,
                kind: LeafKind::Disclosure,
                commitment,
            }),
            Ok(Leaf::MatchEpoch { manifest }) => self.manifest(index, &manifest, &place, out),
            Ok(Leaf::MatchSession { commitment }) => out.tell(Event::Sealed {
                index,
                kind: LeafKind::MatchSession,
                commitment,
            }),
            Ok(Leaf::Commitment { commitment }) => out.tell(Event::Sealed {
                index,
                kind: LeafKind::Commitment,
                commitment,
            }),
            Ok(Leaf::Other(_)) => {}
            Err(error) => {
                out.found(place, FindingKind::Leaf(error.into()));
                self.lost();
            }
        }
        summary.roster = self.logged();
    }

    fn document(&mut self, index: u64, signed: &[u8], place: &Place, out: &mut Out<'_>) {
        self.policy = Some(index);
        self.unknown.policies = false;
        let chain = self.chain;
        let rosters = chain.since(self.since());
        let of = (chain, &self.origin, self.now);
        let mut found = |kind| out.found(place.clone(), kind);
        let policy = self.laws.read((index, signed), of, rosters, &mut found);
        out.tell(Event::Policy(policy));
    }

    /// A manifest names no roster: any from the one that the log had logged last on may list its key.
    fn manifest(&mut self, index: u64, signed: &[u8], place: &Place, out: &mut Out<'_>) {
        let claimed = match Manifest::read_unverified(signed) {
            Ok(claimed) => claimed,
            Err(error) => {
                out.found(place.clone(), FindingKind::Leaf(error.into()));
                self.unknown.manifests = true;
                return;
            }
        };
        let mut state = self.state.clone();
        if self.unknown.manifests && claimed.number >= state.next_manifest {
            state.next_manifest = claimed.number;
        }
        if self.unknown.classes {
            state.next_class = u32::from(u16::MAX);
        }
        let mut fault = None;
        for roster in self.chain.since(self.since()) {
            let Some(centre) = roster.by_origin(&self.origin) else {
                continue;
            };
            let origins = Origins {
                roster,
                centre,
                now: self.now,
            };
            match walk(&origins, state.clone()).manifest(index, signed) {
                Ok(()) => {
                    fault = None;
                    break;
                }
                // A newer roster may list the key; the first reason is the one that is told.
                Err(error) => fault = fault.or(Some(error)),
            }
        }
        let revoked = Manifest::signer(signed).map_err(LeafFault::from);
        let revoked = revoked.and_then(|key| self.not_revoked(key, index)).err();
        if let Some(fault) = fault.or(revoked) {
            out.found(place.clone(), FindingKind::Leaf(fault));
        }
        for kind in self.matching.read(&claimed) {
            out.found(place.clone(), kind);
        }
        // Behind a fault, numbers go on from what was claimed.
        let manifest = claimed.clone();
        out.tell(Event::Manifest { index, manifest });
        self.state.next_manifest = claimed.number.saturating_add(1);
        self.state.match_epoch = self.state.match_epoch.max(claimed.epoch);
        self.unknown.manifests = false;
    }

    fn roster(&mut self, got: RosterVersion, hash: Hash, place: &Place, out: &mut Out<'_>) {
        let expected = RosterVersion::new(self.logged.get().saturating_add(1));
        if got != expected && !(self.unknown.rosters && got > self.logged) {
            let kind = FindingKind::RosterOrder { expected, got };
            out.found(place.clone(), kind);
        }
        match self.chain.get(got) {
            None => {
                let newest = self.chain.newest().roster().version;
                let kind = FindingKind::RosterNotInChain { newest, got };
                out.found(place.clone(), kind);
            }
            Some(roster) if roster.hash() != hash => {
                let kind = FindingKind::RosterHash { version: got };
                out.found(place.clone(), kind);
            }
            // One that goes back changes nothing: older keys must not come to count again.
            Some(_) => self.logged = self.logged.max(got),
        }
        self.unknown.rosters = false;
    }

    fn delta(
        &mut self,
        index: u64,
        signed: &[u8],
        table: ClassTable,
        kind_at: impl Fn(u64) -> Option<LeafKind>,
        summary: &mut LogSummary,
        out: &mut Out<'_>,
    ) {
        let header = match Header::claimed(signed) {
            Ok(header) => header,
            Err(error) => {
                let place = Place::Leaf { index, seq: None };
                out.found(place, FindingKind::Leaf(error.into()));
                self.unknown.deltas = true;
                return;
            }
        };
        let seq = Some(header.seq);
        let place = Place::Leaf { index, seq };
        let mut found = |kind| out.found(place.clone(), kind);
        let roster = self.roster_of(header.roster_version, &mut found);
        match roster.by_origin(&self.origin) {
            Some(centre) => {
                if let Err(fault) = self.walk_delta(index, signed, &header, &table, roster, centre)
                {
                    found(FindingKind::Leaf(fault));
                }
            }
            None => {
                let version = roster.version;
                found(FindingKind::NotOnRoster { version });
            }
        }
        if let Some(kind) = self.policy_fault(index, &header, kind_at) {
            found(kind);
        }
        self.resume_behind(signed, &header);
        count(&header, &table, summary);
        let classes = table.classes.iter().map(|entry| entry.class);
        // A class whose definition was lost may be suspected: one fault is told once.
        let suspected = classes.filter(|class| !self.assessed.contains(class));
        let expected = Expected {
            origin: self.origin.clone(),
            seq: header.seq,
            suspected: suspected.collect(),
            table,
        };
        out.tell(Event::Delta {
            index,
            header: Header::chain_hash(signed),
            issued_at: header.issued_at,
            expected,
        });
    }

    /// The roster that a header is judged under, once it may be named here.
    fn roster_of(&self, got: RosterVersion, found: &mut impl FnMut(FindingKind)) -> &'a Roster {
        let chain = self.chain;
        let logged = self.logged;
        let newest = chain.newest().roster();
        let Some(roster) = chain.get(got) else {
            let newest_version = newest.version;
            found(FindingKind::RosterNotInChain {
                newest: newest_version,
                got,
            });
            return newest;
        };
        // With a lost leaf the log may have logged a newer one, never an older one.
        let fits = got == logged || self.unknown.rosters && got > logged;
        if fits {
            return roster.roster();
        }
        found(FindingKind::RosterNotLogged { logged, got });
        let least = chain.get(got.max(logged)).unwrap_or(roster);
        least.roster()
    }

    fn walk_delta(
        &self,
        index: u64,
        signed: &[u8],
        header: &Header,
        table: &ClassTable,
        roster: &Roster,
        centre: &CentreEntry,
    ) -> Result<(), LeafFault> {
        let mut state = self.state.clone();
        if self.unknown.deltas && header.seq >= state.next_seq {
            (state.next_seq, state.prev) = (header.seq, header.prev);
        }
        if self.unknown.classes {
            state.next_class = u32::from(u16::MAX);
        }
        let origins = Origins {
            roster,
            centre,
            now: self.now,
        };
        walk(&origins, state).delta(index, signed, table)?;
        self.not_revoked(Header::signer(signed)?, index)
    }

    /// A revocation counts from the roster on that says so, for all that the log held by then.
    fn not_revoked(&self, key: KeyId, index: u64) -> Result<(), LeafFault> {
        let newest = self.chain.newest().roster();
        match newest.revoked_from(&key, &self.origin) {
            Some(from) if index >= from => Err(LeafFault::Revoked { key, from }),
            Some(_) | None => Ok(()),
        }
    }

    fn policy_fault(
        &self,
        index: u64,
        header: &Header,
        kind_at: impl Fn(u64) -> Option<LeafKind>,
    ) -> Option<FindingKind> {
        let got = header.policy_ref;
        // At or above the header's own index: told as a fault of the leaf.
        if got == self.policy || self.unknown.policies || got.is_some_and(|got| got >= index) {
            return None;
        }
        match got {
            Some(got) if kind_at(got) != Some(LeafKind::Policy) => {
                Some(FindingKind::NotPolicy { got })
            }
            Some(_) | None => {
                let expected = self.policy;
                Some(FindingKind::PolicyNotInForce { expected, got })
            }
        }
    }

    /// The next header follows this one, whatever was wrong with it.
    fn resume_behind(&mut self, signed: &[u8], header: &Header) {
        self.state.prev = Header::chain_hash(signed);
        self.state.next_seq = Seq(header.seq.0.saturating_add(1));
        // A date in the future would make every later one run backwards.
        let sane = header.issued_at.get() <= self.now.get() + crate::limits::CLOCK_SKEW_S;
        if sane {
            self.state.issued_at = self.state.issued_at.max(header.issued_at);
        }
        self.unknown.deltas = false;
    }

    /// Definitions hold for ever and name no roster: any roster from the one that the log had logged last on may list their
    /// key.
    fn classes(&mut self, index: u64, signed: &[u8]) -> Result<Vec<(ClassId, Labels)>, LeafFault> {
        let payload = ClassDefinitions::envelope(signed)
            .and_then(|envelope| ClassDefinitions::from_payload(envelope.peek()));
        let mut state = self.state.clone();
        if self.unknown.classes
            && let Ok(definitions) = &payload
            && let Some((first, _)) = definitions.classes.first()
        {
            state.next_class = u32::from(first.0).max(state.next_class);
        }
        let mut last = LeafFault::DefinitionsKey;
        let mut next = None;
        for roster in self.chain.since(self.since()) {
            let Some(centre) = roster.by_origin(&self.origin) else {
                continue;
            };
            let origins = Origins {
                roster,
                centre,
                now: self.now,
            };
            let mut walk = walk(&origins, state.clone());
            match walk.classes(index, signed) {
                Ok(()) => {
                    next = Some((walk.state.next_class, walk.classes));
                    break;
                }
                Err(LeafFault::DefinitionsKey) => {}
                Err(fault) => last = fault,
            }
        }
        // Behind a fault, numbers go on from what was claimed, and so do labels.
        let claimed = payload.ok().and_then(|definitions| {
            let known = definitions.classes.iter();
            let assessed = known.filter(|(_, labels)| labels.state != State::Suspected);
            self.assessed.extend(assessed.map(|(class, _)| *class));
            let (class, _) = definitions.classes.last()?;
            Some(u32::from(class.0) + 1)
        });
        let after = next.as_ref().map(|(next, _)| *next).or(claimed);
        self.state.next_class = after.unwrap_or(state.next_class).max(self.state.next_class);
        self.unknown.classes &= after.is_none();
        let (_, classes) = next.ok_or(last)?;
        let envelope = ClassDefinitions::envelope(signed)?;
        self.not_revoked(envelope.kid(), index)?;
        Ok(classes)
    }
}

fn walk<'a>(origins: &'a Origins<'a>, state: LogState) -> Walk<'a> {
    Walk::from(state, origins)
}

fn count(header: &Header, table: &ClassTable, summary: &mut LogSummary) {
    let (records, retractions) = (table.records(), table.retractions.count);
    summary.total.add(records, retractions);
    let month = Month::of(header.issued_at);
    let month = summary.months.entry(month).or_default();
    month.add(records, retractions);
    summary.first_delta_at.get_or_insert(header.issued_at);
    summary.last_delta_at = Some(header.issued_at);
}
