//! Own tags against the tags of an artifact: which of ours are in it.
//!
//! Own evaluated items come in any order and are gathered into runs; a full run is sorted once and walked along every
//! segment of its artifact, which is sorted too. The last segment that mentions a tag says whether it is in. Until the segments
//! are here, a first run is gathered; what comes beyond it is read from the cache in the end, so that nobody waits for a
//! download and memory stays bounded. In scope: comparing. Out of scope: where segments come from (`download`), and that no
//! tag is made before its proof holds (`session`).

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use hashpact_protocol::psi::{Chunk, Label, SegmentRow, SessionId, Space, Tag, TagBits, Tagger};
use tokio::sync::{mpsc, oneshot};
use zeroize::Zeroize as _;

use super::cache::{Cache, CacheError, Name};
use super::order::{Phase, Progress};
use super::run::Hear;
use super::segment::{LabelFile, SegmentFault, SegmentFile, SegmentStream};

/// Items of one run: 16 MB of tags and points.
const RUN_ITEMS: usize = 1 << 18;

/// An evaluated item of ours: its number in the list, and the encoding of `2U`.
pub(super) type Evaluated = (u32, [u8; 32]);

/// What is evaluated, for who compares: the group's place in the session, and items.
pub(super) type Handed = (usize, Vec<Evaluated>);

/// The segments of one artifact, as files of tags and of labels.
pub(super) struct Segments {
    pub(super) space: Space,
    pub(super) bits: TagBits,
    pub(super) rows: Vec<(SegmentRow, PathBuf, Option<PathBuf>)>,
}

/// What matched in one artifact.
#[derive(Default)]
pub(super) struct Matched {
    /// Numbers of the list's items, each with its label where the mode has labels; unsorted, maybe repeated.
    pub(super) items: Vec<(u32, Option<Label>)>,
    /// Tags that were met and whose label does not open: no match.
    pub(super) unopened: u64,
}

impl Matched {
    /// By number, each once.
    pub(super) fn sorted(mut self) -> Vec<(u32, Option<Label>)> {
        self.items.sort_by_key(|(item, _)| *item);
        self.items.dedup_by_key(|(item, _)| *item);
        self.items
    }
}

/// Why comparing ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum CompareError {
    /// A segment.
    #[error(transparent)]
    Segment(#[from] SegmentFault),
    /// The cache.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// No segments will come.
    #[error("given up")]
    GivenUp,
}

/// The task that compares, for all groups of a session.
pub(super) struct Comparing {
    pub(super) cache: Arc<Cache>,
    pub(super) spaces: Vec<Space>,
    pub(super) numbers: Arc<HashMap<Name, u32>>,
    pub(super) hear: Hear,
}

impl Comparing {
    /// Compares what comes, until nothing more can; with `from_cache` also all that the cache holds of the list. Blocks.
    pub(super) fn run(
        self,
        mut incoming: mpsc::Receiver<Handed>,
        mut segments: oneshot::Receiver<Vec<Segments>>,
        mut from_cache: bool,
    ) -> Result<Vec<Matched>, CompareError> {
        let (mut waiting, mut held) = (Vec::new(), 0);
        let mut comparers: Option<Vec<Comparer>> = None;
        while let Some((group, items)) = incoming.blocking_recv() {
            if comparers.is_none() {
                comparers = match segments.try_recv() {
                    Ok(segments) => Some(self.start(segments, &mut waiting)?),
                    Err(oneshot::error::TryRecvError::Empty) => None,
                    Err(oneshot::error::TryRecvError::Closed) => return Err(CompareError::GivenUp),
                };
            }
            match &mut comparers {
                Some(comparers) => self.take(comparers, group, &items)?,
                None if held < RUN_ITEMS => {
                    held += items.len();
                    waiting.push((group, items));
                }
                // It is in the cache, and read from there when the segments are here.
                None => from_cache = true,
            }
        }
        let mut comparers = match comparers {
            Some(comparers) => comparers,
            None => {
                let segments = segments
                    .blocking_recv()
                    .map_err(|_| CompareError::GivenUp)?;
                self.start(segments, &mut waiting)?
            }
        };
        if from_cache {
            self.take_cached(&mut comparers)?;
        }
        let finished = comparers.into_iter().map(Comparer::finish);
        Ok(finished.collect::<Result<_, _>>()?)
    }

    fn start(
        &self,
        segments: Vec<Segments>,
        waiting: &mut Vec<Handed>,
    ) -> Result<Vec<Comparer>, CompareError> {
        let mut comparers: Vec<_> = segments.into_iter().map(Comparer::new).collect();
        for (group, items) in waiting.drain(..) {
            self.take(&mut comparers, group, &items)?;
        }
        Ok(comparers)
    }

    fn take(
        &self,
        comparers: &mut [Comparer],
        group: usize,
        items: &[Evaluated],
    ) -> Result<(), CompareError> {
        let comparer = comparers.get_mut(group).ok_or(CompareError::GivenUp)?;
        if comparer.take(items)? {
            let done = comparers.iter().map(|comparer| comparer.compared).sum();
            (self.hear)(Progress {
                phase: Phase::Compare,
                done,
                total: None,
            });
        }
        Ok(())
    }

    fn take_cached(&self, comparers: &mut [Comparer]) -> Result<(), CompareError> {
        for (space, comparer) in self.spaces.iter().zip(comparers) {
            let mut fault = None;
            let mut each = |number: u32, _: &SessionId, doubled: &[u8; 32]| {
                if fault.is_none() {
                    fault = comparer.take(&[(number, *doubled)]).err();
                }
            };
            self.cache.items(space, &self.numbers, &mut each)?;
            match fault {
                Some(error) => return Err(error.into()),
                None => continue,
            }
        }
        Ok(())
    }
}

/// Compares the items of one artifact.
struct Comparer {
    segments: Segments,
    tagger: Tagger,
    /// Tag, and place in `run`.
    tags: Vec<(Tag, u32)>,
    run: Vec<Evaluated>,
    matched: Matched,
    compared: u64,
}

/// Where a tag was last said to be in: which segment, and which of its added tags.
type Place = (usize, u64);

impl Comparer {
    fn new(segments: Segments) -> Self {
        let tagger = Tagger::new(&segments.space, None, segments.bits);
        Self {
            segments,
            tagger,
            tags: Vec::new(),
            run: Vec::new(),
            matched: Matched::default(),
            compared: 0,
        }
    }

    /// Takes evaluated items; says whether a run of them was compared.
    fn take(&mut self, items: &[Evaluated]) -> Result<bool, SegmentFault> {
        let before = self.compared;
        for item in items {
            let place = u32::try_from(self.run.len()).unwrap_or(u32::MAX);
            self.tags.push((self.tagger.tag(&item.1), place));
            self.run.push(*item);
            if self.run.len() == RUN_ITEMS {
                self.compare()?;
            }
        }
        Ok(self.compared > before)
    }

    /// What matched of all that was taken.
    fn finish(mut self) -> Result<Matched, SegmentFault> {
        self.compare()?;
        Ok(self.matched)
    }

    fn compare(&mut self) -> Result<(), SegmentFault> {
        if self.run.is_empty() {
            return Ok(());
        }
        self.tags.sort_unstable();
        let mut places: Vec<Option<Place>> = vec![None; self.tags.len()];
        for (number, (row, path, _)) in self.segments.rows.iter().enumerate() {
            let (space, bits) = (&self.segments.space, self.segments.bits);
            let mut file = SegmentFile::open(path, space, bits, row)?;
            let mut walk = Walk::default();
            while let Some(mention) = file.next()? {
                let place = mention.added.map(|index| (number, index));
                walk.find(&self.tags, mention.tag, |at| {
                    if let Some(known) = places.get_mut(at) {
                        *known = place;
                    }
                });
            }
        }
        self.settle(&places)?;
        self.compared += self.run.len() as u64;
        self.tags.clear();
        self.run
            .iter_mut()
            .for_each(|(_, doubled)| doubled.zeroize());
        self.run.clear();
        Ok(())
    }

    /// Takes over what is in, with its label where there are labels.
    fn settle(&mut self, places: &[Option<Place>]) -> Result<(), SegmentFault> {
        let mut found: Vec<(Place, usize)> = Vec::new();
        for (at, place) in places.iter().enumerate() {
            found.extend(place.map(|place| (place, at)));
        }
        found.sort_unstable();
        for part in found.chunk_by(|a, b| a.0.0 == b.0.0) {
            let number = part.first().map_or(0, |found| found.0.0);
            let Some((row, _, labels)) = self.segments.rows.get(number) else {
                continue;
            };
            let space = &self.segments.space;
            let labels = labels
                .as_ref()
                .map(|path| LabelFile::open(path, space, row));
            let mut labels = labels.transpose()?;
            for ((_, index), at) in part {
                let Some((tag, place)) = self.tags.get(*at).copied() else {
                    continue;
                };
                let Some((item, doubled)) = self.run.get(place as usize) else {
                    continue;
                };
                let label = match &mut labels {
                    Some(labels) => match labels.open_label(*index, tag, doubled)? {
                        // To stop here would tell a centre that seals one label wrongly that we asked about its item.
                        None => {
                            self.matched.unopened += 1;
                            continue;
                        }
                        opened => opened,
                    },
                    None => None,
                };
                self.matched.items.push((*item, label));
            }
        }
        Ok(())
    }
}

/// Goes along sorted own tags as other sorted tags come.
#[derive(Default)]
struct Walk {
    at: usize,
    last: Option<Tag>,
}

impl Walk {
    /// Hands out the places of a tag. Tags come in ascending order; a lower one begins another round.
    fn find(&mut self, tags: &[(Tag, u32)], tag: Tag, mut found: impl FnMut(usize)) {
        if self.last.is_some_and(|last| tag < last) {
            self.at = 0;
        }
        self.last = Some(tag);
        while tags.get(self.at).is_some_and(|(own, _)| *own < tag) {
            self.at += 1;
        }
        let equal = tags.iter().skip(self.at).take_while(|(own, _)| *own == tag);
        (self.at..self.at + equal.count()).for_each(&mut found);
    }
}

/// How many of our tags are in an artifact that streams by.
pub(super) struct Overlap {
    stream: SegmentStream,
    tags: Vec<(Tag, u32)>,
    walk: Walk,
    matches: u64,
}

impl Overlap {
    /// For distinct own tags, sorted.
    pub(super) fn new(
        space: &Space,
        session: Option<&SessionId>,
        bits: TagBits,
        row: &SegmentRow,
        tags: Vec<Tag>,
    ) -> Self {
        Self {
            stream: SegmentStream::new(space, session, bits, row),
            tags: tags.into_iter().map(|tag| (tag, 0)).collect(),
            walk: Walk::default(),
            matches: 0,
        }
    }

    /// Takes the next chunk.
    pub(super) fn take(&mut self, chunk: &Chunk) -> Result<(), SegmentFault> {
        for tag in self.stream.take(chunk)? {
            self.walk.find(&self.tags, *tag, |_| self.matches += 1);
        }
        Ok(())
    }

    /// The number, once the whole artifact came and is what was announced.
    pub(super) fn finish(self) -> Result<u64, SegmentFault> {
        self.stream.finish()?;
        Ok(self.matches)
    }
}
