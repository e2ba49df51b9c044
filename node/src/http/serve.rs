//! What is answered for each path: the files of the log folder as they lie there.
//!
//! Why: static files can be cached, mirrored and checked by tools that know nothing of this node. Spec: C2SP `tlog-tiles`;
//! RFC 9110 for conditions and ranges. In scope: GET and HEAD. Out of scope: who may connect (`tls`), how long it may take
//! (`listen`).

use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{
    ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, RANGE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use tokio::io::AsyncReadExt as _;

use super::folder::LogFolder;
use super::path::{Item, Kind, Resource, parse};

/// Bytes read at a time: what one connection holds in memory of a file.
const CHUNK: usize = 64 * 1024;

const FOR_EVER: &str = "max-age=31536000, immutable";
const SHORT: &str = "max-age=5";
const NEVER: &str = "no-store";
const TEXT: &str = "text/plain; charset=utf-8";
const BYTES: &str = "application/octet-stream";

/// Serves a log folder read-only: exactly the paths of the module's spec, everything else is 404 or 405.
pub fn router(folder: LogFolder) -> Router {
    Router::new().fallback(move |request: Request| answer(folder.clone(), request))
}

/// A one-line answer that is not kept.
pub(super) fn line(status: StatusCode, text: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(TEXT)),
        (CACHE_CONTROL, HeaderValue::from_static(NEVER)),
    ];
    (status, headers, text).into_response()
}

fn absent() -> Response {
    line(StatusCode::NOT_FOUND, "not here\n")
}

async fn answer(folder: LogFolder, request: Request) -> Response {
    // A query would give one file many names.
    let resource = match request.uri().query() {
        None => parse(request.uri().path()),
        Some(_) => None,
    };
    let Some(resource) = resource else {
        return absent();
    };
    let wants_body = *request.method() == Method::GET;
    if !wants_body && *request.method() != Method::HEAD {
        let mut refused = line(StatusCode::METHOD_NOT_ALLOWED, "read-only: GET or HEAD\n");
        let allowed = HeaderValue::from_static("GET, HEAD");
        refused.headers_mut().insert(ALLOW, allowed);
        return refused;
    }
    let asked = Asked::of(request.headers(), wants_body);
    // The disk is slow: not on a thread that serves others.
    let read = tokio::task::spawn_blocking(move || read(&folder, &resource, &asked)).await;
    let mut response = match read {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            tracing::warn!(kind = ?error.kind(), "a file of the log folder cannot be served");
            line(StatusCode::INTERNAL_SERVER_ERROR, "cannot be read\n")
        }
        Err(_) => line(StatusCode::INTERNAL_SERVER_ERROR, "cannot be read\n"),
    };
    if !wants_body {
        *response.body_mut() = Body::empty();
    }
    response
}

/// What the headers of a request ask.
struct Asked {
    /// Begin at this byte.
    from: Option<u64>,
    /// Tags that the client holds.
    held: Vec<String>,
}

impl Asked {
    fn of(headers: &HeaderMap, wants_body: bool) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let range = text(RANGE).filter(|_| wants_body);
        let held = text(IF_NONE_MATCH).unwrap_or_default().split(',');
        let tag = |tag: &str| {
            let tag = tag.trim();
            tag.strip_prefix("W/").unwrap_or(tag).to_owned()
        };
        Self {
            from: range.and_then(first_byte),
            held: held.map(tag).collect(),
        }
    }

    fn holds(&self, tag: &str) -> bool {
        self.held.iter().any(|held| held == tag || held == "*")
    }
}

/// `bytes=N-`; any other range may be ignored (RFC 9110 section 14.2) and is.
fn first_byte(range: &str) -> Option<u64> {
    let digits = range.strip_prefix("bytes=")?.strip_suffix('-')?;
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok())?
}

fn read(folder: &LogFolder, resource: &Resource, asked: &Asked) -> io::Result<Response> {
    match resource {
        Resource::Logs => Ok(list(folder.logs()?)),
        Resource::Rosters => Ok(list(folder.rosters()?)),
        Resource::File(item) => match folder.open(item)? {
            Some((file, len)) => present(item, file, len, asked),
            None => Ok(absent()),
        },
    }
}

fn list(names: Vec<String>) -> Response {
    let mut text = String::new();
    for name in names {
        text.push_str(&name);
        text.push('\n');
    }
    (headers(TEXT, SHORT), text).into_response()
}

fn present(item: &Item, file: File, len: u64, asked: &Asked) -> io::Result<Response> {
    let kind = item.kind;
    let headers = headers(
        if kind.is_text() { TEXT } else { BYTES },
        if kind.is_immutable() { FOR_EVER } else { SHORT },
    );
    match kind {
        Kind::Checkpoint => checkpoint(headers, file, len, asked),
        Kind::History => history(headers, file, len, asked),
        Kind::Fork | Kind::Tile { .. } | Kind::Bundle { .. } | Kind::Roster => {
            Ok((headers, sized(len), stream(file, len)).into_response())
        }
    }
}

/// A checkpoint is asked for again and again, and mostly it is the same.
fn checkpoint(headers: Headers, file: File, len: u64, asked: &Asked) -> io::Result<Response> {
    let mut note = Vec::new();
    file.take(len).read_to_end(&mut note)?;
    let tag = format!("\"{}\"", blake3::hash(&note).to_hex());
    let value = HeaderValue::try_from(&tag).map_err(io::Error::other)?;
    let tagged = [(ETAG, value)];
    Ok(match asked.holds(&tag) {
        true => (StatusCode::NOT_MODIFIED, headers, tagged).into_response(),
        false => (headers, tagged, note).into_response(),
    })
}

/// A history only grows: whoever read `N` bytes of it asks for those from `N` on.
fn history(headers: Headers, mut file: File, len: u64, asked: &Asked) -> io::Result<Response> {
    let ranges = [(ACCEPT_RANGES, HeaderValue::from_static("bytes"))];
    let Some(from) = asked.from else {
        return Ok((headers, ranges, sized(len), stream(file, len)).into_response());
    };
    let part = |text: String| -> io::Result<[(HeaderName, HeaderValue); 1]> {
        let value = HeaderValue::try_from(text).map_err(io::Error::other)?;
        Ok([(CONTENT_RANGE, value)])
    };
    if from >= len {
        let mut beyond = line(StatusCode::RANGE_NOT_SATISFIABLE, "nothing there yet\n");
        beyond
            .headers_mut()
            .extend(part(format!("bytes */{len}"))?.map(|(name, value)| (Some(name), value)));
        return Ok(beyond);
    }
    file.seek(SeekFrom::Start(from))?;
    let part = part(format!("bytes {from}-{}/{len}", len - 1))?;
    let rest = len - from;
    let body = stream(file, rest);
    Ok((
        StatusCode::PARTIAL_CONTENT,
        headers,
        ranges,
        part,
        sized(rest),
        body,
    )
        .into_response())
}

type Headers = [(HeaderName, HeaderValue); 2];

fn headers(content: &'static str, cache: &'static str) -> Headers {
    [
        (CONTENT_TYPE, HeaderValue::from_static(content)),
        (CACHE_CONTROL, HeaderValue::from_static(cache)),
    ]
}

fn sized(len: u64) -> [(HeaderName, HeaderValue); 1] {
    [(CONTENT_LENGTH, HeaderValue::from(len))]
}

/// The next `len` bytes of a file. One that is shorter ends the connection: a reader must not take a part for the whole.
fn stream(file: File, len: u64) -> Body {
    let start = (tokio::fs::File::from_std(file), len);
    Body::from_stream(futures::stream::try_unfold(
        start,
        |(mut file, left)| async move {
            if left == 0 {
                return Ok(None);
            }
            let mut chunk = vec![0; usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK))];
            let read = file.read(&mut chunk).await?;
            if read == 0 {
                return Err(io::Error::from(ErrorKind::UnexpectedEof));
            }
            chunk.truncate(read);
            let left = left.saturating_sub(read as u64);
            Ok(Some((chunk, (file, left))))
        },
    ))
}
