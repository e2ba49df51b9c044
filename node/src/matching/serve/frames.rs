//! Frames on a match stream, each with a time limit: a side that is silent, or never reads, holds a place no longer than
//! that.

use std::io;
use std::time::Duration;

use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use hashpact_protocol::psi::{Answer, Ask, ExchangeError, FRAME_PREFIX, frame, frame_length};
use tokio::time::timeout;

/// Time for the next frame to come, whole, and for one to be taken.
pub(super) const FRAME_TIME: Duration = Duration::from_secs(30);

/// Why a stream ends before it was done.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    /// It broke, or was closed between two frames of a session.
    #[error("the stream broke off")]
    Io(#[from] io::Error),
    /// Nothing came, or nothing was taken, in time.
    #[error("the stream stalled")]
    Stalled,
    /// No frame, or none of this format.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
}

/// The next frame, at most 160 KiB, checked before it is read.
pub(super) async fn receive(stream: &mut (impl AsyncRead + Unpin)) -> Result<Ask, FrameError> {
    let read = async {
        let mut prefix = [0; FRAME_PREFIX];
        stream.read_exact(&mut prefix).await?;
        let mut bytes = vec![0; frame_length(prefix)?];
        stream.read_exact(&mut bytes).await?;
        Ok(Ask::from_bytes(&bytes)?)
    };
    timeout(FRAME_TIME, read)
        .await
        .map_err(|_| FrameError::Stalled)?
}

/// Sends a frame.
pub(super) async fn send(
    stream: &mut (impl AsyncWrite + Unpin),
    answer: &Answer,
) -> Result<(), FrameError> {
    let bytes = frame(&answer.to_bytes());
    let write = async {
        stream.write_all(&bytes).await?;
        stream.flush().await
    };
    let written = timeout(FRAME_TIME, write).await;
    Ok(written.map_err(|_| FrameError::Stalled)??)
}

/// Closes our half.
pub(super) async fn close(stream: &mut (impl AsyncWrite + Unpin)) -> Result<(), FrameError> {
    let closed = timeout(FRAME_TIME, stream.close()).await;
    Ok(closed.map_err(|_| FrameError::Stalled)??)
}
