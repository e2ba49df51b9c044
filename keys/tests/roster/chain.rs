//! The chain of versions: what an attacker with some of the keys, or none, might try.

use hashpact_keys::chain::{RosterError, SignedRoster, UnsignedRoster, draft_bytes, sign_roster};
use hashpact_keys::cose::CoseError;
use hashpact_keys::roster::{KeyUse, Roster};
use hashpact_keys::{NetworkId, RosterVersion, Timestamp};
use sha2::{Digest, Sha256};

use crate::fixture::{
    EXPIRES, centre, draft, entry, first, key, next, pin, public, roster, signed,
};

#[test]
fn a_network_begins_with_the_roster_that_was_pinned() {
    let bytes = signed(&roster(), &[1, 3]);
    let opened = SignedRoster::open_first(&bytes, &pin()).unwrap();
    assert_eq!(
        (opened.roster(), opened.bytes()),
        (&roster(), bytes.as_slice())
    );
    assert_eq!(NetworkId::new(opened.hash()), pin());

    let expected = NetworkId::new([9; 32]);
    assert_eq!(
        SignedRoster::open_first(&bytes, &expected).unwrap_err(),
        RosterError::Pin {
            expected,
            got: pin()
        }
    );
}

#[test]
fn a_later_version_does_not_begin_a_network() {
    let second = next(&first(), |_| {});
    let pin = NetworkId::new(Sha256::digest(second.payload_bytes()).into());
    assert_eq!(
        SignedRoster::open_first(&signed(&second, &[1, 2]), &pin).unwrap_err(),
        RosterError::Version {
            expected: RosterVersion::FIRST,
            got: RosterVersion::new(2)
        }
    );
}

#[test]
fn a_first_roster_below_its_threshold_is_refused() {
    let version = RosterVersion::FIRST;
    assert_eq!(
        SignedRoster::open_first(&signed(&roster(), &[2]), &pin()).unwrap_err(),
        RosterError::Threshold {
            version,
            expected: 2,
            got: 1
        }
    );
    assert_eq!(
        SignedRoster::open_first(&draft_bytes(&roster()), &pin()).unwrap_err(),
        RosterError::Cose(CoseError::NoSignatures)
    );
    // A signature by a stranger is not counted, and not tolerated above the threshold either.
    assert_eq!(
        SignedRoster::open_first(&signed(&roster(), &[2, 9]), &pin()).unwrap_err(),
        RosterError::Threshold {
            version,
            expected: 2,
            got: 1
        }
    );
    assert_eq!(
        SignedRoster::open_first(&signed(&roster(), &[1, 2, 9]), &pin()).unwrap_err(),
        RosterError::Stranger {
            kid: public(9).key_id()
        }
    );
}

#[test]
fn a_false_signature_spoils_even_a_roster_that_has_enough() {
    let mut bytes = signed(&roster(), &[1, 2, 3]);
    *bytes.last_mut().unwrap() ^= 1;
    let kid = [1, 2, 3]
        .map(|n| public(n).key_id())
        .into_iter()
        .max()
        .unwrap();
    assert_eq!(
        SignedRoster::open_first(&bytes, &pin()).unwrap_err(),
        RosterError::Cose(CoseError::Signature { kid })
    );
}

#[test]
fn versions_follow_one_another_by_one() {
    let first = first();
    let second = first
        .succeed(&signed(&next(&first, |_| {}), &[1, 2]))
        .unwrap();
    let third = second
        .succeed(&signed(&next(&second, |_| {}), &[2, 3]))
        .unwrap();
    assert_eq!(
        (third.roster().version, third.roster().network),
        (RosterVersion::new(3), pin())
    );
    let hash: [u8; 32] = Sha256::digest(third.roster().payload_bytes()).into();
    assert_eq!(third.hash(), hash);
}

#[test]
fn a_rollback_is_refused() {
    let first = first();
    let second = first
        .succeed(&signed(&next(&first, |_| {}), &[1, 2]))
        .unwrap();
    let expected = RosterVersion::new(3);
    assert_eq!(
        second.succeed(first.bytes()).unwrap_err(),
        RosterError::Version {
            expected,
            got: RosterVersion::FIRST
        }
    );
    assert_eq!(
        second.succeed(second.bytes()).unwrap_err(),
        RosterError::Version {
            expected,
            got: RosterVersion::new(2)
        }
    );
}

#[test]
fn a_skipped_version_is_refused() {
    let first = first();
    let third = next(&first, |draft| draft.version = RosterVersion::new(3));
    assert_eq!(
        first.succeed(&signed(&third, &[1, 2])).unwrap_err(),
        RosterError::Version {
            expected: RosterVersion::new(2),
            got: RosterVersion::new(3)
        }
    );
}

/// Version 2 with root keys 4, 5 and 6 in the place of 1, 2 and 3.
fn rotated(first: &SignedRoster) -> Roster {
    next(first, |draft| {
        draft.root_keys = vec![public(4), public(5), public(6)]
    })
}

#[test]
fn new_root_keys_need_the_old_ones() {
    let first = first();
    let rotated = rotated(&first);
    let version = RosterVersion::FIRST;
    for (signers, got) in [(&[4, 5, 6][..], 0), (&[1, 4, 5, 6], 1)] {
        assert_eq!(
            first.succeed(&signed(&rotated, signers)).unwrap_err(),
            RosterError::Threshold {
                version,
                expected: 2,
                got
            }
        );
    }
}

#[test]
fn old_root_keys_need_the_new_ones() {
    let first = first();
    let rotated = rotated(&first);
    let version = RosterVersion::new(2);
    for (signers, got) in [(&[1, 2, 3][..], 0), (&[1, 2, 3, 4], 1)] {
        assert_eq!(
            first.succeed(&signed(&rotated, signers)).unwrap_err(),
            RosterError::Threshold {
                version,
                expected: 2,
                got
            }
        );
    }
}

#[test]
fn root_keys_rotate_with_both_and_the_old_ones_then_count_no_more() {
    let first = first();
    let second = first
        .succeed(&signed(&rotated(&first), &[1, 2, 4, 6]))
        .unwrap();
    let third = next(&second, |_| {});
    assert_eq!(
        second.succeed(&signed(&third, &[1, 2, 3])).unwrap_err(),
        RosterError::Threshold {
            version: RosterVersion::new(2),
            expected: 2,
            got: 0
        }
    );
    assert_eq!(
        second.succeed(&signed(&third, &[1, 4, 5])).unwrap_err(),
        RosterError::Stranger {
            kid: public(1).key_id()
        }
    );
    assert_eq!(
        second.succeed(&signed(&third, &[4, 5])).unwrap().roster(),
        &third
    );
}

#[test]
fn a_raised_threshold_holds_for_the_version_that_raises_it() {
    let first = first();
    let raised = next(&first, |draft| draft.threshold = 3);
    assert_eq!(
        first.succeed(&signed(&raised, &[1, 2])).unwrap_err(),
        RosterError::Threshold {
            version: RosterVersion::new(2),
            expected: 3,
            got: 2
        }
    );
    assert!(first.succeed(&signed(&raised, &[1, 2, 3])).is_ok());
}

#[test]
fn a_roster_of_another_network_with_the_same_root_keys_is_refused() {
    let first = first();
    let got = NetworkId::new([9; 32]);
    let foreign = next(&first, |draft| draft.network = Some(got));
    assert_eq!(
        first.succeed(&signed(&foreign, &[1, 2])).unwrap_err(),
        RosterError::Network {
            expected: pin(),
            got
        }
    );
}

#[test]
fn a_centre_that_stays_keeps_its_log_or_gets_the_next_epoch_of_it() {
    let first = first();
    let with_line = |line: &str| {
        let changed = next(&first, |draft| {
            draft.centres[0].origin = line.parse().unwrap()
        });
        first.succeed(&signed(&changed, &[1, 2])).map(drop)
    };
    for line in ["hashpact.example/eu/2", "other.example/eu/1"] {
        let got = line.parse().unwrap();
        let expected = "hashpact.example/eu/0".parse().unwrap();
        assert_eq!(
            with_line(line),
            Err(RosterError::OriginChanged { expected, got })
        );
    }
    assert_eq!(with_line("hashpact.example/eu/1"), Ok(()));
}

#[test]
fn centres_come_and_go() {
    let first = first();
    let changed = next(&first, |draft| {
        draft.centres.remove(0);
        draft.centres.push(centre("ca", "CA", 40));
    });
    let second = first.succeed(&signed(&changed, &[1, 2])).unwrap();
    let ids: Vec<_> = second
        .roster()
        .centres
        .iter()
        .map(|centre| centre.id.as_str())
        .collect();
    assert_eq!(ids, ["ca", "us"]);
}

#[test]
fn a_key_keeps_its_use_and_its_holder() {
    let first = first();
    let key = public(10).key_id();
    let other_use = next(&first, |draft| {
        draft.centres[0].keys[0] = entry(KeyUse::Attest, 10)
    });
    let other_holder = next(&first, |draft| {
        draft.centres[0].keys.remove(0);
        draft.centres[1].keys.push(entry(KeyUse::Delta, 10));
    });
    for moved in [other_use, other_holder] {
        assert_eq!(
            first.succeed(&signed(&moved, &[1, 2])).unwrap_err(),
            RosterError::KeyMoved { key }
        );
    }
}

#[test]
fn an_expired_roster_is_noticed_and_can_still_be_succeeded() {
    let first = first();
    assert!(!first.is_expired(Timestamp::new(1_999)));
    assert!(first.is_expired(EXPIRES));
    let renewed = Roster::from_draft(
        first
            .roster()
            .next_draft(EXPIRES, Timestamp::new(9_000))
            .unwrap(),
    )
    .unwrap();
    assert!(
        !first
            .succeed(&signed(&renewed, &[1, 2]))
            .unwrap()
            .is_expired(EXPIRES)
    );
}

#[test]
fn signers_see_what_they_sign_and_sign_once() {
    let bytes = signed(&roster(), &[2]);
    let partly = UnsignedRoster::parse(&bytes).unwrap();
    assert_eq!(
        (partly.roster(), partly.signers()),
        (&roster(), &[public(2).key_id()][..])
    );
    let kid = public(2).key_id();
    assert_eq!(
        sign_roster(&bytes, &key(2)).unwrap_err(),
        RosterError::Cose(CoseError::RepeatedSigner { kid })
    );
    let no_roster = hashpact_keys::cose::sign_multi(&[], hashpact_keys::Context::Roster, &[0x80]);
    assert!(matches!(
        sign_roster(&no_roster, &key(1)).unwrap_err(),
        RosterError::Payload(_)
    ));
}

#[test]
fn the_last_version_has_no_successor() {
    let mut draft = draft();
    (draft.version, draft.network) = (RosterVersion::new(u64::MAX), Some(pin()));
    assert_eq!(
        Roster::from_draft(draft)
            .unwrap()
            .next_draft(EXPIRES, Timestamp::new(9_000)),
        None
    );
}
