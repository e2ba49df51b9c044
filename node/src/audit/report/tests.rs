//! The page under attack, in both languages, and at its limits.

mod sample;

use base64::Engine as _;
use sha2::Digest as _;

use super::format::{DAY, Value, date, day, length, month_start, number, time};
use super::html::escape;
use super::timeline::{MARKS_MAX, Span, Timeline, common_span};
use super::words::{self, Language, Text};
use super::{findings, html, json, page, read_json};
use crate::audit::result::{AuditResult, SeverityName};
use sample::{delta, sample};

const ATTACK: &str = "</title><script>alert('1')</script><img src=x onerror=\"alert(2)\">&lt;";

/// A result whose every text is `text`.
fn everywhere(text: &str) -> AuditResult {
    let mut value = serde_json::to_value(sample()).unwrap();
    fn replace(value: &mut serde_json::Value, text: &str) {
        match value {
            serde_json::Value::String(old) if old != "fail" && old != "warn" => {
                text.clone_into(old);
            }
            serde_json::Value::Array(items) => items.iter_mut().for_each(|item| replace(item, text)),
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

/// Start tags, and what stands between tags. Panics where the page is not balanced.
fn parse(page: &str) -> (Vec<String>, String) {
    let (mut tags, mut texts, mut open) = (Vec::new(), String::new(), Vec::<&str>::new());
    let mut rest = page.strip_prefix("<!DOCTYPE html>\n").unwrap();
    while let Some((text, after)) = rest.split_once('<') {
        if open.last() != Some(&"style") {
            assert!(!text.contains('>'), "a bare > in {text:?}");
            texts.push_str(text);
        }
        let (tag, after) = after.split_once('>').unwrap();
        assert!(!tag.contains('<'), "a bare < in {tag:?}");
        assert_eq!(tag.matches('"').count() % 2, 0, "an open quote in {tag:?}");
        let name = tag.split(' ').next().unwrap();
        if let Some(name) = name.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "closed before {after:.60}");
        } else {
            tags.push(tag.to_owned());
            if !matches!(name, "meta" | "input") {
                open.push(name);
            }
        }
        rest = after;
    }
    assert!(open.is_empty(), "left open: {open:?}");
    texts.push_str(rest);
    (tags, texts)
}

fn attributes<'a>(tags: &'a [String], name: &str) -> Vec<&'a str> {
    let start = format!(" {name}=\"");
    let values = tags.iter().filter_map(|tag| tag.split_once(&start));
    values.map(|(_, rest)| rest.split('"').next().unwrap()).collect()
}

#[test]
fn a_name_that_is_a_script_stays_a_name() {
    let page = html(&everywhere(ATTACK), Language::English);
    let (tags, texts) = parse(&page);
    for tag in &tags {
        let name = tag.split(' ').next().unwrap();
        assert!(!matches!(name, "script" | "img" | "iframe" | "object" | "base" | "link"), "{tag}");
        assert!(!tag.contains(" on") && !tag.contains(" src=") && !tag.contains(" style="), "{tag}");
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
fn a_value_that_looks_like_a_place_is_not_filled_again() {
    let text = Text {
        en: "{0} and {1}",
        fr: "{1}",
    };
    let values = [Value::Name("{1}"), Value::Name("x")];
    assert_eq!(text.fill(Language::English, &values), "{1} and x");
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
        assert!(texts.contains("2 findings: part of") && texts.contains("2 anomalies : une partie"));
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
    for tag in tags.iter().filter(|tag| tag.starts_with("svg ") && !tag.contains("overflow")) {
        assert!(tag.contains("aria-labelledby") || tag.contains("aria-hidden"), "{tag}");
    }
}

#[test]
fn nothing_in_the_page_leads_out_of_it() {
    let page = html(&sample(), Language::French).to_lowercase();
    for way in ["http:", "https:", "//", "url(", "@import", "@font-face", "<script", "javascript:"] {
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
fn every_sentence_has_both_languages_and_the_same_places() {
    // The same word in both, or a name of one language in its own words.
    let same = [
        "ENGLISH", "FRENCH", "CENTRES", "CENTRE", "DELTAS", "LANE_DELTAS", "COUNT", "NO_VALUE", "MOST",
        "COSIGNATURES", "VERSION", "ROSTER", "WORD_DELTA",
    ];
    let places = |text: &str| -> Vec<Vec<String>> {
        let of = |form: &str| {
            let mut places: Vec<String> =
                form.split('{').skip(1).map(|part| part[..1].to_owned()).collect();
            places.sort();
            places
        };
        text.split('|').map(of).collect()
    };
    for (name, Text { en, fr }) in words::ALL {
        assert!(!en.trim().is_empty() && !fr.trim().is_empty(), "{name}");
        assert_eq!(en == fr, same.contains(name), "{name}");
        assert_eq!(places(en), places(fr), "{name}");
    }
    for kind in findings::KINDS {
        let Text { en, fr } = findings::meaning(kind).unwrap();
        assert!(en.ends_with('.') && fr.ends_with('.') && en != fr, "{kind}");
    }
}

#[test]
fn numbers_are_written_as_each_language_writes_them() {
    let both = |count| Language::ALL.map(|language| number(count, language));
    assert_eq!(both(0), ["0", "0"]);
    assert_eq!(both(999), ["999", "999"]);
    assert_eq!(both(1_234_567), ["1,234,567", "1\u{202f}234\u{202f}567"]);
    let both = |seconds| Language::ALL.map(|language| length(seconds, language));
    assert_eq!(both(59), ["59\u{a0}s", "59\u{a0}s"]);
    assert_eq!(both(90), ["1.5\u{a0}min", "1,5\u{a0}min"]);
    assert_eq!(both(3_600), ["1\u{a0}h", "1\u{a0}h"]);
    assert_eq!(both(33 * DAY + DAY / 2), ["33.5\u{a0}d", "33,5\u{a0}j"]);
    let counted = |count| {
        Language::ALL.map(|language| words::LOG_FINDINGS.fill(language, &[Value::Count(count)]))
    };
    assert_eq!(counted(0), ["0 findings", "0 anomalie"]);
    assert_eq!(counted(1), ["1 finding", "1 anomalie"]);
    assert_eq!(counted(2), ["2 findings", "2 anomalies"]);
}

#[test]
fn dates_are_those_of_the_calendar() {
    assert_eq!(time(0), "1970-01-01 00:00 UTC");
    assert_eq!(time(951_827_696), "2000-02-29 12:34 UTC");
    assert_eq!(day(4_107_542_400), "2100-03-01");
    assert_eq!(day(4_107_542_399), "2100-02-28");
    for month in 0..4_800 {
        let (year, month) = (1970 + month / 12, month % 12 + 1);
        let start = month_start(year, month);
        assert_eq!(date(start), (year, month, 1));
        assert_eq!(month_start(1970, (year - 1970) * 12 + month), start);
        assert_eq!(date(month_start(year, month + 1) - 1).1, month);
    }
}

#[test]
fn no_result_that_contradicts_itself_reads_as_clean() {
    let mut clean = sample();
    clean.holds = true;
    clean.findings.clear();
    clean.logs.iter_mut().for_each(|log| log.failures = 0);
    let told = |result: &AuditResult| html(result, Language::English).contains("verdict good");
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
    result.findings.retain(|finding| finding.severity == SeverityName::Warn);
    result.logs.iter_mut().for_each(|log| log.failures = 0);
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
fn a_silence_is_told_and_a_short_pause_is_not() {
    let mut log = sample().logs.remove(0);
    log.newest_notes.clear();
    log.months.clear();
    (log.deltas, log.first_delta_at, log.last_delta_at) = (0, None, None);
    let start = month_start(2026, 1);
    let template = sample().logs[0].newest_notes[0].clone();
    for at in [0, 13, 27, 30] {
        delta(&mut log, start + at * DAY, &mut 1_u64);
        let mut note = template.clone();
        (note.size, note.issued_at) = (at + 1, Some(start + at * DAY));
        log.newest_notes.push(note);
    }
    log.notes = 4;
    let span = Span {
        from: start,
        to: start + 43 * DAY,
    };
    let told = |line: &Timeline| -> Vec<(u64, u64, bool)> {
        let days = |at: u64| (at - start) / DAY;
        let all = line.silences.iter();
        all.map(|one| (days(one.span.from), days(one.span.to), one.open)).collect()
    };
    assert_eq!(told(&Timeline::of(&log, span)), [(13, 27, false)]);
    let longer = Span {
        to: start + 44 * DAY,
        ..span
    };
    assert_eq!(told(&Timeline::of(&log, longer)), [(13, 27, false), (30, 44, true)]);
    // Of a month without listed checkpoints nobody knows that it was silent.
    log.newest_notes.clear();
    let line = Timeline::of(&log, span);
    assert!(line.silences.is_empty());
    assert_eq!(line.stretches.len(), 1);
    assert_eq!(line.stretches[0].deltas, 4);
}

#[test]
fn a_log_of_ten_busy_years_makes_a_page_of_bounded_size() {
    let mut result = sample();
    let note = result.logs[0].newest_notes[0].clone();
    let before = html(&result, Language::English).len();
    for log in &mut result.logs {
        let start = month_start(2016, 1);
        (log.months, log.newest_notes) = (Vec::new(), Vec::new());
        for at in 0..40_000_u64 {
            let at = start + at * 8_000;
            delta(log, at, &mut 5_u64);
            let mut note = note.clone();
            (note.issued_at, note.witnessed, note.size) = (Some(at), !at.is_multiple_of(3), at - start);
            log.newest_notes.push(note);
        }
        log.notes = 40_000;
    }
    result.findings = vec![result.findings[0].clone(); 20_000];
    let span = common_span(&result.logs, result.verified_at);
    let line = Timeline::of(&result.logs[0], span);
    let marks = line.grown.len() + line.retracted.len() + line.witnessed.len() + line.unwitnessed.len();
    assert!(marks <= 2 * MARKS_MAX && line.slice.is_some(), "{marks}");
    // Nothing gets lost where marks are added up.
    let sum: u64 = line.witnessed.iter().chain(&line.unwitnessed).map(|mark| mark.count).sum();
    assert_eq!(sum, 40_000);
    let page = html(&result, Language::English);
    parse(&page);
    assert!(page.contains("19,500 more are in the JSON result"));
    assert!(page.len() < 4 * before.max(400_000), "{} bytes", page.len());
}

#[test]
fn times_and_counts_at_their_ends_make_a_page() {
    let mut text = serde_json::to_string(&sample()).unwrap();
    let numbers = [0, 1, u64::MAX];
    for to in numbers {
        let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
        fn set(value: &mut serde_json::Value, to: u64) {
            match value {
                serde_json::Value::Number(number) => *number = to.into(),
                serde_json::Value::Array(items) => items.iter_mut().for_each(|item| set(item, to)),
                serde_json::Value::Object(fields) => fields.values_mut().for_each(|field| set(field, to)),
                serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::String(_) => {}
            }
        }
        set(&mut value, to);
        let result: AuditResult = serde_json::from_value(value).unwrap();
        parse(&html(&result, Language::French));
    }
    text = text.replace("2026-0", "9999-0").replace("2025-1", "0000-1");
    let result = read_json(text.as_bytes()).unwrap();
    parse(&html(&result, Language::French));
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

/// Contrast of two colours `#rrggbb`: WCAG 2.2, "contrast ratio".
fn contrast(one: &str, other: &str) -> f64 {
    let luminance = |colour: &str| -> f64 {
        let part = |at: usize| {
            let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
    };
    let (one, other) = (luminance(one) + 0.05, luminance(other) + 0.05);
    one.max(other) / one.min(other)
}

#[test]
fn every_colour_of_both_themes_stands_out_as_aa_demands() {
    let pair = |name: &str| -> [&str; 2] {
        let (_, rest) = page::STYLE.split_once(&format!("--{name}:light-dark(")).unwrap();
        let (pair, _) = rest.split_once(')').unwrap();
        let (light, dark) = pair.split_once(',').unwrap();
        [light, dark]
    };
    for theme in [0, 1] {
        for name in ["text", "muted", "delta", "retraction", "witness", "good", "bad", "warn"] {
            for ground in ["page", "card", "soft"] {
                let ratio = contrast(pair(name)[theme], pair(ground)[theme]);
                assert!(ratio >= 4.5, "{name} on {ground}, theme {theme}: {ratio:.2}");
            }
        }
    }
}
