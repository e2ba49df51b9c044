//! Conditions of requests (RFC 9110 section 13), and what a client accepts.

use axum::http::header::{ACCEPT, ACCEPT_ENCODING, GetAll};
use axum::http::{HeaderMap, HeaderValue};

/// Whether `If-None-Match` names this tag.
pub(super) fn holds(lines: GetAll<'_, HeaderValue>, tag: &str) -> bool {
    let lines = lines.iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|held| {
        let held = held.trim();
        let held = held.strip_prefix("W/").unwrap_or(held);
        held == "*"
            || held
                .strip_prefix('"')
                .and_then(|held| held.strip_suffix('"'))
                == Some(tag)
    })
}

/// Whether the client asks for CBOR. Without a wish, or with one that cannot be met, it is JSON.
pub(super) fn wants_cbor(headers: &HeaderMap) -> bool {
    accepts(headers, ACCEPT.as_str(), "application/cbor-seq")
}

/// Whether the client reads Zstandard.
pub(super) fn wants_zstd(headers: &HeaderMap) -> bool {
    accepts(headers, ACCEPT_ENCODING.as_str(), "zstd")
}

/// Whether a list of wishes names `what` with a weight that is not zero.
fn accepts(headers: &HeaderMap, name: &str, what: &str) -> bool {
    let lines = headers.get_all(name).iter();
    let lines = lines.filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|wish| {
        let mut parts = wish.split(';').map(str::trim);
        let is_it = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case(what));
        let weight = parts.find_map(|part| part.strip_prefix("q="));
        is_it && weight.is_none_or(|weight| weight.parse::<f32>().is_ok_and(|q| q > 0.0))
    })
}

#[cfg(test)]
mod tests {
    use axum::http::header::IF_NONE_MATCH;

    use super::*;

    fn headers(name: &'static str, line: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.append(name, line.parse().unwrap());
        headers
    }

    #[test]
    fn a_tag_is_held_only_as_it_was_given() {
        let held = |line| holds(headers("if-none-match", line).get_all(IF_NONE_MATCH), "ab");
        assert!(held("\"ab\"") && held("W/\"ab\"") && held("\"x\", \"ab\"") && held("*"));
        assert!(!held("ab") && !held("\"a\"") && !held("\"abc\""));
    }

    #[test]
    fn a_form_that_is_refused_is_not_given() {
        assert!(wants_zstd(&headers("accept-encoding", "gzip, zstd;q=0.5")));
        assert!(!wants_zstd(&headers("accept-encoding", "zstd;q=0")));
        assert!(!wants_zstd(&headers("accept-encoding", "gzip")));
        assert!(wants_cbor(&headers("accept", "application/cbor-seq")));
        assert!(!wants_cbor(&headers("accept", "*/*")));
    }
}
