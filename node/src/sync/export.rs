//! The list for programs that read something else: CSV, ThreatExchange `local_file`, another index.
//!
//! Why: a provider's own systems match what they can load. Only what may be matched leaves: live records of a list in force,
//! values that are not switched off, algorithms that we know. `local_file` is add-only at its reader (formats.md, 3.2): a
//! value that was retracted stays there until the reader begins with a fresh state. In scope: files. Out of scope: which list
//! is in force (`folder`).

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use hashpact_keys::Timestamp;
use hashpact_protocol::fingerprint::Algorithm;
use hashpact_protocol::labels::MediaKind;
use hashpact_protocol::lists::ClosedList as _;
use hashpact_protocol::record::PrintValue;

use super::copy::{Copy, CopyError, Live};
use super::folder::{Folder, FolderError, Standing, usable};
use super::index::{self, IndexFault};
use crate::near::file::{FILE_NAME, Index, ListVersion, ReadIndexError};
use crate::store::durable::Steps;

/// The columns of a CSV, one row for each value.
const COLUMNS: [&str; 16] = [
    "origin",
    "entry",
    "revision",
    "delta",
    "class",
    "media_kind",
    "content_class",
    "depiction",
    "tlp",
    "purposes",
    "disputed",
    "flagged",
    "algorithm",
    "value",
    "quality",
    "byte_length",
];

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Rows with labels.
    Csv,
    /// `type value` lines for ThreatExchange.
    LocalFile,
    /// The sorted binary index.
    Index,
}

/// A type of `local_file`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalType {
    /// PDQ of pictures.
    Pdq,
    /// MD5 of videos.
    VideoMd5,
    /// SHA-256 of videos.
    VideoSha256,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Live entries.
    pub entries: u64,
    /// Values, rows or lines.
    pub values: u64,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The copy.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// The index.
    #[error(transparent)]
    Index(#[from] IndexFault),
    /// The index that is in force, for its version.
    #[error("subset.idx: {0}")]
    Read(#[from] ReadIndexError),
    /// The file to write.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// The fault.
        source: io::Error,
    },
}

impl SignalType {
    /// Every type with its name.
    pub const ALL: [(Self, &'static str); 3] = [
        (Self::Pdq, "pdq"),
        (Self::VideoMd5, "video_md5"),
        (Self::VideoSha256, "video_sha256"),
    ];

    fn algorithm(self) -> Algorithm {
        match self {
            Self::Pdq => Algorithm::Pdq,
            Self::VideoMd5 => Algorithm::Md5,
            Self::VideoSha256 => Algorithm::Sha256,
        }
    }

    /// What of media its reader takes it for.
    fn media(self) -> MediaKind {
        match self {
            Self::Pdq => MediaKind::Image,
            Self::VideoMd5 | Self::VideoSha256 => MediaKind::Video,
        }
    }
}

/// Writes the list that is in force in `folder` to `out`, whole or not at all; only its owner may read it.
///
/// # Errors
/// [`ExportError`]; [`FolderError::NotInForce`] if the list may not be matched with.
pub fn export(
    folder: &Path,
    format: Format,
    types: &[SignalType],
    out: &Path,
    now: Timestamp,
) -> Result<Exported, ExportError> {
    let at = Folder::existing(folder)?;
    usable(folder, now)?;
    let copy = at.current()?;
    let copy = copy.ok_or(FolderError::NotInForce(Standing::Empty))?;
    let file = Out::create(out)?;
    let (exported, file) = match format {
        Format::Csv => csv(&copy, file)?,
        Format::LocalFile => local_file(&copy, types, file)?,
        Format::Index => {
            let list = Index::open(&folder.join(FILE_NAME))?.head().list.clone();
            index_to(&copy, list, &file)?;
            let entries = copy.entries()?;
            return Ok(Exported {
                entries,
                values: entries,
            });
        }
    };
    file.finish()?;
    Ok(exported)
}

/// Writes an index in a folder that only its owner may enter, and moves it out with the mode of the other forms.
fn index_to(copy: &Copy, list: ListVersion, out: &Out) -> Result<(), ExportError> {
    let io = |source| out.fault(source);
    let mut closed = out.partial.clone().into_os_string();
    closed.push(".d");
    let closed = PathBuf::from(closed);
    DirBuilder::new().mode(0o700).create(&closed).map_err(io)?;
    let written = index_in(copy, list, &closed, out);
    // What is left there nobody else can read.
    let _ = fs::remove_dir_all(&closed);
    written
}

fn index_in(copy: &Copy, list: ListVersion, closed: &Path, out: &Out) -> Result<(), ExportError> {
    let path = closed.join(FILE_NAME);
    index::write(copy, list, &path, &Steps::default())?;
    let mine = fs::set_permissions(&path, Permissions::from_mode(0o600));
    let moved = mine.and_then(|()| fs::rename(&path, &out.path));
    moved.map_err(|source| out.fault(source))
}

fn csv(copy: &Copy, file: Out) -> Result<(Exported, Out), ExportError> {
    let path = file.path.clone();
    let io = |source: io::Error| ExportError::Io {
        path: path.clone(),
        source,
    };
    let csv_io = |error: csv::Error| io(io::Error::other(error));
    let mut exported = Exported::default();
    let mut writer = csv::Writer::from_writer(file);
    writer.write_record(COLUMNS).map_err(csv_io)?;
    copy.each_live::<ExportError>(&mut |live| {
        exported.entries += 1;
        for (algorithm, value, quality) in values(live) {
            let mut row = described(live);
            row.push(algorithm.name().to_owned());
            row.push(value);
            row.push(quality.map_or_else(String::new, |quality| quality.to_string()));
            let length = live.record.fields.byte_length;
            row.push(length.map_or_else(String::new, |length| length.to_string()));
            let row = row.into_iter().map(inert);
            writer.write_record(row).map_err(csv_io)?;
            exported.values += 1;
        }
        Ok(())
    })?;
    let file = writer.into_inner();
    let file = file.map_err(|error| io(io::Error::other(error.error().to_string())))?;
    Ok((exported, file))
}

fn described(live: &Live<'_>) -> Vec<String> {
    let labels = live.labels;
    let joined =
        |names: &mut dyn Iterator<Item = &'static str>| names.collect::<Vec<_>>().join(" ");
    vec![
        live.origin.to_string(),
        live.record.entry.to_string(),
        live.record.revision.0.to_string(),
        live.seq.to_string(),
        live.class.to_string(),
        joined(&mut labels.media_kind.names()),
        joined(&mut labels.content_class.names()),
        joined(&mut labels.depiction.names()),
        labels.tlp.name().to_owned(),
        joined(&mut labels.purposes.names()),
        live.disputed.to_string(),
        live.flagged.to_string(),
    ]
}

/// The values of a record that may be matched, in lower-case hexadecimal, each with its quality.
fn values(live: &Live<'_>) -> Vec<(Algorithm, String, Option<u8>)> {
    let prints = live.record.fields.prints.iter();
    prints
        .filter(|print| print.disabled.is_none())
        .filter_map(|print| match &print.value {
            PrintValue::Inline(value) => value.algorithm().code().map(|_| {
                let algorithm = value.algorithm().clone();
                (algorithm, hex::encode(value.bytes()), print.quality)
            }),
            PrintValue::Apart { .. } => None,
        })
        .collect()
}

/// A cell that no spreadsheet takes for a formula.
fn inert(cell: String) -> String {
    match cell.as_bytes().first() {
        Some(b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r' | b'\n') => format!("'{cell}"),
        Some(_) | None => cell,
    }
}

fn local_file(
    copy: &Copy,
    types: &[SignalType],
    mut file: Out,
) -> Result<(Exported, Out), ExportError> {
    let mut exported = Exported::default();
    copy.each_live::<ExportError>(&mut |live| {
        exported.entries += 1;
        for (algorithm, value, _) in values(live) {
            for (kind, name) in SignalType::ALL {
                let is_asked = types.is_empty() || types.contains(&kind);
                let fits = kind.algorithm() == algorithm;
                if is_asked && fits && live.labels.media_kind.contains(kind.media()) {
                    let written = writeln!(file, "{name} {value}");
                    written.map_err(|source| file.fault(source))?;
                    exported.values += 1;
                }
            }
        }
        Ok(())
    })?;
    Ok((exported, file))
}

/// A file in the making, which takes its name when it is whole.
struct Out {
    path: PathBuf,
    partial: PathBuf,
    file: Option<BufWriter<File>>,
}

impl Out {
    fn create(path: &Path) -> Result<Self, ExportError> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let file = options.open(&partial).map_err(|source| ExportError::Io {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            path: path.to_owned(),
            partial,
            file: Some(BufWriter::with_capacity(1 << 20, file)),
        })
    }

    fn finish(mut self) -> Result<(), ExportError> {
        let Some(file) = self.file.take() else {
            return Ok(());
        };
        let done = file.into_inner().map_err(io::IntoInnerError::into_error);
        let done = done.and_then(|file| file.sync_all());
        let done = done.and_then(|()| fs::rename(&self.partial, &self.path));
        done.map_err(|source| self.fault(source))
    }

    fn fault(&self, source: io::Error) -> ExportError {
        ExportError::Io {
            path: self.path.clone(),
            source,
        }
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.file {
            Some(file) => file.write(bytes),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.file {
            Some(file) => file.flush(),
            None => Ok(()),
        }
    }
}

impl Drop for Out {
    fn drop(&mut self) {
        // Half a list must not pass for a whole one.
        let _ = fs::remove_file(&self.partial);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cell_that_begins_a_formula_is_made_inert() {
        for cell in ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1"] {
            assert_eq!(inert(cell.to_owned()), format!("'{cell}"));
        }
        for cell in ["", "0a=", "eu.example/eu/1"] {
            assert_eq!(inert(cell.to_owned()), cell);
        }
    }
}
