//! `hashpact init` and `hashpact enrol`.

use std::io;
use std::path::Path;

use clap::Args;
use hashpact_keys::enrolment::Enrolment;
use hashpact_keys::sealed::{SealError, UnsealError};
use hashpact_keys::{KeyUse, PublicKey, Signer};
use serde_json::json;
use zeroize::Zeroizing;

use super::policy::key::key_failure;
use super::{Answer, Failure};
use crate::armor::Kind;
use crate::config::{Checked, Config};
use crate::home::{Home, HomeError, NodeKeys, PassphraseSource};
use crate::policy::key::load;

#[derive(Args)]
#[command(
    after_help = "Example:\n  hashpact init --home eu --centre eu --jurisdiction EU --domain eu.example \\\n    --listen /ip4/0.0.0.0/udp/4010/quic-v1 --listen /ip4/0.0.0.0/tcp/4010 \\\n    --address /ip4/192.0.2.7/udp/4010/quic-v1 --address /ip4/192.0.2.7/tcp/4010\n\nWith sealed keys, for a network that is no demonstration:\n  hashpact init --seal --passphrase-file eu.passphrase --home eu --centre eu --jurisdiction EU --domain eu.example \\\n    --listen /ip4/0.0.0.0/udp/4010/quic-v1"
)]
pub(super) struct InitArgs {
    /// The centre's id on the roster, such as eu.
    #[arg(long)]
    centre: String,
    /// Two capital letters, such as EU or CA.
    #[arg(long)]
    jurisdiction: String,
    /// The domain in the log's origin line `<domain>/<centre>/1`.
    #[arg(long)]
    domain: String,
    /// Where to listen, as a multiaddress; give one for QUIC and one for TCP.
    #[arg(long, required = true, value_name = "MULTIADDR")]
    listen: Vec<String>,
    /// Where others dial this node; the listening addresses if not given.
    #[arg(long, value_name = "MULTIADDR")]
    address: Vec<String>,
    /// Seal the keys under a passphrase from the first; a network that is not flagged demo needs it.
    #[arg(long)]
    seal: bool,
}

pub(super) fn init(
    home: &Home,
    source: &PassphraseSource,
    args: &InitArgs,
) -> Result<Answer, Failure> {
    let addresses = if args.address.is_empty() {
        &args.listen
    } else {
        &args.address
    };
    let config = Config {
        centre: args.centre.clone(),
        jurisdiction: args.jurisdiction.clone(),
        origin: format!("{}/{}/1", args.domain, args.centre),
        listen: args.listen.clone(),
        addresses: addresses.clone(),
    };
    let checked = config.check().map_err(Failure::input)?;
    let keys = match args.seal {
        true => {
            home.check_free().map_err(home_failure)?;
            let passphrase = source.read_first(home.path()).map_err(Failure::input)?;
            home.create_sealed(&config.to_text(), seed, &passphrase)
        }
        false => home.create(&config.to_text(), seed),
    };
    let keys = keys.map_err(home_failure)?;
    let answer = enrolment(home, checked, &keys)?;
    eprintln!(
        "Made {}. Its enrolment goes to whoever makes the roster:",
        home.path().display()
    );
    Ok(answer)
}

#[derive(Args)]
#[command(
    after_help = "Policy keys are held by people, so a public key is enough here: its holder signs the enrolment with\n`hashpact policy key enrol`. The file of a key signs at once. Name them each time: an enrolment without a key that is on the\nroster ends that key.\n\nExamples:\n  hashpact --home ca enrol\n  hashpact --home ca enrol --policy-key PUBLIC --policy-key PUBLIC\n  hashpact --home ca enrol --policy-key alice.key --policy-key bob.key"
)]
pub(super) struct EnrolArgs {
    /// The policy key of a person who signs policy documents: its public half, or its file. Documents need two.
    #[arg(long, value_name = "PUBLIC|FILE")]
    policy_key: Vec<String>,
}

/// Policy keys that are to stand in an enrolment.
#[derive(Default)]
struct PolicyKeys {
    /// Whose file was given.
    held: Vec<Signer>,
    /// Whose public half was given.
    others: Vec<(KeyUse, PublicKey)>,
}

/// `hashpact enrol`: the same keys with the addresses that the configuration says today.
pub(super) fn enrol(
    home: &Home,
    source: &PassphraseSource,
    args: &EnrolArgs,
) -> Result<Answer, Failure> {
    let checked = Config::read(&home.config()).map_err(Failure::input)?;
    let mut policy = PolicyKeys::default();
    for text in &args.policy_key {
        match text.parse::<PublicKey>() {
            Ok(key) => policy.others.push((KeyUse::Policy, key)),
            Err(_) if Path::new(text).exists() => {
                let signer = load(Path::new(text), source).map_err(key_failure)?;
                policy.held.push(signer);
            }
            Err(error) => {
                return Err(Failure::input(format!(
                    "--policy-key {text}: neither a file nor a public key: {error}"
                )));
            }
        }
    }
    let keys = home.unlock(source).map_err(home_failure)?;
    enrolment_with(home, checked, &keys, &policy)
}

/// Writes and prints the enrolment of these keys.
pub(super) fn enrolment(home: &Home, checked: Checked, keys: &NodeKeys) -> Result<Answer, Failure> {
    enrolment_with(home, checked, keys, &PolicyKeys::default())
}

fn enrolment_with(
    home: &Home,
    checked: Checked,
    keys: &NodeKeys,
    policy: &PolicyKeys,
) -> Result<Answer, Failure> {
    let keys = keys.signers().map_err(home_failure)?;
    let (centre, origin) = (checked.centre.to_string(), checked.origin.to_string());
    let held = policy.held.iter().map(|signer| (KeyUse::Policy, signer));
    let own = keys.iter().map(|(use_, signer)| (*use_, signer));
    let signers: Vec<(KeyUse, &Signer)> = own.chain(held).collect();
    let Checked {
        centre: id,
        jurisdiction,
        origin: log,
        addresses,
        ..
    } = checked;
    let signed = Enrolment::draft(id, jurisdiction, log, addresses, &signers, &policy.others);
    let signed = signed.map_err(Failure::input)?;
    let (made, missing) = Enrolment::read_draft(&signed).map_err(Failure::input)?;
    let text = Kind::Enrolment.wrap(&signed);
    let file = home.enrolment();
    for key in dropped(&file, &made) {
        eprintln!(
            "Policy key {key} of the enrolment before is not in this one: the roster that takes it ends that key. To keep it, enrol \
             again with --policy-key {key}."
        );
    }
    std::fs::write(&file, &text).map_err(Failure::failed)?;
    let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
    if !missing.is_empty() {
        eprintln!(
            "No roster takes it yet: the holders of {} sign {} with `hashpact policy key enrol`.",
            missing.join(" and "),
            file.display()
        );
    }
    let json = json!({
        "centre": centre,
        "origin": origin,
        "home": home.path(),
        "enrolment": file,
        "missing": missing,
    });
    Ok(Answer::new(json, text))
}

/// The policy keys of the enrolment that a new one takes the place of, as far as they are not in it.
fn dropped(file: &Path, made: &Enrolment) -> Vec<PublicKey> {
    let before = std::fs::read_to_string(file).ok();
    let before = before.and_then(|text| Kind::Enrolment.unwrap(&text).ok());
    let before = before.and_then(|bytes| Enrolment::read_draft(&bytes).ok());
    let keys = before.map(|(before, _)| before.keys).unwrap_or_default();
    let policy = keys.into_iter().filter(|(use_, _)| *use_ == KeyUse::Policy);
    let dropped = policy.filter(|key| !made.keys.contains(key));
    dropped.map(|(_, key)| key).collect()
}

pub(super) fn seed() -> io::Result<Zeroizing<[u8; 32]>> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed).map_err(io::Error::other)?;
    Ok(seed)
}

pub(super) fn home_failure(error: HomeError) -> Failure {
    match error {
        HomeError::Exists { .. }
        | HomeError::PlainBeside { .. }
        | HomeError::OtherKey { .. }
        | HomeError::Seal(SealError::Exists { .. }) => Failure::no(error),
        HomeError::Missing { .. }
        | HomeError::Passphrase(_)
        | HomeError::NoKey { .. }
        | HomeError::Seal(SealError::Short(_))
        | HomeError::Unseal(UnsealError::Passphrase { .. }) => Failure::input(error),
        HomeError::Locked { .. }
        | HomeError::KeySet(_)
        | HomeError::ReadSealed(_)
        | HomeError::Seal(SealError::Memory(_) | SealError::Io { .. })
        | HomeError::Unseal(UnsealError::Memory(_) | UnsealError::Keys { .. })
        | HomeError::Key(_)
        | HomeError::StorageKey { .. }
        | HomeError::Io { .. } => Failure::failed(error),
    }
}
