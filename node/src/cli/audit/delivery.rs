//! `hashpact audit export-delivery`: who has not applied this centre's retractions, for an auditor's report.

use std::path::PathBuf;

use clap::Args;

use super::super::{Answer, Failure};
use crate::audit::result::DeliveryResult;
use crate::clock;
use crate::control::Request;
use crate::control::client::Client;
use crate::daemon::Status;
use crate::home::Home;
use crate::page::file::replace;
use crate::page::text::counted;

#[derive(Args)]
#[command(
    after_help = "It names centres and members, and no entry. The running node is asked.\n\nExamples:\n  hashpact --home eu audit export-delivery --out eu.delivery.json\n  hashpact audit report logs --pin <the network's hash> --delivery eu.delivery.json --html report.html"
)]
pub(in super::super) struct DeliveryArgs {
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(in super::super) fn run(home: &Home, args: &DeliveryArgs) -> Result<Answer, Failure> {
    let told = Client::connect(home)?.ask(&Request::Status, |_| {})?;
    let status: Status = serde_json::from_value(told).map_err(Failure::failed)?;
    if let Some(why) = status.open.unpublished {
        return Err(Failure::failed(format!(
            "what members acknowledged is not known: {why}"
        )));
    }
    let result = DeliveryResult {
        network: status.network,
        centre: status.centre,
        at: clock::now().get(),
        lagging: status.open.lagging,
        members: status.open.members,
    };
    let json = serde_json::to_value(&result).map_err(Failure::failed)?;
    let text = format!("{json:#}\n");
    replace(&args.out, &text).map_err(Failure::failed)?;
    let text = format!(
        "{} and {} have not applied every retraction, in {}.",
        counted(result.lagging.len() as u64, "centre|centres"),
        counted(result.members.len() as u64, "member|members"),
        args.out.display(),
    );
    Ok(Answer::new(json, text))
}
