//! Policies and disclosures: which rules each centre logged, and who gave which classes to whom.
//!
//! Why: this is what lawyers ask first. In scope: sums by giver, taker, class and purpose, and what stayed sealed. Out of
//! scope: single statements, which findings name; entries, of which statements say nothing.

use super::centre::{ROWS_MAX, count_of};
use super::format::Value;
use super::html::Html;
use super::page::{SignOf, sign, table_head};
use super::words::{self, Text};
use crate::audit::result::{
    AuditResult, DisclosuresResult, GivenResult, LabelsResult, LogResult, PolicyResult,
};

/// Rows of disclosures that a page shows; the JSON has all.
const GIVEN_MAX: usize = 500;

/// Writes the section.
pub(super) fn section(html: &mut Html, result: &AuditResult) {
    html.inside("section", &[("id", "disclosures")], |html| {
        html.said("h2", &[], words::DISCLOSURES, &[]);
        html.said("p", &[("class", "note")], words::DISCLOSURES_IS, &[]);
        html.said("h3", &[], words::GIVEN, &[]);
        match &result.disclosures {
            Some(disclosures) => given(html, disclosures),
            None => html.said("p", &[], words::GIVEN_NONE_OPENED, &[]),
        }
        sealed(html, result);
        policies(html, result);
    });
}

/// A cell, with its column's name where columns have no heads because the page is narrow.
fn cell(html: &mut Html, name: Text, class: &str, content: impl FnOnce(&mut Html)) {
    html.inside("td", &[("class", class)], |html| {
        html.inside("span", &[("class", "narrow")], |html| {
            html.say(name, &[]);
            html.text(" · ");
        });
        content(html);
    });
}

fn counted(html: &mut Html, name: Text, count: u64) {
    cell(html, name, "number", |html| {
        html.say(words::COUNT, &[Value::Count(count)]);
    });
}

fn given(html: &mut Html, disclosures: &DisclosuresResult) {
    if disclosures.given.is_empty() {
        return html.said("p", &[], words::GIVEN_NOTHING, &[]);
    }
    html.said(
        "p",
        &[("class", "note")],
        words::GIVEN_IS,
        &[Value::Count(disclosures.statements)],
    );
    html.inside("table", &[("class", "stack")], |html| {
        let before = [
            words::GIVEN_WAY,
            words::GIVEN_CLASS,
            words::GIVEN_PURPOSE,
            words::PERIOD,
        ];
        let numbers = [words::GIVEN_STATEMENTS, words::RECORDS];
        table_head(html, &before, &numbers, &[words::STATE]);
        html.inside("tbody", &[], |html| {
            disclosures
                .given
                .iter()
                .take(GIVEN_MAX)
                .for_each(|row| given_row(html, row));
        });
    });
    let more = count_of(disclosures.given.len().saturating_sub(GIVEN_MAX));
    let more = more.saturating_add(disclosures.left_out);
    if more > 0 {
        html.said("p", &[], words::GIVEN_MORE, &[Value::Count(more)]);
    }
}

fn given_row(html: &mut Html, row: &GivenResult) {
    html.inside("tr", &[], |html| {
        html.inside("th", &[("scope", "row"), ("class", "words")], |html| {
            html.element("bdi", &[], &row.from);
            html.text(" → ");
            html.element("bdi", &[], &row.to);
            html.inside("div", &[("class", "note")], |html| match row.hops {
                0 => html.say(words::GIVEN_OWN, &[]),
                _ => html.say(words::GIVEN_OF, &[Value::Name(&row.origin)]),
            });
        });
        cell(html, words::GIVEN_CLASS, "words", |html| class(html, row));
        cell(html, words::GIVEN_PURPOSE, "words", |html| {
            html.element("code", &[], &row.purpose);
        });
        cell(html, words::PERIOD, "words", |html| {
            html.say(
                words::PERIOD_IS,
                &[Value::Day(row.first), Value::Day(row.last)],
            );
        });
        counted(html, words::GIVEN_STATEMENTS, row.statements);
        counted(html, words::RECORDS, row.records);
        html.inside("td", &[("class", "words")], |html| match row.failed {
            0 => sign(html, SignOf::Good, words::GIVEN_ALLOWED, &[]),
            failed => sign(
                html,
                SignOf::Bad,
                words::GIVEN_FAILED,
                &[Value::Count(failed)],
            ),
        });
    });
}

fn class(html: &mut Html, row: &GivenResult) {
    html.say(words::COUNT, &[Value::Count(row.class)]);
    html.inside("div", &[("class", "note")], |html| match &row.labels {
        Some(LabelsResult {
            state,
            content,
            legal_basis,
            ..
        }) => {
            let content = content.join(" | ");
            html.element("code", &[], &format!("{state}, {content}, {legal_basis}"));
        }
        None => html.say(words::GIVEN_UNDEFINED, &[]),
    });
}

/// What of each log is sealed, and was it opened.
fn sealed(html: &mut Html, result: &AuditResult) {
    let logs = || {
        let logs = result.logs.iter();
        logs.filter(|log| {
            let sealed = log.sealed;
            sealed.disclosures > 0 || sealed.commitments > 0 || sealed.sessions > 0
        })
    };
    html.said("h3", &[], words::SEALED, &[]);
    if logs().next().is_none() {
        return html.said("p", &[], words::SEALED_NONE, &[]);
    }
    html.said("p", &[("class", "note")], words::SEALED_IS, &[]);
    html.inside("table", &[("class", "stack")], |html| {
        let numbers = [
            words::SEALED_DISCLOSURES,
            words::SEALED_SESSIONS,
            words::SEALED_OTHERS,
            words::SEALED_OPENED,
            words::SEALED_UNOPENED,
        ];
        table_head(html, &[words::CENTRE], &numbers, &[]);
        html.inside("tbody", &[], |html| {
            logs().take(ROWS_MAX).for_each(|log| sealed_row(html, log));
        });
    });
}

fn sealed_row(html: &mut Html, log: &LogResult) {
    html.inside("tr", &[], |html| {
        html.inside("th", &[("scope", "row"), ("class", "words")], |html| {
            html.element("bdi", &[], &log.centre);
        });
        let sealed = log.sealed;
        counted(html, words::SEALED_DISCLOSURES, sealed.disclosures);
        counted(html, words::SEALED_SESSIONS, sealed.sessions);
        counted(html, words::SEALED_OTHERS, sealed.commitments);
        counted(html, words::SEALED_OPENED, sealed.opened);
        cell(html, words::SEALED_UNOPENED, "number", |html| {
            let count = [Value::Count(sealed.unopened)];
            if sealed.unopened == 0 {
                html.say(words::COUNT, &count);
            } else {
                sign(html, SignOf::Bad, words::COUNT, &count);
            }
        });
    });
}

fn policies(html: &mut Html, result: &AuditResult) {
    html.said("h3", &[], words::POLICIES, &[]);
    let mut all = result
        .logs
        .iter()
        .flat_map(|log| log.policies.iter().map(move |policy| (log, policy)))
        .peekable();
    if all.peek().is_none() {
        return html.said("p", &[], words::POLICIES_NONE, &[]);
    }
    html.said("p", &[("class", "note")], words::POLICIES_IS, &[]);
    html.inside("table", &[("class", "stack")], |html| {
        let before = [words::CENTRE, words::VERSION, words::POLICY_PROFILE];
        let numbers = [words::POLICY_RULES, words::POLICY_GRANTS];
        table_head(html, &before, &numbers, &[words::STATE]);
        html.inside("tbody", &[], |html| {
            all.take(ROWS_MAX)
                .for_each(|(log, policy)| policy_row(html, log, policy));
        });
    });
}

fn policy_row(html: &mut Html, log: &LogResult, policy: &PolicyResult) {
    html.inside("tr", &[], |html| {
        html.inside("th", &[("scope", "row"), ("class", "words")], |html| {
            html.element("bdi", &[], &log.centre);
        });
        cell(html, words::VERSION, "words", |html| {
            match policy.version {
                Some(version) => html.say(words::COUNT, &[Value::Count(version)]),
                None => html.say(words::NO_VALUE, &[]),
            }
            html.inside("div", &[("class", "note")], |html| {
                html.say(words::POLICY_ISSUED, &[Value::Day(policy.issued_at)]);
            });
        });
        let Some(profile) = &policy.profile else {
            html.said("td", &[], words::NO_VALUE, &[]);
            html.said("td", &[("class", "number")], words::NO_VALUE, &[]);
            html.said("td", &[("class", "number")], words::NO_VALUE, &[]);
            return html.inside("td", &[("class", "words")], |html| {
                sign(html, SignOf::Bad, words::POLICY_DENIES, &[]);
            });
        };
        cell(html, words::POLICY_PROFILE, "words", |html| {
            html.element("bdi", &[], &profile.name);
            html.text(" (");
            html.element("bdi", &[], &profile.jurisdiction);
            html.text(")");
        });
        counted(html, words::POLICY_RULES, profile.policies);
        counted(html, words::POLICY_GRANTS, profile.grants);
        html.inside("td", &[("class", "words")], |html| {
            if profile.signed_off {
                sign(html, SignOf::Good, words::POLICY_SIGNED_OFF, &[]);
            } else {
                sign(html, SignOf::Warn, words::POLICY_NOT_SIGNED_OFF, &[]);
            }
        });
    });
}
