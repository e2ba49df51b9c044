//! Rows out of a CSV file.
//!
//! Why strict: a list with a shifted column or half a last row is read without an error by most readers, and the wrong
//! hashes go out. So the header must name every column of the profile, each row must have as many cells as the header,
//! and the file must not end within quotes. In scope: the container. Out of scope: what cells mean (`row`).
//!
//! How an open quote at the end shows: the input ends with a line of random digits. A reader that is within quotes there
//! swallows the line; else the line is a row of its own, and the last one.

use std::io::{self, Read};

use ::csv::{ByteRecord, Reader, ReaderBuilder};

use super::FileFault;
use super::input::{CHUNK, Encoding, Input, ROW_BYTES_MAX, ReadFault, row_too_large};
use super::report::Code;
use super::row::{Cells, Container, RowFault};
use crate::store::durable::random_u64;

/// A CSV file whose header was read.
pub(super) struct CsvRows<R> {
    reader: Reader<Input<R>>,
    record: ByteRecord,
    /// For each column of the profile, which column of the file.
    positions: Vec<usize>,
    /// Cells of the header.
    width: usize,
    end: Vec<u8>,
    row: u64,
}

impl<R: Read> CsvRows<R> {
    /// Reads the header and finds `columns` in it.
    pub(super) fn open(
        reader: R,
        delimiter: u8,
        columns: &[String],
        bytes_max: u64,
    ) -> Result<Self, ReadFault> {
        let mut rows = Self::begin(reader, delimiter, bytes_max)?;
        rows.positions = find(&rows.record, columns)?;
        Ok(rows)
    }

    /// Reads the header, whose cells are [`CsvRows::record`] until the first row.
    pub(super) fn begin(reader: R, delimiter: u8, bytes_max: u64) -> Result<Self, ReadFault> {
        let end = format!("{:016x}{:016x}", random_u64()?, random_u64()?).into_bytes();
        let mark = [b"\n", &end[..], b"\n"].concat();
        let input = Input::new(reader, Encoding::Utf8, bytes_max, mark);
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .buffer_capacity(CHUNK)
            .from_reader(input);
        let mut record = ByteRecord::new();
        reader.read_byte_record(&mut record).map_err(read_fault)?;
        if record.is_empty() || (record.len() == 1 && &record[0] == end.as_slice()) {
            return Err(bad_header("the file is empty".to_owned()).into());
        }
        refuse_repeated(&record)?;
        let width = record.len();
        Ok(Self {
            reader,
            record,
            positions: Vec::new(),
            width,
            end,
            row: 0,
        })
    }

    /// The cells of the row, or of the header before the first.
    pub(super) fn record(&self) -> &ByteRecord {
        &self.record
    }
}

impl<R: Read> Container for CsvRows<R> {
    const CELL_BYTES_MAX: usize = 1024;

    fn next_row(&mut self) -> Result<bool, ReadFault> {
        self.reader.get_mut().begin_row();
        let before = self.reader.position().byte();
        if !self
            .reader
            .read_byte_record(&mut self.record)
            .map_err(read_fault)?
        {
            let detail = "the file ends within quotes: is it complete?".to_owned();
            return Err(FileFault {
                code: Code::Truncated,
                row: Some(self.row),
                detail,
            }
            .into());
        }
        if self.reader.position().byte() - before > ROW_BYTES_MAX {
            return Err(row_too_large(ROW_BYTES_MAX).into());
        }
        if self.record.len() == 1 && self.record[0] == *self.end {
            return Ok(false);
        }
        self.row += 1;
        Ok(true)
    }

    fn row(&self) -> u64 {
        self.row
    }

    fn bytes(&self) -> u64 {
        self.reader.get_ref().bytes()
    }

    fn cells(&self) -> Result<Cells<'_>, RowFault> {
        if self.record.len() == self.width {
            return Ok(Cells::Csv {
                record: &self.record,
                positions: &self.positions,
            });
        }
        let detail = format!(
            "{} cells, expected {} as in the header",
            self.record.len(),
            self.width
        );
        Err(RowFault {
            column: None,
            code: Code::BadRow,
            detail,
        })
    }

    fn all_cells(&self) -> impl Iterator<Item = &[u8]> {
        self.record.iter()
    }

    fn is_hash(&self, cell: usize, hashes: &[usize]) -> bool {
        hashes
            .iter()
            .any(|column| self.positions.get(*column) == Some(&cell))
    }
}

/// Which column of the file each of `columns` is. Cells of the header are never shown: without a header they are data.
fn find(header: &ByteRecord, columns: &[String]) -> Result<Vec<usize>, FileFault> {
    let names: Vec<&[u8]> = header.iter().map(<[u8]>::trim_ascii).collect();
    let place = |column: &String| names.iter().position(|name| *name == column.as_bytes());
    let found: Vec<Option<usize>> = columns.iter().map(place).collect();
    let missing: Vec<&str> = columns
        .iter()
        .zip(&found)
        .filter(|(_, place)| place.is_none())
        .map(|(column, _)| column.as_str())
        .collect();
    if !missing.is_empty() {
        let (missing, got) = (missing.join(", "), names.len());
        return Err(bad_header(format!(
            "missing: {missing}; the header has {got} columns: is there one, and is the delimiter right?"
        )));
    }
    Ok(found.into_iter().flatten().collect())
}

fn refuse_repeated(header: &ByteRecord) -> Result<(), FileFault> {
    let names: Vec<&[u8]> = header.iter().map(<[u8]>::trim_ascii).collect();
    for (second, name) in names.iter().enumerate() {
        if let Some(first) = names[..second].iter().position(|earlier| earlier == name) {
            let (first, second) = (first + 1, second + 1);
            let detail = format!("columns {first} and {second} of the header have the same name");
            return Err(bad_header(detail));
        }
    }
    Ok(())
}

pub(super) fn bad_header(detail: String) -> FileFault {
    FileFault {
        code: Code::BadHeader,
        row: None,
        detail,
    }
}

fn read_fault(error: ::csv::Error) -> ReadFault {
    if let ::csv::ErrorKind::Io(error) = error.into_kind() {
        return error.into();
    }
    // Every other kind is about text records, equal lengths or serde, and none of these is asked for.
    io::Error::from(io::ErrorKind::InvalidData).into()
}
