//! What a node's own log folder says of policy: documents, classes, and how many entries each class has.
//!
//! Why files: they are read while the node runs, and without its keys. The folder is the node's own, so what is in it was
//! verified when it was written. In scope: leaves. Out of scope: what documents decide (`scene`), bodies.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hashpact_keys::chain::UnsignedRoster;
use hashpact_keys::roster::CentreEntry;
use hashpact_keys::{CentreId, NetworkId, Roster, Timestamp};
use hashpact_protocol::centre::policy_documents;
use hashpact_protocol::delta::Header;
use hashpact_protocol::labels::{ClassDefinitions, ClassId, Labels};
use hashpact_protocol::log::{Leaf, SignedCheckpoint, TreeError, bundle_path, read_leaves};
use hashpact_protocol::policy::{Fallback, InForce, Logged, PolicyDocument};

use super::scene::{Document, Law};
use crate::audit::folder::{Folder, LogFolder, log_name};
use crate::home::Home;

/// Leaves of a full bundle.
const WIDTH: u64 = 256;
/// Bytes of a checkpoint that are read.
const NOTE_LEN: u64 = 64 * 1024;
/// Bytes of a roster that are read.
const ROSTER_LEN: u64 = 256 * 1024;

/// The logs of a node.
#[derive(Debug)]
pub struct Logs {
    folder: Folder,
    path: PathBuf,
    roster: Roster,
}

/// What one log says of policy.
#[derive(Clone, Debug, Default)]
pub struct Book {
    /// Signed documents by log index.
    pub documents: Vec<(u64, Vec<u8>)>,
    /// The labels of each class.
    pub classes: BTreeMap<ClassId, Labels>,
    /// Records that its deltas put, by class; those that ended since are still counted.
    pub entries: BTreeMap<ClassId, u64>,
    /// Retractions that its deltas list.
    pub retractions: u64,
    /// The size that a quorum has seen; 0 once the log was shown to be forked, so that nothing counts as mature.
    witnessed: u64,
    /// When the newest header below each document was issued.
    since: BTreeMap<u64, Timestamp>,
}

/// Why a node's logs cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// There is no folder of logs.
    #[error(
        "{path}: {source}: is this a node's home, and has it taken a roster? Without a home, give --policy CENTRE=DIR", path = path.display()
    )]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no roster.
    #[error("{path} holds no roster: apply one with `hashpact roster apply`", path = path.display())]
    NoRoster {
        /// The folder.
        path: PathBuf,
    },
    /// A file that cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A leaf that is not what was written.
    #[error("{log}: leaf {index} cannot be read: run `hashpact audit verify` on this folder")]
    Leaf {
        /// The log's folder.
        log: String,
        /// The leaf.
        index: u64,
    },
    /// A bundle that is missing.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

impl Logs {
    /// The logs of a home.
    ///
    /// # Errors
    /// [`LogsError`].
    pub fn open(home: &Home) -> Result<Self, LogsError> {
        let path = home.data().join("logs");
        let folder = Folder::open(&path).map_err(|source| LogsError::Folder {
            path: path.clone(),
            source,
        })?;
        let roster = newest_roster(&folder, &path)?;
        Ok(Self {
            folder,
            path,
            roster,
        })
    }

    /// The newest roster that the node has.
    #[must_use]
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> NetworkId {
        self.roster.network
    }

    /// Reads a centre's log. One that is not mirrored yet is empty.
    ///
    /// # Errors
    /// [`LogsError`].
    pub fn book(&self, centre: &CentreEntry) -> Result<Book, LogsError> {
        let name = log_name(&centre.origin);
        let witnessed = self.witnessed(&name)?;
        let size = self.size(&name, witnessed);
        let forked = self.folder.path(&format!("{name}/fork")).exists();
        let files = LogFolder::new(&self.folder, &name);
        let mut book = Book {
            witnessed: if forked { 0 } else { witnessed },
            ..Book::default()
        };
        let mut newest = None;
        let mut from = 0;
        while from < size {
            let to = (from - from % WIDTH + WIDTH).min(size);
            for (leaf, index) in read_leaves(&files, size, from, to)?.iter().zip(from..) {
                let fault = || LogsError::Leaf {
                    log: name.clone(),
                    index,
                };
                book.leaf(leaf, index, &mut newest).ok_or_else(fault)?;
            }
            from = to;
        }
        Ok(book)
    }

    fn witnessed(&self, name: &str) -> Result<u64, LogsError> {
        let path = format!("{name}/checkpoint");
        let io = |source| LogsError::Io {
            path: self.path.join(&path),
            source,
        };
        let Some(note) = self.folder.read(&path, NOTE_LEN).map_err(io)? else {
            return Ok(0);
        };
        let checkpoint = SignedCheckpoint::from_store(&note);
        let checkpoint = checkpoint.map_err(|error| io(io::Error::other(error)))?;
        Ok(checkpoint.checkpoint().size)
    }

    /// How many leaves there are. Those above the witnessed size are in no published note, but what they narrow counts.
    fn size(&self, name: &str, witnessed: u64) -> u64 {
        let mut size = witnessed;
        loop {
            let (number, width) = (size / WIDTH, size % WIDTH);
            let is_there = |width: &u64| {
                let path = format!("{name}/{}", bundle_path(number, *width));
                self.folder.path(&path).exists()
            };
            match (width + 1..=WIDTH).rev().find(is_there) {
                Some(WIDTH) => size = (number + 1) * WIDTH,
                Some(width) => return number * WIDTH + width,
                None => return size,
            }
        }
    }

    /// By what a centre decides. `fallback` holds where no document is in force.
    #[must_use]
    pub fn law(
        &self,
        centre: &CentreEntry,
        book: &Book,
        now: Timestamp,
        fallback: Fallback,
    ) -> Law {
        let since = |index| book.since.get(&index).copied();
        let logged = policy_documents(centre, self.roster.demo, &book.documents, since);
        let documents = logged.iter().map(|it| document(&centre.id, it, book));
        Law::Logged {
            documents: documents.collect(),
            in_force: InForce::of(&logged, book.witnessed, now, fallback),
        }
    }
}

impl Book {
    /// Takes a leaf in; nothing if it is not what a node writes.
    fn leaf(&mut self, bytes: &[u8], index: u64, newest: &mut Option<Timestamp>) -> Option<()> {
        match Leaf::from_bytes(bytes).ok()? {
            Leaf::Delta { header, table } => {
                *newest = Some(Header::claimed(&header).ok()?.issued_at);
                for row in &table.classes {
                    *self.entries.entry(row.class).or_default() += row.count;
                }
                self.retractions += table.retractions.count;
            }
            Leaf::Policy { document } => {
                self.since.extend(newest.map(|at| (index, at)));
                self.documents.push((index, document));
            }
            Leaf::Classes { definitions } => {
                let signed = ClassDefinitions::envelope(&definitions).ok()?;
                let defined = ClassDefinitions::from_payload(signed.peek()).ok()?;
                self.classes.extend(defined.classes);
            }
            Leaf::Roster { .. }
            | Leaf::Disclosure { .. }
            | Leaf::MatchEpoch { .. }
            | Leaf::MatchSession { .. }
            | Leaf::Commitment { .. }
            | Leaf::Resumed { .. }
            | Leaf::Other(_) => {}
        }
        Some(())
    }

    /// The newest document, with its version.
    #[must_use]
    pub fn newest(&self) -> Option<PolicyDocument> {
        let (_, bytes) = self.documents.last()?;
        PolicyDocument::read_unverified(bytes).ok()
    }
}

fn document(centre: &CentreId, logged: &Logged, book: &Book) -> Document {
    let bytes = book
        .documents
        .iter()
        .find(|(index, _)| *index == logged.index);
    let read = bytes.and_then(|(_, bytes)| PolicyDocument::read_unverified(bytes).ok());
    let version = read.as_ref().map_or(0, |it| it.version);
    Document {
        name: format!("policy {version} of {centre}, leaf {}", logged.index),
        index: Some(logged.index),
        profile: logged.profile.as_ref().map(Arc::clone),
        files: read.map(|it| it.files).unwrap_or_default(),
    }
}

fn newest_roster(folder: &Folder, path: &Path) -> Result<Roster, LogsError> {
    let mut newest = None;
    for version in 1_u64.. {
        let file = format!("rosters/{version}");
        let bytes = folder.read(&file, ROSTER_LEN);
        let bytes = bytes.map_err(|source| LogsError::Io {
            path: path.join(&file),
            source,
        })?;
        let Some(bytes) = bytes else { break };
        let roster = UnsignedRoster::parse(&bytes);
        let roster = roster.map_err(|error| LogsError::Io {
            path: path.join(&file),
            source: io::Error::other(error),
        })?;
        newest = Some(roster.roster().clone());
    }
    newest.ok_or_else(|| LogsError::NoRoster {
        path: path.to_owned(),
    })
}
