//! From an order to an outcome.
//!
//! 1. The manifest, checked and remembered.
//! 2. What is known already: items evaluated in this epoch, and a session that was cut.
//! 3. A session for the rest, if there is any, while segments are fetched and compared.
//! 4. The records of both sides, compared.
//!
//! In scope: the order of these, and trying again. Out of scope: each of them.

use std::sync::Arc;
use std::time::Duration;

use hashpact_protocol::limits;
use hashpact_protocol::policy::MatchMode;
use hashpact_protocol::psi::{Answer, Ask, GroupId, SessionId};
use zeroize::Zeroizing;

use super::asking::{Desk, size};
use super::cache::{About, Cache, CacheError, Pending};
use super::known::Known;
use super::manifest::{Logged, Trust};
use super::order::{MatchError, Order, Outcome, Phase, Progress};
use super::question::{Question, digest};
use super::talk::{self, Opener, TalkError};

/// The longest pause before a connection is opened again.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Who hears how far a check is.
pub type Hear = Arc<dyn Fn(Progress) + Send + Sync>;

/// Checks an order against its centre.
///
/// What was evaluated is kept in `cache`, so that the same order, or a longer list, goes on from there: after a cut without a
/// new charge, and for what was evaluated in this epoch without a question.
///
/// # Errors
/// [`MatchError`].
pub async fn run<O: Opener>(
    opener: &O,
    cache: &Arc<Cache>,
    order: &Order,
    hear: &Hear,
) -> Result<Outcome, MatchError> {
    let logged = manifest(opener, order, hear).await?;
    cache.remember(&logged)?;
    let desk = Desk {
        opener,
        cache,
        order,
        hear,
        logged: &logged,
    };
    match order.mode {
        MatchMode::Items | MatchMode::Labels => lists(&desk).await,
        MatchMode::Count => desk.count().await,
    }
}

/// Waits longer and longer between attempts that get nothing through.
pub(super) struct Retries<'a> {
    order: &'a Order,
    hear: &'a Hear,
    tried: u32,
    last: u64,
}

impl<'a> Retries<'a> {
    pub(super) fn new(order: &'a Order, hear: &'a Hear) -> Self {
        Self {
            order,
            hear,
            tried: 0,
            last: 0,
        }
    }

    /// Waits, if the same may succeed later; else returns the error. `done` is how much got through until now.
    pub(super) async fn after(&mut self, error: MatchError, done: u64) -> Result<(), MatchError> {
        if done > self.last {
            (self.tried, self.last) = (0, done);
        }
        let patience = &self.order.patience;
        if !error.is_passing() || self.tried == patience.retries {
            return Err(error);
        }
        let pause = patience.pause.saturating_mul(1 << self.tried.min(16));
        self.tried += 1;
        (self.hear)(Progress {
            phase: Phase::Retry,
            done: self.tried.into(),
            total: Some(patience.retries.into()),
        });
        tokio::time::sleep(pause.min(PAUSE_MAX)).await;
        Ok(())
    }
}

/// The centre's newest manifest, proven.
async fn manifest<O: Opener>(opener: &O, order: &Order, hear: &Hear) -> Result<Logged, MatchError> {
    let mut retries = Retries::new(order, hear);
    let answer = loop {
        match ask_manifest(opener, order).await {
            Ok(answer) => break answer,
            Err(error) => retries.after(error.into(), 0).await?,
        }
    };
    let Answer::Manifest {
        manifest,
        proof,
        index,
    } = answer
    else {
        let expected = "the manifest";
        return Err(TalkError::Turn { expected }.into());
    };
    let trust = Trust {
        roster: &order.roster,
        centre: &order.centre,
        now: (order.clock)(),
    };
    Ok(trust.check(&manifest, &proof, index)?)
}

async fn ask_manifest<O: Opener>(opener: &O, order: &Order) -> Result<Answer, TalkError> {
    let (mut speaker, mut hearer) = talk::open(opener, &order.patience).await?;
    speaker.say(&Ask::Manifest).await?;
    let answer = hearer.hear().await?;
    speaker.close().await;
    Ok(answer)
}

/// What is asked, and in which session.
pub(super) struct Plan {
    pub(super) question: Question,
    pub(super) pending: Pending,
}

/// Modes `items` and `labels`.
async fn lists<O: Opener>(desk: &Desk<'_, O>) -> Result<Outcome, MatchError> {
    let Desk {
        cache,
        order,
        logged,
        ..
    } = *desk;
    let listed = listed(order, logged)?;
    let about = about(order);
    let epoch = logged.manifest.epoch;
    let under_way = under_way(cache, order, logged)?;
    let granted = cache.granted(epoch, about)?;
    let granted = granted.filter(|granted| granted.listed == listed);
    let session = under_way.as_ref().map(|pending| pending.session);
    // A million items are named and looked up: other tasks of this thread move elsewhere meanwhile.
    let known = tokio::task::block_in_place(|| Known::read(cache, order, logged, &listed, session));
    let known = known?;
    let granted = granted.map(|granted| granted.granted);
    let plan = plan(cache, order, logged, &known, under_way, granted.as_deref())?;
    match plan {
        Some(plan) => desk.ask(known, plan, listed).await,
        None => desk.compare(&known, &granted.unwrap_or_default()).await,
    }
}

/// The session under way that this order would go on with, if any.
pub(super) fn under_way(
    cache: &Cache,
    order: &Order,
    logged: &Logged,
) -> Result<Option<Pending>, CacheError> {
    let now = (order.clock)().get();
    let lives = |pending: &Pending| {
        let end = pending
            .touched
            .get()
            .saturating_add(limits::MATCH_SESSION_S);
        pending.epoch == logged.manifest.epoch && now < end
    };
    Ok(cache.pending(about(order))?.filter(lives))
}

pub(super) fn about(order: &Order) -> About<'_> {
    About {
        kind: order.items.kind(),
        mode: order.mode,
        purpose: order.purpose,
    }
}

/// The groups of which the manifest has an artifact of the order's type and mode.
fn listed(order: &Order, logged: &Logged) -> Result<Vec<GroupId>, MatchError> {
    let kind = order.items.kind().code().unwrap_or_default();
    let groups = logged.manifest.groups.iter().map(|group| group.group);
    let has = |group: &GroupId| logged.manifest.artifact(*group, kind, order.mode).is_some();
    let listed: Vec<GroupId> = groups.filter(has).collect();
    let artifacts = listed.iter();
    let artifacts =
        artifacts.filter_map(|group| logged.manifest.artifact(*group, kind, order.mode));
    let (tags, bytes) = size(artifacts);
    if tags > limits::MATCH_FETCH_TAGS || bytes > limits::MATCH_FETCH_BYTES {
        return Err(MatchError::TooLarge { tags, bytes });
    }
    match listed.is_empty() {
        true => Err(MatchError::Nothing {
            centre: order.centre.clone(),
            kind: order.items.kind().name().to_owned(),
        }),
        false => Ok(listed),
    }
}

/// A session for what is not known; none if all of it is.
fn plan(
    cache: &Cache,
    order: &Order,
    logged: &Logged,
    known: &Known,
    under_way: Option<Pending>,
    granted: Option<&[GroupId]>,
) -> Result<Option<Plan>, MatchError> {
    if let Some(pending) = under_way {
        let groups = (!pending.groups.is_empty()).then_some(&pending.groups[..]);
        let picks = known.picks(groups, true);
        let pads = pending.items.checked_sub(picks.len() as u64);
        let pads = pads.filter(|pads| digest(&known.names, &picks, *pads) == pending.query);
        if let Some(pads) = pads {
            let seed = pending.seed.clone();
            let question = Question::new(Arc::clone(&order.items), picks, pads, seed);
            return Ok(Some(Plan { question, pending }));
        }
    }
    let picks = known.picks(granted, false);
    if picks.is_empty() {
        return Ok(None);
    }
    let pads = pads(order, picks.len() as u64, limits::MATCH_ITEMS_MIN)?;
    let (session, seed) = fresh()?;
    let now = (order.clock)();
    let pending = Pending {
        session,
        seed: seed.clone(),
        epoch: logged.manifest.epoch,
        groups: Vec::new(),
        items: picks.len() as u64 + pads,
        query: digest(&known.names, &picks, pads),
        from: now,
        touched: now,
    };
    // Before it is opened: what is charged can then be gone on with, whatever ends this process.
    cache.keep_pending(about(order), &pending)?;
    let question = Question::new(Arc::clone(&order.items), picks, pads, seed);
    Ok(Some(Plan { question, pending }))
}

/// Random items that a session of `new` items needs to have as many as it must.
pub(super) fn pads(order: &Order, new: u64, min: u64) -> Result<u64, MatchError> {
    match min.saturating_sub(new) {
        0 => Ok(0),
        pads if order.pad => Ok(pads),
        _ => Err(MatchError::TooFew { new, min }),
    }
}

/// A name and a seed for a session.
pub(super) fn fresh() -> Result<(SessionId, Zeroizing<[u8; 32]>), MatchError> {
    let (mut id, mut seed) = ([0; 16], Zeroizing::new([0; 32]));
    getrandom::fill(&mut id).map_err(MatchError::Random)?;
    getrandom::fill(&mut *seed).map_err(MatchError::Random)?;
    Ok((SessionId(id), seed))
}
