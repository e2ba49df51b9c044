//! How bodies arrive: fetched several at once, admitted and applied in order.
//!
//! In order, so that a retraction never acts before the put that it ends. Puts act once their delta stands under a witnessed
//! checkpoint. Where a delta's records must wait, for that or for policy, its retractions are fetched alone: they act at once.
//! Where policies speak, a body comes under a transfer statement with what that gives; what else may come of the delta later
//! is added to it then.

use hashpact_keys::{CentreId, Origin, Timestamp};

use super::heads::drop_peer;
use super::mirror::{Fetch, Fetched};
use super::transfers::{Arrived, Course, Regime};
use super::{Centre, Event, Job, JobResult, Output, Pace, Reason};
use crate::delta::{BodyError, Expected, RETRACTION_SECTION, Retraction, Seq};
use crate::limits;
use crate::log::read_delta;
use crate::policy::VerifiedBody;
use crate::view::{AdmittedBody, Batch, View, Write};
use crate::wire::BulkRequest;

impl Centre {
    /// Starts transfers for deltas that the logs name and that are not applied yet.
    pub(super) fn fetch_bodies(&mut self, now: Timestamp, view: &impl View, out: &mut Vec<Output>) {
        // What a document says that came in this step is known in the next.
        if self.law_mark().is_none() {
            return;
        }
        let origins: Vec<Origin> = self.mirrors.keys().cloned().collect();
        let mut told = None;
        for origin in origins {
            let regime = self.regime(&origin, now);
            if let Regime::Closed(why) = regime {
                told = told.or(Some(why));
                if let Some(mirror) = self.mirrors.get_mut(&origin) {
                    // They could not be stored, and would stand in for the retractions that are fetched alone.
                    mirror.ready.clear();
                }
            }
            self.skip_quiet(&origin, regime, view, out);
            while let Some((seq, from, what)) = self.next_body(&origin, regime, now, view) {
                if !self.fetch_body(&origin, seq, from, what, view, out) {
                    break;
                }
            }
        }
        if self.told_closed != told {
            let event = told.map_or(Event::Opened, |why| Event::Closed { why });
            out.push(Output::Emit(event));
            self.told_closed = told;
        }
    }

    fn fetch_body(
        &mut self,
        origin: &Origin,
        seq: Seq,
        from: CentreId,
        what: Fetched,
        view: &impl View,
        out: &mut Vec<Output>,
    ) -> bool {
        let Some(expected) = self.expected(origin, seq, view) else {
            return false;
        };
        let id = self.job();
        let Some(mirror) = self.mirrors.get_mut(origin) else {
            return false;
        };
        let peer = from.clone();
        let (job, section, under) = (id, 0, None);
        mirror.body_jobs.insert(seq, Fetch { job, from, what });
        let (section, under) = match what {
            Fetched::Whole => (section, under),
            Fetched::Ends | Fetched::Empty => (RETRACTION_SECTION, under),
            Fetched::Under(hash) => (section, Some(hash)),
        };
        let request = BulkRequest::Body {
            origin: origin.clone(),
            seq,
            section,
            offset: 0,
            under,
        };
        let job = match what {
            Fetched::Ends | Fetched::Empty => Job::FetchRetractions {
                peer,
                request,
                expected,
            },
            Fetched::Whole | Fetched::Under(_) => Job::FetchBody {
                peer,
                request,
                expected,
            },
        };
        out.push(Output::Spawn(id, job));
        true
    }

    /// The next delta worth a transfer, within the bounds of what may be in flight, from whom, and how much of it.
    fn next_body(
        &mut self,
        origin: &Origin,
        regime: Regime,
        now: Timestamp,
        view: &impl View,
    ) -> Option<(Seq, CentreId, Fetched)> {
        let mirror = self.mirrors.get(origin)?;
        if mirror.body_pace.is_waiting(now) {
            return None;
        }
        let held = |mirror: &super::Mirror| mirror.body_jobs.len() + mirror.ready.len();
        let all: usize = self.mirrors.values().map(held).sum();
        if all >= limits::BODIES_IN_FLIGHT_ALL || held(mirror) >= limits::BODIES_IN_FLIGHT {
            return None;
        }
        let state = &mirror.state;
        let alone = self.retractions_alone(origin, regime);
        let (first, last) = if alone {
            (state.retracted, state.next_seq)
        } else {
            (state.applied, self.acting(origin))
        };
        // While the next body cannot be had, it is tried by itself.
        let ahead = if mirror.body_stuck && !alone {
            1
        } else {
            limits::BODIES_IN_FLIGHT
        };
        let next = (first.0..last.0).map(Seq).take(ahead);
        let idle =
            |seq: &Seq| !mirror.body_jobs.contains_key(seq) && !mirror.ready.contains_key(seq);
        let next: Vec<Seq> = next.filter(idle).collect();
        if regime == Regime::Governed && !alone {
            return self.next_governed(origin, &next, now, view);
        }
        let next = *next.first()?;
        // A pending delta without a retraction is nobody's business yet.
        if alone && self.is_pending(origin, regime) && next < mirror.quiet_to {
            return None;
        }
        let what = if alone { Fetched::Ends } else { Fetched::Whole };
        Some((next, self.body_source(origin)?, what))
    }

    /// As [`Centre::next_body`], of what comes under statements.
    fn next_governed(
        &mut self,
        origin: &Origin,
        next: &[Seq],
        now: Timestamp,
        view: &impl View,
    ) -> Option<(Seq, CentreId, Fetched)> {
        for seq in next {
            match self.course(origin, *seq, now, view) {
                Course::Under(giver, hash) => return Some((*seq, giver, Fetched::Under(hash))),
                Course::Empty => {
                    let source = self.body_source(origin);
                    return source.map(|from| (*seq, from, Fetched::Empty));
                }
                Course::Wait => {}
            }
        }
        let mirror = self.mirrors.get(origin)?;
        let under_way = |seq| mirror.body_jobs.contains_key(&seq);
        let (seq, giver, hash) = self.wider(origin, mirror.state.applied, under_way)?;
        Some((seq, giver, Fetched::Under(hash)))
    }

    /// Deltas below this number may put: those that a quorum witnessed, of a log that is not in dispute. Of our own log,
    /// when we lost it, all.
    pub(super) fn acting(&self, origin: &Origin) -> Seq {
        let Some(mirror) = self.mirrors.get(origin) else {
            return Seq(0);
        };
        if *origin == self.origin {
            mirror.state.next_seq
        } else if self.disputes.contains_key(origin) {
            mirror.state.applied
        } else {
            mirror.state.witnessed_seq
        }
    }

    /// Whether retractions are fetched without the records: nothing may be opened, a body before them cannot be had, or
    /// what is left to apply is pending.
    fn retractions_alone(&self, origin: &Origin, regime: Regime) -> bool {
        let Some(mirror) = self.mirrors.get(origin) else {
            return false;
        };
        let left = mirror.state.retracted < mirror.state.next_seq;
        let stuck = mirror.body_stuck || self.is_pending(origin, regime);
        !regime.is_open() || (left && stuck)
    }

    /// Whether nothing is left to apply but deltas that wait for their witnesses.
    fn is_pending(&self, origin: &Origin, regime: Regime) -> bool {
        self.mirrors.get(origin).is_some_and(|mirror| {
            let state = &mirror.state;
            let left = state.retracted < state.next_seq;
            let open = regime.is_open() && !mirror.body_stuck;
            open && left && state.applied >= self.acting(origin)
        })
    }

    /// Steps over pending deltas that retract nothing, so that the first one that does is fetched: retractions do not wait
    /// for witnesses. Each delta's table is read once.
    fn skip_quiet(
        &mut self,
        origin: &Origin,
        regime: Regime,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        let Some(mirror) = self
            .mirrors
            .get(origin)
            .filter(|_| self.is_pending(origin, regime))
        else {
            return;
        };
        let state = &mirror.state;
        let (first, last) = (state.retracted, state.next_seq);
        let mut quiet_to = mirror.quiet_to.max(first);
        let mut loud = false;
        while quiet_to < last && !loud {
            let Some(expected) = self.expected(origin, quiet_to, view) else {
                break;
            };
            loud = expected.table.retractions.count > 0;
            if !loud {
                quiet_to = Seq(quiet_to.0 + 1);
            }
        }
        if loud {
            for seq in (first.0..quiet_to.0).map(Seq) {
                self.apply_retractions(origin, seq, Vec::new(), out);
            }
        }
        if let Some(mirror) = self.mirrors.get_mut(origin) {
            mirror.quiet_to = quiet_to;
        }
    }

    /// What the log says of a delta.
    fn expected(&self, origin: &Origin, seq: Seq, view: &impl View) -> Option<Expected> {
        let index = view.delta_index(origin, seq)?;
        let size = self.mirrors.get(origin)?.state.size;
        let files = |path: &str| view.log_file(origin, path);
        let (_, table) = read_delta(&files, size, index)?;
        let classes = table.classes.iter().map(|entry| entry.class);
        Some(Expected {
            origin: origin.clone(),
            seq,
            suspected: classes
                .filter(|class| super::is_suspected(origin, *class, view))
                .collect(),
            table,
        })
    }

    pub(super) fn on_body(
        &mut self,
        origin: &Origin,
        seq: Seq,
        result: JobResult,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        let Some(mirror) = self.mirrors.get_mut(origin) else {
            return;
        };
        let Some(fetch) = mirror.body_jobs.remove(&seq) else {
            return;
        };
        // Our own records must come back whole, from somebody: who withholds them, or brings others, is merely not asked next.
        let is_own = *origin == self.origin;
        let is_lost = match &result {
            JobResult::Body(body) => is_own && body.withholds(),
            JobResult::Bad(_) => is_own,
            JobResult::Suffix(_)
            | JobResult::Roots(_)
            | JobResult::Retractions(_)
            | JobResult::Cosigned(_)
            | JobResult::Sharers(_)
            | JobResult::Ahead(_)
            | JobResult::Failed => false,
        };
        let result = if is_lost { JobResult::Failed } else { result };
        match (result, fetch.what) {
            (JobResult::Body(body), Fetched::Under(hash)) => {
                match self.arrived(origin, body, (fetch.from, hash), out) {
                    Some(arrived) => self.on_arrived(origin, seq, arrived, now, view, out),
                    None => self.not_had(origin, now),
                }
            }
            (JobResult::Body(body), _) => {
                self.on_arrived(origin, seq, Arrived::without(body), now, view, out);
            }
            (JobResult::Retractions(list), Fetched::Empty) => {
                if let Some(expected) = self.expected(origin, seq, view) {
                    let body = VerifiedBody::withheld(&expected, list);
                    self.on_arrived(origin, seq, Arrived::without(body), now, view, out);
                }
            }
            (JobResult::Retractions(list), _) => {
                mirror.body_pace = Pace::default();
                self.apply_retractions(origin, seq, list, out);
            }
            (JobResult::Failed, what) => {
                self.not_had(origin, now);
                if let Fetched::Under(_) = what {
                    self.not_arrived(origin, &fetch.from, now, out);
                }
            }
            (JobResult::Bad(error), _) => {
                self.refuse_body(origin, seq, &fetch.from, error, now, out)
            }
            (
                JobResult::Suffix(_)
                | JobResult::Roots(_)
                | JobResult::Cosigned(_)
                | JobResult::Sharers(_)
                | JobResult::Ahead(_),
                _,
            ) => {}
        }
    }

    fn not_had(&mut self, origin: &Origin, now: Timestamp) {
        if let Some(mirror) = self.mirrors.get_mut(origin) {
            mirror.body_pace.fail(now, None);
            if mirror.body_pace.failures > 1 {
                mirror.stick();
            }
        }
    }

    fn refuse_body(
        &mut self,
        origin: &Origin,
        seq: Seq,
        from: &CentreId,
        error: BodyError,
        now: Timestamp,
        out: &mut Vec<Output>,
    ) {
        if let Some(mirror) = self.mirrors.get_mut(origin) {
            mirror.body_pace.fail(now, None);
            mirror.stick();
        }
        out.push(Output::Emit(Event::BodyRefused {
            origin: origin.clone(),
            seq,
            from: from.clone(),
            error: error.clone(),
        }));
        // A record that this version does not take is no reason to part: its retractions are still wanted.
        if matches!(
            error,
            BodyError::Record { .. } | BodyError::Classifier { .. }
        ) {
            return;
        }
        drop_peer(from, Reason::Body(error), out);
    }

    fn on_arrived(
        &mut self,
        origin: &Origin,
        seq: Seq,
        arrived: Arrived,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        let Some(mirror) = self.mirrors.get_mut(origin) else {
            return;
        };
        if seq < mirror.state.applied {
            mirror.body_pace = Pace::default();
            return self.widen(origin, arrived, now, view, out);
        }
        if seq == mirror.state.applied {
            (mirror.body_pace, mirror.body_stuck) = (Pace::default(), false);
        } else if mirror.body_stuck {
            // The one before it cannot be had: kept, it would stand in the way of the retractions.
            return;
        }
        mirror.ready.insert(seq, arrived);
        self.apply_ready(origin, now, view, out);
        self.regain(now, view, out);
    }

    fn apply_ready(
        &mut self,
        origin: &Origin,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        let regime = self.regime(origin, now);
        let acting = self.acting(origin);
        while let Some(mirror) = self.mirrors.get_mut(origin) {
            let mut state = mirror.state.clone();
            let Some(arrived) = mirror
                .ready
                .remove(&state.applied)
                .filter(|_| state.applied < acting)
            else {
                return;
            };
            let taken = match regime {
                Regime::Open => Some((arrived.body.admitted(), Vec::new(), Vec::new())),
                Regime::Governed => self.take(origin, arrived, now, view, out),
                Regime::Closed(_) => None,
            };
            let Some((admitted, mut rows, missing)) = taken else {
                // Said once, when policy closed; else it is fetched again as policy has it now.
                if let Some(mirror) = self.mirrors.get_mut(origin) {
                    mirror.ready.clear();
                }
                return;
            };
            let applied = applied(&admitted);
            let retracts = !admitted.body().retractions().is_empty();
            if regime == Regime::Governed {
                self.taken(origin, state.applied, missing, &mut rows);
            }
            state.applied = Seq(state.applied.0 + 1);
            state.retracted = state.retracted.max(state.applied);
            // With the last body comes our receipt.
            if self.add_own_lines(origin, &mut state, now) {
                self.tell.insert(origin.centre().clone());
            }
            let Some(mirror) = self.mirrors.get_mut(origin) else {
                return;
            };
            mirror.state = state.clone();
            let mut batch = Batch::default();
            batch.push(Write::Body(admitted));
            batch.extend(rows);
            if retracts {
                self.note_applied(origin);
            }
            let origin = origin.clone();
            batch.push(Write::State { origin, state });
            out.push(Output::Commit(batch));
            out.push(Output::Emit(applied));
        }
    }

    /// More of a delta that is applied.
    fn widen(
        &mut self,
        origin: &Origin,
        arrived: Arrived,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        if self.regime(origin, now) != Regime::Governed {
            return;
        }
        let Some((admitted, mut rows, missing)) = self.take(origin, arrived, now, view, out) else {
            return;
        };
        let seq = admitted.seq();
        let withheld = missing.iter().map(|row| row.count).sum();
        let sections = admitted.body().sections().iter();
        let records = sections.map(crate::delta::Section::held).sum();
        self.taken(origin, seq, missing, &mut rows);
        let mut batch = Batch::default();
        if records > 0 {
            batch.push(Write::Widen(admitted));
        }
        batch.extend(rows);
        out.push(Output::Commit(batch));
        out.push(Output::Emit(Event::DeltaWidened {
            origin: origin.clone(),
            seq,
            records,
            withheld,
        }));
    }

    fn apply_retractions(
        &mut self,
        origin: &Origin,
        seq: Seq,
        list: Vec<Retraction>,
        out: &mut Vec<Output>,
    ) {
        let Some(mirror) = self.mirrors.get_mut(origin) else {
            return;
        };
        // Several are under way; only the next one may move the cursor, the others are fetched again.
        if seq != mirror.state.retracted {
            return;
        }
        mirror.state.retracted = Seq(seq.0 + 1);
        let retractions = list.len() as u64;
        let state = mirror.state.clone();
        if retractions > 0 {
            self.note_applied(origin);
        }
        let mut batch = Batch::default();
        let origin = origin.clone();
        batch.push(Write::Retractions {
            origin: origin.clone(),
            seq,
            list,
        });
        batch.push(Write::State {
            origin: origin.clone(),
            state,
        });
        out.push(Output::Commit(batch));
        out.push(Output::Emit(Event::RetractionsApplied {
            origin,
            seq,
            retractions,
        }));
    }
}

fn applied(admitted: &AdmittedBody) -> Event {
    let body = admitted.body();
    let sections = body.sections().iter();
    let (records, withheld) = sections.fold((0, 0), |(records, withheld), section| {
        (records + section.held(), withheld + section.withheld())
    });
    Event::DeltaApplied {
        origin: admitted.origin().clone(),
        seq: admitted.seq(),
        records,
        withheld,
        retractions: body.retractions().len() as u64,
    }
}
