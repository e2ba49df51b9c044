//! What the operator's page says of status.

use std::collections::{BTreeSet, VecDeque};

use hashpact_protocol::centre::Event;
use hashpact_protocol::policy::Closed;

use super::seen::{EVENTS_KEPT, Seen};

const PAGE: &str = include_str!("../../../../docs/operating.md");
const SOURCE: &str = concat!(include_str!("../status.rs"), include_str!("seen.rs"));

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

fn closed(why: Closed) -> Seen {
    Seen::event(&Event::Closed { why })
}

fn alarms(seen: &VecDeque<Seen>) -> Vec<&Seen> {
    seen.iter().filter(|seen| seen.is_alarm()).collect()
}

#[test]
fn an_alarm_that_bodies_wait_is_gone_once_they_come_again() {
    let mut seen = VecDeque::new();
    Seen::event(&Event::KeysRetired).join(&mut seen);
    closed(Closed::NoPolicy).join(&mut seen);
    let expired = closed(Closed::RosterExpired);
    expired.clone().join(&mut seen);
    let kinds = |seen: &VecDeque<Seen>| -> Vec<String> {
        seen.iter().map(|seen| seen.kind.clone()).collect()
    };
    assert_eq!(kinds(&seen), ["keys_retired", "closed"]);
    assert_eq!(alarms(&seen)[1].text, expired.text);
    Seen::event(&Event::Opened).join(&mut seen);
    assert_eq!(kinds(&seen), ["keys_retired", "opened"]);
    assert_eq!(alarms(&seen).len(), 1);
}

#[test]
fn alarms_outlive_a_flood_of_what_is_normal() {
    let mut seen = VecDeque::new();
    closed(Closed::NoPolicy).join(&mut seen);
    for size in 0..2 * EVENTS_KEPT as u64 {
        let origin = "eu.example/eu/1".parse().unwrap();
        Seen::event(&Event::Witnessed { origin, size }).join(&mut seen);
    }
    assert_eq!(seen.len(), EVENTS_KEPT);
    assert_eq!(alarms(&seen).len(), 1);
}

#[test]
fn one_of_anything_is_said_in_the_singular() {
    let logged = |deltas, records| {
        let text = Seen::event(&Event::TransferLogged {
            origin: "eu.example/eu/1".parse().unwrap(),
            from: "eu".parse().unwrap(),
            to: "us".parse().unwrap(),
            deltas,
            records,
        })
        .text;
        text.split_once("us ").unwrap().1.to_owned()
    };
    let rest = ": signed by both and logged here";
    assert_eq!(logged(1, 1), format!("1 record of 1 delta{rest}"));
    assert_eq!(logged(2, 0), format!("0 records of 2 deltas{rest}"));
}
