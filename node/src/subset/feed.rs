//! What a gateway is told about a member's subset: the words of the questions and answers.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use hashpact_keys::{CentreId, Origin, Timestamp};
use hashpact_protocol::centre::{MemberId, Unpublished};
use hashpact_protocol::delta::{Seq, TablePath};
use hashpact_protocol::labels::{ClassId, Labels, MediaKind};
use hashpact_protocol::lists::Set;
use hashpact_protocol::record::{EntryId, Revision};
use hashpact_protocol::subset::{Manifest, ManifestError};

use super::ledger::LedgerError;
use crate::store::{FoundEntry, LookupError};

/// How much of a subset one page holds, at most; the first change is always there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Records and retracted entries.
    pub records: usize,
    /// Bytes of sections.
    pub bytes: usize,
}

/// Up to where a member has read. Opaque: made and understood by the node whose ledger it is of.
#[derive(Clone, PartialEq, Eq)]
pub struct Cursor(pub(super) String);

/// Most characters of a cursor.
pub(super) const CURSOR_MAX: usize = 256;

impl Cursor {
    /// Its text: letters, digits, '-' and '_'.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Cursor {
    type Err = FeedError;

    /// Only its form is checked here; whose it is, when it is used.
    fn from_str(text: &str) -> Result<Self, FeedError> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        match (1..=CURSOR_MAX).contains(&text.len()) && text.bytes().all(fits) {
            true => Ok(Self(text.to_owned())),
            false => Err(FeedError::Cursor),
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cursor({})", self.0)
    }
}

/// One step of a member's subset. No derived Debug: sections hold records.
#[derive(Clone, PartialEq, Eq)]
pub enum Change {
    /// A delta that what follows in this page is of: told once a page.
    Delta {
        /// The log.
        origin: Origin,
        /// The delta.
        seq: Seq,
        /// Its signed header, COSE_Sign1.
        header: Arc<Vec<u8>>,
        /// The index of its leaf.
        index: u64,
    },
    /// A class that what follows in this page is of: told once a page.
    Class {
        /// The log.
        origin: Origin,
        /// The class.
        class: ClassId,
        /// What it says.
        labels: Box<Labels>,
        /// The leaf of the log that defines it, and its index; none if it cannot be read any more.
        definition: Option<(u64, Arc<Vec<u8>>)>,
    },
    /// Records of one class of one delta, which take the place of earlier revisions.
    Pack {
        /// The log.
        origin: Origin,
        /// The delta.
        seq: Seq,
        /// The class.
        class: ClassId,
        /// Records of the class in the delta, here or not.
        count: u64,
        /// From the class to what the header says.
        path: TablePath,
        /// The section, as the delta format has it: whole, or in part.
        section: Arc<Vec<u8>>,
        /// What is in it, in order of entry.
        places: Vec<(EntryId, Revision)>,
    },
    /// Entries that their origin took back, each with the last revision that ends.
    Retraction {
        /// The log.
        origin: Origin,
        /// The delta that retracts them.
        seq: Seq,
        /// From the retractions to what the header says.
        path: TablePath,
        /// The retraction section of the delta, whole.
        list: Arc<Vec<u8>>,
        /// Those of it that the member had.
        gone: Vec<(EntryId, Revision)>,
    },
    /// Entries that the member may not have any more; no reason is told.
    Withdraw {
        /// Each with its log and the last revision that goes.
        entries: Vec<(Origin, EntryId, Revision)>,
    },
    /// What others say of an entry that stays.
    Mark {
        /// The log.
        origin: Origin,
        /// The entry.
        entry: EntryId,
        /// Its revision.
        revision: Revision,
        /// A dispute of it is open.
        disputed: bool,
        /// A centre took an entry back that shares a fingerprint with it, as an error.
        flagged: bool,
    },
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delta { origin, seq, .. } => write!(f, "Delta({origin} {seq})"),
            Self::Class { origin, class, .. } => write!(f, "Class({origin} {class})"),
            Self::Pack {
                origin,
                seq,
                places,
                ..
            } => {
                write!(f, "Pack({origin} {seq}, {} records)", places.len())
            }
            Self::Retraction {
                origin, seq, gone, ..
            } => {
                write!(f, "Retraction({origin} {seq}, {} entries)", gone.len())
            }
            Self::Withdraw { entries } => write!(f, "Withdraw({} entries)", entries.len()),
            Self::Mark { origin, entry, .. } => write!(f, "Mark({origin} {entry})"),
        }
    }
}

/// Changes behind a cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// In the order in which they are to be applied.
    pub changes: Vec<Change>,
    /// Up to where they go: whoever applied all of them goes on from here.
    pub cursor: Cursor,
    /// Whether there is more now.
    pub more: bool,
}

/// A place within a window, to go on behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WindowKey {
    /// The second of the row.
    pub second: u64,
    /// Its number in the ledger.
    pub n: u64,
}

/// Rows of a window of seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// By second and number.
    pub rows: Vec<WindowRow>,
    /// The newest second among these rows; 0 without one.
    pub max_second: u64,
    /// Where to go on; none if the window is complete.
    pub next: Option<WindowKey>,
    /// The last number of the ledger when the window was read.
    pub max: u64,
}

/// One entry in its latest state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowRow {
    /// The second in which this became visible to this member.
    pub second: u64,
    /// The number of the origin at this node: fixed while the ledger lives, from 1.
    pub origin_number: u32,
    /// The centre that made the entry.
    pub origin: CentreId,
    /// The entry.
    pub entry: EntryId,
    /// Its revision.
    pub revision: Revision,
    /// What has become of it.
    pub what: What,
    /// What it may be of.
    pub media_kind: Set<MediaKind>,
}

/// What became of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// It is published.
    Live(Box<FoundEntry>),
    /// It was, and is not any more.
    Gone,
}

/// What others say of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// A dispute of it is open.
    pub disputed: bool,
    /// A centre took an entry back that shares a fingerprint with it, as an error.
    pub flagged: bool,
}

/// A manifest, and its signed bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedManifest {
    /// What it says.
    pub manifest: Manifest,
    /// COSE_Sign1 by the centre's `manifest` key.
    pub signed: Vec<u8>,
    /// Where a member that has all of it goes on.
    pub cursor: Cursor,
}

/// Up to where a member says that it has applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// The position in the ledger: changes with lower numbers are applied.
    pub n: u64,
    /// When it said so.
    pub at: Timestamp,
}

/// A member that has not said that it applied what was taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owing {
    /// Who.
    pub member: MemberId,
    /// Retractions and withdrawals that it has not acknowledged.
    pub count: u64,
    /// When the oldest of them was published.
    pub since: Timestamp,
    /// Up to where it has acknowledged; nothing if it never did.
    pub acknowledged: Option<Acknowledged>,
}

/// What a member may have, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Entries that it may have now.
    pub entries: u64,
    /// Classes that they are of.
    pub classes: u64,
}

/// Why a member gets no answer.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// There is no such member at this centre, or it was removed.
    #[error("no member of this centre has this name")]
    Member,
    /// Policy gives nobody anything.
    #[error(transparent)]
    Unpublished(#[from] Unpublished),
    /// The cursor is none of this member's: made up, changed, or another's.
    #[error("the cursor is none that this node gave to this member")]
    Cursor,
    /// The cursor is of a ledger that was built again.
    #[error("the cursor is of an earlier ledger of this node: begin with a snapshot")]
    Ledger,
    /// What is published is not open yet, or could not be opened.
    #[error("what is published is not ready yet: try again in a moment")]
    NotReady,
    /// A window that ends in the future.
    #[error("the window ends at {to}, which is more than a minute in the future: it is {now}")]
    Future {
        /// Its end.
        to: u64,
        /// The clock.
        now: u64,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] LookupError),
    /// The ledger.
    #[error(transparent)]
    Rows(#[from] LedgerError),
    /// The manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// What is published and what is stored do not agree: the log does not name a delta of which entries are published.
    #[error("the log of {origin} does not hold delta {seq}, of which entries are published")]
    Delta {
        /// The log.
        origin: Origin,
        /// The delta.
        seq: Seq,
    },
}
