//! What must hold after every step, checked against a reference that knows nothing of the core: what each operator asked
//! for, and what each centre ever signed.

use std::collections::BTreeMap;

use hashpact_keys::{CentreId, Origin};

use super::{Sim, Violation};
use crate::Hash;
use crate::centre::Event;
use crate::delta::{Retraction, Seq};
use crate::limits;
use crate::log::{Checkpoint, SignedCheckpoint, root_at};
use crate::record::{EntryId, Revision};
use crate::verify::{LeafFault, SuffixError};
use crate::view::{LogState, View};
use crate::wire::Message;

/// One delta as its operator asked for it.
struct Asked {
    puts: Vec<(EntryId, Revision)>,
    retractions: Vec<Retraction>,
}

/// What the network knows that no centre tells it.
#[derive(Default)]
pub(super) struct Audit {
    /// Deltas per log in the order in which they became durable.
    asked: BTreeMap<Origin, Vec<Asked>>,
    /// The delta under way.
    attempt: BTreeMap<Origin, Asked>,
    /// Every head that its own centre ever sent.
    signed: BTreeMap<Origin, BTreeMap<u64, Hash>>,
    /// Each log as its own centre last held it.
    last: BTreeMap<Origin, (u64, Hash)>,
}

impl Audit {
    pub(super) fn attempt(
        &mut self,
        origin: &Origin,
        puts: Vec<(EntryId, Revision)>,
        retractions: Vec<Retraction>,
    ) {
        self.attempt
            .insert(origin.clone(), Asked { puts, retractions });
    }

    /// Entries that are alive after these many bodies and these many retraction lists.
    fn live(&self, origin: &Origin, state: &LogState) -> BTreeMap<EntryId, Revision> {
        let mut ended: BTreeMap<EntryId, Revision> = BTreeMap::new();
        let mut live = BTreeMap::new();
        let Some(asked) = self.asked.get(origin) else {
            return live;
        };
        for (seq, delta) in (0..).map(Seq).zip(asked) {
            if seq < state.retracted {
                let list = delta.retractions.iter();
                ended.extend(list.map(|retraction| (retraction.entry, retraction.revision)));
            }
            if seq < state.applied {
                live.extend(delta.puts.iter().copied());
            }
        }
        live.retain(|entry, revision| ended.get(entry).is_none_or(|ended| ended < revision));
        live
    }
}

impl Sim {
    /// Nothing is sent that is not durable at the sender, and nothing that the receiver must refuse.
    pub(super) fn check_message(
        &mut self,
        n: usize,
        peer: &CentreId,
        message: &Message,
        bytes: &[u8],
    ) -> Result<(), Violation> {
        let broken = |rule| Violation::Rule { centre: n, rule };
        let Message::Heads { notes, .. } = message else {
            return Ok(());
        };
        if bytes.len() > limits::FRAME_BYTES || notes.len() > limits::HEADS_PER_MESSAGE {
            return Err(broken("sent a message that its peers must refuse"));
        }
        for note in notes {
            let head = SignedCheckpoint::from_store(note);
            let head = head.map_err(|_| broken("sent a note that is no checkpoint"))?;
            let Checkpoint { origin, size, root } = head.checkpoint().clone();
            let memory = &self.nodes[n].memory;
            let held = memory.log(&origin).size;
            let files = |path: &str| memory.log_file(&origin, path);
            // Its own log is told to a centre even where the leaves have not come yet: it may have lost them.
            if origin.centre() == peer {
                continue;
            }
            if size > held || root_at(&files, held, size) != Ok(root) {
                return Err(broken("sent a head whose leaves are not on its disk"));
            }
            if origin == self.nodes[n].setup.origin {
                let heads = self.audit.signed.entry(origin).or_default();
                if *heads.entry(size).or_insert(root) != root {
                    return Err(broken("signed two roots for one size"));
                }
            }
        }
        Ok(())
    }

    /// Where nobody is evil, nobody is accused. A roster that has not reached everybody is no fault.
    pub(super) fn check_event(&self, n: usize, event: &Event) -> Result<(), Violation> {
        let accuses = match event {
            Event::LogGrew { .. }
            | Event::DeltaApplied { .. }
            | Event::RetractionsApplied { .. }
            | Event::Closed { .. }
            | Event::Opened
            | Event::Witnessed { .. }
            | Event::OwnLogRegained { .. }
            | Event::KeysRetired
            | Event::PolicyLogged { .. }
            | Event::Recalled { .. }
            | Event::RecallAcknowledged { .. }
            | Event::RecallObeyed { .. }
            | Event::TransferLogged { .. }
            | Event::DeltaWidened { .. }
            | Event::MemberAdmitted { .. }
            | Event::MemberRemoved { .. }
            | Event::MatchEpochLogged { .. }
            | Event::MatchGroupsLeftOut { .. }
            | Event::MatchOpened { .. }
            | Event::MatchRefused { .. }
            | Event::EvidenceTaken { .. }
            | Event::EvidenceRefused { .. }
            | Event::OrderEnded { .. }
            | Event::SharersFlagged { .. }
            | Event::RetractionsAcknowledged { .. }
            | Event::RosterApplied { .. } => false,
            Event::LeafRefused {
                error: SuffixError::Leaf { source, .. },
                ..
            } => !matches!(source, LeafFault::RosterAhead { .. }),
            Event::Rollback { .. }
            | Event::Fork { .. }
            | Event::Frozen { .. }
            | Event::OwnLogBehind { .. }
            | Event::LeafRefused { .. }
            | Event::SuffixRefused { .. }
            | Event::BodyRefused { .. }
            | Event::TransferRefused { .. }
            | Event::SurplusWithheld { .. }
            | Event::RecallRefused { .. } => true,
        };
        if accuses && !self.faults_expected {
            return Err(Violation::HonestAccused {
                centre: n,
                event: Box::new(event.clone()),
            });
        }
        Ok(())
    }

    /// Everything that a centre's disk must be, compared with what its origins did.
    pub(super) fn check_node(&mut self, n: usize) -> Result<(), Violation> {
        if !self.nodes[n].is_honest {
            return Ok(());
        }
        self.check_own(n)?;
        let others = (0..self.nodes.len()).filter(|owner| *owner != n);
        let mut honest = others.filter(|owner| self.nodes[*owner].is_honest);
        honest.try_for_each(|owner| self.check_mirror(n, owner))
    }

    /// A centre's own log never shrinks or forks, and holds what its operator asked for.
    fn check_own(&mut self, n: usize) -> Result<(), Violation> {
        let broken = |rule| Violation::Rule { centre: n, rule };
        let origin = self.nodes[n].setup.origin.clone();
        let memory = &self.nodes[n].memory;
        let state = memory.log(&origin);
        let files = |path: &str| memory.log_file(&origin, path);
        let before = self
            .audit
            .last
            .insert(origin.clone(), (state.size, state.root));
        if let Some((size, root)) = before.filter(|before| *before != (state.size, state.root))
            && (size > state.size || root_at(&files, state.size, size) != Ok(root))
        {
            return Err(broken("rewrote its own log"));
        }
        let asked = self.audit.asked.entry(origin.clone()).or_default();
        if state.next_seq.0 == asked.len() as u64 + 1 {
            let attempt = self.audit.attempt.remove(&origin);
            asked.push(attempt.ok_or_else(|| broken("logged a delta that nobody asked for"))?);
        }
        if state.next_seq.0 != asked.len() as u64 {
            return Err(broken("logged deltas that nobody asked for"));
        }
        if memory.live(&origin) != self.audit.live(&origin, &state) {
            return Err(broken("does not hold what its operator asked for"));
        }
        Ok(())
    }

    /// A mirrored log is a prefix of its origin's, and every entry held was put by the origin and not retracted.
    fn check_mirror(&self, n: usize, owner: usize) -> Result<(), Violation> {
        let broken = |rule| Violation::Rule { centre: n, rule };
        let origin = &self.nodes[owner].setup.origin;
        let (mirror, truth) = (&self.nodes[n].memory, &self.nodes[owner].memory);
        let (held, whole) = (mirror.log(origin), truth.log(origin));
        let files = |path: &str| truth.log_file(origin, path);
        if held.size > whole.size || root_at(&files, whole.size, held.size) != Ok(held.root) {
            return Err(broken("mirrors what its origin does not hold"));
        }
        if held.applied > held.retracted || held.retracted > held.next_seq {
            return Err(broken("applied what the log does not name"));
        }
        if !self.agrees(&mirror.live(origin), &self.audit.live(origin, &held)) {
            return Err(broken("does not hold what the deltas that it applied make"));
        }
        Ok(())
    }

    /// Whether what a centre holds is what it ought to; where policies speak, it may be less, and must not be anything else.
    pub(super) fn agrees(
        &self,
        held: &BTreeMap<EntryId, Revision>,
        truth: &BTreeMap<EntryId, Revision>,
    ) -> bool {
        let mut rows = held.iter();
        let is_part = rows.all(|(entry, revision)| truth.get(entry) == Some(revision));
        is_part && (self.is_ruled || held.len() == truth.len())
    }

    /// Each centre knows who is connected to it, and nobody else.
    pub(super) fn check_connections(&self) -> Result<(), Violation> {
        for (n, node) in self.nodes.iter().enumerate() {
            let Some(centre) = &node.centre else { continue };
            let mut others = (0..self.nodes.len()).filter(|peer| *peer != n);
            if others.any(|peer| centre.is_up(&self.nodes[peer].setup.id) != self.is_up(n, peer)) {
                let rule = "is wrong about who is connected";
                return Err(Violation::Rule { centre: n, rule });
            }
        }
        Ok(())
    }

    /// Every head that was ever signed is one of one history.
    pub(super) fn check_history(&self) -> Result<(), Violation> {
        for (n, node) in self
            .nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| node.is_honest)
        {
            let origin = &node.setup.origin;
            let files = |path: &str| node.memory.log_file(origin, path);
            let size = node.memory.log(origin).size;
            for (at, root) in self.audit.signed.get(origin).into_iter().flatten() {
                if *at > size || root_at(&files, size, *at) != Ok(*root) {
                    let rule = "signed a head that its log does not continue";
                    return Err(Violation::Rule { centre: n, rule });
                }
            }
        }
        Ok(())
    }
}
