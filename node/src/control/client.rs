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

    /// Asks, hands every line before the last to `each`, and returns the answer.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn ask(
        &mut self,
        request: &Request,
        mut each: impl FnMut(Line),
    ) -> Result<Value, ClientError> {
        let mut bytes = serde_json::to_vec(request)?;
        bytes.push(b'\n');
        self.write.write_all(&bytes)?;
        let mut line = Vec::new();
        loop {
            line.clear();
            let bound = (LINE_MAX * 4) as u64;
            if (&mut self.read).take(bound).read_until(b'\n', &mut line)? == 0 {
                return Err(ClientError::Closed);
            }
            match serde_json::from_slice(&line)? {
                Line::Done(value) => return Ok(value),
                Line::Error(fault) => return Err(ClientError::Fault(fault)),
                line @ (Line::Progress(_) | Line::Match(_) | Line::Report(_)) => each(line),
            }
        }
    }
}
