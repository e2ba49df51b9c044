//! The section of one class: its forms, written and read, and how one is cut further.
//!
//! Why apart from the body: a node keeps sections one by one, and cuts one without the others. In scope: the form of one
//! section, and what can be withheld of it. Out of scope: whether it is what its origin signed (`body`).

use std::collections::BTreeSet;
use std::ops::Range;

use hashpact_keys::{Origin, canonical};
use minicbor::{Decoder, Encoder};

use super::opening::{Opening, StreamError};
use super::table::encode_retractions;
use super::{ClassEntry, RETRACTION_SECTION, Retraction, Seq, class_root, record_leaf};
use crate::b3::Hash;
use crate::labels::ClassId;
use crate::record::EntryId;

const DISCLOSED: u64 = 0;
const WITHHELD: u64 = 1;
const PARTIAL: u64 = 2;

/// The section of a class as it is on the wire, cut into its parts. What it says is checked against nothing.
///
/// No derived Debug: it holds a seed and records.
pub struct ClassSection<'a> {
    pub(super) class: ClassId,
    pub(super) count: u64,
    pub(super) form: Form<'a>,
    len: usize,
}

/// A class's tree, and the records of its opened leaves in order.
pub(super) type Opened<'a> = (Opening, Vec<&'a [u8]>);

pub(super) enum Form<'a> {
    Disclosed {
        seed: &'a [u8; 32],
        records: &'a [u8],
    },
    Withheld {
        root: Hash,
    },
    Partial {
        stream: &'a [u8],
        records: &'a [u8],
    },
}

/// Why bytes are no section of a class. Bytes that passed [`Body::verify`](super::Body::verify) are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SectionError {
    /// Not one canonical item of one of the three forms.
    #[error("section: not the expected shape")]
    Shape,
    /// The stream of a partly withheld class.
    #[error("section: {0}")]
    Stream(#[from] StreamError),
    /// More or fewer records than the section opens.
    #[error("section: {got} records, expected {expected}")]
    Records {
        /// How many are opened.
        expected: u64,
        /// How many there are.
        got: u64,
    },
}

/// The first item of some bytes: an array that begins with a class number.
pub(super) struct Head<'a> {
    pub(super) len: usize,
    pub(super) class: u64,
    parts: u64,
    rest: Decoder<'a>,
}

impl<'a> Head<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let len = canonical::item_len(bytes).ok()?;
        let mut d = Decoder::new(&bytes[..len]);
        let parts = d.array().ok()??;
        let class = d.u64().ok()?;
        Some(Self {
            len,
            class,
            parts,
            rest: d,
        })
    }

    pub(super) fn section(self) -> Option<ClassSection<'a>> {
        let mut d = self.rest;
        let class = ClassId(u16::try_from(self.class).ok()?);
        let form = d.u64().ok()?;
        let count = d.u64().ok().filter(|count| *count > 0)?;
        let form = match (form, self.parts) {
            (DISCLOSED, 5) => Form::Disclosed {
                seed: d.bytes().ok()?.try_into().ok()?,
                records: d.bytes().ok()?,
            },
            (WITHHELD, 4) => Form::Withheld {
                root: d.bytes().ok()?.try_into().ok()?,
            },
            (PARTIAL, 5) => Form::Partial {
                stream: d.bytes().ok()?,
                records: d.bytes().ok()?,
            },
            (_, _) => return None,
        };
        Some(ClassSection {
            class,
            count,
            form,
            len: self.len,
        })
    }
}

impl<'a> ClassSection<'a> {
    /// Reads bytes that are one section and nothing else.
    ///
    /// # Errors
    /// [`SectionError::Shape`].
    pub fn read(section: &'a [u8]) -> Result<Self, SectionError> {
        let head = Head::read(section).filter(|head| head.len == section.len());
        head.and_then(Head::section).ok_or(SectionError::Shape)
    }

    /// The class.
    #[must_use]
    pub fn class(&self) -> ClassId {
        self.class
    }

    /// Records that the origin signed for.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether no record of it is here.
    #[must_use]
    pub fn is_withheld(&self) -> bool {
        match self.form {
            Form::Withheld { .. } => true,
            Form::Disclosed { .. } | Form::Partial { .. } => false,
        }
    }

    /// Where the records lie within the section, one after the other; nowhere if it is withheld.
    #[must_use]
    pub fn records(&self) -> Range<usize> {
        match self.form {
            Form::Disclosed { records, .. } | Form::Partial { records, .. } => {
                self.len - records.len()..self.len
            }
            Form::Withheld { .. } => 0..0,
        }
    }

    /// How many of the records are here.
    ///
    /// # Errors
    /// [`SectionError::Stream`].
    pub fn held(&self) -> Result<u64, SectionError> {
        let leaves = usize::try_from(self.count).unwrap_or(usize::MAX);
        match self.form {
            Form::Disclosed { .. } => Ok(self.count),
            Form::Withheld { .. } => Ok(0),
            Form::Partial { stream, .. } => {
                Ok(Opening::read(stream, leaves)?.opened(leaves) as u64)
            }
        }
    }

    /// The class's tree, and the records of its opened leaves; `None` if it is withheld.
    pub(super) fn opening(&self) -> Result<Option<Opened<'a>>, SectionError> {
        let leaves = usize::try_from(self.count).unwrap_or(usize::MAX);
        let (opening, records) = match self.form {
            Form::Withheld { .. } => return Ok(None),
            Form::Disclosed { seed, records } => (Opening::whole(seed), records),
            Form::Partial { stream, records } => (Opening::read(stream, leaves)?, records),
        };
        let items = cut(records).ok_or(SectionError::Shape)?;
        let (expected, got) = (opening.opened(leaves) as u64, items.len() as u64);
        if expected == got {
            Ok(Some((opening, items)))
        } else {
            Err(SectionError::Records { expected, got })
        }
    }

    /// The records that are here, each with its entry, in order; none if the class is withheld.
    ///
    /// # Errors
    /// [`SectionError`]; [`SectionError::Shape`] too if one does not begin as a record does.
    pub fn entries(&self) -> Result<Vec<(EntryId, &'a [u8])>, SectionError> {
        let items = self.opening()?.map_or_else(Vec::new, |(_, items)| items);
        let entries = items.into_iter().map(|item| Some((entry_of(item)?, item)));
        entries.collect::<Option<_>>().ok_or(SectionError::Shape)
    }

    /// The salted hashes of the records that are here, each with its entry: what attestations name. O(n) hashes.
    ///
    /// # Errors
    /// [`SectionError`].
    pub fn leaves(&self) -> Result<Vec<(EntryId, Hash)>, SectionError> {
        let Some((opening, items)) = self.opening()? else {
            return Ok(Vec::new());
        };
        let leaves = usize::try_from(self.count).unwrap_or(usize::MAX);
        let mut salts = Vec::with_capacity(items.len());
        opening.for_each_salt(0, leaves, &mut |_, salt| salts.push(salt));
        let hashes = items.iter().zip(&salts);
        let hashes = hashes.map(|(item, salt)| Some((entry_of(item)?, record_leaf(salt, item))));
        hashes.collect::<Option<_>>().ok_or(SectionError::Shape)
    }

    /// What the class's origin signed for: its root follows from the records, O(n) hashes, or stands in a withheld section.
    ///
    /// # Errors
    /// [`SectionError`].
    pub fn signed(&self, origin: &Origin, seq: Seq) -> Result<ClassEntry, SectionError> {
        let (class, count) = (self.class, self.count);
        let leaves = usize::try_from(count).unwrap_or(usize::MAX);
        let root = match (&self.form, self.opening()?) {
            (Form::Withheld { root }, _) => *root,
            (_, Some((opening, items))) => {
                let tree = opening.root(&items, leaves);
                class_root(origin, seq, class, count, &tree)
            }
            (_, None) => return Err(SectionError::Shape),
        };
        Ok(ClassEntry { class, count, root })
    }

    /// The section with the class withheld.
    ///
    /// # Errors
    /// As [`ClassSection::signed`].
    pub fn withheld(&self, origin: &Origin, seq: Seq) -> Result<Vec<u8>, SectionError> {
        Ok(withheld_section(&self.signed(origin, seq)?))
    }

    /// The section with the records of these entries withheld: the class seed and every seed above one of them is gone, the
    /// leaf hashes and the co-path are kept. `None` if no record of them is here.
    ///
    /// # Errors
    /// [`SectionError`].
    pub fn punctured(
        &self,
        origin: &Origin,
        seq: Seq,
        gone: &BTreeSet<EntryId>,
    ) -> Result<Option<Vec<u8>>, SectionError> {
        let Some((opening, items)) = self.opening()? else {
            return Ok(None);
        };
        let goes = |item: &[u8]| entry_of(item).is_some_and(|entry| gone.contains(&entry));
        let records: Vec<(&[u8], bool)> =
            items.into_iter().map(|item| (item, goes(item))).collect();
        if records.iter().all(|(_, goes)| !goes) {
            return Ok(None);
        }
        let leaves = usize::try_from(self.count).unwrap_or(usize::MAX);
        let opening = opening.puncture(&records, leaves);
        if let Opening::Hidden(tree) = &opening {
            let (class, count) = (self.class, self.count);
            let root = class_root(origin, seq, class, count, tree);
            let entry = ClassEntry { class, count, root };
            return Ok(Some(withheld_section(&entry)));
        }
        let kept = records.into_iter().filter(|(_, goes)| !goes);
        let kept: Vec<&[u8]> = kept.map(|(record, _)| record).collect();
        Ok(Some(partial_section(
            self.class, self.count, &opening, &kept,
        )))
    }
}

impl std::fmt::Debug for ClassSection<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClassSection")
            .field("class", &self.class)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

/// The records, one after the other; `None` unless the bytes are whole items.
pub(super) fn cut(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut items = Vec::new();
    while !bytes.is_empty() {
        let (item, rest) = bytes.split_at(canonical::item_len(bytes).ok()?);
        items.push(item);
        bytes = rest;
    }
    Some(items)
}

/// A record's first field: an array of 3, then a byte string of 16.
pub(super) fn entry_of(record: &[u8]) -> Option<EntryId> {
    let id = record.strip_prefix(&[0x83, 0x50])?;
    Some(EntryId(*id.first_chunk()?))
}

/// The head of a disclosed section; `len` bytes of records follow it.
#[must_use]
pub(super) fn disclosed_section_head(
    class: ClassId,
    count: u64,
    seed: &[u8; 32],
    len: usize,
) -> Vec<u8> {
    let mut e = Encoder::new(Vec::with_capacity(64));
    // Writing to a Vec cannot fail.
    let _ = e
        .array(5)
        .and_then(|e| e.u16(class.0))
        .and_then(|e| e.u64(DISCLOSED))
        .and_then(|e| e.u64(count))
        .and_then(|e| e.bytes(seed))
        .and_then(|e| e.bytes_len(len as u64));
    e.into_writer()
}

/// A class withheld: about 40 bytes, whatever its size.
#[must_use]
pub fn withheld_section(entry: &ClassEntry) -> Vec<u8> {
    let mut e = Encoder::new(Vec::with_capacity(48));
    let _ = e
        .array(4)
        .and_then(|e| e.u16(entry.class.0))
        .and_then(|e| e.u64(WITHHELD))
        .and_then(|e| e.u64(entry.count))
        .and_then(|e| e.bytes(&entry.root));
    e.into_writer()
}

/// A class of which single records are withheld.
fn partial_section(class: ClassId, count: u64, opening: &Opening, items: &[&[u8]]) -> Vec<u8> {
    let mut stream = zeroize::Zeroizing::new(Vec::new());
    opening.write(&mut stream);
    let len: usize = items.iter().map(|item| item.len()).sum();
    let mut e = Encoder::new(Vec::with_capacity(32 + stream.len() + len));
    let _ = e
        .array(5)
        .and_then(|e| e.u16(class.0))
        .and_then(|e| e.u64(PARTIAL))
        .and_then(|e| e.u64(count))
        .and_then(|e| e.bytes(&stream))
        .and_then(|e| e.bytes_len(len as u64));
    let mut section = e.into_writer();
    items
        .iter()
        .for_each(|item| section.extend_from_slice(item));
    section
}

/// The retraction section.
pub(super) fn retraction_section(list: &[Retraction]) -> Vec<u8> {
    let mut e = Encoder::new(Vec::with_capacity(16 + list.len() * 22));
    let _ = e.array(2).and_then(|e| e.u32(RETRACTION_SECTION));
    let _ = encode_retractions(&mut e, list);
    e.into_writer()
}
