//! The page as a whole: its head, its order, the chain of rosters, the words.
//!
//! In scope: order and words. Out of scope: the verdict (`judgement`), the card of a centre (`centre`), what is around it
//! (`crate::page::frame`).

use super::centre::{self, ROWS_MAX, names};
use super::disclosures;
use super::format::Value;
use super::html::Html;
use super::judgement;
use super::timeline::common_span;
use super::words::{self, Language, Text};
use super::{voices, voices_words};
use crate::audit::result::{AuditResult, RosterResult};
use crate::page::frame::Frame;

/// The style sheet, whole in the page.
pub(super) const STYLE: &str = concat!(
    include_str!("../../page/page.css"),
    include_str!("report.css")
);
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
    let frame = Frame {
        title: words::TITLE,
        subtitle: words::SUBTITLE,
        skip: ("#result", words::SKIP),
        style: STYLE,
        style_sha256: super::STYLE_SHA256,
    };
    let main = |html: &mut Html| {
        judgement::verdict(html, result);
        contents(html, result);
        judgement::findings(html, result);
        judgement::scope(html, result);
        disclosures::section(html, result);
        voices::section(html, result);
        let span = common_span(&result.logs, result.verified_at);
        for (at, log) in result.logs.iter().take(CENTRES_MAX).enumerate() {
            centre::card(html, result, at, log, span);
        }
        rosters(html, result);
        glossary(html);
    };
    frame.page(language, main, |html| foot(html, result))
}

fn contents(html: &mut Html, result: &AuditResult) {
    html.inside("nav", &[("aria-labelledby", "contents")], |html| {
        html.said(
            "p",
            &[("class", "note"), ("id", "contents")],
            words::CONTENTS,
            &[],
        );
        html.inside("ul", &[], |html| {
            let before = [
                ("#findings", words::FINDINGS),
                ("#scope", words::SCOPE),
                ("#disclosures", words::DISCLOSURES),
                ("#voices", voices_words::VOICES),
                ("#delivery", voices_words::DELIVERY),
            ];
            let after = [("#rosters", words::ROSTERS), ("#words", words::GLOSSARY)];
            let entry = |html: &mut Html, href: &str, content: &dyn Fn(&mut Html)| {
                html.inside("li", &[], |html| {
                    html.inside("a", &[("href", href)], content)
                });
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
            html.inside("span", &[("class", "narrow")], |html| {
                html.say(words::VERSION, &[]);
                html.text(" ");
            });
            html.say(words::COUNT, &[Value::Count(roster.version)]);
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
            let others: Vec<String> = roster
                .auditors
                .iter()
                .chain(&roster.witnesses)
                .cloned()
                .collect();
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
                (words::WORD_CLASS, words::WORD_CLASS_IS),
                (words::WORD_STATEMENT, words::WORD_STATEMENT_IS),
                (words::WORD_POLICY, words::WORD_POLICY_IS),
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
    let command = format!("hashpact audit verify DIR --pin {}", result.network);
    html.said("p", &[], words::FOOT_REPEAT, &[Value::Name(&command)]);
    html.said("p", &[], words::FOOT_QUIET, &[]);
    html.said("p", &[], words::FOOT_TIMES, &[]);
}
