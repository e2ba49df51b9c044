//! New entries and the classes that they are in: what the operator defines, appends and retracts.

use hashpact_keys::Timestamp;

use super::super::{Centre, Outcome, Output, is_suspected};
use super::{CommandError, Extension};
use crate::delta::{ClassTable, Draft, Header, Sealed, Seq};
use crate::evidence::rows;
use crate::labels::{ClassDefinitions, ClassId, Labels, LabelsError};
use crate::limits;
use crate::log::Leaf;
use crate::view::{AdmittedBody, View};

impl Centre {
    pub(super) fn define(
        &mut self,
        wanted: Vec<Labels>,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) -> Result<Outcome, CommandError> {
        self.may_sign()?;
        let jurisdiction = &self.own_entry()?.jurisdiction;
        let mut new: Vec<(ClassId, Labels)> = Vec::new();
        let mut ids = Vec::with_capacity(wanted.len());
        for labels in wanted {
            labels.check()?;
            if !labels.residency.contains(jurisdiction) {
                return Err(LabelsError::Residency.into());
            }
            let known = self.own_classes.get(&labels).copied();
            let known = known.or_else(|| {
                new.iter()
                    .find(|(_, other)| *other == labels)
                    .map(|(class, _)| *class)
            });
            if let Some(class) = known {
                ids.push(class);
                continue;
            }
            let number = u64::from(self.own.next_class) + new.len() as u64;
            // 65,535 stays free: the number of classes then fits 16 bits.
            let number = u16::try_from(number)
                .ok()
                .filter(|number| *number < u16::MAX);
            let class = ClassId(number.ok_or(CommandError::ClassesFull)?);
            ids.push(class);
            new.push((class, labels));
        }
        if new.is_empty() {
            return Ok(Outcome::Classes(ids));
        }
        self.would_be_taken(now)?;
        let sign = |classes: &[(ClassId, Labels)]| {
            let (network, origin) = (self.roster().network, self.origin.clone());
            let definitions = ClassDefinitions {
                network,
                origin,
                classes: classes.to_vec(),
            };
            Leaf::Classes {
                definitions: definitions.sign(&self.keys.delta),
            }
            .to_bytes()
        };
        let leaves = new
            .chunks(limits::DEFINITIONS_PER_LEAF)
            .filter_map(sign)
            .collect();
        let mut state = self.own.clone();
        state.next_class += u32::try_from(new.len()).map_err(|_| CommandError::ClassesFull)?;
        let added = new.clone();
        let extension = Extension {
            state,
            leaves,
            classes: new,
            ..Extension::default()
        };
        self.extend(extension, now, view, out)?;
        self.own_classes
            .extend(added.into_iter().map(|(class, labels)| (labels, class)));
        Ok(Outcome::Classes(ids))
    }

    pub(super) fn append(
        &mut self,
        draft: Draft,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) -> Result<Outcome, CommandError> {
        self.may_sign()?;
        self.would_be_taken(now)?;
        let undefined = |class: &ClassId| u32::from(class.0) >= self.own.next_class;
        if let Some(class) = draft.classes().find(undefined) {
            return Err(CommandError::UndefinedClass { class });
        }
        let assessed = |class: &ClassId| !is_suspected(&self.origin, *class, view);
        if let Some(class) = draft.classified().find(assessed) {
            return Err(CommandError::Classifier { class });
        }
        let seq = self.own.next_seq;
        let Sealed { table, body } = draft.seal(&self.origin, seq)?;
        let header = self.sign_header(seq, &table, now);
        let index = self.own.size;
        let next = Seq(seq.0 + 1);
        let mut state = self.own.clone();
        state.prev = Header::chain_hash(&header);
        state.issued_at = now;
        (state.next_seq, state.applied, state.retracted) = (next, next, next);
        let retracts = table.retractions.count > 0;
        let leaf = Leaf::Delta { header, table }.to_bytes();
        let rows = retracts.then(|| rows::retracted(&self.origin, seq, now));
        let rows = rows.into_iter();
        let body = AdmittedBody {
            origin: self.origin.clone(),
            seq,
            body,
        };
        let extension = Extension {
            state,
            leaves: leaf.into_iter().collect(),
            deltas: vec![(seq, index)],
            body: Some(body),
            rows: rows.collect(),
            ..Extension::default()
        };
        self.extend(extension, now, view, out)?;
        if retracts {
            self.note_retracted(seq, now);
        }
        Ok(Outcome::Appended(seq))
    }

    fn sign_header(&self, seq: Seq, table: &ClassTable, now: Timestamp) -> Vec<u8> {
        let header = Header {
            network: self.roster().network,
            origin: self.origin.clone(),
            roster_version: self.roster().version,
            seq,
            prev: self.own.prev,
            table: table.root(),
            total: table.records(),
            issued_at: now,
            policy_ref: self.own.policy,
        };
        header.sign(&self.keys.delta)
    }
}
