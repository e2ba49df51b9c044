//! Whether a log that takes the place of a forked one says so, and says it truly.
//!
//! Why: a centre that begins a new line leaves a log behind; what its first leaf says of that log decides which of the
//! old entries count on. Spec: `docs/protocol.md`, "Resumption". In scope: the first leaf against the rosters and against what the
//! same folder holds of the old log. Out of scope: the old log itself, which is verified like any other (`log`).

use hashpact_keys::{Origin, Timestamp};
use sha2::{Digest as _, Sha256};

use super::chain::{Chain, precedes};
use super::evidence::verify_fork;
use super::finding::{FindingKind, ResumptionFault};
use crate::b3::Hash;
use crate::log::{Branches, Checkpoint, ForkFact, Leaf, LogFiles, SignedNote, empty_root, root_at};
use crate::verify::LeafFault;

/// What the same folder holds of another log.
pub struct OtherLog {
    /// Its tiles and bundles.
    pub files: Box<dyn LogFiles>,
    /// Its newest note.
    pub checkpoint: Option<Vec<u8>>,
    /// The fork proof beside it, if there is one.
    pub fork: Option<Vec<u8>>,
}

/// Looks up what the folder holds of a log; none if it holds nothing.
pub type OtherLogs<'a> = &'a dyn Fn(&Origin) -> Option<OtherLog>;

/// What a first leaf says of the log before it.
struct Claim {
    origin: Origin,
    size: u64,
    root: Hash,
    proof: Hash,
}

/// Checks the first leaf of a log.
pub(super) fn first_leaf(
    chain: &Chain,
    origin: &Origin,
    leaf: &[u8],
    others: OtherLogs<'_>,
    now: Timestamp,
    found: &mut dyn FnMut(FindingKind),
) {
    let claim = match Leaf::from_bytes(leaf) {
        Ok(Leaf::Resumed {
            origin,
            size,
            root,
            proof,
        }) => Claim {
            origin,
            size,
            root,
            proof,
        },
        // A leaf that cannot be read is a finding already.
        Err(_) => return,
        Ok(
            Leaf::Delta { .. }
            | Leaf::Policy { .. }
            | Leaf::Classes { .. }
            | Leaf::Roster { .. }
            | Leaf::Disclosure { .. }
            | Leaf::MatchEpoch { .. }
            | Leaf::MatchSession { .. }
            | Leaf::Commitment { .. }
            | Leaf::Other(_),
        ) => {
            if let Some(origin) = chain.line_before(origin) {
                found(ResumptionFault::NotResumed { origin }.into());
            }
            return;
        }
    };
    if !precedes(&claim.origin, origin) {
        found(FindingKind::Leaf(LeafFault::Resumed { index: 0 }));
        return;
    }
    let begins = |line| chain.first_with(line);
    if begins(&claim.origin).is_none_or(|first| Some(first) >= begins(origin)) {
        let origin = claim.origin;
        found(ResumptionFault::ResumesUnlisted { origin }.into());
        return;
    }
    // That the folder lacks it is told of the old log.
    if let Some(old) = others(&claim.origin) {
        fork(chain, &claim, old.fork.as_deref(), now, found);
        if let Some(kind) = other_root(&claim, &old) {
            found(kind);
        }
    }
}

/// The fork that closed the old log.
fn fork(
    chain: &Chain,
    claim: &Claim,
    proof: Option<&[u8]>,
    now: Timestamp,
    found: &mut dyn FnMut(FindingKind),
) {
    let origin = claim.origin.clone();
    let Some(text) = proof else {
        found(ResumptionFault::ResumedWithoutFork { origin }.into());
        return;
    };
    match verify_fork(chain.rosters(), &origin, text, now) {
        Err(error) => {
            let origin = origin.clone();
            found(ResumptionFault::ResumedNoFork { origin, error }.into());
        }
        Ok(fork) => {
            if let Some(kind) = beyond(claim.size, &fork.fact) {
                found(kind);
            }
        }
    }
    if claim.proof != Hash::from(Sha256::digest(text)) {
        found(ResumptionFault::ResumedOtherProof { origin }.into());
    }
}

/// A size above what the branches have in common. A proof that does not show where they part shows that they have by the size
/// of the smaller head; anybody may have left the rest out of it.
fn beyond(size: u64, fork: &ForkFact) -> Option<FindingKind> {
    let common = fork.common.filter(|common| size > *common)?;
    let most = match fork.branches {
        Branches::Checkpoints {
            a: (smaller, _), ..
        } if !fork.is_tight => smaller.saturating_sub(1),
        Branches::Checkpoints { .. } | Branches::Headers { .. } => common,
    };
    Some(match size > most {
        true => ResumptionFault::ResumedBeyond { size, common: most }.into(),
        false => ResumptionFault::ResumedNotShown { size, common }.into(),
    })
}

/// The root of the old log where it was closed.
fn other_root(claim: &Claim, old: &OtherLog) -> Option<FindingKind> {
    let (size, expected) = (claim.size, claim.root);
    let note = old.checkpoint.as_deref().map(SignedNote::parse);
    let held = note.and_then(|note| Checkpoint::from_text(note.ok()?.text()).ok());
    let held = held.map_or(0, |checkpoint| checkpoint.size);
    let files = |path: &str| old.files.log_file(path);
    let got = match size {
        0 => Some(empty_root()),
        // Above what is held of it nothing can be said.
        _ if size > held => None,
        _ => root_at(&files, held, size).ok(),
    };
    match got {
        None => {
            let origin = claim.origin.clone();
            Some(ResumptionFault::ResumedUnread { origin, size, held }.into())
        }
        Some(got) if got != expected => Some(
            ResumptionFault::ResumedRoot {
                size,
                expected,
                got,
            }
            .into(),
        ),
        Some(_) => None,
    }
}
