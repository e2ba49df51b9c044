//! How much one credential may ask: requests a second, units a day, streams at once.
//!
//! A unit is a request, or a fingerprint that is looked up. Units are written down in blocks before they are used: a node
//! that is killed forgets none, and counts at most a block too much. In scope: counting. Out of scope: who asks (`caller`).

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use governor::clock::{Clock as _, MonotonicClock};
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use hashpact_keys::Timestamp;

/// Seconds of a UTC day.
pub(crate) const DAY: u64 = 86_400;
/// Of a day's quota, a block that is written down at once is this part at most.
const BLOCKS: u64 = 100;
/// Units of a block at most: few writes for whoever asks a lot.
const BLOCK_MAX: u64 = 100_000;
/// Streams of one credential at once: a program and its restart.
pub(crate) const STREAMS: usize = 4;
/// Windows of one credential that are read at once, also for requests that nobody waits for any more.
pub(crate) const WINDOWS: usize = 4;

type Limiter = RateLimiter<NotKeyed, InMemoryState, MonotonicClock>;

/// What one credential has left.
pub(crate) struct Allowance {
    rate: Limiter,
    quota: u64,
    today: Mutex<Today>,
    streams: Arc<AtomicUsize>,
    windows: Arc<AtomicUsize>,
}

/// What was used on a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Today {
    /// Days since 1970.
    pub(crate) day: u64,
    /// Units used.
    pub(crate) used: u64,
    /// Units that are written down as used.
    pub(crate) written: u64,
}

/// Whether a day that was counted on is further ahead of today than a clock may go back.
pub(crate) fn is_far_ahead(counted: u64, day: u64) -> bool {
    counted > day.saturating_add(1)
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Charge {
    /// It may go on.
    Granted,
    /// It may go on once this is written down.
    Write(Today),
    /// Too many today.
    Spent {
        /// Seconds until the next day.
        wait: u64,
    },
}

/// A place for a stream or a window; free again when dropped.
pub(crate) struct StreamPlace(Arc<AtomicUsize>);

impl Drop for StreamPlace {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Allowance {
    /// `rate` requests a second, as many at once; `quota` units a day, of which `today` says what is used.
    pub(crate) fn new(rate: NonZeroU32, quota: u64, today: Today) -> Self {
        Self {
            rate: RateLimiter::direct_with_clock(Quota::per_second(rate), MonotonicClock),
            quota,
            today: Mutex::new(Today {
                used: today.written,
                ..today
            }),
            streams: Arc::default(),
            windows: Arc::default(),
        }
    }

    /// Seconds to wait, if this second's requests are used up.
    pub(crate) fn pace(&self) -> Result<(), u64> {
        let too_many = self.rate.check().err();
        too_many.map_or(Ok(()), |until| {
            let wait = until.wait_time_from(MonotonicClock.now());
            Err(wait.as_secs() + 1)
        })
    }

    /// Takes units of the day.
    pub(crate) fn charge(&self, units: u64, now: Timestamp) -> Charge {
        let day = now.get() / DAY;
        let mut today = self.today.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that goes back opens no second day; a day far ahead is of a clock that was wrong.
        let was_wrong = is_far_ahead(today.day, day);
        if was_wrong {
            tracing::warn!(
                counted = today.day,
                day,
                "a quota was counted on a day far ahead: it begins anew"
            );
        }
        if day > today.day || was_wrong {
            *today = Today {
                day,
                ..Today::default()
            };
        }
        let used = today.used.saturating_add(units);
        if used > self.quota {
            let wait = DAY - now.get() % DAY;
            return Charge::Spent { wait };
        }
        today.used = used;
        if used <= today.written {
            return Charge::Granted;
        }
        let block = (self.quota / BLOCKS).clamp(1, BLOCK_MAX);
        today.written = used.saturating_add(block).min(self.quota);
        Charge::Write(*today)
    }

    /// What was used on the day that was last counted.
    pub(crate) fn today(&self) -> Today {
        *self.today.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a stream, if there is one.
    pub(crate) fn stream(&self) -> Option<StreamPlace> {
        place(&self.streams, STREAMS)
    }

    /// A place for a window, if there is one.
    pub(crate) fn window(&self) -> Option<StreamPlace> {
        place(&self.windows, WINDOWS)
    }
}

fn place(places: &Arc<AtomicUsize>, most: usize) -> Option<StreamPlace> {
    let taken = places.fetch_add(1, Ordering::AcqRel);
    let place = StreamPlace(Arc::clone(places));
    (taken < most).then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::new(20_000 * DAY + DAY / 2);

    fn allowance(quota: u64, today: Today) -> Allowance {
        Allowance::new(NonZeroU32::new(5).unwrap(), quota, today)
    }

    #[test]
    fn a_day_has_its_quota_and_the_next_day_another() {
        let allowance = allowance(3, Today::default());
        assert!(matches!(allowance.charge(2, NOON), Charge::Write(_)));
        let wait = DAY / 2;
        assert_eq!(allowance.charge(2, NOON), Charge::Spent { wait });
        assert_ne!(allowance.charge(1, NOON), Charge::Spent { wait });
        assert_eq!(allowance.charge(1, NOON), Charge::Spent { wait });
        let tomorrow = Timestamp::new(NOON.get() + wait);
        assert!(matches!(allowance.charge(3, tomorrow), Charge::Write(_)));
        // A clock that goes back.
        assert!(matches!(allowance.charge(1, NOON), Charge::Spent { .. }));
    }

    #[test]
    fn a_clock_that_was_a_year_ahead_locks_no_credential_out() {
        let ahead = Timestamp::new(NOON.get() + 365 * DAY);
        let allowance = allowance(3, Today::default());
        assert!(matches!(allowance.charge(3, ahead), Charge::Write(_)));
        assert!(matches!(allowance.charge(3, NOON), Charge::Write(_)));
        assert!(matches!(allowance.charge(1, NOON), Charge::Spent { .. }));
        // A day back is no such clock.
        let yesterday = Timestamp::new(NOON.get() - DAY);
        assert!(matches!(
            allowance.charge(1, yesterday),
            Charge::Spent { .. }
        ));
    }

    #[test]
    fn flood_of_windows_of_one_credential_has_few_places() {
        let allowance = allowance(1, Today::default());
        let places: Vec<_> = (0..WINDOWS).filter_map(|_| allowance.window()).collect();
        assert_eq!(places.len(), WINDOWS);
        assert!(allowance.window().is_none());
        assert!(allowance.stream().is_some());
        drop(places);
        assert!(allowance.window().is_some());
    }

    #[test]
    fn a_restart_gives_no_second_quota() {
        let quota = 1000;
        let before = allowance(quota, Today::default());
        let mut written = Today::default();
        for _ in 0..15 {
            if let Charge::Write(today) = before.charge(1, NOON) {
                written = today;
            }
        }
        assert!(written.written >= 15 && written.written <= 15 + quota / BLOCKS);
        let after = allowance(quota, written);
        assert_eq!(after.today().used, written.written);
        assert!(matches!(after.charge(quota, NOON), Charge::Spent { .. }));
    }

    #[test]
    fn a_burst_beyond_the_rate_is_told_to_wait() {
        let allowance = allowance(100, Today::default());
        let refused = (0..50).filter(|_| allowance.pace().is_err()).count();
        assert!(refused >= 40, "{refused}");
    }

    #[test]
    fn one_credential_holds_few_streams_and_gives_them_back() {
        let allowance = allowance(1, Today::default());
        let places: Vec<_> = (0..STREAMS).filter_map(|_| allowance.stream()).collect();
        assert_eq!(places.len(), STREAMS);
        assert!(allowance.stream().is_none());
        drop(places);
        assert!(allowance.stream().is_some());
    }
}
