//! What a centre may share with nobody, a provider can still match: a member checks 10,000 hashes of which this centre has 137,
//! finds exactly these, and neither what was said nor what is stored anywhere holds a fingerprint or a key.
//!
//! | file | answers |
//! |---|---|
//! | `secrets` | which keys are looked for |
//! | `memory` | what a core file of a centre's process would hold |

mod memory;
mod secrets;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use hashpact_keys::SignedRoster;
use hashpact_node::daemon::Status;
use hashpact_node::matching::client::{MatchError, Outcome, SessionError, TalkError};
use hashpact_protocol::policy::MatchMode;
use hashpact_protocol::psi::RefusalCode;
use sha2::{Digest as _, Sha256};

use super::{Governed, SETTLE};
use crate::member::{Connected, Member, Tape, Transcript, read_list};
use crate::mixed::{Case, Mixed};
use crate::needles::Needles;

/// The centre that is asked: under its law nothing is given to other centres.
const CENTRE: &str = "us";
/// Who checks.
const MEMBERS: [&str; 2] = ["shop-one", "shop-two"];
/// Where what opens the centre's records is written.
const OPENINGS: &str = "provider.openings";
/// Hashes that a member checks, and those of them that the centre has.
const ASKED: usize = 10_000;
const KNOWN: usize = 137;
/// Entries of the centre that no member has.
const OTHERS: usize = 63;
/// Items a day: two checks, not three.
const PER_DAY: u64 = 25_000;
/// How long a manifest must be the newest before a check begins.
const STAYS: Duration = Duration::from_secs(2);
/// How long the centre may take to publish what it took in.
const PUBLISHED: Duration = Duration::from_secs(120);

/// What is known of the provider's checks.
struct Evidence {
    /// The list of the members, as typed.
    lines: Vec<String>,
    tape: Tape,
    /// The records that members keep.
    records: Vec<Vec<u8>>,
}

impl Governed<'_> {
    pub(super) fn provider(&mut self) {
        self.watch.say(
            "A provider checks 10,000 hashes at us, which may share nothing; 137 of them are in its list",
        );
        let mut evidence = None;
        if let Err(error) = self.matches(&mut evidence) {
            let name = if evidence.is_none() {
                "match_found_exactly"
            } else {
                "over_quota_refused"
            };
            self.check(name, Err(error));
        }
        let Some(evidence) = evidence else { return };
        let seen = self.nothing_said(&evidence);
        self.check("no_fingerprint_in_transcript", seen);
        let seen = self.nowhere(&evidence);
        self.check("keys_and_fingerprints_nowhere", seen);
    }

    /// The checks by two members. `evidence` is there once the first one is done.
    fn matches(&mut self, evidence: &mut Option<Evidence>) -> Result<()> {
        let held = self.only_for_providers()?;
        let lines = asked(&held);
        let roster = self.cluster.roster()?;
        let [first, second] = MEMBERS.map(|name| self.admit(name));
        let (first, second) = (first?, second?);
        let items = read_list(lines.join("\n").as_bytes())?;
        let tape = Tape::default();
        let connected = self.connected(&first, &roster)?;

        let started = Instant::now();
        let found = connected.check(&items, MatchMode::Items, "first", &tape)??;
        let seconds = started.elapsed().as_secs_f64();
        self.outcome.figure("match_10000_by_member", seconds, "s");
        let seen = found_exactly(&found, &items, &lines, &held);
        let mut records = record_of(&found);
        self.check("match_found_exactly", seen);

        let counted = connected.check(&items, MatchMode::Count, "second", &tape)?;
        let seen = counted.map_err(anyhow::Error::from).and_then(|counted| {
            records.extend(record_of(&counted));
            let got = counted.matches;
            ensure!(got == KNOWN as u64, "the count is {got}");
            Ok(format!(
                "the count of the same list is {got}, under a key of that session alone"
            ))
        });
        self.check("count_equal", seen);

        let before = self.cluster.node(CENTRE)?.status()?;
        let refused = connected
            .check(&items, MatchMode::Items, "third", &tape)?
            .err();
        drop(connected);
        let seen = self.refused(refused, &before).and_then(|refusal| {
            // A fresh process: what it took in and looked up is in its memory no more.
            let centre = self.cluster.node_mut(CENTRE)?;
            centre.stop()?;
            centre.start()?;
            let connected = self.connected(&second, &roster)?;
            let found = connected.check(&items, MatchMode::Items, "first", &tape)??;
            records.extend(record_of(&found));
            found_exactly(&found, &items, &lines, &held).context("for the other member")?;
            Ok(format!(
                "{refusal}; another member's check found the same {KNOWN} then"
            ))
        });
        *evidence = Some(Evidence {
            lines,
            tape,
            records,
        });
        self.check("over_quota_refused", seen);
        Ok(())
    }

    /// The centre takes in what it may give to providers alone, under terms of this run. Its entries, as typed.
    fn only_for_providers(&mut self) -> Result<Vec<String>> {
        let node = self.cluster.node(CENTRE)?;
        node.profile()?.with_match_per_day(PER_DAY)?.log(node)?;
        let mut case = Case::plain("for providers alone");
        case.recipients = ["provider"].into();
        let list = Mixed::new(CENTRE, "providers", vec![case], KNOWN + OTHERS);
        let held = list
            .cases
            .iter()
            .flat_map(|case| case.entries.clone())
            .collect();
        self.ingest(list)?;
        // By every look-up of it: no other centre has any of it.
        self.settle().context("what is for providers alone")?;
        Ok(held)
    }

    fn admit(&self, name: &str) -> Result<Member> {
        let folder = self.cluster.folder.join(name);
        Member::admit(name, self.cluster.node(CENTRE)?, folder)
    }

    /// A member's connection, once everything that the centre holds by now is published to be matched.
    fn connected<'m>(&self, member: &'m Member, roster: &SignedRoster) -> Result<Connected<'m>> {
        let connected = member.connect(CENTRE, roster.roster())?;
        connected.wait_for_items((KNOWN + OTHERS) as u64, STAYS, PUBLISHED)?;
        Ok(connected)
    }

    /// That a check was refused for its size by the day's quota, that it is told of, and stands in the log.
    fn refused(&self, refused: Option<MatchError>, before: &Status) -> Result<String> {
        let error = refused.context("a check beyond the quota was answered")?;
        let MatchError::Session(SessionError::Talk(TalkError::Refused { code, text })) = &error
        else {
            return Err(error.into());
        };
        ensure!(
            *code == RefusalCode::OverQuota,
            "refused for another reason: {error}"
        );
        let node = self.cluster.node(CENTRE)?;
        let deadline = Instant::now() + SETTLE;
        loop {
            let after = node.status()?;
            let told = after
                .events
                .iter()
                .find(|seen| seen.kind == "match_refused");
            if let Some(told) = told.filter(|_| after.own.size > before.own.size) {
                return Ok(format!(
                    "refused: {text}; the centre's status says: {}",
                    told.text
                ));
            }
            if Instant::now() > deadline {
                bail!("the refusal was not told of, or not logged");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// That no fingerprint of either list was said in either direction, nor stands in a record of either side.
    fn nothing_said(&self, evidence: &Evidence) -> Result<String> {
        let needles = Needles::new(self.fingerprints(evidence)?)?;
        let Transcript { said, heard } = evidence.tape.transcript();
        let openings = self.openings()?;
        for (what, bytes, least) in [
            ("said", &said, 32 * ASKED),
            ("heard", &heard, 32 * ASKED),
            ("put in the centre's records", &openings, 200),
        ] {
            let got = bytes.len();
            ensure!(got > least, "only {got} bytes were {what}");
            if let Some(found) = needles.find(bytes) {
                bail!(
                    "{}: in what was {what}, byte {}, {:?}",
                    found.name,
                    found.at,
                    found.form
                );
            }
        }
        let records = &evidence.records;
        ensure!(records.len() == 3, "{} records of members", records.len());
        ensure!(
            records.iter().all(|record| needles.find(record).is_none()),
            "in a member's record"
        );
        // The same search finds what is there.
        let planted = [
            &said[..],
            &hex::decode(&evidence.lines[ASKED / 2][7..])?,
            &heard,
        ]
        .concat();
        let found = needles
            .find(&planted)
            .context("a planted fingerprint was not found")?;
        ensure!(found.at == said.len() as u64, "found at {}", found.at);
        Ok(format!(
            "none of {} fingerprints, raw, in hexadecimal or in base64, in {} bytes said and {} heard, nor in the session records of either side",
            needles.len(),
            said.len(),
            heard.len()
        ))
    }

    /// What opens the centre's sealed records, those of its sessions among them.
    fn openings(&self) -> Result<Vec<u8>> {
        let node = self.cluster.node(CENTRE)?;
        let file = self.cluster.folder.join(OPENINGS);
        node.shell_ok(&[
            "audit",
            "export-openings",
            "--out",
            &file.display().to_string(),
        ])?;
        Ok(std::fs::read(file)?)
    }

    /// That neither a fingerprint of any list nor a key of any centre lies in a log, a status, a data folder or the
    /// member's cache; nor a fingerprint in the memory of the centre that was asked.
    fn nowhere(&self, evidence: &Evidence) -> Result<String> {
        let fingerprints = self.fingerprints(evidence)?;
        let mut all = fingerprints.clone();
        for node in &self.cluster.nodes {
            let origin = node.status()?.own.origin.parse()?;
            all.extend(secrets::of(node, &origin)?);
        }
        let keys = all.len() - fingerprints.len();
        let seed = format!("{CENTRE}'s seed of match epoch");
        ensure!(
            all.iter().any(|(name, _)| name.starts_with(&seed)),
            "no match key of {CENTRE} was found to look for"
        );
        let needles = Needles::new(all)?;
        let (mut files, mut bytes) = (0, 0);
        for place in self.places()? {
            let searched = needles.find_below(&place)?;
            if let Some((path, found)) = searched.found.first() {
                bail!(
                    "{}: in {}, byte {}, {:?}",
                    found.name,
                    path.display(),
                    found.at,
                    found.form
                );
            }
            (files, bytes) = (files + searched.files, bytes + searched.bytes);
        }
        needles.prove(&self.cluster.node(CENTRE)?.home.data())?;
        let memory = self.memory(fingerprints)?;
        Ok(format!(
            "none of {} fingerprints and {keys} keys in {files} files of {} MB: logs, statuses, data folders, caches; planted ones were found; {memory}",
            needles.len() - keys,
            bytes / 1_000_000
        ))
    }

    /// Files and folders that hold no plain key by their purpose.
    fn places(&self) -> Result<Vec<PathBuf>> {
        let mut places = Vec::new();
        for node in &self.cluster.nodes {
            let status = node.home.path().join("status.json");
            std::fs::write(&status, serde_json::to_vec(&node.status()?)?)?;
            places.extend([node.home.data(), node.log_file(), status]);
        }
        places.extend(
            self.cluster
                .auditors
                .iter()
                .map(crate::cluster::Auditor::log_file),
        );
        let folder: &Path = &self.cluster.folder;
        places.extend(
            MEMBERS
                .iter()
                .chain(&[OPENINGS])
                .map(|name| folder.join(name)),
        );
        Ok(places)
    }

    /// What the process of the centre holds in memory, which served a member since it was started.
    fn memory(&self, fingerprints: Vec<(String, Vec<u8>)>) -> Result<String> {
        let pid = self
            .cluster
            .node(CENTRE)?
            .pid()
            .context("the centre runs")?;
        ensure!(
            memory::leaves_no_core(pid)?,
            "its process would leave a core file"
        );
        let needles = Needles::new(fingerprints)?;
        let Some(looked) = memory::search(pid, &needles)? else {
            return Ok("no core file can be made of the centre's process by its user".to_owned());
        };
        if let Some(found) = looked.found.first() {
            bail!(
                "{}: in the memory of {CENTRE}, {} times",
                found.name,
                looked.found.len()
            );
        }
        Ok(format!(
            "no fingerprint in {} MB of memory of the centre's process, which leaves no core file; live keys are there",
            looked.bytes / 1_000_000
        ))
    }

    /// Every fingerprint of every list that the centres took in, and of the members' list.
    fn fingerprints(&self, evidence: &Evidence) -> Result<Vec<(String, Vec<u8>)>> {
        let own = self.stock.items.iter().flat_map(|item| {
            let name =
                |number: usize| format!("entry {number} of {}'s {:?}", item.origin, item.case.name);
            item.case
                .entries
                .iter()
                .enumerate()
                .map(move |(number, entry)| (name(number), entry))
        });
        let asked = evidence.lines.iter().enumerate();
        let asked =
            asked.map(|(number, line)| (format!("line {} of the members", number + 1), line));
        let named = own.chain(asked).map(|(name, entry)| {
            let digits = entry
                .split_once(':')
                .ok_or_else(|| anyhow!("{name} has no type"))?
                .1;
            Ok((name, hex::decode(digits)?))
        });
        named.collect()
    }
}

/// A list of which the centre has some, spread over it.
fn asked(held: &[String]) -> Vec<String> {
    let mut known = held.iter().take(KNOWN);
    let line = |number: usize| {
        let hash = Sha256::digest(format!("hashpact member {number}"));
        format!("sha256:{}", hex::encode(hash))
    };
    let every = ASKED / KNOWN;
    (0..ASKED)
        .map(|number| match number % every == every / 2 {
            true => known.next().cloned().unwrap_or_else(|| line(number)),
            false => line(number),
        })
        .collect()
}

/// That exactly the lines matched that the centre has.
fn found_exactly(
    found: &Outcome,
    items: &hashpact_node::matching::client::list::Items,
    lines: &[String],
    held: &[String],
) -> Result<String> {
    let expected: Vec<u32> = (1..)
        .zip(lines)
        .filter(|(_, line)| held.contains(line))
        .map(|(number, _)| number)
        .collect();
    ensure!(
        expected.len() == KNOWN,
        "the list has {} of them",
        expected.len()
    );
    let matched = |item: usize| {
        let mut all = found.groups.iter().flat_map(|group| &group.matched);
        all.any(|(number, _)| *number as usize == item)
    };
    let got = items.lines_of(matched);
    ensure!(
        got == expected && found.matches == KNOWN as u64,
        "{} lines matched, {} of them rightly; {} should",
        got.len(),
        got.iter().filter(|line| expected.contains(line)).count(),
        expected.len()
    );
    Ok(format!(
        "{} lines of {} matched, each of them and no other in the list of {CENTRE}, which no other centre holds anything of; epoch {}, {} groups",
        got.len(),
        lines.len(),
        found.epoch,
        found.groups.len()
    ))
}

fn record_of(found: &Outcome) -> Vec<Vec<u8>> {
    found
        .session
        .iter()
        .map(|session| session.record.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_members_list_has_exactly_the_known_ones_of_the_centre() {
        let held: Vec<String> = (0..KNOWN + OTHERS)
            .map(|n| format!("sha256:{n:064}"))
            .collect();
        let lines = asked(&held);
        let known = lines.iter().filter(|line| held.contains(line)).count();
        let mut distinct = lines.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!((lines.len(), distinct.len(), known), (ASKED, ASKED, KNOWN));
    }
}
