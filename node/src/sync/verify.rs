//! What a member checks of what it is sent: every step down to a key of the roster chain that its home pins.
//!
//! | what | by whom signed | what else |
//! |---|---|---|
//! | manifest | a `manifest` key of the centre that serves | of this network and member, fresh, not older than one seen |
//! | header | a `delta` key of its origin, valid when it was issued | of the log and number that were said |
//! | class | a `delta` key of its origin | of that log |
//! | records, retractions | follow from the header | the section's root, the way to `T` |
//!
//! A revocation counts in leaves of the origin's log. A member has no log: it takes the leaf's index from the serving centre
//! and refuses what is not before the cut-off. A centre that lies about the index is caught where it says less than the
//! delta's own number, and else by auditors, who hold the log; nor can a member see that a header was never logged.
//! Withdrawals and marks are the serving centre's word. In scope: signatures. Out of scope: bytes (`item`), the disk (`copy`).

use hashpact_keys::cose::CoseError;
use hashpact_keys::roster::CentreEntry;
use hashpact_keys::{CentreId, KeyId, KeyUse, Origin, Roster, RosterVersion, Timestamp};
use hashpact_protocol::delta::{Header, Retraction, Seq};
use hashpact_protocol::labels::{ClassDefinitions, ClassId, Labels, LabelsError};
use hashpact_protocol::limits;
use hashpact_protocol::log::{Leaf, LeafError};
use hashpact_protocol::record::{EntryId, Revision};
use hashpact_protocol::subset::{Manifest, ManifestError, PackError, SignedDelta};

use super::item::{Ended, Pack};

/// A manifest may be this much older or newer than the clock of this machine.
pub(super) const FRESH_S: u64 = 3_600;

/// What everything is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Trust<'a> {
    /// The newest roster of the member's home.
    pub roster: &'a Roster,
    /// The centre that serves this member.
    pub centre: &'a CentreId,
    /// The time.
    pub now: Timestamp,
}

/// The newest manifest that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) ledger: [u8; 8],
    pub(super) n: u64,
    pub(super) issued_at: Timestamp,
}

/// Why something is not taken. Nothing here shows a byte of a record.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Another centre's.
    #[error("the manifest is {got}'s, and this home is a member's of {expected}")]
    Centre {
        /// Ours.
        expected: CentreId,
        /// Whose it is.
        got: CentreId,
    },
    /// Too old or too new.
    #[error(
        "the manifest was signed at {issued_at}, and the clock here says {now}: either it is an old one, or a clock is wrong"
    )]
    NotFresh {
        /// When it was signed: Unix seconds.
        issued_at: Timestamp,
        /// The clock.
        now: Timestamp,
    },
    /// Older than one that was taken before.
    #[error("the server shows an older manifest than before: position {got} after {seen}")]
    Replayed {
        /// Its position.
        got: u64,
        /// The position of the newest one.
        seen: u64,
    },
    /// The header, a section or a list.
    #[error("delta {seq} of {origin}: {source}")]
    Pack {
        /// The log.
        origin: Origin,
        /// The delta.
        seq: Seq,
        /// What is wrong.
        source: PackError,
    },
    /// The header is of another delta than the one that was said.
    #[error("a header of another delta was sent for delta {seq} of {origin}")]
    Place {
        /// The log.
        origin: Origin,
        /// The delta.
        seq: Seq,
    },
    /// A leaf that cannot be where it is said to be.
    #[error("delta {seq} of {origin} is said to be leaf {index}, which is too early")]
    Index {
        /// The log.
        origin: Origin,
        /// The delta.
        seq: Seq,
        /// The leaf.
        index: u64,
    },
    /// Signed under a newer roster.
    #[error(
        "delta {seq} of {origin} was signed under roster {got}, ours is {ours}: take the newer one with `hashpact member rosters`"
    )]
    RosterAhead {
        /// The log.
        origin: Origin,
        /// The delta.
        seq: Seq,
        /// Ours.
        ours: RosterVersion,
        /// Its.
        got: RosterVersion,
    },
    /// Dated in the future.
    #[error("delta {seq} of {origin} is dated {issued_at}, more than a day after {now}")]
    Future {
        /// The log.
        origin: Origin,
        /// The delta.
        seq: Seq,
        /// Its date.
        issued_at: Timestamp,
        /// The clock.
        now: Timestamp,
    },
    /// Another number of records than the section has.
    #[error(
        "delta {seq} of {origin}: {got} records of class {class} are said, the origin signed {expected}"
    )]
    Count {
        /// The log.
        origin: Origin,
        /// The delta.
        seq: Seq,
        /// The class.
        class: ClassId,
        /// What was signed.
        expected: u64,
        /// What was said.
        got: u64,
    },
    /// The definition of a class.
    #[error("class {class} of {origin}: {source}")]
    Class {
        /// The log.
        origin: Origin,
        /// The class.
        class: ClassId,
        /// What is wrong.
        source: ClassFault,
    },
}

/// What is wrong with the definition of a class.
#[derive(Debug, thiserror::Error)]
pub enum ClassFault {
    /// The leaf.
    #[error(transparent)]
    Leaf(#[from] LeafError),
    /// A leaf of another kind.
    #[error("the leaf defines no classes")]
    Kind,
    /// What is signed.
    #[error(transparent)]
    Labels(#[from] LabelsError),
    /// No centre of the roster writes that log.
    #[error("no centre of the roster writes that log")]
    Origin,
    /// No such key.
    #[error("signed by a key that the centre does not have")]
    Key,
    /// The key was revoked.
    #[error("signed by key {key}, which is revoked from log size {from} on")]
    Revoked {
        /// The key.
        key: KeyId,
        /// The cut-off.
        from: u64,
    },
    /// The signature.
    #[error(transparent)]
    Signature(#[from] CoseError),
    /// Of another network or log.
    #[error("signed for another network or log")]
    Other,
    /// Not among those that the leaf defines.
    #[error("the leaf does not define it")]
    Missing,
}

impl Trust<'_> {
    /// The manifest, if it is the serving centre's, for this member, fresh, and no step back behind `seen`.
    pub(super) fn manifest(
        &self,
        signed: &[u8],
        member: &str,
        seen: Option<&Seen>,
    ) -> Result<Manifest, VerifyError> {
        let manifest = Manifest::open(signed, self.roster, member)?;
        if manifest.serving.centre() != self.centre {
            return Err(VerifyError::Centre {
                expected: self.centre.clone(),
                got: manifest.serving.centre().clone(),
            });
        }
        let issued_at = manifest.issued_at;
        if issued_at.get().abs_diff(self.now.get()) > FRESH_S {
            let now = self.now;
            return Err(VerifyError::NotFresh { issued_at, now });
        }
        match seen {
            Some(seen)
                if issued_at < seen.issued_at
                    || (manifest.ledger == seen.ledger && manifest.n < seen.n) =>
            {
                Err(VerifyError::Replayed {
                    got: manifest.n,
                    seen: seen.n,
                })
            }
            Some(_) | None => Ok(manifest),
        }
    }

    /// A delta's header, said to be leaf `index` of its log.
    pub(super) fn delta(
        &self,
        origin: &Origin,
        seq: Seq,
        (index, header): (u64, &[u8]),
    ) -> Result<SignedDelta, VerifyError> {
        let fault = |source| VerifyError::Pack {
            origin: origin.clone(),
            seq,
            source,
        };
        let got = Header::claimed_roster(header).map_err(|error| fault(error.into()))?;
        let ours = self.roster.version;
        if got > ours {
            let origin = origin.clone();
            return Err(VerifyError::RosterAhead {
                origin,
                seq,
                ours,
                got,
            });
        }
        let delta = SignedDelta::open(header, index, self.roster).map_err(fault)?;
        if delta.place() != (origin, seq) {
            let origin = origin.clone();
            return Err(VerifyError::Place { origin, seq });
        }
        // Each delta is a leaf, so a leaf's index is no less than the number of its delta.
        if index < seq.0 {
            let origin = origin.clone();
            return Err(VerifyError::Index { origin, seq, index });
        }
        let issued_at = delta.header().issued_at;
        if issued_at.get() > self.now.get().saturating_add(limits::CLOCK_SKEW_S) {
            return Err(VerifyError::Future {
                origin: origin.clone(),
                seq,
                issued_at,
                now: self.now,
            });
        }
        Ok(delta)
    }

    /// What a class is, by the leaf that defines it, which is said to be leaf `index` of the log.
    pub(super) fn class(
        &self,
        origin: &Origin,
        class: ClassId,
        (index, leaf): (u64, &[u8]),
    ) -> Result<Labels, VerifyError> {
        let labels = self.class_labels(origin, class, index, leaf);
        labels.map_err(|source| VerifyError::Class {
            origin: origin.clone(),
            class,
            source,
        })
    }

    fn class_labels(
        &self,
        origin: &Origin,
        class: ClassId,
        index: u64,
        leaf: &[u8],
    ) -> Result<Labels, ClassFault> {
        let Leaf::Classes { definitions } = Leaf::from_bytes(leaf)? else {
            return Err(ClassFault::Kind);
        };
        let envelope = ClassDefinitions::envelope(&definitions)?;
        let centre = self.roster.by_origin(origin).ok_or(ClassFault::Origin)?;
        let key = delta_key(centre, envelope.kid()).ok_or(ClassFault::Key)?;
        if let Some(from) = self.roster.revoked_from(&envelope.kid(), origin)
            && from <= index
        {
            let key = envelope.kid();
            return Err(ClassFault::Revoked { key, from });
        }
        let payload = envelope.verify(key)?;
        let defined = ClassDefinitions::from_payload(payload)?;
        if defined.network != self.roster.network || defined.origin != *origin {
            return Err(ClassFault::Other);
        }
        let mut classes = defined.classes.into_iter();
        let labels = classes.find(|(id, _)| *id == class);
        labels.map(|(_, labels)| labels).ok_or(ClassFault::Missing)
    }
}

/// A definition holds for ever, so a key that has been replaced since still counts.
fn delta_key(centre: &CentreEntry, key: KeyId) -> Option<&hashpact_keys::PublicKey> {
    let mut keys = centre.keys_of(KeyUse::Delta);
    let entry = keys.find(|entry| entry.key.key_id() == key);
    entry.map(|entry| &entry.key)
}

/// The entries of a section that its origin signed.
pub(super) fn pack(
    delta: &SignedDelta,
    pack: &Pack,
    labels: &Labels,
) -> Result<Vec<(EntryId, Revision)>, VerifyError> {
    let verified = delta.verify_pack((pack.class, labels), &pack.path, &pack.section);
    let verified = verified.map_err(|source| VerifyError::Pack {
        origin: pack.origin.clone(),
        seq: pack.seq,
        source,
    })?;
    if verified.count != pack.count {
        return Err(VerifyError::Count {
            origin: pack.origin.clone(),
            seq: pack.seq,
            class: pack.class,
            expected: verified.count,
            got: pack.count,
        });
    }
    let records = verified.records.iter();
    Ok(records
        .map(|record| (record.entry, record.revision))
        .collect())
}

/// All retractions of a delta that its origin signed.
pub(super) fn ended(delta: &SignedDelta, ended: &Ended) -> Result<Vec<Retraction>, VerifyError> {
    let list = delta.verify_retractions(&ended.path, &ended.list);
    list.map_err(|source| VerifyError::Pack {
        origin: ended.origin.clone(),
        seq: ended.seq,
        source,
    })
}
