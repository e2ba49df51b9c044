//! Record proofs: every record has one, it holds in one place only, and no byte of it is idle.

use std::collections::BTreeSet;

use hashpact_keys::KeyUse;
use proptest::prelude::*;

use super::super::{Body, Disclosure, Draft, Expected, Retraction, Sealed, withheld_section};
use super::*;
use crate::testing::keys::{CentreSetup, START, network};
use crate::testing::{self, rng::Seeded};

/// A delta with all that a proof is made of.
struct Delta {
    centre: CentreEntry,
    signed: Vec<u8>,
    expected: Expected,
    body: Body,
}

impl Delta {
    /// Classes numbered 0, 3, 6 and so on with these counts, by a centre of these, as this number.
    fn new(setup: &CentreSetup, seq: u64, counts: &[u64], ended: u8) -> Self {
        let mut records = Vec::new();
        for (class, count) in (0..).step_by(3).map(ClassId).zip(counts) {
            let first = records.len() as u64;
            records.extend((first..first + count).map(|n| (class, testing::record(n))));
        }
        let bytes: Vec<_> = records
            .iter()
            .map(|(_, record)| record.to_bytes())
            .collect();
        let items = records.iter().zip(&bytes);
        let items = items.map(|((class, record), bytes)| (*class, record.entry, bytes.as_slice()));
        let ends = (0..ended).map(|n| Retraction {
            entry: EntryId([n; 16]),
            revision: Revision(1),
        });
        let draft = Draft::new(items, ends.collect(), &mut Seeded::new(1)).unwrap();
        let (origin, seq) = (setup.origin.clone(), Seq(seq));
        let Sealed { table, body } = draft.seal(&origin, seq).unwrap();
        let header = Header {
            network: network(1, true).0.roster().network,
            origin: origin.clone(),
            roster_version: hashpact_keys::RosterVersion::FIRST,
            seq,
            prev: [0; 32],
            table: table.root(),
            total: table.records(),
            issued_at: START,
            policy_ref: None,
        };
        Self {
            centre: setup.entry(),
            signed: header.sign(&setup.signer(KeyUse::Delta)),
            expected: Expected {
                origin,
                seq,
                table,
                suspected: BTreeSet::new(),
            },
            body,
        }
    }

    fn of_eu(counts: &[u64], ended: u8) -> Self {
        Self::new(&CentreSetup::numbered(0), 4, counts, ended)
    }

    fn section(&self, class: ClassId) -> &[u8] {
        let sections = self.body.sections();
        let section = sections.iter().find(|section| section.class == class);
        &self.body.bytes()[section.unwrap().range.clone()]
    }

    fn prove(&self, class: ClassId, entry: EntryId) -> RecordProof {
        let section = self.section(class);
        RecordProof::make(&self.signed, &self.expected, class, section, entry).unwrap()
    }

    /// The proof of the record at a place of a class.
    fn proof(&self, class: u16, place: usize) -> RecordProof {
        let class = ClassId(class);
        let mut of_class = self.body.records().filter(|(of, ..)| *of == class);
        let (_, _, record) = of_class.nth(place).unwrap();
        self.prove(class, Record::from_bytes(record).unwrap().entry)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn every_record_of_a_body_is_proven(
        counts in prop::collection::vec(1_u64..60, 1..6),
        ended in 0_u8..3,
    ) {
        let delta = Delta::of_eu(&counts, ended);
        let mut place = std::collections::BTreeMap::new();
        for (class, _, bytes) in delta.body.records() {
            let record = Record::from_bytes(bytes).unwrap();
            let proof = delta.prove(class, record.entry);
            let read = RecordProof::from_bytes(&proof.to_bytes()).unwrap();
            prop_assert_eq!(&read, &proof);
            prop_assert_eq!(read.record(), bytes);
            let next: &mut u64 = place.entry(class).or_default();
            prop_assert_eq!(read.position, *next);
            *next += 1;
            let proven = read.verify(&delta.centre).unwrap();
            prop_assert_eq!(
                (&proven.origin, proven.seq, proven.class, proven.entry, proven.revision),
                (&delta.expected.origin, Seq(4), class, record.entry, record.revision)
            );
            prop_assert_eq!(proven.count, counts[usize::from(class.0 / 3)]);
        }
    }
}

/// Read and verified, as whoever is given a file does it.
fn accepts(bytes: &[u8], centre: &CentreEntry) -> bool {
    RecordProof::from_bytes(bytes).is_ok_and(|proof| proof.verify(centre).is_ok())
}

#[test]
fn any_flipped_bit_is_refused() {
    // Sizes at which a neighbouring count, place or number of rows has paths of the same length.
    for (counts, class, place) in [
        (&[5, 6, 7][..], 3, 2),
        (&[6][..], 0, 5),
        (&[1][..], 0, 0),
        (&[2, 1, 1, 3, 2][..], 6, 0),
    ] {
        let delta = Delta::of_eu(counts, 1);
        let bytes = delta.proof(class, place).to_bytes();
        assert!(accepts(&bytes, &delta.centre));
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut bent = bytes.clone();
                bent[at] ^= 1 << bit;
                assert!(!accepts(&bent, &delta.centre), "byte {at}, bit {bit}");
            }
        }
        for cut in 0..bytes.len() {
            assert!(!accepts(&bytes[..cut], &delta.centre), "{cut} bytes");
        }
        assert!(!accepts(&[&bytes[..], &[0]].concat(), &delta.centre));
    }
}

#[test]
fn a_proof_holds_in_no_other_class_delta_or_log() {
    let (eu, us) = (CentreSetup::numbered(0), CentreSetup::numbered(1));
    let delta = Delta::new(&eu, 4, &[5, 5], 0);
    let proof = delta.proof(0, 2);
    let mut other_class = proof.clone();
    other_class.class = ClassId(3);
    assert_eq!(
        other_class.verify(&delta.centre),
        Err(RecordProofError::Root)
    );
    // The same records as another delta of the same centre: salts alike, place not.
    let mut other_seq = proof.clone();
    other_seq.header = Delta::new(&eu, 5, &[5, 5], 0).signed;
    assert_eq!(other_seq.verify(&delta.centre), Err(RecordProofError::Root));
    let foreign = Delta::new(&us, 4, &[5, 5], 0);
    let mut other_log = proof.clone();
    other_log.header = foreign.signed.clone();
    assert_eq!(
        other_log.verify(&foreign.centre),
        Err(RecordProofError::Root)
    );
    assert!(matches!(
        proof.verify(&foreign.centre),
        Err(RecordProofError::Header(HeaderError::Key(_)))
    ));
    // A centre whose entry names another log than its key signs for.
    let mut renamed = delta.centre.clone();
    renamed.origin = "eu.example/eu/2".parse().unwrap();
    let (expected, got) = (renamed.origin.clone(), delta.centre.origin.clone());
    assert_eq!(
        proof.verify(&renamed),
        Err(RecordProofError::Origin { expected, got })
    );
}

#[test]
fn a_place_that_the_class_does_not_have_is_refused() {
    let delta = Delta::of_eu(&[5, 6], 0);
    let proof = delta.proof(3, 1);
    let bent = |bend: fn(&mut RecordProof)| {
        let mut bent = proof.clone();
        bend(&mut bent);
        bent.verify(&delta.centre).unwrap_err()
    };
    assert_eq!(
        bent(|proof| proof.position = 6),
        RecordProofError::Position {
            position: 6,
            count: 6
        }
    );
    // Same path length, but the class root commits to the count.
    assert_eq!(bent(|proof| proof.count = 7), RecordProofError::Root);
    assert_eq!(
        bent(|proof| proof.count = 12),
        RecordProofError::Count {
            class: ClassId(3),
            got: 12,
            max: 11
        }
    );
    assert_eq!(
        bent(|proof| proof.path.truncate(2)),
        RecordProofError::PathLength {
            expected: 3,
            got: 2
        }
    );
    assert_eq!(
        bent(|proof| proof.turns |= 1 << 2),
        RecordProofError::Turns { rows: 2 }
    );
}

#[test]
fn longer_than_the_bound_or_of_another_version_is_refused() {
    let delta = Delta::of_eu(&[2], 0);
    let mut proof = delta.proof(0, 0);
    let bytes = proof.to_bytes();
    let mut later = bytes.clone();
    later[MAGIC.len() + 2] = 2;
    assert_eq!(
        RecordProof::from_bytes(&later),
        Err(RecordProofError::Version { got: 2 })
    );
    proof.record = vec![0; RecordProof::BYTES_MAX];
    let got = proof.to_bytes().len();
    assert_eq!(
        RecordProof::from_bytes(&proof.to_bytes()),
        Err(RecordProofError::TooLarge { got })
    );
    proof.record = Vec::new();
    proof.path = vec![[0; 32]; PATH_MAX + 1];
    assert_eq!(
        RecordProof::from_bytes(&proof.to_bytes()),
        Err(RecordProofError::Shape)
    );
}

#[test]
fn what_is_withheld_absent_or_changed_is_not_proven() {
    let delta = Delta::of_eu(&[3, 2], 0);
    let proof = delta.proof(0, 0);
    let entry = Record::from_bytes(proof.record()).unwrap().entry;
    let make = |class: u16, section: &[u8]| {
        let class = ClassId(class);
        RecordProof::make(&delta.signed, &delta.expected, class, section, entry).unwrap_err()
    };
    let class = ClassId(0);
    let withheld = withheld_section(&delta.expected.table.classes[0]);
    assert_eq!(make(0, &withheld), MakeRecordProofError::Withheld { class });
    let section = delta.section(class);
    assert_eq!(
        make(3, section),
        MakeRecordProofError::Section { class: ClassId(3) }
    );
    assert_eq!(
        make(1, section),
        MakeRecordProofError::Class { class: ClassId(1) }
    );
    assert_eq!(
        make(3, delta.section(ClassId(3))),
        MakeRecordProofError::Absent {
            class: ClassId(3),
            entry
        }
    );
    // Another seed opens nothing.
    let range = match &delta.body.sections()[0].disclosure {
        Disclosure::Disclosed(range) => range.clone(),
        Disclosure::Withheld | Disclosure::Partial { .. } => panic!("disclosed"),
    };
    let mut bent = section.to_vec();
    bent[range.start - 10] ^= 1;
    assert_eq!(make(0, &bent), MakeRecordProofError::Root { class });
}

#[test]
fn a_record_beside_purged_ones_is_proven_by_the_same_bytes_and_a_purged_one_is_not() {
    let delta = Delta::of_eu(&[13], 0);
    let (origin, seq) = (&delta.expected.origin, delta.expected.seq);
    let entries = delta.body.records();
    let entries = entries.map(|(_, _, record)| Record::from_bytes(record).unwrap().entry);
    let entries: Vec<_> = entries.collect();
    let gone = [1, 2, 3, 8, 12].map(|place| entries[place]).into();
    let bytes = delta.body.punctured(origin, seq, &gone);
    let body = Body::verify(bytes, &delta.expected).unwrap();
    let class = ClassId(0);
    let section = &body.bytes()[body.sections()[0].range.clone()];
    let prover = RecordProver::new(&delta.signed, &delta.expected, class, section).unwrap();
    for entry in entries {
        if gone.contains(&entry) {
            let absent = MakeRecordProofError::Absent { class, entry };
            assert_eq!(prover.prove(entry), Err(absent));
        } else {
            assert_eq!(prover.prove(entry), Ok(delta.prove(class, entry)));
        }
    }
}

#[test]
fn debug_shows_no_byte_of_the_record() {
    let proof = Delta::of_eu(&[3], 0).proof(0, 1);
    let shown = format!("{proof:?}");
    assert_eq!(
        shown,
        "RecordProof { class: ClassId(0), position: 1, count: 3, .. }"
    );
}
