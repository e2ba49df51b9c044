//! A file of notes, cut into notes. Why: a history grows with its log, so it is never held as a whole.
//!
//! Each note is followed by one empty line; a note has exactly one within, between its text and its lines. In scope:
//! cutting. Out of scope: reading a note (`log::SignedNote`).

use crate::limits;

/// Why a history cannot be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistoryFault {
    /// No note ends within the bound.
    #[error(
        "no note ends within {} bytes: nothing behind it is read",
        limits::NOTE_BYTES
    )]
    TooLong,
    /// Bytes behind the last note.
    #[error("ends with {got} bytes that are no whole note and its empty line")]
    Trailing {
        /// How many.
        got: usize,
    },
}

/// The notes of a history, from its bytes in pieces of any length.
#[derive(Debug)]
pub struct HistoryNotes<I> {
    pieces: I,
    buffer: Vec<u8>,
    /// Bytes of the buffer that went out as notes: it is moved once a piece, not once a note.
    taken: usize,
    ended: bool,
}

impl<I: Iterator<Item = Vec<u8>>> HistoryNotes<I> {
    /// Cuts these pieces.
    pub fn new(pieces: I) -> Self {
        Self {
            pieces,
            buffer: Vec::new(),
            taken: 0,
            ended: false,
        }
    }
}

impl<I: Iterator<Item = Vec<u8>>> Iterator for HistoryNotes<I> {
    type Item = Result<Vec<u8>, HistoryFault>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let left = &self.buffer[self.taken..];
            if let Some(end) = note_end(left) {
                // Without the empty line behind the note.
                let note = left[..end].to_vec();
                self.taken += end + 1;
                return Some(Ok(note));
            }
            if left.len() > limits::NOTE_BYTES + 1 {
                (self.ended, self.buffer, self.taken) = (true, Vec::new(), 0);
                return Some(Err(HistoryFault::TooLong));
            }
            self.buffer.drain(..self.taken);
            self.taken = 0;
            let piece = if self.ended { None } else { self.pieces.next() };
            match piece {
                Some(piece) => self.buffer.extend_from_slice(&piece),
                None if self.buffer.is_empty() => return None,
                None => {
                    let got = std::mem::take(&mut self.buffer).len();
                    self.ended = true;
                    return Some(Err(HistoryFault::Trailing { got }));
                }
            }
        }
    }
}

/// Where the empty line behind the first note ends.
fn note_end(buffer: &[u8]) -> Option<usize> {
    let within = &buffer[..buffer.len().min(limits::NOTE_BYTES + 1)];
    let mut empty = within
        .windows(2)
        .enumerate()
        .filter(|(_, pair)| *pair == b"\n\n");
    let (separator, _) = empty.next()?;
    // Of three line feeds in a row the middle one would count twice.
    let (end, _) = empty.find(|(at, _)| *at > separator + 1)?;
    Some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_come_out_whole_however_the_bytes_are_cut() {
        let file = b"a\n1\n\nx y\nx z\n\nb\n2\n\nx y\n\nrest";
        for width in 1..file.len() {
            let pieces = file.chunks(width).map(<[u8]>::to_vec);
            let notes: Vec<_> = HistoryNotes::new(pieces).collect();
            assert_eq!(
                notes,
                [
                    Ok(b"a\n1\n\nx y\nx z\n".to_vec()),
                    Ok(b"b\n2\n\nx y\n".to_vec()),
                    Err(HistoryFault::Trailing { got: 4 })
                ]
            );
        }
    }

    #[test]
    fn a_note_without_an_end_takes_no_memory() {
        let mut pieces = 0;
        let endless = std::iter::repeat_with(|| {
            pieces += 1;
            vec![b'a'; 1024]
        });
        let notes: Vec<_> = HistoryNotes::new(endless).collect();
        assert_eq!(notes, [Err(HistoryFault::TooLong)]);
        assert_eq!(pieces, 17);
    }
}
