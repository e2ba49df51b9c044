//! A log's signed head. Spec: C2SP tlog-checkpoint: origin line, size, base64 root, no extension lines.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hashpact_keys::roster::CentreEntry;
use hashpact_keys::{KeyId, KeyUse, Origin, Signer, Timestamp};

use super::{Cosigner, NoteError, SignedNote, VerifierKey};
use crate::b3::Hash;
use crate::limits;

/// Size and root of one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log.
    pub origin: Origin,
    /// Leaves, at most 2^48.
    pub size: u64,
    /// RFC 6962 root over them.
    pub root: Hash,
}

/// A checkpoint that its log's key signed, with the whole note as it was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: Vec<u8>,
}

/// Why a checkpoint is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The note around it.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Not the three lines of a checkpoint.
    #[error("checkpoint: not the expected shape")]
    Shape,
    /// Of another log than the caller asked for.
    #[error("checkpoint: of {got}, expected {expected}")]
    Origin {
        /// The log asked for.
        expected: Origin,
        /// The log that it is of.
        got: Origin,
    },
    /// No log key of the centre signed it.
    #[error("checkpoint: no log key of {origin} that has begun by this time signed it")]
    NoKey {
        /// The log.
        origin: Origin,
    },
}

impl Checkpoint {
    /// The note's text.
    #[must_use]
    pub fn text(&self) -> String {
        format!(
            "{}\n{}\n{}\n",
            self.origin,
            self.size,
            BASE64.encode(self.root)
        )
    }

    /// Signs it with the log's key; the key's name is the origin line.
    #[must_use]
    pub fn sign(self, signer: &Signer) -> SignedCheckpoint {
        let note = SignedNote::sign(&self.text(), self.origin.as_str(), signer).to_bytes();
        SignedCheckpoint {
            checkpoint: self,
            note,
        }
    }

    /// Reads the text of a note. One text for one checkpoint: leading zeros and extension lines are refused.
    ///
    /// # Errors
    /// [`CheckpointError::Shape`].
    pub fn from_text(text: &str) -> Result<Self, CheckpointError> {
        let shape = || CheckpointError::Shape;
        let mut lines = text.split('\n');
        let mut line = || lines.next().ok_or_else(shape);
        let origin: Origin = line()?.parse().map_err(|_| shape())?;
        let size = line()?.parse().map_err(|_| shape())?;
        let root = BASE64.decode(line()?).map_err(|_| shape())?;
        let root = root.try_into().map_err(|_| shape())?;
        let checkpoint = Self { origin, size, root };
        if checkpoint.text() != text || size > limits::LOG_LEAVES {
            return Err(shape());
        }
        Ok(checkpoint)
    }
}

impl SignedCheckpoint {
    /// The log that a note claims to be of; nothing is checked.
    ///
    /// # Errors
    /// [`CheckpointError`] if it is no checkpoint.
    pub fn claimed_origin(note: &[u8]) -> Result<Origin, CheckpointError> {
        Ok(Checkpoint::from_text(SignedNote::parse(note)?.text())?.origin)
    }

    /// Verifies that a log key of `centre` signed the note, and says which. The note is kept whole.
    ///
    /// A key counts from the time at which it begins. One that has ended still counts: the head of an idle log outlives
    /// it. A revocation, which names a log size, is the caller's to ask for.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn open(
        note: &[u8],
        centre: &CentreEntry,
        now: Timestamp,
    ) -> Result<(Self, KeyId), CheckpointError> {
        let parsed = SignedNote::parse(note)?;
        let checkpoint = Checkpoint::from_text(parsed.text())?;
        if checkpoint.origin != centre.origin {
            let (expected, got) = (centre.origin.clone(), checkpoint.origin);
            return Err(CheckpointError::Origin { expected, got });
        }
        let origin = &centre.origin;
        for entry in centre
            .keys_of(KeyUse::Log)
            .filter(|entry| entry.from <= now)
        {
            match parsed.verify(origin.as_str(), &entry.key) {
                Ok(()) => {
                    let head = Self {
                        checkpoint,
                        note: note.to_vec(),
                    };
                    return Ok((head, entry.key.key_id()));
                }
                Err(NoteError::Unsigned) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(CheckpointError::NoKey {
            origin: origin.clone(),
        })
    }

    /// What was signed.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The whole note, as received.
    #[must_use]
    pub fn note(&self) -> &[u8] {
        &self.note
    }

    /// The note, read.
    ///
    /// # Errors
    /// [`NoteError`]: never for a checkpoint that was opened, signed or read here.
    pub fn signed_note(&self) -> Result<SignedNote, NoteError> {
        SignedNote::parse(&self.note)
    }

    /// The same checkpoint with other lines under it. A note of another text changes nothing.
    #[must_use]
    pub fn with_lines(mut self, note: &SignedNote) -> Self {
        if note.text() == self.checkpoint.text() {
            self.note = note.to_bytes();
        }
        self
    }

    /// The same checkpoint with one line of the log's key, and of each cosigner the one that counts and is dated by `latest`.
    /// The first cosigners come first where there is no room for all.
    #[must_use]
    pub fn cleaned<'a>(
        self,
        log: &VerifierKey,
        cosigners: impl IntoIterator<Item = &'a Cosigner>,
        latest: Timestamp,
    ) -> Self {
        let Ok(shown) = self.signed_note() else {
            return self;
        };
        let mut note = shown.clone().only([log]);
        for cosigner in cosigners {
            cosigner.take_over(&mut note, &shown, self.checkpoint.size, latest);
        }
        self.with_lines(&note)
    }

    /// Takes over newer lines of these cosigners, dated by `latest`, from another note of the same checkpoint; says whether
    /// there were any.
    pub fn take_over<'a>(
        &mut self,
        other: &Self,
        cosigners: impl IntoIterator<Item = &'a Cosigner>,
        latest: Timestamp,
    ) -> bool {
        if self.checkpoint != other.checkpoint || self.note == other.note {
            return false;
        }
        let (Ok(mut note), Ok(shown)) = (self.signed_note(), other.signed_note()) else {
            return false;
        };
        let mut changed = false;
        for cosigner in cosigners {
            changed |= cosigner.take_over(&mut note, &shown, self.checkpoint.size, latest);
        }
        if changed {
            self.note = note.to_bytes();
        }
        changed
    }

    /// Takes a note that this node has checked before and stored.
    ///
    /// # Errors
    /// [`CheckpointError`] if the stored bytes are no checkpoint any more.
    pub fn from_store(note: &[u8]) -> Result<Self, CheckpointError> {
        let checkpoint = Checkpoint::from_text(SignedNote::parse(note)?.text())?;
        Ok(Self {
            checkpoint,
            note: note.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            origin: "eu.example/eu/1".parse().unwrap(),
            size: 12,
            root: [7; 32],
        }
    }

    #[test]
    fn text_has_one_form() {
        let text = checkpoint().text();
        assert_eq!(Checkpoint::from_text(&text), Ok(checkpoint()));
        for bad in [
            text.replace("12", "012"),
            text.replace("12", "+12"),
            format!("{text}extension\n"),
            text.trim_end().to_owned(),
            text.replace("eu.example/eu/1", "eu.example/eu"),
            text.replace("12", "281474976710657"),
        ] {
            assert_eq!(
                Checkpoint::from_text(&bad),
                Err(CheckpointError::Shape),
                "{bad:?}"
            );
        }
    }
}
