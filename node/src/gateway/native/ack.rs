//! `POST /v1/ack`: a member says that all up to a cursor is applied, so that nothing that was taken back before matches there
//! any more.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::ask::{feed, json, problem};
use crate::gateway::caller::Caller;
use crate::gateway::problem::{Problem, ProblemBody};
use crate::subset::{Cursor, Feed};

/// What is acknowledged.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::gateway) struct Ack {
    /// The cursor of the last `at` or `end` that was applied.
    cursor: String,
}

/// Applied: nothing that was retracted or withdrawn before this cursor matches here any more.
#[utoipa::path(
    post,
    path = "/v1/ack",
    tag = "subset",
    request_body = Ack,
    responses(
        (status = 200, description = "Written down: `acknowledged` is the position in the ledger.", body = Object, content_type = "application/json"),
        (status = 400, description = "No cursor of this member's.", body = ProblemBody<'static>, content_type = "application/problem+json"),
        (status = 401, description = "No valid credential.", body = ProblemBody<'static>, content_type = "application/problem+json"),
        (status = 410, description = "The ledger was built again.", body = ProblemBody<'static>, content_type = "application/problem+json"),
    ),
)]
pub(in crate::gateway) async fn ack(
    State(subsets): State<Feed>,
    caller: Caller,
    body: Bytes,
) -> Result<Response, Problem> {
    let Ack { cursor } = json(&body)?;
    let cursor: Cursor = cursor.parse().map_err(|error| problem(&error))?;
    let done = feed(&subsets, move |feed| {
        feed.acknowledge(&caller.member, &cursor)
    });
    let done = done.await?;
    let body = json!({ "acknowledged": done.n, "at": done.at.get() });
    Ok(([(CONTENT_TYPE, "application/json")], format!("{body}\n")).into_response())
}
