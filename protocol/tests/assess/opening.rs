//! Attestations that are refused, each with the exact error, and what one signature covers.

use hashpact_keys::canonical::item_len;
use hashpact_keys::cose::{CoseError, Sign1, sign1};
use hashpact_keys::roster::{KeyLookupError, Revocation};
use hashpact_keys::{Context, KeyUse, NetworkId, Timestamp};
use hashpact_protocol::assess::{Assessor, Attestation, AttestationError, Basis, Values};
use hashpact_protocol::labels::{ContentClass, Depiction};
use hashpact_protocol::limits;
use hashpact_protocol::lists::Set;
use hashpact_protocol::record::{AgeBand, Flag, PubertalStage, Revision};
use hashpact_protocol::testing::attestations::{DAY, NOW};
use hashpact_protocol::testing::keys::{START, next_roster};
use proptest::prelude::*;

use super::{NETWORK, by, centre};

type Refused = AttestationError;
type Bend = fn(&mut Attestation);

/// What opening says of an attestation that another centre's key, or the right one, signed.
fn open(attestation: &Attestation, signer: usize) -> Result<Attestation, Refused> {
    let signed = attestation.sign(&centre(signer).signer(KeyUse::Attest))?;
    open_bytes(&signed)
}

fn open_bytes(signed: &[u8]) -> Result<Attestation, Refused> {
    Attestation::open(signed, NETWORK.0.roster(), NOW)
        .map(|attested| attested.attestation().clone())
}

/// The items of a payload, in order: 12 of them, of which the last is the array of 6.
fn items(attestation: &Attestation) -> Vec<Vec<u8>> {
    let signed = attestation
        .sign(&centre(1).signer(KeyUse::Attest))
        .expect("signs");
    let envelope = Sign1::parse(&signed, Context::Attestation).expect("an envelope");
    split(&envelope.peek()[1..])
}

fn split(mut rest: &[u8]) -> Vec<Vec<u8>> {
    let mut items = Vec::new();
    while !rest.is_empty() {
        let (item, after) = rest.split_at(item_len(rest).expect("canonical"));
        items.push(item.to_vec());
        rest = after;
    }
    items
}

/// What opening says of a payload with one item replaced, rightly signed.
fn replaced(at: usize, item: &[u8]) -> Result<Attestation, Refused> {
    let mut items = items(&by(1, 1));
    items[at] = item.to_vec();
    signed_as(&[vec![0x8c], items.concat()].concat())
}

/// The same for one of the values attested.
fn value(at: usize, item: &[u8]) -> Result<Attestation, Refused> {
    let mut values = split(&items(&by(1, 1))[11][1..]);
    values[at] = item.to_vec();
    replaced(11, &[vec![0x86], values.concat()].concat())
}

fn signed_as(payload: &[u8]) -> Result<Attestation, Refused> {
    let signer = centre(1).signer(KeyUse::Attest);
    open_bytes(&sign1(&signer, Context::Attestation, payload))
}

#[test]
fn an_attestation_opens_to_what_was_signed_and_is_signed_the_same_again() {
    for (basis, assessor) in [
        (Basis::Viewed, by(1, 1).assessor),
        (Basis::MetadataOnly, by(1, 2).assessor),
        (Basis::LegacyImport, None),
    ] {
        let one = Attestation {
            basis,
            assessor,
            ..by(1, 1)
        };
        assert_eq!(open(&one, 1), Ok(one.clone()));
        let sign = || one.sign(&centre(1).signer(KeyUse::Attest));
        assert_eq!(sign(), sign());
    }
}

#[test]
fn the_longest_attestation_fits_its_bound() {
    let full = Values {
        content_class: Set::of(&[ContentClass::Csam]),
        depiction: Set::of(&[Depiction::Real]),
        minor_certain: Some(true),
        age_depicted: Set::of(&[AgeBand::To6]),
        pubertal_stage: Set::of(&[PubertalStage::Prepubertal]),
        features: [Flag::Yes; 7],
    };
    let mut one = Attestation {
        values: full,
        day: limits::DAYS - 1,
        ..by(1, 1)
    };
    one.subject.revision = Revision(u32::MAX);
    one.subject.origin = format!("{}/1", "a".repeat(120))
        .parse()
        .unwrap_or(one.subject.origin);
    let signed = one.sign(&centre(1).signer(KeyUse::Attest)).expect("signs");
    assert!(
        signed.len() <= limits::ATTESTATION_BYTES,
        "{}",
        signed.len()
    );
    let got = limits::ATTESTATION_BYTES + 1;
    assert_eq!(open_bytes(&vec![0; got]), Err(Refused::TooLarge { got }));
}

#[test]
fn an_attestation_that_its_centre_did_not_sign_is_refused() {
    let key = |n: usize| centre(n).signer(KeyUse::Attest).public().key_id();
    let unknown = KeyLookupError::Unknown { key: key(2) };
    assert_eq!(
        open(&by(1, 1), 2),
        Err(Refused::Key(unknown)),
        "another centre's key"
    );
    let signed = by(1, 1)
        .sign(&centre(1).signer(KeyUse::Delta))
        .expect("signs");
    let key = centre(1).signer(KeyUse::Delta).public().key_id();
    let (expected, got) = (KeyUse::Attest, KeyUse::Delta);
    let wrong = KeyLookupError::WrongUse { key, expected, got };
    assert_eq!(
        open_bytes(&signed),
        Err(Refused::Key(wrong)),
        "a key of another use"
    );
    let payload = [vec![0x8c], items(&by(1, 1)).concat()].concat();
    let recall = sign1(&centre(1).signer(KeyUse::Attest), Context::Recall, &payload);
    let expected = Context::Attestation.content_type();
    let other = CoseError::ContentType { expected };
    assert_eq!(
        open_bytes(&recall),
        Err(Refused::Envelope(other)),
        "signed for another use"
    );
    let mut forged = by(1, 1)
        .sign(&centre(1).signer(KeyUse::Attest))
        .expect("signs");
    let kid = centre(1).signer(KeyUse::Attest).public().key_id();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    assert_eq!(
        open_bytes(&forged),
        Err(Refused::Envelope(CoseError::Signature { kid }))
    );
}

#[test]
fn a_centre_speaks_for_itself_under_its_own_law_in_its_own_network() {
    let stranger = Attestation {
        centre: "stranger".parse().expect("a name"),
        ..by(1, 1)
    };
    let named = stranger.centre.clone();
    assert_eq!(open(&stranger, 1), Err(Refused::Centre { centre: named }));
    let abroad = Attestation {
        country: centre(2).jurisdiction.clone(),
        ..by(1, 1)
    };
    let (expected, got) = (
        centre(1).jurisdiction.clone(),
        centre(2).jurisdiction.clone(),
    );
    assert_eq!(
        open(&abroad, 1),
        Err(Refused::Country { expected, got }),
        "two countries of one centre"
    );
    let got = NetworkId::new([7; 32]);
    let elsewhere = Attestation {
        network: got,
        ..by(1, 1)
    };
    let expected = NETWORK.0.roster().network;
    assert_eq!(open(&elsewhere, 1), Err(Refused::Network { expected, got }));
}

#[test]
fn a_key_signs_within_its_days_and_a_revoked_one_for_none() {
    let key = centre(1).signer(KeyUse::Attest).public().key_id();
    assert_eq!(
        open(
            &Attestation {
                day: DAY,
                ..by(1, 1)
            },
            1
        )
        .map(|one| one.day),
        Ok(DAY)
    );
    let day = DAY - 1;
    let at = Timestamp::new(u64::from(DAY) * 86_400 - 1);
    let before = KeyLookupError::NotValidAt { key, at };
    assert_eq!(
        open(&Attestation { day, ..by(1, 1) }, 1),
        Err(Refused::Key(before))
    );
    assert_eq!(
        open(
            &Attestation {
                day: DAY + 1,
                ..by(1, 1)
            },
            1
        )
        .map(|one| one.day),
        Ok(DAY + 1)
    );
    let day = DAY + 2;
    assert_eq!(
        open(&Attestation { day, ..by(1, 1) }, 1),
        Err(Refused::Future { day })
    );

    let signed = by(1, 1)
        .sign(&centre(1).signer(KeyUse::Attest))
        .expect("signs");
    let now = Timestamp::new(START.get() + 60);
    let revoked = next_roster(&NETWORK.0, now, |draft| {
        let origin = centre(0).origin.clone();
        draft.revocations.push(Revocation {
            key,
            origin,
            size: 0,
        });
    });
    let opened = Attestation::open(&signed, revoked.roster(), now);
    assert_eq!(opened, Err(Refused::Revoked { key }));
}

#[test]
fn what_nobody_may_say_is_neither_signed_nor_opened() {
    let bends: [(Bend, Refused); 10] = [
        (|one| one.assessor = None, Refused::Assessor),
        (
            |one| one.assessor = Some(Assessor([0; 16])),
            Refused::Assessor,
        ),
        (|one| one.basis = Basis::LegacyImport, Refused::Assessor),
        (|one| one.subject.revision = Revision(0), Refused::Range),
        (|one| one.day = limits::DAYS, Refused::Range),
        (|one| one.values = Values::default(), Refused::Nothing),
        (
            |one| one.values.depiction = Set::empty(),
            Refused::Value { field: 1 },
        ),
        (
            |one| one.values.pubertal_stage = Set::empty(),
            Refused::Value { field: 4 },
        ),
        (
            |one| {
                one.values.minor_certain = Some(true);
                one.values.age_depicted = Set::of(&[AgeBand::To17, AgeBand::AdultPossible]);
            },
            Refused::Contradiction,
        ),
        (
            |one| {
                one.values.minor_certain = Some(false);
                one.values.age_depicted = Set::of(&[AgeBand::To17]);
            },
            Refused::Contradiction,
        ),
    ];
    for (n, (bend, error)) in bends.into_iter().enumerate() {
        let mut one = by(1, 1);
        bend(&mut one);
        assert_eq!(open(&one, 1), Err(error), "bend {n}");
    }
    // The same, and more, in bytes that a rogue centre signs without asking.
    const NULL: &[u8] = &[0xf6];
    assert_eq!(replaced(8, NULL), Err(Refused::Assessor));
    assert_eq!(replaced(9, &[2]), Err(Refused::Assessor));
    assert_eq!(replaced(0, &[2]), Err(Refused::Format { got: 2 }));
    assert_eq!(replaced(4, &[0]), Err(Refused::Range));
    assert_eq!(replaced(9, &[3]), Err(Refused::Basis { got: 3 }));
    assert_eq!(value(0, &[0]), Err(Refused::Value { field: 0 }));
    assert_eq!(
        value(1, &[0x18, 0x20]),
        Err(Refused::Value { field: 1 }),
        "outside the list"
    );
    assert_eq!(
        value(1, &[0x0f]),
        Err(Refused::Default { field: 1 }),
        "a full set is null"
    );
    let flag = |bit| [0x87, bit, 0, 0, 0, 0, 0, 0];
    assert_eq!(value(5, &flag(3)), Err(Refused::Value { field: 5 }));
    assert_eq!(
        value(5, &[0x87, 2, 2, 2, 2, 2, 2, 2]),
        Err(Refused::Default { field: 5 })
    );
    let empty = [0x86, 0xf6, 0xf6, 0xf6, 0xf6, 0xf6, 0xf6];
    assert_eq!(replaced(11, &empty), Err(Refused::Nothing));
}

proptest! {
    /// Whatever one byte becomes, what opens is what was signed.
    #[test]
    fn no_changed_byte_changes_what_is_attested(at in any::<prop::sample::Index>(), flip in 1..=u8::MAX) {
        let one = by(1, 1);
        let mut signed = one.sign(&centre(1).signer(KeyUse::Attest)).expect("signs");
        let at = at.index(signed.len());
        signed[at] ^= flip;
        prop_assert!(open_bytes(&signed).is_err());
    }
}
