//! Facts from a record that its origin signed for and from files of attestations, and what is refused among them.

use std::collections::BTreeSet;
use std::path::PathBuf;

use hashpact_keys::{KeyUse, RosterVersion, SignedRoster, Timestamp};
use hashpact_protocol::assess::{Attestation, Count, EntryFacts, OpenDispute, Severity, Subject};
use hashpact_protocol::delta::{Draft, Expected, Header, RecordProof, Sealed, Seq};
use hashpact_protocol::labels::{ClassId, Depiction, Labels, State};
use hashpact_protocol::lists::Set;
use hashpact_protocol::record::{Flag, PubertalStage, Record};
use hashpact_protocol::testing::attestations::{NOW, attestation};
use hashpact_protocol::testing::keys::{CentreSetup, START, assessing_network, next_roster};
use hashpact_protocol::testing::rng::Seeded;
use hashpact_protocol::testing::{classified, labels, record};

use super::{Entry, EntryError, Known, Said, read};
use crate::armor::Kind;

/// A network, and a record that its first centre signed for among others.
struct Sample {
    roster: SignedRoster,
    centres: Vec<CentreSetup>,
    proof: RecordProof,
    labels: Labels,
    said: Said,
    folder: tempfile::TempDir,
}

impl Sample {
    fn of(record: Record, labels: Labels) -> Self {
        let (roster, centres) = assessing_network();
        let origin = centres[0].origin.clone();
        let all = [record.clone(), self::record(2)].map(|it| (it.entry, it.to_bytes()));
        let items = all
            .iter()
            .map(|(entry, bytes)| (ClassId(0), *entry, &bytes[..]));
        let draft = Draft::new(items, Vec::new(), &mut Seeded::new(1)).unwrap();
        let Sealed { table, body } = draft.seal(&origin, Seq(0)).unwrap();
        let header = Header {
            network: roster.roster().network,
            origin,
            roster_version: RosterVersion::FIRST,
            seq: Seq(0),
            prev: [0; 32],
            table: table.root(),
            total: table.records(),
            issued_at: START,
            policy_ref: None,
        };
        let header = header.sign(&centres[0].signer(KeyUse::Delta));
        let section = &body.bytes()[body.sections()[0].range.clone()];
        let expected = Expected {
            origin: centres[0].origin.clone(),
            seq: Seq(0),
            table,
            suspected: BTreeSet::new(),
        };
        let proof = RecordProof::make(&header, &expected, ClassId(0), section, record.entry);
        let proof = proof.unwrap();
        Self {
            roster,
            centres,
            proof,
            labels,
            said: Said::default(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// An entry of the baseline, as its origin states it.
    fn of_the_baseline() -> Self {
        let mut record = record(1);
        record.fields.features[0] = Flag::Yes;
        record.fields.pubertal_stage = Set::of(&[PubertalStage::Prepubertal]);
        Self::of(record, Self::assessed())
    }

    fn assessed() -> Labels {
        Labels {
            state: State::Assessed,
            depiction: Set::of(&[Depiction::Real]),
            ..labels()
        }
    }

    fn entry(&self) -> Entry {
        let roster = self.roster.roster();
        let origin = roster.centre(&self.centres[0].id).unwrap();
        Entry::prove(&self.proof, origin, roster).unwrap()
    }

    /// A file in which a person of centre `by` attests the entry; `change` may spoil it.
    fn file(&self, by: usize, change: impl FnOnce(&mut Attestation)) -> PathBuf {
        let network = self.roster.roster().network;
        let (origin, centre) = (&self.centres[0], &self.centres[by]);
        let mut one = attestation(network, origin, centre, 1);
        one.subject = self.entry().subject.clone();
        change(&mut one);
        let signed = one.sign(&centre.signer(KeyUse::Attest)).unwrap();
        let path = self.folder.path().join(format!("{by}.txt"));
        std::fs::write(&path, Kind::Attestation.wrap(&signed)).unwrap();
        path
    }

    fn known(&self, files: &[PathBuf]) -> Result<Known, EntryError> {
        let entry = self.entry();
        let attested = entry.attestations(files, self.roster.roster(), NOW)?;
        Ok(entry.known(&self.labels, &attested, &self.said))
    }
}

#[test]
fn two_people_of_two_countries_make_a_quorum_and_the_baseline_and_one_does_not() {
    let sample = Sample::of_the_baseline();
    let files = [sample.file(1, |_| ()), sample.file(2, |_| ())];
    let facts = |quorum| EntryFacts {
        state: State::Assessed,
        quorum,
        baseline: quorum,
        hold: false,
    };
    for (given, assessors) in [(&files[..0], 0), (&files[..1], 1), (&files[..], 2)] {
        let known = sample.known(given).unwrap();
        let (centres, countries) = (assessors, assessors);
        let count = Count {
            assessors,
            centres,
            countries,
        };
        assert_eq!(known.facts, facts(assessors == 2));
        assert_eq!(known.count, count);
        assert_eq!(known.severity, Set::of(&[Severity::S1, Severity::S2]));
    }
    assert_eq!(sample.entry().class(), ClassId(0));
}

#[test]
fn a_machines_opinion_is_suspected_whoever_attests_it() {
    let sample = Sample::of(classified(1), Sample::assessed());
    let known = sample
        .known(&[sample.file(1, |_| ()), sample.file(2, |_| ())])
        .unwrap();
    assert_eq!(
        (known.facts.state, known.facts.baseline),
        (State::Suspected, false)
    );
}

#[test]
fn an_attestation_of_another_record_a_forged_one_and_a_file_of_something_else_are_told() {
    let sample = Sample::of_the_baseline();
    let good = sample.file(1, |_| ());
    let another = sample.file(2, |one| one.subject.leaf[0] ^= 1);
    let refused = sample.known(&[good.clone(), another.clone()]).unwrap_err();
    assert!(matches!(refused, EntryError::Another { path } if path == another));
    let later = sample.file(2, |one| one.subject.revision.0 = 2);
    assert!(matches!(
        sample.known(&[later]),
        Err(EntryError::Another { .. })
    ));
    let text = std::fs::read_to_string(&good).unwrap();
    std::fs::write(&good, text.replace("ATTESTATION", "ROSTER")).unwrap();
    assert!(matches!(
        sample.known(std::slice::from_ref(&good)),
        Err(EntryError::Armor { .. })
    ));
    let abroad = sample.file(2, |one| {
        one.country = sample.centres[3].jurisdiction.clone()
    });
    assert!(matches!(
        sample.known(&[abroad]),
        Err(EntryError::Attestation { .. })
    ));
    let none = sample.folder.path().join("none");
    assert!(matches!(sample.known(&[none]), Err(EntryError::Io { .. })));
}

#[test]
fn a_record_of_a_revoked_key_or_another_origin_has_no_facts() {
    let sample = Sample::of_the_baseline();
    let roster = sample.roster.roster();
    let other = roster.centre(&sample.centres[1].id).unwrap();
    assert!(matches!(
        Entry::prove(&sample.proof, other, roster),
        Err(EntryError::Proof(_))
    ));
    let key = sample.centres[0].signer(KeyUse::Delta).public().key_id();
    let now = Timestamp::new(START.get() + 60);
    let revoked = next_roster(&sample.roster, now, |draft| {
        let origin = sample.centres[0].origin.clone();
        let revocation = hashpact_keys::roster::Revocation {
            key,
            origin,
            size: 0,
        };
        draft.revocations.push(revocation);
    });
    let roster = revoked.roster();
    let origin = roster.centre(&sample.centres[0].id).unwrap();
    let refused = Entry::prove(&sample.proof, origin, roster);
    assert!(matches!(refused, Err(EntryError::Revoked { key: got }) if got == key));
    let other = Subject::from(&sample.proof.verify(origin).unwrap());
    assert_eq!(other, sample.entry().subject);
}

#[test]
fn a_hold_and_disputes_that_the_node_knows_decide_with_the_attestations_that_it_keeps() {
    let mut sample = Sample::of_the_baseline();
    let files = [sample.file(1, |_| ()), sample.file(2, |_| ())];
    let kept = files.each_ref().map(|file| read(file).unwrap());
    let open = |centre: usize| OpenDispute {
        centre: sample.centres[centre].id.clone(),
        country: sample.centres[centre].jurisdiction.clone(),
    };
    let disputes = vec![open(1), open(2)];
    sample.said = Said {
        attestations: kept.to_vec(),
        disputes,
        hold: true,
    };
    let entry = sample.entry();
    let roster = sample.roster.roster();
    let attested = entry.kept(&sample.said, roster, NOW);
    assert_eq!(attested.len(), 2);
    let known = entry.known(&sample.labels, &attested, &sample.said);
    assert!(known.facts.hold && known.facts.quorum);
    assert_eq!(known.facts.state, State::Disputed);
    // What does not open is passed over, and counts for nobody.
    sample.said.attestations[0][20] ^= 1;
    assert_eq!(sample.entry().kept(&sample.said, roster, NOW).len(), 1);
}
