//! Frames on one stream to a centre: each half has one task, every answer is waited for only so long, and none is longer than
//! a frame may be.
//!
//! In scope: framing, patience. Out of scope: which answer is due (`session`, `count`, `download`).

use std::future::Future;
use std::io;
use std::time::Duration;

use futures::io::{ReadHalf, WriteHalf};
use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use hashpact_protocol::psi::{
    Answer, Ask, ExchangeError, FRAME_PREFIX, RefusalCode, frame, frame_length,
};
use tokio::time::timeout;

/// How a stream to the centre is opened; each request has its own.
pub trait Opener: Sync {
    /// What bytes travel on.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send;

    /// Opens one more stream.
    ///
    /// # Errors
    /// The centre cannot be reached.
    fn open(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// How long the other side may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For the next answer: a batch takes a second on a slow core, and others may be before it.
    pub answer: Duration,
    /// For the first answer after the last item of a count: the centre makes an artifact for this session alone.
    pub artifact: Duration,
    /// For writing one frame.
    pub write: Duration,
    /// For a session, or for all segments of a check, beside what they take at the least pace (`of_items`,
    /// `of_bytes`): so that a centre which answers a little each time ends nobody's day.
    pub slack: Duration,
    /// Before a connection that broke is opened again; twice as long each time.
    pub pause: Duration,
    /// How often that is done without anything having got through in between.
    pub retries: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(120),
            artifact: Duration::from_secs(3_600),
            write: Duration::from_secs(60),
            slack: Duration::from_secs(900),
            pause: Duration::from_secs(1),
            retries: 6,
        }
    }
}

/// Items of a session that must be through in a second, for each group: some 15 KB each way.
const ITEMS_A_SECOND: u64 = 200;
/// Bytes of segments that must come in a second.
const BYTES_A_SECOND: u64 = 64 * 1024;

impl Patience {
    /// For a session of so many evaluations, with all that is tried again.
    pub(super) fn of_items(&self, evaluations: u64) -> Duration {
        let pace = Duration::from_secs(evaluations / ITEMS_A_SECOND);
        self.slack.saturating_add(pace)
    }

    /// For so many bytes of segments, with all that is tried again.
    pub(super) fn of_bytes(&self, bytes: u64) -> Duration {
        let pace = Duration::from_secs(bytes / BYTES_A_SECOND);
        self.slack.saturating_add(pace)
    }
}

/// Why an exchange with a centre ended early.
#[derive(Debug, thiserror::Error)]
pub enum TalkError {
    /// The connection.
    #[error("the connection to the centre broke: {0}")]
    Io(#[from] io::Error),
    /// It did not answer.
    #[error("the centre did not answer within {} s", .0.as_secs())]
    Silent(Duration),
    /// It answers, and too slowly: it would hold whoever waits for it for ever.
    #[error("the centre was too slow: not done within {} s", .0.as_secs())]
    Slow(Duration),
    /// It refuses.
    #[error("the centre refuses: {text}")]
    Refused {
        /// Why.
        code: RefusalCode,
        /// In its words, without anything that a terminal would obey.
        text: String,
    },
    /// A frame that is none.
    #[error("the centre sent a bad frame: {0}")]
    Frame(#[from] ExchangeError),
    /// An answer that does not belong here.
    #[error("the centre answered out of turn: expected {expected}")]
    Turn {
        /// What was due.
        expected: &'static str,
    },
}

impl TalkError {
    /// Whether the same request may succeed a little later.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Io(_) | Self::Silent(_) => true,
            Self::Refused { code, .. } => matches!(code, RefusalCode::Busy | RefusalCode::Failed),
            Self::Slow(_) | Self::Frame(_) | Self::Turn { .. } => false,
        }
    }
}

/// How long a centre that stopped to read may take to say why.
const PARTING: Duration = Duration::from_secs(30);

/// Reads and writes at once, until both are done. Where nobody reads any more what is written, the reason stands in what was
/// sent back, if anywhere, so that is heard first.
pub(super) async fn both<R, W, E>(
    reader: impl Future<Output = Result<R, E>>,
    writer: impl Future<Output = Result<W, E>>,
) -> Result<(R, W), E> {
    tokio::pin!(reader, writer);
    tokio::select! {
        heard = &mut reader => {
            let heard = heard?;
            writer.await.map(|said| (heard, said))
        }
        said = &mut writer => match said {
            Ok(said) => reader.await.map(|heard| (heard, said)),
            Err(error) => {
                let last = timeout(PARTING, &mut reader).await;
                Err(last.ok().and_then(Result::err).unwrap_or(error))
            }
        },
    }
}

/// Waits no longer for all of an exchange than it takes at the least pace.
pub(super) async fn within<T, E: From<TalkError>>(
    limit: Duration,
    exchange: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    match timeout(limit, exchange).await {
        Ok(ended) => ended,
        Err(_) => Err(TalkError::Slow(limit).into()),
    }
}

/// The half that asks.
pub(super) struct Speaker<S> {
    half: WriteHalf<S>,
    patience: Duration,
}

/// The half that hears.
pub(super) struct Hearer<S> {
    half: ReadHalf<S>,
    patience: Duration,
}

/// Both halves of a new stream.
pub(super) async fn open<O: Opener>(
    opener: &O,
    patience: &Patience,
) -> Result<(Speaker<O::Stream>, Hearer<O::Stream>), TalkError> {
    let stream = timeout(patience.answer, opener.open()).await;
    let stream = stream.map_err(|_| TalkError::Silent(patience.answer))??;
    let (read, write) = stream.split();
    let speaker = Speaker {
        half: write,
        patience: patience.write,
    };
    let hearer = Hearer {
        half: read,
        patience: patience.answer,
    };
    Ok((speaker, hearer))
}

impl<S: AsyncRead + AsyncWrite + Unpin> Speaker<S> {
    pub(super) async fn say(&mut self, ask: &Ask) -> Result<(), TalkError> {
        let bytes = frame(&ask.to_bytes());
        let write = async {
            self.half.write_all(&bytes).await?;
            self.half.flush().await
        };
        let written = timeout(self.patience, write).await;
        Ok(written.map_err(|_| TalkError::Silent(self.patience))??)
    }

    /// Says that nothing follows.
    pub(super) async fn close(mut self) {
        // Everything was flushed: whoever does not hear this has all the same got what it needs.
        let _ = timeout(self.patience, self.half.close()).await;
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Hearer<S> {
    /// The next answer; a refusal is an error.
    pub(super) async fn hear(&mut self) -> Result<Answer, TalkError> {
        self.hear_within(self.patience).await
    }

    pub(super) async fn hear_within(&mut self, patience: Duration) -> Result<Answer, TalkError> {
        let read = async {
            let mut prefix = [0; FRAME_PREFIX];
            self.half.read_exact(&mut prefix).await?;
            let mut bytes = vec![0; frame_length(prefix)?];
            self.half.read_exact(&mut bytes).await?;
            Ok::<_, TalkError>(bytes)
        };
        let read = timeout(patience, read).await;
        let bytes = read.map_err(|_| TalkError::Silent(patience))??;
        match Answer::from_bytes(&bytes)? {
            Answer::Refused { code, text } => Err(TalkError::Refused {
                code,
                text: plain(&text),
            }),
            answer @ (Answer::Manifest { .. }
            | Answer::Chunk(_)
            | Answer::End
            | Answer::Opened(_)
            | Answer::Evaluated { .. }
            | Answer::Shuffled { .. }
            | Answer::Artifact(_)
            | Answer::Closed { .. }) => Ok(answer),
        }
    }
}

/// Words of another for a terminal: nothing that moves a cursor or turns the order of letters.
fn plain(text: &str) -> String {
    let shown = |c: char| c.is_ascii_graphic() || c == ' ' || c.is_alphanumeric();
    text.chars()
        .map(|c| if shown(c) { c } else { '?' })
        .collect()
}
