//! What a client cannot do, and that others go on meanwhile.

use std::time::Duration;

use anyhow::{Result, ensure};
use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use hashpact_protocol::limits;
use hashpact_protocol::policy::MatchMode;
use hashpact_protocol::psi::{
    Answer, Ask, Batch, Epoch, Points, RefusalCode, SegmentAsk, SessionId,
};

use crate::served::{
    Client, FACTS, ITEMS, LONG, PER_DAY, RULES, Served, ask, blind, matched, strangers,
};

/// The answer to the first frame of a stream.
async fn refusal(client: &Client, first: &Ask) -> Result<RefusalCode> {
    let mut talk = client.open().await?;
    talk.say(first).await?;
    talk.refusal().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_is_refused_and_the_next_client_is_served() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let served = Served::start(folder.path(), 8)?;
    let client = served.client(1).await?;
    let manifest = client.manifest().await?;

    // Garbage, a frame of 160 KiB and one byte, a batch without a session.
    for bytes in [&[0, 0, 0, 3, 1, 2, 3][..], &[0, 2, 128, 1, 0]] {
        let mut talk = client.open().await?;
        talk.0.write_all(bytes).await?;
        talk.0.flush().await?;
        ensure!(talk.refusal().await? == RefusalCode::Malformed);
        let mut rest = Vec::new();
        talk.0.read_to_end(&mut rest).await?;
        ensure!(rest.is_empty(), "something after a refusal");
    }
    let points = Points(vec![[1; 32]]);
    let batch = Ask::Batch(Batch { first: 0, points });
    ensure!(refusal(&client, &batch).await? == RefusalCode::Malformed);

    // Epochs that are not served, lists that are too short or too long.
    let good = ask(&manifest, 1, MatchMode::Items, ITEMS);
    let open = |change: fn(&mut hashpact_protocol::psi::OpenAsk)| {
        let mut ask = good;
        change(&mut ask);
        Ask::Open(ask)
    };
    let stale = open(|ask| ask.epoch = Epoch(7));
    ensure!(refusal(&client, &stale).await? == RefusalCode::StaleEpoch);
    let short = open(|ask| ask.items = limits::MATCH_ITEMS_MIN - 1);
    ensure!(refusal(&client, &short).await? == RefusalCode::TooFew);
    let long = open(|ask| ask.items = limits::MATCH_ITEMS + 1);
    ensure!(refusal(&client, &long).await? == RefusalCode::TooMany);
    let over = open(|ask| ask.items = PER_DAY + 1);
    ensure!(refusal(&client, &over).await? == RefusalCode::OverQuota);

    // Segments that are not there, and chunks beyond the last.
    let group = manifest.groups[0].group;
    let row = &manifest.groups[0].artifacts[0].segments[0];
    let segment = SegmentAsk {
        epoch: manifest.epoch,
        group,
        kind: manifest.groups[0].artifacts[0].kind,
        mode: manifest.groups[0].artifacts[0].mode,
        segment: row.root,
        labels: false,
        from_chunk: row.chunks + 1,
    };
    ensure!(refusal(&client, &Ask::Segment(segment)).await? == RefusalCode::NotFound);
    let mut other = segment;
    other.segment = [0; 32];
    other.from_chunk = 0;
    ensure!(refusal(&client, &Ask::Segment(other)).await? == RefusalCode::NotFound);
    other.from_chunk = u32::MAX;
    ensure!(refusal(&client, &Ask::Segment(other)).await? == RefusalCode::NotFound);

    let mut list = strangers(ITEMS - 1)?;
    list.push(served.sha256(0)?);
    let found = matched(&client, 9, &list).await?;
    ensure!(found == [list.len() - 1], "{found:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_out_of_order_too_many_or_of_bad_points_end_their_session_alone() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let served = Served::start(folder.path(), 8)?;
    let client = served.client(1).await?;
    let manifest = client.manifest().await?;
    let list = strangers(LONG)?;
    let of = |session| ask(&manifest, session, MatchMode::Items, LONG);
    let blinded = blind(&of(1), &list)?;
    let batch = |at: usize| blinded.batches[at].1.clone();

    // The second batch first.
    let mut talk = client.open().await?;
    talk.begin(of(1)).await?;
    talk.say(&Ask::Batch(batch(1))).await?;
    ensure!(talk.refusal().await? == RefusalCode::Malformed);

    // More items than were declared.
    let mut talk = client.open().await?;
    talk.begin(of(2)).await?;
    for at in [0, 1] {
        talk.say(&Ask::Batch(batch(at))).await?;
    }
    let mut more = batch(2);
    more.points.0.extend(batch(0).points.0);
    talk.say(&Ask::Batch(more)).await?;
    ensure!(talk.refusal().await? == RefusalCode::Malformed);

    // A few points at a time: each batch costs what a full one does, and one charge would pay for a million of them.
    let mut talk = client.open().await?;
    talk.begin(of(9)).await?;
    let mut few = batch(0);
    few.points.0.truncate(1);
    talk.say(&Ask::Batch(few)).await?;
    ensure!(talk.refusal().await? == RefusalCode::Malformed);
    drop(talk);

    // Points that are none: the identity, and bytes that no point encodes to.
    for (session, bad) in [(3, [0; 32]), (4, [255; 32])] {
        let mut talk = client.open().await?;
        talk.begin(of(session)).await?;
        let mut batch = batch(0);
        batch.points.0[7] = bad;
        talk.say(&Ask::Batch(batch)).await?;
        ensure!(talk.refusal().await? == RefusalCode::Point);
        // That ends the session, with a record.
        ensure!(refusal(&client, &Ask::Open(of(session))).await? == RefusalCode::Malformed);
    }

    // An end before all items came, and one that commits to another list.
    let mut talk = client.open().await?;
    talk.begin(of(5)).await?;
    talk.say(&Ask::Batch(batch(0))).await?;
    let query = blinded.query.hash();
    talk.say(&Ask::Finish { query }).await?;
    ensure!(talk.refusal().await? == RefusalCode::Malformed);
    let mut talk = client.open().await?;
    talk.begin(of(6)).await?;
    for at in 0..3 {
        talk.say(&Ask::Batch(batch(at))).await?;
    }
    let query = [1; 32];
    talk.say(&Ask::Finish { query }).await?;
    ensure!(talk.refusal().await? == RefusalCode::Malformed);

    ensure!(matched(&client, 7, &list).await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_goes_on_evaluates_no_other_points_and_is_nobody_elses() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let served = Served::start(folder.path(), 8)?;
    served.member("bolt", 2)?;
    let (client, other) = (served.client(1).await?, served.client(2).await?);
    let manifest = client.manifest().await?;
    let list = strangers(LONG)?;
    let asked = ask(&manifest, 1, MatchMode::Items, LONG);
    let blinded = blind(&asked, &list)?;
    let batch = |at: usize| blinded.batches[at].1.clone();
    let mut talk = client.open().await?;
    let opened = talk.begin(asked).await?;
    ensure!((opened.next, opened.used) == (0, LONG));
    for at in [0, 1] {
        talk.say(&Ask::Batch(batch(at))).await?;
        ensure!(matches!(talk.hear().await?, Answer::Evaluated { .. }));
    }
    drop(talk);

    // The same session from where the answer to the second batch was lost: nothing is charged again.
    let mut again = asked;
    again.resume_at = 5_000;
    let mut talk = client.open().await?;
    let opened = talk.begin(again).await?;
    ensure!((opened.next, opened.used) == (4_096, LONG), "{opened:?}");
    // Other points in the place of those that were evaluated are an oracle beyond the quota.
    let mut wrong = batch(1);
    wrong.points.0.swap(0, 1);
    talk.say(&Ask::Batch(wrong)).await?;
    ensure!(talk.refusal().await? == RefusalCode::Malformed);

    let mut talk = client.open().await?;
    talk.begin(again).await?;
    for at in [1, 2] {
        talk.say(&Ask::Batch(batch(at))).await?;
        ensure!(matches!(talk.hear().await?, Answer::Evaluated { .. }));
    }
    // The same name by another member is another session, charged to that one.
    let mut theirs = other.open().await?;
    let opened = theirs.begin(asked).await?;
    ensure!((opened.next, opened.used) == (0, LONG), "{opened:?}");
    let query = blinded.query.hash();
    talk.say(&Ask::Finish { query }).await?;
    ensure!(matches!(talk.hear().await?, Answer::Closed { .. }));
    ensure!(SessionId([1; 16]) == asked.session);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_reads_holds_up_nobody() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let served = Served::start(folder.path(), 8)?;
    served.member("bolt", 2)?;
    let (silent, other) = (served.client(1).await?, served.client(2).await?);
    let manifest = silent.manifest().await?;
    // As many sessions as it may have streams, each asked as fast as it can write, and no answer read.
    let long = strangers(LONG)?;
    let blinded = blind(&ask(&manifest, 1, MatchMode::Items, LONG), &long)?;
    let mut held = Vec::new();
    for session in 1..=6 {
        let asked = ask(&manifest, session, MatchMode::Items, LONG);
        let mut talk = silent.open().await?;
        talk.say(&Ask::Open(asked)).await?;
        for (_, batch) in &blinded.batches {
            let batch = Ask::Batch(batch.clone());
            let said = talk.say(&batch);
            // Once nobody takes what it sends, it may wait for ever.
            if tokio::time::timeout(Duration::from_millis(50), said)
                .await
                .is_err()
            {
                break;
            }
        }
        held.push(talk);
    }
    let mut list = strangers(ITEMS)?;
    list[17] = served.sha256(2)?;
    ensure!(matched(&other, 7, &list).await? == [17]);
    drop(held);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_when_policy_takes_its_group_away_while_it_runs_or_rests() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let served = Served::start(folder.path(), 8)?;
    let client = served.client(1).await?;
    let manifest = client.manifest().await?;
    let of = |session| ask(&manifest, session, MatchMode::Items, LONG);
    let blinded = blind(&of(1), &strangers(LONG)?)?;
    let mut talks = Vec::new();
    for session in [1, 2] {
        let mut talk = client.open().await?;
        talk.begin(of(session)).await?;
        talk.say(&Ask::Batch(blinded.batches[0].1.clone())).await?;
        ensure!(matches!(talk.hear().await?, Answer::Evaluated { .. }));
        talks.push(talk);
    }
    let rests = talks.pop();
    drop(rests);

    let place = folder.path().join("narrower");
    std::fs::create_dir_all(&place)?;
    let facts = FACTS.replace("\"items\", \"labels\", ", "");
    std::fs::write(place.join("profile.toml"), facts)?;
    std::fs::write(place.join("rules.cedar"), RULES)?;
    served.eu.apply(folder.path(), "narrower")?;
    // Within this time each session under way is decided again.
    tokio::time::sleep(Duration::from_secs(12)).await;

    for (talk, code) in talks.iter_mut().zip([RefusalCode::NoGroup]) {
        talk.say(&Ask::Batch(blinded.batches[1].1.clone())).await?;
        ensure!(talk.refusal().await? == code);
    }
    let mut again = of(2);
    again.resume_at = limits::MATCH_BATCH as u64;
    ensure!(refusal(&client, &Ask::Open(again)).await? == RefusalCode::NoGroup);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_that_two_members_name_alike_have_two_keys() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let served = Served::start(folder.path(), 8)?;
    served.member("bolt", 2)?;
    let (client, other) = (served.client(1).await?, served.client(2).await?);
    let manifest = client.manifest().await?;
    let asked = ask(&manifest, 1, MatchMode::Count, ITEMS);
    let (mut ours, mut theirs) = (client.open().await?, other.open().await?);
    let (ours, theirs) = (ours.begin(asked).await?, theirs.begin(asked).await?);
    ensure!(ours.session_key.is_some() && ours.session_key != theirs.session_key);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_with_too_many_sessions_is_charged_nothing_for_one_more() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let served = Served::start(folder.path(), 8)?;
    let client = served.client(1).await?;
    let manifest = client.manifest().await?;
    let items = limits::MATCH_ITEMS_MIN;
    for session in 1..=64 {
        let asked = ask(&manifest, session, MatchMode::Items, items);
        client.open().await?.begin(asked).await?;
    }
    let mut md5 = ask(&manifest, 65, MatchMode::Items, items);
    md5.kind = 1;
    ensure!(refusal(&client, &Ask::Open(md5)).await? == RefusalCode::Busy);

    let mut talk = client.open().await?;
    let asked = ask(&manifest, 1, MatchMode::Items, items);
    talk.begin(asked).await?;
    let blinded = blind(&asked, &strangers(items)?)?;
    talk.say(&Ask::Batch(blinded.batches[0].1.clone())).await?;
    ensure!(matches!(talk.hear().await?, Answer::Evaluated { .. }));
    let query = blinded.query.hash();
    talk.say(&Ask::Finish { query }).await?;
    ensure!(matches!(talk.hear().await?, Answer::Closed { .. }));
    drop(talk);
    let opened = client.open().await?.begin(md5).await?;
    ensure!(opened.used == items, "{opened:?}");
    Ok(())
}
