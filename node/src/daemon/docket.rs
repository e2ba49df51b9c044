//! What waits for an answer of this centre: disputes of its entries, and members' word that one of them is wrong.
//!
//! Why in memory: a look through everything that was ever said would take longer than a person waits, and what waits is
//! little. It is read from the store once, beside the loop, and follows the events of the core from there on. What was
//! withdrawn, answered, retracted or stated anew waits no more. An affirmative vote asks for nothing. In scope: the list.
//! Out of scope: how often something was said (`hashpact_protocol::evidence`), the answer (`control::evidence`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashpact_keys::{CentreId, Jurisdiction, Origin};
use hashpact_protocol::Hash;
use hashpact_protocol::evidence::{self, Code, Field, Kind, Object, Told, Vote};
use hashpact_protocol::record::{EntryId, Revision};

use crate::store::Store;

/// Something that waits for an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    /// What it is known by.
    pub(crate) hash: Hash,
    /// A dispute, or feedback.
    pub(crate) kind: Kind,
    /// The centre that says so, or whose member does.
    pub(crate) by: CentreId,
    /// Its jurisdiction.
    pub(crate) country: Jurisdiction,
    /// The entry.
    pub(crate) entry: EntryId,
    /// Its revision.
    pub(crate) revision: Revision,
    /// Which part is contested, of a dispute.
    pub(crate) field: Option<Field>,
    /// Why.
    pub(crate) code: Option<Code>,
    /// UTC day, in days since 1970-01-01.
    pub(crate) day: u32,
}

/// The cases of one centre; clones share them.
#[derive(Clone)]
pub(crate) struct Docket {
    own: Origin,
    cases: Arc<Mutex<Cases>>,
}

#[derive(Default)]
struct Cases {
    waiting: BTreeMap<Hash, Case>,
    /// What was settled while the store is still being read: a row that was read before must not come after it.
    settled: Option<BTreeSet<Hash>>,
}

impl Docket {
    /// Of the log of this centre; empty until the store was read, beside the caller.
    pub(super) fn begin(own: Origin, store: &Arc<Store>) -> Self {
        let cases = Cases {
            waiting: BTreeMap::new(),
            settled: Some(BTreeSet::new()),
        };
        let cases = Arc::new(Mutex::new(cases));
        let docket = Self { own, cases };
        let (reader, store) = (docket.clone(), Arc::clone(store));
        tokio::task::spawn_blocking(move || reader.read(&store));
        docket
    }

    fn cases(&self) -> MutexGuard<'_, Cases> {
        self.cases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the store, a small part at a time.
    fn read(&self, store: &Store) {
        for first in 0..=u8::MAX {
            let told = evidence::objects_of_log(store, &self.own, first);
            let settled: BTreeSet<Hash> = told.iter().filter_map(settles).collect();
            let cases = told.iter().filter_map(case);
            let mut known = self.cases();
            for case in cases.filter(|case| !settled.contains(&case.hash)) {
                let is_open = known
                    .settled
                    .as_ref()
                    .is_none_or(|it| !it.contains(&case.hash));
                if is_open {
                    known.waiting.insert(case.hash, case);
                }
            }
        }
        self.cases().settled = None;
    }

    /// An object is kept that was not before.
    pub(super) fn take(&self, hash: Hash, about: Option<&Origin>, store: &Store) {
        if about != Some(&self.own) {
            return;
        }
        let Some(object) = evidence::object(store, &hash) else {
            return;
        };
        let told = Told {
            hash,
            object,
            ours: false,
        };
        let mut known = self.cases();
        if let Some(of) = settles(&told) {
            known.waiting.remove(&of);
            if let Some(settled) = &mut known.settled {
                settled.insert(of);
            }
        }
        if let Some(case) = case(&told) {
            known.waiting.insert(hash, case);
        }
    }

    /// What waits, oldest first. What became of an entry meanwhile is looked up: blocks.
    pub(crate) fn waiting(&self, store: &Store) -> Vec<Case> {
        let mut cases: Vec<Case> = self.cases().waiting.values().cloned().collect();
        let is_over = |case: &Case| {
            let retracted = store.is_retracted(&self.own, case.entry, case.revision);
            retracted.unwrap_or(false)
        };
        let over: Vec<Hash> = cases
            .iter()
            .filter(|case| is_over(case))
            .map(|case| case.hash)
            .collect();
        if !over.is_empty() {
            // A retraction is for ever, so nobody need look again.
            let mut known = self.cases();
            for hash in &over {
                known.waiting.remove(hash);
            }
            cases.retain(|case| !over.contains(&case.hash));
        }
        cases.sort_unstable_by_key(|case| (case.day, case.hash));
        cases
    }
}

/// What an object settles.
fn settles(told: &Told) -> Option<Hash> {
    match &told.object {
        Object::Withdrawal(it) => Some(it.of),
        Object::Answer(it) => Some(it.of),
        Object::Attestation(_)
        | Object::Dispute(_)
        | Object::Feedback(_)
        | Object::Reason(_)
        | Object::Hold(_)
        | Object::Lift(_)
        | Object::OptIn(_)
        | Object::Surge(_) => None,
    }
}

fn case(told: &Told) -> Option<Case> {
    let (by, subject, field, code) = match &told.object {
        Object::Dispute(it) => (&it.by, &it.subject, Some(it.field), Some(it.code)),
        Object::Feedback(it) if it.vote == Vote::Negative => (&it.by, &it.subject, None, it.code),
        Object::Feedback(_)
        | Object::Attestation(_)
        | Object::Withdrawal(_)
        | Object::Answer(_)
        | Object::Reason(_)
        | Object::Hold(_)
        | Object::Lift(_)
        | Object::OptIn(_)
        | Object::Surge(_) => return None,
    };
    Some(Case {
        hash: told.hash,
        kind: told.object.kind(),
        by: by.centre.clone(),
        country: by.country.clone(),
        entry: subject.entry,
        revision: subject.revision,
        field,
        code,
        day: by.day,
    })
}
