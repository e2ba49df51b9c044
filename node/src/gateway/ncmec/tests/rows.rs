//! Rows of a window, made into pages.

use hashpact_protocol::fingerprint::Algorithm;
use hashpact_protocol::labels::{ContentClass, MediaKind};
use hashpact_protocol::lists::Set;
use hashpact_protocol::record::{DisabledReason, EntryId, LocalLabel, Print, Revision};

use super::super::ask::Ask;
use super::super::check::check;
use super::super::page::{Page, What};
use super::super::window::{key, key_text, page};
use crate::gateway::made::{found, pdq, print};
use crate::subset::{self, Window, WindowKey, WindowRow};

const ASK: Ask = Ask {
    from: 0,
    to: 100,
    start: 0,
    size: 1_000,
    after: None,
};

fn row(number: u8, kinds: &[MediaKind], prints: Vec<Print>) -> WindowRow {
    WindowRow {
        second: u64::from(number),
        origin_number: 1,
        origin: "us".parse().unwrap(),
        entry: EntryId([number; 16]),
        revision: Revision(1),
        what: subset::What::Live(Box::new(found(number, &[ContentClass::Csam], prints))),
        media_kind: Set::of(kinds),
    }
}

fn gone(row: WindowRow) -> WindowRow {
    WindowRow {
        what: subset::What::Gone,
        ..row
    }
}

fn paged(rows: Vec<WindowRow>) -> Page {
    let window = Window {
        max_second: rows.iter().map(|row| row.second).max().unwrap_or(0),
        max: rows.len() as u64,
        rows,
        next: None,
    };
    let page = page(&ASK, &window);
    assert_eq!(
        check(&page.to_xml(), page.images.len(), page.videos.len()),
        Ok(())
    );
    page
}

fn md5() -> Print {
    print(Algorithm::Md5, &[0x5d; 16])
}

#[test]
fn images_and_videos_stand_apart_and_what_is_neither_stands_nowhere() {
    let both = [MediaKind::Image, MediaKind::Video];
    let page = paged(vec![
        row(1, &[MediaKind::Image], vec![md5()]),
        row(2, &[MediaKind::Video], vec![md5()]),
        row(3, &both, vec![md5()]),
        row(4, &both, vec![md5(), print(Algorithm::Pdq, &pdq(0))]),
        row(5, &[MediaKind::Audio, MediaKind::Text], vec![md5()]),
        gone(row(6, &[MediaKind::Image], vec![])),
        gone(row(7, &both, vec![])),
    ]);
    let seconds = |items: &[super::super::page::Item]| -> Vec<u64> {
        items.iter().map(|item| item.second).collect()
    };
    assert_eq!(seconds(&page.images), [1, 4, 6]);
    assert_eq!(seconds(&page.videos), [2, 3, 7]);
    assert!(page.images[2].what == What::Deleted && page.videos[2].what == What::Deleted);
}

fn fingerprints(prints: Vec<Print>) -> Vec<(&'static str, String)> {
    let page = paged(vec![row(1, &[MediaKind::Image], prints)]);
    let What::Live { fingerprints, .. } = page.images[0].what.clone() else {
        panic!("a live row")
    };
    fingerprints
}

#[test]
fn fingerprints_are_lower_case_hexadecimal_and_photodna_is_base64() {
    let all = vec![
        md5(),
        print(Algorithm::Sha1, &[0xab; 20]),
        print(Algorithm::Sha256, &[0xab; 32]),
        print(Algorithm::Pdq, &pdq(0)),
        print(Algorithm::PhotoDna, &[7; 144]),
    ];
    let expected = [
        ("md5", "5d".repeat(16)),
        ("sha1", "ab".repeat(20)),
        ("pdq", "0f".repeat(32)),
        ("pdna", data_encoding::BASE64.encode(&[7; 144])),
    ];
    assert_eq!(fingerprints(all), expected);
}

#[test]
fn rule_5_of_two_fingerprints_under_one_name_the_first_is_sent() {
    let two = vec![md5(), print(Algorithm::Md5, &[0x66; 16])];
    assert_eq!(fingerprints(two), [("md5", "5d".repeat(16))]);
}

#[test]
fn a_disabled_fingerprint_is_not_sent() {
    let disabled = Print {
        disabled: Some(DisabledReason::Collision),
        ..md5()
    };
    assert_eq!(fingerprints(vec![disabled]), []);
}

#[test]
fn classification_is_a_label_of_the_tech_coalition_and_nothing_else() {
    let classified = |scheme: &str, value: &str| {
        let mut row = row(1, &[MediaKind::Image], vec![md5()]);
        if let subset::What::Live(found) = &mut row.what {
            found.record.fields.local_labels = vec![LocalLabel {
                scheme: scheme.to_owned(),
                version: "1".to_owned(),
                issuer: "us".to_owned(),
                value: value.to_owned(),
            }];
        }
        match paged(vec![row]).images[0].what {
            What::Live { classification, .. } => classification,
            What::Deleted => panic!("a live row"),
        }
    };
    assert_eq!(classified("tech-coalition", "A1"), Some("A1"));
    assert_eq!(classified("tech-coalition", "A3"), None);
    assert_eq!(classified("tech-coalition", "a1"), None);
    assert_eq!(classified("copine", "A1"), None);
}

#[test]
fn rule_12_next_goes_on_behind_a_key_and_counts_what_was_served() {
    let key = WindowKey {
        second: 77,
        n: 4_096,
    };
    let window = Window {
        rows: vec![
            row(1, &[MediaKind::Audio], vec![md5()]),
            row(2, &[MediaKind::Image], vec![md5()]),
        ],
        max_second: 2,
        next: Some(key),
        max: 9,
    };
    let ask = Ask {
        start: 1_000,
        ..ASK
    };
    let next = page(&ask, &window).next.unwrap();
    assert!(
        next.ends_with("&start=1002&size=1000&max=1003&after=4d-1000"),
        "{next}"
    );
}

#[test]
fn keys_of_windows_are_read_in_one_spelling() {
    for one in [
        WindowKey { second: 0, n: 0 },
        WindowKey {
            second: u64::MAX,
            n: u64::MAX,
        },
    ] {
        assert_eq!(key(&key_text(one)), Some(one));
    }
    for text in [
        "",
        "-",
        "1",
        "1-",
        "-1",
        "1-2-3",
        "01-2",
        "+1-2",
        "A-1",
        "1-10000000000000000",
        "ä-1",
    ] {
        assert_eq!(key(text), None, "{text}");
    }
}
