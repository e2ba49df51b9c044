//! How the ledger changes: within one transaction.

use hashpact_keys::Origin;
use hashpact_protocol::centre::Released;
use hashpact_protocol::delta::Seq;
use hashpact_protocol::record::{EntryId, Revision};
use redb::{ReadableTable as _, ReadableTableMetadata as _, Table, WriteTransaction};

use super::super::feed::Marks;
use super::row::{KindId, OriginNumber, Row, State, Was};
use super::tables::{
    BODIES, COUNTS, DAYS, ENTRIES, GONE, KINDS, LIVE, META, ORIGINS, REACHED, ROWS, SECONDS,
    WAITING,
};
use super::{GONE_A_SECOND, LedgerError, META_ENDS, META_NEXT, META_PUTS, Names, ROWS_A_SECOND};

/// An entry that is published, or stays so with other facts.
#[derive(Clone, Copy, Debug)]
pub(in crate::subset) struct Put {
    pub(in crate::subset) entry: EntryId,
    pub(in crate::subset) revision: Revision,
    pub(in crate::subset) seq: Seq,
    pub(in crate::subset) kind: KindId,
    pub(in crate::subset) marks: Marks,
}

/// An entry that is not published any more.
#[derive(Clone, Copy, Debug)]
pub(in crate::subset) struct End {
    pub(in crate::subset) entry: EntryId,
    /// The last revision that ends.
    pub(in crate::subset) upto: Revision,
    /// The delta that takes it back; none if it is withdrawn.
    pub(in crate::subset) retracted: Option<Seq>,
}

/// Seconds that are handed out one after the other, so many rows each.
struct Lane {
    second: u64,
    used: u64,
    room: u64,
}

impl Lane {
    fn next(&mut self, floor: u64) -> u64 {
        if self.second < floor {
            (self.second, self.used) = (floor, 0);
        } else if self.used == self.room {
            (self.second, self.used) = (self.second + 1, 0);
        }
        self.used += 1;
        self.second
    }
}

/// The ledger while it changes.
pub(in crate::subset) struct Writing {
    pub(super) transaction: WriteTransaction,
    names: Names,
    /// The earliest second of a new row.
    pub(super) floor: u64,
    /// The number of the next row.
    pub(super) next: u64,
    puts: Lane,
    ends: Lane,
}

/// The tables that hold rows, open.
struct Rows<'t> {
    rows: Table<'t, u64, &'static [u8]>,
    entries: Table<'t, (u32, [u8; 16]), u64>,
    live: Table<'t, (u32, u64), ()>,
    seconds: Table<'t, (u64, u64), u64>,
    gone: Table<'t, u64, ()>,
    counts: Table<'t, u32, u64>,
}

impl<'t> Rows<'t> {
    fn open(transaction: &'t WriteTransaction) -> Result<Self, LedgerError> {
        Ok(Self {
            rows: transaction.open_table(ROWS)?,
            entries: transaction.open_table(ENTRIES)?,
            live: transaction.open_table(LIVE)?,
            seconds: transaction.open_table(SECONDS)?,
            gone: transaction.open_table(GONE)?,
            counts: transaction.open_table(COUNTS)?,
        })
    }

    /// The row of an entry.
    fn find(
        &self,
        origin: OriginNumber,
        entry: EntryId,
    ) -> Result<Option<(u64, Row)>, LedgerError> {
        let Some(n) = self.entries.get((origin, entry.0))?.map(|n| n.value()) else {
            return Ok(None);
        };
        let bytes = self.rows.get(n)?.ok_or(LedgerError::Row)?;
        let row = Row::from_bytes(bytes.value()).ok_or(LedgerError::Row)?;
        Ok(Some((n, row)))
    }

    fn remove(&mut self, n: u64, row: &Row) -> Result<(), LedgerError> {
        self.rows.remove(n)?;
        self.seconds.remove((row.second, n))?;
        match row.state {
            State::Live => {
                self.live.remove((row.kind, n))?;
                self.count(row.kind, |count| count.saturating_sub(1))?;
            }
            State::Retracted | State::Withdrawn => drop(self.gone.remove(n)?),
        }
        Ok(())
    }

    fn insert(&mut self, n: u64, row: &Row) -> Result<(), LedgerError> {
        self.rows.insert(n, row.to_bytes().as_slice())?;
        self.entries.insert((row.origin, row.entry.0), n)?;
        // Whoever reads a window needs more than the kind of a row that went, or that was of others.
        let is_more = row.state != State::Live || !row.was.is_empty();
        let said = u64::from(row.kind) << 1 | u64::from(is_more);
        self.seconds.insert((row.second, n), said)?;
        match row.state {
            State::Live => {
                self.live.insert((row.kind, n), ())?;
                self.count(row.kind, |count| count + 1)?;
            }
            State::Retracted | State::Withdrawn => drop(self.gone.insert(n, ())?),
        }
        Ok(())
    }

    fn count(&mut self, kind: KindId, change: impl Fn(u64) -> u64) -> Result<(), LedgerError> {
        let count = self.counts.get(kind)?.map_or(0, |count| count.value());
        self.counts.insert(kind, change(count))?;
        Ok(())
    }
}

/// The kinds that an entry was of before. That of its last row too if it is the same again: whoever lost that kind meanwhile
/// had it, and finds it behind what was told.
fn was(before: Option<&Row>) -> Was {
    let Some(before) = before else {
        return Was::default();
    };
    let mut was = before.was.clone();
    was.add(before.kind);
    was
}

impl Writing {
    pub(super) fn new(
        transaction: WriteTransaction,
        names: Names,
        floor: u64,
    ) -> Result<Self, LedgerError> {
        let (next, puts, ends);
        {
            let meta = transaction.open_table(META)?;
            let read =
                |name: &str| Ok::<_, LedgerError>(meta.get(name)?.map_or(0, |it| it.value()));
            let lane = |names: [&str; 2], room| {
                Ok::<_, LedgerError>(Lane {
                    second: read(names[0])?,
                    used: read(names[1])?,
                    room,
                })
            };
            next = read(META_NEXT)?;
            puts = lane(META_PUTS, ROWS_A_SECOND - GONE_A_SECOND)?;
            ends = lane(META_ENDS, GONE_A_SECOND)?;
        }
        Ok(Self {
            transaction,
            names,
            floor,
            next,
            puts,
            ends,
        })
    }

    pub(super) fn finish(self) -> Result<(WriteTransaction, Names), LedgerError> {
        {
            let mut meta = self.transaction.open_table(META)?;
            meta.insert(META_NEXT, self.next)?;
            for (names, lane) in [(META_PUTS, &self.puts), (META_ENDS, &self.ends)] {
                meta.insert(names[0], lane.second)?;
                meta.insert(names[1], lane.used)?;
            }
        }
        Ok((self.transaction, self.names))
    }

    /// The number of an origin; it gets one if it has none.
    pub(in crate::subset) fn origin(
        &mut self,
        origin: &Origin,
    ) -> Result<OriginNumber, LedgerError> {
        if let Some(number) = self.names.number(origin) {
            return Ok(number);
        }
        let mut table = self.transaction.open_table(ORIGINS)?;
        let number = u32::try_from(table.len()? + 1).map_err(|_| LedgerError::Row)?;
        table.insert(origin.as_str(), number)?;
        self.names.add_origin(origin, number);
        Ok(number)
    }

    /// The number of a kind; it gets one if it has none.
    pub(in crate::subset) fn kind(&mut self, released: &Released) -> Result<KindId, LedgerError> {
        if let Some(kind) = self.names.kind(released) {
            return Ok(kind);
        }
        let origin = self.origin(&released.origin)?;
        let mut table = self.transaction.open_table(KINDS)?;
        let kind = u32::try_from(table.len()? + 1).map_err(|_| LedgerError::Row)?;
        let key = (origin, released.class.0, u8::from(released.baseline));
        table.insert(key, kind)?;
        self.names.add_kind(released.clone(), kind);
        Ok(kind)
    }

    /// Publishes entries of one origin, as many new ones as `budget` lets, and says how many new ones it left out. What stands
    /// there already is not written again; what was retracted does not come back but under a higher revision.
    pub(in crate::subset) fn put(
        &mut self,
        origin: OriginNumber,
        puts: impl Iterator<Item = Put>,
        budget: &mut u64,
    ) -> Result<u64, LedgerError> {
        let mut rows = Rows::open(&self.transaction)?;
        let mut left_out = 0;
        for put in puts {
            let before = rows.find(origin, put.entry)?;
            let is_live = |row: &Row| row.state == State::Live;
            if let Some((_, row)) = &before {
                let is_ended = row.state == State::Retracted && row.revision >= put.revision;
                // Nor does an older revision come back where a newer one was withdrawn.
                let is_older = row.revision > put.revision;
                let is_same = is_live(row)
                    && (row.revision, row.seq, row.kind, row.marks)
                        == (put.revision, put.seq, put.kind, put.marks);
                if is_ended || is_older || is_same {
                    continue;
                }
            }
            if !before.as_ref().is_some_and(|(_, row)| is_live(row)) {
                if *budget == 0 {
                    left_out += 1;
                    continue;
                }
                *budget -= 1;
            }
            if let Some((n, row)) = &before {
                rows.remove(*n, row)?;
            }
            let before = before.map(|(_, row)| row);
            let row = Row {
                second: self.puts.next(self.floor),
                origin,
                entry: put.entry,
                revision: put.revision,
                seq: put.seq,
                kind: put.kind,
                state: State::Live,
                marks: put.marks,
                again: before
                    .as_ref()
                    .is_some_and(|row| is_live(row) && row.revision == put.revision),
                was: was(before.as_ref()),
            };
            rows.insert(self.next, &row)?;
            self.next += 1;
        }
        Ok(left_out)
    }

    /// Takes entries of one origin back, as far as they are published, and says how many were.
    pub(in crate::subset) fn end(
        &mut self,
        origin: OriginNumber,
        ends: impl Iterator<Item = End>,
    ) -> Result<u64, LedgerError> {
        let mut rows = Rows::open(&self.transaction)?;
        let mut ended = 0;
        for End {
            entry,
            upto,
            retracted,
        } in ends
        {
            let Some((n, row)) = rows.find(origin, entry)? else {
                continue;
            };
            // A withdrawn entry that is then retracted says so: it does not come back.
            let is_over = match row.state {
                State::Live => false,
                State::Withdrawn => retracted.is_none(),
                State::Retracted => row.revision >= upto,
            };
            if is_over || row.revision > upto {
                continue;
            }
            rows.remove(n, &row)?;
            let row = Row {
                second: self.ends.next(self.floor),
                origin,
                entry,
                revision: upto,
                seq: retracted.unwrap_or(row.seq),
                kind: row.kind,
                state: match retracted {
                    Some(_) => State::Retracted,
                    None => State::Withdrawn,
                },
                marks: Marks::default(),
                again: false,
                was: row.was,
            };
            rows.insert(self.next, &row)?;
            (self.next, ended) = (self.next + 1, ended + 1);
        }
        Ok(ended)
    }

    /// A delta waits since `seen`, or for nothing any more.
    pub(in crate::subset) fn wait(
        &self,
        origin: OriginNumber,
        seq: Seq,
        seen: Option<u64>,
    ) -> Result<(), LedgerError> {
        let mut table = self.transaction.open_table(WAITING)?;
        match seen {
            Some(seen) => drop(table.insert((origin, seq.0), seen)?),
            None => drop(table.remove((origin, seq.0))?),
        }
        Ok(())
    }

    /// The ledger follows this version of a body.
    pub(in crate::subset) fn follow(
        &self,
        origin: OriginNumber,
        seq: Seq,
        version: u32,
    ) -> Result<(), LedgerError> {
        let mut table = self.transaction.open_table(BODIES)?;
        table.insert((origin, seq.0), version)?;
        Ok(())
    }

    /// How far an origin is taken over.
    pub(in crate::subset) fn reach(
        &self,
        origin: OriginNumber,
        reached: super::read::Reached,
    ) -> Result<(), LedgerError> {
        let mut table = self.transaction.open_table(REACHED)?;
        let super::read::Reached { seen, ended, sound } = reached;
        table.insert(origin, (seen.0, ended.0, sound.0))?;
        Ok(())
    }

    /// Of an origin so many more new entries were published on a day.
    pub(in crate::subset) fn spend(
        &self,
        origin: OriginNumber,
        day: u64,
        more: u64,
    ) -> Result<(), LedgerError> {
        let mut table = self.transaction.open_table(DAYS)?;
        let before = table.get((origin, day))?.map_or(0, |used| used.value());
        table.insert((origin, day), before.saturating_add(more))?;
        Ok(())
    }
}
