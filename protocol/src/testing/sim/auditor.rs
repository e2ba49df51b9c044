//! An auditor's witness as it is reached over HTTP: one memory of each log, a cosignature for whatever continues it.

use std::collections::BTreeMap;

use hashpact_keys::Origin;

use super::Sim;
use crate::Hash;
use crate::centre::JobResult;
use crate::log::{Checkpoint, SignedCheckpoint, check_consistency, consistency_proof};
use crate::testing::keys;
use crate::view::View;

/// What it cosigned last, and whether it can be reached.
#[derive(Default)]
pub(super) struct Auditor {
    last: BTreeMap<Origin, (u64, Hash)>,
    is_away: bool,
}

impl Sim {
    /// Takes the auditor's witness away, or brings it back.
    pub fn auditor_away(&mut self, is_away: bool) {
        self.auditor.is_away = is_away;
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
        let Checkpoint { origin, size, root } = head.checkpoint();
        let memory = &self.nodes[node].memory;
        let files = |path: &str| memory.log_file(origin, path);
        let last = self.auditor.last.get(origin).copied();
        if let Some((old, old_root)) = last {
            if old > *size {
                return JobResult::Ahead(old);
            }
            let held = memory.log(origin).size;
            let proof = consistency_proof(&files, held, old, *size).unwrap_or_default();
            let proof = if old == *size { Vec::new() } else { proof };
            if check_consistency(&proof, (old, &old_root), (*size, root)).is_err() {
                return JobResult::Failed;
            }
        }
        self.auditor.last.insert(origin.clone(), (*size, *root));
        let Ok(mut note) = head.signed_note() else {
            return JobResult::Failed;
        };
        match note.cosign(keys::AUDITOR, &keys::auditor(), self.now) {
            Ok(()) => JobResult::Cosigned(note.to_bytes()),
            Err(_) => JobResult::Failed,
        }
    }
}
