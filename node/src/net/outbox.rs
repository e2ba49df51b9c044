//! Events on their way to the application. Why: the swarm task must never wait for the application,
//! and a slow application must not cost memory. So events queue here, and an acknowledgement is due
//! only once its frame has left. In scope: order, merging and bounds. Out of scope: what causes an
//! event (`swarm`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use libp2p::{Multiaddr, PeerId, request_response::ResponseChannel};
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    time::Instant,
};

use super::{NetEvent, Refusal, limits};

enum Waiting {
    /// Tells whether the peer is up when its turn comes: a peer that flaps while nobody looks costs
    /// one place.
    State(PeerId),
    Frame {
        peer: PeerId,
        bytes: Vec<u8>,
        acknowledge: ResponseChannel<()>,
    },
    Undelivered(PeerId),
    Refused {
        peer: Option<PeerId>,
        why: Refusal,
    },
    Listening(Multiaddr),
}

/// A frame that the application has, and the acknowledgement due for it.
pub(super) struct Taken {
    pub(super) peer: PeerId,
    pub(super) bytes: usize,
    pub(super) acknowledge: ResponseChannel<()>,
}

pub(super) struct Outbox {
    events: mpsc::Sender<NetEvent>,
    waiting: VecDeque<Waiting>,
    frames: BTreeMap<PeerId, usize>,
    up: BTreeSet<PeerId>,
    told_up: BTreeSet<PeerId>,
    refusals: Allowance,
}

impl Outbox {
    pub(super) fn new(events: mpsc::Sender<NetEvent>) -> Self {
        Self {
            events,
            waiting: VecDeque::new(),
            frames: BTreeMap::new(),
            up: BTreeSet::new(),
            told_up: BTreeSet::new(),
            refusals: Allowance::full(),
        }
    }

    pub(super) fn up(&mut self, peer: PeerId) {
        if self.up.insert(peer) {
            self.tell_state(peer);
        }
    }

    /// Also forgets the frames of `peer` that wait: their sender knows that they were not
    /// acknowledged.
    pub(super) fn down(&mut self, peer: PeerId) {
        if self.up.remove(&peer) {
            self.waiting.retain(
                |waiting| !matches!(waiting, Waiting::Frame { peer: from, .. } if *from == peer),
            );
            self.frames.remove(&peer);
            self.tell_state(peer);
        }
    }

    /// Takes a frame over, or drops it with its acknowledgement if its peer has too many waiting.
    pub(super) fn frame(&mut self, peer: PeerId, bytes: Vec<u8>, acknowledge: ResponseChannel<()>) {
        let held = self.frames.entry(peer).or_default();
        if *held < limits::FRAMES_HELD_PER_PEER {
            *held += 1;
            self.waiting.push_back(Waiting::Frame {
                peer,
                bytes,
                acknowledge,
            });
        }
    }

    pub(super) fn undelivered(&mut self, peer: PeerId) {
        if !self
            .waiting
            .iter()
            .any(|waiting| matches!(waiting, Waiting::Undelivered(to) if *to == peer))
        {
            self.waiting.push_back(Waiting::Undelivered(peer));
        }
    }

    /// Tells of a refusal, unless too many were told of late.
    pub(super) fn refused(&mut self, peer: Option<PeerId>, why: Refusal) {
        if self.refusals.take(Instant::now()) {
            self.waiting.push_back(Waiting::Refused { peer, why });
        }
    }

    pub(super) fn listening(&mut self, address: Multiaddr) {
        self.waiting.push_back(Waiting::Listening(address));
    }

    /// Hands over what the application has room for. Returns the acknowledgements due and whether
    /// it still listens.
    pub(super) fn flush(&mut self) -> (Vec<Taken>, Audience) {
        let mut due = Vec::new();
        if self.events.is_closed() {
            return (due, Audience::Gone);
        }
        while !self.waiting.is_empty() {
            match self.events.clone().try_reserve_owned() {
                Ok(place) => {
                    if let Some(event) = self.next(&mut due) {
                        place.send(event);
                    }
                }
                Err(TrySendError::Full(_)) => break,
                Err(TrySendError::Closed(_)) => return (due, Audience::Gone),
            }
        }
        (due, Audience::Listening)
    }

    /// Waits for room, if anything waits for it, or for the application to leave. The next flush
    /// tells which.
    pub(super) async fn room(&self) {
        if self.waiting.is_empty() {
            self.events.closed().await;
        } else {
            drop(self.events.reserve().await);
        }
    }

    fn next(&mut self, due: &mut Vec<Taken>) -> Option<NetEvent> {
        match self.waiting.pop_front()? {
            Waiting::State(peer) => self.change_of(peer),
            Waiting::Frame {
                peer,
                bytes,
                acknowledge,
            } => {
                self.frames
                    .entry(peer)
                    .and_modify(|held| *held = held.saturating_sub(1));
                // Its sender has given it up already and may have sent it again.
                if !acknowledge.is_open() {
                    return None;
                }
                due.push(Taken {
                    peer,
                    bytes: bytes.len(),
                    acknowledge,
                });
                Some(NetEvent::Frame { peer, bytes })
            }
            Waiting::Undelivered(peer) => Some(NetEvent::Undelivered { peer }),
            Waiting::Refused { peer, why } => Some(NetEvent::Refused { peer, why }),
            Waiting::Listening(address) => Some(NetEvent::Listening(address)),
        }
    }

    fn change_of(&mut self, peer: PeerId) -> Option<NetEvent> {
        if self.up.contains(&peer) {
            self.told_up.insert(peer).then_some(NetEvent::Up(peer))
        } else {
            self.told_up.remove(&peer).then_some(NetEvent::Down(peer))
        }
    }

    fn tell_state(&mut self, peer: PeerId) {
        if !self
            .waiting
            .iter()
            .any(|waiting| matches!(waiting, Waiting::State(of) if *of == peer))
        {
            self.waiting.push_back(Waiting::State(peer));
        }
    }
}

/// Whether the application still holds its end of the event channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Audience {
    Listening,
    Gone,
}

/// A token bucket.
struct Allowance {
    left: u32,
    next_at: Instant,
}

impl Allowance {
    fn full() -> Self {
        Self {
            left: limits::REFUSALS_BURST,
            next_at: Instant::now(),
        }
    }

    fn take(&mut self, now: Instant) -> bool {
        while self.left < limits::REFUSALS_BURST && self.next_at <= now {
            self.left += 1;
            self.next_at += limits::REFUSALS_EVERY;
        }
        if self.left == 0 {
            return false;
        }
        if self.left == limits::REFUSALS_BURST {
            self.next_at = now + limits::REFUSALS_EVERY;
        }
        self.left -= 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_flood_of_refusals_is_told_in_bounded_number() {
        let (events, mut told) = mpsc::channel(limits::EVENTS);
        let mut outbox = Outbox::new(events);
        for _ in 0..10_000 {
            outbox.refused(None, Refusal::Unlisted);
        }
        outbox.flush();
        let mut count = 0;
        while let Ok(event) = told.try_recv() {
            assert!(matches!(event, NetEvent::Refused { .. }));
            count += 1;
        }
        let slack = 10;
        assert!(
            (limits::REFUSALS_BURST..limits::REFUSALS_BURST + slack).contains(&count),
            "told {count}"
        );
    }

    #[tokio::test]
    async fn a_spent_allowance_earns_one_refusal_per_pause_and_no_more_than_the_burst() {
        let mut allowance = Allowance::full();
        let start = Instant::now();
        let taken = |allowance: &mut Allowance, at| (0..100).filter(|_| allowance.take(at)).count();
        assert_eq!(taken(&mut allowance, start), 16);
        assert_eq!(taken(&mut allowance, start + Duration::from_secs(3)), 3);
        assert_eq!(taken(&mut allowance, start + Duration::from_secs(1000)), 16);
    }

    #[tokio::test]
    async fn a_peer_that_flaps_while_the_application_is_busy_takes_one_place() {
        let (events, mut told) = mpsc::channel(1);
        let mut outbox = Outbox::new(events);
        let peer = PeerId::random();
        for _ in 0..1000 {
            outbox.up(peer);
            outbox.undelivered(peer);
            outbox.down(peer);
        }
        outbox.up(peer);
        assert_eq!(outbox.waiting.len(), 2);
        outbox.flush();
        assert!(matches!(told.try_recv(), Ok(NetEvent::Up(up)) if up == peer));
        outbox.flush();
        assert!(matches!(told.try_recv(), Ok(NetEvent::Undelivered { peer: to }) if to == peer));
        outbox.down(peer);
        outbox.flush();
        assert!(matches!(told.try_recv(), Ok(NetEvent::Down(down)) if down == peer));
    }

    #[tokio::test]
    async fn an_application_that_left_is_noticed() {
        let (events, told) = mpsc::channel(1);
        let mut outbox = Outbox::new(events);
        drop(told);
        outbox.room().await;
        assert_eq!(outbox.flush().1, Audience::Gone);
    }
}
