//! One log, from its first leaf to its newest checkpoint, read once.
//!
//! At the size of each note of its history the root over the leaves so far is compared: consistency from empty to the
//! newest, with no proof needed. In scope: the order of it all. Out of scope: each single question (the other files).

use hashpact_keys::roster::CentreEntry;
use hashpact_keys::{Origin, RosterVersion, Timestamp};

use super::chain::Chain;
use super::evidence;
use super::finding::{CheckpointFault, Finding, FindingKind, Severity};
use super::history::HistoryFault;
use super::laws::ReadPolicy;
use super::leaves::Leaves;
use super::notes::{Judge, Parsed, Standpoint};
use super::place::Place;
use super::resumption::{self, OtherLogs};
use super::summary::{Counts, LogSummary, NoteSummary};
use super::tiles::Tiles;
use crate::b3::Hash;
use crate::delta::Expected;
use crate::labels::{ClassId, Labels};
use crate::limits;
use crate::log::{Leaf, LeafKind, LogFiles, read_leaves, root_at};
use crate::psi::Manifest;

/// Leaves of a bundle.
const WIDTH: u64 = 256;
/// Bundles in a row that may be missing, with their hashes, before reading ends: a checkpoint that claims a size which
/// nothing stands for would else keep an auditor busy for ever.
const MISSING_BUNDLES: u64 = 16;

/// What an audit tells while it reads.
#[derive(Clone, Debug)]
pub enum Event {
    /// Something was found.
    Finding(Finding),
    /// A note of the history was judged.
    Note(NoteSummary),
    /// A delta was read: what its body must agree with.
    Delta {
        /// Its leaf.
        index: u64,
        /// SHA-256 of its header, as the next header commits to it.
        header: Hash,
        /// When its header says that it was issued.
        issued_at: Timestamp,
        /// Log, number and table.
        expected: Expected,
    },
    /// Classes were defined.
    Classes(Vec<(ClassId, Labels)>),
    /// A leaf that says nothing to whom it was not opened.
    Sealed {
        /// The leaf.
        index: u64,
        /// A disclosure record, or a commitment of another object.
        kind: LeafKind,
        /// The salted hash that it holds.
        commitment: Hash,
    },
    /// A policy document was read.
    Policy(ReadPolicy),
    /// A match manifest was read.
    Manifest {
        /// Its leaf.
        index: u64,
        /// What it says.
        manifest: Manifest,
    },
}

/// One log as it is published.
pub struct LogInput<'a, F, H> {
    /// Its centre, as [`Chain::logs`] names it.
    pub centre: &'a CentreEntry,
    /// Its tiles and bundles.
    pub files: &'a F,
    /// The newest witnessed note.
    pub checkpoint: Option<Vec<u8>>,
    /// Every witnessed note, oldest first: [`super::HistoryNotes`].
    pub history: H,
    /// Notes that a mirror was shown and did not take: [`super::HistoryNotes`].
    pub refused: Vec<Result<Vec<u8>, HistoryFault>>,
    /// The fork proof beside the log, if there is one.
    pub fork: Option<Vec<u8>>,
    /// Whether there is anything of it at all. A log that a later roster closed may be missing.
    pub is_here: bool,
    /// What the same folder holds of other logs: a log that takes the place of another is checked against it.
    pub others: OtherLogs<'a>,
}

/// Where findings go, with the log that they are of.
pub(super) struct Out<'a> {
    origin: Origin,
    failures: u64,
    emit: &'a mut dyn FnMut(Event),
}

impl Out<'_> {
    pub(super) fn found(&mut self, place: Place, what: FindingKind) {
        self.failures += u64::from(what.severity() == Severity::Fail);
        let log = Some(self.origin.clone());
        (self.emit)(Event::Finding(Finding { log, place, what }));
    }

    pub(super) fn tell(&mut self, event: Event) {
        (self.emit)(event);
    }
}

/// Verifies one log and tells what it finds. One pass, O(leaves), in memory that does not grow with the log.
pub fn verify_log<F, H>(
    chain: &Chain,
    input: LogInput<'_, F, H>,
    now: Timestamp,
    emit: &mut dyn FnMut(Event),
) -> LogSummary
where
    F: LogFiles,
    H: Iterator<Item = Result<Vec<u8>, HistoryFault>>,
{
    let origin = input.centre.origin.clone();
    let mut out = Out {
        origin: origin.clone(),
        failures: 0,
        emit,
    };
    let judge = Judge::new(chain, &origin, now);
    let mut summary = empty(input.centre);
    if let Some(proof) = input.fork {
        let kind = evidence::fork(chain.rosters(), &origin, &proof, now);
        summary.fork = matches!(kind, FindingKind::ForkProof { .. });
        out.found(Place::Log, kind);
    }
    let absent = match input.is_here || !chain.is_closed(&origin) {
        true => FindingKind::NoCheckpoint,
        false => FindingKind::ClosedLogMissing,
    };
    let checkpoint = newest(&judge, input.checkpoint, absent, &mut out);
    let mut reading = Reading {
        files: input.files,
        chain,
        now,
        others: input.others,
        judge: &judge,
        leaves: Leaves::new(chain, &origin, now),
        history: History::new(input.history),
        summary,
    };
    match &checkpoint {
        Some(parsed) => reading.whole(parsed, &mut out),
        None => reading.history_alone(&mut out),
    }
    for note in input.refused {
        let kind = evidence::refused(&judge, input.files, note, checkpoint.as_ref());
        let place = match kind.is_of_evidence() {
            true => Place::Log,
            false => Place::File("refused".to_owned()),
        };
        out.found(place, kind);
    }
    let mut summary = reading.summary;
    summary.failures = out.failures;
    summary
}

fn newest(
    judge: &Judge<'_>,
    note: Option<Vec<u8>>,
    absent: FindingKind,
    out: &mut Out<'_>,
) -> Option<Parsed> {
    let Some(note) = note else {
        out.found(Place::Log, absent);
        return None;
    };
    let place = Place::Checkpoint { size: None };
    let parsed = judge.parse(note);
    parsed
        .map_err(|error| out.found(place, CheckpointFault::Note(error).into()))
        .ok()
}

fn empty(centre: &CentreEntry) -> LogSummary {
    LogSummary {
        origin: centre.origin.clone(),
        centre: centre.id.clone(),
        jurisdiction: centre.jurisdiction.clone(),
        size: 0,
        root: None,
        total: Counts::default(),
        classes: 0,
        roster: None,
        months: std::collections::BTreeMap::new(),
        first_delta_at: None,
        last_delta_at: None,
        notes: 0,
        witnesses: std::collections::BTreeMap::new(),
        checkpoint: None,
        receipts: None,
        fork: false,
        failures: 0,
    }
}

/// The history, one note ahead.
struct History<H> {
    notes: H,
    number: u64,
    next: Option<(u64, Parsed)>,
    /// Size and root of the note before.
    last: Option<(u64, Hash)>,
}

impl<H: Iterator<Item = Result<Vec<u8>, HistoryFault>>> History<H> {
    fn new(notes: H) -> Self {
        Self {
            notes,
            number: 0,
            next: None,
            last: None,
        }
    }

    /// The next note that reads; the others are told.
    fn read(&mut self, judge: &Judge<'_>, out: &mut Out<'_>) -> Option<(u64, Parsed)> {
        for note in self.notes.by_ref() {
            let number = self.number;
            self.number += 1;
            let place = Place::History { number, size: None };
            match note.map(|note| judge.parse(note)) {
                Ok(Ok(parsed)) => return Some((number, parsed)),
                Ok(Err(error)) => out.found(place, CheckpointFault::Note(error).into()),
                Err(fault) => out.found(place, CheckpointFault::History(fault).into()),
            }
        }
        None
    }
}

/// One log while it is read.
struct Reading<'a, F, H> {
    files: &'a F,
    chain: &'a Chain,
    now: Timestamp,
    others: OtherLogs<'a>,
    judge: &'a Judge<'a>,
    leaves: Leaves<'a>,
    history: History<H>,
    summary: LogSummary,
}

impl<F: LogFiles, H: Iterator<Item = Result<Vec<u8>, HistoryFault>>> Reading<'_, F, H> {
    fn whole(&mut self, newest: &Parsed, out: &mut Out<'_>) {
        let size = newest.checkpoint.size;
        (self.summary.size, self.summary.root) = (size, Some(newest.checkpoint.root));
        let mut tiles = Tiles::new(self.files, size);
        self.advance(out);
        self.notes_at(0, &tiles, out);
        let mut missing = 0;
        for number in 0..size.div_ceil(WIDTH) {
            let mut bundle = tiles.bundle(number, out);
            missing = if bundle.is_missing() { missing + 1 } else { 0 };
            if missing == MISSING_BUNDLES {
                let from = (number + 1 - MISSING_BUNDLES) * WIDTH;
                out.found(Place::Log, FindingKind::Unread { from, size });
                break;
            }
            for at in 0..bundle.width {
                let index = number * WIDTH + at;
                let agrees = tiles.push(&mut bundle, at, out);
                match bundle.leaf(at) {
                    Some(leaf) => self.leaf(index, leaf, size, out),
                    None => self.leaves.lost(),
                }
                if !agrees {
                    self.leaves.lost();
                }
                self.notes_at(index + 1, &tiles, out);
            }
            tiles.blame(&bundle, &newest.checkpoint.root, out);
        }
        if missing < MISSING_BUNDLES {
            self.root(newest, &tiles, Place::Checkpoint { size: Some(size) }, out);
        }
        self.judge_newest(newest, out);
        self.rest(size, out);
    }

    fn leaf(&mut self, index: u64, bytes: &[u8], size: u64, out: &mut Out<'_>) {
        let files = self.files;
        let kind_at = |at: u64| {
            let leaf = read_leaves(files, size, at, at + 1).ok()?;
            match Leaf::from_bytes(leaf.first()?).ok()? {
                Leaf::Delta { .. } => Some(LeafKind::Delta),
                Leaf::Policy { .. } => Some(LeafKind::Policy),
                Leaf::Classes { .. } => Some(LeafKind::Classes),
                Leaf::Roster { .. } => Some(LeafKind::Roster),
                Leaf::Disclosure { .. } => Some(LeafKind::Disclosure),
                Leaf::MatchEpoch { .. } => Some(LeafKind::MatchEpoch),
                Leaf::MatchSession { .. } => Some(LeafKind::MatchSession),
                Leaf::Commitment { .. } => Some(LeafKind::Commitment),
                Leaf::Resumed { .. } => Some(LeafKind::KeyEvent),
                Leaf::Other(kind) => Some(kind),
            }
        };
        self.leaves
            .leaf(index, bytes, kind_at, &mut self.summary, out);
        if index == 0 {
            let place = Place::Leaf { index, seq: None };
            let mut found = |kind| out.found(place.clone(), kind);
            let (chain, origin) = (self.chain, &self.summary.origin);
            resumption::first_leaf(chain, origin, bytes, self.others, self.now, &mut found);
        }
    }

    /// Moves to the next note that grows the log; one that goes back is judged where it stands.
    fn advance(&mut self, out: &mut Out<'_>) {
        while let Some((number, parsed)) = self.history.read(self.judge, out) {
            let size = parsed.checkpoint.size;
            let Some((last, root)) = self.history.last.filter(|(last, _)| size <= *last) else {
                self.history.next = Some((number, parsed));
                return;
            };
            let place = history_place(number, size);
            out.found(
                place.clone(),
                CheckpointFault::Back { last, got: size }.into(),
            );
            let known = if size == last {
                Some(root)
            } else {
                root_at(self.files, self.summary.size, size).ok()
            };
            let expected = parsed.checkpoint.root;
            if let Some(got) = known.filter(|got| *got != expected) {
                let kind = CheckpointFault::Root {
                    size,
                    expected,
                    got,
                }
                .into();
                out.found(place.clone(), kind);
            }
            self.judge_note(&parsed, place, RosterVersion::FIRST, out);
        }
        self.history.next = None;
    }

    /// Judges the note of this size, if the history has one.
    fn notes_at(&mut self, size: u64, tiles: &Tiles<'_, F>, out: &mut Out<'_>) {
        let here = |(_, parsed): &mut (u64, Parsed)| parsed.checkpoint.size == size;
        let Some((number, parsed)) = self.history.next.take_if(here) else {
            return;
        };
        let place = history_place(number, size);
        self.root(&parsed, tiles, place.clone(), out);
        let since = self.leaves.since();
        self.take(&parsed, place, since, out);
    }

    fn take(&mut self, parsed: &Parsed, place: Place, since: RosterVersion, out: &mut Out<'_>) {
        self.judge_note(parsed, place, since, out);
        let checkpoint = &parsed.checkpoint;
        self.history.last = Some((checkpoint.size, checkpoint.root));
        self.advance(out);
    }

    fn judge_note(
        &mut self,
        parsed: &Parsed,
        place: Place,
        since: RosterVersion,
        out: &mut Out<'_>,
    ) {
        let issued_at = self.leaves.issued_at();
        let at = Standpoint {
            since,
            issued_at,
            place,
        };
        let note = self.judge.judge(parsed, &at, out);
        self.count(&note);
        out.tell(Event::Note(note));
    }

    fn count(&mut self, note: &NoteSummary) {
        self.summary.notes += 1;
        let witnesses = &mut self.summary.witnesses;
        for (holder, at) in &note.standing.cosigned {
            let witness = witnesses.entry(holder.clone()).or_default();
            witness.cosigned += 1;
            if let Some(issued_at) = note.issued_at {
                let seconds = at.get().saturating_sub(issued_at.get());
                witness.latency.add(seconds);
            }
        }
        for holder in &note.standing.missing {
            witnesses.entry(holder.clone()).or_default().missed += 1;
        }
    }

    fn root(&self, parsed: &Parsed, tiles: &Tiles<'_, F>, place: Place, out: &mut Out<'_>) {
        let (size, expected) = (parsed.checkpoint.size, parsed.checkpoint.root);
        if let Some(got) = tiles.other_root(&expected) {
            let kind = CheckpointFault::Root {
                size,
                expected,
                got,
            }
            .into();
            out.found(place, kind);
        }
    }

    /// Notes above the newest checkpoint, and a newest checkpoint above every note.
    fn rest(&mut self, checkpoint: u64, out: &mut Out<'_>) {
        let last = self.history.last.map_or(0, |(size, _)| size);
        // Where nobody can cosign, nothing is ever witnessed, and there may be no history.
        let newest = self.summary.checkpoint.as_ref();
        let is_due = last > 0 || newest.is_none_or(|note| note.standing.quorum > 0);
        if self.history.next.is_none() && last < checkpoint && is_due {
            out.found(
                Place::Log,
                CheckpointFault::HistoryEnds { last, checkpoint }.into(),
            );
        }
        while let Some((number, parsed)) = self.history.next.take() {
            let got = parsed.checkpoint.size;
            let place = history_place(number, got);
            // Where reading ended early, a note below the checkpoint was not reached.
            if got > checkpoint {
                out.found(
                    place.clone(),
                    CheckpointFault::Beyond { checkpoint, got }.into(),
                );
            }
            let since = self.leaves.since();
            self.take(&parsed, place, since, out);
        }
    }

    fn judge_newest(&mut self, newest: &Parsed, out: &mut Out<'_>) {
        let at = Standpoint {
            since: self.leaves.since(),
            issued_at: self.leaves.issued_at(),
            place: Place::Checkpoint {
                size: Some(newest.checkpoint.size),
            },
        };
        let note = self.judge.judge(newest, &at, out);
        // A log that was closed is witnessed no more.
        let is_open = !self.chain.is_closed(&self.summary.origin);
        if let Some(witnessed_at) = note.standing.witnessed_at().filter(|_| is_open) {
            let until = witnessed_at
                .get()
                .saturating_add(limits::COSIGNATURE_FRESH_S);
            let now = self.now;
            if until < now.get() {
                out.found(
                    at.place,
                    CheckpointFault::Stale { witnessed_at, now }.into(),
                );
            }
        }
        self.summary.checkpoint = Some(note);
        self.summary.receipts = self.judge.receipts(newest);
    }

    /// Without a checkpoint there is no size to read to; signatures and order are judged all the same.
    fn history_alone(&mut self, out: &mut Out<'_>) {
        self.advance(out);
        while let Some((number, parsed)) = self.history.next.take() {
            let place = history_place(number, parsed.checkpoint.size);
            self.take(&parsed, place, RosterVersion::FIRST, out);
        }
    }
}

fn history_place(number: u64, size: u64) -> Place {
    let size = Some(size);
    Place::History { number, size }
}
