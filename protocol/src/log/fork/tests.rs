use hashpact_keys::roster::Revocation;
use hashpact_keys::{KeyUse, SignedRoster, Signer};
use proptest::prelude::*;

use super::*;
use crate::log::inclusion::tests::disk;
use crate::log::{NoteError, SignedNote, consistency_proof, root_at};
use crate::testing::keys::{CentreSetup, START, network, next_roster};

/// A log that says `mark` from leaf `common` on.
fn story(common: u64, size: u64, mark: u8) -> Vec<Vec<u8>> {
    let leaf = |n: u64| match n < common {
        true => n.to_be_bytes().to_vec(),
        false => [&[mark][..], &n.to_be_bytes()].concat(),
    };
    (0..size).map(leaf).collect()
}

fn eu() -> (SignedRoster, CentreSetup) {
    let (roster, centres) = network(2, false);
    (roster, centres[0].clone())
}

fn root(leaves: &[Vec<u8>], at: u64) -> Hash {
    root_at(&disk(leaves), leaves.len() as u64, at).unwrap()
}

fn consistency(leaves: &[Vec<u8>], from: u64, to: u64) -> Vec<Hash> {
    consistency_proof(&disk(leaves), leaves.len() as u64, from, to).unwrap()
}

/// The head of the first `size` leaves under a centre's log key.
fn head(centre: &CentreSetup, leaves: &[Vec<u8>], size: u64) -> Vec<u8> {
    let (origin, root) = (centre.origin.clone(), root(leaves, size));
    let head = Checkpoint { origin, size, root }.sign(&centre.signer(KeyUse::Log));
    head.note().to_vec()
}

/// Adds a line of somebody whom nobody knows.
fn with_foreign_line(note: &[u8]) -> Vec<u8> {
    let mut note = SignedNote::parse(note).unwrap();
    note.cosign("foreign.example/w", &Signer::from_seed(&[77; 32]), START)
        .unwrap();
    note.to_bytes()
}

fn parts(
    a_leaves: &[Vec<u8>],
    b_leaves: &[Vec<u8>],
    common: u64,
) -> (Vec<Hash>, Option<Hash>, Option<Common>) {
    let (a, b) = (a_leaves.len() as u64, b_leaves.len() as u64);
    let grows = 0 < a && a < b;
    let a_to_b = if grows {
        consistency(b_leaves, a, b)
    } else {
        Vec::new()
    };
    let b_at_a = (grows && a.is_power_of_two()).then(|| root(b_leaves, a));
    let common = (common > 0).then(|| Common {
        size: common,
        root: root(b_leaves, common),
        to_a: consistency(a_leaves, common, a),
        to_b: consistency(b_leaves, common, b),
    });
    (a_to_b, b_at_a, common)
}

/// The proof that two stories of one centre part after `common` leaves.
fn proof(
    centre: &CentreSetup,
    a_leaves: &[Vec<u8>],
    b_leaves: &[Vec<u8>],
    common: u64,
) -> Result<ForkProof, ForkError> {
    let (a_to_b, b_at_a, common) = parts(a_leaves, b_leaves, common);
    let a = head(centre, a_leaves, a_leaves.len() as u64);
    let b = head(centre, b_leaves, b_leaves.len() as u64);
    ForkProof::checkpoints(&a, &b, a_to_b, b_at_a, common)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn every_fork_has_a_proof_that_reads_back_and_holds(
        common in 0..70_u64, more_a in 0..70_u64, more_b in 0..70_u64,
    ) {
        let (roster, centre) = eu();
        let (a, b) = (common + more_a.min(more_b) + 1, common + more_a.max(more_b) + 1);
        let (one, two) = (story(common, a, 1), story(common, b, 2));
        let proof = proof(&centre, &one, &two, common).unwrap();
        let text = proof.to_text();
        prop_assert_eq!(ForkProof::from_text(text.as_bytes()), Ok(proof.clone()));
        let mut branches = [(a, root(&one, a)), (b, root(&two, b))];
        branches.sort_unstable();
        let fact = proof.verify(roster.roster(), START).unwrap();
        prop_assert_eq!(fact.origin, centre.origin);
        prop_assert_eq!(fact.common, Some(common));
        let [a, b] = branches;
        prop_assert_eq!(fact.branches, Branches::Checkpoints { a, b });
    }

    #[test]
    fn two_consistent_checkpoints_are_no_fork(a in 0..80_u64, more in 1..80_u64, common in 0..80_u64) {
        let (roster, centre) = eu();
        let leaves = story(500, a + more, 1);
        let one = leaves[..usize::try_from(a).unwrap()].to_vec();
        let proof = proof(&centre, &one, &leaves, common.min(a)).unwrap();
        let (from, to) = (a, a + more);
        prop_assert_eq!(
            proof.verify(roster.roster(), START),
            Err(ForkError::Consistent { from, to })
        );
    }

    /// An honest log is accused with hashes of the accuser's choice.
    #[test]
    fn no_hashes_make_a_fork_of_an_honest_log(
        a in 1..40_u64, more in 1..40_u64,
        hashes in prop::collection::vec(any::<Hash>(), 9), bent in any::<prop::sample::Index>(),
    ) {
        let (roster, centre) = eu();
        let (b, leaves) = (a + more, story(500, a + more, 1));
        let (right, right_at_a, _) = parts(&leaves[..usize::try_from(a).unwrap()], &leaves, 0);
        let (one, two) = (head(&centre, &leaves, a), head(&centre, &leaves, b));
        let invented = hashes[..right.len()].to_vec();
        let mut one_bent = right.clone();
        if let Some(len) = std::num::NonZeroUsize::new(right.len()) {
            one_bent[bent.index(len.get())] = hashes[0];
        }
        for (path, at_a) in [
            (invented, right_at_a),
            (one_bent, right_at_a),
            (right, right_at_a.map(|_| hashes[1])),
        ] {
            let proof = ForkProof::checkpoints(&one, &two, path, at_a, None).unwrap();
            let refused = matches!(
                proof.verify(roster.roster(), START),
                Err(ForkError::Proof { .. } | ForkError::Consistent { .. })
            );
            prop_assert!(refused);
        }
    }
}

#[test]
fn the_same_note_twice_is_no_fork() {
    let (_, centre) = eu();
    let leaves = story(5, 5, 1);
    assert_eq!(proof(&centre, &leaves, &leaves, 0), Err(ForkError::Same));
    let note = head(&centre, &leaves, 5);
    let cosigned = with_foreign_line(&note);
    let twice = ForkProof::checkpoints(&note, &cosigned, Vec::new(), None, None);
    assert_eq!(twice, Err(ForkError::Same));
}

#[test]
fn notes_of_two_logs_are_no_fork() {
    let (_, centres) = network(2, false);
    let (one, two) = (story(0, 5, 1), story(0, 5, 2));
    let (a, b) = (head(&centres[0], &one, 5), head(&centres[1], &two, 5));
    let (eu, us) = (centres[0].origin.clone(), centres[1].origin.clone());
    assert_eq!(
        ForkProof::checkpoints(&a, &b, Vec::new(), None, None),
        Err(ForkError::TwoLogs { a: eu, b: us })
    );
}

#[test]
fn a_proof_with_a_foreign_signature_is_refused() {
    let (roster, centres) = network(2, false);
    let centre = &centres[0];
    let (one, two) = (story(0, 5, 1), story(0, 5, 2));
    let root_of_one = root(&one, 5);
    let (origin, size, root) = (centre.origin.clone(), 5, root(&two, 5));
    let forged = Checkpoint { origin, size, root };
    let origin = centre.origin.clone();
    let a = head(centre, &one, 5);
    // The log key of another centre, another key of the same, and a bent signature.
    for signer in [centres[1].signer(KeyUse::Log), centre.signer(KeyUse::Delta)] {
        let b = forged.clone().sign(&signer);
        let proof = ForkProof::checkpoints(&a, b.note(), Vec::new(), None, None).unwrap();
        let no_key = CheckpointError::NoKey {
            origin: origin.clone(),
        };
        assert_eq!(
            proof.verify(roster.roster(), START),
            Err(ForkError::Checkpoint(no_key))
        );
    }
    let text = String::from_utf8(head(centre, &one, 5)).unwrap();
    let bent = text.replace(&BASE64.encode(root_of_one), &BASE64.encode(root));
    let proof = ForkProof::checkpoints(&a, bent.as_bytes(), Vec::new(), None, None).unwrap();
    assert_eq!(
        proof.verify(roster.roster(), START),
        Err(ForkError::Checkpoint(CheckpointError::Note(
            NoteError::Signature
        )))
    );
}

#[test]
fn a_log_that_is_not_on_the_roster_forks_for_nobody() {
    let (_, centres) = network(3, false);
    let (two, _) = network(2, false);
    let proof = proof(&centres[2], &story(0, 3, 1), &story(0, 3, 2), 0).unwrap();
    let origin = centres[2].origin.clone();
    assert_eq!(
        proof.verify(two.roster(), START),
        Err(ForkError::UnknownLog { origin })
    );
}

#[test]
fn a_key_that_is_revoked_at_a_smaller_size_forks_nothing() {
    let (first, centre) = eu();
    let key = centre.signer(KeyUse::Log).public().key_id();
    let revoked_from = |size: u64| {
        next_roster(&first, START, |draft| {
            let origin = centre.origin.clone();
            draft.revocations.push(Revocation { key, origin, size });
        })
    };
    let proof = proof(&centre, &story(2, 5, 1), &story(2, 9, 2), 2).unwrap();
    for from in [2, 5, 8] {
        let roster = revoked_from(from);
        assert_eq!(
            proof.verify(roster.roster(), START),
            Err(ForkError::Revoked { key, from })
        );
    }
    assert!(proof.verify(revoked_from(9).roster(), START).is_ok());
}

#[test]
fn a_line_of_a_revoked_key_does_not_hide_a_fork_under_another() {
    let (first, centre) = eu();
    // Sorts on either side of the centre's own key.
    for seed in 0..8 {
        let old = Signer::from_seed(&[seed; 32]);
        let roster = next_roster(&first, START, |draft| {
            let entry = draft
                .centres
                .iter_mut()
                .find(|c| c.id == centre.id)
                .unwrap();
            let own = entry.keys.iter().find(|key| key.use_ == KeyUse::Log);
            let mut added = own.unwrap().clone();
            added.key = old.public();
            entry.keys.push(added);
            let (key, origin, size) = (old.public().key_id(), centre.origin.clone(), 1);
            draft.revocations.push(Revocation { key, origin, size });
        });
        let both = |leaves: &[Vec<u8>]| {
            let own = String::from_utf8(head(&centre, leaves, 5)).unwrap();
            let text = own.split_once("\n\n").unwrap().0;
            let old = SignedNote::sign(&format!("{text}\n"), centre.origin.as_str(), &old);
            let old = String::from_utf8(old.to_bytes()).unwrap();
            own + old.split_once("\n\n").unwrap().1
        };
        let (a, b) = (both(&story(0, 5, 1)), both(&story(0, 5, 2)));
        let proof =
            ForkProof::checkpoints(a.as_bytes(), b.as_bytes(), Vec::new(), None, None).unwrap();
        assert!(proof.verify(roster.roster(), START).is_ok(), "{seed}");
    }
}

#[test]
fn a_common_size_that_is_not_common_is_refused() {
    let (roster, centre) = eu();
    let (one, two) = (story(5, 9, 1), story(5, 12, 2));
    for size in 1..=9 {
        let proof = proof(&centre, &one, &two, size).unwrap();
        let fact = proof.verify(roster.roster(), START);
        if size <= 5 {
            assert_eq!(fact.unwrap().common, Some(size));
        } else {
            assert_eq!(fact, Err(ForkError::Common { size }), "{size}");
        }
    }
    // Roots that are one branch's only, and proofs in each other's place.
    let (a, b) = (head(&centre, &one, 9), head(&centre, &two, 12));
    let (a_to_b, at_a, common) = parts(&one, &two, 5);
    let common = common.unwrap();
    let swapped = Common {
        to_a: common.to_b.clone(),
        to_b: common.to_a.clone(),
        ..common.clone()
    };
    let other = Common {
        root: root(&one, 6),
        ..common
    };
    for wrong in [swapped, other] {
        let proof = ForkProof::checkpoints(&a, &b, a_to_b.clone(), at_a, Some(wrong)).unwrap();
        assert_eq!(
            proof.verify(roster.roster(), START),
            Err(ForkError::Common { size: 5 })
        );
    }
}

#[test]
fn a_head_of_no_leaves_with_a_root_is_a_fork_of_every_log() {
    let (roster, centre) = eu();
    let (origin, size, root) = (centre.origin.clone(), 0, [1; 32]);
    let none = Checkpoint { origin, size, root }.sign(&centre.signer(KeyUse::Log));
    let leaves = story(0, 6, 1);
    let some = head(&centre, &leaves, 6);
    let proof = ForkProof::checkpoints(none.note(), &some, Vec::new(), None, None).unwrap();
    assert_eq!(
        proof.verify(roster.roster(), START).unwrap().common,
        Some(0)
    );
    let honest = head(&centre, &leaves, 0);
    let proof = ForkProof::checkpoints(&honest, &some, Vec::new(), None, None).unwrap();
    let (from, to) = (0, 6);
    assert_eq!(
        proof.verify(roster.roster(), START),
        Err(ForkError::Consistent { from, to })
    );
}

#[test]
fn parts_that_the_sizes_do_not_call_for_are_refused() {
    let (_, centre) = eu();
    let (one, two) = (story(2, 4, 1), story(2, 7, 2));
    let (a, b) = (head(&centre, &one, 4), head(&centre, &two, 7));
    let (a_to_b, at_a, common) = parts(&one, &two, 2);
    let build = |a: &[u8], b: &[u8], path: &[Hash], at_a, common| {
        ForkProof::checkpoints(a, b, path.to_vec(), at_a, common)
    };
    assert!(build(&a, &b, &a_to_b, at_a, common.clone()).is_ok());
    let shape = Err(ForkError::Shape);
    assert_eq!(build(&b, &a, &a_to_b, at_a, None), shape);
    assert_eq!(build(&a, &b, &a_to_b, None, None), shape);
    let same = head(&centre, &two[..4], 4);
    assert_eq!(build(&a, &same, &a_to_b, None, None), shape);
    assert_eq!(build(&a, &same, &[], at_a, None), shape);
    for size in [0, 5] {
        let common = common.clone().map(|common| Common { size, ..common });
        assert_eq!(build(&a, &b, &a_to_b, at_a, common), shape);
    }
    assert_eq!(build(&a, &b, &[[0; 32]; 64], at_a, None), shape);
}

#[test]
fn a_second_text_of_one_proof_is_refused() {
    let (_, centre) = eu();
    let proof = proof(&centre, &story(2, 4, 1), &story(2, 7, 2), 2).unwrap();
    let text = proof.to_text();
    let lines: Vec<_> = text.lines().map(|line| line.split(' ').next()).collect();
    assert_eq!(
        lines[2..6],
        [
            Some("common"),
            Some("common-root"),
            Some("b-at-a"),
            Some("a-to-b")
        ]
    );
    let b_at_a = text
        .lines()
        .find(|line| line.starts_with("b-at-a"))
        .unwrap();
    for bad in [
        text.replace("common 2", "common 02"),
        text.replace("common 2", "common 0"),
        text.replace("kind checkpoints", "kind checkpoint"),
        text.replace("v1", "v2"),
        text.replace(b_at_a, &format!("{b_at_a}\n{b_at_a}")),
        text.replace(b_at_a, &format!("unknown 1\n{b_at_a}")),
        text.replace('\n', "\r\n"),
        format!("{text}\n"),
        text.trim_end().to_owned(),
        text.replacen("\n\n", "\n\n\n", 1),
    ] {
        assert_ne!(bad, text);
        assert!(ForkProof::from_text(bad.as_bytes()).is_err(), "{bad}");
    }
    // Of two heads of one size, the one with the lower root is first.
    let even = super::tests::proof(&centre, &story(2, 4, 1), &story(2, 4, 2), 2).unwrap();
    let text = even.to_text();
    let [fields, a, a_lines, b, b_lines] = text.split("\n\n").collect::<Vec<_>>()[..] else {
        panic!("two notes");
    };
    let turned = format!(
        "{fields}\n\n{b}\n\n{}\n\n{a}\n\n{a_lines}\n",
        b_lines.trim_end()
    );
    assert_eq!(
        ForkProof::from_text(turned.as_bytes()),
        Err(ForkError::Shape)
    );
    let got = FORK_PROOF_BYTES + 1;
    assert_eq!(
        ForkProof::from_text(&vec![b'a'; got]),
        Err(ForkError::TooLarge { got })
    );
}

fn header(roster: &Roster, centre: &CentreSetup, seq: u64, total: u64) -> Header {
    Header {
        network: roster.network,
        origin: centre.origin.clone(),
        roster_version: roster.version,
        seq: Seq(seq),
        prev: [1; 32],
        table: [2; 32],
        total,
        issued_at: START,
        policy_ref: None,
    }
}

fn two_headers(roster: &Roster, centre: &CentreSetup) -> ForkProof {
    let signer = centre.signer(KeyUse::Delta);
    let [a, b] = [1, 2].map(|total| header(roster, centre, 3, total).sign(&signer));
    ForkProof::headers(centre.origin.clone(), &a, &b).unwrap()
}

#[test]
fn two_headers_of_one_number_are_a_fork_without_a_common_size() {
    let (roster, centre) = eu();
    let roster = roster.roster();
    let proof = two_headers(roster, &centre);
    let text = proof.to_text();
    assert_eq!(ForkProof::from_text(text.as_bytes()), Ok(proof.clone()));
    let fact = proof.verify(roster, START).unwrap();
    assert_eq!((fact.origin, fact.common), (centre.origin.clone(), None));
    assert!(matches!(
        fact.branches,
        Branches::Headers { seq: Seq(3), a, b } if a != b
    ));
}

#[test]
fn headers_that_exclude_nothing_are_no_fork() {
    let (signed, centre) = eu();
    let (roster, signer) = (signed.roster(), centre.signer(KeyUse::Delta));
    let build = |a: &[u8], b: &[u8]| ForkProof::headers(centre.origin.clone(), a, b);
    let one = header(roster, &centre, 3, 1).sign(&signer);
    assert_eq!(build(&one, &one), Err(ForkError::Same));
    let verify = |other: &Header, signer: &Signer| {
        let proof = build(&one, &other.sign(signer)).unwrap();
        proof.verify(roster, START)
    };
    let next = header(roster, &centre, 4, 1);
    let numbers = verify(&next, &signer).unwrap_err();
    assert!(matches!(numbers, ForkError::Numbers { a, b } if a != b));
    let mut network = header(roster, &centre, 3, 2);
    network.network = NetworkId::new([9; 32]);
    let of_network = verify(&network, &signer).unwrap_err();
    assert!(matches!(of_network, ForkError::Network { .. }));
    let mut origin = header(roster, &centre, 3, 2);
    origin.origin = "eu.example/eu/2".parse().unwrap();
    let of_origin = verify(&origin, &signer).unwrap_err();
    assert!(matches!(of_origin, ForkError::TwoLogs { .. }));
    let other = header(roster, &centre, 3, 2);
    let by_log = verify(&other, &centre.signer(KeyUse::Log)).unwrap_err();
    assert!(matches!(by_log, ForkError::Header(HeaderError::Key(_))));
    let key = signer.public().key_id();
    let revoked = next_roster(&signed, START, |draft| {
        let (origin, size) = (centre.origin.clone(), 1_000_000);
        draft.revocations.push(Revocation { key, origin, size });
    });
    let from = 1_000_000;
    assert_eq!(
        two_headers(roster, &centre).verify(revoked.roster(), START),
        Err(ForkError::Revoked { key, from })
    );
    let long = vec![0; FORK_PROOF_BYTES];
    assert!(matches!(
        build(&one, &long),
        Err(ForkError::TooLarge { .. })
    ));
}

#[test]
fn every_flipped_bit_is_refused_or_stands_in_the_line_of_a_stranger() {
    let (roster, centre) = eu();
    let roster = roster.roster();
    let (one, two) = (story(3, 4, 1), story(3, 7, 2));
    let (a, b) = (head(&centre, &one, 4), head(&centre, &two, 7));
    let b = with_foreign_line(&b);
    let (a_to_b, at_a, common) = parts(&one, &two, 3);
    let heads = ForkProof::checkpoints(&a, &b, a_to_b, at_a, common).unwrap();
    for (proof, may_differ) in [(heads, true), (two_headers(roster, &centre), false)] {
        let fact = proof.verify(roster, START).unwrap();
        let text = proof.to_text().into_bytes();
        let foreign = String::from_utf8_lossy(&text).rfind("foreign");
        let foreign = foreign.unwrap_or(text.len());
        let mut accepted = 0;
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut bent = text.clone();
                bent[at] ^= 1 << bit;
                let read = ForkProof::from_text(&bent);
                if let Ok(bent) = read.and_then(|proof| proof.verify(roster, START)) {
                    assert!(at >= foreign, "byte {at}, bit {bit}");
                    assert_eq!(bent, fact);
                    accepted += 1;
                }
            }
        }
        assert_eq!(accepted > 0, may_differ);
    }
}
