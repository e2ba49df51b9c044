//! A profile as it is written: every key that may stand in it, and where it stands.
//!
//! Why apart from the compiled profile: here an unknown key is an error with its line, there a value outside its closed
//! list is. In scope: shape. Out of scope: meaning (`compile`).

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use toml::Spanned;

/// A value that stands somewhere in the file, or not.
pub(super) type Stated<T> = Option<Spanned<T>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawProfile {
    pub(super) source: RawSource,
    pub(super) columns: Stated<RawColumns>,
    pub(super) sums: Stated<RawSums>,
    pub(super) label: Spanned<RawLabel>,
    pub(super) labels: Stated<RawLabels>,
    /// In place of `labels`: what is not stated here is not stated at all.
    pub(super) constants: Stated<RawLabels>,
    #[serde(default)]
    pub(super) fields: RawFields,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSource {
    pub(super) name: String,
    pub(super) format: Stated<String>,
    pub(super) delimiter: Stated<String>,
    pub(super) role: Stated<String>,
    pub(super) header: Stated<bool>,
    pub(super) encoding: Stated<String>,
    pub(super) national: Stated<String>,
    pub(super) cases: Stated<bool>,
    pub(super) signal_type: Stated<String>,
    pub(super) grant: Stated<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSums {
    pub(super) algorithm: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawColumns {
    pub(super) md5: Stated<String>,
    pub(super) sha1: Stated<String>,
    pub(super) sha256: Stated<String>,
    pub(super) blake3: Stated<String>,
    pub(super) pdq: Stated<String>,
    pub(super) photodna: Stated<String>,
    #[serde(default)]
    pub(super) opaque: BTreeMap<String, Spanned<String>>,
    pub(super) byte_length: Stated<String>,
    pub(super) pdq_quality: Stated<String>,
    pub(super) entered_on: Stated<String>,
    pub(super) assessed_on: Stated<String>,
    pub(super) review_on: Stated<String>,
    pub(super) source_ref: Stated<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLabel {
    pub(super) column: Stated<String>,
    pub(super) value: Stated<String>,
    pub(super) scheme: String,
    pub(super) version: String,
    pub(super) issuer: String,
    /// What stands for an empty cell.
    pub(super) otherwise: Stated<String>,
    /// Whether the crosswalk of the scheme says what the values mean.
    #[serde(default)]
    pub(super) crosswalk: bool,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLabels {
    pub(super) media_kind: Stated<RawValue>,
    pub(super) content_class: Stated<RawValue>,
    pub(super) state: Stated<RawValue>,
    pub(super) depiction: Stated<RawValue>,
    pub(super) minor_certain: Stated<RawValue>,
    pub(super) age_claim: Stated<RawValue>,
    pub(super) self_generated: Stated<RawValue>,
    pub(super) context_flags: Stated<RawValue>,
    pub(super) legal_basis: Stated<RawValue>,
    pub(super) legal_status: Stated<BTreeMap<String, Spanned<RawStatus>>>,
    pub(super) residency: Stated<RawValue>,
    pub(super) applicable_law: Stated<RawValue>,
    pub(super) tlp: Stated<RawValue>,
    pub(super) hops: Stated<RawValue>,
    pub(super) recipients: Stated<RawValue>,
    pub(super) purposes: Stated<RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFields {
    pub(super) age_depicted: Stated<RawValue>,
    pub(super) pubertal_stage: Stated<RawValue>,
    pub(super) victim_status: Stated<RawValue>,
    pub(super) source_context: Stated<RawValue>,
    pub(super) priority: Stated<RawValue>,
    pub(super) retention: Stated<RawValue>,
    pub(super) activity: Stated<RawValue>,
    pub(super) penetrative: Stated<RawValue>,
    pub(super) animal: Stated<RawValue>,
    pub(super) violence: Stated<RawValue>,
    pub(super) focus: Stated<RawValue>,
    pub(super) pose: Stated<RawValue>,
    pub(super) nudity: Stated<RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStatus {
    pub(super) status: String,
    pub(super) body: String,
}

/// A column with what its values mean.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRule {
    pub(super) column: Spanned<String>,
    pub(super) map: Option<BTreeMap<String, Spanned<RawNames>>>,
    pub(super) otherwise: Stated<RawNames>,
}

/// One name, one small number, or an array of names.
pub(in crate::ingest) struct RawNames(pub(in crate::ingest) Vec<String>);

/// What a label may be given as.
pub(super) enum RawValue {
    Names(RawNames),
    Rule(RawRule),
}

struct NamesVisitor;

impl<'de> Visitor<'de> for NamesVisitor {
    type Value = RawNames;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name in quotes, or an array of names")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<RawNames, E> {
        Ok(RawNames(vec![text.to_owned()]))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<RawNames, E> {
        Ok(RawNames(vec![number.to_string()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<RawNames, A::Error> {
        let mut names = Vec::new();
        while let Some(name) = seq.next_element::<String>()? {
            if name == "unknown" {
                let message = "\"unknown\" stands alone, not in an array";
                return Err(A::Error::custom(message));
            }
            names.push(name);
        }
        Ok(RawNames(names))
    }
}

impl<'de> Deserialize<'de> for RawNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NamesVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = RawValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name in quotes, an array of names, or { column = \"..\", map = { .. } }")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<RawValue, E> {
        NamesVisitor.visit_str(text).map(RawValue::Names)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<RawValue, E> {
        NamesVisitor.visit_i64(number).map(RawValue::Names)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<RawValue, A::Error> {
        NamesVisitor.visit_seq(seq).map(RawValue::Names)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawValue, A::Error> {
        RawRule::deserialize(MapAccessDeserializer::new(map)).map(RawValue::Rule)
    }
}

impl<'de> Deserialize<'de> for RawValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}
