//! The provider's own program: `hashpact member init`, `sync`, `export` and `check`, as its engineer runs them.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::cluster::{Cluster, Node, node, node_ok};

/// Between two tries.
const PAUSE: Duration = Duration::from_secs(1);

/// A provider's home, its token and its copy.
pub(super) struct Provider {
    home: String,
    token: String,
    copy: PathBuf,
    folder: PathBuf,
}

impl Provider {
    /// Has a centre let it in, and makes its home.
    pub(super) fn admit(
        name: &str,
        centre: &Node,
        folder: &Path,
        cluster: &Cluster,
    ) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let law = centre.jurisdiction.as_str();
        let who = ["--jurisdiction", law, "--sector", "platform"];
        centre.shell_ok(&[&["member", "add", name][..], &who].concat())?;
        let issued = centre.shell_ok(&["member", "credential", "issue", name])?;
        let token = folder.join("token");
        let options = fs::File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&token);
        options?.write_all(issued["token"].as_str().context("a token")?.as_bytes())?;
        let home = folder.join("home").display().to_string();
        let mut args: Vec<String> = ["--home", &home, "member", "init", "--pin", &cluster.pin]
            .map(str::to_owned)
            .to_vec();
        args.extend(["--centre".to_owned(), centre.id.clone()]);
        for roster in cluster.rosters() {
            args.extend(["--roster".to_owned(), roster.display().to_string()]);
        }
        node_ok(args)?;
        Ok(Self {
            home,
            token: token.display().to_string(),
            copy: folder.join("copy"),
            folder: folder.to_owned(),
        })
    }

    /// Synchronises until the copy holds exactly these; what the last pass that changed something said.
    pub(super) fn sync_until(
        &self,
        address: &str,
        expected: &BTreeSet<String>,
        limit: Duration,
    ) -> Result<Value> {
        let deadline = Instant::now() + limit;
        let copy = self.copy.display().to_string();
        let (home, token) = (self.home.as_str(), self.token.as_str());
        let mut last = Value::Null;
        loop {
            let sync = ["--home", home, "member", "sync", &copy, "--from", address];
            let (report, code) = node([&sync[..], &["--token-file", token]].concat())?;
            if code == 0 {
                let change = report["change"].as_object();
                let changed = change.is_some_and(|all| all.values().any(|count| *count != 0));
                if changed || last.is_null() {
                    last = report;
                }
                let held = self.held()?;
                if held == *expected {
                    return Ok(last);
                }
                // What it may not have must not be there for a moment.
                let surplus = held.difference(expected).count();
                let lacks = expected.difference(&held).count();
                ensure!(
                    Instant::now() < deadline,
                    "not within {} s: the copy lacks {lacks} entries and has {surplus} too many",
                    limit.as_secs()
                );
            } else {
                ensure!(Instant::now() < deadline, "sync: exit {code}: {report}");
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// The SHA-256 values of the copy, by way of an export.
    fn held(&self) -> Result<BTreeSet<String>> {
        let file = self.folder.join("copy.csv");
        let out = file.display().to_string();
        let copy = self.copy.display().to_string();
        let (said, code) = node(["member", "export", &copy, "--format", "csv", &out])?;
        ensure!(code == 0, "export: exit {code}: {said}");
        let text = fs::read_to_string(&file)?;
        let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let head = lines.next().context("a header")?;
        let column = |name| head.iter().position(|cell| *cell == name);
        let algorithm = column("algorithm").context("a column algorithm")?;
        let value = column("value").context("a column value")?;
        // Labels stand before the values and may hold commas in quotes: counted from the end.
        let from_end = [head.len() - algorithm, head.len() - value];
        let row = |cells: Vec<&str>| {
            let [algorithm, value] = from_end.map(|at| cells.get(cells.len().checked_sub(at)?));
            Some(format!("{}:{}", algorithm?, value?))
        };
        let rows: Option<BTreeSet<String>> = lines.map(row).collect();
        rows.context("a row of the export is short")
    }

    /// Writes files, some of which are listed, and checks their folder; which were found.
    pub(super) fn check(
        &self,
        listed: impl Iterator<Item = String>,
        strangers: impl Iterator<Item = String>,
    ) -> Result<String> {
        let uploads = self.folder.join("uploads");
        fs::create_dir_all(uploads.join("below"))?;
        let mut expected = BTreeSet::new();
        for (number, text) in listed.enumerate() {
            let path = uploads.join("below").join(format!("{number}.bin"));
            fs::write(&path, text)?;
            expected.insert(path.display().to_string());
        }
        for (number, text) in strangers.enumerate() {
            fs::write(uploads.join(format!("{number}.txt")), text)?;
        }
        let (copy, folder) = (
            self.copy.display().to_string(),
            uploads.display().to_string(),
        );
        let (said, code) = node(["member", "check", "--dir", &copy, &folder])?;
        ensure!(code == 0, "check: exit {code}: {said}");
        let matches = said["matches"].as_array().context("matches")?;
        let found: BTreeSet<String> = matches
            .iter()
            .filter_map(|row| row["file"].as_str().map(str::to_owned))
            .collect();
        ensure!(
            found == expected,
            "{} files found, {} of them rightly; {} should",
            found.len(),
            found.intersection(&expected).count(),
            expected.len()
        );
        Ok(format!(
            "{} files of {} in tier T1",
            found.len(),
            said["files"]
        ))
    }
}
