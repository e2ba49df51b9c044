//! Root keys and rosters, made by the program as a person makes them.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{Node, Over, Witness, hashpact, text};

/// The root key of a network and its rosters.
pub(crate) struct Network {
    pub(crate) root: PathBuf,
    pub(crate) rosters: Vec<PathBuf>,
    pub(crate) pin: String,
}

impl Network {
    /// Makes a demonstration's first roster of these centres, and applies it at each.
    pub(crate) fn found(folder: &Path, nodes: &[&Node]) -> Result<Self> {
        Self::found_with(folder, nodes, &[])
    }

    /// As [`Network::found`], with more on the roster.
    pub(crate) fn found_with(folder: &Path, nodes: &[&Node], more: &[&str]) -> Result<Self> {
        let network = Self::sign(folder, nodes, &[&["--demo"], more].concat())?;
        let roster = text(&network.rosters[0]);
        for node in nodes {
            node.run(&["roster", "apply", &roster, "--pin", &network.pin])?
                .ends(0)?;
        }
        Ok(network)
    }

    /// Makes the first roster of these centres and applies it nowhere.
    pub(crate) fn sign(folder: &Path, nodes: &[&Node], more: &[&str]) -> Result<Self> {
        let (root, roster) = (folder.join("root.key"), folder.join("roster-1.txt"));
        hashpact(["roster", "key", &text(&root)])?.ends(0)?;
        let mut network = Self {
            root,
            rosters: Vec::new(),
            pin: String::new(),
        };
        let made = network.make(roster, nodes, more)?;
        network.pin = made["network"].as_str().context("no hash")?.to_owned();
        Ok(network)
    }

    /// Makes the version that follows, with these centres added.
    pub(crate) fn next(&mut self, nodes: &[&Node]) -> Result<String> {
        self.next_with(nodes, &[])
    }

    /// As [`Network::next`], with more changed.
    pub(crate) fn next_with(&mut self, nodes: &[&Node], more: &[&str]) -> Result<String> {
        let last = self.rosters.last().context("no roster")?.clone();
        let next = last.with_file_name(format!("roster-{}.txt", self.rosters.len() + 1));
        let from = text(&last);
        let args = [&["--from", from.as_str()], more].concat();
        self.make(next.clone(), nodes, &args)?;
        Ok(text(&next))
    }

    fn make(&mut self, out: PathBuf, nodes: &[&Node], more: &[&str]) -> Result<Value> {
        let mut args = vec!["roster".to_owned(), "new".to_owned()];
        args.extend([
            "--root".to_owned(),
            text(&self.root),
            "--out".to_owned(),
            text(&out),
        ]);
        for node in nodes {
            args.extend(["--enrol".to_owned(), text(&node.home.enrolment())]);
        }
        args.extend(more.iter().copied().map(str::to_owned));
        let made = hashpact(args)?.ends(0)?;
        self.rosters.push(out);
        Ok(made)
    }
}

/// Two running nodes on one demonstration's roster, eu and us, each of whom has heard the other: either may be stopped.
pub(crate) fn two(folder: &Path, over: Over) -> Result<(Node, Node, Network)> {
    let mut eu = Node::init(folder, "eu", over)?;
    let mut us = Node::init(folder, "us", over)?;
    let network = Network::found(folder, &[&eu, &us])?;
    eu.start()?;
    us.start()?;
    eu.is_sure()?;
    us.is_sure()?;
    Ok((eu, us, network))
}

/// Three centres, eu, us and ca, not started, and an auditor's witness that runs: one of the four may be away.
pub(crate) fn audited(folder: &Path, over: Over) -> Result<([Node; 3], Witness, Network)> {
    let node = |id| Node::init(folder, id, over);
    let nodes = [node("eu")?, node("us")?, node("ca")?];
    let mut witness = Witness::init(folder, "w1", &[])?;
    let enrolment = witness.enrolment();
    let all = [&nodes[0], &nodes[1], &nodes[2]];
    let network = Network::found_with(folder, &all, &["--auditor", &enrolment])?;
    let roster = text(&network.rosters[0]);
    witness
        .run(&["roster", "apply", &roster, "--pin", &network.pin])?
        .ends(0)?;
    for node in &nodes {
        node.configure(&witness.section())?;
    }
    witness.start()?;
    Ok((nodes, witness, network))
}
