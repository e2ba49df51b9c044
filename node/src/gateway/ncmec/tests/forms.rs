//! Documents: what is written, what is read, what is refused.

use super::super::check::{PageFault, ROWS_MAX, check};
use super::super::names::FingerprintType;
use super::super::page::{Item, Member, Page, What};
use super::super::reasons;
use super::super::tree::{Bounds, XmlError, read};
use super::super::vote::{VOTE_BYTES_MAX, Vote, VoteError, parse};

const GUID: &str = "e7ca1b7a-e2f2-5026-89de-342804f3223e";

fn member(id: u64, name: &str) -> Member {
    let name = name.to_owned();
    Member { id, name }
}

fn live(id: &str, second: u64, fingerprints: &[(&'static str, &str)]) -> Item {
    let owned = |(tag, value): &(&'static str, &str)| (*tag, (*value).to_owned());
    Item {
        member: member(41, "Centre North & Søn"),
        id: id.to_owned(),
        second,
        what: What::Live {
            classification: None,
            fingerprints: fingerprints.iter().map(owned).collect(),
        },
    }
}

fn deleted(id: &str, second: u64) -> Item {
    Item {
        what: What::Deleted,
        ..live(id, second, &[])
    }
}

fn sample() -> Page {
    let mut first = live(
        "n-1001",
        1_772_352_942,
        &[
            ("md5", "df55ccd4fade8439699c94b07fa592fa"),
            ("sha1", "cf730bddf5952b0c1e24e470396cacc43379f421"),
            (
                "pdq",
                "9111fa0481db784bc60f3ff34fe3811e39daced9f62487417eca811e91a4f81d",
            ),
        ],
    );
    if let What::Live { classification, .. } = &mut first.what {
        *classification = Some("A1");
    }
    Page {
        images: vec![first, deleted("n-0990", 1_772_352_930)],
        videos: vec![live(
            "s-77",
            1_772_352_905,
            &[("md5", "ea0de1596a4fb375be4a83c2d9f7ab0a")],
        )],
        next: Some("/v2/entries?from=a&to=b&start=3&size=3&max=9&after=k1".to_owned()),
    }
}

#[test]
fn the_golden_page_is_written_byte_for_byte() {
    let golden = include_str!("golden.xml");
    let one_line: String = golden.lines().map(str::trim).collect();
    assert_eq!(sample().to_xml(), one_line);
}

#[test]
fn rule_1_max_timestamp_is_there_with_a_row_and_absent_without() {
    let empty = Page::default().to_xml();
    assert!(empty.ends_with(r#"<images count="0"/><videos count="0"/></queryResult>"#));
    assert_eq!(check(&empty, 0, 0), Ok(()));
    let whole = sample().to_xml();
    assert_eq!(check(&whole, 2, 1), Ok(()));
    for (from, to) in [
        (r#" maxTimestamp="2026-03-01T08:15:42Z""#, ""),
        ("2026-03-01T08:15:42Z\">", "2026-03-01T08:15:42.000Z\">"),
        ("2026-03-01T08:15:42Z\">", "2026-03-01T08:15:42+00:00\">"),
        ("2026-03-01T08:15:42Z\">", "2026-03-01T08:15:43Z\">"),
    ] {
        refused(&whole, from, to, "images");
    }
    refused(
        &empty,
        r#"<images count="0"/>"#,
        r#"<images count="0" maxTimestamp="2026-03-01T08:15:42Z"/>"#,
        "images",
    );
}

fn refused(xml: &str, from: &str, to: &str, named: &str) {
    let changed = xml.replacen(from, to, 1);
    assert_ne!(changed, xml, "{from} is not there");
    let (images, videos) = if xml.contains("<image>") {
        (2, 1)
    } else {
        (0, 0)
    };
    match check(&changed, images, videos) {
        Err(PageFault::Element { element, .. }) => assert_eq!(element, named, "{to}"),
        other => panic!("{to}: {other:?}"),
    }
}

#[test]
fn rule_2_one_id_one_member_with_a_whole_number_and_no_other_rows() {
    let whole = sample().to_xml();
    for (from, to, named) in [
        ("<id>n-1001</id>", "", "image"),
        ("<id>n-1001</id>", "<id>a</id><id>b</id>", "image"),
        ("<id>n-1001</id>", "<id></id>", "id"),
        (r#"member id="41""#, r#"member id="eu""#, "member"),
        (r#"member id="41""#, "member", "member"),
        ("deletedImage", "note", "note"),
    ] {
        let changed = match from {
            "deletedImage" => whole.replace(from, to),
            _ => whole.replacen(from, to, 1),
        };
        assert!(
            matches!(check(&changed, 2, 1), Err(PageFault::Element { element, .. }) if element == named),
            "{to}"
        );
    }
}

#[test]
fn rule_4_no_element_that_clients_do_not_know() {
    let whole = sample().to_xml();
    for (place, named) in [
        ("</queryResult>", "queryResult"),
        ("</image>", "extra"),
        ("</fingerprints>", "extra"),
    ] {
        refused(&whole, place, &format!("<extra/>{place}"), named);
    }
}

#[test]
fn rule_5_and_6_each_fingerprint_once_and_in_the_one_spelling() {
    let whole = sample().to_xml();
    let md5 = "<md5>df55ccd4fade8439699c94b07fa592fa</md5>";
    refused(&whole, md5, &format!("{md5}{md5}"), "md5");
    refused(
        &whole,
        md5,
        "<md5>DF55ccd4fade8439699c94b07fa592fa</md5>",
        "md5",
    );
    refused(
        &whole,
        md5,
        "<md5> df55ccd4fade8439699c94b07fa592f</md5>",
        "md5",
    );
    refused(&whole, "<pdq>9", "<pdq>", "pdq");
}

#[test]
fn rule_7_ids_do_not_split_the_path_of_a_vote() {
    for id in ["a/b", "a b", "ä", "a?b", &"x".repeat(65)] {
        let page = Page {
            images: vec![live(id, 1, &[])],
            ..Page::default()
        };
        assert!(check(&page.to_xml(), 1, 0).is_err(), "{id}");
    }
}

#[test]
fn rule_12_next_begins_with_v2_and_has_whole_numbers() {
    let whole = sample().to_xml();
    for (from, to) in [
        ("<next>/v2", "<next>https://host/v2"),
        ("<next>/v2", "<next> /v2"),
        ("start=3", "start=x"),
        ("&amp;size=3", ""),
        ("max=9", "max=-1"),
        ("after=k1", "after=k 1"),
    ] {
        refused(&whole, from, to, "next");
    }
}

#[test]
fn a_full_page_of_full_rows_is_within_the_bounds_of_the_check() {
    let pdna = "A".repeat(192);
    let pdq = "9111fa0481db784bc60f3ff34fe3811e39daced9f62487417eca811e91a4f81d";
    let all = [
        ("md5", "df55ccd4fade8439699c94b07fa592fa"),
        ("sha1", "cf730bddf5952b0c1e24e470396cacc43379f421"),
        ("pdq", pdq),
        ("pdna", pdna.as_str()),
    ];
    let row = |n| live(&format!("{n:032x}"), 1_772_352_942, &all);
    let page = Page {
        images: (0..ROWS_MAX).map(row).collect(),
        ..Page::default()
    };
    assert_eq!(check(&page.to_xml(), ROWS_MAX, 0), Ok(()));
}

#[test]
fn the_reasons_are_a_child_of_the_root_and_their_guids_are_fixed() {
    let bounds = Bounds {
        bytes: 4_096,
        depth: 3,
        elements: 9,
        text: 64,
    };
    let root = read(reasons::to_xml(FingerprintType::Pdq).as_bytes(), bounds).unwrap();
    assert_eq!(root.name, "feedbackReasons");
    let [list] = root.children.as_slice() else {
        panic!("one list")
    };
    assert_eq!(list.name, "availableFeedbackReasons");
    assert_eq!(list.children.len(), 7);
    for (reason, (guid, code, name)) in list.children.iter().zip(reasons::REASONS) {
        assert_eq!(reason.attribute("guid"), Some(guid));
        assert_eq!(reason.attribute("name"), Some(name));
        assert_eq!(reason.attribute("type"), Some("Pdq"));
        assert_eq!(reasons::code(&guid.to_uppercase()), Some(code));
    }
}

fn negative(guid: &str) -> String {
    format!(
        r#"<feedbackSubmission xmlns="https://hashsharing.ncmec.org/hashsharing/v2"><negative><reasonIds><guid>{guid}</guid></reasonIds></negative></feedbackSubmission>"#
    )
}

const AFFIRMATIVE: &str = r#"<feedbackSubmission xmlns="https://hashsharing.ncmec.org/hashsharing/v2"><affirmative /></feedbackSubmission>"#;

#[test]
fn the_stock_clients_votes_are_read() {
    assert_eq!(parse(AFFIRMATIVE.as_bytes()), Ok(Vote::Affirmative));
    assert_eq!(
        parse(negative(GUID).as_bytes()),
        Ok(Vote::Negative("not_csam"))
    );
    let declared = format!("\u{feff}<?xml version='1.0' encoding='UTF-8'?>\n{AFFIRMATIVE}\n");
    assert_eq!(parse(declared.as_bytes()), Ok(Vote::Affirmative));
    let prefixed = AFFIRMATIVE
        .replace("xmlns=", "xmlns:n=")
        .replace("<f", "<n:f")
        .replace("</f", "</n:f")
        .replace("<a", "<n:a");
    assert_eq!(parse(prefixed.as_bytes()), Ok(Vote::Affirmative));
}

#[test]
fn an_unknown_reason_is_refused() {
    for guid in ["r1", "", "e7ca1b7a-e2f2-5026-89de-342804f3223f"] {
        assert_eq!(parse(negative(guid).as_bytes()), Err(VoteError::Reason));
    }
}

#[test]
fn a_vote_of_another_shape_is_refused() {
    let twice = negative(GUID).replace("</reasonIds>", "<guid>a</guid></reasonIds>");
    let both = AFFIRMATIVE.replace("<affirmative />", "<affirmative/><affirmative/>");
    for body in [
        AFFIRMATIVE.replace("affirmative", "maybe"),
        AFFIRMATIVE.replace("feedbackSubmission", "feedback"),
        AFFIRMATIVE.replace("<affirmative />", ""),
        AFFIRMATIVE.replace("<affirmative />", "<affirmative>yes</affirmative>"),
        AFFIRMATIVE.replace("<affirmative />", "yes<affirmative />"),
        negative(GUID).replace("guid", "id"),
        twice,
        both,
    ] {
        assert_eq!(parse(body.as_bytes()), Err(VoteError::Shape), "{body}");
    }
}

#[test]
fn document_types_and_entities_are_refused() {
    let billion = format!(
        r#"<!DOCTYPE f [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>{}"#,
        negative("&b;")
    );
    let external =
        format!(r#"<?xml version="1.0"?><!DOCTYPE f SYSTEM "file:///etc/passwd">{AFFIRMATIVE}"#);
    for body in [&billion, &external] {
        let expected = XmlError::Forbidden("a document type");
        assert_eq!(parse(body.as_bytes()), Err(expected.into()));
    }
    let undeclared = negative("&b;");
    let expected = XmlError::Forbidden("an entity");
    assert_eq!(parse(undeclared.as_bytes()), Err(expected.into()));
    let attribute = AFFIRMATIVE.replace("<affirmative", "<affirmative a='&b;'");
    assert_eq!(parse(attribute.as_bytes()), Err(expected.into()));
    for (text, what) in [
        ("<?php x?>", "a processing instruction"),
        ("<!-- x -->", "a comment"),
        ("<![CDATA[x]]>", "a CDATA section"),
    ] {
        let body = AFFIRMATIVE.replace("<affirmative", &format!("{text}<affirmative"));
        assert_eq!(
            parse(body.as_bytes()),
            Err(XmlError::Forbidden(what).into())
        );
    }
}

#[test]
fn wrong_encodings_are_refused() {
    let utf16: Vec<u8> = AFFIRMATIVE
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert!(parse(&utf16).is_err());
    let mut latin = AFFIRMATIVE.as_bytes().to_vec();
    latin.extend(b"\xe9");
    assert_eq!(parse(&latin), Err(XmlError::Encoding.into()));
    let declared = format!("<?xml version='1.0' encoding='ISO-8859-1'?>{AFFIRMATIVE}");
    assert_eq!(parse(declared.as_bytes()), Err(XmlError::Encoding.into()));
    assert_eq!(
        parse(negative("\u{0}").as_bytes()),
        Err(XmlError::Character.into())
    );
    assert_eq!(
        parse(negative("&#1;").as_bytes()),
        Err(XmlError::Character.into())
    );
}

#[test]
fn oversized_and_nested_votes_are_refused() {
    let padded = format!("{AFFIRMATIVE}{}", " ".repeat(VOTE_BYTES_MAX));
    let bound = |what, max| Err(XmlError::Bound { what, max }.into());
    assert_eq!(parse(padded.as_bytes()), bound("bytes", VOTE_BYTES_MAX));
    let nested = AFFIRMATIVE.replace(
        "<affirmative />",
        &format!("{}{}", "<a>".repeat(99), "</a>".repeat(99)),
    );
    assert_eq!(
        parse(nested.as_bytes()),
        bound("elements within each other", 4)
    );
    let wide = AFFIRMATIVE.replace("<affirmative />", &"<a/>".repeat(99));
    assert_eq!(parse(wide.as_bytes()), bound("elements", 8));
    let long = negative(&"a".repeat(257));
    assert_eq!(parse(long.as_bytes()), bound("bytes of text", 256));
}

#[test]
fn what_is_cut_or_of_another_namespace_is_refused() {
    for len in 0..AFFIRMATIVE.len() {
        assert!(parse(&AFFIRMATIVE.as_bytes()[..len]).is_err(), "{len}");
    }
    let foreign = AFFIRMATIVE.replace("/v2", "/v1");
    assert_eq!(parse(foreign.as_bytes()), Err(XmlError::Namespace.into()));
    let none = "<feedbackSubmission><affirmative /></feedbackSubmission>";
    assert_eq!(parse(none.as_bytes()), Err(XmlError::Namespace.into()));
    let second = format!("{AFFIRMATIVE}{AFFIRMATIVE}");
    assert_eq!(parse(second.as_bytes()), Err(XmlError::Form.into()));
}
