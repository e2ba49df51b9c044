//! What the core reads of the disk, and what it asks to be written.
//!
//! Why: the core has no I/O. It reads through [`View`] and every change leaves as one [`Batch`], which the node makes
//! durable as a whole before anything that it promises is sent. Peers' bodies enter a batch only as [`AdmittedBody`].

use hashpact_keys::{KeyId, Origin, RosterVersion, SignedRoster, Timestamp};
use minicbor::{Decoder, Encoder};

use crate::Hash;
use crate::delta::{Body, Retraction, Seq};
use crate::labels::{ClassId, Labels};
use crate::log::{LogFile, SignedCheckpoint, empty_root};
use crate::psi::Epoch;
use crate::record::{EntryId, Revision};

/// Where one log stands on this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogState {
    /// Leaves stored.
    pub size: u64,
    /// Root over them.
    pub root: Hash,
    /// Newest checkpoint that is shown to continue what is stored; at least `size`. None before the first. Its note holds
    /// the cosignatures that are known, each verified.
    pub head: Option<SignedCheckpoint>,
    /// Newest checkpoint that a quorum of witnesses cosigned; at most `size`.
    pub witnessed: Option<SignedCheckpoint>,
    /// Deltas below this number stand under a witnessed checkpoint: their puts may act.
    pub witnessed_seq: Seq,
    /// Size up to which the log is not in dispute, once it was shown to be forked: nothing of it acts beyond, but
    /// retractions.
    pub frozen: Option<u64>,
    /// Version of the newest roster that the log names; none where an earlier version of this program wrote the state.
    pub roster: Option<RosterVersion>,
    /// Number of the next delta that the log will name.
    pub next_seq: Seq,
    /// What the next header's `prev` must be.
    pub prev: Hash,
    /// When the newest header was signed; the next one is not dated before it.
    pub issued_at: Timestamp,
    /// Number that the next class definition must have.
    pub next_class: u32,
    /// Version that the next policy document must have, from 1.
    pub next_policy: u64,
    /// Log index of the newest policy document.
    pub policy: Option<u64>,
    /// Number that the next match manifest must have, from 0.
    pub next_manifest: u64,
    /// Log index of the newest match manifest.
    pub manifest: Option<u64>,
    /// Match epoch of the newest match manifest; none begins before it.
    pub match_epoch: Epoch,
    /// Bodies below this number are applied.
    pub applied: Seq,
    /// Retractions below this number are applied; at least `applied`.
    pub retracted: Seq,
}

impl Default for LogState {
    fn default() -> Self {
        Self {
            size: 0,
            root: empty_root(),
            head: None,
            witnessed: None,
            witnessed_seq: Seq(0),
            frozen: None,
            roster: Some(RosterVersion::new(0)),
            next_seq: Seq(0),
            prev: [0; 32],
            issued_at: Timestamp::new(0),
            next_class: 0,
            next_policy: 1,
            policy: None,
            next_manifest: 0,
            manifest: None,
            match_epoch: Epoch(0),
            applied: Seq(0),
            retracted: Seq(0),
        }
    }
}

impl LogState {
    /// Size of the newest checkpoint known.
    #[must_use]
    pub fn head_size(&self) -> u64 {
        self.head.as_ref().map_or(0, |head| head.checkpoint().size)
    }

    /// The state's bytes, for the store.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let note = |head: &Option<SignedCheckpoint>| {
            let note = head.as_ref().map(SignedCheckpoint::note);
            note.unwrap_or_default().to_vec()
        };
        let mut e = Encoder::new(Vec::with_capacity(1024));
        // Writing to a Vec cannot fail.
        let _ = e
            .array(18)
            .and_then(|e| e.u64(self.size))
            .and_then(|e| e.bytes(&self.root))
            .and_then(|e| e.bytes(&note(&self.head)))
            .and_then(|e| e.u64(self.next_seq.0))
            .and_then(|e| e.bytes(&self.prev))
            .and_then(|e| e.u64(self.issued_at.get()))
            .and_then(|e| e.u32(self.next_class))
            .and_then(|e| e.u64(self.applied.0))
            .and_then(|e| e.u64(self.retracted.0))
            .and_then(|e| e.bytes(&note(&self.witnessed)))
            .and_then(|e| e.u64(self.witnessed_seq.0))
            .and_then(|e| match self.frozen {
                Some(size) => e.u64(size),
                None => e.null(),
            })
            .and_then(|e| match self.roster {
                Some(version) => e.u64(version.get()),
                None => e.null(),
            })
            .and_then(|e| e.u64(self.next_policy))
            .and_then(|e| match self.policy {
                Some(index) => e.u64(index),
                None => e.null(),
            })
            .and_then(|e| e.u64(self.next_manifest))
            .and_then(|e| match self.manifest {
                Some(index) => e.u64(index),
                None => e.null(),
            })
            .and_then(|e| e.u64(self.match_epoch.0));
        e.into_writer()
    }

    /// Reads what [`LogState::to_bytes`] wrote, or wrote before there were witnesses (9 fields), policies (13) or
    /// matching (15); `None` if it is damaged.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut d = Decoder::new(bytes);
        let fields = d.array().ok()??;
        let head = |note: &[u8]| match note {
            [] => Some(None),
            note => SignedCheckpoint::from_store(note).ok().map(Some),
        };
        let mut state = Self {
            size: d.u64().ok()?,
            root: d.bytes().ok()?.try_into().ok()?,
            head: head(d.bytes().ok()?)?,
            next_seq: Seq(d.u64().ok()?),
            prev: d.bytes().ok()?.try_into().ok()?,
            issued_at: Timestamp::new(d.u64().ok()?),
            next_class: d.u32().ok()?,
            applied: Seq(d.u64().ok()?),
            retracted: Seq(d.u64().ok()?),
            ..Self::default()
        };
        match fields {
            9 => {
                state.roster = None;
                Some(state)
            }
            13 | 15 | 18 => {
                state.witnessed = head(d.bytes().ok()?)?;
                state.witnessed_seq = Seq(d.u64().ok()?);
                state.frozen = optional(&mut d)?;
                state.roster = optional(&mut d)?.map(RosterVersion::new);
                if fields > 13 {
                    state.next_policy = d.u64().ok()?;
                    state.policy = optional(&mut d)?;
                }
                if fields > 15 {
                    state.next_manifest = d.u64().ok()?;
                    state.manifest = optional(&mut d)?;
                    state.match_epoch = Epoch(d.u64().ok()?);
                }
                Some(state)
            }
            _ => None,
        }
    }
}

/// A number, or null.
fn optional(d: &mut Decoder<'_>) -> Option<Option<u64>> {
    if d.datatype().ok()? == minicbor::data::Type::Null {
        d.null().ok()?;
        return Some(None);
    }
    d.u64().ok().map(Some)
}

/// What the core may read. Everything in it was written by a committed [`Batch`].
pub trait View {
    /// Where a log stands; the default state for one that is unknown.
    fn log(&self, origin: &Origin) -> LogState;
    /// A file of a log, by its path below the log's folder.
    fn log_file(&self, origin: &Origin, path: &str) -> Option<Vec<u8>>;
    /// The log index at which a delta's header stands.
    fn delta_index(&self, origin: &Origin, seq: Seq) -> Option<u64>;
    /// The labels of a class.
    fn class(&self, origin: &Origin, class: ClassId) -> Option<Labels>;
    /// The signed bytes of a roster that is or was in force.
    fn roster(&self, version: RosterVersion) -> Option<Vec<u8>>;
    /// The proof that a log was forked, if one is known.
    fn fork(&self, origin: &Origin) -> Option<Vec<u8>>;
    /// Whether this node must not cosign with a key any more: its memory of what it cosigned is an old one.
    fn is_retired(&self, key: &KeyId) -> bool;
    /// The newest signed policy documents of a log, at most so many, by their log indices, ascending.
    fn policies(&self, origin: &Origin, newest: usize) -> Vec<(u64, Vec<u8>)>;
    /// The newest signed match manifests of a log, at most so many and at most [`MANIFESTS_KEPT`](crate::limits::MANIFESTS_KEPT), by their log
    /// indices, ascending.
    fn manifests(&self, origin: &Origin, newest: usize) -> Vec<(u64, Vec<u8>)>;
    /// What is held of a delta, class by class in order; `None` if its body is not stored.
    fn holdings(&self, origin: &Origin, seq: Seq) -> Option<Vec<Holding>>;
    /// The delta and the class in which a revision of an entry stands here, retracted or not; without a revision the newest
    /// one's.
    fn place_of(
        &self,
        origin: &Origin,
        entry: EntryId,
        revision: Option<Revision>,
    ) -> Option<(Seq, ClassId)>;
    /// A small object that was kept.
    fn kept(&self, shelf: Shelf, key: &[u8]) -> Option<Vec<u8>>;
    /// What is kept on a shelf under keys that begin with `prefix`, by key.
    fn shelf(&self, shelf: Shelf, prefix: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)>;
}

/// Where the small objects of the core stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shelf {
    /// Transfer statements with the salts of their disclosure records, by hash.
    Statement = 1,
    /// Which class was given to whom.
    Given = 2,
    /// Recalls, ours and others', with their acknowledgements.
    Recall = 3,
    /// Which class is withheld here, by whom and why.
    Withheld = 4,
    /// Attestations.
    Attestation = 5,
    /// The members of this centre.
    Member = 6,
    /// What was asked of matching here, by whom, and the groups that were numbered.
    Quota = 7,
    /// Records of match sessions, with the salts under which they are logged.
    MatchSession = 8,
    /// Objects that travel beside deltas, by hash; ours with the salts under which they are logged.
    Evidence = 9,
    /// By what those objects are found, and what is on its way to whom.
    Mark = 10,
}

/// How much of a class of one delta is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Every record.
    All,
    /// Some, as others were purged.
    Some,
    /// None: the class is withheld.
    None,
}

/// One class of a stored body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The class.
    pub class: ClassId,
    /// Records that its origin signed for.
    pub count: u64,
    /// How many of them are here.
    pub held: Held,
}

/// The disk gave other bytes than were written, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the store is damaged: what it gave back is not what was written")]
pub struct Damaged;

/// A delta's body that may be stored: its own origin made it, or policy admitted it.
#[derive(Debug)]
pub struct AdmittedBody {
    pub(crate) origin: Origin,
    pub(crate) seq: Seq,
    pub(crate) body: Body,
}

impl AdmittedBody {
    /// The log.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The delta.
    #[must_use]
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &Body {
        &self.body
    }
}

/// One change, durable as a whole.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a batch has a handful of them, and most are states"
)]
pub enum Write {
    /// A log grows. The store compares `from` with the size that it holds and refuses anything else.
    Log {
        /// The log.
        origin: Origin,
        /// Leaves before.
        from: u64,
        /// Tiles and bundles.
        files: Vec<LogFile>,
        /// The deltas among the new leaves, with their log indices.
        deltas: Vec<(Seq, u64)>,
        /// The classes that the new leaves define.
        classes: Vec<(ClassId, Labels)>,
        /// The signed policy documents among the new leaves, by log index.
        policies: Vec<(u64, Vec<u8>)>,
        /// The signed match manifests among the new leaves, by log index. A store keeps the newest
        /// [`MANIFESTS_KEPT`](crate::limits::MANIFESTS_KEPT) of a log.
        manifests: Vec<(u64, Vec<u8>)>,
    },
    /// A body arrives.
    Body(AdmittedBody),
    /// A later body of a delta whose body is stored: classes disclosed in it that are not held join those that are.
    Widen(AdmittedBody),
    /// Classes of a stored body are withheld from now on: records, seeds and whatever leads to them are destroyed.
    Narrow {
        /// The log.
        origin: Origin,
        /// The delta.
        seq: Seq,
        /// The classes, ascending.
        classes: Vec<ClassId>,
    },
    /// Single records of a stored body are destroyed; their leaf hashes stay.
    Purge {
        /// The log.
        origin: Origin,
        /// The delta.
        seq: Seq,
        /// The entries.
        entries: Vec<EntryId>,
    },
    /// A small object of the core; none removes it.
    Keep {
        /// Where it stands.
        shelf: Shelf,
        /// Its key there.
        key: Vec<u8>,
        /// Its bytes.
        value: Option<Vec<u8>>,
    },
    /// Retractions arrive without their delta's records.
    Retractions {
        /// The log.
        origin: Origin,
        /// The delta.
        seq: Seq,
        /// What ends.
        list: Vec<Retraction>,
    },
    /// Where a log stands after the batch.
    State {
        /// The log.
        origin: Origin,
        /// The state.
        state: LogState,
    },
    /// The roster in force.
    Roster(SignedRoster),
    /// The proof that a log was forked.
    Fork {
        /// The log.
        origin: Origin,
        /// The proof's text.
        proof: Vec<u8>,
    },
    /// A key of this node's that must not cosign any more.
    Retire(KeyId),
}

/// Changes that become durable together, in order.
#[derive(Debug, Default)]
pub struct Batch {
    writes: Vec<Write>,
}

impl Batch {
    pub(crate) fn push(&mut self, write: Write) {
        self.writes.push(write);
    }

    pub(crate) fn extend(&mut self, writes: impl IntoIterator<Item = Write>) {
        self.writes.extend(writes);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// The changes, in order.
    #[must_use]
    pub fn into_writes(self) -> Vec<Write> {
        self.writes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_of_earlier_versions_read_as_before_policies_and_matching() {
        let state = LogState {
            next_policy: 4,
            policy: Some(9),
            next_manifest: 2,
            manifest: Some(11),
            match_epoch: Epoch(3),
            roster: Some(RosterVersion::new(2)),
            ..LogState::default()
        };
        let bytes = state.to_bytes();
        assert_eq!(LogState::from_bytes(&bytes), Some(state.clone()));
        // The fields behind the last old one are one byte each here.
        let of = |fields: u8, cut: usize| {
            let mut old = bytes[..bytes.len() - cut].to_vec();
            old[0] = 0x80 | fields;
            LogState::from_bytes(&old)
        };
        assert_eq!(bytes[0], 0x92);
        let before_matching = LogState {
            next_manifest: 0,
            manifest: None,
            match_epoch: Epoch(0),
            ..state.clone()
        };
        assert_eq!(of(15, 3), Some(before_matching.clone()));
        let before_policies = LogState {
            next_policy: 1,
            policy: None,
            ..before_matching
        };
        assert_eq!(of(13, 5), Some(before_policies));
        assert_eq!(of(14, 4), None);
        assert_eq!(of(17, 1), None);
    }
}
