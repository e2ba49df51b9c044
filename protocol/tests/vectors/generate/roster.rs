use hashpact_keys::chain::draft_bytes;
use hashpact_keys::roster::{KeyEntry, KeyUse, Roster, RosterDraft};
use hashpact_keys::{RosterVersion, SignedRoster, Timestamp};
use hashpact_protocol::testing::keys::{self, CentreSetup, START};
use serde_json::{Value, json};

use super::{Maker, replaced, turned};

fn next(last: &SignedRoster, change: impl FnOnce(&mut RosterDraft)) -> Roster {
    let draft = last
        .roster()
        .next_draft(START, Timestamp::new(START.get() + 9));
    let mut draft = draft.expect("a version follows");
    change(&mut draft);
    Roster::from_draft(draft).expect("a roster")
}

fn entry(setup: &CentreSetup, use_: KeyUse, as_: KeyUse) -> KeyEntry {
    KeyEntry {
        use_: as_,
        key: setup.signer(use_).public(),
        from: START,
        until: None,
    }
}

pub(super) fn make(maker: &mut Maker) {
    maker.spec("protocol.md#roster");
    let (first, _) = keys::network(2, true);
    let pin = first.roster().network.to_string();
    let second = keys::next_roster(&first, START, |_| {});
    let before = |chain: &[&SignedRoster]| {
        let chain = chain
            .iter()
            .map(|roster| json!(hex::encode(roster.bytes())));
        json!({ "pin": pin, "chain": chain.collect::<Value>() })
    };
    maker.context(before(&[]));
    maker.good("roster_first", first.bytes());
    firsts(maker, &first);
    maker.context(before(&[&first]));
    maker.good("roster_second", second.bytes());
    let bytes = |change: fn(&mut RosterDraft)| keys::sign(&next(&first, change), &[0, 1]);
    let skipped = bytes(|draft| draft.version = RosterVersion::new(3));
    let version =
        |expected: u64, got: u64| json!({ "Version": { "expected": expected, "got": got } });
    maker.bad("roster_skipped_version", &skipped, version(2, 3));
    maker.bad("roster_repeated", first.bytes(), version(2, 1));
    let other = bytes(|draft| draft.network = Some(hashpact_keys::NetworkId::new([9; 32])));
    maker.bad("roster_of_other_network", &other, json!("Network"));
    signatures(maker, &first);
    holders(maker, &first);
    maker.context(before(&[&first, &second]));
    maker.bad("roster_rollback", second.bytes(), version(3, 2));
    maker.bad("roster_rollback_to_the_first", first.bytes(), version(3, 1));
}

fn firsts(maker: &mut Maker, first: &SignedRoster) {
    let (other, _) = keys::network(2, false);
    maker.bad("roster_of_another_pin", other.bytes(), json!("Pin"));
    let one = keys::sign(first.roster(), &[0]);
    let short = json!({ "Threshold": { "version": 1, "expected": 2, "got": 1 } });
    maker.bad("roster_below_threshold", &one, short);
    let none = draft_bytes(first.roster());
    maker.bad(
        "roster_that_nobody_signed",
        &none,
        json!({ "Cose": "NoSignatures" }),
    );
    let bytes = first.bytes();
    let trailing = [bytes, &[0]].concat();
    let error = json!({ "Cose": { "Canonical": { "Trailing": { "at": bytes.len() } } } });
    maker.bad("roster_trailing_byte", &trailing, error);
    let mut open = bytes.to_vec();
    open[0] = 0x9f;
    open.push(0xff);
    let error = json!({ "Cose": { "Canonical": { "Indefinite": { "at": 0 } } } });
    maker.bad("roster_indefinite_length", &open, error);
    maker.bad(
        "roster_signature_changed",
        &turned(bytes, 1),
        json!({ "Cose": "Signature" }),
    );
    let other = replaced(bytes, b"hashpact-roster+cbor", b"hashpact-policy+cbor");
    let expected = json!({ "ContentType": { "expected": "application/hashpact-roster+cbor" } });
    maker.bad(
        "roster_as_another_object",
        &other,
        json!({ "Cose": expected }),
    );
    maker.bad(
        "roster_renamed_to_another_centre",
        &replaced(bytes, b"eu.example", b"us.example"),
        json!("Pin"),
    );
}

fn signatures(maker: &mut Maker, first: &SignedRoster) {
    let renewed = next(first, |draft| {
        draft.root_keys = vec![
            keys::root(1).public(),
            keys::root(7).public(),
            keys::root(8).public(),
        ];
    });
    let of = |version: u64, got: u64| json!({ "Threshold": { "version": version, "expected": 2, "got": got } });
    maker.good("roster_new_root_keys", &keys::sign(&renewed, &[0, 1, 7]));
    maker.bad(
        "roster_old_keys_missing",
        &keys::sign(&renewed, &[7, 8]),
        of(1, 0),
    );
    maker.bad(
        "roster_old_keys_too_few",
        &keys::sign(&renewed, &[1, 7, 8]),
        of(1, 1),
    );
    maker.bad(
        "roster_new_keys_missing",
        &keys::sign(&renewed, &[0, 2]),
        of(2, 0),
    );
    let same = next(first, |_| {});
    maker.bad(
        "roster_signed_by_a_stranger",
        &keys::sign(&same, &[0, 1, 7]),
        json!("Stranger"),
    );
    let good = keys::sign(&same, &[0, 1]);
    maker.bad(
        "roster_one_bad_signature_of_enough",
        &turned(&keys::sign(&same, &[0, 1, 2]), 1),
        json!({ "Cose": "Signature" }),
    );
    let payload = same.payload_bytes();
    let [a, b] = order([0, 1].map(|n| signature(&good, &payload, n)));
    let swapped = replaced(
        &good,
        &[a.clone(), b.clone()].concat(),
        &[b.clone(), a.clone()].concat(),
    );
    maker.bad(
        "roster_signatures_unsorted",
        &swapped,
        json!({ "Cose": "SignatureOrder" }),
    );
    let twice = replaced(&good, &[a.clone(), b].concat(), &[a.clone(), a].concat());
    maker.bad(
        "roster_signature_twice",
        &twice,
        json!({ "Cose": "RepeatedSigner" }),
    );
}

fn order(mut pair: [Vec<u8>; 2]) -> [Vec<u8>; 2] {
    pair.sort();
    pair
}

/// The bytes of one signature within a roster: what the same roster with that signature alone ends with.
fn signature(signed: &[u8], payload: &[u8], root: u64) -> Vec<u8> {
    let roster = Roster::decode(payload).expect("a roster");
    let alone = keys::sign(&roster, &[root]);
    // The list of one signature begins where that of two does.
    let at = signed
        .iter()
        .zip(&alone)
        .position(|(a, b)| a != b)
        .expect("another count")
        + 1;
    alone[at..].to_vec()
}

fn holders(maker: &mut Maker, first: &SignedRoster) {
    let [eu, us] = [0, 1].map(CentreSetup::numbered);
    let payload = |error: Value| json!({ "Payload": error });
    // What no draft lets through is made from good bytes.
    let good = next(first, |_| {});
    let key = |setup: &CentreSetup, use_| *setup.signer(use_).public().as_bytes();
    let (mine, yours) = (key(&eu, KeyUse::Node), key(&us, KeyUse::Node));
    let twice = resigned(&replaced(&good.payload_bytes(), &yours, &mine));
    maker.bad(
        "roster_duplicate_key",
        &twice,
        payload(json!("RepeatedKey")),
    );
    let root = *keys::root(2).public().as_bytes();
    let root = resigned(&replaced(&good.payload_bytes(), &yours, &root));
    maker.bad(
        "roster_root_key_of_a_centre",
        &root,
        payload(json!("RepeatedKey")),
    );
    let taken = resigned(&replaced(
        &good.payload_bytes(),
        b"\x6feu.example/eu/1",
        b"\x6feu.example/us/1",
    ));
    let other = json!({ "OriginOfOther": { "expected": "eu", "got": "us" } });
    maker.bad("roster_origin_of_another", &taken, payload(other));
    let weak = resigned(&replaced(&good.payload_bytes(), &yours, &[0; 32]));
    maker.bad("roster_weak_key", &weak, payload(json!("PublicKey")));
    let moved = next(first, |draft| {
        let of_us = draft.centres.iter_mut().find(|centre| centre.id == us.id);
        let of_us = of_us.expect("it is there");
        of_us.keys.retain(|entry| entry.use_ != KeyUse::Log);
        of_us.keys.retain(|entry| entry.use_ != KeyUse::Delta);
        of_us.keys.push(entry(&us, KeyUse::Delta, KeyUse::Log));
    });
    maker.bad(
        "roster_key_for_another_use",
        &keys::sign(&moved, &[0, 1]),
        json!("KeyMoved"),
    );
    let moved = next(first, |draft| {
        draft.centres.retain(|centre| centre.id == us.id);
        draft.centres[0]
            .keys
            .push(entry(&eu, KeyUse::Node, KeyUse::Node));
    });
    maker.bad(
        "roster_key_of_another_holder",
        &keys::sign(&moved, &[0, 1]),
        json!("KeyMoved"),
    );
    let origin = next(first, |draft| {
        let of_us = draft.centres.iter_mut().find(|centre| centre.id == us.id);
        of_us.expect("it is there").origin = "us.example/us/3".parse().expect("an origin");
    });
    let changed =
        json!({ "OriginChanged": { "expected": "us.example/us/1", "got": "us.example/us/3" } });
    maker.bad(
        "roster_origin_changed",
        &keys::sign(&origin, &[0, 1]),
        changed,
    );
}

/// A payload that no draft would make, signed by two root keys all the same.
fn resigned(payload: &[u8]) -> Vec<u8> {
    let signers = [keys::root(0), keys::root(1)];
    let signers: Vec<_> = signers.iter().collect();
    hashpact_keys::cose::sign_multi(&signers, hashpact_keys::Context::Roster, payload)
}
