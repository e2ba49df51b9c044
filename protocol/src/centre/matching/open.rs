//! Whether a session may begin, or go on.
//!
//! Policy is asked at this moment, for every class of every group of the manifest that the asker went by: what it took away since
//! is left out, although its artifact stands. What is asked for is charged before the answer leaves.

use std::collections::BTreeMap;

use hashpact_keys::Timestamp;
use rand_core::CryptoRng;

use super::super::commands::CommandError;
use super::super::law::LawMark;
use super::super::{Centre, Event, Outcome, Output, later};
use super::epochs::Logged;
use super::quota::{self, DAY_S, Used};
use super::rows::Allowed;
use super::sessions::Open;
use super::{MatchDay, MatchGrant, MatchRefusal, MatchRequest};
use crate::fingerprint::Algorithm;
use crate::labels::Purpose;
use crate::limits;
use crate::lists::Set;
use crate::policy::{Asker, EngineError, MatchMode, Principal};
use crate::psi::{Epoch, GroupId, Manifest};
use crate::view::{Batch, View};

/// Askers of whom decisions are held in memory: more are decided again.
const DECISIONS_KEPT: usize = 1_024;

/// Decisions that hold until what they rest on changes.
#[derive(Default)]
pub(super) struct Access {
    rests_on: Option<RestsOn>,
    /// The time of the first of them.
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    known: BTreeMap<Asker, BTreeMap<Purpose, Allowed>>,
}

#[derive(PartialEq, Eq)]
struct RestsOn {
    law: LawMark,
    classes: usize,
}

impl Access {
    /// What is said of a principal that was entered or taken out is not known any more.
    pub(super) fn forget(&mut self, asker: &Asker) {
        self.known.remove(asker);
    }
}

/// A session that may begin, with what it costs.
struct Opening {
    grant: MatchGrant,
    used: Used,
    open: Open,
}

impl Centre {
    pub(in super::super) fn open_match(
        &mut self,
        request: &MatchRequest,
        now: Timestamp,
        rng: &mut impl CryptoRng,
        view: &impl View,
        out: &mut Vec<Output>,
    ) -> Result<Outcome, CommandError> {
        self.forget_sessions(now);
        match self.may_open(request, now, view) {
            Ok(Opening { grant, used, open }) => {
                if !grant.resumed {
                    let mut batch = Batch::default();
                    batch.extend([used.keep(&request.principal, open.kind), open.keep()]);
                    out.push(Output::Commit(batch));
                    out.push(Output::Emit(Event::MatchOpened {
                        by: request.principal.clone(),
                        mode: request.mode,
                        items: request.items,
                        used: grant.used,
                        per_day: grant.per_day,
                    }));
                    self.matching.sessions.insert(open.place(), open);
                }
                Ok(Outcome::MatchOpened(grant))
            }
            Err(why) => {
                self.note_refusal(request, why, now, rng, view, out);
                Err(CommandError::Match(why))
            }
        }
    }

    fn may_open(
        &mut self,
        request: &MatchRequest,
        now: Timestamp,
        view: &impl View,
    ) -> Result<Opening, MatchRefusal> {
        if self.roster().is_expired(now) || self.may_sign().is_err() {
            return Err(MatchRefusal::Closed);
        }
        let principal = self.asker(&request.principal);
        let principal = principal.ok_or(MatchRefusal::NotAPrincipal)?;
        let kind = request.kind.code().ok_or(MatchRefusal::Type)?;
        // What stands in the log is not matched while nobody says that it is still the same log.
        if !self.is_fresh(&self.origin, &self.own, now) {
            return Err(MatchRefusal::Stale);
        }
        within_bounds(request)?;
        let manifest = self.served(request.epoch, now, view)?;
        let allowed = self.allowed(&request.principal, &principal, now);
        let allowed = allowed.map_err(|_| MatchRefusal::Closed)?;
        let allowed = allowed.get(&request.purpose);
        let allowed = allowed.ok_or(MatchRefusal::NoGroup)?;
        let groups = groups(&manifest.manifest, allowed, request.mode, kind);
        let per_day = allowed.terms.per_day;
        if groups.is_empty() {
            return Err(MatchRefusal::NoGroup);
        }
        let day = self.time(now).get() / DAY_S;
        let used = Used::read(&request.principal, kind, day, view);
        let used = used.ok_or(MatchRefusal::Closed)?;
        let resumed = self.resumes(request, now)?;
        let count = (request.mode == MatchMode::Count).then_some(request.epoch);
        let used = match resumed {
            true => used,
            false => used.charge(request.items, per_day, count)?,
        };
        let grant = MatchGrant {
            groups,
            manifest: manifest.manifest.number,
            per_day,
            used: used.items,
            resumed,
        };
        let open = Open::of(request, kind, &grant, manifest.index, now);
        Ok(Opening { grant, used, open })
    }

    /// Who asks, as policies see it.
    fn asker(&self, asker: &Asker) -> Option<Principal> {
        match asker {
            Asker::Centre(id) => {
                let entry = self
                    .roster()
                    .centre(id)
                    .filter(|entry| entry.id != self.id)?;
                Some(Principal::Centre {
                    id: entry.id.clone(),
                    jurisdiction: entry.jurisdiction.clone(),
                })
            }
            Asker::Member(id) => Some(self.matching.members.get(id)?.principal()),
        }
    }

    /// Whether this is an open session that goes on; an error if its name is taken.
    fn resumes(&self, request: &MatchRequest, now: Timestamp) -> Result<bool, MatchRefusal> {
        let place = (request.principal.clone(), request.session);
        // What a former run began, nobody knows how far it came: it is charged anew, under a name of its own.
        if self.matching.left.iter().any(|open| open.place() == place) {
            return Err(MatchRefusal::Taken);
        }
        let Some(open) = self.matching.sessions.get(&place) else {
            return Ok(false);
        };
        let is_over = open.closed || later(open.from, limits::MATCH_SESSION_LIFE_S) <= now;
        match open.request == *request && !is_over {
            true => Ok(true),
            false => Err(MatchRefusal::Taken),
        }
    }

    /// The manifest of an epoch, if that is served: it stands under a witnessed head, and its time is not over.
    fn served(
        &self,
        epoch: Epoch,
        now: Timestamp,
        view: &impl View,
    ) -> Result<Logged, MatchRefusal> {
        let time = self.time(now);
        let witnessed = self.witnessed_manifests(view);
        let newest = witnessed.last().map(|newest| &newest.manifest);
        let stale = MatchRefusal::StaleEpoch {
            newest: newest.map(|newest| newest.epoch),
            got: epoch,
        };
        let Some(newest) = newest else {
            return Err(stale);
        };
        // The epoch before is served while both overlap, and none that came before that.
        let (began, is_newest) = (newest.from, newest.epoch == epoch);
        let others = witnessed.iter().map(|logged| logged.manifest.epoch);
        let before = others.filter(|other| *other < newest.epoch).max();
        let overlaps = before == Some(epoch) && time < later(began, limits::MATCH_OVERLAP_S);
        let mut logged = witnessed.into_iter().rev();
        let found = logged.find(|logged| logged.manifest.epoch == epoch);
        let found = found.filter(|_| is_newest || overlaps).ok_or(stale)?;
        let until = later(found.manifest.until, limits::MATCH_OVERLAP_S);
        (found.manifest.from <= time && time < until)
            .then_some(found)
            .ok_or(stale)
    }

    /// What somebody may match for each purpose, decided once for as long as nothing changes that.
    fn allowed(
        &mut self,
        asker: &Asker,
        principal: &Principal,
        now: Timestamp,
    ) -> Result<&BTreeMap<Purpose, Allowed>, EngineError> {
        let time = self.time(now);
        let law = self.law_mark().map(|law| RestsOn {
            law,
            classes: self.own_classes.len(),
        });
        let access = &mut self.matching.access;
        let is_over = access.until.is_some_and(|until| until <= time)
            || access.from.is_some_and(|from| time < from);
        // While a document is named and not read, nothing is known for longer than this question.
        let holds = law.is_some() && access.rests_on == law && !is_over;
        if !holds || access.known.len() >= DECISIONS_KEPT {
            *access = Access {
                rests_on: law,
                from: Some(time),
                ..Access::default()
            };
        }
        if !self.matching.access.known.contains_key(asker) {
            let (all, until) = self.modes_of(principal, now)?;
            let access = &mut self.matching.access;
            access.until = [access.until, until].into_iter().flatten().min();
            access.known.insert(asker.clone(), all);
        }
        Ok(self.matching.access.known.entry(asker.clone()).or_default())
    }

    /// The groups of the newest manifest that somebody may match now, for whatever purpose, and in which modes.
    ///
    /// # Errors
    /// [`EngineError`] if policy cannot be asked: then nothing may be matched.
    pub fn match_access(
        &mut self,
        asker: &Asker,
        now: Timestamp,
        view: &impl View,
    ) -> Result<BTreeMap<GroupId, Set<MatchMode>>, EngineError> {
        let mut access = BTreeMap::new();
        let newest = self.witnessed_manifests(view).pop();
        let (Some(newest), Some(principal)) = (newest, self.asker(asker)) else {
            return Ok(access);
        };
        for allowed in self.allowed(asker, &principal, now)?.values() {
            for group in &newest.manifest.groups {
                let modes = whole(allowed, &group.classes);
                let known = access.entry(group.group).or_insert_with(Set::empty);
                *known = known.union(modes);
            }
        }
        access.retain(|_, modes| !modes.is_empty());
        Ok(access)
    }

    /// What was charged and refused today.
    #[must_use]
    pub fn match_day(&self, now: Timestamp, view: &impl View) -> MatchDay {
        let day = self.time(now).get() / DAY_S;
        let charged = quota::all_used(day, view).into_iter();
        let charged = charged.filter_map(|(asker, kind, used)| {
            let kind = Algorithm::from_code(kind.into())?;
            Some((asker, kind, used.items, used.sessions))
        });
        let (of, refused) = &self.matching.refused;
        let refused = refused.iter().filter(|_| *of == day);
        MatchDay {
            charged: charged.collect(),
            refused: refused
                .map(|((asker, code), count)| (asker.clone(), *code, *count))
                .collect(),
        }
    }
}

fn within_bounds(request: &MatchRequest) -> Result<(), MatchRefusal> {
    let min = match request.mode {
        MatchMode::Items | MatchMode::Labels => limits::MATCH_ITEMS_MIN,
        MatchMode::Count => limits::MATCH_ITEMS_MIN_COUNT,
    };
    let (got, max) = (request.items, limits::MATCH_ITEMS);
    if got < min {
        return Err(MatchRefusal::TooFew { min, got });
    }
    if got > max {
        return Err(MatchRefusal::TooMany { max, got });
    }
    Ok(())
}

/// The groups of a manifest that are allowed whole, and of which there is something of this type.
fn groups(manifest: &Manifest, allowed: &Allowed, mode: MatchMode, kind: u8) -> Vec<GroupId> {
    // A count is made from the points of items.
    let artifact = match mode {
        MatchMode::Items | MatchMode::Count => MatchMode::Items,
        MatchMode::Labels => MatchMode::Labels,
    };
    let groups = manifest.groups.iter();
    let groups = groups.filter(|group| {
        let has = manifest.artifact(group.group, kind, artifact).is_some();
        has && whole(allowed, &group.classes).contains(mode)
    });
    groups.map(|group| group.group).collect()
}

/// The modes in which every class of a group is allowed: one evaluation opens all of them.
fn whole(allowed: &Allowed, classes: &[crate::labels::ClassId]) -> Set<MatchMode> {
    let modes = classes
        .iter()
        .map(|class| allowed.classes.get(class).copied());
    let modes = modes.map(|modes| modes.unwrap_or_else(Set::empty));
    modes.reduce(Set::intersection).unwrap_or_else(Set::empty)
}
