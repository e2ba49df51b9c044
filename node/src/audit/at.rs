//! A time as an auditor types it: Unix seconds, or an RFC 3339 date with or without a time of day.
//!
//! Why: a copy on a shelf is verified as of the day it was made; by the clock of today all of it is stale. In scope: the
//! text. Out of scope: what is judged by it (`verify`), the clock (`crate::clock`).

use std::fmt;
use std::str::FromStr;

use hashpact_keys::Timestamp;

use crate::page::format::day;

/// Seconds of a day.
const DAY_S: u64 = 86_400;

/// A time that was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At(pub Timestamp);

/// Why a text is no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AtError {
    /// None of the forms.
    #[error("a time is 1767225600, 2026-01-01 or 2026-01-01T00:00:00Z")]
    Shape,
    /// A date or a time of day that does not exist, or one before 1970.
    #[error("there is no such time, or it is before 1970")]
    NoTime,
}

impl FromStr for At {
    type Err = AtError;

    /// A date alone is its first second, UTC. Fractions of a second are dropped.
    fn from_str(text: &str) -> Result<Self, AtError> {
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            let seconds = text.parse().map_err(|_| AtError::Shape)?;
            return Ok(Self(Timestamp::new(seconds)));
        }
        let (date, time) = match text.split_once(['T', 't']) {
            Some((date, time)) => (date, Some(time)),
            None => (text, None),
        };
        let midnight = days(date)?.checked_mul(DAY_S).ok_or(AtError::NoTime)?;
        let seconds = match time {
            Some(time) => time_of_day(time, midnight)?,
            None => midnight,
        };
        Ok(Self(Timestamp::new(seconds)))
    }
}

impl fmt::Display for At {
    /// A date, with a time of day unless it is midnight; what was typed and what is read are one form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.get() % DAY_S;
        f.write_str(&day(self.0.get()))?;
        match seconds {
            0 => Ok(()),
            _ => write!(
                f,
                "T{:02}:{:02}:{:02}Z",
                seconds / 3_600,
                seconds / 60 % 60,
                seconds % 60
            ),
        }
    }
}

/// Days from 1970 to a date `YYYY-MM-DD` of the Gregorian calendar.
fn days(date: &str) -> Result<u64, AtError> {
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let leap =
        |year: u64| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let february = if leap(year) { 29 } else { 28 };
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let month = usize::try_from(month).map_err(|_| AtError::NoTime)?;
    let before = month.checked_sub(1).ok_or(AtError::NoTime)?;
    let length = *lengths.get(before).ok_or(AtError::NoTime)?;
    if year < 1970 || day == 0 || day > length {
        return Err(AtError::NoTime);
    }
    let years: u64 = (1970..year).map(|year| 365 + u64::from(leap(year))).sum();
    let months: u64 = lengths[..before].iter().sum();
    Ok(years + months + day - 1)
}

/// `HH:MM:SS`, perhaps a fraction, and `Z` or `+HH:MM` or `-HH:MM`, on the day that begins at `midnight`.
fn time_of_day(time: &str, midnight: u64) -> Result<u64, AtError> {
    let (clock, zone) = time.split_at_checked(8).ok_or(AtError::Shape)?;
    let [hours, minutes, seconds] = numbers(clock, ':', [2, 2, 2])?;
    if hours > 23 || minutes > 59 || seconds > 59 {
        return Err(AtError::NoTime);
    }
    let local = midnight + hours * 3_600 + minutes * 60 + seconds;
    let zone = match zone.strip_prefix('.') {
        None => zone,
        Some(fraction) => {
            let zone = fraction.trim_start_matches(|digit: char| digit.is_ascii_digit());
            if zone.len() == fraction.len() {
                return Err(AtError::Shape);
            }
            zone
        }
    };
    if zone == "Z" || zone == "z" {
        return Ok(local);
    }
    let (sign, offset) = zone.split_at_checked(1).ok_or(AtError::Shape)?;
    let [hours, minutes] = numbers(offset, ':', [2, 2])?;
    if hours > 23 || minutes > 59 {
        return Err(AtError::NoTime);
    }
    let offset = hours * 3_600 + minutes * 60;
    match sign {
        "+" => local.checked_sub(offset).ok_or(AtError::NoTime),
        "-" => local.checked_add(offset).ok_or(AtError::NoTime),
        _ => Err(AtError::Shape),
    }
}

/// Decimal numbers of exactly these lengths.
fn numbers<const N: usize>(
    text: &str,
    between: char,
    lens: [usize; N],
) -> Result<[u64; N], AtError> {
    let mut numbers = [0; N];
    let mut parts = text.split(between);
    for (number, len) in numbers.iter_mut().zip(lens) {
        let part = parts.next().ok_or(AtError::Shape)?;
        if part.len() != len || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(AtError::Shape);
        }
        *number = part.parse().map_err(|_| AtError::Shape)?;
    }
    match parts.next() {
        None => Ok(numbers),
        Some(_) => Err(AtError::Shape),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (text, seconds) in [
            ("0", 0),
            ("1798761600", 1_798_761_600),
            ("1970-01-01", 0),
            ("2027-01-01", 1_798_761_600),
            ("2000-02-29", 951_782_400),
            ("2026-12-31T23:59:59Z", 1_798_761_599),
            ("2026-12-31t23:59:59.75z", 1_798_761_599),
            ("2027-01-01T01:30:00+01:30", 1_798_761_600),
            ("2026-12-31T19:00:00-05:00", 1_798_761_600),
            ("2100-03-01", 4_107_542_400),
        ] {
            assert_eq!(text.parse(), Ok(At(Timestamp::new(seconds))), "{text}");
        }
    }

    #[test]
    fn a_time_is_shown_as_it_is_typed() {
        for text in ["2026-11-22", "2000-02-29T23:59:59Z", "1970-01-01"] {
            assert_eq!(text.parse::<At>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "yesterday",
            "2026-1-01",
            "2026-01-01T00:00",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00*01:00",
            "2026-01-01T00:00:00+0100",
            "2026-01-01 00:00:00Z",
            "2026-01-01-01",
            "+1",
            "99999999999999999999",
            "",
        ] {
            assert_eq!(text.parse::<At>(), Err(AtError::Shape), "{text}");
        }
        for text in [
            "1969-12-31",
            "2026-13-01",
            "2026-00-01",
            "2026-02-29",
            "2026-04-31",
            "2026-01-00",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:60Z",
            "1970-01-01T00:00:00+00:01",
        ] {
            assert_eq!(text.parse::<At>(), Err(AtError::NoTime), "{text}");
        }
    }
}
