//! Networks with keys from fixed seeds: the same names, keys and roster bytes in every run.
//!
//! In scope: centres, their rosters and how one roster follows another, by way of enrolments as real centres use them.
//! Out of scope: secrecy; whoever reads this file knows every key.

use hashpact_keys::chain::{draft_bytes, sign_roster};
use hashpact_keys::enrolment::Enrolment;
use hashpact_keys::roster::{CentreEntry, KeyEntry, Roster, RosterDraft, WitnessEntry};
use hashpact_keys::{
    CentreId, Jurisdiction, KeyUse, Origin, RosterVersion, SignedRoster, Signer, Timestamp,
};

use crate::centre::CentreKeys;

/// The time at which tests begin.
pub const START: Timestamp = Timestamp::new(1_800_000_000);
/// Seconds from [`START`] until the first roster expires.
pub const LIFETIME_S: u64 = 30 * 86_400;
/// Root keys of every network here, and how many of them must sign.
const ROOTS: (u64, u8) = (3, 2);

/// What makes one centre: its names, and keys that are made anew from a seed whenever they are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CentreSetup {
    /// Its name.
    pub id: CentreId,
    /// The law that it works under.
    pub jurisdiction: Jurisdiction,
    /// The log that it writes.
    pub origin: Origin,
}

impl CentreSetup {
    /// Centre number `n`, from 0: eu, us, ca, au, then invented ones.
    ///
    /// # Panics
    /// Never: the names parse.
    #[must_use]
    #[expect(clippy::unwrap_used, reason = "constants, and numbers in between")]
    pub fn numbered(n: usize) -> Self {
        let known = ["eu", "us", "ca", "au"];
        let id = known
            .get(n)
            .map_or_else(|| format!("x{n}"), |id| (*id).to_owned());
        let letter = char::from(b'A' + u8::try_from(n % 26).unwrap());
        let jurisdiction = known
            .get(n)
            .map_or_else(|| format!("X{letter}"), |id| id.to_ascii_uppercase());
        Self {
            origin: format!("{id}.example/{id}/1").parse().unwrap(),
            jurisdiction: jurisdiction.parse().unwrap(),
            id: id.parse().unwrap(),
        }
    }

    /// The key of this centre for a use.
    #[must_use]
    pub fn signer(&self, use_: KeyUse) -> Signer {
        signer(&format!("{} {}", self.id, use_.code()))
    }

    /// The keys that the core signs with.
    #[must_use]
    pub fn keys(&self) -> CentreKeys {
        CentreKeys {
            delta: self.signer(KeyUse::Delta),
            log: self.signer(KeyUse::Log),
            witness: self.signer(KeyUse::Witness),
            mirror: self.signer(KeyUse::Mirror),
            attest: self.signer(KeyUse::Attest),
        }
    }

    /// Its entry for a roster, by way of a signed enrolment; the keys are valid from an hour before [`START`].
    ///
    /// # Panics
    /// Never: an enrolment made here opens.
    #[must_use]
    pub fn entry(&self) -> CentreEntry {
        self.entry_with(&[KeyUse::Delta, KeyUse::Log, KeyUse::Node])
    }

    /// As [`CentreSetup::entry`], of a centre that witnesses and mirrors.
    #[must_use]
    pub fn witnessing_entry(&self) -> CentreEntry {
        use KeyUse::{Delta, Log, Mirror, Node, Witness};
        self.entry_with(&[Delta, Log, Witness, Mirror, Node])
    }

    /// As [`CentreSetup::entry`], of a centre whose people assess.
    #[must_use]
    pub fn assessing_entry(&self) -> CentreEntry {
        use KeyUse::{Attest, Delta, Log, Node};
        self.entry_with(&[Delta, Log, Attest, Node])
    }

    /// As [`CentreSetup::witnessing_entry`], of a centre that may log match manifests, and policies: two keys sign these.
    #[must_use]
    pub fn governed_entry(&self) -> CentreEntry {
        use KeyUse::{Delta, Log, Manifest, Mirror, Node, Witness};
        let mut entry = self.entry_with(&[Delta, Log, Witness, Mirror, Manifest, Node]);
        super::documents::list_keys(&mut entry, self);
        entry
    }

    /// As [`CentreSetup::governed_entry`], of a centre whose people assess.
    ///
    /// # Panics
    /// Never: an enrolment made here opens.
    #[must_use]
    pub fn attesting_entry(&self) -> CentreEntry {
        use KeyUse::{Attest, Delta, Log, Manifest, Mirror, Node, Witness};
        let uses = [Delta, Log, Witness, Mirror, Manifest, Attest, Node];
        let mut entry = self.entry_with(&uses);
        super::documents::list_keys(&mut entry, self);
        entry
    }

    /// Its entry with these keys only.
    ///
    /// # Panics
    /// Never: an enrolment made here opens.
    #[must_use]
    #[expect(clippy::unwrap_used, reason = "made and opened in one place")]
    pub fn entry_with(&self, uses: &[KeyUse]) -> CentreEntry {
        let signers: Vec<_> = uses
            .iter()
            .map(|use_| (*use_, self.signer(*use_)))
            .collect();
        let keys: Vec<_> = signers
            .iter()
            .map(|(use_, signer)| (*use_, signer))
            .collect();
        let (id, law, origin) = (
            self.id.clone(),
            self.jurisdiction.clone(),
            self.origin.clone(),
        );
        let bytes = Enrolment::sign(id, law, origin, Vec::new(), &keys).unwrap();
        let from = Timestamp::new(START.get() - 3_600);
        Enrolment::open(&bytes).unwrap().centre_entry(from, None)
    }
}

fn signer(what: &str) -> Signer {
    Signer::from_seed(blake3::hash(format!("synthetic key {what}").as_bytes()).as_bytes())
}

/// The root key with this number, from 0 to 2.
#[must_use]
pub fn root(n: u64) -> Signer {
    signer(&format!("root {n}"))
}

/// A network of `n` centres: its first roster, and the centres in the order of their numbers.
///
/// # Panics
/// If `n` is 0 or more than a roster holds.
#[must_use]
pub fn network(n: usize, demo: bool) -> (SignedRoster, Vec<CentreSetup>) {
    network_of(numbered(n), demo, CentreSetup::entry)
}

/// As [`network`], where every centre witnesses and mirrors the others, and one auditor named [`AUDITOR`] does too.
///
/// # Panics
/// If `n` is 0 or more than a roster holds.
#[must_use]
pub fn witnessed_network(n: usize, demo: bool) -> (SignedRoster, Vec<CentreSetup>) {
    network_of(numbered(n), demo, CentreSetup::witnessing_entry)
}

/// As [`network`], of five centres whose people assess; the last is a second one under the law of the first.
///
/// # Panics
/// Never: a roster holds five.
#[must_use]
pub fn assessing_network() -> (SignedRoster, Vec<CentreSetup>) {
    let mut centres = numbered(5);
    centres[4].jurisdiction = centres[0].jurisdiction.clone();
    network_of(centres, true, CentreSetup::assessing_entry)
}

fn numbered(n: usize) -> Vec<CentreSetup> {
    (0..n).map(CentreSetup::numbered).collect()
}

/// As [`witnessed_network`], where every centre may log policies and match manifests.
///
/// # Panics
/// If `n` is 0 or more than a roster holds.
#[must_use]
pub fn governed_network(n: usize, demo: bool) -> (SignedRoster, Vec<CentreSetup>) {
    network_of(numbered(n), demo, CentreSetup::governed_entry)
}

/// As [`governed_network`], where people of every centre assess.
///
/// # Panics
/// If `n` is 0 or more than a roster holds.
#[must_use]
pub fn attesting_network(n: usize) -> (SignedRoster, Vec<CentreSetup>) {
    network_of(numbered(n), true, CentreSetup::attesting_entry)
}

/// The name of the auditor that witnesses.
pub const AUDITOR: &str = "auditor.example/w1";

/// The auditor's witness key.
#[must_use]
pub fn auditor() -> Signer {
    signer("auditor")
}

#[expect(clippy::unwrap_used, reason = "made and opened in one place")]
fn network_of(
    centres: Vec<CentreSetup>,
    demo: bool,
    entry: fn(&CentreSetup) -> CentreEntry,
) -> (SignedRoster, Vec<CentreSetup>) {
    let witnessing = centres
        .iter()
        .map(entry)
        .any(|entry| entry.keys_of(KeyUse::Witness).next().is_some());
    let auditors = WitnessEntry {
        name: AUDITOR.parse().unwrap(),
        keys: vec![KeyEntry {
            use_: KeyUse::Witness,
            key: auditor().public(),
            from: Timestamp::new(START.get() - 3_600),
            until: None,
        }],
    };
    let auditors = if witnessing {
        vec![auditors]
    } else {
        Vec::new()
    };
    let draft = RosterDraft {
        version: RosterVersion::FIRST,
        network: None,
        issued_at: Timestamp::new(START.get() - 3_600),
        expires_at: Timestamp::new(START.get() + LIFETIME_S),
        demo,
        threshold: ROOTS.1,
        root_keys: (0..ROOTS.0).map(|n| root(n).public()).collect(),
        centres: centres.iter().map(entry).collect(),
        auditors,
        witnesses: Vec::new(),
        revocations: Vec::new(),
    };
    let roster = Roster::from_draft(draft).unwrap();
    let first = SignedRoster::open_first(&sign(&roster, &[0, 1]), &roster.network).unwrap();
    (first, centres)
}

/// The version after `last`, issued at `now`, changed by `change`.
///
/// # Panics
/// If what `change` makes of it is no roster.
#[must_use]
#[expect(clippy::unwrap_used, reason = "a test that makes no roster is wrong")]
pub fn next_roster(
    last: &SignedRoster,
    now: Timestamp,
    change: impl FnOnce(&mut RosterDraft),
) -> SignedRoster {
    let expires_at = Timestamp::new(now.get() + LIFETIME_S);
    let mut draft = last.roster().next_draft(now, expires_at).unwrap();
    change(&mut draft);
    let roster = Roster::from_draft(draft).unwrap();
    last.succeed(&sign(&roster, &[0, 1])).unwrap()
}

/// A roster as signed by the root keys with these numbers.
///
/// # Panics
/// If a number stands twice.
#[must_use]
#[expect(clippy::unwrap_used, reason = "a test that signs twice is wrong")]
pub fn sign(roster: &Roster, roots: &[u64]) -> Vec<u8> {
    let signed = |bytes: Vec<u8>, n: &u64| sign_roster(&bytes, &root(*n)).unwrap();
    roots.iter().fold(draft_bytes(roster), signed)
}
