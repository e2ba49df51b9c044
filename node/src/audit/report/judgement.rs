//! What the audit comes to: the verdict, the findings, what was checked and what was not.
//!
//! Why: whoever reads no further must have read the truth, with its limits. Whatever in a result says that something failed is
//! believed, so that no contradiction in a file reads as a clean result. In scope: words and order. Out of scope: centres.

use super::centre::{count_of, mark};
use super::chart;
use super::findings::meaning;
use super::format::Value;
use super::html::Html;
use super::page::{SignOf, fact, sign, table_head};
use super::words::{self, Text};
use crate::audit::result::{AuditResult, BodiesResult, FindingLine, LogResult, SeverityName};

/// Findings that a page shows; the JSON has all.
const FINDINGS_MAX: usize = 500;

/// Findings by weight, with those that the result left out.
struct Weights {
    fails: u64,
    warns: u64,
}

impl Weights {
    /// Whatever says that something failed is believed, so that no contradiction in a file reads as a clean result.
    fn of(result: &AuditResult) -> Self {
        let count = |severity| {
            let of = result
                .findings
                .iter()
                .filter(|finding| finding.severity == severity);
            count_of(of.count())
        };
        let logs = result
            .logs
            .iter()
            .fold(0_u64, |sum, log| sum.saturating_add(log.failures));
        let forks = count_of(result.logs.iter().filter(|log| log.fork).count());
        let fails = count(SeverityName::Fail)
            .saturating_add(result.findings_left_out)
            .max(logs)
            .max(forks)
            .max(u64::from(!result.holds));
        Self {
            fails,
            warns: count(SeverityName::Warn),
        }
    }
}

/// Whether something was checked and nothing of it failed.
pub(super) fn holds(result: &AuditResult) -> bool {
    Weights::of(result).fails == 0 && !result.logs.is_empty()
}

pub(super) fn verdict(html: &mut Html, result: &AuditResult) {
    const CHECK: &str = "M14 25L21 32L35 17";
    const CROSS: &str = "M16 16L32 32M32 16L16 32";
    const POINT: &str = "M24 13V27M24 34V34.5";
    let Weights { fails, warns } = Weights::of(result);
    let (class, path, text, count, means) = match (fails, warns) {
        (0, _) if result.logs.is_empty() => ("warn", POINT, words::VERDICT_NOTHING, 0, None),
        (0, 0) => (
            "good",
            CHECK,
            words::VERDICT_CLEAN,
            0,
            Some(words::VERDICT_MEANS_CLEAN),
        ),
        (0, warns) => (
            "warn",
            POINT,
            words::VERDICT_NOTICES,
            warns,
            Some(words::VERDICT_MEANS_CLEAN),
        ),
        (fails, _) => (
            "bad",
            CROSS,
            words::VERDICT_FINDINGS,
            fails,
            Some(words::VERDICT_MEANS_FAIL),
        ),
    };
    let class = format!("verdict {class}");
    html.inside("section", &[("class", &class), ("id", "result")], |html| {
        chart::seal(html, path);
        html.inside("div", &[], |html| {
            html.said("h2", &[], text, &[Value::Count(count)]);
            if let Some(means) = means {
                html.said("p", &[], means, &[]);
            }
            if fails > 0 && warns > 0 {
                html.said("p", &[], words::VERDICT_NOTICES_TOO, &[Value::Count(warns)]);
            }
            if result.rosters.last().is_some_and(|roster| roster.demo) {
                html.said("p", &[], words::DEMO, &[]);
            }
            let version = env!("CARGO_PKG_VERSION");
            let values = [Value::Time(result.verified_at), Value::Name(version)];
            html.said("p", &[("class", "note")], words::VERDICT_AT, &values);
        });
    });
}

pub(super) fn findings(html: &mut Html, result: &AuditResult) {
    html.inside("section", &[("id", "findings")], |html| {
        html.said("h2", &[], words::FINDINGS, &[]);
        if result.findings.is_empty() && result.findings_left_out == 0 {
            html.inside("p", &[], |html| {
                sign(html, SignOf::Good, words::FINDINGS_NONE, &[])
            });
            return;
        }
        html.said("p", &[("class", "note")], words::FINDINGS_LANGUAGE, &[]);
        html.inside("table", &[("class", "stack")], |html| {
            let columns = [words::WEIGHT, words::LOG, words::PLACE, words::WHAT];
            table_head(html, &columns, &[], &[]);
            html.inside("tbody", &[], |html| {
                // What fails stands before what is only to note, else in the order of the result.
                let of = |severity| {
                    let all = result.findings.iter();
                    all.filter(move |finding| finding.severity == severity)
                };
                let all = of(SeverityName::Fail).chain(of(SeverityName::Warn));
                all.take(FINDINGS_MAX)
                    .for_each(|finding| finding_row(html, finding));
            });
        });
        let not_shown = count_of(result.findings.len().saturating_sub(FINDINGS_MAX));
        if not_shown > 0 {
            html.said("p", &[], words::FINDINGS_MORE, &[Value::Count(not_shown)]);
        }
        if result.findings_left_out > 0 {
            let left_out = [Value::Count(result.findings_left_out)];
            html.said("p", &[], words::FINDINGS_LEFT_OUT, &left_out);
        }
    });
}

fn finding_row(html: &mut Html, finding: &FindingLine) {
    html.inside("tr", &[], |html| {
        html.inside("td", &[], |html| match finding.severity {
            SeverityName::Fail => sign(html, SignOf::Bad, words::FAIL, &[]),
            SeverityName::Warn => sign(html, SignOf::Warn, words::WARN, &[]),
        });
        html.inside("td", &[("class", "words log")], |html| match &finding.log {
            Some(log) => html.element("code", &[], log),
            None => html.say(words::ALL_LOGS, &[]),
        });
        html.inside("td", &[("class", "words log")], |html| {
            html.element("code", &[], &finding.place);
        });
        html.inside("td", &[("class", "words")], |html| {
            if let Some(meaning) = meaning(&finding.kind) {
                html.said("div", &[], meaning, &[]);
            }
            html.inside("div", &[("class", "note"), ("lang", "en-GB")], |html| {
                html.element("code", &[], &finding.kind);
                html.text(": ");
                html.text(&finding.text);
            });
        });
    });
}

pub(super) fn scope(html: &mut Html, result: &AuditResult) {
    let bodies = || result.logs.iter().filter_map(|log| log.bodies.as_ref());
    let sum = |pick: fn(&BodiesResult) -> u64| bodies().map(pick).fold(0, u64::saturating_add);
    let opened = sum(|bodies| bodies.verified).saturating_add(sum(|bodies| bodies.refused));
    let absent = sum(|bodies| bodies.absent);
    let sealed = result.logs.iter().fold(0_u64, |sum, log| {
        let sealed = log.sealed;
        let all = sealed.disclosures.saturating_add(sealed.commitments);
        let all = all.saturating_add(sealed.sessions);
        sum.saturating_add(all.saturating_sub(sealed.opened))
    });
    html.inside("section", &[("id", "scope")], |html| {
        html.said("h2", &[], words::SCOPE, &[]);
        totals(html, result);
        html.inside("div", &[("class", "two")], |html| {
            html.inside("div", &[], |html| {
                html.said("h3", &[], words::CHECKED, &[]);
                html.inside("ul", &[("class", "marked")], |html| {
                    for text in [
                        words::CHECKED_ROSTERS,
                        words::CHECKED_TREE,
                        words::CHECKED_DELTAS,
                        words::CHECKED_ENTRIES,
                        words::CHECKED_COSIGNATURES,
                        words::CHECKED_RECEIPTS,
                    ] {
                        item(html, "✓", text, &[]);
                    }
                    if opened > 0 {
                        let [records, withheld] =
                            [sum(|bodies| bodies.records), sum(|bodies| bodies.withheld)];
                        let counts = [opened, records, withheld].map(Value::Count);
                        item(html, "✓", words::CHECKED_BODIES, &counts);
                    }
                    if let Some(disclosures) = &result.disclosures {
                        let count = [Value::Count(disclosures.statements)];
                        item(html, "✓", words::CHECKED_DISCLOSURES, &count);
                    }
                });
            });
            html.inside("div", &[], |html| {
                html.said("h3", &[], words::NOT_CHECKED, &[]);
                html.inside("ul", &[("class", "marked")], |html| {
                    match (opened, absent) {
                        (0, _) => item(html, "○", words::NOT_BODIES, &[]),
                        (_, 0) => {}
                        (_, absent) => {
                            item(html, "○", words::NOT_BODIES_REST, &[Value::Count(absent)]);
                        }
                    }
                    if sealed > 0 {
                        item(html, "○", words::NOT_DISCLOSURES, &[Value::Count(sealed)]);
                    }
                    for text in [
                        words::NOT_LAWFUL,
                        words::NOT_COMPLETE,
                        words::NOT_APPLIED,
                        words::NOT_CLOCKS,
                        words::NOT_COLLUSION,
                    ] {
                        item(html, "○", text, &[]);
                    }
                });
            });
        });
    });
}

fn item(html: &mut Html, sign: &str, text: Text, values: &[Value<'_>]) {
    html.inside("li", &[], |html| {
        mark(html, "sign", sign);
        html.say(text, values);
    });
}

fn totals(html: &mut Html, result: &AuditResult) {
    let logs = &result.logs;
    let sum = |pick: fn(&LogResult) -> u64| logs.iter().map(pick).fold(0, u64::saturating_add);
    html.inside("dl", &[("class", "facts figure")], |html| {
        for (name, count) in [
            (words::CENTRES, count_of(logs.len())),
            (words::DELTAS, sum(|log| log.deltas)),
            (words::RECORDS, sum(|log| log.records)),
            (words::RETRACTIONS, sum(|log| log.retractions)),
        ] {
            fact(html, name, "", |html| {
                html.say(words::COUNT, &[Value::Count(count)])
            });
        }
        let first = logs.iter().filter_map(|log| log.first_delta_at).min();
        let last = logs.iter().filter_map(|log| log.last_delta_at).max();
        if let (Some(first), Some(last)) = (first, last) {
            fact(html, words::PERIOD, "day", |html| {
                html.say(words::PERIOD_IS, &[Value::Day(first), Value::Day(last)]);
            });
        }
    });
    html.inside("dl", &[("class", "facts")], |html| {
        fact(html, words::NETWORK, "whole", |html| {
            html.element("code", &[], &result.network);
            html.said("div", &[("class", "note")], words::NETWORK_IS, &[]);
        });
    });
}
