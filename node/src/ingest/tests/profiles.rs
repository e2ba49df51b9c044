use super::*;

const REAL: [(&str, &str); 5] = [
    ("au", include_str!("../../../../testnet/lists/au.toml")),
    ("ca", include_str!("../../../../testnet/lists/ca.toml")),
    ("eu", include_str!("../../../../testnet/lists/eu.toml")),
    ("nz", include_str!("../../../../testnet/lists/nz.toml")),
    ("us", include_str!("../../../../testnet/lists/us.toml")),
];

fn error(text: &str) -> ProfileError {
    Profile::from_toml(text, "p.toml").unwrap_err()
}

/// The line, from 1, that `part` is in.
fn line_of(text: &str, part: &str) -> usize {
    text.lines().position(|line| line.contains(part)).unwrap() + 1
}

fn with(from: &str, to: &str) -> String {
    assert!(FULL.contains(from));
    FULL.replacen(from, to, 1)
}

#[test]
fn profiles_of_the_demonstration_read_their_lists() {
    let head = [
        (
            "au",
            format!(
                "sha1;sha256;size;section\n{};{};16727;doc\n",
                hash(1, 20),
                hash(2, 32)
            ),
        ),
        ("ca", format!("{}  usr/share/doc/x\n", hash(1, 16))),
        (
            "eu",
            format!(
                "md5,sha256,size,section,package\n{},{},1,doc,x\n",
                hash(1, 16),
                hash(2, 32)
            ),
        ),
        ("nz", format!("{}  usr/share/icons/x.png\n", hash(1, 32))),
        (
            "us",
            format!("sha256,size,section\n{},73704,doc\n", hash(1, 32)),
        ),
    ];
    for ((name, profile), (_, list)) in REAL.iter().zip(head) {
        let outcome = into_empty(list, profile);
        let taken = outcome.taken();
        assert_eq!((taken.rows.len(), outcome.json.len()), (1, 0), "{name}");
        let names: Vec<_> = taken.labels[0].media_kind.names().collect();
        assert_eq!(
            names,
            [if *name == "nz" { "image" } else { "text" }],
            "{name}"
        );
    }
}

#[test]
fn example_is_a_profile() {
    let profile = Profile::from_toml(EXAMPLE, "example").unwrap();
    assert_eq!(profile.name(), "hotline-x");
}

#[test]
fn a_label_that_is_not_stated_is_named_with_its_line_and_values() {
    let eu = REAL[2].1;
    let labels = eu.lines().skip(line_of(eu, "[labels]"));
    let mut seen = 0;
    for line in labels {
        let name = line.split(' ').next().unwrap();
        let error = error(&eu.replace(&format!("{line}\n"), ""));
        assert!(
            matches!(&error.problem, Problem::Missing { name: n, .. } if *n == name),
            "{error}"
        );
        assert_eq!(error.line, line_of(eu, "[labels]"), "{name}");
        seen += 1;
    }
    assert_eq!(seen, 16);
    let error = error(&eu.replace("tlp = \"AMBER\"\n", "")).to_string();
    assert!(
        error.contains("p.toml:") && error.contains("\"AMBER+STRICT\""),
        "{error}"
    );
}

#[test]
fn an_algorithm_that_is_not_known_must_say_that_it_is_opaque() {
    let text = with("sha1 = \"sha1\"", "ssdeep = \"sha1\"");
    let error = error(&text);
    assert_eq!(error.line, line_of(&text, "ssdeep"));
    assert!(matches!(error.problem, Problem::Column(_)));
    assert!(error.to_string().contains("opaque.NAME"), "{error}");
}

#[test]
fn a_known_algorithm_is_not_opaque() {
    for name in ["md5", "Sha512"] {
        let error = error(&with("opaque.tmk-pdqf", &format!("opaque.{name}")));
        assert_eq!(
            error.problem,
            Problem::Opaque {
                name: name.to_owned()
            }
        );
    }
}

#[test]
fn one_column_is_not_read_as_two_algorithms() {
    let text = with("pdq = \"pdq\"", "pdq = \"sha256\"");
    let error = error(&text);
    assert_eq!(
        (error.line, error.problem),
        (line_of(&text, "pdq = "), Problem::Guess)
    );
}

#[test]
fn an_unknown_key_is_an_error_in_every_table() {
    for table in ["[source]", "[columns]", "[label]", "[labels]", "[fields]"] {
        let text = with(&format!("{table}\n"), &format!("{table}\nshade = \"x\"\n"));
        let error = error(&text);
        assert_eq!(error.line, line_of(&text, "shade"), "{table}: {error}");
        assert!(error.to_string().contains("shade"), "{error}");
    }
}

#[test]
fn a_value_outside_its_closed_list_is_named_with_its_line() {
    let wrong = [
        (
            "content_class = \"csam\"",
            "content_class = \"porn\"",
            "content_class",
        ),
        (
            "content_class = \"csam\"",
            "content_class = []",
            "content_class",
        ),
        (
            "legal_basis = \"none\"",
            "legal_basis = \"unknown\"",
            "legal_basis",
        ),
        (
            "minor_certain = \"no\"",
            "minor_certain = \"unknown\"",
            "minor_certain",
        ),
        (
            "context_flags = []",
            "context_flags = [\"loud\"]",
            "context_flags",
        ),
        (
            "residency = \"unknown\"",
            "residency = [\"Canada\"]",
            "residency",
        ),
        ("tlp = { column = \"tlp\" }", "tlp = \"GREEN\"", "tlp"),
        ("hops = { column = \"hops\" }", "hops = 4", "hops"),
        ("jpg = \"image\"", "jpg = \"picture\"", "media_kind"),
        ("otherwise = \"high\"", "otherwise = \"urgent\"", "priority"),
        (
            "legal_status = {}",
            "legal_status = { CA = { status = \"bad\", body = \"x\" } }",
            "legal_status",
        ),
    ];
    for (from, to, name) in wrong {
        let text = with(from, to);
        let error = error(&text);
        assert!(
            matches!(&error.problem, Problem::Value { name: n, .. } if *n == name),
            "{error}"
        );
        assert_eq!(error.line, line_of(&text, to), "{error}");
    }
}

#[test]
fn unknown_does_not_hide_in_an_array() {
    let error = error(&with(
        "depiction = \"unknown\"",
        "depiction = [\"real\", \"unknown\"]",
    ));
    assert!(error.to_string().contains("stands alone"), "{error}");
}

#[test]
fn an_unknown_handling_label_is_never_mapped_to_a_wider_one() {
    let column = "tlp = { column = \"tlp\" }";
    let text = with(column, "tlp = { column = \"tlp\", otherwise = \"AMBER\" }");
    let error = error(&text);
    assert_eq!(
        (error.line, error.problem),
        (line_of(&text, "AMBER"), Problem::Widening)
    );
    let strict = with(column, "tlp = { column = \"tlp\", otherwise = \"RED\" }");
    assert!(Profile::from_toml(&strict, "").is_ok());
}

#[test]
fn checksums_have_no_columns() {
    let text = REAL[1]
        .1
        .replace("media_kind = \"text\"", "media_kind = { column = \"x\" }");
    let error = error(&text);
    assert_eq!(
        (error.line, error.problem),
        (line_of(&text, "column ="), Problem::NoColumns)
    );
}

#[test]
fn a_list_of_hashes_without_hashes_is_no_list() {
    let mut text = with("[columns]\n", "[columns]\nbyte_length = \"size\"\n");
    for line in FULL.lines().skip(line_of(FULL, "[columns]")).take(11) {
        text = text.replacen(&format!("{line}\n"), "", 1);
    }
    assert_eq!(error(&text).problem, Problem::Hashes { got: 0, max: 16 });
}

#[test]
fn format_and_tables_go_together() {
    for (format, needs) in [("csv", "sums"), ("sums", "columns")] {
        let text = if needs == "sums" {
            REAL[1].1.to_owned()
        } else {
            FULL.to_owned()
        };
        let other = if format == "csv" { "sums" } else { "csv" };
        let text = text.replace(
            &format!("format = \"{other}\""),
            &format!("format = \"{format}\""),
        );
        assert!(matches!(error(&text).problem, Problem::Table { .. }));
    }
    assert!(matches!(
        error(&with("\"csv\"", "\"xlsx\"")).problem,
        Problem::Value { name: "format", .. }
    ));
    let pdq = REAL[1]
        .1
        .replace("algorithm = \"md5\"", "algorithm = \"pdq\"");
    assert!(matches!(
        error(&pdq).problem,
        Problem::Value {
            name: "algorithm",
            ..
        }
    ));
}

#[test]
fn local_label_has_one_source_and_a_clean_scheme() {
    let both = with(
        "column = \"label\"\n",
        "column = \"label\"\nvalue = \"x\"\n",
    );
    assert_eq!(error(&both).problem, Problem::LabelSource);
    assert_eq!(
        error(&with("column = \"label\"\n", "")).problem,
        Problem::LabelSource
    );
    assert_eq!(
        error(&with("scheme = \"scheme\"", "scheme = \"A b\"")).problem,
        Problem::Label
    );
}
