//! The page as a whole: head, verdict, findings, what was checked, the chain of rosters, the words.
//!
//! Why: one file that a court or a colleague opens years later, offline, and that can do nothing but be read: it holds no
//! script, and its policy forbids any and every request. Spec: HTML, Content Security Policy 3, WCAG 2.2 AA.
//! In scope: order and words. Out of scope: the card of a centre (`centre`).

use super::centre::{self, ROWS_MAX, count_of, mark, names};
use super::chart;
use super::findings::meaning;
use super::format::Value;
use super::html::Html;
use super::timeline::common_span;
use super::words::{self, Language, Text};
use crate::audit::result::{AuditResult, FindingLine, RosterResult, SeverityName};

/// The style sheet, whole in the page.
pub(super) const STYLE: &str = include_str!("report.css");
/// What the browser lets the page do: this one style sheet, nothing else. A test compares the hash with [`STYLE`].
pub(super) const POLICY: &str = "default-src 'none'; style-src 'sha256-@'; base-uri 'none'; form-action 'none'";
/// Findings that a page shows; the JSON has all.
pub(super) const FINDINGS_MAX: usize = 500;
/// Centres that a page shows.
const CENTRES_MAX: usize = 256;

/// A sign that stands beside words and has their colour.
#[derive(Clone, Copy)]
pub(super) enum SignOf {
    Good,
    Bad,
    Warn,
}

impl SignOf {
    fn class_and_mark(self) -> (&'static str, &'static str) {
        match self {
            Self::Good => ("sign good", "✓"),
            Self::Bad => ("sign bad", "✗"),
            Self::Warn => ("sign warn", "!"),
        }
    }
}

/// A sign and what it means.
pub(super) fn sign(html: &mut Html, of: SignOf, text: Text, values: &[Value<'_>]) {
    let (class, sign) = of.class_and_mark();
    html.inside("span", &[("class", class)], |html| {
        html.element("span", &[("aria-hidden", "true")], sign);
        html.text(" ");
        html.say(text, values);
    });
}

/// A term and its description in a grid of facts.
pub(super) fn fact(html: &mut Html, name: Text, class: &str, value: impl FnOnce(&mut Html)) {
    html.inside("div", &[("class", class)], |html| {
        html.said("dt", &[], name, &[]);
        html.inside("dd", &[], value);
    });
}

/// The head of a table: columns of words, of numbers, of words.
pub(super) fn table_head(html: &mut Html, before: &[Text], numbers: &[Text], after: &[Text]) {
    html.inside("thead", &[], |html| {
        html.inside("tr", &[], |html| {
            for (texts, class) in [(before, "words"), (numbers, "number"), (after, "words")] {
                for text in texts {
                    html.said("th", &[("scope", "col"), ("class", class)], *text, &[]);
                }
            }
        });
    });
}

/// The page of `result`, which opens in `language`.
pub(super) fn page(result: &AuditResult, language: Language) -> String {
    let mut html = Html::document();
    html.inside("html", &[("lang", language.code())], |html| {
        head(html);
        html.inside("body", &[], |html| {
            html.said("a", &[("class", "skip"), ("href", "#result")], words::SKIP, &[]);
            top(html, language);
            html.inside("main", &[("class", "wide")], |html| {
                verdict(html, result);
                contents(html, result);
                findings(html, result);
                scope(html, result);
                let span = common_span(&result.logs, result.verified_at);
                for (at, log) in result.logs.iter().take(CENTRES_MAX).enumerate() {
                    centre::card(html, result, at, log, span);
                }
                rosters(html, result);
                glossary(html);
            });
            foot(html, result);
        });
    });
    html.finish()
}

fn head(html: &mut Html) {
    html.inside("head", &[], |html| {
        html.void("meta", &[("charset", "utf-8")]);
        let policy = POLICY.replace('@', super::STYLE_SHA256);
        html.void("meta", &[("http-equiv", "Content-Security-Policy"), ("content", &policy)]);
        html.void("meta", &[("name", "referrer"), ("content", "no-referrer")]);
        html.void(
            "meta",
            &[("name", "viewport"), ("content", "width=device-width, initial-scale=1")],
        );
        html.void("meta", &[("name", "color-scheme"), ("content", "light dark")]);
        let both = Language::ALL.map(|language| words::TITLE.fill(language, &[]));
        html.element("title", &[], &format!("Hashpact · {}", both.join(" · ")));
        html.style(STYLE);
    });
}

fn top(html: &mut Html, language: Language) {
    html.inside("header", &[], |html| {
        html.inside("div", &[("class", "wide")], |html| {
            html.inside("div", &[], |html| {
                html.inside("h1", &[], |html| {
                    html.text("Hashpact · ");
                    html.say(words::TITLE, &[]);
                });
                html.said("p", &[], words::SUBTITLE, &[]);
            });
            html.inside("div", &[("class", "switches")], |html| {
                switch(
                    html,
                    "language",
                    words::LANGUAGE,
                    &[
                        ("en", words::ENGLISH, language == Language::English),
                        ("fr", words::FRENCH, language == Language::French),
                    ],
                );
                switch(
                    html,
                    "theme",
                    words::THEME,
                    &[
                        ("auto", words::THEME_AUTO, true),
                        ("light", words::THEME_LIGHT, false),
                        ("dark", words::THEME_DARK, false),
                    ],
                );
            });
        });
    });
}

/// A choice that the style sheet reads; keyboards and screen readers know it as radio buttons.
fn switch(html: &mut Html, name: &str, title: Text, choices: &[(&str, Text, bool)]) {
    html.inside("fieldset", &[], |html| {
        html.said("legend", &[], title, &[]);
        for (value, text, chosen) in choices {
            html.inside("label", &[], |html| {
                let id = format!("{name}-{value}");
                let input = [("type", "radio"), ("name", name), ("id", id.as_str())];
                if *chosen {
                    html.void("input", &[input[0], input[1], input[2], ("checked", "")]);
                } else {
                    html.void("input", &input);
                }
                html.say(*text, &[]);
            });
        }
    });
}

/// Findings by weight, with those that the result left out.
struct Weights {
    fails: u64,
    warns: u64,
}

impl Weights {
    /// Whatever says that something failed is believed, so that no contradiction in a file reads as a clean result.
    fn of(result: &AuditResult) -> Self {
        let count = |severity| {
            let of = result.findings.iter().filter(|finding| finding.severity == severity);
            count_of(of.count())
        };
        let logs = result.logs.iter().fold(0_u64, |sum, log| sum.saturating_add(log.failures));
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

fn verdict(html: &mut Html, result: &AuditResult) {
    const CHECK: &str = "M14 25L21 32L35 17";
    const CROSS: &str = "M16 16L32 32M32 16L16 32";
    const POINT: &str = "M24 13V27M24 34V34.5";
    let Weights { fails, warns } = Weights::of(result);
    let (class, path, text, count, means) = match (fails, warns) {
        (0, _) if result.logs.is_empty() => ("warn", POINT, words::VERDICT_NOTHING, 0, None),
        (0, 0) => ("good", CHECK, words::VERDICT_CLEAN, 0, Some(words::VERDICT_MEANS_CLEAN)),
        (0, warns) => {
            ("warn", POINT, words::VERDICT_NOTICES, warns, Some(words::VERDICT_MEANS_CLEAN))
        }
        (fails, _) => {
            ("bad", CROSS, words::VERDICT_FINDINGS, fails, Some(words::VERDICT_MEANS_FAIL))
        }
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

fn contents(html: &mut Html, result: &AuditResult) {
    html.inside("nav", &[("aria-labelledby", "contents")], |html| {
        html.said("p", &[("class", "note"), ("id", "contents")], words::CONTENTS, &[]);
        html.inside("ul", &[], |html| {
            let before = [("#findings", words::FINDINGS), ("#scope", words::SCOPE)];
            let after = [("#rosters", words::ROSTERS), ("#words", words::GLOSSARY)];
            let entry = |html: &mut Html, href: &str, content: &dyn Fn(&mut Html)| {
                html.inside("li", &[], |html| html.inside("a", &[("href", href)], content));
            };
            for (href, text) in before {
                entry(html, href, &|html| html.say(text, &[]));
            }
            for (at, log) in result.logs.iter().take(CENTRES_MAX).enumerate() {
                entry(html, &format!("#centre-{at}"), &|html| {
                    html.say(words::CENTRE, &[]);
                    html.text(" ");
                    html.element("bdi", &[], &log.centre);
                });
            }
            for (href, text) in after {
                entry(html, href, &|html| html.say(text, &[]));
            }
        });
    });
}

fn findings(html: &mut Html, result: &AuditResult) {
    html.inside("section", &[("id", "findings")], |html| {
        html.said("h2", &[], words::FINDINGS, &[]);
        if result.findings.is_empty() && result.findings_left_out == 0 {
            html.inside("p", &[], |html| sign(html, SignOf::Good, words::FINDINGS_NONE, &[]));
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
                all.take(FINDINGS_MAX).for_each(|finding| finding_row(html, finding));
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

fn scope(html: &mut Html, result: &AuditResult) {
    let bodies = || result.logs.iter().filter_map(|log| log.bodies.as_ref());
    let sum = |pick: fn(&crate::audit::result::BodiesResult) -> u64| {
        bodies().map(pick).fold(0, u64::saturating_add)
    };
    let opened = sum(|bodies| bodies.verified).saturating_add(sum(|bodies| bodies.refused));
    let absent = sum(|bodies| bodies.absent);
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
    let sum = |pick: fn(&crate::audit::result::LogResult) -> u64| {
        logs.iter().map(pick).fold(0, u64::saturating_add)
    };
    html.inside("dl", &[("class", "facts figure")], |html| {
        for (name, count) in [
            (words::CENTRES, count_of(logs.len())),
            (words::DELTAS, sum(|log| log.deltas)),
            (words::RECORDS, sum(|log| log.records)),
            (words::RETRACTIONS, sum(|log| log.retractions)),
        ] {
            fact(html, name, "", |html| html.say(words::COUNT, &[Value::Count(count)]));
        }
        let first = logs.iter().filter_map(|log| log.first_delta_at).min();
        let last = logs.iter().filter_map(|log| log.last_delta_at).max();
        if let (Some(first), Some(last)) = (first, last) {
            fact(html, words::PERIOD, "day long", |html| {
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

fn rosters(html: &mut Html, result: &AuditResult) {
    html.inside("section", &[("id", "rosters")], |html| {
        html.said("h2", &[], words::ROSTERS, &[]);
        html.said("p", &[("class", "note")], words::ROSTERS_IS, &[]);
        html.inside("table", &[("class", "stack")], |html| {
            let columns = [
                words::VERSION,
                words::STATE,
                words::VALID,
                words::ROSTER_CENTRES,
                words::ROSTER_AUDITORS,
            ];
            table_head(html, &columns, &[], &[]);
            html.inside("tbody", &[], |html| {
                // The newest ones where they are many: the last one decides.
                let from = result.rosters.len().saturating_sub(ROWS_MAX);
                for (at, roster) in result.rosters.iter().enumerate().skip(from) {
                    let newest = at + 1 == result.rosters.len();
                    roster_row(html, roster, newest, result.verified_at);
                }
            });
        });
    });
}

fn roster_row(html: &mut Html, roster: &RosterResult, newest: bool, now: u64) {
    html.inside("tr", &[], |html| {
        html.inside("th", &[("scope", "row")], |html| {
            html.say(words::ROSTER, &[Value::Count(roster.version)]);
        });
        html.inside("td", &[("class", "nowrap")], |html| {
            if !newest {
                html.text("→ ");
                html.say(words::ROSTER_REPLACED, &[]);
            } else if roster.expires_at <= now {
                sign(html, SignOf::Warn, words::ROSTER_EXPIRED, &[]);
            } else {
                sign(html, SignOf::Good, words::ROSTER_IN_FORCE, &[]);
            }
        });
        html.inside("td", &[], |html| {
            let days = [Value::Day(roster.issued_at), Value::Day(roster.expires_at)];
            html.say(words::PERIOD_IS, &days);
        });
        html.inside("td", &[("class", "words")], |html| {
            html.text(&names(&roster.centres));
            html.inside("div", &[("class", "note")], |html| {
                html.element("code", &[], &roster.hash);
            });
        });
        html.inside("td", &[("class", "words")], |html| {
            let others: Vec<String> =
                roster.auditors.iter().chain(&roster.witnesses).cloned().collect();
            if others.is_empty() {
                html.say(words::NOBODY, &[]);
            } else {
                html.text(&names(&others));
            }
        });
    });
}

fn glossary(html: &mut Html) {
    html.inside("section", &[("id", "words")], |html| {
        html.said("h2", &[], words::GLOSSARY, &[]);
        html.inside("dl", &[("class", "two")], |html| {
            for (word, meaning) in [
                (words::WORD_LOG, words::WORD_LOG_IS),
                (words::WORD_DELTA, words::WORD_DELTA_IS),
                (words::WORD_RETRACTION, words::WORD_RETRACTION_IS),
                (words::WORD_CHECKPOINT, words::WORD_CHECKPOINT_IS),
                (words::WORD_WITNESS, words::WORD_WITNESS_IS),
                (words::WORD_RECEIPT, words::WORD_RECEIPT_IS),
                (words::WORD_ROSTER, words::WORD_ROSTER_IS),
            ] {
                fact(html, word, "word", |html| html.say(meaning, &[]));
            }
        });
    });
}

fn foot(html: &mut Html, result: &AuditResult) {
    html.inside("footer", &[("class", "wide")], |html| {
        let command = format!("hashpact audit verify DIR --pin {}", result.network);
        html.said("p", &[], words::FOOT_REPEAT, &[Value::Name(&command)]);
        html.said("p", &[], words::FOOT_QUIET, &[]);
        html.said("p", &[], words::FOOT_TIMES, &[]);
    });
}
