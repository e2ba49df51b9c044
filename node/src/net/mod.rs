//! How a node's bytes travel: authenticated connections to listed peers, control frames, bulk
//! transfers, match streams. Why: the core decides what is said, and nothing here needs to know it.
//! Spec: `/hashpact/control/1` (`codec`), `/hashpact/bulk/1` (`bulk`), `/hashpact/match/1`
//! (`matches`); bounds in `limits`. In scope: transports, admission by key, dialling, backpressure.
//! Out of scope: messages, rosters, the disk.

mod behaviour;
mod bulk;
mod codec;
mod dial;
pub mod limits;
mod link;
mod matches;
mod outbox;
mod pause;
mod peers;
mod refusal;
mod swarm;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, io, sync::Arc};

use libp2p::{
    TransportError,
    identity::{DecodingError, Keypair, PublicKey, ed25519},
    noise,
};
use tokio::sync::{mpsc, oneshot};
use zeroize::{Zeroize, Zeroizing};

pub use bulk::{BulkRead, BulkSource, FetchError, REFUSED_UNSPECIFIED};
pub use codec::FrameError;
pub use libp2p::{Multiaddr, PeerId};
pub use matches::{MatchService, MatchStream, OpenMatchError};
pub use refusal::Refusal;

use peers::Peers;
use swarm::{Command, Driver};

/// What a listed peer may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PeerKind {
    /// Match streams alone. One that sends a frame or a bulk request is disconnected.
    Member,
    /// Everything.
    Centre,
}

/// Somebody who may connect, and where to dial them. Without an address they are waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    pub id: PeerId,
    pub kind: PeerKind,
    /// `/ip4|ip6/../udp/../quic-v1` or `/ip4|ip6/../tcp/..`, at most 8.
    pub addresses: Vec<Multiaddr>,
}

/// How a node starts.
pub struct NetConfig {
    /// The secret half of the ed25519 node key; wiped when dropped, whatever comes of the start.
    pub seed: Zeroizing<[u8; 32]>,
    pub listen: Vec<Multiaddr>,
    pub peers: Vec<Peer>,
}

/// What happens on the network. Order holds per peer.
#[derive(Debug, PartialEq, Eq)]
pub enum NetEvent {
    /// The first connection stands and the peer answers on it, so that it admits us too.
    Up(PeerId),
    /// No connection is left. Frames of this peer come only between `Up` and `Down`.
    Down(PeerId),
    /// A frame, in the order of sending. It is acknowledged as it enters the event channel.
    Frame {
        peer: PeerId,
        bytes: Vec<u8>,
    },
    Listening(Multiaddr),
    /// A connection or a frame was refused. A burst of these is told in part.
    Refused {
        peer: Option<PeerId>,
        why: Refusal,
    },
    /// One or more frames to this peer were not acknowledged; they may have arrived.
    Undelivered {
        peer: PeerId,
    },
}

/// Payload bytes exchanged with one peer since it was listed: acknowledged frames, bulk chunks and
/// match streams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    pub bytes_in: u64,
    pub bytes_out: u64,
}

/// Why the network did not start.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    #[error("the network needs a tokio runtime")]
    NoRuntime,
    #[error("the node key is no ed25519 key")]
    Key(#[source] DecodingError),
    #[error("the Noise handshake cannot be set up")]
    Noise(#[source] noise::Error),
    #[error("a protocol is taken")]
    Protocol,
    #[error("cannot listen on {address}")]
    Listen {
        address: Multiaddr,
        source: TransportError<io::Error>,
    },
}

/// Why a frame was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    #[error("frame: at most {max} bytes, got {got}")]
    TooLarge { max: usize, got: usize },
    #[error("{peer} is not listed")]
    Unlisted { peer: PeerId },
    #[error("the queue for {peer} is full")]
    Full { peer: PeerId },
    #[error("the network is shut down")]
    Closed,
}

/// A handle on the network; clones share it. The network ends with the last handle, or when the
/// events are dropped.
#[derive(Clone)]
pub struct Net {
    local: PeerId,
    // Unbounded, yet bounded: every frame in it holds a place of its peer's queue, the rest are the
    // operator's few commands.
    commands: mpsc::UnboundedSender<Command>,
    peers: Arc<Peers>,
    streams: libp2p_stream::Control,
}

/// The libp2p identity of an ed25519 public key of 32 bytes; `None` if the bytes are no point.
#[must_use]
pub fn peer_id_of(ed25519_public: &[u8; 32]) -> Option<PeerId> {
    let key = ed25519::PublicKey::try_from_bytes(ed25519_public).ok()?;
    Some(PeerId::from_public_key(&PublicKey::from(key)))
}

/// Starts listening and dialling, on tasks of the tokio runtime of the caller. Without `matches`
/// nobody can open a match stream to this node.
///
/// # Errors
/// [`NetError`]: no runtime, a key that is none, or an address that cannot be listened on.
pub fn start(
    mut config: NetConfig,
    source: Arc<dyn BulkSource>,
    matches: Option<Arc<dyn MatchService>>,
) -> Result<(Net, mpsc::Receiver<NetEvent>), NetError> {
    tokio::runtime::Handle::try_current().map_err(|_| NetError::NoRuntime)?;
    let node_key = Keypair::ed25519_from_bytes(&mut *config.seed);
    config.seed.zeroize();
    let mut swarm = behaviour::swarm(node_key.map_err(NetError::Key)?).map_err(NetError::Noise)?;
    let mut control = swarm.behaviour().bulk.new_control();
    // Before the first connection, whose handler learns then which protocols there are.
    let taken = |_| NetError::Protocol;
    let incoming = control.accept(bulk::BULK).map_err(taken)?;
    let matches = match matches {
        Some(service) => Some((control.accept(matches::MATCH).map_err(taken)?, service)),
        None => None,
    };
    for address in config.listen {
        swarm
            .listen_on(address.clone())
            .map_err(|source| NetError::Listen { address, source })?;
    }
    let peers = Arc::new(Peers::default());
    let (commands, orders) = mpsc::unbounded_channel();
    let (events, told) = mpsc::channel(limits::EVENTS);
    let net = Net {
        local: *swarm.local_peer_id(),
        commands,
        peers: Arc::clone(&peers),
        streams: control,
    };
    net.set_peers(config.peers);
    // Weak, so that the network still ends with the last handle.
    let breaches = net.commands.downgrade();
    let bulk_task = tokio::spawn(bulk::serve(incoming, Arc::clone(&peers), source, breaches));
    let mut tasks = vec![bulk_task.abort_handle()];
    if let Some((incoming, service)) = matches {
        let task = tokio::spawn(matches::serve(incoming, Arc::clone(&peers), service));
        tasks.push(task.abort_handle());
    }
    tokio::spawn(Driver::new(swarm, orders, events, peers).run(tasks));
    Ok((net, told))
}

impl Net {
    /// This node's own identity.
    #[must_use]
    pub fn local_peer(&self) -> PeerId {
        self.local
    }

    /// Queues a frame of at most [`limits::MAX_FRAME`] bytes. A peer that is not up makes it
    /// [`NetEvent::Undelivered`].
    ///
    /// # Errors
    /// [`SendError`]; nothing was queued then.
    pub fn send(&self, peer: PeerId, frame: Vec<u8>) -> Result<(), SendError> {
        if frame.len() > limits::MAX_FRAME {
            return Err(SendError::TooLarge {
                max: limits::MAX_FRAME,
                got: frame.len(),
            });
        }
        let state = self.peers.find(&peer).ok_or(SendError::Unlisted { peer })?;
        if self.commands.is_closed() {
            return Err(SendError::Closed);
        }
        let place = state
            .queue_place(frame.len())
            .ok_or(SendError::Full { peer })?;
        self.commands
            .send(Command::Send { peer, frame, place })
            .map_err(|_| SendError::Closed)
    }

    /// Admits and dials exactly these peers, and closes the connections of all others. Ends every
    /// penalty. Who is listed twice may do what either kind may.
    pub fn set_peers(&self, peers: Vec<Peer>) {
        let mut listed: BTreeMap<PeerId, Vec<Multiaddr>> = BTreeMap::new();
        let mut kinds: BTreeMap<PeerId, PeerKind> = BTreeMap::new();
        for peer in peers.into_iter().filter(|peer| peer.id != self.local) {
            let addresses = listed.entry(peer.id).or_default();
            addresses.extend(peer.addresses);
            addresses.truncate(limits::ADDRESSES_PER_PEER);
            let kind = kinds.entry(peer.id).or_insert(peer.kind);
            *kind = peer.kind.max(*kind);
        }
        self.peers.replace(&kinds, || {
            // A network that is shut down has nobody to tell.
            drop(self.commands.send(Command::Peers(listed)));
        });
    }

    /// Closes the connections of `peer`, and neither dials nor admits it for [`limits::PENALTY`] or
    /// until the next list.
    pub fn disconnect(&self, peer: PeerId) {
        drop(self.commands.send(Command::Disconnect(peer)));
    }

    /// Fetches what `request` (at most [`limits::MAX_BULK_REQUEST`] bytes) names: at most `limit`
    /// bytes.
    ///
    /// # Errors
    /// [`FetchError`]; what had come is dropped then.
    pub async fn fetch(
        &self,
        peer: PeerId,
        request: Vec<u8>,
        limit: usize,
    ) -> Result<Vec<u8>, FetchError> {
        let state = self.peers.find(&peer).ok_or(FetchError::Unreachable)?;
        bulk::fetch(self.streams.clone(), peer, &state, &request, limit).await
    }

    /// Opens a match stream to a peer that is up; waits for a place among ours to it, which is free
    /// again when the stream is dropped.
    ///
    /// # Errors
    /// [`OpenMatchError`].
    pub async fn open_match(&self, peer: PeerId) -> Result<MatchStream, OpenMatchError> {
        let state = self.peers.find(&peer).ok_or(OpenMatchError::Unreachable)?;
        matches::open(self.streams.clone(), peer, state).await
    }

    /// Payload bytes per listed peer, since it was listed.
    #[must_use]
    pub fn traffic(&self) -> BTreeMap<PeerId, Traffic> {
        self.peers.traffic()
    }

    /// Closes every connection and ends the tasks; returns when that is done.
    pub async fn shutdown(&self) {
        let (done, ended) = oneshot::channel();
        if self.commands.send(Command::Shutdown(done)).is_ok() {
            // An error means that the task had ended already.
            let _ = ended.await;
        }
    }
}
