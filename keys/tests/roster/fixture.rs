//! A network of two centres and one auditor with two of three root keys, from fixed seeds.

use hashpact_keys::chain::{SignedRoster, draft_bytes, sign_roster};
use hashpact_keys::roster::{
    CentreEntry, KeyEntry, KeyUse, Revocation, Roster, RosterDraft, WitnessEntry,
};
use hashpact_keys::{NetworkId, PublicKey, RosterVersion, Signer, Timestamp};

pub(crate) const ISSUED: Timestamp = Timestamp::new(1_000);
pub(crate) const EXPIRES: Timestamp = Timestamp::new(2_000);

/// The key of seed number `n`. Root keys are 1 to 9; the keys of the holder `h` are `10 * h` and above.
pub(crate) fn key(n: u8) -> Signer {
    Signer::from_seed(&[n; 32])
}

pub(crate) fn public(n: u8) -> PublicKey {
    key(n).public()
}

pub(crate) fn entry(use_: KeyUse, n: u8) -> KeyEntry {
    KeyEntry {
        use_,
        key: public(n),
        from: Timestamp::new(100),
        until: None,
    }
}

pub(crate) fn centre(id: &str, jurisdiction: &str, first_key: u8) -> CentreEntry {
    CentreEntry {
        id: id.parse().unwrap(),
        jurisdiction: jurisdiction.parse().unwrap(),
        origin: format!("hashpact.example/{id}/0").parse().unwrap(),
        keys: vec![
            entry(KeyUse::Delta, first_key),
            entry(KeyUse::Log, first_key + 1),
            entry(KeyUse::Node, first_key + 2),
        ],
        addresses: vec![format!("/dns/{id}.example/udp/4001/quic-v1")],
    }
}

pub(crate) fn draft() -> RosterDraft {
    RosterDraft {
        version: RosterVersion::FIRST,
        network: None,
        issued_at: ISSUED,
        expires_at: EXPIRES,
        demo: true,
        threshold: 2,
        root_keys: vec![public(1), public(2), public(3)],
        centres: vec![centre("us", "US", 20), centre("eu", "EU", 10)],
        auditors: vec![WitnessEntry {
            name: "audit.example/w".parse().unwrap(),
            keys: vec![entry(KeyUse::Witness, 30)],
        }],
        witnesses: Vec::new(),
        revocations: vec![Revocation {
            key: public(99).key_id(),
            origin: "hashpact.example/eu/0".parse().unwrap(),
            size: 7,
        }],
    }
}

pub(crate) fn roster() -> Roster {
    Roster::from_draft(draft()).unwrap()
}

/// The roster as signed by the root keys with these seed numbers.
pub(crate) fn signed(roster: &Roster, signers: &[u8]) -> Vec<u8> {
    signers.iter().fold(draft_bytes(roster), |bytes, n| {
        sign_roster(&bytes, &key(*n)).unwrap()
    })
}

pub(crate) fn pin() -> NetworkId {
    roster().network
}

pub(crate) fn first() -> SignedRoster {
    SignedRoster::open_first(&signed(&roster(), &[1, 2]), &pin()).unwrap()
}

/// The version after `last`, changed by `change`.
pub(crate) fn next(last: &SignedRoster, change: impl FnOnce(&mut RosterDraft)) -> Roster {
    let mut draft = last.roster().next_draft(ISSUED, EXPIRES).unwrap();
    change(&mut draft);
    Roster::from_draft(draft).unwrap()
}
