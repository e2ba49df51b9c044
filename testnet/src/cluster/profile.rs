//! A centre's policy profile: files that it logs through the commands that an operator uses.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use hashpact_protocol::testing::policies::profile_files;

use super::Node;

/// Whoever signs a profile at a centre: two people.
const SIGNERS: [&str; 2] = ["policy-1.key", "policy-2.key"];

/// The file with the facts and grants.
const FACTS: &str = "profile.toml";

/// The files of a profile.
#[derive(Clone, Debug)]
pub struct ProfileFiles(Vec<(String, String)>);

impl ProfileFiles {
    /// Those that come with the program under this name, but for one line: what widens is in force at once, since a run
    /// does not last a day.
    ///
    /// # Errors
    /// Fails if there is none of this name.
    pub fn of(name: &str) -> Result<Self> {
        let files = profile_files(name);
        ensure!(!files.is_empty(), "no profile {name}");
        let mut files = Self(files);
        let delay = "widen_after_hours = 24";
        ensure!(files.facts()?.contains(delay), "{name}: no delay of a day");
        let at_once = files.facts()?.replace(delay, "widen_after_hours = 0");
        *files.facts_mut()? = at_once;
        Ok(files)
    }

    /// The same without the right to give anything to a centre; what that one gives is taken as before.
    ///
    /// # Errors
    /// Fails if nothing is given to it.
    pub fn without_giving_to(&self, centre: &str) -> Result<Self> {
        let mut files = self.clone();
        let facts = files.facts()?;
        let with = format!("with = {{ centre = \"{centre}\" }}");
        let narrow = |grant: &str| match grant.contains(&with) {
            true => grant.replace("\"share\", \"reshare\", ", ""),
            false => grant.to_owned(),
        };
        let grants: Vec<String> = facts.split("[[grant]]").map(narrow).collect();
        let narrower = grants.join("[[grant]]");
        ensure!(narrower != *facts, "nothing is given to {centre}");
        *files.facts_mut()? = narrower;
        Ok(files)
    }

    /// The same with so many items a day for whoever may match.
    ///
    /// # Errors
    /// Fails if nobody may.
    pub fn with_match_per_day(&self, items: u64) -> Result<Self> {
        let mut files = self.clone();
        let terms = files.facts()?.split_inclusive('\n').map(|line| {
            let quota = line
                .split_once("per_day = ")
                .filter(|_| line.starts_with("match = "));
            quota.map_or_else(
                || line.to_owned(),
                |(before, _)| format!("{before}per_day = {items} }}\n"),
            )
        });
        let limited: String = terms.collect();
        ensure!(limited != *files.facts()?, "nobody may match");
        *files.facts_mut()? = limited;
        Ok(files)
    }

    /// Has it signed twice and logged by a node that runs.
    ///
    /// # Errors
    /// Fails if a command does.
    pub fn log(&self, node: &Node) -> Result<()> {
        let home = node.home.path();
        let folder = home.join("profile");
        std::fs::create_dir_all(&folder)?;
        for (name, text) in &self.0 {
            std::fs::write(folder.join(name), text)?;
        }
        let text = |path: &Path| path.display().to_string();
        // A document is never written over.
        let names = (1..).map(|version| home.join(format!("profile-{version}.txt")));
        let mut free = names.filter(|path| !path.exists());
        let document = free.next().context("a name for the document")?;
        let (folder, document) = (text(&folder), text(&document));
        node.shell_ok(&["policy", "new", &folder, "--out", &document])?;
        for signer in SIGNERS {
            let key = text(&home.join(signer));
            node.shell_ok(&["policy", "sign", &document, "--key", &key])?;
        }
        node.shell_ok(&["policy", "apply", &document])?;
        Ok(())
    }

    /// The jurisdiction that it is for.
    ///
    /// # Errors
    /// Fails if it does not say.
    pub fn jurisdiction(&self) -> Result<String> {
        let facts: toml::Table = self.facts()?.parse()?;
        let jurisdiction = facts.get("jurisdiction").and_then(toml::Value::as_str);
        Ok(jurisdiction.context("no jurisdiction")?.to_owned())
    }

    fn facts(&self) -> Result<&String> {
        let found = self.0.iter().find(|(name, _)| name == FACTS);
        found.map(|(_, text)| text).context("no facts")
    }

    fn facts_mut(&mut self) -> Result<&mut String> {
        let found = self.0.iter_mut().find(|(name, _)| name == FACTS);
        found.map(|(_, text)| text).context("no facts")
    }
}

/// Makes a centre's two policy keys, and puts them on its enrolment, which each of them signs.
pub(super) fn make_keys(node: &Node) -> Result<()> {
    let keys = SIGNERS.map(|signer| node.home.path().join(signer).display().to_string());
    let mut enrol = vec!["enrol".to_owned()];
    for key in &keys {
        let made = node.shell_ok(&["policy", "key", "new", "--plain", key])?;
        let public = made["public"].as_str().context("a public key")?;
        enrol.extend(["--policy-key".to_owned(), public.to_owned()]);
    }
    node.shell_ok(&enrol.iter().map(String::as_str).collect::<Vec<_>>())?;
    let enrolment = node.home.enrolment().display().to_string();
    for key in &keys {
        node.shell_ok(&["policy", "key", "enrol", &enrolment, "--key", key])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use hashpact_protocol::policy::Profile;

    use super::*;

    #[test]
    fn every_profile_is_whole_without_its_delay_and_says_its_jurisdiction() {
        for (name, jurisdiction) in [("eu", "EU"), ("us", "US"), ("uk", "GB")] {
            let files = ProfileFiles::of(name).unwrap();
            assert_eq!(files.jurisdiction().unwrap(), jurisdiction);
            let profile = Profile::from_files(&files.0).unwrap();
            assert_eq!(profile.widen_after(), 0);
        }
        assert!(ProfileFiles::of("zz").is_err());
    }

    #[test]
    fn a_quota_is_put_in_place_of_that_of_every_grant() {
        let files = ProfileFiles::of("us")
            .unwrap()
            .with_match_per_day(25_000)
            .unwrap();
        let facts: toml::Table = files.facts().unwrap().parse().unwrap();
        let grants = facts["grant"].as_array().unwrap().iter();
        let quotas: Vec<i64> = grants
            .filter_map(|grant| grant.get("match")?.get("per_day")?.as_integer())
            .collect();
        assert!(!quotas.is_empty() && quotas.iter().all(|quota| *quota == 25_000));
        assert!(Profile::from_files(&files.0).is_ok());
    }

    #[test]
    fn narrower_profile_gives_one_centre_nothing_and_changes_no_other_grant() {
        let whole = ProfileFiles::of("eu").unwrap();
        let narrower = whole.without_giving_to("ca").unwrap();
        let gives = |files: &ProfileFiles| -> Vec<String> {
            let facts: toml::Table = files.facts().unwrap().parse().unwrap();
            let grants = facts["grant"].as_array().unwrap().iter();
            let gives = grants.filter(|grant| {
                let actions = grant["actions"].as_array().unwrap();
                let mut actions = actions.iter().filter_map(toml::Value::as_str);
                actions.any(|action| action == "share" || action == "reshare")
            });
            gives
                .map(|grant| grant["id"].as_str().unwrap().to_owned())
                .collect()
        };
        let lost: Vec<String> = gives(&whole)
            .into_iter()
            .filter(|id| !gives(&narrower).contains(id))
            .collect();
        assert_eq!(lost, ["demo-ca"]);
        assert!(Profile::from_files(&narrower.0).is_ok());
        assert!(whole.without_giving_to("zz").is_err());
    }
}
