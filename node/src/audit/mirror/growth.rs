//! How a copied log grows: leaves from a source, tiles computed from them, all of it beside the log until the root is right.
//!
//! In scope: one growth of one log. Out of scope: which checkpoint it grows towards (`mirror`).

use std::collections::BTreeMap;
use std::fs;
use std::io;

use hashpact_protocol::log::{LogFiles, decode_bundle, grow};

use super::super::folder::{Folder, LogFolder, TileName, tile};
use super::super::source::{Source, SourceError};
use super::log::LogFault;
use super::write;
use crate::store::durable::{self, Steps};

/// Leaves of a full bundle.
const WIDTH: u64 = 256;

/// A log on its way to a larger size.
pub(super) struct Growth<'a> {
    folder: &'a Folder,
    name: &'a str,
    source: &'a dyn Source,
    /// Where full tiles and bundles lie until the root is right, below the folder.
    staging: String,
    files: Overlay,
    from: u64,
    to: u64,
}

/// The log's files as they will be.
struct Overlay {
    held: LogFolder,
    staged: LogFolder,
    /// Partial tiles; they change with each step.
    partial: BTreeMap<String, Vec<u8>>,
}

impl LogFiles for Overlay {
    fn log_file(&self, path: &str) -> Option<Vec<u8>> {
        let partial = self.partial.get(path).cloned();
        partial
            .or_else(|| self.staged.log_file(path))
            .or_else(|| self.held.log_file(path))
    }
}

impl<'a> Growth<'a> {
    pub(super) fn new(
        folder: &'a Folder,
        name: &'a str,
        source: &'a dyn Source,
        from: u64,
        to: u64,
    ) -> io::Result<Self> {
        let staging = format!(".staging/{name}");
        durable::create_dirs(&folder.path(&staging), &Steps::default())?;
        let files = Overlay {
            held: LogFolder::new(folder, name),
            staged: LogFolder::new(folder, &staging),
            partial: BTreeMap::new(),
        };
        Ok(Self {
            folder,
            name,
            source,
            staging,
            files,
            from,
            to,
        })
    }

    /// Reads the leaves, and gives the root over all of them.
    pub(super) fn leaves(&mut self, progress: &dyn Fn(u64)) -> Result<[u8; 32], LogFault> {
        let mut size = self.from;
        let mut root = None;
        while size < self.to || root.is_none() {
            let number = size / WIDTH;
            let width = (self.to - number * WIDTH).min(WIDTH);
            let name = TileName {
                level: None,
                number,
                width,
            };
            let leaves = if size < self.to {
                self.bundle(&name)?
            } else {
                Vec::new()
            };
            let held = usize::try_from(size % WIDTH).unwrap_or(0);
            let grown = grow(&self.files, size, leaves.get(held..).unwrap_or_default())?;
            for file in grown.files {
                self.take(&file.path, file.bytes, grown.size)?;
            }
            (size, root) = (grown.size, Some(grown.root));
            progress(size);
        }
        // Of the partial tiles those count that the final size calls for; each was compared with none before.
        self.partial_tiles_agree()?;
        Ok(root.unwrap_or_default())
    }

    /// A bundle: what an earlier run laid aside, else the source's.
    fn bundle(&self, name: &TileName) -> Result<Vec<Vec<u8>>, LogFault> {
        let path = name.path();
        let whole = |bytes: &[u8]| {
            let leaves = decode_bundle(bytes)?;
            (leaves.len() as u64 == name.width).then_some(leaves)
        };
        if let Some(leaves) = self.files.staged.log_file(&path).as_deref().and_then(whole) {
            return Ok(leaves);
        }
        let bytes = self.source_file(&path)?;
        let bytes = bytes.ok_or_else(|| LogFault::Missing { path: path.clone() })?;
        whole(&bytes).ok_or(LogFault::Bundle {
            path,
            expected: name.width,
        })
    }

    fn source_file(&self, path: &str) -> Result<Option<Vec<u8>>, SourceError> {
        let mut fault = None;
        let cell = std::cell::RefCell::new(&mut fault);
        let read = |path: &str, max| {
            let got = self.source.get(&format!("{}/{path}", self.name), max);
            got.map_err(|error| {
                **cell.borrow_mut() = Some(error);
                io::Error::other("the source failed")
            })
        };
        let found = tile(path, read);
        match fault {
            Some(error) => Err(error),
            None => Ok(found.ok().flatten()),
        }
    }

    /// Lays a file aside. A full one is compared with the source's first: the leaves decide, and a source whose tiles say
    /// otherwise is damaged or lies.
    fn take(&mut self, path: &str, bytes: Vec<u8>, size: u64) -> Result<(), LogFault> {
        let name = TileName::parse(path);
        if name.is_some_and(|name| name.is_full()) {
            if self.files.staged.log_file(path).as_ref() == Some(&bytes) {
                // An earlier run compared it.
                return Ok(());
            }
            self.agrees(path, &bytes)?;
            let target = self.folder.path(&format!("{}/{path}", self.staging));
            if let Some(folder) = target.parent() {
                durable::create_dirs(folder, &Steps::default())?;
            }
            write(&target, &bytes)?;
        } else {
            self.files.partial.insert(path.to_owned(), bytes);
        }
        // Narrower ones than the log has are of no use to anybody.
        let is_current =
            |path: &str| TileName::parse(path).is_some_and(|name| name.items(size) == name.width);
        self.files.partial.retain(|path, _| is_current(path));
        Ok(())
    }

    fn agrees(&self, path: &str, bytes: &[u8]) -> Result<(), LogFault> {
        match self.source_file(path)? {
            Some(got) if got != bytes => Err(LogFault::Differs {
                path: path.to_owned(),
            }),
            // One that the source lacks follows from the leaves all the same.
            Some(_) | None => Ok(()),
        }
    }

    fn partial_tiles_agree(&self) -> Result<(), LogFault> {
        let mut partial = self.files.partial.iter();
        partial.try_for_each(|(path, bytes)| self.agrees(path, bytes))
    }

    /// Moves everything into the log: bundles and tiles first, whatever refers to them later.
    pub(super) fn settle(self) -> Result<(), LogFault> {
        let mut paths = Vec::new();
        self.folder.walk(&self.staging, "tile", 0, &mut |path| {
            paths.push(path.to_owned())
        })?;
        for path in paths {
            let staged = self.folder.path(&format!("{}/{path}", self.staging));
            let bytes = fs::read(&staged)?;
            self.place(&path, &bytes)?;
        }
        for (path, bytes) in &self.files.partial {
            self.place(path, bytes)?;
        }
        self.discard()?;
        Ok(())
    }

    fn place(&self, path: &str, bytes: &[u8]) -> Result<(), LogFault> {
        let target = format!("{}/{path}", self.name);
        match self.files.held.log_file(path) {
            Some(held) if held != bytes => {
                return Err(LogFault::Overwrites {
                    path: path.to_owned(),
                });
            }
            // A partial one may only have been cut from a full one: readers ask for it by its own name.
            Some(_) if self.folder.read(&target, 0)?.is_some() => return Ok(()),
            Some(_) | None => {}
        }
        let target = self.folder.path(&target);
        if let Some(folder) = target.parent() {
            durable::create_dirs(folder, &Steps::default())?;
        }
        write(&target, bytes)?;
        Ok(())
    }

    /// Removes what was laid aside.
    pub(super) fn discard(&self) -> io::Result<()> {
        fs::remove_dir_all(self.folder.path(&self.staging))
    }
}
