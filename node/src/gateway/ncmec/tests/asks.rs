//! Queries of `entries`, and the way back from `next`.

use proptest::prelude::*;

use super::super::ask::{Ask, AskError};
use super::super::time;

const NOW: u64 = 1_772_352_942;

fn asked(from: &str, to: &str) -> Result<Ask, AskError> {
    let escaped = |text: &str| text.replace(':', "%3A");
    Ask::parse(&format!("from={}&to={}", escaped(from), escaped(to)), NOW)
}

#[test]
fn parameters_come_in_any_order_with_colons_escaped_or_not() {
    let expected = Ask {
        from: 0,
        to: NOW,
        start: 0,
        size: 1_000,
        after: None,
    };
    for query in [
        "from=1970-01-01T00:00:00Z&to=2026-03-01T08:15:42Z",
        "to=2026-03-01T08%3A15%3A42Z&from=1970-01-01T00%3A00%3A00Z",
        "to=2026-03-01T08%3a15%3a42Z&&from=1970-01-01T00%3a00%3a00Z&",
    ] {
        assert_eq!(Ask::parse(query, NOW).as_ref(), Ok(&expected), "{query}");
    }
}

#[test]
fn rule_10_a_from_before_1970_parses_and_a_reversed_window_is_no_error() {
    let ask = asked("1969-12-31T19:00:00Z", "2026-03-01T08:15:42Z").unwrap();
    assert_eq!((ask.from, ask.to), (0, NOW));
    let reversed = asked("2026-03-01T08:15:42Z", "1969-12-31T19:00:00Z").unwrap();
    assert_eq!((reversed.from, reversed.to), (NOW, 0));
}

#[test]
fn rule_13_a_window_that_ends_in_the_future_is_refused_and_says_why() {
    let to = |ahead: u64| asked("1970-01-01T00:00:00Z", &time::format(NOW + ahead));
    assert!(to(60).is_ok());
    assert_eq!(to(61), Err(AskError::Future { ahead_s: 61 }));
    let tokyo = to(9 * 3_600 - 5).unwrap_err().to_string();
    assert!(
        tokyo.contains("TZ=UTC") && tokyo.contains("32395 s"),
        "{tokyo}"
    );
}

#[test]
fn what_is_not_asked_so_is_refused() {
    let window = "from=1970-01-01T00:00:00Z&to=2026-03-01T08:15:42Z";
    let long = format!("{window}&after={}", "a".repeat(1_024));
    for (query, error) in [
        ("", AskError::Time("from")),
        ("from=1970-01-01T00:00:00Z", AskError::Time("to")),
        (
            "from=1970-01-01T00:00:00.000Z&to=2026-03-01T08:15:42Z",
            AskError::Time("from"),
        ),
        ("from=0&to=1", AskError::Time("from")),
        (
            &format!("{window}&from=1970-01-01T00:00:00Z"),
            AskError::Query,
        ),
        (&format!("{window}&page=2"), AskError::Query),
        (&format!("{window}&after"), AskError::Query),
        (&format!("{window}&after=%zz"), AskError::Query),
        (&format!("{window}&after=%f"), AskError::Query),
        (&format!("{window}&after=%ff"), AskError::Query),
        (&long, AskError::Query),
        (&format!("{window}&start=-1"), AskError::Number("start")),
        (
            &format!("{window}&start=9999999999999999"),
            AskError::Number("start"),
        ),
        (&format!("{window}&size=0"), AskError::Number("size")),
        (&format!("{window}&size=1001"), AskError::Number("size")),
        (&format!("{window}&max=x"), AskError::Number("max")),
    ] {
        assert_eq!(Ask::parse(query, NOW), Err(error), "{query}");
    }
}

proptest! {
    #[test]
    fn rule_12_next_holds_all_that_is_needed_to_go_on(
        from in 0..NOW, to in 0..NOW, start in 0..1_000_000_u64, size in 1..=1_000_usize, max in 0..1_000_000_u64,
        after in "[A-Za-z0-9_-]{1,64}",
    ) {
        let ask = Ask { from, to, start: 0, size, after: None };
        let next = ask.next(start, max, &after);
        let query = next.strip_prefix("/v2/entries?").unwrap();
        let expected = Ask { start, after: Some(after), ..ask };
        prop_assert_eq!(Ask::parse(query, NOW), Ok(expected));
    }
}
