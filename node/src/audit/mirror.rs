//! Makes and keeps a copy of all logs of a network.
//!
//! Why: an auditor verifies what it holds, and what it once held no source can take back: a copy only grows. Each checkpoint
//! is compared with the copy before it takes the place of the last one; one that goes back or aside is refused, and both
//! notes are kept (`refused`). Full tiles never change. Tiles are computed from the leaves and compared with the source's, so
//! a copy holds what its checkpoints say, whoever served it. A fork proof is kept only if it holds.
//!
//! A copy that is stopped goes on where it was: leaves are laid beside the log until its checkpoint is shown to hold, and are
//! found there again. In scope: one run over all logs and sources. Out of scope: who cosigned, what entries say (`verify`).

mod growth;
mod heads;
mod log;

use std::io;
use std::path::{Path, PathBuf};

use hashpact_keys::chain::RosterError;
use hashpact_keys::roster::CentreEntry;
use hashpact_keys::{NetworkId, Origin, RosterVersion, SignedRoster, Timestamp};
use serde::Serialize;

use self::log::Log;
use super::folder::{Folder, ROSTER_LEN, log_name};
use super::source::{Source, SourceError};
use crate::store::durable::{self, Steps};

/// Rosters of a network that are fetched at most: one a day for a century.
const ROSTERS_MAX: u64 = 65_536;

/// Why a copy cannot be made or kept.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// The folder of the copy.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The fault.
        source: io::Error,
    },
    /// A roster of the copy or of the sources does not follow.
    #[error("roster {version} of {from}: {source}")]
    Roster {
        /// Whose.
        from: String,
        /// Which.
        version: RosterVersion,
        /// Why not.
        source: RosterError,
    },
    /// No source has a first roster that is believed.
    #[error("no source gives a first roster of this network{}", because(.failed))]
    NoRoster {
        /// Why not, by source.
        failed: Vec<Refused>,
        /// Whether a source gave one that is not believed.
        refused: bool,
    },
}

/// What became of one log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogCopy {
    /// The origin line.
    pub origin: String,
    /// Leaves held before.
    pub from: u64,
    /// Leaves held after.
    pub to: u64,
    /// What was refused, in words, with the source that showed it.
    pub refused: Vec<Refused>,
    /// Sources that failed, in words.
    pub failed: Vec<Refused>,
}

/// Something that a source did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// Which source.
    pub source: String,
    /// What.
    pub why: String,
}

/// What became of a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Copied {
    /// The network id.
    pub network: String,
    /// Whether the network id was given, or taken from the first source that was asked.
    pub pinned: bool,
    /// Rosters held.
    pub rosters: u64,
    /// The logs that a roster names.
    pub logs: Vec<LogCopy>,
    /// Sources that gave no rosters, or other ones.
    pub failed: Vec<Refused>,
}

/// What a run is told to do.
pub struct Mirror<'a> {
    /// The folder of the copy.
    pub dir: &'a Path,
    /// The network, if it is known.
    pub pin: Option<NetworkId>,
    /// From whom.
    pub sources: &'a [Box<dyn Source>],
    /// The time.
    pub now: Timestamp,
    /// Told of each bundle that is copied: log, leaves held, leaves to come to.
    pub progress: &'a dyn Fn(&Origin, u64, u64),
}

impl Mirror<'_> {
    /// Copies what is new.
    ///
    /// # Errors
    /// [`MirrorError`]: nothing at all can be done. What fails with one log or one source is told in [`Copied`].
    pub fn run(&self) -> Result<Copied, MirrorError> {
        let steps = Steps::default();
        durable::create_dirs(&self.dir.join("rosters"), &steps).map_err(|e| io_at(self.dir, e))?;
        let folder = Folder::open(self.dir).map_err(|e| io_at(self.dir, e))?;
        let mut failed = Vec::new();
        let chain = self.rosters(&folder, &mut failed)?;
        let Some(newest) = chain.last() else {
            let refused = failed.iter().any(|(_, fault)| fault.is_refused());
            let failed = failed.iter().map(named).collect();
            return Err(MirrorError::NoRoster { failed, refused });
        };
        let mut logs = Vec::new();
        for (origin, centres) in logs_of(&chain) {
            let log = Log::new(self, &folder, &chain, &origin, &centres);
            logs.push(
                log.copy()
                    .map_err(|e| io_at(&folder.path(&log_name(&origin)), e))?,
            );
        }
        let network = newest.roster().network.to_string();
        self.say(&folder, &network)?;
        Ok(Copied {
            network,
            pinned: self.pin.is_some(),
            rosters: chain.len() as u64,
            logs,
            failed: failed.iter().map(named).collect(),
        })
    }

    /// The rosters held, then what the sources add. What is held counts as the pin.
    fn rosters(
        &self,
        folder: &Folder,
        failed: &mut Vec<(String, RosterFault)>,
    ) -> Result<Vec<SignedRoster>, MirrorError> {
        let mut chain = Vec::new();
        for bytes in folder.rosters() {
            let next = self.follow(&chain, &bytes);
            chain.push(next.map_err(|source| MirrorError::Roster {
                from: self.dir.display().to_string(),
                version: RosterVersion::new(chain.len() as u64 + 1),
                source,
            })?);
        }
        for source in self.sources {
            match self.more_rosters(folder, source.as_ref(), &mut chain) {
                Ok(()) => {}
                Err(RosterFault::Disk(error)) => return Err(error),
                Err(fault) => failed.push((source.name().to_owned(), fault)),
            }
        }
        Ok(chain)
    }

    fn follow(&self, chain: &[SignedRoster], bytes: &[u8]) -> Result<SignedRoster, RosterError> {
        match (chain.last(), &self.pin) {
            (Some(last), _) => last.succeed(bytes),
            (None, Some(pin)) => SignedRoster::open_first(bytes, pin),
            (None, None) => SignedRoster::from_store(bytes),
        }
    }

    /// Takes over what one source adds.
    fn more_rosters(
        &self,
        folder: &Folder,
        source: &dyn Source,
        chain: &mut Vec<SignedRoster>,
    ) -> Result<(), RosterFault> {
        // A source of another network would else be told from its logs, one by one.
        if let Some(first) = chain.first() {
            let bytes = source.get("rosters/1", ROSTER_LEN)?;
            let bytes = bytes.ok_or(RosterFault::None)?;
            let opened = SignedRoster::open_first(&bytes, &first.roster().network);
            opened.map_err(|source| RosterFault::Refused {
                version: RosterVersion::FIRST,
                source,
            })?;
        }
        while (chain.len() as u64) < ROSTERS_MAX {
            let version = chain.len() as u64 + 1;
            let path = format!("rosters/{version}");
            let Some(bytes) = source.get(&path, ROSTER_LEN)? else {
                return if chain.is_empty() {
                    Err(RosterFault::None)
                } else {
                    Ok(())
                };
            };
            let version = RosterVersion::new(version);
            let next = self.follow(chain, &bytes);
            chain.push(next.map_err(|source| RosterFault::Refused { version, source })?);
            let path = folder.path(&path);
            write(&path, &bytes).map_err(|error| RosterFault::Disk(io_at(&path, error)))?;
        }
        Ok(())
    }

    /// What the copy says about itself. Nobody believes it; it is for people.
    fn say(&self, folder: &Folder, network: &str) -> Result<(), MirrorError> {
        let names = self.sources.iter().map(|source| source.name().to_owned());
        let about = About {
            network,
            copied_at: self.now.get(),
            sources: names.collect(),
        };
        let path = folder.path("mirror.toml");
        let text = toml::to_string(&about).map_err(|e| io_at(&path, io::Error::other(e)))?;
        write(&path, text.as_bytes()).map_err(|e| io_at(&path, e))
    }
}

/// Why a source's rosters are not taken over.
#[derive(Debug, thiserror::Error)]
enum RosterFault {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("gives no first roster")]
    None,
    #[error("roster {version}: {source}")]
    Refused {
        version: RosterVersion,
        source: RosterError,
    },
    #[error(transparent)]
    Disk(MirrorError),
}

impl RosterFault {
    fn is_refused(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }
}

fn named((source, fault): &(String, RosterFault)) -> Refused {
    let (source, why) = (source.clone(), fault.to_string());
    Refused { source, why }
}

fn because(failed: &[Refused]) -> String {
    let one = |failed: &Refused| format!("; {}: {}", failed.source, failed.why);
    failed.iter().map(one).collect()
}

#[derive(Serialize)]
struct About<'a> {
    network: &'a str,
    copied_at: u64,
    sources: Vec<String>,
}

fn io_at(path: &Path, source: io::Error) -> MirrorError {
    let path = path.to_owned();
    MirrorError::Io { path, source }
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    durable::write_new(path, &[bytes], &Steps::default())
}

/// Every log that any roster names, with its centre as each roster has it, newest first.
fn logs_of(chain: &[SignedRoster]) -> std::collections::BTreeMap<Origin, Vec<CentreEntry>> {
    let mut logs = std::collections::BTreeMap::<Origin, Vec<CentreEntry>>::new();
    for centre in chain
        .iter()
        .rev()
        .flat_map(|roster| &roster.roster().centres)
    {
        logs.entry(centre.origin.clone())
            .or_default()
            .push(centre.clone());
    }
    logs
}
