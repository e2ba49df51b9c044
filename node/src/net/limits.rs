//! Every bound of the network layer, with its reason. Why: what is bounded in one place can be
//! added up by an operator. In scope: sizes, counts and times of transport, control, bulk and match
//! streams. Out
//! of scope: limits of logs, deltas and policies.

use std::time::Duration;

/// Bytes of one control frame. Heads, cosignatures and a match batch of 8,000 points (32 bytes
/// each) fit; more travels as bulk.
pub const MAX_FRAME: usize = 256 * 1024;

/// Bytes of one bulk chunk: the read-ahead of every stream is a small multiple of it.
pub const MAX_CHUNK: usize = 64 * 1024;

/// Bytes of one bulk request: it names what is wanted and never carries it.
pub const MAX_BULK_REQUEST: usize = 4 * 1024;

/// Inbound bulk streams served at once for one peer; the surplus is dropped and its opener tries
/// again.
pub const STREAMS_PER_PEER: usize = 32;

/// Fetches in flight to one peer. Below [`STREAMS_PER_PEER`], because the server frees a place a
/// moment after its client is done.
pub const FETCHES_PER_PEER: usize = 24;

/// Inbound bulk streams served at once over all peers: each may hold one blocking thread, and tokio
/// grants 512.
pub(super) const STREAMS_TOTAL: usize = 128;

/// Chunks read from the disk before the wire asks for them: half a megabyte a stream hides a seek.
pub(super) const READ_AHEAD: usize = 8;

/// Time in which the next chunk must come, or go: a stalled peer holds a place no longer than this.
pub(super) const BULK_IDLE: Duration = Duration::from_secs(30);

/// Bytes a second that a transfer must reach on average once [`BULK_IDLE`] is over: one byte a
/// chunk is no progress.
pub(super) const BULK_RATE_MIN: u64 = 1024;

/// Time for opening one bulk stream, or for reading its request: two round trips on the worst line.
pub(super) const BULK_OPEN: Duration = Duration::from_secs(10);

/// Further attempts at opening one bulk stream, after pauses of [`BULK_RETRY`], twice that, and so
/// on.
pub(super) const BULK_RETRIES: u32 = 3;

/// First pause before a bulk stream is opened again: long enough for a busy accept loop to be
/// scheduled.
pub(super) const BULK_RETRY: Duration = Duration::from_millis(100);

/// Events waiting for the application. Past this, acknowledgements are withheld and the peers'
/// queues fill.
pub(super) const EVENTS: usize = 1024;

/// Inbound frames of one peer held while the event channel is full; what comes on top is dropped,
/// unacknowledged.
pub(super) const FRAMES_HELD_PER_PEER: usize = 16;

/// Inbound match streams of one peer at once: a session, and segments beside it.
pub(super) const MATCHES_PER_PEER: usize = 8;

/// Match streams that we have open to one peer. Below [`MATCHES_PER_PEER`], because the server frees
/// a place a moment after its client is done.
pub(super) const MATCHES_OUT_PER_PEER: usize = 6;

/// Inbound match streams at once over all peers: each holds a few frames of 160 KiB.
pub(super) const MATCHES_TOTAL: usize = 256;

/// Bytes of one peer's outbound frames, queued or in flight: 31 of the largest.
pub(super) const SEND_QUEUE: usize = 8 * 1024 * 1024;

/// Bytes charged to [`SEND_QUEUE`] for a frame beside its length, so that small frames are bounded
/// in number too.
pub(super) const FRAME_OVERHEAD: usize = 4 * 1024;

/// Time for a frame to be written, taken over and acknowledged. Within it a busy receiver may free
/// its event channel.
pub(super) const CONTROL_TIMEOUT: Duration = Duration::from_secs(20);

/// Control streams of one connection at once. We keep one frame in flight per peer; the rest is
/// slack for other versions.
pub(super) const CONTROL_STREAMS: usize = 16;

/// Connections of one peer: both sides may dial, over QUIC and over TCP.
pub(super) const CONNECTIONS_PER_PEER: u32 = 4;

/// Connections over all peers: 50 centres and auditors, 450 members, and their duplicates, so that
/// members leave no centre without one.
pub(super) const CONNECTIONS: u32 = 2000;

/// Handshakes in flight, each way. A stranger can hold a place for [`HANDSHAKE`] and no longer.
pub(super) const PENDING: u32 = 64;

/// Time for dialling, or for an inbound handshake.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(10);

/// Addresses dialled of one peer.
pub(super) const ADDRESSES_PER_PEER: usize = 8;

/// Bytes in flight on one QUIC stream: a line of 100 ms then carries 40 MB/s.
pub(super) const QUIC_STREAM_WINDOW: u32 = 4 * 1024 * 1024;

/// Bytes in flight on one QUIC connection: one stream cannot starve the others.
pub(super) const QUIC_CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;

/// Streams that a peer may have open on one QUIC connection: bulk, control and ping together.
pub(super) const QUIC_STREAMS: u32 = 64;

/// Streams of one TCP connection, of both sides together. Wider than QUIC's: Yamux ends the
/// connection where QUIC waits.
pub(super) const YAMUX_STREAMS: usize = 256;

/// Between two pings. QUIC notices a dead line by itself; TCP needs this.
pub(super) const PING_EVERY: Duration = Duration::from_secs(15);

/// Time for the answer to a ping.
pub(super) const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections are kept while the peer is on the list, however little they carry.
pub(super) const IDLE_CONNECTION: Duration = Duration::from_secs(365 * 24 * 3600);

/// First and longest pause between two dials of one peer.
pub(super) const DIAL_FIRST: Duration = Duration::from_millis(500);
pub(super) const DIAL_LONGEST: Duration = Duration::from_secs(30);

/// A peer that was disconnected for a fault is neither dialled nor admitted for this long, unless
/// the list changes.
pub const PENALTY: Duration = Duration::from_secs(5 * 60);

/// Refusals told at once, and the pause that earns one more: strangers cannot fill the log of an
/// operator.
pub(super) const REFUSALS_BURST: u32 = 16;
pub(super) const REFUSALS_EVERY: Duration = Duration::from_secs(1);

/// Time for connections to close on shutdown, before they are cut.
pub(super) const FAREWELL: Duration = Duration::from_secs(2);
