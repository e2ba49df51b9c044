//! The folder of `hashpact witness`: an auditor's, or any other witness's.
//!
//! ```text
//! <home>/
//!   witness.toml       the witness's name, and the stock logs that it cosigns
//!   enrolment.txt      what `init` printed, to be sent to the roster's makers
//!   keys.sealed        both keys in one file under a passphrase, mode 0600; or else, for demonstrations:
//!   keys/<use>.key     the keys, mode 0600: `witness` cosigns, `node` stands in the auditor's TLS certificate
//!   rosters/<version>  the roster's chain from the first version on
//!   state/             what was cosigned last (`state`)
//! ```
//!
//! In scope: files. Out of scope: what is asked and answered (`service`), key formats (`hashpact_keys::{store, sealed}`).

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use hashpact_keys::chain::RosterError;
use hashpact_keys::enrolment::{WitnessEnrolment, WitnessEnrolmentError};
use hashpact_keys::id::WitnessNameError;
use hashpact_keys::sealed::{
    Cost, FRESH_LEN, KeySet, KeySetError, Passphrase, ReadSealedError, Replace, SealError,
    SealedKeys, UnsealError,
};
use hashpact_keys::store::{KeyDir, KeyFile, KeyFileError};
use hashpact_keys::{KeyUse, NetworkId, RosterVersion, SignedRoster, Signer, WitnessName};
use hashpact_protocol::log::{SignatureKind, VerifierKey, VerifierKeyError};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::state::{StateError, WitnessState};
use crate::armor::Kind;
use crate::home::{PassphraseError, PassphraseSource};
use crate::store::durable::{self, Steps};

/// The uses of the keys that a witness holds.
pub const WITNESS_KEYS: [KeyUse; 2] = [KeyUse::Witness, KeyUse::Node];

/// A witness's home folder.
#[derive(Clone, Debug)]
pub struct WitnessHome {
    path: PathBuf,
}

/// `witness.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    witnessed_log: Vec<LogSection>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct LogSection {
    vkey: String,
}

/// What `witness.toml` says, well-formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessConfig {
    /// The name under which it cosigns.
    pub name: WitnessName,
    /// Keys of stock logs.
    pub logs: Vec<VerifierKey>,
}

/// The keys of a witness. Wiped when dropped.
pub struct WitnessKeys {
    /// Cosigns.
    pub witness: Signer,
    /// The seed of the node key, for a TLS certificate.
    pub node_seed: Zeroizing<[u8; 32]>,
    /// Whether they rest in a sealed file.
    pub sealed: bool,
}

/// Why no home is made.
#[derive(Debug, thiserror::Error)]
pub enum MakeHomeError {
    /// There is one.
    #[error("{path} holds a home already", path = path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// A key file.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The keys cannot be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The state.
    #[error(transparent)]
    State(#[from] StateError),
    /// The enrolment.
    #[error(transparent)]
    Enrolment(#[from] WitnessEnrolmentError),
    /// The configuration cannot be written as TOML.
    #[error(transparent)]
    Toml(#[from] toml::ser::Error),
    /// The machine.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The fault.
        source: io::Error,
    },
}

/// Why a home cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenHomeError {
    /// There is none.
    #[error("{path} holds no witness: run `hashpact witness init` first, or give another --home", path = path.display())]
    Missing {
        /// The folder.
        path: PathBuf,
    },
    /// The configuration is no such TOML; the fault names the line.
    #[error("{path}: {source}", path = path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// The fault.
        source: toml::de::Error,
    },
    /// The name in the configuration.
    #[error("{path}: name: {source}", path = path.display())]
    Name {
        /// The file.
        path: PathBuf,
        /// The fault.
        source: WitnessNameError,
    },
    /// A log in the configuration.
    #[error("{path}: witnessed_log: {source}", path = path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// The fault.
        source: VerifierKeyError,
    },
    /// A plain key file.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// Sealed keys, before they are opened.
    #[error(transparent)]
    ReadSealed(#[from] ReadSealedError),
    /// Sealed keys that do not open.
    #[error(transparent)]
    Unseal(#[from] UnsealError),
    /// A key is missing.
    #[error(transparent)]
    KeySet(#[from] KeySetError),
    /// The passphrase.
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
    /// A roster that does not follow.
    #[error(transparent)]
    Roster(#[from] RosterError),
    /// A first roster without its hash.
    #[error(
        "this witness has no roster yet: compare the network's hash (`roster show`) out of band and give it as --pin"
    )]
    NoPin,
    /// No roster was given.
    #[error("no roster given")]
    NoRoster,
    /// The machine.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The fault.
        source: io::Error,
    },
}

impl WitnessHome {
    /// A home at this path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The enrolment file.
    #[must_use]
    pub fn enrolment(&self) -> PathBuf {
        self.path.join("enrolment.txt")
    }

    /// The folder of what was cosigned last.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.path.join("state")
    }

    fn config_file(&self) -> PathBuf {
        self.path.join("witness.toml")
    }

    fn sealed_keys(&self) -> PathBuf {
        self.path.join("keys.sealed")
    }

    fn plain_keys(&self) -> KeyDir {
        KeyDir::new(self.path.join("keys"))
    }

    fn rosters(&self) -> PathBuf {
        self.path.join("rosters")
    }

    /// Makes the folder with fresh keys, sealed if there is a passphrase, with an empty state and the enrolment. `seed` fills
    /// 32 random bytes. Returns the verifier key and the enrolment's text.
    ///
    /// # Errors
    /// [`MakeHomeError`]. A home that was made by half is refused from then on, and holds no key that anybody knows.
    pub fn make(
        &self,
        config: &WitnessConfig,
        mut seed: impl FnMut() -> io::Result<Zeroizing<[u8; 32]>>,
        passphrase: Option<&Passphrase>,
    ) -> Result<(VerifierKey, String), MakeHomeError> {
        let io = |source| MakeHomeError::Io {
            path: self.path.clone(),
            source,
        };
        self.check_free()?;
        fs::create_dir_all(&self.path).map_err(io)?;
        fs::set_permissions(&self.path, fs::Permissions::from_mode(0o700)).map_err(io)?;
        let witness = seed().map_err(io)?;
        let node = seed().map_err(io)?;
        match passphrase {
            Some(passphrase) => {
                // A witness stores nothing that is sealed under the storage key, which every set of keys begins with.
                let mut keys = KeySet::new(&*seed().map_err(io)?);
                keys.insert(KeyUse::Witness, &witness);
                keys.insert(KeyUse::Node, &node);
                let mut fresh = [0; FRESH_LEN];
                getrandom::fill(&mut fresh).map_err(|error| io(error.into()))?;
                let (path, never) = (self.sealed_keys(), Replace::Never);
                SealedKeys::seal(&path, &keys, passphrase, Cost::STANDARD, &fresh, never)?;
            }
            None => {
                let keys = self.plain_keys();
                keys.make()?;
                keys.create(KeyUse::Witness, &witness)?;
                keys.create(KeyUse::Node, &node)?;
            }
        }
        let (witness, node) = (Signer::from_seed(&witness), Signer::from_seed(&node));
        let keys = [(KeyUse::Witness, &witness), (KeyUse::Node, &node)];
        let enrolment = WitnessEnrolment::sign(config.name.clone(), &keys)?;
        let enrolment = Kind::WitnessEnrolment.wrap(&enrolment);
        let key = verifier_key(&config.name, &witness);
        WitnessState::make(&self.state(), &key, &Steps::default())?;
        let file = File {
            name: config.name.to_string(),
            witnessed_log: sections(&config.logs),
        };
        let text = toml::to_string(&file)?;
        fs::write(self.enrolment(), &enrolment).map_err(io)?;
        // Last: with it there is a home.
        durable::write_new(&self.config_file(), &[text.as_bytes()], &Steps::default())
            .map_err(io)?;
        Ok((key, enrolment))
    }

    /// Checks that there is nothing yet where a home is to be made, before anybody types a passphrase for it.
    ///
    /// # Errors
    /// [`MakeHomeError::Exists`].
    pub fn check_free(&self) -> Result<(), MakeHomeError> {
        let path = &self.path;
        let is_free = match fs::read_dir(path) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) => error.kind() == ErrorKind::NotFound,
        };
        match is_free {
            true => Ok(()),
            false => Err(MakeHomeError::Exists { path: path.clone() }),
        }
    }

    /// Reads the configuration.
    ///
    /// # Errors
    /// [`OpenHomeError`].
    pub fn config(&self) -> Result<WitnessConfig, OpenHomeError> {
        let path = self.config_file();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let path = self.path.clone();
                return Err(OpenHomeError::Missing { path });
            }
            Err(source) => return Err(OpenHomeError::Io { path, source }),
        };
        let file: File = match toml::from_str(&text) {
            Ok(file) => file,
            Err(source) => return Err(OpenHomeError::Toml { path, source }),
        };
        let fault = |source| OpenHomeError::Log {
            path: self.config_file(),
            source,
        };
        let logs = file.witnessed_log.iter();
        let logs = logs.map(|log| log.vkey.parse::<VerifierKey>().map_err(fault));
        let logs = logs.collect::<Result<_, _>>()?;
        let name = file.name.parse();
        let name = name.map_err(|source| OpenHomeError::Name { path, source })?;
        Ok(WitnessConfig { name, logs })
    }

    /// Loads the keys. A passphrase is read only if they are sealed.
    ///
    /// # Errors
    /// [`OpenHomeError`].
    pub fn keys(&self, source: &PassphraseSource) -> Result<WitnessKeys, OpenHomeError> {
        if fs::symlink_metadata(self.sealed_keys()).is_err() {
            let plain = self.plain_keys();
            return Ok(WitnessKeys {
                witness: plain.load(KeyUse::Witness)?,
                node_seed: KeyFile::load_node_seed(&plain.path_of(KeyUse::Node))?,
                sealed: false,
            });
        }
        let sealed = SealedKeys::read(&self.sealed_keys())?;
        let keys = sealed.open(&source.read(&self.path)?, &WITNESS_KEYS)?;
        let missing = |use_| KeySetError::Missing { use_ };
        let witness = keys.signer(KeyUse::Witness);
        let node_seed = keys.node_seed();
        Ok(WitnessKeys {
            witness: witness.ok_or(missing(KeyUse::Witness))?,
            node_seed: Zeroizing::new(*node_seed.ok_or(missing(KeyUse::Node))?),
            sealed: true,
        })
    }

    /// The verifier key as the state names it, without opening the keys.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn public_key(&self) -> Result<VerifierKey, StateError> {
        WitnessState::key_of(&self.state())
    }

    /// The roster in force, if one was applied; every version from the first on is checked again.
    ///
    /// # Errors
    /// [`OpenHomeError`].
    pub fn roster(&self) -> Result<Option<SignedRoster>, OpenHomeError> {
        let mut roster: Option<SignedRoster> = None;
        loop {
            let next = roster.as_ref().map(|roster| roster.roster().version);
            let Some(version) = next.map_or(Some(RosterVersion::FIRST), RosterVersion::next) else {
                return Ok(roster);
            };
            let path = self.rosters().join(version.to_string());
            let bytes = match fs::read(&path) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(roster),
                Err(source) => return Err(OpenHomeError::Io { path, source }),
            };
            roster = Some(match roster {
                None => SignedRoster::from_store(&bytes)?,
                Some(last) => last.succeed(&bytes)?,
            });
        }
    }

    /// Puts rosters in force, each following the one before; the first of a network needs its hash.
    ///
    /// # Errors
    /// [`OpenHomeError`]; those before one that is refused are in force.
    pub fn apply(
        &self,
        chain: &[Vec<u8>],
        pin: Option<&NetworkId>,
    ) -> Result<SignedRoster, OpenHomeError> {
        let mut in_force = self.roster()?;
        let io = |source| OpenHomeError::Io {
            path: self.rosters(),
            source,
        };
        durable::create_dirs(&self.rosters(), &Steps::default()).map_err(io)?;
        for bytes in chain {
            let next = match &in_force {
                Some(last) => last.succeed(bytes)?,
                None => SignedRoster::open_first(bytes, pin.ok_or(OpenHomeError::NoPin)?)?,
            };
            let file = self.rosters().join(next.roster().version.to_string());
            durable::write_new(&file, &[bytes], &Steps::default()).map_err(io)?;
            in_force = Some(next);
        }
        in_force
            .filter(|_| !chain.is_empty())
            .ok_or(OpenHomeError::NoRoster)
    }
}

/// The name and key under which a witness cosigns.
pub(super) fn verifier_key(name: &WitnessName, signer: &Signer) -> VerifierKey {
    VerifierKey::new(name.as_str(), SignatureKind::Cosigner, signer.public())
}

fn sections(logs: &[VerifierKey]) -> Vec<LogSection> {
    let section = |key: &VerifierKey| LogSection {
        vkey: key.to_string(),
    };
    logs.iter().map(section).collect()
}
