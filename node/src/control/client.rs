//! The shell's end of the control socket; blocking, as a shell command is.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Fault, LINE_MAX, Line, Request};

/// A connection to a running node.
pub struct Client {
    read: BufReader<UnixStream>,
    write: UnixStream,
}

/// Requests on their way while one is answered.
const AHEAD: usize = 2;

/// Why requests that were sent ahead ended early.
#[derive(Debug)]
pub enum Ahead<E> {
    /// One got no good answer.
    Client(ClientError),
    /// The next could not be made.
    Source(E),
}

impl<E> From<ClientError> for Ahead<E> {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

/// Why a request got no good answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nothing listens.
    #[error("no node runs in {home}: start it with `hashpact run --home {home}`", home = home.display())]
    NotRunning {
        /// The home.
        home: PathBuf,
    },
    /// The connection broke.
    #[error("the connection to the node broke: {0}")]
    Io(#[from] io::Error),
    /// The node spoke otherwise than this version does.
    #[error("the node answered in a form that this version does not know: {0}")]
    Form(#[from] serde_json::Error),
    /// It closed the connection before it answered.
    #[error(
        "the node stopped before it answered: what it had acknowledged is durable; repeat the command"
    )]
    Closed,
    /// It said why not.
    #[error("{}", .0.text)]
    Fault(Fault),
}

impl Client {
    /// Connects to the node of a home.
    ///
    /// # Errors
    /// [`ClientError::NotRunning`].
    pub fn connect(home: &crate::home::Home) -> Result<Self, ClientError> {
        Self::connect_path(&home.socket()).map_err(|_| ClientError::NotRunning {
            home: home.path().to_owned(),
        })
    }

    fn connect_path(path: &Path) -> io::Result<Self> {
        let write = UnixStream::connect(path)?;
        Ok(Self {
            read: BufReader::new(write.try_clone()?),
            write,
        })
    }

    /// Sends requests ahead while earlier ones are answered, and hands each line of an answer, the last as well, to `each`
    /// with what came beside its request. Ends at the first request that is refused, or that the source cannot give.
    ///
    /// # Errors
    /// [`Ahead`]. The connection is then of no use any more.
    pub fn ask_ahead<T: Send, E: Send>(
        &mut self,
        requests: impl Iterator<Item = Result<(Request, T), E>> + Send,
        mut each: impl FnMut(&T, Line),
    ) -> Result<(), Ahead<E>> {
        let (read, write) = (&mut self.read, &self.write);
        std::thread::scope(|scope| {
            let (sent_in, sent) = std::sync::mpsc::sync_channel(AHEAD);
            scope.spawn(move || {
                for request in requests {
                    let (request, beside) = match request {
                        Ok(pair) => pair,
                        Err(error) => {
                            let _ = sent_in.send(Err(Ahead::Source(error)));
                            return;
                        }
                    };
                    // Told before it is written: whoever reads must not wait for one that waits for room.
                    if sent_in.send(Ok(beside)).is_err() || put(write, &request).is_err() {
                        return;
                    }
                }
            });
            let answered = sent.iter().try_for_each(|beside| {
                let beside = beside?;
                let last = answer(read, |line| each(&beside, line))?;
                each(&beside, Line::Done(last));
                Ok(())
            });
            if answered.is_err() {
                // The other thread may be waiting for room in a socket that nobody reads.
                let _ = write.shutdown(std::net::Shutdown::Both);
            }
            answered
        })
    }

    /// Asks, hands every line before the last to `each`, and returns the answer.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn ask(
        &mut self,
        request: &Request,
        mut each: impl FnMut(Line),
    ) -> Result<Value, ClientError> {
        put(&self.write, request)?;
        answer(&mut self.read, &mut each)
    }
}

fn put(mut write: &UnixStream, request: &Request) -> Result<(), ClientError> {
    let mut bytes = serde_json::to_vec(request)?;
    bytes.push(b'\n');
    Ok(write.write_all(&bytes)?)
}

/// Reads one answer: every line before the last goes to `each`.
fn answer(
    read: &mut BufReader<UnixStream>,
    mut each: impl FnMut(Line),
) -> Result<Value, ClientError> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let bound = (LINE_MAX * 4) as u64;
        if (&mut *read).take(bound).read_until(b'\n', &mut line)? == 0 {
            return Err(ClientError::Closed);
        }
        match serde_json::from_slice(&line)? {
            Line::Done(value) => return Ok(value),
            Line::Error(fault) => return Err(ClientError::Fault(fault)),
            line @ (Line::Progress(_) | Line::Match(_) | Line::Report(_)) => each(line),
        }
    }
}
