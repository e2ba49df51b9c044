//! How long policy takes: every action about every class with every centre, under the profile of the EU, at three sizes.
//!
//! `cargo run --release -p hashpact-protocol --example policy_speed --features testing`
#![expect(
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "a measurement needs a clock and says what it found"
)]

use hashpact_keys::Timestamp;
use hashpact_protocol::limits;
use hashpact_protocol::policy::{EngineError, Profile};
use hashpact_protocol::testing::policies::{PolicyBench, decide_alone, profile_files};

fn main() -> Result<(), EngineError> {
    for (classes, peers) in [(300, 50), (300, 100)] {
        let began = std::time::Instant::now();
        let bench = PolicyBench::new(classes, peers)?;
        let made = began.elapsed();
        // The least of three: another process may take the processor.
        let run = || {
            let began = std::time::Instant::now();
            let counts = bench.run(Timestamp::new(1_800_000_000))?;
            Ok((began.elapsed(), counts))
        };
        let (taken, (allowed, erred)) = run()?.min(run()?).min(run()?);
        let decisions = bench.decisions();
        println!(
            "{classes} classes x {peers} centres x 6 actions: {decisions} decisions, {allowed} yes, {erred} erred, in {taken:?}; entities in {made:?}"
        );
    }
    for (what, files) in [
        ("eu", profile_files("eu")),
        ("as long as may be", longest()),
    ] {
        let began = std::time::Instant::now();
        let read = Profile::from_files(&files);
        let bytes: usize = files.iter().map(|(_, text)| text.len()).sum();
        let taken = began.elapsed();
        let policies = read.map(|profile| profile.policies().count());
        println!("profile {what}, {bytes} B read in {taken:?}: {policies:?} policies");
    }
    let began = std::time::Instant::now();
    let allowed = decide_alone(10_000, Timestamp::new(1_800_000_000));
    let taken = began.elapsed();
    println!("10000 questions alone, with profile and entities: {allowed} yes, in {taken:?}");
    Ok(())
}

/// As many policies as a document may have, each as long as they may then be, and asking about every action.
fn longest() -> Vec<(String, String)> {
    let mut files = profile_files("eu");
    files.retain(|(name, _)| name == "profile.toml" || name == "share.cedar");
    let mut text = String::new();
    for n in 0..limits::POLICY_COUNT {
        let condition = ["resource.hops<1"; 7].join("||");
        text += &format!(
            "@id(\"p{n}\")@basis(\"x\")@counsel(\"confirm\")permit(principal,action,resource)when{{{condition}}};\n"
        );
    }
    for (name, old) in &mut files {
        if name == "share.cedar" {
            *old = std::mem::take(&mut text);
        }
    }
    files
}
