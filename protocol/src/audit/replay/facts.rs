//! Does a statement say what the logs say: its sides, what it gives, what it rests on, its time.

use hashpact_keys::cose::MultiSigned;
use hashpact_keys::{Context, KeyUse};

use super::super::finding::{DisclosureFault, FindingKind};
use super::super::openings::{Held, Signature};
use super::Court;
use crate::b3::Hash;
use crate::limits;
use crate::transfer::{self, ChainError, Given, Statement};

impl Court<'_> {
    /// It stands in the logs of its two sides and in no other, under keys that were not revoked there.
    pub(super) fn sides(&self, hash: &Hash, held: &Held, found: &mut impl FnMut(FindingKind)) {
        let Statement { from, to, .. } = &*held.statement;
        for (log, index) in &held.at {
            if ![from, to].contains(&log.centre()) {
                let (from, to) = (from.clone(), to.clone());
                let index = *index;
                found(DisclosureFault::NotASide { from, to, index }.into());
            }
        }
        if let Ok(signed) = MultiSigned::parse(&held.signed, Context::TransferStatement) {
            for key in signed.signers() {
                let own = [from, to].into_iter().find_map(|side| {
                    let centre = held.roster.centre(side)?;
                    let mut keys = centre.keys_of(KeyUse::Delta);
                    keys.find(|entry| entry.key.key_id() == key)?;
                    Some((centre.origin.clone(), held.leaf_in(&centre.origin)?))
                });
                if let Err(kind) = (Signature { key, own }).check(self.chain) {
                    found(*kind);
                }
            }
        }
        if held.at.is_empty() {
            return;
        }
        for (side, is_taker) in [(from, false), (to, true)] {
            let is_there = held.at.iter().any(|(log, _)| log.centre() == side);
            let mut theirs = self.ledgers.values();
            let is_opened = theirs.any(|ledger| ledger.is_opened && ledger.origin.centre() == side);
            if is_opened && !is_there {
                let (statement, centre) = (*hash, side.clone());
                found(
                    DisclosureFault::OneSided {
                        statement,
                        centre,
                        is_taker,
                    }
                    .into(),
                );
            }
        }
    }

    /// Headers and counts are those of the origin's log.
    pub(super) fn deltas(&self, held: &Held, found: &mut impl FnMut(FindingKind)) {
        let statement = &held.statement;
        let Some(ledger) = self.ledgers.get(&statement.origin) else {
            let origin = statement.origin.clone();
            return found(DisclosureFault::GivenOfUnknownLog { origin }.into());
        };
        for Given {
            seq,
            header,
            classes,
        } in &statement.deltas
        {
            let Some(delta) = ledger
                .deltas
                .get(seq)
                .filter(|delta| delta.header == *header)
            else {
                found(DisclosureFault::GivenDelta { seq: *seq }.into());
                continue;
            };
            let latest = statement.time.get().saturating_add(limits::CLOCK_SKEW_S);
            if delta.issued_at.get() > latest {
                found(
                    DisclosureFault::StatementDate {
                        got: statement.time,
                        after: Some(delta.issued_at),
                        before: None,
                    }
                    .into(),
                );
            }
            for (class, got) in classes {
                let expected = delta.classes.get(class).copied();
                if expected != Some(*got) {
                    found(
                        DisclosureFault::GivenCount {
                            seq: *seq,
                            class: *class,
                            expected,
                            got: *got,
                        }
                        .into(),
                    );
                }
            }
        }
    }

    /// What a relay gives came to it by statements without a gap, and no class goes farther than its labels say.
    pub(super) fn chain_of(&self, hash: &Hash, held: &Held, found: &mut impl FnMut(FindingKind)) {
        let mut chain = transfer::Chain::default();
        let mut open = held.statement.parents.clone();
        while let Some(parent) = open.pop() {
            let Some(parent) = self.openings.statements.get(&parent) else {
                continue;
            };
            // Hops fall with each step, so this ends.
            if parent.statement.hop < held.statement.hop {
                chain.insert((*parent.statement).clone(), parent.signed.to_vec());
                open.extend(&parent.statement.parents);
            }
        }
        let labels = self.ledgers.get(&held.statement.origin);
        let hops = |class| {
            let labels = labels.and_then(|ledger| ledger.class(class));
            labels.map_or(0, |labels| labels.hops)
        };
        if let Err(error) = chain.check(&held.statement, &hops) {
            let statement = *hash;
            found(match error {
                ChainError::Gap => DisclosureFault::ParentUnopened { statement }.into(),
                error @ (ChainError::Statement(_)
                | ChainError::TooLarge { .. }
                | ChainError::Unused
                | ChainError::Parent
                | ChainError::Unproven { .. }
                | ChainError::Hops { .. }) => {
                    DisclosureFault::StatementChain { statement, error }.into()
                }
            });
        }
    }

    /// Its time lies between what witnesses saw of each side's log before and after.
    pub(super) fn dates(&self, held: &Held, found: &mut impl FnMut(FindingKind)) {
        let got = held.statement.time;
        for (log, index) in &held.at {
            let Some(ledger) = self.ledgers.get(log) else {
                continue;
            };
            let after = ledger.witnessed_without(*index);
            let before = ledger.witnessed(*index);
            let early = after
                .is_some_and(|after| got.get().saturating_add(limits::CLOCK_SKEW_S) < after.get());
            let late = before.is_some_and(|before| {
                got.get() > before.get().saturating_add(limits::CLOCK_SKEW_S)
            });
            if early || late {
                return found(DisclosureFault::StatementDate { got, after, before }.into());
            }
        }
    }
}
