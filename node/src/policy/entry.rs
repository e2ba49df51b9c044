//! What is computed of one entry, for decisions that are taken for each: publish, match, reveal.
//!
//! Why: whether an entry has a quorum is the word of several centres, so it is computed from what they signed, and each
//! signature is checked here. Disputes and holds are what this centre's own node knows of them. In scope: a record proof, files
//! of attestations and those that the node keeps. Out of scope: the formulas (`hashpact_protocol::assess`), how all of these
//! travel (`hashpact_protocol::evidence`).

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use hashpact_keys::roster::{CentreEntry, Roster};
use hashpact_keys::{KeyId, NetworkId, Timestamp};
use hashpact_protocol::assess::{
    Attestation, AttestationError, Attested, Count, EntryFacts, Evidence, OpenDispute, Quorum,
    Severity, Stated, Subject, count, severity,
};
use hashpact_protocol::delta::{RecordProof, RecordProofError};
use hashpact_protocol::labels::{ClassId, Labels};
use hashpact_protocol::lists::Set;
use hashpact_protocol::record::{Record, RecordError};

use crate::armor::{ArmorError, Kind};

/// Bytes of an armored attestation.
const FILE_LEN: u64 = 4 * 1024;

/// An entry whose record its origin signed for.
#[derive(Debug)]
pub struct Entry {
    subject: Subject,
    record: Record,
    class: ClassId,
}

/// What the node keeps that others say of an entry.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// Signed attestations.
    pub attestations: Vec<Vec<u8>>,
    /// Disputes that stand, and one for each centre whose error it shares.
    pub disputes: Vec<OpenDispute>,
    /// Whether it is held.
    pub hold: bool,
}

/// What is computed of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// What policy is told.
    pub facts: EntryFacts,
    /// Who agrees with its origin.
    pub count: Count,
    /// The tiers that it could have.
    pub severity: Set<Severity>,
}

/// Why nothing is known of an entry.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// The proof does not hold.
    #[error(transparent)]
    Proof(#[from] RecordProofError),
    /// The record does not read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Of another network.
    #[error("the record is of network {got}, the roster of {expected}")]
    Network {
        /// The roster's.
        expected: NetworkId,
        /// The record's.
        got: NetworkId,
    },
    /// Signed by a key that is revoked: a proof of one record does not show that it was signed before.
    #[error(
        "the key {key} that signed for the record is revoked: prove its leaf with `audit prove`"
    )]
    Revoked {
        /// The key.
        key: KeyId,
    },
    /// A file that cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that holds no attestation.
    #[error("{path}: {source}", path = path.display())]
    Armor {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ArmorError,
    },
    /// An attestation that does not count.
    #[error("{path}: {source}", path = path.display())]
    Attestation {
        /// The file.
        path: PathBuf,
        /// Why.
        source: AttestationError,
    },
    /// An attestation of another record: it would count for nothing, and somebody took it for one of this.
    #[error("{path}: it attests another record or revision", path = path.display())]
    Another {
        /// The file.
        path: PathBuf,
    },
}

impl Entry {
    /// The entry of a proof, under the keys of its origin.
    ///
    /// # Errors
    /// [`EntryError`].
    pub fn prove(
        proof: &RecordProof,
        origin: &CentreEntry,
        roster: &Roster,
    ) -> Result<Self, EntryError> {
        let proven = proof.verify(origin)?;
        if proven.network != roster.network {
            return Err(EntryError::Network {
                expected: roster.network,
                got: proven.network,
            });
        }
        let key = proven.signer;
        if roster.revocations.iter().any(|entry| entry.key == key) {
            return Err(EntryError::Revoked { key });
        }
        Ok(Self {
            subject: Subject::from(&proven),
            record: Record::from_bytes(proof.record())?,
            class: proven.class,
        })
    }

    /// Its class.
    #[must_use]
    pub fn class(&self) -> ClassId {
        self.class
    }

    /// What is computed of it from attestations, and from disputes and a hold. `labels` are those of its class.
    #[must_use]
    pub fn known(&self, labels: &Labels, attestations: &[Attested], said: &Said) -> Known {
        let stated = Stated {
            subject: &self.subject,
            labels,
            fields: &self.record.fields,
        };
        let evidence = Evidence {
            attestations,
            disputes: &said.disputes,
            hold: said.hold,
            quorum: Quorum::TWO_OF_TWO,
        };
        Known {
            facts: EntryFacts::of(&stated, &evidence),
            count: count(&stated, attestations),
            severity: severity(&self.record.fields.features),
        }
    }

    /// Opens the attestations that the node keeps; those of other revisions, or that the roster in force takes for void, are
    /// passed over.
    #[must_use]
    pub fn kept(&self, said: &Said, roster: &Roster, now: Timestamp) -> Vec<Attested> {
        let opened = said.attestations.iter();
        let opened = opened.filter_map(|signed| Attestation::open(signed, roster, now).ok());
        opened
            .filter(|it| it.attestation().subject == self.subject)
            .collect()
    }

    /// Opens files of attestations of this entry. Each must count: a wrong one among them is told, not passed over.
    ///
    /// # Errors
    /// [`EntryError`] with the file.
    pub fn attestations(
        &self,
        files: &[PathBuf],
        roster: &Roster,
        now: Timestamp,
    ) -> Result<Vec<Attested>, EntryError> {
        let open = |path: &PathBuf| {
            let attested = Attestation::open(&read(path)?, roster, now);
            let attested = attested.map_err(|source| EntryError::Attestation {
                path: path.clone(),
                source,
            })?;
            if attested.attestation().subject != self.subject {
                return Err(EntryError::Another { path: path.clone() });
            }
            Ok(attested)
        };
        files.iter().map(open).collect()
    }
}

fn read(path: &Path) -> Result<Vec<u8>, EntryError> {
    let io = |source| EntryError::Io {
        path: path.to_owned(),
        source,
    };
    let mut text = String::new();
    let file = File::open(path).map_err(io)?;
    file.take(FILE_LEN).read_to_string(&mut text).map_err(io)?;
    Kind::Attestation
        .unwrap(&text)
        .map_err(|source| EntryError::Armor {
            path: path.to_owned(),
            source,
        })
}

#[cfg(test)]
mod tests;
