//! What the builder, the answering side and `status` know in common. Why: who answers must never wait for who builds. In
//! scope: snapshots and counters. Out of scope: what they mean.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use hashpact_protocol::limits;
use hashpact_protocol::psi::Epoch;

use super::state::{Folder, State};
use crate::store::durable::{Steps, write_new};

/// Evaluations that are written down ahead, so that a crash forgets none and few are written: 2^20 of the 2^36 of an epoch.
const AHEAD: u64 = 1 << 20;

/// Evaluations that an epoch ends at: a new one begins at the limit, and clients have this much to go over to it.
const SPENT: u64 = limits::MATCH_EVALUATIONS + limits::MATCH_EVALUATIONS / 16;

/// Why nothing is evaluated under the keys of an epoch.
#[derive(Debug, thiserror::Error)]
pub(super) enum CountError {
    /// It cannot be written down.
    #[error("the count of evaluations")]
    Io(#[from] io::Error),
    /// Enough was: each answer tells a little of a static key (Brown and Gallant; Cheon).
    #[error("the keys of the epoch have evaluated all that they may")]
    Spent,
}

/// How far a build is, in deltas or items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Building {
    /// Done.
    pub done: u64,
    /// Of so many.
    pub total: u64,
}

/// Evaluations of an epoch: those that were made, and those that are written down.
#[derive(Clone, Copy, Default)]
struct Count {
    made: u64,
    written: u64,
}

pub(super) struct Shared {
    folder: Folder,
    steps: Steps,
    stopping: AtomicBool,
    members: AtomicU64,
    wish: AtomicBool,
    state: RwLock<Arc<State>>,
    building: Mutex<Option<Building>>,
    fault: Mutex<Option<String>>,
    counts: Mutex<BTreeMap<Epoch, Count>>,
}

impl Shared {
    pub(super) fn new(folder: Folder, steps: Steps, state: State) -> Self {
        Self {
            folder,
            steps,
            stopping: AtomicBool::new(false),
            members: AtomicU64::new(0),
            wish: AtomicBool::new(false),
            state: RwLock::new(Arc::new(state)),
            building: Mutex::default(),
            fault: Mutex::default(),
            counts: Mutex::default(),
        }
    }

    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Changes whenever the members did.
    pub(super) fn members_changed(&self) -> u64 {
        self.members.load(Ordering::Acquire)
    }

    pub(super) fn change_members(&self) {
        self.members.fetch_add(1, Ordering::AcqRel);
    }

    /// Asks for a new epoch.
    pub(super) fn wish(&self) {
        self.wish.store(true, Ordering::Release);
    }

    /// Whether a new epoch was asked for, once.
    pub(super) fn take_wish(&self) -> bool {
        self.wish.swap(false, Ordering::AcqRel)
    }

    pub(super) fn show(&self, state: State) {
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(state);
    }

    /// What is in force.
    pub(super) fn state(&self) -> Arc<State> {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn building(&self, building: Option<Building>) {
        *lock(&self.building) = building;
    }

    pub(super) fn progress(&self) -> Option<Building> {
        *lock(&self.building)
    }

    pub(super) fn fault(&self, fault: Option<String>) {
        *lock(&self.fault) = fault;
    }

    pub(super) fn last_fault(&self) -> Option<String> {
        lock(&self.fault).clone()
    }

    /// Counts evaluations under the keys of an epoch, before they are made. Blocks on the disk now and then.
    ///
    /// # Errors
    /// [`CountError`]: then nothing may be evaluated.
    pub(super) fn count(&self, epoch: Epoch, evaluations: u64) -> Result<(), CountError> {
        let mut counts = lock(&self.counts);
        let mut count = self.read(&counts, epoch)?;
        count.made = count.made.saturating_add(evaluations);
        if count.made > SPENT {
            return Err(CountError::Spent);
        }
        if count.made > count.written {
            count.written = count.made.saturating_add(AHEAD);
            write_new(
                &self.file(epoch),
                &[&count.written.to_be_bytes()],
                &self.steps,
            )?;
        }
        counts.insert(epoch, count);
        Ok(())
    }

    /// Evaluations under the keys of an epoch; after a crash up to 2^20 more than were made.
    pub(super) fn evaluations(&self, epoch: Epoch) -> u64 {
        // What cannot be read counts as all there may be: a new epoch begins.
        let count = self.read(&lock(&self.counts), epoch);
        count.map_or(u64::MAX, |count| count.made)
    }

    pub(super) fn forget_evaluations(&self, epoch: Epoch) -> io::Result<()> {
        lock(&self.counts).remove(&epoch);
        match fs::remove_file(self.file(epoch)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn read(&self, counts: &BTreeMap<Epoch, Count>, epoch: Epoch) -> io::Result<Count> {
        if let Some(count) = counts.get(&epoch) {
            return Ok(*count);
        }
        match fs::read(self.file(epoch)) {
            Ok(bytes) => {
                let bytes = bytes.try_into().map_err(|_| io::ErrorKind::InvalidData)?;
                let written = u64::from_be_bytes(bytes);
                let made = written;
                Ok(Count { made, written })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Count::default()),
            Err(error) => Err(error),
        }
    }

    fn file(&self, epoch: Epoch) -> PathBuf {
        self.folder.root().join(format!("epoch-{epoch}.count"))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever panicked left a value that is whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(folder: &std::path::Path) -> Shared {
        let state = State::new("eu.example/eu/1".parse().unwrap());
        Shared::new(Folder::new(folder), Steps::default(), state)
    }

    #[test]
    fn a_crash_forgets_no_evaluation_and_counts_few_too_many() {
        let dir = tempfile::tempdir().unwrap();
        let mut made = 0;
        let mut counted = 0;
        for _ in 0..5 {
            let shared = shared(dir.path());
            for _ in 0..700 {
                shared.count(Epoch(2), 4096).unwrap();
                made += 4096;
            }
            counted = shared.evaluations(Epoch(2));
            assert!(counted >= made);
            assert_eq!(shared.evaluations(Epoch(3)), 0);
        }
        assert!(counted - made <= 5 * (AHEAD + 4096), "{}", counted - made);
        shared(dir.path()).forget_evaluations(Epoch(2)).unwrap();
        assert_eq!(shared(dir.path()).evaluations(Epoch(2)), 0);
    }

    #[test]
    fn keys_that_are_spent_evaluate_nothing_more() {
        let dir = tempfile::tempdir().unwrap();
        let shared = shared(dir.path());
        shared.count(Epoch(1), limits::MATCH_EVALUATIONS).unwrap();
        // Clients go over to the new epoch meanwhile.
        shared.count(Epoch(1), 1).unwrap();
        let spent = shared.count(Epoch(1), SPENT - limits::MATCH_EVALUATIONS);
        assert!(matches!(spent, Err(CountError::Spent)));
        shared.count(Epoch(2), 1).unwrap();
    }

    #[test]
    fn a_count_that_cannot_be_read_is_as_high_as_can_be() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("epoch-1.count"), b"short").unwrap();
        assert_eq!(shared(dir.path()).evaluations(Epoch(1)), u64::MAX);
        shared(dir.path()).count(Epoch(1), 1).unwrap_err();
    }
}
