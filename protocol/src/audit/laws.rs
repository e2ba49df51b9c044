//! Whether a policy document in a log holds: who signed it, that it is the next one, and that it can be read.
//!
//! A document that does not hold still stands in the log, and whoever obeys the log obeys it: one that cannot be read
//! denies everything. In scope: one document after the other. Out of scope: what they allow (`replay`), which of them a
//! delta names (`leaves`).

use std::sync::Arc;

use hashpact_keys::{Origin, Roster, Timestamp};

use super::chain::Chain;
use super::finding::FindingKind;
use crate::limits;
use crate::policy::{Logged, PolicyDocument, Profile};
use crate::verify::LeafFault;

/// A policy document as an audit read it.
#[derive(Clone, Debug)]
pub struct ReadPolicy {
    /// Its leaf, when it was issued, and what it says: nothing, if it does not hold.
    pub logged: Logged,
    /// Its version; none if it cannot be read at all.
    pub version: Option<u64>,
}

/// Reads the policy documents of a log, in order.
pub(super) struct Laws {
    /// The version that comes next; any after a lost leaf.
    next: Option<u64>,
}

impl Laws {
    pub(super) fn new() -> Self {
        Self { next: Some(1) }
    }

    /// A leaf was lost: it may have been a document.
    pub(super) fn lost(&mut self) {
        self.next = None;
    }

    /// Judges one document. `rosters` are those that may list its keys, oldest first.
    pub(super) fn read<'a>(
        &mut self,
        (index, signed): (u64, &[u8]),
        (chain, origin, now): (&Chain, &Origin, Timestamp),
        rosters: impl Iterator<Item = &'a Roster>,
        found: &mut impl FnMut(FindingKind),
    ) -> ReadPolicy {
        let denies = |issued_at| Logged {
            index,
            issued_at,
            profile: None,
        };
        let document = match PolicyDocument::read_unverified(signed) {
            Ok(document) => document,
            Err(error) => {
                found(FindingKind::Policy(error));
                self.lost();
                return ReadPolicy {
                    logged: denies(Timestamp::new(0)),
                    version: None,
                };
            }
        };
        let mut holds = true;
        let mut fails = |kind| {
            holds = false;
            found(kind);
        };
        if let Some(kind) = signatures(signed, index, chain, origin, rosters) {
            fails(kind);
        }
        let expected = chain.newest().roster().network;
        if document.network != expected {
            let got = document.network;
            fails(FindingKind::Leaf(LeafFault::Network { expected, got }));
        }
        let got = document.version;
        if let Some(expected) = self.next.filter(|expected| *expected != got) {
            fails(FindingKind::PolicyVersion { expected, got });
        }
        self.next = Some(got.saturating_add(1));
        let got = document.issued_at;
        if got.get() > now.get().saturating_add(limits::CLOCK_SKEW_S) {
            fails(FindingKind::Leaf(LeafFault::Future { now, got }));
        }
        let profile = match document.profile() {
            Ok(profile) => Some(profile),
            Err(faults) => {
                let more = faults.len().saturating_sub(1);
                if let Some(first) = faults.into_iter().next() {
                    fails(FindingKind::PolicyFault { first, more });
                }
                None
            }
        };
        if let Some(profile) = &profile {
            stands(profile, chain, origin, &mut fails);
        }
        let logged = Logged {
            profile: profile.filter(|_| holds).map(Arc::<Profile>::new),
            ..denies(document.issued_at)
        };
        ReadPolicy {
            logged,
            version: Some(document.version),
        }
    }
}

/// What is wrong with its signatures. A document names no roster: any from the one that the log had logged last on may list
/// its keys. What the newest revokes counts from the leaf that it names.
fn signatures<'a>(
    signed: &[u8],
    index: u64,
    chain: &Chain,
    origin: &Origin,
    rosters: impl Iterator<Item = &'a Roster>,
) -> Option<FindingKind> {
    let newest = chain.newest().roster();
    let mut why = FindingKind::NotOnRoster {
        version: newest.version,
    };
    let mut opened = false;
    for centre in rosters.filter_map(|roster| roster.by_origin(origin)) {
        match PolicyDocument::open(signed, centre) {
            Ok(_) => {
                opened = true;
                break;
            }
            Err(error) => why = FindingKind::Policy(error),
        }
    }
    if !opened {
        return Some(why);
    }
    let signers = match PolicyDocument::signers(signed) {
        Ok(signers) => signers,
        Err(error) => return Some(FindingKind::Policy(error)),
    };
    let mut revoked = signers.into_iter().filter_map(|key| {
        let from = newest.revoked_from(&key, origin)?;
        (index >= from).then_some(LeafFault::Revoked { key, from })
    });
    revoked.next().map(FindingKind::Leaf)
}

/// Whether a profile may speak for its centre, as centres read it: it is written for the centre's law, and on a network that
/// is no demonstration counsel signed it off.
fn stands(profile: &Profile, chain: &Chain, origin: &Origin, fails: &mut impl FnMut(FindingKind)) {
    let Some(centre) = chain.logs().remove(origin) else {
        return;
    };
    let (expected, got) = (centre.jurisdiction, profile.jurisdiction());
    if *got != expected {
        let got = got.clone();
        fails(FindingKind::PolicyLaw { expected, got });
    }
    if !chain.newest().roster().demo && profile.signed_off().is_none() {
        fails(FindingKind::PolicyNotSignedOff);
    }
}
