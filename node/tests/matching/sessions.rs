//! What a session gives, and how it goes on.

use anyhow::{Context as _, Result, bail, ensure};
use hashpact_protocol::labels::State;
use hashpact_protocol::limits;
use hashpact_protocol::policy::MatchMode;
use hashpact_protocol::psi::oprf::{CountBlind, Evaluation, Proof, PublicKey, Verifier};
use hashpact_protocol::psi::{
    Answer, Ask, Batch, GroupId, Label, Manifest, OpenAsk, Points, Query, RefusalCode, Role,
    SegmentAsk, SegmentLabels, SegmentPlace, SegmentTags, SessionRecord, Side, Tag, Tagger,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

use crate::served::{Client, ITEMS, LONG, Served, Talk, ask, blind, matched, strangers};

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

/// A count: how many match, and the server's record.
async fn counted(client: &Client, session: u8, list: &[Vec<u8>]) -> Result<(usize, SessionRecord)> {
    let manifest = client.manifest().await?;
    let asked = ask(&manifest, session, MatchMode::Count, list.len() as u64);
    let mut talk = client.open().await?;
    let opened = talk.begin(asked).await?;
    ensure!(opened.session_key.is_some());
    let blind = CountBlind::draw(&mut ChaCha20Rng::from_seed([7; 32]));
    let mut query = Query::new(&asked.session, asked.items);
    for (at, piece) in list.chunks(limits::MATCH_BATCH).enumerate() {
        let points = Points(blind.blind(piece.iter().map(Vec::as_slice)));
        let first = (at * limits::MATCH_BATCH) as u64;
        let batch = Batch { first, points };
        query.take(&batch)?;
        talk.say(&Ask::Batch(batch)).await?;
    }
    let query = query.hash();
    talk.say(&Ask::Finish { query }).await?;
    answered(&mut talk, &manifest, &asked, &blind).await
}

/// What comes after the end of a count's list: how many match, and the server's record.
async fn answered(
    talk: &mut Talk,
    manifest: &Manifest,
    asked: &OpenAsk,
    blind: &CountBlind,
) -> Result<(usize, SessionRecord)> {
    let space = manifest.space(GroupId::ALL, 3, MatchMode::Count);
    let mut tagger = Tagger::new(&space, Some(&asked.session), manifest.bits);
    let (mut own, mut theirs) = (Vec::new(), Vec::new());
    let mut reader = None;
    loop {
        match talk.hear().await? {
            Answer::Shuffled { first, points } => {
                ensure!(first == own.len() as u64);
                let doubled = blind.unblind(&points.0)?;
                own.extend(doubled.iter().map(|doubled| tagger.tag(doubled)));
            }
            Answer::Artifact(row) => {
                let place = SegmentPlace::new(&space, Some(&asked.session), row.number);
                reader = Some(SegmentTags::new(&place, manifest.bits, &row));
            }
            Answer::Chunk(chunk) => {
                let reader = reader.as_mut().context("chunks of nothing")?;
                reader.chunk(&chunk.bytes, &mut theirs)?;
            }
            Answer::End => ensure!(reader.is_some(), "an end before the artifact"),
            Answer::Closed { record } => {
                reader.context("no artifact")?.finish()?;
                ensure!(own.len() as u64 == asked.items);
                let count = own.iter().filter(|tag| theirs.binary_search(tag).is_ok());
                return Ok((count.count(), SessionRecord::from_bytes(&record)?));
            }
            Answer::Refused { code, .. } => bail!("{code:?}"),
            other => bail!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_count_is_how_many_match_and_a_repeated_item_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let served = Served::start(folder.path(), 16)?;
    let client = served.client(1).await?;
    let mut list = strangers(ITEMS - 16)?;
    for row in 0..16 {
        list.push(served.sha256(row)?);
    }
    let (count, record) = counted(&client, 1, &list).await?;
    ensure!(count == 12, "{count}");
    ensure!(record.role == Role::Server && record.mode == MatchMode::Count);
    ensure!((record.items, record.received) == (ITEMS, Some(ITEMS)));
    ensure!(record.matches.is_none() && record.refusal.is_none());

    list[3] = list[4].clone();
    let refused = counted(&client, 2, &list).await;
    let said = refused.err().context("counted")?.to_string();
    ensure!(said == format!("{:?}", RefusalCode::Point), "{said}");
    Ok(())
}

/// Tags and sealed labels of the segments of a group, with the place of each.
async fn labels(
    client: &Client,
    manifest: &Manifest,
    group: GroupId,
) -> Result<Vec<(Tag, hashpact_protocol::psi::SealedLabel, SegmentPlace)>> {
    let artifact = manifest.artifact(group, 3, MatchMode::Labels);
    let space = manifest.space(group, 3, MatchMode::Labels);
    let mut all = Vec::new();
    for row in &artifact.context("no artifact")?.segments {
        let place = SegmentPlace::new(&space, None, row.number);
        let (mut tags, mut sealed) = (Vec::new(), Vec::new());
        for labels in [false, true] {
            let mut talk = client.open().await?;
            talk.say(&Ask::Segment(SegmentAsk {
                epoch: manifest.epoch,
                group,
                kind: 3,
                mode: MatchMode::Labels,
                segment: row.root,
                labels,
                from_chunk: 0,
            }))
            .await?;
            let mut of_tags = SegmentTags::new(&place, manifest.bits, row);
            let mut of_labels = SegmentLabels::new(&place, row);
            loop {
                match talk.hear().await? {
                    Answer::Chunk(chunk) if labels => sealed.extend(of_labels.chunk(&chunk.bytes)?),
                    Answer::Chunk(chunk) => {
                        ensure!(of_tags.chunk(&chunk.bytes, &mut tags)? == Side::Added);
                    }
                    Answer::End => break,
                    other => bail!("{other:?}"),
                }
            }
            match labels {
                true => of_labels.finish()?,
                false => of_tags.finish()?,
            }
        }
        ensure!(tags.len() == sealed.len());
        let rows = tags.into_iter().zip(sealed);
        all.extend(rows.map(|(tag, label)| (tag, label, place.clone())));
    }
    Ok(all)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_opens_for_who_has_the_item_and_says_what_its_entry_says() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let served = Served::start(folder.path(), 8)?;
    let client = served.client(1).await?;
    let manifest = client.manifest().await?;
    let mut list = strangers(ITEMS)?;
    list[5] = served.sha256(0)?;
    let asked = ask(&manifest, 1, MatchMode::Labels, ITEMS);
    let mut talk = client.open().await?;
    let opened = talk.begin(asked).await?;
    let [group] = opened.groups[..] else {
        bail!("{opened:?}");
    };
    let artifact = manifest.artifact(group, 3, MatchMode::Labels);
    let key = PublicKey::from_bytes(&artifact.context("no artifact")?.key);
    let verifier = Verifier::new(&key.map_err(|fault| anyhow::anyhow!("{fault:?}"))?);
    let rows = labels(&client, &manifest, group).await?;
    ensure!(rows.len() == 6);
    let space = manifest.space(group, 3, MatchMode::Labels);
    let blinded = blind(&asked, &list)?;
    let mut told = Vec::new();
    for (blinds, batch) in &blinded.batches {
        talk.say(&Ask::Batch(batch.clone())).await?;
        let Answer::Evaluated { points, proof, .. } = talk.hear().await? else {
            bail!("no evaluation");
        };
        let evaluation = Evaluation {
            points: points.0,
            proof: Proof(proof),
        };
        for doubled in verifier.finish(blinds, &evaluation)? {
            let tag = hashpact_protocol::psi::tag(&space, None, &doubled, manifest.bits);
            for (of, sealed, place) in &rows {
                if *of == tag {
                    told.push(Label::open(sealed, place, tag, &doubled)?);
                }
                ensure!(*of == tag || Label::open(sealed, place, *of, &doubled).is_err());
            }
        }
    }
    let [label] = told[..] else {
        bail!("{} labels opened", told.len());
    };
    ensure!(label.state.contains(State::Assessed) && !label.minor_certain);
    ensure!(
        label.severity.is_full() && label.depiction.is_full(),
        "{label:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_count_that_was_cut_goes_on_behind_what_came_and_evaluates_nothing_twice() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let served = Served::start(folder.path(), 16)?;
    let client = served.client(1).await?;
    let mut list = strangers(LONG - 16)?;
    for row in 0..16 {
        list.push(served.sha256(row)?);
    }
    let manifest = client.manifest().await?;
    let asked = ask(&manifest, 1, MatchMode::Count, LONG);
    let blind = CountBlind::draw(&mut ChaCha20Rng::from_seed([7; 32]));
    let mut query = Query::new(&asked.session, asked.items);
    let mut batches = Vec::new();
    for piece in list.chunks(limits::MATCH_BATCH) {
        let points = Points(blind.blind(piece.iter().map(Vec::as_slice)));
        let first = query.next();
        let batch = Batch { first, points };
        query.take(&batch)?;
        batches.push(batch);
    }
    let mut talk = client.open().await?;
    let key = talk.begin(asked).await?.session_key;
    talk.say(&Ask::Batch(batches[0].clone())).await?;
    // It came, as nobody hears otherwise; then the stream breaks.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    drop(talk);

    let mut talk = client.open().await?;
    let opened = talk.begin(asked).await?;
    ensure!((opened.next, opened.used) == (batches[1].first, LONG) && opened.session_key == key);
    talk.say(&Ask::Batch(batches[0].clone())).await?;
    ensure!(talk.refusal().await? == RefusalCode::Malformed);

    let mut talk = client.open().await?;
    talk.begin(asked).await?;
    for batch in &batches[1..] {
        talk.say(&Ask::Batch(batch.clone())).await?;
    }
    let query = query.hash();
    talk.say(&Ask::Finish { query }).await?;
    ensure!(answered(&mut talk, &manifest, &asked, &blind).await?.0 == 12);
    Ok(())
}
