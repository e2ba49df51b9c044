//! All openings that an auditor was given: opened, their signatures checked, to be compared with the logs' sealed leaves.
//!
//! In scope: the objects, each for itself, and by which leaves they are claimed to be sealed. Out of scope: what the leaves
//! hold (`ledger`), what the objects say (`replay`).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use hashpact_keys::cose::{MultiSigned, Sign1};
use hashpact_keys::{CentreId, Context, KeyId, Origin, Roster, Timestamp};

use super::bundle::{Bundle, BundleError};
use super::chain::Chain;
use super::finding::{DisclosureFault, Finding, FindingKind};
use super::place::Place;
use super::voices::{self, Said};
use crate::b3::Hash;
use crate::delta::Seq;
use crate::evidence::{self, Kind};
use crate::psi::{SessionId, SessionRecord};
use crate::transfer::{self, Acknowledgement, Recall, Statement};
use crate::verify::LeafFault;

/// What lies under a seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Object {
    Statement(Hash),
    Recall(Hash),
    Acknowledgement(Hash),
    /// What a centre said of an entry, or what two people of it ordered.
    Said(Kind),
    /// One side of a match session.
    Session,
    /// Nothing that this version reads, or not signed as it must be: told where it was opened.
    Unknown,
}

/// One sealed leaf, opened.
pub(super) struct Opening {
    pub(super) commitment: Hash,
    pub(super) object: Object,
}

/// The openings of one log.
#[derive(Default)]
pub(super) struct OfLog {
    pub(super) leaves: Vec<Range<u64>>,
    pub(super) opened: BTreeMap<u64, Opening>,
}

/// A statement, and which leaves are said to seal it.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) statement: Arc<Statement>,
    pub(super) signed: Arc<[u8]>,
    /// The roster that it was judged under.
    pub(super) roster: Arc<Roster>,
    pub(super) at: BTreeSet<(Origin, u64)>,
    /// The log with whose openings it came.
    pub(super) from: Origin,
}

/// Everything that was opened. O(bytes of the bundles) memory.
#[derive(Default)]
pub struct Openings {
    pub(super) logs: BTreeMap<Origin, OfLog>,
    pub(super) statements: BTreeMap<Hash, Held>,
    pub(super) recalls: BTreeMap<Hash, (Recall, Origin, u64)>,
    pub(super) acknowledgements: BTreeMap<Hash, (Acknowledgement, Origin, u64)>,
    /// Both sides of match sessions, by session, with the log and the leaf that are said to seal each.
    pub(super) sessions: BTreeMap<SessionId, Vec<(SessionRecord, Origin, u64)>>,
    /// What was said beside deltas, by hash, with the log and the leaf that are said to seal it.
    pub(super) said: BTreeMap<Hash, (Said, Origin, u64)>,
    /// Deltas that some statement speaks of.
    pub(super) named: BTreeMap<Origin, BTreeSet<Seq>>,
}

impl OfLog {
    pub(super) fn speaks_of(&self, leaf: u64) -> bool {
        self.leaves.iter().any(|range| range.contains(&leaf))
    }
}

impl Openings {
    /// Opens bundles: name and bytes of each. What is wrong with one is told, and the others are read.
    pub fn open<'a>(
        files: impl IntoIterator<Item = (&'a str, &'a [u8])>,
        chain: &Chain,
        emit: &mut dyn FnMut(Finding),
    ) -> Self {
        let mut all = Self::default();
        let lines = chain.logs();
        for (name, bytes) in files {
            let mut found = |what| {
                emit(Finding {
                    log: None,
                    place: Place::File(name.to_owned()),
                    what,
                });
            };
            let bundle = match Bundle::from_bytes(bytes) {
                Ok(bundle) => bundle,
                Err(error) => {
                    found(DisclosureFault::Openings(error).into());
                    continue;
                }
            };
            let is_ours = bundle.network == chain.newest().roster().network;
            if !is_ours || !lines.contains_key(&bundle.origin) {
                let expected = "of a log of this network";
                found(DisclosureFault::Openings(BundleError::Value { expected }).into());
                continue;
            }
            all.add(bundle, chain, emit);
        }
        for held in all.statements.values() {
            let named = all.named.entry(held.statement.origin.clone()).or_default();
            named.extend(held.statement.deltas.iter().map(|given| given.seq));
        }
        all
    }

    /// Whether nothing was given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.logs.is_empty()
    }

    fn add(&mut self, bundle: Bundle, chain: &Chain, emit: &mut dyn FnMut(Finding)) {
        let origin = bundle.origin;
        let of_log = self.logs.entry(origin.clone()).or_default();
        of_log.leaves.push(bundle.leaves);
        let found = |place, what, emit: &mut dyn FnMut(Finding)| {
            let log = Some(origin.clone());
            emit(Finding { log, place, what });
        };
        for one in bundle.opened {
            let commitment = transfer::commitment(&one.salt, &one.signed);
            let object = match self.object(&one.signed, chain, &origin, Some(one.leaf)) {
                Ok(object) => object,
                Err(kind) => {
                    let place = Place::Leaf {
                        index: one.leaf,
                        seq: None,
                    };
                    found(place, *kind, emit);
                    Object::Unknown
                }
            };
            let opening = Opening { commitment, object };
            let opened = &mut self.logs.entry(origin.clone()).or_default().opened;
            let before = opened.insert(one.leaf, opening);
            let other = before.filter(|before| before.commitment != commitment);
            if other.is_some() {
                let place = Place::Leaf {
                    index: one.leaf,
                    seq: None,
                };
                found(place, DisclosureFault::OpenedTwice.into(), emit);
            }
        }
        for signed in bundle.shown {
            if let Err(kind) = self.object(&signed, chain, &origin, None) {
                found(Place::Log, *kind, emit);
            }
        }
    }

    fn object(
        &mut self,
        signed: &[u8],
        chain: &Chain,
        origin: &Origin,
        leaf: Option<u64>,
    ) -> Result<Object, Box<FindingKind>> {
        if MultiSigned::parse(signed, Context::TransferStatement).is_ok() {
            return self
                .statement(signed, chain, origin, leaf)
                .map(Object::Statement);
        }
        let Some(leaf) = leaf else {
            return Err(DisclosureFault::OpenedOther.into());
        };
        let hash = Recall::hash(signed);
        let by = |by: &CentreId, key| Signature {
            key,
            own: (by == origin.centre()).then_some((origin.clone(), leaf)),
        };
        if let Ok(envelope) = Sign1::parse(signed, Context::Recall) {
            let recall = Recall::read_unverified(signed).map_err(DisclosureFault::Recall)?;
            let opened = under(chain, recall.time, |roster| Recall::open(signed, roster));
            let (recall, _) = opened.map_err(DisclosureFault::Recall)?;
            by(&recall.from, envelope.kid()).check(chain)?;
            self.recalls.insert(hash, (recall, origin.clone(), leaf));
            return Ok(Object::Recall(hash));
        }
        if let Ok(envelope) = Sign1::parse(signed, Context::Acknowledgement) {
            let said = Acknowledgement::read_unverified(signed).map_err(DisclosureFault::Recall)?;
            let opened = under(chain, said.time, |roster| {
                Acknowledgement::open(signed, roster)
            });
            let (said, _) = opened.map_err(DisclosureFault::Recall)?;
            by(&said.from, envelope.kid()).check(chain)?;
            self.acknowledgements
                .insert(hash, (said, origin.clone(), leaf));
            return Ok(Object::Acknowledgement(hash));
        }
        if let Some(kind) = Kind::claimed(signed) {
            let said = voices::open(signed, chain, origin, leaf)?;
            let hash = evidence::hash(signed);
            self.said.insert(hash, (said, origin.clone(), leaf));
            return Ok(Object::Said(kind));
        }
        // A session record is not signed: the leaf that seals it is its centre's.
        let record = SessionRecord::from_bytes(signed);
        let record = record.map_err(|_| DisclosureFault::OpenedOther)?;
        let of_session = self.sessions.entry(record.session).or_default();
        of_session.push((record, origin.clone(), leaf));
        Ok(Object::Session)
    }

    fn statement(
        &mut self,
        signed: &[u8],
        chain: &Chain,
        origin: &Origin,
        leaf: Option<u64>,
    ) -> Result<Hash, Box<FindingKind>> {
        let hash = Statement::hash(signed);
        let mut held = match self.statements.remove(&hash) {
            Some(held) => held,
            None => {
                let read =
                    Statement::read_unverified(signed).map_err(DisclosureFault::Statement)?;
                let opened = under(chain, read.time, |roster| Statement::open(signed, roster));
                let (statement, roster) = opened.map_err(DisclosureFault::Statement)?;
                Held {
                    statement: Arc::new(statement),
                    signed: signed.into(),
                    roster: Arc::new(roster.clone()),
                    at: BTreeSet::new(),
                    from: origin.clone(),
                }
            }
        };
        held.at.extend(leaf.map(|leaf| (origin.clone(), leaf)));
        self.statements.insert(hash, held);
        Ok(hash)
    }
}

/// A signature that a revocation may have made void: it counts in leaves of the signer's own log.
pub(super) struct Signature {
    pub(super) key: KeyId,
    /// Where the object stands in the signer's own log, if that is known.
    pub(super) own: Option<(Origin, u64)>,
}

impl Signature {
    /// What the newest roster revokes counts no more, unless the object stands below the cut-off.
    pub(super) fn check(&self, chain: &Chain) -> Result<(), Box<FindingKind>> {
        let key = self.key;
        let newest = chain.newest().roster();
        let revocations = newest.revocations.iter();
        for revoked in revocations.filter(|revoked| revoked.key == key) {
            let from = revoked.size;
            let own = self.own.as_ref();
            let before = own.is_some_and(|(log, leaf)| *log == revoked.origin && *leaf < from);
            if !before {
                let fault = LeafFault::Revoked { key, from };
                return Err(Box::new(FindingKind::Leaf(fault)));
            }
        }
        Ok(())
    }
}

/// Opens something under the roster that was in force at its time, or under an older one that had not expired by then:
/// who signs may not have heard of the newer. What a roster revokes is the caller's.
pub(super) fn under<T, E>(
    chain: &Chain,
    at: Timestamp,
    open: impl Fn(&Roster) -> Result<T, E>,
) -> Result<(T, &Roster), E> {
    let rosters = chain.rosters().iter().rev().map(|signed| signed.roster());
    let mut why = None;
    let mut oldest = None;
    for roster in rosters {
        oldest = Some(roster);
        if roster.issued_at > at || roster.expires_at <= at {
            continue;
        }
        match open(roster) {
            Ok(opened) => return Ok((opened, roster)),
            Err(error) => why = why.or(Some(error)),
        }
    }
    // Outside of every roster's time: what the first one says of it.
    match why {
        Some(error) => Err(error),
        None => {
            let roster = oldest.unwrap_or_else(|| chain.newest().roster());
            open(roster).map(|opened| (opened, roster))
        }
    }
}
