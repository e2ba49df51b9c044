//! Which logs a witness cosigns, and which keys speak for them.
//!
//! Why: a witness answers for what it cosigns, so it knows its logs by name: those of its roster, and stock logs that its
//! operator names. In scope: the look-up. Out of scope: who may cosign (`hashpact_protocol::log::Cosigners`).

use hashpact_keys::{KeyUse, Origin, Roster, Timestamp};
use hashpact_protocol::log::{SignatureKind, VerifierKey, WitnessedLog, log_key};

/// The logs that a witness cosigns.
#[derive(Clone, Debug)]
pub struct Logs {
    roster: Option<Roster>,
    /// Whether the roster's logs are cosigned here.
    with_roster: bool,
    /// Keys of stock logs; the name of each is the log's origin line.
    stock: Vec<VerifierKey>,
}

/// Why logs cannot be witnessed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogsError {
    /// A cosigner's key was given for a log.
    #[error("{name}: this is the key of a witness, not of a log")]
    NotALog {
        /// The name of the key.
        name: String,
    },
    /// The log is one of the roster's: the roster alone says which keys it has.
    #[error("{name}: the roster lists this log and its keys")]
    OfRoster {
        /// The name of the key.
        name: String,
    },
    /// There is no log at all.
    #[error("there is no log to witness: apply a roster, or name a log")]
    None,
}

impl Logs {
    /// The logs of a roster's centres, if there is a roster, and stock logs.
    ///
    /// # Errors
    /// [`LogsError`].
    pub fn of_witness(roster: Option<Roster>, stock: Vec<VerifierKey>) -> Result<Self, LogsError> {
        let logs = Self {
            roster,
            with_roster: true,
            stock,
        };
        logs.check()?;
        Ok(logs)
    }

    /// Stock logs only. The logs of the roster are cosigned by the core, which keeps its own state: two states under one key
    /// could cosign two histories.
    ///
    /// # Errors
    /// [`LogsError`].
    pub fn of_node(roster: Roster, stock: Vec<VerifierKey>) -> Result<Self, LogsError> {
        let logs = Self {
            roster: Some(roster),
            with_roster: false,
            stock,
        };
        logs.check()?;
        Ok(logs)
    }

    fn check(&self) -> Result<(), LogsError> {
        for key in &self.stock {
            let name = || key.name().to_owned();
            if key.kind() != SignatureKind::Log {
                return Err(LogsError::NotALog { name: name() });
            }
            if self.roster.as_ref().is_some_and(|r| lists(r, key.name())) {
                return Err(LogsError::OfRoster { name: name() });
            }
        }
        let has_roster = self.with_roster && self.roster.is_some();
        match has_roster || !self.stock.is_empty() {
            true => Ok(()),
            false => Err(LogsError::None),
        }
    }

    /// The roster, if there is one.
    #[must_use]
    pub fn roster(&self) -> Option<&Roster> {
        self.roster.as_ref()
    }

    /// The log with this origin line and the keys that speak for it at this time.
    ///
    /// A log key counts from its first second on, also after its end, since the head of an idle log outlives it; not once it
    /// is revoked for the log, at whatever size: what was cosigned before stays, and nothing is added.
    #[must_use]
    pub fn find(&self, origin: &str, now: Timestamp) -> Option<WitnessedLog> {
        if let Some(roster) = self.roster.as_ref().filter(|r| lists(r, origin)) {
            return self.with_roster.then(|| of_roster(roster, origin, now))?;
        }
        let keys = self.stock.iter().filter(|key| key.name() == origin);
        let keys: Vec<VerifierKey> = keys.cloned().collect();
        (!keys.is_empty()).then(|| WitnessedLog {
            origin: origin.to_owned(),
            keys,
        })
    }

    /// The origin lines, each once: the roster's first.
    #[must_use]
    pub fn origins(&self) -> Vec<String> {
        let centres = self.roster.iter().filter(|_| self.with_roster);
        let centres = centres.flat_map(|roster| &roster.centres);
        let mut origins: Vec<String> = centres.map(|centre| centre.origin.to_string()).collect();
        for key in &self.stock {
            if !origins.iter().any(|origin| origin == key.name()) {
                origins.push(key.name().to_owned());
            }
        }
        origins
    }
}

fn lists(roster: &Roster, origin: &str) -> bool {
    let mut centres = roster.centres.iter();
    centres.any(|centre| centre.origin.as_str() == origin)
}

fn of_roster(roster: &Roster, origin: &str, now: Timestamp) -> Option<WitnessedLog> {
    let line: Origin = origin.parse().ok()?;
    let centre = roster.by_origin(&line)?;
    let counts = centre.keys_of(KeyUse::Log).filter(|entry| {
        entry.from <= now && roster.revoked_from(&entry.key.key_id(), &line).is_none()
    });
    Some(WitnessedLog {
        origin: origin.to_owned(),
        keys: counts.map(|entry| log_key(&line, entry.key)).collect(),
    })
}
