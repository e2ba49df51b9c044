//! The folder of a synchronised subset: which copy is in force, and until when.
//!
//! ```text
//! DIR/
//!   state.json     where it is from, what is in force; people and programs may read it
//!   subset.idx     the index that is matched with: there exactly while the list may be matched
//!   manifest.cose  the newest manifest, as the serving centre signed it
//!   copy-<n>/      a verified copy
//!   evidence/      what an origin may not have signed: both headers of a fork
//!   lock           held while a command uses the folder
//! ```
//!
//! Why: a copy that is being made stands beside the one that is matched with, and takes its place in one step. A grant that
//! lapses stops matching at once: the index goes, whatever else is there. What `state.json` says is durable before it is
//! acted on, so after any crash the folder is put right by what it says. In scope: the folder. Out of scope: packs (`copy`).

mod state;

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hashpact_keys::{CentreId, NetworkId, Origin, Timestamp};
use hashpact_protocol::delta::Seq;

use super::copy::{Copy, CopyError};
use super::index::{self, IndexFault};
use super::verify::Seen;
use crate::near::file::{FILE_NAME, ListVersion};
use crate::store::durable::{Steps, sweep_temporary, sync_dir, write_new};
pub(super) use state::{GOOD_FOR_S, standing_words};
pub use state::{Standing, address_of, usable};
use state::{State, VERSION, read_state};

/// How long a command waits for another one that uses the folder.
const PATIENCE: Duration = Duration::from_secs(30);
/// The folder, for one command.
pub struct Folder {
    path: PathBuf,
    pub(super) state: State,
    steps: Steps,
    _lock: File,
}

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Nothing is there.
    #[error("{}: nothing was synchronised here: run `hashpact member sync {}` first", .0.display(), .0.display())]
    Missing(PathBuf),
    /// Something else is there.
    #[error("{} holds something else: give another folder", .0.display())]
    Foreign(PathBuf),
    /// It is of another network or centre than the home.
    #[error("{}: synchronised from {centre} of network {network}, which this home is not a member of", path.display())]
    Other {
        /// The folder.
        path: PathBuf,
        /// Its centre.
        centre: String,
        /// Its network.
        network: String,
    },
    /// Another command uses it.
    #[error("{} is used by another command", .0.display())]
    Locked(PathBuf),
    /// Its state is damaged, or another version's.
    #[error("{}: state.json is not what this version writes: remove the folder, and sync again", .0.display())]
    State(PathBuf),
    /// The list may not be matched with.
    #[error("{}", standing_words(*.0))]
    NotInForce(Standing),
    /// A copy.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// The index.
    #[error(transparent)]
    Index(#[from] IndexFault),
    /// The disk.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// The fault.
        source: io::Error,
    },
}

impl Folder {
    /// Opens a folder, or makes it, for a member of this centre.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn open(
        path: &Path,
        network: &NetworkId,
        centre: &CentreId,
        steps: &Steps,
    ) -> Result<Self, FolderError> {
        let io = |source| FolderError::Io {
            path: path.to_owned(),
            source,
        };
        let mut items = match fs::read_dir(path) {
            Ok(items) => items,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                DirBuilder::new()
                    .recursive(true)
                    .mode(0o700)
                    .create(path)
                    .map_err(io)?;
                fs::read_dir(path).map_err(io)?
            }
            Err(error) => return Err(io(error)),
        };
        let ours = |item: io::Result<fs::DirEntry>| {
            item.is_ok_and(|item| {
                let name = item.file_name();
                name == "lock"
                    || name == "state.json"
                    || name.as_encoded_bytes().starts_with(b".tmp-")
            })
        };
        if !path.join("state.json").exists() && !items.all(ours) {
            return Err(FolderError::Foreign(path.to_owned()));
        }
        // What is in it tells what is detectable: it is its owner's, whoever made the folder.
        let mode = fs::metadata(path).map_err(io)?.permissions().mode();
        if mode & 0o077 != 0 {
            fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(io)?;
        }
        let state = State {
            version: VERSION,
            network: network.to_string(),
            centre: centre.to_string(),
            ..State::default()
        };
        let folder = Self::locked(path, Some(state), steps)?;
        let held = (&folder.state.network, &folder.state.centre);
        if held != (&network.to_string(), &centre.to_string()) {
            return Err(FolderError::Other {
                path: path.to_owned(),
                centre: folder.state.centre,
                network: folder.state.network,
            });
        }
        Ok(folder)
    }

    /// Opens a folder that is there, to read what is in force.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn existing(path: &Path) -> Result<Self, FolderError> {
        if !path.join("state.json").is_file() {
            return Err(FolderError::Missing(path.to_owned()));
        }
        Self::locked(path, None, &Steps::default())
    }

    fn locked(path: &Path, fresh: Option<State>, steps: &Steps) -> Result<Self, FolderError> {
        let lock = lock(path)?;
        let file = path.join("state.json");
        let held = read_state(path, &file)?;
        let is_fresh = held.is_none();
        let state = held.or(fresh);
        let folder = Self {
            path: path.to_owned(),
            state: state.ok_or_else(|| FolderError::Missing(path.to_owned()))?,
            steps: steps.clone(),
            _lock: lock,
        };
        // Before anything else is in it: a folder without it is somebody else's.
        if is_fresh {
            folder.write()?;
        }
        folder.settle()?;
        Ok(folder)
    }

    /// Whether the list may be matched with.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.state.standing
    }

    /// Puts right what a crash left: copies that nothing names, an index that may not be there.
    fn settle(&self) -> Result<(), FolderError> {
        let io = |source| self.io(&self.path, source);
        sweep_temporary(&self.path).map_err(io)?;
        for item in fs::read_dir(&self.path).map_err(io)? {
            let path = item.map_err(io)?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let number = name.and_then(|name| name.strip_prefix("copy-")?.parse().ok());
            let Some(number) = number else { continue };
            let named = [self.state.current, self.state.building];
            if !named.contains(&Some(number)) {
                self.destroy(number)?;
            }
        }
        match self.state.standing {
            Standing::InForce => Ok(()),
            Standing::Empty | Standing::Lapsed | Standing::Unheard => self.remove_index(),
        }
    }

    /// The copy that is in force.
    pub(super) fn current(&self) -> Result<Option<Copy>, FolderError> {
        let copy = self
            .state
            .current
            .map(|number| Copy::open(&self.copy_path(number), &self.steps));
        Ok(copy.transpose()?)
    }

    /// The copy that is being made, if it is of this ledger and was begun.
    pub(super) fn building(&mut self, ledger: &[u8; 8]) -> Result<Option<Copy>, FolderError> {
        let Some(number) = self.state.building else {
            return Ok(None);
        };
        if let Ok(copy) = Copy::open(&self.copy_path(number), &self.steps)
            && copy.position()?.ledger == *ledger
        {
            return Ok(Some(copy));
        }
        self.abandon()?;
        Ok(None)
    }

    /// Gives up the copy that is being made.
    pub(super) fn abandon(&mut self) -> Result<(), FolderError> {
        if let Some(number) = self.state.building.take() {
            self.write()?;
            self.destroy(number)?;
        }
        Ok(())
    }

    /// Begins a copy of another ledger beside the one in force; what origins retracted it remembers from the start.
    pub(super) fn begin(&mut self, ledger: [u8; 8]) -> Result<Copy, FolderError> {
        let retracted = match self.current()? {
            Some(copy) => copy.retracted()?,
            None => Vec::new(),
        };
        let number = self.state.current.map_or(1, |current| current + 1);
        self.state.building = Some(number);
        self.write()?;
        Ok(Copy::create(
            &self.copy_path(number),
            ledger,
            &retracted,
            &self.steps,
        )?)
    }

    /// Puts the copy that was made in force, and destroys the former one.
    pub(super) fn swap(&mut self) -> Result<(), FolderError> {
        let Some(made) = self.state.building.take() else {
            return Ok(());
        };
        let former = self.state.current.replace(made);
        self.write()?;
        match former {
            Some(former) => self.destroy(former),
            None => Ok(()),
        }
    }

    /// Writes the index if it is not of what is in force. `copy` is.
    pub(super) fn index(&mut self, copy: &Copy, list: ListVersion) -> Result<bool, FolderError> {
        let Some(number) = self.state.current else {
            return Ok(false);
        };
        let of = Some((number, copy.position()?.generation));
        let path = self.path.join(FILE_NAME);
        if self.state.index == of && self.state.standing == Standing::InForce && path.is_file() {
            return Ok(false);
        }
        index::write(copy, list, &path, &self.steps)?;
        self.state.index = of;
        self.state.standing = Standing::InForce;
        self.write()?;
        Ok(true)
    }

    /// The list stops matching: at once, and over every crash.
    pub(super) fn set_aside(&mut self, standing: Standing) -> Result<(), FolderError> {
        self.state.standing = standing;
        self.state.index = None;
        self.write()?;
        self.remove_index()
    }

    /// The newest manifest that was taken.
    pub(super) fn seen(&self) -> Option<Seen> {
        let (ledger, n, issued_at) = self.state.seen.as_ref()?;
        Some(Seen {
            ledger: hex::decode(ledger).ok()?.try_into().ok()?,
            n: *n,
            issued_at: Timestamp::new(*issued_at),
        })
    }

    /// Remembers a verified manifest.
    pub(super) fn saw(
        &mut self,
        seen: &Seen,
        signed: &[u8],
        now: Timestamp,
    ) -> Result<(), FolderError> {
        let path = self.path.join("manifest.cose");
        let written = write_new(&path, &[signed], &self.steps);
        written.map_err(|source| self.io(&path, source))?;
        self.state.seen = Some((hex::encode(seen.ledger), seen.n, seen.issued_at.get()));
        self.state.heard_at = Some(now.get());
        self.write()
    }

    /// Keeps both headers of a fork: whoever holds the log can act on them.
    pub(super) fn evidence(
        &self,
        origin: &Origin,
        seq: Seq,
        headers: [&[u8]; 2],
    ) -> Result<PathBuf, FolderError> {
        let folder = self.path.join("evidence");
        fs::create_dir_all(&folder).map_err(|source| self.io(&folder, source))?;
        for (n, header) in (1..).zip(headers) {
            let path = folder.join(format!("{}-{seq}-{n}.cose", origin.centre()));
            let written = write_new(&path, &[header], &self.steps);
            written.map_err(|source| self.io(&path, source))?;
        }
        Ok(folder)
    }

    /// Makes `state.json` say what the state is.
    pub(super) fn write(&self) -> Result<(), FolderError> {
        let path = self.path.join("state.json");
        let mut json = serde_json::to_vec_pretty(&self.state)
            .map_err(|error| self.io(&path, io::Error::other(error)))?;
        json.push(b'\n');
        write_new(&path, &[&json], &self.steps).map_err(|source| self.io(&path, source))
    }

    fn remove_index(&self) -> Result<(), FolderError> {
        let path = self.path.join(FILE_NAME);
        let gone = super::copy::overwrite(&path, &self.steps);
        gone.and_then(|()| sync_dir(&self.path, &self.steps))
            .map_err(|source| self.io(&path, source))
    }

    fn destroy(&self, number: u64) -> Result<(), FolderError> {
        let folder = self.copy_path(number);
        let io = |source| self.io(&folder, source);
        let packs = folder.join("packs");
        if packs.is_dir() {
            for item in fs::read_dir(&packs).map_err(io)? {
                super::copy::overwrite(&item.map_err(io)?.path(), &self.steps).map_err(io)?;
            }
        }
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io(error)),
            Ok(()) | Err(_) => sync_dir(&self.path, &self.steps).map_err(io),
        }
    }

    fn copy_path(&self, number: u64) -> PathBuf {
        self.path.join(format!("copy-{number}"))
    }

    fn io(&self, path: &Path, source: io::Error) -> FolderError {
        FolderError::Io {
            path: path.to_owned(),
            source,
        }
    }
}

fn lock(folder: &Path) -> Result<File, FolderError> {
    let io = |source| FolderError::Io {
        path: folder.to_owned(),
        source,
    };
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(folder.join("lock")).map_err(io)?;
    let begin = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if begin.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(100));
            }
            Err(TryLockError::WouldBlock) => return Err(FolderError::Locked(folder.to_owned())),
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
    }
}
