//! How a session ends: its record, and what is forgotten of it.

use hashpact_protocol::centre::{Command, CommandError, Outcome};
use hashpact_protocol::psi::{RefusalCode, Role, SessionRecord};

use super::session::Session;
use super::{Refused, Server};
use crate::clock;
use crate::daemon::AskError;

impl Server {
    /// Ends a session: what it came to is logged, under a salt, and its key is gone. Returns the record.
    pub(super) async fn close(
        &self,
        session: &mut Session,
        refusal: Option<RefusalCode>,
    ) -> Result<Vec<u8>, Refused> {
        let record = self.record(session, refusal);
        let record = match self.asks.command(Command::MatchClose(record)).await {
            Ok(Outcome::MatchClosed { record, .. }) => record,
            // The core does not know it any more: nothing is logged of it, and its asker is not told otherwise.
            Err(AskError::Refused(CommandError::Match(why))) => {
                self.forget(session);
                let (code, text) = (why.code(), why.to_string());
                return Err(Refused { code, text });
            }
            // Kept, and tried again when nothing more is heard of it.
            Ok(_) | Err(_) => return Err(RefusalCode::Failed.into()),
        };
        self.forget(session);
        Ok(record)
    }

    fn forget(&self, session: &mut Session) {
        session.is_closed = true;
        let name = (session.asker.clone(), session.ask.session);
        self.sessions().remove(&name);
        if let Some(key) = session.key.take() {
            self.evaluator.end_session(key);
        }
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
    pub(in super::super) async fn close_silent(&self) {
        let now = clock::now();
        let slots: Vec<_> = self.sessions().values().cloned().collect();
        for slot in slots {
            // One that a stream has is not silent.
            let Ok(mut session) = slot.session.try_lock() else {
                continue;
            };
            if session.is_over(now) {
                let closed = self.close(&mut session, Some(RefusalCode::Failed)).await;
                if closed.is_err() {
                    tracing::warn!("a match session that broke off could not be recorded yet");
                }
            }
        }
    }
}
