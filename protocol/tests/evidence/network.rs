//! Networks whose people assess, and what they say there.

use std::collections::BTreeMap;

use hashpact_keys::{Origin, Timestamp};
use hashpact_protocol::Hash;
use hashpact_protocol::assess::Subject;
use hashpact_protocol::centre::{Command, CommandError, Event, Outcome};
use hashpact_protocol::evidence::{
    About, Code, Draft, Field, Hold, HoldCode, Known, Order, OrderBy, known,
};
use hashpact_protocol::labels::Labels;
use hashpact_protocol::record::{EntryId, Revision};
use hashpact_protocol::testing::documents::{self, ALL};
use hashpact_protocol::testing::sim::{Sim, Violation, class_labels};
use hashpact_protocol::view::{Shelf, View as _};

pub(crate) type Done = Result<(), Violation>;

/// The first revision.
pub(crate) const FIRST: Revision = Revision(1);

/// Centres 0 to n - 1 (eu, us, ca, au), everybody with everybody, without policies.
pub(crate) fn open(seed: u64, n: usize) -> Result<Sim, Violation> {
    let mut sim = Sim::attesting(seed, n)?;
    sim.connect_all()?;
    sim.run_for(10)?;
    Ok(sim)
}

/// As [`open`], where each has a policy that allows everything.
pub(crate) fn ruled(seed: u64, n: usize) -> Result<Sim, Violation> {
    let mut sim = open(seed, n)?;
    for n in 0..n {
        rule(&mut sim, n, "")?;
    }
    sim.run_for(10)?;
    Ok(sim)
}

/// A centre's policy allows everything but this.
pub(crate) fn rule(sim: &mut Sim, n: usize, but: &str) -> Done {
    let mut rules = vec![("all", ALL)];
    rules.extend((!but.is_empty()).then_some(("but", but)));
    let files = documents::files(&sim.setup(n).jurisdiction, "", &rules);
    sim.apply_policy(n, files)
}

/// Labels of a class that may go two hops.
pub(crate) fn far(sim: &Sim, n: usize) -> Labels {
    Labels {
        hops: 2,
        ..class_labels(sim.setup(n), 1)
    }
}

pub(crate) fn origin(sim: &Sim, n: usize) -> Origin {
    sim.setup(n).origin.clone()
}

/// The entries of a log as its own centre holds them.
pub(crate) fn entries(sim: &Sim, log: usize) -> Vec<EntryId> {
    sim.live(log, log).into_keys().collect()
}

/// A revision of an entry of a log. Its leaf is nobody's: objects name it, and only counting compares it.
pub(crate) fn subject(sim: &Sim, log: usize, entry: EntryId, revision: Revision) -> Subject {
    Subject {
        origin: origin(sim, log),
        entry,
        revision,
        leaf: [7; 32],
    }
}

pub(crate) fn dispute(subject: Subject) -> Draft {
    Draft::Dispute {
        subject,
        field: Field::Age,
        code: Code::Adult,
    }
}

/// What a centre says, which must work; what each object is known by.
#[expect(clippy::panic, reason = "a test that says what it may not is wrong")]
pub(crate) fn issue(sim: &mut Sim, n: usize, drafts: Vec<Draft>) -> Result<Vec<Hash>, Violation> {
    match sim.command(n, Command::Issue(drafts))? {
        Some(Ok(Outcome::Issued { hashes })) => Ok(hashes),
        other => panic!("centre {n} was answered {other:?}"),
    }
}

/// As [`issue`], of one.
pub(crate) fn say(sim: &mut Sim, n: usize, draft: Draft) -> Result<Hash, Violation> {
    Ok(issue(sim, n, vec![draft])?[0])
}

/// Why a centre refuses to say something.
#[expect(clippy::panic, reason = "a test that expects a refusal gets one")]
pub(crate) fn refused(
    sim: &mut Sim,
    n: usize,
    command: Command,
) -> Result<CommandError, Violation> {
    match sim.command(n, command)? {
        Some(Err(error)) => Ok(error),
        other => panic!("centre {n} was answered {other:?}"),
    }
}

/// A hold of entries of a log for so many days, not signed.
pub(crate) fn hold(sim: &Sim, n: usize, log: usize, entries: &[EntryId], days: u64) -> Hold {
    let mut entries = entries.to_vec();
    entries.sort_unstable();
    Hold {
        by: by(sim, n),
        entries: BTreeMap::from([(origin(sim, log), entries)]),
        series: Vec::new(),
        code: HoldCode::Investigation,
        from: sim.now(),
        until: Timestamp::new(sim.now().get() + days * 86_400),
    }
}

pub(crate) fn by(sim: &Sim, n: usize) -> OrderBy {
    OrderBy {
        network: sim.roster().roster().network,
        centre: sim.setup(n).id.clone(),
        time: sim.now(),
    }
}

/// An order under both `policy` keys of a centre.
#[expect(clippy::expect_used, reason = "a test that orders nonsense is wrong")]
pub(crate) fn by_two(sim: &Sim, n: usize, order: &Order) -> Vec<u8> {
    let [a, b] = documents::signers(sim.setup(n));
    order.sign(&[&a, &b]).expect("an order")
}

/// An order that must be taken.
#[expect(clippy::panic, reason = "a test that orders what it may not is wrong")]
pub(crate) fn order(sim: &mut Sim, n: usize, order: &Order) -> Result<Hash, Violation> {
    let signed = by_two(sim, n, order);
    match sim.command(n, Command::Order { signed })? {
        Some(Ok(Outcome::Issued { hashes })) => Ok(hashes[0]),
        other => panic!("centre {n} was answered {other:?}"),
    }
}

/// What a centre knows of an entry of a log.
pub(crate) fn what(sim: &Sim, at: usize, log: usize, entry: EntryId) -> Known {
    of_revision(sim, at, log, entry, FIRST)
}

pub(crate) fn of_revision(
    sim: &Sim,
    at: usize,
    log: usize,
    entry: EntryId,
    revision: Revision,
) -> Known {
    let origin = origin(sim, log);
    let about = About {
        origin: &origin,
        entry,
        revision,
        series: None,
    };
    known(sim.memory(at), &about, sim.clock(at))
}

/// Objects that a centre keeps.
pub(crate) fn kept(sim: &Sim, n: usize) -> usize {
    sim.memory(n).shelf(Shelf::Evidence, &[]).len()
}

/// What is still on its way from a centre.
pub(crate) fn owed(sim: &Sim, n: usize) -> usize {
    sim.memory(n).shelf(Shelf::Mark, b"O").len()
}

pub(crate) fn events(sim: &Sim, wanted: impl Fn(&Event) -> bool) -> Vec<usize> {
    let events = sim.events().iter();
    let events = events.filter(|(_, event)| wanted(event));
    events.map(|(n, _)| *n).collect()
}
