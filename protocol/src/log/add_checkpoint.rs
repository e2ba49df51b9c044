//! A log asks a witness for a cosignature: the request, the witness's judgement of it, and what the log makes of the
//! answer. Spec: C2SP tlog-witness, add-checkpoint.
//!
//! ```text
//! old <size that the witness cosigned last>
//! <base64 hash of the consistency proof>, 0 to 63 lines
//! <empty line>
//! <checkpoint, a signed note>
//! ```
//!
//! Why judged in two steps: whose checkpoint it is ([`AddCheckpoint::authenticate`]) needs no state, whether it continues
//! what was cosigned last ([`Submitted::continues`]) must be asked and recorded in one piece, under the caller's lock.
//! Any C2SP log is taken: every origin line, and extension lines too, as the text is cosigned whole. In scope: bytes and
//! rules. Out of scope: HTTP, and remembering what was cosigned (`witness` in the node).

#[cfg(test)]
mod tests;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hashpact_keys::{Signer, Timestamp};
use sha2::{Digest as _, Sha256};

use super::cosignature;
use super::{NoteError, SignatureKind, SignedNote, VerifierKey};
use super::{check_consistency, empty_root};
use crate::b3::Hash;
use crate::limits;

/// Lines of a consistency proof at most (C2SP tlog-witness).
pub const PROOF_LINES: usize = 63;
/// Bytes of a request at most: a note with a full proof takes below 20 KiB, and other logs' requests may carry more.
pub const REQUEST_BYTES: usize = 64 * 1024;
/// Bytes of an answer at most: as many signature lines as a note may hold.
pub const ANSWER_BYTES: usize = limits::NOTE_BYTES;

/// What a log sends to a witness. Nothing about it is checked but its shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// Leaves of the checkpoint that the witness cosigned last, as the log believes; 0 if none.
    pub old: u64,
    /// Consistency proof from `old` to the checkpoint, at most 63 hashes.
    pub proof: Vec<Hash>,
    /// The checkpoint, a signed note.
    pub note: Vec<u8>,
}

/// What any log's checkpoint says in its first three lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogHead {
    /// The log's origin line.
    pub origin: String,
    /// Leaves, at most 2^63 - 1.
    pub size: u64,
    /// RFC 6962 root over them.
    pub root: Hash,
}

/// A log that a witness cosigns, and the keys that speak for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessedLog {
    /// Its origin line.
    pub origin: String,
    /// Its keys: one, or several around a change of keys.
    pub keys: Vec<VerifierKey>,
}

/// Why bytes are no request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddCheckpointError {
    /// Longer than [`REQUEST_BYTES`].
    #[error("add-checkpoint: {got} bytes, at most {REQUEST_BYTES}")]
    TooLarge {
        /// Its length.
        got: usize,
    },
    /// More than [`PROOF_LINES`].
    #[error("add-checkpoint: {got} proof lines, at most {PROOF_LINES}")]
    ProofLines {
        /// How many.
        got: usize,
    },
    /// Not an old size, hashes and an empty line.
    #[error("add-checkpoint: not the expected shape")]
    Shape,
    /// What follows is no note.
    #[error("add-checkpoint: {0}")]
    Note(#[from] NoteError),
    /// The note is no checkpoint.
    #[error("add-checkpoint: the note is no checkpoint")]
    Checkpoint,
}

/// Why a witness does not cosign. [`Refusal::status`] is the HTTP status that the specification gives it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No request.
    #[error(transparent)]
    Malformed(#[from] AddCheckpointError),
    /// The witness does not know the log.
    #[error("this witness does not cosign that log")]
    UnknownLog,
    /// No key of the log signed.
    #[error("no key of the log signed the checkpoint")]
    Unsigned,
    /// A line of a key of the log does not verify.
    #[error("a signature of the log does not verify")]
    Signature,
    /// The old size is above the checkpoint's.
    #[error("old size {old} is above the checkpoint's size {size}")]
    Old {
        /// The old size.
        old: u64,
        /// The checkpoint's size.
        size: u64,
    },
    /// The old size is not what the witness cosigned last.
    #[error("the size cosigned last is {last}, not {old}")]
    Conflict {
        /// The old size of the request.
        old: u64,
        /// The size cosigned last; 0 if none was.
        last: u64,
        /// Whether the checkpoint has the size cosigned last and another root: with what was cosigned a fork proof.
        forked: bool,
    },
    /// A checkpoint of no leaf with another root than that of the empty tree.
    #[error("a checkpoint of size 0 has the root of the empty tree")]
    EmptyRoot,
    /// The checkpoint has the size cosigned last and another root: with what was cosigned a fork proof.
    #[error("another root was cosigned at size {size}")]
    Forked {
        /// The size of both.
        size: u64,
    },
    /// The proof does not show that the checkpoint continues what was cosigned last.
    #[error("the proof does not show that size {to} continues size {from}")]
    Inconsistent {
        /// The size cosigned last.
        from: u64,
        /// The checkpoint's size.
        to: u64,
    },
}

/// What a refused checkpoint, which its log did sign, says about the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspicion {
    /// Nothing: anybody can send what leads to this refusal.
    None,
    /// The proof fails: a wrong proof or a forked log.
    Unproven,
    /// Two roots of one size under the log's key.
    Forked,
}

/// A checkpoint that a key of a witnessed log signed. Whether it continues the log is not checked yet.
#[derive(Clone, Debug)]
pub struct Submitted {
    old: u64,
    proof: Vec<Hash>,
    head: LogHead,
    note: SignedNote,
}

/// A checkpoint to record and then to cosign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// What it says.
    pub head: LogHead,
    /// The note with the verified lines of the log's keys and no others.
    pub note: SignedNote,
}

/// Why an answer holds no cosignature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// Longer than [`ANSWER_BYTES`].
    #[error("answer: {got} bytes, at most {ANSWER_BYTES}")]
    TooLarge {
        /// Its length.
        got: usize,
    },
    /// Not one or more signature lines.
    #[error("answer: not signature lines")]
    Shape,
}

impl LogHead {
    /// Reads a note's text. The first three lines have one form each; extension lines may follow, none empty.
    ///
    /// # Errors
    /// [`AddCheckpointError::Checkpoint`].
    pub fn from_text(text: &str) -> Result<Self, AddCheckpointError> {
        let other = || AddCheckpointError::Checkpoint;
        let lines = text.strip_suffix('\n').ok_or_else(other)?;
        if lines.split('\n').any(str::is_empty) {
            return Err(other());
        }
        let mut lines = lines.splitn(4, '\n');
        let mut line = || lines.next().ok_or_else(other);
        Ok(Self {
            origin: line()?.to_owned(),
            size: decimal(line()?).ok_or_else(other)?,
            root: hash(line()?).ok_or_else(other)?,
        })
    }
}

impl AddCheckpoint {
    /// Reads a request, strictly.
    ///
    /// # Errors
    /// [`AddCheckpointError::TooLarge`], [`AddCheckpointError::ProofLines`] or [`AddCheckpointError::Shape`]. The note is
    /// not read.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, AddCheckpointError> {
        if bytes.len() > REQUEST_BYTES {
            return Err(AddCheckpointError::TooLarge { got: bytes.len() });
        }
        let shape = || AddCheckpointError::Shape;
        // No line above the note is empty, so the first empty line separates.
        let end = bytes.windows(2).position(|pair| pair == b"\n\n");
        let (head, note) = bytes.split_at(end.ok_or_else(shape)?);
        let head = std::str::from_utf8(head).map_err(|_| shape())?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old "));
        let old = old.and_then(decimal).ok_or_else(shape)?;
        let lines: Vec<&str> = lines.collect();
        if lines.len() > PROOF_LINES {
            return Err(AddCheckpointError::ProofLines { got: lines.len() });
        }
        let proof = lines.into_iter().map(|line| hash(line).ok_or_else(shape));
        Ok(Self {
            old,
            proof: proof.collect::<Result<_, _>>()?,
            note: note.get(2..).unwrap_or_default().to_vec(),
        })
    }

    /// The request's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = format!("old {}\n", self.old);
        for hash in &self.proof {
            out.push_str(&BASE64.encode(hash));
            out.push('\n');
        }
        out.push('\n');
        let mut out = out.into_bytes();
        out.extend_from_slice(&self.note);
        out
    }

    /// Checks that a key of a witnessed log signed the checkpoint. `log_of` finds a log by its origin line. Lines of other
    /// keys are left out; one line of a key of the log that does not verify spoils the note.
    ///
    /// # Errors
    /// [`Refusal::Malformed`], [`Refusal::UnknownLog`], [`Refusal::Unsigned`], [`Refusal::Signature`] or [`Refusal::Old`].
    pub fn authenticate(
        self,
        log_of: impl FnOnce(&str) -> Option<WitnessedLog>,
    ) -> Result<Submitted, Refusal> {
        let note = SignedNote::parse(&self.note).map_err(AddCheckpointError::Note)?;
        let head = LogHead::from_text(note.text())?;
        let log = log_of(&head.origin).ok_or(Refusal::UnknownLog)?;
        let mut signers = Vec::new();
        for key in &log.keys {
            match note.signed_by(key) {
                Ok(_) => signers.push(key),
                Err(NoteError::Unsigned) => {}
                Err(
                    NoteError::Signature
                    | NoteError::Shape
                    | NoteError::Full
                    | NoteError::TooLarge { .. },
                ) => return Err(Refusal::Signature),
            }
        }
        if signers.is_empty() {
            return Err(Refusal::Unsigned);
        }
        if self.old > head.size {
            let (old, size) = (self.old, head.size);
            return Err(Refusal::Old { old, size });
        }
        Ok(Submitted {
            note: note.only(signers),
            old: self.old,
            proof: self.proof,
            head,
        })
    }
}

impl Submitted {
    /// What the checkpoint says.
    #[must_use]
    pub fn head(&self) -> &LogHead {
        &self.head
    }

    /// The note with the verified lines of the log's keys and no others.
    #[must_use]
    pub fn note(&self) -> &SignedNote {
        &self.note
    }

    /// The request without the lines of strangers: what is kept if it is refused.
    #[must_use]
    pub fn to_request(&self) -> AddCheckpoint {
        AddCheckpoint {
            old: self.old,
            proof: self.proof.clone(),
            note: self.note.to_bytes(),
        }
    }

    /// Checks that the checkpoint continues `last`, the size and root that the witness cosigned last for this log.
    ///
    /// The caller holds a lock on the log from before it reads `last` until what is accepted is recorded: two requests
    /// judged against one `last` could otherwise roll the log back.
    ///
    /// # Errors
    /// [`Refusal::Conflict`], [`Refusal::EmptyRoot`], [`Refusal::Forked`] or [`Refusal::Inconsistent`]. Logs above
    /// [`limits::LOG_LEAVES`] are refused as inconsistent.
    pub fn continues(&self, last: Option<(u64, Hash)>) -> Result<Accepted, Refusal> {
        let (last_size, last_root) = last.unwrap_or((0, empty_root()));
        let LogHead { size, root, .. } = self.head;
        let is_forked = size == last_size && root != last_root;
        if self.old != last_size {
            return Err(Refusal::Conflict {
                old: self.old,
                last: last_size,
                forked: is_forked,
            });
        }
        if size == 0 && root != empty_root() {
            return Err(Refusal::EmptyRoot);
        }
        if is_forked {
            return Err(Refusal::Forked { size });
        }
        let (from, to) = (last_size, size);
        check_consistency(&self.proof, (from, &last_root), (to, &root))
            .map_err(|_| Refusal::Inconsistent { from, to })?;
        Ok(Accepted {
            head: self.head.clone(),
            note: self.note.clone(),
        })
    }
}

impl Refusal {
    /// The HTTP status that C2SP tlog-witness gives this refusal.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Malformed(_) | Self::Old { .. } => 400,
            Self::Unsigned | Self::Signature => 403,
            Self::UnknownLog => 404,
            Self::Conflict { .. } => 409,
            Self::EmptyRoot | Self::Forked { .. } | Self::Inconsistent { .. } => 422,
        }
    }

    /// What the refusal says about the log. A wrong root of size 0 contradicts every log, so its signature is a fork.
    #[must_use]
    pub fn suspicion(&self) -> Suspicion {
        match self {
            Self::Forked { .. } | Self::EmptyRoot | Self::Conflict { forked: true, .. } => {
                Suspicion::Forked
            }
            Self::Inconsistent { .. } => Suspicion::Unproven,
            Self::Malformed(_)
            | Self::UnknownLog
            | Self::Unsigned
            | Self::Signature
            | Self::Old { .. }
            | Self::Conflict { forked: false, .. } => Suspicion::None,
        }
    }
}

/// The answer to an accepted request: the witness's signature line, with its newline.
#[must_use]
pub fn cosignature_line(note: &SignedNote, name: &str, signer: &Signer, at: Timestamp) -> Vec<u8> {
    let key = VerifierKey::new(name, SignatureKind::Cosigner, signer.public());
    let blob = cosignature::cosign(note.text(), signer, at);
    let blob = BASE64.encode([&key.id()[..], &blob].concat());
    format!("\u{2014} {name} {blob}\n").into_bytes()
}

/// The lines of a witness's answer as a note with the text of `note`, for [`SignedNote::take_over`]: it verifies what is
/// the witness's and leaves everything else.
///
/// # Errors
/// [`AnswerError`].
pub fn cosignatures_from_answer(
    note: &SignedNote,
    answer: &[u8],
) -> Result<SignedNote, AnswerError> {
    if answer.len() > ANSWER_BYTES {
        return Err(AnswerError::TooLarge { got: answer.len() });
    }
    let bytes = [note.text().as_bytes(), b"\n", answer].concat();
    // An answer with an empty line would move the end of the text.
    SignedNote::parse(&bytes)
        .ok()
        .filter(|answered| answered.text() == note.text())
        .ok_or(AnswerError::Shape)
}

/// SHA-256 of an origin line: what the monitoring path of a witness and its state call the log.
#[must_use]
pub fn origin_hash(origin: &str) -> Hash {
    Sha256::digest(origin.as_bytes()).into()
}

/// A size in its one spelling, at most 2^63 - 1: `from_str` alone would take `+7` and `007`.
pub(super) fn decimal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text && i64::try_from(number).is_ok()).then_some(number)
}

fn hash(line: &str) -> Option<Hash> {
    BASE64.decode(line).ok()?.try_into().ok()
}
