//! What a gateway asks. Everything is synchronous and reads the disk: call it where blocking is allowed.
//!
//! Every question is decided by the member's access as it stands when it is asked. Where policy was not asked yet, or its
//! answer has run out, there is no answer: what was allowed once is no ground to give anything.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use hashpact_keys::{NetworkId, Origin, Signer, Timestamp};
use hashpact_protocol::centre::{MemberId, Unpublished};
use hashpact_protocol::fingerprint::Fingerprint;
use hashpact_protocol::labels::ClassId;
use hashpact_protocol::record::EntryId;
use hashpact_protocol::subset::{Manifest, ManifestClass, ManifestLog, ManifestWithheld};
use hashpact_protocol::view::{Shelf, View as _};

use super::cursor::{CursorKey, Place};
use super::feed::{Access, Acknowledged, Cursor, FeedError, Marks, Owing, SignedManifest};
use super::ledger::{Grants, Ledger, Reading, Row, State};
use super::sections::Sections;
use crate::clock;
use crate::store::{FoundEntry, LookupError, Standing, Store};

/// What somebody owes is counted up to here.
const OWED_MAX: u64 = 10_000;

/// What policy said last, as far as it concerns everybody.
#[derive(Clone, Copy, Debug)]
pub(super) struct Law {
    pub(super) until: Option<Timestamp>,
    pub(super) policy: Option<u64>,
    pub(super) closed: Option<Unpublished>,
}

/// What the publisher and those who ask have in common.
pub(super) struct Shared {
    pub(super) store: Arc<Store>,
    pub(super) sections: Sections,
    pub(super) ledger: OnceLock<Arc<Ledger>>,
    pub(super) law: RwLock<Option<Law>>,
    pub(super) network: NetworkId,
    signer: Signer,
    cursors: CursorKey,
}

/// What is published here, for those who serve it; clones share it.
#[derive(Clone)]
pub struct Feed {
    pub(super) shared: Arc<Shared>,
}

/// One member's view of one state of the ledger.
pub(super) struct Open {
    pub(super) ledger: Arc<Ledger>,
    pub(super) reading: Reading,
    pub(super) grants: Grants,
    pub(super) law: Law,
}

impl Shared {
    pub(super) fn new(
        store: Arc<Store>,
        network: NetworkId,
        signer: Signer,
        cursors: CursorKey,
    ) -> Self {
        Self {
            sections: Sections::new(Arc::clone(&store)),
            store,
            ledger: OnceLock::new(),
            law: RwLock::new(None),
            network,
            signer,
            cursors,
        }
    }

    /// What policy said, while it holds.
    fn law(&self, now: Timestamp) -> Option<Law> {
        let law = *self.law.read().unwrap_or_else(PoisonError::into_inner);
        law.filter(|law| law.until.is_none_or(|until| now < until))
    }

    pub(super) fn decide(&self, law: Option<Law>) {
        *self.law.write().unwrap_or_else(PoisonError::into_inner) = law;
    }
}

impl Feed {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// # Errors
    /// [`FeedError::Member`] or [`FeedError::NotReady`].
    pub(super) fn open(&self, member: &MemberId) -> Result<Open, FeedError> {
        let shared = &*self.shared;
        let row = shared.store.kept(Shelf::Member, member.as_str().as_bytes());
        row.ok_or(FeedError::Member)?;
        let ledger = shared.ledger.get().ok_or(FeedError::NotReady)?;
        let law = shared.law(clock::now()).ok_or(FeedError::NotReady)?;
        let reading = ledger.read()?;
        let grants = reading.grants(member.as_str())?;
        Ok(Open {
            ledger: Arc::clone(ledger),
            reading,
            grants,
            law,
        })
    }

    pub(super) fn seal(&self, open: &Open, member: &MemberId, place: &Place) -> Cursor {
        self.shared.cursors.seal(open.ledger.id(), member, place)
    }

    /// # Errors
    /// [`FeedError::Cursor`] or [`FeedError::Ledger`].
    pub(super) fn place(
        &self,
        open: &Open,
        member: &MemberId,
        cursor: &Cursor,
    ) -> Result<Place, FeedError> {
        let place = self.shared.cursors.open(open.ledger.id(), member, cursor)?;
        // A ledger that is older than what it said is an old copy.
        match place.n <= open.reading.next && place.event <= open.grants.event {
            true => Ok(place),
            false => Err(FeedError::Ledger),
        }
    }

    /// What a member has, signed.
    ///
    /// # Errors
    /// [`FeedError`]; [`FeedError::Unpublished`] where policy gives nobody anything.
    pub fn manifest(&self, member: &MemberId, now: Timestamp) -> Result<SignedManifest, FeedError> {
        let open = self.open(member)?;
        if let Some(closed) = open.law.closed {
            return Err(closed.into());
        }
        let shared = &*self.shared;
        let mut classes: BTreeMap<(Origin, ClassId), u64> = BTreeMap::new();
        let mut withheld: BTreeMap<Origin, u64> = BTreeMap::new();
        for (kind, count) in open.reading.counts()? {
            let Some(released) = open.reading.names.released(kind).filter(|_| count > 0) else {
                continue;
            };
            let entries = match open.grants.may(kind) {
                true => classes.entry((released.origin.clone(), released.class)),
                false => {
                    *withheld.entry(released.origin.clone()).or_default() += count;
                    continue;
                }
            };
            *entries.or_default() += count;
        }
        let mut lines: Vec<Origin> = classes.keys().map(|(origin, _)| origin.clone()).collect();
        lines.dedup();
        let logs = lines.into_iter().filter_map(|origin| {
            let head = shared.store.log(&origin).witnessed?;
            let (size, root) = (head.checkpoint().size, head.checkpoint().root);
            Some(ManifestLog { origin, size, root })
        });
        let manifest = Manifest {
            network: shared.network,
            serving: shared.store.own_origin().clone(),
            member: member.as_str().to_owned(),
            ledger: open.ledger.id(),
            n: open.reading.next,
            issued_at: now,
            policy: open.law.policy,
            logs: logs.collect(),
            classes: classes
                .into_iter()
                .map(|((origin, class), entries)| ManifestClass {
                    origin,
                    class,
                    entries,
                })
                .collect(),
            withheld: withheld
                .into_iter()
                .map(|(origin, entries)| ManifestWithheld { origin, entries })
                .collect(),
        };
        let signed = manifest.sign(&shared.signer)?;
        let place = Place {
            n: open.reading.next,
            event: open.grants.event,
            base: open.reading.next,
            inside: None,
        };
        let cursor = self.seal(&open, member, &place);
        Ok(SignedManifest {
            manifest,
            signed,
            cursor,
        })
    }

    /// The entries with this fingerprint that a member may have.
    ///
    /// # Errors
    /// [`FeedError`].
    pub fn find(
        &self,
        member: &MemberId,
        print: &Fingerprint,
    ) -> Result<Vec<FoundEntry>, FeedError> {
        let open = self.open(member)?;
        let mut found = self.shared.store.lookup(print)?;
        found.retain(FoundEntry::is_match);
        let mut seen = Vec::with_capacity(found.len());
        for entry in found {
            let row = open.reading.entry(&entry.origin, entry.record.entry)?;
            let is_it = |row: &Row| {
                row.state == State::Live
                    && (row.revision, row.seq) == (entry.record.revision, entry.seq)
                    && open.grants.may(row.kind)
            };
            if row.is_some_and(|row| is_it(&row)) {
                seen.push(entry);
            }
        }
        Ok(seen)
    }

    /// An entry, if a member may have it.
    ///
    /// # Errors
    /// [`FeedError`].
    pub fn visible(
        &self,
        member: &MemberId,
        origin: &Origin,
        entry: EntryId,
    ) -> Result<Option<FoundEntry>, FeedError> {
        let open = self.open(member)?;
        let row = open.reading.entry(origin, entry)?;
        let row = row.filter(|row| row.state == State::Live && open.grants.may(row.kind));
        row.map_or(Ok(None), |row| {
            Ok(found(&self.shared, &open.reading, &row)?)
        })
    }

    /// What others say of an entry that is published.
    ///
    /// # Errors
    /// [`FeedError`].
    pub fn marks(&self, origin: &Origin, entry: EntryId) -> Result<Marks, FeedError> {
        let ledger = self.shared.ledger.get().ok_or(FeedError::NotReady)?;
        let row = ledger.read()?.entry(origin, entry)?;
        Ok(row.map_or_else(Marks::default, |row| row.marks))
    }

    /// Calls `each` with every entry that a member may have now, until it says false.
    ///
    /// # Errors
    /// [`FeedError`].
    pub fn live(
        &self,
        member: &MemberId,
        each: &mut dyn FnMut(FoundEntry) -> bool,
    ) -> Result<(), FeedError> {
        let open = self.open(member)?;
        let kinds = open.grants.kinds.iter();
        for (kind, _) in kinds.filter(|(_, granted)| granted.allowed) {
            for n in open.reading.live(*kind, 0..open.reading.next)? {
                let Some(row) = open.reading.row(n?)? else {
                    continue;
                };
                let found = found(&self.shared, &open.reading, &row)?;
                if found.is_some_and(|found| !each(found)) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// A member is given entries that rest with it: what is taken back from now on it owes an acknowledgement of.
    ///
    /// # Errors
    /// [`FeedError`].
    pub fn serve(&self, member: &MemberId) -> Result<(), FeedError> {
        let open = self.open(member)?;
        if open.reading.served(member.as_str())?.is_none() {
            let now = clock::now().get();
            open.ledger
                .write(now, |writing| writing.serve(member.as_str()))?;
        }
        Ok(())
    }

    /// A member has applied all up to a cursor: nothing that was taken back before matches there any more.
    ///
    /// # Errors
    /// [`FeedError`].
    pub fn acknowledge(
        &self,
        member: &MemberId,
        cursor: &Cursor,
    ) -> Result<Acknowledged, FeedError> {
        let open = self.open(member)?;
        let place = self.place(&open, member, cursor)?;
        let now = clock::now().get();
        let said = (place.n, place.event, now);
        let before = open.reading.acknowledged(member.as_str())?;
        let before = before.filter(|(n, event, _)| (place.n, place.event) <= (*n, *event));
        // What was said before costs no commit: nobody may hold the writer by repeating it.
        let (n, _, at) = match before {
            Some(before) => before,
            None => open
                .ledger
                .write(now, |writing| writing.acknowledge(member.as_str(), said))?,
        };
        let at = Timestamp::new(at);
        Ok(Acknowledged { n, at })
    }

    /// Up to where a member has acknowledged; nothing if it never did.
    ///
    /// # Errors
    /// [`FeedError`].
    pub fn acknowledged(&self, member: &MemberId) -> Result<Option<Acknowledged>, FeedError> {
        let ledger = self.shared.ledger.get().ok_or(FeedError::NotReady)?;
        let said = ledger.read()?.acknowledged(member.as_str())?;
        Ok(said.map(|(n, _, at)| Acknowledged {
            n,
            at: Timestamp::new(at),
        }))
    }

    /// The members that have not acknowledged each retraction and withdrawal of what they might have.
    ///
    /// # Errors
    /// [`FeedError`].
    pub fn owing(&self, _now: Timestamp) -> Result<Vec<Owing>, FeedError> {
        let ledger = self.shared.ledger.get().ok_or(FeedError::NotReady)?;
        let reading = ledger.read()?;
        let mut owing = Vec::new();
        for name in reading.members()? {
            let is_member = self.shared.store.kept(Shelf::Member, name.as_bytes());
            let Some(member) = name
                .parse::<MemberId>()
                .ok()
                .filter(|_| is_member.is_some())
            else {
                continue;
            };
            owing.extend(owed(&reading, member)?);
        }
        Ok(owing)
    }

    /// How much a member may have.
    ///
    /// # Errors
    /// [`FeedError`].
    pub fn access(&self, member: &MemberId) -> Result<Access, FeedError> {
        let open = self.open(member)?;
        let mut access = Access::default();
        for (kind, count) in open.reading.counts()? {
            if open.grants.may(kind) && count > 0 {
                access.entries += count;
                access.classes += 1;
            }
        }
        Ok(access)
    }

    /// A number that is another one whenever what is published, or to whom, has changed.
    #[must_use]
    pub fn generation(&self) -> u64 {
        let ledger = self.shared.ledger.get();
        ledger.map_or(0, |ledger| ledger.generation() + 1)
    }
}

/// The record of a live row; nothing if it has gone from the store meanwhile.
pub(super) fn found(
    shared: &Shared,
    reading: &Reading,
    row: &Row,
) -> Result<Option<FoundEntry>, LookupError> {
    let Some(released) = reading.names.released(row.kind) else {
        return Ok(None);
    };
    let (origin, class) = (&released.origin, released.class);
    let section = shared.sections.section(origin, row.seq, class.0.into())?;
    let record = section.and_then(|section| section.record(row.entry));
    let (Some(record), Some(labels)) = (record, shared.store.class(origin, class)) else {
        return Ok(None);
    };
    Ok((record.revision == row.revision).then(|| FoundEntry {
        origin: origin.clone(),
        seq: row.seq,
        class,
        labels,
        record,
        retracted: false,
        standing: Standing::InForce,
    }))
}

/// What a member has not acknowledged; nothing if it has all.
fn owed(reading: &Reading, member: MemberId) -> Result<Option<Owing>, FeedError> {
    let grants = reading.grants(member.as_str())?;
    // What was never given rests nowhere: who has only been admitted owes nothing.
    let Some(first) = reading.served(member.as_str())? else {
        return Ok(None);
    };
    let said = reading.acknowledged(member.as_str())?;
    let (n, event, _) = said.unwrap_or((first, 0, 0));
    let (mut count, mut since) = (0, u64::MAX);
    for gone in reading.gone(n)? {
        let gone = gone?;
        let Some(row) = reading.row(gone)? else {
            continue;
        };
        let might = |kind| grants.might(kind, gone);
        if might(row.kind) || row.was.any_of(might) {
            (count, since) = (count + 1, since.min(row.second));
        }
        if count == OWED_MAX {
            break;
        }
    }
    let lost = grants.kinds.iter();
    for (kind, granted) in
        lost.filter(|(_, it)| !it.allowed && it.event > event && it.position >= first)
    {
        let rows = reading.live(*kind, 0..granted.position)?;
        let lost = rows.take(usize::try_from(OWED_MAX).unwrap_or(usize::MAX));
        let lost = lost.count() as u64;
        if lost > 0 {
            (count, since) = (count + lost, since.min(granted.second));
        }
    }
    Ok((count > 0).then(|| Owing {
        member,
        count,
        since: Timestamp::new(since),
        acknowledged: said.map(|(n, _, at)| Acknowledged {
            n,
            at: Timestamp::new(at),
        }),
    }))
}
