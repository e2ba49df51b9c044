use hashpact_protocol::delta::Seq;
use hashpact_protocol::labels::{ClassId, Purpose};
use hashpact_protocol::testing::keys::CentreSetup;
use hashpact_protocol::wire::{BulkRequest, Decline, Message, Proposal, Suffix};
use serde_json::json;

use super::{Maker, item};

pub(super) fn make(maker: &mut Maker) {
    maker.spec("protocol.md#wire");
    messages(maker);
    handshake(maker);
    requests(maker);
    suffixes(maker);
    maker.context(json!("refusal"));
    maker.good("wire_refusal_closed", &[5]);
    maker.good("wire_refusal_statement", &[7]);
    maker.bad("wire_refusal_unknown", &[8], json!("Unknown"));
    maker.bad("wire_refusal_zero", &[0], json!("Unknown"));
}

fn messages(maker: &mut Maker) {
    maker.context(json!("message"));
    let shape = json!("Shape");
    let heads = Message::Heads {
        session: 1_800_000_000_000,
        counter: 3,
        notes: vec![vec![1; 9]],
    };
    maker.good("wire_heads", &heads.to_bytes());
    maker.bad(
        "wire_heads_trailing_byte",
        &[heads.to_bytes(), vec![0]].concat(),
        shape.clone(),
    );
    let kind = item(|e| e.array(1)?.u8(99)?.ok());
    maker.bad(
        "wire_message_unknown_kind",
        &kind,
        json!({ "Kind": { "got": 99 } }),
    );
    let five = item(|e| e.array(5)?.u8(1)?.u8(1)?.u8(1)?.array(0)?.u8(0)?.ok());
    maker.bad("wire_heads_of_five_parts", &five, shape.clone());
    let text = item(|e| e.array(4)?.u8(1)?.u8(1)?.u8(1)?.array(1)?.str("note")?.ok());
    maker.bad("wire_heads_note_as_text", &text, shape.clone());
    let claimed = item(|e| e.array(4)?.u8(1)?.u8(1)?.u8(1)?.array(1 << 40)?.ok());
    maker.bad("wire_heads_claiming_a_billion", &claimed, shape.clone());
    maker.bad("wire_message_empty_input", &[], shape);
}

fn handshake(maker: &mut Maker) {
    maker.context(json!("message"));
    let shape = json!("Shape");
    let proposal = |wanted| {
        Message::Propose(Proposal {
            ask: 7,
            origin: CentreSetup::numbered(0).origin,
            purpose: Purpose::Detect,
            policies: [Some(3), None, Some(12)],
            wanted,
        })
        .to_bytes()
    };
    let wanted = vec![
        (Seq(2), vec![ClassId(0), ClassId(4)]),
        (Seq(3), vec![ClassId(4)]),
    ];
    maker.good("wire_propose", &proposal(wanted));
    maker.bad("wire_propose_nothing", &proposal(vec![]), shape.clone());
    let twice = vec![(Seq(2), vec![ClassId(4), ClassId(4)])];
    maker.bad("wire_propose_class_twice", &proposal(twice), shape.clone());
    let terms = Message::Terms {
        ask: 7,
        offer: vec![1; 40],
        chain: vec![vec![2; 3]],
    };
    maker.good("wire_terms", &terms.to_bytes());
    let agreed = |len| Message::Agreed(vec![4; len]).to_bytes();
    maker.good("wire_agreed", &agreed(40));
    maker.bad(
        "wire_agreed_one_byte_too_long",
        &agreed(49_153),
        json!({ "TooLarge": { "got": 49_153, "max": 49_152 } }),
    );
    maker.good("wire_logged", &Message::Logged([5; 32]).to_bytes());
    let declined = Message::Declined {
        ask: 7,
        statement: None,
        why: Decline::Nothing,
    };
    maker.good("wire_declined", &declined.to_bytes());
    let unknown = item(|e| e.array(4)?.u8(7)?.u8(7)?.null()?.u8(9)?.ok());
    maker.bad("wire_declined_for_an_unknown_reason", &unknown, shape);
}

fn requests(maker: &mut Maker) {
    maker.context(json!("request"));
    let shape = json!("Shape");
    let origin = CentreSetup::numbered(0).origin;
    let suffix = BulkRequest::Suffix {
        origin: origin.clone(),
        from: 3,
        to: 9,
    };
    maker.good("wire_request_suffix", &suffix.to_bytes());
    let body = |section| BulkRequest::Body {
        origin: origin.clone(),
        seq: Seq(4),
        section,
        offset: 7,
        under: None,
    };
    maker.good("wire_request_retractions", &body(65_536).to_bytes());
    let under = BulkRequest::Body {
        origin: origin.clone(),
        seq: Seq(4),
        section: 0,
        offset: 0,
        under: Some([9; 32]),
    };
    maker.good("wire_request_body_under_statement", &under.to_bytes());
    maker.bad(
        "wire_request_section_above_retractions",
        &body(65_537).to_bytes(),
        shape.clone(),
    );
    let name = |origin: &str| item(|e| e.array(4)?.u8(1)?.str(origin)?.u8(0)?.u8(1)?.ok());
    maker.bad(
        "wire_request_path_for_origin",
        &name("../../etc/eu/1"),
        shape.clone(),
    );
    maker.bad(
        "wire_request_absolute_origin",
        &name("/eu/1"),
        shape.clone(),
    );
    maker.bad(
        "wire_request_origin_with_line_feed",
        &name("eu.example/eu/1\n"),
        shape.clone(),
    );
    maker.bad(
        "wire_request_suffix_of_five_parts",
        &[vec![0x85], suffix.to_bytes()[1..].to_vec(), vec![0]].concat(),
        shape,
    );
    let kind = item(|e| e.array(1)?.u8(4)?.ok());
    maker.bad(
        "wire_request_unknown_kind",
        &kind,
        json!({ "Kind": { "got": 4 } }),
    );
    let long = vec![0; BulkRequest::BYTES_MAX + 1];
    maker.bad(
        "wire_request_of_513_bytes",
        &long,
        json!({ "TooLarge": { "got": 513, "max": 512 } }),
    );
}

fn suffixes(maker: &mut Maker) {
    maker.context(json!("suffix"));
    let shape = json!("Shape");
    let suffix = |leaves: usize, proof: usize| {
        Suffix {
            from: 7,
            leaves: vec![vec![1]; leaves],
            proof: vec![[2; 32]; proof],
        }
        .to_bytes()
    };
    maker.good("wire_suffix_of_most_leaves", &suffix(256, 64));
    maker.bad(
        "wire_suffix_one_leaf_too_many",
        &suffix(257, 0),
        shape.clone(),
    );
    maker.bad("wire_suffix_of_no_leaf", &suffix(0, 0), shape.clone());
    maker.bad(
        "wire_suffix_one_hash_too_many",
        &suffix(1, 65),
        shape.clone(),
    );
    let torn = item(|e| e.array(3)?.u8(0)?.array(0)?.bytes(&[0, 2, 1])?.ok());
    maker.bad("wire_suffix_torn_leaf", &torn, shape.clone());
    let short = item(|e| {
        e.array(3)?
            .u8(0)?
            .array(1)?
            .bytes(&[2; 31])?
            .bytes(&[0, 1, 1])?
            .ok()
    });
    maker.bad("wire_suffix_hash_of_31_bytes", &short, shape);
}
