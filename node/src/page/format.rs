//! Numbers, times and lengths of time as each language writes them.
//!
//! Why: a lawyer reads 1 234 567 or 1,234,567, and a time only with its zone. Spec: ISO 8601 dates in UTC; French numbers
//! with U+202F, as the Imprimerie nationale sets them. In scope: whole numbers and seconds. Out of scope: words (`text`).

use super::text::Language;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
pub(crate) const DAY: u64 = 24 * HOUR;

/// What fills a place in a sentence.
#[derive(Clone, Copy)]
pub(crate) enum Value<'a> {
    Count(u64),
    /// Unix seconds, shown with hours, minutes and zone.
    Time(u64),
    /// Unix seconds, shown as a day.
    Day(u64),
    /// Seconds that something took.
    Length(u64),
    Name(&'a str),
}

impl Value<'_> {
    pub(crate) fn show(self, language: Language) -> String {
        match self {
            Value::Count(count) => number(count, language),
            Value::Time(at) => time(at),
            Value::Day(at) => day(at),
            Value::Length(seconds) => length(seconds, language),
            Value::Name(name) => name.to_owned(),
        }
    }
}

/// Groups of three digits.
pub(crate) fn number(count: u64, language: Language) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(match language {
                Language::English => ',',
                Language::French => '\u{202f}',
            });
        }
        out.push(digit);
    }
    out
}

/// A length of time in its largest unit, with one decimal above seconds.
pub(crate) fn length(seconds: u64, language: Language) -> String {
    let (unit, sign) = match seconds {
        0..MINUTE => return format!("{seconds}\u{a0}s"),
        MINUTE..HOUR => (MINUTE, "min"),
        HOUR..DAY => (HOUR, "h"),
        _ => (
            DAY,
            match language {
                Language::English => "d",
                Language::French => "j",
            },
        ),
    };
    let tenths = u128::from(seconds) * 10 / u128::from(unit);
    let whole = number(u64::try_from(tenths / 10).unwrap_or(u64::MAX), language);
    let point = match language {
        Language::English => '.',
        Language::French => ',',
    };
    match tenths % 10 {
        0 => format!("{whole}\u{a0}{sign}"),
        tenth => format!("{whole}{point}{tenth}\u{a0}{sign}"),
    }
}

/// `2026-11-22 09:30 UTC`, with a hard space before the zone.
pub(crate) fn time(at: u64) -> String {
    let (hour, minute) = (at % DAY / HOUR, at % HOUR / MINUTE);
    format!("{} {hour:02}:{minute:02}\u{a0}UTC", day(at))
}

/// `2026-11-22`.
pub(crate) fn day(at: u64) -> String {
    let (year, month, day) = date(at);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Year, month and day of a time in Unix seconds, in UTC.
///
/// Years begin with March here, so that a leap day ends one: then every four years have the same length but for centuries.
pub(crate) fn date(at: u64) -> (u64, u64, u64) {
    // Days from 1 March of year 0 to 1 January 1970, in the Gregorian calendar.
    const BEFORE_1970: u64 = 719_468;
    let days = at / DAY + BEFORE_1970;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

/// The first second of a month, in UTC. Months above 12 run into the next years.
pub(crate) fn month_start(year: u64, month: u64) -> u64 {
    let year = year + (month - 1) / 12;
    let month = (month - 1) % 12 + 1;
    let from_march = (month + 9) % 12;
    let year = year - u64::from(month <= 2);
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * from_march + 2) / 5;
    days.saturating_sub(719_468).saturating_mul(DAY)
}
