//! What is logged of sessions, here asked or answered.
//!
//! Each session that was opened leaves one sealed record, also where this node died before it ended; of what was refused the
//! first one for each principal, reason and day does. On [`Shelf::Quota`]:
//!
//! ```text
//! 'S' asker session        [...]   an open session: what its record is made of if this node dies before it ends
//! ```
//!
//! On [`Shelf::MatchSession`] the openings of the records: `0 asker session from`, `1 origin 0 session from` of sessions that
//! were asked elsewhere, `2 asker reason day` of refusals.

use hashpact_keys::Timestamp;
use hashpact_keys::canonical::{Written, encode};
use hashpact_keys::reader::{Reader, ShapeError};
use rand_core::CryptoRng;

use super::super::commands::CommandError;
use super::super::{Centre, Event, Outcome, Output, later};
use super::quota::{self, DAY_S, asker_key, read_asker};
use super::{MatchGrant, MatchRefusal, MatchRequest};
use crate::fingerprint::Algorithm;
use crate::labels::Purpose;
use crate::limits;
use crate::lists::ClosedList as _;
use crate::log::Leaf;
use crate::policy::{Asker, MatchMode};
use crate::psi::{Epoch, GroupId, RecordError, RefusalCode, Role, SessionId, SessionRecord};
use crate::transfer::{Opening, Salt, commitment};
use crate::view::{Shelf, View, Write};

/// Records that one step logs of sessions that a former run left open.
const LEFT_AT_ONCE: usize = 64;
/// Sessions of which it is looked whether they are over.
const SESSIONS_KEPT: usize = 1_024;

impl Centre {
    /// Logs one side's record of a session that ended. Of one that was answered here only what came and how it ended is taken
    /// over: the rest is known.
    pub(in super::super) fn close_match(
        &mut self,
        record: SessionRecord,
        now: Timestamp,
        rng: &mut impl CryptoRng,
        view: &impl View,
        out: &mut Vec<Output>,
    ) -> Result<Outcome, CommandError> {
        let record = match record.role {
            Role::Server => self.answered(record)?,
            Role::Client => self.asked(record)?,
        };
        record.check()?;
        let place = place_of(&record);
        if let Some(known) = view.kept(Shelf::MatchSession, &place) {
            // Said again, as the answer may have been lost.
            let known = Opening::from_bytes(&known).map_err(|_| CommandError::Store)?;
            let (index, record) = (None, known.signed);
            return Ok(Outcome::MatchClosed { index, record });
        }
        let bytes = record.to_bytes();
        let (leaf, opening) = seal(&bytes, place, rng);
        let mut rows = vec![opening];
        let open = (record.asker.clone(), record.session);
        if record.role == Role::Server {
            rows.push(forget(&open));
        }
        self.log_leaf(&leaf, rows, now, view, out)?;
        if let Some(open) = self.matching.sessions.get_mut(&open)
            && record.role == Role::Server
        {
            open.closed = true;
        }
        let index = self.own.size.checked_sub(1);
        let record = bytes;
        Ok(Outcome::MatchClosed { index, record })
    }

    /// The record of a session that was opened here.
    fn answered(&self, record: SessionRecord) -> Result<SessionRecord, CommandError> {
        let place = (record.asker.clone(), record.session);
        let open = self.matching.sessions.get(&place);
        let open = open.ok_or(MatchRefusal::Taken)?;
        Ok(SessionRecord {
            received: record.received,
            until: record.until.max(open.from),
            query: record.query,
            refusal: record.refusal,
            ..self.record_of(open)
        })
    }

    /// The record of a session that this centre asked for.
    fn asked(&self, record: SessionRecord) -> Result<SessionRecord, CommandError> {
        let is_ours = record.network == self.roster().network
            && record.asker == Asker::Centre(self.id.clone())
            && record.origin != self.origin;
        let expected = "a session that this centre asked of another, in this network";
        is_ours
            .then_some(record)
            .ok_or(RecordError::Value { expected }.into())
    }

    /// What is known of a session that was opened here, before anything of it came.
    fn record_of(&self, open: &Open) -> SessionRecord {
        let Open { request, .. } = open;
        SessionRecord {
            network: self.roster().network,
            session: request.session,
            origin: self.origin.clone(),
            asker: request.principal.clone(),
            role: Role::Server,
            mode: request.mode,
            kind: open.kind,
            groups: open.groups.clone(),
            epoch: request.epoch,
            purpose: request.purpose,
            items: request.items,
            received: None,
            matches: None,
            used: open.used,
            per_day: open.per_day,
            from: open.from,
            until: open.from,
            query: None,
            blinds: None,
            manifest: Some(open.manifest),
            refusal: Some(RefusalCode::Failed),
        }
    }

    /// Tells of a refusal, and logs a sealed record of it: once for each principal, reason and day.
    pub(super) fn note_refusal(
        &mut self,
        request: &MatchRequest,
        why: MatchRefusal,
        now: Timestamp,
        rng: &mut impl CryptoRng,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        let day = self.time(now).get() / DAY_S;
        let (of, refused) = &mut self.matching.refused;
        if *of != day {
            (*of, *refused) = (day, std::collections::BTreeMap::new());
        }
        let key = (request.principal.clone(), why.code());
        let count = refused.entry(key).or_insert(0);
        *count = count.saturating_add(1);
        if *count > 1 {
            return;
        }
        let by = request.principal.clone();
        out.push(Output::Emit(Event::MatchRefused { by, why }));
        let Some(record) = self.refusal_record(request, why, now) else {
            return;
        };
        if quota::is_told(&request.principal, why.code(), day, view) {
            return;
        }
        let mut place = vec![2];
        place.extend(asker_key(&request.principal));
        place.push(why.code() as u8);
        place.extend(day.to_be_bytes());
        let (leaf, opening) = seal(&record.to_bytes(), place, rng);
        let rows = vec![opening, quota::told(&request.principal, why.code(), day)];
        // Where nothing may be signed there is no record; the refusal stands.
        let _ = self.log_leaf(&leaf, rows, now, view, out);
    }

    /// What is logged of a refusal; nothing where it is of nobody, or of no type that is known.
    fn refusal_record(
        &self,
        request: &MatchRequest,
        why: MatchRefusal,
        now: Timestamp,
    ) -> Option<SessionRecord> {
        if why == MatchRefusal::NotAPrincipal {
            return None;
        }
        let (used, per_day) = match why {
            MatchRefusal::OverQuota { used, per_day, .. } => (used, per_day),
            MatchRefusal::TooFew { .. }
            | MatchRefusal::TooMany { .. }
            | MatchRefusal::TooManySessions { .. }
            | MatchRefusal::NoGroup
            | MatchRefusal::StaleEpoch { .. }
            | MatchRefusal::Stale
            | MatchRefusal::NotAPrincipal
            | MatchRefusal::Closed
            | MatchRefusal::Taken
            | MatchRefusal::Type => (0, 0),
        };
        Some(SessionRecord {
            network: self.roster().network,
            session: request.session,
            origin: self.origin.clone(),
            asker: request.principal.clone(),
            role: Role::Server,
            mode: request.mode,
            kind: request.kind.code()?,
            groups: Vec::new(),
            epoch: request.epoch,
            purpose: request.purpose,
            items: request.items,
            received: Some(0),
            matches: None,
            used,
            per_day,
            from: now,
            until: now,
            query: None,
            blinds: None,
            manifest: None,
            refusal: Some(why.code()),
        })
    }

    /// Reads the sessions that a former run of this node left open.
    pub(in super::super) fn load_sessions(&mut self, view: &impl View) {
        self.matching.left = left(view);
    }

    /// Logs what is known of sessions that a former run left open: nobody else will.
    pub(in super::super) fn close_left(
        &mut self,
        now: Timestamp,
        rng: &mut impl CryptoRng,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        // Leaves are put on what is durable: one batch a step.
        let committed = out.iter().any(|output| matches!(output, Output::Commit(_)));
        if self.matching.left.is_empty() || committed || self.may_sign().is_err() {
            return;
        }
        let count = self.matching.left.len().min(LEFT_AT_ONCE);
        let (mut leaves, mut rows) = (Vec::new(), Vec::new());
        for open in self.matching.left.iter().take(count) {
            let record = SessionRecord {
                until: now.max(open.from),
                ..self.record_of(open)
            };
            let (leaf, opening) = seal(&record.to_bytes(), place_of(&record), rng);
            leaves.extend(leaf.to_bytes());
            rows.extend([opening, forget(&open.place())]);
        }
        if self.log_leaves(leaves, rows, now, view, out).is_ok() {
            self.matching.left.drain(..count);
        }
    }

    /// Forgets sessions of this run that are over, once there are many. Their names are free then: each is charged anew.
    pub(super) fn forget_sessions(&mut self, now: Timestamp) {
        let sessions = &mut self.matching.sessions;
        if sessions.len() < SESSIONS_KEPT {
            return;
        }
        sessions.retain(|_, open| {
            let life = match open.closed {
                true => limits::MATCH_SESSION_S,
                // Its record is still to come.
                false => 2 * limits::MATCH_SESSION_LIFE_S,
            };
            later(open.from, life) > now
        });
    }
}

/// The leaf of a record, and the row that opens it.
fn seal(record: &[u8], place: Vec<u8>, rng: &mut impl CryptoRng) -> (Leaf, Write) {
    let mut salt: Salt = [0; 16];
    rng.fill_bytes(&mut salt);
    let opening = Opening {
        salt: Some(salt),
        signed: record.to_vec(),
    };
    let row = Write::Keep {
        shelf: Shelf::MatchSession,
        key: place,
        value: Some(opening.to_bytes()),
    };
    let commitment = commitment(&salt, record);
    (Leaf::MatchSession { commitment }, row)
}

/// Where the opening of a session's record stands.
fn place_of(record: &SessionRecord) -> Vec<u8> {
    let mut place = vec![record.role.bit()];
    match record.role {
        Role::Server => place.extend(asker_key(&record.asker)),
        Role::Client => {
            place.extend_from_slice(record.origin.as_str().as_bytes());
            place.push(0);
        }
    }
    place.extend(record.session.0);
    // A name may be taken again once its session is over.
    place.extend(record.from.get().to_be_bytes());
    place
}

/// A session that was charged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Open {
    pub(super) request: MatchRequest,
    /// Code of the fingerprint type.
    pub(super) kind: u8,
    pub(super) groups: Vec<GroupId>,
    pub(super) per_day: u64,
    pub(super) used: u64,
    /// Log index of the manifest.
    pub(super) manifest: u64,
    pub(super) from: Timestamp,
    pub(super) closed: bool,
}

impl Open {
    pub(super) fn of(
        request: &MatchRequest,
        kind: u8,
        grant: &MatchGrant,
        manifest: u64,
        now: Timestamp,
    ) -> Self {
        Self {
            request: request.clone(),
            kind,
            groups: grant.groups.clone(),
            per_day: grant.per_day,
            used: grant.used,
            manifest,
            from: now,
            closed: false,
        }
    }

    pub(super) fn place(&self) -> (Asker, SessionId) {
        (self.request.principal.clone(), self.request.session)
    }

    /// `[mode, kind, groups, epoch, purpose, items, per_day, used, manifest, from]`.
    pub(super) fn keep(&self) -> Write {
        let value = encode(|e| {
            e.array(10)?
                .u8(self.request.mode.bit())?
                .u8(self.kind)?
                .array(self.groups.len() as u64)?;
            let mut groups = self.groups.iter();
            groups.try_for_each(|group| -> Written { e.u32(group.0)?.ok() })?;
            e.u64(self.request.epoch.0)?
                .u8(self.request.purpose.bit())?
                .u64(self.request.items)?
                .u64(self.per_day)?
                .u64(self.used)?
                .u64(self.manifest)?
                .u64(self.from.get())?
                .ok()
        });
        Write::Keep {
            shelf: Shelf::Quota,
            key: key(&self.place()),
            value: Some(value),
        }
    }
}

fn key((asker, session): &(Asker, SessionId)) -> Vec<u8> {
    let mut key = vec![b'S'];
    key.extend(asker_key(asker));
    key.extend(session.0);
    key
}

fn forget(place: &(Asker, SessionId)) -> Write {
    Write::Keep {
        shelf: Shelf::Quota,
        key: key(place),
        value: None,
    }
}

/// The sessions that are open by the disk.
fn left(view: &impl View) -> Vec<Open> {
    let rows = view.shelf(Shelf::Quota, b"S");
    let opened = rows.iter().filter_map(|(key, value)| {
        let (principal, session) = read_asker(key.get(1..)?)?;
        let session = SessionId(session.try_into().ok()?);
        read(principal, session, &mut Reader::new(value).ok()?).ok()?
    });
    opened.collect()
}

fn read(
    principal: Asker,
    session: SessionId,
    reader: &mut Reader<'_>,
) -> Result<Option<Open>, ShapeError> {
    reader.array(10)?;
    let (mode, kind) = (MatchMode::from_bit(reader.u64()?), reader.u8()?);
    let count = reader.list(limits::MATCH_GROUPS)?;
    let groups = (0..count).map(|_| reader.u32().map(GroupId));
    let groups = groups.collect::<Result<_, _>>()?;
    let (epoch, purpose) = (Epoch(reader.u64()?), Purpose::from_bit(reader.u64()?));
    let items = reader.u64()?;
    let (per_day, used, manifest) = (reader.u64()?, reader.u64()?, reader.u64()?);
    let from = Timestamp::new(reader.u64()?);
    let algorithm = Algorithm::from_code(kind.into());
    let (Some(mode), Some(purpose), Some(algorithm)) = (mode, purpose, algorithm) else {
        return Ok(None);
    };
    Ok(Some(Open {
        request: MatchRequest {
            session,
            principal,
            mode,
            kind: algorithm,
            purpose,
            items,
            epoch,
        },
        kind,
        groups,
        per_day,
        used,
        manifest,
        from,
        closed: false,
    }))
}
