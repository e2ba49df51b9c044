//! One log of a copy: which source is believed, and what is refused.
//!
//! In scope: one log in one run. Out of scope: how it grows (`growth`), notes as bytes (`heads`).

use std::io;

use hashpact_keys::roster::CentreEntry;
use hashpact_keys::{Origin, Roster, RosterVersion, SignedRoster, Timestamp};
use hashpact_protocol::audit::verify_fork;
use hashpact_protocol::log::{AppendError, Cosigners, ForkError, empty_root, root_at};

use super::super::folder::{FORK_LEN, Folder, LogFolder, NOTE_LEN, log_name, tile};
use super::super::source::{Source, SourceError};
use super::growth::Growth;
use super::heads::{self, Head, Standing};
use super::{LogCopy, Mirror, Refused, write};
use crate::store::durable::{self, Steps};

/// Why a log is not copied from a source.
#[derive(Debug, thiserror::Error)]
pub(super) enum LogFault {
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

/// The newest roster under which a fork proof holds, and whether it shows where the branches part.
type Rank = (RosterVersion, bool);

/// One log of the copy.
pub(super) struct Log<'a> {
    pub(super) mirror: &'a Mirror<'a>,
    pub(super) folder: &'a Folder,
    /// The rosters of the copy, oldest first.
    rosters: &'a [SignedRoster],
    files: LogFolder,
    name: String,
    origin: &'a Origin,
    pub(super) centres: &'a [CentreEntry],
}

impl<'a> Log<'a> {
    pub(super) fn new(
        mirror: &'a Mirror<'a>,
        folder: &'a Folder,
        rosters: &'a [SignedRoster],
        origin: &'a Origin,
        centres: &'a [CentreEntry],
    ) -> Self {
        let name = log_name(origin);
        Self {
            files: LogFolder::new(folder, &name),
            mirror,
            folder,
            rosters,
            name,
            origin,
            centres,
        }
    }

    pub(super) fn path(&self, file: &str) -> String {
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
    pub(super) fn copy(&self) -> io::Result<LogCopy> {
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
            match self.beside(source, held.as_ref(), &mut copy) {
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
    pub(super) fn root(&self, size: u64, at: u64) -> io::Result<[u8; 32]> {
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
            tile(path, read).ok().flatten()
        };
        let root = |at| root_at(&files, head.size(), at).ok();
        root(head.size()) == Some(head.root()) && root(held.size()) != Some(held.root())
    }

    /// Takes a note of the same size and root that is better witnessed: by a quorum, later, by more.
    fn refresh(&self, head: &Head, held: &mut Option<Head>) -> io::Result<()> {
        if held
            .as_ref()
            .is_some_and(|held| self.weight(head) > self.weight(held))
        {
            write(&self.folder.path(&self.path("checkpoint")), head.note())?;
            *held = Some(head.clone());
        }
        Ok(())
    }

    /// How well a note is witnessed under the newest roster that names the log. Lines that count for nobody weigh nothing.
    fn weight(&self, head: &Head) -> (Option<Timestamp>, usize) {
        let (Some(roster), Some(note)) = (self.roster(), head.parsed()) else {
            return (None, 0);
        };
        let standing = |cosigners: Cosigners| cosigners.standing(&note, head.size());
        let witnesses = standing(Cosigners::witnesses(roster, self.origin));
        let mirrors = standing(Cosigners::mirrors(roster, self.origin));
        let lines = witnesses.cosigned.len() + mirrors.cosigned.len();
        (witnesses.witnessed_at(), lines)
    }

    /// The newest roster that names the log.
    fn roster(&self) -> Option<&Roster> {
        let mut newest_first = self.rosters.iter().rev().map(SignedRoster::roster);
        newest_first.find(|roster| roster.by_origin(self.origin).is_some())
    }

    /// The history and a fork proof.
    fn beside(
        &self,
        source: &dyn Source,
        held: Option<&Head>,
        copy: &mut LogCopy,
    ) -> Result<(), LogFault> {
        if let Some(held) = held {
            heads::extend_history(source, self, held)?;
        }
        self.fork(source, copy)
    }

    /// Takes a fork proof that holds, in place of none, of one that does not hold, or of one that shows less.
    fn fork(&self, source: &dyn Source, copy: &mut LogCopy) -> Result<(), LogFault> {
        let path = self.path("fork");
        // One that cannot be read is as good as none.
        let held = self.folder.read(&path, FORK_LEN).ok().flatten();
        let held = held.and_then(|held| self.rank(&held).ok());
        if held.is_some_and(|held| held >= self.best()) {
            return Ok(());
        }
        let Some(proof) = source.get(&path, FORK_LEN)? else {
            return Ok(());
        };
        match self.rank(&proof) {
            Ok(rank) if Some(rank) > held => write(&self.folder.path(&path), &proof)?,
            Ok(_) => {}
            Err(error) => copy.refused.push(told(source, &error)),
        }
        Ok(())
    }

    /// What a fork proof is worth: one that holds under a newer roster more than one by keys that have left since, and one
    /// that shows where the branches part more than one that leaves it open.
    fn rank(&self, proof: &[u8]) -> Result<Rank, ForkError> {
        let verified = verify_fork(self.rosters, self.origin, proof, self.mirror.now)?;
        Ok((verified.roster, verified.fact.is_tight))
    }

    /// The rank that no other exceeds.
    fn best(&self) -> Rank {
        let newest = self.roster().map(|roster| roster.version);
        (newest.unwrap_or(RosterVersion::FIRST), true)
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
