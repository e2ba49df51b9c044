//! What `state.json` says, and what follows from it for whoever matches.

use std::fs::File;
use std::io;
use std::path::Path;

use hashpact_keys::Timestamp;
use serde::{Deserialize, Serialize};

use super::FolderError;

/// Version of the folder.
pub(super) const VERSION: u32 = 1;
/// Bytes of `state.json` at most.
const STATE_BYTES_MAX: u64 = 64 << 10;
/// Without a word of the serving centre a list may be matched with for a week: longer is no grant but a memory of one.
pub(in crate::sync) const GOOD_FOR_S: u64 = 7 * 86_400;

/// Whether the list may be matched with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Nothing was synchronised so far.
    #[default]
    Empty,
    /// It may.
    InForce,
    /// The serving centre gives this member nothing any more.
    Lapsed,
    /// The serving centre was not heard for a week.
    Unheard,
}

/// What `state.json` says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::sync) struct State {
    pub(in crate::sync) version: u32,
    pub(in crate::sync) network: String,
    pub(in crate::sync) centre: String,
    /// The member, as the first manifest named it.
    pub(in crate::sync) member: Option<String>,
    /// The server's address.
    pub(in crate::sync) from: Option<String>,
    pub(in crate::sync) standing: Standing,
    /// The copy that is in force.
    pub(in crate::sync) current: Option<u64>,
    /// The copy that is being made.
    pub(in crate::sync) building: Option<u64>,
    /// Of which copy and generation the index is.
    pub(in crate::sync) index: Option<(u64, u64)>,
    /// The newest manifest: ledger, position, seconds.
    pub(in crate::sync) seen: Option<(String, u64, u64)>,
    /// When a manifest was last verified: Unix seconds.
    pub(in crate::sync) heard_at: Option<u64>,
    /// When the copy last was all that the manifest says: Unix seconds.
    pub(in crate::sync) synced_at: Option<u64>,
    /// Live entries then.
    pub(in crate::sync) entries: u64,
}

/// What a person is told of a list that is not matched with.
pub(in crate::sync) fn standing_words(standing: Standing) -> &'static str {
    match standing {
        Standing::Empty => "nothing is synchronised yet",
        Standing::InForce => "the list is in force",
        Standing::Lapsed => {
            "the grant has lapsed: the index was removed, and nothing is matched or exported; ask the centre, then sync again"
        }
        Standing::Unheard => {
            "the serving centre was not heard for a week: the index was removed, and nothing is matched or exported until a sync succeeds"
        }
    }
}

/// Whether the list in a folder may be matched with, and handed on, at this time. Takes no lock: whoever matches asks before it
/// opens the index.
///
/// # Errors
/// [`FolderError::Missing`], [`FolderError::State`] or [`FolderError::Io`]; [`FolderError::NotInForce`] if it may not.
pub fn usable(folder: &Path, now: Timestamp) -> Result<(), FolderError> {
    let state = read_state(folder, &folder.join("state.json"))?;
    let state = state.ok_or_else(|| FolderError::Missing(folder.to_owned()))?;
    let silent_for = now.get().saturating_sub(state.heard_at.unwrap_or_default());
    match state.standing {
        Standing::InForce if silent_for <= GOOD_FOR_S => Ok(()),
        // Nobody synchronised, so nobody took the index away.
        Standing::InForce => Err(FolderError::NotInForce(Standing::Unheard)),
        other @ (Standing::Empty | Standing::Lapsed | Standing::Unheard) => {
            Err(FolderError::NotInForce(other))
        }
    }
}

/// The address that a folder was synchronised from; nothing if there is none.
#[must_use]
pub fn address_of(folder: &Path) -> Option<String> {
    let state = read_state(folder, &folder.join("state.json")).ok()??;
    state.from
}

pub(super) fn read_state(folder: &Path, file: &Path) -> Result<Option<State>, FolderError> {
    use io::Read as _;
    let damaged = || FolderError::State(folder.to_owned());
    let mut text = Vec::new();
    let read = match File::open(file) {
        Ok(file) => file.take(STATE_BYTES_MAX).read_to_end(&mut text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => Err(error),
    };
    read.map_err(|source| FolderError::Io {
        path: file.to_owned(),
        source,
    })?;
    let state: State = serde_json::from_slice(&text).map_err(|_| damaged())?;
    match state.version == VERSION {
        true => Ok(Some(state)),
        false => Err(damaged()),
    }
}
