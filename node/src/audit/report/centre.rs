//! The card of one centre: its figures, timeline and months.
//!
//! In scope: what a card says and in which order. Out of scope: drawing (`chart`), choosing marks (`timeline`), who
//! watched (`witnesses`).

use std::collections::BTreeMap;

use super::bars::{Bar, bars as draw_bars};
use super::chart;
use super::format::{Value, date};
use super::html::Html;
use super::page::{SignOf, fact, sign, table_head};
use super::timeline::{Silence, Span, Timeline, month_span};
use super::{witnesses, words};
use crate::audit::result::{AuditResult, LogResult, MonthResult, NoteResult, SeverityName};

/// Items of one list that a page shows; the rest is counted.
pub(super) const LISTED_MAX: usize = 30;
/// Months that are shown one by one; more are added up to years.
const MONTHS_MAX: usize = 36;
/// Years that are shown, the newest.
const YEARS_MAX: usize = 60;
/// Witnesses, receipts or rosters that are shown.
pub(super) const ROWS_MAX: usize = 128;

/// Writes the card of `log`, which is number `at` of the page.
pub(super) fn card(html: &mut Html, result: &AuditResult, at: usize, log: &LogResult, span: Span) {
    let id = format!("centre-{at}");
    html.inside("section", &[("id", &id)], |html| {
        html.inside("div", &[("class", "title")], |html| {
            html.inside("h2", &[], |html| {
                html.say(words::CENTRE, &[]);
                html.text(" ");
                html.element("bdi", &[], &log.centre);
            });
            state(html, result, log);
        });
        if log.fork {
            html.said("p", &[("class", "alarm")], words::FROZEN, &[]);
        }
        facts(html, log);
        if log.deltas == 0 && log.newest_notes.is_empty() {
            html.said("p", &[], words::EMPTY_LOG, &[]);
        } else {
            timeline(html, &id, log, span);
            months(html, &id, log);
        }
        witnesses::cosignatures(html, &id, log);
        witnesses::unwitnessed(html, log);
        witnesses::receipts(html, log);
    });
}

/// Failures of a log, whichever of the result's two counts is higher.
fn failures(result: &AuditResult, log: &LogResult) -> u64 {
    let told = result.findings.iter().filter(|finding| {
        finding.severity == SeverityName::Fail && finding.log.as_deref() == Some(&log.origin)
    });
    log.failures.max(told.fold(0, |count, _| count + 1))
}

fn state(html: &mut Html, result: &AuditResult, log: &LogResult) {
    html.inside("p", &[], |html| match failures(result, log) {
        0 if log.fork => sign(html, SignOf::Bad, words::FAIL, &[]),
        0 => sign(html, SignOf::Good, words::LOG_CLEAN, &[]),
        count => sign(
            html,
            SignOf::Bad,
            words::LOG_FINDINGS,
            &[Value::Count(count)],
        ),
    });
}

fn facts(html: &mut Html, log: &LogResult) {
    let day = |at: Option<u64>| match at {
        Some(at) => (words::COUNT, Value::Day(at)),
        None => (words::NEVER, Value::Count(0)),
    };
    html.inside("dl", &[("class", "facts figure")], |html| {
        for (name, count) in [
            (words::DELTAS, log.deltas),
            (words::RECORDS, log.records),
            (words::RETRACTIONS, log.retractions),
            (words::LEAVES, log.size),
            (words::CLASSES, log.classes),
        ] {
            fact(html, name, "", |html| {
                html.say(words::COUNT, &[Value::Count(count)])
            });
        }
        for (name, at) in [
            (words::FIRST, log.first_delta_at),
            (words::LAST, log.last_delta_at),
        ] {
            let (text, value) = day(at);
            fact(html, name, "day", |html| html.say(text, &[value]));
        }
    });
    html.inside("dl", &[("class", "facts")], |html| {
        fact(html, words::JURISDICTION, "", |html| {
            html.element("bdi", &[], &log.jurisdiction)
        });
        fact(html, words::ORIGIN, "", |html| {
            html.element("code", &[], &log.origin)
        });
        fact(html, words::NEWEST, "", |html| newest(html, log));
        fact(html, words::BODIES, "", |html| match &log.bodies {
            Some(bodies) => {
                let counts = [bodies.verified, bodies.refused, bodies.absent].map(Value::Count);
                html.say(words::BODIES_ARE, &counts);
            }
            None => html.say(words::BODIES_NONE, &[]),
        });
        if let Some(root) = &log.root {
            fact(html, words::FINGERPRINT, "hash", |html| {
                html.element("code", &[], root)
            });
        }
    });
}

fn newest(html: &mut Html, log: &LogResult) {
    match &log.checkpoint {
        None => html.say(words::NEVER, &[]),
        Some(NoteResult {
            size,
            witnessed: true,
            witnessed_at: Some(at),
            ..
        }) => html.say(words::NEWEST_YES, &[Value::Count(*size), Value::Time(*at)]),
        Some(note) => {
            let values = [note.size, cosigned(note), note.quorum].map(Value::Count);
            html.say(words::NEWEST_NO, &values);
        }
    }
}

pub(super) fn cosigned(note: &NoteResult) -> u64 {
    count_of(note.cosigned.len())
}

pub(super) fn count_of(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn timeline(html: &mut Html, id: &str, log: &LogResult, span: Span) {
    let line = Timeline::of(log, span);
    let caption = format!("{id}-timeline");
    let witnessed = log
        .newest_notes
        .iter()
        .filter(|note| note.witnessed)
        .count();
    html.said("h3", &[], words::TIMELINE, &[Value::Name(&log.centre)]);
    html.inside("figure", &[], |html| {
        html.inside("figcaption", &[("id", &caption)], |html| {
            let counts = [
                log.deltas,
                log.retractions,
                count_of(witnessed),
                count_of(log.newest_notes.len()),
                count_of(line.silences.len()),
            ];
            html.say(words::TIMELINE_IS, &counts.map(Value::Count));
        });
        key(html, &line);
        chart::timeline(html, &caption, &line, span);
    });
    let listed = count_of(log.newest_notes.len());
    if listed < log.notes {
        let counts = [listed, log.notes].map(Value::Count);
        html.said("p", &[("class", "note")], words::NOTES_CUT, &counts);
    }
    if let Some(slice) = line.slice {
        html.said(
            "p",
            &[("class", "note")],
            words::AGGREGATED,
            &[Value::Length(slice)],
        );
    }
    silences(html, &line.silences);
}

fn key(html: &mut Html, line: &Timeline) {
    let signs = [
        (true, "tick", "M0 8V-8", words::KEY_DELTA),
        (
            !line.stretches.is_empty(),
            "stretch",
            "M-8-3H8V3H-8z",
            words::KEY_STRETCH,
        ),
        (true, "diamond", "M0-7L7 0L0 7L-7 0z", words::KEY_RETRACTION),
        (true, "seen", "M-3-6V6M3-6V6", words::KEY_WITNESSED),
        (
            !line.unwitnessed.is_empty(),
            "unseen",
            "M-5-5L5 5M5-5L-5 5",
            words::KEY_UNWITNESSED,
        ),
        (
            !line.silences.is_empty(),
            "silence",
            "M-8-6H8V6H-8z",
            words::KEY_SILENCE,
        ),
    ];
    html.inside("ul", &[("class", "key")], |html| {
        for (_, class, path, text) in signs.into_iter().filter(|(shown, ..)| *shown) {
            html.inside("li", &[], |html| {
                chart::sign(html, class, path);
                html.say(text, &[]);
            });
        }
    });
}

fn silences(html: &mut Html, silences: &[Silence]) {
    if silences.is_empty() {
        return;
    }
    html.inside("p", &[], |html| {
        html.said("strong", &[], words::SILENCES, &[]);
        html.text(" ");
        for (at, silence) in silences.iter().take(LISTED_MAX).enumerate() {
            if at > 0 {
                html.text(", ");
            }
            let Span { from, to } = silence.span;
            let length = Value::Length(to - from);
            if silence.open {
                html.say(words::SILENCE_OPEN, &[Value::Day(from), length]);
            } else {
                html.say(
                    words::SILENCE_IS,
                    &[Value::Day(from), Value::Day(to), length],
                );
            }
        }
        more(html, silences.len());
    });
}

/// How many of a list are not shown.
pub(super) fn more(html: &mut Html, length: usize) {
    if let Some(rest @ 1..) = length.checked_sub(LISTED_MAX) {
        html.text(", … ");
        html.say(words::LIST_MORE, &[Value::Count(count_of(rest))]);
    }
}

/// The months of a log without holes, or its years where the months are many. Months that are not written as such are left out.
fn periods(log: &LogResult) -> Vec<MonthResult> {
    let mut sums = BTreeMap::<(u64, u64), [u64; 3]>::new();
    for month in &log.months {
        let Some(span) = month_span(month) else {
            continue;
        };
        let (year, number, _) = date(span.from);
        let sum = sums.entry((year, number)).or_default();
        for (sum, more) in sum
            .iter_mut()
            .zip([month.deltas, month.records, month.retractions])
        {
            *sum = sum.saturating_add(more);
        }
    }
    let (Some((&first, _)), Some((&last, _))) = (sums.first_key_value(), sums.last_key_value())
    else {
        return Vec::new();
    };
    let months =
        usize::try_from((last.0 - first.0) * 12 + last.1 + 1 - first.1).unwrap_or(usize::MAX);
    let named = |month: String, [deltas, records, retractions]: [u64; 3]| MonthResult {
        month,
        deltas,
        records,
        retractions,
    };
    if months <= MONTHS_MAX {
        let all = (first.0 * 12 + first.1 - 1)..(last.0 * 12 + last.1);
        return all
            .map(|number| (number / 12, number % 12 + 1))
            .map(|at| {
                let sum = sums.get(&at).copied().unwrap_or_default();
                named(format!("{}-{:02}", at.0, at.1), sum)
            })
            .collect();
    }
    let oldest = first
        .0
        .max((last.0 + 1).saturating_sub(count_of(YEARS_MAX)));
    (oldest..=last.0)
        .map(|year| {
            let mut total = [0_u64; 3];
            for (_, sum) in sums.range((year, 1)..=(year, 12)) {
                for (total, more) in total.iter_mut().zip(sum) {
                    *total = total.saturating_add(*more);
                }
            }
            named(year.to_string(), total)
        })
        .collect()
}

/// The bars of a log's months or years, and the same as a table.
fn months(html: &mut Html, id: &str, log: &LogResult) {
    let periods = periods(log);
    if periods.is_empty() {
        return;
    }
    let by_year = periods.iter().all(|period| !period.month.contains('-'));
    let (title, deltas, retractions) = if by_year {
        (
            words::PER_YEAR,
            words::DELTAS_PER_YEAR,
            words::RETRACTIONS_PER_YEAR,
        )
    } else {
        (
            words::PER_MONTH,
            words::DELTAS_PER_MONTH,
            words::RETRACTIONS_PER_MONTH,
        )
    };
    html.said("h3", &[], title, &[]);
    html.inside("div", &[("class", "two")], |html| {
        let bars = |pick: fn(&MonthResult) -> u64| -> Vec<Bar<'_>> {
            let named = periods
                .iter()
                .map(|period| (period.month.as_str(), pick(period)));
            named.map(|(name, count)| Bar { name, count }).collect()
        };
        for (name, text, class, bars) in [
            ("deltas", deltas, "bar", bars(|period| period.deltas)),
            (
                "retractions",
                retractions,
                "bar back",
                bars(|period| period.retractions),
            ),
        ] {
            let caption = format!("{id}-{name}");
            html.inside("figure", &[], |html| {
                html.said("figcaption", &[("id", &caption)], text, &[]);
                draw_bars(html, &caption, class, &bars);
            });
        }
    });
    period_table(html, &periods);
}

fn period_table(html: &mut Html, periods: &[MonthResult]) {
    html.inside("details", &[], |html| {
        html.said("summary", &[], words::AS_TABLE, &[]);
        html.inside("table", &[], |html| {
            let counts = [words::DELTAS, words::RECORDS, words::RETRACTIONS];
            table_head(html, &[words::MONTH], &counts, &[]);
            html.inside("tbody", &[], |html| {
                for period in periods {
                    html.inside("tr", &[], |html| {
                        html.element("th", &[("scope", "row"), ("class", "day")], &period.month);
                        for count in [period.deltas, period.records, period.retractions] {
                            number(html, Some(Value::Count(count)));
                        }
                    });
                }
            });
        });
    });
}

/// A cell with a number, or a dash.
pub(super) fn number(html: &mut Html, value: Option<Value<'_>>) {
    html.inside("td", &[("class", "number")], |html| match value {
        Some(value) => html.say(words::COUNT, &[value]),
        None => html.say(words::NO_VALUE, &[]),
    });
}

/// A sign that only repeats what the words beside it say.
pub(super) fn mark(html: &mut Html, class: &str, sign: &str) {
    html.element("span", &[("class", class), ("aria-hidden", "true")], sign);
}

/// The first names of a list, and a mark where it goes on.
pub(super) fn names(all: &[String]) -> String {
    let mut text = all.get(..LISTED_MAX).unwrap_or(all).join(", ");
    if all.len() > LISTED_MAX {
        text.push_str(", …");
    }
    text
}
