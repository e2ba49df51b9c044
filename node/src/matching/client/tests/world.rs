//! A centre that really holds, publishes, evaluates and logs, for tests of the asking side; and one that lies, in one way at
//! a time.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use hashpact_keys::{KeyUse, SignedRoster, Timestamp};
use hashpact_protocol::Hash;
use hashpact_protocol::assess::Severity;
use hashpact_protocol::fingerprint::Algorithm;
use hashpact_protocol::labels::{ClassId, Depiction, State};
use hashpact_protocol::lists::Set;
use hashpact_protocol::log::{
    Checkpoint, Leaf, LogProof, SignedNote, grow, inclusion_proof, witness_name,
};
use hashpact_protocol::policy::{Asker, MatchMode};
use hashpact_protocol::psi::oprf::{Evaluation, ServerKey};
use hashpact_protocol::psi::{
    Answer, Artifact, Ask, Batch, Chunk, Epoch, FRAME_PREFIX, Group, GroupId, Label, Manifest,
    OpenAsk, Opened, Points, Query, RefusalCode, Role, Segment, SegmentPlace, SegmentRow,
    SessionId, SessionRecord, Space, Tag, TagBits, Tagger, encode, encode_labelled, frame,
    frame_length,
};
use hashpact_protocol::testing::keys::{AUDITOR, CentreSetup, START, auditor, governed_network};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use tokio::io::DuplexStream;

use super::super::Opener;

/// The test's time: a while after everything was made.
pub(super) fn now() -> Timestamp {
    Timestamp::new(START.get() + 3_600)
}

/// How a centre departs from the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lie {
    None,
    /// Evaluates under another key than the manifest's.
    WrongKey,
    /// Sends the proof of the batch before.
    OldProof,
    /// Two points of a batch trade places.
    Swapped,
    /// A point of the answer is the neutral element.
    Identity,
    /// Answers for another group.
    OtherGroup,
    /// Chunks of another segment.
    OtherChunks,
    /// Ends the stream after so many chunks, once.
    CutChunks(usize),
    /// Answers, each time a while later than it could.
    Dribbles,
    /// Chunks without end.
    Endless,
    /// Hears, and never answers.
    Silent,
    /// Ends the stream after so many batches, until it is told the truth.
    CutAfter(u64),
    /// Ends the stream of a count when all items came, once.
    CutAtFinish,
    /// Has forgotten sessions, as after a restart.
    Forgets,
    /// Skips items at the resumption.
    Skips,
    /// A count under a key of the manifest.
    ListedKey,
    /// A count in which an item comes back twice.
    Repeats,
    /// Writes down other items than it was sent.
    OtherRecord,
}

/// Inputs of the protocol.
pub(super) type Inputs = Vec<Vec<u8>>;

/// The values of one group: segments of what is added and removed.
#[derive(Clone, Default)]
pub(super) struct Held {
    pub(super) segments: Vec<(Inputs, Inputs)>,
}

pub(super) struct World {
    pub(super) roster: SignedRoster,
    pub(super) setup: CentreSetup,
    pub(super) kind: Algorithm,
    pub(super) groups: Vec<Held>,
    pub(super) lie: Mutex<Lie>,
    /// What was asked, in order.
    pub(super) opened: Mutex<Vec<OpenAsk>>,
    pub(super) evaluated: AtomicU64,
    pub(super) charged: AtomicU64,
    /// From which chunk on segments were asked for, in order.
    pub(super) fetched: Mutex<Vec<u32>>,
    sessions: Mutex<BTreeMap<SessionId, Taken>>,
    /// Values whose labels are sealed so that they open for nobody.
    wrong: Inputs,
    pub(super) granted: Vec<GroupId>,
    pub(super) published: Mutex<Published>,
    made: BTreeMap<(u32, MatchMode), Vec<Segment>>,
    pub(super) per_day: u64,
}

/// What came of a session, as the centre keeps it for the next stream.
struct Taken {
    query: Query,
    /// First item and hash of each batch.
    batches: Vec<(u64, blake3::Hash)>,
    /// Evaluated points of a count.
    points: Vec<[u8; 32]>,
}

impl Taken {
    fn new(ask: &OpenAsk) -> Self {
        Self {
            query: Query::new(&ask.session, ask.items),
            batches: Vec::new(),
            points: Vec::new(),
        }
    }

    /// The item to go on with: a count takes nothing twice, and the other modes what is asked for again.
    fn next(&self, ask: &OpenAsk) -> u64 {
        let next = self.query.next();
        if ask.mode == MatchMode::Count || ask.resume_at >= next {
            return next;
        }
        let mut firsts = self.batches.iter().rev().map(|(first, _)| *first);
        firsts.find(|first| *first <= ask.resume_at).unwrap_or(0)
    }

    /// Takes a batch: the next one, or one that came before, unchanged; never that in a count.
    fn take(&mut self, batch: &Batch, mode: MatchMode) {
        let hash = blake3::hash(batch.points.0.as_flattened());
        if batch.first < self.query.next() {
            assert_ne!(mode, MatchMode::Count);
            assert!(self.batches.contains(&(batch.first, hash)));
            return;
        }
        self.query.take(batch).unwrap();
        self.batches.push((batch.first, hash));
    }
}

/// What is shown of the manifest.
#[derive(Clone)]
pub(super) struct Published {
    pub(super) manifest: Vec<u8>,
    pub(super) proof: Vec<u8>,
    pub(super) index: u64,
}

impl World {
    /// A centre with these groups, its manifest the `number`th, cosigned at `witnessed` by all.
    pub(super) fn new(kind: Algorithm, groups: Vec<Held>, number: u64) -> Self {
        Self::with_wrong_labels(kind, groups, number, Vec::new())
    }

    /// The same, and the labels of some values open for nobody.
    pub(super) fn with_wrong_labels(
        kind: Algorithm,
        groups: Vec<Held>,
        number: u64,
        wrong: Inputs,
    ) -> Self {
        let (roster, setups) = governed_network(4, true);
        let mut world = Self {
            roster,
            setup: setups[0].clone(),
            kind,
            granted: (0..).zip(&groups).map(|(n, _)| GroupId(n)).collect(),
            groups,
            lie: Mutex::new(Lie::None),
            opened: Mutex::default(),
            evaluated: AtomicU64::new(0),
            charged: AtomicU64::new(0),
            fetched: Mutex::default(),
            sessions: Mutex::default(),
            wrong,
            published: Mutex::new(Published {
                manifest: Vec::new(),
                proof: Vec::new(),
                index: 0,
            }),
            made: BTreeMap::new(),
            per_day: 1_000_000,
        };
        world.make();
        let manifest = world.manifest(number);
        let published = world.publish(&manifest, Timestamp::new(START.get() + 1_800), 4, true);
        *world.published.lock().unwrap() = published;
        world
    }

    pub(super) fn code(&self) -> u8 {
        self.kind.code().unwrap()
    }

    fn key(&self, group: u32, mode: MatchMode) -> ServerKey {
        let name = format!("{group} {mode:?}");
        ServerKey::derive(&[7; 32], name.as_bytes())
    }

    pub(super) fn space(&self, group: GroupId, mode: MatchMode) -> Space {
        Space {
            origin: self.setup.origin.clone(),
            epoch: Epoch(0),
            group,
            kind: self.code(),
            mode,
        }
    }

    pub(super) fn bits() -> TagBits {
        TagBits::of(1)
    }

    fn make(&mut self) {
        let mut made = BTreeMap::new();
        for (group, held) in (0_u32..).zip(&self.groups) {
            for mode in [MatchMode::Items, MatchMode::Labels] {
                let segments = (0_u32..)
                    .zip(&held.segments)
                    .map(|(number, (added, removed))| {
                        self.segment(GroupId(group), mode, number, added, removed)
                    });
                made.insert((group, mode), segments.collect());
            }
        }
        self.made = made;
    }

    fn segment(
        &self,
        group: GroupId,
        mode: MatchMode,
        number: u32,
        added: &[Vec<u8>],
        removed: &[Vec<u8>],
    ) -> Segment {
        let (key, space) = (self.key(group.0, mode), self.space(group, mode));
        let place = SegmentPlace::new(&space, None, number);
        let mut tagger = Tagger::new(&space, None, Self::bits());
        let mut tags = |inputs: &[Vec<u8>]| -> Vec<(Tag, [u8; 32])> {
            let items = key.items(inputs.iter().map(|input| &input[..]));
            let mut tags: Vec<_> = items
                .iter()
                .map(|item| (tagger.tag(&item.doubled), item.doubled))
                .collect();
            tags.sort_unstable();
            tags
        };
        let (added, removed) = (tags(added), tags(removed));
        let wrong = tags(&self.wrong);
        let removed: Vec<Tag> = removed.iter().map(|(tag, _)| *tag).collect();
        let segment = match mode {
            MatchMode::Labels => {
                let sealed = added.iter().map(|(tag, doubled)| {
                    let is_wrong = wrong.contains(&(*tag, *doubled));
                    let doubled = if is_wrong { &[9; 32] } else { doubled };
                    (*tag, label(group).seal(&place, *tag, doubled))
                });
                let sealed: Vec<_> = sealed.collect();
                encode_labelled(&place, Self::bits(), &sealed, &removed)
            }
            MatchMode::Items | MatchMode::Count => {
                let added: Vec<Tag> = added.iter().map(|(tag, _)| *tag).collect();
                encode(&place, Self::bits(), &added, &removed)
            }
        };
        segment.unwrap()
    }

    pub(super) fn manifest(&self, number: u64) -> Manifest {
        let artifact = |group: u32, mode| {
            let rows: Vec<SegmentRow> = self.made[&(group, mode)]
                .iter()
                .map(|segment| segment.row.clone())
                .collect();
            let sum = |pick: fn(&SegmentRow) -> u64| rows.iter().map(pick).sum::<u64>();
            Artifact {
                kind: self.code(),
                mode,
                key: *self.key(group, mode).public().as_bytes(),
                items: sum(|row| row.added) - sum(|row| row.removed),
                segments: rows,
            }
        };
        let groups = (0_u16..).zip(&self.groups).map(|(group, _)| Group {
            group: GroupId(group.into()),
            classes: vec![ClassId(group)],
            artifacts: vec![
                artifact(group.into(), MatchMode::Items),
                artifact(group.into(), MatchMode::Labels),
            ],
        });
        Manifest {
            network: self.roster.roster().network,
            origin: self.setup.origin.clone(),
            number,
            epoch: Epoch(0),
            log_size: 3,
            issued_at: START,
            from: START,
            until: Timestamp::new(START.get() + 86_400),
            bits: Self::bits(),
            groups: groups.collect(),
        }
    }

    /// Signs a manifest, logs it if it is to be, and has the head cosigned by so many.
    pub(super) fn publish(
        &self,
        manifest: &Manifest,
        at: Timestamp,
        witnesses: usize,
        is_logged: bool,
    ) -> Published {
        let signed = manifest.sign(&self.setup.signer(KeyUse::Manifest)).unwrap();
        let leaf = Leaf::MatchEpoch {
            manifest: signed.clone(),
        };
        let filler = |n: u64| n.to_be_bytes().to_vec();
        let mut leaves: Vec<Vec<u8>> = (0..8).map(filler).collect();
        let index = 5;
        if is_logged {
            leaves[5] = leaf.to_bytes().unwrap();
        }
        let grown = grow(&|_: &str| None, 0, &leaves).unwrap();
        let checkpoint = Checkpoint {
            origin: self.setup.origin.clone(),
            size: 8,
            root: grown.root,
        };
        let head = checkpoint.sign(&self.setup.signer(KeyUse::Log));
        let mut note = SignedNote::parse(head.note()).unwrap();
        for n in (1..4).take(witnesses) {
            let witness = CentreSetup::numbered(n);
            let name = witness_name(&witness.origin);
            note.cosign(&name, &witness.signer(KeyUse::Witness), at)
                .unwrap();
        }
        if witnesses > 3 {
            note.cosign(AUDITOR, &auditor(), at).unwrap();
        }
        let files: BTreeMap<String, Vec<u8>> = grown
            .files
            .into_iter()
            .map(|file| (file.path, file.bytes))
            .collect();
        let files = |path: &str| files.get(path).cloned();
        let path = inclusion_proof(&files, 8, index, 8).unwrap();
        let proof = LogProof::new(None, index, path, &note.to_bytes()).unwrap();
        Published {
            manifest: signed,
            proof: proof.to_text().into_bytes(),
            index,
        }
    }

    /// Root and first chunk of the first segment of a group, mode `items`.
    pub(super) fn segment_of(&self, group: u32) -> (Hash, Vec<u8>) {
        let segment = &self.made[&(group, MatchMode::Items)][0];
        (segment.row.root, segment.chunks[0].clone())
    }

    pub(super) fn lie(&self, lie: Lie) {
        *self.lie.lock().unwrap() = lie;
    }

    fn lies(&self, lie: Lie) -> bool {
        *self.lie.lock().unwrap() == lie
    }

    /// Answers one stream.
    async fn serve(self: Arc<Self>, mut stream: Pipe) -> io::Result<()> {
        if self.lies(Lie::Silent) {
            let mut sink = [0; 1024];
            while stream.read(&mut sink).await? > 0 {}
            return Ok(());
        }
        match hear(&mut stream).await? {
            Ask::Manifest => {
                let Published {
                    manifest,
                    proof,
                    index,
                } = self.published.lock().unwrap().clone();
                let answer = Answer::Manifest {
                    manifest,
                    proof,
                    index,
                };
                say(&mut stream, &answer).await
            }
            Ask::Segment(ask) => {
                let segments = &self.made[&(ask.group.0, ask.mode)];
                let segment = segments
                    .iter()
                    .find(|segment| segment.row.root == ask.segment);
                let mut segment = segment.unwrap();
                if self.lies(Lie::OtherChunks) {
                    segment = &self.made[&(1 - ask.group.0, ask.mode)][0];
                }
                let chunks = match ask.labels {
                    true => &segment.label_chunks,
                    false => &segment.chunks,
                };
                self.fetched.lock().unwrap().push(ask.from_chunk);
                self.chunks(&mut stream, chunks, ask.from_chunk).await
            }
            Ask::Open(ask) => self.session(stream, ask).await,
            Ask::Batch(_) | Ask::Finish { .. } => Ok(()),
        }
    }

    async fn chunks(&self, stream: &mut Pipe, chunks: &[Vec<u8>], from: u32) -> io::Result<()> {
        let rest = (0_u32..).zip(chunks).skip(from as usize);
        for (sent, (index, bytes)) in rest.enumerate() {
            if self.lies(Lie::CutChunks(sent)) {
                self.lie(Lie::None);
                return Ok(());
            }
            self.dribble().await;
            let bytes = bytes.clone();
            say(stream, &Answer::Chunk(Chunk { index, bytes })).await?;
        }
        if self.lies(Lie::Endless) {
            for index in (0..).skip(chunks.len()) {
                let bytes = chunks[0].clone();
                say(stream, &Answer::Chunk(Chunk { index, bytes })).await?;
            }
        }
        say(stream, &Answer::End).await
    }

    async fn session(&self, mut stream: Pipe, ask: OpenAsk) -> io::Result<()> {
        self.opened.lock().unwrap().push(ask);
        let is_known = self.sessions.lock().unwrap().contains_key(&ask.session);
        if is_known && self.lies(Lie::Forgets) {
            let refused = Answer::Refused {
                code: RefusalCode::NotFound,
                text: "begin a new one".to_owned(),
            };
            return say(&mut stream, &refused).await;
        }
        {
            let mut sessions = self.sessions.lock().unwrap();
            sessions.entry(ask.session).or_insert_with(|| {
                self.charged.fetch_add(ask.items, Ordering::Relaxed);
                Taken::new(&ask)
            });
        }
        let used = self.charged.load(Ordering::Relaxed);
        if used > self.per_day {
            let refused = Answer::Refused {
                code: RefusalCode::OverQuota,
                text: "1,000 of 1,000 are used".to_owned(),
            };
            return say(&mut stream, &refused).await;
        }
        let counts = ask.mode == MatchMode::Count;
        let key = match self.lies(Lie::ListedKey) {
            true => self.key(0, MatchMode::Items),
            false => ServerKey::derive(&ask.session.0.repeat(2).try_into().unwrap(), b"session"),
        };
        let next = match self.lies(Lie::Skips) {
            true => ask.items,
            false => self.taken(&ask, |taken| taken.next(&ask)),
        };
        let opened = Opened {
            groups: self.granted.clone(),
            used,
            per_day: self.per_day,
            session_key: counts.then(|| *key.public().as_bytes()),
            next,
        };
        say(&mut stream, &Answer::Opened(opened)).await?;
        match counts {
            true => self.count(stream, ask, &key).await,
            false => self.evaluate(stream, ask).await,
        }
    }

    fn taken<T>(&self, ask: &OpenAsk, with: impl FnOnce(&mut Taken) -> T) -> T {
        with(self.sessions.lock().unwrap().get_mut(&ask.session).unwrap())
    }

    async fn dribble(&self) {
        if self.lies(Lie::Dribbles) {
            tokio::time::sleep(std::time::Duration::from_millis(400)).await;
        }
    }

    /// Whether the stream is to be cut, which is done once.
    fn cuts(&self, batches: u64) -> bool {
        let lie = *self.lie.lock().unwrap();
        let cuts = matches!(lie, Lie::CutAfter(limit) if batches >= limit);
        if cuts {
            self.lie(Lie::None);
        }
        cuts
    }

    async fn evaluate(&self, mut stream: Pipe, ask: OpenAsk) -> io::Result<()> {
        let mut rng = ChaCha20Rng::from_seed([3; 32]);
        let mut last = None;
        let mut batches = 0;
        loop {
            let batch = match hear(&mut stream).await? {
                Ask::Batch(batch) => {
                    self.taken(&ask, |taken| taken.take(&batch, ask.mode));
                    batch
                }
                Ask::Finish { query } => {
                    self.taken(&ask, |taken| taken.query.finish(&query))
                        .unwrap();
                    let record = self.record(&ask, query);
                    return say(&mut stream, &Answer::Closed { record }).await;
                }
                Ask::Manifest | Ask::Segment(_) | Ask::Open(_) => return Ok(()),
            };
            for group in &self.granted {
                if self.cuts(batches) {
                    return Ok(());
                }
                let lie = *self.lie.lock().unwrap();
                let is_wrong = lie == Lie::WrongKey;
                let key = self.key(if is_wrong { 99 } else { group.0 }, ask.mode);
                let honest = key.evaluate_proven(&batch.points.0, &mut rng).unwrap();
                let Evaluation { mut points, proof } = honest;
                self.evaluated
                    .fetch_add(points.len() as u64, Ordering::Relaxed);
                let mut sent = proof;
                if lie == Lie::OldProof {
                    sent = last.unwrap_or(proof);
                } else if lie == Lie::Swapped {
                    points.swap(0, 1);
                } else if lie == Lie::Identity {
                    points[3] = [0; 32];
                }
                last = Some(proof);
                let is_other = lie == Lie::OtherGroup;
                let group = if is_other { GroupId(77) } else { *group };
                let answer = Answer::Evaluated {
                    first: batch.first,
                    group,
                    points: Points(points),
                    proof: sent.0,
                };
                say(&mut stream, &answer).await?;
            }
            batches += 1;
        }
    }

    async fn count(&self, mut stream: Pipe, ask: OpenAsk, key: &ServerKey) -> io::Result<()> {
        let mut batches = 0;
        let claimed = loop {
            match hear(&mut stream).await? {
                Ask::Batch(batch) => {
                    let points = key.evaluate(&batch.points.0).unwrap();
                    self.taken(&ask, |taken| {
                        taken.take(&batch, ask.mode);
                        taken.points.extend(points);
                    });
                    batches += 1;
                    if self.cuts(batches) {
                        return Ok(());
                    }
                }
                Ask::Finish { query } => break query,
                Ask::Manifest | Ask::Segment(_) | Ask::Open(_) => return Ok(()),
            }
        };
        if self.lies(Lie::CutAtFinish) {
            self.lie(Lie::None);
            return Ok(());
        }
        let mut points = self.taken(&ask, |taken| {
            taken.query.finish(&claimed).unwrap();
            taken.points.clone()
        });
        points.sort_unstable();
        if self.lies(Lie::Repeats) {
            points.push(points[0]);
        }
        for (at, part) in points.chunks(1_000).enumerate() {
            let (first, points) = (at as u64 * 1_000, Points(part.to_vec()));
            say(&mut stream, &Answer::Shuffled { first, points }).await?;
        }
        let space = self.space(GroupId::ALL, MatchMode::Count);
        let place = SegmentPlace::new(&space, Some(&ask.session), 0);
        let mut tagger = Tagger::new(&space, Some(&ask.session), Self::bits());
        let live = self.live();
        let items = key.items(live.iter().map(|input| &input[..]));
        let mut tags: Vec<Tag> = items.iter().map(|item| tagger.tag(&item.doubled)).collect();
        tags.sort_unstable();
        tags.dedup();
        let segment = encode(&place, Self::bits(), &tags, &[]).unwrap();
        say(&mut stream, &Answer::Artifact(segment.row.clone())).await?;
        self.chunks(&mut stream, &segment.chunks, 0).await?;
        let record = self.record(&ask, claimed);
        say(&mut stream, &Answer::Closed { record }).await
    }

    /// The centre's record of a session, or of another one.
    fn record(&self, ask: &OpenAsk, query: Hash) -> Vec<u8> {
        let lies = self.lies(Lie::OtherRecord);
        SessionRecord {
            network: self.roster.roster().network,
            session: ask.session,
            origin: self.setup.origin.clone(),
            asker: Asker::Centre(CentreSetup::numbered(2).id),
            role: Role::Server,
            mode: ask.mode,
            kind: ask.kind,
            groups: self.granted.clone(),
            epoch: ask.epoch,
            purpose: ask.purpose,
            items: ask.items,
            received: Some(ask.items),
            matches: None,
            used: self.charged.load(Ordering::Relaxed),
            per_day: self.per_day,
            from: START,
            until: now(),
            query: Some(if lies { [9; 32] } else { query }),
            blinds: None,
            manifest: Some(5),
            refusal: None,
        }
        .to_bytes()
    }

    /// What is in, over all granted groups.
    pub(super) fn live(&self) -> Vec<Vec<u8>> {
        let mut live = std::collections::BTreeSet::new();
        for group in &self.granted {
            let mut of_group = std::collections::BTreeSet::new();
            for (added, removed) in &self.groups[group.0 as usize].segments {
                removed.iter().for_each(|input| {
                    of_group.remove(input);
                });
                of_group.extend(added.iter().cloned());
            }
            live.extend(of_group);
        }
        live.into_iter().collect()
    }
}

/// What the centre says of every entry of a group.
pub(super) fn label(group: GroupId) -> Label {
    Label {
        severity: Set::<Severity>::full(),
        depiction: Set::of(&[Depiction::Real]),
        state: Set::of(&[State::Assessed]),
        minor_certain: group.0 == 0,
    }
}

async fn hear(stream: &mut Pipe) -> io::Result<Ask> {
    let mut prefix = [0; FRAME_PREFIX];
    stream.read_exact(&mut prefix).await?;
    let mut bytes = vec![0; frame_length(prefix).unwrap()];
    stream.read_exact(&mut bytes).await?;
    Ok(Ask::from_bytes(&bytes).unwrap())
}

async fn say(stream: &mut Pipe, answer: &Answer) -> io::Result<()> {
    stream.write_all(&frame(&answer.to_bytes())).await?;
    stream.flush().await
}

/// One end of a stream in memory. What goes through one is kept, as on a wire that somebody taps.
pub(super) struct Pipe {
    inner: DuplexStream,
    tap: Option<Arc<Mutex<Vec<u8>>>>,
}

impl AsyncRead for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffer = tokio::io::ReadBuf::new(out);
        let read = tokio::io::AsyncRead::poll_read(Pin::new(&mut self.inner), cx, &mut buffer);
        let filled = buffer.filled();
        if let (Poll::Ready(Ok(())), Some(tap)) = (&read, &self.tap) {
            tap.lock().unwrap().extend_from_slice(filled);
        }
        read.map_ok(|()| filled.len())
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = tokio::io::AsyncWrite::poll_write(Pin::new(&mut self.inner), cx, bytes);
        if let (Poll::Ready(Ok(count)), Some(tap)) = (&written, &self.tap) {
            tap.lock().unwrap().extend_from_slice(&bytes[..*count]);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        tokio::io::AsyncWrite::poll_flush(Pin::new(&mut self.inner), cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        tokio::io::AsyncWrite::poll_shutdown(Pin::new(&mut self.inner), cx)
    }
}

/// Opens streams to a world.
pub(super) struct ToWorld {
    pub(super) world: Arc<World>,
    /// Everything that went either way.
    pub(super) tap: Arc<Mutex<Vec<u8>>>,
}

impl ToWorld {
    pub(super) fn new(world: &Arc<World>) -> Self {
        Self {
            world: Arc::clone(world),
            tap: Arc::default(),
        }
    }
}

impl Opener for ToWorld {
    type Stream = Pipe;

    async fn open(&self) -> io::Result<Pipe> {
        let (near, far) = tokio::io::duplex(1 << 16);
        let far = Pipe {
            inner: far,
            tap: None,
        };
        tokio::spawn(Arc::clone(&self.world).serve(far));
        Ok(Pipe {
            inner: near,
            tap: Some(Arc::clone(&self.tap)),
        })
    }
}
