//! What another process verifies with nothing but a mirror of the logs and the network's hash, and what it says when one bit
//! of the mirror is another one.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use hashpact_node::audit::report::read_result;
use hashpact_node::audit::result::AuditResult;

use super::flip::Flip;
use super::witness::{is_complete, is_witnessed};
use super::{REACT, Run};
use crate::cluster::{Node, Said, node_ok, say};

/// Where the auditor keeps things.
pub(super) struct Paths {
    /// The copy of all logs.
    pub(super) logs: PathBuf,
    /// The same with one bit flipped.
    pub(super) flipped: PathBuf,
    /// A copy that was brought up to date after one log was forked.
    pub(super) forked: PathBuf,
    /// The report as a page.
    pub(super) html: PathBuf,
    /// The report as JSON.
    pub(super) json: PathBuf,
}

impl Paths {
    pub(super) fn below(folder: &Path) -> Self {
        let audit = folder.join("audit");
        Self {
            logs: audit.join("logs"),
            flipped: audit.join("flipped"),
            forked: audit.join("forked"),
            html: audit.join("report.html"),
            json: audit.join("report.json"),
        }
    }
}

impl Run<'_> {
    pub(super) fn audit(&mut self) -> Result<()> {
        self.watch
            .say("An auditor copies all logs and verifies the copy, first as it is, then with one bit flipped");
        let paths = Paths::below(&self.cluster.folder);
        let what = "every cosignature and receipt on every log";
        let done = |all: &[_]| is_witnessed(all) && is_complete(all);
        let whole = self.watch.until(&self.cluster, REACT, what, done);
        let green = whole.and_then(|_| self.green(&paths));
        self.check_all("audit_green", vec![green]);
        let red = self.red(&paths);
        self.check_all("audit_flipped_bit_red", vec![red]);
        Ok(())
    }

    /// Copies from these centres.
    pub(super) fn mirror(&self, logs: &Path, from: &[Node]) -> Result<()> {
        let logs = logs.display().to_string();
        let mut args = vec!["audit", "mirror", &logs, "--pin", &self.cluster.pin];
        let urls: Vec<String> = from.iter().map(Node::url).collect::<Result<_>>()?;
        args.extend(urls.iter().flat_map(|url| ["--from", url]));
        node_ok(args).context("audit mirror")?;
        Ok(())
    }

    /// Verifies in a process that is told of the folder and the pin, and of no home.
    pub(super) fn verify(&self, logs: &Path) -> Result<Said> {
        let logs = logs.display().to_string();
        say(["audit", "verify", &logs, "--pin", &self.cluster.pin])
    }

    /// As [`Run::verify`], with the newest roster's file in place of the pin.
    fn verify_with_roster(&self, logs: &Path) -> Result<Said> {
        let logs = logs.display().to_string();
        let roster = self.cluster.newest_roster()?.display().to_string();
        say(["audit", "verify", &logs, "--roster", &roster])
    }

    fn green(&mut self, paths: &Paths) -> Result<String> {
        let started = Instant::now();
        self.mirror(&paths.logs, &self.cluster.nodes)?;
        let mirrored = started.elapsed().as_secs_f64() * 1e3;
        self.outcome.figure("audit_mirror", mirrored, "ms");
        let started = Instant::now();
        let said = self.verify(&paths.logs)?;
        let verified = started.elapsed().as_secs_f64() * 1e3;
        self.outcome.figure("audit_verify", verified, "ms");
        for said in [said, self.verify_with_roster(&paths.logs)?] {
            ensure!(said.code == 0, "exit {}: {}", said.code, brief(&said));
        }
        let result = self.report(paths)?;
        let centres = self.cluster.nodes.len();
        let logs = result.logs.len();
        ensure!(logs == centres, "{logs} logs of {centres} centres");
        let (mut leaves, mut deltas, mut notes) = (0, 0, 0);
        for log in &result.logs {
            let sums = (log.size, log.deltas, log.notes);
            ensure!(sums.0 > 0 && sums.2 > 0, "{} is empty", log.origin);
            leaves += sums.0;
            deltas += sums.1;
            notes += sums.2;
        }
        Ok(format!(
            "{logs} logs, {leaves} leaves, {deltas} deltas, {notes} witnessed checkpoints: all verify"
        ))
    }

    /// Has the report written, and reads it back.
    fn report(&self, paths: &Paths) -> Result<AuditResult> {
        let text = |path: &Path| path.display().to_string();
        let (logs, html, json) = (text(&paths.logs), text(&paths.html), text(&paths.json));
        let to = ["--html", &html, "--json-file", &json];
        let args = ["audit", "report", &logs, "--pin", &self.cluster.pin];
        node_ok(args.iter().chain(&to)).context("audit report")?;
        let page = std::fs::read_to_string(&paths.html)?;
        ensure!(page.starts_with("<!DOCTYPE html>"), "the report is no page");
        Ok(read_result(&paths.json)?)
    }

    fn red(&self, paths: &Paths) -> Result<String> {
        let result = read_result(&paths.json).context("no result of the whole copy")?;
        let logs: Vec<(String, u64)> = result
            .logs
            .iter()
            .map(|log| (log.origin.clone(), log.size))
            .collect();
        copy_folder(&paths.logs, &paths.flipped)?;
        let flip = Flip::choose(self.plan.seed, &paths.flipped, &logs)?;
        flip.apply(&paths.flipped)?;
        let said = self.verify(&paths.flipped)?;
        let which = flip.describe();
        ensure!(
            said.code == 1,
            "{which}: exit {}: {}",
            said.code,
            brief(&said)
        );
        match flip.line(&said.out) {
            Some(line) => Ok(format!("{which}: {line}")),
            None => bail!("{which}: no line names it: {}", brief(&said)),
        }
    }
}

/// The first findings, or whatever else was said.
pub(super) fn brief(said: &Said) -> String {
    let said = if said.out.is_empty() {
        &said.err
    } else {
        &said.out
    };
    let lines: Vec<&str> = said.lines().take(3).collect();
    lines.join(" | ")
}

/// Copies a folder.
pub(super) fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
