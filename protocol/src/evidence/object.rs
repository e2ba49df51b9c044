//! Which objects there are, and what each says: ids and closed lists only.

use hashpact_keys::{CentreId, Context, Jurisdiction, NetworkId, Origin, Timestamp};

use super::DAY_S;
use super::order::{Hold, Lift, OptIn, OrderBy, Surge};
use crate::Hash;
use crate::assess::{Attestation, Attested, Subject};
use crate::fingerprint::Algorithm;
use crate::lists::{ClosedList, closed_list};
use crate::record::{EntryId, Revision};

closed_list! {
    /// The kinds of objects.
    Kind {
        /// What an assessor attests.
        Attestation = "attestation",
        /// That a centre contests an entry.
        Dispute = "dispute",
        /// That it does so no more.
        Withdrawal = "withdrawal",
        /// What a member says of a match.
        Feedback = "feedback",
        /// What the origin answers to a dispute or to feedback.
        Answer = "answer",
        /// Why an entry was retracted.
        Reason = "reason",
        /// That entries are held back for a time.
        Hold = "hold",
        /// That a hold ends before its time.
        Lift = "lift",
        /// That a centre takes another's assessment as its own.
        OptIn = "opt_in",
        /// That more of an origin is released on one day.
        Surge = "surge",
    }
}

impl Kind {
    /// What its signatures are about.
    #[must_use]
    pub const fn context(self) -> Context {
        match self {
            Self::Attestation => Context::Attestation,
            Self::Dispute => Context::Dispute,
            Self::Withdrawal => Context::Withdrawal,
            Self::Feedback => Context::Feedback,
            Self::Answer => Context::Answer,
            Self::Reason => Context::Reason,
            Self::Hold => Context::Hold,
            Self::Lift => Context::Lift,
            Self::OptIn => Context::OptIn,
            Self::Surge => Context::Surge,
        }
    }

    /// The kind that bytes claim to be of.
    #[must_use]
    pub fn claimed(signed: &[u8]) -> Option<Self> {
        let context = hashpact_keys::cose::claimed_context(signed)?;
        let kinds = Self::VALUES.iter().map(|(kind, _)| *kind);
        kinds.into_iter().find(|kind| kind.context() == context)
    }

    /// Whether two people sign it.
    #[must_use]
    pub const fn is_order(self) -> bool {
        match self {
            Self::Hold | Self::Lift | Self::OptIn | Self::Surge => true,
            Self::Attestation
            | Self::Dispute
            | Self::Withdrawal
            | Self::Feedback
            | Self::Answer
            | Self::Reason => false,
        }
    }

    /// Whether it concerns the centre that signed it alone, and so stays there.
    #[must_use]
    pub const fn stays(self) -> bool {
        match self {
            Self::OptIn | Self::Surge => true,
            Self::Attestation
            | Self::Dispute
            | Self::Withdrawal
            | Self::Feedback
            | Self::Answer
            | Self::Reason
            | Self::Hold
            | Self::Lift => false,
        }
    }
}

closed_list! {
    /// Why an entry is contested, retracted, or said not to match (domain 2.3).
    Code {
        /// Only adults are depicted.
        Adult = "adult",
        /// It cannot be told whether a minor is.
        AgeUndetermined = "age_undetermined",
        /// No such material.
        NotCsam = "not_csam",
        /// Another depiction than stated.
        WrongDepiction = "wrong_depiction",
        /// A fingerprint that is of something else as well.
        Collision = "collision",
        /// Somebody depicted asks for it.
        RightsRequest = "rights_request",
        /// Another law.
        OtherLaw = "other_law",
        /// The origin states it anew: no error, and of retractions only.
        Superseded = "superseded",
    }
}

impl Code {
    /// Whether who made this error may not be the only one: entries of others with the same fingerprint are flagged.
    #[must_use]
    pub const fn travels(self) -> bool {
        match self {
            Self::Adult | Self::NotCsam | Self::Collision => true,
            Self::AgeUndetermined
            | Self::WrongDepiction
            | Self::RightsRequest
            | Self::OtherLaw
            | Self::Superseded => false,
        }
    }
}

closed_list! {
    /// Which part of a record is contested.
    Field {
        /// All of it.
        Entry = "entry",
        /// Its fingerprints.
        Fingerprints = "fingerprints",
        /// Its kind of material.
        ContentClass = "content_class",
        /// What is depicted.
        Depiction = "depiction",
        /// The age, or whether a minor is certain.
        Age = "age",
        /// The stage.
        PubertalStage = "pubertal_stage",
        /// The features.
        Features = "features",
        /// What law says of it.
        LegalStatus = "legal_status",
    }
}

closed_list! {
    /// What a member says of a match.
    Vote {
        /// It is what the entry says.
        Affirmative = "affirmative",
        /// It is not.
        Negative = "negative",
    }
}

closed_list! {
    /// What an origin makes of what it was told.
    Verdict {
        /// It was right, and something follows.
        Accepted = "accepted",
        /// The entry stands.
        Declined = "declined",
    }
}

/// 16 random bytes under which a centre knows one of its members; who that is it tells nobody.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Member(pub [u8; 16]);

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b, ..] = self.0;
        write!(f, "Member({a:02x}{b:02x})")
    }
}

/// Who signs, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct By {
    /// The network.
    pub network: NetworkId,
    /// The centre.
    pub centre: CentreId,
    /// Its jurisdiction.
    pub country: Jurisdiction,
    /// UTC day, in days since 1970-01-01; never finer.
    pub day: u32,
}

/// That a centre contests a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispute {
    /// Who, and when.
    pub by: By,
    /// What.
    pub subject: Subject,
    /// Which part of it.
    pub field: Field,
    /// Why; not [`Code::Superseded`].
    pub code: Code,
}

/// That a dispute is taken back, by who raised it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawal {
    /// Who, and when.
    pub by: By,
    /// Log, entry and revision that the dispute is about.
    pub entry: (Origin, EntryId, Revision),
    /// Hash of the dispute.
    pub of: Hash,
}

/// What a member of a centre says of an entry that it matched: for the origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feedback {
    /// The member's centre, and when.
    pub by: By,
    /// What it is about.
    pub subject: Subject,
    /// Whose word it is.
    pub member: Member,
    /// What it says.
    pub vote: Vote,
    /// Why, of a negative vote; not [`Code::Superseded`].
    pub code: Option<Code>,
    /// Type of the fingerprint that matched.
    pub algorithm: Option<Algorithm>,
}

/// What the origin answers to a dispute or to feedback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The origin's centre, and when.
    pub by: By,
    /// Log, entry and revision.
    pub entry: (Origin, EntryId, Revision),
    /// Hash of what it answers.
    pub of: Hash,
    /// What comes of it.
    pub verdict: Verdict,
    /// Why.
    pub code: Option<Code>,
}

/// Why an origin retracted an entry up to a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The origin's centre, and when.
    pub by: By,
    /// Log, entry, and the revision up to which it ended.
    pub entry: (Origin, EntryId, Revision),
    /// Why.
    pub code: Code,
}

/// An object that was opened, or read back from where it rests: made by [`Object::open`] and from our own store only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// What an assessor attests.
    Attestation(Attested),
    /// That a centre contests a record.
    Dispute(Dispute),
    /// That it does so no more.
    Withdrawal(Withdrawal),
    /// What a member says.
    Feedback(Feedback),
    /// What the origin answers.
    Answer(Answer),
    /// Why an entry was retracted.
    Reason(Reason),
    /// Entries that are held back.
    Hold(Hold),
    /// A hold that ends.
    Lift(Lift),
    /// Another's assessment that is taken.
    OptIn(OptIn),
    /// More of an origin on a day.
    Surge(Surge),
}

impl Object {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Attestation(_) => Kind::Attestation,
            Self::Dispute(_) => Kind::Dispute,
            Self::Withdrawal(_) => Kind::Withdrawal,
            Self::Feedback(_) => Kind::Feedback,
            Self::Answer(_) => Kind::Answer,
            Self::Reason(_) => Kind::Reason,
            Self::Hold(_) => Kind::Hold,
            Self::Lift(_) => Kind::Lift,
            Self::OptIn(_) => Kind::OptIn,
            Self::Surge(_) => Kind::Surge,
        }
    }

    /// Who made it.
    #[must_use]
    pub fn centre(&self) -> &CentreId {
        match self.maker() {
            Maker::Attestation(attestation) => &attestation.centre,
            Maker::One(by) => &by.centre,
            Maker::Two(by) => &by.centre,
        }
    }

    /// The network that it names.
    #[must_use]
    pub fn network(&self) -> NetworkId {
        match self.maker() {
            Maker::Attestation(attestation) => attestation.network,
            Maker::One(by) => by.network,
            Maker::Two(by) => by.network,
        }
    }

    /// When it was made at the latest: of days their end.
    pub(crate) fn made_at(&self) -> Timestamp {
        let end = |day: u32| Timestamp::new((u64::from(day) + 1) * DAY_S - 1);
        match self.maker() {
            Maker::Attestation(attestation) => end(attestation.day),
            Maker::One(by) => end(by.day),
            Maker::Two(by) => by.time,
        }
    }

    pub(super) fn maker(&self) -> Maker<'_> {
        match self {
            Self::Attestation(it) => Maker::Attestation(it.attestation()),
            Self::Dispute(it) => Maker::One(&it.by),
            Self::Withdrawal(it) => Maker::One(&it.by),
            Self::Feedback(it) => Maker::One(&it.by),
            Self::Answer(it) => Maker::One(&it.by),
            Self::Reason(it) => Maker::One(&it.by),
            Self::Hold(it) => Maker::Two(&it.by),
            Self::Lift(it) => Maker::Two(&it.by),
            Self::OptIn(it) => Maker::Two(&it.by),
            Self::Surge(it) => Maker::Two(&it.by),
        }
    }

    /// The one record that it is about; of orders none.
    #[must_use]
    pub fn entry(&self) -> Option<(&Origin, EntryId, Revision)> {
        fn of(subject: &Subject) -> (&Origin, EntryId, Revision) {
            (&subject.origin, subject.entry, subject.revision)
        }
        let named = match self {
            Self::Attestation(it) => return Some(of(&it.attestation().subject)),
            Self::Dispute(it) => return Some(of(&it.subject)),
            Self::Feedback(it) => return Some(of(&it.subject)),
            Self::Withdrawal(it) => &it.entry,
            Self::Answer(it) => &it.entry,
            Self::Reason(it) => &it.entry,
            Self::Hold(_) | Self::Lift(_) | Self::OptIn(_) | Self::Surge(_) => return None,
        };
        Some((&named.0, named.1, named.2))
    }
}

/// How an object is signed.
pub(super) enum Maker<'a> {
    Attestation(&'a Attestation),
    One(&'a By),
    Two(&'a OrderBy),
}
