//! Look-ups at the control socket: one, or many in a request.
//!
//! Each is charged to the person who asks before it is answered, and leaves its line in the audit trail before the answer
//! leaves. In scope: reading what is asked, wording what is found. Out of scope: counting (`daemon::people`), the store.

use std::io;

use hashpact_protocol::fingerprint::{Algorithm, Fingerprint};
use hashpact_protocol::lists::ClosedList as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::server::{failed, input, no, store_failed};
use super::{Fault, evidence};
use crate::clock;
use crate::daemon::Handle;
use crate::daemon::people::{Asked, People, Person, PersonError};
use crate::store::{FoundEntry, LookupError, Standing, Store};

/// Fingerprints of one request: of the usual kinds they fill half of a line.
pub const LOOKUPS_MAX: usize = 8_192;
/// Fingerprints that one thread looks up at a time: what they find stays in memory until it is told.
const PIECE: usize = 1_024;
/// Threads of a request.
const THREADS: usize = 2;
/// Hits on one line of an answer: some 200 bytes each, far below what a line may have.
const HITS_A_LINE: usize = 1_024;

/// Some of what was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Entries, by the place of what was asked.
    pub hits: Vec<Hit>,
}

/// An entry that has a fingerprint of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hit {
    /// Which fingerprint of the request, from 0.
    pub number: u32,
    /// Whether it is a known match: neither retracted nor void.
    #[serde(rename = "match")]
    pub is_match: bool,
    /// `in_force`, `pending` or `void`.
    pub standing: String,
    /// Whether a retraction has ended it.
    pub retracted: bool,
    /// Its log.
    pub origin: String,
    /// Its id.
    pub entry: String,
    /// Its revision.
    pub revision: u32,
    /// Its class.
    pub class: u16,
    /// The origin's statement.
    pub state: String,
}

/// Look-ups touch a few pages: they run where they are asked.
pub(super) fn one(
    handle: &Handle,
    person: &Person,
    algorithm: &str,
    value: &str,
) -> Result<Value, Fault> {
    let print = read(algorithm, value)?;
    let found = counted(&handle.people, person, std::slice::from_ref(&print), || {
        let found = handle.store.lookup(&print)?;
        let matched = found.iter().any(FoundEntry::is_match);
        Ok((found, u64::from(matched)))
    })?;
    let entries = found.iter().map(|found| {
        let mut entry = describe(found);
        if let Some(entry) = entry.as_object_mut() {
            entry.extend(evidence::told::of_entry(handle, found));
        }
        entry
    });
    let entries: Vec<Value> = entries.collect();
    Ok(json!({ "entries": entries }))
}

/// Answers a request of many.
pub(super) async fn many(
    handle: &Handle,
    person: &Person,
    fingerprints: &[String],
    write: &mut (impl tokio::io::AsyncWrite + Unpin),
) -> io::Result<Result<Value, Fault>> {
    // Perhaps thousands of look-ups: other tasks of this thread move elsewhere meanwhile.
    match tokio::task::block_in_place(|| find_many(handle, person, fingerprints)) {
        Err(fault) => Ok(Err(fault)),
        Ok((lines, matched)) => {
            write.write_all(&lines).await?;
            let asked = fingerprints.len();
            Ok(Ok(json!({ "asked": asked, "matched": matched })))
        }
    }
}

/// The lines of an answer, and how many of the fingerprints have a match.
fn find_many(
    handle: &Handle,
    person: &Person,
    fingerprints: &[String],
) -> Result<(Vec<u8>, u64), Fault> {
    if fingerprints.len() > LOOKUPS_MAX {
        return Err(input(format!(
            "at most {LOOKUPS_MAX} fingerprints a request"
        )));
    }
    let prints = (1..).zip(fingerprints).map(|(number, text)| {
        let wrong = |fault: Fault| input(format!("number {number}: {}", fault.text));
        let pair = text.split_once(':');
        let (algorithm, value) =
            pair.ok_or_else(|| input(format!("number {number}: expected ALGORITHM:VALUE")))?;
        read(algorithm, value).map_err(wrong)
    });
    let prints: Vec<Fingerprint> = prints.collect::<Result<_, _>>()?;
    counted(&handle.people, person, &prints, || {
        let mut lines = Vec::new();
        let mut matched = 0;
        let answers = all(&handle.store, &prints)?;
        for answer in &answers {
            lines.extend_from_slice(&answer.lines);
            matched += answer.matched;
        }
        Ok(((lines, matched), matched))
    })
}

/// What one piece of a request found.
#[derive(Default)]
struct Piece {
    lines: Vec<u8>,
    matched: u64,
}

/// Looks the pieces up on a few threads; in their order.
fn all(store: &Store, prints: &[Fingerprint]) -> Result<Vec<Piece>, LookupError> {
    let first = (0..).step_by(PIECE);
    let pieces: Vec<(u32, &[Fingerprint])> = first.zip(prints.chunks(PIECE)).collect();
    let share = pieces.len().div_ceil(THREADS).max(1);
    std::thread::scope(|scope| {
        let threads: Vec<_> = pieces
            .chunks(share)
            .map(|share| {
                scope.spawn(move || {
                    let each = share
                        .iter()
                        .map(|(first, prints)| piece(store, *first, prints));
                    each.collect::<Result<Vec<Piece>, LookupError>>()
                })
            })
            .collect();
        let mut all = Vec::with_capacity(pieces.len());
        for thread in threads {
            let done = thread.join().unwrap_or_else(|_| Err(stopped()));
            all.extend(done?);
        }
        Ok(all)
    })
}

fn stopped() -> LookupError {
    LookupError::Index(io::Error::other("a thread that looked up has ended"))
}

fn piece(store: &Store, first: u32, prints: &[Fingerprint]) -> Result<Piece, LookupError> {
    let found = store.lookup_many(prints)?;
    let mut piece = Piece::default();
    let mut hits = Vec::new();
    for (number, entries) in (first..).zip(&found) {
        piece.matched += u64::from(entries.iter().any(FoundEntry::is_match));
        hits.extend(entries.iter().map(|entry| hit(number, entry)));
    }
    for hits in hits.chunks(HITS_A_LINE) {
        let line = Report {
            report: Hits { hits },
        };
        serde_json::to_writer(&mut piece.lines, &line).map_err(io::Error::other)?;
        piece.lines.push(b'\n');
    }
    Ok(piece)
}

/// A [`Line::Report`](super::Line::Report) of a [`Found`], written without a detour.
#[derive(Serialize)]
struct Report<'a> {
    report: Hits<'a>,
}

#[derive(Serialize)]
struct Hits<'a> {
    hits: &'a [Hit],
}

fn hit(number: u32, found: &FoundEntry) -> Hit {
    Hit {
        number,
        is_match: found.is_match(),
        standing: standing(found).0.to_owned(),
        retracted: found.retracted,
        origin: found.origin.to_string(),
        entry: found.record.entry.to_string(),
        revision: found.record.revision.0,
        class: found.class.0,
        state: found.labels.state.name().to_owned(),
    }
}

/// Charges, looks up, leaves the line, and only then hands over what was found.
fn counted<T>(
    people: &People,
    person: &Person,
    prints: &[Fingerprint],
    look_up: impl FnOnce() -> Result<(T, u64), LookupError>,
) -> Result<T, Fault> {
    let mut asked = Asked::new();
    for print in prints {
        let name = print.algorithm().name();
        match asked.get_mut(name) {
            Some(count) => *count += 1,
            None => {
                asked.insert(name.to_owned(), 1);
            }
        }
    }
    let now = clock::now();
    people.charge(person, &asked, now).map_err(refused)?;
    let (found, matched) = look_up().map_err(store_failed)?;
    people.tell(person, &asked, matched, now).map_err(refused)?;
    Ok(found)
}

fn refused(error: PersonError) -> Fault {
    match &error {
        PersonError::Quota { .. } => no(error.to_string()),
        PersonError::Trail(_) => failed(error.to_string()),
    }
}

fn read(algorithm: &str, value: &str) -> Result<Fingerprint, Fault> {
    let known = Algorithm::from_name(algorithm).filter(|algorithm| algorithm.code().is_some());
    let algorithm = known.ok_or_else(|| {
        input("unknown algorithm: use md5, sha1, sha256, blake3, pdq or photodna".to_owned())
    })?;
    Fingerprint::from_text(algorithm, value).map_err(|error| input(error.to_string()))
}

/// How it stands, and the size at which its log is frozen if it is void.
fn standing(found: &FoundEntry) -> (&'static str, Option<u64>) {
    match found.standing {
        Standing::InForce => ("in_force", None),
        Standing::Pending => ("pending", None),
        Standing::Void { frozen } => ("void", Some(frozen)),
    }
}

/// An entry for people and scripts: no fingerprint but the one that was asked for, which the asker has.
///
/// `standing` is `in_force`, `pending` (this centre's own, not witnessed yet) or `void` (beyond the size `frozen` of a log that
/// was shown to be forked: no match). `match` says whether it is a known match: neither retracted nor void.
fn describe(found: &FoundEntry) -> Value {
    let labels = &found.labels;
    let locals = found.record.fields.local_labels.iter().map(|label| {
        json!({
            "scheme": label.scheme, "version": label.version,
            "issuer": label.issuer, "value": label.value,
        })
    });
    let (standing, frozen) = standing(found);
    json!({
        "match": found.is_match(),
        "standing": standing,
        "frozen": frozen,
        "origin": found.origin.to_string(),
        "centre": found.origin.centre().to_string(),
        "entry": found.record.entry.to_string(),
        "revision": found.record.revision.0,
        "delta": found.seq.0,
        "class": found.class.0,
        "retracted": found.retracted,
        "state": labels.state.name(),
        "media_kind": labels.media_kind.names().collect::<Vec<_>>(),
        "content_class": labels.content_class.names().collect::<Vec<_>>(),
        "tlp": labels.tlp.name(),
        "hops": labels.hops,
        "recipients": labels.recipients.names().collect::<Vec<_>>(),
        "purposes": labels.purposes.names().collect::<Vec<_>>(),
        "local_labels": locals.collect::<Vec<_>>(),
        "algorithms": found.record.fields.matchable().map(|print| print.algorithm().name()).collect::<Vec<_>>(),
    })
}
