//! What stands before the blocks of a body: its sections, their wrapped data keys, and the seal
//! over both.
//!
//! A row of the first version has no offset: its sections stand one after the other. In scope:
//! making the table, reading it strictly, its data keys. Out of scope: the blocks, whose layout is
//! the parent's.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use chacha20poly1305::{AeadInOut, Nonce, XNonce};
use zeroize::Zeroizing;

use super::{
    BLOCK_LEN, BodyIdentity, RETRACTIONS, SECTION_LEN_MAX, SECTIONS_MAX, SealKey, SealedError,
    TAG_LEN, WriteBodyError, sealed,
};

const MAGIC: &[u8; 6] = b"HPBD2\0";
const FIRST_MAGIC: &[u8; 6] = b"HPBD1\0";
pub(super) const PREFIX_LEN: usize = 8;
const NONCE_LEN: usize = 24;
/// The nonce and the wrapped key.
const WRAP_LEN: usize = NONCE_LEN + 32 + TAG_LEN;
/// Class, length, blocks and offset; then the wrapped key.
pub(super) const ROW_LEN: usize = 16 + WRAP_LEN;
/// As above without an offset.
const FIRST_ROW_LEN: usize = 12 + WRAP_LEN;
/// Offsets are of 32 bits.
pub(in crate::store) const OFFSETS: u64 = 1 << 32;
pub(super) const SEAL_LEN: usize = NONCE_LEN + TAG_LEN;

/// A section as the table lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SectionInfo {
    /// Its policy class, or [`RETRACTIONS`].
    pub class: u32,
    /// Its plaintext bytes.
    pub len: u32,
    /// Where it begins for those who refer to it: no two sections overlap, and none moves.
    pub offset: u32,
}

impl SectionInfo {
    /// Where it ends for those who refer to it.
    pub(in crate::store) fn end(self) -> u64 {
        u64::from(self.offset) + u64::from(self.len)
    }

    pub(super) fn blocks(self) -> u32 {
        self.len.div_ceil(BLOCK_LEN).max(1)
    }

    pub(super) fn sealed_len(self) -> u64 {
        u64::from(self.len) + u64::from(self.blocks()) * TAG_LEN as u64
    }

    pub(super) fn associated(self, identity: &BodyIdentity<'_>) -> Vec<u8> {
        identity.bind(b'B', &[&self.class.to_be_bytes(), &self.len.to_be_bytes()])
    }

    pub(super) fn nonce(self, block: u32) -> Nonce {
        let mut nonce = [0; 12];
        nonce[7..11].copy_from_slice(&block.to_be_bytes());
        nonce[11] = u8::from(block + 1 == self.blocks());
        nonce.into()
    }
}

/// The table of an open file: authenticated, and as long as the file demands.
pub(super) struct Table {
    pub(super) sections: Vec<SectionInfo>,
    row_len: usize,
    pub(super) bytes: Vec<u8>,
}

impl Table {
    /// Reads the table of `file` and checks it against `key`, `identity` and the file's length.
    pub(super) fn read(
        file: &File,
        key: &SealKey,
        identity: &BodyIdentity<'_>,
    ) -> Result<Self, SealedError> {
        let got = file.metadata()?.len();
        let (bytes, row_len) = read_bytes(file, got)?;
        let (bound, seal) = bytes.split_at(bytes.len() - SEAL_LEN);
        let sections = parse(&bound[PREFIX_LEN..], row_len)?;
        let nonce = XNonce::from(array::<NONCE_LEN>(seal, 0));
        let tag = array::<TAG_LEN>(seal, NONCE_LEN);
        let associated = identity.bind(b'T', &[bound]);
        let nothing = (&mut [][..]).into();
        key.cipher()
            .decrypt_inout_detached(&nonce, &associated, nothing, &tag.into())
            .map_err(|_| SealedError::Table)?;
        let table = Self {
            sections,
            row_len,
            bytes,
        };
        let expected = table.start_of(table.sections.len());
        if got == expected {
            Ok(table)
        } else {
            Err(SealedError::Length { expected, got })
        }
    }

    /// Where in the file the blocks of section `index` begin.
    pub(super) fn start_of(&self, index: usize) -> u64 {
        let before = self.sections.iter().take(index);
        self.bytes.len() as u64 + before.map(|info| info.sealed_len()).sum::<u64>()
    }

    /// Unwraps the data key of section `index`.
    pub(super) fn data_key(
        &self,
        key: &SealKey,
        identity: &BodyIdentity<'_>,
        index: usize,
    ) -> Result<Zeroizing<[u8; 32]>, SealedError> {
        let class = self.sections[index].class;
        let failed = || SealedError::DataKey { class };
        let row = &self.bytes[PREFIX_LEN + index * self.row_len..][..self.row_len];
        let row = &row[self.row_len - WRAP_LEN..];
        let nonce = XNonce::from(array::<NONCE_LEN>(row, 0));
        let mut data_key = Zeroizing::new(array::<32>(row, NONCE_LEN));
        let tag = array::<TAG_LEN>(row, NONCE_LEN + 32);
        let position = u16::try_from(index).map_err(|_| failed())?;
        let associated = wrap_associated(identity, position, class);
        let buffer = data_key.as_mut_slice().into();
        key.cipher()
            .decrypt_inout_detached(&nonce, &associated, buffer, &tag.into())
            .map_err(|_| failed())?;
        Ok(data_key)
    }
}

/// Everything before the blocks.
pub(super) fn seal_table(
    key: &SealKey,
    identity: &BodyIdentity<'_>,
    infos: &[SectionInfo],
    keys: &[[u8; 32]],
) -> Result<Vec<u8>, WriteBodyError> {
    let cipher = key.cipher();
    let count =
        u16::try_from(infos.len()).map_err(|_| WriteBodyError::Sections { got: infos.len() })?;
    let mut table = [MAGIC.as_slice(), &count.to_be_bytes()].concat();
    for ((index, info), data_key) in (0_u16..).zip(infos).zip(keys) {
        let mut nonce = [0; NONCE_LEN];
        random(&mut nonce)?;
        let mut wrapped = Zeroizing::new(*data_key);
        let associated = wrap_associated(identity, index, info.class);
        let tag = sealed(cipher.encrypt_inout_detached(
            &XNonce::from(nonce),
            &associated,
            wrapped.as_mut_slice().into(),
        ));
        for field in [info.class, info.len, info.blocks(), info.offset] {
            table.extend_from_slice(&field.to_be_bytes());
        }
        table.extend_from_slice(&nonce);
        table.extend_from_slice(&*wrapped);
        table.extend_from_slice(&tag);
    }
    let mut nonce = [0; NONCE_LEN];
    random(&mut nonce)?;
    let associated = identity.bind(b'T', &[&table]);
    let nothing = (&mut [][..]).into();
    let tag = sealed(cipher.encrypt_inout_detached(&XNonce::from(nonce), &associated, nothing));
    table.extend_from_slice(&nonce);
    table.extend_from_slice(&tag);
    Ok(table)
}

/// Reads everything before the blocks from a file of `got` bytes, and how long its rows are.
fn read_bytes(file: &File, got: u64) -> Result<(Vec<u8>, usize), SealedError> {
    let shortest = (PREFIX_LEN + SEAL_LEN) as u64;
    if got < shortest {
        return Err(SealedError::Length {
            expected: shortest,
            got,
        });
    }
    let mut prefix = [0; PREFIX_LEN];
    file.read_exact_at(&mut prefix, 0)?;
    let count = usize::from(u16::from_be_bytes(array(&prefix, 6)));
    let row_len = row_len(&prefix).ok_or(SealedError::BadHeader)?;
    if count > SECTIONS_MAX {
        return Err(SealedError::BadHeader);
    }
    let len = PREFIX_LEN + count * row_len + SEAL_LEN;
    if got < len as u64 {
        return Err(SealedError::Length {
            expected: len as u64,
            got,
        });
    }
    let mut table = vec![0; len];
    file.read_exact_at(&mut table, 0)?;
    Ok((table, row_len))
}

/// How long the table of a file is, by its first bytes; of a file that is no body as long as a table can be.
pub(super) fn len_in(file: &File) -> usize {
    let mut prefix = [0; PREFIX_LEN];
    let read = file.read_exact_at(&mut prefix, 0).ok();
    let stated = read.and_then(|()| {
        let count = usize::from(u16::from_be_bytes(array(&prefix, 6)));
        row_len(&prefix).map(|row_len| count * row_len)
    });
    PREFIX_LEN + stated.unwrap_or(SECTIONS_MAX * ROW_LEN) + SEAL_LEN
}

fn row_len(prefix: &[u8; PREFIX_LEN]) -> Option<usize> {
    match &prefix[..6] {
        magic if magic == MAGIC => Some(ROW_LEN),
        magic if magic == FIRST_MAGIC => Some(FIRST_ROW_LEN),
        _ => None,
    }
}

fn parse(rows: &[u8], row_len: usize) -> Result<Vec<SectionInfo>, SealedError> {
    let rows = rows.chunks_exact(row_len);
    let mut sections: Vec<SectionInfo> = Vec::with_capacity(rows.len());
    let mut running = 0;
    for row in rows {
        let field = |at| u32::from_be_bytes(array(row, at));
        let info = SectionInfo {
            class: field(0),
            len: field(4),
            offset: match row_len {
                FIRST_ROW_LEN => u32::try_from(running).map_err(|_| SealedError::BadHeader)?,
                _ => field(12),
            },
        };
        running = info.end();
        let ascends = sections
            .last()
            .is_none_or(|before| before.class < info.class);
        let bounded = info.class <= RETRACTIONS && info.len as usize <= SECTION_LEN_MAX;
        if !ascends || !bounded || field(8) != info.blocks() {
            return Err(SealedError::BadHeader);
        }
        sections.push(info);
    }
    if stand_apart(&sections) {
        Ok(sections)
    } else {
        Err(SealedError::BadHeader)
    }
}

/// Whether no two sections overlap, and none ends beyond 2^32.
pub(super) fn stand_apart(sections: &[SectionInfo]) -> bool {
    let mut ranges: Vec<_> = sections
        .iter()
        .map(|info| (info.offset, info.end()))
        .collect();
    ranges.sort_unstable();
    let apart = ranges
        .windows(2)
        .all(|pair| pair[0].1 <= u64::from(pair[1].0));
    apart && ranges.last().is_none_or(|(_, end)| *end <= OFFSETS)
}

fn wrap_associated(identity: &BodyIdentity<'_>, index: u16, class: u32) -> Vec<u8> {
    identity.bind(b'K', &[&index.to_be_bytes(), &class.to_be_bytes()])
}

pub(super) fn random(bytes: &mut [u8]) -> io::Result<()> {
    getrandom::fill(bytes).map_err(io::Error::other)
}

/// `N` bytes of `bytes` from `at`, for offsets that the layout bounds.
fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}
