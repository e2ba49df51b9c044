//! A centre under policy, whose documents two people sign.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::{Network, Node, Over, hashpact, text};

/// A centre with the keys of two people on the roster, and the roster's other centres.
pub(crate) struct Ruled {
    pub(crate) node: Node,
    pub(crate) keys: [String; 2],
}

impl Ruled {
    pub(crate) fn init(folder: &Path, id: &str) -> Result<Self> {
        let node = Node::init(folder, id, Over::Tcp)?;
        let key = |name: &str| text(&folder.join(format!("{id}-{name}.key")));
        let keys = [key("alice"), key("bob")];
        for key in &keys {
            hashpact(["policy", "key", "new", "--plain", key])?.ends(0)?;
        }
        node.run(&["enrol", "--policy-key", &keys[0], "--policy-key", &keys[1]])?
            .ends(0)?;
        Ok(Self { node, keys })
    }

    /// Logs a profile under both keys; the index of its leaf.
    pub(crate) fn apply(&self, folder: &Path, name: &str) -> Result<u64> {
        let out = text(&folder.join(format!("{name}.txt")));
        let place = text(&folder.join(name));
        let [a, b] = &self.keys;
        let args = [
            "policy", "new", &place, "--out", &out, "--key", a, "--key", b,
        ];
        self.node.run(&args)?.ends(0)?;
        let logged = self.node.run(&["policy", "apply", &out])?.ends(0)?;
        logged["index"].as_u64().context("no index")
    }
}

/// eu and us, each with two policy keys, running.
pub(crate) fn ruled_two(folder: &Path) -> Result<(Ruled, Ruled)> {
    let (mut eu, mut us) = (Ruled::init(folder, "eu")?, Ruled::init(folder, "us")?);
    Network::found(folder, &[&eu.node, &us.node])?;
    for ruled in [&mut eu, &mut us] {
        ruled.node.start()?;
    }
    eu.node.is_sure()?;
    us.node.is_sure()?;
    Ok((eu, us))
}
