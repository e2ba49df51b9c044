//! What a centre refuses to sign: a leaf that no receiver would take can never leave its log again.
#![cfg(feature = "testing")]

use hashpact_keys::{KeyUse, SignedRoster, Timestamp};
use hashpact_protocol::centre::{Centre, Command, CommandError, CommandId, Input, Output};
use hashpact_protocol::delta::Retraction;
use hashpact_protocol::record::{EntryId, Revision};
use hashpact_protocol::testing::keys::{CentreSetup, LIFETIME_S, START, network, next_roster};
use hashpact_protocol::testing::memory::Memory;
use hashpact_protocol::testing::rng::Seeded;

type Done = Result<(), Box<dyn std::error::Error>>;

struct Alone {
    centre: Centre,
    memory: Memory,
}

impl Alone {
    /// A centre that has begun its log with these rosters.
    fn new(
        chain: &[&SignedRoster],
        setup: &CentreSetup,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let memory = Memory::default();
        let roster = chain[0].clone();
        let centre = Centre::new(setup.id.clone(), setup.keys(), roster, 1, &memory)?;
        let mut alone = Self { centre, memory };
        let chain = chain.iter().map(|roster| roster.bytes().to_vec());
        alone.command(Command::Begin(chain.collect()), START.get())?;
        Ok(alone)
    }

    /// Retracts something that is not there: the core signs what it is told, if it may sign at all.
    fn sign(&mut self, at: u64) -> Result<(), CommandError> {
        let list = vec![Retraction {
            entry: EntryId([1; 16]),
            revision: Revision(1),
        }];
        self.command(Command::Retract(list), at)
    }

    fn command(&mut self, command: Command, at: u64) -> Result<(), CommandError> {
        let input = Input::Command(CommandId(1), command);
        let view = self.memory.clone();
        let out = self
            .centre
            .handle(input, Timestamp::new(at), &mut Seeded::new(at), &view);
        let mut answer = Err(CommandError::Store);
        for output in out {
            match output {
                Output::Commit(batch) => {
                    self.memory.apply(batch).map_err(|_| CommandError::Store)?;
                }
                Output::Reply(_, done) => answer = done.map(drop),
                Output::Send(..)
                | Output::Spawn(..)
                | Output::Emit(_)
                | Output::WakeAt(_)
                | Output::Drop(..)
                | Output::MembersChanged
                | Output::EvidenceChanged(_)
                | Output::RosterChanged => {}
            }
        }
        answer
    }
}

#[test]
fn a_clock_behind_the_roster_or_the_log_signs_nothing() -> Done {
    let (roster, setups) = network(2, true);
    let issued = roster.roster().issued_at;
    let mut alone = Alone::new(&[&roster], &setups[0])?;
    let behind = |now, since| {
        let (now, since) = (Timestamp::new(now), Timestamp::new(since));
        Err(CommandError::ClockBehind { now, since })
    };
    assert_eq!(
        alone.sign(issued.get() - 1),
        behind(issued.get() - 1, issued.get())
    );
    let later = START.get() + 1_000;
    assert_eq!(alone.sign(later), Ok(()));
    assert_eq!(alone.sign(later - 1), behind(later - 1, later));
    assert_eq!(alone.sign(later), Ok(()));
    Ok(())
}

#[test]
fn a_key_that_has_ended_signs_nothing() -> Done {
    let (roster, setups) = network(2, true);
    for use_ in [KeyUse::Delta, KeyUse::Log] {
        let key = setups[0].signer(use_).public();
        let ends = Timestamp::new(START.get() + 100);
        let next = next_roster(&roster, START, |draft| {
            let keys = draft.centres.iter_mut().flat_map(|centre| &mut centre.keys);
            keys.filter(|entry| entry.key == key)
                .for_each(|entry| entry.until = Some(ends));
        });
        let mut alone = Alone::new(&[&roster, &next], &setups[0])?;
        assert_eq!(alone.sign(ends.get() - 1), Ok(()));
        assert_eq!(alone.sign(ends.get()), Err(CommandError::OwnKey(use_)));
    }
    Ok(())
}

#[test]
fn an_expired_roster_still_retracts() -> Done {
    let (roster, setups) = network(2, true);
    let mut alone = Alone::new(&[&roster], &setups[0])?;
    assert_eq!(alone.sign(START.get() + 2 * LIFETIME_S), Ok(()));
    Ok(())
}
