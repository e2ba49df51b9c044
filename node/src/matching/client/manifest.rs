//! That a match manifest is the centre's, logged, and witnessed lately.
//!
//! Why: keys and roots of a manifest are what every answer is checked against. One that a centre made for this asker alone
//! would tell it who is matched by which key, so a manifest counts only where a log proves it that others watch; and one from
//! before would bring back what was retracted. What was seen before is remembered (`cache`), and nothing older is taken.
//! In scope: signature, inclusion, quorum, age. Out of scope: asking for it (`session`).

use hashpact_keys::roster::CentreEntry;
use hashpact_keys::{CentreId, KeyId, KeyUse, NetworkId, Roster, RosterVersion, Timestamp};
use hashpact_protocol::Hash;
use hashpact_protocol::limits;
use hashpact_protocol::log::{
    CheckpointError, Cosigners, Leaf, LogProof, LogProofError, SignedCheckpoint, log_key,
};
use hashpact_protocol::psi::{Epoch, Manifest, ManifestError};

/// What a manifest is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Trust<'a> {
    /// The newest roster.
    pub roster: &'a Roster,
    /// Whose manifest it must be.
    pub centre: &'a CentreId,
    /// The time.
    pub now: Timestamp,
}

/// A manifest that is proven.
#[derive(Clone, Debug)]
pub struct Logged {
    /// What it says.
    pub manifest: Manifest,
    /// BLAKE3 of its signed bytes.
    pub hash: Hash,
    /// Its leaf.
    pub index: u64,
    /// Leaves of the log under the checkpoint that proves it.
    pub size: u64,
    /// The time that a quorum of witnesses had reached; none on a demonstration without witnesses.
    pub witnessed_at: Option<Timestamp>,
}

/// Why a manifest is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ManifestFault {
    /// The roster opens nothing any more.
    #[error("roster version {version} has expired: apply its successor")]
    RosterExpired {
        /// Its version.
        version: RosterVersion,
    },
    /// No such centre.
    #[error("{0} is not on the roster")]
    NoCentre(CentreId),
    /// The manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// It is of another network.
    #[error("the manifest is of network {got}, expected {expected}")]
    Network {
        /// The roster's.
        expected: NetworkId,
        /// The manifest's.
        got: NetworkId,
    },
    /// Its proof.
    #[error("the manifest is not shown to be logged: {0}")]
    Proof(#[from] LogProofError),
    /// The checkpoint of its proof.
    #[error("the manifest is not shown to be logged: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The proof is of another leaf.
    #[error("the proof is of leaf {got}, the manifest is said to be leaf {expected}")]
    Index {
        /// What the centre said.
        expected: u64,
        /// What its proof says.
        got: u64,
    },
    /// The manifest speaks of leaves behind itself.
    #[error("the manifest speaks of {got} leaves and is leaf {index}")]
    Size {
        /// Leaves that it says are in it.
        got: u64,
        /// Its own.
        index: u64,
    },
    /// A key that was revoked.
    #[error("key {key} was revoked in this log from leaf {from} on")]
    Revoked {
        /// The key.
        key: KeyId,
        /// From which leaf on.
        from: u64,
    },
    /// Too few witnesses.
    #[error("{got} of the {quorum} witnesses that must cosign the centre's log did")]
    NotWitnessed {
        /// How many did.
        got: usize,
        /// How many must.
        quorum: usize,
    },
    /// Their cosignatures are old.
    #[error(
        "the newest quorum of cosignatures on the centre's log is of {at}, more than {} h ago: nothing is matched until it is witnessed again",
        limits::COSIGNATURE_FRESH_S / 3_600
    )]
    Stale {
        /// Unix seconds.
        at: Timestamp,
    },
    /// Its epoch is over, or still to come.
    #[error("epoch {epoch} lasts from {from} to {until}, and is not served at {now}")]
    Epoch {
        /// The epoch.
        epoch: Epoch,
        /// Its first second.
        from: Timestamp,
        /// The first one after it.
        until: Timestamp,
        /// The time.
        now: Timestamp,
    },
    /// Older than one that this client has seen.
    #[error(
        "the centre shows manifest {got} in {got_size} leaves; it showed {seen} in {seen_size} before"
    )]
    Rollback {
        /// The number of this one.
        got: u64,
        /// Leaves under its checkpoint.
        got_size: u64,
        /// The number of the newest seen.
        seen: u64,
        /// Leaves under its checkpoint.
        seen_size: u64,
    },
    /// Another one of the same number: two manifests, one log.
    #[error(
        "the centre showed another manifest {number} before: keep both, this is a fork of its log"
    )]
    Forked {
        /// The number of both.
        number: u64,
    },
}

impl Trust<'_> {
    /// Checks a manifest as a centre shows it: the signed bytes, a tlog-proof, the number of its leaf.
    ///
    /// # Errors
    /// [`ManifestFault`].
    pub fn check(&self, signed: &[u8], proof: &[u8], index: u64) -> Result<Logged, ManifestFault> {
        let Self { roster, now, .. } = *self;
        if roster.is_expired(now) {
            let version = roster.version;
            return Err(ManifestFault::RosterExpired { version });
        }
        let no_centre = || ManifestFault::NoCentre(self.centre.clone());
        let centre = roster.centre(self.centre).ok_or_else(no_centre)?;
        let manifest = Manifest::open(signed, centre)?;
        if manifest.network != roster.network {
            let (expected, got) = (roster.network, manifest.network);
            return Err(ManifestFault::Network { expected, got });
        }
        self.not_revoked(Manifest::signer(signed)?, centre, Some(index))?;
        let (size, witnessed_at) = self.logged(signed, proof, index, centre)?;
        if manifest.log_size > index {
            let got = manifest.log_size;
            return Err(ManifestFault::Size { got, index });
        }
        self.in_time(&manifest)?;
        Ok(Logged {
            manifest,
            hash: *blake3::hash(signed).as_bytes(),
            index,
            size,
            witnessed_at,
        })
    }

    /// Size of the log that holds the leaf, and when a quorum had seen that.
    fn logged(
        &self,
        signed: &[u8],
        proof: &[u8],
        index: u64,
        centre: &CentreEntry,
    ) -> Result<(u64, Option<Timestamp>), ManifestFault> {
        let proof = LogProof::from_text(proof)?;
        if proof.index() != index {
            let (expected, got) = (index, proof.index());
            return Err(ManifestFault::Index { expected, got });
        }
        let (_, kid) = SignedCheckpoint::open(proof.checkpoint(), centre, self.now)?;
        let mut keys = centre.keys_of(KeyUse::Log);
        let entry = keys.find(|entry| entry.key.key_id() == kid);
        let key = entry.ok_or(LogProofError::Log)?.key;
        let manifest = signed.to_vec();
        let leaf = Leaf::MatchEpoch { manifest }.to_bytes().unwrap_or_default();
        let size = proof.verify(&leaf, &log_key(&centre.origin, key))?.size;
        // A checkpoint of n leaves speaks of those below n.
        self.not_revoked(kid, centre, size.checked_sub(1))?;
        let standing = Cosigners::witnesses(self.roster, &centre.origin);
        let standing = standing.standing(proof.note(), size);
        if !standing.is_witnessed() {
            let (got, quorum) = (standing.cosigned.len(), standing.quorum);
            return Err(ManifestFault::NotWitnessed { got, quorum });
        }
        let at = standing.witnessed_at();
        let stale =
            |at: &Timestamp| at.get().saturating_add(limits::COSIGNATURE_FRESH_S) < self.now.get();
        match at.filter(stale) {
            Some(at) => Err(ManifestFault::Stale { at }),
            None => Ok((size, at)),
        }
    }

    fn not_revoked(
        &self,
        key: KeyId,
        centre: &CentreEntry,
        leaf: Option<u64>,
    ) -> Result<(), ManifestFault> {
        match (self.roster.revoked_from(&key, &centre.origin), leaf) {
            (None, _) => Ok(()),
            (Some(from), Some(leaf)) if leaf < from => Ok(()),
            (Some(from), _) => Err(ManifestFault::Revoked { key, from }),
        }
    }

    /// That the epoch is served: it has begun by a clock that may be behind, and its overlap is not over.
    fn in_time(&self, manifest: &Manifest) -> Result<(), ManifestFault> {
        let now = self.now.get();
        let begun = manifest.from.get() <= now.saturating_add(limits::CLOCK_SKEW_S);
        let end = manifest.until.get().saturating_add(limits::MATCH_OVERLAP_S);
        if begun && now < end {
            return Ok(());
        }
        Err(ManifestFault::Epoch {
            epoch: manifest.epoch,
            from: manifest.from,
            until: manifest.until,
            now: self.now,
        })
    }
}
