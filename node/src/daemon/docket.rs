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

/// What an object ends. Anybody may name the hash of any case, so whose word it is decides which it can end.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Settles {
    of: Hash,
    /// Whose case it may be: of who takes it back, or anybody's if this centre answers.
    by: Option<CentreId>,
}

impl Settles {
    fn ends(&self, case: &Case) -> bool {
        self.of == case.hash && self.by.as_ref().is_none_or(|by| *by == case.by)
    }
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
    settled: Option<BTreeSet<Settles>>,
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
            self.cases().read(&told, self.own.centre());
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
        self.cases().take(&told, self.own.centre());
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

impl Cases {
    /// What the store has of one part of the log.
    fn read(&mut self, told: &[Told], own: &CentreId) {
        let settled: BTreeSet<Settles> = told.iter().filter_map(|it| settles(it, own)).collect();
        for case in told.iter().filter_map(case) {
            let meanwhile = self.settled.as_ref();
            let is_over =
                ends(&settled, &case) || meanwhile.is_some_and(|settled| ends(settled, &case));
            if !is_over {
                self.waiting.insert(case.hash, case);
            }
        }
    }

    /// What came.
    fn take(&mut self, told: &Told, own: &CentreId) {
        if let Some(settles) = settles(told, own) {
            if self
                .waiting
                .get(&settles.of)
                .is_some_and(|case| settles.ends(case))
            {
                self.waiting.remove(&settles.of);
            }
            if let Some(settled) = &mut self.settled {
                settled.insert(settles);
            }
        }
        if let Some(case) = case(told) {
            self.waiting.insert(told.hash, case);
        }
    }
}

fn ends(settled: &BTreeSet<Settles>, case: &Case) -> bool {
    [None, Some(case.by.clone())].into_iter().any(|by| {
        let of = case.hash;
        settled.contains(&Settles { of, by })
    })
}

/// What an object settles: a withdrawal what its maker said, an answer of this centre anything.
fn settles(told: &Told, own: &CentreId) -> Option<Settles> {
    match &told.object {
        Object::Withdrawal(it) => Some(Settles {
            of: it.of,
            by: Some(it.by.centre.clone()),
        }),
        Object::Answer(it) => (it.by.centre == *own).then_some(Settles {
            of: it.of,
            by: None,
        }),
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

#[cfg(test)]
mod tests {
    use hashpact_keys::NetworkId;
    use hashpact_protocol::assess::Subject;
    use hashpact_protocol::evidence::{Answer, By, Dispute, Verdict, Withdrawal};

    use super::*;

    fn by(centre: &str) -> By {
        By {
            network: "07".repeat(32).parse::<NetworkId>().unwrap(),
            centre: centre.parse().unwrap(),
            country: "CA".parse().unwrap(),
            day: 20_000,
        }
    }

    fn told(n: u8, object: Object) -> Told {
        Told {
            hash: [n; 32],
            object,
            ours: false,
        }
    }

    fn about() -> (Origin, EntryId, Revision) {
        let own = "net.example/own/1".parse().unwrap();
        (own, EntryId([1; 16]), Revision(1))
    }

    fn dispute(n: u8, centre: &str) -> Told {
        let (origin, entry, revision) = about();
        let subject = Subject {
            origin,
            entry,
            revision,
            leaf: [9; 32],
        };
        let object = Object::Dispute(Dispute {
            by: by(centre),
            subject,
            field: Field::Entry,
            code: Code::Adult,
        });
        told(n, object)
    }

    fn withdrawal(n: u8, centre: &str, of: u8) -> Told {
        let object = Object::Withdrawal(Withdrawal {
            by: by(centre),
            entry: about(),
            of: [of; 32],
        });
        told(n, object)
    }

    fn answer(n: u8, centre: &str, of: u8) -> Told {
        let object = Object::Answer(Answer {
            by: by(centre),
            entry: about(),
            of: [of; 32],
            verdict: Verdict::Accepted,
            code: None,
        });
        told(n, object)
    }

    /// What waits once all of it came, and once it was read from the store, also if some came before it was read.
    fn waiting(all: &[Told]) -> Vec<u8> {
        let own = by("own").centre;
        let hashes = |cases: &Cases| cases.waiting.keys().map(|it| it[0]).collect::<Vec<_>>();
        let (mut came, mut read, mut raced) =
            (Cases::default(), Cases::default(), Cases::default());
        raced.settled = Some(BTreeSet::new());
        for it in all {
            came.take(it, &own);
        }
        read.read(all, &own);
        for it in all.iter().filter(|it| case(it).is_none()) {
            raced.take(it, &own);
        }
        raced.read(&all[..1], &own);
        assert_eq!(hashes(&came), hashes(&read));
        assert_eq!(hashes(&came), hashes(&raced));
        hashes(&came)
    }

    #[test]
    fn a_rogue_centre_that_withdraws_or_answers_the_dispute_of_another_settles_nothing() {
        assert_eq!(
            waiting(&[dispute(1, "honest"), withdrawal(2, "rogue", 1)]),
            [1]
        );
        assert_eq!(waiting(&[dispute(1, "honest"), answer(2, "rogue", 1)]), [1]);
        assert_eq!(
            waiting(&[dispute(1, "honest"), withdrawal(2, "own", 1)]),
            [1]
        );
    }

    #[test]
    fn who_raised_it_withdraws_it_and_this_centre_answers_it() {
        assert!(waiting(&[dispute(1, "honest"), withdrawal(2, "honest", 1)]).is_empty());
        assert!(waiting(&[dispute(1, "honest"), answer(2, "own", 1)]).is_empty());
    }
}
