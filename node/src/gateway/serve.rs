//! Routes, layers, certificates, start and end.
//!
//! From outside in: the time of a request, its audit line, then for all but a few routes the layer that admits. In scope:
//! putting these together. Out of scope: what routes do.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum_server::tls_rustls::RustlsConfig;
use hashpact_keys::Timestamp;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{interval, timeout};
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Document;
use utoipa_axum::router::OpenApiRouter;

use super::audit::AuditLog;
use super::caller::{Admission, admit};
use super::config::GatewayConfig;
use super::desk::Desk;
use super::native;
use super::ncmec;
use super::nearby::Nearby;
use super::problem::Problem;
use super::record::{Recorder, record};
use super::shield;
use super::unnamed::EVERY;
use crate::daemon::Handle;
use crate::http::{Server, StartHttpError, TlsFiles, TlsFilesError, open_config};
use crate::subset::Feed;

/// Bytes of a request's body at most, unless a route says less: a thousand fingerprints of the longest kind.
const BODY_LEN_MAX: usize = 512 * 1024;
/// How often the files of the certificate are looked at.
const RELOAD: Duration = Duration::from_secs(2);

/// What routes work with; clones share it.
#[derive(Clone)]
pub(crate) struct GatewayState {
    /// What members have.
    pub(crate) feed: Feed,
    /// The core and the store.
    pub(crate) handle: Handle,
    /// Near matches of members.
    pub(crate) nearby: Nearby,
    /// Where lines about look-ups go.
    pub(crate) audit: AuditLog,
    /// What time it is.
    pub(crate) clock: fn() -> Timestamp,
}

/// The running gateway. Dropped, it ends at once; [`Gateway::stop`] lets requests under way end.
pub(crate) struct Gateway {
    server: Server,
    reload: Option<JoinHandle<()>>,
    telling: JoinHandle<()>,
    recorder: Recorder,
}

impl Gateway {
    /// Starts to serve members. `home` is where the paths of the configuration begin. Call on a tokio runtime.
    pub(crate) fn start(
        config: &GatewayConfig,
        home: &Path,
        desk: &Desk,
        handle: Handle,
    ) -> Result<Self, StartHttpError> {
        let state = GatewayState {
            feed: handle.feed(),
            handle,
            nearby: Nearby::default(),
            audit: desk.audit.clone(),
            clock: crate::clock::now,
        };
        let (closed, _) = routes().split_for_parts();
        let (open, _) = open_routes().split_for_parts();
        let closed = closed.with_state(state.clone());
        let open = open.with_state(state);
        let open = open.merge(described()).merge(shield::unread());
        let config = config.clone().in_home(home);
        let admission = desk.admission(&config.trusted_proxies);
        Self::open(&config, desk, admission, closed, open)
    }

    /// Starts to serve these routes: `closed` to whoever is admitted, `open` to everybody. Paths are as they are.
    pub(super) fn open(
        config: &GatewayConfig,
        desk: &Desk,
        admission: Admission,
        closed: Router,
        open: Router,
    ) -> Result<Self, StartHttpError> {
        let files = config.http.tls.clone();
        let tls = files
            .as_ref()
            .map(|files| open_config(files).map(Arc::new))
            .transpose()?
            .map(RustlsConfig::from_config);
        let recorder = desk.recorder(admission.clock);
        let bound = config.http.bounds.request;
        let routes = layered(closed, open, recorder.clone(), admission, bound);
        let server = Server::open(&config.http, tls.clone(), routes)?;
        let reload = files
            .zip(tls)
            .map(|(files, tls)| tokio::spawn(reload(files, tls)));
        desk.listens(server.address());
        tracing::info!(address = %server.address(), "serving members over HTTP");
        Ok(Self {
            server,
            reload,
            telling: tokio::spawn(tell(recorder.clone())),
            recorder,
        })
    }

    /// Where it listens.
    #[cfg(test)]
    pub(super) fn address(&self) -> std::net::SocketAddr {
        self.server.address()
    }

    /// Accepts nothing more, lets requests under way end within the bound, then ends.
    pub(crate) async fn stop(mut self) {
        if let Some(reload) = self.reload.take() {
            reload.abort();
        }
        self.telling.abort();
        self.server.stop().await;
        let Recorder {
            unnamed,
            audit,
            clock,
            ..
        } = self.recorder;
        unnamed.tell(&audit, clock());
    }
}

#[derive(OpenApi)]
#[openapi(info(
    title = "Hashpact gateway",
    description = "What a member of a Hashpact centre reads over HTTP. Only hashes and labels; every change carries what is needed to verify it to its origin's signature. See docs/providers.md.",
))]
struct Info;

/// The routes that ask for a credential.
fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::with_openapi(Info::openapi())
        .merge(native::routes())
        .merge(ncmec::routes())
        .merge(shield::routes())
}

fn open_routes() -> OpenApiRouter<GatewayState> {
    native::open_routes()
}

/// The gateway's description of itself: OpenAPI 3.1.
#[must_use]
pub fn openapi() -> Document {
    let mut document = routes().into_openapi();
    document.merge(open_routes().into_openapi());
    super::describe::finish(&mut document);
    document
}

/// `GET /v1/openapi.json`.
fn described() -> Router {
    let text: Arc<str> = openapi().to_pretty_json().unwrap_or_default().into();
    let answer = move || async move {
        let headers = [
            (CONTENT_TYPE, "application/json"),
            (CACHE_CONTROL, "max-age=300"),
        ];
        (headers, text.to_string()).into_response()
    };
    Router::new().route("/v1/openapi.json", get(answer))
}

/// All layers around routes that ask for a credential and routes that do not.
fn layered(
    closed: Router,
    open: Router,
    recorder: Recorder,
    admission: Admission,
    request: Duration,
) -> Router {
    closed
        .method_not_allowed_fallback(other_method)
        .route_layer(from_fn_with_state(admission, admit))
        .merge(open)
        .fallback(|| async { Problem::not_found() })
        .layer(DefaultBodyLimit::max(BODY_LEN_MAX))
        .layer(from_fn_with_state(request, within))
        .layer(from_fn(shield::detailed))
        .layer(from_fn_with_state(recorder, record))
}

async fn other_method() -> Problem {
    let detail = "this path has another method";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", detail)
}

/// Bounds the time to an answer's head, and says what every answer says.
async fn within(State(bound): State<Duration>, request: Request, next: Next) -> Response {
    let mut response = match is_too_large(&request) {
        true => Problem::too_large().into_response(),
        false => match timeout(bound, next.run(request)).await {
            Ok(response) => in_words(response),
            Err(_) => Problem::too_long().into_response(),
        },
    };
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let year = HeaderValue::from_static("max-age=31536000");
    headers.insert(STRICT_TRANSPORT_SECURITY, year);
    response
}

/// Whether a body says of itself that it is longer than any that is read. What is not read at all may be of any length.
fn is_too_large(request: &Request) -> bool {
    if shield::is_unread(request.uri().path()) {
        return false;
    }
    let length = request.headers().get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    length.is_some_and(|length| length > BODY_LEN_MAX as u64)
}

/// A refusal of the framework's own, which is a line of text, as a problem.
fn in_words(response: Response) -> Response {
    let status = response.status();
    let content = response.headers().get(CONTENT_TYPE);
    let is_text = content.is_some_and(|content| content.as_bytes().starts_with(b"text/plain"));
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large().into_response(),
        _ if status.is_client_error() && is_text => {
            let detail = "the request is not one that this path reads";
            Problem::new(status, "request", detail).into_response()
        }
        _ => response,
    }
}

/// Tells of requests of nobody once a minute.
async fn tell(recorder: Recorder) {
    let mut ticks = interval(EVERY);
    loop {
        ticks.tick().await;
        let (unnamed, audit) = (recorder.unnamed.clone(), recorder.audit.clone());
        let now = (recorder.clock)();
        // A panic there leaves the counts, which the next line tells.
        let _ = spawn_blocking(move || unnamed.tell(&audit, now)).await;
    }
}

/// Reads the certificate again when its files change. Files that do not fit each other are left until they do.
async fn reload(files: TlsFiles, tls: RustlsConfig) {
    let mut last = stamp(&files);
    let mut ticks = interval(RELOAD);
    loop {
        ticks.tick().await;
        let again = files.clone();
        let read = spawn_blocking(move || {
            let now = stamp(&again);
            (now != last).then(|| (now, open_config(&again)))
        });
        match read.await {
            Ok(Some((now, Ok(config)))) => {
                last = now;
                tls.reload_from_config(Arc::new(config));
                tracing::info!("the gateway's certificate was read again");
            }
            Ok(Some((now, Err(error)))) => {
                last = now;
                still(&error);
            }
            Ok(None) | Err(_) => {}
        }
    }
}

fn still(error: &TlsFilesError) {
    tracing::warn!(%error, "the gateway's certificate has changed and cannot be used: the one before stays");
}

/// What tells whether the files have changed: a hash of both; nothing of one that cannot be read.
fn stamp(files: &TlsFiles) -> [Option<blake3::Hash>; 2] {
    [&files.certificate, &files.key].map(|path| {
        let bytes = zeroize::Zeroizing::new(std::fs::read(path).ok()?);
        Some(blake3::hash(&bytes))
    })
}
