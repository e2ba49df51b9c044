//! The HTTP side of a witness: `POST /add-checkpoint`, and `GET /<origin hash>/checkpoint` for monitors.
//!
//! Why: a stock log asks its witnesses this way, and anybody may see what a witness last cosigned. Spec: C2SP `tlog-witness`.
//! Whoever can reach it may ask: a request is worth what the log's signature under it is. In scope: requests and statuses.
//! Out of scope: sockets and TLS; who connects is neither asked nor logged.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, FromRequest as _, Path, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use hashpact_keys::{Signer, Timestamp};
use hashpact_protocol::log::{AddCheckpoint, REQUEST_BYTES, Refusal, VerifierKey};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::logs::Logs;
use super::marker::parse_hash;
use super::state::{CosignError, Cosigned, WitnessState};
use crate::clock;

/// A body must have come within this.
const BODY_TIME: Duration = Duration::from_secs(10);
/// Requests at work at once: each waits for the disk, and of one log only one can.
const AT_WORK: usize = 16;

const TEXT: &str = "text/plain; charset=utf-8";
/// The type that the specification gives the size in a conflict.
const SIZE: &str = "text/x.tlog.size";

/// A witness that answers.
pub struct WitnessService {
    signer: Signer,
    logs: RwLock<Logs>,
    state: WitnessState,
    at_work: Semaphore,
}

impl WitnessService {
    /// A witness with its key, its logs and its state. The signer is the key that the state was opened for.
    #[must_use]
    pub fn new(signer: Signer, logs: Logs, state: WitnessState) -> Self {
        Self {
            signer,
            logs: RwLock::new(logs),
            state,
            at_work: Semaphore::new(AT_WORK),
        }
    }

    /// The name and key under which it cosigns.
    #[must_use]
    pub fn key(&self) -> &VerifierKey {
        self.state.key()
    }

    /// Takes other logs, as after a change of the roster. What was cosigned is kept.
    pub fn set_logs(&self, logs: Logs) {
        *self.logs.write().unwrap_or_else(PoisonError::into_inner) = logs;
    }

    /// Judges a request and cosigns: the answer's body. Blocking.
    ///
    /// # Errors
    /// [`CosignError`].
    pub fn add_checkpoint(&self, body: &[u8], now: Timestamp) -> Result<Vec<u8>, CosignError> {
        let request = AddCheckpoint::from_bytes(body).map_err(Refusal::from)?;
        let log_of = |origin: &str| {
            let logs = self.logs.read().unwrap_or_else(PoisonError::into_inner);
            logs.find(origin, now)
        };
        let submitted = request.authenticate(log_of)?;
        self.state.cosign(&submitted, &self.signer, now)
    }

    /// The newest checkpoint that was cosigned for the log with this origin hash. Blocking.
    ///
    /// # Errors
    /// [`CosignError::Unknown`].
    pub fn cosigned(&self, hash: &[u8; 32]) -> Result<Option<Cosigned>, CosignError> {
        self.state.cosigned(hash)
    }

    /// The routes, below whatever prefix they are mounted at.
    pub fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route("/add-checkpoint", post(add_checkpoint))
            .route("/{origin_hash}/checkpoint", get(checkpoint))
            .layer(DefaultBodyLimit::max(REQUEST_BYTES))
            .with_state(self)
    }
}

async fn add_checkpoint(State(service): State<Arc<WitnessService>>, request: Request) -> Response {
    let body = match timeout(BODY_TIME, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => body,
        Ok(Err(rejection)) => return unread(&rejection),
        Err(_) => return line(StatusCode::REQUEST_TIMEOUT, "the request took too long"),
    };
    // Taken after the body: a slow sender holds nobody else's place.
    let Ok(_place) = service.at_work.acquire().await else {
        return failed();
    };
    let work = Arc::clone(&service);
    // The disk is slow: not on a thread that serves others.
    match spawn_blocking(move || work.add_checkpoint(&body, clock::now())).await {
        Ok(Ok(cosignature)) => text(StatusCode::OK, TEXT, cosignature),
        Ok(Err(error)) => refused(&error),
        Err(_) => failed(),
    }
}

async fn checkpoint(
    State(service): State<Arc<WitnessService>>,
    Path(origin_hash): Path<String>,
) -> Response {
    let absent = || {
        line(
            StatusCode::NOT_FOUND,
            "no checkpoint of that log was cosigned",
        )
    };
    let Some(hash) = parse_hash(&origin_hash) else {
        return absent();
    };
    match spawn_blocking(move || service.cosigned(&hash)).await {
        Ok(Ok(Some(cosigned))) => text(StatusCode::OK, TEXT, cosigned.note),
        Ok(Ok(None)) => absent(),
        Ok(Err(error)) => refused(&error),
        Err(_) => failed(),
    }
}

fn unread(rejection: &BytesRejection) -> Response {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            line(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large")
        }
        _ => line(StatusCode::BAD_REQUEST, "the body cannot be read"),
    }
}

fn refused(error: &CosignError) -> Response {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    if let CosignError::Refused(Refusal::Conflict { last, .. }) = error {
        return text(status, SIZE, format!("{last}\n").into_bytes());
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        tracing::warn!(%error, "nothing is cosigned");
        return line(status, "this witness cannot cosign at this time");
    }
    text(status, TEXT, format!("{error}\n").into_bytes())
}

/// A thread of this process failed.
fn failed() -> Response {
    line(StatusCode::INTERNAL_SERVER_ERROR, "failed")
}

fn line(status: StatusCode, words: &'static str) -> Response {
    text(status, TEXT, format!("{words}\n").into_bytes())
}

fn text(status: StatusCode, kind: &'static str, body: Vec<u8>) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(kind)),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, body).into_response()
}
