//! A sample of what is matched, opened for an auditor who may see hashes: that the matched set is the logged set.
//!
//! Why: the manifest shows everybody the same set, and not that the set is that of the logged entries. The auditor draws tags of an
//! artifact that it has read; for each the centre opens the record, with the proof that it signed it, and one proof shows
//! that all of them were evaluated under the artifact's key. 300 tags without a stranger among them say, with 95 %
//! confidence, that less than 1 % are strangers (0.99^300 = 0.049). Spec: `docs/protocol.md`, "Match sample". In scope: the
//! file and its check; `draw`: which tags. Out of scope: whether a record has been retracted since, and that its header
//! stands in the log (`log`). **The file holds fingerprints.**

use std::collections::BTreeSet;
use std::fmt;

use hashpact_keys::canonical::encode;
use hashpact_keys::reader::{ReadError, Reader, ShapeError};
use hashpact_keys::roster::CentreEntry;
use rand_core::CryptoRng;
use sha2::{Digest as _, Sha256};

use super::exchange::Points;
use super::manifest::{Manifest, ManifestError};
use super::oprf::{BatchError, Evaluation, FinishError, Proof, PublicKey, ServerKey, Verifier};
use super::space::{GroupId, input};
use super::tag::{Tag, Tagger};
use crate::b3::Hash;
use crate::delta::{ProvenRecord, RecordProof, RecordProofError};
use crate::fingerprint::Fingerprint;
use crate::labels::ClassId;
use crate::limits;
use crate::lists::ClosedList as _;
use crate::policy::MatchMode;
use crate::record::Record;

pub use draw::{positions, strangers_below};

/// What the bytes begin with, so that a file of this kind is known by itself.
const MAGIC: &str = "hashpact-match-sample";

/// Tags of one artifact, opened. What it says is true only once [`MatchSample::verify`] has said so.
#[derive(Clone, PartialEq, Eq)]
pub struct MatchSample {
    /// SHA-256 of the signed manifest.
    pub manifest: Hash,
    /// The group.
    pub group: GroupId,
    /// Code of the fingerprint type.
    pub kind: u8,
    /// The mode.
    pub mode: MatchMode,
    /// For each drawn tag, in their order, the record and which of its fingerprints of the type it is, from 0.
    pub opened: Vec<(RecordProof, u8)>,
    evaluation: Evaluation,
}

// It holds fingerprints.
impl fmt::Debug for MatchSample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MatchSample({} opened)", self.opened.len())
    }
}

/// Why a sample is not made, or is refused. Nothing here shows a byte of a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SampleError {
    /// More bytes than a sample may have.
    #[error("match sample: {got} bytes, at most {}", limits::MATCH_SAMPLE_BYTES)]
    TooLarge {
        /// Their number.
        got: usize,
    },
    /// Not canonical, or not of this format.
    #[error("match sample: {0}")]
    Read(#[from] ReadError),
    /// A value that the format does not allow.
    #[error("match sample: expected {expected}")]
    Value {
        /// What is allowed.
        expected: &'static str,
    },
    /// The manifest.
    #[error("match sample: {0}")]
    Manifest(#[from] ManifestError),
    /// It is of another manifest.
    #[error("match sample: it is not of this manifest")]
    OtherManifest,
    /// The manifest has no such artifact.
    #[error("match sample: the manifest has no such artifact, or one without a key")]
    Artifact,
    /// Not as many as were drawn.
    #[error("match sample: {got} tags opened, expected {expected}")]
    Count {
        /// Tags that were drawn.
        expected: usize,
        /// Tags that were opened.
        got: usize,
    },
    /// A record whose proof does not hold.
    #[error("match sample: tag {at}: {source}")]
    Record {
        /// Its place in the sample.
        at: usize,
        /// Why.
        source: RecordProofError,
    },
    /// A record of a class that is not in the group.
    #[error("match sample: tag {at} is of class {class}, which is not in the group")]
    Class {
        /// Its place in the sample.
        at: usize,
        /// The class.
        class: ClassId,
    },
    /// A record without that fingerprint.
    #[error("match sample: tag {at}: its record has no such fingerprint that may be matched")]
    Fingerprint {
        /// Its place in the sample.
        at: usize,
    },
    /// The points are not those that the server's key would give.
    #[error("match sample: {0}")]
    Evaluation(#[from] FinishError),
    /// The items cannot be evaluated together.
    #[error("match sample: {0}")]
    Batch(#[from] BatchError),
    /// The opened record is another one's: its tag is not the drawn one.
    #[error("match sample: tag {at} is not that of the record that was opened for it")]
    Stranger {
        /// Its place in the sample.
        at: usize,
    },
}

impl From<ShapeError> for SampleError {
    fn from(error: ShapeError) -> Self {
        Self::Read(error.into())
    }
}

/// What stands for a signed manifest in a sample: its SHA-256.
#[must_use]
pub fn manifest_hash(signed: &[u8]) -> Hash {
    Sha256::digest(signed).into()
}

impl MatchSample {
    /// Opens records of an artifact: those of the drawn tags, in their order, each with the place of its fingerprint among
    /// those of the type.
    ///
    /// # Errors
    /// [`SampleError::Fingerprint`] or [`SampleError::Batch`].
    pub fn make(
        signed_manifest: &[u8],
        (group, kind, mode): (GroupId, u8, MatchMode),
        opened: Vec<(RecordProof, u8)>,
        key: &ServerKey,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, SampleError> {
        let inputs = inputs(&opened, kind)?;
        let evaluation = key.open(inputs.iter().map(Vec::as_slice), rng)?;
        let of = (group, kind, mode);
        Ok(Self::with(signed_manifest, of, opened, evaluation))
    }

    /// As [`MatchSample::make`], where the holder of the key evaluated what [`MatchSample::inputs`] says, in its order.
    #[must_use]
    pub fn with(
        signed_manifest: &[u8],
        (group, kind, mode): (GroupId, u8, MatchMode),
        opened: Vec<(RecordProof, u8)>,
        evaluation: Evaluation,
    ) -> Self {
        Self {
            manifest: manifest_hash(signed_manifest),
            group,
            kind,
            mode,
            opened,
            evaluation,
        }
    }

    /// What the opened records' fingerprints of a type are evaluated from.
    ///
    /// # Errors
    /// [`SampleError::Fingerprint`].
    pub fn inputs(opened: &[(RecordProof, u8)], kind: u8) -> Result<Vec<Vec<u8>>, SampleError> {
        inputs(opened, kind)
    }

    /// Checks a sample against the tags that were drawn from the artifact, and says which records they are.
    ///
    /// # Errors
    /// [`SampleError`]: the first thing that does not hold.
    pub fn verify(
        &self,
        signed_manifest: &[u8],
        centre: &CentreEntry,
        drawn: &[Tag],
    ) -> Result<Vec<ProvenRecord>, SampleError> {
        if self.manifest != manifest_hash(signed_manifest) {
            return Err(SampleError::OtherManifest);
        }
        let manifest = Manifest::open(signed_manifest, centre)?;
        let artifact = manifest.artifact(self.group, self.kind, self.mode);
        let key = artifact.and_then(|artifact| PublicKey::from_bytes(&artifact.key).ok());
        let (Some(row), Some(key)) = (manifest.group(self.group), key) else {
            return Err(SampleError::Artifact);
        };
        let (expected, got) = (drawn.len(), self.opened.len());
        if expected != got {
            return Err(SampleError::Count { expected, got });
        }
        let classes: BTreeSet<ClassId> = row.classes.iter().copied().collect();
        let mut records = Vec::with_capacity(got);
        for (at, (proof, _)) in self.opened.iter().enumerate() {
            let record = proof.verify(centre);
            let record = record.map_err(|source| SampleError::Record { at, source })?;
            if record.network != manifest.network {
                let expected = "records of the manifest's network";
                return Err(SampleError::Value { expected });
            }
            if !classes.contains(&record.class) {
                let class = record.class;
                return Err(SampleError::Class { at, class });
            }
            records.push(record);
        }
        let inputs = inputs(&self.opened, self.kind)?;
        let verifier = Verifier::new(&key);
        let doubled = verifier.check(inputs.iter().map(Vec::as_slice), &self.evaluation)?;
        let space = manifest.space(self.group, self.kind, self.mode);
        let mut tagger = Tagger::new(&space, None, manifest.bits);
        let pairs = drawn.iter().zip(&doubled);
        match pairs
            .map(|(tag, doubled)| *tag == tagger.tag(doubled))
            .position(|same| !same)
        {
            Some(at) => Err(SampleError::Stranger { at }),
            None => Ok(records),
        }
    }

    /// The file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(|e| {
            e.array(9)?
                .str(MAGIC)?
                .u8(1)?
                .bytes(&self.manifest)?
                .u32(self.group.0)?
                .u8(self.kind)?
                .u8(self.mode.bit())?
                .array(self.opened.len() as u64)?;
            for (proof, which) in &self.opened {
                e.array(2)?.bytes(&proof.to_bytes())?.u8(*which)?;
            }
            Points(self.evaluation.points.clone()).write(e)?;
            e.bytes(&self.evaluation.proof.0)?.ok()
        })
    }

    /// Reads a file, strictly. Nothing that it says is checked.
    ///
    /// # Errors
    /// [`SampleError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SampleError> {
        let got = bytes.len();
        if got > limits::MATCH_SAMPLE_BYTES {
            return Err(SampleError::TooLarge { got });
        }
        let value = |expected| SampleError::Value { expected };
        let mut reader = Reader::new(bytes).map_err(ReadError::from)?;
        reader.array(9)?;
        if reader.text()? != MAGIC || reader.u64()? != 1 {
            return Err(value("a match sample of format 1"));
        }
        let manifest = *reader.fixed()?;
        let group = GroupId(reader.u32()?);
        let kind = reader.u8()?;
        let mode = MatchMode::from_bit(reader.u64()?).ok_or(value("a mode of matching"))?;
        let mut opened = Vec::new();
        for at in 0..reader.list(limits::MATCH_SAMPLE_TAGS)? {
            reader.array(2)?;
            let proof = RecordProof::from_bytes(reader.bytes()?);
            let proof = proof.map_err(|source| SampleError::Record { at, source })?;
            opened.push((proof, reader.u8()?));
        }
        let points = Points::read(&mut reader)
            .map_err(|_| value("points, 32 bytes each"))?
            .0;
        let proof = Proof(*reader.fixed()?);
        if points.len() != opened.len() {
            return Err(value("one point for each tag"));
        }
        Ok(Self {
            manifest,
            group,
            kind,
            mode,
            opened,
            evaluation: Evaluation { points, proof },
        })
    }
}

/// What each opened record's fingerprint is evaluated from.
fn inputs(opened: &[(RecordProof, u8)], kind: u8) -> Result<Vec<Vec<u8>>, SampleError> {
    let of = |(at, (proof, which)): (usize, &(RecordProof, u8))| {
        let none = SampleError::Fingerprint { at };
        let record = Record::from_bytes(proof.record()).map_err(|_| none.clone())?;
        let of_type = |print: &&Fingerprint| print.algorithm().code() == Some(kind);
        let mut prints = record.fields.matchable().filter(of_type);
        prints.nth(usize::from(*which)).and_then(input).ok_or(none)
    };
    opened.iter().enumerate().map(of).collect()
}

mod draw;
#[cfg(test)]
mod tests;
