//! A body file with other sections in the place of some, and the end of the file that it replaces.
//!
//! Why: what is withheld or purged later must be gone from the disk, and everything else stays
//! readable by whoever refers to it. A section that goes takes its data key with it; those that stay
//! are copied as they are sealed, under their own keys. In scope: one file. Out of scope: which
//! sections, and at which offsets (the store).

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use zeroize::Zeroizing;

use super::table::stand_apart;
use super::{
    BodyFile, RewriteBodyError, WriteBodyError, describe_one, random, seal_table, table,
    write_section,
};
use crate::store::durable::{Steps, Writer};

/// What takes a section's place.
pub struct NewSection {
    /// Where it begins for those who refer to it.
    pub offset: u64,
    /// Its plaintext.
    pub bytes: Zeroizing<Vec<u8>>,
}

impl BodyFile {
    /// Writes this body to `path` with `new` in the place of the sections of these classes, each under a data key of its
    /// own: durable when it returns.
    ///
    /// The other sections' blocks are copied as they are, so damage in them stays and is found when they are read. This
    /// file stays: [`shred`] ends it.
    ///
    /// # Errors
    /// [`RewriteBodyError`]; nothing stands at `path` then, except that after a failed last fsync the new file may.
    pub fn rewrite(
        &self,
        path: &Path,
        new: &BTreeMap<u32, NewSection>,
        steps: &Steps,
    ) -> Result<(), RewriteBodyError> {
        let mut infos = self.table.sections.clone();
        let mut keys = Zeroizing::new(vec![[0; 32]; infos.len()]);
        for class in new.keys() {
            self.section(*class)?;
        }
        for (index, (info, data_key)) in infos.iter_mut().zip(keys.iter_mut()).enumerate() {
            match new.get(&info.class) {
                Some(section) => {
                    *info = describe_one(info.class, section.offset, &section.bytes)?;
                    random(data_key)?;
                }
                None => *data_key = *self.table.data_key(&self.key, &self.identity(), index)?,
            }
        }
        if !stand_apart(&infos) {
            let class = new.keys().next().copied().unwrap_or_default();
            return Err(WriteBodyError::Offset { class }.into());
        }
        let table = seal_table(&self.key, &self.identity(), &infos, &keys)?;
        let mut writer = Writer::create(path, steps)?;
        writer.write_all(&table)?;
        for (index, (info, data_key)) in infos.iter().zip(keys.iter()).enumerate() {
            match new.get(&info.class) {
                Some(section) => {
                    let associated = info.associated(&self.identity());
                    write_section(&mut writer, *info, &associated, data_key, &section.bytes)?;
                }
                None => {
                    let start = self.table.start_of(index);
                    self.copy(start..start + info.sealed_len(), &mut writer)?;
                }
            }
        }
        Ok(writer.finish()?)
    }
}

/// Destroys a body file: its wrapped data keys are overwritten before its name goes, so that blocks which the disk keeps
/// cannot be read with the node's key. A file that is not there is no error. Whoever has the file open reads it to its end:
/// the blocks are left alone.
///
/// What a file system or a disk keeps of earlier writes is out of reach.
///
/// # Errors
/// Those of writing and removing.
pub fn shred(path: &Path, steps: &Steps) -> io::Result<()> {
    steps.pass("shred")?;
    match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => {
            let len = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
            let zeros = vec![0; len.min(table::len_in(&file))];
            file.write_all_at(&zeros, 0)?;
            file.sync_all()?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    steps.pass("remove shredded")?;
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
