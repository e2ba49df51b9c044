//! What is published, as members read it. What the tests share: a node's store that is filled by hand, policy that a test
//! decides, and a member that applies what it is told.

mod changes;
mod judging;
mod measure;
mod publishing;
mod windows;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use hashpact_keys::{KeyUse, Origin, SignedRoster, Signer, Timestamp};
use hashpact_protocol::centre::{PublishAccess, Released};
use hashpact_protocol::delta::{Retraction, Sealed, Seq};
use hashpact_protocol::evidence::{By, Code, Object, Order, OrderBy, Reason};
use hashpact_protocol::labels::ClassId;
use hashpact_protocol::record::{EntryId, Record, Revision};
use hashpact_protocol::subset::SignedDelta;
use hashpact_protocol::testing::attestations::DAY;
use hashpact_protocol::testing::evidence;
use hashpact_protocol::testing::keys::{CentreSetup, START, network};
use hashpact_protocol::view::{Shelf, View as _, Write};

use super::MemberId;
use super::cursor::CursorKey;
use super::desk::Signals;
use super::feed::{Bound, Change, Cursor, FeedError};
use super::ledger::Ledger;
use super::publish::{Publisher, Sources};
use super::reader::{Feed, Shared};
use crate::config::SubsetConfig;
use crate::store::Store;
use crate::store::durable::Steps;
use crate::store::tests::{admit, commit, delta_leaf, grown, sealed, with_classes};

pub(crate) use crate::store::tests::{eu, record, us};

/// What members may have, as the test says: by member, classes with and without the baseline.
type Policy = Arc<Mutex<PublishAccess>>;

pub(crate) struct World {
    pub(super) dir: tempfile::TempDir,
    pub(crate) store: Arc<Store>,
    pub(crate) feed: Feed,
    pub(super) signals: Arc<Signals>,
    pub(super) publisher: Publisher,
    pub(super) ledger: Arc<Ledger>,
    pub(super) policy: Policy,
    pub(super) clock: Arc<AtomicU64>,
    pub(super) roster: SignedRoster,
}

/// A centre, on the day on which tests begin.
pub(super) fn by(centre: usize) -> By {
    let setup = CentreSetup::numbered(centre);
    By {
        network: network(2, true).0.roster().network,
        centre: setup.id,
        country: setup.jurisdiction,
        day: DAY,
    }
}

/// An order of two people of the first centre.
pub(super) fn ordered(order: &Order) -> Vec<u8> {
    let keys = [5, 6].map(|n| Signer::from_seed(&[n; 32]));
    order.sign(&[&keys[0], &keys[1]]).unwrap()
}

pub(super) fn by_order(time: u64) -> OrderBy {
    let By {
        network, centre, ..
    } = by(0);
    let time = Timestamp::new(time);
    OrderBy {
        network,
        centre,
        time,
    }
}

pub(super) fn acme() -> MemberId {
    "acme".parse().unwrap()
}

pub(super) const ALL: Bound = Bound {
    records: usize::MAX,
    bytes: usize::MAX,
};

/// Everything comes at once.
pub(super) fn prompt() -> SubsetConfig {
    SubsetConfig {
        quarantine_s: 0,
        cap_per_origin_day: 1_000_000,
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        drop(with_classes(dir.path()));
        let world = Self::open(dir, prompt(), Steps::default(), Arc::default());
        world.admit_member("acme");
        world.clock.store(START.get() + 1_000, Ordering::SeqCst);
        world
    }

    pub(super) fn open(
        dir: tempfile::TempDir,
        config: SubsetConfig,
        steps: Steps,
        policy: Policy,
    ) -> Self {
        let store = Arc::new(crate::store::tests::open(dir.path()));
        let ledger = Ledger::open(&dir.path().join("subset.redb"), [7; 8], &steps).unwrap();
        Self::with(dir, store, Arc::new(ledger), config, policy)
    }

    fn with(
        dir: tempfile::TempDir,
        store: Arc<Store>,
        ledger: Arc<Ledger>,
        config: SubsetConfig,
        policy: Policy,
    ) -> Self {
        let (roster, _) = network(2, true);
        let clock = Arc::new(AtomicU64::new(START.get() + 1_000));
        let shared = Arc::new(Shared::new(
            Arc::clone(&store),
            roster.roster().network,
            Signer::from_seed(&[3; 32]),
            CursorKey::new(&[4; 32]),
        ));
        shared.ledger.set(Arc::clone(&ledger)).ok().unwrap();
        let signals = Arc::<Signals>::default();
        let (asked, time) = (Arc::clone(&policy), Arc::clone(&clock));
        let known = Arc::new(roster.roster().clone());
        let sources = Sources {
            config,
            home: CentreSetup::numbered(0).jurisdiction,
            access: Box::new(move || Ok(Ok(asked.lock().unwrap().clone()))),
            roster: Box::new(move || Some(Arc::clone(&known))),
            clock: Box::new(move || time.load(Ordering::SeqCst)),
        };
        let feed = Feed::new(Arc::clone(&shared));
        let publisher = Publisher::new(shared, Arc::clone(&ledger), Arc::clone(&signals), sources);
        Self {
            dir,
            store,
            feed,
            signals,
            publisher,
            ledger,
            policy,
            clock,
            roster,
        }
    }

    /// Nothing of it is open any more.
    pub(super) fn close(self) -> (tempfile::TempDir, Policy, Arc<AtomicU64>) {
        let Self {
            dir,
            store,
            feed,
            signals,
            publisher,
            ledger,
            policy,
            clock,
            roster,
        } = self;
        drop((store, feed, signals, publisher, ledger, roster));
        (dir, policy, clock)
    }

    /// As after a restart.
    pub(super) fn again(self, config: SubsetConfig, steps: Steps) -> Self {
        let (dir, policy, clock) = self.close();
        let now = clock.load(Ordering::SeqCst);
        let world = Self::open(dir, config, steps, policy);
        world.clock.store(now, Ordering::SeqCst);
        world
    }

    pub(super) fn now(&self) -> u64 {
        self.clock.load(Ordering::SeqCst)
    }

    pub(super) fn pass(&self, seconds: u64) {
        self.clock.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) fn admit_member(&self, name: &str) {
        self.keep(name, Some(vec![1]));
    }

    pub(super) fn keep(&self, name: &str, value: Option<Vec<u8>>) {
        let row = Write::Keep {
            shelf: Shelf::Member,
            key: name.as_bytes().to_vec(),
            value,
        };
        commit(&self.store, vec![row]);
        self.signals.change();
    }

    /// From now on a member may have these classes.
    pub(crate) fn allow(&self, member: &str, classes: &[(Origin, u16)]) {
        let released = classes.iter().map(|(origin, class)| Released {
            origin: origin.clone(),
            class: ClassId(*class),
            baseline: false,
        });
        let mut policy = self.policy.lock().unwrap();
        let released: BTreeSet<Released> = released.collect();
        policy.members.insert(member.to_owned(), Arc::new(released));
        self.signals.change();
    }

    /// An origin says that a revision of its own took the place of the one before.
    pub(super) fn supersede(&self, record: &Record) {
        let before = Revision(record.revision.0 - 1);
        let reason = Reason {
            by: by(0),
            entry: (eu(), record.entry, before),
            code: Code::Superseded,
        };
        self.say(&Object::Reason(reason), 0);
    }

    /// A centre says something, which came here.
    pub(super) fn say(&self, object: &Object, centre: usize) {
        let signer = CentreSetup::numbered(centre).signer(KeyUse::Attest);
        let signed = evidence::sign(object, &signer).unwrap();
        commit(&self.store, evidence::kept(&signed).unwrap());
    }

    /// A delta of a log that is witnessed and applied.
    pub(crate) fn delta(&self, origin: &Origin, records: &[(u16, Record)], ends: &[Retraction]) {
        let state = self.store.log(origin);
        let seq = state.next_seq;
        let Sealed { body, table } = sealed(origin, seq.0, records, ends);
        let leaf = delta_leaf(origin, seq.0, table.clone());
        let mut writes = grown(&self.store, origin, &[leaf], &[]);
        let bytes = body.bytes().to_vec();
        writes.push(Write::Body(admit(origin, seq.0, table, bytes)));
        let next = Seq(seq.0 + 1);
        for write in &mut writes {
            if let Write::State { state, .. } = write {
                state.next_seq = next;
                state.witnessed_seq = next;
                (state.applied, state.retracted) = (next, next);
            }
        }
        commit(&self.store, writes);
    }

    pub(crate) fn round(&mut self) {
        self.publisher.round().unwrap();
    }

    /// The entries that a member may have, by a filter that reads nothing of the ledger.
    pub(super) fn expected(&self, member: &str, all: &[(Origin, u16, Record)]) -> Held {
        let policy = self.policy.lock().unwrap();
        let released = policy.members.get(member).cloned().unwrap_or_default();
        let mut held = Held::new();
        for (origin, class, record) in all {
            let kind = Released {
                origin: origin.clone(),
                class: ClassId(*class),
                baseline: false,
            };
            let is_over = self
                .store
                .is_retracted(origin, record.entry, record.revision);
            if released.contains(&kind) && !is_over.unwrap() {
                let rev = held
                    .entry((origin.clone(), record.entry))
                    .or_insert(record.revision);
                *rev = (*rev).max(record.revision);
            }
        }
        held
    }
}

/// Entries with their revisions.
pub(super) type Held = BTreeMap<(Origin, EntryId), Revision>;

/// A member that verifies and applies what it is told.
#[derive(Clone, Default)]
pub(super) struct Applied {
    pub(super) held: Held,
    pub(super) cursor: Option<Cursor>,
    /// How often an entry came in a pack.
    pub(super) told: BTreeMap<EntryId, usize>,
    pub(super) marks: BTreeMap<EntryId, (bool, bool)>,
    deltas: BTreeMap<(Origin, Seq), SignedDelta>,
}

impl Applied {
    /// Reads until there is nothing more.
    pub(super) fn catch_up(&mut self, world: &World, bound: Bound) -> Result<usize, FeedError> {
        let mut pages = 0;
        while self.page(world, &acme(), bound)? {
            pages += 1;
            assert!(pages < 10_000, "a reader that goes on for ever");
        }
        Ok(pages + 1)
    }

    pub(super) fn page(
        &mut self,
        world: &World,
        member: &MemberId,
        bound: Bound,
    ) -> Result<bool, FeedError> {
        let page = world.feed.changes(member, self.cursor.as_ref(), bound)?;
        self.deltas.clear();
        for change in page.changes {
            self.apply(world, change);
        }
        self.cursor = Some(page.cursor);
        Ok(page.more)
    }

    fn apply(&mut self, world: &World, change: Change) {
        match change {
            Change::Delta {
                origin,
                seq,
                header,
                index,
            } => {
                let delta = SignedDelta::open(&header, index, world.roster.roster());
                // The log of the second centre is signed by the first here; what matters is the path.
                if let Ok(delta) = delta {
                    self.deltas.insert((origin, seq), delta);
                }
            }
            Change::Class { .. } => {}
            Change::Pack {
                origin,
                seq,
                class,
                path,
                section,
                places,
                ..
            } => {
                if let Some(delta) = self.deltas.get(&(origin.clone(), seq)) {
                    let labels = world.store.class(&origin, class).unwrap();
                    let pack = delta
                        .verify_pack((class, &labels), &path, &section)
                        .unwrap();
                    let shown = pack.records.iter().map(|it| (it.entry, it.revision));
                    assert!(
                        shown.eq(places.iter().copied()),
                        "a pack names what is in it"
                    );
                }
                for (entry, revision) in places {
                    *self.told.entry(entry).or_default() += 1;
                    self.held.insert((origin.clone(), entry), revision);
                }
            }
            Change::Retraction {
                origin,
                seq,
                path,
                list,
                gone,
            } => {
                if let Some(delta) = self.deltas.get(&(origin.clone(), seq)) {
                    let list = delta.verify_retractions(&path, &list).unwrap();
                    let is_in = |(entry, upto): &(EntryId, Revision)| {
                        let it = Retraction {
                            entry: *entry,
                            revision: *upto,
                        };
                        list.contains(&it)
                    };
                    assert!(gone.iter().all(is_in));
                }
                for (entry, upto) in gone {
                    self.end(origin.clone(), entry, upto);
                }
            }
            Change::Withdraw { entries } => {
                for (origin, entry, upto) in entries {
                    self.end(origin, entry, upto);
                }
            }
            Change::Mark {
                entry,
                disputed,
                flagged,
                ..
            } => {
                self.marks.insert(entry, (disputed, flagged));
            }
        }
    }

    fn end(&mut self, origin: Origin, entry: EntryId, upto: Revision) {
        let key = (origin, entry);
        if self.held.get(&key).is_some_and(|held| *held <= upto) {
            self.held.remove(&key);
        }
    }
}

pub(crate) fn ended(record: &Record) -> Retraction {
    Retraction {
        entry: record.entry,
        revision: record.revision,
    }
}

pub(super) fn placed(origin: &Origin, records: &[(u16, Record)]) -> Vec<(Origin, u16, Record)> {
    let records = records.iter();
    records
        .map(|(class, record)| (origin.clone(), *class, record.clone()))
        .collect()
}

pub(crate) fn records(range: std::ops::Range<u64>, classes: u16) -> Vec<(u16, Record)> {
    range
        .map(|n| (u16::try_from(n % u64::from(classes)).unwrap(), record(n, 1)))
        .collect()
}
