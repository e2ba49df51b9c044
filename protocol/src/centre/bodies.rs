//! How bodies arrive: fetched from their origin, several at once, admitted and applied in order.
//!
//! In order, so that a retraction never acts before the put that it ends. When nothing may be opened, the retractions are
//! fetched alone: they act whatever policy says.

use hashpact_keys::{CentreId, Origin, Timestamp};

use super::heads::drop_peer;
use super::{Centre, Event, Job, JobResult, Output, Pace, Reason};
use crate::delta::{BodyError, Disclosure, Expected, RETRACTION_SECTION, Retraction, Seq};
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
        let origins: Vec<(Origin, CentreId)> = self
            .roster()
            .centres
            .iter()
            .filter(|centre| self.peers.contains_key(&centre.id))
            .map(|centre| (centre.origin.clone(), centre.id.clone()))
            .collect();
        for (origin, peer) in origins {
            while let Some(seq) = self.next_body(&origin, policy, now) {
                let Some(expected) = self.expected(&origin, seq, view) else {
                    break;
                };
                let id = self.job();
                let alone = self.retractions_alone(&origin, policy);
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

    /// The next delta worth a transfer, within the bounds of what may be in flight.
    fn next_body(&self, origin: &Origin, policy: Policy, now: Timestamp) -> Option<Seq> {
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
        let first = if alone {
            state.retracted
        } else {
            state.applied
        };
        // While the next body cannot be had, it is tried by itself.
        let ahead = if mirror.body_stuck && !alone {
            1
        } else {
            limits::BODIES_IN_FLIGHT
        };
        (first.0..state.next_seq.0)
            .map(Seq)
            .take(ahead)
            .find(|seq| !mirror.body_jobs.contains_key(seq) && !mirror.ready.contains_key(seq))
    }

    /// Whether retractions are fetched without the records: nothing may be opened, or a body before them cannot be had.
    fn retractions_alone(&self, origin: &Origin, policy: Policy) -> bool {
        let Some(mirror) = self.mirrors.get(origin) else {
            return false;
        };
        !policy.is_open() || (mirror.body_stuck && mirror.state.retracted < mirror.state.next_seq)
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
                table,
            }),
            Leaf::Classes { .. } | Leaf::Roster { .. } | Leaf::Other(_) => None,
        }
    }

    pub(super) fn on_body(
        &mut self,
        origin: &Origin,
        seq: Seq,
        result: JobResult,
        now: Timestamp,
        out: &mut Vec<Output>,
    ) {
        let Some(mirror) = self.mirrors.get_mut(origin) else {
            return;
        };
        mirror.body_jobs.remove(&seq);
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
                if matches!(error, BodyError::Record { .. }) {
                    return;
                }
                drop_peer(&from, Reason::Body(error), out);
            }
            JobResult::Suffix(_) => {}
        }
    }

    fn apply_ready(&mut self, origin: &Origin, now: Timestamp, out: &mut Vec<Output>) {
        let policy = self.policy(now);
        let Some(mirror) = self.mirrors.get_mut(origin) else {
            return;
        };
        while let Some(body) = mirror.ready.remove(&mirror.state.applied) {
            // Said once, when policy closed.
            let Ok(admitted) = policy.admit(body) else {
                return mirror.ready.clear();
            };
            let applied = applied(&admitted);
            mirror.state.applied = Seq(mirror.state.applied.0 + 1);
            mirror.state.retracted = mirror.state.retracted.max(mirror.state.applied);
            let mut batch = Batch::default();
            batch.push(Write::Body(admitted));
            let (origin, state) = (origin.clone(), mirror.state.clone());
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
    let (mut records, mut withheld) = (0, 0);
    for section in body.sections() {
        match section.disclosure {
            Disclosure::Disclosed(_) => records += section.count,
            Disclosure::Withheld => withheld += section.count,
        }
    }
    Event::DeltaApplied {
        origin: admitted.origin().clone(),
        seq: admitted.seq(),
        records,
        withheld,
        retractions: body.retractions().len() as u64,
    }
}
