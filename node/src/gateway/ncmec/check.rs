//! The last look at a page before it is sent: whether the stock client can read it, and reads what was meant.
//!
//! Why: one bad element fails the whole reply, and the client then asks for that window for ever without saying why. An error
//! of ours that this finds is a 500 with a line in the log. Source: formats section 1.3, rules 1 to 7 and 12. In scope: form.
//! Out of scope: which rows belong there.

use super::names::CLASSIFICATIONS;
use super::time;
use super::tree::{Bounds, Element, XmlError, read};

/// Rows of one page at most.
pub(super) const ROWS_MAX: usize = 1_000;

/// A page of 1,000 rows with every element is below a megabyte.
const PAGE: Bounds = Bounds {
    bytes: 2 * 1024 * 1024,
    depth: 6,
    elements: 16 * ROWS_MAX,
    text: 4_096,
};

/// Why a page is not sent. Shows nothing of it but names of elements.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum PageFault {
    /// Not readable at all.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// An element that the client does not take there, or one that is missing or stands twice.
    #[error("element {element}: {what}")]
    Element {
        /// Its name.
        element: String,
        /// What is wrong with it.
        what: &'static str,
    },
}

fn fault(element: &Element, what: &'static str) -> PageFault {
    PageFault::Element {
        element: element.name.clone(),
        what,
    }
}

/// Checks a reply to `entries`, and that it holds this many images and videos.
///
/// # Errors
/// [`PageFault`]: the first fault.
pub(super) fn check(xml: &str, images: usize, videos: usize) -> Result<(), PageFault> {
    let root = read(xml.as_bytes(), PAGE)?;
    let names: Vec<_> = root
        .children
        .iter()
        .map(|child| child.name.as_str())
        .collect();
    let expected: &[&str] = match names.len() {
        3 => &["images", "videos", "paging"],
        _ => &["images", "videos"],
    };
    if root.name != "queryResult" || names != expected {
        return Err(fault(&root, "not images, videos and paging in this order"));
    }
    container(&root.children[0], "image", "deletedImage", images)?;
    container(&root.children[1], "video", "deletedVideo", videos)?;
    root.children.get(2).map_or(Ok(()), paging)
}

fn container(
    element: &Element,
    live: &str,
    deleted: &str,
    expected: usize,
) -> Result<(), PageFault> {
    let count = element
        .attribute("count")
        .and_then(|count| count.parse().ok());
    if count != Some(expected) || element.children.len() != expected {
        return Err(fault(element, "another number of rows than was meant"));
    }
    let newest = element.attribute("maxTimestamp");
    if expected == 0 {
        return match newest {
            None => Ok(()),
            Some(_) => Err(fault(element, "maxTimestamp without a row")),
        };
    }
    let newest = newest.and_then(time::parse);
    let newest = newest.ok_or_else(|| fault(element, "no readable maxTimestamp"))?;
    let mut seen = None;
    for child in &element.children {
        let second = match child.name.as_str() {
            name if name == live => live_row(child)?,
            name if name == deleted => deleted_row(child)?,
            _ => return Err(fault(child, "neither a row nor a deleted one")),
        };
        seen = seen.max(Some(second));
    }
    match seen == Some(newest) {
        true => Ok(()),
        false => Err(fault(element, "maxTimestamp is not that of its newest row")),
    }
}

/// The one element of this name.
fn one<'a>(element: &'a Element, name: &'static str) -> Result<&'a Element, PageFault> {
    let mut found = element.named(name);
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (None | Some(_), _) => Err(fault(element, "lacks an element, or has it twice")),
    }
}

/// Member, id and time; the time.
fn common(element: &Element) -> Result<i64, PageFault> {
    let member = one(element, "member")?;
    let id = member.attribute("id").and_then(|id| id.parse::<u64>().ok());
    if id.is_none() || member.text.is_empty() {
        return Err(fault(member, "no whole number as id, or no name"));
    }
    let id = one(element, "id")?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if id.text.is_empty() || id.text.len() > 64 || !id.text.bytes().all(fits) {
        return Err(fault(id, "not 1 to 64 of [A-Za-z0-9._-]"));
    }
    let second = one(element, "timestamp")?;
    time::parse(&second.text).ok_or_else(|| fault(second, "not a time"))
}

fn only(element: &Element, names: &[&str]) -> Result<(), PageFault> {
    let foreign = |child: &&Element| !names.contains(&child.name.as_str());
    match element.children.iter().find(foreign) {
        Some(child) => Err(fault(child, "does not belong there")),
        None => Ok(()),
    }
}

fn deleted_row(element: &Element) -> Result<i64, PageFault> {
    only(element, &["member", "id", "timestamp"])?;
    common(element)
}

fn live_row(element: &Element) -> Result<i64, PageFault> {
    let names = [
        "member",
        "timestamp",
        "id",
        "classification",
        "fingerprints",
    ];
    only(element, &names)?;
    let labels: Vec<_> = element.named("classification").collect();
    if labels.len() > 1 {
        return Err(fault(element, "two classifications"));
    }
    if let Some(label) = labels.first()
        && !CLASSIFICATIONS.contains(&label.text.as_str())
    {
        return Err(fault(label, "not a label of the Tech Coalition"));
    }
    let fingerprints = &one(element, "fingerprints")?.children;
    for (n, fingerprint) in fingerprints.iter().enumerate() {
        if !is_value(&fingerprint.name, &fingerprint.text) {
            return Err(fault(fingerprint, "not a value of its kind"));
        }
        if fingerprints[..n]
            .iter()
            .any(|other| other.name == fingerprint.name)
        {
            return Err(fault(fingerprint, "stands twice: the last one would win"));
        }
    }
    common(element)
}

/// Lower-case hexadecimal of the right length; PhotoDNA is base64 of 144 bytes.
fn is_value(tag: &str, text: &str) -> bool {
    let hex = |len: usize| {
        text.len() == len
            && text
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    match tag {
        "md5" => hex(32),
        "sha1" => hex(40),
        "pdq" => hex(64),
        "pdna" => {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
            text.len() == 192 && text.bytes().all(fits)
        }
        _ => false,
    }
}

/// `next` is appended to the client's base as it stands, and its numbers are read by name.
fn paging(element: &Element) -> Result<(), PageFault> {
    only(element, &["next"])?;
    let next = one(element, "next")?;
    let query = next.text.strip_prefix("/v2/entries?");
    let query = query.ok_or_else(|| fault(next, "does not begin with /v2/entries?"))?;
    if !query.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(fault(next, "has white space or characters beyond ASCII"));
    }
    let number = |name: &str| {
        let pair = query.split('&').find_map(|pair| pair.strip_prefix(name));
        pair.is_some_and(|value| value.parse::<u64>().is_ok())
    };
    match ["start=", "size=", "max="].into_iter().all(number) {
        true => Ok(()),
        false => Err(fault(next, "lacks start, size or max")),
    }
}
