//! The taker's half of the handshake: terms are checked against what was asked and what we allow, signed and logged, and
//! nothing is fetched before the giver has logged them too.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashpact_keys::{CentreId, Origin, Timestamp};
use rand_core::CryptoRng;

use super::super::heads::drop_peer;
use super::super::{Centre, Event, Output, Pace, Reason, later};
use super::{Agreed, Declined, Sent, Stage, TermsError};
use crate::Hash;
use crate::delta::Seq;
use crate::labels::ClassId;
use crate::limits;
use crate::log::Leaf;
use crate::transfer::{Chain, ChainError, Opening, Salt, Statement, commitment, shelf};
use crate::view::{Shelf, View, Write};
use crate::wire::{Decline, Message, Proposal};

impl Centre {
    /// Sends again what was not answered, and gives up what stays so.
    pub(super) fn time_transfers(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        let keys: Vec<_> = self.transfers.asks.keys().cloned().collect();
        for (origin, giver) in keys {
            let Some(ask) = self
                .transfers
                .asks
                .get_mut(&(origin.clone(), giver.clone()))
            else {
                continue;
            };
            let (sent, message) = match &mut ask.stage {
                Stage::Idle => continue,
                Stage::Open { since, .. } => {
                    if later(*since, limits::STATEMENT_SERVES_S) <= now || *since > now {
                        self.end_transfer(&origin, &giver, out);
                    }
                    continue;
                }
                Stage::Proposed { proposal, sent } => (sent, Message::Propose(proposal.clone())),
                Stage::Agreed { agreed, sent } => (sent, Message::Agreed(agreed.signed.clone())),
            };
            if later(sent.at, limits::HANDSHAKE_S) > now && sent.at <= now {
                continue;
            }
            if sent.tries >= limits::HANDSHAKE_TRIES {
                self.fail_transfer(&origin, &giver, now, out);
                continue;
            }
            (sent.at, sent.tries) = (now, sent.tries + 1);
            if self.peers.contains_key(&giver) {
                out.push(Output::Send(giver, message));
            }
        }
    }

    /// A handshake or a transfer came to nothing: it is tried again later, and retractions do not wait for it.
    pub(super) fn fail_transfer(
        &mut self,
        origin: &Origin,
        giver: &CentreId,
        now: Timestamp,
        out: &mut Vec<Output>,
    ) {
        self.end_transfer(origin, giver, out);
        let key = (origin.clone(), giver.clone());
        if let Some(ask) = self.transfers.asks.get_mut(&key) {
            ask.pace.fail(now, None);
            if ask.pace.failures > 1
                && origin.centre() == giver
                && let Some(mirror) = self.mirrors.get_mut(origin)
            {
                mirror.stick();
            }
        }
    }

    /// Nothing more is expected of it.
    pub(super) fn end_transfer(
        &mut self,
        origin: &Origin,
        giver: &CentreId,
        out: &mut Vec<Output>,
    ) {
        let key = (origin.clone(), giver.clone());
        let Some(ask) = self.transfers.asks.get_mut(&key) else {
            return;
        };
        match std::mem::take(&mut ask.stage) {
            Stage::Idle | Stage::Proposed { .. } => {}
            Stage::Agreed { agreed, .. } | Stage::Open { agreed, .. } => {
                super::commit(vec![shelf::under_way(&agreed.hash, false)], out);
            }
        }
        self.transfers.changes += 1;
    }

    /// Takes up a transfer that a crash or a stop interrupted: the giver is told again that it is agreed.
    pub(super) fn resume_transfer(&mut self, hash: Hash, view: &impl View) {
        let kept = view.kept(Shelf::Statement, &hash);
        let opening = kept.and_then(|kept| Opening::from_bytes(&kept).ok());
        let Some(signed) = opening.map(|opening| opening.signed) else {
            return;
        };
        let Ok(statement) = Statement::read_unverified(&signed) else {
            return;
        };
        let key = (statement.origin.clone(), statement.from.clone());
        let statement = Arc::new(statement);
        let agreed = Agreed {
            hash,
            statement,
            signed,
        };
        let at = Timestamp::new(0);
        let sent = Sent { at, tries: 0 };
        self.transfers.asks.entry(key).or_default().stage = Stage::Agreed { agreed, sent };
    }

    /// A giver is there again: what was agreed with it is told again, and what it did not give may be asked for.
    pub(in super::super) fn transfers_up(
        &mut self,
        giver: &CentreId,
        now: Timestamp,
        out: &mut Vec<Output>,
    ) {
        self.transfers.changes += 1;
        let asks = self.transfers.asks.iter_mut();
        for (_, ask) in asks.filter(|((_, of), _)| of == giver) {
            (ask.pace, ask.quiet) = (Pace::default(), None);
            ask.declined.clear();
            match &mut ask.stage {
                Stage::Idle | Stage::Open { .. } => {}
                Stage::Proposed { .. } => ask.stage = Stage::Idle,
                Stage::Agreed { agreed, sent } => {
                    *sent = Sent { at: now, tries: 1 };
                    let message = Message::Agreed(agreed.signed.clone());
                    out.push(Output::Send(giver.clone(), message));
                }
            }
        }
    }

    pub(in super::super) fn transfers_down(&mut self, giver: &CentreId) {
        self.transfers.changes += 1;
        let asks = self.transfers.asks.iter_mut();
        for (_, ask) in asks.filter(|((_, of), _)| of == giver) {
            if matches!(ask.stage, Stage::Proposed { .. }) {
                ask.stage = Stage::Idle;
            }
        }
    }

    /// The log that a proposal of ours to a giver was about.
    fn proposed(&self, giver: &CentreId, ask: u64) -> Option<(Origin, Proposal)> {
        let mut asks = self
            .transfers
            .asks
            .iter()
            .filter(|((_, of), _)| of == giver);
        asks.find_map(|((origin, _), state)| match &state.stage {
            Stage::Proposed { proposal, .. } if proposal.ask == ask => {
                Some((origin.clone(), proposal.clone()))
            }
            Stage::Idle | Stage::Proposed { .. } | Stage::Agreed { .. } | Stage::Open { .. } => {
                None
            }
        })
    }

    pub(in super::super) fn on_terms(
        &mut self,
        giver: &CentreId,
        (ask, offer, chain): (u64, &[u8], &[Vec<u8>]),
        now: Timestamp,
        rng: &mut impl CryptoRng,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        // What answers no proposal of ours is old, or nobody asked for it.
        let Some((origin, proposal)) = self.proposed(giver, ask) else {
            return;
        };
        // What was decided before a document came, or before a grant ended, decides nothing here.
        self.renew_flows(now);
        let checked = self.check_terms(giver, &proposal, offer, chain, now, view);
        let agreed = checked.and_then(|statement| Ok((statement, self.sign_terms(offer)?)));
        let (statement, signed) = match agreed {
            Ok(agreed) => agreed,
            Err(error) => return self.refuse_terms(&origin, giver, error, now, out),
        };
        let hash = Statement::hash(&signed);
        let agreed = Agreed {
            hash,
            statement: Arc::new(statement),
            signed: signed.clone(),
        };
        let mut writes = vec![shelf::under_way(&hash, true)];
        writes.extend(chain.iter().map(|shown| keep_shown(shown, view)));
        if self
            .log_statement(&agreed, writes, now, rng, view, out)
            .is_err()
        {
            return self.fail_transfer(&origin, giver, now, out);
        }
        let key = (origin, giver.clone());
        if let Some(ask) = self.transfers.asks.get_mut(&key) {
            let sent = Sent { at: now, tries: 1 };
            ask.stage = Stage::Agreed { agreed, sent };
        }
        out.push(Output::Send(giver.clone(), Message::Agreed(signed)));
    }

    fn sign_terms(&self, offer: &[u8]) -> Result<Vec<u8>, TermsError> {
        let signed = Statement::agree(offer, &self.keys.delta)?;
        let got = signed.len();
        if got > limits::STATEMENT_BYTES {
            return Err(crate::transfer::StatementError::TooLarge { got }.into());
        }
        Ok(signed)
    }

    /// Logs the salted hash of a statement in our log, and keeps what opens it.
    pub(super) fn log_statement(
        &mut self,
        agreed: &Agreed,
        mut writes: Vec<Write>,
        now: Timestamp,
        rng: &mut impl CryptoRng,
        view: &impl View,
        out: &mut Vec<Output>,
    ) -> Result<(), super::super::CommandError> {
        let mut salt: Salt = [0; 16];
        rng.fill_bytes(&mut salt);
        let leaf = Leaf::Disclosure {
            commitment: commitment(&salt, &agreed.signed),
        };
        let opening = Opening {
            salt: Some(salt),
            signed: agreed.signed.clone(),
        };
        writes.push(Write::Keep {
            shelf: Shelf::Statement,
            key: agreed.hash.to_vec(),
            value: Some(opening.to_bytes()),
        });
        self.log_leaf(&leaf, writes, now, view, out)?;
        let statement = &agreed.statement;
        out.push(Output::Emit(Event::TransferLogged {
            origin: statement.origin.clone(),
            from: statement.from.clone(),
            to: statement.to.clone(),
            deltas: statement.deltas.len() as u64,
            records: statement.by_class().values().sum(),
        }));
        Ok(())
    }

    /// Whether terms are what we asked for and no more than we allow.
    fn check_terms(
        &mut self,
        giver: &CentreId,
        proposal: &Proposal,
        offer: &[u8],
        shown: &[Vec<u8>],
        now: Timestamp,
        view: &impl View,
    ) -> Result<Statement, TermsError> {
        let statement = Statement::open_offer(offer, self.roster())?;
        if statement.from != *giver
            || statement.to != self.id
            || statement.origin != proposal.origin
            || statement.purpose != proposal.purpose
        {
            return Err(TermsError::Parties);
        }
        let skew = limits::CLOCK_SKEW_S;
        if statement.time > later(now, skew) || later(statement.time, skew) < now {
            return Err(TermsError::Time);
        }
        let policies = [
            statement.from_policy,
            statement.origin_policy,
            statement.to_policy,
        ];
        if policies != self.policies_of(&proposal.origin, giver) {
            return Err(TermsError::Policies);
        }
        let wanted: BTreeMap<Seq, &Vec<ClassId>> = proposal
            .wanted
            .iter()
            .map(|(seq, classes)| (*seq, classes))
            .collect();
        for given in &statement.deltas {
            let seq = given.seq;
            let table = self.table(&proposal.origin, seq, view);
            let table = table.ok_or(TermsError::Header { seq })?;
            if table.header != given.header {
                return Err(TermsError::Header { seq });
            }
            for (class, count) in &given.classes {
                let class = *class;
                let asked = wanted.get(&seq).is_some_and(|asked| asked.contains(&class));
                if !asked {
                    return Err(TermsError::Beyond { seq, class });
                }
                let rows = &table.classes.classes;
                let row = rows.iter().find(|row| row.class == class);
                if row.is_none_or(|row| row.count != *count) {
                    return Err(TermsError::Count { seq, class });
                }
                if !self
                    .flow_here(&proposal.origin, class, giver, now, view)
                    .allowed
                {
                    return Err(TermsError::NotAllowed { seq, class });
                }
            }
        }
        let chain = Chain::open(shown, self.roster())?;
        let hops = |class| {
            let labels = view.class(&proposal.origin, class);
            labels.map_or(0, |labels| labels.hops)
        };
        chain.check(&statement, &hops)?;
        Ok(statement)
    }

    /// Terms that are not taken; who offered them on purpose is parted from.
    fn refuse_terms(
        &mut self,
        origin: &Origin,
        giver: &CentreId,
        error: TermsError,
        now: Timestamp,
        out: &mut Vec<Output>,
    ) {
        self.fail_transfer(origin, giver, now, out);
        out.push(Output::Emit(Event::TransferRefused {
            origin: origin.clone(),
            from: giver.clone(),
            error: error.clone(),
        }));
        if error.is_fault() {
            drop_peer(giver, Reason::Transfer(error), out);
        }
    }

    /// The giver has logged what was agreed: bodies are fetched.
    pub(in super::super) fn on_logged(&mut self, giver: &CentreId, hash: Hash, now: Timestamp) {
        let asks = self.transfers.asks.iter();
        let mut asks = asks.filter(|((_, of), _)| of == giver);
        let found = asks.find_map(|(key, ask)| match &ask.stage {
            Stage::Agreed { agreed, .. } if agreed.hash == hash => {
                Some((key.clone(), agreed.clone()))
            }
            Stage::Idle | Stage::Proposed { .. } | Stage::Agreed { .. } | Stage::Open { .. } => {
                None
            }
        });
        let Some((key, agreed)) = found else {
            return;
        };
        let left = self.left_of(&key.0, &agreed.statement.deltas);
        self.transfers.changes += 1;
        if let Some(ask) = self.transfers.asks.get_mut(&key) {
            ask.pace = Pace::default();
            ask.stage = Stage::Open {
                agreed,
                left,
                since: now,
                failures: 0,
            };
        }
    }

    /// The giver says that nothing comes of a proposal or an agreement.
    pub(in super::super) fn on_declined(
        &mut self,
        giver: &CentreId,
        (ask, statement, why): (u64, Option<Hash>, Decline),
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        if let Some((origin, proposal)) = self.proposed(giver, ask) {
            if why == Decline::Nothing {
                return self.note_declined(giver, &proposal, now, view, out);
            }
            return self.fail_transfer(&origin, giver, now, out);
        }
        let asks = self.transfers.asks.iter();
        let mut asks = asks.filter(|((_, of), _)| of == giver);
        let agreed = asks.find_map(|((origin, _), ask)| match &ask.stage {
            Stage::Agreed { agreed, .. } if Some(agreed.hash) == statement => Some(origin.clone()),
            Stage::Idle | Stage::Proposed { .. } | Stage::Agreed { .. } | Stage::Open { .. } => {
                None
            }
        });
        if let Some(origin) = agreed {
            self.fail_transfer(&origin, giver, now, out);
        }
    }

    /// What policy allows by our own reading, and the giver does not give. An origin that says so twice is an alarm; a relay
    /// may never have had it, or had to give it back, and nothing that we can read says whether.
    fn note_declined(
        &mut self,
        giver: &CentreId,
        proposal: &Proposal,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        let origin = &proposal.origin;
        self.end_transfer(origin, giver, out);
        let mut short = Vec::new();
        for (seq, classes) in &proposal.wanted {
            let table = self.table(origin, *seq, view);
            let rows = table.iter().flat_map(|table| &table.classes.classes);
            let rows = rows.filter(|row| classes.contains(&row.class));
            short.extend(rows.map(|row| (*seq, row.class, row.count)));
        }
        let has_it = giver == origin.centre();
        self.note_short((origin, giver), &short, has_it, now, out);
    }

    /// Notes classes of deltas, with their records, that a giver does not give. Asked for twice in vain of one that has it,
    /// it is an alarm.
    pub(super) fn note_short(
        &mut self,
        (origin, giver): (&Origin, &CentreId),
        short: &[(Seq, ClassId, u64)],
        has_it: bool,
        now: Timestamp,
        out: &mut Vec<Output>,
    ) {
        let mut again: BTreeMap<ClassId, u64> = BTreeMap::new();
        for (seq, class, count) in short {
            let (seq, class) = (*seq, *class);
            let key = (origin.clone(), giver.clone());
            let ask = self.transfers.asks.entry(key).or_default();
            let declined = ask.declined.entry((seq, class)).or_insert(Declined {
                until: now,
                times: 0,
                kept_back: 0,
            });
            declined.times = declined.times.saturating_add(1);
            declined.kept_back = declined.kept_back.saturating_add(u32::from(has_it));
            let wait = match declined.times {
                1 => limits::SURPLUS_S,
                _ => limits::ASK_AGAIN_S,
            };
            declined.until = later(now, wait);
            if has_it && declined.kept_back == 2 {
                *again.entry(class).or_default() += count;
            }
        }
        for (class, count) in again {
            out.push(Output::Emit(Event::SurplusWithheld {
                origin: origin.clone(),
                class,
                count,
                from: giver.clone(),
            }));
        }
    }
}

/// Keeps a statement that a relay showed: it proves what we give on. One of our own stays as it is.
fn keep_shown(shown: &[u8], view: &impl View) -> Write {
    let hash = Statement::hash(shown);
    let opening = Opening {
        salt: None,
        signed: shown.to_vec(),
    };
    let known = view.kept(Shelf::Statement, &hash);
    Write::Keep {
        shelf: Shelf::Statement,
        key: hash.to_vec(),
        value: Some(known.unwrap_or_else(|| opening.to_bytes())),
    }
}

impl TermsError {
    /// Whether no honest giver can have done it: what others may know of rosters and policies is not in it.
    fn is_fault(&self) -> bool {
        match self {
            Self::Chain(error) => match error {
                ChainError::Statement(_) => false,
                ChainError::TooLarge { .. }
                | ChainError::Gap
                | ChainError::Unused
                | ChainError::Parent
                | ChainError::Unproven { .. }
                | ChainError::Hops { .. } => true,
            },
            Self::Parties | Self::Beyond { .. } | Self::Count { .. } | Self::Body { .. } => true,
            Self::Statement(_)
            | Self::Time
            | Self::Policies
            | Self::Header { .. }
            | Self::NotAllowed { .. } => false,
        }
    }
}
