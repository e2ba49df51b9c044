//! What came from outside climbs here: `Received -> Verified`.
//!
//! A piece of a log is verified against a checkpoint that its origin signed; a body against a table that the log holds.
//! Nothing in this module decides whether something may be kept (`policy`).

use hashpact_keys::cose::CoseError;
use hashpact_keys::roster::CentreEntry;
use hashpact_keys::{KeyId, KeyUse, NetworkId, Origin, Roster, RosterVersion, Timestamp};

use crate::delta::{
    Body, BodyError, ClassTable, Expected, Header, HeaderError, Retraction, Seq, verify_retractions,
};
use crate::labels::{ClassDefinitions, ClassId, Labels, LabelsError};
use crate::limits;
use crate::log::{
    AppendError, Checkpoint, Leaf, LeafError, LogFile, LogFiles, TreeError, check_consistency, grow,
};
use crate::policy::{PolicyDocument, PolicyDocumentError, VerifiedBody};
use crate::psi::{Epoch, Manifest, ManifestError};
use crate::view::LogState;
use crate::wire::{Suffix, WireError};

/// Bytes of a body as they came.
pub struct ReceivedBody(pub Vec<u8>);

impl ReceivedBody {
    /// Verifies the bytes against the table that the origin signed. Heavy: O(bytes) hashing; a job, not for the loop.
    ///
    /// # Errors
    /// [`BodyError`].
    pub fn verify(self, expected: &Expected) -> Result<VerifiedBody, BodyError> {
        let body = Body::verify(self.0, expected)?;
        Ok(VerifiedBody {
            origin: expected.origin.clone(),
            seq: expected.seq,
            body,
        })
    }

    /// Verifies bytes that are the retraction section alone.
    ///
    /// # Errors
    /// [`BodyError`].
    pub fn verify_retractions(self, expected: &Expected) -> Result<Vec<Retraction>, BodyError> {
        verify_retractions(&self.0, expected)
    }
}

/// Why a piece of a log is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SuffixError {
    /// Its bytes.
    #[error("suffix: {0}")]
    Wire(#[from] WireError),
    /// It starts elsewhere than asked.
    #[error("suffix: starts at {got}, expected {expected}")]
    From {
        /// Leaves held.
        expected: u64,
        /// What it says.
        got: u64,
    },
    /// It runs past the checkpoint.
    #[error("suffix: runs to {got}, the checkpoint counts {expected}")]
    Past {
        /// Size of the checkpoint.
        expected: u64,
        /// Where it ends.
        got: u64,
    },
    /// The log with these leaves is not continued by the checkpoint.
    #[error("suffix: {0}")]
    Tree(#[from] TreeError),
    /// A leaf of the log is not acceptable, although its origin committed to it.
    #[error("leaf {index}: {source}")]
    Leaf {
        /// The leaf.
        index: u64,
        /// The fault.
        source: LeafFault,
    },
}

/// Why a leaf that its origin committed to is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeafFault {
    /// Its bytes.
    #[error(transparent)]
    Leaf(#[from] LeafError),
    /// Its header.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// Its class definitions.
    #[error(transparent)]
    Labels(#[from] LabelsError),
    /// Of another network.
    #[error("of network {got}, expected {expected}")]
    Network {
        /// Ours.
        expected: NetworkId,
        /// Theirs.
        got: NetworkId,
    },
    /// Signed for another log.
    #[error("signed for log {got}, expected {expected}")]
    Origin {
        /// The log that it stands in.
        expected: Origin,
        /// The log that it names.
        got: Origin,
    },
    /// A gap, a repetition or a reordering.
    #[error("sequence: expected {expected}, got {got}")]
    Sequence {
        /// Number that the log is at.
        expected: Seq,
        /// Number of the header.
        got: Seq,
    },
    /// The header does not continue the one before it.
    #[error("the header does not commit to the one before it")]
    Prev,
    /// The table is not the one that the header commits to.
    #[error("the class table is not the one that the header commits to")]
    Table,
    /// The table's counts do not sum to the header's total.
    #[error("the classes count {got} records, the header {expected}")]
    Total {
        /// What the header says.
        expected: u64,
        /// What the table says.
        got: u64,
    },
    /// A class without a definition before it.
    #[error("class {class} is used before it is defined")]
    UndefinedClass {
        /// The class.
        class: ClassId,
    },
    /// A class defined twice or out of order: definitions are write-once and consecutive.
    #[error("class definition {got}, expected {expected}")]
    ClassOrder {
        /// The next number.
        expected: u32,
        /// The number given.
        got: u16,
    },
    /// A policy that is not in the log before the header.
    #[error("policy at log index {got}, but the header stands at {at}")]
    PolicyRef {
        /// Index of the header.
        at: u64,
        /// Index that it names.
        got: u64,
    },
    /// Its policy document.
    #[error(transparent)]
    Policy(#[from] PolicyDocumentError),
    /// A policy document out of order: their versions count up by one.
    #[error("policy document of version {got}, expected {expected}")]
    PolicyVersion {
        /// The next version.
        expected: u64,
        /// The version given.
        got: u64,
    },
    /// Its match manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A match manifest out of order: their numbers count up by one.
    #[error("match manifest {got}, expected {expected}")]
    ManifestNumber {
        /// The next number.
        expected: u64,
        /// The number given.
        got: u64,
    },
    /// A match manifest of an epoch before the newest one.
    #[error("match manifest of epoch {got}, after one of epoch {last}")]
    ManifestEpoch {
        /// The newest epoch.
        last: Epoch,
        /// The epoch given.
        got: Epoch,
    },
    /// A match manifest that covers leaves behind its own.
    #[error("match manifest over {got} leaves, but it stands at {at}")]
    ManifestSize {
        /// Its index.
        at: u64,
        /// Leaves that it names.
        got: u64,
    },
    /// A resumption that is not the first leaf of a later log of the same centre.
    #[error("leaf {index} says that this log takes the place of another, which it cannot there")]
    Resumed {
        /// Its index.
        index: u64,
    },
    /// A log that takes the place of a forked one, and does not begin by saying what is known of that.
    #[error(
        "the log takes the place of {old}, which stands up to size {expected}, and does not say so"
    )]
    Resumption {
        /// The log that was closed.
        old: Origin,
        /// Leaves of it that are not in dispute.
        expected: u64,
    },
    /// Dated in the future by more than a day.
    #[error("issued at {got}, more than a day after {now}")]
    Future {
        /// Our time.
        now: Timestamp,
        /// Its time.
        got: Timestamp,
    },
    /// Dated before the header before it: time does not run backwards in a log.
    #[error("issued at {got}, before the header before it at {last}")]
    Backdated {
        /// Time of the header before it.
        last: Timestamp,
        /// Its time.
        got: Timestamp,
    },
    /// Signed under a roster that is newer than ours.
    #[error("signed under roster {got}, ours is {ours}: apply the newer roster")]
    RosterAhead {
        /// Our version.
        ours: RosterVersion,
        /// Its version.
        got: RosterVersion,
    },
    /// The key was revoked from a smaller log size on.
    #[error("signed by key {key}, which is revoked from log size {from} on")]
    Revoked {
        /// The key.
        key: KeyId,
        /// The cut-off.
        from: u64,
    },
    /// No delta key of the centre signed the class definitions.
    #[error("class definitions: {0}")]
    Definitions(CoseError),
    /// No such delta key.
    #[error("class definitions are signed by a key that the centre does not have")]
    DefinitionsKey,
}

/// A piece of a log that is shown to be its origin's.
#[derive(Debug)]
pub(crate) struct VerifiedSuffix {
    pub(crate) files: Vec<LogFile>,
    pub(crate) deltas: Vec<(Seq, u64)>,
    pub(crate) classes: Vec<(ClassId, Labels)>,
    pub(crate) policies: Vec<(u64, Vec<u8>)>,
    pub(crate) manifests: Vec<(u64, Vec<u8>)>,
    pub(crate) state: LogState,
}

/// Who a log belongs to, and what it is checked under.
pub(crate) struct Origins<'a> {
    pub(crate) roster: &'a Roster,
    pub(crate) centre: &'a CentreEntry,
    pub(crate) now: Timestamp,
}

/// Verifies a piece of a log that continues `state` towards `target`, whose signature is checked already.
pub(crate) fn suffix<F: LogFiles>(
    bytes: &[u8],
    files: &F,
    state: &LogState,
    target: &Checkpoint,
    origins: &Origins<'_>,
) -> Result<VerifiedSuffix, SuffixError> {
    let piece = Suffix::from_bytes(bytes)?;
    if piece.from != state.size {
        return Err(SuffixError::From {
            expected: state.size,
            got: piece.from,
        });
    }
    let got = piece.from + piece.leaves.len() as u64;
    if got > target.size {
        return Err(SuffixError::Past {
            expected: target.size,
            got,
        });
    }
    let grown = grow(files, state.size, &piece.leaves).map_err(append_error)?;
    check_consistency(
        &piece.proof,
        (grown.size, &grown.root),
        (target.size, &target.root),
    )?;
    let mut walk = Walk::from(state.clone(), origins);
    let good = walk.leaves(&piece.leaves)?;
    // What stands before a bad leaf is kept, however pieces are cut; the next piece begins with it.
    let grown = if good < piece.leaves.len() {
        grow(files, state.size, &piece.leaves[..good]).map_err(append_error)?
    } else {
        grown
    };
    let Walk {
        mut state,
        deltas,
        classes,
        policies,
        manifests,
        ..
    } = walk;
    state.size = grown.size;
    state.root = grown.root;
    Ok(VerifiedSuffix {
        files: grown.files,
        deltas,
        classes,
        policies,
        manifests,
        state,
    })
}

fn append_error(error: AppendError) -> SuffixError {
    match error {
        AppendError::Tree(error) => SuffixError::Tree(error),
        AppendError::Leaf { .. } | AppendError::Full => SuffixError::Wire(WireError::Shape),
    }
}

/// Reads leaves in order and keeps what the next one is checked against.
pub(crate) struct Walk<'a> {
    pub(crate) origins: &'a Origins<'a>,
    pub(crate) state: LogState,
    pub(crate) deltas: Vec<(Seq, u64)>,
    pub(crate) classes: Vec<(ClassId, Labels)>,
    pub(crate) policies: Vec<(u64, Vec<u8>)>,
    pub(crate) manifests: Vec<(u64, Vec<u8>)>,
}

impl<'a> Walk<'a> {
    /// A walk that goes on where a log stands.
    pub(crate) fn from(state: LogState, origins: &'a Origins<'a>) -> Self {
        Self {
            origins,
            state,
            deltas: Vec::new(),
            classes: Vec::new(),
            policies: Vec::new(),
            manifests: Vec::new(),
        }
    }

    /// Reads leaves up to the first bad one and says how many; a bad first one is an error.
    fn leaves(&mut self, leaves: &[Vec<u8>]) -> Result<usize, SuffixError> {
        for (at, leaf) in leaves.iter().enumerate() {
            let before = (self.state.clone(), self.classes.len());
            let index = self.state.size + at as u64;
            if let Err(source) = self.leaf(index, leaf) {
                if at == 0 {
                    return Err(SuffixError::Leaf { index, source });
                }
                self.state = before.0;
                self.classes.truncate(before.1);
                return Ok(at);
            }
        }
        Ok(leaves.len())
    }

    fn leaf(&mut self, index: u64, bytes: &[u8]) -> Result<(), LeafFault> {
        match Leaf::from_bytes(bytes)? {
            Leaf::Delta { header, table } => self.delta(index, &header, &table),
            Leaf::Classes { definitions } => self.classes(index, &definitions),
            // Only the first leaf of a log may say what it takes the place of, and only of the same centre's.
            Leaf::Resumed { origin, .. } => {
                let own = &self.origins.centre.origin;
                let follows = origin.centre() == own.centre() && origin.epoch() < own.epoch();
                if index == 0 && follows {
                    Ok(())
                } else {
                    Err(LeafFault::Resumed { index })
                }
            }
            Leaf::Roster { version, .. } => {
                self.state.roster = Some(version);
                Ok(())
            }
            Leaf::Policy { document } => self.policy(index, &document),
            Leaf::MatchEpoch { manifest } => self.manifest(index, &manifest),
            // What they seal is between the two sides, and kinds of later versions change nothing here.
            Leaf::Disclosure { .. }
            | Leaf::MatchSession { .. }
            | Leaf::Commitment { .. }
            | Leaf::Other(_) => Ok(()),
        }
    }

    pub(crate) fn delta(
        &mut self,
        index: u64,
        signed: &[u8],
        table: &ClassTable,
    ) -> Result<(), LeafFault> {
        let Origins {
            roster,
            centre,
            now,
        } = *self.origins;
        // Before the key is looked up: a newer roster may hold a key that ours does not.
        let got = Header::claimed_roster(signed)?;
        if got > roster.version {
            return Err(LeafFault::RosterAhead {
                ours: roster.version,
                got,
            });
        }
        let header = Header::open(signed, centre)?;
        self.place(header.network, &header.origin)?;
        let expected = self.state.next_seq;
        if header.seq != expected {
            return Err(LeafFault::Sequence {
                expected,
                got: header.seq,
            });
        }
        if header.prev != self.state.prev {
            return Err(LeafFault::Prev);
        }
        if header.table != table.root() {
            return Err(LeafFault::Table);
        }
        if header.total != table.records() {
            return Err(LeafFault::Total {
                expected: header.total,
                got: table.records(),
            });
        }
        let undefined =
            |entry: &&crate::delta::ClassEntry| u32::from(entry.class.0) >= self.state.next_class;
        if let Some(entry) = table.classes.iter().find(undefined) {
            return Err(LeafFault::UndefinedClass { class: entry.class });
        }
        if let Some(got) = header.policy_ref.filter(|got| *got >= index) {
            return Err(LeafFault::PolicyRef { at: index, got });
        }
        if header.issued_at.get() > now.get().saturating_add(limits::CLOCK_SKEW_S) {
            return Err(LeafFault::Future {
                now,
                got: header.issued_at,
            });
        }
        let last = self.state.issued_at;
        if header.issued_at < last {
            return Err(LeafFault::Backdated {
                last,
                got: header.issued_at,
            });
        }
        let kid = Header::signer(signed)?;
        self.not_revoked(kid, index)?;
        self.state.prev = Header::chain_hash(signed);
        self.state.issued_at = header.issued_at;
        self.state.next_seq = Seq(header.seq.0 + 1);
        self.deltas.push((header.seq, index));
        Ok(())
    }

    pub(crate) fn classes(&mut self, index: u64, signed: &[u8]) -> Result<(), LeafFault> {
        let centre = self.origins.centre;
        let envelope = ClassDefinitions::envelope(signed)?;
        let keys = &mut centre.keys_of(KeyUse::Delta);
        // A definition holds for ever, so a key that has been replaced since still counts.
        let entry = keys.find(|entry| entry.key.key_id() == envelope.kid());
        let entry = entry.ok_or(LeafFault::DefinitionsKey)?;
        let payload = envelope
            .verify(&entry.key)
            .map_err(LeafFault::Definitions)?;
        self.not_revoked(envelope.kid(), index)?;
        let definitions = ClassDefinitions::from_payload(payload)?;
        self.place(definitions.network, &definitions.origin)?;
        for (class, labels) in definitions.classes {
            let expected = self.state.next_class;
            // 65,535 is no class, so that the count of classes fits 16 bits.
            if u32::from(class.0) != expected || class.0 == u16::MAX {
                return Err(LeafFault::ClassOrder {
                    expected,
                    got: class.0,
                });
            }
            if !labels.residency.contains(&centre.jurisdiction) {
                return Err(LabelsError::Residency.into());
            }
            self.state.next_class += 1;
            self.classes.push((class, labels));
        }
        Ok(())
    }

    /// A policy document is its origin's: what it says is for those who decide under it, and whatever it is, the log goes
    /// on behind it.
    pub(crate) fn policy(&mut self, index: u64, signed: &[u8]) -> Result<(), LeafFault> {
        let Origins { centre, now, .. } = *self.origins;
        let document = PolicyDocument::open(signed, centre)?;
        self.place(document.network, &document.origin)?;
        let (expected, got) = (self.state.next_policy, document.version);
        if got != expected {
            return Err(LeafFault::PolicyVersion { expected, got });
        }
        let got = document.issued_at;
        if got.get() > now.get().saturating_add(limits::CLOCK_SKEW_S) {
            return Err(LeafFault::Future { now, got });
        }
        for kid in PolicyDocument::signers(signed)? {
            self.not_revoked(kid, index)?;
        }
        self.state.next_policy = expected.saturating_add(1);
        self.state.policy = Some(index);
        self.policies.push((index, signed.to_vec()));
        Ok(())
    }

    /// What a centre says that it matches: the same for everyone, as it stands in the log.
    pub(crate) fn manifest(&mut self, index: u64, signed: &[u8]) -> Result<(), LeafFault> {
        let Origins { centre, now, .. } = *self.origins;
        let manifest = Manifest::open(signed, centre)?;
        self.place(manifest.network, &manifest.origin)?;
        let (expected, got) = (self.state.next_manifest, manifest.number);
        if got != expected {
            return Err(LeafFault::ManifestNumber { expected, got });
        }
        let (last, got) = (self.state.match_epoch, manifest.epoch);
        if got < last {
            return Err(LeafFault::ManifestEpoch { last, got });
        }
        if manifest.log_size > index {
            return Err(LeafFault::ManifestSize {
                at: index,
                got: manifest.log_size,
            });
        }
        let mut classes = manifest.groups.iter().flat_map(|group| &group.classes);
        let undefined = classes.find(|class| u32::from(class.0) >= self.state.next_class);
        if let Some(class) = undefined.copied() {
            return Err(LeafFault::UndefinedClass { class });
        }
        let got = manifest.issued_at;
        if got.get() > now.get().saturating_add(limits::CLOCK_SKEW_S) {
            return Err(LeafFault::Future { now, got });
        }
        self.not_revoked(Manifest::signer(signed)?, index)?;
        self.state.next_manifest = expected.saturating_add(1);
        self.state.manifest = Some(index);
        self.state.match_epoch = manifest.epoch;
        self.manifests.push((index, signed.to_vec()));
        Ok(())
    }

    fn place(&self, network: NetworkId, origin: &Origin) -> Result<(), LeafFault> {
        let Origins { roster, centre, .. } = self.origins;
        if network != roster.network {
            return Err(LeafFault::Network {
                expected: roster.network,
                got: network,
            });
        }
        if *origin != centre.origin {
            let (expected, got) = (centre.origin.clone(), origin.clone());
            return Err(LeafFault::Origin { expected, got });
        }
        Ok(())
    }

    fn not_revoked(&self, key: KeyId, index: u64) -> Result<(), LeafFault> {
        let Origins { roster, centre, .. } = self.origins;
        match roster.revoked_from(&key, &centre.origin) {
            Some(from) if index >= from => Err(LeafFault::Revoked { key, from }),
            Some(_) | None => Ok(()),
        }
    }
}
