//! What the operator says about a list: its container, its columns, and what they mean.
//!
//! Why nothing is guessed: 64 hexadecimal digits are SHA-256 or PDQ, and a label that nobody stated would be a label that
//! nobody answers for. So the profile names each algorithm and states each of the sixteen labels, "unknown" included, and
//! an error says in which line and what to write there. Spec: [`EXAMPLE`]. In scope: the
//! file and its meaning. Out of scope: crosswalks between schemes.

mod columns;
mod compile;
mod raw;
mod rule;

use std::collections::BTreeSet;

use hashpact_keys::Jurisdiction;
use hashpact_protocol::fingerprint::Algorithm;
use hashpact_protocol::labels::{
    AgeClaim, ContentClass, ContextFlag, Depiction, Labels, LegalBasis, LegalStatus, MediaKind,
    Purpose, Recipient, SelfGenerated, State, Tlp,
};
use hashpact_protocol::lists::Set;
use hashpact_protocol::record::{
    AgeBand, Fields, Flag, LocalLabel, Priority, PubertalStage, Retention, SourceContext,
    VictimStatus,
};

use self::rule::Rule;
use super::crosswalk::{Crosswalk, CrosswalkError};
use super::report::Code;
use super::row::{Cells, RowFault};
use super::table::{self, Table};

/// How names become values, for whatever else is written with them.
pub(in crate::ingest) mod kinds {
    pub(in crate::ingest) use super::raw::RawNames;
    pub(in crate::ingest) use super::rule::{certain, known, legal_statuses, one, uncertain};
}

/// A complete profile with a comment on each line, to begin from.
pub const EXAMPLE: &str = include_str!("example.toml");

/// The formats, each with a complete profile to begin from.
const EXAMPLES: [(&str, &str); 8] = [
    ("csv", EXAMPLE),
    ("sums", EXAMPLE),
    ("local_file", include_str!("example-local_file.toml")),
    ("iwf", include_str!("example-iwf.toml")),
    ("icse", include_str!("example-icse.toml")),
    ("vics", include_str!("example-vics.toml")),
    ("stopncii", include_str!("example-stopncii.toml")),
    ("ncmec", include_str!("example-ncmec.toml")),
];

/// A complete profile with comments for a format, to begin from.
#[must_use]
pub fn example(format: &str) -> Option<&'static str> {
    let found = EXAMPLES.iter().find(|(name, _)| *name == format);
    found.map(|(_, text)| *text)
}

/// The names of the formats.
#[must_use]
pub fn formats() -> Vec<&'static str> {
    EXAMPLES.iter().map(|(name, _)| *name).collect()
}

/// Why a profile cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}:{line}: {problem}")]
pub struct ProfileError {
    /// The profile's path, as the caller gave it.
    pub path: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    #[source]
    pub problem: Problem,
}

/// What is wrong with a line of a profile, and what to do.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Not TOML, or a key that no profile has; in the parser's words.
    #[error("{0}")]
    Toml(String),
    /// A column that is none of ours.
    #[error("{0}; for an algorithm that is not known here write opaque.NAME = \"header\"")]
    Column(String),
    /// A label that is not stated.
    #[error("[labels] does not state {name}: add it, with {allowed}")]
    Missing {
        /// The label.
        name: &'static str,
        /// What it may be.
        allowed: String,
    },
    /// A value that is not allowed.
    #[error("{name}: not allowed here; write {allowed}")]
    Value {
        /// The key.
        name: &'static str,
        /// What may stand there.
        allowed: String,
    },
    /// `otherwise` would widen what may be done with an entry.
    #[error("tlp: an unknown value must not widen; `otherwise` can only be \"RED\"")]
    Widening,
    /// A part that the format does not have.
    #[error("{format} has no such part; it has {parts}")]
    Part {
        /// The format.
        format: &'static str,
        /// What it has.
        parts: String,
    },
    /// Columns for a format that knows its own.
    #[error("this format knows its own columns: it takes no [columns] and no [sums]")]
    Shaped,
    /// What a list is for is not said.
    #[error(
        "role: say \"list\" or \"guard\"; files of harmless media have the same form as those of abuse"
    )]
    Role,
    /// Which country's categories they are is not said.
    #[error("national: say whose categories these are, such as \"US\", and `scheme` as {scheme}")]
    National {
        /// What the scheme must be.
        scheme: String,
    },
    /// Wider than such a source allows.
    #[error(
        "{name}: such a source allows {allowed}, unless `grant` in [source] names the document that allows more"
    )]
    Ungranted {
        /// The label.
        name: &'static str,
        /// What is allowed.
        allowed: &'static str,
    },
    /// The crosswalk.
    #[error(transparent)]
    Crosswalk(#[from] CrosswalkError),
    /// A label that the crosswalk decides is stated too, or the other way round.
    #[error("{name}: crosswalk {scheme} decides {decides}; {write}")]
    Governed {
        /// The label.
        name: &'static str,
        /// The crosswalk.
        scheme: String,
        /// What it decides.
        decides: String,
        /// What to do.
        write: &'static str,
    },
    /// `labels` and `constants`.
    #[error("one of [labels] and [constants] is needed, and not both")]
    Labels,
    /// A column where there are none.
    #[error("a list of checksums has no columns: write a constant")]
    NoColumns,
    /// A table that does not go with the format.
    #[error("format \"{format}\" needs [{needs}] and no [{excludes}]")]
    Table {
        /// The format.
        format: &'static str,
        /// The table it needs.
        needs: &'static str,
        /// The table that goes with the other one.
        excludes: &'static str,
    },
    /// No column with hashes, or too many.
    #[error("[columns] names {got} columns with hashes; 1 to {max} are possible")]
    Hashes {
        /// How many.
        got: usize,
        /// How many a record can hold.
        max: usize,
    },
    /// One column with hashes of two algorithms.
    #[error("[columns] reads one column as two kinds of hash: that would be guessing")]
    Guess,
    /// One algorithm with two spellings, or a name that cannot be one.
    #[error(
        "opaque.{name}: a known algorithm is written without `opaque.`, others are 1 to 32 of a-z, 0-9 and -"
    )]
    Opaque {
        /// What was written.
        name: String,
    },
    /// The local label is stated twice or not at all.
    #[error("[label] needs `column` or `value`, and not both")]
    LabelSource,
    /// A part of the local label is out of bounds.
    #[error(
        "[label]: scheme and issuer are 1 to 64 of a-z, 0-9 and -, version 1 to 16 of these and ., value 1 to 128 bytes"
    )]
    Label,
}

/// Which container, and what it needs.
#[derive(Clone, Debug)]
pub(super) enum Format {
    Csv { delimiter: u8 },
    Sums { algorithm: Algorithm },
    LocalFile { only: Option<&'static str> },
    Table(&'static Table),
    Vics { cases: bool },
    StopNcii,
    Ncmec,
}

/// What a list is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Its rows become entries.
    List,
    /// Its values must never become entries.
    Guard,
}

/// What tells two rows of a source apart, so that a later one takes the place of an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    /// Nothing: two rows with one hash are in conflict unless they say the same.
    None,
    /// Its first hash.
    Hash,
    /// The source's own name for it.
    Reference,
}

/// A compiled profile.
#[derive(Clone, Debug)]
pub struct Profile {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) format: Format,
    /// Every column that is read, by its header; the rules count in this list.
    pub(super) columns: Vec<String>,
    /// Columns with hashes, in the order in which a record has them.
    pub(super) hashes: Vec<(Algorithm, usize)>,
    pub(super) byte_length: Option<usize>,
    pub(super) pdq_quality: Option<usize>,
    pub(super) entered_on: Option<usize>,
    pub(super) assessed_on: Option<usize>,
    pub(super) review_on: Option<usize>,
    /// The column with the source's own name for a row, of a list with columns.
    pub(super) source_ref: Option<usize>,
    pub(super) series: Option<usize>,
    pub(super) suspected: Option<usize>,
    pub(super) crosswalk: Option<Crosswalk>,
    pub(super) label: LabelRule,
    pub(super) labels: LabelRules,
    pub(super) fields: FieldRules,
    /// Columns that local label, labels or fields come from: rows that agree in them differ in hashes and numbers only.
    pub(super) varying: Vec<usize>,
}

impl Profile {
    /// Reads a profile. `path` is only for messages.
    ///
    /// # Errors
    /// [`ProfileError`] with the line and what to do.
    pub fn from_toml(text: &str, path: &str) -> Result<Self, ProfileError> {
        Self::with_crosswalk(text, path, None)
    }

    /// As [`Profile::from_toml`]; where the profile asks for a crosswalk it is this one, or else the one that comes with the
    /// program.
    ///
    /// # Errors
    /// [`ProfileError`] with the line and what to do.
    pub fn with_crosswalk(
        text: &str,
        path: &str,
        crosswalk: Option<Crosswalk>,
    ) -> Result<Self, ProfileError> {
        compile::compile(text, crosswalk).map_err(|fault| ProfileError {
            path: path.to_owned(),
            line: text.as_bytes()[..fault.at.min(text.len())]
                .iter()
                .filter(|b| **b == b'\n')
                .count()
                + 1,
            problem: fault.problem,
        })
    }

    /// The name of the source, for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of its format.
    #[must_use]
    pub fn format_name(&self) -> &'static str {
        match &self.format {
            Format::Csv { .. } => "csv",
            Format::Sums { .. } => "sums",
            Format::LocalFile { .. }
            | Format::Table(_)
            | Format::Vics { .. }
            | Format::StopNcii
            | Format::Ncmec => self.format.shape().map_or("csv", |shape| shape.name),
        }
    }

    /// What the list is for.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// What says what the local labels mean, if the profile asks for it.
    #[must_use]
    pub fn crosswalk(&self) -> Option<&Crosswalk> {
        self.crosswalk.as_ref()
    }

    /// Scheme and issuer of the local labels: what entries of this source are known by.
    #[must_use]
    pub fn issue(&self) -> (&str, &str) {
        (&self.label.scheme, &self.label.issuer)
    }

    /// Whether each row is a whole statement that takes the place of an earlier one about the same thing.
    #[must_use]
    pub fn replaces(&self) -> bool {
        self.identity() != Identity::None
    }

    pub(super) fn identity(&self) -> Identity {
        match &self.format {
            Format::Csv { .. } if self.source_ref.is_some() => Identity::Reference,
            Format::Ncmec => Identity::Reference,
            Format::StopNcii => Identity::Hash,
            Format::Table(table) if table.shape.name == table::IWF.shape.name => Identity::Hash,
            Format::Csv { .. }
            | Format::Sums { .. }
            | Format::LocalFile { .. }
            | Format::Table(_)
            | Format::Vics { .. } => Identity::None,
        }
    }
}

/// The label that the source gave, byte-exact.
#[derive(Clone, Debug)]
pub(super) struct LabelRule {
    /// A column, or the value.
    pub(super) value: Result<usize, String>,
    pub(super) scheme: String,
    pub(super) version: String,
    pub(super) issuer: String,
    /// What stands for an empty cell.
    pub(super) otherwise: Option<String>,
}

impl LabelRule {
    /// A label that says nothing, for rows that only name hashes.
    pub(super) fn blank(&self) -> LocalLabel {
        LocalLabel {
            scheme: self.scheme.clone(),
            version: self.version.clone(),
            issuer: self.issuer.clone(),
            value: "-".to_owned(),
        }
    }

    fn read(&self, cells: Cells<'_>) -> Result<LocalLabel, RowFault> {
        let (value, column) = match &self.value {
            Ok(column) => (cells.text(*column)?, Some(*column)),
            Err(value) => (value.as_str(), None),
        };
        let value = match &self.otherwise {
            Some(otherwise) if value.trim().is_empty() => otherwise,
            Some(_) | None => value,
        };
        if value.trim().is_empty() {
            let detail = "an entry needs the label of its source".to_owned();
            return Err(RowFault {
                column,
                code: Code::NoLabel,
                detail,
            });
        }
        let label = LocalLabel {
            scheme: self.scheme.clone(),
            version: self.version.clone(),
            issuer: self.issuer.clone(),
            value: value.to_owned(),
        };
        if label.is_acceptable() {
            return Ok(label);
        }
        let detail = format!(
            "{} bytes; at most 128 without control characters",
            value.len()
        );
        Err(RowFault {
            column,
            code: Code::BadValue,
            detail,
        })
    }
}

/// One rule for each of the labels that policy sees.
#[derive(Clone, Debug)]
pub(super) struct LabelRules {
    media_kind: Rule<Set<MediaKind>>,
    content_class: Rule<Set<ContentClass>>,
    state: Rule<State>,
    depiction: Rule<Set<Depiction>>,
    minor_certain: Rule<bool>,
    age_claim: Rule<Set<AgeClaim>>,
    self_generated: Rule<Set<SelfGenerated>>,
    context_flags: Rule<Set<ContextFlag>>,
    legal_basis: Rule<LegalBasis>,
    legal_status: Vec<LegalStatus>,
    residency: Rule<BTreeSet<Jurisdiction>>,
    applicable_law: Rule<BTreeSet<Jurisdiction>>,
    tlp: Rule<Tlp>,
    hops: Rule<u8>,
    recipients: Rule<Set<Recipient>>,
    purposes: Rule<Set<Purpose>>,
}

impl LabelRules {
    /// The labels of a row; `own` is the origin's jurisdiction, where an entry may always rest.
    pub(super) fn read(&self, cells: Cells<'_>, own: &Jurisdiction) -> Result<Labels, RowFault> {
        let mut residency = self.residency.read(cells)?;
        residency.insert(own.clone());
        Ok(Labels {
            media_kind: self.media_kind.read(cells)?,
            content_class: self.content_class.read(cells)?,
            state: self.state.read(cells)?,
            depiction: self.depiction.read(cells)?,
            minor_certain: self.minor_certain.read(cells)?,
            age_claim: self.age_claim.read(cells)?,
            self_generated: self.self_generated.read(cells)?,
            context_flags: self.context_flags.read(cells)?,
            legal_basis: self.legal_basis.read(cells)?,
            legal_status: self.legal_status.clone(),
            residency,
            applicable_law: self.applicable_law.read(cells)?,
            tlp: self.tlp.read(cells)?,
            hops: self.hops.read(cells)?,
            recipients: self.recipients.read(cells)?,
            purposes: self.purposes.read(cells)?,
        })
    }

    fn columns(&self) -> impl Iterator<Item = usize> {
        let columns = [
            self.media_kind.column(),
            self.content_class.column(),
            self.state.column(),
            self.depiction.column(),
            self.minor_certain.column(),
            self.age_claim.column(),
            self.self_generated.column(),
            self.context_flags.column(),
            self.legal_basis.column(),
            self.residency.column(),
            self.applicable_law.column(),
            self.tlp.column(),
            self.hops.column(),
            self.recipients.column(),
            self.purposes.column(),
        ];
        columns.into_iter().flatten()
    }
}

/// One rule for each field of a closed list that policy never sees.
#[derive(Clone, Debug)]
pub(super) struct FieldRules {
    age_depicted: Rule<Set<AgeBand>>,
    pubertal_stage: Rule<Set<PubertalStage>>,
    victim_status: Rule<Set<VictimStatus>>,
    source_context: Rule<Set<SourceContext>>,
    priority: Rule<Priority>,
    retention: Rule<Retention>,
    features: [Rule<Flag>; 7],
}

impl FieldRules {
    fn columns(&self) -> impl Iterator<Item = usize> {
        let columns = [
            self.age_depicted.column(),
            self.pubertal_stage.column(),
            self.victim_status.column(),
            self.source_context.column(),
            self.priority.column(),
            self.retention.column(),
        ];
        let features = self.features.iter().map(Rule::column);
        columns.into_iter().chain(features).flatten()
    }
}

impl Profile {
    /// The fields of a row but for its fingerprints and numbers.
    pub(super) fn fields(&self, cells: Cells<'_>) -> Result<Fields, RowFault> {
        Ok(Fields {
            local_labels: vec![self.label.read(cells)?],
            age_depicted: self.fields.age_depicted.read(cells)?,
            pubertal_stage: self.fields.pubertal_stage.read(cells)?,
            victim_status: self.fields.victim_status.read(cells)?,
            source_context: self.fields.source_context.read(cells)?,
            priority: self.fields.priority.read(cells)?,
            retention: self.fields.retention.read(cells)?,
            features: self.features(cells)?,
            ..Fields::default()
        })
    }

    fn features(&self, cells: Cells<'_>) -> Result<[Flag; 7], RowFault> {
        let mut features = [Flag::Unknown; 7];
        for (feature, rule) in features.iter_mut().zip(&self.fields.features) {
            *feature = rule.read(cells)?;
        }
        Ok(features)
    }
}
