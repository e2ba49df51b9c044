//! What an auditor finds who copies the logs and is given what opens their sealed records: every disclosure of the run, judged
//! by the policies of its time.

use anyhow::{Context as _, Result, ensure};

use super::Governed;
use crate::cluster::{Node, node, node_ok};

impl Governed<'_> {
    pub(super) fn replay(&mut self) {
        self.watch.say(
            "An auditor copies the logs, is given their openings, and replays every disclosure",
        );
        let seen = self.replays();
        self.check("disclosures_replayed", seen);
    }

    fn replays(&self) -> Result<String> {
        let folder = &self.cluster.folder;
        let mut openings = Vec::new();
        for node in &self.cluster.nodes {
            let file = folder.join(format!("{}.openings", node.id));
            let file = file.display().to_string();
            node.shell_ok(&["audit", "export-openings", "--out", &file])?;
            openings.push(file);
        }
        let logs = folder.join("audit").display().to_string();
        let pin = &self.cluster.pin;
        let urls: Vec<String> = self
            .cluster
            .nodes
            .iter()
            .map(Node::url)
            .collect::<Result<_>>()?;
        let from = urls.iter().flat_map(|url| ["--from", url]);
        node_ok(
            ["audit", "mirror", &logs, "--pin", pin]
                .into_iter()
                .chain(from),
        )?;
        let verify = ["audit", "verify", &logs, "--pin", pin, "--openings"];
        let given = openings.iter().map(String::as_str);
        let (result, code) = node(verify.into_iter().chain(given))?;
        let findings = &result["findings"];
        ensure!(code == 0, "exit {code}: {findings}");
        let statements = result["disclosures"]["statements"].as_u64();
        let statements = statements.context("no disclosures in the result")?;
        let all = result["logs"].as_array().context("no logs")?;
        let sum = |what: &str| -> u64 {
            let sealed = all.iter().map(|log| log["sealed"][what].as_u64());
            sealed.map(Option::unwrap_or_default).sum()
        };
        let (opened, left) = (sum("opened"), sum("unopened") + sum("beyond"));
        ensure!(
            statements > 0 && left == 0,
            "{statements} statements, {left} records unopened"
        );
        Ok(format!(
            "{opened} sealed records of {} logs opened, {statements} transfer statements: each was allowed by the policies of its time",
            all.len()
        ))
    }
}
