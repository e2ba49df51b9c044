//! Which libp2p identity is which centre of the roster, or which member of this one.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use hashpact_keys::{CentreId, KeyUse, Roster, Timestamp};
use hashpact_protocol::centre::Member;
use hashpact_protocol::policy::Asker;

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
    members: BTreeMap<PeerId, String>,
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
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        entries.members = std::mem::take(&mut inner.members);
        *inner = entries;
    }

    /// Takes the members of this centre.
    pub fn set_members<'m>(&self, members: impl Iterator<Item = &'m Member>) {
        let ids = members.filter_map(|member| {
            let id = peer_id_of(member.node_key.as_ref()?.as_bytes())?;
            Some((id, member.id.clone()))
        });
        let ids = ids.collect();
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        inner.members = ids;
    }

    /// Everyone but `own`: centres, and members, who dial us.
    #[must_use]
    pub fn peers(&self, own: &CentreId) -> Vec<Peer> {
        let entries = self.read();
        let others = entries.peers.iter().filter(|(centre, _)| *centre != own);
        let members = entries.members.keys().map(|id| Peer {
            id: *id,
            kind: PeerKind::Member,
            addresses: Vec::new(),
        });
        let others = others.map(|(_, peer)| peer.clone());
        others.chain(members).collect()
    }

    /// Who asks for a match from this identity.
    #[must_use]
    pub fn asker(&self, peer: &PeerId) -> Option<Asker> {
        let entries = self.read();
        let centre = entries.centres.get(peer).cloned().map(Asker::Centre);
        let member = || entries.members.get(peer).cloned().map(Asker::Member);
        centre.or_else(member)
    }

    /// One centre alone, for whoever talks with no other.
    #[must_use]
    pub fn peers_with(&self, centre: &CentreId) -> Vec<Peer> {
        self.read().peers.get(centre).cloned().into_iter().collect()
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
