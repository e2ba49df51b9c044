//! How a session ends: its record, and what is forgotten of it.

use hashpact_protocol::policy::MatchMode;
use hashpact_protocol::psi::{RefusalCode, Role, SessionRecord};

use super::Server;
use super::session::Session;
use crate::clock;

impl Server {
    /// Ends a session: what it came to is recorded, and its key is gone.
    pub(super) fn close(&self, session: &mut Session, refusal: Option<RefusalCode>) -> Vec<u8> {
        session.is_closed = true;
        let record = self.record(session, refusal).to_bytes();
        let name = (session.asker.clone(), session.ask.session);
        self.sessions().remove(&name);
        if session.ask.mode == MatchMode::Count {
            self.evaluator.end_session(session.ask.session);
        }
        record
    }

    fn record(&self, session: &Session, refusal: Option<RefusalCode>) -> SessionRecord {
        let (ask, grant) = (&session.ask, &session.grant);
        let received = session.query.next();
        SessionRecord {
            network: self.network,
            session: ask.session,
            origin: self.store.own_origin().clone(),
            asker: session.asker.clone(),
            role: Role::Server,
            mode: ask.mode,
            kind: ask.kind,
            groups: grant.groups.clone(),
            epoch: ask.epoch,
            purpose: ask.purpose,
            items: ask.items,
            received: Some(received),
            matches: None,
            used: grant.used,
            per_day: grant.per_day,
            from: session.from,
            until: clock::now().max(session.from),
            query: (received > 0).then(|| session.query.hash()),
            blinds: None,
            manifest: Some(grant.manifest),
            refusal,
        }
    }

    /// Ends the sessions that nobody goes on with.
    pub(in super::super) fn close_silent(&self) {
        let now = clock::now();
        let slots: Vec<_> = self.sessions().values().cloned().collect();
        for slot in slots {
            // One that a stream has is not silent.
            let Ok(mut session) = slot.session.try_lock() else {
                continue;
            };
            if session.is_over(now) {
                // What went wrong with it was told where it did.
                self.close(&mut session, Some(RefusalCode::Failed));
            }
        }
    }
}
