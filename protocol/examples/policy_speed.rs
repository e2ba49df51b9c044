//! Decisions of policy a second: 300 classes x 50 centres x 6 actions, under the profile of the EU.
//!
//! `cargo run --release -p hashpact-protocol --example policy_speed --features testing`
#![expect(
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "a measurement needs a clock and says what it found"
)]

use hashpact_keys::Timestamp;
use hashpact_protocol::policy::EngineError;
use hashpact_protocol::testing::policies::PolicyBench;

fn main() -> Result<(), EngineError> {
    let began = std::time::Instant::now();
    let bench = PolicyBench::new(300, 50)?;
    println!("entities made in {:?}", began.elapsed());
    for _ in 0..3 {
        let began = std::time::Instant::now();
        let allowed = bench.run(Timestamp::new(1_800_000_000));
        let taken = began.elapsed();
        let decisions = bench.decisions();
        println!("{decisions} decisions, {allowed} of them yes, in {taken:?}");
    }
    Ok(())
}
