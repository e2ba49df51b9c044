//! Whose word counts: revoked keys, missing witnesses, other networks.

use hashpact_keys::WitnessName;
use hashpact_keys::roster::{KeyEntry, Revocation, WitnessEntry};
use hashpact_protocol::testing::keys::{CentreSetup, START, network};
use hashpact_protocol::testing::proofs::Sample;

use super::*;

/// A delta as leaf 50 of 100.
struct Fixture {
    log: Given,
    record: Given,
    roster: Roster,
}

fn given(kind: Proof, bytes: Vec<u8>, leaf: &[u8]) -> Given {
    Given {
        file: PathBuf::from(kind.name()),
        kind,
        bytes,
        leaf: leaf.to_vec(),
    }
}

impl Fixture {
    fn new(witnesses: usize) -> Self {
        let sample = Sample::new(100, 20, witnesses);
        let log = sample.prove_leaf().to_text().into_bytes();
        let record = sample.prover().prove(sample.entry()).unwrap().to_bytes();
        Self {
            log: given(Proof::Log, log, sample.leaf()),
            record: given(Proof::Record, record, &[]),
            roster: network(1, true).0.roster().clone(),
        }
    }

    fn revoke(&mut self, use_: KeyUse, size: u64) -> KeyId {
        let setup = CentreSetup::numbered(0);
        let (key, origin) = (setup.signer(use_).public().key_id(), setup.origin);
        self.roster.revocations = vec![Revocation { key, origin, size }];
        key
    }

    fn checker(&self) -> Checker<'_> {
        Checker {
            roster: &self.roster,
            now: Timestamp::new(START.get() + 10),
            logged: Vec::new(),
        }
    }

    /// The log proof alone, the record proof alone, and the record proof behind the log proof.
    fn revoked(&self) -> [Option<u64>; 3] {
        let from = |shown: Result<String, Refusal>| match shown {
            Ok(_) => None,
            Err(Refusal::Revoked { from, .. }) => Some(from),
            Err(other) => panic!("{other}"),
        };
        let mut checker = self.checker();
        let alone = from(checker.record_proof(&self.record));
        let log = from(checker.log_proof(&self.log));
        [log, alone, from(checker.record_proof(&self.record))]
    }
}

#[test]
fn a_revoked_delta_key_counts_only_for_leaves_that_are_shown_to_be_below() {
    let mut fixture = Fixture::new(0);
    assert_eq!(fixture.revoked(), [None; 3]);
    fixture.revoke(KeyUse::Delta, 50);
    assert_eq!(fixture.revoked(), [Some(50); 3]);
    fixture.revoke(KeyUse::Delta, 51);
    assert_eq!(fixture.revoked(), [None, Some(51), None]);
}

#[test]
fn a_revoked_log_key_counts_for_checkpoints_up_to_its_size() {
    let mut fixture = Fixture::new(0);
    fixture.revoke(KeyUse::Log, 99);
    assert_eq!(fixture.revoked()[0], Some(99));
    fixture.revoke(KeyUse::Log, 100);
    assert_eq!(fixture.revoked()[0], None);
}

#[test]
fn a_proof_without_its_witnesses_shows_nothing() {
    let witness = CentreSetup::numbered(1);
    let name: WitnessName = "us.example/us/witness".parse().unwrap();
    let key = KeyEntry {
        use_: KeyUse::Witness,
        key: witness.signer(KeyUse::Witness).public(),
        from: START,
        until: None,
    };
    for (cosigned, quorum) in [(0, 1), (1, 1)] {
        let mut fixture = Fixture::new(cosigned);
        let keys = vec![key.clone()];
        let name = name.clone();
        fixture.roster.auditors = vec![WitnessEntry { name, keys }];
        let mut checker = fixture.checker();
        match checker.log_proof(&fixture.log) {
            Ok(text) => assert!(cosigned == quorum, "{text}"),
            Err(Refusal::NotWitnessed { got, quorum: of }) => {
                assert_eq!((got, of), (0, quorum));
                assert!(cosigned < quorum && checker.logged.is_empty());
            }
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn a_proof_of_another_network_shows_nothing() {
    let mut fixture = Fixture::new(0);
    fixture.roster.network = NetworkId::new([7; 32]);
    let mut checker = fixture.checker();
    assert!(matches!(
        checker.log_proof(&fixture.log),
        Err(Refusal::Network { .. })
    ));
    assert!(matches!(
        checker.record_proof(&fixture.record),
        Err(Refusal::Network { .. })
    ));
}

#[test]
fn a_centre_that_is_not_on_the_roster_shows_nothing() {
    let mut fixture = Fixture::new(0);
    fixture.roster.centres = vec![CentreSetup::numbered(1).entry()];
    let mut checker = fixture.checker();
    assert!(matches!(
        checker.log_proof(&fixture.log),
        Err(Refusal::NoCentre { .. })
    ));
    assert!(matches!(
        checker.record_proof(&fixture.record),
        Err(Refusal::NoHolder { .. })
    ));
}
