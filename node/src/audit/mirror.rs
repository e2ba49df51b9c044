//! Makes and keeps a copy of all logs of a network.
//!
//! Why: an auditor verifies what it holds, and what it once held no source can take back: a copy only grows. Each checkpoint
//! is compared with the copy before it takes the place of the last one; one that goes back or aside is refused, and both
//! notes are kept (`refused`). Full tiles never change. Tiles are computed from the leaves and compared with the source's, so
//! a copy holds what its checkpoints say, whoever served it.
//!
//! A copy that is stopped goes on where it was: leaves are laid beside the log until its checkpoint is shown to hold, and are
//! found there again. In scope: one run over all logs and sources. Out of scope: who cosigned, what entries say (`verify`).

mod growth;
mod heads;

use std::io;
use std::path::{Path, PathBuf};

use hashpact_keys::chain::RosterError;
use hashpact_keys::roster::CentreEntry;
use hashpact_keys::{NetworkId, Origin, RosterVersion, SignedRoster, Timestamp};
use hashpact_protocol::log::{AppendError, empty_root, root_at};
use serde::Serialize;

use self::growth::Growth;
use self::heads::{Head, Standing};
use super::folder::{FORK_LEN, Folder, LogFolder, NOTE_LEN, ROSTER_LEN, log_name};
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
    /// No source has a first roster.
    #[error("no source gives a first roster")]
    NoRoster,
}

/// Why a log is not copied from a source.
#[derive(Debug, thiserror::Error)]
pub enum LogFault {
    /// The source does not give what it must.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The copy's own disk.
    #[error(transparent)]
    Disk(#[from] io::Error),
    /// A file that the log's size calls for is not there.
    #[error("{path} is missing")]
    Missing {
        /// The file.
        path: String,
    },
    /// A bundle that is not made of whole leaves, or of too few.
    #[error("{path} does not hold {expected} whole leaves")]
    Bundle {
        /// The file.
        path: String,
        /// How many it must hold.
        expected: u64,
    },
    /// A tile or bundle is not what the leaves make it.
    #[error("{path} is not what the leaves make it")]
    Differs {
        /// The file.
        path: String,
    },
    /// A full tile of the copy has other bytes than the new one.
    #[error("{path} is held with other bytes, and a full tile never changes")]
    Overwrites {
        /// The file.
        path: String,
    },
    /// The log cannot grow by these leaves.
    #[error(transparent)]
    Grow(#[from] AppendError),
    /// The leaves do not make the checkpoint's root.
    #[error("the leaves do not make the root that the checkpoint of size {size} says")]
    Root {
        /// Its size.
        size: u64,
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
        let newest = chain.last().ok_or(MirrorError::NoRoster)?;
        let mut logs = Vec::new();
        for (origin, centres) in logs_of(&chain) {
            let log = Log::new(self, &folder, &origin, &centres);
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
            failed,
        })
    }

    /// The rosters held, then what the sources add. What is held counts as the pin.
    fn rosters(
        &self,
        folder: &Folder,
        failed: &mut Vec<Refused>,
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
            if let Err(why) = self.more_rosters(folder, source.as_ref(), &mut chain)? {
                let source = source.name().to_owned();
                failed.push(Refused { source, why });
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

    /// What one source adds, or why it is not believed.
    fn more_rosters(
        &self,
        folder: &Folder,
        source: &dyn Source,
        chain: &mut Vec<SignedRoster>,
    ) -> Result<Result<(), String>, MirrorError> {
        // A source of another network would else be told from its logs, one by one.
        if let Some(first) = chain.first() {
            match source.get("rosters/1", ROSTER_LEN) {
                Ok(Some(bytes)) => {
                    if let Err(error) = SignedRoster::open_first(&bytes, &first.roster().network) {
                        return Ok(Err(format!("roster 1: {error}")));
                    }
                }
                Ok(None) => return Ok(Err("gives no first roster".to_owned())),
                Err(error) => return Ok(Err(error.to_string())),
            }
        }
        while (chain.len() as u64) < ROSTERS_MAX {
            let version = chain.len() as u64 + 1;
            let path = format!("rosters/{version}");
            let bytes = match source.get(&path, ROSTER_LEN) {
                Ok(Some(bytes)) => bytes,
                Ok(None) if version == 1 => return Ok(Err("gives no first roster".to_owned())),
                Ok(None) => break,
                Err(error) => return Ok(Err(error.to_string())),
            };
            match self.follow(chain, &bytes) {
                Ok(next) => chain.push(next),
                Err(error) => return Ok(Err(format!("roster {version}: {error}"))),
            }
            write(&folder.path(&path), &bytes).map_err(|e| io_at(&folder.path(&path), e))?;
        }
        Ok(Ok(()))
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

/// One log of the copy.
struct Log<'a> {
    mirror: &'a Mirror<'a>,
    folder: &'a Folder,
    files: LogFolder,
    name: String,
    origin: &'a Origin,
    centres: &'a [CentreEntry],
}

impl<'a> Log<'a> {
    fn new(
        mirror: &'a Mirror<'a>,
        folder: &'a Folder,
        origin: &'a Origin,
        centres: &'a [CentreEntry],
    ) -> Self {
        let name = log_name(origin);
        Self {
            files: LogFolder::new(folder, &name),
            mirror,
            folder,
            name,
            origin,
            centres,
        }
    }

    fn path(&self, file: &str) -> String {
        format!("{}/{file}", self.name)
    }

    /// The checkpoint held, and what is wrong with it if it cannot be read.
    fn held(&self) -> io::Result<Option<Head>> {
        let note = self.folder.read(&self.path("checkpoint"), NOTE_LEN)?;
        let head = note.map(|note| Head::open(note, self.centres, self.mirror.now));
        match head {
            Some(Err(error)) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            Some(Ok(head)) => Ok(Some(head)),
            None => Ok(None),
        }
    }

    /// Takes over what the sources have, the furthest first. Errors are those of the copy's own disk.
    fn copy(&self) -> io::Result<LogCopy> {
        durable::create_dirs(&self.folder.path(&self.name), &Steps::default())?;
        let mut held = self.held()?;
        let size = |held: &Option<Head>| held.as_ref().map_or(0, Head::size);
        let mut copy = LogCopy {
            origin: self.origin.as_str().to_owned(),
            from: size(&held),
            to: size(&held),
            refused: Vec::new(),
            failed: Vec::new(),
        };
        let mut heads = Vec::new();
        for source in self.mirror.sources {
            match heads::of_source(source.as_ref(), self) {
                Ok(Some(head)) => heads.push((source.as_ref(), head)),
                Ok(None) => {}
                Err(error) => copy.failed.push(told(source.as_ref(), &error)),
            }
        }
        heads.sort_by_key(|(_, head)| std::cmp::Reverse(head.size()));
        let furthest = heads.first().map_or(0, |(_, head)| head.size());
        let is_back = furthest < size(&held);
        for (source, head) in heads {
            match self.standing(&head, held.as_ref())? {
                Standing::Further => match self.grow(source, &head, held.as_ref()) {
                    Ok(()) => held = Some(head.clone()),
                    Err(LogFault::Disk(error)) => return Err(error),
                    Err(LogFault::Root { .. } | LogFault::Differs { .. })
                        if self.is_fork(source, &head, held.as_ref()) =>
                    {
                        self.refuse(&head, source, "does not continue", &mut copy)?;
                    }
                    Err(fault) => copy.failed.push(told(source, &fault)),
                },
                Standing::Same => self.refresh(&head, &mut held)?,
                Standing::Behind if is_back => {
                    self.refuse(&head, source, "goes back behind", &mut copy)?;
                }
                Standing::Behind => {}
                Standing::Aside => self.refuse(&head, source, "does not agree with", &mut copy)?,
            }
            match self.beside(source, held.as_ref()) {
                Ok(()) => {}
                Err(LogFault::Disk(error)) => return Err(error),
                Err(fault) => copy.failed.push(told(source, &fault)),
            }
        }
        copy.to = size(&held);
        Ok(copy)
    }

    /// How a head stands to the one held.
    fn standing(&self, head: &Head, held: Option<&Head>) -> io::Result<Standing> {
        let Some(held) = held else {
            return Ok(Standing::Further);
        };
        if head.size() > held.size() {
            return Ok(Standing::Further);
        }
        let root = self.root(held.size(), head.size())?;
        Ok(match root == head.root() {
            false => Standing::Aside,
            true if head.size() < held.size() => Standing::Behind,
            true => Standing::Same,
        })
    }

    /// Root at a size, out of the copy.
    fn root(&self, size: u64, at: u64) -> io::Result<[u8; 32]> {
        if at == 0 {
            return Ok(empty_root());
        }
        let damaged = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        root_at(&self.files, size, at).map_err(damaged)
    }

    fn grow(&self, source: &dyn Source, head: &Head, held: Option<&Head>) -> Result<(), LogFault> {
        let from = held.map_or(0, Head::size);
        let progress = |at| (self.mirror.progress)(self.origin, at, head.size());
        let mut growth = Growth::new(self.folder, &self.name, source, from, head.size())?;
        let root = growth.leaves(&progress);
        match root {
            Ok(root) if root == head.root() => growth.settle()?,
            // What lies beside the log is not what the checkpoint says: it must not be found again.
            Ok(_) => {
                growth.discard()?;
                return Err(LogFault::Root { size: head.size() });
            }
            Err(fault @ (LogFault::Differs { .. } | LogFault::Bundle { .. })) => {
                growth.discard()?;
                return Err(fault);
            }
            Err(fault) => return Err(fault),
        }
        write(&self.folder.path(&self.path("checkpoint")), head.note())?;
        Ok(())
    }

    /// Whether a source's own tiles show that its log is another than the one held.
    fn is_fork(&self, source: &dyn Source, head: &Head, held: Option<&Head>) -> bool {
        let Some(held) = held.filter(|held| held.size() > 0) else {
            return false;
        };
        let files = |path: &str| {
            let read = |path: &str, max| {
                let got = source.get(&self.path(path), max);
                got.map_err(io::Error::other)
            };
            super::folder::tile(path, read).ok().flatten()
        };
        let root = |at| root_at(&files, head.size(), at).ok();
        root(head.size()) == Some(head.root()) && root(held.size()) != Some(held.root())
    }

    /// Takes a note of the same size and root that has more to it.
    fn refresh(&self, head: &Head, held: &mut Option<Head>) -> io::Result<()> {
        let lines = |head: &Head| head.note().split(|byte| *byte == b'\n').count();
        if held.as_ref().is_some_and(|held| lines(head) > lines(held)) {
            write(&self.folder.path(&self.path("checkpoint")), head.note())?;
            *held = Some(head.clone());
        }
        Ok(())
    }

    /// The history and a fork proof.
    fn beside(&self, source: &dyn Source, held: Option<&Head>) -> Result<(), LogFault> {
        if let Some(held) = held {
            heads::extend_history(source, self, held)?;
        }
        let fork = self.path("fork");
        if self.folder.read(&fork, 0)?.is_none()
            && let Some(proof) = source.get(&fork, FORK_LEN)?
        {
            write(&self.folder.path(&fork), &proof)?;
        }
        Ok(())
    }

    /// Keeps a note that is not taken, once.
    fn refuse(
        &self,
        head: &Head,
        source: &dyn Source,
        why: &str,
        copy: &mut LogCopy,
    ) -> io::Result<()> {
        heads::keep_refused(self, head)?;
        copy.refused.push(Refused {
            source: source.name().to_owned(),
            why: format!(
                "its checkpoint of size {} {why} the copy's of size {}",
                head.size(),
                copy.from
            ),
        });
        Ok(())
    }
}

fn told(source: &dyn Source, why: &dyn std::fmt::Display) -> Refused {
    let (source, why) = (source.name().to_owned(), why.to_string());
    Refused { source, why }
}
