//! Every disclosure again: did it say what the logs say, and did every policy that was in force allow it.
//!
//! Why: policy decides at two or three centres when a class flows, and whoever runs those centres could decide otherwise.
//! What they signed and logged does not depend on them any more: documents, class definitions, statements. So an auditor
//! decides again, with the same code and the same facts, as of the statement's time. That is the giver's word, held between
//! the times at which witnesses saw the logs before and after.
//! Spec: `docs/protocol.md`, "Openings". In scope: statements that were opened. Out of scope: bytes that flowed without one,
//! which no log shows; release to members.
//!
//! | file | answers |
//! |---|---|
//! | here | which statements are judged, and where each is named |
//! | `facts` | does a statement say what the logs say |
//! | `law` | did every policy that had to allow it allow it |
//! | `sessions` | do both sides of a match session, and the manifest, say the same |
//! | `recalls` | was what was asked back acknowledged |

mod facts;
mod law;
mod recalls;
mod sessions;

use std::collections::BTreeMap;

use hashpact_keys::{CentreId, Origin};

use super::chain::Chain;
use super::disclosures::Disclosures;
use super::finding::{Finding, FindingKind};
use super::ledger::{Ledger, leaf};
use super::openings::{Held, Openings};
use super::place::Place;
use crate::b3::Hash;
use crate::labels::ClassId;
use crate::policy::{Action, Replay};

/// One decision that was made again: what one document in force says of one class of one statement.
#[derive(Clone, Debug)]
pub struct Decided {
    /// The log by whose leaf the statement is named; none if it was only shown.
    pub log: Origin,
    /// That leaf.
    pub leaf: Option<u64>,
    /// SHA-256 of the statement.
    pub statement: Hash,
    /// The class.
    pub class: ClassId,
    /// Who decided.
    pub action: Action,
    /// The log of whoever decided.
    pub of: Origin,
    /// The leaf of the document.
    pub document: u64,
    /// Whether it allows.
    pub allowed: bool,
    /// `@id` of the policies that determined it.
    pub policies: Vec<String>,
    /// The question, for tools that are not ours; nothing where it cannot be put.
    pub question: Option<Replay>,
}

/// Judges every statement that was opened, when all logs have been read, and says what was given in sum. `decided` is
/// told of every decision, if anybody wants to know.
pub fn replay(
    chain: &Chain,
    ledgers: &BTreeMap<Origin, Ledger>,
    openings: &Openings,
    decided: Option<&mut dyn FnMut(Decided)>,
    emit: &mut dyn FnMut(Finding),
) -> Disclosures {
    let court = Court {
        chain,
        ledgers,
        openings,
    };
    let mut decided = decided;
    let mut sums = Disclosures::default();
    for (hash, held) in &openings.statements {
        // Made after the copy was: what it rests on is not in the copy either, and that it is ahead has been told.
        if held.is_ahead(ledgers) {
            continue;
        }
        let held = &held.confirmed(ledgers);
        let (log, place) = held.place();
        let mut failed = false;
        let mut found = |what: FindingKind| {
            failed |= what.severity() == super::Severity::Fail;
            let log = Some(log.clone());
            let place = place.clone();
            emit(Finding { log, place, what });
        };
        court.sides(hash, held, &mut found);
        court.deltas(held, &mut found);
        court.chain_of(hash, held, &mut found);
        court.dates(held, &mut found);
        court.indices(hash, held, &mut found);
        court.decisions(hash, held, &mut found);
        if let Some(decided) = &mut decided {
            court.questions(hash, held, decided);
        }
        sums.add(&held.statement, failed);
    }
    court.recalls(emit);
    court.sessions(emit);
    sums
}

impl Held {
    /// The same, in the leaves that do seal it: what is only said of a leaf must not stand for where it is.
    fn confirmed(&self, ledgers: &BTreeMap<Origin, Ledger>) -> Self {
        let mut held = self.clone();
        held.at.retain(|(log, leaf)| {
            let ledger = ledgers.get(log);
            ledger.is_some_and(|ledger| ledger.opens(*leaf))
        });
        held
    }

    /// Whether all leaves that are said to seal it lie beyond the copies of their logs.
    fn is_ahead(&self, ledgers: &BTreeMap<Origin, Ledger>) -> bool {
        let mut at = self.at.iter();
        let is_beyond = |(log, leaf): (&Origin, &u64)| {
            ledgers
                .get(log)
                .is_some_and(|ledger| ledger.ends_before(*leaf))
        };
        !self.at.is_empty() && at.all(|(log, leaf)| is_beyond((log, leaf)))
    }

    /// The leaf by which it is named: the giver's before the taker's; the log with whose openings it came, if none.
    fn place(&self) -> (Origin, Place) {
        let of = |centre: &CentreId| self.at.iter().find(|(log, _)| log.centre() == centre);
        let at = of(&self.statement.from).or_else(|| of(&self.statement.to));
        match at.or_else(|| self.at.iter().next()) {
            Some((log, index)) => (log.clone(), leaf(*index)),
            None => (self.from.clone(), Place::Log),
        }
    }

    /// Its leaf in a log.
    fn leaf_in(&self, origin: &Origin) -> Option<u64> {
        let mut at = self.at.iter();
        at.find(|(log, _)| log == origin).map(|(_, index)| *index)
    }
}

struct Court<'a> {
    chain: &'a Chain,
    ledgers: &'a BTreeMap<Origin, Ledger>,
    openings: &'a Openings,
}
