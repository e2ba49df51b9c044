//! The control protocol on the wire: one frame a stream, and an empty acknowledgement. Why:
//! request-response bounds and times each frame, and the acknowledgement says that it was taken
//! over. Spec: `/hashpact/control/1`, u32 big-endian length and that many bytes; the
//! acknowledgement is the length 0. In scope: framing. Out of scope: what a frame means.

use std::io;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::{StreamProtocol, request_response};

use super::limits::MAX_FRAME;

pub(super) const CONTROL: StreamProtocol = StreamProtocol::new("/hashpact/control/1");

/// Why a frame was not written or not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("frame: at most {max} bytes, got {got}")]
    TooLarge { max: usize, got: u64 },
    #[error("frame: bytes after its end")]
    Trailing,
    #[error("acknowledgement: expected length 0, got {got}")]
    Acknowledgement { got: u32 },
}

impl From<FrameError> for io::Error {
    fn from(error: FrameError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

/// What came in as a frame. A breach is a value here, because libp2p keeps a failed read to itself.
pub(super) type Inbound = Result<Vec<u8>, FrameError>;

/// The length prefix of a frame of `len` bytes, if it may travel.
pub(super) fn frame_length(len: usize) -> Result<u32, FrameError> {
    let too_large = FrameError::TooLarge {
        max: MAX_FRAME,
        got: u64::try_from(len).unwrap_or(u64::MAX),
    };
    if len > MAX_FRAME {
        return Err(too_large);
    }
    u32::try_from(len).map_err(|_| too_large)
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ControlCodec;

impl request_response::Codec for ControlCodec {
    type Protocol = StreamProtocol;
    type Request = Inbound;
    type Response = ();

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Inbound>
    where
        T: AsyncRead + Unpin + Send,
    {
        let got = read_u32(io).await?;
        let len = usize::try_from(got).unwrap_or(usize::MAX);
        // Before a single byte is allocated: the length is whatever the peer wrote.
        if let Err(breach) = frame_length(len) {
            return Ok(Err(breach));
        }
        let mut frame = vec![0; len];
        io.read_exact(&mut frame).await?;
        if io.read(&mut [0]).await? != 0 {
            return Ok(Err(FrameError::Trailing));
        }
        Ok(Ok(frame))
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<()>
    where
        T: AsyncRead + Unpin + Send,
    {
        match read_u32(io).await? {
            0 => Ok(()),
            got => Err(FrameError::Acknowledgement { got }.into()),
        }
    }

    async fn write_request<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        frame: Inbound,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        let frame = frame?;
        let len = frame_length(frame.len())?;
        io.write_all(&len.to_be_bytes()).await?;
        io.write_all(&frame).await
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, io: &mut T, (): ()) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        // Written out, because a stream that closes empty is how an acknowledgement is withheld.
        io.write_all(&0u32.to_be_bytes()).await
    }
}

/// Reads one big-endian length.
pub(super) async fn read_u32<T>(io: &mut T) -> io::Result<u32>
where
    T: AsyncRead + Unpin,
{
    let mut bytes = [0; 4];
    io.read_exact(&mut bytes).await?;
    Ok(u32::from_be_bytes(bytes))
}
