//! The overlap as a page: a heat map that is read by its numbers, and by the height of its fill where colour is not seen.
//!
//! In scope: what stands where. Out of scope: what is around the page (`crate::page::frame`).

use super::words::{self, Text};
use super::{Found, Overlap, Row};
use crate::page::format::Value;
use crate::page::frame::Frame;
use crate::page::html::Html;
use crate::page::text::Language;

/// The style sheet, whole in the page.
pub(super) const STYLE: &str = concat!(
    include_str!("../../page/page.css"),
    include_str!("overlap.css")
);
/// Its SHA-256 in base64, for the page's Content Security Policy.
pub(super) const STYLE_SHA256: &str = "OGhvLZSXJRZ1O7fT6T/yo4hieqZXQmNHlr6u6Qa+lhw=";

/// The overlap as one HTML page that opens in `language`; the reader can switch.
#[must_use]
pub fn page(overlap: &Overlap, language: Language) -> String {
    let frame = Frame {
        title: words::TITLE,
        subtitle: words::SUBTITLE,
        skip: ("#table", words::SKIP),
        style: STYLE,
        style_sha256: STYLE_SHA256,
    };
    let main = |html: &mut Html| {
        figures(html, overlap);
        table(html, overlap);
        why(html, overlap);
    };
    frame.page(language, main, |html| {
        html.said("p", &[], words::FOOT_EQUAL, &[]);
        html.said("p", &[], words::FOOT_SAYS, &[]);
    })
}

fn figures(html: &mut Html, overlap: &Overlap) {
    let kind = overlap.rows.first().map_or("", |row| row.kind.as_str());
    let newest = overlap.rows.iter().map(|row| row.at).max().unwrap_or(0);
    html.inside("section", &[], |html| {
        html.inside("dl", &[("class", "facts figure")], |html| {
            let mut fact = |name: Text, text: Text, value: Value<'_>| {
                html.inside("div", &[], |html| {
                    html.said("dt", &[], name, &[]);
                    html.said("dd", &[], text, &[value]);
                });
            };
            fact(words::KIND, words::NAME, Value::Name(kind));
            let rows = overlap.rows.len() as u64;
            fact(words::ROWS, words::COUNT, Value::Count(rows));
            fact(words::NEWEST, words::COUNT, Value::Time(newest));
        });
    });
}

fn table(html: &mut Html, overlap: &Overlap) {
    html.inside("section", &[("id", "table")], |html| {
        html.said("h2", &[], words::TABLE, &[]);
        html.said("p", &[("class", "note")], words::TABLE_IS, &[]);
        html.inside("div", &[("class", "scroll"), ("tabindex", "0")], |html| {
            html.inside("table", &[("class", "heat")], |html| {
                head(html, overlap);
                html.inside("tbody", &[], |html| {
                    for row in &overlap.rows {
                        line(html, overlap, row);
                    }
                });
            });
        });
    });
}

fn head(html: &mut Html, overlap: &Overlap) {
    html.inside("thead", &[], |html| {
        html.inside("tr", &[], |html| {
            html.said("th", &[("scope", "col")], words::LIST_OF, &[]);
            html.said("th", &[("scope", "col")], words::VALUES, &[]);
            for centre in &overlap.centres {
                html.inside("th", &[("scope", "col")], |html| {
                    html.element("bdi", &[], centre);
                });
            }
        });
    });
}

fn line(html: &mut Html, overlap: &Overlap, row: &Row) {
    html.inside("tr", &[], |html| {
        html.inside("th", &[("scope", "row")], |html| {
            html.element("bdi", &[], &row.centre);
        });
        html.said("td", &[], words::COUNT, &[Value::Count(row.values)]);
        for with in &overlap.centres {
            let none = [("class", "none")];
            match row.find(with) {
                Found::Own => html.said("td", &none, words::OWN, &[]),
                Found::Refused => html.said("td", &none, words::REFUSED, &[]),
                Found::Unknown => html.said("td", &none, words::UNKNOWN, &[]),
                Found::Counted(matches) => counted(html, row, matches),
            }
        }
    });
}

fn counted(html: &mut Html, row: &Row, matches: u64) {
    let share = matches.saturating_mul(100) / row.values.max(1);
    // A count above nothing is seen, and the whole list fills its cell.
    let level = (share.div_ceil(10)).max(u64::from(matches > 0)).min(10);
    let class = format!("h{level}");
    html.inside("td", &[("class", &class)], |html| {
        html.said("b", &[], words::COUNT, &[Value::Count(matches)]);
        match share {
            0 if matches > 0 => html.said("span", &[], words::LESS_THAN_ONE, &[]),
            share => html.said("span", &[], words::SHARE, &[Value::Count(share)]),
        }
    });
}

fn why(html: &mut Html, overlap: &Overlap) {
    let cells = overlap
        .rows
        .iter()
        .flat_map(|row| row.cells.iter().map(move |cell| (row, cell)));
    let refused: Vec<_> = cells
        .filter_map(|(row, cell)| Some((row, cell, cell.refused.as_deref()?)))
        .collect();
    if refused.is_empty() {
        return;
    }
    html.inside("section", &[], |html| {
        html.said("h2", &[], words::WHY, &[]);
        html.inside("dl", &[], |html| {
            for (row, cell, why) in refused {
                let pair = [Value::Name(&cell.with), Value::Name(&row.centre)];
                html.said("dt", &[], words::PAIR, &pair);
                html.element("dd", &[], why);
            }
        });
    });
}
