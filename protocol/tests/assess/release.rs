//! No profile, however careless, takes a machine's opinion to a provider.

use hashpact_protocol::assess::{Attested, Basis, EntryFacts, Evidence, Quorum};
use hashpact_protocol::labels::{ClassId, Purpose, State};
use hashpact_protocol::policy::{Action, ClassFacts, Decision, FLOOR, Principal, Profile, Query};
use hashpact_protocol::testing::attestations::NOW;
use hashpact_protocol::testing::classified;
use hashpact_protocol::testing::policies::profile_files;

use super::{Entry, by, centre, opened};

/// A profile that permits everything to everybody.
fn careless() -> Profile {
    let mut files = profile_files("eu");
    files.retain(|(name, _)| name == "profile.toml");
    let permit = "@id(\"all\")\n@basis(\"Synthetic: a careless line\")\n@counsel(\"confirm\")\n\
        permit (principal, action, resource);\n";
    files.push(("all.cedar".to_owned(), permit.to_owned()));
    Profile::from_files(&files).expect("a profile without a fault")
}

fn decide(entry: &Entry, action: Action, facts: Option<EntryFacts>) -> Decision {
    let principal = Principal::Member {
        id: "provider".to_owned(),
        jurisdiction: centre(0).jurisdiction.clone(),
        sector: "hosting".to_owned(),
    };
    careless().decide(&Query {
        action,
        principal: &principal,
        class: ClassFacts {
            origin: &centre(0).id,
            jurisdiction: &centre(0).jurisdiction,
            class: ClassId(0),
            labels: &entry.labels,
        },
        purpose: Purpose::Detect,
        now: NOW,
        entry: facts,
    })
}

fn facts(entry: &Entry, attestations: &[Attested]) -> EntryFacts {
    EntryFacts::of(
        &entry.stated(),
        &Evidence {
            attestations,
            disputes: &[],
            hold: false,
            quorum: Quorum::TWO_OF_TWO,
        },
    )
}

#[test]
fn nothing_is_published_without_a_persons_attestation_whatever_a_profile_permits() {
    let people = [opened(&by(0, 1)), opened(&by(1, 1))];
    let lists = [0, 1, 2].map(|n| {
        let mut import = by(n, 1);
        (import.assessor, import.basis) = (None, Basis::LegacyImport);
        opened(&import)
    });
    for state in [State::Suspected, State::Assessed, State::Disputed] {
        for by_machine in [false, true] {
            for (attested, are_people) in [(&people[..], true), (&lists[..], false), (&[], false)] {
                let mut entry = Entry::of_the_baseline();
                entry.labels.state = state;
                if by_machine {
                    entry.fields.classifier = classified(1).fields.classifier;
                }
                let facts = facts(&entry, attested);
                let expected = state == State::Assessed && !by_machine && are_people;
                let decision = decide(&entry, Action::Publish, Some(facts));
                assert_eq!(
                    decision.allowed, expected,
                    "{state:?} {by_machine} {are_people}"
                );
                let by = if expected { "all" } else { FLOOR };
                assert_eq!(decision.policies, [by]);
                let shown = state == State::Assessed && !by_machine;
                assert_eq!(decide(&entry, Action::Reveal, Some(facts)).allowed, shown);
                assert_eq!(decide(&entry, Action::Match, Some(facts)).allowed, shown);
            }
        }
    }
}

#[test]
fn nothing_is_published_or_revealed_to_a_member_unless_its_entry_was_looked_at() {
    let entry = Entry::of_the_baseline();
    assert!(!decide(&entry, Action::Publish, None).allowed);
    assert!(!decide(&entry, Action::Reveal, None).allowed);
    assert!(
        decide(&entry, Action::Match, None).allowed,
        "nothing is told yet"
    );
}
