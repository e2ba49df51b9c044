//! One item of a subset's stream: a CBOR map with its kind, read strictly.
//!
//! Why: what a server sends is looked at here for the first time, so everything has a bound before it is believed. What an
//! item says is true only once `verify` has said so. Spec: `docs/providers.md`, "The stream". In scope: form. Out of scope:
//! signatures (`verify`), how items come (`stream`).

use hashpact_keys::Origin;
use hashpact_protocol::delta::{Seq, TablePath};
use hashpact_protocol::labels::ClassId;
use hashpact_protocol::limits;
use hashpact_protocol::record::{EntryId, Revision};
use minicbor::Decoder;

/// Characters of a cursor at most.
pub(super) const CURSOR_LEN_MAX: usize = 512;
/// Bytes of an item at most: a section that is a whole body, and what stands around it.
pub(super) const ITEM_BYTES_MAX: usize = limits::BODY_BYTES + 256 * 1024;
/// Steps of a path that are read before it is looked at.
const STEPS_MAX: u64 = 16;
/// Entries that one item names at most.
const NAMED_MAX: u64 = 1 << 20;
/// Arrays and maps inside one another at most; those of labels are the deepest, and are passed over.
const DEPTH_MAX: usize = 8;

/// Where a stream is: opaque text that the server gave. 1 to 512 characters of `A-Za-z0-9_-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cursor(String);

/// One item.
pub(super) enum Item {
    /// The header of a delta that the stream speaks of.
    Delta {
        origin: Origin,
        seq: Seq,
        header: Vec<u8>,
        /// Its leaf in the log, as the serving centre says.
        index: u64,
    },
    /// What a class is, as its origin signed it.
    Class {
        origin: Origin,
        class: ClassId,
        /// The leaf of the log that defines it.
        definition: Vec<u8>,
        /// Its index, as the serving centre says.
        index: u64,
    },
    /// Records of one class of one delta.
    Pack(Pack),
    /// Retractions of one delta.
    Retraction(Ended),
    /// What this member may no longer have.
    Withdraw(Vec<(Origin, EntryId, Revision)>),
    /// What the serving centre says of an entry.
    Mark(Mark),
    /// What came before is whole: the stream goes on from here.
    At(Cursor),
    /// The last item.
    End { cursor: Cursor, more: bool },
}

/// Records of one class of one delta.
pub(super) struct Pack {
    pub(super) origin: Origin,
    pub(super) seq: Seq,
    pub(super) class: ClassId,
    pub(super) count: u64,
    pub(super) path: TablePath,
    pub(super) section: Vec<u8>,
}

/// Retractions of one delta.
pub(super) struct Ended {
    pub(super) origin: Origin,
    pub(super) seq: Seq,
    pub(super) path: TablePath,
    pub(super) list: Vec<u8>,
}

/// What the serving centre says of an entry; no origin signs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) origin: Origin,
    pub(super) entry: EntryId,
    pub(super) revision: Revision,
    pub(super) disputed: bool,
    pub(super) flagged: bool,
}

/// Why bytes are no item of a subset's stream. It shows nothing of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ItemError {
    /// Not CBOR of definite lengths, or too deep.
    #[error("not an item of a CBOR sequence")]
    Form,
    /// Larger than any item may be.
    #[error("an item of more than {ITEM_BYTES_MAX} bytes")]
    TooLarge,
    /// A field is missing, twice there, or not what it must be.
    #[error("the field \"{field}\" is missing, repeated or malformed")]
    Field {
        /// Which one.
        field: &'static str,
    },
    /// A kind that this version does not know.
    #[error("an item of a kind that this version does not know: a newer hashpact is needed")]
    Kind,
}

impl Cursor {
    /// Reads one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let fits = !text.is_empty() && text.len() <= CURSOR_LEN_MAX;
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        (fits && text.bytes().all(plain)).then(|| Self(text.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The length of the first item of `bytes`: `None` if it goes on behind them. Nothing is allocated, whatever the bytes claim.
pub(super) fn item_len(bytes: &[u8]) -> Result<Option<usize>, ItemError> {
    let mut left = [0_u64; DEPTH_MAX + 1];
    left[0] = 1;
    let (mut depth, mut at) = (0, 0);
    loop {
        while left[depth] == 0 {
            match depth {
                0 => return Ok(Some(at)),
                _ => depth -= 1,
            }
        }
        left[depth] -= 1;
        let Some(head) = Head::read(bytes.get(at..).unwrap_or_default())? else {
            return Ok(None);
        };
        at += head.len;
        let long = usize::try_from(head.value).unwrap_or(usize::MAX);
        if at.saturating_add(long.min(ITEM_BYTES_MAX + 1)) > ITEM_BYTES_MAX && head.holds() {
            return Err(ItemError::TooLarge);
        }
        match head.major {
            2 | 3 if at + long > bytes.len() => return Ok(None),
            2 | 3 => at += long,
            4 | 5 => {
                depth += 1;
                *left.get_mut(depth).ok_or(ItemError::Form)? =
                    head.value * u64::from(head.major - 3);
            }
            6 => return Err(ItemError::Form),
            _ => {}
        }
    }
}

/// The first bytes of an item of CBOR.
struct Head {
    major: u8,
    value: u64,
    len: usize,
}

impl Head {
    /// `None` if there are too few bytes.
    fn read(bytes: &[u8]) -> Result<Option<Self>, ItemError> {
        let Some((first, rest)) = bytes.split_first() else {
            return Ok(None);
        };
        let (major, short) = (first >> 5, first & 31);
        let more = match short {
            0..=23 => 0,
            24..=27 => 1_usize << (short - 24),
            _ => return Err(ItemError::Form),
        };
        // Of what is neither number, text nor list: false, true and null.
        if major == 7 && !(20..=22).contains(&short) {
            return Err(ItemError::Form);
        }
        let Some(tail) = rest.get(..more) else {
            return Ok(None);
        };
        let value = match more {
            0 => u64::from(short),
            _ => tail.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        };
        let len = 1 + more;
        Ok(Some(Self { major, value, len }))
    }

    /// Whether its number says how much it holds.
    fn holds(&self) -> bool {
        (2..=5).contains(&self.major)
    }
}

/// The fields of an item as they come, before its kind says which must be there.
#[derive(Default)]
struct Fields<'a> {
    kind: Option<&'a str>,
    origin: Option<Origin>,
    seq: Option<u64>,
    header: Option<&'a [u8]>,
    index: Option<u64>,
    class: Option<u16>,
    definition: Option<&'a [u8]>,
    count: Option<u64>,
    path: Option<TablePath>,
    section: Option<&'a [u8]>,
    list: Option<&'a [u8]>,
    entries: Option<Vec<(Origin, EntryId, Revision)>>,
    entry: Option<EntryId>,
    rev: Option<u32>,
    disputed: Option<bool>,
    flagged: Option<bool>,
    cursor: Option<Cursor>,
    more: Option<bool>,
}

impl Item {
    /// Reads one item; `bytes` are as long as [`item_len`] says.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, ItemError> {
        let mut fields = Fields::default();
        let mut d = Decoder::new(bytes);
        let pairs = d.map().ok().flatten().ok_or(ItemError::Form)?;
        for _ in 0..pairs {
            let name = d.str().map_err(|_| ItemError::Form)?;
            fields.take(name, &mut d)?;
        }
        fields.item()
    }
}

impl<'a> Fields<'a> {
    fn take(&mut self, name: &str, d: &mut Decoder<'a>) -> Result<(), ItemError> {
        match name {
            "kind" => set(&mut self.kind, "kind", d.str().ok()),
            "origin" => set(&mut self.origin, "origin", origin(d)),
            "seq" => set(&mut self.seq, "seq", d.u64().ok()),
            "header" => set(&mut self.header, "header", d.bytes().ok()),
            "index" => set(&mut self.index, "index", d.u64().ok()),
            "class" => set(&mut self.class, "class", d.u16().ok()),
            "definition" => set(&mut self.definition, "definition", d.bytes().ok()),
            "count" => set(&mut self.count, "count", d.u64().ok()),
            "path" => set(&mut self.path, "path", path(d)),
            "section" => set(&mut self.section, "section", d.bytes().ok()),
            "list" => set(&mut self.list, "list", d.bytes().ok()),
            "entries" => set(&mut self.entries, "entries", named(d)),
            "entry" => set(&mut self.entry, "entry", entry(d)),
            "rev" => set(&mut self.rev, "rev", d.u32().ok()),
            "disputed" => set(&mut self.disputed, "disputed", d.bool().ok()),
            "flagged" => set(&mut self.flagged, "flagged", d.bool().ok()),
            "cursor" => set(&mut self.cursor, "cursor", cursor(d)),
            "more" => set(&mut self.more, "more", d.bool().ok()),
            // Said for people, or by a later version: nothing is taken from it.
            _ => d.skip().map_err(|_| ItemError::Form),
        }
    }

    fn item(self) -> Result<Item, ItemError> {
        let item = match need(self.kind, "kind")? {
            "delta" => Item::Delta {
                origin: need(self.origin, "origin")?,
                seq: Seq(need(self.seq, "seq")?),
                header: need(self.header, "header")?.to_vec(),
                index: need(self.index, "index")?,
            },
            "class" => Item::Class {
                origin: need(self.origin, "origin")?,
                class: ClassId(need(self.class, "class")?),
                definition: need(self.definition, "definition")?.to_vec(),
                index: need(self.index, "index")?,
            },
            "pack" => Item::Pack(Pack {
                origin: need(self.origin, "origin")?,
                seq: Seq(need(self.seq, "seq")?),
                class: ClassId(need(self.class, "class")?),
                count: need(self.count, "count")?,
                path: need(self.path, "path")?,
                section: need(self.section, "section")?.to_vec(),
            }),
            "retraction" => Item::Retraction(Ended {
                origin: need(self.origin, "origin")?,
                seq: Seq(need(self.seq, "seq")?),
                path: need(self.path, "path")?,
                list: need(self.list, "list")?.to_vec(),
            }),
            "withdraw" => Item::Withdraw(need(self.entries, "entries")?),
            "mark" => Item::Mark(Mark {
                origin: need(self.origin, "origin")?,
                entry: need(self.entry, "entry")?,
                revision: Revision(need(self.rev, "rev")?),
                disputed: need(self.disputed, "disputed")?,
                flagged: need(self.flagged, "flagged")?,
            }),
            "at" => Item::At(need(self.cursor, "cursor")?),
            "end" => Item::End {
                cursor: need(self.cursor, "cursor")?,
                more: need(self.more, "more")?,
            },
            _ => return Err(ItemError::Kind),
        };
        Ok(item)
    }
}

fn need<T>(field: Option<T>, name: &'static str) -> Result<T, ItemError> {
    field.ok_or(ItemError::Field { field: name })
}

/// Takes a field that is well formed and was not there yet.
fn set<T>(place: &mut Option<T>, field: &'static str, value: Option<T>) -> Result<(), ItemError> {
    let fault = ItemError::Field { field };
    match place {
        Some(_) => Err(fault),
        None => {
            *place = Some(value.ok_or(fault)?);
            Ok(())
        }
    }
}

fn origin(d: &mut Decoder<'_>) -> Option<Origin> {
    d.str().ok()?.parse().ok()
}

fn cursor(d: &mut Decoder<'_>) -> Option<Cursor> {
    Cursor::parse(d.str().ok()?)
}

fn entry(d: &mut Decoder<'_>) -> Option<EntryId> {
    Some(EntryId(d.bytes().ok()?.try_into().ok()?))
}

fn path(d: &mut Decoder<'_>) -> Option<TablePath> {
    let steps = d.array().ok()??;
    if steps > STEPS_MAX {
        return None;
    }
    let steps: Option<Vec<&[u8]>> = (0..steps).map(|_| d.bytes().ok()).collect();
    TablePath::from_steps(steps?).ok()
}

/// `[{origin, entry, rev}...]`.
fn named(d: &mut Decoder<'_>) -> Option<Vec<(Origin, EntryId, Revision)>> {
    let rows = d.array().ok()??;
    if rows > NAMED_MAX {
        return None;
    }
    (0..rows).map(|_| one_named(d)).collect()
}

fn one_named(d: &mut Decoder<'_>) -> Option<(Origin, EntryId, Revision)> {
    let (mut whose, mut which, mut rev) = (None, None, None);
    for _ in 0..d.map().ok()?? {
        let field = "entries";
        match d.str().ok()? {
            "origin" => set(&mut whose, field, origin(d)).ok()?,
            "entry" => set(&mut which, field, entry(d)).ok()?,
            "rev" => set(&mut rev, field, d.u32().ok()).ok()?,
            _ => d.skip().ok()?,
        }
    }
    Some((whose?, which?, Revision(rev?)))
}

#[cfg(test)]
mod tests;
