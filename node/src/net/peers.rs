//! What the handle, the swarm task and the bulk tasks know in common about each peer. Why: a caller
//! must learn at once that a queue is full, without asking the swarm task. In scope: places and
//! counters. Out of scope: connections (`swarm`).

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use libp2p::PeerId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{PeerKind, Traffic, limits};

/// One listed peer. Its places are semaphores: who is dropped gives them back.
pub(super) struct PeerState {
    queue: Arc<Semaphore>,
    pub(super) fetches: Semaphore,
    pub(super) serves: Arc<Semaphore>,
    pub(super) matches_in: Arc<Semaphore>,
    pub(super) matches_out: Arc<Semaphore>,
    centre: AtomicBool,
    up: AtomicBool,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

impl PeerState {
    pub(super) fn new(kind: PeerKind) -> Self {
        Self {
            queue: Arc::new(Semaphore::new(limits::SEND_QUEUE)),
            fetches: Semaphore::new(limits::FETCHES_PER_PEER),
            serves: Arc::new(Semaphore::new(limits::STREAMS_PER_PEER)),
            matches_in: Arc::new(Semaphore::new(limits::MATCHES_PER_PEER)),
            matches_out: Arc::new(Semaphore::new(limits::MATCHES_OUT_PER_PEER)),
            centre: AtomicBool::new(kind == PeerKind::Centre),
            up: AtomicBool::new(false),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
        }
    }

    /// A place in the queue for a frame of `len` bytes, until the permit is dropped.
    pub(super) fn queue_place(&self, len: usize) -> Option<OwnedSemaphorePermit> {
        let charge = u32::try_from(len.saturating_add(limits::FRAME_OVERHEAD)).ok()?;
        Arc::clone(&self.queue).try_acquire_many_owned(charge).ok()
    }

    /// Whether it may send frames and bulk requests.
    pub(super) fn is_centre(&self) -> bool {
        self.centre.load(Ordering::Acquire)
    }

    fn set_kind(&self, kind: PeerKind) {
        self.centre
            .store(kind == PeerKind::Centre, Ordering::Release);
    }

    pub(super) fn is_up(&self) -> bool {
        self.up.load(Ordering::Acquire)
    }

    pub(super) fn set_up(&self, up: bool) {
        self.up.store(up, Ordering::Release);
    }

    pub(super) fn count_in(&self, bytes: usize) {
        count(&self.bytes_in, bytes);
    }

    pub(super) fn count_out(&self, bytes: usize) {
        count(&self.bytes_out, bytes);
    }

    fn traffic(&self) -> Traffic {
        Traffic {
            bytes_in: self.bytes_in.load(Ordering::Relaxed),
            bytes_out: self.bytes_out.load(Ordering::Relaxed),
        }
    }
}

fn count(counter: &AtomicU64, bytes: usize) {
    counter.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// The listed peers.
#[derive(Default)]
pub(super) struct Peers {
    listed: Mutex<BTreeMap<PeerId, Arc<PeerState>>>,
}

impl Peers {
    pub(super) fn find(&self, peer: &PeerId) -> Option<Arc<PeerState>> {
        self.lock().get(peer).cloned()
    }

    /// Lists exactly `kinds`, and calls `told` before anybody else can change the list: both then
    /// change in one order.
    pub(super) fn replace(&self, kinds: &BTreeMap<PeerId, PeerKind>, told: impl FnOnce()) {
        let mut listed = self.lock();
        listed.retain(|id, _| kinds.contains_key(id));
        for (id, kind) in kinds {
            listed
                .entry(*id)
                .and_modify(|state| state.set_kind(*kind))
                .or_insert_with(|| Arc::new(PeerState::new(*kind)));
        }
        told();
    }

    pub(super) fn traffic(&self) -> BTreeMap<PeerId, Traffic> {
        self.lock()
            .iter()
            .map(|(id, state)| (*id, state.traffic()))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PeerId, Arc<PeerState>>> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
