//! Private matching: who may check lists against this centre's entries, in which mode, and how much.
//!
//! What policy allows a principal is a row of each class; classes with equal rows are one match group, which has keys of its
//! own (design 7). Whoever opens a session is decided about at that moment and charged before it is answered, durably: a crash
//! can charge twice, never less. What was asked leaves a sealed record in the log, and so does what was refused. Nothing here
//! sees a point or a fingerprint. Spec: `docs/protocol.md`, "Private matching"; `docs/matching.md`.
//!
//! | file | answers |
//! |---|---|
//! | `matching` | what is asked and answered, and what is held in memory |
//! | `members` | who the members are |
//! | `rows` | what each principal may do with each class |
//! | `groups` | which classes are matched together, under which number |
//! | `open` | whether a session may begin or go on |
//! | `quota` | what was charged to whom |
//! | `epochs` | which epochs are logged, and at hand |
//! | `sessions` | what is logged of sessions |

mod epochs;
mod groups;
mod members;
mod open;
mod quota;
mod rows;
mod sessions;

use std::collections::BTreeMap;

use hashpact_keys::Timestamp;

use crate::Hash;
use crate::fingerprint::Algorithm;
use crate::labels::{ClassId, Purpose};
use crate::lists::Set;
use crate::policy::{Asker, MatchMode};
use crate::psi::{Epoch, GroupId, RefusalCode, SessionId};

pub use members::{Member, MemberError, MemberId};
pub use rows::ClassRow;

use open::Access;
use sessions::Open;

/// A session that somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchRequest {
    /// Its name, which the asking side drew; the same again goes on with it.
    pub session: SessionId,
    /// Who asks, as the network identified it.
    pub principal: Asker,
    /// What is to be learnt.
    pub mode: MatchMode,
    /// The fingerprint type.
    pub kind: Algorithm,
    /// What it is for.
    pub purpose: Purpose,
    /// Items that will be sent: all of them are charged.
    pub items: u64,
    /// The epoch of the manifest that the asker went by.
    pub epoch: Epoch,
}

/// What a session may do. It was charged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchGrant {
    /// The groups that are matched, ascending: of each, every class is allowed.
    pub groups: Vec<GroupId>,
    /// Number of the manifest that they stand in.
    pub manifest: u64,
    /// Items that its grants give for this type and day.
    pub per_day: u64,
    /// Those of them that are charged, this session included.
    pub used: u64,
    /// Whether the session was open already: nothing was charged again.
    pub resumed: bool,
}

/// Why no session is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum MatchRefusal {
    /// A list so short that asking about it is asking about single items.
    #[error("match: {got} items, at least {min}: a shorter list is padded, and charged as {min}")]
    TooFew {
        /// The limit of the mode.
        min: u64,
        /// Items asked.
        got: u64,
    },
    /// More than one session takes.
    #[error("match: {got} items, at most {max} in one session")]
    TooMany {
        /// The limit.
        max: u64,
        /// Items asked.
        got: u64,
    },
    /// It would go beyond what the grants give for the day.
    #[error(
        "match: {used} of {per_day} items of this type are used today, and {got} more are asked for"
    )]
    OverQuota {
        /// Items charged today.
        used: u64,
        /// Items of a day.
        per_day: u64,
        /// Items asked.
        got: u64,
    },
    /// Sessions again and again: that is how an oracle is probed.
    #[error("match: {got} sessions of this type were opened, at most {max} {}", if *.count { "counts in an epoch" } else { "in a day" })]
    TooManySessions {
        /// The limit.
        max: u64,
        /// Those that were opened.
        got: u64,
        /// Whether it is about counts in one epoch.
        count: bool,
    },
    /// Policy allows no group whole, in this mode and for this purpose.
    #[error("match: policy allows nothing in this mode, for this purpose")]
    NoGroup,
    /// An epoch that is not served, or none is.
    #[error("match: epoch {got} is not served{}", serves(.newest))]
    StaleEpoch {
        /// The newest one.
        newest: Option<Epoch>,
        /// The one asked for.
        got: Epoch,
    },
    /// The quorum's cosignatures of this log are too old: nothing new is matched.
    #[error("match: the quorum has not cosigned this centre's log for a day")]
    Stale,
    /// Nobody whom this centre knows.
    #[error("match: neither a centre of the roster nor a member")]
    NotAPrincipal,
    /// Nothing is opened here now.
    #[error(
        "match: this centre opens nothing now: its roster has expired, it must not sign, or its store is damaged"
    )]
    Closed,
    /// The session has the name of another one.
    #[error("match: a session of this name was opened by another, for something else, or is over")]
    Taken,
    /// A fingerprint type that is never matched.
    #[error("match: this fingerprint type is not matched")]
    Type,
}

fn serves(newest: &Option<Epoch>) -> String {
    newest.map_or_else(String::new, |epoch| format!(", the newest is {epoch}"))
}

impl MatchRefusal {
    /// Its code on the wire and in records.
    #[must_use]
    pub fn code(self) -> RefusalCode {
        match self {
            Self::TooFew { .. } => RefusalCode::TooFew,
            Self::TooMany { .. } => RefusalCode::TooMany,
            Self::OverQuota { .. } => RefusalCode::OverQuota,
            Self::TooManySessions { .. } => RefusalCode::TooManySessions,
            Self::NoGroup => RefusalCode::NoGroup,
            Self::StaleEpoch { .. } => RefusalCode::StaleEpoch,
            Self::Stale => RefusalCode::Stale,
            Self::NotAPrincipal => RefusalCode::NotAPrincipal,
            Self::Closed => RefusalCode::Closed,
            Self::Taken | Self::Type => RefusalCode::Malformed,
        }
    }

    /// Whether somebody should look at who asked: it wants more than it was given, or probes.
    #[must_use]
    pub fn is_alarm(self) -> bool {
        match self {
            Self::TooFew { .. }
            | Self::OverQuota { .. }
            | Self::TooManySessions { .. }
            | Self::NotAPrincipal
            | Self::Taken => true,
            Self::TooMany { .. }
            | Self::NoGroup
            | Self::StaleEpoch { .. }
            | Self::Stale
            | Self::Closed
            | Self::Type => false,
        }
    }
}

/// Classes that are matched under the same keys: who may match one may match all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchGroup {
    /// Its number, which no other set of classes ever has.
    pub id: GroupId,
    /// Its classes, ascending.
    pub classes: Vec<ClassId>,
    /// Hash of their row: what somebody may do with them, by all that policies look at of who asks.
    pub rows_hash: Hash,
    /// The modes in which somebody may match them now: nothing is made for another.
    pub modes: Set<MatchMode>,
}

/// Which groups there are, and for how long that holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MatchGroups {
    /// The groups, by number.
    pub groups: Vec<MatchGroup>,
    /// When to ask again, at the latest.
    pub until: Option<Timestamp>,
    /// Whether a new epoch is to begin: a member was removed in this one.
    pub renew: bool,
    /// Sets of classes that are matched by nobody, as there are more than [`MATCH_GROUPS`](crate::limits::MATCH_GROUPS).
    pub left_out: u64,
}

/// What is known of matching, as far as memory goes.
#[derive(Default)]
pub(super) struct Matching {
    members: BTreeMap<String, Member>,
    access: Access,
    /// The sessions of this run that are open or ended a short while ago.
    sessions: BTreeMap<(Asker, SessionId), Open>,
    /// Those that a former run left open.
    left: Vec<Open>,
    /// What was refused on this UTC day, by whom and why; the day first.
    refused: (u64, BTreeMap<(Asker, RefusalCode), u64>),
}

/// What was asked of matching today, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MatchDay {
    /// Items and sessions of each principal and type.
    pub charged: Vec<(Asker, Algorithm, u64, u64)>,
    /// Refusals since this node started.
    pub refused: Vec<(Asker, RefusalCode, u64)>,
}
