//! What is drawn, and pages at the ends of what a result can hold.

use super::parse;
use super::sample::{delta, sample};
use crate::audit::report::format::{DAY, month_start};
use crate::audit::report::timeline::{MARKS_MAX, Span, Timeline, common_span};
use crate::audit::report::words::Language;
use crate::audit::report::{html, read_json};
use crate::audit::result::AuditResult;

#[test]
fn a_silence_is_told_and_a_short_pause_is_not() {
    let mut log = sample().logs.remove(0);
    log.newest_notes.clear();
    log.months.clear();
    (log.deltas, log.first_delta_at, log.last_delta_at) = (0, None, None);
    let start = month_start(2026, 1);
    let template = sample().logs[0].newest_notes[0].clone();
    for at in [0, 13, 27, 30] {
        delta(&mut log, start + at * DAY, &mut 1_u64);
        let mut note = template.clone();
        (note.size, note.issued_at) = (at + 1, Some(start + at * DAY));
        log.newest_notes.push(note);
    }
    log.notes = 4;
    let span = Span {
        from: start,
        to: start + 43 * DAY,
    };
    let told = |line: &Timeline| -> Vec<(u64, u64, bool)> {
        let days = |at: u64| (at - start) / DAY;
        let all = line.silences.iter();
        all.map(|one| (days(one.span.from), days(one.span.to), one.open))
            .collect()
    };
    assert_eq!(told(&Timeline::of(&log, span)), [(13, 27, false)]);
    let longer = Span {
        to: start + 44 * DAY,
        ..span
    };
    assert_eq!(
        told(&Timeline::of(&log, longer)),
        [(13, 27, false), (30, 44, true)]
    );
    // Of a month without listed checkpoints nobody knows that it was silent.
    log.newest_notes.clear();
    let line = Timeline::of(&log, span);
    assert!(line.silences.is_empty());
    assert_eq!(line.stretches.len(), 1);
    assert_eq!(line.stretches[0].deltas, 4);
}

#[test]
fn a_log_of_ten_busy_years_makes_a_page_of_bounded_size() {
    let mut result = sample();
    let note = result.logs[0].newest_notes[0].clone();
    let before = html(&result, Language::English).len();
    for log in &mut result.logs {
        let start = month_start(2016, 1);
        (log.months, log.newest_notes) = (Vec::new(), Vec::new());
        for at in 0..40_000_u64 {
            let at = start + at * 8_000;
            delta(log, at, &mut 5_u64);
            let mut note = note.clone();
            (note.issued_at, note.witnessed, note.size) =
                (Some(at), !at.is_multiple_of(3), at - start);
            log.newest_notes.push(note);
        }
        log.notes = 40_000;
    }
    result.findings = vec![result.findings[0].clone(); 20_000];
    let span = common_span(&result.logs, result.verified_at);
    let line = Timeline::of(&result.logs[0], span);
    let marks =
        line.grown.len() + line.retracted.len() + line.witnessed.len() + line.unwitnessed.len();
    assert!(marks <= 2 * MARKS_MAX && line.slice.is_some(), "{marks}");
    // Nothing gets lost where marks are added up.
    let sum: u64 = line
        .witnessed
        .iter()
        .chain(&line.unwitnessed)
        .map(|mark| mark.count)
        .sum();
    assert_eq!(sum, 40_000);
    let page = html(&result, Language::English);
    parse(&page);
    assert!(page.contains("19,500 more are in the JSON result"));
    assert!(page.len() < 4 * before.max(400_000), "{} bytes", page.len());
}

#[test]
fn times_and_counts_at_their_ends_make_a_page() {
    let mut text = serde_json::to_string(&sample()).unwrap();
    let numbers = [0, 1, u64::MAX];
    for to in numbers {
        let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
        fn set(value: &mut serde_json::Value, to: u64) {
            match value {
                serde_json::Value::Number(number) => *number = to.into(),
                serde_json::Value::Array(items) => items.iter_mut().for_each(|item| set(item, to)),
                serde_json::Value::Object(fields) => {
                    fields.values_mut().for_each(|field| set(field, to))
                }
                serde_json::Value::Null
                | serde_json::Value::Bool(_)
                | serde_json::Value::String(_) => {}
            }
        }
        set(&mut value, to);
        let result: AuditResult = serde_json::from_value(value).unwrap();
        parse(&html(&result, Language::French));
    }
    text = text.replace("2026-0", "9999-0").replace("2025-1", "0000-1");
    let result = read_json(text.as_bytes()).unwrap();
    parse(&html(&result, Language::French));
}
