//! How our own log grows: leaves, tree head and signature in one batch, or nothing.

use hashpact_keys::{SignedRoster, Timestamp};

use super::super::{Centre, Output};
use super::CommandError;
use crate::delta::Seq;
use crate::labels::{ClassId, Labels};
use crate::log::{Checkpoint, Leaf, grow};
use crate::view::{AdmittedBody, Batch, LogState, View, Write};

/// New leaves of our own log, and what comes with them.
#[derive(Default)]
pub(super) struct Extension {
    /// Where the log will stand, but for size, root and head.
    pub(super) state: LogState,
    pub(super) leaves: Vec<Vec<u8>>,
    pub(super) deltas: Vec<(Seq, u64)>,
    pub(super) classes: Vec<(ClassId, Labels)>,
    pub(super) policies: Vec<(u64, Vec<u8>)>,
    pub(super) manifests: Vec<(u64, Vec<u8>)>,
    pub(super) body: Option<AdmittedBody>,
    pub(super) rosters: Vec<SignedRoster>,
    /// Small objects that go with it.
    pub(super) rows: Vec<Write>,
}

impl Centre {
    /// Grows our own log by one batch: leaves, tree head and signature together, or nothing.
    pub(super) fn extend(
        &mut self,
        extension: Extension,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) -> Result<(), CommandError> {
        let Extension {
            mut state,
            leaves,
            mut deltas,
            classes,
            mut policies,
            mut manifests,
            body,
            rosters,
            rows,
        } = extension;
        let mut missing = self.unlogged(&state, &rosters, view)?;
        deltas
            .iter_mut()
            .for_each(|(_, index)| *index += missing.len() as u64);
        let documents = policies.iter_mut().chain(&mut manifests);
        documents.for_each(|(index, _)| *index += missing.len() as u64);
        let newest = |rows: &[(u64, Vec<u8>)]| rows.last().map(|(index, _)| *index);
        state.policy = newest(&policies).or(state.policy);
        state.manifest = newest(&manifests).or(state.manifest);
        missing.extend(leaves);
        let leaves = missing;
        state.roster = state.roster.max(Some(self.roster().version));
        let (from, origin) = (self.own.size, self.origin.clone());
        let read = |path: &str| view.log_file(&origin, path);
        let grown = grow(&read, from, &leaves)?;
        let (size, root) = (grown.size, grown.root);
        let checkpoint = Checkpoint {
            origin: origin.clone(),
            size,
            root,
        };
        (state.size, state.root) = (size, root);
        let head = checkpoint.sign(&self.keys.log);
        state.head = Some(head.clone());
        // Where nobody witnesses, nothing has to be waited for.
        self.raise(&origin, &mut state, &head, view);
        self.own = state.clone();
        let mut batch = Batch::default();
        let files = grown.files;
        batch.push(Write::Log {
            origin: origin.clone(),
            from,
            files,
            deltas,
            classes,
            policies,
            manifests,
        });
        batch.extend(body.map(Write::Body));
        batch.extend(rosters.into_iter().map(Write::Roster));
        batch.extend(rows);
        batch.push(Write::State { origin, state });
        out.push(Output::Commit(batch));
        self.propose(now);
        Ok(())
    }

    /// Logs one leaf that seals something, with the rows that go with it.
    pub(in super::super) fn log_leaf(
        &mut self,
        leaf: &Leaf,
        rows: Vec<Write>,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) -> Result<(), CommandError> {
        self.log_leaves(leaf.to_bytes().into_iter().collect(), rows, now, view, out)
    }

    /// As [`Centre::log_leaf`], for several.
    pub(in super::super) fn log_leaves(
        &mut self,
        leaves: Vec<Vec<u8>>,
        rows: Vec<Write>,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) -> Result<(), CommandError> {
        self.may_sign()?;
        self.would_be_taken(now)?;
        let extension = Extension {
            state: self.own.clone(),
            leaves,
            rows,
            ..Extension::default()
        };
        self.extend(extension, now, view, out)
    }
}
