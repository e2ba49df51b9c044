//! What the labels of a source mean here: versioned data, never code.
//!
//! Why data: what `A1` or category 2 says about a child is decided by people, differs between countries and instances of one
//! programme, and is corrected later. So each scheme has a file of rows with their source and mark, the label itself is kept
//! byte-exact in every entry, and a new version of the file derives labels and fields again from it. A value without a row
//! stays local: nothing is derived from it, and it is counted. What a crosswalk may say is what a label *means*; what may be
//! done with an entry (recipients, purposes, handling) is the centre's to say and stands in the profile. Spec: domain §3;
//! `docs/adr/0029-crosswalks.md`. In scope: files, validity, deriving. Out of scope: where a label stands in a list.

mod file;
mod governed;

use std::collections::{BTreeMap, BTreeSet};

use hashpact_protocol::labels::Labels;
use hashpact_protocol::record::Fields;

pub(super) use governed::GOVERNED;
use governed::{Derived, Governed};

/// The crosswalks that come with the program, by their schemes.
const BUILT_IN: [(&str, &str); 8] = [
    (
        "arachnid-shield",
        include_str!("../../../crosswalk/arachnid-shield.toml"),
    ),
    (
        "au-baseline",
        include_str!("../../../crosswalk/au-baseline.toml"),
    ),
    ("copine", include_str!("../../../crosswalk/copine.toml")),
    (
        "icse-baseline",
        include_str!("../../../crosswalk/icse-baseline.toml"),
    ),
    ("sap", include_str!("../../../crosswalk/sap.toml")),
    (
        "tech-coalition",
        include_str!("../../../crosswalk/tech-coalition.toml"),
    ),
    (
        "uk-sentencing",
        include_str!("../../../crosswalk/uk-sentencing.toml"),
    ),
    ("vics-us", include_str!("../../../crosswalk/vics-us.toml")),
];

/// Why a crosswalk cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CrosswalkError {
    /// Not TOML, or a key that no crosswalk has.
    #[error("crosswalk {path}:{line}: {text}")]
    Toml {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
        /// In the parser's words.
        text: String,
    },
    /// A name or a value that is not allowed.
    #[error("crosswalk {scheme}: {name}: write {allowed}")]
    Value {
        /// The scheme.
        scheme: String,
        /// What stands wrong.
        name: String,
        /// What may stand there.
        allowed: String,
    },
    /// A row says more than the crosswalk governs.
    #[error("crosswalk {scheme}: a row sets {name}, which `governs` does not name")]
    Ungoverned {
        /// The scheme.
        scheme: String,
        /// The label or field.
        name: String,
    },
    /// Two rows for one value.
    #[error("crosswalk {scheme}: rows {first} and {second} have the same value")]
    Repeated {
        /// The scheme.
        scheme: String,
        /// From 1.
        first: usize,
        /// From 1.
        second: usize,
    },
    /// Today lies outside its validity.
    #[error("crosswalk {scheme} version {version} is not valid on this day")]
    NotValid {
        /// The scheme.
        scheme: String,
        /// Its version.
        version: u32,
    },
    /// It needs counsel, and this is no demonstration.
    #[error(
        "crosswalk {scheme} version {version} has rows that counsel must confirm, and no `confirmed`: on this network it derives nothing"
    )]
    Unconfirmed {
        /// The scheme.
        scheme: String,
        /// Its version.
        version: u32,
    },
    /// An older version than was used before.
    #[error("crosswalk {scheme}: version {used} was used here before, and this is {got}")]
    Older {
        /// The scheme.
        scheme: String,
        /// The newest used.
        used: u32,
        /// The one given.
        got: u32,
    },
    /// No crosswalk for a scheme.
    #[error("no crosswalk for {scheme} comes with the program: give --crosswalk FILE")]
    None {
        /// The scheme.
        scheme: String,
    },
    /// It is for another scheme than the profile's.
    #[error("the profile's labels are of {expected}, the crosswalk is for {got}")]
    Scheme {
        /// The profile's.
        expected: String,
        /// The crosswalk's.
        got: String,
    },
}

/// A crosswalk that was read and checked.
#[derive(Clone, Debug)]
pub struct Crosswalk {
    scheme: String,
    version: u32,
    /// Days since 1970-01-01: the first, and the first that is not.
    valid: (u32, Option<u32>),
    /// Whether a row needs counsel and nobody has confirmed it.
    unconfirmed: bool,
    /// Whether case makes no difference to a value.
    folds: bool,
    governs: Vec<&'static Governed>,
    rows: BTreeMap<String, Row>,
}

/// What a row says of a value.
#[derive(Clone, Debug)]
enum Row {
    /// What it sets, by name.
    Sets(BTreeMap<&'static str, Vec<String>>),
    /// That it is no label of anything that is listed here.
    LeaveOut,
}

/// What a crosswalk knows about a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It has a row.
    Mapped,
    /// It has a row, and the row says that such entries are not listed.
    LeftOut,
    /// It has none: it stays local.
    Unmapped,
}

impl Crosswalk {
    /// The crosswalk that comes with the program for a scheme.
    #[must_use]
    pub fn built_in(scheme: &str) -> Option<&'static str> {
        let found = BUILT_IN.iter().find(|(name, _)| *name == scheme);
        found.map(|(_, text)| *text)
    }

    /// Which scheme's labels it reads.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Its version, from 1.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Checks that it may be used `today` (days since 1970-01-01), on a network that is a demonstration or not.
    ///
    /// # Errors
    /// [`CrosswalkError::NotValid`], [`CrosswalkError::Unconfirmed`].
    pub fn check_use(&self, today: u32, is_demo: bool) -> Result<(), CrosswalkError> {
        let (scheme, version) = (self.scheme.clone(), self.version);
        let (from, until) = self.valid;
        if today < from || until.is_some_and(|until| today >= until) {
            return Err(CrosswalkError::NotValid { scheme, version });
        }
        if self.unconfirmed && !is_demo {
            return Err(CrosswalkError::Unconfirmed { scheme, version });
        }
        Ok(())
    }

    /// What it knows about a value.
    #[must_use]
    pub fn fate(&self, value: &str) -> Fate {
        match self.row(value) {
            Some(Row::Sets(_)) => Fate::Mapped,
            Some(Row::LeaveOut) => Fate::LeftOut,
            None => Fate::Unmapped,
        }
    }

    /// Derives what it governs from a local label; what its row does not set, or all of it where there is no row, is not
    /// stated, which is the strictest.
    pub fn derive(&self, value: &str, labels: &mut Labels, fields: &mut Fields) {
        let none = BTreeMap::new();
        let sets = match self.row(value) {
            Some(Row::Sets(sets)) => sets,
            Some(Row::LeaveOut) | None => &none,
        };
        let mut all = Derived { labels, fields };
        for governed in &self.governs {
            let names = sets.get(governed.name);
            let names: Option<Vec<&str>> = names.map(|n| n.iter().map(String::as_str).collect());
            // Values were checked when the file was read.
            let set = names.is_some_and(|names| (governed.set)(&names, &mut all));
            if !set {
                (governed.unset)(&mut all);
            }
        }
    }

    /// Whether it decides this label or field.
    #[must_use]
    pub fn governs(&self, name: &str) -> bool {
        self.governs.iter().any(|governed| governed.name == name)
    }

    /// All that it decides.
    #[must_use]
    pub fn governed(&self) -> BTreeSet<&'static str> {
        self.governs.iter().map(|governed| governed.name).collect()
    }

    fn row(&self, value: &str) -> Option<&Row> {
        if self.folds {
            return self.rows.get(&value.trim().to_lowercase());
        }
        self.rows.get(value.trim())
    }
}
