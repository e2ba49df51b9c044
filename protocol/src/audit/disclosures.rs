//! Who gave which classes to whom, in sums. Why: whoever reads an audit asks this before anything else. In scope: counts by
//! statement. Out of scope: single statements (`replay`), entries and hashes, of which statements say nothing.

use std::collections::BTreeMap;

use hashpact_keys::{CentreId, Origin, Timestamp};

use crate::labels::{ClassId, Purpose};
use crate::lists::ClosedList as _;
use crate::transfer::Statement;

/// What is counted together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gift {
    /// The log that the entries are of.
    pub origin: Origin,
    /// Who gave them.
    pub from: CentreId,
    /// Who took them.
    pub to: CentreId,
    /// The class.
    pub class: ClassId,
    /// The purpose, by its place in the list.
    purpose: u64,
}

impl Gift {
    /// What they were given for.
    #[must_use]
    pub fn purpose(&self) -> Option<Purpose> {
        Purpose::from_bit(self.purpose)
    }
}

/// How often and how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Given {
    /// Statements.
    pub statements: u64,
    /// Deltas in them.
    pub deltas: u64,
    /// Records, as their origin signed for them.
    pub records: u64,
    /// The most transfers before one of them: 0 from the origin.
    pub hops: u8,
    /// Time of the first statement.
    pub first: Timestamp,
    /// Time of the last statement.
    pub last: Timestamp,
    /// Statements of which something failed.
    pub failed: u64,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Disclosures {
    /// Statements that were judged.
    pub statements: u64,
    /// The sums.
    pub given: BTreeMap<Gift, Given>,
}

impl Disclosures {
    pub(super) fn add(&mut self, statement: &Statement, failed: bool) {
        self.statements += 1;
        for (class, records) in statement.by_class() {
            let holds =
                |given: &&crate::transfer::Given| given.classes.iter().any(|(of, _)| *of == class);
            let deltas = statement.deltas.iter().filter(holds).count() as u64;
            let gift = Gift {
                origin: statement.origin.clone(),
                from: statement.from.clone(),
                to: statement.to.clone(),
                class,
                purpose: u64::from(statement.purpose.bit()),
            };
            let at = statement.time;
            let sum = self.given.entry(gift).or_insert(Given {
                statements: 0,
                deltas: 0,
                records: 0,
                hops: 0,
                first: at,
                last: at,
                failed: 0,
            });
            sum.statements += 1;
            sum.deltas += deltas;
            sum.records = sum.records.saturating_add(records);
            sum.hops = sum.hops.max(statement.hop);
            (sum.first, sum.last) = (sum.first.min(at), sum.last.max(at));
            sum.failed += u64::from(failed);
        }
    }
}
