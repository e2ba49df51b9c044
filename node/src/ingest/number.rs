//! Numbers and days out of cells.
//!
//! Why days: an entry never says more than the day, so a time of day is refused and not cut. In scope: text to numbers.
//! Out of scope: which column is which.

use super::report::Code;
use super::row::{Cells, RowFault};

/// A whole number from 0 to `max`; an empty cell is not stated.
pub(super) fn number(
    cells: Cells<'_>,
    column: Option<usize>,
    max: u64,
) -> Result<Option<u64>, RowFault> {
    let Some(column) = column else {
        return Ok(None);
    };
    let text = cells.text(column)?.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let number = text.parse().ok().filter(|number| digits && *number <= max);
    number.map(Some).ok_or_else(|| {
        let detail = format!(
            "{} chars, not a whole number up to {max}",
            text.chars().count()
        );
        RowFault {
            column: Some(column),
            code: Code::BadValue,
            detail,
        }
    })
}

/// A day as days since 1970-01-01; an empty cell is not stated.
pub(super) fn day(cells: Cells<'_>, column: Option<usize>) -> Result<Option<u32>, RowFault> {
    let Some(column) = column else {
        return Ok(None);
    };
    let text = cells.text(column)?.trim();
    if text.is_empty() {
        return Ok(None);
    }
    days_since_epoch(text).map(Some).ok_or_else(|| {
        let detail = format!(
            "{} chars, not a day such as 2026-11-30 between 1970 and 2199",
            text.chars().count()
        );
        RowFault {
            column: Some(column),
            code: Code::BadTime,
            detail,
        }
    })
}

/// `YYYY-MM-DD` in the Gregorian calendar, 1970 to 2199.
pub(super) fn days_since_epoch(text: &str) -> Option<u32> {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let part = |range: std::ops::Range<usize>| -> Option<u32> {
        let digits = &bytes[range];
        let all = digits.iter().all(u8::is_ascii_digit);
        all.then(|| {
            digits
                .iter()
                .fold(0, |number, digit| number * 10 + u32::from(digit - b'0'))
        })
    };
    let (year, month, day) = (part(0..4)?, part(5..7)?, part(8..10)?);
    if !(1970..2200).contains(&year) || !(1..=12).contains(&month) {
        return None;
    }
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [
        31,
        if leap { 29 } else { 28 },
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    let before = usize::try_from(month - 1).ok()?;
    if day == 0 || day > lengths[before] {
        return None;
    }
    let past = year - 1;
    let leaps = |year: u32| year / 4 - year / 100 + year / 400;
    let years = (year - 1970) * 365 + leaps(past) - leaps(1969);
    Some(years + lengths[..before].iter().sum::<u32>() + day - 1)
}

/// The day, as `YYYY-MM-DD`, of a moment in milliseconds since 1970-01-01 UTC; none outside 1970 to 2199.
pub(super) fn day_of_millis(millis: i64) -> Option<String> {
    text_of_day(millis.div_euclid(86_400_000))
}

/// The day in UTC of a time in ISO form: `YYYY-MM-DD`, or that with a time of day, with fractions of a second and with an
/// offset or without.
pub(super) fn day_of_time(text: &str) -> Option<String> {
    let text = text.trim();
    let day = i64::from(days_since_epoch(text.get(..10)?)?);
    let rest = &text[10..];
    if rest.is_empty() {
        return text_of_day(day);
    }
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let end = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
    let (clock, zone) = rest.split_at(end);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let parts: Option<Vec<i64>> = clock.split(':').map(two_digits).collect();
    let (hour, minute, second) = match parts?.as_slice() {
        [hour, minute] => (*hour, *minute, 0),
        [hour, minute, second] => (*hour, *minute, *second),
        _ => return None,
    };
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = hour * 3600 + minute * 60 + second.min(59) - offset(zone)?;
    text_of_day(day + seconds.div_euclid(86_400))
}

/// Seconds that a zone is ahead of UTC.
fn offset(zone: &str) -> Option<i64> {
    if matches!(zone, "" | "Z" | "z") {
        return Some(0);
    }
    let (sign, rest) = match zone.as_bytes().first()? {
        b'+' => (1, &zone[1..]),
        b'-' => (-1, &zone[1..]),
        _ => return None,
    };
    let digits = rest.replacen(':', "", 1);
    let (hours, minutes) = (two_digits(digits.get(..2)?)?, two_digits(digits.get(2..)?)?);
    (hours <= 14 && minutes <= 59).then_some(sign * (hours * 3600 + minutes * 60))
}

fn two_digits(text: &str) -> Option<i64> {
    let digits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// A day since 1970-01-01 as `YYYY-MM-DD`. Source: the civil-from-days algorithm of H. Hinnant, "chrono-compatible low-level
/// date algorithms".
fn text_of_day(day: i64) -> Option<String> {
    // 2200-01-01.
    if !(0..84_006).contains(&day) {
        return None;
    }
    let z = day + 719_468;
    let era = z / 146_097;
    let of_era = z - era * 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let date = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Some(format!("{year:04}-{month:02}-{date:02}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_reads_as_it_was_written() {
        for day in 0..84_006 {
            let text = text_of_day(day).unwrap();
            assert_eq!(days_since_epoch(&text).map(i64::from), Some(day), "{text}");
        }
        assert_eq!(text_of_day(84_006), None);
        assert_eq!(text_of_day(-1), None);
    }

    #[test]
    fn a_time_with_an_offset_is_of_the_day_in_utc() {
        let cases = [
            ("2026-03-01T08:15:42Z", Some("2026-03-01")),
            ("2026-03-01T23:30:00-05:00", Some("2026-03-02")),
            ("2026-03-01T00:30:00.125+0100", Some("2026-02-28")),
            ("2026-03-01 12:00", Some("2026-03-01")),
            ("2026-03-01", Some("2026-03-01")),
            ("2026-02-30T08:15:42Z", None),
            ("2026-03-01T24:00:00Z", None),
            ("2026-03-01T08:15:42 CET", None),
            ("2026-03-01T08:15:42+", None),
            ("1969-12-31T19:00:00Z", None),
            ("", None),
        ];
        for (text, day) in cases {
            assert_eq!(day_of_time(text).as_deref(), day, "{text}");
        }
    }
}
