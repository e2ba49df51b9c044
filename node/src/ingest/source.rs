//! What this node remembers of a source between two files of it.
//!
//! What: how far the source said it had come, which editions were taken, and the version of the crosswalk. Why so little:
//! which entries came from it is asked of the log. Losing this file loses the order of editions and nothing else. It holds
//! no fingerprint. In scope: one small file a source. Out of scope: rows.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::store::durable::{Steps, create_dirs, write_new};

/// Editions that are remembered.
const EDITIONS_MAX: usize = 256;
/// Most bytes of a name of an edition.
const EDITION_LEN_MAX: usize = 64;

/// What is remembered of one source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceState {
    /// Its name, as its profile has it.
    pub name: String,
    /// How far it said it had come; never goes back.
    pub cursor: Option<i64>,
    /// Editions that were taken, the newest last.
    pub editions: Vec<String>,
    /// The newest version of its crosswalk that was used.
    pub crosswalk: Option<u32>,
}

/// Why a file may not be taken after what was taken before it.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The source said before that it had come further.
    #[error(
        "out_of_order: the source had come to {held}, and this file goes to {got}: it is older than what was taken"
    )]
    Cursor {
        /// As far as it had come.
        held: i64,
        /// As far as this file goes.
        got: i64,
    },
    /// An edition that was taken before the newest one.
    #[error(
        "out_of_order: this edition was taken before {newest}: taking it again would bring back what went since"
    )]
    Edition {
        /// The newest.
        newest: String,
    },
    /// A name that cannot be one.
    #[error("an edition is named with 1 to 64 visible characters")]
    EditionName,
    /// The file of it.
    #[error("what is remembered of the source: {0}")]
    Disk(#[from] io::Error),
}

impl SourceState {
    /// Where it is kept. The name of a source may be anything, so the file is named by a hash of it.
    #[must_use]
    pub fn path(folder: &Path, name: &str) -> PathBuf {
        let hash = blake3::hash(name.as_bytes()).to_hex();
        folder.join(format!("{}.json", &hash[..32]))
    }

    /// Reads it; a source that was never seen has nothing.
    ///
    /// # Errors
    /// [`SourceError::Disk`].
    pub fn read(folder: &Path, name: &str) -> Result<Self, SourceError> {
        let bytes = match fs::read(Self::path(folder, name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let name = name.to_owned();
                return Ok(Self {
                    name,
                    ..Self::default()
                });
            }
            read => read?,
        };
        Ok(serde_json::from_slice(&bytes).map_err(io::Error::from)?)
    }

    /// Checks that a file may come next, and notes it.
    ///
    /// # Errors
    /// [`SourceError::Cursor`], [`SourceError::Edition`], [`SourceError::EditionName`].
    pub fn advance(
        &mut self,
        cursor: Option<i64>,
        edition: Option<&str>,
    ) -> Result<(), SourceError> {
        if let (Some(held), Some(got)) = (self.cursor, cursor)
            && got < held
        {
            return Err(SourceError::Cursor { held, got });
        }
        self.cursor = cursor.or(self.cursor);
        let Some(edition) = edition else {
            return Ok(());
        };
        let plain = !edition.trim().is_empty() && !edition.chars().any(char::is_control);
        if !plain || edition.len() > EDITION_LEN_MAX {
            return Err(SourceError::EditionName);
        }
        match self.editions.last() {
            Some(newest) if newest == edition => {}
            Some(newest) if self.editions.iter().any(|known| known == edition) => {
                let newest = newest.clone();
                return Err(SourceError::Edition { newest });
            }
            Some(_) | None => self.editions.push(edition.to_owned()),
        }
        let surplus = self.editions.len().saturating_sub(EDITIONS_MAX);
        self.editions.drain(..surplus);
        Ok(())
    }

    /// Writes it, durably.
    ///
    /// # Errors
    /// [`SourceError::Disk`].
    pub fn write(&self, folder: &Path) -> Result<(), SourceError> {
        let steps = Steps::default();
        create_dirs(folder, &steps)?;
        let bytes = serde_json::to_vec(self).map_err(io::Error::from)?;
        Ok(write_new(
            &Self::path(folder, &self.name),
            &[&bytes],
            &steps,
        )?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_never_goes_back_and_an_old_edition_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut state = SourceState::read(folder.path(), "a/../b").unwrap();
        state.advance(Some(10), Some("2026-01")).unwrap();
        state.advance(Some(10), Some("2026-01")).unwrap();
        state.advance(None, Some("2026-02")).unwrap();
        state.write(folder.path()).unwrap();
        let mut state = SourceState::read(folder.path(), "a/../b").unwrap();
        assert_eq!(state.editions, ["2026-01", "2026-02"]);
        let back = state.advance(Some(9), None).unwrap_err();
        assert!(matches!(back, SourceError::Cursor { held: 10, got: 9 }));
        let old = state.advance(None, Some("2026-01")).unwrap_err();
        assert!(matches!(old, SourceError::Edition { newest } if newest == "2026-02"));
        for name in ["", " ", "a\nb"] {
            assert!(state.advance(None, Some(name)).is_err());
        }
        assert_eq!(
            SourceState::read(folder.path(), "other").unwrap().cursor,
            None
        );
    }
}
