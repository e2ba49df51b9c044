//! The routes, and what each answers.
//!
//! Source: formats section 1.1. In scope: HTTP. Out of scope: who may ask (`caller`), documents (`page`), rows (`subset`).

use axum::extract::{Path, RawQuery, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use tokio::task::spawn_blocking;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ask::{Ask, AskError};
use super::check::check;
use super::names::FingerprintType;
use super::page::Page;
use super::{members, reasons, window};
use crate::gateway::caller::Caller;
use crate::gateway::native::ask::problem;
use crate::gateway::problem::{Problem, ProblemBody};
use crate::gateway::serve::GatewayState;
use crate::subset::{Feed, MemberId};

/// The routes; all ask for a credential.
pub(crate) fn routes() -> OpenApiRouter<GatewayState> {
    OpenApiRouter::new()
        .routes(routes!(status))
        .routes(routes!(list))
        .routes(routes!(entries))
        .routes(routes!(reasons))
        .routes(routes!(super::ballot::vote))
}

fn xml(document: String) -> Response {
    let headers = [
        (CONTENT_TYPE, "application/xml; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, document).into_response()
}

/// Who asks, by the number under which it stands in this shape.
#[utoipa::path(
    get,
    path = "/hashsharing/v2/status",
    tag = "ncmec",
    responses((status = 200, description = "One `member`.", body = String, content_type = "application/xml")),
)]
async fn status(caller: Caller) -> Response {
    xml(members::status(&caller.member))
}

/// The centres that entries are of, and who asks.
#[utoipa::path(
    get,
    path = "/hashsharing/v2/members",
    tag = "ncmec",
    responses((status = 200, description = "A list of `member`.", body = String, content_type = "application/xml")),
)]
async fn list(State(state): State<GatewayState>, caller: Caller) -> Result<Response, Problem> {
    distinct(&state, &caller)?;
    let logs = state.handle.store.counts();
    Ok(xml(members::list(&caller.member, logs.keys())))
}

/// Refuses where two would be taken for one, and tells the operator.
pub(super) fn distinct(state: &GatewayState, caller: &Caller) -> Result<(), Problem> {
    let logs = state.handle.store.counts();
    members::distinct(&caller.member, logs.keys()).map_err(|twins| {
        tracing::error!(member = %caller.member, %twins, "a member got no answer");
        Problem::failed()
    })
}

/// The reasons that a negative vote can have.
#[utoipa::path(
    get,
    path = "/hashsharing/v2/feedback/{type}/reasons",
    tag = "ncmec",
    params(("type" = String, Path, description = "A type of fingerprint, such as `PDQ`.")),
    responses(
        (status = 200, description = "`availableFeedbackReasons`, in a root.", body = String, content_type = "application/xml"),
        (status = 404, description = "No such type.", body = ProblemBody<'static>, content_type = "application/problem+json"),
    ),
)]
async fn reasons(_: Caller, Path(kind): Path<String>) -> Result<Response, Problem> {
    let kind = FingerprintType::from_path(&kind).ok_or_else(Problem::not_found)?;
    Ok(xml(reasons::to_xml(kind)))
}

/// Entries whose latest change became visible to the member in `from <= t < to`: whole seconds, UTC, by this node's clock.
#[utoipa::path(
    get,
    path = "/hashsharing/v2/entries",
    tag = "ncmec",
    params(
        ("from" = String, Query, description = "`YYYY-MM-DDTHH:MM:SSZ`."),
        ("to" = String, Query, description = "The same, at most a minute in the future."),
        ("start" = Option<u64>, Query, description = "Rows served before; told by `next`."),
        ("size" = Option<u64>, Query, description = "Rows of a page, 1 to 1,000."),
        ("max" = Option<u64>, Query, description = "Told by `next`."),
        ("after" = Option<String>, Query, description = "The last row served; told by `next`."),
    ),
    responses(
        (status = 200, description = "`queryResult`, with `paging/next` while there is more.", body = String, content_type = "application/xml"),
        (status = 400, description = "The query cannot be read, or the window ends in the future.", body = ProblemBody<'static>, content_type = "application/problem+json"),
        (status = 429, description = "Rate, quota or windows.", body = ProblemBody<'static>, content_type = "application/problem+json"),
        (status = 503, description = "Not ready yet.", body = ProblemBody<'static>, content_type = "application/problem+json"),
    ),
)]
async fn entries(
    State(state): State<GatewayState>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let now = (state.clock)().get();
    let ask = Ask::parse(query.as_deref().unwrap_or_default(), now)
        .map_err(|error| unreadable(&caller, &error))?;
    distinct(&state, &caller)?;
    let place = caller.window()?;
    let (feed, member) = (state.feed.clone(), caller.member.clone());
    let document = spawn_blocking(move || {
        // Taken as long as it is read, whether or not somebody still waits.
        let _place = place;
        reply(&feed, &member, &ask)
    });
    let document = document.await;
    document.map_err(|_| Problem::failed())?.map(xml)
}

/// The document of a window, checked.
fn reply(feed: &Feed, member: &MemberId, ask: &Ask) -> Result<String, Problem> {
    let page = if ask.from >= ask.to {
        Page::default()
    } else {
        let wrong = || Problem::bad("after", "`after` is none that a `next` of this node had");
        let after = ask
            .after
            .as_deref()
            .map(|text| window::key(text).ok_or_else(wrong));
        feed.serve(member).map_err(|error| problem(&error))?;
        let window = feed
            .window(member, ask.from, ask.to, after.transpose()?, ask.size)
            .map_err(|error| problem(&error))?;
        window::page(ask, &window)
    };
    let document = page.to_xml();
    // A page that the stock client cannot read stops it for good: an error of ours is told to the operator.
    check(&document, page.images.len(), page.videos.len()).map_err(|fault| {
        tracing::error!(%fault, "a page of entries was not sent");
        Problem::failed()
    })?;
    Ok(document)
}

fn unreadable(caller: &Caller, error: &AskError) -> Problem {
    let code = match error {
        AskError::Future { ahead_s } => {
            // The member's own program shows nothing of this: the operator can tell it.
            tracing::warn!(
                member = %caller.member,
                ahead_s,
                "a member asks for entries of the future: its program needs TZ=UTC"
            );
            "future"
        }
        AskError::Query | AskError::Time(_) | AskError::Number(_) => "query",
    };
    Problem::bad(code, error.to_string())
}
