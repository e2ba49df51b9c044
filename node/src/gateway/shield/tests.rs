//! Requests and answers of the shape; through a node they are asked by the stock client in `.ci/clients`.

use hashpact_protocol::fingerprint::Algorithm;
use hashpact_protocol::labels::ContentClass;
use serde_json::{Value, json};

use super::pdq::{HASHES_MAX, best, none, read};
use crate::gateway::made::{found, pdq, print};
use crate::gateway::nearby::Near;

const CSAM: &[ContentClass] = &[ContentClass::Csam];
const HARMFUL: &[ContentClass] = &[ContentClass::RelatedHarmful];
const EITHER: &[ContentClass] = &[ContentClass::Csam, ContentClass::RelatedHarmful];

fn near(distance: u8, content: &[ContentClass]) -> Near {
    let prints = vec![
        print(Algorithm::Pdq, &pdq(usize::from(distance))),
        print(Algorithm::Sha1, &[0xa9; 20]),
        print(Algorithm::Sha256, &[0xba; 32]),
    ];
    let found = found(distance, content, prints);
    Near { distance, found }
}

fn json_of(near: &[Near]) -> Value {
    serde_json::to_value(best(near)).unwrap()
}

#[test]
fn a_match_has_every_field_of_the_stock_shape_and_the_distance() {
    let expected = json!({
        "classification": "csam",
        "match_type": "near",
        "near_match_details": {
            "timestamp": 0.0,
            "sha1_base32": "VGU2TKNJVGU2TKNJVGU2TKNJVGU2TKNJ",
            "sha256_hex": "BA".repeat(32),
            "classification": "csam",
            "distance": 7,
        },
        "distance": 7,
    });
    assert_eq!(json_of(&[near(7, CSAM), near(9, CSAM)]), expected);
}

#[test]
fn no_match_is_said_with_nulls_and_never_left_out() {
    let expected = json!({
        "classification": "no-known-match",
        "match_type": null,
        "near_match_details": null,
        "distance": null,
    });
    assert_eq!(json_of(&[]), expected);
    assert_eq!(serde_json::to_value(none()).unwrap(), expected);
}

#[test]
fn an_exact_match_is_near_as_well_at_distance_0() {
    let answer = json_of(&[near(0, CSAM)]);
    assert_eq!(answer["match_type"], "near");
    assert_eq!(answer["distance"], 0);
}

#[test]
fn an_entry_without_both_digests_gets_no_details_but_a_distance() {
    let mut one = near(3, CSAM);
    one.found.record.fields.prints.pop();
    let answer = json_of(&[one]);
    assert_eq!(answer["near_match_details"], Value::Null);
    assert_eq!(answer["distance"], 3);
}

#[test]
fn related_harmful_and_what_may_be_it_are_harmful_and_csam_goes_first() {
    for content in [HARMFUL, EITHER] {
        assert_eq!(
            json_of(&[near(1, content)])["classification"],
            "harmful-abusive-material"
        );
        let both = json_of(&[near(1, content), near(5, CSAM)]);
        assert_eq!(both["classification"], "csam");
        assert_eq!(both["near_match_details"]["classification"], "csam");
        assert_eq!(both["distance"], 5);
    }
}

#[test]
fn values_that_are_not_32_bytes_are_refused_by_number_and_not_repeated() {
    let good = data_encoding::BASE64.encode(&pdq(0));
    let bad = [
        String::new(),
        good.replace('=', ""),
        good.replace('D', "*"),
        format!("{good} "),
        data_encoding::BASE64.encode(&[1; 31]),
        data_encoding::BASE64.encode(&[1; 33]),
        data_encoding::HEXLOWER.encode(&pdq(0)),
    ];
    for text in bad {
        let problem = read(&[good.clone(), text.clone()]).unwrap_err();
        assert_eq!(problem.status, 400);
        assert_eq!(problem.detail, "hash 2 is not the base64 of 32 bytes");
    }
}

#[test]
fn a_hash_that_no_list_may_hold_is_asked_and_matches_nothing() {
    let black = data_encoding::BASE64.encode(&[0; 32]);
    assert_eq!(read(&[black]), Ok(vec![None]));
}

#[test]
fn one_hash_too_many_is_refused() {
    let one = data_encoding::BASE64.encode(&pdq(0));
    assert_eq!(
        read(&vec![one.clone(); HASHES_MAX]).unwrap().len(),
        HASHES_MAX
    );
    assert_eq!(read(&vec![one; HASHES_MAX + 1]).unwrap_err().status, 400);
}
