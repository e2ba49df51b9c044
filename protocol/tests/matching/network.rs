//! A network in which centre 0 lets others match, and what is typed and asked there.

use hashpact_keys::{KeyUse, PublicKey, Signer, Timestamp};
use hashpact_protocol::centre::{
    Command, CommandError, MatchGrant, MatchGroups, MatchRefusal, MatchRequest, Member, Outcome,
};
use hashpact_protocol::fingerprint::Algorithm;
use hashpact_protocol::labels::{Labels, Purpose, Recipient, State, Tlp};
use hashpact_protocol::limits;
use hashpact_protocol::lists::Set;
use hashpact_protocol::policy::{Asker, MatchMode};
use hashpact_protocol::psi::{Artifact, Epoch, Group, Manifest, SegmentRow, SessionId, TagBits};
use hashpact_protocol::testing::documents::{self, ALL};
use hashpact_protocol::testing::sim::{Sim, Violation};
use hashpact_protocol::view::View as _;

pub(crate) type Done = Result<(), Violation>;

/// What the grants of centre 0 give in a day: centre 1, and members under the law of the US.
pub(crate) const CENTRE_DAY: u64 = 5_000;
pub(crate) const MEMBER_DAY: u64 = 3_000;

const CENTRES: &str = r#"permit (principal is Centre, action in [Action::"match", Action::"reveal"], resource) when { context.bases.contains("with-us") };"#;
const MEMBERS: &str = r#"permit (principal is Member, action in [Action::"match", Action::"reveal"], resource) when { context.bases.contains("us-members") && resource.tlp == "AMBER" };"#;

/// Grants of which the second one ends on `until`.
pub(crate) fn grants(until: &str) -> String {
    format!(
        r#"
[[grant]]
id = "with-us"
with = {{ centre = "us" }}
actions = ["match", "reveal"]
purposes = ["detect", "remove"]
basis = "agreement"
document = "synthetic"
issuer = "synthetic"
from = 2026-01-01
until = 2036-01-01
match = {{ modes = ["items", "labels", "count"], per_day = {CENTRE_DAY} }}

[[grant]]
id = "us-members"
with = {{ jurisdiction = "US" }}
actions = ["match", "reveal"]
purposes = ["detect"]
basis = "statutory"
document = "synthetic"
issuer = "synthetic"
from = 2026-01-01
until = {until}
match = {{ modes = ["items", "count"], per_day = {MEMBER_DAY} }}
"#
    )
}

/// Three kinds of classes: members may match the first, centre 1 all of them.
pub(crate) fn labels() -> [Labels; 3] {
    let base = Labels {
        state: State::Assessed,
        tlp: Tlp::Amber,
        purposes: Set::full(),
        recipients: Set::of(&[Recipient::Centre, Recipient::Provider]),
        ..hashpact_protocol::testing::labels()
    };
    let strict = Labels {
        tlp: Tlp::Red,
        ..base.clone()
    };
    let suspected = Labels {
        state: State::Suspected,
        ..base.clone()
    };
    [base, strict, suspected]
}

/// Applies a policy of centre 0 with these grants, and whatever else is said.
pub(crate) fn govern(sim: &mut Sim, grants: &str, more: &[(&str, &str)]) -> Done {
    let policies = [("all", ALL), ("centres", CENTRES), ("members", MEMBERS)];
    let policies: Vec<_> = policies.iter().chain(more).copied().collect();
    let files = documents::files(&sim.setup(0).jurisdiction, grants, &policies);
    sim.apply_policy(0, files)?;
    sim.run_for(10)
}

/// Four centres, of which the first has a policy, three classes, a member, and a match epoch.
pub(crate) fn matching() -> Result<Sim, Violation> {
    matching_until("2036-01-01")
}

pub(crate) fn matching_until(until: &str) -> Result<Sim, Violation> {
    let mut sim = Sim::governed(7, 4)?;
    sim.connect_all()?;
    sim.run_for(10)?;
    govern(&mut sim, &grants(until), &[])?;
    must(&mut sim, Command::Define(labels().to_vec()));
    must(&mut sim, Command::AdmitMember(member("acme", "US")));
    log_epoch(&mut sim, 0)?;
    Ok(sim)
}

/// A command of centre 0 that works.
pub(crate) fn must(sim: &mut Sim, command: Command) -> Outcome {
    let answer = sim.command(0, command).unwrap();
    answer
        .expect("it is up")
        .unwrap_or_else(|error| panic!("{error}"))
}

/// A command of centre 0 that is refused.
pub(crate) fn refused(sim: &mut Sim, command: Command) -> CommandError {
    let answer = sim.command(0, command).unwrap();
    answer.expect("it is up").expect_err("it was done")
}

pub(crate) fn key(name: &str) -> PublicKey {
    let seed = blake3::hash(format!("synthetic member {name}").as_bytes());
    Signer::from_seed(seed.as_bytes()).public()
}

pub(crate) fn member(id: &str, law: &str) -> Member {
    Member {
        id: id.to_owned(),
        jurisdiction: law.parse().unwrap(),
        sector: "hosting".to_owned(),
        node_key: Some(key(id)),
    }
}

pub(crate) fn numbered(sim: &mut Sim) -> MatchGroups {
    let Outcome::MatchGroups(groups) = must(sim, Command::MatchGroups) else {
        panic!("other outcome");
    };
    groups
}

/// A manifest of all groups, each with artifacts of SHA-256 that hold one tag.
pub(crate) fn manifest(sim: &Sim, groups: &MatchGroups, epoch: u64) -> Manifest {
    let setup = sim.setup(0);
    let log = sim.memory(0).log(&setup.origin);
    let now = sim.now();
    let group = |row: &hashpact_protocol::centre::MatchGroup| Group {
        group: row.id,
        classes: row.classes.clone(),
        artifacts: [MatchMode::Items, MatchMode::Labels]
            .map(|mode| artifact(row.id.0, epoch, mode))
            .to_vec(),
    };
    Manifest {
        network: sim.roster().roster().network,
        origin: setup.origin.clone(),
        number: log.next_manifest,
        epoch: Epoch(epoch),
        log_size: log.size,
        issued_at: now,
        from: now,
        until: Timestamp::new(now.get() + limits::MATCH_EPOCH_S),
        bits: TagBits::of(1),
        groups: groups.groups.iter().map(group).collect(),
    }
}

fn artifact(group: u32, epoch: u64, mode: MatchMode) -> Artifact {
    let key = format!("synthetic match key {group} {epoch} {mode:?}");
    Artifact {
        kind: 3,
        mode,
        key: *blake3::hash(key.as_bytes()).as_bytes(),
        items: 1,
        segments: vec![SegmentRow {
            number: 0,
            added: 1,
            removed: 0,
            bytes: 20,
            chunks: 1,
            root: [1; 32],
            label_root: (mode == MatchMode::Labels).then_some([2; 32]),
        }],
    }
}

/// Numbers the groups of centre 0, logs a manifest of them, and lets it be witnessed.
pub(crate) fn log_epoch(sim: &mut Sim, epoch: u64) -> Result<MatchGroups, Violation> {
    let groups = numbered(sim);
    let manifest = manifest(sim, &groups, epoch);
    log_manifest(sim, &manifest)?;
    Ok(groups)
}

pub(crate) fn log_manifest(sim: &mut Sim, manifest: &Manifest) -> Done {
    let signer = sim.setup(0).signer(KeyUse::Manifest);
    let manifest = manifest.sign(&signer).unwrap();
    must(sim, Command::MatchEpoch { manifest });
    sim.run_for(10)
}

pub(crate) fn us() -> Asker {
    Asker::Centre("us".parse().unwrap())
}

pub(crate) fn acme() -> Asker {
    Asker::Member("acme".to_owned())
}

/// A request of mode items for one thousand items of SHA-256, in the first epoch.
pub(crate) fn request(n: u8, principal: Asker) -> MatchRequest {
    MatchRequest {
        session: SessionId([n; 16]),
        principal,
        mode: MatchMode::Items,
        kind: Algorithm::Sha256,
        purpose: Purpose::Detect,
        items: 1_000,
        epoch: Epoch(0),
    }
}

pub(crate) fn ask(sim: &mut Sim, request: MatchRequest) -> Result<MatchGrant, MatchRefusal> {
    let answer = sim.command(0, Command::MatchOpen(request)).unwrap();
    match answer.expect("it is up") {
        Ok(Outcome::MatchOpened(grant)) => Ok(grant),
        Ok(other) => panic!("{other:?}"),
        Err(CommandError::Match(why)) => Err(why),
        Err(error) => panic!("{error}"),
    }
}
