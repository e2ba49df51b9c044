//! A libp2p peer that lies. It is built on the node's own library and has the fifth centre's keys and disk, but for one
//! attack: what is shown is what the protocol refuses, not what an outsider fails to guess.
//!
//! | file | answers |
//! |---|---|
//! | `attack` | what is tried, and when it was refused |
//! | `face` | how the stolen log goes on, in more than one way |
//! | `answers` | how it answers what it is asked |

mod answers;
mod attack;
mod face;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use hashpact_keys::{KeyUse, Origin};
use hashpact_node::clock;
use hashpact_node::config::{Checked, Config};
use hashpact_node::daemon::{Directory, Library, Status, roster_in_force};
use hashpact_node::home::{NodeKeys, PassphraseSource};
use hashpact_node::net::{self, Net, NetConfig, NetEvent, PeerId};
use hashpact_protocol::delta::Retraction;
use hashpact_protocol::log::Checkpoint;
use hashpact_protocol::wire::Message;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::cluster::Node;
use answers::{Branch, Tampering};
pub use attack::Attack;
use attack::is_up;
use face::Face;

/// How often the target is asked what it saw.
const POLL: Duration = Duration::from_millis(25);

/// The fifth centre's keys and a copy of its disk, in the wrong hands.
pub struct Adversary {
    keys: NodeKeys,
    checked: Checked,
    /// What it shows to everybody.
    face: Face,
    /// What it shows to one centre, in the last act.
    other_face: Face,
    directory: Directory,
    runtime: Runtime,
}

impl Adversary {
    /// Copies the home of a centre, which is stopped, twice, and goes on with the log in each copy in another way: with one
    /// delta, which makes these retractions, and with two deltas.
    ///
    /// # Errors
    /// Fails if the copies cannot be made or written.
    pub fn with_keys_of(
        victim: &Node,
        folder: &Path,
        retractions: Vec<Retraction>,
    ) -> Result<Self> {
        let checked = Config::read(&victim.home.config())?;
        let keys = victim.home.unlock(&PassphraseSource::none())?;
        let face = |name: &str, numbers: &[u64], retractions| {
            let folder = folder.join(name);
            Face::new(
                &victim.home,
                &folder,
                (&keys, &checked),
                numbers,
                retractions,
            )
        };
        let (face, other_face) = (
            face("adversary", &[1], retractions)?,
            face("adversary-2", &[2, 3], Vec::new())?,
        );
        let directory = Directory::default();
        directory.set(roster_in_force(&face.store)?.roster(), clock::now());
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build()?;
        Ok(Self {
            keys,
            checked,
            face,
            other_face,
            directory,
            runtime,
        })
    }

    /// The log whose keys it has.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.checked.origin
    }

    /// Leaves that its two faces have in common: the log as its centre left it.
    #[must_use]
    pub fn honest_size(&self) -> u64 {
        self.face.honest_size
    }

    /// Leaves of the face that it shows to everybody.
    ///
    /// # Errors
    /// Fails if its log has none.
    pub fn shown_size(&self) -> Result<u64> {
        Ok(self.face.head()?.checkpoint().size)
    }

    /// Tries an attack and waits until the target shows the event that it must, or `limit` passes.
    ///
    /// # Errors
    /// Fails if the attack could not be carried out.
    pub fn run(&self, attack: Attack, target: &Node, limit: Duration) -> Result<Status> {
        let before = target.status()?;
        let note = match attack {
            Attack::TamperedDelta => Some(self.face.head()?.note().to_vec()),
            Attack::UnknownPeer => None,
            Attack::ReplayedCheckpoint => Some(self.older_head()?),
        };
        let mut seed = *self.keys.node_seed()?;
        if attack == Attack::UnknownPeer {
            getrandom::fill(&mut seed).map_err(|error| anyhow!("no random numbers: {error}"))?;
        }
        let library = Arc::new(Tampering(self.library(&self.face)));
        self.show(seed, library, note, target, limit, |after| {
            let seen = attack.new_event(&before, after).is_some();
            seen && !(attack.parts() && is_up(after))
        })
    }

    /// Shows its other face to one centre, stands by it, and waits until `done` holds for what that centre says of itself.
    ///
    /// # Errors
    /// Fails if the face could not be shown.
    pub fn fork(
        &self,
        target: &Node,
        limit: Duration,
        done: impl FnMut(&Status) -> bool,
    ) -> Result<Status> {
        let note = self.other_face.head()?.note().to_vec();
        let library = Arc::new(Branch(self.library(&self.other_face)));
        let seed = *self.keys.node_seed()?;
        self.show(seed, library, Some(note), target, limit, done)
    }

    /// Connects to a centre, shows it a head, answers what it asks, and looks until `done` or `limit`. Without a head to show
    /// it must not even be admitted.
    fn show(
        &self,
        seed: [u8; 32],
        library: Arc<dyn net::BulkSource>,
        note: Option<Vec<u8>>,
        target: &Node,
        limit: Duration,
        mut done: impl FnMut(&Status) -> bool,
    ) -> Result<Status> {
        let peer = self.peer_of(target)?;
        self.runtime.block_on(async {
            let (net, mut heard) = self.connect(seed, library, peer)?;
            let stranger = note.is_none();
            let session = clock::now_ms();
            let heads = |counter| {
                let notes = note.iter().cloned().collect();
                Message::Heads {
                    session,
                    counter,
                    notes,
                }
            };
            if !stranger {
                let up = wait_for_up(&mut heard, peer);
                let up = tokio::time::timeout(limit, up).await;
                up.context("the target did not connect")??;
                net.send(peer, heads(1).to_bytes())?;
            }
            let deadline = Instant::now() + limit;
            let (mut admitted, mut counter) = (false, 1);
            let after = loop {
                while let Ok(event) = heard.try_recv() {
                    if !matches!(event, NetEvent::Up(_)) {
                        continue;
                    }
                    admitted = true;
                    if !stranger {
                        // Both ends dial, and what was said on the connection that gave way may not have arrived.
                        counter += 1;
                        net.send(peer, heads(counter).to_bytes())?;
                    }
                }
                let after = target.status()?;
                if done(&after) || Instant::now() > deadline {
                    break after;
                }
                // Keeps the network's tasks running meanwhile.
                tokio::time::sleep(POLL).await;
            };
            ensure!(!(stranger && admitted), "a peer on no roster was admitted");
            net.shutdown().await;
            Ok(after)
        })
    }

    fn library(&self, face: &Face) -> Library {
        let (store, origin) = (Arc::clone(&face.store), self.checked.origin.clone());
        Library::new(store, self.directory.clone(), origin)
    }

    fn peer_of(&self, target: &Node) -> Result<PeerId> {
        let centre = target.id.parse()?;
        let peer = self.directory.peer(&centre);
        peer.context("the target is on the roster")
    }

    fn connect(
        &self,
        seed: [u8; 32],
        library: Arc<dyn net::BulkSource>,
        peer: PeerId,
    ) -> Result<(Net, mpsc::Receiver<NetEvent>)> {
        let peers = self.directory.peers(&self.checked.centre);
        let config = NetConfig {
            seed: seed.into(),
            listen: vec!["/ip4/127.0.0.1/udp/0/quic-v1".parse()?],
            peers: peers.into_iter().filter(|other| other.id == peer).collect(),
        };
        Ok(net::start(config, library, None)?)
    }

    /// A checkpoint of a time before the last leaf, signed anew.
    fn older_head(&self) -> Result<Vec<u8>> {
        let (origin, size) = (self.checked.origin.clone(), self.honest_size() - 1);
        let root = self.face.root(size)?;
        let checkpoint = Checkpoint { origin, size, root };
        let signed = checkpoint.sign(&self.keys.signer(KeyUse::Log)?);
        Ok(signed.note().to_vec())
    }
}

async fn wait_for_up(heard: &mut mpsc::Receiver<NetEvent>, peer: PeerId) -> Result<()> {
    while let Some(event) = heard.recv().await {
        if event == NetEvent::Up(peer) {
            return Ok(());
        }
    }
    Err(anyhow!("the network ended"))
}
