//! One row: its labels, its encoded fields and the keys of its fingerprints, or what is wrong with it.
//!
//! Why it remembers: a list has millions of rows and a few hundred combinations of labels, so what depends on labels alone
//! is read and encoded once for each combination. Left for a row are its hashes, the guard, its numbers, and hashing.
//! A row with one good and one bad hash is refused whole. In scope: cells to records. Out of scope: containers, the index.

use std::collections::{BTreeMap, HashMap};

use ::csv::ByteRecord;
use hashpact_keys::Jurisdiction;
use hashpact_protocol::fingerprint::{Algorithm, Fingerprint};
use hashpact_protocol::labels::{Labels, State};
use hashpact_protocol::limits;
use hashpact_protocol::record::{Fields, Print};

use super::FileFault;
use super::crosswalk::Fate;
use super::guard::Guards;
use super::input::ReadFault;
use super::number::{day, number};
use super::profile::{Identity, Profile};
use super::report::Code;
use crate::store::index::keys::{
    content_check, fingerprint_key, labels_digest, reference_key, series_key,
};
use crate::store::index::{IndexKey, Key};

/// Combinations of labels kept at once; a list whose local label differs in every row must not fill the memory.
const REMEMBERED: usize = 4096;
/// Most characters of a hash: two for each byte of the longest, and some white space.
const HASH_CHARS_MAX: usize = limits::OPAQUE_BYTES * 2 + 64;

/// What is wrong with a row.
#[derive(Clone, Debug)]
pub(super) struct RowFault {
    /// The profile's number of the column.
    pub(super) column: Option<usize>,
    pub(super) code: Code,
    /// Lengths and counts, never a character of the row.
    pub(super) detail: String,
}

/// Gives the rows of a file one by one.
pub(super) trait Container {
    /// Bytes of a cell that holds no hash, above which it can only be a file's content.
    const CELL_BYTES_MAX: usize;

    /// Goes to the next row; false after the last.
    fn next_row(&mut self) -> Result<bool, ReadFault>;

    /// The number of the row, from 1 without the header.
    fn row(&self) -> u64;

    /// Bytes of the file read so far.
    fn bytes(&self) -> u64;

    /// The cells that the profile names.
    fn cells(&self) -> Result<Cells<'_>, RowFault>;

    /// Everything in the row that is not known to be a digest.
    fn all_cells(&self) -> impl Iterator<Item = &[u8]>;

    /// Whether a cell of [`Container::all_cells`] is of one of these columns of the profile.
    fn is_hash(&self, cell: usize, hashes: &[usize]) -> bool;

    /// What the row asks for.
    fn asked(&self) -> Asked {
        Asked::Add
    }

    /// What the source itself calls the thing, where it names its things. It stays at this node.
    fn reference(&self) -> Option<&str> {
        None
    }

    /// What was learned of the file besides its rows; asked once, after the last row.
    fn tail(&self) -> Tail {
        Tail::default()
    }
}

/// What a row asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// That its hashes are listed.
    Add,
    /// That they are listed no more.
    Remove,
}

/// What a container learned of its file besides rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Tail {
    /// What was dropped at parse and how often, by the format's own name for it.
    pub(super) dropped: BTreeMap<&'static str, u64>,
    /// Columns that the file has and the format does not.
    pub(super) ignored: Vec<String>,
    /// How far the source says this is.
    pub(super) cursor: Option<i64>,
}

/// A row as its container gives it.
pub(super) struct Row<'a> {
    pub(super) cells: Cells<'a>,
    pub(super) asked: Asked,
    pub(super) reference: Option<&'a str>,
}

/// The cells of a row, by the profile's numbers of its columns.
#[derive(Clone, Copy)]
pub(super) enum Cells<'a> {
    Csv {
        record: &'a ByteRecord,
        positions: &'a [usize],
    },
    Digest(&'a [u8]),
    /// One for each column of the profile.
    Listed(&'a [Vec<u8>]),
}

impl<'a> Cells<'a> {
    /// The bytes of a column.
    fn bytes(self, column: usize) -> &'a [u8] {
        match self {
            Self::Csv { record, positions } => positions
                .get(column)
                .and_then(|at| record.get(*at))
                .unwrap_or_default(),
            Self::Digest(digest) => digest,
            Self::Listed(cells) => cells.get(column).map(Vec::as_slice).unwrap_or_default(),
        }
    }

    /// The text of a column.
    pub(super) fn text(self, column: usize) -> Result<&'a str, RowFault> {
        std::str::from_utf8(self.bytes(column)).map_err(|_| RowFault {
            column: Some(column),
            code: Code::BadAlphabet,
            detail: "not UTF-8".to_owned(),
        })
    }
}

/// Refuses a file whose row holds what can only be content: an address with its data in it, or a very long cell.
pub(super) fn refuse_media<C: Container>(rows: &C, hashes: &[usize]) -> Result<(), FileFault> {
    for (at, cell) in rows.all_cells().enumerate() {
        let long = cell.len() > C::CELL_BYTES_MAX;
        if !long && !is_data_address(cell) {
            continue;
        }
        if cell.len() <= HASH_CHARS_MAX && !is_data_address(cell) && rows.is_hash(at, hashes) {
            continue;
        }
        let detail = format!(
            "cell {} of {} bytes holds content, not a hash: a list has none",
            at + 1,
            cell.len()
        );
        return Err(FileFault {
            code: Code::MediaContent,
            row: Some(rows.row()),
            detail,
        });
    }
    Ok(())
}

fn is_data_address(cell: &[u8]) -> bool {
    let cell = cell.trim_ascii_start();
    cell.len() > 5
        && cell[..5].eq_ignore_ascii_case(b"data:")
        && cell[5..].iter().take(128).any(|b| matches!(b, b'/' | b';'))
}

/// A row that was accepted; the buffers are reused.
#[derive(Default)]
pub(super) struct Accepted {
    /// Which labels, in the order of first use.
    pub(super) labels: u16,
    /// The encoded fields.
    pub(super) fields: Vec<u8>,
    /// The keys of the fingerprints that can be matched, with the hash of the profile that each is.
    pub(super) keys: Vec<(u8, Key)>,
    /// 40 bits over labels and fields.
    pub(super) check: u64,
    /// What tells it apart from other rows of its source; none where nothing does.
    pub(super) identity: Option<Key>,
    /// Whether the crosswalk knows its label.
    pub(super) fate: Option<Fate>,
}

/// Why a row is not accepted.
#[derive(Debug)]
pub(super) enum Refusal {
    Row(RowFault),
    /// The crosswalk says that such entries are not listed.
    LeftOut(RowFault),
    File(FileFault),
}

impl From<RowFault> for Refusal {
    fn from(fault: RowFault) -> Self {
        Self::Row(fault)
    }
}

/// All that rows with equal labels have in common.
struct Common {
    labels: u16,
    fields: Fields,
    fate: Option<Fate>,
}

/// The labels that occurred, each once.
#[derive(Default)]
struct Interned {
    list: Vec<Labels>,
    digests: Vec<Key>,
    places: BTreeMap<Labels, u16>,
}

/// Reads the rows of one file.
pub(super) struct RowReader<'a> {
    profile: &'a Profile,
    key: &'a IndexKey,
    own: &'a Jurisdiction,
    guards: Option<&'a Guards>,
    interned: Interned,
    remembered: HashMap<Box<[u8]>, usize>,
    common: Vec<Common>,
    /// The cells that `last` was found under.
    varying: Vec<u8>,
    last: Option<usize>,
    scratch: Vec<u8>,
    prints: Vec<Print>,
}

impl<'a> RowReader<'a> {
    pub(super) fn new(
        profile: &'a Profile,
        key: &'a IndexKey,
        own: &'a Jurisdiction,
        guards: Option<&'a Guards>,
    ) -> Self {
        Self {
            profile,
            key,
            own,
            guards,
            interned: Interned::default(),
            remembered: HashMap::new(),
            common: Vec::new(),
            varying: Vec::new(),
            last: None,
            scratch: Vec::new(),
            prints: Vec::new(),
        }
    }

    /// The label tuples of the rows accepted.
    pub(super) fn into_labels(self) -> Vec<Labels> {
        self.interned.list
    }

    /// Reads one row into `out`, which is overwritten.
    pub(super) fn read(&mut self, row: &Row<'_>, out: &mut Accepted) -> Result<(), Refusal> {
        let (profile, cells) = (self.profile, row.cells);
        // Both, whatever is wrong: of a refused row it must be known which entry of an edition it is.
        let hashes = self.hashes(cells, out);
        let named = self.identify(row, out);
        hashes?;
        named?;
        if row.asked == Asked::Remove {
            return Ok(self.removal(out)?);
        }
        self.refuse_unlisted(out)?;
        let byte_length = number(cells, profile.byte_length, u64::MAX)?;
        let entered_on = day(cells, profile.entered_on)?;
        let assessed_on = day(cells, profile.assessed_on)?;
        let review_on = day(cells, profile.review_on)?;
        let at = self.common(cells)?;
        let series = self.series(cells)?;
        let Common {
            labels,
            fields,
            fate,
        } = &mut self.common[at];
        fields.series_id = series;
        out.fate = *fate;
        fields.byte_length = byte_length;
        fields.entered_on = entered_on;
        fields.assessed_on = assessed_on;
        fields.review_on = review_on;
        // The prints take the place of the last row's, which go back to be cleared.
        std::mem::swap(&mut fields.prints, &mut self.prints);
        out.fields.clear();
        fields.encode_into(&mut out.fields);
        out.labels = *labels;
        let digest = &self.interned.digests[usize::from(*labels)];
        out.check = content_check(self.key, digest, &out.fields);
        Ok(())
    }

    /// Reads every hash, also behind a bad one: the keys are wanted of a refused row too.
    fn hashes(&mut self, cells: Cells<'_>, out: &mut Accepted) -> Result<(), RowFault> {
        self.prints.clear();
        out.keys.clear();
        out.identity = None;
        let mut read = Ok(());
        for hash in (0_u8..).zip(&self.profile.hashes) {
            let next = self.hash(cells, hash, out);
            read = read.and(next);
        }
        read
    }

    fn hash(
        &mut self,
        cells: Cells<'_>,
        (hash, (algorithm, column)): (u8, &(Algorithm, usize)),
        out: &mut Accepted,
    ) -> Result<(), RowFault> {
        let text = cells.text(*column)?.trim();
        if text.is_empty() {
            return Ok(());
        }
        let value = Fingerprint::from_text(algorithm.clone(), text).map_err(|error| {
            let (code, detail) = (Code::from(&error), error.to_string());
            RowFault {
                column: Some(*column),
                code,
                detail,
            }
        })?;
        if let Some(key) = fingerprint_key(self.key, &value) {
            out.keys.push((hash, key));
            if let Some(list) = self.guards.and_then(|guards| guards.list_of(&key)) {
                return Err(RowFault {
                    column: Some(*column),
                    code: Code::Guarded,
                    detail: format!("guarded value: {list}"),
                });
            }
        }
        let mut print = Print::plain(value);
        if *algorithm == Algorithm::Pdq {
            let quality = number(cells, self.profile.pdq_quality, 100)?;
            print.quality = quality.and_then(|quality| u8::try_from(quality).ok());
        }
        self.prints.push(print);
        Ok(())
    }

    /// What tells the row apart, and what is known by.
    fn identify(&self, row: &Row<'_>, out: &mut Accepted) -> Result<(), RowFault> {
        out.identity = match self.profile.identity() {
            Identity::None => None,
            Identity::Hash => out.keys.first().map(|(_, key)| *key),
            Identity::Reference => {
                let column = self.profile.source_ref;
                let cell = column.map(|column| row.cells.text(column)).transpose()?;
                let name = row.reference.or(cell).map(str::trim);
                let issuer = self.profile.label.issuer.as_bytes();
                let name = name.filter(|name| !name.is_empty());
                name.map(|name| reference_key(self.key, issuer, name.as_bytes()))
            }
        };
        Ok(())
    }

    /// A row that only names what is to be removed; its labels are not read.
    fn removal(&mut self, out: &mut Accepted) -> Result<(), RowFault> {
        if out.keys.is_empty() && out.identity.is_none() {
            return self.refuse_unlisted(out);
        }
        out.fields.clear();
        (out.labels, out.check, out.fate) = (0, 0, None);
        // Known by its name alone: fields without a hash are none.
        if self.prints.is_empty() {
            return Ok(());
        }
        let fields = Fields {
            prints: std::mem::take(&mut self.prints),
            local_labels: vec![self.profile.label.blank()],
            ..Fields::default()
        };
        fields.encode_into(&mut out.fields);
        self.prints = fields.prints;
        Ok(())
    }

    /// A series is known here by a number of this node's own, and by none elsewhere: the source's name for it stays out.
    fn series(&self, cells: Cells<'_>) -> Result<Option<[u8; 16]>, RowFault> {
        let Some(column) = self.profile.series else {
            return Ok(None);
        };
        let name = cells.text(column)?.trim();
        let issuer = self.profile.label.issuer.as_bytes();
        Ok((!name.is_empty()).then(|| series_key(self.key, issuer, name.as_bytes())))
    }

    fn refuse_unlisted(&self, out: &Accepted) -> Result<(), RowFault> {
        let fault = |code, detail: &str| {
            let (column, detail) = (None, detail.to_owned());
            Err(RowFault {
                column,
                code,
                detail,
            })
        };
        if self.prints.is_empty() {
            return fault(Code::NoHash, "every hash is empty");
        }
        if out.keys.is_empty() {
            // It could never be matched nor found again: each time the list is read it would be one more entry.
            return fault(
                Code::UnknownType,
                "only hashes of algorithms that are never matched",
            );
        }
        Ok(())
    }

    /// What the row has in common with those of equal labels; read only if it is the first, or forgotten.
    fn common(&mut self, cells: Cells<'_>) -> Result<usize, Refusal> {
        self.scratch.clear();
        for column in &self.profile.varying {
            let cell = cells.bytes(*column);
            self.scratch
                .extend_from_slice(&(cell.len() as u64).to_be_bytes());
            self.scratch.extend_from_slice(cell);
        }
        if let Some(last) = self.last
            && self.varying == self.scratch
        {
            return Ok(last);
        }
        let at = match self.remembered.get(self.scratch.as_slice()) {
            Some(at) => *at,
            None => self.remember(cells)?,
        };
        std::mem::swap(&mut self.varying, &mut self.scratch);
        self.last = Some(at);
        Ok(at)
    }

    fn remember(&mut self, cells: Cells<'_>) -> Result<usize, Refusal> {
        let mut fields = self.profile.fields(cells)?;
        let mut labels = self.profile.labels.read(cells, self.own)?;
        let fate = self.derive(&mut labels, &mut fields)?;
        if let Some(column) = self.profile.suspected
            && cells.text(column)?.trim() == "yes"
        {
            labels.state = State::Suspected;
        }
        let labels = self.intern(labels)?;
        if self.common.len() == REMEMBERED {
            self.common.clear();
            self.remembered.clear();
        }
        let at = self.common.len();
        self.common.push(Common {
            labels,
            fields,
            fate,
        });
        self.remembered.insert(self.scratch.as_slice().into(), at);
        Ok(at)
    }

    /// What the crosswalk says of the local label.
    fn derive(&self, labels: &mut Labels, fields: &mut Fields) -> Result<Option<Fate>, Refusal> {
        let Some(walk) = &self.profile.crosswalk else {
            return Ok(None);
        };
        let Some(value) = fields.local_labels.first().map(|label| label.value.clone()) else {
            return Ok(None);
        };
        let fate = walk.fate(&value);
        if fate == Fate::LeftOut {
            return Err(Refusal::LeftOut(RowFault {
                column: self.profile.label.value.as_ref().ok().copied(),
                code: Code::NotListed,
                detail: "the crosswalk leaves such entries out".to_owned(),
            }));
        }
        walk.derive(&value, labels, fields);
        Ok(Some(fate))
    }

    fn intern(&mut self, labels: Labels) -> Result<u16, Refusal> {
        if let Some(place) = self.interned.places.get(&labels) {
            return Ok(*place);
        }
        labels.check().map_err(|error| RowFault {
            column: None,
            code: Code::BadValue,
            detail: error.to_string(),
        })?;
        let max = limits::CLASSES_PER_DELTA;
        let place = u16::try_from(self.interned.list.len()).ok();
        let place = place
            .filter(|place| usize::from(*place) < max)
            .ok_or_else(|| {
                let detail = format!("more than {max} different label tuples: split the list");
                Refusal::File(FileFault {
                    code: Code::TooManyClasses,
                    row: None,
                    detail,
                })
            })?;
        self.interned.digests.push(labels_digest(self.key, &labels));
        self.interned.list.push(labels.clone());
        self.interned.places.insert(labels, place);
        Ok(place)
    }
}
