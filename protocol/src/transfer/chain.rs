//! The chain of statements behind what a relay gives.
//!
//! Why: `no_onward` and hop limits are labels under the origin's signature, and a relay must not be able to pass over them.
//! Each class of a relayed delta must have come to the relay by a statement with the same header and count, one hop nearer to
//! the origin, and so on down to the origin itself. A chain with a gap, a cycle or too many hops is refused.

use std::collections::BTreeMap;

use hashpact_keys::{CentreId, Roster};

use super::{Given, Statement, StatementError};
use crate::Hash;
use crate::delta::Seq;
use crate::labels::ClassId;
use crate::limits;

/// Statements that prove how a relay came by what it gives, by hash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    statements: BTreeMap<Hash, (Statement, Vec<u8>)>,
}

/// Why a statement's chain does not lead to the origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// A parent that does not open.
    #[error("chain: {0}")]
    Statement(#[from] StatementError),
    /// More bytes than a chain may have.
    #[error("chain: {got} bytes, at most {}", limits::CHAIN_BYTES)]
    TooLarge {
        /// Their number.
        got: usize,
    },
    /// A statement names a parent that was not shown.
    #[error("chain: a statement that another one names as its parent is missing")]
    Gap,
    /// A statement was shown that no other one names.
    #[error("chain: a statement is shown that nothing rests on")]
    Unused,
    /// A parent by which something else came, or to somebody else.
    #[error("chain: a parent is not of this log, to this giver and one hop nearer to the origin")]
    Parent,
    /// Nothing shows how this class came to the giver.
    #[error("chain: nothing shows how class {class} of delta {seq} came to {to}")]
    Unproven {
        /// The delta.
        seq: Seq,
        /// The class.
        class: ClassId,
        /// Who gives it.
        to: CentreId,
    },
    /// Farther from its origin than the class may go.
    #[error("chain: class {class} would be at hop {got}, it may go to {max}")]
    Hops {
        /// The class.
        class: ClassId,
        /// The hop.
        got: u8,
        /// What its labels allow.
        max: u8,
    },
}

impl Chain {
    /// Opens the statements that a giver shows beside its own.
    ///
    /// # Errors
    /// [`ChainError::TooLarge`] or [`ChainError::Statement`].
    pub fn open(shown: &[Vec<u8>], roster: &Roster) -> Result<Self, ChainError> {
        let got = shown.iter().map(Vec::len).sum();
        if got > limits::CHAIN_BYTES {
            return Err(ChainError::TooLarge { got });
        }
        let mut chain = Self::default();
        for bytes in shown {
            chain.insert(Statement::open(bytes, roster)?, bytes.clone());
        }
        Ok(chain)
    }

    /// Adds a statement that was opened.
    pub fn insert(&mut self, statement: Statement, signed: Vec<u8>) {
        let hash = Statement::hash(&signed);
        self.statements.insert(hash, (statement, signed));
    }

    /// The statements' bytes, by hash.
    pub fn signed(&self) -> impl Iterator<Item = (&Hash, &[u8])> {
        let statements = self.statements.iter();
        statements.map(|(hash, (_, signed))| (hash, signed.as_slice()))
    }

    /// Checks that everything in `statement` came to its giver in an unbroken line from the origin, that no class is farther
    /// from its origin than `hops` says, and that nothing is shown that it does not rest on.
    ///
    /// # Errors
    /// [`ChainError`].
    pub fn check(
        &self,
        statement: &Statement,
        hops: &dyn Fn(ClassId) -> u8,
    ) -> Result<(), ChainError> {
        for (class, _) in statement.deltas.iter().flat_map(|given| &given.classes) {
            let (got, max) = (statement.hop, hops(*class));
            if got > max {
                let class = *class;
                return Err(ChainError::Hops { class, got, max });
            }
        }
        let mut used = BTreeMap::new();
        // Hops fall with each step, so this ends.
        let mut open = vec![statement];
        while let Some(next) = open.pop() {
            let parents = self.parents(next)?;
            proven(next, &parents)?;
            for (hash, parent) in next.parents.iter().zip(parents) {
                if used.insert(*hash, ()).is_none() {
                    open.push(parent);
                }
            }
        }
        if used.len() < self.statements.len() {
            return Err(ChainError::Unused);
        }
        Ok(())
    }

    fn parents(&self, of: &Statement) -> Result<Vec<&Statement>, ChainError> {
        let mut parents = Vec::with_capacity(of.parents.len());
        for hash in &of.parents {
            let (parent, _) = self.statements.get(hash).ok_or(ChainError::Gap)?;
            let leads_here = parent.origin == of.origin && parent.to == of.from;
            if !leads_here || parent.hop.checked_add(1) != Some(of.hop) {
                return Err(ChainError::Parent);
            }
            parents.push(parent);
        }
        Ok(parents)
    }
}

/// Each class of a relayed delta stands in a parent, under the same header and with the same count.
fn proven(of: &Statement, parents: &[&Statement]) -> Result<(), ChainError> {
    if of.hop == 0 {
        return Ok(());
    }
    let has = |parent: &Statement, given: &Given, class: ClassId, count: u64| {
        let same = parent.delta(given.seq);
        same.is_some_and(|same| same.header == given.header)
            && parent.gives(given.seq, class) == Some(count)
    };
    for given in &of.deltas {
        for (class, count) in &given.classes {
            if !parents
                .iter()
                .any(|parent| has(parent, given, *class, *count))
            {
                return Err(ChainError::Unproven {
                    seq: given.seq,
                    class: *class,
                    to: of.from.clone(),
                });
            }
        }
    }
    Ok(())
}
