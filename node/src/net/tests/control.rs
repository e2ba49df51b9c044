//! Frames: there and back, in order, within bounds.

use futures::{AsyncRead, AsyncWrite, AsyncWriteExt, StreamExt};
use libp2p::{
    StreamProtocol, Swarm, SwarmBuilder, ping,
    request_response::{self, ProtocolSupport},
    swarm::{NetworkBehaviour, SwarmEvent},
};

use super::*;

async fn frames_travel_both_ways(listen: &str) {
    let (mut server, mut client) = pair(&[listen]).await;
    let large = pattern(b"large", limits::MAX_FRAME);
    client.net.send(server.id(), large.clone()).unwrap();
    assert_eq!(server.frame_from(client.id()).await, large);
    server.net.send(client.id(), Vec::new()).unwrap();
    assert_eq!(client.frame_from(server.id()).await, Vec::<u8>::new());
    server
        .net
        .send(client.id(), b"over to you".to_vec())
        .unwrap();
    assert_eq!(client.frame_from(server.id()).await, b"over to you");

    let expected = Traffic {
        bytes_in: limits::MAX_FRAME as u64,
        bytes_out: 11,
    };
    // The last frame counts once its acknowledgement is back, and that is before the next frame
    // leaves.
    server.net.send(client.id(), Vec::new()).unwrap();
    client.frame_from(server.id()).await;
    assert_eq!(server.net.traffic()[&client.id()], expected);
}

#[tokio::test]
async fn frames_travel_both_ways_over_quic() {
    frames_travel_both_ways(QUIC).await;
}

#[tokio::test]
async fn frames_travel_both_ways_over_tcp_alone() {
    frames_travel_both_ways(TCP).await;
}

#[tokio::test]
async fn frames_arrive_in_the_order_of_sending() {
    let (mut server, client) = pair(&[QUIC, TCP]).await;
    for number in 0u32..300 {
        client
            .net
            .send(server.id(), number.to_be_bytes().to_vec())
            .unwrap();
    }
    for number in 0u32..300 {
        assert_eq!(server.frame_from(client.id()).await, number.to_be_bytes());
    }
}

#[tokio::test]
async fn a_receiver_that_does_not_listen_fills_the_senders_queue_and_loses_nothing() {
    let (mut server, client) = pair(&[QUIC]).await;
    // What the event channel holds, and what the queue holds beside it.
    let total = limits::EVENTS + limits::SEND_QUEUE / (limits::FRAME_OVERHEAD + 4);
    let mut accepted = 0;
    while accepted < total {
        match client.net.send(
            server.id(),
            u32::try_from(accepted).unwrap().to_be_bytes().to_vec(),
        ) {
            Ok(()) => accepted += 1,
            Err(SendError::Full { peer }) => {
                assert_eq!(peer, server.id());
                tokio::task::yield_now().await;
            }
            Err(other) => panic!("{other}"),
        }
    }
    for number in 0..total {
        assert_eq!(
            server.frame_from(client.id()).await,
            u32::try_from(number).unwrap().to_be_bytes()
        );
    }
}

#[tokio::test]
async fn an_oversize_frame_is_refused_at_the_sender() {
    let (server, client) = pair(&[QUIC]).await;
    let got = limits::MAX_FRAME + 1;
    let refused = client.net.send(server.id(), vec![0; got]);
    assert_eq!(
        refused,
        Err(SendError::TooLarge {
            max: limits::MAX_FRAME,
            got
        })
    );
}

#[tokio::test]
async fn a_frame_to_a_peer_that_is_not_up_is_undelivered() {
    let mut node = Node::start(1, &[]).await;
    let absent = Node::start(2, &[]).await;
    node.net.set_peers(vec![absent.as_caller()]);
    node.net.send(absent.id(), vec![1]).unwrap();
    assert_eq!(
        node.next().await,
        NetEvent::Undelivered { peer: absent.id() }
    );
}

/// Writes its requests to the stream as they are, length prefix and all.
#[derive(Clone, Default)]
struct Raw;

impl request_response::Codec for Raw {
    type Protocol = StreamProtocol;
    type Request = Vec<u8>;
    type Response = ();

    async fn read_request<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        _: &mut T,
    ) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn read_response<T: AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<()> {
        codec::read_u32(io).await.map(drop)
    }

    async fn write_request<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        raw: Vec<u8>,
    ) -> io::Result<()> {
        io.write_all(&raw).await
    }

    async fn write_response<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        _: &mut T,
        (): (),
    ) -> io::Result<()> {
        Ok(())
    }
}

#[derive(NetworkBehaviour)]
struct Misbehaviour {
    control: request_response::Behaviour<Raw>,
    ping: ping::Behaviour,
}

fn misbehaving(name: u8) -> Swarm<Misbehaviour> {
    SwarmBuilder::with_existing_identity(Keypair::ed25519_from_bytes([name; 32]).unwrap())
        .with_tokio()
        .with_quic()
        .with_behaviour(|_| Misbehaviour {
            control: request_response::Behaviour::with_codec(
                Raw,
                [(codec::CONTROL, ProtocolSupport::Full)],
                request_response::Config::default(),
            ),
            ping: ping::Behaviour::default(),
        })
        .unwrap()
        .with_swarm_config(|swarm| swarm.with_idle_connection_timeout(PATIENCE))
        .build()
}

/// A node, and a listed peer that is connected to it and sends raw bytes from its own task.
async fn node_and_misbehaving_peer() -> (Node, PeerId, mpsc::UnboundedSender<Vec<u8>>) {
    let mut node = Node::start(1, &[QUIC]).await;
    let mut swarm = misbehaving(9);
    let (peer, target) = (*swarm.local_peer_id(), node.id());
    node.net.set_peers(vec![Peer {
        id: peer,
        kind: PeerKind::Centre,
        addresses: Vec::new(),
    }]);
    let (raw, mut orders) = mpsc::unbounded_channel::<Vec<u8>>();
    swarm
        .dial(node.addresses[0].clone().with_p2p(target).unwrap())
        .unwrap();
    tokio::spawn(async move {
        while !matches!(
            swarm.select_next_some().await,
            SwarmEvent::ConnectionEstablished { .. }
        ) {}
        loop {
            tokio::select! {
                order = orders.recv() => {
                    let Some(bytes) = order else { return };
                    swarm.behaviour_mut().control.send_request(&target, bytes);
                }
                _ = swarm.select_next_some() => {}
            }
        }
    });
    node.until_event(NetEvent::Up(peer)).await;
    (node, peer, raw)
}

fn framed(length: u32, bytes: &[u8]) -> Vec<u8> {
    [&length.to_be_bytes(), bytes].concat()
}

#[tokio::test]
async fn a_length_past_the_limit_is_refused_by_the_receiver_and_costs_the_next_frame_nothing() {
    let (mut node, peer, raw) = node_and_misbehaving_peer().await;
    for length in [u32::try_from(limits::MAX_FRAME).unwrap() + 1, u32::MAX] {
        raw.send(framed(length, b"")).unwrap();
        let why = Refusal::Frame(FrameError::TooLarge {
            max: limits::MAX_FRAME,
            got: length.into(),
        });
        assert_eq!(
            node.next().await,
            NetEvent::Refused {
                peer: Some(peer),
                why
            }
        );
    }
    raw.send(framed(2, b"ok")).unwrap();
    assert_eq!(
        node.next().await,
        NetEvent::Frame {
            peer,
            bytes: b"ok".to_vec()
        }
    );
}

#[tokio::test]
async fn bytes_after_a_frame_refuse_it() {
    let (mut node, peer, raw) = node_and_misbehaving_peer().await;
    raw.send(framed(2, b"ok and more")).unwrap();
    let why = Refusal::Frame(FrameError::Trailing);
    assert_eq!(
        node.next().await,
        NetEvent::Refused {
            peer: Some(peer),
            why
        }
    );
}

#[tokio::test]
async fn a_frame_that_ends_early_is_dropped() {
    let (mut node, peer, raw) = node_and_misbehaving_peer().await;
    raw.send(framed(100, b"short")).unwrap();
    raw.send(framed(4, b"next")).unwrap();
    assert_eq!(
        node.next().await,
        NetEvent::Frame {
            peer,
            bytes: b"next".to_vec()
        }
    );
}

#[tokio::test]
async fn the_codec_writes_no_oversize_frame() {
    let mut written = futures::io::Cursor::new(Vec::new());
    let frame = Ok(vec![0; limits::MAX_FRAME + 1]);
    let error = request_response::Codec::write_request(
        &mut codec::ControlCodec,
        &codec::CONTROL,
        &mut written,
        frame,
    )
    .await
    .unwrap_err();
    let got = limits::MAX_FRAME as u64 + 1;
    let error = error.get_ref().unwrap().downcast_ref::<FrameError>();
    assert_eq!(
        error,
        Some(&FrameError::TooLarge {
            max: limits::MAX_FRAME,
            got
        })
    );
    assert_eq!(written.into_inner(), Vec::<u8>::new());
}
