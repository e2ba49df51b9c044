//! How this node asks other centres to match: the way to them, what is kept of them, and one check at a time.
//!
//! In scope: what a check needs of the running node. Out of scope: the check (`matching::check`).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use hashpact_keys::{CentreId, Roster};

use super::Directory;
use crate::control::matching::PeerOpener;
use crate::matching::check::Caches;
use crate::net::Net;

/// The way to other centres.
pub(crate) struct Reach {
    /// Once it is up.
    net: OnceLock<Net>,
    directory: Directory,
    own: CentreId,
    /// What is kept of other centres between two checks.
    pub(crate) caches: Caches,
    busy: AtomicBool,
}

/// The one place for a check; given back when dropped.
pub(crate) struct MatchPlace<'a>(&'a AtomicBool);

impl Drop for MatchPlace<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Reach {
    pub(super) fn new(directory: Directory, own: CentreId, caches: Caches) -> Self {
        Self {
            net: OnceLock::new(),
            directory,
            own,
            caches,
            busy: AtomicBool::new(false),
        }
    }

    /// The network is up.
    pub(super) fn up(&self, net: &Net) {
        // There is one network for the life of a node.
        let _ = self.net.set(net.clone());
    }

    /// How another centre is reached, and the roster that says so.
    pub(crate) fn to(&self, centre: &CentreId) -> Option<(PeerOpener, Arc<Roster>)> {
        if *centre == self.own {
            return None;
        }
        let (peer, net) = (self.directory.peer(centre)?, self.net.get()?.clone());
        Some((PeerOpener { net, peer }, self.directory.roster()?))
    }

    /// Every other centre of the roster in force.
    pub(crate) fn others(&self) -> Vec<CentreId> {
        let roster = self.directory.roster();
        let centres = roster.iter().flat_map(|roster| &roster.centres);
        let ids = centres.map(|centre| centre.id.clone());
        ids.filter(|id| *id != self.own).collect()
    }

    /// Whether the roster in force is of a demonstration; without a roster it is not.
    pub(crate) fn is_demo(&self) -> bool {
        self.directory.roster().is_some_and(|roster| roster.demo)
    }

    /// The place for a check, unless one is under way.
    pub(crate) fn place(&self) -> Option<MatchPlace<'_>> {
        let taken = self.busy.swap(true, Ordering::AcqRel);
        (!taken).then_some(MatchPlace(&self.busy))
    }
}
