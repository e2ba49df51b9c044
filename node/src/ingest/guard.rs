//! Warninglists: values that must never become entries here, besides those that the protocol refuses at every door.
//!
//! What: MISP warninglists of type `string`, as they are published, in the folder `guards/` of the data folder; they are public and
//! read anew for each list that is taken in. Why a broken one stops the ingest: a guard that is passed over in silence is
//! none. Compared by type: 64 hexadecimal digits are SHA-256 and never PDQ. In scope: reading and asking, at ingest. Out of
//! scope: what others send and what is held already.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use hashpact_protocol::fingerprint::{Algorithm, Fingerprint};
use serde::Deserialize;

use crate::store::index::keys::fingerprint_key;
use crate::store::index::{IndexKey, Key};

/// Values of all lists together: 64 MiB of memory while a list is read.
const VALUES_MAX: usize = 4 << 20;
/// Most bytes of a warninglist.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Why a warninglist cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuardError {
    /// Not a warninglist.
    #[error("no MISP warninglist of at most 64 MiB: it needs name, version, type and list")]
    Form,
    /// Of another type than exact values.
    #[error("a warninglist of type {got}: only type string holds whole values")]
    Type {
        /// The type, if it is one of MISP's.
        got: &'static str,
    },
    /// More values than are kept.
    #[error("more than {VALUES_MAX} guarded values")]
    TooMany,
}

#[derive(Deserialize)]
struct Warninglist {
    name: String,
    version: u64,
    #[serde(rename = "type")]
    kind: String,
    list: Vec<String>,
}

/// A warninglist. No Debug: its keys tell equal values.
struct GuardList {
    /// Name and version, for reports.
    title: String,
    keys: Vec<Key>,
}

impl GuardList {
    /// Entries that are no hash of known length are passed over.
    fn from_misp(bytes: &[u8], key: &IndexKey) -> Result<Self, GuardError> {
        let list: Warninglist = serde_json::from_slice(bytes).map_err(|_| GuardError::Form)?;
        if list.kind != "string" {
            let kinds = ["substring", "hostname", "cidr", "regex"];
            let got = kinds.into_iter().find(|kind| *kind == list.kind);
            let got = got.unwrap_or("unknown");
            return Err(GuardError::Type { got });
        }
        let mut keys: Vec<Key> = list
            .list
            .iter()
            .filter_map(|text| key_of(text, key))
            .collect();
        keys.sort_unstable();
        keys.dedup();
        let plain = list.name.chars().filter(|c| !c.is_control()).take(64);
        let name: String = plain.collect();
        Ok(Self {
            title: format!("{name}, version {}", list.version),
            keys,
        })
    }
}

/// The key of a value whose length says what it is: in a warninglist 64 digits are SHA-256.
fn key_of(text: &str, key: &IndexKey) -> Option<Key> {
    let text = text.trim();
    let algorithm = match text.len() {
        32 => Algorithm::Md5,
        40 => Algorithm::Sha1,
        64 => Algorithm::Sha256,
        _ => return None,
    };
    // What the protocol refuses anyway needs no place here.
    let print = Fingerprint::from_text(algorithm, text).ok()?;
    fingerprint_key(key, &print)
}

/// All warninglists of this node.
#[derive(Default)]
pub struct Guards(Vec<GuardList>);

impl Guards {
    /// Reads every `.json` of a folder; no folder is no lists.
    ///
    /// # Errors
    /// Those of reading; [`io::ErrorKind::InvalidData`] with a [`GuardError`] if one cannot be used, naming the file.
    pub fn read(folder: &Path, key: &IndexKey) -> io::Result<Self> {
        let files = match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            files => files?,
        };
        let mut paths = Vec::new();
        for file in files {
            paths.push(file?.path());
        }
        paths.retain(|path| path.extension().is_some_and(|end| end == "json"));
        paths.sort_unstable();
        let (mut lists, mut values) = (Vec::new(), 0);
        for path in paths {
            let bad = |error: GuardError| {
                let text = format!("{}: {error}", path.display());
                io::Error::new(io::ErrorKind::InvalidData, text)
            };
            let mut bytes = Vec::new();
            let file = fs::File::open(&path)?;
            file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
            if bytes.len() as u64 > FILE_BYTES_MAX {
                return Err(bad(GuardError::Form));
            }
            let list = GuardList::from_misp(&bytes, key).map_err(bad)?;
            values += list.keys.len();
            if values > VALUES_MAX {
                return Err(bad(GuardError::TooMany));
            }
            lists.push(list);
        }
        Ok(Self(lists))
    }

    /// Name and version of the list that has a value.
    #[must_use]
    pub fn list_of(&self, key: &Key) -> Option<&str> {
        let mut lists = self.0.iter();
        let found = lists.find(|list| list.keys.binary_search(key).is_ok());
        found.map(|list| list.title.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"{"name":"Common IOC false positives","description":"d","version":20,"type":"string","list":[
        "3::","D41D8CD98F00B204E9800998ECF8427E","900150983cd24fb0d6963f7d28e17f72",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","not a hash"],"matching_attributes":["md5","filename|md5"]}"#;

    fn key() -> IndexKey {
        IndexKey::new(&[3; 32])
    }

    fn of(algorithm: Algorithm, text: &str) -> Key {
        let print = Fingerprint::from_text(algorithm, text).unwrap();
        fingerprint_key(&key(), &print).unwrap()
    }

    #[test]
    fn a_warninglist_guards_hashes_by_type_and_passes_over_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("list.json"), LIST).unwrap();
        fs::write(folder.path().join("readme.txt"), "not read").unwrap();
        let guards = Guards::read(folder.path(), &key()).unwrap();
        assert_eq!(guards.0[0].keys.len(), 2);
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let hit = guards.list_of(&of(Algorithm::Sha256, abc));
        assert_eq!(hit, Some("Common IOC false positives, version 20"));
        assert!(guards.list_of(&of(Algorithm::Pdq, abc)).is_none());
        let md5 = of(Algorithm::Md5, "900150983cd24fb0d6963f7d28e17f72");
        assert!(guards.list_of(&md5).is_some());
        assert!(
            Guards::read(&folder.path().join("none"), &key())
                .unwrap()
                .0
                .is_empty()
        );
    }

    #[test]
    fn a_list_that_cannot_be_used_stops_the_ingest_and_is_named() {
        for text in [
            LIST.replace("\"string\"", "\"regex\""),
            "{}".to_owned(),
            LIST[..100].to_owned(),
        ] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("broken.json"), text).unwrap();
            let error = Guards::read(folder.path(), &key()).err().unwrap();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            assert!(error.to_string().contains("broken.json"), "{error}");
        }
    }
}
