//! What becomes of what a giver asks back: it is destroyed here and asked back of whomever it was given on to, unless
//! another giver gave it too and still may.

use std::collections::{BTreeMap, BTreeSet};

use hashpact_keys::{CentreId, Origin, Timestamp};
use rand_core::CryptoRng;

use super::super::{Centre, Event, Output, later};
use super::{RecallFault, Row, recalls, sealed};
use crate::Hash;
use crate::delta::Seq;
use crate::labels::ClassId;
use crate::limits;
use crate::transfer::{Acknowledgement, Opening, Recall, Statement, shelf};
use crate::view::{Batch, Shelf, View, Write};
use crate::wire::Message;

/// What a recall does to one delta here.
struct Loss {
    seq: Seq,
    /// Classes that are destroyed.
    classes: Vec<ClassId>,
    /// By which statements the rest is here.
    by: BTreeMap<ClassId, Hash>,
    /// Classes that stay under another giver's statement.
    kept: Vec<ClassId>,
}

impl Centre {
    /// A giver asks classes back.
    pub(in super::super) fn on_recall(
        &mut self,
        peer: &CentreId,
        signed: &[u8],
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        let hash = Recall::hash(signed);
        // Asked again, as our answer was lost.
        if let Some(said) = recalls::opened(Row::Acknowledged, &hash, view) {
            return out.push(Output::Send(peer.clone(), Message::Acknowledged(said)));
        }
        // Whoever asks too often is not heard: a giver asks again.
        if recalls::kept(Row::Theirs, &hash, view).is_some() || !self.may_be_asked(peer, now) {
            return;
        }
        let statements = |origin: &Origin| self.taken_under(origin, view);
        match self.check_recall(peer, signed, now, statements) {
            Ok((recall, statements)) => {
                self.obey((recall, signed, hash), &statements, now, view, out);
            }
            Err(error) => out.push(Output::Emit(Event::RecallRefused {
                from: peer.clone(),
                error,
            })),
        }
    }

    /// The statements by which this centre took something of a log.
    fn taken_under(&self, origin: &Origin, view: &impl View) -> BTreeMap<Hash, Statement> {
        let rows = logged(origin, view);
        rows.filter(|(_, statement)| statement.to == self.id)
            .collect()
    }

    fn check_recall(
        &self,
        peer: &CentreId,
        signed: &[u8],
        now: Timestamp,
        statements: impl Fn(&Origin) -> BTreeMap<Hash, Statement>,
    ) -> Result<(Recall, BTreeMap<Hash, Statement>), RecallFault> {
        let recall = Recall::open(signed, self.roster())?;
        if recall.from != *peer || recall.to != self.id || recall.origin == self.origin {
            return Err(RecallFault::Parties);
        }
        if recall.time > later(now, limits::CLOCK_SKEW_S) {
            return Err(RecallFault::Time);
        }
        let statements = statements(&recall.origin);
        let theirs = statements.values().filter(|it| it.from == *peer);
        let given: BTreeSet<ClassId> = theirs.flat_map(|it| it.by_class().into_keys()).collect();
        if let Some(class) = recall.classes.iter().find(|class| !given.contains(class)) {
            return Err(RecallFault::NotGiven { class: *class });
        }
        Ok((recall, statements))
    }

    fn obey(
        &mut self,
        (recall, signed, hash): (Recall, &[u8], Hash),
        statements: &BTreeMap<Hash, Statement>,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        let Recall { origin, from, .. } = &recall;
        let losses = self.losses(&recall, statements, now, view);
        let mut rows = vec![recalls::keep(Row::Theirs, &hash, signed.to_vec())];
        let (mut records, mut kept) = (0, 0);
        let mut lost: BTreeSet<(Seq, ClassId)> = BTreeSet::new();
        for Loss {
            seq,
            classes,
            by,
            kept: stays,
        } in losses
        {
            let held = view.holdings(origin, seq).unwrap_or_default();
            let count = |class: &ClassId| {
                let row = held.iter().find(|row| row.class == *class);
                row.map_or(0, |row| row.count)
            };
            records += classes.iter().map(count).sum::<u64>();
            kept += stays.iter().map(count).sum::<u64>();
            rows.push(shelf::received(origin, seq, &by));
            if classes.is_empty() {
                continue;
            }
            let gone: Vec<_> = classes.iter().map(|class| (*class, count(class))).collect();
            rows.push(self.missing_again(origin, seq, &gone, from, now, view));
            lost.extend(classes.iter().map(|class| (seq, *class)));
            rows.push(Write::Narrow {
                origin: origin.clone(),
                seq,
                classes,
            });
        }
        rows.extend(self.lose_onward(origin, &lost, view));
        self.drop_under_way(origin, from, out);
        let mut batch = Batch::default();
        batch.extend(rows);
        out.push(Output::Commit(batch));
        self.recalls.owed.insert(hash, from.clone());
        out.push(Output::Emit(Event::RecallObeyed {
            origin: origin.clone(),
            from: from.clone(),
            records,
            kept,
        }));
    }

    /// What of the stored deltas goes, and what another giver's statement covers that still may give it.
    fn losses(
        &self,
        recall: &Recall,
        statements: &BTreeMap<Hash, Statement>,
        now: Timestamp,
        view: &impl View,
    ) -> Vec<Loss> {
        let (origin, from) = (&recall.origin, &recall.from);
        let before = recalls::theirs(view);
        let purpose = self.purpose_of(&self.id, now);
        let may = |giver: &CentreId, class| {
            purpose.is_some_and(|purpose| {
                self.may_flow(origin, class, giver, &self.id, purpose, now, view)
                    .allowed
            })
        };
        let another = |seq: Seq, class: ClassId| {
            let mut others = statements.iter().filter(|(_, it)| it.from != *from);
            let other = others.find(|(_, it)| {
                it.gives(seq, class).is_some()
                    && !recalls::is_recalled(&before, (&it.from, origin, class), it.time)
                    && may(&it.from, class)
            });
            other.map(|(hash, _)| *hash)
        };
        let mut losses = Vec::new();
        for (seq, mut by) in shelf::all_received(origin, view) {
            let theirs = |class: &ClassId| {
                let statement = by.get(class).and_then(|hash| statements.get(hash));
                // What it gave again after it asked for it back, it does not mean.
                statement.is_some_and(|it| it.from == *from && it.time <= recall.time)
            };
            let named = recall.classes.iter().copied().filter(theirs);
            let named: Vec<ClassId> = named.collect();
            let (mut classes, mut kept) = (Vec::new(), Vec::new());
            for class in named {
                match another(seq, class) {
                    Some(hash) => {
                        by.insert(class, hash);
                        kept.push(class);
                    }
                    None => {
                        by.remove(&class);
                        classes.push(class);
                    }
                }
            }
            if !classes.is_empty() || !kept.is_empty() {
                losses.push(Loss {
                    seq,
                    classes,
                    by,
                    kept,
                });
            }
        }
        losses
    }

    /// What is gone here must come back from whomever it was given on to, and from nobody else who has the class.
    fn lose_onward(
        &mut self,
        origin: &Origin,
        lost: &BTreeSet<(Seq, ClassId)>,
        view: &impl View,
    ) -> Vec<Write> {
        if lost.is_empty() {
            return Vec::new();
        }
        let mut rows = Vec::new();
        for (_, statement) in logged(origin, view).filter(|(_, it)| it.from == self.id) {
            let holder = (statement.to.clone(), origin.clone());
            let Some(classes) = self.recalls.given.get(&holder) else {
                continue;
            };
            let gave = |(seq, class): &&(Seq, ClassId)| {
                classes.contains(class) && statement.gives(*seq, *class).is_some()
            };
            let due = self.recalls.due.entry(holder.clone()).or_default();
            for (_, class) in lost.iter().filter(gave) {
                if due.insert(*class) {
                    rows.push(shelf::lost(&holder.0, origin, *class));
                }
            }
        }
        self.recalls.due.retain(|_, classes| !classes.is_empty());
        rows
    }

    /// Logs and says that what a recall named is gone.
    pub(super) fn acknowledge(
        &mut self,
        recall: Hash,
        to: CentreId,
        now: Timestamp,
        rng: &mut impl CryptoRng,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        let said = Acknowledgement {
            network: self.roster().network,
            recall,
            from: self.id.clone(),
            time: now,
        };
        let signed = said.sign(&self.keys.delta);
        let (leaf, opening) = sealed(&signed, rng);
        let rows = vec![recalls::keep(Row::Acknowledged, &recall, opening)];
        if self.log_leaf(&leaf, rows, now, view, out).is_err() {
            self.recalls.owed.insert(recall, to);
            return;
        }
        if self.peers.contains_key(&to) {
            out.push(Output::Send(to, Message::Acknowledged(signed)));
        }
    }
}

/// The statements about a log that this centre has logged, as giver or as taker.
pub(super) fn logged<'a, V: View>(
    origin: &'a Origin,
    view: &V,
) -> impl Iterator<Item = (Hash, Statement)> + use<'a, V> {
    let read = |(key, value): (Vec<u8>, Vec<u8>)| {
        let opening = Opening::from_bytes(&value).ok()?;
        let statement = Statement::read_unverified(&opening.signed).ok()?;
        let hash = key.try_into().ok()?;
        opening.salt.is_some().then_some((hash, statement))
    };
    let rows = view.shelf(Shelf::Statement, &[]).into_iter();
    rows.filter_map(read)
        .filter(move |(_, statement)| statement.origin == *origin)
}
