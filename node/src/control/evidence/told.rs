//! What is known of an entry, of an order, and of what waits for an answer: for the people of this centre and nobody else.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hashpact_protocol::assess::{EntryFacts, Evidence, Quorum, Stated, Subject, count};
use hashpact_protocol::evidence::{self, About, Hold, Known, Object};
use hashpact_protocol::lists::ClosedList as _;
use serde_json::{Map, Value, json};

use crate::clock;
use crate::daemon::{Case, Handle};
use crate::store::FoundEntry;

/// Cases of one answer: what a person reads at a time.
const CASES_SHOWN: usize = 1_000;

/// What others say of a record, beside what its origin states.
///
/// `attested` counts those who agree with the origin, under the leaf hash that it signed for: only of an entry that anybody
/// attested is that looked up.
pub(in super::super) fn of_entry(handle: &Handle, found: &FoundEntry) -> Map<String, Value> {
    let record = &found.record;
    let about = About {
        origin: &found.origin,
        entry: record.entry,
        revision: record.revision,
        series: record.fields.series_id,
    };
    let known = evidence::known(&*handle.store, &about, clock::now());
    let (assessors, centres, countries, quorum) = counted(handle, found, &known);
    let by_centre: BTreeSet<&str> = known.disputes.iter().map(|it| it.centre.as_str()).collect();
    let by_country: BTreeSet<&str> = known
        .disputes
        .iter()
        .map(|it| it.country.as_str())
        .collect();
    let flags = known.flagged.iter();
    let flags = flags.map(|(by, code)| json!({ "by": by.to_string(), "reason": code.name() }));
    let said = json!({
        "effective_state": state(found, &known),
        "attested": { "assessors": assessors, "centres": centres, "countries": countries },
        "quorum": quorum,
        "disputed": {
            "by": by_centre,
            "centres": by_centre.len(),
            "countries": by_country.len(),
        },
        "flagged": flags.collect::<Vec<_>>(),
        "hold": known.hold,
        "feedback": {
            "affirmative": known.feedback.affirmative,
            "negative": known.feedback.negative,
        },
    });
    match said {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Map::new()
        }
    }
}

/// What is said of a record, for whoever computes facts of it.
pub(super) fn of(handle: &Handle, found: &FoundEntry) -> Value {
    let record = &found.record;
    let about = About {
        origin: &found.origin,
        entry: record.entry,
        revision: record.revision,
        series: record.fields.series_id,
    };
    let known = evidence::known(&*handle.store, &about, clock::now());
    let signed = evidence::attestations_of(&*handle.store, &found.origin, record.entry);
    let signed: Vec<String> = signed.iter().map(|it| BASE64.encode(it)).collect();
    let disputes = known
        .disputes
        .iter()
        .map(|it| json!({ "centre": it.centre.to_string(), "country": it.country.to_string() }));
    json!({
        "attestations": signed,
        "disputes": disputes.collect::<Vec<_>>(),
        "hold": known.hold,
    })
}

/// Who agrees with the origin: assessors, centres, countries, and whether they are a quorum.
fn counted(handle: &Handle, found: &FoundEntry, known: &Known) -> (usize, usize, usize, bool) {
    if known.attestations.is_empty() {
        return (0, 0, 0, false);
    }
    let leaf = handle.store.record_leaf(&found.origin, found.record.entry);
    let Ok(Some(leaf)) = leaf else {
        return (0, 0, 0, false);
    };
    let subject = Subject {
        origin: found.origin.clone(),
        entry: found.record.entry,
        revision: found.record.revision,
        leaf,
    };
    let stated = Stated {
        subject: &subject,
        labels: &found.labels,
        fields: &found.record.fields,
    };
    let count = count(&stated, &known.attestations);
    let is_met = Quorum::TWO_OF_TWO.is_met_by(count);
    (count.assessors, count.centres, count.countries, is_met)
}

/// The state that disputes make of the origin's.
fn state(found: &FoundEntry, known: &Known) -> &'static str {
    let subject = Subject {
        origin: found.origin.clone(),
        entry: found.record.entry,
        revision: found.record.revision,
        leaf: [0; 32],
    };
    let stated = Stated {
        subject: &subject,
        labels: &found.labels,
        fields: &found.record.fields,
    };
    let evidence = Evidence {
        attestations: &[],
        disputes: &known.disputes,
        hold: known.hold,
        quorum: Quorum::TWO_OF_TWO,
    };
    EntryFacts::of(&stated, &evidence).state.name()
}

/// What waits for this centre's answer, oldest first.
pub(super) fn waiting(handle: &Handle) -> Value {
    let cases = handle.docket.waiting(&handle.store);
    let all = cases.len();
    let shown = cases.iter().take(CASES_SHOWN).map(case);
    json!({ "waiting": all, "cases": shown.collect::<Vec<_>>() })
}

fn case(case: &Case) -> Value {
    json!({
        "hash": hex::encode(case.hash),
        "kind": case.kind.name(),
        "by": case.by.to_string(),
        "country": case.country.to_string(),
        "entry": case.entry.to_string(),
        "revision": case.revision.0,
        "reason": case.code.map(|code| code.name()),
        "field": case.field.map(|field| field.name()),
        "day": case.day,
    })
}

/// The orders that are in force here, others' holds among them.
pub(super) fn orders(handle: &Handle) -> Value {
    let orders = evidence::orders(&*handle.store, clock::now());
    let orders: Vec<Value> = orders
        .iter()
        .filter_map(|told| {
            let mut order = order(&told.object)?;
            order["hash"] = json!(hex::encode(told.hash));
            order["by"] = json!(told.object.centre().to_string());
            order["ours"] = json!(told.ours);
            Some(order)
        })
        .collect();
    json!({ "orders": orders })
}

/// What an order says; nothing of what is none.
pub(crate) fn order(object: &Object) -> Option<Value> {
    let told = match object {
        Object::Hold(it) => hold(it),
        Object::Lift(it) => json!({ "kind": "lift", "hold": hex::encode(it.hold) }),
        Object::OptIn(it) => json!({
            "kind": "opt_in",
            "origin": it.origin.to_string(),
            "classes": it.classes.as_ref().map(|list| list.iter().map(|class| class.0).collect::<Vec<_>>()),
            "until": it.until.get(),
        }),
        Object::Surge(it) => json!({
            "kind": "surge",
            "origin": it.origin.to_string(),
            "day": it.day,
            "up_to": it.up_to,
        }),
        Object::Attestation(_)
        | Object::Dispute(_)
        | Object::Withdrawal(_)
        | Object::Feedback(_)
        | Object::Answer(_)
        | Object::Reason(_) => return None,
    };
    Some(told)
}

fn hold(it: &Hold) -> Value {
    let of_log = |(origin, list): (&hashpact_keys::Origin, &Vec<_>)| {
        let ids: Vec<String> = list
            .iter()
            .map(|entry: &hashpact_protocol::record::EntryId| entry.to_string())
            .collect();
        (origin.to_string(), json!(ids))
    };
    json!({
        "kind": "hold",
        "reason": it.code.name(),
        "from": it.from.get(),
        "until": it.until.get(),
        "entries": it.entries.iter().map(of_log).collect::<Map<_, _>>(),
        "series": it.series.iter().map(hex::encode).collect::<Vec<_>>(),
        "named": it.named(),
    })
}
