//! Keys that sign notes, by name; and cosignatures with a time. Spec: C2SP signed-note (verifier keys) and
//! tlog-cosignature (Ed25519, type 0x04).
//!
//! A cosignature says: as of this time, the checkpoint is the newest that its cosigner saw of the log, and continues all
//! that it saw before. What else a cosigner states with it (a mirror: that the entries are stored) is in its name and key.
//! In scope: names, key ids, what is signed. Out of scope: who counts (`witnesses`), lines of a note (`note`).

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hashpact_keys::{PublicKey, Signer, Timestamp};
use sha2::{Digest as _, Sha256};

/// Bytes of a signature blob of type 0x04: the time and the signature.
const TIMED_BYTES: usize = 8 + 64;

/// What a note key signs; the number is the C2SP signature type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SignatureKind {
    /// The note's text itself (0x01): a log.
    Log = 0x01,
    /// A time and the note's text (0x04): a witness or a mirror.
    Cosigner = 0x04,
}

/// A key with the name under which it signs notes.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    kind: SignatureKind,
    key: PublicKey,
    id: [u8; 4],
}

/// Why a text is no verifier key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifierKeyError {
    /// Not `<name>+<8 hexadecimal digits>+<base64>`.
    #[error("verifier key: not <name>+<key id>+<key>")]
    Shape,
    /// A signature type other than 0x01 and 0x04.
    #[error("verifier key: signature type {got:#04x} is not 0x01 or 0x04, the Ed25519 types")]
    Kind {
        /// The type.
        got: u8,
    },
    /// The key is not usable.
    #[error("verifier key: not a usable Ed25519 key")]
    Key,
    /// The key id is not that of this name, type and key.
    #[error("verifier key: the key id is not that of this name and key")]
    KeyId,
}

impl VerifierKey {
    /// A key under a name. The name holds no space and no `+`; ours are origin lines and witness names, which hold neither.
    #[must_use]
    pub fn new(name: &str, kind: SignatureKind, key: PublicKey) -> Self {
        let mut hash = Sha256::new();
        hash.update(name.as_bytes());
        hash.update([b'\n', kind as u8]);
        hash.update(key.as_bytes());
        let digest: [u8; 32] = hash.finalize().into();
        let id = [digest[0], digest[1], digest[2], digest[3]];
        Self {
            name: name.to_owned(),
            kind,
            key,
            id,
        }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it signs.
    #[must_use]
    pub fn kind(&self) -> SignatureKind {
        self.kind
    }

    /// The public key.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The first 4 bytes of SHA-256(name || 0x0A || type || public key).
    #[must_use]
    pub fn id(&self) -> [u8; 4] {
        self.id
    }

    /// Verifies a signature blob over a note's text, and says when it was made if it says so itself.
    ///
    /// # Errors
    /// [`BlobError`] if it is of another length or does not verify.
    pub(super) fn verify(&self, text: &str, blob: &[u8]) -> Result<Option<Timestamp>, BlobError> {
        match self.kind {
            SignatureKind::Log => {
                let signature = blob.try_into().map_err(|_| BlobError)?;
                let verified = self.key.verify(text.as_bytes(), signature);
                verified.map(|()| None).map_err(|_| BlobError)
            }
            SignatureKind::Cosigner => {
                let at = claimed_time(blob).ok_or(BlobError)?;
                let signature = blob[8..].try_into().map_err(|_| BlobError)?;
                let message = cosigned_message(text, at);
                let verified = self.key.verify(message.as_bytes(), signature);
                verified.map(|()| Some(at)).map_err(|_| BlobError)
            }
        }
    }
}

/// A signature that is not of the key.
#[derive(Debug)]
pub(super) struct BlobError;

/// The time that a blob of type 0x04 claims; nothing is verified.
pub(super) fn claimed_time(blob: &[u8]) -> Option<Timestamp> {
    let (time, _) = blob.split_first_chunk::<8>()?;
    let time = u64::from_be_bytes(*time);
    (blob.len() == TIMED_BYTES && i64::try_from(time).is_ok()).then(|| Timestamp::new(time))
}

/// What an Ed25519 cosigner signs.
fn cosigned_message(text: &str, at: Timestamp) -> String {
    format!("cosignature/v1\ntime {}\n{text}", at.get())
}

/// The signature blob of a cosigner over a note's text.
pub(super) fn cosign(text: &str, signer: &Signer, at: Timestamp) -> Vec<u8> {
    let signature = signer.sign(cosigned_message(text, at).as_bytes());
    [&at.get().to_be_bytes()[..], &signature].concat()
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[self.kind as u8][..], self.key.as_bytes()].concat();
        let id = u32::from_be_bytes(self.id);
        write!(f, "{}+{id:08x}+{}", self.name, BASE64.encode(key))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{:08x}", self.name, u32::from_be_bytes(self.id))
    }
}

impl FromStr for VerifierKey {
    type Err = VerifierKeyError;

    fn from_str(text: &str) -> Result<Self, VerifierKeyError> {
        // The base64 of a key may hold a plus, a name and an id may not.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(VerifierKeyError::Shape);
        };
        if !is_name(name) {
            return Err(VerifierKeyError::Shape);
        }
        let bytes = BASE64.decode(key).map_err(|_| VerifierKeyError::Shape)?;
        let (kind, key) = bytes.split_first().ok_or(VerifierKeyError::Shape)?;
        let kind = match kind {
            0x01 => SignatureKind::Log,
            0x04 => SignatureKind::Cosigner,
            got => return Err(VerifierKeyError::Kind { got: *got }),
        };
        let key = key.try_into().map_err(|_| VerifierKeyError::Key)?;
        let key = PublicKey::from_bytes(key).map_err(|_| VerifierKeyError::Key)?;
        let parsed = Self::new(name, kind, key);
        if format!("{:08x}", u32::from_be_bytes(parsed.id)) != id {
            return Err(VerifierKeyError::KeyId);
        }
        Ok(parsed)
    }
}

/// Whether a text may name a key in a note.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|c| c.is_whitespace() || c == '+')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of the example in C2SP signed-note.
    const EXAMPLE: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";

    #[test]
    fn the_key_of_the_specification_reads_and_writes() {
        let key: VerifierKey = EXAMPLE.parse().unwrap();
        assert_eq!(
            (key.name(), key.kind()),
            ("example.com/foo", SignatureKind::Log)
        );
        assert_eq!(key.to_string(), EXAMPLE);
    }

    #[test]
    fn a_key_under_another_name_type_or_id_is_refused() {
        let parse = |text: &str| text.parse::<VerifierKey>().map(drop);
        assert_eq!(
            parse(&EXAMPLE.replace("foo", "bar")),
            Err(VerifierKeyError::KeyId)
        );
        assert_eq!(
            parse(&EXAMPLE.replace("530d", "530D")),
            Err(VerifierKeyError::KeyId)
        );
        assert_eq!(
            parse(&EXAMPLE.replace("+Aek", "+Aul")),
            Err(VerifierKeyError::Kind { got: 2 })
        );
        assert_eq!(parse("a+b"), Err(VerifierKeyError::Shape));
        assert_eq!(
            parse(&EXAMPLE.replace("foo", "f o")),
            Err(VerifierKeyError::Shape)
        );
    }

    #[test]
    fn a_cosignature_names_its_time_and_holds_for_no_other() {
        let signer = Signer::from_seed(&[5; 32]);
        let key = VerifierKey::new("w.example/1", SignatureKind::Cosigner, signer.public());
        let blob = cosign("a\n1\n", &signer, Timestamp::new(1_679_315_147));
        assert_eq!(
            key.verify("a\n1\n", &blob).unwrap(),
            Some(Timestamp::new(1_679_315_147))
        );
        let mut later = blob.clone();
        later[7] ^= 1;
        assert!(key.verify("a\n1\n", &later).is_err());
        assert!(key.verify("a\n2\n", &blob).is_err());
        assert!(key.verify("a\n1\n", &blob[..71]).is_err());
        let log = VerifierKey::new("w.example/1", SignatureKind::Log, signer.public());
        assert!(log.verify("a\n1\n", &blob[8..]).is_err());
    }
}
