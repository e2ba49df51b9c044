use hashpact_keys::{KeyUse, NetworkId, Timestamp};

use super::*;
use crate::fingerprint::Algorithm;
use crate::psi::{Artifact, Epoch, Group, SegmentRow, TagBits};
use crate::testing::keys::{CentreSetup, START, network};
use crate::testing::proofs::Sample;
use crate::testing::rng::Seeded;

const COORDS: (GroupId, u8, MatchMode) = (GroupId(0), 3, MatchMode::Items);

fn centre() -> CentreEntry {
    CentreSetup::numbered(0).entry_with(&[KeyUse::Delta, KeyUse::Manifest])
}

fn key() -> ServerKey {
    ServerKey::derive(&[5; 32], b"sample")
}

fn network_id() -> NetworkId {
    network(1, true).0.roster().network
}

fn manifest(change: impl FnOnce(&mut Manifest)) -> Vec<u8> {
    let segment = SegmentRow {
        number: 0,
        added: 8,
        removed: 0,
        bytes: 90,
        chunks: 1,
        root: [5; 32],
        label_root: None,
    };
    let artifact = Artifact {
        kind: COORDS.1,
        mode: COORDS.2,
        key: *key().public().as_bytes(),
        items: 8,
        segments: vec![segment],
    };
    let mut manifest = Manifest {
        network: network_id(),
        origin: centre().origin,
        number: 0,
        epoch: Epoch(1),
        log_size: 4,
        issued_at: START,
        from: START,
        until: Timestamp::new(START.get() + 9),
        bits: TagBits::of(8),
        groups: vec![Group {
            group: COORDS.0,
            classes: vec![ClassId(0)],
            artifacts: vec![artifact],
        }],
    };
    change(&mut manifest);
    let signer = CentreSetup::numbered(0).signer(KeyUse::Manifest);
    manifest.sign(&signer).unwrap()
}

/// Records of a delta with their proofs, and the tags of their SHA-256 under the key.
fn opened(count: u64) -> (Vec<(RecordProof, u8)>, Vec<Tag>) {
    let sample = Sample::new(4, 8, 1);
    let prover = sample.prover();
    let entries = (0..count).map(|n| crate::testing::record(n).entry);
    let opened: Vec<_> = entries
        .map(|entry| (prover.prove(entry).unwrap(), 0))
        .collect();
    let inputs = inputs(&opened, COORDS.1).unwrap();
    let items = key().items(inputs.iter().map(Vec::as_slice));
    let read = Manifest::read_unverified(&manifest(|_| ())).unwrap();
    let space = read.space(COORDS.0, COORDS.1, COORDS.2);
    let mut tagger = Tagger::new(&space, None, read.bits);
    let tags = items.iter().map(|item| tagger.tag(&item.doubled)).collect();
    (opened, tags)
}

fn made(key: &ServerKey) -> (MatchSample, Vec<Tag>) {
    let (opened, tags) = opened(5);
    let made = MatchSample::make(&manifest(|_| ()), COORDS, opened, key, &mut Seeded::new(3));
    (made.unwrap(), tags)
}

#[test]
fn sample_of_what_was_logged_holds_and_names_its_records() {
    let (sample, tags) = made(&key());
    let bytes = sample.to_bytes();
    let read = MatchSample::from_bytes(&bytes).unwrap();
    assert!(read == sample);
    let records = read.verify(&manifest(|_| ()), &centre(), &tags).unwrap();
    let entries: Vec<_> = records.iter().map(|record| record.entry).collect();
    let expected: Vec<_> = (0..5).map(|n| crate::testing::record(n).entry).collect();
    assert_eq!(entries, expected);
    assert!(!format!("{sample:?}").contains("opened: ["));
}

#[test]
fn tag_of_nothing_that_was_logged_is_a_stranger() {
    let (sample, mut tags) = made(&key());
    tags[3].0 ^= 1;
    let stranger = sample.verify(&manifest(|_| ()), &centre(), &tags);
    assert_eq!(stranger, Err(SampleError::Stranger { at: 3 }));
    tags.pop();
    let (expected, got) = (4, 5);
    let count = sample.verify(&manifest(|_| ()), &centre(), &tags);
    assert_eq!(count, Err(SampleError::Count { expected, got }));
}

#[test]
fn another_key_or_manifest_is_not_taken() {
    let (sample, tags) = made(&ServerKey::derive(&[6; 32], b"sample"));
    let proof = sample.verify(&manifest(|_| ()), &centre(), &tags);
    assert_eq!(proof, Err(SampleError::Evaluation(FinishError::Proof)));
    let (sample, tags) = made(&key());
    let other = manifest(|manifest| manifest.number = 1);
    let other = sample.verify(&other, &centre(), &tags);
    assert_eq!(other, Err(SampleError::OtherManifest));
}

#[test]
fn record_of_another_class_network_or_centre_is_not_taken() {
    let (mut sample, tags) = made(&key());
    let mut against = |signed: Vec<u8>| {
        sample.manifest = Sha256::digest(&signed).into();
        sample.verify(&signed, &centre(), &tags)
    };
    let class = ClassId(0);
    let moved = manifest(|manifest| manifest.groups[0].classes = vec![ClassId(1)]);
    assert_eq!(against(moved), Err(SampleError::Class { at: 0, class }));
    let network = manifest(|manifest| manifest.network = NetworkId::new([9; 32]));
    let expected = "records of the manifest's network";
    assert_eq!(against(network), Err(SampleError::Value { expected }));
    let without = CentreSetup::numbered(0).entry_with(&[KeyUse::Manifest]);
    let (sample, tags) = made(&key());
    let record = sample.verify(&manifest(|_| ()), &without, &tags);
    assert!(matches!(record, Err(SampleError::Record { at: 0, .. })));
}

#[test]
fn record_without_such_a_fingerprint_opens_nothing() {
    let (mut opened, _) = opened(2);
    opened[1].1 = 9;
    let none = MatchSample::make(
        &manifest(|_| ()),
        COORDS,
        opened,
        &key(),
        &mut Seeded::new(3),
    );
    assert_eq!(none, Err(SampleError::Fingerprint { at: 1 }));
    assert_eq!(Algorithm::Sha256.code(), Some(COORDS.1));
}

#[test]
fn changed_files_are_refused() {
    let (sample, tags) = made(&key());
    let bytes = sample.to_bytes();
    let (signed, centre) = (manifest(|_| ()), centre());
    // Every eleventh byte: the file is some kilobytes.
    for at in (0..bytes.len()).step_by(11) {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let read = MatchSample::from_bytes(&changed);
        let taken = read.and_then(|read| read.verify(&signed, &centre, &tags));
        assert!(taken.is_err(), "byte {at}");
    }
    assert!(MatchSample::from_bytes(&bytes[..bytes.len() - 1]).is_err());
}
