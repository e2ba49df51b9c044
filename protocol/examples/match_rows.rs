//! How long it takes to decide who may match what: every class and every member, under the profile of the US.
//!
//! `cargo run --release -p hashpact-protocol --example match_rows --features testing`
#![expect(
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "a measurement needs a clock and says what it found"
)]

use hashpact_keys::Signer;
use hashpact_protocol::centre::{Command, MatchGroups, Member};
use hashpact_protocol::testing::policies::{profile_files, varied};
use hashpact_protocol::testing::sim::{Sim, Violation};

/// The centre under the law of the US.
const US: usize = 1;

fn main() -> Result<(), Violation> {
    for (members, classes) in [(10, 300), (2_000, 300), (10_000, 300)] {
        let mut sim = Sim::governed(1, 4)?;
        sim.connect_all()?;
        sim.run_for(10)?;
        sim.apply_policy(US, profile_files("us"))?;
        sim.run_for(2 * 86_400)?;
        let labels = (0..classes).map(|n| {
            let mut labels = varied(n);
            labels.residency.extend("US".parse());
            labels.minor_certain = n % 3 > 0;
            labels
        });
        sim.command(US, Command::Define(labels.collect()))?;
        for n in 0..members {
            let seed = blake3::hash(format!("synthetic member {n}").as_bytes());
            let law = ["US", "US", "EU", "CA"][n % 4].parse();
            let Ok(jurisdiction) = law else { continue };
            let member = Member {
                id: format!("m{n}"),
                jurisdiction,
                sector: ["hosting", "search", "chat"][n % 3].to_owned(),
                node_key: Some(Signer::from_seed(seed.as_bytes()).public()),
            };
            sim.command(US, Command::AdmitMember(member))?;
        }
        let Some(centre) = sim.centre(US) else {
            continue;
        };
        let began = std::time::Instant::now();
        let groups = centre.match_groups(sim.now(), sim.memory(US));
        let taken = began.elapsed();
        let MatchGroups { groups, .. } = groups.unwrap_or_default();
        println!(
            "{} members x {classes} classes: {} groups in {taken:?}",
            centre.members().count(),
            groups.len()
        );
    }
    Ok(())
}
