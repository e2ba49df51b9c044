//! Files, notes and rosters that somebody changed: each is found, and named.

use hashpact_keys::chain::RosterError;
use hashpact_keys::{KeyUse, NetworkId, RosterVersion, Signer, Timestamp};
use hashpact_protocol::audit::{Chain, CheckpointFault, Counts, FindingKind, HistoryFault, Place};
use hashpact_protocol::log::{CheckpointError, ForkError, ForkProof, NoteError, SignedNote};
use hashpact_protocol::testing::keys::START;

use hashpact_protocol::testing::published::{
    AUDITOR, NOW, Published, at, at_checkpoint, at_history, delta, file, leaf,
};

#[test]
fn a_log_that_holds_is_summed_up_and_nothing_is_found() {
    let published = Published::with_deltas(260);
    let audit = published.audit();
    assert_eq!(audit.found(), []);
    let summary = audit.summary.unwrap();
    let counts = Counts {
        deltas: 260,
        records: 780,
        retractions: 260,
    };
    assert_eq!(
        (summary.size, summary.total, summary.classes),
        (262, counts, 1)
    );
    assert_eq!(summary.root, Some(published.root()));
    assert_eq!(summary.roster, Some(RosterVersion::FIRST));
    assert_eq!(summary.months.into_values().collect::<Vec<_>>(), [counts]);
    assert_eq!(summary.first_delta_at, Some(START));
    assert_eq!((summary.notes, summary.failures), (3, 0));
    let witness = &summary.witnesses[AUDITOR];
    assert_eq!((witness.cosigned, witness.missed), (3, 0));
    // Of the first note, below which there is no header, no latency is known.
    assert_eq!(witness.latency.max(), Some(19));
    let receipts = summary.receipts.unwrap();
    assert_eq!(receipts.cosigned, [("us".to_owned(), at(1))]);
    assert_eq!(receipts.missing, ["au", "ca"]);
    let sizes: Vec<_> = audit.notes.iter().map(|note| note.size).collect();
    assert_eq!(sizes, [2, 3, 262]);
    assert_eq!(audit.deltas.len(), 260);
    // Both levels of the tree were compared.
    assert!(audit.read.contains("tile/1/000.p/1") && audit.read.contains("tile/0/001.p/6"));
}

#[test]
fn a_truncated_tile_is_named() {
    let mut published = Published::with_deltas(260);
    published.files.get_mut("tile/0/000").unwrap().pop();
    let kind = FindingKind::TileWidth {
        expected: 8_192,
        got: 8_191,
    };
    assert_eq!(published.audit().found(), [(file("tile/0/000"), kind)]);
}

#[test]
fn a_tile_of_the_wrong_width_is_named() {
    let mut published = Published::with_deltas(260);
    // Width 5 where the size calls for 6: under its own name it is missing, under the other's it is short.
    let narrow = published.files["tile/0/001.p/5"].clone();
    published.files.remove("tile/0/001.p/6");
    let missing = (file("tile/0/001.p/6"), FindingKind::FileMissing);
    assert_eq!(published.audit().found(), [missing]);
    published.files.insert("tile/0/001.p/6".to_owned(), narrow);
    let kind = FindingKind::TileWidth {
        expected: 192,
        got: 160,
    };
    assert_eq!(published.audit().found(), [(file("tile/0/001.p/6"), kind)]);
}

#[test]
fn a_flipped_bit_in_a_tile_is_the_tiles_and_no_leaf_is_blamed() {
    for (path, byte, hash) in [
        ("tile/0/000", 32 * 17 + 3, 17),
        ("tile/0/001.p/6", 32 * 2, 2),
        ("tile/1/000.p/1", 9, 0),
    ] {
        let mut published = Published::with_deltas(260);
        published.files.get_mut(path).unwrap()[byte] ^= 4;
        let kind = FindingKind::TileHash { at: hash };
        assert_eq!(published.audit().found(), [(file(path), kind)], "{path}");
    }
}

#[test]
fn a_flipped_bit_in_a_bundle_is_the_leafs() {
    for (path, index) in [("tile/entries/000", 255), ("tile/entries/001.p/6", 261)] {
        let mut published = Published::with_deltas(260);
        // The last byte of the last leaf: of its retraction root, which the header commits to.
        *published.files.get_mut(path).unwrap().last_mut().unwrap() ^= 1;
        let found = published.audit().found();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.contains(&(leaf(index), FindingKind::LeafHash)));
        let walked = found
            .iter()
            .any(|(place, _)| *place == delta(index, index - 2));
        assert!(walked, "{found:?}");
    }
}

#[test]
fn a_truncated_or_missing_bundle_spoils_no_root_and_no_sequence_behind_it() {
    let mut published = Published::with_deltas(260);
    published.files.get_mut("tile/entries/000").unwrap().pop();
    let kind = FindingKind::Bundle { expected: 256 };
    let place = file("tile/entries/000");
    assert_eq!(published.audit().found(), [(place.clone(), kind)]);
    published.files.remove("tile/entries/000");
    let found = published.audit().found();
    assert_eq!(found, [(place, FindingKind::FileMissing)]);
}

#[test]
fn a_checkpoint_of_absurd_size_ends() {
    let mut published = Published::with_deltas(1);
    let head = published.forge.sign(1 << 47, [9; 32]);
    let mut note = SignedNote::parse(head.note()).unwrap();
    published.cosign(&mut note, &[1, 2, 3], true);
    published.publish_note(&note.to_bytes());
    let found = published.audit().found();
    let size = 1 << 47;
    assert!(found.contains(&(Place::Log, FindingKind::Unread { from: 0, size })));
    assert!(found.len() < 50, "{}", found.len());
}

#[test]
fn a_note_under_a_wrong_key_is_refused() {
    let mut published = Published::with_deltas(1);
    let text = published.head().text().to_owned();
    let stranger = Signer::from_seed(&[5; 32]);
    let name = published.centres[0].origin.as_str().to_owned();
    let mut note = SignedNote::sign(&text, &name, &stranger);
    published.cosign(&mut note, &[1, 2, 3], true);
    let key_id = published_key_id(&note);
    published.checkpoint = Some(note.to_bytes());
    let origin = published.centres[0].origin.clone();
    let no_key = FindingKind::Checkpoint(CheckpointFault::Note(CheckpointError::NoKey { origin }));
    let unknown = FindingKind::Checkpoint(CheckpointFault::UnknownKey { line: 0, key_id });
    let found = published.audit().found();
    assert_eq!(
        found,
        [(at_checkpoint(3), unknown), (at_checkpoint(3), no_key)]
    );
}

fn published_key_id(note: &SignedNote) -> [u8; 4] {
    use base64::Engine as _;
    let bytes = String::from_utf8(note.to_bytes()).unwrap();
    let line = bytes
        .lines()
        .find(|line| line.starts_with('\u{2014}'))
        .unwrap();
    let blob = line.rsplit_once(' ').unwrap().1;
    let blob = base64::engine::general_purpose::STANDARD
        .decode(blob)
        .unwrap();
    *blob.first_chunk().unwrap()
}

#[test]
fn a_note_of_another_text_keeps_no_signature() {
    let mut published = Published::with_deltas(1);
    let text = String::from_utf8(published.checkpoint.clone().unwrap()).unwrap();
    published.checkpoint = Some(text.replacen("\n3\n", "\n4\n", 1).into_bytes());
    let found = published.audit().found();
    let signature = FindingKind::Checkpoint(CheckpointFault::Note(CheckpointError::Note(
        NoteError::Signature,
    )));
    assert!(found.contains(&(at_checkpoint(4), signature)), "{found:?}");
    for holder in ["au", "ca", "us", AUDITOR] {
        let holder = holder.to_owned();
        let kind = FindingKind::Checkpoint(CheckpointFault::Cosignature { holder });
        assert!(found.contains(&(at_checkpoint(4), kind)), "{found:?}");
    }
}

#[test]
fn a_note_of_another_log_is_refused() {
    let mut published = Published::with_deltas(1);
    let other = published.centres[1].origin.clone();
    let text = published
        .head()
        .text()
        .replace("eu.example/eu/1", other.as_str());
    let signer = published.centres[1].signer(KeyUse::Log);
    let note = SignedNote::sign(&text, other.as_str(), &signer);
    published.checkpoint = Some(note.to_bytes());
    let expected = published.centres[0].origin.clone();
    let kind = FindingKind::Checkpoint(CheckpointFault::Note(CheckpointError::Origin {
        expected,
        got: other,
    }));
    let place = Place::Checkpoint { size: None };
    assert_eq!(published.audit().found(), [(place, kind)]);
}

#[test]
fn a_checkpoint_below_its_quorum_is_named() {
    let mut published = Published::with_deltas(0);
    let leaf = published.next_delta();
    published.append(&[leaf]);
    let mut note = published.head();
    published.cosign(&mut note, &[2], true);
    published.publish_note(&note.to_bytes());
    let kind = FindingKind::Checkpoint(CheckpointFault::Quorum {
        expected: 3,
        got: 2,
    });
    let found = published.audit().found();
    assert_eq!(
        found,
        [(at_history(1, 3), kind.clone()), (at_checkpoint(3), kind)]
    );
}

#[test]
fn the_origins_own_witness_does_not_count() {
    let mut published = Published::with_deltas(0);
    let leaf = published.next_delta();
    published.append(&[leaf]);
    let mut note = published.head();
    published.cosign(&mut note, &[0, 1, 2], false);
    published.checkpoint = Some(note.to_bytes());
    let found = published.audit().found();
    let quorum = FindingKind::Checkpoint(CheckpointFault::Quorum {
        expected: 3,
        got: 2,
    });
    assert!(found.contains(&(at_checkpoint(3), quorum)), "{found:?}");
}

#[test]
fn a_cosignature_from_a_removed_witness_does_not_count() {
    let mut published = Published::with_deltas(1);
    published.next_roster(|draft| draft.auditors.clear());
    let roster = published.roster_leaf(1);
    published.append(&[roster]);
    let mut note = published.head();
    published.cosign(&mut note, &[1], true);
    published.publish_note(&note.to_bytes());
    let left = FindingKind::Checkpoint(CheckpointFault::CosignerLeft {
        holder: AUDITOR.to_owned(),
        last: RosterVersion::FIRST,
    });
    let quorum = FindingKind::Checkpoint(CheckpointFault::Quorum {
        expected: 2,
        got: 1,
    });
    // The notes that it cosigned while it was there stay witnessed.
    let places = [at_history(2, 4), at_checkpoint(4)];
    let expected = places.map(|place| [(place.clone(), left.clone()), (place, quorum.clone())]);
    assert_eq!(published.audit().found(), expected.concat());
}

#[test]
fn a_cosignature_by_a_revoked_key_counts_up_to_its_cut() {
    let mut published = Published::with_deltas(2);
    let us = published.centres[1]
        .signer(KeyUse::Witness)
        .public()
        .key_id();
    let origin = published.centres[0].origin.clone();
    published.next_roster(|draft| {
        let revocation = hashpact_keys::roster::Revocation {
            key: us,
            origin,
            size: 3,
        };
        draft.revocations.push(revocation);
    });
    let void = FindingKind::Checkpoint(CheckpointFault::CosignatureVoid {
        holder: "us".to_owned(),
        at: at(1),
    });
    let found = published.audit().found();
    assert_eq!(
        found,
        [(at_history(2, 4), void.clone()), (at_checkpoint(4), void)]
    );
}

#[test]
fn a_cosignature_from_the_future_does_not_count() {
    let mut published = Published::with_deltas(0);
    let leaf = published.next_delta();
    published.append(&[leaf]);
    let mut note = published.head();
    published.cosign(&mut note, &[1, 2, 3], false);
    let late = Timestamp::new(NOW.get() + 86_401);
    note.cosign(
        AUDITOR,
        &hashpact_protocol::testing::published::auditor(),
        late,
    )
    .unwrap();
    published.checkpoint = Some(note.to_bytes());
    let kind = FindingKind::Checkpoint(CheckpointFault::CosignedAhead {
        holder: AUDITOR.to_owned(),
        at: late,
        now: NOW,
    });
    let found = published.audit().found();
    assert!(found.contains(&(at_checkpoint(3), kind)), "{found:?}");
}

#[test]
fn a_second_line_of_one_key_is_named() {
    let mut published = Published::with_deltas(0);
    let mut note = published.checkpoint.clone().unwrap();
    let text = String::from_utf8(note.clone()).unwrap();
    let line = text.lines().find(|line| line.contains(AUDITOR)).unwrap();
    note.extend_from_slice(format!("{line}\n").as_bytes());
    published.checkpoint = Some(note);
    let found = published.audit().found();
    let [(place, FindingKind::Checkpoint(CheckpointFault::RepeatedKey { line: 6, .. }))] =
        &found[..]
    else {
        panic!("{found:?}");
    };
    assert_eq!(*place, at_checkpoint(2));
}

#[test]
fn a_checkpoint_that_goes_back_is_named() {
    let mut published = Published::with_deltas(2);
    let older = published.history[..first_note(&published.history)].to_vec();
    published.history.extend_from_slice(&older);
    let kind = FindingKind::Checkpoint(CheckpointFault::Back { last: 4, got: 2 });
    assert_eq!(published.audit().found(), [(at_history(3, 2), kind)]);
    // As newest checkpoint it leaves the history above itself.
    let mut published = Published::with_deltas(2);
    published.checkpoint = Some(older[..older.len() - 1].to_vec());
    let beyond = |got| FindingKind::Checkpoint(CheckpointFault::Beyond { checkpoint: 2, got });
    let found = published.audit().found();
    assert!(found.contains(&(at_history(1, 3), beyond(3))), "{found:?}");
    assert!(found.contains(&(at_history(2, 4), beyond(4))), "{found:?}");
}

fn first_note(history: &[u8]) -> usize {
    let text = std::str::from_utf8(history).unwrap();
    let (at, _) = text.match_indices("\n\n").nth(1).unwrap();
    at + 2
}

#[test]
fn a_witnessed_checkpoint_of_another_past_is_a_wrong_root() {
    let mut published = Published::with_deltas(3);
    let mut evil = SignedNote::parse(published.forge.sign(3, [6; 32]).note()).unwrap();
    published.cosign(&mut evil, &[1, 2, 3], true);
    let mut history = published.history[..first_note(&published.history)].to_vec();
    history.extend_from_slice(&evil.to_bytes());
    history.push(b'\n');
    history.extend_from_slice(published.checkpoint.as_ref().unwrap());
    history.push(b'\n');
    published.history = history;
    let found = published.audit().found();
    let [
        (
            place,
            FindingKind::Checkpoint(CheckpointFault::Root {
                size: 3, expected, ..
            }),
        ),
    ] = &found[..]
    else {
        panic!("{found:?}");
    };
    assert_eq!((place, expected), (&at_history(1, 3), &[6; 32]));
}

#[test]
fn a_history_that_lacks_the_newest_checkpoint_or_ends_in_rubbish_is_named() {
    let mut published = Published::with_deltas(2);
    let first = first_note(&published.history);
    published.history.truncate(first);
    let ends = FindingKind::Checkpoint(CheckpointFault::HistoryEnds {
        last: 2,
        checkpoint: 4,
    });
    assert_eq!(published.audit().found(), [(Place::Log, ends.clone())]);
    published.history.extend_from_slice(b"eu");
    let trailing =
        FindingKind::Checkpoint(CheckpointFault::History(HistoryFault::Trailing { got: 2 }));
    let place = Place::History {
        number: 1,
        size: None,
    };
    let found = published.audit().found();
    assert_eq!(found, [(place, trailing), (Place::Log, ends)]);
}

#[test]
fn a_log_without_a_checkpoint_is_named() {
    let mut published = Published::with_deltas(1);
    published.checkpoint = None;
    let found = published.audit().found();
    assert_eq!(found, [(Place::Log, FindingKind::NoCheckpoint)]);
}

#[test]
fn a_fork_proof_beside_the_log_is_told_if_it_holds_and_if_not() {
    let mut published = Published::with_deltas(2);
    let (a, b) = (
        published.forge.sign(3, [6; 32]),
        published.forge.sign(3, [7; 32]),
    );
    let proof = ForkProof::checkpoints(a.note(), b.note(), Vec::new(), None, None).unwrap();
    published.fork = Some(proof.to_text().into_bytes());
    let audit = published.audit();
    let common = Some(0);
    let kind = FindingKind::ForkProof { common };
    assert_eq!(audit.found(), [(Place::Log, kind)]);
    assert!(audit.summary.unwrap().fork);
    published.fork = Some(b"fork".to_vec());
    let audit = published.audit();
    let kind = FindingKind::NoForkProof(ForkError::Shape);
    assert_eq!(audit.found(), [(Place::Log, kind)]);
    assert!(!audit.summary.unwrap().fork);
}

#[test]
fn a_note_that_a_mirror_refused_tells_fork_from_rollback() {
    let mut published = Published::with_deltas(2);
    let older = first_note(&published.history) - 1;
    let older = published.history[..older].to_vec();
    let other = published.forge.sign(3, [6; 32]).note().to_vec();
    let ahead = published.forge.sign(9, [6; 32]).note().to_vec();
    let stranger = SignedNote::sign(
        published.head().text(),
        published.centres[0].origin.as_str(),
        &Signer::from_seed(&[5; 32]),
    );
    published.refused = vec![older, other, ahead, stranger.to_bytes()];
    let kinds = [
        FindingKind::RolledBack { size: 2 },
        FindingKind::Fork { size: 3 },
        FindingKind::Fork { size: 9 },
    ];
    let mut expected = kinds.map(|kind| (Place::Log, kind)).to_vec();
    // A mirror keeps no stranger's note: this one was put there, or is what damage left of one that it kept.
    let origin = published.centres[0].origin.clone();
    let stranger =
        FindingKind::Checkpoint(CheckpointFault::Note(CheckpointError::NoKey { origin }));
    expected.push((file("refused"), stranger));
    assert_eq!(published.audit().found(), expected);
}

#[test]
fn a_first_roster_that_is_not_the_pinned_one_opens_nothing() {
    let published = Published::with_deltas(0);
    let expected = NetworkId::new([3; 32]);
    let got = published.rosters[0].roster().network;
    let mut found = Vec::new();
    let files = published.roster_files.iter().cloned();
    let chain = Chain::open(&expected, files, NOW, |finding| found.push(finding));
    assert!(chain.is_none());
    let kind = FindingKind::Roster(RosterError::Pin { expected, got });
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].place, Place::Roster(RosterVersion::FIRST));
    assert_eq!(found[0].what, kind);
}

#[test]
fn a_missing_roster_breaks_the_chain_there() {
    let mut published = Published::with_deltas(1);
    published.next_roster(|_| {});
    published.next_roster(|_| {});
    published.roster_files.remove(1);
    let found = published.audit().found();
    let kind = FindingKind::Roster(RosterError::Version {
        expected: RosterVersion::new(2),
        got: RosterVersion::new(3),
    });
    assert_eq!(found, [(Place::Roster(RosterVersion::new(2)), kind)]);
}
