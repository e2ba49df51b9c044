//! A fifth jurisdiction by files only: a centre whose id and country no code names joins, and gets nothing until it has logged
//! the profile that its files hold; then it gives and takes by it. What is expected of it comes from a file too.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use hashpact_protocol::testing::policies::PROFILES;

use super::Governed;
use crate::cluster::ProfileFiles;
use crate::mixed::Mixed;

/// How long it may take to mirror every log.
const MIRRORS: Duration = Duration::from_secs(120);

impl Governed<'_> {
    pub(super) fn newcomer(&mut self) {
        let seen = self.joins();
        self.check("fifth_jurisdiction_by_files_only", seen);
    }

    fn joins(&mut self) -> Result<String> {
        let here: Vec<String> = self
            .cluster
            .nodes
            .iter()
            .map(|node| node.id.clone())
            .collect();
        let mut others = PROFILES
            .iter()
            .filter(|name| !here.iter().any(|id| id == *name));
        let id = others.next().context("no profile is left")?;
        let profile = ProfileFiles::of(id)?;
        let jurisdiction = profile.jurisdiction()?;
        self.watch.say(&format!(
            "A fifth centre, {id}, joins under the law of {jurisdiction}, of which no code knows"
        ));
        self.cluster.join(id, &jurisdiction)?;
        let what = format!("{id} mirrors every log");
        let mirrors = |all: &[hashpact_node::daemon::Status]| {
            let newest = all.last();
            newest.is_some_and(|status| {
                all[..all.len() - 1].iter().all(|other| {
                    let mut logs = status.mirrored.iter();
                    logs.any(|log| log.origin == other.own.origin && log.size == other.own.size)
                })
            })
        };
        self.watch.until(&self.cluster, MIRRORS, &what, mirrors)?;
        // It has no profile, so by the filter it may hold nothing; that must stay so.
        self.settle().context("before its profile is logged")?;
        let node = self.cluster.node(id)?;
        profile.log(node)?;
        self.laws.add(id)?;
        self.settle().context("after its profile is logged")?;
        let taken = self.held_by(id);
        self.ingest(Mixed::of(id))?;
        let held = self.settle().context("after its list was taken in")?;
        let given = self.held_of(id);
        ensure!(
            taken > 0 && given > 0,
            "{id} took {taken} entries and gave {given}"
        );
        Ok(format!(
            "{id} held nothing before it logged its profile, then {taken} entries, and {given} of its own went to others; entries held: {held}"
        ))
    }

    /// Entries of others that a centre should hold, and does.
    fn held_by(&self, centre: &str) -> usize {
        let items = self.stock.items.iter();
        let items = items.filter(|item| item.origin != centre && item.holders.contains_key(centre));
        items.map(|item| item.case.entries.len()).sum()
    }

    /// Entries of a centre that others should hold, and do: once for each of them.
    fn held_of(&self, centre: &str) -> usize {
        let items = self.stock.items.iter().filter(|item| item.origin == centre);
        items
            .map(|item| (item.holders.len() - 1) * item.case.entries.len())
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    /// Lines of the program that name it, tests and what stands behind a feature for tests left out.
    fn lines_with(folder: &Path, words: &[String], found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "testing" && name != "tests" {
                lines_with(&path, words, found);
            }
            let is_test = name.starts_with("tests") || name.starts_with("testing");
            if path.extension().is_none_or(|ending| ending != "rs") || is_test {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let program = text.split("#[cfg(test)]").next().unwrap_or_default();
            let lines = program
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            let names = |line: &&str| words.iter().any(|word| line.contains(word));
            found.extend(lines.filter(names).map(|line| format!("{name}: {line}")));
        }
    }

    #[test]
    fn no_code_names_a_centre_or_country_that_may_join() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let words: Vec<String> = ["uk", "nz", "GB", "NZ"]
            .map(|word| format!("\"{word}\""))
            .into();
        let mut found = Vec::new();
        for part in ["keys/src", "protocol/src", "node/src"] {
            lines_with(&root.join(part), &words, &mut found);
        }
        assert_eq!(found, [""; 0]);
        // The search finds what is there.
        let mut founders = Vec::new();
        lines_with(
            &root.join("testnet/src"),
            &["\"eu\"".to_owned()],
            &mut founders,
        );
        assert!(!founders.is_empty());
    }
}
