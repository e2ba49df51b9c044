//! Profiles as files: a folder with `profile.toml` and `*.cedar`, or the document that was made of one.
//!
//! Why strict: a policy that is left out because its file is misnamed may be the one that forbids. In scope: bytes, bounded,
//! and where they came from. Out of scope: what they say (`hashpact_protocol::policy`).

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use hashpact_protocol::limits;
use hashpact_protocol::policy::{PolicyDocument, PolicyDocumentError, PolicyFault, Profile};

use crate::armor::{ArmorError, Kind};

/// The file of the facts.
const FACTS: &str = "profile.toml";
/// Names in a folder that are looked at: a few more than a document may have, so that too many are told as such.
const NAMES_MAX: usize = 4 * limits::POLICY_FILES;
/// Bytes of an armored document: base64 of what `keys` believes of one.
const DOCUMENT_LEN: u64 = 256 * 1024;

/// A profile that was found, not checked.
#[derive(Clone, Debug)]
pub struct Found {
    /// The folder or the document.
    pub place: PathBuf,
    /// Name and text of each file, sorted by name.
    pub files: Vec<(String, String)>,
    /// The document, if it is one; its signatures are not checked.
    pub document: Option<PolicyDocument>,
}

/// Why there is no profile at a place.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// The system refused.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Its answer.
        source: io::Error,
    },
    /// Nothing of a profile is there.
    #[error(
        "{path} holds no profile: a profile is a folder with profile.toml and files that end in .cedar", path = path.display()
    )]
    Nothing {
        /// The folder.
        path: PathBuf,
    },
    /// There are several where one was meant.
    #[error("{path} holds {got} profiles: name one of them", path = path.display())]
    Several {
        /// The folder.
        path: PathBuf,
        /// How many.
        got: usize,
    },
    /// Something that no profile holds.
    #[error("{path}: a profile holds files only: take this out of the folder", path = path.display())]
    NotAFile {
        /// The entry.
        path: PathBuf,
    },
    /// More names than a profile can have.
    #[error("{path} holds more than {NAMES_MAX} files, so it is no profile", path = path.display())]
    TooMany {
        /// The folder.
        path: PathBuf,
    },
    /// A file that is not UTF-8.
    #[error("{path}: not UTF-8 text", path = path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// A file that is neither of a profile nor a document.
    #[error("{path}: neither profile.toml, nor a .cedar file, nor a policy document: {source}", path = path.display())]
    Armor {
        /// The file.
        path: PathBuf,
        /// As a document.
        source: ArmorError,
    },
    /// A document that does not read.
    #[error("{path}: {source}", path = path.display())]
    Document {
        /// The file.
        path: PathBuf,
        /// Why.
        source: PolicyDocumentError,
    },
}

/// Every fault of a profile, each with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<String>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Faults {}

impl Found {
    /// Finds the profiles of a path. A folder is a profile, or holds profiles as folders; a file of a profile stands for the
    /// whole folder, because a document with one fault is refused as a whole.
    ///
    /// # Errors
    /// [`FindError`].
    pub fn all(path: &Path) -> Result<Vec<Self>, FindError> {
        let metadata = fs::metadata(path).map_err(io(path))?;
        if !metadata.is_dir() {
            return Self::file(path).map(|found| vec![found]);
        }
        if is_profile(path)? {
            return Self::folder(path).map(|found| vec![found]);
        }
        let mut found = Vec::new();
        for (below, is_folder) in entries(path)? {
            if is_folder && is_profile(&below)? {
                found.push(Self::folder(&below)?);
            }
        }
        if found.is_empty() {
            let path = path.to_owned();
            return Err(FindError::Nothing { path });
        }
        Ok(found)
    }

    /// The one profile of a path.
    ///
    /// # Errors
    /// As [`Found::all`]; [`FindError::Several`].
    pub fn one(path: &Path) -> Result<Self, FindError> {
        let mut all = Self::all(path)?;
        let got = all.len();
        match (all.pop(), got) {
            (Some(found), 1) => Ok(found),
            _ => Err(FindError::Several {
                path: path.to_owned(),
                got,
            }),
        }
    }

    fn file(path: &Path) -> Result<Self, FindError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name == FACTS || name.ends_with(".cedar") {
            let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
            return Self::folder(folder.unwrap_or(Path::new(".")));
        }
        Self::document(path).map(|(found, _)| found)
    }

    /// Reads a document, signed or not, and its bytes.
    ///
    /// # Errors
    /// [`FindError`].
    pub fn document(path: &Path) -> Result<(Self, Vec<u8>), FindError> {
        let text = text(path, DOCUMENT_LEN)?;
        let bytes = Kind::Policy
            .unwrap(&text)
            .map_err(|source| FindError::Armor {
                path: path.to_owned(),
                source,
            })?;
        let document =
            PolicyDocument::read_unverified(&bytes).map_err(|source| FindError::Document {
                path: path.to_owned(),
                source,
            })?;
        let found = Self {
            place: path.to_owned(),
            files: document.files.clone(),
            document: Some(document),
        };
        Ok((found, bytes))
    }

    fn folder(path: &Path) -> Result<Self, FindError> {
        let mut files = Vec::new();
        for (below, is_folder) in entries(path)? {
            if is_folder {
                return Err(FindError::NotAFile { path: below });
            }
            let name = below.file_name().unwrap_or_default().to_string_lossy();
            // One byte more than a document may have tells the one that is too long.
            let text = text(&below, limits::POLICY_BYTES as u64 + 1)?;
            files.push((name.into_owned(), text));
        }
        files.sort_unstable();
        Ok(Self {
            place: path.to_owned(),
            files,
            document: None,
        })
    }

    /// Reads and checks it.
    ///
    /// # Errors
    /// Every fault.
    pub fn profile(&self) -> Result<Profile, Faults> {
        let faults = |faults: Vec<PolicyFault>| {
            Faults(faults.iter().map(|fault| self.fault(fault)).collect())
        };
        Profile::from_files(&self.files).map_err(faults)
    }

    /// A fault with the path of its file, as editors and terminals open it.
    #[must_use]
    pub fn fault(&self, fault: &PolicyFault) -> String {
        let place = self.place.display();
        match (fault.file.is_empty(), &self.document) {
            (true, _) | (false, Some(_)) => format!("{place}: {fault}"),
            (false, None) if place.to_string() == "." => fault.to_string(),
            (false, None) => format!("{}{fault}", self.place.join("").display()),
        }
    }

    /// Bytes of names and texts: at most [`limits::POLICY_BYTES`] are a document.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let files = self.files.iter();
        files.map(|(name, text)| name.len() + text.len()).sum()
    }
}

fn io(path: &Path) -> impl FnOnce(io::Error) -> FindError {
    let path = path.to_owned();
    |source| FindError::Io { path, source }
}

/// Whether a folder holds anything of a profile.
fn is_profile(folder: &Path) -> Result<bool, FindError> {
    for entry in fs::read_dir(folder).map_err(io(folder))? {
        let entry = entry.map_err(io(folder))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_one = name == FACTS || name.ends_with(".cedar") && !name.starts_with('.');
        if is_one && !entry.path().is_dir() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What is in a folder, sorted, and whether it is a folder itself. Hidden files are an editor's or a version control's.
fn entries(folder: &Path) -> Result<Vec<(PathBuf, bool)>, FindError> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(io(folder))? {
        let path = entry.map_err(io(folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') {
            continue;
        }
        if entries.len() == NAMES_MAX {
            let path = folder.to_owned();
            return Err(FindError::TooMany { path });
        }
        let metadata = fs::metadata(&path).map_err(io(&path))?;
        if !metadata.is_dir() && !metadata.is_file() {
            return Err(FindError::NotAFile { path });
        }
        entries.push((path, metadata.is_dir()));
    }
    entries.sort_unstable();
    Ok(entries)
}

/// The first bytes of a file as text.
fn text(path: &Path, max: u64) -> Result<String, FindError> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(io(path))?;
    file.take(max).read_to_end(&mut bytes).map_err(io(path))?;
    if bytes.len() as u64 == max {
        // It is cut, perhaps inside a character; whoever asked refuses it for its length.
        return Ok(String::from_utf8_lossy(&bytes).into_owned());
    }
    String::from_utf8(bytes).map_err(|_| FindError::NotText {
        path: path.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misnamed_policy_is_not_left_out() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("profile.toml"), "").unwrap();
        fs::write(folder.path().join("share.ceder"), "").unwrap();
        fs::write(folder.path().join(".share.cedar.swp"), "").unwrap();
        let found = Found::one(folder.path()).unwrap();
        let names: Vec<_> = found.files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["profile.toml", "share.ceder"]);
        let faults = found.profile().unwrap_err().to_string();
        let file = folder.path().join("share.ceder");
        assert!(
            faults.contains(&format!("{}: a file is profile.toml", file.display())),
            "{faults}"
        );
        fs::create_dir(folder.path().join("more")).unwrap();
        assert!(matches!(
            Found::one(folder.path()),
            Err(FindError::NotAFile { .. })
        ));
    }

    #[test]
    fn a_long_text_that_is_cut_is_still_too_long() {
        let folder = tempfile::tempdir().unwrap();
        // It is cut in the middle of a character.
        let long = format!("{}é", "a".repeat(limits::POLICY_BYTES));
        fs::write(folder.path().join("profile.toml"), "").unwrap();
        fs::write(folder.path().join("share.cedar"), long).unwrap();
        let faults = Found::one(folder.path()).unwrap().profile().unwrap_err();
        assert!(faults.to_string().contains("at most 57344 bytes"));
    }
}
