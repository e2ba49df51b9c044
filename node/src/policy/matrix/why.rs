//! The reasons: for each class and recipient who decided what by which policies, and these policies with their bases.

use super::page::{action, count, labels, verdict};
use super::words::{self, Text};
use super::{Cell, Column, Matrix, Policy, Reason, Row, Step, Verdict};
use crate::page::format::Value;
use crate::page::html::Html;
use crate::policy::class::Shown;

pub(super) fn classes(html: &mut Html, matrix: &Matrix) {
    html.inside("section", &[("id", "why")], |html| {
        html.said("h2", &[], words::WHY, &[]);
        html.said("p", &[("class", "note")], words::WHY_IS, &[]);
        for (number, row) in matrix.rows.iter().enumerate() {
            class(html, matrix, row, number);
        }
    });
}

fn class(html: &mut Html, matrix: &Matrix, row: &Row, number: usize) {
    let id = format!("class-{number}");
    html.inside("article", &[("id", &id)], |html| {
        html.inside("div", &[("class", "title")], |html| {
            html.inside("h3", &[], |html| {
                html.text(&row.class.name);
                html.text(" ");
                html.inside("span", &[("class", "note")], |html| {
                    let values = [
                        Value::Name(row.class.origin.as_str()),
                        Value::Name(row.jurisdiction.as_str()),
                    ];
                    html.say(words::MADE_BY, &values);
                    if let Some(entries) = row.class.entries {
                        html.text(" · ");
                        html.say(words::ENTRIES, &[Value::Count(entries)]);
                    }
                });
            });
            html.said(
                "a",
                &[("class", "note back"), ("href", "#matrix")],
                words::BACK,
                &[],
            );
        });
        html.inside("p", &[("class", "labels")], |html| {
            let shown = Shown(&row.class.labels).to_string();
            let all: Vec<String> = shown.split(", ").map(str::to_owned).collect();
            labels(html, &all);
        });
        html.inside("table", &[("class", "why")], |html| {
            html.inside("thead", &[], |html| {
                html.inside("tr", &[], |html| {
                    for text in [words::RECIPIENT, words::ANSWER, words::DECIDED_BY] {
                        html.said("th", &[("scope", "col")], text, &[]);
                    }
                });
            });
            html.inside("tbody", &[], |html| {
                for (at, cell) in row.cells.iter().enumerate() {
                    if cell.verdict != Verdict::Own {
                        answer(html, matrix, cell, (number, at));
                    }
                }
            });
        });
    });
}

fn answer(html: &mut Html, matrix: &Matrix, cell: &Cell, (row, column): (usize, usize)) {
    let id = format!("why-{row}-{column}");
    html.inside("tr", &[("id", &id)], |html| {
        html.inside("th", &[("scope", "row")], |html| {
            match matrix.columns.get(column) {
                Some(Column::Centre { id, jurisdiction }) => {
                    html.element("bdi", &[], id.as_str());
                    html.text(&format!(" ({jurisdiction})"));
                }
                Some(Column::Member { kind, action }) => {
                    if let Some(kind) = matrix.plan.members.get(*kind) {
                        html.text(&format!("{} ({}) · ", kind.sector, kind.jurisdiction));
                    }
                    html.say(self::action(*action), &[]);
                }
                None => {}
            }
        });
        html.inside("td", &[("class", "nowrap")], |html| {
            let class = match cell.verdict {
                Verdict::Allowed => "sign good",
                Verdict::Denied | Verdict::Failed => "sign bad",
                Verdict::Unknown | Verdict::Own => "sign warn",
            };
            html.inside("span", &[("class", class)], |html| {
                html.element("span", &[("aria-hidden", "true")], cell.verdict.sign());
                html.text(" ");
                html.say(verdict(cell.verdict), &[]);
            });
            if let Some(until) = cell.valid_until() {
                let text = match cell.verdict {
                    Verdict::Allowed => words::UNTIL,
                    Verdict::Denied | Verdict::Failed | Verdict::Unknown | Verdict::Own => {
                        words::ASK_AGAIN
                    }
                };
                html.said(
                    "div",
                    &[("class", "note")],
                    text,
                    &[Value::Day(until.get())],
                );
            }
        });
        html.inside("td", &[], |html| {
            html.inside("ul", &[("class", "steps")], |html| {
                for step in &cell.steps {
                    html.inside("li", &[], |html| self::step(html, matrix, step));
                }
            });
        });
    });
}

fn step(html: &mut Html, matrix: &Matrix, step: &Step) {
    let (class, sign) = if step.allowed {
        ("sign good", "✓")
    } else if step.reason == Reason::Unknown {
        ("sign warn", "?")
    } else {
        ("sign bad", "✗")
    };
    html.element("span", &[("class", class), ("aria-hidden", "true")], sign);
    html.text(" ");
    html.inside("strong", &[], |html| {
        html.element("bdi", &[], step.centre.as_str());
        html.text(" · ");
        html.say(action(step.action), &[]);
    });
    html.text(" — ");
    html.say(reason(step.reason), &[]);
    if step.policies.is_empty() && step.errors.is_empty() {
        return;
    }
    html.inside("ul", &[], |html| {
        for id in &step.policies {
            html.inside("li", &[], |html| {
                let key = (step.centre.clone(), id.clone());
                let place = matrix.policies.keys().position(|known| *known == key);
                let to = format!("#policy-{}", place.unwrap_or(0));
                html.inside("a", &[("href", &to)], |html| html.element("code", &[], id));
                if let Some(policy) = matrix.policies.get(&key) {
                    html.text(" ");
                    html.element("span", &[("class", "note")], &policy.said.basis);
                }
            });
        }
        for error in &step.errors {
            html.element("li", &[("class", "sign bad words")], error);
        }
    });
}

fn reason(reason: Reason) -> Text {
    match reason {
        Reason::Permitted => words::PERMITTED,
        Reason::Forbidden => words::FORBIDDEN,
        Reason::NoPermit => words::NO_PERMIT,
        Reason::Floor => words::FLOOR,
        Reason::Open => words::OPEN,
        Reason::NoDocument => words::NO_DOCUMENT,
        Reason::Unreadable => words::UNREADABLE,
        Reason::Error => words::ERROR,
        Reason::Unknown => words::NOT_KNOWN,
    }
}

pub(super) fn policies(html: &mut Html, matrix: &Matrix) {
    if matrix.policies.is_empty() {
        return;
    }
    html.inside("section", &[("id", "policies")], |html| {
        html.said("h2", &[], words::POLICIES, &[]);
        html.said("p", &[("class", "note")], words::POLICIES_IS, &[]);
        html.inside("div", &[("class", "scroll"), ("tabindex", "0")], |html| {
            html.inside("table", &[("class", "policies")], |html| {
                html.inside("thead", &[], |html| {
                    html.inside("tr", &[], |html| {
                        for (text, class) in [
                            (words::POLICY, ""),
                            (words::OF_CENTRE, ""),
                            (words::ALLOWS, "number"),
                            (words::DENIES, "number"),
                            (words::BASIS, ""),
                            (words::COUNSEL, ""),
                        ] {
                            html.said("th", &[("scope", "col"), ("class", class)], text, &[]);
                        }
                    });
                });
                html.inside("tbody", &[], |html| {
                    for (number, ((centre, _), policy)) in matrix.policies.iter().enumerate() {
                        self::policy(html, centre.as_str(), policy, number);
                    }
                });
            });
        });
    });
}

fn policy(html: &mut Html, centre: &str, policy: &Policy, number: usize) {
    let id = format!("policy-{number}");
    html.inside("tr", &[("id", &id)], |html| {
        html.inside("th", &[("scope", "row")], |html| {
            html.element("code", &[], &policy.said.id);
            html.element("div", &[("class", "note")], &policy.said.at);
        });
        html.inside("td", &[], |html| html.element("bdi", &[], centre));
        for number in [policy.allows, policy.denies] {
            html.said("td", &[("class", "number")], words::COUNT, &[count(number)]);
        }
        let basis = &policy.said.basis;
        html.inside("td", &[("class", "words")], |html| {
            if basis.is_empty() {
                html.say(words::NETWORK_RULE, &[]);
            } else {
                html.text(basis);
            }
        });
        html.inside("td", &[("class", "nowrap")], |html| {
            let (class, sign, text) = match (policy.said.confirmed, basis.is_empty()) {
                (_, true) => return,
                (true, false) => ("sign good", "✓ ", words::CONFIRMED),
                (false, false) => ("sign warn", "! ", words::CONFIRM),
            };
            html.inside("span", &[("class", class)], |html| {
                html.element("span", &[("aria-hidden", "true")], sign);
                html.say(text, &[]);
            });
        });
    });
}
