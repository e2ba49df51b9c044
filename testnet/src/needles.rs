//! Secrets looked for in what a run leaves behind: raw, in hexadecimal, in base64, wherever they begin.
//!
//! Why: that no fingerprint and no key gets out is a claim about every byte of every file and of both directions of a
//! conversation, and a claim of absence is worth what the search would have found. So each search is shown to find: see
//! [`Needles::prove`]. In scope: bytes as they lie there. Out of scope: what is compressed or encrypted; that is meant to hide.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Bytes that are read at once.
const PIECE: usize = 1 << 20;
/// Bytes of a form that are compared before all of it is.
const HEAD: usize = 8;

/// How a secret is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// Its bytes.
    Raw,
    /// Hexadecimal, small letters or capitals.
    Hex,
    /// Base64 of either alphabet, beginning at any of three places of what is encoded.
    Base64,
}

/// Where something was found. It says which, not what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The name under which it is looked for.
    pub name: String,
    /// How it is written there.
    pub form: Form,
    /// At which byte.
    pub at: u64,
}

/// What is looked for.
#[derive(Default)]
pub struct Needles {
    names: Vec<String>,
    secrets: Vec<Vec<u8>>,
    /// Each form with its first bytes, sorted by them.
    forms: Vec<(u64, Form, usize, Vec<u8>)>,
    /// Which first three bytes occur: nearly every place is passed over by this alone.
    heads: Vec<u64>,
    longest: usize,
}

impl Needles {
    /// Secrets with their names. Names are printed, secrets never.
    ///
    /// # Errors
    /// Fails for a secret so short that it would be found by chance.
    pub fn new(secrets: impl IntoIterator<Item = (String, Vec<u8>)>) -> Result<Self> {
        let mut needles = Self {
            heads: vec![0; (1 << 24) / 64],
            ..Self::default()
        };
        for (name, secret) in secrets {
            ensure!(secret.len() >= 16, "{name} is too short to be looked for");
            let which = needles.names.len();
            for (form, bytes) in forms(&secret) {
                let head = head(&bytes);
                let place = usize::try_from(head >> 40)?;
                needles.heads[place / 64] |= 1 << (place % 64);
                needles.longest = needles.longest.max(bytes.len());
                needles.forms.push((head, form, which, bytes));
            }
            needles.names.push(name);
            needles.secrets.push(secret);
        }
        needles.forms.sort_unstable();
        Ok(needles)
    }

    /// How many are looked for.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether nothing is looked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The first secret in these bytes.
    #[must_use]
    pub fn find(&self, bytes: &[u8]) -> Option<Found> {
        let windows = bytes.windows(HEAD).enumerate();
        for (at, window) in windows {
            let place =
                usize::from(window[0]) << 16 | usize::from(window[1]) << 8 | usize::from(window[2]);
            if self
                .heads
                .get(place / 64)
                .is_none_or(|word| word >> (place % 64) & 1 == 0)
            {
                continue;
            }
            let head = head(window);
            let first = self.forms.partition_point(|(other, ..)| *other < head);
            let mut same = self.forms[first..]
                .iter()
                .take_while(|(other, ..)| *other == head);
            if let Some((_, form, which, _)) = same.find(|(.., form)| bytes[at..].starts_with(form))
            {
                return Some(Found {
                    name: self.names[*which].clone(),
                    form: *form,
                    at: at as u64,
                });
            }
        }
        None
    }

    /// The first secret in what is read. Memory: two pieces.
    ///
    /// # Errors
    /// Fails if it cannot be read.
    pub fn find_in(&self, mut reader: impl Read) -> io::Result<Option<Found>> {
        let keep = self.longest.saturating_sub(1);
        let (mut bytes, mut passed) = (Vec::with_capacity(PIECE + keep), 0_u64);
        loop {
            let read = reader.by_ref().take(PIECE as u64).read_to_end(&mut bytes)?;
            if let Some(found) = self.find(&bytes) {
                let at = passed + found.at;
                return Ok(Some(Found { at, ..found }));
            }
            if read == 0 {
                return Ok(None);
            }
            // What begins here may end in the next piece.
            let done = bytes.len().saturating_sub(keep);
            bytes.drain(..done);
            passed += done as u64;
        }
    }

    /// Every file below a folder in which a secret is found, and how many bytes were read.
    ///
    /// # Errors
    /// Fails if a file cannot be read.
    pub fn find_below(&self, folder: &Path) -> Result<Searched> {
        let mut searched = Searched::default();
        self.search(folder, &mut searched)?;
        Ok(searched)
    }

    fn search(&self, path: &Path, searched: &mut Searched) -> Result<()> {
        let meta = std::fs::symlink_metadata(path);
        let meta = meta.with_context(|| path.display().to_string())?;
        if meta.is_dir() {
            let mut entries: Vec<PathBuf> = std::fs::read_dir(path)?
                .map(|entry| Ok(entry?.path()))
                .collect::<io::Result<_>>()?;
            entries.sort();
            return entries
                .iter()
                .try_for_each(|entry| self.search(entry, searched));
        }
        if meta.is_file() {
            let file = File::open(path).with_context(|| path.display().to_string())?;
            searched.files += 1;
            searched.bytes += meta.len();
            let found = self.find_in(file)?;
            searched
                .found
                .extend(found.map(|found| (path.to_owned(), found)));
        }
        Ok(())
    }

    /// Shows that a search of a folder finds: one secret of these is planted in it in each form, found and removed. A run in
    /// which this fails has shown nothing by finding nothing.
    ///
    /// # Errors
    /// Fails if one is not found, or the folder cannot be written.
    pub fn prove(&self, folder: &Path) -> Result<()> {
        let planted = self.secrets.len() / 2;
        let secret = self.secrets.get(planted).context("nothing is looked for")?;
        let file = folder.join("planted");
        for (form, bytes) in forms(secret) {
            // Across the seam of two pieces.
            let mut text = vec![b'.'; PIECE - bytes.len() / 2];
            text.extend(&bytes);
            std::fs::write(&file, text)?;
            let searched = self.find_below(folder)?;
            let found = searched.found.iter().find(|(path, _)| *path == file);
            let is_it = found.is_some_and(|(_, found)| found.name == self.names[planted]);
            std::fs::remove_file(&file)?;
            ensure!(is_it, "a planted secret was not found ({form:?})");
        }
        Ok(())
    }
}

/// What a search has seen.
#[derive(Debug, Default)]
pub struct Searched {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The first secret of each file that has one.
    pub found: Vec<(PathBuf, Found)>,
}

fn head(bytes: &[u8]) -> u64 {
    bytes[..HEAD]
        .iter()
        .fold(0, |head, byte| head << 8 | u64::from(*byte))
}

/// Every way to write a secret that is looked for.
fn forms(secret: &[u8]) -> Vec<(Form, Vec<u8>)> {
    let mut forms = vec![
        (Form::Raw, secret.to_vec()),
        (Form::Hex, hex::encode(secret).into_bytes()),
        (Form::Hex, hex::encode_upper(secret).into_bytes()),
    ];
    for before in 0..3 {
        // Signs that depend on what stands before or behind are left out.
        let padded = [vec![0; before], secret.to_vec()].concat();
        let first = (before * 8).div_ceil(6);
        let last = padded.len() * 8 / 6;
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let text = engine.encode(&padded).into_bytes();
            forms.push((Form::Base64, text[first..last].to_vec()));
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn secret(n: u8) -> Vec<u8> {
        (0..32_u8)
            .map(|at| at.wrapping_mul(37).wrapping_add(n) ^ 0x5a)
            .collect()
    }

    fn needles() -> Needles {
        Needles::new((0..200).map(|n| (format!("secret {n}"), secret(n)))).unwrap()
    }

    #[test]
    fn a_secret_is_found_in_any_form_at_any_place() {
        let needles = needles();
        for before in 0..5 {
            let text = [vec![b'x'; before], secret(7), vec![b'y'; 4]].concat();
            for (form, bytes) in [
                (Form::Raw, text.clone()),
                (Form::Hex, hex::encode(&text).into_bytes()),
                (Form::Hex, hex::encode_upper(&text).into_bytes()),
                (Form::Base64, STANDARD.encode(&text).into_bytes()),
                (Form::Base64, URL_SAFE_NO_PAD.encode(&text).into_bytes()),
            ] {
                let found = needles.find(&bytes).unwrap();
                assert_eq!(
                    (found.name.as_str(), found.form),
                    ("secret 7", form),
                    "{before}"
                );
            }
        }
    }

    #[test]
    fn what_is_not_whole_or_not_looked_for_is_not_found() {
        let needles = needles();
        assert_eq!(needles.find(&secret(201)), None);
        assert_eq!(needles.find(&secret(7)[..31]), None);
        assert_eq!(needles.find(b""), None);
        assert!(Needles::new([("short".to_owned(), vec![1; 15])]).is_err());
    }

    #[test]
    fn a_secret_on_the_seam_of_two_pieces_is_found_where_it_is() {
        let needles = needles();
        for at in [
            0,
            PIECE - 31,
            PIECE - 1,
            PIECE,
            2 * PIECE - 16,
            3 * PIECE + 5,
        ] {
            let text = [vec![b'.'; at], secret(9), vec![b'.'; 3]].concat();
            let found = needles.find_in(&text[..]).unwrap().unwrap();
            assert_eq!((found.name.as_str(), found.at), ("secret 9", at as u64));
        }
        assert_eq!(
            needles.find_in(io::repeat(b'.').take(3 << 20)).unwrap(),
            None
        );
    }

    #[test]
    fn a_folder_is_searched_to_its_end_and_shown_to_be() {
        let needles = needles();
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(deep.join("clean"), "nothing").unwrap();
        assert!(needles.find_below(dir.path()).unwrap().found.is_empty());
        needles.prove(dir.path()).unwrap();
        std::fs::write(deep.join("log"), hex::encode(secret(3))).unwrap();
        let searched = needles.find_below(dir.path()).unwrap();
        assert_eq!((searched.files, searched.bytes), (2, 7 + 64));
        assert_eq!(searched.found[0].0, deep.join("log"));
        assert_eq!(searched.found[0].1.name, "secret 3");
    }
}
