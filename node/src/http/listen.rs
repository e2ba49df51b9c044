//! Where the server listens, and how it ends.
//!
//! Why: a log that is open to the whole network by mistake is a leak, so plain HTTP is for loopback only, where a proxy does
//! the rest. In scope: sockets, TLS or not, the time of a request, stopping. Out of scope: paths (`serve`), keys (`tls`).

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::X_CONTENT_TYPE_OPTIONS;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum_server::Handle;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::bounds::{Bounds, Gate};
use super::folder::LogFolder;
use super::serve::{line, router};
use super::tls::{Admitted, TlsFilesError, server_config};

/// Bytes of a request's head at most.
const HEAD_LEN_MAX: usize = 16 * 1024;
/// Bytes of a request's body that a route reads at most, unless it says less: a checkpoint and a consistency proof are far
/// below.
const BODY_LEN_MAX: usize = 256 * 1024;

/// The files of a server's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and those that sign it, in PEM.
    pub certificate: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
}

/// Where and how to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    /// The address; port 0 is any.
    pub listen: SocketAddr,
    /// The certificate; without one it is plain HTTP on loopback.
    pub tls: Option<TlsFiles>,
    /// What clients may take.
    pub bounds: Bounds,
}

/// Why a configuration is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpConfigError {
    /// Plain HTTP where others could connect.
    #[error(
        "plain HTTP on {listen} would be open to others: give `certificate` and `key`, or listen on a loopback address behind a proxy"
    )]
    PlainBeyondLoopback {
        /// The address asked for.
        listen: SocketAddr,
    },
}

impl HttpConfig {
    /// Plain HTTP, with the usual bounds.
    #[must_use]
    pub fn plain(listen: SocketAddr) -> Self {
        Self {
            listen,
            tls: None,
            bounds: Bounds::default(),
        }
    }

    /// Checks that nobody but this machine can speak to it without TLS.
    ///
    /// # Errors
    /// [`HttpConfigError::PlainBeyondLoopback`].
    pub fn check(&self) -> Result<(), HttpConfigError> {
        let listen = self.listen;
        match self.tls.is_some() || listen.ip().to_canonical().is_loopback() {
            true => Ok(()),
            false => Err(HttpConfigError::PlainBeyondLoopback { listen }),
        }
    }

    /// The same with paths that are relative to `home`.
    #[must_use]
    pub fn in_home(mut self, home: &Path) -> Self {
        if let Some(files) = &mut self.tls {
            files.certificate = home.join(&files.certificate);
            files.key = home.join(&files.key);
        }
        self
    }
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartHttpError {
    /// What it is told to do is not allowed.
    #[error(transparent)]
    Config(#[from] HttpConfigError),
    /// Its certificate.
    #[error(transparent)]
    Tls(#[from] TlsFilesError),
    /// Its address.
    #[error("HTTP cannot listen on {listen}: {source}")]
    Listen {
        /// The address asked for.
        listen: SocketAddr,
        /// The fault.
        source: io::Error,
    },
}

/// A running server. Dropped, it ends at once; [`Server::stop`] lets requests under way end.
pub struct Server {
    address: SocketAddr,
    handle: Handle<SocketAddr>,
    stop: Duration,
    task: JoinHandle<io::Result<()>>,
}

impl Server {
    /// Starts to serve. `extra` are routes beside the log folder's, such as a witness's; it has no fallback of its own. Call
    /// on a tokio runtime.
    ///
    /// # Errors
    /// [`StartHttpError`].
    pub fn start(
        config: &HttpConfig,
        folder: LogFolder,
        admitted: Admitted,
        extra: Router,
    ) -> Result<Self, StartHttpError> {
        let tls = config
            .tls
            .as_ref()
            .map(|files| server_config(files, admitted))
            .transpose()?
            .map(|tls| RustlsConfig::from_config(Arc::new(tls)));
        let routes = all(folder, extra, config.bounds.request);
        Self::open(config, tls, routes)
    }

    /// Starts to serve routes that bound the time of a request themselves, and are told the address of the other end. The
    /// certificate is whatever `tls` holds at each handshake. Call on a tokio runtime.
    ///
    /// # Errors
    /// [`StartHttpError`].
    pub(crate) fn open(
        config: &HttpConfig,
        tls: Option<RustlsConfig>,
        routes: Router,
    ) -> Result<Self, StartHttpError> {
        config.check()?;
        let listen = config.listen;
        let fault = |source| StartHttpError::Listen { listen, source };
        let listener = TcpListener::bind(listen).map_err(fault)?;
        listener.set_nonblocking(true).map_err(fault)?;
        let address = listener.local_addr().map_err(fault)?;
        let (bounds, handle) = (config.bounds, Handle::new());
        let mut server = axum_server::from_tcp(listener)
            .map_err(fault)?
            .handle(handle.clone());
        server.http_builder().http1().max_buf_size(HEAD_LEN_MAX);
        let service = routes.into_make_service_with_connect_info::<SocketAddr>();
        let gate = Gate::new(bounds);
        let task = match tls {
            None => tokio::spawn(server.acceptor(gate).http1_only().serve(service)),
            Some(tls) => {
                let acceptor = RustlsAcceptor::new(tls)
                    .handshake_timeout(bounds.handshake)
                    .acceptor(gate);
                tokio::spawn(server.acceptor(acceptor).http1_only().serve(service))
            }
        };
        Ok(Self {
            address,
            handle,
            stop: bounds.stop,
            task,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts nothing more, lets requests under way end within the bound, then ends.
    pub async fn stop(mut self) {
        self.handle.graceful_shutdown(Some(self.stop));
        // The server ends by itself within the bound; a fault of its own must not keep the node.
        if timeout(self.stop * 2, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.handle.shutdown();
    }
}

fn all(folder: LogFolder, extra: Router, request: Duration) -> Router {
    extra
        .method_not_allowed_fallback(|| async {
            line(StatusCode::METHOD_NOT_ALLOWED, "another method\n")
        })
        .fallback_service(router(folder))
        .layer(DefaultBodyLimit::max(BODY_LEN_MAX))
        .layer(from_fn_with_state(request, within))
}

/// Bounds the time to an answer's head, and keeps browsers from guessing what it is.
async fn within(State(bound): State<Duration>, request: Request, next: Next) -> Response {
    let mut response = match timeout(bound, next.run(request)).await {
        Ok(response) => response,
        Err(_) => line(StatusCode::SERVICE_UNAVAILABLE, "took too long\n"),
    };
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
