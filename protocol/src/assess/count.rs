//! How many people, centres and countries agree with what the origin states of an entry.
//!
//! Why: one centre's word is one statement, whoever signs it how often; what makes it more is that others looked too. Spec:
//! `docs/protocol.md`, "Computed labels"; domain 2.2, 2.3. In scope: counting. Out of scope: signatures (`attestation`).

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU8;

use super::{Attestation, Attested, Basis, Stated, Values};
use crate::record::Flag;

/// How many agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// People, each once; a legacy import is nobody.
    pub assessors: usize,
    /// Centres.
    pub centres: usize,
    /// Countries.
    pub countries: usize,
}

/// How many must agree: people of so many centres in so many countries. Without a person there is no quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quorum {
    /// People.
    pub assessors: NonZeroU8,
    /// Centres.
    pub centres: NonZeroU8,
    /// Countries.
    pub countries: NonZeroU8,
}

const TWO: NonZeroU8 = NonZeroU8::MIN.saturating_add(1);

impl Quorum {
    /// Two people of two centres in two countries: what the INTERPOL baseline asks for.
    pub const TWO_OF_TWO: Self = Self {
        assessors: TWO,
        centres: TWO,
        countries: TWO,
    };

    /// Whether these are enough.
    #[must_use]
    pub fn is_met_by(self, count: Count) -> bool {
        count.assessors >= usize::from(self.assessors.get())
            && count.centres >= usize::from(self.centres.get())
            && count.countries >= usize::from(self.countries.get())
    }
}

/// Counts the attestations of this record that contradict nothing which its origin states.
///
/// A legacy import counts as its centre and country, and as nobody. What an assessor attested last stands; who attested
/// different things on the same day counts for nothing.
#[must_use]
pub fn count(stated: &Stated<'_>, attested: &[Attested]) -> Count {
    count_where(stated, attested, |_| true)
}

/// Counts those of them that hold.
pub(super) fn count_where(
    stated: &Stated<'_>,
    attested: &[Attested],
    holds: impl Fn(&Attestation) -> bool,
) -> Count {
    let standing = standing(stated, attested);
    let agreeing: Vec<_> = standing
        .into_iter()
        .filter(|one| !contradicts(&one.values, stated) && holds(one))
        .collect();
    let assessors: BTreeSet<_> = agreeing.iter().filter_map(|one| one.assessor).collect();
    let centres: BTreeSet<_> = agreeing.iter().map(|one| &one.centre).collect();
    let countries: BTreeSet<_> = agreeing.iter().map(|one| &one.country).collect();
    Count {
        assessors: assessors.len(),
        centres: centres.len(),
        countries: countries.len(),
    }
}

/// What each assessor of each centre attested last of this record, and each centre's legacy import.
fn standing<'a>(stated: &Stated<'_>, attested: &'a [Attested]) -> Vec<&'a Attestation> {
    // One word for each: another one of the same day takes it back.
    let mut newest: BTreeMap<_, (u32, Option<&Attestation>)> = BTreeMap::new();
    for one in attested.iter().map(Attested::attestation) {
        if one.subject != *stated.subject {
            continue;
        }
        let held = newest
            .entry((&one.centre, one.assessor))
            .or_insert((one.day, Some(one)));
        if one.day > held.0 {
            *held = (one.day, Some(one));
        } else if one.day == held.0 && held.1.is_some_and(|last| last.values != one.values) {
            held.1 = None;
        }
    }
    newest.into_values().filter_map(|(_, one)| one).collect()
}

/// Whether what is attested and what the origin states cannot both be true.
fn contradicts(values: &Values, stated: &Stated<'_>) -> bool {
    let (labels, fields) = (stated.labels, stated.fields);
    let features = values.features.iter().zip(&fields.features);
    labels.content_class.is_disjoint(values.content_class)
        || labels.depiction.is_disjoint(values.depiction)
        || labels.minor_certain && values.minor_certain == Some(false)
        || fields.age_depicted.is_disjoint(values.age_depicted)
        || fields.pubertal_stage.is_disjoint(values.pubertal_stage)
        || features
            .into_iter()
            .any(|flags| matches!(flags, (Flag::Yes, Flag::No) | (Flag::No, Flag::Yes)))
}

/// Whether a person attested it.
pub(super) fn is_human(one: &Attestation) -> bool {
    match one.basis {
        Basis::Viewed | Basis::MetadataOnly => true,
        Basis::LegacyImport => false,
    }
}
