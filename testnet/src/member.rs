//! A member of a centre, which checks its list with the client that the program has, over the real network.
//!
//! Why not the command line: here every byte of both directions is on tape (`tape`), and what comes back is not text. In scope:
//! its key, its connection, its checks. Out of scope: what they should find (`governed::provider`), how fast (`bench`).

mod tape;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use hashpact_keys::{Roster, Signer};
use hashpact_node::clock;
use hashpact_node::daemon::Directory;
use hashpact_node::matching::client::list::{Items, List};
use hashpact_node::matching::client::{
    Cache, CacheKey, MatchError, Opener, Order, Outcome, Patience, Trust,
};
use hashpact_node::net::{
    self, BulkRead, BulkSource, MatchStream, Net, NetConfig, NetEvent, PeerId,
};
use hashpact_protocol::labels::Purpose;
use hashpact_protocol::policy::MatchMode;
use hashpact_protocol::psi::{Answer, Ask, FRAME_PREFIX, Manifest, frame, frame_length};
use tokio::runtime::Runtime;

use crate::cluster::Node;
use tape::Taped;
pub(crate) use tape::{Tape, Transcript};

/// How long the centre may take to let a new member in.
const ADMITTED: Duration = Duration::from_secs(60);

/// A provider, its key and what it has cached.
pub(crate) struct Member {
    seed: [u8; 32],
    folder: PathBuf,
}

/// A member that is connected to its centre.
pub(crate) struct Connected<'a> {
    member: &'a Member,
    roster: Arc<Roster>,
    centre: hashpact_keys::CentreId,
    net: Net,
    peer: PeerId,
    runtime: Runtime,
}

/// Streams of a member, on tape.
struct Recorder<'a> {
    net: &'a Net,
    peer: PeerId,
    tape: Tape,
}

impl Opener for Recorder<'_> {
    type Stream = Taped<MatchStream>;

    async fn open(&self) -> io::Result<Self::Stream> {
        let stream = self.net.open_match(self.peer).await;
        Ok(Taped {
            stream: stream.map_err(io::Error::other)?,
            tape: self.tape.clone(),
        })
    }
}

/// A member serves nothing.
struct Nothing;

impl BulkSource for Nothing {
    fn open(&self, _: PeerId, _: &[u8]) -> Result<Box<dyn BulkRead>, u8> {
        Err(net::REFUSED_UNSPECIFIED)
    }
}

impl Member {
    /// Makes a member's key and folder, and has a centre let it in.
    pub(crate) fn admit(name: &str, node: &Node, folder: PathBuf) -> Result<Self> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| anyhow!("no random numbers: {error}"))?;
        std::fs::create_dir_all(&folder)?;
        let key = hex::encode(Signer::from_seed(&seed).public().as_bytes());
        let law = node.jurisdiction.as_str();
        let who = ["--key", &key, "--jurisdiction", law, "--sector", "platform"];
        node.shell_ok(&[&["member", "add", name][..], &who].concat())?;
        Ok(Self { seed, folder })
    }

    /// The same member in another process.
    pub(crate) fn again(seed: [u8; 32], folder: PathBuf) -> Self {
        Self { seed, folder }
    }

    /// The secret half of its key.
    pub(crate) fn seed(&self) -> &[u8; 32] {
        &self.seed
    }

    /// Connects to a centre.
    pub(crate) fn connect(&self, centre: &str, roster: &Roster) -> Result<Connected<'_>> {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.enable_all().build()?;
        let directory = Directory::default();
        directory.set(roster, clock::now());
        let centre = centre.parse()?;
        let peer = directory
            .peer(&centre)
            .context("the centre is on the roster")?;
        // Nobody's id: the centre itself is one of the peers.
        let nobody = "member".parse()?;
        let peers = directory.peers(&nobody).into_iter();
        let config = NetConfig {
            seed: self.seed.into(),
            listen: Vec::new(),
            peers: peers.filter(|other| other.id == peer).collect(),
        };
        let net = runtime.block_on(async {
            let (net, mut heard) = net::start(config, Arc::new(Nothing), None)?;
            let up = async {
                while let Some(event) = heard.recv().await {
                    if event == NetEvent::Up(peer) {
                        return Ok(());
                    }
                }
                Err(anyhow!("the network ended"))
            };
            let up = tokio::time::timeout(ADMITTED, up).await;
            up.context("the centre does not let the member in")??;
            // The network ends when nobody hears it any more.
            tokio::spawn(async move { while heard.recv().await.is_some() {} });
            Ok::<_, anyhow::Error>(net)
        })?;
        Ok(Connected {
            member: self,
            roster: Arc::new(roster.clone()),
            centre,
            net,
            peer,
            runtime,
        })
    }
}

impl Connected<'_> {
    /// Checks a list with what the cache of this name knows; a new one knows nothing.
    pub(crate) fn check(
        &self,
        items: &Arc<Items>,
        mode: MatchMode,
        cache: &str,
        tape: &Tape,
    ) -> Result<Result<Outcome, MatchError>> {
        let key = CacheKey::derive(&self.member.seed);
        let cache = Arc::new(Cache::open(&self.member.folder.join(cache), &key)?);
        let order = Order {
            roster: Arc::clone(&self.roster),
            centre: self.centre.clone(),
            asker: None,
            mode,
            purpose: Purpose::Detect,
            items: Arc::clone(items),
            pad: false,
            patience: Patience::default(),
            clock: clock::now,
            lanes: std::thread::available_parallelism().map_or(1, usize::from),
        };
        let opener = self.recorder(tape.clone());
        let hear: hashpact_node::matching::client::Hear = Arc::new(|_| {});
        let run = hashpact_node::matching::client::run(&opener, &cache, &order, &hear);
        Ok(self.runtime.block_on(run))
    }

    /// Waits until the centre's newest manifest lists at least so many items, and has been the newest for `stays`: each
    /// member that is admitted has the centre group its classes anew.
    pub(crate) fn wait_for_items(
        &self,
        items: u64,
        stays: Duration,
        limit: Duration,
    ) -> Result<()> {
        let deadline = Instant::now() + limit;
        let mut last = None;
        loop {
            let newest = self.runtime.block_on(self.manifest());
            let late = match &newest {
                Ok(manifest) => {
                    let groups = manifest.groups.iter();
                    let listed = groups.flat_map(|group| &group.artifacts);
                    let listed: u64 = listed.map(|artifact| artifact.items).sum();
                    if listed >= items && last == Some(manifest.number) {
                        return Ok(());
                    }
                    last = Some(manifest.number);
                    format!("manifest {} lists {listed}", manifest.number)
                }
                Err(error) => format!("{error:#}"),
            };
            ensure!(
                Instant::now() < deadline,
                "no manifest of {items} items within {} s: {late}",
                limit.as_secs()
            );
            std::thread::sleep(stays);
        }
    }

    async fn manifest(&self) -> Result<Manifest> {
        let mut stream = self.net.open_match(self.peer).await?;
        stream.write_all(&frame(&Ask::Manifest.to_bytes())).await?;
        stream.flush().await?;
        let mut prefix = [0; FRAME_PREFIX];
        stream.read_exact(&mut prefix).await?;
        let mut answer = vec![0; frame_length(prefix)?];
        stream.read_exact(&mut answer).await?;
        let (manifest, proof, index) = match Answer::from_bytes(&answer)? {
            Answer::Manifest {
                manifest,
                proof,
                index,
            } => (manifest, proof, index),
            Answer::Refused { code, text } => return Err(anyhow!("refused: {code}: {text}")),
            Answer::Chunk(_)
            | Answer::End
            | Answer::Opened(_)
            | Answer::Evaluated { .. }
            | Answer::Shuffled { .. }
            | Answer::Artifact(_)
            | Answer::Closed { .. } => return Err(anyhow!("another answer than a manifest")),
        };
        let trust = Trust {
            roster: &self.roster,
            centre: &self.centre,
            now: clock::now(),
        };
        Ok(trust.check(&manifest, &proof, index)?.manifest)
    }

    fn recorder(&self, tape: Tape) -> Recorder<'_> {
        Recorder {
            net: &self.net,
            peer: self.peer,
            tape,
        }
    }
}

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.runtime.block_on(self.net.shutdown());
    }
}

/// A list as a person would give it, read as the program reads it.
pub(crate) fn read_list(text: &[u8]) -> Result<Arc<Items>> {
    let list = List::read(text, None, &mut |_| true)?;
    let mut types = list.into_types();
    let items = types.next().context("a type")?;
    ensure!(types.next().is_none(), "one type only");
    Ok(Arc::new(items))
}
