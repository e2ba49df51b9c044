//! A member's home: what a provider needs to check lists against the centre that admitted it, and nothing else.
//!
//! ```text
//! <home>/
//!   member.toml        centre = "us"
//!   keys/node.key      the one key: who this is to the centre, and what the cache is sealed under; mode 0600
//!   rosters/<version>  the network's rosters from the first on, as they were signed
//!   cache/<centre>/    what is kept between two checks
//!   lock               held while a command uses the home
//! ```
//!
//! It holds no store, no log and no list. In scope: the folder, and a connection to the centre. Out of scope: the check.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hashpact_keys::chain::{RosterError, SignedRoster};
use hashpact_keys::store::{KeyDir, KeyFile, KeyFileError};
use hashpact_keys::{CentreId, KeyUse, NetworkId, PublicKey, RosterVersion};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::check::Caches;
use super::client::CacheKey;
use crate::clock;
use crate::control::matching::PeerOpener;
use crate::daemon::Directory;
use crate::net::{self, BulkRead, BulkSource, NetConfig, NetError, NetEvent, PeerId, PeerKind};
use crate::store::durable::{Steps, sync_dir, write_new};

/// Versions of a roster that are read: a century of monthly ones.
const ROSTERS_MAX: u64 = 1_200;
/// Bytes of a roster file.
const ROSTER_BYTES: u64 = 1 << 20;
/// How long the centre may take to answer the first call: some dials, each with a handshake.
const CONNECT: Duration = Duration::from_secs(45);

/// A member's home.
#[derive(Clone, Debug)]
pub struct MemberHome {
    path: PathBuf,
}

/// A home that one command uses.
pub struct Member {
    /// The centre that admitted it.
    pub centre: CentreId,
    /// The newest roster.
    pub roster: SignedRoster,
    /// What is kept between two checks.
    pub caches: Caches,
    seed: Zeroizing<[u8; 32]>,
    _lock: File,
}

/// What `member.toml` says.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    centre: String,
}

/// Why a member's home is not made or used.
#[derive(Debug, thiserror::Error)]
pub enum MemberError {
    /// It is there already.
    #[error("{} holds something already: give another --home", .0.display())]
    Exists(PathBuf),
    /// It is not there.
    #[error("{} holds no member: run `hashpact member init` first, or give another --home", .0.display())]
    Missing(PathBuf),
    /// Another command uses it.
    #[error("{} is used by another command", .0.display())]
    Locked(PathBuf),
    /// No roster was given.
    #[error("no roster: give the network's rosters from the first on")]
    NoRoster,
    /// A roster.
    #[error("roster {number}: {source}")]
    Roster {
        /// Its place, from 1.
        number: usize,
        /// What is wrong.
        source: RosterError,
    },
    /// The centre.
    #[error("{centre} is not on roster version {version}")]
    NoCentre {
        /// The centre.
        centre: CentreId,
        /// The newest version.
        version: RosterVersion,
    },
    /// Its file.
    #[error("{}: not what `hashpact member init` writes", .0.display())]
    Config(PathBuf),
    /// Its key.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The network.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The centre does not answer.
    #[error(
        "{centre} did not answer within {} s: is it reachable, and did it admit this member's key with `hashpact member add`?",
        CONNECT.as_secs()
    )]
    Unreachable {
        /// The centre.
        centre: CentreId,
    },
    /// The disk.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// The fault.
        source: io::Error,
    },
}

impl MemberHome {
    /// A home at this path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Whether a member's home is here.
    #[must_use]
    pub fn is_made(&self) -> bool {
        self.config().is_file()
    }

    fn config(&self) -> PathBuf {
        self.path.join("member.toml")
    }

    fn rosters(&self) -> PathBuf {
        self.path.join("rosters")
    }

    /// Makes a home with a fresh key, for a centre of the network `pin`. Returns the key that the centre is to admit.
    ///
    /// # Errors
    /// [`MemberError`].
    pub fn init(
        &self,
        rosters: &[Vec<u8>],
        pin: &NetworkId,
        centre: &CentreId,
        seed: &[u8; 32],
    ) -> Result<PublicKey, MemberError> {
        let roster = opened(rosters, pin)?;
        no_other(&roster, centre)?;
        let taken = fs::read_dir(&self.path).is_ok_and(|mut items| items.next().is_some());
        if taken {
            return Err(MemberError::Exists(self.path.clone()));
        }
        self.make(&self.path)?;
        let keys = KeyDir::new(self.path.join("keys"));
        keys.make()?;
        let signer = keys.create(KeyUse::Node, seed)?;
        self.make(&self.rosters())?;
        for (number, bytes) in (1_u64..).zip(rosters) {
            self.write(&self.rosters().join(number.to_string()), bytes)?;
        }
        let centre = centre.to_string();
        let config = toml::to_string(&Config { centre });
        let config = config.map_err(|_| MemberError::Config(self.config()))?;
        // Last: without it there is no home, and nothing was promised.
        self.write(&self.config(), config.as_bytes())?;
        Ok(signer.public())
    }

    /// Takes further rosters, each the successor of the one before. Returns the version then in force.
    ///
    /// # Errors
    /// [`MemberError`].
    pub fn add_rosters(&self, rosters: &[Vec<u8>]) -> Result<RosterVersion, MemberError> {
        let mut member = self.open()?;
        for (number, bytes) in (1..).zip(rosters) {
            // One that is in force already is no fault: whoever sends rosters sends all of them.
            let newest = member.roster.roster().version.get();
            let kept = |version: u64| read(&self.rosters().join(version.to_string()));
            if (1..=newest).any(|version| kept(version).is_ok_and(|kept| kept == *bytes)) {
                continue;
            }
            let next = member.roster.succeed(bytes);
            let next = next.map_err(|source| MemberError::Roster { number, source })?;
            let version = next.roster().version.to_string();
            self.write(&self.rosters().join(version), bytes)?;
            member.roster = next;
        }
        Ok(member.roster.roster().version)
    }

    /// Opens the home for one command.
    ///
    /// # Errors
    /// [`MemberError`].
    pub fn open(&self) -> Result<Member, MemberError> {
        if !self.is_made() {
            return Err(MemberError::Missing(self.path.clone()));
        }
        let lock = self.lock()?;
        let unread = || MemberError::Config(self.config());
        let text = fs::read_to_string(self.config()).map_err(|source| self.io(source))?;
        let config: Config = toml::from_str(&text).map_err(|_| unread())?;
        let centre: CentreId = config.centre.parse().map_err(|_| unread())?;
        let mut rosters = Vec::new();
        for version in 1..=ROSTERS_MAX {
            let path = self.rosters().join(version.to_string());
            match read(&path) {
                Ok(bytes) => rosters.push(bytes),
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(source) => return Err(MemberError::Io { path, source }),
            }
        }
        let first = rosters.first().ok_or(MemberError::NoRoster)?;
        // The pin was compared when the home was made: a first roster is its own pin from then on.
        let first = SignedRoster::from_store(first);
        let first = first.map_err(|source| MemberError::Roster { number: 1, source })?;
        let roster = opened(&rosters, &first.roster().network)?;
        no_other(&roster, &centre)?;
        let key = KeyDir::new(self.path.join("keys")).path_of(KeyUse::Node);
        let seed = KeyFile::load_node_seed(&key)?;
        let caches = Caches::new(self.path.join("cache"), CacheKey::derive(&seed));
        Ok(Member {
            centre,
            roster,
            caches,
            seed,
            _lock: lock,
        })
    }

    fn lock(&self) -> Result<File, MemberError> {
        let path = self.path.join("lock");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).map_err(|source| self.io(source))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(fs::TryLockError::WouldBlock) => Err(MemberError::Locked(self.path.clone())),
            Err(fs::TryLockError::Error(source)) => Err(self.io(source)),
        }
    }

    fn make(&self, folder: &Path) -> Result<(), MemberError> {
        let mut builder = fs::DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(folder);
        made.map_err(|source| self.io(source))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), MemberError> {
        let steps = Steps::default();
        let written = write_new(path, &[bytes], &steps);
        let written = written.and_then(|()| {
            path.parent()
                .map_or(Ok(()), |folder| sync_dir(folder, &steps))
        });
        written.map_err(|source| MemberError::Io {
            path: path.to_owned(),
            source,
        })
    }

    fn io(&self, source: io::Error) -> MemberError {
        MemberError::Io {
            path: self.path.clone(),
            source,
        }
    }
}

impl Member {
    /// Connects to the centre. Call on a tokio runtime.
    ///
    /// # Errors
    /// [`MemberError::Unreachable`] or [`MemberError::Net`].
    pub async fn connect(&self) -> Result<PeerOpener, MemberError> {
        let unreachable = || MemberError::Unreachable {
            centre: self.centre.clone(),
        };
        let directory = Directory::default();
        directory.set(self.roster.roster(), clock::now());
        let peer = directory.peer(&self.centre).ok_or_else(unreachable)?;
        let mut peers = directory.peers_with(&self.centre);
        // It may do nothing here but answer.
        peers
            .iter_mut()
            .for_each(|peer| peer.kind = PeerKind::Member);
        let config = NetConfig {
            seed: self.seed.clone(),
            listen: Vec::new(),
            peers,
        };
        let (net, mut heard) = net::start(config, Arc::new(Nothing), None)?;
        let up = async {
            while let Some(event) = heard.recv().await {
                if event == NetEvent::Up(peer) {
                    return true;
                }
            }
            false
        };
        if !tokio::time::timeout(CONNECT, up).await.unwrap_or(false) {
            net.shutdown().await;
            return Err(unreachable());
        }
        // The network ends with its events, so somebody must hear them.
        tokio::spawn(async move { while heard.recv().await.is_some() {} });
        Ok(PeerOpener { net, peer })
    }
}

/// A member serves nothing.
struct Nothing;

impl BulkSource for Nothing {
    fn open(&self, _: PeerId, _: &[u8]) -> Result<Box<dyn BulkRead>, u8> {
        Err(net::REFUSED_UNSPECIFIED)
    }
}

/// The newest of these rosters, by way of every one before it.
fn opened(rosters: &[Vec<u8>], pin: &NetworkId) -> Result<SignedRoster, MemberError> {
    let mut newest: Option<SignedRoster> = None;
    for (number, bytes) in (1..).zip(rosters) {
        let next = match &newest {
            None => SignedRoster::open_first(bytes, pin),
            Some(before) => before.succeed(bytes),
        };
        newest = Some(next.map_err(|source| MemberError::Roster { number, source })?);
    }
    newest.ok_or(MemberError::NoRoster)
}

fn no_other(roster: &SignedRoster, centre: &CentreId) -> Result<(), MemberError> {
    let roster = roster.roster();
    match roster.centre(centre) {
        Some(_) => Ok(()),
        None => Err(MemberError::NoCentre {
            centre: centre.clone(),
            version: roster.version,
        }),
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    use io::Read as _;
    let mut bytes = Vec::new();
    File::open(path)?
        .take(ROSTER_BYTES)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
