//! What is known of an entry here, out of the rows: the input of every decision that is taken for each entry.
//!
//! Price: of an entry of which nothing is said one read by prefix, and one more for its flags; of others one read an object.

use hashpact_keys::{CentreId, Origin, Timestamp};

use super::rows::{self, Said};
use super::{Code, Kind, Object, Series, Vote};
use crate::Hash;
use crate::assess::{Attested, OpenDispute};
use crate::labels::ClassId;
use crate::record::{EntryId, Revision};
use crate::view::View;

/// Which record is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About<'a> {
    /// The log.
    pub origin: &'a Origin,
    /// The entry.
    pub entry: EntryId,
    /// The revision that is held.
    pub revision: Revision,
    /// The series that its record names.
    pub series: Option<Series>,
}

/// How members voted, each with its newest word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Votes {
    /// It is what the entry says.
    pub affirmative: u64,
    /// It is not.
    pub negative: u64,
}

/// What is known of a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Attestations of this revision.
    pub attestations: Vec<Attested>,
    /// Disputes of this revision that were not withdrawn, and one for each centre whose error it shares.
    pub disputes: Vec<OpenDispute>,
    /// Centres that retracted an entry with a fingerprint of this one as an error, and why.
    pub flagged: Vec<(CentreId, Code)>,
    /// Whether it is held. Nobody outside of centres and auditors may learn it.
    pub hold: bool,
    /// What members said of this revision, as far as it is known here.
    pub feedback: Votes,
    /// Whether an earlier revision ended, for all that is known here as an error: it needs a fresh attestation.
    pub reissued: bool,
}

/// One object about an entry, for people to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// What it is known by.
    pub hash: Hash,
    /// What it says.
    pub object: Object,
    /// Whether this centre made it.
    pub ours: bool,
}

/// What is known of a record.
///
/// A dispute counts until who raised it withdraws it, or the entry has a new revision: the origin alone cannot settle it.
#[must_use]
pub fn known(view: &impl View, about: &About<'_>, now: Timestamp) -> Known {
    let mut known = Known::default();
    let rows = rows::said(about.origin, about.entry, view);
    let (mut disputes, mut withdrawn, mut votes) = (Vec::new(), Vec::new(), Vec::new());
    let (mut superseded, mut was_error) = (false, false);
    for Said {
        revision,
        kind,
        hash,
    } in rows
    {
        let counts = match kind {
            Kind::Hold => true,
            Kind::Reason => revision < about.revision,
            Kind::Attestation | Kind::Dispute | Kind::Withdrawal | Kind::Feedback => {
                revision == about.revision
            }
            Kind::Answer | Kind::Lift | Kind::OptIn | Kind::Surge => false,
        };
        if !counts {
            continue;
        }
        match rows::read(&hash, view) {
            Some(Object::Attestation(it)) => known.attestations.push(it),
            Some(Object::Dispute(it)) => disputes.push((hash, it)),
            Some(Object::Withdrawal(it)) => withdrawn.push((it.of, it.by.centre)),
            Some(Object::Feedback(it)) => votes.push(it),
            Some(Object::Reason(it)) if it.code != Code::Superseded => was_error = true,
            Some(Object::Reason(_)) => {
                superseded |= revision.0.checked_add(1) == Some(about.revision.0);
            }
            Some(Object::Hold(it)) => {
                let lifted = || is_lifted(&hash, &it.by.centre, view);
                known.hold |= it.is_in_force(now) && !lifted();
            }
            Some(Object::Answer(_) | Object::Lift(_) | Object::OptIn(_) | Object::Surge(_))
            | None => {}
        }
    }
    if let Some(series) = about.series.filter(|_| !known.hold) {
        known.hold = is_series_held(&series, now, view);
    }
    let open = disputes.into_iter().filter(|(hash, it)| {
        let mut withdrawn = withdrawn.iter();
        !withdrawn.any(|(of, centre)| of == hash && *centre == it.by.centre)
    });
    known.disputes = open
        .map(|(_, it)| OpenDispute {
            centre: it.by.centre,
            country: it.by.country,
        })
        .collect();
    let flags = rows::flags(about.origin, about.entry, view);
    for flag in flags.into_iter().filter(|it| it.revision >= about.revision) {
        known.flagged.push((flag.centre.clone(), flag.code));
        known.disputes.push(OpenDispute {
            centre: flag.centre,
            country: flag.country,
        });
    }
    known.disputes.sort_unstable();
    known.disputes.dedup();
    known.feedback = count(votes);
    // A later word that it was stated anew takes no error back that was ever known of it.
    known.reissued = about.revision.0 > 1 && (was_error || !superseded);
    known
}

/// The newest word of each member counts; of one day the negative one.
fn count(mut votes: Vec<super::Feedback>) -> Votes {
    votes.sort_unstable_by(|a, b| {
        let key = |it: &super::Feedback| (it.by.centre.clone(), it.member, it.by.day, it.vote);
        key(a).cmp(&key(b))
    });
    let mut counted = Votes::default();
    let mut votes = votes.into_iter().peekable();
    while let Some(vote) = votes.next() {
        let is_last = votes
            .peek()
            .is_none_or(|next| (&next.by.centre, next.member) != (&vote.by.centre, vote.member));
        match vote.vote {
            _ if !is_last => {}
            Vote::Affirmative => counted.affirmative += 1,
            Vote::Negative => counted.negative += 1,
        }
    }
    counted
}

/// Whether an order was lifted by its own centre.
pub(crate) fn is_lifted(order: &Hash, centre: &CentreId, view: &impl View) -> bool {
    !rows::lifts_of(order, centre, view).is_empty()
}

fn is_series_held(series: &Series, now: Timestamp, view: &impl View) -> bool {
    rows::holds_of(series, view).iter().any(|hash| {
        let hold = rows::read(hash, view);
        matches!(hold, Some(Object::Hold(it))
            if it.is_in_force(now) && !is_lifted(hash, &it.by.centre, view))
    })
}

/// Whether this centre takes the assessment of an origin abroad for a class.
#[must_use]
pub fn opted_in(view: &impl View, origin: &Origin, class: ClassId, now: Timestamp) -> bool {
    rows::opt_ins(origin, view).iter().any(|hash| {
        let Some(Object::OptIn(it)) = rows::read(hash, view) else {
            return false;
        };
        let covers = it.classes.is_none_or(|classes| classes.contains(&class));
        let is_due = it.by.time <= now && now < it.until;
        covers && is_due && !is_lifted(hash, &it.by.centre, view)
    })
}

/// How many entries of an origin two people of this centre let out on a day, if they said so.
#[must_use]
pub fn surge(view: &impl View, origin: &Origin, day: u32) -> Option<u64> {
    let orders = rows::surges(origin, day, view);
    let orders = orders.iter().filter_map(|hash| rows::read(hash, view));
    let up_to = orders.filter_map(|object| match object {
        Object::Surge(it) => Some(it.up_to),
        Object::Attestation(_)
        | Object::Dispute(_)
        | Object::Withdrawal(_)
        | Object::Feedback(_)
        | Object::Answer(_)
        | Object::Reason(_)
        | Object::Hold(_)
        | Object::Lift(_)
        | Object::OptIn(_) => None,
    });
    up_to.max()
}

/// An object that is kept here, by its hash.
#[must_use]
pub fn object(view: &impl View, hash: &Hash) -> Option<Object> {
    rows::read(hash, view)
}

/// Whether a centre has said that it has an object of ours.
#[must_use]
pub fn is_heard(view: &impl View, hash: &Hash, at: &CentreId) -> bool {
    rows::is_heard(at, hash, view)
}

/// Every object about an entry that is kept here, whatever the revision: for the people of this centre and for nobody else.
#[must_use]
pub fn objects_of(view: &impl View, origin: &Origin, entry: EntryId) -> Vec<Told> {
    let rows = rows::said(origin, entry, view).into_iter();
    let told = rows.filter_map(|said| {
        let (signed, ours) = rows::signed(&said.hash, view)?;
        let object = Object::from_store(&signed).ok()?;
        let hash = said.hash;
        Some(Told { hash, object, ours })
    });
    told.collect()
}
