//! The checkpoints that a serving centre shows beside its manifest: signed by their origins, and by how many witnesses.
//!
//! Why: the manifest says of which state of each log the subset is. A member holds no log, so it sees no fork by itself; but a
//! root that an origin signed and the witnesses saw is one that auditors have too, and two roots of one size are a proof.
//! In scope: notes. Out of scope: whether logs grow from state to state, which takes the logs.

use hashpact_keys::{Origin, Roster, Timestamp};
use hashpact_protocol::log::{CheckpointError, Cosigners, NoteError, SignedCheckpoint};
use hashpact_protocol::subset::Manifest;

use super::report::LogSeen;

/// Why a checkpoint is not taken.
#[derive(Debug, thiserror::Error)]
pub enum LogFault {
    /// No centre of the roster writes that log.
    #[error("no centre of the roster writes the log {origin}")]
    Origin {
        /// The log.
        origin: Origin,
    },
    /// The note, or who signed it.
    #[error("the checkpoint of {origin}: {source}")]
    Checkpoint {
        /// The log.
        origin: Origin,
        /// What is wrong.
        source: Box<CheckpointError>,
    },
    /// The lines of the note.
    #[error("the checkpoint of {origin}: {source}")]
    Note {
        /// The log.
        origin: Origin,
        /// What is wrong.
        source: Box<NoteError>,
    },
    /// Another root under the same size: the origin or the serving centre lies.
    #[error(
        "the checkpoint of {origin} and the manifest name two roots over {size} leaves: keep both, one of them is false"
    )]
    Root {
        /// The log.
        origin: Origin,
        /// Leaves.
        size: u64,
    },
}

/// Checks the notes that came with a manifest. A log without one, or with one of another size, is not shown to be witnessed.
pub(super) fn check(
    manifest: &Manifest,
    notes: &[(String, String)],
    roster: &Roster,
    now: Timestamp,
) -> Result<Vec<LogSeen>, LogFault> {
    let rows = manifest.logs.iter();
    rows.map(|row| {
        let origin = &row.origin;
        let note = notes.iter().find(|(line, _)| line == origin.as_str());
        let witnessed_at = match note {
            Some((_, note)) => witnessed(origin, (row.size, &row.root), note, roster, now)?,
            None => None,
        };
        Ok(LogSeen {
            origin: origin.to_string(),
            size: row.size,
            witnessed_at: witnessed_at.map(Timestamp::get),
        })
    })
    .collect()
}

/// When a quorum of witnesses had seen this size; nothing if the note does not show it.
fn witnessed(
    origin: &Origin,
    (size, root): (u64, &[u8; 32]),
    note: &str,
    roster: &Roster,
    now: Timestamp,
) -> Result<Option<Timestamp>, LogFault> {
    let centre = roster.by_origin(origin).ok_or_else(|| LogFault::Origin {
        origin: origin.clone(),
    })?;
    let opened = SignedCheckpoint::open(note.as_bytes(), centre, now);
    let (opened, _) = opened.map_err(|source| LogFault::Checkpoint {
        origin: origin.clone(),
        source: Box::new(source),
    })?;
    let checkpoint = opened.checkpoint();
    if checkpoint.size != size {
        return Ok(None);
    }
    if checkpoint.root != *root {
        let origin = origin.clone();
        return Err(LogFault::Root { origin, size });
    }
    let note = opened.signed_note().map_err(|source| LogFault::Note {
        origin: origin.clone(),
        source: Box::new(source),
    })?;
    let standing = Cosigners::witnesses(roster, origin).standing(&note, size);
    Ok(standing
        .is_witnessed()
        .then(|| standing.witnessed_at())
        .flatten())
}
