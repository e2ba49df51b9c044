//! What is computed of one entry before it is published: out of what others say of it, and of whose word is enough here.

use hashpact_keys::{Jurisdiction, Origin, Timestamp};
use hashpact_protocol::Hash;
use hashpact_protocol::assess::{EntryFacts, ReleaseRule, Stated, Subject};
use hashpact_protocol::evidence;
use hashpact_protocol::labels::{ClassId, Labels, State};
use hashpact_protocol::record::Record;
use hashpact_protocol::view::View;

use super::super::feed::Marks;
use crate::store::{LookupError, Store};

/// What becomes of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Judged {
    /// Whether it may be published at all.
    pub(super) released: bool,
    /// Whether it is of the INTERPOL baseline.
    pub(super) baseline: bool,
    pub(super) marks: Marks,
}

/// A record, and where it stands.
#[derive(Clone, Copy)]
pub(super) struct About<'a> {
    pub(super) origin: &'a Origin,
    pub(super) class: ClassId,
    pub(super) labels: &'a Labels,
    pub(super) record: &'a Record,
}

/// Whose word is enough for entries of a class, at a centre under the law `home`; `of` is that of their origin's. Nobody's,
/// if no centre of the roster writes their log.
pub(super) fn rule(
    view: &impl View,
    (origin, class): (&Origin, ClassId),
    (home, of): (&Jurisdiction, Option<&Jurisdiction>),
    now: Timestamp,
) -> Option<ReleaseRule> {
    let of = of?;
    let opted_in = home != of && evidence::opted_in(view, origin, class, now);
    Some(ReleaseRule::of(home, of, opted_in))
}

/// Judges one record. `leaf` is its salted hash, which attestations name: asked for only if there are any.
pub(super) fn judge(
    store: &Store,
    about: &About<'_>,
    rule: ReleaseRule,
    now: Timestamp,
    leaf: impl FnOnce() -> Option<Hash>,
) -> Result<Judged, LookupError> {
    let About {
        origin,
        labels,
        record,
        ..
    } = *about;
    let asked = evidence::About {
        origin,
        entry: record.entry,
        revision: record.revision,
        series: record.fields.series_id,
    };
    let mut known = evidence::known(store, &asked, now);
    // What replaces the revision before in one delta is no error that comes back, whatever reason came with it.
    known.reissued = known.reissued && !store.is_update(origin, record.entry, record.revision)?;
    let leaf = match known.attestations.is_empty() {
        true => None,
        false => leaf(),
    };
    let subject = Subject {
        origin: origin.clone(),
        entry: record.entry,
        revision: record.revision,
        // No attestation is about the hash that nothing has.
        leaf: leaf.unwrap_or_default(),
    };
    let stated = Stated {
        subject: &subject,
        labels,
        fields: &record.fields,
    };
    let facts = EntryFacts::at_release(&stated, &known, rule);
    Ok(Judged {
        released: facts.state == State::Assessed && facts.quorum && !facts.hold,
        baseline: facts.baseline,
        marks: Marks {
            disputed: !known.disputes.is_empty(),
            flagged: !known.flagged.is_empty(),
        },
    })
}
