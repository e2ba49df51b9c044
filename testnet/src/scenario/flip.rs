//! One bit of a copy of logs, chosen by a seed, and where an auditor must find that it is another one.
//!
//! Only files that a log of its size calls for are chosen: a partial tile that was outgrown is nobody's evidence.

use std::path::Path;

use anyhow::{Context as _, Result};
use hashpact_protocol::log::bundle_path;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

/// Leaves of a bundle and hashes of a tile.
const WIDTH: u64 = 256;
const HASH_BYTES: u64 = 32;

/// A bit of a tile or bundle.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flip {
    /// The log's origin line.
    origin: String,
    /// The file below the log's folder.
    file: String,
    byte: u64,
    bit: u8,
    /// Places of which a finding must name one.
    places: Vec<String>,
}

impl Flip {
    /// Chooses a bit of these logs, each an origin line and a size, in the folder `root`.
    pub(super) fn choose(seed: u64, root: &Path, logs: &[(String, u64)]) -> Result<Self> {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut below = |n: u64| rng.next_u64().checked_rem(n).context("nothing to flip");
        let files: Vec<(&String, String)> = logs
            .iter()
            .flat_map(|(origin, size)| files(*size).into_iter().map(move |file| (origin, file)))
            .collect();
        let at = usize::try_from(below(files.len() as u64)?)?;
        let (origin, file) = files.into_iter().nth(at).context("a file")?;
        let bytes = std::fs::read(root.join(folder_name(origin)).join(&file))?;
        let bit = below(bytes.len() as u64 * 8)?;
        let (byte, bit) = (bit / 8, u8::try_from(bit % 8)?);
        let places = places(&file, &bytes, byte);
        let origin = origin.clone();
        Ok(Self {
            origin,
            file,
            byte,
            bit,
            places,
        })
    }

    /// Flips it in the folder `root`.
    pub(super) fn apply(&self, root: &Path) -> Result<()> {
        let path = root.join(folder_name(&self.origin)).join(&self.file);
        let mut bytes = std::fs::read(&path)?;
        let byte = bytes.get_mut(usize::try_from(self.byte)?);
        *byte.context("a shorter file than before")? ^= 1 << self.bit;
        Ok(std::fs::write(path, bytes)?)
    }

    /// The line of an audit's findings that names this log and this place.
    pub(super) fn line<'a>(&self, findings: &'a str) -> Option<&'a str> {
        let names = |line: &&str| {
            let rest = line.strip_prefix("FAIL ");
            let rest = rest.and_then(|rest| rest.strip_prefix(&self.origin));
            let rest = rest.and_then(|rest| rest.strip_prefix(' '));
            rest.is_some_and(|rest| {
                let mut places = self.places.iter();
                places.any(|place| {
                    let after = rest.strip_prefix(place);
                    // `leaf 1` is another place than `leaf 12`.
                    after.is_some_and(|after| after.starts_with([':', ' ']))
                })
            })
        };
        findings.lines().find(names)
    }

    /// Which bit, in words.
    pub(super) fn describe(&self) -> String {
        let Self {
            origin,
            file,
            byte,
            bit,
            ..
        } = self;
        format!("bit {bit} of byte {byte} of {file} of {origin}")
    }
}

fn folder_name(origin: &str) -> String {
    origin.replace('/', "_")
}

/// Bundles and tiles of a log of this size.
fn files(size: u64) -> Vec<String> {
    let row = |count: u64| {
        (0..count.div_ceil(WIDTH))
            .map(move |number| bundle_path(number, (count - number * WIDTH).min(WIDTH)))
    };
    let mut files: Vec<String> = row(size).collect();
    let (mut level, mut count) = (0, size);
    while count > 0 {
        let name = format!("tile/{level}/");
        files.extend(row(count).map(|path| path.replacen("tile/entries/", &name, 1)));
        (level, count) = (level + 1, count / WIDTH);
    }
    files
}

/// Where an audit finds another byte: a hash of a tile by its file, a leaf by its index, and a leaf's length by either.
fn places(file: &str, bytes: &[u8], byte: u64) -> Vec<String> {
    let Some(number) = file.strip_prefix("tile/entries/") else {
        return vec![format!("{file}: hash {}", byte / HASH_BYTES)];
    };
    let mut index = WIDTH * bundle_number(number);
    let mut at = 0_u64;
    let mut rest = bytes;
    while let Some((len, after)) = rest.split_first_chunk::<2>() {
        let len = usize::from(u16::from_be_bytes(*len));
        let end = at + 2 + len as u64;
        if byte < at + 2 {
            return vec![file.to_owned(), format!("leaf {index}")];
        }
        if byte < end {
            return vec![format!("leaf {index}")];
        }
        (at, index) = (end, index + 1);
        rest = after.get(len..).unwrap_or_default();
    }
    vec![file.to_owned()]
}

/// The number that a path such as `x001/234.p/7` stands for.
fn bundle_number(path: &str) -> u64 {
    let whole = path.split_once(".p/").map_or(path, |(whole, _)| whole);
    let digits: String = whole.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;

    use hashpact_node::audit::result::FindingLine;
    use hashpact_node::audit::verify::{Trust, VerifyOptions, verify};
    use hashpact_protocol::testing::published::{NOW, Published};

    use super::*;

    const ORIGIN: &str = "eu.example/eu/1";

    fn write(published: &Published, root: &Path) {
        for (path, bytes) in published.folder() {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    }

    /// The lines as `audit verify` prints them.
    fn findings(published: &Published, root: &Path) -> String {
        let options = VerifyOptions {
            trust: Trust::Pin(published.rosters[0].roster().network),
            bodies: None,
            openings: Vec::new(),
            cedar: None,
            jobs: NonZero::<usize>::MIN,
            now: NOW,
        };
        let result = verify(root, &options, &|| ()).unwrap();
        let line = |line: &FindingLine| {
            let log = line.log.clone().unwrap_or_default();
            format!("FAIL {log} {}: {}\n", line.place, line.text)
        };
        result.findings.iter().map(line).collect()
    }

    #[test]
    fn whichever_bit_is_flipped_an_audit_names_its_place() {
        let published = Published::with_deltas(260);
        let folder = tempfile::tempdir().unwrap();
        write(&published, folder.path());
        let logs = [(ORIGIN.to_owned(), published.size)];
        let whole = findings(&published, folder.path());
        let mut files = std::collections::BTreeSet::new();
        for seed in 0..24 {
            let flip = Flip::choose(seed, folder.path(), &logs).unwrap();
            files.insert(flip.file.clone());
            assert_eq!(flip.line(&whole), None, "{flip:?}");
            flip.apply(folder.path()).unwrap();
            let found = findings(&published, folder.path());
            assert!(flip.line(&found).is_some(), "{flip:?}\n{found}");
            flip.apply(folder.path()).unwrap();
        }
        // Both bundles, both tiles of level 0 and the one above them.
        assert_eq!(files.len(), 5, "{files:?}");
    }

    #[test]
    fn one_seed_chooses_one_bit() {
        let published = Published::with_deltas(3);
        let folder = tempfile::tempdir().unwrap();
        write(&published, folder.path());
        let logs = [(ORIGIN.to_owned(), published.size)];
        let choose = |seed| Flip::choose(seed, folder.path(), &logs).unwrap();
        assert_eq!(choose(1), choose(1));
        assert_ne!(choose(1), choose(2));
        assert!(Flip::choose(1, folder.path(), &[]).is_err());
    }

    #[test]
    fn line_of_another_place_or_log_is_not_the_one() {
        let flip = Flip {
            origin: ORIGIN.to_owned(),
            file: "tile/entries/000.p/13".to_owned(),
            byte: 9,
            bit: 0,
            places: vec!["leaf 1".to_owned()],
        };
        for line in [
            "FAIL eu.example/eu/1 leaf 12: x",
            "FAIL us.example/us/1 leaf 1: x",
            "FAIL eu.example/eu/11 leaf 1: x",
            "WARN eu.example/eu/1 leaf 1: x",
            "Everything here verifies.",
        ] {
            assert_eq!(flip.line(line), None, "{line}");
        }
        let right = "FAIL eu.example/eu/1 leaf 1 (delta 0): x";
        let out = format!("FAIL eu.example/eu/1 leaf 0: x\n{right}\nNot everything here verifies.");
        assert_eq!(flip.line(&out), Some(right));
        assert_eq!(
            flip.line("FAIL eu.example/eu/1 leaf 1: x"),
            Some("FAIL eu.example/eu/1 leaf 1: x")
        );
    }

    #[test]
    fn a_log_has_the_files_that_its_size_calls_for() {
        assert_eq!(files(0), [""; 0]);
        assert_eq!(files(5), ["tile/entries/000.p/5", "tile/0/000.p/5"]);
        assert_eq!(
            files(257),
            [
                "tile/entries/000",
                "tile/entries/001.p/1",
                "tile/0/000",
                "tile/0/001.p/1",
                "tile/1/000.p/1"
            ]
        );
        assert_eq!(bundle_number("x001/234.p/7"), 1_234);
    }
}
