use std::os::unix::fs::PermissionsExt as _;

use hashpact_keys::{Signer, Timestamp};
use hashpact_protocol::testing::keys::{network, next_roster};
use tempfile::TempDir;

use super::*;

const SEED: [u8; 32] = [9; 32];

fn eu() -> CentreId {
    "eu".parse().unwrap()
}

/// A folder, and a home in it that knows the first roster of a network of two.
fn made() -> (TempDir, MemberHome, SignedRoster) {
    let folder = TempDir::new().unwrap();
    let (roster, _) = network(2, true);
    let home = MemberHome::new(folder.path().join("member"));
    let pin = roster.roster().network;
    let key = home
        .init(&[roster.bytes().to_vec()], &pin, &eu(), &SEED)
        .unwrap();
    assert_eq!(key, Signer::from_seed(&SEED).public());
    (folder, home, roster)
}

#[test]
fn a_home_opens_with_its_centre_roster_and_key_for_one_command_at_a_time() {
    let (_folder, home, roster) = made();
    let member = home.open().unwrap();
    assert_eq!((member.centre.clone(), &*member.seed), (eu(), &SEED));
    assert_eq!(member.roster.bytes(), roster.bytes());
    assert!(matches!(home.open().err().unwrap(), MemberError::Locked(_)));
    drop(member);
    home.open().unwrap();
    let mode = |name: &str| {
        std::fs::metadata(home.path.join(name))
            .unwrap()
            .permissions()
            .mode()
    };
    assert_eq!(
        (mode("") & 0o777, mode("keys/node.key") & 0o777),
        (0o700, 0o600)
    );
}

#[test]
fn another_network_a_stranger_and_a_folder_in_use_make_no_home() {
    let (folder, home, roster) = made();
    let rosters = [roster.bytes().to_vec()];
    let pin = roster.roster().network;
    let other = MemberHome::new(folder.path().join("other"));
    let wrong = NetworkId::new([1; 32]);
    let refused = other.init(&rosters, &wrong, &eu(), &SEED).err().unwrap();
    assert!(matches!(
        refused,
        MemberError::Roster {
            number: 1,
            source: RosterError::Pin { .. }
        }
    ));
    let nobody = "nz".parse().unwrap();
    let refused = other.init(&rosters, &pin, &nobody, &SEED).err().unwrap();
    assert!(matches!(refused, MemberError::NoCentre { .. }));
    assert!(matches!(
        other.init(&[], &pin, &eu(), &SEED),
        Err(MemberError::NoRoster)
    ));
    assert!(!other.is_made() && matches!(other.open(), Err(MemberError::Missing(_))));
    assert!(matches!(
        home.init(&rosters, &pin, &eu(), &SEED),
        Err(MemberError::Exists(_))
    ));
}

#[test]
fn rosters_follow_one_another_and_none_is_skipped() {
    let (_folder, home, first) = made();
    let next = |last: &SignedRoster| {
        let issued = Timestamp::new(last.roster().issued_at.get() + 1);
        next_roster(last, issued, |_| {})
    };
    let second = next(&first);
    let third = next(&second);
    let bytes = |roster: &SignedRoster| roster.bytes().to_vec();
    let skipped = home.add_rosters(&[bytes(&third)]).err().unwrap();
    assert!(matches!(skipped, MemberError::Roster { number: 1, .. }));
    let version = home.add_rosters(&[bytes(&first), bytes(&second), bytes(&third)]);
    assert_eq!(version.unwrap().get(), 3);
    let again = home.add_rosters(&[bytes(&first), bytes(&second)]);
    assert_eq!(again.unwrap().get(), 3);
    assert_eq!(home.open().unwrap().roster.bytes(), third.bytes());
}
