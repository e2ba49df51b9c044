//! How bulk requests are answered: the other half of `centre::logs` and `centre::bodies`.
//!
//! Logs go to every centre of the roster, from any centre. Where no policy document speaks, bodies go whole, from their origin
//! only, and only on a demonstration network. Where one does, a body goes from whoever holds it, under a transfer statement
//! that both sides logged, and only the classes in that. The retractions of a delta go whatever policy says, and a centre gets
//! its own bodies back from anybody. In scope: the decision and the bytes of a log's piece. Out of scope: reading bodies off
//! the disk (the node).

use std::collections::BTreeSet;

use hashpact_keys::{CentreId, Origin, Roster, Timestamp};

use crate::Hash;
use crate::delta::{ClassTable, RETRACTION_SECTION, Seq};
use crate::labels::ClassId;
use crate::limits;
use crate::log::{consistency_proof, read_delta, read_leaves, root_at};
use crate::policy::Policy;
use crate::transfer::{Opening, Statement, shelf};
use crate::view::{Shelf, View};
use crate::wire::{BulkRefusal, BulkRequest, RootProof, Suffix};

/// How much of what was asked for is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// All of it.
    Whole,
    /// A body with these classes; every other one is withheld.
    Classes(BTreeSet<ClassId>),
}

impl Answer {
    /// Whether a class is served.
    #[must_use]
    pub fn has(&self, class: ClassId) -> bool {
        match self {
            Self::Whole => true,
            Self::Classes(classes) => classes.contains(&class),
        }
    }
}

/// Decides whether a request may be answered at all, and with how much.
///
/// # Errors
/// [`BulkRefusal`], which goes back to the asker.
pub fn may_answer(
    request: &BulkRequest,
    asker: &CentreId,
    own: &Origin,
    roster: &Roster,
    now: Timestamp,
    view: &impl View,
) -> Result<Answer, BulkRefusal> {
    let centre = roster.centre(asker).ok_or(BulkRefusal::NotOnRoster)?;
    let BulkRequest::Body {
        origin,
        seq,
        section,
        under,
        ..
    } = request
    else {
        return Ok(Answer::Whole);
    };
    // A centre that lost its disk gets its own deltas back from whoever holds them.
    if centre.origin == *origin || *section == RETRACTION_SECTION {
        return Ok(Answer::Whole);
    }
    if roster.is_expired(now) {
        return Err(BulkRefusal::Closed);
    }
    if let Some(statement) = under {
        return under_statement(statement, (own, &centre.origin), (origin, *seq), now, view);
    }
    if governed(roster, view, [origin, own, &centre.origin]) {
        // Without a document of our own nothing is given.
        let closed = view.log(own).policy.is_none();
        return Err(if closed {
            BulkRefusal::Closed
        } else {
            BulkRefusal::Statement
        });
    }
    if origin != own {
        return Err(BulkRefusal::NotOrigin);
    }
    match Policy::in_force(roster, now) {
        Policy::DemoOpen => Ok(Answer::Whole),
        Policy::Closed(_) => Err(BulkRefusal::Closed),
    }
}

/// Whether policy documents decide what flows: the network is no demonstration, or one of these logs has one.
fn governed(roster: &Roster, view: &impl View, logs: [&Origin; 3]) -> bool {
    let has = |log: &&Origin| view.log(log).policy.is_some();
    !roster.demo || logs.iter().any(has)
}

/// What a statement that this centre logged as giver gives of a delta, while it may be served: no policy was logged since,
/// and the time until which it was decided has not passed.
fn under_statement(
    hash: &Hash,
    (own, asker): (&Origin, &Origin),
    (origin, seq): (&Origin, Seq),
    now: Timestamp,
    view: &impl View,
) -> Result<Answer, BulkRefusal> {
    let refused = BulkRefusal::Statement;
    let kept = view.kept(Shelf::Statement, hash).ok_or(refused)?;
    let opening = Opening::from_bytes(&kept).map_err(|_| BulkRefusal::Store)?;
    let statement = Statement::read_unverified(&opening.signed).map_err(|_| BulkRefusal::Store)?;
    let until = shelf::served_until(hash, view).ok_or(refused)?;
    let newest = |log: &Origin| view.log(log).policy;
    let same = statement.from == *own.centre()
        && statement.to == *asker.centre()
        && statement.origin == *origin
        && statement.from_policy == newest(own)
        && statement.origin_policy == newest(origin)
        && statement.to_policy == newest(asker);
    // What a relay showed us of others was never logged here.
    if !same || opening.salt.is_none() || now >= until {
        return Err(refused);
    }
    let given = statement.delta(seq).ok_or(refused)?;
    let classes = given.classes.iter().map(|(class, _)| *class);
    Ok(Answer::Classes(classes.collect()))
}

/// The class table of a delta, as its log has it: what a class that is not served is shown as.
///
/// # Errors
/// [`BulkRefusal::NotFound`] if the log does not name it here; [`BulkRefusal::Store`] if it cannot be read.
pub fn class_table(view: &impl View, origin: &Origin, seq: Seq) -> Result<ClassTable, BulkRefusal> {
    let index = view.delta_index(origin, seq);
    let index = index.ok_or(BulkRefusal::NotFound)?;
    let files = |path: &str| view.log_file(origin, path);
    let read = read_delta(&files, view.log(origin).size, index);
    read.map(|(_, table)| table).ok_or(BulkRefusal::Store)
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
