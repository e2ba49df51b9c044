//! How much centres hold in common: rows of counts, each measured by the centre that it is of.
//!
//! A centre can only measure its own row: its own list against every centre that lets it count. Other rows are what other
//! centres printed with `hashpact overlap --json`, taken as they say. In scope: rows and how they are put together. Out of
//! scope: counting (`client`), the page (`page`).

mod page;
mod words;

use std::collections::BTreeSet;

use hashpact_keys::CentreId;
use hashpact_protocol::fingerprint::Algorithm;
use serde::{Deserialize, Serialize};

pub use page::page;

/// The form of a row.
pub const FORM: u32 = 1;
/// Cells of a row at most: a roster has no more centres.
const CELLS: usize = 64;

/// What one centre counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// [`FORM`].
    pub overlap: u32,
    /// The network.
    pub network: String,
    /// Who counted.
    pub centre: String,
    /// The fingerprint type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Different values of the type in its own list.
    pub values: u64,
    /// When, in Unix seconds.
    pub at: u64,
    /// Against each other centre.
    pub cells: Vec<Cell>,
}

/// One count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// The centre that was asked.
    pub with: String,
    /// How many of the row's values it holds, in the classes that it lets the row's centre count.
    pub matches: Option<u64>,
    /// Items of the type that it has in those classes.
    pub held: Option<u64>,
    /// Why there is no count.
    pub refused: Option<String>,
}

/// Why a file is no row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// Another form.
    #[error("not what `hashpact overlap --json` prints: {0}")]
    Form(String),
    /// It is of something else.
    #[error("it is of {got}, and the rows before it of {expected}")]
    Other {
        /// Network and type of the first row.
        expected: String,
        /// Its own.
        got: String,
    },
    /// A centre has two rows.
    #[error("there is a row of {0} already")]
    Twice(String),
}

impl Row {
    /// Reads a row, strictly.
    ///
    /// # Errors
    /// [`RowError::Form`].
    pub fn from_json(text: &str) -> Result<Self, RowError> {
        let form = |why: &str| RowError::Form(why.to_owned());
        let row: Self = serde_json::from_str(text).map_err(|error| form(&error.to_string()))?;
        if row.overlap != FORM {
            return Err(form("another form"));
        }
        let named = |name: &String| name.parse::<CentreId>().is_ok();
        let is_named = named(&row.centre) && row.cells.iter().all(|cell| named(&cell.with));
        let is_known = Algorithm::from_name(&row.kind).is_some_and(|kind| kind.code().is_some());
        if !is_named || !is_known || row.cells.len() > CELLS {
            return Err(form("a name that is none, or too many of them"));
        }
        if row
            .cells
            .iter()
            .any(|cell| cell.matches.is_some_and(|count| count > row.values))
        {
            return Err(form("more matches than values"));
        }
        Ok(row)
    }
}

/// Rows of one network and type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// The rows, the measuring centre's first.
    pub rows: Vec<Row>,
    /// Every centre that is named, sorted.
    pub centres: Vec<String>,
}

impl Overlap {
    /// Puts rows together.
    ///
    /// # Errors
    /// [`RowError::Other`] or [`RowError::Twice`].
    pub fn of(rows: Vec<Row>) -> Result<Self, RowError> {
        let what = |row: &Row| format!("{} in network {}", row.kind, row.network);
        let mut seen = BTreeSet::new();
        for row in &rows {
            let expected = rows.first().map(what).unwrap_or_default();
            if what(row) != expected {
                let got = what(row);
                return Err(RowError::Other { expected, got });
            }
            if !seen.insert(row.centre.clone()) {
                return Err(RowError::Twice(row.centre.clone()));
            }
        }
        let cells = rows.iter().flat_map(|row| &row.cells);
        let named = cells.map(|cell| cell.with.clone()).chain(seen.clone());
        let centres: BTreeSet<String> = named.collect();
        Ok(Self {
            rows,
            centres: centres.into_iter().collect(),
        })
    }

    /// The table as text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::UTF8_FULL_CONDENSED);
        let mut head = vec!["list of".to_owned(), "values".to_owned()];
        head.extend(
            self.centres
                .iter()
                .map(|centre| format!("held by {centre}")),
        );
        table.set_header(head);
        for row in &self.rows {
            let mut cells = vec![row.centre.clone(), number(row.values)];
            cells.extend(self.centres.iter().map(|with| match row.find(with) {
                Found::Own => "·".to_owned(),
                Found::Counted(matches) => number(matches),
                Found::Refused => "✗".to_owned(),
                Found::Unknown => "?".to_owned(),
            }));
            table.add_row(cells);
        }
        let mut text = format!("{table}\n· its own   ✗ not counted   ? nobody measured it\n");
        for row in &self.rows {
            for cell in &row.cells {
                if let Some(why) = &cell.refused {
                    text.push_str(&format!("{} with {}: {why}\n", row.centre, cell.with));
                }
            }
        }
        text.push_str(
            "A count is of values that are equal, in the classes that a centre lets the other one count; each row is what its centre says.\n",
        );
        text
    }
}

/// What a row says of a centre.
enum Found {
    Own,
    Counted(u64),
    Refused,
    Unknown,
}

impl Row {
    fn find(&self, with: &str) -> Found {
        if self.centre == with {
            return Found::Own;
        }
        match self.cells.iter().find(|cell| cell.with == with) {
            Some(cell) => cell.matches.map_or(Found::Refused, Found::Counted),
            None => Found::Unknown,
        }
    }
}

fn number(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}

#[cfg(test)]
mod tests;
