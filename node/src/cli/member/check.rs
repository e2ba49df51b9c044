//! `hashpact member check`: files or hashes against the synced copy of a subset, or privately against a centre.

mod gather;
mod private;
mod words;

use std::io::ErrorKind;
use std::path::PathBuf;

use clap::Args;
use hashpact_keys::CentreId;
use hashpact_protocol::fingerprint::Algorithm;
use hashpact_protocol::labels::Purpose;
use serde_json::{Value, json};

use super::super::matching::{kind, word};
use super::super::{Answer, Failure};
use crate::clock;
use crate::home::Home;
use crate::near::file::{FILE_NAME, Index, ReadIndexError};
use crate::near::known::{Known, Match, is_weak};
use crate::near::slots::Threshold;
use crate::sync::{FolderError, usable};
use gather::{Gathered, Gatherer, Subject};

/// Matches that one command keeps: what is beyond is counted.
const MATCHES_KEPT: usize = 100_000;

#[derive(Args)]
#[command(
    after_help = "Files are hashed where they lie: md5, sha1, sha256, and pdq of JPEG, PNG, GIF, WebP, BMP and TIFF pictures. Folders are\nwalked; links are not followed. What cannot be read is told and stops nothing. No fingerprint is printed or kept.\n\nTiers: T1 the same file (weak if md5 or sha1 alone say so), T2 the same perceptual hash, T3 a pdq hash at most --near bits\naway: a person looks at a T3 before anybody reports it.\n\nExit codes: 0 something matches; 1 nothing matches; 2 wrong usage, or a list of hashes that is refused; 3 failed: no synced\ncopy, or nothing matches and something could not be read.\n\nExamples:\n  hashpact member check --dir subset --near 31 uploads/\n  hashpact member check --dir subset --hashes suspects.txt --json\n  hashpact --home member member check --private --purpose remove uploads/"
)]
pub(in super::super) struct CheckArgs {
    /// Files and folders.
    #[arg(
        value_name = "FILE_OR_FOLDER",
        required_unless_present = "hashes",
        conflicts_with = "hashes"
    )]
    paths: Vec<PathBuf>,
    /// Read hashes instead, one a line: TYPE:VALUE, or a bare value of --type, or a bare md5, sha1 or sha256.
    #[arg(long, value_name = "LIST")]
    hashes: Option<PathBuf>,
    /// The type of values without a name.
    #[arg(long = "type", value_name = "TYPE", requires = "hashes", value_parser = kind)]
    kind: Option<Algorithm>,
    /// The folder that `hashpact member sync` keeps.
    #[arg(long, value_name = "SYNCED", default_value = ".")]
    dir: PathBuf,
    /// Match pdq hashes up to so many bits away: 0 to 31.
    #[arg(long, value_name = "BITS")]
    near: Option<Threshold>,
    /// Ask a centre instead, by private matching: it learns how many values, and not which. Equal values only.
    #[arg(long, conflicts_with_all = ["dir", "near"])]
    private: bool,
    /// The centre to ask; a member has one.
    #[arg(long, value_name = "CENTRE", requires = "private")]
    with: Option<CentreId>,
    /// What a match will be used for; policy decides by it.
    #[arg(long, default_value = "detect", requires = "private", value_parser = word::<Purpose>)]
    purpose: Purpose,
    /// Fill a session that is too short up with random values. They are charged too.
    #[arg(long, requires = "private")]
    pad: bool,
}

pub(in super::super) fn check(home: &Home, args: &CheckArgs) -> Result<Answer, Failure> {
    if args.private {
        return private::check(home, args);
    }
    let known = open(args)?;
    let mut report = Report::default();
    let gathered = gather(args, &mut |subject| {
        report.judge(&known, args.near, &subject)
    })?;
    let json = report.json(&known, args.near, &gathered);
    let text = words::text(&report, &known, &gathered);
    Ok(Answer {
        json,
        text,
        code: code(report.matched, &gathered),
    })
}

/// 0 if something matches, 1 if nothing does; 3 if that is not sure, as something could not be read.
fn code(matched: u64, gathered: &Gathered) -> u8 {
    match (matched, gathered.faults) {
        (0, 0) => 1,
        (0, _) => 3,
        (_, _) => 0,
    }
}

fn gather(args: &CheckArgs, each: &mut dyn FnMut(Subject)) -> Result<Gathered, Failure> {
    let mut gatherer = Gatherer::new(each);
    match &args.hashes {
        Some(list) => gatherer.hashes(list, args.kind.as_ref())?,
        None => gatherer.files(&args.paths),
    }
    Ok(gatherer.finish())
}

fn open(args: &CheckArgs) -> Result<Known, Failure> {
    match usable(&args.dir, clock::now()) {
        // Without a folder around it, it is an index that was exported.
        Ok(()) | Err(FolderError::Missing(_)) => {}
        // Not 1, which says that nothing matches.
        Err(error) => return Err(Failure::failed(error)),
    }
    let path = args.dir.join(FILE_NAME);
    let index = Index::open(&path).map_err(|error| {
        let is_missing =
            matches!(&error, ReadIndexError::Io(it) if it.kind() == ErrorKind::NotFound);
        let advice = if is_missing {
            ": `hashpact member sync DIR` makes it"
        } else {
            ""
        };
        Failure::failed(format!("{}: {error}{advice}", path.display()))
    })?;
    Ok(Known::new(index, args.near))
}

/// What matched.
#[derive(Default)]
struct Report {
    /// Files, or hashes of a list, with a match.
    matched: u64,
    rows: Vec<Value>,
    /// Matches beyond those kept.
    more: u64,
}

impl Report {
    fn judge(&mut self, known: &Known, near: Option<Threshold>, subject: &Subject) {
        let mut any = false;
        // Weak only if nothing stronger says the same.
        let is_strong = subject.fingerprints.iter().any(|fingerprint| {
            !is_weak(fingerprint.algorithm()) && !known.matches(fingerprint).is_empty()
        });
        for fingerprint in &subject.fingerprints {
            let algorithm = fingerprint.algorithm();
            for found in known.matches(fingerprint) {
                any = true;
                if self.rows.len() == MATCHES_KEPT {
                    self.more += 1;
                    continue;
                }
                let weak = is_weak(algorithm) && !is_strong;
                let threshold = near.filter(|_| *algorithm == Algorithm::Pdq);
                self.rows
                    .push(row(subject, algorithm, threshold, weak, &found));
            }
        }
        self.matched += u64::from(any);
    }

    fn json(&self, known: &Known, near: Option<Threshold>, gathered: &Gathered) -> Value {
        let mut json = gathered.json();
        json["list"] = json!(known.index().head().list);
        json["list"]["entries"] = json!(known.index().len());
        json["near"] = json!(near.map(Threshold::get));
        json["matched"] = json!(self.matched);
        json["matches"] = json!(self.rows);
        json["matches_not_told"] = json!(self.more);
        json["declared_error"] = words::declared_error();
        json
    }
}

fn row(
    subject: &Subject,
    algorithm: &Algorithm,
    threshold: Option<Threshold>,
    weak: bool,
    found: &Match<'_>,
) -> Value {
    let entry = found.hit.entry;
    json!({
        "file": subject.path.as_ref().map(|path| path.to_string_lossy()),
        "line": subject.line,
        "tier": found.tier.name(),
        "weak": weak,
        "algorithm": algorithm.name(),
        "distance": found.distance,
        "threshold": threshold.map_or(0, Threshold::get),
        "quality": found.quality,
        "origin": found.hit.origin,
        "entry": entry.entry.to_string(),
        "revision": entry.revision.0,
        "class": found.hit.class.class,
        "labels": found.hit.class.labels,
        "disputed": entry.marks.disputed,
        "flagged": entry.marks.flagged,
    })
}
