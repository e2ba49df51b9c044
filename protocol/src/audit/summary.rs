//! What a report says of one log: counts, months, and how its witnesses did. In scope: sums in bounded memory. Out of
//! scope: the findings, and one note after the other, which are told as they come (`Event`).

use std::collections::BTreeMap;
use std::fmt;

use hashpact_keys::{CentreId, Jurisdiction, Origin, RosterVersion, Timestamp};

use crate::b3::Hash;
use crate::log::Standing;

/// One log, after it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSummary {
    /// The log.
    pub origin: Origin,
    /// Its centre.
    pub centre: CentreId,
    /// The centre's jurisdiction.
    pub jurisdiction: Jurisdiction,
    /// Leaves under the newest checkpoint; 0 without one.
    pub size: u64,
    /// What the newest checkpoint says of the root.
    pub root: Option<Hash>,
    /// Counts over all headers that can be read.
    pub total: Counts,
    /// Classes defined.
    pub classes: u64,
    /// The roster version that the log logged last.
    pub roster: Option<RosterVersion>,
    /// Counts by the month of `issued_at`.
    pub months: BTreeMap<Month, Counts>,
    /// `issued_at` of the first header.
    pub first_delta_at: Option<Timestamp>,
    /// `issued_at` of the last header.
    pub last_delta_at: Option<Timestamp>,
    /// Notes in the history.
    pub notes: u64,
    /// How each witness did on them.
    pub witnesses: BTreeMap<String, WitnessSummary>,
    /// The newest checkpoint.
    pub checkpoint: Option<NoteSummary>,
    /// Mirrors' receipts on it.
    pub receipts: Option<Standing>,
    /// Whether a fork proof that holds lies beside the log.
    pub fork: bool,
    /// Findings of severity fail.
    pub failures: u64,
}

/// What headers count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Deltas.
    pub deltas: u64,
    /// Records put.
    pub records: u64,
    /// Retractions.
    pub retractions: u64,
}

impl Counts {
    pub(super) fn add(&mut self, records: u64, retractions: u64) {
        self.deltas += 1;
        self.records = self.records.saturating_add(records);
        self.retractions = self.retractions.saturating_add(retractions);
    }
}

/// One checkpoint and who cosigned it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSummary {
    /// Leaves.
    pub size: u64,
    /// The roster that it was judged under.
    pub roster: RosterVersion,
    /// `issued_at` of the newest header below its size.
    pub issued_at: Option<Timestamp>,
    /// Who cosigned, when, and who did not.
    pub standing: Standing,
}

/// How one witness did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WitnessSummary {
    /// Notes that it cosigned.
    pub cosigned: u64,
    /// Notes that it did not.
    pub missed: u64,
    /// Seconds from the newest header below a note to its cosignature.
    pub latency: Latency,
}

/// Seconds, counted in steps of an eighth, so that any number of them takes some hundred counters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    count: u64,
    max: u64,
    steps: BTreeMap<u64, u64>,
}

impl Latency {
    pub(super) fn add(&mut self, seconds: u64) {
        // The three bits below the highest one are kept.
        let lost = seconds.checked_ilog2().unwrap_or(0).saturating_sub(3);
        let step = seconds >> lost << lost;
        *self.steps.entry(step).or_default() += 1;
        self.count += 1;
        self.max = self.max.max(seconds);
    }

    /// The largest; none without any.
    #[must_use]
    pub fn max(&self) -> Option<u64> {
        (self.count > 0).then_some(self.max)
    }

    /// Seconds that so many of a hundred do not exceed, less at most an eighth. None without any.
    #[must_use]
    pub fn percentile(&self, of_hundred: u64) -> Option<u64> {
        let rank = u128::from(self.count) * u128::from(of_hundred.min(100));
        let rank = rank.div_ceil(100).max(1);
        let mut below = 0_u128;
        let reached = |(step, count): (&u64, &u64)| {
            below += u128::from(*count);
            (below >= rank).then_some(*step)
        };
        self.steps.iter().find_map(reached)
    }
}

/// A calendar month, UTC: `YYYY-MM`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month {
    /// From 1970.
    pub year: u64,
    /// 1 to 12.
    pub month: u8,
}

/// Days of 400 years, after which the calendar repeats.
const DAYS_400: u64 = 146_097;

impl Month {
    /// The month of a time.
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        let mut days = at.get() / 86_400;
        let mut year = 1970 + days / DAYS_400 * 400;
        days %= DAYS_400;
        while days >= 365 + leap_day(year) {
            days -= 365 + leap_day(year);
            year += 1;
        }
        let lengths = [31, 28 + leap_day(year), 31, 30, 31, 30, 31, 31, 30, 31, 30];
        let mut month = 1;
        for length in lengths {
            if days < length {
                break;
            }
            days -= length;
            month += 1;
        }
        Self { year, month }
    }
}

fn leap_day(year: u64) -> u64 {
    let leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    u64::from(leap)
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_those_of_the_calendar() {
        for (at, month) in [
            (0, "1970-01"),
            (951_782_399, "2000-02"),   // 2000-02-28 23:59:59
            (951_868_799, "2000-02"),   // 2000-02-29 23:59:59
            (951_868_800, "2000-03"),   // 2000-03-01
            (1_800_000_000, "2027-01"), // 2027-01-15
            (1_798_761_599, "2026-12"), // 2026-12-31 23:59:59
            (4_107_542_400, "2100-03"), // 2100-03-01: no leap year
            (4_107_542_399, "2100-02"),
        ] {
            assert_eq!(Month::of(Timestamp::new(at)).to_string(), month, "{at}");
        }
    }

    #[test]
    fn percentiles_are_right_within_an_eighth() {
        let mut latency = Latency::default();
        assert_eq!((latency.percentile(50), latency.max()), (None, None));
        (1..=1_000).for_each(|seconds| latency.add(seconds));
        for of_hundred in [1, 50, 95, 100] {
            let (got, exact) = (latency.percentile(of_hundred).unwrap(), of_hundred * 10);
            assert!(got <= exact && got * 8 >= exact * 7, "{of_hundred}: {got}");
        }
        assert_eq!(latency.max(), Some(1_000));
        assert!(latency.steps.len() < 70);
    }
}
