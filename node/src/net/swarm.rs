//! The task that owns the swarm: it admits, dials, sends and hands over. Why: one owner needs no
//! locks, and it must never wait, so there is no disk and no hashing here. In scope: connections
//! and frames. Out of scope: bulk streams (`bulk`).

use std::{collections::BTreeMap, sync::Arc};

use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, Swarm, ping,
    request_response::{self, OutboundRequestId},
    swarm::{ConnectionId, DialError, SwarmEvent},
};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, oneshot},
    task::AbortHandle,
    time::{Instant, sleep_until, timeout},
};

use super::{
    NetEvent, Refusal,
    behaviour::{Behaviour, BehaviourEvent},
    codec::Inbound,
    dial, limits,
    link::{Fall, InFlight, Link, Queued},
    outbox::{Audience, Outbox},
    peers::Peers,
};

pub(super) enum Command {
    Send {
        peer: PeerId,
        frame: Vec<u8>,
        place: OwnedSemaphorePermit,
    },
    Peers(BTreeMap<PeerId, Vec<Multiaddr>>),
    Disconnect(PeerId),
    /// A member did what only centres may.
    Breach(PeerId),
    Shutdown(oneshot::Sender<()>),
}

/// Whether the task goes on.
enum Next {
    Continue,
    Stop(Option<oneshot::Sender<()>>),
}

pub(super) struct Driver {
    swarm: Swarm<Behaviour>,
    orders: mpsc::UnboundedReceiver<Command>,
    outbox: Outbox,
    peers: Arc<Peers>,
    links: BTreeMap<PeerId, Link>,
}

impl Driver {
    pub(super) fn new(
        swarm: Swarm<Behaviour>,
        orders: mpsc::UnboundedReceiver<Command>,
        events: mpsc::Sender<NetEvent>,
        peers: Arc<Peers>,
    ) -> Self {
        Self {
            swarm,
            orders,
            outbox: Outbox::new(events),
            peers,
            links: BTreeMap::new(),
        }
    }

    /// Runs until it is shut down, or nobody holds a handle or the events; then ends `tasks` as
    /// well.
    pub(super) async fn run(mut self, tasks: Vec<AbortHandle>) {
        let done = loop {
            dial::dial_due(&mut self.links, &mut self.swarm);
            if self.flush() == Audience::Gone {
                break None;
            }
            let wake_at = dial::wake_at(&self.links, &self.swarm);
            tokio::select! {
                order = self.orders.recv() => {
                    // Without an order there is no handle left to give one.
                    let next = order.map_or(Next::Stop(None), |order| self.obey(order));
                    if let Next::Stop(done) = next {
                        break done;
                    }
                }
                event = self.swarm.select_next_some() => self.on_event(event),
                () = self.outbox.room() => {}
                () = sleep_until(wake_at) => {}
            }
        };
        self.orders.close();
        tasks.iter().for_each(AbortHandle::abort);
        self.farewell().await;
        if let Some(done) = done {
            // Nobody waits if the caller was cancelled.
            let _ = done.send(());
        }
    }

    /// Hands events over, and acknowledges the frames among them.
    fn flush(&mut self) -> Audience {
        let (due, audience) = self.outbox.flush();
        for taken in due {
            if let Some(link) = self.links.get(&taken.peer) {
                link.state.count_in(taken.bytes);
            }
            // An error means that the connection has closed since.
            let _ = self
                .swarm
                .behaviour_mut()
                .control
                .send_response(taken.acknowledge, ());
        }
        audience
    }

    fn obey(&mut self, order: Command) -> Next {
        match order {
            Command::Send { peer, frame, place } => self.send(peer, frame, place),
            Command::Peers(listed) => self.list(listed),
            Command::Disconnect(peer) => self.penalise(peer),
            Command::Breach(peer) => self.breach(peer),
            Command::Shutdown(done) => return Next::Stop(Some(done)),
        }
        Next::Continue
    }

    fn send(&mut self, peer: PeerId, frame: Vec<u8>, place: OwnedSemaphorePermit) {
        match self.links.get_mut(&peer) {
            Some(link) if link.is_up() => {
                link.queue.push_back(Queued { frame, place });
                self.send_next(peer);
            }
            Some(_) | None => self.outbox.undelivered(peer),
        }
    }

    fn send_next(&mut self, peer: PeerId) {
        let Some(link) = self
            .links
            .get_mut(&peer)
            .filter(|link| link.in_flight.is_none())
        else {
            return;
        };
        let Some(Queued { frame, place }) = link.queue.pop_front() else {
            return;
        };
        // Only to a peer that is connected: the behaviour would dial, and we have the addresses.
        if !self.swarm.is_connected(&peer) {
            link.queue.clear();
            self.outbox.undelivered(peer);
            return;
        }
        let bytes = frame.len();
        let id = self
            .swarm
            .behaviour_mut()
            .control
            .send_request(&peer, Ok(frame));
        link.in_flight = Some(InFlight {
            id,
            bytes,
            _place: place,
        });
    }

    fn list(&mut self, mut listed: BTreeMap<PeerId, Vec<Multiaddr>>) {
        let removed: Vec<PeerId> = self
            .links
            .keys()
            .filter(|id| !listed.contains_key(id))
            .copied()
            .collect();
        for peer in removed {
            self.cut(peer);
            self.links.remove(&peer);
        }
        for (peer, link) in &mut self.links {
            let addresses = listed.remove(peer).unwrap_or_default();
            link.relist(addresses);
            self.swarm.behaviour_mut().allowed.allow_peer(*peer);
        }
        for (peer, addresses) in listed {
            // Unless the list has changed again: then the next order is about that.
            if let Some(state) = self.peers.find(&peer) {
                self.swarm.behaviour_mut().allowed.allow_peer(peer);
                self.links.insert(peer, Link::new(state, addresses));
            }
        }
    }

    fn penalise(&mut self, peer: PeerId) {
        if let Some(link) = self.links.get_mut(&peer) {
            link.penalty_until = Some(Instant::now() + limits::PENALTY);
            self.cut(peer);
        }
    }

    /// Tells of a member that did what only centres may, and disconnects it.
    fn breach(&mut self, peer: PeerId) {
        self.outbox.refused(Some(peer), Refusal::NotACentre);
        self.penalise(peer);
    }

    /// Refuses `peer` from here on: its connections close, and what they still bring is dropped.
    fn cut(&mut self, peer: PeerId) {
        self.swarm.behaviour_mut().allowed.disallow_peer(peer);
        if let Some(link) = self.links.get_mut(&peer) {
            let fall = link.cut();
            self.tell_fall(peer, fall);
        }
    }

    /// Tells that `peer` is down, and that what it had not acknowledged is lost.
    fn tell_fall(&mut self, peer: PeerId, fall: Fall) {
        self.outbox.down(peer);
        match fall {
            Fall::WithFrames => self.outbox.undelivered(peer),
            Fall::Clean => {}
        }
    }

    /// `peer` has answered on `connection`. Returns whether it may speak.
    fn prove(&mut self, peer: PeerId, connection: ConnectionId) -> bool {
        let proved = self
            .links
            .get_mut(&peer)
            .is_some_and(|link| link.prove(connection));
        if proved {
            self.outbox.up(peer);
        }
        proved
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour(event),
            SwarmEvent::ConnectionEstablished {
                peer_id,
                connection_id,
                ..
            } => self.on_opened(peer_id, connection_id),
            SwarmEvent::ConnectionClosed {
                peer_id,
                connection_id,
                ..
            } => self.on_closed(peer_id, connection_id),
            SwarmEvent::IncomingConnectionError { peer_id, error, .. } => {
                self.refuse(peer_id, Refusal::of_listen(&error))
            }
            SwarmEvent::OutgoingConnectionError {
                peer_id,
                connection_id,
                error,
            } => {
                self.on_dial_error(peer_id, connection_id, &error);
            }
            SwarmEvent::NewListenAddr { address, .. } => self.outbox.listening(address),
            SwarmEvent::ListenerClosed { reason, .. } => {
                tracing::warn!(kind = ?reason.err().map(|error| error.kind()), "a listener closed");
            }
            SwarmEvent::ListenerError { error, .. } => {
                tracing::warn!(kind = ?error.kind(), "a listener failed")
            }
            SwarmEvent::IncomingConnection { .. }
            | SwarmEvent::ExpiredListenAddr { .. }
            | SwarmEvent::Dialing { .. }
            | SwarmEvent::NewExternalAddrCandidate { .. }
            | SwarmEvent::ExternalAddrConfirmed { .. }
            | SwarmEvent::ExternalAddrExpired { .. }
            | SwarmEvent::NewExternalAddrOfPeer { .. } => {}
            // The enum may grow; what it grows by is none of our protocols.
            _ => {}
        }
    }

    fn on_behaviour(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Ping(ping::Event {
                peer,
                connection,
                result: Ok(_),
            }) => {
                self.prove(peer, connection);
            }
            BehaviourEvent::Ping(ping::Event {
                connection,
                result: Err(_),
                ..
            }) => {
                self.swarm.close_connection(connection);
            }
            BehaviourEvent::Control(event) => self.on_control(event),
            BehaviourEvent::Bulk(()) => {}
            BehaviourEvent::Allowed(never) | BehaviourEvent::Limits(never) => match never {},
        }
    }

    fn on_control(&mut self, event: request_response::Event<Inbound, ()>) {
        use request_response::{Event, Message};
        match event {
            Event::Message {
                peer,
                connection_id,
                message,
            } => match message {
                Message::Request {
                    request, channel, ..
                } => match request {
                    // Left unacknowledged.
                    Ok(_) | Err(_) if self.is_member(&peer) => self.breach(peer),
                    Ok(frame) if self.prove(peer, connection_id) => {
                        self.outbox.frame(peer, frame, channel)
                    }
                    // Left unacknowledged: what is still under way from a peer that was cut.
                    Ok(_) => {}
                    Err(breach) => self.outbox.refused(Some(peer), Refusal::Frame(breach)),
                },
                Message::Response { request_id, .. } => {
                    self.on_outcome(peer, request_id, Outcome::Taken)
                }
            },
            Event::OutboundFailure {
                peer, request_id, ..
            } => self.on_outcome(peer, request_id, Outcome::Lost),
            Event::InboundFailure { .. } | Event::ResponseSent { .. } => {}
        }
    }

    fn is_member(&self, peer: &PeerId) -> bool {
        let link = self.links.get(peer);
        link.is_some_and(|link| !link.state.is_centre())
    }

    fn on_outcome(&mut self, peer: PeerId, id: OutboundRequestId, outcome: Outcome) {
        let Some(link) = self.links.get_mut(&peer) else {
            return;
        };
        let Some(sent) = link.in_flight.take_if(|sent| sent.id == id) else {
            return;
        };
        match outcome {
            Outcome::Taken => {
                link.state.count_out(sent.bytes);
            }
            Outcome::Lost => self.outbox.undelivered(peer),
        }
        drop(sent);
        self.send_next(peer);
    }

    fn on_closed(&mut self, peer: PeerId, connection: ConnectionId) {
        let fall = self
            .links
            .get_mut(&peer)
            .and_then(|link| link.closed(connection));
        if let Some(fall) = fall {
            self.tell_fall(peer, fall);
        }
    }

    fn on_opened(&mut self, peer: PeerId, connection: ConnectionId) {
        if let Some(link) = self.links.get_mut(&peer) {
            link.opened(connection);
        }
    }

    fn on_dial_error(&mut self, peer: Option<PeerId>, connection: ConnectionId, error: &DialError) {
        if let Some(link) = peer.and_then(|peer| self.links.get_mut(&peer)) {
            link.dial_ended(connection);
        }
        self.refuse(peer, Refusal::of_dial(error));
    }

    fn refuse(&mut self, peer: Option<PeerId>, why: Option<Refusal>) {
        let listed = peer.is_some_and(|peer| self.links.contains_key(&peer));
        match why {
            // Whom the list of keys refuses and ours has, serves a penalty.
            Some(Refusal::Unlisted) if listed => self.outbox.refused(peer, Refusal::Penalised),
            Some(why) => self.outbox.refused(peer, why),
            None => {}
        }
    }

    /// Closes every connection, so that the peers need not find out. Over QUIC with much data under
    /// way they must all the same: the notice waits behind the data, and is lost; the idle timeout
    /// of 10 s then tells.
    async fn farewell(mut self) {
        let connected: Vec<PeerId> = self
            .links
            .keys()
            .copied()
            .filter(|peer| self.swarm.is_connected(peer))
            .collect();
        for peer in connected {
            self.cut(peer);
        }
        let closed = async {
            while self.swarm.network_info().num_peers() > 0 {
                self.swarm.select_next_some().await;
            }
        };
        // What is still open is cut when the swarm is dropped.
        let _ = timeout(limits::FAREWELL, closed).await;
    }
}

/// What became of a frame.
#[derive(Clone, Copy)]
enum Outcome {
    Taken,
    Lost,
}
