//! How bodies arrive: fetched from their origin, several at once, admitted and applied in order.
//!
//! In order, so that a retraction never acts before the put that it ends. Puts act once their delta stands under a witnessed
//! checkpoint. Where a delta's records must wait, for that or for policy, its retractions are fetched alone: they act at once.

use hashpact_keys::{Origin, Timestamp};

use super::heads::drop_peer;
use super::{Centre, Event, Job, JobResult, Output, Pace, Reason};
use crate::delta::{BodyError, Expected, RETRACTION_SECTION, Retraction, Seq};
use crate::limits;
use crate::log::{Leaf, read_leaves};
use crate::policy::Policy;
use crate::view::{AdmittedBody, Batch, View, Write};
use crate::wire::BulkRequest;

impl Centre {
    /// Starts transfers for deltas that the logs name and that are not applied yet.
    pub(super) fn fetch_bodies(&mut self, now: Timestamp, view: &impl View, out: &mut Vec<Output>) {
        let policy = self.policy(now);
        let closed = match policy {
            Policy::DemoOpen => None,
            Policy::Closed(why) => Some(why),
        };
        if let Some(why) = closed.filter(|_| self.told_closed != closed) {
            out.push(Output::Emit(Event::Closed { why }));
        }
        self.told_closed = closed;
        if closed.is_some() {
            // They could not be stored, and would stand in for the retractions that are fetched alone.
            self.mirrors
                .values_mut()
                .for_each(|mirror| mirror.ready.clear());
        }
        let origins: Vec<Origin> = self.mirrors.keys().cloned().collect();
        for origin in origins {
            let Some(peer) = self.body_source(&origin) else {
                continue;
            };
            self.skip_quiet(&origin, policy, view, out);
            while let Some((seq, alone)) = self.next_body(&origin, policy, now) {
                let Some(expected) = self.expected(&origin, seq, view) else {
                    break;
                };
                let id = self.job();
                let section = if alone { RETRACTION_SECTION } else { 0 };
                let Some(mirror) = self.mirrors.get_mut(&origin) else {
                    break;
                };
                mirror.body_jobs.insert(seq, id);
                let origin = origin.clone();
                let request = BulkRequest::Body {
                    origin,
                    seq,
                    section,
                    offset: 0,
                };
                let peer = peer.clone();
                let job = if alone {
                    Job::FetchRetractions {
                        peer,
                        request,
                        expected,
                    }
                } else {
                    Job::FetchBody {
                        peer,
                        request,
                        expected,
                    }
                };
                out.push(Output::Spawn(id, job));
            }
        }
    }

    /// The next delta worth a transfer, within the bounds of what may be in flight, and whether its retractions alone.
    fn next_body(&self, origin: &Origin, policy: Policy, now: Timestamp) -> Option<(Seq, bool)> {
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
        let alone = self.retractions_alone(origin, policy);
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
        let mut next = (first.0..last.0).map(Seq).take(ahead);
        let next = next
            .find(|seq| !mirror.body_jobs.contains_key(seq) && !mirror.ready.contains_key(seq))?;
        // A pending delta without a retraction is nobody's business yet.
        let waits = alone && self.is_pending(origin, policy) && next < mirror.quiet_to;
        (!waits).then_some((next, alone))
    }

    /// Deltas below this number may put: those that a quorum witnessed, of a log that is not in dispute. Of our own log,
    /// when we lost it, all.
    fn acting(&self, origin: &Origin) -> Seq {
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
    fn retractions_alone(&self, origin: &Origin, policy: Policy) -> bool {
        let Some(mirror) = self.mirrors.get(origin) else {
            return false;
        };
        let left = mirror.state.retracted < mirror.state.next_seq;
        let closed = !policy.is_open() && *origin != self.origin;
        closed || (left && (mirror.body_stuck || self.is_pending(origin, policy)))
    }

    /// Whether nothing is left to apply but deltas that wait for their witnesses.
    fn is_pending(&self, origin: &Origin, policy: Policy) -> bool {
        self.mirrors.get(origin).is_some_and(|mirror| {
            let state = &mirror.state;
            let left = state.retracted < state.next_seq;
            let open = policy.is_open() && !mirror.body_stuck;
            open && left && state.applied >= self.acting(origin)
        })
    }

    /// Steps over pending deltas that retract nothing, so that the first one that does is fetched: retractions do not wait
    /// for witnesses. Each delta's table is read once.
    fn skip_quiet(
        &mut self,
        origin: &Origin,
        policy: Policy,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        let Some(mirror) = self
            .mirrors
            .get(origin)
            .filter(|_| self.is_pending(origin, policy))
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
        let leaves = read_leaves(&files, size, index, index + 1).ok()?;
        match Leaf::from_bytes(leaves.first()?).ok()? {
            Leaf::Delta { table, .. } => Some(Expected {
                origin: origin.clone(),
                seq,
                suspected: table
                    .classes
                    .iter()
                    .map(|entry| entry.class)
                    .filter(|class| super::is_suspected(origin, *class, view))
                    .collect(),
                table,
            }),
            Leaf::Policy { .. }
            | Leaf::Classes { .. }
            | Leaf::Roster { .. }
            | Leaf::Disclosure { .. }
            | Leaf::Commitment { .. }
            | Leaf::Resumed { .. }
            | Leaf::Other(_) => None,
        }
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
        mirror.body_jobs.remove(&seq);
        // Our own records must come back whole, from somebody: who withholds them, or brings others, is merely not asked next.
        let is_own = *origin == self.origin;
        let is_lost = match &result {
            JobResult::Body(body) => is_own && body.withholds(),
            JobResult::Bad(_) => is_own,
            JobResult::Suffix(_)
            | JobResult::Roots(_)
            | JobResult::Retractions(_)
            | JobResult::Cosigned(_)
            | JobResult::Ahead(_)
            | JobResult::Failed => false,
        };
        let result = if is_lost { JobResult::Failed } else { result };
        match result {
            JobResult::Body(body) => {
                if seq == mirror.state.applied {
                    (mirror.body_pace, mirror.body_stuck) = (Pace::default(), false);
                } else if mirror.body_stuck {
                    // The one before it cannot be had: kept, it would stand in the way of the retractions.
                    return;
                }
                mirror.ready.insert(seq, body);
                self.apply_ready(origin, now, out);
                self.regain(now, view, out);
            }
            JobResult::Retractions(list) => {
                mirror.body_pace = Pace::default();
                self.apply_retractions(origin, seq, list, out);
            }
            JobResult::Failed => {
                mirror.body_pace.fail(now, None);
                if mirror.body_pace.failures > 1 {
                    mirror.stick();
                }
            }
            JobResult::Bad(error) => {
                mirror.body_pace.fail(now, None);
                mirror.stick();
                let Some(centre) = self.roster.roster().by_origin(origin) else {
                    return;
                };
                let from = centre.id.clone();
                let refused = Event::BodyRefused {
                    origin: origin.clone(),
                    seq,
                    from: from.clone(),
                    error: error.clone(),
                };
                out.push(Output::Emit(refused));
                // A record that this version does not take is no reason to part: its retractions are still wanted.
                if matches!(
                    error,
                    BodyError::Record { .. } | BodyError::Classifier { .. }
                ) {
                    return;
                }
                drop_peer(&from, Reason::Body(error), out);
            }
            JobResult::Suffix(_)
            | JobResult::Roots(_)
            | JobResult::Cosigned(_)
            | JobResult::Ahead(_) => {}
        }
    }

    fn apply_ready(&mut self, origin: &Origin, now: Timestamp, out: &mut Vec<Output>) {
        let policy = self.policy(now);
        let acting = self.acting(origin);
        while let Some(mirror) = self.mirrors.get_mut(origin) {
            let mut state = mirror.state.clone();
            let Some(body) = mirror
                .ready
                .remove(&state.applied)
                .filter(|_| state.applied < acting)
            else {
                return;
            };
            let admitted = if *origin == self.origin {
                Ok(body.own())
            } else {
                policy.admit(body)
            };
            // Said once, when policy closed.
            let Ok(admitted) = admitted else {
                return mirror.ready.clear();
            };
            let applied = applied(&admitted);
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
            let origin = origin.clone();
            batch.push(Write::State { origin, state });
            out.push(Output::Commit(batch));
            out.push(Output::Emit(applied));
        }
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
        let mut batch = Batch::default();
        let origin = origin.clone();
        batch.push(Write::Retractions {
            origin: origin.clone(),
            seq,
            list,
        });
        batch.push(Write::State {
            origin: origin.clone(),
            state: mirror.state.clone(),
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
