//! A centre opens drawn tags: which of its records each is of, and that its key made them.
//!
//! Points are read through once, and the deltas in the order of the log until every tag has its record: an audit, not a
//! look-up. In scope: finding, proving. Out of scope: who may ask (the control socket: whoever has the home).

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use hashpact_protocol::delta::{RecordProof, Seq};
use hashpact_protocol::fingerprint::Fingerprint;
use hashpact_protocol::labels::ClassId;
use hashpact_protocol::psi::{Manifest, MatchSample, SampleError, Tag, input};
use hashpact_protocol::record::{EntryId, Record};
use hashpact_protocol::view::View as _;

use super::super::desk::Desk;
use super::super::evaluator::EvaluateError;
use super::super::points::{Change, IdKey, Merged, Run, RunError};
use super::super::state::{ArtifactState, GroupState, SegmentState, run_file, tags_file};
use super::Place;
use crate::store::{FoundEntry, LookupError, ProveError, Store};

/// Why tags are not opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("this artifact is not served any more: draw from a newer manifest")]
    Gone,
    #[error(
        "{count} of {of} drawn tags are of no record that stands in this log before the manifest: retracted since, or strangers"
    )]
    Strangers { count: usize, of: usize },
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Lookup(#[from] LookupError),
    #[error(transparent)]
    Prove(#[from] ProveError),
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    #[error(transparent)]
    Sample(#[from] SampleError),
}

/// A manifest in the log of this centre.
pub(crate) struct Logged {
    pub(crate) leaf: u64,
    pub(crate) signed: Vec<u8>,
    pub(crate) manifest: Manifest,
}

type Opened = Vec<(RecordProof, u8)>;

impl Desk {
    /// The files of an artifact's segments, each with its number, in the order of the manifest.
    pub(crate) fn segment_files(
        &self,
        manifest: &Manifest,
        place: Place,
    ) -> Result<Vec<(u32, PathBuf)>, OpenError> {
        let (folder, _, artifact) = self.artifact(manifest, place)?;
        let (group, kind, mode) = place;
        let listed = manifest.artifact(group, kind, mode);
        let rows = listed.map_or(&[][..], |listed| &listed.segments);
        let mut files = Vec::with_capacity(rows.len());
        for row in rows {
            let mut segments = artifact.segments.iter().chain(&artifact.retired);
            let is_it = |segment: &&SegmentState| segment.row == *row;
            let found = segments.find(is_it).ok_or(OpenError::Gone)?;
            files.push((row.number, tags_file(&folder, found.file)));
        }
        Ok(files)
    }

    fn artifact(
        &self,
        manifest: &Manifest,
        (group, kind, mode): Place,
    ) -> Result<(PathBuf, GroupState, ArtifactState), OpenError> {
        let state = self.shared.state();
        let epoch = state.epochs.iter().find(|it| it.epoch == manifest.epoch);
        let epoch = epoch.ok_or(OpenError::Gone)?;
        let group = epoch.groups.iter().find(|it| it.id == group);
        let group = group.ok_or(OpenError::Gone)?;
        let is_it = |it: &&ArtifactState| (it.kind, it.mode) == (kind, mode);
        let artifact = group.artifacts.iter().find(is_it).ok_or(OpenError::Gone)?;
        let folder = self.folder.artifact(epoch.epoch, group.id, artifact);
        Ok((folder, group.clone(), artifact.clone()))
    }

    /// The sample of these tags. Blocks for as long as it reads; call it where that is allowed.
    pub(crate) fn sample(
        &self,
        store: &Store,
        logged: &Logged,
        place: Place,
        tags: &[Tag],
    ) -> Result<MatchSample, OpenError> {
        let (group, kind, mode) = place;
        let opened = self.opened(store, logged, place, tags)?;
        let inputs = MatchSample::inputs(&opened, kind)?;
        let evaluated = self.open(logged.manifest.epoch, group, kind, mode, inputs);
        let evaluation = tokio::runtime::Handle::current().block_on(evaluated)?;
        Ok(MatchSample::with(&logged.signed, place, opened, evaluation))
    }

    /// For each tag a record of this log, proven, and which of its fingerprints it is.
    fn opened(
        &self,
        store: &Store,
        logged: &Logged,
        place: Place,
        tags: &[Tag],
    ) -> Result<Opened, OpenError> {
        let of = tags.len();
        let ids = self.ids.get().ok_or(OpenError::Gone)?;
        let prints = self.prints(store, ids, logged, place, tags)?;
        let classes = classes(&logged.manifest, place);
        let mut wanted: BTreeMap<(Seq, ClassId), Vec<(usize, EntryId)>> = BTreeMap::new();
        let mut strangers = 0;
        for (at, tag) in tags.iter().enumerate() {
            match first_holder(store, prints.get(tag), &classes)? {
                Some(found) => {
                    let of_class = wanted.entry((found.seq, found.class)).or_default();
                    of_class.push((at, found.record.entry));
                }
                None => strangers += 1,
            }
        }
        let mut opened = BTreeMap::new();
        for ((seq, class), list) in wanted {
            let entries: Vec<EntryId> = list.iter().map(|(_, entry)| *entry).collect();
            let (leaf, proofs) = store.record_proofs(store.own_origin(), seq, class, &entries)?;
            if leaf >= logged.leaf {
                strangers += list.len();
                continue;
            }
            for ((at, _), proof) in list.into_iter().zip(proofs) {
                let print = tags.get(at).and_then(|tag| prints.get(tag));
                let which = which(&proof, print, place.1);
                let which = which.ok_or(SampleError::Fingerprint { at })?;
                opened.insert(at, (proof, which));
            }
        }
        match strangers {
            0 => Ok(opened.into_values().collect()),
            count => Err(OpenError::Strangers { count, of }),
        }
    }

    /// The fingerprints of tags, as far as own records that count have them.
    fn prints(
        &self,
        store: &Store,
        ids: &IdKey,
        logged: &Logged,
        place: Place,
        tags: &[Tag],
    ) -> Result<BTreeMap<Tag, Fingerprint>, OpenError> {
        let (folder, _, artifact) = self.artifact(&logged.manifest, place)?;
        let drawn: BTreeSet<Tag> = tags.iter().copied().collect();
        let runs = artifact.runs.iter();
        let runs = runs.map(|run| Run::open(&run_file(&folder, run.file)));
        let mut wanted = BTreeMap::new();
        for row in Merged::new(runs.collect::<Result<_, _>>()?)? {
            let row = row?;
            if row.change == Change::Added && drawn.contains(&row.tag) {
                wanted.insert(row.id, row.tag);
            }
        }
        let classes = classes(&logged.manifest, place);
        let mut prints = BTreeMap::new();
        for seq in 0..store.log(store.own_origin()).witnessed_seq.0 {
            if wanted.is_empty() {
                break;
            }
            for record in store.own_records(Seq(seq))? {
                if !classes.contains(&record.class) {
                    continue;
                }
                for print in record.fingerprints {
                    let bytes = input(&print).filter(|_| is_of(&print, place.1));
                    if let Some(tag) = bytes.and_then(|bytes| wanted.remove(&ids.id(&bytes))) {
                        prints.insert(tag, print);
                    }
                }
            }
        }
        Ok(prints)
    }
}

fn is_of(print: &Fingerprint, kind: u8) -> bool {
    print.algorithm().code() == Some(kind)
}

fn classes(manifest: &Manifest, (group, ..): Place) -> BTreeSet<ClassId> {
    let group = manifest.group(group);
    let classes = group.map(|group| group.classes.iter().copied());
    classes.into_iter().flatten().collect()
}

/// The record that held a fingerprint first, of those in classes of the group.
fn first_holder(
    store: &Store,
    print: Option<&Fingerprint>,
    classes: &BTreeSet<ClassId>,
) -> Result<Option<FoundEntry>, OpenError> {
    let Some(print) = print else { return Ok(None) };
    let holders = store.own_holders(print)?.into_iter();
    let holders = holders.filter(|found| classes.contains(&found.class));
    Ok(holders.min_by_key(|found| found.seq))
}

/// Which of the record's fingerprints of a type one is, from 0.
fn which(proof: &RecordProof, print: Option<&Fingerprint>, kind: u8) -> Option<u8> {
    let record = Record::from_bytes(proof.record()).ok()?;
    let mut of_type = record.fields.matchable().filter(|own| is_of(own, kind));
    let at = of_type.position(|own| Some(own) == print)?;
    u8::try_from(at).ok()
}
