//! A stream, item by item: verified, gathered in groups, durable at each place where it can be resumed.

use std::collections::{BTreeMap, BTreeSet};

use hashpact_keys::Origin;
use hashpact_protocol::delta::Seq;
use hashpact_protocol::subset::{Manifest, SignedDelta};

use super::{Pass, Phase, Progress, SyncError};
use crate::sync::copy::{Copy, CopyError, Group, Tally};
use crate::sync::folder::Folder;
use crate::sync::item::{Cursor, Item};
use crate::sync::stream::{Items, StreamFault};
use crate::sync::verify;

/// Groups that change nothing, one after the other, before a stream is given up.
const IDLE_GROUPS_MAX: u64 = 1_000;
/// Changes beside those that the manifest explains: what is published while a pass runs.
const SURPLUS: u64 = 1_000_000;
/// Bytes of one pass.
const PASS_BYTES_MAX: u64 = 1 << 40;
/// A group is made durable once it has this many bytes of items, or at the stream's end: not at each place where a stream can
/// be resumed, which may be many a second.
const GROUP_BYTES: u64 = 8 << 20;
/// Or once it has this share of the whole copy, up to a bound: ids are random, so a group writes most pages of the database anew,
/// and groups of one size would write a large list many times over.
const GROUP_SHARE: u64 = 8;
const GROUP_BYTES_MAX: u64 = 1 << 30;
/// Headers of one stream that are held in memory; others are read back and verified again.
const HEADERS_MAX: usize = 4_096;

/// What a stream may still cost. A signed record cannot be invented, but it can be sent and withdrawn for ever.
pub(super) struct Budget {
    changes_left: u64,
    bytes: u64,
    idle_bytes: u64,
    idle_max: u64,
    idle_groups: u64,
    total: u64,
    /// Where answers began in this pass.
    asked: BTreeSet<(bool, Option<Cursor>)>,
}

/// How an answer ended.
enum Ended {
    /// With its last item.
    Whole { more: bool },
    /// Before; some of it counts.
    Cut,
}

impl Budget {
    pub(super) fn new(manifest: &Manifest, held: u64, idle_max: u64) -> Self {
        let explained = manifest.entries().saturating_add(held);
        Self {
            changes_left: explained.saturating_mul(4).saturating_add(SURPLUS),
            bytes: 0,
            idle_bytes: 0,
            idle_max,
            idle_groups: 0,
            total: manifest.entries(),
            asked: BTreeSet::new(),
        }
    }

    /// Bytes of items so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Counts an item of so many bytes.
    fn item(&mut self, bytes: u64) -> Result<(), SyncError> {
        self.bytes += bytes;
        self.idle_bytes += bytes;
        let what = match () {
            () if self.idle_bytes > self.idle_max => "that changes nothing",
            () if self.bytes > PASS_BYTES_MAX => "bytes",
            () => return Ok(()),
        };
        Err(SyncError::Endless { what })
    }

    /// Counts changes. Marks are none: they can be set and taken back for ever.
    fn changed(&mut self, changes: u64) -> Result<(), SyncError> {
        if changes > 0 {
            (self.idle_bytes, self.idle_groups) = (0, 0);
        }
        let left = self.changes_left.checked_sub(changes);
        self.changes_left = left.ok_or(SyncError::Endless { what: "changes" })?;
        Ok(())
    }

    /// Counts a group that is durable.
    fn group(&mut self, tally: &Tally) -> Result<(), SyncError> {
        if tally.changes() == 0 {
            self.idle_groups += 1;
        }
        let what = "that changes nothing";
        match self.idle_groups > IDLE_GROUPS_MAX {
            true => Err(SyncError::Endless { what }),
            false => Ok(()),
        }
    }

    /// Takes note of a request; one that was made before, and led to more, goes round in a circle.
    fn ask(
        &mut self,
        is_whole: bool,
        after: Option<&Cursor>,
        is_led: bool,
    ) -> Result<(), SyncError> {
        let is_new = self.asked.insert((is_whole, after.cloned()));
        match is_new || !is_led {
            true => Ok(()),
            false => Err(SyncError::CursorLoop),
        }
    }
}

impl Pass<'_> {
    /// Reads until the server says that there is no more.
    pub(super) fn follow(
        &self,
        folder: &mut Folder,
        copy: &Copy,
        is_made: bool,
        budget: &mut Budget,
        tally: &mut Tally,
        hear: &mut dyn FnMut(Progress),
    ) -> Result<(), SyncError> {
        let position = copy.position()?;
        let mut at = (position.whole, position.cursor);
        let (mut is_led, mut group_bytes) = (false, GROUP_BYTES);
        loop {
            let (is_whole, after) = &at;
            budget.ask(*is_whole, after.as_ref(), is_led)?;
            let items = match (is_whole, after) {
                (true, Some(after)) => self.api.changes(after)?,
                (_, after) => Some(self.api.snapshot(after.as_ref())?),
            };
            let Some(items) = items else {
                return Ok(());
            };
            let before = *tally;
            let mut reading = Reading {
                pass: self,
                copy,
                is_whole: *is_whole,
                after: after.clone(),
                group_bytes,
                headers: BTreeMap::new(),
                tally,
                budget,
            };
            let ended = reading.read(items, hear);
            at = (reading.is_whole, reading.after);
            let has_ended = tally.gone() > before.gone();
            // At once, not only when all is done: what ended matches no more.
            if has_ended
                && !is_made
                && let Some(list) = self.list_of(folder, copy)?
            {
                folder.index(copy, list)?;
            }
            let ended = ended.map_err(|error| fork_is_kept(folder, error))?;
            match ended {
                Ended::Whole { more: false } => return Ok(()),
                Ended::Whole { more: true } => is_led = true,
                // A server that is cut again and again: whatever is whole is made durable.
                Ended::Cut => (is_led, group_bytes) = (false, 0),
            }
        }
    }
}

/// One answer on its way into the copy.
struct Reading<'a> {
    pass: &'a Pass<'a>,
    copy: &'a Copy,
    is_whole: bool,
    after: Option<Cursor>,
    group_bytes: u64,
    headers: BTreeMap<(Origin, Seq), SignedDelta>,
    tally: &'a mut Tally,
    budget: &'a mut Budget,
}

impl Reading<'_> {
    fn read(
        &mut self,
        mut items: Items,
        hear: &mut dyn FnMut(Progress),
    ) -> Result<Ended, SyncError> {
        // An expired roster opens nothing: what ends is applied, and the cursor stays, so that the rest comes again.
        let opens = !self.pass.trust.roster.is_expired(self.pass.trust.now);
        let mut group = self.copy.group(self.pass.bounds.packs)?;
        let (mut held, mut has_moved) = (0, false);
        loop {
            let before = items.taken();
            let item = match items.next() {
                Ok(item) => item,
                // What is durable stays: it goes on from there.
                Err(StreamFault::Truncated | StreamFault::Read(_))
                    if has_moved || (held > 0 && self.group_bytes > 0) =>
                {
                    return Ok(Ended::Cut);
                }
                Err(fault) => return Err(fault.into()),
            };
            let bytes = items.taken() - before;
            self.budget.item(bytes)?;
            match item {
                Item::At(cursor) if held > self.enough(group.bytes()) => {
                    self.commit(group, &cursor, (opens, self.is_whole), hear)?;
                    group = self.copy.group(self.pass.bounds.packs)?;
                    held = 0;
                    has_moved |= self.after.as_ref() != Some(&cursor);
                    self.after = Some(cursor);
                }
                Item::At(_) => {}
                Item::End { cursor, more } => {
                    let is_whole = self.is_whole || !more;
                    self.commit(group, &cursor, (opens, is_whole), hear)?;
                    self.after = Some(cursor);
                    self.is_whole = is_whole;
                    return Ok(Ended::Whole { more });
                }
                item @ (Item::Delta { .. }
                | Item::Class { .. }
                | Item::Pack(_)
                | Item::Retraction(_)
                | Item::Withdraw(_)
                | Item::Mark(_)) => {
                    held += bytes;
                    let before = group.tally().changes();
                    self.take(&mut group, item, opens)?;
                    self.budget.changed(group.tally().changes() - before)?;
                }
            }
        }
    }

    /// Bytes of items after which a group is made durable, of a copy of so many.
    fn enough(&self, copy: u64) -> u64 {
        match self.group_bytes {
            0 => 0,
            least => least.max((copy / GROUP_SHARE).min(GROUP_BYTES_MAX)),
        }
    }

    fn commit(
        &mut self,
        group: Group<'_>,
        cursor: &Cursor,
        (opens, is_whole): (bool, bool),
        hear: &mut dyn FnMut(Progress),
    ) -> Result<(), SyncError> {
        let tally = match opens {
            true => group.commit(Some(cursor), is_whole)?,
            false => group.commit(None, false)?,
        };
        self.tally.add(&tally);
        self.budget.group(&tally)?;
        hear(Progress {
            phase: Phase::Receive,
            done: self.tally.added + self.tally.revised,
            total: self.budget.total,
        });
        Ok(())
    }

    /// Verifies an item and adds it to the group.
    fn take(&mut self, group: &mut Group<'_>, item: Item, opens: bool) -> Result<(), SyncError> {
        let trust = &self.pass.trust;
        match item {
            Item::Delta {
                origin,
                seq,
                header,
                index,
            } => {
                let delta = trust.delta(&origin, seq, (index, &header))?;
                group.put_delta(&origin, seq, (index, &header))?;
                if self.headers.len() == HEADERS_MAX {
                    self.headers.clear();
                }
                self.headers.insert((origin, seq), delta);
            }
            Item::Class {
                origin,
                class,
                definition,
                index,
            } => {
                let labels = trust.class(&origin, class, (index, &definition))?;
                group.put_class(&origin, class, &labels)?;
            }
            Item::Pack(_) | Item::Mark(_) if !opens => {}
            Item::Pack(pack) => {
                let labels = group.labels(&pack.origin, pack.class)?;
                let labels = labels.ok_or(SyncError::Untold { what: "a class" })?;
                let delta = self.delta(group, &pack.origin, pack.seq)?;
                let records = verify::pack(&delta, &pack, &labels)?;
                let place = (&pack.origin, pack.seq, pack.class);
                group.put_pack(place, &pack.path, &pack.section, &records)?;
            }
            Item::Retraction(ended) => {
                let delta = self.delta(group, &ended.origin, ended.seq)?;
                let list = verify::ended(&delta, &ended)?;
                group.retract(&ended.origin, &list)?;
            }
            Item::Withdraw(entries) => group.withdraw(&entries)?,
            Item::Mark(mark) => group.mark(&mark)?,
            Item::At(_) | Item::End { .. } => {}
        }
        Ok(())
    }

    /// A delta of this stream or of one before. What was kept is verified again: the roster may have revoked its key since.
    fn delta(
        &self,
        group: &Group<'_>,
        origin: &Origin,
        seq: Seq,
    ) -> Result<SignedDelta, SyncError> {
        if let Some(delta) = self.headers.get(&(origin.clone(), seq)) {
            return Ok(delta.clone());
        }
        let held = group.header(origin, seq)?;
        let (index, header) = held.ok_or(SyncError::Untold { what: "a delta" })?;
        Ok(self.pass.trust.delta(origin, seq, (index, &header))?)
    }
}

/// Two signed headers of one number are kept: they are the proof.
fn fork_is_kept(folder: &Folder, error: SyncError) -> SyncError {
    use crate::sync::folder::FolderError;
    let SyncError::Folder(FolderError::Copy(CopyError::Fork {
        origin,
        seq,
        held,
        other,
    })) = error
    else {
        return error;
    };
    match folder.evidence(&origin, seq, [&held, &other]) {
        Ok(folder) => SyncError::Fork {
            folder,
            source: CopyError::Fork {
                origin,
                seq,
                held,
                other,
            },
        },
        Err(error) => error.into(),
    }
}
