//! What a member sees of a window of seconds: each entry once, in its latest state, under the second in which that became
//! visible to this member.
//!
//! Rows that were there when access came or went are told in the seconds of that event (`ledger::access`), all others in
//! their own. Price: the rows of the window, and for each kind whose event falls into it the rows of the kind there.

use hashpact_protocol::centre::MemberId;
use hashpact_protocol::lists::Set;
use hashpact_protocol::view::View as _;

use super::feed::{FeedError, What, Window, WindowKey, WindowRow};
use super::ledger::{Reading, Row, State};
use super::reader::{Feed, Open, found};
use super::sections::is_damaged;
use crate::clock;

/// How far ahead a window may end: clocks differ.
const AHEAD_S: u64 = 60;

/// A row at the second in which a member sees it.
struct Seen {
    key: WindowKey,
    is_live: bool,
}

impl Feed {
    /// The entries whose latest change a member saw in `from <= second < to`, at most `size`, behind `after`. What a window
    /// holds does not change any more but by entries that leave it, with a change that a later window holds.
    ///
    /// # Errors
    /// [`FeedError`]; [`FeedError::Future`] if `to` is more than a minute ahead.
    pub fn window(
        &self,
        member: &MemberId,
        from: u64,
        to: u64,
        after: Option<WindowKey>,
        size: usize,
    ) -> Result<Window, FeedError> {
        self.window_at(member, (from, to), after, size, clock::now().get())
    }

    pub(super) fn window_at(
        &self,
        member: &MemberId,
        (from, to): (u64, u64),
        after: Option<WindowKey>,
        size: usize,
        now: u64,
    ) -> Result<Window, FeedError> {
        if to > now.saturating_add(AHEAD_S) {
            return Err(FeedError::Future { to, now });
        }
        // Before anything is read: what comes from now on comes later than this window.
        if let Some(ledger) = self.shared.ledger.get() {
            ledger.promise(to)?;
        }
        let open = self.open(member)?;
        let mut seen = match from < to {
            true => in_window(&open, (from, to), after, size.saturating_add(1))?,
            false => Vec::new(),
        };
        let is_more = seen.len() > size;
        seen.truncate(size);
        let next = seen.last().map(|last| last.key).filter(|_| is_more);
        let mut rows = Vec::with_capacity(seen.len());
        for seen in seen {
            rows.extend(self.window_row(&open.reading, &seen)?);
        }
        Ok(Window {
            max_second: rows.iter().map(|row| row.second).max().unwrap_or(0),
            rows,
            next,
            max: open.reading.next,
        })
    }

    fn window_row(&self, reading: &Reading, seen: &Seen) -> Result<Option<WindowRow>, FeedError> {
        let Some(row) = reading.row(seen.key.n)? else {
            return Ok(None);
        };
        let Some(released) = reading.names.released(row.kind) else {
            return Ok(None);
        };
        let found = match seen.is_live {
            true => match found(&self.shared, reading, &row) {
                // It stops no window for what comes after it.
                Err(error) if is_damaged(&error) => {
                    tracing::error!(kind = "damaged", %error, "a window tells an entry as gone");
                    None
                }
                found => found?,
            },
            false => None,
        };
        let labels = self.shared.store.class(&released.origin, released.class);
        Ok(Some(WindowRow {
            second: seen.key.second,
            origin_number: row.origin,
            origin: released.origin.centre().clone(),
            entry: row.entry,
            revision: row.revision,
            // What has gone from the store is gone, although the ledger does not follow yet.
            what: found.map_or(What::Gone, |found| What::Live(Box::new(found))),
            media_kind: labels.map_or_else(Set::full, |labels| labels.media_kind),
        }))
    }
}

/// The first `most` rows of a window behind a key, in order.
fn in_window(
    open: &Open,
    (from, to): (u64, u64),
    after: Option<WindowKey>,
    most: usize,
) -> Result<Vec<Seen>, FeedError> {
    let is_behind = |key: WindowKey| after.is_none_or(|after| key > after);
    let from = after.map_or(from, |after| after.second.max(from));
    let mut seen = Vec::new();
    // What was retracted before access was lost is told too, so no event bounds where to begin.
    let start = if open.grants.kinds.is_empty() {
        to
    } else {
        from
    };
    for timed in open.reading.seconds((start, 0), to)? {
        let timed = timed?;
        let (second, n) = (timed.second, timed.n);
        let key = WindowKey { second, n };
        if !is_behind(key) {
            continue;
        }
        let granted = open.grants.kinds.get(&timed.kind);
        // What was there before is told with the event.
        let is_own = granted.is_some_and(|it| it.allowed && it.position <= n);
        let is_with_event = granted.is_some_and(|it| it.position > n);
        let is_live = match timed.is_more {
            false => is_own.then_some(true),
            true => match open.reading.row(n)? {
                Some(row) => as_told(&row, n, (is_own, is_with_event), open),
                None => None,
            },
        };
        seen.extend(is_live.map(|is_live| Seen { key, is_live }));
        if seen.len() == most {
            break;
        }
    }
    for (kind, granted) in &open.grants.kinds {
        let mut taken = 0;
        for n in open.reading.live(*kind, granted.numbers(from, to))? {
            let n = n?;
            let second = granted.second_of(n);
            let key = WindowKey { second, n };
            if is_behind(key) && second >= from && second < to {
                let is_live = granted.allowed;
                seen.push(Seen { key, is_live });
                taken += 1;
            }
            if taken == most {
                break;
            }
        }
    }
    seen.sort_unstable_by_key(|seen| seen.key);
    seen.truncate(most);
    Ok(seen)
}

/// Whether a row that says more is told as live or as gone, in its own second; nothing if it is not told in that.
fn as_told(row: &Row, n: u64, (is_own, is_with_event): (bool, bool), open: &Open) -> Option<bool> {
    let might = |kind| open.grants.might(kind, n);
    match row.state {
        State::Live if is_own => Some(true),
        // It comes or goes with the event.
        State::Live if is_with_event => None,
        State::Live => row.was.any_of(might).then_some(false),
        State::Retracted | State::Withdrawn => {
            (might(row.kind) || row.was.any_of(might)).then_some(false)
        }
    }
}
