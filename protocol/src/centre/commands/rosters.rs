//! Rosters that come into force here: which of them the log names, and with which it begins.

use hashpact_keys::{Origin, RosterVersion, SignedRoster, Signer, Timestamp};
use sha2::{Digest as _, Sha256};

use super::super::{Centre, Event, Gathering, Outcome, Output};
use super::{CommandError, Extension};
use crate::Hash;
use crate::log::{Leaf, root_at};
use crate::view::{Batch, LogState, View, Write};

impl Centre {
    /// Begins the log of a new centre: its first leaves say which rosters it believes.
    pub(super) fn begin(
        &mut self,
        chain: &[Vec<u8>],
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) -> Result<Outcome, CommandError> {
        // Nothing of it is shown to anybody before others said that they know no longer one.
        let rosters = self.first_rosters(chain)?;
        self.put_in_force(rosters, now, view, out)
    }

    /// Stands where a log that was lost is fetched back: which leaves it began with, the others know.
    pub(super) fn regain_lost(
        &mut self,
        chain: &[Vec<u8>],
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) -> Result<Outcome, CommandError> {
        let rosters = self.first_rosters(chain)?;
        let done = self.put_in_force(rosters, now, view, out)?;
        // What it cosigned of others' logs is lost as well.
        self.retire(view, out);
        Ok(done)
    }

    /// The rosters that a store without any begins with.
    fn first_rosters(&self, chain: &[Vec<u8>]) -> Result<Vec<SignedRoster>, CommandError> {
        if self.own.size > 0 || self.is_behind() {
            return Err(CommandError::Begun);
        }
        let (first, later) = chain.split_first().ok_or(CommandError::OwnKeys)?;
        // Whoever started this centre compared the first roster with its pin.
        let mut rosters = vec![SignedRoster::from_store(first)?];
        for bytes in later {
            let next = rosters.last().map(|last| last.succeed(bytes)).transpose()?;
            rosters.extend(next);
        }
        Ok(rosters)
    }

    pub(super) fn apply_roster(
        &mut self,
        bytes: &[u8],
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) -> Result<Outcome, CommandError> {
        let next = self.roster.succeed(bytes)?;
        self.put_in_force(vec![next], now, view, out)
    }

    /// Logs and stores rosters, of which the last one comes into force.
    fn put_in_force(
        &mut self,
        rosters: Vec<SignedRoster>,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) -> Result<Outcome, CommandError> {
        let last = rosters.last().cloned().ok_or(CommandError::OwnKeys)?;
        let entry = last
            .roster()
            .centre(&self.id)
            .ok_or(CommandError::OwnKeys)?;
        // A forked log is closed, and a roster that gives the centre a later line begins the next.
        let resumes = entry.origin != self.origin && self.may_resume(&entry.origin);
        if entry.origin != self.origin && !resumes {
            return Err(CommandError::OwnKeys);
        }
        let (origin, size) = (
            entry.origin.clone(),
            if resumes { 0 } else { self.own.size },
        );
        let holds = |signer: &Signer| {
            let public = signer.public();
            let revoked = last.roster().revoked_from(&public.key_id(), &origin);
            revoked.is_none_or(|cut| size < cut)
                && entry
                    .keys
                    .iter()
                    .any(|key| key.key == public && key.is_valid_at(now))
        };
        let since = self.own.issued_at;
        if now < since {
            return Err(CommandError::ClockBehind { now, since });
        }
        if !holds(&self.keys.delta) || !holds(&self.keys.log) {
            return Err(CommandError::OwnKeys);
        }
        if resumes {
            self.stand_at(origin, view);
        }
        let version = last.roster().version;
        // Who witnesses the new head, the new roster says.
        let before = std::mem::replace(&mut self.roster, last);
        self.reset_mirrors(now, view);
        self.evidence_is_stale();
        // A roster counts at once, also where nothing may be signed: without it a log that was lost could not be had back.
        // It is logged once it is sure that nothing of the log is missing here, and so is the beginning of a log.
        if self.may_sign().is_ok() {
            let extension = Extension {
                state: self.own.clone(),
                rosters,
                ..Extension::default()
            };
            if let Err(error) = self.extend(extension, now, view, out) {
                self.roster = before;
                self.reset_mirrors(now, view);
                return Err(error);
            }
        } else {
            let mut batch = Batch::default();
            batch.extend(rosters.into_iter().map(Write::Roster));
            out.push(Output::Commit(batch));
        }
        // Its witnesses may be others.
        self.gathering.submissions.clear();
        out.push(Output::RosterChanged);
        let version = version.get();
        out.push(Output::Emit(Event::RosterApplied { version }));
        Ok(Outcome::RosterApplied)
    }

    /// Logs the rosters that came into force while nothing could be signed; of a new log they are the beginning.
    pub(in super::super) fn log_rosters(
        &mut self,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        let version = self.roster().version;
        let logged = self.own.roster.is_none_or(|logged| logged >= version);
        if logged || self.may_sign().is_err() || view.roster(version).is_none() {
            return;
        }
        let extension = Extension {
            state: self.own.clone(),
            ..Extension::default()
        };
        // A store that cannot be read fails at its next commit.
        let _ = self.extend(extension, now, view, out);
    }

    /// The leaves of rosters that are in force and that the log does not name yet: they come before anything that is signed
    /// under them. A log that takes the place of a forked one says so first.
    pub(super) fn unlogged(
        &self,
        state: &LogState,
        given: &[SignedRoster],
        view: &impl View,
    ) -> Result<Vec<Vec<u8>>, CommandError> {
        let version = self.roster().version;
        let mut leaves: Vec<Vec<u8>> = Vec::new();
        let mut logged = state.roster;
        if self.own.size == 0
            && let Some((leaf, before)) = self.resumed(view)?
        {
            leaves.extend(leaf.to_bytes());
            logged = before;
        }
        let Some(logged) = logged.filter(|logged| *logged < version) else {
            return Ok(leaves);
        };
        let hash_of = |of: RosterVersion| {
            let given = given.iter().find(|roster| roster.roster().version == of);
            given.map(SignedRoster::hash).or_else(|| stored(of, view))
        };
        let named = (logged.get() + 1..=version.get()).map(RosterVersion::new);
        leaves.extend(roster_leaves(named, hash_of)?);
        Ok(leaves)
    }

    /// Whether a new origin line takes the place of ours: ours is forked, and the new one is the same centre's next.
    fn may_resume(&self, next: &Origin) -> bool {
        let same = next.centre() == self.origin.centre();
        self.own.frozen.is_some() && same && next.epoch() > self.origin.epoch()
    }

    /// Leaves the forked log as it is and stands at the beginning of the next. Nothing of that is signed before others said
    /// that they know no more of it either.
    fn stand_at(&mut self, next: Origin, view: &impl View) {
        self.origin = next;
        self.own = view.log(&self.origin);
        self.gathering = Gathering::default();
        self.reports.clear();
        self.confirmed = false;
        self.load_classes(view);
    }

    /// What the first leaf of our log says if it takes the place of a forked one, and the newest roster that that one names.
    fn resumed(
        &self,
        view: &impl View,
    ) -> Result<Option<(Leaf, Option<RosterVersion>)>, CommandError> {
        let Some(origin) = self.origin.previous_epoch() else {
            return Ok(None);
        };
        let old = view.log(&origin);
        let Some(size) = old.frozen else {
            return Ok(None);
        };
        let files = |path: &str| view.log_file(&origin, path);
        let root = root_at(&files, old.size, size).map_err(|_| CommandError::Store)?;
        let proof = view.fork(&origin).ok_or(CommandError::Store)?;
        let leaf = Leaf::Resumed {
            origin,
            size,
            root,
            proof: Sha256::digest(&proof).into(),
        };
        Ok(Some((leaf, old.roster)))
    }
}

/// The hash of a roster that was in force.
fn stored(version: RosterVersion, view: &impl View) -> Option<Hash> {
    SignedRoster::hash_from_store(&view.roster(version)?).ok()
}

/// The leaves that name these rosters.
fn roster_leaves(
    named: impl Iterator<Item = RosterVersion>,
    hash_of: impl Fn(RosterVersion) -> Option<Hash>,
) -> Result<Vec<Vec<u8>>, CommandError> {
    let leaf = |version| {
        let hash = hash_of(version)?;
        Leaf::Roster { version, hash }.to_bytes()
    };
    let leaves: Option<_> = named.map(leaf).collect();
    leaves.ok_or(CommandError::Store)
}
