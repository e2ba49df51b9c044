use super::*;
use hashpact_protocol::lists::Set;
use hashpact_protocol::record::Flag;

const WALK: &str = r#"
scheme = "scheme"
version = 3
source = "a test"
valid_from = "2026-01-01"
valid_until = "2027-01-01"
governs = ["content_class", "state", "activity", "legal_status"]
[[row]]
value = "one"
mark = "L"
sets = { content_class = "csam", state = "assessed", activity = "yes", legal_status = ["CA illegal body", "UK not_illegal body"] }
[[row]]
value = "none"
mark = "L"
leave_out = "nothing"
"#;

fn walk(from: &str, to: &str) -> Result<Crosswalk, CrosswalkError> {
    assert!(WALK.contains(from));
    Crosswalk::from_toml(&WALK.replacen(from, to, 1), "walk.toml")
}

/// The profile of pairs, with the crosswalk deciding what it governs.
fn pair_profile() -> String {
    PAIR.replace(
        "issuer = \"issuer\"",
        "issuer = \"issuer\"\ncrosswalk = true",
    )
    .replace(
        "content_class = \"unknown\"",
        "content_class = \"crosswalk\"",
    )
    .replace("state = \"suspected\"", "state = \"crosswalk\"")
}

#[test]
fn every_built_in_crosswalk_is_one_and_needs_counsel_where_it_says_so() {
    for scheme in [
        "arachnid-shield",
        "au-baseline",
        "copine",
        "icse-baseline",
        "sap",
        "tech-coalition",
        "uk-sentencing",
        "vics-us",
    ] {
        let text = Crosswalk::built_in(scheme).unwrap();
        let walk = Crosswalk::from_toml(text, scheme).unwrap();
        assert_eq!((walk.scheme(), walk.version()), (scheme, 1));
        assert_eq!(walk.check_use(21_000, true), Ok(()));
        let real = walk.check_use(21_000, false);
        assert!(matches!(real, Err(CrosswalkError::Unconfirmed { .. })));
        let confirmed = format!("confirmed = \"document 7\"\n{text}");
        let walk = Crosswalk::from_toml(&confirmed, scheme).unwrap();
        assert_eq!(walk.check_use(21_000, false), Ok(()));
    }
    assert!(Crosswalk::built_in("other").is_none());
}

#[test]
fn a_label_is_derived_from_its_value_and_an_unknown_one_stays_local() {
    let walk = walk("", "").unwrap();
    assert_eq!(walk.fate("one"), Fate::Mapped);
    assert_eq!(walk.fate("One"), Fate::Unmapped);
    assert_eq!(walk.fate("none"), Fate::LeftOut);
    let (mut labels, mut fields) = (hashpact_protocol::testing::labels(), Fields::default());
    walk.derive("one", &mut labels, &mut fields);
    let before = labels.clone();
    assert_eq!(fields.features[0], Flag::Yes);
    assert_eq!(labels.legal_status.len(), 2);
    // Nothing is left over of what a value said before.
    walk.derive("two", &mut labels, &mut fields);
    assert!(labels.content_class.is_full() && labels.legal_status.is_empty());
    assert_eq!(fields.features[0], Flag::Unknown);
    assert_eq!(labels.recipients, before.recipients);
    walk.derive("one", &mut labels, &mut fields);
    assert_eq!(labels, before);
}

#[test]
fn what_a_crosswalk_may_not_say_is_refused_with_what_it_may() {
    let value = |from: &str, to: &str| match walk(from, to) {
        Err(CrosswalkError::Value { name, .. }) => name,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        value("\"activity\", \"legal_status\"]", "\"recipients\"]"),
        "governs"
    );
    assert_eq!(
        value("state = \"assessed\"", "state = \"retracted\""),
        "state"
    );
    assert_eq!(value("CA illegal body", "CA perhaps body"), "legal_status");
    assert_eq!(value("UK not", "CA not"), "legal_status");
    assert_eq!(value("2026-01-01", "soon"), "valid_from");
    assert_eq!(value("version = 3", "version = 0"), "scheme");
    assert_eq!(value("source = \"a test\"", "source = \" \""), "source");
    assert_eq!(value("mark = \"L\"", "mark = \"\""), "mark");
    let ungoverned = walk("activity = \"yes\"", "depiction = \"real\"");
    assert!(
        matches!(ungoverned, Err(CrosswalkError::Ungoverned { name, .. }) if name == "depiction")
    );
    let twice = walk("value = \"none\"", "value = \"one \"");
    assert!(matches!(
        twice,
        Err(CrosswalkError::Repeated {
            first: 1,
            second: 2,
            ..
        })
    ));
    let toml = walk("version", "versions");
    assert!(
        matches!(toml, Err(CrosswalkError::Toml { line: 3, .. })),
        "{toml:?}"
    );
}

#[test]
fn a_crosswalk_is_used_only_while_it_is_valid() {
    let walk = walk("", "").unwrap();
    let day = |text| super::super::number::days_since_epoch(text).unwrap();
    for (text, valid) in [
        ("2025-12-31", false),
        ("2026-01-01", true),
        ("2026-12-31", true),
        ("2027-01-01", false),
    ] {
        assert_eq!(walk.check_use(day(text), true).is_ok(), valid, "{text}");
    }
}

#[test]
fn profile_and_crosswalk_do_not_both_decide_a_label() {
    let with = |profile: &str| Profile::with_crosswalk(profile, "p", Some(walk("", "").unwrap()));
    assert!(with(&pair_profile()).is_ok());
    let both = pair_profile().replace("content_class = \"crosswalk\"", "content_class = \"csam\"");
    assert!(matches!(
        with(&both).unwrap_err().problem,
        Problem::Governed {
            name: "content_class",
            ..
        }
    ));
    let neither = pair_profile().replace("depiction = \"unknown\"", "depiction = \"crosswalk\"");
    assert!(matches!(
        with(&neither).unwrap_err().problem,
        Problem::Value {
            name: "depiction",
            ..
        }
    ));
    assert!(matches!(
        with(PAIR).unwrap_err().problem,
        Problem::Governed { .. }
    ));
    let other = pair_profile().replace("scheme = \"scheme\"", "scheme = \"another\"");
    assert!(matches!(
        with(&other).unwrap_err().problem,
        Problem::Crosswalk(CrosswalkError::Scheme { .. })
    ));
    let none = Profile::from_toml(&pair_profile(), "p").unwrap_err();
    assert!(matches!(
        none.problem,
        Problem::Crosswalk(CrosswalkError::None { .. })
    ));
}

#[test]
fn every_example_is_a_profile_of_its_format() {
    for format in formats() {
        let profile = Profile::from_toml(example(format).unwrap(), format).unwrap();
        let name = if format == "sums" { "csv" } else { format };
        assert_eq!(profile.format_name(), name);
        assert_eq!(profile.role(), Role::List);
    }
    assert_eq!(
        Set::<hashpact_protocol::labels::State>::full()
            .names()
            .count(),
        3
    );
}
