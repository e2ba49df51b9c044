//! What the operator's page says of status.

use std::collections::BTreeSet;

const PAGE: &str = include_str!("../../../../docs/operating.md");
const SOURCE: &str = include_str!("../status.rs");

/// Words in quotes that follow one of the places where a kind is given.
fn kinds() -> BTreeSet<&'static str> {
    let places = ["=> (\"", "Self::new(\"", "Self::new(\n            \""];
    let after = |place| SOURCE.split(place).skip(1);
    let word = |rest: &'static str| rest.split('"').next();
    places
        .into_iter()
        .flat_map(after)
        .filter_map(word)
        .collect()
}

#[test]
fn every_kind_of_event_stands_in_the_operators_table() {
    let withholders = ["own", "origin", "giver", "surplus"];
    let kinds = kinds();
    for known in ["closed", "peer_dropped", "connection_refused"] {
        assert!(kinds.contains(known), "{known} is not found in the source");
    }
    let table = PAGE.split("| Event |").nth(1).unwrap_or_default();
    let table = table.split("\n## ").next().unwrap_or_default();
    let missing: Vec<_> = kinds
        .into_iter()
        .filter(|kind| !withholders.contains(kind) && !table.contains(&format!("`{kind}`")))
        .collect();
    assert!(missing.is_empty(), "no row for {missing:?}");
}
