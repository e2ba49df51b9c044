//! Rows out of the text that ThreatExchange's `local_file` exchange reads.
//!
//! What: `type value` a line, one single space, types `pdq`, `video_md5` and `video_sha256`; or the bare value, where the
//! operator names the type. Why stricter than the stock client: that one drops what it does not know without a word, and a
//! line that vanishes is a file that is not found. A line removed from the file is an absence (editions). Spec: what
//! threatexchange 1.2.17 reads. In scope: lines. Out of scope: labels, of which such a file has none.

use std::io::{BufRead as _, BufReader, Read};

use super::input::{CHUNK, Encoding, Input, ROW_BYTES_MAX, ReadFault, row_too_large};
use super::parts::{Parts, Shape};
use super::report::Code;
use super::row::{Cells, Container, RowFault, Tail};

/// What a profile can name.
pub(super) const SHAPE: Shape = Shape {
    name: "local_file",
    parts: &["media_kind"],
    hashes: &[
        ("md5", "video_md5"),
        ("sha256", "video_sha256"),
        ("pdq", "pdq"),
    ],
    byte_length: None,
    entered_on: None,
    assessed_on: None,
    series: None,
    suspected: None,
};

/// The types of the stock client, and the kind of file that each is of.
const TYPES: [(&str, &str); 3] = [
    ("pdq", "image"),
    ("video_md5", "video"),
    ("video_sha256", "video"),
];

/// A type of the stock client by its name.
pub(super) fn signal_type(name: &str) -> Option<&'static str> {
    let known = TYPES.iter().find(|(known, _)| *known == name);
    known.map(|(known, _)| *known)
}

/// A list of lines.
pub(super) struct LocalRows<R> {
    reader: BufReader<Input<R>>,
    /// The type of every line, where they are bare values.
    only: Option<&'static str>,
    line: Vec<u8>,
    parts: Parts,
    fault: Option<RowFault>,
    row: u64,
}

impl<R: Read> LocalRows<R> {
    pub(super) fn open(
        reader: R,
        only: Option<&'static str>,
        columns: &[String],
        bytes_max: u64,
    ) -> Self {
        let input = Input::new(reader, Encoding::Utf8, bytes_max, Vec::new());
        Self {
            reader: BufReader::with_capacity(CHUNK, input),
            only,
            line: Vec::new(),
            parts: Parts::new(columns),
            fault: None,
            row: 0,
        }
    }

    fn read(&mut self) -> Result<(), RowFault> {
        self.parts.clear();
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let (name, value) = match self.only {
            Some(only) => (only.as_bytes(), line),
            None => {
                let space = line.iter().position(|b| *b == b' ');
                let (name, value) = space.map_or((line, &line[..0]), |at| {
                    let (name, value) = line.split_at(at);
                    (name, &value[1..])
                });
                (name, value)
            }
        };
        let known = TYPES.iter().find(|(known, _)| known.as_bytes() == name);
        let Some((part, kind)) = known else {
            let detail = "no line of `type value` with pdq, video_md5 or video_sha256".to_owned();
            return Err(fault(Code::UnknownType, detail));
        };
        if value.is_empty() || value.iter().any(u8::is_ascii_whitespace) {
            let detail = "not one value behind one space".to_owned();
            return Err(fault(Code::BadRow, detail));
        }
        self.parts.put(part, value);
        self.parts.put("media_kind", kind.as_bytes());
        Ok(())
    }
}

fn fault(code: Code, detail: String) -> RowFault {
    RowFault {
        column: None,
        code,
        detail,
    }
}

impl<R: Read> Container for LocalRows<R> {
    const CELL_BYTES_MAX: usize = 1024;

    fn next_row(&mut self) -> Result<bool, ReadFault> {
        self.reader.get_mut().begin_row();
        self.line.clear();
        let limit = ROW_BYTES_MAX + 1;
        let mut line = self.reader.by_ref().take(limit);
        let n = line.read_until(b'\n', &mut self.line)?;
        if n as u64 == limit {
            return Err(row_too_large(ROW_BYTES_MAX).into());
        }
        if n == 0 {
            return Ok(false);
        }
        self.row += 1;
        self.fault = self.read().err();
        Ok(true)
    }

    fn row(&self) -> u64 {
        self.row
    }

    fn bytes(&self) -> u64 {
        self.reader.get_ref().bytes()
    }

    fn cells(&self) -> Result<Cells<'_>, RowFault> {
        match &self.fault {
            None => Ok(self.parts.cells()),
            Some(fault) => Err(fault.clone()),
        }
    }

    fn all_cells(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(self.line.as_slice())
    }

    fn is_hash(&self, _: usize, _: &[usize]) -> bool {
        false
    }

    fn tail(&self) -> Tail {
        Tail {
            dropped: self.parts.dropped(),
            ..Tail::default()
        }
    }
}
