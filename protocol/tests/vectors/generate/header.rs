use hashpact_keys::canonical::encode;
use hashpact_keys::{KeyUse, Signer, Timestamp};
use hashpact_protocol::delta::{Header, Seq};
use hashpact_protocol::testing::keys::{self, CentreSetup, START};
use serde_json::json;

use super::{Maker, centre, item, turned};

const CONTENT_TYPE: &str = "application/hashpact-delta+cbor";

pub(super) fn header() -> Header {
    let (roster, centres) = keys::network(1, true);
    Header {
        network: roster.roster().network,
        origin: centres[0].origin.clone(),
        roster_version: roster.roster().version,
        seq: Seq(8),
        prev: [1; 32],
        table: [2; 32],
        total: 10,
        issued_at: START,
        policy_ref: Some(5),
    }
}

/// The payload of a header, as an array that begins with this format number and has this many items.
fn payload(format: u64, items: u64) -> Vec<u8> {
    let header = header();
    encode(|e| {
        e.array(items)?.u64(format)?;
        e.bytes(header.network.as_bytes())?
            .str(header.origin.as_str())?;
        e.u64(header.roster_version.get())?.u64(header.seq.0)?;
        e.bytes(&header.prev)?.bytes(&header.table)?;
        e.u64(header.total)?.u64(header.issued_at.get())?;
        if items == 10 { e.u64(5)?.ok() } else { Ok(()) }
    })
}

/// A COSE_Sign1 of this protected header and payload: its signature verifies, whatever they say.
fn signed(signer: &Signer, protected: &[u8], payload: &[u8]) -> Vec<u8> {
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

fn protected(signer: &Signer, algorithm: i64, content_type: &str) -> Vec<u8> {
    let kid = *signer.public().key_id().as_bytes();
    encode(|e| {
        e.map(3)?
            .u8(1)?
            .i64(algorithm)?
            .u8(3)?
            .str(content_type)?
            .u8(4)?
            .bytes(&kid)?
            .ok()
    })
}

pub(super) fn make(maker: &mut Maker) {
    maker.spec("protocol.md#delta");
    let [eu, us] = [0, 1].map(CentreSetup::numbered);
    let key = eu.signer(KeyUse::Delta);
    maker.context(centre(&eu));
    let good = header().sign(&key);
    let written = signed(&key, &protected(&key, -8, CONTENT_TYPE), &payload(1, 10));
    assert_eq!(good, written);
    maker.good("header_sample", &good);
    let none = Header {
        policy_ref: None,
        ..header()
    };
    maker.good("header_before_any_policy", &none.sign(&key));
    let newer = signed(&key, &protected(&key, -19, CONTENT_TYPE), &payload(1, 10));
    maker.good("header_alg_minus_19_accepted", &newer);
    let shape = json!("Shape");
    let es256 = signed(&key, &protected(&key, -7, CONTENT_TYPE), &payload(1, 10));
    maker.bad("header_alg_es256", &es256, shape.clone());
    let classes = protected(&key, -8, "application/hashpact-classes+cbor");
    let other = signed(&key, &classes, &payload(1, 10));
    maker.bad("header_wrong_content_type", &other, shape.clone());
    let protected = protected(&key, -8, CONTENT_TYPE);
    for (name, payload) in [
        ("header_of_format_2", payload(2, 10)),
        ("header_of_nine_parts", payload(1, 9)),
        (
            "header_payload_trailing_byte",
            [payload(1, 10), vec![0]].concat(),
        ),
        ("header_payload_indefinite", indefinite(payload(1, 10))),
        ("header_without_payload", Vec::new()),
    ] {
        maker.bad(name, &signed(&key, &protected, &payload), shape.clone());
    }
    maker.bad(
        "header_non_canonical",
        &indefinite(good.clone()),
        shape.clone(),
    );
    maker.bad(
        "header_trailing_byte",
        &[&good[..], &[0]].concat(),
        shape.clone(),
    );
    maker.bad("header_cut_short", &good[..good.len() - 1], shape.clone());
    let tagged = [&[0xd2], &good[..]].concat();
    maker.bad("header_tagged", &tagged, shape.clone());
    unprotected(maker, &key, &protected);
    maker.bad(
        "header_signature_changed",
        &turned(&good, 1),
        json!("Signature"),
    );
    let changed = Header {
        total: 11,
        ..header()
    }
    .sign(&key);
    let stolen = [&changed[..changed.len() - 64], &good[good.len() - 64..]].concat();
    maker.bad("header_changed_after_signing", &stolen, json!("Signature"));
    let log_key = header().sign(&eu.signer(KeyUse::Log));
    maker.bad(
        "header_under_the_log_key",
        &log_key,
        json!({ "Key": "WrongUse" }),
    );
    let other = header().sign(&us.signer(KeyUse::Delta));
    maker.bad(
        "header_under_anothers_key",
        &other,
        json!({ "Key": "Unknown" }),
    );
    let early = Header {
        issued_at: Timestamp::new(START.get() - 3_601),
        ..header()
    };
    let error = json!({ "Key": { "NotValidAt": { "at": START.get() - 3_601 } } });
    maker.bad("header_before_its_key", &early.sign(&key), error);
    let mut ended = centre(&eu);
    ended["keys"][0][3] = json!(START.get());
    maker.context(ended);
    let error = json!({ "Key": { "NotValidAt": { "at": START.get() } } });
    maker.bad("header_after_its_key", &good, error);
}

fn indefinite(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes[0] = 0x9f;
    bytes.push(0xff);
    bytes
}

fn unprotected(maker: &mut Maker, key: &Signer, protected: &[u8]) {
    let payload = payload(1, 10);
    let structure = item(|e| {
        e.array(4)?
            .str("Signature1")?
            .bytes(protected)?
            .bytes(&[])?
            .bytes(&payload)?
            .ok()
    });
    let signature = key.sign(&structure);
    let noted = item(|e| {
        e.array(4)?.bytes(protected)?.map(1)?.u8(9)?.u8(1)?;
        e.bytes(&payload)?.bytes(&signature)?.ok()
    });
    maker.bad("header_unprotected_not_empty", &noted, json!("Shape"));
    let external = item(|e| {
        e.array(4)?
            .str("Signature1")?
            .bytes(protected)?
            .bytes(b"aad")?
            .bytes(&payload)?
            .ok()
    });
    let signature = key.sign(&external);
    let with_aad = item(|e| {
        e.array(4)?
            .bytes(protected)?
            .map(0)?
            .bytes(&payload)?
            .bytes(&signature)?
            .ok()
    });
    maker.bad(
        "header_signed_with_external_data",
        &with_aad,
        json!("Signature"),
    );
}
