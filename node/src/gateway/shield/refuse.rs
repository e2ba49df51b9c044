//! Refusals as these clients read them: JSON with `detail`, whatever part of the gateway refused.

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::gateway::problem::Problem;

/// Paths of this shape, with or without the slash at their end.
const PATHS: [&str; 3] = ["/v1/pdq", "/v1/media", "/v1/url"];

/// Whether a body sent to this path is never read, so that its length does not matter.
pub(crate) fn is_unread(path: &str) -> bool {
    matches!(path, "/v1/media/" | "/v1/url/")
}

/// The body of a refusal.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Detail<'a> {
    /// What is wrong and what to do.
    detail: &'a str,
}

/// The layer around all others: what is refused on a path of this shape is said in its form.
pub(crate) async fn detailed(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_ours = PATHS.contains(&path.strip_suffix('/').unwrap_or(path));
    let response = next.run(request).await;
    let is_refusal = !response.status().is_success();
    match is_ours && is_refusal {
        true => rewritten(response),
        false => response,
    }
}

fn rewritten(response: Response) -> Response {
    let status = response.status();
    let known = response.extensions().get::<Problem>();
    let said = known.map(|problem| problem.detail.clone());
    let said = said.unwrap_or_else(|| status.canonical_reason().unwrap_or("refused").to_owned());
    // A string always encodes.
    let body = serde_json::to_vec(&Detail { detail: &said }).unwrap_or_default();
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    let json = HeaderValue::from_static("application/json");
    parts.headers.insert(CONTENT_TYPE, json);
    Response::from_parts(parts, Body::from(body))
}

/// Content is not taken, and not read.
pub(super) async fn no_content() -> Response {
    let detail = "this service takes no content and no addresses: compute PDQ and ask /v1/pdq/";
    let mut response = Problem::new(StatusCode::NOT_FOUND, "no-content", detail).into_response();
    // What the client still sends is of no use to anybody.
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
    response
}
