//! What a look-up found out about a row, and what follows from it.
//!
//! Why so many cases: a list is read again and again, so most rows are there already, some were retracted since, and some
//! contradict what is there. Only a row that nothing is known of becomes an entry. In scope: hits to verdicts. Out of
//! scope: how they are found and sorted (`admit`).

use std::io;
use std::iter::Peekable;

use super::spool::Head;
use super::stage::untag;
use crate::store::index::{Probe, RowKind, SortedProbes, Value};

/// What an event is about; earlier rows come first.
const EARLIER_ROW: u8 = 0;
const PLACE: u8 = 1;

/// A row has a hash that an earlier row of the file has: their probes under one key.
pub(super) fn repetition(earlier: u64, later: u64) -> Probe {
    let (earlier, _, theirs) = untag(earlier);
    let (row, hash, ours) = untag(later);
    event(
        row,
        EARLIER_ROW,
        earlier,
        0,
        hash,
        u64::from(theirs == ours),
    )
}

/// A row's probe met an entry of its own origin in the index.
pub(super) fn hit(tag: u64, value: &Value) -> Probe {
    let (row, hash, _) = untag(tag);
    event(
        row,
        PLACE,
        place_of(value),
        value.kind as u8,
        hash,
        value.extra,
    )
}

/// In the order of sorting: row 5 bytes, what 1, place 8, kind 1, hash 1. `extra` is a content check, or a flag.
fn event(row: u64, what: u8, place: u64, kind: u8, hash: u8, extra: u64) -> Probe {
    let mut key = [0; 16];
    key[..5].copy_from_slice(&row.to_be_bytes()[3..]);
    key[5] = what;
    key[6..14].copy_from_slice(&place.to_be_bytes());
    key[14] = kind;
    key[15] = hash;
    Probe { key, tag: extra }
}

/// One event taken apart again.
struct Event {
    row: u64,
    what: u8,
    place: u64,
    kind: u8,
    hash: u8,
    extra: u64,
}

impl From<Probe> for Event {
    fn from(probe: Probe) -> Self {
        let number = |bytes: &[u8]| bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
        let key = probe.key;
        Self {
            row: number(&key[..5]),
            what: key[5],
            place: number(&key[6..14]),
            kind: key[14],
            hash: key[15],
            extra: probe.tag,
        }
    }
}

/// Which place of its origin's log a value names: equal for the rows of one record and for no others.
fn place_of(value: &Value) -> u64 {
    u64::from(value.seq) << 32 | u64::from(value.offset)
}

/// What was found out about one row.
#[derive(Default)]
pub(super) struct Evidence {
    /// The first earlier row with one of its hashes, and which hash.
    earlier: Option<(u64, u8)>,
    /// Hashes that an earlier row has together with the same content, and with other content.
    earlier_same: u16,
    earlier_other: u16,
    /// Places that it hit: one with the same content and all hashes, any that is in force, any that ended.
    same: bool,
    live: Option<u8>,
    ended: Option<u8>,
}

/// What was found out about one row at one place; its events stand side by side.
struct AtPlace {
    place: u64,
    hash: u8,
    hashes: u16,
    same: bool,
    ended: bool,
}

/// What becomes of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    New,
    Unchanged,
    Retracted {
        hash: u8,
    },
    /// An earlier row has one of its hashes and says something else.
    OtherRow {
        row: u64,
        hash: u8,
    },
    /// An entry of ours has one of its hashes and says something else.
    OtherEntry {
        hash: u8,
    },
}

impl Evidence {
    /// Takes the events of one row, which come next.
    pub(super) fn of(head: &Head, events: &mut Peekable<SortedProbes>) -> io::Result<Self> {
        let mut evidence = Self::default();
        let mut open: Option<AtPlace> = None;
        let of_row = |probe: &io::Result<Probe>| match probe {
            Ok(probe) => Event::from(*probe).row <= head.row,
            Err(_) => true,
        };
        while let Some(probe) = events.next_if(of_row) {
            let event = Event::from(probe?);
            if event.what == EARLIER_ROW {
                evidence.repeated(&event);
                continue;
            }
            if let Some(done) = open.take_if(|at| at.place != event.place) {
                evidence.close(&done, head.hashes);
            }
            let Event { place, hash, .. } = event;
            let at = open.get_or_insert(AtPlace {
                place,
                hash,
                hashes: 0,
                same: true,
                ended: false,
            });
            if event.kind == RowKind::Ended as u8 {
                at.ended = true;
            } else {
                at.hashes |= 1 << hash;
                at.same &= event.extra == head.check;
            }
        }
        if let Some(done) = open {
            evidence.close(&done, head.hashes);
        }
        Ok(evidence)
    }

    fn repeated(&mut self, event: &Event) {
        let other = event.extra == 0;
        if self.earlier.is_none() || (other && self.earlier_other == 0) {
            self.earlier = Some((event.place, event.hash));
        }
        let mask = if other {
            &mut self.earlier_other
        } else {
            &mut self.earlier_same
        };
        *mask |= 1 << event.hash;
    }

    fn close(&mut self, at: &AtPlace, hashes: u16) {
        if at.ended {
            self.ended.get_or_insert(at.hash);
            return;
        }
        self.live.get_or_insert(at.hash);
        self.same |= at.same && at.hashes == hashes;
    }

    /// What becomes of a row with these hashes, one bit each.
    pub(super) fn verdict(&self, hashes: u16) -> Verdict {
        let repeats = self.earlier_same == hashes && self.earlier_other == 0;
        if let Some((row, hash)) = self.earlier
            && !repeats
        {
            return Verdict::OtherRow { row, hash };
        }
        let verdict = self.verdict_in_index();
        if verdict == Verdict::New && self.earlier.is_some() {
            return Verdict::Unchanged;
        }
        verdict
    }

    /// Whether an earlier row has the first hash of this one.
    pub(super) fn repeats_first(&self, hashes: u16) -> bool {
        let first = hashes & hashes.wrapping_neg();
        (self.earlier_same | self.earlier_other) & first != 0
    }

    /// Whether a hash of it was retracted, in force elsewhere or not.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// What becomes of a row by what the index has, whatever other rows of the file say.
    pub(super) fn verdict_in_index(&self) -> Verdict {
        match (self.same, self.live, self.ended) {
            (true, _, _) => Verdict::Unchanged,
            (false, Some(hash), _) => Verdict::OtherEntry { hash },
            (false, None, Some(hash)) => Verdict::Retracted { hash },
            (false, None, None) => Verdict::New,
        }
    }
}
