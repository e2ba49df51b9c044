//! A crosswalk as it is written.

use std::collections::BTreeMap;

use hashpact_protocol::record::LocalLabel;
use serde::Deserialize;

use super::{Crosswalk, CrosswalkError, GOVERNED, Row};
use crate::ingest::number::days_since_epoch;
use crate::ingest::profile::kinds::RawNames;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCrosswalk {
    scheme: String,
    version: u32,
    /// Who says so.
    source: String,
    valid_from: String,
    valid_until: Option<String>,
    /// The document by which counsel confirmed the rows that need it.
    confirmed: Option<String>,
    #[serde(default)]
    ignore_case: bool,
    governs: Vec<String>,
    row: Vec<RawRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRow {
    value: String,
    /// L looked up, M general knowledge, C counsel must confirm; or the name of a source.
    mark: String,
    /// Why such entries are not listed.
    leave_out: Option<String>,
    #[serde(default)]
    sets: BTreeMap<String, RawNames>,
}

impl Crosswalk {
    /// Reads a crosswalk. `path` is only for messages.
    ///
    /// # Errors
    /// [`CrosswalkError`].
    pub fn from_toml(text: &str, path: &str) -> Result<Self, CrosswalkError> {
        let raw: RawCrosswalk = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start).min(text.len());
            let before = text.as_bytes()[..at].iter();
            CrosswalkError::Toml {
                path: path.to_owned(),
                line: before.filter(|b| **b == b'\n').count() + 1,
                text: error.message().to_owned(),
            }
        })?;
        let scheme = raw.scheme.clone();
        let value = |name: &str, allowed: &str| CrosswalkError::Value {
            scheme: scheme.clone(),
            name: name.to_owned(),
            allowed: allowed.to_owned(),
        };
        let day = |name, text: &String| {
            days_since_epoch(text).ok_or_else(|| value(name, "a day, such as \"2026-11-30\""))
        };
        let from = day("valid_from", &raw.valid_from)?;
        let until = raw.valid_until.as_ref();
        let until = until.map(|until| day("valid_until", until)).transpose()?;
        let label = LocalLabel {
            scheme: raw.scheme.clone(),
            version: raw.version.to_string(),
            issuer: "x".to_owned(),
            value: "x".to_owned(),
        };
        if !label.is_acceptable() || raw.version == 0 {
            return Err(value(
                "scheme",
                "1 to 64 of a-z, 0-9 and -, and a version from 1",
            ));
        }
        if raw.source.trim().is_empty() {
            return Err(value("source", "who says so"));
        }
        let governs = governed(&raw, &value)?;
        let mut walk = Self {
            version: raw.version,
            valid: (from, until),
            unconfirmed: raw.confirmed.is_none() && raw.row.iter().any(RawRow::needs_counsel),
            folds: raw.ignore_case,
            governs,
            rows: BTreeMap::new(),
            scheme: raw.scheme,
        };
        walk.take_rows(raw.row, &value)?;
        Ok(walk)
    }

    fn take_rows(
        &mut self,
        rows: Vec<RawRow>,
        value: &dyn Fn(&str, &str) -> CrosswalkError,
    ) -> Result<(), CrosswalkError> {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for (number, raw) in (1..).zip(rows) {
            let name = match self.folds {
                true => raw.value.trim().to_lowercase(),
                false => raw.value.trim().to_owned(),
            };
            if let Some(first) = seen.insert(name.clone(), number) {
                return Err(CrosswalkError::Repeated {
                    scheme: self.scheme.clone(),
                    first,
                    second: number,
                });
            }
            if raw.mark.trim().is_empty() {
                return Err(value(
                    "mark",
                    "L, M, C or the name of a source, such as \"L C\"",
                ));
            }
            let row = match raw.leave_out {
                Some(_) if raw.sets.is_empty() => Row::LeaveOut,
                Some(_) => return Err(value("row", "either `sets` or `leave_out`")),
                None => Row::Sets(self.sets(&raw.sets, value)?),
            };
            self.rows.insert(name, row);
        }
        Ok(())
    }

    fn sets(
        &self,
        raw: &BTreeMap<String, RawNames>,
        value: &dyn Fn(&str, &str) -> CrosswalkError,
    ) -> Result<BTreeMap<&'static str, Vec<String>>, CrosswalkError> {
        let mut sets = BTreeMap::new();
        for (name, names) in raw {
            let governed = self.governs.iter().find(|governed| governed.name == name);
            let Some(governed) = governed else {
                return Err(CrosswalkError::Ungoverned {
                    scheme: self.scheme.clone(),
                    name: name.clone(),
                });
            };
            let texts: Vec<&str> = names.0.iter().map(String::as_str).collect();
            if !(governed.allows)(&texts) {
                return Err(value(name, &(governed.allowed)()));
            }
            sets.insert(governed.name, names.0.clone());
        }
        Ok(sets)
    }
}

impl RawRow {
    fn needs_counsel(&self) -> bool {
        self.mark.split_whitespace().any(|mark| mark == "C")
    }
}

fn governed(
    raw: &RawCrosswalk,
    value: &dyn Fn(&str, &str) -> CrosswalkError,
) -> Result<Vec<&'static super::Governed>, CrosswalkError> {
    let all = || {
        let names: Vec<&str> = GOVERNED.iter().map(|governed| governed.name).collect();
        format!("some of {}", names.join(", "))
    };
    let find = |name: &String| GOVERNED.iter().find(|governed| governed.name == name);
    let found: Option<Vec<_>> = raw.governs.iter().map(find).collect();
    found.ok_or_else(|| value("governs", &all()))
}
