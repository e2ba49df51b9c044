//! A stream that remembers every byte of both directions: the transcript of a conversation as its client has it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures::{AsyncRead, AsyncWrite};

/// What was said and heard on all streams that share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tape(Arc<Mutex<Recorded>>);

#[derive(Debug, Default)]
struct Recorded {
    transcript: Transcript,
    bytes: (u64, u64),
    counts_only: bool,
}

/// Both directions, stream after stream as bytes came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transcript {
    pub(crate) said: Vec<u8>,
    pub(crate) heard: Vec<u8>,
}

impl Tape {
    /// One that only counts, for long conversations.
    pub(crate) fn counting() -> Self {
        let tape = Self::default();
        tape.recorded().counts_only = true;
        tape
    }

    /// What it holds by now.
    pub(crate) fn transcript(&self) -> Transcript {
        self.recorded().transcript.clone()
    }

    /// Bytes said and heard.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        self.recorded().bytes
    }

    fn recorded(&self) -> MutexGuard<'_, Recorded> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(&self, bytes: &[u8]) {
        let mut recorded = self.recorded();
        recorded.bytes.1 += bytes.len() as u64;
        if !recorded.counts_only {
            recorded.transcript.heard.extend(bytes);
        }
    }

    fn say(&self, bytes: &[u8]) {
        let mut recorded = self.recorded();
        recorded.bytes.0 += bytes.len() as u64;
        if !recorded.counts_only {
            recorded.transcript.said.extend(bytes);
        }
    }
}

/// A stream on tape.
pub(crate) struct Taped<S> {
    pub(crate) stream: S,
    pub(crate) tape: Tape,
}

impl<S: AsyncRead + Unpin> AsyncRead for Taped<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if let Poll::Ready(Ok(len)) = read {
            self.tape.hear(&buffer[..len]);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Taped<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(len)) = written {
            self.tape.say(&bytes[..len]);
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

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use futures::io::{AsyncReadExt as _, AsyncWriteExt as _, Cursor};

    use super::*;

    #[test]
    fn every_byte_of_both_directions_is_on_tape() {
        let tape = Tape::default();
        let stream = Cursor::new(b"what is heard".to_vec());
        let mut taped = Taped {
            stream,
            tape: tape.clone(),
        };
        let mut heard = [0; 4];
        block_on(taped.read_exact(&mut heard)).unwrap();
        block_on(taped.write_all(b"said")).unwrap();
        let transcript = tape.transcript();
        assert_eq!(
            (&transcript.said[..], &transcript.heard[..]),
            (&b"said"[..], &b"what"[..])
        );
    }
}
