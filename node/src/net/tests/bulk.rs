//! Bulk transfers: whole, or visibly not.

use std::sync::Mutex;

use futures::{
    FutureExt,
    future::{join_all, try_join},
    io::Cursor,
};

use super::*;

const KIB: usize = 1024;

async fn eight_mebibytes_arrive(listen: &str) {
    let (server, client) = pair(&[listen]).await;
    let wanted = request(GIVE, 8 * 1024, 0);
    let expected = pattern(&wanted, 8 * 1024 * KIB);
    // A limit that is just met.
    let answer = client
        .net
        .fetch(server.id(), wanted, expected.len())
        .await
        .unwrap();
    assert!(answer == expected);
    assert_eq!(
        client.net.traffic()[&server.id()].bytes_in,
        expected.len() as u64
    );
    assert_eq!(
        server.net.traffic()[&client.id()].bytes_out,
        expected.len() as u64
    );
}

#[tokio::test]
async fn eight_mebibytes_arrive_over_quic() {
    eight_mebibytes_arrive(QUIC).await;
}

#[tokio::test]
async fn eight_mebibytes_arrive_over_tcp() {
    eight_mebibytes_arrive(TCP).await;
}

#[tokio::test]
async fn an_empty_answer_is_an_answer() {
    let (server, client) = pair(&[QUIC]).await;
    assert_eq!(
        client.net.fetch(server.id(), request(GIVE, 0, 0), 0).await,
        Ok(Vec::new())
    );
}

#[tokio::test]
async fn both_sides_fetch_from_each_other() {
    let (server, client) = pair(&[TCP]).await;
    let wanted = request(GIVE, 1024, 3);
    let there = client.net.fetch(server.id(), wanted.clone(), 1024 * KIB);
    let back = server.net.fetch(client.id(), wanted.clone(), 1024 * KIB);
    let (there, back) = try_join(there, back).await.unwrap();
    assert!(there == pattern(&wanted, 1024 * KIB));
    assert!(back == there);
}

#[tokio::test]
async fn a_refusal_brings_its_code() {
    let (server, client) = pair(&[QUIC]).await;
    assert_eq!(
        client
            .net
            .fetch(server.id(), request(REFUSE, 0, 0), KIB)
            .await,
        Err(FetchError::Refused(7))
    );
    let zero = client
        .net
        .fetch(server.id(), request(REFUSE_WITH_ZERO, 0, 0), KIB)
        .await;
    assert_eq!(zero, Err(FetchError::Refused(REFUSED_UNSPECIFIED)));
}

#[tokio::test]
async fn an_answer_over_the_limit_is_too_large() {
    let (server, client) = pair(&[QUIC]).await;
    let limit = 256 * KIB - 1;
    let error = client
        .net
        .fetch(server.id(), request(GIVE, 256, 0), limit)
        .await;
    assert_eq!(error, Err(FetchError::TooLarge { limit }));
}

#[tokio::test]
async fn a_source_that_fails_midway_truncates() {
    for listen in [QUIC, TCP] {
        let (server, client) = pair(&[listen]).await;
        let error = client
            .net
            .fetch(server.id(), request(BREAK_OFF, 256, 0), 1024 * KIB)
            .await;
        assert!(
            matches!(error, Err(FetchError::Truncated { got }) if got <= 256 * KIB),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_request_over_the_limit_is_not_sent() {
    let (server, client) = pair(&[QUIC]).await;
    let (max, got) = (limits::MAX_BULK_REQUEST, limits::MAX_BULK_REQUEST + 1);
    let error = client.net.fetch(server.id(), vec![GIVE; got], KIB).await;
    assert_eq!(error, Err(FetchError::RequestTooLarge { max, got }));
}

async fn forty_fetches_at_once(listen: &[&str]) {
    let (server, client) = pair(listen).await;
    let wanted: Vec<Vec<u8>> = (0..40).map(|own| request(GIVE, 300, own)).collect();
    let fetches = wanted
        .iter()
        .map(|wanted| client.net.fetch(server.id(), wanted.clone(), 300 * KIB));
    for (answer, wanted) in join_all(fetches).await.into_iter().zip(&wanted) {
        assert!(answer.unwrap() == pattern(wanted, 300 * KIB));
    }
}

#[tokio::test]
async fn forty_fetches_at_once_all_complete() {
    forty_fetches_at_once(&[QUIC]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forty_fetches_at_once_all_complete_over_tcp() {
    forty_fetches_at_once(&[TCP]).await;
}

/// Counts how far it was read; its answer never ends.
#[derive(Default)]
struct Endless {
    read: Arc<Mutex<usize>>,
}

struct EndlessRead {
    read: Arc<Mutex<usize>>,
}

impl BulkSource for Endless {
    fn open(&self, _: PeerId, _: &[u8]) -> Result<Box<dyn BulkRead>, u8> {
        Ok(Box::new(EndlessRead {
            read: Arc::clone(&self.read),
        }))
    }
}

impl BulkRead for EndlessRead {
    fn next_chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        *self.read.lock().unwrap() += limits::MAX_CHUNK;
        Ok(Some(vec![0; limits::MAX_CHUNK]))
    }
}

#[tokio::test]
async fn an_endless_answer_ends_at_the_limit_and_is_not_read_far_ahead() {
    let source = Arc::new(Endless::default());
    let mut server = Node::start_with(1, &[QUIC], Arc::clone(&source) as Arc<dyn BulkSource>).await;
    let mut client = Node::start(2, &[]).await;
    join(&mut server, &mut client).await;
    let limit = 2048 * KIB;
    let error = client.net.fetch(server.id(), Vec::new(), limit).await;
    assert_eq!(error, Err(FetchError::TooLarge { limit }));
    // What was taken, what may lie in the windows of both ends, and the read-ahead.
    let most = limit + 16 * 1024 * KIB + (limits::READ_AHEAD + 4) * limits::MAX_CHUNK;
    assert!(*source.read.lock().unwrap() <= most);
}

async fn received(wire: &[u8], limit: usize) -> Result<Vec<u8>, FetchError> {
    let state = crate::net::peers::PeerState::new(PeerKind::Centre);
    crate::net::bulk::receive(Cursor::new(wire.to_vec()), &state, limit, limits::BULK_IDLE).await
}

#[tokio::test]
async fn a_chunk_length_past_the_limit_is_refused() {
    let got = u32::try_from(limits::MAX_CHUNK).unwrap() + 1;
    let max = limits::MAX_CHUNK;
    assert_eq!(
        received(&got.to_be_bytes(), usize::MAX).await,
        Err(FetchError::ChunkTooLarge { max, got })
    );
}

#[tokio::test]
async fn an_answer_cut_at_any_byte_is_truncated() {
    let wire = [
        &3u32.to_be_bytes()[..],
        b"abc",
        &1u32.to_be_bytes(),
        b"d",
        &0u32.to_be_bytes(),
    ]
    .concat();
    assert_eq!(received(&wire, 4).await, Ok(b"abcd".to_vec()));
    for cut in 0..wire.len() {
        assert!(
            matches!(
                received(&wire[..cut], 4).await,
                Err(FetchError::Truncated { .. })
            ),
            "cut at {cut}"
        );
    }
}

/// Gives its bytes and is silent for ever after.
struct Stalling(Vec<u8>);

impl futures::AsyncRead for Stalling {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        buffer: &mut [u8],
    ) -> std::task::Poll<io::Result<usize>> {
        if self.0.is_empty() {
            return std::task::Poll::Pending;
        }
        let taken = buffer.len().min(self.0.len());
        buffer[..taken].copy_from_slice(&self.0[..taken]);
        self.0.drain(..taken);
        std::task::Poll::Ready(Ok(taken))
    }
}

#[tokio::test]
async fn an_answer_that_stalls_times_out() {
    let state = crate::net::peers::PeerState::new(PeerKind::Centre);
    let wire = [&1u32.to_be_bytes()[..], b"a", &9u32.to_be_bytes(), b"b"].concat();
    let idle = Duration::from_millis(20);
    let error = crate::net::bulk::receive(Stalling(wire), &state, KIB, idle).await;
    assert_eq!(error, Err(FetchError::TimedOut { got: 1 }));
}

#[tokio::test]
async fn a_peer_gone_midway_ends_a_fetch() {
    let mut server = Node::start_with(1, &[TCP], Arc::new(Endless::default())).await;
    let mut client = Node::start(2, &[]).await;
    join(&mut server, &mut client).await;
    let mut fetch = Box::pin(client.net.fetch(server.id(), Vec::new(), usize::MAX));
    // Drives the fetch until it is midway.
    while client.net.traffic()[&server.id()].bytes_in == 0 {
        assert!((&mut fetch).now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    server.net.shutdown().await;
    let error = timeout(PATIENCE, fetch).await.unwrap();
    assert!(
        matches!(error, Err(FetchError::Truncated { .. })),
        "{error:?}"
    );
}
