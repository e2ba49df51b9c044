//! What a crosswalk may decide, and how each is read and set.
//!
//! The kinds are those of profiles, so a name means the same in both. In scope: one row for each label or field. Out of
//! scope: what may be done with an entry, which no crosswalk decides.

use hashpact_protocol::labels::{
    AgeClaim, ContentClass, ContextFlag, Depiction, Labels, MediaKind, SelfGenerated, State,
};
use hashpact_protocol::record::{AgeBand, Fields, Flag, PubertalStage, VictimStatus};

use crate::ingest::profile::kinds::{certain, known, legal_statuses, one, uncertain};

/// What is derived.
pub(super) struct Derived<'a> {
    pub(super) labels: &'a mut Labels,
    pub(super) fields: &'a mut Fields,
}

/// One label or field.
#[derive(Debug)]
pub(in crate::ingest) struct Governed {
    /// Its name in files.
    pub(in crate::ingest) name: &'static str,
    /// Sets it from names; false if they are not allowed.
    pub(super) set: fn(&[&str], &mut Derived<'_>) -> bool,
    /// Makes it not stated.
    pub(super) unset: fn(&mut Derived<'_>),
    /// Whether names are allowed.
    pub(super) allows: fn(&[&str]) -> bool,
    /// The names, for messages.
    pub(super) allowed: fn() -> String,
}

macro_rules! governed {
    ($name:literal, $kind:expr, $owner:ident.$($place:tt)+) => {
        Governed {
            name: $name,
            set: |names, all| match ($kind.read)(names) {
                Some(value) => {
                    all.$owner.$($place)+ = value;
                    true
                }
                None => false,
            },
            unset: |all| all.$owner.$($place)+ = $kind.not_stated,
            allows: |names| ($kind.read)(names).is_some(),
            allowed: || $kind.allowed,
        }
    };
}

/// All of them.
pub(in crate::ingest) static GOVERNED: [Governed; 19] = [
    governed!("media_kind", uncertain::<MediaKind>(), labels.media_kind),
    governed!(
        "content_class",
        uncertain::<ContentClass>(),
        labels.content_class
    ),
    governed!("state", one(State::Suspected), labels.state),
    governed!("depiction", uncertain::<Depiction>(), labels.depiction),
    governed!("minor_certain", certain(), labels.minor_certain),
    governed!("age_claim", uncertain::<AgeClaim>(), labels.age_claim),
    governed!(
        "self_generated",
        uncertain::<SelfGenerated>(),
        labels.self_generated
    ),
    governed!(
        "context_flags",
        known::<ContextFlag>(),
        labels.context_flags
    ),
    governed!("legal_status", legal_statuses(), labels.legal_status),
    governed!("age_depicted", uncertain::<AgeBand>(), fields.age_depicted),
    governed!(
        "pubertal_stage",
        uncertain::<PubertalStage>(),
        fields.pubertal_stage
    ),
    governed!(
        "victim_status",
        uncertain::<VictimStatus>(),
        fields.victim_status
    ),
    governed!("activity", one(Flag::Unknown), fields.features[0]),
    governed!("penetrative", one(Flag::Unknown), fields.features[1]),
    governed!("animal", one(Flag::Unknown), fields.features[2]),
    governed!("violence", one(Flag::Unknown), fields.features[3]),
    governed!("focus", one(Flag::Unknown), fields.features[4]),
    governed!("pose", one(Flag::Unknown), fields.features[5]),
    governed!("nudity", one(Flag::Unknown), fields.features[6]),
];
