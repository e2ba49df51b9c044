//! What one asker takes up: places among the sessions, a turn to have a count made, requests that the core is asked about.
//!
//! Why: nobody is to use up what all share. A request beyond the rate waits, and is not refused: its stream is one of the few
//! that its peer has. In scope: shares. Out of scope: quota, which the core charges.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hashpact_protocol::policy::Asker;
use hashpact_protocol::psi::RefusalCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};

use super::{Refused, SESSIONS_KEPT, Server};

/// Sessions of one principal that are remembered: those of a day of one type.
const SESSIONS_EACH: usize = 64;
/// Time that a request takes of its principal's share: 20 a second.
const REQUEST: Duration = Duration::from_millis(50);
/// Requests that may come at once after a rest: the segments of a manifest.
const BURST: u32 = 128;

/// The share of one asker.
pub(super) struct Principal {
    sessions: Arc<Semaphore>,
    /// A count in the making.
    pub(super) making: Semaphore,
    /// When its share of requests is used up, all that it asked counted.
    paid: Mutex<Instant>,
}

/// A place for a session, free again once it is dropped.
pub(super) struct Place {
    _held: [OwnedSemaphorePermit; 2],
}

impl Principal {
    fn new() -> Self {
        Self {
            sessions: Arc::new(Semaphore::new(SESSIONS_EACH)),
            making: Semaphore::new(1),
            paid: Mutex::new(Instant::now()),
        }
    }

    /// Waits until one more request is within the rate.
    pub(super) async fn pace(&self) {
        let now = Instant::now();
        let due = {
            let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
            let due = now.max(*paid) + REQUEST;
            *paid = due;
            due
        };
        let rest = REQUEST * BURST;
        if let Some(until) = due.checked_sub(rest)
            && until > now
        {
            sleep_until(until).await;
        }
    }
}

impl Server {
    /// The share of an asker; there are no more of them than centres and members.
    pub(super) fn principal(&self, asker: &Asker) -> Arc<Principal> {
        let mut principals = self
            .principals
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let share = principals.entry(asker.clone());
        Arc::clone(share.or_insert_with(|| Arc::new(Principal::new())))
    }

    /// A place for one more session of an asker.
    pub(super) fn place(&self, asker: &Asker) -> Result<Place, Refused> {
        let own = Arc::clone(&self.principal(asker).sessions).try_acquire_owned();
        let of_all = Arc::clone(&self.places).try_acquire_owned();
        match (own, of_all) {
            (Ok(own), Ok(of_all)) => Ok(Place {
                _held: [own, of_all],
            }),
            (Err(_), _) | (_, Err(_)) => Err(RefusalCode::Busy.into()),
        }
    }
}

/// Places for the sessions of all.
pub(super) fn places() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(SESSIONS_KEPT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_flood_of_requests_waits_for_its_rate_and_a_burst_does_not() {
        let principal = Principal::new();
        let begun = Instant::now();
        for _ in 0..BURST {
            principal.pace().await;
        }
        assert!(begun.elapsed() < REQUEST * 10);
        for _ in 0..20 {
            principal.pace().await;
        }
        assert!(begun.elapsed() >= REQUEST * 20);
    }
}
