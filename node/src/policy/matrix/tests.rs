//! The matrix against `explain`, and its page under attack and in both languages.

use std::path::Path;
use std::sync::Arc;

use hashpact_protocol::assess::EntryFacts;
use hashpact_protocol::labels::{Purpose, State};
use hashpact_protocol::policy::{Action, FLOOR, Principal};

use super::page::{STYLE, STYLE_SHA256};
use super::words;
use super::{
    Cell, Class, Column, Matrix, MatrixError, MemberKind, Plan, RELEASABLE, Reason, Verdict, json,
    page, read_classes, text,
};
use crate::audit::at::At;
use crate::page::check::{contrast, pair, whole};
use crate::page::text::{Language, complete};
use crate::policy::explain::{Question, Recipient, explain};
use crate::policy::files::Found;
use crate::policy::scene::{Document, Law, Party, Scene};

const PROFILES: [&str; 6] = ["eu", "us", "ca", "au", "uk", "nz"];

fn profiles() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../profiles")
}

fn scene() -> Scene {
    let mut scene = Scene::default();
    for name in PROFILES {
        let found = Found::one(&profiles().join(name)).unwrap();
        let profile = found.profile().unwrap();
        let party = Party {
            jurisdiction: profile.jurisdiction().clone(),
            law: Some(Law::Given(Document {
                name: name.to_owned(),
                index: None,
                profile: Some(Arc::new(profile)),
                files: found.files,
            })),
        };
        scene.0.insert(name.parse().unwrap(), party);
    }
    scene
}

/// The classes of three centres: a decision takes its time in a build without optimisation.
fn classes(scene: &Scene) -> Vec<Class> {
    let mut classes = read_classes(&profiles().join("classes.toml"), scene).unwrap();
    classes.retain(|class| ["eu", "us", "ca"].contains(&class.origin.as_str()));
    classes
}

fn plan() -> Plan {
    let At(now) = "2026-01-22".parse().unwrap();
    Plan {
        members: vec![MemberKind {
            sector: "hosting".to_owned(),
            jurisdiction: "EU".parse().unwrap(),
            purpose: Purpose::Remove,
        }],
        purpose: None,
        via: None,
        entry: RELEASABLE,
        now,
    }
}

fn matrix() -> Matrix {
    let scene = scene();
    Matrix::ask(&scene, classes(&scene), plan()).unwrap()
}

fn cell<'a>(matrix: &'a Matrix, origin: &str, name: &str, to: &str) -> &'a Cell {
    let is_to = |column: &Column| match column {
        Column::Centre { id, .. } => id.as_str() == to,
        Column::Member { action, .. } => {
            use hashpact_protocol::lists::ClosedList as _;
            action.name() == to
        }
    };
    let at = matrix.columns.iter().position(is_to).unwrap();
    let is_row = |row: &&super::Row| row.class.origin.as_str() == origin && row.class.name == name;
    &matrix.rows.iter().find(is_row).unwrap().cells[at]
}

#[test]
fn every_cell_is_what_explain_answers_with_the_same_policies() {
    let scene = scene();
    for via in [None, Some("ca".parse().unwrap())] {
        let plan = Plan { via, ..plan() };
        let matrix = Matrix::ask(&scene, classes(&scene), plan).unwrap();
        let mut verdicts = [0, 0];
        for row in &matrix.rows {
            for (column, cell) in matrix.columns.iter().zip(&row.cells) {
                let (to, action, purpose) = match column {
                    Column::Centre { id, .. } if *id == row.class.origin => {
                        assert_eq!(cell.verdict, Verdict::Own);
                        continue;
                    }
                    Column::Centre { id, .. } => (Recipient::Centre(id.clone()), None, None),
                    Column::Member { action, .. } => {
                        let member = Principal::Member {
                            id: "hosting".to_owned(),
                            jurisdiction: "EU".parse().unwrap(),
                            sector: "hosting".to_owned(),
                        };
                        (
                            Recipient::Other(member),
                            Some(*action),
                            Some(Purpose::Remove),
                        )
                    }
                };
                let is_centre = matches!(to, Recipient::Centre(_));
                let relay = matrix
                    .plan
                    .via
                    .clone()
                    .filter(|via| is_centre && to != Recipient::Centre(via.clone()));
                let explained = explain(
                    &scene,
                    &Question {
                        from: relay.unwrap_or(row.class.origin.clone()),
                        to,
                        origin: row.class.origin.clone(),
                        class: hashpact_protocol::labels::ClassId(0),
                        labels: row.class.labels.clone(),
                        action,
                        purpose,
                        default_purpose: None,
                        now: matrix.plan.now,
                        entry: Some(RELEASABLE),
                    },
                );
                let explained = explained.unwrap();
                assert_eq!(explained.allowed, cell.verdict == Verdict::Allowed);
                verdicts[usize::from(explained.allowed)] += 1;
                let said = explained.steps.iter().map(|step| {
                    let ids = step.policies.iter().map(|policy| policy.id.clone());
                    (step.centre.clone(), step.allowed, ids.collect::<Vec<_>>())
                });
                let shown = cell
                    .steps
                    .iter()
                    .map(|step| (step.centre.to_string(), step.allowed, step.policies.clone()));
                assert_eq!(said.collect::<Vec<_>>(), shown.collect::<Vec<_>>());
            }
        }
        assert!(verdicts.iter().all(|count| *count > 20), "{verdicts:?}");
    }
}

#[test]
fn a_refusal_names_who_refuses_and_by_which_policy() {
    let matrix = matrix();
    let drawn = cell(&matrix, "ca", "drawn", "eu");
    assert_eq!(drawn.verdict, Verdict::Denied);
    assert_eq!(
        drawn.denied_by().map(|id| id.as_str()).collect::<Vec<_>>(),
        ["eu"]
    );
    let admit = &drawn.steps[1];
    assert_eq!(
        (admit.action, admit.reason),
        (Action::Admit, Reason::Forbidden)
    );
    assert!(
        admit.policies.contains(&"eu-admit-drawn".to_owned()),
        "{:?}",
        admit.policies
    );
    let policy = &matrix.policies[&("eu".parse().unwrap(), "eu-admit-drawn".to_owned())];
    assert!(policy.denies > 0 && policy.said.basis.contains("Directive 2011/93/EU"));
    assert_eq!(cell(&matrix, "ca", "drawn", "nz").verdict, Verdict::Allowed);
    let unknown = cell(&matrix, "us", "nothing known or granted", "eu");
    let by: Vec<_> = unknown.denied_by().map(|id| id.as_str()).collect();
    assert_eq!(by, ["us", "eu"]);
}

#[test]
fn what_is_assumed_of_an_entry_decides_what_members_get() {
    let scene = scene();
    let publish = |entry: EntryFacts| {
        let plan = Plan { entry, ..plan() };
        let matrix = Matrix::ask(&scene, classes(&scene), plan).unwrap();
        let cell = cell(&matrix, "eu", "assessed, real", "publish");
        (cell.verdict, cell.steps[0].reason)
    };
    assert_eq!(publish(RELEASABLE), (Verdict::Allowed, Reason::Permitted));
    let refused: [fn(&mut EntryFacts); 3] = [
        |facts| facts.state = State::Disputed,
        |facts| facts.hold = true,
        |facts| facts.quorum = false,
    ];
    for change in refused {
        let mut facts = RELEASABLE;
        change(&mut facts);
        assert_eq!(publish(facts).0, Verdict::Denied, "{facts:?}");
    }
}

#[test]
fn a_release_that_only_the_floor_denies_is_told_as_such() {
    let mut scene = scene();
    let mut files = Found::one(&profiles().join("eu")).unwrap().files;
    files.retain(|(name, _)| name == "profile.toml");
    let all = "@id(\"all\")\n@basis(\"Synthetic\")\n@counsel(\"confirm\")\npermit (principal, action, resource);\n";
    files.push(("all.cedar".to_owned(), all.to_owned()));
    let profile = hashpact_protocol::policy::Profile::from_files(&files).unwrap();
    let careless = Document {
        name: "careless".to_owned(),
        index: None,
        profile: Some(Arc::new(profile)),
        files,
    };
    let eu = "eu".parse().unwrap();
    scene.0.get_mut(&eu).unwrap().law = Some(Law::Given(careless));
    let matrix = Matrix::ask(
        &scene,
        classes(&scene),
        Plan {
            entry: EntryFacts {
                state: State::Suspected,
                ..RELEASABLE
            },
            ..plan()
        },
    );
    let matrix = matrix.unwrap();
    for action in ["publish", "match", "reveal"] {
        let step = &cell(&matrix, "eu", "nobody assessed it", action).steps[0];
        assert_eq!(
            (step.reason, step.policies.as_slice()),
            (Reason::Floor, &[FLOOR.to_owned()][..])
        );
    }
}

#[test]
fn who_is_not_known_is_neither_allowed_nor_denied_unless_another_denies() {
    let mut scene = scene();
    let nz: hashpact_keys::CentreId = "nz".parse().unwrap();
    scene.0.get_mut(&nz).unwrap().law = None;
    let with = |purpose| {
        let plan = Plan { purpose, ..plan() };
        Matrix::ask(&scene, classes(&scene), plan).unwrap()
    };
    let matrix = with(Some(Purpose::Triage));
    assert_eq!(
        cell(&matrix, "eu", "assessed, real", "nz").verdict,
        Verdict::Unknown
    );
    assert_eq!(cell(&matrix, "eu", "drawn", "nz").verdict, Verdict::Denied);
    let matrix = with(None);
    let nobody_asks = cell(&matrix, "eu", "drawn", "nz");
    assert_eq!(
        (nobody_asks.verdict, nobody_asks.purpose),
        (Verdict::Unknown, None)
    );
    assert!(text(&matrix).contains("? eu+nz"));
}

#[test]
fn the_page_is_whole_says_everything_in_both_languages_and_every_id_with_its_basis() {
    let matrix = matrix();
    for language in Language::ALL {
        let page = page(&matrix, language);
        let texts = whole(&page, STYLE, STYLE_SHA256);
        for ((_, id), policy) in &matrix.policies {
            assert!(texts.contains(id), "{id}");
            let basis = policy.said.basis.replace('\'', "&#39;");
            assert!(texts.contains(&basis), "{basis}");
        }
        let (allowed, asked) = matrix.allowed_of_asked();
        let marks = page.matches("class=\"mark\"").count();
        assert_eq!(marks, asked, "each cell has a sign");
        assert!(allowed > 20, "{allowed}");
    }
    complete(words::ALL, &["CENTRES", "CLASSES", "COUNT", "PURPOSE_IS"]);
}

#[test]
fn a_name_that_is_a_script_stays_a_name() {
    let attack = "</title><script>alert('1')</script>\" onclick=\"x";
    let scene = scene();
    let mut classes = classes(&scene);
    classes[0].name = attack.to_owned();
    let mut plan = plan();
    plan.members[0].sector = attack.to_owned();
    let matrix = Matrix::ask(&scene, classes, plan).unwrap();
    let texts = whole(&page(&matrix, Language::English), STYLE, STYLE_SHA256);
    assert!(texts.contains("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;"));
    assert!(
        json(&matrix).to_string().contains("<script>"),
        "quoted by its own rules"
    );
}

#[test]
fn signs_stand_out_on_the_ground_of_their_cell_as_aa_demands() {
    for theme in [0, 1] {
        for (sign, ground) in [
            ("good", "yes"),
            ("bad", "no"),
            ("bad", "no-line"),
            ("text", "no"),
            ("text", "no-line"),
            ("bad", "card"),
            ("warn", "card"),
            ("muted", "soft"),
        ] {
            let ratio = contrast(pair(STYLE, sign)[theme], pair(STYLE, ground)[theme]);
            assert!(
                ratio >= 4.5,
                "{sign} on {ground}, theme {theme}: {ratio:.2}"
            );
        }
    }
}

#[test]
fn a_row_says_in_what_it_differs_from_most() {
    let matrix = matrix();
    let (usual, own) = matrix.labels();
    assert!(usual.contains(&"state=assessed".to_owned()), "{usual:?}");
    for (row, own) in matrix.rows.iter().zip(own) {
        let says = |label: &str| own.contains(&label.to_owned());
        assert_eq!(
            says("state=suspected"),
            row.class.name == "nobody assessed it"
        );
        assert_eq!(
            says("purposes="),
            row.class.name == "nothing known or granted"
        );
        assert!(!says("tlp=AMBER"), "most have it");
    }
}

#[test]
fn faults_of_a_file_of_classes_are_told_with_their_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("classes.toml");
    for (text, line, said) in [
        (
            "[[class]]\nlabels = \"state=asessed\"",
            2,
            "expected suspected, assessed, disputed",
        ),
        (
            "[[class]]\nlabels = \"\"\n[[class]]\nlabels = \"tlp=GREEN\"",
            4,
            "tlp=GREEN",
        ),
        (
            "[[class]]\nlabels = \"\"\norigin = \"zz\"",
            2,
            "nothing is known of centre zz",
        ),
        (
            "[[class]]\nlabels = \"\"\nname = \" \"",
            3,
            "1 to 48 characters",
        ),
        (
            "[[class]]\nlabels = \"\"\nname = \"a\\u0007\"",
            3,
            "control characters",
        ),
        ("[[class]]\nlabel = \"\"", 2, "unknown field"),
        ("[[class]]\nlabels = \"depiction=\"", 2, "uncertain label"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = read_classes(&path, &scene()).unwrap_err().to_string();
        assert!(error.contains(&format!("classes.toml:{line}: ")), "{error}");
        assert!(error.contains(said), "{error}");
    }
    std::fs::write(&path, vec![b'#'; (4 << 20) + 1]).unwrap();
    let error = read_classes(&path, &scene()).unwrap_err().to_string();
    assert!(error.ends_with("more than 4194304 bytes"), "{error}");
}

#[test]
fn a_matrix_of_nothing_or_of_too_much_is_refused() {
    let scene = scene();
    let asked = |classes| Matrix::ask(&scene, classes, plan()).map(|_| ());
    assert_eq!(asked(Vec::new()), Err(MatrixError::NoClasses));
    let class = classes(&scene)[0].clone();
    let got = asked(vec![class; 20_000]);
    assert_eq!(
        got,
        Err(MatrixError::TooMany {
            classes: 20_000,
            recipients: 9
        })
    );
}
