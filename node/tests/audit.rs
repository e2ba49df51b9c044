//! Copies of logs on the disk: made, kept, damaged, verified; and the commands that do so.

mod common;
#[path = "audit/disclosures.rs"]
mod disclosures;
#[path = "audit/evidence.rs"]
mod evidence;

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context as _, Result, ensure};
use common::{List, Network, Node, Over, hashpact, text, until};
use hashpact_keys::NetworkId;
use hashpact_node::audit::mirror::{Copied, Mirror};
use hashpact_node::audit::result::AuditResult;
use hashpact_node::audit::source::{FolderSource, Source, SourceError};
use hashpact_node::audit::verify::{Trust, VerifyOptions, verify};
use hashpact_protocol::log::SignedNote;
use hashpact_protocol::testing::published::{NOW, Published};

const LOG: &str = "eu.example_eu_1";

/// Writes everything that a centre publishes, and the bodies beside it.
fn write(published: &Published, root: &Path) -> Result<()> {
    for (path, bytes) in published.folder() {
        put(&root.join("logs").join(path), &bytes)?;
    }
    for (seq, body) in &published.bodies {
        put(&root.join("bodies").join(LOG).join(seq.to_string()), body)?;
    }
    Ok(())
}

fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::create_dir_all(path.parent().context("no folder")?)?;
    Ok(fs::write(path, bytes)?)
}

fn pin(published: &Published) -> NetworkId {
    published.rosters[0].roster().network
}

fn options(published: &Published, bodies: Option<PathBuf>, jobs: usize) -> Result<VerifyOptions> {
    Ok(VerifyOptions {
        trust: Trust::Pin(pin(published)),
        bodies,
        openings: Vec::new(),
        cedar: None,
        jobs: NonZero::new(jobs).context("no threads")?,
        now: NOW,
    })
}

/// What is said of the log of these files; the other three centres have none.
fn audited(published: &Published, logs: &Path) -> Result<AuditResult> {
    Ok(verify(logs, &options(published, None, 1)?, &|| ())?)
}

/// Log, place and kind of what was found of this log, or of none.
fn found(result: &AuditResult) -> Vec<(String, String)> {
    let ours = |line: &&hashpact_node::audit::result::FindingLine| {
        line.log
            .as_deref()
            .is_none_or(|log| log == "eu.example/eu/1")
    };
    let lines = result.findings.iter().filter(ours);
    lines
        .map(|line| (line.place.clone(), line.kind.clone()))
        .collect()
}

fn named(place: &str, kind: &str) -> (String, String) {
    (place.to_owned(), kind.to_owned())
}

/// A source that counts, and that can be told to break.
struct Counting {
    inner: FolderSource,
    asked: std::cell::RefCell<Vec<String>>,
    /// Files that it gives before it fails.
    left: std::cell::Cell<usize>,
}

impl Counting {
    fn new(root: &Path) -> Result<Self> {
        Ok(Self {
            inner: FolderSource::open(root)?,
            asked: std::cell::RefCell::default(),
            left: std::cell::Cell::new(usize::MAX),
        })
    }

    fn ask(&self, path: &str) -> Result<(), SourceError> {
        let left = self.left.get().checked_sub(1);
        self.left.set(left.unwrap_or(0));
        self.asked.borrow_mut().push(path.to_owned());
        match left {
            Some(_) => Ok(()),
            None => Err(SourceError::TooLarge {
                path: path.to_owned(),
                max: 0,
            }),
        }
    }
}

/// The same source, to be asked what it was asked.
struct Counted(Rc<Counting>);

impl Source for Counted {
    fn name(&self) -> &str {
        self.0.inner.name()
    }

    fn get(&self, path: &str, max: u64) -> Result<Option<Vec<u8>>, SourceError> {
        self.0.ask(path)?;
        self.0.inner.get(path, max)
    }

    fn get_from(&self, path: &str, from: u64, max: u64) -> Result<Option<Vec<u8>>, SourceError> {
        self.0.ask(path)?;
        self.0.inner.get_from(path, from, max)
    }
}

fn mirror(published: &Published, dir: &Path, sources: &[Box<dyn Source>]) -> Result<Copied> {
    let mirror = Mirror {
        dir,
        pin: Some(pin(published)),
        sources,
        now: NOW,
        progress: &|_, _, _| (),
    };
    Ok(mirror.run()?)
}

fn folders(roots: &[&Path]) -> Result<Vec<Box<dyn Source>>> {
    let open =
        |root: &&Path| -> Result<Box<dyn Source>> { Ok(Box::new(FolderSource::open(root)?)) };
    roots.iter().map(open).collect()
}

/// Every file below a folder but what a copy says about itself.
fn files(root: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if !path.ends_with("mirror.toml") {
                found.insert(path.strip_prefix(root)?.to_owned(), fs::read(&path)?);
            }
        }
    }
    Ok(found)
}

#[test]
fn a_copy_holds_what_its_source_published_and_verifies() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut published = Published::with_deltas(300);
    published.append_records(0..50);
    published.publish();
    write(&published, dir.path())?;
    let (logs, copy) = (dir.path().join("logs"), dir.path().join("copy"));
    let copied = mirror(&published, &copy, &folders(&[&logs])?)?;
    let ours = &copied.logs[2];
    ensure!((ours.origin.as_str(), ours.from, ours.to) == ("eu.example/eu/1", 0, 303));
    ensure!(
        ours.refused.is_empty() && ours.failed.is_empty(),
        "{ours:?}"
    );
    // All of it but the partial tiles that were outgrown, byte for byte.
    let source = files(&logs)?;
    for (path, bytes) in files(&copy)? {
        ensure!(source.get(&path) == Some(&bytes), "{}", path.display());
    }
    ensure!(copy.join(LOG).join("tile/1/000.p/1").exists());
    ensure!(copy.join(LOG).join("history").exists() && copy.join("rosters/1").exists());
    let bodies = dir.path().join("bodies");
    for jobs in [1, 2] {
        let options = options(&published, Some(bodies.clone()), jobs)?;
        let result = verify(&copy, &options, &|| ())?;
        ensure!(found(&result).is_empty(), "{:?}", result.findings);
        let log = result
            .logs
            .iter()
            .find(|log| log.centre == "eu")
            .context("no log")?;
        let sums = log.bodies.clone().context("no bodies")?;
        ensure!((log.size, log.deltas, log.notes, log.failures) == (303, 301, 4, 0));
        ensure!((sums.verified, sums.absent, sums.records, sums.withheld) == (1, 300, 50, 0));
    }
    // Three centres of the roster have published nothing, and that is not passed over.
    let result = audited(&published, &copy)?;
    let kinds: Vec<_> = result
        .findings
        .iter()
        .map(|line| line.kind.as_str())
        .collect();
    ensure!(kinds == ["no-checkpoint"; 3] && !result.holds, "{kinds:?}");
    Ok(())
}

#[test]
fn a_copy_takes_only_what_is_new() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut published = Published::with_deltas(600);
    write(&published, dir.path())?;
    let (logs, copy) = (dir.path().join("logs"), dir.path().join("copy"));
    mirror(&published, &copy, &folders(&[&logs])?)?;
    let leaf = published.next_delta();
    published.append(&[leaf]);
    published.publish();
    write(&published, dir.path())?;
    let counting = Rc::new(Counting::new(&logs)?);
    let copied = mirror(&published, &copy, &[Box::new(Counted(counting.clone()))])?;
    ensure!((copied.logs[2].from, copied.logs[2].to) == (602, 603));
    let asked = counting.asked.borrow();
    let tiles: Vec<_> = asked
        .iter()
        .filter(|path| path.contains("/tile/"))
        .collect();
    let expected = [
        "tile/entries/002.p/91",
        "tile/0/002.p/91",
        "tile/entries/002.p/91",
    ];
    ensure!(
        tiles == expected.map(|path| format!("{LOG}/{path}")).each_ref(),
        "{tiles:?}"
    );
    drop(asked);
    ensure!(found(&audited(&published, &copy)?).is_empty());
    // And nothing at all if nothing is.
    counting.asked.borrow_mut().clear();
    mirror(&published, &copy, &[Box::new(Counted(counting.clone()))])?;
    ensure!(
        !counting
            .asked
            .borrow()
            .iter()
            .any(|path| path.contains("/tile/"))
    );
    Ok(())
}

#[test]
fn a_copy_that_was_stopped_goes_on_and_is_never_half_a_log() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let published = Published::with_deltas(600);
    write(&published, dir.path())?;
    let (logs, copy) = (dir.path().join("logs"), dir.path().join("copy"));
    let mut runs = 0;
    loop {
        let counting = Rc::new(Counting::new(&logs)?);
        counting.left.set(13);
        let copied = mirror(&published, &copy, &[Box::new(Counted(counting))])?;
        runs += 1;
        ensure!(runs < 20, "it does not get on");
        let log = &copied.logs[2];
        if log.to == 602 {
            break;
        }
        ensure!(log.to == 0 && !copy.join(LOG).join("checkpoint").exists());
    }
    ensure!(runs > 1, "nothing was stopped");
    mirror(&published, &copy, &folders(&[&logs])?)?;
    ensure!(found(&audited(&published, &copy)?).is_empty());
    ensure!(!copy.join(".staging").join(LOG).exists());
    Ok(())
}

#[test]
fn a_rollback_is_refused_and_both_notes_are_kept() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (older, newer) = (Published::with_deltas(3), Published::with_deltas(9));
    write(&older, &dir.path().join("older"))?;
    write(&newer, &dir.path().join("newer"))?;
    let (old, new) = (dir.path().join("older/logs"), dir.path().join("newer/logs"));
    let copy = dir.path().join("copy");
    mirror(&newer, &copy, &folders(&[&new])?)?;
    let held = fs::read(copy.join(LOG).join("checkpoint"))?;
    // A source that lags beside one that does not is no rollback.
    let copied = mirror(&newer, &copy, &folders(&[&old, &new])?)?;
    ensure!(copied.logs[2].refused.is_empty(), "{copied:?}");
    let copied = mirror(&newer, &copy, &folders(&[&old])?)?;
    ensure!(copied.logs[2].refused.len() == 1 && copied.logs[2].to == 11);
    ensure!(fs::read(copy.join(LOG).join("checkpoint"))? == held);
    let refused = fs::read(copy.join(LOG).join("refused"))?;
    let note = fs::read(old.join(LOG).join("checkpoint"))?;
    ensure!(refused == [&note[..], b"\n"].concat());
    let result = audited(&newer, &copy)?;
    ensure!(
        found(&result) == [named("log", "rolled-back")],
        "{:?}",
        found(&result)
    );
    ensure!(result.logs[2].failures == 0);
    Ok(())
}

#[test]
fn a_fork_is_refused_and_both_notes_are_kept() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut base = Published::with_deltas(3);
    let mut other = base.clone();
    for (at, published) in [&mut base, &mut other].into_iter().enumerate() {
        for _ in 0..=at {
            let leaf = match at {
                0 => vec![0x82, 0x06, 0x01],
                _ => published.next_delta(),
            };
            published.append(&[leaf]);
        }
        published.publish();
    }
    write(&base, &dir.path().join("a"))?;
    write(&other, &dir.path().join("b"))?;
    let (a, b) = (dir.path().join("a/logs"), dir.path().join("b/logs"));
    // The other branch is larger, or smaller, than the one held; and of the same size.
    for (first, second, published) in [(&a, &b, &base), (&b, &a, &other)] {
        let copy = dir.path().join(format!("copy-{}", published.size));
        mirror(published, &copy, &folders(&[first])?)?;
        let before = files(&copy)?;
        let copied = mirror(published, &copy, &folders(&[second])?)?;
        ensure!(copied.logs[2].refused.len() == 1, "{:?}", copied.logs[2]);
        let note = fs::read(second.join(LOG).join("checkpoint"))?;
        let refused = fs::read(copy.join(LOG).join("refused"))?;
        ensure!(refused == [&note[..], b"\n"].concat());
        for (path, bytes) in before {
            ensure!(fs::read(copy.join(&path))? == bytes, "{}", path.display());
        }
        let result = audited(published, &copy)?;
        ensure!(
            found(&result) == [named("log", "fork")],
            "{:?}",
            found(&result)
        );
    }
    Ok(())
}

#[test]
fn a_source_with_damaged_files_spoils_no_copy() -> Result<()> {
    for path in [
        "tile/entries/000",
        "tile/0/000",
        "tile/0/001.p/46",
        "tile/1/000.p/1",
    ] {
        let dir = tempfile::tempdir()?;
        let published = Published::with_deltas(300);
        write(&published, dir.path())?;
        let (logs, copy) = (dir.path().join("logs"), dir.path().join("copy"));
        let damaged = logs.join(LOG).join(path);
        let whole = fs::read(&damaged)?;
        let mut bytes = whole.clone();
        bytes[20] ^= 1;
        fs::write(&damaged, bytes)?;
        let copied = mirror(&published, &copy, &folders(&[&logs])?)?;
        let log = &copied.logs[2];
        ensure!((log.to, log.failed.len()) == (0, 1), "{path}: {log:?}");
        fs::write(&damaged, whole)?;
        let copied = mirror(&published, &copy, &folders(&[&logs])?)?;
        ensure!(copied.logs[2].to == 302, "{path}: {copied:?}");
        ensure!(found(&audited(&published, &copy)?).is_empty(), "{path}");
    }
    Ok(())
}

#[test]
fn a_full_tile_is_never_overwritten() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let published = Published::with_deltas(300);
    write(&published, dir.path())?;
    let (logs, copy) = (dir.path().join("logs"), dir.path().join("copy"));
    put(&copy.join(LOG).join("tile/0/000"), &[7; 8_192])?;
    let copied = mirror(&published, &copy, &folders(&[&logs])?)?;
    ensure!(
        copied.logs[2].failed[0]
            .why
            .contains("tile/0/000 is held with other bytes")
    );
    ensure!(fs::read(copy.join(LOG).join("tile/0/000"))? == [7; 8_192]);
    Ok(())
}

#[test]
fn a_stranger_s_checkpoint_is_no_checkpoint() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut published = Published::with_deltas(3);
    let name = published.centres[0].origin.as_str().to_owned();
    let stranger = hashpact_keys::Signer::from_seed(&[5; 32]);
    let note = SignedNote::sign(published.head().text(), &name, &stranger);
    published.checkpoint = Some(note.to_bytes());
    write(&published, dir.path())?;
    let (logs, copy) = (dir.path().join("logs"), dir.path().join("copy"));
    let copied = mirror(&published, &copy, &folders(&[&logs])?)?;
    ensure!(
        copied.logs[2].failed[0].why.contains("no log key"),
        "{copied:?}"
    );
    ensure!(!copy.join(LOG).join("checkpoint").exists());
    Ok(())
}

#[test]
fn what_no_log_calls_for_is_told_and_outgrown_tiles_must_agree() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let published = Published::with_deltas(300);
    write(&published, dir.path())?;
    let logs = dir.path().join("logs");
    // A node's own folder keeps what was outgrown, and that is no finding.
    ensure!(logs.join(LOG).join("tile/0/000.p/3").exists());
    ensure!(found(&audited(&published, &logs)?).is_empty());
    let narrow = logs.join(LOG).join("tile/0/000.p/3");
    let mut bytes = fs::read(&narrow)?;
    bytes[33] ^= 1;
    fs::write(&narrow, bytes)?;
    let narrow = logs.join(LOG).join("tile/entries/000.p/3");
    let mut bytes = fs::read(&narrow)?;
    bytes.pop();
    fs::write(&narrow, bytes)?;
    put(&logs.join(LOG).join("tile/0/009"), b"x")?;
    put(&logs.join(LOG).join("tile/oops"), b"x")?;
    put(&logs.join("rosters/7"), b"x")?;
    put(&logs.join("xx.example_xx_1/checkpoint"), b"x")?;
    let found = found(&audited(&published, &logs)?);
    let expected = [
        named("xx.example_xx_1", "unknown-log"),
        named("rosters/7", "stray"),
        named("tile/0/000.p/3", "tile-hash"),
        named("tile/0/009", "stray"),
        named("tile/entries/000.p/3", "bundle"),
    ];
    ensure!(found == expected, "{found:?}");
    Ok(())
}

#[test]
fn a_link_in_a_folder_of_logs_is_not_followed() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let published = Published::with_deltas(3);
    write(&published, dir.path())?;
    let logs = dir.path().join("logs");
    let tile = logs.join(LOG).join("tile/0/000.p/5");
    fs::rename(&tile, dir.path().join("tile"))?;
    std::os::unix::fs::symlink(dir.path().join("tile"), &tile)?;
    let found = found(&audited(&published, &logs)?);
    ensure!(
        found == [named("tile/0/000.p/5", "file-missing")],
        "{found:?}"
    );
    Ok(())
}

#[test]
fn a_body_that_is_not_what_its_origin_signed_is_named() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut published = Published::begun();
    published.append_records(0..20);
    published.append_records(20..40);
    published.publish();
    write(&published, dir.path())?;
    let (logs, bodies) = (dir.path().join("logs"), dir.path().join("bodies"));
    let body = bodies.join(LOG).join("1");
    let mut bytes = fs::read(&body)?;
    bytes[20] ^= 1;
    fs::write(&body, bytes)?;
    for jobs in [1, 3] {
        let options = options(&published, Some(bodies.clone()), jobs)?;
        let result = verify(&logs, &options, &|| ())?;
        let found = found(&result);
        ensure!(found == [named("leaf 3 (delta 1)", "body")], "{found:?}");
        let sums = result.logs[2].bodies.clone().context("no bodies")?;
        ensure!((sums.verified, sums.refused, sums.records) == (1, 1, 20));
    }
    Ok(())
}

#[test]
fn a_folder_leads_to_the_roster_that_the_auditor_holds_or_is_not_believed() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut published = Published::with_deltas(1);
    let held = published.clone();
    published.next_roster(|_| {});
    write(&held, dir.path())?;
    let logs = dir.path().join("logs");
    let trusting = |roster: &hashpact_keys::SignedRoster| -> Result<AuditResult> {
        let options = VerifyOptions {
            trust: Trust::Roster(Box::new(roster.roster().clone())),
            ..options(&held, None, 1)?
        };
        Ok(verify(&logs, &options, &|| ())?)
    };
    ensure!(found(&trusting(&published.rosters[0])?).is_empty());
    let result = trusting(&published.rosters[1])?;
    ensure!(found(&result) == [named("roster 2", "roster-missing")] && !result.holds);
    let mut other = held.clone();
    other.next_roster(|draft| draft.auditors.clear());
    write(&other, dir.path())?;
    let result = trusting(&published.rosters[1])?;
    ensure!(found(&result) == [named("roster 2", "roster-differs")] && !result.holds);
    Ok(())
}

#[test]
fn commands_copy_a_node_s_logs_and_verify_the_copy() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut node = Node::init(folder.path(), "eu", Over::Tcp)?;
    let network = Network::found(folder.path(), &[&node])?;
    node.start()?;
    node.ingest(&List::write(folder.path(), "one", 20)?, &[])?
        .ends(0)?;
    node.stop()?;
    let logs = node.home.data().join("logs");
    let armor = fs::read_to_string(&network.rosters[0])?;
    let roster = hashpact_node::armor::Kind::Roster.unwrap(&armor)?;
    put(&logs.join("rosters/1"), &roster)?;
    let copy = text(&folder.path().join("copy"));
    let from = ["audit", "mirror", &copy, "--from", &text(&logs)];
    let wrong = "0".repeat(64);
    hashpact(from.iter().chain(&["--pin", &wrong]))?.refuses(1, &[&wrong, &network.pin])?;
    let copied = hashpact(from.iter().chain(&["--pin", &network.pin]))?.ends(0)?;
    ensure!(copied["logs"][0]["to"].as_u64() > Some(1), "{copied}");
    let result = hashpact(["audit", "verify", &copy, "--pin", &network.pin])?.ends(0)?;
    ensure!(
        result["holds"] == true && result["logs"][0]["records"] == 20,
        "{result}"
    );
    let roster = text(&network.rosters[0]);
    hashpact(["audit", "verify", &copy, "--roster", &roster])?.ends(0)?;
    hashpact(["audit", "verify", &copy, "--pin", &wrong])?.ends(1)?;
    hashpact([
        "audit",
        "verify",
        &text(&folder.path().join("absent")),
        "--pin",
        &wrong,
    ])?
    .ends(2)?;
    let unpinned = hashpact(["audit", "verify", &copy])?;
    ensure!(
        unpinned.code == 2 && unpinned.err.contains("--pin"),
        "{unpinned:?}"
    );
    // One line for the finding, with the log, the entry and the delta.
    let files = fs::read_dir(Path::new(&copy).join("eu.example_eu_1/tile/entries"))?;
    let partial = files.last().context("no bundle")??.path();
    let bundle = fs::read_dir(&partial)?.last().context("no bundle")??.path();
    let mut bytes = fs::read(&bundle)?;
    *bytes.last_mut().context("empty")? ^= 1;
    fs::write(&bundle, bytes)?;
    let said = node.read(&["audit", "verify", &copy, "--pin", &network.pin])?;
    ensure!(said.code == 1, "{said:?}");
    let fails = said
        .out
        .lines()
        .filter(|line| line.starts_with("FAIL eu.example/eu/1 leaf "));
    ensure!(
        fails.count() == 2 && said.out.contains("(delta 0)"),
        "{said:?}"
    );
    Ok(())
}

#[test]
fn a_copy_is_made_over_http_and_goes_on_from_there() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut node = Node::init(folder.path(), "eu", Over::Tcp)?;
    let network = Network::found(folder.path(), &[&node])?;
    let config = node.home.config();
    let text_of = fs::read_to_string(&config)?;
    fs::write(
        &config,
        format!("{text_of}\n[http]\nlisten = \"127.0.0.1:0\"\n"),
    )?;
    node.start()?;
    let logs = node.home.data().join("logs");
    let armor = fs::read_to_string(&network.rosters[0])?;
    put(
        &logs.join("rosters/1"),
        &hashpact_node::armor::Kind::Roster.unwrap(&armor)?,
    )?;
    let address = until("the node serves HTTP", || {
        let log = node.log()?;
        let mut lines = log.lines();
        let said = lines.find(|line| line.contains("serving the logs over HTTP"));
        Ok(said
            .and_then(|line| line.split("address=").nth(1))
            .map(str::to_owned))
    })?;
    let (url, copy) = (
        format!("http://{}", address.trim()),
        text(&folder.path().join("copy")),
    );
    let mirror = [
        "audit",
        "mirror",
        &copy,
        "--pin",
        &network.pin,
        "--from",
        &url,
    ];
    for (round, name) in ["one", "two"].into_iter().enumerate() {
        node.ingest(&List::write(folder.path(), name, 20 + round as u64)?, &[])?
            .ends(0)?;
        let copied = hashpact(mirror)?.ends(0)?;
        ensure!(
            copied["logs"][0]["to"].as_u64() > copied["logs"][0]["from"].as_u64(),
            "{copied}"
        );
        let result = hashpact(["audit", "verify", &copy, "--pin", &network.pin])?.ends(0)?;
        ensure!(result["logs"][0]["deltas"] == 1 + round, "{result}");
    }
    node.stop()?;
    // Nobody answers there any more: what is held stays, and says so.
    hashpact(mirror)?.ends(3)?;
    hashpact(["audit", "verify", &copy, "--pin", &network.pin])?.ends(0)?;
    Ok(())
}
