//! What was true once and is not any more: an auditor hears of it, and is not told that it holds.

use hashpact_keys::Timestamp;
use hashpact_keys::{KeyUse, RosterVersion};
use hashpact_protocol::audit::{CheckpointFault, FindingKind, Place, Severity};
use hashpact_protocol::limits::COSIGNATURE_FRESH_S;
use hashpact_protocol::log::witness_name;
use hashpact_protocol::testing::published::{
    AUDITOR, ISSUED, NOW, Published, at, at_checkpoint, at_history, auditor,
};

fn later(at: Timestamp, seconds: u64) -> Timestamp {
    Timestamp::new(at.get() + seconds)
}

#[test]
fn an_expired_newest_roster_fails_from_the_second_on_in_which_it_expires() {
    let published = Published::with_deltas(1);
    let expires_at = published.rosters[0].roster().expires_at;
    let expired = FindingKind::RosterExpired { expires_at };
    assert_eq!(expired.severity(), Severity::Fail);
    let is_expired = |now: Timestamp| {
        let found = published.audit_at(now).found();
        found.contains(&(Place::Roster(RosterVersion::FIRST), expired.clone()))
    };
    assert!(is_expired(expires_at));
    assert!(!is_expired(Timestamp::new(expires_at.get() - 1)));
}

#[test]
fn a_log_that_is_kept_at_an_old_checkpoint_is_told() {
    let published = Published::with_deltas(1);
    // Of the cosignatures at 11, 12, 13 and 19 s, three must be as young.
    let witnessed_at = at(2);
    let last = later(witnessed_at, COSIGNATURE_FRESH_S);
    assert_eq!(published.audit_at(last).found(), []);
    let now = later(last, 1);
    let audit = published.audit_at(now);
    let stale = FindingKind::Checkpoint(CheckpointFault::Stale { witnessed_at, now });
    assert_eq!(audit.found(), [(at_checkpoint(3), stale)]);
    // By itself it contradicts nothing.
    assert_eq!(audit.summary.unwrap().failures, 0);
}

/// A log that never logs the roster that drops its accomplices would else keep their quorum for ever.
#[test]
fn cosigners_that_were_dropped_witness_nothing_in_a_log_that_keeps_the_roster_out() {
    let mut published = Published::with_deltas(1);
    let us = published.centres[1].clone();
    let us_id = us.id.clone();
    published.next_roster(|draft| {
        draft.auditors.clear();
        draft.centres.retain(|centre| centre.id != us_id);
    });
    assert_eq!(
        published.audit().found(),
        [],
        "what they said before counts on"
    );
    let leaf = published.next_delta();
    published.append(&[leaf]);
    let mut note = published.head();
    published.cosign(&mut note, &[2], false);
    let late = later(ISSUED, 1);
    note.cosign(AUDITOR, &auditor(), late).unwrap();
    let name = witness_name(&us.origin);
    note.cosign(&name, &us.signer(KeyUse::Witness), late)
        .unwrap();
    published.publish_note(&note.to_bytes());
    let left = |holder: &str| {
        FindingKind::Checkpoint(CheckpointFault::CosignedAfterLeaving {
            holder: holder.to_owned(),
            at: late,
            roster: RosterVersion::new(2),
            issued_at: ISSUED,
        })
    };
    let quorum = FindingKind::Checkpoint(CheckpointFault::Quorum {
        expected: 3,
        got: 1,
    });
    let kinds = [left(AUDITOR), left("us"), quorum];
    let places = [at_history(2, 4), at_checkpoint(4)];
    let expected = places.map(|place| kinds.clone().map(|kind| (place.clone(), kind)));
    let audit = published.audit();
    let mut found = audit.found();
    found.sort_by_key(|(place, kind)| (place.clone(), kind.to_string()));
    let mut expected = expected.concat();
    expected.sort_by_key(|(place, kind)| (place.clone(), kind.to_string()));
    assert_eq!(found, expected);
    let newest = audit.summary.unwrap().checkpoint.unwrap();
    assert_eq!(newest.standing.missing.len(), 3);
    assert_eq!(newest.standing.cosigned.len(), 1);
}

#[test]
fn a_cosigner_that_comes_back_counts_from_then_on() {
    let mut published = Published::with_deltas(1);
    let auditors = published.rosters[0].roster().auditors.clone();
    published.next_roster(|draft| draft.auditors.clear());
    published.next_roster_at(later(ISSUED, 100), |draft| draft.auditors = auditors);
    let leaf = published.next_delta();
    published.append(&[leaf]);
    let found_at = |at: Timestamp| {
        let mut published = published.clone();
        let mut note = published.head();
        published.cosign(&mut note, &[1, 2, 3], false);
        note.cosign(AUDITOR, &auditor(), at).unwrap();
        published.publish_note(&note.to_bytes());
        published.audit().found().len()
    };
    // In the history, and as newest checkpoint.
    let counts = [0, 1, 50, 100, 101].map(|seconds| found_at(later(ISSUED, seconds)));
    assert_eq!(counts, [0, 2, 2, 0, 0]);
    assert!(later(ISSUED, 101) < NOW);
}
