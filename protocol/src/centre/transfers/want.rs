//! What is missing here and may come from whom, by our own reading of all policies; and which way a delta's body comes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hashpact_keys::{CentreId, Origin, Timestamp};

use super::super::{Centre, Output};
use super::{Ask, Quiet, Regime, Sent, Stage, Table};
use crate::Hash;
use crate::delta::Seq;
use crate::labels::ClassId;
use crate::limits;
use crate::view::View;
use crate::wire::{Message, Proposal};

/// Which way the body of a delta that is next to be applied comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Course {
    /// From this giver, under this statement.
    Under(CentreId, Hash),
    /// Nothing of it may come: its retractions are all there is.
    Empty,
    /// It is being asked for, or nobody can be asked.
    Wait,
}

impl Centre {
    /// Asks for what is missing: the origin first, and others for what it does not give or while it is away.
    pub(in super::super) fn propose_transfers(
        &mut self,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        let origins: Vec<Origin> = self.mirrors.keys().cloned().collect();
        let governed = |origin: &Origin| self.regime(origin, now) == Regime::Governed;
        let origins: Vec<Origin> = origins.into_iter().filter(governed).collect();
        if origins.is_empty() || !self.renew_flows(now) {
            return;
        }
        self.time_transfers(now, out);
        if self.may_sign().is_err() {
            return;
        }
        for origin in origins {
            self.load_tables(&origin, view);
            let first = origin.centre().clone();
            let others = self.peers.keys().filter(|peer| **peer != first).cloned();
            let givers: Vec<CentreId> = [first.clone()].into_iter().chain(others).collect();
            for giver in givers {
                if self.peers.contains_key(&giver) {
                    self.propose_to(&origin, &giver, now, view, out);
                }
            }
        }
    }

    fn propose_to(
        &mut self,
        origin: &Origin,
        giver: &CentreId,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        let key = (origin.clone(), giver.clone());
        let open = |(_, ask): &(&(Origin, CentreId), &Ask)| !ask.stage.is_idle();
        let all = self.transfers.asks.iter().filter(open).count();
        let of_giver = self.transfers.asks.iter().filter(open);
        let of_giver = of_giver.filter(|((_, asked), _)| asked == giver).count();
        if all >= limits::TRANSFERS_OPEN || of_giver >= limits::TRANSFERS_PER_GIVER {
            return;
        }
        let Some(quiet) = self.quiet_mark(origin) else {
            return;
        };
        let ask = self.transfers.asks.entry(key.clone()).or_default();
        // What was declined is asked for again when its time has come; how often it was is remembered until then.
        let is_due = ask.declined.values().any(|declined| declined.until <= now);
        let silent = ask.quiet == Some(quiet) && !is_due;
        if silent || !ask.stage.is_idle() || ask.pace.is_waiting(now) {
            return;
        }
        let wanted = self.wanted(origin, giver, now, view);
        let (policies, purpose) = (self.policies_of(origin, giver), self.own_purpose(now));
        self.transfers.last_ask += 1;
        let number = self.transfers.last_ask;
        let ask = self.transfers.asks.entry(key).or_default();
        let Some(purpose) = purpose.filter(|_| !wanted.is_empty()) else {
            ask.quiet = Some(quiet);
            ask.declined.retain(|_, declined| declined.until > now);
            return;
        };
        let proposal = Proposal {
            // Of another run another number: what answers an earlier one is not heard.
            ask: (self.session << 20).wrapping_add(number).max(1),
            origin: origin.clone(),
            purpose,
            policies,
            wanted,
        };
        let sent = Sent { at: now, tries: 1 };
        out.push(Output::Send(
            giver.clone(),
            Message::Propose(proposal.clone()),
        ));
        ask.stage = Stage::Proposed { proposal, sent };
    }

    /// What must change before something else is wanted of a log.
    fn quiet_mark(&self, origin: &Origin) -> Option<Quiet> {
        let tables = self.transfers.tables.get(origin);
        Some(Quiet {
            changes: self.transfers.changes,
            applied: self.mirrors.get(origin)?.state.applied,
            // A delta's table can be read once it is durable.
            read: tables.and_then(|tables| tables.keys().next_back()).copied(),
        })
    }

    fn own_purpose(&self, now: Timestamp) -> Option<crate::labels::Purpose> {
        self.purpose_of(&self.id, now)
    }

    /// Log indices of the newest documents of giver, origin and ourselves.
    pub(super) fn policies_of(&self, origin: &Origin, giver: &CentreId) -> [Option<u64>; 3] {
        let giver = self.roster().centre(giver);
        [
            giver.and_then(|giver| self.policy_index(&giver.origin)),
            self.policy_index(origin),
            self.policy_index(&self.origin),
        ]
    }

    /// The deltas of a log that are to be applied next: their tables, read once.
    fn load_tables(&mut self, origin: &Origin, view: &impl View) {
        let Some(mirror) = self.mirrors.get(origin) else {
            return;
        };
        let first = mirror.state.applied;
        let last = self.acting(origin).0.min(first.0 + limits::PROPOSAL_WINDOW);
        let mut tables = self.transfers.tables.remove(origin).unwrap_or_default();
        tables.retain(|seq, _| *seq >= first && seq.0 < last);
        for seq in (first.0..last).map(Seq) {
            if !tables.contains_key(&seq)
                && let Some(table) = self.read_table(origin, seq, view)
            {
                tables.insert(seq, Arc::new(table));
            }
        }
        self.transfers.tables.insert(origin.clone(), tables);
    }

    /// What may be asked of a giver, within the bounds of one proposal.
    fn wanted(
        &mut self,
        origin: &Origin,
        giver: &CentreId,
        now: Timestamp,
        view: &impl View,
    ) -> Vec<(Seq, Vec<ClassId>)> {
        let (mut wanted, mut bytes) = (Vec::new(), 0);
        let missing = self.transfers.missing.get(origin);
        let missing = missing.into_iter().flatten().map(|(seq, rows)| {
            let classes = rows.iter().map(|row| row.class);
            (*seq, classes.collect::<Vec<_>>())
        });
        let tables = self.transfers.tables.get(origin);
        let tables = tables.into_iter().flatten().map(|(seq, table)| {
            let classes = table.classes.classes.iter().map(|entry| entry.class);
            (*seq, classes.collect())
        });
        let rows: Vec<(Seq, Vec<ClassId>)> = missing.chain(tables).collect();
        for (seq, mut classes) in rows {
            classes.retain(|class| self.is_wanted(origin, seq, *class, giver, now, view));
            bytes += 12 + 3 * classes.len();
            if wanted.len() == limits::STATEMENT_DELTAS || bytes > limits::PROPOSAL_BYTES_CUT {
                break;
            }
            if !classes.is_empty() {
                wanted.push((seq, classes));
            }
        }
        wanted
    }

    fn is_wanted(
        &mut self,
        origin: &Origin,
        seq: Seq,
        class: ClassId,
        giver: &CentreId,
        now: Timestamp,
        view: &impl View,
    ) -> bool {
        let asks = &self.transfers.asks;
        let of = |of: &CentreId| asks.get(&(origin.clone(), of.clone()));
        let declined = |by: &CentreId| of(by).and_then(|ask| ask.declined.get(&(seq, class)));
        if declined(giver).is_some_and(|declined| declined.until > now) {
            return false;
        }
        let maker = origin.centre();
        let relayed = giver != maker;
        // A relay is asked for what the origin does not give, or while it is away.
        if relayed && self.peers.contains_key(maker) && declined(maker).is_none() {
            let shares = self.flow_here(origin, class, maker, now, view).allowed;
            if shares {
                return false;
            }
        }
        let others = self.transfers.asks.iter();
        let mut others = others.filter(|((log, of), _)| log == origin && self.is_up(of));
        if others.any(|(_, ask)| ask.stage.covers(seq, class)) {
            return false;
        }
        let farther = || {
            view.class(origin, class)
                .is_some_and(|labels| labels.hops > 0)
        };
        self.flow_here(origin, class, giver, now, view).allowed && (!relayed || farther())
    }

    /// Which way the body of a delta comes that is next to be applied.
    pub(in super::super) fn course(
        &mut self,
        origin: &Origin,
        seq: Seq,
        now: Timestamp,
        view: &impl View,
    ) -> Course {
        let mut waits = false;
        for ((log, giver), ask) in &self.transfers.asks {
            if log != origin || !self.peers.contains_key(giver) || !ask.stage.concerns(seq) {
                continue;
            }
            match &ask.stage {
                Stage::Open { agreed, .. } => return Course::Under(giver.clone(), agreed.hash),
                Stage::Idle | Stage::Proposed { .. } | Stage::Agreed { .. } => waits = true,
            }
        }
        let maker = origin.centre().clone();
        let table = self.transfers.tables.get(origin);
        let table = table.and_then(|tables| tables.get(&seq)).cloned();
        let Some(table) = table.filter(|_| !waits && self.peers.contains_key(&maker)) else {
            return Course::Wait;
        };
        let classes = table.classes.classes.iter().map(|entry| entry.class);
        for class in classes {
            if self.is_wanted(origin, seq, class, &maker, now, view) {
                return Course::Wait;
            }
        }
        Course::Empty
    }

    /// Deltas that are applied and of which more was agreed to: the first that may be fetched.
    pub(in super::super) fn wider(
        &self,
        origin: &Origin,
        applied: Seq,
        under_way: impl Fn(Seq) -> bool,
    ) -> Option<(Seq, CentreId, Hash)> {
        let asks = self.transfers.asks.iter();
        let mut asks = asks.filter(|((log, giver), _)| log == origin && self.is_up(giver));
        asks.find_map(|((_, giver), ask)| match &ask.stage {
            Stage::Open { agreed, left, .. } => {
                let mut left = left.range(..applied);
                let seq = left.find(|seq| !under_way(**seq))?;
                Some((*seq, giver.clone(), agreed.hash))
            }
            Stage::Idle | Stage::Proposed { .. } | Stage::Agreed { .. } => None,
        })
    }

    /// The table of a delta, known or read.
    pub(super) fn table(&self, origin: &Origin, seq: Seq, view: &impl View) -> Option<Arc<Table>> {
        let known = self.transfers.tables.get(origin);
        let known = known.and_then(|tables| tables.get(&seq)).cloned();
        known.or_else(|| self.read_table(origin, seq, view).map(Arc::new))
    }

    /// Deltas of a statement of which something is still missing here.
    pub(super) fn left_of(
        &self,
        origin: &Origin,
        deltas: &[crate::transfer::Given],
    ) -> BTreeSet<Seq> {
        let applied = self.mirrors.get(origin).map(|mirror| mirror.state.applied);
        let empty = BTreeMap::new();
        let missing = self.transfers.missing.get(origin).unwrap_or(&empty);
        let lacks = |given: &&crate::transfer::Given| {
            let rows = missing.get(&given.seq).into_iter().flatten();
            let mut rows = rows.map(|row| row.class);
            let has = |class| given.classes.iter().any(|(of, _)| *of == class);
            applied.is_none_or(|applied| given.seq >= applied) || rows.any(has)
        };
        deltas.iter().filter(lacks).map(|given| given.seq).collect()
    }
}
