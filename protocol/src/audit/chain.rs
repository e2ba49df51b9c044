//! The rosters of a network, from the pinned first one on. Why: every key of an audit comes from here, also keys that have
//! left since. Spec: `docs/protocol.md`, "Chain". In scope: opening them in order. Out of scope: one roster's rules (`keys`).

use std::collections::BTreeMap;

use hashpact_keys::roster::CentreEntry;
use hashpact_keys::{NetworkId, Origin, Roster, RosterVersion, SignedRoster, Timestamp};

use super::finding::{Finding, FindingKind};
use super::place::Place;

/// Rosters 1 to n, each vouched for by the one before it.
#[derive(Clone, Debug)]
pub struct Chain {
    /// Never empty; version v stands at v - 1.
    rosters: Vec<SignedRoster>,
}

impl Chain {
    /// Opens roster files, version 1 first. Ends before the first that is refused, which becomes a finding, as does a last
    /// one that has expired. None if the first is not the pinned one.
    pub fn open(
        pin: &NetworkId,
        versions: impl IntoIterator<Item = Vec<u8>>,
        now: Timestamp,
        mut found: impl FnMut(Finding),
    ) -> Option<Self> {
        let mut rosters: Vec<SignedRoster> = Vec::new();
        for bytes in versions {
            let opened = match rosters.last() {
                None => SignedRoster::open_first(&bytes, pin),
                Some(last) => last.succeed(&bytes),
            };
            match opened {
                Ok(roster) => rosters.push(roster),
                Err(error) => {
                    let version = RosterVersion::new(rosters.len() as u64 + 1);
                    found(Finding::roster(version, FindingKind::Roster(error)));
                    break;
                }
            }
        }
        let newest = rosters.last()?.roster();
        if newest.is_expired(now) {
            let expires_at = newest.expires_at;
            let kind = FindingKind::RosterExpired { expires_at };
            found(Finding::roster(newest.version, kind));
        }
        Some(Self { rosters })
    }

    /// All of them, oldest first.
    #[must_use]
    pub fn rosters(&self) -> &[SignedRoster] {
        &self.rosters
    }

    /// The newest.
    ///
    /// # Panics
    /// Never: a chain has a first roster.
    #[must_use]
    #[expect(clippy::expect_used, reason = "`open` builds no empty chain")]
    pub fn newest(&self) -> &SignedRoster {
        self.rosters.last().expect("a chain has a first roster")
    }

    /// One version.
    #[must_use]
    pub fn get(&self, version: RosterVersion) -> Option<&SignedRoster> {
        let at = version.get().checked_sub(1)?;
        self.rosters.get(usize::try_from(at).ok()?)
    }

    /// This version and the later ones.
    pub(super) fn since(&self, version: RosterVersion) -> impl Iterator<Item = &Roster> {
        self.all().filter(move |roster| roster.version >= version)
    }

    fn all(&self) -> impl Iterator<Item = &Roster> {
        self.rosters.iter().map(SignedRoster::roster)
    }

    /// The first version that names this log.
    pub(super) fn first_with(&self, origin: &Origin) -> Option<RosterVersion> {
        let named = |roster: &&Roster| roster.by_origin(origin).is_some();
        self.all().find(named).map(|roster| roster.version)
    }

    /// The last version that names this log.
    pub(super) fn last_with(&self, origin: &Origin) -> Option<RosterVersion> {
        let named = |roster: &&Roster| roster.by_origin(origin).is_some();
        self.all().filter(named).last().map(|roster| roster.version)
    }

    /// Whether only older versions than the newest name this log: its centre left, or writes a later line.
    #[must_use]
    pub fn is_closed(&self, origin: &Origin) -> bool {
        self.newest().roster().by_origin(origin).is_none()
    }

    /// The newest line that the same centre had before this log's, if an older version names one.
    pub(super) fn line_before(&self, origin: &Origin) -> Option<Origin> {
        let first = self.first_with(origin)?;
        let older = self.all().filter(|roster| roster.version < first);
        let lines = older.flat_map(|roster| roster.centres.iter().map(|centre| &centre.origin));
        let before = lines.filter(|line| precedes(line, origin));
        before.max_by_key(|line| line.epoch()).cloned()
    }

    /// The logs that any version names, with their centres as the newest of these has them.
    #[must_use]
    pub fn logs(&self) -> BTreeMap<Origin, CentreEntry> {
        let centres = self.all().flat_map(|roster| &roster.centres);
        let by_origin = centres.map(|centre| (centre.origin.clone(), centre.clone()));
        by_origin.collect()
    }
}

/// Whether a log is of the same centre as another and of a lower epoch.
pub(super) fn precedes(line: &Origin, later: &Origin) -> bool {
    line.centre() == later.centre() && line.epoch() < later.epoch()
}

impl Finding {
    fn roster(version: RosterVersion, what: FindingKind) -> Self {
        Self {
            log: None,
            place: Place::Roster(version),
            what,
        }
    }
}
