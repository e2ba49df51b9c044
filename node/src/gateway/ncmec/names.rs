//! The words of this shape: its namespace, the kinds of fingerprint, the reasons of a negative vote.
//!
//! Source: formats sections 1.1 and 1.3 (rule 15), domain section 2.3. In scope: names. Out of scope: what stands where.

use hashpact_protocol::fingerprint::Algorithm;

/// The namespace of every element.
pub(super) const NAMESPACE: &str = "https://hashsharing.ncmec.org/hashsharing/v2";

/// A kind of fingerprint that one can vote on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FingerprintType {
    /// MD5.
    Md5,
    /// SHA-1.
    Sha1,
    /// PhotoDNA.
    Pdna,
    /// PDQ.
    Pdq,
    /// NetClean.
    Netclean,
    /// Videntifier.
    Videntifier,
    /// TMK+PDQF.
    TmkPdqf,
    /// PhotoDNA of a video's frames.
    SsvhPdna,
    /// SaferHash of a video's frames.
    SsvhSaferHash,
}

/// Each kind, how `type` attributes write it, and the name of its algorithm in a record.
const TYPES: [(FingerprintType, &str, &str); 9] = [
    (FingerprintType::Md5, "Md5", "md5"),
    (FingerprintType::Sha1, "Sha1", "sha1"),
    (FingerprintType::Pdna, "Pdna", "photodna"),
    (FingerprintType::Pdq, "Pdq", "pdq"),
    (FingerprintType::Netclean, "Netclean", "netclean"),
    (FingerprintType::Videntifier, "Videntifier", "videntifier"),
    (FingerprintType::TmkPdqf, "TmkPdqf", "tmk-pdqf"),
    (FingerprintType::SsvhPdna, "SsvhPdna", "ssvh-pdna"),
    (
        FingerprintType::SsvhSaferHash,
        "SsvhSaferHash",
        "ssvh-safer-hash",
    ),
];

impl FingerprintType {
    /// Reads the name in a path: case and `_` do not count, and the public page's `TMK_SAFER_HASH` is understood.
    pub(super) fn from_path(text: &str) -> Option<Self> {
        if text.len() > 32 {
            return None;
        }
        let folded = text.replace('_', "").to_ascii_lowercase();
        if folded == "tmksaferhash" {
            return Some(Self::SsvhSaferHash);
        }
        let known = TYPES
            .iter()
            .find(|(_, name, _)| name.to_ascii_lowercase() == folded);
        known.map(|known| known.0)
    }

    fn row(self) -> (&'static str, &'static str) {
        let known = TYPES.iter().find(|(kind, _, _)| *kind == self);
        known.map_or(("", ""), |known| (known.1, known.2))
    }

    /// The name in `type` attributes, such as `Md5`.
    pub(super) fn attribute(self) -> &'static str {
        self.row().0
    }

    /// The algorithm that a record calls it.
    pub(super) fn algorithm(self) -> Option<Algorithm> {
        Algorithm::from_name(self.row().1)
    }
}

/// The element of `fingerprints` that carries an algorithm, if stock clients know one. Others are left out: an element that
/// nobody reads would only be a place to differ.
pub(super) fn tag(algorithm: &Algorithm) -> Option<&'static str> {
    match algorithm {
        Algorithm::Md5 => Some("md5"),
        Algorithm::Sha1 => Some("sha1"),
        Algorithm::Pdq => Some("pdq"),
        Algorithm::PhotoDna => Some("pdna"),
        Algorithm::Sha256 | Algorithm::Blake3 | Algorithm::Other(_) => None,
    }
}

/// The Tech Coalition's industry classification, as crosswalks name it: `classification` holds its labels and no others.
pub(super) const CLASSIFICATION_SCHEME: &str = "tech-coalition";
/// Its values.
pub(super) const CLASSIFICATIONS: [&str; 4] = ["A1", "A2", "B1", "B2"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_compare_without_case_and_underscore_and_both_safer_hashes_are_one() {
        for (text, kind) in [
            ("MD5", FingerprintType::Md5),
            ("Md5", FingerprintType::Md5),
            ("SHA1", FingerprintType::Sha1),
            ("PDNA", FingerprintType::Pdna),
            ("pdq", FingerprintType::Pdq),
            ("NETCLEAN", FingerprintType::Netclean),
            ("VIDENTIFIER", FingerprintType::Videntifier),
            ("TMK_PDQF", FingerprintType::TmkPdqf),
            ("TmkPdqf", FingerprintType::TmkPdqf),
            ("SSVH_PDNA", FingerprintType::SsvhPdna),
            ("SSVH_SAFER_HASH", FingerprintType::SsvhSaferHash),
            ("TMK_SAFER_HASH", FingerprintType::SsvhSaferHash),
        ] {
            assert_eq!(FingerprintType::from_path(text), Some(kind), "{text}");
        }
        for text in ["", "SHA256", "MD5 ", "MD5/", "md-5"] {
            assert_eq!(FingerprintType::from_path(text), None, "{text}");
        }
    }

    #[test]
    fn every_type_has_an_algorithm_and_a_name() {
        for (kind, name, algorithm) in TYPES {
            assert_eq!(kind.attribute(), name);
            let expected = Algorithm::from_name(algorithm);
            assert!(expected.is_some());
            assert_eq!(kind.algorithm(), expected);
        }
    }
}
