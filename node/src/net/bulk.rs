//! Bulk transfers: one stream, one request, one answer in chunks. Why: long answers must not stand
//! in the way of control frames, and must end visibly. Spec: `/hashpact/bulk/1`. The opener writes
//! a u32 big-endian length and its request and closes its half. The server writes a status byte (0:
//! chunks follow; else why not), then chunks of u32 big-endian length and bytes, then a chunk of
//! length 0. An answer without that last chunk is no answer. Each half has one writer (rust-libp2p
//! issue 5410). In scope: framing, places, time limits. Out of scope: what requests mean
//! (`BulkSource`), resuming.

use std::{io, num::NonZeroU8, sync::Arc, time::Duration};

use futures::{
    AsyncRead, AsyncReadExt, AsyncWriteExt, StreamExt,
    io::{BufReader, BufWriter},
};
use libp2p::{PeerId, Stream, StreamProtocol};
use libp2p_stream::{Control, IncomingStreams};
use tokio::{
    sync::{
        Semaphore,
        mpsc::{self, WeakUnboundedSender, error::TryRecvError},
        oneshot,
    },
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use super::{
    codec::read_u32,
    limits,
    pause::jittered,
    peers::{PeerState, Peers},
    swarm::Command,
};

pub(super) const BULK: StreamProtocol = StreamProtocol::new("/hashpact/bulk/1");

const FOLLOWS: u8 = 0;

/// The refusal code on the wire when a [`BulkSource`] refuses with 0, which would mean consent.
pub const REFUSED_UNSPECIFIED: u8 = 255;

/// What a node serves. Called on blocking threads.
pub trait BulkSource: Send + Sync + 'static {
    /// Opens what `request` names, for `peer`.
    ///
    /// # Errors
    /// The refusal code for the wire, from 1 to 255.
    fn open(&self, peer: PeerId, request: &[u8]) -> Result<Box<dyn BulkRead>, u8>;
}

/// An answer in the making.
pub trait BulkRead: Send {
    /// The next bytes, best 64 KiB of them; `None` at the end. May block on the disk.
    ///
    /// # Errors
    /// The disk's. The stream then closes without its end, and the peer learns
    /// [`FetchError::Truncated`].
    fn next_chunk(&mut self) -> io::Result<Option<Vec<u8>>>;
}

/// Why a fetch brought nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    #[error("bulk request: at most {max} bytes, got {got}")]
    RequestTooLarge { max: usize, got: usize },
    #[error("the peer refuses, code {0}")]
    Refused(u8),
    #[error("answer: at most {limit} bytes, got more")]
    TooLarge { limit: usize },
    #[error("chunk: at most {max} bytes, got {got}")]
    ChunkTooLarge { max: usize, got: u32 },
    #[error("the answer broke off after {got} bytes")]
    Truncated { got: usize },
    #[error("the answer stalled after {got} bytes")]
    TimedOut { got: usize },
    #[error("the peer cannot be reached")]
    Unreachable,
}

/// Fetches one answer; waits for a place among the fetches from `peer`.
pub(super) async fn fetch(
    mut control: Control,
    peer: PeerId,
    state: &PeerState,
    request: &[u8],
    limit: usize,
) -> Result<Vec<u8>, FetchError> {
    let too_large = FetchError::RequestTooLarge {
        max: limits::MAX_BULK_REQUEST,
        got: request.len(),
    };
    if request.len() > limits::MAX_BULK_REQUEST {
        return Err(too_large);
    }
    let length = u32::try_from(request.len()).map_err(|_| too_large)?;
    let _place = state
        .fetches
        .acquire()
        .await
        .map_err(|_| FetchError::Unreachable)?;
    let mut pause = limits::BULK_RETRY;
    for attempt in 0..=limits::BULK_RETRIES {
        if attempt > 0 {
            sleep(jittered(pause)).await;
            pause = pause.saturating_mul(2);
        }
        if !state.is_up() {
            continue;
        }
        let opened = timeout(limits::BULK_OPEN, open(&mut control, peer, length, request)).await;
        let Ok(Ok(mut stream)) = opened else { continue };
        // A server without a place drops the stream instead of giving a status.
        match timeout(limits::BULK_IDLE, status(&mut stream)).await {
            Err(_) => return Err(FetchError::TimedOut { got: 0 }),
            Ok(Err(_)) => continue,
            Ok(Ok(Some(code))) => return Err(FetchError::Refused(code.get())),
            Ok(Ok(None)) => return receive(stream, state, limit, limits::BULK_IDLE).await,
        }
    }
    Err(FetchError::Unreachable)
}

async fn open(
    control: &mut Control,
    peer: PeerId,
    length: u32,
    request: &[u8],
) -> io::Result<Stream> {
    let mut stream = control
        .open_stream(peer, BULK)
        .await
        .map_err(io::Error::other)?;
    stream.write_all(&length.to_be_bytes()).await?;
    stream.write_all(request).await?;
    stream.close().await?;
    Ok(stream)
}

/// `None` if chunks follow, else the refusal code.
async fn status(stream: &mut Stream) -> io::Result<Option<NonZeroU8>> {
    let mut byte = [FOLLOWS];
    stream.read_exact(&mut byte).await?;
    Ok(NonZeroU8::new(byte[0]))
}

/// Reads chunks up to the end chunk.
pub(super) async fn receive<T>(
    stream: T,
    state: &PeerState,
    limit: usize,
    idle: Duration,
) -> Result<Vec<u8>, FetchError>
where
    T: AsyncRead + Unpin,
{
    let mut reader = BufReader::with_capacity(limits::MAX_CHUNK, stream);
    let mut answer = Vec::new();
    let started = Instant::now();
    loop {
        let got = answer.len();
        match timeout(idle, chunk(&mut reader, &mut answer, limit)).await {
            Err(_) => return Err(FetchError::TimedOut { got }),
            Ok(Err(ChunkError::Refused(error))) => return Err(error),
            Ok(Err(ChunkError::Io)) => return Err(FetchError::Truncated { got }),
            Ok(Ok(0)) => return Ok(answer),
            Ok(Ok(length)) => state.count_in(length),
        }
        let due = started
            .elapsed()
            .saturating_sub(idle)
            .as_secs()
            .saturating_mul(limits::BULK_RATE_MIN);
        if u64::try_from(answer.len()).unwrap_or(u64::MAX) < due {
            return Err(FetchError::TimedOut { got: answer.len() });
        }
    }
}

enum ChunkError {
    Refused(FetchError),
    Io,
}

impl From<io::Error> for ChunkError {
    fn from(_: io::Error) -> Self {
        Self::Io
    }
}

/// Appends the next chunk to `answer`; returns its length. Both limits are checked before anything
/// is allocated.
async fn chunk<T>(reader: &mut T, answer: &mut Vec<u8>, limit: usize) -> Result<usize, ChunkError>
where
    T: AsyncRead + Unpin,
{
    let got = read_u32(reader).await?;
    let length = usize::try_from(got).unwrap_or(usize::MAX);
    if length > limits::MAX_CHUNK {
        return Err(ChunkError::Refused(FetchError::ChunkTooLarge {
            max: limits::MAX_CHUNK,
            got,
        }));
    }
    let start = answer.len();
    if length > limit.saturating_sub(start) {
        return Err(ChunkError::Refused(FetchError::TooLarge { limit }));
    }
    answer.resize(start + length, 0);
    reader.read_exact(&mut answer[start..]).await?;
    Ok(length)
}

/// Serves bulk streams until it is aborted. The loop only hands over: libp2p drops streams that
/// nobody takes at once.
pub(super) async fn serve(
    mut incoming: IncomingStreams,
    peers: Arc<Peers>,
    source: Arc<dyn BulkSource>,
    breaches: WeakUnboundedSender<Command>,
) {
    let places = Arc::new(Semaphore::new(limits::STREAMS_TOTAL));
    let mut answers = JoinSet::new();
    loop {
        tokio::select! {
            next = incoming.next() => {
                let Some((peer, stream)) = next else { return };
                let Some(state) = peers.find(&peer) else { continue };
                if !state.is_centre() {
                    let told = breaches.upgrade().map(|breaches| breaches.send(Command::Breach(peer)));
                    // A network that is shut down has nobody to disconnect.
                    drop(told);
                    continue;
                }
                // The surplus of one peer is dropped, so that it waits at its opener and not here.
                let Ok(place) = Arc::clone(&state.serves).try_acquire_owned() else { continue };
                let (source, places) = (Arc::clone(&source), Arc::clone(&places));
                answers.spawn(async move {
                    if let Err(error) = answer(stream, peer, &state, source, &places).await {
                        tracing::debug!(%peer, kind = ?error.kind(), "bulk answer broke off");
                    }
                    drop(place);
                });
            }
            Some(_) = answers.join_next() => {}
        }
    }
}

async fn answer(
    mut stream: Stream,
    peer: PeerId,
    state: &PeerState,
    source: Arc<dyn BulkSource>,
    places: &Semaphore,
) -> io::Result<()> {
    let request = timeout(limits::BULK_OPEN, read_request(&mut stream)).await??;
    // Waiting is bounded: a peer has no more than its own places here.
    let _place = timeout(limits::BULK_IDLE, places.acquire())
        .await?
        .map_err(io::Error::other)?;
    let (status, pieces) = read_ahead(source, peer, request);
    // An error means that the source panicked; without a status the peer tries again.
    let status = status.await.map_err(io::Error::other)?;
    let mut writer = BufWriter::with_capacity(2 * limits::MAX_CHUNK, stream);
    writer.write_all(&[status]).await?;
    if status == FOLLOWS {
        write_pieces(&mut writer, pieces, state).await?;
    }
    timeout(limits::BULK_IDLE, writer.close()).await?
}

async fn read_request(stream: &mut Stream) -> io::Result<Vec<u8>> {
    let length = usize::try_from(read_u32(stream).await?).unwrap_or(usize::MAX);
    if length > limits::MAX_BULK_REQUEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut request = vec![0; length];
    stream.read_exact(&mut request).await?;
    Ok(request)
}

enum Piece {
    Chunk(Vec<u8>),
    End,
}

/// Opens and reads the source on a blocking thread, a few chunks ahead of the wire.
fn read_ahead(
    source: Arc<dyn BulkSource>,
    peer: PeerId,
    request: Vec<u8>,
) -> (oneshot::Receiver<u8>, mpsc::Receiver<Piece>) {
    let (status, status_told) = oneshot::channel();
    // The channel, one chunk in the reader's hand and one at the writer.
    let (pieces, pieces_told) = mpsc::channel(limits::READ_AHEAD - 2);
    tokio::task::spawn_blocking(move || {
        let mut reader = match source.open(peer, &request) {
            Ok(reader) => reader,
            Err(code) => {
                let code = NonZeroU8::new(code).map_or(REFUSED_UNSPECIFIED, NonZeroU8::get);
                // Nobody hears it if the stream is gone.
                let _ = status.send(code);
                return;
            }
        };
        let _ = status.send(FOLLOWS);
        loop {
            let piece = match reader.next_chunk() {
                Ok(Some(chunk)) => Piece::Chunk(chunk),
                Ok(None) => Piece::End,
                Err(error) => {
                    tracing::warn!(%peer, kind = ?error.kind(), "a bulk source failed");
                    return;
                }
            };
            let last = matches!(piece, Piece::End);
            if pieces.blocking_send(piece).is_err() || last {
                return;
            }
        }
    });
    (status_told, pieces_told)
}

/// Writes chunks as they come and flushes only when the source makes us wait.
async fn write_pieces(
    writer: &mut BufWriter<Stream>,
    mut pieces: mpsc::Receiver<Piece>,
    state: &PeerState,
) -> io::Result<()> {
    loop {
        let piece = match pieces.try_recv() {
            Ok(piece) => Some(piece),
            Err(TryRecvError::Disconnected) => None,
            Err(TryRecvError::Empty) => {
                timeout(limits::BULK_IDLE, writer.flush()).await??;
                pieces.recv().await
            }
        };
        match piece {
            Some(Piece::Chunk(bytes)) => {
                for chunk in bytes.chunks(limits::MAX_CHUNK) {
                    timeout(limits::BULK_IDLE, write_chunk(writer, chunk)).await??;
                    state.count_out(chunk.len());
                }
            }
            Some(Piece::End) => return writer.write_all(&0u32.to_be_bytes()).await,
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

async fn write_chunk(writer: &mut BufWriter<Stream>, chunk: &[u8]) -> io::Result<()> {
    let length = u32::try_from(chunk.len()).map_err(io::Error::other)?;
    writer.write_all(&length.to_be_bytes()).await?;
    writer.write_all(chunk).await
}
