//! Sealed labels of mode `labels`: four bytes about an item, readable with its evaluation alone.
//!
//! The key of a label is `B3["match-label"](space || number of the segment || enc(2U))`, so that it is used once: an item
//! stands once in a segment, and a segment's number is never used again. ChaCha20-Poly1305 (RFC 8439) under a nonce of
//! zeros; the space, the number and the tag are authenticated with it. Labels stand in the order of the tags that their
//! segment adds. Spec: `docs/protocol.md`, "Private matching". In scope: four bytes, their seal, their chunks. Out of scope:
//! what is said of an item that several entries name (the builder).

use std::fmt;

use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit, Nonce, Tag as Seal};
use zeroize::Zeroizing;

use super::artifact::{ChunkFault, Chunks, Part, SegmentError, SegmentPlace};
use super::manifest::SegmentRow;
use super::tag::Tag;
use crate::assess::Severity;
use crate::b3::{self, Hash};
use crate::labels::{Depiction, State};
use crate::limits;
use crate::lists::Set;

/// Bytes of a label before it is sealed.
const PLAIN: usize = 4;
/// Labels in a chunk: the last chunk of a segment has what is left.
pub const LABELS_PER_CHUNK: usize = limits::MATCH_CHUNK_BYTES / SealedLabel::LEN;

/// What a match tells in mode `labels`, of all entries that name the fingerprint together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// The tiers that it could have.
    pub severity: Set<Severity>,
    /// What could be depicted.
    pub depiction: Set<Depiction>,
    /// Where its entries stand.
    pub state: Set<State>,
    /// Whether an entry says that a minor is certain.
    pub minor_certain: bool,
}

/// A label under the key of its item: no bytes of it say anything without.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SealedLabel(pub [u8; Self::LEN]);

impl SealedLabel {
    /// Bytes.
    pub const LEN: usize = PLAIN + 16;
}

impl fmt::Debug for SealedLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedLabel(..)")
    }
}

/// A label that does not open: of another item, segment or tag, changed, or not of this format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the label is not that of this item in this segment, or says nothing that this version reads"
)]
pub struct LabelError;

impl Label {
    fn to_bytes(self) -> [u8; PLAIN] {
        // Each list has fewer than eight values.
        let bits = |bits: u16| bits.to_be_bytes()[1];
        let minor = u8::from(self.minor_certain) << 7;
        [
            1,
            bits(self.severity.bits()),
            bits(self.depiction.bits()),
            bits(self.state.bits()) | minor,
        ]
    }

    fn from_bytes([version, severity, depiction, state]: [u8; PLAIN]) -> Option<Self> {
        if version != 1 {
            return None;
        }
        Some(Self {
            severity: Set::from_bits(severity.into())?,
            depiction: Set::from_bits(depiction.into())?,
            state: Set::from_bits((state & 0x7f).into())?,
            minor_certain: state >> 7 == 1,
        })
    }

    /// Seals it for an item, whose evaluation is `doubled`, in a segment.
    #[must_use]
    pub fn seal(self, place: &SegmentPlace, tag: Tag, doubled: &[u8; 32]) -> SealedLabel {
        let mut sealed = [0; SealedLabel::LEN];
        let (text, seal) = sealed.split_at_mut(PLAIN);
        text.copy_from_slice(&self.to_bytes());
        let cipher = cipher(place, doubled);
        let buffer = InOutBuf::from(text);
        let made = cipher.encrypt_inout_detached(&Nonce::default(), &head(place, tag), buffer);
        seal.copy_from_slice(&sure(made));
        SealedLabel(sealed)
    }

    /// Opens the label of an item; that it opens also says that the tags did not meet by chance.
    ///
    /// # Errors
    /// [`LabelError`].
    pub fn open(
        sealed: &SealedLabel,
        place: &SegmentPlace,
        tag: Tag,
        doubled: &[u8; 32],
    ) -> Result<Self, LabelError> {
        let (text, seal) = sealed.0.split_first_chunk::<PLAIN>().ok_or(LabelError)?;
        let (mut text, seal) = (*text, <[u8; 16]>::try_from(seal).map_err(|_| LabelError)?);
        let buffer = InOutBuf::from(&mut text[..]);
        cipher(place, doubled)
            .decrypt_inout_detached(
                &Nonce::default(),
                &head(place, tag),
                buffer,
                &Seal::from(seal),
            )
            .map_err(|_| LabelError)?;
        Self::from_bytes(text).ok_or(LabelError)
    }
}

fn cipher(place: &SegmentPlace, doubled: &[u8; 32]) -> ChaCha20Poly1305 {
    let number = place.number.to_be_bytes();
    let key: Zeroizing<Hash> =
        Zeroizing::new(b3::MATCH_LABEL.hash(&[&place.space, &number, doubled]));
    ChaCha20Poly1305::new((&*key).into())
}

fn head(place: &SegmentPlace, tag: Tag) -> [u8; 52] {
    let mut head = [0; 52];
    head[..32].copy_from_slice(&place.space);
    head[32..36].copy_from_slice(&place.number.to_be_bytes());
    head[36..].copy_from_slice(&tag.0.to_be_bytes());
    head
}

#[expect(
    clippy::expect_used,
    reason = "sealing fails only above 256 GiB, and a label has four bytes"
)]
fn sure(seal: Result<Seal, chacha20poly1305::Error>) -> Seal {
    seal.expect("four bytes are below the cipher's limit")
}

/// Reads the label chunks of a segment. What it yields counts only once [`SegmentLabels::finish`] has compared the root.
pub struct SegmentLabels {
    chunks: Chunks,
    left: u64,
    expected: u32,
    root: Option<Hash>,
}

impl SegmentLabels {
    /// For the segment that a row of a manifest describes.
    #[must_use]
    pub fn new(place: &SegmentPlace, row: &SegmentRow) -> Self {
        Self {
            chunks: Chunks::new(place, Part::Labels),
            left: row.added,
            expected: Self::chunks_of(row),
            root: row.label_root,
        }
    }

    /// How many label chunks a segment has.
    #[must_use]
    pub fn chunks_of(row: &SegmentRow) -> u32 {
        let chunks = row.added.div_ceil(LABELS_PER_CHUNK as u64);
        row.label_root
            .map_or(0, |_| u32::try_from(chunks).unwrap_or(u32::MAX))
    }

    /// Number of the next chunk.
    #[must_use]
    pub fn next_chunk(&self) -> u32 {
        self.chunks.next()
    }

    /// Reads the next chunk: labels in the order of the tags that the segment adds.
    ///
    /// # Errors
    /// [`SegmentError::Chunk`]; the segment is of no use then.
    pub fn chunk(&mut self, bytes: &[u8]) -> Result<Vec<SealedLabel>, SegmentError> {
        let labels =
            usize::try_from(self.left).map_or(LABELS_PER_CHUNK, |n| n.min(LABELS_PER_CHUNK));
        let (expected, got) = (labels * SealedLabel::LEN, bytes.len());
        let chunk = self.chunks.next();
        let (labels, []) = bytes.as_chunks() else {
            let fault = ChunkFault::Labels { expected, got };
            return Err(SegmentError::Chunk { chunk, fault });
        };
        if got != expected || got == 0 {
            let fault = ChunkFault::Labels { expected, got };
            return Err(SegmentError::Chunk { chunk, fault });
        }
        self.chunks.push(bytes);
        self.left -= labels.len() as u64;
        Ok(labels.iter().map(|label| SealedLabel(*label)).collect())
    }

    /// Every chunk came: compares the root.
    ///
    /// # Errors
    /// [`SegmentError::Ends`] or [`SegmentError::Root`].
    pub fn finish(mut self) -> Result<(), SegmentError> {
        if self.left > 0 {
            let (expected, got) = (self.expected, self.chunks.next());
            return Err(SegmentError::Ends { expected, got });
        }
        if self.chunks.root() != self.root {
            return Err(SegmentError::Root);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
