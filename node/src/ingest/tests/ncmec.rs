use super::*;
use hashpact_protocol::labels::{ContentClass, MediaKind};
use hashpact_protocol::lists::Set;
use hashpact_protocol::record::{Flag, PubertalStage};
use proptest::prelude::*;

/// The page of the specification.
const PAGE: &str = include_str!("ncmec-page.xml");

fn profile() -> &'static str {
    example("ncmec").unwrap()
}

fn image(id: &str, n: u64) -> String {
    let md5 = hash(n, 16);
    format!(
        "<image><member id=\"41\">Centre North</member><timestamp>2026-03-01T08:15:42.125+01:00</timestamp><id>{id}</id><fingerprints><md5>{md5}</md5></fingerprints></image>"
    )
}

fn page(elements: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<queryResult xmlns=\"https://hashsharing.ncmec.org/hashsharing/v2\"><images count=\"1\">{elements}</images></queryResult>"
    )
}

/// Rows that need the store are refused here: a named row is one of these.
fn codes(text: &str) -> Vec<(u64, Code)> {
    into_empty(text, profile()).codes()
}

fn stopped(text: &str) -> Option<&'static str> {
    into_empty(text, profile()).summary().stopped
}

fn staged(text: &str) -> Vec<(Labels, Fields)> {
    let profile = Profile::from_toml(profile(), "p").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let staging = folder.path().join("staging");
    let (key, own) = (index_key(), "CA".parse().unwrap());
    let context = StageContext::new(&key, &staging, "page.xml", &own);
    let staged = stage(
        text.as_bytes(),
        &profile,
        &context,
        &mut |_| {},
        &mut |_| {},
    )
    .unwrap();
    let mut rows = staged.spool.read().unwrap();
    let mut out = Vec::new();
    while let Some((head, fields)) = rows.next_row().unwrap() {
        if head.asked == super::super::row::Asked::Remove {
            assert!(fields.is_empty() && head.hashes == 0 && head.identity != [0; 16]);
            continue;
        }
        let labels = staged.labels.get(usize::from(head.labels)).cloned();
        out.push((labels.unwrap(), Fields::from_bytes(fields).unwrap()));
    }
    out
}

#[test]
fn the_page_of_the_specification_is_read_whole() {
    let rows = staged(PAGE);
    // The third of the page is a name that is taken back.
    assert_eq!(
        (rows.len(), into_empty(PAGE, profile()).summary().rows),
        (2, 3)
    );
    let (labels, fields) = &rows[0];
    let hex = |at: usize| hex::encode(fields.matchable().nth(at).unwrap().bytes());
    assert_eq!(hex(0), "df55ccd4fade8439699c94b07fa592fa");
    assert_eq!(hex(1), "cf730bddf5952b0c1e24e470396cacc43379f421");
    assert!(hex(2).starts_with("9111fa0481db784b"));
    assert_eq!(fields.local_labels[0].value, "A1");
    assert_eq!(
        fields.pubertal_stage,
        Set::of(&[PubertalStage::Prepubertal])
    );
    assert_eq!(fields.features[0], Flag::Yes);
    assert_eq!(labels.content_class, Set::of(&[ContentClass::Csam]));
    assert!(labels.minor_certain);
    // A video without a classification says so.
    assert_eq!(rows[1].0.media_kind, Set::of(&[MediaKind::Video]));
    assert_eq!(rows[1].1.local_labels[0].value, "none");
    let summary = into_empty(PAGE, profile()).summary().dropped.clone();
    assert_eq!(summary["affirmativeFeedback"], 1);
    assert_eq!(summary["negativeFeedback"], 1);
}

#[test]
fn an_unknown_tag_refuses_its_row_and_not_the_page() {
    let good: String = (0..3).map(|n| image(&format!("n-{n}"), n)).collect();
    let odd = image("n-9", 9).replace("<id>", "<colour>red</colour><id>");
    let print = image("n-9", 9).replace("<md5>", "<crc>1</crc><md5>");
    let two = image("n-9", 9).replace("<id>", "<id>x</id><id>");
    let empty = image("", 9);
    let member = image("n-9", 9).replace("id=\"41\"", "id=\"forty\"");
    let time = image("n-9", 9).replace("2026-03-01T", "2026-13-01T");
    let twice = image("n-9", 9).replace("<md5>", &format!("<md5>{}</md5><md5>", hash(8, 16)));
    let sound = image("n-9", 9).replace("image>", "sound>");
    for bad in [odd, print, two, empty, member, sound] {
        let text = page(&format!("{good}{bad}"));
        assert!(codes(&text).contains(&(3, Code::BadRow)), "{bad}");
        assert_eq!(staged(&text).len(), 3);
    }
    assert!(codes(&page(&format!("{good}{time}"))).contains(&(3, Code::BadTime)));
    assert!(codes(&page(&format!("{good}{twice}"))).contains(&(3, Code::DuplicateConflict)));
}

#[test]
fn fingerprints_of_other_types_are_kept_if_they_can_be_and_addresses_are_not_followed() {
    let other = format!(
        "<md5>{}</md5><tmk_pdqf href=\"https://a.example/x\"/><videntifier>{}</videntifier><netclean>!</netclean>",
        hash(1, 16),
        hash(2, 24)
    );
    let text = page(&image("n-1", 1).replace(&format!("<md5>{}</md5>", hash(1, 16)), &other));
    let rows = staged(&text);
    assert_eq!((rows.len(), rows[0].1.prints.len()), (1, 2));
    let dropped = into_empty(&text, profile()).summary().dropped.clone();
    assert_eq!((dropped["href"], dropped["netclean"]), (1, 1));
}

#[test]
fn document_types_and_entities_are_refused_wherever_they_stand() {
    let good = page(&image("n-1", 1));
    let doctype = good.replace(
        "?>\n",
        "?>\n<!DOCTYPE queryResult [<!ENTITY a \"aaaa\">]>\n",
    );
    assert_eq!(stopped(&doctype), Some("bad_header"));
    let plain = good.replace(
        "?>\n",
        "?>\n<!DOCTYPE queryResult SYSTEM \"file:///etc/passwd\">\n",
    );
    assert_eq!(stopped(&plain), Some("bad_header"));
    for spoilt in [
        good.replace("<id>n-1", "<id>&a;n-1"),
        good.replace("id=\"41\"", "id=\"&a;41\""),
        good.replace("<id>n-1", "<id>&#xD800;n-1"),
    ] {
        assert_eq!(stopped(&spoilt), Some("bad_header"), "{spoilt}");
    }
    assert_eq!(
        staged(&good.replace("<id>n-1", "<id>n&#45;&amp;1")).len(),
        1
    );
}

#[test]
fn other_encodings_depth_length_and_roots_are_refused() {
    let good = page(&image("n-1", 1));
    assert_eq!(
        stopped(&good.replace("UTF-8", "ISO-8859-1")),
        Some("bad_encoding")
    );
    let mut latin = good.clone().into_bytes();
    let at = latin.len() - 40;
    latin[at] = 0xe9;
    let outcome = into_empty(&latin, profile());
    assert_eq!(outcome.summary().stopped, Some("bad_encoding"));
    let wide: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let wide = [&[0xff, 0xfe][..], &wide].concat();
    assert_eq!(
        into_empty(wide, profile()).summary().stopped,
        Some("bad_encoding")
    );
    let deep = page(&format!("{}{}", "<a>".repeat(31), "</a>".repeat(31)));
    assert_eq!(stopped(&deep), Some("bad_header"));
    let long = good.replace("<id>n-1", &format!("<id>{}", "n".repeat(5000)));
    assert_eq!(stopped(&long), Some("media_content"));
    assert_eq!(stopped("<other/>"), Some("bad_header"));
    assert_eq!(stopped(""), Some("bad_header"));
    assert_eq!(
        stopped(&good.replace("</image>", "</imago>")),
        Some("bad_row")
    );
    assert_eq!(stopped(&format!("{good}{good}")), Some("bad_row"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_page_cut_anywhere_leaves_nothing_behind(at in 0_usize..4000) {
        let at = at % PAGE.trim_end().len();
        let outcome = into_empty(&PAGE[..at], profile());
        prop_assert!(outcome.result.is_err(), "{at}");
        let stopped = outcome.summary().stopped;
        prop_assert!(matches!(stopped, Some("truncated" | "bad_header")), "{at}: {stopped:?}");
    }
}
