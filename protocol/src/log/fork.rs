//! The proof that a centre told two stories, as a file that anybody can check with the roster and RFC 9162 alone.
//!
//! Why: a fork that only its finder believes freezes nobody. Spec: this text; `docs/protocol.md`, "Forks".
//!
//! UTF-8, every line ends in one newline, one text for one proof, at most 64 KiB. `HASH` is the base64 of 32 bytes, `SIZE` a
//! decimal number without leading zeros. Of kind `checkpoints`, for two signed checkpoints A and B of one log:
//!
//! ```text
//! hashpact fork proof v1
//! kind checkpoints
//! common SIZE            d: up to here both trees are shown to be the same
//! common-root HASH       if d > 0: the root at d
//! b-at-a HASH            if a is a power of two and a < b: the root of B's tree at a
//! a-to-b HASH            0 or more lines: the consistency proof from a to b in B's tree
//! common-to-a HASH       0 or more lines: the consistency proof from d to a in A's tree
//! common-to-b HASH       0 or more lines: the consistency proof from d to b in B's tree
//! parts-a HASH           if it is shown that they part at d: the root of A's tree at d + 1
//! parts-b HASH           with it: the root of B's tree at d + 1
//! parts-to-a HASH        with it, 0 or more lines: the consistency proof from d + 1 to a in A's tree
//! parts-to-b HASH        with it, 0 or more lines: the consistency proof from d + 1 to b in B's tree
//! <empty line>
//! <A: a signed note, whose checkpoint has size a>
//! <empty line>
//! <B: a signed note, whose checkpoint has size b>
//! ```
//!
//! It holds if all of this does. 1. A and B are checkpoints of one origin, with `a <= b`, and with the lower root first if
//! `a = b`. 2. A log key of that origin's centre signed each, and is not revoked at a smaller size. 3. B's tree has another
//! root at a than A: if `a = b`, B's own root; if `a = 0`, the hash of nothing; else the old root (`fr`) that RFC 9162 section
//! 2.1.4.2 computes from `a-to-b`, with `b-at-a` for the first hash where that section takes it from the caller, while the
//! new root (`sr`) is B's. 4. If d > 0, `common-to-a` and `common-to-b` prove, by the same section, that A and B continue the
//! tree of size d with `common-root`. 5. If there are
//! `parts-` lines, `parts-to-a` and `parts-to-b` prove, by the same section, that A and B continue the trees of size d + 1
//! with the roots `parts-a` and `parts-b`, and these differ: d is the last common size. Without them d is a lower bound, and
//! whoever passed the proof on may have left out what shows a larger one. There are no `a-to-b` lines if `a = b` or `a = 0`, and no `common-` lines but the
//! first if d is 0.
//!
//! Of kind `headers`, for two delta headers of one number (COSE_Sign1, `docs/protocol.md`, "Delta"):
//!
//! ```text
//! hashpact fork proof v1
//! kind headers
//! origin <origin line>
//! a <base64>             the header whose bytes sort first
//! b <base64>
//! ```
//!
//! It holds if the bytes differ, both are headers of that origin, of the roster's network and of one sequence number, and a
//! delta key of that origin's centre, valid when each says that it was issued, signed each. A header does not say at which
//! size it was logged, so a key that is revoked in this log at any size shows nothing: whoever stole it made no fork. For
//! the same reason such a proof shows no common size.
//!
//! In scope: the file and its check. Out of scope: what follows from a fork (`centre`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hashpact_keys::roster::CentreEntry;
use hashpact_keys::{KeyId, NetworkId, Origin, Roster, Timestamp};

use super::inclusion::{PROOF_HASHES, consistency_roots};
use super::proof_file::hash_line;
use super::{Checkpoint, CheckpointError, SignedCheckpoint, check_consistency, empty_root};
use crate::b3::Hash;
use crate::delta::{Header, HeaderError, Seq};

/// Bytes of a fork proof at most: two notes, four proofs and the rest.
pub const FORK_PROOF_BYTES: usize = 64 * 1024;
/// The first line.
const HEAD: &str = "hashpact fork proof v1";

/// Evidence of a fork, in one of two kinds; nothing is verified until [`ForkProof::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForkProof(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Checkpoints(Box<Checkpoints>),
    Headers(Headers),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Checkpoints {
    a: SignedCheckpoint,
    b: SignedCheckpoint,
    a_to_b: Vec<Hash>,
    b_root_at_a: Option<Hash>,
    common: Option<Common>,
    parts: Option<Parts>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Headers {
    origin: Origin,
    a: Vec<u8>,
    b: Vec<u8>,
}

/// A size up to which two trees are the same, with what shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Common {
    /// Leaves, from 1 to the smaller tree's.
    pub size: u64,
    /// Root over them.
    pub root: Hash,
    /// Consistency proof from there to A.
    pub to_a: Vec<Hash>,
    /// Consistency proof from there to B.
    pub to_b: Vec<Hash>,
}

/// What shows that two trees part at a size: their roots one leaf further on, which differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// Root of A's tree there, with the consistency proof from there to A.
    pub a: (Hash, Vec<Hash>),
    /// Root of B's tree there, with the consistency proof from there to B.
    pub b: (Hash, Vec<Hash>),
}

/// What a fork proof that holds says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForkFact {
    /// The log.
    pub origin: Origin,
    /// Size up to which both branches are shown to be the same: 0 if nothing in common is shown, none if the evidence knows
    /// no sizes. They may have more in common.
    pub common: Option<u64>,
    /// Whether it is shown that they part right there. Else the common size is a lower bound, and anybody could have left
    /// out what shows a larger one.
    pub is_tight: bool,
    /// The two stories.
    pub branches: Branches,
}

/// Two things that an origin signed and that exclude one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Branches {
    /// Size and root of two heads, the smaller first.
    Checkpoints {
        /// The smaller one, or at equal sizes that with the lower root.
        a: (u64, Hash),
        /// The other.
        b: (u64, Hash),
    },
    /// Chain hashes (SHA-256 of the COSE_Sign1 bytes) of two headers of one number.
    Headers {
        /// The number of both.
        seq: Seq,
        /// Of the header whose bytes sort first.
        a: Hash,
        /// Of the other.
        b: Hash,
    },
}

/// Why a fork proof is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForkError {
    /// Longer than [`FORK_PROOF_BYTES`].
    #[error("fork proof: {got} bytes, at most {FORK_PROOF_BYTES}")]
    TooLarge {
        /// Its length.
        got: usize,
    },
    /// Not a fork proof, not the one text of one, or with a part that its sizes do not call for or without one that they do.
    #[error("fork proof: not the expected shape")]
    Shape,
    /// A checkpoint, or the signature on it.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A header, or the signature on it.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The two are of different logs.
    #[error("fork proof: of {a} and of {b}, which are two logs")]
    TwoLogs {
        /// The log of the first.
        a: Origin,
        /// The log of the second.
        b: Origin,
    },
    /// Both are the same.
    #[error("fork proof: both say the same")]
    Same,
    /// No centre on the roster writes this log.
    #[error("fork proof: no centre on the roster writes {origin}")]
    UnknownLog {
        /// The log.
        origin: Origin,
    },
    /// A key whose signature is void at this place.
    #[error("fork proof: key {key} is revoked in this log from size {from} on")]
    Revoked {
        /// The key.
        key: KeyId,
        /// The size.
        from: u64,
    },
    /// A header of another network.
    #[error("fork proof: a header of network {got}, expected {expected}")]
    Network {
        /// The roster's network.
        expected: NetworkId,
        /// The header's.
        got: NetworkId,
    },
    /// Two headers of different numbers, as a log has them.
    #[error("fork proof: headers {a} and {b} do not exclude one another")]
    Numbers {
        /// The number of the first.
        a: Seq,
        /// The number of the second.
        b: Seq,
    },
    /// The hashes lead to another root than B's.
    #[error("fork proof: the proof from size {from} does not lead to the root at size {to}")]
    Proof {
        /// The size of A.
        from: u64,
        /// The size of B.
        to: u64,
    },
    /// B continues A.
    #[error("fork proof: size {to} continues size {from}")]
    Consistent {
        /// The size of A.
        from: u64,
        /// The size of B.
        to: u64,
    },
    /// One of the two does not continue the tree that is said to be common.
    #[error("fork proof: size {size} is not shown to be common")]
    Common {
        /// The size.
        size: u64,
    },
    /// The two logs are not shown to part where it says.
    #[error("fork proof: the branches are not shown to part at size {size}")]
    Parts {
        /// The size.
        size: u64,
    },
}

impl ForkProof {
    /// Puts two signed checkpoints and what excludes them together. `a_to_b` is the consistency proof from the smaller size
    /// to the larger in B's tree; `b_root_at_a` the root of B's tree at A's size, where that is a power of two and smaller
    /// than B's. Without `common`, the proof shows nothing in common. At equal sizes the order does not matter.
    ///
    /// # Errors
    /// [`ForkError`] if these cannot be the parts of one proof; no signature and no hash is checked.
    pub fn checkpoints(
        a: &[u8],
        b: &[u8],
        a_to_b: Vec<Hash>,
        b_root_at_a: Option<Hash>,
        common: Option<Common>,
    ) -> Result<Self, ForkError> {
        let (mut a, mut b) = (
            SignedCheckpoint::from_store(a)?,
            SignedCheckpoint::from_store(b)?,
        );
        let mut common = common;
        let order = |head: &SignedCheckpoint| (head.checkpoint().size, head.checkpoint().root);
        if a.checkpoint().origin != b.checkpoint().origin {
            let (a, b) = (a.checkpoint().origin.clone(), b.checkpoint().origin.clone());
            return Err(ForkError::TwoLogs { a, b });
        }
        if order(&a) == order(&b) {
            return Err(ForkError::Same);
        }
        if order(&a).0 == order(&b).0 && order(&a) > order(&b) {
            std::mem::swap(&mut a, &mut b);
            if let Some(common) = &mut common {
                std::mem::swap(&mut common.to_a, &mut common.to_b);
            }
        }
        let proof = Checkpoints {
            a,
            b,
            a_to_b,
            b_root_at_a,
            common,
            parts: None,
        };
        if !proof.fits_its_sizes() {
            return Err(ForkError::Shape);
        }
        Self::bounded(Kind::Checkpoints(Box::new(proof)))
    }

    /// Adds what shows that the common size is the last one. `first` is the note that was given first.
    ///
    /// # Errors
    /// [`ForkError`] if it cannot be part of this proof; no hash is checked.
    pub fn with_parts(self, first: &[u8], mut parts: Parts) -> Result<Self, ForkError> {
        let Kind::Checkpoints(mut proof) = self.0 else {
            return Err(ForkError::Shape);
        };
        // Of equal sizes the lower root comes first.
        if proof.a.note() != first {
            std::mem::swap(&mut parts.a, &mut parts.b);
        }
        proof.parts = Some(parts);
        if !proof.fits_its_sizes() {
            return Err(ForkError::Shape);
        }
        Self::bounded(Kind::Checkpoints(proof))
    }

    /// Puts two headers of one number together, as COSE_Sign1 bytes. The order does not matter.
    ///
    /// # Errors
    /// [`ForkError::Same`] or [`ForkError::TooLarge`].
    pub fn headers(origin: Origin, a: &[u8], b: &[u8]) -> Result<Self, ForkError> {
        if a == b {
            return Err(ForkError::Same);
        }
        let (a, b) = if a < b { (a, b) } else { (b, a) };
        let (a, b) = (a.to_vec(), b.to_vec());
        Self::bounded(Kind::Headers(Headers { origin, a, b }))
    }

    fn bounded(kind: Kind) -> Result<Self, ForkError> {
        let proof = Self(kind);
        let got = proof.to_text().len();
        if got > FORK_PROOF_BYTES {
            return Err(ForkError::TooLarge { got });
        }
        Ok(proof)
    }

    /// The log that the proof is about, as it says itself.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        match &self.0 {
            Kind::Checkpoints(proof) => &proof.a.checkpoint().origin,
            Kind::Headers(proof) => &proof.origin,
        }
    }

    /// Whether it says where the branches part; nothing is verified.
    #[must_use]
    pub fn shows_parts(&self) -> bool {
        match &self.0 {
            Kind::Checkpoints(proof) => proof.parts.is_some(),
            Kind::Headers(_) => false,
        }
    }

    /// The file.
    #[must_use]
    pub fn to_text(&self) -> String {
        match &self.0 {
            Kind::Checkpoints(proof) => proof.to_text(),
            Kind::Headers(proof) => {
                let (a, b) = (BASE64.encode(&proof.a), BASE64.encode(&proof.b));
                let origin = &proof.origin;
                format!("{HEAD}\nkind headers\norigin {origin}\na {a}\nb {b}\n")
            }
        }
    }

    /// Reads a file, strictly: it is the one text of its proof. Nothing is verified.
    ///
    /// # Errors
    /// [`ForkError`].
    pub fn from_text(bytes: &[u8]) -> Result<Self, ForkError> {
        if bytes.len() > FORK_PROOF_BYTES {
            return Err(ForkError::TooLarge { got: bytes.len() });
        }
        let text = std::str::from_utf8(bytes).map_err(|_| ForkError::Shape)?;
        let (head, rest) = text.split_once('\n').ok_or(ForkError::Shape)?;
        let (kind, rest) = rest.split_once('\n').ok_or(ForkError::Shape)?;
        let proof = match (head, kind) {
            (HEAD, "kind checkpoints") => Checkpoints::from_text(rest)?,
            (HEAD, "kind headers") => Headers::from_text(rest)?,
            _ => return Err(ForkError::Shape),
        };
        if proof.to_text() != text {
            return Err(ForkError::Shape);
        }
        Ok(proof)
    }

    /// Verifies everything that the module says, under a roster. Keys count that have begun by `now`.
    ///
    /// # Errors
    /// [`ForkError`].
    pub fn verify(&self, roster: &Roster, now: Timestamp) -> Result<ForkFact, ForkError> {
        let origin = self.origin().clone();
        let Some(centre) = roster.by_origin(&origin) else {
            return Err(ForkError::UnknownLog { origin });
        };
        let (common, is_tight, branches) = match &self.0 {
            Kind::Checkpoints(proof) => {
                proof.verify(roster, centre, now)?;
                let common = proof.common.as_ref().map_or(0, |common| common.size);
                let head =
                    |head: &SignedCheckpoint| (head.checkpoint().size, head.checkpoint().root);
                let (a, b) = (head(&proof.a), head(&proof.b));
                let is_tight = proof.parts.is_some();
                (Some(common), is_tight, Branches::Checkpoints { a, b })
            }
            Kind::Headers(proof) => (None, false, proof.verify(roster, centre)?),
        };
        Ok(ForkFact {
            origin,
            common,
            is_tight,
            branches,
        })
    }
}

impl Checkpoints {
    fn heads(&self) -> (&Checkpoint, &Checkpoint) {
        (self.a.checkpoint(), self.b.checkpoint())
    }

    /// Whether each part is there that the sizes call for, and no other: one file for one proof.
    fn fits_its_sizes(&self) -> bool {
        let (a, b) = self.heads();
        let grows = 0 < a.size && a.size < b.size;
        let common = self.common.as_ref().is_none_or(|common| {
            let short = common.to_a.len() <= PROOF_HASHES && common.to_b.len() <= PROOF_HASHES;
            short && 0 < common.size && common.size <= a.size
        });
        let common_size = self.common.as_ref().map_or(0, |common| common.size);
        let parts = self.parts.as_ref().is_none_or(|parts| {
            let short = parts.a.1.len() <= PROOF_HASHES && parts.b.1.len() <= PROOF_HASHES;
            short && common_size < a.size
        });
        parts
            && a.size <= b.size
            && self.b_root_at_a.is_some() == (grows && a.size.is_power_of_two())
            && self.a_to_b.len() <= if grows { PROOF_HASHES } else { 0 }
            && common
    }

    fn to_text(&self) -> String {
        let mut text = format!("{HEAD}\nkind checkpoints\n");
        let size = self.common.as_ref().map_or(0, |common| common.size);
        text.push_str(&format!("common {size}\n"));
        let mut lines = |field: &str, hashes: &[Hash]| {
            for hash in hashes {
                text.push_str(&format!("{field} {}\n", BASE64.encode(hash)));
            }
        };
        let common = self.common.as_ref();
        lines(
            "common-root",
            common.map_or(&[], |common| std::slice::from_ref(&common.root)),
        );
        lines("b-at-a", self.b_root_at_a.as_slice());
        lines("a-to-b", &self.a_to_b);
        lines("common-to-a", common.map_or(&[], |common| &common.to_a));
        lines("common-to-b", common.map_or(&[], |common| &common.to_b));
        if let Some(Parts { a, b }) = &self.parts {
            lines("parts-a", std::slice::from_ref(&a.0));
            lines("parts-b", std::slice::from_ref(&b.0));
            lines("parts-to-a", &a.1);
            lines("parts-to-b", &b.1);
        }
        for head in [&self.a, &self.b] {
            // A note that parses is UTF-8.
            text.push('\n');
            text.push_str(&String::from_utf8_lossy(head.note()));
        }
        text
    }

    fn from_text(rest: &str) -> Result<ForkProof, ForkError> {
        // The text of a checkpoint has no empty line, so a note has one.
        let parts: Vec<_> = rest.split("\n\n").collect();
        let [fields, a_text, a_lines, b_text, b_lines] = parts[..] else {
            return Err(ForkError::Shape);
        };
        let a = format!("{a_text}\n\n{a_lines}\n");
        let b = format!("{b_text}\n\n{b_lines}");
        let mut fields = Fields(fields.split('\n').collect());
        let size = fields.take("common ").and_then(|size| size.parse().ok());
        let size = size.ok_or(ForkError::Shape)?;
        let root = fields.hashes("common-root ")?;
        let b_root_at_a = fields.hashes("b-at-a ")?;
        let a_to_b = fields.hashes("a-to-b ")?;
        let (to_a, to_b) = (
            fields.hashes("common-to-a ")?,
            fields.hashes("common-to-b ")?,
        );
        // What is left out of the proof here is missing in its one text.
        let common = root.first().map(|root| Common {
            size,
            root: *root,
            to_a,
            to_b,
        });
        let (parts_a, parts_b) = (fields.hashes("parts-a ")?, fields.hashes("parts-b ")?);
        let (parts_to_a, parts_to_b) =
            (fields.hashes("parts-to-a ")?, fields.hashes("parts-to-b ")?);
        let b_root_at_a = b_root_at_a.first().copied();
        let (a, b) = (a.as_bytes(), b.as_bytes());
        let proof = ForkProof::checkpoints(a, b, a_to_b, b_root_at_a, common)?;
        match (parts_a.first(), parts_b.first()) {
            (Some(root_a), Some(root_b)) => {
                let parts = Parts {
                    a: (*root_a, parts_to_a),
                    b: (*root_b, parts_to_b),
                };
                proof.with_parts(a, parts)
            }
            _ => Ok(proof),
        }
    }

    fn verify(
        &self,
        roster: &Roster,
        centre: &CentreEntry,
        now: Timestamp,
    ) -> Result<(), ForkError> {
        for head in [&self.a, &self.b] {
            signed(head, roster, centre, now)?;
        }
        let (a, b) = self.heads();
        let (from, to) = (a.size, b.size);
        if self.b_at_a()? == a.root {
            return Err(ForkError::Consistent { from, to });
        }
        if let Some(common) = &self.common {
            let (size, root) = (common.size, &common.root);
            check_consistency(&common.to_a, (size, root), (from, &a.root))
                .and_then(|()| check_consistency(&common.to_b, (size, root), (to, &b.root)))
                .map_err(|_| ForkError::Common { size })?;
        }
        if let Some(parts) = &self.parts {
            let size = self.common.as_ref().map_or(0, |common| common.size) + 1;
            let holds = |(root, proof): &(Hash, Vec<Hash>), head: &Checkpoint| {
                check_consistency(proof, (size, root), (head.size, &head.root)).is_ok()
            };
            let part = parts.a.0 != parts.b.0 && holds(&parts.a, a) && holds(&parts.b, b);
            if !part {
                return Err(ForkError::Parts { size: size - 1 });
            }
        }
        Ok(())
    }

    /// The root that B's tree has at A's size.
    fn b_at_a(&self) -> Result<Hash, ForkError> {
        let (a, b) = self.heads();
        let (from, to) = (a.size, b.size);
        if from == to {
            return Ok(b.root);
        }
        if from == 0 {
            return Ok(empty_root());
        }
        match consistency_roots(&self.a_to_b, from, to, self.b_root_at_a.as_ref()) {
            Some((old, new)) if new == b.root => Ok(old),
            Some(_) | None => Err(ForkError::Proof { from, to }),
        }
    }
}

/// Checks that a log key signed a head whose signatures are not void at its size. A line of a revoked key beside one of
/// another key does not undo that.
fn signed(
    head: &SignedCheckpoint,
    roster: &Roster,
    centre: &CentreEntry,
    now: Timestamp,
) -> Result<(), ForkError> {
    let size = head.checkpoint().size;
    let void = |key: &KeyId| {
        roster
            .revoked_from(key, &centre.origin)
            .filter(|cut| size > *cut)
    };
    let mut left = centre.clone();
    left.keys
        .retain(|entry| void(&entry.key.key_id()).is_none());
    let Err(error) = SignedCheckpoint::open(head.note(), &left, now) else {
        return Ok(());
    };
    // Says so if it is the revocation that is missing from the signature.
    if let Ok((_, key)) = SignedCheckpoint::open(head.note(), centre, now)
        && let Some(from) = void(&key)
    {
        return Err(ForkError::Revoked { key, from });
    }
    Err(error.into())
}

impl Headers {
    fn from_text(rest: &str) -> Result<ForkProof, ForkError> {
        let shape = || ForkError::Shape;
        let mut fields = Fields(rest.split('\n').collect());
        let origin = fields.take("origin ").and_then(|line| line.parse().ok());
        let a = fields.take("a ").and_then(|a| BASE64.decode(a).ok());
        let b = fields.take("b ").and_then(|b| BASE64.decode(b).ok());
        let (a, b) = (a.ok_or_else(shape)?, b.ok_or_else(shape)?);
        ForkProof::headers(origin.ok_or_else(shape)?, &a, &b)
    }

    fn verify(&self, roster: &Roster, centre: &CentreEntry) -> Result<Branches, ForkError> {
        let (a, b) = (
            self.open(&self.a, roster, centre)?,
            self.open(&self.b, roster, centre)?,
        );
        if a.seq != b.seq {
            return Err(ForkError::Numbers { a: a.seq, b: b.seq });
        }
        let (seq, a, b) = (
            a.seq,
            Header::chain_hash(&self.a),
            Header::chain_hash(&self.b),
        );
        Ok(Branches::Headers { seq, a, b })
    }

    fn open(
        &self,
        bytes: &[u8],
        roster: &Roster,
        centre: &CentreEntry,
    ) -> Result<Header, ForkError> {
        let header = Header::open(bytes, centre)?;
        let key = Header::signer(bytes)?;
        if let Some(from) = roster.revoked_from(&key, &self.origin) {
            return Err(ForkError::Revoked { key, from });
        }
        if header.network != roster.network {
            let (expected, got) = (roster.network, header.network);
            return Err(ForkError::Network { expected, got });
        }
        if header.origin != self.origin {
            let (a, b) = (self.origin.clone(), header.origin);
            return Err(ForkError::TwoLogs { a, b });
        }
        Ok(header)
    }
}

/// Lines `field value`, read in order.
struct Fields<'a>(std::collections::VecDeque<&'a str>);

impl<'a> Fields<'a> {
    fn take(&mut self, field: &str) -> Option<&'a str> {
        let value = self.0.front()?.strip_prefix(field)?;
        self.0.pop_front();
        Some(value)
    }

    fn hashes(&mut self, field: &str) -> Result<Vec<Hash>, ForkError> {
        let mut hashes = Vec::new();
        while let Some(value) = self.take(field) {
            hashes.push(hash_line(value).ok_or(ForkError::Shape)?);
        }
        Ok(hashes)
    }
}

#[cfg(test)]
mod tests;
