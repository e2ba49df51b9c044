//! Where the passphrase of sealed keys comes from.
//!
//! Why: a service has no terminal, and a passphrase in an argument or in an environment variable is everybody's to read.
//! The ways, in this order: a file that is named, a systemd credential, a prompt. In scope: finding and reading it. Out of
//! scope: what it opens (`hashpact_keys::sealed`).

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use hashpact_keys::sealed::Passphrase;
use zeroize::Zeroizing;

/// The credential's name: `LoadCredential=hashpact-passphrase:…` in a unit file.
pub const CREDENTIAL: &str = "hashpact-passphrase";

/// Bytes in the first line at most: a page of text is no passphrase but the wrong file.
const LINE_MAX: usize = 1024;
/// Whoever is not the owner may do nothing with a file that is named.
const OTHERS: u32 = 0o077;
/// Where systemd grants a service its credential by an access list, the list's mask shows as "the group may read".
const OTHERS_OF_CREDENTIAL: u32 = 0o037;

/// Where to look for a passphrase.
#[derive(Clone, Debug)]
pub struct PassphraseSource {
    file: Option<PathBuf>,
    credentials: Option<PathBuf>,
    terminal: bool,
}

/// Why there is no passphrase. No variant holds any of it.
#[derive(Debug, thiserror::Error)]
pub enum PassphraseError {
    /// There is no way to one.
    #[error(
        "a passphrase is needed: give --passphrase-file FILE (or HASHPACT_PASSPHRASE_FILE), or the systemd credential `{CREDENTIAL}`, or run this at a terminal to be asked"
    )]
    NoWay,
    /// There is no way to a new one.
    #[error(
        "a new passphrase is needed: give --new-passphrase-file FILE, or run this at a terminal to be asked"
    )]
    NoWayToNew,
    /// A file cannot be read.
    #[error("{path}: the passphrase cannot be read: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The fault.
        source: io::Error,
    },
    /// Others can read the file too.
    #[error("{path}: mode {mode:o} lets others at the passphrase; it must be 600", path = path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The first line is empty.
    #[error("{path}: the first line is empty, and it should be the passphrase", path = path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The first line is no passphrase.
    #[error("{path}: the first line is longer than {LINE_MAX} bytes, so no passphrase", path = path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// The terminal failed, or the person ended the prompt.
    #[error("no passphrase from the terminal: {0}")]
    Prompt(io::Error),
    /// The person typed two different ones.
    #[error("the two passphrases differ")]
    Differ,
}

impl PassphraseSource {
    /// The ways that are open to this process: the file, if one is named; the credential, if systemd hands one over; and a
    /// prompt, if a person is there.
    #[must_use]
    pub fn of_process(file: Option<PathBuf>) -> Self {
        Self {
            file,
            credentials: std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from),
            // Only where both are one: a prompt into a log or out of a pipe is nobody's.
            terminal: io::stdin().is_terminal() && io::stderr().is_terminal(),
        }
    }

    /// This file and no other way.
    #[must_use]
    pub fn file(file: PathBuf) -> Self {
        Self {
            file: Some(file),
            credentials: None,
            terminal: false,
        }
    }

    /// No way: for homes whose keys are plain.
    #[must_use]
    pub fn none() -> Self {
        Self {
            file: None,
            credentials: None,
            terminal: false,
        }
    }

    /// The passphrase that is in use. `of` says to a person what it opens.
    ///
    /// # Errors
    /// [`PassphraseError`].
    pub fn read(&self, of: &Path) -> Result<Passphrase, PassphraseError> {
        if let Some(passphrase) = self.read_files()? {
            return Ok(passphrase);
        }
        match self.terminal {
            true => ask(&format!("Passphrase of the keys in {}: ", of.display())),
            false => Err(PassphraseError::NoWay),
        }
    }

    /// A passphrase to be: a person types it twice.
    ///
    /// # Errors
    /// [`PassphraseError`].
    pub fn read_first(&self, of: &Path) -> Result<Passphrase, PassphraseError> {
        if let Some(passphrase) = self.read_files()? {
            return Ok(passphrase);
        }
        match self.terminal {
            true => ask_twice(of),
            false => Err(PassphraseError::NoWay),
        }
    }

    /// A passphrase to be, from this file or typed twice. The ways to the one in use do not lead to it.
    ///
    /// # Errors
    /// [`PassphraseError`].
    pub fn read_next(&self, file: Option<&Path>, of: &Path) -> Result<Passphrase, PassphraseError> {
        match (file, self.terminal) {
            (Some(file), _) => first_line(file, OTHERS),
            (None, true) => ask_twice(of),
            (None, false) => Err(PassphraseError::NoWayToNew),
        }
    }

    fn read_files(&self) -> Result<Option<Passphrase>, PassphraseError> {
        if let Some(file) = &self.file {
            return first_line(file, OTHERS).map(Some);
        }
        let credential = self
            .credentials
            .as_ref()
            .map(|folder| folder.join(CREDENTIAL));
        match credential.filter(|file| file.exists()) {
            Some(file) => first_line(&file, OTHERS_OF_CREDENTIAL).map(Some),
            None => Ok(None),
        }
    }
}

fn first_line(path: &Path, others: u32) -> Result<Passphrase, PassphraseError> {
    let failed = |source| PassphraseError::Read {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.mode() & 0o7777;
    let path = path.to_owned();
    if mode & others != 0 {
        return Err(PassphraseError::Mode { path, mode });
    }
    // Twice the room: a buffer that grows leaves copies of the secret behind.
    let mut text = Zeroizing::new(Vec::with_capacity(2 * LINE_MAX));
    let read = file.take(LINE_MAX as u64 + 2).read_to_end(&mut text);
    read.map_err(|source| PassphraseError::Read {
        path: path.clone(),
        source,
    })?;
    if let Some(end) = text.iter().position(|byte| *byte == b'\n') {
        text.truncate(end);
    }
    if text.last() == Some(&b'\r') {
        text.pop();
    }
    match text.len() {
        0 => Err(PassphraseError::Empty { path }),
        1..=LINE_MAX => Ok(Passphrase::new(text)),
        _ => Err(PassphraseError::TooLong { path }),
    }
}

fn ask(prompt: &str) -> Result<Passphrase, PassphraseError> {
    typed(prompt).map(Passphrase::new)
}

fn ask_twice(of: &Path) -> Result<Passphrase, PassphraseError> {
    let first = typed(&format!("New passphrase of the keys in {}: ", of.display()))?;
    let second = typed("The same again: ")?;
    match first == second {
        true => Ok(Passphrase::new(first)),
        false => Err(PassphraseError::Differ),
    }
}

fn typed(prompt: &str) -> Result<Zeroizing<Vec<u8>>, PassphraseError> {
    let text = rpassword::prompt_password(prompt).map_err(PassphraseError::Prompt)?;
    Ok(Zeroizing::new(text.into_bytes()))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn file(folder: &Path, name: &str, text: &[u8], mode: u32) -> PathBuf {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }

    fn credentials(folder: &Path) -> PassphraseSource {
        PassphraseSource {
            file: None,
            credentials: Some(folder.to_owned()),
            terminal: false,
        }
    }

    fn refused(source: &PassphraseSource) -> PassphraseError {
        source.read(Path::new("eu")).err().unwrap()
    }

    #[test]
    fn file_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for open in [0o640, 0o604, 0o620, 0o602, 0o644] {
            let path = file(folder.path(), "open", b"correct horse battery\n", open);
            let error = refused(&PassphraseSource::file(path));
            assert!(
                matches!(error, PassphraseError::Mode { mode, .. } if mode == open),
                "{open:o}"
            );
        }
    }

    /// A service that is not root finds its credential with an access list, which shows as 0440.
    #[test]
    fn credential_may_show_its_access_list_and_nothing_more() {
        let folder = tempfile::tempdir().unwrap();
        let line = b"correct horse battery\n";
        for mode in [0o400, 0o440, 0o600] {
            fs::remove_file(folder.path().join(CREDENTIAL)).ok();
            file(folder.path(), CREDENTIAL, line, mode);
            assert!(credentials(folder.path()).read(Path::new("eu")).is_ok());
        }
        for open in [0o444, 0o460, 0o442] {
            fs::remove_file(folder.path().join(CREDENTIAL)).ok();
            file(folder.path(), CREDENTIAL, line, open);
            let error = refused(&credentials(folder.path()));
            assert!(
                matches!(error, PassphraseError::Mode { mode, .. } if mode == open),
                "{open:o}"
            );
        }
    }

    #[test]
    fn only_the_first_line_is_the_passphrase() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sealed");
        let keys = hashpact_keys::sealed::KeySet::new(&[1; 32]);
        use hashpact_keys::sealed::{Cost, FRESH_LEN, Replace, SealedKeys};
        let plain = Passphrase::new(Zeroizing::new(b"correct horse battery".to_vec()));
        let (fresh, never) = ([1; FRESH_LEN], Replace::Never);
        SealedKeys::seal(&path, &keys, &plain, Cost::LEAST, &fresh, never).unwrap();
        let sealed = SealedKeys::read(&path).unwrap();
        let cases: [(&[u8], bool); 6] = [
            (b"correct horse battery", true),
            (b"correct horse battery\n", true),
            (b"correct horse battery\r\n", true),
            (b"correct horse battery\nmore\n", true),
            (b" correct horse battery\n", false),
            (b"correct horse battery \n", false),
        ];
        for (text, opens) in cases {
            let source = PassphraseSource::file(file(folder.path(), "passphrase", text, 0o600));
            let passphrase = source.read(Path::new("eu")).ok().unwrap();
            assert_eq!(sealed.open(&passphrase, &[]).is_ok(), opens, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_passphrase_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let source =
            |text: &[u8]| PassphraseSource::file(file(folder.path(), "passphrase", text, 0o600));
        for empty in [&b""[..], b"\n", b"\r\n", b"\nsecond\n"] {
            let error = refused(&source(empty));
            assert!(matches!(error, PassphraseError::Empty { .. }), "{empty:?}");
        }
        let longest = vec![b'x'; LINE_MAX];
        assert!(source(&longest).read(Path::new("eu")).is_ok());
        let line = [&longest[..], b"\r\n"].concat();
        assert!(source(&line).read(Path::new("eu")).is_ok());
        for long in [[&longest[..], b"x\n"].concat(), vec![b'x'; 1 << 20]] {
            let error = refused(&source(&long));
            assert!(matches!(error, PassphraseError::TooLong { .. }), "{error}");
        }
        let missing = PassphraseSource::file(folder.path().join("none"));
        assert!(matches!(refused(&missing), PassphraseError::Read { .. }));
    }

    #[test]
    fn nothing_is_asked_where_nobody_is() {
        let folder = tempfile::tempdir().unwrap();
        for source in [PassphraseSource::none(), credentials(folder.path())] {
            assert!(matches!(refused(&source), PassphraseError::NoWay));
            let next = source.read_next(None, Path::new("eu")).err();
            assert!(matches!(next, Some(PassphraseError::NoWayToNew)));
        }
    }
}
