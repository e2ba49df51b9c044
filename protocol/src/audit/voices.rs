//! What was said beside deltas, in sums: how often centres attested, contested, answered, held back.
//!
//! Why: a report must tell how a network treats what it is told, and whoever reads it may learn of no entry. In scope: which
//! sealed object is one of these and holds, counts by the log that seals it. Out of scope: what each says (`evidence`).

use std::collections::{BTreeMap, BTreeSet};

use hashpact_keys::{Origin, Timestamp};

use super::chain::Chain;
use super::finding::{DisclosureFault, FindingKind};
use super::ledger::Ledger;
use super::openings::{Openings, Signature, under};
use crate::b3::Hash;
use crate::evidence::{Code, Kind, Object, Verdict, Vote};

/// What is kept of an object that was opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said {
    kind: Kind,
    code: Option<Code>,
    /// Whether a member says that an entry is wrong, or an origin that what it was told is right.
    is: bool,
    of: Option<Hash>,
}

/// What one centre said, as far as its log was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Voices {
    /// Attestations.
    pub attestations: u64,
    /// Disputes, by reason.
    pub disputes: BTreeMap<Code, u64>,
    /// Disputes that it took back.
    pub withdrawn: u64,
    /// Disputes of it that their origin answered.
    pub disputes_answered: u64,
    /// Feedback of its members that entries are what they say.
    pub affirmative: u64,
    /// Feedback of its members that they are not.
    pub negative: u64,
    /// Feedback of its members that the origin answered.
    pub feedback_answered: u64,
    /// Answers by which it accepted what it was told.
    pub accepted: u64,
    /// Answers by which it declined it.
    pub declined: u64,
    /// Reasons that it gave of retractions.
    pub reasons: BTreeMap<Code, u64>,
    /// Holds that two of its people ordered.
    pub holds: u64,
    /// Holds that they ended before their time.
    pub lifts: u64,
    /// Assessments of others that they took for its own.
    pub opt_ins: u64,
    /// Days on which they let more out than usual.
    pub surges: u64,
}

/// Opens an object that a centre's log seals: an `attest` key of that centre signed it on its day, or two `policy` keys at
/// its time.
pub(super) fn open(
    signed: &[u8],
    chain: &Chain,
    origin: &Origin,
    leaf: u64,
) -> Result<Said, Box<FindingKind>> {
    let said = Object::from_store(signed).map_err(DisclosureFault::Said)?;
    // Clocks are not judged here: what is dated ahead was no use to whoever made it.
    let now = Timestamp::new(u64::MAX);
    let opened = under(chain, said.made_at(), |roster| {
        Object::open(signed, roster, now)
    });
    let (object, _) = opened.map_err(DisclosureFault::Said)?;
    if object.centre() != origin.centre() {
        let centre = object.centre().clone();
        return Err(DisclosureFault::SaidByOther { centre }.into());
    }
    for key in Object::signers(signed) {
        let own = Some((origin.clone(), leaf));
        Signature { key, own }.check(chain)?;
    }
    Ok(kept(&object))
}

fn kept(object: &Object) -> Said {
    let (code, is, of) = match object {
        Object::Dispute(it) => (Some(it.code), false, None),
        Object::Withdrawal(it) => (None, false, Some(it.of)),
        Object::Feedback(it) => (it.code, it.vote == Vote::Negative, None),
        Object::Answer(it) => (it.code, it.verdict == Verdict::Accepted, Some(it.of)),
        Object::Reason(it) => (Some(it.code), false, None),
        Object::Attestation(_)
        | Object::Hold(_)
        | Object::Lift(_)
        | Object::OptIn(_)
        | Object::Surge(_) => (None, false, None),
    };
    Said {
        kind: object.kind(),
        code,
        is,
        of,
    }
}

/// What each centre said, of objects whose leaves were found in their logs; each object once.
#[must_use]
pub fn voices(openings: &Openings, ledgers: &BTreeMap<Origin, Ledger>) -> BTreeMap<Origin, Voices> {
    let sealed = openings.said.iter().filter(|(_, (_, log, leaf))| {
        let ledger = ledgers.get(log);
        ledger.is_some_and(|ledger| ledger.opens(*leaf))
    });
    let sealed: Vec<_> = sealed.collect();
    let answers = sealed
        .iter()
        .filter(|(_, (said, ..))| said.kind == Kind::Answer);
    let answered: BTreeSet<Hash> = answers.filter_map(|(_, (said, ..))| said.of).collect();
    let mut all: BTreeMap<Origin, Voices> = BTreeMap::new();
    for (hash, (said, log, _)) in sealed {
        let is_answered = u64::from(answered.contains(hash));
        all.entry(log.clone()).or_default().add(said, is_answered);
    }
    all
}

impl Voices {
    fn add(&mut self, said: &Said, answered: u64) {
        let by = |sums: &mut BTreeMap<Code, u64>| {
            if let Some(code) = said.code {
                *sums.entry(code).or_default() += 1;
            }
        };
        match said.kind {
            Kind::Attestation => self.attestations += 1,
            Kind::Dispute => {
                by(&mut self.disputes);
                self.disputes_answered += answered;
            }
            Kind::Withdrawal => self.withdrawn += 1,
            Kind::Feedback => {
                self.affirmative += u64::from(!said.is);
                self.negative += u64::from(said.is);
                self.feedback_answered += answered;
            }
            Kind::Answer => {
                self.accepted += u64::from(said.is);
                self.declined += u64::from(!said.is);
            }
            Kind::Reason => by(&mut self.reasons),
            Kind::Hold => self.holds += 1,
            Kind::Lift => self.lifts += 1,
            Kind::OptIn => self.opt_ins += 1,
            Kind::Surge => self.surges += 1,
        }
    }
}
