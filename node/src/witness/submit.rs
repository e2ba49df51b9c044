//! A log asks a witness over HTTP for a cosignature.
//!
//! Why: the witness alone knows what it cosigned last, so a guess is corrected once by its answer. Spec: C2SP `tlog-witness`,
//! add-checkpoint. A witness may be slow, lying or broken: each answer is read strictly, and no more than two are asked for.
//! In scope: one checkpoint, one witness. Out of scope: how requests travel (`http`), when to ask again, whose cosignatures
//! count: take them over with [`SignedNote::take_over`], which verifies.

use hashpact_protocol::log::{
    ANSWER_BYTES, AddCheckpoint, AddCheckpointError, AnswerError, LogHead, NoteError, SignedNote,
    cosignatures_from_answer,
};

use crate::http::{HttpClient, HttpError};

type Hash = [u8; 32];

/// Bytes of a size in a conflict: 19 digits and a newline.
const SIZE_BYTES: usize = 20;

/// What a witness answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubmitOutcome {
    /// The checkpoint's text with the lines of the answer, which are not verified.
    Cosigned(SignedNote),
    /// The witness had cosigned another size before each of the two requests: somebody else submits this log.
    Conflict {
        /// The size that it says it cosigned last.
        size: u64,
    },
    /// The witness cosigned a larger checkpoint than this one: ours is old news, or the log has forked.
    Ahead {
        /// The size that it says it cosigned last.
        size: u64,
    },
}

/// Why a witness gave no cosignature. `E` is the transport's error.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError<E> {
    /// No answer.
    #[error(transparent)]
    Http(E),
    /// What was to be submitted is no note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// What was to be submitted is no checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] AddCheckpointError),
    /// The witness asks for a proof from a size that the log cannot prove.
    #[error("no consistency proof from size {old} to {size}")]
    NoProof {
        /// The size that the witness cosigned last.
        old: u64,
        /// The checkpoint's size.
        size: u64,
    },
    /// Status 400.
    #[error("the witness calls the request malformed (400)")]
    Malformed,
    /// Status 403.
    #[error("the witness knows no key that signed the checkpoint (403)")]
    UnknownKey,
    /// Status 404.
    #[error("the witness does not cosign this log (404)")]
    UnknownLog,
    /// Status 422.
    #[error("the witness does not find the checkpoint to continue what it cosigned (422)")]
    Inconsistent,
    /// Status 429 or one of 500 to 599.
    #[error("the witness cannot cosign at this time ({status})")]
    Unavailable {
        /// The status.
        status: u16,
    },
    /// A status that has no meaning here; redirects are not followed.
    #[error("the witness answered with status {status}")]
    Status {
        /// The status.
        status: u16,
    },
    /// Status 200 without signature lines.
    #[error("the witness's answer is refused: {0}")]
    Answer(#[from] AnswerError),
    /// Status 409 without a size, or with the size of the request.
    #[error("the witness names no other size in its conflict")]
    ConflictSize,
}

/// Submits a checkpoint to the witness at the submission prefix `url`.
///
/// `post` sends a body to a URL and hands back status and body, bounded in time and in bytes
/// ([`ANSWER_BYTES`] is enough), such as [`over_http`]. `note` should hold the log's own line and few others.
/// `last_known` is the size that the witness cosigned last as far as is known, 0 if nothing is. `proof` gives the consistency
/// proof from a size of at least 1, below the checkpoint's.
///
/// # Errors
/// [`SubmitError`].
pub fn submit<E>(
    post: &impl Fn(&str, &[u8]) -> Result<(u16, Vec<u8>), E>,
    url: &str,
    note: &[u8],
    last_known: u64,
    proof: impl Fn(u64) -> Option<Vec<Hash>>,
) -> Result<SubmitOutcome, SubmitError<E>> {
    let parsed = SignedNote::parse(note)?;
    let size = LogHead::from_text(parsed.text())?.size;
    let url = format!("{}/add-checkpoint", url.trim_end_matches('/'));
    let ask = |old: u64| -> Result<Asked, SubmitError<E>> {
        let proof = match old {
            0 => Vec::new(),
            old if old == size => Vec::new(),
            old => proof(old).ok_or(SubmitError::NoProof { old, size })?,
        };
        let note = note.to_vec();
        let request = AddCheckpoint { old, proof, note };
        let (status, body) = post(&url, &request.to_bytes()).map_err(SubmitError::Http)?;
        read_answer(&parsed, old, status, &body)
    };
    // A size above ours is refused before the witness says what it holds.
    let last = match ask(last_known.min(size))? {
        Asked::Cosigned(note) => return Ok(SubmitOutcome::Cosigned(note)),
        Asked::Conflict(last) if last > size => return Ok(SubmitOutcome::Ahead { size: last }),
        Asked::Conflict(last) => last,
    };
    Ok(match ask(last)? {
        Asked::Cosigned(note) => SubmitOutcome::Cosigned(note),
        Asked::Conflict(last) if last > size => SubmitOutcome::Ahead { size: last },
        Asked::Conflict(size) => SubmitOutcome::Conflict { size },
    })
}

/// How requests travel over this node's client: the `post` of [`submit`]. Blocking, and bounded by the client's own time.
pub fn over_http(
    client: &HttpClient,
) -> impl Fn(&str, &[u8]) -> Result<(u16, Vec<u8>), HttpError> + '_ {
    |url, body| match client.post(url, body, ANSWER_BYTES as u64) {
        Ok(response) => Ok((response.status, response.body)),
        // A status without a body that could say more.
        Err(HttpError::Status { got }) => Ok((got, Vec::new())),
        Err(error) => Err(error),
    }
}

enum Asked {
    Cosigned(SignedNote),
    Conflict(u64),
}

fn read_answer<E>(
    note: &SignedNote,
    old: u64,
    status: u16,
    body: &[u8],
) -> Result<Asked, SubmitError<E>> {
    match status {
        200 => Ok(Asked::Cosigned(cosignatures_from_answer(note, body)?)),
        409 => {
            let last = conflict_size(body).filter(|last| *last != old);
            last.map(Asked::Conflict).ok_or(SubmitError::ConflictSize)
        }
        400 => Err(SubmitError::Malformed),
        403 => Err(SubmitError::UnknownKey),
        404 => Err(SubmitError::UnknownLog),
        422 => Err(SubmitError::Inconsistent),
        429 | 500..=599 => Err(SubmitError::Unavailable { status }),
        _ => Err(SubmitError::Status { status }),
    }
}

/// A size in its one spelling and a newline.
fn conflict_size(body: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(body.get(..body.len().min(SIZE_BYTES + 1))?).ok()?;
    let size: u64 = text.strip_suffix('\n')?.parse().ok()?;
    (format!("{size}\n").as_bytes() == body && i64::try_from(size).is_ok()).then_some(size)
}
