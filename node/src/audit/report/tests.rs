//! The page under attack, in both languages, and at its limits.

mod bounds;
mod sample;
mod wording;

use base64::Engine as _;
use clap::Parser as _;
use sha2::Digest as _;

use super::format::number;
use super::html::escape;
use super::words::{self, Language};
use super::{
    Outputs, ReportArgs, ReportError, ReportFileError, holds, html, json, page, read_json,
    read_result,
};
use crate::audit::result::{AuditResult, SeverityName};
use crate::page::check::{attributes, contrast, pair, parse};
use sample::sample;

const ATTACK: &str = "</title><script>alert('1')</script><img src=x onerror=\"alert(2)\">&lt;";

/// A result whose every text is `text`.
fn everywhere(text: &str) -> AuditResult {
    let mut value = serde_json::to_value(sample()).unwrap();
    fn replace(value: &mut serde_json::Value, text: &str) {
        match value {
            serde_json::Value::String(old) if old != "fail" && old != "warn" => {
                text.clone_into(old);
            }
            serde_json::Value::Array(items) => {
                items.iter_mut().for_each(|item| replace(item, text))
            }
            serde_json::Value::Object(fields) => {
                fields.values_mut().for_each(|field| replace(field, text));
            }
            serde_json::Value::String(_)
            | serde_json::Value::Null
            | serde_json::Value::Bool(_)
            | serde_json::Value::Number(_) => {}
        }
    }
    replace(&mut value, text);
    serde_json::from_value(value).unwrap()
}

#[test]
fn a_name_that_is_a_script_stays_a_name() {
    let page = html(&everywhere(ATTACK), Language::English);
    let (tags, texts) = parse(&page);
    for tag in &tags {
        let name = tag.split(' ').next().unwrap();
        assert!(
            !matches!(
                name,
                "script" | "img" | "iframe" | "object" | "base" | "link"
            ),
            "{tag}"
        );
        assert!(
            !tag.contains(" on") && !tag.contains(" src=") && !tag.contains(" style="),
            "{tag}"
        );
    }
    assert!(texts.contains("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;"));
    // What was escaped before is not taken for a sign.
    assert!(texts.contains("&quot;&gt;&amp;lt;"));
}

#[test]
fn an_attribute_cannot_be_left() {
    let mut out = String::new();
    escape("\" onload='x' <>&", &mut out);
    assert_eq!(out, "&quot; onload=&#39;x&#39; &lt;&gt;&amp;");
}

#[test]
fn letters_that_are_not_seen_are_shown_as_numbers() {
    let mut out = String::new();
    escape("us\u{202e}ue\u{200b}\0", &mut out);
    assert_eq!(out, "us[U+202E]ue[U+200B][U+0000]");
    let mut french = String::new();
    escape(&number(1_234, Language::French), &mut french);
    assert_eq!(french, "1\u{202f}234");
}

#[test]
fn a_text_without_end_is_cut() {
    let mut out = String::new();
    escape(&"<".repeat(1_000_000), &mut out);
    assert_eq!(out, format!("{}…", "&lt;".repeat(1_000)));
}

#[test]
fn the_page_is_whole_and_balanced_in_both_languages() {
    // To look at the pages in a browser, name a folder for them.
    let folder = tempfile::tempdir().unwrap();
    let folder = std::env::var_os("HASHPACT_PAGES").map_or(folder.path().to_owned(), Into::into);
    for language in Language::ALL {
        let file = folder.join(format!("report-{}.html", language.code()));
        std::fs::write(&file, html(&sample(), language)).unwrap();
        let page = std::fs::read_to_string(&file).unwrap();
        let (tags, texts) = parse(&page);
        assert!(tags[0].contains(&format!("lang=\"{}\"", language.code())));
        let chosen = format!("id=\"language-{}\" checked", language.code());
        assert_eq!(tags.iter().filter(|tag| tag.contains(&chosen)).count(), 1);
        for text in ["No findings", "Aucune anomalie"] {
            assert!(!texts.contains(text), "{text} in a result with findings");
        }
        assert!(
            texts.contains("2 findings: part of") && texts.contains("2 anomalies : une partie")
        );
    }
}

#[test]
fn every_reference_inside_the_page_has_its_place() {
    let page = html(&sample(), Language::English);
    let (tags, _) = parse(&page);
    let mut ids = attributes(&tags, "id");
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "an id stands twice");
    for reference in attributes(&tags, "aria-labelledby") {
        assert!(ids.contains(&reference), "{reference}");
    }
    for link in attributes(&tags, "href") {
        assert!(ids.contains(&link.strip_prefix('#').unwrap()), "{link}");
    }
    // Each drawing has words in its place, or is one with words beside it.
    for tag in tags
        .iter()
        .filter(|tag| tag.starts_with("svg ") && !tag.contains("overflow"))
    {
        assert!(
            tag.contains("aria-labelledby") || tag.contains("aria-hidden"),
            "{tag}"
        );
    }
}

#[test]
fn nothing_in_the_page_leads_out_of_it() {
    let page = html(&sample(), Language::French).to_lowercase();
    for way in [
        "http:",
        "https:",
        "//",
        "url(",
        "@import",
        "@font-face",
        "<script",
        "javascript:",
    ] {
        assert!(!page.contains(way), "{way}");
    }
}

#[test]
fn the_policy_allows_the_style_of_the_page_and_nothing_else() {
    let hash = base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(page::STYLE));
    assert_eq!(super::STYLE_SHA256, hash);
    let page = html(&sample(), Language::English);
    let policy = format!(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src &#39;none&#39;; style-src &#39;sha256-{hash}&#39;; base-uri &#39;none&#39;; form-action &#39;none&#39;\">"
    );
    let (before, _) = page.split_once(&policy).unwrap();
    assert!(!before.contains("<style"));
    assert!(page.contains(&format!("<style>{}</style>", page::STYLE)));
    assert!(!page::STYLE.contains('<'));
}

#[test]
fn no_result_that_contradicts_itself_reads_as_clean() {
    let mut clean = sample();
    clean.holds = true;
    clean.findings.clear();
    clean.logs.iter_mut().for_each(|log| log.failures = 0);
    let told = |result: &AuditResult| {
        let told = html(result, Language::English).contains("verdict good");
        assert_eq!(told, holds(result));
        told
    };
    assert!(told(&clean));
    let spoil: [fn(&mut AuditResult); 5] = [
        |result| result.holds = false,
        |result| result.findings = sample().findings,
        |result| result.findings_left_out = 1,
        |result| result.logs[2].failures = 1,
        |result| result.logs[2].fork = true,
    ];
    for spoil in spoil {
        let mut result = clean.clone();
        spoil(&mut result);
        assert!(!told(&result));
    }
    clean.logs.clear();
    assert!(!told(&clean));
}

#[test]
fn a_result_with_points_to_note_alone_holds_and_says_so() {
    let mut result = sample();
    result.holds = true;
    result
        .findings
        .retain(|finding| finding.severity == SeverityName::Warn);
    result.logs.iter_mut().for_each(|log| log.failures = 0);
    assert!(holds(&result));
    let page = html(&result, Language::English);
    assert!(page.contains("Nothing fails to verify; 1 point to note"));
    assert!(page.contains("Aucune vérification n’échoue ; 1 point à noter"));
}

#[test]
fn without_bodies_the_page_says_that_none_was_opened() {
    let none = words::NOT_BODIES.en;
    let mut result = sample();
    let page = html(&result, Language::English);
    assert!(!page.contains(none) && page.contains("280 contents of deltas, opened"));
    result.logs.iter_mut().for_each(|log| log.bodies = None);
    let page = html(&result, Language::English);
    assert!(page.contains(none) && !page.contains("contents of deltas, opened"));
}

#[test]
fn json_is_read_back_as_it_was_and_other_bytes_are_refused() {
    let result = sample();
    let text = json(&result).unwrap();
    assert_eq!(read_json(text.as_bytes()).unwrap(), result);
    assert!(text.ends_with("}\n"));
    let error = read_json(b"{\"network\": 1}").unwrap_err();
    assert_eq!(error.to_string(), "not the result of an audit");
}

#[test]
fn both_files_are_written_whole_and_the_result_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let outputs = Outputs {
        html: Some(folder.path().join("report.html")),
        json_file: Some(folder.path().join("result.json")),
        language: Language::French,
    };
    let mut result = sample();
    outputs.write(&result).unwrap();
    result.verified_at += 1;
    outputs.write(&result).unwrap();
    assert_eq!(
        read_result(&folder.path().join("result.json")).unwrap(),
        result
    );
    let page = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert_eq!(page, html(&result, Language::French));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    let nowhere = Outputs {
        html: Some(folder.path().join("no/report.html")),
        json_file: None,
        ..outputs
    };
    assert!(
        matches!(nowhere.write(&result), Err(ReportFileError::Io { path, .. }) if path.ends_with("no/report.html"))
    );
}

#[test]
fn a_command_names_one_source_and_at_least_one_file() {
    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        args: ReportArgs,
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("old.json"), json(&sample()).unwrap()).unwrap();
    let parse = |words: &[&str]| {
        let command = Command::try_parse_from([&["report"], words].concat());
        command
            .map(|command| command.args)
            .map_err(|error| error.kind())
    };
    let pin = "9f".repeat(32);
    let missing = Some(clap::error::ErrorKind::MissingRequiredArgument);
    assert_eq!(parse(&["--html", "x"]).err(), missing);
    assert_eq!(parse(&["logs", "--html", "x"]).err(), missing);
    let conflict = Some(clap::error::ErrorKind::ArgumentConflict);
    assert_eq!(
        parse(&["logs", "--pin", &pin, "--from", "x"]).err(),
        conflict
    );
    let args = parse(&["--from", &path("old.json")]).unwrap();
    assert!(matches!(args.run(&|| {}), Err(ReportError::NoOutput)));
    let args = parse(&["--from", &path("old.json"), "--html", &path("page.html")]).unwrap();
    assert_eq!(args.run(&|| {}).unwrap(), sample());
    let page = std::fs::read_to_string(path("page.html")).unwrap();
    assert_eq!(page, html(&sample(), Language::English));
    let args = parse(&[&path("none"), "--pin", &pin, "--html", &path("no.html")]).unwrap();
    assert!(matches!(args.run(&|| {}), Err(ReportError::Folder { .. })));
    assert!(!folder.path().join("no.html").exists());
}

#[test]
fn every_colour_of_both_themes_stands_out_as_aa_demands() {
    let pair = |name: &str| pair(page::STYLE, name);
    for theme in [0, 1] {
        for name in [
            "text",
            "muted",
            "delta",
            "retraction",
            "witness",
            "good",
            "bad",
            "warn",
        ] {
            for ground in ["page", "card", "soft"] {
                let ratio = contrast(pair(name)[theme], pair(ground)[theme]);
                assert!(
                    ratio >= 4.5,
                    "{name} on {ground}, theme {theme}: {ratio:.2}"
                );
            }
        }
    }
}
