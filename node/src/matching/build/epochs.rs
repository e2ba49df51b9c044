//! How epochs begin and end: when the next one is due, and that the keys of one that is over are destroyed.
//!
//! In scope: keys and what is served how long. Out of scope: how points pass over to new keys (`turn`).

use hashpact_keys::Timestamp;
use hashpact_protocol::centre::MatchGroups;
use hashpact_protocol::limits;
use hashpact_protocol::psi::{Epoch, Manifest, TagBits};

use super::super::keyring::{EpochSeed, KeyringError};
use super::super::state::{ArtifactState, EpochState, GroupState};
use super::{BuildError, Builder, remove_folder};
use crate::clock;

impl Builder {
    /// Seeds of the epochs in force; one that cannot be opened ends its epoch.
    pub(super) fn load_keys(&mut self) -> Result<(), BuildError> {
        let mut kept = Vec::new();
        for epoch in std::mem::take(&mut self.state.epochs) {
            match self.tools.keyring.read(epoch.epoch) {
                Ok(Some(seed)) => {
                    self.tools.evaluator.add_epoch(epoch.epoch, seed);
                    kept.push(epoch);
                }
                Ok(None) | Err(KeyringError::Damaged { .. }) => {
                    tracing::warn!(
                        epoch = epoch.epoch.0,
                        "the match key is lost: the epoch ends"
                    );
                }
                Err(error @ KeyringError::Io(_)) => return Err(error.into()),
            }
        }
        if let Some(newest) = kept.last_mut() {
            // Nothing comes after it any more.
            newest.served_until = None;
        }
        self.state.epochs = kept;
        Ok(())
    }

    /// Whether the next epoch is to begin.
    pub(super) fn is_epoch_due(&self, groups: &MatchGroups) -> bool {
        let Some(newest) = self.state.newest() else {
            return true;
        };
        // With tags of too few bits nothing of it could be logged.
        if TagBits::of(newest.items() / 4) > newest.bits {
            return true;
        }
        let Some((_, logged)) = self.newest_manifest() else {
            return false;
        };
        if logged.epoch > newest.epoch || is_ahead(&logged, newest) {
            tracing::warn!("the match data is older than the log: a new epoch begins");
            return true;
        }
        // One that began after the newest manifest serves every wish that is as old as that.
        if logged.epoch != newest.epoch {
            return false;
        }
        let is_wished = self.tools.shared.take_wish();
        let spent = self.tools.shared.evaluations(newest.epoch) >= limits::MATCH_EVALUATIONS;
        let is_over = newest.until <= clock::now();
        is_wished || groups.renew || spent || is_over
    }

    /// A new epoch, whose artifacts take over the points of the one before.
    pub(super) fn begin_epoch(&mut self) -> Result<(), BuildError> {
        let now = clock::now();
        let logged = self.newest_manifest().map(|(_, manifest)| manifest.epoch);
        let last = self.state.newest().map(|newest| newest.epoch);
        let number = logged.max(last).map_or(0, |last| last.0 + 1);
        while self.state.epochs.len() > 1 {
            self.end_oldest()?;
        }
        let seed = EpochSeed::random()?;
        self.tools.keyring.write(Epoch(number), &seed)?;
        let mut groups = Vec::new();
        let mut items = 0;
        if let Some(last) = self.state.newest_mut() {
            last.served_until = Some(later(now, limits::MATCH_OVERLAP_S));
            items = last.items();
            groups = last.active().map(turned_later).collect();
        }
        self.state.epochs.push(EpochState {
            epoch: Epoch(number),
            from: now,
            until: later(now, limits::MATCH_EPOCH_S),
            served_until: None,
            bits: TagBits::of(items),
            groups,
        });
        self.write()?;
        self.tools.evaluator.add_epoch(Epoch(number), seed);
        tracing::info!(epoch = number, "a match epoch begins");
        Ok(())
    }

    /// Ends epochs whose time is over, whether another one has begun or not.
    pub(super) fn expire(&mut self) -> Result<(), BuildError> {
        let now = clock::now();
        while self.state.epochs.first().is_some_and(|it| is_over(it, now)) {
            self.end_oldest()?;
        }
        Ok(())
    }

    /// Destroys keys and points of the oldest epoch. What a crash leaves of them is destroyed at the next start.
    fn end_oldest(&mut self) -> Result<(), BuildError> {
        let epoch = self.state.epochs.remove(0).epoch;
        self.write()?;
        self.show();
        self.tools.evaluator.drop_epoch(epoch);
        self.destroy(epoch)?;
        tracing::info!(
            epoch = epoch.0,
            "a match epoch has ended: its keys are destroyed"
        );
        Ok(())
    }

    /// Destroys keys, counts and points of an epoch.
    pub(super) fn destroy(&self, epoch: Epoch) -> Result<(), BuildError> {
        self.tools.keyring.destroy(epoch)?;
        self.tools.shared.forget_evaluations(epoch)?;
        remove_folder(&self.tools.folder.epoch(epoch))?;
        Ok(())
    }
}

/// The same group in the next epoch, whose points are still to be turned.
fn turned_later(group: &GroupState) -> GroupState {
    let artifacts = group.artifacts.iter().map(|artifact| ArtifactState {
        turning: true,
        ..ArtifactState::new(artifact.kind, artifact.mode)
    });
    GroupState {
        artifacts: artifacts.collect(),
        ..group.clone()
    }
}

/// Whether a logged manifest of an epoch has segments that its state does not know: the state is an old one.
fn is_ahead(logged: &Manifest, epoch: &EpochState) -> bool {
    logged.epoch == epoch.epoch
        && logged.groups.iter().any(|row| {
            let group = epoch.groups.iter().find(|it| it.id == row.group);
            row.artifacts.iter().any(|row| {
                let artifacts = group.iter().flat_map(|group| &group.artifacts);
                let mut same = artifacts.filter(|it| (it.kind, it.mode) == (row.kind, row.mode));
                let next = same.next().map_or(0, |it| it.next_segment);
                row.segments.iter().any(|segment| segment.number >= next)
            })
        })
}

/// Whether an epoch is served no more: its overlap with the next one has passed, or would have if there were one.
fn is_over(epoch: &EpochState, now: Timestamp) -> bool {
    let last = later(epoch.until, limits::MATCH_OVERLAP_S);
    epoch.served_until.map_or(last, |until| until.min(last)) <= now
}

fn later(now: Timestamp, seconds: u64) -> Timestamp {
    Timestamp::new(now.get().saturating_add(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_end_by_the_clock_although_no_new_epoch_could_begin() {
        let mut epoch = EpochState {
            epoch: Epoch(0),
            from: Timestamp::new(1_000),
            until: later(Timestamp::new(1_000), limits::MATCH_EPOCH_S),
            served_until: None,
            bits: TagBits::of(0),
            groups: Vec::new(),
        };
        let last = later(epoch.until, limits::MATCH_OVERLAP_S);
        let before = Timestamp::new(last.get() - 1);
        assert!(!is_over(&epoch, before) && is_over(&epoch, last));
        epoch.served_until = Some(Timestamp::new(2_000));
        assert!(!is_over(&epoch, Timestamp::new(1_999)) && is_over(&epoch, Timestamp::new(2_000)));
        epoch.served_until = Some(later(last, 1));
        assert!(is_over(&epoch, last));
    }
}
