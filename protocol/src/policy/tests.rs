//! Small profiles, and what they decide.

mod bad_input;
mod classes;
mod dates;
mod matching;
mod profiles;
mod uncertain;

use hashpact_keys::{CentreId, Jurisdiction, Timestamp};

use super::*;
use crate::labels::{ClassId, Labels, Purpose};

/// 2026-11-22.
pub(super) const NOW: Timestamp = Timestamp::new(20_779 * 86_400);

/// The facts of an invented country, with one grant for Canada that is open at [`NOW`].
pub(super) const FACTS: &str = r#"
schema = 1
name = "test"
jurisdiction = "EU"
purpose = "triage"
widen_after_hours = 24

[[grant]]
id = "ca-agreement"
with = { jurisdiction = "CA" }
actions = ["share", "reshare", "admit"]
purposes = ["triage", "remove"]
basis = "agreement"
document = "synthetic agreement 1"
issuer = "synthetic issuer"
from = 2026-01-01
until = 2027-01-01
"#;

/// The files of a profile with these policies.
pub(super) fn files(cedar: &str) -> Vec<(String, String)> {
    vec![
        ("profile.toml".to_owned(), FACTS.to_owned()),
        ("share.cedar".to_owned(), cedar.to_owned()),
    ]
}

pub(super) fn profile(cedar: &str) -> Profile {
    match Profile::from_files(&files(cedar)) {
        Ok(profile) => profile,
        Err(faults) => panic!("{}", list(&faults)),
    }
}

pub(super) fn list(faults: &[PolicyFault]) -> String {
    let lines: Vec<_> = faults.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// A policy with the annotations that every policy has.
pub(super) fn annotated(id: &str, policy: &str) -> String {
    format!("@id(\"{id}\")\n@basis(\"synthetic\")\n@counsel(\"confirm\")\n{policy}\n")
}

pub(super) fn centre(name: &str) -> Principal {
    Principal::Centre {
        id: name.parse().unwrap(),
        jurisdiction: name.to_ascii_uppercase().parse().unwrap(),
    }
}

/// Asks about a class of the centre `eu`, in the EU.
pub(super) fn ask(
    profile: &Profile,
    action: Action,
    principal: &Principal,
    labels: &Labels,
) -> Decision {
    ask_at(profile, action, principal, labels, NOW)
}

pub(super) fn ask_at(
    profile: &Profile,
    action: Action,
    principal: &Principal,
    labels: &Labels,
    now: Timestamp,
) -> Decision {
    let origin: CentreId = "eu".parse().unwrap();
    let jurisdiction: Jurisdiction = "EU".parse().unwrap();
    profile.decide(&Query {
        action,
        principal,
        class: ClassFacts {
            origin: &origin,
            jurisdiction: &jurisdiction,
            class: ClassId(7),
            labels,
        },
        purpose: Purpose::Triage,
        now,
        entry: None,
    })
}

#[test]
fn nothing_is_allowed_without_a_permit_and_a_basis() {
    let labels = crate::testing::labels();
    let empty = profile("");
    assert_eq!(
        ask(&empty, Action::Share, &centre("ca"), &labels),
        Decision {
            valid_until: Some(Timestamp::new(20_818 * 86_400)),
            ..Decision::default()
        }
    );
    let granted = profile(&annotated(
        "share-basis",
        r#"permit(principal, action == Action::"share", resource) when { context.bases.contains("ca-agreement") };"#,
    ));
    let decision = ask(&granted, Action::Share, &centre("ca"), &labels);
    assert!(decision.allowed, "{decision:?}");
    assert_eq!(decision.policies, ["share-basis"]);
    assert!(!ask(&granted, Action::Reshare, &centre("ca"), &labels).allowed);
    let stranger = ask(&granted, Action::Share, &centre("zz"), &labels);
    assert_eq!(stranger, Decision::default());
}
