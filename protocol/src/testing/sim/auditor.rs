//! An auditor's witness as it is reached over HTTP: one memory of each log, a cosignature for whatever continues it.

use std::collections::BTreeMap;

use hashpact_keys::{Origin, Signer, Timestamp};

use super::Sim;
use crate::Hash;
use crate::centre::JobResult;
use crate::log::{
    Checkpoint, SignedCheckpoint, check_consistency, consistency_proof, cosignature_line,
    cosignatures_from_answer,
};
use crate::testing::keys;
use crate::view::View;

/// What it cosigned last, with the note, and how it behaves.
#[derive(Default)]
pub(super) struct Auditor {
    last: BTreeMap<Origin, (u64, Hash, Vec<u8>)>,
    is_away: bool,
    lie: Option<Lie>,
}

/// What answers in the auditor's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lie {
    /// It cosigned more, it says, and shows this.
    Ahead(Vec<u8>),
    /// A cosignature under its name, by a key that is not its.
    OtherKey,
    /// Its own cosignature, dated so many seconds ago.
    Old(u64),
}

impl Sim {
    /// Takes the auditor's witness away, or brings it back.
    pub fn auditor_away(&mut self, is_away: bool) {
        self.auditor.is_away = is_away;
    }

    /// Has somebody else answer in its place.
    pub fn auditor_lies(&mut self, lie: Option<Lie>) {
        self.auditor.lie = lie;
    }

    /// Asks the auditor's witness as a node does, with the proof from the log on the asking centre's disk.
    pub(super) fn submit(
        &mut self,
        node: usize,
        witness: &str,
        head: &SignedCheckpoint,
    ) -> JobResult {
        if self.auditor.is_away || witness != keys::AUDITOR {
            return JobResult::Failed;
        }
        self.counts.submissions += 1;
        let sign = |name: &str, signer: &Signer, at: Timestamp| {
            let Ok(note) = head.signed_note() else {
                return JobResult::Failed;
            };
            let answer = cosignature_line(&note, name, signer, at);
            let answered = cosignatures_from_answer(&note, &answer);
            let answered = answered.map(|note| note.to_bytes());
            answered.map_or(JobResult::Failed, JobResult::Cosigned)
        };
        match &self.auditor.lie {
            Some(Lie::Ahead(note)) => return JobResult::Ahead(note.clone()),
            Some(Lie::OtherKey) => {
                return sign(keys::AUDITOR, &Signer::from_seed(&[77; 32]), self.now);
            }
            Some(Lie::Old(seconds)) => {
                let at = Timestamp::new(self.now.get() - seconds);
                return sign(keys::AUDITOR, &keys::auditor(), at);
            }
            None => {}
        }
        let Checkpoint { origin, size, root } = head.checkpoint();
        let memory = &self.nodes[node].memory;
        let files = |path: &str| memory.log_file(origin, path);
        let last = self.auditor.last.get(origin).cloned();
        if let Some((old, old_root, note)) = last {
            if old > *size {
                return JobResult::Ahead(note);
            }
            let held = memory.log(origin).size;
            let proof = consistency_proof(&files, held, old, *size).unwrap_or_default();
            let proof = if old == *size { Vec::new() } else { proof };
            if check_consistency(&proof, (old, &old_root), (*size, root)).is_err() {
                return JobResult::Failed;
            }
        }
        let last = (*size, *root, head.note().to_vec());
        self.auditor.last.insert(origin.clone(), last);
        sign(keys::AUDITOR, &keys::auditor(), self.now)
    }
}
