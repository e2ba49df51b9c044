//! What the swarm task knows about one listed peer: its connections, its dials, its frames. Why:
//! the rules of when a peer is up, and when it is dialled, fit on one page. In scope: state. Out of
//! scope: acting on it (`swarm`).

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use libp2p::{Multiaddr, request_response::OutboundRequestId, swarm::ConnectionId};
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use super::{limits, pause::jittered, peers::PeerState};

/// A frame and its place in its peer's queue, held until its outcome is known.
pub(super) struct Queued {
    pub(super) frame: Vec<u8>,
    pub(super) place: OwnedSemaphorePermit,
}

pub(super) struct InFlight {
    pub(super) id: OutboundRequestId,
    pub(super) bytes: usize,
    pub(super) _place: OwnedSemaphorePermit,
}

/// Whether frames were lost when a peer went down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fall {
    WithFrames,
    Clean,
}

pub(super) struct Link {
    pub(super) state: Arc<PeerState>,
    pub(super) addresses: Vec<Multiaddr>,
    pub(super) dialling: Option<ConnectionId>,
    pub(super) dial_at: Instant,
    pub(super) penalty_until: Option<Instant>,
    pub(super) queue: VecDeque<Queued>,
    /// One at a time: frames then arrive in the order of sending.
    pub(super) in_flight: Option<InFlight>,
    pause: Duration,
    open: BTreeSet<ConnectionId>,
    /// Those of the open connections on which the peer has answered. It is up while there is one: a
    /// dialler sees a connection open before it sees that the other side does not admit it.
    proved: BTreeSet<ConnectionId>,
}

impl Link {
    pub(super) fn new(state: Arc<PeerState>, addresses: Vec<Multiaddr>) -> Self {
        Self {
            state,
            addresses,
            dialling: None,
            dial_at: Instant::now(),
            penalty_until: None,
            queue: VecDeque::new(),
            in_flight: None,
            pause: limits::DIAL_FIRST,
            open: BTreeSet::new(),
            proved: BTreeSet::new(),
        }
    }

    pub(super) fn is_up(&self) -> bool {
        !self.proved.is_empty()
    }

    pub(super) fn waits_for_dial(&self, connected: bool) -> bool {
        !connected
            && self.penalty_until.is_none()
            && self.dialling.is_none()
            && !self.addresses.is_empty()
    }

    fn dial_now(&mut self) {
        self.pause = limits::DIAL_FIRST;
        self.dial_at = Instant::now();
    }

    /// The next dial comes after a pause, and the one after that later still.
    pub(super) fn dial_later(&mut self) {
        self.dial_at = Instant::now() + jittered(self.pause);
        self.pause = self.pause.saturating_mul(2).min(limits::DIAL_LONGEST);
    }

    pub(super) fn dial_ended(&mut self, connection: ConnectionId) {
        self.dialling.take_if(|dialling| *dialling == connection);
    }

    pub(super) fn relist(&mut self, addresses: Vec<Multiaddr>) {
        if self.addresses != addresses {
            self.dial_now();
        }
        self.addresses = addresses;
        self.pardon();
    }

    pub(super) fn pardon(&mut self) {
        if self.penalty_until.take().is_some() {
            self.dial_now();
        }
    }

    pub(super) fn opened(&mut self, connection: ConnectionId) {
        self.dial_ended(connection);
        self.open.insert(connection);
    }

    /// The peer has answered on `connection`. Returns whether it may speak: not on one that is
    /// closed or was cut.
    pub(super) fn prove(&mut self, connection: ConnectionId) -> bool {
        if !self.open.contains(&connection) {
            return false;
        }
        if self.proved.insert(connection) {
            self.pause = limits::DIAL_FIRST;
            self.state.set_up(true);
        }
        true
    }

    /// Returns how the peer fell, if this was its last proved connection.
    pub(super) fn closed(&mut self, connection: ConnectionId) -> Option<Fall> {
        if self.dial_at <= Instant::now() {
            self.dial_later();
        }
        self.open.remove(&connection);
        (self.proved.remove(&connection) && self.proved.is_empty()).then(|| self.fall())
    }

    /// Disowns every connection; the caller closes them.
    pub(super) fn cut(&mut self) -> Fall {
        self.open.clear();
        self.proved.clear();
        self.fall()
    }

    fn fall(&mut self) -> Fall {
        self.state.set_up(false);
        let lost = !self.queue.is_empty() || self.in_flight.is_some();
        self.queue.clear();
        self.in_flight = None;
        if lost { Fall::WithFrames } else { Fall::Clean }
    }
}
