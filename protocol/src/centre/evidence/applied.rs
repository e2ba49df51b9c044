//! Who has applied our retractions: each centre says to an origin below which delta it applied every retraction of its log,
//! at once when it applied one, and else with each round.

use std::collections::{BTreeMap, BTreeSet};

use hashpact_keys::{CentreId, Origin, Timestamp};

use super::super::{Centre, Event, Output, later};
use crate::delta::Seq;
use crate::evidence::rows;
use crate::limits;
use crate::view::{Batch, View};
use crate::wire::Message;

/// How far a centre is with the retractions of our log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetractionLag {
    /// The centre.
    pub centre: CentreId,
    /// It has applied every retraction below this delta, as it says.
    pub below: Seq,
    /// When it last said so anew; none if it never did.
    pub heard: Option<Timestamp>,
    /// Deltas with retractions that it has not applied, as far as is known.
    pub behind: u64,
    /// When the first of them was signed; none if there is none.
    pub since: Option<Timestamp>,
}

/// What is known of retractions, as far as memory goes.
#[derive(Default)]
pub(super) struct Applied {
    /// What others said of our log.
    by: BTreeMap<CentreId, (Seq, Timestamp)>,
    /// When each delta of ours with retractions was signed.
    ours: BTreeMap<Seq, Timestamp>,
    /// What was said of others' logs in this connection, and when.
    told: BTreeMap<Origin, (Seq, Timestamp)>,
    /// Logs of which a retraction was applied since.
    news: BTreeSet<Origin>,
}

impl Applied {
    pub(super) fn load(own: &Origin, view: &impl View) -> Self {
        let by = rows::all_applied(own, view).into_iter();
        Self {
            by: by.map(|(id, below, at)| (id, (below, at))).collect(),
            ours: rows::all_retracted(own, view).into_iter().collect(),
            ..Self::default()
        }
    }

    /// A connection is new: what was said on the last one may have been lost.
    pub(super) fn forget(&mut self, peer: &CentreId) {
        self.told.retain(|origin, _| origin.centre() != peer);
    }
}

impl Centre {
    /// How far every other centre of the roster is with our retractions.
    #[must_use]
    pub fn retraction_lag(&self) -> Vec<RetractionLag> {
        let known = &self.evidence.applied;
        let centres = self.roster().centres.iter().map(|it| &it.id);
        let others = centres.filter(|id| **id != self.id);
        let lag = others.map(|id| {
            let said = known.by.get(id);
            let below = said.map_or(Seq(0), |(below, _)| *below);
            let mut open = known.ours.range(below..).map(|(_, at)| *at);
            let since = open.next();
            RetractionLag {
                centre: id.clone(),
                below,
                heard: said.map(|(_, at)| *at),
                behind: u64::from(since.is_some()) + open.count() as u64,
                since,
            }
        });
        lag.collect()
    }

    /// A delta of ours retracts something.
    pub(in super::super) fn note_retracted(&mut self, seq: Seq, at: Timestamp) {
        self.evidence.applied.ours.insert(seq, at);
    }

    /// A retraction of another's log was applied: its origin hears of it at once.
    pub(in super::super) fn note_applied(&mut self, origin: &Origin) {
        self.evidence.applied.news.insert(origin.clone());
    }

    /// The delta below which every retraction of a log is applied here.
    fn applied_below(&self, origin: &Origin) -> Option<Seq> {
        let mirror = self.mirrors.get(origin)?;
        // Deltas that wait for their witnesses and retract nothing leave nothing to apply.
        Some(mirror.state.retracted.max(mirror.quiet_to))
    }

    pub(super) fn tell_applied(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        let origins: Vec<Origin> = self.mirrors.keys().cloned().collect();
        for origin in origins {
            if origin == self.origin || !self.peers.contains_key(origin.centre()) {
                continue;
            }
            let Some(below) = self.applied_below(&origin) else {
                continue;
            };
            let known = &mut self.evidence.applied;
            let is_due = match known.told.get(&origin) {
                None => below > Seq(0),
                Some((told, _)) if *told == below => false,
                Some((_, at)) => {
                    let is_old = later(*at, limits::ANTI_ENTROPY_S) <= now || *at > now;
                    is_old || known.news.contains(&origin)
                }
            };
            if is_due {
                known.news.remove(&origin);
                known.told.insert(origin.clone(), (below, now));
                let to = origin.centre().clone();
                out.push(Output::Send(to, Message::Applied { origin, below }));
            }
        }
    }

    /// When something is said next, if nothing happens before.
    pub(super) fn applied_wakes(&self) -> Option<Timestamp> {
        let told = self.evidence.applied.told.iter();
        let due = told.filter(|(origin, (told, _))| {
            let is_up = self.peers.contains_key(origin.centre());
            is_up && self.applied_below(origin).is_some_and(|it| it != *told)
        });
        due.map(|(_, (_, at))| later(*at, limits::ANTI_ENTROPY_S))
            .min()
    }

    /// A centre says how far it is with our retractions.
    pub(in super::super) fn on_applied(
        &mut self,
        peer: &CentreId,
        (origin, below): (&Origin, Seq),
        now: Timestamp,
        out: &mut Vec<Output>,
    ) {
        // Of a line that we left, or of deltas that our disk has lost, nothing is to be learnt.
        if *origin != self.origin || below > self.own.next_seq {
            return;
        }
        let known = &mut self.evidence.applied;
        let before = known.by.get(peer).map_or(Seq(0), |(below, _)| *below);
        if below == before {
            return;
        }
        known.by.insert(peer.clone(), (below, now));
        let is_news = before < below && known.ours.range(before..below).next().is_some();
        let mut batch = Batch::default();
        batch.push(rows::applied(origin, peer, below, now));
        out.push(Output::Commit(batch));
        if is_news {
            out.push(Output::Emit(Event::RetractionsAcknowledged {
                by: peer.clone(),
                below,
            }));
        }
    }
}
