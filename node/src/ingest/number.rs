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
