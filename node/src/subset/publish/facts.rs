//! What is computed of one entry before it is published.

use std::num::NonZeroU8;

use hashpact_keys::{Jurisdiction, Origin};
use hashpact_protocol::assess::{EntryFacts, Evidence, Quorum, Stated, Subject};
use hashpact_protocol::labels::{ClassId, Labels, State};
use hashpact_protocol::record::Record;

use super::super::feed::Marks;

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

/// Judges one record, at a centre under the law `home`; `of` is that of its origin's.
pub(super) fn judge(about: &About<'_>, home: &Jurisdiction, of: Option<&Jurisdiction>) -> Judged {
    let About {
        origin,
        labels,
        record,
        ..
    } = *about;
    let subject = Subject {
        origin: origin.clone(),
        entry: record.entry,
        revision: record.revision,
        leaf: [0; 32],
    };
    let stated = Stated {
        subject: &subject,
        labels,
        fields: &record.fields,
    };
    let facts = EntryFacts::of(
        &stated,
        &Evidence {
            attestations: &[],
            disputes: &[],
            hold: false,
            quorum: Quorum {
                assessors: NonZeroU8::MIN,
                centres: NonZeroU8::MIN,
                countries: NonZeroU8::MIN,
            },
        },
    );
    Judged {
        released: facts.state == State::Assessed && of == Some(home),
        baseline: facts.baseline,
        marks: Marks::default(),
    }
}
