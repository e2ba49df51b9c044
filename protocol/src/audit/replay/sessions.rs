//! Do both sides of a match session say the same, and what the manifest says that it went by.

use std::collections::BTreeSet;

use super::super::finding::{Finding, MatchFault};
use super::super::ledger::leaf;
use super::Court;
use crate::policy::Asker;
use crate::psi::{Role, SessionRecord};
use hashpact_keys::Origin;

impl Court<'_> {
    /// Every session of which a record was opened that its leaf seals.
    pub(super) fn sessions(&self, emit: &mut dyn FnMut(Finding)) {
        for records in self.openings.sessions.values() {
            let is_sealed = |(_, log, index): &&(SessionRecord, Origin, u64)| {
                let ledger = self.ledgers.get(log);
                ledger.is_some_and(|ledger| ledger.opens(*index))
            };
            let mut first: Option<&SessionRecord> = None;
            // A resumption that was refused has a record of its own beside that of the session.
            let mut ended = BTreeSet::new();
            for (record, log, index) in records.iter().filter(is_sealed) {
                let session = record.session;
                let mut found = |what: MatchFault| {
                    emit(Finding {
                        log: Some(log.clone()),
                        place: leaf(*index),
                        what: what.into(),
                    });
                };
                if let Some(what) = self.one(record, log) {
                    found(what);
                }
                if record.refusal.is_some() {
                    continue;
                }
                if !ended.insert(record.role) {
                    found(MatchFault::SessionTwice { session });
                }
                match first {
                    Some(other) if other.role != record.role => {
                        if let Some(field) = record.differs(other) {
                            found(MatchFault::SessionDiffers { session, field });
                        }
                    }
                    Some(_) => {}
                    None => first = Some(record),
                }
            }
        }
    }

    /// What is wrong with one record, for itself.
    fn one(&self, record: &SessionRecord, log: &Origin) -> Option<MatchFault> {
        let session = record.session;
        if record.network != self.chain.newest().roster().network {
            return Some(MatchFault::SessionNetwork { session });
        }
        let is_side = match (record.role, &record.asker) {
            (Role::Server, _) => record.origin == *log,
            (Role::Client, Asker::Centre(id)) => id == log.centre() && record.origin != *log,
            // A member has no log.
            (Role::Client, Asker::Member(_)) => false,
        };
        if !is_side {
            return Some(MatchFault::SessionLog { session });
        }
        let (used, per_day) = (record.used, record.per_day);
        if record.refusal.is_none() && used > per_day {
            return Some(MatchFault::SessionQuota {
                session,
                used,
                per_day,
            });
        }
        let leaf = record.manifest?;
        let ledger = self.ledgers.get(&record.origin)?;
        if ledger.ends_before(leaf) {
            return None;
        }
        let holds = ledger.manifests.get(&leaf).is_some_and(|(epoch, groups)| {
            *epoch == record.epoch && record.groups.iter().all(|group| groups.contains(group))
        });
        (!holds).then_some(MatchFault::SessionManifest { session, leaf })
    }
}
