//! What a witness cosigned last, one small file a log, on the disk before any cosignature leaves.
//!
//! ```text
//! <folder>/
//!   witness-state              format, the witness's verifier key, one line for each log that was begun
//!   <SHA-256 of the origin>    the newest checkpoint that was cosigned, with the log's line and this witness's own
//!   lock                       held while a process uses the folder
//! ```
//!
//! Why a marker: a witness that starts empty cosigns whatever it is shown first, so "no file" must never be taken for
//! "nothing cosigned yet". Only making a witness writes a marker; without it, and where a log that it names has no file,
//! nothing is cosigned. Why a note and no table of our own: its origin, size, root and time are all under the witness's own
//! signature, which shows damage, and it is what monitors are given. A folder from a backup is older than what was cosigned
//! and does not show it: it is lost state. In scope: the folder. Out of scope: the rules (`hashpact_protocol::log`).

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use hashpact_keys::{Signer, Timestamp};
use hashpact_protocol::limits::NOTE_BYTES;
use hashpact_protocol::log::{
    LogHead, NoteError, Refusal, SignedNote, Submitted, Suspicion, VerifierKey, cosignature_line,
    origin_hash,
};

use super::evidence::{self, Kept};
use super::marker::{self, OriginHash, parse_hash, read_bounded};
use crate::store::durable::{self, Steps};

/// Why a state cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// There is no marker.
    #[error(
        "{path}: this witness's state is lost: a witness that lost its state must not cosign again; retire its key (revoke it on the roster), make a new home",
        path = path.display()
    )]
    Lost {
        /// The folder.
        path: PathBuf,
    },
    /// The state is of another key or name.
    #[error("{path}: the state of {got}, and this witness is {expected}", path = path.display())]
    OtherKey {
        /// The folder.
        path: PathBuf,
        /// This witness's verifier key.
        expected: String,
        /// The verifier key in the marker.
        got: String,
    },
    /// The marker cannot be read.
    #[error("{path}: the marker of the witness's state is damaged", path = path.display())]
    Marker {
        /// The folder.
        path: PathBuf,
    },
    /// There is a state already.
    #[error("{path}: there is a witness's state already", path = path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// Another process uses it.
    #[error("{path}: another process uses this witness's state", path = path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// The machine.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The fault.
        source: io::Error,
    },
}

/// Why nothing is cosigned.
#[derive(Debug, thiserror::Error)]
pub enum CosignError {
    /// The request.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The log's file is missing or damaged, or writing it failed before: what was cosigned last is not known.
    #[error("what was cosigned last for this log is not known")]
    Unknown,
    /// A cosignature would be dated before the last one.
    #[error("the clock stands at {now}, before the last cosignature at {last}")]
    ClockBack {
        /// The time of the last cosignature.
        last: Timestamp,
        /// The clock.
        now: Timestamp,
    },
    /// The note has no room for the cosignature.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// What was to be cosigned could not be recorded.
    #[error("the checkpoint could not be recorded: {0}")]
    Io(io::Error),
}

impl CosignError {
    /// The HTTP status: the specification's for a refusal, else 503.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Refused(refusal) => refusal.status(),
            Self::Unknown | Self::ClockBack { .. } | Self::Note(_) | Self::Io(_) => 503,
        }
    }
}

/// The newest checkpoint that was cosigned for a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosigned {
    /// What it says.
    pub head: LogHead,
    /// When it was cosigned last.
    pub at: Timestamp,
    /// The note with the log's lines and this witness's own.
    pub note: Vec<u8>,
}

/// What is known about one log that was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogReport {
    /// SHA-256 of the origin line, in hexadecimal.
    pub origin_hash: String,
    /// The newest checkpoint that was cosigned; nothing if its file is missing or damaged.
    pub cosigned: Option<Cosigned>,
    /// Kept requests that prove a fork.
    pub forks: u32,
    /// Kept requests whose proof failed.
    pub refused: u32,
}

/// The state of a witness, taken for this process.
#[derive(Debug)]
pub struct WitnessState {
    folder: PathBuf,
    key: VerifierKey,
    /// Logs that the marker names.
    begun: Mutex<BTreeSet<OriginHash>>,
    slots: Mutex<BTreeMap<OriginHash, Arc<Mutex<Slot>>>>,
    steps: Steps,
    _lock: File,
}

/// One log. Its lock is held from reading what was cosigned last until the next is on the disk: of two requests at once the
/// second is judged by what the first one left.
#[derive(Debug, Default)]
struct Slot {
    last: Last,
    kept: Kept,
}

#[derive(Debug, Default)]
enum Last {
    #[default]
    NotRead,
    Read(Option<Cosigned>),
    /// Not known until the folder is opened again.
    Unknown,
}

impl WitnessState {
    /// Makes the state of a new witness. `key` is its verifier key, of the cosigner's kind.
    ///
    /// # Errors
    /// [`StateError::Exists`] if the folder is there and not empty, or [`StateError::Io`].
    pub fn make(folder: &Path, key: &VerifierKey, steps: &Steps) -> Result<(), StateError> {
        let io = |source| io_fault(folder, source);
        durable::create_dirs(folder, steps).map_err(io)?;
        if fs::read_dir(folder).map_err(io)?.next().is_some() {
            let path = folder.to_owned();
            return Err(StateError::Exists { path });
        }
        marker::write(folder, key, &BTreeSet::new(), steps).map_err(io)
    }

    /// Opens a state for this process alone.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn open(folder: &Path, key: VerifierKey, steps: Steps) -> Result<Self, StateError> {
        let io = |source| io_fault(folder, source);
        let mut begun = marker::of(folder, &key)?;
        let lock = lock(folder)?;
        durable::sweep_temporary(folder).map_err(io)?;
        // A process that ended between a log's first file and the marker left a file that is not named yet.
        let named = begun.len();
        for entry in fs::read_dir(folder).map_err(io)? {
            let name = entry.map_err(io)?.file_name();
            begun.extend(name.to_str().and_then(parse_hash));
        }
        if begun.len() > named {
            marker::write(folder, &key, &begun, &steps).map_err(io)?;
        }
        Ok(Self {
            folder: folder.to_owned(),
            key,
            begun: Mutex::new(begun),
            slots: Mutex::default(),
            steps,
            _lock: lock,
        })
    }

    /// What the state in a folder holds, without taking it: a running witness may write meanwhile.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn report(folder: &Path, key: &VerifierKey) -> Result<Vec<LogReport>, StateError> {
        let begun = marker::of(folder, key)?;
        let report = |hash: OriginHash| {
            let base = log_file(folder, &hash);
            let (forks, refused) = evidence::count(&base);
            LogReport {
                origin_hash: hex::encode(hash),
                cosigned: read_log(&base, &hash, key).ok().flatten(),
                forks,
                refused,
            }
        };
        Ok(begun.into_iter().map(report).collect())
    }

    /// The verifier key that the state in a folder is of.
    ///
    /// # Errors
    /// [`StateError::Lost`], [`StateError::Marker`] or [`StateError::Io`].
    pub fn key_of(folder: &Path) -> Result<VerifierKey, StateError> {
        Ok(marker::read(folder)?.0)
    }

    /// The name and key of this witness.
    #[must_use]
    pub fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// Records a checkpoint if it continues what was cosigned last, and then cosigns it: the answer's body. `signer` is the
    /// key of this state. Blocking.
    ///
    /// # Errors
    /// [`CosignError`].
    pub fn cosign(
        &self,
        submitted: &Submitted,
        signer: &Signer,
        now: Timestamp,
    ) -> Result<Vec<u8>, CosignError> {
        let hash = origin_hash(&submitted.head().origin);
        let slot = self.slot(hash);
        // A thread that panicked here left it open what is on the disk.
        let mut slot = slot.lock().map_err(|_| CosignError::Unknown)?;
        let last = self.last(&mut slot.last, &hash)?.clone();
        let size_and_root = last.as_ref().map(|last| (last.head.size, last.head.root));
        let accepted = match submitted.continues(size_and_root) {
            Ok(accepted) => accepted,
            Err(refusal) => {
                let note = last.as_ref().map(|last| &*last.note);
                self.suspect(&mut slot.kept, &hash, &refusal, submitted, note);
                return Err(refusal.into());
            }
        };
        // No cosignature omits its time, which is what 0 means.
        let last_at = last.as_ref().map_or(Timestamp::new(1), |last| last.at);
        if now < last_at {
            return Err(CosignError::ClockBack { last: last_at, now });
        }
        let mut note = accepted.note;
        note.cosign(self.key.name(), signer, now)?;
        let line = cosignature_line(&note, self.key.name(), signer, now);
        let cosigned = Cosigned {
            head: accepted.head,
            at: now,
            note: note.to_bytes(),
        };
        // Sent again within the second: what is on the disk says so already.
        if last.as_ref() == Some(&cosigned) {
            return Ok(line);
        }
        // After a failed write either note may be the one on the disk.
        slot.last = Last::Unknown;
        self.record(hash, &cosigned.note).map_err(CosignError::Io)?;
        slot.last = Last::Read(Some(cosigned));
        Ok(line)
    }

    /// The newest checkpoint that was cosigned for the log with this origin hash; nothing if none was. Blocking.
    ///
    /// # Errors
    /// [`CosignError::Unknown`].
    pub fn cosigned(&self, hash: &OriginHash) -> Result<Option<Cosigned>, CosignError> {
        // Anybody may ask for any hash, and each slot takes memory.
        if !self.has_begun(hash) {
            return Ok(None);
        }
        let slot = self.slot(*hash);
        let mut slot = slot.lock().map_err(|_| CosignError::Unknown)?;
        self.last(&mut slot.last, hash).cloned()
    }

    fn has_begun(&self, hash: &OriginHash) -> bool {
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.contains(hash)
    }

    fn slot(&self, hash: OriginHash) -> Arc<Mutex<Slot>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(hash).or_default())
    }

    fn last<'a>(
        &self,
        last: &'a mut Last,
        hash: &OriginHash,
    ) -> Result<&'a Option<Cosigned>, CosignError> {
        if matches!(last, Last::NotRead) {
            let read = read_log(&log_file(&self.folder, hash), hash, &self.key);
            *last = match read {
                Ok(None) if self.has_begun(hash) => Last::Unknown,
                Ok(read) => Last::Read(read),
                Err(Damaged) => Last::Unknown,
            };
        }
        match last {
            Last::Read(cosigned) => Ok(cosigned),
            Last::NotRead | Last::Unknown => Err(CosignError::Unknown),
        }
    }

    fn record(&self, hash: OriginHash, note: &[u8]) -> io::Result<()> {
        durable::write_new(&log_file(&self.folder, &hash), &[note], &self.steps)?;
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        if begun.insert(hash) {
            let written = marker::write(&self.folder, &self.key, &begun, &self.steps);
            if written.is_err() {
                begun.remove(&hash);
            }
            written?;
        }
        Ok(())
    }

    /// Keeping evidence must not change the answer.
    fn suspect(
        &self,
        kept: &mut Kept,
        hash: &OriginHash,
        refusal: &Refusal,
        submitted: &Submitted,
        cosigned: Option<&[u8]>,
    ) {
        let (suspicion, head) = (refusal.suspicion(), submitted.head());
        if suspicion == Suspicion::None {
            return;
        }
        tracing::warn!(origin = ?head.origin, size = head.size, %refusal, "a checkpoint that its log signed is refused");
        let base = log_file(&self.folder, hash);
        if let Err(error) = kept.keep(&base, suspicion, submitted, cosigned, &self.steps) {
            tracing::warn!(%error, "a refused checkpoint could not be kept");
        }
    }
}

pub(super) fn io_fault(path: &Path, source: io::Error) -> StateError {
    let path = path.to_owned();
    StateError::Io { path, source }
}

fn log_file(folder: &Path, hash: &OriginHash) -> PathBuf {
    folder.join(hex::encode(hash))
}

fn lock(folder: &Path) -> Result<File, StateError> {
    let path = folder.join("lock");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    let file = options.open(&path).map_err(|e| io_fault(&path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StateError::Locked {
            path: folder.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(io_fault(&path, source)),
    }
}

/// A log's file is not what this witness wrote.
struct Damaged;

/// Nothing if there is no file. What is read is under the witness's own signature.
fn read_log(
    path: &Path,
    hash: &OriginHash,
    key: &VerifierKey,
) -> Result<Option<Cosigned>, Damaged> {
    let note = match read_bounded(path, NOTE_BYTES as u64) {
        Ok(note) => note.ok_or(Damaged)?,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(_) => return Err(Damaged),
    };
    let parsed = SignedNote::parse(&note).map_err(|_| Damaged)?;
    let head = LogHead::from_text(parsed.text()).map_err(|_| Damaged)?;
    let at = parsed.signed_by(key).ok().flatten().ok_or(Damaged)?;
    if origin_hash(&head.origin) != *hash {
        return Err(Damaged);
    }
    Ok(Some(Cosigned { head, at, note }))
}
