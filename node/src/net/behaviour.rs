//! Which libp2p protocols a node speaks, and over which transports. Why: everything that a stranger
//! can reach is listed here. In scope: putting the swarm together. Out of scope: driving it
//! (`swarm`), the bulk transfers (`bulk`). `identify` is left out: addresses stand on the roster,
//! and a peer's own claims about them would be unverified.

use libp2p::{
    Swarm, SwarmBuilder,
    allow_block_list::{self, AllowedPeers},
    connection_limits::{self, ConnectionLimits},
    identity::Keypair,
    noise, ping,
    request_response::{self, ProtocolSupport},
    swarm::NetworkBehaviour,
    tcp, yamux,
};

use super::{
    codec::{CONTROL, ControlCodec},
    limits,
};

/// The order matters: what refuses a connection comes first, so that the protocols after it never
/// hear of it.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    pub(super) allowed: allow_block_list::Behaviour<AllowedPeers>,
    limits: connection_limits::Behaviour,
    ping: ping::Behaviour,
    pub(super) control: request_response::Behaviour<ControlCodec>,
    pub(super) bulk: libp2p_stream::Behaviour,
}

impl Behaviour {
    fn new() -> Self {
        let connections = ConnectionLimits::default()
            .with_max_pending_incoming(Some(limits::PENDING))
            .with_max_pending_outgoing(Some(limits::PENDING))
            .with_max_established(Some(limits::CONNECTIONS))
            .with_max_established_per_peer(Some(limits::CONNECTIONS_PER_PEER));
        let control = request_response::Config::default()
            .with_request_timeout(limits::CONTROL_TIMEOUT)
            .with_max_concurrent_streams(limits::CONTROL_STREAMS);
        let ping = ping::Config::new()
            .with_interval(limits::PING_EVERY)
            .with_timeout(limits::PING_TIMEOUT);
        Self {
            allowed: allow_block_list::Behaviour::default(),
            limits: connection_limits::Behaviour::new(connections),
            ping: ping::Behaviour::new(ping),
            control: request_response::Behaviour::with_codec(
                ControlCodec,
                [(CONTROL, ProtocolSupport::Full)],
                control,
            ),
            bulk: libp2p_stream::Behaviour::new(),
        }
    }
}

fn bounded_yamux() -> yamux::Config {
    let mut config = yamux::Config::default();
    config.set_max_num_streams(limits::YAMUX_STREAMS);
    config
}

/// A swarm that speaks QUIC, and TCP with Noise and Yamux. It neither listens nor dials yet.
pub(super) fn swarm(node_key: Keypair) -> Result<Swarm<Behaviour>, noise::Error> {
    let builder = SwarmBuilder::with_existing_identity(node_key)
        .with_tokio()
        .with_tcp(
            tcp::Config::default().nodelay(true),
            noise::Config::new,
            bounded_yamux,
        )?
        .with_quic_config(|mut quic| {
            quic.max_stream_data = limits::QUIC_STREAM_WINDOW;
            quic.max_connection_data = limits::QUIC_CONNECTION_WINDOW;
            quic.max_concurrent_stream_limit = limits::QUIC_STREAMS;
            quic.handshake_timeout = limits::HANDSHAKE;
            quic
        });
    let Ok(builder) = builder.with_behaviour(|_| Behaviour::new());
    Ok(builder
        .with_swarm_config(|swarm| {
            // Ranks QUIC before TCP and staggers the dials, so a blocked UDP port costs a moment
            // and not a timeout.
            swarm
                .with_smart_dial()
                .with_idle_connection_timeout(limits::IDLE_CONNECTION)
        })
        .with_connection_timeout(limits::HANDSHAKE)
        .build())
}
