//! Where each file of a data folder is.
//!
//! ```text
//! logs/<origin>/checkpoint                     the witnessed note: what C2SP tlog-tiles serves
//! logs/<origin>/history                        every note that was witnessed, each with an empty line behind it
//! logs/<origin>/fork                           the proof that the log was forked, if it was
//! logs/rosters/<version>                       the signed rosters
//! logs/<origin>/tile/...                       tiles and entry bundles, likewise
//! bodies/<origin>/<seq / 1000>/<seq>.body      a delta's body, sealed, as it was first stored
//! bodies/<origin>/<seq / 1000>/<seq>.<n>.body  the same after its n-th rewriting
//! bodies/<origin>/<seq / 1000>/<seq>.ends      the retractions of a delta whose body is not here
//! index/<id>.seg                               segments
//! control.redb                                 what is in force
//! sources/<hash of its name>.json              what is remembered of a source of lists
//! guards/*.json                                warninglists that an operator put there
//! staging/                                     files in the making
//! ```
//!
//! An origin's folder is its line with `_` for `/`: no origin has a `_`, so no two share a folder.
//! In scope: names. Out of scope: content.

use std::path::{Path, PathBuf};

use hashpact_keys::Origin;
use hashpact_protocol::delta::Seq;

use super::index::SegmentId;

/// Bodies in one folder.
pub(super) const FOLDER_WIDTH: u64 = 1000;

/// Longest path of a log's file that is believed: six levels of numbers need less than half.
const LOG_PATH_LEN_MAX: usize = 80;

/// The data folder.
pub(super) struct Layout {
    root: PathBuf,
}

/// Which of the two files of a delta.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum BodyKind {
    /// All of it, rewritten this many times.
    Body(u32),
    /// Its retractions alone.
    Ends,
}

impl Layout {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    pub(super) fn control(&self) -> PathBuf {
        self.root.join("control.redb")
    }

    pub(super) fn guards(&self) -> PathBuf {
        self.root.join("guards")
    }

    pub(super) fn sources(&self) -> PathBuf {
        self.root.join("sources")
    }

    pub(super) fn staging(&self) -> PathBuf {
        self.root.join("staging")
    }

    pub(super) fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    pub(super) fn index(&self) -> PathBuf {
        self.root.join("index")
    }

    pub(super) fn segment(&self, id: SegmentId) -> PathBuf {
        self.index().join(format!("{id}.seg"))
    }

    pub(super) fn bodies(&self) -> PathBuf {
        self.root.join("bodies")
    }

    /// The folder that holds the files of deltas `FOLDER_WIDTH * folder` and on.
    pub(super) fn body_folder(&self, origin: &Origin, folder: u64) -> PathBuf {
        self.bodies()
            .join(folder_name(origin))
            .join(folder.to_string())
    }

    pub(super) fn body(&self, origin: &Origin, seq: Seq, kind: BodyKind) -> PathBuf {
        self.body_folder(origin, seq.0 / FOLDER_WIDTH)
            .join(body_name(seq, kind))
    }

    pub(super) fn checkpoint(&self, origin: &Origin) -> PathBuf {
        self.logs().join(folder_name(origin)).join("checkpoint")
    }

    pub(super) fn history(&self, origin: &Origin) -> PathBuf {
        self.logs().join(folder_name(origin)).join("history")
    }

    pub(super) fn fork(&self, origin: &Origin) -> PathBuf {
        self.logs().join(folder_name(origin)).join("fork")
    }

    pub(super) fn roster(&self, version: u64) -> PathBuf {
        self.logs().join("rosters").join(version.to_string())
    }

    /// A tile or bundle of a log; `None` for a path that leads anywhere else.
    pub(super) fn tile(&self, origin: &Origin, path: &str) -> Option<PathBuf> {
        let plain = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && part
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.')
        };
        let stays = path.len() <= LOG_PATH_LEN_MAX && path.starts_with("tile/");
        (stays && path.split('/').all(plain))
            .then(|| self.logs().join(folder_name(origin)).join(path))
    }
}

fn folder_name(origin: &Origin) -> String {
    origin.as_str().replace('/', "_")
}

pub(super) fn body_name(seq: Seq, kind: BodyKind) -> String {
    match kind {
        BodyKind::Body(0) => format!("{seq}.body"),
        BodyKind::Body(version) => format!("{seq}.{version}.body"),
        BodyKind::Ends => format!("{seq}.ends"),
    }
}

/// Whether a name in a folder of bodies is one that this store gives.
pub(super) fn is_body_name(name: &str) -> bool {
    let is_number = |n: &str| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit());
    match name.strip_suffix(".body") {
        Some(name) => match name.split_once('.') {
            Some((seq, version)) => is_number(seq) && is_number(version),
            None => is_number(name),
        },
        None => name.strip_suffix(".ends").is_some_and(is_number),
    }
}

/// The segment that a file of this name in the index folder is.
pub(super) fn segment_of(name: &str) -> Option<SegmentId> {
    let id = u64::from_str_radix(name.strip_suffix(".seg")?, 16)
        .ok()
        .map(SegmentId)?;
    (name == format!("{id}.seg")).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        "eu.example/eu/1".parse().unwrap()
    }

    #[test]
    fn a_path_cannot_leave_its_log() {
        let layout = Layout::new(Path::new("data"));
        let tile = layout.tile(&origin(), "tile/entries/x001/234.p/7").unwrap();
        assert_eq!(
            tile,
            Path::new("data/logs/eu.example_eu_1/tile/entries/x001/234.p/7")
        );
        for path in [
            "",
            "tile",
            "tile/",
            "/tile/0/000",
            "tile//000",
            "tile/../checkpoint",
            "tile/./000",
            "checkpoint",
            "tile/0/000\0",
            "tile/0/.tmp-1",
            "../tile/0/000",
            "tile/0\\000",
        ] {
            assert_eq!(layout.tile(&origin(), path), None, "{path:?}");
        }
        assert_eq!(
            layout.tile(&origin(), &format!("tile/{}", "0".repeat(80))),
            None
        );
    }

    #[test]
    fn only_names_that_the_store_gives_are_its_own() {
        for name in ["0.body", "7.2.body", "12345.ends"] {
            assert!(is_body_name(name), "{name}");
        }
        for name in [
            ".body",
            "a.body",
            "1.txt",
            "1.body.bak",
            "-1.ends",
            "1..body",
            "1.2.3.body",
            "1.2.ends",
        ] {
            assert!(!is_body_name(name), "{name}");
        }
        assert_eq!(
            segment_of(&format!("{}.seg", SegmentId(0x1f))),
            Some(SegmentId(0x1f))
        );
        assert_eq!(segment_of("1f.seg"), None);
        assert_eq!(segment_of("+00000000000001f.seg"), None);
    }
}
