//! The audit line of a member's request, written when its answer has gone or was cut.
//!
//! In scope: what the line holds, and counting the bytes of an answer. Out of scope: where lines go (`audit`),
//! requests of nobody (`unnamed`).

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, BodyDataStream, Bytes, HttpBody as _};
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use futures::Stream;
use hashpact_keys::Timestamp;
use serde::Serialize;

use super::audit::AuditLog;
use super::token::CredentialId;
use super::unnamed::Unnamed;
use crate::subset::MemberId;

/// Where the layer that admits says who asked.
#[derive(Clone, Default)]
pub(crate) struct Slot(Arc<OnceLock<(MemberId, CredentialId)>>);

impl Slot {
    pub(crate) fn set(&self, member: MemberId, credential: CredentialId) {
        let _ = self.0.set((member, credential));
    }
}

/// What is counted for `status`; clones share it.
#[derive(Clone, Default)]
pub(crate) struct Counts {
    inner: Arc<[AtomicU64; 2]>,
}

impl Counts {
    /// Requests answered, and those of them with a status of 400 or more, since the node started.
    pub(crate) fn read(&self) -> (u64, u64) {
        let [all, refused] = &*self.inner;
        (all.load(Ordering::Relaxed), refused.load(Ordering::Relaxed))
    }

    fn count(&self, status: u16) {
        let [all, refused] = &*self.inner;
        all.fetch_add(1, Ordering::Relaxed);
        if status >= 400 {
            refused.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What records requests.
#[derive(Clone)]
pub(crate) struct Recorder {
    pub(crate) audit: AuditLog,
    pub(crate) counts: Counts,
    pub(super) unnamed: Unnamed,
    pub(crate) clock: fn() -> Timestamp,
}

/// One line. No value of a path or a query, no fingerprint.
#[derive(Serialize)]
struct Line<'a> {
    member: &'a str,
    credential: CredentialId,
    method: &'a str,
    path: &'a str,
    status: u16,
    bytes: u64,
    ms: u64,
    /// Whether the answer ended before it was whole.
    cut: bool,
}

/// The layer.
pub(crate) async fn record(
    State(recorder): State<Recorder>,
    mut request: Request,
    next: Next,
) -> Response {
    let slot = Slot::default();
    request.extensions_mut().insert(slot.clone());
    let path = request.extensions().get::<MatchedPath>();
    let mut pending = Pending {
        recorder,
        slot,
        path: path.map_or_else(|| "-".to_owned(), |path| path.as_str().to_owned()),
        method: known(request.method()),
        began: Instant::now(),
        status: 0,
        bytes: 0,
        whole: false,
    };
    let response = next.run(request).await;
    pending.status = response.status().as_u16();
    let (mut parts, body) = response.into_parts();
    if let Some(len) = body.size_hint().exact() {
        let is_bodiless = parts.status.is_informational() || parts.status.as_u16() == 304;
        if !is_bodiless && !parts.headers.contains_key(CONTENT_LENGTH) {
            parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(len));
        }
        if len == 0 {
            pending.whole = true;
            drop(pending);
            return Response::from_parts(parts, body);
        }
    }
    let counted = Counted {
        body: body.into_data_stream(),
        pending,
    };
    Response::from_parts(parts, Body::from_stream(counted))
}

/// A method that has a name; what a client made up is not repeated.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        _ => "-",
    }
}

/// A line that is not written yet; dropped, it is, or counted if nobody was admitted.
struct Pending {
    recorder: Recorder,
    slot: Slot,
    path: String,
    method: &'static str,
    began: Instant,
    status: u16,
    bytes: u64,
    whole: bool,
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.recorder.counts.count(self.status);
        let Some((member, credential)) = self.slot.0.get() else {
            return self.recorder.unnamed.count(self.status, self.bytes);
        };
        let now = (self.recorder.clock)();
        let line = Line {
            member: member.as_str(),
            credential: *credential,
            method: self.method,
            path: &self.path,
            status: self.status,
            bytes: self.bytes,
            ms: u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            cut: !self.whole,
        };
        self.recorder.audit.write(now, "request", &line);
    }
}

/// A body that counts what is taken of it.
struct Counted {
    body: BodyDataStream,
    pending: Pending,
}

impl Stream for Counted {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = Pin::new(&mut self.body).poll_next(context);
        match &next {
            Poll::Ready(Some(Ok(bytes))) => self.pending.bytes += bytes.len() as u64,
            Poll::Ready(None) => self.pending.whole = true,
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        // A body of known length is not asked again after its last byte.
        if self.body.is_end_stream() {
            self.pending.whole = true;
        }
        next
    }
}
