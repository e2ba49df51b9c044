//! What a person meets at the shell: exit codes, what an error says, and that `--json` is one object.
//!
//! | file | answers |
//! |---|---|
//! | `home` | homes, plain keys, starting and stopping |
//! | `keys` | sealed keys, listing and renewing |
//! | `roster` | who may be on the network |
//! | `members` | who may check lists with a centre |
//! | `ingest` | what becomes of a list |
//! | `check` | files and hashes against a synced list |
//! | `entries` | looking up, retracting, status, and what is never printed |
//! | `lookups` | looking many up, what it leaves, and how many a day |
//! | `sources` | editions, names, withdrawals, and what was retracted |
//! | `standing` | entries that are pending or void |
//! | `export` | handing bodies to an auditor |

mod check;
#[path = "../common/mod.rs"]
mod common;
mod entries;
mod export;
mod home;
mod ingest;
mod keys;
mod lookups;
mod members;
mod roster;
mod sources;
mod standing;

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;

use common::{List, Network, Node, Over};

/// A centre that is alone on its roster, not started.
pub(crate) fn one(folder: &Path) -> Result<(Node, Network)> {
    let node = Node::init(folder, "eu", Over::Tcp)?;
    let network = Network::found(folder, &[&node])?;
    Ok((node, network))
}

/// As [`one`], running.
pub(crate) fn running(folder: &Path) -> Result<(Node, Network)> {
    let (mut node, network) = one(folder)?;
    node.start()?;
    Ok((node, network))
}

pub(crate) fn summary(answer: &Value) -> Result<[u64; 5]> {
    let count = |key: &str| {
        answer["summary"][key]
            .as_u64()
            .with_context(|| format!("{answer}"))
    };
    Ok([
        count("rows")?,
        count("accepted")?,
        count("unchanged")?,
        count("retracted")?,
        count("refused")?,
    ])
}

/// A list of 300 rows of which two are bad, by their numbers from 1.
pub(crate) fn two_bad_rows(folder: &Path) -> Result<List> {
    let list = List::write(folder, "list", 300)?;
    let mut rows: Vec<String> = (0..300).map(|row| list.row(row)).collect();
    rows[6] = rows[6].replacen(&list.sha256(6), &list.sha256(6)[..63], 1);
    rows[9] = rows[9].replacen(
        &list.md5(9),
        &list.md5(9).replacen(|_: char| true, "x", 1),
        1,
    );
    list.rewrite(&rows)?;
    Ok(list)
}
