//! Match streams: a client and a centre talk on one stream, each half with one writer. Why: a list
//! is blinded, sent, evaluated and checked at the same time, which a transfer one way cannot do.
//! Spec: `/hashpact/match/1`; what is said is `hashpact_protocol::psi::exchange`. Centres and
//! members may open one; it is all that a member may do here. In scope: opening, places, counting
//! bytes. Out of scope: frames, time limits (whoever holds the stream has them).

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::{AsyncRead, AsyncWrite, StreamExt, future::BoxFuture};
use libp2p::{PeerId, Stream, StreamProtocol};
use libp2p_stream::{Control, IncomingStreams, OpenStreamError};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::timeout,
};

use super::{
    limits,
    peers::{PeerState, Peers},
};

pub(super) const MATCH: StreamProtocol = StreamProtocol::new("/hashpact/match/1");

/// Who answers match streams.
pub trait MatchService: Send + Sync + 'static {
    /// Talks with `peer` until both are done. It runs on the runtime, beside others, so it must not
    /// block; a stream that is dropped unfinished is reset.
    fn serve(&self, peer: PeerId, stream: MatchStream) -> BoxFuture<'static, ()>;
}

/// Why a match stream was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenMatchError {
    #[error("the peer cannot be reached")]
    Unreachable,
    #[error("the peer does not speak {MATCH}")]
    Unsupported,
    #[error("the peer did not answer within {} s", limits::BULK_OPEN.as_secs())]
    TimedOut,
}

/// A match stream and its place among those with its peer. A server without a place for it closes
/// it before a byte has come: the client tries again later.
pub struct MatchStream {
    stream: Stream,
    state: Arc<PeerState>,
    _places: (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>),
}

impl AsyncRead for MatchStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if let Poll::Ready(Ok(len)) = read {
            self.state.count_in(len);
        }
        read
    }
}

impl AsyncWrite for MatchStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(len)) = written {
            self.state.count_out(len);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}

/// Opens a stream to `peer`; waits for a place among ours to it.
pub(super) async fn open(
    mut control: Control,
    peer: PeerId,
    state: Arc<PeerState>,
) -> Result<MatchStream, OpenMatchError> {
    let place = Arc::clone(&state.matches_out).acquire_owned().await;
    let place = place.map_err(|_| OpenMatchError::Unreachable)?;
    // The behaviour would dial a peer that is not connected, and we have the addresses.
    if !state.is_up() {
        return Err(OpenMatchError::Unreachable);
    }
    let opened = timeout(limits::BULK_OPEN, control.open_stream(peer, MATCH)).await;
    match opened.map_err(|_| OpenMatchError::TimedOut)? {
        Ok(stream) => Ok(MatchStream {
            stream,
            state,
            _places: (place, None),
        }),
        Err(OpenStreamError::UnsupportedProtocol(_)) => Err(OpenMatchError::Unsupported),
        // The enum may grow; whatever it grows by, there is no stream.
        Err(_) => Err(OpenMatchError::Unreachable),
    }
}

/// Hands incoming streams to the service until it is aborted. The loop only hands over: libp2p
/// drops streams that nobody takes at once.
pub(super) async fn serve(
    mut incoming: IncomingStreams,
    peers: Arc<Peers>,
    service: Arc<dyn MatchService>,
) {
    let places = Arc::new(Semaphore::new(limits::MATCHES_TOTAL));
    let mut talks = JoinSet::new();
    loop {
        tokio::select! {
            next = incoming.next() => {
                let Some((peer, stream)) = next else { return };
                let Some(state) = peers.find(&peer) else { continue };
                // The surplus is dropped, so that it waits at its opener and not here.
                let own = Arc::clone(&state.matches_in).try_acquire_owned();
                let all = Arc::clone(&places).try_acquire_owned();
                let (Ok(own), Ok(all)) = (own, all) else { continue };
                let stream = MatchStream { stream, state, _places: (own, Some(all)) };
                talks.spawn(service.serve(peer, stream));
            }
            Some(_) = talks.join_next() => {}
        }
    }
}
