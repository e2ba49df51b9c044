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
            mirrored: status
                .mirrored
                .iter()
                .map(|log| (log.centre.clone(), log.size))
                .collect(),
        }
    }
}

impl Outcome {
    /// Records a check.
    pub fn check(&mut self, name: &'static str, ok: bool, detail: impl Into<String>) {
        self.checks.push(Check {
            name,
            ok,
            detail: detail.into(),
        });
    }

    /// Records a figure.
    pub fn figure(&mut self, name: impl Into<String>, value: f64, unit: &'static str) {
        self.figures.push(Figure {
            name: name.into(),
            value,
            unit,
        });
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
                centre
                    .mirrored
                    .iter()
                    .map(|(id, n)| format!("{id} {n}"))
                    .collect::<Vec<_>>()
                    .join(", "),
            ));
        }
        for figure in &self.figures {
            text.push_str(&format!(
                "  {:<36} {:>12.1} {}\n",
                figure.name, figure.value, figure.unit
            ));
        }
        for check in &self.checks {
            let mark = if check.ok { "ok    " } else { "FAILED" };
            text.push_str(&format!("  {mark} {:<28} {}\n", check.name, check.detail));
        }
        text
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use hashpact_node::daemon::LogStatus;
    use serde_json::{Value, json};

    use super::*;

    /// A log with as many entries as it has leaves but one, of which none ended.
    pub(crate) fn log(centre: &str, size: u64) -> LogStatus {
        LogStatus {
            centre: centre.to_owned(),
            origin: format!("{centre}.example/{centre}/1"),
            size,
            head: size,
            witnessed: size,
            witnessed_at: None,
            fresh: true,
            quorum: 0,
            missing: Vec::new(),
            pending_since: None,
            receipts_missing: Vec::new(),
            frozen: None,
            deltas: size - 1,
            applied: size - 1,
            held: size - 1,
            retracted: 0,
        }
    }

    /// A centre with its own log and those that it mirrors; nobody is connected, nothing was seen.
    pub(crate) fn status(own: LogStatus, mirrored: Vec<LogStatus>) -> Status {
        Status {
            centre: own.centre.clone(),
            network: "00".repeat(32),
            roster_version: 1,
            roster_expires_at: u64::MAX,
            demo: true,
            behind: None,
            unconfirmed: None,
            retired: false,
            http: None,
            ingesting: false,
            own,
            mirrored,
            peers: Vec::new(),
            events: Vec::new(),
        }
    }

    fn keys(value: &Value) -> Vec<&str> {
        value
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect()
    }

    #[test]
    fn json_has_the_documented_keys_and_no_others() {
        let mut outcome = Outcome::default();
        outcome
            .centres
            .push((&status(log("eu", 4), vec![log("us", 3)])).into());
        outcome.check("converged", true, "all");
        outcome.figure("ingest_all", 1.5, "s");
        let json = serde_json::to_value(&outcome).unwrap();
        assert_eq!(keys(&json), ["centres", "checks", "figures"]);
        let centre = json!({ "id": "eu", "log_size": 4, "entries": 5, "mirrored": { "us": 3 } });
        assert_eq!(json["centres"], json!([centre]));
        assert_eq!(
            json["checks"],
            json!([{ "name": "converged", "ok": true, "detail": "all" }])
        );
        assert_eq!(
            json["figures"],
            json!([{ "name": "ingest_all", "value": 1.5, "unit": "s" }])
        );
    }

    #[test]
    fn one_check_that_fails_is_a_failure_and_is_read_as_one() {
        let mut outcome = Outcome::default();
        outcome.check("converged", true, "all");
        assert!(outcome.is_ok() && !outcome.describe().contains("FAILED"));
        outcome.check("retraction_arrived", false, "still matching at us");
        assert!(!outcome.is_ok());
        let line = outcome.describe().lines().last().unwrap().to_owned();
        assert!(
            line.contains("FAILED retraction_arrived") && line.ends_with("at us"),
            "{line}"
        );
    }
}
