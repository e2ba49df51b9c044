//! `GET /v1/health`: whether the node answers, for a proxy or a monitor. It tells nothing else.

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};

use crate::gateway::problem::{Problem, ProblemBody};
use crate::gateway::serve::GatewayState;

/// Whether the node answers and can write its audit log.
#[utoipa::path(
    get,
    path = "/v1/health",
    tag = "node",
    responses(
        (status = 200, description = "It does.", body = String, content_type = "application/json", example = json!({"status": "ok"})),
        (status = 503, description = "It does not.", body = ProblemBody<'static>, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn health(State(state): State<GatewayState>) -> Result<Response, Problem> {
    if !state.audit.is_writable((state.clock)()) {
        return Err(Problem::stopping());
    }
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, "{\"status\":\"ok\"}\n").into_response())
}
