//! Whatever is lost, parted or dies by chance: once it is over, everybody holds what was said, and nobody is accused.

use hashpact_protocol::centre::{Command, Outcome};
use hashpact_protocol::testing::rng::Seeded;
use hashpact_protocol::testing::sim::{Fuse, Sim};
use hashpact_protocol::view::{Shelf, View as _};
use rand_core::Rng as _;

use super::network::{Done, FIRST, dispute, entries, open, order, owed, subject};

/// One thing that happens by chance.
fn happen(sim: &mut Sim, rng: &mut Seeded, said: &mut Vec<[u8; 32]>) -> Done {
    let below = |rng: &mut Seeded, most: usize| rng.next_u32() as usize % most;
    let (n, other) = (below(rng, 4), below(rng, 4));
    match below(rng, 12) {
        0 => sim.crash(n)?,
        1 | 2 => sim.restart(n)?,
        3 => sim.disconnect(n, other)?,
        4 => sim.connect_all()?,
        5 => {
            let fuses = [Fuse::BeforeCommit, Fuse::AfterCommit];
            sim.arm(n, fuses[below(rng, 2)]);
        }
        6 if sim.centre(n).is_some() => {
            let hold = super::network::hold(sim, n, 0, &entries(sim, 0)[..1], 9);
            let hold = hashpact_protocol::evidence::Order::Hold(hold);
            let signed = super::network::by_two(sim, n, &hold);
            if let Some(Ok(Outcome::Issued { hashes })) =
                sim.command(n, Command::Order { signed })?
            {
                said.extend(hashes);
            }
        }
        _ => {
            let all = entries(sim, 0);
            let entry = all[below(rng, all.len())];
            let drafts = vec![dispute(subject(sim, 0, entry, FIRST))];
            if let Some(Ok(Outcome::Issued { hashes })) = sim.command(n, Command::Issue(drafts))? {
                said.extend(hashes);
            }
        }
    }
    sim.run_for(u64::from(rng.next_u32() % 20))
}

#[test]
fn after_any_schedule_everybody_holds_what_was_said() -> Done {
    let mut spoken = 0;
    for seed in 0..4 {
        let mut sim = open(80 + seed, 4)?;
        sim.append(0, 5, &[1])?;
        sim.settle()?;
        let mut rng = Seeded::new(seed);
        let mut said = Vec::new();
        for _ in 0..40 {
            happen(&mut sim, &mut rng, &mut said)?;
        }
        // Twice: who was to die of its next commit does.
        for _ in 0..2 {
            for n in 0..4 {
                sim.restart(n)?;
            }
            sim.connect_all()?;
            sim.run_for(100)?;
        }
        let last = hashpact_protocol::evidence::Order::Hold(super::network::hold(
            &sim,
            1,
            0,
            &entries(&sim, 0),
            1,
        ));
        said.push(order(&mut sim, 1, &last)?);
        sim.run_for(30)?;
        let held = |n: usize| {
            let rows = sim.memory(n).shelf(Shelf::Evidence, &[]);
            rows.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
        };
        for n in 0..4 {
            assert_eq!(held(n), held(0), "seed {seed}, centre {n}");
            assert_eq!(owed(&sim, n), 0);
        }
        let everybody = held(0);
        assert!(said.iter().all(|hash| everybody.contains(&hash.to_vec())));
        assert!(sim.drops().is_empty());
        spoken += said.len();
    }
    assert!(spoken > 30, "only {spoken} objects were said");
    Ok(())
}
