//! Rows of a member's window, made into a page.
//!
//! Source: formats sections 1.2 to 1.4. In scope: what of an entry this shape can say. Out of scope: which rows a member may
//! see and when it saw them (`subset`).

use hashpact_protocol::fingerprint::{Algorithm, Fingerprint};
use hashpact_protocol::labels::MediaKind;
use hashpact_protocol::record::{LocalLabel, Record};

use super::ask::Ask;
use super::members;
use super::names::{CLASSIFICATION_SCHEME, CLASSIFICATIONS, tag};
use super::page::{Item, Page, What};
use crate::store::FoundEntry;
use crate::subset::{self, Window, WindowKey, WindowRow};

/// The text of a place in a window, as `after` carries it.
pub(super) fn key_text(key: WindowKey) -> String {
    format!("{:x}-{:x}", key.second, key.n)
}

/// Reads what [`key_text`] wrote, and nothing else.
pub(super) fn key(text: &str) -> Option<WindowKey> {
    let (second, n) = text.split_once('-')?;
    let number = |text: &str| u64::from_str_radix(text, 16).ok();
    let (second, n) = (number(second)?, number(n)?);
    let key = WindowKey { second, n };
    (key_text(key) == text).then_some(key)
}

/// The page of a window that was asked for so.
pub(super) fn page(ask: &Ask, window: &Window) -> Page {
    let mut page = Page::default();
    for row in &window.rows {
        if let Some((place, item)) = item(row) {
            match place {
                Place::Image => page.images.push(item),
                Place::Video => page.videos.push(item),
            }
        }
    }
    let served = u64::try_from(window.rows.len()).unwrap_or(u64::MAX);
    let start = ask.start.saturating_add(served);
    page.next = window.next.map(|key| {
        // What is left is at least one row, or there would be no next page.
        let max = window.max.max(start.saturating_add(1));
        ask.next(start, max, &key_text(key))
    });
    page
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Image,
    Video,
}

/// A row, if this shape has a place for it: sound and text have none.
fn item(row: &WindowRow) -> Option<(Place, Item)> {
    let is_image = row.media_kind.contains(MediaKind::Image);
    let is_video = row.media_kind.contains(MediaKind::Video);
    let has_pdq = match &row.what {
        subset::What::Live(found) => has_pdq(&found.record),
        subset::What::Gone => false,
    };
    let place = match (is_image, is_video) {
        (false, false) => return None,
        // Clients match PDQ of images and MD5 of videos: what may be either stands where it is matched.
        (true, true) if !has_pdq => Place::Video,
        (true, _) => Place::Image,
        (false, true) => Place::Video,
    };
    let what = match &row.what {
        subset::What::Live(found) => live(found),
        subset::What::Gone => What::Deleted,
    };
    let item = Item {
        member: members::centre(&row.origin),
        id: row.entry.to_string(),
        second: row.second,
        what,
    };
    Some((place, item))
}

fn has_pdq(record: &Record) -> bool {
    let mut prints = record.fields.matchable();
    prints.any(|print| *print.algorithm() == Algorithm::Pdq)
}

fn live(found: &FoundEntry) -> What {
    let mut fingerprints: Vec<(&'static str, String)> = Vec::new();
    for print in found.record.fields.matchable() {
        let Some(tag) = tag(print.algorithm()) else {
            continue;
        };
        // Of two under one name a client keeps the last: the first is the one that the origin put first.
        if fingerprints.iter().all(|(known, _)| *known != tag) {
            fingerprints.push((tag, value(print)));
        }
    }
    What::Live {
        classification: found.record.fields.local_labels.iter().find_map(label),
        fingerprints,
    }
}

fn value(print: &Fingerprint) -> String {
    match print.algorithm() {
        Algorithm::PhotoDna => data_encoding::BASE64.encode(print.bytes()),
        Algorithm::Md5
        | Algorithm::Sha1
        | Algorithm::Sha256
        | Algorithm::Blake3
        | Algorithm::Pdq
        | Algorithm::Other(_) => data_encoding::HEXLOWER.encode(print.bytes()),
    }
}

/// A label of the industry classification, as the origin received it; never one that was computed.
fn label(label: &LocalLabel) -> Option<&'static str> {
    let is_known = label.scheme == CLASSIFICATION_SCHEME;
    let mut all = CLASSIFICATIONS.into_iter();
    all.find(|known| is_known && *known == label.value)
}
