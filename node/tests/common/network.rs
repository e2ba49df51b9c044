//! Root keys and rosters, made by the program as a person makes them.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{Node, Over, hashpact, text};

/// The root key of a network and its rosters.
pub(crate) struct Network {
    pub(crate) root: PathBuf,
    pub(crate) rosters: Vec<PathBuf>,
    pub(crate) pin: String,
}

impl Network {
    /// Makes a demonstration's first roster of these centres, and applies it at each.
    pub(crate) fn found(folder: &Path, nodes: &[&Node]) -> Result<Self> {
        let network = Self::sign(folder, nodes, &["--demo"])?;
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
        let last = self.rosters.last().context("no roster")?.clone();
        let next = last.with_file_name(format!("roster-{}.txt", self.rosters.len() + 1));
        self.make(next.clone(), nodes, &["--from", &text(&last)])?;
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

/// Two running nodes on one demonstration's roster, eu and us.
pub(crate) fn two(folder: &Path, over: Over) -> Result<(Node, Node, Network)> {
    let mut eu = Node::init(folder, "eu", over)?;
    let mut us = Node::init(folder, "us", over)?;
    let network = Network::found(folder, &[&eu, &us])?;
    eu.start()?;
    us.start()?;
    Ok((eu, us, network))
}
