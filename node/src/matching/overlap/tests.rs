use super::page::{STYLE, STYLE_SHA256};
use super::*;
use crate::page::check::{contrast, pair, whole};
use crate::page::text::{Language, complete};

fn row(centre: &str, values: u64, cells: &[(&str, Option<u64>)]) -> Row {
    Row {
        overlap: FORM,
        network: "aa".repeat(32),
        centre: centre.to_owned(),
        kind: "md5".to_owned(),
        values,
        at: 1_800_000_000,
        cells: cells
            .iter()
            .map(|(with, matches)| Cell {
                with: (*with).to_owned(),
                matches: *matches,
                held: matches.map(|_| 5_000),
                refused: matches
                    .is_none()
                    .then(|| "the centre <b>refuses</b>".to_owned()),
            })
            .collect(),
    }
}

fn overlap() -> Overlap {
    let rows = vec![
        row("eu", 10_000, &[("us", Some(1_370)), ("ca", None)]),
        row("us", 2_000, &[("eu", Some(2_000)), ("ca", Some(3))]),
    ];
    Overlap::of(rows).unwrap()
}

#[test]
fn each_row_measures_itself_and_what_nobody_measured_is_said() {
    let text = overlap().text();
    for told in [
        "1,370",
        "2,000",
        "✗",
        "held by ca",
        "eu with ca: the centre",
    ] {
        assert!(text.contains(told), "{told}: {text}");
    }
    assert_eq!(overlap().centres, ["ca", "eu", "us"]);
}

#[test]
fn a_row_comes_back_as_it_was_printed_and_a_lying_one_is_refused() {
    let honest = row("eu", 10, &[("us", Some(3))]);
    let json = serde_json::to_string(&honest).unwrap();
    assert_eq!(Row::from_json(&json), Ok(honest.clone()));
    for lie in [
        json.replace("\"matches\":3", "\"matches\":11"),
        json.replace("\"us\"", "\"<script>\""),
        json.replace("\"md5\"", "\"tmk\""),
        json.replace("\"overlap\":1", "\"overlap\":2"),
        json.replace("\"values\"", "\"more\":1,\"values\""),
    ] {
        assert_ne!(lie, json);
        assert!(
            matches!(Row::from_json(&lie), Err(RowError::Form(_))),
            "{lie}"
        );
    }
    let twice = Overlap::of(vec![honest.clone(), honest.clone()]);
    assert_eq!(twice, Err(RowError::Twice("eu".to_owned())));
    let mut other = row("us", 10, &[]);
    other.kind = "sha1".to_owned();
    assert!(matches!(
        Overlap::of(vec![honest, other]),
        Err(RowError::Other { .. })
    ));
}

#[test]
fn the_page_is_whole_escaped_and_in_both_languages() {
    for language in Language::ALL {
        let page = page(&overlap(), language);
        let texts = whole(&page, STYLE, STYLE_SHA256);
        assert!(
            texts.contains("1,370") && texts.contains("&lt;b&gt;refuses"),
            "{texts}"
        );
        assert!(page.contains("class=\"h2\"") && page.contains("class=\"h10\""));
    }
    complete(super::words::ALL, &["NAME", "COUNT", "SHARE"]);
}

#[test]
fn numbers_stand_out_on_the_fill_as_aa_demands() {
    for theme in [0, 1] {
        let ratio = contrast(pair(STYLE, "text")[theme], pair(STYLE, "heat")[theme]);
        assert!(ratio >= 4.5, "theme {theme}: {ratio:.2}");
    }
}
