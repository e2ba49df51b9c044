//! The paths that are served, and no others.
//!
//! Why: a path that is built from a peer's text is the classic way out of a folder, so every part must be one of a few exact
//! forms; nothing is decoded, cleaned or joined before that. Spec: C2SP `tlog-tiles`, APIs. In scope: text. Out of scope: what
//! is on the disk (`folder`).

use std::path::Path;

/// Longest path that is looked at: the longest log name and the longest tile path need less.
const PATH_LEN_MAX: usize = 320;
/// Longest folder name of a log: an origin line has at most 120 bytes.
const LOG_LEN_MAX: usize = 128;
/// Items of a full tile or bundle.
const FULL: u16 = 256;
/// Highest level of a tile.
const LEVEL_MAX: u8 = 63;
/// Groups of three digits that a 64-bit number has at most.
const GROUPS_MAX: usize = 7;
/// The folder of the rosters, beside those of the logs.
pub(super) const ROSTERS: &str = "rosters";

/// What a path asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    /// The names of the logs.
    Logs,
    /// The versions of the rosters.
    Rosters,
    /// One file.
    File(Item),
}

/// One file, below the log folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// Relative, of checked parts only.
    path: String,
    pub(super) kind: Kind,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Checkpoint,
    History,
    Fork,
    /// So many hashes.
    Tile {
        width: u16,
    },
    /// So many entries.
    Bundle {
        width: u16,
    },
    Roster,
}

impl Kind {
    /// Bytes that a file of this kind has at most; `None` if it grows for ever.
    pub(super) fn len_max(self) -> Option<u64> {
        match self {
            // A note with the signatures of every centre and witness is far below.
            Self::Checkpoint => Some(64 * 1024),
            // Two notes, or two headers, and the proof between them.
            Self::Fork => Some(1024 * 1024),
            Self::History => None,
            Self::Tile { width } => Some(u64::from(width) * 32),
            // Two bytes of length and the longest entry that they can say.
            Self::Bundle { width } => Some(u64::from(width) * 65_537),
            // What `keys` believes of a signed roster.
            Self::Roster => Some(256 * 1024),
        }
    }

    /// Whether the bytes under this path can never become others.
    pub(super) fn is_immutable(self) -> bool {
        match self {
            Self::Tile { .. } | Self::Bundle { .. } | Self::Roster => true,
            Self::Checkpoint | Self::History | Self::Fork => false,
        }
    }

    /// Whether it is text that a person can read.
    pub(super) fn is_text(self) -> bool {
        !self.is_immutable()
    }
}

impl Item {
    /// Relative to the log folder.
    pub(super) fn path(&self) -> &Path {
        Path::new(&self.path)
    }
}

/// Reads the path of a request as it came, without decoding.
pub(super) fn parse(path: &str) -> Option<Resource> {
    let path = path.strip_prefix('/')?;
    if path.len() > PATH_LEN_MAX {
        return None;
    }
    let parts: Vec<&str> = path.split('/').collect();
    let kind = match parts.as_slice() {
        [""] => return Some(Resource::Logs),
        [ROSTERS, ""] => return Some(Resource::Rosters),
        [ROSTERS, version] => is_version(version).then_some(Kind::Roster)?,
        [log, rest @ ..] if is_log(log) => kind_in_log(rest)?,
        _ => return None,
    };
    let path = path.to_owned();
    Some(Resource::File(Item { path, kind }))
}

fn kind_in_log(parts: &[&str]) -> Option<Kind> {
    match parts {
        ["checkpoint"] => Some(Kind::Checkpoint),
        ["history"] => Some(Kind::History),
        ["fork"] => Some(Kind::Fork),
        ["tile", "entries", index @ ..] => Some(Kind::Bundle {
            width: width(index)?,
        }),
        ["tile", level, index @ ..] => {
            (number(level)? <= u64::from(LEVEL_MAX)).then_some(())?;
            Some(Kind::Tile {
                width: width(index)?,
            })
        }
        _ => None,
    }
}

/// Whether a name can be a log's folder: an origin line with `_` for `/`.
pub(super) fn is_log(name: &str) -> bool {
    let plain = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_')
    };
    (1..=LOG_LEN_MAX).contains(&name.len())
        && !name.starts_with('.')
        && name != ROSTERS
        && name.bytes().all(plain)
}

/// Whether a name can be a roster's file: its version, from 1.
pub(super) fn is_version(name: &str) -> bool {
    number(name).is_some_and(|version| version > 0)
}

/// A decimal number without leading zeroes or sign.
fn number(text: &str) -> Option<u64> {
    let canonical =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    canonical.then(|| text.parse().ok())?
}

/// The width that an index path says; `None` if it is none.
fn width(index: &[&str]) -> Option<u16> {
    let (last, higher) = index.split_last()?;
    let (last, higher, width) = match higher.split_last() {
        Some((partial, higher)) if partial.ends_with(".p") => {
            let width = u16::try_from(number(last)?).ok()?;
            (1..FULL).contains(&width).then_some(())?;
            (partial.strip_suffix(".p")?, higher, width)
        }
        Some(_) | None => (*last, higher, FULL),
    };
    let is_group = |text: &str| text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_index = is_group(last)
        && higher.len() < GROUPS_MAX
        && higher
            .iter()
            .all(|group| group.strip_prefix('x').is_some_and(is_group))
        // One number has one path.
        && higher.first() != Some(&"x000");
    is_index.then_some(width)
}
