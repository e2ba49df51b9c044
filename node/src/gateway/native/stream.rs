//! `GET /v1/subset/snapshot` and `GET /v1/subset/changes`: a subset in pages, as one stream.
//!
//! Why pages: a stream holds no thread and little memory while its reader is slow; each page is read from the disk when the
//! one before it is taken, and once before. A stream ends, without its last item, when its credential is revoked or its
//! member removed: what was sent stays whole up to the last `at`. In scope: order and ends. Out of scope: forms (`forms`),
//! how slow a reader may be (`http::bounds`).

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};

use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use futures::Stream;
use futures::stream::try_unfold;
use hashpact_keys::Origin;
use tokio::task::{JoinHandle, spawn_blocking};
use zstd::stream::write::Encoder;

use super::ask::problem;
use super::forms::Form;
use super::tags;
use crate::gateway::allowance::StreamPlace;
use crate::gateway::caller::Caller;
use crate::gateway::problem::{Problem, ProblemBody};
use crate::gateway::query::Query;
use crate::subset::{Bound, Change, Cursor, Feed, Page};

/// What is read from the disk for one page: two of them are held for each reader.
const PAGE: Bound = Bound {
    records: 4096,
    bytes: 512 * 1024,
};
/// Records that one request may be bounded to at least.
const LIMIT_MIN: u64 = 1;
/// Of Zstandard: the fastest that is still half of it.
const LEVEL: i32 = 1;

/// All that the member may have now, and only what is live.
#[utoipa::path(
    get,
    path = "/v1/subset/snapshot",
    tag = "subset",
    params(
        ("after" = Option<String>, Query, description = "Where a snapshot that was cut goes on: the cursor of its last `at`."),
        ("limit" = Option<u64>, Query, description = "Records after which the stream ends, about; its `end` says whether there is more."),
    ),
    responses(
        (status = 200, description = "Items, one a line, each with its `kind`; `application/cbor-seq` if it is accepted, Zstandard too.", body = String, content_type = "application/x-ndjson"),
        (status = 400, description = "The cursor is none of this member's.", body = ProblemBody<'static>, content_type = "application/problem+json"),
        (status = 401, description = "No valid credential.", body = ProblemBody<'static>, content_type = "application/problem+json"),
        (status = 410, description = "The ledger was built again: begin without a cursor.", body = ProblemBody<'static>, content_type = "application/problem+json"),
        (status = 429, description = "Rate, quota or streams.", body = ProblemBody<'static>, content_type = "application/problem+json"),
        (status = 503, description = "Not ready.", body = ProblemBody<'static>, content_type = "application/problem+json"),
    ),
)]
pub(in crate::gateway) async fn snapshot(
    State(feed): State<Feed>,
    caller: Caller,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asked = Asked::of(query.as_deref(), &headers)?;
    answer(feed, caller, asked, &headers).await
}

/// What changed for the member behind a cursor.
#[utoipa::path(
    get,
    path = "/v1/subset/changes",
    tag = "subset",
    params(
        ("after" = String, Query, description = "The cursor of the last `at` or `end` that was applied."),
        ("limit" = Option<u64>, Query, description = "Records after which the stream ends, about."),
    ),
    responses(
        (status = 200, description = "Items, as of a snapshot. The ETag of a short answer is its last cursor.", body = String, content_type = "application/x-ndjson"),
        (status = 304, description = "Nothing new behind the cursor that `If-None-Match` names."),
        (status = 400, description = "No cursor, or none of this member's.", body = ProblemBody<'static>, content_type = "application/problem+json"),
        (status = 401, description = "No valid credential.", body = ProblemBody<'static>, content_type = "application/problem+json"),
        (status = 410, description = "The ledger was built again: begin with a snapshot.", body = ProblemBody<'static>, content_type = "application/problem+json"),
        (status = 429, description = "Rate, quota or streams.", body = ProblemBody<'static>, content_type = "application/problem+json"),
        (status = 503, description = "Not ready.", body = ProblemBody<'static>, content_type = "application/problem+json"),
    ),
)]
pub(in crate::gateway) async fn changes(
    State(feed): State<Feed>,
    caller: Caller,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asked = Asked::of(query.as_deref(), &headers)?;
    if asked.after.is_none() {
        let detail = "`after` is missing: the cursor of a snapshot or of changes";
        return Err(Problem::bad("query", detail));
    }
    answer(feed, caller, asked, &headers).await
}

/// What a request asks for.
struct Asked {
    after: Option<Cursor>,
    limit: Option<u64>,
    form: Form,
    zstd: bool,
}

impl Asked {
    fn of(query: Option<&str>, headers: &HeaderMap) -> Result<Self, Problem> {
        let query = Query::read(query, &["after", "limit"])?;
        let after = query.get("after").map(str::parse::<Cursor>).transpose();
        let form = match tags::wants_cbor(headers) {
            true => Form::Cbor,
            false => Form::Ndjson,
        };
        Ok(Self {
            after: after.map_err(|error| problem(&error))?,
            limit: query.number("limit")?.map(|limit| limit.max(LIMIT_MIN)),
            form,
            zstd: tags::wants_zstd(headers),
        })
    }
}

async fn answer(
    feed: Feed,
    caller: Caller,
    asked: Asked,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let place = caller.stream()?;
    let after = asked.after.clone();
    let reader = Reader::new(feed, caller, place, &asked)?;
    let first = spawn_blocking(move || reader.page());
    let (reader, page) = first.await.map_err(|_| Problem::failed())??;
    let held = headers.get_all(IF_NONE_MATCH);
    let is_same = after.as_ref() == Some(&page.cursor) && page.changes.is_empty();
    let mut response = match is_same && tags::holds(held, page.cursor.as_str()) {
        true => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        }
        false => Response::new(Body::empty()),
    };
    label(&mut response, &asked, &page)?;
    if response.status() == StatusCode::OK {
        *response.body_mut() = Body::from_stream(stream(reader, page));
    }
    Ok(response)
}

fn label(response: &mut Response, asked: &Asked, page: &Page) -> Result<(), Problem> {
    let headers = response.headers_mut();
    let content = HeaderValue::from_static(asked.form.content_type());
    headers.insert(CONTENT_TYPE, content);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    let vary = HeaderValue::from_static("accept, accept-encoding, authorization");
    headers.insert(VARY, vary);
    if asked.zstd && response.status() == StatusCode::OK {
        let headers = response.headers_mut();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("zstd"));
    }
    // Of a long stream the last cursor is not known before it ends.
    if !page.more {
        let tag = HeaderValue::try_from(format!("\"{}\"", page.cursor));
        let tag = tag.map_err(|_| Problem::failed())?;
        response.headers_mut().insert(ETAG, tag);
    }
    Ok(())
}

/// What a stream is at: nothing to come, or a page that is being written.
type Job = JoinHandle<io::Result<(Vec<u8>, Option<Reader>)>>;

fn stream(reader: Reader, first: Page) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let job = spawn_blocking(move || reader.write(first));
    try_unfold(Some(job), |job: Option<Job>| async move {
        let Some(job) = job else {
            return Ok(None);
        };
        let (bytes, reader) = job.await.map_err(io::Error::other)??;
        // The next page is read while this one is sent.
        let next = reader.map(|reader| spawn_blocking(move || reader.next()));
        Ok(Some((Bytes::from(bytes), next)))
    })
}

/// One stream between two pages.
struct Reader {
    feed: Feed,
    caller: Caller,
    form: Form,
    after: Option<Cursor>,
    left: Option<u64>,
    told: Told,
    encoder: Option<Encoder<'static, Vec<u8>>>,
    _place: StreamPlace,
}

impl Reader {
    fn new(feed: Feed, caller: Caller, place: StreamPlace, asked: &Asked) -> Result<Self, Problem> {
        let encoder = asked.zstd.then(|| Encoder::new(Vec::new(), LEVEL));
        let encoder = encoder.transpose().map_err(|_| Problem::failed())?;
        Ok(Self {
            feed,
            caller,
            form: asked.form,
            after: asked.after.clone(),
            left: asked.limit,
            told: Told::default(),
            encoder,
            _place: place,
        })
    }

    /// Reads the first page, whose fault is still a status.
    fn page(self) -> Result<(Self, Page), Problem> {
        let page = self.read().map_err(|error| problem(&error))?;
        Ok((self, page))
    }

    fn read(&self) -> Result<Page, crate::subset::FeedError> {
        let left = self
            .left
            .map(|left| usize::try_from(left).unwrap_or(usize::MAX));
        let bound = Bound {
            records: left.map_or(PAGE.records, |left| left.min(PAGE.records)),
            ..PAGE
        };
        self.feed
            .changes(&self.caller.member, self.after.as_ref(), bound)
    }

    /// Reads and writes the next page.
    fn next(self) -> io::Result<(Vec<u8>, Option<Self>)> {
        if !self.caller.stands() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let page = self.read().map_err(|error| {
            // The head of the answer is gone: what is left is to end without the last item.
            tracing::warn!(%error, "a member's stream was cut");
            io::Error::other("the stream was cut")
        })?;
        self.write(page)
    }

    /// Writes a page, and the end if it is the last.
    fn write(mut self, page: Page) -> io::Result<(Vec<u8>, Option<Self>)> {
        let mut out = Vec::new();
        for change in &page.changes {
            if self.told.is_new(change) {
                let written = self.form.change(&mut out, change);
                written.map_err(io::Error::other)?;
            }
        }
        let records: u64 = page.changes.iter().map(records_of).sum();
        self.left = self.left.map(|left| left.saturating_sub(records));
        let is_last = !page.more || self.left == Some(0);
        match is_last {
            true => self.form.end(&mut out, &page.cursor, page.more),
            false => self.form.at(&mut out, &page.cursor),
        }
        self.after = Some(page.cursor);
        let bytes = self.packed(out, is_last)?;
        // A page may take a while: whoever lost its access meanwhile does not get it.
        if !self.caller.stands() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok((bytes, (!is_last).then_some(self)))
    }

    /// Compresses a page so that its reader can read all of it.
    fn packed(&mut self, plain: Vec<u8>, is_last: bool) -> io::Result<Vec<u8>> {
        let Some(mut encoder) = self.encoder.take() else {
            return Ok(plain);
        };
        encoder.write_all(&plain)?;
        if is_last {
            return encoder.finish();
        }
        encoder.flush()?;
        let bytes = std::mem::take(encoder.get_mut());
        self.encoder = Some(encoder);
        Ok(bytes)
    }
}

fn records_of(change: &Change) -> u64 {
    let count = match change {
        Change::Pack { places, .. } => places.len(),
        Change::Retraction { gone, .. } => gone.len(),
        Change::Withdraw { entries } => entries.len(),
        Change::Mark { .. } => 1,
        Change::Delta { .. } | Change::Class { .. } => 0,
    };
    count as u64
}

/// What this stream has said already: a header and a definition are said once.
#[derive(Default)]
struct Told {
    deltas: BTreeMap<Origin, BTreeSet<u64>>,
    classes: BTreeMap<Origin, BTreeSet<u16>>,
}

impl Told {
    fn is_new(&mut self, change: &Change) -> bool {
        match change {
            Change::Delta { origin, seq, .. } => {
                self.deltas.entry(origin.clone()).or_default().insert(seq.0)
            }
            Change::Class { origin, class, .. } => {
                let classes = self.classes.entry(origin.clone()).or_default();
                classes.insert(class.0)
            }
            Change::Pack { .. }
            | Change::Retraction { .. }
            | Change::Withdraw { .. }
            | Change::Mark { .. } => true,
        }
    }
}
