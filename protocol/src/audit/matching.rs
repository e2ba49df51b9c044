//! Whether the match manifests of one log agree with each other: a number means one thing, and a key has one life.
//!
//! Why: a manifest alone cannot say that a group was another set of classes before, or that a key was changed within its
//! epoch. In scope: manifests that were read, in order. Out of scope: each for itself (`verify`).

use std::collections::BTreeMap;

use super::finding::{FindingKind, MatchFault};
use crate::b3::Hash;
use crate::labels::ClassId;
use crate::policy::MatchMode;
use crate::psi::{Epoch, GroupId, Manifest, SegmentRow, TagBits};

/// Where an artifact stands within an epoch.
type Place = (GroupId, u8, MatchMode);

/// What earlier manifests said.
#[derive(Default)]
pub(super) struct Matching {
    groups: BTreeMap<GroupId, Vec<ClassId>>,
    epoch: Option<(Epoch, TagBits)>,
    keys: BTreeMap<Place, [u8; 32]>,
    /// Of this epoch, by place and number: what a later manifest must repeat or leave out.
    segments: BTreeMap<(Place, u32), Hash>,
    /// Keys of earlier epochs.
    spent: BTreeMap<[u8; 32], Epoch>,
}

impl Matching {
    /// What contradicts an earlier manifest; then the newest one holds.
    pub(super) fn read(&mut self, manifest: &Manifest) -> Vec<FindingKind> {
        let mut faults = Vec::new();
        match self.epoch {
            Some((epoch, bits)) if epoch == manifest.epoch => {
                let changed = bits != manifest.bits;
                faults.extend(changed.then_some(MatchFault::TagBits { epoch }));
            }
            Some((epoch, _)) => {
                let keys = std::mem::take(&mut self.keys).into_values();
                self.spent.extend(keys.map(|key| (key, epoch)));
                self.segments.clear();
            }
            None => {}
        }
        self.epoch = Some((manifest.epoch, manifest.bits));
        for row in &manifest.groups {
            let group = row.group;
            match self.groups.get(&group) {
                Some(classes) if *classes != row.classes => {
                    faults.push(MatchFault::Group { group });
                }
                Some(_) => {}
                None => drop(self.groups.insert(group, row.classes.clone())),
            }
            for artifact in &row.artifacts {
                let place = (group, artifact.kind, artifact.mode);
                let before = self.keys.insert(place, artifact.key);
                let changed = before.is_some_and(|before| before != artifact.key);
                if changed || self.spent.contains_key(&artifact.key) {
                    faults.push(MatchFault::Key { group });
                }
                let segments = artifact.segments.iter();
                faults.extend(segments.filter_map(|row| self.segment(place, row)));
            }
        }
        faults.into_iter().map(FindingKind::from).collect()
    }

    fn segment(&mut self, place: Place, row: &SegmentRow) -> Option<MatchFault> {
        let before = self.segments.insert((place, row.number), row.root)?;
        (before != row.root).then_some(MatchFault::Segment {
            group: place.0,
            number: row.number,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::psi::{Artifact, Group};
    use crate::testing::keys::START;
    use hashpact_keys::{NetworkId, Timestamp};

    fn manifest(epoch: u64, key: u8) -> Manifest {
        let segment = SegmentRow {
            number: 0,
            added: 1,
            removed: 0,
            bytes: 16,
            chunks: 1,
            root: [1; 32],
            label_root: None,
        };
        let artifact = Artifact {
            kind: 3,
            mode: MatchMode::Items,
            key: [key; 32],
            items: 1,
            segments: vec![segment],
        };
        let group = Group {
            group: GroupId(0),
            classes: vec![ClassId(1)],
            artifacts: vec![artifact],
        };
        Manifest {
            network: NetworkId::new([1; 32]),
            origin: "eu.example/eu/1".parse().unwrap(),
            number: 0,
            epoch: Epoch(epoch),
            log_size: 3,
            issued_at: START,
            from: START,
            until: Timestamp::new(START.get() + 1),
            bits: TagBits::of(1),
            groups: vec![group],
        }
    }

    fn after(change: impl Fn(&mut Manifest)) -> Vec<FindingKind> {
        let mut matching = Matching::default();
        assert_eq!(matching.read(&manifest(0, 1)), []);
        let mut next = manifest(0, 1);
        change(&mut next);
        matching.read(&next)
    }

    #[test]
    fn what_a_later_manifest_repeats_is_the_same() {
        let group = GroupId(0);
        assert_eq!(after(|_| ()), []);
        let classes = after(|m| m.groups[0].classes = vec![ClassId(2)]);
        assert_eq!(classes, [MatchFault::Group { group }.into()]);
        let key = after(|m| m.groups[0].artifacts[0].key = [2; 32]);
        assert_eq!(key, [MatchFault::Key { group }.into()]);
        let root = after(|m| m.groups[0].artifacts[0].segments[0].root = [2; 32]);
        assert_eq!(root, [MatchFault::Segment { group, number: 0 }.into()]);
        let bits = after(|m| m.bits = TagBits::of(1 << 30));
        assert_eq!(bits, [MatchFault::TagBits { epoch: Epoch(0) }.into()]);
    }

    #[test]
    fn next_epoch_has_other_keys() {
        let group = GroupId(0);
        let mut matching = Matching::default();
        assert_eq!(matching.read(&manifest(0, 1)), []);
        let same = matching.read(&manifest(1, 1));
        assert_eq!(same, [MatchFault::Key { group }.into()]);
        assert_eq!(matching.read(&manifest(2, 2)), []);
    }
}
