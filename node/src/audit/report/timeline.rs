//! What a timeline shows of one log: when it grew, what was retracted, which checkpoints were witnessed, when it was silent.
//!
//! Why: a reader must see at a glance when a centre worked and when nobody watched. In scope: choosing and adding up, so that
//! a page stays small for a log of any length. Out of scope: drawing (`chart`). Months and checkpoints are those of the
//! result: a day is known only of the newest delta under a checkpoint that it lists.

use super::format::{DAY, month_start};
use crate::audit::result::{LogResult, MonthResult, NoteResult};

/// Marks of one centre before they are added up by slices of time.
pub(super) const MARKS_MAX: usize = 500;
/// Slices that a timeline is then cut into.
const SLICES: u64 = 160;
/// A time without a delta that is shown as such.
pub(super) const SILENCE_MIN: u64 = 14 * DAY;

/// A stretch of time in Unix seconds, `to` excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: u64,
    pub(super) to: u64,
}

/// Something at one time: how many, and how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) at: u64,
    pub(super) count: u64,
}

/// A month of which no day is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) span: Span,
    pub(super) deltas: u64,
}

/// A time without a delta; the one that lasts until the audit is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Silence {
    pub(super) span: Span,
    pub(super) open: bool,
}

/// One log on one axis of time.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Timeline {
    /// Entries that a delta added, at its time.
    pub(super) grown: Vec<Mark>,
    /// Months with deltas of unknown days.
    pub(super) stretches: Vec<Stretch>,
    /// Retractions of a month, at its middle.
    pub(super) retracted: Vec<Mark>,
    pub(super) witnessed: Vec<Mark>,
    pub(super) unwitnessed: Vec<Mark>,
    pub(super) silences: Vec<Silence>,
    /// How long one mark stands for, if marks were added up.
    pub(super) slice: Option<u64>,
}

impl Timeline {
    pub(super) fn of(log: &LogResult, span: Span) -> Self {
        let grown = grown(log);
        let stretches = stretches(log, &grown);
        let silences = silences(log, &grown, &stretches, span);
        let mut line = Self {
            retracted: retracted(log, span),
            witnessed: checks(log, true),
            unwitnessed: checks(log, false),
            grown,
            stretches,
            silences,
            slice: None,
        };
        let marks = line.grown.len()
            + line.stretches.len()
            + line.retracted.len()
            + line.witnessed.len()
            + line.unwitnessed.len();
        if marks > MARKS_MAX {
            let slice = ((span.to - span.from) / SLICES).max(1);
            for marks in [
                &mut line.grown,
                &mut line.retracted,
                &mut line.witnessed,
                &mut line.unwitnessed,
            ] {
                *marks = sliced(marks, span, slice);
            }
            line.slice = Some(slice);
        }
        line.stretches.truncate(MARKS_MAX);
        line.silences.truncate(MARKS_MAX);
        line
    }
}

/// The stretch of time that all timelines share, from the first month of any log to the audit.
pub(super) fn common_span(logs: &[LogResult], verified_at: u64) -> Span {
    let first = logs
        .iter()
        .flat_map(|log| {
            let months = log.months.iter().filter_map(month_span);
            let notes = log.newest_notes.iter().filter_map(note_at);
            months
                .map(|month| month.from)
                .chain(notes)
                .chain(log.first_delta_at)
        })
        .min()
        .unwrap_or(verified_at);
    let last = logs
        .iter()
        .flat_map(|log| {
            log.newest_notes
                .iter()
                .filter_map(note_at)
                .chain(log.last_delta_at)
        })
        .fold(verified_at, u64::max);
    Span {
        from: first.min(last),
        to: last.saturating_add(1),
    }
}

/// A month's time; none if it is not written `YYYY-MM`.
pub(super) fn month_span(month: &MonthResult) -> Option<Span> {
    let (year, number) = month.month.split_once('-')?;
    let digits =
        |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(year, 4) || !digits(number, 2) {
        return None;
    }
    let (year, number) = (year.parse().ok()?, number.parse().ok()?);
    if year < 1970 || !(1..=12).contains(&number) {
        return None;
    }
    Some(Span {
        from: month_start(year, number),
        to: month_start(year, number + 1),
    })
}

fn note_at(note: &NoteResult) -> Option<u64> {
    note.witnessed_at.or(note.issued_at)
}

/// One mark for each time at which a listed checkpoint's newest delta was issued, with the entries since the one before.
fn grown(log: &LogResult) -> Vec<Mark> {
    let mut marks: Vec<Mark> = Vec::new();
    let mut size = 0;
    for note in &log.newest_notes {
        let Some(at) = note.issued_at else { continue };
        // The size before the first listed checkpoint is known only if no earlier one was left out.
        let cut = marks.is_empty() && log.notes > listed(log);
        let count = if cut {
            1
        } else {
            note.size.saturating_sub(size)
        };
        size = size.max(note.size);
        match marks.last_mut() {
            Some(last) if last.at == at => last.count = last.count.saturating_add(count),
            Some(_) | None => marks.push(Mark { at, count }),
        }
    }
    // A sum of nothing is a delta all the same: its time is signed.
    marks
        .iter_mut()
        .for_each(|mark| mark.count = mark.count.max(1));
    marks.sort_by_key(|mark| mark.at);
    marks
}

fn listed(log: &LogResult) -> u64 {
    u64::try_from(log.newest_notes.len()).unwrap_or(u64::MAX)
}

fn stretches(log: &LogResult, grown: &[Mark]) -> Vec<Stretch> {
    let of = |month: &MonthResult| {
        let span = month_span(month)?;
        let known = grown
            .iter()
            .any(|mark| span.from <= mark.at && mark.at < span.to);
        (month.deltas > 0 && !known).then_some(Stretch {
            span,
            deltas: month.deltas,
        })
    };
    log.months.iter().filter_map(of).collect()
}

fn retracted(log: &LogResult, span: Span) -> Vec<Mark> {
    let of = |month: &MonthResult| {
        let month_span = month_span(month)?;
        let middle = month_span.from.midpoint(month_span.to);
        (month.retractions > 0).then_some(Mark {
            at: middle.clamp(span.from, span.to),
            count: month.retractions,
        })
    };
    log.months.iter().filter_map(of).collect()
}

fn checks(log: &LogResult, witnessed: bool) -> Vec<Mark> {
    log.newest_notes
        .iter()
        .filter(|note| note.witnessed == witnessed)
        .filter_map(note_at)
        .map(|at| Mark { at, count: 1 })
        .collect()
}

fn silences(log: &LogResult, grown: &[Mark], stretches: &[Stretch], span: Span) -> Vec<Silence> {
    let points = grown.iter().map(|mark| mark.at);
    let ends = [log.first_delta_at, log.last_delta_at];
    let points = points.chain(ends.into_iter().flatten());
    let mut active: Vec<Span> = points.map(|at| Span { from: at, to: at }).collect();
    // Somewhere in such a month, before the last delta, the log grew: it is not called silent.
    active.extend(stretches.iter().map(|stretch| Span {
        from: stretch.span.from,
        to: stretch.span.to.min(log.last_delta_at.unwrap_or(u64::MAX)),
    }));
    active.sort_by_key(|span| (span.from, span.to));
    let Some(first) = active.first() else {
        return Vec::new();
    };
    let mut silences = Vec::new();
    let mut until = first.to;
    let rest = active.iter().skip(1).map(|span| (*span, false));
    let end = Span {
        from: span.to,
        to: span.to,
    };
    for (next, open) in rest.chain([(end, true)]) {
        if next.from.saturating_sub(until) >= SILENCE_MIN {
            silences.push(Silence {
                span: Span {
                    from: until,
                    to: next.from,
                },
                open,
            });
        }
        until = until.max(next.to);
    }
    silences
}

/// Marks added up by slices of `slice` seconds, each in the middle of its slice.
fn sliced(marks: &[Mark], span: Span, slice: u64) -> Vec<Mark> {
    let mut sums = std::collections::BTreeMap::<u64, u64>::new();
    for mark in marks {
        let number = mark.at.saturating_sub(span.from) / slice;
        let sum = sums.entry(number).or_default();
        *sum = sum.saturating_add(mark.count);
    }
    let middle = |number: u64| span.from + (number * slice + slice / 2).min(span.to - span.from);
    sums.into_iter()
        .map(|(number, count)| Mark {
            at: middle(number),
            count,
        })
        .collect()
}
