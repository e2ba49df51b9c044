//! What a person sees while the centres exchange: a live table on a terminal, a line now and then elsewhere.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use comfy_table::{Table, presets};
use hashpact_node::daemon::Status;

use crate::cluster::Cluster;
use crate::outcome::{cosigned, logs, receipts};

/// How often the table is drawn.
const FRAME: Duration = Duration::from_millis(200);
/// How often a line is written where there is no terminal.
const LINE: Duration = Duration::from_secs(2);

/// Draws on standard error, so that standard output stays the answer's.
pub struct Watch {
    terminal: bool,
    lines: usize,
    last: Option<Instant>,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            terminal: std::io::stderr().is_terminal(),
            lines: 0,
            last: None,
        }
    }
}

impl Watch {
    /// Says what is being done.
    pub fn say(&mut self, text: &str) {
        self.lines = 0;
        self.last = None;
        eprintln!("{text}");
    }

    /// Shows where everyone is, if it is time for it.
    pub fn show(&mut self, statuses: &[Status]) {
        let every = if self.terminal { FRAME } else { LINE };
        if self.last.is_some_and(|last| last.elapsed() < every) {
            return;
        }
        self.last = Some(Instant::now());
        if self.terminal {
            let table = table(statuses).to_string();
            let mut err = std::io::stderr().lock();
            if self.lines > 0 {
                // Up to the table's first line, and clear from there.
                let _ = write!(err, "\x1b[{}A\x1b[J", self.lines);
            }
            let _ = writeln!(err, "{table}");
            self.lines = table.lines().count();
        } else {
            let parts: Vec<String> = statuses.iter().map(brief).collect();
            eprintln!("  {}", parts.join("  |  "));
        }
    }

    /// Asks every node again and again until `done` holds for what they say.
    ///
    /// # Errors
    /// Fails if a node does not answer, or `limit` passes.
    pub fn until(
        &mut self,
        cluster: &Cluster,
        limit: Duration,
        what: &str,
        mut done: impl FnMut(&[Status]) -> bool,
    ) -> Result<Vec<Status>> {
        let deadline = Instant::now() + limit;
        loop {
            let statuses = cluster.statuses()?;
            self.show(&statuses);
            if done(&statuses) {
                self.last = None;
                self.show(&statuses);
                return Ok(statuses);
            }
            ensure!(
                Instant::now() < deadline,
                "not within {} s: {what}",
                limit.as_secs()
            );
            std::thread::sleep(Duration::from_millis(25));
        }
    }
}

/// Deltas that a node knows of and has not applied.
fn lag(status: &Status) -> u64 {
    status
        .mirrored
        .iter()
        .map(|log| log.deltas - log.applied)
        .sum()
}

fn held(status: &Status) -> u64 {
    logs(status).map(|log| log.held).sum()
}

fn table(statuses: &[Status]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header([
        "centre",
        "own log",
        "witnessed",
        "cosigned",
        "receipts",
        "mirrored logs",
        "entries held",
        "lag",
        "in",
        "out",
        "peers",
    ]);
    for status in statuses {
        let mirrored: Vec<String> = status
            .mirrored
            .iter()
            .map(|log| format!("{} {}", log.centre, log.size))
            .collect();
        let bytes = |pick: fn(&hashpact_node::daemon::PeerStatus) -> u64| {
            size(status.peers.iter().map(pick).sum())
        };
        table.add_row([
            status.centre.clone(),
            status.own.size.to_string(),
            status.own.witnessed.to_string(),
            format!("{}/{}", cosigned(status), status.own.quorum),
            receipts(status).to_string(),
            mirrored.join("  "),
            held(status).to_string(),
            lag(status).to_string(),
            bytes(|peer| peer.bytes_in),
            bytes(|peer| peer.bytes_out),
            status
                .peers
                .iter()
                .filter(|peer| peer.up)
                .count()
                .to_string(),
        ]);
    }
    table
}

fn brief(status: &Status) -> String {
    format!(
        "{} log {} cosigned {}/{} holds {} lag {}",
        status.centre,
        status.own.size,
        cosigned(status),
        status.own.quorum,
        held(status),
        lag(status)
    )
}

#[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
fn size(bytes: u64) -> String {
    match bytes {
        0..=9_999 => format!("{bytes} B"),
        10_000..=9_999_999 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}
