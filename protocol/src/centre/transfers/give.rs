//! The giver's half of the handshake: what is offered, and what is logged once the taker has agreed.
//!
//! Nothing is kept of an offer. What comes back agreed bears our own signature, and everything in it is decided again before
//! it is logged: the policy, whether it is still held, and how far it has come.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hashpact_keys::{CentreId, Origin, Timestamp};
use rand_core::CryptoRng;

use super::super::{Centre, Output, later};
use super::{Agreed, Regime, Table};
use crate::Hash;
use crate::delta::Seq;
use crate::labels::{ClassId, Purpose};
use crate::limits;
use crate::transfer::{Chain, Given, Opening, Statement, shelf};
use crate::view::{Held, Shelf, View, Write};
use crate::wire::{Decline, Message, Proposal};

/// What may be given of what was asked.
struct Offer {
    /// One for all of it; none while nothing is in it.
    hop: Option<u8>,
    deltas: Vec<Given>,
    /// The statements by which it came here.
    parents: BTreeSet<Hash>,
    /// When a policy that it rests on is to be asked again.
    until: Option<Timestamp>,
    flows: BTreeMap<ClassId, bool>,
}

impl Offer {
    /// Whether a class that came by a statement may be in it: one offer has one hop, and rests on a few statements.
    fn rests_on(&mut self, parent: &Hash, hop: u8) -> bool {
        let full = self.parents.len() == limits::STATEMENT_PARENTS;
        if *self.hop.get_or_insert(hop) != hop || (full && !self.parents.contains(parent)) {
            return false;
        }
        self.parents.insert(*parent);
        true
    }
}

/// Who asks for what.
struct Asked<'a> {
    origin: &'a Origin,
    to: &'a CentreId,
    purpose: Purpose,
}

impl Centre {
    pub(in super::super) fn on_proposal(
        &mut self,
        taker: &CentreId,
        proposal: &Proposal,
        now: Timestamp,
        rng: &mut impl CryptoRng,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        let ask = proposal.ask;
        let terms = self.terms(taker, proposal, now, rng, view);
        let message = match terms {
            Ok((offer, chain)) => Message::Terms { ask, offer, chain },
            Err(why) => Message::Declined {
                ask,
                statement: None,
                why,
            },
        };
        out.push(Output::Send(taker.clone(), message));
    }

    fn terms(
        &mut self,
        taker: &CentreId,
        proposal: &Proposal,
        now: Timestamp,
        rng: &mut impl CryptoRng,
        view: &impl View,
    ) -> Result<(Vec<u8>, Vec<Vec<u8>>), Decline> {
        if !self.may_be_asked(taker, now) || self.may_sign().is_err() {
            return Err(Decline::Later);
        }
        let (origin, purpose) = (&proposal.origin, proposal.purpose);
        let policies = self.policies_with(origin, taker);
        if self.law_mark().is_none() || policies != proposal.policies {
            return Err(Decline::Policies);
        }
        let asked = Asked {
            origin,
            to: taker,
            purpose,
        };
        let wanted = proposal.wanted.iter();
        let wanted = wanted.map(|(seq, classes)| (*seq, classes.as_slice()));
        let offer = self.offer(&asked, wanted, now, view);
        let offer = offer.filter(|offer| !offer.deltas.is_empty());
        let Offer {
            hop,
            deltas,
            parents,
            ..
        } = offer.ok_or(Decline::Nothing)?;
        let hop = hop.unwrap_or(0);
        let chain = chain_of(&parents, view).ok_or(Decline::Nothing)?;
        let mut nonce = [0; 16];
        rng.fill_bytes(&mut nonce);
        let [from_policy, origin_policy, to_policy] = policies;
        let statement = Statement {
            network: self.roster().network,
            origin: origin.clone(),
            from: self.id.clone(),
            to: taker.clone(),
            hop,
            purpose,
            from_policy,
            origin_policy,
            to_policy,
            deltas,
            time: now,
            nonce,
            parents: parents.into_iter().collect(),
        };
        Ok((statement.offer(&self.keys.delta), chain))
    }

    /// Counts what a peer asks that costs a look through what is kept, or a leaf; false if it asks too often.
    pub(in super::super) fn may_be_asked(&mut self, taker: &CentreId, now: Timestamp) -> bool {
        let counted = self.transfers.proposals.entry(taker.clone());
        let (since, count) = counted.or_insert((now, 0));
        if later(*since, 60) <= now || *since > now {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        *count <= limits::PROPOSALS_A_MINUTE
    }

    /// Log indices of the newest documents of ourselves, the origin and the taker.
    fn policies_with(&self, origin: &Origin, taker: &CentreId) -> [Option<u64>; 3] {
        let taker = self.roster().centre(taker);
        [
            self.policy_index(&self.origin),
            self.policy_index(origin),
            taker.and_then(|taker| self.policy_index(&taker.origin)),
        ]
    }

    /// What of the rows asked for is held here and may be given, as far as one statement goes.
    fn offer<'a>(
        &self,
        asked: &Asked<'_>,
        wanted: impl Iterator<Item = (Seq, &'a [ClassId])>,
        now: Timestamp,
        view: &impl View,
    ) -> Option<Offer> {
        let is_own = *asked.origin == self.origin;
        let state = self.standing_of(asked.origin)?;
        if asked.origin.centre() == asked.to || self.disputes.contains_key(asked.origin) {
            return None;
        }
        // A relay gives nothing on where its own bodies may not come.
        if !is_own && self.regime(asked.origin, now) != Regime::Governed {
            return None;
        }
        let mut offer = Offer {
            hop: is_own.then_some(0),
            deltas: Vec::new(),
            parents: BTreeSet::new(),
            until: None,
            flows: BTreeMap::new(),
        };
        let mut bytes = 0;
        for (seq, classes) in wanted.filter(|(seq, _)| *seq < state.applied) {
            let Some(table) = self.table(asked.origin, seq, view) else {
                continue;
            };
            let given = self.gather_rows(asked, (seq, classes), &table, &mut offer, now, view);
            bytes += 48 + 12 * given.len();
            if bytes > limits::STATEMENT_BYTES_CUT {
                break;
            }
            if !given.is_empty() {
                offer.deltas.push(Given {
                    seq,
                    header: table.header,
                    classes: given,
                });
            }
        }
        Some(offer)
    }

    /// What of these classes of a delta may be given, with the counts that its origin signed.
    fn gather_rows(
        &self,
        asked: &Asked<'_>,
        (seq, classes): (Seq, &[ClassId]),
        table: &Table,
        offer: &mut Offer,
        now: Timestamp,
        view: &impl View,
    ) -> Vec<(ClassId, u64)> {
        let is_own = *asked.origin == self.origin;
        let came = match is_own {
            true => BTreeMap::new(),
            false => shelf::received_by(asked.origin, seq, view),
        };
        // A relay gives whole classes only: who leaves records out must be their origin.
        let rows = (!is_own)
            .then(|| view.holdings(asked.origin, seq))
            .flatten();
        let rows = rows.into_iter().flatten();
        let whole: BTreeSet<ClassId> = rows
            .filter(|row| row.held == Held::All)
            .map(|row| row.class)
            .collect();
        let mut given = Vec::new();
        for class in classes {
            let class = *class;
            let mut rows = table.classes.classes.iter();
            let row = rows.find(|row| row.class == class);
            let held = match is_own {
                true => self.holds(asked.origin, seq, class),
                false => whole.contains(&class),
            };
            let Some(row) = row.filter(|_| held && self.flows_to(asked, class, offer, now, view))
            else {
                continue;
            };
            let mut proven = || {
                let parent = came.get(&class)?;
                let next = next_hop(parent, view)?;
                let may_go = self.may_go(asked.origin, class, next, view);
                (may_go && offer.rests_on(parent, next)).then_some(())
            };
            if is_own || proven().is_some() {
                given.push((class, row.count));
            }
        }
        given
    }

    /// Whether a class may go to who asks, decided once for an offer.
    fn flows_to(
        &self,
        asked: &Asked<'_>,
        class: ClassId,
        offer: &mut Offer,
        now: Timestamp,
        view: &impl View,
    ) -> bool {
        if let Some(known) = offer.flows.get(&class) {
            return *known;
        }
        let Asked {
            origin,
            to,
            purpose,
        } = *asked;
        let flow = self.may_flow(origin, class, &self.id, to, purpose, now, view);
        offer.until = match (offer.until, flow.valid_until) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        offer.flows.insert(class, flow.allowed);
        flow.allowed
    }

    /// Whether a class of an applied delta is held here.
    fn holds(&self, origin: &Origin, seq: Seq, class: ClassId) -> bool {
        let rows = self.transfers.missing.get(origin);
        let rows = rows.and_then(|deltas| deltas.get(&seq));
        !rows.into_iter().flatten().any(|row| row.class == class)
    }

    /// Whether a class may be given on as far from its origin.
    fn may_go(&self, origin: &Origin, class: ClassId, hop: u8, view: &impl View) -> bool {
        let labels = view.class(origin, class);
        labels.is_some_and(|labels| hop <= labels.hops)
    }

    /// A taker agrees to what we offered.
    pub(in super::super) fn on_agreed(
        &mut self,
        taker: &CentreId,
        signed: &[u8],
        now: Timestamp,
        rng: &mut impl CryptoRng,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        let hash = Statement::hash(signed);
        let logged = self.log_agreed(taker, (signed, hash), now, rng, view, out);
        let message = match logged {
            Ok(()) => Message::Logged(hash),
            Err(why) => Message::Declined {
                ask: 0,
                statement: Some(hash),
                why,
            },
        };
        out.push(Output::Send(taker.clone(), message));
    }

    fn log_agreed(
        &mut self,
        taker: &CentreId,
        (signed, hash): (&[u8], Hash),
        now: Timestamp,
        rng: &mut impl CryptoRng,
        view: &impl View,
        out: &mut Vec<Output>,
    ) -> Result<(), Decline> {
        // Said again, as the answer may have been lost. What others showed us was never logged here.
        let kept = view.kept(Shelf::Statement, &hash);
        let kept = kept.and_then(|kept| Opening::from_bytes(&kept).ok());
        if kept.is_some_and(|opening| opening.salt.is_some()) {
            // What is over is not logged a second time: the first leaf would never open again.
            let serves = shelf::served_until(&hash, view);
            return serves.map(|_| ()).ok_or(Decline::Void);
        }
        if !self.may_be_asked(taker, now) {
            return Err(Decline::Later);
        }
        let statement = Statement::open(signed, self.roster()).map_err(|_| Decline::Void)?;
        let until = self.still_offered(&statement, taker, now, view)?;
        // A taker can sign one offer in many ways; each would be another statement of the same.
        if shelf::is_used(&statement.nonce, view) {
            return Err(Decline::Void);
        }
        if self.may_sign().is_err() {
            return Err(Decline::Later);
        }
        let classes = statement.by_class();
        let mut writes: Vec<Write> = classes
            .keys()
            .map(|class| shelf::given(taker, &statement.origin, *class))
            .collect();
        writes.push(shelf::serves(&hash, Some(until)));
        writes.push(shelf::used(&statement.nonce));
        let agreed = Agreed {
            hash,
            statement: Arc::new(statement),
            signed: signed.to_vec(),
        };
        let logged = self.log_statement(&agreed, writes, now, rng, view, out);
        logged.map_err(|_| Decline::Later)?;
        self.transfers.serving.insert(hash, until);
        self.note_given(taker, &agreed.statement, until);
        Ok(())
    }

    /// Whether we would offer the same now; until when bodies may be served under it.
    fn still_offered(
        &self,
        statement: &Statement,
        taker: &CentreId,
        now: Timestamp,
        view: &impl View,
    ) -> Result<Timestamp, Decline> {
        let skew = limits::CLOCK_SKEW_S;
        if statement.from != self.id || statement.to != *taker || later(statement.time, skew) < now
        {
            return Err(Decline::Void);
        }
        let policies = [
            statement.from_policy,
            statement.origin_policy,
            statement.to_policy,
        ];
        let known = self.policies_with(&statement.origin, taker);
        if self.law_mark().is_none() || policies != known {
            return Err(Decline::Policies);
        }
        let asked = Asked {
            origin: &statement.origin,
            to: taker,
            purpose: statement.purpose,
        };
        let wanted: Vec<(Seq, Vec<ClassId>)> = statement
            .deltas
            .iter()
            .map(|given| {
                let classes = given.classes.iter().map(|(class, _)| *class);
                (given.seq, classes.collect())
            })
            .collect();
        let wanted = wanted.iter();
        let wanted = wanted.map(|(seq, classes)| (*seq, classes.as_slice()));
        let offer = self.offer(&asked, wanted, now, view).ok_or(Decline::Void)?;
        let parents: BTreeSet<Hash> = statement.parents.iter().copied().collect();
        if offer.deltas != statement.deltas
            || offer.hop != Some(statement.hop)
            || offer.parents != parents
        {
            return Err(Decline::Void);
        }
        let until = later(now, limits::STATEMENT_SERVES_S);
        Ok(offer.until.map_or(until, |earlier| earlier.min(until)))
    }

    /// Forgets statements under which nothing is served any more.
    pub(in super::super) fn end_serving(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        let over = self.transfers.serving.iter();
        let over: Vec<Hash> = over
            .filter(|(_, until)| **until <= now)
            .map(|(hash, _)| *hash)
            .collect();
        for hash in &over {
            self.transfers.serving.remove(hash);
        }
        super::commit(
            over.iter().map(|hash| shelf::serves(hash, None)).collect(),
            out,
        );
    }
}

fn next_hop(parent: &Hash, view: &impl View) -> Option<u8> {
    let opening = Opening::from_bytes(&view.kept(Shelf::Statement, parent)?).ok()?;
    let statement = Statement::read_unverified(&opening.signed).ok()?;
    statement.hop.checked_add(1)
}

/// The statements behind these, with themselves; `None` if one is not kept, or they are more than may be shown.
fn chain_of(parents: &BTreeSet<Hash>, view: &impl View) -> Option<Vec<Vec<u8>>> {
    let mut chain = Chain::default();
    let mut open: Vec<Hash> = parents.iter().copied().collect();
    let mut seen: BTreeSet<Hash> = parents.clone();
    let mut bytes = 0;
    while let Some(hash) = open.pop() {
        let opening = Opening::from_bytes(&view.kept(Shelf::Statement, &hash)?).ok()?;
        let statement = Statement::read_unverified(&opening.signed).ok()?;
        bytes += opening.signed.len();
        if bytes > limits::CHAIN_BYTES || seen.len() > limits::CHAIN_STATEMENTS {
            return None;
        }
        open.extend(
            statement
                .parents
                .iter()
                .filter(|parent| seen.insert(**parent)),
        );
        chain.insert(statement, opening.signed);
    }
    Some(chain.signed().map(|(_, signed)| signed.to_vec()).collect())
}
