//! Binary documents as text that survives mail: enrolments, rosters, policy documents, attestations, orders.
//!
//! Base64 between two lines that name the document, 64 characters a line. In scope: the text. Out of scope: what it holds.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// What a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A centre's public keys, signed by each of them.
    Enrolment,
    /// The public keys of an auditor or a witness, signed by each of them.
    WitnessEnrolment,
    /// A roster, signed or not.
    Roster,
    /// A policy document, signed or not.
    Policy,
    /// What an assessor attests of an entry, signed by the centre.
    Attestation,
    /// An order of two people, signed or not.
    Order,
}

/// Why a text is no such document.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArmorError {
    /// The first or last line is missing.
    #[error("expected a line `-----BEGIN HASHPACT {name}-----` and one that ends it")]
    Lines {
        /// What was expected.
        name: &'static str,
    },
    /// What stands between is no base64.
    #[error("what stands between the lines of a HASHPACT {name} is not base64")]
    Base64 {
        /// What was expected.
        name: &'static str,
    },
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Enrolment => "ENROLMENT",
            Self::WitnessEnrolment => "WITNESS ENROLMENT",
            Self::Roster => "ROSTER",
            Self::Policy => "POLICY",
            Self::Attestation => "ATTESTATION",
            Self::Order => "ORDER",
        }
    }

    /// The document as text.
    #[must_use]
    pub fn wrap(self, bytes: &[u8]) -> String {
        let name = self.name();
        let mut text = format!("-----BEGIN HASHPACT {name}-----\n");
        let encoded = BASE64.encode(bytes);
        for line in encoded.as_bytes().chunks(64) {
            text.extend(line.iter().copied().map(char::from));
            text.push('\n');
        }
        text.push_str(&format!("-----END HASHPACT {name}-----\n"));
        text
    }

    /// The document's bytes.
    ///
    /// # Errors
    /// [`ArmorError`].
    pub fn unwrap(self, text: &str) -> Result<Vec<u8>, ArmorError> {
        let name = self.name();
        let (begin, end) = (
            format!("-----BEGIN HASHPACT {name}-----"),
            format!("-----END HASHPACT {name}-----"),
        );
        let body = text
            .trim()
            .strip_prefix(&begin)
            .and_then(|rest| rest.strip_suffix(&end));
        let body = body.ok_or(ArmorError::Lines { name })?;
        let encoded: String = body.split_ascii_whitespace().collect();
        BASE64
            .decode(encoded)
            .map_err(|_| ArmorError::Base64 { name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn document_survives_mail() {
        let bytes: Vec<u8> = (0..=255).collect();
        let text = Kind::Roster.wrap(&bytes);
        assert_eq!(Kind::Roster.unwrap(&text.replace('\n', "\r\n")), Ok(bytes));
        assert_eq!(
            Kind::Enrolment.unwrap(&text),
            Err(ArmorError::Lines { name: "ENROLMENT" })
        );
        let broken = text.replace("AAEC", "A*EC");
        assert_eq!(
            Kind::Roster.unwrap(&broken),
            Err(ArmorError::Base64 { name: "ROSTER" })
        );
    }
}
