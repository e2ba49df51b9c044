//! The six profiles that come with the program: what each does with each kind of material. The tables are written here by
//! hand from the domain, so that a slip in a file shows.

use std::sync::LazyLock;

use hashpact_keys::{Jurisdiction, Timestamp};

use super::{NOW, list};
use crate::assess::EntryFacts;
use crate::labels::*;
use crate::lists::{ClosedList, Set};
use crate::policy::*;
use crate::testing::policies::{PROFILES, profile as load, profile_files};

/// Read once: reading takes longer than deciding.
static PROFILE: LazyLock<[Profile; PROFILES.len()]> = LazyLock::new(|| PROFILES.map(load));

fn profile(name: &str) -> &'static Profile {
    PROFILE.iter().find(|it| it.name() == name).unwrap()
}

const ALL: &str = "eu us ca au uk nz";

fn law(name: &str) -> Jurisdiction {
    let code = match name {
        "uk" => "GB".to_owned(),
        other => other.to_ascii_uppercase(),
    };
    code.parse().unwrap()
}

fn centre(name: &str) -> Principal {
    Principal::Centre {
        id: name.parse().unwrap(),
        jurisdiction: law(name),
    }
}

fn provider(name: &str) -> Principal {
    Principal::Member {
        id: "host".to_owned(),
        jurisdiction: law(name),
        sector: "hosting".to_owned(),
    }
}

/// A class that every profile gives and takes, as far as it has a basis.
fn plain() -> Labels {
    let homes = PROFILES.iter().map(|name| law(name));
    Labels {
        media_kind: Set::of(&[MediaKind::Image]),
        content_class: Set::of(&[ContentClass::Csam]),
        state: State::Assessed,
        depiction: Set::of(&[Depiction::Real]),
        minor_certain: true,
        age_claim: Set::of(&[AgeClaim::Actual]),
        self_generated: Set::of(&[SelfGenerated::NotIndicated]),
        context_flags: Set::empty(),
        legal_basis: LegalBasis::Agreement,
        legal_status: Vec::new(),
        residency: homes.chain(["ZZ".parse().unwrap()]).collect(),
        applicable_law: [].into(),
        tlp: Tlp::Amber,
        hops: 1,
        recipients: Set::of(&[Recipient::Centre, Recipient::Provider]),
        purposes: Set::full(),
    }
}

/// The facts of an entry that may be released.
const READY: EntryFacts = EntryFacts {
    state: State::Assessed,
    quorum: true,
    baseline: false,
    hold: false,
};

fn decide(
    profile: &Profile,
    (action, principal): (Action, &Principal),
    labels: &Labels,
    purpose: Purpose,
    (now, entry): (Timestamp, Option<EntryFacts>),
) -> Decision {
    let decision = profile.decide(&Query {
        action,
        principal,
        class: ClassFacts {
            origin: &"ca".parse().unwrap(),
            jurisdiction: &law("ca"),
            class: ClassId(1),
            labels,
        },
        purpose,
        now,
        entry,
    });
    assert_eq!(decision.errors, [""; 0]);
    for id in &decision.policies {
        let basis = profile
            .basis(id)
            .expect("each policy says why, and none leaves it to the floor");
        assert!(!basis.source.is_empty());
    }
    decision
}

/// A centre with which this profile's own has every agreement that it has with anybody.
fn partner(name: &str) -> &'static str {
    if name == "ca" { "au" } else { "ca" }
}

/// The profiles that allow this to, or from, their partner; for the purpose that whoever takes it asks for, or this one.
fn allow(action: Action, labels: &Labels, purpose: Option<Purpose>) -> String {
    let allow = PROFILES.into_iter().filter(|name| {
        let own = profile(name);
        let asked = match action {
            Action::Admit => own.purpose(),
            Action::Share | Action::Reshare | Action::Publish | Action::Match | Action::Reveal => {
                profile(partner(name)).purpose()
            }
        };
        let purpose = purpose.unwrap_or(asked);
        let principal = centre(partner(name));
        decide(own, (action, &principal), labels, purpose, (NOW, None)).allowed
    });
    allow.collect::<Vec<_>>().join(" ")
}

#[test]
fn every_profile_that_comes_with_the_program_is_free_of_faults() {
    for name in PROFILES {
        let profile = profile(name);
        assert_eq!(profile.name(), name);
        assert_eq!(*profile.jurisdiction(), law(name));
        assert!(profile.signed_off().is_none(), "{name}: nobody signed it");
        assert!(profile.policies().all(|(_, basis)| !basis.confirmed));
        assert!(profile.policies().all(|(id, _)| id.starts_with(name)));
        let topics: Vec<_> = profile.facts().iter().map(|fact| fact.topic).collect();
        let all: Vec<_> = Topic::VALUES.iter().map(|(topic, _)| *topic).collect();
        assert_eq!(topics, all, "{name}: one fact per topic");
    }
}

/// How a class differs from a plain one.
type Change = fn(&mut Labels);

fn changed(change: Change) -> Labels {
    let mut labels = plain();
    change(&mut labels);
    labels
}

fn one<T: ClosedList>(value: T) -> Set<T> {
    Set::of(&[value])
}

fn stated(labels: &mut Labels, law: &str, illegal: bool) {
    labels.legal_status.push(LegalStatus {
        jurisdiction: law.parse().unwrap(),
        illegal,
        body: "synthetic".to_owned(),
    });
}

fn drawn(labels: &mut Labels) {
    labels.depiction = one(Depiction::VirtualDrawn);
}

/// What differs, and which profiles take it.
const TAKEN: &[(&str, Change, &str)] = &[
    ("plain", |_| (), ALL),
    ("video", |l| l.media_kind = one(MediaKind::Video), ALL),
    ("text", |l| l.media_kind = one(MediaKind::Text), "ca au nz"),
    ("sound", |l| l.media_kind = one(MediaKind::Audio), "ca nz"),
    ("any medium", |l| l.media_kind = Set::full(), "ca nz"),
    (
        "altered",
        |l| l.depiction = one(Depiction::Manipulated),
        ALL,
    ),
    ("AI", |l| l.depiction = one(Depiction::AiRealistic), ALL),
    ("drawn", drawn, "ca au nz"),
    ("any depiction", |l| l.depiction = Set::full(), "ca au nz"),
    ("apparent", |l| l.age_claim = one(AgeClaim::Apparent), ALL),
    (
        "as",
        |l| l.age_claim = one(AgeClaim::DepictedAs),
        "eu ca au nz",
    ),
    ("implied", |l| l.age_claim = one(AgeClaim::Implied), "nz"),
    ("any claim of age", |l| l.age_claim = Set::full(), "nz"),
    (
        "perhaps related",
        |l| l.content_class = Set::full(),
        "ca au nz",
    ),
    ("suspected", |l| l.state = State::Suspected, "ca au"),
    ("disputed", |l| l.state = State::Disputed, ALL),
    ("between peers", |l| l.self_generated = Set::full(), ALL),
    ("lawful", |l| stated(l, "AU", false), "eu us ca uk nz"),
    ("no basis", |l| l.legal_basis = LegalBasis::None, ""),
    ("no recipients", |l| l.recipients = Set::empty(), ""),
    ("no purposes", |l| l.purposes = Set::empty(), ""),
    ("counting", |l| l.purposes = one(Purpose::Statistics), ""),
    ("in the US", |l| l.residency = [law("us")].into(), "us"),
];

#[test]
fn each_profile_takes_what_its_law_knows() {
    for (what, change, expected) in TAKEN {
        let taken = allow(Action::Admit, &changed(*change), None);
        assert_eq!(taken, *expected, "{what}");
    }
    let mut prohibited = changed(drawn);
    stated(&mut prohibited, "GB", true);
    assert_eq!(allow(Action::Admit, &prohibited, None), "ca au uk nz");
    let young = changed(|l| l.self_generated = one(SelfGenerated::PeerConsensual));
    let identify = Some(Purpose::VictimId);
    assert_eq!(allow(Action::Admit, &young, identify), "au nz");
    assert_eq!(allow(Action::Admit, &plain(), identify), ALL);
    // No profile has an agreement about these.
    for purpose in [Purpose::Report, Purpose::Investigate] {
        assert_eq!(allow(Action::Admit, &plain(), Some(purpose)), "");
    }
}

const OTHERS: &str = "eu ca au uk nz";

/// What differs, which profiles share it, and which reshare it.
const GIVEN: &[(&str, Change, &str, &str)] = &[
    ("plain", |_| (), OTHERS, OTHERS),
    ("RED", |l| l.tlp = Tlp::Red, "", ""),
    ("STRICT", |l| l.tlp = Tlp::AmberStrict, OTHERS, ""),
    ("no onward sharing", |l| l.hops = 0, OTHERS, ""),
    ("suspected", |l| l.state = State::Suspected, "ca", "ca"),
    ("drawn", drawn, "ca au nz", "ca au nz"),
    ("related", |l| l.content_class = Set::full(), "ca au nz", ""),
    ("no recipients", |l| l.recipients = Set::empty(), "", ""),
    ("no purposes", |l| l.purposes = Set::empty(), "", ""),
    ("to stay at home", |l| l.residency = [].into(), "", ""),
    ("no basis", |l| l.legal_basis = LegalBasis::None, "", ""),
];

#[test]
fn each_profile_gives_what_may_go() {
    for (what, change, shares, reshares) in GIVEN {
        let labels = changed(*change);
        assert_eq!(allow(Action::Share, &labels, None), *shares, "{what}");
        assert_eq!(allow(Action::Reshare, &labels, None), *reshares, "{what}");
    }
}

#[test]
fn a_plain_class_goes_where_both_ends_have_a_basis() {
    let mut flows = Vec::new();
    for from in PROFILES {
        let (giver, mut to) = (profile(from), Vec::new());
        for name in PROFILES.into_iter().filter(|name| *name != from) {
            let taker = profile(name);
            let purpose = taker.purpose();
            let share = decide(
                giver,
                (Action::Share, &centre(name)),
                &plain(),
                purpose,
                (NOW, None),
            );
            let admit = decide(
                taker,
                (Action::Admit, &centre(from)),
                &plain(),
                purpose,
                (NOW, None),
            );
            if share.allowed && admit.allowed {
                to.push(name);
            }
        }
        flows.push(format!("{from} -> {}", to.join(" ")));
    }
    assert_eq!(
        flows,
        [
            "eu -> us ca au uk nz",
            "us -> ",
            "ca -> eu us au uk nz",
            "au -> ca uk nz",
            "uk -> eu us ca au nz",
            "nz -> ca au uk",
        ]
    );
}

#[test]
fn us_outbound_is_denied_until_a_basis_is_configured() {
    let us = profile("us");
    let share = |profile: &Profile, to: &str| {
        let purpose = Purpose::Triage;
        decide(
            profile,
            (Action::Share, &centre(to)),
            &plain(),
            purpose,
            (NOW, None),
        )
    };
    for to in ["eu", "ca", "au", "uk", "nz"] {
        let decision = share(us, to);
        assert!(!decision.allowed);
        assert_eq!(decision.policies, ["us-share-basis"], "{to}");
        let basis = us.basis("us-share-basis").unwrap();
        assert!(basis.source.starts_with("18 USC 2258C"), "{}", basis.source);
    }
    let mut files = profile_files("us");
    files[1].1.push_str(
        r#"
[[grant]]
id = "treaty-ca"
with = { centre = "ca" }
actions = ["share"]
purposes = ["triage"]
basis = "agreement"
document = "synthetic treaty"
issuer = "synthetic issuer"
from = 2026-01-01
until = 2027-01-01
"#,
    );
    let configured =
        Profile::from_files(&files).unwrap_or_else(|faults| panic!("{}", list(&faults)));
    let to_ca = share(&configured, "ca");
    assert!(to_ca.allowed);
    assert_eq!(to_ca.policies, ["us-share"]);
    assert!(!share(&configured, "eu").allowed);
}

#[test]
fn unknown_jurisdiction_gets_nothing() {
    let stranger = centre("zz");
    let member = provider("zz");
    let auditor = Principal::Auditor {
        id: "zz".to_owned(),
        jurisdiction: law("zz"),
    };
    for name in PROFILES {
        let profile = profile(name);
        for (action, _) in Action::VALUES {
            for (purpose, _) in Purpose::VALUES {
                let (who, entry) = match action {
                    Action::Share | Action::Reshare | Action::Admit => (vec![&stranger], None),
                    Action::Publish => (vec![&member], Some(READY)),
                    Action::Match => (vec![&stranger, &member], Some(READY)),
                    Action::Reveal => (vec![&stranger, &member, &auditor], Some(READY)),
                };
                for who in who {
                    let decision =
                        decide(profile, (*action, who), &plain(), *purpose, (NOW, entry));
                    assert!(!decision.allowed, "{name} {action:?} {who:?} {purpose:?}");
                }
            }
        }
    }
}

#[test]
fn providers_get_what_is_certain_attested_and_not_on_hold() {
    let us = profile("us");
    let publish = |labels: &Labels, entry: Option<EntryFacts>| {
        let host = provider("us");
        decide(
            us,
            (Action::Publish, &host),
            labels,
            Purpose::Remove,
            (NOW, entry),
        )
        .allowed
    };
    assert!(publish(&plain(), Some(READY)));
    assert!(!publish(&plain(), None), "nothing is known of the entry");
    for unready in [
        EntryFacts {
            quorum: false,
            ..READY
        },
        EntryFacts {
            hold: true,
            ..READY
        },
        EntryFacts {
            state: State::Disputed,
            ..READY
        },
        EntryFacts {
            state: State::Suspected,
            ..READY
        },
    ] {
        assert!(!publish(&plain(), Some(unready)), "{unready:?}");
    }
    let changes: [Change; 7] = [
        |l| l.minor_certain = false,
        |l| l.content_class = Set::full(),
        |l| l.recipients = Set::of(&[Recipient::Centre]),
        |l| l.state = State::Suspected,
        |l| l.tlp = Tlp::AmberStrict,
        |l| l.depiction = Set::full(),
        |l| l.purposes = Set::empty(),
    ];
    for (n, change) in changes.into_iter().enumerate() {
        assert!(!publish(&changed(change), Some(READY)), "change {n}");
    }
}

#[test]
fn in_the_eu_release_to_providers_ended_with_its_regulation() {
    let eu = profile("eu");
    let publish = |day: u64| {
        let now = Timestamp::new(day * 86_400);
        let host = provider("eu");
        let labels = plain();
        decide(
            eu,
            (Action::Publish, &host),
            &labels,
            Purpose::Remove,
            (now, Some(READY)),
        )
    };
    // 3 April 2026 is day 20,546; the grant closes a day of clock skew before it.
    assert!(publish(20_544).allowed);
    let after = publish(20_545);
    assert!(!after.allowed);
    assert_eq!(after.policies, ["eu-release-basis"]);
}

#[test]
fn a_new_country_needs_files_only() {
    let files = profile_files("nz").into_iter().map(|(file, text)| {
        let text = text.replace("\"nz", "\"za").replace("NZ", "ZA");
        (file, text)
    });
    let files: Vec<_> = files.collect();
    let za = Profile::from_files(&files).unwrap_or_else(|faults| panic!("{}", list(&faults)));
    assert_eq!((za.name(), za.jurisdiction().as_str()), ("za", "ZA"));
    let mut labels = plain();
    let admit = |labels: &Labels| {
        decide(
            &za,
            (Action::Admit, &centre("ca")),
            labels,
            Purpose::Triage,
            (NOW, None),
        )
    };
    assert_eq!(admit(&labels).policies, ["za-admit-residency"]);
    labels.residency.insert(law("za"));
    assert!(admit(&labels).allowed);
}

#[test]
fn the_profile_in_the_docs_is_read() {
    let docs = include_str!("../../../../docs/policy.md");
    let blocks: Vec<_> = docs.split("```").collect();
    let toml = blocks[1].strip_prefix("toml").unwrap();
    let files = [("profile.toml", toml), ("share.cedar", blocks[3])];
    let files = files.map(|(name, text)| (name.to_owned(), text.to_owned()));
    let profile = Profile::from_files(&files).unwrap_or_else(|faults| panic!("{}", list(&faults)));
    assert_eq!(profile.grants().len(), 1);
    assert_eq!(profile.policies().count(), 1);
}
