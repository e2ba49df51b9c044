use super::*;
use hashpact_protocol::labels::{ContentClass, Depiction, MediaKind, Recipient};
use hashpact_protocol::lists::Set;
use hashpact_protocol::record::{Flag, VictimStatus};

const ICSE: &str = "mediA type;MD5;sha1;PhotoDNA;Image ID;Is distributed;Victim identified;Offender identified;Series name;Number of submissions;File Available;Baseline;Extra";

fn icse(rows: &[String]) -> String {
    std::iter::once(ICSE.to_owned())
        .chain(rows.iter().cloned())
        .collect::<Vec<_>>()
        .join("\n")
        + "\n"
}

fn icse_row(n: u64, victim: &str, baseline: &str) -> String {
    format!(
        "Image;{};{};;77;y;{victim};t;A series;3;yes;{baseline};what",
        hash(n, 16),
        hash(n, 20)
    )
}

#[test]
fn icse_columns_come_in_any_order_and_case_and_flags_have_three_values() {
    let rows = [
        icse_row(1, "YES", "True"),
        icse_row(2, "n", "no"),
        icse_row(3, "", ""),
    ];
    let text = icse(&rows);
    let outcome = into_empty(&text, example("icse").unwrap());
    assert_eq!(outcome.accepted(), 3, "{:?}", outcome.json);
    let (labels, fields) = entry(outcome.taken(), 0);
    assert_eq!(fields.local_labels[0].value, "True");
    assert_eq!(fields.victim_status, Set::of(&[VictimStatus::Identified]));
    assert_eq!(labels.depiction, Set::of(&[Depiction::Real]));
    assert_eq!(
        (labels.recipients, labels.hops),
        (Set::of(&[Recipient::Le]), 0)
    );
    assert_eq!(labels.media_kind, Set::of(&[MediaKind::Image]));
    let (labels, fields) = entry(outcome.taken(), 1);
    assert_eq!(fields.victim_status, Set::of(&[VictimStatus::Unidentified]));
    assert!(
        labels.content_class.is_full(),
        "no says nothing about any law"
    );
    let (_, fields) = entry(outcome.taken(), 2);
    assert!(fields.victim_status.is_full());
    assert_eq!(fields.local_labels[0].value, "not stated");
    let series: Vec<_> = (0..3)
        .map(|at| entry(outcome.taken(), at).1.series_id)
        .collect();
    assert!(series[0].is_some() && series[0] == series[1]);
    let summary = outcome.summary();
    assert_eq!(summary.dropped["Offender identified"], 3);
    assert_eq!(summary.ignored_columns, ["Extra"]);
    assert!(!summary.to_json().contains("A series"));
}

#[test]
fn icse_without_one_of_its_twelve_columns_is_refused() {
    let text = icse(&[icse_row(1, "y", "y")]).replace("Baseline", "Other");
    let outcome = into_empty(text, example("icse").unwrap());
    assert_eq!(outcome.lines[0].2, Code::BadHeader);
    assert!(
        outcome.json[0].contains("missing for icse: Baseline"),
        "{}",
        outcome.json[0]
    );
}

#[test]
fn icse_is_for_law_enforcement_unless_a_document_allows_more() {
    let wide = example("icse").unwrap().replace(
        "recipients = [\"le\"]",
        "recipients = [\"le\", \"provider\"]",
    );
    let error = Profile::from_toml(&wide, "p").unwrap_err();
    assert!(matches!(
        error.problem,
        Problem::Ungranted {
            name: "recipients",
            ..
        }
    ));
    let hops = example("icse").unwrap().replace("hops = 0", "hops = 1");
    let error = Profile::from_toml(&hops, "p").unwrap_err();
    assert!(matches!(
        error.problem,
        Problem::Ungranted { name: "hops", .. }
    ));
    let granted = wide.replace("# grant = ", "grant = ");
    assert!(Profile::from_toml(&granted, "p").is_ok());
}

fn iwf(rows: &[String]) -> String {
    let head =
        "sha1,md5,sha256,photodna,category,age_band,media_kind,action,url_count,severity note";
    std::iter::once(head.to_owned())
        .chain(rows.iter().cloned())
        .collect::<Vec<_>>()
        .join("\n")
        + "\n"
}

fn iwf_row(n: u64, category: &str, action: &str) -> String {
    format!(",{},,,{category},7-10,image,{action},9,x", hash(n, 16))
}

#[test]
fn iwf_categories_stay_byte_exact_and_unknown_columns_are_told_once() {
    let rows = [
        iwf_row(1, "A", ""),
        iwf_row(2, "B", "add"),
        iwf_row(3, " C", "add"),
        iwf_row(4, "D", "add"),
    ];
    let outcome = into_empty(iwf(&rows), example("iwf").unwrap());
    assert_eq!(outcome.accepted(), 4, "{:?}", outcome.json);
    let activity = |at: usize| entry(outcome.taken(), at).1.features;
    assert_eq!(activity(0)[0], Flag::Yes);
    assert_eq!(
        activity(0)[1],
        Flag::Unknown,
        "which of the three makes an A stays open"
    );
    assert_eq!(activity(1)[1], Flag::No);
    assert_eq!(activity(2)[0], Flag::No);
    assert_eq!(entry(outcome.taken(), 2).1.local_labels[0].value, " C");
    let (labels, fields) = entry(outcome.taken(), 3);
    assert!(labels.content_class.is_full() && fields.features == [Flag::Unknown; 7]);
    assert_eq!(outcome.summary().unmapped, 1);
    assert_eq!(
        outcome.summary().ignored_columns,
        ["url_count", "severity note"]
    );
    let (labels, _) = entry(outcome.taken(), 0);
    assert_eq!(labels.content_class, Set::of(&[ContentClass::Csam]));
}

#[test]
fn iwf_rows_with_another_action_or_a_guarded_hash_are_refused() {
    let empty = ",d41d8cd98f00b204e9800998ecf8427e,,,A,7-10,image,add,1,x".to_owned();
    let rows = [
        iwf_row(1, "A", "add"),
        iwf_row(2, "A", "delete"),
        empty,
        ",,,,A,7-10,image,remove,1,x".to_owned(),
    ];
    let text = iwf(&rows);
    let outcome = into_empty(&text, example("iwf").unwrap());
    assert_eq!(
        outcome.codes(),
        [(2, Code::BadValue), (3, Code::Guarded), (4, Code::NoHash)]
    );
    assert_no_hash(&text, &outcome);
}

#[test]
fn a_list_by_mapping_file_in_the_form_of_the_specification_is_read() {
    let mapping = r#"
source = { name = "hotline-x", role = "list", delimiter = ";", header = true, encoding = "utf-8" }
columns = { md5 = "Hash MD5", pdq = "PDQ", assessed_on = "Datum" }
label = { column = "Kategorie", scheme = "hotline-x", version = "2", issuer = "hotline-x" }
constants = { media_kind = "image", tlp = "AMBER+STRICT" }
"#;
    let text = format!(
        "Nr;Kategorie;Hash MD5;PDQ;Datum\n7;Stufe 1;{};;2026-01-31\n",
        hash(1, 16)
    );
    let outcome = into_empty(&text, mapping);
    let (labels, fields) = entry(outcome.taken(), 0);
    assert_eq!(fields.local_labels[0].value, "Stufe 1");
    assert!(
        labels.content_class.is_full()
            && labels.recipients.is_empty()
            && labels.purposes.is_empty()
    );
    assert_eq!(labels.media_kind, Set::of(&[MediaKind::Image]));
    let error = |from: &str, to: &str| {
        Profile::from_toml(&mapping.replace(from, to), "p")
            .unwrap_err()
            .problem
    };
    assert!(matches!(
        error("\"utf-8\"", "\"latin1\""),
        Problem::Value {
            name: "encoding",
            ..
        }
    ));
    assert!(matches!(
        error("header = true", "header = false"),
        Problem::Value { name: "header", .. }
    ));
}
