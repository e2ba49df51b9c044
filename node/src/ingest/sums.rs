//! Rows out of the text that `md5sum`, `sha256sum` and their kind write.
//!
//! What: `digest  name`, `digest *name`, either with a backslash before it where the name is escaped, and the BSD form
//! `MD5 (name) = digest`. Names are read past as bytes: they are never kept, may be in any encoding, and are the one
//! thing of such a list that must not travel. Spec: GNU coreutils manual, "md5sum invocation". In scope: the container.
//! Out of scope: what a digest is worth (`row`).

use std::io::{BufRead as _, BufReader, Read};
use std::ops::Range;

use hashpact_protocol::fingerprint::Algorithm;

use super::input::{CHUNK, Encoding, Input, ROW_BYTES_MAX, ReadFault, row_too_large};
use super::report::Code;
use super::row::{Cells, Container, RowFault};

/// A list of checksums of one algorithm.
pub(super) struct SumsRows<R> {
    reader: BufReader<Input<R>>,
    bsd_name: &'static str,
    line: Vec<u8>,
    row: u64,
}

impl<R: Read> SumsRows<R> {
    pub(super) fn open(reader: R, algorithm: &Algorithm, bytes_max: u64) -> Self {
        let input = Input::new(reader, Encoding::AsciiAndNames, bytes_max, Vec::new());
        Self {
            reader: BufReader::with_capacity(CHUNK, input),
            bsd_name: bsd_name(algorithm).unwrap_or(""),
            line: Vec::new(),
            row: 0,
        }
    }
}

/// How the BSD form calls an algorithm; `None` if no such tool exists for it.
pub(super) fn bsd_name(algorithm: &Algorithm) -> Option<&'static str> {
    match algorithm {
        Algorithm::Md5 => Some("MD5"),
        Algorithm::Sha1 => Some("SHA1"),
        Algorithm::Sha256 => Some("SHA256"),
        Algorithm::Blake3 => Some("BLAKE3"),
        Algorithm::Pdq | Algorithm::PhotoDna | Algorithm::Other(_) => None,
    }
}

impl<R: Read> Container for SumsRows<R> {
    // The longest path that Linux opens.
    const CELL_BYTES_MAX: usize = 4096;

    fn next_row(&mut self) -> Result<bool, ReadFault> {
        loop {
            self.reader.get_mut().begin_row();
            self.line.clear();
            let limit = ROW_BYTES_MAX + 1;
            let n = self
                .reader
                .by_ref()
                .take(limit)
                .read_until(b'\n', &mut self.line)?;
            if n as u64 == limit {
                return Err(row_too_large(ROW_BYTES_MAX).into());
            }
            if n == 0 {
                return Ok(false);
            }
            self.row += 1;
            // As `md5sum --check` does; rows still count as lines, so that an editor finds them.
            if !self.line.trim_ascii().is_empty() && self.line[0] != b'#' {
                return Ok(true);
            }
        }
    }

    fn row(&self) -> u64 {
        self.row
    }

    fn bytes(&self) -> u64 {
        self.reader.get_ref().bytes()
    }

    fn cells(&self) -> Result<Cells<'_>, RowFault> {
        let parts = split(&self.line, self.bsd_name).map_err(|(code, detail)| RowFault {
            column: None,
            code,
            detail: detail.to_owned(),
        })?;
        Ok(Cells::Digest(&self.line[parts.digest]))
    }

    fn all_cells(&self) -> impl Iterator<Item = &[u8]> {
        let name = split(&self.line, self.bsd_name)
            .ok()
            .map(|parts| &self.line[parts.name]);
        // A line that is neither form is looked at as a whole.
        std::iter::once(name.unwrap_or(&self.line))
    }

    fn is_hash(&self, _: usize, _: &[usize]) -> bool {
        false
    }
}

/// Where the parts of a line lie.
struct Parts {
    digest: Range<usize>,
    name: Range<usize>,
}

const NEITHER: (Code, &str) = (
    Code::BadRow,
    "neither `digest  name`, `digest *name` nor `NAME (name) = digest`",
);

fn split(line: &[u8], bsd_name: &str) -> Result<Parts, (Code, &'static str)> {
    let start = usize::from(line.first() == Some(&b'\\'));
    let space = start
        + line[start..]
            .iter()
            .position(|b| *b == b' ')
            .ok_or(NEITHER)?;
    match line.get(space + 1) {
        Some(b' ' | b'*') if line.len() > space + 2 => Ok(Parts {
            digest: start..space,
            name: space + 2..line.len(),
        }),
        Some(b'(') => {
            // The name may hold the sign itself, so it ends at the last one.
            let sign = b") = ";
            let at = line
                .windows(sign.len())
                .rposition(|w| w == sign)
                .ok_or(NEITHER)?;
            if line[start..space] != *bsd_name.as_bytes() {
                let detail = "the line states another algorithm than the profile";
                return Err((Code::UnknownType, detail));
            }
            Ok(Parts {
                digest: at + sign.len()..line.len(),
                name: space + 2..at.max(space + 2),
            })
        }
        Some(_) | None => Err(NEITHER),
    }
}
