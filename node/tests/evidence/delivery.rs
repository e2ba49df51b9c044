//! Who has applied a retraction, and why it was made.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::common::{List, Over, two, until};
use crate::looked_up;

#[test]
fn a_retraction_that_a_stopped_centre_has_not_applied_is_listed_and_leaves_the_list() -> Result<()>
{
    let folder = tempfile::tempdir()?;
    let (eu, mut us, _network) = two(folder.path(), Over::Tcp)?;
    let list = List::write(folder.path(), "list", 2)?;
    eu.ingest(&list, &[])?.ends(0)?;
    us.catches_up_with(&eu)?;
    ensure!(eu.status()?.open.lagging.is_empty());
    us.kill()?;
    let entry = eu.entry(&list.sha256(0))?;
    eu.run(&["retract", &entry, "--reason", "gone"])?
        .refuses(2, &["no such reason"])?;
    let retracted = eu.run(&["retract", &entry])?.ends(0)?;
    ensure!(retracted["retracted"] == json!(1), "{retracted}");
    let lagging = eu.status()?.open.lagging;
    ensure!(
        lagging.len() == 1 && lagging[0].centre == "us" && lagging[0].deltas == 1,
        "{lagging:?}"
    );
    let shown = eu.read(&["status"])?;
    ensure!(
        shown
            .out
            .contains("RETRACTIONS NOT APPLIED by us: those of 1 delta since "),
        "{shown:?}"
    );

    us.start()?;
    until("us has applied it, and eu knows", || {
        Ok(eu.status()?.open.lagging.is_empty().then_some(()))
    })?;
    ensure!(looked_up(&us, &list.sha256(0))?["retracted"] == json!(true));
    Ok(())
}

#[test]
fn an_error_flags_the_entry_of_another_centre_that_shares_its_fingerprint() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (eu, us, _network) = two(folder.path(), Over::Tcp)?;
    let list = List::write(folder.path(), "list", 2)?;
    for node in [&eu, &us] {
        node.ingest(&list, &[])?.ends(0)?;
    }
    us.catches_up_with(&eu)?;
    eu.catches_up_with(&us)?;
    let sha = list.sha256(0);
    let own = |entries: Vec<serde_json::Value>, centre: &str| {
        let mut entries = entries.into_iter();
        entries
            .find(|entry| entry["centre"] == json!(centre))
            .unwrap_or_default()
    };
    let entry = own(eu.lookup(&sha)?, "eu");
    let entry = entry["entry"].as_str().unwrap_or_default();

    // The reason may be given later, and is given once.
    eu.run(&["retract", entry])?.ends(0)?;
    eu.run(&["retract", entry])?
        .refuses(1, &["retracted already"])?;
    let given = eu
        .run(&["retract", entry, "--reason", "not_csam"])?
        .ends(0)?;
    ensure!(
        given["retracted"] == json!(0) && given["reasons"] == json!(1),
        "{given}"
    );
    for node in [&eu, &us] {
        until(&format!("{} flags the entry of us", node.id), || {
            let flagged = own(node.lookup(&sha)?, "us")["flagged"].clone();
            Ok((flagged == json!([{ "by": "eu", "reason": "not_csam" }])).then_some(()))
        })?;
    }
    ensure!(own(us.lookup(&list.sha256(1))?, "us")["flagged"] == json!([]));
    Ok(())
}
