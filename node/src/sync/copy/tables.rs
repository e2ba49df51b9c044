//! The tables of a copy's control database: ids, places and headers; no fingerprint stands in it.

use hashpact_protocol::delta::Seq;
use hashpact_protocol::labels::ClassId;
use minicbor::{Decoder, Encoder};
use redb::{TableDefinition, WriteTransaction};

use super::CopyError;

/// What there is one of: the version, the cursor, the generation.
pub(super) const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
/// An origin's line to the number that stands for it.
pub(super) const ORIGINS: TableDefinition<&str, u16> = TableDefinition::new("origins");
/// Verified headers, each with its leaf's index, by log and delta.
pub(super) const DELTAS: TableDefinition<(u16, u64), (u64, &[u8])> = TableDefinition::new("deltas");
/// Labels that the origin defined.
pub(super) const CLASSES: TableDefinition<(u16, u16), &[u8]> = TableDefinition::new("classes");
/// Where a pack is, by its number.
pub(super) const PACKS: TableDefinition<u64, &[u8]> = TableDefinition::new("packs");
/// Bytes of a file of packs. A file counts exactly if it stands here.
pub(super) const FILES: TableDefinition<u64, u64> = TableDefinition::new("files");
/// Live entries: revision, pack, marks.
pub(super) const ENTRIES: TableDefinition<(u16, [u8; 16]), (u32, u64, u8)> =
    TableDefinition::new("entries");
/// What origins retracted: the last revision that ended. It does not come back.
pub(super) const RETRACTED: TableDefinition<(u16, [u8; 16]), u32> =
    TableDefinition::new("retracted");
/// Live entries of a class.
pub(super) const COUNTS: TableDefinition<(u16, u16), u64> = TableDefinition::new("counts");

pub(super) const META_FORMAT: &str = "format";
pub(super) const META_LEDGER: &str = "ledger";
pub(super) const META_CURSOR: &str = "cursor";
/// Whether the snapshot is whole, so that changes follow.
pub(super) const META_WHOLE: &str = "whole";
/// Counts the commits that changed what is live: an index is of one generation.
pub(super) const META_GENERATION: &str = "generation";
pub(super) const META_ACKNOWLEDGED: &str = "acknowledged";

/// Version of the tables and of the files that they name.
pub(super) const FORMAT: &[u8] = &[1];

pub(super) const DISPUTED: u8 = 1;
pub(super) const FLAGGED: u8 = 2;

/// So that reading never meets a table that is not there.
pub(super) fn open_all(transaction: &WriteTransaction) -> Result<(), CopyError> {
    transaction.open_table(META)?;
    transaction.open_table(ORIGINS)?;
    transaction.open_table(DELTAS)?;
    transaction.open_table(CLASSES)?;
    transaction.open_table(PACKS)?;
    transaction.open_table(FILES)?;
    transaction.open_table(ENTRIES)?;
    transaction.open_table(RETRACTED)?;
    transaction.open_table(COUNTS)?;
    Ok(())
}

/// Where a pack's section is, and what it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PackRow {
    pub(super) origin: u16,
    pub(super) seq: Seq,
    pub(super) class: ClassId,
    pub(super) file: u64,
    pub(super) offset: u64,
    pub(super) len: u64,
    /// BLAKE3 of the section: what is read back is what was verified.
    pub(super) hash: [u8; 32],
    /// The steps of the way to `T`, one after the other, so that the copy can be verified again.
    pub(super) path: Vec<u8>,
}

impl PackRow {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut e = Encoder::new(Vec::with_capacity(96 + self.path.len()));
        // Writing to a Vec cannot fail.
        let _ = e
            .array(8)
            .and_then(|e| e.u16(self.origin))
            .and_then(|e| e.u64(self.seq.0))
            .and_then(|e| e.u16(self.class.0))
            .and_then(|e| e.u64(self.file))
            .and_then(|e| e.u64(self.offset))
            .and_then(|e| e.u64(self.len))
            .and_then(|e| e.bytes(&self.hash))
            .and_then(|e| e.bytes(&self.path));
        e.into_writer()
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, CopyError> {
        Self::parts(bytes).ok_or(CopyError::Row { table: "packs" })
    }

    fn parts(bytes: &[u8]) -> Option<Self> {
        let mut d = Decoder::new(bytes);
        if d.array().ok()? != Some(8) {
            return None;
        }
        Some(Self {
            origin: d.u16().ok()?,
            seq: Seq(d.u64().ok()?),
            class: ClassId(d.u16().ok()?),
            file: d.u64().ok()?,
            offset: d.u64().ok()?,
            len: d.u64().ok()?,
            hash: d.bytes().ok()?.try_into().ok()?,
            path: d.bytes().ok()?.to_vec(),
        })
    }
}
