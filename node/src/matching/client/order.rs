//! What is asked of a centre, how far it is, and what came of it.

use std::sync::Arc;

use hashpact_keys::{CentreId, Origin, Roster, Timestamp};
use hashpact_protocol::fingerprint::Algorithm;
use hashpact_protocol::labels::Purpose;
use hashpact_protocol::limits;
use hashpact_protocol::policy::MatchMode;
use hashpact_protocol::psi::{Epoch, GroupId, Label, RefusalCode, SessionId};
use zeroize::Zeroizing;

use super::cache::{CacheError, RememberError};
use super::compare::CompareError;
use super::download::DownloadError;
use super::list::Items;
use super::manifest::ManifestFault;
use super::segment::SegmentFault;
use super::session::SessionError;
use super::talk::{Patience, TalkError};

/// A check of the values of one type against one centre.
pub struct Order {
    /// The newest roster.
    pub roster: Arc<Roster>,
    /// Whom to ask.
    pub centre: CentreId,
    /// Which centre asks; none for a member, whose name is the centre's to say.
    pub asker: Option<CentreId>,
    /// What is to be learnt.
    pub mode: MatchMode,
    /// What for.
    pub purpose: Purpose,
    /// The values.
    pub items: Arc<Items>,
    /// Whether a list that is too short is filled up with random items, which are charged.
    pub pad: bool,
    /// How long the centre may take.
    pub patience: Patience,
    /// What time it is: [`crate::clock::now`].
    pub clock: fn() -> Timestamp,
    /// How many threads blind, and how many check; the machine's cores.
    pub lanes: usize,
}

/// What a check is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Reading the list: lines.
    Read,
    /// Fetching segments: bytes.
    Fetch,
    /// Asking the centre: items through.
    Ask,
    /// Comparing: items compared, over all groups.
    Compare,
    /// The connection broke and is opened again: which attempt this is.
    Retry,
}

/// How far a check is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
    /// How much is through.
    pub done: u64,
    /// Of how much, where that is known.
    pub total: Option<u64>,
}

/// What came of a check.
pub struct Outcome {
    /// Who was asked.
    pub centre: CentreId,
    /// Its log.
    pub origin: Origin,
    /// The type.
    pub kind: Algorithm,
    /// What was learnt.
    pub mode: MatchMode,
    /// The epoch.
    pub epoch: Epoch,
    /// Number of the manifest.
    pub manifest: u64,
    /// Its leaf.
    pub index: u64,
    /// When a quorum had seen it last; none on a demonstration without witnesses.
    pub witnessed_at: Option<Timestamp>,
    /// Different values checked.
    pub items: u64,
    /// What was compared with; in mode `count` only their sizes are known.
    pub groups: Vec<GroupOutcome>,
    /// How many values matched.
    pub matches: u64,
    /// The session, unless everything was known already.
    pub session: Option<SessionDone>,
}

/// One group of the centre's classes.
pub struct GroupOutcome {
    /// Its number.
    pub id: GroupId,
    /// Classes in it.
    pub classes: u64,
    /// Items that the centre holds of the type.
    pub held: u64,
    /// Numbers of the list's values that matched, ascending, with their labels in mode `labels`. Empty in mode `count`.
    pub matched: Vec<(u32, Option<Label>)>,
    /// Values that met a tag whose label does not open: not among the matches. More than none, and the centre errs or lies.
    pub unopened: u64,
}

/// A session that ended.
pub struct SessionDone {
    /// Its name.
    pub id: SessionId,
    /// Seed of its blinds, to be kept sealed with the record.
    pub seed: Zeroizing<[u8; 32]>,
    /// Items charged for it.
    pub charged: u64,
    /// Random ones among them.
    pub pads: u64,
    /// Items charged today.
    pub used: u64,
    /// Items that may be.
    pub per_day: u64,
    /// The record of this side, to be logged.
    pub record: Vec<u8>,
}

/// Why a check came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum MatchError {
    /// The manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestFault),
    /// Nothing of this type is published.
    #[error("{centre} publishes nothing of type {kind} to match")]
    Nothing {
        /// The centre.
        centre: CentreId,
        /// The type.
        kind: String,
    },
    /// More than is fetched of any centre: nothing was asked, and nothing is charged.
    #[error(
        "the manifest lists {tags} tags in {bytes} bytes: at most {} in {} are fetched of a centre",
        limits::MATCH_FETCH_TAGS,
        limits::MATCH_FETCH_BYTES
    )]
    TooLarge {
        /// Tags in its segments.
        tags: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// Fewer items than a session may have.
    #[error(
        "{new} values to ask about, and a session has at least {min}: give a longer list, or --pad, which adds random ones that are charged"
    )]
    TooFew {
        /// Values that are not known from before.
        new: u64,
        /// The least.
        min: u64,
    },
    /// The session.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// A segment.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// Comparing.
    #[error(transparent)]
    Segment(#[from] SegmentFault),
    /// The cache.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// What may be matched changed while a session was under way.
    #[error("what may be matched has changed while the session was under way: repeat the command")]
    Changed,
    /// The centre's record of the session says something else than what happened.
    #[error("the centre's record of the session is not what happened: {0}")]
    Record(&'static str),
    /// The machine gave no random numbers.
    #[error("no random numbers: {0}")]
    Random(getrandom::Error),
}

impl From<TalkError> for MatchError {
    fn from(error: TalkError) -> Self {
        Self::Session(error.into())
    }
}

impl From<CompareError> for MatchError {
    fn from(error: CompareError) -> Self {
        match error {
            CompareError::Segment(error) => Self::Segment(error),
            CompareError::Cache(error) => Self::Cache(error),
            CompareError::GivenUp => Self::Session(SessionError::Comparing),
        }
    }
}

impl From<RememberError> for MatchError {
    fn from(error: RememberError) -> Self {
        match error {
            RememberError::Manifest(fault) => Self::Manifest(fault),
            RememberError::Cache(error) => Self::Cache(error),
        }
    }
}

impl MatchError {
    /// What the exchange ended with, if that is why.
    fn talk(&self) -> Option<&TalkError> {
        match self {
            Self::Session(SessionError::Talk(error))
            | Self::Download(DownloadError::Talk(error)) => Some(error),
            Self::Session(
                SessionError::Evaluation { .. }
                | SessionError::Cache(_)
                | SessionError::Opened(_)
                | SessionError::Key(_)
                | SessionError::Comparing
                | SessionError::Task,
            )
            | Self::Download(DownloadError::Segment(_) | DownloadError::Cache(_))
            | Self::Manifest(_)
            | Self::Nothing { .. }
            | Self::TooLarge { .. }
            | Self::TooFew { .. }
            | Self::Segment(_)
            | Self::Cache(_)
            | Self::Changed
            | Self::Record(_)
            | Self::Random(_) => None,
        }
    }

    /// Whether the same may succeed a little later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        self.talk().is_some_and(TalkError::is_passing)
    }

    /// Whether the answer is no, and not a fault: by policy, quota, or rule.
    #[must_use]
    pub fn is_no(&self) -> bool {
        let refused = matches!(self.talk(), Some(TalkError::Refused { code, .. }) if is_no(*code));
        let stale = matches!(self, Self::Manifest(ManifestFault::Stale { .. }));
        refused || stale || matches!(self, Self::Nothing { .. } | Self::TooFew { .. })
    }
}

/// Refusals that another attempt does not change.
fn is_no(code: RefusalCode) -> bool {
    match code {
        RefusalCode::TooFew
        | RefusalCode::TooMany
        | RefusalCode::OverQuota
        | RefusalCode::TooManySessions
        | RefusalCode::NoGroup
        | RefusalCode::StaleEpoch
        | RefusalCode::Stale
        | RefusalCode::NotAPrincipal
        | RefusalCode::Closed => true,
        RefusalCode::Malformed
        | RefusalCode::Point
        | RefusalCode::Busy
        | RefusalCode::NotFound
        | RefusalCode::Failed => false,
    }
}
