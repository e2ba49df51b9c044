//! A JSON file taken apart without being held: one key, one value, one element at a time.
//!
//! Why not a parser of the whole: such files have gigabytes, or are made to. This finds where each value ends, in bounded
//! memory, and hands its bytes to `serde_json`, which decides whether they are JSON. The bound is that of [`Input`]: a value
//! that does not end within it refuses the file, whatever its size. Nothing may nest deeper than [`DEPTH_MAX`]. Spec:
//! RFC 8259. In scope: framing. Out of scope: what values mean.

use std::io::{BufRead as _, BufReader, Read};

use super::FileFault;
use super::input::{CHUNK, Encoding, Input, ReadFault};
use super::report::Code;

/// Deepest nesting of a file, its root included.
pub(super) const DEPTH_MAX: usize = 32;
/// Most bytes of one record.
pub(super) const RECORD_BYTES_MAX: u64 = 1 << 20;

/// A JSON file that is read once.
pub(super) struct Json<R> {
    input: BufReader<Input<R>>,
    /// Containers that are open.
    open: usize,
    /// Whether the innermost open container has had a member.
    begun: Vec<bool>,
    value: Vec<u8>,
}

/// Where a scan of a value stands.
#[derive(Default)]
struct Scan {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl<R: Read> Json<R> {
    pub(super) fn new(reader: R, bytes_max: u64) -> Self {
        let input = Input::new(reader, Encoding::Utf8, bytes_max, Vec::new());
        Self {
            input: BufReader::with_capacity(CHUNK, input.with_rows_of(RECORD_BYTES_MAX)),
            open: 0,
            begun: Vec::new(),
            value: Vec::new(),
        }
    }

    /// Bytes of the file read so far.
    pub(super) fn bytes(&self) -> u64 {
        self.input.get_ref().bytes()
    }

    /// The next byte that is no white space; `None` at the end of the file.
    pub(super) fn peek(&mut self) -> Result<Option<u8>, ReadFault> {
        loop {
            let buffer = self.input.fill_buf()?;
            let Some(at) = buffer.iter().position(|b| !is_space(*b)) else {
                let skipped = buffer.len();
                if skipped == 0 {
                    return Ok(None);
                }
                self.input.consume(skipped);
                continue;
            };
            let byte = buffer[at];
            self.input.consume(at);
            return Ok(Some(byte));
        }
    }

    /// Opens an object or an array.
    pub(super) fn open(&mut self, bracket: u8) -> Result<(), ReadFault> {
        match self.peek()? {
            Some(byte) if byte == bracket => {
                self.input.consume(1);
                self.open += 1;
                self.begun.push(false);
                if self.open > DEPTH_MAX {
                    return Err(too_deep().into());
                }
                Ok(())
            }
            Some(_) => Err(malformed("another value stands here").into()),
            None => Err(truncated().into()),
        }
    }

    /// Goes to the next member of the innermost container; false, and it is closed, behind the last.
    fn member(&mut self, close: u8) -> Result<bool, ReadFault> {
        self.input.get_mut().begin_row();
        let next = self.peek()?.ok_or_else(truncated)?;
        if next == close {
            self.input.consume(1);
            self.open -= 1;
            self.begun.pop();
            return Ok(false);
        }
        let begun = self.begun.last_mut().ok_or_else(truncated)?;
        if std::mem::replace(begun, true) {
            if next != b',' {
                return Err(malformed("no comma between two members").into());
            }
            self.input.consume(1);
            let next = self.peek()?.ok_or_else(truncated)?;
            if next == close {
                return Err(malformed("a comma before the end").into());
            }
        }
        Ok(true)
    }

    /// The next key of the innermost object; `None` behind its last member.
    pub(super) fn key(&mut self) -> Result<Option<String>, ReadFault> {
        if !self.member(b'}')? {
            return Ok(None);
        }
        self.scan()?;
        let key = serde_json::from_slice(&self.value).map_err(|_| malformed("a key is no text"))?;
        match self.peek()? {
            Some(b':') => self.input.consume(1),
            Some(_) => return Err(malformed("no colon behind a key").into()),
            None => return Err(truncated().into()),
        }
        Ok(Some(key))
    }

    /// Whether the innermost array has another element, which is to be read next.
    pub(super) fn has_element(&mut self) -> Result<bool, ReadFault> {
        self.member(b']')
    }

    /// The bytes of the next value.
    pub(super) fn value(&mut self) -> Result<&[u8], ReadFault> {
        self.scan()?;
        Ok(&self.value)
    }

    /// Finds the end of the value that begins here.
    fn scan(&mut self) -> Result<(), ReadFault> {
        self.value.clear();
        let first = self.peek()?.ok_or_else(truncated)?;
        let is_scalar = !matches!(first, b'{' | b'[' | b'"');
        let mut scan = Scan::default();
        loop {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                return Err(truncated().into());
            }
            let end = if is_scalar {
                buffer
                    .iter()
                    .position(|b| is_space(*b) || matches!(b, b',' | b']' | b'}'))
            } else {
                scan.end(buffer, DEPTH_MAX - self.open)?
            };
            let taken = end.unwrap_or(buffer.len());
            self.value.extend_from_slice(&buffer[..taken]);
            self.input.consume(taken);
            if end.is_some() {
                return Ok(());
            }
        }
    }
}

impl Scan {
    /// How many bytes belong to the value, if it ends in `buffer`.
    fn end(&mut self, buffer: &[u8], depth_max: usize) -> Result<Option<usize>, FileFault> {
        for (at, byte) in buffer.iter().enumerate() {
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
            } else {
                match byte {
                    b'"' => self.in_string = true,
                    b'{' | b'[' => self.depth += 1,
                    b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                    _ => continue,
                }
                if self.depth > depth_max {
                    return Err(too_deep());
                }
            }
            if self.depth == 0 && !self.in_string {
                return Ok(Some(at + 1));
            }
        }
        Ok(None)
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

pub(super) fn truncated() -> FileFault {
    fault(
        Code::Truncated,
        "the file ends within a value: is it complete?",
    )
}

pub(super) fn malformed(detail: &str) -> FileFault {
    fault(Code::BadRow, &format!("not JSON: {detail}"))
}

fn too_deep() -> FileFault {
    let detail = format!("nested deeper than {DEPTH_MAX}");
    fault(Code::BadHeader, &detail)
}

pub(super) fn bad_header(detail: &str) -> FileFault {
    fault(Code::BadHeader, detail)
}

fn fault(code: Code, detail: &str) -> FileFault {
    FileFault {
        code,
        row: None,
        detail: detail.to_owned(),
    }
}
