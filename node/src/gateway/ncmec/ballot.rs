//! `PUT .../feedback`: the vote of a member becomes feedback that its centre signs for the origin.
//!
//! Source: formats sections 1.1 and 1.3 (rules 7, 14, 15). The stock client never repeats a PUT, and others do: the same vote
//! again is the same object. In scope: HTTP. Out of scope: the body (`vote`), the object (the gateway's
//! `vote`).

use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use hashpact_protocol::evidence::{Code, Vote};
use hashpact_protocol::lists::ClosedList as _;
use hashpact_protocol::record::EntryId;

use super::members;
use super::names::FingerprintType;
use super::serve::distinct;
use super::vote::{self, VOTE_BYTES_MAX};
use crate::gateway::caller::Caller;
use crate::gateway::native::ask::problem;
use crate::gateway::problem::{Problem, ProblemBody};
use crate::gateway::serve::GatewayState;
use crate::gateway::vote::{Said, say};

/// Says that an entry is right, or not and why.
#[utoipa::path(
    put,
    path = "/hashsharing/v2/entries/{member}/{entry}/{type}/feedback",
    tag = "ncmec",
    params(
        ("member" = u64, Path, description = "Whose entry it is."),
        ("entry" = String, Path, description = "Its id."),
        ("type" = String, Path, description = "The type of fingerprint that matched, such as `PDQ`."),
    ),
    request_body(content = String, content_type = "application/xml", description = "`feedbackSubmission`."),
    responses(
        (status = 204, description = "Signed, and on its way to the origin; also if it was said before."),
        (status = 400, description = "The body cannot be read, or its reason is none.", body = ProblemBody<'static>, content_type = "application/problem+json"),
        (status = 404, description = "No entry that the member may have.", body = ProblemBody<'static>, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large.", body = ProblemBody<'static>, content_type = "application/problem+json"),
        (status = 415, description = "The body is not XML in UTF-8.", body = ProblemBody<'static>, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn vote(
    State(state): State<GatewayState>,
    caller: Caller,
    Path((member, entry, kind)): Path<(String, String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Problem> {
    let kind = FingerprintType::from_path(&kind).ok_or_else(Problem::not_found)?;
    is_xml(&headers)?;
    let body = to_bytes(body, VOTE_BYTES_MAX).await.map_err(|_| {
        let detail = format!("a vote has at most {VOTE_BYTES_MAX} bytes");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "vote", detail)
    })?;
    let said = vote::parse(&body).map_err(|error| Problem::bad("vote", error.to_string()))?;
    let (vote, code) = match said {
        vote::Vote::Affirmative => (Vote::Affirmative, None),
        vote::Vote::Negative(name) => (Vote::Negative, Code::from_name(name)),
    };
    let (origin, entry) = find(&state, &caller, &member, &entry).await?;
    let said = Said {
        origin,
        entry,
        revision: None,
        vote,
        code,
        algorithm: kind.algorithm(),
    };
    say(&state, &caller, said).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The log of the entry that a path names.
async fn find(
    state: &GatewayState,
    caller: &Caller,
    member: &str,
    entry: &str,
) -> Result<(hashpact_keys::Origin, EntryId), Problem> {
    let is_number = (1..=20).contains(&member.len()) && member.bytes().all(|b| b.is_ascii_digit());
    let number = is_number.then(|| member.parse().ok()).flatten();
    let number: u64 = number.ok_or_else(Problem::not_found)?;
    let id: EntryId = entry.parse().map_err(|_| Problem::not_found())?;
    distinct(state, caller)?;
    let logs = state.handle.store.counts();
    let logs: Vec<_> = members::logs_of(number, logs.keys()).cloned().collect();
    let (feed, who) = (state.feed.clone(), caller.member.clone());
    let found = tokio::task::spawn_blocking(move || {
        for log in logs {
            if feed.visible(&who, &log, id)?.is_some() {
                return Ok(Some(log));
            }
        }
        Ok(None)
    });
    let found = found.await.map_err(|_| Problem::failed())?;
    let log = found.map_err(|error| problem(&error))?;
    log.map(|log| (log, id)).ok_or_else(Problem::not_found)
}

/// Whether the body says that it is XML in UTF-8; one that says nothing is read.
fn is_xml(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return Ok(());
    };
    let text = value.to_str().unwrap_or_default().to_ascii_lowercase();
    let mut parts = text.split(';').map(str::trim);
    let is_xml = matches!(parts.next(), Some("application/xml" | "text/xml"));
    let is_utf8 = parts.all(|part| {
        let charset = part.strip_prefix("charset=");
        charset.is_none_or(|charset| charset.trim_matches('"') == "utf-8")
    });
    (is_xml && is_utf8).then_some(()).ok_or_else(|| {
        let detail = "send application/xml in UTF-8";
        Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "vote", detail)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_encoding_or_another_kind_of_body_is_refused() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, text.parse().unwrap());
            is_xml(&headers).map_err(|problem| problem.status.as_u16())
        };
        assert!(is_xml(&HeaderMap::new()).is_ok());
        for good in [
            "application/xml",
            "application/xml; charset=utf-8",
            "text/xml;charset=\"UTF-8\"",
        ] {
            assert_eq!(of(good), Ok(()), "{good}");
        }
        for bad in [
            "application/json",
            "application/x-www-form-urlencoded",
            "application/xml; charset=utf-16",
            "application/xml; charset=iso-8859-1",
            "",
        ] {
            assert_eq!(of(bad), Err(415), "{bad}");
        }
    }
}
