//! The proof that a leaf was logged, as a file that verifies offline. Spec: C2SP tlog-proof v1.
//!
//! ```text
//! c2sp.org/tlog-proof@v1
//! extra <base64>                      may be absent; authenticated by nothing
//! index <decimal>
//! <base64 of a hash>                  the inclusion proof, from the leaf's sibling to the root's child
//! <empty line>
//! <the signed checkpoint, verbatim>
//! ```
//!
//! In scope: one text for one proof, the log's signature, inclusion. Out of scope: what the leaf says (`leaf`), and whether
//! enough witnesses cosigned: ask [`Cosigners::standing`](super::Cosigners::standing) with [`LogProof::note`].

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::inclusion::{InclusionError, PROOF_HASHES, check_inclusion, leaf_hash};
use super::{Checkpoint, CheckpointError, NoteError, SignedCheckpoint, SignedNote, VerifierKey};
use crate::b3::Hash;
use crate::limits;

/// The first line.
const HEAD: &str = "c2sp.org/tlog-proof@v1";
/// Bytes of extra data at most: a leaf, as that is what it may have to be rebuilt from.
pub const EXTRA_BYTES: usize = 64 * 1024;
/// Bytes of a proof file at most: extra data in base64, 63 lines of hashes, a note, and the other lines.
pub const LOG_PROOF_BYTES: usize = EXTRA_BYTES.div_ceil(3) * 4 + 64 * 45 + limits::NOTE_BYTES + 128;

/// A leaf's number, its inclusion proof, and the signed checkpoint that it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogProof {
    extra: Option<Vec<u8>>,
    index: u64,
    path: Vec<Hash>,
    head: SignedCheckpoint,
    note: SignedNote,
}

/// Why a proof is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogProofError {
    /// Longer than [`LOG_PROOF_BYTES`].
    #[error("log proof: {got} bytes, at most {LOG_PROOF_BYTES}")]
    TooLarge {
        /// Its length.
        got: usize,
    },
    /// Not a proof file, or not the one text of its proof.
    #[error("log proof: not the expected shape")]
    Shape,
    /// Extra data that is empty, or longer than [`EXTRA_BYTES`].
    #[error("log proof: {got} bytes of extra data, expected none or 1 to {EXTRA_BYTES}")]
    Extra {
        /// Its length.
        got: usize,
    },
    /// More hashes than any tree calls for.
    #[error("log proof: {got} hashes, at most {PROOF_HASHES}")]
    Path {
        /// Their number.
        got: usize,
    },
    /// The note is no checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The log's signature on it.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The checkpoint is of another log than the key.
    #[error("log proof: the checkpoint is not of the log whose key was given")]
    Log,
    /// The leaf is not in the tree.
    #[error(transparent)]
    Inclusion(#[from] InclusionError),
}

impl LogProof {
    /// Puts a proof together; the checkpoint is a signed note and is kept verbatim. Nothing is verified.
    ///
    /// # Errors
    /// [`LogProofError::Extra`], [`LogProofError::Path`] or [`LogProofError::Checkpoint`].
    pub fn new(
        extra: Option<Vec<u8>>,
        index: u64,
        path: Vec<Hash>,
        checkpoint: &[u8],
    ) -> Result<Self, LogProofError> {
        let got = extra.as_ref().map_or(1, Vec::len);
        if got == 0 || got > EXTRA_BYTES {
            return Err(LogProofError::Extra { got });
        }
        if path.len() > PROOF_HASHES {
            return Err(LogProofError::Path { got: path.len() });
        }
        let head = SignedCheckpoint::from_store(checkpoint)?;
        let note = SignedNote::parse(checkpoint)?;
        Ok(Self {
            extra,
            index,
            path,
            head,
            note,
        })
    }

    /// The file.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("{HEAD}\n");
        if let Some(extra) = &self.extra {
            text.push_str(&format!("extra {}\n", BASE64.encode(extra)));
        }
        text.push_str(&format!("index {}\n", self.index));
        for hash in &self.path {
            text.push_str(&format!("{}\n", BASE64.encode(hash)));
        }
        text.push('\n');
        // A note that parses is UTF-8.
        text.push_str(&String::from_utf8_lossy(self.head.note()));
        text
    }

    /// Reads a file, strictly: it is the one text of its proof. Nothing is verified.
    ///
    /// # Errors
    /// [`LogProofError`].
    pub fn from_text(bytes: &[u8]) -> Result<Self, LogProofError> {
        if bytes.len() > LOG_PROOF_BYTES {
            return Err(LogProofError::TooLarge { got: bytes.len() });
        }
        let shape = || LogProofError::Shape;
        let text = std::str::from_utf8(bytes).map_err(|_| shape())?;
        let (head, note) = text.split_once("\n\n").ok_or_else(shape)?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(HEAD) {
            return Err(shape());
        }
        let extra = lines.peek().and_then(|line| line.strip_prefix("extra "));
        let extra = extra.map(|data| BASE64.decode(data)).transpose();
        let extra = extra.map_err(|_| shape())?;
        if extra.is_some() {
            lines.next();
        }
        let index = lines.next().and_then(|line| line.strip_prefix("index "));
        let index = index
            .and_then(|index| index.parse().ok())
            .ok_or_else(shape)?;
        let path = lines.map(hash_line).collect::<Option<_>>();
        let proof = Self::new(extra, index, path.ok_or_else(shape)?, note.as_bytes())?;
        // What a number can be written as beyond its decimal form is refused here.
        if proof.to_text() != text {
            return Err(shape());
        }
        Ok(proof)
    }

    /// Verifies that the log signed the checkpoint and that the leaf is in its tree, and returns the checkpoint. Whether
    /// witnesses cosigned is not looked at.
    ///
    /// # Errors
    /// [`LogProofError`].
    pub fn verify(&self, leaf: &[u8], log: &VerifierKey) -> Result<Checkpoint, LogProofError> {
        self.note.signed_by(log)?;
        let checkpoint = self.head.checkpoint();
        if checkpoint.origin.as_str() != log.name() {
            return Err(LogProofError::Log);
        }
        let (size, root) = (checkpoint.size, &checkpoint.root);
        check_inclusion(&self.path, self.index, size, &leaf_hash(leaf), root)?;
        Ok(checkpoint.clone())
    }

    /// Data that belongs to the leaf; nobody signed it.
    #[must_use]
    pub fn extra(&self) -> Option<&[u8]> {
        self.extra.as_deref()
    }

    /// The leaf's number, from 0.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The inclusion proof.
    #[must_use]
    pub fn path(&self) -> &[Hash] {
        &self.path
    }

    /// The checkpoint's note, for its cosignatures.
    #[must_use]
    pub fn note(&self) -> &SignedNote {
        &self.note
    }

    /// The checkpoint's note, verbatim.
    #[must_use]
    pub fn checkpoint(&self) -> &[u8] {
        self.head.note()
    }
}

/// A line that is the base64 of a hash.
pub(super) fn hash_line(line: &str) -> Option<Hash> {
    BASE64.decode(line).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use hashpact_keys::{Signer, Timestamp};

    use super::*;
    use crate::log::inclusion::tests::{disk, leaves};
    use crate::log::{SignatureKind, inclusion_proof, log_key, root_at};

    fn signer() -> Signer {
        Signer::from_seed(&[3; 32])
    }

    fn key() -> VerifierKey {
        log_key(&"eu.example/eu/1".parse().unwrap(), signer().public())
    }

    fn head(size: u64) -> Checkpoint {
        let origin = "eu.example/eu/1".parse().unwrap();
        let root = root_at(&disk(&leaves(9)), 9, size).unwrap();
        Checkpoint { origin, size, root }
    }

    fn proof(extra: Option<Vec<u8>>, note: &[u8]) -> LogProof {
        let path = inclusion_proof(&disk(&leaves(9)), 9, 5, 9).unwrap();
        LogProof::new(extra, 5, path, note).unwrap()
    }

    fn leaf(n: u64) -> Vec<u8> {
        n.to_be_bytes().to_vec()
    }

    #[test]
    fn a_proof_is_the_text_of_the_specification_and_reads_back() {
        let head = head(9).sign(&signer());
        let with = proof(Some(vec![0, 1, 2]), head.note());
        let text = with.to_text();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[..3],
            ["c2sp.org/tlog-proof@v1", "extra AAEC", "index 5"]
        );
        assert_eq!((lines[7], lines[8]), ("", "eu.example/eu/1"));
        assert_eq!(LogProof::from_text(text.as_bytes()), Ok(with.clone()));
        assert_eq!(with.extra(), Some(&[0, 1, 2][..]));
        let without = proof(None, head.note());
        assert!(!without.to_text().contains("extra"));
        assert_eq!(
            LogProof::from_text(without.to_text().as_bytes()),
            Ok(without)
        );
    }

    #[test]
    fn a_proof_shows_its_leaf_and_no_other() {
        let note = head(9).sign(&signer());
        let proof = proof(None, note.note());
        assert_eq!(proof.verify(&leaf(5), &key()), Ok(head(9)));
        let (index, size) = (5, 9);
        let missing = LogProofError::Inclusion(InclusionError::Root { index, size });
        assert_eq!(proof.verify(&leaf(4), &key()), Err(missing.clone()));
        let moved = proof.to_text().replace("index 5", "index 4");
        let moved = LogProof::from_text(moved.as_bytes()).unwrap();
        assert!(matches!(
            moved.verify(&leaf(5), &key()),
            Err(LogProofError::Inclusion(InclusionError::Root {
                index: 4,
                size: 9
            }))
        ));
        let smaller = LogProof::new(None, 5, proof.path, head(8).sign(&signer()).note()).unwrap();
        assert!(smaller.verify(&leaf(5), &key()).is_err());
    }

    #[test]
    fn a_proof_under_another_key_or_of_another_log_is_refused() {
        let proof = proof(None, head(9).sign(&signer()).note());
        let foreign = Signer::from_seed(&[4; 32]).public();
        let foreign = log_key(&"eu.example/eu/1".parse().unwrap(), foreign);
        assert_eq!(
            proof.verify(&leaf(5), &foreign),
            Err(LogProofError::Note(NoteError::Unsigned))
        );
        // One key that signs for two logs shows nothing of one in the other.
        let other: hashpact_keys::Origin = "eu.example/eu/2".parse().unwrap();
        let note = SignedNote::sign(&head(9).text(), other.as_str(), &signer());
        let proof = LogProof::new(None, 5, proof.path, &note.to_bytes()).unwrap();
        assert_eq!(
            proof.verify(&leaf(5), &log_key(&other, signer().public())),
            Err(LogProofError::Log)
        );
        // A cosignature of the log's own key is no signature of the log.
        let mut note = SignedNote::sign(&head(9).text(), "x", &Signer::from_seed(&[8; 32]));
        note.cosign("eu.example/eu/1", &signer(), Timestamp::new(7))
            .unwrap();
        let proof = LogProof::new(None, 5, Vec::new(), &note.to_bytes()).unwrap();
        assert_eq!(key().kind(), SignatureKind::Log);
        assert_eq!(
            proof.verify(&leaf(5), &key()),
            Err(LogProofError::Note(NoteError::Unsigned))
        );
    }

    #[test]
    fn a_second_text_of_one_proof_is_refused() {
        let text = proof(Some(vec![7]), head(9).sign(&signer()).note()).to_text();
        for bad in [
            text.replace("index 5", "index 05"),
            text.replace("index 5", "index +5"),
            text.replace("index 5", "index 5 "),
            text.replace("index 5\n", ""),
            text.replace("extra Bw==", "extra Bw"),
            text.replace("extra Bw==", "extra Bx=="),
            text.replace("@v1", "@v2"),
            text.replace("\n\neu", "\n\n\neu"),
            text.replace('\n', "\r\n"),
            format!("\n{text}"),
        ] {
            assert!(LogProof::from_text(bad.as_bytes()).is_err(), "{bad:?}");
        }
        let empty = text.replace("extra Bw==", "extra ");
        assert_eq!(
            LogProof::from_text(empty.as_bytes()),
            Err(LogProofError::Extra { got: 0 })
        );
    }

    #[test]
    fn each_bound_holds_one_over() {
        let note = head(9).sign(&signer());
        let new = |extra, hashes| LogProof::new(extra, 0, vec![[1; 32]; hashes], note.note());
        assert_eq!(
            new(Some(vec![0; EXTRA_BYTES + 1]), 0),
            Err(LogProofError::Extra {
                got: EXTRA_BYTES + 1
            })
        );
        assert_eq!(
            new(None, PROOF_HASHES + 1),
            Err(LogProofError::Path { got: 64 })
        );
        let most = new(Some(vec![0; EXTRA_BYTES]), PROOF_HASHES).unwrap();
        assert_eq!(LogProof::from_text(most.to_text().as_bytes()), Ok(most));
        let got = LOG_PROOF_BYTES + 1;
        assert_eq!(
            LogProof::from_text(&vec![b'a'; got]),
            Err(LogProofError::TooLarge { got })
        );
    }
}
