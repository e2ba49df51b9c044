use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hashpact_keys::KeyUse;
use hashpact_protocol::limits;
use hashpact_protocol::log::{Checkpoint, SignedNote};
use hashpact_protocol::testing::keys::{CentreSetup, START};
use serde_json::{Value, json};

use super::{Maker, centre, turned};

fn under(now: u64) -> Value {
    let mut context = centre(&CentreSetup::numbered(0));
    context["now"] = json!(now);
    context
}

pub(super) fn make(maker: &mut Maker) {
    maker.spec("protocol.md#checkpoint");
    let [eu, us] = [0, 1].map(CentreSetup::numbered);
    let (key, name) = (eu.signer(KeyUse::Log), eu.origin.as_str());
    let root = BASE64.encode([7; 32]);
    let text = format!("{name}\n12\n{root}\n");
    let sign = |text: &str| SignedNote::sign(text, name, &key).to_bytes();
    maker.context(under(START.get()));
    let good = sign(&text);
    let checkpoint = Checkpoint {
        origin: eu.origin.clone(),
        size: 12,
        root: [7; 32],
    };
    assert_eq!(checkpoint.sign(&key).note(), good);
    maker.good("checkpoint_sample", &good);
    maker.good(
        "checkpoint_of_nothing",
        &sign(&format!("{name}\n0\n{root}\n")),
    );
    let max = limits::LOG_LEAVES;
    maker.good(
        "checkpoint_of_most_leaves",
        &sign(&format!("{name}\n{max}\n{root}\n")),
    );
    texts(maker, name, &root, &sign);
    notes(maker, &good);
    let no_key = json!({ "NoKey": { "origin": name } });
    maker.bad(
        "checkpoint_wrong_name",
        &SignedNote::sign(&text, us.origin.as_str(), &key).to_bytes(),
        no_key.clone(),
    );
    let delta = SignedNote::sign(&text, name, &eu.signer(KeyUse::Delta)).to_bytes();
    maker.bad("checkpoint_under_the_delta_key", &delta, no_key.clone());
    let other = SignedNote::sign(&text, name, &us.signer(KeyUse::Log)).to_bytes();
    maker.bad("checkpoint_under_anothers_key", &other, no_key.clone());
    let of_us = Checkpoint {
        origin: us.origin.clone(),
        size: 12,
        root: [7; 32],
    };
    let of_us = of_us.sign(&us.signer(KeyUse::Log)).note().to_vec();
    let error = json!({ "Origin": { "expected": name, "got": us.origin.as_str() } });
    maker.bad("checkpoint_of_another_log", &of_us, error);
    maker.context(under(START.get() - 3_601));
    maker.bad("checkpoint_before_its_key", &good, no_key);
    let mut ended = under(START.get());
    ended["keys"][1][3] = json!(START.get());
    maker.context(ended);
    // The head of an idle log outlives the key that signed it.
    maker.good("checkpoint_after_its_key", &good);
}

fn texts(maker: &mut Maker, name: &str, root: &str, sign: &impl Fn(&str) -> Vec<u8>) {
    let one_over = limits::LOG_LEAVES + 1;
    let short = BASE64.encode([7; 31]);
    let unpadded = root.trim_end_matches('=');
    let loose = root.replace("c=", "d=");
    for (vector, text) in [
        ("checkpoint_leading_zero", format!("{name}\n012\n{root}\n")),
        ("checkpoint_plus_sign", format!("{name}\n+12\n{root}\n")),
        (
            "checkpoint_hexadecimal_size",
            format!("{name}\n0xc\n{root}\n"),
        ),
        ("checkpoint_negative_size", format!("{name}\n-1\n{root}\n")),
        (
            "checkpoint_size_of_65_bits",
            format!("{name}\n18446744073709551616\n{root}\n"),
        ),
        (
            "checkpoint_one_leaf_too_many",
            format!("{name}\n{one_over}\n{root}\n"),
        ),
        (
            "checkpoint_extension_line",
            format!("{name}\n12\n{root}\nextension\n"),
        ),
        (
            "checkpoint_empty_line_in_text",
            format!("{name}\n12\n{root}\n\n"),
        ),
        ("checkpoint_two_lines", format!("{name}\n12\n")),
        (
            "checkpoint_root_of_31_bytes",
            format!("{name}\n12\n{short}\n"),
        ),
        (
            "checkpoint_root_unpadded",
            format!("{name}\n12\n{unpadded}\n"),
        ),
        (
            "checkpoint_root_with_loose_bits",
            format!("{name}\n12\n{loose}\n"),
        ),
        (
            "checkpoint_origin_without_epoch",
            format!("eu.example/eu\n12\n{root}\n"),
        ),
        (
            "checkpoint_space_behind_size",
            format!("{name}\n12 \n{root}\n"),
        ),
    ] {
        maker.bad(vector, &sign(&text), json!("Shape"));
    }
}

fn notes(maker: &mut Maker, good: &[u8]) {
    let text = std::str::from_utf8(good).expect("a note is text");
    let shape = json!({ "Note": "Shape" });
    let (body, line) = text.split_once("\n\n").expect("text and signature");
    for (vector, note) in [
        ("checkpoint_empty_input", String::new()),
        ("checkpoint_unsigned", format!("{body}\n")),
        (
            "checkpoint_no_line_feed_at_the_end",
            text.trim_end().to_owned(),
        ),
        ("checkpoint_trailing_line", format!("{text}more\n")),
        ("checkpoint_hyphen_for_dash", text.replace('\u{2014}', "-")),
        ("checkpoint_carriage_returns", text.replace('\n', "\r\n")),
        (
            "checkpoint_signature_not_base64",
            format!("{text}\u{2014} w.example !!!!\n"),
        ),
        (
            "checkpoint_plus_in_key_name",
            format!("{text}\u{2014} a+b {}\n", BASE64.encode([1; 68])),
        ),
        (
            "checkpoint_key_id_alone",
            format!("{text}\u{2014} w.example {}\n", BASE64.encode([1; 4])),
        ),
        (
            "checkpoint_66_signatures",
            format!("{body}\n\n{}", line.repeat(66)),
        ),
    ] {
        maker.bad(vector, note.as_bytes(), shape.clone());
    }
    maker.bad(
        "checkpoint_not_utf8",
        &[good, &[0xff, b'\n']].concat(),
        shape,
    );
    maker.good(
        "checkpoint_65_signatures",
        format!("{body}\n\n{}", line.repeat(65)).as_bytes(),
    );
    let cosigned = format!("{text}\u{2014} w.example {}\n", BASE64.encode([1; 76]));
    maker.good("checkpoint_cosigned_by_a_stranger", cosigned.as_bytes());
    let signature = json!({ "Note": "Signature" });
    let changed = text.replacen("\n12\n", "\n13\n", 1);
    maker.bad(
        "checkpoint_changed_after_signing",
        changed.as_bytes(),
        signature.clone(),
    );
    // The last byte of the signature, within the base64 of its line.
    let blob = BASE64
        .decode(line.trim_end().rsplit(' ').next().expect("a blob"))
        .expect("base64");
    let with = |blob: &[u8]| {
        text.replace(
            line.trim_end().rsplit(' ').next().unwrap_or_default(),
            &BASE64.encode(blob),
        )
    };
    maker.bad(
        "checkpoint_signature_changed",
        with(&turned(&blob, 1)).as_bytes(),
        signature.clone(),
    );
    maker.bad(
        "checkpoint_signature_of_63_bytes",
        with(&blob[..67]).as_bytes(),
        signature.clone(),
    );
    let both = format!(
        "{text}{}",
        with(&turned(&blob, 1))
            .split_once("\n\n")
            .expect("signatures")
            .1
    );
    maker.bad(
        "checkpoint_good_and_bad_signature",
        both.as_bytes(),
        signature,
    );
}
