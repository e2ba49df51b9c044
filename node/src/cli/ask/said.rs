//! What is said of entries, in the words that an operator reads in `lookup` and `status`.
//!
//! In scope: lines. Out of scope: what counts (`hashpact_protocol::evidence`).

use serde_json::{Value, json};

use super::when;
use crate::daemon::{CappedStatus, LaggingStatus, OpenStatus, OrderStatus, OwingStatus};
use crate::page::text::counted;

/// What others say of an entry that was looked up; no line where nobody says anything.
pub(in super::super) fn of_entry(entry: &Value) -> String {
    let mut text = String::new();
    let count = |value: &Value| value.as_u64().unwrap_or(0);
    let attested = &entry["attested"];
    let centres = count(&attested["centres"]);
    if centres > 0 {
        text.push_str(&format!(
            "  attested by {} of {} in {}{}\n",
            counted(count(&attested["assessors"]), "assessor|assessors"),
            counted(centres, "centre|centres"),
            counted(count(&attested["countries"]), "country|countries"),
            match entry["quorum"] == json!(true) {
                true => ": a quorum",
                false => "",
            },
        ));
    }
    let disputed = &entry["disputed"];
    if count(&disputed["centres"]) > 0 {
        text.push_str(&format!(
            "  DISPUTED by {}: {} in {}\n",
            names(&disputed["by"]),
            counted(count(&disputed["centres"]), "centre|centres"),
            counted(count(&disputed["countries"]), "country|countries"),
        ));
    }
    for flag in entry["flagged"].as_array().into_iter().flatten() {
        let part = |key: &str| flag[key].as_str().unwrap_or_default();
        text.push_str(&format!(
            "  FLAGGED: {} retracted an entry that shares a fingerprint with it, as {}\n",
            part("by"),
            part("reason"),
        ));
    }
    if entry["hold"] == json!(true) {
        text.push_str("  HELD: no provider gets it; tell nobody outside of centres and auditors\n");
    }
    let (yes, no) = (
        count(&entry["feedback"]["affirmative"]),
        count(&entry["feedback"]["negative"]),
    );
    if yes + no > 0 {
        text.push_str(&format!(
            "  members say: {yes} that it is, {no} that it is not\n"
        ));
    }
    text
}

fn names(list: &Value) -> String {
    let names = list.as_array().into_iter().flatten();
    let names: Vec<&str> = names.filter_map(Value::as_str).collect();
    names.join(", ")
}

/// What this centre waits for, and what others wait for: one line each.
pub(super) fn open(open: &OpenStatus) -> String {
    let mut text: String = open.lagging.iter().map(lagging).collect();
    text.extend(open.members.iter().map(owing));
    if open.disputes + open.feedback > 0 {
        text.push_str(&format!(
            "TO BE ANSWERED: {}, {}: hashpact feedback list.\n",
            counted(open.disputes, "dispute|disputes"),
            counted(open.feedback, "negative vote|negative votes"),
        ));
    }
    text.extend(open.orders.iter().map(order));
    text.extend(open.capped.iter().map(capped));
    if open.waiting > 0 {
        text.push_str(&format!(
            "Publishing: {} for members, in quarantine or above a cap.\n",
            counted(open.waiting, "delta waits|deltas wait")
        ));
    }
    if let Some(why) = &open.unpublished {
        text.push_str(&format!("PUBLISHING STANDS STILL: {why}\n"));
    }
    text
}

fn owing(owing: &OwingStatus) -> String {
    let heard = owing.acknowledged.map_or_else(
        || "it has acknowledged nothing yet".to_owned(),
        |at| format!("it last acknowledged at {}", when(at)),
    );
    format!(
        "RETRACTIONS NOT ACKNOWLEDGED by member {}: {} since {}; {heard}.\n",
        owing.member,
        owing.count,
        when(owing.since),
    )
}

fn capped(capped: &CappedStatus) -> String {
    format!(
        "CAP REACHED: {} of {} wait for tomorrow, or for a surge that two people order.\n",
        counted(capped.left_out, "entry|entries"),
        capped.origin,
    )
}

fn lagging(lagging: &LaggingStatus) -> String {
    let heard = lagging.heard.map_or_else(
        || "it has said nothing of them yet".to_owned(),
        |at| format!("it last said how far it is at {}", when(at)),
    );
    format!(
        "RETRACTIONS NOT APPLIED by {}: those of {} since {}; {heard}.\n",
        lagging.centre,
        counted(lagging.deltas, "delta|deltas"),
        when(lagging.since),
    )
}

fn order(order: &OrderStatus) -> String {
    let what = match (order.named, &order.origin) {
        (Some(named), _) => counted(named, "entry or series|entries and series"),
        (None, Some(origin)) => origin.clone(),
        (None, None) => String::new(),
    };
    let reason = order.reason.as_ref();
    let reason = reason.map_or_else(String::new, |reason| format!(", {reason}"));
    format!(
        "Order in force: {} of {}{reason}, by {}, until {}.\n",
        order.kind,
        what,
        order.by,
        when(order.until),
    )
}
