use hashpact_protocol::labels::{Labels, MediaKind, State, Tlp};
use hashpact_protocol::lists::Set;
use hashpact_protocol::record::{Fields, Priority};

use super::super::number::days_since_epoch;
use super::*;

const HEADER: [&str; 16] = [
    "md5", "sha1", "sha256", "pdq", "photodna", "tmk", "size", "quality", "entered", "assessed",
    "review", "label", "kind", "state", "tlp", "hops",
];

/// A row that is accepted but for these cells.
fn row(cells: &[(&str, &str)]) -> String {
    let md5 = hash(1, 16);
    let usual = [
        ("md5", md5.as_str()),
        ("label", "A"),
        ("kind", "jpg"),
        ("state", "assessed"),
        ("tlp", "AMBER"),
        ("hops", "2"),
    ];
    let cell = |name: &&str| {
        let found = cells.iter().chain(&usual).find(|(known, _)| known == name);
        found.map_or("", |(_, value)| *value).to_owned()
    };
    let cells: Vec<String> = HEADER.iter().map(cell).collect();
    // Priority comes last and is always empty here.
    format!("{},\n", cells.join(","))
}

fn list(rows: &[String]) -> String {
    format!("{},priority\n{}", HEADER.join(","), rows.concat())
}

fn labels_of(text: String) -> (Labels, Fields) {
    let outcome = into_empty(text, FULL);
    let taken = outcome.taken();
    let row = &taken.rows[0];
    (
        taken.labels[usize::from(row.labels)].clone(),
        Fields::from_bytes(&row.fields).unwrap(),
    )
}

/// Cells that differ from a good row, the column that is blamed, and the code.
type Case<'a> = (Vec<(&'a str, &'a str)>, Option<&'a str>, Code);

#[test]
fn each_fault_of_a_row_has_its_code_and_column() {
    let zeros = "0".repeat(32);
    let few_bits = format!("{}{}", "01".repeat(8), "00".repeat(24));
    let (long, even) = ("x".repeat(129), "55".repeat(32));
    let faults: Vec<Case<'_>> = vec![
        (vec![("md5", "abcdef")], Some("md5"), Code::BadLength),
        (
            vec![("md5", "g1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1")],
            Some("md5"),
            Code::BadAlphabet,
        ),
        (
            vec![("md5", "éa1a1a1a1a1a1a1a1a1a1a1a1a1a1a1")],
            Some("md5"),
            Code::BadAlphabet,
        ),
        (
            vec![("photodna", "AAAA")],
            Some("photodna"),
            Code::BadLength,
        ),
        (vec![("md5", "")], None, Code::NoHash),
        (vec![("md5", " ")], None, Code::NoHash),
        (vec![("md5", ""), ("tmk", "0102")], None, Code::UnknownType),
        (vec![("tmk", "010")], Some("tmk"), Code::BadLength),
        (
            vec![("md5", "D41D8CD98F00B204E9800998ECF8427E")],
            Some("md5"),
            Code::Guarded,
        ),
        (vec![("md5", &zeros)], Some("md5"), Code::Guarded),
        (vec![("pdq", &few_bits)], Some("pdq"), Code::LowInformation),
        // A good hash beside a bad one saves nothing.
        (vec![("sha1", "12")], Some("sha1"), Code::BadLength),
        (vec![("label", "")], Some("label"), Code::NoLabel),
        (vec![("label", "  ")], Some("label"), Code::NoLabel),
        (vec![("label", &long)], Some("label"), Code::BadValue),
        (vec![("label", "a\u{1}b")], Some("label"), Code::BadValue),
        (vec![("tlp", "GREEN")], Some("tlp"), Code::TlpUnknown),
        (vec![("tlp", "amber")], Some("tlp"), Code::TlpUnknown),
        (
            vec![("assessed", "2026-02-29")],
            Some("assessed"),
            Code::BadTime,
        ),
        (
            vec![("entered", "1793318400")],
            Some("entered"),
            Code::BadTime,
        ),
        (
            vec![("review", "30.11.2026")],
            Some("review"),
            Code::BadTime,
        ),
        (vec![("kind", "gif")], Some("kind"), Code::BadValue),
        (vec![("state", "known")], Some("state"), Code::BadValue),
        (vec![("hops", "4")], Some("hops"), Code::BadValue),
        (vec![("size", "-1")], Some("size"), Code::BadValue),
        (vec![("size", "+1")], Some("size"), Code::BadValue),
        (
            vec![("pdq", &even), ("quality", "101")],
            Some("quality"),
            Code::BadValue,
        ),
    ];
    let rows: Vec<String> = faults.iter().map(|(cells, ..)| row(cells)).collect();
    let outcome = into_empty(list(&rows), FULL);
    let expected: Vec<_> = (1..)
        .zip(&faults)
        .map(|(row, (_, column, code))| (Some(row), column.map(str::to_owned), *code))
        .collect();
    assert_eq!(outcome.lines, expected);
    assert_eq!(
        (outcome.accepted(), outcome.summary().refused),
        (0, faults.len() as u64)
    );
}

#[test]
fn a_row_with_cells_too_few_or_too_many_is_not_shifted_into_place() {
    let good = row(&[]);
    let text = list(&[good.replacen(',', "", 1), good.replacen(',', ",,", 1), good]);
    let outcome = into_empty(text, FULL);
    assert_eq!(outcome.codes(), [(1, Code::BadRow), (2, Code::BadRow)]);
    assert_eq!(outcome.accepted(), 1);
}

#[test]
fn columns_become_labels_and_fields() {
    let (sha1, pdq) = (hash(2, 20).to_uppercase(), "5a".repeat(32));
    let cells = [
        ("sha1", sha1.as_str()),
        ("pdq", &pdq),
        ("quality", "88"),
        ("tmk", "01ff"),
        ("size", "4096"),
        ("entered", "1970-01-01"),
        ("assessed", "2026-11-30"),
        ("review", "2199-12-31"),
        ("label", " B 2 "),
        ("kind", "clip"),
    ];
    let (labels, fields) = labels_of(list(&[row(&cells)]));
    assert_eq!(
        labels.media_kind,
        Set::of(&[MediaKind::Image, MediaKind::Video])
    );
    assert_eq!(
        (labels.state, labels.tlp, labels.hops),
        (State::Assessed, Tlp::Amber, 2)
    );
    assert!(labels.depiction.is_full() && labels.purposes.is_empty());
    // Nothing was granted, and yet the entry may rest with its origin.
    assert_eq!(
        labels
            .residency
            .iter()
            .map(|code| code.as_str())
            .collect::<Vec<_>>(),
        ["CA"]
    );
    let names: Vec<_> = fields
        .matchable()
        .map(|print| print.algorithm().name())
        .collect();
    assert_eq!(
        (names, fields.prints.len()),
        (vec!["md5", "sha1", "pdq"], 4)
    );
    assert_eq!(fields.prints[2].quality, Some(88));
    assert_eq!(fields.local_labels[0].value, " B 2 ");
    assert_eq!(fields.byte_length, Some(4096));
    let days = (fields.entered_on, fields.assessed_on, fields.review_on);
    assert_eq!(days, (Some(0), Some(20_787), Some(84_005)));
    assert_eq!(fields.priority, Priority::High);
}

#[test]
fn what_a_row_does_not_state_is_the_strictest() {
    let cells = [("tlp", ""), ("hops", ""), ("state", ""), ("kind", "")];
    let (labels, fields) = labels_of(list(&[row(&cells)]));
    assert_eq!(
        (labels.tlp, labels.hops, labels.state),
        (Tlp::Red, 0, State::Suspected)
    );
    assert!(labels.media_kind.is_full());
    assert_eq!(fields.byte_length, None);
}

#[test]
fn numbers_of_one_row_do_not_stay_for_the_next() {
    let (a, b) = (hash(1, 16), hash(2, 16));
    let rows = [
        row(&[("md5", &a), ("size", "5"), ("sha1", &hash(3, 20))]),
        row(&[("md5", &b)]),
    ];
    let outcome = into_empty(list(&rows), FULL);
    let fields: Vec<_> = outcome
        .taken()
        .rows
        .iter()
        .map(|row| Fields::from_bytes(&row.fields).unwrap())
        .collect();
    assert_eq!(
        (fields[0].byte_length, fields[1].byte_length),
        (Some(5), None)
    );
    assert_eq!((fields[0].prints.len(), fields[1].prints.len()), (2, 1));
}

#[test]
fn equal_labels_are_interned_once_whatever_the_cells() {
    let cells = [("A", "jpg"), ("B", "jpg"), ("A", "clip"), ("B", "clip")];
    let rows: Vec<String> = (1_u64..)
        .zip(cells)
        .map(|(n, (label, kind))| row(&[("md5", &hash(n, 16)), ("label", label), ("kind", kind)]))
        .collect();
    let outcome = into_empty(list(&rows), FULL);
    let taken = outcome.taken();
    let places: Vec<_> = taken.rows.iter().map(|row| row.labels).collect();
    assert_eq!((taken.labels.len(), places), (2, vec![0, 0, 1, 1]));
}

#[test]
fn text_that_moves_to_the_next_cell_is_another_label() {
    let first = row(&[("label", "Ajpg"), ("kind", "")]);
    let rows = [
        first,
        row(&[("md5", &hash(2, 16)), ("label", "A"), ("kind", "jpg")]),
    ];
    let outcome = into_empty(list(&rows), FULL);
    let taken = outcome.taken();
    assert_eq!(taken.labels.len(), 2);
    let fields = Fields::from_bytes(&taken.rows[1].fields).unwrap();
    assert_eq!(fields.local_labels[0].value, "A");
}

#[test]
fn no_report_shows_a_hash_or_a_cell() {
    let secrets = [
        "g7c4f1d9e8b3a2560f1e2d3c4b5a6978",
        "deadbeefcafe",
        "verysecretlabel\u{1}",
        "GREENISH",
        "badstate",
    ];
    let columns = ["md5", "sha1", "label", "tlp", "state"];
    let (dup, other) = (hash(50, 16), hash(51, 20));
    let mut rows: Vec<String> = columns
        .iter()
        .zip(secrets)
        .map(|(name, value)| row(&[(name, value)]))
        .collect();
    rows.push(row(&[("md5", &dup)]));
    rows.push(row(&[("md5", &dup), ("sha1", &other)]));
    rows.push(format!("{dup},{other}\n"));
    let outcome = into_empty(list(&rows), FULL);
    assert_eq!(outcome.json.len(), 7);
    let mut shown = outcome.json.join("\n").to_lowercase();
    shown.push_str(&outcome.summary().to_json());
    for secret in secrets
        .into_iter()
        .chain([dup.as_str(), &other, &hash(1, 16)])
    {
        assert!(
            !shown.contains(&secret[..8].to_lowercase()),
            "{secret} in {shown}"
        );
    }
}

#[test]
fn report_lines_have_the_documented_form() {
    let outcome = into_empty(
        list(&[row(&[("md5", "zz34567890123456789012345678901a")])]),
        FULL,
    );
    assert_eq!(
        outcome.json,
        [
            r#"{"file":"list.csv","row":1,"column":"md5","code":"bad_alphabet","detail":"32 chars, 2 not hex","action":"refused"}"#
        ]
    );
    assert_eq!(
        outcome.summary().to_json(),
        concat!(
            r#"{"summary":{"rows":1,"accepted":0,"unchanged":0,"retracted":0,"updated":0,"reissued":0,"removed":0,"left_out":0,"#,
            r#""refused":1,"unmapped":0,"missing":0,"withdrawn":0,"dropped":{},"ignored_columns":[],"#,
            r#""by_code":{"bad_alphabet":1},"stopped":null}}"#
        )
    );
    let names: std::collections::BTreeSet<_> = Code::ALL.iter().map(|code| code.name()).collect();
    assert_eq!(names.len(), Code::ALL.len());
}

#[test]
fn days_follow_the_calendar() {
    let days = [
        ("1970-01-01", Some(0)),
        ("2000-02-29", Some(11_016)),
        ("2100-03-01", Some(47_541)),
        ("2100-02-29", None),
        ("2026-11-31", None),
        ("2026-00-10", None),
        ("2026-13-10", None),
        ("1969-12-31", None),
        ("2200-01-01", None),
        ("2026-1-010", None),
        ("+026-11-30", None),
        ("2026-11-30T", None),
    ];
    for (text, expected) in days {
        assert_eq!(days_since_epoch(text), expected, "{text}");
    }
}
