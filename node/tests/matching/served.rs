//! A centre under policy with a list, and a member that speaks frames.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use hashpact_keys::Signer;
use hashpact_node::config::Config;
use hashpact_node::home::PassphraseSource;
use hashpact_node::net::{
    self, BulkRead, BulkSource, MatchStream, Net, NetConfig, NetEvent, Peer, PeerId, PeerKind,
    peer_id_of,
};
use hashpact_protocol::fingerprint::{Algorithm, Fingerprint};
use hashpact_protocol::labels::Purpose;
use hashpact_protocol::limits;
use hashpact_protocol::policy::MatchMode;
use hashpact_protocol::psi::oprf::{Blinds, Evaluation, Proof, PublicKey, Verifier};
use hashpact_protocol::psi::{
    self, Answer, Ask, Batch, GroupId, Manifest, OpenAsk, Opened, Points, Query, RefusalCode,
    SegmentAsk, SegmentPlace, SegmentTags, SessionId, Side, Tag, frame,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use tokio::sync::mpsc;

use crate::common::{List, Ruled, ruled_two, until};

/// What members may match of eu's in a day.
pub(crate) const PER_DAY: u64 = 500_000;

/// Items that sessions of these tests declare: the least that a count takes.
pub(crate) const ITEMS: u64 = 1_000;

/// Items of three batches.
pub(crate) const LONG: u64 = 9_000;

pub(crate) const FACTS: &str = r#"schema = 1
name = "matched"
jurisdiction = "EU"
purpose = "triage"
widen_after_hours = 0

[[grant]]
id = "members"
with = { jurisdiction = "US" }
actions = ["match", "reveal"]
purposes = ["statistics"]
basis = "statutory"
document = "synthetic"
issuer = "synthetic"
from = 2026-01-01
until = 2036-01-01
match = { modes = ["items", "labels", "count"], per_day = 500000 }
"#;

/// Text by itself may not be matched: its class is in no group.
pub(crate) const RULES: &str = r#"@id("members")
@basis("a synthetic law")
@counsel("confirm")
permit (principal is Member, action in [Action::"match", Action::"reveal"], resource)
when { context.bases.contains("members") && !resource.maybe.media_kind.containsAny(["text"]) };
"#;

/// A running centre with a policy, another one that witnesses it, and a list whose first three classes may be matched.
pub(crate) struct Served {
    pub(crate) eu: Ruled,
    _us: Ruled,
    pub(crate) list: List,
}

impl Served {
    /// With a list of so many rows, each an MD5 and a SHA-256; every fourth is text.
    pub(crate) fn start(folder: &Path, rows: u64) -> Result<Self> {
        let (eu, us) = ruled_two(folder)?;
        let place = folder.join("matched");
        fs::create_dir_all(&place)?;
        fs::write(place.join("profile.toml"), FACTS)?;
        fs::write(place.join("rules.cedar"), RULES)?;
        eu.apply(folder, "matched")?;
        let list = List::write(folder, "list", rows)?;
        eu.node.ingest(&list, &[])?.ends(0)?;
        let _us = us;
        let served = Self { eu, _us, list };
        served.member("acme", 1)?;
        served.builds(rows / 4 * 3 * 2)?;
        Ok(served)
    }

    /// Registers a member with the key of a seed.
    pub(crate) fn member(&self, name: &str, seed: u8) -> Result<()> {
        let key = Signer::from_seed(&[seed; 32]).public().to_string();
        let args = ["member", "add", name, "--key", &key, "--jurisdiction", "US"];
        let args = [&args[..], &["--sector", "hosting"]].concat();
        self.eu.node.run(&args)?.ends(0)?;
        Ok(())
    }

    /// Waits until so many items are published, and a quorum has cosigned that.
    pub(crate) fn builds(&self, items: u64) -> Result<()> {
        until("the items are published", || {
            let status = self.eu.node.status()?.matching;
            if let Some(fault) = &status.served.fault {
                bail!("matching failed: {fault}");
            }
            let is_published = status.served.items == items
                && status.served.building.is_none()
                && status.epoch == status.served.epoch
                && status.epoch.is_some();
            Ok(is_published.then_some(()))
        })?;
        self.eu.node.is_witnessed()?;
        Ok(())
    }

    /// The row's SHA-256, as it is matched.
    pub(crate) fn sha256(&self, row: u64) -> Result<Vec<u8>> {
        input(&hex::decode(self.list.sha256(row))?)
    }

    /// A client with the key of a seed, connected.
    pub(crate) async fn client(&self, seed: u8) -> Result<Client> {
        let home = &self.eu.node.home;
        let config = Config::read(&home.config())?;
        let keys = home.unlock(&PassphraseSource::of_process(None))?;
        let key = Signer::from_seed(&*keys.node_seed()?).public();
        let server = peer_id_of(key.as_bytes()).context("no key")?;
        let peer = Peer {
            id: server,
            kind: PeerKind::Centre,
            addresses: config.listen,
        };
        let config = NetConfig {
            seed: [seed; 32].into(),
            listen: Vec::new(),
            peers: vec![peer],
        };
        let (net, mut events) = net::start(config, Arc::new(Nothing), None)?;
        let up = async {
            while let Some(event) = events.recv().await {
                if event == NetEvent::Up(server) {
                    return Ok(());
                }
            }
            bail!("the network ended")
        };
        tokio::time::timeout(Duration::from_secs(20), up).await??;
        Ok(Client {
            net,
            server,
            _events: events,
        })
    }
}

/// A member serves nothing.
struct Nothing;

impl BulkSource for Nothing {
    fn open(&self, _: PeerId, _: &[u8]) -> Result<Box<dyn BulkRead>, u8> {
        Err(1)
    }
}

/// What stands for a SHA-256.
pub(crate) fn input(bytes: &[u8]) -> Result<Vec<u8>> {
    psi::input(&Fingerprint::new(Algorithm::Sha256, bytes)?).context("not matched")
}

/// SHA-256 hashes that no list has.
pub(crate) fn strangers(count: u64) -> Result<Vec<Vec<u8>>> {
    let hash = |n: u64| *blake3::hash(&n.to_be_bytes()).as_bytes();
    (0..count).map(|n| input(&hash(n))).collect()
}

/// A member of the centre.
pub(crate) struct Client {
    pub(crate) net: Net,
    pub(crate) server: PeerId,
    _events: mpsc::Receiver<NetEvent>,
}

impl Client {
    pub(crate) async fn open(&self) -> Result<Talk> {
        Ok(Talk(self.net.open_match(self.server).await?))
    }

    /// The manifest that is served.
    pub(crate) async fn manifest(&self) -> Result<Manifest> {
        let mut talk = self.open().await?;
        talk.say(&Ask::Manifest).await?;
        let Answer::Manifest { manifest, .. } = talk.hear().await? else {
            bail!("no manifest");
        };
        Ok(Manifest::read_unverified(&manifest)?)
    }

    /// The tags of a group's SHA-256 artifact, its segments applied in order.
    pub(crate) async fn tags(
        &self,
        manifest: &Manifest,
        group: GroupId,
        mode: MatchMode,
    ) -> Result<BTreeSet<Tag>> {
        let artifact = manifest.artifact(group, 3, mode).context("no artifact")?;
        let space = manifest.space(group, 3, mode);
        let mut all = BTreeSet::new();
        for row in &artifact.segments {
            let mut talk = self.open().await?;
            let ask = SegmentAsk {
                epoch: manifest.epoch,
                group,
                kind: 3,
                mode,
                segment: row.root,
                labels: false,
                from_chunk: 0,
            };
            talk.say(&Ask::Segment(ask)).await?;
            let place = SegmentPlace::new(&space, None, row.number);
            let mut reader = SegmentTags::new(&place, manifest.bits, row);
            loop {
                match talk.hear().await? {
                    Answer::Chunk(chunk) => {
                        let mut tags = Vec::new();
                        match reader.chunk(&chunk.bytes, &mut tags)? {
                            Side::Added => all.extend(tags),
                            Side::Removed => tags.iter().for_each(|tag| {
                                all.remove(tag);
                            }),
                        }
                    }
                    Answer::End => break,
                    other => bail!("{other:?}"),
                }
            }
            reader.finish()?;
        }
        ensure!(all.len() as u64 == artifact.items);
        Ok(all)
    }
}

/// One stream.
pub(crate) struct Talk(pub(crate) MatchStream);

impl Talk {
    pub(crate) async fn say(&mut self, ask: &Ask) -> Result<()> {
        self.0.write_all(&frame(&ask.to_bytes())).await?;
        Ok(self.0.flush().await?)
    }

    pub(crate) async fn hear(&mut self) -> Result<Answer> {
        let mut prefix = [0; 4];
        self.0.read_exact(&mut prefix).await?;
        let mut bytes = vec![0; psi::frame_length(prefix)?];
        self.0.read_exact(&mut bytes).await?;
        Ok(Answer::from_bytes(&bytes)?)
    }

    /// Why nothing comes of it.
    pub(crate) async fn refusal(&mut self) -> Result<RefusalCode> {
        loop {
            match self.hear().await? {
                Answer::Refused { code, .. } => return Ok(code),
                Answer::Evaluated { .. } | Answer::Opened(_) => {}
                other => bail!("{other:?}"),
            }
        }
    }

    /// Opens a session of SHA-256 hashes.
    pub(crate) async fn begin(&mut self, ask: OpenAsk) -> Result<Opened> {
        self.say(&Ask::Open(ask)).await?;
        match self.hear().await? {
            Answer::Opened(opened) => Ok(opened),
            other => bail!("{other:?}"),
        }
    }
}

/// A session of SHA-256 hashes in the epoch of a manifest.
pub(crate) fn ask(manifest: &Manifest, session: u8, mode: MatchMode, items: u64) -> OpenAsk {
    OpenAsk {
        session: SessionId([session; 16]),
        mode,
        kind: 3,
        purpose: Purpose::Statistics,
        items,
        epoch: manifest.epoch,
        resume_at: 0,
    }
}

/// A list of a client's, blinded in batches.
pub(crate) struct Blinded {
    pub(crate) batches: Vec<(Blinds, Batch)>,
    pub(crate) query: Query,
}

/// Blinds a list in batches.
pub(crate) fn blind(ask: &OpenAsk, list: &[Vec<u8>]) -> Result<Blinded> {
    let mut rng = ChaCha20Rng::from_seed([9; 32]);
    let mut query = Query::new(&ask.session, list.len() as u64);
    let mut batches = Vec::new();
    let mut first = 0;
    for piece in list.chunks(limits::MATCH_BATCH) {
        let blinds = Blinds::draw(piece.iter().map(Vec::as_slice), &mut rng);
        let points = Points(blinds.points().to_vec());
        let batch = Batch { first, points };
        query.take(&batch)?;
        first += piece.len() as u64;
        batches.push((blinds, batch));
    }
    Ok(Blinded { batches, query })
}

/// A whole session of mode `items`: the places in the list that match, over all groups.
pub(crate) async fn matched(client: &Client, session: u8, list: &[Vec<u8>]) -> Result<Vec<usize>> {
    let manifest = client.manifest().await?;
    let ask = ask(&manifest, session, MatchMode::Items, list.len() as u64);
    let mut talk = client.open().await?;
    let opened = talk.begin(ask).await?;
    let blinded = blind(&ask, list)?;
    let mut found = BTreeSet::new();
    let mut known = Vec::new();
    for group in &opened.groups {
        let artifact = manifest.artifact(*group, 3, MatchMode::Items);
        let key = PublicKey::from_bytes(&artifact.context("no artifact")?.key)
            .map_err(|fault| anyhow::anyhow!("{fault:?}"))?;
        let tags = client.tags(&manifest, *group, MatchMode::Items).await?;
        known.push((*group, Verifier::new(&key), tags));
    }
    for (blinds, batch) in &blinded.batches {
        talk.say(&Ask::Batch(batch.clone())).await?;
        for (group, verifier, tags) in &known {
            let answer = talk.hear().await?;
            let Answer::Evaluated {
                first,
                group: of,
                points,
                proof,
            } = answer
            else {
                bail!("{answer:?}");
            };
            ensure!(of == *group && first == batch.first);
            let evaluation = Evaluation {
                points: points.0,
                proof: Proof(proof),
            };
            let space = manifest.space(*group, 3, MatchMode::Items);
            for (at, doubled) in verifier.finish(blinds, &evaluation)?.iter().enumerate() {
                if tags.contains(&psi::tag(&space, None, doubled, manifest.bits)) {
                    found.insert(usize::try_from(first)? + at);
                }
            }
        }
    }
    let query = blinded.query.hash();
    talk.say(&Ask::Finish { query }).await?;
    let closed = talk.hear().await?;
    ensure!(matches!(closed, Answer::Closed { .. }), "{closed:?}");
    Ok(found.into_iter().collect())
}
