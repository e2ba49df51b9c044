//! Logs that take the place of a forked one: what their first leaf says of it is held against it.

use hashpact_keys::{Origin, RosterVersion};
use hashpact_protocol::audit::{CheckpointFault, FindingKind, Place, ResumptionFault, Severity};
use hashpact_protocol::log::{ForkError, ForkProof, Leaf};
use hashpact_protocol::testing::published::{ISSUED, Published, at_checkpoint, at_history, leaf};
use hashpact_protocol::verify::LeafFault;

/// A log of five leaves that was forked behind the third.
const COMMON: u64 = 3;

fn old() -> Published {
    Published::with_deltas(3)
}

fn line() -> Origin {
    "eu.example/eu/1".parse().unwrap()
}

/// The leaf as it should be, bent.
fn bent(bend: impl FnOnce(&mut Origin, &mut u64, &mut [u8; 32], &mut [u8; 32])) -> Published {
    old().resumed_by(COMMON, |old| {
        let Ok(Leaf::Resumed {
            mut origin,
            mut size,
            mut root,
            mut proof,
        }) = Leaf::from_bytes(&old.resumption(COMMON))
        else {
            panic!("the leaf resumes");
        };
        bend(&mut origin, &mut size, &mut root, &mut proof);
        let leaf = Leaf::Resumed {
            origin,
            size,
            root,
            proof,
        };
        vec![leaf.to_bytes().unwrap()]
    })
}

fn at_first_leaf(kind: FindingKind) -> Vec<(Place, FindingKind)> {
    vec![(leaf(0), kind)]
}

#[test]
fn a_line_that_resumes_a_forked_one_holds_and_the_forked_one_is_still_verified() {
    let new = old().resumed(COMMON);
    assert_eq!(new.audit().found(), []);
    let mut closed = *new.earlier.unwrap();
    let fork = FindingKind::ForkProof {
        common: Some(COMMON),
    };
    assert_eq!(closed.audit().found(), [(Place::Log, fork.clone())]);
    closed.files.get_mut("tile/0/000.p/5").unwrap()[40] ^= 1;
    assert_eq!(closed.audit().found().len(), 2);
}

#[test]
fn a_new_line_that_passes_the_old_one_over_is_named() {
    let kind = FindingKind::Resumption(ResumptionFault::NotResumed { origin: line() });
    let silent = old().resumed_by(COMMON, |_| Vec::new());
    let found = silent.audit().found();
    assert!(found.contains(&(leaf(0), kind.clone())), "{found:?}");
    // Nor may the leaf come late, or be another key event.
    let late = old().resumed_by(COMMON, |old| {
        vec![vec![0x82, 0x06, 0x01], old.resumption(COMMON)]
    });
    assert!(late.audit().found().contains(&(leaf(0), kind.clone())));
    let other = old().resumed_by(COMMON, |_| vec![vec![0x82, 0x07, 0x01]]);
    assert!(other.audit().found().contains(&(leaf(0), kind)));
}

#[test]
fn a_resumption_of_a_strangers_log_or_of_its_own_is_named() {
    for other in ["us.example/us/1", "eu.example/eu/2", "eu.example/eu/3"] {
        let new = bent(|origin, _, _, _| *origin = other.parse().unwrap());
        let kind = FindingKind::Leaf(LeafFault::Resumed { index: 0 });
        assert_eq!(new.audit().found(), at_first_leaf(kind), "{other}");
    }
    for other in ["eu.example/eu/0", "xx.example/eu/1"] {
        let origin: Origin = other.parse().unwrap();
        let new = bent(|named, _, _, _| *named = origin.clone());
        let kind = FindingKind::Resumption(ResumptionFault::ResumesUnlisted { origin });
        assert_eq!(new.audit().found(), at_first_leaf(kind), "{other}");
    }
}

#[test]
fn a_resumption_of_a_log_that_was_never_forked_is_named() {
    let mut new = old().resumed(COMMON);
    new.earlier.as_mut().unwrap().fork = None;
    let kind = FindingKind::Resumption(ResumptionFault::ResumedWithoutFork { origin: line() });
    assert_eq!(new.audit().found(), at_first_leaf(kind));
    new.earlier.as_mut().unwrap().fork = Some(b"fork".to_vec());
    let kind = FindingKind::Resumption(ResumptionFault::ResumedNoFork {
        origin: line(),
        error: ForkError::Shape,
    });
    let other = FindingKind::Resumption(ResumptionFault::ResumedOtherProof { origin: line() });
    assert_eq!(
        new.audit().found(),
        [kind, other].map(|kind| (leaf(0), kind))
    );
}

#[test]
fn a_resumption_that_keeps_leaves_of_one_branch_is_named() {
    let new = old().resumed_by(COMMON, |old| vec![old.resumption(COMMON + 1)]);
    let kind = FindingKind::Resumption(ResumptionFault::ResumedBeyond {
        size: COMMON + 1,
        common: COMMON,
    });
    assert_eq!(new.audit().found(), at_first_leaf(kind));
    // Fewer are given up by their own centre, or by another proof.
    let new = old().resumed_by(COMMON, |old| vec![old.resumption(COMMON - 1)]);
    assert_eq!(new.audit().found(), []);
}

#[test]
fn a_resumption_on_another_past_is_named() {
    let new = bent(|_, _, root, _| root[3] ^= 1);
    let [(place, FindingKind::Resumption(ResumptionFault::ResumedRoot { size, .. }))] =
        &new.audit().found()[..]
    else {
        panic!("{:?}", new.audit().found());
    };
    assert_eq!((place, *size), (&leaf(0), COMMON));
}

#[test]
fn a_resumption_beyond_what_is_here_of_the_old_log_is_named() {
    let mut new = old().resumed(COMMON);
    let old = new.earlier.as_mut().unwrap();
    old.files.retain(|path, _| !path.starts_with("tile/0/"));
    let unread = |held| {
        FindingKind::Resumption(ResumptionFault::ResumedUnread {
            origin: line(),
            size: COMMON,
            held,
        })
    };
    assert_eq!(new.audit().found(), at_first_leaf(unread(5)));
    new.earlier.as_mut().unwrap().checkpoint = None;
    assert_eq!(new.audit().found(), at_first_leaf(unread(0)));
}

#[test]
fn another_fork_proof_than_the_one_named_is_told() {
    let new = bent(|_, _, _, proof| proof[0] ^= 1);
    let audit = new.audit();
    let kind = FindingKind::Resumption(ResumptionFault::ResumedOtherProof { origin: line() });
    assert_eq!(audit.found(), at_first_leaf(kind));
    assert_eq!(audit.summary.unwrap().failures, 0);
}

/// Anybody can leave out of a genuine proof what shows the common size: that makes no honest resumption fail, and no other
/// one hold.
#[test]
fn a_stripped_fork_proof_fails_no_honest_resumption() {
    let mut new = old().resumed(COMMON);
    let text = new.earlier.as_ref().unwrap().fork.clone().unwrap();
    let text = String::from_utf8(text).unwrap();
    let mut parts = text.splitn(2, "\n\n");
    let (_, notes) = (parts.next().unwrap(), parts.next().unwrap());
    let texts: Vec<_> = notes.split("\n\n").collect();
    let (a, b) = (
        format!("{}\n\n{}\n", texts[0], texts[1]),
        format!("{}\n\n{}", texts[2], texts[3]),
    );
    let stripped =
        ForkProof::checkpoints(a.as_bytes(), b.as_bytes(), Vec::new(), None, None).unwrap();
    let stripped = stripped.to_text().into_bytes();
    new.earlier.as_mut().unwrap().fork = Some(stripped.clone());
    let not_shown = FindingKind::Resumption(ResumptionFault::ResumedNotShown {
        size: COMMON,
        common: 0,
    });
    assert_eq!(not_shown.severity(), Severity::Warn);
    let audit = new.audit();
    let other = FindingKind::Resumption(ResumptionFault::ResumedOtherProof { origin: line() });
    let expected = [not_shown, other].map(|kind| (leaf(0), kind));
    assert_eq!(audit.found(), expected);
    assert_eq!(audit.summary.unwrap().failures, 0);
    // The heads themselves show that the branches differ at size 4.
    let mut new = old().resumed_by(COMMON, |old| vec![old.resumption(COMMON + 1)]);
    new.earlier.as_mut().unwrap().fork = Some(stripped);
    let kind = FindingKind::Resumption(ResumptionFault::ResumedBeyond {
        size: COMMON + 1,
        common: COMMON,
    });
    assert!(new.audit().found().contains(&(leaf(0), kind)));
}

/// A roster that closed a log does not lend it its own, smaller quorum.
#[test]
fn a_closed_log_is_judged_under_the_last_roster_that_names_it() {
    let mut old = old();
    let next: Origin = "eu.example/eu/2".parse().unwrap();
    old.next_roster(|draft| {
        draft.centres[2].origin = next.clone();
        assert_eq!(draft.centres[2].id.as_str(), "eu");
        draft.auditors.clear();
        draft.centres.truncate(3);
    });
    let roster = old.rosters[1].roster();
    assert_eq!(
        (roster.version, roster.centres.len()),
        (RosterVersion::new(2), 3)
    );
    assert_eq!(old.audit().found(), []);
    let leaf = old.next_delta();
    old.append(&[leaf]);
    // Two witnesses are left, both of which sign: enough under roster 2, not under roster 1.
    old.publish_at(&[2, 3], ISSUED);
    let kind = FindingKind::Checkpoint(CheckpointFault::Quorum {
        expected: 3,
        got: 2,
    });
    let places = [at_history(3, 6), at_checkpoint(6)];
    assert_eq!(
        old.audit().found(),
        places.map(|place| (place, kind.clone()))
    );
}
