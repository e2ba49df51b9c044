//! What the operator asks. Everything that is signed goes through [`Centre::extend`], which makes one batch of it.
//!
//! | file | answers |
//! |---|---|
//! | here | who does what is asked, when it is refused, and whether receivers would take it |
//! | `entries` | new entries, their classes, and what is retracted |
//! | `rosters` | which rosters come into force, and which of them the log names |
//! | `policy` | policy documents and match manifests |
//! | `extend` | how the log grows by what is signed |

mod entries;
mod extend;
mod policy;
mod rosters;

use hashpact_keys::chain::RosterError;
use hashpact_keys::roster::CentreEntry;
use hashpact_keys::{Jurisdiction, KeyUse, Timestamp};
use rand_core::CryptoRng;

use super::{Centre, Command, CommandId, MatchRefusal, MemberError, Output};
use crate::delta::{Draft, DraftError};
use crate::evidence::EvidenceError;
use crate::labels::{ClassId, LabelsError};
use crate::limits;
use crate::log::AppendError;
use crate::policy::{EngineError, PolicyFault};
use crate::psi::{GroupId, RecordError};
use crate::verify::LeafFault;
use crate::view::View;
use extend::Extension;

/// Why a command is refused. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// Peers hold more of our own log than we do.
    #[error(
        "peers hold {seen} leaves of this centre's log, this node only {held}: its disk is an old copy, so nothing is signed"
    )]
    Behind {
        /// Leaves held.
        held: u64,
        /// Leaves seen.
        seen: u64,
    },
    /// Not enough others have said yet how much of our log they have seen.
    #[error(
        "{have} of the {needed} witnesses needed have said how much of this centre's log they have seen: until then this node's disk might be an old copy, so nothing is signed"
    )]
    Unconfirmed {
        /// Those that did.
        have: usize,
        /// How many must.
        needed: usize,
    },
    /// Our own log was shown to be forked.
    #[error(
        "this centre's log is forked and frozen at size {size}: a new roster must give it a new origin line"
    )]
    Frozen {
        /// Leaves that both branches share.
        size: u64,
    },
    /// The draft would be refused by a receiver.
    #[error(transparent)]
    Draft(#[from] DraftError),
    /// A class that has no definition.
    #[error("class {class} is not defined")]
    UndefinedClass {
        /// The class.
        class: ClassId,
    },
    /// A classifier's opinion in a class that is not suspected: receivers would refuse it.
    #[error("class {class} is not suspected, and a record in it states a classifier's opinion")]
    Classifier {
        /// The class.
        class: ClassId,
    },
    /// Labels that may not make a class.
    #[error(transparent)]
    Labels(#[from] LabelsError),
    /// All 65,535 class numbers are used.
    #[error("all class numbers are used")]
    ClassesFull,
    /// A leaf cannot be appended.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The roster is not acceptable.
    #[error(transparent)]
    Roster(#[from] RosterError),
    /// The roster does not name this centre any more, or changes its keys away from those in use.
    #[error("the roster does not hold this centre's own keys")]
    OwnKeys,
    /// A key of this centre's own may not sign now: receivers would refuse what it signed, for ever.
    #[error(
        "this centre's {0} key is not on the roster in force, has ended or is revoked: nothing is signed"
    )]
    OwnKey(KeyUse),
    /// The clock is behind what this log or the roster says.
    #[error("this machine's clock says {now}, but {since} has passed already: set the clock")]
    ClockBehind {
        /// Our time.
        now: Timestamp,
        /// What cannot be later than now.
        since: Timestamp,
    },
    /// A policy document that receivers would refuse.
    #[error(transparent)]
    PolicyLeaf(Box<LeafFault>),
    /// A policy document with faults in its files: logged, it would deny everything.
    #[error("{}", faults_text(.0))]
    PolicyFaults(Vec<PolicyFault>),
    /// A profile for another law.
    #[error("the profile is written for {got}, this centre works under {expected}")]
    PolicyLaw {
        /// The centre's, on the roster.
        expected: Jurisdiction,
        /// The profile's.
        got: Jurisdiction,
    },
    /// A profile without counsel's signature on a real network.
    #[error(
        "counsel has not signed this profile off: it may be used on a demonstration network only"
    )]
    PolicyCounsel,
    /// A member that is not admitted or removed.
    #[error(transparent)]
    Member(#[from] MemberError),
    /// A match session that is not opened.
    #[error(transparent)]
    Match(#[from] MatchRefusal),
    /// A match manifest that receivers would refuse.
    #[error(transparent)]
    ManifestLeaf(Box<LeafFault>),
    /// A match manifest with a group that has no number here, or another set of classes.
    #[error("match manifest: group {group} was never numbered with these classes")]
    MatchGroup {
        /// The group.
        group: GroupId,
    },
    /// A session record that no side could write.
    #[error(transparent)]
    MatchRecord(#[from] RecordError),
    /// Policy cannot be asked who may match.
    #[error("policy cannot be asked who may match: {0}")]
    MatchPolicy(#[from] EngineError),
    /// An object that receivers would refuse.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// No drafts, or too many at once.
    #[error("{got} objects at once, from 1 to {}", limits::DRAFTS_AT_ONCE)]
    Drafts {
        /// How many.
        got: usize,
    },
    /// The log has begun already.
    #[error("this centre has begun its log already")]
    Begun,
    /// The store gave back other bytes than were written.
    #[error("the store is damaged")]
    Store,
}

impl Centre {
    pub(super) fn on_command(
        &mut self,
        id: CommandId,
        command: Command,
        now: Timestamp,
        rng: &mut impl CryptoRng,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        let done = match command {
            Command::Define(labels) => self.define(labels, now, view, out),
            Command::Append(draft) => self.append(draft, now, view, out),
            Command::Retract(list) => {
                let draft = Draft::new([], list, rng).map_err(CommandError::from);
                draft.and_then(|draft| self.append(draft, now, view, out))
            }
            Command::Begin(chain) => self.begin(&chain, now, view, out),
            Command::Regain(chain) => self.regain_lost(&chain, now, view, out),
            Command::ApplyRoster(bytes) => self.apply_roster(&bytes, now, view, out),
            Command::Policy { document } => self.log_policy(document, now, view, out),
            Command::AdmitMember(member) => self.admit_member(member, out),
            Command::RemoveMember(id) => self.remove_member(id, view, out),
            Command::MatchGroups => self.number_groups(now, view, out),
            Command::MatchEpoch { manifest } => self.log_manifest(manifest, now, view, out),
            Command::MatchOpen(request) => self.open_match(&request, now, rng, view, out),
            Command::MatchClose(record) => self.close_match(record, now, rng, view, out),
            Command::Issue(drafts) => self.issue(drafts, now, rng, view, out),
            Command::Order { signed } => self.order(signed, now, rng, view, out),
        };
        out.push(Output::Reply(id, done));
    }

    /// Whether receivers will take what is signed now. A leaf that they refuse can never be taken out of the log again, and
    /// everything behind it is refused too.
    fn would_be_taken(&self, now: Timestamp) -> Result<(), CommandError> {
        let since = self.own.issued_at.max(self.roster().issued_at);
        if now < since {
            return Err(CommandError::ClockBehind { now, since });
        }
        let entry = self.own_entry()?;
        for (use_, signer) in [
            (KeyUse::Delta, &self.keys.delta),
            (KeyUse::Log, &self.keys.log),
        ] {
            let kid = signer.public().key_id();
            let valid = entry.key(use_, kid, now).is_ok();
            let revoked = self.roster().revoked_from(&kid, &self.origin);
            if !valid || revoked.is_some_and(|size| self.own.size >= size) {
                return Err(CommandError::OwnKey(use_));
            }
        }
        Ok(())
    }

    pub(super) fn own_entry(&self) -> Result<&CentreEntry, CommandError> {
        self.roster().centre(&self.id).ok_or(CommandError::OwnKeys)
    }
}

/// Every fault on a line of its own.
fn faults_text(faults: &[PolicyFault]) -> String {
    let lines: Vec<_> = faults.iter().map(ToString::to_string).collect();
    lines.join("\n")
}
