//! The summary of a run, for people and as one JSON object.

use std::collections::BTreeMap;

use hashpact_node::daemon::Status;
use serde::Serialize;

/// Where one centre ended.
#[derive(Debug, Serialize)]
pub struct CentreOutcome {
    /// The centre.
    pub id: String,
    /// Leaves of its own log.
    pub log_size: u64,
    /// Entries that match there, over all origins.
    pub entries: u64,
    /// Leaves that it mirrors of each other log.
    pub mirrored: BTreeMap<String, u64>,
}

/// One thing that was checked.
#[derive(Debug, Serialize)]
pub struct Check {
    /// A stable name.
    pub name: &'static str,
    /// Whether it holds.
    pub ok: bool,
    /// What was seen.
    pub detail: String,
}

/// One thing that was measured.
#[derive(Debug, Serialize)]
pub struct Figure {
    /// A stable name.
    pub name: String,
    /// The value.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
}

/// How a run ended.
#[derive(Debug, Default, Serialize)]
pub struct Outcome {
    /// Every centre.
    pub centres: Vec<CentreOutcome>,
    /// Every check, in order.
    pub checks: Vec<Check>,
    /// Every figure.
    pub figures: Vec<Figure>,
}

impl From<&Status> for CentreOutcome {
    fn from(status: &Status) -> Self {
        let logs = std::iter::once(&status.own).chain(&status.mirrored);
        Self {
            id: status.centre.clone(),
            log_size: status.own.size,
            entries: logs.map(|log| log.held).sum(),
            mirrored: status.mirrored.iter().map(|log| (log.centre.clone(), log.size)).collect(),
        }
    }
}

impl Outcome {
    /// Records a check.
    pub fn check(&mut self, name: &'static str, ok: bool, detail: impl Into<String>) {
        self.checks.push(Check { name, ok, detail: detail.into() });
    }

    /// Records a figure.
    pub fn figure(&mut self, name: impl Into<String>, value: f64, unit: &'static str) {
        self.figures.push(Figure { name: name.into(), value, unit });
    }

    /// Whether every check holds.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.checks.iter().all(|check| check.ok)
    }

    /// The summary for people.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut text = String::from("\nSummary\n");
        for centre in &self.centres {
            text.push_str(&format!(
                "  {}: own log {} leaves, {} entries held, mirrors {}\n",
                centre.id,
                centre.log_size,
                centre.entries,
                centre.mirrored.iter().map(|(id, n)| format!("{id} {n}")).collect::<Vec<_>>().join(", "),
            ));
        }
        for figure in &self.figures {
            text.push_str(&format!("  {:<36} {:>12.1} {}\n", figure.name, figure.value, figure.unit));
        }
        for check in &self.checks {
            let mark = if check.ok { "ok    " } else { "FAILED" };
            text.push_str(&format!("  {mark} {:<28} {}\n", check.name, check.detail));
        }
        text
    }
}
