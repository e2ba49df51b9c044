//! What was charged to whom, on [`Shelf::Quota`]:
//!
//! ```text
//! 'Q' asker type       [day, used, sessions, epoch, counts, before]   what one principal used of one type; one row, the newest day
//! 'R' asker reason     day                                            the last day of which a refusal is in the log
//! ```
//!
//! A day ends by the later of the local clock and the newest time of which a quorum spoke, and a row never goes back: a clock
//! that does gets what is left of the newest day, and no other. An asker is `0` or `1`, its name, and a zero byte.

use hashpact_keys::canonical::encode;
use hashpact_keys::reader::{Reader, ShapeError};

use crate::limits;
use crate::policy::Asker;
use crate::psi::{Epoch, RefusalCode};
use crate::view::{Shelf, View, Write};

use super::MatchRefusal;

/// Seconds of a UTC day.
pub(super) const DAY_S: u64 = 86_400;

/// What one principal used of one fingerprint type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Used {
    /// Days since 1970.
    pub(super) day: u64,
    /// Items on that day.
    pub(super) items: u64,
    /// Sessions on that day.
    pub(super) sessions: u64,
    /// The newest epoch in which a count was opened.
    epoch: Epoch,
    /// Counts in that epoch.
    counts: u64,
    /// Counts in the one before it, which is served for a while.
    before: u64,
}

/// The bytes that stand for an asker in a key.
pub(super) fn asker_key(asker: &Asker) -> Vec<u8> {
    let kind = match asker {
        Asker::Centre(_) => 0,
        Asker::Member(_) => 1,
    };
    let mut key = vec![kind];
    key.extend_from_slice(asker.id().as_bytes());
    key.push(0);
    key
}

/// An asker as its key begins with it, and what follows.
pub(super) fn read_asker(key: &[u8]) -> Option<(Asker, &[u8])> {
    let (kind, rest) = key.split_first()?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    let name = std::str::from_utf8(rest.get(..end)?).ok()?;
    let asker = match kind {
        0 => Asker::Centre(name.parse().ok()?),
        1 => Asker::Member(name.to_owned()),
        _ => return None,
    };
    Some((asker, rest.get(end + 1..)?))
}

fn key(first: u8, asker: &Asker, last: u8) -> Vec<u8> {
    let mut key = vec![first];
    key.extend(asker_key(asker));
    key.push(last);
    key
}

impl Used {
    /// What was used up to a day; a row of a later day counts as that of this one. `None` if the row is damaged: what was used
    /// is then not known, so nothing is left.
    pub(super) fn read(asker: &Asker, kind: u8, day: u64, view: &impl View) -> Option<Self> {
        let known = match view.kept(Shelf::Quota, &key(b'Q', asker, kind)) {
            Some(row) => Self::from_bytes(&row)?,
            None => Self::default(),
        };
        if known.day >= day {
            return Some(known);
        }
        Some(Self {
            day,
            items: 0,
            sessions: 0,
            ..known
        })
    }

    /// Charges a session, or says why not. `count` names the epoch of a count.
    pub(super) fn charge(
        mut self,
        items: u64,
        per_day: u64,
        count: Option<Epoch>,
    ) -> Result<Self, MatchRefusal> {
        let many = |max, got, count| Err(MatchRefusal::TooManySessions { max, got, count });
        if self.sessions >= limits::MATCH_SESSIONS_DAY {
            return many(limits::MATCH_SESSIONS_DAY, self.sessions, false);
        }
        if let Some(epoch) = count {
            let counts = self.counts_in(epoch);
            if *counts >= limits::COUNT_SESSIONS_EPOCH {
                return many(limits::COUNT_SESSIONS_EPOCH, *counts, true);
            }
            *counts += 1;
        }
        let used = self.items.saturating_add(items);
        if used > per_day {
            return Err(MatchRefusal::OverQuota {
                used: self.items,
                per_day,
                got: items,
            });
        }
        self.items = used;
        self.sessions += 1;
        Ok(self)
    }

    /// The counts of an epoch, which is the newest one or the one before.
    fn counts_in(&mut self, epoch: Epoch) -> &mut u64 {
        if epoch > self.epoch {
            let follows = self.epoch.0.checked_add(1) == Some(epoch.0);
            self.before = if follows { self.counts } else { 0 };
            (self.epoch, self.counts) = (epoch, 0);
        }
        match epoch == self.epoch {
            true => &mut self.counts,
            false => &mut self.before,
        }
    }

    /// The row that says so.
    pub(super) fn keep(&self, asker: &Asker, kind: u8) -> Write {
        let value = encode(|e| {
            e.array(6)?
                .u64(self.day)?
                .u64(self.items)?
                .u64(self.sessions)?
                .u64(self.epoch.0)?
                .u64(self.counts)?
                .u64(self.before)?
                .ok()
        });
        Write::Keep {
            shelf: Shelf::Quota,
            key: key(b'Q', asker, kind),
            value: Some(value),
        }
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let read = |reader: &mut Reader<'_>| -> Result<Self, ShapeError> {
            reader.array(6)?;
            Ok(Self {
                day: reader.u64()?,
                items: reader.u64()?,
                sessions: reader.u64()?,
                epoch: Epoch(reader.u64()?),
                counts: reader.u64()?,
                before: reader.u64()?,
            })
        };
        read(&mut Reader::new(bytes).ok()?).ok()
    }
}

/// What everybody used of each type on a day.
pub(super) fn all_used(day: u64, view: &impl View) -> Vec<(Asker, u8, Used)> {
    let rows = view.shelf(Shelf::Quota, b"Q");
    let rows = rows.iter().filter_map(|(key, value)| {
        let (asker, kind) = read_asker(key.get(1..)?)?;
        let used = Used::from_bytes(value)?;
        Some((asker, *kind.first()?, used))
    });
    rows.filter(|(_, _, used)| used.day >= day).collect()
}

/// Notes that a refusal of a day is in the log.
pub(super) fn told(asker: &Asker, code: RefusalCode, day: u64) -> Write {
    Write::Keep {
        shelf: Shelf::Quota,
        key: key(b'R', asker, code as u8),
        value: Some(day.to_be_bytes().to_vec()),
    }
}

/// Whether a refusal of this day, or of a later one, is in the log.
pub(super) fn is_told(asker: &Asker, code: RefusalCode, day: u64, view: &impl View) -> bool {
    let row = view.kept(Shelf::Quota, &key(b'R', asker, code as u8));
    let last = row.and_then(|row| row.try_into().ok().map(u64::from_be_bytes));
    last.is_some_and(|last| last >= day)
}
