//! Enrolments: nobody enters a key that they do not hold.

use hashpact_keys::Context;
use hashpact_keys::cose::{CoseError, MultiSigned, sign_multi};
use hashpact_keys::enrolment::{Enrolment, EnrolmentError};
use hashpact_keys::roster::{KeyUse, RosterPayloadError};
use hashpact_keys::{Signer, Timestamp};

use crate::fixture::{key, public};

fn enrol(origin: &str, keys: &[(KeyUse, &Signer)]) -> Result<Vec<u8>, EnrolmentError> {
    let (id, jurisdiction) = ("eu".parse().unwrap(), "EU".parse().unwrap());
    Enrolment::sign(
        id,
        jurisdiction,
        origin.parse().unwrap(),
        vec!["/dns/eu.example".to_owned()],
        keys,
    )
}

/// The payload of an enrolment with a delta key 10 and a root key 11.
fn payload() -> Vec<u8> {
    let bytes = enrol(
        "x/eu/0",
        &[(KeyUse::Delta, &key(10)), (KeyUse::Root, &key(11))],
    )
    .unwrap();
    MultiSigned::parse(&bytes, Context::Enrolment)
        .unwrap()
        .payload()
        .to_vec()
}

#[test]
fn an_enrolment_comes_back_with_its_keys_and_becomes_an_entry() {
    let bytes = enrol(
        "x/eu/0",
        &[(KeyUse::Delta, &key(10)), (KeyUse::Root, &key(11))],
    )
    .unwrap();
    let enrolment = Enrolment::open(&bytes).unwrap();
    assert_eq!(
        (
            enrolment.id.as_str(),
            enrolment.jurisdiction.as_str(),
            enrolment.origin.as_str()
        ),
        ("eu", "EU", "x/eu/0")
    );
    assert_eq!(
        enrolment.keys,
        [(KeyUse::Root, public(11)), (KeyUse::Delta, public(10))]
    );
    assert_eq!(enrolment.root_keys().collect::<Vec<_>>(), [public(11)]);
    let entry = enrolment.centre_entry(Timestamp::new(5), None);
    assert_eq!(
        entry
            .keys
            .iter()
            .map(|key| (key.use_, key.key))
            .collect::<Vec<_>>(),
        [(KeyUse::Delta, public(10))]
    );
    assert_eq!(entry.addresses, ["/dns/eu.example"]);
}

#[test]
fn a_listed_key_that_did_not_sign_is_not_enrolled() {
    let partly = sign_multi(&[&key(10)], Context::Enrolment, &payload());
    let kid = public(11).key_id();
    assert_eq!(
        Enrolment::open(&partly),
        Err(EnrolmentError::Cose(CoseError::NotSignedBy { kid }))
    );
}

/// Two people hold keys that the node never sees.
#[test]
fn an_enrolment_opens_once_everybody_on_it_has_signed() {
    let (own, others) = (
        key(10),
        [(KeyUse::Policy, public(11)), (KeyUse::Policy, public(12))],
    );
    let draft = Enrolment::draft(
        "eu".parse().unwrap(),
        "EU".parse().unwrap(),
        "x/eu/0".parse().unwrap(),
        Vec::new(),
        &[(KeyUse::Delta, &own)],
        &others,
    )
    .unwrap();
    let missing = |bytes: &[u8]| Enrolment::read_draft(bytes).unwrap().1.len();
    assert_eq!(missing(&draft), 2);
    let stranger = Enrolment::add_signature(&draft, &key(13));
    let id = public(13).key_id();
    assert_eq!(stranger, Err(EnrolmentError::NotListed { key: id }));
    let one = Enrolment::add_signature(&draft, &key(12)).unwrap();
    assert_eq!(missing(&one), 1);
    assert!(matches!(
        Enrolment::open(&one),
        Err(EnrolmentError::Cose(_))
    ));
    let again = Enrolment::add_signature(&one, &key(12));
    let kid = public(12).key_id();
    assert_eq!(
        again,
        Err(EnrolmentError::Cose(CoseError::RepeatedSigner { kid }))
    );
    let all = Enrolment::add_signature(&one, &key(11)).unwrap();
    assert_eq!(Enrolment::open(&all).unwrap().keys.len(), 3);
}

#[test]
fn a_signature_by_a_key_that_is_not_listed_is_refused() {
    let more = sign_multi(
        &[&key(10), &key(11), &key(12)],
        Context::Enrolment,
        &payload(),
    );
    assert_eq!(
        Enrolment::open(&more),
        Err(EnrolmentError::Signatures {
            expected: 2,
            got: 3
        })
    );
}

#[test]
fn a_signature_for_another_use_proves_no_possession() {
    let roster_like = sign_multi(&[&key(10), &key(11)], Context::Roster, &payload());
    let expected = Context::Enrolment.content_type();
    assert_eq!(
        Enrolment::open(&roster_like),
        Err(EnrolmentError::Cose(CoseError::ContentType { expected }))
    );
}

#[test]
fn what_no_roster_could_take_is_not_signed() {
    let error = |result: Result<Vec<u8>, EnrolmentError>| match result.unwrap_err() {
        EnrolmentError::Payload(error) => error,
        other @ (EnrolmentError::Cose(_)
        | EnrolmentError::Signatures { .. }
        | EnrolmentError::NotListed { .. }) => panic!("{other}"),
    };
    assert_eq!(
        error(enrol("x/eu/0", &[])),
        RosterPayloadError::Empty { list: "keys" }
    );
    let twice = [(KeyUse::Delta, &key(10)), (KeyUse::Log, &key(10))];
    assert_eq!(
        error(enrol("x/eu/0", &twice)),
        RosterPayloadError::RepeatedKey {
            key: public(10).key_id()
        }
    );
    let (expected, got) = ("eu".parse().unwrap(), "us".parse().unwrap());
    assert_eq!(
        error(enrol("x/us/0", &[(KeyUse::Delta, &key(10))])),
        RosterPayloadError::OriginOfOther { expected, got }
    );
}
