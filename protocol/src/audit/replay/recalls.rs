//! Does every recall have its acknowledgement, and each acknowledgement its recall.

use std::collections::BTreeSet;

use hashpact_keys::Origin;

use super::super::finding::{DisclosureFault, Finding};
use super::super::ledger::leaf;
use super::Court;
use crate::b3::Hash;

impl Court<'_> {
    /// Every recall has its acknowledgement, and each acknowledgement its recall.
    pub(super) fn recalls(&self, emit: &mut dyn FnMut(Finding)) {
        let said = self.openings.acknowledgements.values();
        let answered: BTreeSet<Hash> = said.map(|(said, ..)| said.recall).collect();
        let mut found = |log: &Origin, index: u64, what| {
            let log = Some(log.clone());
            let place = leaf(index);
            emit(Finding { log, place, what });
        };
        let is_sealed = |log: &Origin, index: u64| {
            let ledger = self.ledgers.get(log);
            ledger.is_some_and(|ledger| ledger.opens(index))
        };
        for (hash, (recall, log, index)) in &self.openings.recalls {
            if !is_sealed(log, *index) {
                continue;
            }
            let (from, to) = (recall.from.clone(), recall.to.clone());
            let is_side = [&from, &to].contains(&log.centre());
            if !is_side {
                let index = *index;
                found(
                    log,
                    index,
                    DisclosureFault::NotASide { from, to, index }.into(),
                );
            } else if !answered.contains(hash) {
                found(log, *index, DisclosureFault::Unacknowledged { to }.into());
            }
        }
        for (said, log, index) in self.openings.acknowledgements.values() {
            if !is_sealed(log, *index) {
                continue;
            }
            let recall = self.openings.recalls.get(&said.recall);
            match recall {
                Some((recall, ..)) if recall.to == said.from => {}
                Some(_) => found(log, *index, DisclosureFault::AcknowledgedByOther.into()),
                None => found(log, *index, DisclosureFault::RecallUnopened.into()),
            }
        }
    }
}
