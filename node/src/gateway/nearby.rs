//! Near matches for members: for each that asks a list of the PDQ hashes it may have, kept in step with its subset.
//!
//! Why a list a member: one over everything published would spend a search's work, and its limit of answers, on entries that
//! the member may not have. It is read like a client of windows would, so a change costs what changed. What a list says is
//! asked of the subset again before it is answered: what was taken back matches no more from the moment on at which it was,
//! although the list may be a moment behind. What is new stands in the list once its second has passed. A search is long and
//! a list large, so few search at once, each member once, none for whoever has gone, and a list has its room before it grows.
//! In scope: lists, their memory and turns. Out of scope: the search (`near`), rights and quotas (`caller`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::subset::MemberId;
use hashpact_keys::{Origin, Timestamp};
use hashpact_protocol::fingerprint::Fingerprint;
use hashpact_protocol::record::EntryId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;

use super::native::ask::problem;
use super::problem::Problem;
use crate::near::live::{Full, Live};
use crate::near::slots::{Hash, Threshold};
use crate::store::FoundEntry;
use crate::subset::{Feed, FeedError, What, Window, WindowKey, WindowRow};

/// Hashes of all lists together: at about 150 bytes each some 600 MB. The list that was asked longest ago goes first.
const HASHES_MAX: usize = 4_000_000;
/// Rows read at a time.
const ROWS: usize = 1_000;
/// Matches of one hash that are looked at: pictures of one family are rarely more.
const MATCHES_MAX: usize = 64;

/// Searches at once, of all members together.
const SEARCHES: usize = 2;

/// An origin by its number, and an entry.
type Key = (u32, EntryId);

/// The lists; clones share them.
#[derive(Clone)]
pub(crate) struct Nearby {
    lists: Arc<Mutex<Lists>>,
    searches: Arc<Semaphore>,
}

impl Default for Nearby {
    fn default() -> Self {
        Self {
            lists: Arc::default(),
            searches: Arc::new(Semaphore::new(SEARCHES)),
        }
    }
}

/// A member's turn to search.
pub(crate) struct Turn {
    member: MemberId,
    /// Alive as long as somebody waits for the answer.
    waits: Weak<()>,
    _places: [OwnedSemaphorePermit; 2],
}

impl Turn {
    fn stands(&self) -> Result<(), NearbyError> {
        let stands = self.waits.strong_count() > 0;
        stands.then_some(()).ok_or(NearbyError::Unasked)
    }
}

#[derive(Default)]
struct Lists {
    all: BTreeMap<MemberId, Held>,
    /// One search of a member at once. Members are as many as the register has.
    turns: BTreeMap<MemberId, Arc<Semaphore>>,
    /// Counts uses.
    used: u64,
}

struct Held {
    list: Arc<Mutex<List>>,
    /// When it was asked last, by the count of uses.
    used: u64,
    /// Hashes that it has room for.
    hashes: usize,
}

/// What one member may have.
struct List {
    live: Live<Key>,
    origins: BTreeMap<u32, Origin>,
    /// Rows of seconds below this one are in it.
    to: u64,
    /// Rows up to this second are being taken, and those up to this key are.
    under_way: Option<(u64, WindowKey)>,
}

/// A match.
pub(crate) struct Near {
    /// Bits that differ.
    pub(crate) distance: u8,
    /// The entry.
    pub(crate) found: FoundEntry,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NearbyError {
    #[error(transparent)]
    Feed(#[from] FeedError),
    #[error(transparent)]
    Full(#[from] Full),
    #[error("the room for near matches is taken by others that are being answered")]
    Room,
    #[error("nobody waits for the answer any more")]
    Unasked,
}

impl Nearby {
    /// Does work that searches once it is the member's turn, where it may block. Dropped, the work ends soon.
    pub(crate) async fn in_turn<T: Send + 'static>(
        &self,
        member: MemberId,
        work: impl FnOnce(&Turn) -> Result<T, NearbyError> + Send + 'static,
    ) -> Result<T, Problem> {
        let waits = Arc::new(());
        let turn = self.turn(member, Arc::downgrade(&waits)).await;
        let turn = turn.ok_or_else(Problem::failed)?;
        let done = spawn_blocking(move || work(&turn)).await;
        drop(waits);
        let done = done.map_err(|_| Problem::failed())?;
        done.map_err(|error| error.told())
    }

    /// Its own place first: whoever asks often stands in nobody's way.
    async fn turn(&self, member: MemberId, waits: Weak<()>) -> Option<Turn> {
        let own = {
            let mut lists = self.lists();
            let own = lists.turns.entry(member.clone());
            Arc::clone(own.or_insert_with(|| Arc::new(Semaphore::new(1))))
        };
        let own = own.acquire_owned().await.ok()?;
        let common = Arc::clone(&self.searches).acquire_owned().await.ok()?;
        Some(Turn {
            member,
            waits,
            _places: [own, common],
        })
    }

    /// The entries of a member with a PDQ hash at most `threshold` bits from each of these, nearest first; none for a
    /// fingerprint of another kind. Blocks.
    pub(crate) fn find(
        &self,
        feed: &Feed,
        turn: &Turn,
        prints: &[Fingerprint],
        threshold: Threshold,
        now: Timestamp,
    ) -> Result<Vec<Vec<Near>>, NearbyError> {
        let held = self.held(&turn.member);
        // Whoever panicked while it read left a list that is read on: rows are taken whole.
        let mut list = held.lock().unwrap_or_else(PoisonError::into_inner);
        self.follow(&mut list, feed, turn, now)?;
        let mut seen = Seen::default();
        let answers = prints.iter().map(|print| {
            let hash = Hash::of(print);
            hash.map_or(Ok(Vec::new()), |hash| {
                list.find(&hash, threshold, |key, origin| {
                    seen.see(feed, turn, key, origin)
                })
            })
        });
        answers.collect()
    }

    /// Takes what became visible since, up to now. What was taken stays when this ends early.
    fn follow(
        &self,
        list: &mut List,
        feed: &Feed,
        turn: &Turn,
        now: Timestamp,
    ) -> Result<(), NearbyError> {
        // A bulk is spread over seconds to come, so a ledger that is the same has new rows for us all the same.
        while list.to < now.get() {
            turn.stands()?;
            let (to, after) = list
                .under_way
                .map_or((now.get(), None), |(to, after)| (to, Some(after)));
            let window = feed.window(&turn.member, list.to, to, after, ROWS)?;
            self.reserve(&turn.member, list.live.len() + hashes(&window))?;
            for row in window.rows {
                list.take(row)?;
            }
            list.under_way = window.next.map(|next| (to, next));
            if window.next.is_none() {
                list.to = to;
            }
        }
        Ok(())
    }

    fn lists(&self) -> MutexGuard<'_, Lists> {
        // Nothing that is done under it leaves it half done.
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self, member: &MemberId) -> Arc<Mutex<List>> {
        let mut lists = self.lists();
        lists.used += 1;
        let used = lists.used;
        let held = lists.all.entry(member.clone()).or_insert_with(Held::empty);
        held.used = used;
        Arc::clone(&held.list)
    }

    /// Makes room for so many hashes of a member's list: those that were asked longest ago go, but none that is in use.
    fn reserve(&self, member: &MemberId, hashes: usize) -> Result<(), NearbyError> {
        if hashes > HASHES_MAX {
            return Err(Full { bound: HASHES_MAX }.into());
        }
        let mut lists = self.lists();
        loop {
            let others = lists.all.iter().filter(|(name, _)| *name != member);
            let taken: usize = others.clone().map(|(_, held)| held.hashes).sum();
            if taken.saturating_add(hashes) <= HASHES_MAX {
                break;
            }
            let idle = others.filter(|(_, held)| Arc::strong_count(&held.list) == 1);
            let oldest = idle.min_by_key(|(_, held)| held.used);
            let name = oldest.map(|(name, _)| name.clone());
            lists.all.remove(&name.ok_or(NearbyError::Room)?);
        }
        if let Some(held) = lists.all.get_mut(member) {
            held.hashes = hashes;
        }
        Ok(())
    }
}

/// What one request saw: an entry near many of its hashes is asked of the subset once.
#[derive(Default)]
struct Seen(BTreeMap<Key, Option<FoundEntry>>);

impl Seen {
    fn see(
        &mut self,
        feed: &Feed,
        turn: &Turn,
        key: Key,
        origin: &Origin,
    ) -> Result<Option<FoundEntry>, NearbyError> {
        if let Some(seen) = self.0.get(&key) {
            return Ok(seen.clone());
        }
        turn.stands()?;
        let found = feed.visible(&turn.member, origin, key.1)?;
        self.0.insert(key, found.clone());
        Ok(found)
    }
}

impl NearbyError {
    /// What the caller is told.
    fn told(&self) -> Problem {
        match self {
            Self::Feed(error) => problem(error),
            Self::Room => Problem::stopping(),
            Self::Unasked => Problem::too_long(),
            Self::Full(full) => {
                tracing::error!(%full, "a member's near matches cannot be answered");
                Problem::failed()
            }
        }
    }
}

/// Hashes of a window's rows.
fn hashes(window: &Window) -> usize {
    let live = window.rows.iter().filter_map(|row| match &row.what {
        What::Live(found) => Some(found.record.fields.matchable().filter_map(Hash::of).count()),
        What::Gone => None,
    });
    live.sum()
}

impl Held {
    fn empty() -> Self {
        let list = List {
            live: Live::new(HASHES_MAX),
            origins: BTreeMap::new(),
            to: 0,
            under_way: None,
        };
        Self {
            list: Arc::new(Mutex::new(list)),
            used: 0,
            hashes: 0,
        }
    }
}

impl List {
    fn take(&mut self, row: WindowRow) -> Result<(), Full> {
        let key = (row.origin_number, row.entry);
        self.live.remove(&key);
        let found = match row.what {
            What::Live(found) => found,
            What::Gone => return Ok(()),
        };
        for hash in found.record.fields.matchable().filter_map(Hash::of) {
            self.live.put(key, hash)?;
        }
        self.origins
            .entry(row.origin_number)
            .or_insert(found.origin);
        Ok(())
    }

    /// What is near, as far as `see` sees it.
    fn find(
        &self,
        hash: &Hash,
        threshold: Threshold,
        mut see: impl FnMut(Key, &Origin) -> Result<Option<FoundEntry>, NearbyError>,
    ) -> Result<Vec<Near>, NearbyError> {
        let (matches, _) = self.live.near(hash, threshold, MATCHES_MAX);
        let mut near = Vec::new();
        for one in matches {
            let Some(origin) = self.origins.get(&one.key.0) else {
                continue;
            };
            let distance = one.distance;
            if let Some(found) = see(one.key, origin)? {
                near.push(Near { distance, found });
            }
        }
        Ok(near)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn id(name: &str) -> MemberId {
        name.parse().unwrap()
    }

    async fn turn(nearby: &Nearby, name: &str, waits: &Arc<()>) -> Option<Turn> {
        let turn = nearby.turn(id(name), Arc::downgrade(waits));
        timeout(Duration::from_millis(50), turn)
            .await
            .ok()
            .flatten()
    }

    #[tokio::test]
    async fn flood_of_near_requests_holds_one_thread_a_member_and_two_in_all() {
        let (nearby, waits) = (Nearby::default(), Arc::new(()));
        let first = turn(&nearby, "acme", &waits).await.unwrap();
        assert!(turn(&nearby, "acme", &waits).await.is_none());
        // Another member is not in the way of the first one's flood.
        let other = turn(&nearby, "bolt", &waits).await.unwrap();
        assert!(turn(&nearby, "cord", &waits).await.is_none());
        drop(first);
        assert!(turn(&nearby, "cord", &waits).await.is_some());
        drop(other);
        assert!(turn(&nearby, "acme", &waits).await.is_some());
    }

    #[tokio::test]
    async fn near_request_whose_asker_has_gone_searches_no_more() {
        let (nearby, waits) = (Nearby::default(), Arc::new(()));
        let turn = turn(&nearby, "acme", &waits).await.unwrap();
        turn.stands().unwrap();
        drop(waits);
        assert!(matches!(turn.stands(), Err(NearbyError::Unasked)));
    }

    #[test]
    fn members_that_ask_first_at_once_never_hold_more_than_the_room_there_is() {
        let nearby = Nearby::default();
        let half = HASHES_MAX / 2;
        let acme = nearby.held(&id("acme"));
        nearby.reserve(&id("acme"), half).unwrap();
        let bolt = nearby.held(&id("bolt"));
        nearby.reserve(&id("bolt"), half).unwrap();
        let _cord = nearby.held(&id("cord"));
        // Both are in use: their memory is not free, whatever the map says.
        let refused = nearby.reserve(&id("cord"), 1);
        assert!(matches!(refused, Err(NearbyError::Room)));
        drop((acme, bolt));
        nearby.reserve(&id("cord"), half + 1).unwrap();
        assert!(nearby.lists().all.keys().eq([&id("cord")]));
        let full = nearby.reserve(&id("cord"), HASHES_MAX + 1);
        assert!(matches!(full, Err(NearbyError::Full(_))));
    }
}
