//! The reader: one pass that checks everything, and then look-ups in memory.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use hashpact_keys::Origin;
use hashpact_protocol::fingerprint::{Algorithm, Fingerprint};
use hashpact_protocol::record::{EntryId, Revision};

use super::{
    ALGORITHMS, CHECKSUM_BYTES, DISPUTED, ENTRIES_MAX, ENTRY_BYTES, FLAGGED, HEAD_BYTES_MAX,
    HEADER_BYTES, Head, IndexClass, IndexEntry, MAGIC, Marks, NO_QUALITY, ROW_BYTES, ROWS_MAX,
    ReadIndexError, VERSION, row_value, width,
};
use crate::near::table::Table;

/// A list in memory. About 24 bytes an MD5, 28 a SHA-1, 40 any other value, and 36 an entry.
pub struct Index {
    head: Head,
    entries: Vec<IndexEntry>,
    /// By code, from 1.
    tables: [Table; ALGORITHMS],
    /// Of each PDQ hash, in the order of its table.
    qualities: Vec<u8>,
}

/// An entry that has a value.
#[derive(Clone, Copy, Debug)]
pub struct Hit<'a> {
    /// The log.
    pub origin: &'a str,
    /// The class, with labels.
    pub class: &'a IndexClass,
    /// The entry.
    pub entry: &'a IndexEntry,
}

/// What the header says, checked against the file's length.
struct Layout {
    entries: usize,
    rows: usize,
    head: usize,
    counts: [usize; ALGORITHMS],
}

impl Index {
    /// Reads and checks a whole file.
    ///
    /// # Errors
    /// [`ReadIndexError`].
    pub fn open(path: &Path) -> Result<Self, ReadIndexError> {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        Self::read(BufReader::with_capacity(1 << 20, file), bytes)
    }

    /// Reads and checks a file of `bytes` bytes. Nothing is allocated that the file does not have.
    ///
    /// # Errors
    /// [`ReadIndexError`].
    pub fn read(from: impl Read, bytes: u64) -> Result<Self, ReadIndexError> {
        let mut from = Hashed {
            from,
            hasher: blake3::Hasher::new(),
        };
        let mut header = [0; HEADER_BYTES];
        from.take(&mut header)?;
        let layout = Layout::parse(&header, bytes)?;
        let (tables, qualities) = read_rows(&mut from, &layout)?;
        let entries = read_entries(&mut from, &layout)?;
        let mut json = vec![0; layout.head];
        from.take(&mut json)?;
        let hash = from.hasher.finalize();
        let mut checksum = [0; CHECKSUM_BYTES];
        from.from.read_exact(&mut checksum)?;
        if hash != checksum {
            return Err(ReadIndexError::Checksum);
        }
        let head = parse_head(&json)?;
        check_entries(&head, &entries)?;
        Ok(Self {
            head,
            entries,
            tables,
            qualities,
        })
    }

    /// Which list this is.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// How many entries it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Values of an algorithm; 0 for one that is never matched.
    #[must_use]
    pub fn values(&self, algorithm: &Algorithm) -> usize {
        self.table(algorithm).map_or(0, Table::len)
    }

    /// Ordinals of the entries that have this value, ascending.
    #[must_use]
    pub fn find(&self, value: &Fingerprint) -> &[u32] {
        let table = self.table(value.algorithm());
        table.map_or(&[], |table| table.find(&row_value(value.bytes())))
    }

    /// The entry with this ordinal.
    #[must_use]
    pub fn hit(&self, ordinal: u32) -> Option<Hit<'_>> {
        let entry = self.entries.get(ordinal as usize)?;
        Some(Hit {
            origin: self.head.origins.get(usize::from(entry.origin))?,
            class: self.head.classes.get(usize::from(entry.class))?,
            entry,
        })
    }

    /// Every PDQ hash with the ordinal of its entry, ascending by hash.
    pub fn pdq(&self) -> impl Iterator<Item = (&[u8; 32], u32)> {
        let table = self.table(&Algorithm::Pdq);
        table.into_iter().flat_map(Table::wide)
    }

    /// The quality that the list gives for the PDQ hash with this number in [`Index::pdq`], 0 to 100.
    #[must_use]
    pub fn quality(&self, number: usize) -> Option<u8> {
        let quality = self.qualities.get(number).copied();
        quality.filter(|it| *it != NO_QUALITY)
    }

    /// Bytes of memory that the values and entries take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let tables: usize = self.tables.iter().map(Table::bytes).sum();
        tables + self.qualities.len() + self.entries.len() * size_of::<IndexEntry>()
    }

    fn table(&self, algorithm: &Algorithm) -> Option<&Table> {
        let code = usize::from(algorithm.code()?);
        self.tables.get(code.checked_sub(1)?)
    }
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index")
            .field("head", &self.head)
            .field("entries", &self.entries.len())
            .finish_non_exhaustive()
    }
}

/// Reads and hashes.
struct Hashed<R> {
    from: R,
    hasher: blake3::Hasher,
}

impl<R: Read> Hashed<R> {
    fn take(&mut self, bytes: &mut [u8]) -> std::io::Result<()> {
        self.from.read_exact(bytes)?;
        self.hasher.update(bytes);
        Ok(())
    }
}

impl Layout {
    fn parse(header: &[u8; HEADER_BYTES], bytes: u64) -> Result<Self, ReadIndexError> {
        if header[..8] != MAGIC {
            return Err(ReadIndexError::Magic);
        }
        let wrong = |what| Err(ReadIndexError::Header { what });
        let number = |at| u32_at(header, at) as usize;
        match u32_at(header, 8) {
            VERSION => {}
            got => return Err(ReadIndexError::Version { got }),
        }
        let mut counts = [0; ALGORITHMS];
        for (count, at) in counts.iter_mut().zip((40..).step_by(4)) {
            *count = number(at);
        }
        let layout = Self {
            entries: bounded(number(24), ENTRIES_MAX, "entries")?,
            rows: bounded(number(28), ROWS_MAX, "rows")?,
            head: bounded(number(32), HEAD_BYTES_MAX, "bytes of the head")?,
            counts,
        };
        let zeros = [&header[36..40], &header[64..72], &header[96..]];
        if number(12) != HEADER_BYTES || zeros.iter().any(|it| it.iter().any(|byte| *byte != 0)) {
            return wrong("reserved bytes");
        }
        if layout.counts.iter().sum::<usize>() != layout.rows {
            return wrong("rows by algorithm");
        }
        // Below 2^40 each: no sum overflows.
        let entries_at = HEADER_BYTES + layout.rows * ROW_BYTES;
        let head_at = entries_at + layout.entries * ENTRY_BYTES;
        let end = head_at + layout.head + CHECKSUM_BYTES;
        let offsets = [(72, HEADER_BYTES), (80, entries_at), (88, head_at)];
        if !layout.head.is_multiple_of(8)
            || offsets
                .iter()
                .any(|(at, offset)| u64_at(header, *at) != *offset as u64)
        {
            return wrong("offsets");
        }
        if u64_at(header, 16) != end as u64 || bytes != end as u64 {
            return wrong("length");
        }
        Ok(layout)
    }
}

fn bounded(got: usize, max: usize, what: &'static str) -> Result<usize, ReadIndexError> {
    match got <= max {
        true => Ok(got),
        false => Err(ReadIndexError::TooMany { max, got, what }),
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let four = bytes.get(at..).and_then(|rest| rest.first_chunk());
    four.map_or(0, |four| u32::from_le_bytes(*four))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let eight = bytes.get(at..).and_then(|rest| rest.first_chunk());
    eight.map_or(0, |eight| u64::from_le_bytes(*eight))
}

fn read_rows(
    from: &mut Hashed<impl Read>,
    layout: &Layout,
) -> Result<([Table; ALGORITHMS], Vec<u8>), ReadIndexError> {
    let mut kinds = (1..).map_while(Algorithm::from_code);
    let kinds: [Algorithm; ALGORITHMS] =
        std::array::from_fn(|_| kinds.next().unwrap_or(Algorithm::Sha256));
    let mut tables: [Table; ALGORITHMS] =
        std::array::from_fn(|it| Table::with_capacity(width(&kinds[it]), layout.counts[it]));
    let mut qualities = Vec::with_capacity(layout.counts[4]);
    let mut before: Option<(u8, [u8; 32], u32)> = None;
    let mut row = [0; ROW_BYTES];
    for number in 0..layout.rows {
        let wrong = |what| Err(ReadIndexError::Row { number, what });
        from.take(&mut row)?;
        let (code, quality, entry) = (row[0], row[1], u32_at(&row, 4));
        let value: [u8; 32] = row[8..].try_into().unwrap_or_default();
        let at = usize::from(code).wrapping_sub(1);
        let (Some(table), Some(kind), Some(count)) =
            (tables.get_mut(at), kinds.get(at), layout.counts.get(at))
        else {
            return wrong("no algorithm has this code");
        };
        if table.len() == *count {
            return wrong("more of its algorithm than the header says");
        }
        if before.is_some_and(|before| before >= (code, value, entry)) {
            return wrong("not in order");
        }
        if value[width(kind)..].iter().any(|byte| *byte != 0) || row[2..4] != [0, 0] {
            return wrong("padding that is not zero");
        }
        if entry as usize >= layout.entries {
            return wrong("an entry that is not there");
        }
        let is_pdq = *kind == Algorithm::Pdq;
        if quality != NO_QUALITY && !(is_pdq && quality <= 100) {
            return wrong("a quality that cannot be");
        }
        table.push(&value, entry);
        if is_pdq {
            qualities.push(quality);
        }
        before = Some((code, value, entry));
    }
    tables.iter_mut().for_each(Table::settle);
    Ok((tables, qualities))
}

fn read_entries(
    from: &mut Hashed<impl Read>,
    layout: &Layout,
) -> Result<Vec<IndexEntry>, ReadIndexError> {
    let mut entries: Vec<IndexEntry> = Vec::with_capacity(layout.entries);
    let mut bytes = [0; ENTRY_BYTES];
    for number in 0..layout.entries {
        let wrong = |what| Err(ReadIndexError::Entry { number, what });
        from.take(&mut bytes)?;
        if bytes[8] > DISPUTED | FLAGGED || bytes[9..16].iter().any(|byte| *byte != 0) {
            return wrong("reserved bytes");
        }
        let first = u32_at(&bytes, 0).to_le_bytes();
        let entry = IndexEntry {
            origin: u16::from_le_bytes([first[0], first[1]]),
            class: u16::from_le_bytes([first[2], first[3]]),
            entry: EntryId(bytes[16..].try_into().unwrap_or_default()),
            revision: Revision(u32_at(&bytes, 4)),
            marks: Marks {
                disputed: bytes[8] & DISPUTED != 0,
                flagged: bytes[8] & FLAGGED != 0,
            },
        };
        let before = entries.last().map(|it| (it.origin, it.entry));
        if before.is_some_and(|before| before >= (entry.origin, entry.entry)) {
            return wrong("not in order");
        }
        entries.push(entry);
    }
    Ok(entries)
}

fn parse_head(json: &[u8]) -> Result<Head, ReadIndexError> {
    let wrong = |what| ReadIndexError::Head { what };
    let head: Head = serde_json::from_slice(json).map_err(|_| wrong("not of this form"))?;
    let is_sorted = |it: &[String]| it.windows(2).all(|pair| pair[0] < pair[1]);
    if !is_sorted(&head.origins) || head.origins.iter().any(|it| it.parse::<Origin>().is_err()) {
        return Err(wrong("logs that are none, or not in order"));
    }
    let keys = head.classes.iter().map(|it| (it.origin, it.class));
    let named = |it: &IndexClass| usize::from(it.origin) < head.origins.len();
    if !keys.clone().zip(keys.skip(1)).all(|(a, b)| a < b) || !head.classes.iter().all(named) {
        return Err(wrong("classes of no log, or not in order"));
    }
    Ok(head)
}

fn check_entries(head: &Head, entries: &[IndexEntry]) -> Result<(), ReadIndexError> {
    for (number, entry) in entries.iter().enumerate() {
        let class = head.classes.get(usize::from(entry.class));
        if class.is_none_or(|class| class.origin != entry.origin) {
            let what = "a class that its log does not have";
            return Err(ReadIndexError::Entry { number, what });
        }
    }
    Ok(())
}
