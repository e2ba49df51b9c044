//! Rows out of CSV files whose header is fixed by their format: INTERPOL ICSE, and the layout that IWF-like lists have here.
//!
//! Why apart from `csv`: there the operator's profile names the columns, here the format does, and some cells need reading
//! before a rule can: flags of three values, an action. Columns that the format does not have are ignored and told by name
//! once. Spec: `docs/ingest.md`. In scope: header and cells. Out of scope: what labels mean (crosswalk).

use std::io::Read;

use super::csv::{CsvRows, bad_header};
use super::input::ReadFault;
use super::parts::{Parts, Shape, flag};
use super::report::Code;
use super::row::{Asked, Cells, Container, RowFault, Tail};

/// Most characters and most names of ignored columns that are told.
const IGNORED: (usize, usize) = (64, 99);

/// A fixed header.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) shape: Shape,
    pub(super) delimiter: u8,
    /// Whether the case of a header matters.
    exact: bool,
    /// Header, part and how it is read; a part that no rule knows is dropped and counted.
    columns: &'static [(&'static str, &'static str, Reading)],
}

/// How a cell becomes a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// As it stands.
    Text,
    /// Yes, no, or not stated.
    Flag,
    /// Dropped, and counted where it says something.
    Drop,
    /// Never read: it says nothing about a hash.
    Skip,
    /// `add` or `remove`; the column may be missing.
    Action,
}

/// INTERPOL ICSE: twelve columns in any order and any case.
pub(super) const ICSE: Table = Table {
    shape: Shape {
        name: "icse",
        parts: &["Baseline", "Media Type", "Series name", "Victim identified"],
        hashes: &[("md5", "MD5"), ("sha1", "SHA1"), ("photodna", "PhotoDNA")],
        byte_length: None,
        entered_on: None,
        assessed_on: None,
        series: Some("Series name"),
        suspected: None,
    },
    delimiter: b';',
    exact: false,
    columns: &[
        ("MD5", "MD5", Reading::Text),
        ("SHA1", "SHA1", Reading::Text),
        ("PhotoDNA", "PhotoDNA", Reading::Text),
        ("Image ID", "Image ID", Reading::Drop),
        ("Is distributed", "Is distributed", Reading::Drop),
        ("Victim identified", "Victim identified", Reading::Flag),
        ("Offender identified", "Offender identified", Reading::Drop),
        ("Series name", "Series name", Reading::Text),
        (
            "Number of submissions",
            "Number of submissions",
            Reading::Drop,
        ),
        ("File Available", "File Available", Reading::Skip),
        ("Media Type", "Media Type", Reading::Text),
        ("Baseline", "Baseline", Reading::Text),
    ],
};

/// An IWF-like list.
pub(super) const IWF: Table = Table {
    shape: Shape {
        name: "iwf",
        parts: &["age_band", "category", "media_kind"],
        hashes: &[
            ("md5", "md5"),
            ("sha1", "sha1"),
            ("sha256", "sha256"),
            ("photodna", "photodna"),
        ],
        byte_length: None,
        entered_on: None,
        assessed_on: None,
        series: None,
        suspected: None,
    },
    delimiter: b',',
    exact: true,
    columns: &[
        ("md5", "md5", Reading::Text),
        ("sha1", "sha1", Reading::Text),
        ("sha256", "sha256", Reading::Text),
        ("photodna", "photodna", Reading::Text),
        ("category", "category", Reading::Text),
        ("age_band", "age_band", Reading::Text),
        ("media_kind", "media_kind", Reading::Text),
        ("action", "action", Reading::Action),
    ],
};

/// A file with a fixed header that was recognised.
pub(super) struct TableRows<R> {
    csv: CsvRows<R>,
    table: &'static Table,
    /// For each column of the table, which of the file.
    places: Vec<Option<usize>>,
    ignored: Vec<String>,
    parts: Parts,
    asked: Result<Asked, RowFault>,
}

impl<R: Read> TableRows<R> {
    /// Reads the header.
    pub(super) fn open(
        reader: R,
        table: &'static Table,
        columns: &[String],
        bytes_max: u64,
    ) -> Result<Self, ReadFault> {
        let csv = CsvRows::begin(reader, table.delimiter, bytes_max)?;
        let header: Vec<&[u8]> = csv.record().iter().map(<[u8]>::trim_ascii).collect();
        let is = |cell: &[u8], name: &str| match table.exact {
            true => cell == name.as_bytes(),
            false => cell.eq_ignore_ascii_case(name.as_bytes()),
        };
        let mut places = Vec::with_capacity(table.columns.len());
        let mut missing = Vec::new();
        for (name, _, reading) in table.columns {
            let mut found = (0..header.len()).filter(|at| is(header[*at], name));
            let place = found.next();
            if found.next().is_some() {
                return Err(bad_header(format!("two columns are called {name}")).into());
            }
            if place.is_none() && *reading != Reading::Action {
                missing.push(*name);
            }
            places.push(place);
        }
        if !missing.is_empty() {
            let (missing, got) = (missing.join(", "), header.len());
            let name = table.shape.name;
            let detail = format!("missing for {name}: {missing}; the header has {got} columns");
            return Err(bad_header(detail).into());
        }
        let unknown = (0..header.len()).filter(|at| !places.contains(&Some(*at)));
        let ignored = unknown
            .filter_map(|at| tellable(header[at]))
            .take(IGNORED.1);
        let ignored = ignored.collect();
        Ok(Self {
            csv,
            table,
            places,
            ignored,
            parts: Parts::new(columns),
            asked: Ok(Asked::Add),
        })
    }

    fn read(&mut self) {
        self.parts.clear();
        self.asked = Ok(Asked::Add);
        for ((_, part, reading), place) in self.table.columns.iter().zip(&self.places) {
            let cell = place
                .and_then(|at| self.csv.record().get(at))
                .unwrap_or_default();
            match reading {
                Reading::Text => self.parts.put(part, cell),
                Reading::Flag => {
                    let text = std::str::from_utf8(cell).unwrap_or("?");
                    self.parts.put(part, flag(text).as_bytes());
                }
                Reading::Drop if !cell.trim_ascii().is_empty() => self.parts.drop_part(part),
                Reading::Drop | Reading::Skip => {}
                Reading::Action => self.asked = action(cell),
            }
        }
    }
}

fn action(cell: &[u8]) -> Result<Asked, RowFault> {
    match cell.trim_ascii() {
        b"" | b"add" => Ok(Asked::Add),
        b"remove" => Ok(Asked::Remove),
        other => Err(RowFault {
            column: None,
            code: Code::BadValue,
            detail: format!("action: {} chars, neither add nor remove", other.len()),
        }),
    }
}

/// The name of an ignored column, unless it could be anything but a name.
fn tellable(cell: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(cell).ok()?;
    let long = text
        .split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| word.len() >= 32);
    let plain = !text.is_empty() && text.len() <= IGNORED.0 && !text.chars().any(char::is_control);
    (plain && !long).then(|| text.to_owned())
}

impl<R: Read> Container for TableRows<R> {
    const CELL_BYTES_MAX: usize = 1024;

    fn next_row(&mut self) -> Result<bool, ReadFault> {
        let more = self.csv.next_row()?;
        if more && self.csv.cells().is_ok() {
            self.read();
        }
        Ok(more)
    }

    fn row(&self) -> u64 {
        self.csv.row()
    }

    fn bytes(&self) -> u64 {
        self.csv.bytes()
    }

    fn cells(&self) -> Result<Cells<'_>, RowFault> {
        self.csv.cells()?;
        self.asked.as_ref().map_err(Clone::clone)?;
        Ok(self.parts.cells())
    }

    fn all_cells(&self) -> impl Iterator<Item = &[u8]> {
        self.csv.all_cells()
    }

    fn is_hash(&self, cell: usize, _: &[usize]) -> bool {
        let hashes = self.table.shape.hashes;
        let columns = self.table.columns.iter().zip(&self.places);
        let mut hash = columns.filter(|((_, part, _), _)| hashes.iter().any(|(_, p)| p == part));
        hash.any(|(_, place)| *place == Some(cell))
    }

    fn asked(&self) -> Asked {
        self.asked.as_ref().copied().unwrap_or(Asked::Add)
    }

    fn tail(&self) -> Tail {
        Tail {
            dropped: self.parts.dropped(),
            ignored: self.ignored.clone(),
            ..Tail::default()
        }
    }
}
