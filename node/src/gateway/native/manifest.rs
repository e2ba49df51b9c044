//! `GET /v1/subset`: what the member has, signed, and how the logs stand that it is of.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hashpact_keys::Origin;
use hashpact_protocol::policy::PolicyDocument;
use hashpact_protocol::view::View as _;
use serde_json::{Value, json};

use super::ask::feed;
use super::labels::labels;
use super::tags;
use crate::gateway::caller::Caller;
use crate::gateway::problem::{Problem, ProblemBody};
use crate::gateway::serve::GatewayState;
use crate::store::Store;
use crate::subset::{Feed, FeedError, MemberId, SignedManifest};

/// What this member may have now: classes, counts, checkpoints, and the centre's signature over it.
#[utoipa::path(
    get,
    path = "/v1/subset",
    tag = "subset",
    responses(
        (status = 200, description = "The manifest: `signed` is COSE_Sign1 (base64) by the centre's manifest key over the same facts; verify it, the rest is for people.", body = Object, content_type = "application/json"),
        (status = 304, description = "As the client holds it."),
        (status = 401, description = "No valid credential.", body = ProblemBody<'static>, content_type = "application/problem+json"),
        (status = 403, description = "Policy gives members nothing.", body = ProblemBody<'static>, content_type = "application/problem+json"),
        (status = 429, description = "Rate or quota.", body = ProblemBody<'static>, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn manifest(
    State(state): State<GatewayState>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (member, now) = (caller.member.clone(), (state.clock)());
    let store = state.handle.store.clone();
    let read = move |feed: &Feed| -> Result<(String, Value), FeedError> {
        let signed = feed.manifest(&member, now)?;
        Ok(written(&store, &member, &signed))
    };
    let (tag, body) = feed(&state.feed, read).await?;
    answer(&headers, &tag, &body)
}

fn answer(headers: &HeaderMap, tag: &str, body: &Value) -> Result<Response, Problem> {
    let is_held = tags::holds(headers.get_all(IF_NONE_MATCH), tag);
    let mut response = match is_held {
        true => Response::new(Body::empty()),
        false => Response::new(Body::from(format!("{body}\n"))),
    };
    if is_held {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let etag = HeaderValue::try_from(format!("\"{tag}\"")).map_err(|_| Problem::failed())?;
    let headers = response.headers_mut();
    headers.insert(ETAG, etag);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let private = HeaderValue::from_static("private, no-cache");
    headers.insert(CACHE_CONTROL, private);
    Ok(response)
}

/// The tag of what is said, and the body. The time of signing changes each time and no tag.
fn written(store: &Store, member: &MemberId, signed: &SignedManifest) -> (String, Value) {
    let manifest = &signed.manifest;
    let classes = manifest.classes.iter().map(|row| {
        let known = store.class(&row.origin, row.class);
        json!({
            "origin": row.origin.to_string(), "class": row.class.0, "entries": row.entries,
            "labels": known.as_ref().map(labels),
        })
    });
    let notes: BTreeMap<&Origin, String> = manifest
        .logs
        .iter()
        .filter_map(|row| {
            let note = store.log(&row.origin).witnessed?;
            Some((&row.origin, String::from_utf8(note.note().to_vec()).ok()?))
        })
        .collect();
    let logs = manifest.logs.iter().map(|row| {
        json!({
            "origin": row.origin.to_string(), "size": row.size, "root": STANDARD.encode(row.root),
            "checkpoint": notes.get(&row.origin),
        })
    });
    let withheld = manifest
        .withheld
        .iter()
        .map(|row| json!({ "origin": row.origin.to_string(), "entries": row.entries }));
    let policy = manifest.policy.map(
        |index| json!({ "index": index, "version": version(store, &manifest.serving, index) }),
    );
    let mut body = json!({
        "network": manifest.network.to_string(),
        "centre": manifest.serving.centre().to_string(),
        "member": member.as_str(),
        "ledger": hex(&manifest.ledger),
        "cursor": signed.cursor.as_str(),
        "entries": manifest.entries(),
        "classes": classes.collect::<Vec<_>>(),
        "logs": logs.collect::<Vec<_>>(),
        "withheld": withheld.collect::<Vec<_>>(),
        "policy": policy,
    });
    let tag = blake3::hash(body.to_string().as_bytes());
    if let Some(object) = body.as_object_mut() {
        object.insert("issued_at".to_owned(), json!(manifest.issued_at.get()));
        let cose = STANDARD.encode(&signed.signed);
        object.insert("signed".to_owned(), json!(cose));
    }
    (hex(&tag.as_bytes()[..16]), body)
}

/// The version of a policy document of this centre's log.
fn version(store: &Store, serving: &Origin, index: u64) -> Option<u64> {
    let all = store.policies(serving, POLICIES);
    let (_, bytes) = all.iter().find(|(at, _)| *at == index)?;
    PolicyDocument::read_unverified(bytes)
        .ok()
        .map(|document| document.version)
}

/// Documents that are looked through: as many as can count at once, and some before them.
const POLICIES: usize = 16;

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
