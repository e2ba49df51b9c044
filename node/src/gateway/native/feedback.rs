//! `POST /v1/feedback` and `GET /v1/feedback/{id}`: what a member says of a match, and what became of it.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use hashpact_protocol::Hash;
use hashpact_protocol::evidence::{Code, Vote};
use hashpact_protocol::fingerprint::Algorithm;
use hashpact_protocol::lists::ClosedList as _;
use hashpact_protocol::record::Revision;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use utoipa::ToSchema;

use super::ask::json as read;
use super::manifest::hex;
use crate::gateway::caller::Caller;
use crate::gateway::problem::{Problem, ProblemBody};
use crate::gateway::serve::GatewayState;
use crate::gateway::vote::{Fate, Said, fate as fate_of, say};

/// What is said of an entry of the subset.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Feedback {
    /// The log.
    origin: String,
    /// The entry, hexadecimal.
    entry: String,
    /// The revision that matched.
    rev: u32,
    /// `affirmative` or `negative`.
    vote: String,
    /// Of a negative vote: adult, age_undetermined, not_csam, wrong_depiction, collision, rights_request or other_law.
    reason: Option<String>,
    /// The algorithm that matched.
    algorithm: Option<String>,
}

/// Says of a match whether it is what its entry says.
#[utoipa::path(
    post,
    path = "/v1/feedback",
    tag = "feedback",
    request_body = Feedback,
    responses(
        (status = 202, description = "Signed and on its way to the origin: `id` asks what became of it. Said twice on a day, it is one.", body = Object, content_type = "application/json"),
        (status = 400, description = "Not a vote.", body = ProblemBody<'static>, content_type = "application/problem+json"),
        (status = 401, description = "No valid credential.", body = ProblemBody<'static>, content_type = "application/problem+json"),
        (status = 404, description = "No such entry in this member's subset.", body = ProblemBody<'static>, content_type = "application/problem+json"),
        (status = 409, description = "Another revision.", body = ProblemBody<'static>, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn feedback(
    State(state): State<GatewayState>,
    caller: Caller,
    body: Bytes,
) -> Result<Response, Problem> {
    let said = said(read(&body)?)?;
    let id = say(&state, &caller, said).await?;
    Ok(answer(StatusCode::ACCEPTED, &json!({ "id": hex(&id) })))
}

fn said(feedback: Feedback) -> Result<Said, Problem> {
    let bad = |detail| Problem::bad("feedback", detail);
    let vote = Vote::from_name(&feedback.vote);
    let code = feedback.reason.as_deref().map(Code::from_name);
    let algorithm = feedback
        .algorithm
        .as_deref()
        .map(|name| Algorithm::from_name(name).filter(|algorithm| algorithm.code().is_some()));
    if algorithm == Some(None) {
        return Err(bad(
            "`algorithm` is md5, sha1, sha256, blake3, pdq or photodna",
        ));
    }
    Ok(Said {
        origin: feedback
            .origin
            .parse()
            .map_err(|_| bad("`origin` is the origin line of a log"))?,
        entry: feedback
            .entry
            .parse()
            .map_err(|_| bad("`entry` has 32 hexadecimal digits"))?,
        revision: Some(Revision(feedback.rev)),
        vote: vote.ok_or_else(|| bad("`vote` is affirmative or negative"))?,
        code: match code {
            Some(None) => return Err(bad("`reason` is none of those that there are")),
            Some(code) => code,
            None => None,
        },
        algorithm: algorithm.flatten(),
    })
}

/// What became of what was said.
#[utoipa::path(
    get,
    path = "/v1/feedback/{id}",
    tag = "feedback",
    params(("id" = String, Path, description = "As it was given.")),
    responses(
        (status = 200, description = "`state` is sent, received or answered; then `answer` is accepted or declined, with a reason.", body = Object, content_type = "application/json"),
        (status = 401, description = "No valid credential.", body = ProblemBody<'static>, content_type = "application/problem+json"),
        (status = 404, description = "This member said no such thing.", body = ProblemBody<'static>, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn fate(
    State(state): State<GatewayState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id: Hash = unhex(&id).ok_or_else(Problem::not_found)?;
    let fate = spawn_blocking(move || fate_of(&state, &caller, &id)).await;
    let fate = fate.map_err(|_| Problem::failed())?;
    let body = match fate.ok_or_else(Problem::not_found)? {
        Fate::Sent => json!({ "state": "sent", "answer": null }),
        Fate::Received => json!({ "state": "received", "answer": null }),
        Fate::Answered(verdict, code) => json!({
            "state": "answered", "answer": verdict.name(), "reason": code.map(|code| code.name()),
        }),
    };
    Ok(answer(StatusCode::OK, &body))
}

fn answer(status: StatusCode, body: &Value) -> Response {
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-store"),
    ];
    (status, headers, format!("{body}\n")).into_response()
}

fn unhex(text: &str) -> Option<Hash> {
    let mut hash = Hash::default();
    if text.len() != 2 * hash.len() || !text.is_ascii() {
        return None;
    }
    for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digits = std::str::from_utf8(digits).ok()?;
        *byte = u8::from_str_radix(digits, 16)
            .ok()
            .filter(|_| !digits.starts_with('+'))?;
    }
    Some(hash)
}
