//! The matrix in a terminal: signs that are read without colour, and the policies that deny.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};
use hashpact_protocol::lists::ClosedList;

use super::{Cell, Column, Matrix, Verdict};
use crate::audit::at::At;

/// Policies that a terminal shows: the busiest.
const POLICIES_MAX: usize = 24;
const LEGEND: &str = "✓ allowed   ✗ denied, and by whom   ! could not decide, which denies   ? somebody's policy or purpose is not known   · its own";

/// The matrix as text.
#[must_use]
pub fn text(matrix: &Matrix) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    let mut head = vec!["made by".to_owned(), "class".to_owned()];
    head.extend(matrix.columns.iter().map(|column| heading(matrix, column)));
    table.set_header(head);
    let mut last = None;
    for row in &matrix.rows {
        let origin = row.class.origin.as_str();
        let first = if last == Some(origin) {
            String::new()
        } else {
            format!("{origin} ({})", row.jurisdiction)
        };
        last = Some(origin);
        let mut cells = vec![first, row.class.name.clone()];
        cells.extend(row.cells.iter().map(sign));
        table.add_row(cells);
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Center);
    }
    let (allowed, asked) = matrix.allowed_of_asked();
    let mut out = format!(
        "{allowed} of {asked} allowed, as of {}\n{table}\n{LEGEND}\n",
        At(matrix.plan.now)
    );
    if let Some(via) = &matrix.plan.via {
        let _ = writeln!(out, "Given on by {via}, of whatever centre it is.");
    }
    if !matrix.plan.members.is_empty() {
        let _ = writeln!(
            out,
            "Releases are asked about an entry that is {}.",
            assumed(matrix)
        );
    }
    denying(&mut out, matrix);
    out
}

fn heading(matrix: &Matrix, column: &Column) -> String {
    match column {
        Column::Centre { id, jurisdiction } => format!("{id}\n({jurisdiction})"),
        Column::Member { kind, action } => {
            let kind = matrix.plan.members.get(*kind);
            let (sector, law) =
                kind.map_or(("", ""), |kind| (&*kind.sector, kind.jurisdiction.as_str()));
            format!("{sector} {law}\n{}", action.name())
        }
    }
}

/// The sign of a cell and whoever does not allow it.
fn sign(cell: &Cell) -> String {
    let sign = cell.verdict.sign();
    match cell.verdict {
        Verdict::Own | Verdict::Allowed => sign.to_owned(),
        Verdict::Denied | Verdict::Failed | Verdict::Unknown => {
            let mut by: Vec<&str> = cell.denied_by().map(|id| id.as_str()).collect();
            by.dedup();
            format!("{sign} {}", by.join("+"))
        }
    }
}

impl Verdict {
    /// A sign that is read without colour.
    #[must_use]
    pub fn sign(self) -> &'static str {
        match self {
            Self::Own => "·",
            Self::Allowed => "✓",
            Self::Denied => "✗",
            Self::Failed => "!",
            Self::Unknown => "?",
        }
    }
}

/// What is assumed of an entry, in words of the labels.
pub(super) fn assumed(matrix: &Matrix) -> String {
    let facts = matrix.plan.entry;
    let mut words = vec![facts.state.name()];
    words.extend(facts.quorum.then_some("quorum"));
    words.extend(facts.baseline.then_some("baseline"));
    words.extend(facts.hold.then_some("hold"));
    words.join(", ")
}

/// The policies that deny, the busiest first.
fn denying(out: &mut String, matrix: &Matrix) {
    let denying = matrix
        .policies
        .iter()
        .filter(|(_, policy)| policy.denies > 0);
    let mut denying: Vec<_> = denying.collect();
    denying.sort_by_key(|(_, policy)| std::cmp::Reverse(policy.denies));
    if denying.is_empty() {
        return;
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(["denies", "policy", "of", "basis"]);
    for ((centre, id), policy) in denying.iter().take(POLICIES_MAX) {
        let mark = if policy.said.confirmed || policy.said.basis.is_empty() {
            ""
        } else {
            "* "
        };
        let basis = format!("{mark}{}", policy.said.basis);
        table.add_row([&policy.denies.to_string(), id, centre.as_str(), &basis]);
    }
    if let Some(column) = table.column_mut(0) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let _ = writeln!(
        out,
        "\nPolicies that deny; of those with * counsel must confirm the basis:\n{table}"
    );
    let more = denying.len().saturating_sub(POLICIES_MAX);
    if more > 0 {
        let _ = writeln!(out, "and {more} more: --html FILE and --json show all");
    }
}
