//! What tests ask of every page.

use base64::Engine as _;
use sha2::Digest as _;

/// Start tags, and what stands between tags. Panics where the page is not balanced.
pub(crate) fn parse(page: &str) -> (Vec<String>, String) {
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

pub(crate) fn attributes<'a>(tags: &'a [String], name: &str) -> Vec<&'a str> {
    let start = format!(" {name}=\"");
    let values = tags.iter().filter_map(|tag| tag.split_once(&start));
    values
        .map(|(_, rest)| rest.split('"').next().unwrap())
        .collect()
}

/// Contrast of two colours `#rrggbb`: WCAG 2.2, "contrast ratio".
pub(crate) fn contrast(one: &str, other: &str) -> f64 {
    let luminance = |colour: &str| -> f64 {
        let part = |at: usize| {
            let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.04045 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
    };
    let (one, other) = (luminance(one) + 0.05, luminance(other) + 0.05);
    one.max(other) / one.min(other)
}

/// The two colours of a name in a style sheet: light, dark.
pub(crate) fn pair<'a>(style: &'a str, name: &str) -> [&'a str; 2] {
    let (_, rest) = style.split_once(&format!("--{name}:light-dark(")).unwrap();
    let (pair, _) = rest.split_once(')').unwrap();
    let (light, dark) = pair.split_once(',').unwrap();
    [light, dark]
}

/// Asserts that a page is balanced, does nothing, leads nowhere and finds all that it refers to. What stands between tags.
pub(crate) fn whole(page: &str, style: &str, sha256: &str) -> String {
    let (tags, texts) = parse(page);
    for tag in &tags {
        let name = tag.split(' ').next().unwrap();
        let active = ["script", "img", "iframe", "object", "base", "link", "form"];
        assert!(!active.contains(&name), "{tag}");
        for attribute in [" on", " src=", " style="] {
            let outside = tag.split('"').step_by(2);
            assert!(
                !outside.into_iter().any(|part| part.contains(attribute)),
                "{tag}"
            );
        }
    }
    let mut ids = attributes(&tags, "id");
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "an id stands twice");
    for link in attributes(&tags, "href") {
        assert!(ids.contains(&link.strip_prefix('#').unwrap()), "{link}");
    }
    let hash = base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(style));
    assert_eq!(sha256, hash, "the hash of the style sheet");
    let policy = format!(
        "content=\"default-src &#39;none&#39;; style-src &#39;sha256-{hash}&#39;; base-uri &#39;none&#39;; form-action &#39;none&#39;\">"
    );
    let (before, _) = page.split_once(&policy).unwrap();
    assert!(!before.contains("<style"));
    assert!(page.contains(&format!("<style>{style}</style>")) && !style.contains('<'));
    assert!(!style.contains("url(") && !style.contains("@import"));
    texts
}
