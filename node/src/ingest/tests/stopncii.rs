use super::*;
use hashpact_protocol::labels::MediaKind;
use hashpact_protocol::lists::Set;
use proptest::prelude::*;

fn profile() -> &'static str {
    example("stopncii").unwrap()
}

fn record(kind: &str, value: &str, status: &str, rest: &str) -> String {
    format!(
        r#"{{"lastModtimestamp":1700000000,"signalType":"{kind}","hashValue":"{value}","hashStatus":"{status}","caseNumbers":{{"c1":"Active"}}{rest}}}"#
    )
}

fn reply(next: i64, records: &[String]) -> String {
    let count = records.len();
    format!(
        r#"{{"count":{count},"nextSetTimestamp":{next},"nextPageToken":null,"hasMoreRecords":false,"hashRecords":[{}]}}"#,
        records.join(",")
    )
}

#[test]
fn both_kinds_of_hash_are_read_and_opinions_cost_nothing() {
    let feedback = r#","CSPFeedbacks":[{"source":"x","feedbackValue":"Undefined","tags":[]}],"hashRegions":["EU"]"#;
    let records = [
        record("ImagePDQ", &hash(1, 32), "Active", feedback),
        record("VideoMD5", &hash(2, 16).to_uppercase(), "Received", ""),
        record("ImagePDQ", &hash(3, 32), "SomethingNew", ""),
        record("ImagePDQ", &hash(4, 32), "Unknown", ""),
    ];
    let outcome = into_empty(reply(5, &records), profile());
    assert_eq!(outcome.accepted(), 4, "{:?}", outcome.json);
    let (labels, fields) = entry(outcome.taken(), 0);
    assert_eq!(labels.media_kind, Set::of(&[MediaKind::Image]));
    assert_eq!(fields.local_labels[0].value, "Active");
    assert_eq!(
        entry(outcome.taken(), 2).1.local_labels[0].value,
        "SomethingNew"
    );
    let dropped: Vec<_> = outcome
        .summary()
        .dropped
        .iter()
        .map(|(k, v)| (*k, *v))
        .collect();
    assert_eq!(
        dropped,
        [("CSPFeedbacks", 1), ("caseNumbers", 4), ("hashRegions", 1)]
    );
}

#[test]
fn what_is_no_hash_that_is_carried_refuses_its_row() {
    let records = [
        record("Text", "some words", "Active", ""),
        record("URL", "https://a.example/b", "Active", ""),
        record("VideoTMK", &hash(9, 40), "Active", ""),
        record("ImagePDQ", &hash(1, 16), "Active", ""),
        record("ImagePDQ", &hash(1, 32), "Active", "").replace("lastModtimestamp", "other"),
        record("ImagePDQ", "", "Withdrawn", ""),
    ];
    let text = reply(5, &records);
    let outcome = into_empty(&text, profile());
    let codes = [
        (0, Code::UnknownType),
        (1, Code::UnknownType),
        (2, Code::UnknownType),
        (3, Code::BadLength),
        (4, Code::BadTime),
        (5, Code::NoHash),
    ];
    assert_eq!(outcome.codes(), codes);
    assert_no_hash(&text, &outcome);
}

#[test]
fn a_later_record_takes_the_place_of_an_earlier_one_in_the_file() {
    let records = [
        record("ImagePDQ", &hash(1, 32), "Received", ""),
        record("ImagePDQ", &hash(2, 32), "Active", ""),
        record("ImagePDQ", &hash(1, 32), "Active", ""),
    ];
    let outcome = into_empty(reply(5, &records), profile());
    assert_eq!((outcome.accepted(), outcome.summary().unchanged), (2, 1));
    let labels: Vec<String> = (0..2)
        .map(|at| entry(outcome.taken(), at).1.local_labels[0].value.clone())
        .collect();
    assert_eq!(labels, ["Active", "Active"]);
}

#[test]
fn pages_follow_each_other_and_their_cursor_never_goes_back() {
    let page = |next, n| reply(next, &[record("ImagePDQ", &hash(n, 32), "Active", "")]);
    let two = format!("{}\n{}\n", page(10, 1), page(11, 2));
    assert_eq!(into_empty(two, profile()).accepted(), 2);
    let back = format!("{}{}", page(11, 1), page(10, 2));
    assert_eq!(
        into_empty(back, profile()).summary().stopped,
        Some("out_of_order")
    );
    let none = page(5, 1).replace("\"nextSetTimestamp\":5,", "");
    assert_eq!(
        into_empty(none, profile()).summary().stopped,
        Some("bad_header")
    );
    assert_eq!(
        into_empty("{}", profile()).summary().stopped,
        Some("bad_header")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_reply_cut_anywhere_leaves_nothing_behind(at in 0_usize..1200) {
        let records: Vec<_> = (0..6).map(|n| record("ImagePDQ", &hash(n, 32), "Active", "")).collect();
        let whole = reply(5, &records);
        let at = at % whole.len();
        let outcome = into_empty(&whole[..at], profile());
        prop_assert!(matches!(outcome.summary().stopped, Some("truncated" | "bad_header")), "{at}");
    }
}
