//! Who watched one centre: cosignatures, checkpoints that lack them, receipts.
//!
//! In scope: the last part of a centre's card. Out of scope: drawing (`chart`), the rest of the card (`centre`).

use super::bars::{Range, ranges as draw_ranges};
use super::centre::{LISTED_MAX, ROWS_MAX, cosigned, mark, more, names, number};
use super::chart;
use super::format::Value;
use super::html::Html;
use super::page::{SignOf, sign, table_head};
use super::words;
use crate::audit::result::{LogResult, NoteResult, WitnessResult};

pub(super) fn cosignatures(html: &mut Html, id: &str, log: &LogResult) {
    let title = format!("{id}-witnesses");
    html.said("h3", &[("id", &title)], words::COSIGNATURES, &[]);
    let witnesses = log.witnesses.get(..ROWS_MAX).unwrap_or(&log.witnesses);
    if log.notes == 0 || witnesses.is_empty() {
        html.said("p", &[], words::COSIGNATURES_NONE, &[]);
        return;
    }
    html.said("p", &[("class", "note")], words::COSIGNATURES_IS, &[]);
    let region = [
        ("class", "scroll"),
        ("role", "region"),
        ("tabindex", "0"),
        ("aria-labelledby", title.as_str()),
    ];
    html.inside("div", &region, |html| {
        html.inside(
            "table",
            &[("class", "rows"), ("aria-labelledby", &title)],
            |html| {
                let numbers = [
                    words::SIGNED,
                    words::MISSING,
                    words::MEDIAN,
                    words::MOST,
                    words::MAX,
                ];
                table_head(html, &[words::WITNESS], &numbers, &[]);
                html.inside("tbody", &[], |html| {
                    for witness in witnesses {
                        witness_row(html, witness);
                    }
                });
            },
        );
    });
    latency_ranges(html, id, witnesses);
}

fn latency_ranges(html: &mut Html, id: &str, witnesses: &[WitnessResult]) {
    let ranges: Vec<Range<'_>> = witnesses.iter().filter_map(range).collect();
    if !ranges.is_empty() {
        let caption = format!("{id}-ranges");
        html.inside("figure", &[], |html| {
            html.inside("figcaption", &[("id", &caption)], |html| {
                html.say(words::SPREAD, &[]);
                html.text(" ");
                html.inside("span", &[("class", "note")], |html| {
                    html.say(words::SPREAD_IS, &[])
                });
            });
            html.inside("ul", &[("class", "key")], |html| {
                for (class, path, text) in [
                    ("point", "M-5-5H5V5H-5z", words::MEDIAN),
                    ("range", "M0-7V7", words::MOST),
                    ("hollow", "M0-6L6 0L0 6L-6 0z", words::MAX),
                ] {
                    html.inside("li", &[], |html| {
                        chart::sign(html, class, path);
                        html.say(text, &[]);
                    });
                }
            });
            draw_ranges(html, &caption, &ranges);
        });
    }
}

fn witness_row(html: &mut Html, witness: &WitnessResult) {
    html.inside("tr", &[], |html| {
        html.inside("th", &[("scope", "row"), ("class", "words")], |html| {
            html.element("bdi", &[], &witness.holder);
        });
        number(html, Some(Value::Count(witness.cosigned)));
        html.inside("td", &[("class", "number")], |html| {
            let missed = [Value::Count(witness.missed)];
            if witness.missed == 0 {
                html.say(words::COUNT, &missed);
            } else {
                sign(html, SignOf::Warn, words::COUNT, &missed);
            }
        });
        for length in [
            witness.latency_median_s,
            witness.latency_p95_s,
            witness.latency_max_s,
        ] {
            number(html, length.map(Value::Length));
        }
    });
}

fn range(witness: &WitnessResult) -> Option<Range<'_>> {
    let (median, most) = (witness.latency_median_s?, witness.latency_p95_s?);
    Some(Range {
        name: &witness.holder,
        median,
        most,
        max: witness.latency_max_s?,
    })
}

pub(super) fn unwitnessed(html: &mut Html, log: &LogResult) {
    if log.newest_notes.is_empty() {
        return;
    }
    html.said("h3", &[], words::UNWITNESSED, &[]);
    let notes: Vec<&NoteResult> = log
        .newest_notes
        .iter()
        .filter(|note| !note.witnessed)
        .collect();
    if notes.is_empty() {
        html.inside("p", &[], |html| {
            sign(html, SignOf::Good, words::UNWITNESSED_NONE, &[])
        });
        return;
    }
    html.said("p", &[("class", "note")], words::NOT_WITNESSED_IS, &[]);
    html.inside("ul", &[("class", "marked")], |html| {
        // The newest first: the older ones are cut where they are many.
        for note in notes.iter().rev().take(LISTED_MAX) {
            html.inside("li", &[], |html| {
                html.inside(
                    "span",
                    &[("class", "sign bad"), ("aria-hidden", "true")],
                    |html| {
                        html.text("✗");
                    },
                );
                let counts = [cosigned(note), note.quorum].map(Value::Count);
                let [got, quorum] = counts;
                let size = Value::Count(note.size);
                match note.issued_at {
                    Some(at) => {
                        html.say(
                            words::UNWITNESSED_ONE,
                            &[size, Value::Time(at), got, quorum],
                        );
                    }
                    None => html.say(words::UNWITNESSED_DATELESS, &[size, got, quorum]),
                }
                if !note.missing.is_empty() {
                    html.say(words::MISSING_ARE, &[Value::Name(&names(&note.missing))]);
                }
            });
        }
    });
    html.inside("p", &[], |html| more(html, notes.len()));
}

pub(super) fn receipts(html: &mut Html, log: &LogResult) {
    if log.mirrors.is_empty() && log.mirrors_missing.is_empty() {
        return;
    }
    html.said("h3", &[], words::RECEIPTS, &[]);
    html.said("p", &[("class", "note")], words::RECEIPTS_IS, &[]);
    html.inside("ul", &[("class", "marked")], |html| {
        for receipt in log.mirrors.iter().take(ROWS_MAX) {
            html.inside("li", &[], |html| {
                mark(html, "sign good", "✓");
                html.element("bdi", &[], &receipt.holder);
                html.text(", ");
                html.say(words::COUNT, &[Value::Time(receipt.at)]);
            });
        }
        if !log.mirrors_missing.is_empty() {
            html.inside("li", &[], |html| {
                mark(html, "sign warn", "!");
                html.say(words::RECEIPTS_MISSING, &[]);
                html.text(" ");
                html.element("bdi", &[], &names(&log.mirrors_missing));
            });
        }
    });
}
