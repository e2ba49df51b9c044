//! Grants and their dates, and which documents of a log are in force when.

use std::sync::Arc;

use proptest::prelude::*;

use super::{FACTS, NOW, annotated, ask_at, centre, files, profile};
use crate::labels::{ClassId, Purpose};
use crate::limits;
use crate::policy::*;

const SHARE: &str = r#"permit (principal, action == Action::"share", resource) when { context.bases.contains("ca-agreement") };"#;
/// 2026-01-01 and 2027-01-01, the days of the grant in [`FACTS`].
const FROM: u64 = 20_454 * DAY;
const UNTIL: u64 = 20_819 * DAY;
const DAY: u64 = 86_400;

fn granted() -> Profile {
    profile(&annotated("share", SHARE))
}

fn share_at(profile: &Profile, now: u64) -> Decision {
    let labels = crate::testing::labels();
    ask_at(
        profile,
        Action::Share,
        &centre("ca"),
        &labels,
        Timestamp::new(now),
    )
}

#[test]
fn a_grant_ends_at_its_date_without_anyone_acting() {
    let profile = granted();
    let opens = FROM + limits::CLOCK_SKEW_S;
    let closes = UNTIL - limits::CLOCK_SKEW_S;
    for (now, allowed, changes) in [
        (0, false, Some(opens)),
        (opens - 1, false, Some(opens)),
        (opens, true, Some(closes)),
        (closes - 1, true, Some(closes)),
        (closes, false, None),
        (UNTIL + 1_000 * DAY, false, None),
    ] {
        let decision = share_at(&profile, now);
        assert_eq!(decision.allowed, allowed, "{now}");
        assert_eq!(decision.valid_until, changes.map(Timestamp::new), "{now}");
    }
}

proptest! {
    /// A clock that is wrong by the allowed skew opens nothing outside the dates of a grant, and inside, two days from
    /// either end, closes nothing.
    #[test]
    fn clock_skew_of_a_day_neither_opens_nor_loses_anything(
        truth in FROM - 5 * DAY..UNTIL + 5 * DAY,
        off in 0..=2 * limits::CLOCK_SKEW_S,
    ) {
        let clock = truth + off - limits::CLOCK_SKEW_S;
        let allowed = share_at(&granted(), clock).allowed;
        if !(FROM..UNTIL).contains(&truth) {
            prop_assert!(!allowed);
        }
        if (FROM + 2 * limits::CLOCK_SKEW_S..UNTIL - 2 * limits::CLOCK_SKEW_S).contains(&truth) {
            prop_assert!(allowed);
        }
    }
}

#[test]
fn a_grant_that_could_never_open_is_refused() {
    let facts = FACTS.replace("until = 2027-01-01", "until = 2026-01-03");
    let mut files = files(&annotated("share", SHARE));
    files[0].1 = facts;
    let faults = Profile::from_files(&files).expect_err("from + skew is until - skew");
    assert_eq!(faults[0].kind, FaultKind::NeverOpen);
    assert_eq!(
        (faults[0].file.as_str(), faults[0].line),
        ("profile.toml", 17)
    );
}

/// A document at this log index, issued at this time, that allows or denies.
fn logged(index: u64, issued_at: u64, allows: bool) -> Logged {
    let cedar = if allows {
        annotated("share", SHARE)
    } else {
        String::new()
    };
    Logged {
        index,
        issued_at: Timestamp::new(issued_at),
        profile: Some(Arc::new(profile(&cedar))),
    }
}

fn unreadable(index: u64, issued_at: u64) -> Logged {
    Logged {
        index,
        issued_at: Timestamp::new(issued_at),
        profile: None,
    }
}

fn ruling(documents: &[Logged], witnessed: u64, now: u64, fallback: Fallback) -> Ruling {
    let labels = crate::testing::labels();
    let origin = "eu".parse().unwrap();
    let jurisdiction = "EU".parse().unwrap();
    let now = Timestamp::new(now);
    InForce::of(documents, witnessed, now, fallback).decide(&Query {
        action: Action::Share,
        principal: &centre("ca"),
        class: ClassFacts {
            origin: &origin,
            jurisdiction: &jurisdiction,
            class: ClassId(7),
            labels: &labels,
        },
        purpose: Purpose::Triage,
        now,
        entry: None,
    })
}

#[test]
fn narrowing_acts_at_once_and_widening_when_witnessed_and_after_its_delay() {
    let now = NOW.get();
    let wide = logged(3, now - 9 * DAY, true);
    let narrow = logged(8, now, false);
    // Logged this second, seen by nobody: it denies already.
    let ruled = ruling(&[wide.clone(), narrow.clone()], 8, now, Fallback::Closed);
    assert_eq!((ruled.allowed, ruled.index), (false, Some(8)));

    let wider = [logged(3, now - 9 * DAY, false), logged(8, now - DAY, true)];
    let unseen = ruling(&wider, 8, now, Fallback::Closed);
    assert_eq!(
        (unseen.allowed, unseen.index),
        (false, Some(3)),
        "not witnessed"
    );
    let early = ruling(&wider, 9, now - 1, Fallback::Closed);
    assert!(!early.allowed, "a second before its day is over");
    assert_eq!(early.valid_until, Some(NOW), "ask again then");
    let ripe = ruling(&wider, 9, now, Fallback::Closed);
    assert_eq!((ripe.allowed, ripe.index), (true, Some(8)));
}

#[test]
fn a_document_cannot_abolish_for_itself_the_delay_of_the_one_before_it() {
    let now = NOW.get();
    let documents = [logged(3, now - 9 * DAY, false), hasty(8, now - 3_600)];
    assert!(!ruling(&documents, 9, now, Fallback::Closed).allowed);
    assert!(ruling(&documents, 9, now + DAY, Fallback::Closed).allowed);
}

/// One that allows, without a delay of its own.
fn hasty(index: u64, issued_at: u64) -> Logged {
    let facts = FACTS.replace("widen_after_hours = 24", "widen_after_hours = 0");
    let files = [
        ("profile.toml", facts),
        ("share.cedar", annotated("share", SHARE)),
    ];
    let files: Vec<_> = files.map(|(name, text)| (name.to_owned(), text)).to_vec();
    Logged {
        profile: Some(Arc::new(Profile::from_files(&files).unwrap())),
        ..logged(index, issued_at, true)
    }
}

#[test]
fn a_second_document_does_not_slip_past_the_delay_of_a_first_one_that_is_not_mature() {
    let now = NOW.get();
    let allowed = |documents: &[Logged], at| ruling(documents, 9, at, Fallback::Closed).allowed;
    let two = [logged(3, now, false), hasty(5, now + 60)];
    assert!(!allowed(&two, now + 61));
    assert!(!allowed(&two, now + DAY), "when the first one is mature");
    assert!(!allowed(&two, now + DAY + 59));
    for at in [DAY + 60, DAY + 120, 2 * DAY] {
        assert!(allowed(&two, now + at), "{at} s after the first one");
    }
    // The delay that stood when a document was made is not over because one between them is mature.
    let old = logged(3, now - 9 * DAY, false);
    let three = [old, logged(5, now, false), hasty(7, now + DAY - 60)];
    assert!(!allowed(&three, now + DAY + 1));
    assert!(allowed(&three, now + 2 * DAY));
}

#[test]
fn a_document_that_cannot_be_read_denies_everything_and_is_an_alarm() {
    let now = NOW.get();
    let documents = [logged(3, now - 9 * DAY, true), unreadable(5, now)];
    let ruled = ruling(&documents, 6, now, Fallback::Open);
    assert_eq!((ruled.allowed, ruled.index), (false, Some(5)));
    assert_eq!(ruled.errors, ["the policy document could not be read"]);
    // It counts until a readable one is old enough to replace it.
    let mended = [documents.as_slice(), &[logged(7, now, true)]].concat();
    assert!(!ruling(&mended, 8, now, Fallback::Open).allowed);
    assert!(ruling(&mended, 8, now + DAY, Fallback::Open).allowed);
}

#[test]
fn without_a_document_only_a_demonstration_is_open() {
    let now = NOW.get();
    assert!(ruling(&[], 0, now, Fallback::Open).allowed);
    assert_eq!(ruling(&[], 0, now, Fallback::Closed), Ruling::default());
    // The first document narrows an open network at once, and opens a closed one after its delay.
    assert!(!ruling(&[logged(0, now, false)], 0, now, Fallback::Open).allowed);
    let first = [logged(0, now - DAY, true)];
    assert!(!ruling(&first, 0, now, Fallback::Closed).allowed);
    assert!(ruling(&first, 1, now, Fallback::Closed).allowed);
}
