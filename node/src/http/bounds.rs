//! How much one connection and all of them may take.
//!
//! Why: whoever can connect can try to keep what others need: places, memory, time. In scope: connections and their bytes.
//! Out of scope: the time of one request (`listen`), the size of files (`path`).
//!
//! A connection ends when nothing could be written to it for a while, whatever it sends: headers that drip, a reader that
//! stopped and an idle connection all look like that. A reader that takes little at a time is cut too: while bytes wait for
//! it, it takes some in each such while. No connection lives long, so that a key that ended is asked again.

use std::collections::BTreeMap;
use std::future::{Ready, ready};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv6Addr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum_server::accept::Accept;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

/// Bytes that a reader takes within [`Bounds::stall`] while more wait for it: some 2 KB a second.
const TAKEN_MIN: usize = 64 * 1024;

/// Bounds of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Connections at most, all together.
    pub connections: usize,
    /// Connections at most of one address that is not loopback: behind loopback is a proxy for many.
    pub connections_per_address: usize,
    /// A TLS handshake must be done within this.
    pub handshake: Duration,
    /// The head of an answer must be ready within this from the head of its request.
    pub request: Duration,
    /// A connection to which nothing is written for this long is closed. Longer than `request`.
    pub stall: Duration,
    /// No connection lives longer.
    pub life: Duration,
    /// How long requests under way may take when the node stops.
    pub stop: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            // Each holds some 100 KB at most.
            connections: 256,
            connections_per_address: 32,
            handshake: Duration::from_secs(5),
            request: Duration::from_secs(10),
            stall: Duration::from_secs(30),
            life: Duration::from_secs(600),
            stop: Duration::from_secs(2),
        }
    }
}

/// Lets connections in while there are places.
#[derive(Clone)]
pub(super) struct Gate {
    bounds: Bounds,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    by_address: BTreeMap<IpAddr, usize>,
}

/// One connection's place; free again when dropped.
pub(super) struct Place {
    address: IpAddr,
    taken: Arc<Mutex<Taken>>,
}

impl Gate {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            taken: Arc::default(),
        }
    }

    pub(super) fn take(&self, address: IpAddr) -> Option<Place> {
        let address = network_of(address);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let of_address = taken.by_address.get(&address).copied().unwrap_or(0);
        let is_free = taken.all < self.bounds.connections
            && (address.is_loopback() || of_address < self.bounds.connections_per_address);
        is_free.then(|| {
            taken.all += 1;
            taken.by_address.insert(address, of_address + 1);
            let taken = Arc::clone(&self.taken);
            Place { address, taken }
        })
    }
}

/// One customer has a whole /64 of IPv6.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        IpAddr::V6(address) => address.into(),
        IpAddr::V4(address) => address.into(),
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all = taken.all.saturating_sub(1);
        match taken.by_address.get_mut(&self.address) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) | None => {
                taken.by_address.remove(&self.address);
            }
        }
    }
}

impl<S> Accept<TcpStream, S> for Gate {
    type Stream = Bounded;
    type Service = S;
    type Future = Ready<io::Result<(Bounded, S)>>;

    /// Without a place the connection is closed at once: waiting ones would use up the process's files.
    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let place = stream.peer_addr().and_then(|peer| {
            let place = self.take(peer.ip());
            place.ok_or_else(|| ErrorKind::QuotaExceeded.into())
        });
        // Else the end of an answer waits for the client's delayed acknowledgement, some 40 ms. What cannot be set only costs time.
        let _ = stream.set_nodelay(true);
        ready(place.map(|place| (Bounded::new(stream, self.bounds, place), service)))
    }
}

/// A connection with an end.
pub(super) struct Bounded {
    stream: TcpStream,
    stall: Duration,
    /// When its life ends.
    end: Instant,
    timer: Pin<Box<Sleep>>,
    waiting: Option<Waiting>,
    _place: Place,
}

/// Bytes wait for a reader that takes them too slowly to say that it has stopped.
#[derive(Clone, Copy)]
struct Waiting {
    since: Instant,
    taken: usize,
}

impl Bounded {
    fn new(stream: TcpStream, bounds: Bounds, place: Place) -> Self {
        let begin = Instant::now();
        let end = begin + bounds.life;
        Self {
            stream,
            stall: bounds.stall,
            end,
            timer: Box::pin(sleep_until(end.min(begin + bounds.stall))),
            waiting: None,
            _place: place,
        }
    }

    /// Asked first each time, so that a connection which is always ready ends too.
    fn is_over(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.timer.as_mut().poll(context) {
            Poll::Ready(()) => Err(ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }

    fn wrote(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let now = Instant::now();
        match (&written, &mut self.waiting) {
            (Poll::Pending, None) => {
                let (since, taken) = (now, 0);
                self.waiting = Some(Waiting { since, taken });
            }
            (Poll::Ready(Ok(count)), Some(waiting)) => {
                waiting.taken += count;
                if waiting.taken >= TAKEN_MIN {
                    self.waiting = None;
                }
            }
            (Poll::Pending, Some(_)) | (Poll::Ready(_), _) => {}
        }
        if matches!(written, Poll::Ready(Ok(count)) if count > 0) {
            let since = self.waiting.map_or(now, |waiting| waiting.since);
            self.timer.as_mut().reset(self.end.min(since + self.stall));
        }
        written
    }
}

impl AsyncRead for Bounded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.is_over(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.is_over(context)?;
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.is_over(context)?;
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Asked once all that waited is written: nothing waits for the reader.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.waiting = None;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
