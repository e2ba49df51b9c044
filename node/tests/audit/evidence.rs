//! What lies beside a log, and logs that others replaced: nothing of it is believed unread, and none of it gets lost.

use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::rc::Rc;

use anyhow::{Context as _, Result, ensure};
use hashpact_keys::Timestamp;
use hashpact_node::audit::result::{AuditResult, SeverityName};
use hashpact_node::audit::source::{FolderSource, Source, SourceError};
use hashpact_node::audit::verify::{VerifyOptions, verify};
use hashpact_protocol::limits::COSIGNATURE_FRESH_S;
use hashpact_protocol::log::{ForkProof, SignedNote, witness_name};
use hashpact_protocol::testing::published::{NOW, Published};

use super::common::{hashpact, text};
use super::{LOG, audited, folders, found, mirror, named, options, pin, put, write};

/// A fork proof that holds, without what shows where the branches part.
fn stripped(proof: &[u8]) -> Result<Vec<u8>> {
    let text = std::str::from_utf8(proof)?;
    let parts: Vec<_> = text.split("\n\n").collect();
    let [_, a, a_lines, b, b_lines] = parts[..] else {
        anyhow::bail!("not two notes");
    };
    let (a, b) = (format!("{a}\n\n{a_lines}\n"), format!("{b}\n\n{b_lines}"));
    let proof = ForkProof::checkpoints(a.as_bytes(), b.as_bytes(), Vec::new(), None, None)?;
    Ok(proof.to_text().into_bytes())
}

#[test]
fn a_fork_file_that_proves_nothing_is_not_taken_and_gives_way_to_one_that_does() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut published = Published::with_deltas(3);
    let proof = published.fork_proof(3);
    let (logs, copy) = (dir.path().join("logs"), dir.path().join("copy"));
    let held = || fs::read(copy.join(LOG).join("fork")).ok();
    let mut shown = |fork: &[u8]| -> Result<Vec<String>> {
        published.fork = Some(fork.to_vec());
        write(&published, dir.path())?;
        let copied = mirror(&published, &copy, &folders(&[&logs])?)?;
        let log = &copied.logs[2];
        ensure!(log.failed.is_empty() && log.to == 5, "{log:?}");
        Ok(log
            .refused
            .iter()
            .map(|refused| refused.why.clone())
            .collect())
    };
    let weak = stripped(&proof)?;
    let bent = String::from_utf8(proof.clone())?.replace("common 3", "common 2");
    for junk in [b"fork".to_vec(), bent.into_bytes()] {
        let refused = shown(&junk)?;
        ensure!(
            refused.len() == 1 && refused[0].starts_with("fork proof: "),
            "{refused:?}"
        );
        ensure!(held().is_none());
    }
    // What an earlier copy took over unread gives way; so does what shows less.
    put(&copy.join(LOG).join("fork"), b"fork")?;
    ensure!(shown(b"other")?.len() == 1 && held().as_deref() == Some(b"fork"));
    ensure!(shown(&weak)?.is_empty() && held().as_ref() == Some(&weak));
    ensure!(shown(&proof)?.is_empty() && held().as_ref() == Some(&proof));
    ensure!(shown(&weak)?.is_empty() && held().as_ref() == Some(&proof));
    ensure!(shown(b"fork")?.is_empty() && held().as_ref() == Some(&proof));
    published.fork = None;
    let found = found(&audited(&published, &copy)?);
    ensure!(found == [named("log", "fork-proof")], "{found:?}");
    Ok(())
}

#[test]
fn evidence_that_cannot_be_read_is_not_taken_for_none() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let published = Published::with_deltas(3);
    write(&published, dir.path())?;
    let logs = dir.path().join("logs");
    let at = |file: &str| logs.join(LOG).join(file);
    ensure!(found(&audited(&published, &logs)?).is_empty());
    for file in ["fork", "refused"] {
        std::os::unix::fs::symlink("/nowhere", at(file))?;
        let result = audited(&published, &logs)?;
        ensure!(
            found(&result) == [named(file, "file-missing")],
            "{:?}",
            found(&result)
        );
        ensure!(!result.holds && result.logs[2].failures == 1);
        fs::remove_file(at(file))?;
    }
    // A note that a mirror kept, and what damage can leave of it.
    let mut note = published.checkpoint.clone().context("no note")?;
    note.push(b'\n');
    put(&at("refused"), &note)?;
    ensure!(found(&audited(&published, &logs)?) == [named("log", "rolled-back")]);
    put(&at("refused"), &note[..note.len() - 1])?;
    ensure!(found(&audited(&published, &logs)?) == [named("refused", "history")]);
    note[20] ^= 1;
    put(&at("refused"), &note)?;
    ensure!(found(&audited(&published, &logs)?) == [named("refused", "note")]);
    fs::rename(at("history"), at("checkpoint.d"))?;
    fs::remove_file(at("refused"))?;
    std::os::unix::fs::symlink("checkpoint.d", at("history"))?;
    let found = found(&audited(&published, &logs)?);
    ensure!(
        found.contains(&named("history", "file-missing")),
        "{found:?}"
    );
    Ok(())
}

#[test]
fn a_line_that_replaced_a_forked_one_is_checked_against_it_if_it_is_there() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let new = Published::with_deltas(3).resumed(3);
    write(&new, dir.path())?;
    let (logs, copy) = (dir.path().join("logs"), dir.path().join("copy"));
    let copied = mirror(&new, &copy, &folders(&[&logs])?)?;
    let sizes: Vec<_> = copied
        .logs
        .iter()
        .map(|log| (log.origin.as_str(), log.to))
        .collect();
    ensure!(sizes.contains(&("eu.example/eu/1", 5)) && sizes.contains(&("eu.example/eu/2", 2)));
    let of = |log: &str| -> Result<Vec<(String, SeverityName)>> {
        let result = audited(&new, &copy)?;
        let lines = result.findings.into_iter();
        let lines = lines.filter(|line| line.log.as_deref() == Some(log));
        Ok(lines.map(|line| (line.kind, line.severity)).collect())
    };
    let fail = |kind: &str| vec![(kind.to_owned(), SeverityName::Fail)];
    ensure!(of("eu.example/eu/2")?.is_empty());
    ensure!(of("eu.example/eu/1")? == fail("fork-proof"));
    fs::remove_file(copy.join(LOG).join("fork"))?;
    ensure!(of("eu.example/eu/2")? == fail("resumed-without-fork"));
    ensure!(of("eu.example/eu/1")?.is_empty());
    // Without a checkpoint, what is left of it is a damaged log; without its folder, it is one that this copy does not have.
    fs::remove_file(copy.join(LOG).join("checkpoint"))?;
    ensure!(of("eu.example/eu/1")?.contains(&fail("no-checkpoint")[0]));
    fs::remove_dir_all(copy.join(LOG))?;
    let absent = ("closed-log-missing".to_owned(), SeverityName::Warn);
    ensure!(of("eu.example/eu/1")? == [absent]);
    ensure!(of("eu.example/eu/2")?.is_empty());
    Ok(())
}

/// A source that tells which pieces of a history it gave, and can stop in the middle of it.
struct InPieces {
    inner: FolderSource,
    asked: Rc<RefCell<Vec<(u64, u64, u64)>>>,
    fails_at: Option<u64>,
}

impl Source for InPieces {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn get(&self, path: &str, max: u64) -> Result<Option<Vec<u8>>, SourceError> {
        self.inner.get(path, max)
    }

    fn get_from(&self, path: &str, from: u64, max: u64) -> Result<Option<Vec<u8>>, SourceError> {
        if self.fails_at.is_some_and(|at| from >= at) {
            let path = path.to_owned();
            return Err(SourceError::TooLarge { path, max: 0 });
        }
        let got = self.inner.get_from(path, from, max)?;
        let len = got.as_ref().map_or(0, |got| got.len() as u64);
        if path.starts_with(LOG) {
            self.asked.borrow_mut().push((from, max, len));
        }
        Ok(got)
    }
}

/// A log with a note at each size, each as long as a note can be.
fn long_history(notes: u64) -> Result<Published> {
    let mut published = Published::begun();
    for _ in 0..notes {
        let leaf = published.next_delta();
        published.append(&[leaf]);
        let mut note = published.head().to_bytes();
        for line in 0..60 {
            let name = format!("{line}{}", "w".repeat(100));
            let blob = "AAAA".repeat(30);
            note.extend_from_slice(format!("\u{2014} {name} {blob}\n").as_bytes());
        }
        published.publish_note(&note);
    }
    Ok(published)
}

#[test]
fn a_history_that_is_longer_than_one_piece_is_copied_whole() -> Result<()> {
    const MIB: u64 = 1024 * 1024;
    let dir = tempfile::tempdir()?;
    let published = long_history(720)?;
    ensure!(
        published.history.len() as u64 > 9 * MIB,
        "{}",
        published.history.len()
    );
    write(&published, dir.path())?;
    let (logs, copy) = (dir.path().join("logs"), dir.path().join("copy"));
    let run = |fails_at| -> Result<_> {
        let asked = Rc::default();
        let source = InPieces {
            inner: FolderSource::open(&logs)?,
            asked: Rc::clone(&asked),
            fails_at,
        };
        let copied = mirror(&published, &copy, &[Box::new(source)])?;
        let asked: Vec<(u64, u64, u64)> = asked.borrow().clone();
        ensure!(
            asked
                .iter()
                .all(|(_, max, got)| *max <= 8 * MIB && got <= max),
            "{asked:?}"
        );
        Ok((copied, asked))
    };
    let held = || fs::read(copy.join(LOG).join("history"));
    // A source that breaks off in the middle is told, and nobody is kept from trying again.
    let (copied, _) = run(Some(8 * MIB))?;
    ensure!(copied.logs[2].failed.len() == 1, "{:?}", copied.logs[2]);
    ensure!(
        !copy.join(LOG).join("history").exists(),
        "its newest note is not known yet"
    );
    run(None)?;
    ensure!(held()? == published.history);
    Ok(())
}

#[test]
fn a_history_of_anything_but_checkpoints_ends() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut published = Published::with_deltas(2);
    let note = published.history.clone();
    for _ in 0..70 {
        published.history.extend_from_slice(&note);
    }
    write(&published, dir.path())?;
    let (logs, copy) = (dir.path().join("logs"), dir.path().join("copy"));
    let copied = mirror(&published, &copy, &folders(&[&logs])?)?;
    let failed = &copied.logs[2].failed;
    ensure!(
        failed[0].why.contains("no larger checkpoints"),
        "{failed:?}"
    );
    Ok(())
}

#[test]
fn a_history_that_broke_off_goes_on_where_it_ended() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut published = Published::with_deltas(2);
    write(&published, dir.path())?;
    let (logs, copy) = (dir.path().join("logs"), dir.path().join("copy"));
    mirror(&published, &copy, &folders(&[&logs])?)?;
    let kept = published.history.len() as u64;
    for _ in 0..3 {
        let leaf = published.next_delta();
        published.append(&[leaf]);
        published.publish();
    }
    write(&published, dir.path())?;
    // A stop left half a note behind.
    let mut torn = fs::read(copy.join(LOG).join("history"))?;
    torn.extend_from_slice(b"eu.example/eu/1\n5\n");
    fs::write(copy.join(LOG).join("history"), &torn)?;
    let asked = Rc::default();
    let source = InPieces {
        inner: FolderSource::open(&logs)?,
        asked: Rc::clone(&asked),
        fails_at: None,
    };
    mirror(&published, &copy, &[Box::new(source)])?;
    ensure!(fs::read(copy.join(LOG).join("history"))? == published.history);
    ensure!(
        asked.borrow().last().map(|(from, ..)| *from) == Some(kept),
        "{asked:?}"
    );
    ensure!(found(&audited(&published, &copy)?).is_empty());
    Ok(())
}

#[test]
fn a_source_with_other_cosigners_adds_to_a_history_all_the_same() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut one = Published::with_deltas(2);
    write(&one, &dir.path().join("one"))?;
    let copy = dir.path().join("copy");
    mirror(&one, &copy, &folders(&[&dir.path().join("one/logs")])?)?;
    // The same log, whose notes have one line less each.
    let leaf = one.next_delta();
    one.append(&[leaf]);
    one.publish();
    let whole = one.history.clone();
    let text = String::from_utf8(one.history.clone())?;
    let lines = text
        .split_inclusive('\n')
        .filter(|line| !line.contains("/mirror "));
    one.history = lines.collect::<String>().into_bytes();
    ensure!(one.history.len() < whole.len());
    write(&one, &dir.path().join("two"))?;
    let copied = mirror(&one, &copy, &folders(&[&dir.path().join("two/logs")])?)?;
    ensure!(copied.logs[2].failed.is_empty(), "{:?}", copied.logs[2]);
    let history = fs::read(copy.join(LOG).join("history"))?;
    ensure!(history.len() < whole.len() && whole.starts_with(&history[..1_000]));
    ensure!(found(&audited(&one, &copy)?).is_empty());
    Ok(())
}

#[test]
fn a_copy_takes_the_younger_cosignatures_of_a_log_that_stands_still_and_no_older_ones() -> Result<()>
{
    let dir = tempfile::tempdir()?;
    let mut published = Published::with_deltas(2);
    write(&published, dir.path())?;
    let (logs, copy) = (dir.path().join("logs"), dir.path().join("copy"));
    mirror(&published, &copy, &folders(&[&logs])?)?;
    let old = published.checkpoint.clone().context("no note")?;
    let later = Timestamp::new(NOW.get() + COSIGNATURE_FRESH_S);
    let mut note = published.head();
    for n in 1..4 {
        let setup = &published.centres[n];
        let signer = setup.signer(hashpact_keys::KeyUse::Witness);
        note.cosign(&witness_name(&setup.origin), &signer, later)?;
    }
    let young = note.to_bytes();
    ensure!(lines(&young)? < lines(&old)?);
    for (shown, expected) in [(&young, &young), (&old, &young)] {
        published.checkpoint = Some(shown.clone());
        write(&published, dir.path())?;
        mirror(&published, &copy, &folders(&[&logs])?)?;
        ensure!(fs::read(copy.join(LOG).join("checkpoint"))? == *expected);
    }
    Ok(())
}

fn lines(note: &[u8]) -> Result<usize> {
    Ok(SignedNote::parse(note)?
        .to_bytes()
        .split(|byte| *byte == b'\n')
        .count())
}

/// Readers ask for the tiles of exactly the size of the checkpoint, by their own names.
#[test]
fn a_copy_has_the_partial_tiles_of_its_own_checkpoint() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut published = Published::begun();
    let (logs, copy) = (dir.path().join("logs"), dir.path().join("copy"));
    let has = |size: u64| -> Result<()> {
        let (number, width) = (size / 256, size % 256);
        for kind in ["0", "entries"] {
            let path = format!("tile/{kind}/{number:03}.p/{width}");
            let (held, source) = (copy.join(LOG).join(&path), logs.join(LOG).join(&path));
            ensure!(fs::read(held)? == fs::read(source)?, "{path}");
        }
        let path = format!("tile/1/000.p/{number}");
        ensure!(number == 0 || copy.join(LOG).join(&path).exists(), "{path}");
        Ok(())
    };
    for more in [0, 1, 5, 249, 3] {
        (0..more).for_each(|_| {
            let leaf = published.next_delta();
            published.append(&[leaf]);
        });
        published.publish();
        write(&published, dir.path())?;
        mirror(&published, &copy, &folders(&[&logs])?)?;
        has(published.size)?;
    }
    // A stop left the full tiles of a larger size behind, and now there is only a source of a smaller one.
    let small = Published::with_deltas(9);
    let short = dir.path().join("short");
    write(&small, &short)?;
    fs::remove_dir_all(&copy)?;
    for kind in ["0", "entries"] {
        let path = format!("tile/{kind}/000");
        put(
            &copy.join(LOG).join(&path),
            &fs::read(logs.join(LOG).join(&path))?,
        )?;
    }
    let copied = mirror(&small, &copy, &folders(&[&short.join("logs")])?)?;
    ensure!(copied.logs[2].to == 11, "{:?}", copied.logs[2]);
    ensure!(copy.join(LOG).join("tile/0/000.p/11").exists());
    ensure!(copy.join(LOG).join("tile/entries/000.p/11").exists());
    Ok(())
}

#[test]
fn a_partial_tile_that_only_a_wider_partial_one_could_stand_for_is_missing() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let published = Published::with_deltas(3);
    write(&published, dir.path())?;
    let logs = dir.path().join("logs");
    let tile = |width: u64| logs.join(LOG).join(format!("tile/0/000.p/{width}"));
    let mut wider = fs::read(tile(5))?;
    wider.extend_from_slice(&[7; 32]);
    fs::write(tile(6), wider)?;
    fs::remove_file(tile(5))?;
    let found = found(&audited(&published, &logs)?);
    let missing = named("tile/0/000.p/5", "file-missing");
    ensure!(found.contains(&missing), "{found:?}");
    Ok(())
}

fn at(published: &Published, logs: &Path, now: u64) -> Result<AuditResult> {
    let options = VerifyOptions {
        now: Timestamp::new(now),
        ..options(published, None, 1)?
    };
    Ok(verify(logs, &options, &|| ())?)
}

#[test]
fn what_has_expired_holds_only_as_of_a_time_that_is_given() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let published = Published::with_deltas(3);
    write(&published, dir.path())?;
    let logs = dir.path().join("logs");
    let expires_at = published.rosters[0].roster().expires_at.get();
    let kinds = |result: &AuditResult| -> Vec<String> {
        let lines = found(result).into_iter().map(|(_, kind)| kind);
        lines.collect()
    };
    ensure!(kinds(&at(&published, &logs, NOW.get())?).is_empty());
    let stale = NOW.get() + COSIGNATURE_FRESH_S;
    ensure!(kinds(&at(&published, &logs, stale)?) == ["stale"]);
    let result = at(&published, &logs, expires_at)?;
    ensure!(kinds(&result) == ["roster-expired", "stale"] && !result.holds);
    ensure!(result.findings[0].severity == SeverityName::Fail);
    // The same, by the commands.
    let (logs, pin) = (text(&logs), pin(&published).to_string());
    let json = text(&dir.path().join("result.json"));
    for (time, is_expired) in [
        (expires_at.to_string(), true),
        ((expires_at - 1).to_string(), false),
        ("2027-01-15T08:16:40Z".to_owned(), false),
        ("2036-01-31".to_owned(), true),
    ] {
        let said = hashpact(["audit", "verify", &logs, "--pin", &pin, "--at", &time])?.ends(1)?;
        let is_it = |result: &serde_json::Value| {
            let mut findings = result["findings"].as_array().into_iter().flatten();
            findings.any(|finding| finding["kind"] == "roster-expired")
        };
        ensure!(is_it(&said) == is_expired, "{time}: {said}");
        let report = [
            "audit",
            "report",
            &logs,
            "--pin",
            &pin,
            "--json-file",
            &json,
        ];
        hashpact(report.iter().chain(&["--at", time.as_str()]))?.ends(1)?;
        let written = serde_json::from_slice(&fs::read(&json)?)?;
        ensure!(is_it(&written) == is_expired, "{time}: {written}");
        ensure!(written["verified_at"] == said["verified_at"]);
    }
    let said = hashpact(["audit", "verify", &logs, "--pin", &pin, "--at", "soon"])?;
    ensure!(
        said.code == 2 && said.err.contains("2026-01-01"),
        "{said:?}"
    );
    Ok(())
}
