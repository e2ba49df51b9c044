//! Near matches for members: for each that asks a list of the PDQ hashes it may have, kept in step with its subset.
//!
//! Why a list a member: one over everything published would spend a search's work, and its limit of answers, on entries that
//! the member may not have. It is read like a client of windows would, so a change costs what changed. What a list says is
//! asked of the subset again before it is answered: what was taken back matches no more from the moment on at which it was,
//! although the list may be a moment behind. What is new stands in the list once its second has passed. In scope: lists and
//! their memory. Out of scope: the search (`near`), rights and quotas (`caller`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::subset::MemberId;
use hashpact_keys::{Origin, Timestamp};
use hashpact_protocol::fingerprint::Fingerprint;
use hashpact_protocol::record::EntryId;

use crate::near::live::{Full, Live};
use crate::near::slots::{Hash, Threshold};
use crate::store::FoundEntry;
use crate::subset::{Feed, FeedError, What, WindowRow};

/// Hashes of all lists together: at about 150 bytes each some 600 MB. The list that was asked longest ago goes first.
const HASHES_MAX: usize = 4_000_000;
/// Rows read at a time.
const ROWS: usize = 1_000;
/// Matches of one hash that are looked at: pictures of one family are rarely more.
const MATCHES_MAX: usize = 64;

/// An origin by its number, and an entry.
type Key = (u32, EntryId);

/// The lists; clones share them.
#[derive(Clone, Default)]
pub(crate) struct Nearby {
    lists: Arc<Mutex<Lists>>,
}

#[derive(Default)]
struct Lists {
    all: BTreeMap<MemberId, Held>,
    /// Counts uses.
    used: u64,
}

struct Held {
    list: Arc<Mutex<List>>,
    /// When it was asked last, by the count of uses.
    used: u64,
    hashes: usize,
}

/// What one member may have.
struct List {
    live: Live<Key>,
    origins: BTreeMap<u32, Origin>,
    /// Rows of seconds below this one are in it.
    to: u64,
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
}

impl Nearby {
    /// The entries of a member with a PDQ hash at most `threshold` bits from each of these, nearest first; none for a
    /// fingerprint of another kind. Blocks.
    pub(crate) fn find(
        &self,
        feed: &Feed,
        member: &MemberId,
        prints: &[Fingerprint],
        threshold: Threshold,
        now: Timestamp,
    ) -> Result<Vec<Vec<Near>>, NearbyError> {
        let held = self.held(member);
        // Whoever panicked while it read left a list that is read on: rows are taken whole.
        let mut list = held.lock().unwrap_or_else(PoisonError::into_inner);
        list.follow(feed, member, now)?;
        let answers = prints.iter().map(|print| {
            let hash = Hash::of(print);
            hash.map_or(Ok(Vec::new()), |hash| {
                list.find(feed, member, &hash, threshold)
            })
        });
        let answers = answers.collect();
        let hashes = list.live.len();
        drop(list);
        self.counted(member, hashes);
        answers
    }

    fn held(&self, member: &MemberId) -> Arc<Mutex<List>> {
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        lists.used += 1;
        let used = lists.used;
        let held = lists.all.entry(member.clone()).or_insert_with(Held::empty);
        held.used = used;
        Arc::clone(&held.list)
    }

    /// Takes note of a list's size, and drops those that were asked longest ago until all fit.
    fn counted(&self, member: &MemberId, hashes: usize) {
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = lists.all.get_mut(member) {
            held.hashes = hashes;
        }
        while lists.all.values().map(|held| held.hashes).sum::<usize>() > HASHES_MAX {
            let others = lists.all.iter().filter(|(name, _)| *name != member);
            let oldest = others.min_by_key(|(_, held)| held.used);
            let Some(name) = oldest.map(|(name, _)| name.clone()) else {
                return;
            };
            lists.all.remove(&name);
        }
    }
}

impl Held {
    fn empty() -> Self {
        let list = List {
            live: Live::new(HASHES_MAX),
            origins: BTreeMap::new(),
            to: 0,
        };
        Self {
            list: Arc::new(Mutex::new(list)),
            used: 0,
            hashes: 0,
        }
    }
}

impl List {
    /// Takes what became visible since, up to now.
    fn follow(
        &mut self,
        feed: &Feed,
        member: &MemberId,
        now: Timestamp,
    ) -> Result<(), NearbyError> {
        // A bulk is spread over seconds to come, so a ledger that is the same has new rows for us all the same.
        let to = now.get();
        if to <= self.to {
            return Ok(());
        }
        let mut after = None;
        loop {
            let window = feed.window(member, self.to, to, after, ROWS)?;
            for row in window.rows {
                self.take(row)?;
            }
            after = window.next;
            if after.is_none() {
                break;
            }
        }
        self.to = to;
        Ok(())
    }

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

    fn find(
        &self,
        feed: &Feed,
        member: &MemberId,
        hash: &Hash,
        threshold: Threshold,
    ) -> Result<Vec<Near>, NearbyError> {
        let (matches, _) = self.live.near(hash, threshold, MATCHES_MAX);
        let mut near = Vec::new();
        for one in matches {
            let (number, entry) = one.key;
            let Some(origin) = self.origins.get(&number) else {
                continue;
            };
            let distance = one.distance;
            if let Some(found) = feed.visible(member, origin, entry)? {
                near.push(Near { distance, found });
            }
        }
        Ok(near)
    }
}
