//! Documents that are refused, each with file and line, and questions that are denied.

use super::{FACTS, NOW, annotated, ask, centre, files, list, profile};
use crate::labels::{Labels, LabelsError};
use crate::limits;
use crate::lists::Set;
use crate::policy::*;

const PERMIT: &str = "permit (principal, action, resource);";

fn faults(cedar: &str) -> Vec<PolicyFault> {
    Profile::from_files(&files(cedar)).expect_err("a fault")
}

/// The one fault of a file of policies: line, column, kind.
fn fault(cedar: &str) -> (u32, u32, FaultKind) {
    let faults = faults(cedar);
    let [fault] = faults.as_slice() else {
        panic!("{}", list(&faults));
    };
    assert_eq!(fault.file, "share.cedar");
    (fault.line, fault.column, fault.kind.clone())
}

/// The one fault of this condition, of which the keyword stands in line 4.
fn fault_of(condition: &str) -> FaultKind {
    let (line, _, kind) = fault(&annotated(
        "x",
        &PERMIT.replace(';', &format!(" when {{ {condition} }};")),
    ));
    assert_eq!(line, 4, "{kind}");
    kind
}

#[test]
fn policy_of_ten_megabytes_is_refused_before_it_is_read() {
    let text = annotated("x", PERMIT).repeat(10 * 1024 * 1024 / 80);
    let got = text.len() + FACTS.len() + "share.cedar".len() + "profile.toml".len();
    assert!(got > 8 * 1024 * 1024);
    let faults = faults(&text);
    let max = limits::POLICY_BYTES;
    assert_eq!(faults[0].kind, FaultKind::TooLong { max, got });
    assert_eq!(faults.len(), 1);
}

#[test]
fn policy_that_is_nested_to_exhaust_a_stack_is_refused() {
    let deep = |n: usize| {
        let condition = format!("{}resource.hops < 1{}", "(".repeat(n), ")".repeat(n));
        annotated(
            "x",
            &format!("permit (principal, action, resource) when {{ {condition} }};"),
        )
    };
    assert!(Profile::from_files(&files(&deep(limits::POLICY_DEPTH - 1))).is_ok());
    assert_eq!(fault(&deep(limits::POLICY_DEPTH)).2, FaultKind::TooComplex);
    let long = vec!["resource.hops < 1"; 200].join(" && ");
    assert_eq!(fault_of(&long), FaultKind::TooComplex);
}

#[test]
fn policy_that_errs_at_evaluation_denies() {
    // Cedar would skip the forbid that overflows, and the permit would stand.
    let errs = annotated(
        "errs",
        "forbid (principal, action, resource) when { resource.hops + 9223372036854775807 > 0 };",
    );
    let text = [annotated("all", PERMIT), errs].join("\n");
    let labels = crate::testing::labels();
    let decision = ask(&profile(&text), Action::Share, &centre("ca"), &labels);
    assert!(!decision.allowed);
    assert_eq!(decision.errors.len(), 1, "{decision:?}");
    assert!(decision.errors[0].contains("errs"), "{decision:?}");
    let calm = Labels { hops: 0, ..labels };
    assert!(
        ask(&profile(&text), Action::Share, &centre("ca"), &calm)
            .errors
            .is_empty()
    );
}

#[test]
fn empty_uncertain_set_is_refused_and_denied() {
    let profile = profile(&annotated(
        "all",
        r#"permit (principal, action, resource) when { ["real"].containsAll(resource.maybe.depiction) };"#,
    ));
    let labels = Labels {
        depiction: Set::empty(),
        ..crate::testing::labels()
    };
    assert_eq!(labels.check(), Err(LabelsError::Empty { field: 3 }));
    let decision = ask(&profile, Action::Share, &centre("ca"), &labels);
    assert!(!decision.allowed);
    assert_eq!(
        decision.errors,
        [LabelsError::Empty { field: 3 }.to_string()]
    );
}

#[test]
fn label_outside_the_schema_is_refused() {
    for condition in [
        r#"resource.colour == "red""#,
        r#"["red"].containsAll(resource.maybe.colour)"#,
        "resource.hops",
    ] {
        let kind = fault_of(condition);
        assert!(
            matches!(kind, FaultKind::Schema { .. }),
            "{condition}: {kind}"
        );
    }
}

#[test]
fn what_an_action_does_not_have_is_refused_for_each_action() {
    let text = annotated(
        "x",
        r#"permit (principal, action, resource) when { context.entry.state == "assessed" };"#,
    );
    let faults = faults(&text);
    assert_eq!(faults.len(), 6, "{}", list(&faults));
    let entry = |fault: &PolicyFault| fault.line == 4 && fault.to_string().contains("entry");
    assert!(faults.iter().all(entry), "{}", list(&faults));
}

#[test]
fn value_outside_its_list_is_refused() {
    for (condition, got) in [
        (r#"resource.tlp == "GREEN""#, "GREEN"),
        (r#"["red", "RED"].contains(resource.tlp)"#, "red"),
        (
            r#"["real", "drawn"].containsAll(resource.maybe.depiction)"#,
            "drawn",
        ),
        (
            r#"resource.granted.purposes.contains("detection")"#,
            "detection",
        ),
        (r#"resource.illegal_in.contains("UKR")"#, "UKR"),
        (r#"context.bases.contains("us-agreement")"#, "us-agreement"),
        (r#"principal.jurisdiction == "ca""#, "ca"),
    ] {
        let kind = fault_of(condition);
        assert!(
            matches!(&kind, FaultKind::Word { got: text, .. } if text == got),
            "{condition}: {kind}"
        );
    }
}

#[test]
fn typo_is_named_with_file_line_and_column() {
    let good = annotated("good", PERMIT);
    let (line, column, kind) = fault(&format!(
        "{good}\n{}",
        annotated(
            "bad",
            "permit (principal, action, resource)\nwhen { resource.hop < 1 };"
        )
    ));
    assert_eq!((line, column), (10, 8), "{kind}");
    assert!(kind.to_string().contains("hop"), "{kind}");
    let (line, _, kind) = fault(&format!("{good}\npermt (principal, action, resource);"));
    assert_eq!(line, 6);
    assert!(matches!(kind, FaultKind::Syntax { .. }), "{kind}");
    let shares = good.replace("action,", "action == Action::\"shares\",");
    let faults = faults(&shares);
    assert!(
        faults
            .iter()
            .any(|it| it.line == 4 && it.to_string().contains("did you mean")),
        "{}",
        list(&faults)
    );
}

#[test]
fn typo_in_the_facts_is_named_with_line_and_column() {
    let read = |facts: String| {
        let mut files = files(&annotated("x", PERMIT));
        files[0].1 = facts;
        let faults = Profile::from_files(&files).expect_err("a fault");
        let places = faults
            .iter()
            .map(|fault| (fault.file.clone(), fault.line, fault.column));
        (places.collect::<Vec<_>>(), list(&faults))
    };
    let at = |line, column| vec![("profile.toml".to_owned(), line, column)];
    let (places, said) = read(FACTS.replace("\"triage\"\nwiden", "\"triaje\"\nwiden"));
    assert_eq!(places, at(5, 11), "{said}");
    let (places, said) = read(FACTS.replace("issuer", "isuer"));
    assert_eq!(places.len(), 1);
    assert!(said.contains("isuer"), "{said}");
    assert_eq!(
        read(FACTS.replace("\"agreement\"", "\"none\"")).0,
        at(13, 9)
    );
    assert_eq!(
        read(FACTS.replace("2026-01-01", "2026-01-01T00:00:00Z")).0,
        at(16, 8)
    );
    assert_eq!(read(FACTS.replace("= 24", "= 8761")).0, at(6, 21));
    // Two faults are both told.
    let both = FACTS
        .replace("\"EU\"", "\"eu\"")
        .replace("\"CA\"", "\"Canada\"");
    assert_eq!(read(both).0.len(), 2);
}

#[test]
fn annotations_are_complete_and_known() {
    let missing = |name: &str| {
        let text = annotated("x", PERMIT);
        let lines: Vec<_> = text
            .lines()
            .filter(|line| !line.starts_with(name))
            .collect();
        let (line, _, kind) = fault(&lines.join("\n"));
        assert_eq!(line, 1);
        kind
    };
    for name in ["id", "basis", "counsel"] {
        let kind = missing(&format!("@{name}"));
        assert!(matches!(kind, FaultKind::Annotation { name: got, .. } if got == name));
    }
    let (_, _, kind) = fault(&format!("@note(\"x\")\n{}", annotated("x", PERMIT)));
    assert_eq!(
        kind,
        FaultKind::UnknownAnnotation {
            name: "note".to_owned()
        }
    );
    let twice = annotated("x", PERMIT).repeat(2);
    assert_eq!(
        fault(&twice).2,
        FaultKind::RepeatedId { id: "x".to_owned() }
    );
}

#[test]
fn uncertain_and_granted_labels_stand_in_no_other_form() {
    for (condition, expected) in [
        (
            r#"resource.maybe.depiction.contains("real")"#,
            FormFault::Other,
        ),
        (r#"resource.maybe.depiction == ["real"]"#, FormFault::Other),
        ("resource.maybe.depiction.isEmpty()", FormFault::Other),
        (
            r#"(["real"].containsAll(resource.maybe.depiction)) == true"#,
            FormFault::Other,
        ),
        (
            r#"if ["real"].containsAll(resource.maybe.depiction) then true else false"#,
            FormFault::Other,
        ),
        (
            r#"!resource.granted.purposes.contains("detect")"#,
            FormFault::Granted,
        ),
        ("context.now < 5", FormFault::Now),
        (r#"resource.tlp like "AMBER*""#, FormFault::Like),
        ("resource.tlp == resource.state", FormFault::Lists),
    ] {
        assert_eq!(
            fault_of(condition),
            FaultKind::Form(expected),
            "{condition}"
        );
    }
}

#[test]
fn files_are_named_once_and_as_expected() {
    let of = |names: &[&str]| {
        let texts = names.iter().map(|name| {
            let text = if *name == "profile.toml" { FACTS } else { "" };
            ((*name).to_owned(), text.to_owned())
        });
        let texts: Vec<_> = texts.collect();
        let faults = Profile::from_files(&texts).expect_err("a fault");
        faults
            .into_iter()
            .map(|fault| fault.kind)
            .collect::<Vec<_>>()
    };
    let missing = |expected| vec![FaultKind::Missing { expected }];
    assert_eq!(of(&["profile.toml"]), missing(".cedar file"));
    assert_eq!(of(&["a.cedar"]), missing("profile.toml"));
    assert_eq!(
        of(&["a.cedar", "a.cedar", "profile.toml"]),
        [FaultKind::RepeatedFile]
    );
    assert_eq!(of(&["../a.cedar", "profile.toml"]), [FaultKind::FileName]);
    let many = vec!["profile.toml"; limits::POLICY_FILES + 1];
    let (max, got) = (limits::POLICY_FILES, many.len());
    assert_eq!(of(&many), [FaultKind::TooManyFiles { max, got }]);
}

#[test]
fn counsel_cannot_sign_off_what_still_waits_for_counsel() {
    let signed =
        format!("{FACTS}\n[counsel]\nsigned_off = 2026-11-01\nby = \"synthetic counsel\"\n");
    let mut files = files(&annotated("x", PERMIT));
    files[0].1 = signed;
    let faults = Profile::from_files(&files).expect_err("a fault");
    assert_eq!(faults[0].kind, FaultKind::NotConfirmed);
    files[1].1 = files[1].1.replace("\"confirm\"", "\"confirmed\"");
    let profile = Profile::from_files(&files).unwrap();
    assert_eq!(profile.signed_off().unwrap().by, "synthetic counsel");
    assert!(profile.signed_off().unwrap().day < NOW);
}
