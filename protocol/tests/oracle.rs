//! What this crate signs, compared with another implementation of COSE.
#![cfg(feature = "testing")]

use coset::{CborSerializable as _, CoseSign1, CoseSign1Builder, HeaderBuilder, iana};
use hashpact_keys::cose::Sign1;
use hashpact_keys::{Context, KeyUse, Timestamp};
use hashpact_protocol::delta::{Header, Seq};
use hashpact_protocol::testing::keys::{self, START};

fn header() -> Header {
    let (roster, centres) = keys::network(1, true);
    Header {
        network: roster.roster().network,
        origin: centres[0].origin.clone(),
        roster_version: roster.roster().version,
        seq: Seq(300),
        prev: [1; 32],
        table: [2; 32],
        total: 70_000,
        issued_at: Timestamp::new(START.get()),
        policy_ref: None,
    }
}

#[test]
fn a_header_is_the_cose_sign1_that_coset_writes_and_verifies() {
    let (_, centres) = keys::network(1, true);
    let signer = centres[0].signer(KeyUse::Delta);
    let ours = header().sign(&signer);
    let payload = Sign1::parse(&ours, Context::DeltaHeader)
        .expect("our own")
        .peek()
        .to_vec();
    let protected = HeaderBuilder::new()
        .algorithm(iana::Algorithm::EdDSA)
        .content_type("application/hashpact-delta+cbor".to_owned())
        .key_id(signer.public().key_id().as_bytes().to_vec())
        .build();
    let theirs = CoseSign1Builder::new()
        .protected(protected)
        .payload(payload)
        .create_signature(&[], |bytes| signer.sign(bytes).to_vec())
        .build();
    assert_eq!(theirs.to_vec().expect("CBOR"), ours);
    let read = CoseSign1::from_slice(&ours).expect("a COSE_Sign1");
    let verified = read.verify_signature(&[], |signature, bytes| {
        let signature = signature.try_into().map_err(|_| ())?;
        signer.public().verify(bytes, signature).map_err(|_| ())
    });
    assert_eq!(verified, Ok(()));
}

#[test]
fn the_payload_of_a_header_reads_as_plain_cbor() {
    let (_, centres) = keys::network(1, true);
    let ours = header().sign(&centres[0].signer(KeyUse::Delta));
    let payload = Sign1::parse(&ours, Context::DeltaHeader)
        .expect("our own")
        .peek()
        .to_vec();
    let value = coset::cbor::value::Value::from_slice(&payload).expect("CBOR");
    let items = value.into_array().expect("an array");
    let numbers = [(0, 1_u64), (3, 1), (4, 300), (7, 70_000), (8, START.get())];
    for (at, number) in numbers {
        assert_eq!(
            items[at],
            coset::cbor::value::Value::from(number),
            "item {at}"
        );
    }
    assert_eq!(items[5].as_bytes(), Some(&vec![1; 32]));
    assert_eq!(items[6].as_bytes(), Some(&vec![2; 32]));
    assert!(items[9].is_null());
    assert_eq!(items.len(), 10);
}
