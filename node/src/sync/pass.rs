//! One synchronisation: what the serving centre says, what it sends, what is made of it.
//!
//! ```text
//! manifest -> stream -> groups, each durable -> index -> manifest again: the same? -> acknowledge
//! ```
//!
//! Why in this order: a retraction is acknowledged only when it is durable and the index that is matched with was written
//! without it. Why bounds on the whole: every item may be well formed and signed, and the stream still endless. In scope: the
//! order of steps and the bounds. Out of scope: each step (`verify`, `copy`, `folder`, `index`).

mod follow;

use std::path::Path;
use std::time::Duration;

use hashpact_keys::RosterVersion;
use hashpact_protocol::labels::ClassId;
use hashpact_protocol::subset::Manifest;

use super::api::{Api, ApiError, Told};
use super::copy::{Copy, CopyError, Tally};
use super::folder::{Folder, FolderError, GOOD_FOR_S, Standing};
use super::logs::{self, LogFault};
use super::report::{ClassCount, LogSeen, Report, Withheld};
use super::stream::StreamFault;
use super::verify::{Seen, Trust, VerifyError};
use crate::near::file::ListVersion;
use crate::store::durable::Steps;

/// How often the centre is asked for more because it published meanwhile.
const ROUNDS: usize = 4;
/// Before what is here is compared a second time.
const PAUSE: Duration = Duration::from_secs(2);

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Entries arrive and are verified.
    Receive,
    /// The index is written.
    Index,
}

/// How far a pass is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// Entries that arrived.
    pub done: u64,
    /// Entries that the manifest speaks of, of which some may be here already.
    pub total: u64,
}

/// How much a server may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of the packs of a copy.
    pub packs: u64,
    /// Bytes of items that change nothing, one after the other, before a stream is given up.
    pub idle: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            packs: 64 << 30,
            idle: 64 << 20,
        }
    }
}

/// One synchronisation.
pub struct Pass<'a> {
    /// The folder.
    pub path: &'a Path,
    /// The server.
    pub api: &'a Api,
    /// The server's address, for the folder's state.
    pub from: &'a str,
    /// What everything is judged by.
    pub trust: Trust<'a>,
    /// How much of it there may be.
    pub bounds: Bounds,
    /// Steps of the disk.
    pub steps: Steps,
}

/// Why a pass failed. What it made durable before stays.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The server.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The grant lapsed.
    #[error("{words}; {}", super::folder::standing_words(Standing::Lapsed))]
    Lapsed {
        /// What the server says.
        words: String,
    },
    /// The centre was not heard for too long.
    #[error("{source}; {}", super::folder::standing_words(Standing::Unheard))]
    Unheard {
        /// Why it was not heard this time.
        source: Box<SyncError>,
    },
    /// What was sent does not verify.
    #[error("refused: {0}")]
    Verify(#[from] VerifyError),
    /// What was sent has no form.
    #[error("the stream: {0}")]
    Stream(#[from] StreamFault),
    /// A checkpoint beside the manifest.
    #[error("refused: {0}")]
    Log(#[from] LogFault),
    /// The stream uses what it did not tell.
    #[error("the stream speaks of {what} that it did not tell before")]
    Untold {
        /// Of what.
        what: &'static str,
    },
    /// The stream leads back.
    #[error(
        "the server leads back to a cursor that was read in this pass: it goes round in a circle"
    )]
    CursorLoop,
    /// More than any honest stream has.
    #[error("the server sends more {what} than its manifest explains: given up")]
    Endless {
        /// Of what.
        what: &'static str,
    },
    /// What is here is not what the manifest says.
    #[error(
        "class {class} of {origin}: {got} entries are here, the signed manifest says {expected}; manifest.cose is the proof of what the centre said"
    )]
    Counts {
        /// The log.
        origin: String,
        /// The class.
        class: ClassId,
        /// What the manifest says.
        expected: u64,
        /// What is here.
        got: u64,
    },
    /// The roster opens nothing any more.
    #[error(
        "roster version {version} has expired: only retractions and withdrawals were applied ({ended}); take its successor with `hashpact member rosters`"
    )]
    RosterExpired {
        /// Its version.
        version: RosterVersion,
        /// Entries that ended.
        ended: u64,
    },
    /// Two signed deltas of one number.
    #[error("{source}; both headers are in {}", folder.display())]
    Fork {
        /// Where the proof is.
        folder: std::path::PathBuf,
        /// What was found.
        source: CopyError,
    },
    /// The folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

impl From<CopyError> for SyncError {
    fn from(error: CopyError) -> Self {
        Self::Folder(error.into())
    }
}

/// A manifest that was verified, and what else the server told with it.
struct Heard {
    manifest: Manifest,
    told: Told,
    logs: Vec<LogSeen>,
}

impl Pass<'_> {
    /// Synchronises once. `hear` is told how far it is.
    ///
    /// # Errors
    /// [`SyncError`].
    pub fn run(&self, hear: &mut dyn FnMut(Progress)) -> Result<Report, SyncError> {
        let roster = self.trust.roster;
        let network = &roster.network;
        let mut folder = Folder::open(self.path, network, self.trust.centre, &self.steps)?;
        let done = self.settle(&mut folder);
        let done = done.and_then(|()| self.synchronise(&mut folder, hear));
        done.map_err(|error| self.failed(&mut folder, error))
    }

    /// What a crash left between a commit and its index is made good before anybody is asked.
    fn settle(&self, folder: &mut Folder) -> Result<(), SyncError> {
        if folder.standing() == Standing::InForce
            && let Some(copy) = folder.current()?
            && let Some(list) = self.list_of(folder, &copy)?
        {
            folder.index(&copy, list)?;
        }
        Ok(())
    }

    fn synchronise(
        &self,
        folder: &mut Folder,
        hear: &mut dyn FnMut(Progress),
    ) -> Result<Report, SyncError> {
        let mut heard = self.hear(folder)?;
        let (mut copy, mut is_made) = self.copy_of(folder, &heard.manifest)?;
        let mut report = Report {
            centre: self.trust.centre.to_string(),
            member: heard.told.member.clone(),
            snapshot: is_made,
            ..Report::default()
        };
        let mut budget = follow::Budget::new(&heard.manifest, copy.entries()?, self.bounds.idle);
        let mut tally = Tally::default();
        let mut has_paused = false;
        for round in 1..=ROUNDS {
            let followed = self.follow(folder, &copy, is_made, &mut budget, &mut tally, hear);
            match followed {
                // Once: a server that says so of what it has just begun is broken.
                Err(SyncError::Api(ApiError::Ledger)) if !report.snapshot => {
                    drop(copy);
                    folder.abandon()?;
                    heard = self.hear(folder)?;
                    copy = folder.begin(heard.manifest.ledger)?;
                    (is_made, report.snapshot) = (true, true);
                    tally = Tally::default();
                    budget = follow::Budget::new(&heard.manifest, 0, self.bounds.idle);
                    continue;
                }
                other => other?,
            }
            if self.trust.roster.is_expired(self.trust.now) {
                return self.expired(folder, &copy, is_made, tally);
            }
            let before = std::mem::replace(&mut heard, self.hear(folder)?);
            if is_same(&before.manifest, &heard.manifest) {
                match compare(&copy, &heard.manifest) {
                    Ok(()) => {
                        report.compared = true;
                        break;
                    }
                    Err(error) if has_paused || round == ROUNDS => return Err(error),
                    // A change of policy may have come between stream and manifest: nobody is accused before a second look.
                    Err(_) => {
                        has_paused = true;
                        std::thread::sleep(PAUSE);
                    }
                }
            }
        }
        if is_made {
            drop(copy);
            folder.swap()?;
            copy = folder
                .current()?
                .ok_or(SyncError::Untold { what: "a copy" })?;
        }
        self.finish(folder, &copy, &heard, tally, &mut report, hear)?;
        report.bytes = budget.bytes();
        Ok(report)
    }

    /// The index, the acknowledgement, the report.
    fn finish(
        &self,
        folder: &mut Folder,
        copy: &Copy,
        heard: &Heard,
        tally: Tally,
        report: &mut Report,
        hear: &mut dyn FnMut(Progress),
    ) -> Result<(), SyncError> {
        let entries = copy.entries()?;
        hear(Progress {
            phase: Phase::Index,
            done: 0,
            total: entries,
        });
        if let Some(list) = self.list_of(folder, copy)? {
            report.indexed = folder.index(copy, list)?;
        }
        let position = copy.position()?;
        if let Some(cursor) = position.cursor {
            if position.acknowledged.as_ref() != Some(&cursor) {
                self.api.acknowledge(&cursor)?;
                copy.acknowledged(&cursor)?;
            }
            report.acknowledged = true;
        }
        let now = self.trust.now.get();
        folder.state.entries = entries;
        folder.state.synced_at = Some(now);
        folder.write()?;
        let manifest = &heard.manifest;
        report.change = tally.into();
        report.entries = entries;
        let counts = copy.counts()?.into_iter();
        report.classes = counts
            .map(|(origin, class, entries)| ClassCount {
                origin: origin.to_string(),
                class: class.0,
                entries,
            })
            .collect();
        let withheld = manifest.withheld.iter();
        report.withheld = withheld
            .map(|row| Withheld {
                origin: row.origin.to_string(),
                entries: row.entries,
            })
            .collect();
        report.logs.clone_from(&heard.logs);
        report.policy = manifest
            .policy
            .map(|index| (index, heard.told.policy_version));
        Ok(())
    }

    /// Asks for the manifest, verifies it and remembers it.
    fn hear(&self, folder: &mut Folder) -> Result<Heard, SyncError> {
        let told = self.api.subset()?;
        let known = folder.state.member.clone();
        let member = known.as_deref().unwrap_or(&told.member);
        let seen = folder.seen();
        let manifest = self.trust.manifest(&told.signed, member, seen.as_ref())?;
        let logs = logs::check(&manifest, &told.notes, self.trust.roster, self.trust.now)?;
        folder.state.member = Some(manifest.member.clone());
        folder.state.from = Some(self.from.to_owned());
        let seen = Seen {
            ledger: manifest.ledger,
            n: manifest.n,
            issued_at: manifest.issued_at,
        };
        folder.saw(&seen, &told.signed, self.trust.now)?;
        Ok(Heard {
            manifest,
            told,
            logs,
        })
    }

    /// The copy that goes on: the one in force, or one that is being made of another ledger.
    fn copy_of(&self, folder: &mut Folder, manifest: &Manifest) -> Result<(Copy, bool), SyncError> {
        if let Some(copy) = folder.current()?
            && copy.position()?.ledger == manifest.ledger
        {
            if folder.building(&manifest.ledger)?.is_some() {
                folder.abandon()?;
            }
            return Ok((copy, false));
        }
        let version = self.trust.roster.version;
        if self.trust.roster.is_expired(self.trust.now) {
            return Err(SyncError::RosterExpired { version, ended: 0 });
        }
        if let Some(copy) = folder.building(&manifest.ledger)? {
            return Ok((copy, true));
        }
        Ok((folder.begin(manifest.ledger)?, true))
    }

    /// Which list an index of this copy holds; nothing before the first answer.
    fn list_of(&self, folder: &Folder, copy: &Copy) -> Result<Option<ListVersion>, SyncError> {
        let position = copy.position()?;
        let (Some(cursor), Some(seen)) = (position.cursor, folder.seen()) else {
            return Ok(None);
        };
        Ok(Some(ListVersion {
            network: self.trust.roster.network.to_string(),
            centre: self.trust.centre.to_string(),
            member: folder.state.member.clone().unwrap_or_default(),
            ledger: hex::encode(position.ledger),
            cursor: cursor.as_str().to_owned(),
            issued_at: seen.issued_at.get(),
        }))
    }

    /// Under a roster that opens nothing, what ended has ended all the same.
    fn expired(
        &self,
        folder: &mut Folder,
        copy: &Copy,
        is_made: bool,
        tally: Tally,
    ) -> Result<Report, SyncError> {
        if !is_made && let Some(list) = self.list_of(folder, copy)? {
            folder.index(copy, list)?;
        }
        Err(SyncError::RosterExpired {
            version: self.trust.roster.version,
            ended: tally.gone(),
        })
    }

    /// What a failure means for the list that is matched with.
    fn failed(&self, folder: &mut Folder, error: SyncError) -> SyncError {
        if let SyncError::Api(ApiError::Lapsed { words }) = error {
            return match folder.set_aside(Standing::Lapsed) {
                Ok(()) => SyncError::Lapsed { words },
                Err(error) => error.into(),
            };
        }
        let heard_at = folder.state.heard_at.unwrap_or_default();
        let is_old = self.trust.now.get().saturating_sub(heard_at) > GOOD_FOR_S;
        if folder.standing() != Standing::InForce || !is_old {
            return error;
        }
        match folder.set_aside(Standing::Unheard) {
            Ok(()) => SyncError::Unheard {
                source: Box::new(error),
            },
            Err(error) => error.into(),
        }
    }
}

/// Whether two manifests say the same of what a member has: policy may change that where the ledger does not.
fn is_same(one: &Manifest, other: &Manifest) -> bool {
    let state = |it: &Manifest| (it.ledger, it.n, it.policy);
    state(one) == state(other) && one.classes == other.classes && one.withheld == other.withheld
}

/// Whether what is here is what the manifest says, class by class.
fn compare(copy: &Copy, manifest: &Manifest) -> Result<(), SyncError> {
    let held = copy.counts()?;
    let mut said: Vec<_> = manifest
        .classes
        .iter()
        .map(|row| (row.origin.clone(), row.class, row.entries))
        .collect();
    said.sort();
    let count = |rows: &[(hashpact_keys::Origin, ClassId, u64)],
                 key: (&hashpact_keys::Origin, ClassId)| {
        let row = rows
            .iter()
            .find(|(origin, class, _)| (origin, *class) == key);
        row.map_or(0, |row| row.2)
    };
    for (origin, class, _) in held.iter().chain(&said) {
        let expected = count(&said, (origin, *class));
        let got = count(&held, (origin, *class));
        if expected != got {
            return Err(SyncError::Counts {
                origin: origin.to_string(),
                class: *class,
                expected,
                got,
            });
        }
    }
    Ok(())
}
