//! How bulk requests are answered: the other half of `centre::logs` and `centre::bodies`.
//!
//! Logs go to every centre of the roster, from any centre. Bodies go from their origin only, and only where policy is open;
//! the retractions of a delta go whatever policy says. A centre gets its own bodies back from anybody. In scope: the decision and the bytes of a log's piece. Out of scope:
//! reading bodies off the disk (the node).

use hashpact_keys::{CentreId, Origin, Roster, Timestamp};

use crate::delta::RETRACTION_SECTION;
use crate::limits;
use crate::log::{consistency_proof, read_leaves, root_at};
use crate::policy::Policy;
use crate::view::View;
use crate::wire::{BulkRefusal, BulkRequest, RootProof, Suffix};

/// Decides whether a request may be answered at all.
///
/// # Errors
/// [`BulkRefusal`], which goes back to the asker.
pub fn may_answer(
    request: &BulkRequest,
    asker: &CentreId,
    own: &Origin,
    roster: &Roster,
    now: Timestamp,
) -> Result<(), BulkRefusal> {
    let centre = roster.centre(asker).ok_or(BulkRefusal::NotOnRoster)?;
    match request {
        BulkRequest::Suffix { .. } | BulkRequest::Proof { .. } => Ok(()),
        // A centre that lost its disk gets its own deltas back from whoever holds them.
        BulkRequest::Body { origin, .. } if centre.origin == *origin => Ok(()),
        BulkRequest::Body { origin, .. } if origin != own => Err(BulkRefusal::NotOrigin),
        BulkRequest::Body {
            section: RETRACTION_SECTION,
            ..
        } => Ok(()),
        BulkRequest::Body { .. } if Policy::in_force(roster, now).is_open() => Ok(()),
        BulkRequest::Body { .. } => Err(BulkRefusal::Closed),
    }
}

/// The next leaves of a log after `from`, with the proof that `to` continues them.
///
/// # Errors
/// [`BulkRefusal::NotFound`] if the log is not that long here; [`BulkRefusal::Store`] if it cannot be read.
pub fn suffix(
    view: &impl View,
    origin: &Origin,
    from: u64,
    to: u64,
) -> Result<Vec<u8>, BulkRefusal> {
    let size = view.log(origin).size;
    if from >= to || to > size {
        return Err(BulkRefusal::NotFound);
    }
    let files = |path: &str| view.log_file(origin, path);
    let end = to.min(from.saturating_add(limits::SUFFIX_LEAVES));
    let mut leaves = read_leaves(&files, size, from, end).map_err(|_| BulkRefusal::Store)?;
    let mut bytes = 0;
    let fit = leaves.iter().take_while(|leaf| {
        bytes += leaf.len() + 2;
        bytes <= limits::SUFFIX_BYTES
    });
    let fit = fit.count().max(1);
    leaves.truncate(fit);
    let end = from + leaves.len() as u64;
    let proof = if end == to {
        Vec::new()
    } else {
        consistency_proof(&files, size, end, to).map_err(|_| BulkRefusal::Store)?
    };
    Ok(Suffix {
        from,
        leaves,
        proof,
    }
    .to_bytes())
}

/// The root of a log at `from`, with the proof that `to` continues it.
///
/// # Errors
/// [`BulkRefusal::NotFound`] if the log is not that long here, or `from` is 0; [`BulkRefusal::Store`] if it cannot be read.
pub fn proof(
    view: &impl View,
    origin: &Origin,
    from: u64,
    to: u64,
) -> Result<Vec<u8>, BulkRefusal> {
    let size = view.log(origin).size;
    if from == 0 || from > to || to > size {
        return Err(BulkRefusal::NotFound);
    }
    let files = |path: &str| view.log_file(origin, path);
    let root = root_at(&files, size, from).map_err(|_| BulkRefusal::Store)?;
    let proof = consistency_proof(&files, size, from, to).map_err(|_| BulkRefusal::Store)?;
    Ok(RootProof { root, proof }.to_bytes())
}
