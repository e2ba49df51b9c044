//! One version: round trip, look-ups, and every rule that a payload can break.

use coset::cbor::Value;
use hashpact_keys::canonical::CanonicalError;
use hashpact_keys::roster::{
    KeyLookupError, KeyUse, Roster, RosterDraft, RosterPayloadError as Error,
};
use hashpact_keys::{NetworkId, Origin, RosterVersion, Timestamp};
use sha2::{Digest, Sha256};

use crate::fixture::{EXPIRES, centre, draft, entry, public, roster};

/// The error of the fixture's draft after `change`.
fn refused(change: impl FnOnce(&mut RosterDraft)) -> Error {
    let mut draft = draft();
    change(&mut draft);
    Roster::from_draft(draft).unwrap_err()
}

/// The error of the fixture's payload after `change` by another CBOR implementation: what a peer could send.
fn refused_bytes(change: impl FnOnce(&mut Vec<Value>)) -> Error {
    let mut value: Value =
        coset::cbor::de::from_reader(roster().payload_bytes().as_slice()).unwrap();
    change(value.as_array_mut().unwrap());
    let mut bytes = Vec::new();
    coset::cbor::ser::into_writer(&value, &mut bytes).unwrap();
    Roster::decode(&bytes).unwrap_err()
}

fn list(fields: &mut [Value], index: usize) -> &mut Vec<Value> {
    fields[index].as_array_mut().unwrap()
}

#[test]
fn a_roster_comes_back_from_its_own_bytes_and_names_its_network() {
    let roster = roster();
    let payload = roster.payload_bytes();
    assert_eq!(Roster::decode(&payload), Ok(roster.clone()));
    assert_eq!(
        roster.network,
        NetworkId::new(Sha256::digest(&payload).into())
    );
    assert_eq!(
        roster
            .centres
            .iter()
            .map(|centre| centre.id.as_str())
            .collect::<Vec<_>>(),
        ["eu", "us"]
    );

    let next = Roster::from_draft(
        roster
            .next_draft(Timestamp::new(5), Timestamp::new(6))
            .unwrap(),
    )
    .unwrap();
    assert_eq!(
        (next.version, next.network),
        (RosterVersion::new(2), roster.network)
    );
    assert_eq!(Roster::decode(&next.payload_bytes()), Ok(next));
}

/// The layout is a format: the first fields of the payload, as another implementation reads them.
#[test]
fn the_payload_is_the_array_that_the_format_says() {
    let value: Value = coset::cbor::de::from_reader(roster().payload_bytes().as_slice()).unwrap();
    let fields = value.as_array().unwrap();
    assert_eq!(
        fields[..7],
        [
            1.into(),
            Value::Null,
            1.into(),
            1000.into(),
            2000.into(),
            true.into(),
            2.into()
        ]
    );
    assert_eq!(fields.len(), 12);
    let eu = fields[8].as_array().unwrap()[0].as_array().unwrap();
    assert_eq!(
        eu[..3],
        ["eu".into(), "EU".into(), "hashpact.example/eu/0".into()]
    );
    let delta_key = Value::Bytes(public(10).as_bytes().to_vec());
    assert_eq!(
        eu[3].as_array().unwrap()[0],
        Value::Array(vec![3.into(), delta_key, 100.into(), Value::Null])
    );
}

#[test]
fn look_ups_find_the_holder_of_a_name_a_log_and_a_node_key() {
    let roster = roster();
    let eu = roster.centre(&"eu".parse().unwrap()).unwrap();
    assert_eq!(roster.by_origin(&eu.origin), Some(eu));
    assert_eq!(roster.by_node_key(&public(12)), Some(eu));
    // A key of another use opens no connection.
    assert_eq!(roster.by_node_key(&public(10)), None);
    assert_eq!(
        roster.by_origin(&"hashpact.example/eu/1".parse().unwrap()),
        None
    );
    assert_eq!(roster.centre(&"ca".parse().unwrap()), None);
    let auditor = roster.witness(&"audit.example/w".parse().unwrap()).unwrap();
    assert_eq!(
        auditor.key(KeyUse::Witness, public(30).key_id(), EXPIRES),
        Ok(&public(30))
    );
    assert_eq!(
        eu.keys_of(KeyUse::Log)
            .map(|entry| entry.key)
            .collect::<Vec<_>>(),
        [public(11)]
    );
}

#[test]
fn a_key_counts_only_for_its_use_and_within_its_time() {
    let mut draft = draft();
    draft.centres[1].keys[0].until = Some(Timestamp::new(200));
    let roster = Roster::from_draft(draft).unwrap();
    let eu = roster.centre(&"eu".parse().unwrap()).unwrap();
    let key = public(10).key_id();
    let at = |seconds| eu.key(KeyUse::Delta, key, Timestamp::new(seconds));
    assert_eq!((at(100), at(199)), (Ok(&public(10)), Ok(&public(10))));
    for seconds in [0, 99, 200, u64::MAX] {
        assert_eq!(
            at(seconds),
            Err(KeyLookupError::NotValidAt {
                key,
                at: Timestamp::new(seconds)
            })
        );
    }
    let wrong_use = KeyLookupError::WrongUse {
        key,
        expected: KeyUse::Log,
        got: KeyUse::Delta,
    };
    assert_eq!(
        eu.key(KeyUse::Log, key, Timestamp::new(150)),
        Err(wrong_use)
    );
    // The other centre's key is unknown here, whatever its use.
    let key = public(20).key_id();
    assert_eq!(
        eu.key(KeyUse::Delta, key, Timestamp::new(150)),
        Err(KeyLookupError::Unknown { key })
    );
}

#[test]
fn a_revocation_holds_for_one_key_in_one_log() {
    let roster = roster();
    let (eu, us): (Origin, Origin) = (
        "hashpact.example/eu/0".parse().unwrap(),
        "hashpact.example/us/0".parse().unwrap(),
    );
    assert_eq!(roster.revoked_from(&public(99).key_id(), &eu), Some(7));
    assert_eq!(roster.revoked_from(&public(99).key_id(), &us), None);
    assert_eq!(roster.revoked_from(&public(10).key_id(), &eu), None);
}

#[test]
fn an_expired_roster_is_noticed_to_the_second() {
    assert!(!roster().is_expired(Timestamp::new(1_999)));
    assert!(roster().is_expired(EXPIRES));
}

#[test]
fn two_centres_with_one_key_are_refused() {
    let key = public(10).key_id();
    assert_eq!(
        refused(|draft| draft.centres[0].keys[0] = entry(KeyUse::Delta, 10)),
        Error::RepeatedKey { key }
    );
}

#[test]
fn a_key_with_two_uses_or_two_roles_is_refused() {
    let key = public(10).key_id();
    assert_eq!(
        refused(|draft| draft.centres[1].keys.push(entry(KeyUse::Attest, 10))),
        Error::RepeatedKey { key }
    );
    assert_eq!(
        refused(|draft| draft.auditors[0].keys.push(entry(KeyUse::Mirror, 10))),
        Error::RepeatedKey { key }
    );
    assert_eq!(
        refused(|draft| draft.root_keys[0] = public(10)),
        Error::RepeatedKey { key }
    );
    let key = public(50).key_id();
    assert_eq!(
        refused(|draft| draft.centres[1].keys.push(entry(KeyUse::Root, 50))),
        Error::RootKeyOfHolder { key }
    );
}

#[test]
fn names_of_logs_and_witnesses_are_unique_and_true() {
    let (eu, us) = ("eu".parse().unwrap(), "us".parse().unwrap());
    assert_eq!(
        refused(|draft| draft.centres[0].origin = draft.centres[1].origin.clone()),
        Error::OriginOfOther {
            expected: us,
            got: eu
        }
    );
    assert_eq!(
        refused(|draft| draft.auditors[0].name = "hashpact.example/eu/0".parse().unwrap()),
        Error::RepeatedName {
            list: "auditors",
            index: 0
        }
    );
    // Under a centre's name, or that of one of its roles, a stranger would be counted in its place.
    for name in [
        "eu",
        "hashpact.example/eu/witness",
        "hashpact.example/us/mirror",
    ] {
        assert_eq!(
            refused(|draft| draft.auditors[0].name = name.parse().unwrap()),
            Error::RepeatedName {
                list: "auditors",
                index: 0
            },
            "{name}"
        );
    }
    assert_eq!(
        refused(|draft| draft.witnesses = draft.auditors.clone()),
        Error::RepeatedName {
            list: "witnesses",
            index: 0
        }
    );
    assert_eq!(
        refused(|draft| draft.centres.push(centre("eu", "EU", 40))),
        Error::Order {
            list: "centres",
            index: 1
        }
    );
}

#[test]
fn thresholds_lifetimes_and_versions_are_within_reason() {
    assert_eq!(
        refused(|draft| draft.threshold = 0),
        Error::Threshold {
            threshold: 0,
            root_keys: 3
        }
    );
    assert_eq!(
        refused(|draft| draft.threshold = 4),
        Error::Threshold {
            threshold: 4,
            root_keys: 3
        }
    );
    assert_eq!(
        refused(|draft| draft.root_keys.clear()),
        Error::Empty { list: "root keys" }
    );
    assert_eq!(
        refused(|draft| draft.centres.clear()),
        Error::Empty { list: "centres" }
    );
    assert_eq!(
        refused(|draft| draft.root_keys[1] = public(1)),
        Error::Order {
            list: "root keys",
            index: 1
        }
    );
    let issued_at = EXPIRES;
    assert_eq!(
        refused(|draft| draft.issued_at = EXPIRES),
        Error::Lifetime {
            issued_at,
            expires_at: EXPIRES
        }
    );
    assert_eq!(
        refused(|draft| draft.version = RosterVersion::new(0)),
        Error::VersionZero
    );
    let version = RosterVersion::new(2);
    assert_eq!(
        refused(|draft| draft.version = version),
        Error::NetworkField { version }
    );
    let version = RosterVersion::FIRST;
    assert_eq!(
        refused(|draft| draft.network = Some(NetworkId::new([1; 32]))),
        Error::NetworkField { version }
    );
    let key = public(10).key_id();
    assert_eq!(
        refused(|draft| draft.centres[1].keys[0].until = Some(Timestamp::new(100))),
        Error::KeyLifetime { key }
    );
}

#[test]
fn lists_beyond_their_limits_are_refused_by_name() {
    let centres = || {
        (0..65)
            .map(|n| centre(&format!("c{n:02}"), "EU", 3 * n + 10))
            .collect()
    };
    assert_eq!(
        refused(|draft| draft.centres = centres()),
        Error::TooMany {
            list: "centres",
            max: 64,
            got: 65
        }
    );
    assert_eq!(
        refused(|draft| draft.root_keys = (100..117).map(public).collect()),
        Error::TooMany {
            list: "root keys",
            max: 16,
            got: 17
        }
    );
    let addresses = |count| {
        (0..count)
            .map(|n| format!("/ip4/192.0.2.{n}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        refused(|draft| draft.centres[0].addresses = addresses(9)),
        Error::TooMany {
            list: "addresses",
            max: 8,
            got: 9
        }
    );
    for bad in ["", "two words", "line\n", "ü", &"a".repeat(257)] {
        assert_eq!(
            refused(|draft| draft.centres[0].addresses.push(bad.to_owned())),
            Error::Address { index: 1 }
        );
    }
    assert_eq!(
        refused(|draft| draft.centres[0].addresses = vec!["/dns/x".to_owned(); 2]),
        Error::Address { index: 1 }
    );
}

#[test]
fn bytes_that_a_peer_bends_are_refused() {
    assert_eq!(
        refused_bytes(|fields| fields[0] = 2.into()),
        Error::Format {
            expected: 1,
            got: 2
        }
    );
    assert_eq!(
        refused_bytes(|fields| list(fields, 7).reverse()),
        Error::Order {
            list: "root keys",
            index: 1
        }
    );
    assert_eq!(
        refused_bytes(|fields| list(fields, 8).reverse()),
        Error::Order {
            list: "centres",
            index: 1
        }
    );
    let keys_of_eu =
        |fields: &mut Vec<Value>| list(list(fields, 8)[0].as_array_mut().unwrap(), 3).reverse();
    assert_eq!(
        refused_bytes(keys_of_eu),
        Error::Order {
            list: "keys of a holder",
            index: 1
        }
    );
    assert!(matches!(
        refused_bytes(|fields| drop(fields.pop())),
        Error::Shape(_)
    ));
    assert!(matches!(
        refused_bytes(|fields| fields.push(Value::Null)),
        Error::Shape(_)
    ));
    assert!(matches!(
        refused_bytes(|fields| list(fields, 7)[0] = Value::Bytes(vec![0; 31])),
        Error::Shape(_)
    ));
    assert!(matches!(
        refused_bytes(|fields| list(fields, 7)[0] = Value::Bytes(vec![0; 32])),
        Error::PublicKey(_)
    ));
    assert!(matches!(
        refused_bytes(|fields| fields[6] = 256.into()),
        Error::Shape(_)
    ));
    let mut longer = roster().payload_bytes();
    longer.push(0);
    let at = longer.len() - 1;
    assert_eq!(
        Roster::decode(&longer),
        Err(Error::Canonical(CanonicalError::Trailing { at }))
    );
}
