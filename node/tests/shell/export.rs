//! Handing bodies to an auditor.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Result, ensure};
use serde_json::json;

use crate::common::{List, Over, hashpact, text, two};
use crate::one;

fn mode(path: &Path) -> Result<u32> {
    Ok(fs::metadata(path)?.permissions().mode() & 0o777)
}

#[test]
fn exported_bodies_of_all_logs_verify_against_the_logs_and_only_their_owner_reads_them()
-> Result<()> {
    let folder = tempfile::tempdir()?;
    let (eu, mut us, network) = two(folder.path(), Over::Both)?;
    let list = List::write(folder.path(), "list", 40)?;
    let other = List::write(folder.path(), "other", 8)?;
    eu.ingest(&list, &[])?.ends(0)?;
    eu.run(&["retract", &eu.entry(&list.sha256(3))?])?.ends(0)?;
    us.ingest(&other, &[])?.ends(0)?;
    us.catches_up_with(&eu)?;
    // The files are read below as an auditor gets them: up to a checkpoint that has its quorum.
    us.is_witnessed()?;
    us.stop()?;
    let bodies = folder.path().join("bodies");
    let export = ["audit", "export-bodies", &text(&bodies)];
    let answer = us.run(&export)?.ends(0)?;
    let counts: Vec<_> = ["eu", "us"]
        .map(|id| {
            let logs = answer["logs"].as_array().into_iter().flatten();
            let origin = json!(format!("{id}.example/{id}/1"));
            logs.filter(|log| log["origin"] == origin)
                .map(|log| log["bodies"].clone())
                .collect::<Vec<_>>()
        })
        .into();
    ensure!(
        counts == [[json!(2)], [json!(1)]] && answer["bodies"] == json!(3),
        "{answer}"
    );
    let mut bytes = 0;
    for file in [
        "eu.example_eu_1/0",
        "eu.example_eu_1/1",
        "us.example_us_1/0",
    ] {
        let path = bodies.join(file);
        ensure!(mode(&path)? == 0o600, "{file}");
        bytes += fs::metadata(&path)?.len();
    }
    ensure!(answer["bytes"] == json!(bytes), "{answer}");
    for folder in ["", "eu.example_eu_1", "us.example_us_1"] {
        ensure!(mode(&bodies.join(folder))? == 0o700, "{folder}");
    }

    let logs = text(&us.home.data().join("logs"));
    let verify = ["audit", "verify", &logs, "--pin", &network.pin];
    let verify = verify.iter().copied().chain(["--bodies", export[2]]);
    let result = hashpact(verify.clone())?.ends(0)?;
    for (log, expected) in [(0, [2, 0, 0, 40]), (1, [1, 0, 0, 8])] {
        let sums = &result["logs"][log]["bodies"];
        let names = ["verified", "refused", "absent", "records"];
        ensure!(
            names.map(|name| sums[name].as_u64()) == expected.map(Some),
            "{result}"
        );
    }
    // A byte that is wrong is found.
    let path = bodies.join("eu.example_eu_1/0");
    let mut body = fs::read(&path)?;
    let half = body.len() / 2;
    body[half] ^= 1;
    fs::write(&path, body)?;
    let result = hashpact(verify)?.ends(1)?;
    ensure!(
        result["logs"][0]["bodies"]["refused"] == json!(1),
        "{result}"
    );

    // The next export does not mix with what is there.
    us.run(&export)?.refuses(2, &["empty"])?;
    us.start()?;
    let again = text(&folder.path().join("again"));
    let said = us.run(&["audit", "export-bodies", &again])?;
    said.refuses(3, &["used by another process", "stopped"])?;
    ensure!(!Path::new(&again).exists());
    Ok(())
}

#[test]
fn export_of_a_home_without_a_node_or_without_data_makes_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (node, _network) = one(folder.path())?;
    let out = text(&folder.path().join("out"));
    let export = ["audit", "export-bodies", &out];
    let nobody = text(&folder.path().join("nobody"));
    hashpact(["--home", &nobody].iter().chain(&export))?.refuses(2, &["holds no node"])?;
    let answer = node.run(&export)?.ends(0)?;
    ensure!(answer["bodies"] == json!(0), "{answer}");
    fs::remove_dir_all(node.home.data())?;
    fs::remove_dir(&out)?;
    node.run(&export)?.refuses(2, &["holds no data"])?;
    // Data that was lost must not look like a log that was never begun.
    ensure!(!node.home.data().exists() && !Path::new(&out).exists());
    Ok(())
}
