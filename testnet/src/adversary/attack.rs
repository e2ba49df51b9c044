//! Three attacks of a peer that lies, and when the target has refused one.

use hashpact_node::daemon::{LogStatus, Seen, Status};

/// What the adversary tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attack {
    /// A delta that is signed and logged, with a body of which one byte was changed. It retracts, so that it is fetched at
    /// once; puts alone would wait until witnesses cosigned them.
    TamperedDelta,
    /// A peer that is on no roster.
    UnknownPeer,
    /// A smaller log than the one shown before, under the log's own signature.
    ReplayedCheckpoint,
}

impl Attack {
    /// In this order, each against another centre.
    pub const ALL: [Self; 3] = [
        Self::TamperedDelta,
        Self::UnknownPeer,
        Self::ReplayedCheckpoint,
    ];

    /// The check's name.
    #[must_use]
    pub fn check(self) -> &'static str {
        match self {
            Self::TamperedDelta => "tampered_delta_refused",
            Self::UnknownPeer => "unknown_peer_refused",
            Self::ReplayedCheckpoint => "replayed_checkpoint_refused",
        }
    }

    /// The centre that it is tried on.
    #[must_use]
    pub fn target(self) -> &'static str {
        match self {
            Self::TamperedDelta => "eu",
            Self::UnknownPeer => "us",
            Self::ReplayedCheckpoint => "ca",
        }
    }

    /// The event that the target must show.
    pub(super) fn event(self) -> &'static str {
        match self {
            Self::TamperedDelta => "body_refused",
            Self::UnknownPeer => "connection_refused",
            Self::ReplayedCheckpoint => "rollback",
        }
    }

    /// What the target said of the attack, if it saw it.
    pub(super) fn new_event<'a>(self, before: &Status, after: &'a Status) -> Option<&'a str> {
        let is_new = |seen: &&Seen| seen.kind == self.event() && !before.events.contains(seen);
        after
            .events
            .iter()
            .find(is_new)
            .map(|seen| seen.text.as_str())
    }

    /// Whether the target parts from whoever tries it. One smaller log is no reason: a centre that was restored from an old
    /// copy shows it once, is told, and is parted from only if it goes on.
    #[must_use]
    pub fn parts(self) -> bool {
        match self {
            Self::TamperedDelta | Self::UnknownPeer => true,
            Self::ReplayedCheckpoint => false,
        }
    }

    /// Whether the target refused: it saw the attack, closed the connection where it should, and holds what it held.
    #[must_use]
    pub fn judge(self, before: &Status, after: &Status) -> (bool, String) {
        let Some(text) = self.new_event(before, after) else {
            return (false, format!("{} saw no {}", after.centre, self.event()));
        };
        let held = |status: &Status| -> Vec<(String, u64, u64, u64, Option<u64>)> {
            let log = |log: &LogStatus| {
                let origin = log.origin.clone();
                (origin, log.held, log.retracted, log.applied, log.frozen)
            };
            let logs = std::iter::once(&status.own).chain(&status.mirrored);
            logs.map(log).collect()
        };
        if held(before) != held(after) {
            return (
                false,
                format!("{} holds something else than before", after.centre),
            );
        }
        if self.parts() && is_up(after) {
            return (
                false,
                format!("{} stays connected although it saw: {text}", after.centre),
            );
        }
        (true, format!("{}: {text}", after.centre))
    }
}

/// Whether a centre is connected to the one whom the adversary plays.
pub(super) fn is_up(status: &Status) -> bool {
    let mut peers = status.peers.iter();
    peers.any(|peer| peer.centre == "nz" && peer.up)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::tests::{log, peer, status};

    fn seen(kind: &str, at: u64) -> Seen {
        Seen {
            at,
            kind: kind.to_owned(),
            about: None,
            text: format!("{kind} at {at}"),
        }
    }

    /// The target before an attack: nz, whom the adversary plays, is connected.
    fn before() -> Status {
        let mut before = status(log("eu", 4), vec![log("nz", 3), log("us", 5)]);
        before.peers = vec![peer("nz", true), peer("us", true)];
        before
    }

    /// The target after it refused.
    fn refused(attack: Attack) -> Status {
        let mut after = before();
        after.peers[0].up = false;
        after.events.push(seen(attack.event(), 7));
        after
    }

    #[test]
    fn target_that_saw_dropped_and_kept_has_refused() {
        for attack in Attack::ALL {
            let (ok, detail) = attack.judge(&before(), &refused(attack));
            assert!(ok, "{detail}");
            assert_eq!(detail, format!("eu: {} at 7", attack.event()));
        }
    }

    #[test]
    fn target_that_saw_nothing_has_not_refused() {
        for attack in Attack::ALL {
            let mut after = refused(attack);
            after.events.clear();
            assert!(
                !attack.judge(&before(), &after).0,
                "{attack:?} without an event"
            );
            after.events.push(seen("log_grew", 7));
            let (ok, detail) = attack.judge(&before(), &after);
            assert!(
                !ok && detail == format!("eu saw no {}", attack.event()),
                "{detail}"
            );
        }
    }

    #[test]
    fn event_of_an_earlier_attack_does_not_count() {
        for attack in Attack::ALL {
            let (mut before, after) = (before(), refused(attack));
            before.events.clone_from(&after.events);
            assert!(!attack.judge(&before, &after).0, "{attack:?}");
        }
    }

    #[test]
    fn target_that_holds_something_else_has_not_refused() {
        for attack in Attack::ALL {
            let changes: [fn(&mut Status); 6] = [
                |after| after.mirrored[0].held += 1,
                |after| after.mirrored[0].retracted += 1,
                |after| after.mirrored[0].frozen = Some(2),
                |after| after.mirrored[0].applied += 1,
                |after| after.mirrored[1].held -= 1,
                |after| drop(after.mirrored.remove(0)),
            ];
            for (n, change) in changes.into_iter().enumerate() {
                let mut after = refused(attack);
                change(&mut after);
                let (ok, detail) = attack.judge(&before(), &after);
                assert!(
                    !ok && detail == "eu holds something else than before",
                    "{n}: {detail}"
                );
            }
        }
    }

    #[test]
    fn target_that_stays_connected_has_not_refused() {
        for attack in Attack::ALL {
            let mut after = refused(attack);
            after.peers[0].up = true;
            let (ok, _) = attack.judge(&before(), &after);
            assert_eq!(ok, !attack.parts(), "{attack:?}");
            // Others may come and go.
            after = refused(attack);
            after.peers[1].up = false;
            assert!(attack.judge(&before(), &after).0, "{attack:?}");
        }
    }

    #[test]
    fn each_attack_is_another_check_on_another_centre() {
        let names: std::collections::BTreeSet<_> = Attack::ALL
            .iter()
            .map(|attack| (attack.check(), attack.event()))
            .collect();
        let targets: std::collections::BTreeSet<_> =
            Attack::ALL.iter().map(|attack| attack.target()).collect();
        assert_eq!((names.len(), targets.len()), (3, 3));
        assert!(!targets.contains("nz"));
    }
}
