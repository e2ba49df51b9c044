//! The files of a copy's packs: written whole, read with their hash, overwritten before they go.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::CopyError;
use super::tables::PackRow;
use crate::store::durable::{Steps, Writer, create_dirs, sweep_temporary, sync_dir};

/// Bytes that are overwritten at once.
const PIECE: usize = 1 << 20;

/// The folder of the files.
pub(super) struct Packs {
    folder: PathBuf,
    steps: Steps,
}

/// A file in the making.
pub(super) struct PackWriter {
    number: u64,
    path: PathBuf,
    writer: Writer,
    len: u64,
}

impl Packs {
    pub(super) fn open(folder: &Path, steps: &Steps) -> Result<Self, CopyError> {
        let packs = Self {
            folder: folder.to_owned(),
            steps: steps.clone(),
        };
        create_dirs(folder, steps).map_err(|source| packs.fault(folder, source))?;
        Ok(packs)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn create(&self, number: u64) -> Result<PackWriter, CopyError> {
        let path = self.path(number);
        let writer = Writer::create(&path, &self.steps);
        Ok(PackWriter {
            number,
            writer: writer.map_err(|source| self.fault(&path, source))?,
            path,
            len: 0,
        })
    }

    /// Gives a file its name, durably once [`Packs::settle`] was called.
    pub(super) fn finish(&self, file: PackWriter) -> Result<(u64, u64), CopyError> {
        let PackWriter {
            number,
            path,
            writer,
            len,
        } = file;
        writer
            .rename()
            .map_err(|source| self.fault(&path, source))?;
        Ok((number, len))
    }

    /// Makes the names of the files durable.
    pub(super) fn settle(&self) -> Result<(), CopyError> {
        let synced = sync_dir(&self.folder, &self.steps);
        synced.map_err(|source| self.fault(&self.folder, source))
    }

    /// The bytes of a section, as they were verified.
    pub(super) fn read(&self, row: &PackRow) -> Result<Vec<u8>, CopyError> {
        let path = self.path(row.file);
        let damaged = || CopyError::Pack { file: row.file };
        let len = usize::try_from(row.len).map_err(|_| damaged())?;
        if len > super::super::item::ITEM_BYTES_MAX {
            return Err(damaged());
        }
        let mut bytes = vec![0; len];
        let file = File::open(&path).map_err(|source| self.fault(&path, source))?;
        match file.read_exact_at(&mut bytes, row.offset) {
            Ok(()) if *blake3::hash(&bytes).as_bytes() == row.hash => Ok(bytes),
            Ok(()) => Err(damaged()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(damaged()),
            Err(source) => Err(self.fault(&path, source)),
        }
    }

    /// Overwrites a file and removes it. One that is not there is gone already.
    pub(super) fn destroy(&self, number: u64) -> Result<(), CopyError> {
        let path = self.path(number);
        overwrite(&path, &self.steps).map_err(|source| self.fault(&path, source))
    }

    /// Destroys every file that is not named.
    pub(super) fn sweep(&self, named: &BTreeSet<u64>) -> Result<(), CopyError> {
        let fault = |source| self.fault(&self.folder, source);
        // What has a temporary name was never finished; it may hold sections all the same.
        for item in fs::read_dir(&self.folder).map_err(fault)? {
            let item = item.map_err(fault)?;
            let name = item.file_name();
            let number = name.to_str().and_then(|name| name.parse::<u64>().ok());
            if number.is_none_or(|number| !named.contains(&number)) {
                overwrite(&item.path(), &self.steps).map_err(fault)?;
            }
        }
        sweep_temporary(&self.folder).map_err(fault)?;
        Ok(())
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(number.to_string())
    }

    fn fault(&self, path: &Path, source: io::Error) -> CopyError {
        CopyError::Io {
            path: path.to_owned(),
            source,
        }
    }
}

impl PackWriter {
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Appends a section: where it begins.
    pub(super) fn append(&mut self, section: &[u8]) -> Result<u64, CopyError> {
        let offset = self.len;
        let written = self.writer.write_all(section);
        written.map_err(|source| CopyError::Io {
            path: self.path.clone(),
            source,
        })?;
        self.len += section.len() as u64;
        Ok(offset)
    }
}

/// Overwrites a file with zeros, durably, and removes it.
///
/// What a file system or a disk kept of it elsewhere is out of reach of every program.
pub(in crate::sync) fn overwrite(path: &Path, steps: &Steps) -> io::Result<()> {
    let mut file = match OpenOptions::new().write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut left = file.metadata()?.len();
    steps.pass("overwrite")?;
    let zeros = vec![0; PIECE.min(usize::try_from(left).unwrap_or(PIECE))];
    while left > 0 {
        let piece = usize::try_from(left).map_or(zeros.len(), |left| left.min(zeros.len()));
        file.write_all(&zeros[..piece])?;
        left -= piece as u64;
    }
    steps.pass("fsync")?;
    file.sync_all()?;
    steps.pass("remove")?;
    fs::remove_file(path)
}
