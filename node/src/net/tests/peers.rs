//! Who is admitted, and who is let go.

use super::*;

#[tokio::test]
async fn an_unlisted_peer_is_refused_is_never_up_and_sends_nothing() {
    let mut node = Node::start(1, &[QUIC, TCP]).await;
    let mut stranger = Node::start(3, &[]).await;
    stranger.net.set_peers(vec![node.as_peer()]);
    let why = Refusal::Unlisted;
    for _ in 0..2 {
        // Nothing else may come before it.
        assert_eq!(
            node.next().await,
            NetEvent::Refused {
                peer: Some(stranger.id()),
                why
            }
        );
    }
    stranger.net.send(node.id(), vec![1]).unwrap();
    assert_eq!(
        stranger.next().await,
        NetEvent::Undelivered { peer: node.id() }
    );
    assert_eq!(
        stranger
            .net
            .fetch(node.id(), request(GIVE, 1, 0), 1024)
            .await,
        Err(FetchError::Unreachable)
    );
    assert_eq!(
        node.net.send(stranger.id(), vec![1]),
        Err(SendError::Unlisted {
            peer: stranger.id()
        })
    );
}

#[tokio::test]
async fn two_peers_that_dial_each_other_are_up_once() {
    let mut one = Node::start(1, &[QUIC, TCP]).await;
    let mut two = Node::start(2, &[QUIC, TCP]).await;
    one.net.set_peers(vec![two.as_peer()]);
    two.net.set_peers(vec![one.as_peer()]);
    assert_eq!(one.next().await, NetEvent::Up(two.id()));
    assert_eq!(two.next().await, NetEvent::Up(one.id()));
    one.net.send(two.id(), vec![1]).unwrap();
    assert_eq!(
        two.next().await,
        NetEvent::Frame {
            peer: one.id(),
            bytes: vec![1]
        }
    );
}

#[tokio::test]
async fn a_peer_that_leaves_the_list_is_disconnected_and_refused_until_it_is_back() {
    let (mut server, mut client) = pair(&[QUIC]).await;
    server.net.set_peers(Vec::new());
    server.until_event(NetEvent::Down(client.id())).await;
    client.until_event(NetEvent::Down(server.id())).await;
    let why = Refusal::Unlisted;
    server
        .until_event(NetEvent::Refused {
            peer: Some(client.id()),
            why,
        })
        .await;
    server.net.set_peers(vec![client.as_caller()]);
    server.until_event(NetEvent::Up(client.id())).await;
    client.until_event(NetEvent::Up(server.id())).await;
}

#[tokio::test]
async fn a_disconnected_peer_is_refused_until_the_next_list() {
    let (mut server, mut client) = pair(&[QUIC]).await;
    server.net.disconnect(client.id());
    assert_eq!(server.next().await, NetEvent::Down(client.id()));
    client.until_event(NetEvent::Down(server.id())).await;
    let why = Refusal::Penalised;
    assert_eq!(
        server.next().await,
        NetEvent::Refused {
            peer: Some(client.id()),
            why
        }
    );
    server.net.set_peers(vec![client.as_caller()]);
    server.until_event(NetEvent::Up(client.id())).await;
}

#[tokio::test]
async fn somebody_else_at_a_listed_address_is_refused() {
    let node = Node::start(1, &[QUIC]).await;
    let mut dialler = Node::start(2, &[]).await;
    let expected = Node::start(3, &[]).await.id();
    dialler.net.set_peers(vec![Peer {
        id: expected,
        kind: PeerKind::Centre,
        addresses: node.addresses.clone(),
    }]);
    let why = Refusal::WrongIdentity;
    assert_eq!(
        dialler.next().await,
        NetEvent::Refused {
            peer: Some(expected),
            why
        }
    );
}

#[tokio::test]
async fn tcp_is_the_way_where_udp_does_not_answer() {
    let mut server = Node::start(1, &[TCP]).await;
    let mut client = Node::start(2, &[]).await;
    // Bound, and silent.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let dead: Multiaddr = format!("/ip4/127.0.0.1/udp/{port}/quic-v1")
        .parse()
        .unwrap();
    server.net.set_peers(vec![client.as_caller()]);
    let addresses = vec![dead, server.addresses[0].clone()];
    client.net.set_peers(vec![Peer {
        id: server.id(),
        kind: PeerKind::Centre,
        addresses,
    }]);
    client.until_event(NetEvent::Up(server.id())).await;
    server.until_event(NetEvent::Up(client.id())).await;
}

#[tokio::test]
async fn a_peer_that_shuts_down_is_down_and_takes_no_orders() {
    let (mut server, client) = pair(&[QUIC]).await;
    client.net.shutdown().await;
    server.until_event(NetEvent::Down(client.id())).await;
    assert_eq!(
        client.net.send(server.id(), vec![1]),
        Err(SendError::Closed)
    );
    // The second time has nothing to do.
    client.net.shutdown().await;
}

#[tokio::test]
async fn a_node_that_listens_on_both_tells_both() {
    let node = Node::start(1, &[QUIC, TCP]).await;
    assert_eq!(
        node.addresses
            .iter()
            .filter(|address| is_quic(address))
            .count(),
        1
    );
    assert_eq!(node.addresses.len(), 2);
}

#[tokio::test]
async fn an_address_that_is_taken_is_an_error() {
    let node = Node::start(1, &[QUIC]).await;
    let taken = node.addresses[0].clone();
    let unheard = "/ip4/127.0.0.1/sctp/1".parse().unwrap();
    for address in [unheard, taken] {
        let config = NetConfig {
            seed: [2; 32].into(),
            listen: vec![address.clone()],
            peers: Vec::new(),
        };
        match start(config, Arc::new(Patterns), None) {
            Err(NetError::Listen { address: at, .. }) => assert_eq!(at, address),
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("listens on {address}"),
        }
    }
}

#[test]
fn a_node_key_has_the_peer_id_that_libp2p_gives_it() {
    let keypair = Keypair::ed25519_from_bytes([5; 32]).unwrap();
    let public = keypair.public().try_into_ed25519().unwrap().to_bytes();
    assert_eq!(peer_id_of(&public), Some(keypair.public().to_peer_id()));
    // y = 2 is the y of no point on the curve.
    let mut no_point = [0; 32];
    no_point[0] = 2;
    assert_eq!(peer_id_of(&no_point), None);
}

#[test]
fn outside_of_a_runtime_there_is_no_network() {
    let config = NetConfig {
        seed: [1; 32].into(),
        listen: Vec::new(),
        peers: Vec::new(),
    };
    assert!(matches!(
        start(config, Arc::new(Patterns), None),
        Err(NetError::NoRuntime)
    ));
}
