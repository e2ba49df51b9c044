//! Asking the feed from a route: on a thread that may block, with its faults as problems, and bodies of requests read
//! strictly.

use axum::extract::FromRef;
use axum::http::StatusCode;
use serde::de::DeserializeOwned;
use tokio::task::spawn_blocking;

use crate::gateway::problem::Problem;
use crate::gateway::serve::GatewayState;
use crate::subset::{Feed, FeedError};

/// Routes that need no more than the feed take it alone.
impl FromRef<GatewayState> for Feed {
    fn from_ref(state: &GatewayState) -> Self {
        state.feed.clone()
    }
}

/// Asks the feed.
pub(in crate::gateway) async fn feed<T: Send + 'static>(
    feed: &Feed,
    ask: impl FnOnce(&Feed) -> Result<T, FeedError> + Send + 'static,
) -> Result<T, Problem> {
    let feed = feed.clone();
    match spawn_blocking(move || ask(&feed)).await {
        Ok(answer) => answer.map_err(|error| problem(&error)),
        Err(_) => Err(Problem::failed()),
    }
}

/// What a caller is told of a fault of the feed.
pub(in crate::gateway) fn problem(error: &FeedError) -> Problem {
    let text = error.to_string();
    match error {
        // It was one when it was admitted.
        FeedError::Member => Problem::unknown_caller(),
        FeedError::Unpublished(_) => Problem::new(
            StatusCode::FORBIDDEN,
            "unpublished",
            "this centre's policy gives its members nothing at this time",
        ),
        FeedError::Cursor => Problem::bad("cursor", text),
        FeedError::Ledger => Problem::new(StatusCode::GONE, "ledger", text),
        FeedError::Future { .. } => Problem::bad("future", text),
        FeedError::NotReady => Problem {
            retry_after: Some(2),
            ..Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", text)
        },
        FeedError::Store(_)
        | FeedError::Rows(_)
        | FeedError::Manifest(_)
        | FeedError::Delta { .. } => {
            tracing::error!(%error, "a member got no answer");
            Problem::failed()
        }
    }
}

/// Reads a JSON body. What was sent is not repeated.
pub(in crate::gateway) fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let why = match error.classify() {
            serde_json::error::Category::Syntax => "is no JSON",
            serde_json::error::Category::Eof => "ends too early",
            serde_json::error::Category::Data => "is not what this path reads",
            serde_json::error::Category::Io => "cannot be read",
        };
        let detail = format!("the body {why}, at line {line}, column {column}");
        Problem::bad("body", detail)
    })
}
