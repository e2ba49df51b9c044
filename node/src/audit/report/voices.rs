//! What centres said of each other's entries, and who has not applied or acknowledged retractions.
//!
//! Why: a reader asks how errors are dealt with, and may learn of no entry. Holds are told in sums above a bound only, so that
//! no number says whether there is one. In scope: sums by centre. Out of scope: single objects, which findings name.

use super::centre::ROWS_MAX;
use super::format::Value;
use super::html::Html;
use super::page::{SignOf, sign, table_head};
use super::voices_words as words;
use super::words::{CENTRE, COUNT, Text};
use crate::audit::result::{AuditResult, DeliveryResult, VoicesResult};

/// Writes both sections.
pub(super) fn section(html: &mut Html, result: &AuditResult) {
    html.inside("section", &[("id", "voices")], |html| {
        html.said("h2", &[], words::VOICES, &[]);
        html.said("p", &[("class", "note")], words::VOICES_IS, &[]);
        match result.voices.as_slice() {
            [] => html.said("p", &[], words::VOICES_NONE, &[]),
            voices => table(html, voices),
        }
    });
    html.inside("section", &[("id", "delivery")], |html| {
        html.said("h2", &[], words::DELIVERY, &[]);
        html.said("p", &[("class", "note")], words::DELIVERY_IS, &[]);
        match result.delivery.as_slice() {
            [] => html.said("p", &[], words::DELIVERY_NONE, &[]),
            all => all.iter().take(ROWS_MAX).for_each(|it| delivery(html, it)),
        }
    });
}

fn table(html: &mut Html, voices: &[VoicesResult]) {
    html.inside("table", &[("class", "stack")], |html| {
        let numbers = [
            words::ATTESTATIONS,
            words::DISPUTES,
            words::DISPUTES_ANSWERED,
            words::NEGATIVE,
            words::AFFIRMATIVE,
            words::FEEDBACK_ANSWERED,
            words::ANSWERS,
            words::HOLDS,
        ];
        table_head(html, &[CENTRE], &numbers, &[]);
        html.inside("tbody", &[], |html| {
            voices.iter().take(ROWS_MAX).for_each(|it| row(html, it));
        });
    });
}

fn row(html: &mut Html, it: &VoicesResult) {
    html.inside("tr", &[], |html| {
        html.inside("th", &[("scope", "row"), ("class", "words")], |html| {
            html.element("bdi", &[], &it.centre);
        });
        cell(html, words::ATTESTATIONS, Some(it.attestations));
        cell(html, words::DISPUTES, Some(it.disputes.values().sum()));
        cell(html, words::DISPUTES_ANSWERED, Some(it.disputes_answered));
        cell(html, words::NEGATIVE, Some(it.feedback_negative));
        cell(html, words::AFFIRMATIVE, Some(it.feedback_affirmative));
        cell(html, words::FEEDBACK_ANSWERED, Some(it.feedback_answered));
        cell(
            html,
            words::ANSWERS,
            Some(it.accepted.saturating_add(it.declined)),
        );
        cell(html, words::HOLDS, it.holds);
    });
}

/// A number; none is one that is too small to be told.
fn cell(html: &mut Html, name: Text, count: Option<u64>) {
    html.inside("td", &[("class", "number")], |html| {
        html.inside("span", &[("class", "narrow")], |html| {
            html.say(name, &[]);
            html.text(" · ");
        });
        match count {
            Some(count) => html.say(COUNT, &[Value::Count(count)]),
            None => html.say(
                words::FEW,
                &[Value::Count(crate::audit::result::SMALL_CELL)],
            ),
        }
    });
}

fn delivery(html: &mut Html, it: &DeliveryResult) {
    html.inside("h3", &[], |html| {
        html.say(CENTRE, &[]);
        html.text(" ");
        html.element("bdi", &[], &it.centre);
    });
    html.said(
        "p",
        &[("class", "note")],
        words::AS_OF,
        &[Value::Time(it.at)],
    );
    if it.lagging.is_empty() && it.members.is_empty() {
        return html.inside("p", &[], |html| {
            sign(html, SignOf::Good, words::ALL_DELIVERED, &[])
        });
    }
    html.inside("table", &[("class", "stack")], |html| {
        let numbers = [words::OWED, words::SINCE];
        table_head(html, &[words::WHO], &numbers, &[]);
        html.inside("tbody", &[], |html| {
            for lag in it.lagging.iter().take(ROWS_MAX) {
                owed(html, CENTRE, &lag.centre, lag.deltas, lag.since);
            }
            for owing in it.members.iter().take(ROWS_MAX) {
                owed(html, words::MEMBER, &owing.member, owing.count, owing.since);
            }
        });
    });
}

fn owed(html: &mut Html, kind: Text, who: &str, count: u64, since: u64) {
    html.inside("tr", &[], |html| {
        html.inside("th", &[("scope", "row"), ("class", "words")], |html| {
            html.say(kind, &[]);
            html.text(" ");
            html.element("bdi", &[], who);
        });
        cell(html, words::OWED, Some(count));
        html.inside("td", &[("class", "number")], |html| {
            sign(html, SignOf::Warn, words::SINCE_IS, &[Value::Time(since)]);
        });
    });
}
