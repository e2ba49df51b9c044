//! Which policy documents are in force in each log; in `flows`, whether a class may flow from one centre to another.
//!
//! Documents are read once, when a log grows by one or the roster changes; a decision reads no file. Whatever is not known
//! for sure denies: a document that does not read, one that is named and not read yet, an expired roster, a class without
//! labels. Spec: `docs/protocol.md`, "Policy documents".

mod flows;

use std::collections::BTreeMap;
use std::sync::Arc;

use hashpact_keys::roster::CentreEntry;
use hashpact_keys::{CentreId, Origin, RosterVersion, Timestamp};

use super::cosign::{deltas_below, standing};
use super::{Centre, Event, Output};
use crate::delta::{Header, Seq};
use crate::labels::Purpose;
use crate::limits;
use crate::log::read_delta;
use crate::policy::{Fallback, InForce, Logged, PolicyDocument, Profile};
use crate::view::{LogState, View};

pub use flows::Flow;
pub(super) use flows::{Way, earliest};

/// The policy documents of every log, read.
#[derive(Default)]
pub(super) struct Books {
    /// The roster that they were read under.
    roster: Option<RosterVersion>,
    logs: BTreeMap<Origin, Book>,
    /// The newest time of which a quorum has spoken, in any log.
    seen: Option<Timestamp>,
}

/// The policy documents of one log.
#[derive(Default)]
struct Book {
    /// Log index of the newest one that was read.
    newest: Option<u64>,
    documents: Vec<Logged>,
    /// The witnessed note of which the time was read.
    note: Vec<u8>,
}

/// Which documents stand where, and whether they are witnessed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LawMark {
    roster: RosterVersion,
    logs: Vec<(Option<u64>, bool)>,
}

/// The policy documents of one log that count now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyStanding {
    /// Version and log index of each document that must allow, in order; the first one is mature, or none is.
    pub in_force: Vec<(u64, u64)>,
    /// When the next of them that is witnessed may widen what is allowed.
    pub matures: Option<Timestamp>,
    /// Log indices of those that cannot be read here, and so deny everything: an alarm.
    pub unreadable: Vec<u64>,
    /// Whether none is mature on a network that is no demonstration, or in which others have policies: nothing is allowed.
    pub closed: bool,
}

impl Centre {
    /// Which policy documents of a log count.
    #[must_use]
    pub fn policy_standing(&self, origin: &Origin, now: Timestamp) -> PolicyStanding {
        let law = self.law(origin, now);
        let newest = self
            .standing_of(origin)
            .map_or(0, |state| state.next_policy);
        // Versions count up by one.
        let indices: Vec<u64> = law.indices().collect();
        let first = newest.saturating_sub(indices.len() as u64);
        PolicyStanding {
            in_force: (first..).zip(indices).collect(),
            matures: law.matures(),
            unreadable: law.unreadable().collect(),
            closed: law.is_closed(),
        }
    }

    /// What is in force in one log now. It is open only on a demonstration network in which no log has a document.
    #[must_use]
    pub fn law(&self, origin: &Origin, now: Timestamp) -> InForce {
        let unruled = self.roster().demo && self.books.logs.values().all(Book::is_empty);
        let fallback = if unruled {
            Fallback::Open
        } else {
            Fallback::Closed
        };
        self.law_or(origin, now, fallback)
    }

    /// Log index of the newest policy document of a log.
    #[must_use]
    pub fn policy_index(&self, origin: &Origin) -> Option<u64> {
        self.standing_of(origin)?.policy
    }

    /// Whether policy documents decide what flows: one of the three has logged one, or the network is no demonstration.
    /// Where they do not, bodies flow whole from their origin, with no statement.
    #[must_use]
    pub fn governed(&self, origin: &Origin, from: &CentreId, to: &CentreId) -> bool {
        let parties = [origin.centre(), from, to].into_iter();
        let mut logs = parties.filter_map(|centre| self.roster().centre(centre));
        !self.roster().demo || logs.any(|centre| self.policy_index(&centre.origin).is_some())
    }

    /// The purpose for which a centre asks others, as its newest document in force says.
    #[must_use]
    pub fn purpose_of(&self, centre: &CentreId, now: Timestamp) -> Option<Purpose> {
        let origin = &self.roster().centre(centre)?.origin;
        self.law(origin, now).purpose()
    }

    /// The time that policy is asked at: a clock that is behind opens nothing.
    #[must_use]
    pub fn time(&self, now: Timestamp) -> Timestamp {
        self.books.seen.map_or(now, |seen| seen.max(now))
    }

    fn law_or(&self, origin: &Origin, now: Timestamp, fallback: Fallback) -> InForce {
        let Some(state) = self.standing_of(origin) else {
            return InForce::of(&[], 0, now, Fallback::Closed);
        };
        let witnessed = state.witnessed.as_ref();
        let witnessed = witnessed.map_or(0, |head| head.checkpoint().size);
        let witnessed = witnessed.min(state.frozen.unwrap_or(u64::MAX));
        let book = self.books.logs.get(origin);
        let read = book.and_then(|book| book.newest);
        let mut documents = book.map(|book| book.documents.clone()).unwrap_or_default();
        if let Some(index) = state.policy.filter(|index| read < Some(*index)) {
            // It came in this very step; what it says is known in the next.
            documents.push(Logged {
                index,
                issued_at: now,
                profile: None,
            });
        }
        InForce::of(&documents, witnessed, self.time(now), fallback)
    }

    pub(super) fn standing_of(&self, origin: &Origin) -> Option<&LogState> {
        if *origin == self.origin {
            return Some(&self.own);
        }
        self.mirrors.get(origin).map(|mirror| &mirror.state)
    }

    /// What decisions rest on, but for time: they hold while this is the same. `None` while a document is named and not read.
    pub(super) fn law_mark(&self) -> Option<LawMark> {
        let roster = self.roster();
        let mut logs = Vec::with_capacity(roster.centres.len());
        for centre in &roster.centres {
            let Some(state) = self.standing_of(&centre.origin) else {
                continue;
            };
            let book = self.books.logs.get(&centre.origin);
            if book.and_then(|book| book.newest) != state.policy {
                return None;
            }
            let witnessed = state.witnessed.as_ref();
            let witnessed = witnessed.map_or(0, |head| head.checkpoint().size);
            let witnessed = witnessed.min(state.frozen.unwrap_or(u64::MAX));
            let is_seen = state.policy.is_some_and(|index| index < witnessed);
            logs.push((state.policy, is_seen));
        }
        Some(LawMark {
            roster: roster.version,
            logs,
        })
    }

    /// Reads the documents that came since the last step, and what time others have seen.
    pub(super) fn read_law(&mut self, view: &impl View, out: &mut Vec<Output>) {
        let version = self.roster().version;
        if self.books.roster != Some(version) {
            let seen = self.books.seen;
            self.books = Books {
                roster: Some(version),
                seen,
                ..Books::default()
            };
        }
        let mut books = std::mem::take(&mut self.books);
        let roster = self.roster.roster();
        for centre in &roster.centres {
            let Some(state) = self.standing_of(&centre.origin) else {
                continue;
            };
            let book = books.logs.entry(centre.origin.clone()).or_default();
            if book.newest != state.policy {
                let known = std::mem::replace(&mut book.newest, state.policy);
                book.documents = read(centre, state, roster.demo, view);
                let new = book.documents.iter().filter(|it| known < Some(it.index));
                out.extend(new.map(|it| {
                    Output::Emit(Event::PolicyLogged {
                        origin: centre.origin.clone(),
                        index: it.index,
                        readable: it.profile.is_some(),
                    })
                }));
            }
            if let Some(head) = &state.witnessed
                && head.note() != book.note
            {
                book.note = head.note().to_vec();
                let witnesses = &self.roles(&centre.origin).witnesses;
                let at = standing(witnesses, head).and_then(|standing| standing.witnessed_at());
                books.seen = books.seen.max(at);
            }
        }
        self.books = books;
    }
}

impl Book {
    fn is_empty(&self) -> bool {
        self.newest.is_none()
    }
}

/// Reads the newest documents of a log.
fn read(centre: &CentreEntry, state: &LogState, demo: bool, view: &impl View) -> Vec<Logged> {
    // One more than is read: its delay still counts.
    let rows = view.policies(&centre.origin, limits::POLICIES_READ + 1);
    documents(centre, demo, &rows, |index| {
        header_before(&centre.origin, index, state, view)
    })
}

/// Reads the newest documents of a centre's log, whose signatures were checked when their leaves were taken. `rows` are
/// all of them by log index, ascending, or the newest and one more than is read; `since` says when the newest header below an index was issued.
#[must_use]
pub fn documents(
    centre: &CentreEntry,
    demo: bool,
    rows: &[(u64, Vec<u8>)],
    since: impl Fn(u64) -> Option<Timestamp>,
) -> Vec<Logged> {
    let skipped = rows.len().saturating_sub(limits::POLICIES_READ);
    let mut documents: Vec<Logged> = rows
        .iter()
        .skip(skipped)
        .map(|(index, bytes)| {
            let mut logged = one(*index, bytes, centre, demo);
            // A delay cannot have begun before the document was in the log.
            let since = since(*index);
            logged.issued_at = since.map_or(logged.issued_at, |at| at.max(logged.issued_at));
            logged
        })
        .collect();
    // The delay of the one before the first still counts for that.
    let before = skipped.checked_sub(1).and_then(|at| rows.get(at));
    if let (Some((index, bytes)), Some(first)) = (before, documents.first_mut()) {
        let delay = |logged: &Logged| logged.profile.as_ref().map_or(0, |it| it.widen_after());
        let left = delay(&one(*index, bytes, centre, demo)).saturating_sub(delay(first));
        first.issued_at = Timestamp::new(first.issued_at.get().saturating_add(left));
    }
    documents
}

/// When the newest header below an index was issued.
fn header_before(
    origin: &Origin,
    index: u64,
    state: &LogState,
    view: &impl View,
) -> Option<Timestamp> {
    let seq = Seq(deltas_below(origin, state, index, view).0.checked_sub(1)?);
    let at = view.delta_index(origin, seq)?;
    let files = |path: &str| view.log_file(origin, path);
    let (header, _) = read_delta(&files, state.size, at)?;
    Some(Header::claimed(&header).ok()?.issued_at)
}

/// Reads one document, whose signatures were checked when its leaf was taken.
fn one(index: u64, bytes: &[u8], centre: &CentreEntry, demo: bool) -> Logged {
    let Ok(document) = PolicyDocument::read_unverified(bytes) else {
        return Logged {
            index,
            issued_at: Timestamp::new(0),
            profile: None,
        };
    };
    let profile = document.profile().ok();
    Logged {
        index,
        issued_at: document.issued_at,
        profile: profile.filter(|it| stands(it, centre, demo)).map(Arc::new),
    }
}

/// Whether a profile may speak for a centre: it is written for its law, and on a real network counsel signed it off.
pub(super) fn stands(profile: &Profile, centre: &CentreEntry, demo: bool) -> bool {
    *profile.jurisdiction() == centre.jurisdiction && (demo || profile.signed_off().is_some())
}
