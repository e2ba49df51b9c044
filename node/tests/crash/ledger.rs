//! What is asked of the node, and what it acknowledged.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use hashpact_node::control::client::{Client, ClientError};
use hashpact_node::control::{Line, Request};
use hashpact_node::daemon::{IngestMore, IngestPhase, IngestProgress};
use hashpact_node::home::Home;
use rand_chacha::ChaCha20Rng;
use rand_core::Rng as _;
use serde_json::json;

use crate::common::{self, List};

pub(crate) const ROWS: u64 = 400;

pub(crate) fn below(rng: &mut ChaCha20Rng, end: u64) -> u64 {
    rng.next_u64() % end.max(1)
}

/// A row of a list, by their numbers.
pub(crate) type Row = (u64, u64);

/// What is asked of the node, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    Ingest,
    Retract(Row),
}

/// What the node has acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Lists below this number are taken in.
    pub(crate) lists: u64,
    /// Rows of the list under way that were reported as signed.
    pub(crate) signed: u64,
    pub(crate) retracted: BTreeSet<Row>,
    /// The retraction that was acknowledged last.
    pub(crate) newest: Option<Row>,
    /// What was asked and not answered.
    pub(crate) doing: Option<Doing>,
}

impl Ledger {
    fn name(list: u64) -> String {
        format!("list-{list}")
    }

    /// One list, then a handful of retractions, each a leaf of its own.
    fn next(&mut self, rng: &mut ChaCha20Rng) -> Doing {
        let row = (below(rng, self.lists), below(rng, ROWS));
        let retract = self.lists > 0 && below(rng, 5) > 0 && !self.retracted.contains(&row);
        let next = if retract {
            Doing::Retract(row)
        } else {
            Doing::Ingest
        };
        *self.doing.get_or_insert(next)
    }
}

/// Asks the node for one thing after the other until its process is gone. What was interrupted comes first.
pub(crate) fn work(
    home: &Home,
    folder: &Path,
    ledger: &mut Ledger,
    rng: &mut ChaCha20Rng,
) -> Result<()> {
    let mut client = Client::connect(home)?;
    loop {
        let done = match ledger.next(rng) {
            Doing::Ingest => ingest(&mut client, folder, ledger),
            Doing::Retract(row) => retract(&mut client, row, ledger),
        };
        match done.map_err(|error| error.downcast::<ClientError>()) {
            Ok(()) => ledger.doing = None,
            Err(Ok(ClientError::Closed | ClientError::Io(_))) => return Ok(()),
            // A node that is killed may leave half a line.
            Err(Ok(ClientError::Form(error))) if error.is_eof() => return Ok(()),
            Err(Ok(other)) => return Err(other.into()),
            Err(Err(other)) => return Err(other),
        }
    }
}

fn ingest(client: &mut Client, folder: &Path, ledger: &mut Ledger) -> Result<()> {
    let list = List::write(folder, &Ledger::name(ledger.lists), ROWS)?;
    let request = Request::Ingest {
        file: list.file,
        profile: common::PROFILE.to_owned(),
        profile_path: "list.toml".to_owned(),
        strict: true,
        accept_bad: None,
        more: IngestMore::default(),
    };
    let (before, mut signed) = (ledger.signed, ledger.signed);
    let answer = client.ask(&request, |line| {
        if let Line::Progress(IngestProgress {
            phase: IngestPhase::Sign,
            done,
            ..
        }) = line
        {
            signed = before + done;
        }
    });
    ledger.signed = signed;
    let summary = answer?["summary"].clone();
    let count = |key: &str| summary[key].as_u64().context("a count");
    let (new, known) = (count("accepted")?, count("unchanged")?);
    ensure!(new + known == ROWS, "{summary}");
    ensure!(
        known >= before,
        "{before} rows were acknowledged, {known} were known: {summary}"
    );
    (ledger.lists, ledger.signed) = (ledger.lists + 1, 0);
    Ok(())
}

pub(crate) fn look_up(client: &mut Client, (list, row): Row) -> Result<(String, bool)> {
    let value = common::sha256_of(&Ledger::name(list), row);
    let answer = client.ask(
        &Request::Lookup {
            algorithm: "sha256".to_owned(),
            value,
        },
        |_| {},
    )?;
    let entries = answer["entries"].as_array().context("no `entries`")?;
    ensure!(
        entries.len() == 1,
        "row {row} of list {list} is held {} times",
        entries.len()
    );
    let entry = entries[0]["entry"].as_str().context("no `entry`")?;
    Ok((entry.to_owned(), entries[0]["retracted"] == json!(true)))
}

fn retract(client: &mut Client, row: Row, ledger: &mut Ledger) -> Result<()> {
    let (entry, retracted) = look_up(client, row)?;
    if !retracted {
        let answer = client.ask(
            &Request::Retract {
                entries: vec![entry],
                reason: None,
            },
            |_| {},
        )?;
        ensure!(answer["retracted"] == json!(1), "{answer}");
    }
    // Else it was durable when the process ended before it could say so.
    ledger.retracted.insert(row);
    ledger.newest = Some(row);
    Ok(())
}
