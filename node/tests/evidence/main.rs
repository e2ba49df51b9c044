//! What centres say of each other's entries, from the shell of one to the look-ups of the others: real nodes on loopback.
//!
//! | file | answers |
//! |---|---|
//! | `said` | attestations, disputes, feedback and their answers |
//! | `orders` | what takes two people |
//! | `delivery` | who has applied a retraction, and why it was made |

#[path = "../common/mod.rs"]
mod common;
mod delivery;
mod orders;
mod said;

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use common::{List, Network, Node, Over, until};

/// eu, us and ca, running, and a list of eu that all three hold.
pub(crate) fn three(folder: &Path) -> Result<([Node; 3], List)> {
    let node = |id| Node::init(folder, id, Over::Tcp);
    let mut nodes = [node("eu")?, node("us")?, node("ca")?];
    Network::found(folder, &nodes.each_ref())?;
    nodes.iter_mut().try_for_each(Node::start)?;
    nodes.iter().try_for_each(Node::is_sure)?;
    let list = List::write(folder, "list", 4)?;
    let [eu, us, ca] = &nodes;
    eu.ingest(&list, &[])?.ends(0)?;
    us.catches_up_with(eu)?;
    ca.catches_up_with(eu)?;
    Ok((nodes, list))
}

/// What a node says of the one entry with a SHA-256.
pub(crate) fn looked_up(node: &Node, sha256: &str) -> Result<Value> {
    let mut found = node.lookup(sha256)?;
    ensure!(found.len() == 1, "{} entries", found.len());
    found.pop().context("no entry")
}

/// Waits until each of these nodes says so of the entry.
pub(crate) fn all_say(
    what: &str,
    nodes: &[&Node],
    sha256: &str,
    holds: impl Fn(&Value) -> bool,
) -> Result<()> {
    for node in nodes {
        let mut last = Value::Null;
        let said = until(&format!("{} says: {what}", node.id), || {
            last = looked_up(node, sha256)?;
            Ok(holds(&last).then_some(()))
        });
        said.with_context(|| format!("{last}\n{}", node.last_words()))?;
    }
    Ok(())
}
