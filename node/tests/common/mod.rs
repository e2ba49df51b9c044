//! Set-up that the tests of the program share: homes in a temporary folder, real processes on loopback, small lists.
//!
//! In scope: starting, asking, stopping. Out of scope: what must hold.
//!
//! | file | answers |
//! |---|---|
//! | `said` | how a command ended and what it printed |
//! | `node` | one centre's home and its process |
//! | `network` | root keys and rosters |
//! | `ruled` | a centre under policy |
//! | `log` | a log that no node writes |
//! | `hostile` | servers in the place of a witness that answer wrongly |
//! | `witness` | an auditor's witness, and bare HTTP |
//! | `list` | made-up lists |
#![allow(dead_code, reason = "each test program uses its own part of it")]
#![allow(unused_imports, reason = "each test program uses its own part of it")]

mod hostile;
mod list;
mod log;
mod network;
mod node;
mod ruled;
pub(crate) mod said;
mod witness;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

pub(crate) use hostile::{Evil, Hostile};
pub(crate) use list::{List, PROFILE, sha256_of};
pub(crate) use log::StockLog;
pub(crate) use network::{Network, audited, two};
pub(crate) use node::{Node, Over, copy_folder};
pub(crate) use ruled::{Ruled, ruled_two};
pub(crate) use said::{Said, hashpact};
pub(crate) use witness::{Witness, ask, section};

/// How long anything on one machine may take before a test says that it does not happen.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// Asks again and again until there is an answer.
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + SOON;
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        ensure!(
            Instant::now() < deadline,
            "not within {} s: {what}",
            SOON.as_secs()
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> String {
    path.display().to_string()
}
