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
    /// A history that is read no further.
    #[error("{path}: too many of its notes are no larger checkpoints of this log")]
    History {
        /// The file.
        path: String,
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

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpListener};
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
    use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
    use rustls::{ServerConfig, ServerConnection, StreamOwned};

    use super::*;
    use crate::http::HttpClientConfig;

    const SOON: Duration = Duration::from_secs(20);

    fn source(url: &str, ca: Option<&Path>) -> HttpSource {
        let client = HttpClient::new(&HttpClientConfig {
            timeout: SOON,
            identity: None,
            roots: ca.map(PathBuf::from),
        });
        HttpSource::new(url, client.unwrap())
    }

    /// Answers each connection with a history that has no end, from the byte that is asked for.
    fn endless() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                let (mut head, mut byte) = (Vec::new(), [0]);
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) > 0 {
                    head.push(byte[0]);
                }
                let head = String::from_utf8_lossy(&head).to_lowercase();
                let from = head.split("range: bytes=").nth(1);
                let from = from.and_then(|rest| rest.split('-').next()).unwrap_or("?");
                let head = format!(
                    "HTTP/1.1 206 Partial\r\nContent-Range: bytes {from}-999999999999/1000000000000\r\n\r\n"
                );
                let mut said = stream.write_all(head.as_bytes());
                while said.is_ok() {
                    said = stream.write_all(&[b'x'; 4096]);
                }
            }
        });
        address
    }

    #[test]
    fn a_history_without_an_end_comes_in_pieces() {
        let source = source(&format!("http://{}", endless()), None);
        for from in [0, 1 << 30] {
            let piece = source.get_from("log/history", from, 100_000).unwrap();
            assert_eq!(piece, Some(vec![b'x'; 100_000]), "{from}");
        }
    }

    #[test]
    fn a_folder_gives_no_more_of_a_history_than_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("history"), "0123456789").unwrap();
        let source = FolderSource::open(dir.path()).unwrap();
        let read = |from| source.get_from("history", from, 4).unwrap().unwrap();
        assert_eq!(
            [read(0), read(4), read(8), read(10)],
            [&b"0123"[..], b"4567", b"89", b""]
        );
    }

    #[test]
    fn a_ca_certificate_that_a_server_shows_as_its_own_is_explained() {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let ca = dir.path().join("ca.pem");
        std::fs::write(&ca, certificate.pem()).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key);
        let config = Arc::new(config.unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut stream = StreamOwned::new(connection, stream);
                let _ = stream.read(&mut [0; 1024]);
            }
        });
        let source = source(&format!("https://{address}"), Some(&ca));
        let error = source.get("rosters/1", 1_000).unwrap_err();
        let fault = HttpError::Tls(TlsFault::Certificate);
        assert!(matches!(&error, SourceError::Http { source, .. } if *source == fault));
        let words = error.to_string();
        assert!(
            words.contains("end-entity certificate (CA:FALSE)") && words.contains("--ca"),
            "{words}"
        );
    }
}
