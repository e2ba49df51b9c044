//! A libp2p peer that lies. It is built on the node's own library and, for two of its attacks, has the fifth centre's keys:
//! what is shown is what the protocol refuses, not what an outsider fails to guess.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use hashpact_keys::KeyUse;
use hashpact_node::clock;
use hashpact_node::config::{Checked, Config};
use hashpact_node::daemon::{
    Directory, Library, Status, centre_keys, command_offline, open_store, roster_in_force,
};
use hashpact_node::home::{Home, NodeKeys, PassphraseSource};
use hashpact_node::net::{self, BulkRead, BulkSource, Net, NetConfig, NetEvent, PeerId};
use hashpact_node::store::Store;
use hashpact_node::store::durable::Steps;
use hashpact_protocol::centre::{Centre, Command};
use hashpact_protocol::delta::Draft;
use hashpact_protocol::labels::ClassId;
use hashpact_protocol::log::{Checkpoint, root_at};
use hashpact_protocol::testing;
use hashpact_protocol::view::View as _;
use hashpact_protocol::wire::{BulkRequest, Message};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::cluster::{Cluster, Node};

/// What the adversary tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attack {
    /// A delta that is signed and logged, with a body of which one byte was changed.
    TamperedDelta,
    /// A peer that is on no roster.
    UnknownPeer,
    /// A smaller log than the one shown before, under the log's own signature.
    ReplayedCheckpoint,
}

impl Attack {
    /// In this order, each against another centre.
    pub const ALL: [Self; 3] = [
        Self::TamperedDelta,
        Self::UnknownPeer,
        Self::ReplayedCheckpoint,
    ];

    /// The check's name.
    #[must_use]
    pub fn check(self) -> &'static str {
        match self {
            Self::TamperedDelta => "tampered_delta_refused",
            Self::UnknownPeer => "unknown_peer_refused",
            Self::ReplayedCheckpoint => "replayed_checkpoint_refused",
        }
    }

    /// The centre that it is tried on.
    #[must_use]
    pub fn target(self) -> &'static str {
        match self {
            Self::TamperedDelta => "eu",
            Self::UnknownPeer => "us",
            Self::ReplayedCheckpoint => "ca",
        }
    }

    /// The event that the target must show.
    fn event(self) -> &'static str {
        match self {
            Self::TamperedDelta => "body_refused",
            Self::UnknownPeer => "connection_refused",
            Self::ReplayedCheckpoint => "rollback",
        }
    }

    fn new_event<'a>(self, before: &Status, after: &'a Status) -> Option<&'a str> {
        let is_new = |seen: &&hashpact_node::daemon::Seen| {
            seen.kind == self.event() && !before.events.contains(seen)
        };
        after
            .events
            .iter()
            .find(is_new)
            .map(|seen| seen.text.as_str())
    }

    /// Whether the target refused: it saw the attack, closed the connection, and holds what it held.
    #[must_use]
    pub fn judge(self, before: &Status, after: &Status) -> (bool, String) {
        let Some(text) = self.new_event(before, after) else {
            return (false, format!("{} saw no {}", after.centre, self.event()));
        };
        let held = |status: &Status| -> Vec<(String, u64, u64, u64)> {
            let log = |log: &hashpact_node::daemon::LogStatus| {
                (log.origin.clone(), log.held, log.retracted, log.applied)
            };
            let logs = std::iter::once(&status.own).chain(&status.mirrored);
            logs.map(log).collect()
        };
        if held(before) != held(after) {
            return (
                false,
                format!("{} holds something else than before", after.centre),
            );
        }
        if after
            .peers
            .iter()
            .any(|peer| peer.centre == "nz" && peer.up)
        {
            return (
                false,
                format!("{} stays connected although it saw: {text}", after.centre),
            );
        }
        (true, format!("{}: {text}", after.centre))
    }
}

/// The fifth centre's keys and a copy of its disk, in the wrong hands.
pub struct Adversary {
    keys: NodeKeys,
    checked: Checked,
    store: Arc<Store>,
    directory: Directory,
    /// Size of its log before it lied.
    honest_size: u64,
    runtime: Runtime,
}

impl Adversary {
    /// Copies the home of the cluster's last centre, which is stopped, and adds a signed delta to the copy.
    ///
    /// # Errors
    /// Fails if the copy cannot be made or written.
    pub fn with_keys_of(cluster: &Cluster) -> Result<Self> {
        let victim = cluster.nodes.last().context("a fifth centre")?;
        let copy = cluster.folder.join("adversary");
        copy_folder(victim.home.path(), &copy)?;
        let home = Home::new(copy);
        let checked = Config::read(&home.config())?;
        let keys = home.unlock(&PassphraseSource::none())?;
        let store = open_store(&home, &keys, &checked, Steps::default())?;
        let roster = roster_in_force(&store)?;
        let directory = Directory::default();
        directory.set(roster.roster(), clock::now());
        let honest_size = store.log(&checked.origin).size;
        let signers = centre_keys(&keys)?;
        let mut centre = Centre::new(
            checked.centre.clone(),
            signers,
            roster,
            clock::now_ms(),
            &store,
        )?;
        let mut rng = ChaCha20Rng::from_seed([7; 32]);
        let record = testing::record(1);
        let draft = Draft::new(
            [(ClassId(0), record.entry, &record.to_bytes()[..])],
            Vec::new(),
            &mut rng,
        )?;
        command_offline(&mut centre, &store, Command::Append(draft))??;
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build()?;
        Ok(Self {
            keys,
            checked,
            store: Arc::new(store),
            directory,
            honest_size,
            runtime,
        })
    }

    /// Tries an attack and waits until the target shows the event that it must, or `limit` passes.
    ///
    /// # Errors
    /// Fails if the attack could not be carried out.
    pub fn run(&self, attack: Attack, target: &Node, limit: Duration) -> Result<Status> {
        let before = target.status()?;
        self.runtime.block_on(async {
            let (net, mut heard) = self.connect(attack, target)?;
            let peer = self.peer_of(target)?;
            if attack != Attack::UnknownPeer {
                let up = wait_for_up(&mut heard, peer);
                tokio::time::timeout(limit, up)
                    .await
                    .context("the target did not connect")??;
                net.send(peer, self.heads(attack)?.to_bytes())?;
            }
            let deadline = Instant::now() + limit;
            let after = loop {
                let after = target.status()?;
                let seen = attack.new_event(&before, &after).is_some();
                let gone = after
                    .peers
                    .iter()
                    .all(|peer| peer.centre != "nz" || !peer.up);
                if (seen && gone) || Instant::now() > deadline {
                    break after;
                }
                // Keeps the network's tasks running meanwhile.
                tokio::time::sleep(Duration::from_millis(50)).await;
            };
            if attack == Attack::UnknownPeer {
                let admitted = std::iter::from_fn(|| heard.try_recv().ok())
                    .any(|event| matches!(event, NetEvent::Up(_)));
                ensure!(!admitted, "a peer on no roster was admitted");
            }
            net.shutdown().await;
            Ok(after)
        })
    }

    fn peer_of(&self, target: &Node) -> Result<PeerId> {
        let centre = target.id.parse()?;
        self.directory
            .peer(&centre)
            .context("the target is on the roster")
    }

    fn connect(&self, attack: Attack, target: &Node) -> Result<(Net, mpsc::Receiver<NetEvent>)> {
        let mut seed = *self.keys.node_seed()?;
        if attack == Attack::UnknownPeer {
            getrandom::fill(&mut seed).map_err(|error| anyhow!("no random numbers: {error}"))?;
        }
        let peer = self.peer_of(target)?;
        let peers = self.directory.peers(&self.checked.centre);
        let config = NetConfig {
            seed,
            listen: vec!["/ip4/127.0.0.1/udp/0/quic-v1".parse()?],
            peers: peers.into_iter().filter(|other| other.id == peer).collect(),
        };
        let (store, directory) = (Arc::clone(&self.store), self.directory.clone());
        let library = Library::new(store, directory, self.checked.origin.clone());
        Ok(net::start(config, Arc::new(Tampering(library)))?)
    }

    /// What it says of its log.
    fn heads(&self, attack: Attack) -> Result<Message> {
        let state = self.store.log(&self.checked.origin);
        let note = match attack {
            Attack::TamperedDelta | Attack::UnknownPeer => {
                state.head.context("a log that has begun")?.note().to_vec()
            }
            Attack::ReplayedCheckpoint => {
                let origin = self.checked.origin.clone();
                let size = self.honest_size - 1;
                let files = |path: &str| self.store.log_file(&origin, path);
                let root = root_at(&files, state.size, size)?;
                let log_key = self.keys.signer(KeyUse::Log)?;
                Checkpoint { origin, size, root }
                    .sign(&log_key)
                    .note()
                    .to_vec()
            }
        };
        Ok(Message::Heads {
            session: clock::now_ms(),
            counter: 1,
            notes: vec![note],
        })
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

/// Answers as the honest library does, but changes one byte in the middle of every body.
struct Tampering(Library);

impl BulkSource for Tampering {
    fn open(&self, peer: PeerId, request: &[u8]) -> Result<Box<dyn BulkRead>, u8> {
        let honest = self.0.open(peer, request)?;
        match BulkRequest::from_bytes(request) {
            Ok(BulkRequest::Body { .. }) => Ok(Box::new(Flipped {
                honest,
                done: false,
            })),
            Ok(BulkRequest::Suffix { .. } | BulkRequest::Proof { .. }) | Err(_) => Ok(honest),
        }
    }
}

struct Flipped {
    honest: Box<dyn BulkRead>,
    done: bool,
}

impl BulkRead for Flipped {
    fn next_chunk(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let mut chunk = self.honest.next_chunk()?;
        if let Some(bytes) = chunk.as_mut().filter(|_| !self.done) {
            // Past the section's head and the entry id, inside the first fingerprint.
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            self.done = true;
        }
        Ok(chunk)
    }
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let target = to.join(entry.file_name());
        if kind.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else if kind.is_file() {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use hashpact_node::daemon::{PeerStatus, Seen};

    use super::*;
    use crate::outcome::tests::{log, status};

    fn seen(kind: &str, at: u64) -> Seen {
        Seen {
            at,
            kind: kind.to_owned(),
            about: None,
            text: format!("{kind} at {at}"),
        }
    }

    fn peer(centre: &str, up: bool) -> PeerStatus {
        PeerStatus {
            centre: centre.to_owned(),
            up,
            bytes_in: 0,
            bytes_out: 0,
        }
    }

    /// The target before an attack: nz, whom the adversary plays, is connected.
    fn before() -> Status {
        let mut before = status(log("eu", 4), vec![log("nz", 3), log("us", 5)]);
        before.peers = vec![peer("nz", true), peer("us", true)];
        before
    }

    /// The target after it refused.
    fn refused(attack: Attack) -> Status {
        let mut after = before();
        after.peers[0].up = false;
        after.events.push(seen(attack.event(), 7));
        after
    }

    #[test]
    fn target_that_saw_dropped_and_kept_has_refused() {
        for attack in Attack::ALL {
            let (ok, detail) = attack.judge(&before(), &refused(attack));
            assert!(ok, "{detail}");
            assert_eq!(detail, format!("eu: {} at 7", attack.event()));
        }
    }

    #[test]
    fn target_that_saw_nothing_has_not_refused() {
        for attack in Attack::ALL {
            let mut after = refused(attack);
            after.events.clear();
            assert!(
                !attack.judge(&before(), &after).0,
                "{attack:?} without an event"
            );
            after.events.push(seen("log_grew", 7));
            let (ok, detail) = attack.judge(&before(), &after);
            assert!(
                !ok && detail == format!("eu saw no {}", attack.event()),
                "{detail}"
            );
        }
    }

    #[test]
    fn event_of_an_earlier_attack_does_not_count() {
        for attack in Attack::ALL {
            let (mut before, after) = (before(), refused(attack));
            before.events.clone_from(&after.events);
            assert!(!attack.judge(&before, &after).0, "{attack:?}");
        }
    }

    #[test]
    fn target_that_holds_something_else_has_not_refused() {
        for attack in Attack::ALL {
            let changes: [fn(&mut Status); 4] = [
                |after| after.mirrored[0].held += 1,
                |after| after.mirrored[0].applied += 1,
                |after| after.mirrored[1].held -= 1,
                |after| drop(after.mirrored.remove(0)),
            ];
            for (n, change) in changes.into_iter().enumerate() {
                let mut after = refused(attack);
                change(&mut after);
                let (ok, detail) = attack.judge(&before(), &after);
                assert!(
                    !ok && detail == "eu holds something else than before",
                    "{n}: {detail}"
                );
            }
        }
    }

    #[test]
    fn target_that_stays_connected_has_not_refused() {
        for attack in Attack::ALL {
            let mut after = refused(attack);
            after.peers[0].up = true;
            assert!(!attack.judge(&before(), &after).0, "{attack:?}");
            // Others may come and go.
            after = refused(attack);
            after.peers[1].up = false;
            assert!(attack.judge(&before(), &after).0, "{attack:?}");
        }
    }

    #[test]
    fn each_attack_is_another_check_on_another_centre() {
        let names: std::collections::BTreeSet<_> = Attack::ALL
            .iter()
            .map(|attack| (attack.check(), attack.event()))
            .collect();
        let targets: std::collections::BTreeSet<_> =
            Attack::ALL.iter().map(|attack| attack.target()).collect();
        assert_eq!((names.len(), targets.len()), (3, 3));
        assert!(!targets.contains("nz"));
    }
}
