//! Times as this shape writes them: `YYYY-MM-DDTHH:MM:SSZ`, and nothing else.
//!
//! Why: a fraction or an offset in a reply is fatal to the stock client, and a client whose clock is labelled wrongly must
//! be told so. A time before 1970 is read, since clients west of Greenwich begin there. Source: formats section 1.3, rules 1,
//! 10 and 13. In scope: text and seconds. Out of scope: what time it is.

/// The last second that four digits of a year can write: 9999-12-31T23:59:59Z.
const SECOND_MAX: u64 = 253_402_300_799;
const DAY_S: i64 = 86_400;

/// Writes Unix seconds; a second beyond the year 9999 is written as the last one of it.
pub(super) fn format(second: u64) -> String {
    let second = second.min(SECOND_MAX);
    let (year, month, day) = date(second / 86_400);
    let rest = second % 86_400;
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Reads a time: Unix seconds, below 0 before 1970. `None` for any other form and for a day that no calendar has.
pub(super) fn parse(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let form = b"0000-00-00T00:00:00Z";
    let fits = bytes.len() == form.len()
        && bytes.iter().zip(form).all(|(byte, form)| match form {
            b'0' => byte.is_ascii_digit(),
            mark => byte == mark,
        });
    if !fits {
        return None;
    }
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let is_time = hour < 24 && minute < 60 && second < 60;
    let is_date = (1..=12).contains(&month) && (1..=days_of(year, month)).contains(&day);
    (is_time && is_date)
        .then(|| days_before(year, month, day) * DAY_S + hour * 3_600 + minute * 60 + second)
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days from 1970-01-01 to this one. Years begin in March here, so that the leap day is the last of its year.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = match month {
        1 | 2 => (year - 1, month + 9),
        _ => (year, month - 3),
    };
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let of_year = (153 * month + 2) / 5 + day - 1;
    year * 365 + leaps + of_year - 719_468
}

/// The date of a day counted from 1970-01-01: the reverse of [`days_before`].
fn date(day: u64) -> (u64, u64, u64) {
    let day = day + 719_468;
    let era = day / 146_097;
    let of_era = day % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year_of_era;
    match month {
        0..=9 => (year, month + 3, day),
        _ => (year + 1, month - 9, day),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_times_are_written_and_read() {
        for (second, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_772_352_942, "2026-03-01T08:15:42Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (SECOND_MAX, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(format(second), text);
            assert_eq!(parse(text), i64::try_from(second).ok());
        }
    }

    #[test]
    fn a_time_before_1970_parses() {
        assert_eq!(parse("1969-12-31T19:00:00Z"), Some(-18_000));
        assert_eq!(parse("1600-02-29T00:00:00Z"), Some(-11_670_998_400));
    }

    #[test]
    fn fractions_offsets_and_impossible_days_are_refused() {
        for text in [
            "",
            "2026-03-01",
            "2026-03-01T08:15:42",
            "2026-03-01T08:15:42.000Z",
            "2026-03-01T08:15:42+00:00",
            "2026-03-01t08:15:42z",
            "2026-03-01 08:15:42Z",
            "2026-13-01T08:15:42Z",
            "2026-02-29T08:15:42Z",
            "2026-00-10T08:15:42Z",
            "2026-01-00T08:15:42Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:60Z",
            "+026-01-01T00:00:00Z",
            "２026-01-01T00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(second in 0..=SECOND_MAX) {
            prop_assert_eq!(parse(&format(second)), i64::try_from(second).ok());
        }
    }
}
