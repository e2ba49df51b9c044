//! What a label or field is: a constant, or what a column says.
//!
//! Why kinds: "unknown" means every value for an uncertain label and none for a granted one, and a list of closed values
//! must be read the same way from a profile, from its map and from a cell. In scope: names to values. Out of scope: where
//! names come from.

use std::collections::{BTreeMap, BTreeSet};

use hashpact_keys::Jurisdiction;
use hashpact_protocol::fingerprint::Algorithm;
use hashpact_protocol::labels::LegalStatus;
use hashpact_protocol::lists::{ClosedList, Set};

use crate::ingest::report::Code;
use crate::ingest::row::{Cells, RowFault};

/// Jurisdictions in a set: one less than a record may have, since the origin's own is added.
const CODES_MAX: usize = 63;

/// How one label or field is read from names.
pub(in crate::ingest) struct Kind<T> {
    /// The value of these names; `None` if they are not allowed.
    pub(in crate::ingest) read: fn(&[&str]) -> Option<T>,
    /// The value where nothing is stated: always the strictest.
    pub(in crate::ingest) not_stated: T,
    /// The names, for messages.
    pub(in crate::ingest) allowed: String,
}

fn listed<T: ClosedList>(more: &[&str]) -> String {
    let names = T::VALUES
        .iter()
        .map(|(_, name)| *name)
        .chain(more.iter().copied());
    names
        .map(|name| format!("\"{name}\""))
        .collect::<Vec<_>>()
        .join(", ")
}

fn all<T: ClosedList>(names: &[&str]) -> Option<Set<T>> {
    let values: Option<Vec<T>> = names.iter().map(|name| T::from_name(name)).collect();
    values.map(|values| Set::of(&values))
}

/// A set of what could be true: "unknown" is all of it, and it is never empty.
pub(in crate::ingest) fn uncertain<T: ClosedList>() -> Kind<Set<T>> {
    let read = |names: &[&str]| match names {
        ["unknown"] => Some(Set::full()),
        names => all(names).filter(|set| !set.is_empty()),
    };
    Kind {
        read,
        not_stated: Set::full(),
        allowed: listed::<T>(&["unknown"]),
    }
}

/// A set of what is granted: "unknown" is nothing.
pub(in crate::ingest) fn granted<T: ClosedList>() -> Kind<Set<T>> {
    let read = |names: &[&str]| match names {
        ["unknown"] => Some(Set::empty()),
        names => all(names),
    };
    Kind {
        read,
        not_stated: Set::empty(),
        allowed: format!("{} or []", listed::<T>(&["unknown"])),
    }
}

/// A set of what is known to hold.
pub(in crate::ingest) fn known<T: ClosedList>() -> Kind<Set<T>> {
    Kind {
        read: all,
        not_stated: Set::empty(),
        allowed: format!("{} or []", listed::<T>(&[])),
    }
}

/// One value.
pub(in crate::ingest) fn one<T: ClosedList>(not_stated: T) -> Kind<T> {
    let read = |names: &[&str]| match names {
        [name] => T::from_name(name),
        _ => None,
    };
    Kind {
        read,
        not_stated,
        allowed: listed::<T>(&[]),
    }
}

/// Yes or no.
pub(in crate::ingest) fn certain() -> Kind<bool> {
    let read = |names: &[&str]| match names {
        ["yes"] => Some(true),
        ["no"] => Some(false),
        _ => None,
    };
    Kind {
        read,
        not_stated: false,
        allowed: "\"yes\", \"no\"".to_owned(),
    }
}

/// 0 to 3.
pub(in crate::ingest) fn hops() -> Kind<u8> {
    let read = |names: &[&str]| match names {
        [name] => name
            .parse()
            .ok()
            .filter(|hops| *hops <= 3 && name.len() == 1),
        _ => None,
    };
    Kind {
        read,
        not_stated: 0,
        allowed: "0, 1, 2, 3".to_owned(),
    }
}

/// Jurisdictions that are granted: "unknown" is none.
pub(in crate::ingest) fn granted_codes() -> Kind<BTreeSet<Jurisdiction>> {
    let read = |names: &[&str]| match names {
        ["unknown"] => Some(BTreeSet::new()),
        names => (known_codes().read)(names),
    };
    Kind {
        read,
        ..known_codes()
    }
}

/// Jurisdictions.
pub(in crate::ingest) fn known_codes() -> Kind<BTreeSet<Jurisdiction>> {
    let read = |names: &[&str]| {
        let codes: Option<BTreeSet<_>> = names.iter().map(|name| name.parse().ok()).collect();
        codes.filter(|codes| codes.len() <= CODES_MAX)
    };
    let allowed = "an array of codes of two upper-case letters".to_owned();
    Kind {
        read,
        not_stated: BTreeSet::new(),
        allowed,
    }
}

/// What the laws of countries say, each as `CA illegal body`.
pub(in crate::ingest) fn legal_statuses() -> Kind<Vec<LegalStatus>> {
    let read = |names: &[&str]| {
        let list: Option<Vec<LegalStatus>> = names.iter().map(|name| legal_status(name)).collect();
        let mut list = list.filter(|list| list.len() <= 16)?;
        list.sort_unstable();
        let repeated = list
            .windows(2)
            .any(|w| w[0].jurisdiction == w[1].jurisdiction);
        (!repeated).then_some(list)
    };
    Kind {
        read,
        not_stated: Vec::new(),
        allowed: "\"CA illegal body\" or \"CA not_illegal body\", at most 16 countries".to_owned(),
    }
}

fn legal_status(text: &str) -> Option<LegalStatus> {
    let mut words = text.split(' ');
    let jurisdiction = words.next()?.parse().ok()?;
    let illegal = match words.next()? {
        "illegal" => true,
        "not_illegal" => false,
        _ => return None,
    };
    let body = words.next()?;
    // A body's name follows the rules of an algorithm's that goes by name.
    let is_name = Algorithm::from_name(body).is_some() && words.next().is_none();
    is_name.then(|| LegalStatus {
        jurisdiction,
        illegal,
        body: body.to_owned(),
    })
}

/// A compiled label or field.
#[derive(Clone, Debug)]
pub(in crate::ingest) enum Rule<T> {
    /// The same for every row.
    Constant(T),
    /// As a column says.
    Column(ColumnRule<T>),
}

/// What the values of a column mean.
#[derive(Clone, Debug)]
pub(in crate::ingest) struct ColumnRule<T> {
    pub(super) column: usize,
    /// `None`: the cell is the name itself.
    pub(super) map: Option<BTreeMap<String, T>>,
    pub(super) otherwise: Option<T>,
    pub(in crate::ingest) read: fn(&[&str]) -> Option<T>,
    pub(in crate::ingest) not_stated: T,
    /// The code of a value that means nothing.
    pub(in crate::ingest) code: Code,
}

impl<T: Clone> Rule<T> {
    /// The value for a row.
    pub(in crate::ingest) fn read(&self, cells: Cells<'_>) -> Result<T, RowFault> {
        match self {
            Self::Constant(value) => Ok(value.clone()),
            Self::Column(rule) => rule.read(cells),
        }
    }

    /// The column that the value comes from.
    pub(in crate::ingest) fn column(&self) -> Option<usize> {
        match self {
            Self::Constant(_) => None,
            Self::Column(rule) => Some(rule.column),
        }
    }
}

impl<T: Clone> ColumnRule<T> {
    fn read(&self, cells: Cells<'_>) -> Result<T, RowFault> {
        let cell = cells.text(self.column)?.trim();
        let found = match &self.map {
            Some(map) => map.get(cell).cloned(),
            None => (self.read)(&[cell]),
        };
        if let Some(value) = found.or_else(|| self.otherwise.clone()) {
            return Ok(value);
        }
        if cell.is_empty() {
            return Ok(self.not_stated.clone());
        }
        let what = if self.map.is_some() {
            "in the profile's map"
        } else {
            "in the closed list"
        };
        let detail = format!("{} chars, not {what}", cell.chars().count());
        Err(RowFault {
            column: Some(self.column),
            code: self.code,
            detail,
        })
    }
}
