//! Enrolments of auditors and witnesses: nobody enters a key that they do not hold.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use hashpact_keys::canonical;
use hashpact_keys::cose::{CoseError, MultiSigned, sign_multi};
use hashpact_keys::enrolment::{Enrolment, WitnessEnrolment, WitnessEnrolmentError as Error};
use hashpact_keys::roster::RosterPayloadError;
use hashpact_keys::{Context, KeyUse, Signer, Timestamp};

fn key(seed: u8) -> Signer {
    Signer::from_seed(&[seed; 32])
}

fn enrol(keys: &[(KeyUse, &Signer)]) -> Result<Vec<u8>, Error> {
    WitnessEnrolment::sign("auditor.example/w1".parse().unwrap(), keys)
}

fn payload() -> Vec<u8> {
    let bytes = enrol(&[(KeyUse::Node, &key(2)), (KeyUse::Witness, &key(1))]).unwrap();
    let signed = MultiSigned::parse(&bytes, Context::WitnessEnrolment).unwrap();
    signed.payload().to_vec()
}

#[test]
fn an_enrolment_comes_back_with_its_keys_and_becomes_an_entry() {
    let bytes = enrol(&[(KeyUse::Node, &key(2)), (KeyUse::Witness, &key(1))]).unwrap();
    let enrolment = WitnessEnrolment::open(&bytes).unwrap();
    let entry = enrolment.entry(Timestamp::new(7));
    assert_eq!(entry.name.as_str(), "auditor.example/w1");
    for (use_, seed) in [(KeyUse::Witness, 1), (KeyUse::Node, 2)] {
        let public = key(seed).public();
        let found = entry.key(use_, public.key_id(), Timestamp::new(7));
        assert_eq!(found, Ok(&public));
        assert!(entry.key(use_, public.key_id(), Timestamp::new(6)).is_err());
    }
}

#[test]
fn a_key_that_did_not_sign_is_not_entered() {
    let missing = sign_multi(&[&key(1)], Context::WitnessEnrolment, &payload());
    let kid = key(2).public().key_id();
    let expected = Error::Cose(CoseError::NotSignedBy { kid });
    assert_eq!(WitnessEnrolment::open(&missing), Err(expected));
}

#[test]
fn a_signature_of_a_key_that_is_not_listed_is_refused() {
    let (a, b, c) = (key(1), key(2), key(3));
    let more = sign_multi(&[&a, &b, &c], Context::WitnessEnrolment, &payload());
    let (expected, got) = (2, 3);
    let expected = Error::Signatures { expected, got };
    assert_eq!(WitnessEnrolment::open(&more), Err(expected));
}

#[test]
fn keys_of_a_centre_are_not_enrolled_as_a_witness() {
    let (witness, log) = (key(1), key(2));
    let refused = enrol(&[(KeyUse::Witness, &witness), (KeyUse::Log, &log)]);
    assert_eq!(refused, Err(Error::Use { use_: KeyUse::Log }));
    let refused = enrol(&[(KeyUse::Node, &witness)]);
    assert_eq!(refused, Err(Error::NoWitnessKey));
    let refused = enrol(&[(KeyUse::Node, &witness), (KeyUse::Witness, &witness)]);
    let key = witness.public().key_id();
    let repeated = RosterPayloadError::RepeatedKey { key };
    assert_eq!(refused, Err(Error::Payload(repeated)));
}

#[test]
fn a_witness_enrolment_is_never_taken_for_a_centres() {
    let bytes = enrol(&[(KeyUse::Witness, &key(1))]).unwrap();
    assert!(Enrolment::open(&bytes).is_err());
    let (a, b) = (key(1), key(2));
    let moved = sign_multi(&[&a, &b], Context::Enrolment, &payload());
    let refused = WitnessEnrolment::open(&moved);
    assert!(matches!(refused, Err(Error::Cose(_))), "{refused:?}");
}

#[test]
fn another_format_is_refused() {
    let other = canonical::encode(|e| {
        e.array(3)?.u64(2)?.str("auditor.example/w1")?;
        e.array(0)?;
        Ok(())
    });
    let bytes = sign_multi(&[&key(1)], Context::WitnessEnrolment, &other);
    let (expected, got) = (1, 2);
    let format = RosterPayloadError::Format { expected, got };
    assert_eq!(WitnessEnrolment::open(&bytes), Err(Error::Payload(format)));
}
