//! Words, numbers and dates.

use crate::audit::report::findings;
use crate::audit::report::format::{DAY, Value, date, day, length, month_start, number, time};
use crate::audit::report::words::{self, Language, Text};
use crate::page::text::complete;

#[test]
fn a_value_that_looks_like_a_place_is_not_filled_again() {
    let text = Text {
        en: "{0} and {1}",
        fr: "{1}",
    };
    let values = [Value::Name("{1}"), Value::Name("x")];
    assert_eq!(text.fill(Language::English, &values), "{1} and x");
}

#[test]
fn every_sentence_has_both_languages_and_the_same_places() {
    // The same word in both, or a name of one language in its own words.
    let same = [
        "CENTRES",
        "CENTRE",
        "DELTAS",
        "LANE_DELTAS",
        "COUNT",
        "NO_VALUE",
        "MOST",
        "COSIGNATURES",
        "VERSION",
        "WORD_DELTA",
    ];
    complete(words::ALL, &same);
    for kind in findings::KINDS {
        let Text { en, fr } = findings::meaning(kind).unwrap();
        assert!(en.ends_with('.') && fr.ends_with('.') && en != fr, "{kind}");
    }
}

#[test]
fn numbers_are_written_as_each_language_writes_them() {
    let both = |count| Language::ALL.map(|language| number(count, language));
    assert_eq!(both(0), ["0", "0"]);
    assert_eq!(both(999), ["999", "999"]);
    assert_eq!(both(1_234_567), ["1,234,567", "1\u{202f}234\u{202f}567"]);
    let both = |seconds| Language::ALL.map(|language| length(seconds, language));
    assert_eq!(both(59), ["59\u{a0}s", "59\u{a0}s"]);
    assert_eq!(both(90), ["1.5\u{a0}min", "1,5\u{a0}min"]);
    assert_eq!(both(3_600), ["1\u{a0}h", "1\u{a0}h"]);
    assert_eq!(both(33 * DAY + DAY / 2), ["33.5\u{a0}d", "33,5\u{a0}j"]);
    let counted = |count| {
        Language::ALL.map(|language| words::LOG_FINDINGS.fill(language, &[Value::Count(count)]))
    };
    assert_eq!(counted(0), ["0 findings", "0 anomalie"]);
    assert_eq!(counted(1), ["1 finding", "1 anomalie"]);
    assert_eq!(counted(2), ["2 findings", "2 anomalies"]);
}

#[test]
fn dates_are_those_of_the_calendar() {
    assert_eq!(time(0), "1970-01-01 00:00\u{a0}UTC");
    assert_eq!(time(951_827_696), "2000-02-29 12:34\u{a0}UTC");
    assert_eq!(day(4_107_542_400), "2100-03-01");
    assert_eq!(day(4_107_542_399), "2100-02-28");
    for month in 0..4_800 {
        let (year, month) = (1970 + month / 12, month % 12 + 1);
        let start = month_start(year, month);
        assert_eq!(date(start), (year, month, 1));
        assert_eq!(month_start(1970, (year - 1970) * 12 + month), start);
        assert_eq!(date(month_start(year, month + 1) - 1).1, month);
    }
}
