//! Which libp2p identity is which centre of the roster.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use hashpact_keys::{CentreId, KeyUse, Roster, Timestamp};

use crate::net::{Multiaddr, Peer, PeerId, PeerKind, peer_id_of};

/// The roster as the network needs it; shared by the loop, which sets it, and by what answers other centres.
#[derive(Clone, Default)]
pub struct Directory {
    inner: Arc<RwLock<Entries>>,
}

#[derive(Default)]
struct Entries {
    roster: Option<Arc<Roster>>,
    centres: BTreeMap<PeerId, CentreId>,
    peers: BTreeMap<CentreId, Peer>,
}

impl Directory {
    /// Takes a roster: the node keys that are valid now.
    pub fn set(&self, roster: &Roster, now: Timestamp) {
        let mut entries = Entries {
            roster: Some(Arc::new(roster.clone())),
            ..Entries::default()
        };
        for centre in &roster.centres {
            let addresses: Vec<Multiaddr> = centre
                .addresses
                .iter()
                .filter_map(|text| text.parse().ok())
                .collect();
            for key in centre
                .keys_of(KeyUse::Node)
                .filter(|key| key.is_valid_at(now))
            {
                let Some(id) = peer_id_of(key.key.as_bytes()) else {
                    continue;
                };
                entries.centres.insert(id, centre.id.clone());
                let peer = Peer {
                    id,
                    kind: PeerKind::Centre,
                    addresses: addresses.clone(),
                };
                entries.peers.insert(centre.id.clone(), peer);
            }
        }
        *self.inner.write().unwrap_or_else(PoisonError::into_inner) = entries;
    }

    /// Everyone but `own`.
    #[must_use]
    pub fn peers(&self, own: &CentreId) -> Vec<Peer> {
        let entries = self.read();
        let others = entries.peers.iter().filter(|(centre, _)| *centre != own);
        others.map(|(_, peer)| peer.clone()).collect()
    }

    /// The centre with this identity.
    #[must_use]
    pub fn centre(&self, peer: &PeerId) -> Option<CentreId> {
        self.read().centres.get(peer).cloned()
    }

    /// The identity of a centre.
    #[must_use]
    pub fn peer(&self, centre: &CentreId) -> Option<PeerId> {
        self.read().peers.get(centre).map(|peer| peer.id)
    }

    /// The roster in force.
    #[must_use]
    pub fn roster(&self) -> Option<Arc<Roster>> {
        self.read().roster.clone()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Entries> {
        // Entries are replaced whole, so a writer that panicked left them whole.
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }
}
