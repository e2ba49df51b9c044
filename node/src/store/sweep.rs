//! Files that nothing names, and names without a file.
//!
//! Why: a crash before a commit leaves files, and sealed records that no log vouches for must not
//! stay. A file that a table names must be there: better to hear it at the start than at a look-up.
//! Only names that this store gives are ever removed. In scope: names. Out of scope: content.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hashpact_keys::Origin;
use hashpact_protocol::delta::Seq;

use super::control::{Folder, SegmentEntry};
use super::durable::{Steps, sweep_temporary};
use super::layout::{BodyKind, body_name, is_body_name, segment_of};
use super::sealed::shred;
use super::{OpenError, Store};

impl Store {
    /// Removes what an ingest that was interrupted had staged; it is sealed under a key that is gone.
    fn sweep_ingest(&self) -> io::Result<()> {
        match fs::remove_dir_all(self.ingest_dir()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Removes what no table names. One listing a folder of bodies.
    pub(super) fn sweep(&self, segments: &[SegmentEntry]) -> Result<(), OpenError> {
        sweep_temporary(&self.layout.staging())?;
        self.sweep_ingest()?;
        self.sweep_index(segments)?;
        let origins = self.live().origins.clone();
        let mut known = BTreeSet::new();
        for origin in &origins {
            let mut from = 0;
            while let Some(Folder { number, files }) = self.control.next_folder(origin, from)? {
                let path = self.layout.body_folder(origin, number);
                sweep_folder(&path, origin, &files, &self.steps)?;
                known.insert(path);
                from = number + 1;
            }
        }
        for folder in folders_within(&self.layout.bodies())? {
            for folder in folders_within(&folder)? {
                if !known.contains(&folder) {
                    remove_unnamed(&folder, &BTreeSet::new(), &self.steps)?;
                }
            }
        }
        Ok(())
    }

    fn sweep_index(&self, segments: &[SegmentEntry]) -> io::Result<()> {
        let folder = self.layout.index();
        sweep_temporary(&folder)?;
        for name in names_within(&folder)? {
            let stray = segment_of(&name).is_some_and(|id| segments.iter().all(|s| s.id != id));
            if stray {
                fs::remove_file(folder.join(name))?;
            }
        }
        Ok(())
    }
}

/// Checks that `files` of one folder are there, and removes all others.
fn sweep_folder(
    folder: &Path,
    origin: &Origin,
    files: &[(Seq, BodyKind)],
    steps: &Steps,
) -> Result<(), OpenError> {
    let named: BTreeSet<String> = files
        .iter()
        .map(|(seq, kind)| body_name(*seq, *kind))
        .collect();
    let missing = |seq| OpenError::MissingBody {
        origin: origin.clone(),
        seq,
    };
    let present = match remove_unnamed(folder, &named, steps) {
        Ok(present) => present,
        Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeSet::new(),
        Err(error) => return Err(error.into()),
    };
    match files
        .iter()
        .find(|(seq, kind)| !present.contains(&body_name(*seq, *kind)))
    {
        Some((seq, _)) => Err(missing(*seq)),
        None => Ok(()),
    }
}

/// Removes the bodies of a folder that are not `named`; the names of the others.
fn remove_unnamed(
    folder: &Path,
    named: &BTreeSet<String>,
    steps: &Steps,
) -> io::Result<BTreeSet<String>> {
    let mut present = BTreeSet::new();
    sweep_temporary(folder)?;
    for name in names_within(folder)? {
        if named.contains(&name) {
            present.insert(name);
        } else if is_body_name(&name) {
            // It may hold what was withheld or purged just before a crash.
            shred(&folder.join(name), steps)?;
        }
    }
    Ok(present)
}

/// Names in UTF-8, as all of ours are.
fn names_within(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for item in fs::read_dir(folder)? {
        names.extend(item?.file_name().into_string());
    }
    Ok(names)
}

fn folders_within(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for item in fs::read_dir(folder)? {
        let item = item?;
        if item.file_type()?.is_dir() {
            folders.push(item.path());
        }
    }
    Ok(folders)
}
