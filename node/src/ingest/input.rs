//! The bytes of a list: counted, bounded, and in the encoding that the container needs.
//!
//! Why here and not in the containers: a CSV reader asks for bytes until a row is complete, so only the one who hands
//! them out can stop a row that never ends. In scope: byte order mark, UTF-8, sizes, the end mark. Out of scope: rows.

use std::io::{self, Read};

use super::FileFault;
use super::report::Code;

/// Bytes handed out at once.
pub(super) const CHUNK: usize = 64 << 10;
/// Most bytes of a row: no row that we can use has a tenth of it.
pub(super) const ROW_BYTES_MAX: u64 = 64 << 10;

/// Which bytes are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// UTF-8 throughout.
    Utf8,
    /// ASCII where it matters; file names may be anything.
    AsciiAndNames,
}

/// The file as a reader. After the last byte it hands out `end`, then nothing.
pub(super) struct Input<R> {
    inner: R,
    encoding: Encoding,
    bytes: u64,
    bytes_max: u64,
    /// Most bytes of a row.
    row_bytes_max: u64,
    /// Bytes handed out since the last row began.
    since_row: u64,
    /// The beginning of a character whose rest is still to come.
    partial: ([u8; 4], usize),
    /// What is still to be handed out of the bytes read while looking for a byte order mark.
    head: Option<(usize, Vec<u8>)>,
    end: Vec<u8>,
    ended: usize,
}

impl<R: Read> Input<R> {
    pub(super) fn new(inner: R, encoding: Encoding, bytes_max: u64, end: Vec<u8>) -> Self {
        Self {
            inner,
            encoding,
            bytes: 0,
            bytes_max,
            row_bytes_max: ROW_BYTES_MAX,
            since_row: 0,
            partial: ([0; 4], 0),
            head: None,
            end,
            ended: 0,
        }
    }

    /// The same with rows of at most `bytes`.
    pub(super) fn with_rows_of(mut self, bytes: u64) -> Self {
        self.row_bytes_max = bytes;
        self
    }

    /// Bytes of the file read so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Called before each row is read.
    pub(super) fn begin_row(&mut self) {
        self.since_row = 0;
    }

    /// Reads the first bytes and drops a byte order mark.
    fn begin(&mut self) -> io::Result<(usize, Vec<u8>)> {
        let mut head = Vec::with_capacity(3);
        self.inner.by_ref().take(3).read_to_end(&mut head)?;
        if head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]) {
            return Err(encoding("UTF-16: save the list as UTF-8".to_owned()));
        }
        self.bytes = head.len() as u64;
        if head == [0xef, 0xbb, 0xbf] {
            head.clear();
        } else {
            let copy = head.clone();
            self.check(&copy)?;
        }
        Ok((0, head))
    }

    /// Checks that `bytes` go on in UTF-8 from where the bytes before them ended.
    fn check(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.encoding == Encoding::AsciiAndNames {
            return Ok(());
        }
        let mut rest = bytes;
        while self.partial.1 > 0 {
            let Some((first, after)) = rest.split_first() else {
                return Ok(());
            };
            let (buffer, len) = &mut self.partial;
            buffer[*len] = *first;
            *len += 1;
            rest = after;
            match std::str::from_utf8(&buffer[..*len]) {
                Ok(_) => *len = 0,
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return Err(self.not_utf8()),
            }
        }
        match std::str::from_utf8(rest) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_none() => {
                let tail = &rest[error.valid_up_to()..];
                self.partial.0[..tail.len()].copy_from_slice(tail);
                self.partial.1 = tail.len();
                Ok(())
            }
            Err(_) => Err(self.not_utf8()),
        }
    }

    fn not_utf8(&self) -> io::Error {
        let before = self.bytes;
        encoding(format!(
            "not UTF-8 within the first {before} bytes: save the list as UTF-8"
        ))
    }

    fn end(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.partial.1 > 0 {
            return Err(fault(
                Code::Truncated,
                "the file ends within a character".to_owned(),
            ));
        }
        let rest = &self.end[self.ended..];
        let n = rest.len().min(out.len());
        out[..n].copy_from_slice(&rest[..n]);
        self.ended += n;
        Ok(n)
    }
}

impl<R: Read> Read for Input<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let (at, head) = match self.head.take() {
            Some(head) => head,
            None => self.begin()?,
        };
        let n = if at < head.len() {
            let n = (head.len() - at).min(out.len());
            out[..n].copy_from_slice(&head[at..at + n]);
            self.head = Some((at + n, head));
            n
        } else {
            self.head = Some((at, head));
            let n = loop {
                match self.inner.read(out) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    read => break read?,
                }
            };
            self.bytes += n as u64;
            self.check(&out[..n])?;
            n
        };
        if self.bytes > self.bytes_max {
            let detail = format!("more than {} bytes: split the list", self.bytes_max);
            return Err(fault(Code::TooLarge, detail));
        }
        self.since_row += n as u64;
        if self.since_row > self.row_bytes_max + CHUNK as u64 {
            return Err(io::Error::other(row_too_large(self.row_bytes_max)));
        }
        if n == 0 { self.end(out) } else { Ok(n) }
    }
}

/// A row that does not end within `max` bytes.
pub(super) fn row_too_large(max: u64) -> FileFault {
    let detail =
        format!("a row of more than {max} bytes: is a quote never closed, or a file in it?");
    FileFault {
        code: Code::TooLarge,
        row: None,
        detail,
    }
}

fn fault(code: Code, detail: String) -> io::Error {
    io::Error::other(FileFault {
        code,
        row: None,
        detail,
    })
}

fn encoding(detail: String) -> io::Error {
    fault(Code::BadEncoding, detail)
}

/// Why a container gives no more rows.
#[derive(Debug)]
pub(super) enum ReadFault {
    /// The file is refused.
    File(FileFault),
    /// The disk failed.
    Io(io::Error),
}

impl From<FileFault> for ReadFault {
    fn from(fault: FileFault) -> Self {
        Self::File(fault)
    }
}

impl From<io::Error> for ReadFault {
    /// Takes out the fault that [`Input`] packed into the error.
    fn from(error: io::Error) -> Self {
        match error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<FileFault>())
        {
            Some(fault) => Self::File(fault.clone()),
            None => Self::Io(error),
        }
    }
}
