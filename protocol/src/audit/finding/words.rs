//! Words that findings have in common.

use hashpact_keys::Timestamp;

use crate::b3::Hash;

/// An error with what caused it, which its own words leave out.
pub(super) fn caused(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn short(hash: &Hash) -> String {
    hex(&hash[..8])
}

pub(super) fn leaves(common: &Option<u64>) -> String {
    common.map_or_else(
        || "an unknown number of leaves".to_owned(),
        |common| format!("{common} leaves"),
    )
}

pub(super) fn between(after: Option<Timestamp>, before: Option<Timestamp>) -> String {
    let after = after.map(|at| format!("its log stood without it at {at}"));
    let before = before.map(|at| format!("it was witnessed at {at}"));
    let all: Vec<_> = after.into_iter().chain(before).collect();
    all.join(", ")
}

/// Who forbids, and what went wrong.
pub(super) fn by(policies: &[String], errors: usize) -> String {
    let mut text = match policies {
        [] => ", which permits it nowhere".to_owned(),
        ids => format!(", {}", ids.join(", ")),
    };
    if errors > 0 {
        text.push_str(&format!(", {errors} errors"));
    }
    text
}

pub(super) fn or_none(index: Option<u64>) -> String {
    index.map_or_else(|| "none".to_owned(), |index| format!("leaf {index}"))
}
