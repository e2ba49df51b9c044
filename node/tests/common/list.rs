//! Made-up lists: hashes of a name and a number.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use sha2::{Digest as _, Sha256};

/// A list of made-up hashes in a folder.
pub(crate) struct List {
    pub(crate) file: PathBuf,
    pub(crate) profile: PathBuf,
    pub(crate) name: String,
    pub(crate) rows: u64,
}

/// Every label stated; the kind of medium varies, which makes four policy classes.
pub(crate) const PROFILE: &str = r#"[source]
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
media_kind = { column = "kind" }
content_class = "unknown"
state = "assessed"
depiction = "unknown"
minor_certain = "no"
age_claim = "unknown"
self_generated = "unknown"
context_flags = []
legal_basis = "voluntary"
legal_status = {}
residency = []
applicable_law = []
tlp = "AMBER"
hops = 1
recipients = ["centre"]
purposes = ["statistics"]
"#;

impl List {
    /// Writes a list with these rows, and its profile beside it.
    pub(crate) fn write(folder: &Path, name: &str, rows: u64) -> Result<Self> {
        let profile = folder.join("list.toml");
        fs::write(&profile, PROFILE)?;
        let list = Self {
            file: folder.join(format!("{name}.csv")),
            profile,
            name: name.to_owned(),
            rows,
        };
        let mut text = b"md5,sha256,kind\n".to_vec();
        for row in 0..rows {
            writeln!(text, "{}", list.row(row))?;
        }
        fs::write(&list.file, text)?;
        Ok(list)
    }

    /// Writes these lines instead, below the header.
    pub(crate) fn rewrite(&self, lines: &[String]) -> Result<()> {
        Ok(fs::write(
            &self.file,
            format!("md5,sha256,kind\n{}\n", lines.join("\n")),
        )?)
    }

    /// The row's line in the file.
    pub(crate) fn row(&self, row: u64) -> String {
        let kind = ["image", "video", "audio", "text"][usize::from(row.to_le_bytes()[0] % 4)];
        format!("{},{},{kind}", self.md5(row), self.sha256(row))
    }

    pub(crate) fn sha256(&self, row: u64) -> String {
        sha256_of(&self.name, row)
    }

    pub(crate) fn md5(&self, row: u64) -> String {
        hex::encode(&Sha256::digest(self.sha256(row))[..16])
    }
}

/// The SHA-256 of a row of a list.
pub(crate) fn sha256_of(name: &str, row: u64) -> String {
    hex::encode(Sha256::digest(format!("{name} {row}")))
}
