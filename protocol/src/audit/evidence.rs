//! What lies beside a log to show that its centre told two stories: a fork proof, and notes that a mirror did not take.
//!
//! In scope: whether it shows that. Out of scope: what follows from it (`centre`).

use hashpact_keys::{Origin, RosterVersion, SignedRoster, Timestamp};

use super::finding::{CheckpointFault, FindingKind};
use super::history::HistoryFault;
use super::notes::{Judge, Parsed};
use crate::log::{CheckpointError, ForkError, ForkFact, ForkProof, LogFiles, root_at};

/// A fork proof that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedFork {
    /// What it shows.
    pub fact: ForkFact,
    /// The newest roster under which it does.
    pub roster: RosterVersion,
}

/// Verifies a fork proof of this log, `rosters` being those of its network, oldest first.
///
/// A fork proof names no roster: it holds if it does under any that lists its keys, the newest first; and what the newest
/// that names the log revokes, no older one makes good again.
///
/// # Errors
/// [`ForkError`]: why not under the newest roster that names the log.
pub fn verify_fork(
    rosters: &[SignedRoster],
    origin: &Origin,
    proof: &[u8],
    now: Timestamp,
) -> Result<VerifiedFork, ForkError> {
    let proof = ForkProof::from_text(proof)?;
    if proof.origin() != origin {
        return Err(ForkError::Shape);
    }
    let mut why = None;
    let newest_first = rosters.iter().rev().map(SignedRoster::roster);
    for roster in newest_first.filter(|roster| roster.by_origin(origin).is_some()) {
        match proof.verify(roster, now) {
            Ok(fact) => {
                let roster = roster.version;
                return Ok(VerifiedFork { fact, roster });
            }
            Err(error @ ForkError::Revoked { .. }) => return Err(why.unwrap_or(error)),
            Err(error) => why = why.or(Some(error)),
        }
    }
    let origin = origin.clone();
    Err(why.unwrap_or(ForkError::UnknownLog { origin }))
}

/// What a fork proof beside a log says.
pub(super) fn fork(
    rosters: &[SignedRoster],
    origin: &Origin,
    proof: &[u8],
    now: Timestamp,
) -> FindingKind {
    match verify_fork(rosters, origin, proof, now) {
        Ok(VerifiedFork { fact, .. }) => FindingKind::ForkProof {
            common: fact.common,
        },
        Err(error) => FindingKind::NoForkProof(error),
    }
}

/// A note that a mirror did not take: evidence, if a log key signed it. A mirror keeps no other, so that any other is damage.
pub(super) fn refused<F: LogFiles>(
    judge: &Judge<'_>,
    files: &F,
    note: Result<Vec<u8>, HistoryFault>,
    newest: Option<&Parsed>,
) -> FindingKind {
    let parsed = match note.map(|note| judge.parse(note)) {
        Ok(Ok(parsed)) => parsed,
        Ok(Err(error)) => return CheckpointFault::Note(error).into(),
        Err(fault) => return CheckpointFault::History(fault).into(),
    };
    if !judge.is_log_signed(&parsed) {
        let origin = parsed.checkpoint.origin;
        return CheckpointFault::Note(CheckpointError::NoKey { origin }).into();
    }
    let size = parsed.checkpoint.size;
    let held = newest.map_or(0, |newest| newest.checkpoint.size);
    let same =
        size <= held && root_at(files, held, size).is_ok_and(|root| root == parsed.checkpoint.root);
    if same {
        FindingKind::RolledBack { size }
    } else {
        FindingKind::Fork { size }
    }
}
