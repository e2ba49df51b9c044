//! `hashpact roster`: rosters and the root keys that sign them.
//!
//! A roster is made from enrolments, signed by a threshold of root keys, and applied at each node. The first one is pinned:
//! its hash is compared out of band and typed at `apply --pin`.

mod witnesses;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use hashpact_keys::chain::{SignedRoster, UnsignedRoster, draft_bytes, sign_roster};
use hashpact_keys::enrolment::Enrolment;
use hashpact_keys::roster::RosterDraft;
use hashpact_keys::store::KeyFile;
use hashpact_keys::{CentreId, KeyUse, NetworkId, Roster, RosterVersion, Signer, Timestamp};
use hashpact_protocol::centre::{Centre, CentreKeys, Command};
use hashpact_protocol::log::ForkProof;
use serde_json::json;
use zeroize::Zeroizing;

use super::init::home_failure;
use super::run::run_failure;
use super::{Answer, Failure};
use crate::armor::Kind;
use crate::audit::at::At;
use crate::clock;
use crate::config::{Checked, Config};
use crate::control::Request;
use crate::control::client::{Client, ClientError};
use crate::daemon::{
    RunError, centre_keys, command_offline, mark_begun, open_store, roster_in_force,
};
use crate::home::{Home, PassphraseSource};
use crate::store::durable::Steps;
use crate::witness::{StateError, begin_node_state};
use witnesses::WitnessArgs;

#[derive(Subcommand)]
pub(super) enum RosterCommand {
    /// Make a root key file; keep it offline.
    Key {
        /// The file to make.
        file: PathBuf,
    },
    /// Make a roster from enrolments, or the next version of one, and sign it with the root keys given.
    New(NewArgs),
    /// Add a root key's signature to a roster.
    Sign {
        /// The roster; it is rewritten in place.
        file: PathBuf,
        /// A root key file.
        #[arg(long, required = true)]
        root: Vec<PathBuf>,
    },
    /// Say what a roster holds and who signed it.
    Show {
        /// The roster.
        file: PathBuf,
    },
    /// Put a roster in force at this node, running or not.
    Apply {
        /// The roster; for a node without one, every roster from the first on.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// The hash of the first roster, compared out of band; needed once.
        #[arg(long, value_name = "HASH")]
        pin: Option<String>,
    },
}

#[derive(Args)]
#[command(
    after_help = "Examples:\n  hashpact roster new --demo --root root.key --enrol eu.txt --enrol us.txt --out roster-1.txt\n  hashpact roster new --from roster-1.txt --root root.key --enrol nz.txt --out roster-2.txt\n  hashpact roster new --from roster-2.txt --root root.key --auditor w1/enrolment.txt --out roster-3.txt"
)]
pub(super) struct NewArgs {
    /// The roster that this one follows; without it the network is new.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Enrolments to add; one of a centre on the roster renews its addresses and keys.
    #[arg(long, value_name = "FILE")]
    enrol: Vec<PathBuf>,
    /// Centres to take off.
    #[arg(long, visible_alias = "drop-centre", value_name = "CENTRE")]
    remove: Vec<String>,
    /// Fork proofs (`fork` beside the log's tiles): the centre of each gets the next epoch of its origin line.
    #[arg(long, value_name = "PROOF")]
    resume: Vec<PathBuf>,
    #[command(flatten)]
    witnesses: WitnessArgs,
    /// Root key files: the keys of a new network, and signers in any case.
    #[arg(long, required = true, value_name = "FILE")]
    root: Vec<PathBuf>,
    /// How many root signatures a roster needs; with a new network only.
    #[arg(long, default_value_t = 1)]
    threshold: u8,
    /// Flag a new network as a demonstration.
    #[arg(long)]
    demo: bool,
    /// Days until the roster expires.
    #[arg(long, default_value_t = 365)]
    days: u32,
    /// Where to write it.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(super) fn roster(
    home: &Home,
    source: &PassphraseSource,
    command: RosterCommand,
) -> Result<Answer, Failure> {
    match command {
        RosterCommand::Key { file } => key(&file),
        RosterCommand::New(args) => new(&args),
        RosterCommand::Sign { file, root } => sign(&file, &root),
        RosterCommand::Show { file } => show(&file),
        RosterCommand::Apply { files, pin } => apply(home, source, &files, pin.as_deref()),
    }
}

fn key(file: &Path) -> Result<Answer, Failure> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed).map_err(Failure::failed)?;
    let signer = KeyFile::create(file, KeyUse::Root, &seed).map_err(Failure::failed)?;
    let public = signer.public().to_string();
    let text = format!("Root key {public} in {}. Keep it offline.", file.display());
    Ok(Answer::new(json!({ "file": file, "public": public }), text))
}

pub(super) fn read(file: &Path, kind: Kind) -> Result<Vec<u8>, Failure> {
    let named =
        |error: &dyn std::fmt::Display| Failure::input(format!("{}: {error}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| named(&error))?;
    kind.unwrap(&text).map_err(|error| named(&error))
}

pub(super) fn read_roster(file: &Path) -> Result<(Vec<u8>, Roster), Failure> {
    let bytes = read(file, Kind::Roster)?;
    let roster = UnsignedRoster::parse(&bytes)
        .map_err(|error| Failure::input(format!("{}: {error}", file.display())))?
        .roster()
        .clone();
    Ok((bytes, roster))
}

fn signers(files: &[PathBuf]) -> Result<Vec<Signer>, Failure> {
    files
        .iter()
        .map(|file| KeyFile::load(file, KeyUse::Root).map_err(Failure::input))
        .collect()
}

fn new(args: &NewArgs) -> Result<Answer, Failure> {
    let now = clock::now();
    let expires = Timestamp::new(now.get() + u64::from(args.days) * 86_400);
    let roots = signers(&args.root)?;
    let last = args.from.as_deref().map(read_roster).transpose()?;
    let last = last.map(|(_, roster)| roster);
    let mut draft = match &last {
        Some(last) => last
            .next_draft(now, expires)
            .ok_or_else(|| Failure::no("this roster has the last version number"))?,
        None => RosterDraft {
            version: RosterVersion::FIRST,
            network: None,
            issued_at: now,
            expires_at: expires,
            demo: args.demo,
            threshold: args.threshold,
            root_keys: roots.iter().map(Signer::public).collect(),
            centres: Vec::new(),
            auditors: Vec::new(),
            witnesses: Vec::new(),
            revocations: Vec::new(),
        },
    };
    for name in &args.remove {
        let id: CentreId = name.parse().map_err(Failure::input)?;
        draft.centres.retain(|centre| centre.id != id);
    }
    resume(&mut draft, &args.resume, last.as_ref(), now)?;
    for file in &args.enrol {
        let enrolment = Enrolment::open(&read(file, Kind::Enrolment)?)
            .map_err(|error| Failure::input(format!("{}: {error}", file.display())))?;
        match draft
            .centres
            .iter_mut()
            .find(|centre| centre.id == enrolment.id)
        {
            // Whoever could change its line in passing could leave a history behind that it does not like.
            Some(centre) if centre.origin != enrolment.origin => {
                return Err(Failure::no(format!(
                    "{}: {} writes {} and enrols with {}: a centre keeps its log; one that was forked is resumed with --resume PROOF",
                    file.display(),
                    centre.id,
                    centre.origin,
                    enrolment.origin,
                )));
            }
            Some(centre) => *centre = enrolment.renew(centre, now),
            None => draft.centres.push(enrolment.centre_entry(now, None)),
        }
    }
    witnesses::change(&mut draft, &args.witnesses, last.as_ref(), now)?;
    let roster = Roster::from_draft(draft).map_err(Failure::input)?;
    let mut bytes = draft_bytes(&roster);
    for root in &roots {
        bytes = sign_roster(&bytes, root).map_err(Failure::input)?;
    }
    write(&args.out, &bytes)?;
    described(&bytes, &args.out)
}

/// Gives the centres of forked logs the next epoch of their line.
fn resume(
    draft: &mut RosterDraft,
    proofs: &[PathBuf],
    last: Option<&Roster>,
    now: Timestamp,
) -> Result<(), Failure> {
    for file in proofs {
        let refused =
            |error: &dyn std::fmt::Display| Failure::no(format!("{}: {error}", file.display()));
        let last = last.ok_or_else(|| Failure::input("--resume needs --from"))?;
        let bytes = std::fs::read(file).map_err(Failure::input)?;
        let proof = ForkProof::from_text(&bytes).map_err(|error| refused(&error))?;
        let fact = proof.verify(last, now).map_err(|error| refused(&error))?;
        let centre = draft
            .centres
            .iter_mut()
            .find(|centre| centre.origin == fact.origin);
        let centre =
            centre.ok_or_else(|| refused(&"the centre of this log is not on the roster"))?;
        let next = centre.origin.next_epoch();
        centre.origin = next.ok_or_else(|| refused(&"the line has no next epoch"))?;
    }
    Ok(())
}

fn sign(file: &Path, roots: &[PathBuf]) -> Result<Answer, Failure> {
    let (mut bytes, _) = read_roster(file)?;
    for root in signers(roots)? {
        bytes = sign_roster(&bytes, &root).map_err(Failure::input)?;
    }
    write(file, &bytes)?;
    described(&bytes, file)
}

fn show(file: &Path) -> Result<Answer, Failure> {
    let (bytes, _) = read_roster(file)?;
    described(&bytes, file)
}

fn write(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    std::fs::write(file, Kind::Roster.wrap(bytes)).map_err(Failure::failed)
}

fn described(bytes: &[u8], file: &Path) -> Result<Answer, Failure> {
    let unsigned = UnsignedRoster::parse(bytes).map_err(Failure::input)?;
    let roster = unsigned.roster();
    let centres: Vec<_> = roster
        .centres
        .iter()
        .map(|centre| {
            json!({
                "id": centre.id.to_string(),
                "jurisdiction": centre.jurisdiction.to_string(),
                "origin": centre.origin.to_string(),
                "addresses": centre.addresses,
            })
        })
        .collect();
    let signatures = unsigned.signers().len();
    let json = json!({
        "file": file,
        "version": roster.version.get(),
        "network": roster.network.to_string(),
        "demo": roster.demo,
        "expires_at": roster.expires_at.get(),
        "threshold": roster.threshold,
        "signatures": signatures,
        "centres": centres,
        "auditors": witnesses::described(&roster.auditors),
        "witnesses": witnesses::described(&roster.witnesses),
        "revocations": witnesses::revoked(&roster.revocations),
    });
    let names: Vec<String> = roster
        .centres
        .iter()
        .map(|centre| format!("{} ({})", centre.id, centre.origin))
        .collect();
    let text = format!(
        "Roster {} of network {}{}\n  centres     {}\n  auditors    {}\n  witnesses   {}\n  signatures  {signatures} of {} needed\n  expires     {}\nCompare the network's hash out of band; the first `roster apply` wants it as --pin.",
        roster.version.get(),
        roster.network,
        if roster.demo { ", a demonstration" } else { "" },
        names.join(", "),
        witnesses::names(&roster.auditors),
        witnesses::names(&roster.witnesses),
        roster.threshold,
        At(roster.expires_at),
    );
    Ok(Answer::new(json, text))
}

fn apply(
    home: &Home,
    source: &PassphraseSource,
    files: &[PathBuf],
    pin: Option<&str>,
) -> Result<Answer, Failure> {
    let chain: Vec<Vec<u8>> = files
        .iter()
        .map(|file| read(file, Kind::Roster))
        .collect::<Result<_, _>>()?;
    let mut client = match Client::connect(home) {
        Ok(client) => client,
        Err(ClientError::NotRunning { .. }) => return apply_stopped(home, source, &chain, pin),
        Err(error) => return Err(error.into()),
    };
    let mut json = json!({});
    for bytes in &chain {
        let roster = Kind::Roster.wrap(bytes);
        json = client.ask(&Request::RosterApply { roster }, |_| {})?;
    }
    let text = format!("Roster {} is in force.", json["roster_version"]);
    Ok(Answer::new(json, text))
}

fn apply_stopped(
    home: &Home,
    source: &PassphraseSource,
    chain: &[Vec<u8>],
    pin: Option<&str>,
) -> Result<Answer, Failure> {
    let _lock = home.lock().map_err(home_failure)?;
    let checked = Config::read(&home.config()).map_err(Failure::input)?;
    let keys = home.unlock(source).map_err(home_failure)?;
    let store = open_store(home, &keys, &checked, Steps::default()).map_err(run_failure)?;
    let keys = centre_keys(&keys).map_err(home_failure)?;
    let session = clock::now_ms();
    let mut next = "Start the node with `hashpact run`.";
    let (in_force, commands) = match roster_in_force(&store) {
        Ok(roster) => (
            roster,
            chain.iter().cloned().map(Command::ApplyRoster).collect(),
        ),
        Err(RunError::NoRoster) => {
            let last = pinned(chain, pin)?;
            let command = match home.begun().exists() {
                true => {
                    next = "This home's data was lost: start the node with `hashpact run`, and it fetches its log back from the other centres. Its witness and mirror keys are retired: renew them then.";
                    Command::Regain(chain.to_vec())
                }
                false => {
                    begin_witness(home, &checked, &keys)?;
                    Command::Begin(chain.to_vec())
                }
            };
            (last, vec![command])
        }
        Err(error) => return Err(run_failure(error)),
    };
    let mut centre =
        Centre::new(checked.centre, keys, in_force, session, &store).map_err(Failure::input)?;
    for command in commands {
        let applied = command_offline(&mut centre, &store, command);
        applied.map_err(run_failure)?.map_err(Failure::no)?;
    }
    mark_begun(home).map_err(Failure::failed)?;
    let version = centre.roster().version.get();
    let text = format!("Roster {version} is in force. {next}");
    Ok(Answer::new(json!({ "roster_version": version }), text))
}

/// Makes the state under which this node cosigns logs outside the network. Once only: data that is missing later was lost,
/// and a witness that lost its state must not begin with an empty one.
fn begin_witness(home: &Home, checked: &Checked, keys: &CentreKeys) -> Result<(), Failure> {
    let key = keys.witness.public();
    match begin_node_state(&home.data(), &checked.origin, key) {
        Ok(()) | Err(StateError::Exists { .. }) => Ok(()),
        Err(error) => Err(Failure::failed(error)),
    }
}

/// The first roster is believed because a person compared its hash, the others because they follow it.
fn pinned(chain: &[Vec<u8>], pin: Option<&str>) -> Result<SignedRoster, Failure> {
    let pin = pin.ok_or_else(|| {
        Failure::input(
            "this node has no roster yet: compare the network's hash (`roster show`) out of band and give it as --pin",
        )
    })?;
    let pin: NetworkId = pin.parse().map_err(Failure::input)?;
    let (first, later) = chain
        .split_first()
        .ok_or_else(|| Failure::input("no roster given"))?;
    let mut roster = SignedRoster::open_first(first, &pin).map_err(Failure::no)?;
    for bytes in later {
        roster = roster.succeed(bytes).map_err(Failure::no)?;
    }
    Ok(roster)
}
