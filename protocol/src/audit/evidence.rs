//! What lies beside a log to show that its centre told two stories: a fork proof, and notes that a mirror did not take.
//!
//! In scope: whether it shows that. Out of scope: what follows from it (`centre`).

use hashpact_keys::{Origin, Timestamp};

use super::chain::Chain;
use super::finding::FindingKind;
use super::notes::{Judge, Parsed};
use crate::log::{ForkError, ForkProof, LogFiles, root_at};

/// A fork proof names no roster: it holds if it does under any that lists its keys.
pub(super) fn fork(chain: &Chain, origin: &Origin, proof: &[u8], now: Timestamp) -> FindingKind {
    let proof = match ForkProof::from_text(proof) {
        Ok(proof) if proof.origin() == origin => proof,
        Ok(_) => return FindingKind::NoForkProof(ForkError::Shape),
        Err(error) => return FindingKind::NoForkProof(error),
    };
    let mut newest_first = chain.rosters().iter().rev();
    let mut verdict = proof.verify(chain.newest().roster(), now);
    while verdict.is_err()
        && let Some(roster) = newest_first.next()
    {
        // What the newest roster revokes no older one makes good again.
        if matches!(verdict, Err(ForkError::Revoked { .. })) {
            break;
        }
        verdict = proof.verify(roster.roster(), now).or(verdict);
    }
    match verdict {
        Ok(fact) => FindingKind::ForkProof {
            common: fact.common,
        },
        Err(error) => FindingKind::NoForkProof(error),
    }
}

/// A note that a mirror did not take: evidence, if a log key signed it.
pub(super) fn refused<F: LogFiles>(
    judge: &Judge<'_>,
    files: &F,
    note: Vec<u8>,
    newest: Option<&Parsed>,
) -> Option<FindingKind> {
    let parsed = judge.parse(note).ok()?;
    if !judge.is_log_signed(&parsed) {
        return None;
    }
    let size = parsed.checkpoint.size;
    let held = newest.map_or(0, |newest| newest.checkpoint.size);
    let same =
        size <= held && root_at(files, held, size).is_ok_and(|root| root == parsed.checkpoint.root);
    Some(if same {
        FindingKind::RolledBack { size }
    } else {
        FindingKind::Fork { size }
    })
}
