//! The network layer over real sockets on 127.0.0.1.

mod bulk;
mod control;
mod matches;
mod peers;

use std::{io, sync::Arc, time::Duration};

use libp2p::multiaddr::Protocol;
use tokio::{sync::mpsc, time::timeout};

use super::*;

pub(crate) const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";
pub(crate) const TCP: &str = "/ip4/127.0.0.1/tcp/0";

/// Generous, because a loaded machine is no failure.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Node {
    pub(crate) net: Net,
    pub(crate) events: mpsc::Receiver<NetEvent>,
    pub(crate) addresses: Vec<Multiaddr>,
}

impl Node {
    pub(crate) async fn start(name: u8, listen: &[&str]) -> Self {
        Self::start_with(name, listen, Arc::new(Patterns)).await
    }

    pub(crate) async fn start_with(name: u8, listen: &[&str], source: Arc<dyn BulkSource>) -> Self {
        Self::start_full(name, listen, source, None).await
    }

    pub(crate) async fn start_full(
        name: u8,
        listen: &[&str],
        source: Arc<dyn BulkSource>,
        matches: Option<Arc<dyn MatchService>>,
    ) -> Self {
        let listen: Vec<Multiaddr> = listen.iter().map(|text| text.parse().unwrap()).collect();
        let expected = listen.len();
        let config = NetConfig {
            seed: [name; 32].into(),
            listen,
            peers: Vec::new(),
        };
        let (net, events) = start(config, source, matches).unwrap();
        let mut node = Self {
            net,
            events,
            addresses: Vec::new(),
        };
        for _ in 0..expected {
            let address = node
                .until(|event| {
                    let NetEvent::Listening(address) = event else {
                        return None;
                    };
                    Some(address.clone())
                })
                .await;
            node.addresses.push(address);
        }
        node
    }

    pub(crate) fn id(&self) -> PeerId {
        self.net.local_peer()
    }

    pub(crate) fn as_peer(&self) -> Peer {
        Peer {
            id: self.id(),
            kind: PeerKind::Centre,
            addresses: self.addresses.clone(),
        }
    }

    /// Listed, but not to be dialled.
    pub(crate) fn as_caller(&self) -> Peer {
        Peer {
            id: self.id(),
            kind: PeerKind::Centre,
            addresses: Vec::new(),
        }
    }

    pub(crate) async fn next(&mut self) -> NetEvent {
        timeout(PATIENCE, self.events.recv())
            .await
            .expect("an event in time")
            .expect("the network runs")
    }

    /// Drops events until `wanted` finds what it looks for.
    pub(crate) async fn until<T>(&mut self, mut wanted: impl FnMut(&NetEvent) -> Option<T>) -> T {
        loop {
            let event = self.next().await;
            if let Some(found) = wanted(&event) {
                return found;
            }
        }
    }

    pub(crate) async fn until_event(&mut self, expected: NetEvent) {
        self.until(|event| (*event == expected).then_some(())).await;
    }

    pub(crate) async fn frame_from(&mut self, from: PeerId) -> Vec<u8> {
        self.until(|event| {
            let NetEvent::Frame { peer, bytes } = event else {
                return None;
            };
            (*peer == from).then(|| bytes.clone())
        })
        .await
    }
}

/// Two nodes that listen as told and list each other; only the second dials.
pub(crate) async fn pair(listen: &[&str]) -> (Node, Node) {
    let mut server = Node::start(1, listen).await;
    let mut client = Node::start(2, listen).await;
    join(&mut server, &mut client).await;
    (server, client)
}

pub(crate) async fn join(server: &mut Node, client: &mut Node) {
    server.net.set_peers(vec![client.as_caller()]);
    client.net.set_peers(vec![server.as_peer()]);
    client.until_event(NetEvent::Up(server.id())).await;
    server.until_event(NetEvent::Up(client.id())).await;
}

/// The bytes that `request` stands for.
pub(crate) fn pattern(request: &[u8], len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new()
        .update(request)
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

/// Requests: a verb and a length in KiB (u16 big-endian), and whatever makes the answer its own.
pub(crate) fn request(verb: u8, kib: u16, own: u8) -> Vec<u8> {
    let mut request = vec![verb];
    request.extend(kib.to_be_bytes());
    request.push(own);
    request
}

pub(crate) const GIVE: u8 = b'g';
pub(crate) const BREAK_OFF: u8 = b'b';
pub(crate) const REFUSE: u8 = b'r';
pub(crate) const REFUSE_WITH_ZERO: u8 = b'z';

pub(crate) struct Patterns;

struct PatternRead {
    left: std::vec::IntoIter<Vec<u8>>,
    breaks: bool,
}

impl BulkSource for Patterns {
    fn open(&self, _: PeerId, request: &[u8]) -> Result<Box<dyn BulkRead>, u8> {
        match request[0] {
            REFUSE => return Err(7),
            REFUSE_WITH_ZERO => return Err(0),
            _ => {}
        }
        let len = usize::from(u16::from_be_bytes([request[1], request[2]])) * 1024;
        let chunks: Vec<Vec<u8>> = pattern(request, len)
            .chunks(limits::MAX_CHUNK)
            .map(Vec::from)
            .collect();
        Ok(Box::new(PatternRead {
            left: chunks.into_iter(),
            breaks: request[0] == BREAK_OFF,
        }))
    }
}

impl BulkRead for PatternRead {
    fn next_chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        match self.left.next() {
            None if self.breaks => Err(io::ErrorKind::Other.into()),
            next => Ok(next),
        }
    }
}

pub(crate) fn is_quic(address: &Multiaddr) -> bool {
    address.iter().any(|part| part == Protocol::QuicV1)
}
