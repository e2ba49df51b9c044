//! Who may see what: asked of the core whenever something came that it could rest on, and when its answer runs out.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use hashpact_keys::{Origin, Timestamp};
use hashpact_protocol::centre::PublishAccess;
use hashpact_protocol::view::View as _;

use super::super::ledger::KindId;
use super::super::reader::Law;
use super::{PublishError, Publisher};

/// Policy is asked again when nothing has changed, in case it has all the same.
const ASK_EVERY: Duration = Duration::from_secs(300);

/// What an answer rests on.
pub(super) struct Asked {
    mark: Mark,
    until: Option<Timestamp>,
    at: Instant,
    pub(super) expired: bool,
}

/// Of each log its policy, whether that is witnessed, and its classes; and how often roster or members changed.
type Mark = (u64, Vec<(Origin, Option<u64>, bool, u32)>);

impl Publisher {
    /// Asks if something has changed, and writes down what that changes for whom.
    pub(super) fn follow_access(&mut self) -> Result<(), PublishError> {
        let mark = self.mark();
        let now = Timestamp::new(self.now());
        let is_good = self.asked.as_ref().is_some_and(|asked| {
            let is_over = asked.until.is_some_and(|until| until <= now);
            asked.mark == mark && !is_over && asked.at.elapsed() < ASK_EVERY
        });
        if is_good {
            return Ok(());
        }
        let asked = (self.sources.access)()?;
        let access = match asked {
            Ok(access) => access,
            Err(error) => {
                // Where policy cannot be asked nothing may be given.
                self.shared.decide(None);
                return Err(error.into());
            }
        };
        if let Err(error) = self.write_access(&access, now) {
            // What was narrowed is not written down: until it is, nothing is given.
            self.shared.decide(None);
            self.asked = None;
            return Err(error);
        }
        self.shared.decide(Some(Law {
            until: access.until,
            policy: access.policy,
            closed: access.closed,
        }));
        self.asked = Some(Asked {
            mark,
            until: access.until,
            at: Instant::now(),
            expired: access.expired,
        });
        Ok(())
    }

    /// Whether nothing new may be published.
    pub(super) fn is_expired(&self) -> bool {
        self.asked.as_ref().is_none_or(|asked| asked.expired)
    }

    fn mark(&self) -> Mark {
        let store = &self.shared.store;
        let logs = store.counts().into_keys().map(|origin| {
            let state = store.log(&origin);
            let witnessed = self.witnessed(&origin);
            let is_seen = state.policy.is_some_and(|index| index < witnessed);
            (origin, state.policy, is_seen, state.next_class)
        });
        (self.signals.changes(), logs.collect())
    }

    fn write_access(&self, access: &PublishAccess, now: Timestamp) -> Result<(), PublishError> {
        let reading = self.ledger.read()?;
        let mut members: BTreeSet<String> = reading.members()?.into_iter().collect();
        members.extend(access.members.keys().cloned());
        let nothing = BTreeSet::new();
        let gains = !access.expired;
        let is_as_before = |member: &String| {
            let grants = reading.grants(member)?;
            let allowed = access.members.get(member).map_or(&nothing, |it| &**it);
            let kinds = allowed.iter().map(|released| reading.names.kind(released));
            let kinds: Option<BTreeSet<KindId>> = kinds.collect();
            let known = grants.kinds.iter().filter(|(_, it)| it.allowed);
            let known: BTreeSet<KindId> = known.map(|(kind, _)| *kind).collect();
            Ok::<_, PublishError>(kinds.is_some_and(|kinds| kinds == known))
        };
        let mut changed = Vec::new();
        for member in &members {
            if !is_as_before(member)? {
                changed.push(member);
            }
        }
        if changed.is_empty() {
            return Ok(());
        }
        self.ledger.write(now.get(), |writing| {
            for member in changed {
                let allowed = access.members.get(member).map_or(&nothing, |it| &**it);
                let kinds = allowed.iter().map(|released| writing.kind(released));
                let kinds = kinds.collect::<Result<BTreeSet<_>, _>>()?;
                writing.grant(member, &kinds, gains)?;
            }
            Ok::<_, PublishError>(())
        })
    }
}
