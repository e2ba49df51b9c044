//! What the loop comes back to: commands that were asked too early, and peers that missed what was sent.
//!
//! Just after a start others are still on their way, and nothing is signed before they were heard: a command waits for
//! that a while, so that an operator need not try again. A frame that is lost on a connection that is dying was perhaps the
//! one that a peer waits for; anti-entropy would bring it a minute later. In scope: what waits, and until when. Out of
//! scope: whether the core takes it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use hashpact_keys::CentreId;
use hashpact_protocol::centre::{Centre, Command, Input};
use tokio::time::Instant;

use super::Daemon;
use super::handle::{ASKS_WAITING, Answer};

/// How long a command waits after a start for others to be heard. Connections come within seconds; a peer whose old
/// connection to us must die first answers a moment after that, which over QUIC takes 10 s.
const UNCONFIRMED_WAIT: Duration = Duration::from_secs(20);
/// How long after a frame was lost its peer is told again: a connection that is down must be noticed first.
const TELL_AGAIN: Duration = Duration::from_secs(1);

/// What the loop comes back to.
#[derive(Default)]
pub(super) struct Waiting {
    /// Commands that wait until others have said how much of our log they have seen, and until when.
    commands: VecDeque<(Instant, Command, Answer)>,
    /// Peers to whom a frame was lost, and when they are told again.
    untold: BTreeMap<CentreId, Instant>,
}

impl Waiting {
    /// Keeps a command back if it comes too early, and hands it back if not.
    pub(super) fn hold(
        &mut self,
        centre: &Centre,
        command: Command,
        answer: Answer,
    ) -> Option<(Command, Answer)> {
        let signs = match command {
            // A roster counts at once and is logged later: a log that was lost may need it to come back.
            Command::ApplyRoster(_) => false,
            // A member counts at once, and above all one that is removed. Who asks to match takes nobody's place here.
            Command::AdmitMember(_)
            | Command::RemoveMember(_)
            | Command::MatchGroups
            | Command::MatchOpen(_) => false,
            Command::Define(_)
            | Command::Append(_)
            | Command::Retract(_)
            | Command::Begin(_)
            | Command::Regain(_)
            | Command::Policy { .. }
            | Command::MatchEpoch { .. }
            | Command::MatchClose(_)
            | Command::Issue(_)
            | Command::Order { .. } => true,
        };
        // Of a log that is behind or frozen the core says so at once; waiting would not help.
        let (_, own) = centre.own_log();
        let may_come = centre.behind().is_none() && own.frozen.is_none();
        let is_early = signs && may_come && centre.unconfirmed().is_some();
        if !is_early || self.commands.len() >= ASKS_WAITING {
            return Some((command, answer));
        }
        let until = Instant::now() + UNCONFIRMED_WAIT;
        self.commands.push_back((until, command, answer));
        None
    }

    /// A frame to a peer was lost.
    pub(super) fn lost(&mut self, peer: CentreId) {
        let again = Instant::now() + TELL_AGAIN;
        self.untold.entry(peer).or_insert(again);
    }

    /// When the loop must come back at the latest.
    pub(super) fn until(&self) -> Option<Instant> {
        let command = self.commands.front().map(|(until, ..)| *until);
        command
            .into_iter()
            .chain(self.untold.values().copied())
            .min()
    }

    /// The next command that need not wait any more.
    fn released(&mut self, centre: &Centre) -> Option<(Command, Answer)> {
        let (until, ..) = self.commands.front()?;
        if centre.unconfirmed().is_some() && *until > Instant::now() {
            return None;
        }
        let (_, command, answer) = self.commands.pop_front()?;
        Some((command, answer))
    }

    /// The next peer that is to be told again.
    fn untold(&mut self) -> Option<CentreId> {
        let now = Instant::now();
        let due = self.untold.iter().find(|(_, at)| **at <= now);
        let peer = due.map(|(peer, _)| peer.clone())?;
        self.untold.remove(&peer);
        Some(peer)
    }
}

impl Daemon {
    /// The next of what waited, if its time has come.
    pub(super) fn due(&mut self) -> Option<Input> {
        if let Some((command, answer)) = self.waiting.released(&self.centre) {
            return Some(self.command(command, answer));
        }
        self.waiting.untold().map(Input::Undelivered)
    }
}
