//! What a centre signs and logs of a match epoch: public keys, chunk roots and counts, the same for everyone, or a fork.
//!
//! Spec: `docs/protocol.md`, "Private matching". In scope: bytes, form, the signature. Out of scope: its place in the log
//! (`verify`), and that what is matched is what was logged (`sample`).

use std::collections::BTreeSet;

use hashpact_keys::canonical::{Written, encode};
use hashpact_keys::cose::{self, CoseError, Sign1};
use hashpact_keys::reader::{ReadError, Reader, ShapeError};
use hashpact_keys::roster::{CentreEntry, KeyLookupError};
use hashpact_keys::{Context, KeyId, KeyUse, NetworkId, Origin, Signer, Timestamp};
use minicbor::Encoder;

use super::space::{Epoch, GroupId, Space};
use super::tag::{TagBits, TagBitsError};
use crate::b3::Hash;
use crate::fingerprint::Algorithm;
use crate::labels::ClassId;
use crate::limits;
use crate::lists::ClosedList as _;
use crate::policy::MatchMode;

/// What tells this manifest from others under the same context.
const WHAT: &str = "match";

/// One match epoch of a log, as it stands at some size of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The network.
    pub network: NetworkId,
    /// The log that it stands in.
    pub origin: Origin,
    /// From 0, each one more than the one before it in the log.
    pub number: u64,
    /// The epoch; never below that of the one before.
    pub epoch: Epoch,
    /// Leaves of the log whose entries are in it.
    pub log_size: u64,
    /// When it was made.
    pub issued_at: Timestamp,
    /// The first second of the epoch.
    pub from: Timestamp,
    /// The first second after the epoch; it is still served for a while then.
    pub until: Timestamp,
    /// Bits of every tag of the epoch.
    pub bits: TagBits,
    /// The groups, by number.
    pub groups: Vec<Group>,
}

/// Classes that are matched under the same keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its number.
    pub group: GroupId,
    /// Its classes, ascending; none is in two groups.
    pub classes: Vec<ClassId>,
    /// What is published of it, by type and mode.
    pub artifacts: Vec<Artifact>,
}

/// The tags of one group, fingerprint type and mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Code of the fingerprint type.
    pub kind: u8,
    /// `items` or `labels`; a count is made for a session from the points of `items`.
    pub mode: MatchMode,
    /// The public key, an encoded group element; no two artifacts have one.
    pub key: [u8; 32],
    /// Items: those that its segments add without those that they remove.
    pub items: u64,
    /// Its segments in order, at most [`limits::MATCH_SEGMENTS`].
    pub segments: Vec<SegmentRow>,
}

/// One segment of an artifact: tags that come and go together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentRow {
    /// Its number in the space: ascends within an artifact, and is never used again for other tags.
    pub number: u32,
    /// Tags that it adds.
    pub added: u64,
    /// Tags that it removes.
    pub removed: u64,
    /// Bytes of its tag chunks.
    pub bytes: u64,
    /// Its tag chunks.
    pub chunks: u32,
    /// Root over them.
    pub root: Hash,
    /// Root over the chunks of sealed labels; in mode `labels`, where it adds tags.
    pub label_root: Option<Hash>,
}

/// Why bytes are no match manifest of this centre.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// More bytes than fit a leaf.
    #[error("match manifest: {got} bytes, at most {}", limits::MANIFEST_BYTES)]
    TooLarge {
        /// Their number.
        got: usize,
    },
    /// The envelope, or the signature.
    #[error("match manifest: {0}")]
    Cose(#[from] CoseError),
    /// The payload is not canonical or not of this format.
    #[error("match manifest: {0}")]
    Read(#[from] ReadError),
    /// A value that the format does not allow.
    #[error("match manifest: expected {expected}")]
    Value {
        /// What is allowed.
        expected: &'static str,
    },
    /// Its tags.
    #[error("match manifest: {0}")]
    Bits(#[from] TagBitsError),
    /// Tags so short that foreign items would match by chance more often than is promised.
    #[error("match manifest: tags of {got} bits, at least {least} for {items} items")]
    ShortTags {
        /// The fewest.
        least: u8,
        /// What it says.
        got: u8,
        /// Items that a client may search.
        items: u64,
    },
    /// It is for another log.
    #[error("match manifest: for the log {got}, expected {expected}")]
    Origin {
        /// The centre's log.
        expected: Origin,
        /// The one that it names.
        got: Origin,
    },
    /// A signature by a key that may not sign it.
    #[error("match manifest: {0}")]
    Key(#[from] KeyLookupError),
    /// Groups that are out of order, or one that is there twice.
    #[error("match manifest: group {group} is out of order or repeated")]
    Group {
        /// The group.
        group: GroupId,
    },
    /// A class that is out of order, or in two groups.
    #[error("match manifest: class {class} is out of order or in two groups")]
    Class {
        /// The class.
        class: ClassId,
    },
    /// Two artifacts under one key: one evaluation would open both.
    #[error("match manifest: group {group} has a key that another artifact has")]
    RepeatedKey {
        /// The group of the second one.
        group: GroupId,
    },
    /// The segments of an artifact do not come to its items.
    #[error(
        "match manifest: an artifact of group {group} has {got} items, its segments {expected}"
    )]
    Items {
        /// Its group.
        group: GroupId,
        /// Those of its segments; none where they remove more than there is.
        expected: String,
        /// What it says.
        got: u64,
    },
}

impl Manifest {
    /// Signs the manifest with the centre's `manifest` key.
    ///
    /// # Errors
    /// [`ManifestError`] where receivers would refuse it: nothing is signed then.
    pub fn sign(&self, signer: &Signer) -> Result<Vec<u8>, ManifestError> {
        self.check()?;
        let signed = cose::sign1(signer, Context::Manifest, &self.payload());
        if signed.len() > limits::MANIFEST_BYTES {
            return Err(ManifestError::TooLarge { got: signed.len() });
        }
        Ok(signed)
    }

    /// Opens a manifest of a centre: its log, and the signature of a `manifest` key that was valid when it was issued.
    ///
    /// Revocations count in leaves, so they are the caller's: see [`Manifest::signer`].
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn open(signed: &[u8], centre: &CentreEntry) -> Result<Self, ManifestError> {
        let (manifest, envelope) = Self::parse(signed)?;
        if manifest.origin != centre.origin {
            return Err(ManifestError::Origin {
                expected: centre.origin.clone(),
                got: manifest.origin,
            });
        }
        let key = centre.key(KeyUse::Manifest, envelope.kid(), manifest.issued_at)?;
        envelope.verify(key)?;
        Ok(manifest)
    }

    /// Reads a manifest whose signature is not checked.
    ///
    /// # Errors
    /// [`ManifestError`] for anything but the one form.
    pub fn read_unverified(signed: &[u8]) -> Result<Self, ManifestError> {
        Self::parse(signed).map(|(manifest, _)| manifest)
    }

    /// The id of the key that is said to have signed.
    ///
    /// # Errors
    /// [`ManifestError`] if it is no manifest.
    pub fn signer(signed: &[u8]) -> Result<KeyId, ManifestError> {
        Self::parse(signed).map(|(_, envelope)| envelope.kid())
    }

    /// A group, by its number.
    #[must_use]
    pub fn group(&self, group: GroupId) -> Option<&Group> {
        let at = self.groups.binary_search_by_key(&group, |row| row.group);
        self.groups.get(at.ok()?)
    }

    /// An artifact, by group, type and mode.
    #[must_use]
    pub fn artifact(&self, group: GroupId, kind: u8, mode: MatchMode) -> Option<&Artifact> {
        let artifacts = &self.group(group)?.artifacts;
        artifacts
            .iter()
            .find(|artifact| artifact.kind == kind && artifact.mode == mode)
    }

    /// Where the tags of an artifact stand; for a count with [`GroupId::ALL`].
    #[must_use]
    pub fn space(&self, group: GroupId, kind: u8, mode: MatchMode) -> Space {
        Space {
            origin: self.origin.clone(),
            epoch: self.epoch,
            group,
            kind,
            mode,
        }
    }

    fn parse(signed: &[u8]) -> Result<(Self, Sign1<'_>), ManifestError> {
        if signed.len() > limits::MANIFEST_BYTES {
            return Err(ManifestError::TooLarge { got: signed.len() });
        }
        let envelope = Sign1::parse(signed, Context::Manifest)?;
        let mut reader = Reader::new(envelope.peek()).map_err(ReadError::from)?;
        let manifest = read(&mut reader)?;
        manifest.check()?;
        Ok((manifest, envelope))
    }

    fn payload(&self) -> Vec<u8> {
        encode(|e| {
            e.array(12)?
                .u8(1)?
                .str(WHAT)?
                .bytes(self.network.as_bytes())?
                .str(self.origin.as_str())?
                .u64(self.number)?
                .u64(self.epoch.0)?
                .u64(self.log_size)?
                .u64(self.issued_at.get())?
                .u64(self.from.get())?
                .u64(self.until.get())?
                .u8(self.bits.get())?
                .array(self.groups.len() as u64)?;
            self.groups.iter().try_for_each(|group| group.write(e))
        })
    }

    /// Items of all artifacts of mode `items`: what a client searches at most. Those of `labels` are the same once more.
    fn items(&self) -> u64 {
        let artifacts = self.groups.iter().flat_map(|group| &group.artifacts);
        let items = artifacts.filter(|artifact| artifact.mode == MatchMode::Items);
        items
            .map(|artifact| artifact.items)
            .fold(0, u64::saturating_add)
    }

    /// What canonical form alone cannot say.
    fn check(&self) -> Result<(), ManifestError> {
        if self.from >= self.until {
            let expected = "an epoch that ends after it begins";
            return Err(ManifestError::Value { expected });
        }
        let (least, items) = (TagBits::least(self.items()), self.items());
        if self.bits < least {
            let (least, got) = (least.get(), self.bits.get());
            return Err(ManifestError::ShortTags { least, got, items });
        }
        let mut last = None;
        let (mut classes, mut keys) = (BTreeSet::new(), BTreeSet::new());
        for row in &self.groups {
            let group = row.group;
            if group == GroupId::ALL || last.is_some_and(|last| last >= group) {
                return Err(ManifestError::Group { group });
            }
            last = Some(group);
            row.check(&mut classes)?;
            for artifact in &row.artifacts {
                artifact.check(group)?;
                if !keys.insert(artifact.key) {
                    return Err(ManifestError::RepeatedKey { group });
                }
            }
        }
        Ok(())
    }
}

impl Group {
    fn check(&self, seen: &mut BTreeSet<ClassId>) -> Result<(), ManifestError> {
        let value = |expected| Err(ManifestError::Value { expected });
        if self.classes.is_empty() {
            return value("a class in each group");
        }
        let mut last = None;
        for class in self.classes.iter().copied() {
            if last.is_some_and(|last| last >= class) || !seen.insert(class) {
                return Err(ManifestError::Class { class });
            }
            last = Some(class);
        }
        let order = |artifact: &Artifact| (artifact.kind, artifact.mode);
        let ascend = |pair: &[Artifact]| order(&pair[0]) < order(&pair[1]);
        if !self.artifacts.windows(2).all(ascend) {
            return value("artifacts by type and mode, each once");
        }
        Ok(())
    }

    fn write(&self, e: &mut Encoder<Vec<u8>>) -> Written {
        e.array(3)?
            .u32(self.group.0)?
            .array(self.classes.len() as u64)?;
        self.classes
            .iter()
            .try_for_each(|class| -> Written { e.u16(class.0)?.ok() })?;
        e.array(self.artifacts.len() as u64)?;
        self.artifacts.iter().try_for_each(|row| row.write(e))
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, ManifestError> {
        array(reader, 3)?;
        let group = GroupId(reader.u32().map_err(ReadError::from)?);
        let mut classes = Vec::new();
        for _ in 0..list(reader, limits::MATCH_CLASSES)? {
            classes.push(ClassId(reader.u16().map_err(ReadError::from)?));
        }
        let mut artifacts = Vec::new();
        for _ in 0..list(reader, limits::MATCH_ARTIFACTS)? {
            artifacts.push(Artifact::read(reader)?);
        }
        Ok(Self {
            group,
            classes,
            artifacts,
        })
    }
}

impl Artifact {
    fn check(&self, group: GroupId) -> Result<(), ManifestError> {
        let value = |expected| Err(ManifestError::Value { expected });
        if Algorithm::from_code(u64::from(self.kind)).is_none() {
            return value("a known fingerprint type");
        }
        if self.mode == MatchMode::Count {
            return value("an artifact of mode items or labels");
        }
        let rows = &self.segments;
        if rows.first().is_some_and(|row| row.removed > 0) {
            return value("a first segment that removes nothing");
        }
        if !rows.windows(2).all(|pair| pair[0].number < pair[1].number) {
            return value("segments by number, each once");
        }
        for row in rows {
            row.check()?;
            if row.label_root.is_some() != (self.mode == MatchMode::Labels && row.added > 0) {
                return value("labels in mode labels, where a segment adds tags");
            }
        }
        let sum = rows.iter().try_fold(0_u64, |sum, row| {
            sum.checked_add(row.added)?.checked_sub(row.removed)
        });
        if sum != Some(self.items) {
            let none = || "fewer than none".to_owned();
            return Err(ManifestError::Items {
                group,
                expected: sum.map_or_else(none, |sum| sum.to_string()),
                got: self.items,
            });
        }
        Ok(())
    }

    fn write(&self, e: &mut Encoder<Vec<u8>>) -> Written {
        e.array(5)?
            .u8(self.kind)?
            .u8(self.mode.bit())?
            .bytes(&self.key)?
            .u64(self.items)?
            .array(self.segments.len() as u64)?;
        self.segments.iter().try_for_each(|row| row.write(e))
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, ManifestError> {
        array(reader, 5)?;
        let kind = reader.u8().map_err(ReadError::from)?;
        let mode = MatchMode::from_bit(number(reader)?);
        let mode = mode.ok_or(ManifestError::Value {
            expected: "a mode of matching",
        })?;
        let key = *reader.fixed().map_err(ReadError::from)?;
        let items = number(reader)?;
        let mut segments = Vec::new();
        for _ in 0..list(reader, limits::MATCH_SEGMENTS)? {
            segments.push(SegmentRow::read(reader)?);
        }
        Ok(Self {
            kind,
            mode,
            key,
            items,
            segments,
        })
    }
}

impl SegmentRow {
    /// What no segment can be.
    pub(super) fn check(&self) -> Result<(), ManifestError> {
        let (tags, chunks) = (
            self.added.saturating_add(self.removed),
            u64::from(self.chunks),
        );
        let fits = self.bytes <= chunks.saturating_mul(limits::MATCH_CHUNK_BYTES as u64);
        let counts = self.added <= limits::MATCH_SEGMENT_ITEMS
            && self.removed <= limits::MATCH_SEGMENT_ITEMS
            && (1..=tags).contains(&chunks);
        if fits && counts {
            return Ok(());
        }
        let expected = "a segment of tags in chunks that hold them";
        Err(ManifestError::Value { expected })
    }

    pub(super) fn write(&self, e: &mut Encoder<Vec<u8>>) -> Written {
        e.array(7)?
            .u32(self.number)?
            .u64(self.added)?
            .u64(self.removed)?
            .u64(self.bytes)?
            .u32(self.chunks)?
            .bytes(&self.root)?;
        match &self.label_root {
            Some(root) => e.bytes(root)?.ok(),
            None => e.null()?.ok(),
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, ReadError> {
        reader.array(7)?;
        Ok(Self {
            number: reader.u32()?,
            added: reader.u64()?,
            removed: reader.u64()?,
            bytes: reader.u64()?,
            chunks: reader.u32()?,
            root: *reader.fixed()?,
            label_root: reader
                .optional(|reader| -> Result<Hash, ShapeError> { reader.fixed().copied() })?,
        })
    }
}

fn read(reader: &mut Reader<'_>) -> Result<Manifest, ManifestError> {
    let value = |expected| ManifestError::Value { expected };
    array(reader, 12)?;
    if number(reader)? != 1 || reader.text().map_err(ReadError::from)? != WHAT {
        return Err(value("a match manifest of format 1"));
    }
    let network = NetworkId::new(*reader.fixed().map_err(ReadError::from)?);
    let origin = reader.text().map_err(ReadError::from)?.parse();
    let origin = origin.map_err(|_| value("an origin line"))?;
    let (count, epoch, log_size) = (number(reader)?, Epoch(number(reader)?), number(reader)?);
    let mut time = || number(reader).map(Timestamp::new);
    let (issued_at, from, until) = (time()?, time()?, time()?);
    let bits = TagBits::new(number(reader)?)?;
    let mut groups = Vec::new();
    for _ in 0..list(reader, limits::MATCH_GROUPS)? {
        groups.push(Group::read(reader)?);
    }
    Ok(Manifest {
        network,
        origin,
        number: count,
        epoch,
        log_size,
        issued_at,
        from,
        until,
        bits,
        groups,
    })
}

fn array(reader: &mut Reader<'_>, len: u64) -> Result<(), ReadError> {
    Ok(reader.array(len)?)
}

fn list(reader: &mut Reader<'_>, max: usize) -> Result<usize, ReadError> {
    Ok(reader.list(max)?)
}

fn number(reader: &mut Reader<'_>) -> Result<u64, ReadError> {
    Ok(reader.u64()?)
}

#[cfg(test)]
mod tests;
