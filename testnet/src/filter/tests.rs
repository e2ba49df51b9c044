use hashpact_keys::{CentreId, Jurisdiction, Timestamp};
use hashpact_protocol::labels::{ClassId, Labels, LegalStatus};
use hashpact_protocol::lists::{ClosedList, Set};
use hashpact_protocol::policy::{Action, ClassFacts, Principal, Profile, Query};
use hashpact_protocol::testing::policies::profile;

use super::*;

const FOUNDERS: [&str; 4] = ["eu", "us", "ca", "au"];

fn laws() -> Laws {
    Laws::of(["eu", "us", "ca", "au", "uk", "nz"]).unwrap()
}

/// What becomes of the plain case after a change, given by its origin.
fn given(origin: &str, taker: &str, change: impl Fn(&mut Case)) -> Result<(), Rule> {
    let mut case = Case::plain("case");
    change(&mut case);
    let transfer = Transfer {
        origin,
        giver: origin,
        taker,
        hop: 0,
    };
    let flow = laws().may_flow(&case, transfer);
    flow.map_err(|denial| denial.rule)
}

fn one(word: &'static str) -> Words {
    [word].into()
}

#[test]
fn lists_leave_the_us_for_nobody() {
    for taker in ["eu", "ca", "au", "uk", "nz"] {
        assert_eq!(
            given("us", taker, |_| ()),
            Err(Rule::NoAgreement),
            "{taker}"
        );
    }
}

#[test]
fn each_law_is_the_column_of_the_table() {
    let drawn = |case: &mut Case| case.depiction = one("virtual_drawn");
    assert_eq!(given("ca", "eu", drawn), Err(Rule::Drawn));
    assert_eq!(given("ca", "us", drawn), Err(Rule::Drawn));
    assert_eq!(given("ca", "au", drawn), Ok(()));
    assert_eq!(given("ca", "nz", drawn), Ok(()));
    assert_eq!(given("ca", "uk", drawn), Err(Rule::Drawn));
    let prohibited = |case: &mut Case| {
        drawn(case);
        case.legal_status = &[("GB", true)];
    };
    assert_eq!(given("ca", "uk", prohibited), Ok(()));
    let text = |case: &mut Case| case.media_kind = one("text");
    assert_eq!(given("au", "ca", text), Ok(()));
    assert_eq!(given("ca", "au", text), Ok(()));
    assert_eq!(given("ca", "eu", text), Err(Rule::Media));
    let sound = |case: &mut Case| case.media_kind = one("audio");
    assert_eq!(given("ca", "au", sound), Err(Rule::Media));
    assert_eq!(given("au", "ca", sound), Ok(()));
    let implied = |case: &mut Case| case.age_claim = one("implied");
    assert_eq!(given("au", "ca", implied), Err(Rule::Age));
    assert_eq!(given("au", "nz", implied), Ok(()));
    let young = |case: &mut Case| case.self_generated = one("peer_consensual");
    // Canada asks in order to remove, Australia in order to identify victims.
    assert_eq!(given("eu", "ca", young), Ok(()));
    assert_eq!(given("eu", "au", young), Err(Rule::Young));
    let suspected = |case: &mut Case| case.state = "suspected";
    assert_eq!(given("ca", "au", suspected), Ok(()));
    assert_eq!(given("ca", "eu", suspected), Err(Rule::Suspected));
    assert_eq!(given("eu", "ca", suspected), Err(Rule::Suspected));
    let related = |case: &mut Case| case.content_class = one("related_harmful");
    assert_eq!(given("au", "ca", related), Ok(()));
    assert_eq!(given("eu", "ca", related), Err(Rule::Related));
    let lawful = |case: &mut Case| case.legal_status = &[("AU", false)];
    assert_eq!(given("eu", "au", lawful), Err(Rule::Lawful));
    assert_eq!(given("eu", "ca", lawful), Ok(()));
}

#[test]
fn what_the_origin_does_not_grant_goes_nowhere() {
    type Change = fn(&mut Case);
    let changes: [(Rule, Change); 6] = [
        (Rule::LegalBasis, |case| case.legal_basis = "none"),
        (Rule::Red, |case| case.tlp = "RED"),
        (Rule::Recipients, |case| case.recipients = one("provider")),
        (Rule::Recipients, |case| case.recipients = Words::new()),
        (Rule::Purpose, |case| case.purposes = Words::new()),
        (Rule::Residency, |case| case.residency = Words::new()),
    ];
    for (rule, change) in changes {
        for taker in ["us", "ca", "au"] {
            assert_eq!(given("eu", taker, change), Err(rule), "{taker}");
        }
    }
}

#[test]
fn a_value_more_that_it_could_be_never_opens_anything() {
    let list = crate::mixed::Mixed::of("ca");
    let laws = laws();
    type Field = fn(&mut Case) -> &mut Words;
    let fields: [(&[&'static str], Field); 3] = [
        (&["image", "video", "audio", "text"], |case| {
            &mut case.media_kind
        }),
        (&["real", "virtual_drawn"], |case| &mut case.depiction),
        (&["csam", "related_harmful"], |case| &mut case.content_class),
    ];
    for case in &list.cases {
        for taker in ["eu", "us", "au", "uk", "nz"] {
            let transfer = Transfer {
                origin: "ca",
                giver: "ca",
                taker,
                hop: 0,
            };
            for (values, field) in fields {
                for value in values {
                    let mut wider = case.clone();
                    field(&mut wider).insert(value);
                    let opens = laws.may_flow(&wider, transfer).is_ok();
                    assert!(!opens || laws.may_flow(case, transfer).is_ok(), "{value}");
                }
            }
        }
    }
}

#[test]
fn who_has_no_profile_gets_and_gives_nothing() {
    let laws = Laws::of(FOUNDERS).unwrap();
    let flow = |origin, giver, taker| {
        let transfer = Transfer {
            origin,
            giver,
            taker,
            hop: 0,
        };
        laws.may_flow(&Case::plain("case"), transfer)
            .map_err(|denial| denial.rule)
    };
    assert_eq!(flow("ca", "ca", "nz"), Err(Rule::NoProfile));
    assert_eq!(flow("nz", "nz", "ca"), Err(Rule::NoProfile));
    assert_eq!(flow("ca", "ca", "au"), Ok(()));
    assert!(Laws::of(["zz"]).is_err());
}

#[test]
fn a_path_has_as_many_hops_as_the_label_says() {
    let laws = laws();
    // One after the other, each from the one before.
    let chain = |hops: u8, tlp: &'static str| {
        let mut case = Case::plain("case");
        (case.hops, case.tlp) = (hops, tlp);
        let mut holders = BTreeMap::new();
        for up in [["ca", "eu"], ["eu", "uk"], ["uk", "us"]] {
            laws.spread(&case, "ca", &up, &mut holders);
        }
        holders.into_keys().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(chain(0, "AMBER"), "ca eu");
    assert_eq!(chain(1, "AMBER"), "ca eu uk");
    assert_eq!(chain(2, "AMBER"), "ca eu uk us");
    assert_eq!(chain(3, "AMBER+STRICT"), "ca eu");
}

#[test]
fn what_spreads_among_all_is_what_the_origin_may_give() {
    let laws = laws();
    let all = ["eu", "us", "ca", "au", "uk", "nz"];
    for origin in all {
        for case in crate::mixed::Mixed::of(origin).cases {
            let mut holders = BTreeMap::new();
            laws.spread(&case, origin, &all, &mut holders);
            for taker in all.into_iter().filter(|taker| *taker != origin) {
                let transfer = Transfer {
                    origin,
                    giver: origin,
                    taker,
                    hop: 0,
                };
                let direct = laws.may_flow(&case, transfer);
                // No law lets a relay give what its origin may not.
                assert_eq!(
                    direct.is_ok(),
                    holders.contains_key(taker),
                    "{origin} {taker} {}",
                    case.name
                );
            }
        }
    }
}

#[test]
fn an_agreement_that_ended_stops_the_gift_and_every_relay() {
    let mut laws = laws();
    laws.end_agreement("eu", "ca");
    let case = Case::plain("case");
    let mut holders = BTreeMap::new();
    laws.spread(&case, "eu", &["eu", "us", "ca", "au", "uk"], &mut holders);
    assert!(!holders.contains_key("ca") && holders.contains_key("au"));
}

/// A case as the engine reads it.
fn labels(case: &Case, home: &Jurisdiction) -> Labels {
    fn set<T: ClosedList>(words: &Words) -> Set<T> {
        let values: Vec<T> = words
            .iter()
            .map(|word| T::from_name(word).unwrap())
            .collect();
        Set::of(&values)
    }
    let codes = |words: &Words| words.iter().map(|code| code.parse().unwrap()).collect();
    let mut residency: BTreeSet<Jurisdiction> = codes(&case.residency);
    residency.insert(home.clone());
    let status = case.legal_status.iter().map(|(code, illegal)| LegalStatus {
        jurisdiction: code.parse().unwrap(),
        illegal: *illegal,
        body: "synthetic".to_owned(),
    });
    let mut legal_status: Vec<LegalStatus> = status.collect();
    legal_status.sort();
    Labels {
        media_kind: set(&case.media_kind),
        content_class: set(&case.content_class),
        state: ClosedList::from_name(case.state).unwrap(),
        depiction: set(&case.depiction),
        minor_certain: case.minor_certain,
        age_claim: set(&case.age_claim),
        self_generated: set(&case.self_generated),
        context_flags: set(&case.context_flags),
        legal_basis: ClosedList::from_name(case.legal_basis).unwrap(),
        legal_status,
        residency,
        applicable_law: codes(&case.applicable_law),
        tlp: ClosedList::from_name(case.tlp).unwrap(),
        hops: case.hops,
        recipients: set(&case.recipients),
        purposes: set(&case.purposes),
    }
}

#[test]
fn the_profiles_decide_as_the_filter_says() {
    let all = ["eu", "us", "ca", "au", "uk", "nz"];
    let laws = laws();
    let profiles: BTreeMap<&str, Profile> = all.map(|id| (id, profile(id))).into();
    let now = Timestamp::new(1_795_000_000);
    let mut differences = Vec::new();
    for origin in all {
        let home = profiles[origin].jurisdiction();
        let maker: CentreId = origin.parse().unwrap();
        for (number, case) in (0..).zip(crate::mixed::Mixed::of(origin).cases) {
            let labels = labels(&case, home);
            let class = ClassFacts {
                origin: &maker,
                jurisdiction: home,
                class: ClassId(0),
                labels: &labels,
            };
            for (giver, taker) in all.iter().flat_map(|a| all.map(|b| (*a, b))) {
                // Relays are asked of every fourth case, or this would take half a minute.
                let is_relay = giver != origin;
                if giver == taker || taker == origin || is_relay && number % 4 > 0 {
                    continue;
                }
                let ask = |who: &str, action, about: &str| {
                    let principal = Principal::Centre {
                        id: about.parse().unwrap(),
                        jurisdiction: profiles[about].jurisdiction().clone(),
                    };
                    let decision = profiles[who].decide(&Query {
                        action,
                        principal: &principal,
                        class,
                        purpose: profiles[taker].purpose(),
                        now,
                        entry: None,
                    });
                    decision.allowed
                };
                let relays = !is_relay || ask(giver, Action::Reshare, taker);
                let engine =
                    ask(origin, Action::Share, taker) && relays && ask(taker, Action::Admit, giver);
                let transfer = Transfer {
                    origin,
                    giver,
                    taker,
                    hop: u8::from(is_relay),
                };
                let filter = laws.may_flow(&case, transfer);
                if engine != filter.is_ok() {
                    differences.push(format!(
                        "{origin} {giver} {taker} {:?}: {filter:?}",
                        case.name
                    ));
                }
            }
        }
    }
    assert_eq!(differences, [""; 0]);
}
