//! What a session gives, and how it goes on.

use anyhow::{Result, ensure};

use crate::served::{ITEMS, Served, matched, strangers};

#[tokio::test(flavor = "multi_thread")]
async fn a_member_finds_exactly_what_it_may_match_and_nothing_of_what_it_may_not() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let served = Served::start(folder.path(), 40)?;
    let client = served.client(1).await?;
    let mut list = strangers(ITEMS - 40)?;
    for row in 0..40 {
        list.push(served.sha256(row)?);
    }
    let found = matched(&client, 1, &list).await?;
    let first = list.len() - 40;
    let expected: Vec<usize> = (0..40)
        .filter(|row| row % 4 != 3)
        .map(|row| first + row)
        .collect();
    ensure!(found == expected, "{found:?}");
    Ok(())
}
