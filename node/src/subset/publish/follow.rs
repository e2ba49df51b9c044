//! What the logs and bodies took back, and which deltas are new.

use std::collections::{BTreeMap, BTreeSet};

use hashpact_keys::Origin;
use hashpact_protocol::delta::{ClassSection, Retraction, Seq};
use hashpact_protocol::record::EntryId;
use hashpact_protocol::view::{LogState, View as _};

use super::super::ledger::{End, OriginNumber, Row, State};
use super::{PublishError, Publisher};

/// Retractions that are gathered for one write.
const ENDS_A_WRITE: usize = 10_000;
/// Deltas whose retractions are gathered for one write, and that are noted as seen in one.
const DELTAS_A_WRITE: u64 = 1_024;

/// Retractions, by the delta that holds them.
type Lists = Vec<(Seq, Vec<Retraction>)>;

impl Publisher {
    /// Takes over the retractions of a log, and withdraws what a fork made void. At once, also under an expired roster.
    pub(super) fn take_back(&mut self, origin: &Origin) -> Result<(), PublishError> {
        loop {
            let state = self.shared.store.log(origin);
            let mut reached = self.ledger.read()?.reached(origin)?;
            let void = state
                .frozen
                .map(|_| Seq(state.witnessed_seq.0.saturating_add(1)));
            let is_sound = void.is_none_or(|sound| sound == reached.sound);
            if reached.ended >= state.retracted && is_sound {
                return Ok(());
            }
            if let Some(sound) = void.filter(|_| !is_sound) {
                self.withdraw(origin, |row| row.seq >= state.witnessed_seq)?;
                reached.sound = sound;
            }
            let (ends, to) = self.retractions(origin, reached.ended, &state)?;
            reached.ended = to;
            self.ledger.write(self.now(), |writing| {
                let number = writing.origin(origin)?;
                for (seq, list) in ends {
                    let ends = list.into_iter().map(|retraction| End {
                        entry: retraction.entry,
                        upto: retraction.revision,
                        retracted: Some(seq),
                    });
                    writing.end(number, ends)?;
                }
                writing.reach(number, reached)
            })?;
            self.go_on()?;
        }
    }

    /// The next retractions of a log, and up to which delta.
    fn retractions(
        &self,
        origin: &Origin,
        from: Seq,
        state: &LogState,
    ) -> Result<(Lists, Seq), PublishError> {
        let (mut ends, mut count, mut to) = (Vec::new(), 0, from);
        let last = state.retracted.0.min(from.0 + DELTAS_A_WRITE);
        while to.0 < last && count < ENDS_A_WRITE {
            let list = self.shared.store.ended_by(origin, to)?;
            count += list.len();
            if !list.is_empty() {
                ends.push((to, list));
            }
            to = Seq(to.0 + 1);
        }
        Ok((ends, to))
    }

    /// Withdraws the published entries of an origin for which `goes` says so.
    fn withdraw(&self, origin: &Origin, goes: impl Fn(&Row) -> bool) -> Result<(), PublishError> {
        let reading = self.ledger.read()?;
        let mut ends = Vec::new();
        for kind in reading.names.kinds_of(origin) {
            for n in reading.live(kind, 0..reading.next)? {
                let row = reading.row(n?)?.filter(&goes);
                ends.extend(row.map(|row| End {
                    entry: row.entry,
                    upto: row.revision,
                    retracted: None,
                }));
            }
        }
        if ends.is_empty() {
            return Ok(());
        }
        self.ledger.write(self.now(), |writing| {
            let number = writing.origin(origin)?;
            writing.end(number, ends.into_iter()).map(drop)
        })?;
        Ok(())
    }

    /// Looks after bodies that were rewritten: what was recalled or purged is withdrawn, what has joined waits as if it were new.
    pub(super) fn follow_bodies(&mut self) -> Result<(), PublishError> {
        if self.rewrites == Some(self.shared.store.rewrites()) {
            return Ok(());
        }
        let (rewrites, versions) = self.shared.store.rewritten();
        let reading = self.ledger.read()?;
        let mut changed: BTreeMap<Origin, BTreeMap<Seq, u32>> = BTreeMap::new();
        for ((origin, seq), version) in versions {
            let followed = match reading.names.number(&origin) {
                Some(number) => reading.followed(number, seq)?,
                None => continue,
            };
            if followed != version && seq < reading.reached(&origin)?.seen {
                changed.entry(origin).or_default().insert(seq, version);
            }
        }
        drop(reading);
        let mut is_all = true;
        for (origin, bodies) in changed {
            let done = self.follow_bodies_of(&origin, &bodies);
            is_all &= self.pass(done)?.is_some();
            self.go_on()?;
        }
        self.rewrites = is_all.then_some(rewrites);
        Ok(())
    }

    fn follow_bodies_of(
        &self,
        origin: &Origin,
        bodies: &BTreeMap<Seq, u32>,
    ) -> Result<(), PublishError> {
        let mut held: BTreeMap<Seq, BTreeSet<EntryId>> = BTreeMap::new();
        for seq in bodies.keys() {
            held.insert(*seq, self.entries_of(origin, *seq)?);
        }
        self.withdraw(origin, |row| {
            let held = held.get(&row.seq);
            row.state == State::Live && held.is_some_and(|held| !held.contains(&row.entry))
        })?;
        let reading = self.ledger.read()?;
        let waiting: BTreeSet<Seq> = match reading.names.number(origin) {
            Some(number) => reading
                .waiting(number)?
                .into_iter()
                .map(|it| it.0)
                .collect(),
            None => BTreeSet::new(),
        };
        let now = self.now();
        self.ledger.write(now, |writing| {
            let number: OriginNumber = writing.origin(origin)?;
            for (seq, version) in bodies {
                if !waiting.contains(seq) {
                    writing.wait(number, *seq, Some(now))?;
                }
                writing.follow(number, *seq, *version)?;
            }
            Ok::<_, PublishError>(())
        })
    }

    /// The entries of a stored body whose records are here.
    fn entries_of(&self, origin: &Origin, seq: Seq) -> Result<BTreeSet<EntryId>, PublishError> {
        let store = &self.shared.store;
        let Some(body) = store.served_body(origin, seq)? else {
            return Ok(BTreeSet::new());
        };
        let mut entries = BTreeSet::new();
        for class in body.sections() {
            if u16::try_from(class).is_err() {
                continue;
            }
            let bytes = store.section_of(origin, seq, &body, class)?;
            let section = ClassSection::read(&bytes).and_then(|section| section.entries());
            let section = section.map_err(|_| self.malformed(origin, seq))?;
            entries.extend(section.into_iter().map(|(entry, _)| entry));
        }
        Ok(entries)
    }

    pub(super) fn malformed(&self, origin: &Origin, seq: Seq) -> PublishError {
        let origin = origin.clone();
        PublishError::Section { origin, seq: seq.0 }
    }

    /// Notes the deltas of a log that may act and were not seen before: from now on they wait.
    pub(super) fn see(&mut self, origin: &Origin) -> Result<(), PublishError> {
        loop {
            let state = self.shared.store.log(origin);
            let stored = match self.is_own(origin) {
                true => state.next_seq,
                false => state.applied,
            };
            let bound = stored.min(state.witnessed_seq);
            let mut reached = self.ledger.read()?.reached(origin)?;
            if reached.seen >= bound {
                return Ok(());
            }
            let now = self.now();
            let to = Seq(bound.0.min(reached.seen.0 + DELTAS_A_WRITE));
            let new = reached.seen.0..to.0;
            reached.seen = to;
            self.ledger.write(now, |writing| {
                let number = writing.origin(origin)?;
                for seq in new {
                    writing.wait(number, Seq(seq), Some(now))?;
                    let version = self.shared.store.body_version(origin, Seq(seq));
                    writing.follow(number, Seq(seq), version)?;
                }
                writing.reach(number, reached)
            })?;
            self.go_on()?;
        }
    }
}
