//! A delta's body at rest: class sections in one file, each sealed under a data key of its own.
//!
//! Why: a stolen disk shows no hash lists, and a section is purged by writing the file without it
//! and its key. Reading one record opens one block of 16 KiB. Every byte is authenticated, together
//! with whose body it is: a flipped byte, sections or files put in each other's place, and another
//! node's key are all errors.
//!
//! Layout, integers big-endian:
//! ```text
//! "HPBD2\0"  sections u16
//! section*   class u32, length u32, blocks u32, offset u32, nonce 24, wrapped data key 32 + 16
//! seal       nonce 24, tag 16          XChaCha20-Poly1305 of nothing; associated: 'T', identity, all the bytes above
//! block*     ciphertext, tag 16        of 16 KiB, the last of a section shorter; an empty section has one empty block
//! ```
//! Classes ascend. A data key is wrapped with XChaCha20-Poly1305 under the node's key; associated:
//! 'K', identity, section index u16, class u32. A block is sealed with ChaCha20-Poly1305 under the
//! data key, with its index (u88) and a byte that is 1 for the last block as nonce, as in STREAM
//! (Hoang, Reyhanitabar, Rogaway, Vizár 2015); associated: 'B', identity, class u32, length u32. A
//! counter is a safe nonce because a data key seals one section once. The identity is the origin's
//! length u64, its bytes, and the seq u64. `HPBD1` is the same without offsets.
//!
//! Rewriting (`rewrite`) replaces sections and copies the others' blocks as they are. A section that
//! takes another's place gets an offset of its own, so that whoever refers to what stays finds it,
//! and whoever refers to what is gone finds a hole.
//!
//! In scope: confidentiality and integrity of one file. Out of scope: an old file put back under
//! its own name (what is purged is recorded in the control database), where the node's key comes
//! from (`hashpact-keys`), what a section means.

mod error;
mod rewrite;
mod table;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit, Tag, XChaCha20Poly1305};
use zeroize::Zeroizing;

pub use error::{RewriteBodyError, SealedError, WriteBodyError};
pub use rewrite::{NewSection, shred};
pub(super) use table::OFFSETS;
pub use table::SectionInfo;
use table::{Table, random, seal_table};

use super::durable::{Steps, Writer};

/// Sections in a body: 1,024 classes and the retractions.
pub const SECTIONS_MAX: usize = 1025;

/// Plaintext bytes in a section: 64 MiB.
pub const SECTION_LEN_MAX: usize = 64 << 20;

/// The class id of the retraction section, one above the largest policy class.
pub const RETRACTIONS: u32 = 65_536;

/// Plaintext bytes in a block.
pub const BLOCK_LEN: u32 = 16 << 10;

const TAG_LEN: usize = 16;
const SEALED_BLOCK_LEN: usize = BLOCK_LEN as usize + TAG_LEN;
/// Blocks read or written at once: 1 MiB.
const BATCH_BLOCKS: usize = 64;

/// The node's key for bodies at rest. Zeroized on drop; no Debug, no Clone.
pub struct SealKey(Zeroizing<[u8; 32]>);

impl SealKey {
    /// Takes a copy of `bytes`, which must be uniform and secret; the caller wipes its own.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*bytes))
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.0).into())
    }
}

/// Whose body a file holds: part of everything that is authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyIdentity<'a> {
    /// The centre in whose log the delta stands.
    pub origin: &'a str,
    /// Its sequence number there.
    pub seq: u64,
}

impl BodyIdentity<'_> {
    /// The associated data of one use: its letter, this identity, and what else it binds.
    fn bind(&self, letter: u8, rest: &[&[u8]]) -> Vec<u8> {
        let length = (self.origin.len() as u64).to_be_bytes();
        let seq = self.seq.to_be_bytes();
        let head: [&[u8]; 4] = [&[letter], &length, self.origin.as_bytes(), &seq];
        [head.concat(), rest.concat()].concat()
    }
}

/// Seals `sections`, pairs of class and plaintext with classes ascending, as the body `path`:
/// durable when it returns, in place of what was there. The folder must exist.
///
/// # Errors
/// [`WriteBodyError`]; nothing has changed then, except that after a failed last fsync the new file
/// may already stand.
pub fn write_body(
    path: &Path,
    key: &SealKey,
    identity: &BodyIdentity<'_>,
    sections: &[(u32, &[u8])],
    steps: &Steps,
) -> Result<(), WriteBodyError> {
    let infos = describe(sections)?;
    let mut keys = Zeroizing::new(vec![[0; 32]; sections.len()]);
    for data_key in keys.iter_mut() {
        random(data_key)?;
    }
    let table = seal_table(key, identity, &infos, &keys)?;
    let mut writer = Writer::create(path, steps)?;
    writer.write_all(&table)?;
    for ((info, (_, plaintext)), data_key) in infos.iter().zip(sections).zip(keys.iter()) {
        write_section(
            &mut writer,
            *info,
            &info.associated(identity),
            data_key,
            plaintext,
        )?;
    }
    Ok(writer.finish()?)
}

fn describe(sections: &[(u32, &[u8])]) -> Result<Vec<SectionInfo>, WriteBodyError> {
    if sections.len() > SECTIONS_MAX {
        return Err(WriteBodyError::Sections {
            got: sections.len(),
        });
    }
    let mut infos: Vec<SectionInfo> = Vec::with_capacity(sections.len());
    let mut offset = 0;
    for (index, &(class, plaintext)) in sections.iter().enumerate() {
        if class > RETRACTIONS || infos.last().is_some_and(|before| before.class >= class) {
            return Err(WriteBodyError::Class { index, class });
        }
        let info = describe_one(class, offset, plaintext)?;
        offset = info.end();
        infos.push(info);
    }
    Ok(infos)
}

fn describe_one(class: u32, offset: u64, plaintext: &[u8]) -> Result<SectionInfo, WriteBodyError> {
    let got = plaintext.len();
    let len = u32::try_from(got).ok();
    let len = len.filter(|_| got <= SECTION_LEN_MAX);
    let len = len.ok_or(WriteBodyError::Length { class, got })?;
    let offset = u32::try_from(offset).ok();
    let offset = offset.filter(|offset| u64::from(*offset) + u64::from(len) <= OFFSETS);
    let offset = offset.ok_or(WriteBodyError::Offset { class })?;
    Ok(SectionInfo { class, len, offset })
}

fn write_section(
    writer: &mut Writer,
    info: SectionInfo,
    associated: &[u8],
    data_key: &[u8; 32],
    plaintext: &[u8],
) -> io::Result<()> {
    let cipher = ChaCha20Poly1305::new(data_key.into());
    let block_len = BLOCK_LEN as usize;
    let mut batch =
        Vec::with_capacity(plaintext.len().min(BATCH_BLOCKS * block_len) + BATCH_BLOCKS * TAG_LEN);
    for block in 0..info.blocks() {
        let from = block as usize * block_len;
        let plain = &plaintext[from..plaintext.len().min(from + block_len)];
        let at = batch.len();
        batch.resize(at + plain.len(), 0);
        // From buffer to buffer: the plaintext is nowhere copied to.
        let Ok(buffer) = InOutBuf::new(plain, &mut batch[at..]) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let tag = sealed(cipher.encrypt_inout_detached(&info.nonce(block), associated, buffer));
        batch.extend_from_slice(&tag);
        if batch.len() >= BATCH_BLOCKS * SEALED_BLOCK_LEN {
            writer.write_all(&batch)?;
            batch.clear();
        }
    }
    if batch.is_empty() {
        Ok(())
    } else {
        writer.write_all(&batch)
    }
}

/// An open body file. The table is authenticated; sections are when they are read.
pub struct BodyFile {
    file: File,
    key: SealKey,
    origin: String,
    seq: u64,
    table: Table,
}

impl BodyFile {
    /// Opens the body `path` and checks its table, its length, and that it is `identity`'s.
    ///
    /// # Errors
    /// [`SealedError::Io`], [`SealedError::BadHeader`], [`SealedError::Length`] or
    /// [`SealedError::Table`].
    pub fn open(
        path: &Path,
        key: &SealKey,
        identity: &BodyIdentity<'_>,
    ) -> Result<Self, SealedError> {
        let file = File::open(path)?;
        let table = Table::read(&file, key, identity)?;
        let key = SealKey(key.0.clone());
        Ok(Self {
            file,
            key,
            origin: identity.origin.to_owned(),
            seq: identity.seq,
            table,
        })
    }

    /// The sections, classes ascending.
    #[must_use]
    pub fn sections(&self) -> &[SectionInfo] {
        &self.table.sections
    }

    /// The section in which `offset` lies: `None` in a hole, which a section has left.
    ///
    /// # Errors
    /// [`SealedError::Offset`] beyond all sections, where no record was ever stored.
    pub(super) fn section_at(&self, offset: u32) -> Result<Option<SectionInfo>, SealedError> {
        let at = u64::from(offset);
        let sections = &self.table.sections;
        let found = sections
            .iter()
            .find(|info| info.offset <= offset && at < info.end());
        match found {
            Some(info) => Ok(Some(*info)),
            None if sections.iter().any(|info| at < info.end()) => Ok(None),
            None => Err(SealedError::Offset { offset }),
        }
    }

    /// The whole plaintext of the section `class`, at most [`SECTION_LEN_MAX`] bytes.
    ///
    /// # Errors
    /// [`SealedError::NoSection`], [`SealedError::DataKey`], [`SealedError::Block`] or
    /// [`SealedError::Io`].
    pub fn read_section(&self, class: u32) -> Result<Zeroizing<Vec<u8>>, SealedError> {
        let (index, info) = self.section(class)?;
        self.read_blocks(index, info, 0..info.blocks())
    }

    /// `len` bytes of the plaintext of section `class` from `offset`; reads and checks only the
    /// blocks they lie in.
    ///
    /// # Errors
    /// [`SealedError::Range`] if they reach beyond the section; else as [`BodyFile::read_section`].
    pub fn read_range(
        &self,
        class: u32,
        offset: u64,
        len: u64,
    ) -> Result<Zeroizing<Vec<u8>>, SealedError> {
        let (index, info) = self.section(class)?;
        let outside = || SealedError::Range {
            class,
            offset,
            len,
            have: info.len,
        };
        let end = offset
            .checked_add(len)
            .and_then(|end| u32::try_from(end).ok());
        let end = end.filter(|end| *end <= info.len).ok_or_else(outside)?;
        let start = u32::try_from(offset).map_err(|_| outside())?;
        let first = (start / BLOCK_LEN).min(info.blocks() - 1);
        let mut bytes =
            self.read_blocks(index, info, first..end.div_ceil(BLOCK_LEN).max(first + 1))?;
        let skip = (start - first * BLOCK_LEN) as usize;
        bytes.truncate(skip + (end - start) as usize);
        bytes.drain(..skip);
        Ok(bytes)
    }

    fn copy(&self, range: Range<u64>, writer: &mut Writer) -> io::Result<()> {
        let mut batch = Vec::new();
        let mut at = range.start;
        while at < range.end {
            self.read_batch(at..range.end, &mut batch)?;
            writer.write_all(&batch)?;
            at += batch.len() as u64;
        }
        Ok(())
    }

    /// Fills `batch` from the start of `range`, with at most [`BATCH_BLOCKS`].
    fn read_batch(&self, range: Range<u64>, batch: &mut Vec<u8>) -> io::Result<()> {
        let left = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        batch.resize(left.min(BATCH_BLOCKS * SEALED_BLOCK_LEN), 0);
        self.file.read_exact_at(batch, range.start)
    }

    fn identity(&self) -> BodyIdentity<'_> {
        BodyIdentity {
            origin: &self.origin,
            seq: self.seq,
        }
    }

    fn section(&self, class: u32) -> Result<(usize, SectionInfo), SealedError> {
        let sections = &self.table.sections;
        let found = sections.binary_search_by_key(&class, |info| info.class);
        let index = found.map_err(|_| SealedError::NoSection { class })?;
        Ok((index, sections[index]))
    }

    /// The plaintext of the blocks `range`, which is not empty and within the section.
    fn read_blocks(
        &self,
        index: usize,
        info: SectionInfo,
        range: Range<u32>,
    ) -> Result<Zeroizing<Vec<u8>>, SealedError> {
        let identity = self.identity();
        let data_key = self.table.data_key(&self.key, &identity, index)?;
        let cipher = ChaCha20Poly1305::new((&*data_key).into());
        let associated = info.associated(&identity);
        let start = self.table.start_of(index);
        let offset_of = |block: u32| u64::from(block) * SEALED_BLOCK_LEN as u64;
        let mut at = start + offset_of(range.start);
        let end = start + offset_of(range.end).min(info.sealed_len());

        // Reserved at once: growing would leave plaintext behind in freed memory.
        let mut plaintext = Zeroizing::new(Vec::new());
        plaintext.reserve_exact(usize::try_from(end - at).unwrap_or(0));
        let mut batch = Vec::new();
        let mut block = range.start;
        while at < end {
            self.read_batch(at..end, &mut batch)?;
            at += batch.len() as u64;
            for sealed in batch.chunks(SEALED_BLOCK_LEN) {
                open_block(&cipher, info, block, &associated, sealed, &mut plaintext)?;
                block += 1;
            }
        }
        Ok(plaintext)
    }
}

fn open_block(
    cipher: &ChaCha20Poly1305,
    info: SectionInfo,
    block: u32,
    associated: &[u8],
    sealed: &[u8],
    plaintext: &mut Vec<u8>,
) -> Result<(), SealedError> {
    let tampered = || SealedError::Block {
        class: info.class,
        block,
    };
    let (ciphertext, tag) = sealed.split_last_chunk::<TAG_LEN>().ok_or_else(tampered)?;
    let from = plaintext.len();
    plaintext.resize(from + ciphertext.len(), 0);
    let buffer = InOutBuf::new(ciphertext, &mut plaintext[from..]).map_err(|_| tampered())?;
    cipher
        .decrypt_inout_detached(&info.nonce(block), associated, buffer, &Tag::from(*tag))
        .map_err(|_| tampered())
}

#[expect(
    clippy::expect_used,
    reason = "sealing fails only above 256 GiB, and a block is 16 KiB"
)]
fn sealed(tag: Result<Tag, chacha20poly1305::Error>) -> Tag {
    tag.expect("the input is far below the cipher's limit")
}

#[cfg(test)]
mod tests;
