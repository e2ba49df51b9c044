//! Where a copy is made from: a node over HTTP, or a folder.
//!
//! Why two: an auditor without a connection gets a disk. In scope: bytes of a path, bounded. Out of scope: whether they are
//! right (`mirror`).

use std::io;
use std::path::{Path, PathBuf};

use super::folder::Folder;
use crate::http::{HttpClient, HttpError, TlsFault};

/// Why a source does not give a file.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The other side, or the way to it.
    #[error("{path}: {source}{}", hint(.source))]
    Http {
        /// The file.
        path: String,
        /// The fault.
        source: HttpError,
    },
    /// The folder.
    #[error("{path}: {source}")]
    Folder {
        /// The file.
        path: String,
        /// The fault.
        source: io::Error,
    },
    /// The file is larger than its kind can be.
    #[error("{path}: more than {max} bytes")]
    TooLarge {
        /// The file.
        path: String,
        /// The bound.
        max: u64,
    },
}

/// What an operator can do about a fault whose own words leave it open.
fn hint(fault: &HttpError) -> &'static str {
    match fault {
        HttpError::Tls(TlsFault::Certificate) => {
            ": it must be an end-entity certificate (CA:FALSE) that is itself among those of --ca, or one that a CA among \
             them issued; a self-signed CA certificate (CA:TRUE) is none that a server can show"
        }
        HttpError::Tls(TlsFault::Refused | TlsFault::Other)
        | HttpError::Url(_)
        | HttpError::Connect
        | HttpError::Timeout
        | HttpError::TooLarge { .. }
        | HttpError::Status { .. }
        | HttpError::Protocol
        | HttpError::Range
        | HttpError::Broken => "",
    }
}

/// Published logs.
pub trait Source {
    /// What a person calls it.
    fn name(&self) -> &str;

    /// A file of at most `max` bytes by its path below the folder of the logs; none if there is none.
    ///
    /// # Errors
    /// [`SourceError`].
    fn get(&self, path: &str, max: u64) -> Result<Option<Vec<u8>>, SourceError>;

    /// The next bytes of a history from a place on, at most `max`; empty if there are no more, none if there is no history.
    ///
    /// # Errors
    /// [`SourceError`].
    fn get_from(&self, path: &str, from: u64, max: u64) -> Result<Option<Vec<u8>>, SourceError>;
}

/// A folder: another copy, or a node's published one.
pub struct FolderSource {
    name: String,
    folder: Folder,
}

impl FolderSource {
    /// A folder that is there.
    ///
    /// # Errors
    /// Those of looking at it.
    pub fn open(root: &Path) -> io::Result<Self> {
        let name = PathBuf::from(root).display().to_string();
        let folder = Folder::open(root)?;
        Ok(Self { name, folder })
    }
}

impl Source for FolderSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn get(&self, path: &str, max: u64) -> Result<Option<Vec<u8>>, SourceError> {
        let read = self.folder.read(path, max);
        bounded(path, max, self.fault(path, read)?)
    }

    fn get_from(&self, path: &str, from: u64, max: u64) -> Result<Option<Vec<u8>>, SourceError> {
        let read = self.folder.read_from(path, from, max);
        self.fault(path, read)
    }
}

impl FolderSource {
    fn fault<T>(&self, path: &str, read: io::Result<T>) -> Result<T, SourceError> {
        read.map_err(|source| SourceError::Folder {
            path: format!("{}/{path}", self.name),
            source,
        })
    }
}

fn bounded(path: &str, max: u64, bytes: Option<Vec<u8>>) -> Result<Option<Vec<u8>>, SourceError> {
    match bytes {
        Some(bytes) if bytes.len() as u64 > max => Err(SourceError::TooLarge {
            path: path.to_owned(),
            max,
        }),
        bytes => Ok(bytes),
    }
}

/// A node, or any server of the same folder.
pub struct HttpSource {
    base: String,
    client: HttpClient,
}

impl HttpSource {
    /// A server by the URL under which its logs stand.
    #[must_use]
    pub fn new(url: &str, client: HttpClient) -> Self {
        let base = url.trim_end_matches('/').to_owned();
        Self { base, client }
    }

    fn fault(&self, path: &str, source: HttpError) -> SourceError {
        SourceError::Http {
            path: format!("{}/{path}", self.base),
            source,
        }
    }
}

impl Source for HttpSource {
    fn name(&self) -> &str {
        &self.base
    }

    fn get(&self, path: &str, max: u64) -> Result<Option<Vec<u8>>, SourceError> {
        match self.client.get(&format!("{}/{path}", self.base), max) {
            Ok(response) => Ok(Some(response.body)),
            Err(HttpError::Status { got: 404 | 410 }) => Ok(None),
            Err(source) => Err(self.fault(path, source)),
        }
    }

    fn get_from(&self, path: &str, from: u64, max: u64) -> Result<Option<Vec<u8>>, SourceError> {
        let url = format!("{}/{path}", self.base);
        match self.client.get_range(&url, from, max) {
            Ok(response) => Ok(Some(response.body)),
            // Nothing there yet.
            Err(HttpError::Status { got: 416 }) => Ok(Some(Vec::new())),
            Err(HttpError::Status { got: 404 | 410 }) => Ok(None),
            Err(source) => Err(self.fault(path, source)),
        }
    }
}
