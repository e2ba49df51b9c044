//! Entries that do not count yet, or not any more: what a look-up says of them.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use hashpact_node::config::Config;
use hashpact_node::daemon::open_store;
use hashpact_node::home::PassphraseSource;
use hashpact_node::store::durable::Steps;
use hashpact_protocol::delta::Seq;
use hashpact_protocol::testing::batch;
use hashpact_protocol::view::{LogState, View as _, Write};
use serde_json::{Value, json};

use crate::common::{List, Node, Over, two, until};
use crate::running;

/// The one entry with a row's hash, and the exit code of looking it up.
fn entry(node: &Node, list: &List, row: u64, code: i32) -> Result<Value> {
    let by = format!("sha256:{}", list.sha256(row));
    let answer = node.run(&["lookup", &by])?.ends(code)?;
    let entries = answer["entries"].as_array().context("no `entries`")?;
    ensure!(entries.len() == 1, "{answer}");
    Ok(entries[0].clone())
}

fn read(node: &Node, list: &List, row: u64) -> Result<(i32, String)> {
    let said = node.read(&["lookup", &format!("sha256:{}", list.sha256(row))])?;
    Ok((said.code, said.out))
}

#[test]
fn lookup_of_an_own_entry_says_pending_until_it_is_witnessed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (eu, mut us, _network) = two(folder.path(), Over::Both)?;
    let first = List::write(folder.path(), "first", 4)?;
    let second = List::write(folder.path(), "second", 4)?;
    eu.ingest(&first, &[])?.ends(0)?;
    us.catches_up_with(&eu)?;
    let in_force = |list: &List| {
        until("the entry is witnessed", || {
            let entry = entry(&eu, list, 0, 0)?;
            Ok((entry["standing"] == json!("in_force")).then_some(()))
        })
    };
    in_force(&first)?;
    // The only witness is gone.
    us.stop()?;
    eu.ingest(&second, &[])?.ends(0)?;
    let found = entry(&eu, &second, 0, 0)?;
    let standing = (&found["standing"], &found["match"], &found["frozen"]);
    ensure!(
        standing == (&json!("pending"), &json!(true), &Value::Null),
        "{found}"
    );
    let (code, said) = read(&eu, &second, 0)?;
    ensure!(
        code == 0 && said.contains(" PENDING: not witnessed yet\n"),
        "{said}"
    );
    let (_, said) = read(&eu, &first, 0)?;
    ensure!(!said.contains("PENDING"), "{said}");
    us.start()?;
    in_force(&second)?;
    us.catches_up_with(&eu)?;
    ensure!(entry(&us, &second, 0, 0)?["standing"] == json!("in_force"));
    Ok(())
}

/// Freezes the log of a node that is stopped, as a fork proof of two headers numbered 1 does.
fn freeze(node: &Node) -> Result<u64> {
    let source = PassphraseSource::of_process(None);
    let (keys, checked) = (
        node.home.unlock(&source)?,
        Config::read(&node.home.config())?,
    );
    let store = open_store(&node.home, &keys, &checked, Steps::default())?;
    let origin = checked.origin;
    let size = store.delta_index(&origin, Seq(1)).context("no delta 1")?;
    let state = LogState {
        frozen: Some(size),
        witnessed_seq: Seq(1),
        ..store.log(&origin)
    };
    store.commit(batch(vec![Write::State { origin, state }]))?;
    Ok(size)
}

#[test]
fn lookup_of_an_entry_beyond_the_fork_of_its_log_says_void_and_is_no_match() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (mut node, _network) = running(folder.path())?;
    let list = |name: &str| List::write(Path::new(folder.path()), name, 4);
    let (first, second) = (list("first")?, list("second")?);
    for list in [&first, &second] {
        node.ingest(list, &[])?.ends(0)?;
    }
    let (code, said) = read(&node, &second, 0)?;
    ensure!(code == 0 && !said.contains("VOID"), "{said}");
    node.stop()?;
    let size = freeze(&node)?;
    node.start()?;
    let found = entry(&node, &second, 0, 1)?;
    let standing = (&found["standing"], &found["match"], &found["frozen"]);
    ensure!(
        standing == (&json!("void"), &json!(false), &json!(size)),
        "{found}"
    );
    ensure!(found["retracted"] == json!(false), "{found}");
    let (code, said) = read(&node, &second, 0)?;
    let expected =
        format!("no known match: void, as eu.example/eu/1 is forked and frozen at size {size}\n");
    ensure!((code, &said) == (1, &expected), "{said}");
    let found = entry(&node, &first, 0, 0)?;
    ensure!(
        found["standing"] == json!("in_force") && found["match"] == json!(true),
        "{found}"
    );
    Ok(())
}
