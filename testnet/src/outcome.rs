//! The summary of a run, for people and as one JSON object:
//!
//! | key | holds |
//! |---|---|
//! | `centres` | each centre at the end: `id`, `log_size`, `entries`, `mirrored`, `witnessed`, `cosigned`, `quorum`, `receipts`, `frozen` |
//! | `checks` | `name`, `ok`, and in `detail` what was seen |
//! | `figures` | `name`, `value`, `unit`; none of them is a check |
//! | `flows` | of each centre's mixed list at each other centre: `origin`, `to`, `entries`, `held`, and in `withheld` how many are not there for which reason |
//!
//! | check | holds if |
//! |---|---|
//! | `converged` | four centres hold the same |
//! | `quorum_reached` | a quorum cosigned each log to its end, at its centre and in every mirror, and every mirror gave its receipt; and the same goes on while the auditor is away |
//! | `retraction_arrived` | an entry that its centre takes back matches nowhere |
//! | `fifth_centre_joined` | a centre that joins holds the same as the others and witnesses with them |
//! | `audit_green` | another process verifies a mirror of all logs with nothing but that folder and the network's hash |
//! | `audit_flipped_bit_red` | with one bit of it flipped it fails, in a line that names the log and the place |
//! | `tampered_delta_refused` | a logged delta whose body was changed does not act |
//! | `unknown_peer_refused` | who is on no roster is not connected |
//! | `replayed_checkpoint_refused` | a smaller log than before changes nothing |
//! | `fork_frozen` | a log with two faces is frozen at one size by everybody, its own centre too, with a proof that verifies |
//! | `policy_matrix_matches_independent_filter` | four centres with four profiles and mixed lists hold what a filter without the policy engine says, entry by entry |
//! | `recall_acknowledged` | who loses access when a profile narrows destroys what it has and says so, and gets it back with the agreement |
//! | `restricted_class_never_left` | along random paths of centres relays pass on what they may and nothing else |
//! | `fifth_jurisdiction_by_files_only` | a centre whose country no code names gets nothing before it logs its profile, and gives and takes by it then |
//! | `match_found_exactly` | a member that checks 10,000 hashes finds exactly the lines that one centre has and may not share |
//! | `count_equal` | counting the same list gives the same number |
//! | `over_quota_refused` | a check beyond the day's quota is refused with a reason, told of and logged, and another member's goes on |
//! | `no_fingerprint_in_transcript` | neither direction of these conversations, nor a record of either side, holds a fingerprint |
//! | `keys_and_fingerprints_nowhere` | no log, status, data folder or cache of that network holds a fingerprint or a key, nor the memory of the centre that was asked a fingerprint |
//! | `subset_synced` | a provider's verified copy is exactly what the independent filter lets it have |
//! | `member_delta_applied` | new entries reach it as a change, another centre's only once two people ordered so |
//! | `retraction_acknowledged` | what its origin takes back is gone from every centre and the copy within a minute; who has not said so is listed |
//! | `folder_checked` | of a folder of files exactly those are found that the copy lists |
//! | `disclosures_replayed` | an auditor who has the openings replays every disclosure of that network and finds none that policy did not allow |

use std::collections::BTreeMap;

use comfy_table::{Table, presets};
use hashpact_node::daemon::{LogStatus, Status};
use serde::Serialize;

use crate::cluster::AUDITORS;

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
    /// Leaves of its own log that a quorum cosigned.
    pub witnessed: u64,
    /// Witnesses that cosigned the newest checkpoint of its own log.
    pub cosigned: u64,
    /// How many must.
    pub quorum: u64,
    /// Centres that stated to have stored all of its own log.
    pub receipts: u64,
    /// Sizes at which it has frozen logs, by their centre.
    pub frozen: BTreeMap<String, u64>,
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

/// What of one centre's mixed list another centre holds.
#[derive(Debug, Default, Serialize)]
pub struct Flow {
    /// Whose list.
    pub origin: String,
    /// Which other centre.
    pub to: String,
    /// Entries of the list.
    pub entries: usize,
    /// Those that it holds.
    pub held: usize,
    /// Those that it does not, by reason.
    pub withheld: BTreeMap<String, usize>,
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
    /// What went where and why.
    pub flows: Vec<Flow>,
}

/// Its own log and those that it mirrors. A node whose disk is an old copy has its own log back from the others meanwhile;
/// that copy is no other log.
pub(crate) fn logs(status: &Status) -> impl Iterator<Item = &LogStatus> {
    let own = &status.own;
    let others = status.mirrored.iter();
    std::iter::once(own).chain(others.filter(|log| log.origin != own.origin))
}

/// Witnesses that cosigned the newest checkpoint of a centre's own log: of the other centres and the auditor.
pub(crate) fn cosigned(status: &Status) -> u64 {
    let witnesses = status.peers.len() + AUDITORS;
    witnesses.saturating_sub(status.own.missing.len()) as u64
}

/// Centres that gave their receipt for what is witnessed of a centre's own log.
pub(crate) fn receipts(status: &Status) -> u64 {
    let mirrors = status.peers.len();
    mirrors.saturating_sub(status.own.receipts_missing.len()) as u64
}

impl From<&Status> for CentreOutcome {
    fn from(status: &Status) -> Self {
        let mirrored = logs(status).skip(1);
        let frozen =
            logs(status).filter_map(|log| log.frozen.map(|size| (log.centre.clone(), size)));
        Self {
            id: status.centre.clone(),
            log_size: status.own.size,
            entries: logs(status).map(|log| log.held).sum(),
            mirrored: mirrored.map(|log| (log.centre.clone(), log.size)).collect(),
            witnessed: status.own.witnessed,
            cosigned: cosigned(status),
            quorum: status.own.quorum,
            receipts: receipts(status),
            frozen: frozen.collect(),
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
        let mut text = format!("\nSummary\n{}\n", self.table());
        for figure in &self.figures {
            text.push_str(&format!(
                "  {:<36} {:>12.1} {}\n",
                figure.name, figure.value, figure.unit
            ));
        }
        if !self.flows.is_empty() {
            text.push_str(&format!("{}\n", self.matrix()));
        }
        for check in &self.checks {
            let mark = if check.ok { "ok    " } else { "FAILED" };
            text.push_str(&format!("  {mark} {:<28} {}\n", check.name, check.detail));
        }
        text
    }

    /// What went where, and the reasons why the rest did not, the most frequent first.
    fn matrix(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED);
        table.set_header([
            "mixed list of",
            "at",
            "entries",
            "held",
            "not held, because",
        ]);
        for flow in &self.flows {
            let mut why: Vec<(&String, &usize)> = flow.withheld.iter().collect();
            why.sort_by_key(|(_, entries)| std::cmp::Reverse(**entries));
            let why: Vec<String> = why
                .into_iter()
                .map(|(why, entries)| format!("{entries} {why}"))
                .collect();
            table.add_row([
                flow.origin.clone(),
                flow.to.clone(),
                flow.entries.to_string(),
                flow.held.to_string(),
                why.join("\n"),
            ]);
        }
        table
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED);
        table.set_header([
            "centre",
            "own log",
            "witnessed",
            "cosigned",
            "receipts",
            "entries held",
            "mirrors",
            "frozen",
        ]);
        let pairs = |map: &BTreeMap<String, u64>| {
            let pairs: Vec<String> = map.iter().map(|(id, n)| format!("{id} {n}")).collect();
            pairs.join("  ")
        };
        for centre in &self.centres {
            table.add_row([
                centre.id.clone(),
                centre.log_size.to_string(),
                centre.witnessed.to_string(),
                format!("{} of {} needed", centre.cosigned, centre.quorum),
                centre.receipts.to_string(),
                centre.entries.to_string(),
                pairs(&centre.mirrored),
                pairs(&centre.frozen),
            ]);
        }
        table
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use hashpact_node::daemon::PeerStatus;
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
            policy: hashpact_node::daemon::PolicyStatus::default(),
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
            gateway: Default::default(),
            ingesting: false,
            own,
            mirrored,
            peers: Vec::new(),
            withheld: Vec::new(),
            recalls: Vec::new(),
            open: Default::default(),
            matching: Default::default(),
            events: Vec::new(),
        }
    }

    /// Another centre, connected or not.
    pub(crate) fn peer(centre: &str, up: bool) -> PeerStatus {
        PeerStatus {
            centre: centre.to_owned(),
            up,
            bytes_in: 0,
            bytes_out: 0,
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
        let mut eu = status(log("eu", 4), vec![log("us", 3)]);
        (eu.own.quorum, eu.own.witnessed) = (2, 3);
        eu.own.receipts_missing = vec!["us".to_owned()];
        eu.mirrored[0].frozen = Some(2);
        eu.peers = vec![peer("us", true)];
        outcome.centres.push((&eu).into());
        outcome.check("converged", true, "all");
        outcome.figure("ingest_all", 1.5, "s");
        let json = serde_json::to_value(&outcome).unwrap();
        assert_eq!(keys(&json), ["centres", "checks", "figures", "flows"]);
        // The other centre and the auditor cosigned; its mirror did not say that it has all.
        let centre = json!({
            "id": "eu", "log_size": 4, "entries": 5, "mirrored": { "us": 3 }, "witnessed": 3,
            "cosigned": 2, "quorum": 2, "receipts": 0, "frozen": { "us": 2 },
        });
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
    fn copy_of_the_own_log_counts_once() {
        let eu = status(log("eu", 4), vec![log("eu", 6), log("us", 3)]);
        let outcome = CentreOutcome::from(&eu);
        assert_eq!((outcome.log_size, outcome.entries), (4, 5));
        assert_eq!(outcome.mirrored, BTreeMap::from([("us".to_owned(), 3)]));
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
