use super::*;
use hashpact_protocol::labels::{ContentClass, MediaKind, SelfGenerated, State};
use hashpact_protocol::lists::Set;
use hashpact_protocol::record::VictimStatus;
use proptest::prelude::*;

const NEW: &str = r#""@odata.context":"http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/US/$metadata#Media""#;
const OLD: &str =
    r#""odata.metadata":"http://github.com/ICMEC/ProjectVic/DataModels/1.3.xml#Media""#;

fn profile() -> &'static str {
    example("vics").unwrap()
}

fn set(context: &str, records: &[String]) -> String {
    format!("{{{context},\"value\":[{}]}}", records.join(","))
}

fn record(n: u64, rest: &str) -> String {
    let md5 = hash(n, 16).to_uppercase();
    format!("{{\"MediaID\":{n},\"MD5\":\"{md5}\"{rest}}}")
}

/// 100 records that are taken, so that one in a hundred may be refused.
fn many() -> Vec<String> {
    (1000..1100)
        .map(|n| record(n, r#","Category":1"#))
        .collect()
}

#[test]
fn a_record_of_either_version_is_kept_with_its_category_and_flags() {
    let photo = base64_of(7);
    let rest = format!(
        r#","SHA1":"{}","Category":"1","MediaSize":"2048","MimeType":"IMAGE/jpeg","VictimIdentified":"true","SelfGenerated":false,
        "IsSuspected":"False","Series":"a name","DateUpdated":"/Date(1772323200000+0100)/","AlternativeHashes":
        [{{"HashName":"Photo-DNA","HashValue":"{photo}"}},{{"HashName":"sha_256","HashValue":"{}"}},{{"HashName":"md5","HashValue":"{}"}}]"#,
        hash(2, 20),
        hash(3, 32),
        hash(1, 16)
    );
    for context in [NEW, OLD] {
        let text = format!("\u{feff}{}", set(context, &[record(1, &rest)]));
        let outcome = into_empty(text, profile());
        let (labels, fields) = entry(outcome.taken(), 0);
        assert_eq!(outcome.json, [] as [&str; 0]);
        let names: Vec<_> = fields
            .matchable()
            .map(|p| p.algorithm().name().to_owned())
            .collect();
        assert_eq!(names, ["md5", "sha1", "sha256", "photodna"]);
        assert_eq!(fields.byte_length, Some(2048));
        assert_eq!(fields.local_labels[0].value, "1");
        assert_eq!(fields.victim_status, Set::of(&[VictimStatus::Identified]));
        assert_eq!(fields.assessed_on, Some(20_513));
        assert!(fields.series_id.is_some());
        assert_eq!(labels.content_class, Set::of(&[ContentClass::Csam]));
        assert_eq!(labels.media_kind, Set::of(&[MediaKind::Image]));
        assert_eq!(
            labels.self_generated,
            Set::of(&[SelfGenerated::NotIndicated])
        );
        assert_eq!(labels.state, State::Assessed);
    }
}

fn base64_of(n: u64) -> String {
    use base64::Engine as _;
    let bytes = hex::decode(hash(n, 144)).unwrap();
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[test]
fn category_zero_or_null_is_kept_and_absent_flags_are_not_false() {
    let rows = [
        record(1, r#","Category":0"#),
        record(2, r#","Category":null"#),
        record(3, ""),
        record(4, r#","Category":"0","SelfGenerated":null"#),
        record(5, r#","Category":1,"IsSuspected":"TRUE""#),
    ];
    let outcome = into_empty(set(NEW, &rows), profile());
    assert_eq!(outcome.accepted(), 5);
    for (at, value) in ["0", "null", "null", "0", "1"].iter().enumerate() {
        let (labels, fields) = entry(outcome.taken(), at);
        assert_eq!(fields.local_labels[0].value, *value);
        assert_eq!(labels.state, State::Suspected, "{value}");
        assert!(labels.self_generated.is_full() && fields.victim_status.is_full());
    }
}

#[test]
fn numbers_of_another_country_stay_local_and_are_counted() {
    let rows = [record(1, r#","Category":7"#), record(2, r#","Category":1"#)];
    let outcome = into_empty(set(OLD, &rows), profile());
    let (labels, fields) = entry(outcome.taken(), 0);
    assert_eq!(fields.local_labels[0].value, "7");
    assert!(labels.content_class.is_full() && labels.depiction.is_full());
    assert_eq!(
        (labels.state, outcome.summary().unmapped),
        (State::Suspected, 1)
    );
}

#[test]
fn media_that_the_crosswalk_leaves_out_is_told_and_does_not_stop_the_file() {
    let rows: Vec<String> = (0..200)
        .map(|n| {
            record(
                n,
                &format!(r#","Category":{}"#, if n % 2 == 0 { 5 } else { 1 }),
            )
        })
        .collect();
    let outcome = into_empty(set(NEW, &rows), profile());
    let summary = outcome.summary();
    assert_eq!(
        (outcome.accepted(), summary.left_out, summary.refused),
        (100, 100, 0)
    );
    assert!(outcome.json[0].contains(r#""row":0,"column":"Category","code":"not_listed""#));
    assert!(
        outcome.json[0].contains(r#""action":"left out""#),
        "{}",
        outcome.json[0]
    );
}

#[test]
fn names_places_and_people_are_dropped_and_counted() {
    let rest = r#","Category":1,"RelativeFilePath":"C:\\a b\\secret-name.jpg","Comments":"secret-name","Tags":["secret-name"],
        "Exifs":[{"PropertyName":"GPS","PropertyValue":"secret-name"}],"MediaFiles":[{"FileName":"secret-name"}],
        "OffenderIdentified":true,"IsDistributed":false,"ContactName":"secret-name","CaseNumber":"secret-name",
        "Series@odata.navigationLink":"secret-name","odata.id":"secret-name","IsPrecategorized":true"#;
    let text = set(NEW, &[record(1, rest)]);
    let outcome = into_empty(&text, profile());
    let taken = outcome.taken();
    let bytes = [taken.rows[0].fields.clone(), taken.labels[0].to_bytes()].concat();
    assert!(!String::from_utf8_lossy(&bytes).contains("secret"));
    let dropped: Vec<_> = taken
        .summary
        .dropped
        .iter()
        .map(|(k, v)| (*k, *v))
        .collect();
    let expected = [
        ("Case*", 1),
        ("Comments", 1),
        ("Contact*", 1),
        ("Exifs", 1),
        ("IsDistributed", 1),
        ("MediaFiles", 1),
        ("MediaID", 1),
        ("OffenderIdentified", 1),
        ("RelativeFilePath", 1),
        ("Tags", 1),
        ("odata.*", 2),
        ("other keys", 1),
    ];
    assert_eq!(dropped, expected);
    assert_no_hash(&text, &outcome);
}

#[test]
fn casework_is_refused_unless_asked_for() {
    let context = NEW.replace("#Media", "#Cases");
    let media = |n| {
        format!(
            r#"{{"CaseID":"x","CaseNumber":"y","Media":[{},{}]}}"#,
            record(n, ""),
            record(n + 1, "")
        )
    };
    let text = format!(
        "{{{context},\"value\":[{},{{\"CaseID\":\"none\"}},{}]}}",
        media(1),
        media(3)
    );
    let refused = into_empty(&text, profile());
    assert_eq!(refused.lines[0].2, Code::BadHeader);
    let asked = profile().replace("# cases = true", "cases = true");
    let outcome = into_empty(&text, &asked);
    assert_eq!(
        (outcome.accepted(), outcome.summary().dropped["Case*"]),
        (4, 5)
    );
}

#[test]
fn a_file_that_does_not_say_what_it_is_is_refused() {
    let records = [record(1, "")];
    let cases = [
        set(&NEW.replace("2.0.xml", "3.0.xml"), &records),
        set(&NEW.replace("#Media", "#Other"), &records),
        set(&OLD.replace("ICMEC", "EVIL"), &records),
        set(r#""x":1"#, &records),
        format!("{{\"value\":[],{NEW}}}"),
        format!("[{}]", records[0]),
        "{}".to_owned(),
        String::new(),
    ];
    for text in cases {
        let outcome = into_empty(&text, profile());
        assert_eq!(outcome.lines[0].2, Code::BadHeader, "{text}");
        assert!(outcome.result.is_err());
    }
    let region = NEW.replace("/US/", "/custom/").replace("http", "HTTP");
    assert_eq!(into_empty(set(&region, &records), profile()).accepted(), 1);
}

#[test]
fn a_profile_that_does_not_say_role_and_country_is_refused() {
    let error =
        |from: &str, to: &str| Profile::from_toml(&profile().replace(from, to), "p").unwrap_err();
    assert_eq!(error("role = \"list\" ", "# ").problem, Problem::Role);
    assert_eq!(
        error("role = \"list\"", "role = \"both\"").problem,
        Problem::Role
    );
    let national = error("national = \"US\" ", "# ").problem;
    assert!(matches!(national, Problem::National { .. }));
    let other = error("national = \"US\"", "national = \"AU\"").problem;
    assert!(matches!(other, Problem::National { scheme } if scheme == "vics-au"));
}

#[test]
fn bad_records_are_named_and_the_others_taken() {
    let mut rows = many();
    let two = format!(
        r#"{{"MD5":"{}","AlternativeHashes":[{{"HashName":"MD5","HashValue":"{}"}}]}}"#,
        hash(1, 16),
        hash(2, 16)
    );
    let bad = [
        (r#"{"MediaID":1}"#.to_owned(), Code::NoHash),
        (
            r#"{"MD5":"d41d8cd98f00b204e9800998ecf8427e"}"#.to_owned(),
            Code::Guarded,
        ),
        (r#"{"MD5":"00"}"#.to_owned(), Code::BadLength),
        (record(5, r#","SHA1":{}"#), Code::BadRow),
        (two, Code::DuplicateConflict),
        (record(6, r#","Category":1,"category":2"#), Code::BadRow),
        (record(7, r#","MediaSize":-1"#), Code::BadValue),
        (record(8, r#","DateUpdated":"yesterday""#), Code::BadTime),
        (
            record(9, r#","VictimIdentified":"perhaps""#),
            Code::BadValue,
        ),
        ("7".to_owned(), Code::BadRow),
    ];
    rows.extend(bad.iter().map(|(row, _)| row.clone()));
    let text = set(NEW, &rows);
    let settings = Settings {
        accept_bad: Some(10),
        ..Settings::default()
    };
    let outcome = ingest(&text, profile(), &Index::default(), settings);
    let expected: Vec<_> = (100..).zip(bad.iter().map(|(_, code)| *code)).collect();
    assert_eq!(outcome.codes(), expected, "{:?}", outcome.json);
    assert_eq!(outcome.accepted(), 100);
    assert_no_hash(&text, &outcome);
}

#[test]
fn what_is_not_json_refuses_the_file_whole() {
    let good = set(NEW, &many());
    let spoil = |from: &str, to: &str| good.replacen(from, to, 1);
    let cases = [
        spoil(r#""Category":1}"#, r#""Category":01}"#),
        spoil("},{", "} {"),
        spoil("]}", ",]}"),
        format!("{good}{good}"),
        spoil("},{", "},,{"),
    ];
    for text in cases {
        let outcome = into_empty(&text, profile());
        assert_eq!(
            outcome.summary().stopped,
            Some("bad_row"),
            "{}",
            outcome.json[0]
        );
        assert!(outcome.result.is_err());
    }
    let deep = spoil(
        r#""Category":1"#,
        &format!(r#""x":{}1{}"#, "[".repeat(30), "]".repeat(30)),
    );
    assert_eq!(
        into_empty(deep, profile()).summary().stopped,
        Some("bad_header")
    );
    let media = spoil(
        r#""Category":1"#,
        &format!(r#""Thumbnail":"{}""#, "QUJD".repeat(600)),
    );
    assert_eq!(
        into_empty(media, profile()).summary().stopped,
        Some("media_content")
    );
    let data = spoil(r#""Category":1"#, r#""x":"data:image/png;base64,AAAA""#);
    assert_eq!(
        into_empty(data, profile()).summary().stopped,
        Some("media_content")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_file_cut_anywhere_leaves_nothing_behind(cut in 0.0..1.0_f64) {
        let whole = set(NEW, &many());
        prop_assert!(into_empty(&whole, profile()).accepted() == 100);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "an offset within a small file")]
        let at = (whole.len() as f64 * cut) as usize;
        let outcome = into_empty(&whole[..at], profile());
        prop_assert!(outcome.result.is_err());
        let stopped = outcome.summary().stopped;
        prop_assert!(matches!(stopped, Some("truncated" | "bad_header")), "{at}: {stopped:?}");
    }
}

#[test]
fn a_date_that_is_cut_within_a_character_is_a_bad_row_and_no_panic() {
    for date in ["/Date(é)/", "/Date()/", "/Date(é+01)/", "/Date(1é+é)/"] {
        let bad = record(1, &format!(r#","DateUpdated":"{date}""#));
        let text = set(NEW, &[many(), vec![bad]].concat());
        let outcome = into_empty(&text, profile());
        assert_eq!(outcome.codes(), [(100, Code::BadTime)], "{date}");
    }
}
