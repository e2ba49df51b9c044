//! Signed notes: a text and signature lines under it. Spec: C2SP signed-note.
//!
//! ```text
//! <text, ends in a newline>
//! <empty line>
//! — <key name> <base64(4-byte key id || signature)>
//! ```
//!
//! In scope: lines, and whose they are. Lines of other keys and types are kept, as the note is passed on whole. One key has
//! one line: of two the older is replaced, and readers may refuse a note with both (as C2SP tools do).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hashpact_keys::{PublicKey, Signer, Timestamp};

use super::cosignature::{self, SignatureKind, VerifierKey};
use crate::limits;

/// What every signature line begins with: an em dash and a space.
const DASH: &str = "\u{2014} ";

/// A note that parses; who signed it is not checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedNote {
    text: String,
    lines: Vec<Line>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    name: String,
    key_id: [u8; 4],
    signature: Vec<u8>,
}

/// Why a note is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Longer than [`limits::NOTE_BYTES`].
    #[error("note: {got} bytes, at most {}", limits::NOTE_BYTES)]
    TooLarge {
        /// Its length.
        got: usize,
    },
    /// Not a signed note.
    #[error("note: not the expected shape")]
    Shape,
    /// No line of this key.
    #[error("note: not signed by the expected key")]
    Unsigned,
    /// A line of this key that does not verify.
    #[error("note: the signature does not verify")]
    Signature,
    /// No room for another line.
    #[error(
        "note: {} signature lines, and no room for more",
        limits::NOTE_SIGNATURES
    )]
    Full,
}

impl SignedNote {
    /// Signs a text, which ends in a newline, under a key name.
    #[must_use]
    pub fn sign(text: &str, name: &str, signer: &Signer) -> Self {
        let signature = signer.sign(text.as_bytes()).to_vec();
        let key_id = VerifierKey::new(name, SignatureKind::Log, signer.public()).id();
        let line = Line {
            name: name.to_owned(),
            key_id,
            signature,
        };
        Self {
            text: text.to_owned(),
            lines: vec![line],
        }
    }

    /// Parses a note, strictly.
    ///
    /// # Errors
    /// [`NoteError::TooLarge`] or [`NoteError::Shape`].
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > limits::NOTE_BYTES {
            return Err(NoteError::TooLarge { got: bytes.len() });
        }
        let note = std::str::from_utf8(bytes).map_err(|_| NoteError::Shape)?;
        if note.chars().any(|c| c.is_control() && c != '\n') {
            return Err(NoteError::Shape);
        }
        // The last empty line separates, so a text with empty lines of its own stays whole.
        let (text, signatures) = note.rsplit_once("\n\n").ok_or(NoteError::Shape)?;
        let signatures = signatures.strip_suffix('\n').ok_or(NoteError::Shape)?;
        let lines: Vec<Line> = signatures
            .split('\n')
            .map(parse_line)
            .collect::<Result<_, _>>()?;
        if text.is_empty() || lines.len() > limits::NOTE_SIGNATURES {
            return Err(NoteError::Shape);
        }
        Ok(Self {
            text: format!("{text}\n"),
            lines,
        })
    }

    /// The note's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = format!("{}\n", self.text);
        for line in &self.lines {
            let blob = [&line.key_id[..], &line.signature].concat();
            out.push_str(&format!("{DASH}{} {}\n", line.name, BASE64.encode(blob)));
        }
        out.into_bytes()
    }

    /// The text, with its last newline.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Checks that the key signed under this name.
    ///
    /// # Errors
    /// [`NoteError::Unsigned`] if it has no line; [`NoteError::Signature`] if one of its lines does not verify.
    pub fn verify(&self, name: &str, key: &PublicKey) -> Result<(), NoteError> {
        let key = VerifierKey::new(name, SignatureKind::Log, *key);
        self.signed_by(&key).map(drop)
    }

    /// Checks that a key signed, and says when if its signature holds a time: of several lines the newest.
    ///
    /// # Errors
    /// As [`SignedNote::verify`].
    pub fn signed_by(&self, key: &VerifierKey) -> Result<Option<Timestamp>, NoteError> {
        let mut newest = None;
        let mut lines = self.lines_of(key).peekable();
        lines.peek().ok_or(NoteError::Unsigned)?;
        for line in lines {
            let at = key.verify(&self.text, &line.signature);
            newest = newest.max(at.map_err(|_| NoteError::Signature)?);
        }
        Ok(newest)
    }

    /// Adds a cosignature under a name, in the place of an older one of the same key.
    ///
    /// # Errors
    /// [`NoteError::Full`] if the note holds as many lines as it may.
    pub fn cosign(&mut self, name: &str, signer: &Signer, at: Timestamp) -> Result<(), NoteError> {
        let key = VerifierKey::new(name, SignatureKind::Cosigner, signer.public());
        let signature = cosignature::cosign(&self.text, signer, at);
        self.put(&key, signature)
    }

    /// When a cosigner says it signed: of several lines the newest. Nothing is verified.
    #[must_use]
    pub fn claimed_at(&self, key: &VerifierKey) -> Option<Timestamp> {
        let time = |line: &Line| cosignature::claimed_time(&line.signature);
        self.lines_of(key).filter_map(time).max()
    }

    /// Puts a key's line from another note in the place of all lines of these keys.
    ///
    /// # Errors
    /// [`NoteError::Unsigned`] if the key has no line there; [`NoteError::Full`].
    pub(super) fn replace<'a>(
        &mut self,
        keys: impl IntoIterator<Item = &'a VerifierKey>,
        other: &Self,
        key: &VerifierKey,
    ) -> Result<(), NoteError> {
        let time = |line: &&Line| cosignature::claimed_time(&line.signature);
        let line = other.lines_of(key).max_by_key(time);
        let line = line.ok_or(NoteError::Unsigned)?.clone();
        for old in keys {
            self.lines.retain(|line| !line.is_of(old));
        }
        self.put(key, line.signature)
    }

    /// Takes over a cosigner's line from another note with the same text, if it is newer than the one held; says whether.
    /// A line that does not verify is left where it is: whoever passed it on need not have looked. So is one that is dated
    /// after `latest`: it would count as new for ever.
    ///
    /// # Errors
    /// [`NoteError::Full`].
    pub fn take_over(
        &mut self,
        other: &Self,
        key: &VerifierKey,
        latest: Timestamp,
    ) -> Result<bool, NoteError> {
        if self.text != other.text {
            return Ok(false);
        }
        let time = |line: &Line| cosignature::claimed_time(&line.signature);
        let held = self.lines_of(key).filter_map(time).max();
        let newer = other
            .lines_of(key)
            .filter(|line| time(line) > held && time(line) <= Some(latest));
        let Some(line) = newer.max_by_key(|line| time(line)) else {
            return Ok(false);
        };
        if key.verify(&self.text, &line.signature).is_err() {
            return Ok(false);
        }
        self.put(key, line.signature.clone())?;
        Ok(true)
    }

    /// Leaves out every line but one of each of these keys, the first: copies of a line would leave no room for others'.
    #[must_use]
    pub fn only<'a>(mut self, keys: impl IntoIterator<Item = &'a VerifierKey>) -> Self {
        let lines = std::mem::take(&mut self.lines);
        for key in keys {
            self.lines
                .extend(lines.iter().find(|line| line.is_of(key)).cloned());
        }
        self
    }

    fn lines_of<'a>(&'a self, key: &'a VerifierKey) -> impl Iterator<Item = &'a Line> {
        self.lines.iter().filter(move |line| line.is_of(key))
    }

    fn put(&mut self, key: &VerifierKey, signature: Vec<u8>) -> Result<(), NoteError> {
        self.lines.retain(|line| !line.is_of(key));
        if self.lines.len() >= limits::NOTE_SIGNATURES {
            return Err(NoteError::Full);
        }
        self.lines.push(Line {
            name: key.name().to_owned(),
            key_id: key.id(),
            signature,
        });
        Ok(())
    }
}

impl Line {
    fn is_of(&self, key: &VerifierKey) -> bool {
        self.name == key.name() && self.key_id == key.id()
    }
}

fn parse_line(line: &str) -> Result<Line, NoteError> {
    let (name, blob) = line
        .strip_prefix(DASH)
        .and_then(|rest| rest.split_once(' '))
        .ok_or(NoteError::Shape)?;
    let blob = BASE64.decode(blob).map_err(|_| NoteError::Shape)?;
    let (key_id, signature) = blob.split_first_chunk().ok_or(NoteError::Shape)?;
    if !cosignature::is_name(name) || signature.is_empty() {
        return Err(NoteError::Shape);
    }
    Ok(Line {
        name: name.to_owned(),
        key_id: *key_id,
        signature: signature.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer() -> Signer {
        Signer::from_seed(&[3; 32])
    }

    #[test]
    fn note_round_trips_and_verifies() {
        let note = SignedNote::sign("eu.example/eu/1\n0\nx\n", "eu.example/eu/1", &signer());
        let bytes = note.to_bytes();
        let parsed = SignedNote::parse(&bytes).unwrap();
        assert_eq!(parsed.to_bytes(), bytes);
        assert_eq!(parsed.verify("eu.example/eu/1", &signer().public()), Ok(()));
    }

    #[test]
    fn changed_text_does_not_verify() {
        let note = SignedNote::sign("a\n5\n", "n", &signer());
        let bytes = String::from_utf8(note.to_bytes())
            .unwrap()
            .replacen('5', "6", 1);
        let note = SignedNote::parse(bytes.as_bytes()).unwrap();
        assert_eq!(
            note.verify("n", &signer().public()),
            Err(NoteError::Signature)
        );
    }

    #[test]
    fn signature_under_another_name_does_not_count() {
        let note = SignedNote::sign("a\n", "n", &signer());
        assert_eq!(
            note.verify("m", &signer().public()),
            Err(NoteError::Unsigned)
        );
        let other = Signer::from_seed(&[4; 32]).public();
        assert_eq!(note.verify("n", &other), Err(NoteError::Unsigned));
    }

    #[test]
    fn cosignature_of_a_stranger_is_kept() {
        let note = SignedNote::sign("a\n", "n", &signer());
        let mut bytes = note.to_bytes();
        let line = format!(
            "{DASH}witness.example {}\n",
            BASE64.encode([9_u8; 4 + 8 + 64])
        );
        bytes.extend_from_slice(line.as_bytes());
        let parsed = SignedNote::parse(&bytes).unwrap();
        assert_eq!(parsed.to_bytes(), bytes);
        assert_eq!(parsed.verify("n", &signer().public()), Ok(()));
    }

    #[test]
    fn malformed_notes_are_refused() {
        let good = SignedNote::sign("a\n", "n", &signer()).to_bytes();
        let text = String::from_utf8(good.clone()).unwrap();
        for bad in [
            text.trim_end().to_owned(),
            text.replace("\n\n", "\n"),
            text.replace(DASH, "- "),
            text.replace("a\n", "a\r\n"),
            format!("{text}\u{2014} n !!!\n"),
            format!("{text}{DASH}a+b {}\n", BASE64.encode([1; 68])),
        ] {
            assert_eq!(
                SignedNote::parse(bad.as_bytes()),
                Err(NoteError::Shape),
                "{bad:?}"
            );
        }
        let long = vec![b'a'; limits::NOTE_BYTES + 1];
        assert!(matches!(
            SignedNote::parse(&long),
            Err(NoteError::TooLarge { .. })
        ));
    }
}
