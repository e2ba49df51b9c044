//! Signed objects against another COSE implementation, and the attacks on each part of them.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use coset::{
    CborSerializable, CoseSign, CoseSign1, CoseSign1Builder, CoseSignBuilder, CoseSignatureBuilder,
    HeaderBuilder, iana,
};
use ed25519_dalek::{Signature, VerifyingKey};
use hashpact_keys::canonical::{CanonicalError, encode};
use hashpact_keys::cose::{
    CoseError, MAX_SIGNATURES, MAX_SIGNED, MultiSigned, Sign1, sign_multi, sign1,
};
use hashpact_keys::{Context, KeyId, PublicKey, Signer};

const PAYLOAD: &[u8] = b"\x83\x01\x02\x03";

fn signer(seed: u8) -> Signer {
    Signer::from_seed(&[seed; 32])
}

/// Three signers in the order of their key ids.
fn three() -> [Signer; 3] {
    let mut signers = [signer(1), signer(2), signer(3)];
    signers.sort_by_key(|signer| signer.public().key_id());
    signers
}

fn oracle_verify(key: &PublicKey, signature: &[u8], tbs: &[u8]) -> bool {
    let key = VerifyingKey::from_bytes(key.as_bytes()).unwrap();
    key.verify_strict(tbs, &Signature::from_slice(signature).unwrap())
        .is_ok()
}

fn protected_sign1(algorithm: i64, content_type: &str, kid: &[u8]) -> Vec<u8> {
    encode(|e| {
        e.map(3)?
            .i64(1)?
            .i64(algorithm)?
            .i64(3)?
            .str(content_type)?
            .i64(4)?
            .bytes(kid)?
            .ok()
    })
}

/// A COSE_Sign1 from its parts, signed over what they say, whatever they say.
fn forge(signer: &Signer, protected: &[u8], payload: &[u8]) -> Vec<u8> {
    let structure = encode(|e| {
        e.array(4)?
            .str("Signature1")?
            .bytes(protected)?
            .bytes(&[])?
            .bytes(payload)?
            .ok()
    });
    let signature = signer.sign(&structure);
    encode(|e| {
        e.array(4)?
            .bytes(protected)?
            .map(0)?
            .bytes(payload)?
            .bytes(&signature)?
            .ok()
    })
}

fn parse_error(bytes: &[u8]) -> CoseError {
    Sign1::parse(bytes, Context::Policy).unwrap_err()
}

#[test]
fn another_implementation_reads_and_verifies_sign1() {
    let signer = signer(7);
    let bytes = sign1(&signer, Context::DeltaHeader, PAYLOAD);
    let theirs = CoseSign1::from_slice(&bytes).unwrap();
    assert_eq!(theirs.payload.as_deref(), Some(PAYLOAD));
    assert_eq!(
        theirs.protected.header.key_id,
        signer.public().key_id().as_bytes()
    );
    assert!(oracle_verify(
        &signer.public(),
        &theirs.signature,
        &theirs.tbs_data(b"")
    ));
}

#[test]
fn another_implementation_writes_the_same_sign1_byte_for_byte() {
    let signer = signer(7);
    let header = HeaderBuilder::new()
        .algorithm(iana::Algorithm::EdDSA)
        .content_type(Context::DeltaHeader.content_type().to_owned())
        .key_id(signer.public().key_id().as_bytes().to_vec())
        .build();
    let theirs = CoseSign1Builder::new()
        .protected(header)
        .payload(PAYLOAD.to_vec())
        .create_signature(b"", |tbs| signer.sign(tbs).to_vec())
        .build();
    assert_eq!(
        theirs.to_vec().unwrap(),
        sign1(&signer, Context::DeltaHeader, PAYLOAD)
    );
}

#[test]
fn another_implementation_reads_verifies_and_writes_multi_signed() {
    let signers = three();
    let bytes = sign_multi(&signers.each_ref(), Context::Roster, PAYLOAD);
    let theirs = CoseSign::from_slice(&bytes).unwrap();
    for (index, signer) in signers.iter().enumerate() {
        let part = &theirs.signatures[index];
        assert_eq!(
            part.protected.header.key_id,
            signer.public().key_id().as_bytes()
        );
        assert!(oracle_verify(
            &signer.public(),
            &part.signature,
            &theirs.tbs_data(b"", part)
        ));
    }
    let body = HeaderBuilder::new()
        .content_type(Context::Roster.content_type().to_owned())
        .build();
    let rebuilt = signers.iter().fold(
        CoseSignBuilder::new()
            .protected(body)
            .payload(PAYLOAD.to_vec()),
        |builder, signer| {
            let kid = signer.public().key_id().as_bytes().to_vec();
            let header = HeaderBuilder::new()
                .algorithm(iana::Algorithm::EdDSA)
                .key_id(kid)
                .build();
            let part = CoseSignatureBuilder::new().protected(header).build();
            builder.add_created_signature(part, b"", |tbs| signer.sign(tbs).to_vec())
        },
    );
    assert_eq!(rebuilt.build().to_vec().unwrap(), bytes);
}

#[test]
fn a_signed_payload_comes_back_only_to_its_key_and_context() {
    let (signer, other) = (signer(1), signer(2));
    let bytes = sign1(&signer, Context::Policy, PAYLOAD);
    let signed = Sign1::parse(&bytes, Context::Policy).unwrap();
    assert_eq!(
        (signed.kid(), signed.peek()),
        (signer.public().key_id(), PAYLOAD)
    );
    assert_eq!(signed.verify(&signer.public()), Ok(PAYLOAD));
    let (expected, got) = (other.public().key_id(), signer.public().key_id());
    assert_eq!(
        signed.verify(&other.public()),
        Err(CoseError::KeyId { expected, got })
    );
    for context in Context::ALL
        .into_iter()
        .filter(|context| *context != Context::Policy)
    {
        let expected = context.content_type();
        assert_eq!(
            Sign1::parse(&bytes, context).unwrap_err(),
            CoseError::ContentType { expected }
        );
    }
}

#[test]
fn every_changed_byte_is_noticed() {
    let signer = signer(1);
    let bytes = sign1(&signer, Context::Policy, PAYLOAD);
    for at in 0..bytes.len() {
        let mut tampered = bytes.clone();
        tampered[at] ^= 1;
        let opened = Sign1::parse(&tampered, Context::Policy)
            .and_then(|signed| signed.verify(&signer.public()));
        assert!(opened.is_err(), "byte {at}");
    }
}

#[test]
fn a_tampered_payload_does_not_verify() {
    let signer = signer(1);
    let mut bytes = sign1(&signer, Context::Policy, PAYLOAD);
    let at = bytes
        .windows(PAYLOAD.len())
        .position(|window| window == PAYLOAD)
        .unwrap();
    bytes[at + 1] = 9;
    let signed = Sign1::parse(&bytes, Context::Policy).unwrap();
    let kid = signer.public().key_id();
    assert_eq!(
        signed.verify(&signer.public()),
        Err(CoseError::Signature { kid })
    );
}

#[test]
fn a_kid_that_names_another_key_does_not_borrow_its_name() {
    let (signer, victim) = (signer(1), signer(2));
    let kid = victim.public().key_id();
    let bytes = forge(
        &signer,
        &protected_sign1(-8, Context::Policy.content_type(), kid.as_bytes()),
        PAYLOAD,
    );
    let signed = Sign1::parse(&bytes, Context::Policy).unwrap();
    assert_eq!(
        signed.verify(&victim.public()),
        Err(CoseError::Signature { kid })
    );
    assert_eq!(
        signed.verify(&signer.public()),
        Err(CoseError::KeyId {
            expected: signer.public().key_id(),
            got: kid
        })
    );
}

#[test]
fn ed25519_by_its_new_number_verifies_and_other_algorithms_do_not() {
    let signer = signer(1);
    let kid = signer.public().key_id();
    let header =
        |algorithm| protected_sign1(algorithm, Context::Policy.content_type(), kid.as_bytes());
    let bytes = forge(&signer, &header(-19), PAYLOAD);
    assert_eq!(
        Sign1::parse(&bytes, Context::Policy)
            .unwrap()
            .verify(&signer.public()),
        Ok(PAYLOAD)
    );
    for got in [-7, -53, 0, 5] {
        assert_eq!(
            parse_error(&forge(&signer, &header(got), PAYLOAD)),
            CoseError::Algorithm { got }
        );
    }
}

#[test]
fn headers_beyond_the_one_shape_are_refused() {
    let signer = signer(1);
    let kid = signer.public().key_id();
    let content_type = Context::Policy.content_type();
    let unsorted = encode(|e| {
        e.map(3)?
            .i64(3)?
            .str(content_type)?
            .i64(1)?
            .i64(-8)?
            .i64(4)?
            .bytes(kid.as_bytes())?
            .ok()
    });
    let at = 1 + 1 + 2 + content_type.len();
    assert_eq!(
        parse_error(&forge(&signer, &unsorted, PAYLOAD)),
        CoseError::ProtectedCanonical(CanonicalError::KeyOrder { at })
    );
    let no_kid = encode(|e| e.map(2)?.i64(1)?.i64(-8)?.i64(3)?.str(content_type)?.ok());
    let critical = encode(|e| {
        e.map(4)?.i64(1)?.i64(-8)?.i64(2)?.array(1)?.i64(99)?;
        e.i64(3)?
            .str(content_type)?
            .i64(4)?
            .bytes(kid.as_bytes())?
            .ok()
    });
    let other_label = encode(|e| {
        e.map(3)?
            .i64(1)?
            .i64(-8)?
            .i64(3)?
            .str(content_type)?
            .i64(5)?
            .bytes(kid.as_bytes())?
            .ok()
    });
    let short_kid = protected_sign1(-8, content_type, &kid.as_bytes()[..7]);
    for header in [no_kid, critical, other_label, short_kid, vec![0xa0]] {
        assert!(matches!(
            parse_error(&forge(&signer, &header, PAYLOAD)),
            CoseError::ProtectedShape(_)
        ));
    }
    // RFC 9052 lets an empty header be an empty string: this profile has no empty header.
    assert_eq!(
        parse_error(&forge(&signer, &[], PAYLOAD)),
        CoseError::ProtectedCanonical(CanonicalError::Truncated { at: 0 })
    );
}

#[test]
fn envelopes_beyond_the_one_shape_are_refused() {
    let signer = signer(1);
    let protected = protected_sign1(
        -8,
        Context::Policy.content_type(),
        signer.public().key_id().as_bytes(),
    );
    let envelope = |signature: &[u8]| {
        encode(|e| {
            e.array(4)?
                .bytes(&protected)?
                .map(0)?
                .bytes(PAYLOAD)?
                .bytes(signature)?
                .ok()
        })
    };
    assert_eq!(
        parse_error(&envelope(&[0; 63])),
        CoseError::SignatureLength { got: 63 }
    );
    assert_eq!(
        parse_error(&envelope(&[0; 65])),
        CoseError::SignatureLength { got: 65 }
    );
    let unprotected = encode(|e| {
        e.array(4)?
            .bytes(&protected)?
            .map(1)?
            .i64(4)?
            .bytes(b"12345678")?;
        e.bytes(PAYLOAD)?.bytes(&[0; 64])?.ok()
    });
    assert_eq!(parse_error(&unprotected), CoseError::Unprotected);
    let detached = encode(|e| {
        e.array(4)?
            .bytes(&protected)?
            .map(0)?
            .null()?
            .bytes(&[0; 64])?
            .ok()
    });
    assert!(matches!(parse_error(&detached), CoseError::Shape(_)));

    let good = sign1(&signer, Context::Policy, PAYLOAD);
    let at = good.len();
    assert_eq!(
        parse_error(&[good.as_slice(), &[0]].concat()),
        CoseError::Canonical(CanonicalError::Trailing { at })
    );
    assert_eq!(
        parse_error(&[&[0xd2], good.as_slice()].concat()),
        CoseError::Canonical(CanonicalError::Tag { at: 0 })
    );
    let longer = [&[0x98, 0x04], &good[1..]].concat();
    assert_eq!(
        parse_error(&longer),
        CoseError::Canonical(CanonicalError::NotShortest { at: 0 })
    );
}

#[test]
fn a_signed_object_fits_a_leaf_or_is_refused() {
    let signer = signer(1);
    let frame = sign1(&signer, Context::Policy, &[0; 60_000]).len() - 60_000;
    let longest = sign1(&signer, Context::Policy, &vec![0; MAX_SIGNED - frame]);
    assert_eq!(longest.len(), MAX_SIGNED);
    assert!(
        Sign1::parse(&longest, Context::Policy)
            .unwrap()
            .verify(&signer.public())
            .is_ok()
    );
    let longer = sign1(&signer, Context::Policy, &vec![0; MAX_SIGNED - frame + 1]);
    assert_eq!(
        parse_error(&longer),
        CoseError::TooLong {
            max: MAX_SIGNED,
            got: MAX_SIGNED + 1
        }
    );
}

#[test]
fn signatures_gather_one_by_one_into_the_same_bytes_in_any_order() {
    let [a, b, c] = three();
    let at_once = sign_multi(&[&c, &a, &b], Context::Roster, PAYLOAD);
    let mut bytes = sign_multi(&[], Context::Roster, PAYLOAD);
    assert_eq!(
        MultiSigned::parse(&bytes, Context::Roster).unwrap_err(),
        CoseError::NoSignatures
    );
    for signer in [&b, &c, &a] {
        bytes = MultiSigned::parse_draft(&bytes, Context::Roster)
            .unwrap()
            .add_signature(signer)
            .unwrap();
    }
    assert_eq!(bytes, at_once);
    let signed = MultiSigned::parse(&bytes, Context::Roster).unwrap();
    assert_eq!(signed.payload(), PAYLOAD);
    let kids: Vec<KeyId> = [&a, &b, &c].map(|signer| signer.public().key_id()).to_vec();
    assert_eq!(signed.signers().collect::<Vec<_>>(), kids);
    for signer in [&a, &b, &c] {
        assert_eq!(signed.verify_by(&signer.public()), Ok(()));
    }
    let kid = a.public().key_id();
    assert_eq!(
        signed.add_signature(&a),
        Err(CoseError::RepeatedSigner { kid })
    );
    let stranger = signer(9).public();
    assert_eq!(
        signed.verify_by(&stranger),
        Err(CoseError::NotSignedBy {
            kid: stranger.key_id()
        })
    );
}

/// A COSE_Sign with the signatures of `signers` in the order given, repeated if they are.
fn multi_in_order(signers: &[&Signer], payload: &[u8]) -> Vec<u8> {
    let body = encode(|e| e.map(1)?.i64(3)?.str(Context::Roster.content_type())?.ok());
    encode(|e| {
        e.array(4)?
            .bytes(&body)?
            .map(0)?
            .bytes(payload)?
            .array(signers.len() as u64)?;
        for signer in signers {
            let kid = signer.public().key_id();
            let header = encode(|e| {
                e.map(2)?
                    .i64(1)?
                    .i64(-8)?
                    .i64(4)?
                    .bytes(kid.as_bytes())?
                    .ok()
            });
            let structure = encode(|e| {
                e.array(5)?
                    .str("Signature")?
                    .bytes(&body)?
                    .bytes(&header)?
                    .bytes(&[])?
                    .bytes(payload)?
                    .ok()
            });
            e.array(3)?
                .bytes(&header)?
                .map(0)?
                .bytes(&signer.sign(&structure))?;
        }
        Ok(())
    })
}

#[test]
fn signatures_that_are_repeated_unsorted_or_too_many_are_refused() {
    let [a, b, _] = three();
    let parse = |bytes: &[u8]| MultiSigned::parse(bytes, Context::Roster).map(drop);
    assert_eq!(parse(&multi_in_order(&[&a, &b], PAYLOAD)), Ok(()));
    let kid = a.public().key_id();
    assert_eq!(
        parse(&multi_in_order(&[&a, &a], PAYLOAD)),
        Err(CoseError::RepeatedSigner { kid })
    );
    assert_eq!(
        parse(&multi_in_order(&[&b, &a], PAYLOAD)),
        Err(CoseError::SignatureOrder { kid })
    );

    let many: Vec<Signer> = (0..65).map(signer).collect();
    let all: Vec<&Signer> = many.iter().collect();
    let full = sign_multi(&all[..MAX_SIGNATURES], Context::Roster, PAYLOAD);
    let too_many = CoseError::TooManySignatures {
        max: MAX_SIGNATURES,
        got: MAX_SIGNATURES + 1,
    };
    let signed = MultiSigned::parse(&full, Context::Roster).unwrap();
    assert_eq!(signed.add_signature(all[MAX_SIGNATURES]), Err(too_many));
    assert_eq!(
        parse(&sign_multi(&all, Context::Roster, PAYLOAD)),
        Err(too_many)
    );
}

#[test]
fn a_signature_is_not_moved_to_another_payload_context_or_kind() {
    let signer = signer(1);
    let kid = signer.public().key_id();
    let mut bytes = sign_multi(&[&signer], Context::Roster, PAYLOAD);
    assert_eq!(
        MultiSigned::parse(&bytes, Context::Enrolment).unwrap_err(),
        CoseError::ContentType {
            expected: Context::Enrolment.content_type()
        }
    );
    assert!(matches!(
        Sign1::parse(&bytes, Context::Roster).unwrap_err(),
        CoseError::Shape(_)
    ));
    let at = bytes
        .windows(PAYLOAD.len())
        .position(|window| window == PAYLOAD)
        .unwrap();
    bytes[at + 1] = 9;
    let signed = MultiSigned::parse(&bytes, Context::Roster).unwrap();
    assert_eq!(
        signed.verify_by(&signer.public()),
        Err(CoseError::Signature { kid })
    );
}
