//! What has changed for a member behind a cursor.
//!
//! Rows are told in their order, each as the member may see it now; a change of the member's access comes before any further
//! row, and tells the rows that the member had passed: those of the kinds that it gained, and the end of those that it lost.
//! So whatever is written between two pages, an entry that the member has is told again when it changes, because it gets a
//! higher number, and nothing is passed over. Neighbouring rows of one section are told as one pack; a page ends between packs.

use std::collections::BTreeSet;

use hashpact_keys::Origin;
use hashpact_protocol::centre::MemberId;
use hashpact_protocol::delta::Seq;
use hashpact_protocol::labels::ClassId;
use hashpact_protocol::record::{EntryId, Revision};

use super::cursor::{Inside, Place};
use super::feed::{Bound, Change, Cursor, FeedError, Page};
use super::ledger::{Grants, KindId, Row, State};
use super::packs::Group;
use super::reader::{Feed, Open};

/// Rows that are looked at for one page, told or not.
const ROWS_A_PAGE: usize = 500_000;

/// As what a row is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Live,
    Retracted,
    Withdrawn,
}

/// How a member sees a row that it meets for the first time; nothing if it need not know of it.
fn told(row: &Row, n: u64, base: u64, grants: &Grants) -> Option<Told> {
    let might = |kind: KindId| grants.might(kind, n);
    let had = || n >= base && row.was.any_of(might);
    match row.state {
        State::Live if grants.may(row.kind) => Some(Told::Live),
        State::Live => had().then_some(Told::Withdrawn),
        State::Retracted | State::Withdrawn => {
            let is_known = n >= base && (might(row.kind) || had());
            is_known.then_some(match row.state {
                State::Retracted => Told::Retracted,
                State::Live | State::Withdrawn => Told::Withdrawn,
            })
        }
    }
}

impl Feed {
    /// What has changed behind a cursor; without one all that a member has, and only what is live.
    ///
    /// # Errors
    /// [`FeedError`]; [`FeedError::Unpublished`] without a cursor where policy gives nobody anything.
    pub fn changes(
        &self,
        member: &MemberId,
        after: Option<&Cursor>,
        bound: Bound,
    ) -> Result<Page, FeedError> {
        self.serve(member)?;
        let open = self.open(member)?;
        let place = match (after, open.law.closed) {
            (Some(cursor), _) => self.place(&open, member, cursor)?,
            (None, Some(closed)) => return Err(closed.into()),
            (None, None) => Place {
                n: 0,
                event: open.grants.event,
                base: open.reading.next,
                inside: None,
            },
        };
        let mut pager = Pager {
            feed: self,
            open: &open,
            place,
            bound,
            changes: Vec::new(),
            deltas: BTreeSet::new(),
            classes: BTreeSet::new(),
            records: 0,
            bytes: 0,
            looked_at: 0,
            group: None,
        };
        let more = pager.fill()?;
        let (changes, place) = (pager.changes, pager.place);
        let cursor = self.seal(&open, member, &place);
        Ok(Page {
            changes,
            cursor,
            more,
        })
    }
}

/// A page in the making.
pub(super) struct Pager<'a> {
    pub(super) feed: &'a Feed,
    pub(super) open: &'a Open,
    place: Place,
    bound: Bound,
    pub(super) changes: Vec<Change>,
    /// Told in this page.
    pub(super) deltas: BTreeSet<(Origin, Seq)>,
    pub(super) classes: BTreeSet<(Origin, ClassId)>,
    records: usize,
    pub(super) bytes: usize,
    looked_at: usize,
    group: Option<Group>,
}

impl Pager<'_> {
    /// Fills the page, and says whether there is more.
    fn fill(&mut self) -> Result<bool, FeedError> {
        while self.place.event < self.open.grants.event {
            if self.tell_event()? {
                return Ok(true);
            }
        }
        let open = self.open;
        for item in open.reading.rows(self.place.n)? {
            let (n, row) = item?;
            let told = told(&row, n, self.place.base, &open.grants);
            if self.is_over(told.map(|told| (told, &row)))? {
                return Ok(true);
            }
            if let Some(told) = told {
                self.add(told, &row);
            }
            self.place.n = n + 1;
        }
        self.close()?;
        self.place.n = open.reading.next;
        Ok(false)
    }

    /// Tells the rows that were passed and come or go by changes of access; says whether the page is full before the end.
    fn tell_event(&mut self) -> Result<bool, FeedError> {
        let open = self.open;
        let Inside { target, kind, at } = self.place.inside.unwrap_or(Inside {
            target: open.grants.event,
            kind: 0,
            at: 0,
        });
        let events = self.place.event + 1..=target;
        for (of, granted) in open.grants.kinds.range(kind..) {
            if !events.contains(&granted.event) {
                continue;
            }
            let from = if *of == kind { at } else { 0 };
            let told = match granted.allowed {
                true => Told::Live,
                false => Told::Withdrawn,
            };
            for n in open.reading.live(*of, from..self.place.n)? {
                let n = n?;
                let Some(row) = open.reading.row(n)? else {
                    continue;
                };
                let inside = Inside {
                    target,
                    kind: *of,
                    at: n,
                };
                if self.is_over(Some((told, &row)))? {
                    self.place.inside = Some(inside);
                    return Ok(true);
                }
                self.add(told, &row);
            }
        }
        self.close()?;
        (self.place.event, self.place.inside) = (target, None);
        Ok(self.is_full())
    }

    /// Whether the page ends before this row: it is full, and the row begins something new.
    fn is_over(&mut self, next: Option<(Told, &Row)>) -> Result<bool, FeedError> {
        self.looked_at += 1;
        if self.looked_at > ROWS_A_PAGE && !self.changes.is_empty() | self.group.is_none() {
            self.close()?;
            return Ok(true);
        }
        let Some((told, row)) = next else {
            return Ok(false);
        };
        let begins = self.begin(told, row);
        let joins = self.group.as_ref().is_some_and(|group| {
            // Packs are whole; what goes is cut anywhere.
            let has_room = group.is_pack() || group.len() < self.bound.records;
            has_room && group.is_like(&begins)
        });
        if joins {
            return Ok(false);
        }
        self.close()?;
        Ok(self.is_full())
    }

    fn begin(&self, told: Told, row: &Row) -> Group {
        let released = self.open.reading.names.released(row.kind);
        let origin = self.open.reading.names.origin(row.origin).cloned();
        match (told, released, origin) {
            (Told::Live, Some(released), _) => {
                Group::pack(released.origin.clone(), row.seq, released.class)
            }
            (Told::Retracted, _, Some(origin)) => Group::retraction(origin, row.seq),
            (Told::Live | Told::Retracted | Told::Withdrawn, _, _) => Group::withdrawal(),
        }
    }

    fn add(&mut self, told: Told, row: &Row) {
        let begins = match self.group.take() {
            Some(group) => group,
            None => self.begin(told, row),
        };
        let mut group = begins;
        let origin = self.open.reading.names.origin(row.origin);
        if let Some(origin) = origin {
            group.add(origin, row);
        }
        self.records += 1;
        self.group = Some(group);
    }

    fn close(&mut self) -> Result<(), FeedError> {
        match self.group.take() {
            Some(group) => self.tell(group),
            None => Ok(()),
        }
    }

    fn is_full(&self) -> bool {
        let is_any = !self.changes.is_empty();
        is_any && (self.records >= self.bound.records || self.bytes >= self.bound.bytes)
    }
}

/// Entries of a group, as a page names them.
pub(super) type Places = Vec<(EntryId, Revision)>;
