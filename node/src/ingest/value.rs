//! One JSON value, read so that nothing in it can be said twice.
//!
//! Why not `serde_json::Value`: of a repeated key it keeps the last, so two readers of one record may see two records; and
//! it turns a long number into another one. Here a repeated key is a fault and a number keeps its digits where it is whole.
//! Spec: RFC 8259. In scope: shape. Out of scope: meaning.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A value. No Debug: it may hold hashes.
pub(super) enum Part {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Part>),
    Object(Vec<(String, Part)>),
}

impl Part {
    /// The text of a text, a number or a flag; none of anything else.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Number(text) => Some(text),
            Self::Bool(true) => Some("true"),
            Self::Bool(false) => Some("false"),
            Self::Null | Self::List(_) | Self::Object(_) => None,
        }
    }

    /// The member of an object with this key, in any case.
    pub(super) fn member(&self, key: &str) -> Option<&Part> {
        let Self::Object(members) = self else {
            return None;
        };
        let found = members
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(key));
        found.map(|(_, value)| value)
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

struct PartVisitor;

impl<'de> Visitor<'de> for PartVisitor {
    type Value = Part;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Part, E> {
        Ok(Part::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Part, E> {
        Ok(Part::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Part, E> {
        Ok(Part::Number(value.to_string()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Part, E> {
        Ok(Part::Number(value.to_string()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Part, E> {
        Ok(Part::Number(value.to_string()))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Part, E> {
        Ok(Part::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Part, A::Error> {
        let mut list = Vec::new();
        while let Some(part) = seq.next_element()? {
            list.push(part);
        }
        Ok(Part::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Part, A::Error> {
        let mut members: Vec<(String, Part)> = Vec::new();
        while let Some((key, value)) = map.next_entry::<String, Part>()? {
            if members.iter().any(|(k, _)| k.eq_ignore_ascii_case(&key)) {
                return Err(A::Error::custom("a key stands twice"));
            }
            if members.len() == MEMBERS_MAX {
                return Err(A::Error::custom("too many keys"));
            }
            members.push((key, value));
        }
        Ok(Part::Object(members))
    }
}

/// Keys of one object: no format has half as many, and each is compared with those before it.
const MEMBERS_MAX: usize = 256;

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PartVisitor)
    }
}

/// Why bytes are no value that can be read.
pub(super) enum PartFault {
    /// They are not JSON: nothing else in the file can be trusted.
    Malformed,
    /// A key stands twice, or there are too many.
    Repeated,
}

/// Reads one value.
pub(super) fn part(bytes: &[u8]) -> Result<Part, PartFault> {
    serde_json::from_slice(bytes).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => PartFault::Repeated,
        serde_json::error::Category::Io
        | serde_json::error::Category::Syntax
        | serde_json::error::Category::Eof => PartFault::Malformed,
    })
}
