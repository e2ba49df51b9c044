//! The matrix as a page: figures, the matrix itself, the reasons, the policies.
//!
//! In scope: what stands where. Out of scope: the reasons (`why`), what is around the page (`crate::page::frame`).

use hashpact_protocol::lists::ClosedList;
use hashpact_protocol::policy::Action;

use super::table::assumed;
use super::why;
use super::words::{self, Text};
use super::{Cell, Column, Matrix, Verdict};
use crate::page::format::Value;
use crate::page::frame::{Frame, switch};
use crate::page::html::Html;
use crate::page::text::Language;

/// The style sheet, whole in the page.
pub(super) const STYLE: &str = concat!(
    include_str!("../../page/page.css"),
    include_str!("matrix.css")
);
/// Its SHA-256 in base64, for the page's Content Security Policy.
pub(super) const STYLE_SHA256: &str = "hsfq0DS2v85UycajDCAU++vAC2NqjGtFZD+I4WjUbJI=";

/// The matrix as one HTML page that opens in `language`; the reader can switch.
#[must_use]
pub fn page(matrix: &Matrix, language: Language) -> String {
    let frame = Frame {
        title: words::TITLE,
        subtitle: words::SUBTITLE,
        skip: ("#matrix", words::SKIP),
        style: STYLE,
        style_sha256: STYLE_SHA256,
    };
    let main = |html: &mut Html| {
        figures(html, matrix);
        section(html, matrix);
        why::classes(html, matrix);
        why::policies(html, matrix);
    };
    frame.page(language, main, |html| {
        html.said("p", &[], words::FOOT_NOT_ADVICE, &[]);
        html.said("p", &[], words::FOOT_QUIET, &[]);
    })
}

/// A number of things, which no machine holds too many of.
pub(super) fn count(number: usize) -> Value<'static> {
    Value::Count(u64::try_from(number).unwrap_or(u64::MAX))
}

fn figures(html: &mut Html, matrix: &Matrix) {
    let (allowed, asked) = matrix.allowed_of_asked();
    let plan = &matrix.plan;
    // A kind of member has three columns.
    let recipients = matrix.columns.len() - 2 * plan.members.len();
    html.inside("section", &[], |html| {
        html.inside("dl", &[("class", "facts figure")], |html| {
            let mut fact = |name: Text, text: Text, values: &[Value<'_>]| {
                html.inside("div", &[], |html| {
                    html.said("dt", &[], name, &[]);
                    html.said("dd", &[], text, values);
                });
            };
            fact(
                words::ALLOWED_OF,
                words::OF,
                &[count(allowed), count(asked)],
            );
            fact(words::CLASSES, words::COUNT, &[count(matrix.rows.len())]);
            fact(words::RECIPIENTS, words::COUNT, &[count(recipients)]);
            fact(words::AS_OF, words::COUNT, &[Value::Day(plan.now.get())]);
            match plan.purpose {
                Some(purpose) => {
                    fact(
                        words::PURPOSE,
                        words::PURPOSE_IS,
                        &[Value::Name(purpose.name())],
                    );
                }
                None => fact(words::PURPOSE, words::PURPOSE_OF_EACH, &[]),
            }
            if let Some(via) = &plan.via {
                fact(words::VIA, words::PURPOSE_IS, &[Value::Name(via.as_str())]);
            }
        });
        html.said("p", &[("class", "note")], words::BOTH_ENDS, &[]);
        if !plan.members.is_empty() {
            let assumed = assumed(matrix);
            html.said(
                "p",
                &[("class", "note")],
                words::ASSUMED,
                &[Value::Name(&assumed)],
            );
        }
    });
}

fn section(html: &mut Html, matrix: &Matrix) {
    let (usual, own) = matrix.labels();
    html.inside("section", &[("id", "matrix")], |html| {
        html.inside("div", &[("class", "title")], |html| {
            html.said("h2", &[], words::MATRIX, &[]);
            html.inside("div", &[("class", "switches")], |html| {
                let choices = [
                    ("all", words::SHOW_ALL, true),
                    ("allowed", words::SHOW_ALLOWED, false),
                    ("denied", words::SHOW_DENIED, false),
                ];
                switch(html, "show", words::SHOW, &choices);
            });
        });
        html.said("p", &[("class", "note")], words::MATRIX_IS, &[]);
        legend(html);
        if !usual.is_empty() {
            html.inside("p", &[("class", "labels")], |html| {
                html.said("span", &[("class", "note")], words::USUAL, &[]);
                labels(html, &usual);
            });
        }
        html.inside("div", &[("class", "scroll"), ("tabindex", "0")], |html| {
            html.inside("table", &[("class", "matrix")], |html| {
                head(html, matrix);
                body(html, matrix, &own);
            });
        });
    });
}

fn legend(html: &mut Html) {
    html.inside("ul", &[("class", "legend")], |html| {
        for (verdict, text) in [
            (Verdict::Allowed, words::ALLOWED),
            (Verdict::Denied, words::LEGEND_DENIED),
            (Verdict::Failed, words::FAILED),
            (Verdict::Unknown, words::LEGEND_UNKNOWN),
            (Verdict::Own, words::OWN),
        ] {
            html.inside("li", &[], |html| {
                let class = format!("cell {}", verdict.name());
                html.element(
                    "span",
                    &[("class", &class), ("aria-hidden", "true")],
                    verdict.sign(),
                );
                html.said("span", &[], text, &[]);
            });
        }
    });
}

/// Labels, each with its name apart from its values.
pub(super) fn labels(html: &mut Html, labels: &[String]) {
    for label in labels {
        let (name, values) = label.split_once('=').unwrap_or((label, ""));
        html.text(" ");
        html.inside("span", &[("class", "label")], |html| {
            html.element("span", &[], name);
            html.text(" ");
            if values.is_empty() {
                html.said("em", &[], words::NOT_STATED, &[]);
            } else {
                html.text(&values.replace('|', " | "));
            }
        });
    }
}

fn head(html: &mut Html, matrix: &Matrix) {
    let centres = matrix.columns.len() - 3 * matrix.plan.members.len();
    html.inside("thead", &[], |html| {
        html.inside("tr", &[], |html| {
            html.said(
                "th",
                &[("scope", "col"), ("rowspan", "2"), ("class", "corner")],
                words::CLASS,
                &[],
            );
            let span = centres.to_string();
            let group: &[(&'static str, &str)] = &[
                ("scope", "colgroup"),
                ("colspan", &span),
                ("class", "group"),
            ];
            html.said("th", group, words::CENTRES, &[]);
            for kind in &matrix.plan.members {
                let values = [
                    Value::Name(&kind.sector),
                    Value::Name(kind.jurisdiction.as_str()),
                    Value::Name(kind.purpose.name()),
                ];
                let group = [("scope", "colgroup"), ("colspan", "3"), ("class", "group")];
                html.said("th", &group, words::MEMBER, &values);
            }
        });
        html.inside("tr", &[], |html| {
            for column in &matrix.columns {
                html.inside("th", &[("scope", "col")], |html| match column {
                    Column::Centre { id, jurisdiction } => {
                        html.element("bdi", &[], id.as_str());
                        html.element("span", &[("class", "law")], jurisdiction.as_str());
                    }
                    Column::Member { action, .. } => html.say(self::action(*action), &[]),
                });
            }
        });
    });
}

fn body(html: &mut Html, matrix: &Matrix, own: &[Vec<String>]) {
    let span = (matrix.columns.len() + 1).to_string();
    let mut number = 0;
    for rows in matrix
        .rows
        .chunk_by(|a, b| a.class.origin == b.class.origin)
    {
        html.inside("tbody", &[], |html| {
            let Some(first) = rows.first() else { return };
            html.inside("tr", &[("class", "origin")], |html| {
                let values = [
                    Value::Name(first.class.origin.as_str()),
                    Value::Name(first.jurisdiction.as_str()),
                ];
                let attributes: &[(&'static str, &str)] =
                    &[("scope", "rowgroup"), ("colspan", &span)];
                html.inside("th", attributes, |html| {
                    html.said("span", &[], words::MADE_BY, &values);
                });
            });
            for row in rows {
                html.inside("tr", &[], |html| {
                    html.inside("th", &[("scope", "row"), ("class", "class")], |html| {
                        let to = format!("#class-{number}");
                        html.element("a", &[("href", &to)], &row.class.name);
                        html.inside("div", &[("class", "labels")], |html| {
                            let own = own.get(number).map_or(&[][..], Vec::as_slice);
                            labels(html, own);
                        });
                    });
                    for (at, cell) in row.cells.iter().enumerate() {
                        self::cell(html, matrix, cell, (number, at));
                    }
                });
                number += 1;
            }
        });
    }
}

fn cell(html: &mut Html, matrix: &Matrix, cell: &Cell, (row, column): (usize, usize)) {
    let class = format!("cell {}", cell.verdict.name());
    html.inside("td", &[("class", &class)], |html| {
        if cell.verdict == Verdict::Own {
            html.inside("span", &[], |html| {
                html.element("span", &[("aria-hidden", "true")], cell.verdict.sign());
                html.said("span", &[("class", "heard")], words::OWN, &[]);
            });
            return;
        }
        let to = format!("#why-{row}-{column}");
        let hint = hint(matrix, cell);
        html.inside("a", &[("href", &to), ("title", &hint)], |html| {
            html.element(
                "span",
                &[("class", "mark"), ("aria-hidden", "true")],
                cell.verdict.sign(),
            );
            html.said("span", &[("class", "heard")], verdict(cell.verdict), &[]);
            let mut by: Vec<&str> = cell.denied_by().map(|id| id.as_str()).collect();
            by.dedup();
            // Of a member's column the centre is the row's.
            let is_told = matches!(matrix.columns.get(column), Some(Column::Centre { .. }));
            if is_told && !by.is_empty() {
                html.text(" ");
                html.element("span", &[("class", "by")], &by.join(", "));
            }
        });
    });
}

/// The policies of a cell and their bases, for whoever points at it.
fn hint(matrix: &Matrix, cell: &Cell) -> String {
    let steps = cell.steps.iter().filter(|step| !step.allowed);
    let denying: Vec<_> = steps.collect();
    let all: Vec<_> = if denying.is_empty() {
        cell.steps.iter().collect()
    } else {
        denying
    };
    let policies = all.iter().flat_map(|step| {
        step.policies.iter().map(|id| {
            let known = matrix.policies.get(&(step.centre.clone(), id.clone()));
            let basis = known.map_or("", |policy| policy.said.basis.as_str());
            format!("{id}: {basis}")
        })
    });
    policies.collect::<Vec<_>>().join("\n")
}

pub(super) fn verdict(verdict: Verdict) -> Text {
    match verdict {
        Verdict::Own => words::OWN,
        Verdict::Allowed => words::ALLOWED,
        Verdict::Denied => words::DENIED,
        Verdict::Failed => words::FAILED,
        Verdict::Unknown => words::UNKNOWN,
    }
}

pub(super) fn action(action: Action) -> Text {
    match action {
        Action::Share => words::SHARE,
        Action::Reshare => words::RESHARE,
        Action::Admit => words::ADMIT,
        Action::Publish => words::PUBLISH,
        Action::Match => words::MATCH,
        Action::Reveal => words::REVEAL,
    }
}
