//! The profiles that come with the program, and a measure of how fast they decide.

use hashpact_keys::{CentreId, Jurisdiction, Timestamp};

use super::labels;
use crate::assess::EntryFacts;
use crate::labels::{
    AgeClaim, ClassId, ContentClass, Depiction, Labels, MediaKind, Purpose, Recipient,
    SelfGenerated, State, Tlp,
};
use crate::lists::{ClosedList, Set};
use crate::policy::{Action, Ask, ClassFacts, EngineError, Principal, Profile, Query, Subjects};

/// The names of the profiles, which are those of their folders and of the centres that they are written for.
pub const PROFILES: [&str; 6] = ["eu", "us", "ca", "au", "uk", "nz"];

macro_rules! files {
    ($name:literal) => {
        [
            (
                "admit.cedar",
                include_str!(concat!("../../../profiles/", $name, "/admit.cedar")),
            ),
            (
                "profile.toml",
                include_str!(concat!("../../../profiles/", $name, "/profile.toml")),
            ),
            (
                "release.cedar",
                include_str!(concat!("../../../profiles/", $name, "/release.cedar")),
            ),
            (
                "share.cedar",
                include_str!(concat!("../../../profiles/", $name, "/share.cedar")),
            ),
        ]
    };
}

/// The files of a profile, sorted by name; none for a name that is not one of [`PROFILES`].
#[must_use]
pub fn profile_files(name: &str) -> Vec<(String, String)> {
    let files = match name {
        "eu" => files!("eu"),
        "us" => files!("us"),
        "ca" => files!("ca"),
        "au" => files!("au"),
        "uk" => files!("uk"),
        "nz" => files!("nz"),
        _ => return Vec::new(),
    };
    files
        .map(|(file, text)| (file.to_owned(), text.to_owned()))
        .to_vec()
}

/// A profile.
///
/// # Panics
/// If it has a fault, with all of them, or if there is none of this name.
#[must_use]
#[expect(clippy::panic, reason = "for tests")]
pub fn profile(name: &str) -> Profile {
    match Profile::from_files(&profile_files(name)) {
        Ok(profile) => profile,
        Err(faults) => {
            let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
            panic!("{name}:\n{}", faults.join("\n"))
        }
    }
}

/// Every action about many classes, with many centres and, where something is published, with a member under each one's law.
pub struct PolicyBench {
    profile: Profile,
    subjects: Subjects,
    peers: usize,
    classes: usize,
}

impl PolicyBench {
    /// Makes the entities, once, under the profile of the EU. The first six peers are those of its grants.
    ///
    /// # Errors
    /// [`EngineError`] never: the names differ.
    ///
    /// # Panics
    /// Never: the profile has no fault.
    pub fn new(classes: u16, peers: usize) -> Result<Self, EngineError> {
        let labels: Vec<_> = (0..classes).map(varied).collect();
        let centres: Vec<_> = (0..peers).filter_map(peer).collect();
        let members = centres.iter().map(|centre| Principal::Member {
            id: format!("member-of-{}", centre.id()),
            jurisdiction: centre.jurisdiction().clone(),
            sector: "hosting".to_owned(),
        });
        let members: Vec<_> = members.collect();
        let origin: Option<CentreId> = "eu".parse().ok();
        let law = law("eu");
        let facts = (0..classes).zip(&labels).filter_map(|(n, labels)| {
            Some(ClassFacts {
                origin: origin.as_ref()?,
                jurisdiction: law.as_ref()?,
                class: ClassId(n),
                labels,
            })
        });
        Ok(Self {
            subjects: Subjects::new(centres.iter().chain(&members), facts)?,
            profile: profile("eu"),
            peers: centres.len(),
            classes: labels.len(),
        })
    }

    /// How many decisions one run takes.
    #[must_use]
    pub fn decisions(&self) -> usize {
        self.peers * self.classes * Action::VALUES.len()
    }

    /// Takes every decision once; how many of them allow, and how many met an error.
    ///
    /// # Errors
    /// [`EngineError`] never.
    pub fn run(&self, now: Timestamp) -> Result<(usize, usize), EngineError> {
        let hearing = self.profile.hear(&self.subjects)?;
        let entry = EntryFacts {
            state: State::Assessed,
            quorum: true,
            baseline: false,
            hold: false,
        };
        let (mut allowed, mut erred) = (0, 0);
        for centre in 0..self.peers {
            for (action, _) in Action::VALUES {
                let (principal, entry) = match action {
                    Action::Share | Action::Reshare | Action::Admit => (centre, None),
                    Action::Publish => (self.peers + centre, Some(entry)),
                    Action::Match | Action::Reveal => (centre, Some(entry)),
                };
                let ask = Ask {
                    action: *action,
                    principal,
                    purpose: Purpose::Triage,
                    now,
                    entry,
                };
                let decisions = hearing.decide(&ask);
                allowed += decisions.iter().filter(|it| it.allowed).count();
                erred += decisions.iter().filter(|it| !it.errors.is_empty()).count();
            }
        }
        Ok((allowed, erred))
    }
}

/// Decides about `n` classes, each question alone and with its entities made for it, as for one transfer. Returns how many
/// were allowed.
///
/// # Panics
/// Never: the profile has no fault, and the names parse.
#[must_use]
#[expect(clippy::expect_used, reason = "constants")]
pub fn decide_alone(n: u16, now: Timestamp) -> usize {
    let profile = profile("eu");
    let origin: CentreId = "eu".parse().expect("a name");
    let jurisdiction = law("eu").expect("a law");
    let principal = peer(2).expect("a centre");
    let allowed = (0..n).filter(|n| {
        let labels = varied(*n);
        let query = Query {
            action: Action::Share,
            principal: &principal,
            class: ClassFacts {
                origin: &origin,
                jurisdiction: &jurisdiction,
                class: ClassId(*n),
                labels: &labels,
            },
            purpose: Purpose::Triage,
            now,
            entry: None,
        };
        profile.decide(&query).allowed
    });
    allowed.count()
}

/// Centre number `n`: one for each profile, then more under the same laws.
fn peer(n: usize) -> Option<Principal> {
    let name = PROFILES[n % PROFILES.len()];
    let id = match n / PROFILES.len() {
        0 => name.to_owned(),
        more => format!("{name}{more}"),
    };
    Some(Principal::Centre {
        id: id.parse().ok()?,
        jurisdiction: law(name)?,
    })
}

/// The law of a profile: the United Kingdom is `GB` in ISO 3166.
fn law(name: &str) -> Option<Jurisdiction> {
    match name {
        "uk" => "GB".parse().ok(),
        other => other.to_ascii_uppercase().parse().ok(),
    }
}

/// Labels that differ with `n` in what profiles look at.
#[must_use]
pub fn varied(n: u16) -> Labels {
    let bit = |at: u32| n >> at & 1 == 1;
    Labels {
        media_kind: if bit(0) {
            Set::of(&[MediaKind::Image])
        } else {
            Set::full()
        },
        content_class: Set::of(if bit(1) {
            &[ContentClass::Csam]
        } else {
            &[ContentClass::Csam, ContentClass::RelatedHarmful]
        }),
        depiction: if bit(2) {
            Set::of(&[Depiction::Real])
        } else {
            Set::full()
        },
        age_claim: if bit(3) {
            Set::of(&[AgeClaim::Actual])
        } else {
            Set::full()
        },
        self_generated: if bit(4) {
            Set::of(&[SelfGenerated::NotIndicated])
        } else {
            Set::full()
        },
        tlp: if bit(5) { Tlp::Amber } else { Tlp::Red },
        state: if bit(6) {
            State::Assessed
        } else {
            State::Suspected
        },
        recipients: if bit(7) {
            Set::of(&[Recipient::Centre, Recipient::Provider])
        } else {
            Set::empty()
        },
        purposes: Purpose::VALUES
            .iter()
            .filter(|(purpose, _)| u16::from(purpose.bit()) != n % 9)
            .fold(Set::empty(), |set, (purpose, _)| {
                Set::from_bits(u64::from(set.bits() | 1 << purpose.bit())).unwrap_or(set)
            }),
        residency: ["EU", "US", "CA", "AU", "GB", "NZ"]
            .iter()
            .skip(usize::from(n % 4))
            .filter_map(|law| law.parse().ok())
            .collect(),
        ..labels()
    }
}
