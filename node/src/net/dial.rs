//! When listed peers are dialled. Why: both sides may dial, links fail, and nobody may be hammered.
//! In scope: what is due, and when the next is. Out of scope: how a dial ends (`swarm`), pauses
//! (`link`).

use std::collections::BTreeMap;

use libp2p::{PeerId, Swarm, swarm::dial_opts::DialOpts};
use tokio::time::Instant;

use super::{behaviour::Behaviour, limits, link::Link};

/// Ends penalties that are served and dials whom it is time to dial.
pub(super) fn dial_due(links: &mut BTreeMap<PeerId, Link>, swarm: &mut Swarm<Behaviour>) {
    let now = Instant::now();
    for (peer, link) in links {
        if link.penalty_until.is_some_and(|until| until <= now) {
            link.pardon();
            swarm.behaviour_mut().allowed.allow_peer(*peer);
        }
        if link.dial_at > now || !link.waits_for_dial(swarm.is_connected(peer)) {
            continue;
        }
        // A port of its own: two ends that dial from their listening ports at once would meet as
        // two dialers over TCP.
        let dial = DialOpts::peer_id(*peer)
            .addresses(link.addresses.clone())
            .allocate_new_port()
            .build();
        link.dialling = Some(dial.connection_id());
        link.dial_later();
        if swarm.dial(dial).is_err() {
            link.dialling = None;
        }
    }
}

/// When a penalty ends or a dial is due next.
pub(super) fn wake_at(links: &BTreeMap<PeerId, Link>, swarm: &Swarm<Behaviour>) -> Instant {
    let dials = links
        .iter()
        .filter(|(peer, link)| link.waits_for_dial(swarm.is_connected(peer)))
        .map(|(_, link)| link.dial_at);
    let penalties = links.values().filter_map(|link| link.penalty_until);
    dials
        .chain(penalties)
        .min()
        .unwrap_or_else(|| Instant::now() + limits::DIAL_LONGEST)
}
