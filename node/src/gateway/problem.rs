//! What is said when something is not done: `application/problem+json` (RFC 9457).
//!
//! Why: a program can act on `status` and a person on `detail`. A detail never repeats what was sent and never tells whether
//! a member, an entry or a class exists that the caller may not have. In scope: the body and its headers. An answer also
//! carries its problem as an extension, so that a part of the gateway whose clients expect another form can write that.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// Basic first: it is what the clients of existing hash-sharing services send.
const CHALLENGE: &str = "Basic realm=\"hashpact\", charset=\"UTF-8\", Bearer realm=\"hashpact\"";

/// Why a request is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    /// A stable word, the end of the problem's type.
    pub(crate) code: &'static str,
    /// A sentence for a person.
    pub(crate) detail: String,
    /// Seconds after which it may be asked again.
    pub(crate) retry_after: Option<u64>,
}

/// The body of a problem (RFC 9457).
#[derive(Serialize, ToSchema)]
pub(crate) struct ProblemBody<'a> {
    /// `urn:hashpact:problem:` and a stable word.
    #[serde(rename = "type")]
    kind: String,
    /// The status in words.
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// What is wrong and what to do.
    detail: &'a str,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            retry_after: None,
        }
    }

    pub(crate) fn bad(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// One answer for every credential that is not good: nothing is told of why.
    pub(crate) fn unknown_caller() -> Self {
        let detail = "no valid credential: send `Authorization: Basic` with member and token, or `Bearer` with the token";
        Self::new(StatusCode::UNAUTHORIZED, "credential", detail)
    }

    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "nothing here")
    }

    pub(crate) fn wait(code: &'static str, seconds: u64, detail: impl Into<String>) -> Self {
        Self {
            retry_after: Some(seconds.max(1)),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, code, detail)
        }
    }

    /// The node's own fault; what it was goes to the log of the node.
    pub(crate) fn failed() -> Self {
        let detail = "the node could not answer: its operator's log says why";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", detail)
    }

    pub(crate) fn stopping() -> Self {
        Self {
            retry_after: Some(5),
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "stopping",
                "the node is stopping or too busy",
            )
        }
    }

    pub(crate) fn too_large() -> Self {
        let detail = "the body is longer than this path reads";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail)
    }

    /// The request did not come whole, or its answer was not ready, in time.
    pub(crate) fn too_long() -> Self {
        Self {
            retry_after: Some(5),
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too-long",
                "the request or its answer took too long",
            )
        }
    }

    fn body(&self) -> Vec<u8> {
        let body = ProblemBody {
            kind: format!("urn:hashpact:problem:{}", self.code),
            title: self.status.canonical_reason().unwrap_or("problem"),
            status: self.status.as_u16(),
            detail: &self.detail,
        };
        // Strings and a number always encode.
        serde_json::to_vec(&body).unwrap_or_default()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        let json = HeaderValue::from_static("application/problem+json");
        headers.insert(CONTENT_TYPE, json);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(self);
        response
    }
}
