//! The lists that the centres ingest: real checksums from Debian that the program carries, one's own, or synthetic ones.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use sha2::{Digest as _, Sha256};

/// A list that the program carries.
struct Carried {
    centre: &'static str,
    file: &'static str,
    packed: &'static [u8],
    profile: &'static str,
}

macro_rules! carried {
    ($($centre:literal $file:literal;)+) => {
        &[$(Carried {
            centre: $centre,
            file: $file,
            packed: include_bytes!(concat!("../lists/", $file, ".gz")),
            profile: include_str!(concat!("../lists/", $centre, ".toml")),
        }),+]
    };
}

const CARRIED: &[Carried] = carried! {
    "eu" "eu.csv";
    "us" "us.csv";
    "ca" "ca.md5";
    "au" "au.csv";
    "nz" "nz.sha256";
};

/// A list in a folder, ready for `ingest`.
#[derive(Clone, Debug)]
pub struct List {
    /// The list.
    pub file: PathBuf,
    /// Its profile.
    pub profile: PathBuf,
}

/// Unpacks a centre's carried list into a folder.
///
/// # Errors
/// Fails if the folder cannot be written, or no list is carried for the centre.
pub fn carried(centre: &str, folder: &Path) -> io::Result<List> {
    let list = CARRIED.iter().find(|list| list.centre == centre);
    let list = list.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, centre.to_owned()))?;
    let file = folder.join(list.file);
    io::copy(&mut GzDecoder::new(list.packed), &mut File::create(&file)?)?;
    let profile = folder.join(format!("{centre}.toml"));
    std::fs::write(&profile, list.profile)?;
    Ok(List { file, profile })
}

/// The profile of synthetic lists, for a centre of this jurisdiction.
fn synthetic_profile(jurisdiction: &str) -> String {
    format!(
        r#"[source]
name = "synthetic"
format = "csv"

[columns]
md5 = "md5"
sha256 = "sha256"

[label]
value = "made"
scheme = "synthetic"
version = "1"
issuer = "synthetic"

[labels]
media_kind = "unknown"
content_class = "unknown"
state = "assessed"
depiction = "unknown"
minor_certain = "no"
age_claim = "unknown"
self_generated = "unknown"
context_flags = []
legal_basis = "voluntary"
legal_status = {{}}
residency = ["{jurisdiction}"]
applicable_law = []
tlp = "AMBER"
hops = 1
recipients = ["centre"]
purposes = ["statistics"]
"#
    )
}

/// Writes a synthetic list: MD5-sized and SHA-256 values that are hashes of a counter.
///
/// # Errors
/// Fails if the folder cannot be written.
pub fn synthetic(
    centre: &str,
    jurisdiction: &str,
    entries: u64,
    folder: &Path,
) -> io::Result<List> {
    let file = folder.join(format!("{centre}-synthetic.csv"));
    let mut out = BufWriter::with_capacity(1 << 20, File::create(&file)?);
    out.write_all(b"md5,sha256\n")?;
    for n in 0..entries {
        let hash = Sha256::digest(format!("hashpact synthetic {centre} {n}"));
        let short = Sha256::digest(hash);
        writeln!(out, "{},{}", hex::encode(&short[..16]), hex::encode(hash))?;
    }
    out.flush()?;
    let profile = folder.join(format!("{centre}-synthetic.toml"));
    std::fs::write(&profile, synthetic_profile(jurisdiction))?;
    Ok(List { file, profile })
}

/// One's own list: `list.csv` with its profile `list.toml` beside it.
///
/// # Errors
/// Fails if one of the two is missing.
pub fn own(file: &Path) -> io::Result<List> {
    let profile = file.with_extension("toml");
    for path in [file, &profile] {
        if !path.is_file() {
            let text = format!(
                "{}: not there (a list needs its profile beside it)",
                path.display()
            );
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
    }
    Ok(List {
        file: file.to_owned(),
        profile,
    })
}

/// The first fingerprint of a list, as `lookup` takes it. Understands the carried and the synthetic forms.
///
/// # Errors
/// Fails if the list cannot be read or holds no row.
pub fn first_fingerprint(list: &List) -> io::Result<String> {
    let text = std::fs::read_to_string(&list.file)?;
    let none = || io::Error::new(io::ErrorKind::InvalidData, "the list holds no row");
    let digest =
        |text: &str| -> String { text.chars().take_while(char::is_ascii_hexdigit).collect() };
    let mut lines = text.lines();
    let first = lines.next().ok_or_else(none)?;
    let value = match digest(first) {
        value if value.len() >= 32 => value,
        _ => digest(lines.next().ok_or_else(none)?),
    };
    let algorithm = match value.len() {
        32 => "md5",
        40 => "sha1",
        64 => "sha256",
        _ => return Err(none()),
    };
    Ok(format!("{algorithm}:{value}"))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use hashpact_keys::Jurisdiction;
    use hashpact_node::ingest::{Profile, StageContext, Summary, stage};
    use hashpact_node::store::index::{Index, IndexKey};

    use super::*;

    /// Both passes over a list, against an index that is empty; fails at the first report line.
    pub(crate) fn summary(list: &List, jurisdiction: &str, folder: &Path) -> Summary {
        let path = list.profile.display().to_string();
        let text = std::fs::read_to_string(&list.profile).unwrap();
        let profile = Profile::from_toml(&text, &path).unwrap();
        let (key, staging) = (IndexKey::new(&[7; 32]), folder.join("staging"));
        let jurisdiction: Jurisdiction = jurisdiction.parse().unwrap();
        let context = StageContext::new(&key, &staging, "list", &jurisdiction);
        let file = File::open(&list.file).unwrap();
        let staged = stage(file, &profile, &context, &mut |_| {}, &mut |line| {
            panic!("{}", line.to_json())
        });
        let resolved = staged
            .unwrap()
            .resolve(&Index::default(), 0, &mut |_| {}, &mut |line| {
                panic!("{}", line.to_json())
            });
        resolved.unwrap().summary().clone()
    }

    #[test]
    fn every_row_of_the_carried_lists_is_taken() {
        let rows: BTreeMap<&str, u64> = CARRIED
            .iter()
            .map(|carried_list| {
                let folder = tempfile::tempdir().unwrap();
                let centre = carried_list.centre;
                let list = carried(centre, folder.path()).unwrap();
                let summary = summary(&list, &centre.to_uppercase(), folder.path());
                assert_eq!(
                    summary.accepted,
                    summary.rows,
                    "{centre}: {}",
                    summary.to_json()
                );
                (centre, summary.rows)
            })
            .collect();
        for founder in ["eu", "us", "ca", "au"] {
            assert!(rows[founder] >= 10_000, "{founder}: {} rows", rows[founder]);
        }
        assert_eq!(rows.len(), 5);
    }

    #[test]
    fn first_fingerprint_is_one_of_the_list_in_every_form() {
        let folder = tempfile::tempdir().unwrap();
        let algorithms = [
            ("eu", "md5"),
            ("us", "sha256"),
            ("ca", "md5"),
            ("au", "sha1"),
            ("nz", "sha256"),
        ];
        for (centre, algorithm) in algorithms {
            let list = carried(centre, folder.path()).unwrap();
            let first = first_fingerprint(&list).unwrap();
            let value = first.strip_prefix(&format!("{algorithm}:")).unwrap();
            let text = std::fs::read_to_string(&list.file).unwrap();
            let row = text.lines().take(2).any(|line| line.starts_with(value));
            assert!(row, "{centre}: {first} does not begin the first row");
        }
    }

    #[test]
    fn no_list_is_carried_for_another_centre() {
        let folder = tempfile::tempdir().unwrap();
        let error = carried("zz", folder.path()).unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (io::ErrorKind::NotFound, "zz")
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn synthetic_list_has_as_many_rows_as_asked_and_none_in_common_with_another() {
        let folder = tempfile::tempdir().unwrap();
        let eu = synthetic("eu", "EU", 500, folder.path()).unwrap();
        let us = synthetic("us", "US", 500, folder.path()).unwrap();
        for (list, jurisdiction) in [(&eu, "EU"), (&us, "US")] {
            let summary = summary(list, jurisdiction, folder.path());
            assert_eq!((summary.rows, summary.accepted), (500, 500));
        }
        let lines = |list: &List| -> std::collections::BTreeSet<String> {
            let text = std::fs::read_to_string(&list.file).unwrap();
            text.lines().skip(1).map(str::to_owned).collect()
        };
        assert!(lines(&eu).is_disjoint(&lines(&us)));
        let again = tempfile::tempdir().unwrap();
        assert_eq!(
            lines(&synthetic("eu", "EU", 500, again.path()).unwrap()),
            lines(&eu)
        );
    }

    #[test]
    fn own_list_needs_its_profile_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mine.csv");
        let missing = |name: &str| {
            let error = own(&file).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
            assert!(error.to_string().contains(name), "{error}");
        };
        missing("mine.csv: not there");
        std::fs::write(&file, "sha256\n").unwrap();
        missing("mine.toml: not there");
        std::fs::write(folder.path().join("mine.toml"), "").unwrap();
        assert_eq!(own(&file).unwrap().profile, folder.path().join("mine.toml"));
        // A list without a row has no first fingerprint.
        let error = first_fingerprint(&own(&file).unwrap()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
