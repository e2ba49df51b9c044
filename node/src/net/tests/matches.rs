//! Match streams: for centres and members, and all that a member may do.

use futures::{AsyncReadExt, AsyncWriteExt, future::BoxFuture};

use super::*;

/// Sends back what comes.
struct Echo;

impl MatchService for Echo {
    fn serve(&self, _: PeerId, stream: MatchStream) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let (mut read, mut write) = stream.split();
            let mut buffer = [0; 1024];
            while let Ok(len) = read.read(&mut buffer).await {
                if len == 0 || write.write_all(&buffer[..len]).await.is_err() {
                    break;
                }
                let _ = write.flush().await;
            }
            let _ = write.close().await;
        })
    }
}

fn member(node: &Node) -> Peer {
    Peer {
        kind: PeerKind::Member,
        ..node.as_caller()
    }
}

/// A centre that answers match streams, and a member of it.
async fn centre_and_member(listen: &[&str]) -> (Node, Node) {
    let echo: Arc<dyn MatchService> = Arc::new(Echo);
    let mut centre = Node::start_full(1, listen, Arc::new(Patterns), Some(echo)).await;
    let mut client = Node::start(2, &[]).await;
    centre.net.set_peers(vec![member(&client)]);
    client.net.set_peers(vec![centre.as_peer()]);
    client.until_event(NetEvent::Up(centre.id())).await;
    centre.until_event(NetEvent::Up(client.id())).await;
    (centre, client)
}

async fn echoed(client: &Node, centre: PeerId) {
    let mut stream = client.net.open_match(centre).await.unwrap();
    let sent = pattern(b"match", 300_000);
    let (mut read, mut write) = AsyncReadExt::split(&mut stream);
    let send = async {
        write.write_all(&sent).await.unwrap();
        write.close().await.unwrap();
    };
    let mut got = Vec::new();
    let receive = async { read.read_to_end(&mut got).await.unwrap() };
    futures::join!(send, receive);
    assert!(got == sent);
}

#[tokio::test]
async fn a_member_talks_both_ways_on_a_match_stream_and_its_bytes_are_counted() {
    for listen in [QUIC, TCP] {
        let (centre, client) = centre_and_member(&[listen]).await;
        echoed(&client, centre.id()).await;
        let traffic = centre.net.traffic()[&client.id()];
        assert_eq!((traffic.bytes_in, traffic.bytes_out), (300_000, 300_000));
    }
}

#[tokio::test]
async fn a_member_that_sends_a_control_frame_is_disconnected_and_the_frame_is_not_taken() {
    let (mut centre, client) = centre_and_member(&[QUIC]).await;
    client.net.send(centre.id(), vec![1, 2, 3]).unwrap();
    let why = Refusal::NotACentre;
    let peer = Some(client.id());
    assert_eq!(centre.next().await, NetEvent::Refused { peer, why });
    assert_eq!(centre.next().await, NetEvent::Down(client.id()));
}

#[tokio::test]
async fn a_member_that_asks_for_a_bulk_transfer_gets_nothing_and_is_disconnected() {
    let (mut centre, client) = centre_and_member(&[QUIC]).await;
    let answer = client.net.fetch(centre.id(), request(GIVE, 1, 0), 1 << 20);
    assert_eq!(answer.await, Err(FetchError::Unreachable));
    let why = Refusal::NotACentre;
    let peer = Some(client.id());
    assert_eq!(centre.next().await, NetEvent::Refused { peer, why });
    centre.until_event(NetEvent::Down(client.id())).await;
}

#[tokio::test]
async fn a_member_that_becomes_a_centre_may_send() {
    let (mut centre, client) = centre_and_member(&[QUIC]).await;
    centre
        .net
        .set_peers(vec![member(&client), client.as_caller()]);
    client.net.send(centre.id(), vec![7]).unwrap();
    assert_eq!(centre.frame_from(client.id()).await, [7]);
}

#[tokio::test]
async fn a_node_without_a_service_speaks_no_match_protocol() {
    let (server, client) = pair(&[QUIC]).await;
    let opened = client.net.open_match(server.id()).await;
    assert_eq!(opened.err(), Some(OpenMatchError::Unsupported));
    let nobody = PeerId::random();
    let opened = client.net.open_match(nobody).await;
    assert_eq!(opened.err(), Some(OpenMatchError::Unreachable));
}

/// Holds every stream and never reads.
struct Silent;

impl MatchService for Silent {
    fn serve(&self, _: PeerId, stream: MatchStream) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            std::future::pending::<()>().await;
            drop(stream);
        })
    }
}

#[tokio::test]
async fn streams_of_one_peer_are_bounded_and_others_still_get_theirs() {
    let silent: Arc<dyn MatchService> = Arc::new(Silent);
    let centre = Node::start_full(1, &[QUIC], Arc::new(Patterns), Some(silent)).await;
    let (mut greedy, mut other) = (Node::start(2, &[]).await, Node::start(3, &[]).await);
    centre.net.set_peers(vec![member(&greedy), member(&other)]);
    for client in [&mut greedy, &mut other] {
        client.net.set_peers(vec![centre.as_peer()]);
        client.until_event(NetEvent::Up(centre.id())).await;
    }
    let mut held = Vec::new();
    for _ in 0..limits::MATCHES_OUT_PER_PEER {
        held.push(greedy.net.open_match(centre.id()).await.unwrap());
    }
    let one_more = greedy.net.open_match(centre.id());
    let waited = timeout(Duration::from_millis(300), one_more).await;
    assert!(waited.is_err(), "a stream beyond its client's places");
    other.net.open_match(centre.id()).await.unwrap();
    // A place is free again once its stream is gone.
    held.pop();
    greedy.net.open_match(centre.id()).await.unwrap();
}
