//! `hashpact init` and `hashpact enrol`.

use std::io;

use clap::Args;
use hashpact_keys::enrolment::Enrolment;
use hashpact_keys::sealed::{SealError, UnsealError};
use hashpact_keys::{KeyUse, Signer};
use serde_json::json;
use zeroize::Zeroizing;

use super::{Answer, Failure};
use crate::armor::Kind;
use crate::config::{Checked, Config};
use crate::home::{Home, HomeError, NodeKeys, PassphraseSource};

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

/// `hashpact enrol`: the same keys with the addresses that the configuration says today.
pub(super) fn enrol(home: &Home, source: &PassphraseSource) -> Result<Answer, Failure> {
    let checked = Config::read(&home.config()).map_err(Failure::input)?;
    let keys = home.unlock(source).map_err(home_failure)?;
    enrolment(home, checked, &keys)
}

/// Writes and prints the enrolment of these keys.
pub(super) fn enrolment(home: &Home, checked: Checked, keys: &NodeKeys) -> Result<Answer, Failure> {
    let keys = keys.signers().map_err(home_failure)?;
    let (centre, origin) = (checked.centre.to_string(), checked.origin.to_string());
    let signers: Vec<(KeyUse, &Signer)> =
        keys.iter().map(|(use_, signer)| (*use_, signer)).collect();
    let Checked {
        centre: id,
        jurisdiction,
        origin: log,
        addresses,
        ..
    } = checked;
    let signed = Enrolment::sign(id, jurisdiction, log, addresses, &signers);
    let text = Kind::Enrolment.wrap(&signed.map_err(Failure::input)?);
    let file = home.enrolment();
    std::fs::write(&file, &text).map_err(Failure::failed)?;
    let json =
        json!({ "centre": centre, "origin": origin, "home": home.path(), "enrolment": file });
    Ok(Answer::new(json, text))
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
