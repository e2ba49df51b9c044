//! Every kind of object comes back as it was signed, and in no other way.

use std::collections::BTreeMap;

use hashpact_keys::{KeyUse, Roster, Timestamp};

use super::*;
use crate::assess::Subject;
use crate::fingerprint::Algorithm;
use crate::labels::ClassId;
use crate::record::Revision;
use crate::testing::keys::{CentreSetup, START, attesting_network};
use crate::testing::{attestations, documents};

fn roster() -> (Roster, CentreSetup) {
    let (signed, centres) = attesting_network(2);
    (signed.roster().clone(), centres[0].clone())
}

/// One object of each kind, signed by its centre.
fn all(roster: &Roster, centre: &CentreSetup) -> Vec<Vec<u8>> {
    let (network, id) = (roster.network, centre.id.clone());
    let by = By {
        network,
        centre: id.clone(),
        country: centre.jurisdiction.clone(),
        day: attestations::DAY,
    };
    let subject: Subject = attestations::subject(centre);
    let entry = (centre.origin.clone(), subject.entry, Revision(1));
    let (of, code) = ([5; 32], Some(Code::Adult));
    let objects = [
        Object::Dispute(Dispute {
            by: by.clone(),
            subject: subject.clone(),
            field: Field::Age,
            code: Code::Adult,
        }),
        Object::Withdrawal(Withdrawal {
            by: by.clone(),
            entry: entry.clone(),
            of,
        }),
        Object::Feedback(Feedback {
            by: by.clone(),
            subject,
            member: Member([6; 16]),
            vote: Vote::Negative,
            code,
            algorithm: Some(Algorithm::Pdq),
        }),
        Object::Answer(Answer {
            by: by.clone(),
            entry: entry.clone(),
            of,
            verdict: Verdict::Accepted,
            code,
        }),
        Object::Reason(Reason {
            by,
            entry: entry.clone(),
            code: Code::Collision,
        }),
    ];
    let attest = centre.signer(KeyUse::Attest);
    let mut signed: Vec<_> = objects.iter().map(|it| it.sign(&attest).unwrap()).collect();
    let attestation = attestations::attestation(network, centre, centre, 1);
    signed.push(attestation.sign(&attest).unwrap());
    let by = || OrderBy {
        network,
        centre: id.clone(),
        time: START,
    };
    let until = Timestamp::new(START.get() + 86_400);
    let orders = [
        Order::Hold(Hold {
            by: by(),
            entries: BTreeMap::from([(entry.0.clone(), vec![entry.1])]),
            series: vec![[7; 16], [8; 16]],
            code: HoldCode::LegalOrder,
            from: START,
            until,
        }),
        Order::Lift(Lift { by: by(), hold: of }),
        Order::OptIn(OptIn {
            by: by(),
            origin: entry.0.clone(),
            classes: Some(vec![ClassId(0), ClassId(9)]),
            until,
        }),
        Order::Surge(Surge {
            by: by(),
            origin: entry.0,
            day: attestations::DAY,
            up_to: 90_000,
        }),
    ];
    let [a, b] = documents::signers(centre);
    signed.extend(orders.iter().map(|it| it.sign(&[&a, &b]).unwrap()));
    signed
}

#[test]
fn every_kind_comes_back_as_it_was_signed() {
    let (roster, centre) = roster();
    let mut kinds = std::collections::BTreeSet::new();
    for signed in all(&roster, &centre) {
        let object = Object::open(&signed, &roster, START).unwrap();
        assert_eq!(Object::from_store(&signed), Ok(object.clone()));
        assert_eq!(Kind::claimed(&signed), Some(object.kind()));
        assert_eq!(object.centre(), &centre.id);
        assert!(
            signed.len() <= 512,
            "{:?} takes {}",
            object.kind(),
            signed.len()
        );
        kinds.insert(object.kind());
    }
    assert_eq!(kinds.len(), 10);
}

#[test]
fn any_flipped_bit_is_refused() {
    let (roster, centre) = roster();
    for signed in all(&roster, &centre) {
        for at in 0..signed.len() {
            let mut forged = signed.clone();
            forged[at] ^= 1 << (at % 8);
            assert!(Object::open(&forged, &roster, START).is_err(), "byte {at}");
            // What is not verified reads or is refused, and does not panic.
            let _ = Object::from_store(&forged);
        }
        let opened = Object::open(&signed[..signed.len() - 1], &roster, START);
        assert!(opened.is_err());
    }
}

#[test]
fn the_largest_order_fits() {
    let (roster, centre) = roster();
    let ids = 0..u8::try_from(crate::limits::HOLD_NAMED / 2).unwrap();
    let lists = |n: u8| {
        let origin = format!("{}.example/{}/1", "x".repeat(40), "y".repeat(20));
        let origin: Origin = origin
            .replace("/1", &format!("/{}", n + 1))
            .parse()
            .unwrap();
        (origin, vec![EntryId([n; 16])])
    };
    let order = Order::Hold(Hold {
        by: OrderBy {
            network: roster.network,
            centre: centre.id.clone(),
            time: START,
        },
        entries: ids.clone().map(lists).collect(),
        series: ids.map(|n| [n; 16]).collect(),
        code: HoldCode::Review,
        from: START,
        until: Timestamp::new(START.get() + crate::limits::HOLD_S),
    });
    let [a, b] = documents::signers(&centre);
    let signed = order.sign(&[&a, &b]).unwrap();
    assert!(
        signed.len() <= crate::limits::EVIDENCE_BYTES,
        "{}",
        signed.len()
    );
    assert!(Object::open(&signed, &roster, START).is_ok());
}
